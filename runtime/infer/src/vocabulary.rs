//! The sentences that can be said, as rows in the space of the text encoder (VLog: narration as vocabulary).

use std::path::Path;

use ocelli_types::Severity;
use serde::Deserialize;

use crate::PackError;
use crate::pack::{parse_toml, read_file};
use crate::rows::{EMBEDDING, Rows};

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
    rows: Rows,
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
        let mut rows = Rows::with_capacity(entries.len());
        for (index, row) in bytes.chunks_exact(ROW_BYTES).enumerate() {
            // The scale of a row cancels when the row is made a unit vector.
            if !rows.push(row[4..].iter().map(|&byte| byte.cast_signed())) {
                return Err(inconsistent(format!("the embedding of sentence {} is zero", index + 1)));
            }
        }
        Ok(Self { entries, kinds, rows })
    }

    /// Index of the kind of this name, or of a sentence of it.
    pub fn kind_of(&self, text: &str) -> Option<usize> {
        let of_sentence = || self.entries.iter().find(|entry| entry.text == text).map(|entry| entry.kind);
        self.kinds.iter().position(|kind| kind == text).or_else(of_sentence)
    }

    /// Writes softmax over `cos(z, e_i) / temperature`, `[entries]`, for a unit vector `z`, `[EMBEDDING]`.
    ///
    /// # Panics
    /// If the lengths are others.
    pub fn look_up(&self, z: &[f32], temperature: f32, probabilities: &mut [f32]) {
        assert_eq!((z.len(), probabilities.len()), (EMBEDDING, self.entries.len()), "sizes should be the pack's");
        for (p, cosine) in probabilities.iter_mut().zip(self.rows.cosines(z)) {
            *p = cosine / temperature;
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
        let cosine =
            |row: usize| vocabulary.rows.row(row).iter().zip(&z).map(|(&v, &z)| f64::from(v) * f64::from(z)).sum();
        let cosines: Vec<f64> = (0..vocabulary.entries.len()).map(cosine).collect();
        let sum: f64 = cosines.iter().map(|cosine| (cosine / 0.05).exp()).sum();
        for (p, cosine) in fast.iter().zip(&cosines) {
            assert!((f64::from(*p) - (cosine / 0.05).exp() / sum).abs() < 1e-5);
        }
        assert!((fast.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_sentence_is_nearest_to_itself() {
        let vocabulary = vocabulary();
        let z = vocabulary.rows.row(5);
        let mut p = vec![0.0; vocabulary.entries.len()];
        vocabulary.look_up(&z, 0.05, &mut p);
        assert!(p[5] > 0.99);
    }
}
