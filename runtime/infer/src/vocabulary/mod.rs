//! The sentences that can be said, as rows in the space of the text encoder (VLog: narration as vocabulary): those of a pack, and
//! behind them those of a user's, which may be a hundred thousand ([`Book`]).

mod book;
mod pairs;
mod quantized;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

use ocelli_types::Severity;
use serde::Deserialize;

pub use book::{Binding, Book, BookBytes, MOST_EXACT, Scenes};

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
    /// Number of its kind, of [`Vocabulary::kinds`].
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
    /// Name of its kind: one of the pack's, or a new one; without one the sentence itself.
    pub kind: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// The cosine below which it is not meant, -1 to 1; without one, the vocabulary's.
    pub floor: Option<f32>,
    /// Where it lies. Without it, it only says in other languages what the pack says.
    pub place: Option<Evidence>,
    /// Where in the file the text of its place begins; for more than [`MOST_EXACT`] it is read again from there.
    pub at: u32,
}

/// Sentences with their embeddings.
#[derive(Debug)]
pub struct Vocabulary {
    /// The cosine from which an added sentence is meant that names none.
    pub floor: f32,
    /// The pack's.
    entries: Vec<Entry>,
    /// Where those lie.
    rows: Rows,
    /// Names of kinds: the pack's in the order in which they first appear, then those of a user's that have a name, sorted. Behind
    /// them are the user's sentences that are a kind of their own.
    names: Vec<String>,
    /// Whom or what each kind of the pack is about, such as `person` or `door`.
    about: Vec<Vec<String>>,
    /// The user's.
    book: Book,
    /// Bytes of those and of what is said of them, one by one.
    text_bytes: usize,
    /// What else is known of those, `[book]`.
    facts: Vec<Fact>,
    /// Which of those is a kind of its own.
    own: Vec<u32>,
    /// Those that are known in other languages.
    texts: BTreeMap<u32, BTreeMap<String, String>>,
}

/// What is known of a sentence of a user's.
#[derive(Clone, Copy, Debug)]
struct Fact {
    kind: u32,
    severity: Severity,
    /// Cosine below which it has no probability.
    floor: f32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    entry: Vec<SheetEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SheetEntry {
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
        let file: Sheet = parse_toml(texts)?;
        let bytes = read_file(embeddings)?;
        let inconsistent = |why| PackError::Inconsistent { path: embeddings.to_path_buf(), why };
        if bytes.len() != file.entry.len() * ROW_BYTES {
            let (entries, found) = (file.entry.len(), bytes.len());
            let why = format!("{entries} sentences take {} bytes, and there are {found}", entries * ROW_BYTES);
            return Err(inconsistent(why));
        }
        let (mut names, mut about): (Vec<String>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
        let entries = file.entry.into_iter().map(|entry| {
            let kind = names.iter().position(|name| *name == entry.kind).unwrap_or_else(|| {
                names.push(entry.kind);
                about.push(Vec::new());
                names.len() - 1
            });
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
        let (book, facts, own, texts) = (Book::default(), Vec::new(), Vec::new(), BTreeMap::new());
        Ok(Self { floor: FLOOR, entries, rows, names, about, book, text_bytes: 0, facts, own, texts })
    }

    /// The pack's sentences of this vocabulary, and behind them those that come.
    ///
    /// # Panics
    /// If this vocabulary has sentences of a user's already.
    pub fn composer(&self) -> Composer<'_> {
        assert!(self.book.is_empty(), "there should be the pack's sentences only");
        let names: HashMap<String, u32> = self.names.iter().cloned().zip(0..).collect();
        let known = self.entries.iter().map(|entry| hash(&entry.text)).zip(0..).collect();
        Composer {
            pack: self,
            entries: self.entries.clone(),
            names,
            known,
            binding: Binding::default(),
            facts: Vec::new(),
            texts: BTreeMap::new(),
            other_bytes: 0,
        }
    }

    /// How many sentences.
    pub fn len(&self) -> usize {
        self.entries.len() + self.book.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the sentences, the first ones, are the pack's.
    pub fn of_pack(&self) -> usize {
        self.entries.len()
    }

    /// How many sentences are a user's, and bytes of all that is text of theirs.
    pub const fn own_size(&self) -> (usize, usize) {
        (self.book.len(), self.text_bytes)
    }

    /// The sentence of this number.
    ///
    /// # Panics
    /// If there is none.
    pub fn entry(&self, index: usize) -> Cow<'_, Entry> {
        match index.checked_sub(self.entries.len()) {
            None => Cow::Borrowed(&self.entries[index]),
            Some(own) => {
                let Fact { kind, severity, .. } = self.facts[own];
                let texts = self.texts.get(&(own as u32)).cloned().unwrap_or_default();
                Cow::Owned(Entry { text: self.book.text(own), texts, kind: kind as usize, severity })
            }
        }
    }

    /// All sentences.
    pub fn entries(&self) -> impl Iterator<Item = Cow<'_, Entry>> {
        (0..self.len()).map(|index| self.entry(index))
    }

    /// Kind and severity of each sentence.
    pub fn senses(&self) -> impl Iterator<Item = (usize, Severity)> {
        let of_pack = self.entries.iter().map(|entry| (entry.kind, entry.severity));
        of_pack.chain(self.facts.iter().map(|fact| (fact.kind as usize, fact.severity)))
    }

    /// How many kinds there are.
    pub const fn kinds(&self) -> usize {
        self.names.len() + self.own.len()
    }

    /// Name of a kind.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn kind(&self, kind: usize) -> Cow<'_, str> {
        match kind.checked_sub(self.names.len()) {
            None => Cow::Borrowed(&self.names[kind]),
            Some(own) => Cow::Owned(self.book.text(self.own[own] as usize)),
        }
    }

