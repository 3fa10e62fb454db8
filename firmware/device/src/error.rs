//! What ends the program, in one line for the person in front of it, and with which exit code.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use ocelli_drivers::{DriverError, PeripheralError, SinkError};
use ocelli_gateway::GatewayError;
use ocelli_infer::{InferError, PackError};
use ocelli_journal::JournalError;
use ocelli_pipeline::StepError;

use crate::config::ConfigError;
use crate::plan::OverBudget;

/// The exit code of a program that asked for memory and got none.
pub const OUT_OF_MEMORY: i32 = 6;

/// What the last line of such a program says that one can do.
pub const MEMORY_ADVICE: &str =
    "raise memory_budget, or take a smaller picture or pack; `ocelli check` shows what is planned";

/// Says something to the person in front of the program. That nobody listens is no failure.
pub fn note(text: impl std::fmt::Display) {
    // What comes from a command or a pack must not break the line or steer the terminal.
    let text: String = text.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(io::stderr(), "ocelli: {text}");
}

/// Why the program ends before its work is done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or the config says something that cannot be done.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The camera, clip or pipe.
    #[error(transparent)]
    Source(#[from] DriverError),
    /// The pack cannot be used.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The model failed.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The model failed on the way.
    #[error(transparent)]
    Step(#[from] StepError<InferError, InferError>),
    /// The memory plan does not fit.
    #[error(transparent)]
    Budget(#[from] OverBudget),
    /// Events cannot be delivered.
    #[error("{path}: {source}; free some space or choose another output")]
    Output {
        /// Where they should go.
        path: String,
        /// What the system said.
        source: SinkError,
    },
    /// The output file cannot be made.
    #[error("{}: cannot write events here ({source}); choose another file with --out", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The lessons of a camera cannot be used.
    #[error("{}: no lessons: {why}", path.display())]
    Lessons {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// The user's own sentences cannot be used.
    #[error("{}: no vocabulary: {why}", path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// A report of the benchmark cannot be written or read.
    #[error("{}: {why}", path.display())]
    Bench {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What should be taught makes no sense.
    #[error("nothing was learnt: {0}")]
    Teach(String),
    /// The trace cannot be written.
    #[error("{}: the trace cannot be written here ({source}); choose another file with --trace", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A soak found that something grows or gets lost.
    #[error("the soak failed: see `flat`, `step_flat`, `within_plan` and `unaccounted_losses` in the report above")]
    Unsound,
    /// A process of a soak ended before its time.
    #[error("the soak failed: the device ended with {0}")]
    Uptime(ExitStatus),
    /// The memory cannot be kept on disk.
    #[error("{}: the memory cannot be kept here ({source}); choose a folder that can be written for [memory] state", path.display())]
    State {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Recordings cannot be kept.
    #[error("{}: nothing can be recorded here ({source}); choose a folder that can be written for [recording]", path.display())]
    Recording {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The gateway cannot start.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// Some of what was said is not in the journal.
    #[error("{lost} events are not in the journal: {why}")]
    Lost {
        /// How many.
        lost: u64,
        /// What the journal said last.
        why: String,
    },
    /// Nobody said what is asked about.
    #[error("the journal has no {0}")]
    NoSuchEvent(String),
    /// The budget cannot be held.
    #[error("the budget cannot be enforced: {what}: {source}; {advice}, or leave out --enforce")]
    Enforce {
        /// What should hold it.
        what: &'static str,
        /// What the system said.
        source: io::Error,
        /// What to do.
        advice: String,
    },
    /// A display or a pin cannot be used.
    #[error(transparent)]
    Peripheral(#[from] PeripheralError),
    /// The system refused something that it should not.
    #[error("the system refused {what}: {source}")]
    System {
        /// What was asked.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// The exit code, as documented in `ocelli --help`.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            // Nobody reads any more (`ocelli … | head`): that is how this job ends well.
            Self::Output { source: SinkError::Closed, .. } => 0,
            Self::Unsound
            | Self::Uptime(_)
            | Self::Output { .. }
            | Self::Unwritable { .. }
            | Self::Trace { .. }
            | Self::Bench { .. }
            | Self::State { .. }
            | Self::Recording { .. }
            | Self::Journal(_)
            | Self::Gateway(GatewayError::Listen { .. } | GatewayError::Random(_) | GatewayError::System { .. })
            | Self::Lost { .. }
            | Self::Enforce { .. }
            | Self::Peripheral(_)
            | Self::System { .. } => 1,
            Self::Config(_)
            | Self::Gateway(_)
            | Self::Lessons { .. }
            | Self::Teach(_)
            | Self::NoSuchEvent(_)
            | Self::Vocabulary { .. } => 2,
            Self::Source(_) => 3,
            Self::Pack(_) | Self::Infer(_) | Self::Step(_) => 4,
            Self::Budget(_) => 5,
        })
    }

    /// Whether the person should hear of it.
    pub fn is_quiet(&self) -> bool {
        matches!(self, Self::Output { source: SinkError::Closed, .. })
    }
}
