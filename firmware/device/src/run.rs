//! `ocelli run`: a camera, a command or a clip in real time, in three threads.
//!
//! The capture thread takes pictures as they come and never waits for the model: a picture that is due while both
//! slots are away is late, counted and left. The STAB thread turns patches into tokens while the think thread (this one),
//! which owns narrator, memory and output, is at the picture before.
//!
//! Of several cameras each has a capture thread with slots of its own, a STAB that shares its weights with the others, and a
//! memory. There is one STAB thread and one think thread, which take what comes in the order in which it comes: a busy
//! camera has as many pictures on their way as any other, and a lost one costs the others nothing.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, UNIX_EPOCH};

use ocelli_drivers::{Camera, Clip, DriverError, Pipe, Source, SystemClock, list_cameras};
use ocelli_heap::{CountingAlloc, Pool};
use ocelli_infer::{InferError, Narrator, Pack, Stab, Taught, Vocabulary};
use ocelli_pipeline::{AlertBuf, EventBuf, HoleCause, Lexicon, Mind, PatchSlot, StepError, TokenSlot};
use ocelli_types::{Clock, EventKind, Fault, Faulty, FrameSource, Micros, Pixels, SizePx};

use crate::alerts::{self, WeekClock};
use crate::cli::RunArgs;
use crate::config::{CameraTable, ConfigError};
use crate::enforce::Fence;
use crate::error::{Error, note};
use crate::journal::{Dates, Scribe};
use crate::plan::{Plan, SLOTS, STACK_BYTES};
use crate::pulse::Pulse;
use crate::sentences::{Sentences, Watcher};
use crate::state::{Keeper, Kept, Reference, Store};
use crate::voice::Voice;
use crate::wiring::{self, Eye, Look};

/// How often the program tells how it is.
const PULSE_US: u64 = 60_000_000;

/// First and longest wait before a lost source is opened again. A source that was back for less than the longest is
/// waited for twice as long the next time, so that a loose plug does not flood the log.
const FIRST_WAIT_US: u64 = 500_000;
const LONGEST_WAIT_US: u64 = 30_000_000;

/// How often a waiting thread looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where pictures come from, and how to open it again.
#[derive(Clone, Debug)]
enum Wish {
    Camera(ocelli_drivers::CameraConfig),
    Pipe(ocelli_drivers::PipeConfig),
    Clip(std::path::PathBuf),
}

/// Damaged pictures in a row after which a source counts as lost: five seconds of those that the model would see.
const MOST_DAMAGED: u32 = 25;

/// How far behind its arrival the time stamp of a live picture may lie before it is not believed.
const MOST_DELAY_US: u64 = 1_000_000;

impl Wish {
    fn new(clip: Option<&Path>, camera: &CameraTable, stop: &Arc<AtomicBool>) -> Self {
        if let Some(clip) = clip {
            return Self::Clip(clip.to_path_buf());
        }
        if let Some(command) = &camera.command {
            let pipe = camera.pipe(command);
            return Self::Pipe(ocelli_drivers::PipeConfig { stop: Arc::clone(stop), ..pipe });
        }
        let first = || list_cameras().into_iter().find(|camera| camera.captures).map(|camera| camera.path);
        let device = camera.device.clone().or_else(first);
        let device = device.unwrap_or_else(|| Path::new("/dev/video0").to_path_buf());
        Self::Camera(camera.camera(&device))
    }

    fn open(&self) -> Result<Source, DriverError> {
        match self {
            Self::Camera(config) => Camera::open(config).map(Source::Camera),
            Self::Pipe(config) => Pipe::open(config).map(Source::Pipe),
            Self::Clip(path) => Clip::open(path).map(Source::Clip),
        }
    }

    /// Its name in messages.
    fn name(&self) -> String {
        match self {
            Self::Camera(config) => config.path.display().to_string(),
            Self::Pipe(config) => format!("the command `{}`", config.command),
            Self::Clip(path) => path.display().to_string(),
        }
    }

    /// A clip that ends badly is over; a camera or command may come back.
    fn may_return(&self) -> bool {
        !matches!(self, Self::Clip(_))
    }
}

/// A message, and the index of the camera that it is of.
type Sent<S> = (usize, Message<S>);

/// From one thread to the next. All times are stream time, and for one camera they never go back.
enum Message<S> {
    Picture {
        slot: S,
        look: Look,
        captured_us: Micros,
        counts: Counts,
    },
    /// Once a loss, however often opening it again fails; also where one of several cameras is not there at the start, or
    /// has ended.
    Lost {
        seen_us: Micros,
        at_us: Micros,
        why: String,
    },
    /// The first picture after a loss is here.
    Back {
        seen_us: Micros,
        at_us: Micros,
    },
}

/// What the capture thread counted since the last picture.
#[derive(Clone, Copy, Default)]
struct Counts {
    pictures: u64,
    late: u64,
    damaged: u64,
    lost: u64,
    decode_us: Micros,
}

