//! What happened is told in words that say no more than the events, whatever the head says, and without a head too.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use ocelli_e2e::{Ran, finish, lines, ocelli, program, root};
use serde_json::Value;

const FILES: [&str; 6] = ["generator.toml", "head.onnx", "weights.bin", "words.bin", "tokens.txt", "joins.txt"];

/// A folder of packs whose generative head has random weights.
fn packs(folder: &Path) {
    let head = folder.join("smollm2");
    fs::create_dir(&head).expect("a temporary folder");
    for file in FILES {
        fs::copy(root().join("models/tiny-test/generator").join(file), head.join(file)).expect("it is whole");
    }
}

/// A head that cannot be used: one that is not there would be looked for in the repository, where somebody may have built it.
fn unusable(folder: &Path) {
    fs::write(folder.join("smollm2/generator.toml"), "format = 99\n").expect("it is writable");
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

#[test]
fn an_answer_has_the_form_that_a_schema_asks_for_or_is_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    packs(folder.path());
    let journal = folder.path().join("events.journal");
    let path = journal.to_str().expect("a plain path");
    let ran = ocelli(&["replay", "tests/clips/demo.mp4", "--json", "--journal", path]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let schema = folder.path().join("schema.json");
    let told = |text: &str, more: &[&str]| {
        fs::write(&schema, text).expect("it is writable");
        let schema = schema.to_str().expect("a plain path");
        describe(folder.path(), &journal, &[&["--schema", schema], more].concat())
    };
    // Random weights choose at random, but within the form.
    let form = r#"{"type":"object","properties":{"calm":{"type":"boolean"},"what":{"enum":["much","little"]}}}"#;
    let ran = told(form, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let answer = &lines(&ran.out)[0];
    assert!(answer["calm"].is_boolean() && ["much", "little"].map(Value::from).contains(&answer["what"]), "{answer}");
    // What random weights say in words of their own no event bears out.
    let ran = told(r#"{"type":"string","maxLength":12}"#, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "null\n"), "{}", ran.err);
    assert!(ran.err.contains("no answer: "), "{}", ran.err);
    // With room for them the events stand in the place of that.
    let ran = told(r#"{"type":"object","properties":{"note":{"type":"string","maxLength":120}}}"#, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let note = lines(&ran.out)[0]["note"].as_str().map(str::to_owned).expect(&ran.err);
    assert!(
        note.contains(" camera: ") && ran.err.contains("events are told as they are, because "),
        "{note} {}",
        ran.err
    );
    let ran = told(form, &["--seconds", "0"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "null\n"), "{}", ran.err);
    let ran = told(r#"{"type":"hexagon"}"#, &[]);
    assert!(ran.code == Some(2) && ran.err.contains("schema.json: ") && ran.err.lines().count() == 1, "{}", ran.err);
    unusable(folder.path());
    let ran = told(form, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{}", ran.err);
}

#[test]
fn an_answer_is_told_as_it_is_where_the_head_says_something_else_or_is_not_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    packs(folder.path());
    let journal = folder.path().join("events.journal");
    let path = journal.to_str().expect("a plain path");
    let ran = ocelli(&["replay", "tests/clips/demo.mp4", "--json", "--journal", path, "--at", "2026-11-26T18:00:00Z"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let asked = |question: &str, more: &[&str]| {
        let mut command = Command::new(program());
        let pack = root().join("models/home");
        command.current_dir(root()).env("OCELLI_PACKS", folder.path()).args(["ask", "--journal", path]).args(more);
        command.args(["--now", "2026-11-26T18:10:00Z", "--pack", pack.to_str().expect("a plain path"), question]);
        finish(command)
    };
    let ask = |more: &[&str]| asked("How often did someone walk today?", more);
    let (plain, worded) = (ask(&[]), ask(&["--word"]));
    assert_eq!((worded.code, &worded.out), (Some(0), &plain.out), "{}", worded.err);
    assert!(
        plain.out.contains(" times today: ") && worded.err.contains("is told as it is, because "),
        "{}",
        worded.err
    );
    // In a form too: numbers are the answer's, and of the texts of random weights none is borne out.
    let schema = folder.path().join("schema.json");
    let form = r#"{"type":"object","properties":{"answer":{"type":"string"},"times":{"type":"integer"},"home":{"type":["boolean","null"]}}}"#;
    fs::write(&schema, form).expect("it is writable");
    let schema = schema.to_str().expect("a plain path");
    let shaped = ask(&["--schema", schema]);
    assert_eq!(shaped.code, Some(0), "{}", shaped.err);
    let answer = &lines(&shaped.out)[0];
    let times = answer["times"].as_u64().expect("a number");
    assert!(plain.out.starts_with(answer["answer"].as_str().expect("a text")), "{answer} {}", plain.out);
    assert!(
        times > 2 && plain.out.starts_with(&format!("{times} times")) && answer["home"].is_null(),
        "{answer} {}",
        plain.out
    );
    let worded = ask(&["--schema", schema, "--word"]);
    assert_eq!((worded.code, &worded.out), (Some(0), &shaped.out), "{}", worded.err);
    assert!(worded.err.contains("is told as it is, because "), "{}", worded.err);
    let none = asked("Who is there?", &["--schema", schema]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), "null\n"), "{}", none.err);
    assert!(none.err.contains("no answer in this form: `times`: the answer has no number"), "{}", none.err);
    assert_eq!(ask(&["--schema", schema, "--json"]).code, Some(2));
    let ran = ask(&["--schema", "/nowhere/at/all.json"]);
    assert!(ran.code == Some(2) && ran.err.contains("all.json: ") && ran.err.lines().count() == 1, "{}", ran.err);
    let ran = ask(&["--schema", "/dev/zero"]);
    assert!(ran.code == Some(2) && ran.err.contains("more than 64 KiB"), "{}", ran.err);
    unusable(folder.path());
    let without = ask(&["--word"]);
    assert_eq!((without.code, &without.out), (Some(0), &plain.out));
    assert!(without.err.contains("answers are told as they are: "), "{}", without.err);
    assert_eq!(ask(&["--word", "--schema", schema]).out, shaped.out);
    assert_eq!(ask(&["--word", "--json"]).code, Some(2));
}
