//! From what the policy says to lines that leave the device: ids, words, camera name.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use ocelli_drivers::{ConsoleSink, JsonSink, PanelSink, SinkError, SystemClock};
use ocelli_gateway::TOLD_AGAIN;
use ocelli_infer::{Taught, Vocabulary};
use ocelli_journal::{About, Entry, Ring, Seen, Told};
use ocelli_pipeline::{Alerted, CameraMove, Deviation, Spoken, WeekSpan};
use ocelli_types::{Clock as _, Event, EventKind, Micros, Severity, Sink};

use crate::alerts::{self, Tells};
use crate::config::Config;
use crate::error::Error;
use crate::escalate::{self, Escalation};
use crate::gateway::Outside;
use crate::held;
use crate::journal::{Scribe, vector};
use crate::moments::Moment;
use crate::signs::Signs;

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
    /// Where it is told to others, besides.
    outside: Option<Arc<Outside>>,
    /// Alerts that wait for somebody.
    escalation: Escalation,
    /// Quiet hours.
    quiet: Vec<WeekSpan>,
    /// Whether it is quiet beside them.
    pub is_quiet: bool,
    /// Cameras and conditions whose open alerts were told nobody.
    hushed: BTreeSet<(usize, usize)>,
    /// Display and lamps.
    signs: Signs,
    /// The companion microcontroller.
    panel: Option<PanelSink>,
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
        let (escalation, quiet) = alerts::for_all(&config.alerting)?;
        let (scribe, outside, panel, hushed, said, next_id) = (None, None, None, BTreeSet::new(), 0, 1);
        let signs = Signs::default();
        Ok(Self {
            lines,
            place,
            cameras,
            evidence,
            language,
            scribe,
            outside,
            escalation,
            quiet,
            is_quiet: false,
            hushed,
            signs,
            panel,
            said,
            next_id,
        })
    }

    /// One that shows what it tells.
    #[must_use]
    pub fn shown_by(self, signs: Signs) -> Self {
        Self { signs, ..self }
    }

    /// One whose events are kept, and have ids that go on with those that are.
    #[must_use]
    pub fn kept_by(self, scribe: Option<Scribe>) -> Self {
        Self { scribe, ..self }
    }

    /// One whose events are told to others too.
    #[must_use]
    pub fn heard_by(self, outside: Option<Arc<Outside>>) -> Self {
        Self { outside, ..self }
    }

    /// One that shows what it says on a panel, where alerts can be acknowledged.
    #[must_use]
    pub fn seen_on(self, panel: Option<PanelSink>) -> Self {
        Self { panel, ..self }
    }

    /// The program ends because it was asked to, as the panel should hear.
    pub fn ends(&self) {
        if let Some(panel) = &self.panel {
            panel.ends();
        }
    }

    /// The program thinks, as the panel should hear.
    pub fn alive(&self) {
        if let Some(panel) = &self.panel {
            panel.alive();
        }
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
        let (entry, language) = (vocabulary.entry(spoken.entry as usize), self.language.clone());
        let about = self.is_heard().then(|| About {
            kind: vocabulary.kind(entry.kind).into_owned(),
            severity: entry.severity,
            entities: vocabulary.about(entry.kind).to_vec(),
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
            severity: (spoken.kind != EventKind::Narration).then_some(Severity::Alarm),
            relation: spoken.relation,
            score: spoken.score,
            entries: Some((spoken.from, spoken.to)),
            evidence: evidence.as_deref(),
        };
        self.emit(&event)?;
        self.keep(&event, about.clone(), false);
        self.pass_on(&event, about.as_ref());
        if spoken.kind == EventKind::Alert {
            self.await_somebody(&event, camera, Severity::Alarm);
        }
        Ok(())
    }

    /// Tells of a standing condition at once, and then under the same id the sentence of what is seen, of which
    /// `probabilities` are those of the vocabulary's entries. In quiet hours, which this minute of the week may be in, what is no
    /// alarm is only kept.
    pub fn alert(
        &mut self,
        camera: usize,
        alerted: &Alerted,
        tells: &Tells,
        vocabulary: &Vocabulary,
        probabilities: &[f32],
        minute: Option<u16>,
    ) -> Result<(), Error> {
        let Tells { text, severity } = tells;
        let about = self.is_heard().then(|| About {
            kind: alerted.kind.map_or_else(|| "absence".into(), |kind| vocabulary.kind(kind).into_owned()),
            severity: *severity,
            entities: alerted.kind.map_or_else(Vec::new, |kind| vocabulary.about(kind).to_vec()),
            vector: None,
        });
        let is_quiet = self.is_quiet || minute.is_some_and(|now| self.quiet.iter().any(|span| span.contains(now)));
        let was_hushed = alerted.over && self.hushed.remove(&(camera, alerted.rule));
        let hush = *severity < Severity::Alarm && (is_quiet || was_hushed);
        if hush && !alerted.over {
            self.hushed.insert((camera, alerted.rule));
        }
        let event = Event {
            id: self.next_id(),
            kind: if alerted.over { EventKind::AlertEnd } else { EventKind::Alert },
            camera: &self.cameras[camera].clone(),
            start_us: alerted.from.captured_us,
            end_us: alerted.to.captured_us,
            text,
            language: OURS,
            severity: Some(*severity),
            relation: None,
            score: alerted.score,
            entries: Some((alerted.from.entry, alerted.to.entry)),
            evidence: None,
        };
        if hush {
            self.next_id = event.id + 1;
        } else {
            self.emit_as(&event, Some(*severity))?;
        }
        self.keep(&event, about.clone(), hush);
        if !hush {
            self.pass_on(&event, about.as_ref());
        }
        if alerted.over {
            return Ok(());
        }
        if !hush {
            self.await_somebody(&event, camera, *severity);
        }
        // Of its kind; of an absence whatever is seen.
        let of_kind = vocabulary.senses().zip(probabilities).enumerate();
        let of_kind = of_kind.filter(|(_, ((of, _), _))| alerted.kind.is_none_or(|kind| *of == kind));
        let most = of_kind.max_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b));
        let Some((sentence, _)) = most else { return Ok(()) };
        let text = vocabulary.entry(sentence).text_in(self.language.as_deref()).to_owned();
        let update = Event { kind: EventKind::Update, text: &text, ..event };
        if !hush {
            self.emit(&update)?;
        }
        if let Some(scribe) = &mut self.scribe {
            scribe.write(Entry::Said { id: event.id, text: text.clone() });
        }
        if !hush {
            self.pass_on(&update, about.as_ref());
        }
        Ok(())
    }

    /// Tells of what is unusual for the hour of the day, as of a condition of severity `notice`.
    pub fn unusual(
        &mut self,
        camera: usize,
        deviation: &Deviation,
        vocabulary: &Vocabulary,
        probabilities: &[f32],
        minute: Option<u16>,
    ) -> Result<(), Error> {
        let Deviation { over, kind, score, from, to } = *deviation;
        let sentence = kind.and_then(|kind| vocabulary.first_of(kind));
        let what = sentence.as_ref().map_or("nothing happens", |entry| entry.text_in(self.language.as_deref()));
        let tells = Tells { text: format!("Unusual at this hour: {what}"), severity: Severity::Notice };
        // One of what is seen and one of nothing may be open beside each other, and beside all conditions.
        let rule = usize::MAX - usize::from(kind.is_none());
        let alerted = Alerted { rule, over, kind, score, from, to };
        self.alert(camera, &alerted, &tells, vocabulary, probabilities, minute)
    }

    /// Whoever acknowledges it is told nothing more of this alert.
    fn await_somebody(&mut self, event: &Event<'_>, camera: usize, severity: Severity) {
        let Event { id, start_us, end_us, score, entries, .. } = *event;
        let told = escalate::Told { id, camera, text: event.text.to_owned(), severity, start_us, score, entries };
        self.escalation.told(told, end_us);
    }

    /// Tells which alerts were acknowledged, and again which alarms of this camera were not, at this stream time of it.
    pub fn remind(&mut self, camera: usize, now_us: Micros) -> Result<(), Error> {
        for id in self.scribe.as_ref().map(Scribe::acknowledged).unwrap_or_default() {
            self.settled(id);
            if let Some(told) = self.escalation.acknowledged(id) {
                let text = format!("acknowledged: {}", told.text);
                self.emit_again(EventKind::Update, &told, &text, told.start_us.max(now_us))?;
            }
        }
        if self.signs.was_pressed() {
            while let Some(told) = self.escalation.oldest() {
                self.acknowledged_at("by the button", &told, now_us)?;
            }
        }
        let pressed = self.panel.as_ref().and_then(PanelSink::acknowledged);
        while let Some(told) = pressed.and_then(|newest| self.escalation.acknowledged_up_to(newest)) {
            self.acknowledged_at("at the panel", &told, now_us)?;
        }
        while let Some((told, times)) = self.escalation.due(camera, now_us) {
            let text = format!("{TOLD_AGAIN} ({times}): {}", told.text);
            if let Some(scribe) = &mut self.scribe {
                scribe.write(Entry::ToldAgain { id: told.id });
            }
            self.emit_again(EventKind::Alert, &told, &text, now_us)?;
        }
        if let Some(outside) = &self.outside {
            outside.held().overdue(held::PATIENCE);
        }
        Ok(())
    }

    /// Somebody knows of it, which lamps, display and panel show.
    fn settled(&mut self, id: u64) {
        self.signs.acknowledged(id);
        if let Some(panel) = &mut self.panel {
            // One that has too much to do tells it when the button is pressed.
            let _ = panel.over(id);
        }
    }

    /// Somebody pressed a button here.
    fn acknowledged_at(&mut self, place: &str, told: &escalate::Told, now_us: Micros) -> Result<(), Error> {
        // Wherever it was: lamps go out, and the panel is quiet.
        self.settled(told.id);
        let text = format!("acknowledged {place}: {}", told.text);
        if let Some(scribe) = &mut self.scribe {
            scribe.write(Entry::Acknowledged { id: told.id, unix_ms: SystemClock::new().unix_ms() });
        }
        self.emit_again(EventKind::Update, told, &text, told.start_us.max(now_us))
    }

    fn emit_again(&mut self, kind: EventKind, told: &escalate::Told, text: &str, end_us: Micros) -> Result<(), Error> {
        let escalate::Told { id, severity, start_us, score, entries, .. } = *told;
        let camera = &self.cameras[told.camera].clone();
        let event = Event {
            id,
            kind,
            camera,
            start_us,
            end_us,
            text,
            score,
            entries,
            evidence: None,
            language: OURS,
            severity: Some(severity),
            relation: None,
        };
        self.emit(&event)?;
        self.pass_on(&event, None);
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
        self.keep(&event, None, false);
        self.pass_on(&event, None);
        Ok(())
    }

    /// Tells how a camera was in this time. That is not kept: a line a minute would be most of a journal.
    pub fn pulse(&mut self, camera: usize, (start_us, end_us): (Micros, Micros), text: &str) -> Result<(), Error> {
        let (id, camera) = (self.next_id(), &self.cameras[camera].clone());
        self.emit_as(&of_device(id, EventKind::Health, camera, (start_us, end_us), text), None)?;
        if let Some(scribe) = &mut self.scribe {
            scribe.alive(end_us);
        }
        Ok(())
    }

    /// A camera that was blind sees again.
    pub fn sees(&mut self, camera: usize, at_us: Micros) {
        self.signs.sees(&self.cameras[camera]);
        if let Some(panel) = &mut self.panel {
            // What it has no room for it counts.
            let _ = panel.sees(&self.cameras[camera]);
        }
        if let Some(scribe) = &mut self.scribe {
            scribe.write(Entry::Sees { camera: self.cameras[camera].clone(), at_us });
        }
    }

    /// Whether it is kept what is seen.
    pub fn keeps(&self) -> bool {
        self.scribe.is_some()
    }

    /// Keeps what was seen, whatever was said of it.
    pub fn keep_seen(&mut self, camera: usize, ring: Ring, moment: &Moment) {
        let Some(scribe) = &mut self.scribe else { return };
        scribe.write(Entry::Seen(
            ring,
            Seen {
                camera: self.cameras[camera].clone(),
                start_us: moment.start_us,
                end_us: moment.end_us,
                start_ms: scribe.date(moment.start_us),
                rest: moment.rest,
                nearest: moment.nearest,
                vector: moment.vector.clone(),
            },
        ));
    }

    /// What the person should hear of the journal, the display, the pins and the panel.
    pub fn news(&mut self) -> Option<String> {
        let of_journal = self.scribe.as_mut().and_then(Scribe::news);
        let of_signs = of_journal.or_else(|| self.signs.trouble());
        of_signs.or_else(|| self.panel.as_ref().and_then(PanelSink::news))
    }

    /// Keeps what still waits to be kept, at the end of the stream.
    pub fn finish(&mut self, at_us: Micros) -> Result<(), Error> {
        let next_id = self.next_id();
        let finished = self.scribe.take().map_or(Ok(()), |scribe| scribe.finish(next_id, at_us));
        if let Some(outside) = &self.outside {
            outside.held().overdue(Duration::ZERO);
        }
        finished
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

    /// Whether somebody wants to know what an event is about.
    fn is_heard(&self) -> bool {
        self.scribe.is_some() || self.outside.is_some()
    }

    /// Tells others what was told here, once the journal has it: what is kept of it was handed over before.
    fn pass_on(&self, event: &Event<'_>, about: Option<&About>) {
        let Some(outside) = &self.outside else { return };
        let entities = about.map_or(&[][..], |about| &about.entities);
        let (kind, severity) = (about.map(|about| about.kind.as_str()), about.map(|about| about.severity));
        outside.tell(event, kind, severity, entities, self.scribe.as_ref().map_or(0, Scribe::given));
    }

    /// Hands what was told to the journal.
    fn keep(&mut self, event: &Event<'_>, about: Option<About>, quiet: bool) {
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
            quiet,
        }));
    }

    fn emit(&mut self, event: &Event<'_>) -> Result<(), Error> {
        self.emit_as(event, Some(Severity::Alarm))
    }

    /// Says it; on the panel, where an alert is of this severity, unless it is not for people.
    fn emit_as(&mut self, event: &Event<'_>, on_panel: Option<Severity>) -> Result<(), Error> {
        if let Some((panel, severity)) = self.panel.as_mut().zip(on_panel) {
            // What it has no room for it counts.
            let _ = panel.tell(event, severity);
        }
        let emitted: Result<(), SinkError> = match &mut self.lines {
            Lines::People(sink) => sink.emit(event),
            Lines::Programs(sink) => sink.emit(event),
        };
        self.signs.emit(event);
        emitted.map_err(|source| Error::Output { path: self.place.clone(), source })?;
        (self.said, self.next_id) = (self.said + 1, self.next_id.max(event.id + 1));
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
    let (language, severity, relation, score, entries, evidence) = (OURS, None, None, 1.0, None, None);
    Event { id, kind, camera, start_us, end_us, text, language, severity, relation, score, entries, evidence }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use ocelli_drivers::{InputLine, OutputLine, PeripheralError, SignalSink};
    use ocelli_journal::Journal;

    use super::*;
    use crate::journal::Dates;

    #[derive(Clone, Default)]
    struct Pin(Arc<AtomicBool>);

    impl OutputLine for Pin {
        fn set(&mut self, on: bool) -> Result<(), PeripheralError> {
            self.0.store(on, Ordering::Relaxed);
            Ok(())
        }
    }

    impl InputLine for Pin {
        fn is_on(&mut self) -> Result<bool, PeripheralError> {
            Ok(self.0.load(Ordering::Relaxed))
        }
    }

    fn until(mut done: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_mins(1);
        while !done() {
            assert!(Instant::now() < until, "it goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn who_presses_the_button_knows_of_all_open_alerts() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut config = Config::default();
        config.output.json = true;
        config.output.file = Some(folder.path().join("events.jsonl"));
        config.journal.file = Some(folder.path().join("hall.journal"));
        let (lamp, button) = (Pin::default(), Pin::default());
        let outputs = vec![Box::new(lamp.clone()) as Box<dyn OutputLine>];
        let signal = SignalSink::start(outputs, Some(Box::new(button.clone())), Duration::ZERO).expect("a thread");
        let scribe = Scribe::open(&config.journal, Dates::Unknown, Micros(0), true, None).expect("it can be made");
        let voice = Voice::open(&config, None).expect("it is writable");
        let mut voice = voice.shown_by(Signs::of_pins(signal)).kept_by(scribe);
        for (id, text) in [(1, "Somebody fell"), (2, "Nobody came")] {
            let event = of_device(id, EventKind::Alert, "camera", (Micros(0), Micros(5)), text);
            voice.emit(&event).expect("it is writable");
            voice.keep(&event, None, false);
            voice.await_somebody(&event, 0, Severity::Alarm);
        }
        until(|| lamp.0.load(Ordering::Relaxed));
        voice.remind(0, Micros(7)).expect("nothing is due");
        assert_eq!(voice.said(), 2);
        button.0.store(true, Ordering::Relaxed);
        until(|| {
            voice.remind(0, Micros(9)).expect("it is writable");
            voice.said() == 4
        });
        until(|| !lamp.0.load(Ordering::Relaxed));
        voice.finish(Micros(9)).expect("the journal is whole");
        let told = std::fs::read_to_string(folder.path().join("events.jsonl")).expect("it was written");
        let last = told.lines().last().expect("four lines");
        assert!(last.starts_with("{\"id\":2,\"type\":\"update\""), "{last}");
        assert!(last.contains("\"text\":\"acknowledged by the button: Nobody came\""), "{last}");
        let journal = Journal::open(&folder.path().join("hall.journal")).expect("it is there");
        for id in [1, 2] {
            let alert = journal.event(id).expect("it can be read").expect("it was kept");
            assert!(alert.acked_ms.is_some(), "{alert:?}");
        }
    }
}
