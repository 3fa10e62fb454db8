//! `ocelli vocab`: adds, removes and lists sentences. They are embedded here, by a text encoder that is loaded for it and given
//! back with the end of the command; a running `ocelli run` reads the file when it has changed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ocelli_infer::{Embedded, Evidence, Pack, PackError, TextEncoder, TextPack, Vocabulary};
use ocelli_journal::{Journal, Ring};
use serde::Deserialize;
use serde_json::json;

use crate::alerts::AlertTable;
use crate::cli::{About, AddArgs, ImportArgs, ListArgs, RemoveArgs, Vocab, VocabArgs};
use crate::config::{Config, ConfigError};
use crate::error::{Error, note};
use crate::events;
use crate::lessons;
use crate::sentences::{self, MOST_FILE_BYTES, SEEN_FLOOR, Sentence, Sentences, SeverityName};
use crate::suggest;
use crate::wiring;

/// Name of the folder of the text encoder, among the packs.
const ENCODER: &str = "minilm";

/// A cosine from which two sentences say nearly the same.
const SAME: f32 = 0.9;

/// Does what is asked for.
pub fn command(args: &VocabArgs) -> Result<(), Error> {
    match &args.what {
        Vocab::Add(args) => add(args),
        Vocab::Remove(args) => remove(args),
        Vocab::List(args) => list(args),
        Vocab::Import(args) => import(args),
        Vocab::Suggest(args) => suggest::command(args),
    }
}

/// The pack's own sentences, and where those of the user are.
pub struct Place {
    /// The pack, without them.
    pub pack: Pack,
    /// Their file.
    pub path: PathBuf,
}

impl Place {
    /// Of a config.
    pub fn of(config: &Config) -> Result<Self, Error> {
        let pack = wiring::open_pack(&config.pack)?;
        let advice = "where should sentences be kept? Set `vocabulary` in the config, or give --vocabulary FILE";
        let path = config.vocabulary.clone().ok_or_else(|| ConfigError::Usage(advice.into()))?;
        Ok(Self { pack, path })
    }

    /// Whether the pack says this.
    pub fn knows(&self, text: &str) -> bool {
        self.pack.vocabulary.entries.iter().any(|entry| entry.text == text)
    }

    /// What can be said, but for this sentence.
    fn without(&self, text: &str, held: &Sentences) -> Vocabulary {
        let mut others = held.added();
        others.retain(|added| added.text != text);
        self.pack.vocabulary.with(&others)
    }

    /// Gives a sentence that is placed by what was seen the severity of its kind, and says how it can be said.
    pub fn settle(&self, sentence: &mut Sentence, held: &Sentences) -> String {
        settle(sentence, &self.without(&sentence.text, held), SEEN_FLOOR)
    }

    /// What was said by the user, of which lines that are wrong are told.
    pub fn read(&self) -> Result<Sentences, Error> {
        let held = Sentences::read(&self.path, &self.pack)?;
        held.faults().for_each(note);
        Ok(held)
    }
}

/// A command line that is wrong.
pub fn usage(why: impl Into<String>) -> Error {
    ConfigError::Usage(why.into()).into()
}

