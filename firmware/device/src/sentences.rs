//! The file of a user's own sentences, beside those of the pack: one JSON object a line, with its embedding inside, so that a
//! sentence can be read, changed, copied to another device and taken back by deleting its line.
//!
//! `ocelli vocab` writes it; the other commands read it at start, and `ocelli run` again when it changes. A line that is wrong is
//! told with its number and keeps no other from holding, and nothing that rewrites the file loses it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use ocelli_infer::{Added, Evidence, Pack, Vocabulary};
use ocelli_types::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The longest file: some 1,000 sentences, with 0.9 KB of embedding each.
pub const MOST_FILE_BYTES: u64 = 1 << 20;

/// What all sentences hold at most, in the file's size: those that are said, the next ones while they are read (as text, as
/// sentences, as a vocabulary).
pub const COPIES: u64 = 4;

/// Stack of the thread that watches the file.
pub const WATCHER_STACK_BYTES: usize = 256 << 10;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How often the watcher looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// The longest sentence, in bytes of UTF-8.
const MOST_TEXT_BYTES: usize = 400;

/// The cosine from which a sentence is meant that was placed where something was seen. Of 58 narrations of 14 real clips 55% of those of
/// one kind in two clips are as near as that, and 8% of those of two kinds.
pub const SEEN_FLOOR: f32 = 0.9;

/// How far examples may take the floor of a sentence down and up, and how far from them.
const LEAST_FLOOR: f32 = 0.8;
const MOST_FLOOR: f32 = 0.99;
const MARGIN: f32 = 0.005;

/// The most examples that the ones before count as: a room changes.
const MOST_WEIGHT: u32 = 15;

/// How much a sentence matters, as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SeverityName {
    /// Worth saying, no more.
    None,
    /// Good to know.
    #[default]
    Info,
    /// Wants a look.
    Notice,
    /// Wants help: raises an alert.
    Alarm,
}

impl From<SeverityName> for Severity {
    fn from(name: SeverityName) -> Self {
        match name {
            SeverityName::None => Self::None,
            SeverityName::Info => Self::Info,
            SeverityName::Notice => Self::Notice,
            SeverityName::Alarm => Self::Alarm,
        }
    }
}

impl From<Severity> for SeverityName {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::None => Self::None,
            Severity::Info => Self::Info,
            Severity::Notice => Self::Notice,
            Severity::Alarm => Self::Alarm,
        }
    }
}

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

    /// As the vocabulary takes it.
    fn added(&self, pack: &Pack) -> Result<Added, String> {
        self.check()?;
        let of_pack = pack.vocabulary.entries.iter().any(|entry| entry.text == self.text);
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
            kind: self.kind.clone().unwrap_or_else(|| self.text.clone()),
            severity: self.severity.unwrap_or_default().into(),
            floor: self.floor.or(seen.then_some(SEEN_FLOOR)),
            place,
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

/// What goes to terminals and displays must not steer them, nor turn round what others wrote beside it.
pub fn check_text(text: &str) -> Result<(), String> {
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.trim().is_empty() || text.trim() != text {
        return Err("it is empty, or has white space around it".into());
    }
    if text.len() > MOST_TEXT_BYTES {
        return Err(format!("it has {} bytes; the most are {MOST_TEXT_BYTES}", text.len()));
    }
    if text.contains(steers) {
        return Err("it has characters that break lines or steer displays".into());
    }
    Ok(())
}

/// What tells a file from the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    changed_ns: (i64, i64),
    bytes: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let changed_ns = (metadata.mtime(), metadata.mtime_nsec());
        Some(Self { changed_ns, bytes: metadata.len(), inode: metadata.ino() })
    }
}

/// A line as it lies in the file, and what it says or what is wrong with it.
#[derive(Debug)]
struct Line {
    raw: Vec<u8>,
    read: Result<(Sentence, Added), String>,
}

/// What the file holds.
#[derive(Debug)]
pub struct Sentences {
    path: PathBuf,
    stamp: Option<Stamp>,
    lines: Vec<Line>,
}

