//! The sentences of a user's: texts as pairs, and where each lies. Up to [`MOST_EXACT`] of them all rows are held, and a look-up
//! compares with each. Beyond that the rows stay in the file that they came from: 48 bytes of each, by product quantization, say
//! about where it lies, and the best [`EXACT`] are read and compared exactly.
//!
//! VLog looks up a scene, then a narration of it, then a postfix ([`Scenes`]). No program does, for a narrator's answers lie between
//! scenes: `tools/bench` has the figures.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::Evidence;
use crate::rows::{EMBEDDING, Rows};
use crate::vocabulary::pairs::{Pairs, Texts};
use crate::vocabulary::quantized::Quantized;

/// The most sentences of which all rows are held.
pub const MOST_EXACT: usize = 10_000;

/// How many of the best by their codes are compared exactly. A narrator answers far from all sentences, where many are as near: of 100,000
/// its nearest is among the best 64 by their codes in 0.67 of answers, among 512 in 0.85, 1024 in 0.94, 2048 in 0.98.
const EXACT: usize = 2048;

/// The most rows of which codes are learnt, on the way into a book.
const MOST_SAMPLED: usize = 1 << 13;

/// Scenes at most, the rows from which they are learnt, and how often they are moved.
const MOST_SCENES: usize = 256;
const MOST_LEARNT: usize = 1 << 13;
const ROUNDS: usize = 5;

/// How many scenes and prefixes are followed, as in VLog and for the least that is lost.
const SCENES: usize = 10;
const PREFIXES: usize = 8;

/// Sentences and where they lie.
#[derive(Debug, Default)]
pub struct Book {
    pairs: Pairs,
    table: Table,
}

/// Where sentences lie, `[sentences]`.
#[derive(Debug)]
enum Table {
    Exact(Rows),
    Coded { codes: Quantized, rows: FileRows },
}

impl Default for Table {
    fn default() -> Self {
        Self::Exact(Rows::default())
    }
}

/// Rows that lie in a file, as the text of [`Evidence`].
#[derive(Debug)]
struct FileRows {
    file: File,
    /// Where each begins.
    at: Vec<u32>,
}

impl FileRows {
    fn read(&self, index: usize) -> io::Result<[i8; EMBEDDING]> {
        let mut text = [0; Evidence::TEXT_BYTES];
        self.file.read_exact_at(&mut text, self.at[index].into())?;
        let evidence = str::from_utf8(&text).ok().and_then(|text| text.parse::<Evidence>().ok());
        evidence.map(|evidence| *evidence.values()).ok_or_else(|| io::Error::other("it was changed meanwhile"))
    }

    fn unit(&self, index: usize) -> io::Result<[f32; EMBEDDING]> {
        self.read(index).map(|row| unit(&row))
    }
}

/// What the parts of a book take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookBytes {
    /// The sentences as pairs.
    pub pairs: usize,
    /// Their rows, or their codes with centroids and places in the file.
    pub table: usize,
}

/// Sentences on their way into a book, one after the other.
#[derive(Debug)]
pub struct Binding {
    texts: Texts,
    /// All rows; once there are too many, each `step`-th, of which codes are learnt.
    rows: Rows,
    step: usize,
    /// Where each lies in the file.
    at: Vec<u32>,
    most_exact: usize,
}

impl Default for Binding {
    fn default() -> Self {
        Self::new(MOST_EXACT)
    }
}

impl Binding {
    /// Nothing yet; beyond `most_exact` sentences there will be codes.
    pub fn new(most_exact: usize) -> Self {
        Self { texts: Texts::default(), rows: Rows::default(), step: 1, at: Vec::new(), most_exact }
    }

