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
    // What was said in the place of what it was is denied too: a lesson that does not know it says less.
    assert_eq!(teach(&lessons, &format!("{event}\n"), &["--was", "sit"]).code, Some(0));
    let mut alone = lines(&std::fs::read_to_string(&lessons).expect("it was written")).remove(0);
    let told = replay(&["--lessons", path]).out;
    alone["said"] = "".into();
    std::fs::write(&lessons, alone.to_string()).expect("it is writable");
    assert_ne!(told, replay(&["--lessons", path]).out, "{said}");

    std::fs::remove_file(&lessons).expect("it was written");
    // Of one event the newest holds, named by its kind or by a sentence of it.
    let taught = teach(&lessons, &format!("{event}\n"), &["--was", "lie"]);
    assert!(taught.code == Some(0) && taught.err.contains("was `lie`"), "{}", taught.err);
    let sentence = teach(&lessons, &format!("{event}\n"), &["--was", "Someone is lying."]);
    assert!(sentence.code == Some(0) && sentence.err.contains("1 lessons"), "{}", sentence.err);
    let text = std::fs::read_to_string(&lessons).expect("it was written");
    // As an editor leaves it that wants no end of line.
    std::fs::write(&lessons, text.trim_end()).expect("it is writable");
    let other = events.iter().find(|other| other["evidence"] != event["evidence"]).expect("there is another");
    let second = teach(&lessons, &format!("{other}\n"), &[]);
    assert!(second.code == Some(0) && second.err.contains("2 lessons"), "{}", second.err);
    let changed = teach(&lessons, &format!("{event}\n"), &["--wrong"]);
    assert!(changed.err.contains("2 lessons") && changed.err.contains(", 1 of before replaced"), "{}", changed.err);
    let again = teach(&lessons, &format!("{event}\n"), &["--was", "lie"]);
    assert!(again.err.contains(", 1 of before replaced"), "a contradiction does not pile up: {}", again.err);
    let text = std::fs::read_to_string(&lessons).expect("it was written");
    let held: Vec<Value> = lines(&text);
    assert_eq!((held.len(), &held[1]["kind"], &held[1]["right"]), (2, &"lie".into(), &true.into()), "{held:?}");
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

/// An action in a clip that began at a known time, and what was said of it.
struct Watched {
    folder: tempfile::TempDir,
    events: Vec<Value>,
}

impl Watched {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let journal = folder.path().join("hall.journal");
        let journal = journal.to_str().expect("a plain path");
        let events = lines(&replay(&["--journal", journal, "--at", "2026-11-26T18:00:00Z"]).out);
        Self { folder, events }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a plain path").into()
    }

    fn ocelli(&self, arguments: &[&str]) -> Ran {
        let more = ["--journal", &self.path("hall.journal"), "--vocabulary", &self.path("hall.jsonl")];
        let of_events = matches!(arguments[0], "yes" | "no" | "events");
        let named = of_events || arguments.contains(&"--last") || arguments.contains(&"--from");
        ocelli(&[arguments, if named { &more[..] } else { &more[2..] }].concat())
    }

    /// What is said of the clip with the user's sentences.
    fn told(&self) -> Vec<Value> {
        lines(&replay(&["--vocabulary", &self.path("hall.jsonl")]).out)
    }
}

const BIN: &str = "垃圾桶被拿出去了。";

