//! From what the policy says to lines that leave the device: ids, words, camera name.

use std::fs::OpenOptions;
use std::io::{self, Write};

use ocelli_drivers::{ConsoleSink, JsonSink, SinkError};
use ocelli_infer::{Taught, Vocabulary};
use ocelli_journal::{About, Entry, Told};
use ocelli_pipeline::{Alerted, CameraMove, Spoken};
use ocelli_types::{Event, EventKind, Micros, Severity, Sink};

use crate::config::Config;
use crate::error::Error;
use crate::journal::{Scribe, vector};

#[derive(Debug)]
enum Lines<W> {
    People(ConsoleSink<W>),
    Programs(JsonSink<W>),
}

/// The language of the program's own words.
const OURS: &str = "en";

type Output = Box<dyn Write + Send>;

/// Where events are said, and what was said so far.
pub struct Voice {
    lines: Lines<Output>,
    place: String,
    /// Names of the cameras.
    cameras: Vec<String>,
    /// Whether what lessons are made of is wanted.
    evidence: bool,
    /// In which language to speak, as far as sentences have it.
    language: Option<String>,
    /// Who keeps it.
    scribe: Option<Scribe>,
    said: u64,
    next_id: u64,
}

impl Voice {
    /// Opens the output of the config. `start_unix_ms` is the wall clock at stream time zero, `None` for a clip. Where there
    /// are several cameras, lines for people name them too.
    pub fn open(config: &Config, start_unix_ms: Option<u64>) -> Result<Self, Error> {
        let (place, out): (String, Output) = match &config.output.file {
            None => ("standard output".into(), Box::new(io::stdout())),
            Some(path) => {
                let opened = OpenOptions::new().append(true).create(true).open(path);
                let file = opened.map_err(|source| Error::Unwritable { path: path.clone(), source })?;
                (path.display().to_string(), Box::new(file))
            }
        };
        let lines = match (config.output.json, start_unix_ms) {
            (true, _) => Lines::Programs(JsonSink::new(out)),
            (false, None) => Lines::People(ConsoleSink::clip(out)),
            (false, Some(start)) if config.cameras.len() == 1 => Lines::People(ConsoleSink::live(out, start)),
            (false, Some(start)) => Lines::People(ConsoleSink::live(out, start).naming_cameras()),
        };
        let cameras = config.cameras.iter().map(|camera| camera.name.clone()).collect();
        let (evidence, language) = (config.output.evidence, config.output.language.clone());
        Ok(Self { lines, place, cameras, evidence, language, scribe: None, said: 0, next_id: 1 })
    }

    /// One whose events are kept, and have ids that go on with those that are.
    #[must_use]
    pub fn kept_by(self, scribe: Option<Scribe>) -> Self {
        Self { scribe, ..self }
    }

    /// Says what the policy decided in the picture that `head` described last.
    pub fn say(
        &mut self,
        camera: usize,
        spoken: &Spoken,
        vocabulary: &Vocabulary,
        head: &Taught<'_>,
    ) -> Result<(), Error> {
        let wanted = spoken.kind == EventKind::Narration && (self.evidence || self.scribe.is_some());
        let seen = wanted.then(|| head.evidence());
        let evidence = seen.as_ref().filter(|_| self.evidence).map(ToString::to_string);
        let (entry, language) = (&vocabulary.entries[spoken.entry as usize], self.language.clone());
        let about = self.scribe.is_some().then(|| About {
            kind: vocabulary.kinds[entry.kind].clone(),
            severity: entry.severity,
            vector: seen.as_ref().map(vector),
        });
        let event = Event {
            id: self.next_id(),
            kind: spoken.kind,
            camera: &self.cameras[camera].clone(),
            start_us: spoken.start_us,
            end_us: spoken.end_us,
            text: entry.text_in(language.as_deref()),
            language: entry.language_of(language.as_deref()),
            relation: spoken.relation,
            score: spoken.score,
            entries: Some((spoken.from, spoken.to)),
            evidence: evidence.as_deref(),
        };
        self.emit(&event)?;
        self.keep(&event, about);
        Ok(())
    }

