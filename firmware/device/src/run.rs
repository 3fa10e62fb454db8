//! `ocelli run`: a camera, a command or a clip in real time, in three threads.
//!
//! The capture thread takes pictures as they come and never waits for the model: a picture that is due while both
//! slots are away is late, counted and left. The STAB thread turns patches into tokens while the think thread (this one),
//! which owns narrator, memory and output, is at the picture before.
//!
//! Of several cameras each has a capture thread with slots of its own, a STAB that shares its weights with the others, and a
//! memory. There is one STAB thread and one think thread, which take what comes in the order in which it comes: a busy
//! camera has as many pictures on their way as any other, and a lost one costs the others nothing.

mod capture;
mod encode;
mod think;

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ocelli_drivers::SystemClock;
use ocelli_heap::{CountingAlloc, Pool};
use ocelli_infer::Pack;
use ocelli_pipeline::{HoleCause, Mind, PatchSlot};
use ocelli_types::{Clock, EventKind, Micros, SizePx};

use self::capture::{Capture, Wish};
use self::encode::Encode;
use self::think::{Standing, Think, Watched};
use crate::additions::Additions;
use crate::alerts::{self, WeekClock};
use crate::cli::RunArgs;
use crate::config::{Config, ConfigError};
use crate::controls::Switches;
use crate::courier;
use crate::enforce::Fence;
use crate::error::{Error, note};
use crate::gateway::{self, Outside};
use crate::journal::{Dates, Scribe};
use crate::moments::Moments;
use crate::panel;
use crate::plain;
use crate::plan::{Plan, SLOTS, STACK_BYTES};
use crate::privacy;
use crate::pulse::Pulse;
use crate::recording::{Archive, Recorder};
use crate::sentences::{self, Loaded, Watcher};
use crate::setup::{LeftOut, Registry};
use crate::signs::Signs;
use crate::state::{Keeper, Kept, Reference, Store};
use crate::supervise::Supervisor;
use crate::thermal::{Shared, Warden};
use crate::threads;
use crate::voice::Voice;
use crate::wiring::{self, Eye, Look};

