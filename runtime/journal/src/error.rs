//! What goes wrong with a journal, in words for the person who keeps it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a journal cannot be read or written. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A reader wants it, and it is not there.
    #[error("{}: there is no journal yet; `ocelli run --journal FILE` keeps one", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// A file of another kind. It is left alone.
    #[error("{}: this is no journal, and is left as it is; choose another file for the journal", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this crate wrote it. It is left alone.
    #[error(
        "{}: this journal has format {found}, and this program knows {known}; update the program, or choose another file",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An earlier version of this crate wrote it, and only a writer brings it to the format of today.
    #[error(
        "{}: this journal has format {found}, and this program reads {known}; `ocelli run` with it brings it up to date",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another program writes it.
    #[error("{}: another program keeps its journal here; end it, or choose another file", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// Its pages do not go together. [`Writer::mend`](crate::Writer::mend) saves what can be read.
    #[error(
        "{}: the journal is damaged ({why}); `ocelli run` saves what can be read when it meets the damage, or move the file away",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// A reader does not end, and what is written meanwhile would grow beyond the bound.
    #[error("{}: another program has been reading the journal for too long; end it", path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The system or its disk refused.
    #[error("{}: the journal cannot be used ({why}); free some space, or choose a folder that can be written (that of the service: with sudo)", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system said.
        why: String,
    },
}

impl JournalError {
    /// Whether it stays so until somebody does something, as it does not where a disk is full.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Newer { .. } | Self::Taken { .. })
    }

    pub(crate) fn disk(path: &Path, error: &io::Error) -> Self {
        Self::Disk { path: path.to_path_buf(), why: error.to_string() }
    }

    /// What an answer of SQLite means.
    pub(crate) fn sql(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, why) = (path.to_path_buf(), error.to_string());
        match error.sqlite_error_code() {
            // None: a row that is not of its type, which no page's checks find.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => Self::Damaged { path, why },
            Some(_) => Self::Disk { path, why },
        }
    }
}
