//! `ocelli ask` and `ocelli digest`: questions about the past. What is understood and answered is in `ocelli_journal::ask`; here it gets
//! the journal, the date and a text encoder, which is loaded when the first question needs it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufRead as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use ocelli_drivers::SystemClock;
use ocelli_infer::{Entry, Generator, Pack, Schema, TextEncoder, Vocabulary, Wording, faithful};
use ocelli_journal::Journal;
use ocelli_journal::ask::{Answer, Asker, Digest, Form, Gap, Meaning, Period, Sentence, Value};
use ocelli_pipeline::Tier;
use ocelli_types::Clock as _;
use serde_json::{Value as Json, json};

use crate::cli::{AskArgs, DigestArgs, OfJournal};
use crate::config::{Config, ConfigError};
use crate::error::{Error, note};
use crate::recall::{self, Moment, Recollection};
use crate::sentences::Sentences;
use crate::{describe, events, vocab, wiring};

/// No question has more.
const LONGEST_BYTES: usize = 1024;

/// The last millisecond of 9999-12-30 at noon: every time zone has a date for it.
const LAST_UNIX_MS: u64 = 253_402_171_199_999;

/// Characters of an answer's wording at most.
const WORDED: usize = 200;

/// Phrases that are kept with their embeddings: words of questions come again.
const KEPT: usize = 1024;

/// Answers what is asked.
pub fn command(args: &AskArgs) -> Result<(), Error> {
    let mut config = args.of.common.config()?;
    if args.state.is_some() {
        config.memory.state.clone_from(&args.state);
    }
    let (journal, now) = open(&args.of, &config)?;
    let pack = wiring::open(&config)?;
    // Before there is a text encoder, for both at once are more than an answering process may hold.
    let memory = Recollection::read(&config, &pack);
    let mut words = Words::new(Arc::clone(&pack.vocabulary), &taught(&config, &pack)?);
    let mut asker = Asker { journal: &journal, meaning: &mut words, now, camera: args.of.camera.clone() };
    let question = args.question.join(" ");
    let schema = args.schema.as_deref().map(|path| describe::read_schema(path, object)).transpose()?;
    let speaker = if args.word { Speaker::load()? } else { None };
    let mut form = match (args.of.json, schema, speaker) {
        (true, ..) => Wanted::Json,
        (_, Some(schema), speaker) => Wanted::Shaped(schema, speaker),
        (_, _, Some(speaker)) => Wanted::Worded(speaker),
        _ => Wanted::Plain,
    };
    if question != "-" {
        return tell(&mut asker, &memory, &question, &mut form);
    }
    for (index, line) in io::stdin().lock().split(b'\n').enumerate() {
        let line = line.map_err(|source| Error::System { what: "to read questions from standard input", source })?;
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if let Ok(question) = str::from_utf8(line) {
            tell(&mut asker, &memory, question, &mut form)?;
        } else {
            let why = format!("Line {} is no text (UTF-8); write it anew.", index + 1);
            say(&asker, &String::from_utf8_lossy(line), &Answer::refused(why), &[], &mut form)?;
        }
    }
    Ok(())
}

/// Sentences that lie where something was seen.
fn taught(config: &Config, pack: &Pack) -> Result<Vec<String>, Error> {
    let Some(path) = &config.vocabulary else { return Ok(Vec::new()) };
    let own = Sentences::read(path, pack)?;
    Ok(own.taught()?.into_iter().map(|sentence| sentence.text).collect())
}

/// Tells a day.
pub fn digest(args: &DigestArgs) -> Result<(), Error> {
    let config = args.of.common.config()?;
    let (journal, now) = open(&args.of, &config)?;
    let wrong = || {
        let day = &args.day;
        ConfigError::Usage(format!("--day `{day}` is no day; write today, yesterday or a date like 2026-11-26"))
    };
    let day = match args.day.as_str() {
        "today" => now.date(),
        "yesterday" => now.date().yesterday().map_err(|_| wrong())?,
        date => date.parse::<Date>().map_err(|_| wrong())?,
    };
    let mut asker = Asker { journal: &journal, meaning: &mut (), now, camera: args.of.camera.clone() };
    let digest = asker.digest(day)?;
    let text = if args.of.json { digest_json(&digest, &asker, day) } else { digest_lines(&digest, &asker, day) };
    events::print(&text)
}

