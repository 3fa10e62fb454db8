//! What the head made of a stretch of time: the sentences that were most probable in it, and when each was at its most.

use heapless::Vec;
use ocelli_types::{EntryId, Micros};

/// Sentences of one stretch.
const SENTENCES: usize = 8;

/// No sentence that is less probable than this is noted.
const LEAST: f32 = 0.1;

/// A sentence at its most probable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Index in the vocabulary.
    pub sentence: u16,
    /// Its probability then.
    pub probability: f32,
    /// When.
    pub at_us: Micros,
    /// The entry that was the newest then.
    pub entry: EntryId,
}

/// The most probable sentences of a stretch of time, each once. The least probable goes where there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Trace {
    peaks: [Option<Peak>; SENTENCES],
}

impl Trace {
    pub const fn new() -> Self {
        Self { peaks: [None; SENTENCES] }
    }

    /// Notes the probabilities of one frame.
    pub fn hear(&mut self, probabilities: &[f32], entry: EntryId, at_us: Micros) {
        for (sentence, probability) in (0..=u16::MAX).zip(probabilities) {
            if *probability >= LEAST {
                self.note(Peak { sentence, probability: *probability, at_us, entry });
            }
        }
    }

    /// Notes one peak.
    pub fn note(&mut self, peak: Peak) {
        let same = |held: &&mut Option<Peak>| held.is_some_and(|held| held.sentence == peak.sentence);
        let least = |held: &Option<Peak>| held.map_or(f32::NEG_INFINITY, |held| held.probability);
        let place = match self.peaks.iter_mut().find(same) {
            Some(place) => Some(place),
            None => self.peaks.iter_mut().min_by(|a, b| least(a).total_cmp(&least(b))),
        };
        if let Some(place) = place
            && peak.probability > least(place)
        {
            *place = Some(peak);
        }
    }

    /// Notes all of another stretch.
    pub fn merge(&mut self, other: &Self) {
        other.peaks().for_each(|peak| self.note(peak));
    }

    /// What is noted, in no order.
    pub fn peaks(&self) -> impl Iterator<Item = Peak> {
        self.peaks.into_iter().flatten()
    }
}

/// Where a [`Recalled`] came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The scene that is going on.
    Open,
    /// A closed segment.
    Segment,
    /// The abstract memory, which outlives segments.
    Abstract,
}

/// A moment at which a sentence was probable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recalled {
    /// The moment.
    pub peak: Peak,
    /// What remembers it.
    pub tier: Tier,
}

/// The most moments that one question recalls.
pub const MOST_RECALLED: usize = 16;

/// Moments, most probable first, each entry once.
#[derive(Debug, Default)]
pub(super) struct Ranking(Vec<Recalled, MOST_RECALLED>);

impl Ranking {
    pub fn add(&mut self, recalled: Recalled) {
        if self.0.iter().any(|known| known.peak.entry == recalled.peak.entry) {
            return;
        }
        let place = self.0.iter().position(|known| known.peak.probability < recalled.peak.probability);
        let place = place.unwrap_or(self.0.len());
        if self.0.is_full() {
            if place == self.0.len() {
                return;
            }
            self.0.pop();
        }
        self.0.insert(place, recalled).expect("there should be room");
    }

    pub fn into_inner(self) -> Vec<Recalled, MOST_RECALLED> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak(sentence: u16, probability: f32, at: u64) -> Peak {
        Peak { sentence, probability, at_us: Micros(at), entry: EntryId(at) }
    }

    #[test]
    fn each_sentence_is_kept_at_its_most() {
        let mut trace = Trace::new();
        trace.hear(&[0.5, 0.05, 0.45], EntryId(1), Micros(1));
        trace.hear(&[0.2, 0.0, 0.8], EntryId(2), Micros(2));
        let mut peaks: std::vec::Vec<Peak> = trace.peaks().collect();
        peaks.sort_by_key(|peak| peak.sentence);
        assert_eq!(peaks, [peak(0, 0.5, 1), peak(2, 0.8, 2)]);
    }

    #[test]
    fn the_least_probable_goes() {
        let mut trace = Trace::new();
        for sentence in 0..20 {
            trace.note(peak(sentence, 0.1 + 0.01 * f32::from(sentence * 7 % 20), u64::from(sentence)));
        }
        assert_eq!(trace.peaks().count(), SENTENCES);
        assert!(trace.peaks().all(|peak| peak.probability >= 0.1 + 0.01 * 11.5));
    }

    #[test]
    fn a_ranking_is_sorted_and_names_each_moment_once() {
        let mut ranking = Ranking::default();
        for at in [3, 9, 1, 9] {
            ranking.add(Recalled { peak: peak(0, at as f32 / 10.0, at), tier: Tier::Segment });
        }
        (20..60).for_each(|at| ranking.add(Recalled { peak: peak(0, 0.2, at), tier: Tier::Abstract }));
        let found = ranking.into_inner();
        assert_eq!(found.len(), MOST_RECALLED);
        assert!(found.is_sorted_by(|a, b| a.peak.probability >= b.peak.probability));
        assert_eq!((found[0].peak.at_us, found[1].peak.at_us), (Micros(9), Micros(3)));
    }
}
