//! `ocelli bench`: what a picture costs on this machine, by pictures that are the same everywhere, and how machines compare.

mod compare;
mod scene;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use ocelli_drivers::SystemClock;
use ocelli_infer::{InferError, Narrator, Pack, Stab};
use ocelli_pipeline::{EventBuf, Mind, PatchSlot, StepError};
use ocelli_types::{Clock, Micros};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bench::scene::{Case, Scene};
use crate::cli::BenchArgs;
use crate::config::Config;
use crate::error::{Error, note};
use crate::plan::{Plan, mebibytes};
use crate::pulse::{Pulse, Times, status_bytes};
use crate::wiring::{self, Eye};

/// Changes with what is measured: reports of other versions are not compared.
const VERSION: u32 = 1;

/// A load beyond which figures say little.
const BUSY: f64 = 0.7;

/// Pictures at the start of a case that are not counted: all is new in the first, and caches are cold.
const WARM_UP: u64 = 10;

/// What `--json` writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Report {
    /// Its machine in a comparison.
    #[serde(skip)]
    label: String,
    /// Of what is measured.
    bench_version: u32,
    machine: Machine,
    program: String,
    /// Name and version, and the hash of the front end's file.
    pack: String,
    pack_sha256: String,
    /// Wall time from the files to models that can run.
    load_ms: f64,
    rss_peak_bytes: u64,
    cases: Vec<Measured>,
}

/// Where it ran, as Linux tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Machine {
    arch: String,
    board: Option<String>,
    cpu: Option<String>,
    cores: usize,
    features: Vec<String>,
    memory_bytes: Option<u64>,
    kernel: Option<String>,
    /// How many processes were running or waiting, over the last minute: far above 0 the figures say little.
    load: Option<f64>,
}

/// A case. Times are in milliseconds a picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    case: String,
    pictures: u64,
    /// Of the patches, how many the gate let through.
    kept_share: f64,
    stages: BTreeMap<String, Stage>,
    /// Mean of all stages together.
    total_ms: f64,
    /// What that allows, one picture after the other.
    pictures_a_second: f64,
    /// Share of one core at the pack's own rate of pictures.
    core_share: f64,
}

/// Of one stage, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Stage {
    mean: f64,
    p50: f64,
    p95: f64,
}

impl From<&Times> for Stage {
    fn from(times: &Times) -> Self {
        Self { mean: times.mean_ms(), p50: times.quantile_ms(0.5), p95: times.quantile_ms(0.95) }
    }
}

/// Measures, or compares what was measured.
pub fn command(args: &BenchArgs) -> Result<(), Error> {
    if !args.compare.is_empty() {
        return compare::command(&args.compare, args.page.as_deref());
    }
    let config = args.common.config()?;
    if let Some(path) = &args.json {
        // What cannot be written is told before anything is measured, and what is there stays until then.
        OpenOptions::new().append(true).create(true).open(path).map_err(|error| unwritable(path, &error))?;
    }
    let clock = SystemClock::new();
    let (pack, stab, narrator) = wiring::load_models(wiring::open(&config)?)?;
    let load_ms = clock.now().0 as f64 / 1000.0;
    Plan::new(config.budget_bytes(pack.manifest.budget.memory_bytes), &config, &pack, &stab, &narrator, scene::SIZE)
        .require()?;
    let machine = Machine::here();
    if let Some(load) = machine.load.filter(|_| machine.is_busy()) {
        note(format_args!("this machine is busy (load {load:.1}): figures will be worse than it can do"));
    }
    let (mut stab, narrator) = (stab, RefCell::new(narrator));
    let mut cases = Vec::new();
    for case in Case::ALL {
        cases.push(measure(case, args.pictures, &config, &pack, &mut stab, &narrator)?);
    }
    let report = Report {
        label: machine.name(),
        bench_version: VERSION,
        machine,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        pack: format!("{} {}", pack.manifest.name, pack.manifest.version),
        pack_sha256: pack.manifest.stab.sha256.clone(),
        load_ms,
        rss_peak_bytes: status_bytes("VmHWM:").unwrap_or(0),
        cases,
    };
    crate::events::print(&report.table())?;
    match &args.json {
        Some(path) => write(path, &serde_json::to_string_pretty(&report).expect("a report is JSON")),
        None => Ok(()),
    }
}

