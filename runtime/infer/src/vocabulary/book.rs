//! A large vocabulary: sentences as pairs, rows as codes, and looked up from coarse to fine.
//!
//! VLog looks up a scene, then a narration of it, then a postfix. Here a scene is a cluster of what prefixes mean: a look-up
//! compares with the scenes, with the prefixes of the nearest ten, and with all sentences of the nearest eight of those. The
//! other way is product quantization: all sentences about, and the best of them exactly.

use crate::rows::{EMBEDDING, Rows};
use crate::vocabulary::pairs::Pairs;
use crate::vocabulary::quantized::Quantized;

/// Scenes at most, the rows from which they are learnt, and how often they are moved.
const MOST_SCENES: usize = 256;
const MOST_LEARNT: usize = 1 << 13;
const ROUNDS: usize = 5;

/// How many scenes and prefixes are followed, as in VLog and for the least that is lost.
const SCENES: usize = 10;
const PREFIXES: usize = 8;

/// How many of the best by their codes are compared exactly.
const EXACT: usize = 64;

/// How a look-up goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All rows exactly.
    Flat,
    /// Scene, prefix, postfix.
    Scenes,
    /// All codes, and the best 64 rows.
    Codes,
}

/// A large vocabulary, whole in memory.
#[derive(Debug)]
pub struct Book {
    pairs: Pairs,
    /// `[sentences]`
    rows: Rows,
    quantized: Quantized,
    /// `[scenes][EMBEDDING]`
    scenes: Vec<[f32; EMBEDDING]>,
    /// Prefixes of each scene.
    of_scene: Vec<Vec<u32>>,
}

/// What the parts of a book take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookBytes {
    /// The sentences as pairs.
    pub pairs: usize,
    /// Their rows.
    pub rows: usize,
    /// Their codes and the centroids.
    pub codes: usize,
    /// Scenes and the prefixes of each.
    pub scenes: usize,
}

impl Book {
    /// Binds sentences, each of which is there once, with their rows `[EMBEDDING]` in any scale.
    ///
    /// # Panics
    /// If there is not one row a sentence, or one has no direction.
    pub fn new<T: AsRef<str>>(texts: &[T], embeddings: &[[i8; EMBEDDING]]) -> Self {
        assert_eq!(texts.len(), embeddings.len(), "each sentence should have a row");
        let (pairs, order) = Pairs::new(texts);
        let mut rows = Rows::with_capacity(order.len());
        for index in order {
            assert!(rows.push(embeddings[index as usize].iter().copied()), "a row should have a direction");
        }
        let units: Vec<[f32; EMBEDDING]> = (0..rows.len()).map(|index| rows.unit(index)).collect();
        let quantized = Quantized::new(&units);
        // A prefix lies where its first sentence does, which is the plainest.
        let firsts: Vec<&[f32; EMBEDDING]> =
            (0..pairs.counts().0).map(|prefix| &units[pairs.of_prefix(prefix).start]).collect();
        let scenes = scenes(&firsts);
        let mut of_scene = vec![Vec::new(); scenes.len()];
        for (prefix, unit) in firsts.iter().enumerate() {
            of_scene[best(scenes.iter().map(|scene| dot(scene, unit)), 1)[0].0].push(prefix as u32);
        }
        Self { pairs, rows, quantized, scenes, of_scene }
    }

    /// How many sentences.
    pub const fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// How many prefixes, postfixes and scenes.
    pub fn counts(&self) -> (usize, usize, usize) {
        let (prefixes, postfixes) = self.pairs.counts();
        (prefixes, postfixes, self.scenes.len())
    }

    /// The sentence of this number.
    ///
    /// # Panics
    /// If there is none.
    pub fn text(&self, sentence: usize) -> String {
        self.pairs.get(sentence)
    }

