//! Sentences that a user adds in plain words, and what the program says with them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ocelli_e2e::{Ran, alone, finish, lines, ocelli, ocelli_fed, root, watched};
use serde_json::Value;

const DEMO: &str = "tests/clips/demo.mp4";
/// Random weights: fast, and no words matter.
const TINY: &str = "models/tiny-test";
const CAT: &str = "the cat jumps on the counter";

/// No embedding takes so long, nor does a running program to see a file that has changed.
const PATIENCE: Duration = Duration::from_secs(90);

/// The most memory that a command which embeds a sentence may hold.
const MOST_BYTES: u64 = 64 << 20;

fn vocab(file: &Path, arguments: &[&str]) -> Ran {
    ocelli(&[&["vocab"], arguments, &["--vocabulary", plain(file)]].concat())
}

fn add(file: &Path, arguments: &[&str]) -> Ran {
    let ran = vocab(file, &[&["add"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn own(file: &Path) -> Vec<Value> {
    let listed = vocab(file, &["list", "--json"]);
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    lines(&listed.out).into_iter().filter(|entry| entry["yours"] == true).collect()
}

#[test]
fn a_sentence_is_embedded_on_the_device_and_taken_back() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let file = folder.path().join("vocabulary.jsonl");
    let (ran, peak) = watched(&["vocab", "add", CAT, "--vocabulary", plain(&file)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains(&format!("`{CAT}` can be said: of a kind of its own, severity info")), "{}", ran.err);
    assert!(ran.err.contains("nearest is `"), "{}", ran.err);
    eprintln!("{}the command held {:.1} MiB at most", ran.err, peak.bytes as f64 / f64::from(1 << 20));
    assert!((1..MOST_BYTES).contains(&peak.bytes), "{}", peak.bytes);

    // The kind's own severity, and the kind of what is nearest.
    add(&file, &["somebody has a nap on the sofa", "--kind", "lie"]);
    add(&file, &["a person is seated on a chair", "--like-words", "--floor", "0.3"]);
    let all = own(&file);
    let field = |index: usize, name: &str| all[index][name].as_str().expect("a text").to_owned();
    assert_eq!((all.len(), field(0, "kind"), field(0, "severity")), (3, CAT.into(), "info".into()));
    assert_eq!((field(1, "kind"), field(1, "severity")), ("lie".into(), "notice".into()));
    assert_eq!(field(2, "kind"), "sit");
    let typo = add(&file, &["somebody is down", "--kind", "lie_stil", "--floor", "0.9"]);
    assert!(
        typo.err.contains("`lie_stil` is a new kind, which nothing else has; did you mean `lie_still`?"),
        "{}",
        typo.err
    );
    assert_eq!(vocab(&file, &["remove", "somebody is down"]).code, Some(0));
    // What is said anew is changed, and nothing else.
    add(&file, &[CAT, "--in", "zh=猫跳上了台面。"]);
    add(&file, &[CAT, "--in", "ar=القطة تقفز على المنضدة", "--severity", "notice"]);
    let cat = &own(&file)[0];
    assert_eq!((&cat["severity"], &cat["texts"]["zh"]), (&"notice".into(), &"猫跳上了台面。".into()));
    assert_eq!(cat["texts"]["ar"], "القطة تقفز على المنضدة");

    let near = vocab(&file, &["remove", "the cat jumps on a counter"]);
    assert!(near.code == Some(2) && near.err.contains(&format!("did you mean `{CAT}`?")), "{}", near.err);
    let of_pack = vocab(&file, &["remove", "The room is empty."]);
    assert!(of_pack.code == Some(2) && of_pack.err.contains("is the pack's"), "{}", of_pack.err);
    let gone = vocab(&file, &["remove", CAT]);
    assert!(gone.code == Some(0) && gone.err.contains("is not said any more"), "{}", gone.err);
    assert_eq!(own(&file).len(), 2);
    let again = vocab(&file, &["add", "The room is empty.", "--severity", "alarm", "--in", "de=Leer."]);
    assert!(again.code == Some(2) && again.err.contains("the pack says this already"), "{}", again.err);
    let nowhere = ocelli(&["vocab", "add", CAT]);
    assert!(nowhere.code == Some(2) && nowhere.err.contains("give --vocabulary FILE"), "{}", nowhere.err);
}

/// The program somewhere else, with a pack and nothing beside it.
#[test]
fn a_missing_encoder_is_said() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let file = folder.path().join("vocabulary.jsonl");
    let mut command = Command::new(alone(folder.path()));
    command.current_dir(folder.path()).args(["vocab", "add", CAT, "--vocabulary", plain(&file)]);
    command.arg("--pack").arg(root().join(TINY));
    let ran = finish(command);
    assert!(ran.code == Some(4) && ran.err.contains("there is no text encoder `minilm`"), "{}", ran.err);
    assert!(!file.exists());
}

#[test]
fn a_file_of_sentences_is_imported_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let file = folder.path().join("vocabulary.jsonl");
    let (list, toml) = (folder.path().join("list.txt"), folder.path().join("list.toml"));
    std::fs::write(&list, "\u{feff}The oven is open.\n\nA dog barks at the door.\n").expect("it is writable");
    let text = "[[entry]]\ntext = \"Smoke comes from the stove.\"\nseverity = \"alarm\"\ntexts.de = \"Rauch!\"\n\
                [[entry]]\ntext = \"The room is empty.\"\ntexts.de = \"Das Zimmer ist leer.\"\n";
    std::fs::write(&toml, text).expect("it is writable");
    let ran = vocab(&file, &["import", plain(&list)]);
    assert!(ran.code == Some(0) && ran.err.contains("2 sentences added from"), "{}", ran.err);
    let ran = vocab(&file, &["import", plain(&toml)]);
    let counts = "1 sentence added, 1 of the pack in more languages from";
    assert!(ran.code == Some(0) && ran.err.contains(counts), "{}", ran.err);
    let again = vocab(&file, &["import", plain(&list)]);
    assert!(again.err.contains("0 sentences added, 2 that were there already from"), "{}", again.err);
    // One that was interrupted goes on where it was.
    std::fs::write(&list, "The oven is open.\nA dog barks at the door.\n猫跳上了台面。\nالقطة تقفز على المنضدة\n")
        .expect("writable");
    let on = vocab(&file, &["import", plain(&list)]);
    assert!(on.err.contains("2 sentences added, 2 that were there already from"), "{}", on.err);
    for text in ["猫跳上了台面。", "القطة تقفز على المنضدة"] {
        assert!(vocab(&file, &["list"]).out.contains(text));
        assert_eq!(vocab(&file, &["remove", text]).code, Some(0));
    }
    // What the pack says, what is there, and what is said twice is none that is added.
    std::fs::write(&list, "The oven is open.\r\nThe room is empty.\r\nA tap drips.\r\nA tap drips.\r\n")
        .expect("writable");
    let counted = vocab(&file, &["import", plain(&list)]);
    let counts = "1 sentence added, 2 that were there already, 1 that the list has twice from";
    assert!(counted.code == Some(0) && counted.err.contains(counts), "{}", counted.err);
    assert_eq!(vocab(&file, &["remove", "A tap drips."]).code, Some(0));
    let before = std::fs::read(&file).expect("it was written");
    std::fs::write(&list, b"A right one.\nA caf\xe9.\nAnother.\na\x07b\n").expect("it is writable");
    let wrong = vocab(&file, &["import", plain(&list)]);
    assert!(wrong.code == Some(2) && wrong.err.contains(":2: it is no text (UTF-8)"), "{}", wrong.err);
    assert!(wrong.err.contains(":4: it has characters") && wrong.err.contains("nothing was imported"), "{}", wrong.err);
    assert_eq!(std::fs::read(&file).expect("it is there"), before);
    let all = own(&file);
    assert_eq!((all.len(), &all[2]["severity"]), (3, &"alarm".into()));
    let before = std::fs::read(&file).expect("it was written");
    for (text, why) in [
        ("[[entry]]\ntext = \"right\"\n[[entry]]\ntext = \"a\\u0007b\"\n", ":3: it has characters"),
        ("[[entry]]\ntext = \"right\"\nsevere = 1\n", "severe"),
        ("", "missing field `entry`"),
    ] {
        std::fs::write(&toml, text).expect("it is writable");
        let ran = vocab(&file, &["import", plain(&toml)]);
        assert!(ran.code == Some(2) && ran.err.contains(why), "{why}: {}", ran.err);
        assert_eq!(std::fs::read(&file).expect("it is there"), before);
    }
}

/// One that lies where something was seen is said where that is seen, by the threshold of all kinds.
#[test]
fn a_sentence_is_said_where_it_is_seen() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let file = folder.path().join("vocabulary.jsonl");
    let events = lines(&ocelli(&["replay", DEMO, "--json", "--evidence"]).out);
    let seen = events.iter().find(|event| event["text"] == "Someone comes in.").expect("somebody does");
    let named = ["vocab", "add", CAT, "--seen", "--severity", "alarm", "--vocabulary", plain(&file)];
    let ran = ocelli_fed(&named, format!("{seen}\n"));
    assert!(ran.code == Some(0) && ran.err.contains("as when `Someone comes in.` was said"), "{}", ran.err);
    let several = ocelli_fed(&named, format!("{seen}\n{seen}\n"));
    assert!(several.code == Some(2) && several.err.contains("2 events came in"), "{}", several.err);
    let told = lines(&ocelli(&["replay", DEMO, "--json", "--vocabulary", plain(&file)]).out);
    let of_cat: Vec<&Value> = told.iter().filter(|event| event["text"] == CAT).collect();
    let kinds: Vec<&Value> = of_cat.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["narration", "alert", "alert_end"], "there and nowhere else: {told:?}");
    let time = |event: &Value| event["t_end_s"].as_f64().expect("a time");
    assert!((time(of_cat[0]) - time(seen)).abs() < 1.0, "{told:?}");
}

