//! What the program lets others ask and do. The program implements [`House`] over its journal, its running state and its own
//! commands; all of it may block for a while, and is called away from the threads that watch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::setup::SetUp;
use crate::{Canvas, Event, Severity, Snapshots};

/// Why something cannot be answered or done, in words for the person who asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HouseError {
    /// There is no such event, camera, sentence.
    #[error("{0}")]
    Absent(String),
    /// It was asked in a way that makes no sense, or is not allowed by the config.
    #[error("{0}")]
    Refused(String),
    /// It cannot be done now: the journal is locked or damaged, a part is missing, too much is asked at once.
    #[error("{0}")]
    Unavailable(String),
}

/// Result of asking the program.
pub type Answered<T> = Result<T, HouseError>;

/// The program, as others may use it.
pub trait House: Send + Sync + 'static {
    /// What it is, which does not change while it runs.
    fn about(&self) -> &About;

    /// How it is.
    fn state(&self) -> State;

    /// Events that fit: the newest first, or, after an id, the oldest first. Of no camera but those that `cameras` names.
    ///
    /// # Errors
    /// There is no journal, or it cannot be read, or a part of the query cannot be understood.
    fn events(&self, query: &EventQuery, cameras: Option<&[String]>) -> Answered<EventPage>;

    /// The event with this id.
    ///
    /// # Errors
    /// There is no journal, no such event, or it cannot be read.
    fn event(&self, id: u64) -> Answered<Event>;

    /// Notes that somebody knows of an alert.
    ///
    /// # Errors
    /// There is no such alert, or the journal cannot be written.
    fn acknowledge(&self, id: u64) -> Answered<()>;

    /// Learns whether an event was right; gives what was learnt, in words.
    ///
    /// # Errors
    /// There is no such event, or it cannot be learnt from.
    fn judge(&self, id: u64, verdict: &Verdict) -> Answered<Done>;

    /// Learns what happened a while ago.
    ///
    /// # Errors
    /// Nothing is known of that time.
    fn teach(&self, lesson: &Lesson) -> Answered<Done>;

    /// Answers a question about the past.
    ///
    /// # Errors
    /// There is no journal, or it cannot be read.
    fn ask(&self, question: &Question) -> Answered<Answer>;

    /// Tells a day.
    ///
    /// # Errors
    /// There is no journal, it cannot be read, or the day is none.
    fn digest(&self, wish: &DigestQuery) -> Answered<Digest>;

    /// All that can be said.
    ///
    /// # Errors
    /// It cannot be read.
    fn vocabulary(&self) -> Answered<Vec<Sentence>>;

    /// Adds a sentence, or changes one that was added.
    ///
    /// # Errors
    /// The config names no vocabulary, or the sentence is no good.
    fn add(&self, sentence: &NewSentence) -> Answered<Done>;

    /// Takes a sentence back.
    ///
    /// # Errors
    /// It was not added.
    fn remove(&self, text: &str) -> Answered<Done>;

    /// What the model sees in pictures of one scene in their order, each a JPEG: the most probable first.
    ///
    /// # Errors
    /// One cannot be decoded.
    fn look(&self, pictures: &[Vec<u8>]) -> Answered<Vec<Glance>>;

    /// The standing conditions: those of the config, then those that were added.
    fn conditions(&self) -> Vec<Condition>;

    /// How often they changed; `None` where they cannot.
    fn condition_changes(&self) -> Option<Arc<Changes>>;

    /// Watches for a condition from now on, or changes one that was added and tells the same.
    ///
    /// # Errors
    /// The config names no file for them, it makes no sense, or there are too many.
    fn add_condition(&self, condition: &NewCondition) -> Answered<Done>;

    /// Takes back the condition that tells this.
    ///
    /// # Errors
    /// It was not added.
    fn remove_condition(&self, text: &str) -> Answered<Done>;

    /// What a camera sees, where the config allows that it is shown.
    fn canvas(&self, camera: &str) -> Option<Arc<Canvas>>;

    /// What was recorded around events, the newest first. Of no camera but those that `cameras` names.
    ///
    /// # Errors
    /// The config does not let anything be recorded, or the folder cannot be read.
    fn recordings(&self, query: &RecordingQuery, cameras: Option<&[String]>) -> Answered<RecordingPage>;

    /// The recording with this id.
    ///
    /// # Errors
    /// There is none.
    fn recording(&self, id: u64) -> Answered<Recording>;

    /// Bytes of a recording from this one on, `most` or fewer.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    fn recorded(&self, id: u64, media: Media, from: u64, most: usize) -> Answered<MediaPart>;

    /// Deletes a recording.
    ///
    /// # Errors
    /// There is none, or it cannot be deleted.
    fn remove_recording(&self, id: u64) -> Answered<()>;

    /// Setting up cameras and zones.
    ///
    /// # Errors
    /// The config names no file for it.
    fn set_up(&self) -> Answered<&dyn SetUp>;

    /// The newest snapshot of each camera, where the config allows that others are told it.
    fn snapshots(&self) -> Option<Arc<Snapshots>>;
}

