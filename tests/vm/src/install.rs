//! The package in a Debian of its own with systemd: installed, started, watched, upgraded, removed. Its time is that of the
//! host: nothing here is measured, and it is mostly waiting.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use crate::archive::Archive;
use crate::kernel::{self, Kernel};
use crate::machine::{Clock, Machine};
use crate::{Cli, root};

/// Debian's release, which the kernel is of too.
const RELEASE: &str = "bookworm";

const DISK_MIB: u64 = 700;

const LIMIT: Duration = Duration::from_mins(40);

/// Steps that it must report.
const STEPS: [&str; 6] = ["installed", "fed", "replugged", "restarted", "upgraded", "removed"];

pub fn run(cli: &Cli, kernel: &Kernel, figures: &mut Map<String, Value>) -> Result<()> {
    let [package, upgrade] = &cli.packages[..] else { anyhow::bail!("--packages takes two: one, and its upgrade") };
    let system = system(cli, kernel)?;
    let disk = cli.work.join("installed.img");
    fs::copy(&system, &disk)?;
    let mut archive = first_process(cli, kernel)?;
    archive.copy("install.sh", &root().join("tests/vm/install.sh"))?;
    archive.copy("packages/ocelli_1.deb", package)?;
    archive.copy("packages/ocelli_2.deb", upgrade)?;
    let initrd = cli.work.join("install.cpio");
    archive.finish(&initrd)?;
    let machine = Machine::start(kernel, &initrd, "scene=install", Some(&disk), Clock::Host, LIMIT)?;
    let reports = machine.finish(|report| eprintln!("vm: {:8.3} {} {}", report.at_s, report.what, report.more))?;
    let mut steps = Map::new();
    for step in STEPS {
        let report = reports.iter().find(|report| report.what == step);
        steps.insert(step.into(), report.with_context(|| format!("`{step}` was not reached"))?.more.clone());
    }
    ensure!(steps["installed"]["user"] == "ocelli", "it runs as {}", steps["installed"]["user"]);
    ensure!(steps["restarted"]["result"] != "0", "it was restarted, but not by the watchdog");
    figures.insert("package".into(), json!(steps));
    fs::remove_file(&disk)?;
    Ok(())
}

/// A disk with a configured Debian; made once.
fn system(cli: &Cli, kernel: &Kernel) -> Result<std::path::PathBuf> {
    let disk = cli.work.join(format!("{RELEASE}.img"));
    if disk.exists() {
        return Ok(disk);
    }
    eprintln!("vm: installing Debian {RELEASE} for arm64 (some minutes, once)");
    let (tree, raw) = (cli.work.join("system"), cli.work.join("system.img"));
    let _ = fs::remove_dir_all(&tree);
    kernel::run(
        Command::new("debootstrap")
            .args([
                "--foreign",
                "--arch=arm64",
                "--variant=minbase",
                "--include=systemd,systemd-sysv,udev,dbus",
                RELEASE,
            ])
            .arg(&tree),
    )?;
    make_disk(&tree, &raw)?;
    fs::remove_dir_all(&tree)?;
    let initrd = cli.work.join("prepare.cpio");
    first_process(cli, kernel)?.finish(&initrd)?;
    let machine = Machine::start(kernel, &initrd, "scene=install part=prepare", Some(&raw), Clock::Host, LIMIT)?;
    machine.finish(|report| eprintln!("vm: {:8.3} {} {}", report.at_s, report.what, report.more))?;
    fs::rename(&raw, &disk)?;
    Ok(disk)
}

fn make_disk(tree: &Path, disk: &Path) -> Result<()> {
    let _ = fs::remove_file(disk);
    fs::File::create(disk)?.set_len(DISK_MIB << 20)?;
    kernel::run(Command::new("mke2fs").args(["-q", "-F", "-t", "ext4", "-d"]).arg(tree).arg(disk))?;
    Ok(())
}

fn first_process(cli: &Cli, kernel: &Kernel) -> Result<Archive> {
    let mut archive = Archive::default();
    archive.copy("init", &cli.guest)?;
    let webcam = "n_devs=1 node_types=0x1 num_inputs=1 input_types=0 no_error_inj=0";
    kernel.add_modules(&mut archive, &[("vivid", webcam), ("virtio_mmio", ""), ("virtio_blk", ""), ("ext4", "")])?;
    Ok(archive)
}
