//! A standing condition as it is written, in the config, on the gateway's page or over MQTT, and what its words come to.
//!
//! This, `said.rs` and `wish.rs` know no pack and no config, so that `tests/fuzz` can read with them whatever comes from the network.

use std::time::Duration;

use ocelli_gateway::TOLD_AGAIN;
use ocelli_pipeline::{Hold, WEEK_MINUTES, WeekSpan, Zone};
use ocelli_types::{Micros, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::said::{SeverityName, check_text};

/// The longest of all times: a year.
const MOST: Duration = Duration::from_hours(366 * 24);

/// No zone is smaller, as a share of the picture: a patch is 1/256 of it.
const LEAST_AREA: f32 = 1e-4;

/// The most corners of a zone that comes from the network.
pub const MOST_CORNERS: usize = 32;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;

/// `[[alert]]`: what to be told of, besides what the pack itself alarms about.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertTable {
    /// What is told: `"Nobody was in the kitchen for ten minutes"`. With `when` it may be left out, and that is told.
    pub text: String,
    /// In plain words, in English, what is to be seen, in place of `kinds`: `"somebody has fallen"`. `ocelli check` shows as which kinds
    /// it is understood.
    pub when: Option<String>,
    /// The camera that it is about. Default: each.
    pub camera: Option<String>,
    /// Kinds of the pack, such as `["fall", "lie_still"]`: met while one of them is seen.
    pub kinds: Vec<String>,
    /// Kinds of the pack, in place of `kinds`: met while none of them is seen.
    pub absent: Vec<String>,
    /// For how long, such as `"30s"` or `"10min"`, gaps of half of it aside, two seconds at most; an absence ends with
    /// what is seen for 0.4 s. Or `"all"`: from the beginning of one of its `times` to the end. Default `"1s"`.
    #[serde(rename = "for")]
    pub for_: Option<String>,
    /// Kinds of which one must have been seen before.
    pub after: Vec<String>,
    /// Kinds none of which may have been seen since `after`.
    pub unless: Vec<String>,
    /// How long ago `after` may be at most. Default: any time.
    pub within: Option<String>,
    /// How long it is quiet after its end, unless something else is seen. Default `"5min"`.
    pub cooldown: Option<String>,
    /// When it counts, in local time: `"22:00-06:00"`, `"mon-fri 08:00-17:00"`, `"sat,sun 10:00-24:00"`. Default: always.
    pub times: Vec<String>,
    /// Where something must have moved: corners of a polygon, x and y in shares of the picture from its upper left corner, such
    /// as `[[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]` for the right half. Default: anywhere.
    pub zone: Vec<[f32; 2]>,
    /// In place of `zone`, of a condition that is added on the page: the name of a zone of `camera` that was drawn there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub in_zone: Option<String>,
    /// How much it matters: `alarm`, `notice` or `info`. Below alarm it is told nobody in quiet hours, and never again when nobody
    /// acknowledges it. Default `alarm`.
    pub severity: Option<SeverityName>,
    /// Summed probability from which kinds are seen, above 0 to 1. Default: what the pack asks for before it says that of
    /// them of which it has to be surest.
    pub threshold: Option<f32>,
}

/// What a condition tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tells {
    /// Its words.
    pub text: String,
    /// How much it matters.
    pub severity: Severity,
}

