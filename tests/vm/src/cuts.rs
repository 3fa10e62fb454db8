//! Power cuts: the machine is killed in the middle of what it does, and started again on the same disk.
//!
//! What it had handed to its disk is there; what its kernel still held is not. That is a power cut of a disk that keeps its
//! promises. One that loses what it said to have written is not emulated.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use crate::kernel::{self, Kernel};
use crate::machine::{Clock, Machine, Report};
use crate::narrate::{Kinds, kinds};
use crate::{Cli, base, clip, save};

/// Until it narrates again, in the machine's time since it was switched on.
const START_S: f64 = 10.0;

/// Until it is cut in ours, which says nothing but that it hangs.
const LIMIT: Duration = Duration::from_mins(10);

/// The longest that it narrates before a cut, in the machine's time, however busy the host is: a snapshot of what is remembered and the clip
/// of an alert are written before that.
const NARRATING_MS: u64 = 12_000;

/// The longest from the disk's mount to a cut that comes while it starts. It narrates some 1.2 s after the mount at the earliest.
const STARTING_MS: u64 = 900;

/// How often the machine tells its time; a cut comes at any moment of such a tick, in ours.
const TICK_MS: u64 = 100;

/// What was told so long ago, in the machine's time, must be on its disk: the program waits a tenth of a second for more to write with
/// it, and then for the disk. What was told later may be there or not, and is counted apart.
const SAFE_S: f64 = 0.5;

/// After it watched for so long, in the machine's time, there must be a snapshot, which each start from then on must read: two seconds more
/// than the config's `save_every_s`.
const SNAPSHOT_S: f64 = 12.0;

/// The first cut, this long after the first narration: a snapshot is there, and an alert was told and acknowledged.
const FIRST_MS: u64 = NARRATING_MS + 1_000;

/// What is told and what is listed are rounded to milliseconds, each in its own way.
const ROUNDED_S: f64 = 0.001_5;

/// The most that the journal can be asked for at once, which is what the machine does: more cuts than make so many events need another way.
const MOST_LISTED: usize = 1000;

const DISK_MIB: u64 = 64;

/// Where the config has recordings, on the disk.
const RECORDINGS: &str = "/recordings";

/// The last start goes on for so long, in the machine's time, until the clip of its alert is written.
const CLIP: Duration = Duration::from_secs(8);

/// Pictures of the clip, of which each start takes another as its first.
const PICTURES: u64 = 400;

/// An event that was told before a cut.
#[derive(Clone, Debug, Default)]
struct Told {
    id: u64,
    camera: String,
    t_start_s: f64,
    t_end_s: f64,
    /// Of a narration.
    kind: Option<String>,
    /// The first id that the same uptime gave.
    first_id: u64,
    /// When, in the machine's time.
    at_s: f64,
    /// Whether that was so shortly before the cut that it need not be kept. Once it was found, it must stay.
    late: bool,
    asked: bool,
    lost: bool,
}

/// An alert that was acknowledged.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    id: u64,
    asked: bool,
    lost: bool,
}

/// What was told and acknowledged, and must be found by every later start.
#[derive(Debug, Default)]
struct Promised {
    told: Vec<Told>,
    acknowledged: Vec<Acknowledged>,
    newest: u64,
    /// That there is a snapshot.
    snapshot: bool,
}

impl Told {
    /// Whether this event of a journal says of it what was told: its camera, its kind where it has one, and a time with its own in it. Its
    /// sentence may be another of that kind.
    fn is_within(&self, event: &Value) -> bool {
        event["camera"] == self.camera.as_str()
            && self.kind.as_deref().is_none_or(|kind| event["kind"] == kind)
            && event["t_start_s"].as_f64().is_some_and(|t_start_s| t_start_s <= self.t_start_s + ROUNDED_S)
            && event["t_end_s"].as_f64().is_some_and(|t_end_s| t_end_s >= self.t_end_s - ROUNDED_S)
    }

    /// Whether this event of a journal is a narration before it that went on with it. Stream time begins anew where nothing was
    /// remembered, so it must be of the same uptime, in which it does not go back.
    fn went_into(&self, event: &Value) -> bool {
        event["id"].as_u64().is_some_and(|id| (self.first_id..self.id).contains(&id))
            && self.kind.is_some()
            && self.is_within(event)
    }
}

