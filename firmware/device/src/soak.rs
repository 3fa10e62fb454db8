//! `ocelli soak`: months in minutes. Clips over and over as one stream of simulated time, with the faults of a camera,
//! restarts, power cuts and a wall clock that jumps; measured is whether anything grows, slows down or gets lost.
//!
//! ```text
//! soak (World)  -- the world as it is, one line -->  an uptime: a process of its own, until a restart is due
//!               <-- the world as it left it, samples --  SIGTERM: saves and ends; power cut: is killed where it stands
//! ```
//!
//! The same eye, models, memory and store as in `run`, in one thread, as fast as possible; the capture and keeper threads of
//! `run` have no part in it.

mod slope;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use ocelli_drivers::{Clip, SystemClock};
use ocelli_infer::Pack;
use ocelli_pipeline::{EventBuf, HoleCause, MemoryRing, PatchSlot};
use ocelli_types::{Clock, Fault, Faulty, FrameSource, Micros};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::SoakArgs;
use crate::config::ConfigError;
use crate::error::{Error, note};
use crate::plan::{Plan, mebibytes};
use crate::pulse::{Times, status_bytes};
use crate::soak::slope::{Point, Slope};
use crate::state::{Kept, Store};
use crate::wiring::{self, Eye, Thinking};

/// Resident set is sampled so often.
const SAMPLE_US: u64 = 300_000_000;

/// The longest soak, a year.
const MOST_HOURS: f64 = 8760.0;

/// One hour.
const HOUR_US: u64 = 3_600_000_000;

/// The memory is saved so often.
const SAVE_US: u64 = 600_000_000;

/// One picture in so many arrives damaged, and one in so many never does.
const DAMAGED_IN: u64 = 500;
const LOST_IN: u64 = 300;

/// Mean time between losses of the camera, and between restarts.
const BLIND_EVERY_US: u64 = 1_200_000_000;
const RESTART_EVERY_US: u64 = 7_200_000_000;

/// The next clip comes a moment later.
const CUT_US: u64 = 200_000;

/// `SplitMix64`: the same faults each time.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// A time that is `mean` on average, and half of it at least.
    fn about(&mut self, mean: u64) -> u64 {
        self.between(mean / 2, mean * 3 / 2)
    }
}

/// What was done to the device, and what it knows of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Ledger {
    /// Pictures that the clips gave.
    pictures: u64,
    seen: u64,
    not_due: u64,
    damaged: u64,
    lost: u64,
    blinds: u64,
    restarts: u64,
    power_cuts: u64,
    clock_jumps: u64,
    /// Frames and holes that a power cut took back to the last save.
    forgotten_frames: u64,
    forgotten_holes: u64,
    narrations: u64,
    saves: u64,
    saved_bytes: u64,
    slowest_restore_us: u64,
}

/// What is outside of the device, and goes on while it restarts.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct World {
    /// Time since the soak began.
    now_us: u64,
    /// Wall clock less time since the soak began.
    wall_offset_ms: u64,
    random: Random,
    next_blind_us: u64,
    /// The clip that is played, counted through all rounds, how many pictures of it were shown, and when it began.
    clip: usize,
    clip_pictures: u64,
    clip_zero_us: u64,
    /// What the last save held: frames and holes.
    saved: (u64, u64),
    ledger: Ledger,
}

impl World {
    fn new(args: &SoakArgs) -> Self {
        let mut random = Random(args.seed);
        let next_blind_us = random.about(hurried(args, BLIND_EVERY_US));
        Self {
            now_us: 0,
            wall_offset_ms: 1_700_000_000_000,
            random,
            next_blind_us,
            clip: 0,
            clip_pictures: 0,
            clip_zero_us: 0,
            saved: (0, 0),
            ledger: Ledger::default(),
        }
    }

    fn now(&self) -> Micros {
        Micros(self.now_us)
    }

    fn unix_ms(&self) -> u64 {
        self.wall_offset_ms + self.now_us / 1000
    }

    /// Time goes by without pictures.
    fn pass(&mut self, us: u64) {
        self.now_us += us;
        self.clip_zero_us += us;
    }

