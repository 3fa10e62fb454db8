//! `ocelli events`, `ocelli ack`, `ocelli yes` and `ocelli no`: what was said, and what one says to it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ocelli_drivers::{SinkError, SystemClock};
use ocelli_infer::Evidence;
use ocelli_journal::{Acknowledged, Found, Hole, Journal, Query, acknowledge as note_in};
use ocelli_types::{Clock as _, EventKind, Micros, Severity};
use serde::Serialize;

use crate::alerts;
use crate::cli::{AboutArgs, AckArgs, EventsArgs};
use crate::config::{Config, ConfigError};
use crate::error::{Error, note};
use crate::examples;
use crate::lessons;

/// The last millisecond that is written with a year of four digits.
const LAST_UNIX_MS: u64 = 253_402_300_799_999;

/// The similarity at which a word is offered in place of another, as for the keys of a config.
const NEAR: f64 = 0.75;

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: Option<u64>,
    r#type: &'a str,
    camera: Option<&'a str>,
    /// RFC 3339; `null` where it has no date.
    start: Option<String>,
    end: Option<String>,
    t_start_s: Option<f64>,
    t_end_s: Option<f64>,
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a [String]>,
    severity: Option<&'a str>,
    text: &'a str,
    score: Option<f64>,
    entries: Option<[u64; 2]>,
    narrations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likeness: Option<f64>,
    #[serde(flatten)]
    alert: Option<OfAlert<'a>>,
}

/// What an alert has besides.
#[derive(Debug, Serialize)]
struct OfAlert<'a> {
    /// The sentence that followed it.
    said: Option<&'a str>,
    /// How often it was told; 0 in quiet hours.
    told: u32,
    /// When somebody acknowledged it.
    acknowledged: Option<String>,
}

/// What a hole says.
pub const NOT_RUNNING: &str = "nothing was watched";

/// Lists what fits.
pub fn command(args: &EventsArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    let journal = Journal::open(&file(args.journal.as_ref(), &config)?)?;
    require_camera(&journal, args.camera.as_deref())?;
    let words = args.words.join(" ");
    let like = args.like.map(|id| vector_of(&journal, id)).transpose()?;
    let like = like.as_ref().map(|evidence| evidence.values().map(f32::from));
    let zone = if args.utc { TimeZone::UTC } else { local() };
    let (since_ms, until_ms) = (args.since.map(|at| at.unix_ms(&zone)), args.until.map(|at| at.unix_ms(&zone)));
    let query = Query {
        words: &words,
        like: like.as_ref(),
        camera: args.camera.as_deref(),
        kind: args.kind.as_deref(),
        about: args.about.as_deref(),
        severity: args.severity.map_or(Severity::None, Severity::from),
        since_ms,
        until_ms,
        after_id: None,
        before_id: None,
        limit: args.limit.into(),
    };
    let mut found = journal.search(&query)?;
    // By likeness the best comes first; by time the newest comes last, where one looks.
    if like.is_none() {
        found.reverse();
        found = by_date(found);
    }
    // Of several things that are asked for nothing is said of a time in which nobody looked.
    let all = words.is_empty() && like.is_none() && args.camera.is_none() && args.kind.is_none();
    let mut holes = Vec::new();
    if all && args.severity.is_none() && args.about.is_none() {
        let since_ms =
            since_ms.max(found.iter().find_map(|event| event.start_ms).filter(|_| found.len() == query.limit));
        holes = journal.holes(since_ms, until_ms)?;
    }
    if found.is_empty() && holes.is_empty() {
        match args.kind.as_deref().map(|kind| hint(kind, &journal)).transpose()?.flatten() {
            Some(hint) => note(format_args!("nothing was found: {hint}")),
            None => note("nothing was found"),
        }
        return Ok(());
    }
    let mut text = String::new();
    let mut holes = holes.into_iter().peekable();
    for event in &found {
        while let Some(hole) = holes.next_if(|hole| event.start_ms.is_some_and(|start_ms| hole.end_ms <= start_ms)) {
            hole_line(&mut text, hole, args.json, &zone);
        }
        event_line(&mut text, event, args.json, &zone);
    }
    holes.for_each(|hole| hole_line(&mut text, hole, args.json, &zone));
    print(&text)
}

/// Sorts events in the order of their ids by their dates: the clip of yesterday may have been replayed today. One without a date
/// stays behind the one before it.
fn by_date(found: Vec<Found>) -> Vec<Found> {
    let mut last_ms = 0;
    let dated = found.into_iter().map(|event| {
        last_ms = event.start_ms.unwrap_or(last_ms);
        (last_ms, event)
    });
    let mut dated: Vec<_> = dated.collect();
    dated.sort_by_key(|(start_ms, _)| *start_ms);
    dated.into_iter().map(|(_, event)| event).collect()
}

