//! The kernels' tests where this CPU alone says too little: on emulated ARM CPUs, and under tools that watch every access to
//! memory. What that needs is not everybody's: where it cannot be had, it is left out with a word; CI must have it.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::setup::{self, on_path};
use crate::{Step, in_ci, root};

pub const TARGET: &str = "aarch64-unknown-linux-gnu";

/// What can be had or not as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Emulated ARM CPUs.
    Arm,
    /// An interpreter of Rust's rules for memory; it knows the portable path only.
    Miri,
    /// Checks at run time that the compiler puts in, for all paths of this CPU.
    Address,
}

impl Part {
    const ALL: [Self; 3] = [Self::Arm, Self::Miri, Self::Address];

    const fn name(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Miri => "miri",
            Self::Address => "address",
        }
    }

    /// `-p` and a target of its own: nothing of what the other steps compiled is compiled anew. Examples and doc tests are
    /// left out.
    const fn steps(self) -> &'static [Step] {
        match self {
            Self::Arm => &ARM,
            Self::Miri => &MIRI,
            Self::Address => &ADDRESS,
        }
    }
}

/// Thousands of frames take their time here, and say no more than the hundreds of the test beside.
const ARM_TESTS: [&str; 9] =
    ["test", "-p", "ocelli-kernels", "--tests", "--target", TARGET, "--", "--skip", "for_thousands_of_frames"];
pub const LINKER: (&str, &str) = ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
const RUNNER: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER";
/// What the tests must find, or they fail: one that finds less would test less.
const EXPECT: &str = "OCELLI_EXPECT_ISA";

/// A Raspberry Pi 4, a Raspberry Pi 5, and whatever the emulator knows.
const ARM: [Step; 3] = [
    Step::cargo("arm cortex-a72", &ARM_TESTS).with(&[
        LINKER,
        (RUNNER, "qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu cortex-a72"),
        (EXPECT, "portable,neon"),
    ]),
    Step::cargo("arm cortex-a76", &ARM_TESTS).with(&[
        LINKER,
        (RUNNER, "qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu cortex-a76"),
        (EXPECT, "portable,neon,neon-dotprod"),
    ]),
    Step::cargo("arm max", &ARM_TESTS).with(&[
        LINKER,
        (RUNNER, "qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu max"),
        (EXPECT, "portable,neon,neon-dotprod,neon-i8mm"),
    ]),
];

const MIRI_FLAGS: (&str, &str) = ("MIRIFLAGS", "-Zmiri-strict-provenance -Zmiri-symbolic-alignment-check");

/// The two tests that reach all unsafe code of the portable path, and those of a team, whose helpers it switches between as no
/// system would; the others would take minutes more.
const MIRI: [Step; 2] = [
    Step::nightly("miri", &["miri", "test", "-p", "ocelli-kernels", "--test", "every_cpu", "--test", "golden"])
        .with(&[MIRI_FLAGS]),
    Step::nightly("miri team", &["miri", "test", "-p", "ocelli-kernels", "--lib", "team::"]).with(&[MIRI_FLAGS]),
];

const ADDRESS: [Step; 1] =
    [Step::nightly("address", &["test", "-p", "ocelli-kernels", "--tests", "--target", "host-tuple"]).with(&[
        ("RUSTFLAGS", "-Zsanitizer=address"),
        // Looking for leaks takes a right to trace that containers often lack.
        ("ASAN_OPTIONS", "detect_leaks=0"),
    ])];

/// Why a part cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Packages of the system.
    Packages(String),
    /// rustup, which brings what comes next.
    Rustup,
    /// A nightly toolchain.
    Nightly,
    /// A target or components of a toolchain that is there.
    Component(&'static str),
}

impl Lack {
    pub fn why(&self) -> String {
        match self {
            Self::Packages(why) => why.clone(),
            Self::Rustup => "there is no rustup to bring it".into(),
            Self::Nightly => "rustup cannot install a nightly toolchain".into(),
            Self::Component(what) => format!("rustup cannot install {what}"),
        }
    }
}

/// What to do about a part.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Run,
    Skip(String),
    Fail(String),
}

/// A nightly toolchain is more than the project asks for, even of CI; all else CI can get.
fn verdict(part: Part, lack: Option<&Lack>, ci: bool) -> Verdict {
    let Some(lack) = lack else { return Verdict::Run };
    let may_lack = part != Part::Arm && matches!(lack, Lack::Rustup | Lack::Nightly);
    if ci && !may_lack {
        Verdict::Fail(format!("{}: {} (CI must not leave it out)", part.name(), lack.why()))
    } else {
        Verdict::Skip(lack.why())
    }
}

