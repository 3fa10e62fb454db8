//! The memory outlives the program, and nothing is lost over a stretch of simulated time.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use ocelli_e2e::{Ran, ffmpeg, lines, ocelli, program, root};

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

fn run(command: &str, state: &Path, seconds: &str) -> Ran {
    ocelli(&["run", "--command", command, "--pack", TINY, "--state", text(state), "--seconds", seconds, "--json"])
}

/// The one file of the memory in a folder.
fn kept(state: &Path) -> PathBuf {
    let files = fs::read_dir(state).expect("it was made").map(|file| file.expect("it is there").path());
    files.into_iter().find(|path| path.extension().is_some_and(|end| end == "memory")).expect("it was kept")
}

#[test]
fn a_second_run_remembers_the_first_and_time_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (command, state) = (camera(folder.path()), folder.path().join("state"));
    let first = run(&command, &state, "3");
    assert_eq!(first.code, Some(0), "{}", first.err);
    assert!(!first.err.contains("remembering"), "{}", first.err);
    assert!(kept(&state).is_file());

    let second = run(&command, &state, "3");
    assert_eq!(second.code, Some(0), "{}", second.err);
    assert!(second.err.contains("ocelli: remembering "), "{}", second.err);
    let start_s = |ran: &Ran| lines(&ran.out)[0]["t_start_s"].as_f64().expect("a time");
    assert!(start_s(&first) < 3.0 && start_s(&second) >= 2.0, "{} then {}", start_s(&first), start_s(&second));
    let zero = |ran: &Ran| {
        let said = lines(&ran.out)[0]["text"].as_str().expect("a text").to_owned();
        // To the minute: the wall clock is read twice.
        said.split("time 0 is ").nth(1).expect("it says when time 0 was")[..16].to_owned()
    };
    let (one, other) = (zero(&first), zero(&second));
    assert!(one[..13] == other[..13], "time 0 stays where it was: {one}, {other}");
}

#[test]
fn a_killed_program_and_a_torn_file_stop_no_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (command, state) = (camera(folder.path()), folder.path().join("state"));
    let first = run(&command, &state, "2");
    assert_eq!(first.code, Some(0), "{}", first.err);
    let whole = fs::read(kept(&state)).expect("it was kept");

    let mut killed = Command::new(program());
    killed.args(["run", "--command", &command, "--pack", TINY, "--state", text(&state)]).current_dir(root());
    let mut child = killed.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    thread::sleep(Duration::from_secs(1));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(fs::read(kept(&state)).expect("the last save is whole"), whole);

    let file = kept(&state);
    fs::write(&file, &whole[..whole.len() / 3]).expect("it is writable");
    let after = run(&command, &state, "1");
    assert_eq!(after.code, Some(0), "{}", after.err);
    assert!(after.err.contains("torn") && after.err.contains(".memory.refused"), "{}", after.err);
    assert!(!after.err.contains("remembering"), "{}", after.err);
    assert_eq!(
        fs::metadata(file.with_extension("memory.refused")).expect("it is set aside").len(),
        whole.len() as u64 / 3
    );
}

#[test]
fn a_state_that_cannot_be_kept_is_refused_at_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("it is writable");
    let ran = run("cat /dev/null", &file, "1");
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("[memory] state") && ran.err.lines().count() == 1, "{}", ran.err);
}

#[test]
fn a_stretch_of_time_with_faults_and_restarts_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("report.json");
    let ran = ocelli(&[
        "soak",
        "tests/clips/demo.mp4",
        "--hours",
        "0.4",
        "--hurry",
        "30",
        "--pack",
        TINY,
        "--state",
        text(&folder.path().join("state")),
        "--json",
        text(&report),
    ]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    let report = lines(&fs::read_to_string(&report).expect("it was written")).remove(0);
    let number = |key: &str| report[key].as_u64().unwrap_or_else(|| panic!("{key} in {report}"));
    assert_eq!(number("unaccounted_losses"), 0, "{report}");
    assert!(number("restarts") >= 3 && number("steps") > 500, "{report}");
    for (fault, least) in [("lost", 3), ("damaged", 3), ("blind", 3), ("power_cuts", 1)] {
        assert!(report["faults"][fault].as_u64().is_some_and(|count| count >= least), "{fault}: {report}");
    }
    assert!(number("restarts") > report["faults"]["power_cuts"].as_u64().unwrap_or(0), "and one in order: {report}");
    let uptimes = report["rss_samples_by_uptime"].as_array().expect("a list of uptimes");
    assert_eq!(uptimes.len() as u64, number("restarts") + 1, "each a process: {report}");
    assert!(number("forgotten_frames") > 0, "a power cut takes back what was not saved: {report}");
    assert!(number("rss_peak_bytes") <= number("planned_bytes"), "{report}");
    assert!(report["flat"].is_null(), "it is too short to tell: {report}");
    assert!(report["slowest_restore_ms"].as_f64().is_some_and(|ms| ms < 1000.0), "{report}");
}