/// Narrates until the clip ends, the time is over or somebody stops it.
pub fn command(args: &RunArgs) -> Result<(), Error> {
    let config = args.config()?;
    config.check().map_err(ConfigError::Usage)?;
    let stop = Arc::new(AtomicBool::new(false));
    let wish = |camera| Wish::new(args.clip.as_deref(), camera, &stop);
    let wishes: Vec<Wish> = config.cameras.iter().map(wish).collect();
    let count = wishes.len();
    let pack = wiring::open_pack(&config.pack)?;
    let of_pack = pack.clone();
    let own = config.vocabulary.as_deref().map(|path| Sentences::read(path, &of_pack)).transpose()?;
    let pack = match &own {
        Some(own) => wiring::with_sentences(pack, own),
        None => pack,
    };
    let budget_bytes = config.budget_bytes(pack.manifest.budget.memory_bytes);
    let fence = config.enforce.then(|| Fence::enter(budget_bytes));
    let budget_bytes = fence.as_ref().map_or(budget_bytes, Fence::budget_bytes);
    let (pack, stab, narrator) = wiring::load_models(pack)?;
    let plan = Plan::new(budget_bytes, &config, &pack, &stab, &narrator, config.cameras[0].size_px)
        .with_further(&config.cameras[1..], &pack);
    plan.require()?;
    if let Some(fence) = fence {
        note(fence.close(&plan)?);
    }
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second one ends the program at once, should it hang in an output that takes nothing.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|source| Error::System { what: "to catch signals", source })?;
    }
    let live = args.clip.is_none();
    let memory = wiring::memory(&pack, config.profile);
    let state = config.memory.state.as_deref().filter(|_| live);
    if config.memory.state.is_some() && !live {
        note("a clip is not remembered: the memory of a camera or command is kept, not its");
    }
    let mut stores = Vec::new();
    for camera in &config.cameras {
        stores.push(state.map(|folder| Store::open(folder, &camera.name, &pack, memory)).transpose()?);
    }
    let mut kept: Vec<Option<Kept>> = Vec::new();
    for store in &stores {
        kept.push(store.as_ref().map_or(Ok(None), Store::load)?);
    }
    let now_unix_ms = SystemClock::new().unix_ms();
    // One clock for all: it goes on where the last of them would.
    let resumed = kept.iter().flatten().map(|kept| kept.resume_us(now_unix_ms));
    let start_us = resumed.max().unwrap_or_default();
    let clock = SystemClock::starting_at(start_us);
    let voice = Voice::open(&config, live.then(|| now_unix_ms.saturating_sub(start_us.0 / 1000)))?;
    let dates = if live { Dates::Clock(clock) } else { Dates::Unknown };
    let mut voice = voice.kept_by(Scribe::open(&config.journal, dates, start_us, false)?);
    for fault in own.iter().flat_map(Sentences::faults) {
        note(&fault);
        voice.tell(0, EventKind::Health, (start_us, start_us), &fault)?;
    }
    let every_us = Micros::from_seconds(config.memory.save_every_s);
    let no_thread = |source| Error::System { what: "a thread", source };
    let watcher = own.as_ref().map(|own| Watcher::start(own, of_pack, Arc::clone(&stop)));
    let watcher = watcher.transpose().map_err(no_thread)?;

    // What all cameras share: weights, narrator, plan, and the slots behind STAB.
    let narrator = RefCell::new(narrator);
    let mut stabs = vec![stab];
    for _ in 1..count {
        stabs.push(stabs[0].sibling()?);
    }
    let plan = Arc::new(Mutex::new(plan));
    let hopeful = Arc::new(AtomicUsize::new(count));
    // Room for each camera's slots: one that is busy does not keep another from sending.
    let (tell, pictures) = sync_channel(SLOTS * count);
    let (tell_tokens, messages) = sync_channel(SLOTS);
    let (give_tokens, token_slots) = sync_channel(SLOTS);
    let (mut cameras, mut captures, mut gives) = (Vec::new(), Vec::new(), Vec::new());
    for (camera, ((wish, store), kept)) in wishes.into_iter().zip(stores).zip(kept).enumerate() {
        let mut eye = Eye::new(&pack)?;
        let picture = Reference::default();
        let memory = match kept {
            None => wiring::blank(&pack, config.profile)?,
            Some(Kept { mut memory, picture: last, .. }) => {
                if let Some((pixels, content)) = &last {
                    eye.resume(pixels, *content);
                }
                *picture.lock().expect("nobody else has it yet") = last;
                let (from_us, report) = (memory.last_us(), memory.report());
                memory.hole(from_us, start_us, HoleCause::Restart);
                let (scenes, away_s) = (report.segments, start_us.since(from_us).seconds());
                let of = if count > 1 { format!("{}: ", voice.name(camera)) } else { String::new() };
                note(format_args!(
                    "{of}remembering {scenes} scenes and {} frames; not running for {away_s:.0} s",
                    report.entries
                ));
                memory
            }
        };
        let keeper = store.map(|store| Keeper::start(store, Arc::clone(&picture), &memory, every_us, start_us));
        let keeper = keeper.transpose().map_err(no_thread)?;
        let (give, slots) = sync_channel(SLOTS);
        for _ in 0..SLOTS {
            give.send(PatchSlot::new(pack.grid)).expect("the other end should be in this function");
        }
        gives.push(give);
        captures.push(Capture {
            camera,
            wish,
            eye,
            reference: keeper.is_some().then_some(picture),
            slots,
            tell: tell.clone(),
            stop: Arc::clone(&stop),
            picture: SizePx::new(1, 1),
            plan: Arc::clone(&plan),
            hopeful: Arc::clone(&hopeful),
            alone: count == 1,
            clock,
            start_us,
            damaged_in_a_row: 0,
            seen_us: None,
            lost_us: None,
            counts: Counts::default(),
            spare: None,
        });
        let head = wiring::taught(&pack, &narrator, &config.cameras[camera])?;
        let (rules, texts) = alerts::of_camera(&config, camera, &pack)?;
        let mind = Mind::new(head, memory, wiring::lexicon(&pack, &pack.vocabulary)?).watching(rules);
        cameras.push(Watched { texts, ..Watched::new(mind, keeper, start_us) });
    }
    drop(tell);
    for _ in 0..SLOTS {
        give_tokens.send(cameras[0].mind.slot()).expect("the other end should be in this function");
    }
    let encode = Encode { stabs, pictures, gives, slots: token_slots, tell: tell_tokens, clock };
    let thread = |name: &str| thread::Builder::new().name(name.into()).stack_size(STACK_BYTES);
    let captures = captures
        .into_iter()
        .map(|capture| thread("capture").spawn(in_pool(Pool::Capture, move || capture.run())))
        .collect::<io::Result<Vec<_>>>()
        .map_err(no_thread)?;
    let encode = thread("stab").spawn(in_pool(Pool::Stab, move || encode.run())).map_err(no_thread)?;
    let (vocabulary, week) = (Arc::clone(&pack.vocabulary), WeekClock::new(&config));
    let mut think = Think { cameras, voice, pack: &pack, narrator: &narrator, vocabulary, watcher, dates, week };
    let limit_us = args.seconds.map(|seconds| start_us + Micros::from_seconds(seconds));
    let thought = think.run(&messages, &give_tokens, &stop, limit_us, &clock, live);
    // A capture thread may hang in a device that is silent, and the next one waits for it; they are told, and not waited
    // for longer than this.
    stop.store(true, Ordering::Relaxed);
    drop((messages, give_tokens));
    let until = SystemClock::new();
    while !(captures.iter().all(JoinHandle::is_finished) && encode.is_finished()) && until.now() < Micros(1_000_000) {
        thread::sleep(Duration::from_millis(5));
    }
    let mut captured = Ok(());
    for (camera, capture) in think.cameras.iter_mut().zip(captures) {
        let (ended, counts) = ended(capture).unwrap_or((Ok(()), Counts::default()));
        camera.count(counts);
        captured = captured.and(ended);
    }
    let encoded = ended(encode).unwrap_or(Ok(()));
    let saved = think.save(&clock);
    let kept = think.voice.finish(clock.now());
    think.sum_up(start_us, thought.is_ok() && captured.is_ok());
    thought?;
    encoded?;
    captured?;
    saved?;
    kept
}

