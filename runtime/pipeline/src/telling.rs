//! What of what is seen is told: as much as the user wants to hear, nothing twice, and each with how it stands to what was told
//! before. Stands behind the [`SpeakPolicy`](crate::SpeakPolicy), which decides what happens; `tools/train/speak.py` is the same.
//!
//! A narration says something new when it is of another kind than the one before it and its sentence lies far from that one's
//! ([`ALIKE`]). What was told last is not told again within [`WINDOW_US`] of its end, however often doubt or silence came between;
//! what was told before that only when it was gone for a while ([`LASTED_US`]), or lasts as long itself.

use ocelli_types::{Micros, Relation, Severity};

use crate::{Seen, Spoken};

/// Sentences at this cosine or above say the same. Of the 6,669 pairs of two kinds in `home` 0.3.0 one is ("Someone is sitting.",
/// "Someone sits down.", 0.93); a lower value would take opposites for one another ("arrives", "departs": 0.87).
pub const ALIKE: f32 = 0.9;
/// What was told last is not told again so soon after it was seen last.
pub const WINDOW_US: Micros = Micros(300_000_000);
/// The same of severity alarm: who falls twice should be seen to twice.
const ALARM_WINDOW_US: Micros = Micros(10_000_000);
/// What is gone for less was not gone, and what lasts for less was not back.
pub const LASTED_US: Micros = Micros(2_000_000);
/// What was so a moment ago, no longer than that, is told with [`Relation::Again`].
const AGAIN_US: Micros = Micros(120_000_000);
/// What goes on is told first after the one time, then each time after twice as long, at last after the other.
const STILL_FIRST_US: Micros = Micros(300_000_000);
const STILL_LAST_US: Micros = Micros(3_600_000_000);
/// Narrations that are remembered.
const KNOWN: usize = 16;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Who comes and goes, and what is of severity notice or alarm.
    Quiet,
    /// Each change of what happens.
    #[default]
    Normal,
    /// Also what says little new, what was there for a moment, and at growing distances what goes on.
    Full,
}

/// What a kind is about. Two kinds about different things can be so at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Who is there.
    Who,
    /// What they do.
    Deed,
    /// Lights, doors, pets.
    Thing,
}

/// What telling asks of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub kind: usize,
    pub about: About,
    pub severity: Severity,
    /// As it was told.
    pub said: Spoken,
    /// When it was so last.
    pub held_us: Micros,
}

/// What telling knows of one stream.
#[derive(Debug)]
pub(crate) struct Telling {
    verbosity: Verbosity,
    /// The newest last.
    told: heapless::Vec<Told, KNOWN>,
    /// What is told if it lasts.
    owed: Option<Told>,
    /// When what was told last is told as still so, and after how long then.
    still: Option<(Micros, Micros)>,
}

impl Telling {
    pub fn new(verbosity: Verbosity) -> Self {
        Self { verbosity, told: heapless::Vec::new(), owed: None, still: None }
    }

    /// Tells so much from now on.
    pub const fn tell_by(&mut self, verbosity: Verbosity) {
        self.verbosity = verbosity;
    }

    /// A new scene begins, of which nothing was told.
    pub fn begins(&mut self) {
        self.told.clear();
        (self.owed, self.still) = (None, None);
    }