    /// Names of kinds that are no sentences: the pack's, and those that a user has given.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of the kind of this name.
    pub fn kind_named(&self, name: &str) -> Option<usize> {
        let (of_pack, of_user) = self.names.split_at(self.about.len());
        let of_user = || of_user.binary_search_by(|known| known.as_str().cmp(name)).map(|index| of_pack.len() + index);
        let known = of_pack.iter().position(|known| known == name).or_else(|| of_user().ok());
        known.or_else(|| {
            let kind = self.facts[self.book.find(name)?].kind as usize;
            (kind >= self.names.len()).then_some(kind)
        })
    }

    /// Whom or what a kind is about; nothing where the pack does not say.
    pub fn about(&self, kind: usize) -> &[String] {
        self.about.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Number of the sentence with this text.
    pub fn find(&self, text: &str) -> Option<usize> {
        let of_pack = self.entries.iter().position(|entry| entry.text == text);
        of_pack.or_else(|| self.book.find(text).map(|own| self.entries.len() + own))
    }

    /// The first sentence of a kind.
    pub fn first_of(&self, kind: usize) -> Option<Cow<'_, Entry>> {
        let index = self.senses().position(|(of, _)| of == kind)?;
        Some(self.entry(index))
    }

    /// Number of the kind of this name, or of a sentence of it in any language.
    pub fn kind_of(&self, text: &str) -> Option<usize> {
        let says = |texts: &BTreeMap<String, String>| texts.values().any(|other| other == text);
        let by_text = || self.find(text).map(|index| self.entry(index).kind);
        let by_language = || {
            let of_pack = self.entries.iter().find(|entry| says(&entry.texts)).map(|entry| entry.kind);
            let own = || self.texts.iter().find(|(_, texts)| says(texts)).map(|(own, _)| *own as usize);
            of_pack.or_else(|| own().map(|own| self.facts[own].kind as usize))
        };
        self.kind_named(text).or_else(by_text).or_else(by_language)
    }

