//! When to speak: a thing is said once, when it has been seen for long enough to be sure of, and not again while it
//! lasts. Fed once a frame; `tools/train/speak.py` is the same policy, for calibration.
//!
//! Each kind of happening (walk, sit, fall, silence) has the summed probability of its vocabulary entries,
//! smoothed over frames. The kind furthest above its threshold is the candidate; one that stays the candidate for its
//! hold-off becomes current, and becoming current is what is said, as far as it is worth telling (`telling.rs`). Silence is a kind
//! like any other, of which nothing is said: saying nothing is an answer.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ocelli_types::{EntryId, EventKind, Micros, Relation, Severity, Worth};

use crate::ConfigError;
use crate::telling::{About, Telling, Told, Verbosity};

/// The kind of which nothing is said. Every other kind is data.
pub const SILENCE: &str = "silence";

/// A new scene is not told of before it has been seen for so long.
const SETTLES_US: Micros = Micros(1_000_000);

/// Nobody is surer than this, nor that it is not so.
const NEVER: f32 = 1e-4;

/// How sure and for how long, before a kind is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speak {
    /// Smoothed probability needed, 0 to 1.
    pub threshold: f32,
    /// Time for which it must stay the candidate.
    pub hold_off_us: Micros,
}

/// The `[speak]` table of a pack.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakConfig<'a> {
    /// Share of the past in the smoothed probability, 0 or more and less than 1.
    pub smoothing: f32,
    /// For kinds without values of their own.
    pub default: Speak,
    /// Kinds with values of their own, by name.
    pub kinds: &'a [(&'a str, Speak)],
    /// How a score follows from a smoothed probability.
    pub calibration: Calibration<'a>,
    /// Kinds that say who is there, which are told however little is.
    pub who: &'a [&'a str],
    /// Kinds that say how things are, not people.
    pub things: &'a [&'a str],
    /// From where on the head itself finds something worth telling; `None` for one that does not say.
    pub news: Option<News>,
}

/// When something is worth telling by a head that says so (`MMDuet`, Wang et al. 2024): its two scores together reach the threshold, or the
/// informative ones add up to `cumulative` since something was told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct News {
    /// Of the sum of both, 0 to 2.
    pub threshold: f32,
    /// Of the sum over pictures, above 0.
    pub cumulative: f32,
}

/// From the smoothed probability p of what is said to the probability that it is right (Platt's scaling):
/// `1 / (1 + exp(-(slope ln(p / (1 - p)) + offset of the kind)))`. By default p itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration<'a> {
    /// For all kinds; above 0.
    pub slope: f32,
    /// For kinds without one of their own.
    pub offset: f32,
    /// Kinds with an offset of their own, by name.
    pub offsets: &'a [(&'a str, f32)],
}

impl Default for Calibration<'_> {
    fn default() -> Self {
        Self { slope: 1.0, offset: 0.0, offsets: &[] }
    }
}

