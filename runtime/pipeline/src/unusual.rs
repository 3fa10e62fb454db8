//! What is unusual at a camera: what is seen at an hour of the day at which it is hardly ever seen there, and that nothing is seen
//! where something always is. Nothing is said of it before enough days were seen.
//!
//! Normal is learnt by hour of the day: in how many of its minutes each kind was seen, old days forgotten by and by. A kind that is
//! seen now is a surprise of `-log2 p` bits, where `p` is its share of the minutes of this hour and, by half, of its neighbours,
//! with five minutes of what it has over the whole day as the prior. The level from which that is told goes up with each time that it
//! is, and down with time, so that a home in which much is new is not told of more than about once in [`APART_DAYS`].
//!
//! What is told has a start and an end, as UAL-Bench asks for (Abdullah and others, 2024: localization of unusual activity).
//! An hour that was surprising is learnt as any other: what comes again becomes normal.

use alloc::vec;
use alloc::vec::Vec;

use ocelli_types::Micros;

use crate::Seen;

const HOURS: usize = 24;

/// After so many days a day counts 1/e of what it did.
const MEMORY_DAYS: f32 = 20.0;

/// Minutes for which the share over the whole day counts beside those of the hour.
const PRIOR_MINUTES: f32 = 5.0;

/// What is seen for so long within a minute was seen in it: a flicker is shorter.
const GLANCE_US: Micros = Micros(1_000_000);

/// What was not seen for so long is over.
const OVER_US: Micros = Micros(60_000_000);

/// Pictures further apart than this are of two sightings.
const GAP_US: Micros = Micros(2_000_000);

/// Bits from which a surprise is told at first, at least and at most.
const LEVEL_BITS: f32 = 10.0;
const LEVEL_RANGE_BITS: (f32, f32) = (8.0, 18.0);

/// What one that is told adds to the level, and in how many days that is taken back.
const STEP_BITS: f32 = 1.0;

/// Days between two that are told, at a home where much is new.
pub const APART_DAYS: f32 = 7.0;

/// A share of days on which an hour had something to see, from which having nothing is unusual; and how many hours of it.
const ALWAYS: f32 = 0.95;
const STILL_HOURS: u8 = 2;

/// Minutes of an hour that must have been watched before it counts as a day's.
const WATCHED_MINUTES: f32 = 30.0;

/// What is known of kinds, and how long is learnt.
#[derive(Clone, Debug)]
pub struct NormalConfig {
    /// Smoothed probability from which each kind is seen, `[kinds]`. Kinds behind these are not looked at.
    pub thresholds: Vec<f32>,
    /// Whether each kind is nothing to tell of, as silence and an empty room are, `[kinds]`.
    pub nothing: Vec<bool>,
    /// Days before anything is told, 1 to 30.
    pub least_days: u16,
}

/// Something unusual that begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Whether it is over.
    pub over: bool,
    /// The kind that is seldom seen at this hour; `None` where nothing is seen and something always is.
    pub kind: Option<usize>,
    /// How unusual: one minus the share of minutes, or of days, that are so.
    pub score: f32,
    /// When it began.
    pub from: Seen,
    /// Now, or when it was seen last.
    pub to: Seen,
}

/// What one picture makes of it: one that ends and one that begins, of each sort, at most.
pub type DeviationBuf = heapless::Vec<Deviation, 4>;

/// What is normal at one camera.
#[derive(Clone, Debug)]
pub struct Normal {
    config: NormalConfig,
    /// Minutes in which each kind was seen, `[24][kinds]`.
    seen_min: Vec<f32>,
    /// Minutes that were watched.
    watched_min: [f32; HOURS],
    /// Days on which the hour was watched, and had something to see.
    days: [f32; HOURS],
    active_days: [f32; HOURS],
    level_bits: f32,
    now: Now,
}