/// What the boots came to.
#[derive(Debug, Default)]
struct Tally {
    cuts: u32,
    cuts_in_a_start: u32,
    boots: u32,
    lost_events: u64,
    told_events: u64,
    /// Of the last moment before a cut.
    lost_late_events: u64,
    told_late_events: u64,
    /// Each event and acknowledgement after each later cut.
    questions: u64,
    acknowledged: u64,
    lost_acknowledged: u64,
    failed_starts: u32,
    damaged: Vec<String>,
    snapshots_read: u32,
    snapshots_missed: u32,
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
    let (mut promised, kinds) = (Promised::default(), kinds()?);
    // The last start says whether the last cut did harm, and goes on until a clip is written.
    for boot in 0..=cli.power_cuts {
        let last = boot == cli.power_cuts;
        let cut = if last { Cut::last() } else { Cut::nth(boot, &mut dice) };
        let words = format!("scene=cuts first={}", dice.below(PICTURES));
        let clock = Clock::InstructionsOrHost;
        let mut machine = Machine::start(kernel, &initrd, &words, Some(&disk), clock, LIMIT)?;
        let narrated = once(&mut machine, cut, &kinds, &mut tally, &mut promised);
        drop(machine);
        if !last && let Ok(narrated) = narrated {
            tally.cuts += 1;
            tally.cuts_in_a_start += u32::from(!narrated);
        }
        eprintln!("vm: {} power cuts, {tally:?}", tally.cuts);
        figures.insert("power_cuts".into(), tally.figures());
        save(cli, figures)?;
        narrated?;
    }
    let (snapshots, clips) = recordings(&cli.work, &disk, &mut tally.damaged)?;
    figures.insert("recordings".into(), json!({"snapshots": snapshots, "clips": clips}));
    figures.insert("power_cuts".into(), tally.figures());
    ensure!(clips > 0, "no clip was recorded");
    tally.judge()
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    since: &'static str,
    after: Duration,
    moment: Duration,
}

impl Cut {
    /// The first when there is something to lose, the second well before it narrates, of the others each fourth until it narrates: half
    /// of these from the disk's mount on, half from the program's start, which then opens journal and snapshot.
    fn nth(n: u32, dice: &mut Dice) -> Self {
        let (moment, starts) = (Duration::from_millis(dice.below(TICK_MS)), dice.below(4) == 0);
        let (since, after_ms) = match n {
            0 => ("kept", FIRST_MS),
            1 => ("mounts", dice.below(STARTING_MS / 2)),
            _ if starts => (["mounts", "starts"][dice.below(2) as usize], dice.below(STARTING_MS)),
            _ => ("kept", dice.below(NARRATING_MS)),
        };
        Self { since, after: Duration::from_millis(after_ms), moment }
    }

    const fn last() -> Self {
        Self { since: "kept", after: CLIP, moment: Duration::ZERO }
    }
}