    /// The device is off for a while.
    fn restart(&mut self, end: End) {
        self.ledger.restarts += 1;
        self.ledger.power_cuts += u64::from(end == End::PowerCut);
        let off_us = self.random.between(2_000_000, 60_000_000);
        self.pass(off_us);
        if self.random.one_in(3) {
            // The clock of a board without a battery, before it finds the network.
            self.ledger.clock_jumps += 1;
            let back_ms = self.random.between(0, 86_400_000);
            self.wall_offset_ms = self.wall_offset_ms.saturating_sub(back_ms);
        }
    }

    fn next_clip(&mut self) {
        self.clip += 1;
        self.clip_pictures = 0;
        self.now_us += CUT_US;
        self.clip_zero_us = self.now_us;
    }
}

/// What comes so often comes more often in a hurry.
fn hurried(args: &SoakArgs, every: u64) -> u64 {
    every / args.hurry.max(1)
}

/// How an uptime ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum End {
    /// The soak is over.
    Over,
    /// After SIGTERM, which saves.
    Restart,
    PowerCut,
}

/// What an uptime tells when it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    world: World,
    end: End,
    /// Hours since the soak began, and bytes.
    rss_samples: Vec<(f64, u64)>,
    rss_peak_bytes: u64,
    /// By hour since the soak began.
    steps: BTreeMap<u64, Times>,
    /// Frames that were ever remembered, and holes.
    remembered: (u64, u64),
    memory: Value,
}

/// Plays the clips for `--hours` of stream time.
pub fn command(args: &SoakArgs) -> Result<(), Error> {
    if let Some(folder) = &args.uptime {
        return live(args, folder);
    }
    if Micros::from_seconds(args.hours * 3600.0) == Micros(0) || !(args.hours <= MOST_HOURS) {
        return Err(ConfigError::Usage(format!("--hours wants a number above zero, up to {MOST_HOURS}")).into());
    }
    // What cannot be used is told now, and not after a day.
    for clip in &args.clips {
        Clip::open(clip)?;
    }
    if let Some(path) = &args.json_file {
        std::fs::write(path, "").map_err(|source| Error::Unwritable { path: path.clone(), source })?;
    }
    let own = std::env::temp_dir().join(format!("ocelli-soak-{}", std::process::id()));
    let folder = args.state.as_ref().unwrap_or(&own);
    let report = soak(args, folder);
    if args.state.is_none() {
        // It may not even have been made.
        let _ = std::fs::remove_dir_all(folder);
    }
    let report = report?;
    println!("{report:#}");
    if let Some(path) = &args.json_file {
        std::fs::write(path, format!("{report}\n"))
            .map_err(|source| Error::Unwritable { path: path.clone(), source })?;
    }
    let sound = report["unaccounted_losses"] == 0
        && report["within_plan"] == true
        && report["flat"] != false
        && report["step_flat"] != false;
    if sound { Ok(()) } else { Err(Error::Unsound) }
}

/// One uptime after the other.
fn soak(args: &SoakArgs, folder: &Path) -> Result<Value, Error> {
    let clock = SystemClock::new();
    let planned_bytes = prepare(args, folder)?;
    let mut uptimes = vec![in_a_process(folder, &World::new(args))?];
    while let Some(Told { world, end, .. }) = uptimes.last()
        && *end != End::Over
    {
        let mut world = world.clone();
        world.restart(*end);
        uptimes.push(in_a_process(folder, &world)?);
    }
    Ok(report(args, &uptimes, planned_bytes, clock.now()))
}

/// Holds the plan against the budget, and sees to it that a soak begins with nothing. The bytes planned.
fn prepare(args: &SoakArgs, folder: &Path) -> Result<u64, Error> {
    let mut config = args.common.config()?;
    config.memory.state = Some(folder.to_path_buf());
    let (pack, stab, narrator) = wiring::load(&config.pack)?;
    let budget_bytes = config.budget_bytes(pack.manifest.budget.memory_bytes);
    let plan = Plan::new(budget_bytes, &config, &pack, &stab, &narrator, config.cameras[0].size_px);
    plan.require()?;
    let _ = std::fs::remove_file(open_store(args, folder, &pack)?.path());
    Ok(plan.planned_bytes)
}

