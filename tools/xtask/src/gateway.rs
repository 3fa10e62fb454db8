//! The gateway of a running program, with a browser, `OpenAI`'s client and a tester of APIs; what it costs, and what a kill costs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::bench::{checked, environment, finish};
use crate::{root, setup};

/// The Python that has what these import.
fn python() -> Result<PathBuf> {
    environment(&root().join("data/web-venv"), "tests/web/requirements.txt")
}

/// Runs `tests/web` in an environment of its own.
pub fn test() -> Result<()> {
    setup::run(setup::For::Gateway)?;
    let program = checked("ocelli")?;
    let mut tests = Command::new(python()?);
    tests.current_dir(root()).args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/web"]);
    finish(tests.env("OCELLI_E2E_PROGRAM", program))
}

/// Measures it, and kills it.
pub fn bench(json: Option<&Path>, kills: u32) -> Result<()> {
    setup::run(setup::For::Gateway)?;
    let program = checked("ocelli")?;
    let mut job = Command::new(python()?);
    job.current_dir(root()).arg("tools/bench/gateway.py").arg("--program").arg(program);
    job.arg("--kills").arg(kills.to_string());
    if let Some(json) = json {
        job.arg("--json").arg(std::path::absolute(json)?);
    }
    finish(&mut job)
}
