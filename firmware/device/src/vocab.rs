//! `ocelli vocab`: adds, removes and lists sentences. They are embedded here, by a text encoder that is loaded for it and given
//! back with the end of the command; a running `ocelli run` reads the file when it has changed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use ocelli_drivers::SinkError;
use ocelli_infer::{Embedded, Pack, PackError, TextEncoder, TextPack, Vocabulary};
use serde::Deserialize;
use serde_json::json;

use crate::alerts::AlertTable;
use crate::cli::{AddArgs, ImportArgs, ListArgs, RemoveArgs, Vocab, VocabArgs};
use crate::config::{Config, ConfigError};
use crate::error::{Error, note};
use crate::lessons;
use crate::sentences::{self, SEEN_FLOOR, Sentence, Sentences, SeverityName};
use crate::wiring;

/// Name of the folder of the text encoder, among the packs.
const ENCODER: &str = "minilm";

/// A cosine from which two sentences say nearly the same.
const SAME: f32 = 0.9;

/// The similarity at which a word is offered in place of another, as for the keys of a config.
const NEAR: f64 = 0.75;

/// Does what is asked for.
pub fn command(args: &VocabArgs) -> Result<(), Error> {
    match &args.what {
        Vocab::Add(args) => add(args),
        Vocab::Remove(args) => remove(args),
        Vocab::List(args) => list(args),
        Vocab::Import(args) => import(args),
    }
}

/// The pack's own sentences, and where those of the user are.
struct Place {
    pack: Pack,
    path: PathBuf,
}

impl Place {
    fn of(config: &Config) -> Result<Self, Error> {
        let pack = wiring::open_pack(&config.pack)?;
        let advice = "where should sentences be kept? Set `vocabulary` in the config, or give --vocabulary FILE";
        let path = config.vocabulary.clone().ok_or_else(|| ConfigError::Usage(advice.into()))?;
        Ok(Self { pack, path })
    }

    /// Whether the pack says this.
    fn knows(&self, text: &str) -> bool {
        self.pack.vocabulary.entries.iter().any(|entry| entry.text == text)
    }

    /// What can be said, but for this sentence.
    fn without(&self, text: &str, held: &Sentences) -> Vocabulary {
        let mut others = held.added();
        others.retain(|added| added.text != text);
        self.pack.vocabulary.with(&others)
    }

    fn read(&self) -> Result<Sentences, Error> {
        let held = Sentences::read(&self.path, &self.pack)?;
        held.faults().for_each(note);
        Ok(held)
    }
}

fn usage(why: impl Into<String>) -> Error {
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
    let otherwise = otherwise || args.like_words || args.seen;
    if of_pack && (wanted.texts.is_empty() || otherwise) {
        let advice = "the pack says this already; give what it is in other languages with --in, and nothing else";
        return Err(usage(advice));
    }
    let (sentence, news) = if of_pack {
        let news = format!("the pack's `{}` is also said in {}", wanted.text, codes(&wanted.texts));
        (wanted, news)
    } else if args.seen {
        seen(wanted, &place, &held)?
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

/// A sentence that is placed where what an event tells of was seen, and not by its words. Also says what came of it.
fn seen(wanted: Sentence, place: &Place, held: &Sentences) -> Result<(Sentence, String), Error> {
    let events = lessons::events().collect::<Result<Vec<_>, _>>()?;
    let [(from, said, evidence)] = &events[..] else {
        return Err(usage(format!("{} events came in; a sentence is placed by one", events.len())));
    };
    lessons::check(from, evidence, &place.pack)?;
    let mut sentence = Sentence { embedding: Some(evidence.to_string()), ..wanted };
    let all = place.without(&sentence.text, held);
    let news = settle(&mut sentence, &all, SEEN_FLOOR);
    Ok((sentence, format!("{news}, where it looks as when `{said}` was said")))
}

/// Gives a sentence the severity of its kind where it has none of its own, and says how it can be said.
fn settle(sentence: &mut Sentence, all: &Vocabulary, floor: f32) -> String {
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
        let likeness = |other: &str| strsim::jaro_winkler(&text.to_lowercase(), &other.to_lowercase());
        let near = held.iter().map(|sentence| (likeness(&sentence.text), &sentence.text));
        let near = near.filter(|(near, _)| *near > NEAR).max_by(|a, b| a.0.total_cmp(&b.0));
        let path = place.path.display();
        return Err(usage(match near {
            _ if of_pack => format!("`{text}` is the pack's; only your own can be removed"),
            Some((_, near)) => format!("{path} has no `{text}`; did you mean `{near}`?"),
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
    let printed = io::stdout().write_all(lines.as_bytes()).and_then(|()| io::stdout().flush());
    printed.map_err(|error| Error::Output { path: "standard output".into(), source: SinkError::from(error) })
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
    let start = Instant::now();
    let (mut encoder, count) = (None, new.len());
    for (line, wanted) in new {
        let at = |why: String| usage(format!("{}:{line}: {why}; nothing was imported", args.file.display()));
        let sentence = if place.knows(&wanted.text) {
            wanted
        } else {
            let encoder = match &mut encoder {
                Some(encoder) => encoder,
                none => none.insert(load_encoder()?),
            };
            complete(encoder, wanted, &place, &held, false)?.0
        };
        held.put(sentence, &place.pack).map_err(at)?;
    }
    held.write()?;
    let (all_s, path) = (start.elapsed().as_secs_f64(), place.path.display());
    note(format_args!("{count} sentences from {} into {path}; {all_s:.1} s", args.file.display()));
    Ok(())
}

/// The sentences of a file, each with its line: TOML, or one sentence a line.
fn read_import(path: &Path) -> Result<Vec<(usize, Sentence)>, Error> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| usage(format!("{shown}: it cannot be read ({error})")))?;
    let new: Vec<(usize, Sentence)> = if path.extension().is_some_and(|extension| extension == "toml") {
        let imported: Imported = toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
            usage(format!("{shown}:{line}: {}; nothing was imported", error.message().replace('\n', " ")))
        })?;
        let heads = text.lines().zip(1..).filter(|(line, _)| line.trim_start().starts_with("[[entry]]"));
        heads.map(|(_, number)| number).zip(imported.entry).collect()
    } else {
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        lines.map(|(line, number)| (number, plain(line.trim()))).collect()
    };
    for (line, sentence) in &new {
        sentence.check().map_err(|why| usage(format!("{shown}:{line}: {why}; nothing was imported")))?;
    }
    if new.is_empty() {
        return Err(usage(format!("{shown} has no sentences")));
    }
    Ok(new)
}

fn plain(text: &str) -> Sentence {
    let (text, texts) = (text.to_owned(), BTreeMap::new());
    Sentence { text, kind: None, severity: None, floor: None, texts, embedding: None }
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

fn word(severity: SeverityName) -> &'static str {
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
