//! `ocelli vocab`: adds, removes and lists sentences. They are embedded here, by a text encoder that is loaded for it and given
//! back with the end of the command; a running `ocelli run` reads the file when it has changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ocelli_infer::{Embedded, Evidence, Pack, PackError, TextEncoder, TextPack};
use ocelli_journal::{Journal, Ring};
use serde::Deserialize;
use serde_json::json;

use crate::alerts::AlertTable;
use crate::cli::{About, AddArgs, ImportArgs, ListArgs, RemoveArgs, Vocab, VocabArgs};
use crate::config::{Config, ConfigError};
use crate::error::{Error, note};
use crate::events;
use crate::lessons;
use crate::said::SeverityName;
use crate::sentences::{self, MARK, MOST_SENTENCES, SEEN_FLOOR, Sentence, Sentences};
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
        self.pack.vocabulary.find(text).is_some()
    }

    /// Gives a sentence that is placed by what was seen the severity of its kind, and says how it can be said.
    pub fn settle(&self, sentence: &mut Sentence, held: &Sentences) -> String {
        Kinds::of(self, held, &sentence.text).settle(sentence, SEEN_FLOOR)
    }

    /// What was said by the user, of which lines that are wrong are told.
    pub fn read(&self) -> Result<Sentences, Error> {
        let held = Sentences::read(&self.path, &self.pack)?;
        held.faults().for_each(note);
        Ok(held)
    }
}

/// The kinds that there are, each with the severity of its first sentence.
struct Kinds(HashMap<String, SeverityName>);

impl Kinds {
    /// The pack's and a user's, but for that of this sentence.
    fn of(place: &Place, held: &Sentences, but: &str) -> Self {
        let vocabulary = &place.pack.vocabulary;
        let mut kinds = Self(HashMap::new());
        for (kind, severity) in vocabulary.senses() {
            kinds.0.entry(vocabulary.kind(kind).into_owned()).or_insert_with(|| severity.into());
        }
        held.iter().filter(|held| held.text != but && !place.knows(&held.text)).for_each(|held| kinds.add(held));
        kinds
    }

    fn add(&mut self, sentence: &Sentence) {
        self.0.entry(sentence.kind_name().into()).or_insert_with(|| sentence.severity.unwrap_or_default());
    }

