//! The file of a user's own sentences, beside those of the pack: one JSON object a line, with its embedding inside, so that a
//! sentence can be read, changed, copied to another device and taken back by deleting its line. The first line names the format
//! ([`FORMAT`]); a file without it is of the first one, which had none.
//!
//! `ocelli vocab` writes it; the other commands read it at start, and `ocelli run` again when it changes. A line that is wrong is
//! told with its number and keeps no other from holding, and nothing that rewrites the file loses it. It is read line by line:
//! who says the sentences holds a [`Vocabulary`], who changes the file ([`Sentences`]) all but the embeddings.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use ocelli_infer::{Added, Evidence, Pack, Renumbering, Vocabulary};
use ocelli_pipeline::Lexicon;
use serde::{Deserialize, Serialize};

use crate::config::Verbosity;
use crate::error::Error;
use crate::said::{SeverityName, check_text};
use crate::wiring;

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 2;

/// The most sentences of a file, and its longest line. A sentence takes 0.9 KB of it.
pub const MOST_SENTENCES: usize = 100_000;
const MOST_LINE_BYTES: u64 = 1 << 16;

/// The largest file.
const MOST_FILE_BYTES: u64 = 1 << 28;

/// So many faults are told one by one.
const MOST_FAULTS: usize = 20;

/// Bytes of text for which a sentence has room.
const ROOM_TEXT_BYTES: usize = 100;

/// Stack of the thread that watches the file.
pub const WATCHER_STACK_BYTES: usize = 256 << 10;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How often the watcher looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// The cosine from which a sentence is meant that was placed where something was seen. Of 58 narrations of 14 real clips 55% of those of
/// one kind in two clips are as near as that, and 8% of those of two kinds.
pub const SEEN_FLOOR: f32 = 0.9;

/// How far examples may take the floor of a sentence down and up, and how far from them.
const LEAST_FLOOR: f32 = 0.8;
const MOST_FLOOR: f32 = 0.99;
const MARGIN: f32 = 0.005;

/// The most examples that the ones before count as: a room changes.
const MOST_WEIGHT: u32 = 15;

/// One line of the file. In a file to import, without the embedding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentence {
    /// The sentence.
    pub text: String,
    /// Its kind; without one it is a kind of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How much it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityName>,
    /// The cosine from which it is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f32>,
    /// The same in other languages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
    /// Of how many examples of what was seen its place is the mean; none for one that lies where its words do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<u32>,
    /// Where it lies; none for a sentence of the pack, which only gains languages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<String>,
}

impl Sentence {
    /// What no type says, in words that say what to do.
    pub fn check(&self) -> Result<(), String> {
        check_text(&self.text)?;
        if let Some(kind) = &self.kind {
            check_text(kind).map_err(|why| format!("its kind: {why}"))?;
        }
        for (language, text) in &self.texts {
            check_language(language)?;
            check_text(text).map_err(|why| format!("its text in `{language}`: {why}"))?;
        }
        match self.floor {
            Some(floor) if !(-1.0..=1.0).contains(&floor) => Err(format!("its floor is {floor}; it may be -1 to 1")),
            _ => Ok(()),
        }
    }

    /// Name of its kind.
    pub fn kind_name(&self) -> &str {
        self.kind.as_ref().unwrap_or(&self.text)
    }

    /// Where it lies by what was seen with the models of this pack, and of how many examples that is the mean.
    pub fn prototype(&self, pack: &Pack) -> Option<(Evidence, u32)> {
        let place = self.embedding.as_ref()?.parse().ok().filter(|place: &Evidence| place.is_of(pack))?;
        Some((place, self.examples.unwrap_or(1)))
    }

    /// Learns from what was seen. What it was moves its place to the mean of its examples, and takes the floor down to what they
    /// are; the first one puts it there. What it was not takes the floor up, where the sentence would be meant. `spread` is the
    /// least cosine of what the example is made of to it; 1 for what is of one piece.
    pub fn learn(&mut self, example: &Evidence, spread: f32, right: bool, pack: &Pack) {
        let floor = self.floor.unwrap_or(SEEN_FLOOR);
        let rounded = |floor: f32| Some((floor * 1000.0).round() / 1000.0);
        match (self.prototype(pack), right) {
            (None, true) => {
                (self.embedding, self.examples) = (Some(example.to_string()), Some(1));
                let least = (spread - MARGIN).max(LEAST_FLOOR);
                if least < floor {
                    self.floor = rounded(least);
                }
            }
            (None, false) => {}
            (Some((place, examples)), true) => {
                let weight = examples.min(MOST_WEIGHT) as f32;
                // Two that point nowhere together have nothing in common: the newer holds.
                let mean = Evidence::mean([(&place, weight), (example, 1.0)]).unwrap_or_else(|| example.clone());
                let least = (mean.cosine(example).min(spread) - MARGIN).max(LEAST_FLOOR);
                if least < floor {
                    self.floor = rounded(least);
                }
                (self.embedding, self.examples) = (Some(mean.to_string()), Some(examples + 1));
            }
            (Some((place, _)), false) => {
                let above = (place.cosine(example) + MARGIN).min(MOST_FLOOR);
                if above > floor {
                    self.floor = rounded(above);
                }
            }
        }
    }