    /// The sentences nearest to a unit vector, `count` at most, each with its cosine, the nearest first.
    pub fn nearest(&self, z: &[f32; EMBEDDING], way: Way, count: usize) -> Vec<(usize, f32)> {
        let exactly = |sentences: &mut dyn Iterator<Item = usize>| -> Vec<(usize, f32)> {
            sentences.map(|sentence| (sentence, self.rows.cosine(sentence, z))).collect()
        };
        match way {
            Way::Flat => best(self.rows.cosines(z), count),
            Way::Codes => {
                let about = best(self.quantized.cosines(z), EXACT);
                of_pairs(exactly(&mut about.into_iter().map(|(sentence, _)| sentence)), count)
            }
            Way::Scenes => {
                let near = best(self.scenes.iter().map(|scene| dot(scene, z)), SCENES);
                let prefixes = near.into_iter().flat_map(|(scene, _)| &self.of_scene[scene]);
                let first = |prefix: &u32| self.pairs.of_prefix(*prefix as usize).start;
                let prefixes: Vec<(usize, f32)> =
                    prefixes.map(|prefix| (*prefix as usize, self.rows.cosine(first(prefix), z))).collect();
                let near = of_pairs(prefixes, PREFIXES);
                of_pairs(exactly(&mut near.into_iter().flat_map(|(prefix, _)| self.pairs.of_prefix(prefix))), count)
            }
        }
    }

    /// What it holds.
    pub fn bytes(&self) -> BookBytes {
        let lists = self.of_scene.iter().map(|list| list.len() * size_of::<u32>() + size_of::<Vec<u32>>());
        BookBytes {
            pairs: self.pairs.bytes(),
            rows: self.rows.len() * (EMBEDDING + size_of::<f32>()),
            codes: self.quantized.bytes(),
            scenes: self.scenes.len() * size_of::<[f32; EMBEDDING]>() + lists.sum::<usize>(),
        }
    }
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
fn scenes(units: &[&[f32; EMBEDDING]]) -> Vec<[f32; EMBEDDING]> {
    let count = units.len().isqrt().clamp(1, MOST_SCENES).min(units.len());
    let step = units.len().div_ceil(MOST_LEARNT).max(1);
    let learnt: Vec<&[f32; EMBEDDING]> = units.iter().step_by(step).copied().collect();
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
    use super::*;

    /// Sentences of themes, each with its own direction, and what they add with a small one.
    fn book() -> (Vec<String>, Vec<[i8; EMBEDDING]>) {
        let (mut texts, mut rows) = (Vec::new(), Vec::new());
        for theme in 0..40 {
            for place in 0..6 {
                let rest = if place == 0 { String::new() } else { format!(" at place {place}") };
                texts.push(format!("Someone does {theme}{rest}."));
                rows.push(std::array::from_fn(|i| {
                    let of_theme = ((i * i * 37 + theme * 41 * (i % 7 + 1)) % 97) as f32 - 48.0;
                    let of_place = ((i * 61 + place * 29) % 53) as f32 - 26.0;
                    (of_theme + 0.7 * of_place * f32::from(u8::from(place > 0))) as i8
                }));
            }
        }
        (texts, rows)
    }

    #[test]
    fn every_way_finds_a_sentence_where_it_lies() {
        let (texts, rows) = book();
        let book = Book::new(&texts, &rows);
        assert_eq!((book.len(), book.counts().0, book.counts().1), (240, 40, 6));
        for (text, row) in texts.iter().zip(&rows) {
            let length = row.iter().map(|&value| f32::from(value).powi(2)).sum::<f32>().sqrt();
            let z = row.map(|value| f32::from(value) / length);
            for way in [Way::Flat, Way::Scenes, Way::Codes] {
                let [(sentence, cosine)] = book.nearest(&z, way, 1)[..] else { panic!("one") };
                assert!(book.text(sentence) == *text && cosine > 0.999, "{way:?}: {text}, {}", book.text(sentence));
            }
        }
    }

    #[test]
    fn nothing_is_in_an_empty_book() {
        let book = Book::new::<&str>(&[], &[]);
        let mut z = [0.0; EMBEDDING];
        z[0] = 1.0;
        for way in [Way::Flat, Way::Scenes, Way::Codes] {
            assert_eq!((book.nearest(&z, way, 3), book.is_empty()), (vec![], true));
        }
    }
}
