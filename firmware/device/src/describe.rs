//! `ocelli describe`: what happened in a while, worded by the generative head where there is one, as far as the events bear it out.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::ops::{ControlFlow, Range};
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

/// Tells the events as a schema asks, in a line of JSON; `null` where the answer did not come to its end, or has a number that no
/// event bears out, or no room for the events in the place of such a text.
fn structured(lines: &[&str], schema: &Schema, args: &DescribeArgs) -> Result<(), Error> {
    let mut generator = load()?;
    let (cancel, clock) = (cancelled()?, SystemClock::new());
    let bounds = bounds(args.tokens, args.seconds, &clock, &cancel);
    let said = form(&mut generator, lines, schema, &bounds)?;
    match said.and_then(|said| borne_out(said, schema, lines)) {
        Ok((text, fallen)) => {
            if let Some(why) = fallen {
                note(format_args!("events are told as they are, because {why}"));
            }
            events::print(&(text + "\n"))
        }
        Err(why) => {
            note(format_args!("no answer: {why}"));
            events::print("null\n")
        }
    }
}

/// What the head says of notes in the form of a schema; or that it did not come to its end.
fn form(
    generator: &mut Generator,
    lines: &[&str],
    schema: &Schema,
    bounds: &Bounds<'_>,
) -> Result<Result<String, String>, Error> {
    let prompt = generator.chat(&[("system", JSON_TASK), ("user", &lines.join("\n"))]);
    let told = generator.generate(&prompt, Some(schema), bounds, &mut |_| ControlFlow::Continue(()))?;
    let whole = told.end == End::Whole;
    let why = "it did not come to its end in the tokens and the time that there were";
    Ok(if whole { Ok(told.text) } else { Err(why.to_owned()) })
}

/// The same as a value; or why it does not hold.
pub fn structure(
    generator: &mut Generator,
    lines: &[&str],
    schema: &Schema,
    bounds: &Bounds<'_>,
) -> Result<Result<Value, String>, Error> {
    let said = form(generator, lines, schema, bounds)?.and_then(|said| read(&said));
    Ok(said.and_then(|said| unfounded(&said, true, schema, lines).map_or(Ok(said), Err)))
}

fn read(json: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// Why a number, or one of the `texts`, is not borne out, if one is not. What the schema itself names is the head's own.
fn unfounded(answer: &Value, texts: bool, schema: &Schema, lines: &[&str]) -> Option<String> {
    let mut within: Box<dyn Iterator<Item = &Value>> = match answer {
        Value::String(text) if texts && !schema.names(text) => {
            return faithful(text, lines).err().map(|why| why.to_string());
        }
        Value::Number(number) if !schema.names(&number.to_string()) => {
            let number = number.to_string();
            let stated = !number.starts_with('-') && faithful(&number, lines).is_ok();
            return (!stated).then(|| format!("no event says {number}"));
        }
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(items) => Box::new(items.values()),
        _ => return None,
    };
    within.find_map(|item| unfounded(item, texts, schema, lines))
}

/// An answer in which what no event bears out gives way to the events themselves, the newest that the form has room for, with why
/// the first of them did; or why it does not hold. `json` is without white space, as the form has it.
fn borne_out(mut json: String, schema: &Schema, lines: &[&str]) -> Result<(String, Option<String>), String> {
    if let Some(why) = unfounded(&read(&json)?, false, schema, lines) {
        return Err(why);
    }
    let mut fallen = None;
    // From behind, so that what stands before stays where it is.
    for (name, place) in texts(&json).into_iter().rev() {
        let Ok(Value::String(text)) = read(&json[place.clone()]) else { continue };
        if schema.names(&text) {
            continue;
        }
        let why = match faithful(&text, lines) {
            Ok(()) if text.chars().any(char::is_alphabetic) || asks_when(&name) => continue,
            Ok(()) => format!("`{text}` says nothing of what happened"),
            Err(why) => why.to_string(),
        };
        let told = (0..lines.len()).map(|first| Value::from(lines[first..].join(" ")).to_string());
        let mut filled = told.map(|told| format!("{}{told}{}", &json[..place.start], &json[place.end..]));
        let Some(filled) = filled.find(|json| schema.accepts(json)) else { return Err(why) };
        json = filled;
        fallen = Some(why);
    }
    Ok((json, fallen))
}

/// Whether a field of this name asks for a time.
fn asks_when(name: &str) -> bool {
    let name = name.to_lowercase();
    ["time", "date", "when", "clock", "hour", "start", "end"].iter().any(|word| name.contains(word))
}

/// Where the texts of JSON without white space stand, quotes and all, with the names of their fields.
fn texts(json: &str) -> Vec<(String, Range<usize>)> {
    let (mut found, mut name, mut at) = (Vec::new(), String::new(), 0);
    while let Some(start) = json[at..].find('"').map(|start| at + start) {
        let mut escaped = false;
        let closes = |(_, byte): &(usize, u8)| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        };
        let Some((last, _)) = (start + 1..).zip(json[start + 1..].bytes()).find(closes) else { break };
        at = last + 1;
        if json[at..].starts_with(':') {
            json[start + 1..last].clone_into(&mut name);
        } else {
            found.push((name.clone(), start..at));
        }
    }
    found
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

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 2] = ["18:00 hall: Someone comes in.", "18:15 hall: Someone falls, 3 times."];

    fn schema() -> Schema {
        let text = r#"{"type":"object","properties":{"summary":{"type":"string","maxLength":40},"time":{"type":"string","maxLength":40},
            "level":{"enum":[7,"high"]},"times":{"type":"integer"}}}"#;
        Schema::read(text).expect("it is one")
    }

    fn told(summary: &str, time: &str, times: i64) -> Result<(String, Option<String>), String> {
        let text = |text: &str| Value::from(text).to_string();
        let json = format!(r#"{{"summary":{},"time":{},"level":7,"times":{times}}}"#, text(summary), text(time));
        assert!(schema().accepts(&json), "{json}");
        borne_out(json, &schema(), &LINES)
    }

    #[test]
    fn what_is_not_borne_out_in_a_form_gives_way_to_the_events() {
        let kept = told("At 18:15 someone fell in the hall.", "18:15", 3).expect("it is true");
        assert_eq!(kept.1, None);
        assert_eq!(read(&kept.0).expect("JSON")["summary"], "At 18:15 someone fell in the hall.");
        // A time is no summary; nor is what nobody saw, in whatever letters.
        for (said, why) in
            [("18:15", "says nothing of what happened"), ("A \"dog\\\" barks: at", "`dog`"), ("", "nothing was said")]
        {
            let (json, fallen) = told(said, "18:15", 3).expect("there is room");
            assert!(fallen.as_deref().is_some_and(|fallen| fallen.contains(why)), "{said}: {fallen:?}");
            let answer = read(&json).expect("JSON");
            assert_eq!(
                (&answer["summary"], &answer["time"]),
                (&LINES[1].into(), &"18:15".into()),
                "only the newest fits"
            );
            assert!(schema().accepts(&json));
        }
        let (json, _) = told("Never", "At noon", 3).expect("there is room");
        assert_eq!(json.matches(LINES[1]).count(), 2, "{json}");
        assert_eq!(told("18:15", "18:15", 4), Err("no event says 4".into()));
        assert_eq!(told("18:15", "18:15", -3), Err("no event says -3".into()));
        let short = Schema::read(r#"{"type":"string","maxLength":12}"#).expect("it is one");
        assert!(borne_out("\"A dog barks\"".into(), &short, &LINES).expect_err("no event fits").contains("`dog`"));
    }
}
