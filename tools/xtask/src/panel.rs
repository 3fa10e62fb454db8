//! The panel's firmware: what it takes, and whether garbage on its line does anything. It is compiled for chips that this computer
//! emulates; what that needs is not everybody's, so the tests leave it out with a word where it cannot be had. CI must have it.

use std::env;
use std::path::{self, Path};
use std::process::Command;

use anyhow::{Result, bail};

use crate::bench::{checked, finish};
use crate::setup::{self, on_path};
use crate::{Step, in_ci, leave_out, root};

/// Chips that the firmware is for.
const TARGETS: [&str; 3] = ["thumbv6m-none-eabi", "thumbv7m-none-eabi", "thumbv7em-none-eabi"];

/// Cargo reads other settings there.
const FOLDER: &str = "firmware/panel";

/// From there.
const BUILT: &str = "../../target/panel";

/// What needs no chip.
pub const TESTS: [Step; 1] = [Step::cargo("panel", &["test", "--locked", "--target-dir", BUILT]).within(FOLDER)];

/// The firmware in emulated chips: by itself, after all other tests, for it is held to seconds.
const EMULATED: [Step; 1] =
    [Step::cargo("panel chips", &["test", "--workspace", "--test", "emulated", "--", "--ignored"])];

pub const FORMAT: [Step; 1] = [Step::cargo("panel format", &["fmt", "--all", "--check"]).within(FOLDER)];

macro_rules! clippy {
    ($($of:literal),+) => {
        Step::cargo("panel clippy", &["clippy", $($of,)+ "--target-dir", BUILT, "--", "-D", "warnings"]).within(FOLDER)
    };
}

/// The library with its tests.
const CLIPPY: [Step; 1] = [clippy!("--workspace", "--tests")];

/// The boards, with either log, and with the hang of a test. They need the chips' targets.
const BOARDS: [Step; 4] = [
    clippy!("--target=thumbv6m-none-eabi", "--bin=microbit", "--features=microbit,rtt"),
    clippy!("--target=thumbv6m-none-eabi", "--bin=rp2040", "--features=rp2040,rtt"),
    clippy!("--target=thumbv7m-none-eabi", "--bin=lm3s6965evb", "--features=lm3s6965evb,semihosting,hang"),
    clippy!("--target=thumbv7em-none-eabi", "--bin=mps2", "--features=mps2,semihosting"),
];

/// What lacks, after it was tried to install it.
pub fn lacking() -> Option<String> {
    if let Err(error) = setup::run(setup::For::Panel) {
        return Some(format!("{error:#}"));
    }
    let lacks = |target: &&str| {
        let rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--print", "target-libdir", "--target", target])
            .current_dir(root())
            .output();
        !rustc.is_ok_and(|found| Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_dir())
    };
    let targets: Vec<&str> = TARGETS.into_iter().filter(lacks).collect();
    if targets.is_empty() {
        return None;
    }
    if !on_path("rustup") {
        return Some(format!("there is no rustup to bring {}", targets.join(" ")));
    }
    eprintln!("xtask: installing with rustup: {} (chips of the panel)", targets.join(" "));
    let added = Command::new("rustup").args(["target", "add"]).args(&targets).current_dir(root()).status();
    let failed = !added.is_ok_and(|status| status.success());
    failed.then(|| format!("rustup cannot install {}", targets.join(" ")))
}

/// The tests on emulated chips and what clippy looks at; where chips lack, what of that is left and a word of it.
pub fn chips() -> Result<(Vec<Step>, Vec<Step>, Option<String>)> {
    let Some(why) = lacking() else { return Ok((EMULATED.to_vec(), [&CLIPPY[..], &BOARDS].concat(), None)) };
    Ok((Vec::new(), CLIPPY.to_vec(), Some(leave_out("panel chips", &why, in_ci())?)))
}

/// Sizes of the firmware, and garbage.
pub fn run(frames: u64, json: Option<&Path>) -> Result<()> {
    if let Some(why) = lacking() {
        bail!("{why}");
    }
    let mut job = Command::new(checked("ocelli-emulated")?);
    job.current_dir(root()).arg("--frames").arg(frames.to_string());
    if let Some(json) = json {
        job.arg("--json").arg(path::absolute(json)?);
    }
    finish(&mut job)
}