    /// Of each kind and of each sentence which it is in another vocabulary, by name and by text.
    pub fn numbers_in(&self, now: &Self) -> Renumbering {
        Renumbering {
            kinds: (0..self.kinds()).map(|kind| now.kind_named(&self.kind(kind))).collect(),
            entries: (0..self.len()).map(|index| now.find(&self.entry(index).text)).collect(),
        }
    }

    /// The cosine of each sentence to a unit vector, `[EMBEDDING]`; of a user's beyond [`MOST_EXACT`] as [`Book::cosines`] has
    /// them.
    ///
    /// # Panics
    /// If the vector is of another width.
    pub fn cosines(&self, z: &[f32]) -> Vec<f32> {
        let mut cosines = vec![0.0; self.len()];
        self.write_cosines(z, &mut cosines);
        cosines
    }

    fn write_cosines(&self, z: &[f32], to: &mut [f32]) {
        let (of_pack, own) = to.split_at_mut(self.entries.len());
        of_pack.iter_mut().zip(self.rows.cosines(z)).for_each(|(to, cosine)| *to = cosine);
        self.book.cosines(z.try_into().expect("a vector should have the width of an embedding"), own);
    }

    /// The sentence that is nearest to an embedding, and its cosine.
    pub fn nearest(&self, z: &[f32]) -> Option<(Cow<'_, Entry>, f32)> {
        let nearest = self.cosines(z).into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        nearest.map(|(index, cosine)| (self.entry(index), cosine))
    }

    /// Whether one of a user's sentences is meant at this unit vector, `[EMBEDDING]`.
    pub fn is_placed(&self, z: &[f32]) -> bool {
        let cosines = self.cosines(z).into_iter().skip(self.entries.len());
        cosines.zip(&self.facts).any(|(cosine, fact)| cosine >= fact.floor)
    }

    /// For each kind the number of the sentence of it that is nearest to an embedding, and its cosine, the nearest first.
    pub fn nearest_of_kinds(&self, z: &[f32]) -> Vec<(usize, f32)> {
        let mut best: Vec<Option<(usize, f32)>> = vec![None; self.kinds()];
        for (index, (cosine, (kind, _))) in self.cosines(z).into_iter().zip(self.senses()).enumerate() {
            if best[kind].is_none_or(|(_, most)| cosine > most) {
                best[kind] = Some((index, cosine));
            }
        }
        let mut best: Vec<_> = best.into_iter().flatten().collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        best
    }

    /// How alike two sentences are in what they mean: the cosine of their embeddings.
    ///
    /// # Panics
    /// If there is no such sentence.
    pub fn likeness(&self, entry: usize, other: usize) -> f32 {
        let unit = |index: usize| match index.checked_sub(self.entries.len()) {
            None => self.rows.unit(index),
            Some(own) => self.book.unit(own),
        };
        unit(entry).iter().zip(unit(other)).map(|(a, b)| a * b).sum()
    }

    /// Writes softmax over `cos(z, e_i) / temperature`, `[sentences]`, for a unit vector `z`, `[EMBEDDING]`. A user's sentence
    /// below its floor has no part in it. Gives the cosine of the nearest that has.
    ///
    /// # Panics
    /// If the lengths are others.
    pub fn look_up(&self, z: &[f32], temperature: f32, probabilities: &mut [f32]) -> f32 {
        assert_eq!((z.len(), probabilities.len()), (EMBEDDING, self.len()), "sizes should be the pack's");
        self.write_cosines(z, probabilities);
        let own = probabilities[self.entries.len()..].iter_mut().zip(&self.facts);
        own.filter(|(cosine, fact)| **cosine < fact.floor).for_each(|(cosine, _)| *cosine = f32::NEG_INFINITY);
        probabilities.iter_mut().for_each(|p| *p /= temperature);
        let top = probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for p in probabilities.iter_mut() {
            *p = (*p - top).exp();
            sum += *p;
        }
        probabilities.iter_mut().for_each(|p| *p /= sum);
        top * temperature
    }

