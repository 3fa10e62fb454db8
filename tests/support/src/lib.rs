//! Strict fakes for every port of Ocelli, and an allocator that counts.
//!
//! A fake is stricter than the device: it panics, with a sentence, where real hardware or a real model would go on
//! with nonsense. Each can fail on its n-th call. Time only moves when told.
//!
//! Unsafe code is denied everywhere but in [`CountingAlloc`]: an allocator cannot be written without.
#![deny(unsafe_code)]

mod camera;
mod clock;
#[expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]
mod counting_alloc;
mod encoder;
mod failure;
mod head;
mod sink;

pub use camera::ScriptedCamera;
pub use clock::SimClock;
pub use counting_alloc::{Counted, CountingAlloc};
pub use encoder::FakeEncoder;
pub use failure::FakeError;
pub use head::FakeHead;
pub use sink::{OwnedEvent, RecordingSink};
