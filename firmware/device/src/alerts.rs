//! `[[alert]]`: standing conditions, from the words of the config to what the pipeline judges.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ocelli_infer::{Manifest, Pack, Vocabulary};
use ocelli_pipeline::{After, AlertRule, AlertRules, Hold, WeekSpan, Zone};
use ocelli_types::Micros;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::additions;
pub use crate::condition::{AlertTable, Tells, parse_duration};
use crate::condition::{DAY_MINUTES, parse_times};
use crate::config::{Config, ConfigError, GatewayTable};
use crate::error::{Error, note};
use crate::escalate::Escalation;
use crate::said::SeverityName;
use crate::wiring;

/// The most conditions of a config: each costs some hundred additions a picture.
const MOST_ALERTS: usize = 256;

/// No alarm is told again sooner.
const LEAST_ESCALATION_US: Micros = Micros(5_000_000);

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

impl AlertTable {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_of_the_week_are_local() {
        let at = |zone| WeekClock { zone }.minute(1_795_674_600_000);
        // 2026-11-26 06:30 UTC, a Thursday.
        assert_eq!(at(TimeZone::UTC), Some(3 * 1440 + 390));
        assert_eq!(at(TimeZone::fixed(jiff::tz::offset(-7))), Some(2 * 1440 + 1410));
    }
}
