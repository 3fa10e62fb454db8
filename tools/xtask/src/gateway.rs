//! The gateway of a running program, with a browser, OpenAI's client and a tester of APIs.

use std::process::Command;

use anyhow::Result;

use crate::bench::{checked, finish};
use crate::{root, setup};

/// What `tests/web` imports.
const IMPORTS: &str = "import openai, playwright, pytest, schemathesis";

/// Runs `tests/web` in an environment of its own.
pub fn test() -> Result<()> {
    setup::run(setup::For::Gateway)?;
    let program = checked("ocelli")?;
    let folder = root().join("data/web-venv");
    let python = folder.join("bin/python");
    if !Command::new(&python).args(["-c", IMPORTS]).output().is_ok_and(|ran| ran.status.success()) {
        eprintln!("xtask: {}, which brings what lacks", folder.display());
        finish(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let mut install = Command::new(&python);
        install.current_dir(root()).args(["-m", "pip", "install", "-q", "--disable-pip-version-check"]);
        finish(install.args(["-r", "tests/web/requirements.txt"]))?;
    }
    let mut tests = Command::new(&python);
    tests.current_dir(root()).args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/web"]);
    finish(tests.env("OCELLI_E2E_PROGRAM", program))
}