    /// Whether a kind that became current is told now, and how. `holds` says whether a kind is still as sure as it must be to be told,
    /// `likeness` how alike two entries are; one that `must` be told is.
    pub fn weigh(
        &mut self,
        new: Told,
        must: bool,
        holds: impl Fn(usize) -> bool,
        likeness: impl Fn(usize, usize) -> f32,
    ) -> Option<Spoken> {
        self.owed = None;
        if !must && self.verbosity == Verbosity::Quiet && new.severity < Severity::Notice && new.about != About::Who {
            return None;
        }
        let now_us = new.said.end_us;
        let alike = |told: &Told| {
            let likeness = || likeness(told.said.entry as usize, new.said.entry as usize);
            told.kind == new.kind || (self.verbosity < Verbosity::Full && likeness() >= ALIKE)
        };
        let before = self.told.iter().enumerate().rev().find(|(_, told)| alike(told));
        let again = |told: &Told| (now_us.since(told.held_us) <= AGAIN_US).then_some(Relation::Again);
        let relation = match (before, self.told.last()) {
            (Some((index, told)), _) if index + 1 == self.told.len() => {
                let window_us = if new.severity == Severity::Alarm { ALARM_WINDOW_US } else { WINDOW_US };
                if !must && now_us.since(told.held_us) < window_us {
                    let (said, held_us) =
                        (Spoken { start_us: told.said.start_us, from: told.said.from, ..new.said }, now_us);
                    self.told[index] = Told { said, held_us, ..new };
                    return None;
                }
                again(told)
            }
            (Some((_, told)), _) => {
                let gone_us = new.said.start_us.since(told.held_us);
                if !must && self.verbosity < Verbosity::Full && gone_us < LASTED_US {
                    self.owed = Some(new);
                    return None;
                }
                again(told)
            }
            (_, Some(last)) => {
                let grave = last.severity.min(new.severity) > Severity::None;
                (last.about != new.about && grave && holds(last.kind)).then_some(Relation::Also)
            }
            _ => None,
        };
        Some(self.tell(Told { said: Spoken { relation, ..new.said }, ..new }))
    }

    /// Hears that the `current` kind goes on, this sure, in this frame; and tells what has lasted.
    pub fn goes_on(&mut self, current: usize, score: f32, seen: Seen) -> Option<Spoken> {
        let now_us = seen.captured_us;
        let now =
            |said: Spoken, relation| Spoken { end_us: now_us, to: seen.entry, score, relation: Some(relation), ..said };
        if let Some(owed) = self.owed.filter(|owed| owed.kind == current) {
            if now_us.since(owed.said.start_us) < LASTED_US {
                return None;
            }
            self.owed = None;
            return Some(self.tell(Told { said: now(owed.said, Relation::Again), held_us: now_us, ..owed }));
        }
        let told = self.told.last_mut().filter(|told| told.kind == current)?;
        told.held_us = now_us;
        let (at_us, gap_us) = self.still.filter(|(at_us, _)| *at_us <= now_us)?;
        let gap_us = Micros(gap_us.0 * 2).min(STILL_LAST_US);
        self.still = Some((at_us + gap_us, gap_us));
        Some(now(told.said, Relation::Still))
    }

    /// Goes on with another vocabulary, as [`SpeakPolicy::relearn`](crate::SpeakPolicy::relearn) does.
    pub fn relearn(&mut self, kinds: &[Option<usize>], entries: &[Option<usize>]) {
        let now = |told: &Told| {
            let (kind, entry) = (kinds[told.kind]?, (*entries.get(told.said.entry as usize)?)?);
            Some(Told { kind, said: Spoken { entry: entry as u32, ..told.said }, ..*told })
        };
        self.told = self.told.iter().filter_map(now).collect();
        self.owed = self.owed.as_ref().and_then(now);
    }

    fn tell(&mut self, told: Told) -> Spoken {
        if self.told.is_full() {
            self.told.remove(0);
        }
        self.told.push(told).expect("there should be room for one");
        let full = self.verbosity == Verbosity::Full;
        self.still = full.then_some((told.said.end_us + STILL_FIRST_US, STILL_FIRST_US));
        told.said
    }
}

#[cfg(test)]
mod tests {
    use ocelli_types::{EntryId, EventKind};

    use super::*;
    use crate::{Calibration, EventBuf, Lexicon, SILENCE, Speak, SpeakConfig, SpeakPolicy};

    const KINDS: [(&str, Severity); 9] = [
        ("nobody", Severity::None),
        ("enter", Severity::Info),
        ("walk", Severity::Info),
        ("sit", Severity::Info),
        ("sit_down", Severity::Info),
        ("lie", Severity::Notice),
        ("fall", Severity::Alarm),
        ("light_on", Severity::Info),
        (SILENCE, Severity::None),
    ];
    const FRAME_US: u64 = 200_000;

    /// At 5 frames a second, without smoothing, and told from 0.4 s on; what was told as `seconds relation kind`.
    struct Day {
        policy: SpeakPolicy,
        frame: u64,
        told: Vec<String>,
    }

    impl Day {
        fn new(verbosity: Verbosity) -> Self {
            Self { policy: SpeakPolicy::new(lexicon().telling(verbosity)), frame: 0, told: Vec::new() }
        }

