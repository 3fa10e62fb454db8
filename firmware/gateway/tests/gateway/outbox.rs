//! The outbox as a power cut, a full disk and a killed program leave it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::event;
use ocelli_gateway::{HELD, Outbox};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// All that a target is handed from here on.
fn drain(outbox: &mut Outbox, target: usize) -> Vec<(String, u64)> {
    let all = std::iter::from_fn(|| {
        let message = outbox.next(target)?;
        outbox.done(target, message.number);
        Some((message.uid(), message.event.id.unwrap_or_default()))
    });
    all.collect()
}

fn ids(outbox: &mut Outbox, target: usize) -> Vec<u64> {
    drain(outbox, target).into_iter().map(|(_, id)| id).collect()
}

fn narrate(outbox: &mut Outbox, ids: std::ops::Range<u64>) {
    for id in ids {
        outbox.push(event(id, "narration", "hall", &format!("sentence {id}")));
        outbox.flush();
    }
}

#[test]
fn each_target_gets_everything_in_order_over_restarts() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let at = Some((folder.path(), 1 << 20));
    let mut outbox = Outbox::open(at, &names(&["a", "b"]), 1).expect("it is ours");
    narrate(&mut outbox, 0..10);
    assert_eq!(ids(&mut outbox, 0), (0..10).collect::<Vec<_>>());
    assert_eq!((outbox.waiting(0), outbox.waiting(1)), (0, 10));
    // Handed out, and not done.
    let first = outbox.next(1).expect("it waits").uid();
    drop(outbox);
    let mut outbox = Outbox::open(at, &names(&["a", "b", "new"]), 2).expect("it is ours");
    assert_eq!((outbox.waiting(0), outbox.waiting(1), outbox.waiting(2)), (0, 10, 0));
    narrate(&mut outbox, 10..12);
    assert_eq!(ids(&mut outbox, 0), [10, 11]);
    assert_eq!(ids(&mut outbox, 2), [10, 11], "a new target gets what comes from its beginning on");
    let b = drain(&mut outbox, 1);
    assert_eq!(b.iter().map(|(_, id)| *id).collect::<Vec<_>>(), (0..12).collect::<Vec<_>>());
    assert_eq!(b[0].0, first, "under the same uid");
    assert_eq!(b.iter().map(|(uid, _)| uid).collect::<BTreeSet<_>>().len(), 12);
}

#[test]
fn a_folder_belongs_to_one_program() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let at = Some((folder.path(), 1 << 20));
    let _held = Outbox::open(at, &names(&["a"]), 1).expect("it is ours");
    let why = Outbox::open(at, &names(&["a"]), 2).expect_err("it is taken").to_string();
    assert!(why.contains("give each its own `folder`"), "{why}");
}

#[test]
fn rewound_is_handed_out_again_under_the_same_uid() {
    let mut outbox = Outbox::open(None, &names(&["a"]), 7).expect("it is ours");
    narrate(&mut outbox, 0..3);
    let handed = |outbox: &mut Outbox| std::iter::from_fn(|| outbox.next(0).map(|it| it.uid())).collect::<Vec<_>>();
    let first = handed(&mut outbox);
    outbox.done(0, 1);
    outbox.rewind(0);
    assert_eq!(handed(&mut outbox), first[1..]);
}