/// Hears a machine until the power is cut, and says whether it narrated before.
fn once(machine: &mut Machine, cut: Cut, kinds: &Kinds, tally: &mut Tally, promised: &mut Promised) -> Result<bool> {
    let (mut now, mut last_s, mut end_s) = (Promised::default(), 0.0, f64::INFINITY);
    let (mut first, mut narrates_s, mut cut_at) = (None, None, None::<Instant>);
    tally.boots += 1;
    loop {
        // Before the cut is due it is heard for as long as a machine may be on, and fails there.
        let heard = machine.hear(cut_at.unwrap_or_else(|| Instant::now() + LIMIT));
        let went_off = matches!(heard, Ok(None)) && cut_at.is_none_or(|cut_at| Instant::now() < cut_at);
        tally.failed_starts += u32::from(narrates_s.is_none() && (heard.is_err() || went_off));
        ensure!(!went_off, "the machine went off by itself");
        let Some(report) = heard? else { break };
        last_s = report.at_s;
        if report.what == cut.since {
            end_s = report.at_s + cut.after.as_secs_f64();
        }
        match report.what.as_str() {
            "event" => {
                let id = report.more["id"].as_u64().context("an event has an id")?;
                let &mut (first_id, _) = first.get_or_insert((id, report.at_s));
                if report.more["type"] == "narration" {
                    narrates_s.get_or_insert(report.at_s);
                }
                if let Some(event) = told(&report, first_id, kinds)? {
                    if event.id <= promised.newest {
                        tally.damaged.push(format!("the id {} was given twice", event.id));
                    }
                    // An alert that is told again has its id, and the journal keeps it as it was.
                    if now.told.iter().all(|before| before.id != event.id) {
                        now.told.push(event);
                    }
                }
            }
            "note" => {
                let note = report.more.as_str().unwrap_or_default();
                now.snapshot |= note.contains("remembering ");
                if ["damaged", "refused", "set aside", "nothing is remembered"].iter().any(|word| note.contains(word)) {
                    tally.damaged.push(note.to_owned());
                }
            }
            "kept" => {
                if report.more["code"] != 0 || report.more["set_aside"].as_array().is_none_or(|files| !files.is_empty())
                {
                    tally.damaged.push(report.more.to_string());
                }
                let kept = report.more["events"].as_array().context("it has a list")?;
                ensure!(kept.len() < MOST_LISTED, "the journal has more than can be asked for");
                tally.ask(promised, kept);
            }
            "acknowledged" => {
                let id = report.more.as_u64().context("an id")?;
                if now.acknowledged.iter().all(|before| before.id != id) {
                    now.acknowledged.push(Acknowledged { id, ..Acknowledged::default() });
                }
            }
            // One that does not narrate is not waited for.
            "tick" if report.at_s >= end_s || (narrates_s.is_none() && report.at_s > 2.0 * START_S) => {
                (cut_at, end_s) = (Some(Instant::now() + cut.moment), f64::INFINITY);
            }
            _ => {}
        }
    }
    tally.first_s.extend(narrates_s);
    tally.failed_starts += u32::from(narrates_s.unwrap_or(last_s) > START_S);
    tally.snapshots_read += u32::from(now.snapshot);
    tally.snapshots_missed += u32::from(narrates_s.is_some() && promised.snapshot && !now.snapshot);
    promised.snapshot |= now.snapshot || first.is_some_and(|(_, watches_s)| last_s - watches_s >= SNAPSHOT_S);
    promised.newest = now.told.iter().map(|event| event.id).fold(promised.newest, u64::max);
    promised.told.extend(now.told.into_iter().map(|event| Told { late: last_s - event.at_s < SAFE_S, ..event }));
    promised.acknowledged.extend(now.acknowledged);
    Ok(narrates_s.is_some())
}

/// What the journal must have of a report. An `update` is of an alert before it, and how the device is each minute is not kept.
fn told(report: &Report, first_id: u64, kinds: &Kinds) -> Result<Option<Told>> {
    let event = &report.more;
    if !["narration", "alert", "alert_end", "blind", "camera"].iter().any(|kind| event["type"] == *kind) {
        return Ok(None);
    }
    let lacks = |key: &str| format!("an event without {key}: {event}");
    let seconds = |key: &str| event[key].as_f64().with_context(|| lacks(key));
    let kind = if event["type"] == "narration" {
        kinds.get(event["text"].as_str().with_context(|| lacks("text"))?)
    } else {
        None
    };
    Ok(Some(Told {
        id: event["id"].as_u64().with_context(|| lacks("id"))?,
        camera: event["camera"].as_str().with_context(|| lacks("camera"))?.to_owned(),
        t_start_s: seconds("t_start_s")?,
        t_end_s: seconds("t_end_s")?,
        kind: kind.cloned(),
        first_id,
        at_s: report.at_s,
        ..Told::default()
    }))
}