    /// Whether this is what was said, in whatever language.
    pub fn says(&self, text: &str) -> bool {
        self.text == text || self.texts.values().any(|other| other == text)
    }

    /// As the vocabulary takes it, or what is wrong with it.
    pub fn added(&self, pack: &Pack) -> Result<Added, String> {
        self.check()?;
        let of_pack = pack.vocabulary.find(&self.text).is_some();
        let place = match &self.embedding {
            None if of_pack => None,
            None => return Err("it has no embedding; let `ocelli vocab add` write it".into()),
            Some(text) => Some(text.parse::<Evidence>().map_err(|_| "its embedding is cut off or was changed")?),
        };
        let seen = place.as_ref().is_some_and(|place| place.is_of(pack));
        if !seen && !place.as_ref().is_none_or(|place| place.is_of_text(&self.text)) {
            let why = "its text was changed after it was embedded, or what it names was seen by other models";
            return Err(format!("{why}; `ocelli vocab add` it anew"));
        }
        Ok(Added {
            text: self.text.clone(),
            texts: self.texts.clone(),
            kind: self.kind.clone(),
            severity: self.severity.unwrap_or_default().into(),
            floor: self.floor.or(seen.then_some(SEEN_FLOOR)),
            place,
            at: 0,
        })
    }
}

/// What a language is called: `de`, `zh`, `pt-BR`.
pub fn check_language(language: &str) -> Result<(), String> {
    let plain = language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain && (2..=16).contains(&language.len()) {
        return Ok(());
    }
    Err(format!("`{language}` is no language; write its code, such as de, zh or pt-BR"))
}

/// What tells a file from the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    changed_ns: (i64, i64),
    bytes: u64,
    inode: u64,
}

impl Stamp {
    /// `None` where there is no file.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let changed_ns = (metadata.mtime(), metadata.mtime_nsec());
        Some(Self { changed_ns, bytes: metadata.len(), inode: metadata.ino() })
    }
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
}

/// Whether this line names the format of a file.
pub fn is_header(line: &str) -> bool {
    serde_json::from_str::<Header>(line).is_ok()
}

/// A line as it lies in the file, and what it says or what is wrong with it.
struct Line {
    /// From 1 on.
    number: usize,
    /// Where it begins, and how long it is without its end.
    at: u64,
    bytes: usize,
    read: Result<(Sentence, Added), String>,
}

/// The lines of a file but for the first one and for empty ones, one held at a time.
struct Lines<'a> {
    pack: &'a Pack,
    path: &'a Path,
    /// `None` for a file that is not there yet.
    file: Option<BufReader<File>>,
    number: usize,
    at: u64,
    raw: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path, pack: &'a Pack) -> Result<Self, Error> {
        // Opening one of those may wait for ever, or never come to an end.
        if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Err(bad(path, "it is no file, but a pipe or a device"));
        }
        let file = match File::open(path) {
            Ok(file) if file.metadata().is_ok_and(|found| found.len() > MOST_FILE_BYTES) => {
                return Err(bad(path, "it has more than 256 MiB; take sentences out that are not needed"));
            }
            Ok(file) => Some(BufReader::with_capacity(MOST_LINE_BYTES as usize, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(bad(path, format!("it cannot be read ({error})"))),
        };
        Ok(Self { pack, path, file, number: 0, at: 0, raw: Vec::new() })
    }

    /// The file itself, to read rows of it again.
    fn file(&self) -> Option<File> {
        self.file.as_ref().and_then(|file| file.get_ref().try_clone().ok())
    }

    fn next(&mut self) -> Result<Option<Line>, Error> {
        let Some(file) = &mut self.file else { return Ok(None) };
        loop {
            self.raw.clear();
            let read = file.take(MOST_LINE_BYTES).read_until(b'\n', &mut self.raw);
            let bytes = read.map_err(|error| bad(self.path, format!("it cannot be read ({error})")))?;
            if bytes == 0 {
                return Ok(None);
            }
            self.number += 1;
            let (number, at) = (self.number, self.at);
            self.at += bytes as u64;
            if bytes as u64 == MOST_LINE_BYTES {
                return Err(bad(self.path, format!("line {number} has more than 64 KiB; take it out")));
            }
            let raw = self.raw.strip_suffix(b"\n").unwrap_or(&self.raw);
            // Some editors mark a text so.
            let mark = if number == 1 && raw.starts_with(MARK) { MARK.len() } else { 0 };
            let said = &raw[mark..];
            if said.trim_ascii().is_empty() {
                continue;
            }
            // A file may have been put together of several.
            if let Ok(Header { format }) = serde_json::from_slice(said) {
                if format > FORMAT {
                    let why =
                        format!("it is of format {format}, and this program reads up to {FORMAT}; take a newer one");
                    return Err(bad(self.path, why));
                }
                continue;
            }
            let read = parse(said, at + mark as u64, self.pack);
            return Ok(Some(Line { number, at, bytes: raw.len(), read }));
        }
    }
}