#[test]
fn a_soak_tells_at_once_what_it_cannot_play() {
    let ran = ocelli(&["soak", "tests/clips/absent.mp4", "--pack", TINY]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("absent.mp4") && ran.err.lines().count() == 1, "{}", ran.err);
}

/// `home` with a `[drop]` behind its gate, in a folder of its own.
fn pack_that_drops(folder: &Path) -> PathBuf {
    let (home, pack) = (root().join("models/home"), folder.join("dropping"));
    fs::create_dir_all(&pack).expect("it is writable");
    for file in fs::read_dir(&home).expect("it is there").map(|file| file.expect("it is there").path()) {
        if file.is_file() {
            fs::copy(&file, pack.join(file.file_name().expect("it has a name"))).expect("it is writable");
        }
    }
    let path = pack.join("pack.toml");
    let manifest = fs::read_to_string(&path).expect("it is text");
    fs::write(&path, manifest + "\n[drop]\nreference = \"any_kept\"\ncosine = 0.95\n").expect("it is writable");
    pack
}

/// The whole way with a `[drop]`. That the memory forgets what stood for a place shows in its own test (`after_a_restart_nobody_who_left_before_is_shown`
/// of the pipeline): here the first picture after a start covers for it.
#[test]
fn after_a_restart_a_pack_that_drops_tokens_tells_of_nobody_who_has_left() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = |name: &str, of: &[&str]| {
        let arguments = [&["-i", "tests/clips/demo.mp4"], of, &["-pix_fmt", "yuv420p"]].concat();
        ffmpeg(&folder.path().join(name), &arguments)
    };
    // Somebody comes in and walks about; the room before that.
    let Some(person) = clip("person.y4m", &["-ss", "1", "-t", "7", "-r", "5"]) else { return };
    let Some(room) = clip("room.y4m", &["-frames:v", "1"]) else { return };
    let (pack, state) = (pack_that_drops(folder.path()), folder.path().join("state"));
    let run = |filter: &str, clip: &Path, seconds: &str| {
        let command = format!("ffmpeg -v error -i {} -vf {filter} -f yuv4mpegpipe -", clip.display());
        let words = ["run", "--command", &command, "--pack", text(&pack), "--state", text(&state)];
        let ran = ocelli(&[&words[..], &["--seconds", seconds, "--json"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let said = lines(&ran.out).into_iter().filter(|event| event["type"] == "narration");
        let said: Vec<String> = said.map(|event| event["text"].as_str().expect("a text").to_owned()).collect();
        (said, ran.err)
    };
    let vocabulary: toml::Table =
        toml::from_str(&fs::read_to_string(pack.join("vocabulary.toml")).expect("it is there")).expect("it is TOML");
    let entries = vocabulary["entry"].as_array().expect("a list");
    let is_of = |text: &str, kind: &str| {
        entries.iter().any(|entry| entry["text"].as_str() == Some(text) && entry["kind"].as_str() == Some(kind))
    };
    let (said, err) = run("realtime", &person, "6");
    assert!(said.iter().any(|text| !is_of(text, "nobody")), "{said:?} {err}");
    assert!(err.contains("% of their tokens dropped"), "{err}");
    let (said, err) = run("tpad=stop_mode=clone:stop=50,fps=5,realtime", &room, "6");
    assert!(err.contains("ocelli: remembering "), "{err}");
    assert!(said.iter().all(|text| is_of(text, "nobody")), "of an empty room: {said:?} {err}");
}
