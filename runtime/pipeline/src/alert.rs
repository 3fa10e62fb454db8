//! Standing conditions: what a household wants to be told of, judged on every picture from the probabilities that the speak
//! policy has anyway. Any number of them costs some hundred additions a picture, and no model runs for them.
//!
//! A condition is *met* while its kinds are seen (or, of an absence, while none of them is), at its times, after what has to
//! go before. Met for long enough it becomes an alert, once; no longer met it ends; and it is quiet for a while then, unless
//! what is seen has become another kind.

use alloc::vec::Vec;

use ocelli_types::{Content, Micros, PatchGrid, PatchMask};

use crate::Seen;

/// What was met stays met through gaps as short as these; while it has not been told, through gaps of half its time at most.
const GAP_US: Micros = Micros(2_000_000);

/// What is seen for so long ends an absence: a moment in which somebody comes in is short, and a flicker shorter.
const SIGHTING_US: Micros = Micros(400_000);

/// So long before it is met something must have moved in its zone.
const MOVED_US: Micros = Micros(2_000_000);

/// Share of its threshold below which what was seen is no longer seen.
const RELEASE: f32 = 0.7;

/// Minutes of a week, from Monday 00:00 local time, 0 to 10079.
pub const WEEK_MINUTES: u16 = 7 * 24 * 60;

/// A time of the week; where `to` is not after `from` it goes on into the next week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekSpan {
    /// First minute in it.
    pub from: u16,
    /// First minute after it.
    pub to: u16,
}

impl WeekSpan {
    /// Whether it is now.
    pub const fn contains(self, minute: u16) -> bool {
        if self.from < self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

/// What has to go before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// Kinds, one of which must have been seen.
    pub kinds: Vec<usize>,
    /// Kinds none of which may have been seen since.
    pub unless: Vec<usize>,
    /// The longest time ago.
    pub within_us: Option<Micros>,
}

/// For how long a condition must be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// So long, short gaps aside.
    For(Micros),
    /// From the beginning of one of its times to the end: told at the end. Its times must be given.
    WholeTime,
}

/// One standing condition.
#[derive(Clone, Debug)]
pub struct AlertRule {
    /// Kinds of the vocabulary, any of which is meant.
    pub kinds: Vec<usize>,
    /// Whether it is met while none of them is seen.
    pub absent: bool,
    /// Their summed smoothed probability from which they are seen, above 0 to 1.
    pub threshold: f32,
    /// What has to go before.
    pub after: Option<After>,
    /// For how long.
    pub hold: Hold,
    /// How long it is quiet after an end.
    pub cooldown_us: Micros,
    /// Where something must have moved in the two seconds before it is met. Of an absence only what moves there counts.
    pub zone: Option<Zone>,
    /// When it counts; empty is always. Without a wall clock it is always one of its times, and none ever ends.
    pub times: Vec<WeekSpan>,
}

/// A part of the picture.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Of a polygon, x and y in shares of the picture from its upper left corner.
    corners: Vec<[f32; 2]>,
    /// The patches of it in a picture that lies so in the grid.
    laid: Option<(Content, PatchMask)>,
}

impl Zone {
    /// The inside of a polygon whose corners are x and y in shares of the picture, from its upper left corner; the last is joined
    /// to the first.
    pub const fn new(corners: Vec<[f32; 2]>) -> Self {
        Self { corners, laid: None }
    }

    /// Share of the picture that is inside.
    pub fn area(&self) -> f32 {
        let next = self.corners.iter().cycle().skip(1);
        let twice = self.corners.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>();
        0.5 * twice.abs()
    }