/// What the policy knows of the vocabulary: numbers, and no words. Its lists are shared by all that are made of one.
#[derive(Clone, Debug)]
pub struct Lexicon {
    smoothing: f32,
    slope: f32,
    /// Kinds up to the last one that has something of its own.
    kinds: Arc<[Kind]>,
    /// All others, as a user's sentences are, which may be a hundred thousand.
    other: Kind,
    /// How many kinds there are.
    count: usize,
    entries: Arc<[Entry]>,
    news: Option<News>,
    verbosity: Verbosity,
    /// The first entries, of which scenes are remembered; those behind may go, and their numbers with them.
    lasting: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Kind {
    speak: Speak,
    silent: bool,
    offset: f32,
    about: About,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: u32,
    severity: Severity,
}

impl Lexicon {
    /// The vocabulary with kinds named `kinds`, and for each entry the index of its kind and its severity.
    ///
    /// # Errors
    /// No entries; a kind without entries; an entry without a kind; a number out of its range.
    pub fn new(
        config: &SpeakConfig<'_>,
        kinds: impl IntoIterator<Item = impl AsRef<str>>,
        entries: impl IntoIterator<Item = (usize, Severity)>,
    ) -> Result<Self, ConfigError> {
        check_numbers(config)?;
        let Calibration { slope, offset, offsets } = config.calibration;
        let other = Kind { speak: config.default, silent: false, offset, about: About::Deed };
        let (mut own, mut count) = (Vec::new(), 0);
        // What the config says something of, and whether there is such a kind.
        let mut named: Vec<(&str, Option<usize>)> =
            config.kinds.iter().map(|(name, _)| *name).chain(offsets.iter().map(|(name, _)| *name)).map(none).collect();
        named.extend(config.who.iter().chain(config.things).copied().map(none));
        for kind in kinds {
            let name = kind.as_ref();
            named.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, found)| *found = Some(count));
            let about = match () {
                () if config.who.contains(&name) => About::Who,
                () if config.things.contains(&name) => About::Thing,
                () => About::Deed,
            };
            let speak = own_of(config.kinds, name).unwrap_or(config.default);
            let offset = own_of(offsets, name).unwrap_or(offset);
            let kind = Kind { speak, silent: name == SILENCE, offset, about };
            if kind != other {
                own.resize(count, other);
                own.push(kind);
            }
            count += 1;
        }
        let (mut said, mut list) = (vec![false; count], Vec::new());
        for (entry, (kind, severity)) in entries.into_iter().enumerate() {
            *said.get_mut(kind).ok_or(ConfigError::NoSuchKind { entry, kind, kinds: count })? = true;
            list.push(Entry { kind: kind as u32, severity });
        }
        if list.is_empty() {
            return Err(ConfigError::EmptyVocabulary);
        }
        let is_said = |found: &Option<usize>| found.is_some_and(|kind| said[kind]);
        if let Some((name, _)) = named.iter().find(|(_, found)| !is_said(found)) {
            return Err(ConfigError::UnknownKind { kind: name.to_string() });
        }
        if let Some(kind) = said.iter().position(|said| !said) {
            return Err(ConfigError::UnknownKind { kind: kind.to_string() });
        }
        Ok(Self {
            smoothing: config.smoothing,
            slope,
            kinds: own.into(),
            other,
            count,
            lasting: list.len(),
            entries: list.into(),
            news: config.news,
            verbosity: Verbosity::default(),
        })
    }

    /// Whether one of its entries raises an alert.
    fn alarms(&self, kind: usize) -> bool {
        self.entries.iter().any(|entry| entry.kind as usize == kind && entry.severity == Severity::Alarm)
    }

    fn kind(&self, kind: usize) -> &Kind {
        self.kinds.get(kind).unwrap_or(&self.other)
    }

    /// The same where only the first `entries` keep their numbers for as long as scenes are remembered.
    #[must_use]
    pub fn lasting(self, entries: usize) -> Self {
        Self { lasting: entries.min(self.entries.len()), ..self }
    }

    /// The same, of which so much is told; [`Verbosity::Normal`] without.
    #[must_use]
    pub fn telling(self, verbosity: Verbosity) -> Self {
        Self { verbosity, ..self }
    }

    /// Probability that what is said of a kind with this smoothed probability is right.
    fn calibrated(&self, kind: usize, smoothed: f32) -> f32 {
        // Sums of f32 probabilities may come to a millionth more than 1.
        let p = smoothed.clamp(NEVER, 1.0 - NEVER);
        let logit = self.slope * libm::logf(p / (1.0 - p)) + self.kind(kind).offset;
        1.0 / (1.0 + libm::expf(-logit))
    }

    /// Number of vocabulary entries.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// What so many entries and kinds take, of which most have nothing of their own.
    pub const fn bytes(entries: usize) -> usize {
        entries * size_of::<Entry>()
    }
}

fn none(name: &str) -> (&str, Option<usize>) {
    (name, None)
}

/// What a kind has of its own.
fn own_of<T: Copy>(of: &[(&str, T)], kind: &str) -> Option<T> {
    of.iter().find(|(name, _)| *name == kind).map(|(_, value)| *value)
}

fn check_numbers(config: &SpeakConfig<'_>) -> Result<(), ConfigError> {
    let SpeakConfig { smoothing, default, kinds, calibration, news, .. } = config;
    if !(0.0..1.0).contains(smoothing) {
        return Err(ConfigError::Speak { key: "smoothing", value: *smoothing, range: "from 0 to less than 1" });
    }
    if !(calibration.slope > 0.0 && calibration.slope.is_finite()) {
        return Err(ConfigError::Speak { key: "slope", value: calibration.slope, range: "above 0" });
    }
    let mut offsets = calibration.offsets.iter().map(|(_, offset)| *offset).chain([calibration.offset]);
    if let Some(value) = offsets.find(|offset| !offset.is_finite()) {
        return Err(ConfigError::Speak { key: "offset", value, range: "a number" });
    }
    if let Some(News { threshold, cumulative }) = *news {
        if !(0.0..=2.0).contains(&threshold) {
            return Err(ConfigError::Speak { key: "news threshold", value: threshold, range: "from 0 to 2" });
        }
        if !(cumulative > 0.0 && cumulative.is_finite()) {
            return Err(ConfigError::Speak { key: "news cumulative", value: cumulative, range: "above 0" });
        }
    }
    let mut thresholds = kinds.iter().map(|(_, speak)| speak.threshold).chain([default.threshold]);
    match thresholds.find(|threshold| !(0.0..=1.0).contains(threshold)) {
        Some(value) => Err(ConfigError::Speak { key: "threshold", value, range: "from 0 to 1" }),
        None => Ok(()),
    }
}