impl Tally {
    /// What of all that was ever promised is in this list of a journal? Each is counted once, and as lost once.
    fn ask(&mut self, promised: &mut Promised, kept: &[Value]) {
        let listed: HashMap<u64, &Value> =
            kept.iter().filter_map(|event| Some((event["id"].as_u64()?, event))).collect();
        // How many more narrations each event may be made of. The newest ask first: the one with which an event ends is in it.
        let more = |event: &Value| event["narrations"].as_u64().unwrap_or(1).saturating_sub(1);
        let mut room: HashMap<u64, u64> = listed.iter().map(|(id, event)| (*id, more(event))).collect();
        for event in promised.told.iter_mut().rev().filter(|event| !event.lost) {
            self.questions += 1;
            let joined = |of: &&Value| event.went_into(of) && room[&of["id"].as_u64().unwrap_or_default()] > 0;
            let same = listed.get(&event.id).copied().filter(|same| event.is_within(same));
            let into = same.or_else(|| kept.iter().rev().find(joined));
            event.lost = into.is_none();
            if let Some(into) = into.and_then(|into| into["id"].as_u64()).filter(|into| *into != event.id) {
                *room.get_mut(&into).expect("it is listed") -= 1;
            }
            match (event.asked, event.late) {
                (false, true) => {
                    self.told_late_events += 1;
                    self.lost_late_events += u64::from(event.lost);
                }
                (asked, _) => {
                    self.told_events += u64::from(!asked && !event.late);
                    self.lost_events += u64::from(event.lost);
                }
            }
            if event.lost && (event.asked || !event.late) {
                eprintln!("vm: lost: {event:?}");
            }
            event.asked = true;
        }
        for promise in promised.acknowledged.iter_mut().filter(|promise| !promise.lost) {
            self.questions += 1;
            self.acknowledged += u64::from(!promise.asked);
            promise.asked = true;
            promise.lost = listed.get(&promise.id).is_none_or(|event| event["acknowledged"] != true);
            self.lost_acknowledged += u64::from(promise.lost);
        }
    }

    /// Whether all is as it should be, and was tried.
    fn judge(&self) -> Result<()> {
        ensure!(self.failed_starts == 0, "{} starts did not narrate within {START_S} s", self.failed_starts);
        ensure!(self.damaged.is_empty(), "something on the disk was damaged: {:?}", self.damaged);
        ensure!(self.told_events > 0 && self.acknowledged > 0, "nothing was told or acknowledged before a cut");
        ensure!(self.lost_events == 0, "{} events that were told are lost", self.lost_events);
        ensure!(self.lost_acknowledged == 0, "{} acknowledgements are lost", self.lost_acknowledged);
        ensure!(self.snapshots_missed == 0, "{} starts did not read the snapshot that is there", self.snapshots_missed);
        ensure!(self.snapshots_read > 0, "no start read a snapshot");
        let narrating = self.cuts - self.cuts_in_a_start;
        let both = narrating > 0 && (self.cuts_in_a_start > 0 || self.cuts < 2);
        ensure!(both, "{} cuts fell into a start, and {narrating} came while it narrated", self.cuts_in_a_start);
        Ok(())
    }