/// The journal, and the date where this machine is.
fn open(of: &OfJournal, config: &Config) -> Result<(Journal, Zoned), Error> {
    let journal = Journal::open(&events::file(of.journal.as_ref(), config)?)?;
    events::require_camera(&journal, of.camera.as_deref())?;
    let zone = TimeZone::try_system().unwrap_or_else(|error| {
        note(format_args!("times are taken in UTC: the time zone of this machine is unknown ({error})"));
        TimeZone::UTC
    });
    let now_ms = of.now.unwrap_or_else(|| SystemClock::new().unix_ms());
    if now_ms > LAST_UNIX_MS {
        return Err(ConfigError::Usage("--now is beyond the last day that has a date, 9999-12-30".into()).into());
    }
    Ok((journal, at(now_ms, zone)))
}

fn at(unix_ms: u64, zone: TimeZone) -> Zoned {
    let moment = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.unwrap_or(Timestamp::MAX).to_zoned(zone)
}

/// How an answer is told.
enum Wanted {
    Plain,
    Json,
    Worded(Box<Speaker>),
    /// As a JSON schema asks, with texts in the head's words where there is a head.
    Shaped(Json, Option<Box<Speaker>>),
}

fn object(text: &str) -> Result<Json, String> {
    let schema: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if schema.is_object() { Ok(schema) } else { Err("a schema is an object".into()) }
}

/// The generative head, for answers in its words.
struct Speaker {
    head: Generator,
    cancel: Arc<AtomicBool>,
}

impl Speaker {
    /// Tokens of a sentence, and how long it may take.
    const TOKENS: u16 = 48;
    const SECONDS: f64 = 30.0;

    /// The head, where there is one; else that is said.
    fn load() -> Result<Option<Box<Self>>, Error> {
        match describe::load() {
            Ok(head) => Ok(Some(Box::new(Self { head, cancel: describe::cancelled()? }))),
            Err(error) => {
                note(format_args!("answers are told as they are: {error}"));
                Ok(None)
            }
        }
    }

    /// Whether an answer stays as it is: a denial, for a word less would make its contrary of it, what was not seen, and what a sentence
    /// without all of its numbers would not answer.
    fn leaves(answer: &Answer) -> bool {
        let kept = matches!(answer.value, None | Some(Value::Yes(false) | Value::Seconds(_) | Value::Kinds(_)));
        answer.abstained || answer.evidence.is_empty() || kept
    }

    /// Why a wording is no answer any more, if it lacks what was asked for: a small model tells the last event where it was asked how many
    /// there were.
    fn lacks(said: &str, answer: &Answer, now: &Zoned) -> Option<String> {
        let value = match answer.value {
            Some(Value::Count(count)) => count.to_string(),
            Some(Value::Time(at_ms)) => at(at_ms, now.time_zone().clone()).strftime("%H:%M").to_string(),
            _ => return None,
        };
        faithful(&value, &[said]).is_err().then(|| format!("`{said}` does not say {value}"))
    }

    /// The answer in the head's words.
    fn word(&mut self, answer: &Answer, now: &Zoned) -> Result<String, Error> {
        if Self::leaves(answer) {
            return Ok(answer.text.clone());
        }
        let (first, rest) = answer.text.split_once(" But ").map_or((answer.text.as_str(), None), |(a, b)| (a, Some(b)));
        let clock = SystemClock::new();
        let bounds = describe::bounds(Self::TOKENS, Self::SECONDS, &clock, &self.cancel);
        let worded = Wording { notes: &[first], facts: &[] }.word(&mut self.head, &bounds, &mut |_| {})?;
        let why = worded.told.first().and_then(Option::as_ref).map(ToString::to_string);
        if let Some(why) = why.or_else(|| Self::lacks(&worded.text, answer, now)) {
            note(format_args!("the answer is told as it is, because {why}"));
            return Ok(answer.text.clone());
        }
        Ok(rest.map_or(worded.text.clone(), |rest| format!("{} But {rest}", worded.text)))
    }

