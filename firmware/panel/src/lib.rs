//! The companion microcontroller of Ocelli: it shows what the runtime says, and raises an alarm of its own when the runtime is
//! silent.
//!
//! [`Panel`] is all that it knows and decides, with no hardware in it and its time from outside. [`Desk::step`] is the loop's
//! body: it moves bytes, pins and pixels between a `Panel` and [`Ports`], and waits for none of them. A board
//! (`src/bin`) is its ports and a loop around that.

#![no_std]
#![forbid(unsafe_code)]

mod desk;
mod draw;
mod panel;
mod signal;

pub use desk::{Desk, Dog, Guarded, Ports, Screen, Wire};
pub use draw::{Canvas, PAGES, WIDTH, draw, page};
pub use panel::{News, Panel, View};
pub use signal::{Outputs, Signal};