/// The hour and the minute that go on.
#[derive(Clone, Debug)]
struct Now {
    /// Of the week.
    minute: Option<u16>,
    /// Minutes of this hour in which each kind was seen, `[kinds]`, and that were watched.
    seen_min: Vec<u8>,
    watched_min: u8,
    /// Each kind's sighting that goes on: since when, until when; and how long it was seen in this minute, `[kinds]`.
    sightings: Vec<Option<(Seen, Micros)>>,
    seen_us: Vec<u32>,
    last_us: Option<Micros>,
    hour_from: Option<Seen>,
    open: Option<Deviation>,
    /// Since when hours that always had something have nothing, and how many.
    still: Option<(Seen, u8)>,
    open_still: Option<Deviation>,
}

impl Normal {
    /// One that has seen nothing. All that it needs is allocated here.
    ///
    /// # Panics
    /// If there is not one threshold and one word on being nothing for each kind.
    pub fn new(config: NormalConfig) -> Self {
        let kinds = config.thresholds.len();
        assert_eq!(kinds, config.nothing.len(), "each kind should have a threshold, and be nothing or something");
        let now = Now {
            minute: None,
            seen_min: vec![0; kinds],
            watched_min: 0,
            sightings: vec![None; kinds],
            seen_us: vec![0; kinds],
            last_us: None,
            hour_from: None,
            open: None,
            still: None,
            open_still: None,
        };
        Self {
            config,
            seen_min: vec![0.0; HOURS * kinds],
            watched_min: [0.0; HOURS],
            days: [0.0; HOURS],
            active_days: [0.0; HOURS],
            level_bits: LEVEL_BITS,
            now,
        }
    }

    /// Bytes that [`save`](Self::save) writes for so many kinds.
    pub const fn snapshot_bytes(kinds: usize) -> usize {
        4 + 4 * (HOURS * kinds + 3 * HOURS + 1)
    }

    /// Writes what was learnt, little-endian: the number of kinds, `u32`, then `f32`s. What goes on in this hour is not in it.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.config.thresholds.len() as u32).to_le_bytes());
        let hours = self.watched_min.iter().chain(&self.days).chain(&self.active_days);
        for value in self.seen_min.iter().chain(hours).chain([&self.level_bits]) {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// What was saved; `None` where it is of other kinds, or holds what cannot be.
    pub fn restore(config: NormalConfig, bytes: &[u8]) -> Option<Self> {
        let mut normal = Self::new(config);
        let kinds = normal.config.thresholds.len();
        let (count, rest) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*count) as usize != kinds || bytes.len() != Self::snapshot_bytes(kinds) {
            return None;
        }
        let mut values = rest.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
        let Self { seen_min, watched_min, days, active_days, level_bits, .. } = &mut normal;
        let hours = watched_min.iter_mut().chain(days).chain(active_days);
        for (to, value) in seen_min.iter_mut().chain(hours).chain([level_bits]).zip(&mut values) {
            if !(0.0..1e6).contains(&value) {
                return None;
            }
            *to = value;
        }
        Some(normal)
    }

    /// Whether enough of this hour's days were seen.
    fn is_ready(&self, hour: usize) -> bool {
        let kept = libm::expf(-1.0 / MEMORY_DAYS);
        let after = |days: u16| (1.0 - libm::powf(kept, days.into())) / (1.0 - kept);
        self.days[hour] >= 0.99 * after(self.config.least_days)
    }

