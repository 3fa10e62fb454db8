//! `[[alert]]`: standing conditions, from the words of the config to what the pipeline judges.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ocelli_gateway::TOLD_AGAIN;
use ocelli_infer::{Manifest, Pack, Vocabulary};
use ocelli_pipeline::{After, AlertRule, AlertRules, Hold, WEEK_MINUTES, WeekSpan, Zone};
use ocelli_types::{Micros, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::additions;
use crate::config::{Config, ConfigError, GatewayTable};
use crate::error::{Error, note};
use crate::escalate::Escalation;
use crate::sentences::{SeverityName, check_text};
use crate::wiring;

/// The most conditions of a config: each costs some hundred additions a picture.
const MOST_ALERTS: usize = 256;

/// The longest of all times: a year.
const MOST: Duration = Duration::from_hours(366 * 24);

/// No zone is smaller, as a share of the picture: a patch is 1/256 of it.
const LEAST_AREA: f32 = 1e-4;

/// No alarm is told again sooner.
const LEAST_ESCALATION_US: Micros = Micros(5_000_000);

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u16 = 24 * 60;

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

/// `[alerts]`: what holds for all alerts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsTable {
    /// Quiet hours, as `times` of an `[[alert]]`: what is no alarm is kept in the journal then, and told nobody. Default: none.
    pub quiet: Vec<String>,
    /// After how long an alarm that nobody acknowledged with `ocelli ack` is told again, such as `"2min"`; it needs a journal.
    /// Default: never.
    pub escalate_after: Option<String>,
    /// How often it is told again at most, 1 to 100. Default 3.
    pub escalate_times: u32,
    /// Whether it is told, as a `notice`, what is unusual at a camera for the hour of the day. Default false.
    pub unusual: bool,
    /// Days on which it learns what is usual before it tells of anything, 2 to 30. Default 7.
    pub unusual_after_days: u16,
    /// Where conditions are kept that are added on the gateway's page, 32 at most. Default: none can be added.
    pub file: Option<PathBuf>,
}

impl Default for AlertsTable {
    fn default() -> Self {
        Self {
            quiet: Vec::new(),
            escalate_after: None,
            escalate_times: 3,
            unusual: false,
            unusual_after_days: 7,
            file: None,
        }
    }
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