/// A sentence in no way like what is seen changes nothing, to the byte; one without its words in the language of the narration
/// is said as the pack says it.
#[test]
fn what_is_not_seen_disturbs_nothing_and_the_language_is_a_setting() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (file, config) = (folder.path().join("vocabulary.jsonl"), folder.path().join("ocelli.toml"));
    let plainly = ocelli(&["replay", DEMO, "--json"]);
    add(&file, &[CAT, "--floor", "0.99"]);
    let beside = ocelli(&["replay", DEMO, "--json", "--vocabulary", plain(&file)]);
    assert_eq!((beside.code, &beside.out), (plainly.code, &plainly.out));

    // Two sentences that the pack says of the clip, whichever those are.
    let said: Vec<String> =
        lines(&plainly.out).iter().map(|event| event["text"].as_str().expect("a text").into()).collect();
    let (one, other) = (&said[0], said.iter().find(|text| **text != said[0]).expect("two sentences"));
    add(&file, &[one, "--in", "zh=房间是空的。", "--in", "ar=الغرفة فارغة."]);
    add(&file, &[other, "--in", "ar=شخص يدخل."]);
    let told = |language: &str, more: &[&str]| {
        let text = format!("vocabulary = \"{}\"\n[output]\nlanguage = \"{language}\"\n", plain(&file));
        std::fs::write(&config, text).expect("it is writable");
        let ran = ocelli(&[&["replay", DEMO, "--config", plain(&config)], more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    };
    let texts: Vec<String> =
        lines(&told("zh", &["--json"])).iter().map(|event| event["text"].as_str().expect("a text").into()).collect();
    assert!(texts.contains(&"房间是空的。".into()) && !texts.contains(one) && texts.contains(other), "{texts:?}");
    let people = told("ar", &[]);
    assert!(people.contains("  الغرفة فارغة.\n") && people.contains("  شخص يدخل.\n"), "{people}");
}

#[test]
fn a_running_program_follows_the_file_and_stays_with_what_it_had_where_that_breaks() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (file, out) = (folder.path().join("vocabulary.jsonl"), folder.path().join("events.jsonl"));
    // A line that cannot be read does not keep the program from running.
    std::fs::write(&file, "{\"text\":\n").expect("it is writable");
    let (picture, stop) = (folder.path().join("picture"), folder.path().join("stop"));
    std::fs::write(&picture, [&b"FRAME\n"[..], &[128; 64 * 48 * 3 / 2]].concat()).expect("it is writable");
    // A camera that runs until the file `stop` is there.
    let (head, shown) = ("echo YUV4MPEG2 W64 H48 F10:1", picture.display());
    let camera = format!("{head}; while ! test -e {}; do cat {shown}; sleep 0.1; done", stop.display());
    let arguments =
        ["run", "--json", "--pack", TINY, "--vocabulary", plain(&file), "--out", plain(&out), "--command", &camera];
    let arguments = arguments.map(String::from);
    let run = std::thread::spawn(move || ocelli(&arguments.each_ref().map(String::as_str)));
    let told = |what: &str| {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let text = std::fs::read_to_string(&out).unwrap_or_default();
            if text.contains(what) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}: {}", std::fs::read_to_string(&out).unwrap_or_default());
    };
    told("vocabulary.jsonl: line 1: ");
    std::fs::write(&file, "").expect("it is writable");
    told("the vocabulary has changed; sentences of yours: 0");
    add(&file, &[CAT]);
    told("the vocabulary has changed; sentences of yours: 1");
    let good = std::fs::read_to_string(&file).expect("it was written");
    std::fs::write(&file, format!("{good}no sentence\n")).expect("it is writable");
    told("the vocabulary stays as it was: ");
    std::fs::write(&stop, "").expect("it is writable");
    let ran = run.join().expect("it ends with its camera");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(own(&file).len(), 1, "the good line holds");
}