    /// Takes the smoothed probabilities of one picture, at this minute of the week in local time; where that is not known nothing
    /// is learnt and nothing told. Adds what begins or ends.
    ///
    /// # Panics
    /// If there are fewer kinds than were configured, or no room for four.
    pub fn judge(&mut self, seen: Seen, kinds: &[f32], minute: Option<u16>, told: &mut DeviationBuf) {
        let Some(minute) = minute else { return };
        let now_us = seen.captured_us;
        let passed_us = self.now.last_us.map_or(0, |last_us| now_us.since(last_us).0);
        self.now.last_us = Some(now_us);
        if self.now.minute != Some(minute) {
            self.turn(minute, seen, told);
        }
        let hour = hour_of(minute);
        let mut active = false;
        assert!(kinds.len() >= self.config.thresholds.len(), "there should be a probability for each kind");
        for (kind, probability) in kinds.iter().enumerate().take(self.config.thresholds.len()) {
            if *probability < self.config.thresholds[kind] {
                continue;
            }
            let from = match self.now.sightings[kind] {
                Some((from, last_us)) if now_us.since(last_us) <= GAP_US => from,
                _ => seen,
            };
            self.now.sightings[kind] = Some((from, now_us));
            let before_us = u64::from(self.now.seen_us[kind]);
            let seen_us = before_us + passed_us.min(GAP_US.0);
            self.now.seen_us[kind] = seen_us as u32;
            if seen_us < GLANCE_US.0 || self.config.nothing[kind] {
                continue;
            }
            active = true;
            if self.now.open.is_some() || before_us < GLANCE_US.0 {
                self.wonder(kind, hour, from, seen, told);
            }
        }
        if active {
            self.now.still = None;
            if let Some(open) = self.now.open_still.take() {
                add(told, Deviation { over: true, to: seen, ..open });
            }
        }
        if let Some(open) = self.now.open
            && now_us.since(open.to.captured_us) >= OVER_US
        {
            self.now.open = None;
            add(told, Deviation { over: true, ..open });
        }
    }

    /// The camera was blind: nothing that was seen goes on.
    pub fn blind(&mut self) {
        (self.now.last_us, self.now.still, self.now.hour_from) = (None, None, None);
        self.now.sightings.fill(None);
    }

    /// A kind is seen: is that a surprise?
    fn wonder(&mut self, kind: usize, hour: usize, from: Seen, seen: Seen, told: &mut DeviationBuf) {
        let share = self.share(kind, hour);
        let bits = -libm::log2f(share);
        if let Some(open) = &mut self.now.open {
            // What began with a greater surprise goes on with a lesser one.
            if bits >= self.level_bits - 2.0 * STEP_BITS {
                open.to = seen;
            }
            return;
        }
        if bits < self.level_bits || !self.is_learning(hour) {
            return;
        }
        self.level_bits = (self.level_bits + STEP_BITS).min(LEVEL_RANGE_BITS.1);
        if self.is_ready(hour) {
            let begun = Deviation { over: false, kind: Some(kind), score: 1.0 - share, from, to: seen };
            self.now.open = Some(begun);
            add(told, begun);
        }
    }

    /// Whether the level is looked for already, in the second half of the time in which nothing is told.
    fn is_learning(&self, hour: usize) -> bool {
        self.days[hour] >= f32::from(self.config.least_days) / 2.0 || self.is_ready(hour)
    }

    /// Share of the minutes of this hour in which a kind is seen.
    fn share(&self, kind: usize, hour: usize) -> f32 {
        let count = self.config.thresholds.len();
        let of = |hour: usize| self.seen_min[hour % HOURS * count + kind];
        let (all_seen, all_watched) =
            (0..HOURS).fold((0.0, 0.0), |(seen, watched), hour| (seen + of(hour), watched + self.watched_min[hour]));
        let base = (all_seen + 0.5) / (all_watched + 60.0);
        let around =
            |of: &dyn Fn(usize) -> f32| of(hour) + 0.5 * (of((hour + 1) % HOURS) + of((hour + HOURS - 1) % HOURS));
        let (seen, watched) = (around(&of), around(&|hour| self.watched_min[hour]));
        ((seen + PRIOR_MINUTES * base) / (watched + PRIOR_MINUTES)).min(1.0)
    }

    /// A minute is over, and perhaps an hour.
    fn turn(&mut self, minute: u16, seen: Seen, told: &mut DeviationBuf) {
        let Some(before) = self.now.minute.replace(minute) else {
            self.now.hour_from = Some(seen);
            return;
        };
        self.now.watched_min = self.now.watched_min.saturating_add(1);
        for (minutes, seen_us) in self.now.seen_min.iter_mut().zip(&mut self.now.seen_us) {
            *minutes += u8::from(u64::from(*seen_us) >= GLANCE_US.0);
            *seen_us = 0;
        }
        let per_minute = STEP_BITS / (APART_DAYS * 24.0 * 60.0);
        self.level_bits = (self.level_bits - per_minute).max(LEVEL_RANGE_BITS.0);
        if hour_of(before) != hour_of(minute) || self.now.watched_min >= 60 {
            self.close_hour(hour_of(before), seen, told);
        }
    }

