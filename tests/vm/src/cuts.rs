//! Power cuts: the machine is killed in the middle of what it does, and started again on the same disk.
//!
//! What it had handed to its disk is there; what its kernel still held is not. That is a power cut of a disk that keeps its
//! promises. One that loses what it said to have written is not emulated.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use crate::kernel::{self, Kernel};
use crate::machine::{Clock, Machine, Report};
use crate::{Cli, base, clip, save};

/// Until it narrates again, in the machine's time since it was switched on.
const START_S: f64 = 10.0;

/// Until it is cut in ours, which says nothing but that it hangs.
const LIMIT: Duration = Duration::from_mins(10);

/// The longest that it narrates before a cut, in the machine's time, however busy the host is: a snapshot of what is remembered and the clip
/// of an alert are written before that.
const NARRATING_MS: u64 = 12_000;

/// The longest from the disk's mount to a cut that comes while it starts: until it narrates.
const STARTING_MS: u64 = 2_000;

/// How often the machine tells its time; a cut comes at any moment of such a tick, in ours.
const TICK_MS: u64 = 100;

/// What was told so long ago, in the machine's time, must be on its disk: the program waits a tenth of a second for more to write with
/// it, and then for the disk. What was told later may be there or not, and is counted apart.
const SAFE_S: f64 = 0.5;

const DISK_MIB: u64 = 64;

/// Where the config has recordings, on the disk.
const RECORDINGS: &str = "/recordings";

/// The last start goes on for so long, in the machine's time, until the clip of its alert is written.
const CLIP: Duration = Duration::from_secs(8);

/// Pictures of the clip, of which each start takes another as its first.
const PICTURES: u64 = 400;

/// An event that was told before a cut.
#[derive(Clone, Debug)]
struct Told {
    id: u64,
    t_end_s: f64,
    is_narration: bool,
    /// When, in the machine's time.
    at_s: f64,
    /// Whether that was so shortly before the cut that it need not be kept.
    late: bool,
}

/// What was told and acknowledged, and must be found by the next start.
#[derive(Debug, Default)]
struct Promised {
    told: Vec<Told>,
    acknowledged: Vec<u64>,
    newest: u64,
}

impl Told {
    /// Whether it is in this list of a journal: itself, or as part of a narration before it that went on.
    fn is_in(&self, kept: &[Value]) -> bool {
        let joined = |event: &Value| {
            event["narrations"].as_u64() > Some(1)
                && event["id"].as_u64() < Some(self.id)
                && event["t_end_s"].as_f64().is_some_and(|t_end_s| t_end_s >= self.t_end_s)
        };
        kept.iter().any(|event| event["id"] == self.id || (self.is_narration && joined(event)))
    }
}

/// What the boots came to.
#[derive(Debug, Default)]
struct Tally {
    cuts: u32,
    boots: u32,
    lost_events: u64,
    told_events: u64,
    /// Of the last moment before a cut.
    lost_late_events: u64,
    told_late_events: u64,
    acknowledged: u64,
    lost_acknowledged: u64,
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
    let mut promised = Promised::default();
    // The last start says whether the last cut did harm, and goes on until a clip is written.
    for boot in 0..=cli.power_cuts {
        let (last, moment) = (boot == cli.power_cuts, Duration::from_millis(dice.below(TICK_MS)));
        let cut = if last {
            Cut { since: "kept", after: CLIP, moment }
        } else if dice.below(4) == 0 && boot > 0 {
            Cut { since: "mounts", after: Duration::from_millis(dice.below(STARTING_MS)), moment }
        } else {
            Cut { since: "kept", after: Duration::from_millis(dice.below(NARRATING_MS)), moment }
        };
        let first = dice.below(PICTURES);
        once(kernel, &initrd, &disk, cut, first, &mut tally, &mut promised)?;
        tally.cuts += u32::from(!last);
        eprintln!("vm: {} power cuts, {tally:?}", tally.cuts);
        figures.insert("power_cuts".into(), tally.figures());
        save(cli, figures)?;
    }
    let (snapshots, clips) = recordings(&cli.work, &disk, &mut tally.damaged)?;
    figures.insert("recordings".into(), json!({"snapshots": snapshots, "clips": clips}));
    figures.insert("power_cuts".into(), tally.figures());
    ensure!(clips > 0, "no clip was recorded");
    ensure!(tally.failed_starts == 0, "{} starts did not narrate within {START_S} s", tally.failed_starts);
    ensure!(tally.damaged.is_empty(), "something on the disk was damaged: {:?}", tally.damaged);
    ensure!(tally.told_events > 0 && tally.acknowledged > 0, "nothing was told or acknowledged before a cut");
    ensure!(tally.lost_events == 0, "{} events that were told are lost", tally.lost_events);
    ensure!(tally.lost_acknowledged == 0, "{} acknowledgements are lost", tally.lost_acknowledged);
    Ok(())
}