    /// Adds a sentence with its row, in any scale, which begins at `at` of the file; `false` where that has no direction.
    pub fn push(&mut self, text: &str, row: &[i8; EMBEDDING], at: u32) -> bool {
        if row.iter().all(|&value| value == 0) {
            return false;
        }
        self.texts.push(text);
        self.at.push(at);
        if self.texts.len() > self.most_exact {
            while self.step == 1 || self.rows.len() > MOST_SAMPLED {
                self.rows.halve();
                self.step *= 2;
            }
        }
        if (self.texts.len() - 1).is_multiple_of(self.step) {
            self.rows.push(row.iter().copied());
        }
        true
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.texts.len()
    }

    /// The text of this number.
    pub fn text(&self, index: usize) -> &str {
        self.texts.get(index)
    }

    /// Bytes of all texts.
    pub fn text_bytes(&self) -> usize {
        self.texts.text_bytes()
    }

    /// Binds them. Also gives the order in which they lie, as `Pairs::new` does.
    ///
    /// # Errors
    /// There are codes to be made, and the file cannot be read any more.
    pub fn bind(self, file: Option<File>) -> io::Result<(Book, Vec<u32>)> {
        let Self { texts, rows, step, at, .. } = self;
        let (pairs, order) = Pairs::new(&texts);
        drop(texts);
        let table = if step == 1 {
            let mut sorted = Rows::with_capacity(order.len());
            for &index in &order {
                sorted.push(rows.values(index as usize).iter().copied());
            }
            Table::Exact(sorted)
        } else {
            let file = file.ok_or(io::ErrorKind::NotFound)?;
            let mut codes = Quantized::learn(&rows);
            drop(rows);
            codes.resize(order.len());
            let mut rows = FileRows { file, at };
            let mut place = vec![0; order.len()];
            order.iter().enumerate().for_each(|(sentence, &index)| place[index as usize] = sentence);
            // In the order of the file, which a disk likes better.
            for (index, &place) in place.iter().enumerate() {
                codes.set(place, &rows.unit(index)?);
            }
            rows.at = order.iter().map(|&index| rows.at[index as usize]).collect();
            Table::Coded { codes, rows }
        };
        Ok((Book { pairs, table }, order))
    }
}

impl Book {
    /// How many sentences.
    pub const fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// How many prefixes and postfixes.
    pub const fn counts(&self) -> (usize, usize) {
        self.pairs.counts()
    }

    /// The sentence of this number.
    ///
    /// # Panics
    /// If there is none.
    pub fn text(&self, sentence: usize) -> String {
        self.pairs.get(sentence)
    }

    /// The number of this sentence.
    pub fn find(&self, text: &str) -> Option<usize> {
        self.pairs.find(text)
    }

    /// Writes the cosine of each sentence to a unit vector, `[sentences]`; with codes that of the best 2048 exactly, and of the
    /// others about. Where the file cannot be read any more the codes have to do.
    pub fn cosines(&self, z: &[f32; EMBEDDING], to: &mut [f32]) {
        match &self.table {
            Table::Exact(rows) => to.iter_mut().zip(rows.cosines(z)).for_each(|(to, cosine)| *to = cosine),
            Table::Coded { codes, rows } => {
                to.iter_mut().zip(codes.cosines(z)).for_each(|(to, cosine)| *to = cosine);
                for (sentence, _) in best(to.iter().copied(), EXACT) {
                    if let Ok(unit) = rows.unit(sentence) {
                        to[sentence] = dot(&unit, z);
                    }
                }
            }
        }
    }

    /// The sentences nearest to a unit vector, `count` at most and 2048 where there are codes, each with its cosine, the nearest
    /// first.
    pub fn nearest(&self, z: &[f32; EMBEDDING], count: usize) -> Vec<(usize, f32)> {
        match &self.table {
            Table::Exact(rows) => best(rows.cosines(z), count),
            Table::Coded { codes, rows } => {
                let about = best(codes.cosines(z), EXACT).into_iter();
                let exact = |(sentence, about)| (sentence, rows.unit(sentence).map_or(about, |unit| dot(&unit, z)));
                of_pairs(about.map(exact).collect(), count)
            }
        }
    }

