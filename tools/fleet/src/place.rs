//! Where sentences lie in the space of meaning, by the text encoder of the device's program.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Where a sentence lies, as pgvector writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place(pub String);

impl Place {
    /// Reads what `ocelli embed` writes: a check of the sentence, and a byte a dimension in hexadecimal.
    fn read(line: &str) -> Option<Self> {
        let (_, digits) = line.trim().split_once('.')?;
        if digits.len() % 2 != 0 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let bytes = digits.as_bytes().chunks(2).map(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
        let values: Vec<String> = bytes.map(|byte| Some(byte?.cast_signed().to_string())).collect::<Option<_>>()?;
        (!values.is_empty()).then(|| Self(format!("[{}]", values.join(","))))
    }
}

/// Where each of these lies.
///
/// # Errors
/// There is no such program, or it has no text encoder.
pub async fn of(ocelli: &Path, sentences: &[String]) -> Result<Vec<Place>> {
    let mut encoder = Command::new(ocelli);
    encoder.arg("embed").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut encoder = encoder.spawn().with_context(|| format!("{} does not start", ocelli.display()))?;
    let lines: String = sentences.iter().map(|sentence| sentence.replace(['\n', '\r'], " ") + "\n").collect();
    if let Some(mut input) = encoder.stdin.take() {
        // It reads all before it writes; one that has ended says why.
        let _ = input.write_all(lines.as_bytes()).await;
    }
    let ended = encoder.wait_with_output().await?;
    if !ended.status.success() {
        bail!("{}: {}", ocelli.display(), String::from_utf8_lossy(&ended.stderr).trim());
    }
    let places: Option<Vec<Place>> = String::from_utf8_lossy(&ended.stdout).lines().map(Place::read).collect();
    let places = places.context("what the text encoder wrote is no place")?;
    ensure!(places.len() == sentences.len(), "{} places of {} sentences", places.len(), sentences.len());
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_or_refused() {
        assert_eq!(Place::read("c0ffee.7f00ff80\n"), Some(Place("[127,0,-1,-128]".into())));
        for wrong in ["", "c0ffee", "c0ffee.", "c0ffee.7", "c0ffee.7g", "c0ffee.+1", "c0ffee.\u{e9}"] {
            assert_eq!(Place::read(wrong), None, "{wrong}");
        }
    }
}
