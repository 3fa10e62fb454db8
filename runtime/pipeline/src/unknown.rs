//! What went on for a while and had no name, so that a person can give it one (VLog's vocabulary update begins there; it has a
//! captioner name it, which a small device has not).
//!
//! A frame is without a name where something moved within the last second, rest is improbable, and either no kind of happening
//! has the probability that is asked for, or what is seen lies further than a floor from every sentence. A time of such frames is
//! unknown once it has lasted; a name of less than [`BLINK_US`] does not end it. It is told once, and the next one not before some
//! time is over: who looks at a list of them looks at few.

use alloc::vec::Vec;

use ocelli_types::Micros;

/// A name for so long is a flicker.
const BLINK_US: Micros = Micros(600_000);

/// What moved so long ago still counts.
const MOVED_US: Micros = Micros(1_000_000);

/// From this probability on nothing goes on.
const REST: f32 = 0.5;

/// When something is unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnknownConfig {
    /// Smoothed probability from which a kind is a name.
    pub least: f32,
    /// Cosine from which a sentence is.
    pub floor: f32,
    /// For how long there must be none.
    pub hold_us: Micros,
    /// The shortest time from one to the next.
    pub apart_us: Micros,
}

/// One frame, as it was described.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// When it was captured.
    pub at_us: Micros,
    /// Smoothed probability of each kind, `[kinds]`.
    pub kinds: &'a [f32],
    /// Cosine of the nearest sentence.
    pub nearest: f32,
    /// Whether something in it had changed.
    pub moved: bool,
}

/// Of one camera.
#[derive(Clone, Debug)]
pub struct Unknowns {
    config: UnknownConfig,
    /// Which kinds are rest, `[kinds]`.
    rest: Vec<bool>,
    moved_us: Option<Micros>,
    /// The first and the last frame of those without a name.
    open: Option<(Micros, Micros)>,
    told_us: Option<Micros>,
    /// Whether the open one was told.
    told: bool,
}

impl Unknowns {
    /// Nothing was seen yet. `rest` says of each kind whether it means that nothing goes on.
    pub const fn new(config: UnknownConfig, rest: Vec<bool>) -> Self {
        Self { config, rest, moved_us: None, open: None, told_us: None, told: false }
    }

    /// Goes on with other kinds.
    pub fn relearn(&mut self, rest: Vec<bool>) {
        self.rest = rest;
    }

    /// Probability that nothing goes on.
    ///
    /// # Panics
    /// If there is not one probability per kind, as in [`look`](Self::look).
    pub fn rest(&self, kinds: &[f32]) -> f32 {
        assert_eq!(kinds.len(), self.rest.len(), "there should be one probability per kind");
        kinds.iter().zip(&self.rest).filter(|(_, rest)| **rest).map(|(p, _)| p).sum()
    }

    /// Takes a frame; gives since when what goes on has no name, once for each time of it.
    pub fn look(&mut self, frame: &Described<'_>) -> Option<Micros> {
        let Described { at_us, kinds, nearest, moved } = *frame;
        if moved {
            self.moved_us = Some(at_us);
        }
        let moves = self.moved_us.is_some_and(|moved_us| at_us.since(moved_us) <= MOVED_US);
        let best = kinds.iter().zip(&self.rest).filter(|(_, rest)| !**rest).fold(0.0f32, |best, (p, _)| best.max(*p));
        let named = best >= self.config.least && nearest >= self.config.floor;
        if !moves || named || self.rest(kinds) >= REST {
            if self.open.is_some_and(|(_, last_us)| at_us.since(last_us) > BLINK_US) {
                (self.open, self.told) = (None, false);
            }
            return None;
        }
        let (since_us, last_us) = self.open.get_or_insert((at_us, at_us));
        *last_us = at_us;
        let since_us = *since_us;
        let soon = self.told_us.is_some_and(|told_us| at_us.since(told_us) < self.config.apart_us);
        if self.told || soon || at_us.since(since_us) < self.config.hold_us {
            return None;
        }
        (self.told, self.told_us) = (true, Some(at_us));
        Some(since_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: UnknownConfig =
        UnknownConfig { least: 0.2, floor: 0.2, hold_us: Micros(1_000_000), apart_us: Micros(10_000_000) };

    struct Story {
        unknowns: Unknowns,
        frame: u64,
        told: Vec<(u64, u64)>,
    }

    impl Story {
        fn new() -> Self {
            Self { unknowns: Unknowns::new(CONFIG, vec![true, false, false]), frame: 0, told: Vec::new() }
        }

        /// Frames, five a second, of rest, walk and sit.
        fn sees(&mut self, kinds: [f32; 3], nearest: f32, moved: bool, frames: u64) -> &mut Self {
            for _ in 0..frames {
                let at_us = Micros(self.frame * 200_000);
                let told = self.unknowns.look(&Described { at_us, kinds: &kinds, nearest, moved });
                self.told.extend(told.map(|since_us| (since_us.0 / 100_000, at_us.0 / 100_000)));
                self.frame += 1;
            }
            self
        }
    }

    const WALK: [f32; 3] = [0.1, 0.8, 0.1];
    const WHAT: [f32; 3] = [0.1, 0.15, 0.1];

    #[test]
    fn what_has_no_name_for_a_while_is_told_once() {
        let mut story = Story::new();
        story.sees(WALK, 0.3, true, 10).sees(WHAT, 0.3, true, 30);
        assert_eq!(story.told, [(20, 30)]);
        // A flicker does not begin another, and neither does the same again soon.
        story.sees(WALK, 0.3, true, 2).sees(WHAT, 0.3, true, 5).sees(WALK, 0.3, true, 10).sees(WHAT, 0.3, true, 7);
        assert_eq!(story.told.len(), 1);
        story.sees(WALK, 0.3, true, 30).sees(WHAT, 0.3, true, 10);
        assert_eq!(story.told.len(), 2);
    }

    #[test]
    fn what_lies_far_from_all_sentences_has_no_name_however_probable() {
        let mut story = Story::new();
        story.sees(WALK, 0.1, true, 10);
        assert_eq!(story.told, [(0, 10)]);
    }

    #[test]
    fn rest_and_stillness_are_no_unknowns() {
        assert!(Story::new().sees([0.5, 0.1, 0.1], 0.1, true, 50).told.is_empty());
        assert!(Story::new().sees(WHAT, 0.1, false, 50).told.is_empty());
        assert!(Story::new().sees(WHAT, 0.3, true, 5).told.is_empty(), "too short");
    }
}
