//! The panel's firmware on emulated chips, talking to the runtime's own driver over what stands for its serial line.
//!
//! It is compiled here, into `target/panel`. What a machine lacks for that is said by [`lacking`].

mod build;
mod emulator;
mod garbage;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ocelli_types::{Event, EventKind, Micros};

pub use build::{BOARDS, Board, Build, Sizes, build, lacking, log_reader, machine, sizes};
pub use emulator::{Emulator, Picture};
pub use garbage::{Survived, survive};

/// How long anything may take that is not measured.
const PATIENCE: Duration = Duration::from_mins(5);

/// The folder of the workspace.
///
/// # Panics
/// If this crate has moved.
pub fn root() -> PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate should lie two folders below the root").to_path_buf()
}

/// Waits until it is so. The chip's time is not ours: where this computer is busy the eight seconds of its watchdog may take much
/// longer, and nothing here is measured. What it looks like in the end is in the message.
///
/// # Panics
/// It does not become so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool, look: impl FnOnce() -> String) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: it should be so within {PATIENCE:?}; {}", look());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An event of the camera in the hall.
pub fn event(kind: EventKind, id: u64, text: &str) -> Event<'_> {
    Event {
        id,
        kind,
        camera: "hall",
        start_us: Micros(1_000_000),
        end_us: Micros(2_000_000),
        text,
        language: "en",
        relation: None,
        score: 0.9,
        entries: None,
        evidence: None,
        severity: None,
    }
}