    /// The patches whose middle lies inside, and those in which a corner lies, of a picture that lies so in the grid.
    fn patches(&mut self, grid: PatchGrid, content: Content) -> PatchMask {
        if let Some((of, patches)) = self.laid
            && of == content
        {
            return patches;
        }
        let mut patches = PatchMask::empty();
        let (w, h) = ((content.x1 - content.x0) as f32, (content.y1 - content.y0) as f32);
        for index in (0..grid.patches()).filter(|&index| content.contains(grid, index)) {
            let (column, row) = ((index % grid.side - content.x0) as f32, (index / grid.side - content.y0) as f32);
            let inside = self.contains([(column + 0.5) / w, (row + 0.5) / h]);
            let is_in = |at: f32, from: f32, size: f32| (from..from + 1.0).contains(&(at * size).min(size - 0.5));
            if inside || self.corners.iter().any(|[x, y]| is_in(*x, column, w) && is_in(*y, row, h)) {
                patches.insert(index);
            }
        }
        self.laid = Some((content, patches));
        patches
    }

    /// Whether a point is inside: a line from it to the right crosses an odd number of sides.
    fn contains(&self, [x, y]: [f32; 2]) -> bool {
        let next = self.corners.iter().cycle().skip(1);
        self.corners.iter().zip(next).fold(false, |inside, (a, b)| {
            let crosses = (a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
            inside != crosses
        })
    }
}

/// One picture, as conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Memory entry and time.
    pub seen: Seen,
    /// Smoothed probability of each kind, `[kinds]`.
    pub kinds: &'a [f32],
    /// Patches that changed.
    pub changed: &'a PatchMask,
    /// What the patches are of.
    pub grid: PatchGrid,
    /// Where the picture lies in it.
    pub content: Content,
    /// Minute of the week, 0 to 10079, where the time is known.
    pub minute: Option<u16>,
}

/// An alert that begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alerted {
    /// Index of the rule.
    pub rule: usize,
    /// Whether it is over.
    pub over: bool,
    /// The most probable of its kinds; `None` of an absence.
    pub kind: Option<usize>,
    /// Summed probability of its kinds at its most since it was met; of an absence one minus that.
    pub score: f32,
    /// When it was first met.
    pub from: Seen,
    /// Now.
    pub to: Seen,
}

/// What one picture makes of all conditions; of more than there is room for the others come with the next picture.
pub type AlertBuf = heapless::Vec<Alerted, 8>;

/// All standing conditions of one camera.
#[derive(Debug, Default)]
pub struct AlertRules {
    /// By their index, which stays what it is while others come and go.
    rules: Vec<Option<(AlertRule, State)>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Since when it is met, and how sure at most.
    met: Option<Met>,
    open: Option<Alerted>,
    /// When and with which kind the last alert ended.
    ended: Option<(Micros, Option<usize>)>,
    /// When one of `after` was seen last, with none of `unless` since.
    armed_us: Option<Micros>,
    moved_us: Option<Micros>,
    /// In which of its times the last picture was, and whether it was met in all of that so far.
    last: Last,
    unbroken: bool,
}

/// Where the last picture was among the times of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    /// There was none, or the camera was blind since.
    #[default]
    Unknown,
    Outside,
    In(usize),
}

#[derive(Clone, Copy, Debug)]
struct Met {
    from: Seen,
    last_us: Micros,
    score: f32,
    kind: Option<usize>,
}