/// How some editors begin a text (UTF-8).
pub const MARK: &[u8] = "\u{feff}".as_bytes();

/// What a line says that begins here.
fn parse(raw: &[u8], at: u64, pack: &Pack) -> Result<(Sentence, Added), String> {
    let text = str::from_utf8(raw).map_err(|_| "it is no text (UTF-8)")?;
    let sentence: Sentence = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut added = sentence.added(pack)?;
    if let Some(embedding) = &sentence.embedding {
        let within = text.find(embedding.as_str()).ok_or("its embedding is written with escapes")?;
        added.at = u32::try_from(at + within as u64).expect("a file should have less than 4 GiB");
    }
    Ok((sentence, added))
}

/// The most that a start takes.
pub const MOST: Room = Room { sentences: MOST_SENTENCES, text_bytes: 1 << 26 };

/// For how many sentences memory is set aside, and for how many bytes of their texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Sentences.
    pub sentences: usize,
    /// Texts, also in other languages, and names of kinds.
    pub text_bytes: usize,
}

impl Room {
    /// For this many of common length.
    pub const fn of(sentences: usize) -> Self {
        Self { sentences, text_bytes: sentences * ROOM_TEXT_BYTES }
    }

    fn exceeded(self) -> String {
        let Self { sentences, text_bytes } = self;
        let what = format!("more than {sentences} sentences, or more than {} KiB of texts", text_bytes >> 10);
        if self == MOST {
            return format!("it has {what}, the most; take sentences out");
        }
        format!(
            "it has {what}, for which memory was set aside at the start; restart the program, or set `vocabulary_room`"
        )
    }

    /// What the sentences of a user's in this vocabulary need.
    pub const fn held(vocabulary: &Vocabulary) -> Self {
        let (sentences, text_bytes) = vocabulary.own_size();
        Self { sentences, text_bytes }
    }

    /// For what both have room for.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let (sentences, text_bytes) = (self.sentences.max(other.sentences), self.text_bytes.max(other.text_bytes));
        Self { sentences, text_bytes }
    }
}

/// What was read of a file to say it.
#[derive(Debug)]
pub struct Loaded {
    path: PathBuf,
    stamp: Option<Stamp>,
    /// The pack's sentences, and behind them those of the file.
    pub vocabulary: Arc<Vocabulary>,
    /// What is wrong with lines, each with its place; how many more there are in the last one.
    pub faults: Vec<String>,
}

impl Loaded {
    /// Reads the file beside the sentences of a pack; one that is not there yet has none.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]: nothing of it can be read, or there is no room for it.
    pub fn read(path: &Path, pack: &Pack, room: Room) -> Result<Self, Error> {
        let stamp = Stamp::of(path);
        let mut lines = Lines::open(path, pack)?;
        let mut composer = pack.vocabulary.composer();
        let (mut faults, mut more) = (Vec::new(), 0);
        while let Some(line) = lines.next()? {
            match line.read {
                Ok((_, added)) => composer.add(added),
                Err(why) if faults.len() < MOST_FAULTS => faults.push(fault(path, line.number, &why)),
                Err(_) => more += 1,
            }
            let (sentences, text_bytes) = composer.size();
            if sentences > room.sentences || text_bytes > room.text_bytes {
                return Err(bad(path, room.exceeded()));
            }
        }
        if more > 0 {
            faults.push(format!("{}: {more} more lines are wrong", path.display()));
        }
        let vocabulary = composer.finish(lines.file());
        let vocabulary = vocabulary.map_err(|error| bad(path, format!("it cannot be read again ({error})")))?;
        Ok(Self { path: path.to_path_buf(), stamp, vocabulary: Arc::new(vocabulary), faults })
    }
}

fn bad(path: &Path, why: impl Into<String>) -> Error {
    Error::Vocabulary { path: path.to_path_buf(), why: why.into() }
}

fn fault(path: &Path, number: usize, why: &str) -> String {
    format!("{}: line {number}: {why}", path.display())
}

/// What a file holds, to change it: some 400 bytes a sentence, for the embeddings stay where they are.
#[derive(Debug)]
pub struct Sentences {
    path: PathBuf,
    /// What was read; none where there was nothing yet.
    file: Option<File>,
    lines: Vec<Held>,
    /// Where each text is among the lines.
    places: HashMap<String, usize>,
}

/// A line of a file that may be changed.
#[derive(Debug)]
struct Held {
    raw: Raw,
    /// Without its embedding.
    read: Result<Sentence, String>,
    /// From 1 on; none for what is new.
    number: Option<usize>,
    /// Whether it lies where something was seen with the models of this pack.
    seen: bool,
}

