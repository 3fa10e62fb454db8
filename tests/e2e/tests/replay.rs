//! The demonstration clip and real clips through `ocelli replay`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use ocelli_e2e::{lines, ocelli, root, shared_data};
use serde_json::Value;

const DEMO: &str = "tests/clips/demo.mp4";

fn field(event: &Value, name: &str) -> f64 {
    event[name].as_f64().unwrap_or_else(|| panic!("{name} is a number in {event}"))
}

#[test]
fn the_demo_clip_is_narrated_as_recorded_and_twice_the_same() {
    let (first, second) = (ocelli(&["replay", DEMO, "--json"]), ocelli(&["replay", DEMO, "--json"]));
    assert_eq!((first.code, &first.err.contains("panicked")), (Some(0), &false), "{}", first.err);
    assert_eq!(first.out, second.out, "the same clip gives the same bytes");
    let events = lines(&first.out);
    for (index, event) in events.iter().enumerate() {
        let keys = event.as_object().expect("an object").keys().map(String::as_str);
        let of_alerts = |key: &str| event["type"] != "narration" && key == "severity";
        let keys: BTreeSet<&str> = keys.filter(|key| *key != "relation" && !of_alerts(key)).collect();
        let wanted = ["camera", "entries", "id", "score", "t_end_s", "t_start_s", "text", "type"];
        assert!(keys.iter().eq(&wanted), "{event}");
        assert_eq!(event["id"], index + 1);
        assert!(field(event, "t_start_s") <= field(event, "t_end_s") && field(event, "t_end_s") <= 42.1, "{event}");
        assert!((0.0..=1.0).contains(&field(event, "score")), "{event}");
        assert!(event["entries"][0].as_u64() <= event["entries"][1].as_u64(), "{event}");
    }
    let texts: BTreeSet<&str> = events.iter().filter_map(|event| event["text"].as_str()).collect();
    assert!(texts.len() >= 5, "{texts:?}");
    let path = root().join("tests/clips/demo.transcript.jsonl");
    if std::env::var_os("OCELLI_UPDATE").is_some() {
        fs::write(&path, &first.out).expect("the transcript is writable");
    }
    let recorded = fs::read_to_string(&path).expect("OCELLI_UPDATE=1 cargo test -p ocelli-e2e writes it");
    let recorded = lines(&recorded);
    // Rounding differs from CPU to CPU: by a frame or two, and by an event where a threshold is just met.
    let alike = |a: &Value, b: &Value| {
        ["type", "text", "relation"].iter().all(|key| a[key] == b[key])
            && (field(a, "t_start_s") - field(b, "t_start_s")).abs() <= 0.4
    };
    for (these, those) in [(&events, &recorded), (&recorded, &events)] {
        let alone: Vec<&Value> = these.iter().filter(|a| !those.iter().any(|b| alike(a, b))).collect();
        assert!(alone.len() <= 2, "{alone:?}");
    }
}

#[test]
fn the_stages_are_printed_apart_from_the_events() {
    let ran = ocelli(&["replay", DEMO, "--stages", "--pack", "models/tiny-test"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("; heap ") && ran.err.contains("; allocations a picture: "), "{}", ran.err);
    for stage in ["decode", "fit", "gate", "STAB", "narrator"] {
        let row =
            ran.err.lines().find(|line| line.starts_with(stage)).unwrap_or_else(|| panic!("{stage}: {}", ran.err));
        let pictures: u64 = row.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a count");
        assert!(pictures >= 210, "{row}");
        // Of our own stages only the narrator, which runs through tract, and resizing allocate much.
        let allocations: f64 = row.split_whitespace().nth(5).and_then(|n| n.parse().ok()).expect("a count");
        assert!(allocations < if stage == "gate" { 0.1 } else { 5000.0 }, "{row}");
        assert!(!ran.out.contains("mean ms"));
    }
}

#[test]
fn a_trace_holds_what_every_narration_was_decided_by() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("trace.jsonl");
    let ran = ocelli(&["replay", DEMO, "--json", "--trace", path.to_str().expect("a plain path")]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out, ocelli(&["replay", DEMO, "--json"]).out, "a trace changes nothing");
    let trace = lines(&fs::read_to_string(&path).expect("the trace"));
    assert!(trace.len() >= 210, "{} pictures", trace.len());
    for picture in &trace {
        let sum: f64 = picture["kinds"].as_object().expect("an object").values().filter_map(Value::as_f64).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{picture}");
    }
    for event in lines(&ran.out) {
        let at = |picture: &&Value| (field(picture, "t_s") - field(&event, "t_end_s")).abs() < 1e-3;
        let picture = trace.iter().find(at).unwrap_or_else(|| panic!("no picture of {event}"));
        let mut kinds = picture["kinds"].as_object().expect("an object").iter();
        let score = |(kind, p): (&String, &Value)| calibrated(kind, p.as_f64().expect("a probability"));
        assert!(kinds.any(|kind| (score(kind) - field(&event, "score")).abs() < 1e-3), "{event} {picture}");
    }
}

