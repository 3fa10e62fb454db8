//! The one door: everything that is done with the project by hand or by CI is a command here.

mod bench;
mod cross;
mod eval;
mod fuzz;
mod gateway;
mod kernels;
mod notices;
mod pack;
mod panel;
mod setup;
mod vm;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};

/// Length of a demonstration with a camera.
const CAMERA_SECONDS: &str = "60";

/// Set-up, demonstration, tests and benchmarks of Ocelli. Each command installs what the system lacks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Narrate the camera if there is one, else the clip of this project, and say how to use one's own.
    Demo {
        /// Take the clip, as fast as possible, whether there is a camera or not.
        #[arg(long)]
        ci: bool,
    },
    /// Run the tests: format, clippy, unit, doc and end-to-end tests, documentation, what `test-kernels` and `test-pins` do, the panel's
    /// firmware on emulated chips, and most of `vm`.
    Test {
        /// Leave out clippy, the documentation, what `test-kernels` and `test-pins` do and the emulated arm64 machine.
        #[arg(long)]
        quick: bool,
        /// Only this, which is no part of the others.
        what: Option<Part>,
    },
    /// Only the kernels' tests, on emulated ARM CPUs, under Miri and with checks of addresses.
    TestKernels,
    /// Drive and read pins on two emulated boards: a Raspberry Pi, and one with a GPIO chip of another kind.
    TestPins,
    /// The program for arm64 on an emulated machine with a camera: narrations, faults, power cuts, and the package in a Debian, which needs root.
    Vm(vm::Vm),
    /// The program for arm64 as a Debian package, in target/deb.
    Deb,
    /// The same as an image of the Open Container Initiative, in target/oci.
    Oci,
    /// Fuzz what reads from the network.
    Fuzz(fuzz::Fuzz),
    /// Format and clippy only.
    Check,
    /// A day of stream in simulated time, with faults and restarts, on whatever clips there are: does anything grow?
    Soak {
        /// Hours of stream.
        #[arg(long, default_value_t = 24.0)]
        hours: f64,
        /// Write the report into this file.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// The panel's firmware: its sizes on each board, and frames of garbage between heartbeats on emulated ones.
    Panel {
        /// Frames of garbage for each board.
        #[arg(long, default_value_t = 100_000)]
        frames: u64,
        /// Write the report into this file.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Measure against other engines and against the CPU.
    Bench {
        #[command(subcommand)]
        what: bench::Bench,
    },
    /// Make a pack from what others published.
    Pack {
        #[command(subcommand)]
        what: pack::Pack,
    },
    /// Evaluate a pack beside what one would do without it.
    Eval {
        #[command(subcommand)]
        what: eval::Eval,
    },
}

/// A part of the tests that needs more than cargo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A browser, `OpenAI`'s client and a tester of APIs against a running program.
    Gateway,
    /// Training, scenes and evaluation in Python, with some gigabytes of packages.
    Tools,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Demo { ci } => demo(ci),
        Task::Test { what: Some(Part::Gateway), .. } => gateway::test().map(|()| ExitCode::SUCCESS),
        Task::Test { what: Some(Part::Tools), .. } => eval::test_tools().map(|()| ExitCode::SUCCESS),
        Task::Test { quick, what: None } => test(quick).map(|()| ExitCode::SUCCESS),
        Task::Bench { what } => bench::run(&what).map(|()| ExitCode::SUCCESS),
        Task::Pack { what } => pack::run(&what).map(|()| ExitCode::SUCCESS),
        Task::Eval { what } => eval::run(&what).map(|()| ExitCode::SUCCESS),
        Task::Soak { hours, json } => bench::soak(hours, json.as_deref()).map(|()| ExitCode::SUCCESS),
        Task::Panel { frames, json } => panel::run(frames, json.as_deref()).map(|()| ExitCode::SUCCESS),
        Task::Fuzz(fuzz) => fuzz::run(&fuzz).map(|()| ExitCode::SUCCESS),
        Task::Vm(vm) => vm::run(&vm).map(|()| ExitCode::SUCCESS),
        Task::Deb => cross::deb().map(|package| made(&package)),
        Task::Oci => cross::image().map(|image| made(&image)),
        Task::TestKernels => test_kernels().map(|()| ExitCode::SUCCESS),
        Task::TestPins => vm::pins().map(|()| ExitCode::SUCCESS),
        Task::Check => setup::run(setup::For::Build).and_then(|()| steps(&CHECKS, &[])).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Says where that is which was made.
fn made(file: &Path) -> ExitCode {
    println!("{}", file.display());
    ExitCode::SUCCESS
}

/// One line of a run.
#[derive(Clone, Copy, Debug)]
struct Step {
    name: &'static str,
    cargo: &'static [&'static str],
    nightly: bool,
    environment: &'static [(&'static str, &'static str)],
    /// Where it runs, below the root.
    folder: &'static str,
}

