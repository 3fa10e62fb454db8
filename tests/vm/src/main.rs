//! Runs the real program on an emulated arm64 machine, and says what it came to. `cargo xtask vm` builds what it needs and
//! starts it; see README.md.

mod archive;
mod cuts;
mod faults;
mod install;
mod kernel;
mod machine;
mod narrate;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};

use crate::archive::Archive;
use crate::kernel::Kernel;

/// The real program on an emulated arm64 machine.
#[derive(Parser)]
struct Cli {
    /// The program, for arm64.
    #[arg(long)]
    program: PathBuf,
    /// The machine's first process, for arm64.
    #[arg(long)]
    guest: PathBuf,
    /// A folder for the kernel, which is kept, and for what is made.
    #[arg(long)]
    work: PathBuf,
    /// Fetch the kernel, say where it is, and play nothing.
    #[arg(long)]
    fetch: bool,
    /// Write the figures into this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// How often the power is cut.
    #[arg(long, default_value_t = 5)]
    power_cuts: u32,
    /// The package and another that is its upgrade, for `install`.
    #[arg(long, value_delimiter = ',')]
    packages: Vec<PathBuf>,
    /// What is done.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "narrate,faults,cuts")]
    only: Vec<Scene>,
    /// Chooses the moments of the power cuts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write what is narrated as what is expected from now on.
    #[arg(long)]
    overwrite: bool,
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scene {
    /// The clip of the tests before the camera: are its narrations what they were?
    Narrate,
    /// What happens to cameras.
    Faults,
    /// The plug is pulled again and again.
    Cuts,
    /// The package in a Debian with systemd.
    Install,
}

impl Scene {
    const ALL: [Self; 4] = [Self::Narrate, Self::Faults, Self::Cuts, Self::Install];

    /// Plays it, adds its figures, and fails where something is not as it should be.
    fn play(self, cli: &Cli, kernel: &Kernel, figures: &mut Map<String, Value>) -> Result<()> {
        match self {
            Self::Narrate => narrate::run(cli, kernel, figures),
            Self::Faults => faults::run(cli, kernel, figures),
            Self::Cuts => cuts::run(cli, kernel, figures),
            Self::Install => install::run(cli, kernel, figures),
        }
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    fs::create_dir_all(&cli.work)?;
    let kernel = Kernel::newest(&cli.work)?;
    if cli.fetch {
        println!("{}", kernel.folder.display());
        return Ok(());
    }
    eprintln!(
        "vm: kernel {}, {} MiB, one cortex-a72 at an instruction a nanosecond",
        kernel.release(),
        machine::MEMORY_MIB
    );
    let mut figures = Map::new();
    figures.insert("guest_mib".into(), json!(machine::MEMORY_MIB));
    let scenes = Scene::ALL.into_iter().filter(|scene| cli.only.contains(scene));
    // One that fails does not keep the others from being seen.
    let mut made = Ok(());
    for scene in scenes {
        if let Err(error) = scene.play(cli, &kernel, &mut figures) {
            eprintln!("vm: {scene:?}: {error:#}");
            made = Err(error.context(format!("{scene:?}")));
        }
        // Also where something is not as it should be: then one wants to see it.
        save(cli, &figures)?;
    }
    print!("{}", text(&figures)?);
    made
}

/// Writes the figures where they are wanted. After each scene and power cut, as a run of an hour may be ended before its end.
fn save(cli: &Cli, figures: &Map<String, Value>) -> Result<()> {
    let Some(path) = &cli.json else { return Ok(()) };
    fs::write(path, text(figures)?).with_context(|| path.display().to_string())
}

/// The figures as one reads them.
fn text(figures: &Map<String, Value>) -> Result<String> {
    Ok(serde_json::to_string_pretty(figures)? + "\n")
}

/// Root of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root").to_path_buf()
}

/// What every scene has: first process, program, pack, the config beside the first process.
fn base(cli: &Cli, config: &str) -> Result<Archive> {
    let mut archive = Archive::default();
    archive.copy("init", &cli.guest)?;
    archive.copy("bin/ocelli", &cli.program)?;
    archive.copy_files("models/home", &root().join("models/home"))?;
    archive.add(&format!("etc/{config}"), &fs::read(root().join("tests/vm/configs").join(config))?);
    Ok(archive)
}

/// The clip of the tests as the pictures of an MJPEG camera, in a folder.
fn clip(work: &Path) -> Result<PathBuf> {
    let folder = work.join("clip");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    kernel::run(
        Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(root().join("tests/clips/demo.mp4"))
            .args(["-q:v", "4", "-pix_fmt", "yuvj422p"])
            .arg(folder.join("%04d.jpg")),
    )?;
    Ok(folder)
}

/// A number of a report.
fn number(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().with_context(|| format!("no {key} in {value}"))
}
