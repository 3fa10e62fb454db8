//! `ocelli describe`: what happened in a while, worded by the generative head where there is one, as far as the events bear it out.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::tz::TimeZone;
use ocelli_drivers::{SinkError, SystemClock};
use ocelli_infer::{Bounds, End, Generator, GeneratorPack, MOST_NOTES, PackError, Schema, Wording, faithful};
use ocelli_journal::{Found, Journal, Query};
use ocelli_types::{EventKind, Micros};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::DescribeArgs;
use crate::config::ConfigError;
use crate::error::{Error, note};
use crate::{events, wiring};

/// Name of the folder of the generative head, among the packs.
const HEAD: &str = "smollm2";

const MOST_SCHEMA_BYTES: u64 = 64 << 10;

/// Words what is asked for.
pub fn command(args: &DescribeArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    let schema = args.schema.as_deref().map(|path| read_schema(path, Schema::read)).transpose()?;
    let journal = Journal::open(&events::file(args.journal.as_ref(), &config)?)?;
    events::require_camera(&journal, args.camera.as_deref())?;
    let zone = events::local();
    let (since_ms, until_ms) = (args.since.map(|at| at.unix_ms(&zone)), args.until.map(|at| at.unix_ms(&zone)));
    events::require_order(since_ms, until_ms)?;
    let query = Query {
        camera: args.camera.as_deref(),
        since_ms,
        until_ms,
        limit: ocelli_journal::MOST_FOUND,
        ..Query::default()
    };
    let mut found = journal.search(&query)?;
    found.retain(|event| matches!(event.kind, EventKind::Narration | EventKind::Alert));
    found.reverse();
    if found.is_empty() {
        note("nothing was found");
        return Ok(());
    }
    if found.len() > MOST_NOTES {
        note(format_args!("the newest {MOST_NOTES} of {} events; narrow it with --since and --until", found.len()));
        found.drain(..found.len() - MOST_NOTES);
    }
    let lines = lines(&found, &zone);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    match schema {
        Some(schema) => structured(&lines, &schema, args),
        None => word(&lines, args),
    }
}