    fn figures(&self) -> Value {
        let worst_s = self.first_s.iter().copied().fold(0.0, f64::max);
        json!({"n": self.cuts, "lost_events": self.lost_events, "failed_starts": self.failed_starts,
            "in_a_start": self.cuts_in_a_start, "while_narrating": self.cuts - self.cuts_in_a_start,
            "told_events": self.told_events, "told_late_events": self.told_late_events,
            "lost_late_events": self.lost_late_events, "acknowledged": self.acknowledged,
            "lost_acknowledged": self.lost_acknowledged, "questions": self.questions,
            "starts": self.boots, "starts_that_narrated": self.first_s.len(), "snapshots_read": self.snapshots_read,
            "snapshots_missed": self.snapshots_missed, "longest_boot_to_narration_s": worst_s, "damaged": self.damaged})
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
    use crate::machine::bound;

    fn narration(id: u64, t_end_s: f64) -> Told {
        let (camera, kind) = ("camera".to_owned(), Some("walk".to_owned()));
        Told { id, camera, t_start_s: t_end_s - 0.6, t_end_s, kind, first_id: 1, ..Told::default() }
    }

    fn kept(id: u64, (t_start_s, t_end_s): (f64, f64), narrations: u64) -> Value {
        json!({"id": id, "camera": "camera", "kind": "walk", "t_start_s": t_start_s, "t_end_s": t_end_s,
            "narrations": narrations, "acknowledged": false})
    }

    fn promised(told: Vec<Told>) -> Promised {
        Promised { told, ..Promised::default() }
    }

    fn lost(promised: &Promised) -> Vec<u64> {
        promised.told.iter().filter(|event| event.lost).map(|event| event.id).collect()
    }

    #[test]
    fn what_is_lost_is_counted_and_what_became_part_of_another_is_not() {
        let listed = [kept(3, (3.4, 5.0), 2), kept(7, (8.4, 9.0), 1), kept(8, (8.9, 9.5), 1)];
        let device = Told { kind: None, ..narration(5, 5.0) };
        let late = Told { late: true, ..narration(10, 12.0) };
        // Of the device; after the event ended; after one that did not go on.
        let told = vec![narration(3, 4.0), narration(4, 5.0), device, narration(6, 5.1), narration(7, 9.0), late];
        let told = told.into_iter().chain([narration(9, 9.5)]).collect();
        let (mut tally, mut promised) = (Tally::default(), promised(told));
        tally.ask(&mut promised, &listed);
        assert_eq!(lost(&promised), [5, 6, 10, 9]);
        assert_eq!((tally.told_events, tally.lost_events), (6, 3));
        assert_eq!((tally.told_late_events, tally.lost_late_events), (1, 1));
    }

    /// Without a snapshot stream time begins anew, and an event of an uptime before ends later than all that is told.
    #[test]
    fn an_event_of_another_uptime_is_none_that_went_on() {
        let again = Told { first_id: 1025, ..narration(1027, 3.0) };
        let before = kept(9, (2.0, 40.0), 3);
        assert!(!again.went_into(&before), "it is of the uptime before");
        assert!(again.went_into(&kept(1026, (2.0, 3.0), 2)));
        let mut promised = promised(vec![again]);
        Tally::default().ask(&mut promised, &[before]);
        assert_eq!(lost(&promised), [1027]);
    }

    #[test]
    fn only_the_same_camera_and_kind_and_a_time_around_it_goes_on() {
        let (told, event) = (narration(5, 5.0), kept(3, (3.4, 5.0), 2));
        assert!(told.went_into(&event));
        for (key, other) in [
            ("id", json!(5)),
            ("id", json!(6)),
            ("camera", json!("door")),
            ("kind", json!("fall")),
            ("kind", Value::Null),
            ("t_start_s", json!(4.5)),
            ("t_end_s", json!(4.9)),
        ] {
            let mut event = event.clone();
            event[key] = other.clone();
            assert!(!told.went_into(&event), "{key}: {other}");
        }
        assert!(!Told { kind: None, ..told }.went_into(&event), "its sentence is of no kind");
    }

    /// The id alone is no proof: another event may have got it, or its end may be that of an older page.
    #[test]
    fn what_has_the_id_and_not_what_was_told_is_lost() {
        let listed = |key: &str, value: Value| {
            let mut event = kept(3, (3.4, 5.0), 1);
            event[key] = value;
            let mut promised = promised(vec![narration(3, 5.0)]);
            Tally::default().ask(&mut promised, &[event]);
            lost(&promised)
        };
        assert_eq!(listed("narrations", json!(2)), [0_u64; 0]);
        for (key, other) in
            [("camera", json!("door")), ("kind", json!("fall")), ("t_start_s", json!(4.5)), ("t_end_s", json!(4.9))]
        {
            assert_eq!(listed(key, other), [3], "{key}");
        }
    }

    #[test]
    fn a_told_event_in_which_something_lacks_is_an_error_and_what_is_not_kept_is_none() {
        for key in ["id", "camera", "text", "t_start_s", "t_end_s"] {
            let (at_s, what, mut more) = event(1.4, 2, "narration");
            more.as_object_mut().expect("an event").remove(key);
            let (_, told) = play(&[(at_s, what, more), mounts(), tick(1.6)], &mut Promised::default());
            assert!(told.is_err_and(|error| error.to_string().contains(key)), "{key}");
        }
        let mut promised = Promised::default();
        let health = (1.4, "event", json!({"id": 1, "type": "health"}));
        play(&[health, mounts(), tick(1.6)], &mut promised).1.expect("it is cut");
        assert!(promised.told.is_empty());
    }

    /// An event of two narrations that ends with the third of them has no room for the second.
    #[test]
    fn an_event_is_made_of_no_more_narrations_than_it_says() {
        let told = || vec![narration(3, 4.0), narration(4, 5.0), narration(5, 6.0)];
        let (mut whole, mut short) = (promised(told()), promised(told()));
        Tally::default().ask(&mut whole, &[kept(3, (3.4, 6.0), 3)]);
        assert_eq!(lost(&whole), [0_u64; 0]);
        Tally::default().ask(&mut short, &[kept(3, (3.4, 6.0), 2)]);
        assert_eq!(lost(&short), [4]);
    }

    #[test]
    fn a_promise_is_asked_about_after_each_cut_and_lost_once() {
        let late = Told { late: true, ..narration(5, 6.0) };
        let mut promised = promised(vec![narration(3, 4.0), late]);
        promised.acknowledged = vec![Acknowledged { id: 7, ..Acknowledged::default() }];
        let alert = json!({"id": 7, "acknowledged": true});
        let all = [kept(3, (3.4, 4.0), 1), kept(5, (5.4, 6.0), 1), alert];
        let mut tally = Tally::default();
        tally.ask(&mut promised, &all);
        tally.ask(&mut promised, &all);
        assert_eq!((tally.told_events, tally.told_late_events, tally.acknowledged, tally.questions), (1, 1, 1, 6));
        assert_eq!((tally.lost_events, tally.lost_late_events, tally.lost_acknowledged), (0, 0, 0));
        // What was there once may not go, however late it was told.
        tally.ask(&mut promised, &[]);
        tally.ask(&mut promised, &[]);
        assert_eq!((tally.told_events, tally.told_late_events, tally.acknowledged, tally.questions), (1, 1, 1, 9));
        assert_eq!((tally.lost_events, tally.lost_late_events, tally.lost_acknowledged), (2, 0, 1));
    }

    #[test]
    fn with_any_seed_the_first_cut_comes_when_it_narrates_and_the_second_when_it_starts() {
        for seed in 1..1000 {
            let mut dice = Dice(seed);
            let cuts = [0, 1].map(|n| Cut::nth(n, &mut dice));
            assert_eq!(cuts.map(|cut| cut.since), ["kept", "mounts"]);
            assert!(cuts[0].after.as_secs_f64() > SNAPSHOT_S && cuts[1].after < Duration::from_millis(STARTING_MS / 2));
        }
        let mut dice = Dice(1);
        let (mut mounts, mut starts) = (0, 0);
        for n in 2..402 {
            match Cut::nth(n, &mut dice).since {
                "mounts" => mounts += 1,
                "starts" => starts += 1,
                _ => {}
            }
        }
        let eighth = 25..75;
        assert!(eighth.contains(&mounts) && eighth.contains(&starts), "{mounts} and {starts} of 400 in a start");
    }

    /// A machine that reports this, and then nothing, and may be on for so long.
    fn machine(reports: &[(f64, &str, Value)], limit: Duration) -> Machine {
        let lines = reports.iter().map(|(at_s, what, more)| json!({"at_s": at_s, "what": what, "more": more}));
        let mut command = bound("sh");
        command
            .args(["-c", "printf '@ %s\\n' \"$@\"; exec sleep 300", "machine"])
            .args(lines.map(|line| line.to_string()));
        Machine::of(command, limit).expect("it starts")
    }

    fn event(at_s: f64, id: u64, kind: &str) -> (f64, &'static str, Value) {
        let more =
            json!({"id": id, "type": kind, "camera": "camera", "t_start_s": at_s, "t_end_s": at_s + 0.5, "text": "x"});
        (at_s, "event", more)
    }

    fn tick(at_s: f64) -> (f64, &'static str, Value) {
        (at_s, "tick", Value::Null)
    }

    fn mounts() -> (f64, &'static str, Value) {
        (0.5, "mounts", Value::Null)
    }

    /// Plays one that is cut a second after it mounted its disk, or later where it says less.
    fn play(reports: &[(f64, &str, Value)], promised: &mut Promised) -> (Tally, Result<bool>) {
        play_for(reports, promised, Duration::from_mins(1))
    }

    fn play_for(reports: &[(f64, &str, Value)], promised: &mut Promised, limit: Duration) -> (Tally, Result<bool>) {
        let cut = Cut { since: "mounts", after: Duration::from_secs(1), moment: Duration::ZERO };
        let mut tally = Tally::default();
        let narrated = once(&mut machine(reports, limit), cut, &Kinds::new(), &mut tally, promised);
        (tally, narrated)
    }

    #[test]
    fn a_machine_that_falls_silent_before_its_cut_was_not_cut() {
        let hangs = |reports: &[(f64, &str, Value)]| {
            let (tally, narrated) = play_for(reports, &mut Promised::default(), Duration::from_secs(1));
            assert!(narrated.is_err_and(|error| error.to_string().contains("in time")), "{reports:?}");
            tally.failed_starts
        };
        assert_eq!(hangs(&[mounts(), tick(1.4)]), 1);
        // It narrated, and did not report what the cut was to follow, or hung after that.
        assert_eq!(hangs(&[event(1.2, 2, "narration"), tick(1.6)]), 0);
        assert_eq!(hangs(&[mounts(), event(1.2, 2, "narration"), tick(1.4)]), 0);
    }

    #[test]
    fn a_start_that_does_not_narrate_in_time_has_failed_unless_it_was_cut_before() {
        let fails = |reports: &[(f64, &str, Value)]| {
            let (tally, narrated) = play(reports, &mut Promised::default());
            (tally.failed_starts, narrated.ok())
        };
        assert_eq!(fails(&[mounts(), tick(1.6)]), (0, Some(false)));
        assert_eq!(fails(&[mounts(), event(1.4, 2, "narration"), tick(1.6)]), (0, Some(true)));
        assert_eq!(fails(&[event(START_S + 0.1, 2, "narration"), mounts(), tick(30.0)]), (1, Some(true)));
        // It says nothing, whenever it was to be cut; its first process fails.
        assert_eq!(fails(&[event(1.4, 1, "health"), tick(2.0 * START_S + 0.1)]), (1, Some(false)));
        assert_eq!(fails(&[mounts(), (1.0, "failed", json!({"why": "it ended"}))]), (1, None));
    }

    #[test]
    fn a_snapshot_must_be_read_by_every_start_after_there_is_one() {
        let mut promised = Promised::default();
        let mut boot = |reports: &[(f64, &str, Value)]| {
            let (tally, narrated) = play(reports, &mut promised);
            narrated.expect("it is cut");
            (tally.snapshots_read, tally.snapshots_missed)
        };
        let remembers = (1.0, "note", json!("ocelli: remembering 3 scenes and 8 frames; not running for 2 s"));
        let narrates = |id| event(1.2, id, "narration");
        // Cut before there was one; after; and while it starts, where it need not have come to it.
        assert_eq!(boot(&[narrates(2), mounts(), tick(1.6)]), (0, 0));
        assert_eq!(boot(&[narrates(4), mounts(), tick(1.2 + SNAPSHOT_S)]), (0, 0));
        assert_eq!(boot(&[mounts(), tick(1.6)]), (0, 0));
        assert_eq!(boot(&[narrates(6), mounts(), tick(1.6)]), (0, 1));
        assert_eq!(boot(&[remembers, narrates(8), mounts(), tick(1.6)]), (1, 0));
        assert_eq!(boot(&[narrates(10), mounts(), tick(1.6)]), (0, 1));
    }

    #[test]
    fn a_run_in_which_nothing_was_tried_or_something_is_lost_fails() {
        let good = || Tally {
            cuts: 2,
            cuts_in_a_start: 1,
            told_events: 3,
            acknowledged: 1,
            snapshots_read: 1,
            ..Tally::default()
        };
        good().judge().expect("it is as it should be");
        let figures = good().figures();
        assert_eq!(["n", "lost_events", "failed_starts"].map(|key| &figures[key]), [2, 0, 0]);
        for bad in [
            Tally { failed_starts: 1, ..good() },
            Tally { damaged: vec!["torn".into()], ..good() },
            Tally { told_events: 0, ..good() },
            Tally { acknowledged: 0, ..good() },
            Tally { lost_events: 1, ..good() },
            Tally { lost_acknowledged: 1, ..good() },
            Tally { snapshots_missed: 1, ..good() },
            Tally { snapshots_read: 0, ..good() },
            Tally { cuts_in_a_start: 0, ..good() },
            Tally { cuts_in_a_start: 2, ..good() },
        ] {
            assert!(bad.judge().is_err(), "{bad:?}");
        }
    }
}
