//! Recordings of the real program, where the config wants them, and privacy, where it wants none.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ocelli_e2e::{Ran, finish, lines, ocelli, program, root};
use serde_json::Value;

const DEMO: &str = "tests/clips/demo.mp4";

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A config with these lines, which may name the folder as FOLDER.
fn config(folder: &Path, more: &str) -> PathBuf {
    let path = folder.join("ocelli.toml");
    let more = more.replace("FOLDER", text(folder));
    fs::write(&path, format!("[journal]\nfile = \"{}/journal\"\n{more}", folder.display())).expect("it is writable");
    path
}

const RECORDING: &str =
    "[recording]\nfolder = \"FOLDER/recordings\"\nevents = [\"narration\"]\nbefore_s = 2\nafter_s = 2\n";

fn recordings(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("recordings")).expect("it was made");
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == kind));
    files.sort();
    files
}

#[test]
fn clips_around_events_play_and_say_what_they_are_of() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = config(folder.path(), RECORDING);
    let ran = ocelli(&["run", DEMO, "--json", "--seconds", "12", "--config", text(&config)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let (clips, told) = (recordings(folder.path(), "mp4"), lines(&ran.out));
    assert!(!clips.is_empty() && recordings(folder.path(), "jpg").len() == clips.len(), "{clips:?}");
    for described in recordings(folder.path(), "json") {
        let described: Value = serde_json::from_slice(&fs::read(described).expect("it is there")).expect("JSON");
        for event in described["events"].as_array().expect("a list") {
            let same = told.iter().find(|told| told["id"] == event["id"]).expect("it was told");
            assert_eq!((&same["text"], &same["type"]), (&event["text"], &event["type"]));
        }
        assert!(described["clip"] == true && described["seconds"].as_f64() > Some(1.0), "{described}");
    }
    for clip in &clips {
        let replayed = ocelli(&["replay", text(clip), "--json"]);
        assert_eq!(replayed.code, Some(0), "{}: {}", clip.display(), replayed.err);
        assert!(!replayed.err.contains("ffmpeg") && replayed.err.contains("pictures"), "{}", replayed.err);
    }
    let checked = ocelli(&["check", "--config", text(&config)]);
    assert!(checked.out.contains("recordings: thread stack") && checked.out.contains("record  "), "{}", checked.out);
}

/// A limit on the size of files stands for a disk that is full: both refuse to write.
#[test]
fn a_full_disk_costs_recordings_and_no_narration() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = config(folder.path(), RECORDING);
    let path = text(&config).to_owned();
    fs::write(&config, fs::read_to_string(&config).expect("it is there").replace("[journal]\nfile", "# file"))
        .expect("it is writable");
    let script = "trap '' XFSZ; ulimit -f 2; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, text(program()), "run", DEMO, "--json", "--seconds", "8", "--config", &path]);
    shell.current_dir(root());
    let ran = finish(shell);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let told = lines(&ran.out);
    let of = |start: &str| {
        told.iter().filter(|event| event["text"].as_str().is_some_and(|text| text.starts_with(start))).count()
    };
    assert_eq!(of("recordings are not kept: "), 1, "{}", ran.out);
    assert!(told.iter().filter(|event| event["type"] == "narration").count() >= 2, "{}", ran.out);
    let left: Vec<_> = fs::read_dir(folder.path().join("recordings")).expect("it was made").flatten().collect();
    assert!(left.iter().all(|file| file.file_name() == "lock"), "nothing half done is left: {left:?}");
}

/// A picture of one grey, which a file that holds it has as one long run of bytes.
fn camera(folder: &Path) -> String {
    let (head, frame) = (folder.join("head"), folder.join("frame"));
    fs::write(&head, "YUV4MPEG2 W64 H48 F10:1 C420\n").expect("it is writable");
    let planes = [vec![90; 64 * 48], vec![128; 64 * 48 / 2]].concat();
    fs::write(&frame, [b"FRAME\n".to_vec(), planes].concat()).expect("it is writable");
    format!("cat {}; while cat {}; do sleep 0.1; done; exit 1", head.display(), frame.display())
}