impl AlertRules {
    /// These conditions, none of which was ever met. All that they need is allocated here.
    ///
    /// # Panics
    /// If a rule waits for a whole time and has none, or if its threshold is not above 0.
    pub fn new(rules: impl IntoIterator<Item = AlertRule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| Some(fresh(rule))).collect() }
    }

    /// Judges by this rule at `index` from now on, or there by none, while all others go on. Gives the alert of the one before that is
    /// over with it, at `now`. Allocates.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn put(&mut self, index: usize, rule: Option<AlertRule>, now: Seen) -> Option<Alerted> {
        if self.rules.len() <= index {
            self.rules.resize_with(index + 1, || None);
        }
        let before = core::mem::replace(&mut self.rules[index], rule.map(fresh));
        let open = before?.1.open?;
        Some(Alerted { over: true, to: now, ..open })
    }

    /// Whether there is a rule at this index.
    pub fn has(&self, index: usize) -> bool {
        self.rules.get(index).is_some_and(Option::is_some)
    }

    /// Judges one picture, and adds what begins or ends.
    ///
    /// # Panics
    /// If a rule's kind is not among the kinds.
    pub fn judge(&mut self, sight: &Sight<'_>, alerts: &mut AlertBuf) {
        for (index, rule) in self.rules.iter_mut().enumerate() {
            let Some((rule, state)) = rule else { continue };
            if alerts.is_full() {
                break;
            }
            if let Some(alerted) = state.judge(index, rule, sight) {
                alerts.push(alerted).expect("there was room");
            }
        }
    }

    /// Goes on with another vocabulary: `kinds` says for each of the old ones which it is now. Of one that has gone nothing is
    /// seen any more.
    pub fn relearn(&mut self, kinds: &[Option<usize>]) {
        let now = |of: &mut Vec<usize>| *of = of.iter().filter_map(|&kind| kinds[kind]).collect();
        for (rule, state) in self.rules.iter_mut().flatten() {
            now(&mut rule.kinds);
            if let Some(After { kinds, unless, .. }) = &mut rule.after {
                now(kinds);
                now(unless);
            }
            let kind = |kind: &mut Option<usize>| *kind = kind.and_then(|kind| kinds[kind]);
            if let Some(met) = &mut state.met {
                kind(&mut met.kind);
            }
            if let Some(open) = &mut state.open {
                kind(&mut open.kind);
            }
            if let Some((_, ended)) = &mut state.ended {
                kind(ended);
            }
        }
    }

    /// The camera was blind: what was met is no longer known to be, and nothing moved. Alerts that are open stay open.
    pub fn blind(&mut self) {
        for (_, state) in self.rules.iter_mut().flatten() {
            (state.met, state.moved_us, state.last) = (None, None, Last::Unknown);
        }
    }
}

/// One that was never met.
fn fresh(rule: AlertRule) -> (AlertRule, State) {
    assert!(rule.threshold > 0.0, "a threshold of 0 is met by everything");
    assert!(rule.hold != Hold::WholeTime || !rule.times.is_empty(), "a whole time needs one");
    (rule, State::default())
}

impl State {
    fn judge(&mut self, index: usize, rule: &mut AlertRule, sight: &Sight<'_>) -> Option<Alerted> {
        let now_us = sight.seen.captured_us;
        let (sum, kind) = most(&rule.kinds, sight.kinds);
        let zone = rule.zone.as_mut().map(|zone| zone.patches(sight.grid, sight.content));
        if zone.is_none_or(|zone| zone.meets(sight.changed)) {
            self.moved_us = Some(now_us);
        }
        let moved = self.moved_us.is_some_and(|at| now_us.since(at) <= MOVED_US);
        let was_met = self.met.is_some();
        let level = if was_met == rule.absent { rule.threshold } else { RELEASE * rule.threshold };
        // What is there was seen to come, or is still there; of an absence only what moves in its zone counts.
        let present = sum >= level && (moved || (was_met && !rule.absent));
        let armed = self.armed(rule, sight);
        let time = self.time(rule, sight.minute);
        let met = present != rule.absent && armed && time.is_some();
        let score = if rule.absent { 1.0 - sum.min(1.0) } else { sum.min(1.0) };
        let starts = time.and_then(|time| rule.times.get(time)).is_some_and(|span| sight.minute == Some(span.from));
        let whole = self.whole_time(time, starts, met);
        if met {
            let kind = (!rule.absent).then_some(kind);
            let fresh = Met { from: sight.seen, last_us: now_us, score, kind };
            let met = self.met.get_or_insert(fresh);
            if score > met.score {
                (met.score, met.kind) = (score, kind);
            }
            met.last_us = now_us;
        }
        if let Some(over) = self.end(index, rule, sight, met, score) {
            return Some(over);
        }
        self.begin(index, rule, sight, whole)
    }

