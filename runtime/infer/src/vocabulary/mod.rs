//! The sentences that can be said, as rows in the space of the text encoder (VLog: narration as vocabulary).

mod book;
mod pairs;
mod quantized;

use std::collections::BTreeMap;
use std::path::Path;

use ocelli_types::Severity;
use serde::Deserialize;

pub use book::{Book, BookBytes, Way};
pub use pairs::Pairs;

use crate::pack::{parse_toml, read_file};
use crate::rows::{EMBEDDING, Rows};
use crate::{Evidence, PackError};

/// Bytes of an embedding in a file: a little-endian f32 scale and i8.
pub const ROW_BYTES: usize = 4 + EMBEDDING;

/// The cosine from which an added sentence is meant with a pack that names none. In 14 real clips what `home` 0.2.0 says lies at
/// 0.09 to 0.36 from what is seen, half of it above 0.17; of thirteen sentences on other things 0.3% come above 0.15, 0.20 at most.
pub const FLOOR: f32 = 0.15;

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The sentence.
    pub text: String,
    /// The same in other languages, by their codes, such as `zh`.
    pub texts: BTreeMap<String, String>,
    /// Index into [`Vocabulary::kinds`].
    pub kind: usize,
    /// How much it matters.
    pub severity: Severity,
}

impl Entry {
    /// The sentence in this language, as far as it is known.
    pub fn text_in(&self, language: Option<&str>) -> &str {
        language.and_then(|language| self.texts.get(language)).unwrap_or(&self.text)
    }

    /// The language of [`text_in`](Self::text_in): packs speak English.
    pub fn language_of<'a>(&self, language: Option<&'a str>) -> &'a str {
        language.filter(|language| self.texts.contains_key(*language)).unwrap_or("en")
    }
}

/// A sentence of a user's, beside those of a pack.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// The sentence.
    pub text: String,
    /// The same in other languages.
    pub texts: BTreeMap<String, String>,
    /// Name of its kind: one of the pack's, or a new one.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// The cosine below which it is not meant, -1 to 1; without one, the vocabulary's.
    pub floor: Option<f32>,
    /// Where it lies. Without it, it only says in other languages what the pack says.
    pub place: Option<Evidence>,
}

