//! What a camera sees from moment to moment, for the journal: where it lay in the vocabulary's space, whether or not anything was
//! said of it, and which of it had no name.

use ocelli_infer::{Pack, Taught, Vocabulary};
use ocelli_journal::{Ring, Vector};
use ocelli_pipeline::{Described, Mind, UnknownConfig, Unknowns};
use ocelli_types::{Micros, Severity};

use crate::journal::vector;
use crate::voice::Voice;

/// How often a moment is looked at, which is as long as what is said must last, and from which cosine on it is the one before.
/// Of what is seen in real clips a second apart half is less alike than 0.78.
const EVERY_US: Micros = Micros(400_000);
const SAME: f32 = 0.97;

/// After so long nobody knows what was between.
const GAP_US: Micros = Micros(2_000_000);

/// How long a moment may go on before its end is written.
pub const WRITTEN_US: Micros = Micros(5_000_000);

/// How long something must be without a name, and the shortest time from one such to the next. In 3 minutes of nine real clips
/// two are told so; with a second and ten seconds seven, most of them the way from one name to another.
const HOLD_US: Micros = Micros(1_500_000);
const APART_US: Micros = Micros(60_000_000);

/// What was seen for a while.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Stream time.
    pub start_us: Micros,
    /// Stream time.
    pub end_us: Micros,
    /// Probability that nothing went on.
    pub rest: f32,
    /// Cosine of the nearest sentence.
    pub nearest: f32,
    /// Where it lay.
    pub vector: Vector,
}

/// Of one camera.
#[derive(Debug)]
pub struct Moments {
    unknowns: Unknowns,
    open: Option<Moment>,
    written_us: Micros,
}

impl Moments {
    /// Nothing was seen yet.
    pub fn new(pack: &Pack, vocabulary: &Vocabulary) -> Self {
        let (least, floor) = (pack.manifest.speak.threshold, vocabulary.floor);
        let config = UnknownConfig { least, floor, hold_us: HOLD_US, apart_us: APART_US };
        Self { unknowns: Unknowns::new(config, rest(vocabulary)), open: None, written_us: Micros(0) }
    }

    /// Goes on with another vocabulary.
    pub fn relearn(&mut self, vocabulary: &Vocabulary) {
        self.unknowns.relearn(rest(vocabulary));
    }

    /// Takes the frame that `mind` took last, and whether something in it had changed.
    pub fn look(&mut self, camera: usize, mind: &Mind<Taught<'_>>, moved: bool, at_us: Micros, voice: &mut Voice) {
        if !voice.keeps() {
            return;
        }
        let (kinds, nearest) = (mind.kind_probabilities(), mind.head().nearest());
        let rest = self.unknowns.rest(kinds);
        let moment =
            |start_us| Moment { start_us, end_us: at_us, rest, nearest, vector: vector(&mind.head().evidence()) };
        if self.open.as_ref().is_none_or(|open| at_us.since(open.end_us) >= EVERY_US) {
            self.go_on(camera, moment(at_us), voice);
        }
        if let Some(since_us) = self.unknowns.look(&Described { at_us, kinds, nearest, moved }) {
            voice.keep_seen(camera, Ring::Unknowns, &moment(since_us));
        }
    }

    /// Goes on with the moment before where `now` is as good as that, and else begins the next one.
    fn go_on(&mut self, camera: usize, now: Moment, voice: &mut Voice) {
        match &mut self.open {
            Some(open)
                if now.end_us.since(open.end_us) < GAP_US
                    && now.vector.mark == open.vector.mark
                    && now.vector.cosine(&open.vector.values) >= SAME =>
            {
                open.end_us = now.end_us;
                if now.end_us.since(self.written_us) < WRITTEN_US {
                    return;
                }
            }
            open => {
                if let Some(before) = open.replace(now) {
                    voice.keep_seen(camera, Ring::Moments, &before);
                }
            }
        }
        let open = self.open.as_ref().expect("one was opened just now");
        self.written_us = open.end_us;
        voice.keep_seen(camera, Ring::Moments, open);
    }
}

/// Which kinds mean that nothing goes on: those of which nothing is worth telling.
fn rest(vocabulary: &Vocabulary) -> Vec<bool> {
    let mut rest = vec![true; vocabulary.kinds()];
    for (kind, severity) in vocabulary.senses() {
        rest[kind] &= severity == Severity::None;
    }
    rest
}