/// Something said, with the evidence for it. The words are the vocabulary's: entry `entry`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spoken {
    /// Narration, alert or end of alert.
    pub kind: EventKind,
    /// Vocabulary entry.
    pub entry: u32,
    /// When it was first the candidate; for the end of an alert, when the alert started.
    pub start_us: Micros,
    /// When it was sure enough to say; for the end of an alert, when it was over.
    pub end_us: Micros,
    /// Probability that it is right, 0 to 1, as calibrated; for the end of an alert, of the kind that ended it.
    pub score: f32,
    /// Memory entry at `start_us`.
    pub from: EntryId,
    /// Memory entry at `end_us`.
    pub to: EntryId,
    /// How a narration stands to those before.
    pub relation: Option<Relation>,
}

/// What one step says: two at most (a narration, and an alert or the end of one).
pub type EventBuf = heapless::Vec<Spoken, 4>;

/// The frame that the probabilities are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its memory entry.
    pub entry: EntryId,
    /// When it was captured.
    pub captured_us: Micros,
}

/// A kind and when it became the candidate.
#[derive(Clone, Copy, Debug)]
struct Pending {
    kind: usize,
    since: Seen,
}

/// The policy's state for one stream.
#[derive(Debug)]
pub struct SpeakPolicy {
    lexicon: Lexicon,
    /// Smoothed probability of each kind, `[kinds]`; empty before the first frame.
    smoothed: Vec<f32>,
    /// Probability of each kind in this frame, `[kinds]`.
    fresh: Vec<f32>,
    pending: Option<Pending>,
    current: Option<usize>,
    /// The alert that is open.
    alert: Option<Spoken>,
    telling: Telling,
    moving: bool,
    /// Whether a new scene begins with the next picture, and until when the newest one settles.
    begins: bool,
    settles_us: Micros,
    /// What the head found of the next picture to be heard of, and the sum of what was informative since something was told.
    worth: Option<Worth>,
    news: f32,
}

impl SpeakPolicy {
    /// A policy that has seen nothing.
    pub fn new(lexicon: Lexicon) -> Self {
        let (kinds, telling) = (lexicon.count, Telling::new(lexicon.verbosity));
        Self {
            lexicon,
            telling,
            smoothed: Vec::with_capacity(kinds),
            fresh: vec![0.0; kinds],
            pending: None,
            current: None,
            alert: None,
            moving: false,
            begins: false,
            settles_us: Micros(0),
            worth: None,
            news: 0.0,
        }
    }

    /// Says whether the camera itself moves in the pictures that come. Then nothing but an alarm is told, and nothing ends an alert: each
    /// place shows something else in each picture, which the head takes for what people do.
    pub const fn moves(&mut self, moving: bool) {
        self.moving = moving;
    }

    /// A new scene begins with the next picture: what was told of the one before is none of it. Until the head has seen it for a while, and
    /// not the step from one to the other, nothing but an alarm is told. An alert stays open.
    pub fn begins(&mut self) {
        self.smoothed.clear();
        (self.pending, self.current) = (None, None);
        self.begins = true;
        self.telling.begins();
    }

    /// Says how worth telling the next picture is, where the head says so.
    pub const fn finds(&mut self, worth: Option<Worth>) {
        self.worth = worth;
    }

    /// Takes the probability of each entry in one frame, `[entries]`, and adds what is to be said to `events`; `likeness` says how
    /// alike two entries are in what they mean, as [`Head::likeness`](ocelli_types::Head::likeness).
    ///
    /// # Panics
    /// If there is not one probability per entry, or no room for two events.
    pub fn hear(
        &mut self,
        probabilities: &[f32],
        seen: Seen,
        likeness: impl Fn(usize, usize) -> f32,
        events: &mut EventBuf,
    ) {
        assert_eq!(probabilities.len(), self.lexicon.entries.len(), "there should be one probability per entry");
        self.smooth(probabilities);
        self.news += self.worth.map_or(0.0, |worth| worth.informative);
        if core::mem::take(&mut self.begins) {
            self.settles_us = seen.captured_us + SETTLES_US;
        }
        let is_unsettled = self.moving || seen.captured_us < self.settles_us;
        let Some(kind) = self.candidate().filter(|kind| !is_unsettled || self.lexicon.alarms(*kind)) else {
            self.pending = None;
            return;
        };
        let pending = match self.pending {
            Some(pending) if pending.kind == kind => pending,
            _ => *self.pending.insert(Pending { kind, since: seen }),
        };
        let held_us = seen.captured_us.since(pending.since.captured_us);
        let due = self.current != Some(kind) && held_us >= self.lexicon.kind(kind).speak.hold_off_us;
        if due && self.is_news(kind) {
            (self.current, self.news) = (Some(kind), 0.0);
            if !self.lexicon.kind(kind).silent {
                self.say(probabilities, pending, seen, likeness, events);
            }
        } else if self.current == Some(kind) {
            let score = self.lexicon.calibrated(kind, self.smoothed[kind]);
            events.extend(self.telling.goes_on(kind, score, seen));
        }
    }