    /// Whether what has to go before has gone before.
    fn armed(&mut self, rule: &AlertRule, sight: &Sight<'_>) -> bool {
        let Some(after) = &rule.after else { return true };
        let now_us = sight.seen.captured_us;
        if most(&after.kinds, sight.kinds).0 >= rule.threshold {
            self.armed_us = Some(now_us);
        } else if most(&after.unless, sight.kinds).0 >= rule.threshold {
            self.armed_us = None;
        }
        self.armed_us.is_some_and(|at| after.within_us.is_none_or(|within| now_us.since(at) <= within))
    }

    /// In which of its times it is; where there are none, or the time is not known, always in the first. One that goes on is not
    /// left for another that overlaps it.
    fn time(&self, rule: &AlertRule, minute: Option<u16>) -> Option<usize> {
        let Some(minute) = minute.filter(|_| !rule.times.is_empty()) else { return Some(0) };
        let is_in = |time: &usize| rule.times.get(*time).is_some_and(|span| span.contains(minute));
        let goes_on = if let Last::In(time) = self.last { Some(time).filter(is_in) } else { None };
        goes_on.or_else(|| rule.times.iter().position(|span| span.contains(minute)))
    }

    /// What it was met by in one of its times that has just ended, if it was in all of it. The next may have begun with that.
    fn whole_time(&mut self, time: Option<usize>, starts: bool, met: bool) -> Option<Met> {
        let (begins, ends) = match self.last {
            Last::Unknown => (false, false),
            Last::Outside => (time.is_some(), false),
            // From one to another it begins where that one does.
            Last::In(before) => (time.is_some_and(|now| now != before && starts), time != Some(before)),
        };
        let whole = self.met.filter(|_| ends && self.unbroken);
        if begins {
            self.met = None;
        }
        // A time that was entered midway, after a start or a blind interval, is not a whole one.
        self.unbroken = time.is_some() && met && (begins || (self.unbroken && self.last != Last::Unknown && !ends));
        self.last = time.map_or(Last::Outside, Last::In);
        whole
    }

    fn end(&mut self, index: usize, rule: &AlertRule, sight: &Sight<'_>, met: bool, score: f32) -> Option<Alerted> {
        let now_us = sight.seen.captured_us;
        let gap_us = match rule.hold {
            _ if rule.absent => Micros(SIGHTING_US.0 - 1),
            Hold::For(hold_us) if self.open.is_none() => GAP_US.min(Micros(hold_us.0 / 2)),
            _ => GAP_US,
        };
        let lasts = met || self.met.is_some_and(|met| now_us.since(met.last_us) <= gap_us);
        if lasts {
            return None;
        }
        if rule.hold != Hold::WholeTime {
            self.met = None;
        }
        let open = self.open.take()?;
        self.ended = Some((now_us, open.kind));
        Some(Alerted { rule: index, over: true, score, to: sight.seen, ..open })
    }

    fn begin(&mut self, index: usize, rule: &AlertRule, sight: &Sight<'_>, whole: Option<Met>) -> Option<Alerted> {
        let now_us = sight.seen.captured_us;
        let (met, held) = match rule.hold {
            Hold::For(hold_us) => {
                let met = self.met?;
                (met, met.last_us == now_us && now_us.since(met.from.captured_us) >= hold_us)
            }
            Hold::WholeTime => (whole?, true),
        };
        let quiet = self.ended.is_some_and(|(at, kind)| now_us.since(at) < rule.cooldown_us && kind == met.kind);
        if !held || quiet || self.open.is_some() {
            return None;
        }
        let begun =
            Alerted { rule: index, over: false, kind: met.kind, score: met.score, from: met.from, to: sight.seen };
        if rule.hold == Hold::WholeTime {
            // Told when it is over, so there is nothing to end.
            self.ended = Some((now_us, met.kind));
        } else {
            self.open = Some(begun);
        }
        Some(begun)
    }
}

