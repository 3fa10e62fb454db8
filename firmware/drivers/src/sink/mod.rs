//! Where events go: lines for people, lines for programs.

mod console;
#[cfg(all(feature = "display", target_os = "linux"))]
mod display;
mod json;
mod panel;
mod signal;

use std::io;

pub use console::ConsoleSink;
#[cfg(all(feature = "display", target_os = "linux"))]
pub use display::{DISPLAY_STACK_BYTES, DisplaySink, Look, Panel, PanelKind, PanelPlace, Vitals, open_panel};
pub use json::JsonSink;
pub use panel::{PANEL_STACK_BYTES, PanelConfig, PanelError, PanelReport, PanelSink, probe_panel};
pub use signal::{SIGNAL_STACK_BYTES, SignalSink};

/// Why an event was not delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The reader of our output went away, as `head` does; end quietly.
    #[error("the reader of the output has gone")]
    Closed,
    /// It has more to tell than it can.
    #[error("the output is too slow")]
    Full,
    /// The system refused the write.
    #[error("the output could not be written: {0}")]
    Io(io::Error),
}

impl From<io::Error> for SinkError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;
    use ocelli_types::{EntryId, Event, EventKind, Micros};

    /// Refuses every write with the given error.
    pub(crate) struct Broken(pub io::ErrorKind);

    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    pub(crate) fn falls() -> Event<'static> {
        Event {
            id: 7,
            kind: EventKind::Narration,
            camera: "hall",
            start_us: Micros(62_400_000),
            end_us: Micros(63_800_400),
            text: "a person falls to the floor",
            language: "en",
            severity: None,
            relation: None,
            score: 0.875,
            entries: Some((EntryId(312), EntryId(319))),
            evidence: None,
        }
    }
}