    /// Tells so much from now on, whatever the lexicon says.
    pub const fn tell_by(&mut self, verbosity: Verbosity) {
        self.telling.tell_by(verbosity);
    }

    /// Goes on with another vocabulary: `kinds` and `entries` say for each of the old ones which it is now. What is smoothed,
    /// waited for and current stays, as far as its kind does. An alert whose sentence has gone is over at `at_us`, which is given
    /// back, in the old numbers.
    ///
    /// # Panics
    /// If there is not one number per old kind, or one is not of the new lexicon.
    pub fn relearn(
        &mut self,
        lexicon: Lexicon,
        kinds: &[Option<usize>],
        entries: &[Option<usize>],
        at_us: Micros,
    ) -> Option<Spoken> {
        assert_eq!(kinds.len(), self.lexicon.count, "each old kind should have an answer");
        let count = lexicon.count;
        let mut smoothed = Vec::with_capacity(count);
        if !self.smoothed.is_empty() {
            smoothed.resize(count, 0.0);
            for (held, now) in self.smoothed.iter().zip(kinds) {
                if let Some(now) = now {
                    smoothed[*now] = *held;
                }
            }
        }
        self.smoothed = smoothed;
        self.fresh = vec![0.0; count];
        self.pending = self.pending.and_then(|held| Some(Pending { kind: kinds[held.kind]?, ..held }));
        self.current = self.current.and_then(|kind| kinds[kind]);
        self.telling.relearn(kinds, entries);
        self.lexicon = lexicon;
        let held = self.alert?;
        let now = entries.get(held.entry as usize).copied().flatten();
        self.alert = now.map(|now| Spoken { entry: now as u32, ..held });
        self.alert.is_none().then_some(Spoken { kind: EventKind::AlertEnd, end_us: at_us, ..held })
    }

    /// Of how many entries, the first ones, scenes are remembered.
    pub fn lasting(&self) -> usize {
        self.lexicon.lasting
    }

    /// Smoothed probability of each kind in the last frame, `[kinds]`; empty before the first.
    pub fn smoothed(&self) -> &[f32] {
        &self.smoothed
    }

    fn smooth(&mut self, probabilities: &[f32]) {
        self.fresh.fill(0.0);
        for (entry, probability) in self.lexicon.entries.iter().zip(probabilities) {
            self.fresh[entry.kind as usize] += probability;
        }
        if self.smoothed.is_empty() {
            self.smoothed.extend_from_slice(&self.fresh);
            return;
        }
        let past = self.lexicon.smoothing;
        for (smoothed, fresh) in self.smoothed.iter_mut().zip(&self.fresh) {
            *smoothed = past * *smoothed + (1.0 - past) * fresh;
        }
    }

    /// Whether a kind is worth telling now. Alarms are, and silence needs no telling.
    fn is_news(&self, kind: usize) -> bool {
        let (Some(News { threshold, cumulative }), Some(worth)) = (self.lexicon.news, self.worth) else { return true };
        self.lexicon.kind(kind).silent
            || self.lexicon.alarms(kind)
            || worth.informative + worth.relevant >= threshold
            || self.news >= cumulative
    }

    /// The kind furthest above its threshold, or at it; of equals the first.
    fn candidate(&self) -> Option<usize> {
        let kinds = self.lexicon.kinds.iter().chain(core::iter::repeat(&self.lexicon.other));
        let margins = self.smoothed.iter().zip(kinds).map(|(score, kind)| score - kind.speak.threshold);
        first_largest(margins).filter(|&(_, margin)| margin >= 0.0).map(|(kind, _)| kind)
    }