    /// Tells of a standing condition whose words are `text`.
    pub fn alert(&mut self, camera: usize, alerted: &Alerted, text: &str, kinds: &[String]) -> Result<(), Error> {
        let about = self.scribe.is_some().then(|| About {
            kind: alerted.kind.map_or("absence", |kind| &kinds[kind]).to_owned(),
            severity: Severity::Alarm,
            vector: None,
        });
        let event = Event {
            id: self.next_id(),
            kind: if alerted.over { EventKind::AlertEnd } else { EventKind::Alert },
            camera: &self.cameras[camera].clone(),
            start_us: alerted.from.captured_us,
            end_us: alerted.to.captured_us,
            text,
            language: OURS,
            relation: None,
            score: alerted.score,
            entries: Some((alerted.from.entry, alerted.to.entry)),
            evidence: None,
        };
        self.emit(&event)?;
        self.keep(&event, about);
        Ok(())
    }

    /// Tells that a camera itself moved.
    pub fn moved(&mut self, camera: usize, held: &CameraMove) -> Result<(), Error> {
        self.tell(camera, EventKind::Camera, (held.start_us, held.end_us), held.primitive.text())
    }

    /// Tells of the device itself: blind intervals and health.
    pub fn tell(
        &mut self,
        camera: usize,
        kind: EventKind,
        (start_us, end_us): (Micros, Micros),
        text: &str,
    ) -> Result<(), Error> {
        let (id, camera) = (self.next_id(), &self.cameras[camera].clone());
        let event = of_device(id, kind, camera, (start_us, end_us), text);
        self.emit(&event)?;
        self.keep(&event, None);
        Ok(())
    }

    /// Tells how a camera was in this time. That is not kept: a line a minute would be most of a journal.
    pub fn pulse(&mut self, camera: usize, (start_us, end_us): (Micros, Micros), text: &str) -> Result<(), Error> {
        let (id, camera) = (self.next_id(), &self.cameras[camera].clone());
        self.emit(&of_device(id, EventKind::Health, camera, (start_us, end_us), text))?;
        if let Some(scribe) = &mut self.scribe {
            scribe.alive(end_us);
        }
        Ok(())
    }

    /// A camera that was blind sees again.
    pub fn sees(&mut self, camera: usize, at_us: Micros) {
        if let Some(scribe) = &mut self.scribe {
            scribe.write(Entry::Sees { camera: self.cameras[camera].clone(), at_us });
        }
    }

    /// What the person should hear of the journal.
    pub fn news(&mut self) -> Option<String> {
        self.scribe.as_mut().and_then(Scribe::news)
    }

    /// Keeps what still waits to be kept, at the end of the stream.
    pub fn finish(&mut self, at_us: Micros) -> Result<(), Error> {
        let next_id = self.next_id();
        self.scribe.take().map_or(Ok(()), |scribe| scribe.finish(next_id, at_us))
    }

    /// Name of a camera.
    pub fn name(&self, camera: usize) -> &str {
        &self.cameras[camera]
    }

    /// Number of events so far.
    pub fn said(&self) -> u64 {
        self.said
    }

    fn next_id(&self) -> u64 {
        self.scribe.as_ref().map_or(1, Scribe::least_id).max(self.next_id)
    }

    /// Hands what was told to the journal.
    fn keep(&mut self, event: &Event<'_>, about: Option<About>) {
        let Some(scribe) = &mut self.scribe else { return };
        scribe.write(Entry::Told(Told {
            id: event.id,
            kind: event.kind,
            camera: event.camera.to_owned(),
            start_us: event.start_us,
            end_us: event.end_us,
            start_ms: scribe.date(event.start_us),
            text: event.text.to_owned(),
            score: event.score,
            entries: event.entries,
            about,
        }));
    }

    fn emit(&mut self, event: &Event<'_>) -> Result<(), Error> {
        let emitted: Result<(), SinkError> = match &mut self.lines {
            Lines::People(sink) => sink.emit(event),
            Lines::Programs(sink) => sink.emit(event),
        };
        emitted.map_err(|source| Error::Output { path: self.place.clone(), source })?;
        (self.said, self.next_id) = (self.said + 1, event.id + 1);
        Ok(())
    }
}

/// An event of the device itself.
fn of_device<'a>(
    id: u64,
    kind: EventKind,
    camera: &'a str,
    (start_us, end_us): (Micros, Micros),
    text: &'a str,
) -> Event<'a> {
    let (language, relation, score, entries, evidence) = (OURS, None, 1.0, None, None);
    Event { id, kind, camera, start_us, end_us, text, language, relation, score, entries, evidence }
}