/// Notes that somebody knows of an alert.
pub fn acknowledge(args: &AckArgs) -> Result<(), Error> {
    let file = file(args.journal.as_ref(), &args.common.config()?)?;
    let zone = local();
    match note_in(&file, args.id, SystemClock::new().unix_ms())? {
        Acknowledged::Now(text) => note(format_args!("acknowledged: {text}")),
        Acknowledged::Before(at_ms) => note(format_args!("it was acknowledged before, {}", for_people(at_ms, &zone))),
        Acknowledged::NoAlert => {
            let of = "only alerts are acknowledged; `ocelli events --kind alert` shows them";
            return Err(Error::NoSuchEvent(format!("alert {}, but another event of this id: {of}", args.id)));
        }
        Acknowledged::Absent => {
            let why = format!("alert {}; `ocelli events --kind alert` shows those that it has", args.id);
            return Err(Error::NoSuchEvent(why));
        }
    }
    Ok(())
}

/// The time zone here; where it is not known, UTC.
pub fn local() -> TimeZone {
    alerts::time_zone().unwrap_or_else(|error| {
        note(format_args!("times are in UTC: the time zone of this machine is unknown ({error})"));
        TimeZone::UTC
    })
}

/// What may be meant by a kind that nothing in the journal has.
fn hint(kind: &str, journal: &Journal) -> Result<Option<String>, Error> {
    const TYPES: [&str; 6] = ["narration", "alert", "alert_end", "blind", "health", "camera"];
    if kind == "unknown" {
        return Ok(Some("what had no name is shown by `ocelli vocab suggest`".into()));
    }
    let kinds = journal.kinds()?;
    if TYPES.contains(&kind) || kinds.iter().any(|known| known == kind) {
        return Ok(None);
    }
    let near = near(kind, kinds.iter().map(String::as_str).chain(TYPES));
    Ok(Some(near.map_or_else(
        || format!("the journal has no kind `{kind}`; it has {}", kinds.join(", ")),
        |near| format!("the journal has no kind `{kind}`; did you mean `{near}`?"),
    )))
}

/// What is written most like this, if anything is.
pub fn near<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |other: &str| strsim::jaro_winkler(&text.to_lowercase(), &other.to_lowercase());
    let near = known.map(|other| (likeness(other), other)).filter(|(near, _)| *near > NEAR);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other)
}

/// Teaches what the user says of an event.
pub fn teach(args: &AboutArgs, was: Option<&str>, wrong: bool) -> Result<(), Error> {
    let config = args.common.config()?;
    let journal = Journal::open(&file(args.journal.as_ref(), &config)?)?;
    let evidence = vector_of(&journal, args.id)?;
    let event = journal.event(args.id)?.ok_or_else(|| Error::NoSuchEvent(format!("event {}", args.id)))?;
    let of_camera = || config.cameras.iter().find(|camera| camera.name == event.camera)?.lessons.clone();
    let correct = || examples::correct(&config, &event.text, was, wrong, &evidence);
    let Some(path) = args.lessons.clone().or_else(of_camera) else {
        // A sentence that was taught by examples learns without them.
        let camera = &event.camera;
        let advice = format!("the config names no `lessons` for the camera `{camera}`; name them with --lessons");
        return if correct()? { Ok(()) } else { Err(ConfigError::Usage(advice).into()) };
    };
    let said = [Ok((format!("event {}", args.id), event.text.clone(), evidence.clone()))];
    lessons::learn(&config, &path, was, wrong && was.is_none(), said)?;
    correct().map(drop)
}

/// Refuses a camera of which a journal knows nothing, with those that it has.
pub fn require_camera(journal: &Journal, camera: Option<&str>) -> Result<(), Error> {
    let Some(camera) = camera else { return Ok(()) };
    let known = journal.cameras()?;
    if known.iter().any(|known| known == camera) {
        return Ok(());
    }
    let known = if known.is_empty() { "none yet".into() } else { known.join(", ") };
    Err(ConfigError::Usage(format!("the journal has no camera `{camera}`; it has: {known}")).into())
}

/// The journal's file: the one that is given, else the config's.
pub fn file(given: Option<&PathBuf>, config: &Config) -> Result<PathBuf, Error> {
    let file = given.or(config.journal.file.as_ref()).cloned();
    let none = "no journal: name its file with --journal, or the config that does with --config";
    Ok(file.ok_or_else(|| ConfigError::Usage(none.into()))?)
}

/// What an event looked like.
pub fn vector_of(journal: &Journal, id: u64) -> Result<Evidence, Error> {
    if let Some(vector) = journal.vector(id)? {
        return Ok(Evidence::kept(&vector.mark, &vector.values));
    }
    Err(Error::NoSuchEvent(match journal.event(id)? {
        Some(event) if event.kind == EventKind::Alert => {
            format!("look of an alert; take the narration before it, such as {}", id.saturating_sub(1))
        }
        Some(event) => format!("look of event {id}, which is {}; take a narration", event.kind.name()),
        None => format!("event {id}; `ocelli events` shows those that it has"),
    }))
}