impl Sentences {
    /// Reads the file beside the sentences of a pack; one that is not there yet has none.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]: nothing of it can be read.
    pub fn read(path: &Path, pack: &Pack) -> Result<Self, Error> {
        let bad = |why: String| Error::Vocabulary { path: path.to_path_buf(), why };
        let stamp = Stamp::of(path);
        let mut bytes = Vec::new();
        // Opening one of those may wait for ever, or never come to an end.
        if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Err(bad("it is no file, but a pipe or a device".into()));
        }
        match File::open(path) {
            Ok(file) => {
                let read = file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes);
                read.map_err(|error| bad(format!("it cannot be read ({error})")))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(bad(format!("it cannot be read ({error})"))),
        }
        if bytes.len() as u64 > MOST_FILE_BYTES {
            return Err(bad("it has more than 1 MiB; take sentences out that are not needed".into()));
        }
        let line = |raw: &[u8]| {
            let text = str::from_utf8(raw).map_err(|_| "it is no text (UTF-8)".to_owned());
            let read = text.and_then(|text| serde_json::from_str(text).map_err(|error| error.to_string()));
            let read = read.and_then(|sentence: Sentence| Ok((sentence.added(pack)?, sentence)));
            Line { raw: raw.into(), read: read.map(|(added, sentence)| (sentence, added)) }
        };
        let lines =
            bytes.split_inclusive(|byte| *byte == b'\n').map(|raw| line(raw.strip_suffix(b"\n").unwrap_or(raw)));
        Ok(Self { path: path.to_path_buf(), stamp, lines: lines.collect() })
    }

    /// What is wrong with lines, each with its place.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        let path = self.path.display();
        let wrong = self.lines.iter().enumerate().filter(|(_, line)| !line.raw.trim_ascii().is_empty());
        wrong.filter_map(move |(index, line)| {
            line.read.as_ref().err().map(|why| format!("{path}: line {}: {why}", index + 1))
        })
    }

    /// What can be said.
    pub fn added(&self) -> Vec<Added> {
        self.lines.iter().filter_map(|line| Some(line.read.as_ref().ok()?.1.clone())).collect()
    }

    /// The sentences in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Sentence> {
        self.lines.iter().filter_map(|line| Some(&line.read.as_ref().ok()?.0))
    }

    /// Puts a sentence in the place of one with the same text, else at the end; gives whether it is new.
    ///
    /// # Errors
    /// A sentence of what is wrong with it.
    pub fn put(&mut self, sentence: Sentence, pack: &Pack) -> Result<bool, String> {
        let added = sentence.added(pack)?;
        let raw = serde_json::to_vec(&sentence).map_err(|error| error.to_string())?;
        let place = self.lines.iter().position(|line| line.is_of(&sentence.text));
        let line = Line { raw, read: Ok((sentence, added)) };
        match place {
            Some(place) => self.lines[place] = line,
            None => self.lines.push(line),
        }
        Ok(place.is_none())
    }

    /// Takes a sentence out; `false` if it is not there.
    pub fn remove(&mut self, text: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| !line.is_of(text));
        self.lines.len() < before
    }

    /// Writes the file beside the old one, brings it to the disk and renames it, so that a reader and a power cut see one of the
    /// two whole.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]; the old file is as it was.
    pub fn write(&self) -> Result<(), Error> {
        let bad = |why: String| Error::Vocabulary { path: self.path.clone(), why };
        let bytes: Vec<u8> =
            self.lines.iter().flat_map(|line| [&line.raw[..], &b"\n"[..]]).flatten().copied().collect();
        if bytes.len() as u64 > MOST_FILE_BYTES {
            return Err(bad("it would have more than 1 MiB, the most; remove sentences first".into()));
        }
        replace(&self.path, &bytes).map_err(|error| bad(format!("it cannot be written ({error})")))
    }
}

/// Writes a file as [`Sentences::write`] does.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    if let Ok(old) = fs::metadata(path) {
        // The program may run as another user than the one who adds.
        file.set_permissions(old.permissions())?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    folder_of(path).and_then(|folder| File::open(folder)?.sync_all())
}