    fn say(
        &mut self,
        probabilities: &[f32],
        pending: Pending,
        seen: Seen,
        likeness: impl Fn(usize, usize) -> f32,
        events: &mut EventBuf,
    ) {
        let entry = self.most_probable(pending.kind, probabilities);
        let narration = Spoken {
            kind: EventKind::Narration,
            entry: entry as u32,
            start_us: pending.since.captured_us,
            end_us: seen.captured_us,
            score: self.lexicon.calibrated(pending.kind, self.smoothed[pending.kind]),
            from: pending.since.entry,
            to: seen.entry,
            relation: None,
        };
        let (kind, severity) = (pending.kind, self.lexicon.entries[entry].severity);
        // What raises an alert is told beside it.
        let must = severity == Severity::Alarm && self.alert.is_none();
        let about = self.lexicon.kind(kind).about;
        let new = Told { kind, about, severity, said: narration, held_us: seen.captured_us };
        let holds = |kind: usize| self.smoothed[kind] >= self.lexicon.kind(kind).speak.threshold;
        events.extend(self.telling.weigh(new, must, holds, likeness));
        match (severity, self.alert) {
            (Severity::Alarm, None) => {
                let alert = Spoken { kind: EventKind::Alert, ..narration };
                self.alert = Some(alert);
                add(events, alert);
            }
            (severity, Some(alert)) if severity < Severity::Notice => {
                self.alert = None;
                let Spoken { end_us, score, to, .. } = narration;
                add(events, Spoken { kind: EventKind::AlertEnd, end_us, score, to, ..alert });
            }
            _ => {}
        }
    }

    fn most_probable(&self, kind: usize, probabilities: &[f32]) -> usize {
        // An entry of another kind never wins, as no probability is below 0.
        let of_kind = self.lexicon.entries.iter().zip(probabilities);
        let of_kind = of_kind.map(|(entry, probability)| if entry.kind as usize == kind { *probability } else { -1.0 });
        first_largest(of_kind).map_or(0, |(entry, _)| entry)
    }
}

/// Index and value of the largest, the first of equals; what is not a number is not large.
fn first_largest(values: impl Iterator<Item = f32>) -> Option<(usize, f32)> {
    values.enumerate().fold(None, |best, (index, value)| match best {
        Some((_, largest)) if value > largest => Some((index, value)),
        None => Some((index, value)),
        best => best,
    })
}

