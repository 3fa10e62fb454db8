//! What the policy decided by, picture by picture: `replay --trace`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ocelli_types::Micros;

use crate::error::Error;

/// A file with a line `{"t_s","kinds":{NAME:PROBABILITY}}` for each picture that the model saw.
#[derive(Debug)]
pub struct Trace {
    file: File,
    path: PathBuf,
    line: Vec<u8>,
}

impl Trace {
    /// Makes the file, or empties it.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let made = File::create(path);
        let file = made.map_err(|source| Error::Trace { path: path.to_path_buf(), source })?;
        Ok(Self { file, path: path.to_path_buf(), line: Vec::new() })
    }

    /// Adds the picture of this time; `probabilities` are smoothed, one for each of `kinds`.
    pub fn add(&mut self, captured_us: Micros, kinds: &[String], probabilities: &[f32]) -> Result<(), Error> {
        let written = write(&mut self.line, captured_us, kinds, probabilities);
        let written = written.and_then(|()| self.file.write_all(&self.line));
        written.map_err(|source| Error::Trace { path: self.path.clone(), source })
    }
}

fn write(line: &mut Vec<u8>, captured_us: Micros, kinds: &[String], probabilities: &[f32]) -> io::Result<()> {
    line.clear();
    write!(line, r#"{{"t_s":{:.6},"kinds":{{"#, captured_us.seconds())?;
    for (index, (kind, probability)) in kinds.iter().zip(probabilities).enumerate() {
        if index > 0 {
            line.push(b',');
        }
        serde_json::to_writer(&mut *line, kind)?;
        write!(line, ":{probability:.6}")?;
    }
    line.extend_from_slice(b"}}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_with_a_probability_for_each_kind() {
        let mut line = b"of the picture before".to_vec();
        write(&mut line, Micros(1_200_000), &["walk".into(), "a \"b\"".into()], &[0.25, 0.5]).expect("it has room");
        assert_eq!(line, b"{\"t_s\":1.200000,\"kinds\":{\"walk\":0.250000,\"a \\\"b\\\"\":0.500000}}\n");
    }
}