/// How often a waiting thread looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// How far behind its arrival the time stamp of a live picture may lie before it is not believed.
const MOST_DELAY_US: u64 = 1_000_000;

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
    /// It is still lost, and for another reason than any that was told.
    StillLost {
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

impl Counts {
    fn add_to(self, pulse: &mut Pulse) {
        pulse.pictures += self.pictures;
        pulse.late += self.late;
        pulse.damaged += self.damaged;
        pulse.lost += self.lost;
        if self.pictures > 0 {
            pulse.decode.add(self.decode_us);
        }
    }
}

/// Narrates until the clip ends, the time is over or somebody stops it.
pub fn command(args: &RunArgs) -> Result<(), Error> {
    let mut config = args.config()?;
    config.check().map_err(ConfigError::Usage)?;
    alerts::check_kept(&config)?;
    if let Some(line) = config.layers.line() {
        note(line);
    }
    if config.privacy {
        privacy::hold()?;
    }
    let no_thread = |source| Error::System { what: "a thread", source };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        // The second one ends the program at once, should it hang in an output that takes nothing.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|source| Error::System { what: "to catch signals", source })?;
    }
    // Before all that may fail, and behind the signals: the panel hears of this run and, where it is asked to end, of its end.
    let panel = panel::start(&config).map_err(no_thread)?;
    let wish = |camera| Wish::new(args.clip.as_deref(), camera, &stop);
    let mut wishes = config.cameras.iter().map(wish).collect::<Result<Vec<_>, _>>()?;
    let pack = wiring::open_pack(&config.pack)?;
    let of_pack = pack.clone();
    let own = config.vocabulary.as_deref().map(|path| Loaded::read(path, &of_pack, sentences::MOST)).transpose()?;
    let pack = match &own {
        Some(own) => Pack { vocabulary: Arc::clone(&own.vocabulary), ..pack },
        None => pack,
    };
    plain::understand(&mut config, &pack)?;
    let budget_bytes = config.budget_bytes(pack.manifest.budget.memory_bytes);
    let fence = config.enforce.then(|| Fence::enter(budget_bytes));
    let budget_bytes = fence.as_ref().map_or(budget_bytes, Fence::budget_bytes);
    let (pack, stab, narrator) = wiring::load_models(pack)?;
    let planned = |config: &Config| {
        Plan::new(budget_bytes, config, &pack, &stab, &narrator, config.cameras[0].size_px)
            .with_further(&config.cameras[1..], &pack)
    };
    let mut plan = planned(&config);
    // What was set up when there was more room does not keep the others from running.
    while let (Err(over), true) = (plan.require(), config.added > 0 && config.cameras.len() > 1) {
        let left_out = config.cameras.pop().expect("there is one more than one");
        (config.added, plan) = (config.added - 1, planned(&config));
        wishes.pop();
        config.left_out.push(LeftOut::camera(&left_out.name, over));
    }
    plan.require()?;
    let count = wishes.len();
    if let Some(fence) = fence {
        note(fence.close(&plan)?);
    }
    let live = args.clip.is_none();
    let memory = wiring::memory(&pack, config.profile);
    let state = config.memory.state.as_deref().filter(|_| live);
    if config.alerting.unusual && state.is_none() {
        note("what is usual is learnt anew after each start, for there is no folder for it ([memory] state)");
    }
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
    let start_unix_ms = live.then(|| now_unix_ms.saturating_sub(start_us.0 / 1000));
    let pace = Shared::default();
    let signs = Signs::open(&config, start_unix_ms, budget_bytes, &pace)?;
    let voice = Voice::open(&config, start_unix_ms)?.shown_by(signs);
    let dates = if live { Dates::Clock(clock) } else { Dates::Unknown };
    let voice = voice.seen_on(panel.map(|panel| if count > 1 { panel.naming_cameras() } else { panel }));
    let plan = Arc::new(Mutex::new(plan));
    let archive = Archive::open(&config)?;
    let is_heard = config.gateway.listen.is_some() || courier::is_wanted(&config) || archive.shelf.is_some();
    let outside = is_heard.then(|| Arc::new(Outside::new(&config, dates, Arc::clone(&plan))));
    let voice = voice.heard_by(outside.clone());
    let held = outside.as_ref().map(|outside| outside.held());
    let mut voice = voice.kept_by(Scribe::open(&config.journal, dates, start_us, false, held)?);
    let registry = config.gateway.setup.as_deref().map(|path| Registry::open(path, &config).map(Arc::new));
    let registry = registry.transpose().map_err(ConfigError::Usage)?;
    let added = config.alerting.file.as_deref();
    let added = added.map(|path| Additions::open(path, &config, &pack, registry.clone())).transpose()?;
    let (additions, unread) = added.map(|(additions, faults)| (Arc::new(additions), faults)).unzip();
    let canvases: Vec<_> = config.cameras.iter().map(|_| gateway::canvas(&config, &pack)).collect();
    let switches = Arc::new(Switches::new(config.speak.verbosity, count));
    let house = outside.as_ref().map(|outside| {
        let parts = (canvases.clone(), archive.clone(), additions.clone(), registry.clone());
        gateway::house(&config, &args.common, &pack, outside, parts)
    });
    // They answer until the end, whatever the end is.
    let (_gateway, courier) = match outside.as_ref().zip(house) {
        None => (None, None),
        Some((outside, house)) => {
            (gateway::start(&config, outside, &house)?, courier::start(&config, outside, &house, &switches)?)
        }
    };
    for fault in own
        .iter()
        .flat_map(|own| &own.faults)
        .chain(unread.iter().flatten())
        .chain(config.left_out.iter().map(|left_out| &left_out.why))
    {
        note(fault);
        voice.tell(0, EventKind::Health, (start_us, start_us), fault)?;
    }
    let every_us = Micros::from_seconds(config.memory.save_every_s);
    let (room, verbosity) = (wiring::room(&config, &pack), config.speak.verbosity);
    let watcher = own.map(|own| Watcher::start(&own, of_pack, room, verbosity, Arc::clone(&stop)));
    let watcher = watcher.transpose().map_err(no_thread)?;

    let warden = config.thermal.watches().then(|| Warden::start(&config.thermal, &pace));
    let warden = warden.transpose().map_err(no_thread)?;
    let cpus = threads::here(&config.threads);

    let recorder = match &outside {
        Some(outside) => {
            Recorder::start(&config, (pack.grid, pack.manifest.input.fps), &archive, (outside.feed(), dates))
        }
        None => Ok(None),
    };
    let (recorder, rolls) = recorder.map_err(no_thread)?.unzip();
    let mut rolls = rolls.into_iter().flatten();

    // What all cameras share: weights, narrator, plan, and the slots behind STAB.
    let narrator = RefCell::new(narrator);
    let mut stabs = vec![stab];
    for _ in 1..count {
        stabs.push(stabs[0].sibling()?);
    }
    // Where cameras are set up on the page none has to be there at the start: it is on the page that one is mended.
    let is_set_up = registry.is_some() && args.clip.is_none();
    let hopeful = Arc::new(AtomicUsize::new(count + usize::from(is_set_up)));
    // Room for each camera's slots: one that is busy does not keep another from sending.
    let (tell, pictures) = sync_channel(SLOTS * count);
    let (tell_tokens, messages) = sync_channel(SLOTS);
    let (give_tokens, token_slots) = sync_channel(SLOTS);
    let (mut cameras, mut captures, mut gives) = (Vec::new(), Vec::new(), Vec::new());
    let lexicon = wiring::lexicon(&pack, &pack.vocabulary, verbosity)?;
    for (camera, ((wish, store), kept)) in wishes.into_iter().zip(stores).zip(kept).enumerate() {
        let mut eye = Eye::new(&pack)?.of(&config.cameras[camera]);
        let picture = Reference::default();
        let (mut learnt, mut shown_before) = (Vec::new(), false);
        let memory = match kept {
            None => wiring::blank(&pack, config.profile)?,
            Some(Kept { mut memory, picture: last, normal, .. }) => {
                learnt = normal;
                shown_before = last.is_some();
                let last = last.filter(|_| !config.privacy);
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
        let mut keeper = keeper.transpose().map_err(no_thread)?;
        if let Some(keeper) = keeper.as_mut().filter(|_| config.privacy && shown_before) {
            // What was kept before nobody was to see it does not stay for long.
            keeper.hurry(start_us);
        }
        let (give, slots) = sync_channel(SLOTS);
        for _ in 0..SLOTS {
            give.send(PatchSlot::new(pack.grid)).expect("the other end should be in this function");
        }
        gives.push(give);
        captures.push(Capture {
            camera,
            wish,
            eye,
            reference: (keeper.is_some() && !config.privacy).then_some(picture),
            canvas: canvases[camera].clone(),
            roll: rolls.next(),
            slots,
            tell: tell.clone(),
            stop: Arc::clone(&stop),
            picture: SizePx::new(1, 1),
            plan: Arc::clone(&plan),
            hopeful: Arc::clone(&hopeful),
            alone: count == 1,
            switches: Arc::clone(&switches),
            clock,
            start_us,
            pace: pace.clone(),
            damaged_in_a_row: 0,
            seen_us: None,
            lost_us: None,
            reasons: Vec::new(),
            counts: Counts::default(),
            spare: None,
        });
        let head = wiring::taught(&pack, &narrator, &config.cameras[camera])?;
        let (rules, tells) = alerts::of_camera(&config, camera, &pack)?;
        let mind = Mind::new(head, memory, lexicon.clone()).watching(rules);
        let mind = mind.learning(wiring::normal(&config, &pack, &learnt));
        cameras.push(Watched::new(mind, tells, keeper, Moments::new(&pack, &pack.vocabulary), start_us));
    }
    drop(tell);
    for _ in 0..SLOTS {
        give_tokens.send(cameras[0].mind.slot()).expect("the other end should be in this function");
    }
    let encode = Encode { stabs, pictures, gives, slots: token_slots, tell: tell_tokens, clock, team: cpus.stab_team };
    let thread = |name: &str| thread::Builder::new().name(name.into()).stack_size(STACK_BYTES);
    let captures = captures
        .into_iter()
        .map(|capture| {
            let cpus = cpus.capture.clone();
            let run = move || match threads::pin(&cpus) {
                Ok(()) => capture.run(),
                Err(error) => (Err(error), Counts::default()),
            };
            thread("capture").spawn(in_pool(Pool::Capture, run))
        })
        .collect::<io::Result<Vec<_>>>()
        .map_err(no_thread)?;
    let of_stab = cpus.stab.clone();
    let encode = move || threads::pin(&of_stab).and_then(|()| encode.run());
    let encode = thread("stab").spawn(in_pool(Pool::Stab, encode)).map_err(no_thread)?;
    // Last, for threads are bound as the one that starts them.
    threads::pin(&cpus.think)?;
    let (vocabulary, week) = (Arc::clone(&pack.vocabulary), WeekClock::new(&config));
    // What can be said now is the watcher's: these sentences should not outlive it.
    drop(pack);
    let (narrator, mut supervisor) = (&narrator, Supervisor::of_environment());
    if is_set_up {
        supervisor.ready();
    }
    let mut think = Think {
        cameras,
        voice,
        narrator,
        vocabulary,
        watcher,
        additions,
        standing: Standing::default(),
        dates,
        week,
        outside,
        warden,
        recorder,
        switches,
        supervisor,
        is_set_up,
    };
    let limit_us = args.seconds.map(|seconds| start_us + Micros::from_seconds(seconds));
    let thought = think.run(&messages, &give_tokens, &stop, limit_us, &clock, live);
    // A capture thread may hang in a device that is silent, and the next one waits for it; they are told, and not waited
    // for longer than this.
    think.supervisor.stopping();
    let is_meant = stop.load(Ordering::Relaxed) || limit_us.is_some_and(|limit_us| clock.now() >= limit_us) || !live;
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
    if let Some(recorder) = think.recorder.take() {
        recorder.finish();
    }
    let encoded = ended(encode).unwrap_or(Ok(()));
    let saved = think.save(&clock);
    let kept = think.voice.finish(clock.now());
    // What waits may go for a moment more; the rest is kept.
    drop(courier);
    think.sum_up(start_us, thought.is_ok() && captured.is_ok());
    let watched = thought.and(encoded).and(captured);
    // A command that ended leaves nobody who watches; who was asked to end does, though its disk be full.
    if is_meant && watched.is_ok() {
        think.voice.ends();
    }
    watched.and(saved).and(kept)
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