fn add(events: &mut EventBuf, spoken: Spoken) {
    events.push(spoken).expect("a step should say two things at most");
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&str; 7] = ["nobody", "walk", "fall", "lie", "get_up", "stand", SILENCE];
    /// Entry by entry; a fall can be said in two ways.
    const ENTRIES: [(usize, Severity); 8] = [
        (0, Severity::None),
        (1, Severity::Info),
        (2, Severity::Alarm),
        (3, Severity::Notice),
        (4, Severity::Info),
        (5, Severity::Info),
        (6, Severity::None),
        (2, Severity::Alarm),
    ];
    const DEFAULT: Speak = Speak { threshold: 0.5, hold_off_us: Micros(600_000) };
    const FALL: Speak = Speak { threshold: 0.4, hold_off_us: Micros(200_000) };
    const CONFIG: SpeakConfig<'_> = SpeakConfig {
        smoothing: 0.5,
        default: DEFAULT,
        kinds: &[("fall", FALL)],
        calibration: PLAIN,
        who: &["nobody"],
        things: &[],
        news: None,
    };
    const PLAIN: Calibration<'_> = Calibration { slope: 1.0, offset: 0.0, offsets: &[] };
    const FRAME_US: u64 = 200_000;

    fn lexicon() -> Lexicon {
        Lexicon::new(&CONFIG, KINDS, ENTRIES).expect("a valid vocabulary")
    }

    /// A policy at 5 frames a second, and what it said as lines.
    struct Story {
        policy: SpeakPolicy,
        frame: u64,
        said: Vec<String>,
        events: Vec<Spoken>,
    }

    impl Story {
        fn new() -> Self {
            Self { policy: SpeakPolicy::new(lexicon()), frame: 0, said: Vec::new(), events: Vec::new() }
        }

        /// `frames` frames in which `kind` is 0.9 sure.
        fn sees(&mut self, kind: &str, frames: usize) -> &mut Self {
            let kind = KINDS.iter().position(|name| *name == kind).expect("a kind of this vocabulary");
            let mut probabilities = [0.1 / 7.0; 8];
            probabilities[kind] = 0.9;
            self.hears(&probabilities, frames)
        }

        /// `frames` frames in which nothing is likely enough.
        fn sees_nothing_certain(&mut self, frames: usize) -> &mut Self {
            self.hears(&[0.125; 8], frames)
        }

        fn hears(&mut self, probabilities: &[f32; 8], frames: usize) -> &mut Self {
            for _ in 0..frames {
                let seen = Seen { entry: EntryId(self.frame + 1), captured_us: Micros(self.frame * FRAME_US) };
                let mut events = EventBuf::new();
                self.policy.hear(probabilities, seen, |a, b| if a == b { 1.0 } else { 0.0 }, &mut events);
                self.frame += 1;
                self.said.extend(events.iter().map(|spoken| {
                    let (kind, _) = ENTRIES[spoken.entry as usize];
                    let (start, end) = (spoken.start_us.seconds(), spoken.end_us.seconds());
                    format!("{start:.1}-{end:.1} {} {}", spoken.kind.name(), KINDS[kind])
                }));
                self.events.extend(events);
            }
            self
        }
    }

    #[test]
    fn what_a_new_scene_shows_is_told_anew_and_an_alert_stays_open() {
        let mut story = Story::new();
        story.sees("walk", 10);
        story.policy.begins();
        story.sees("walk", 10).sees("fall", 4);
        story.policy.begins();
        story.sees("fall", 4).sees("walk", 10);
        let told = [
            "0.0-0.6 narration walk",
            "3.0-3.6 narration walk",
            "4.0-4.2 narration fall",
            "4.0-4.2 alert fall",
            "4.8-5.0 narration fall",
            "5.8-6.4 narration walk",
            "4.0-6.4 alert_end fall",
        ];
        assert_eq!(story.said, told, "what alarms does not wait until a scene has settled");
        assert!(story.events.iter().all(|spoken| spoken.relation.is_none()), "nothing was told of this scene before");
    }

    #[test]
    fn somebody_walks_falls_lies_and_gets_up() {
        let mut story = Story::new();
        story.sees("walk", 10).sees("fall", 4).sees("lie", 20).sees("get_up", 5).sees("walk", 10);
        // Smoothing costs the frame in which two kinds are equally likely, hence 3.0 and not 2.8.
        let told = [
            "0.0-0.6 narration walk",
            "2.0-2.2 narration fall",
            "2.0-2.2 alert fall",
            "3.0-3.6 narration lie",
            "7.0-7.6 narration get_up",
            "2.0-7.6 alert_end fall",
            "8.0-8.6 narration walk",
        ];
        assert_eq!(story.said, told);
        let [_, fall, alert, .., end, _] = story.events[..] else { panic!("seven events") };
        assert_eq!((fall.from, fall.to), (EntryId(11), EntryId(12)));
        assert_eq!((alert.entry, alert.from, alert.score), (fall.entry, fall.from, fall.score));
        assert_eq!((end.entry, end.from, end.to), (alert.entry, EntryId(11), EntryId(39)));
    }

    #[test]
    fn a_score_is_the_probability_as_calibrated_and_decides_nothing() {
        let calibration = Calibration { slope: 2.0, offset: -1.0, offsets: &[("fall", 0.5)] };
        let config = SpeakConfig { calibration, ..CONFIG };
        let mut story = Story::new();
        story.policy = SpeakPolicy::new(Lexicon::new(&config, KINDS, ENTRIES).expect("a valid vocabulary"));
        story.sees("walk", 10).sees("fall", 4);
        assert_eq!(story.said, ["0.0-0.6 narration walk", "2.0-2.2 narration fall", "2.0-2.2 alert fall"]);
        let [walk, fall, alert] = story.events[..] else { panic!("three events") };
        // By hand: 0.9 has log odds of 2.1972; the fall after two pictures 0.0286 / 4 + 0.9143 * 3 / 4.
        let score = |log_odds: f32| 1.0 / (1.0 + (-log_odds).exp());
        assert!((walk.score - score(2.0 * 2.1972 - 1.0)).abs() < 1e-4, "{}", walk.score);
        assert!((fall.score - score(2.0 * 0.8137 + 0.5)).abs() < 1e-3, "{}", fall.score);
        assert!((fall.score - alert.score).abs() < 1e-6);
    }

    #[test]
    fn a_flicker_is_not_said() {
        let mut story = Story::new();
        story.sees("walk", 5);
        (0..20).for_each(|_| {
            story.sees("stand", 2).sees("walk", 2);
        });
        assert_eq!(story.said, ["0.0-0.6 narration walk"]);
    }

    #[test]
    fn the_hold_off_is_that_of_the_kind_and_begins_anew_after_doubt() {
        assert!(Story::new().sees("walk", 3).said.is_empty());
        assert_eq!(Story::new().sees("walk", 4).said, ["0.0-0.6 narration walk"]);
        assert_eq!(Story::new().sees("fall", 2).said.len(), 2, "a fall waits for 0.2 s only");
        let mut story = Story::new();
        story.sees("walk", 2).sees_nothing_certain(3).sees("walk", 5);
        assert_eq!(story.said, ["1.0-1.6 narration walk"], "what was pending is forgotten");
    }

    #[test]
    fn while_the_camera_moves_only_alarms_are_told_and_none_ends() {
        let mut story = Story::new();
        story.sees("walk", 10).policy.moves(true);
        story.sees("stand", 10).sees("fall", 4).sees("get_up", 10);
        assert_eq!(story.said, ["0.0-0.6 narration walk", "4.0-4.2 narration fall", "4.0-4.2 alert fall"]);
        story.policy.moves(false);
        story.sees("get_up", 5);
        assert_eq!(story.said[3..], ["6.8-7.4 narration get_up", "4.0-7.4 alert_end fall"]);
    }

    #[test]
    fn what_the_head_finds_worth_telling_is_told_then_and_an_alarm_whatever_it_finds() {
        let of = |news: Option<News>| {
            let mut story = Story::new();
            story.policy =
                SpeakPolicy::new(Lexicon::new(&SpeakConfig { news, ..CONFIG }, KINDS, ENTRIES).expect("valid"));
            story
        };
        let finds = |story: &mut Story, informative: f32, relevant: f32| {
            story.policy.finds(Some(Worth { informative, relevant }));
        };
        let news = Some(News { threshold: 0.5, cumulative: 2.0 });
        let mut story = of(news);
        finds(&mut story, 0.0, 0.4);
        story.sees("walk", 10);
        assert!(story.said.is_empty());
        finds(&mut story, 0.1, 0.4);
        story.sees("walk", 3);
        assert_eq!(story.said, ["0.0-2.0 narration walk"], "as soon as it is worth it");
        finds(&mut story, 0.0, 0.0);
        story.sees("fall", 4);
        assert_eq!(story.said[1..], ["2.6-2.8 narration fall", "2.6-2.8 alert fall"]);
        // What is only a little informative adds up: 2.0 in twenty pictures.
        finds(&mut story, 0.1, 0.0);
        story.sees("stand", 30);
        assert_eq!(story.said[3..], ["3.6-7.2 narration stand", "2.6-7.2 alert_end fall"]);
        // Without thresholds, or without heads, nothing is held back.
        let mut story = of(None);
        finds(&mut story, 0.0, 0.0);
        assert_eq!(story.sees("walk", 4).said.len(), 1);
        assert_eq!(of(news).sees("walk", 4).said.len(), 1);
        for wrong in [News { threshold: 2.1, cumulative: 2.0 }, News { threshold: 0.5, cumulative: 0.0 }] {
            let config = SpeakConfig { news: Some(wrong), ..CONFIG };
            assert!(matches!(Lexicon::new(&config, KINDS, ENTRIES), Err(ConfigError::Speak { .. })));
        }
    }

    #[test]
    fn silence_is_an_answer_and_ends_no_alert() {
        let mut story = Story::new();
        story.sees("fall", 5).sees(SILENCE, 50);
        assert_eq!(story.said, ["0.0-0.2 narration fall", "0.0-0.2 alert fall"]);
        assert_eq!(story.policy.current, Some(6));
        story.sees("fall", 5);
        assert_eq!(story.said[2..], ["11.0-11.2 narration fall"], "said again, but the alert is still open");
        story.sees("nobody", 5);
        assert_eq!(story.said[3..], ["12.2-12.8 narration nobody", "0.0-12.8 alert_end fall"]);
    }

    #[test]
    fn the_same_is_not_said_twice_because_of_doubt_or_silence() {
        let mut story = Story::new();
        story.sees("stand", 20).sees_nothing_certain(20).sees("stand", 20);
        assert_eq!(story.said, ["0.0-0.6 narration stand"]);
        story.sees(SILENCE, 10).sees("stand", 10);
        assert_eq!(story.said.len(), 1);
        story.sees(SILENCE, 1510).sees("stand", 10);
        assert_eq!(story.said.len(), 2, "silence lasted for five minutes");
    }

    #[test]
    fn entries_of_a_kind_count_together_and_the_likelier_is_said() {
        let mut story = Story::new();
        let mut probabilities = [0.5 / 6.0; 8];
        (probabilities[2], probabilities[7]) = (0.2, 0.3);
        story.hears(&probabilities, 2);
        assert_eq!(story.events[0].entry, 7);
        assert!((story.events[0].score - 0.5).abs() < 1e-6, "neither would reach the threshold alone");
    }

    /// A kind is taken out of the middle and one added behind: what was going on goes on.
    #[test]
    fn another_vocabulary_takes_over_in_the_middle_of_things() {
        let kinds = ["nobody", "walk", "fall", "lie", "get_up", SILENCE, "cat"];
        let entries = [
            (0, Severity::None),
            (1, Severity::Info),
            (2, Severity::Alarm),
            (3, Severity::Notice),
            (4, Severity::Info),
            (5, Severity::None),
            (2, Severity::Alarm),
            (6, Severity::Info),
        ];
        let now = Lexicon::new(&CONFIG, kinds, entries).expect("a valid vocabulary");
        let kinds = [0, 1, 2, 3, 4, 9, 5].map(|kind| Some(kind).filter(|kind| *kind < 9));
        let moved = [0, 1, 2, 3, 4, 9, 5, 6].map(|entry| Some(entry).filter(|entry| *entry < 9));
        let mut story = Story::new();
        // A fall, said the second way, and then an end that is waited for.
        story.hears(&[0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.99], 3).sees("get_up", 2);
        let (before, said) = (story.policy.smoothed().to_vec(), story.said.len());
        assert_eq!(said, 2, "the fall and its alert: {:?}", story.said);
        assert!(story.policy.relearn(now, &kinds, &moved, Micros(0)).is_none());
        let after = story.policy.smoothed();
        assert_eq!((after.len(), after[5], after[6]), (7, before[6], 0.0));
        assert_eq!(after[..5], before[..5]);
        assert_eq!(story.policy.alert.map(|alert| alert.entry), Some(6));
        let held = [0.0, 0.0, 0.0, 0.0, 0.99, 0.0, 0.0, 0.01];
        let mut told = Vec::new();
        for _ in 0..4 {
            let seen = Seen { entry: EntryId(story.frame + 1), captured_us: Micros(story.frame * FRAME_US) };
            let mut events = EventBuf::new();
            story.policy.hear(&held, seen, |_, _| 0.0, &mut events);
            told.extend(events.iter().map(|spoken| (spoken.kind, spoken.entry)));
            story.frame += 1;
        }
        assert_eq!(told, [(EventKind::Narration, 4), (EventKind::AlertEnd, 6)]);
    }

    #[test]
    fn an_alert_whose_sentence_has_gone_is_over() {
        let mut story = Story::new();
        story.sees("fall", 3);
        let entries = [0, 1, 9, 3, 4, 5, 6, 7].map(|entry| Some(entry).filter(|entry| *entry < 9));
        let over = story.policy.relearn(lexicon(), &[None; 7], &entries, Micros(7_000_000)).expect("it was open");
        assert_eq!((over.kind, over.entry, over.end_us), (EventKind::AlertEnd, 2, Micros(7_000_000)));
        assert!(story.policy.alert.is_none() && story.policy.current.is_none());
    }

    #[test]
    fn of_two_equals_the_first_is_the_candidate() {
        let mut story = Story::new();
        story.hears(&[0.0, 0.5, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0], 4);
        assert_eq!(story.said, ["0.0-0.6 narration walk"]);
    }

    #[test]
    fn a_vocabulary_that_does_not_fit_is_refused() {
        let refused = |config: &SpeakConfig<'_>, kinds: &[&str], entries: &[(usize, Severity)]| {
            Lexicon::new(config, kinds, entries.iter().copied()).expect_err("this should be refused")
        };
        assert_eq!(refused(&CONFIG, &KINDS, &[]), ConfigError::EmptyVocabulary);
        assert!(matches!(refused(&CONFIG, &KINDS[..3], &ENTRIES), ConfigError::NoSuchKind { entry: 3, .. }));
        let unknown = SpeakConfig { kinds: &[("dance", FALL)], ..CONFIG };
        assert_eq!(refused(&unknown, &KINDS, &ENTRIES), ConfigError::UnknownKind { kind: "dance".into() });
        assert!(matches!(refused(&CONFIG, &KINDS, &ENTRIES[..5]), ConfigError::UnknownKind { .. }));
        for smoothing in [1.0, -0.1, f32::NAN] {
            let config = SpeakConfig { smoothing, ..CONFIG };
            assert!(matches!(refused(&config, &KINDS, &ENTRIES), ConfigError::Speak { key: "smoothing", .. }));
        }
        for (calibration, wrong) in [
            (Calibration { slope: 0.0, ..PLAIN }, "slope"),
            (Calibration { slope: f32::NAN, ..PLAIN }, "slope"),
            (Calibration { offset: f32::INFINITY, ..PLAIN }, "offset"),
            (Calibration { offsets: &[("fall", f32::NAN)], ..PLAIN }, "offset"),
        ] {
            let config = SpeakConfig { calibration, ..CONFIG };
            assert!(matches!(refused(&config, &KINDS, &ENTRIES), ConfigError::Speak { key, .. } if key == wrong));
        }
        let unknown = SpeakConfig { calibration: Calibration { offsets: &[("dance", 0.0)], ..PLAIN }, ..CONFIG };
        assert!(matches!(refused(&unknown, &KINDS, &ENTRIES), ConfigError::UnknownKind { .. }));
        let config = SpeakConfig { kinds: &[("fall", Speak { threshold: 40.0, ..FALL })], ..CONFIG };
        assert!(matches!(refused(&config, &KINDS, &ENTRIES), ConfigError::Speak { key: "threshold", .. }));
    }
}