/// What can run here, after what lacks was installed, and a line for each part that cannot.
pub fn steps() -> Result<(Vec<Step>, Vec<String>)> {
    let ci = in_ci();
    let (mut steps, mut skipped) = (Vec::new(), Vec::new());
    let nightly = nightly();
    for part in Part::ALL {
        let lack = match part {
            Part::Arm => arm(setup::For::Arm),
            Part::Miri => nightly.clone().or_else(miri),
            Part::Address => nightly.clone(),
        };
        match verdict(part, lack.as_ref(), ci) {
            Verdict::Run => steps.extend(part.steps()),
            Verdict::Fail(why) => bail!(why),
            Verdict::Skip(why) => {
                eprintln!("xtask: SKIPPING {}: {why}; the kernels are tested without it", part.name());
                skipped.push(format!("{:<14} SKIPPED: {why}", part.name()));
            }
        }
    }
    Ok((steps, skipped))
}

/// What lacks to build for ARM, after what could be had was installed.
pub fn arm(purpose: setup::For) -> Option<Lack> {
    if let Err(error) = setup::run(purpose) {
        return Some(Lack::Packages(format!("{error:#}")));
    }
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let library =
        Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).current_dir(root()).output();
    if library.is_ok_and(|library| Path::new(String::from_utf8_lossy(&library.stdout).trim()).is_dir()) {
        return None;
    }
    if !on_path("rustup") {
        return Some(Lack::Rustup);
    }
    eprintln!("xtask: installing with rustup: the target {TARGET} (builds for ARM)");
    (!rustup(&["target", "add", TARGET])).then_some(Lack::Component(TARGET))
}

fn nightly() -> Option<Lack> {
    if !on_path("rustup") {
        return Some(Lack::Rustup);
    }
    if says(&["run", "nightly", "rustc", "--version"]).is_some() {
        return None;
    }
    eprintln!("xtask: installing with rustup: a nightly toolchain (runs the kernels under Miri and with checks)");
    (!rustup(&["toolchain", "install", "nightly", "--profile", "minimal"])).then_some(Lack::Nightly)
}

fn miri() -> Option<Lack> {
    let installed = says(&["component", "list", "--toolchain", "nightly", "--installed"]).unwrap_or_default();
    if ["miri", "rust-src"].iter().all(|component| installed.lines().any(|line| line.starts_with(component))) {
        return None;
    }
    eprintln!("xtask: installing with rustup: Miri and the library's source for the nightly toolchain");
    let done = rustup(&["component", "add", "miri", "rust-src", "--toolchain", "nightly"]);
    (!done).then_some(Lack::Component("Miri"))
}

fn rustup(arguments: &[&str]) -> bool {
    Command::new("rustup").args(arguments).current_dir(root()).status().is_ok_and(|status| status.success())
}

/// What rustup prints, if it succeeds.
fn says(arguments: &[&str]) -> Option<String> {
    let output = Command::new("rustup").args(arguments).current_dir(root()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ci_leaves_out_what_needs_a_nightly_toolchain_where_none_can_be_had_and_nothing_else() {
        let lacks =
            [Lack::Packages("no apt-get".into()), Lack::Rustup, Lack::Nightly, Lack::Component("what it should")];
        for part in Part::ALL {
            assert_eq!(verdict(part, None, true), Verdict::Run);
            for lack in &lacks {
                let by_hand = verdict(part, Some(lack), false);
                assert_eq!(by_hand, Verdict::Skip(lack.why()));
                let tolerated = part != Part::Arm && [Lack::Rustup, Lack::Nightly].contains(lack);
                let in_ci = verdict(part, Some(lack), true);
                assert_eq!(in_ci == by_hand, tolerated, "{part:?} {lack:?}");
                assert_eq!(matches!(in_ci, Verdict::Fail(why) if why.contains(&lack.why())), !tolerated);
            }
        }
    }

    #[test]
    fn no_step_compiles_more_than_the_kernels_or_where_the_other_steps_compile() {
        for step in Part::ALL.iter().flat_map(|part| part.steps()) {
            assert!(step.cargo.windows(2).any(|two| two == ["-p", "ocelli-kernels"]), "{}", step.name);
            assert!(step.cargo.contains(&"--target") || step.cargo[0] == "miri", "{}", step.name);
        }
    }

    #[test]
    fn every_arm_cpu_is_told_what_to_find_and_the_last_has_all() {
        let of = |step: &Step, name| step.environment.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        for step in &ARM {
            let cpu = step.name.strip_prefix("arm ").expect("it should be named after its CPU");
            assert!(of(step, RUNNER).is_some_and(|runner| runner.ends_with(&format!("-cpu {cpu}"))));
            assert!(of(&ARM[2], EXPECT).zip(of(step, EXPECT)).is_some_and(|(all, some)| all.starts_with(some)));
        }
    }
}
