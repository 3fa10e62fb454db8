//! The package in a Debian of its own with systemd: installed, started, watched, configured, upgraded, removed.

use std::fmt::Write as _;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use crate::archive::Archive;
use crate::kernel::{self, Kernel};
use crate::machine::{Clock, Machine};
use crate::{Cli, root};

/// What is there beside what every Debian has: systemd, and for the test a network card's tool and a broker.
const PACKAGES: &str = "systemd,systemd-sysv,udev,dbus,iproute2,mosquitto,mosquitto-clients";

const DISK_MIB: u64 = 700;

const LIMIT: Duration = Duration::from_hours(1);

/// Users that systemd makes for services, by its documentation.
const DYNAMIC_USERS: RangeInclusive<u64> = 61184..=65519;

/// Steps that it must report.
const STEPS: [&str; 12] = [
    "installed",
    "fed",
    "replugged",
    "restarted",
    "local",
    "refused",
    "network",
    "pins",
    "rpicam",
    "upgraded",
    "conffile",
    "removed",
];

pub fn run(cli: &Cli, kernel: &Kernel, figures: &mut Map<String, Value>) -> Result<()> {
    let [package, upgrade] = &cli.packages[..] else { anyhow::bail!("--packages takes two: one, and its upgrade") };
    let system = system(&cli.work)?;
    let disk = cli.work.join("installed.img");
    fs::copy(&system, &disk)?;
    put(&disk, &[package, upgrade])?;
    let mut archive = Archive::default();
    archive.copy("init", &cli.guest)?;
    let webcam = "n_devs=1 node_types=0x1 num_inputs=1 input_types=0 no_error_inj=0";
    kernel.add_modules(
        &mut archive,
        &[("vivid", webcam), ("dummy", "numdummies=1"), ("virtio_mmio", ""), ("virtio_blk", ""), ("ext4", "")],
    )?;
    archive.copy("install.sh", &root().join("tests/vm/install.sh"))?;
    let initrd = cli.work.join("install.cpio");
    archive.finish(&initrd)?;
    // What systemd and its watchdog wait for is so the machine's own time, however busy the host is.
    let clock = Clock::InstructionsOrHost;
    let machine = Machine::start(kernel, &initrd, "scene=install", Some(&disk), clock, LIMIT)?;
    let reports = machine.finish(|report| eprintln!("vm: {:8.3} {} {}", report.at_s, report.what, report.more))?;
    let mut steps = Map::new();
    for step in STEPS {
        let report = reports.iter().find(|report| report.what == step);
        steps.insert(step.into(), report.with_context(|| format!("`{step}` was not reached"))?.more.clone());
    }
    let uid = &steps["installed"]["uid"];
    ensure!(uid.as_u64().is_some_and(|uid| DYNAMIC_USERS.contains(&uid)), "it runs as the user {uid}");
    ensure!(steps["restarted"]["result"] != "0", "it was restarted, but not by the watchdog");
    figures.insert("package".into(), json!(steps));
    fs::remove_file(&disk)?;
    Ok(())
}

/// Puts packages into /root of a disk as `ocelli_1.deb` and so on. In the first process's archive they would fill the half of free memory
/// that the kernel lets it have, and it cuts off what is above that without a word.
fn put(disk: &Path, packages: &[&PathBuf]) -> Result<()> {
    let mut commands = "cd /root\n".to_owned();
    for (n, package) in (1..).zip(packages) {
        writeln!(commands, "write {} ocelli_{n}.deb", package.display())?;
    }
    let file = disk.with_extension("commands");
    fs::write(&file, commands)?;
    kernel::run(Command::new("debugfs").arg("-w").arg("-f").arg(&file).arg(disk))?;
    Ok(fs::remove_file(&file)?)
}

/// A disk with an installed Debian; made once.
fn system(work: &Path) -> Result<PathBuf> {
    let (disk, list) = (work.join("debian.img"), work.join("debian.packages"));
    if disk.exists() && fs::read_to_string(&list).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(disk);
    }
    eprintln!("vm: installing Debian for arm64 (some minutes, once)");
    let (tree, raw) = (work.join("system"), work.join("system.img"));
    let _ = fs::remove_dir_all(&tree);
    kernel::run(Command::new(root().join("tests/vm/debian.sh")).arg(&tree).arg(PACKAGES))?;
    let _ = fs::remove_file(&raw);
    fs::File::create(&raw)?.set_len(DISK_MIB << 20)?;
    kernel::run(Command::new("mke2fs").args(["-q", "-F", "-t", "ext4", "-d"]).arg(&tree).arg(&raw))?;
    fs::remove_dir_all(&tree)?;
    fs::rename(&raw, &disk)?;
    fs::write(&list, PACKAGES)?;
    Ok(disk)
}