/// The work of a thread whose allocations are counted to `pool`.
fn in_pool<T>(pool: Pool, work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        CountingAlloc::join(pool);
        work()
    }
}

/// What a thread came to, if it has ended.
fn ended<T>(thread: JoinHandle<T>) -> Option<T> {
    thread.is_finished().then(|| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// The thread between capture and thinking.
struct Encode {
    /// One a camera.
    stabs: Vec<Stab>,
    pictures: Receiver<Sent<PatchSlot>>,
    /// One a camera.
    gives: Vec<SyncSender<PatchSlot>>,
    slots: Receiver<TokenSlot>,
    tell: SyncSender<Sent<TokenSlot>>,
    clock: SystemClock,
}

impl Encode {
    /// Until one of its neighbours has gone.
    fn run(mut self) -> Result<(), Error> {
        while let Ok((camera, message)) = self.pictures.recv() {
            let message = match message {
                Message::Picture { slot: patches, look, captured_us, counts } => {
                    let Ok(mut slot) = self.slots.recv() else { break };
                    let filled: Result<(), StepError<InferError, InferError>> =
                        slot.fill(&mut self.stabs[camera], &patches.batch(), &self.clock);
                    filled?;
                    // The capture thread may have ended with its stream: then nobody wants the slot.
                    let _ = self.gives[camera].try_send(patches);
                    Message::Picture { slot, look, captured_us, counts }
                }
                Message::Lost { seen_us, at_us, why } => Message::Lost { seen_us, at_us, why },
                Message::Back { seen_us, at_us } => {
                    self.stabs[camera].reset()?;
                    Message::Back { seen_us, at_us }
                }
            };
            if self.tell.send((camera, message)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

struct Capture {
    camera: usize,
    wish: Wish,
    eye: Eye,
    /// Where the picture goes that a snapshot holds.
    reference: Option<Reference>,
    slots: Receiver<PatchSlot>,
    tell: SyncSender<Sent<PatchSlot>>,
    stop: Arc<AtomicBool>,
    /// That of all cameras, with the pictures that they really give.
    plan: Arc<Mutex<Plan>>,
    /// Cameras that gave a picture, or have not failed yet.
    hopeful: Arc<AtomicUsize>,
    /// Whether there is no other camera.
    alone: bool,
    /// The largest picture that the plan was asked about.
    picture: SizePx,
    clock: SystemClock,
    /// Stream time at the start.
    start_us: Micros,
    damaged_in_a_row: u32,
    /// Stream time of the newest picture, once one could be read.
    seen_us: Option<Micros>,
    /// Stream time of the last picture before a loss that lasts, or of the start.
    lost_us: Option<Micros>,
    counts: Counts,
    /// A slot whose picture was damaged, for the next picture.
    spare: Option<PatchSlot>,
}

impl Capture {
    /// Until the stream ends or the think thread has gone; also gives what was counted since the last picture.
    fn run(mut self) -> (Result<(), Error>, Counts) {
        let ended = self.keep_watching();
        if !self.alone && !self.stop.load(Ordering::Relaxed) {
            if ended.is_ok() {
                let why = format!("{} has ended, and is not opened again", self.wish.name());
                let _ = self.lose(why);
            } else {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
        (ended, self.counts)
    }

    /// A source that gives no first picture is an error, unless another camera gives one or may do so yet; one that is lost
    /// later is opened again, whatever the error says: what a camera answers while it comes back is no verdict.
    fn keep_watching(&mut self) -> Result<(), Error> {
        let mut wait_us = Micros(FIRST_WAIT_US);
        loop {
            let opened_us = self.clock.now();
            let error = match self.watch() {
                Err(Error::Source(error)) if !self.stop.load(Ordering::Relaxed) => error,
                Err(Error::Source(_)) => return Ok(()),
                done => return done,
            };
            if !self.wish.may_return() {
                return Err(error.into());
            }
            if self.lost_us.is_none() {
                if self.seen_us.is_none() && self.hopeful.fetch_sub(1, Ordering::Relaxed) == 1 {
                    return Err(error.into());
                }
                let why = format!("{error}; trying again");
                if !self.lose(why) {
                    return Ok(());
                }
            }
            let seen_us = self.seen_us.unwrap_or(self.start_us);
            let at_us = self.clock.now().max(seen_us);
            if seen_us.since(opened_us) >= Micros(LONGEST_WAIT_US) {
                wait_us = Micros(FIRST_WAIT_US);
            }
            if !self.sleep_until(at_us + wait_us) {
                return Ok(());
            }
            wait_us = Micros(wait_us.0 * 2).min(Micros(LONGEST_WAIT_US));
            self.damaged_in_a_row = 0;
            self.eye.forget();
        }
    }

    /// Tells of a loss; `false` if nobody hears it.
    fn lose(&mut self, why: String) -> bool {
        let seen_us = self.seen_us.unwrap_or(self.start_us);
        let at_us = self.clock.now().max(seen_us);
        self.lost_us = Some(seen_us);
        self.tell.send((self.camera, Message::Lost { seen_us, at_us, why })).is_ok()
    }

    /// Opens the source and watches it to its end or its loss.
    fn watch(&mut self) -> Result<(), Error> {
        let mut source = self.wish.open()?;
        if let Source::Clip(clip) = &source {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            *plan = plan.clone().with_index(clip.index_bytes());
            drop(plan);
            self.require(clip.size_px().unwrap_or(self.picture))?;
        }
        let (mut zero_us, mut next_seq) = (None, None);
        while !self.stop.load(Ordering::Relaxed) {
            let asked_us = self.clock.now();
            let frame = match source.next() {
                Ok(Some(frame)) => frame,
                Ok(None) if self.seen_us.is_none() => {
                    return Err(DriverError::NoPicture { from: self.wish.name() }.into());
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.bear(error)?;
                    continue;
                }
            };
            let now_us = self.clock.now();
            self.counts.pictures += 1;
            self.counts.decode_us = now_us - asked_us;
            self.counts.lost += frame.seq.0.saturating_sub(next_seq.unwrap_or(frame.seq.0));
            next_seq = Some(frame.seq.0 + 1);
            let zero_us = zero_us.get_or_insert(now_us);
            let Some(captured_us) = self.date(frame.captured_us, zero_us, now_us) else { return Ok(()) };
            match self.require(frame.size_px) {
                // The header of one damaged JPEG may claim any size.
                Err(Error::Budget(over)) if self.seen_us.is_some() && matches!(frame.pixels, Pixels::Jpeg(_)) => {
                    self.bear(DriverError::BadPicture { why: over.to_string() })?;
                    continue;
                }
                planned => planned?,
            }
            if !self.eye.wants(captured_us) {
                self.seen_us = self.seen_us.map(|_| captured_us);
                continue;
            }
            let Some(mut slot) = self.spare.take().or_else(|| self.slots.try_recv().ok()) else {
                self.counts.late += 1;
                continue;
            };
            let look = match self.eye.look(&frame, captured_us, &mut slot, &self.clock) {
                Ok(look) => look,
                Err(error) => {
                    self.spare = Some(slot);
                    self.bear(error)?;
                    continue;
                }
            };
            self.show(&look);
            self.damaged_in_a_row = 0;
            let first = self.seen_us.replace(captured_us).is_none();
            if let Some(seen_us) = self.lost_us.take() {
                self.hopeful.fetch_add(usize::from(first), Ordering::Relaxed);
                if self.tell.send((self.camera, Message::Back { seen_us, at_us: captured_us })).is_err() {
                    return Ok(());
                }
            }
            let counts = std::mem::take(&mut self.counts);
            if self.tell.send((self.camera, Message::Picture { slot, look, captured_us, counts })).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Shares the picture with who saves it, each time that all of it was sent.
    fn show(&self, look: &Look) {
        let Some((shared, (pixels, content))) = self.reference.as_ref().zip(self.eye.reference()) else { return };
        if look.gate.sent as usize == self.eye.patches() {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (held, of) = shared.get_or_insert_with(|| (vec![0; pixels.len()], content));
            held.copy_from_slice(pixels);
            *of = content;
        }
    }

    /// Stream time of a picture; `None` if the program is to stop. `zero_us` is when this opening's time began.
    ///
    /// A clip brings its times and waits for them. A live picture is dated by its stamp, counted from the arrival of
    /// the first, as far as that is no later than now and not long before it: drivers stamp zeros and future times.
    fn date(&self, stamp_us: Micros, zero_us: &mut Micros, now_us: Micros) -> Option<Micros> {
        let seen_us = self.seen_us.unwrap_or_default();
        if !self.wish.may_return() {
            return self.sleep_until(*zero_us + stamp_us).then_some(stamp_us.max(seen_us));
        }
        let stamped_us = *zero_us + stamp_us;
        if stamped_us > now_us || now_us.since(stamped_us) > Micros(MOST_DELAY_US) {
            // Count anew from here, so that a clock that was set does no lasting harm.
            *zero_us = now_us.since(stamp_us);
            return Some(now_us.max(seen_us));
        }
        Some(stamped_us.max(seen_us))
    }

    /// Counts a damaged picture, unless there are too many or the error is another.
    fn bear(&mut self, error: DriverError) -> Result<(), Error> {
        if error.fault() != Fault::Retry {
            return Err(error.into());
        }
        self.counts.damaged += 1;
        self.damaged_in_a_row += 1;
        if self.wish.may_return() && self.damaged_in_a_row >= MOST_DAMAGED {
            return Err(error.into());
        }
        Ok(())
    }

    /// Whether the plan holds with pictures of this size.
    fn require(&mut self, picture: SizePx) -> Result<(), Error> {
        if picture.area() > self.picture.area() {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            let real = plan.with_picture(self.camera, picture);
            real.require()?;
            (*plan, self.picture) = (real, picture);
        }
        Ok(())
    }

    /// `false` if the program is to stop.
    fn sleep_until(&self, until_us: Micros) -> bool {
        loop {
            let left_us = until_us.since(self.clock.now());
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            if left_us == Micros(0) {
                return true;
            }
            thread::sleep(Duration::from_micros(left_us.0).min(PATIENCE));
        }
    }
}

/// What the think thread holds of a camera.
struct Watched<'a> {
    /// With the narrator of all.
    mind: Mind<Taught<'a>>,
    /// What its standing conditions tell.
    texts: Vec<String>,
    keeper: Option<Keeper>,
    pulse: Pulse,
    pulse_us: Micros,
    now_us: Micros,
    /// Whether the date of time 0 was told.
    greeted: bool,
}

impl<'a> Watched<'a> {
    fn new(mind: Mind<Taught<'a>>, keeper: Option<Keeper>, start_us: Micros) -> Self {
        let (pulse, texts) = (Pulse::default(), Vec::new());
        Self { mind, texts, keeper, pulse, pulse_us: start_us, now_us: start_us, greeted: false }
    }

    fn count(&mut self, counts: Counts) {
        self.pulse.pictures += counts.pictures;
        self.pulse.late += counts.late;
        self.pulse.damaged += counts.damaged;
        self.pulse.lost += counts.lost;
        if counts.pictures > 0 {
            self.pulse.decode.add(counts.decode_us);
        }
    }
}

struct Think<'a> {
    cameras: Vec<Watched<'a>>,
    voice: Voice,
    pack: &'a Pack,
    /// That of all cameras.
    narrator: &'a RefCell<Narrator>,
    /// What can be said now.
    vocabulary: Arc<Vocabulary>,
    /// Of the user's sentences, where a file is named.
    watcher: Option<Watcher>,
    dates: Dates,
    week: WeekClock,
}

impl Think<'_> {
    /// Saves the memories a last time.
    fn save(&mut self, clock: &impl Clock) -> Result<(), Error> {
        let mut saved = Ok(());
        for camera in &mut self.cameras {
            let keeper = camera.keeper.take();
            saved = saved
                .and(keeper.map_or(Ok(()), |keeper| keeper.finish(camera.mind.memory(), clock.now(), clock.unix_ms())));
        }
        saved
    }

    /// What was counted since the last pulses, where all went well or there is something to tell.
    fn sum_up(&self, start_us: Micros, well: bool) {
        for (index, Watched { pulse, pulse_us, .. }) in self.cameras.iter().enumerate() {
            if pulse.pictures == 0 && !well {
                continue;
            }
            let of = if self.cameras.len() > 1 { format!("{}: ", self.voice.name(index)) } else { String::new() };
            let since = if *pulse_us > start_us { "since the last pulse: " } else { "" };
            note(format_args!("{of}{since}{pulse}; {} events in all", self.voice.said()));
        }
    }

    /// Until the threads before have gone, `stop` is set or `limit_us` are over. The time of a `live` source goes on while
    /// it gives no pictures.
    fn run(
        &mut self,
        messages: &Receiver<Sent<TokenSlot>>,
        give: &SyncSender<TokenSlot>,
        stop: &AtomicBool,
        limit_us: Option<Micros>,
        clock: &impl Clock,
        live: bool,
    ) -> Result<(), Error> {
        let mut events = EventBuf::new();
        // What is captured now has not arrived yet, and time must not go back when it does: it may have waited for two pictures
        // of each camera in STAB's queue and two in this one, and a model that takes longer is too slow anyway.
        let behind_us = Micros((SLOTS * self.cameras.len() + SLOTS + 1) as u64 * MOST_DELAY_US);
        let over = |now_us: Option<Micros>| limit_us.is_some_and(|limit| now_us.max(Some(clock.now())) >= Some(limit));
        while !stop.load(Ordering::Relaxed) && !over(self.cameras.iter().map(|camera| camera.now_us).max()) {
            let heard = match messages.recv_timeout(PATIENCE) {
                Ok((camera, message)) => {
                    self.hear(camera, message, give, clock, live, &mut events)?;
                    Some(camera)
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            for index in 0..self.cameras.len() {
                let camera = &mut self.cameras[index];
                if live && heard != Some(index) {
                    camera.now_us = camera.now_us.max(clock.now().since(behind_us));
                }
                self.tick(index, clock)?;
            }
            self.follow()?;
        }
        Ok(())
    }

    /// Says from now on what the user's file says, where that has changed.
    fn follow(&mut self) -> Result<(), Error> {
        let Some(news) = self.watcher.as_ref().and_then(Watcher::news) else { return Ok(()) };
        let lexicon =
            |now: Arc<Vocabulary>| Ok((wiring::lexicon(self.pack, &now).map_err(|error| error.to_string())?, now));
        let text = match news.and_then(lexicon) {
            Ok((lexicon, now)) => {
                self.relearn(now, &lexicon)?;
                let own = self.vocabulary.entries.len() - self.vocabulary.of_pack();
                format!("the vocabulary has changed; sentences of yours: {own}")
            }
            Err(why) => format!("the vocabulary stays as it was: {why}"),
        };
        let now_us = self.cameras[0].now_us;
        self.voice.tell(0, EventKind::Health, (now_us, now_us), &text)
    }

    /// Gives all cameras another vocabulary. Alerts on sentences that have gone are over.
    fn relearn(&mut self, now: Arc<Vocabulary>, lexicon: &Lexicon) -> Result<(), Error> {
        self.narrator.borrow_mut().relearn(Arc::clone(&now));
        let before = std::mem::replace(&mut self.vocabulary, now);
        let now = &self.vocabulary;
        let kind_now = |kind: &String| now.kinds.iter().position(|new| new == kind);
        let entry_now = |text: &str| now.entries.iter().position(|entry| entry.text == text);
        let kinds: Vec<Option<usize>> = before.kinds.iter().map(kind_now).collect();
        let entries: Vec<Option<usize>> = before.entries.iter().map(|entry| entry_now(&entry.text)).collect();
        for (index, Watched { mind, now_us, .. }) in self.cameras.iter_mut().enumerate() {
            let over = mind.relearn(lexicon.clone(), &kinds, &entries, *now_us);
            mind.head_mut().relearn(&before);
            if let Some(over) = over {
                self.voice.say(index, &over, &before, mind.head())?;
            }
        }
        Ok(())
    }

    /// Takes what a camera's threads say.
    fn hear(
        &mut self,
        index: usize,
        message: Message<TokenSlot>,
        give: &SyncSender<TokenSlot>,
        clock: &impl Clock,
        live: bool,
        events: &mut EventBuf,
    ) -> Result<(), Error> {
        let camera = &mut self.cameras[index];
        match message {
            Message::Picture { slot, look, captured_us, counts } => {
                if live && !std::mem::replace(&mut camera.greeted, true) {
                    // A clock that stands before the stream's beginning is wrong, and so would the date be.
                    let text = match clock.unix_ms().checked_sub(clock.now().0 / 1000) {
                        Some(start_ms) => {
                            let start = UNIX_EPOCH + Duration::from_millis(start_ms);
                            format!("watching; time 0 is {}", humantime::format_rfc3339_millis(start))
                        }
                        None => "watching; the date of time 0 is unknown, for this machine's clock is not set".into(),
                    };
                    self.voice.tell(index, EventKind::Health, (captured_us, captured_us), &text)?;
                }
                camera.pulse.looked(&look);
                camera.count(counts);
                camera.now_us = captured_us;
                let report = camera.mind.take::<InferError>(&slot, clock, events)?;
                camera.pulse.thought(report.encode_us, report.describe_us);
                let minute = self.dates.of(captured_us).and_then(|unix_ms| self.week.minute(unix_ms));
                let mut alerted = AlertBuf::new();
                camera.mind.judge(&slot, minute, &mut alerted);
                // As in `Encode`.
                let _ = give.try_send(slot);
                for spoken in &*events {
                    self.voice.say(index, spoken, &self.vocabulary, camera.mind.head())?;
                }
                for alert in &alerted {
                    self.voice.alert(index, alert, &camera.texts[alert.rule], &self.vocabulary.kinds)?;
                }
                for (_, other) in self.cameras.iter_mut().enumerate().filter(|(other, _)| *other != index) {
                    other.pulse.seen_of_others += 1;
                }
            }
            Message::Lost { seen_us, at_us, why } => {
                camera.now_us = at_us;
                self.voice.tell(index, EventKind::Blind, (seen_us, at_us), &why)?;
            }
            Message::Back { seen_us, at_us } => {
                camera.now_us = at_us;
                camera.mind.memory_mut().hole(seen_us, at_us, HoleCause::Blind);
                camera.mind.blind();
                let again = if camera.greeted { " again" } else { "" };
                let text = format!("seeing{again} after {:.1} s", at_us.since(seen_us).seconds());
                self.voice.sees(index, at_us);
                self.voice.tell(index, EventKind::Health, (seen_us, at_us), &text)?;
            }
        }
        Ok(())
    }

    /// Saves and tells what is due.
    fn tick(&mut self, index: usize, clock: &impl Clock) -> Result<(), Error> {
        let Watched { mind, keeper, pulse, pulse_us, now_us, .. } = &mut self.cameras[index];
        let news = keeper.as_mut().and_then(|keeper| keeper.tick(mind.memory(), clock.now(), clock.unix_ms()));
        for text in news.into_iter().chain(self.voice.news()) {
            self.voice.tell(index, EventKind::Health, (*now_us, *now_us), &text)?;
        }
        if now_us.since(*pulse_us) >= Micros(PULSE_US) {
            let text = pulse.to_string();
            self.voice.pulse(index, (*pulse_us, *now_us), &text)?;
            (*pulse, *pulse_us) = (Pulse::default(), *now_us);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ocelli_types::{ColorMatrix, Frame, FrameSeq, PixelRange};

    use super::*;
    use crate::config::{Config, Profile};

    /// What STAB remembers of the time before a loss must not show in the pictures after it.
    #[test]
    fn stab_forgets_what_it_saw_before_a_loss() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root");
        let tiny = root.join("models/tiny-test");
        let tiny = tiny.to_str().expect("a plain path");
        let mut eye = Eye::new(&wiring::load(tiny).expect("the pack of the tests").0).expect("it is consistent");
        let mut tokens_after = |before: &[Message<()>], levels: &[u8]| {
            let (pack, stab, narrator) = wiring::load(tiny).expect("the pack of the tests");
            let (stab, mind) =
                wiring::thinking(&pack, Profile::Home, stab, narrator).expect("it is consistent").split();
            let (tell_patches, pictures) = sync_channel(20);
            let (tell, messages) = sync_channel(20);
            let (give, _patches) = sync_channel(20);
            let (give_tokens, slots) = sync_channel(20);
            (0..20).for_each(|_| give_tokens.send(mind.slot()).expect("there is room"));
            let mut picture = |level: u8| {
                eye.forget();
                let grey = [level; 64 * 48];
                let frame = Frame {
                    pixels: Pixels::Gray { data: &grey, stride: 64 },
                    size_px: SizePx::new(64, 48),
                    range: PixelRange::Full,
                    matrix: ColorMatrix::Bt601,
                    seq: FrameSeq(0),
                    captured_us: Micros(0),
                };
                let mut slot = PatchSlot::new(pack.grid);
                let look = eye.look(&frame, Micros(0), &mut slot, &SystemClock::new()).expect("a plain picture");
                Message::Picture { slot, look, captured_us: Micros(0), counts: Counts::default() }
            };
            for message in before {
                let message = match message {
                    Message::Picture { .. } => picture(200),
                    Message::Lost { .. } => Message::Lost { seen_us: Micros(0), at_us: Micros(0), why: "gone".into() },
                    Message::Back { .. } => Message::Back { seen_us: Micros(0), at_us: Micros(0) },
                };
                tell_patches.send((0, message)).expect("there is room");
            }
            levels.iter().for_each(|level| tell_patches.send((0, picture(*level))).expect("there is room"));
            drop(tell_patches);
            let (stabs, gives) = (vec![stab], vec![give]);
            Encode { stabs, pictures, gives, slots, tell, clock: SystemClock::new() }.run().expect("nothing fails");
            let slots = messages.iter().filter_map(|(_, message)| match message {
                Message::Picture { slot, .. } => Some(slot.values().to_vec()),
                _ => None,
            });
            slots.collect::<Vec<_>>().split_off(before.iter().filter(|m| matches!(m, Message::Picture { .. })).count())
        };
        let look = Look {
            gate: ocelli_pipeline::GateReport::default(),
            fit_us: Micros(0),
            gate_us: Micros(0),
            allocations: [0; 2],
        };
        let seen = || Message::Picture { slot: (), look, captured_us: Micros(0), counts: Counts::default() };
        let lost = Message::Lost { seen_us: Micros(0), at_us: Micros(0), why: String::new() };
        let back = Message::Back { seen_us: Micros(0), at_us: Micros(0) };
        let fresh = tokens_after(&[], &[90, 91]);
        assert_eq!(tokens_after(&[seen(), seen(), lost, back], &[90, 91]), fresh);
        assert_ne!(tokens_after(&[seen(), seen()], &[90, 91]), fresh, "without a loss it remembers");
    }

    /// The pack of the tests, as the think thread has it with cameras of these names, and what they say.
    fn thought(
        names: &[&str],
        live: bool,
        send: impl FnOnce(&mut dyn FnMut(usize, u64, Option<Message<()>>)),
    ) -> Vec<serde_json::Value> {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut config = Config::default();
        config.output.json = true;
        config.output.file = Some(folder.path().join("events.jsonl"));
        config.cameras =
            names.iter().map(|name| CameraTable { name: (*name).into(), ..CameraTable::default() }).collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root");
        let tiny = root.join("models/tiny-test");
        let (pack, mut stab, narrator) =
            wiring::load(tiny.to_str().expect("a plain path")).expect("the pack of the tests");
        let narrator = RefCell::new(narrator);
        let watched = |_| {
            let memory = wiring::blank(&pack, Profile::Home).expect("it is consistent");
            let head = wiring::taught(&pack, &narrator, &CameraTable::default()).expect("without lessons");
            let lexicon = wiring::lexicon(&pack, &pack.vocabulary).expect("consistent");
            Watched::new(Mind::new(head, memory, lexicon), None, Micros(0))
        };
        let cameras: Vec<Watched<'_>> = names.iter().map(watched).collect();
        let mut slots: Vec<TokenSlot> = (0..=150).map(|_| cameras[0].mind.slot()).collect();
        let voice = Voice::open(&config, None).expect("it is writable");
        let (vocabulary, week) = (Arc::clone(&pack.vocabulary), WeekClock::new(&config));
        let (narrator, watcher, dates) = (&narrator, None, Dates::Unknown);
        let mut think = Think { cameras, voice, pack: &pack, narrator, vocabulary, watcher, dates, week };
        let (tell, messages) = sync_channel(500);
        let (give, _slots) = sync_channel(SLOTS);
        let mut eye = Eye::new(&pack).expect("it is consistent");
        let grey = [128; 64 * 48];
        send(&mut |camera, n, other| {
            let message = match other {
                Some(Message::Lost { seen_us, at_us, why }) => Message::Lost { seen_us, at_us, why },
                Some(Message::Back { seen_us, at_us }) => Message::Back { seen_us, at_us },
                Some(Message::Picture { .. }) | None => {
                    let captured_us = Micros(n * 1_000_000);
                    let frame = Frame {
                        pixels: Pixels::Gray { data: &grey, stride: 64 },
                        size_px: SizePx::new(64, 48),
                        range: PixelRange::Full,
                        matrix: ColorMatrix::Bt601,
                        seq: FrameSeq(n),
                        captured_us,
                    };
                    let mut patches = PatchSlot::new(pack.grid);
                    let look =
                        eye.look(&frame, captured_us, &mut patches, &SystemClock::new()).expect("a plain picture");
                    let counts = Counts { pictures: 3, late: 1, ..Counts::default() };
                    let mut slot = slots.pop().expect("one a picture");
                    let filled: Result<(), StepError<InferError, InferError>> =
                        slot.fill(&mut stab, &patches.batch(), &SystemClock::new());
                    filled.expect("it runs");
                    Message::Picture { slot, look, captured_us, counts }
                }
            };
            tell.send((camera, message)).expect("there is room");
        });
        drop(tell);
        think.run(&messages, &give, &AtomicBool::new(false), None, &SystemClock::new(), live).expect("nothing fails");
        let text = std::fs::read_to_string(folder.path().join("events.jsonl")).expect("it was written");
        text.lines().map(|line| line.parse().expect("JSON")).collect()
    }

    fn second(n: u64) -> Micros {
        Micros(n * 1_000_000)
    }

    fn text(event: &serde_json::Value) -> &str {
        event["text"].as_str().expect("a text")
    }

    /// Minutes of stream in a moment: the messages bring their times.
    #[test]
    fn a_pulse_tells_of_each_minute_and_nothing_goes_back_in_time() {
        let events = thought(&["camera"], true, |send| {
            for n in 0..=150 {
                // From 70 to 80 s nothing is seen.
                match n {
                    70 => {
                        let (seen_us, at_us) = (second(69), second(70));
                        send(0, n, Some(Message::Lost { seen_us, at_us, why: "unplugged".into() }));
                    }
                    71..80 => {}
                    80 => send(0, n, Some(Message::Back { seen_us: second(69), at_us: second(80) })),
                    _ => send(0, n, None),
                }
            }
        });
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
        assert_eq!(of("blind").len(), 1);
        assert!(text(&events[0]).starts_with("watching; time 0 is 20"), "{events:?}");
        let pulses: Vec<_> = of("health").into_iter().filter(|event| text(event).contains("pictures")).collect();
        let times: Vec<f64> = pulses.iter().filter_map(|event| event["t_end_s"].as_f64()).collect();
        assert_eq!(times, [60.0, 120.0]);
        assert!(text(pulses[0]).starts_with("183 pictures, 61 seen, 61 late"), "{pulses:?}");
        let ends: Vec<f64> = events.iter().filter_map(|event| event["t_end_s"].as_f64()).collect();
        assert!(ends.is_sorted(), "{ends:?}");
    }

    #[test]
    fn each_of_two_cameras_has_its_events_its_time_and_its_pulse() {
        let events = thought(&["hall", "porch"], false, |send| {
            let gone = |at: u64| Message::Lost { seen_us: second(0), at_us: second(at), why: "unplugged".into() };
            send(1, 1, Some(gone(1)));
            for n in 0..70 {
                send(0, n, None);
                if n >= 30 {
                    if n == 30 {
                        send(1, n, Some(Message::Back { seen_us: second(0), at_us: second(30) }));
                    }
                    send(1, n, None);
                }
            }
        });
        let of = |name: &str, kind: &str| -> Vec<&str> {
            let mine = events.iter().filter(|event| event["camera"] == name && event["type"] == kind);
            mine.map(text).collect()
        };
        assert_eq!((of("hall", "blind"), of("porch", "blind")), (vec![], vec!["unplugged"]), "{events:?}");
        let (hall, porch) = (of("hall", "health"), of("porch", "health"));
        assert!(hall.len() == 1 && hall[0].starts_with("183 pictures, 61 seen"), "{hall:?}");
        assert_eq!((porch.len(), porch[0]), (2, "seeing after 30.0 s"), "it was never seen before: {porch:?}");
        assert!(porch[1].starts_with("93 pictures, 31 seen"), "{porch:?}");
        let ids: Vec<u64> = events.iter().filter_map(|event| event["id"].as_u64()).collect();
        assert_eq!(ids, (1..=events.len() as u64).collect::<Vec<_>>(), "one count for all");
    }
}