    /// Learns an hour.
    fn close_hour(&mut self, hour: usize, seen: Seen, told: &mut DeviationBuf) {
        let watched = f32::from(self.now.watched_min);
        let is_active =
            self.now.seen_min.iter().zip(&self.config.nothing).any(|(minutes, nothing)| *minutes > 0 && !nothing);
        let from = self.now.hour_from.replace(seen);
        if watched >= WATCHED_MINUTES {
            let always = self.active_days[hour] >= ALWAYS * self.days[hour] && self.is_ready(hour);
            match from.filter(|_| always && !is_active) {
                Some(from) => self.is_still(from, seen, hour, told),
                None => self.now.still = None,
            }
        }
        let kept = libm::expf(-watched / 60.0 / MEMORY_DAYS);
        let count = self.config.thresholds.len();
        for (held, new) in self.seen_min[hour * count..][..count].iter_mut().zip(&mut self.now.seen_min) {
            *held = *held * kept + f32::from(core::mem::take(new));
        }
        self.watched_min[hour] = self.watched_min[hour] * kept + watched;
        if watched >= WATCHED_MINUTES {
            self.days[hour] = self.days[hour] * kept + 1.0;
            self.active_days[hour] = self.active_days[hour] * kept + f32::from(u8::from(is_active));
        }
        self.now.watched_min = 0;
    }

    /// An hour that always has something to see had nothing.
    fn is_still(&mut self, from: Seen, seen: Seen, hour: usize, told: &mut DeviationBuf) {
        let (from, hours) = self.now.still.map_or((from, 1), |(from, hours)| (from, hours.saturating_add(1)));
        self.now.still = Some((from, hours));
        if hours >= STILL_HOURS && self.now.open_still.is_none() {
            let score = self.active_days[hour] / self.days[hour];
            let begun = Deviation { over: false, kind: None, score: score.min(1.0), from, to: seen };
            self.now.open_still = Some(begun);
            add(told, begun);
        }
    }
}

fn hour_of(minute: u16) -> usize {
    usize::from(minute / 60) % HOURS
}

