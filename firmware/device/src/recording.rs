//! Clips and snapshots around events, where the config wants them: a thread of its own keeps the last seconds of each camera in memory,
//! and writes what came before and after an event.
//!
//! ```text
//!  capture thread --Roll (4 buffers go round; none free: left out)--> ring of the last seconds (memory)
//!  Feed ----------------------------------------------------------> an event that is wanted: clip and snapshot --> Shelf (disk)
//! ```
//!
//! What is recorded is what the model got. Nothing is encoded unless something happens. A disk that is full or gone costs recordings and
//! nothing else; it is told once. The capture thread copies a picture where a buffer is free, and waits for nobody.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ocelli_drivers::{ClipWriter, ENCODER_BYTES, RecordError, Still, SystemClock};
use ocelli_gateway::house::{RecordedEvent, Recording};
use ocelli_gateway::{Event, Feed, Heard, Reader, Snapshots, TOLD_AGAIN};
use ocelli_types::{Clock as _, Content, Micros, PatchGrid};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{BytesText, Config, size_bytes};
use crate::error::Error;
use crate::events::{date, rounded};
use crate::journal::Dates;
use crate::shelf::{Described, Shelf};

/// Stack of the thread: the encoder's own calls take the most of it.
pub const RECORDER_STACK_BYTES: usize = 512 << 10;

/// Pictures on their way from a capture thread.
const BUFFERS: usize = 4;

/// The longest clip. What happens after it begins the next.
const LONGEST: Duration = Duration::from_mins(1);

/// The largest clip, some minutes of a room; what is put together holds no more.
const MOST_CLIP_BYTES: usize = 1 << 20;

/// Events that are noted of a clip.
const MOST_EVENTS: usize = 32;

/// How often a waiting thread looks what was told.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long clips that go on may take to be written when the program ends.
const PARTING: Duration = Duration::from_secs(2);

/// How often it is looked whether recordings are too old.
const EXPIRE_EVERY: Duration = Duration::from_hours(1);

/// `[recording]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingTable {
    /// The folder in which clips and snapshots around events are kept, for its owner alone. Default: none, and no picture is kept.
    pub folder: Option<PathBuf>,
    /// Around which events: `alert` (default), `narration`, `camera` (it was moved).
    pub events: Vec<Trigger>,
    /// How much of what came before an event is kept in memory, in seconds, 0 to 30. Default 5.
    pub before_s: f64,
    /// How much of what comes after the last event is recorded, in seconds, 1 to 50. Default 10.
    pub after_s: f64,
    /// The most bytes of all recordings, 4 MiB or more. Default `256MiB`. The oldest go first.
    #[serde(deserialize_with = "size_bytes")]
    #[schemars(with = "BytesText")]
    pub size: u64,
    /// How long a recording stays at most, in days, 0.01 to 36500. Default 30.
    pub keep_days: f64,
}

impl Default for RecordingTable {
    fn default() -> Self {
        let events = vec![Trigger::Alert];
        Self { folder: None, events, before_s: 5.0, after_s: 10.0, size: 256 << 20, keep_days: 30.0 }
    }
}

/// What begins a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// A condition, an alarm, what is unusual.
    Alert,
    /// Whatever is said of what is seen.
    Narration,
    /// The camera itself moved.
    Camera,
}

impl Trigger {
    const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Narration => "narration",
            Self::Camera => "camera",
        }
    }
}

