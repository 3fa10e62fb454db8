//! Several cameras on one board: they share what can be shared, and do not disturb each other.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ocelli_e2e::{Peak, Ran, lines, ocelli, watched};
use serde_json::Value;

/// Random weights: fast, and no words matter here.
const TINY: &str = "models/tiny-test";

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A command that writes pictures of noise without end, about ten a second.
fn noise(folder: &Path, width: usize, height: usize) -> String {
    let mut seed = 1_u32;
    for picture in ["a", "b"] {
        let mut bytes = b"FRAME\n".to_vec();
        bytes.extend((0..width * height * 3 / 2).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        }));
        fs::write(folder.join(picture), bytes).expect("it is writable");
    }
    let folder = folder.display();
    format!(
        "echo YUV4MPEG2 W{width} H{height} F10:1; while :; do cat {folder}/a; sleep 0.1; cat {folder}/b; sleep 0.1; done"
    )
}

/// A config with a camera of each name and command.
fn config(folder: &Path, head: &str, cameras: &[(&str, &str)]) -> PathBuf {
    let mut config = format!("{head}\n");
    for (name, command) in cameras {
        write!(config, "[[camera]]\nname = \"{name}\"\ncommand = '''{command}'''\n").expect("a text takes everything");
    }
    let path = folder.join(format!("{}.toml", cameras.len()));
    fs::write(&path, config).expect("it is writable");
    path
}

/// Events of a camera whose text holds a word.
fn of<'a>(events: &'a [Value], camera: &str, word: &str) -> Vec<&'a Value> {
    let holds = |event: &&Value| event["text"].as_str().is_some_and(|text| text.contains(word));
    events.iter().filter(|event| event["camera"] == camera).filter(holds).collect()
}

/// Pictures that the model saw of a camera, as the last lines of a run say.
fn seen(ran: &Ran, camera: &str) -> u32 {
    let line = ran.err.lines().rev().find_map(|line| line.strip_prefix(&format!("ocelli: {camera}: ")));
    let word = line.and_then(|line| line.split(", ").find_map(|part| part.strip_suffix(" seen")));
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no count of {camera}: {}", ran.err))
}

#[test]
fn two_cameras_are_told_by_name_and_the_second_costs_what_the_plan_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let noise = noise(folder.path(), 640, 480);
    let state = format!("[memory]\nstate = \"{}\"", folder.path().join("state").display());
    let run = |cameras: &[(&str, &str)]| -> (Vec<Value>, Ran, Peak, u64) {
        let path = config(folder.path(), &state, cameras);
        let (ran, peak) = watched(&["run", "--config", text(&path), "--json", "--seconds", "6"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let plan = lines(&ocelli(&["check", "--json", "--config", text(&path)]).out).remove(0);
        (lines(&ran.out), ran, peak, plan["planned_bytes"].as_u64().expect("a number"))
    };
    let (_, _, one, planned_one) = run(&[("hall", &noise)]);
    let (events, ran, two, planned_two) = run(&[("hall", &noise), ("porch", &noise)]);
    let (grown, planned) = (two.bytes.saturating_sub(one.bytes), planned_two - planned_one);
    eprintln!(
        "one camera: {one:?} of {planned_one}; two: {two:?} of {planned_two}; {grown} more, of {planned} planned"
    );
    assert!(one.bytes <= planned_one && two.bytes <= planned_two, "{one:?} {planned_one}, {two:?} {planned_two}");
    assert!(grown <= planned, "a further camera holds {grown} bytes more, and {planned} are planned");
    for camera in ["hall", "porch"] {
        assert_eq!(of(&events, camera, "watching; time 0 is 2").len(), 1, "{}", ran.out);
        assert!(seen(&ran, camera) >= 3, "{}", ran.err);
        let files = fs::read_dir(folder.path().join("state")).expect("it was made").flatten().map(|file| file.path());
        let kept = files.into_iter().find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&format!("{camera}-")) && name.ends_with(".memory")
        });
        assert!(
            kept.is_some_and(|file| fs::metadata(file).is_ok_and(|file| file.len() > 1000)),
            "{camera}: {}",
            ran.err
        );
    }
    assert_eq!(of(&events, "hall", "").len() + of(&events, "porch", "").len(), events.len(), "{}", ran.out);
    // Each goes on from its own file.
    let (_, again, ..) = run(&[("hall", &noise), ("porch", &noise)]);
    for camera in ["hall", "porch"] {
        assert!(again.err.contains(&format!("ocelli: {camera}: remembering ")), "{}", again.err);
    }
}