fn open_store(args: &SoakArgs, folder: &Path, pack: &Pack) -> Result<Store, Error> {
    Store::open(folder, "ocelli soak", pack, wiring::memory(pack, args.common.config()?.profile))
}

/// Lives one uptime in a process that really ends: what the system gave it is given back, and a power cut leaves on disk what
/// there is.
fn in_a_process(folder: &Path, world: &World) -> Result<Told, Error> {
    let failed = |source| Error::System { what: "a process for an uptime", source };
    // This program, also when another one was built in its place meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg("soak").arg("--uptime").arg(folder).args(std::env::args_os().skip(2));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let (mut input, output) = (child.stdin.take(), child.stdout.take());
    // One that ended at once has said why; so has one that tells nothing.
    let _ = input.as_mut().map(|input| writeln!(input, "{}", json!(world)));
    let mut line = String::new();
    let _ = output.map(|output| BufReader::new(output).read_line(&mut line));
    let told: Option<Told> = serde_json::from_str(&line).ok();
    let cut = told.as_ref().is_some_and(|told| told.end == End::PowerCut);
    if cut {
        child.kill().map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    told.filter(|_| cut || status.success()).ok_or(Error::Uptime(status))
}

/// One uptime: this process is the device.
fn live(args: &SoakArgs, folder: &Path) -> Result<(), Error> {
    let refused = |source| Error::System { what: "to talk to the soak", source };
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(refused)?;
    let world = serde_json::from_str(&line).map_err(|error| refused(error.into()))?;
    let mut uptime = Uptime::begin(args, folder, world)?;
    let end = uptime.run()?;
    let told = uptime.told(end);
    writeln!(io::stdout(), "{}", json!(told)).map_err(refused)?;
    if end == End::PowerCut {
        // Nothing is put in order any more; the soak kills it, or has gone.
        io::stdin().read_line(&mut line).map_err(refused)?;
    }
    Ok(())
}

/// The device from its start to its end.
struct Uptime<'a> {
    args: &'a SoakArgs,
    world: World,
    eye: Eye,
    thinking: Thinking,
    slot: PatchSlot,
    store: Store,
    /// Room for a file of the store.
    bytes: Vec<u8>,
    /// By how much the device's stream time is less than the world's: it does not know how long it was off where the wall
    /// clock was set back.
    behind_us: i64,
    rss_samples: Vec<(f64, u64)>,
    steps: BTreeMap<u64, Times>,
}

impl<'a> Uptime<'a> {
    /// As `run` begins: with what the store has.
    fn begin(args: &'a SoakArgs, folder: &Path, mut world: World) -> Result<Self, Error> {
        let config = args.common.config()?;
        let (pack, stab, narrator) = wiring::load(&config.pack)?;
        let store = open_store(args, folder, &pack)?;
        let clock = SystemClock::new();
        let kept = store.load()?;
        let ledger = &mut world.ledger;
        ledger.slowest_restore_us = ledger.slowest_restore_us.max(clock.now().0);
        if kept.is_none() && ledger.restarts > 0 {
            // A device that remembers nothing knows of no hole either.
            ledger.forgotten_holes += 1;
        }
        let mut eye = Eye::new(&pack)?;
        let stream_us = kept.as_ref().map_or(Micros(0), |kept| kept.resume_us(world.unix_ms()));
        let thinking = match kept {
            None => wiring::thinking(&pack, config.profile, stab, narrator)?,
            Some(Kept { mut memory, picture, .. }) => {
                if let Some((pixels, content)) = &picture {
                    eye.resume(pixels, *content);
                }
                memory.hole(memory.last_us(), stream_us, HoleCause::Restart);
                wiring::remembering(&pack, stab, narrator, memory)?
            }
        };
        Ok(Self {
            args,
            behind_us: world.now_us.cast_signed() - stream_us.0.cast_signed(),
            world,
            eye,
            thinking,
            slot: PatchSlot::new(pack.grid),
            store,
            bytes: Vec::with_capacity(Store::most_bytes(
                pack.grid.bytes(),
                wiring::own_kinds(&pack),
                &wiring::memory(&pack, config.profile),
            )),
            rss_samples: Vec::new(),
            steps: BTreeMap::new(),
        })
    }