/// Runs one case: in one thread, as `replay` does.
fn measure(
    case: Case,
    pictures: u64,
    config: &Config,
    pack: &Pack,
    stab: &mut Stab,
    narrator: &RefCell<Narrator>,
) -> Result<Measured, Error> {
    let clock = SystemClock::new();
    let head = wiring::taught(pack, narrator, &config.cameras[0])?;
    let lexicon = wiring::lexicon(pack, &pack.vocabulary, config.speak.verbosity)?;
    let mut mind = Mind::new(head, wiring::blank(pack, config.profile)?, lexicon);
    let (mut eye, mut slot, mut tokens) = (Eye::new(pack)?, PatchSlot::new(pack.grid), mind.slot());
    let (mut scene, mut events, mut pulse) = (Scene::new(case), EventBuf::new(), Pulse::default());
    for number in 0..pictures + WARM_UP {
        if number == WARM_UP {
            pulse = Pulse::default();
        }
        // Made outside of what is timed, at the pack's own rate.
        let captured_us = Micros::from_seconds(number as f64 / pack.manifest.input.fps);
        let frame = scene.picture(number, captured_us);
        pulse.pictures += 1;
        if !eye.wants(captured_us) {
            continue;
        }
        pulse.looked(&eye.look(&frame, captured_us, &mut slot, &clock)?);
        let filled: Result<(), StepError<InferError, InferError>> = tokens.fill(stab, &slot.batch(), &clock);
        filled?;
        let report = mind.take::<InferError>(&tokens, &clock, &mut events)?;
        pulse.thought(&report);
    }
    let stages = [("fit", &pulse.fit), ("gate", &pulse.gate), ("STAB", &pulse.stab), ("narrator", &pulse.narrator)];
    let stages: BTreeMap<String, Stage> =
        stages.into_iter().map(|(name, times)| (name.to_owned(), times.into())).collect();
    let total_ms: f64 = stages.values().map(|stage| stage.mean).sum();
    Ok(Measured {
        case: case.name().to_owned(),
        pictures: pulse.seen,
        kept_share: pulse.kept as f64 / pulse.content.max(1) as f64,
        stages,
        total_ms,
        pictures_a_second: 1000.0 / total_ms,
        core_share: total_ms * pack.manifest.input.fps / 1000.0,
    })
}

impl Machine {
    fn here() -> Self {
        let text =
            |path: &str| fs::read_to_string(path).ok().map(|text| text.trim_matches(['\0', '\n', ' ']).to_owned());
        let cpuinfo = text("/proc/cpuinfo").unwrap_or_default();
        let of = |names: &[&str]| {
            let line = cpuinfo.lines().find(|line| names.iter().any(|name| line.starts_with(name)))?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        // Those that a kernel is chosen by.
        let telling = ["avx2", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve"];
        let features = of(&["flags", "Features"]).unwrap_or_default();
        let kib = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
        let meminfo = text("/proc/meminfo").unwrap_or_default();
        Self {
            arch: std::env::consts::ARCH.to_owned(),
            board: text("/proc/device-tree/model"),
            cpu: of(&["model name", "CPU part"]),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            features: features.split(' ').filter(|feature| telling.contains(feature)).map(str::to_owned).collect(),
            memory_bytes: meminfo.lines().next().and_then(kib).map(|kib| kib << 10),
            kernel: text("/proc/sys/kernel/osrelease"),
            load: text("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
        }
    }

    /// Whether other work took a part of it.
    fn is_busy(&self) -> bool {
        self.load.is_some_and(|load| load > BUSY)
    }

    /// In a few words.
    fn name(&self) -> String {
        let what = self.board.as_ref().or(self.cpu.as_ref()).map_or(self.arch.as_str(), String::as_str);
        format!("{what}, {} core{}", self.cores, if self.cores == 1 { "" } else { "s" })
    }
}

impl Report {
    /// Lines for people.
    fn table(&self) -> String {
        let Self { machine, pack, program, .. } = self;
        let mut text = format!(
            "{} ({}, {})\nocelli {program}, pack {pack}: loaded in {:.0} ms, {} resident at most\n\n",
            machine.name(),
            machine.arch,
            if machine.features.is_empty() {
                "no int8 instructions known".to_owned()
            } else {
                machine.features.join(" ")
            },
            self.load_ms,
            mebibytes(self.rss_peak_bytes),
        );
        text += &format!(
            "{:<8} {:>6} {:>8} {:>8} {:>8} {:>9} {:>9} {:>11} {:>8}\n",
            "case", "kept", "fit ms", "gate ms", "STAB ms", "narrator", "total ms", "pictures/s", "of core"
        );
        for case in &self.cases {
            let mean = |stage: &str| case.stages.get(stage).map_or(0.0, |stage| stage.mean);
            text += &format!(
                "{:<8} {:>5.0}% {:>8.2} {:>8.2} {:>8.2} {:>9.2} {:>9.2} {:>11.0} {:>7.1}%\n",
                case.case,
                100.0 * case.kept_share,
                mean("fit"),
                mean("gate"),
                mean("STAB"),
                mean("narrator"),
                case.total_ms,
                case.pictures_a_second,
                100.0 * case.core_share,
            );
        }
        text
    }

    /// A report that was written by this version of the benchmark.
    fn read(path: &Path) -> Result<Self, Error> {
        let unreadable =
            |why: String| Error::Bench { path: path.to_path_buf(), why: format!("no report of `ocelli bench`: {why}") };
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        match value["bench_version"].as_u64() {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(unreadable(format!(
                    "it is of version {version} of the benchmark, and this is {VERSION}; measure again"
                )));
            }
            None => return Err(unreadable("it is not what `ocelli bench --json` writes".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Bench { path: path.to_path_buf(), why: format!("it cannot be written: {error}") }
}
