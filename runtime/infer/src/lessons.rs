//! What a user said of one camera's narrations, and what follows from it: learning on the device without training.
//!
//! The form is that of Tip-Adapter (Zhang et al., ECCV 2022): the backbone stays frozen, each confirmed example is a key in
//! the space in which the narrator looks sentences up, and the likeness of what is seen now to a key is added to the
//! logits of the key's kind. A denied narration takes as much away, which is a threshold that is raised for what looks
//! like it, and nowhere else; so does one of which the user said that it was something else, from the kind that was said.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use ocelli_types::{Head, MemoryView, Worth};
use sha2::{Digest, Sha256};

use crate::rows::{EMBEDDING, Rows};
use crate::{InferError, LessonsPart, Narrator, Pack, Vocabulary};

/// The most lessons of a camera: 100 KB, and 0.1 M multiply-adds a picture, a two-thousandth of the narrator's.
pub const MOST_LESSONS: usize = 256;

/// Digits of a mark.
const MARK: usize = 8;

/// What is hashed before a sentence: which text encoder it is that made its embedding.
const TEXT_MARK: &str = "all-MiniLM-L6-v2 ";

/// Where in the vocabulary's space a narration was, and by which models: what a lesson is made of. Or where a sentence is, which
/// the mark names: what an added sentence is made of.
///
/// As text `1a2b3c4d.` and 768 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    mark: String,
    z: Vec<i8>,
}

impl Evidence {
    /// How long its text is.
    pub const TEXT_BYTES: usize = MARK + 1 + 2 * EMBEDDING;

    fn new(mark: &str, z: &[f32]) -> Self {
        let largest = z.iter().fold(0.0f32, |largest, value| largest.max(value.abs())).max(f32::MIN_POSITIVE);
        let z = z.iter().map(|value| (value / largest * 127.0).round() as i8).collect();
        Self { mark: mark.into(), z }
    }

    /// That of a sentence, of which `z` is the embedding.
    pub(crate) fn of_text(text: &str, z: &[f32]) -> Self {
        Self::new(&digits(Sha256::new().chain_update(TEXT_MARK).chain_update(text)), z)
    }

    /// Whether it is that of this sentence, by the text encoder.
    pub fn is_of_text(&self, text: &str) -> bool {
        self.mark == digits(Sha256::new().chain_update(TEXT_MARK).chain_update(text))
    }

    /// Evidence that was kept as its [`mark`](Self::mark) and [`values`](Self::values).
    pub fn kept(mark: &str, values: &[i8; EMBEDDING]) -> Self {
        Self { mark: mark.into(), z: values.to_vec() }
    }

    /// The [`mark`](Self::mark) of what is seen with the models of this pack.
    pub fn mark_of(pack: &Pack) -> String {
        mark(pack)
    }

    /// What tells its models from others.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Where it lies in the vocabulary's space, in any scale.
    ///
    /// # Panics
    /// Never: it is as wide as an embedding.
    pub fn values(&self) -> &[i8; EMBEDDING] {
        self.z.first_chunk().expect("evidence should be as wide as an embedding")
    }

    /// Where several of the same models lie together: the mean of their directions, each as heavy as its weight. `None` where they
    /// are of different models, or point nowhere together.
    pub fn mean<'a>(weighed: impl IntoIterator<Item = (&'a Self, f32)>) -> Option<Self> {
        let mut weighed = weighed.into_iter().peekable();
        let mark = &weighed.peek()?.0.mark;
        let mut sum = [0.0; EMBEDDING];
        for (evidence, weight) in weighed {
            if evidence.mark != *mark {
                return None;
            }
            sum.iter_mut().zip(evidence.unit()).for_each(|(sum, value)| *sum += weight * value);
        }
        sum.iter().any(|value| value.abs() > f32::MIN_POSITIVE).then(|| Self::new(mark, &sum))
    }

    /// Its direction, a unit vector.
    pub fn unit(&self) -> [f32; EMBEDDING] {
        let square: f32 = self.z.iter().map(|&value| f32::from(value).powi(2)).sum();
        let to_unit = if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
        self.values().map(|value| f32::from(value) * to_unit)
    }

    /// Its cosine to another.
    pub fn cosine(&self, other: &Self) -> f32 {
        self.unit().iter().zip(other.unit()).map(|(a, b)| a * b).sum()
    }

    /// Whether it comes from the models of this pack, beside which it means nothing.
    pub fn is_of(&self, pack: &Pack) -> bool {
        self.mark == mark(pack)
    }
}