    /// What was filled into the form of a schema, with the answer's text in the head's words wherever it stands. All else is fixed before
    /// the head begins, and each of its texts is held against the answer.
    fn shape(&mut self, filled: Json, answer: &Answer, now: &Zoned) -> Result<Json, Error> {
        if Self::leaves(answer) {
            return Ok(filled);
        }
        let first = answer.text.split_once(" But ").map_or(answer.text.as_str(), |(first, _)| first);
        let clock = SystemClock::new();
        let tokens = Self::TOKENS * 2 + u16::try_from(filled.to_string().len()).unwrap_or(u16::MAX / 2);
        let bounds = describe::bounds(tokens, Self::SECONDS, &clock, &self.cancel);
        let said = match Schema::read(&narrowed(&filled, &answer.text).to_string()) {
            Ok(schema) => describe::structure(&mut self.head, &[first], &schema, &bounds)?,
            Err(why) => Err(why),
        };
        let worded = said.and_then(|said| {
            let mut worded = filled.clone();
            let check = |said: &str| Self::lacks(said, answer, now);
            put(&mut worded, &said, &answer.text, &check).map_or(Ok(worded), Err)
        });
        Ok(worded.unwrap_or_else(|why| {
            note(format_args!("the answer is told as it is, because {why}"));
            filled
        }))
    }
}

/// Puts what was said in the place of the answer's text, before the gaps that it admits; why not, where `lacks` says so.
fn put(filled: &mut Json, said: &Json, text: &str, lacks: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match (filled, said) {
        (Json::String(filled), Json::String(said)) if begins(text, filled) => {
            if let Some(why) = lacks(said) {
                return Some(why);
            }
            let gaps = text.find(" But ").map_or("", |at| &text[at..]);
            let stop = if gaps.is_empty() || said.ends_with(['.', '!', '?']) { "" } else { "." };
            let mut worded = format!("{said}{stop}{gaps}");
            if filled != text && worded.len() > filled.len() {
                // As much as the schema had room for.
                if said.len() > filled.len() {
                    return Some(format!("there is no room for `{said}`"));
                }
                worded.truncate(worded.floor_char_boundary(filled.len()));
                worded.truncate(worded.rfind(' ').unwrap_or(0).max(said.len()));
            }
            *filled = worded;
            None
        }
        (Json::Object(fields), Json::Object(said)) => {
            fields.iter_mut().find_map(|(name, filled)| put(filled, said.get(name)?, text, lacks))
        }
        _ => None,
    }
}

/// Whether this is the answer's text, or as much of it as a schema has room for.
fn begins(text: &str, filled: &str) -> bool {
    !filled.is_empty() && text.starts_with(filled)
}

/// The schema of what was filled in: all as it is, but for the answer's text, which may be worded.
fn narrowed(filled: &Json, text: &str) -> Json {
    match filled {
        Json::String(said) if begins(text, said) => json!({"type": "string", "maxLength": WORDED}),
        Json::Object(fields) => {
            let fields: serde_json::Map<String, Json> =
                fields.iter().map(|(name, value)| (name.clone(), narrowed(value, text))).collect();
            json!({"type": "object", "properties": fields})
        }
        fixed => json!({"enum": [fixed]}),
    }
}

fn tell(asker: &mut Asker<'_>, memory: &Recollection, question: &str, form: &mut Wanted) -> Result<(), Error> {
    // Half of it might ask for something else.
    let mut answer = if question.len() > LONGEST_BYTES {
        Answer::refused(format!("The question has {} bytes; ask it in {LONGEST_BYTES} at most.", question.len()))
    } else {
        asker.ask(question)?
    };
    let moments = memory.beside(&answer);
    if !moments.is_empty() {
        let one =
            |moment: &&Moment| format!("{}, {} ({:.2})", asker.moment(moment.at_ms), moment.camera, moment.probability);
        let all: Vec<String> = moments.iter().map(one).collect();
        answer.text += &format!(" Something looked like it and was not told, so it is not sure: {}.", all.join("; "));
        answer.confidence *= 1.0 - recall::RIGHT;
    }
    say(asker, question, &answer, &moments, form)
}