        /// `seconds` in which `kind` is 0.7 sure and `beside` 0.25.
        fn sees_both(&mut self, kind: &str, beside: Option<&str>, seconds: f64) -> &mut Self {
            let index = |name: &str| KINDS.iter().position(|(kind, _)| *kind == name).expect("a kind of these");
            let mut probabilities = [0.05 / 8.0; 9];
            probabilities[index(kind)] = 0.7;
            if let Some(beside) = beside {
                probabilities[index(beside)] = 0.25;
            }
            let alike = |a: usize, b: usize| {
                let pair = [a.min(b), a.max(b)] == [index("sit"), index("sit_down")];
                if a == b {
                    1.0
                } else if pair {
                    0.93
                } else {
                    0.5
                }
            };
            for _ in 0..(seconds * 5.0) as u64 {
                let seen = Seen { entry: EntryId(self.frame + 1), captured_us: Micros(self.frame * FRAME_US) };
                let mut events = EventBuf::new();
                self.policy.hear(&probabilities, seen, alike, &mut events);
                self.frame += 1;
                self.told.extend(events.iter().map(|spoken| {
                    let what = match spoken.kind {
                        EventKind::Narration => spoken.relation.map_or("", Relation::name),
                        other => other.name(),
                    };
                    format!("{:.1} {what} {}", spoken.end_us.seconds(), KINDS[spoken.entry as usize].0)
                        .replace("  ", " ")
                }));
            }
            self
        }

        fn sees(&mut self, kind: &str, seconds: f64) -> &mut Self {
            self.sees_both(kind, None, seconds)
        }
    }

    fn lexicon() -> Lexicon {
        let default = Speak { threshold: 0.2, hold_off_us: Micros(400_000) };
        let (who, things) = (&["nobody", "enter"], &["light_on"]);
        let calibration = Calibration::default();
        let config = SpeakConfig { smoothing: 0.0, default, kinds: &[], calibration, who, things, news: None };
        let severities = KINDS.iter().enumerate().map(|(index, (_, severity))| (index, *severity));
        Lexicon::new(&config, KINDS.map(|(kind, _)| kind), severities).expect("a valid vocabulary")
    }

    #[test]
    fn what_was_told_last_is_not_told_again_before_its_window_is_over() {
        let mut day = Day::new(Verbosity::Normal);
        day.sees("walk", 2.0).sees(SILENCE, 60.0).sees("walk", 2.0).sees(SILENCE, 299.0).sees("walk", 2.0);
        assert_eq!(day.told, ["0.4 walk"]);
        day.sees(SILENCE, 301.0).sees("walk", 2.0).sees(SILENCE, 601.0).sees("walk", 2.0);
        assert_eq!(day.told, ["0.4 walk", "666.4 walk", "1269.4 walk"]);
    }

    #[test]
    fn what_comes_back_after_a_moment_is_told_when_it_lasts_and_after_longer_at_once() {
        let mut day = Day::new(Verbosity::Normal);
        day.sees("walk", 4.0).sees("lie", 1.0).sees("walk", 1.0).sees("lie", 6.0).sees("walk", 6.0);
        // The second walk was over before it had lasted, and the second lie is what was told last.
        assert_eq!(day.told, ["0.4 walk", "4.4 lie", "12.4 again walk"]);
        day.sees("lie", 1.0).sees("walk", 3.0);
        assert_eq!(day.told[3..], ["18.4 again lie", "21.0 again walk"]);
        let mut full = Day::new(Verbosity::Full);
        full.sees("walk", 4.0).sees("lie", 1.0).sees("walk", 1.0);
        assert_eq!(full.told, ["0.4 walk", "4.4 lie", "5.4 again walk"]);
    }

    #[test]
    fn a_sentence_that_says_the_same_is_nothing_new() {
        let mut day = Day::new(Verbosity::Normal);
        day.sees("sit_down", 2.0).sees("sit", 10.0).sees("walk", 4.0).sees("sit", 4.0);
        assert_eq!(day.told, ["0.4 sit_down", "12.4 walk", "16.4 again sit"]);
        let mut full = Day::new(Verbosity::Full);
        full.sees("sit_down", 2.0).sees("sit", 10.0);
        assert_eq!(full.told, ["0.4 sit_down", "2.4 sit"]);
    }