fn event_line(text: &mut String, event: &Found, json: bool, zone: &TimeZone) {
    let end_ms = event.start_ms.map(|start_ms| start_ms + event.end_us.since(event.start_us).0 / 1000);
    if json {
        let line = Line {
            id: Some(event.id),
            r#type: event.kind.name(),
            camera: Some(&event.camera),
            start: event.start_ms.map(date),
            end: end_ms.map(date),
            t_start_s: Some(rounded(event.start_us.seconds())),
            t_end_s: Some(rounded(event.end_us.seconds())),
            kind: event.about.as_deref(),
            about: event.about.as_ref().map(|_| &event.entities[..]),
            severity: event.about.as_ref().map(|_| severity(event.severity)),
            text: &event.text,
            score: Some(rounded(event.score.into())),
            entries: event.entries.map(|(from, to)| [from.0, to.0]),
            narrations: (event.kind == EventKind::Narration).then_some(event.parts),
            likeness: event.likeness.map(|likeness| rounded(likeness.into())),
            alert: (event.kind == EventKind::Alert).then(|| OfAlert {
                said: event.said.as_deref(),
                told: event.told,
                acknowledged: event.acked_ms.map(date),
            }),
        };
        json_line(text, &line);
        return;
    }
    let mark = match event.kind {
        EventKind::Narration | EventKind::Camera => "",
        EventKind::Alert => "ALERT ",
        EventKind::AlertEnd => "alert over: ",
        EventKind::Update => "alert: ",
        EventKind::Blind => "blind: ",
        EventKind::Health => "device: ",
    };
    let when = when(event.start_ms, event.start_us, zone);
    let lasted_s = event.end_us.since(event.start_us).seconds();
    let score = event.likeness.unwrap_or(event.score);
    let more = event.said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
    let said = format!("{}: {mark}{}{more}", event.camera, event.text);
    let mut parts = if event.parts > 1 { format!(", {} times", event.parts) } else { String::new() };
    if event.kind == EventKind::Alert {
        parts += &match event.told {
            0 => ", told nobody".to_owned(),
            1 => String::new(),
            told => format!(", told {told} times"),
        };
        if let Some(at_ms) = event.acked_ms {
            parts += &format!(", acknowledged {}", for_people(at_ms, zone).trim_end());
        }
    }
    // As the console does: what comes from a pack or a command must not break the line or steer the terminal.
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(text, "{when} {lasted_s:7.1} s  {score:.2}  {said}  (#{}{parts})", event.id);
}

fn hole_line(text: &mut String, hole: Hole, json: bool, zone: &TimeZone) {
    let Hole { start_ms, end_ms } = hole;
    if json {
        let line = Line {
            id: None,
            r#type: "hole",
            camera: None,
            start: Some(date(start_ms)),
            end: Some(date(end_ms)),
            t_start_s: None,
            t_end_s: None,
            kind: None,
            about: None,
            severity: None,
            text: NOT_RUNNING,
            score: None,
            entries: None,
            narrations: None,
            likeness: None,
            alert: None,
        };
        return json_line(text, &line);
    }
    let lasted_s = (end_ms - start_ms) as f64 / 1000.0;
    let _ = writeln!(text, "{} {lasted_s:7.1} s        {NOT_RUNNING}", for_people(start_ms, zone));
}

fn json_line(text: &mut String, line: &Line<'_>) {
    *text += &serde_json::to_string(line).expect("a line should be JSON");
    text.push('\n');
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::None => "none",
        Severity::Info => "info",
        Severity::Notice => "notice",
        Severity::Alarm => "alarm",
    }
}

/// To 3 decimals, as in what `run` writes.
pub fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// `2026-11-26T18:30:00.123Z`
pub fn date(unix_ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(unix_ms.min(LAST_UNIX_MS))).to_string()
}

/// `2026-11-26 18:30:00Z`, or without the Z and as wide in another time zone.
fn for_people(unix_ms: u64, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(unix_ms.min(LAST_UNIX_MS).cast_signed()).expect("its year has four digits");
    let (time, mark) = (zone.to_datetime(time), if *zone == TimeZone::UTC { 'Z' } else { ' ' });
    let (date, clock) = (time.date(), time.time());
    format!("{date} {:02}:{:02}:{:02}{mark}", clock.hour(), clock.minute(), clock.second())
}

/// When something was, for people.
pub fn when(start_ms: Option<u64>, start_us: Micros, zone: &TimeZone) -> String {
    start_ms.map_or_else(|| in_clip(start_us), |at_ms| for_people(at_ms, zone))
}

/// As wide as a date.
fn in_clip(at_us: Micros) -> String {
    let second = at_us.0 / 1_000_000;
    format!("{:>20}", format!("clip {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60))
}

/// Writes lines on standard output.
pub fn print(text: &str) -> Result<(), Error> {
    let printed = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    printed.map_err(|error| Error::Output { path: "standard output".into(), source: SinkError::from(error) })
}