/// Cut off at each byte of the last lines, and with each kind of rubbish behind them.
#[test]
fn a_torn_line_costs_itself_and_nothing_before_it_and_no_uid_comes_twice() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let at = Some((folder.path(), 1 << 20));
    let mut outbox = Outbox::open(at, &names(&["a"]), 1).expect("it is ours");
    narrate(&mut outbox, 0..4);
    drop(outbox);
    let log = folder.path().join("00000000000000000001.log");
    let whole = std::fs::read(&log).expect("it is there");
    let cursors = std::fs::read(folder.path().join("cursors")).expect("it is there");
    let lines: Vec<usize> =
        whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    for cut in (lines[1]..whole.len()).step_by(7).chain([whole.len() - 1]) {
        for rubbish in [&b""[..], &[0; 5000], b"ffffffff 9 1 0 {}\n", b"\n", &vec![0xff; 20_000]] {
            // What the last one wrote is in files of its own.
            for entry in std::fs::read_dir(folder.path()).expect("it is there") {
                std::fs::remove_file(entry.expect("it is there").path()).expect("it is ours");
            }
            std::fs::write(&log, [&whole[..cut], rubbish].concat()).expect("there is room");
            std::fs::write(folder.path().join("cursors"), &cursors).expect("there is room");
            let mut outbox = Outbox::open(at, &names(&["a"]), 2).expect("a start never fails");
            narrate(&mut outbox, 100..102);
            // A line that lacks its end alone may get it.
            let cut_lines = cut + usize::from(rubbish == b"\n");
            let whole_lines = lines.iter().filter(|end| **end <= cut_lines).count() as u64;
            let wanted: Vec<u64> = (0..whole_lines).chain(100..102).collect();
            let got = drain(&mut outbox, 0);
            assert_eq!(got.iter().map(|(_, id)| *id).collect::<Vec<_>>(), wanted, "cut at {cut}");
            assert_eq!(got.iter().map(|(uid, _)| uid).collect::<BTreeSet<_>>().len(), wanted.len());
        }
    }
}

/// Whatever the disk did to the file of cursors: rather twice than not at all.
#[test]
fn without_cursors_all_is_sent_again() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let at = Some((folder.path(), 1 << 20));
    for damage in [None, Some(&b""[..]), Some(b"00000000 5 a\n"), Some(&[0; 40])] {
        let mut outbox = Outbox::open(at, &names(&["a"]), 1).expect("it is ours");
        ids(&mut outbox, 0);
        narrate(&mut outbox, 0..3);
        assert_eq!(ids(&mut outbox, 0).len(), 3);
        drop(outbox);
        let cursors = folder.path().join("cursors");
        match damage {
            None => std::fs::remove_file(&cursors).expect("it is there"),
            Some(damage) => std::fs::write(&cursors, damage).expect("there is room"),
        }
        let mut outbox = Outbox::open(at, &names(&["a"]), 2).expect("a start never fails");
        let again = ids(&mut outbox, 0);
        assert!(again.ends_with(&[0, 1, 2]), "{again:?}");
    }
}

/// The number of the next message does not come from what a torn log has left, but is above what any target has.
#[test]
fn a_log_that_lost_what_was_sent_gives_no_number_twice() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let at = Some((folder.path(), 1 << 20));
    let mut outbox = Outbox::open(at, &names(&["a"]), 1).expect("it is ours");
    narrate(&mut outbox, 0..5);
    assert_eq!(ids(&mut outbox, 0).len(), 5);
    drop(outbox);
    std::fs::write(folder.path().join("00000000000000000001.log"), "").expect("there is room");
    let mut outbox = Outbox::open(at, &names(&["a"]), 2).expect("a start never fails");
    narrate(&mut outbox, 5..7);
    assert_eq!(ids(&mut outbox, 0), [5, 6]);
}