/// Summed probability of these kinds, and the most probable of them.
fn most(kinds: &[usize], probabilities: &[f32]) -> (f32, usize) {
    let most = kinds.iter().copied().reduce(|a, b| if probabilities[b] > probabilities[a] { b } else { a });
    (kinds.iter().map(|&kind| probabilities[kind]).sum(), most.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_types::EntryId;

    const NOBODY: usize = 0;
    const WALK: usize = 1;
    const FALL: usize = 2;
    const LIE: usize = 3;
    const LIGHT_ON: usize = 4;
    const LIGHT_OFF: usize = 5;
    const FRAME_US: u64 = 200_000;

    fn rule(kinds: &[usize]) -> AlertRule {
        AlertRule {
            kinds: kinds.to_vec(),
            absent: false,
            threshold: 0.5,
            after: None,
            hold: Hold::For(Micros(400_000)),
            cooldown_us: Micros(0),
            zone: None,
            times: Vec::new(),
        }
    }

    fn grid() -> PatchGrid {
        PatchGrid::new(8, 2).expect("4 patches of 2 pixels")
    }

    fn sight<'a>(seen: Seen, kinds: &'a [f32], changed: &'a PatchMask, minute: Option<u16>) -> Sight<'a> {
        Sight { seen, kinds, changed, grid: grid(), content: Content::whole(grid()), minute }
    }

    /// One camera at 5 pictures a second, and what was told as lines.
    struct Day {
        rules: AlertRules,
        frame: u64,
        /// Minute of the week at the first picture.
        begins: Option<u16>,
        moves: PatchMask,
        told: Vec<String>,
    }

    impl Day {
        fn new(rules: impl IntoIterator<Item = AlertRule>) -> Self {
            let moves = PatchMask::first(4);
            Self { rules: AlertRules::new(rules), frame: 0, begins: None, moves, told: Vec::new() }
        }

        fn at(self, minute: u16) -> Self {
            Self { begins: Some(minute), ..self }
        }

        fn sees(&mut self, kind: usize, seconds: f64) -> &mut Self {
            let mut kinds = [0.02; 6];
            kinds[kind] = 0.9;
            self.sees_kinds(&kinds, seconds)
        }

        fn sees_kinds(&mut self, kinds: &[f32], seconds: f64) -> &mut Self {
            for _ in 0..(seconds * 5.0) as u64 {
                let captured_us = Micros(self.frame * FRAME_US);
                let seen = Seen { entry: EntryId(self.frame + 1), captured_us };
                let minute = self.begins.map(|at| ((u64::from(at) + captured_us.0 / 60_000_000) % 10_080) as u16);
                let mut alerts = AlertBuf::new();
                self.rules.judge(&sight(seen, kinds, &self.moves, minute), &mut alerts);
                self.told.extend(alerts.iter().map(|alert| {
                    let (from, to) = (alert.from.captured_us.seconds(), alert.to.captured_us.seconds());
                    format!("{}{} {from:.1}-{to:.1}", if alert.over { "end of " } else { "" }, alert.rule)
                }));
                self.frame += 1;
            }
            self
        }
    }

    #[test]
    fn what_lasts_is_told_once_and_ends() {
        let mut day = Day::new([rule(&[FALL])]);
        day.sees(WALK, 2.0).sees(FALL, 0.4).sees(WALK, 4.0).sees(FALL, 3.0).sees(WALK, 4.0);
        // Two seconds without it are a gap; the end comes one picture later.
        assert_eq!(day.told, ["0 6.4-6.8", "end of 0 6.4-11.4"]);
    }

    #[test]
    fn gaps_do_not_break_what_lasts_long() {
        let long = AlertRule { hold: Hold::For(Micros(10_000_000)), ..rule(&[NOBODY]) };
        let mut day = Day::new([long]);
        day.sees(NOBODY, 6.0).sees(WALK, 1.8).sees(NOBODY, 6.0);
        assert_eq!(day.told, ["0 0.0-10.0"]);
        day.sees(WALK, 3.0).sees(NOBODY, 9.0).sees(WALK, 3.0);
        assert_eq!(day.told[1..], ["end of 0 0.0-15.8"], "nine seconds are not ten");
    }

    #[test]
    fn an_absence_is_met_by_whatever_else_is_seen() {
        let nobody = AlertRule { absent: true, hold: Hold::For(Micros(5_000_000)), ..rule(&[WALK, FALL, LIE]) };
        let mut day = Day::new([nobody]);
        day.sees(WALK, 2.0).sees(NOBODY, 6.0).sees(LIE, 0.2);
        assert_eq!(day.told, ["0 2.0-7.0"]);
        day.sees(NOBODY, 1.0).sees(LIE, 3.0);
        assert_eq!(day.told[1..], ["end of 0 2.0-9.4"], "two pictures are no flicker");
    }

    #[test]
    fn lying_after_a_fall_is_the_second_stage_of_its_alert() {
        let after = After { kinds: vec![FALL], unless: vec![WALK], within_us: Some(Micros(30_000_000)) };
        let stays = AlertRule { after: Some(after), hold: Hold::For(Micros(10_000_000)), ..rule(&[LIE]) };
        let mut day = Day::new([rule(&[FALL]), stays]);
        day.sees(LIE, 20.0);
        assert!(day.told.is_empty(), "who lies down to sleep did not fall");
        day.sees(WALK, 2.0).sees(FALL, 1.0).sees(LIE, 12.0).sees(WALK, 3.0);
        assert_eq!(day.told, ["0 22.0-22.4", "end of 0 22.0-25.0", "1 23.0-33.0", "end of 1 23.0-37.0"]);
        day.sees(LIE, 40.0);
        assert_eq!(day.told.len(), 4, "who walked since is well");
    }

    #[test]
    fn a_state_lasts_until_what_undoes_it() {
        let after = After { kinds: vec![LIGHT_ON], unless: vec![LIGHT_OFF], within_us: None };
        let stove = AlertRule { after: Some(after), hold: Hold::For(Micros(60_000_000)), ..rule(&[NOBODY]) };
        let mut day = Day::new([stove]);
        day.sees(NOBODY, 100.0).sees(LIGHT_ON, 1.0).sees(NOBODY, 30.0).sees(LIGHT_OFF, 1.0).sees(NOBODY, 100.0);
        assert!(day.told.is_empty());
        day.sees(LIGHT_ON, 1.0).sees(WALK, 20.0).sees(NOBODY, 61.0);
        assert_eq!(day.told, ["0 253.0-313.0"]);
    }

    #[test]
    fn after_an_end_it_is_quiet_unless_something_else_is_seen() {
        let quiet = AlertRule { cooldown_us: Micros(60_000_000), ..rule(&[FALL, LIE]) };
        let mut day = Day::new([quiet]);
        day.sees(FALL, 1.0).sees(WALK, 4.0).sees(FALL, 1.0).sees(WALK, 4.0);
        assert_eq!(day.told, ["0 0.0-0.4", "end of 0 0.0-3.0"]);
        day.sees(LIE, 1.0).sees(WALK, 4.0);
        assert_eq!(day.told[2..], ["0 10.0-10.4", "end of 0 10.0-13.0"]);
        day.sees(NOBODY, 60.0).sees(LIE, 1.0);
        assert_eq!(day.told[4..], ["0 75.0-75.4"]);
    }

    #[test]
    fn only_at_its_times() {
        let night = AlertRule { times: vec![WeekSpan { from: 22 * 60, to: 6 * 60 }], ..rule(&[WALK]) };
        let mut day = Day::new([night]).at(21 * 60 + 59);
        day.sees(WALK, 70.0);
        assert_eq!(day.told, ["0 60.0-60.4"]);
        let span = WeekSpan { from: 10_000, to: 60 };
        assert!(span.contains(10_079) && span.contains(0) && !span.contains(60) && !span.contains(9_999));
    }

    #[test]
    fn nothing_all_morning_is_told_when_it_is_over() {
        let span = WeekSpan { from: 6 * 60, to: 6 * 60 + 3 };
        let still = AlertRule { absent: true, hold: Hold::WholeTime, times: vec![span], ..rule(&[WALK, LIE]) };
        let mut day = Day::new([still.clone()]).at(5 * 60 + 59);
        day.sees(NOBODY, 300.0);
        assert_eq!(day.told, ["0 60.0-240.0"]);
        let mut stirs = Day::new([still.clone()]).at(5 * 60 + 59);
        stirs.sees(NOBODY, 100.0).sees(WALK, 3.0).sees(NOBODY, 200.0);
        let mut late = Day::new([still.clone()]).at(6 * 60 + 1);
        late.sees(NOBODY, 300.0);
        let mut blind = Day::new([still]).at(5 * 60 + 59);
        blind.sees(NOBODY, 100.0).rules.blind();
        blind.sees(NOBODY, 200.0);
        assert!(stirs.told.is_empty() && late.told.is_empty() && blind.told.is_empty());
    }

    #[test]
    fn of_times_that_adjoin_or_overlap_each_is_whole_by_itself() {
        let span = |from: u16, to: u16| WeekSpan { from: 6 * 60 + from, to: 6 * 60 + to };
        let still = |times| AlertRule { absent: true, hold: Hold::WholeTime, times, ..rule(&[WALK]) };
        let mut day = Day::new([still(vec![span(0, 2), span(2, 4)])]).at(6 * 60 - 1);
        day.sees(NOBODY, 400.0);
        assert_eq!(day.told, ["0 60.0-180.0", "0 180.0-300.0"]);
        let mut stirs = Day::new([still(vec![span(0, 2), span(2, 4)])]).at(6 * 60 - 1);
        stirs.sees(NOBODY, 100.0).sees(WALK, 3.0).sees(NOBODY, 300.0);
        assert_eq!(stirs.told, ["0 180.0-300.0"], "the second of them");
        let mut over = Day::new([still(vec![span(0, 3), span(1, 4)])]).at(6 * 60 - 1);
        over.sees(NOBODY, 400.0);
        assert_eq!(over.told, ["0 60.0-240.0"], "the other was entered midway");
        // All of a week has no beginning but its own.
        let week = vec![WeekSpan { from: 0, to: 5040 }, WeekSpan { from: 5040, to: 0 }];
        let mut week = Day::new([still(week)]).at(5038);
        week.sees(NOBODY, 5043.0 * 60.0);
        assert_eq!(week.told, ["0 120.0-302520.0"]);
    }

    #[test]
    fn only_what_moved_in_its_zone_begins() {
        let mut moves = PatchMask::empty();
        moves.insert(9);
        let zone = Zone::new(vec![[0.25, 0.5], [0.5, 0.5], [0.5, 0.75], [0.25, 0.75]]);
        let mut day = Day::new([AlertRule { zone: Some(zone), ..rule(&[WALK]) }]);
        day.sees(WALK, 10.0);
        assert!(day.told.is_empty());
        day.moves = moves;
        day.sees(WALK, 1.0);
        day.moves = PatchMask::empty();
        day.sees(WALK, 10.0).sees(NOBODY, 3.0);
        assert_eq!(day.told, ["0 10.0-10.4", "end of 0 10.0-23.0"], "who stands there is still there");
    }

    #[test]
    fn a_zone_lies_where_the_picture_does() {
        let grid = PatchGrid::new(16, 2).expect("8 patches of 2 pixels");
        let patches = |corners: &[[f32; 2]], content| {
            Zone::new(corners.to_vec()).patches(grid, content).iter().collect::<Vec<_>>()
        };
        // The left upper quarter of a picture of 8 x 4 patches in the middle of 8 x 8.
        let wide = Content { x0: 0, x1: 8, y0: 2, y1: 6 };
        let quarter = [[0.0, 0.0], [0.49, 0.0], [0.49, 0.49], [0.0, 0.49]];
        assert_eq!(patches(&quarter, wide), [16, 17, 18, 19, 24, 25, 26, 27]);
        assert_eq!(patches(&quarter, Content::whole(grid)).len(), 16);
        // A triangle, and a corner at the very edge.
        let triangle = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let half = patches(&triangle, Content::whole(grid));
        assert!(
            half.contains(&0) && half.contains(&7) && half.contains(&56) && !half.contains(&63) && !half.contains(&45)
        );
        assert!((Zone::new(quarter.to_vec()).area() - 0.2401).abs() < 1e-4);
        // Smaller than a patch, it is the patch.
        assert_eq!(patches(&[[0.51, 0.51], [0.52, 0.51], [0.52, 0.52]], Content::whole(grid)), [36]);
        // The same zone in another picture.
        let mut zone = Zone::new(quarter.to_vec());
        assert_ne!(zone.patches(grid, wide), zone.patches(grid, Content::whole(grid)));
    }

    #[test]
    fn more_alerts_than_there_is_room_for_come_with_the_next_pictures() {
        let mut day = Day::new(vec![rule(&[FALL]); 20]);
        day.sees(FALL, 1.0);
        let mut told: Vec<usize> =
            day.told.iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
        told.sort_unstable();
        assert_eq!(told, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn another_vocabulary_has_other_numbers() {
        let mut day = Day::new([rule(&[FALL]), rule(&[WALK])]);
        day.sees(FALL, 1.0);
        assert_eq!(day.told, ["0 0.0-0.4"]);
        // Walking has gone; falling is the first now.
        day.rules.relearn(&[Some(1), None, Some(0), Some(2), Some(3), Some(4)]);
        day.sees_kinds(&[0.9, 0.0, 0.0, 0.0, 0.0], 2.0).sees_kinds(&[0.0, 0.9, 0.0, 0.0, 0.0], 4.0);
        assert_eq!(day.told[1..], ["end of 0 0.0-5.0"]);
    }

    #[test]
    fn rules_come_and_go_while_the_others_go_on() {
        let now = Seen { entry: EntryId(9), captured_us: Micros(1_800_000) };
        let mut day = Day::new([rule(&[FALL]), rule(&[WALK])]);
        assert_eq!(day.rules.put(4, Some(rule(&[FALL])), now), None);
        assert!(day.rules.has(4) && !day.rules.has(3) && !day.rules.has(5));
        day.sees(FALL, 2.0);
        assert_eq!(day.told, ["0 0.0-0.4", "4 0.0-0.4"]);
        // The first goes on, with the alert that is open, and the other is over with its rule.
        let over = day.rules.put(4, Some(rule(&[WALK])), now).expect("its alert was open");
        assert_eq!((over.rule, over.over, over.to), (4, true, now));
        assert_eq!(day.rules.put(1, None, now), None, "nothing was open there");
        day.sees(WALK, 4.0);
        assert_eq!(day.told[2..], ["4 2.0-2.4", "end of 0 0.0-4.0"], "and nothing of what has gone");
    }

    #[test]
    fn scores_are_the_most_that_was_seen() {
        let mut day = Day::new([rule(&[FALL, LIE])]);
        let mut alerts = AlertBuf::new();
        for (frame, kinds) in [[0.0, 0.0, 0.6, 0.0], [0.0, 0.0, 0.3, 0.55], [0.0, 0.0, 0.4, 0.1]].iter().enumerate() {
            let seen = Seen { entry: EntryId(frame as u64), captured_us: Micros(frame as u64 * FRAME_US) };
            day.rules.judge(&sight(seen, kinds, &PatchMask::empty(), None), &mut alerts);
        }
        let [alert] = alerts[..] else { panic!("one alert: {alerts:?}") };
        assert_eq!((alert.kind, alert.score), (Some(LIE), 0.85));
        assert_eq!((alert.from.entry, alert.to.entry), (EntryId(0), EntryId(2)));
    }
}
