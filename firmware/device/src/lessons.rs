//! What a user says of events, and the file in which a camera's lessons lie: one JSON object a line, so that a lesson can be read, and
//! taken back by deleting its line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use ocelli_infer::{Evidence, Lessons, MOST_LESSONS, Pack};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{Error, note};
use crate::sentences::{self, Readers, replace};
use crate::wiring;

/// No event and no lesson is longer.
const MOST_LINE_BYTES: u64 = 1 << 16;

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lesson {
    /// Kind of the vocabulary.
    kind: String,
    /// Whether it was that.
    right: bool,
    /// What was said: another kind than `kind` was wrong where that is right.
    said: String,
    evidence: String,
}

/// What a lesson needs of a line that `run --json` wrote.
#[derive(Debug, Deserialize)]
struct Said {
    text: String,
    evidence: Option<String>,
}

/// Reads the lessons of one camera; a file that is not there yet has none.
pub fn read(path: &Path, pack: &Pack) -> Result<Lessons, Error> {
    let file = match File::open(path) {
        Ok(_) if path.is_dir() => return Err(bad(path, "this is a folder, and they are a file".into())),
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lessons::default()),
        Err(error) => return Err(bad(path, format!("they cannot be read ({error})"))),
    };
    let mut lessons = Lessons::default();
    for (index, line) in lines(file).enumerate() {
        let at = |why: String| bad(path, format!("line {}: {why}; delete the line", index + 1));
        let line = line.map_err(|error| at(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let lesson: Lesson = serde_json::from_str(&line).map_err(|error| at(error.to_string()))?;
        // A sentence that was taken back takes no camera with it.
        let Some(kind) = pack.vocabulary.kind_of(&lesson.kind) else {
            let (shown, name) = (path.display(), &pack.manifest.name);
            note(format_args!("{shown}: line {} is left out: the pack {name} knows no `{}`", index + 1, lesson.kind));
            continue;
        };
        let evidence: Evidence = lesson.evidence.parse().map_err(|error| at(format!("{error}")))?;
        if !evidence.is_of(pack) {
            let name = &pack.manifest.name;
            return Err(bad(
                path,
                format!("they were learnt with other models than those of `{name}`; begin a new file"),
            ));
        }
        // What was said in the place of what it was is wrong there too.
        let said = pack.vocabulary.kind_of(&lesson.said).filter(|said| *said != kind);
        let (right, wrong) = if lesson.right { (Some(kind), said) } else { (None, Some(kind)) };
        if !lessons.add(right, wrong, &evidence) {
            return Err(bad(path, format!("there are more than {MOST_LESSONS}; delete the oldest lines")));
        }
    }
    Ok(lessons)
}

/// The events on standard input: of each where it comes from, its text and its evidence.
pub fn events() -> impl Iterator<Item = Result<(String, String, Evidence), Error>> {
    lines(io::stdin().lock()).enumerate().filter_map(|(index, line)| {
        let at = |why: String| Error::Teach(format!("line {} of the events: {why}", index + 1));
        let said = |line: String| {
            let said: Said = serde_json::from_str(&line).map_err(|error| at(format!("it is no event ({error})")))?;
            let advice = "it has no evidence; let `ocelli run` or `replay` write the events with --json --evidence";
            let evidence = said.evidence.ok_or_else(|| at(advice.into()))?;
            let evidence = evidence.parse().map_err(|error| at(format!("{error}")))?;
            Ok((format!("line {} of the events", index + 1), said.text, evidence))
        };
        match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(said(line)),
            Err(error) => Some(Err(at(error.to_string()))),
        }
    })
}

