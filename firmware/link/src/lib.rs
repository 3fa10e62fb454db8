//! What the runtime and the panel say to each other over a serial line.
//!
//! A frame is `00 | COBS(version | postcard(message) | CRC-32) | 00`. The zero before it ends whatever noise came first, so that
//! noise never costs the frame behind it. Zeros, COBS, the CRC (ISO-HDLC, little endian, over all before it) and the
//! version's place are the same in every version, so that two sides of different versions can say so.
//!
//! The runtime sends [`ToPanel`], the panel [`Status`]. A status says which frame was taken last, and the runtime counts on from
//! there: a frame whose number is not above it, or that is of another session, is a replay and does nothing. A session is from one
//! reset of the panel to the next. That keeps out what a line or a buffer repeats; it is no seal against a person who
//! speaks the protocol.
//!
//! Nothing here waits for an answer, and every message may get lost: what stands is told again (see [`ToPanel`]).

#![no_std]
#![forbid(unsafe_code)]

mod frame;
mod message;

pub use frame::{Deframer, FRAME_BYTES, FrameFault, TooLong, encode};
pub use message::{ALERTS, Counts, Level, Packet, Reset, Seeing, Settings, Status, TEXT_BYTES, ToPanel, clip};

/// The version of the messages. One that changes them in any way raises it: postcard has no names to tell fields by.
pub const VERSION: u8 = 1;