/// How often something changed, for those who follow it.
#[derive(Debug, Default)]
pub struct Changes(watch::Sender<u64>);

impl Changes {
    /// It changed.
    pub fn add(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// How often it did.
    pub fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Hears of it from now on.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// What the program is.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the config that the page has to know")]
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct About {
    /// Its version.
    pub version: String,
    /// Name of the pack.
    pub pack: String,
    /// Version of the pack.
    pub pack_version: String,
    /// Profile: `home`.
    pub profile: String,
    /// Names of the cameras.
    pub cameras: Vec<String>,
    /// Whether the config allows that pictures are shown.
    pub live: bool,
    /// Whether the config lets clips be recorded around events.
    pub recording: bool,
    /// Types of events around which it is recorded.
    #[serde(default)]
    pub recorded: Vec<String>,
    /// Whether the config lets conditions be added.
    pub conditions: bool,
    /// Whether the config lets cameras and zones be set up.
    #[serde(default)]
    pub setup: bool,
}

/// How the program is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct State {
    /// Seconds since its start.
    pub uptime_s: f64,
    /// Memory.
    pub memory: Memory,
    /// Each camera.
    pub cameras: Vec<Camera>,
    /// Events that were told since the start.
    pub events: u64,
    /// Temperature of the board, where it tells one.
    pub soc_celsius: Option<f64>,
}

/// Memory of the program.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// The most that may be planned for.
    pub budget_bytes: u64,
    /// Sum of the plan.
    pub planned_bytes: u64,
    /// What is resident now.
    pub resident_bytes: u64,
    /// The heap now.
    pub heap_bytes: u64,
    /// The most that the heap had.
    pub heap_peak_bytes: u64,
    /// The plan's parts.
    pub plan: Vec<PlanItem>,
}

/// A part of the memory plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PlanItem {
    /// Its name.
    pub name: String,
    /// The further camera that it is for.
    pub camera: Option<String>,
    /// What it holds at most.
    pub bytes: u64,
}

/// A camera, counted from the start of the program.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Camera {
    /// Its name.
    pub name: String,
    /// Whether it gives pictures.
    pub up: bool,
    /// Since when it does, or does not; `null` where it gave none yet, or the clock is not set.
    #[serde(default)]
    pub since: Option<String>,
    /// Why it gives none, where that was told.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Where its pictures come from, with nothing secret in it; for operators.
    #[serde(default)]
    pub from: Option<String>,
    /// Size of its pictures, `640x480`.
    #[serde(default)]
    pub size: Option<String>,
    /// Pictures that it gives a second.
    #[serde(default)]
    pub fps: f64,
    /// Seconds since the newest picture that the model saw.
    pub frame_age_s: Option<f64>,
    /// Pictures that it gave.
    pub frames: u64,
    /// Of them the model saw.
    pub processed: u64,
    /// Were due while the model was busy.
    pub late: u64,
    /// Could not be read.
    pub damaged: u64,
    /// The source says that these were lost before they came.
    pub lost: u64,
    /// Share of patches that were kept.
    pub kept_ratio: f64,
    /// What is told of it now.
    pub saying: Option<String>,
    /// Alerts since the start, by condition or kind.
    pub alerts: BTreeMap<String, u64>,
    /// Time of each stage.
    pub stages: Vec<Stage>,
}

