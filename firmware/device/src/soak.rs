//! `ocelli soak`: months in minutes. Clips over and over as one stream of simulated time, with the faults of a camera,
//! restarts, power cuts and a wall clock that jumps; measured is whether anything grows, slows down or gets lost.
//!
//! The same eye, models, memory and store as in `run`, in one thread, as fast as possible; the capture and keeper threads of
//! `run` have no part in it.

use std::path::{Path, PathBuf};

use ocelli_drivers::{Clip, SystemClock};
use ocelli_heap::CountingAlloc;
use ocelli_infer::Pack;
use ocelli_pipeline::{EventBuf, HoleCause, MemoryRing, PatchSlot};
use ocelli_types::{Clock, Fault, Faulty, FrameSource, Micros};
use serde_json::{Value, json};

use crate::cli::SoakArgs;
use crate::config::ConfigError;
use crate::error::{Error, note};
use crate::plan::{Plan, mebibytes};
use crate::pulse::{Times, status_bytes};
use crate::state::{Kept, Store};
use crate::wiring::{self, Eye, Thinking};

/// Resident set is sampled so often.
const SAMPLE_US: u64 = 300_000_000;

/// The longest soak, a year.
const MOST_HOURS: f64 = 8760.0;

/// One hour.
const HOUR_US: u64 = 3_600_000_000;

/// Of less than this nobody can tell whether it is flat.
const LEAST_HOURS: f64 = 4.0;

/// The memory is saved so often.
const SAVE_US: u64 = 600_000_000;

/// One picture in so many arrives damaged, and one in so many never does.
const DAMAGED_IN: u64 = 500;
const LOST_IN: u64 = 300;

/// Mean time between losses of the camera, and between restarts.
const BLIND_EVERY_US: u64 = 1_200_000_000;
const RESTART_EVERY_US: u64 = 7_200_000_000;

/// `SplitMix64`: the same faults each time.
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
    fn about(&mut self, mean: u64) -> Micros {
        Micros(self.between(mean / 2, mean * 3 / 2))
    }
}

/// What was done to the device, and what it knows of it.
#[derive(Debug, Default)]
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
    saves: u64,
    saved_bytes: u64,
    slowest_restore_us: u64,
}

/// All that a restart begins anew.
struct Device {
    eye: Eye,
    thinking: Thinking,
}

impl Device {
    fn start(args: &SoakArgs, kept: Option<Kept>, now_us: Micros) -> Result<(Pack, Self), Error> {
        let config = args.common.config()?;
        let (pack, stab, narrator) = wiring::load(&config.pack)?;
        let mut eye = Eye::new(&pack)?;
        let thinking = match kept {
            None => wiring::thinking(&pack, config.profile, stab, narrator)?,
            Some(Kept { mut memory, picture, .. }) => {
                if let Some((pixels, content)) = &picture {
                    eye.resume(pixels, *content);
                }
                memory.hole(memory.last_us(), now_us, HoleCause::Restart);
                wiring::remembering(&pack, stab, narrator, memory)?
            }
        };
        Ok((pack, Self { eye, thinking }))
    }

    const fn memory(&self) -> &MemoryRing {
        self.thinking.mind().memory()
    }

    /// Frames that were ever remembered.
    fn remembered(&self) -> u64 {
        let report = self.memory().report();
        report.entries as u64 + report.evicted
    }
}

/// Plays the clips for `--hours` of stream time.
pub fn command(args: &SoakArgs) -> Result<(), Error> {
    let hours_us = Micros::from_seconds(args.hours * 3600.0);
    if hours_us == Micros(0) || !(args.hours <= MOST_HOURS) {
        return Err(ConfigError::Usage(format!("--hours wants a number above zero, up to {MOST_HOURS}")).into());
    }
    if let Some(path) = &args.json_file {
        // Now, and not after a day.
        std::fs::write(path, "").map_err(|source| Error::Unwritable { path: path.clone(), source })?;
    }
    let own = std::env::temp_dir().join(format!("ocelli-soak-{}", std::process::id()));
    let folder = args.state.as_ref().unwrap_or(&own);
    let report = Soak::new(args, folder)?.run(hours_us);
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
    let sound = report["unaccounted_losses"] == 0 && report["within_plan"] == true && report["flat"] != false;
    if sound { Ok(()) } else { Err(Error::Unsound) }
}