impl RecordingTable {
    /// What no type says.
    ///
    /// # Errors
    /// In words for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        for (key, value, least, most) in [
            ("before_s", self.before_s, 0.0, 30.0),
            ("after_s", self.after_s, 1.0, 50.0),
            ("keep_days", self.keep_days, 0.01, 36_500.0),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("`{key}` of [recording] is {value}; it may be {least} to {most}"));
            }
        }
        if !(4 << 20..=1 << 40).contains(&self.size) {
            return Err(format!("`size` of [recording] is {} bytes; it may be 4 MiB to 1024 GiB", self.size));
        }
        if self.events.is_empty() {
            return Err("`events` of [recording] is empty; leave it out, or name some".into());
        }
        if self.folder.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
            return Err("`folder` of [recording] is empty; write a folder".into());
        }
        Ok(())
    }

    /// Types of events around which it is recorded.
    pub fn types(&self) -> Vec<String> {
        let wanted = self.events.iter().filter(|_| self.folder.is_some());
        wanted.map(|event| event.name().to_owned()).collect()
    }

    /// For `ocelli check`; none where nothing is recorded.
    pub fn line(&self) -> Option<String> {
        let folder = self.folder.as_ref()?;
        let events: Vec<&str> = self.events.iter().map(|event| event.name()).collect();
        let (before, after, size) = (self.before_s, self.after_s, crate::plan::mebibytes(self.size));
        Some(format!(
            "{}: {} with {before} s before and {after} s after, {size} and {} days at most",
            folder.display(),
            events.join(", "),
            self.keep_days,
        ))
    }

    /// What it holds on the heap for so many cameras of this grid.
    pub fn bytes(&self, grid: PatchGrid, fps: f64, cameras: usize) -> u64 {
        let ring = (self.pictures(fps) * Still::bytes(grid)) as u64;
        let clip = ENCODER_BYTES + 2 * MOST_CLIP_BYTES as u64;
        // A clip is begun and ended by one thread, but may go on at each camera.
        cameras as u64 * (ring + (BUFFERS * grid.bytes()) as u64 + clip)
    }

    /// Pictures of what came before.
    fn pictures(&self, fps: f64) -> usize {
        (self.before_s * fps).ceil() as usize + 1
    }
}

/// What the config lets be recorded, for those who record and those who look.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// The folder.
    pub shelf: Option<Arc<Shelf>>,
    /// The newest snapshots, where others are told them.
    pub snapshots: Option<Arc<Snapshots>>,
}

impl Archive {
    /// Opens the folder, where the config names one.
    ///
    /// # Errors
    /// It cannot be used, or another program records there.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let Some(folder) = &config.recording.folder else { return Ok(Self::default()) };
        let shelf = Shelf::open(&config.recording, folder);
        let shelf = shelf.map_err(|source| Error::Recording { path: folder.clone(), source })?;
        let images = config.mqtt.as_ref().is_some_and(|mqtt| mqtt.images);
        Ok(Self { shelf: Some(Arc::new(shelf)), snapshots: images.then(Arc::default) })
    }
}

/// A picture on its way.
struct Shot {
    camera: usize,
    pixels: Vec<u8>,
    content: Content,
    captured_us: Micros,
}

/// The capture thread's end.
#[derive(Debug)]
pub struct Roll {
    camera: usize,
    free: Receiver<Vec<u8>>,
    give: SyncSender<Shot>,
}

impl Roll {
    /// Hands a picture over, `[patches][patch_bytes]`, where there is a free buffer; else it is left out.
    pub fn offer(&self, pixels: &[u8], content: Content, captured_us: Micros) {
        let Ok(mut buffer) = self.free.try_recv() else { return };
        buffer.clear();
        buffer.extend_from_slice(pixels);
        let _ = self.give.try_send(Shot { camera: self.camera, pixels: buffer, content, captured_us });
    }
}

/// What the thread tells.
#[derive(Debug, Default)]
struct Told {
    news: Mutex<Option<String>>,
}

