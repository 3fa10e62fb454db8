//! The words that every other crate speaks: units, frames, patches, tokens, memory views, events,
//! and the ports through which hardware, time and models come in.
//!
//! `no_std` and without `alloc`: everything here is a number, a borrowed slice or a small fixed array,
//! so that the same words hold on a microcontroller and on a board with gigabytes.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod event;
mod frame;
mod host;
mod memory;
mod patch;
mod port;
mod unit;

pub use event::{Event, EventKind, Relation, Severity};
pub use frame::{ColorMatrix, Frame, PixelRange, Pixels, SizePx};
pub use host::host_advice;
pub use memory::{MemoryView, TokenRef};
pub use patch::{Content, MAX_PATCHES, PatchBatch, PatchGrid, PatchMask};
pub use port::{Clock, Encoder, Fault, Faulty, FrameSource, FrameTokens, Head, Heat, Sink, Thermometer, Worth};
pub use unit::{EntryId, FrameSeq, Micros};