/// How many snapshots and clips are on the disk; those that cannot be played to their end are damaged.
fn recordings(work: &Path, disk: &Path, damaged: &mut Vec<String>) -> Result<(u32, u32)> {
    // As a start would: what the file system's journal has is brought into place, which is no damage (1).
    let checked = Command::new("e2fsck").args(["-f", "-p"]).arg(disk).env("PATH", kernel::path()).output()?;
    ensure!(checked.status.code().is_some_and(|code| code <= 1), "{}", String::from_utf8_lossy(&checked.stdout));
    let folder = work.join("recordings");
    let _ = fs::remove_dir_all(&folder);
    // It makes the folder, and does nothing without a word where there is one.
    kernel::run(Command::new("debugfs").arg("-R").arg(format!("rdump {RECORDINGS} {}", work.display())).arg(disk))?;
    let (mut snapshots, mut clips) = (0, 0);
    for file in fs::read_dir(&folder)? {
        let path = file?.path();
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("jpg") => snapshots += 1,
            Some("mp4") => clips += 1,
            _ => continue,
        }
        // Decodes them all, and says nothing else of a whole file.
        let played = Command::new("ffprobe").args(["-v", "error", "-count_frames"]).arg(&path).output()?;
        if !played.status.success() || !played.stderr.is_empty() {
            damaged.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&played.stderr).trim()));
        }
    }
    Ok((snapshots, clips))
}

/// When the power is cut: so long after the machine reported this, in its time, and at this moment of ours after that.
#[derive(Clone, Copy, Debug)]
struct Cut {
    since: &'static str,
    after: Duration,
    moment: Duration,
}

fn once(
    kernel: &Kernel,
    initrd: &Path,
    disk: &Path,
    cut: Cut,
    first: u64,
    tally: &mut Tally,
    promised: &mut Promised,
) -> Result<()> {
    let (words, clock) = (format!("scene=cuts first={first}"), Clock::InstructionsOrHost);
    let mut machine = Machine::start(kernel, initrd, &words, Some(disk), clock, LIMIT)?;
    let mut until = Instant::now() + LIMIT;
    let (mut now, mut last_s, mut end_s) = (Promised::default(), 0.0, f64::INFINITY);
    tally.boots += 1;
    while let Some(report) = machine.hear(until)? {
        last_s = report.at_s;
        if report.what == cut.since {
            end_s = report.at_s + cut.after.as_secs_f64();
        }
        match report.what.as_str() {
            "event" => {
                if let Some(event) = told(&report) {
                    if event.id <= promised.newest {
                        tally.damaged.push(format!("the id {} was given twice", event.id));
                    }
                    now.told.push(event);
                }
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
                let kept = report.more["events"].as_array().context("it has a list")?;
                tally.ask(promised, kept);
                (promised.told, promised.acknowledged) = (Vec::new(), Vec::new());
            }
            "acknowledged" => now.acknowledged.extend(report.more.as_u64()),
            "tick" if report.at_s >= end_s => (until, end_s) = (Instant::now() + cut.moment, f64::INFINITY),
            _ => {}
        }
    }
    ensure!(Instant::now() >= until, "the machine went off by itself");
    // What was not asked about yet is asked about at the next start.
    promised.newest = now.told.iter().map(|event| event.id).fold(promised.newest, u64::max);
    promised.told.extend(now.told.into_iter().map(|event| Told { late: last_s - event.at_s < SAFE_S, ..event }));
    promised.acknowledged.extend(now.acknowledged);
    Ok(())
}