    #[test]
    fn quiet_tells_who_is_there_and_what_matters() {
        let mut day = Day::new(Verbosity::Quiet);
        day.sees("nobody", 3.0).sees("enter", 1.0).sees("walk", 5.0).sees("light_on", 3.0).sees("fall", 3.0);
        day.sees("lie", 20.0).sees("walk", 3.0).sees("sit", 3.0).sees("nobody", 3.0);
        let told = [
            "0.4 nobody",
            "3.4 enter",
            "12.4 fall",
            "12.4 alert fall",
            "15.4 lie",
            "35.4 alert_end fall",
            "41.4 again nobody",
        ];
        assert_eq!(day.told, told);
    }

    /// The alert of the first fall is over with the walk, of which nothing is told.
    #[test]
    fn what_raises_an_alert_is_told_whatever_was_told_before() {
        let mut day = Day::new(Verbosity::Quiet);
        day.sees("fall", 2.0).sees("walk", 2.0).sees("fall", 2.0).sees(SILENCE, 3.0).sees("fall", 1.0);
        let told = ["0.4 fall", "0.4 alert fall", "2.4 alert_end fall", "4.4 again fall", "4.4 alert fall"];
        assert_eq!(day.told, told);
        day.sees(SILENCE, 12.0).sees("fall", 1.0);
        assert_eq!(day.told[5..], ["22.4 again fall"], "the alert is open, and who falls twice is told of twice");
    }

    #[test]
    fn what_goes_on_beside_is_joined() {
        let mut day = Day::new(Verbosity::Normal);
        day.sees("walk", 3.0).sees_both("light_on", Some("walk"), 3.0);
        day.sees_both("sit", Some("light_on"), 3.0).sees_both("lie", Some("sit"), 3.0);
        // Sitting and lying are both deeds: one is so, and the other is in doubt.
        assert_eq!(day.told, ["0.4 walk", "3.4 also light_on", "6.4 also sit", "9.4 lie"]);
        let mut day = Day::new(Verbosity::Normal);
        day.sees("nobody", 3.0).sees_both("walk", Some("nobody"), 3.0);
        assert_eq!(day.told, ["0.4 nobody", "3.4 walk"], "nothing is beside nobody");
    }

    #[test]
    fn in_full_what_goes_on_is_told_at_growing_distances() {
        let mut day = Day::new(Verbosity::Full);
        day.sees("sit", 40_000.0);
        // 5 minutes after it was told, then 10, 20, 40, 60 and 60 later.
        let minutes = [0, 5, 15, 35, 75, 135, 195, 255, 315, 375, 435, 495, 555, 615];
        let told: Vec<String> = minutes.iter().map(|at| format!("{:.1}", f64::from(at * 60) + 0.4)).collect();
        let times: Vec<&str> = day.told.iter().map(|line| line.split(' ').next().expect("a time")).collect();
        assert_eq!(times, told);
        assert!(day.told[1..].iter().all(|line| line.ends_with(" still sit")), "{:?}", day.told);
        day.sees("walk", 299.0).sees(SILENCE, 400.0);
        assert_eq!(day.told.len(), 15, "what is over is not still so");
        let mut normal = Day::new(Verbosity::Normal);
        normal.sees("sit", 4_000.0);
        assert_eq!(normal.told, ["0.4 sit"]);
    }

    #[test]
    fn what_was_told_outlives_another_vocabulary_as_far_as_it_knows_it() {
        let mut day = Day::new(Verbosity::Normal);
        day.sees("walk", 3.0).sees("sit", 3.0).sees(SILENCE, 1.0);
        let all: Vec<Option<usize>> = (0..9).map(Some).collect();
        assert_eq!(day.policy.relearn(lexicon(), &all, &all, Micros(0)), None);
        day.sees("sit", 3.0);
        assert_eq!(day.told, ["0.4 walk", "3.4 sit"]);
        let without: Vec<Option<usize>> = (0..9).map(|kind| Some(kind).filter(|kind| *kind != 3)).collect();
        assert_eq!(day.policy.relearn(lexicon(), &without, &without, Micros(0)), None);
        day.sees("sit", 3.0);
        assert_eq!(day.told[2..], ["10.4 sit"], "it is new to this one");
    }
}