#[test]
fn when_it_is_full_the_oldest_go_first_alerts_last_and_all_is_counted() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let mut outbox = Outbox::open(Some((folder.path(), 64 << 10)), &names(&["a", "b"]), 1).expect("it is ours");
    let kind = |id: u64| if id.is_multiple_of(10) { "alert" } else { "narration" };
    for id in 0..1000 {
        outbox.push(event(id, kind(id), "hall", "something of a usual length happens"));
        outbox.flush();
        // One that keeps up loses nothing.
        assert_eq!(ids(&mut outbox, 1), [id]);
    }
    let bytes: u64 = std::fs::read_dir(folder.path())
        .expect("it is there")
        .map(|entry| entry.and_then(|entry| entry.metadata()).expect("it is there").len())
        .sum();
    assert!(bytes <= (64 << 10) + 200, "{bytes}");
    let (waiting, dropped) = (outbox.waiting(0), outbox.dropped(0));
    assert_eq!(waiting + dropped, 1000);
    assert_eq!(outbox.dropped(1), 0);
    let left = ids(&mut outbox, 0);
    assert_eq!(left.len() as u64, waiting);
    assert!(left.is_sorted(), "in order: {left:?}");
    let alerts: Vec<u64> = left.iter().copied().filter(|id| id.is_multiple_of(10)).collect();
    assert_eq!(alerts, (0..1000).step_by(10).collect::<Vec<_>>(), "no alert went");
    assert!(left.ends_with(&(950..1000).collect::<Vec<_>>()), "the newest are there: {left:?}");
    // Where there is nothing but alerts, the oldest of them go.
    for id in 1000..2000 {
        outbox.push(event(id, "alert", "hall", "something of a usual length happens"));
        outbox.flush();
    }
    let left = ids(&mut outbox, 0);
    assert!(left.len() < 1000 && left.is_sorted() && left.ends_with(&[1998, 1999]), "{left:?}");
    assert_eq!(left.len() as u64 + outbox.dropped(0) - dropped, 1000);
}

#[test]
fn what_goes_while_it_is_on_its_way_is_dropped_only_where_it_does_not_arrive() {
    let mut outbox = Outbox::open(None, &names(&["a"]), 1).expect("it is ours");
    narrate(&mut outbox, 0..HELD as u64);
    let on_their_way: Vec<u64> = (0..4).map(|_| outbox.next(0).expect("it waits").number).collect();
    narrate(&mut outbox, 1000..1010);
    assert_eq!((outbox.dropped(0), outbox.waiting(0)), (10, HELD as u64));
    on_their_way.iter().for_each(|number| outbox.done(0, *number));
    assert_eq!((outbox.dropped(0), outbox.waiting(0)), (6, HELD as u64));
    outbox.rewind(0);
    assert_eq!(ids(&mut outbox, 0).len(), HELD);
    assert_eq!((outbox.dropped(0), outbox.waiting(0)), (6, 0));
}

#[test]
fn what_all_have_takes_no_room() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let mut outbox = Outbox::open(Some((folder.path(), 64 << 10)), &names(&["a"]), 1).expect("it is ours");
    for id in 0..2000 {
        outbox.push(event(id, "narration", "hall", "something"));
        outbox.flush();
        assert_eq!(ids(&mut outbox, 0), [id]);
        outbox.save();
    }
    let files = std::fs::read_dir(folder.path()).expect("it is there").count();
    assert!(files <= 4, "one log, lock, cursors: {files}");
    assert_eq!((outbox.waiting(0), outbox.dropped(0)), (0, 0));
}

#[test]
fn without_a_folder_the_newest_wait_in_memory() {
    let mut outbox = Outbox::open(None, &names(&["a"]), 1).expect("it is ours");
    outbox.push(event(0, "alert", "hall", "the one that matters"));
    narrate(&mut outbox, 1..1000);
    assert_eq!((outbox.waiting(0), outbox.dropped(0)), (HELD as u64, 1000 - HELD as u64));
    let left = ids(&mut outbox, 0);
    assert_eq!((left[0], left.len(), left[HELD - 1]), (0, HELD, 999));
}

/// A clock that jumps changes dates and nothing else.
#[test]
fn a_clock_that_jumps_changes_no_order() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let at = Some((folder.path(), 1 << 20));
    for (run, dates) in [(1, ["2026-11-26T10:00:00Z", "1970-01-01T00:00:00Z"]), (2, ["2100-01-01T00:00:00Z", ""])] {
        let mut outbox = Outbox::open(at, &names(&["a"]), run).expect("it is ours");
        for (id, date) in dates.iter().enumerate() {
            let start = Some((*date).to_owned()).filter(|date| !date.is_empty());
            outbox.push(ocelli_gateway::Event { start, ..event(run * 10 + id as u64, "narration", "hall", "x") });
        }
    }
    let mut outbox = Outbox::open(at, &names(&["a"]), 3).expect("it is ours");
    assert_eq!(ids(&mut outbox, 0), [10, 11, 20, 21]);
}