fn add(args: &AddArgs) -> Result<(), Error> {
    let start = Instant::now();
    let place = Place::of(&args.common.config()?)?;
    let given = Sentence {
        kind: args.kind.clone(),
        severity: args.severity,
        floor: args.floor,
        texts: languages(&args.texts)?,
        ..plain(args.text.trim())
    };
    given.check().map_err(usage)?;
    let _lock = sentences::lock(&place.path)?;
    let mut held = place.read()?;
    let wanted = match held.iter().find(|held| held.text == given.text) {
        Some(old) => changed(old, given, args.like_words),
        None => given,
    };
    let of_pack = place.knows(&wanted.text);
    let otherwise = wanted.kind.is_some() || wanted.severity.is_some() || wanted.floor.is_some();
    let otherwise = otherwise || args.like_words || args.seen.is_some();
    if of_pack && (wanted.texts.is_empty() || otherwise) {
        let advice = "the pack says this already; give what it is in other languages with --in, and nothing else";
        return Err(usage(advice));
    }
    let (sentence, news) = if of_pack {
        let news = format!("the pack's `{}` is also said in {}", wanted.text, codes(&wanted.texts));
        (wanted, news)
    } else if let Some(ids) = &args.seen {
        let ids: Vec<About> = ids.iter().flat_map(|ids| ids.0.iter().copied()).collect();
        seen(wanted, &place, &held, args, &ids)?
    } else {
        complete(&mut load_encoder()?, wanted, &place, &held, args.like_words)?
    };
    held.put(sentence, &place.pack).map_err(usage)?;
    held.write()?;
    note(format_args!("{news}; {:.1} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// What a sentence was, with what is said anew.
fn changed(old: &Sentence, given: Sentence, like_words: bool) -> Sentence {
    let old = old.clone();
    Sentence {
        kind: given.kind.or(old.kind.filter(|_| !like_words)),
        severity: given.severity.or(old.severity),
        floor: given.floor.or(old.floor),
        texts: old.texts.into_iter().chain(given.texts).collect(),
        examples: None,
        ..given
    }
}

/// Embeds a sentence, and gives it the kind and severity that are meant. Also says what came of it.
fn complete(
    encoder: &mut TextEncoder,
    wanted: Sentence,
    place: &Place,
    held: &Sentences,
    like_words: bool,
) -> Result<(Sentence, String), Error> {
    let all = place.without(&wanted.text, held);
    let Embedded { z, place, left_out } = encoder.embed(&wanted.text)?;
    if left_out > 0 {
        note(format_args!("`{}` is too long: its last {left_out} pieces of words were not read", wanted.text));
    }
    let nearest = all.nearest(&z);
    let mut sentence = Sentence { embedding: Some(place.to_string()), ..wanted };
    if let Some((entry, _)) = nearest.filter(|_| like_words && sentence.kind.is_none()) {
        sentence.kind = Some(all.kinds[entry.kind].clone());
    }
    let mut news = settle(&mut sentence, &all, all.floor);
    if let Some((entry, cosine)) = nearest {
        let same = if cosine >= SAME { " (nearly the same: the two will share what is seen)" } else { "" };
        news += &format!("; nearest is `{}` at {cosine:.2}{same}", entry.text);
    }
    Ok((sentence, news))
}

/// A sentence that is placed where something was seen, by one event on standard input or by some of the journal, and not by its
/// words. Also says what came of it.
fn seen(
    wanted: Sentence,
    place: &Place,
    held: &Sentences,
    args: &AddArgs,
    ids: &[About],
) -> Result<(Sentence, String), Error> {
    let seen = if ids.is_empty() {
        let quoted = |(from, said, evidence): (String, String, Evidence)| (from, format!("`{said}`"), evidence);
        lessons::events().map(|event| event.map(quoted)).collect::<Result<Vec<_>, _>>()?
    } else {
        of_journal(&Journal::open(&events::file(args.journal.as_ref(), &args.common.config()?)?)?, ids)?
    };
    if ids.is_empty() && seen.len() != 1 {
        return Err(usage(format!("{} events came in; a sentence is placed by one", seen.len())));
    }
    let mut sentence = wanted;
    sentence.embedding = None;
    for (from, _, evidence) in &seen {
        lessons::check(from, evidence, &place.pack)?;
        sentence.learn(evidence, 1.0, true, &place.pack);
    }
    let news = place.settle(&mut sentence, held);
    let said: Vec<&str> = seen.iter().map(|(_, said, _)| said.as_str()).collect();
    Ok((sentence, format!("{news}, where it looks as when {} was said", said.join(", "))))
}

/// What was seen in events, or in what had no name: of each where it comes from, what was said, and how it looked.
fn of_journal(journal: &Journal, ids: &[About]) -> Result<Vec<(String, String, Evidence)>, Error> {
    let unknowns = journal.seen(Ring::Unknowns, None)?;
    let one = |about: &About| match about {
        About::Event(id) => {
            let evidence = events::vector_of(journal, *id)?;
            let said = journal.event(*id)?.map_or_else(String::new, |event| event.text);
            Ok((format!("event {id}"), format!("`{said}`"), evidence))
        }
        About::Unknown(number) => {
            let seen = unknowns.iter().find(|(held, _)| held == number).map(|(_, seen)| seen);
            let gone =
                || Error::NoSuchEvent(format!("unknown u{number}; `ocelli vocab suggest` shows those that it has"));
            let vector = &seen.ok_or_else(gone)?.vector;
            Ok((format!("u{number}"), "nothing".into(), Evidence::kept(&vector.mark, &vector.values)))
        }
    };
    ids.iter().map(one).collect()
}

/// Gives a sentence the severity of its kind where it has none of its own, and says how it can be said.
fn settle(sentence: &mut Sentence, all: &Vocabulary, floor: f32) -> String {
    if let Some(kind) = sentence.kind.as_ref().filter(|kind| !all.kinds.contains(kind)) {
        let near = events::near(kind, all.kinds.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        note(format_args!("`{kind}` is a new kind, which nothing else has{near}"));
    }
    if let Some(kind) = sentence.kind.as_ref().and_then(|kind| all.kinds.iter().position(|known| known == kind)) {
        let first = all.entries.iter().find(|entry| entry.kind == kind);
        sentence.severity = sentence.severity.or(first.map(|entry| entry.severity.into()));
    }
    let own = || "of a kind of its own".into();
    let kind = sentence.kind.as_ref().map_or_else(own, |kind| format!("of the kind `{kind}`"));
    let (severity, floor) = (word(sentence.severity.unwrap_or_default()), sentence.floor.unwrap_or(floor));
    format!("`{}` can be said: {kind}, severity {severity}, from a cosine of {floor:.2}", sentence.text)
}

fn remove(args: &RemoveArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    let place = Place::of(&config)?;
    let text = args.text.trim();
    let _lock = sentences::lock(&place.path)?;
    let mut held = place.read()?;
    let of_pack = place.knows(text);
    if !held.remove(text) {
        let near = events::near(text, held.iter().map(|sentence| sentence.text.as_str()));
        let path = place.path.display();
        return Err(usage(match near {
            _ if of_pack => format!("`{text}` is the pack's; only your own can be removed"),
            Some(near) => format!("{path} has no `{text}`; did you mean `{near}`?"),
            None => format!("{path} has no `{text}`; `ocelli vocab list` shows what there is"),
        }));
    }
    held.write()?;
    note(format_args!("`{text}` is {}", if of_pack { "said as the pack says it" } else { "not said any more" }));
    // The next start would refuse it.
    let left = place.pack.vocabulary.with(&place.read()?.added());
    let named = |alert: &AlertTable| {
        [&alert.kinds, &alert.absent, &alert.after, &alert.unless].into_iter().flatten().cloned().collect::<Vec<_>>()
    };
    for alert in &config.alerts {
        if let Some(kind) = named(alert).iter().find(|kind| left.kind_of(kind).is_none()) {
            note(format_args!(
                "alert `{}` of the config waits for `{kind}`, which nobody says now; change it before the next start",
                alert.text
            ));
        }
    }
    Ok(())
}

fn list(args: &ListArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    let all = wiring::open(&config)?.vocabulary;
    let mut lines = String::new();
    for (index, entry) in all.entries.iter().enumerate() {
        let (text, kind, yours) = (&entry.text, &all.kinds[entry.kind], index >= all.of_pack());
        let severity = word(entry.severity.into());
        if args.json {
            let texts = &entry.texts;
            lines +=
                &json!({"text": text, "texts": texts, "kind": kind, "severity": severity, "yours": yours}).to_string();
        } else {
            let whose = if yours { "yours" } else { "pack" };
            let kind = if kind == text { "(its own)" } else { kind };
            lines += &format!("{whose:<6} {kind:<14} {severity:<7} {text}");
            let said = entry.text_in(config.output.language.as_deref());
            if said != text {
                lines += &format!(" ({said})");
            }
        }
        lines.push('\n');
    }
    events::print(&lines)
}

/// A file to import: TOML with `[[entry]]` tables, as a pack's vocabulary is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Imported {
    entry: Vec<Sentence>,
}

fn import(args: &ImportArgs) -> Result<(), Error> {
    let place = Place::of(&args.common.config()?)?;
    let _lock = sentences::lock(&place.path)?;
    let mut held = place.read()?;
    let new = read_import(&args.file)?;
    if new.len() as u64 > MOST_FILE_BYTES / LEAST_LINE_BYTES {
        let most = MOST_FILE_BYTES / LEAST_LINE_BYTES;
        return Err(usage(format!("{} has {} sentences; the most are {most}", args.file.display(), new.len())));
    }
    let (start, mut written) = (Instant::now(), Instant::now());
    let (mut encoder, mut counts, all) = (None, Counts::default(), new.len());
    for (index, (line, wanted)) in new.into_iter().enumerate() {
        let at = |why: String| {
            usage(format!("{}:{line}: {why}; `ocelli vocab list` shows what was imported", args.file.display()))
        };
        let of_pack = place.knows(&wanted.text);
        // As an import that was interrupted left it.
        if wanted.embedding.is_none() && held.iter().any(|held| held.text == wanted.text && says_all(held, &wanted)) {
            counts.there += 1;
            continue;
        }
        let sentence = if of_pack || wanted.embedding.is_some() {
            wanted
        } else {
            let encoder = match &mut encoder {
                Some(encoder) => encoder,
                none => none.insert(load_encoder()?),
            };
            complete(encoder, wanted, &place, &held, false)?.0
        };
        counts.add(held.put(sentence, &place.pack).map_err(at)?, of_pack);
        if written.elapsed() >= WRITTEN {
            held.write()?;
            written = Instant::now();
        }
        // Once it is known how long one takes, and then as it goes.
        if (index + 1) % PROGRESS == 0 && index + 1 < all {
            let left_s = start.elapsed().as_secs_f64() / (index + 1) as f64 * (all - index - 1) as f64;
            note(format_args!("{} of {all} sentences; some {left_s:.0} s more", index + 1));
        }
    }
    held.write()?;
    let (all_s, path) = (start.elapsed().as_secs_f64(), place.path.display());
    note(format_args!("{counts} from {} into {path}; {all_s:.1} s", args.file.display()));
    Ok(())
}

/// After how many sentences it is told how long the others will take.
const PROGRESS: usize = 100;

/// How much of an import an interruption may cost.
const WRITTEN: Duration = Duration::from_secs(5);

/// A sentence with its embedding is no shorter.
const LEAST_LINE_BYTES: u64 = 800;

/// Whether all that is wanted of a sentence is as it was imported before.
fn says_all(held: &Sentence, wanted: &Sentence) -> bool {
    let has = |language: &String, text: &String| held.texts.get(language) == Some(text);
    (wanted.kind.is_none() || wanted.kind == held.kind)
        && (wanted.severity.is_none() || wanted.severity == held.severity)
        && (wanted.floor.is_none() || wanted.floor == held.floor)
        && wanted.texts.iter().all(|(language, text)| has(language, text))
}

/// What an import came to.
#[derive(Debug, Default)]
struct Counts {
    added: usize,
    changed: usize,
    /// Sentences that were there as they are.
    there: usize,
    /// Sentences of the pack in more languages.
    of_pack: usize,
}

impl Counts {
    fn add(&mut self, is_new: bool, of_pack: bool) {
        match (is_new, of_pack) {
            (_, true) => self.of_pack += 1,
            (true, _) => self.added += 1,
            (false, _) => self.changed += 1,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sentences added", self.added)?;
        if self.changed > 0 {
            write!(f, ", {} that were there changed", self.changed)?;
        }
        if self.there > 0 {
            write!(f, ", {} that were there already", self.there)?;
        }
        if self.of_pack > 0 {
            write!(f, ", {} of the pack in more languages", self.of_pack)?;
        }
        Ok(())
    }
}

/// The sentences of a file, each with its line: TOML, JSON lines as `ocelli teach --export` writes them, or one sentence a line.
fn read_import(path: &Path) -> Result<Vec<(usize, Sentence)>, Error> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| usage(format!("{shown}: it cannot be read ({error})")))?;
    // Some editors mark a text so.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let is = |wanted: &str| path.extension().is_some_and(|extension| extension == wanted);
    let wrong = |line: usize, why: &str| usage(format!("{shown}:{line}: {why}; nothing was imported"));
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let new: Vec<(usize, Sentence)> = if is("toml") {
        let imported: Imported = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
            wrong(line, &error.message().replace('\n', " "))
        })?;
        let heads = text.lines().zip(1..).filter(|(line, _)| line.trim_start().starts_with("[[entry]]"));
        heads.map(|(_, number)| number).zip(imported.entry).collect()
    } else if is("jsonl") {
        let read = |(line, number): (&str, usize)| {
            Ok((number, serde_json::from_str(line).map_err(|error| wrong(number, &error.to_string()))?))
        };
        lines.map(read).collect::<Result<_, Error>>()?
    } else {
        lines.map(|(line, number)| (number, plain(line.trim()))).collect()
    };
    for (line, sentence) in &new {
        sentence.check().map_err(|why| wrong(*line, &why))?;
    }
    if new.is_empty() {
        return Err(usage(format!("{shown} has no sentences")));
    }
    Ok(new)
}

