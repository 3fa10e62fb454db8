//! What a user says of events, and what the program makes of it.

use std::path::Path;

use ocelli_e2e::{Ran, lines, ocelli, ocelli_fed};
use serde_json::Value;

const DEMO: &str = "tests/clips/demo.mp4";

fn replay(more: &[&str]) -> Ran {
    let ran = ocelli(&[&["replay", DEMO, "--json"], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran
}

fn teach(lessons: &Path, events: &str, more: &[&str]) -> Ran {
    ocelli_fed(&[&["teach", lessons.to_str().expect("a plain path")], more].concat(), events)
}

fn line_of(events: &[Value], index: usize) -> String {
    format!("{}\n", events[index])
}

/// What is told from 2 s before an event to 2 s after.
fn around(events: &[Value], event: &Value) -> Vec<String> {
    let time = |event: &Value| event["t_end_s"].as_f64().expect("a time");
    let near = events.iter().filter(|other| (time(other) - time(event)).abs() < 2.0);
    near.map(|event| event["text"].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn a_narration_that_was_denied_is_not_told_again_and_what_was_taught_is() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let lessons = folder.path().join("hall.lessons");
    let events = lines(&replay(&["--evidence"]).out);
    // One that the narrator is not very sure of, as those are that people deny.
    let unsure = |event: &&Value| event["type"] == "narration" && event["score"].as_f64().is_some_and(|s| s < 0.5);
    let event = events.iter().find(unsure).expect("not all is sure");
    let said = event["text"].as_str().expect("a text");
    let path = lessons.to_str().expect("a plain path");

    let denied = teach(&lessons, &format!("{event}\n"), &["--wrong"]);
    assert_eq!(denied.code, Some(0), "{}", denied.err);
    assert!(denied.err.contains(&format!("learnt that `{said}` was not `")), "{}", denied.err);
    let after = lines(&replay(&["--lessons", path]).out);
    assert!(around(&events, event).iter().any(|text| text == said));
    assert!(!around(&after, event).iter().any(|text| text == said), "{said}: {:?}", around(&after, event));

    std::fs::remove_file(&lessons).expect("it was written");
    // Twice with the same kind, by its name and by a sentence of it: one line each.
    let taught = teach(&lessons, &format!("{event}\n"), &["--was", "lie"]);
    assert!(taught.code == Some(0) && taught.err.contains("was `lie`"), "{}", taught.err);
    let sentence = teach(&lessons, &format!("{event}\n"), &["--was", "Someone is lying."]);
    assert!(sentence.code == Some(0) && sentence.err.contains("2 lessons"), "{}", sentence.err);
    let text = std::fs::read_to_string(&lessons).expect("it was written");
    // As an editor leaves it that wants no end of line.
    std::fs::write(&lessons, text.trim_end()).expect("it is writable");
    let third = teach(&lessons, &format!("{event}\n"), &["--was", "lie"]);
    assert!(third.code == Some(0) && third.err.contains("3 lessons"), "{}", third.err);
    let text = std::fs::read_to_string(&lessons).expect("it was written");
    let kinds: Vec<Value> = lines(&text).iter().map(|lesson| lesson["kind"].clone()).collect();
    assert_eq!(kinds, ["lie", "lie", "lie"]);
    let (first, second) = (replay(&["--lessons", path]), replay(&["--lessons", path]));
    assert_eq!(first.out, second.out, "the same clip and lessons give the same bytes");
    assert_ne!(first.out, replay(&[]).out, "it counts");
    // Nothing was learnt for good: without its file all is as before.
    assert_eq!(lines(&replay(&["--evidence"]).out), events);
}

#[test]
fn what_cannot_be_learnt_is_refused_and_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let lessons = folder.path().join("hall.lessons");
    let events = lines(&replay(&["--evidence"]).out);
    let one = line_of(&events, 0);
    assert_eq!(teach(&lessons, &one, &[]).code, Some(0));
    let before = std::fs::read(&lessons).expect("it was written");
    let plain = line_of(&lines(&replay(&[]).out), 0);
    let foreign = one.replace("\"evidence\":\"", "\"evidence\":\"0");
    // The first of two is right: neither is learnt.
    let half = format!("{one}{plain}");
    let evidence = events[0]["evidence"].as_str().expect("it was asked for");
    let of_others = one.replace(evidence, &format!("00000000{}", &evidence[8..]));
    for (events, more, why) in [
        (&*one, &["--was", "flying"][..], "knows no `flying`; it knows nobody, enter"),
        (&plain, &[], "line 1 of the events: it has no evidence"),
        (&half, &[], "line 2 of the events: it has no evidence"),
        (&foreign, &[], "the evidence is cut off or was changed"),
        (&of_others, &[], "it comes from other models"),
        ("walk\n", &[], "it is no event"),
        ("", &[], "no events came in"),
        (&"x".repeat(70_000), &[], "longer than 64 KiB"),
    ] {
        let ran = teach(&lessons, events, more);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(why) && ran.err.lines().count() == 1, "{why}: {}", ran.err);
        assert_eq!(std::fs::read(&lessons).expect("it is there"), before);
    }
    let path = lessons.to_str().expect("a plain path");
    let other = ocelli(&["replay", DEMO, "--lessons", path, "--pack", "models/tiny-test"]);
    assert_eq!(other.code, Some(2));
    assert!(other.err.contains("learnt with other models"), "{}", other.err);
    std::fs::write(&lessons, [&before[..], b"{\"kind\":\"walk\"\n"].concat()).expect("it is writable");
    let torn = ocelli(&["replay", DEMO, "--lessons", path]);
    assert!(torn.code == Some(2) && torn.err.contains("hall.lessons: no lessons: line 2: "), "{}", torn.err);
    let nowhere = folder.path().join("no/such/folder");
    let ran = teach(&nowhere, &one, &[]);
    assert!(ran.code == Some(2) && ran.err.contains("they cannot be written"), "{}", ran.err);
    // A file that is not there yet is one without lessons: a camera can be told of it before the first.
    assert_eq!(replay(&["--lessons", nowhere.to_str().expect("plain")]).out, replay(&[]).out);
}