const FOLDER: &str = "OCELLI_TEST_OUTBOX";

/// Not a test: what the tests below run as a process, which tells ever more until it is killed, or 400.
#[test]
#[ignore = "a part of other tests"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let run = std::process::id().into();
    let mut outbox = Outbox::open(Some((Path::new(&folder), 1 << 30)), &names(&["a"]), run).expect("it is ours");
    let last = std::iter::from_fn(|| outbox.next(0)).last().and_then(|message| message.event.id);
    outbox.rewind(0);
    let first = last.map_or(0, |last| last + 1);
    for id in first..first + 400 {
        outbox.push(event(id, "narration", "hall", "something of a usual length happens"));
        outbox.flush();
        println!("told {id} {} {}", outbox.waiting(0), outbox.trouble().unwrap_or("well"));
    }
}

fn child_command(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).arg(std::env::current_exe().expect("it runs"));
    command.args(["--exact", "outbox::child", "--ignored", "--nocapture"]).env(FOLDER, folder);
    command.stdout(Stdio::piped());
    command
}

#[test]
fn killed_at_any_time_it_has_all_that_was_told_once() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let mut told = 0;
    for round in 0..12 {
        let mut child = child_command(folder.path(), "exec \"$0\" \"$@\"").spawn().expect("there is bash");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut seen = 0;
        for line in lines {
            let line = line.expect("it is text");
            if let Some(rest) = line.split("told ").nth(1) {
                told = rest.split(' ').next().and_then(|id| id.parse().ok()).expect("an id");
                seen += 1;
            }
            if seen == 3 + round * 5 {
                // SIGKILL.
                child.kill().expect("it runs");
                break;
            }
        }
        child.wait().expect("it is ours");
    }
    assert!(told > 100, "{told}");
    let mut outbox = Outbox::open(Some((folder.path(), 1 << 30)), &names(&["a"]), 1).expect("it is ours");
    let got = drain(&mut outbox, 0);
    // What was told after the last line that we read may be there too.
    let ids: Vec<u64> = got.iter().map(|(_, id)| *id).collect();
    assert!(ids.len() as u64 > told, "{} of {told}", ids.len());
    assert_eq!(ids, (0..ids.len() as u64).collect::<Vec<_>>());
    assert_eq!(got.iter().map(|(uid, _)| uid).collect::<BTreeSet<_>>().len(), ids.len());
}

/// A limit on the size of files stands for a disk that is full: both refuse to write, in the middle of a line.
#[test]
fn a_full_disk_keeps_what_it_has_and_the_newest_wait_in_memory() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let mut child =
        child_command(folder.path(), "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\"").spawn().expect("there is bash");
    let lines: Vec<String> = BufReader::new(child.stdout.take().expect("it is piped"))
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.contains("told "))
        .collect();
    assert!(child.wait().expect("it is ours").success(), "it goes on");
    assert_eq!(lines.len(), 400);
    let full = lines.iter().position(|line| !line.ends_with("well")).expect("40 KiB are less than 400 messages");
    assert!(full > 50 && lines[full].contains("File too large"), "{}", lines[full]);
    assert!(lines[399].contains(&format!(" {} ", full + HELD)), "what is on disk and {HELD}: {}", lines[399]);
    // The disk has room again.
    let mut outbox = Outbox::open(Some((folder.path(), 1 << 20)), &names(&["a"]), 1).expect("it is ours");
    let got = ids(&mut outbox, 0);
    assert_eq!(got, (0..full as u64).collect::<Vec<_>>(), "no line is torn");
}