#[test]
fn what_happened_is_taught_by_one_example_and_by_yes_and_no() {
    let watched = Watched::new();
    let time = |event: &Value, name: &str| event[name].as_f64().expect("a time");
    let enters = watched.events.iter().find(|event| event["text"] == "Someone comes in.").expect("somebody does");
    let at = |second: f64| format!("2026-11-26T18:00:{second:06.3}Z");
    let (from, to) = (at(time(enters, "t_start_s")), at(time(enters, "t_end_s") + 0.4));
    let ran = watched.ocelli(&["teach", BIN, "--from", &from, "--to", &to, "--severity", "notice"]);
    assert!(ran.code == Some(0) && ran.err.contains("is known by 1 example, severity notice"), "{}", ran.err);
    let told = watched.told();
    let said: Vec<&Value> = told.iter().filter(|event| event["text"] == BIN).collect();
    assert!(!said.is_empty(), "{told:?}");
    assert!(said.iter().any(|event| (time(event, "t_end_s") - time(enters, "t_end_s")).abs() < 1.5), "{said:?}");

    // A second example, and what is said of events, move it; a no narrows it.
    let again = watched.ocelli(&["teach", BIN, "--from", &from, "--to", &to]);
    assert!(again.err.contains("by 2 examples, severity notice"), "{}", again.err);
    let id = enters["id"].to_string();
    let was = watched.ocelli(&["no", &id, "--was", BIN]);
    assert!(was.code == Some(0) && was.err.contains(&format!("`{BIN}` is known by 3 examples")), "{}", was.err);
    let journal = watched.path("hall.journal");
    replay(&["--journal", &journal, "--vocabulary", &watched.path("hall.jsonl")]);
    let found = lines(&watched.ocelli(&["events", "垃圾", "--json"]).out);
    let wrong = found[0]["id"].to_string();
    let lessons = watched.path("hall.lessons");
    let floor = || lines(&watched.ocelli(&["teach", "--list", "--json"]).out)[0]["floor"].as_f64().expect("a number");
    let before = floor();
    let no = watched.ocelli(&["no", &wrong, "--lessons", &lessons]);
    assert!(no.code == Some(0) && no.err.contains("by 3 examples, from a cosine of 0."), "{}", no.err);
    assert!(floor() > before, "it is narrowed: {before}");
    let listed = lines(&watched.ocelli(&["teach", "--list", "--json"]).out);
    assert_eq!((listed.len(), &listed[0]["text"], &listed[0]["examples"]), (1, &BIN.into(), &3.into()));
    let people = watched.ocelli(&["teach", "--list"]);
    assert!(people.out.contains("  3 examples  from 0.") && people.out.contains(BIN), "{}", people.out);

    // To another device and back.
    let exported = watched.ocelli(&["teach", "--export", BIN]);
    let (file, other) = (watched.path("bin.jsonl"), watched.path("other.jsonl"));
    std::fs::write(&file, &exported.out).expect("it is writable");
    let imported = ocelli(&["vocab", "import", &file, "--vocabulary", &other]);
    assert!(imported.code == Some(0) && imported.err.contains("1 sentence added"), "{}", imported.err);
    let there = std::fs::read_to_string(&other).expect("it was written");
    let (format, sentence) = there.split_once('\n').expect("a format and a sentence");
    assert_eq!((format, sentence), (r#"{"format":2}"#, &exported.out[..]));
    let near = watched.ocelli(&["teach", "--delete", "垃圾桶被拿出去"]);
    assert!(near.code == Some(2) && near.err.contains(&format!("did you mean `{BIN}`?")), "{}", near.err);
    let gone = watched.ocelli(&["teach", "--delete", BIN, &lessons]);
    assert!(gone.code == Some(0) && gone.err.contains("is forgotten, with 1 lessons on it"), "{}", gone.err);
    assert_eq!(watched.ocelli(&["teach", "--list"]).out, "");
    assert_eq!(std::fs::read_to_string(&lessons).expect("it is there"), "");
    assert_eq!(watched.told(), watched.events, "nothing is left of it");
}

#[test]
fn what_was_taught_can_be_asked_for_by_its_own_words() {
    let watched = Watched::new();
    let (bin, from, to) = ("the bin is put out", "2026-11-26T18:00:02Z", "2026-11-26T18:00:04Z");
    let taught = watched.ocelli(&["teach", bin, "--from", from, "--to", to]);
    assert_eq!(taught.code, Some(0), "{}", taught.err);
    let journal = watched.path("hall.journal");
    for question in ["Was the bin put out?", "When was the bin put out?"] {
        let ran = watched.ocelli(&["ask", question, "--json", "--journal", &journal, "--now", "2026-11-26T18:10:00Z"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let answer = lines(&ran.out).remove(0);
        assert_eq!((&answer["kind"], &answer["abstained"]), (&bin.into(), &false.into()), "{answer}");
    }
}

#[test]
fn a_time_of_which_nothing_is_kept_is_told() {
    let watched = Watched::new();
    let refused = |arguments: &[&str], why: &str| {
        let ran = watched.ocelli(arguments);
        assert!(ran.code == Some(2) && ran.err.contains(why) && ran.err.lines().count() == 1, "{why}: {}", ran.err);
    };
    refused(&["teach", BIN, "--last", "10s"], "nothing is kept of that time; there is 2026-11-26 18:00:0");
    refused(&["teach", BIN, "--last", "10s", "--camera", "porch"], "nothing that was seen of the camera `porch`");
    refused(&["teach", BIN, "--from", "2m", "--to", "3m"], "--to is no later than --from");
    refused(&["teach", "The room is empty.", "--last", "10s"], "the pack says `The room is empty.` already");
    refused(&["teach", "a\u{7}b", "--last", "10s"], "it has characters that break lines");
    refused(&["teach", "--export", "x"], "was not taught by examples; `ocelli teach --list` shows");
    assert!(!Path::new(&watched.path("hall.jsonl")).exists());
    // A clip without a date ends now.
    let journal = watched.path("clip.journal");
    replay(&["--journal", &journal]);
    let last = ["teach", BIN, "--last", "2s", "--journal", &journal, "--vocabulary", &watched.path("hall.jsonl")];
    let ran = ocelli(&last);
    assert!(
        ran.code == Some(0) && ran.err.contains("by 1 example") && ran.err.contains("moments from clip 00:0"),
        "{}",
        ran.err
    );
}