fn say(
    asker: &Asker<'_>,
    question: &str,
    answer: &Answer,
    moments: &[&Moment],
    form: &mut Wanted,
) -> Result<(), Error> {
    let as_json = || answer_json(question, answer, moments, &asker.now);
    let text = if matches!(form, Wanted::Json) {
        as_json().to_string()
    } else if let Wanted::Shaped(schema, speaker) = form {
        let answer_of = serde_json::from_value(as_json()).expect("the gateway should know each key of an answer");
        match (ocelli_gateway::fill_with(schema, answer_of), speaker) {
            (Err(why), _) => {
                note(format_args!("no answer in this form: {why}"));
                "null".into()
            }
            (Ok(filled), None) => filled.to_string(),
            (Ok(filled), Some(speaker)) => speaker.shape(filled, answer, &asker.now)?.to_string(),
        }
    } else {
        let said =
            if let Wanted::Worded(speaker) = form { speaker.word(answer, &asker.now)? } else { answer.text.clone() };
        let ids: Vec<String> = answer.evidence.iter().take(5).map(|id| format!("#{id}")).collect();
        let more = if answer.evidence.len() > ids.len() { ", ..." } else { "" };
        let ids = if ids.is_empty() { String::new() } else { format!("  ({}{more})", ids.join(", ")) };
        // What comes from a pack or a question must not break the line or steer the terminal.
        let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        said + &ids
    };
    events::print(&(text + "\n"))
}