/// What the journal must have of a report. An `update` is of an alert before it, and how the device is each minute is not kept.
fn told(report: &Report) -> Option<Told> {
    let event = &report.more;
    let kept = ["narration", "alert", "alert_end", "blind", "camera"];
    Some(Told {
        id: event["id"].as_u64().filter(|_| kept.iter().any(|kind| event["type"] == *kind))?,
        t_end_s: event["t_end_s"].as_f64()?,
        is_narration: event["type"] == "narration",
        at_s: report.at_s,
        late: false,
    })
}

impl Tally {
    /// What of that is in this list of a journal?
    fn ask(&mut self, promised: &Promised, kept: &[Value]) {
        for event in &promised.told {
            let is_lost = u64::from(!event.is_in(kept));
            let (told, lost) = if event.late {
                (&mut self.told_late_events, &mut self.lost_late_events)
            } else {
                (&mut self.told_events, &mut self.lost_events)
            };
            (*told, *lost) = (*told + 1, *lost + is_lost);
            if is_lost == 1 && !event.late {
                eprintln!("vm: lost: {event:?}");
            }
        }
        for id in &promised.acknowledged {
            let is_known = kept.iter().any(|event| event["id"] == *id && event["acknowledged"] == true);
            (self.acknowledged, self.lost_acknowledged) =
                (self.acknowledged + 1, self.lost_acknowledged + u64::from(!is_known));
        }
    }

    fn figures(&self) -> Value {
        let worst_s = self.first_s.iter().copied().fold(0.0, f64::max);
        json!({"n": self.cuts, "lost_events": self.lost_events, "failed_starts": self.failed_starts,
            "told_events": self.told_events, "told_late_events": self.told_late_events,
            "lost_late_events": self.lost_late_events, "acknowledged": self.acknowledged,
            "lost_acknowledged": self.lost_acknowledged, "starts": self.boots, "starts_that_narrated": self.first_s.len(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_counted_and_what_became_part_of_another_is_not() {
        let told = |id, t_end_s, is_narration, late| Told { id, t_end_s, is_narration, at_s: 0.0, late };
        let kept = [
            json!({"id": 3, "t_end_s": 5.0, "narrations": 2, "acknowledged": false}),
            json!({"id": 7, "t_end_s": 9.0, "narrations": null, "acknowledged": true}),
            json!({"id": 8, "t_end_s": 9.5, "narrations": 1, "acknowledged": false}),
        ];
        let mut tally = Tally::default();
        let events = vec![
            told(3, 4.0, true, false),
            told(5, 5.0, true, false),
            told(7, 9.0, false, false),
            // Told of the device, after the event ended, after one that did not go on; and at the last moment.
            told(5, 5.0, false, false),
            told(6, 5.1, true, false),
            told(9, 9.5, true, false),
            told(10, 12.0, true, true),
        ];
        tally.ask(&Promised { told: events, acknowledged: vec![7, 8, 11], newest: 0 }, &kept);
        assert_eq!((tally.told_events, tally.lost_events), (6, 3));
        assert_eq!((tally.told_late_events, tally.lost_late_events), (1, 1));
        assert_eq!((tally.acknowledged, tally.lost_acknowledged), (3, 2));
    }
}