impl AlertTable {
    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        if self.words().trim().is_empty() {
            return Err("an [[alert]] has no `text`; write what it should tell".into());
        }
        check_text(self.words()).map_err(|why| format!("the `text` of an [[alert]]: {why}"))?;
        if self.words().starts_with(TOLD_AGAIN) {
            return Err(format!(
                "the `text` of an [[alert]] begins with `{TOLD_AGAIN}`, as what is told again does; write others"
            ));
        }
        if let Some(when) = &self.when {
            check_text(when).map_err(|why| format!("the `when` of an [[alert]]: {why}"))?;
        }
        self.parts().map(|_| ()).map_err(|why| format!("alert `{}`: {why}", self.words()))
    }

    /// What it tells.
    pub fn words(&self) -> &str {
        self.when.as_deref().filter(|_| self.text.is_empty()).unwrap_or(&self.text)
    }

    /// What it tells, and how much that matters.
    pub fn tells(&self) -> Tells {
        Tells { severity: self.severity.map_or(Severity::Alarm, Into::into), text: self.words().to_owned() }
    }

    /// For how long it must hold, how long it is quiet after, and when it counts.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn parts(&self) -> Result<(Hold, Micros, Vec<WeekSpan>), String> {
        // What `when` means is in `kinds`, once it is understood.
        let ways = [self.when.is_some(), self.when.is_none() && !self.kinds.is_empty(), !self.absent.is_empty()];
        if ways.iter().filter(|given| **given).count() != 1 {
            let ways = "`when`, in words, or `kinds`, what is to be seen, or `absent`, what is not to be";
            return Err(format!("write either {ways}"));
        }
        if self.after.is_empty() && (self.within.is_some() || !self.unless.is_empty()) {
            return Err("`unless` and `within` are about `after`, which is not there".into());
        }
        if self.in_zone.is_some() && (!self.zone.is_empty() || self.camera.is_none()) {
            return Err("`in_zone` is a zone of a `camera`, which is to be named, in place of a `zone`".into());
        }
        check_zone(&self.zone)?;
        if let Some(threshold) = self.threshold.filter(|threshold| !(*threshold > 0.0 && *threshold <= 1.0)) {
            return Err(format!("`threshold` is {threshold}; it may be above 0 to 1"));
        }
        let times = self.times.iter().map(|text| parse_times("times", text)).collect::<Result<Vec<_>, _>>()?.concat();
        let hold = match self.for_.as_deref() {
            Some("all") if times.is_empty() => {
                return Err("`for = \"all\"` is about `times`, which are not there".into());
            }
            Some("all") => Hold::WholeTime,
            text => Hold::For(parse_duration("for", text.unwrap_or("1s"))?),
        };
        self.within.as_deref().map(|text| parse_duration("within", text)).transpose()?;
        let cooldown_us = parse_duration("cooldown", self.cooldown.as_deref().unwrap_or("5min"))?;
        Ok((hold, cooldown_us, times))
    }
}

/// Corners of a zone, or none.
///
/// # Errors
/// Nothing is inside of them.
pub fn check_zone(corners: &[[f32; 2]]) -> Result<(), String> {
    if corners.is_empty() {
        return Ok(());
    }
    if corners.len() < 3 {
        return Err("a `zone` has three corners or more".into());
    }
    if corners.iter().flatten().any(|at| !(0.0..=1.0).contains(at)) {
        return Err("corners of a `zone` are shares of the picture, 0 to 1".into());
    }
    if Zone::new(corners.to_vec()).area() < LEAST_AREA {
        return Err("the corners of a `zone` lie on one line, or it crosses itself: nothing is inside".into());
    }
    Ok(())
}

/// A time from `"30s"`.
///
/// # Errors
/// A sentence that shows how it is written.
pub fn parse_duration(key: &str, text: &str) -> Result<Micros, String> {
    let parsed = humantime::parse_duration(text).ok().filter(|duration| *duration <= MOST);
    let parsed = parsed.ok_or_else(|| format!("`{key}` is `{text}`; write it like \"30s\", \"10min\" or \"2h\""))?;
    Ok(Micros(parsed.as_micros() as u64))
}

/// `22:00-06:00`, with days before it: `mon-fri 22:00-06:00`, `sat,sun 22:00-06:00`. One span for each day.
///
/// # Errors
/// A sentence that shows how it is written.
pub fn parse_times(key: &str, text: &str) -> Result<Vec<WeekSpan>, String> {
    let wrong = || format!("`{text}` in `{key}` is no time; write it like \"22:00-06:00\" or \"mon-fri 08:00-17:00\"");
    let mut words = text.split_whitespace();
    let (days, hours) = match (words.next(), words.next(), words.next()) {
        (Some(hours), None, _) => ((0..7).collect(), hours),
        (Some(days), Some(hours), None) => (parse_days(days).ok_or_else(wrong)?, hours),
        _ => return Err(wrong()),
    };
    let (from, to) = hours.split_once('-').and_then(|(a, b)| Some((clock(a)?, clock(b)?))).ok_or_else(wrong)?;
    if from == to || from == DAY_MINUTES {
        return Err(wrong());
    }
    let length = if to > from { to - from } else { to + DAY_MINUTES - from };
    let span = |day: u16| {
        let from = day * DAY_MINUTES + from;
        WeekSpan { from, to: (from + length) % WEEK_MINUTES }
    };
    Ok(days.into_iter().map(span).collect())
}