    /// Gives a sentence the severity of its kind where it has none of its own, and says how it can be said.
    fn settle(&self, sentence: &mut Sentence, floor: f32) -> String {
        if let Some(kind) = sentence.kind.as_ref().filter(|kind| !self.0.contains_key(*kind)) {
            let near = events::near(kind, self.0.keys().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            note(format_args!("`{kind}` is a new kind, which nothing else has{near}"));
        }
        sentence.severity = sentence.severity.or_else(|| self.0.get(sentence.kind.as_ref()?).copied());
        let own = || "of a kind of its own".into();
        let kind = sentence.kind.as_ref().map_or_else(own, |kind| format!("of the kind `{kind}`"));
        let (severity, floor) = (word(sentence.severity.unwrap_or_default()), sentence.floor.unwrap_or(floor));
        format!("`{}` can be said: {kind}, severity {severity}, from a cosine of {floor:.2}", sentence.text)
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
    let wanted = match held.get(&given.text) {
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
    let (mut sentence, z) = embed(encoder, wanted)?;
    let vocabulary = &place.pack.vocabulary;
    let of_pack = vocabulary.nearest(&z);
    let of_pack = of_pack.map(|(entry, cosine)| (entry.text.clone(), vocabulary.kind(entry.kind).into_owned(), cosine));
    let own = held.nearest(&z, &sentence.text)?;
    let own = own.map(|(near, cosine)| (near.text.clone(), near.kind_name().to_owned(), cosine));
    let nearest = of_pack.into_iter().chain(own).max_by(|a, b| a.2.total_cmp(&b.2));
    if let Some((_, kind, _)) = nearest.as_ref().filter(|_| like_words && sentence.kind.is_none()) {
        sentence.kind = Some(kind.clone());
    }
    let mut news = Kinds::of(place, held, &sentence.text).settle(&mut sentence, vocabulary.floor);
    if let Some((text, _, cosine)) = nearest {
        let same = if cosine >= SAME { " (nearly the same: the two will share what is seen)" } else { "" };
        news += &format!("; nearest is `{text}` at {cosine:.2}{same}");
    }
    Ok((sentence, news))
}

/// Gives a sentence its embedding, which is also given as a unit vector.
fn embed(encoder: &mut TextEncoder, wanted: Sentence) -> Result<(Sentence, Vec<f32>), Error> {
    let Embedded { z, place, left_out } = encoder.embed(&wanted.text)?;
    if left_out > 0 {
        note(format_args!("`{}` is too long: its last {left_out} pieces of words were not read", wanted.text));
    }
    Ok((Sentence { embedding: Some(place.to_string()), ..wanted }, z))
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
    let kinds = Kinds::of(&place, &held, "");
    let is_said = |name: &String| {
        let own = || held.iter().any(|sentence| sentence.says(name));
        kinds.0.contains_key(name) || place.pack.vocabulary.kind_of(name).is_some() || own()
    };
    let named = |alert: &AlertTable| {
        [&alert.kinds, &alert.absent, &alert.after, &alert.unless].into_iter().flatten().cloned().collect::<Vec<_>>()
    };
    for alert in &config.alerts {
        if let Some(kind) = named(alert).iter().find(|kind| !is_said(kind)) {
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
    let pack = wiring::open_pack(&config.pack)?;
    let held = config.vocabulary.as_deref().map(|path| Sentences::read(path, &pack)).transpose()?;
    held.iter().flat_map(Sentences::faults).for_each(note);
    let vocabulary = &pack.vocabulary;
    let in_pack = vocabulary.entries().map(|entry| Sentence {
        kind: Some(vocabulary.kind(entry.kind).into_owned()),
        severity: Some(entry.severity.into()),
        texts: entry.texts.clone(),
        ..plain(&entry.text)
    });
    let mut all: Vec<(Sentence, bool)> = in_pack.map(|sentence| (sentence, false)).collect();
    for sentence in held.iter().flat_map(Sentences::iter) {
        match vocabulary.find(&sentence.text) {
            Some(index) => all[index].0.texts.extend(sentence.texts.clone()),
            None => all.push((sentence.clone(), true)),
        }
    }
    let mut lines = String::new();
    for (sentence, yours) in &all {
        let (text, kind, texts) = (&sentence.text, sentence.kind_name(), &sentence.texts);
        let severity = word(sentence.severity.unwrap_or_default());
        if args.json {
            lines +=
                &json!({"text": text, "texts": texts, "kind": kind, "severity": severity, "yours": yours}).to_string();
        } else {
            let whose = if *yours { "yours" } else { "pack" };
            let kind = if kind == text { "(its own)" } else { kind };
            lines += &format!("{whose:<6} {kind:<14} {severity:<7} {text}");
            let said = config.output.language.as_ref().and_then(|language| texts.get(language));
            if let Some(said) = said.filter(|said| *said != text) {
                lines += &format!(" ({said})");
            }
        }
        lines.push('\n');
    }
    events::print(&lines)
}

/// Adds the sentences of a file, whole or not at all: those that are embedded lie beside the file, in one that ends in
/// `.importing`, until all are. An import that was interrupted goes on from there.
fn import(args: &ImportArgs) -> Result<(), Error> {
    let place = Place::of(&args.common.config()?)?;
    let held = place.read()?;
    let wanted = check_list(&args.file, &place, &held)?;
    let shown = args.file.display();
    let path = beside(&place.path, ".importing");
    let failed = |error: std::io::Error| Error::Vocabulary { path: path.clone(), why: error.to_string() };
    let mut part = File::options().read(true).append(true).create(true).open(&path).map_err(failed)?;
    part.try_lock().map_err(|_| usage(format!("another import into {} goes on", place.path.display())))?;
    drop_torn_line(&mut part).map_err(failed)?;
    let done = Sentences::read(&path, &place.pack)?;
    let ready = done.texts().filter(|text| wanted.contains(*text)).count();
    if ready > 0 {
        note(format_args!("{ready} of {} sentences are there from an import that was interrupted", wanted.len()));
    }
    let mut kinds = Kinds::of(&place, &held, "");
    let (start, mut told, mut embedded, mut encoder) = (Instant::now(), Instant::now(), 0, None);
    let (mut counts, mut listed) = (Counts::default(), HashSet::new());
    let mut list = List::open(&args.file)?;
    while let Some((line, wish)) = list.next()? {
        let at = |why: String| usage(format!("{shown}:{line}: {why}"));
        let wish = wish.map_err(at)?;
        if !listed.insert(wish.text.clone()) {
            counts.twice += 1;
            continue;
        }
        let of_pack = place.knows(&wish.text);
        if is_there(&wish, &held)? || (of_pack && adds_nothing(&wish, &place)) {
            counts.there += 1;
            continue;
        }
        if is_there(&wish, &done)? {
            continue;
        }
        let mut sentence = wish;
        if !of_pack && sentence.embedding.is_none() {
            let encoder = match &mut encoder {
                Some(encoder) => encoder,
                none => none.insert(load_encoder()?),
            };
            sentence = embed(encoder, sentence)?.0;
            kinds.settle(&mut sentence, place.pack.vocabulary.floor);
            kinds.add(&sentence);
            embedded += 1;
        }
        let mut text = serde_json::to_string(&sentence).map_err(|error| at(error.to_string()))?;
        text.push('\n');
        part.write_all(text.as_bytes()).map_err(failed)?;
        // Once it is known how long one takes, and then as it goes.
        if embedded == FIRST_TOLD || (embedded > FIRST_TOLD && told.elapsed() >= TOLD) {
            told = Instant::now();
            let left = wanted.len().saturating_sub(listed.len());
            let left_s = start.elapsed().as_secs_f64() / f64::from(embedded) * left as f64;
            note(format_args!("{} of {} sentences; some {left_s:.0} s more", listed.len(), wanted.len()));
        }
    }
    part.sync_all().map_err(failed)?;
    drop((encoder, listed, kinds, held, done));
    let mut done = Sentences::read(&path, &place.pack)?;
    done.only(&wanted);
    // While this went on others may have changed the file.
    let lock = sentences::lock(&place.path)?;
    let held = place.read()?;
    for text in done.texts() {
        counts.add(held.get(text).is_none(), place.knows(text));
    }
    if counts.added + held.len() > MOST_SENTENCES {
        return Err(too_many(&args.file, counts.added, &held));
    }
    if counts.added + counts.changed + counts.of_pack > 0 {
        held.write_with(&done)?;
    }
    drop(lock);
    std::fs::remove_file(&path).map_err(failed)?;
    let (all_s, into) = (start.elapsed().as_secs_f64(), place.path.display());
    note(format_args!("{counts} from {shown} into {into}; {all_s:.1} s"));
    Ok(())
}

/// After how many sentences it is told how long the others will take, and how often from then on.
const FIRST_TOLD: u32 = 100;
const TOLD: Duration = Duration::from_secs(10);

/// So many lines that are wrong are told one by one.
const MOST_WRONG: usize = 20;

/// The largest file that is read whole.
const MOST_TOML_BYTES: u64 = 16 << 20;

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// What was written when the power went, or the program, and has no end.
fn drop_torn_line(file: &mut File) -> std::io::Result<()> {
    let mut tail = Vec::new();
    let bytes = file.metadata()?.len();
    let from = bytes.saturating_sub(1 << 16);
    std::io::Seek::seek(file, std::io::SeekFrom::Start(from))?;
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1);
    file.set_len(from + whole)
}

/// Whether all that is wanted of a sentence is as it is held.
fn is_there(wanted: &Sentence, held: &Sentences) -> Result<bool, Error> {
    let Some(there) = held.get(&wanted.text) else { return Ok(false) };
    let has = |language: &String, text: &String| there.texts.get(language) == Some(text);
    let same = (wanted.kind.is_none() || wanted.kind == there.kind)
        && (wanted.severity.is_none() || wanted.severity == there.severity)
        && (wanted.floor.is_none() || wanted.floor == there.floor)
        && wanted.texts.iter().all(|(language, text)| has(language, text));
    Ok(same
        && (wanted.embedding.is_none()
            || held.whole(&wanted.text)?.is_some_and(|there| there.embedding == wanted.embedding)))
}

/// Whether the pack says a sentence of its own in all languages that are wanted.
fn adds_nothing(wanted: &Sentence, place: &Place) -> bool {
    let Some(index) = place.pack.vocabulary.find(&wanted.text) else { return false };
    let entry = place.pack.vocabulary.entry(index);
    wanted.texts.iter().all(|(language, text)| entry.texts.get(language) == Some(text))
}

/// What an import came to.
#[derive(Debug, Default)]
struct Counts {
    added: usize,
    changed: usize,
    /// Sentences that were there as they are, the pack's among them.
    there: usize,
    /// Lines that say what one before says.
    twice: usize,
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
        let s = if self.added == 1 { "" } else { "s" };
        write!(f, "{} sentence{s} added", self.added)?;
        for (count, what) in [
            (self.changed, "that were there changed"),
            (self.there, "that were there already"),
            (self.of_pack, "of the pack in more languages"),
            (self.twice, "that the list has twice"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Goes through the whole list, and gives the texts that it has.
fn check_list(path: &Path, place: &Place, held: &Sentences) -> Result<HashSet<String>, Error> {
    let shown = path.display();
    let (mut texts, mut new, mut wrong) = (HashSet::new(), 0, Vec::new());
    let mut list = List::open(path)?;
    while let Some((line, wanted)) = list.next()? {
        let checked = wanted.and_then(|wanted| {
            let refused =
                if wanted.embedding.is_some() { wanted.added(&place.pack).err() } else { wanted.check().err() };
            refused.map_or(Ok(wanted), Err)
        });
        match checked {
            Ok(wanted) => {
                new += usize::from(
                    !place.knows(&wanted.text) && held.get(&wanted.text).is_none() && !texts.contains(&wanted.text),
                );
                texts.insert(wanted.text);
            }
            Err(why) => wrong.push((line, why)),
        }
        if new + held.len() > MOST_SENTENCES {
            return Err(too_many(path, new, held));
        }
        if wrong.len() > MOST_WRONG {
            break;
        }
    }
    match &wrong[..] {
        [] if texts.is_empty() => Err(usage(format!("{shown} has no sentences"))),
        [] => Ok(texts),
        [(line, why)] => Err(usage(format!("{shown}:{line}: {why}; nothing was imported"))),
        several => {
            several.iter().take(MOST_WRONG).for_each(|(line, why)| note(format_args!("{shown}:{line}: {why}")));
            let more = if several.len() > MOST_WRONG { "these lines and more" } else { "these lines" };
            Err(usage(format!("{shown}: {more} are wrong; nothing was imported")))
        }
    }
}

fn too_many(path: &Path, new: usize, held: &Sentences) -> Error {
    let (shown, there) = (path.display(), held.len());
    usage(format!(
        "{shown} has {new} new sentences or more beside {there} that there are; the most are {MOST_SENTENCES}"
    ))
}

/// A file to import: TOML with `[[entry]]` tables, as a pack's vocabulary is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Imported {
    entry: Vec<Sentence>,
}

/// The line of a list, and the sentence that it asks for, or what is wrong with it.
type Wish = (usize, Result<Sentence, String>);

/// The sentences of a file, one after the other: TOML, JSON lines as `ocelli teach --export` and `ocelli vocab` write them, or one
/// sentence a line.
enum List {
    Lines { path: PathBuf, file: BufReader<File>, number: usize, is_json: bool },
    Entries(std::vec::IntoIter<(usize, Sentence)>),
}

impl List {
    fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| usage(format!("{shown}: it cannot be read ({error})"));
        let file = File::open(path).map_err(unreadable)?;
        let is = |wanted: &str| path.extension().is_some_and(|extension| extension == wanted);
        if !is("toml") {
            let file = BufReader::new(file);
            return Ok(Self::Lines { path: path.to_path_buf(), file, number: 0, is_json: is("jsonl") });
        }
        let mut bytes = Vec::new();
        file.take(MOST_TOML_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MOST_TOML_BYTES {
            let advice = "write one sentence a line, or JSON lines";
            return Err(usage(format!("{shown} has more than 16 MiB, the most of TOML; {advice}")));
        }
        let bytes = bytes.strip_prefix(MARK).unwrap_or(&bytes);
        let wrong = |start: usize, why: &str| {
            let line = bytes[..start.min(bytes.len())].iter().filter(|&&byte| byte == b'\n').count() + 1;
            usage(format!("{shown}:{line}: {why}; nothing was imported"))
        };
        let text = str::from_utf8(bytes).map_err(|error| wrong(error.valid_up_to(), NO_TEXT))?;
        let imported: Imported = toml::from_str(text)
            .map_err(|error| wrong(error.span().map_or(0, |span| span.start), &error.message().replace('\n', " ")))?;
        let heads = text.lines().zip(1..).filter(|(line, _)| line.trim_start().starts_with("[[entry]]"));
        let entries: Vec<(usize, Sentence)> = heads.map(|(_, number)| number).zip(imported.entry).collect();
        Ok(Self::Entries(entries.into_iter()))
    }

    /// The next one with its line, or what is wrong with that.
    fn next(&mut self) -> Result<Option<Wish>, Error> {
        let (path, file, number, is_json) = match self {
            Self::Entries(entries) => return Ok(entries.next().map(|(line, sentence)| (line, Ok(sentence)))),
            Self::Lines { path, file, number, is_json } => (path, file, number, *is_json),
        };
        loop {
            let mut raw = Vec::new();
            let read = file.by_ref().take(MOST_LIST_LINE_BYTES).read_until(b'\n', &mut raw);
            let bytes = read.map_err(|error| usage(format!("{}: it cannot be read ({error})", path.display())))?;
            if bytes == 0 {
                return Ok(None);
            }
            *number += 1;
            if bytes as u64 == MOST_LIST_LINE_BYTES {
                return Err(usage(format!(
                    "{}:{number}: it has more than 64 KiB; nothing was imported",
                    path.display()
                )));
            }
            let raw = if *number == 1 { raw.strip_prefix(MARK).unwrap_or(&raw) } else { &raw };
            let sentence = match str::from_utf8(raw).map(str::trim) {
                Ok("") => continue,
                Ok(header) if is_json && sentences::is_header(header) => continue,
                Ok(text) if is_json => serde_json::from_str(text).map_err(|error| error.to_string()),
                Ok(text) => Ok(plain(text)),
                Err(_) => Err(NO_TEXT.into()),
            };
            return Ok(Some((*number, sentence)));
        }
    }
}

/// No line of a list is longer.
const MOST_LIST_LINE_BYTES: u64 = 1 << 16;

const NO_TEXT: &str = "it is no text (UTF-8)";

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