/// With weights that were never trained nothing is probable, and so all that moves is without a name.
#[test]
fn what_had_no_name_is_suggested_and_named() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (file, journal) = (folder.path().join("vocabulary.jsonl"), folder.path().join("hall.journal"));
    let replay = |more: &[&str]| {
        let ran = ocelli(&[&["replay", DEMO, "--json", "--pack", TINY, "--journal", plain(&journal)], more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    };
    let plainly = ocelli(&["replay", DEMO, "--json", "--pack", TINY]);
    assert_eq!(replay(&["--at", "2026-11-26T18:00:00Z"]), plainly.out, "what has no name is not said, and takes no id");
    let suggest =
        |more: &[&str]| vocab(&file, &[&["suggest", "--journal", plain(&journal), "--pack", TINY], more].concat());
    let groups = lines(&suggest(&["--json"]).out);
    assert!(!groups.is_empty(), "something had no name");
    assert_eq!(groups[0]["nearest"].as_array().map(Vec::len), Some(3), "{groups:?}");
    let seen = &groups[0]["seen"][0];
    assert!(seen["start"].as_str().is_some_and(|start| start.starts_with("2026-11-26T18:00:")), "{groups:?}");
    let id = seen["id"].as_str().expect("a number");
    let people = suggest(&[]).out;
    assert!(people.contains(&format!("ocelli vocab add 'what it was' --seen {id}")), "{people}");
    let count = groups[0]["count"].as_u64().expect("a count");
    let named = ["add", CAT, "--seen", id, "--journal", plain(&journal), "--pack", TINY];
    let ran = vocab(&file, &named);
    assert!(ran.code == Some(0) && ran.err.contains("as when nothing was said"), "{}", ran.err);
    let after = suggest(&["--json"]);
    assert!(after.err.contains(&format!("{count} have a name by now")), "{}", after.err);
    assert_eq!(lines(&after.out).len(), groups.len() - 1);
    assert!(replay(&["--vocabulary", plain(&file)]).contains(CAT), "it is said where it is seen");
    let refused = vocab(&file, &["add", "x", "--seen", "u99999", "--journal", plain(&journal), "--pack", TINY]);
    assert!(refused.code == Some(2) && refused.err.contains("ocelli vocab suggest"), "{}", refused.err);
    let other = vocab(&file, &["suggest", "--journal", plain(&journal)]);
    assert!(other.code == Some(0) && other.err.contains("seen by other models"), "{}", other.err);
    // By an event too, and a kind that nothing has is hinted at.
    let events = lines(&ocelli(&["events", "--json", "--journal", plain(&journal)]).out);
    if let Some(event) = events.iter().find(|event| event["type"] == "narration") {
        let id = event["id"].to_string();
        let ran = vocab(&file, &["add", "another", "--seen", &id, "--journal", plain(&journal), "--pack", TINY]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    let hint = |kind: &str| ocelli(&["events", "--kind", kind, "--journal", plain(&journal)]).err;
    assert!(hint("narratio").contains("no kind `narratio`; did you mean `narration`?"), "{}", hint("narratio"));
    assert!(hint("unknown").contains("ocelli vocab suggest"), "{}", hint("unknown"));
    assert!(hint("alert").ends_with("nothing was found\n"), "{}", hint("alert"));
}

/// A list of more than ten thousand with their embeddings: one of them lies where something was seen.
fn many(seen: &Value) -> String {
    let evidence = seen["evidence"].as_str().expect("it was asked for");
    let (mark, digits) = evidence.split_once('.').expect("a mark and a place");
    let mut state = 1u64;
    let mut elsewhere = || {
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..digits.len() / 2).fold(String::new(), |text, _| text + &format!("{:02x}", byte()))
    };
    let line = |text: &str, digits: &str| format!("{{\"text\":\"{text}\",\"embedding\":\"{mark}.{digits}\"}}\n");
    let mut lines: String = (0..10_200).map(|n| line(&format!("Someone does thing {n}."), &elsewhere())).collect();
    lines += &line(CAT, digits);
    lines
}

/// More come in at once than are compared one by one, and what is seen is named, by their codes, by the one of them that lies there.
/// An import that was interrupted goes on from what it left.
#[test]
fn thousands_are_imported_and_one_of_them_is_named() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (file, list) = (folder.path().join("vocabulary.jsonl"), folder.path().join("list.jsonl"));
    let events = lines(&ocelli(&["replay", DEMO, "--json", "--evidence"]).out);
    let seen = events.iter().find(|event| event["text"] == "Someone comes in.").expect("somebody does");
    let lines_of_list = many(seen);
    std::fs::write(&list, &lines_of_list).expect("it is writable");
    // What an import left that was ended: whole lines, one of another list, and one that is torn.
    let part: String = lines_of_list.split_inclusive('\n').take(1000).collect();
    let other = part.lines().next().expect("a line").replace("thing 0.", "another thing.");
    let torn = "{\"text\":\"Someone does thing 10";
    let part_path = folder.path().join("vocabulary.jsonl.importing");
    std::fs::write(&part_path, format!("{part}{other}\n{torn}")).expect("it is writable");
    let ran = vocab(&file, &["import", plain(&list)]);
    assert!(ran.code == Some(0) && ran.err.contains("10201 sentences added from"), "{}", ran.err);
    assert!(ran.err.contains("1000 of 10201 sentences are there from an import that was interrupted"), "{}", ran.err);
    assert!(!part_path.exists());
    assert_eq!(own(&file).len(), 10201, "each once, and nothing of the other list");
    let again = vocab(&file, &["import", plain(&list)]);
    assert!(again.err.contains("0 sentences added, 10201 that were there already"), "{}", again.err);
    let (ran, peak) = watched(&["replay", DEMO, "--json", "--vocabulary", plain(&file)]);
    let told = lines(&ran.out);
    let plan = &lines(&ocelli(&["check", "--json", "--vocabulary", plain(&file)]).out)[0];
    let planned = plan["planned_bytes"].as_u64().expect("a number");
    assert!(peak.bytes <= planned, "{peak:?}, planned {planned}");
    let near = |event: &&Value| {
        let time = |event: &Value| event["t_end_s"].as_f64().expect("a time");
        event["text"] == CAT && (time(event) - time(seen)).abs() < 1.0
    };
    assert!(told.iter().any(|event| near(&event)), "{told:?}");
    // A file of a list can be imported elsewhere, and the plan says what it needs.
    let copy = folder.path().join("copy.jsonl");
    let copied = vocab(&copy, &["import", plain(&file)]);
    assert!(copied.err.contains("10201 sentences added from"), "{}", copied.err);
    let small = ocelli(&["check", "--memory-budget", "40MiB", "--vocabulary", plain(&file)]);
    assert!(small.code != Some(0), "{}", small.out);
}

#[test]
fn the_plan_has_a_line_for_your_sentences() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (file, config) = (folder.path().join("vocabulary.jsonl"), folder.path().join("ocelli.toml"));
    let items = |room: usize, more: &[&str]| -> Vec<Value> {
        std::fs::write(&config, format!("vocabulary_room = {room}\n")).expect("it is writable");
        let ran = ocelli(&[&["check", "--json", "--config", plain(&config)], more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        lines(&ran.out)[0]["items"].as_array().expect("a list").clone()
    };
    let find = |items: &[Value]| items.iter().find(|item| item["name"] == "your sentences").cloned();
    assert!(find(&items(2000, &[])).is_none());
    let bytes =
        |room: usize| find(&items(room, &["--vocabulary", plain(&file)])).expect("a file is named")["bytes"].as_u64();
    let [few, many, most] = [2000, 10_000, 100_000].map(|room| bytes(room).expect("a number"));
    assert!(few < 4 << 20 && few < many && many < most && most < 72 << 20, "{few} {many} {most}");
    // Ten times as many by their codes take less than five times the memory.
    assert!(most < 5 * many, "{many} {most}");
    std::fs::write(&config, "vocabulary_room = 100000\nprofile = \"pico\"\n").expect("it is writable");
    let over = ocelli(&["check", "--config", plain(&config), "--vocabulary", plain(&file)]);
    assert!(
        over.code != Some(0) && over.err.contains("fewer sentences of your own (the file, or vocabulary_room)"),
        "{}",
        over.err
    );
}