/// Times of one stage, in a histogram.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// `decode`, `fit`, `gate`, `stab`, `narrator`.
    pub name: String,
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum_s: f64,
    /// Median and 95th percentile.
    pub p50_s: f64,
    /// 95th percentile.
    pub p95_s: f64,
    /// Upper edges in seconds, and how many lie at or below.
    pub buckets: Vec<(f64, u64)>,
}

/// What is looked for among events. Each part narrows it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventQuery {
    /// Words of the text, or what they begin with, all of them.
    pub q: Option<String>,
    /// Of this camera.
    pub camera: Option<String>,
    /// Of this kind of the vocabulary, or this type, such as `alert`.
    pub kind: Option<String>,
    /// Whom or what it is about, such as `person`.
    pub about: Option<String>,
    /// As severe as this, or more.
    pub severity: Option<Severity>,
    /// Not before: so long ago (`2h`), or a time (`2026-11-26T18:30:00Z`).
    pub since: Option<String>,
    /// Only before: as `since`.
    pub until: Option<String>,
    /// Of larger ids, the oldest first.
    pub after: Option<u64>,
    /// Of smaller ids, the newest first.
    pub before: Option<u64>,
    /// What looked like the event with this id, the most alike first.
    pub like: Option<u64>,
    /// How many at most, 1 to 1000; 50 where it is not said.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u16>,
}

/// Events that were found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Times in which no program watched, where nothing but a time was asked for.
    pub holes: Vec<Event>,
}

/// Whether an event was right.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Yes or no.
    pub right: bool,
    /// What it was instead: a kind, such as `sit`, or a sentence.
    #[serde(default)]
    pub was: Option<String>,
}

/// The longest time before now that a lesson may be about.
const MOST_LESSON_S: u32 = 600;

impl Lesson {
    /// What no type says.
    ///
    /// # Errors
    /// It has no text, or is about too long a time.
    pub fn check(&self) -> Result<(), String> {
        if self.text.trim().is_empty() {
            return Err("a lesson has no `text`; write what happened".into());
        }
        if self.last_s.is_some_and(|seconds| !(1..=MOST_LESSON_S).contains(&seconds)) {
            return Err(format!("`last_s` is 1 to {MOST_LESSON_S} seconds"));
        }
        Ok(())
    }
}

/// What happened a while ago.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    /// In words, of 400 bytes of UTF-8 at most.
    #[schemars(length(min = 1, max = 400))]
    pub text: String,
    /// It happened so long ago or less, in seconds.
    #[serde(default)]
    #[schemars(range(min = 1, max = MOST_LESSON_S))]
    pub last_s: Option<u32>,
    /// Or from this time on, as `since` of events.
    #[serde(default)]
    pub from: Option<String>,
    /// Until this time. Default: now.
    #[serde(default)]
    pub to: Option<String>,
    /// The camera that saw it.
    #[serde(default)]
    pub camera: Option<String>,
    /// Its kind. Default: one of its own.
    #[serde(default)]
    pub kind: Option<String>,
    /// How much it matters.
    #[serde(default)]
    pub severity: Option<Severity>,
}

/// What was done, in words for people.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// The words.
    pub message: String,
}

/// A question about the past.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// In English, of 1024 bytes of UTF-8 at most.
    #[schemars(length(min = 1, max = 1024))]
    pub question: String,
    /// Of this camera.
    #[serde(default)]
    pub camera: Option<String>,
}

