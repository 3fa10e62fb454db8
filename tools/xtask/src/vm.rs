//! The emulated arm64 machine: what it is made of is built here, what it must come to is said in tests/vm.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::setup::For;
use crate::{bench, cargo, cross};

/// What is asked of the machine.
#[derive(Args)]
pub struct Vm {
    /// Write the figures into this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// How often the power is cut.
    #[arg(long, default_value_t = 5)]
    power_cuts: u32,
    /// What is done: the narrations, the faults of cameras, the power cuts, the package in a Debian with systemd.
    #[arg(long, value_delimiter = ',', default_value = "narrate,faults,cuts,install")]
    only: Vec<String>,
    /// Write what is narrated as what is expected from now on.
    #[arg(long)]
    overwrite: bool,
}

/// Builds what it takes and starts it.
pub fn run(vm: &Vm) -> Result<()> {
    let built = cross::build(For::Machine)?;
    let mut job = cargo(&["run", "--quiet", "-p", "ocelli-vm", "--"]);
    job.arg("--program").arg(&built.program).arg("--guest").arg(&built.guest);
    job.arg("--work").arg(bench::target().join("vm")).arg("--power-cuts").arg(vm.power_cuts.to_string());
    if let Some(json) = &vm.json {
        job.arg("--json").arg(std::path::absolute(json)?);
    }
    job.args(["--only", &vm.only.join(",")]);
    if vm.only.iter().any(|only| only == "install") {
        let version = env!("CARGO_PKG_VERSION");
        let packages = [version, &format!("{version}+upgrade")].map(|version| cross::package(&built.program, version));
        for package in packages {
            job.arg("--packages").arg(package?);
        }
    }
    if vm.overwrite {
        job.arg("--overwrite");
    }
    bench::finish(&mut job)
}