/// What tells the models of a pack from others: thresholds and sentences may change, and lessons go on being good.
fn mark(pack: &Pack) -> String {
    let manifest = &pack.manifest;
    digits(Sha256::new().chain_update(&manifest.stab.sha256).chain_update(&manifest.narrator.sha256))
}

/// The first digits of a hash.
fn digits(hash: Sha256) -> String {
    let hash = hash.finalize();
    hash[..MARK / 2].iter().fold(String::with_capacity(MARK), |mark, byte| mark + &format!("{byte:02x}"))
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.mark)?;
        self.z.iter().try_for_each(|value| write!(f, "{value:02x}"))
    }
}

/// A text is no [`Evidence`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the evidence is cut off or was changed")]
pub struct NoEvidence;

/// What a hexadecimal digit is worth; 255 for what is none.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
};

impl FromStr for Evidence {
    type Err = NoEvidence;

    fn from_str(text: &str) -> Result<Self, NoEvidence> {
        let (mark, digits) = text.split_once('.').ok_or(NoEvidence)?;
        let is_hex = |text: &str| text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if mark.len() != MARK || digits.len() != 2 * EMBEDDING || !is_hex(mark) {
            return Err(NoEvidence);
        }
        // A large vocabulary reads 2048 of these a picture, so all digits are looked up and found right together.
        let mut bad = 0;
        let mut value = |digit: u8| {
            let value = VALUES[digit as usize];
            bad |= value;
            value
        };
        let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
        let z: Vec<i8> = pairs.map(|[high, low]| ((value(*high) << 4) | value(*low)).cast_signed()).collect();
        if bad > 0xf {
            return Err(NoEvidence);
        }
        if z.iter().all(|&value| value == 0) {
            return Err(NoEvidence);
        }
        Ok(Self { mark: mark.into(), z })
    }
}

/// What was there, and what was not, of the kinds of the vocabulary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    right: Option<usize>,
    wrong: Option<usize>,
}

/// What was confirmed and denied of one camera.
#[derive(Clone, Debug, Default)]
pub struct Lessons {
    rows: Rows,
    /// What each row says.
    known: Vec<Known>,
    /// Of each kind of the vocabulary, in one picture: how much the best lesson for it fits, and the best against it.
    likeness: Vec<[f32; 2]>,
}

impl Lessons {
    /// Adds one: what was seen there is of the kind `right` of the vocabulary, and is not of the kind `wrong`. `false` where there
    /// are [`MOST_LESSONS`].
    pub fn add(&mut self, right: Option<usize>, wrong: Option<usize>, evidence: &Evidence) -> bool {
        if self.known.len() == MOST_LESSONS {
            return false;
        }
        // Evidence has a direction: zeros are refused where it is read, and the narrator gives unit vectors.
        let added = self.rows.push(evidence.z.iter().copied());
        if added {
            self.known.push(Known { right, wrong });
        }
        added
    }