/// The score of a narration of this kind with this smoothed probability, by the pack's `[speak.calibration]`.
fn calibrated(kind: &str, p: f64) -> f64 {
    let manifest = fs::read_to_string(root().join("models/home/pack.toml")).expect("the pack is there");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let calibration = &manifest["speak"]["calibration"];
    let own = calibration["offsets"].get(kind).unwrap_or(&calibration["offset"]);
    let number = |value: &toml::Value| value.as_float().expect("a number");
    let log_odds = number(&calibration["slope"]) * (p / (1.0 - p)).ln() + number(own);
    1.0 / (1.0 + (-log_odds).exp())
}

#[test]
#[cfg(target_os = "linux")]
fn the_peak_of_memory_stays_within_the_plan_of_the_picture_size() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for size in ["640x480", "1280x720", "1920x1080"] {
        let [config, clip] = ["ocelli.toml", "large.mp4"].map(|name| folder.path().join(name));
        fs::write(&config, format!("[camera]\nsize_px = \"{size}\"\n")).expect("it is writable");
        let config = config.to_str().expect("a plain path");
        let clip = if size == "640x480" {
            root().join(DEMO)
        } else {
            let scale = format!("scale={}", size.replace('x', ":"));
            let arguments = ["-i", DEMO, "-t", "3", "-vf", &scale, "-preset", "ultrafast"];
            let Some(clip) = ocelli_e2e::ffmpeg(&clip, &arguments) else { return };
            clip
        };
        let plan = ocelli(&["check", "--json", "--config", config]);
        let planned = lines(&plan.out)[0]["planned_bytes"].as_u64().expect("a number");
        let replay = ["replay", clip.to_str().expect("a plain path"), "--json", "--config", config];
        let (ran, peak) = ocelli_e2e::watched(&replay);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let peak = peak.bytes;
        eprintln!("{size}: peak {peak} bytes, planned {planned}");
        assert!((8 << 20..=planned).contains(&peak), "{size}: peak {peak}, planned {planned}");
    }
}

fn clips(folder: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut clips) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|extension| extension == "mp4") => clips.push(path),
                _ => {}
            }
        }
    }
    clips.sort();
    clips
}

/// Something happens in every one of these clips, by their labels.
#[test]
fn every_real_clip_of_people_is_narrated_and_twice_the_same() {
    let Some(data) = shared_data() else { return };
    let clips = [clips(data.join("gmdcsa24")), clips(data.join("assist-iot"))].concat();
    assert!(clips.len() >= 33, "{}", clips.len());
    for clip in clips {
        let clip = clip.to_str().expect("a plain path");
        let (first, second) = (ocelli(&["replay", clip, "--json"]), ocelli(&["replay", clip, "--json"]));
        assert_eq!(first.code, Some(0), "{clip}: {}", first.err);
        assert!(lines(&first.out).iter().any(|event| event["type"] == "narration"), "{clip}: nothing was said");
        assert_eq!(first.out, second.out, "{clip}");
    }
}
