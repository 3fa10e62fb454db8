//! What people do to a program: each case gives one clear line and the documented exit code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ocelli_e2e::{Ran, finish, lines, ocelli, program, root};

const DEMO: &str = "tests/clips/demo.mp4";

/// Random weights: fast, and no words matter here.
const TINY: &str = "models/tiny-test";

fn refused(arguments: &[&str], code: i32, word: &str) -> Ran {
    let ran = ocelli(arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.err);
    let said: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("ocelli: ")).collect();
    let last = said.last().unwrap_or_else(|| panic!("{arguments:?} said nothing: {}", ran.err));
    assert!(last.contains(word), "{arguments:?}: {last}");
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn written(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("it is writable");
    path
}

fn ffmpeg(folder: &tempfile::TempDir, name: &str, arguments: &[&str]) -> Option<PathBuf> {
    ocelli_e2e::ffmpeg(&folder.path().join(name), arguments)
}

#[test]
fn a_camera_that_is_none_ends_with_3() {
    refused(&["run", "--device", "/dev/video99", "--pack", TINY], 3, "/dev/video99: there is nothing here");
    refused(&["run", "--device", "/dev/null", "--pack", TINY], 3, "/dev/null: ");
    refused(&["run", "--command", "exit 3", "--pack", TINY], 3, "the command `exit ...` failed: exit status: 3");
}

#[test]
fn a_clip_that_is_none_ends_with_3() {
    let folder = folder();
    refused(&["replay", "no/such.mp4", "--pack", TINY], 3, "there is nothing here");
    let empty = written(&folder, "empty.mp4", b"");
    refused(&["replay", text(&empty), "--pack", TINY], 3, "empty");
    let words = written(&folder, "words.mp4", b"this is no video at all, only called one\n");
    refused(&["replay", text(&words), "--pack", TINY], 3, "words.mp4");
}

#[test]
fn a_cut_clip_is_told_as_far_as_it_goes_and_ends_with_3() {
    let folder = folder();
    let whole = fs::read(root().join(DEMO)).expect("the demo clip");
    let cut = written(&folder, "cut.mp4", &whole[..whole.len() * 6 / 10]);
    let told = refused(&["replay", text(&cut), "--json"], 3, "cut.mp4");
    let index_first = whole.windows(4).position(|w| w == b"moov") < whole.windows(4).position(|w| w == b"mdat");
    assert_eq!(index_first, !lines(&told.out).is_empty(), "with its index first, what is there is told: {}", told.out);
    let Some(mkv) = ffmpeg(&folder, "demo.mkv", &["-i", DEMO, "-c", "copy"]) else { return };
    let whole = fs::read(mkv).expect("it was made");
    let cut = written(&folder, "cut.mkv", &whole[..whole.len() * 6 / 10]);
    let told = refused(&["replay", text(&cut), "--json"], 3, "cut.mkv");
    assert!(!lines(&told.out).is_empty(), "what was seen before the cut is told");
}

