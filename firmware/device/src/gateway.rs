//! The gateway's side of the program: what runs is counted for it, what is said is told to it, and what it is asked goes to the
//! journal, or to a command of this program in a process of its own, which has models and memory of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use ocelli_drivers::{CameraInfo, SystemClock, list_cameras, released};
use ocelli_gateway::house::{
    Answer, Condition, Digest, DigestQuery, Done, EventPage, EventQuery, Glance, Lesson, Media, MediaPart, Memory,
    NewCondition, NewSentence, PlanItem, Question, Recording, RecordingPage, RecordingQuery, Sentence, Verdict,
};
use ocelli_gateway::setup::{Device, NewSource, SetUp, Shot, Sources, Zone};
use ocelli_gateway::{
    About, Answered, Camera, Canvas, Changes, Event as Told, Feed, Gateway, House, HouseError, OfAlert, Settings,
    Severity as Weight, Snapshots, State,
};
use ocelli_heap::CountingAlloc;
use ocelli_infer::{Pack, Vocabulary};
use ocelli_journal::{Acknowledged, Found, Hole, Journal, JournalError, Query, acknowledge};
use ocelli_pipeline::StepReport;
use ocelli_types::{Clock as _, Event, EventKind, Severity, SizePx};
use serde::de::DeserializeOwned;

use crate::additions::Additions;
use crate::alerts::{self, AlertTable};
use crate::cli::Common;
use crate::config::{Config, Profile, credential};
use crate::error::{self, Error, note};
use crate::events::{NOT_RUNNING, date, rounded};
use crate::held::Held;
use crate::journal::Dates;
use crate::plan::{Plan, mebibytes};
use crate::probe::Probed;
use crate::pulse::{Pulse, status_bytes};
use crate::recording::Archive;
use crate::setup::{self, Registry};
use crate::shelf::Shelf;
use crate::state::PLAUSIBLE_UNIX_MS;
use crate::when::parse_since;
use crate::wiring::{self, Look};

/// The longest answer of a command, and how long one may take.
const MOST_ANSWER_BYTES: u64 = 2 << 20;
const LONGEST: Duration = Duration::from_secs(100);

/// What a command may hold of its own, by `RLIMIT_DATA` and in the plan: there is one at a time. Measured: 15.3 MiB for a question, whose
/// text encoder has 10.6 of weights; all 387 questions over simulated days are answered within it.
pub const COMMAND_BYTES: u64 = 16 << 20;

/// What a look at pictures may hold, where that is more. Measured: 16 MiB are enough for four of 1920x1080, and 17.5 for twenty.
pub const GLANCE_BYTES: u64 = 37 << 19;

/// Commands that may wait for the one that runs, and for how long. Further ones are refused at once.
const MOST_WAITING: usize = 2;
const PATIENCE: Duration = Duration::from_secs(30);

/// How far a process that answers steps back behind those that watch.
const NICE: i32 = 10;

/// For how long a camera's pictures are counted to tell how many come a second.
const RATE_OVER_S: f64 = 5.0;

/// Kinds of which alerts are counted apart, of a camera.
const MOST_COUNTED: usize = 64;

/// A camera, as it runs.
#[derive(Debug, Default)]
struct Running {
    total: Pulse,
    up: bool,
    /// Since when it is so, in milliseconds since 1970, and why it is not.
    since_ms: Option<u64>,
    trouble: Option<String>,
    size_px: Option<SizePx>,
    fps: f64,
    /// From when on pictures are counted for that, and how many there were.
    counted: Option<(Instant, u64)>,
    seen: Option<Instant>,
    saying: Option<String>,
    alerts: BTreeMap<String, u64>,
}

impl Running {
    /// It sees from now on, or does not.
    fn turn(&mut self, up: bool) {
        if std::mem::replace(&mut self.up, up) != up || self.since_ms.is_none() {
            self.since_ms = Some(SystemClock::new().unix_ms()).filter(|now_ms| *now_ms >= PLAUSIBLE_UNIX_MS);
            self.counted = None;
        }
    }

    /// Counts how many pictures it gives a second.
    fn measure(&mut self, now: Instant) {
        let (since, before) = *self.counted.get_or_insert((now, self.total.pictures));
        let over_s = now.duration_since(since).as_secs_f64();
        if over_s >= RATE_OVER_S {
            self.fps = (self.total.pictures - before) as f64 / over_s;
            self.counted = Some((now, self.total.pictures));
        }
    }
}

/// What runs, for those who ask how it is. The threads that watch take a lock for as long as it takes to add some numbers.
#[derive(Debug)]
pub struct Outside {
    held: Arc<Held>,
    started: Instant,
    dates: Dates,
    names: Vec<String>,
    /// Where each is.
    places: Vec<String>,
    cameras: Vec<Mutex<Running>>,
    events: AtomicU64,
    plan: Arc<Mutex<Plan>>,
}

impl Outside {
    /// Cameras of these names, of which none has given a picture.
    pub fn new(config: &Config, dates: Dates, plan: Arc<Mutex<Plan>>) -> Self {
        let names: Vec<String> = config.cameras.iter().map(|camera| camera.name.clone()).collect();
        let places = config.cameras.iter().map(setup::place).collect();
        let cameras = names.iter().map(|_| Mutex::default()).collect();
        let (held, started, events) = (Arc::default(), Instant::now(), AtomicU64::new(0));
        Self { held, started, dates, names, places, cameras, events, plan }
    }

    /// What is said, for those who bring it to others.
    pub fn feed(&self) -> &Feed {
        self.held.feed()
    }