struct Soak<'a> {
    args: &'a SoakArgs,
    pack: Pack,
    /// Nothing while it restarts: the old one must be gone before the new one is there, as with a program.
    running: Option<Device>,
    store: Store,
    ledger: Ledger,
    random: Random,
    /// Time since the soak began.
    now_us: Micros,
    /// By how much the device's stream time is less: it does not know how long it was off where the wall clock was set back.
    behind_us: i64,
    /// Wall clock less time since the soak began.
    wall_offset_ms: u64,
    bytes: Vec<u8>,
    /// What the last save held: frames and holes.
    saved: (u64, u64),
    plan: Plan,
}

impl<'a> Soak<'a> {
    fn new(args: &'a SoakArgs, folder: &Path) -> Result<Self, Error> {
        let mut config = args.common.config()?;
        config.memory.state = Some(folder.to_path_buf());
        let (pack, stab, narrator) = wiring::load(&config.pack)?;
        let budget_bytes = config.budget_bytes(pack.manifest.budget.memory_bytes);
        let plan = Plan::new(budget_bytes, &config, &pack, &stab, &narrator, config.cameras[0].size_px);
        plan.require()?;
        drop((stab, narrator));
        let store = Store::open(folder, "ocelli soak", &pack, wiring::memory(&pack, config.profile))?;
        // A soak begins with nothing.
        let _ = std::fs::remove_file(store.path());
        let (pack, device) = Device::start(args, None, Micros(0))?;
        let bytes = Vec::with_capacity(Store::most_bytes(pack.grid.bytes(), &wiring::memory(&pack, config.profile)));
        let (ledger, random) = (Ledger::default(), Random(args.seed));
        let wall_offset_ms = 1_700_000_000_000;
        Ok(Self {
            args,
            pack,
            running: Some(device),
            store,
            ledger,
            random,
            now_us: Micros(0),
            behind_us: 0,
            wall_offset_ms,
            bytes,
            saved: (0, 0),
            plan,
        })
    }

    fn unix_ms(&self) -> u64 {
        self.wall_offset_ms + self.now_us.0 / 1000
    }

    fn device(&self) -> &Device {
        self.running.as_ref().expect("a device should run")
    }

    fn device_mut(&mut self) -> &mut Device {
        self.running.as_mut().expect("a device should run")
    }

    /// Stream time as the device has it.
    fn stream_us(&self) -> Micros {
        Micros(self.now_us.0.saturating_add_signed(-self.behind_us))
    }

    fn save(&mut self) -> Result<(), Error> {
        let (stream_us, unix_ms) = (self.stream_us(), self.unix_ms());
        let Self { running, store, bytes, .. } = self;
        let device = running.as_ref().expect("a device should run");
        store.compose(bytes, device.memory(), device.eye.reference(), (stream_us, unix_ms));
        store.write(bytes).map_err(|source| Error::State { path: store.path().to_path_buf(), source })?;
        self.ledger.saves += 1;
        self.ledger.saved_bytes += self.bytes.len() as u64;
        self.saved = (self.device().remembered(), self.device().memory().report().holes);
        Ok(())
    }

    /// Ends the device and starts it anew: after SIGTERM, which saves, or after a power cut.
    fn restart(&mut self) -> Result<(), Error> {
        self.ledger.restarts += 1;
        if self.random.one_in(2) {
            self.save()?;
        } else {
            self.ledger.power_cuts += 1;
            self.ledger.forgotten_frames += self.device().remembered() - self.saved.0;
            self.ledger.forgotten_holes += self.device().memory().report().holes - self.saved.1;
        }
        self.now_us = self.now_us + Micros(self.random.between(2_000_000, 60_000_000));
        if self.random.one_in(3) {
            // The clock of a board without a battery, before it finds the network.
            self.ledger.clock_jumps += 1;
            let back_ms = self.random.between(0, 86_400_000);
            self.wall_offset_ms = self.wall_offset_ms.saturating_sub(back_ms);
        }
        self.running = None;
        // As the end of a process does; a soak is one process, whose free memory is in pieces after some loadings.
        CountingAlloc::give_back();
        let clock = SystemClock::new();
        let kept = self.store.load()?;
        self.ledger.slowest_restore_us = self.ledger.slowest_restore_us.max(clock.now().0);
        if kept.is_none() {
            // A device that remembers nothing knows of no hole either.
            self.ledger.forgotten_holes += 1;
        }
        let stream_us = kept.as_ref().map_or(Micros(0), |kept| kept.resume_us(self.unix_ms()));
        self.behind_us = self.now_us.0.cast_signed() - stream_us.0.cast_signed();
        let (pack, device) = Device::start(self.args, kept, stream_us)?;
        (self.pack, self.running) = (pack, Some(device));
        Ok(())
    }