/// The longest run of one grey in any file of a folder, beside the camera's own.
fn longest_run(folder: &Path) -> usize {
    let mut longest = 0;
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            longest = longest.max(longest_run(&path));
        } else if path.file_name().is_none_or(|name| name != "frame") {
            let bytes = fs::read(&path).expect("it can be read");
            let runs = bytes.chunk_by(|a, b| a == b).filter(|run| (40..=200).contains(&run[0]));
            longest = longest.max(runs.map(<[u8]>::len).max().unwrap_or_default());
        }
    }
    longest
}

#[test]
fn in_privacy_no_picture_reaches_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let everything = "vocabulary = \"FOLDER/words.jsonl\"\n[memory]\nstate = \"FOLDER/state\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n\
                      users = \"FOLDER/users\"\naudit = \"FOLDER/audit\"\n[mqtt]\nbroker = \"mqtt://127.0.0.1:9\"\n[outbox]\nfolder = \"FOLDER/outbox\"\n\
                      [output]\njson = true\nevidence = true\nfile = \"FOLDER/events.jsonl\"\n";
    let run = |privacy: &str| -> Ran {
        let path = config(at, everything);
        let text_of = fs::read_to_string(&path).expect("it is there");
        // Keys without a table stand before all tables.
        let (tables, top) = text_of.split_once("vocabulary").expect("it is there");
        let (line, rest) = top.split_once('\n').expect("a line");
        fs::write(&path, format!("{privacy}vocabulary{line}\n{tables}{rest}")).expect("it is writable");
        let command = camera(at);
        ocelli(&["run", "--command", &command, "--pack", "models/tiny-test", "--seconds", "3", "--config", text(&path)])
    };
    let open = run("");
    assert_eq!(open.code, Some(0), "{}", open.err);
    assert!(longest_run(at) > 500, "the kept memory has the last picture in it: this test would see one");
    let private = run("privacy = true\n");
    assert_eq!(private.code, Some(0), "{}", private.err);
    assert!(private.err.contains("remembering "), "the memory itself is kept: {}", private.err);
    assert!(longest_run(at) < 64, "{} bytes of one grey", longest_run(at));
    // And so it stays, and is remembered.
    let again = run("privacy = true\n");
    assert!(again.code == Some(0) && again.err.contains("remembering ") && longest_run(at) < 64, "{}", again.err);
    let refused = config(at, "[recording]\nfolder = \"FOLDER/recordings\"\n");
    let text_of = fs::read_to_string(&refused).expect("it is there");
    fs::write(&refused, format!("privacy = true\n{text_of}")).expect("it is writable");
    let ran = ocelli(&["run", "--command", "true", "--pack", "models/tiny-test", "--config", text(&refused)]);
    assert!(ran.code == Some(2) && ran.err.contains("`privacy` lets no picture out"), "{ran:?}");
    assert!(!at.join("recordings").exists());
}

/// A core file would be a picture of the memory.
#[test]
fn in_privacy_there_is_no_core_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("ocelli.toml");
    fs::write(&config, "privacy = true\n").expect("it is writable");
    let mut child = Command::new(program())
        .args(["run", "--pack", "models/tiny-test", "--config", text(&config), "--command", "sleep 60"])
        .current_dir(root())
        .spawn()
        .expect("it starts");
    let limits = format!("/proc/{}/limits", child.id());
    let mut seen = String::new();
    for _ in 0..600 {
        seen = fs::read_to_string(&limits).unwrap_or_default();
        let core = seen.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        if core.split_whitespace().nth(4) == Some("0") && core.split_whitespace().nth(5) == Some("0") {
            seen.clear();
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().and_then(|()| child.wait()).expect("it ends");
    assert!(seen.is_empty(), "{seen}");
}
