//! Strict fakes for every port of Ocelli, and the allocator that counts.
//!
//! A fake is stricter than the device: it panics, with a sentence, where real hardware or a real model would go on
//! with nonsense. Each can fail on its n-th call. Time only moves when told.
#![forbid(unsafe_code)]

mod camera;
mod clock;
mod encoder;
mod failure;
mod head;
mod sink;
mod thermometer;

pub use camera::ScriptedCamera;
pub use clock::SimClock;
pub use encoder::FakeEncoder;
pub use failure::FakeError;
pub use head::FakeHead;
pub use ocelli_heap::{Counted, CountingAlloc};
pub use sink::{OwnedEvent, RecordingSink};
pub use thermometer::ScriptedThermometer;