    /// What so many sentences of a user's take at most, with so many bytes of texts and names, and while they are read what is
    /// held beside it.
    pub const fn bytes_of(sentences: usize, text_bytes: usize) -> [usize; 2] {
        // Of each where prefix, postfix and the pair end, and that it is a kind of its own.
        let each = size_of::<Fact>() + size_of::<u32>() + 3 * size_of::<u32>();
        // Hashes, which a table has twice while it grows, and the new order of all that.
        let reading = 2 * 17 * sentences.next_power_of_two() + sentences * (each + size_of::<u32>());
        [
            Book::table_bytes(sentences) + sentences * each + text_bytes,
            Book::binding_bytes(sentences) + reading + text_bytes,
        ]
    }
}

/// Which number each kind and each sentence of a vocabulary has in another; none where it has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbering {
    /// `[kinds]`
    pub kinds: Vec<Option<usize>>,
    /// `[sentences]`
    pub entries: Vec<Option<usize>>,
}

/// A kind that is looked for when all are there.
const NO_KIND: u32 = u32::MAX;

/// A user's sentences on their way behind those of a pack, one after the other.
#[derive(Debug)]
pub struct Composer<'a> {
    pack: &'a Vocabulary,
    entries: Vec<Entry>,
    /// Kinds that have a name.
    names: HashMap<String, u32>,
    /// Sentences by the hash of their text.
    known: HashMap<u64, u32>,
    binding: Binding,
    facts: Vec<Fact>,
    texts: BTreeMap<u32, BTreeMap<String, String>>,
    /// Bytes of names and of languages.
    other_bytes: usize,
}

impl Composer<'_> {
    /// Adds one behind the others; one that is there already only adds its languages.
    pub fn add(&mut self, added: Added) {
        let Added { text, texts, kind, severity, floor, place, at } = added;
        // Two texts with one hash are two sentences.
        let known = self.known.get(&hash(&text)).filter(|&&index| self.text(index) == text).copied();
        let own = match (known, place) {
            (Some(index), _) if (index as usize) < self.entries.len() => {
                self.entries[index as usize].texts.extend(texts);
                return;
            }
            (Some(index), _) => index - self.entries.len() as u32,
            (None, Some(place)) if self.binding.push(&text, place.values(), at) => {
                let own = self.facts.len() as u32;
                let kind = kind.map_or(NO_KIND, |kind| self.named(kind));
                self.facts.push(Fact { kind, severity, floor: floor.unwrap_or(self.pack.floor) });
                self.known.insert(hash(&text), self.entries.len() as u32 + own);
                own
            }
            _ => return,
        };
        if !texts.is_empty() {
            // A node of a tree and two strings each.
            self.other_bytes += texts.iter().map(|(language, text)| language.len() + text.len() + 128).sum::<usize>();
            self.texts.entry(own).or_default().extend(texts);
        }
    }

    /// How many sentences there are beside the pack's, and bytes of all that is text.
    pub fn size(&self) -> (usize, usize) {
        (self.binding.count(), self.binding.text_bytes() + self.other_bytes)
    }

    fn text(&self, index: u32) -> &str {
        match (index as usize).checked_sub(self.entries.len()) {
            None => &self.entries[index as usize].text,
            Some(own) => self.binding.text(own),
        }
    }

    fn named(&mut self, name: String) -> u32 {
        let (next, bytes) = (self.names.len() as u32, name.len());
        *self.names.entry(name).or_insert_with(|| {
            // The string here and in the list, and its place in a table.
            self.other_bytes += 2 * (bytes + size_of::<String>()) + 40;
            next
        })
    }

    /// All of them. `file` is where they were read from.
    ///
    /// # Errors
    /// There are more than [`MOST_EXACT`], and the file cannot be read again.
    pub fn finish(self, file: Option<File>) -> io::Result<Vocabulary> {
        let (_, text_bytes) = self.size();
        let Self { pack, entries, names, known, binding, mut facts, texts, .. } = self;
        drop(known);
        let of_pack = pack.names.len();
        // The user's names sorted, behind the pack's.
        let mut sorted: Vec<(String, u32)> = names.into_iter().filter(|(_, kind)| *kind as usize >= of_pack).collect();
        sorted.sort_unstable();
        let mut kind_of = vec![0; sorted.len()];
        for (kind, (_, before)) in (of_pack as u32..).zip(&sorted) {
            kind_of[*before as usize - of_pack] = kind;
        }
        let names: Vec<String> = pack.names.iter().cloned().chain(sorted.into_iter().map(|(name, _)| name)).collect();
        let named = |text: &str| {
            let of_user = || names[of_pack..].binary_search_by(|name| name.as_str().cmp(text)).ok();
            let known = names[..of_pack].iter().position(|name| name == text);
            known.or_else(|| of_user().map(|index| of_pack + index))
        };
        for (index, fact) in facts.iter_mut().enumerate() {
            if fact.kind == NO_KIND {
                // A sentence that others name as their kind is of that.
                fact.kind = named(binding.text(index)).map_or(NO_KIND, |kind| kind as u32);
            } else if fact.kind as usize >= of_pack {
                fact.kind = kind_of[fact.kind as usize - of_pack];
            }
        }
        let (book, order) = binding.bind(file)?;
        let mut facts: Vec<Fact> = order.iter().map(|&index| facts[index as usize]).collect();
        let mut own = Vec::new();
        for (sentence, fact) in (0..).zip(&mut facts).filter(|(_, fact)| fact.kind == NO_KIND) {
            fact.kind = (names.len() + own.len()) as u32;
            own.push(sentence);
        }
        let mut in_order = BTreeMap::new();
        if !texts.is_empty() {
            let mut texts = texts;
            in_order = (0..).zip(&order).filter_map(|(to, from)| Some((to, texts.remove(from)?))).collect();
        }
        let (floor, rows, about) = (pack.floor, pack.rows.clone(), pack.about.clone());
        Ok(Vocabulary { floor, entries, rows, names, about, book, text_bytes, facts, own, texts: in_order })
    }
}