/// Sentences with their embeddings, int8 with a scale for each row.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// The sentences.
    pub entries: Vec<Entry>,
    /// Names of the kinds, in the order in which they first appear.
    pub kinds: Vec<String>,
    /// Whom or what each kind is about, such as `person` or `door`, `[kinds]`; nothing where the pack does not say.
    pub about: Vec<Vec<String>>,
    /// The cosine from which an added sentence is meant that names none.
    pub floor: f32,
    rows: Rows,
    /// Cosine below which each entry has no probability, `[entries]`.
    floors: Vec<f32>,
    /// How many entries the pack has; those behind are a user's.
    of_pack: usize,
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
    #[serde(default)]
    texts: BTreeMap<String, String>,
    kind: String,
    severity: FileSeverity,
    #[serde(default)]
    about: Vec<String>,
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
        let (mut kinds, mut about): (Vec<String>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
        let entries = file.entry.into_iter().map(|entry| {
            let kind = index_of(&mut kinds, &entry.kind);
            about.resize(kinds.len(), Vec::new());
            for name in entry.about {
                if !about[kind].contains(&name) {
                    about[kind].push(name);
                }
            }
            Entry { text: entry.text, texts: entry.texts, kind, severity: entry.severity.into() }
        });
        let entries: Vec<Entry> = entries.collect();
        let mut rows = Rows::with_capacity(entries.len());
        for (index, row) in bytes.chunks_exact(ROW_BYTES).enumerate() {
            // The scale of a row cancels when the row is made a unit vector.
            if !rows.push(row[4..].iter().map(|&byte| byte.cast_signed())) {
                return Err(inconsistent(format!("the embedding of sentence {} is zero", index + 1)));
            }
        }
        let (floors, of_pack) = (vec![-1.0; entries.len()], entries.len());
        Ok(Self { entries, kinds, about, floor: FLOOR, rows, floors, of_pack })
    }

    /// These sentences, and behind them a user's. One that is there already only adds its languages.
    #[must_use]
    pub fn with(&self, added: &[Added]) -> Self {
        let mut all = self.clone();
        for Added { text, texts, kind, severity, floor, place } in added {
            if let Some(entry) = all.entries.iter_mut().find(|entry| entry.text == *text) {
                entry.texts.extend(texts.clone());
            } else if let Some(place) = place
                && all.rows.push(place.values().iter().copied())
            {
                let kind = index_of(&mut all.kinds, kind);
                all.about.resize(all.kinds.len(), Vec::new());
                all.entries.push(Entry { text: text.clone(), texts: texts.clone(), kind, severity: *severity });
                all.floors.push(floor.unwrap_or(self.floor));
            }
        }
        all
    }

    /// How many of the entries, the first ones, are the pack's.
    pub const fn of_pack(&self) -> usize {
        self.of_pack
    }

    /// The entry that is nearest to a sentence's embedding, and its cosine.
    pub fn nearest(&self, z: &[f32]) -> Option<(&Entry, f32)> {
        self.cosines(z).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// All entries, each with its cosine to a unit vector `z`, `[EMBEDDING]`.
    pub fn cosines(&self, z: &[f32]) -> impl Iterator<Item = (&Entry, f32)> {
        self.entries.iter().zip(self.rows.cosines(z))
    }

    /// Whether one of a user's sentences is meant at this unit vector, `[EMBEDDING]`.
    pub fn is_placed(&self, z: &[f32]) -> bool {
        self.rows.cosines(z).zip(&self.floors).skip(self.of_pack).any(|(cosine, floor)| cosine >= *floor)
    }

    /// For each kind the sentence of it that is nearest to an embedding, and its cosine, the nearest first.
    pub fn nearest_of_kinds(&self, z: &[f32]) -> Vec<(&Entry, f32)> {
        let mut best: Vec<Option<(&Entry, f32)>> = vec![None; self.kinds.len()];
        for (entry, cosine) in self.entries.iter().zip(self.rows.cosines(z)) {
            if best[entry.kind].is_none_or(|(_, most)| cosine > most) {
                best[entry.kind] = Some((entry, cosine));
            }
        }
        let mut best: Vec<_> = best.into_iter().flatten().collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        best
    }

    /// How alike two entries are in what they mean: the cosine of their embeddings.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn likeness(&self, entry: usize, other: usize) -> f32 {
        self.rows.likeness(entry, other)
    }

    /// Index of the kind of this name, or of a sentence of it in any language.
    pub fn kind_of(&self, text: &str) -> Option<usize> {
        let says = |entry: &&Entry| entry.text == text || entry.texts.values().any(|other| other == text);
        let of_sentence = || self.entries.iter().find(says).map(|entry| entry.kind);
        self.kinds.iter().position(|kind| kind == text).or_else(of_sentence)
    }

    /// Writes softmax over `cos(z, e_i) / temperature`, `[entries]`, for a unit vector `z`, `[EMBEDDING]`. A user's sentence below
    /// its floor has no part in it. Gives the cosine of the nearest that has.
    ///
    /// # Panics
    /// If the lengths are others.
    pub fn look_up(&self, z: &[f32], temperature: f32, probabilities: &mut [f32]) -> f32 {
        assert_eq!((z.len(), probabilities.len()), (EMBEDDING, self.entries.len()), "sizes should be the pack's");
        for ((p, cosine), floor) in probabilities.iter_mut().zip(self.rows.cosines(z)).zip(&self.floors) {
            *p = if cosine < *floor { f32::NEG_INFINITY } else { cosine / temperature };
        }
        let top = probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for p in probabilities.iter_mut() {
            *p = (*p - top).exp();
            sum += *p;
        }
        probabilities.iter_mut().for_each(|p| *p /= sum);
        top * temperature
    }
}