impl Line {
    fn is_of(&self, text: &str) -> bool {
        self.read.as_ref().is_ok_and(|(sentence, _)| sentence.text == text)
    }
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

/// The thread that reads the file when it has changed.
#[derive(Debug)]
pub struct Watcher {
    news: Receiver<Result<Arc<Vocabulary>, String>>,
}

impl Watcher {
    /// Watches the file that `read` came from, until `stop` is set or the watcher dropped.
    /// The pack is without them.
    pub fn start(read: &Sentences, pack: Pack, stop: Arc<AtomicBool>) -> io::Result<Self> {
        let (path, mut seen) = (read.path.clone(), read.stamp);
        let (tell, news) = sync_channel(1);
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
                if tell.send(next(&path, &pack)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("vocabulary".into()).stack_size(WATCHER_STACK_BYTES).spawn(watch)?;
        Ok(Self { news })
    }

    /// The vocabulary as it is now, or why it stays as it was; `None` while the file does not change.
    pub fn news(&self) -> Option<Result<Arc<Vocabulary>, String>> {
        self.news.try_recv().ok()
    }
}

/// All of the file or nothing: half of it may be what an editor has written so far.
fn next(path: &Path, pack: &Pack) -> Result<Arc<Vocabulary>, String> {
    let sentences = Sentences::read(path, pack).map_err(|error| error.to_string())?;
    match sentences.faults().next() {
        Some(fault) => Err(fault),
        None => Ok(Arc::new(pack.vocabulary.with(&sentences.added()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack() -> Pack {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        Pack::open(&folder).expect("the pack of the tests")
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

    #[test]
    fn a_bad_line_is_told_and_kept_and_the_others_hold() {
        let ((_folder, path), pack) = (file(), pack());
        let mut sentences = Sentences::read(&path, &pack).expect("a file that is not there has none");
        sentences.put(sentence("the cat jumps"), &pack).expect("it is right");
        sentences.write().expect("there is room");
        let good = fs::read_to_string(&path).expect("it was written");
        assert!(good.contains("猫跳上了台面。") && good.contains("القطة تقفز"), "people can read it: {good}");
        let other = good.replace("the cat jumps", "the cat jumped");
        let latin: &[u8] = b"{\"text\": \"caf\xe9\"}\n";
        fs::write(&path, [&b"{\"text\":\n\n"[..], other.as_bytes(), latin, good.as_bytes()].concat())
            .expect("there is room");
        let mut sentences = Sentences::read(&path, &pack).expect("most of it is text");
        let faults: Vec<String> = sentences.faults().collect();
        assert!(faults.len() == 3 && faults[0].contains("vocabulary.jsonl: line 1: "), "{faults:?}");
        assert!(faults[1].contains("line 3: its text was changed after it was embedded"), "{faults:?}");
        assert!(faults[2].contains("line 4: it is no text (UTF-8)"), "{faults:?}");
        assert_eq!(sentences.added().len(), 1);
        sentences.put(sentence("the dog barks"), &pack).expect("it is right");
        assert!(sentences.remove("the cat jumps") && !sentences.remove("the cat jumps"));
        sentences.write().expect("there is room");
        let now = fs::read(&path).expect("it was written");
        let kept = [&b"{\"text\":\n\n"[..], other.as_bytes(), latin, &b"{\"text\":\"the dog barks\""[..]].concat();
        assert!(now.starts_with(&kept), "{}", String::from_utf8_lossy(&now));
        assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("it is there").count(), 1, "nothing is left");
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let pack = pack();
        let known = pack.vocabulary.entries[0].text.clone();
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
        let mut sentences = Sentences::read(&path, &pack).expect("a file that is not there has none");
        let watcher = Watcher::start(&sentences, pack.clone(), Arc::clone(&stop)).expect("there are threads");
        let heard = || watcher.news.recv_timeout(Duration::from_mins(1)).expect("the file has changed");
        sentences.put(sentence("the cat jumps"), &pack).expect("it is right");
        sentences.write().expect("there is room");
        let vocabulary = heard().expect("the file is right");
        assert_eq!(vocabulary.entries.len(), pack.vocabulary.entries.len() + 1);
        assert_eq!(vocabulary.entries.last().expect("it was added").text_in(Some("zh")), "猫跳上了台面。");
        fs::write(&path, "no JSON\n").expect("it is writable");
        assert!(heard().expect_err("it is broken").contains("vocabulary.jsonl: line 1: "));
        fs::remove_file(&path).expect("it is there");
        assert_eq!(heard().expect("no file is no sentences").entries.len(), pack.vocabulary.entries.len());
        stop.store(true, Ordering::Relaxed);
    }
}
