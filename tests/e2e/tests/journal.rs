//! What was said outlives the program, and is found again.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ocelli_e2e::{Ran, finish, lines, ocelli, ocelli_fed, program, root, watched};
use serde_json::Value;

const DEMO: &str = "tests/clips/demo.mp4";

/// Random weights: fast, and no words matter here.
const TINY: &str = "models/tiny-test";

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A command whose video never ends: a grey picture, ten times a second.
fn camera(folder: &Path) -> String {
    let (head, frame) = (folder.join("head"), folder.join("frame"));
    fs::write(&head, "YUV4MPEG2 W64 H48 F10:1 C420\n").expect("it is writable");
    fs::write(&frame, [b"FRAME\n".to_vec(), vec![90; 64 * 48 * 3 / 2]].concat()).expect("it is writable");
    format!("cat {}; while cat {}; do sleep 0.1; done; exit 1", head.display(), frame.display())
}

fn replay(journal: &Path, more: &[&str]) -> Ran {
    let ran = ocelli(&[&["replay", DEMO, "--json", "--journal", text(journal)], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran
}

fn run(command: &str, journal: &Path, seconds: &str) -> Ran {
    ocelli(&["run", "--command", command, "--pack", TINY, "--journal", text(journal), "--seconds", seconds, "--json"])
}

fn events(journal: &Path, more: &[&str]) -> Vec<Value> {
    let ran = ocelli(&[&["events", "--json", "--journal", text(journal)], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    lines(&ran.out)
}

fn ids(events: &[Value]) -> Vec<u64> {
    events.iter().filter_map(|event| event["id"].as_u64()).collect()
}

fn last_line(ran: &Ran) -> &str {
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran.err.lines().last().unwrap_or_default()
}

#[test]
fn a_replay_that_is_kept_says_the_same_and_can_be_searched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = folder.path().join("events.journal");
    let plain = ocelli(&["replay", DEMO, "--json"]);
    assert_eq!(replay(&journal, &[]).out, plain.out, "a journal changes nothing of what is said");
    let told = lines(&plain.out);
    let first = events(&journal, &[]);
    let narrations: u64 = first.iter().filter_map(|event| event["narrations"].as_u64()).sum();
    let narrated = told.iter().filter(|event| event["type"] == "narration").count();
    assert_eq!(narrations as usize, narrated, "each is in one event: {first:?}");
    assert!(first.iter().all(|event| event["start"].is_null()), "a clip has no date: {first:?}");

    let second = replay(&journal, &["--at", "2026-11-26T18:00:00Z"]);
    let again = lines(&second.out);
    let next = told.len() as u64 + 1;
    assert_eq!(ids(&again), (next..2 * next - 1).collect::<Vec<_>>(), "ids go on");
    assert!(again.iter().zip(&told).all(|(again, told)| again["text"] == told["text"]));
    let dated = events(&journal, &["--utc", "--since", "2026-11-26", "--until", "2026-11-26 18:00"]);
    assert!(dated.is_empty(), "{dated:?}");
    let dated = events(&journal, &["--utc", "--since", "2026-11-26 18:00", "--until", "2026-11-26 18:00:10"]);
    assert!(!dated.is_empty() && dated.iter().all(|event| event["id"].as_u64() >= Some(next)), "{dated:?}");
    assert!(dated[0]["start"].as_str().is_some_and(|date| date.starts_with("2026-11-26T18:00:0")), "{dated:?}");
    assert!(ids(&dated).is_sorted(), "the newest comes last: {dated:?}");

    // Whatever the pack says first: by its words and its kind.
    let said = first[0]["text"].as_str().expect("a text");
    let words = said.trim_end_matches('.').split(' ').chain(["--kind", first[0]["kind"].as_str().expect("a kind")]);
    let found = events(&journal, &words.collect::<Vec<_>>());
    assert!(found.len() >= 2 && found.iter().all(|event| event["text"] == said), "{found:?}");
    let like = found[0]["id"].to_string();
    let alike = events(&journal, &["--like", &like, "--limit", "4"]);
    // The second replay saw the same, and the newest of equals comes first.
    assert_eq!((alike.len(), &alike[0]["likeness"], &alike[1]["id"]), (4, &1.0.into(), &found[0]["id"]), "{alike:?}");
    let notable = events(&journal, &["--severity", "notice"]);
    let is_notable = |event: &Value| ["notice", "alarm"].iter().any(|severity| event["severity"] == *severity);
    assert!(notable.len() < first.len() && notable.iter().all(is_notable), "{notable:?}");
    for elsewhere in [&["events"][..], &["vocab", "suggest", "--vocabulary", text(&folder.path().join("own.jsonl"))]] {
        let ran = ocelli(&[elsewhere, &["--journal", text(&journal), "--camera", "porch"]].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
        assert!(ran.err.contains("the journal has no camera `porch`; it has: camera"), "{}", ran.err);
    }

    // The clip of the day before is replayed last, and listed where it belongs, with the time between.
    replay(&journal, &["--at", "2026-11-25T18:00:00Z"]);
    let all = events(&journal, &["--since", "2026-11-25", "--utc"]);
    let starts: Vec<&str> = all.iter().filter_map(|event| event["start"].as_str()).collect();
    assert!(starts.len() == all.len() && starts.is_sorted(), "{starts:?}");
    let holes = all.iter().filter(|event| event["type"] == "hole").map(|hole| &hole["end"]).collect::<Vec<_>>();
    assert_eq!(holes, ["2026-11-26T18:00:00.000Z"], "{all:?}");

    let people = ocelli(&["events", "--journal", text(&journal), "--limit", "2", "--utc", "--since", "2026-11-26"]);
    assert_eq!((people.code, people.out.lines().count()), (Some(0), 2), "{}", people.err);
    assert!(people.out.starts_with("2026-11-26 18:00:") && people.out.contains("camera: "), "{}", people.out);
    let nothing = ocelli(&["events", "--journal", text(&journal), "zebra"]);
    assert_eq!((nothing.code, nothing.out.as_str(), last_line(&nothing)), (Some(0), "", "ocelli: nothing was found"));
}

#[test]
fn an_event_of_the_journal_is_taught_as_its_line_would_be() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [journal, by_line, by_id, config] =
        ["events.journal", "line.lessons", "id.lessons", "ocelli.toml"].map(|name| folder.path().join(name));
    let ran = replay(&journal, &["--evidence"]);
    let line = ran.out.lines().nth(4).expect("it says more");
    let id = lines(line)[0]["id"].to_string();
    for (teach, yes_or_no) in
        [(&["--was", "lie"][..], &["no", "--was", "lie"][..]), (&["--wrong"], &["no"]), (&[], &["yes"])]
    {
        let taught = ocelli_fed(&[&["teach", text(&by_line)], teach].concat(), format!("{line}\n"));
        assert_eq!(taught.code, Some(0), "{}", taught.err);
        fs::write(&config, format!("[journal]\nfile = {journal:?}\n[camera]\nlessons = {by_id:?}\n"))
            .expect("writable");
        let answered = ocelli(&[yes_or_no, &[&id, "--config", text(&config)]].concat());
        assert_eq!(answered.code, Some(0), "{}", answered.err);
        assert_eq!(answered.err.replace("id.lessons", "line.lessons"), taught.err);
        let read = |path: &PathBuf| fs::read_to_string(path).expect("it was written");
        assert_eq!(read(&by_id), read(&by_line), "{yes_or_no:?}");
    }
    for (arguments, why) in [
        (&["yes", "9999", "--journal", text(&journal)][..], "the journal has no event 9999"),
        (&["no", &id, "--journal", text(&journal)], "the config names no `lessons` for the camera `camera`"),
        (&["no", &id, "--config", text(&config), "--was", "flying"], "knows no `flying`"),
        (&["yes", &id], "no journal: name its file with --journal"),
        (&["events", "--like", "9999", "--journal", text(&journal)], "the journal has no event 9999"),
        (&["replay", DEMO, "--journal", text(&journal), "--trace", text(&journal)], "name another"),
        (&["replay", DEMO, "--trace", DEMO], "name another"),
    ] {
        let ran = ocelli(arguments);
        assert_eq!((ran.code, ran.err.lines().count()), (Some(2), 1), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(why), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn a_second_run_goes_on_with_the_ids_and_shows_when_nothing_was_watched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = folder.path().join("events.journal");
    camera(folder.path());
    // They end by themselves, so that a machine with much else to do takes longer and sees the same.
    let plays = |then: &str| {
        let folder = folder.path().display();
        format!(
            "cd {folder}; cat head; n=0; while cat frame; do sleep 0.1; n=$((n + 1)); test $n = 8 && {{ {then}; }}; done"
        )
    };
    let first = run(&plays("exit 0"), &journal, "60");
    assert_eq!(first.code, Some(0), "{}", first.err);
    let last = ids(&lines(&first.out)).last().copied().expect("it says that it watches");
    // This camera goes away once, and comes back.
    let second = run(&plays("mkdir gone && exit 1; exit 0"), &journal, "60");
    assert_eq!(second.code, Some(0), "{}", second.err);
    let told = lines(&second.out);
    assert_eq!(ids(&told)[0], last + 1, "{}", second.out);
    let back = |event: &Value| event["text"].as_str().is_some_and(|text| text.starts_with("seeing again"));
    assert!(told.iter().any(back), "{}", second.out);
    let kept = events(&journal, &["--since", "1h"]);
    assert!(ids(&kept).contains(&last) && ids(&kept).contains(&(last + 1)), "{kept:?}");
    let hole = kept.iter().position(|event| event["type"] == "hole").expect("between the two runs");
    let of_second = kept.iter().position(|event| event["id"] == last + 1).expect("it is there");
    assert_eq!(hole + 1, of_second, "{kept:?}");
    assert!(kept[hole]["start"].as_str() < kept[hole]["end"].as_str(), "{kept:?}");
    let blind = events(&journal, &["--kind", "blind"]);
    assert!(blind.len() == 1 && blind[0]["camera"] == "camera", "{blind:?}");
    let back = told.iter().find(|event| back(event)).expect("it came back");
    assert_eq!(blind[0]["t_end_s"], back["t_end_s"], "blind until then");
}

fn start(command: &str, journal: &Path) -> Child {
    let mut run = Command::new(program());
    run.args(["run", "--command", command, "--pack", TINY, "--journal", text(journal)]).current_dir(root());
    run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// Until the journal has an event.
fn await_event(journal: &Path) -> u64 {
    let patience = Instant::now();
    loop {
        let ran = ocelli(&["events", "--json", "--journal", text(journal)]);
        if let Some(last) = (ran.code == Some(0)).then(|| ids(&lines(&ran.out)).last().copied()).flatten() {
            return last;
        }
        assert!(patience.elapsed() < Duration::from_mins(2), "{}", ran.err);
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_killed_run_loses_nothing_that_was_written_and_two_do_not_write_one_journal() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = folder.path().join("events.journal");
    let command = camera(folder.path());
    let mut child = start(&command, &journal);
    let written = await_event(&journal);
    let other = run(&command, &journal, "1");
    assert_eq!((other.code, other.err.lines().count()), (Some(1), 1), "{}", other.err);
    assert!(other.err.contains("another program keeps its journal here; end it"), "{}", other.err);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let after = run(&command, &journal, "1");
    assert_eq!(after.code, Some(0), "{}", after.err);
    assert!(ids(&lines(&after.out))[0] > written, "no id is given twice: {}", after.out);
    let kept = ids(&events(&journal, &[]));
    assert!(kept.contains(&written) && kept.is_sorted_by(|a, b| a < b), "{kept:?}");
}

/// A limit on the size of files stands for a disk that is full: both refuse to write.
#[test]
fn a_full_disk_stops_no_narration_and_is_told_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = folder.path().join("events.journal");
    let long = run(&camera(folder.path()), &journal, "1");
    assert_eq!(long.code, Some(0), "{}", long.err);
    let size = fs::metadata(&journal).expect("it was written").len();
    let before = ids(&events(&journal, &[]));
    // In blocks of 512 bytes: less than the journal and its log take.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", (size / 512).min(40));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, text(program()), "run", DEMO, "--json", "--seconds", "8", "--journal", text(&journal)]);
    shell.current_dir(root());
    let ran = finish(shell);
    assert_eq!(ran.code, Some(1), "what is lost is told: {}", ran.err);
    assert!(ran.err.contains("events are not in the journal: "), "{}", ran.err);
    let told = lines(&ran.out);
    let of = |kind: &str| told.iter().filter(|event| event["type"] == kind).count();
    assert!(of("narration") >= 2, "it goes on narrating: {}", ran.out);
    let trouble =
        |event: &&Value| event["text"].as_str().is_some_and(|text| text.starts_with("the journal is not written"));
    assert_eq!(told.iter().filter(trouble).count(), 1, "{}", ran.out);
    assert_eq!(ids(&events(&journal, &[])), before, "and leaves what was there");
}

#[test]
fn a_folder_that_cannot_be_written_stops_a_replay_and_no_run() {
    // Nobody may make files there, not even root.
    let journal = Path::new("/proc/ocelli.journal");
    let refused = ocelli(&["replay", DEMO, "--pack", TINY, "--journal", text(journal)]);
    assert_eq!((refused.code, refused.err.lines().count()), (Some(1), 1), "{}", refused.err);
    assert!(refused.err.contains("choose a folder that can be written"), "{}", refused.err);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ran = run(&camera(folder.path()), journal, "2");
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("narrating without it, and trying again"), "{}", ran.err);
    let told = lines(&ran.out);
    let texts: Vec<&str> = told.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(texts.iter().filter(|text| text.starts_with("the journal is not written")).count(), 1, "{texts:?}");
    let config = folder.path().join("ocelli.toml");
    fs::write(&config, format!("[journal]\nfile = {journal:?}\n")).expect("it is writable");
    let checked = ocelli(&["check", "--pack", TINY, "--config", text(&config)]);
    assert!(checked.code == Some(1) && checked.err.contains("can be written"), "{}", checked.err);
}

#[test]
fn what_is_no_journal_is_refused_and_a_damaged_one_is_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = folder.path().join("events.journal");
    let clip = root().join(DEMO);
    let command = camera(folder.path());
    for arguments in [
        &["run", "--command", &command, "--pack", TINY, "--journal", text(&clip)][..],
        &["replay", DEMO, "--pack", TINY, "--journal", text(&clip)],
        &["events", "--journal", text(&clip)],
    ] {
        let ran = ocelli(arguments);
        assert_eq!((ran.code, ran.err.lines().count()), (Some(1), 1), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("this is no journal, and is left as it is"), "{}", ran.err);
    }
    assert!(!clip.with_extension("mp4.lock").exists(), "nothing is left beside it");
    let absent = ocelli(&["events", "--journal", text(&journal)]);
    assert!(absent.code == Some(1) && absent.err.contains("`ocelli run --journal FILE` keeps one"), "{}", absent.err);

    replay(&journal, &[]);
    let before = events(&journal, &[]).len();
    let mut bytes = fs::read(&journal).expect("it was written");
    // The last page is one of the embeddings' or of the words', and the flag says that it did not end in order.
    let end = bytes.len() - 4096;
    bytes[end..].fill(0xa5);
    bytes[4096 * 2..4096 * 2 + 100].fill(0xa5);
    fs::write(&journal, &bytes).expect("it is writable");
    // Where there is no room for what can be saved, it stays where it is.
    let mut shell = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 128; exec \"$0\" replay \"$1\" --journal \"$2\" > /dev/null";
    shell.args(["-c", script, text(program()), DEMO, text(&journal)]).current_dir(root());
    let full = finish(shell);
    assert_eq!((full.code, full.err.lines().count()), (Some(1), 1), "{}", full.err);
    assert!(full.err.contains("the journal cannot be used") && full.err.contains("free some space"), "{}", full.err);
    assert!(!folder.path().join("events.journal.refused").exists());
    assert_eq!(fs::metadata(&journal).expect("it is there").len(), bytes.len() as u64);

    let ran = ocelli(&["replay", DEMO, "--json", "--journal", text(&journal)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("events.journal.refused") && ran.err.contains("events of it were saved"), "{}", ran.err);
    assert!(folder.path().join("events.journal.refused").is_file());
    assert!(events(&journal, &[]).len() >= before, "{}", ran.err);
}

#[test]
fn a_kept_run_stays_within_its_plan() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [journal, config] = ["events.journal", "ocelli.toml"].map(|name| folder.path().join(name));
    fs::write(&config, format!("[journal]\nfile = {journal:?}\nsize = \"8MiB\"\nkeep_days = 30\n")).expect("writable");
    let check = |more: &[&str]| ocelli(&[&["check", "--config", text(&config)], more].concat());
    let before = check(&[]);
    assert!(before.out.contains("none yet, and there can be one"), "{}{}", before.out, before.err);
    let (ran, peak) = watched(&["run", DEMO, "--json", "--seconds", "6", "--enforce", "--config", text(&config)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let plan = lines(&check(&["--json"]).out).remove(0);
    let items = plan["items"].as_array().expect("a list");
    assert!(items.iter().any(|item| item["name"] == "journal" && item["bytes"].as_u64() >= Some(1 << 20)), "{plan}");
    let planned = plan["planned_bytes"].as_u64().expect("a number");
    eprintln!("{peak:?}, planned {planned}");
    assert!(peak.bytes <= planned, "{peak:?}, planned {planned}");
    let after = check(&[]);
    assert!(after.out.contains(" events in 0.") && after.out.contains(" of 8.0 MiB"), "{}", after.out);
}

/// As on a card that is write-protected: nothing can be made beside the file.
#[test]
fn a_journal_is_read_where_nothing_can_be_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("place");
    fs::create_dir(&place).expect("it is writable");
    let journal = place.join("events.journal");
    replay(&journal, &[]);
    let set = |mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    set(0o555);
    let is_root = fs::write(place.join("tried"), "").is_ok();
    let mut reader = Command::new(if is_root { "setpriv" } else { text(program()) });
    if is_root {
        // Another may not write there.
        reader.args(["--reuid=65534", "--regid=65534", "--clear-groups", text(program())]);
    }
    let ran = finish({
        reader.args(["events", "--json", "--journal", text(&journal)]).current_dir("/");
        reader
    });
    set(0o755);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!lines(&ran.out).is_empty(), "{}", ran.out);
}

/// A journal that is taken away under a run: the run says so and begins it anew.
#[test]
fn a_journal_that_is_taken_away_is_begun_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (journal, stop) = (folder.path().join("events.journal"), folder.path().join("stop"));
    let picture = folder.path().join("picture");
    fs::write(&picture, [&b"FRAME\n"[..], &[128; 64 * 48 * 3 / 2]].concat()).expect("it is writable");
    let (head, shown) = ("echo YUV4MPEG2 W64 H48 F10:1", picture.display());
    // Comes and goes, so that there is something to tell; ends when `stop` is there.
    let camera = format!("{head}; for i in 1 2 3 4 5; do cat {shown}; sleep 0.1; done; test -e {}", stop.display());
    let mut run = Command::new(program());
    run.args([
        "run",
        "--json",
        "--pack",
        "tiny-test",
        "--journal",
        text(&journal),
        "--seconds",
        "12",
        "--command",
        &camera,
    ]);
    run.current_dir(root());
    let taken = thread::spawn({
        let journal = journal.clone();
        move || {
            let until = Instant::now() + Duration::from_mins(1);
            while !journal.exists() && Instant::now() < until {
                thread::sleep(Duration::from_millis(50));
            }
            thread::sleep(Duration::from_secs(2));
            fs::remove_file(&journal).expect("it was there");
        }
    });
    let ran = finish(run);
    taken.join().expect("it was taken away");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("was taken away or replaced; it begins anew"), "{}", ran.err);
    let (kept, told) = (ids(&events(&journal, &[])), ids(&lines(&ran.out)));
    assert!(!kept.is_empty() && kept.iter().all(|id| told.contains(id)), "{kept:?} of {told:?}");
}

/// The file was written by the program before it: nothing is lost, and until a program writes it readers say what to do.
#[test]
fn a_journal_of_the_program_before_is_brought_up_to_date_by_a_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [journal, config] = ["events.journal", "ocelli.toml"].map(|name| folder.path().join(name));
    fs::copy(root().join("runtime/journal/tests/data/format-1.journal"), &journal).expect("it is there");
    fs::write(&config, format!("[journal]\nfile = \"{}\"\n", text(&journal))).expect("it is writable");
    let check = || ocelli(&["check", "--pack", TINY, "--config", text(&config)]);
    let before = check();
    assert!(
        before.code == Some(0) && before.out.contains("of format 1, which the next"),
        "{}{}",
        before.out,
        before.err
    );
    let refused = ocelli(&["events", "--journal", text(&journal)]);
    assert_eq!((refused.code, refused.err.lines().count()), (Some(1), 1), "{}", refused.err);
    assert!(refused.err.contains("`ocelli run` with it brings it up to date"), "{}", refused.err);
    let ran = run(&camera(folder.path()), &journal, "1");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let kept = events(&journal, &[]);
    assert!(kept.iter().any(|event| event["text"] == "It goes on" && event["type"] == "alert"), "{kept:?}");
    // In the order of their dates: an alert is told later than it began.
    let starts: Vec<&str> = kept.iter().filter_map(|event| event["start"].as_str()).collect();
    assert!(starts.is_sorted() && ids(&lines(&ran.out))[0] > 17, "{kept:?}");
    assert!(check().out.contains(" events in 0."), "{}", check().out);
}