/// A schema from a file, by what understands its text; no more is read than a schema may have.
pub fn read_schema<T>(path: &Path, understand: impl FnOnce(&str) -> Result<T, String>) -> Result<T, Error> {
    let wrong = |why: String| ConfigError::Usage(format!("{}: {why}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let bytes = file.take(MOST_SCHEMA_BYTES).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if bytes as u64 == MOST_SCHEMA_BYTES {
        return Err(wrong("it has more than 64 KiB, which no schema needs".into()).into());
    }
    Ok(understand(&text).map_err(wrong)?)
}

/// What the head is to do where a schema says how its answer looks.
const JSON_TASK: &str = "Answer in JSON about these notes of a home camera. Use only words and times of the notes.";

/// Tells the events as a schema asks, in a line of JSON; `null` where the answer did not come to its end or has a text that no event
/// bears out.
fn structured(lines: &[&str], schema: &Schema, args: &DescribeArgs) -> Result<(), Error> {
    let mut generator = load()?;
    let (cancel, clock) = (cancelled()?, SystemClock::new());
    let bounds = bounds(args.tokens, args.seconds, &clock, &cancel);
    match structure(&mut generator, lines, schema, &bounds)? {
        Ok((_, text)) => events::print(&(text + "\n")),
        Err(why) => {
            note(format_args!("no answer: {why}"));
            events::print("null\n")
        }
    }
}

/// What the head says of notes in the form of a schema, as a value and as it was said; or why that does not hold.
pub fn structure(
    generator: &mut Generator,
    lines: &[&str],
    schema: &Schema,
    bounds: &Bounds<'_>,
) -> Result<Result<(Value, String), String>, Error> {
    let prompt = generator.chat(&[("system", JSON_TASK), ("user", &lines.join("\n"))]);
    let told = generator.generate(&prompt, Some(schema), bounds, &mut |_| ControlFlow::Continue(()))?;
    let answer = serde_json::from_str(&told.text).ok().filter(|_| told.end == End::Whole);
    Ok(match answer {
        None => Err("it did not come to its end in the tokens and the time that there were".to_owned()),
        Some(answer) => unfounded(&answer, schema, lines).map_or(Ok((answer, told.text)), Err),
    })
}

/// Why a text of an answer is not borne out, if one is not. What the schema itself names, and numbers, are the head's own.
fn unfounded(answer: &Value, schema: &Schema, lines: &[&str]) -> Option<String> {
    match answer {
        Value::String(text) if !schema.names(text) => faithful(text, lines).err().map(|why| why.to_string()),
        Value::Array(items) => items.iter().find_map(|item| unfounded(item, schema, lines)),
        Value::Object(items) => items.values().find_map(|item| unfounded(item, schema, lines)),
        _ => None,
    }
}

/// Tells the events in the head's words, where there is a head and its words are borne out.
fn word(lines: &[&str], args: &DescribeArgs) -> Result<(), Error> {
    let mut generator = match load() {
        Ok(generator) => generator,
        Err(error) => {
            note(format_args!("the events are told as they are: {error}"));
            return say(&lines.join(" ")).and_then(|()| say("\n"));
        }
    };
    let (cancel, clock) = (cancelled()?, SystemClock::new());
    let bounds = bounds(args.tokens, args.seconds, &clock, &cancel);
    let mut printed = Ok(());
    let worded = Wording { notes: lines, facts: &[] }.word(&mut generator, &bounds, &mut |text| {
        if printed.is_ok() {
            printed = say(text);
        }
    })?;
    printed?;
    say("\n")?;
    if let Some(why) = worded.told.iter().flatten().next() {
        let (count, all) = (lines.len() - worded.worded(), lines.len());
        note(format_args!("{count} of {all} events are told as they are; the first of them because {why}"));
    }
    Ok(())
}

/// What bounds an answer of the head.
pub fn bounds<'a>(tokens: u16, seconds: f64, clock: &'a SystemClock, cancel: &'a AtomicBool) -> Bounds<'a> {
    Bounds { tokens: tokens.into(), time: Micros((seconds * 1e6) as u64), clock, cancel }
}

/// What a signal sets, so that the head's answer ends.
pub fn cancelled() -> Result<Arc<AtomicBool>, Error> {
    let cancel = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // A second one ends the program, as it ends `run`.
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&cancel))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&cancel)));
        registered.map_err(|source| Error::Output { path: "signals".into(), source: SinkError::from(source) })?;
    }
    Ok(cancel)
}

/// The head, where there is one.
pub fn load() -> Result<Generator, Error> {
    let mut folders = wiring::pack_roots().into_iter().map(|root| root.join(HEAD));
    let folder = folders.find(|folder| folder.join(GeneratorPack::MANIFEST).is_file());
    let folder = folder.ok_or(PackError::NoGenerator { name: HEAD })?;
    Ok(Generator::load(&GeneratorPack::open(&folder)?)?)
}

/// Each event with its time, and its day where there are several.
fn lines(found: &[Found], zone: &TimeZone) -> Vec<String> {
    let times: Vec<String> = found.iter().map(|event| events::when(event.start_ms, event.start_us, zone)).collect();
    let one_day = times.iter().all(|time| time.get(..10) == times[0].get(..10));
    let line = |(event, time): (&Found, &String)| {
        // A day and a clock, or in a clip the clock alone.
        let time = match (event.start_ms, one_day) {
            (Some(_), true) => &time[11..16],
            (Some(_), false) => &time[..16],
            (None, _) => time.trim().trim_start_matches("clip "),
        };
        let text: String = event.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{time} {}: {text}", event.camera)
    };
    found.iter().zip(&times).map(line).collect()
}

fn say(text: &str) -> Result<(), Error> {
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    let printed = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    printed.map_err(|error| Error::Output { path: "standard output".into(), source: SinkError::from(error) })
}