/// The thread; it ends, with the clips that go on, when it is dropped and the capture threads have gone.
#[derive(Debug)]
pub struct Recorder {
    told: Arc<Told>,
    end: Option<SyncSender<Shot>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts it, where there is a folder, and gives each camera's end.
    ///
    /// # Errors
    /// There is no thread.
    pub fn start(
        config: &Config,
        (grid, fps): (PatchGrid, f64),
        archive: &Archive,
        (feed, dates): (&Feed, Dates),
    ) -> io::Result<Option<(Self, Vec<Roll>)>> {
        let Archive { shelf: Some(shelf), snapshots } = archive.clone() else { return Ok(None) };
        let names: Vec<String> = config.cameras.iter().map(|camera| camera.name.clone()).collect();
        let (give, shots) = sync_channel(BUFFERS * names.len());
        let mut rolls = Vec::new();
        let mut cameras = Vec::new();
        for (camera, name) in names.into_iter().enumerate() {
            let (back, free) = sync_channel(BUFFERS);
            for _ in 0..BUFFERS {
                back.try_send(Vec::with_capacity(grid.bytes())).expect("the channel has room for these");
            }
            rolls.push(Roll { camera, free, give: give.clone() });
            cameras.push(Watched { name, back, ring: VecDeque::new(), clip: None });
        }
        let told = Arc::new(Told::default());
        let table = config.recording.clone();
        let desk = Desk {
            table,
            grid,
            fps,
            cameras,
            shelf,
            dates,
            snapshots,
            told: Arc::clone(&told),
            missing: 0,
            trouble: false,
        };
        let reader = feed.reader();
        let thread = thread::Builder::new().name("recorder".into()).stack_size(RECORDER_STACK_BYTES);
        let thread = thread.spawn(move || desk.run(&shots, reader))?;
        Ok(Some((Self { told, end: Some(give), thread: Some(thread) }, rolls)))
    }