    /// Where a sentence lies, a unit vector; about where, if the file cannot be read any more.
    pub fn unit(&self, sentence: usize) -> [f32; EMBEDDING] {
        match &self.table {
            Table::Exact(rows) => rows.unit(sentence),
            Table::Coded { codes, rows } => rows.unit(sentence).unwrap_or_else(|_| codes.unit(sentence)),
        }
    }

    /// What it holds.
    pub fn bytes(&self) -> BookBytes {
        let sentences = self.len();
        let table = match &self.table {
            Table::Exact(_) => sentences * (EMBEDDING + size_of::<f32>()),
            Table::Coded { codes, .. } => codes.bytes() + sentences * size_of::<u32>(),
        };
        BookBytes { pairs: self.pairs.bytes(), table }
    }

    /// What so many sentences take beside their texts.
    pub const fn table_bytes(sentences: usize) -> usize {
        if sentences <= MOST_EXACT {
            sentences * (EMBEDDING + size_of::<f32>())
        } else {
            Quantized::bytes_of(sentences) + sentences * size_of::<u32>()
        }
    }

    /// What [`Binding`] holds at most beside the book that it becomes, and the texts: rows, which are there twice
    /// while they are sorted and one and a half times while they are halved, and numbers.
    pub const fn binding_bytes(sentences: usize) -> usize {
        let rows = if sentences <= MOST_EXACT { sentences } else { MOST_EXACT };
        rows * (EMBEDDING + size_of::<f32>()) * 3 / 2 + sentences * 6 * size_of::<u32>()
    }
}

/// VLog's hierarchy over a book: a look-up compares with the scenes, which are clusters of what prefixes mean, with the prefixes of
/// the nearest ten, and with all sentences of the nearest eight of those.
#[derive(Debug)]
pub struct Scenes {
    /// `[scenes][EMBEDDING]`
    scenes: Vec<[f32; EMBEDDING]>,
    /// Prefixes of each scene.
    of_scene: Vec<Vec<u32>>,
}

impl Scenes {
    /// Finds the scenes of a book.
    pub fn of(book: &Book) -> Self {
        // A prefix lies where its first sentence does, which is the plainest.
        let firsts: Vec<[f32; EMBEDDING]> =
            (0..book.pairs.counts().0).map(|prefix| book.unit(book.pairs.of_prefix(prefix).start)).collect();
        let scenes = clusters(&firsts);
        let mut of_scene = vec![Vec::new(); scenes.len()];
        for (prefix, unit) in firsts.iter().enumerate() {
            of_scene[best(scenes.iter().map(|scene| dot(scene, unit)), 1)[0].0].push(prefix as u32);
        }
        Self { scenes, of_scene }
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.scenes.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.scenes.is_empty()
    }

    /// As [`Book::nearest`], in the book that they are of.
    pub fn nearest(&self, book: &Book, z: &[f32; EMBEDDING], count: usize) -> Vec<(usize, f32)> {
        let cosine = |sentence: usize| match &book.table {
            Table::Exact(rows) => rows.cosine(sentence, z),
            Table::Coded { .. } => dot(&book.unit(sentence), z),
        };
        let near = best(self.scenes.iter().map(|scene| dot(scene, z)), SCENES);
        let prefixes = near.into_iter().flat_map(|(scene, _)| &self.of_scene[scene]);
        let first = |prefix: &u32| book.pairs.of_prefix(*prefix as usize).start;
        let prefixes: Vec<(usize, f32)> = prefixes.map(|prefix| (*prefix as usize, cosine(first(prefix)))).collect();
        let near = of_pairs(prefixes, PREFIXES).into_iter().flat_map(|(prefix, _)| book.pairs.of_prefix(prefix));
        of_pairs(near.map(|sentence| (sentence, cosine(sentence))).collect(), count)
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let lists = self.of_scene.iter().map(|list| list.len() * size_of::<u32>() + size_of::<Vec<u32>>());
        self.scenes.len() * size_of::<[f32; EMBEDDING]>() + lists.sum::<usize>()
    }
}