#[test]
fn the_smallest_the_largest_and_the_irregular_clip_are_played_or_refused_in_words() {
    let folder = folder();
    let source = |size: &str| format!("testsrc=size={size}:rate=5");
    let tiny = source("16x16");
    let filters = ["-f", "lavfi", "-i"];
    if let Some(clip) = ffmpeg(
        &folder,
        "one.y4m",
        &[&filters[..], &[&tiny, "-t", "2", "-vf", "scale=1:1", "-pix_fmt", "yuv420p"]].concat(),
    ) {
        let ran = ocelli(&["replay", text(&clip), "--pack", TINY]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    let large = source("7680x4320");
    if let Some(clip) = ffmpeg(
        &folder,
        "8k.mp4",
        &[&filters[..], &[&large, "-t", "0.6", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]]
            .concat(),
    ) {
        refused(&["replay", text(&clip), "--pack", TINY], 5, "camera or decoder");
        let ran = ocelli(&["replay", text(&clip), "--pack", TINY, "--memory-budget", "2GiB"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    let irregular = ["-i", DEMO, "-t", "6", "-vf", "select='not(mod(n\\,3))+lt(mod(n\\,17)\\,4)'", "-vsync", "vfr"];
    if let Some(clip) = ffmpeg(&folder, "vfr.mp4", &irregular) {
        let ran = ocelli(&["replay", text(&clip), "--pack", TINY]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
}

#[test]
fn a_format_of_others_needs_ffmpeg_and_says_so() {
    let folder = folder();
    let arguments = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5", "-t", "2", "-c:v", "mpeg4"];
    let Some(clip) = ffmpeg(&folder, "old.avi", &arguments) else { return };
    let with = ocelli(&["replay", text(&clip), "--pack", TINY]);
    assert_eq!(with.code, Some(0), "{}", with.err);
    let mut command = Command::new(program());
    command.args(["replay", text(&clip), "--pack", TINY]).current_dir(root()).env("PATH", folder.path());
    let without = finish(command);
    assert_eq!(without.code, Some(3), "{}", without.err);
    assert!(without.err.contains("install ffmpeg"), "{}", without.err);
}

/// A copy of the small pack with one file changed.
fn pack(folder: &tempfile::TempDir, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let copy = folder.path().join(file.replace('.', "-"));
    fs::create_dir(&copy).expect("it is writable");
    for entry in fs::read_dir(root().join(TINY)).expect("the pack").flatten().filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), copy.join(entry.file_name())).expect("it is writable");
    }
    let bytes = fs::read(copy.join(file)).expect("it was copied");
    fs::write(copy.join(file), change(bytes)).expect("it is writable");
    text(&copy).to_owned()
}

#[test]
fn a_pack_that_is_absent_damaged_or_of_other_shapes_ends_with_4() {
    let folder = folder();
    refused(&["replay", DEMO, "--pack", "no-such-pack"], 4, "ocelli packs");
    let damaged = pack(&folder, "stab.onnx", |mut bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    });
    refused(&["replay", DEMO, "--pack", &damaged], 4, "SHA-256");
    let other = pack(&folder, "pack.toml", |bytes| {
        let text = String::from_utf8(bytes).expect("a text");
        let line = text.lines().find(|line| line.starts_with("token_width")).expect("it has a width");
        text.replace(line, "token_width = 1000").into_bytes()
    });
    refused(&["replay", DEMO, "--pack", &other], 4, "manifest asks for");
    let dear = tempfile::tempdir().expect("a temporary folder");
    let dear = pack(&dear, "pack.toml", |bytes| {
        let text = String::from_utf8(bytes).expect("a text");
        let line = text.lines().find(|line| line.starts_with("multiply_adds")).expect("it has a budget");
        text.replace(line, "multiply_adds = 1000").into_bytes()
    });
    refused(&["check", "--pack", &dear], 4, "multiply-adds a picture, and [budget] allows 1000");
    let gone = pack(&folder, "narrator.onnx", |bytes| bytes);
    fs::remove_file(Path::new(&gone).join("narrator.onnx")).expect("it was copied");
    refused(&["check", "--pack", &gone], 4, "narrator.onnx");
}

#[test]
fn a_config_that_says_what_it_may_not_ends_with_2() {
    let folder = folder();
    let config = written(&folder, "ocelli.toml", b"pack = \"home\"\n[camera]\ndevcie = \"/dev/video0\"\n");
    refused(&["check", "--config", text(&config)], 2, "ocelli.toml:3: unknown key `devcie`; did you mean `device`?");
    refused(&["check", "--config", "no/such.toml"], 2, "cannot read the config");
    assert_eq!(ocelli(&["check", "--memory-budget", "lots"]).code, Some(2));
    assert_eq!(ocelli(&["narrate"]).code, Some(2));
}

#[test]
fn a_budget_that_is_too_small_ends_with_5_and_names_the_largest_parts() {
    refused(&["replay", DEMO, "--memory-budget", "8MiB"], 5, "the largest parts are");
    let ran = refused(&["check", "--json", "--memory-budget", "8MiB"], 5, "memory_budget");
    assert_eq!(lines(&ran.out)[0]["fits"], false);
}

#[test]
fn an_output_that_takes_nothing_ends_with_1() {
    let folder = folder();
    refused(&["replay", DEMO, "--out", text(folder.path())], 1, "cannot write events here");
    refused(&["replay", DEMO, "--out", "/dev/full"], 1, "/dev/full");
}

#[test]
fn an_output_file_keeps_what_it_had() {
    let folder = folder();
    let out = written(&folder, "events.jsonl", b"{\"before\":1}\n");
    let ran = ocelli(&["replay", DEMO, "--json", "--out", text(&out)]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
    let kept = lines(&fs::read_to_string(&out).expect("it is there"));
    assert!(kept.len() > 5 && kept[0]["before"] == 1);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut command = Command::new(program());
    command.args(["replay", DEMO]).current_dir(root()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(0) && !err.contains("panicked"), "{err}");
}

#[test]
fn a_source_lost_on_the_way_makes_a_blind_event_and_comes_back() {
    let folder = folder();
    let Some(clip) = ffmpeg(&folder, "part.y4m", &["-i", DEMO, "-t", "3", "-pix_fmt", "yuv420p"]) else { return };
    let mark = folder.path().join("second");
    // The first time the command fails at its end, as a camera that is unplugged; the second time it ends well.
    let (clip, mark) = (clip.display(), mark.display());
    let script = format!("cat {clip}; test -e {mark} && exit 0; touch {mark}; echo lens fell off >&2; exit 7");
    let ran = ocelli(&["run", "--command", &script, "--json", "--pack", TINY, "--seconds", "60"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = lines(&ran.out);
    let at = |word: &str| events.iter().position(|event| event["text"].as_str().is_some_and(|t| t.contains(word)));
    let told = ["watching; time 0 is 2", "lens fell off; trying again", "seeing again after"].map(at);
    assert!(told.iter().all(Option::is_some) && told.is_sorted(), "{}", ran.out);
    let types = told.map(|index| events[index.expect("it is there")]["type"].clone());
    assert_eq!(types, ["health", "blind", "health"]);
    let times: Vec<f64> = events.iter().filter_map(|event| event["t_end_s"].as_f64()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn of_a_command_with_a_password_in_it_nobody_is_told_that() {
    let folder = folder();
    let Some(clip) = ffmpeg(&folder, "part.y4m", &["-i", DEMO, "-t", "1", "-pix_fmt", "yuv420p"]) else { return };
    let camera = "rtsp://vera:hunter2@127.0.0.1:9/x?key=hunter2";
    let script = format!("cat {}; echo '{camera}: Connection refused' >&2; exit 7", clip.display());
    let ran = ocelli(&["run", "--command", &script, "--json", "--pack", TINY, "--seconds", "3"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("the command `cat ...` failed"), "{}", ran.out);
    assert!(ran.out.contains("rtsp://127.0.0.1:9/...: Connection refused"), "{}", ran.out);
    let checked = ocelli(&["check", "--command", &script, "--pack", TINY]);
    let absent = ocelli(&["run", "--command", &script.replace("cat", "cat /no"), "--pack", TINY, "--seconds", "3"]);
    for text in [ran.out, ran.err, checked.out, checked.err, absent.out, absent.err] {
        assert!(!text.contains("hunter2") && !text.contains("vera"), "{text}");
    }
}

#[test]
fn a_source_that_stays_away_is_told_once() {
    let folder = folder();
    let Some(clip) = ffmpeg(&folder, "part.y4m", &["-i", DEMO, "-t", "1", "-pix_fmt", "yuv420p"]) else { return };
    let mark = folder.path().join("second");
    let (clip, mark) = (clip.display(), mark.display());
    let script = format!("test -e {mark} || cat {clip}; echo again >> {mark}; echo lens fell off >&2; exit 7");
    let ran = ocelli(&["run", "--command", &script, "--json", "--pack", TINY, "--seconds", "6"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let tries = fs::read_to_string(folder.path().join("second")).expect("it was tried").lines().count();
    assert!((3..=5).contains(&tries), "after 0.5, 1, 2 and 4 s: {tries}");
    let events = lines(&ran.out);
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((of("blind"), of("health")), (1, 1), "{}", ran.out);
}

/// Pictures that the model saw, as the last line of a run says.
fn seen(ran: &Ran) -> u32 {
    let word = ran.err.split(", ").find_map(|part| part.strip_suffix(" seen"));
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no count: {}", ran.err))
}

#[test]
fn jpegs_are_seen_from_a_clip_and_from_a_command() {
    let folder = folder();
    let arguments = ["-i", DEMO, "-t", "3", "-r", "25", "-c:v", "mjpeg", "-f", "mjpeg"];
    let Some(clip) = ffmpeg(&folder, "demo.mjpeg", &arguments) else { return };
    let ran = ocelli(&["replay", text(&clip), "--pack", TINY]);
    assert_eq!((ran.code, seen(&ran)), (Some(0), 15), "{}", ran.err);
    // A command is dated by arrival: ten pictures a second.
    let command = format!("ffmpeg -v error -re -i {} -c copy -f mjpeg -", clip.display());
    let ran = ocelli(&["run", "--command", &command, "--command-format", "mjpeg", "--pack", TINY]);
    assert!(ran.code == Some(0) && seen(&ran) >= 3, "{}", ran.err);
}

#[test]
fn a_source_without_a_picture_ends_with_3() {
    let folder = folder();
    let header = written(&folder, "header.y4m", b"YUV4MPEG2 W64 H48 F5:1\n");
    refused(&["replay", text(&header), "--pack", TINY], 3, "without a picture");
    refused(&["run", text(&header), "--pack", TINY], 3, "without a picture");
    refused(&["run", "--command", "true", "--pack", TINY], 3, "without a picture");
    let broken = r"while :; do printf '\377\330\377\331'; done";
    let mjpeg = ["--command-format", "mjpeg", "--pack", TINY];
    refused(&[&["run", "--command", broken][..], &mjpeg].concat(), 3, "could not be read");
}

#[test]
fn nothing_of_a_command_is_left_when_the_run_is_over() {
    let folder = folder();
    let Some(clip) = ffmpeg(&folder, "part.y4m", &["-i", DEMO, "-t", "1", "-pix_fmt", "yuv420p"]) else { return };
    let mark = folder.path().join("alive");
    let script = format!("(sleep 4; touch {}) & cat {}; sleep 60", mark.display(), clip.display());
    let ran = ocelli(&["run", "--command", &script, "--pack", TINY, "--seconds", "1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    std::thread::sleep(Duration::from_secs(4));
    assert!(!mark.exists(), "a child of the command outlived the run");
}

#[test]
fn pictures_that_grow_beyond_the_budget_end_the_run_with_5() {
    let folder = folder();
    let Some(small) = ffmpeg(&folder, "small.y4m", &["-i", DEMO, "-t", "1", "-pix_fmt", "yuv420p"]) else { return };
    let filters = ["-f", "lavfi", "-i", "testsrc=size=3840x2160:rate=5", "-frames:v", "2", "-pix_fmt", "yuv420p"];
    let Some(large) = ffmpeg(&folder, "large.y4m", &filters) else { return };
    let (small, large, mark) = (small.display(), large.display(), folder.path().join("second"));
    let mark = mark.display();
    let script = format!("test -e {mark} && exec cat {large}; touch {mark}; cat {small}; exit 7");
    let ran = refused(&["run", "--command", &script, "--json", "--pack", TINY], 5, "camera or decoder");
    assert!(lines(&ran.out).iter().any(|event| event["type"] == "blind"), "{}", ran.out);
}

#[test]
fn pictures_that_cannot_be_used_cost_no_slot() {
    let folder = folder();
    let Some(clip) = ffmpeg(&folder, "part.y4m", &["-i", DEMO, "-t", "1", "-pix_fmt", "yuv420p"]) else { return };
    let (clip, count) = (clip.display(), folder.path().join("count"));
    let count = count.display();
    // The second to fourth time the picture is wider than any that is taken.
    let wide = "printf 'YUV4MPEG2 W20000 H1 F5:1 Cmono\\nFRAME\\n'; head -c 20000 /dev/zero; exit 7";
    let script = format!(
        "echo >> {count}; n=$(wc -l < {count}); test $n -gt 1 -a $n -lt 5 && {{ {wide}; }}; cat {clip}; test $n -gt 4 || exit 7"
    );
    let ran = ocelli(&["run", "--command", &script, "--json", "--pack", TINY, "--seconds", "60"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = lines(&ran.out);
    let texts: Vec<&str> = events.iter().filter_map(|event| event["text"].as_str()).collect();
    let of_loss: Vec<&&str> = texts.iter().filter(|text| text.contains("trying again")).collect();
    let (other, first): (Vec<&&str>, Vec<&&str>) =
        of_loss.into_iter().partition(|text| text.starts_with("still blind"));
    assert_eq!((first.len(), other.len()), (1, 1), "the loss, and that its reason is another now: {texts:?}");
    assert_eq!(texts.iter().filter(|text| text.contains("seeing again")).count(), 1, "{texts:?}");
    assert!(seen(&ran) >= 2, "the picture after the loss was seen: {}", ran.err);
}

#[test]
fn nobody_at_standard_error_changes_nothing() {
    for (arguments, code) in [(["replay", "no/such.mp4"], 3), (["check", "--memory-budget=1"], 5)] {
        let mut command = Command::new(program());
        command.args(arguments).args(["--pack", TINY]).current_dir(root()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        drop(child.stderr.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(code));
    }
}

#[test]
fn a_second_signal_ends_a_run_whose_output_takes_nothing() {
    let folder = folder();
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|status| status.success()));
    let mut command = Command::new(program());
    command.args(["run", DEMO, "--pack", TINY, "--out", text(&fifo)]).current_dir(root()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    std::thread::sleep(Duration::from_secs(3));
    for _ in 0..2 {
        assert!(child.try_wait().expect("a child").is_none(), "it waits for a reader");
        let killed = signal("TERM", child.id());
        assert!(killed.is_ok_and(|status| status.success()));
        std::thread::sleep(Duration::from_millis(500));
    }
    let ended = child.try_wait().expect("a child");
    let _ = child.kill();
    assert_eq!(ended.and_then(|status| status.code()), Some(1));
}

/// By the shell: a small system has no program `kill`.
fn signal(name: &str, process: u32) -> std::io::Result<std::process::ExitStatus> {
    Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status()
}

#[test]
fn a_signal_ends_a_run_with_whole_lines_and_a_summary() {
    // The last is what a terminal that is closed sends.
    for name in ["TERM", "HUP"] {
        let mut command = Command::new(program());
        command.args(["run", DEMO, "--json"]).current_dir(root()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("it starts");
        std::thread::sleep(Duration::from_secs(6));
        let killed = signal(name, child.id());
        assert!(killed.is_ok_and(|status| status.success()));
        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(0), "{name}: {said}");
        assert!(!lines(&String::from_utf8_lossy(&ended.stdout)).is_empty(), "what was said until then is there");
        assert!(
            said.lines().last().is_some_and(|line| line.contains(" seen, ") && line.contains(" events in all")),
            "{said}"
        );
    }
}