    /// What the person should hear: that recordings are not kept, once, or that they are again.
    pub fn news(&self) -> Option<String> {
        self.told.news.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for the clips that go on. Whoever hangs in a camera still has an end of the line: it is not waited for.
    pub fn finish(mut self) {
        self.end = None;
        let (Some(thread), begun) = (self.thread.take(), Instant::now()) else { return };
        while !thread.is_finished() && begun.elapsed() < PARTING {
            thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

/// What is held of a camera.
struct Watched {
    name: String,
    back: SyncSender<Vec<u8>>,
    /// The last seconds.
    ring: VecDeque<(Still, Micros)>,
    clip: Option<Running>,
}

/// A clip that goes on.
struct Running {
    writer: ClipWriter,
    described: Described,
    began: Instant,
    until: Instant,
    first_us: Micros,
    last_us: Micros,
}

/// What the thread has.
struct Desk {
    table: RecordingTable,
    grid: PatchGrid,
    fps: f64,
    cameras: Vec<Watched>,
    shelf: Arc<Shelf>,
    dates: Dates,
    snapshots: Option<Arc<Snapshots>>,
    told: Arc<Told>,
    /// Recordings that are not there, or have no clip, since it was told.
    missing: u64,
    trouble: bool,
}

impl Desk {
    /// Until the capture threads have gone.
    fn run(mut self, shots: &Receiver<Shot>, mut reader: Reader) {
        let mut expired: Option<Instant> = None;
        loop {
            let ended = match shots.recv_timeout(PATIENCE) {
                Ok(shot) => {
                    self.take(shot);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            while let Some(heard) = reader.try_next() {
                if let Heard::Event(event) = heard {
                    self.hear(&event);
                }
            }
            for camera in 0..self.cameras.len() {
                let over = |clip: &Running| ended || Instant::now() >= clip.until;
                if self.cameras[camera].clip.as_ref().is_some_and(over) {
                    self.end(camera);
                }
            }
            if ended {
                return;
            }
            if expired.is_none_or(|expired| expired.elapsed() >= EXPIRE_EVERY) {
                expired = Some(Instant::now());
                if let Err(error) = self.shelf.expire(SystemClock::new().unix_ms()) {
                    self.failed(&error);
                }
            }
        }
    }

    /// Keeps a picture for a while, and adds it to a clip that goes on.
    fn take(&mut self, shot: Shot) {
        let Shot { camera, pixels, content, captured_us } = shot;
        let room = self.table.pictures(self.fps);
        let watched = &mut self.cameras[camera];
        let mut still = if watched.ring.len() >= room {
            watched.ring.pop_front().map_or_else(Still::default, |(still, _)| still)
        } else {
            Still::default()
        };
        let taken = still.take(self.grid, &pixels, content);
        let _ = watched.back.try_send(pixels);
        if !taken {
            return;
        }
        let mut full = false;
        if let Some(clip) = &mut watched.clip {
            full = clip.writer.size_px() != still.size_px() || clip.writer.file_bytes() >= MOST_CLIP_BYTES;
            if !full && let Err(error) = clip.writer.add(&still, captured_us) {
                full = true;
                let error = io::Error::other(error);
                self.failed(&error);
            } else if !full {
                clip.last_us = captured_us;
            }
        }
        let watched = &mut self.cameras[camera];
        watched.ring.push_back((still, captured_us));
        if full {
            self.end(camera);
        }
    }

    /// Begins or prolongs a clip, where the event is one to record.
    fn hear(&mut self, event: &Event) {
        // What is told again because nobody acknowledged it has been recorded.
        let again = event.r#type == "alert" && event.text.starts_with(TOLD_AGAIN);
        if again || !self.table.events.iter().any(|trigger| trigger.name() == event.r#type) {
            return;
        }
        let Some(camera) = self.cameras.iter().position(|of| Some(&of.name) == event.camera.as_ref()) else { return };
        let noted = RecordedEvent {
            id: event.id,
            r#type: event.r#type.clone(),
            start: event.start.clone(),
            text: event.text.clone(),
        };
        let after = Duration::from_secs_f64(self.table.after_s);
        if let Some(clip) = &mut self.cameras[camera].clip {
            clip.until = (Instant::now() + after).min(clip.began + LONGEST);
            let events = &mut clip.described.recording.events;
            if events.len() < MOST_EVENTS {
                events.push(noted);
            }
            return;
        }
        // Before the first picture there is nothing to show.
        if self.cameras[camera].ring.is_empty() {
            return;
        }
        match self.begin(camera, noted) {
            Ok(clip) => self.cameras[camera].clip = Some(clip),
            Err(error) => self.failed(&error),
        }
    }

    fn begin(&mut self, camera: usize, noted: RecordedEvent) -> io::Result<Running> {
        let other = |error: RecordError| io::Error::other(error);
        let Watched { name, ring, .. } = &self.cameras[camera];
        let Some((newest, newest_us)) = ring.back() else { return Err(io::Error::other("there is no picture")) };
        let size_px = newest.size_px();
        let before_us = Micros((self.table.before_s * 1e6) as u64);
        let before = ring.iter().filter(|(still, at_us)| {
            still.size_px() == size_px && (newest_us.since(*at_us) <= before_us || at_us == newest_us)
        });
        let first_us = before.clone().next().map_or(*newest_us, |(_, at_us)| *at_us);
        let jpeg: Arc<[u8]> = newest.jpeg().map_err(other)?.into();
        if let Some(snapshots) = &self.snapshots {
            snapshots.show(name, Arc::clone(&jpeg));
        }
        let start_ms = self.dates.of(first_us);
        let id = self.shelf.next_id()?;
        let recording = Recording {
            id,
            camera: name.clone(),
            start: start_ms.map(date),
            events: vec![noted],
            ..Recording::default()
        };
        let described = Described { start_ms, recording };
        self.shelf.begin(&described, &jpeg)?;
        let longest_s = self.table.before_s + LONGEST.as_secs_f64();
        let mut writer =
            ClipWriter::new(size_px, (longest_s * self.fps) as usize + 8, self.fps as f32).map_err(other)?;
        for (still, at_us) in before {
            writer.add(still, *at_us).map_err(other)?;
        }
        let began = Instant::now();
        let until = began + Duration::from_secs_f64(self.table.after_s);
        Ok(Running { writer, described, began, until, first_us, last_us: *newest_us })
    }

    /// Ends a clip, and writes it.
    fn end(&mut self, camera: usize) {
        let Some(Running { writer, mut described, first_us, last_us, .. }) = self.cameras[camera].clip.take() else {
            return;
        };
        described.recording.clip = true;
        described.recording.seconds = rounded(last_us.since(first_us).seconds());
        let file = writer.finish().map_err(io::Error::other);
        match file.and_then(|file| self.shelf.end(&described, &file)) {
            Ok(_) => self.well(),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.missing += 1;
        if !std::mem::replace(&mut self.trouble, true) {
            self.say(format!("recordings are not kept: {error}"));
        }
    }

    fn well(&mut self) {
        if std::mem::take(&mut self.trouble) {
            let missing = std::mem::take(&mut self.missing);
            self.say(format!("recordings are kept again; {missing} could not be"));
        }
    }

    fn say(&self, text: String) {
        *self.told.news.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use ocelli_drivers::Clip;
    use ocelli_gateway::house::Media;
    use ocelli_types::FrameSource as _;

    use super::*;
    use crate::config::CameraTable;

    fn grid() -> PatchGrid {
        PatchGrid::new(56, 14).expect("it comes out even")
    }

    const WHOLE: Content = Content { x0: 0, x1: 4, y0: 0, y1: 4 };

    fn config(folder: &Path, after_s: f64) -> Config {
        Config {
            cameras: ["hall", "porch"].map(|name| CameraTable { name: name.into(), ..CameraTable::default() }).into(),
            recording: RecordingTable {
                folder: Some(folder.join("r")),
                before_s: 1.0,
                after_s,
                ..RecordingTable::default()
            },
            ..Config::default()
        }
    }

    /// A recorder with its ends, and the newest time that was shown.
    struct Stage {
        recorder: Recorder,
        rolls: Vec<Roll>,
        archive: Archive,
        feed: Feed,
    }

    impl Stage {
        fn new(config: &Config) -> Self {
            let mut archive = Archive::open(config).expect("it can be written");
            archive.snapshots = Some(Arc::default());
            let feed = Feed::default();
            let dates = Dates::From(1_800_000_000_000);
            let started = Recorder::start(config, (grid(), 5.0), &archive, (&feed, dates)).expect("there is a thread");
            let (recorder, rolls) = started.expect("there is a folder");
            Self { recorder, rolls, archive, feed }
        }

        /// Shows a picture, and waits until it was taken.
        fn show(&self, camera: usize, ms: u64) {
            let picture = vec![(ms / 10 % 256) as u8; grid().bytes()];
            self.rolls[camera].offer(&picture, WHOLE, Micros(ms * 1000));
            thread::sleep(Duration::from_millis(5));
        }

        fn tell(&self, kind: &str, camera: &str, text: &str) {
            let (r#type, camera) = (kind.into(), Some(camera.into()));
            self.feed.tell(Event { id: Some(7), r#type, camera, text: text.into(), ..Event::default() });
        }

        fn recordings(&self) -> Vec<Recording> {
            let shelf = self.archive.shelf.as_ref().expect("there is a folder");
            shelf.list(None, 100, |_| true).expect("it is there")
        }

        fn until(&self, mut done: impl FnMut(&Self) -> bool) {
            let begun = Instant::now();
            while !done(self) {
                assert!(begun.elapsed() < Duration::from_mins(1), "it goes on: {:?}", self.recordings());
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn what_came_before_and_after_an_event_is_a_clip_that_plays() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let stage = Stage::new(&config(folder.path(), 1.0));
        stage.tell("alert", "hall", "before there was a picture");
        thread::sleep(3 * PATIENCE);
        assert!(stage.recordings().is_empty());
        (0..20).for_each(|n| stage.show(0, n * 200));
        stage.show(1, 0);
        for (kind, camera, text) in [
            ("narration", "hall", "not what begins one"),
            ("alert", "barn", "of no camera of ours"),
            ("alert", "hall", "still not acknowledged (2): fire"),
            ("alert", "hall", "fire"),
        ] {
            stage.tell(kind, camera, text);
        }
        stage.until(|stage| stage.recordings().len() == 1);
        let begun = stage.recordings().remove(0);
        assert_eq!((begun.camera.as_str(), begun.clip, begun.events.len()), ("hall", false, 1));
        assert_eq!(begun.start.as_deref(), Some("2027-01-15T08:00:02.800Z"), "a second before the newest picture");
        (20..23).for_each(|n| stage.show(0, n * 200));
        stage.tell("alert", "hall", "and smoke");
        stage.until(|stage| stage.recordings()[0].clip);
        let ended = stage.recordings().remove(0);
        let texts: Vec<&str> = ended.events.iter().map(|event| event.text.as_str()).collect();
        assert_eq!(texts, ["fire", "and smoke"]);
        let shelf = stage.archive.shelf.as_ref().expect("there is a folder");
        let jpeg = shelf.part(ended.id, Media::Snapshot, 0, 1 << 20).expect("it is there").bytes;
        assert!(jpeg.starts_with(&[0xff, 0xd8, 0xff]) && jpeg.ends_with(&[0xff, 0xd9]));
        let mut clip = Clip::open(&folder.path().join("r/00000001.mp4")).expect("it is a clip");
        let mut times = Vec::new();
        while let Some(frame) = clip.next().expect("it is whole") {
            times.push(frame.captured_us.0 / 1000);
        }
        assert_eq!(times, (0..9).map(|n| n * 200).collect::<Vec<_>>(), "six of before, three of after");
        assert!((ended.seconds - 1.6).abs() < 1e-6, "{ended:?}");
        assert_eq!(stage.recorder.news(), None);
    }

    #[test]
    fn a_clip_that_goes_on_is_written_when_the_program_ends() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let stage = Stage::new(&config(folder.path(), 50.0));
        (0..3).for_each(|n| stage.show(1, n * 200));
        stage.tell("alert", "porch", "fire");
        stage.until(|stage| stage.recordings().len() == 1);
        let Stage { recorder, rolls, archive, .. } = stage;
        drop(rolls);
        recorder.finish();
        let recording = archive.shelf.expect("there is a folder").recording(1).expect("it is there");
        assert!(recording.clip && (recording.seconds - 0.4).abs() < 1e-6, "{recording:?}");
    }

    #[test]
    fn a_folder_that_has_gone_costs_recordings_and_is_told_once() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let stage = Stage::new(&config(folder.path(), 1.0));
        stage.show(0, 0);
        fs::remove_dir_all(folder.path().join("r")).expect("it is there");
        stage.tell("alert", "hall", "fire");
        let mut news = None;
        stage.until(|stage| {
            news = stage.recorder.news();
            news.is_some()
        });
        let news = news.expect("it was told");
        assert!(news.starts_with("recordings are not kept: No such file"), "{news}");
        stage.tell("alert", "hall", "fire");
        fs::create_dir(folder.path().join("r")).expect("there is room");
        thread::sleep(Duration::from_millis(300));
        assert_eq!(stage.recorder.news(), None, "once");
        stage.show(0, 200);
        stage.tell("alert", "hall", "fire");
        stage.until(|stage| {
            let told = stage.recorder.news();
            let again = told.as_ref().is_some_and(|told| told.starts_with("recordings are kept again; "));
            assert!(told.is_none() || again, "{told:?}");
            again
        });
    }

    /// A blocking hand-over would never come back: nobody takes what is offered here.
    #[test]
    fn who_captures_waits_for_nobody() {
        let (back, free) = sync_channel(2);
        let (give, _shots) = sync_channel(1);
        (0..2).for_each(|_| back.send(Vec::new()).expect("there is room"));
        let roll = Roll { camera: 0, free, give };
        (0..100).for_each(|n| roll.offer(&[1, 2, 3], WHOLE, Micros(n)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let default = RecordingTable::default;
        assert_eq!(default().check(), Ok(()));
        for (wrong, key) in [
            (RecordingTable { before_s: 31.0, ..default() }, "before_s"),
            (RecordingTable { after_s: 0.0, ..default() }, "after_s"),
            (RecordingTable { keep_days: f64::NAN, ..default() }, "keep_days"),
            (RecordingTable { size: 1 << 20, ..default() }, "size"),
            (RecordingTable { events: vec![], ..default() }, "events"),
            (RecordingTable { folder: Some(PathBuf::new()), ..default() }, "folder"),
        ] {
            let why = wrong.check().expect_err(key);
            assert!(why.starts_with(&format!("`{key}` of [recording]")), "{why}");
        }
        let text = "[recording]\nfolder = \"r\"\nevents = [\"alert\", \"narration\"]\nsize = \"1GiB\"\n";
        let config = Config::parse(Path::new("c.toml"), text).expect("all keys are known");
        let line = config.recording.line().expect("something is recorded");
        assert_eq!(line, "r: alert, narration with 5 s before and 10 s after, 1024.0 MiB and 30 days at most");
    }
}
