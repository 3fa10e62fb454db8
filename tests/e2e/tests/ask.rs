//! Questions about what was told, to the program as a person asks them.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use ocelli_e2e::{Ran, alone, ffmpeg, finish, lines, ocelli, ocelli_fed, program, root, watched};
use serde_json::{Value, json};

const DEMO: &str = "tests/clips/demo.mp4";
const NOW: &str = "2026-11-26T18:10:00Z";

/// The most memory that a command which asks may hold.
const MOST_BYTES: u64 = 72 << 20;

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// The demonstration's clip as if it had begun on 26 November at 18:00.
fn journal(folder: &Path) -> String {
    let journal = folder.join("events.journal");
    let ran = ocelli(&["replay", DEMO, "--json", "--journal", text(&journal), "--at", "2026-11-26T18:00:00Z"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    text(&journal).to_owned()
}

fn good(ran: Ran) -> Ran {
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

#[test]
fn what_was_told_of_a_clip_can_be_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = journal(folder.path());
    let listed = lines(&good(ocelli(&["events", "--json", "--journal", &journal])).out);
    // An alert tells no more than the narration that it is of.
    let told = |kind: &str| -> Vec<&Value> {
        listed.iter().filter(|event| event["type"] == "narration" && event["kind"] == kind).collect()
    };
    // Whatever the pack says of it, most often.
    let kinds = ["walk", "sit", "stand", "fall", "lie", "enter", "leave"];
    let kind = kinds.into_iter().max_by_key(|kind| told(kind).len()).expect("some kinds");
    let events = told(kind);
    assert!(!events.is_empty(), "{listed:?}");
    let said = events[0]["text"].as_str().expect("a text").trim_end_matches(['.', '!']).to_lowercase();
    let questions = format!(
        "Has it happened that {said} today?\nWhen was the last time {said}?\nWhat happened today?\n\
         Did someone open the fridge?\nWho was it?\n\nIs anyone here now?\n"
    );
    let ask = ["ask", "-", "--json", "--journal", &journal, "--now", NOW];
    let answers = lines(&good(ocelli_fed(&ask, &questions)).out);
    assert_eq!(answers.len(), 7, "a line each: {answers:?}");
    assert_eq!((&answers[0]["value"], &answers[0]["kind"]), (&true.into(), &kind.into()), "{}", answers[0]);
    let last = &answers[1];
    assert_eq!(
        (&last["form"], &last["kind"], &last["abstained"]),
        (&"last".into(), &kind.into(), &false.into()),
        "{last}"
    );
    assert_eq!(last["evidence"][0], events.last().expect("one")["id"], "{last}");
    let what = &answers[2];
    let counted = what["value"].as_array().expect("kinds").iter().find(|of| of["kind"] == kind).expect("it is told");
    assert_eq!(counted["count"], events.len(), "{what}");
    for (answer, why) in answers[3..6].iter().zip(["I do not know of", "who it was", "no question"]) {
        assert_eq!((&answer["abstained"], &answer["value"]), (&true.into(), &Value::Null), "{answer}");
        assert!(answer["answer"].as_str().is_some_and(|text| text.contains(why)), "{answer}");
    }
    assert_eq!(answers[6]["form"], "state", "{}", answers[6]);
    // The same for people, by the same clock.
    let people = good(ocelli(&["ask", "What happened today?", "--journal", &journal, "--now", NOW]));
    assert_eq!(people.out.lines().count(), 1);
    assert!(people.out.contains("events today") && people.out.contains("(#"), "{}", people.out);
    let (ran, peak) = watched(&["ask", "Did someone tumble?", "--journal", &journal, "--now", NOW]);
    good(ran);
    eprintln!("the command held {:.1} MiB at most", peak.bytes as f64 / f64::from(1 << 20));
    assert!((1..MOST_BYTES).contains(&peak.bytes), "{}", peak.bytes);
}

/// In real time, for a clip's memory is not kept.
#[test]
fn what_is_remembered_and_was_not_told_is_named_beside_an_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(clip) = ffmpeg(&folder.path().join("start.mp4"), &["-i", DEMO, "-t", "22", "-c", "copy"]) else { return };
    let (journal, state) = (folder.path().join("hall.journal"), folder.path().join("state"));
    let camera = format!("ffmpeg -loglevel error -re -i {} -f yuv4mpegpipe -pix_fmt yuv420p -", clip.display());
    let (journal, state) = (text(&journal), text(&state));
    let seen = ["run", "--command", &camera, "--journal", journal, "--state", state, "--verbosity", "quiet"];
    good(ocelli(&seen));
    // Quiet as it was, it told nobody of these.
    let questions = "Did someone walk today?\nDid someone get up today?\n";
    let ask = |more: &[&str]| {
        let all = [&["ask", "-", "--json", "--journal", journal], more].concat();
        lines(&good(ocelli_fed(&all, questions)).out)
    };
    let (plain, remembered) = (ask(&[]), ask(&["--state", state]));
    assert!(plain.iter().all(|answer| answer["value"] == false && answer["recalled"] == json!([])), "{plain:?}");
    let named: Vec<&Value> = remembered.iter().filter(|answer| answer["recalled"] != json!([])).collect();
    assert!(!named.is_empty(), "{remembered:?}");
    for answer in named {
        assert_eq!((&answer["value"], &answer["evidence"]), (&false.into(), &json!([])), "no answer by itself");
        assert!(
            answer["answer"].as_str().is_some_and(|text| text.contains("so it is not sure: today at ")),
            "{answer}"
        );
        let moments = answer["recalled"].as_array().expect("a list");
        assert!((1..=3).contains(&moments.len()) && moments.iter().all(|moment| moment["camera"] == "camera"));
        assert!(moments.is_sorted_by_key(|moment| -moment["probability"].as_f64().expect("a number")), "{answer}");
    }
    // Of a time before it nothing is remembered, and a file that is no memory is said and left.
    let before =
        good(ocelli(&["ask", "Did someone walk yesterday?", "--json", "--journal", journal, "--state", state]));
    assert_eq!(lines(&before.out)[0]["recalled"], json!([]));
    let files = fs::read_dir(state).expect("it was made").map(|file| file.expect("it is there").path());
    let file = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "memory")).expect("it was kept");
    fs::write(&file, b"ocelli memory 2\n").expect("it is writable");
    let torn = good(ocelli(&["ask", "Did someone walk today?", "--journal", journal, "--state", state]));
    assert!(torn.err.contains("the memory of the camera camera is not asked: it is too short"), "{}", torn.err);
    assert!(file.is_file() && torn.out.starts_with("No, not that I saw today."), "{}", torn.out);
}