/// Where a line lies.
#[derive(Debug)]
enum Raw {
    InFile { at: u64, bytes: usize },
    New(Vec<u8>),
}

impl Sentences {
    /// Reads the file beside the sentences of a pack; one that is not there yet has none.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]: nothing of it can be read.
    pub fn read(path: &Path, pack: &Pack) -> Result<Self, Error> {
        let mut lines = Lines::open(path, pack)?;
        let mut held = Self { path: path.to_path_buf(), file: lines.file(), lines: Vec::new(), places: HashMap::new() };
        while let Some(Line { number, at, bytes, read }) = lines.next()? {
            let seen =
                read.as_ref().is_ok_and(|(_, added)| added.place.as_ref().is_some_and(|place| place.is_of(pack)));
            let read = read.map(|(sentence, _)| Sentence { embedding: None, ..sentence });
            held.push(Held { raw: Raw::InFile { at, bytes }, read, number: Some(number), seen });
        }
        Ok(held)
    }

    fn push(&mut self, line: Held) {
        if let Ok(sentence) = &line.read {
            self.places.entry(sentence.text.clone()).or_insert(self.lines.len());
        }
        self.lines.push(line);
    }

    /// What is wrong with lines, each with its place.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        let wrong = self.lines.iter().filter_map(|line| Some((line.number?, line.read.as_ref().err()?)));
        wrong.map(|(number, why)| fault(&self.path, number, why))
    }

    /// The sentences in the order of the file, without their embeddings.
    pub fn iter(&self) -> impl Iterator<Item = &Sentence> {
        self.lines.iter().filter_map(|line| line.read.as_ref().ok())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Holds these only, each as it was written last.
    pub fn only(&mut self, texts: &HashSet<String>) {
        self.places.clear();
        for (place, line) in self.lines.iter().enumerate() {
            if let Ok(sentence) = &line.read
                && texts.contains(&sentence.text)
            {
                self.places.insert(sentence.text.clone(), place);
            }
        }
    }

    /// Their texts, in no order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The sentence with this text, without its embedding.
    pub fn get(&self, text: &str) -> Option<&Sentence> {
        self.lines[*self.places.get(text)?].read.as_ref().ok()
    }

    /// The same, whole.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]: the file cannot be read any more.
    pub fn whole(&self, text: &str) -> Result<Option<Sentence>, Error> {
        self.places.get(text).map(|place| self.sentence(&self.lines[*place])).transpose()
    }

    /// Those that lie where something was seen with the models of this pack, whole.
    ///
    /// # Errors
    /// As [`whole`](Self::whole).
    pub fn taught(&self) -> Result<Vec<Sentence>, Error> {
        self.lines.iter().filter(|line| line.seen).map(|line| self.sentence(line)).collect()
    }

    /// Which sentence but for this one is nearest to a unit vector, and its cosine.
    ///
    /// # Errors
    /// As [`whole`](Self::whole).
    pub fn nearest(&self, z: &[f32], but: &str) -> Result<Option<(&Sentence, f32)>, Error> {
        let mut best: Option<(&Sentence, f32)> = None;
        for line in &self.lines {
            let Ok(sentence) = line.read.as_ref() else { continue };
            let Some(embedding) = self.sentence(line)?.embedding else { continue };
            let Ok(place) = embedding.parse::<Evidence>() else { continue };
            let cosine = place.unit().iter().zip(z).map(|(a, b)| a * b).sum();
            if sentence.text != but && best.is_none_or(|(_, most)| cosine > most) {
                best = Some((sentence, cosine));
            }
        }
        Ok(best)
    }

    fn sentence(&self, line: &Held) -> Result<Sentence, Error> {
        let raw = self.raw(line).map_err(|error| bad(&self.path, format!("it cannot be read ({error})")))?;
        let raw = raw.strip_prefix(MARK).unwrap_or(&raw);
        serde_json::from_slice(raw).map_err(|_| bad(&self.path, "it was changed meanwhile; try again"))
    }

    fn raw(&self, line: &Held) -> io::Result<Vec<u8>> {
        match (&line.raw, &self.file) {
            (Raw::New(raw), _) => Ok(raw.clone()),
            (Raw::InFile { at, bytes }, Some(file)) => {
                let mut raw = vec![0; *bytes];
                file.read_exact_at(&mut raw, *at)?;
                Ok(raw)
            }
            (Raw::InFile { .. }, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Puts a sentence in the place of one with the same text, else at the end; gives whether it is new.
    ///
    /// # Errors
    /// A sentence of what is wrong with it.
    pub fn put(&mut self, sentence: Sentence, pack: &Pack) -> Result<bool, String> {
        let added = sentence.added(pack)?;
        let raw = Raw::New(serde_json::to_vec(&sentence).map_err(|error| error.to_string())?);
        let seen = added.place.is_some_and(|place| place.is_of(pack));
        let (text, read) = (sentence.text.clone(), Ok(Sentence { embedding: None, ..sentence }));
        let line = Held { raw, read, number: None, seen };
        match self.places.get(&text) {
            Some(place) => self.lines[*place] = line,
            None if self.len() == MOST_SENTENCES => {
                return Err(format!("there are {MOST_SENTENCES} sentences, the most"));
            }
            None => {
                self.push(line);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes a sentence out; `false` if it is not there.
    pub fn remove(&mut self, text: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| !line.read.as_ref().is_ok_and(|sentence| sentence.text == text));
        self.places.clear();
        for (place, line) in self.lines.iter().enumerate() {
            if let Ok(sentence) = &line.read {
                self.places.entry(sentence.text.clone()).or_insert(place);
            }
        }
        self.lines.len() < before
    }

    /// Writes the file beside the old one, brings it to the disk and renames it, so that a reader and a power cut see one of the
    /// two whole. Then come these sentences of another file, each in the place of one with the same text, else at the end.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]; the old file is as it was.
    pub fn write_with(&self, others: &Self) -> Result<(), Error> {
        let lines = |to: &mut dyn Write| -> io::Result<()> {
            let mut put = |raw: &[u8]| to.write_all(raw).and_then(|()| to.write_all(b"\n"));
            put(format!("{{\"format\":{FORMAT}}}").as_bytes())?;
            for line in &self.lines {
                let other = line.read.as_ref().ok().and_then(|sentence| others.places.get(&sentence.text));
                let raw = match other {
                    Some(place) => others.raw(&others.lines[*place])?,
                    None => self.raw(line)?,
                };
                put(raw.strip_prefix(MARK).unwrap_or(&raw))?;
            }
            for (place, line) in others.lines.iter().enumerate() {
                let Ok(sentence) = &line.read else { continue };
                if others.places.get(&sentence.text) == Some(&place) && !self.places.contains_key(&sentence.text) {
                    put(&others.raw(line)?)?;
                }
            }
            Ok(())
        };
        replace_with(&self.path, Readers::AsBefore, lines)
            .map_err(|error| bad(&self.path, format!("it cannot be written ({error})")))
    }

    /// As [`write_with`](Self::write_with) nothing more.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]; the old file is as it was.
    pub fn write(&self) -> Result<(), Error> {
        let none = Self { path: PathBuf::new(), file: None, lines: Vec::new(), places: HashMap::new() };
        self.write_with(&none)
    }
}

/// Who may read a file that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// As before: the program may run as another user than the one who adds.
    AsBefore,
    /// The program's user alone, whatever it was before.
    Owner,
}

/// Writes a file as [`Sentences::write`] does.
pub fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    replace_with(path, readers, |to| to.write_all(bytes))
}

fn replace_with(path: &Path, readers: Readers, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let replaced = write_and_rename(&new, path, readers, write);
    if replaced.is_err() {
        // On a disk that is full it takes room, too.
        let _ = fs::remove_file(&new);
    }
    replaced
}

fn write_and_rename(
    new: &Path,
    path: &Path,
    readers: Readers,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mode = if readers == Readers::Owner { 0o600 } else { 0o666 };
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(new)?;
    match (readers, fs::metadata(path)) {
        // One that was left lying there keeps its own.
        (Readers::Owner, _) => file.set_permissions(Permissions::from_mode(mode))?,
        (Readers::AsBefore, Ok(old)) => file.set_permissions(old.permissions())?,
        (Readers::AsBefore, Err(_)) => {}
    }
    let mut buffered = BufWriter::new(&file);
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.sync_all()?;
    fs::rename(new, path)?;
    folder_of(path).and_then(|folder| File::open(folder)?.sync_all())
}

/// The folder in which a file is.
pub fn folder_of(path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(if folder.as_os_str().is_empty() { ".".into() } else { folder.to_path_buf() })
}

/// Keeps other programs from changing the file until it is dropped. They lock its folder, because the file is replaced.
///
/// # Errors
/// [`Error::Vocabulary`]: the folder is not there.
pub fn lock(path: &Path) -> Result<File, Error> {
    let locked = folder_of(path).and_then(File::open).and_then(|folder| folder.lock().map(|()| folder));
    locked.map_err(|error| Error::Vocabulary { path: path.to_path_buf(), why: format!("its folder: {error}") })
}

/// A vocabulary that takes over from another.
#[derive(Debug)]
pub struct Next {
    /// What can be said from now on.
    pub vocabulary: Arc<Vocabulary>,
    /// What the policy knows of it.
    pub lexicon: Lexicon,
    /// Which numbers those of before have in it.
    pub numbers: Renumbering,
}

/// The thread that reads the file when it has changed. All that takes long is done in it, so that who takes what it has for the
/// next picture is not late for it.
#[derive(Debug)]
pub struct Watcher {
    news: Receiver<Result<Next, String>>,
}

impl Watcher {
    /// Watches the file that `read` came from, until `stop` is set or the watcher dropped.
    /// The pack is without them.
    pub fn start(
        read: &Loaded,
        pack: Pack,
        room: Room,
        verbosity: Verbosity,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let (path, mut seen, mut said) = (read.path.clone(), read.stamp, Arc::clone(&read.vocabulary));
        // Without room for one that nobody has taken yet: there are two vocabularies at most.
        let (tell, news) = sync_channel(0);
        let watch = move || {
            let rounds = EVERY.as_millis() / PATIENCE.as_millis();
            while (0..rounds).all(|_| {
                thread::sleep(PATIENCE);
                !stop.load(Ordering::Relaxed)
            }) {
                let now = Stamp::of(&path);
                if now == seen {
                    continue;
                }
                seen = now;
                let next = next(&path, &pack, room, verbosity, &said);
                if let Ok(next) = &next {
                    said = Arc::clone(&next.vocabulary);
                }
                if tell.send(next).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("vocabulary".into()).stack_size(WATCHER_STACK_BYTES).spawn(watch)?;
        Ok(Self { news })
    }

    /// The vocabulary as it is now, or why it stays as it was; `None` while the file does not change.
    pub fn news(&self) -> Option<Result<Next, String>> {
        self.news.try_recv().ok()
    }
}

/// All of the file or nothing: half of it may be what an editor has written so far.
fn next(path: &Path, pack: &Pack, room: Room, verbosity: Verbosity, said: &Vocabulary) -> Result<Next, String> {
    let Loaded { vocabulary, faults, .. } = Loaded::read(path, pack, room).map_err(|error| error.to_string())?;
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault);
    }
    let lexicon = wiring::lexicon(pack, &vocabulary, verbosity).map_err(|error| error.to_string())?;
    Ok(Next { numbers: said.numbers_in(&vocabulary), lexicon, vocabulary })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack() -> Pack {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        Pack::open(&folder).expect("the pack of the tests")
    }

    #[test]
    fn a_file_that_cannot_be_written_to_its_end_is_as_before_and_leaves_no_half() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("file");
        replace(&path, b"before", Readers::AsBefore).expect("there is room");
        let half = |to: &mut dyn Write| to.write_all(b"half of").and(Err(io::ErrorKind::StorageFull.into()));
        let full = replace_with(&path, Readers::AsBefore, half);
        assert_eq!(full.expect_err("the disk is full").kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).expect("it is there"), b"before");
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1, "nothing lies beside it");
    }

    /// A sentence as the text encoder might have placed it.
    fn sentence(text: &str) -> Sentence {
        // Of "the cat jumps", whatever the text.
        let mark = if text == "the cat jumps" { CAT } else { DOG };
        let embedding = Some(format!("{mark}.{}", "0102".repeat(192)));
        let texts = BTreeMap::from([("zh".into(), "猫跳上了台面。".into()), ("ar".into(), "القطة تقفز".into())]);
        Sentence { text: text.into(), kind: None, severity: None, floor: None, texts, examples: None, embedding }
    }

    type Change = dyn Fn(&mut Sentence);

    /// Marks of the sentences, as `sha256("all-MiniLM-L6-v2 " + text)` begins.
    const CAT: &str = "8bff58db";
    const DOG: &str = "2df14fcb";

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("vocabulary.jsonl");
        (folder, path)
    }

    const HEAD: &str = "{\"format\":2}\n";

    fn loaded(path: &Path, pack: &Pack) -> Loaded {
        Loaded::read(path, pack, MOST).expect("most of it is text")
    }

    #[test]
    fn a_bad_line_is_told_and_kept_and_the_others_hold() {
        let ((_folder, path), pack) = (file(), pack());
        let mut sentences = Sentences::read(&path, &pack).expect("a file that is not there has none");
        sentences.put(sentence("the cat jumps"), &pack).expect("it is right");
        sentences.write().expect("there is room");
        let good = fs::read_to_string(&path).expect("it was written");
        let good = good.strip_prefix(HEAD).expect("it names its format");
        assert!(good.contains("猫跳上了台面。") && good.contains("القطة تقفز"), "people can read it: {good}");
        let other = good.replace("the cat jumps", "the cat jumped");
        let latin: &[u8] = b"{\"text\": \"caf\xe9\"}\n";
        fs::write(&path, [MARK, b"{\"text\":\n", other.as_bytes(), b"\n", latin, good.as_bytes()].concat())
            .expect("there is room");
        let mut sentences = Sentences::read(&path, &pack).expect("most of it is text");
        let faults: Vec<String> = sentences.faults().collect();
        assert!(faults.len() == 3 && faults[0].contains("vocabulary.jsonl: line 1: "), "{faults:?}");
        assert!(faults[1].contains("line 2: its text was changed after it was embedded"), "{faults:?}");
        assert!(faults[2].contains("line 4: it is no text (UTF-8)"), "{faults:?}");
        let said = loaded(&path, &pack);
        assert_eq!((said.faults, said.vocabulary.own_size().0, sentences.len()), (faults, 1, 1));
        sentences.put(sentence("the dog barks"), &pack).expect("it is right");
        assert!(sentences.remove("the cat jumps") && !sentences.remove("the cat jumps"));
        sentences.write().expect("there is room");
        let now = fs::read(&path).expect("it was written");
        let dog = b"{\"text\":\"the dog barks\"";
        let kept = [HEAD.as_bytes(), b"{\"text\":\n", other.as_bytes(), latin, dog].concat();
        assert!(now.starts_with(&kept), "{}", String::from_utf8_lossy(&now));
        assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("it is there").count(), 1, "nothing is left");
    }

    /// A file of the time before formats had a number is read as it is, and has one when it is written; a newer one is left alone.
    #[test]
    fn a_file_without_a_format_is_read_on_and_a_newer_one_is_refused() {
        let ((_folder, path), pack) = (file(), pack());
        let old = serde_json::to_string(&sentence("the cat jumps")).expect("JSON");
        fs::write(&path, format!("{old}\n")).expect("there is room");
        let said = loaded(&path, &pack);
        assert_eq!((said.vocabulary.own_size().0, said.faults.len()), (1, 0));
        let mut sentences = Sentences::read(&path, &pack).expect("it is right");
        let whole = sentences.whole("the cat jumps").expect("it is readable").expect("it is there");
        assert_eq!(serde_json::to_string(&whole).expect("JSON"), old);
        sentences.put(sentence("the dog barks"), &pack).expect("it is right");
        sentences.write().expect("there is room");
        assert!(fs::read_to_string(&path).expect("it is text").starts_with(&format!("{HEAD}{old}\n")));
        let newer = "{\"format\":3}\n";
        fs::write(&path, newer).expect("there is room");
        let refused = [Sentences::read(&path, &pack).err(), Loaded::read(&path, &pack, MOST).err()];
        for refused in refused {
            let why = refused.expect("it is newer").to_string();
            assert!(why.contains("it is of format 3, and this program reads up to 2"), "{why}");
        }
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let ((_folder, path), pack) = (file(), pack());
        let mut sentences = Sentences::read(&path, &pack).expect("a file that is not there has none");
        sentences.put(sentence("the cat jumps"), &pack).expect("it is right");
        sentences.put(sentence("the dog barks"), &pack).expect("it is right");
        sentences.write().expect("there is room");
        for (room, fits) in
            [(Room { sentences: 1, ..MOST }, false), (Room { text_bytes: 20, ..MOST }, false), (MOST, true)]
        {
            let read = Loaded::read(&path, &pack, room);
            assert_eq!(read.is_ok(), fits, "{room:?}");
            if let Err(error) = read {
                assert!(error.to_string().contains("set `vocabulary_room`"), "{error}");
            }
        }
        let (sentences, text_bytes) = loaded(&path, &pack).vocabulary.own_size();
        let room = Room { sentences, text_bytes };
        assert!(Loaded::read(&path, &pack, room).is_ok() && Room::of(1).max(room).sentences == 2, "{room:?}");
    }

    /// Sentences of another file take the places of those with the same text, and come behind the others.
    #[test]
    fn a_file_takes_in_another() {
        let ((folder, path), pack) = (file(), pack());
        let mut sentences = Sentences::read(&path, &pack).expect("a file that is not there has none");
        sentences.put(sentence("the cat jumps"), &pack).expect("it is right");
        sentences.write().expect("there is room");
        let line = |floor: f32, text: &str| {
            let sentence = Sentence { floor: Some(floor), ..sentence(text) };
            serde_json::to_string(&sentence).expect("JSON") + "\n"
        };
        let part = folder.path().join("part");
        let lines = line(0.1, "the dog barks") + &line(0.2, "the cat jumps") + &line(0.3, "the dog barks");
        fs::write(&part, lines + "{\"text\":\"the dog bar").expect("there is room");
        let mut others = Sentences::read(&part, &pack).expect("most of it is right");
        others.only(&HashSet::from(["the dog barks".to_owned(), "the cat jumps".to_owned()]));
        let held = Sentences::read(&path, &pack).expect("it was written");
        held.write_with(&others).expect("there is room");
        let written = fs::read_to_string(&path).expect("it is text");
        assert_eq!(written, format!("{HEAD}{}{}", line(0.2, "the cat jumps"), line(0.3, "the dog barks")));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let pack = pack();
        let known = pack.vocabulary.entry(0).text.clone();
        let refused = |change: &dyn Fn(&mut Sentence)| {
            let mut changed = sentence("the cat jumps");
            change(&mut changed);
            changed.added(&pack).expect_err("it should be refused")
        };
        let wrong: [(&str, &Change); 8] = [
            ("empty", &|s| s.text = "  ".into()),
            ("steer displays", &|s| s.text = "the cat\njumps".into()),
            ("steer displays", &|s| s.texts.insert("ar".into(), "\u{202e}x".into()).map_or((), drop)),
            ("the most are 400", &|s| s.text = "x".repeat(401)),
            ("is no language", &|s| s.texts.insert("Deutsch!".into(), "x".into()).map_or((), drop)),
            ("-1 to 1", &|s| s.floor = Some(1.5)),
            ("no embedding", &|s| s.embedding = None),
            ("cut off", &|s| s.embedding = Some("00".into())),
        ];
        for (why, change) in wrong {
            let said = refused(change);
            assert!(said.contains(why), "{why}: {said}");
        }
        let languages = Sentence { text: known, embedding: None, ..sentence("the cat jumps") };
        assert!(languages.added(&pack).is_ok_and(|added| added.place.is_none()), "the pack knows where it lies");
    }

    /// What was seen, as the models of the tests might have it: a direction that leans from one axis to another.
    fn seen(pack: &Pack, radians: f32) -> Evidence {
        let mut values = [0; ocelli_infer::EMBEDDING];
        (values[0], values[1]) = ((radians.cos() * 127.0) as i8, (radians.sin() * 127.0) as i8);
        Evidence::kept(&Evidence::mark_of(pack), &values)
    }

    #[test]
    fn a_sentence_learns_from_what_was_seen() {
        let pack = pack();
        let mut bin = Sentence { embedding: None, ..sentence("垃圾桶被拿出去了。") };
        bin.learn(&seen(&pack, 0.0), 1.0, true, &pack);
        assert_eq!((bin.examples, bin.floor), (Some(1), None));
        let added = bin.added(&pack).expect("one example is enough");
        assert_eq!(added.floor, Some(SEEN_FLOOR));
        bin.learn(&seen(&pack, 0.6), 1.0, true, &pack);
        let (place, examples) = bin.prototype(&pack).expect("it has one");
        assert!(examples == 2 && (place.cosine(&seen(&pack, 0.3)) - 1.0).abs() < 1e-3, "the mean of both");
        assert_eq!(bin.floor, None, "both are nearer to it than its floor");
        bin.learn(&seen(&pack, -0.9), 1.0, true, &pack);
        let floor = bin.floor.expect("the third is not");
        assert!((LEAST_FLOOR..SEEN_FLOOR).contains(&floor), "{floor}");
        // What it is not.
        let (place, _) = bin.prototype(&pack).expect("it has one");
        bin.learn(&seen(&pack, 0.4), 1.0, false, &pack);
        let raised = bin.floor.expect("it has one");
        assert!(raised > place.cosine(&seen(&pack, 0.4)) && raised <= MOST_FLOOR, "{raised}");
        bin.learn(&seen(&pack, 3.0), 1.0, false, &pack);
        assert_eq!(bin.floor, Some(raised), "it would not have been said there");
        let mut broad = Sentence { embedding: None, ..sentence("the cat jumps") };
        broad.learn(&seen(&pack, 0.0), 0.85, true, &pack);
        assert_eq!(broad.floor, Some(0.845), "as broad as what it is made of");
        assert!(bin.says("القطة تقفز") && bin.says("垃圾桶被拿出去了。") && !bin.says("القطة"));
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_a_broken_one_is_told() {
        let ((_folder, path), pack) = (file(), pack());
        let stop = Arc::new(AtomicBool::new(false));
        let room = Room { sentences: 2, ..MOST };
        let read = Loaded::read(&path, &pack, room).expect("a file that is not there has none");
        let watcher = Watcher::start(&read, pack.clone(), room, Verbosity::Normal, Arc::clone(&stop));
        let watcher = watcher.expect("there are threads");
        let heard = || watcher.news.recv_timeout(Duration::from_mins(1)).expect("the file has changed");
        let mut sentences = Sentences::read(&path, &pack).expect("it has none");
        sentences.put(sentence("the cat jumps"), &pack).expect("it is right");
        sentences.write().expect("there is room");
        let Next { vocabulary, lexicon, numbers } = heard().expect("the file is right");
        let count = pack.vocabulary.len();
        assert_eq!((vocabulary.len(), lexicon.entries(), numbers.entries.len()), (count + 1, count + 1, count));
        assert_eq!(vocabulary.entry(count).text_in(Some("zh")), "猫跳上了台面。");
        fs::write(&path, "no JSON\n").expect("it is writable");
        assert!(heard().expect_err("it is broken").contains("vocabulary.jsonl: line 1: "));
        for text in ["the dog barks", "the tap drips"] {
            sentences
                .put(Sentence { embedding: Some(seen(&pack, 0.1).to_string()), ..sentence(text) }, &pack)
                .expect("right");
        }
        sentences.write().expect("there is room");
        assert!(heard().expect_err("it is larger than planned").contains("more than 2 sentences"));
        fs::remove_file(&path).expect("it is there");
        let Next { vocabulary, numbers, .. } = heard().expect("no file is no sentences");
        assert_eq!((vocabulary.len(), numbers.entries[count]), (count, None), "counted from the one that was said");
        stop.store(true, Ordering::Relaxed);
    }
}