    fn memory(&self) -> &MemoryRing {
        self.thinking.mind().memory()
    }

    /// Frames that were ever remembered, and holes.
    fn remembered(&self) -> (u64, u64) {
        let report = self.memory().report();
        (report.frames(), report.holes)
    }

    /// Stream time as the device has it.
    fn stream_us(&self) -> Micros {
        Micros(self.world.now_us.saturating_add_signed(-self.behind_us))
    }

    fn save(&mut self) -> Result<(), Error> {
        let at = (self.stream_us(), self.world.unix_ms());
        let Self { store, bytes, .. } = self;
        store.compose(bytes, self.thinking.mind().memory(), None, self.eye.reference(), at);
        store.write(bytes).map_err(|source| Error::State { path: store.path().to_path_buf(), source })?;
        self.world.ledger.saves += 1;
        self.world.ledger.saved_bytes += self.bytes.len() as u64;
        self.world.saved = self.remembered();
        Ok(())
    }

    /// The camera is away for a while.
    fn blind(&mut self) -> Result<(), Error> {
        self.world.ledger.blinds += 1;
        let from_us = self.stream_us();
        let away_us = self.world.random.between(1_000_000, 120_000_000);
        self.world.pass(away_us);
        let to_us = self.stream_us();
        self.eye.forget();
        self.thinking.encoder_mut().reset()?;
        self.thinking.mind_mut().memory_mut().hole(from_us, to_us, HoleCause::Blind);
        Ok(())
    }

    /// By SIGTERM or a power cut.
    fn end(&mut self) -> Result<End, Error> {
        if self.world.random.one_in(2) {
            return self.save().map(|()| End::Restart);
        }
        let (frames, holes) = self.remembered();
        self.world.ledger.forgotten_frames += frames - self.world.saved.0;
        self.world.ledger.forgotten_holes += holes - self.world.saved.1;
        Ok(End::PowerCut)
    }