    /// Goes on with other numbers of kinds, `now` for each of those before; what is known of kinds that have gone is left out.
    fn renumber(&mut self, now: &[Option<usize>]) {
        let mut lessons = Self::default();
        for (row, before) in self.rows.iter().zip(&self.known) {
            let [right, wrong] = [before.right, before.wrong].map(|kind| kind.and_then(|kind| now[kind]));
            if right.or(wrong).is_some() {
                lessons.rows.push(row.iter().copied());
                lessons.known.push(Known { right, wrong });
            }
        }
        *self = lessons;
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing was learnt.
    pub const fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Changes the probabilities of a vocabulary's entries, `[entries]`, for a picture at the unit vector `z`, by the lessons
    /// that look like it. Their sum stays 1.
    fn apply(&mut self, reach: LessonsPart, z: &[f32], vocabulary: &Vocabulary, probabilities: &mut [f32]) {
        if self.is_empty() {
            return;
        }
        self.likeness.clear();
        self.likeness.resize(vocabulary.kinds(), [0.0; 2]);
        for (known, cosine) in self.known.iter().zip(self.rows.cosines(z)) {
            let like = (-reach.sharpness * (1.0 - cosine)).exp();
            for (side, kind) in [known.right, known.wrong].into_iter().enumerate() {
                if let Some(kind) = kind {
                    let most = &mut self.likeness[kind][side];
                    *most = most.max(like);
                }
            }
        }
        for ((kind, _), p) in vocabulary.senses().zip(probabilities.iter_mut()) {
            let [best, worst] = self.likeness[kind];
            *p *= (reach.weight * (best - worst)).exp();
        }
        let sum: f32 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|p| *p /= sum);
    }
}

/// The head of one camera: a narrator, which several may share, and the lessons of this one.
#[derive(Debug)]
pub struct Taught<'a> {
    narrator: &'a RefCell<Narrator>,
    mark: String,
    lessons: Lessons,
    reach: LessonsPart,
    /// Share of the past in `recent`.
    smoothing: f32,
    /// Of the last picture, a unit vector.
    z: Box<[f32; EMBEDDING]>,
    /// As smoothed over pictures as what decides on speaking.
    recent: Vec<f32>,
    /// Cosine of the sentence that was nearest to the last picture.
    nearest: f32,
    /// How worth telling the last picture is, where the narrator says so.
    worth: Option<Worth>,
}

impl<'a> Taught<'a> {
    /// The narrator of this pack with these lessons.
    pub fn new(pack: &Pack, narrator: &'a RefCell<Narrator>, lessons: Lessons) -> Self {
        Self {
            narrator,
            mark: mark(pack),
            lessons,
            reach: pack.manifest.lessons,
            smoothing: pack.manifest.speak.smoothing,
            z: Box::new([0.0; EMBEDDING]),
            recent: Vec::with_capacity(EMBEDDING),
            nearest: 0.0,
            worth: None,
        }
    }

    /// What a lesson on the last pictures is made of.
    pub fn evidence(&self) -> Evidence {
        Evidence::new(&self.mark, &self.recent)
    }

    /// Cosine of the sentence that was nearest to the last picture.
    pub const fn nearest(&self) -> f32 {
        self.nearest
    }

    /// Goes on with another vocabulary, which the narrator has by then: `kinds` says for each of the old ones which it is now.
    pub fn relearn(&mut self, kinds: &[Option<usize>]) {
        self.lessons.renumber(kinds);
    }

    /// Bytes of all lessons that a camera may have, and of what it keeps for the next one.
    pub const fn bytes() -> usize {
        MOST_LESSONS * (EMBEDDING + size_of::<f32>() + size_of::<Known>()) + 2 * EMBEDDING * size_of::<f32>()
    }
}