#[test]
fn times_are_those_of_the_house() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = journal(folder.path());
    let ask = |zone: &str, question: &str| {
        let mut command = Command::new(program());
        let arguments = ["ask", question, "--json", "--journal", &journal, "--now", NOW];
        command.args(arguments).env("TZ", zone).current_dir(root());
        lines(&good(finish(command)).out).remove(0)
    };
    for (zone, hour, offset) in
        [("Europe/Berlin", 19, "+01:00"), ("America/New_York", 13, "-05:00"), ("Asia/Kolkata", 23, "+05:30")]
    {
        let (from, to) = if zone == "Asia/Kolkata" { ("23:29", "23:35") } else { ("00", "05") };
        let question = if zone == "Asia/Kolkata" {
            format!("What happened between {from} and {to}?")
        } else {
            format!("What happened between {hour}:{from} and {hour}:{to}?")
        };
        let answer = ask(zone, &question);
        assert_eq!(answer["abstained"], false, "{answer}");
        assert!(
            answer["t_start"].as_str().is_some_and(|at| at.ends_with(offset) && at.contains(&format!("T{hour}:"))),
            "{answer}"
        );
        assert!(!answer["value"].as_array().expect("kinds").is_empty(), "{answer}");
    }
    let early = ask("Europe/Berlin", "What happened between 17:00 and 18:05?");
    assert!(
        early["abstained"] == true && early["answer"].as_str().is_some_and(|text| text.contains("journal begins")),
        "{early}"
    );
}

