//! Passwords and tokens: read from files, and never shown.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

/// No secret and no bundle of certificates is longer; a device file would never end.
const MOST_BYTES: u64 = 1 << 20;

/// Something that no message may show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// One that is known.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What is in a file, without the spaces and line ends around it.
    ///
    /// # Errors
    /// It cannot be read, or nothing is in it: in words, with the path and without the secret.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = read(path)?;
        let text = String::from_utf8(text).map_err(|_| format!("{}: it is no text", path.display()))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{}: it is empty; write the secret into it", path.display()));
        }
        Ok(Self(text.into()))
    }

    /// The secret itself, for the one who sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A small file: a secret, or certificates.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
    file.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_its_line_end_and_never_shown() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("password");
        std::fs::write(&path, "  hunter2\n").expect("there is room");
        let secret = Secret::read(&path).expect("it is there");
        assert_eq!(secret.reveal(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        std::fs::write(&path, "\n").expect("there is room");
        assert!(Secret::read(&path).expect_err("it is empty").contains("it is empty"));
        assert!(Secret::read(&folder.path().join("none")).is_err());
        std::fs::write(&path, [0xff, 0xfe]).expect("there is room");
        let said = Secret::read(&path).expect_err("no text");
        assert!(said.ends_with("it is no text"), "{said}");
    }
}