    /// Until a restart is due, or the soak is over.
    fn run(&mut self) -> Result<End, Error> {
        let args = self.args;
        let clock = SystemClock::new();
        let mut events = EventBuf::new();
        let over_us = Micros::from_seconds(args.hours * 3600.0).0;
        let restart_us = self.world.now_us + self.world.random.about(hurried(args, RESTART_EVERY_US));
        let mut save_us = self.world.now_us + hurried(args, SAVE_US);
        let mut sample_us = self.world.now_us;
        while self.world.now_us < over_us {
            let mut clip = Clip::open(&args.clips[self.world.clip % args.clips.len()])?;
            let mut shown = 0;
            loop {
                let frame = match clip.next() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) if error.fault() == Fault::Retry => continue,
                    Err(_) if shown > 0 => break,
                    Err(error) => return Err(error.into()),
                };
                shown += 1;
                if shown <= self.world.clip_pictures {
                    // Before the restart.
                    continue;
                }
                self.world.clip_pictures = shown;
                self.world.now_us = self.world.clip_zero_us + frame.captured_us.0;
                if self.world.now_us >= over_us {
                    return Ok(End::Over);
                }
                let (stream_us, ledger) = (self.stream_us(), &mut self.world.ledger);
                ledger.pictures += 1;
                if self.world.random.one_in(hurried(args, LOST_IN).max(10)) {
                    ledger.lost += 1;
                    continue;
                }
                if self.world.random.one_in(hurried(args, DAMAGED_IN).max(10)) {
                    ledger.damaged += 1;
                    continue;
                }
                if !self.eye.wants(stream_us) {
                    ledger.not_due += 1;
                    continue;
                }
                let started_us = clock.now();
                self.eye.look(&frame, stream_us, &mut self.slot, &clock)?;
                self.thinking.step(&self.slot.batch(), &clock, &mut events)?;
                let took_us = clock.now() - started_us;
                ledger.narrations += events.len() as u64;
                ledger.seen += 1;
                self.steps.entry(self.world.now_us / HOUR_US).or_default().add(took_us);

                if self.world.now_us >= save_us {
                    self.save()?;
                    save_us = self.world.now_us + hurried(args, SAVE_US);
                }
                if self.world.now_us >= self.world.next_blind_us {
                    self.blind()?;
                    let until_us = self.world.random.about(hurried(args, BLIND_EVERY_US));
                    self.world.next_blind_us = self.world.now_us + until_us;
                }
                // Not both at once: a hole right behind another one is the same.
                else if self.world.now_us >= restart_us {
                    return self.end();
                }
                if self.world.now_us >= sample_us {
                    sample_us = self.world.now_us + SAMPLE_US;
                    self.sample();
                }
            }
            self.world.next_clip();
        }
        Ok(End::Over)
    }

    fn sample(&mut self) {
        let Some(bytes) = status_bytes("VmRSS:") else { return };
        let hour = self.world.now().seconds() / 3600.0;
        let seen = self.world.ledger.seen;
        if self.rss_samples.last().is_none_or(|(last, _)| last.floor() < hour.floor()) {
            note(format_args!("hour {hour:.1}: {seen} pictures seen, {}", mebibytes(bytes)));
        }
        self.rss_samples.push((hour, bytes));
    }

    fn told(&self, end: End) -> Told {
        let memory = self.memory().report();
        Told {
            end,
            remembered: self.remembered(),
            memory: json!({
                "entries": memory.entries, "tokens": memory.tokens, "evicted": memory.evicted,
                "segments": memory.segments, "evicted_segments": memory.evicted_segments,
                "centroids": memory.centroids, "holes": memory.holes,
            }),
            world: self.world.clone(),
            rss_samples: self.rss_samples.clone(),
            // Of this process: what its start held for a while is in it.
            rss_peak_bytes: status_bytes("VmHWM:").unwrap_or(0),
            steps: self.steps.clone(),
        }
    }
}

/// Warm-up: of the soak this share, in which the memory fills, and of each uptime these hours, in which what is used for the
/// first time is touched (the first save comes after ten minutes).
const WARM_UP: f64 = 0.25;
const UPTIME_WARM_UP_HOURS: f64 = 0.5;

/// In pages a resident set is counted. One more in a soak, or in each uptime, is no growth, but something that was touched late.
const PAGE_BYTES: f64 = 4096.0;

/// The samples without warm-up, uptime by uptime; without uptimes too short to show a slope.
fn settled(uptimes: &[Told], hours: f64) -> Vec<Vec<Point>> {
    let settled = |told: &Told| {
        let from = told.rss_samples.first().map_or(0.0, |(hour, _)| hour + UPTIME_WARM_UP_HOURS).max(hours * WARM_UP);
        let samples = told.rss_samples.iter().filter(|(hour, _)| *hour >= from);
        samples.map(|(hour, bytes)| (*hour, *bytes as f64)).collect::<Vec<Point>>()
    };
    uptimes.iter().map(settled).filter(|samples| samples.len() > 1).collect()
}