/// RFC 3339 in local time.
fn date(unix_ms: u64, now: &Zoned) -> String {
    at(unix_ms, now.time_zone().clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

fn answer_json(question: &str, answer: &Answer, moments: &[&Moment], now: &Zoned) -> Json {
    let recalled = |moment: &&Moment| {
        let Moment { at_ms, camera, probability, tier, .. } = moment;
        let tier = match tier {
            Tier::Open => "open",
            Tier::Segment => "segment",
            Tier::Abstract => "abstract",
        };
        let probability = events::rounded(f64::from(*probability));
        json!({"at": date(*at_ms, now), "camera": camera, "probability": probability, "tier": tier})
    };
    let value = match &answer.value {
        None => Json::Null,
        Some(Value::Time(at_ms)) => date(*at_ms, now).into(),
        Some(Value::Count(count)) => (*count).into(),
        Some(Value::Seconds(seconds)) => events::rounded(*seconds).into(),
        Some(Value::Yes(yes)) => (*yes).into(),
        Some(Value::Kind(kind)) => kind.as_str().into(),
        Some(Value::Kinds(kinds)) => kinds_json(kinds),
    };
    json!({
        "question": question,
        "answer": answer.text,
        "form": answer.form.map(Form::name),
        "value": value,
        "t_start": answer.span.map(|span| date(span.start_ms, now)),
        "t_end": answer.span.map(|span| date(span.end_ms, now)),
        "searched": answer.period.map(|period| period_json(period, now)),
        "camera": answer.camera,
        "kind": answer.kind,
        "evidence": answer.evidence,
        "gaps": gaps_json(&answer.gaps, now),
        "recalled": moments.iter().map(recalled).collect::<Vec<Json>>(),
        "confidence": events::rounded(answer.confidence.into()),
        "abstained": answer.abstained,
    })
}

fn period_json(period: Period, now: &Zoned) -> Json {
    json!([date(period.start_ms, now), date(period.end_ms, now)])
}

fn kinds_json(kinds: &[(String, u64)]) -> Json {
    kinds.iter().map(|(kind, count)| json!({"kind": kind, "count": count})).collect()
}

fn gaps_json(gaps: &[Gap], now: &Zoned) -> Json {
    let gap = |gap: &Gap| json!({"camera": gap.camera, "start": date(gap.period.start_ms, now), "end": date(gap.period.end_ms, now)});
    gaps.iter().map(gap).collect()
}

fn digest_json(digest: &Digest, asker: &Asker<'_>, day: Date) -> String {
    let now = &asker.now;
    let chapters: Vec<Json> = digest
        .chapters
        .iter()
        .map(|chapter| {
            json!({
                "start": date(chapter.period.start_ms, now),
                "end": date(chapter.period.end_ms, now),
                "title": chapter.title,
                "events": chapter.events,
                "evidence": chapter.evidence,
            })
        })
        .collect();
    let alerts: Vec<Json> = digest
        .alerts
        .iter()
        .map(|alert| {
            json!({"id": alert.id, "start": date(alert.start_ms, now), "camera": alert.camera, "text": alert.text})
        })
        .collect();
    let all = json!({
        "day": day.to_string(),
        "to_come": day > now.date(),
        "events": digest.events,
        "chapters": chapters,
        "kinds": kinds_json(&digest.kinds),
        "alerts": alerts,
        "gaps": gaps_json(&digest.gaps, now),
    });
    all.to_string() + "\n"
}

fn digest_lines(digest: &Digest, asker: &Asker<'_>, day: Date) -> String {
    let plain = |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
    if day > asker.now.date() {
        return format!("{}: this day is still to come\n", day.strftime("%A %-d %B %Y"));
    }
    let clock = |at_ms: u64| asker.clock(at_ms, digest.period);
    let events = if digest.events == 1 { "1 event".into() } else { format!("{} events", digest.events) };
    let mut lines = format!("{}: {events}\n", day.strftime("%A %-d %B %Y"));
    for chapter in &digest.chapters {
        let (from, to) = (clock(chapter.period.start_ms), clock(chapter.period.end_ms));
        let ids: Vec<String> = chapter.evidence.iter().map(|id| format!("#{id}")).collect();
        lines += &format!("  {from}-{to}  {} ({}; {})\n", plain(&chapter.title), chapter.events, ids.join(", "));
    }
    for alert in &digest.alerts {
        lines +=
            &format!("  ALERT {} {}: {} (#{})\n", clock(alert.start_ms), alert.camera, plain(&alert.text), alert.id);
    }
    if !digest.kinds.is_empty() {
        let kinds: Vec<String> = digest.kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        lines += &format!("  told: {}\n", plain(&kinds.join(", ")));
    }
    for gap in &digest.gaps {
        let who = gap.camera.as_ref().map_or("nothing was watched".into(), |camera| format!("{camera} was blind"));
        lines += &format!("  {who} {}\n", asker.period(gap.period));
    }
    lines
}

/// What words mean to this program.
struct Words {
    vocabulary: Arc<Vocabulary>,
    sentences: Vec<Sentence>,
    /// Those that lie where something was seen: how near a phrase is to them their words tell.
    taught: Vec<usize>,
    encoder: Encoder,
    /// Phrases with where they lie.
    known: HashMap<String, Vec<f32>>,
}

enum Encoder {
    /// Nothing was asked of it yet.
    Unloaded,
    Loaded(Box<TextEncoder>),
    /// It cannot be used, which was said.
    Absent,
}

impl Words {
    fn new(vocabulary: Arc<Vocabulary>, taught: &[String]) -> Self {
        let sentence = |entry: Cow<'_, Entry>| Sentence {
            kind: vocabulary.kind(entry.kind).into_owned(),
            text: entry.into_owned().text,
        };
        let sentences: Vec<Sentence> = vocabulary.entries().map(sentence).collect();
        let taught = taught.iter().filter_map(|text| vocabulary.find(text)).collect();
        Self { vocabulary, sentences, taught, encoder: Encoder::Unloaded, known: HashMap::new() }
    }

    fn embed(&mut self, phrase: &str) -> Option<Vec<f32>> {
        if let Some(place) = self.known.get(phrase) {
            return Some(place.clone());
        }
        if matches!(self.encoder, Encoder::Unloaded) {
            self.encoder = match vocab::load_encoder() {
                Ok(encoder) => Encoder::Loaded(Box::new(encoder)),
                Err(error) => {
                    note(format_args!("{error}; questions are understood by their words alone"));
                    Encoder::Absent
                }
            };
        }
        let Encoder::Loaded(encoder) = &mut self.encoder else { return None };
        match encoder.embed(phrase) {
            Ok(embedded) => {
                if self.known.len() == KEPT {
                    self.known.clear();
                }
                self.known.insert(phrase.to_owned(), embedded.z.clone());
                Some(embedded.z)
            }
            Err(error) => {
                note(format_args!("{error}; questions are understood by their words alone"));
                self.encoder = Encoder::Absent;
                None
            }
        }
    }
}

impl Meaning for Words {
    fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    fn near(&mut self, phrase: &str) -> Option<Vec<f32>> {
        let place = self.embed(phrase)?;
        let mut near: Vec<f32> = self.vocabulary.cosines(&place);
        for index in self.taught.clone() {
            let text = self.sentences[index].text.clone();
            near[index] = dot(&place, &self.embed(&text)?);
        }
        Some(near)
    }

    fn alike(&mut self, one: &str, other: &str) -> Option<f32> {
        let (one, other) = (self.embed(one)?, self.embed(other)?);
        Some(dot(&one, &other))
    }
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Today at 18:08, hall: \"Someone sits\". But nothing was watched today from 18:09 to 18:10.";

    #[test]
    fn a_wording_takes_the_place_of_the_answer_before_the_gaps_that_it_admits() {
        let filled = json!({"all": TEXT, "part": &TEXT[..60], "other": "hall", "list": [TEXT], "deep": {"all": TEXT}});
        let open = json!({"type": "string", "maxLength": WORDED});
        let schema = narrowed(&filled, TEXT);
        assert_eq!((&schema["properties"]["all"], &schema["properties"]["part"]), (&open, &open));
        assert_eq!(schema["properties"]["deep"]["properties"]["all"], open);
        assert_eq!(schema["properties"]["other"], json!({"enum": ["hall"]}));
        assert_eq!(schema["properties"]["list"], json!({"enum": [[TEXT]]}));
        assert!(Schema::read(&schema.to_string()).is_ok_and(|schema| schema.names(TEXT)), "what is fixed is named");
        let said = "At 18:08 someone sat in the hall.";
        let answered = json!({"all": said, "part": said, "other": "hall", "list": [TEXT], "deep": {"all": said}});
        let mut worded = filled.clone();
        assert_eq!(put(&mut worded, &answered, TEXT, &|_| None), None);
        let whole = format!("{said} But nothing was watched today from 18:09 to 18:10.");
        assert_eq!((&worded["all"], &worded["deep"]["all"]), (&json!(whole), &json!(whole)));
        assert_eq!(
            worded["part"], "At 18:08 someone sat in the hall. But nothing was watched",
            "no longer than it was"
        );
        assert_eq!((&worded["other"], &worded["list"]), (&filled["other"], &filled["list"]));
        let mut open = json!(TEXT);
        assert_eq!(put(&mut open, &json!("Someone sat at 18:08"), TEXT, &|_| None), None);
        assert!(open.as_str().is_some_and(|text| text.starts_with("Someone sat at 18:08. But nothing")), "{open}");
        let lacks = |_: &str| Some("it lacks the time".to_owned());
        assert_eq!(put(&mut filled.clone(), &answered, TEXT, &lacks), Some("it lacks the time".into()));
    }

    #[test]
    fn a_wording_that_lost_its_number_is_no_answer() {
        let now = at(1_774_638_000_000, TimeZone::UTC);
        let of = |value| Answer { value: Some(value), ..Answer::refused(String::new()) };
        let lacks = |said, value| Speaker::lacks(said, &of(value), &now);
        assert!(
            lacks("At 18:15 a person has fallen.", Value::Count(7)).is_some_and(|why| why.ends_with("does not say 7"))
        );
        assert_eq!(lacks("A person has fallen 7 times.", Value::Count(7)), None);
        let half_past = 1_774_629_000_000; // 16:30
        assert_eq!(lacks("At 4:30 pm someone sat down.", Value::Time(half_past)), None);
        assert!(lacks("Someone sat down.", Value::Time(half_past)).is_some());
        assert_eq!(lacks("Someone sat down.", Value::Yes(true)), None);
    }
}