/// What is known of it, with the keys of `ocelli ask --json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The question.
    pub question: String,
    /// The answer in words.
    pub answer: String,
    /// How the question was understood: `when`, `count`, ...
    pub form: Option<String>,
    /// The answer as a value.
    pub value: serde_json::Value,
    /// Beginning of what it is about, RFC 3339.
    pub t_start: Option<String>,
    /// End of what it is about.
    pub t_end: Option<String>,
    /// The time that was searched.
    pub searched: Option<[String; 2]>,
    /// Of this camera.
    pub camera: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Ids of the events that it rests on.
    pub evidence: Vec<u64>,
    /// Times in which nobody looked.
    pub gaps: Vec<serde_json::Value>,
    /// Moments that the memory holds beside an answer that it never was: `at`, `camera`, `probability`, `tier`.
    #[serde(default)]
    pub recalled: Vec<serde_json::Value>,
    /// 0 to 1.
    pub confidence: f64,
    /// Whether nothing was answered.
    pub abstained: bool,
}

/// Which day is told.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DigestQuery {
    /// `today`, `yesterday` (default) or a date such as 2026-11-26.
    pub day: Option<String>,
    /// Of this camera.
    pub camera: Option<String>,
}

/// A day, with the keys of `ocelli digest --json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Digest {
    /// The date.
    pub day: String,
    /// How many events there were.
    pub events: u64,
    /// Chapters: start, end, title, events, evidence.
    pub chapters: Vec<serde_json::Value>,
    /// How often each kind was told.
    pub kinds: Vec<serde_json::Value>,
    /// Alerts: id, start, camera, text.
    pub alerts: Vec<serde_json::Value>,
    /// Times in which nobody looked.
    pub gaps: Vec<serde_json::Value>,
}

/// A sentence that can be said.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sentence {
    /// The sentence.
    pub text: String,
    /// Its kind.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// Whether it was added by the user.
    pub own: bool,
}

/// A sentence to be said from now on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSentence {
    /// The sentence, in English, of 400 bytes of UTF-8 at most.
    #[schemars(length(min = 1, max = 400))]
    pub text: String,
    /// Its kind. Default: one of its own.
    #[serde(default)]
    pub kind: Option<String>,
    /// How much it matters; `alarm` raises an alert.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// The cosine from which it is meant.
    #[serde(default)]
    #[schemars(range(min = -1.0, max = 1.0))]
    pub floor: Option<f32>,
}

/// What is seen in pictures.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Glance {
    /// The sentence.
    pub text: String,
    /// Its kind.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// 0 to 1.
    pub probability: f64,
}

/// A standing condition.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// What it tells.
    pub text: String,
    /// Of this camera; `null` for all.
    pub camera: Option<String>,
    /// Met while one of these kinds is seen,
    pub kinds: Vec<String>,
    /// or while none of these is.
    pub absent: Vec<String>,
    /// In plain words, where it was written so.
    pub when: Option<String>,
    /// For how long, where that is said.
    #[serde(rename = "for")]
    pub for_: Option<String>,
    /// Only where one of these kinds was seen before.
    #[serde(default)]
    pub after: Vec<String>,
    /// And none of these since.
    #[serde(default)]
    pub unless: Vec<String>,
    /// How long ago `after` may be at most, where that is said.
    #[serde(default)]
    pub within: Option<String>,
    /// Probability from which kinds are seen, where that is said.
    #[serde(default)]
    pub threshold: Option<f32>,
    /// How long it is quiet after its end, where that is said.
    pub cooldown: Option<String>,
    /// When it counts; none is always.
    pub times: Vec<String>,
    /// Corners of where something must move; none is anywhere.
    pub zone: Vec<[f32; 2]>,
    /// The zone of its camera that has these corners.
    #[serde(default)]
    pub in_zone: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// Whether it was added, and not written in the config.
    pub own: bool,
    /// Why it is not in force; `null` where it is.
    pub fault: Option<String>,
}

