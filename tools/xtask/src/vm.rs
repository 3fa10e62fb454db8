//! The emulated arm64 machine: what it is made of is built here, what it must come to is said in tests/vm.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::cross::{Built, Profile};
use crate::setup::{self, For};
use crate::{Step, bench, cross, in_ci, kernels, leave_out, root};

/// What the tests do of it: all but the package in a Debian, whose installation alone takes minutes and needs root. By itself, after all
/// other tests.
const TESTS: [Step; 2] = [
    Step::cargo("pins", &["xtask", "test-pins"]),
    Step::cargo("arm64 machine", &["xtask", "vm", "--quick", "--only", "narrate,faults,cuts", "--power-cuts", "2"]),
];

/// What is asked of the machine.
#[derive(Args)]
pub struct Vm {
    /// Write the figures into this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// How often the power is cut.
    #[arg(long, default_value_t = 5)]
    power_cuts: u32,
    /// Chooses their moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is done: the narrations, the faults of cameras, the power cuts, the package in a Debian with systemd.
    #[arg(long, value_delimiter = ',', default_value = "narrate,faults,cuts,install")]
    only: Vec<String>,
    /// Write what is narrated as what is expected from now on.
    #[arg(long)]
    overwrite: bool,
    /// With a program that was linked in a fraction of the time, as the tests have it, and not the one that goes onto a board.
    #[arg(long)]
    quick: bool,
}

/// Builds what it takes and starts it.
pub fn run(vm: &Vm) -> Result<()> {
    let installs = vm.only.iter().any(|only| only == "install");
    if installs {
        setup::run(For::Debian)?;
    }
    let built = cross::build(For::Machine, if vm.quick { Profile::Emulated } else { Profile::Device })?;
    let mut job = host(&built)?;
    job.arg("--power-cuts").arg(vm.power_cuts.to_string()).arg("--seed").arg(vm.seed.to_string());
    if let Some(json) = &vm.json {
        job.arg("--json").arg(std::path::absolute(json)?);
    }
    job.args(["--only", &vm.only.join(",")]);
    if installs {
        let version = env!("CARGO_PKG_VERSION");
        let packages = [version, &format!("{version}+upgrade")].map(cross::package);
        for package in packages {
            job.arg("--packages").arg(package?);
        }
    }
    if vm.overwrite {
        job.arg("--overwrite");
    }
    bench::finish(&mut job)
}

/// What the machine is started by.
fn host(built: &Built) -> Result<Command> {
    let mut job = Command::new(bench::built("ocelli-vm", "debug", &["build", "--workspace", "--bin", "ocelli-vm"])?);
    job.current_dir(root()).arg("--program").arg(&built.program).arg("--guest").arg(&built.guest);
    job.arg("--work").arg(bench::target().join("vm"));
    Ok(job)
}

/// Pins on two boards of other kinds, with the same kernel.
pub fn pins() -> Result<()> {
    if let Some(lack) = kernels::arm(For::Machine) {
        bail!("pins cannot be tested: {}", lack.why());
    }
    bench::finish(Command::new("sh").arg("tests/pins/run.sh").current_dir(root()).env("PINS_KERNEL", kernel()?))
}

/// The folder of the machine's kernel, after it was fetched.
fn kernel() -> Result<String> {
    let fetched = host(&Built::places(Profile::Emulated))?.arg("--fetch").stderr(Stdio::inherit()).output()?;
    ensure!(fetched.status.success(), "its kernel cannot be fetched or its camera not built; the lines above say why");
    Ok(String::from_utf8(fetched.stdout).context("a path")?.trim().to_owned())
}

/// The scenes of the tests, or a word where they cannot be played, after what lacks was fetched.
pub fn steps() -> Result<(Vec<Step>, Option<String>)> {
    let lack = kernels::arm(For::Machine).map(|lack| lack.why());
    match lack.or_else(|| kernel().err().map(|error| format!("{error:#}"))) {
        None => Ok((TESTS.to_vec(), None)),
        Some(why) => Ok((Vec::new(), Some(leave_out("arm64 machine", &why, in_ci())?))),
    }
}