impl Step {
    const fn cargo(name: &'static str, cargo: &'static [&'static str]) -> Self {
        Self { name, cargo, nightly: false, environment: &[], folder: "" }
    }

    const fn nightly(name: &'static str, cargo: &'static [&'static str]) -> Self {
        Self { nightly: true, ..Self::cargo(name, cargo) }
    }

    const fn with(self, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self { environment, ..self }
    }

    const fn within(self, folder: &'static str) -> Self {
        Self { folder, ..self }
    }

    /// As one would type it.
    fn line(&self) -> String {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}='{value}'"));
        let cargo = if self.nightly { "rustup run nightly cargo" } else { "cargo" };
        environment
            .chain([cargo.into()])
            .chain(self.cargo.iter().map(|argument| (*argument).into()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn command(&self) -> Command {
        let mut command = if self.nightly { Command::new("rustup") } else { cargo(&[]) };
        if self.nightly {
            command.args(["run", "nightly", "cargo"]);
        }
        command.current_dir(root().join(self.folder));
        command.args(self.cargo).envs(self.environment.iter().copied());
        command
    }
}

const CHECKS: [Step; 2] = [
    Step::cargo("format", &["fmt", "--all", "--check"]),
    // With the CUDA back end, which is compiled here and nowhere else.
    Step::cargo(
        "clippy",
        &["clippy", "--workspace", "--all-targets", "--features", "ocelli-infer/cuda", "--", "-D", "warnings"],
    ),
];

/// One command, so that the dependencies are compiled once: the program is built along with the tests of its crate, before
/// any test runs.
const TESTS: [Step; 1] = [Step::cargo("tests", &["test", "--workspace"])];

const DOCS: [Step; 1] = [Step::cargo("documentation", &["doc", "--workspace", "--no-deps"])];

fn test(quick: bool) -> Result<()> {
    setup::run(setup::For::Tests)?;
    let (format, clippy) = (&CHECKS[..1], &CHECKS[1..]);
    let (emulated, panel_clippy, lack) = panel::chips()?;
    let tests = [format, &panel::FORMAT, &TESTS, &panel::TESTS, &emulated].concat();
    if quick {
        return steps(&tests, &Vec::from_iter(lack));
    }
    let (kernels, skipped) = kernels::steps()?;
    let (machine, no_machine) = vm::steps()?;
    let skipped = [Vec::from_iter(lack), skipped, Vec::from_iter(no_machine)].concat();
    eval::test_scorers()?;
    steps(&[&tests, clippy, &panel_clippy, &DOCS, &kernels, &machine].concat(), &skipped)
}

fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// A word of tests that cannot run here. CI must have all of them.
fn leave_out(name: &str, why: &str, in_ci: bool) -> Result<String> {
    if in_ci {
        bail!("{name}: {why} (CI must not leave it out)");
    }
    eprintln!("xtask: SKIPPING {name}: {why}");
    Ok(format!("{name:<14} SKIPPED: {why}"))
}

fn test_kernels() -> Result<()> {
    let (kernels, skipped) = kernels::steps()?;
    steps(&kernels, &skipped)
}

/// Runs them, and says at the end what ran and what was skipped.
fn steps(steps: &[Step], skipped: &[String]) -> Result<()> {
    let mut summary = String::new();
    for step in steps {
        eprintln!("xtask: {}: {}", step.name, step.line());
        let start = Instant::now();
        let mut command = step.command();
        command.env("RUSTDOCFLAGS", "-D warnings").env("OCELLI_E2E_PROGRAM", program());
        let status = command.status().context("cargo does not start")?;
        if !status.success() {
            bail!("{} failed: {}", step.name, step.line());
        }
        summary += &format!("  {:<14} {:>5} s\n", step.name, start.elapsed().as_secs());
    }
    for line in skipped {
        summary += &format!("  {line}\n");
    }
    eprint!("xtask: {} passed\n{summary}", if skipped.is_empty() { "all" } else { "all that ran" });
    Ok(())
}

fn demo(ci: bool) -> Result<ExitCode> {
    setup::run(setup::For::Build)?;
    eprintln!("xtask: building the program (the first time takes some minutes)");
    if !cargo(&["build", "-p", "ocelli"]).status().context("cargo does not start")?.success() {
        bail!("the program does not build; the lines above say why");
    }
    let program = program();
    let clip = Path::new("tests/clips/demo.mp4");
    let mut job = Command::new(&program);
    job.current_dir(root());
    match (!ci).then(|| camera(&program)) {
        None => job.arg("replay").arg(clip),
        Some(Some(node)) => {
            eprintln!("xtask: narrating the camera {node} for {CAMERA_SECONDS} seconds");
            job.args(["run", "--seconds", CAMERA_SECONDS, "--device", &node])
        }
        Some(None) => {
            eprintln!("xtask: no camera here; playing {} (42 seconds)", clip.display());
            job.arg("run").arg(clip)
        }
    };
    let status = job.status().with_context(|| format!("{} does not start", program.display()))?;
    let program = program.strip_prefix(root()).unwrap_or(&program).display().to_string();
    eprintln!("\nWith your own camera:  {program} run            ({program} check lists cameras)");
    eprintln!("With your own clip:    {program} replay clip.mp4");
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// The first camera that `ocelli check` lists. A node alone says little: decoders and metadata have nodes too.
fn camera(program: &Path) -> Option<String> {
    let checked = Command::new(program).arg("check").current_dir(root()).output().ok()?;
    first_camera(&String::from_utf8_lossy(&checked.stdout))
}

fn first_camera(checked: &str) -> Option<String> {
    let mut cameras = checked.lines().filter_map(|line| line.strip_prefix("camera"));
    cameras.find_map(|camera| camera.split_whitespace().next().filter(|node| node.starts_with("/dev/")).map(Into::into))
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root());
    // `cargo run` tells this program of itself, which ring's build script takes for a change: it would be compiled anew, and the program.
    let of_itself = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_itself)).for_each(|(name, _)| {
        cargo.env_remove(name);
    });
    cargo
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate should lie two folders below the root").to_path_buf()
}

/// Where cargo leaves the program.
fn program() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("debug").join(format!("ocelli{}", env::consts::EXE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::{first_camera, leave_out};

    #[test]
    fn what_cannot_run_is_left_out_with_a_word_and_fails_in_ci() {
        assert_eq!(leave_out("chips", "no apt-get", false).unwrap(), "chips          SKIPPED: no apt-get");
        let error = leave_out("chips", "no apt-get", true).unwrap_err().to_string();
        assert_eq!(error, "chips: no apt-get (CI must not leave it out)");
    }

    #[test]
    fn the_camera_of_the_demonstration_is_one_that_the_program_lists() {
        let none = "pack    home 1\ncamera  none found; plug one in\nmemory\n";
        assert_eq!(first_camera(none), None);
        let two = "board   x\ncamera  /dev/video2 (USB Camera: /dev/video9)\ncamera  /dev/video4 (Other)\n";
        assert_eq!(first_camera(two).as_deref(), Some("/dev/video2"));
    }
}