/// A standing condition that is watched for from now on, with the keys of an `[[alert]]` of the config.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCondition {
    /// What it tells, in 400 bytes of UTF-8 at most. One that was added and tells the same is changed, and keeps what only its
    /// file can say.
    #[schemars(length(min = 1, max = 400))]
    pub text: String,
    /// Of this camera. Default: each.
    #[serde(default)]
    pub camera: Option<String>,
    /// Met while one of these kinds is seen.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub kinds: Vec<String>,
    /// In place of `kinds`: met while none of these is.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub absent: Vec<String>,
    /// For how long, such as `30s` or `10min`; `all` for all of its times. Default: `1s`.
    #[serde(default, rename = "for")]
    pub for_: Option<String>,
    /// How long it is quiet after its end. Default: `5min`.
    #[serde(default)]
    pub cooldown: Option<String>,
    /// When it counts, in local time: `22:00-06:00`, `mon-fri 08:00-17:00`. Default: always.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub times: Vec<String>,
    /// Corners of a polygon in which something must move: x and y in shares of the picture. Default: anywhere.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub zone: Vec<[f32; 2]>,
    /// In place of `zone`: the name of a zone of `camera`, which it follows.
    #[serde(default)]
    pub in_zone: Option<String>,
    /// How much it matters. Default: `alarm`.
    #[serde(default)]
    pub severity: Option<Severity>,
}

/// Which recordings are looked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingQuery {
    /// Of this camera.
    pub camera: Option<String>,
    /// Of smaller ids.
    pub before: Option<u64>,
    /// In which one of these events was recorded: their ids, such as `17,19`, 128 at most.
    #[schemars(regex(pattern = "^[0-9]{1,19}(,[0-9]{1,19}){0,127}$"))]
    pub events: Option<String>,
    /// How many at most, 1 to 200; 50 where it is not said.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u16>,
}

/// The most events whose recordings are asked for at a time: a page of them.
const MOST_EVENTS: usize = 128;

impl RecordingQuery {
    /// Ids of the events that are meant; `None` for all.
    ///
    /// # Errors
    /// They are no ids, or too many.
    pub fn event_ids(&self) -> Answered<Option<BTreeSet<u64>>> {
        let Some(text) = &self.events else { return Ok(None) };
        let ids = text.split(',').take(MOST_EVENTS + 1).map(str::parse).collect::<Result<Vec<u64>, _>>();
        match ids.ok().filter(|ids| ids.len() <= MOST_EVENTS) {
            Some(ids) => Ok(Some(ids.into_iter().collect())),
            None => Err(HouseError::Refused(format!("`events` are {MOST_EVENTS} ids at most, written like 17,19"))),
        }
    }
}

/// Recordings that were found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RecordingPage {
    /// The recordings.
    pub recordings: Vec<Recording>,
    /// Bytes of all that are kept, of whatever camera.
    pub bytes: u64,
    /// The most bytes that are kept.
    pub most_bytes: u64,
}

/// What was recorded around events: a snapshot, and once it has ended a clip.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recording {
    /// Its id, which is no event's. Ids only grow.
    pub id: u64,
    /// Name of the camera.
    pub camera: String,
    /// Date of its first picture, RFC 3339 in UTC; `null` where it is not known.
    pub start: Option<String>,
    /// How long the clip is; 0 where there is none: it still goes on, or the program ended in it.
    pub seconds: f64,
    /// Bytes of clip and snapshot.
    pub bytes: u64,
    /// Whether there is a clip.
    pub clip: bool,
    /// What happened in it, 32 at most.
    pub events: Vec<RecordedEvent>,
}

/// An event that was recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedEvent {
    /// The event's id.
    pub id: Option<u64>,
    /// The event's type.
    pub r#type: String,
    /// Date of its beginning.
    pub start: Option<String>,
    /// The sentence.
    pub text: String,
}

/// What of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// The clip, MP4.
    Clip,
    /// The snapshot, JPEG.
    Snapshot,
}

/// A part of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaPart {
    /// Bytes of all of it.
    pub total_bytes: u64,
    /// The part.
    pub bytes: Vec<u8>,
}