    /// What waits for the journal before it is said to others.
    pub fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    fn with(&self, camera: usize, change: impl FnOnce(&mut Running)) {
        if let Some(camera) = self.cameras.get(camera) {
            change(&mut camera.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The model saw a picture; `count` adds what came before it.
    pub fn saw(&self, camera: usize, look: &Look, step: &StepReport, count: impl FnOnce(&mut Pulse)) {
        self.with(camera, |running| {
            let now = Instant::now();
            running.turn(true);
            (running.seen, running.size_px) = (Some(now), Some(look.picture));
            running.total.looked(look);
            count(&mut running.total);
            running.total.thought(step);
            running.measure(now);
        });
    }

    /// A camera was lost, or sees again.
    pub fn up(&self, camera: usize, up: bool) {
        self.with(camera, |running| running.turn(up));
    }

    /// Something was said: `kind` of the vocabulary, how much it matters, whom it is about. Others hear of it when the journal is done
    /// with so many entries.
    pub fn tell(
        &self,
        event: &Event<'_>,
        kind: Option<&str>,
        severity: Option<Severity>,
        about: &[String],
        after: u64,
    ) {
        self.events.fetch_add(1, Ordering::Relaxed);
        if let Some(camera) = self.names.iter().position(|name| name == event.camera) {
            self.with(camera, |running| {
                if event.kind == EventKind::Blind {
                    running.trouble = Some(event.text.to_owned());
                }
                if event.kind == EventKind::Narration {
                    running.saying = Some(event.text.to_owned());
                }
                if event.kind == EventKind::Alert {
                    let kind = kind.unwrap_or("condition");
                    if running.alerts.contains_key(kind) || running.alerts.len() < MOST_COUNTED {
                        *running.alerts.entry(kind.to_owned()).or_default() += 1;
                    }
                }
            });
        }
        let (start_ms, lasted_us) = (self.dates.of(event.start_us), event.end_us.since(event.start_us));
        let told = Told {
            id: Some(event.id),
            r#type: event.kind.name().into(),
            camera: Some(event.camera.into()),
            start: start_ms.map(date),
            end: start_ms.map(|start_ms| date(start_ms + lasted_us.0 / 1000)),
            t_start_s: Some(rounded(event.start_us.seconds())),
            t_end_s: Some(rounded(event.end_us.seconds())),
            kind: kind.map(Into::into),
            about: about.to_vec(),
            severity: severity.map(weight),
            text: event.text.into(),
            score: Some(rounded(event.score.into())),
            entries: event.entries.map(|(from, to)| [from.0, to.0]),
            relation: event.relation.map(|relation| relation.name().into()),
            narrations: (event.kind == EventKind::Narration).then_some(1),
            alert: (event.kind == EventKind::Alert).then_some(OfAlert { said: None, told: 1, acknowledged: None }),
        };
        self.held.hold(after, told);
    }

    fn state(&self) -> State {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let item = |item: &crate::plan::Item| PlanItem {
            name: item.name.into(),
            camera: item.camera.clone(),
            bytes: item.bytes,
        };
        let memory = Memory {
            budget_bytes: plan.budget_bytes,
            planned_bytes: plan.planned_bytes,
            resident_bytes: status_bytes("VmRSS:").unwrap_or_default(),
            heap_bytes: CountingAlloc::live_bytes() as u64,
            heap_peak_bytes: CountingAlloc::peak_bytes() as u64,
            plan: plan.items.iter().map(item).collect(),
        };
        let cameras = self.names.iter().zip(&self.places).zip(&self.cameras).map(|((name, place), running)| {
            let running = running.lock().unwrap_or_else(PoisonError::into_inner);
            let total = &running.total;
            Camera {
                name: name.clone(),
                up: running.up,
                since: running.since_ms.map(date),
                trouble: running.trouble.clone().filter(|_| !running.up),
                from: Some(place.clone()),
                size: running.size_px.map(|size_px| size_px.to_string()),
                fps: if running.up { rounded(running.fps) } else { 0.0 },
                frame_age_s: running.seen.map(|seen| rounded(seen.elapsed().as_secs_f64())),
                frames: total.pictures,
                processed: total.seen,
                late: total.late,
                damaged: total.damaged,
                lost: total.lost,
                kept_ratio: rounded(total.kept as f64 / total.content.max(1) as f64),
                saying: running.saying.clone(),
                alerts: running.alerts.clone(),
                stages: total.stages(),
            }
        });
        State {
            uptime_s: rounded(self.started.elapsed().as_secs_f64()),
            memory,
            cameras: cameras.collect(),
            events: self.events.load(Ordering::Relaxed),
            soc_celsius: soc_celsius(),
        }
    }
}

/// The board's temperature, where the kernel tells one.
fn soc_celsius() -> Option<f64> {
    let text = std::fs::read_to_string("/sys/class/thermal/thermal_zone0/temp").ok()?;
    Some(text.trim().parse::<f64>().ok()? / 1000.0)
}

/// A waiting line: commands run one at a time, for the plan has room for one.
#[derive(Debug, Default)]
struct Line {
    state: Mutex<LineState>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct LineState {
    is_taken: bool,
    waiting: usize,
}

/// The right to run a command, until it is dropped.
struct Turn<'a>(&'a Line);

impl Line {
    fn turn(&self, patience: Duration) -> Answered<Turn<'_>> {
        let busy = || HouseError::Unavailable("it is busy with what others asked; try again in a while".into());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_taken && state.waiting == MOST_WAITING {
            return Err(busy());
        }
        state.waiting += 1;
        let waited = self.free.wait_timeout_while(state, patience, |state| state.is_taken);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if state.is_taken {
            return Err(busy());
        }
        state.is_taken = true;
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).is_taken = false;
        self.0.free.notify_one();
    }
}

/// What others may ask of this program.
struct Program {
    about: About,
    outside: Arc<Outside>,
    /// Those of the config, and those that are added, where a file is named for them.
    conditions: Vec<Condition>,
    additions: Option<Arc<Additions>>,
    /// Cameras and zones that are set up, where a file is named for them.
    registry: Option<Arc<Registry>>,
    canvases: Vec<Option<Arc<Canvas>>>,
    archive: Archive,
    journal: Option<PathBuf>,
    /// SQLite's heap is that of the whole process, so one reads at a time.
    reading: Mutex<()>,
    /// What each command gets, so that it means the same journal, pack and sentences.
    arguments: Vec<String>,
    of_journal: Vec<String>,
    /// What one may hold, and who runs; none where the plan has no room for one.
    command_bytes: Option<u64>,
    line: Line,
}

/// What a command that answers somebody may hold: with the sentences of one's own, which each reads. None where nobody can ask, or in `pico`,
/// which has no room for one.
pub fn command_bytes(config: &Config, pack: &Pack) -> Option<u64> {
    let asked = config.gateway.listen.is_some() || config.mqtt.as_ref().is_some_and(|mqtt| mqtt.commands);
    if !asked || config.profile != Profile::Home {
        return None;
    }
    let room = config.vocabulary.is_some().then(|| wiring::room(config, pack));
    let [held, reading] = room.map_or([0; 2], |room| Vocabulary::bytes_of(room.sentences, room.text_bytes));
    Some(GLANCE_BYTES.max(COMMAND_BYTES + (held + reading) as u64))
}

/// What is shown and changed of a running program: the canvases of the capture threads, what was recorded, conditions that are added.
pub type Parts = (Vec<Option<Arc<Canvas>>>, Archive, Option<Arc<Additions>>, Option<Arc<Registry>>);

/// What others may ask. `pack` is the one that runs.
pub fn house(
    config: &Config,
    common: &Common,
    pack: &Pack,
    outside: &Arc<Outside>,
    (canvases, archive, additions, registry): Parts,
) -> Arc<dyn House> {
    let about = About {
        version: env!("CARGO_PKG_VERSION").into(),
        pack: pack.manifest.name.clone(),
        pack_version: pack.manifest.version.clone(),
        profile: "home".into(),
        cameras: outside.names.clone(),
        live: config.gateway.live,
        recording: archive.shelf.is_some(),
        recorded: config.recording.types(),
        conditions: additions.is_some(),
        setup: registry.is_some(),
    };
    let conditions = config.alerts.iter().map(|alert| condition(alert, false, None));
    let mut arguments = vec!["--pack".to_owned(), config.pack.clone()];
    let mut path = |name: &str, path: Option<&Path>| {
        if let Some(path) = path {
            arguments.extend([name.to_owned(), path.display().to_string()]);
        }
    };
    path("--config", common.config.as_deref());
    path("--vocabulary", config.vocabulary.as_deref());
    let journal = config.journal.file.clone();
    let of_journal = journal.iter().flat_map(|file| ["--journal".to_owned(), file.display().to_string()]).collect();
    Arc::new(Program {
        about,
        outside: Arc::clone(outside),
        conditions: conditions.collect(),
        additions,
        registry,
        canvases,
        archive,
        journal,
        reading: Mutex::default(),
        arguments,
        of_journal,
        command_bytes: command_bytes(config, pack),
        line: Line::default(),
    })
}

/// Starts the gateway, where the config wants one.
pub fn start(config: &Config, outside: &Outside, house: &Arc<dyn House>) -> Result<Option<Gateway>, Error> {
    let Some(settings) = settings(config) else { return Ok(None) };
    let encrypted = settings.tls.is_some();
    let (users, password, listen) = (settings.users.is_some(), settings.password_file.is_some(), settings.listen);
    let gateway = Gateway::start(settings, Arc::clone(house), outside.feed().clone(), || ())?;
    let (address, scheme) = (gateway.address(), if encrypted { "https" } else { "http" });
    note(format_args!("the gateway is at {scheme}://{address}/"));
    if address.ip() != listen.ip() {
        let how = if users || password {
            "set one there"
        } else {
            "name a file for `users` in [gateway], then set one there"
        };
        note(format_args!("nobody else can reach it before a password is set: {how}"));
    } else if !encrypted && !listen.ip().is_loopback() {
        note("the gateway is not encrypted: name `certificate` and `private_key` in [gateway], or let a proxy do it");
    }
    Ok(Some(gateway))
}

/// How the config wants it; `None` for not at all.
fn settings(config: &Config) -> Option<Settings> {
    let table = &config.gateway;
    let settings = Settings::new(table.listen?);
    Some(Settings {
        users: table.users.clone(),
        password_file: table.password_file.as_deref().map(credential),
        tls: table.certificate.clone().zip(table.private_key.clone()),
        audit: table.audit.clone(),
        session: Duration::from_secs_f64(table.session_hours * 3600.0),
        ..settings
    })
}

/// What a camera's model sees, for the live view, where the config allows it.
pub fn canvas(config: &Config, pack: &Pack) -> Option<Arc<Canvas>> {
    let shown = config.gateway.listen.is_some() && config.gateway.live;
    let (side, patch_px) = (pack.grid.side, pack.grid.patch_px);
    shown.then(|| Arc::new(Canvas::new(side as u16, patch_px as u16)))
}

/// A condition as others are told it.
fn condition(alert: &AlertTable, own: bool, fault: Option<String>) -> Condition {
    Condition {
        text: alert.words().into(),
        camera: alert.camera.clone(),
        kinds: alert.kinds.clone(),
        absent: alert.absent.clone(),
        when: alert.when.clone(),
        for_: alert.for_.clone(),
        after: alert.after.clone(),
        unless: alert.unless.clone(),
        within: alert.within.clone(),
        threshold: alert.threshold,
        cooldown: alert.cooldown.clone(),
        times: alert.times.clone(),
        zone: alert.zone.clone(),
        in_zone: alert.in_zone.clone(),
        severity: weight(alert.tells().severity),
        own,
        fault,
    }
}

const fn weight(severity: Severity) -> Weight {
    match severity {
        Severity::None => Weight::None,
        Severity::Info => Weight::Info,
        Severity::Notice => Weight::Notice,
        Severity::Alarm => Weight::Alarm,
    }
}

const fn severity(weight: Weight) -> Severity {
    match weight {
        Weight::None => Severity::None,
        Weight::Info => Severity::Info,
        Weight::Notice => Severity::Notice,
        Weight::Alarm => Severity::Alarm,
    }
}

/// As it is written on the command line.
const fn word(weight: Weight) -> &'static str {
    match weight {
        Weight::None => "none",
        Weight::Info => "info",
        Weight::Notice => "notice",
        Weight::Alarm => "alarm",
    }
}

