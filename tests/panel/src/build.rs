//! Compiles the firmware, and says what it takes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, process};

use anyhow::{Context as _, Result, bail, ensure};

use crate::root;

/// A board that the firmware is for.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Its name; of the MPS2 with the image that it has.
    pub name: &'static str,
    /// The program and the feature.
    pub program: &'static str,
    /// What rustc calls its chip.
    pub target: &'static str,
    /// What QEMU calls its CPU; none for a board that it does not have.
    pub cpu: Option<&'static str>,
    /// The most bytes of flash that the firmware may take.
    pub flash_budget: u64,
    /// Bytes of RAM of the chip, as far as they are ours (`firmware/panel/build.rs`).
    pub ram: u64,
}

/// All boards.
pub const BOARDS: [Board; 5] = [
    Board {
        name: "microbit",
        program: "microbit",
        target: "thumbv6m-none-eabi",
        cpu: Some("cortex-m0"),
        flash_budget: 64 << 10,
        ram: 16 << 10,
    },
    Board {
        name: "lm3s6965evb",
        program: "lm3s6965evb",
        target: "thumbv7m-none-eabi",
        cpu: Some("cortex-m3"),
        flash_budget: 64 << 10,
        ram: 64 << 10,
    },
    Board {
        name: "mps2-an385",
        program: "mps2",
        target: "thumbv7m-none-eabi",
        cpu: Some("cortex-m3"),
        flash_budget: 64 << 10,
        ram: 64 << 10,
    },
    Board {
        name: "mps2-an386",
        program: "mps2",
        target: "thumbv7em-none-eabi",
        cpu: Some("cortex-m4"),
        flash_budget: 64 << 10,
        ram: 64 << 10,
    },
    Board {
        name: "rp2040",
        program: "rp2040",
        target: "thumbv6m-none-eabi",
        cpu: None,
        flash_budget: 64 << 10,
        ram: 64 << 10,
    },
];

/// The board of this name.
///
/// # Panics
/// There is none.
pub fn machine(name: &str) -> &'static Board {
    BOARDS.iter().find(|board| board.name == name).expect("there should be such a board")
}

/// For whom the firmware is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// A board on a desk: its log goes to a debug probe.
    Board,
    /// The emulator.
    Emulator,
    /// The emulator, for the test of the watchdog: it hangs when an alarm is told.
    Hanging,
}

/// What lacks to compile and emulate the firmware, and how one gets it.
pub fn lacking() -> Option<String> {
    if !Command::new("qemu-system-arm").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
        return Some("there is no qemu-system-arm (apt-get install qemu-system-arm)".into());
    }
    let lacks = |target: &&str| {
        let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
        !rustc.is_ok_and(|found| Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_dir())
    };
    let targets: Vec<&str> = BOARDS.iter().map(|board| board.target).filter(lacks).collect();
    (!targets.is_empty()).then(|| format!("Rust lacks targets (rustup target add {})", targets.join(" ")))
}

fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join("panel")
}

/// Compiles in the panel's workspace, which has another target and settings of its own.
fn cargo(arguments: &[&str], from: &Path, name: &str) -> Result<PathBuf> {
    let folder = target_folder();
    fs::create_dir_all(&folder)?;
    // One at a time: programs of another feature have the same path.
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("cannot wait for another compilation")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).arg("--target-dir").arg(&folder).current_dir(root().join("firmware/panel"));
    // What is set for the programs of this computer is not for those of another.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTDOCFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    let done = cargo.output().context("cargo does not start")?;
    ensure!(done.status.success(), "{name} does not build:\n{}", String::from_utf8_lossy(&done.stderr));
    let built = folder.join("built");
    fs::create_dir_all(&built)?;
    let (to, part) = (built.join(name), built.join(format!("{name}.{}", process::id())));
    fs::copy(folder.join(from), &part).with_context(|| format!("{name} is not where it should be"))?;
    // At once, for another may be reading the old one.
    fs::rename(part, &to)?;
    Ok(to)
}

/// The firmware of a board, as an ELF file.
///
/// # Errors
/// It does not build.
pub fn build(board: &Board, purpose: Build) -> Result<PathBuf> {
    let (features, name) = match purpose {
        Build::Board => ("rtt", board.name.to_owned()),
        Build::Emulator => ("semihosting", format!("{}-emulated", board.name)),
        Build::Hanging => ("semihosting,hang", format!("{}-hanging", board.name)),
    };
    let features = format!("{},{features}", board.program);
    let arguments = ["build", "--quiet", "--locked", "--release", "--bin", board.program, "--features", &features];
    let from = Path::new(board.target).join("release").join(board.program);
    cargo(&[&arguments[..], &["--target", board.target]].concat(), &from, &name)
}

/// The program that turns the firmware's log into lines.
///
/// # Errors
/// It does not build.
pub fn log_reader() -> Result<PathBuf> {
    let name = format!("ocelli-panel-log{}", env::consts::EXE_SUFFIX);
    cargo(&["build", "--quiet", "--locked", "--package", "ocelli-panel-log"], &Path::new("debug").join(&name), &name)
}

/// What a firmware takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Code and constants, and the first values of variables.
    pub flash: u64,
    /// Variables.
    pub ram: u64,
}

/// Reads the sizes of the sections of an ELF file that a chip holds.
///
/// # Errors
/// It is no such file of 32 bits.
pub fn sizes(elf: &Path) -> Result<Sizes> {
    const NO_BITS: u32 = 8;
    const ALLOC: u32 = 2;
    const WRITE: u32 = 1;
    let bytes = fs::read(elf)?;
    let word = |at: usize| -> Result<u32> {
        let word = bytes.get(at..at + 4).context("the ELF file is cut off")?;
        Ok(u32::from_le_bytes(word.try_into()?))
    };
    let half = |at: usize| word(at).map(|word| (word & 0xffff) as usize);
    if bytes.get(..6) != Some(b"\x7fELF\x01\x01") {
        bail!("{}: this is no ELF file of 32 bits", elf.display());
    }
    let (table, size, count) = (word(32)? as usize, half(46)?, half(48)?);
    let mut sizes = Sizes { flash: 0, ram: 0 };
    for section in (0..count).map(|n| table + n * size) {
        let (kind, flags, bytes) = (word(section + 4)?, word(section + 8)?, u64::from(word(section + 20)?));
        if flags & ALLOC == 0 {
            continue;
        }
        if kind != NO_BITS {
            sizes.flash += bytes;
        }
        if flags & WRITE != 0 {
            sizes.ram += bytes;
        }
    }
    Ok(sizes)
}