    fn parts(&self) -> Result<(Hold, Micros, Vec<WeekSpan>), String> {
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

    /// What is judged, with these words of a pack's.
    ///
    /// # Errors
    /// A kind that it names is unknown, or it contradicts itself.
    pub fn rule(&self, vocabulary: &Vocabulary, manifest: &Manifest) -> Result<AlertRule, String> {
        let kinds = |names: &[String]| -> Result<Vec<usize>, String> {
            let found = names.iter().map(|name| vocabulary.kind_of(name).ok_or(name));
            let found: Result<BTreeSet<_>, _> = found.collect();
            found.map(|kinds| kinds.into_iter().collect()).map_err(|name| {
                let known = wiring::kinds_text(vocabulary);
                format!("neither the pack {} nor a sentence of yours knows `{name}`; there are: {known}", manifest.name)
            })
        };
        let (hold, cooldown_us, times) = self.parts()?;
        let absent = !self.absent.is_empty();
        let names = if absent { &self.absent } else { &self.kinds };
        let speak = &manifest.speak;
        // As sure as of the one of which the pack has to be surest.
        let asked = names.iter().map(|name| speak.kinds.get(name).map_or(speak.threshold, |own| own.threshold));
        let asked = asked.fold(0.0, f32::max).max(f32::MIN_POSITIVE);
        let within_us = self.within.as_deref().map(|text| parse_duration("within", text)).transpose()?;
        let after = After { kinds: kinds(&self.after)?, unless: kinds(&self.unless)?, within_us };
        let seen = kinds(names)?;
        if let Some(both) = seen.iter().find(|kind| !absent && after.kinds.contains(kind)) {
            let kind = vocabulary.kind(*both);
            return Err(format!("`{kind}` is what is to be seen and also what is to go `after`; take it out of one"));
        }
        Ok(AlertRule {
            kinds: seen,
            absent,
            threshold: self.threshold.unwrap_or(asked),
            after: (!self.after.is_empty()).then_some(after),
            hold,
            cooldown_us,
            zone: (!self.zone.is_empty()).then(|| Zone::new(self.zone.clone())),
            times,
        })
    }

    /// The second stage of a fall: the pack alarms when somebody falls, and this when nobody gets up. `None` for a pack that
    /// does not know of it.
    fn stays_down(pack: &Pack) -> Option<Self> {
        let known = |names: &[&str]| -> Vec<String> {
            let known = names.iter().filter(|name| pack.vocabulary.kind_named(name).is_some());
            known.map(ToString::to_string).collect()
        };
        let (fall, kinds) = (known(&["fall"]), known(&["lie_still", "lie"]));
        let unless = known(&["get_up", "stand", "walk", "run", "sit"]);
        (!fall.is_empty() && !kinds.is_empty()).then(|| Self {
            text: "Somebody fell and does not get up".into(),
            kinds,
            after: fall,
            unless,
            within: Some("2min".into()),
            for_: Some("10s".into()),
            ..Self::default()
        })
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

/// What holds for all alerts: when alarms are told again, and quiet hours.
pub fn for_all(table: &AlertsTable) -> Result<(Escalation, Vec<WeekSpan>), Error> {
    let parts = parts_for_all(table);
    Ok(parts.map_err(ConfigError::Usage)?)
}

fn parts_for_all(table: &AlertsTable) -> Result<(Escalation, Vec<WeekSpan>), String> {
    let quiet = table.quiet.iter().map(|text| parse_times("quiet", text)).collect::<Result<Vec<_>, _>>()?.concat();
    let after_us = table.escalate_after.as_deref().map(|text| parse_duration("escalate_after", text)).transpose()?;
    if after_us.is_some_and(|after_us| after_us < LEAST_ESCALATION_US) {
        return Err("`escalate_after` is less than five seconds; nobody is as fast as that".into());
    }
    if !(1..=100).contains(&table.escalate_times) {
        return Err(format!("`escalate_times` is {}; it may be 1 to 100", table.escalate_times));
    }
    if !(2..=30).contains(&table.unusual_after_days) {
        return Err(format!("`unusual_after_days` is {}; it may be 2 to 30", table.unusual_after_days));
    }
    Ok((Escalation::new(after_us, table.escalate_times), quiet))
}

/// Nobody could acknowledge what no journal keeps; and what is added on the page needs a place of its own.
pub fn check_kept(config: &Config) -> Result<(), Error> {
    if config.alerting.escalate_after.is_some() && config.journal.file.is_none() {
        let why = "`escalate_after` needs a journal, in which alerts are acknowledged: set `file` of [journal]";
        return Err(ConfigError::Usage(why.into()).into());
    }
    let GatewayTable { users, audit, setup, .. } = &config.gateway;
    let conditions = &config.alerting.file;
    let written = [("`file` of [alerts]", conditions), ("`setup` of [gateway]", setup)];
    for (key, file) in written.iter().filter_map(|(key, file)| Some((key, file.as_ref()?))) {
        let others = [users, audit, &config.journal.file, &config.vocabulary, conditions, setup];
        // It is one of them itself.
        let taken = others.into_iter().flatten().filter(|other| *other == file).count() > 1;
        let taken = taken.then(|| "something else has this file".to_owned());
        if let Some(why) = taken.or_else(|| additions::possible(file).err()) {
            return Err(ConfigError::Usage(format!("{key}, {}: {why}", file.display())).into());
        }
    }
    Ok(())
}

/// What no type says of all of them.
pub fn check(config: &Config) -> Result<(), String> {
    parts_for_all(&config.alerting).map_err(|why| format!("[alerts]: {why}"))?;
    if config.alerts.len() > MOST_ALERTS {
        return Err(format!("there are {} [[alert]]; {MOST_ALERTS} is the most", config.alerts.len()));
    }
    for alert in &config.alerts {
        alert.check()?;
        if alert.in_zone.is_some() {
            return Err(format!("alert `{}`: `in_zone` is for conditions of the page; write a `zone`", alert.words()));
        }
        let known = |name: &String| config.cameras.iter().any(|camera| camera.name == *name);
        if let Some(name) = alert.camera.as_ref().filter(|name| !known(name)) {
            return Err(format!("alert `{}`: there is no camera `{name}`", alert.words()));
        }
    }
    Ok(())
}

/// The conditions of a camera, and what each of them tells.
pub fn of_camera(config: &Config, camera: usize, pack: &Pack) -> Result<(AlertRules, Vec<Tells>), Error> {
    let name = &config.cameras[camera].name;
    let own = config.alerts.iter().filter(|alert| alert.camera.as_ref().is_none_or(|of| of == name)).cloned();
    let (mut rules, mut tells) = (Vec::new(), Vec::new());
    for alert in own.chain(AlertTable::stays_down(pack)) {
        let rule = alert.rule(&pack.vocabulary, &pack.manifest);
        rules.push(rule.map_err(|why| ConfigError::Usage(format!("alert `{}`: {why}", alert.words())))?);
        tells.push(alert.tells());
    }
    Ok((AlertRules::new(rules), tells))
}

/// What holds for all of them as far as it is not as ever, and the conditions of the config as they are understood, a line each.
pub fn lines(config: &Config, pack: &Pack) -> Result<String, Error> {
    let mut lines = all_line(&config.alerting);
    for alert in &config.alerts {
        let words = alert.words();
        let rule = alert
            .rule(&pack.vocabulary, &pack.manifest)
            .map_err(|why| ConfigError::Usage(format!("alert `{words}`: {why}")))?;
        let names: Vec<_> = rule.kinds.iter().map(|&kind| pack.vocabulary.kind(kind)).collect();
        let (seen, names, at) = (if rule.absent { "none of" } else { "any of" }, names.join(", "), rule.threshold);
        let hold = match rule.hold {
            Hold::For(hold_us) => format!("for {:.1} s", hold_us.seconds()),
            Hold::WholeTime => "for a whole time".into(),
        };
        let after = if rule.after.is_some() { format!(", after {}", alert.after.join(", ")) } else { String::new() };
        let times = if rule.times.is_empty() { String::new() } else { format!(", {}", alert.times.join("; ")) };
        let zone = if rule.zone.is_some() { ", in its zone" } else { "" };
        let of = alert.camera.as_deref().unwrap_or("each camera");
        let severity = match alert.severity {
            None | Some(SeverityName::Alarm) => "",
            Some(SeverityName::Notice) => ", notice",
            Some(SeverityName::Info | SeverityName::None) => ", info",
        };
        lines += &format!("alert   {words}: {of}, {seen} {names} from {at:.2} {hold}{after}{times}{zone}{severity}\n");
    }
    Ok(lines)
}

/// `[alerts]`, where it says anything.
fn all_line(table: &AlertsTable) -> String {
    let AlertsTable { quiet, escalate_after, escalate_times, unusual, unusual_after_days, file } = table;
    let escalates =
        |after| format!("an alarm that nobody acknowledged is told again after {after}, {escalate_times} times");
    let parts = [
        escalate_after.as_ref().map(escalates),
        (!quiet.is_empty()).then(|| format!("quiet below alarm in {}", quiet.join(" and "))),
        unusual.then(|| format!("what is unusual is told after {unusual_after_days} days")),
        file.as_ref().map(|file| format!("what is added on the page is kept in {}", file.display())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("alerts  {}\n", parts.join("; ")) }
}

/// The most bytes of a file with a time zone; real ones have a few thousand.
const MOST_ZONE_BYTES: u64 = 1 << 20;

/// The time zone of this machine, by `TZ` or its `/etc/localtime`.
///
/// # Errors
/// Why it is not known.
pub fn time_zone() -> Result<TimeZone, String> {
    let named = std::env::var("TZ").unwrap_or_default();
    let named = named.trim_start_matches(':');
    let folder = std::env::var("TZDIR").unwrap_or_else(|_| "/usr/share/zoneinfo".into());
    let places =
        [Path::new(&folder).join(named), Path::new("/usr/share/zoneinfo").join(named), "/etc/localtime".into()];
    // Reading a device might never come to an end.
    for place in places {
        if let Ok(found) = fs::metadata(&place)
            && (!(found.is_file() || found.is_dir()) || found.len() > MOST_ZONE_BYTES)
        {
            return Err(format!("{} is no time zone", place.display()));
        }
    }
    TimeZone::try_system().map_err(|error| error.to_string())
}

/// Minutes of the week in local time.
#[derive(Debug)]
pub struct WeekClock {
    zone: TimeZone,
}

impl WeekClock {
    /// In the time zone of this machine; where that is not known, and something hangs on it, that is said.
    pub fn new(config: &Config) -> Self {
        let zone = time_zone().unwrap_or_else(|error| {
            let AlertsTable { quiet, unusual, file, .. } = &config.alerting;
            let of_one = config.alerts.iter().any(|alert| !alert.times.is_empty());
            let on_it = of_one || !quiet.is_empty() || *unusual || file.is_some();
            if on_it {
                note(format_args!("times of day are taken in UTC: the time zone of this machine is unknown ({error})"));
            }
            TimeZone::UTC
        });
        Self { zone }
    }

    /// Minute of the week, 0 = Monday 00:00, at a date in milliseconds since 1970.
    pub fn minute(&self, unix_ms: u64) -> Option<u16> {
        let local = Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?.to_zoned(self.zone.clone());
        let day = u16::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let of_day = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        Some(day * DAY_MINUTES + of_day)
    }
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
fn parse_times(key: &str, text: &str) -> Result<Vec<WeekSpan>, String> {
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

    #[test]
    fn minutes_of_the_week_are_local() {
        let at = |zone| WeekClock { zone }.minute(1_795_674_600_000);
        // 2026-11-26 06:30 UTC, a Thursday.
        assert_eq!(at(TimeZone::UTC), Some(3 * 1440 + 390));
        assert_eq!(at(TimeZone::fixed(jiff::tz::offset(-7))), Some(2 * 1440 + 1410));
    }
}