/// Adds what the user says of events to the file: of each where it comes from, its text and its evidence. All are learnt, or none.
/// Of one event the newest lesson holds: who says another thing of it has changed their mind.
pub fn learn(
    config: &Config,
    path: &Path,
    was: Option<&str>,
    wrong: bool,
    said: impl IntoIterator<Item = Result<(String, String, Evidence), Error>>,
) -> Result<(), Error> {
    let pack = wiring::open(config)?;
    let was = was.map(|was| known(was, &pack)).transpose()?;
    let mut new: Vec<Lesson> = Vec::new();
    for said in said {
        let (place, said, evidence) = said?;
        let at = |why: String| Error::Teach(format!("{place}: {why}"));
        check(&place, &evidence, &pack)?;
        let kind = match was {
            Some(kind) => kind,
            None => pack.vocabulary.kind_of(&said).ok_or_else(|| at(format!("nobody says `{said}`")))?,
        };
        let (kind, evidence) = (pack.vocabulary.kind(kind).into_owned(), evidence.to_string());
        new.retain(|before| before.evidence != evidence);
        new.push(Lesson { kind, right: !wrong, said, evidence });
    }
    if new.is_empty() {
        return Err(Error::Teach("no events came in; see `ocelli teach --help`".into()));
    }
    let unwritten = |error: io::Error| bad(path, format!("they cannot be written ({error})"));
    let _lock = lock(path).map_err(unwritten)?;
    read(path, &pack)?;
    let text = if path.exists() { std::fs::read_to_string(path).map_err(unwritten)? } else { String::new() };
    let again = |line: &&str| {
        let lesson = serde_json::from_str::<Lesson>(line);
        lesson.is_ok_and(|lesson| new.iter().any(|new| new.evidence == lesson.evidence))
    };
    let (again, mut lines): (Vec<&str>, Vec<&str>) = text.lines().partition(again);
    let added = new.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let added = added.map_err(|error| Error::Teach(error.to_string()))?;
    lines.extend(added.iter().map(String::as_str));
    let count = lines.iter().filter(|line| !line.trim().is_empty()).count();
    if count > MOST_LESSONS {
        let path = path.display();
        return Err(Error::Teach(format!("{path} has {MOST_LESSONS} lessons, the most; delete its oldest lines")));
    }
    replace(path, (lines.join("\n") + "\n").as_bytes(), Readers::AsBefore).map_err(unwritten)?;
    for Lesson { kind, right, said, .. } in &new {
        note(format_args!("learnt that `{said}` was {}`{kind}`", if *right { "" } else { "not " }));
    }
    let instead = if again.is_empty() { String::new() } else { format!(", {} of before replaced", again.len()) };
    note(format_args!("{count} lessons in {}{instead}", path.display()));
    Ok(())
}

/// Takes the lessons on a kind out of the file, and gives how many there were; a file that is not there has none.
pub fn forget(path: &Path, kind: &str) -> Result<usize, Error> {
    if !path.is_file() {
        return Ok(0);
    }
    let unwritten = |error: io::Error| bad(path, format!("they cannot be written ({error})"));
    let _lock = lock(path).map_err(unwritten)?;
    let text = std::fs::read_to_string(path).map_err(unwritten)?;
    let of_kind = |line: &&str| serde_json::from_str::<Lesson>(line).is_ok_and(|lesson| lesson.kind == kind);
    let (gone, left): (Vec<&str>, Vec<&str>) = text.lines().partition(of_kind);
    if !gone.is_empty() {
        let text: String = left.iter().flat_map(|line| [*line, "\n"]).collect();
        replace(path, text.as_bytes(), Readers::AsBefore).map_err(unwritten)?;
    }
    Ok(gone.len())
}

/// Keeps other programs from changing the file until it is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let folder = File::open(sentences::folder_of(path)?)?;
    folder.lock()?;
    Ok(folder)
}

/// Refuses evidence of other models.
pub fn check(place: &str, evidence: &Evidence, pack: &Pack) -> Result<(), Error> {
    let name = &pack.manifest.name;
    let why = || format!("{place}: it comes from other models than those of `{name}`; name its pack with --pack");
    evidence.is_of(pack).then_some(()).ok_or_else(|| Error::Teach(why()))
}

/// The kind that is meant.
fn known(was: &str, pack: &Pack) -> Result<usize, Error> {
    pack.vocabulary.kind_of(was).ok_or_else(|| {
        let kinds = wiring::kinds_text(&pack.vocabulary);
        let name = &pack.manifest.name;
        Error::Teach(format!(
            "the pack {name} knows no `{was}`; it knows {kinds}; `ocelli teach --help` says how to teach more"
        ))
    })
}

/// Lines that end somewhere.
fn lines(from: impl Read) -> impl Iterator<Item = io::Result<String>> {
    let mut from = BufReader::new(from);
    std::iter::from_fn(move || {
        let mut line = String::new();
        match from.by_ref().take(MOST_LINE_BYTES).read_line(&mut line) {
            Ok(0) => None,
            Ok(bytes) if bytes as u64 == MOST_LINE_BYTES => Some(Err(io::Error::other("it is longer than 64 KiB"))),
            Ok(_) => Some(Ok(line)),
            Err(error) => Some(Err(error)),
        }
    })
}

fn bad(path: &Path, why: String) -> Error {
    Error::Lessons { path: path.to_path_buf(), why }
}
