//! Who changed what, and who was refused: one JSON object a line, in a bounded file or on standard error.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::GatewayError;

/// The longest file. One as long is kept beside it.
const MOST_BYTES: u64 = 1 << 20;

/// What is written of a request.
#[derive(Debug, Serialize)]
pub(super) struct Deed<'a> {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    pub who: &'a str,
    pub from: &'a str,
    pub what: &'a str,
    pub status: u16,
}

#[derive(Debug)]
pub(super) struct Audit {
    file: Option<Mutex<(PathBuf, File, u64)>>,
}

impl Audit {
    pub fn open(path: Option<&Path>) -> Result<Self, GatewayError> {
        let Some(path) = path else { return Ok(Self { file: None }) };
        let opened = open(path).map_err(|source| GatewayError::Audit { path: path.to_path_buf(), source })?;
        Ok(Self { file: Some(Mutex::new(opened)) })
    }

    /// Notes what somebody did or was refused.
    pub fn note(&self, who: &str, from: &str, what: &str, status: u16) {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        if let Ok(line) = serde_json::to_string(&Deed { unix_ms, who, from, what, status }) {
            self.write(&line);
        }
    }

    /// Notes what the gateway itself has to say.
    pub fn say(&self, what: &str) {
        self.note("gateway", "", what, 0);
    }

    fn write(&self, line: &str) {
        let Some(file) = &self.file else {
            eprintln!("ocelli: audit {line}");
            return;
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, to, bytes) = &mut *file;
        // A device, such as /dev/null, has no end, and stays where it is.
        let has_end = to.metadata().is_ok_and(|about| about.is_file());
        if has_end && *bytes + line.len() as u64 >= MOST_BYTES {
            // Where it cannot be turned over, it goes on: what was done is not lost for tidiness.
            let turned = fs::rename(&*path, path.with_extension("old")).and_then(|()| open(path));
            if let Ok((_, fresh, length)) = turned {
                (*to, *bytes) = (fresh, length);
            }
        }
        if writeln!(to, "{line}").is_err() {
            eprintln!("ocelli: audit {line}");
        }
        *bytes += line.len() as u64 + 1;
    }
}

fn open(path: &Path) -> io::Result<(PathBuf, File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((path.to_path_buf(), file, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_bounded_and_says_who_did_what() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::open(Some(&path)).expect("it can be written");
        let long = "x".repeat(1000);
        (0..3000).for_each(|_| audit.note("ann\n", "192.0.2.7", &long, 403));
        let kept = fs::read_to_string(&path).expect("it is there");
        let before = fs::metadata(path.with_extension("old")).expect("one before").len();
        assert!((kept.len() as u64) < MOST_BYTES && before < MOST_BYTES && before > MOST_BYTES / 2);
        let line: serde_json::Value = serde_json::from_str(kept.lines().next().expect("a line")).expect("whole");
        assert_eq!((line["who"].as_str(), line["status"].as_u64()), (Some("ann\n"), Some(403)));
        assert!(Audit::open(Some(folder.path())).is_err(), "a folder is no file");
    }

    #[test]
    fn a_device_is_not_turned_over() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        // Through a link, so that what fails here takes nothing from the machine.
        let path = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &path).expect("there is room");
        let audit = Audit::open(Some(&path)).expect("it can be written");
        let long = "x".repeat(1000);
        (0..3000).for_each(|_| audit.note("ann", "192.0.2.7", &long, 200));
        assert!(path.is_symlink() && !path.with_extension("old").is_symlink(), "it is where it was");
    }
}