fn add(told: &mut DeviationBuf, deviation: Deviation) {
    told.push(deviation).expect("a picture should tell of four at most");
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_types::EntryId;

    const NOBODY: usize = 0;
    const WALK: usize = 1;
    const SIT: usize = 2;
    const COOK: usize = 3;
    const FALL: usize = 4;
    const PET: usize = 5;
    const KINDS: usize = 6;

    /// Pictures are five seconds apart, each of one kind: a month is 518,400.
    const STEP_S: u64 = 5;

    fn config() -> NormalConfig {
        let nothing = (0..KINDS).map(|kind| kind == NOBODY).collect();
        NormalConfig { thresholds: vec![0.2; KINDS], nothing, least_days: 7 }
    }

    /// Xorshift (Marsaglia 2003).
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }

        /// So many minutes before or after.
        fn about(&mut self, minutes: f64) -> f64 {
            (self.roll() + self.roll() - 1.0) * minutes
        }
    }

    /// A home of one person: the times of a day, in minutes, with what is seen. Each day differs.
    fn day(dice: &mut Dice, number: u64) -> Vec<(f64, f64, usize)> {
        let up = 7.0 * 60.0 + dice.about(45.0) + if number % 7 >= 5 { 45.0 } else { 0.0 };
        let mut spans =
            vec![(up, up + 8.0, WALK), (up + 8.0, up + 30.0, COOK), (up + 30.0, up + 50.0 + dice.about(15.0), SIT)];
        let noon = 12.5 * 60.0 + dice.about(40.0);
        spans.extend([(noon, noon + 20.0, COOK), (noon + 20.0, noon + 50.0, SIT)]);
        let evening = 18.5 * 60.0 + dice.about(50.0);
        spans.extend([(evening, evening + 35.0, COOK), (evening + 35.0, evening + 150.0 + dice.about(30.0), SIT)]);
        // Walking through, several times in each waking hour.
        let mut at = up;
        while at < 22.5 * 60.0 {
            at += 5.0 + 40.0 * dice.roll();
            spans.push((at, at + 0.5 + 2.0 * dice.roll(), WALK));
        }
        // The pet, at any time; and one in three nights somebody gets up.
        for _ in 0..6 {
            let at = 1440.0 * dice.roll();
            spans.push((at, at + 0.3 + 4.0 * dice.roll(), PET));
        }
        if dice.roll() < 0.33 {
            let at = 60.0 * (1.0 + 4.0 * dice.roll());
            spans.push((at, at + 2.0, WALK));
        }
        spans
    }

    struct Home {
        normal: Normal,
        dice: Dice,
        days: u64,
        /// Minute since the first day, kind, and whether it began.
        told: Vec<(f64, Option<usize>, bool)>,
        /// Starts that were told with them, in minutes.
        from: Vec<f64>,
    }

    impl Home {
        fn new(seed: u64) -> Self {
            let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            Self { normal: Normal::new(config()), dice, days: 0, told: Vec::new(), from: Vec::new() }
        }

        /// Lives a day, with this beside what it has always.
        fn lives(&mut self, plus: &[(f64, f64, usize)], without: Option<(f64, f64)>) {
            let mut spans = day(&mut self.dice, self.days);
            spans.extend_from_slice(plus);
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            for step in 0..86_400 / STEP_S {
                let at = step as f64 * STEP_S as f64 / 60.0;
                let mut kinds = [0.0; KINDS];
                for (_, _, kind) in spans.iter().filter(|(from, to, _)| (*from..*to).contains(&at)) {
                    kinds[*kind] = 0.5;
                }
                if kinds.iter().all(|p| *p < 0.2) || without.is_some_and(|(from, to)| (from..to).contains(&at)) {
                    kinds = [0.0; KINDS];
                    kinds[NOBODY] = 0.9;
                }
                let total_s = self.days * 86_400 + step * STEP_S;
                let minute = ((total_s / 60) % 10_080) as u16;
                let seen = Seen { entry: EntryId(total_s / STEP_S + 1), captured_us: Micros(total_s * 1_000_000) };
                let mut told = DeviationBuf::new();
                self.normal.judge(seen, &kinds, Some(minute), &mut told);
                for deviation in &told {
                    self.told.push((total_s as f64 / 60.0, deviation.kind, !deviation.over));
                    self.from.push(deviation.from.captured_us.seconds() / 60.0);
                }
            }
            self.days += 1;
        }

        fn lives_on(&mut self, days: u64) -> &mut Self {
            (0..days).for_each(|_| self.lives(&[], None));
            self
        }

        fn begun(&self) -> Vec<(f64, Option<usize>)> {
            self.told.iter().filter(|(_, _, begins)| *begins).map(|(at, kind, _)| (*at, *kind)).collect()
        }
    }

    /// A month as others, for eight homes: how often something is told of which nothing is unusual.
    #[test]
    fn a_normal_month_is_told_of_seldom_and_the_first_week_never() {
        let mut all = 0;
        for seed in 101..=108 {
            let mut home = Home::new(seed);
            home.lives_on(7);
            assert_eq!(home.told, [], "it learns");
            home.lives_on(23);
            let begun = home.begun();
            assert!(begun.len() <= 4, "once a week, seed {seed}: {begun:?}");
            all += begun.len();
        }
        eprintln!("{all} false alarms in {} days of 8 homes: {:.3} a day", 8 * 23, f64::from(all as u32) / 184.0);
        assert!(all <= 26, "once a week: {all} in 184 days");
    }

    /// Each planted in a home of its own after three weeks: found, with its start.
    #[test]
    fn what_is_planted_is_found_with_its_start_and_its_end() {
        let night = 3.0 * 60.0;
        let mut found = 0;
        for (number, planted) in [
            (night, night + 10.0, COOK),
            (night, night + 30.0, SIT),
            (15.0 * 60.0, 15.0 * 60.0 + 0.5, FALL),
            (night + 60.0, night + 61.0, FALL),
            (60.0, 75.0, COOK),
        ]
        .into_iter()
        .enumerate()
        {
            let mut home = Home::new(number as u64 + 211);
            home.lives_on(21);
            let before = home.told.len();
            home.lives(&[planted], None);
            let at = 21.0 * 1440.0 + planted.0;
            let begins = home.told[before..].iter().position(|(_, kind, begins)| *kind == Some(planted.2) && *begins);
            let Some(begins) = begins else { continue };
            found += 1;
            assert!((home.from[before + begins] - at).abs() < 1.0, "{:?} for {at}", home.from);
            let (over, ..) = home.told[before + begins + 1..].iter().find(|(_, _, begins)| !begins).expect("it ends");
            let end = at + (planted.1 - planted.0);
            assert!((end..end + 3.0).contains(over), "{over} for {end}");
        }
        eprintln!("{found} of 5 planted are found");
        assert_eq!(found, 5);
    }

    #[test]
    fn nobody_getting_up_is_unusual_where_somebody_always_does() {
        let mut home = Home::new(0x1234_5678_9abc_def1);
        home.lives_on(21);
        let before = home.told.len();
        home.lives(&[], Some((0.0, 14.0 * 60.0)));
        let still = home.told[before..].iter().find(|(_, kind, begins)| kind.is_none() && *begins);
        let (at, ..) = still.expect("nothing moves all morning");
        let hour = (at - 21.0 * 1440.0) / 60.0;
        assert!((9.0..13.0).contains(&hour), "told at {hour}");
        assert!(home.told.iter().any(|(_, kind, begins)| kind.is_none() && !begins), "and over");
    }

    #[test]
    fn what_comes_each_night_becomes_normal() {
        let mut home = Home::new(77);
        home.lives_on(14);
        let night = 3.0 * 60.0;
        (0..14).for_each(|_| home.lives(&[(night, night + 30.0, COOK)], None));
        let nights: Vec<f64> = home.begun().iter().filter(|(_, kind)| *kind == Some(COOK)).map(|(at, _)| *at).collect();
        assert!(!nights.is_empty() && nights.len() <= 2, "{nights:?}");
        assert!(nights[0] < 15.0 * 1440.0, "the first is told: {nights:?}");
    }

    #[test]
    fn what_was_learnt_survives_being_saved_and_nonsense_is_refused() {
        let mut home = Home::new(5);
        home.lives_on(9);
        let mut bytes = Vec::new();
        home.normal.save(&mut bytes);
        assert_eq!(bytes.len(), Normal::snapshot_bytes(KINDS));
        let restored = Normal::restore(config(), &bytes).expect("it was saved so");
        let mut again = Vec::new();
        restored.save(&mut again);
        assert_eq!(again, bytes);
        assert!(Normal::restore(config(), &bytes[1..]).is_none());
        bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(Normal::restore(config(), &bytes).is_none());
        let other = NormalConfig { thresholds: vec![0.2; 3], nothing: vec![false; 3], least_days: 7 };
        assert!(Normal::restore(other, &again).is_none());
    }

    #[test]
    fn without_a_clock_nothing_is_learnt_or_told() {
        let mut normal = Normal::new(config());
        let mut told = DeviationBuf::new();
        for n in 0..1000 {
            let seen = Seen { entry: EntryId(n + 1), captured_us: Micros(n * 60_000_000) };
            normal.judge(seen, &[0.9; KINDS], None, &mut told);
        }
        assert!(told.is_empty() && normal.watched_min.iter().all(|minutes| *minutes == 0.0));
    }
}