    /// The camera is away for a while.
    fn blind(&mut self) -> Result<(), Error> {
        self.ledger.blinds += 1;
        let from_us = self.stream_us();
        self.now_us = self.now_us + Micros(self.random.between(1_000_000, 120_000_000));
        let to_us = self.stream_us();
        self.device_mut().eye.forget();
        self.device_mut().thinking.encoder_mut().reset()?;
        self.device_mut().thinking.mind_mut().memory_mut().hole(from_us, to_us, HoleCause::Blind);
        Ok(())
    }

    fn run(mut self, hours_us: Micros) -> Result<Value, Error> {
        let clock = SystemClock::new();
        let mut slot = PatchSlot::new(self.pack.grid);
        let mut events = EventBuf::new();
        let mut steps: Vec<Times> = Vec::new();
        let mut samples: Vec<(f64, u64)> = Vec::new();
        let (mut narrations, mut said_hour) = (0_u64, 0);
        let mut next_sample_us = Micros(0);
        let mut next_save_us = Micros(SAVE_US);
        let hurry = self.args.hurry.max(1);
        let (blind_every_us, restart_every_us) = (BLIND_EVERY_US / hurry, RESTART_EVERY_US / hurry);
        let mut next_blind_us = self.random.about(blind_every_us);
        let mut next_restart_us = self.random.about(restart_every_us);
        let mut clips = self.args.clips.iter().cycle();
        while self.now_us < hours_us {
            let path: &PathBuf = clips.next().expect("a cycle should not end");
            let mut clip = Clip::open(path)?;
            let zero_us = self.now_us;
            let mut away_us = Micros(0);
            let mut first = true;
            loop {
                let frame = match clip.next() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) if error.fault() == Fault::Retry => continue,
                    Err(_) if !first => break,
                    Err(error) => return Err(error.into()),
                };
                first = false;
                self.ledger.pictures += 1;
                self.now_us = zero_us + frame.captured_us + away_us;
                if self.random.one_in((LOST_IN / hurry).max(10)) {
                    self.ledger.lost += 1;
                    continue;
                }
                if self.random.one_in((DAMAGED_IN / hurry).max(10)) {
                    self.ledger.damaged += 1;
                    continue;
                }
                let stream_us = self.stream_us();
                if !self.device_mut().eye.wants(stream_us) {
                    self.ledger.not_due += 1;
                    continue;
                }
                let started_us = clock.now();
                self.device_mut().eye.look(&frame, stream_us, &mut slot, &clock)?;
                self.device_mut().thinking.step(&slot.batch(), &clock, &mut events)?;
                let took_us = clock.now() - started_us;
                narrations += events.len() as u64;
                self.ledger.seen += 1;
                let hour = (self.now_us.0 / HOUR_US) as usize;
                if steps.len() <= hour {
                    steps.resize_with(hour + 1, Times::default);
                }
                steps[hour].add(took_us);

                let before_us = self.now_us;
                if self.now_us >= next_save_us {
                    self.save()?;
                    next_save_us = self.now_us + Micros(SAVE_US);
                }
                if self.now_us >= next_blind_us {
                    self.blind()?;
                    next_blind_us = self.now_us + self.random.about(blind_every_us);
                }
                // Not both at once: a hole right behind another one is the same.
                else if self.now_us >= next_restart_us {
                    self.restart()?;
                    next_restart_us = self.now_us + self.random.about(restart_every_us);
                }
                away_us = away_us + (self.now_us - before_us);
                if self.now_us >= next_sample_us {
                    next_sample_us = self.now_us + Micros(SAMPLE_US);
                    samples.extend(status_bytes("VmRSS:").map(|bytes| (self.now_us.0 as f64 / 3.6e9, bytes)));
                }
                if hour > said_hour {
                    said_hour = hour;
                    let resident = samples.last().map_or(0, |(_, bytes)| *bytes);
                    note(format_args!("hour {hour}: {} pictures seen, {}", self.ledger.seen, mebibytes(resident)));
                }
            }
            // The next picture comes a moment later, and is another scene.
            self.now_us = self.now_us + Micros(200_000);
        }
        Ok(self.report(hours_us, &steps, &samples, narrations, clock.now()))
    }

    fn report(
        self,
        hours_us: Micros,
        steps: &[Times],
        samples: &[(f64, u64)],
        narrations: u64,
        took_us: Micros,
    ) -> Value {
        let memory = self.device().memory().report();
        let remembered = self.device().remembered();
        let Self { ledger, plan, .. } = self;
        // The first quarter is warm-up: pages of the memory are touched as it fills.
        let warm = |(hour, _): &&(f64, u64)| *hour >= hours_us.0 as f64 / HOUR_US as f64 / 4.0;
        let measured: Vec<(f64, f64)> =
            samples.iter().filter(warm).map(|(hour, bytes)| (*hour, *bytes as f64)).collect();
        let line = Line::through(&measured);
        // Every picture has one fate, every picture seen is one entry, every hole is known.
        let pictures = ledger.seen + ledger.not_due + ledger.damaged + ledger.lost;
        let entries = remembered + ledger.forgotten_frames;
        let holes = memory.holes + ledger.forgotten_holes;
        let unaccounted = ledger.pictures.abs_diff(pictures)
            + ledger.seen.abs_diff(entries)
            + (ledger.blinds + ledger.restarts).abs_diff(holes);
        let hours = hours_us.0 as f64 / 3.6e9;
        let peak = samples.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
        // Two standard errors, or what a page more or less on a day of samples may do.
        let flat = line.slope.abs() <= 2.0 * line.slope_error || line.slope.abs() * hours < 65_536.0;
        let flat = (hours >= LEAST_HOURS).then_some(flat);
        json!({
            "hours": hours, "steps": ledger.seen, "rss_peak_bytes": peak,
            "rss_slope_bytes_per_hour": line.slope, "rss_slope_standard_error": line.slope_error,
            "flat": flat, "within_plan": peak <= plan.planned_bytes, "planned_bytes": plan.planned_bytes,
            "step_p50_ms_first_hour": steps.first().map_or(0.0, |times| times.quantile_ms(0.5)),
            "step_p50_ms_last_hour": steps.last().map_or(0.0, |times| times.quantile_ms(0.5)),
            "step_p95_ms_first_hour": steps.first().map_or(0.0, |times| times.quantile_ms(0.95)),
            "step_p95_ms_last_hour": steps.last().map_or(0.0, |times| times.quantile_ms(0.95)),
            "unaccounted_losses": unaccounted, "restarts": ledger.restarts,
            "faults": {
                "lost": ledger.lost, "damaged": ledger.damaged, "blind": ledger.blinds,
                "power_cuts": ledger.power_cuts, "clock_jumps": ledger.clock_jumps,
            },
            "pictures": ledger.pictures, "not_due": ledger.not_due, "forgotten_frames": ledger.forgotten_frames,
            "forgotten_holes": ledger.forgotten_holes, "narrations": narrations,
            "saves": ledger.saves, "saved_bytes": ledger.saved_bytes,
            "slowest_restore_ms": ledger.slowest_restore_us as f64 / 1e3,
            "memory": {
                "entries": memory.entries, "tokens": memory.tokens, "evicted": memory.evicted,
                "segments": memory.segments, "evicted_segments": memory.evicted_segments,
                "centroids": memory.centroids, "holes": memory.holes,
            },
            "took_s": took_us.seconds(),
            "step_p50_ms_by_hour": steps.iter().map(|times| times.quantile_ms(0.5)).collect::<Vec<_>>(),
            "rss_samples": samples,
        })
    }
}

/// A straight line through points.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    slope: f64,
    slope_error: f64,
}

impl Line {
    /// Least squares; all zeros for fewer than three points.
    fn through(points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        if points.len() < 3 {
            return Self::default();
        }
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let xx: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let xy: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let slope = xy / xx;
        let left: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
        Self { slope, slope_error: (left / (count - 2.0) / xx).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_with_its_error() {
        let line = Line::through(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert!((line.slope - 2.0).abs() < 1e-9 && line.slope_error < 1e-9);
        let noisy: Vec<(f64, f64)> = (0..100).map(|x| (f64::from(x), f64::from(x * 7919 % 13))).collect();
        let line = Line::through(&noisy);
        assert!(line.slope.abs() < 2.0 * line.slope_error, "{line:?}");
        assert!(Line::through(&[(0.0, 1.0)]).slope.abs() < 1e-9);
    }

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