#[test]
fn a_day_is_told_in_chapters() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = journal(folder.path());
    let digest = |more: &[&str]| {
        let all = [&["digest", "--journal", &journal, "--now", NOW], more].concat();
        let mut command = Command::new(program());
        command.args(all).env("TZ", "UTC").current_dir(root());
        finish(command)
    };
    let json = lines(&good(digest(&["--day", "today", "--json"])).out).remove(0);
    let listed = lines(&good(ocelli(&["events", "--json", "--journal", &journal])).out);
    let told: Vec<&Value> = listed.iter().filter(|event| event["type"] == "narration").collect();
    // An alert in the words of a narration of that half minute is the same happening.
    let own = |event: &&Value| event["type"] == "alert" && !told.iter().any(|told| told["text"] == event["text"]);
    let narrations = told.len() + listed.iter().filter(own).count();
    assert_eq!(
        (json["day"].as_str(), json["events"].as_u64()),
        (Some("2026-11-26"), Some(narrations as u64)),
        "{json}"
    );
    let chapters = json["chapters"].as_array().expect("a list");
    assert_eq!(chapters.len(), 1, "half a minute is one: {json}");
    assert!(chapters[0]["title"].as_str().is_some_and(|title| !title.is_empty()), "{json}");
    assert!(
        json["gaps"].as_array().is_some_and(|gaps| !gaps.is_empty()),
        "most of the day nothing was watched: {json}"
    );
    let people = good(digest(&["--day", "2026-11-26"]));
    assert!(people.out.starts_with("Thursday 26 November 2026: ") && people.out.contains("told: "), "{}", people.out);
    assert!(people.out.contains("nothing was watched"), "{}", people.out);
    let yesterday = good(digest(&[]));
    assert!(yesterday.out.starts_with("Wednesday 25 November 2026: 0 events"), "{}", yesterday.out);
    let to_come = good(digest(&["--day", "2030-01-01"]));
    assert_eq!(to_come.out, "Tuesday 1 January 2030: this day is still to come\n");
    assert_eq!(lines(&good(digest(&["--day", "2030-01-01", "--json"])).out)[0]["to_come"], true);
    let late = ocelli(&["digest", "--journal", &journal, "--now", "9999-12-31T23:59:59Z"]);
    assert!(late.code == Some(2) && late.err.contains("--now is beyond"), "{}", late.err);
    let wrong = digest(&["--day", "someday"]);
    assert_eq!((wrong.code, wrong.err.lines().count()), (Some(2), 1), "{}", wrong.err);
    assert!(wrong.err.contains("write today, yesterday or a date"), "{}", wrong.err);
}

#[test]
fn what_cannot_be_asked_is_said_in_a_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = journal(folder.path());
    let [absent, other] = ["absent.journal", "other.journal"].map(|name| folder.path().join(name));
    fs::write(&other, "no journal").expect("it is writable");
    for (arguments, code, why) in [
        (&["ask", "What happened?"][..], 2, "no journal: name its file with --journal"),
        (&["ask", "What happened?", "--journal", text(&absent)], 1, "absent.journal"),
        (&["digest", "--journal", text(&other)], 1, "other.journal"),
        (
            &["ask", "What happened?", "--journal", &journal, "--camera", "porch"],
            2,
            "no camera `porch`; it has: camera",
        ),
        (&["ask", "What happened?", "--journal", &journal, "--pack", "absent"], 4, "absent"),
        (&["ask", "What happened?", "--journal", &journal, "--now", "soon"], 2, "is no time"),
    ] {
        let ran = ocelli(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(why) && ran.out.is_empty(), "{arguments:?}: {}", ran.err);
    }
    // A question of any bytes is answered; of a long one nothing is, for its end may turn it round.
    let long = format!("did someone fall {}?", "é".repeat(2000));
    let ran = good(ocelli(&["ask", &long, "--journal", &journal, "--now", NOW]));
    assert!(ran.out.ends_with("; ask it in 1024 at most.\n") && ran.out.lines().count() == 1, "{}", ran.out);
    let fed = good(ocelli_fed(
        &["ask", "-", "--journal", &journal, "--now", NOW],
        b"Did a caf\xe9 open?\nDid someone fall?\n",
    ));
    let answers: Vec<&str> = fed.out.lines().collect();
    assert!(answers.len() == 2 && answers[0].starts_with("Line 1 is no text (UTF-8)"), "{answers:?}");
    assert!(answers[1].starts_with("Yes") || answers[1].starts_with("No"), "{answers:?}");
    let ran = good(ocelli(&["ask", "\u{1b}[31mdid\nsomeone\u{7} ' OR 1=1 --", "--journal", &journal, "--now", NOW]));
    assert!(!ran.out.contains('\u{1b}') && ran.out.lines().count() == 1, "{}", ran.out);
}

#[test]
fn without_the_text_encoder_words_are_compared_and_that_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = journal(folder.path());
    let copy = folder.path().join("bin");
    fs::create_dir(&copy).expect("it is writable");
    let moved = alone(&copy);
    let pack = root().join("models/home");
    let ask = |question: &str| {
        let mut command = Command::new(&moved);
        let arguments = ["ask", question, "--json", "--journal", &journal, "--now", NOW, "--pack", text(&pack)];
        command.args(arguments).env_remove("OCELLI_PACKS").current_dir(folder.path());
        let ran = good(finish(command));
        (lines(&ran.out).remove(0), ran.err)
    };
    let (answer, said) = ask("How often did someone walk about today?");
    assert!(said.contains("no text encoder") && said.contains("by their words alone"), "{said}");
    assert_eq!((&answer["kind"], &answer["abstained"]), (&"walk".into(), &false.into()), "{answer}");
    let (answer, _) = ask("Did a person amble around?");
    assert_eq!(answer["abstained"], true, "it takes meaning: {answer}");
}
