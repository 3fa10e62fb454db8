//! A sink that remembers.

use ocelli_types::{EntryId, Event, EventKind, Fault, Micros, Relation, Sink};

use crate::FakeError;
use crate::failure::Appointments;

/// An [`Event`] that owns its words.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of Event")]
pub struct OwnedEvent {
    pub id: u64,
    pub kind: EventKind,
    pub camera: String,
    pub start_us: Micros,
    pub end_us: Micros,
    pub text: String,
    pub score: f32,
    pub entries: Option<(EntryId, EntryId)>,
    pub relation: Option<Relation>,
}

impl From<&Event<'_>> for OwnedEvent {
    fn from(event: &Event<'_>) -> Self {
        let Event { id, kind, camera, start_us, end_us, text, score, entries, relation, .. } = *event;
        Self { id, kind, camera: camera.into(), start_us, end_us, text: text.into(), score, entries, relation }
    }
}

impl std::fmt::Display for OwnedEvent {
    /// `0.400-1.200 narration: a person walks`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (start, end) = (self.start_us.seconds(), self.end_us.seconds());
        write!(f, "{start:.3}-{end:.3} {}: {}", self.kind.name(), self.text)
    }
}

/// Keeps every event that it is given.
///
/// Stricter than a file: it panics at an id that is not larger than the last, a time range or range of entries that
/// ends before it starts, a score outside 0 to 1, and a text that is empty or of more than one line.
///
/// ```
/// use ocelli_testkit::RecordingSink;
/// use ocelli_types::{Event, EventKind, Fault, Micros, Sink};
///
/// let mut sink = RecordingSink::new().fails_on(2);
/// let mut event = Event {
///     id: 1,
///     kind: EventKind::Narration,
///     camera: "hall",
///     start_us: Micros(400_000),
///     end_us: Micros(1_200_000),
///     text: "a person walks",
///     language: "en",
///     severity: None,
///     relation: None,
///     score: 0.9,
///     entries: None,
///     evidence: None,
/// };
/// sink.emit(&event).unwrap();
/// event.id = 2;
/// assert!(sink.emit(&event).is_err());
/// assert_eq!(sink.lines(), ["0.400-1.200 narration: a person walks"]);
/// ```
#[derive(Clone, Debug)]
pub struct RecordingSink {
    events: Vec<OwnedEvent>,
    last_id: u64,
    appointments: Appointments,
}

impl RecordingSink {
    /// An empty sink.
    pub const fn new() -> Self {
        Self { events: Vec::new(), last_id: 0, appointments: Appointments::new("the sink") }
    }

    /// Fails on call `call`, counted from 1: that event is lost.
    #[must_use]
    pub fn fails_on(mut self, call: u64) -> Self {
        self.appointments.add(call, Fault::Retry);
        self
    }

    /// What arrived.
    pub fn events(&self) -> &[OwnedEvent] {
        &self.events
    }

    /// What arrived, a line an event.
    pub fn lines(&self) -> Vec<String> {
        self.events.iter().map(ToString::to_string).collect()
    }

    /// Calls of `emit` so far, failed ones included.
    pub const fn calls(&self) -> u64 {
        self.appointments.calls()
    }

    fn check(&self, event: &Event<'_>) {
        assert!(event.id > self.last_id, "event {} should not come after {}", event.id, self.last_id);
        assert!(event.start_us <= event.end_us, "event {} should not end before it starts", event.id);
        assert!(event.entries.is_none_or(|(from, to)| from <= to), "event {} should cite old to new", event.id);
        assert!((0.0..=1.0).contains(&event.score), "event {} should have a score, not {}", event.id, event.score);
        let one_line = !event.text.is_empty() && !event.text.contains('\n');
        assert!(one_line, "event {} should have one line of text, not {:?}", event.id, event.text);
    }
}

impl Default for RecordingSink {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for RecordingSink {
    type Error = FakeError;

    fn emit(&mut self, event: &Event<'_>) -> Result<(), FakeError> {
        self.check(event);
        self.last_id = event.id;
        self.appointments.call()?;
        self.events.push(event.into());
        Ok(())
    }
}