fn hash(text: &str) -> u64 {
    // With the same keys each time.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
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
        assert_eq!(vocabulary.names()[..3], ["nobody", "enter", "leave"]);
        let fall = vocabulary.entries().find(|entry| vocabulary.kind(entry.kind) == "fall").expect("it falls");
        assert_eq!(fall.severity, Severity::Alarm);
    }

    #[test]
    fn the_look_up_equals_the_plain_computation() {
        let vocabulary = vocabulary();
        let z: Vec<f32> = (0..EMBEDDING).map(|i| ((i * 37 % 101) as f32 - 50.0) / 564.0).collect();
        let mut fast = vec![0.0; vocabulary.len()];
        vocabulary.look_up(&z, 0.05, &mut fast);
        let cosine =
            |row: usize| vocabulary.rows.row(row).iter().zip(&z).map(|(&v, &z)| f64::from(v) * f64::from(z)).sum();
        let cosines: Vec<f64> = (0..vocabulary.len()).map(cosine).collect();
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
            kind: Some(kind.into()),
            severity: Severity::Notice,
            floor: Some(floor),
            place: z.map(|z| Evidence::of_text(text, z)),
            at: 0,
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
        let more = with(&pack, [added("the cat jumps", "the cat jumps", 0.4, Some(&place))]);
        assert_eq!((more.len(), more.kinds()), (pack.len() + 1, pack.kinds() + 1));
        assert_eq!((more.of_pack(), &*more.kind(more.kinds() - 1)), (pack.len(), "the cat jumps"));
        for (z, counts) in [(near(&pack, 5, 0.8), true), (near(&pack, 9, 0.9), false)] {
            let (mut before, mut after) = (vec![0.0; pack.len()], vec![0.0; more.len()]);
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

    fn with(pack: &Vocabulary, added: impl IntoIterator<Item = Added>) -> Vocabulary {
        let mut composer = pack.composer();
        added.into_iter().for_each(|added| composer.add(added));
        composer.finish(None).expect("they are few")
    }

    /// Numbers of kinds and sentences go by names and texts, also where a sentence is a kind of its own that others share.
    #[test]
    fn a_kind_may_be_a_name_or_a_sentence_and_has_another_number_in_another_vocabulary() {
        let pack = vocabulary();
        let place = near(&pack, 5, 0.6);
        let new =
            |text: &str, kind: Option<&str>| Added { kind: kind.map(Into::into), ..added(text, "", 0.4, Some(&place)) };
        let all = [
            new("the dog barks", None),
            new("the cat jumps", None),
            new("the cat jumps far", Some("the cat jumps")),
            new("somebody naps", Some("lie")),
            new("the tap drips", Some("water")),
        ];
        let before = with(&pack, all.clone());
        let kind = |vocabulary: &Vocabulary, text: &str| vocabulary.entry(vocabulary.find(text).expect(text)).kind;
        assert_eq!(kind(&before, "the cat jumps"), kind(&before, "the cat jumps far"));
        assert_eq!(before.names()[pack.kinds()..], ["the cat jumps", "water"]);
        assert_eq!((before.kinds(), before.kind_named("the dog barks")), (pack.kinds() + 3, Some(pack.kinds() + 2)));
        assert_eq!(before.kind_named("the cat jumps far"), None, "it is of a kind that has a name");
        assert_eq!(kind(&before, "somebody naps"), pack.kind_named("lie").expect("a kind"));
        assert!(before.about(before.kinds() - 1).is_empty() && before.first_of(pack.kinds() + 1).is_some());
        let [dog, _, _, naps, tap] = all;
        let now = with(&pack, [tap, naps, dog]);
        let numbers = before.numbers_in(&now);
        assert_eq!(numbers.kinds.iter().flatten().count(), before.kinds() - 1);
        for (index, number) in numbers.entries.iter().enumerate() {
            let text = &before.entry(index).text;
            assert_eq!(number.map(|number| now.entry(number).text.clone()), now.find(text).map(|_| text.clone()));
        }
        assert_eq!(numbers.kinds[before.kind_named("water").expect("it has a name")], now.kind_named("water"));
    }

    #[test]
    fn a_sentence_has_its_languages_and_one_that_is_there_gains_them() {
        let pack = vocabulary();
        let known = pack.entry(3).text.clone();
        let place = near(&pack, 5, 0.6);
        let new = [
            added(&known, "x", 0.4, Some(&place)),
            added("new", "walk", 0.4, Some(&place)),
            added("no", "no", 0.4, None),
        ];
        let more = with(&pack, new);
        assert_eq!((more.len(), more.names()), (pack.len() + 1, pack.names()));
        assert_eq!(more.entry(3).text_in(Some("zh")), "猫跳上了台面。");
        assert_eq!((more.entry(3).text_in(Some("de")), more.entry(3).text_in(None)), (&*known, &*known));
        let walk = pack.kind_named("walk").expect("a kind");
        assert_eq!((more.entry(pack.len()).text_in(Some("zh")), more.entry(pack.len()).kind), ("猫跳上了台面。", walk));
        assert_eq!(more.kind_of("القطة تقفز"), Some(more.entry(3).kind), "what was said in a language can be taught");
    }

    #[test]
    fn of_each_kind_the_nearest_sentence_is_found() {
        let vocabulary = vocabulary();
        let near = vocabulary.nearest_of_kinds(&near(&vocabulary, 5, 0.8));
        assert_eq!((near.len(), near[0].0), (vocabulary.kinds(), 5));
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
        let mut p = vec![0.0; vocabulary.len()];
        vocabulary.look_up(&z, 0.05, &mut p);
        assert!(p[5] > 0.99);
    }
}
