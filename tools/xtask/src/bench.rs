//! Benchmarks: each brings what it needs, builds with all optimisations, and prints a table.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, path};

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;

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
}

/// Runs one.
pub fn run(bench: &Bench) -> Result<()> {
    let Bench::Stab { json, quick } = bench;
    setup::run(setup::For::Bench)?;
    let work = target().join("bench");
    let python = python(&work)?;
    eprintln!("xtask: building with all optimisations (the first time takes some ten minutes)");
    if !cargo(&["build", "--release", "-p", "ocelli-bench"]).status().context("cargo does not start")?.success() {
        bail!("the benchmark does not build; the lines above say why");
    }
    let program = target().join("release").join(format!("ocelli-bench{}", env::consts::EXE_SUFFIX));
    let mut job = Command::new(python);
    job.current_dir(root()).arg("tools/bench/stab.py").arg("--program").arg(program).arg("--work").arg(work);
    job.args(["--pack", "models/home", "--demo", "tests/clips/demo.mp4", "--data", "../shared/data"]);
    if let Some(json) = json {
        job.arg("--json").arg(path::absolute(json)?);
    }
    if *quick {
        job.arg("--quick");
    }
    if !job.status().context("python does not start")?.success() {
        bail!("the benchmark stopped; the lines above say why");
    }
    Ok(())
}

/// The Python of an environment with what `tools/bench/requirements.txt` names, made or brought up to date.
fn python(work: &Path) -> Result<PathBuf> {
    let (venv, wanted) = (work.join("venv"), root().join("tools/bench/requirements.txt"));
    let (python, installed) = (venv.join("bin/python"), venv.join("installed.txt"));
    let text = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    if python.exists() && fs::read_to_string(&installed).is_ok_and(|before| before == text) {
        return Ok(python);
    }
    eprintln!("xtask: installing ONNX Runtime into {}", venv.strip_prefix(root()).unwrap_or(&venv).display());
    let steps: [(&str, &[&str]); 2] = [
        ("python3", &["-m", "venv", "--clear"]),
        (&python.to_string_lossy(), &["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r"]),
    ];
    for ((program, arguments), last) in steps.into_iter().zip([&venv, &wanted]) {
        let status = Command::new(program).args(arguments).arg(last).status();
        if !status.with_context(|| format!("{program} does not start"))?.success() {
            bail!("{program} {} failed; the lines above say why", arguments.join(" "));
        }
    }
    fs::write(&installed, text).with_context(|| installed.display().to_string())?;
    Ok(python)
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
