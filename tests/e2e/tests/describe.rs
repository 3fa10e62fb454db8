//! What happened is told in words that say no more than the events, whatever the head says, and without a head too.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use ocelli_e2e::{Ran, finish, lines, ocelli, program, root};

const FILES: [&str; 6] = ["generator.toml", "head.onnx", "weights.bin", "words.bin", "tokens.txt", "joins.txt"];

/// A folder of packs whose generative head has random weights.
fn packs(folder: &Path) {
    let head = folder.join("smollm2");
    fs::create_dir(&head).expect("a temporary folder");
    for file in FILES {
        fs::copy(root().join("models/tiny-test/generator").join(file), head.join(file)).expect("it is whole");
    }
}

fn describe(packs: &Path, journal: &Path, more: &[&str]) -> Ran {
    let mut command = Command::new(program());
    command.current_dir(root()).env("OCELLI_PACKS", packs).arg("describe").arg("--journal").arg(journal).args(more);
    let ran = finish(command);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

#[test]
fn the_events_are_told_where_the_head_says_something_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    packs(folder.path());
    let journal = folder.path().join("events.journal");
    let path = journal.to_str().expect("a plain path");
    let ran = ocelli(&["replay", "tests/clips/demo.mp4", "--json", "--journal", path]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = lines(&ocelli(&["events", "--json", "--journal", path]).out);
    let texts: Vec<&str> = events.iter().filter_map(|event| event["text"].as_str()).collect();
    assert!(texts.len() > 2);
    let told = describe(folder.path(), &journal, &["--tokens", "20"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    for text in texts {
        assert!(told.out.contains(&format!("camera: {text}")), "{text}: {}", told.out);
    }
    assert!(told.out.ends_with(".\n") && told.out.lines().count() == 1, "{}", told.out);
    assert!(told.err.contains(" events are told as they are; the first of them because "), "{}", told.err);
    assert_eq!(describe(folder.path(), &journal, &["--tokens", "20"]).out, told.out, "the same bytes again");

    // No time is no failure.
    let late = describe(folder.path(), &journal, &["--seconds", "0"]);
    assert_eq!((late.code, &late.out), (Some(0), &told.out));
    assert!(late.err.contains("because the time was up"), "{}", late.err);

    // Nor is a damaged head.
    let weights = folder.path().join("smollm2/weights.bin");
    fs::write(&weights, b"short").expect("it is writable");
    let damaged = describe(folder.path(), &journal, &[]);
    assert_eq!((damaged.code, &damaged.out), (Some(0), &told.out));
    assert!(damaged.err.contains("weights.bin: the file is damaged"), "{}", damaged.err);

    let none = describe(folder.path(), &journal, &["--camera", "nowhere"]);
    assert_eq!((none.code, none.out.as_str()), (Some(2), ""));
    assert!(none.err.contains("no camera `nowhere`; it has: camera"), "{}", none.err);
    assert_eq!(describe(folder.path(), &folder.path().join("no.journal"), &[]).code, Some(1));
    assert_eq!(describe(folder.path(), &journal, &["--seconds", "-1"]).code, Some(2));
}