#[test]
fn a_camera_that_fails_leaves_the_others_running() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let noise = noise(folder.path(), 64, 48);
    let (mark, picture) = (folder.path().join("mark"), folder.path().join("a"));
    let (mark, picture) = (mark.display(), picture.display());
    // One shows a picture and falls, one never starts, one is there the second time, one ends well.
    let one = format!("echo YUV4MPEG2 W64 H48 F10:1; cat {picture}");
    let falls = format!("{one}; echo lens fell off >&2; exit 7");
    let late = format!("test -e {mark} || {{ touch {mark}; exit 5; }}; {noise}");
    let cut = format!("test -e {mark}-cut && {{ echo cable cut >&2; exit 8; }}; touch {mark}-cut; {falls}");
    let cameras =
        [("good", &noise[..]), ("falls", &falls), ("never", "exit 3"), ("late", &late), ("ends", &one), ("cut", &cut)];
    let path = config(folder.path(), "", &cameras);
    let ran = ocelli(&["run", "--config", text(&path), "--pack", TINY, "--json", "--seconds", "6"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = lines(&ran.out);
    let blind = |camera| -> Vec<&str> {
        let mine = of(&events, camera, "").into_iter().filter(|event| event["type"] == "blind");
        mine.filter_map(|event| event["text"].as_str()).collect()
    };
    assert!(blind("good").is_empty(), "{}", ran.out);
    assert!(blind("falls").iter().all(|why| why.contains("lens fell off; trying again")), "{}", ran.out);
    assert_eq!((blind("never").len(), blind("late").len(), blind("ends").len()), (1, 1, 1), "{}", ran.out);
    // Each reason once, however often it is tried.
    assert!(blind("cut").len() == 1 && blind("cut")[0].contains("lens fell off"), "{}", ran.out);
    let still = of(&events, "cut", "still blind: ");
    assert!(still.len() == 1 && still[0]["text"].as_str().is_some_and(|why| why.contains("cable cut")), "{}", ran.out);
    assert!(blind("ends")[0].contains("has ended, and is not opened again"), "{}", ran.out);
    assert_eq!(of(&events, "late", "seeing after ").len(), 1, "{}", ran.out);
    assert_eq!(of(&events, "falls", "watching; ").len(), 1, "{}", ran.out);
    assert!(seen(&ran, "good") >= 5 && seen(&ran, "late") >= 3, "{}", ran.err);
    assert_eq!((seen(&ran, "never"), seen(&ran, "ends")), (0, 1), "{}", ran.err);
    for camera in ["good", "falls", "late"] {
        let ends: Vec<f64> = of(&events, camera, "").iter().filter_map(|event| event["t_end_s"].as_f64()).collect();
        assert!(ends.is_sorted(), "{camera}: {ends:?}");
    }
}

#[test]
fn cameras_of_which_none_opens_end_with_3_and_more_than_fit_with_5() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = config(folder.path(), "", &[("a", "exit 3"), ("b", "sleep 1; exit 4")]);
    let ran = ocelli(&["run", "--config", text(&path), "--pack", TINY, "--json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.lines().last().is_some_and(|line| line.contains("exit status: 4")), "{}", ran.err);
    assert_eq!(of(&lines(&ran.out), "a", "exit ...` failed").len(), 1, "{}", ran.out);

    let cameras = ["a", "b", "c", "d"].map(|name| (name, "exit 3"));
    let path = config(folder.path(), "profile = \"pico\"", &cameras);
    for command in ["check", "run"] {
        let ran = ocelli(&[command, "--config", text(&path)]);
        assert_eq!(ran.code, Some(5), "{}", ran.err);
        let last = ran.err.lines().last().unwrap_or_default();
        assert!(last.contains("the further camera `") && last.contains("fewer cameras"), "{last}");
    }
    let shown = ocelli(&["check", "--config", text(&path), "--memory-budget", "256MiB"]);
    assert_eq!((shown.code, shown.out.matches("  further camera ").count()), (Some(0), 3), "{}", shown.out);

    let ran = ocelli(&["run", "--config", text(&path), "--device", "/dev/video0"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("--device is for one camera, and the config has 4"), "{}", ran.err);
}

#[test]
fn a_further_camera_with_too_large_pictures_ends_the_run_with_5_and_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = noise(folder.path(), 64, 48);
    let large = "printf 'YUV4MPEG2 W3840 H2160 F5:1 Cmono\\nFRAME\\n'; head -c 8294400 /dev/zero; sleep 60";
    let path = config(folder.path(), "", &[("small", &small), ("large", large)]);
    let ran = ocelli(&["run", "--config", text(&path), "--pack", TINY, "--json", "--seconds", "60"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains("the largest parts are the further camera `large` ("), "{}", ran.err);
}