/// A sentence of which nothing else is said.
pub fn plain(text: &str) -> Sentence {
    let (text, texts) = (text.to_owned(), BTreeMap::new());
    Sentence { text, kind: None, severity: None, floor: None, texts, examples: None, embedding: None }
}

/// `LANGUAGE=TEXT` each.
fn languages(given: &[String]) -> Result<BTreeMap<String, String>, Error> {
    let pair = |given: &String| {
        let (language, text) = given.split_once('=').ok_or_else(|| {
            usage(format!("`{given}` names no language; write it like de=\"Die Katze springt auf den Tisch.\""))
        })?;
        Ok((language.trim().to_owned(), text.trim().to_owned()))
    };
    given.iter().map(pair).collect()
}

fn codes(texts: &BTreeMap<String, String>) -> String {
    texts.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// How a severity is written.
pub fn word(severity: SeverityName) -> &'static str {
    match severity {
        SeverityName::None => "none",
        SeverityName::Info => "info",
        SeverityName::Notice => "notice",
        SeverityName::Alarm => "alarm",
    }
}

/// The encoder from the folders in which packs are.
pub fn load_encoder() -> Result<TextEncoder, Error> {
    let mut folders = wiring::pack_roots().into_iter().map(|root| root.join(ENCODER));
    let folder = folders.find(|folder| folder.join(TextPack::MANIFEST).is_file());
    let folder = folder.ok_or(PackError::NoEncoder { name: ENCODER })?;
    Ok(TextEncoder::load(&TextPack::open(&folder)?)?)
}