fn unit(row: &[i8; EMBEDDING]) -> [f32; EMBEDDING] {
    let square: i64 = row.iter().map(|&value| i64::from(value) * i64::from(value)).sum();
    let to_unit = 1.0 / (square.max(1) as f32).sqrt();
    row.map(|value| f32::from(value) * to_unit)
}

fn dot(a: &[f32; EMBEDDING], b: &[f32; EMBEDDING]) -> f32 {
    let mut sums = [0.0f32; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

fn best(cosines: impl Iterator<Item = f32>, count: usize) -> Vec<(usize, f32)> {
    let mut best: Vec<(usize, f32)> = Vec::with_capacity(2 * count);
    let mut least = f32::NEG_INFINITY;
    for (index, cosine) in cosines.enumerate() {
        if cosine > least {
            best.push((index, cosine));
            if best.len() == 2 * count {
                best = of_pairs(best, count);
                best.reserve(count);
                least = best[count - 1].1;
            }
        }
    }
    of_pairs(best, count)
}

/// The best of these, the first of equals first.
fn of_pairs(mut all: Vec<(usize, f32)>, count: usize) -> Vec<(usize, f32)> {
    all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(count);
    all
}

/// Clusters of directions (spherical k-means), as many as the square root of them; the same each time.
fn clusters(units: &[[f32; EMBEDDING]]) -> Vec<[f32; EMBEDDING]> {
    let count = units.len().isqrt().clamp(1, MOST_SCENES).min(units.len());
    let step = units.len().div_ceil(MOST_LEARNT).max(1);
    let learnt: Vec<&[f32; EMBEDDING]> = units.iter().step_by(step).collect();
    let mut scenes: Vec<[f32; EMBEDDING]> = (0..count).map(|index| *learnt[index * learnt.len() / count]).collect();
    for _ in 0..ROUNDS {
        let mut sums = vec![[0.0f32; EMBEDDING]; count];
        for unit in &learnt {
            let near = best(scenes.iter().map(|scene| dot(scene, unit)), 1)[0].0;
            sums[near].iter_mut().zip(*unit).for_each(|(sum, value)| *sum += value);
        }
        for (scene, sum) in scenes.iter_mut().zip(sums) {
            let length = dot(&sum, &sum).sqrt();
            if length > 0.0 {
                *scene = sum.map(|value| value / length);
            }
        }
    }
    scenes
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Numbers of -1 to 1, the same for the same seed.
    fn dice(seed: usize) -> impl FnMut() -> f32 {
        let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        }
    }

    /// Sentences of themes, of which forty at a time have much in common, and what they add with a small direction of its own.
    fn sentences(themes: usize) -> Vec<(String, [i8; EMBEDDING])> {
        let one = |theme: usize, place: usize| {
            let rest = if place == 0 { String::new() } else { format!(" at place {place}") };
            let (mut of_world, mut of_theme, mut of_place) =
                (dice(theme / 40), dice(1_000_000 + theme), dice(2_000_000 + place));
            let added = if place == 0 { 0.0 } else { 30.0 };
            let row = std::array::from_fn(|_| (40.0 * of_world() + 40.0 * of_theme() + added * of_place()) as i8);
            (format!("Someone does {theme}{rest}."), row)
        };
        (0..themes).flat_map(|theme| (0..6).map(move |place| one(theme, place))).collect()
    }

    /// These in a book, which keeps codes beyond `most_exact`.
    fn bound(sentences: &[(String, [i8; EMBEDDING])], most_exact: usize) -> Book {
        let mut file = tempfile::tempfile().expect("there is room");
        let (mut binding, mut at) = (Binding::new(most_exact), 0);
        for (text, row) in sentences {
            let evidence = Evidence::kept("0badcafe", row).to_string();
            assert!(binding.push(text, row, at));
            file.write_all(evidence.as_bytes()).expect("there is room");
            at += evidence.len() as u32;
        }
        binding.bind(Some(file)).expect("the file is whole").0
    }

    #[test]
    fn every_way_finds_a_sentence_where_it_lies() {
        let sentences = sentences(40);
        let (exact, coded) = (bound(&sentences, MOST_EXACT), bound(&sentences, 100));
        let scenes = Scenes::of(&exact);
        assert_eq!((exact.len(), exact.counts().0, scenes.len()), (240, 40, 6));
        assert!(matches!(coded.table, Table::Coded { .. }) && matches!(exact.table, Table::Exact(_)));
        let mut cosines = [vec![0.0; 240], vec![0.0; 240]];
        for (text, row) in &sentences {
            let z = unit(row);
            for near in [exact.nearest(&z, 1), coded.nearest(&z, 1), scenes.nearest(&exact, &z, 1)] {
                let [(sentence, cosine)] = near[..] else { panic!("one") };
                assert!(exact.text(sentence) == *text && cosine > 0.999, "{text}, {}", exact.text(sentence));
                assert_eq!((exact.find(text), coded.find(text)), (Some(sentence), Some(sentence)));
            }
            exact.cosines(&z, &mut cosines[0]);
            coded.cosines(&z, &mut cosines[1]);
            let about = cosines[0].iter().zip(&cosines[1]).map(|(a, b)| (a - b).abs());
            assert!(about.fold(0.0, f32::max) < 0.4);
        }
    }

    /// Of 12,000 sentences the best by their codes is the best of all for 99 of 100 places between them.
    #[test]
    fn codes_find_what_exact_rows_find() {
        let sentences = sentences(2000);
        let (exact, coded) = (bound(&sentences, usize::MAX), bound(&sentences, MOST_EXACT));
        let asked = sentences.iter().step_by(60).enumerate().map(|(asked, (_, row))| {
            let mut noise = dice(3_000_000 + asked);
            unit(&row.map(|value| (f32::from(value) / 2.0 + 60.0 * noise()) as i8))
        });
        let same = asked.filter(|z| exact.nearest(z, 1)[0].0 == coded.nearest(z, 1)[0].0).count();
        assert!(same >= 198, "{same} of 200");
        let bytes = (exact.bytes(), coded.bytes());
        assert!(bytes.0.pairs == bytes.1.pairs && bytes.1.table * 4 < bytes.0.table, "{bytes:?}");
        assert_eq!(bytes.1.table, Book::table_bytes(sentences.len()));
    }

    #[test]
    fn a_file_that_was_changed_meanwhile_leaves_the_codes() {
        let sentences = sentences(40);
        let coded = bound(&sentences, 100);
        let Table::Coded { rows, .. } = &coded.table else { panic!("there are more than 100") };
        rows.file.set_len(1000).expect("it is ours");
        let z = unit(&sentences[200].1);
        let near = coded.nearest(&z, 1)[0];
        assert!(coded.text(near.0).starts_with("Someone does 33") && near.1 > 0.9, "{near:?}");
        assert!(dot(&coded.unit(near.0), &z) > 0.9);
    }

    #[test]
    fn nothing_is_in_an_empty_book() {
        let book = bound(&[], MOST_EXACT);
        let mut z = [0.0; EMBEDDING];
        z[0] = 1.0;
        assert_eq!((book.nearest(&z, 3), Scenes::of(&book).nearest(&book, &z, 3)), (vec![], vec![]));
        assert!(book.is_empty() && book.find("").is_none());
        let mut binding = Binding::default();
        assert!(!binding.push("nowhere", &[0; EMBEDDING], 0) && binding.count() == 0);
    }
}