/// `mon`, `mon-fri`, `sat,sun`, `fri-mon`.
fn parse_days(text: &str) -> Option<Vec<u16>> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name.to_lowercase()).map(|day| day as u16);
    let mut days = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (day(from)?, day(to)?);
        days.extend((0..=(to + 7 - from) % 7).map(|more| (from + more) % 7));
    }
    days.sort_unstable();
    days.dedup();
    Some(days)
}

/// Minute of the day of `06:30`, up to `24:00`.
fn clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_number = |text: &str| text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
    let (hour, minute): (u16, u16) =
        (is_number(hour) && is_number(minute)).then(|| Some((hour.parse().ok()?, minute.parse().ok()?)))??;
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= DAY_MINUTES).then_some(of_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzer_begins_with_is_a_condition_a_time_or_an_address() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/condition");
        for seed in std::fs::read_dir(seeds).expect("they are there") {
            let path = seed.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("it is text");
            if path.extension().is_some() {
                let table: AlertTable = serde_json::from_str(&text).expect(&text);
                assert_eq!(table.check(), Ok(()), "{text}");
            } else if text != "99999999999999y" {
                let time = parse_times("times", &text).is_ok() || crate::when::parse_since(&text).is_ok();
                let time = time || ocelli_drivers::RtspAddress::parse(&text).is_ok();
                assert!(time, "{text}");
            }
        }
    }

    #[test]
    fn times_of_a_week_are_told_as_people_tell_them() {
        let day = |day: u16, from: u16, to: u16| WeekSpan { from: day * 1440 + from, to: (day * 1440 + to) % 10_080 };
        assert_eq!(parse_times("times", "sat 10:00-24:00"), Ok(vec![day(5, 600, 1440)]));
        assert_eq!(parse_times("times", "Sat,sun 08:30-17:00"), Ok(vec![day(5, 510, 1020), day(6, 510, 1020)]));
        let nights = parse_times("times", "22:00-06:00").expect("every night");
        assert_eq!((nights.len(), nights[6]), (7, WeekSpan { from: 6 * 1440 + 1320, to: 360 }));
        assert!(nights[6].contains(0) && nights[6].contains(10_079) && !nights[6].contains(360));
        assert_eq!(parse_times("times", "fri-mon 10:00-11:00").expect("four days").len(), 4);
        for wrong in [
            "",
            "10:00",
            "10:00-10:00",
            "24:00-06:00",
            "25:00-26:00",
            "10:60-11:00",
            "someday 10:00-11:00",
            "mon 1:0-2:0",
        ] {
            let error = parse_times("times", wrong).expect_err(wrong);
            assert!(error.contains("write it like"), "{error}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_said_in_one_line() {
        let base = || AlertTable { text: "x".into(), kinds: vec!["fall".into()], ..AlertTable::default() };
        assert_eq!(base().check(), Ok(()));
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (table, word) in [
            (AlertTable { text: " ".into(), ..base() }, "has no `text`"),
            (AlertTable { kinds: vec![], ..base() }, "or `kinds`"),
            (AlertTable { absent: list(&["walk"]), ..base() }, "or `kinds`"),
            (
                AlertTable { when: Some("somebody falls".into()), absent: list(&["walk"]), ..AlertTable::default() },
                "either `when`",
            ),
            (AlertTable { when: Some("some\nbody".into()), ..base() }, "the `when` of an [[alert]]"),
            (AlertTable { zone: vec![[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]], ..base() }, "on one line"),
            (AlertTable { unless: list(&["walk"]), ..base() }, "about `after`"),
            (AlertTable { within: Some("1h".into()), ..base() }, "about `after`"),
            (AlertTable { for_: Some("all".into()), ..base() }, "about `times`"),
            (AlertTable { for_: Some("long".into()), ..base() }, "\"30s\""),
            (AlertTable { for_: Some("9000years".into()), ..base() }, "\"30s\""),
            (AlertTable { cooldown: Some("-1s".into()), ..base() }, "`cooldown` is `-1s`"),
            (AlertTable { zone: vec![[0.0, 0.0], [1.0, 1.0]], ..base() }, "three corners"),
            (AlertTable { zone: vec![[0.0, 0.0], [1.0, 1.0], [0.0, 2.0]], ..base() }, "0 to 1"),
            (AlertTable { threshold: Some(0.0), ..base() }, "above 0 to 1"),
            (AlertTable { threshold: Some(f32::NAN), ..base() }, "above 0 to 1"),
        ] {
            let error = table.check().expect_err(word);
            assert!(error.contains(word) && error.lines().count() == 1, "{error}");
        }
    }
}
