//! From what the policy says to lines that leave the device: ids, words, camera name.

use std::fs::OpenOptions;
use std::io::{self, Write};

use ocelli_drivers::{ConsoleSink, JsonSink, SinkError};
use ocelli_infer::{Taught, Vocabulary};
use ocelli_pipeline::Spoken;
use ocelli_types::{Event, EventKind, Micros, Sink};

use crate::config::Config;
use crate::error::Error;

#[derive(Debug)]
enum Lines<W> {
    People(ConsoleSink<W>),
    Programs(JsonSink<W>),
}

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
    said: u64,
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
        let language = config.output.language.clone();
        Ok(Self { lines, place, cameras, evidence: config.output.evidence, language, said: 0 })
    }

    /// Says what the policy decided in the picture that `head` described last.
    pub fn say(
        &mut self,
        camera: usize,
        spoken: &Spoken,
        vocabulary: &Vocabulary,
        head: &Taught<'_>,
    ) -> Result<(), Error> {
        let evidence = (self.evidence && spoken.kind == EventKind::Narration).then(|| head.evidence().to_string());
        self.emit(&Event {
            id: self.said + 1,
            kind: spoken.kind,
            camera: &self.cameras[camera].clone(),
            start_us: spoken.start_us,
            end_us: spoken.end_us,
            text: vocabulary.entries[spoken.entry as usize].text_in(self.language.as_deref()),
            score: spoken.score,
            entries: Some((spoken.from, spoken.to)),
            evidence: evidence.as_deref(),
        })
    }

    /// Tells of the device itself: blind intervals and health.
    pub fn tell(
        &mut self,
        camera: usize,
        kind: EventKind,
        (start_us, end_us): (Micros, Micros),
        text: &str,
    ) -> Result<(), Error> {
        let (id, camera) = (self.said + 1, &self.cameras[camera].clone());
        self.emit(&Event { id, kind, camera, start_us, end_us, text, score: 1.0, entries: None, evidence: None })
    }

    /// Name of a camera.
    pub fn name(&self, camera: usize) -> &str {
        &self.cameras[camera]
    }

    /// Number of events so far.
    pub fn said(&self) -> u64 {
        self.said
    }

    fn emit(&mut self, event: &Event<'_>) -> Result<(), Error> {
        let emitted: Result<(), SinkError> = match &mut self.lines {
            Lines::People(sink) => sink.emit(event),
            Lines::Programs(sink) => sink.emit(event),
        };
        emitted.map_err(|source| Error::Output { path: self.place.clone(), source })?;
        self.said += 1;
        Ok(())
    }
}