impl Head for Taught<'_> {
    type Error = InferError;

    fn describe(&mut self, view: &MemoryView<'_>, probabilities: &mut [f32]) -> Result<(), InferError> {
        let mut narrator = self.narrator.borrow_mut();
        self.nearest = narrator.place(view, &mut self.z, probabilities)?;
        self.worth = narrator.worth();
        self.lessons.apply(self.reach, &*self.z, narrator.vocabulary(), probabilities);
        if self.recent.is_empty() {
            self.recent.extend_from_slice(&*self.z);
        }
        for (recent, z) in self.recent.iter_mut().zip(&*self.z) {
            *recent = self.smoothing * *recent + (1.0 - self.smoothing) * z;
        }
        Ok(())
    }

    fn worth(&self) -> Option<Worth> {
        self.worth
    }

    fn likeness(&self, entry: usize, other: usize) -> f32 {
        self.narrator.borrow().likeness(entry, other)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn tiny() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test")
    }

    fn vocabulary() -> Vocabulary {
        let folder = tiny();
        Vocabulary::read(&folder.join("vocabulary.toml"), &folder.join("vocabulary.bin")).expect("the pack is whole")
    }

    /// A unit vector that leans from axis `a` to axis `b`.
    fn lean(a: usize, b: usize, radians: f32) -> Vec<f32> {
        let mut z = vec![0.0; EMBEDDING];
        (z[a], z[b]) = (radians.cos(), radians.sin());
        z
    }

    const REACH: LessonsPart = LessonsPart { weight: 2.0, sharpness: 10.0 };

    fn even(vocabulary: &Vocabulary) -> Vec<f32> {
        vec![1.0 / vocabulary.len() as f32; vocabulary.len()]
    }

    fn of_kind(vocabulary: &Vocabulary, probabilities: &[f32], kind: usize) -> f32 {
        vocabulary.senses().zip(probabilities).filter(|((of, _), _)| *of == kind).map(|(_, p)| p).sum()
    }

    #[test]
    fn evidence_survives_its_text_and_nothing_else_is_taken_for_it() {
        let evidence = Evidence::new("0badcafe", &lean(3, 200, -0.4));
        let text = evidence.to_string();
        assert_eq!(text.len(), 9 + 768);
        assert_eq!(text.parse(), Ok(evidence));
        let zeros = format!("0badcafe.{}", "00".repeat(EMBEDDING));
        let foreign = text.replacen("7f", "7\u{e9}", 1);
        for wrong in ["", "0badcafe", &text[1..], &text[..text.len() - 1], &text.replace('.', ":"), &zeros, &foreign] {
            assert_eq!(wrong.parse::<Evidence>(), Err(NoEvidence), "{wrong}");
        }
    }

    #[test]
    fn a_lesson_counts_where_it_fits_and_fades_with_the_angle() {
        let vocabulary = vocabulary();
        let (sit, walk) = (vocabulary.kind_of("sit").expect("a kind"), vocabulary.kind_of("walk").expect("a kind"));
        let mut lessons = Lessons::default();
        assert!(lessons.add(Some(sit), None, &Evidence::new("0badcafe", &lean(0, 1, 0.0))));
        let before = of_kind(&vocabulary, &even(&vocabulary), sit);
        let mut after = |radians: f32| {
            let mut p = even(&vocabulary);
            lessons.apply(REACH, &lean(0, 1, radians), &vocabulary, &mut p);
            assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            (of_kind(&vocabulary, &p, sit), of_kind(&vocabulary, &p, walk))
        };
        // By hand: e^2 to 1 where it fits.
        let wanted = before * REACH.weight.exp() / (before * REACH.weight.exp() + 1.0 - before);
        let (exact, other) = after(0.0);
        assert!((exact - wanted).abs() < 1e-4 && other < before, "{exact} {wanted}");
        let (near, far) = (after(0.4).0, after(1.5).0);
        assert!(exact > near && near > far + 0.02, "{exact} {near} {far}");
        assert!((far - before).abs() < 1e-3, "{far} {before}");
        let wider = LessonsPart { weight: 4.0, sharpness: 5.0 };
        let mut p = even(&vocabulary);
        lessons.apply(wider, &lean(0, 1, 0.4), &vocabulary, &mut p);
        assert!(of_kind(&vocabulary, &p, sit) > exact, "a pack says how far a lesson reaches");
    }

    #[test]
    fn how_far_a_lesson_reaches_is_what_its_pack_says() {
        let mut pack = Pack::open(&tiny()).expect("the pack is whole");
        assert_eq!(pack.manifest.lessons, LessonsPart::default(), "this pack says nothing");
        pack.manifest.lessons = LessonsPart { weight: 4.0, sharpness: 5.0 };
        let narrator = RefCell::new(Narrator::load(&pack).expect("the pack is whole"));
        let taught = Taught::new(&pack, &narrator, Lessons::default());
        assert_eq!(taught.reach, pack.manifest.lessons);
    }

    #[test]
    fn what_was_denied_is_less_probable_where_it_looks_alike_and_the_best_lesson_counts_once() {
        let vocabulary = vocabulary();
        let fall = vocabulary.kind_of("fall").expect("a kind");
        let here = Evidence::new("0badcafe", &lean(0, 1, 0.0));
        let shift = |given: &[bool], radians: f32| {
            let mut lessons = Lessons::default();
            given.iter().for_each(|right| {
                let (right, wrong) = if *right { (Some(fall), None) } else { (None, Some(fall)) };
                assert!(lessons.add(right, wrong, &here));
            });
            let mut p = even(&vocabulary);
            lessons.apply(REACH, &lean(0, 1, radians), &vocabulary, &mut p);
            of_kind(&vocabulary, &p, fall)
        };
        let before = shift(&[], 0.0);
        assert!(shift(&[false], 0.0) < before / 4.0);
        assert!((shift(&[false], 1.5) - before).abs() < 1e-3);
        assert!((shift(&[true, true], 0.2) - shift(&[true], 0.2)).abs() < 1e-6);
        assert!((shift(&[true, false], 0.0) - before).abs() < 1e-6, "a contradiction says nothing");
        let lie = vocabulary.kind_of("lie").expect("a kind");
        let mut corrected = Lessons::default();
        assert!(corrected.add(Some(lie), Some(fall), &here));
        let mut p = even(&vocabulary);
        corrected.apply(REACH, &lean(0, 1, 0.0), &vocabulary, &mut p);
        assert!(
            of_kind(&vocabulary, &p, fall) < shift(&[false], 0.0),
            "what was said is denied, and another is more probable"
        );
        assert!(of_kind(&vocabulary, &p, lie) > 4.0 * of_kind(&vocabulary, &even(&vocabulary), lie));
    }

    #[test]
    fn lessons_follow_their_kinds_into_another_vocabulary() {
        let mut lessons = Lessons::default();
        for kind in [0, 2, 1] {
            let evidence = Evidence::new("0badcafe", &lean(kind, 100, 0.0));
            assert!(lessons.add((kind != 1).then_some(kind), (kind != 0).then_some(1), &evidence));
        }
        lessons.renumber(&[Some(0), None, Some(1)]);
        let known = |right, wrong| Known { right, wrong };
        assert_eq!(lessons.known, [known(Some(0), None), known(Some(1), None)]);
        assert!((lessons.rows.row(1)[2] - 1.0).abs() < 1e-6, "each with its own evidence");
    }

    #[test]
    fn an_embedding_knows_its_sentence() {
        let place = Evidence::of_text("the cat jumps", &lean(3, 4, 0.5));
        assert!(place.is_of_text("the cat jumps") && !place.is_of_text("the cat jumped"));
        assert_eq!(place.to_string().parse(), Ok(place));
    }

    #[test]
    fn examples_have_a_mean_and_those_of_other_models_have_none() {
        let at = |radians| Evidence::new("0badcafe", &lean(0, 1, radians));
        let mean = Evidence::mean([(&at(0.0), 1.0), (&at(0.8), 1.0)]).expect("they are alike");
        assert!(mean.cosine(&at(0.4)) > 0.999 && (mean.cosine(&at(0.0)) - 0.4f32.cos()).abs() < 0.01);
        let heavy = Evidence::mean([(&at(0.0), 9.0), (&at(0.8), 1.0)]).expect("they are alike");
        assert!(heavy.cosine(&at(0.0)) > mean.cosine(&at(0.0)));
        assert_eq!(Evidence::mean([(&at(0.0), 1.0), (&Evidence::new("00000000", &lean(0, 1, 0.0)), 1.0)]), None);
        assert_eq!(Evidence::mean([(&at(0.0), 1.0), (&at(std::f32::consts::PI), 1.0)]), None);
        assert_eq!(Evidence::mean([]), None);
    }

    #[test]
    fn there_is_an_end_to_lessons() {
        let mut lessons = Lessons::default();
        let evidence = Evidence::new("0badcafe", &lean(0, 1, 0.3));
        (0..MOST_LESSONS).for_each(|_| assert!(lessons.add(Some(0), None, &evidence)));
        assert!(!lessons.add(Some(0), None, &evidence));
        assert_eq!(lessons.len(), MOST_LESSONS);
    }
}