fn report(args: &SoakArgs, uptimes: &[Told], planned_bytes: u64, took_us: Micros) -> Value {
    let Told { world: World { ledger, .. }, remembered, memory, .. } = uptimes.last().expect("a soak should have one");
    let mut steps: BTreeMap<u64, Times> = BTreeMap::new();
    for (hour, times) in uptimes.iter().flat_map(|told| &told.steps) {
        steps.entry(*hour).or_default().merge(times);
    }
    let quantile = |times: Option<&Times>, quantile| times.map_or(0.0, |times| times.quantile_ms(quantile));
    let (first, last) = (steps.values().next(), steps.values().last());
    let medians: Vec<f64> = steps.values().map(|times| times.quantile_ms(0.5)).collect();
    let hourly: Vec<Point> = steps.keys().map(|hour| *hour as f64).zip(medians.iter().copied()).collect();
    // What is looked for is growth: steps become faster when the machine's other work ends, and memory may be given back. A
    // median is known to an eighth.
    let grows_not = |slope: Slope, noise: f64| slope.per_hour <= 0.0 || slope.is_flat(noise);
    let step_slope = Slope::through(&hourly);
    let step_flat = step_slope.map(|slope| grows_not(slope, medians[0] / 8.0 / args.hours));
    let settled = settled(uptimes, args.hours);
    let (across, within) = (Slope::across(&settled), Slope::within(&settled));
    let settled_hours: f64 = settled.iter().map(|samples| samples[samples.len() - 1].0 - samples[0].0).sum();
    let flat = across.zip(within).map(|(across, within)| {
        grows_not(across, PAGE_BYTES / args.hours)
            && grows_not(within, PAGE_BYTES * settled.len() as f64 / settled_hours)
    });
    let peak = uptimes.iter().map(|told| told.rss_peak_bytes).max().unwrap_or(0);
    // Every picture has one fate, every picture seen is one entry, every hole is known.
    let pictures = ledger.seen + ledger.not_due + ledger.damaged + ledger.lost;
    let entries = remembered.0 + ledger.forgotten_frames;
    let holes = remembered.1 + ledger.forgotten_holes;
    let unaccounted = ledger.pictures.abs_diff(pictures)
        + ledger.seen.abs_diff(entries)
        + (ledger.blinds + ledger.restarts).abs_diff(holes);
    json!({
        "hours": args.hours, "steps": ledger.seen, "rss_peak_bytes": peak,
        "rss_slope_bytes_per_hour": across.map(|slope| slope.per_hour),
        "rss_slope_standard_error": across.map(|slope| slope.standard_error),
        "rss_slope_within_uptimes_bytes_per_hour": within.map(|slope| slope.per_hour),
        "rss_slope_within_uptimes_standard_error": within.map(|slope| slope.standard_error),
        "settled_uptimes": settled.len(), "warm_up_hours": args.hours * WARM_UP, "uptime_warm_up_hours": UPTIME_WARM_UP_HOURS,
        "flat": flat, "within_plan": peak <= planned_bytes, "planned_bytes": planned_bytes,
        "step_p50_ms_first_hour": quantile(first, 0.5), "step_p50_ms_last_hour": quantile(last, 0.5),
        "step_p95_ms_first_hour": quantile(first, 0.95), "step_p95_ms_last_hour": quantile(last, 0.95),
        "step_p50_slope_ms_per_hour": step_slope.map(|slope| slope.per_hour),
        "step_p50_slope_standard_error": step_slope.map(|slope| slope.standard_error), "step_flat": step_flat,
        "unaccounted_losses": unaccounted, "restarts": ledger.restarts,
        "faults": {
            "lost": ledger.lost, "damaged": ledger.damaged, "blind": ledger.blinds,
            "power_cuts": ledger.power_cuts, "clock_jumps": ledger.clock_jumps,
        },
        "pictures": ledger.pictures, "not_due": ledger.not_due, "forgotten_frames": ledger.forgotten_frames,
        "forgotten_holes": ledger.forgotten_holes, "narrations": ledger.narrations,
        "saves": ledger.saves, "saved_bytes": ledger.saved_bytes,
        "slowest_restore_ms": ledger.slowest_restore_us as f64 / 1e3,
        "memory": memory,
        "took_s": took_us.seconds(),
        "step_p50_ms_by_hour": medians,
        "rss_samples_by_uptime": uptimes.iter().map(|told| &told.rss_samples).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_about_as_often_as_they_should_and_the_same_each_time() {
        let faults = |seed| {
            let mut random = Random(seed);
            (0..10_000).map(|_| random.one_in(100)).collect::<Vec<bool>>()
        };
        let count = faults(1).iter().filter(|fault| **fault).count();
        assert!((50..200).contains(&count), "{count}");
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
    }
}
