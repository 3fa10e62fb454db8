//! The sentences that can be said, as rows in the space of the text encoder (VLog: narration as vocabulary).

use std::path::Path;

use ocelli_types::Severity;
use serde::Deserialize;

use crate::PackError;
use crate::pack::{parse_toml, read_file};

/// Width of an embedding of all-MiniLM-L6-v2.
pub const EMBEDDING: usize = 384;

const ROW_BYTES: usize = 4 + EMBEDDING;

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The sentence.
    pub text: String,
    /// Index into [`Vocabulary::kinds`].
    pub kind: usize,
    /// How much it matters.
    pub severity: Severity,
}

/// Sentences with their embeddings, int8 with a scale for each row.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// The sentences.
    pub entries: Vec<Entry>,
    /// Names of the kinds, in the order in which they first appear.
    pub kinds: Vec<String>,
    /// `[entries][EMBEDDING]`
    rows: Vec<i8>,
    /// What makes a row a unit vector, `[entries]`.
    to_unit: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    entry: Vec<FileEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    text: String,
    kind: String,
    severity: FileSeverity,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileSeverity {
    None,
    Info,
    Notice,
    Alarm,
}

impl Vocabulary {
    /// Reads the sentences (TOML) and their embeddings (for each a little-endian f32 scale and 384 bytes of i8).
    ///
    /// # Errors
    /// A file cannot be read, or the two do not go together.
    pub fn read(texts: &Path, embeddings: &Path) -> Result<Self, PackError> {
        let file: File = parse_toml(texts)?;
        let bytes = read_file(embeddings)?;
        let inconsistent = |why| PackError::Inconsistent { path: embeddings.to_path_buf(), why };
        if bytes.len() != file.entry.len() * ROW_BYTES {
            let (entries, found) = (file.entry.len(), bytes.len());
            let why = format!("{entries} sentences take {} bytes, and there are {found}", entries * ROW_BYTES);
            return Err(inconsistent(why));
        }
        let mut kinds: Vec<String> = Vec::new();
        let entries = file.entry.into_iter().map(|entry| {
            let known = kinds.iter().position(|kind| *kind == entry.kind);
            let kind = known.unwrap_or_else(|| {
                kinds.push(entry.kind);
                kinds.len() - 1
            });
            Entry { text: entry.text, kind, severity: entry.severity.into() }
        });
        let entries: Vec<Entry> = entries.collect();
        let mut rows = Vec::with_capacity(entries.len() * EMBEDDING);
        let mut to_unit = Vec::with_capacity(entries.len());
        for (index, row) in bytes.chunks_exact(ROW_BYTES).enumerate() {
            let values = row[4..].iter().map(|&byte| byte.cast_signed());
            let square: i64 = values.clone().map(|value| i64::from(value) * i64::from(value)).sum();
            if square == 0 {
                return Err(inconsistent(format!("the embedding of sentence {} is zero", index + 1)));
            }
            // The scale of a row cancels when the row is made a unit vector.
            to_unit.push(1.0 / (square as f32).sqrt());
            rows.extend(values);
        }
        Ok(Self { entries, kinds, rows, to_unit })
    }

    /// Writes softmax over `cos(z, e_i) / temperature`, `[entries]`, for a unit vector `z`, `[EMBEDDING]`.
    ///
    /// # Panics
    /// If the lengths are others.
    pub fn look_up(&self, z: &[f32], temperature: f32, probabilities: &mut [f32]) {
        assert_eq!((z.len(), probabilities.len()), (EMBEDDING, self.entries.len()), "sizes should be the pack's");
        let rows = self.rows.chunks_exact(EMBEDDING).zip(&self.to_unit);
        for (p, (row, to_unit)) in probabilities.iter_mut().zip(rows) {
            *p = dot(row, z) * to_unit / temperature;
        }
        let top = probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for p in probabilities.iter_mut() {
            *p = (*p - top).exp();
            sum += *p;
        }
        probabilities.iter_mut().for_each(|p| *p /= sum);
    }
}

/// Eight sums side by side, so that the compiler may use vectors: a single chain of f32 additions may not be reordered.
fn dot(row: &[i8], z: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in row.chunks_exact(8).zip(z.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += f32::from(a[lane]) * b[lane];
        }
    }
    sums.iter().sum()
}

impl From<FileSeverity> for Severity {
    fn from(severity: FileSeverity) -> Self {
        match severity {
            FileSeverity::None => Self::None,
            FileSeverity::Info => Self::Info,
            FileSeverity::Notice => Self::Notice,
            FileSeverity::Alarm => Self::Alarm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        Vocabulary::read(&folder.join("vocabulary.toml"), &folder.join("vocabulary.bin")).expect("the pack is whole")
    }

    #[test]
    fn kinds_come_in_the_order_of_the_file() {
        let vocabulary = vocabulary();
        assert_eq!(vocabulary.kinds[..3], ["nobody", "enter", "leave"]);
        let fall = vocabulary.entries.iter().find(|entry| vocabulary.kinds[entry.kind] == "fall").expect("it falls");
        assert_eq!(fall.severity, Severity::Alarm);
    }

    #[test]
    fn the_look_up_equals_the_plain_computation() {
        let vocabulary = vocabulary();
        let z: Vec<f32> = (0..EMBEDDING).map(|i| ((i * 37 % 101) as f32 - 50.0) / 564.0).collect();
        let mut fast = vec![0.0; vocabulary.entries.len()];
        vocabulary.look_up(&z, 0.05, &mut fast);
        let cosines: Vec<f64> = vocabulary
            .rows
            .chunks_exact(EMBEDDING)
            .map(|row| {
                let norm = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
                row.iter().zip(&z).map(|(&v, &z)| f64::from(v) * f64::from(z)).sum::<f64>() / norm
            })
            .collect();
        let sum: f64 = cosines.iter().map(|cosine| (cosine / 0.05).exp()).sum();
        for (p, cosine) in fast.iter().zip(&cosines) {
            assert!((f64::from(*p) - (cosine / 0.05).exp() / sum).abs() < 1e-5);
        }
        assert!((fast.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_sentence_is_nearest_to_itself() {
        let vocabulary = vocabulary();
        let row = &vocabulary.rows[5 * EMBEDDING..6 * EMBEDDING];
        let z: Vec<f32> = row.iter().map(|&v| f32::from(v) * vocabulary.to_unit[5]).collect();
        let mut p = vec![0.0; vocabulary.entries.len()];
        vocabulary.look_up(&z, 0.05, &mut p);
        assert!(p[5] > 0.99);
    }
}