fn told(found: &Found) -> Told {
    let end_ms = found.start_ms.map(|start_ms| start_ms + found.end_us.since(found.start_us).0 / 1000);
    Told {
        id: Some(found.id),
        r#type: found.kind.name().into(),
        camera: Some(found.camera.clone()),
        start: found.start_ms.map(date),
        end: end_ms.map(date),
        t_start_s: Some(rounded(found.start_us.seconds())),
        t_end_s: Some(rounded(found.end_us.seconds())),
        kind: found.about.clone(),
        about: found.entities.clone(),
        severity: found.about.as_ref().map(|_| weight(found.severity)),
        text: found.text.clone(),
        score: Some(rounded(found.score.into())),
        entries: found.entries.map(|(from, to)| [from.0, to.0]),
        relation: None,
        narrations: (found.kind == EventKind::Narration).then_some(found.parts),
        alert: (found.kind == EventKind::Alert).then(|| OfAlert {
            said: found.said.clone(),
            told: found.told,
            acknowledged: found.acked_ms.map(date),
        }),
    }
}

fn hole(hole: Hole) -> Told {
    let (start, end) = (Some(date(hole.start_ms)), Some(date(hole.end_ms)));
    Told { r#type: "hole".into(), start, end, text: NOT_RUNNING.into(), ..Told::default() }
}

/// What goes wrong with a journal, without the path of its file.
fn of_journal(error: &JournalError) -> HouseError {
    let text = error.to_string();
    HouseError::Unavailable(text.split_once(": ").map_or(text.as_str(), |(_, why)| why).to_owned())
}

/// What goes wrong with a recording, without the path of its folder.
fn of_shelf(error: &std::io::Error) -> HouseError {
    match error.kind() {
        std::io::ErrorKind::NotFound => HouseError::Absent("there is no such recording".into()),
        _ => HouseError::Unavailable(format!("the recordings cannot be used: {error}")),
    }
}

impl Program {
    fn journal(&self) -> Answered<&Path> {
        let none = "no journal is kept; name its file in the config: [journal] file";
        self.journal.as_deref().ok_or_else(|| HouseError::Unavailable(none.into()))
    }

    fn additions(&self) -> Answered<&Additions> {
        let none = "conditions cannot be added here; name a file for them in the config: [alerts] file";
        self.additions.as_deref().ok_or_else(|| HouseError::Refused(none.into()))
    }

    fn registry(&self) -> Answered<&Registry> {
        let none = "cameras and zones cannot be set up here; name a file for them in the config: [gateway] setup";
        self.registry.as_deref().ok_or_else(|| HouseError::Refused(none.into()))
    }

    fn plan(&self) -> Plan {
        self.outside.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks a camera for a picture. It may take what the plan has left over, beside what any process may.
    fn probe(&self, table: &serde_json::Map<String, serde_json::Value>) -> Answered<Probed> {
        let plan = self.plan();
        let left_bytes = plan.budget_bytes.saturating_sub(plan.planned_bytes);
        let input = serde_json::to_vec(table).map_err(|error| HouseError::Unavailable(error.to_string()))?;
        let (out, _) = self.run_within(left_bytes, &mut self.command(&["probe"])?, input)?;
        Self::json(&out)
    }

    fn shelf(&self) -> Answered<&Shelf> {
        let none = "nothing is recorded; name a folder in the config: [recording] folder";
        self.archive.shelf.as_deref().ok_or_else(|| HouseError::Absent(none.into()))
    }

    fn read<T>(&self, read: impl FnOnce(&Journal) -> Result<T, JournalError>) -> Answered<T> {
        let path = self.journal()?;
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        Journal::open(path).and_then(|journal| read(&journal)).map_err(|error| of_journal(&error))
    }

    fn command(&self, words: &[&str]) -> Answered<Command> {
        let program = std::env::current_exe();
        let program =
            program.map_err(|error| HouseError::Unavailable(format!("no process can be started: {error}")))?;
        let mut command = Command::new(program);
        command.args(words).args(&self.arguments);
        Ok(command)
    }

    /// Runs a command of this program over the journal; gives its output and what it noted.
    fn over_journal(&self, words: &[&str], more: &[&str], last: &[&str]) -> Answered<(String, String)> {
        self.journal()?;
        let mut command = self.command(words)?;
        command.args(&self.of_journal).args(more);
        self.run(command.arg("--").args(last), Vec::new())
    }

    /// Runs a command, when the one before has ended.
    fn run(&self, command: &mut Command, input: Vec<u8>) -> Answered<(String, String)> {
        self.run_within(0, command, input)
    }

    /// The same, with so many bytes more.
    fn run_within(&self, more_bytes: u64, command: &mut Command, input: Vec<u8>) -> Answered<(String, String)> {
        let none = "the profile `pico` has no room for a process that answers";
        let command_bytes = self.command_bytes.ok_or_else(|| HouseError::Unavailable(none.into()))?;
        let _turn = self.line.turn(PATIENCE)?;
        run(command, command_bytes + more_bytes, LONGEST, input)
    }

    fn json<T: DeserializeOwned>(output: &str) -> Answered<T> {
        let wrong = |error| HouseError::Unavailable(format!("the answer cannot be understood: {error}"));
        serde_json::from_str(output).map_err(wrong)
    }
}

/// Runs it to its end, within bounds, its own limit of memory in the place of this process', and behind it in the queue for the CPU.
#[expect(unsafe_code, reason = "a child steps back and is limited by system calls before it becomes another program")]
fn run(command: &mut Command, data_bytes: u64, longest: Duration, input: Vec<u8>) -> Answered<(String, String)> {
    let failed = |what: &str, error: std::io::Error| HouseError::Unavailable(format!("{what}: {error}"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    released(command);
    // SAFETY: these are system calls that touch no memory but a number of this function, as must be after a fork of a program with threads.
    unsafe {
        command.pre_exec(move || {
            libc::nice(NICE);
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            let mut set = libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit);
            // Where this program may hold less itself, so may what it starts.
            (limit.rlim_cur, limit.rlim_max) = (data_bytes.min(limit.rlim_max), data_bytes.min(limit.rlim_max));
            if set == 0 {
                set = libc::setrlimit(libc::RLIMIT_DATA, &raw const limit);
            }
            if set == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    };
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => {
            HouseError::Refused("it has a NUL character, which no text may have".into())
        }
        _ => failed("no process can be started", error),
    })?;
    let (Some(to), Some(out), Some(err)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(HouseError::Unavailable("a process has no input".into()));
    };
    let hear = |from: Box<dyn std::io::Read + Send>, input: Option<(ChildStdin, Vec<u8>)>| {
        let listener = thread::Builder::new().name("answer".into()).stack_size(ANSWER_STACK_BYTES);
        listener.spawn(move || {
            if let Some((mut to, input)) = input {
                // Who does not read it has ended and says why.
                let _ = to.write_all(&input);
            }
            let mut text = Vec::new();
            let _ = from.take(MOST_ANSWER_BYTES).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let heard = hear(Box::new(out), Some((to, input))).and_then(|out| Ok((out, hear(Box::new(err), None)?)));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if begun.elapsed() < longest => thread::sleep(Duration::from_millis(20)),
            Ok(None) => break Err(HouseError::Unavailable("it took too long".into())),
            Err(error) => break Err(failed("a process cannot be waited for", error)),
        }
    };
    if status.is_err() {
        let _ = child.kill().and_then(|()| child.wait());
    }
    let (out, err) = heard.map_err(|error| failed("no thread can be started", error))?;
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    let status = status?;
    let notes = err.lines().map(|line| line.trim_start_matches("ocelli: ")).collect::<Vec<_>>().join("\n");
    match status.code() {
        Some(0) => Ok((out, notes)),
        Some(error::OUT_OF_MEMORY) => {
            let most = mebibytes(data_bytes);
            Err(HouseError::Refused(format!(
                "it needs more memory than the {most} that a process that answers may hold; smaller pictures, \
                 or fewer sentences of your own, take less"
            )))
        }
        // What it says last is why; what was asked makes no sense, is not known here, gives no picture, or is more than the plan has room for.
        Some(2 | 3 | 5) => Err(HouseError::Refused(said_last(&err).unwrap_or("it was refused").to_owned())),
        _ => Err(HouseError::Unavailable(said_last(&err).unwrap_or("it failed").to_owned())),
    }
}

/// What this program said last, without the lines that an error of a library, or of the command line, may have below.
fn said_last(err: &str) -> Option<&str> {
    let last = |prefix| err.lines().rev().find_map(|line| line.strip_prefix(prefix));
    last("ocelli: ").or_else(|| last("error: ")).or_else(|| err.lines().last())
}

/// Stack of a thread that reads what a process writes; a command has two.
const ANSWER_STACK_BYTES: usize = 128 << 10;
/// Both.
pub const ANSWER_STACKS_BYTES: u64 = 2 * ANSWER_STACK_BYTES as u64;

impl House for Program {
    fn about(&self) -> &About {
        &self.about
    }

    fn state(&self) -> State {
        self.outside.state()
    }

    fn events(&self, query: &EventQuery, cameras: Option<&[String]>) -> Answered<EventPage> {
        let zone = alerts::time_zone().unwrap_or(TimeZone::UTC);
        let at = |text: &Option<String>| {
            let parsed = text.as_deref().map(parse_since).transpose().map_err(HouseError::Refused)?;
            Ok(parsed.map(|at| at.unix_ms(&zone)))
        };
        let (since_ms, until_ms) = (at(&query.since)?, at(&query.until)?);
        let limit = usize::from(query.limit.unwrap_or(50));
        let wanted = Query {
            words: query.q.as_deref().unwrap_or_default(),
            like: None,
            camera: query.camera.as_deref(),
            kind: query.kind.as_deref(),
            about: query.about.as_deref(),
            severity: severity(query.severity.unwrap_or_default()),
            since_ms,
            until_ms,
            after_id: query.after,
            before_id: query.before,
            limit,
        };
        let sees = |event: &Found| cameras.is_none_or(|cameras| cameras.contains(&event.camera));
        self.read(|journal| {
            if let Some(like) = query.like {
                let Some(vector) = journal.vector(like)? else { return Ok(EventPage::default()) };
                let like = vector.values.map(f32::from);
                // Those of other cameras are among the nearest.
                let limit = if cameras.is_some() { ocelli_journal::MOST_FOUND } else { limit };
                let found = journal.search(&Query { like: Some(&like), limit, ..wanted })?;
                let events = found.iter().filter(|event| sees(event)).take(usize::from(query.limit.unwrap_or(50)));
                return Ok(EventPage { events: events.map(told).collect(), holes: Vec::new() });
            }
            let mut events = Vec::new();
            journal.each(&wanted, query.after.is_none(), &mut |event| {
                if sees(&event) {
                    events.push(told(&event));
                }
                events.len() < limit
            })?;
            // Of several things that are asked for nothing is said of a time in which nobody looked.
            let only_time =
                query.q.is_none() && query.camera.is_none() && query.kind.is_none() && query.about.is_none();
            let only_time = only_time && query.severity.is_none() && query.after.is_none() && query.before.is_none();
            let holes = if only_time { journal.holes(since_ms, until_ms)? } else { Vec::new() };
            Ok(EventPage { events, holes: holes.into_iter().rev().take(limit).map(hole).collect() })
        })
    }

    fn event(&self, id: u64) -> Answered<Told> {
        let found = self.read(|journal| journal.event(id))?;
        found.as_ref().map(told).ok_or_else(|| HouseError::Absent(format!("there is no event {id}")))
    }

    fn acknowledge(&self, id: u64) -> Answered<()> {
        let path = self.journal()?;
        let _one = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        match acknowledge(path, id, SystemClock::new().unix_ms()).map_err(|error| of_journal(&error))? {
            Acknowledged::Now(_) | Acknowledged::Before(_) => Ok(()),
            Acknowledged::NoAlert => Err(HouseError::Refused("only alerts are acknowledged".into())),
            Acknowledged::Absent => Err(HouseError::Absent(format!("there is no alert {id}"))),
        }
    }

    fn judge(&self, id: u64, verdict: &Verdict) -> Answered<Done> {
        let word = if verdict.right { "yes" } else { "no" };
        let was: Vec<&str> = verdict.was.iter().map(String::as_str).collect();
        let was = was.first().map(|was| format!("--was={was}"));
        let more: Vec<&str> = was.iter().map(String::as_str).collect();
        let (_, message) = self.over_journal(&[word], &more, &[&id.to_string()])?;
        Ok(Done { message })
    }

    fn teach(&self, lesson: &Lesson) -> Answered<Done> {
        for time in [&lesson.from, &lesson.to].into_iter().flatten() {
            parse_since(time).map_err(HouseError::Refused)?;
        }
        let mut more = Vec::new();
        let mut give = |name: &str, value: Option<String>| more.extend(value.map(|value| format!("--{name}={value}")));
        give("last", lesson.last_s.map(|seconds| format!("{seconds}s")));
        give("from", lesson.from.clone());
        give("to", lesson.to.clone());
        give("camera", lesson.camera.clone());
        give("kind", lesson.kind.clone());
        give("severity", lesson.severity.map(|severity| word(severity).to_owned()));
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let (_, message) = self.over_journal(&["teach"], &more, &[&lesson.text])?;
        Ok(Done { message })
    }

    fn ask(&self, question: &Question) -> Answered<Answer> {
        if question.question.trim() == "-" {
            return Err(HouseError::Refused("this is no question".into()));
        }
        let camera = question.camera.as_ref().map(|camera| format!("--camera={camera}"));
        let more: Vec<&str> = ["--json"].into_iter().chain(camera.as_deref()).collect();
        let asked = question.question.replace(char::is_control, " ");
        Self::json(&self.over_journal(&["ask"], &more, &[&asked])?.0)
    }

    fn digest(&self, wish: &DigestQuery) -> Answered<Digest> {
        let day = format!("--day={}", wish.day.as_deref().unwrap_or("yesterday"));
        let camera = wish.camera.as_ref().map(|camera| format!("--camera={camera}"));
        let more: Vec<&str> = ["--json", &day].into_iter().chain(camera.as_deref()).collect();
        Self::json(&self.over_journal(&["digest"], &more, &[])?.0)
    }

    fn vocabulary(&self) -> Answered<Vec<Sentence>> {
        #[derive(serde::Deserialize)]
        struct Line {
            text: String,
            kind: String,
            severity: Weight,
            yours: bool,
        }
        let (lines, _) = self.run(&mut self.command(&["vocab", "list", "--json"])?, Vec::new())?;
        let sentence = |line: &str| {
            let Line { text, kind, severity, yours: own } = Self::json(line)?;
            Ok(Sentence { text, kind, severity, own })
        };
        lines.lines().map(sentence).collect()
    }

    fn add(&self, sentence: &NewSentence) -> Answered<Done> {
        let mut more = Vec::new();
        let mut give = |name: &str, value: Option<String>| more.extend(value.map(|value| format!("--{name}={value}")));
        give("kind", sentence.kind.clone());
        give("severity", sentence.severity.map(|severity| word(severity).to_owned()));
        give("floor", sentence.floor.map(|floor| floor.to_string()));
        let mut command = self.command(&["vocab", "add"])?;
        let (_, message) = self.run(command.args(more).arg("--").arg(&sentence.text), Vec::new())?;
        Ok(Done { message })
    }

    fn remove(&self, text: &str) -> Answered<Done> {
        let mut command = self.command(&["vocab", "remove"])?;
        let (_, message) = self.run(command.arg("--").arg(text), Vec::new())?;
        Ok(Done { message })
    }

    fn look(&self, pictures: &[Vec<u8>]) -> Answered<Vec<Glance>> {
        let mut input = Vec::with_capacity(pictures.iter().map(|picture| picture.len() + 4).sum());
        for picture in pictures {
            input.extend_from_slice(&(picture.len() as u32).to_le_bytes());
            input.extend_from_slice(picture);
        }
        let (out, _) = self.run(&mut self.command(&["glance"])?, input)?;
        Self::json(&out)
    }

    fn conditions(&self) -> Vec<Condition> {
        let added = self.additions.iter().flat_map(|additions| additions.list());
        let placed = |table: &AlertTable| {
            let zone = self.additions.as_ref().and_then(|additions| Some(additions.placed(table).ok()?.zone.clone()));
            zone.unwrap_or_default()
        };
        let added = added.map(|(table, fault)| Condition { zone: placed(&table), ..condition(&table, true, fault) });
        self.conditions.iter().cloned().chain(added).collect()
    }

    fn condition_changes(&self) -> Option<Arc<Changes>> {
        self.additions.as_ref().map(|additions| additions.changes())
    }

    fn add_condition(&self, wish: &NewCondition) -> Answered<Done> {
        let NewCondition { text, camera, kinds, absent, for_, cooldown, times, zone, in_zone, severity: severe } =
            wish.clone();
        let table = AlertTable {
            severity: severe.map(|severe| severity(severe).into()),
            text,
            camera,
            kinds,
            absent,
            for_,
            cooldown,
            times,
            zone,
            in_zone,
            ..AlertTable::default()
        };
        let changed = self.additions()?.put(table)?;
        Ok(Done { message: if changed { "It is changed." } else { "It is in force." }.into() })
    }

    fn remove_condition(&self, text: &str) -> Answered<Done> {
        self.additions()?.remove(text)?;
        Ok(Done { message: "It is no longer watched for.".into() })
    }

    fn canvas(&self, camera: &str) -> Option<Arc<Canvas>> {
        let index = self.about.cameras.iter().position(|name| name == camera)?;
        self.canvases.get(index).cloned().flatten()
    }

    fn recordings(&self, query: &RecordingQuery, cameras: Option<&[String]>) -> Answered<RecordingPage> {
        let ids = query.event_ids()?;
        let holds = |of: &Recording| {
            ids.as_ref().is_none_or(|ids| of.events.iter().filter_map(|event| event.id).any(|id| ids.contains(&id)))
        };
        let sees = |of: &Recording| {
            cameras.is_none_or(|cameras| cameras.contains(&of.camera))
                && query.camera.as_ref().is_none_or(|camera| *camera == of.camera)
                && holds(of)
        };
        // A run of the program records an event once; what is older is not looked through when all were found.
        let most = ids.as_ref().map_or(usize::MAX, BTreeSet::len);
        let shelf = self.shelf()?;
        let read = || {
            let (bytes, most_bytes) = shelf.held()?;
            let recordings = shelf.list(query.before, most.min(usize::from(query.limit.unwrap_or(50))), sees)?;
            Ok(RecordingPage { recordings, bytes, most_bytes })
        };
        read().map_err(|error| of_shelf(&error))
    }

    fn recording(&self, id: u64) -> Answered<Recording> {
        self.shelf()?.recording(id).map_err(|error| of_shelf(&error))
    }

    fn recorded(&self, id: u64, media: Media, from: u64, most: usize) -> Answered<MediaPart> {
        self.shelf()?.part(id, media, from, most).map_err(|error| of_shelf(&error))
    }

    fn remove_recording(&self, id: u64) -> Answered<()> {
        self.shelf()?.remove(id).map_err(|error| of_shelf(&error))
    }

    fn set_up(&self) -> Answered<&dyn SetUp> {
        self.registry().map(|_| self as &dyn SetUp)
    }

    fn snapshots(&self) -> Option<Arc<Snapshots>> {
        self.archive.snapshots.clone()
    }
}

impl SetUp for Program {
    fn zones(&self) -> Vec<Zone> {
        self.registry().map_or_else(|_| Vec::new(), Registry::zones)
    }

    fn put_zone(&self, zone: &Zone) -> Answered<Done> {
        let changed = self.registry()?.put_zone(zone, self.additions.as_deref())?;
        Ok(Done { message: if changed { "It is changed." } else { "It is kept." }.into() })
    }

    fn remove_zone(&self, camera: &str, name: &str) -> Answered<Done> {
        self.registry()?.remove_zone(camera, name, self.additions.as_deref())?;
        Ok(Done { message: "It is forgotten.".into() })
    }

    fn sources(&self) -> Sources {
        let sources = self.registry().map_or_else(|_| Vec::new(), Registry::sources);
        let device = |of: CameraInfo| Device { device: of.path.display().to_string(), name: of.name };
        let devices = list_cameras().into_iter().filter(|of| of.captures).map(device).collect();
        Sources { sources, devices }
    }

    fn try_source(&self, wish: &NewSource) -> Answered<Shot> {
        let probed = self.probe(&self.registry()?.table(wish)?)?;
        Ok(Shot { jpeg: probed.picture(), size: probed.size_px, fps: probed.fps })
    }

    fn put_source(&self, wish: &NewSource) -> Answered<Done> {
        let registry = self.registry()?;
        let mut table = registry.table(wish)?;
        // The plan is made for pictures as they come.
        table.insert("size_px".into(), self.probe(&table)?.size_px.into());
        let changed = registry.put_camera(&table, |tried| {
            let mut command = self.command(&["check", "--json"])?;
            let budget = self.plan().budget_bytes.to_string();
            command
                .arg("--setup")
                .arg(tried)
                // A name may begin with `-`.
                .arg(format!("--camera={}", wish.camera))
                .args(["--memory-budget", &budget])
                .args(&self.of_journal);
            self.run(&mut command, Vec::new()).map(drop)
        })?;
        let what = if changed { "It is changed" } else { "It is added" };
        Ok(Done { message: format!("{what}, from the next start of the program on.") })
    }

    fn remove_source(&self, camera: &str) -> Answered<Done> {
        self.registry()?.remove_camera(camera)?;
        Ok(Done { message: "It is taken away, from the next start of the program on.".into() })
    }
}

#[cfg(test)]
mod tests {
    use ocelli_types::Micros;

    use super::*;

    fn program(journal: Option<PathBuf>) -> Program {
        let config = Config::default();
        let plan = Arc::new(Mutex::new(Plan::empty(1 << 20)));
        let outside = Arc::new(Outside::new(&config, Dates::Unknown, plan));
        Program {
            about: About { cameras: outside.names.clone(), ..About::default() },
            outside,
            conditions: Vec::new(),
            additions: None,
            registry: None,
            canvases: vec![None],
            archive: Archive::default(),
            journal,
            reading: Mutex::default(),
            arguments: Vec::new(),
            of_journal: Vec::new(),
            command_bytes: Some(COMMAND_BYTES),
            line: Line::default(),
        }
    }

    #[test]
    fn what_is_told_of_an_error_is_its_first_line() {
        assert_eq!(
            said_last("ocelli: a note\nocelli: no answer: Invalid RTSP message:\n  byte 4: request-line\n"),
            Some("no answer: Invalid RTSP message:")
        );
        let of_words = "error: invalid value '-1' for '--fps'\n\nFor more information, try '--help'.\n";
        assert_eq!(said_last(of_words), Some("invalid value '-1' for '--fps'"));
        assert_eq!((said_last("sh: nothing\n"), said_last("")), (Some("sh: nothing"), None));
    }

    #[test]
    fn without_a_journal_or_with_a_damaged_one_it_says_so_without_its_path() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let said = |program: Program| program.events(&EventQuery::default(), None).expect_err("no journal").to_string();
        assert!(said(program(None)).starts_with("no journal is kept"));
        let path = folder.path().join("journal");
        let absent = said(program(Some(path.clone())));
        assert!(absent.contains("there is no journal yet") && !absent.contains(folder.path().to_str().expect("plain")));
        std::fs::write(&path, "no journal").expect("it is writable");
        assert!(said(program(Some(path))).contains("this is no journal"));
    }

    #[test]
    fn a_lesson_about_a_time_that_is_none_is_refused_in_words_before_a_process_is_started() {
        let lesson = |from: &str, to: Option<&str>| Lesson {
            text: "x".into(),
            from: Some(from.into()),
            to: to.map(str::to_owned),
            last_s: None,
            camera: None,
            kind: None,
            severity: None,
        };
        for (wrong, time) in [(lesson("the other day", None), "the other day"), (lesson("10min", Some("soon")), "soon")]
        {
            let Err(HouseError::Refused(why)) = program(None).teach(&wrong) else { panic!("{time}") };
            assert_eq!(Err(why), parse_since(time).map(|_| ()), "the words are those of events");
        }
    }

    #[test]
    fn what_is_said_and_seen_is_counted_and_told() {
        let program = program(None);
        let outside = &program.outside;
        let mut reader = outside.feed().reader();
        let event = Event {
            id: 7,
            kind: EventKind::Alert,
            camera: "camera",
            start_us: Micros(1_500_000),
            end_us: Micros(2_000_000),
            text: "A person has fallen.",
            language: "en",
            relation: None,
            score: 0.5,
            entries: None,
            evidence: None,
            severity: Some(Severity::Alarm),
        };
        outside.tell(&event, Some("fall"), Some(Severity::Alarm), &["person".into()], 0);
        outside.tell(&Event { id: 8, kind: EventKind::Narration, ..event }, Some("fall"), None, &[], 0);
        outside.up(0, true);
        let state = program.state();
        let camera = &state.cameras[0];
        assert_eq!((state.events, camera.up, camera.alerts["fall"]), (2, true, 1));
        assert_eq!(camera.saying.as_deref(), Some("A person has fallen."));
        let Some(ocelli_gateway::Heard::Event(told)) = reader.try_next() else { panic!("it was told") };
        assert_eq!(
            (told.id, told.r#type.as_str(), told.severity, told.t_start_s),
            (Some(7), "alert", Some(Weight::Alarm), Some(1.5))
        );
        assert_eq!(told.alert.as_ref().map(|alert| alert.told), Some(1));
    }

    #[test]
    fn a_process_that_fails_says_why_and_one_that_makes_no_sense_is_refused() {
        let shell = |script: &str, input: &[u8]| {
            let mut command = Command::new("sh");
            run(command.args(["-c", script]), 1 << 30, LONGEST, input.to_vec())
        };
        assert_eq!(
            shell("cat; echo 'ocelli: learnt' >&2", b"x").expect("it ends"),
            ("x".to_owned(), "learnt".to_owned())
        );
        assert!(
            matches!(shell("echo 'ocelli: no day' >&2; exit 2", b""), Err(HouseError::Refused(why)) if why == "no day")
        );
        assert!(
            matches!(shell("echo 'ocelli: locked' >&2; exit 1", b""), Err(HouseError::Unavailable(why)) if why == "locked")
        );
        assert!(matches!(shell("exit 6", b""), Err(HouseError::Refused(why)) if why.contains("1024.0 MiB")));
        let nul = run(Command::new("true").arg("a\0b"), 1 << 30, LONGEST, Vec::new());
        assert!(matches!(nul, Err(HouseError::Refused(why)) if why.contains("a NUL character")));
        assert!(shell("exit 0", &vec![0; 1 << 20]).is_ok(), "one that does not read");
        let long = shell("head -c 5000000 /dev/zero", b"");
        assert!(long.is_err() || long.is_ok_and(|(out, _)| out.len() as u64 <= MOST_ANSWER_BYTES));
    }

    #[test]
    fn a_process_has_a_limit_of_its_own() {
        let said = run(Command::new("sh").args(["-c", "ulimit -d; ulimit -Hd"]), 22 << 20, LONGEST, Vec::new())
            .expect("it ends");
        assert_eq!(said.0, "22528\n22528\n");
    }

    /// A pipe holds 64 KiB of what nobody reads.
    #[test]
    fn a_process_that_hangs_is_ended_be_it_before_it_read_what_it_was_given() {
        for given in [0, 1 << 20] {
            let begun = Instant::now();
            let said = run(Command::new("sleep").arg("60"), 1 << 30, Duration::from_millis(100), vec![0; given]);
            assert!(matches!(said, Err(HouseError::Unavailable(why)) if why == "it took too long"));
            assert!(begun.elapsed() < Duration::from_secs(30), "with {given} bytes");
        }
    }

    #[test]
    fn commands_run_one_at_a_time_and_few_wait() {
        let line = Line::default();
        let first = line.turn(PATIENCE).expect("nobody is there");
        let refused = |patience: Duration| line.turn(patience).err().map(|error| error.to_string());
        let busy = Some("it is busy with what others asked; try again in a while".to_owned());
        assert_eq!(refused(Duration::from_millis(5)), busy, "it waited in vain");
        let running = AtomicU64::new(1);
        thread::scope(|scope| {
            for _ in 0..MOST_WAITING {
                scope.spawn(|| {
                    let turn = line.turn(PATIENCE).expect("there is room for it in the line");
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    thread::sleep(Duration::from_millis(5));
                    running.fetch_sub(1, Ordering::SeqCst);
                    drop(turn);
                });
            }
            while line.state.lock().expect("nobody panicked").waiting < MOST_WAITING {
                thread::sleep(Duration::from_millis(1));
            }
            let begun = Instant::now();
            assert_eq!(refused(PATIENCE), busy, "the line is full");
            assert!(begun.elapsed() < PATIENCE, "it was told at once");
            running.fetch_sub(1, Ordering::SeqCst);
            drop(first);
        });
        assert!(line.turn(Duration::ZERO).is_ok(), "all have ended");
    }
}