/// Index of this name, which is added where it is new.
fn index_of(kinds: &mut Vec<String>, name: &str) -> usize {
    kinds.iter().position(|kind| kind == name).unwrap_or_else(|| {
        kinds.push(name.into());
        kinds.len() - 1
    })
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

    fn added(text: &str, kind: &str, floor: f32, z: Option<&[f32]>) -> Added {
        Added {
            text: text.into(),
            texts: BTreeMap::from([("zh".into(), "猫跳上了台面。".into()), ("ar".into(), "القطة تقفز".into())]),
            kind: kind.into(),
            severity: Severity::Notice,
            floor: Some(floor),
            place: z.map(|z| Evidence::of_text(text, z)),
        }
    }

    /// A unit vector at this cosine to an entry's.
    fn near(vocabulary: &Vocabulary, entry: usize, cosine: f32) -> Vec<f32> {
        let row = vocabulary.rows.row(entry);
        let mut across = vec![0.0; EMBEDDING];
        (across[0], across[1]) = (row[1], -row[0]);
        let length = (row[0] * row[0] + row[1] * row[1]).sqrt();
        row.iter()
            .zip(&across)
            .map(|(along, across)| cosine * along + (1.0 - cosine * cosine).sqrt() / length * across)
            .collect()
    }

    /// What an added sentence takes is its share, and below its floor nothing, to the last bit.
    #[test]
    fn an_added_sentence_takes_its_share_and_leaves_the_others_as_they_are_to_one_another() {
        let pack = vocabulary();
        let place = near(&pack, 5, 0.6);
        let more = pack.with(&[added("the cat jumps", "the cat jumps", 0.4, Some(&place))]);
        assert_eq!((more.entries.len(), more.kinds.len()), (pack.entries.len() + 1, pack.kinds.len() + 1));
        assert_eq!(
            (more.of_pack(), more.kinds.last().map(String::as_str)),
            (pack.entries.len(), Some("the cat jumps"))
        );
        for (z, counts) in [(near(&pack, 5, 0.8), true), (near(&pack, 9, 0.9), false)] {
            let (mut before, mut after) = (vec![0.0; pack.entries.len()], vec![0.0; more.entries.len()]);
            pack.look_up(&z, 0.05, &mut before);
            more.look_up(&z, 0.05, &mut after);
            let (own, of_pack) = after.split_last().expect("there are some");
            assert_eq!(*own > 0.0, counts, "{own}");
            for (after, before) in of_pack.iter().zip(&before) {
                assert!((after / (1.0 - own) - before).abs() < 1e-5, "{after} {own} {before}");
            }
            assert!(counts || of_pack == before);
        }
        let (entry, cosine) = more.nearest(&place).expect("there are some");
        assert!(entry.text == "the cat jumps" && cosine > 0.999);
    }

    #[test]
    fn a_sentence_has_its_languages_and_one_that_is_there_gains_them() {
        let pack = vocabulary();
        let known = pack.entries[3].text.clone();
        let place = near(&pack, 5, 0.6);
        let more = pack.with(&[
            added(&known, "x", 0.4, Some(&place)),
            added("new", "walk", 0.4, Some(&place)),
            added("no", "no", 0.4, None),
        ]);
        assert_eq!((more.entries.len(), &more.kinds), (pack.entries.len() + 1, &pack.kinds));
        assert_eq!(more.entries[3].text_in(Some("zh")), "猫跳上了台面。");
        assert_eq!((more.entries[3].text_in(Some("de")), more.entries[3].text_in(None)), (&*known, &*known));
        assert_eq!(more.kind_of("القطة تقفز"), Some(more.entries[3].kind), "what was said in a language can be taught");
    }

    #[test]
    fn of_each_kind_the_nearest_sentence_is_found() {
        let vocabulary = vocabulary();
        let near = vocabulary.nearest_of_kinds(&near(&vocabulary, 5, 0.8));
        assert_eq!((near.len(), &near[0].0.text), (vocabulary.kinds.len(), &vocabulary.entries[5].text));
        assert!((near[0].1 - 0.8).abs() < 0.01 && near.is_sorted_by(|a, b| a.1 >= b.1), "{near:?}");
    }

    #[test]
    fn likeness_is_the_cosine() {
        let vocabulary = vocabulary();
        let cosine: f32 = vocabulary.rows.row(3).iter().zip(vocabulary.rows.row(7)).map(|(a, b)| a * b).sum();
        assert!((vocabulary.likeness(3, 7) - cosine).abs() < 1e-5, "{cosine}");
        assert!((vocabulary.likeness(5, 5) - 1.0).abs() < 1e-5);
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
