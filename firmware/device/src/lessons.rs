//! `ocelli teach`, and the file in which a camera's lessons lie: one JSON object a line, so that a lesson can be read, and
//! taken back by deleting its line.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use ocelli_infer::{Evidence, Lessons, MOST_LESSONS, Pack};
use serde::{Deserialize, Serialize};

use crate::cli::TeachArgs;
use crate::config::Config;
use crate::error::{Error, note};
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
    /// What was said, for the person who reads the file.
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
        if !lessons.add(kind, lesson.right, &evidence) {
            return Err(bad(path, format!("there are more than {MOST_LESSONS}; delete the oldest lines")));
        }
    }
    Ok(lessons)
}

/// Adds what the user says of events to the file.
pub fn command(args: &TeachArgs) -> Result<(), Error> {
    learn(&args.common.config()?, &args.lessons, args.was.as_deref(), args.wrong, events())
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
pub fn learn(
    config: &Config,
    path: &Path,
    was: Option<&str>,
    wrong: bool,
    said: impl IntoIterator<Item = Result<(String, String, Evidence), Error>>,
) -> Result<(), Error> {
    let pack = wiring::open(config)?;
    let mut lessons = read(path, &pack)?;
    let was = was.map(|was| known(was, &pack)).transpose()?;
    let mut new = Vec::new();
    for said in said {
        let (place, said, evidence) = said?;
        let at = |why: String| Error::Teach(format!("{place}: {why}"));
        check(&place, &evidence, &pack)?;
        let kind = match was {
            Some(kind) => kind,
            None => pack.vocabulary.kind_of(&said).ok_or_else(|| at(format!("nobody says `{said}`")))?,
        };
        if !lessons.add(kind, !wrong, &evidence) {
            let path = path.display();
            return Err(Error::Teach(format!("{path} has {MOST_LESSONS} lessons, the most; delete its oldest lines")));
        }
        let kind = pack.vocabulary.kinds[kind].clone();
        new.push(Lesson { kind, right: !wrong, said, evidence: evidence.to_string() });
    }
    if new.is_empty() {
        return Err(Error::Teach("no events came in; see `ocelli teach --help`".into()));
    }
    append(path, &new).map_err(|error| bad(path, format!("they cannot be written ({error})")))?;
    for Lesson { kind, right, said, .. } in &new {
        note(format_args!("learnt that `{said}` was {}`{kind}`", if *right { "" } else { "not " }));
    }
    note(format_args!("{} lessons in {}", lessons.len(), path.display()));
    Ok(())
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
        let kinds = pack.vocabulary.kinds.join(", ");
        Error::Teach(format!("the pack {} knows no `{was}`; it knows {kinds}", pack.manifest.name))
    })
}

/// All lines in one write: another program never sees half of one. An editor may have left the last line without its end.
fn append(path: &Path, lessons: &[Lesson]) -> io::Result<()> {
    let ends = std::fs::read(path).map_or(true, |held| held.last().is_none_or(|&byte| byte == b'\n'));
    let mut text = String::from(if ends { "" } else { "\n" });
    for lesson in lessons {
        text += &serde_json::to_string(lesson)?;
        text.push('\n');
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
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
