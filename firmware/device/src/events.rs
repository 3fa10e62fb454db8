//! `ocelli events`, `ocelli yes` and `ocelli no`: what was said, and what one says to it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use ocelli_drivers::SinkError;
use ocelli_infer::Evidence;
use ocelli_journal::{Found, Hole, Journal, Query};
use ocelli_types::{EventKind, Micros, Severity};
use serde::Serialize;

use crate::cli::{AboutArgs, EventsArgs};
use crate::config::{Config, ConfigError};
use crate::error::{Error, note};
use crate::lessons;

/// The last millisecond that is written with a year of four digits.
const LAST_UNIX_MS: u64 = 253_402_300_799_999;

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
    severity: Option<&'a str>,
    text: &'a str,
    score: Option<f64>,
    entries: Option<[u64; 2]>,
    narrations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likeness: Option<f64>,
}

/// What a hole says.
const NOT_RUNNING: &str = "nothing was watched";

/// Lists what fits.
pub fn command(args: &EventsArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    let journal = Journal::open(&file(args.journal.as_ref(), &config)?)?;
    let words = args.words.join(" ");
    let like = args.like.map(|id| vector_of(&journal, id)).transpose()?;
    let like = like.as_ref().map(|evidence| evidence.values().map(f32::from));
    let query = Query {
        words: &words,
        like: like.as_ref(),
        camera: args.camera.as_deref(),
        kind: args.kind.as_deref(),
        severity: args.severity.map_or(Severity::None, Severity::from),
        since_ms: args.since,
        until_ms: args.until,
        limit: args.limit.into(),
    };
    let mut found = journal.search(&query)?;
    // By likeness the best comes first; by time the newest comes last, where one looks.
    if like.is_none() {
        found.reverse();
    }
    // Of several things that are asked for nothing is said of a time in which nobody looked.
    let all = words.is_empty() && like.is_none() && args.camera.is_none() && args.kind.is_none();
    let mut holes = Vec::new();
    if all && args.severity.is_none() {
        let since_ms =
            args.since.max(found.iter().find_map(|event| event.start_ms).filter(|_| found.len() == query.limit));
        holes = journal.holes(since_ms, args.until)?;
    }
    if found.is_empty() && holes.is_empty() {
        note("nothing was found");
        return Ok(());
    }
    let mut text = String::new();
    let mut holes = holes.into_iter().peekable();
    for event in &found {
        while let Some(hole) = holes.next_if(|hole| event.start_ms.is_some_and(|start_ms| hole.end_ms <= start_ms)) {
            hole_line(&mut text, hole, args.json);
        }
        event_line(&mut text, event, args.json);
    }
    holes.for_each(|hole| hole_line(&mut text, hole, args.json));
    print(&text)
}

/// Teaches what the user says of an event.
pub fn teach(args: &AboutArgs, was: Option<&str>, wrong: bool) -> Result<(), Error> {
    let config = args.common.config()?;
    let journal = Journal::open(&file(args.journal.as_ref(), &config)?)?;
    let evidence = vector_of(&journal, args.id)?;
    let event = journal.event(args.id)?.ok_or_else(|| Error::NoSuchEvent(format!("event {}", args.id)))?;
    let of_camera = || config.cameras.iter().find(|camera| camera.name == event.camera)?.lessons.clone();
    let path = args.lessons.clone().or_else(of_camera).ok_or_else(|| {
        let camera = &event.camera;
        ConfigError::Usage(format!("the config names no `lessons` for the camera `{camera}`; name them with --lessons"))
    })?;
    lessons::learn(
        &config,
        &path,
        was,
        wrong && was.is_none(),
        [Ok((format!("event {}", args.id), event.text, evidence))],
    )
}

/// The journal's file.
pub fn file(given: Option<&PathBuf>, config: &Config) -> Result<PathBuf, Error> {
    let file = given.or(config.journal.file.as_ref()).cloned();
    let none = "no journal: name its file with --journal, or the config that does with --config";
    Ok(file.ok_or_else(|| ConfigError::Usage(none.into()))?)
}

/// What an event looked like.
fn vector_of(journal: &Journal, id: u64) -> Result<Evidence, Error> {
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

fn event_line(text: &mut String, event: &Found, json: bool) {
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
            severity: event.about.as_ref().map(|_| severity(event.severity)),
            text: &event.text,
            score: Some(rounded(event.score.into())),
            entries: event.entries.map(|(from, to)| [from.0, to.0]),
            narrations: (event.kind == EventKind::Narration).then_some(event.parts),
            likeness: event.likeness.map(|likeness| rounded(likeness.into())),
        };
        json_line(text, &line);
        return;
    }
    let mark = match event.kind {
        EventKind::Narration => "",
        EventKind::Alert => "ALERT ",
        EventKind::AlertEnd => "alert over: ",
        EventKind::Blind => "blind: ",
        EventKind::Health => "device: ",
    };
    let when = event.start_ms.map_or_else(|| in_clip(event.start_us), for_people);
    let lasted_s = event.end_us.since(event.start_us).seconds();
    let score = event.likeness.unwrap_or(event.score);
    let said = format!("{}: {mark}{}", event.camera, event.text);
    let parts = if event.parts > 1 { format!(", {} times", event.parts) } else { String::new() };
    // As the console does: what comes from a pack or a command must not break the line or steer the terminal.
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(text, "{when} {lasted_s:7.1} s  {score:.2}  {said}  (#{}{parts})", event.id);
}

fn hole_line(text: &mut String, hole: Hole, json: bool) {
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
            severity: None,
            text: NOT_RUNNING,
            score: None,
            entries: None,
            narrations: None,
            likeness: None,
        };
        return json_line(text, &line);
    }
    let lasted_s = (end_ms - start_ms) as f64 / 1000.0;
    let _ = writeln!(text, "{} {lasted_s:7.1} s        {NOT_RUNNING}", for_people(start_ms));
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
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// `2026-11-26T18:30:00.123Z`
fn date(unix_ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(unix_ms.min(LAST_UNIX_MS))).to_string()
}

/// `2026-11-26 18:30:00Z`
fn for_people(unix_ms: u64) -> String {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(unix_ms.min(LAST_UNIX_MS)));
    time.to_string().replace('T', " ")
}

/// As wide as a date.
fn in_clip(at_us: Micros) -> String {
    let second = at_us.0 / 1_000_000;
    format!("{:>20}", format!("clip {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60))
}

fn print(text: &str) -> Result<(), Error> {
    let printed = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    printed.map_err(|error| Error::Output { path: "standard output".into(), source: SinkError::from(error) })
}
