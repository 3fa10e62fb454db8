//! Power cuts: the machine is killed in the middle of what it does, and started again on the same disk.
//!
//! What it had handed to its disk is there; what its kernel still held is not. That is a power cut of a disk that keeps its
//! promises. One that loses what it said to have written is not emulated.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use crate::kernel::{self, Kernel};
use crate::machine::{Clock, Machine};
use crate::{Cli, base, clip};

/// Until it narrates again, in the machine's time since it was switched on.
const START_S: f64 = 10.0;

/// Until then in ours, which says nothing but that it hangs.
const LIMIT: Duration = Duration::from_mins(8);

/// The longest that it narrates before a cut, in our time: more than two snapshots where the host has nothing else to do.
const MOST_MS: u64 = 20_000;

const DISK_MIB: u64 = 64;

/// Pictures of the clip, of which each start takes another as its first.
const PICTURES: u64 = 400;

/// What the boots came to.
#[derive(Debug, Default)]
struct Tally {
    cuts: u32,
    boots: u32,
    lost_events: u64,
    told_events: u64,
    failed_starts: u32,
    damaged: Vec<String>,
    snapshots: u32,
    first_s: Vec<f64>,
}

pub fn run(cli: &Cli, kernel: &Kernel, figures: &mut Map<String, Value>) -> Result<()> {
    let mut archive = base(cli, "cuts.toml")?;
    kernel.add_modules(
        &mut archive,
        &[
            ("v4l2loopback", "devices=1 video_nr=10 max_buffers=4 exclusive_caps=0"),
            ("virtio_mmio", ""),
            ("virtio_blk", ""),
            ("ext4", ""),
        ],
    )?;
    archive.copy_files("clip", &clip(&cli.work)?)?;
    let initrd = cli.work.join("cuts.cpio");
    archive.finish(&initrd)?;
    let disk = cli.work.join("disk.img");
    let _ = fs::remove_file(&disk);
    fs::File::create(&disk)?.set_len(DISK_MIB << 20)?;
    kernel::run(Command::new("mke2fs").args(["-q", "-F", "-t", "ext4"]).arg(&disk))?;
    let (mut tally, mut dice) = (Tally::default(), Dice(cli.seed.max(1)));
    let (mut told, mut newest) = (Vec::new(), 0);
    // The last start is not cut: it says whether the last cut did harm.
    for boot in 0..=cli.power_cuts {
        let last = boot == cli.power_cuts;
        let cut = if last {
            None
        } else if dice.below(4) == 0 && boot > 0 {
            Some(Cut::Starting(Duration::from_millis(dice.below(MOST_MS / 2))))
        } else {
            Some(Cut::Narrating(Duration::from_millis(dice.below(MOST_MS))))
        };
        let first = dice.below(PICTURES);
        once(kernel, &initrd, &disk, cut, first, &mut tally, &mut told, &mut newest)?;
        eprintln!("vm: {} power cuts, {tally:?}", tally.cuts);
        figures.insert("power_cuts".into(), tally.figures());
    }
    let checked = Command::new("e2fsck").args(["-f", "-n"]).arg(&disk).output()?;
    // The journal of the file system is not empty after the last kill; `-n` looks past it and only at what would be left.
    eprintln!("vm: {}", String::from_utf8_lossy(&checked.stdout).lines().last().unwrap_or_default());
    ensure!(tally.failed_starts == 0, "{} starts did not narrate within {START_S} s", tally.failed_starts);
    ensure!(tally.damaged.is_empty(), "something on the disk was damaged: {:?}", tally.damaged);
    Ok(())
}

/// When the power is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// So long after it was switched on.
    Starting(Duration),
    /// So long after it narrates.
    Narrating(Duration),
}

#[expect(clippy::too_many_arguments, reason = "one boot of many, with what they share")]
fn once(
    kernel: &Kernel,
    initrd: &Path,
    disk: &Path,
    cut: Option<Cut>,
    first: u64,
    tally: &mut Tally,
    told: &mut Vec<u64>,
    newest: &mut u64,
) -> Result<()> {
    let (words, clock) = (format!("scene=cuts first={first}"), Clock::InstructionsOrHost);
    let mut machine = Machine::start(kernel, initrd, &words, Some(disk), clock, LIMIT)?;
    let start = Instant::now();
    let mut until = start + if let Some(Cut::Starting(after)) = cut { after } else { LIMIT };
    let (mut before, mut now) = (Some(std::mem::take(told)), Vec::new());
    tally.boots += 1;
    while let Some(report) = machine.hear(until)? {
        match report.what.as_str() {
            "event" if report.more["type"] == "narration" => {
                let id = report.more["id"].as_u64().unwrap_or(0);
                if id <= *newest {
                    tally.damaged.push(format!("the id {id} was given twice"));
                }
                now.push(id);
            }
            "note" => {
                let note = report.more.as_str().unwrap_or_default();
                tally.snapshots += u32::from(note.contains("remembering "));
                if ["damaged", "refused", "set aside", "nothing is remembered"].iter().any(|word| note.contains(word)) {
                    tally.damaged.push(note.to_owned());
                }
            }
            "narrates" => {
                let uptime_s = report.more["uptime_s"].as_f64();
                tally.first_s.extend(uptime_s);
                tally.failed_starts += u32::from(uptime_s.is_none_or(|uptime_s| uptime_s > START_S));
            }
            "kept" => {
                if report.more["code"] != 0 || report.more["set_aside"].as_array().is_none_or(|files| !files.is_empty())
                {
                    tally.damaged.push(report.more.to_string());
                }
                let kept = report.more["ids"].as_array().into_iter().flatten().filter_map(Value::as_u64);
                // Of this start there may be some already; what was told before lies below them.
                let least = now.first().copied().unwrap_or(u64::MAX);
                let last = kept.filter(|id| *id < least).max().unwrap_or(0);
                let before = before.take().unwrap_or_default();
                tally.told_events += before.len() as u64;
                tally.lost_events += before.iter().filter(|id| **id > last).count() as u64;
                match cut {
                    Some(Cut::Narrating(after)) => until = Instant::now() + after,
                    Some(Cut::Starting(_)) => {}
                    None => break,
                }
            }
            _ => {}
        }
    }
    ensure!(cut.is_none() || Instant::now() >= until, "the machine went off by itself");
    tally.cuts += u32::from(cut.is_some());
    // What was not asked about yet is asked about at the next start.
    told.extend(before.into_iter().flatten().chain(now));
    *newest = told.iter().copied().max().unwrap_or(0).max(*newest);
    Ok(())
}

impl Tally {
    fn figures(&self) -> Value {
        let worst_s = self.first_s.iter().copied().fold(0.0, f64::max);
        json!({"n": self.cuts, "lost_events": self.lost_events, "failed_starts": self.failed_starts,
            "told_events": self.told_events, "starts": self.boots, "starts_that_narrated": self.first_s.len(),
            "snapshots_read": self.snapshots, "longest_boot_to_narration_s": worst_s, "damaged": self.damaged})
    }
}

/// Moments that are the same for the same seed: xorshift64 (Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}
