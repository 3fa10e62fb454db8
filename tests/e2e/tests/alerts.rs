//! Standing conditions, from outside: a config, a clip, and what is told.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ocelli_e2e::{Ran, finish, lines, ocelli, program, root};
use serde_json::Value;

/// Replays the demonstration with this config, and keeps what is told of alerts: type and text.
fn alerts(config: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("ocelli.toml");
    fs::write(&path, config).expect("it can be written");
    let clip = root().join("tests/clips/demo.mp4");
    let ran = ocelli(&["replay", clip.to_str().unwrap(), "--json", "--config", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    lines(&ran.out).into_iter().filter(|event| event["type"].as_str().unwrap().starts_with("alert")).collect()
}

fn of<'a>(alerts: &'a [Value], text: &str) -> Vec<&'a Value> {
    alerts.iter().filter(|alert| alert["text"] == text).collect()
}

#[test]
fn what_the_config_waits_for_is_told_with_its_time_and_its_evidence() {
    // Whatever the pack sees, it is not nothing for three seconds, and never all of it.
    let told = alerts(
        "[[alert]]\ntext = \"It goes on\"\nabsent = [\"silence\"]\nfor = \"3s\"\nthreshold = 1.0\n\
         [[alert]]\ntext = \"Never\"\nkinds = [\"silence\"]\nthreshold = 1.0\n",
    );
    let goes_on = of(&told, "It goes on");
    assert_eq!((goes_on.len(), of(&told, "Never").len()), (1, 0), "{told:?}");
    let alert = goes_on[0];
    assert_eq!((&alert["type"], &alert["t_start_s"], &alert["t_end_s"]), (&"alert".into(), &0.0.into(), &3.0.into()));
    assert_eq!(alert["entries"], serde_json::json!([1, 16]));
    assert!(alert["score"].as_f64().unwrap() > 0.5);
}

#[test]
fn zones_and_times_are_kept_to() {
    // Nothing moves in a corner of the ceiling: nobody is seen to come there.
    let anywhere = "[[alert]]\ntext = \"Anywhere\"\nkinds = [\"walk\", \"enter\"]\nfor = \"0s\"\nthreshold = 0.2\n";
    let corner = "[[alert]]\ntext = \"Corner\"\nkinds = [\"walk\", \"enter\"]\nfor = \"0s\"\nthreshold = 0.2\n\
                  zone = [[0.0, 0.0], [0.04, 0.0], [0.04, 0.04]]\n";
    let told = alerts(&format!("{anywhere}{corner}"));
    assert!(!of(&told, "Anywhere").is_empty() && of(&told, "Corner").is_empty(), "{told:?}");
    let both = ["UTC0", "WST12"].map(night_in);
    assert_eq!(both, [0, 1], "12:00 in UTC is midnight twelve hours west of it");
}

/// Alerts of the night at 12:00 UTC in a time zone.
fn night_in(zone: &str) -> usize {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("ocelli.toml");
    let night = "[[alert]]\ntext = \"Night\"\nabsent = [\"silence\"]\nthreshold = 1.0\ntimes = [\"22:00-06:00\"]\n";
    fs::write(&path, night).expect("it can be written");
    let mut command = Command::new(program());
    command.env("TZ", zone).arg("replay").arg(root().join("tests/clips/demo.mp4")).arg("--config").arg(&path);
    command.arg("--journal").arg(folder.path().join("events.db")).args(["--at", "2026-11-26T12:00:00Z", "--json"]);
    let ran = finish(command);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    of(&lines(&ran.out), "Night").iter().filter(|event| event["type"] == "alert").count()
}

#[test]
fn a_condition_that_cannot_be_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("ocelli.toml");
    let whole = "[[alert]]\ntext = \"Quiet\"\nabsent = [\"walk\", \"sit\", \"walk\"]\nthreshold = 0.4\nfor = \"10min\"\n\
                 after = [\"fall\"]\ntimes = [\"22:00-06:00\"]\nzone = [[0, 0], [1, 0], [1, 1]]\n";
    fs::write(&path, whole).expect("it can be written");
    let ran = ocelli(&["check", "--config", path.to_str().unwrap()]);
    let line =
        "alert   Quiet: each camera, none of walk, sit from 0.40 for 600.0 s, after fall, 22:00-06:00, in its zone\n";
    assert!(ran.code == Some(0) && ran.out.contains(line), "{}{}", ran.out, ran.err);
    assert!(!ran.out.contains("\nalerts  "), "there is nothing to say: {}", ran.out);
    let journal = folder.path().join("events.journal");
    let all = format!(
        "[journal]\nfile = \"{}\"\n[alerts]\nescalate_after = \"2min\"\nquiet = [\"22:00-07:00\"]\nunusual = true\n",
        journal.display()
    );
    fs::write(&path, all).expect("it can be written");
    let ran = ocelli(&["check", "--config", path.to_str().unwrap()]);
    let line = "alerts  an alarm that nobody acknowledged is told again after 2min, 3 times; quiet below alarm in 22:00-07:00; \
                what is unusual is told after 7 days\n";
    assert!(ran.code == Some(0) && ran.out.contains(line), "{}{}", ran.out, ran.err);
    for (config, said) in [
        (
            "[[alert]]\ntext = \"x\"\nkinds = [\"flying\"]\n",
            "neither the pack home nor a sentence of yours knows `flying`; there are: nobody, ",
        ),
        ("[[alert]]\ntext = \"x\"\nkinds = [\"fall\"]\ncamera = \"hall\"\n", "there is no camera `hall`"),
        ("[[alert]]\ntext = \"x\"\n", "write either `when`, in words, or `kinds`"),
        ("[[alert]]\ntext = \"x\"\nkinds = [\"fall\"]\ntimes = [\"now\"]\n", "write it like \"22:00-06:00\""),
        (
            "[[alert]]\ntext = \"x\"\nkinds = [\"fall\", \"lie\"]\nafter = [\"fall\"]\n",
            "`fall` is what is to be seen and also what is to go `after`",
        ),
        (
            "[[alert]]\ntext = \"x\"\nkinds = [\"fall\"]\nzone = [[0, 0], [0.5, 0.5], [1, 1]]\n",
            "the corners of a `zone` lie on one line",
        ),
        ("[alerts]\nquiet = [\"now\"]\n", "[alerts]: `now` in `quiet` is no time"),
        ("[alerts]\nescalate_after = \"1s\"\n", "`escalate_after` is less than five seconds"),
        ("[alerts]\nescalate_after = \"1min\"\n", "`escalate_after` needs a journal"),
        ("[alerts]\nescalate_times = 0\n", "`escalate_times` is 0; it may be 1 to 100"),
        ("[alerts]\nunusual_after_days = 1\n", "`unusual_after_days` is 1; it may be 2 to 30"),
        ("[alerts]\nfile = \"/dev/null\"\n", "`file` of [alerts], /dev/null: this is no file"),
        ("[alerts]\nfile = \"/gone/c\"\n", "`file` of [alerts], /gone/c: there is no folder /gone; make it first"),
        ("[alerts]\nfile = \"u\"\n[gateway]\nusers = \"u\"\n", "`file` of [alerts], u: something else has this file"),
        ("[[alert]]\ntexd = \"x\"\n", "unknown key `texd`; did you mean `text`?"),
    ] {
        fs::write(&path, config).expect("it can be written");
        let ran = ocelli(&["check", "--config", path.to_str().unwrap()]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(said) && ran.err.lines().count() == 1, "{}", ran.err);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// The demonstration with this config and a journal, at six in the evening.
fn kept(folder: &Path, config: &str) -> Ran {
    let path = folder.join("ocelli.toml");
    let journal = folder.join("events.journal");
    fs::write(&path, format!("[journal]\nfile = \"{}\"\n{config}", journal.display())).expect("it can be written");
    let demo = ["replay", "tests/clips/demo.mp4", "--json", "--at", "2026-11-26T18:00:00Z", "--config", text(&path)];
    let ran = ocelli(&demo);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran
}

/// What the journal has, with these words behind `ocelli events`.
fn events(folder: &Path, more: &[&str]) -> Ran {
    let journal = folder.join("events.journal");
    let ran = ocelli(&[&["events", "--journal", text(&journal)], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran
}

const GOES_ON: &str = "[[alert]]\ntext = \"It goes on\"\nabsent = [\"silence\"]\nfor = \"3s\"\nthreshold = 1.0\n";

#[test]
fn an_alert_comes_first_its_sentence_under_the_same_id_and_it_is_acknowledged() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let told = lines(&kept(folder.path(), GOES_ON).out);
    let at = told.iter().position(|event| event["type"] == "alert" && event["text"] == "It goes on").expect("it does");
    let (alert, update) = (&told[at], &told[at + 1]);
    assert_eq!((&update["type"], &update["id"]), (&"update".into(), &alert["id"]), "{told:?}");
    assert_eq!((&update["entries"], &update["t_end_s"]), (&alert["entries"], &alert["t_end_s"]));
    assert_eq!((&alert["severity"], &update["severity"]), (&"alarm".into(), &"alarm".into()), "{alert}");
    assert!(told.iter().all(|event| event["severity"].is_null() == (event["type"] == "narration")), "{told:?}");
    let ids: Vec<u64> =
        told.iter().filter(|event| event["type"] != "update").filter_map(|e| e["id"].as_u64()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");

    let id = alert["id"].to_string();
    let of_alert = |more: &[&str]| {
        let found = lines(&events(folder.path(), &[&["--kind", "alert", "--json"], more].concat()).out);
        found.into_iter().find(|event| event["id"] == alert["id"])
    };
    let kept = of_alert(&[]).expect("it is kept");
    assert_eq!((&kept["said"], &kept["told"], &kept["acknowledged"]), (&update["text"], &1.into(), &Value::Null));
    assert_eq!((&kept["severity"], &kept["about"]), (&"alarm".into(), &serde_json::json!([])), "{kept}");
    let words: Vec<&str> = update["text"].as_str().expect("a text").trim_end_matches('.').split(' ').collect();
    assert!(of_alert(&words).is_some(), "it is found by what followed");

    let journal = folder.path().join("events.journal");
    let ack = |id: &str| ocelli(&["ack", id, "--journal", text(&journal)]);
    let first = ack(&id);
    assert_eq!((first.code, first.err.as_str()), (Some(0), "ocelli: acknowledged: It goes on\n"));
    let again = ack(&id);
    assert!(again.code == Some(0) && again.err.contains("it was acknowledged before, 20"), "{}", again.err);
    assert!(of_alert(&[]).expect("it is kept")["acknowledged"].as_str().is_some_and(|at| at.starts_with("20")));
    let people = events(folder.path(), &["--kind", "alert", "--utc"]).out;
    assert!(people.contains("ALERT It goes on: ") && people.contains(", acknowledged 20"), "{people}");
    let narration = told.iter().find(|event| event["type"] == "narration").expect("it narrates")["id"].to_string();
    for (id, why) in [(narration.as_str(), "only alerts are acknowledged"), ("99999", "the journal has no alert 99999")]
    {
        let ran = ack(id);
        assert!(ran.code == Some(2) && ran.err.contains(why) && ran.err.lines().count() == 1, "{}", ran.err);
    }
    let nowhere = ocelli(&["ack", "1", "--journal", text(&folder.path().join("absent"))]);
    assert!(nowhere.code == Some(1) && nowhere.err.contains("there is no journal yet"), "{}", nowhere.err);
}

#[test]
fn in_quiet_hours_what_is_no_alarm_is_kept_and_told_nobody() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let quiet = "[alerts]\nquiet = [\"00:00-24:00\"]\n";
    let notice = GOES_ON.replace("It goes on", "It is noticed") + "severity = \"notice\"\n";
    let told = lines(&kept(folder.path(), &format!("{quiet}{GOES_ON}{notice}")).out);
    assert_eq!((of(&told, "It goes on").len(), of(&told, "It is noticed").len()), (1, 0), "an alarm is told: {told:?}");
    let found = lines(&events(folder.path(), &["--kind", "alert", "noticed", "--json"]).out);
    assert!(found.len() == 1 && found[0]["told"] == 0 && found[0]["severity"] == "notice", "{found:?}");
    assert!(events(folder.path(), &["noticed"]).out.contains("told nobody"));
}

#[test]
fn events_are_found_by_whom_they_are_about_and_show_local_times() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    kept(folder.path(), "");
    let all = lines(&events(folder.path(), &["--json"]).out);
    let about = lines(&events(folder.path(), &["--about", "person", "--json"]).out);
    let is_of = |event: &Value| event["about"].as_array().is_some_and(|about| about.contains(&"person".into()));
    assert!(!about.is_empty() && about.iter().all(is_of), "{about:?}");
    assert_eq!(about.len(), all.iter().filter(|event| is_of(event)).count());
    let zebras = events(folder.path(), &["--about", "zebra"]);
    assert!(zebras.out.is_empty() && zebras.err.contains("nothing was found"), "{}", zebras.err);

    let journal = folder.path().join("events.journal");
    let in_zone = |zone: &str, more: &[&str]| {
        let mut command = Command::new(program());
        command.env("TZ", zone).args(["events", "--journal", text(&journal)]).args(more);
        finish(command)
    };
    for (zone, more, start) in [
        ("UTC0", &[][..], "2026-11-26 18:00:"),
        ("WST12", &[], "2026-11-26 06:00:"),
        ("WST12", &["--utc"], "2026-11-26 18:00:"),
        ("WST12", &["--since", "2026-11-26 06:00", "--until", "2026-11-26 06:01"], "2026-11-26 06:00:"),
        ("WST12", &["--since", "2026-11-26T18:00:00Z", "--until", "2026-11-26T18:01:00Z"], "2026-11-26 06:00:"),
    ] {
        let ran = in_zone(zone, more);
        assert!(ran.out.starts_with(start), "{zone} {more:?}: {}{}", ran.out, ran.err);
    }
    // What never ends is not read.
    let zero = in_zone("/dev/zero", &[]);
    assert!(zero.code == Some(0) && zero.out.starts_with("2026-11-26 18:00:"), "{}", zero.err);
    assert!(zero.err.contains("times are in UTC") && zero.err.contains("/dev/zero is no time zone"), "{}", zero.err);
}

/// With the text encoder, in a process of its own.
#[test]
fn a_condition_in_plain_words_is_understood_or_refused() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("ocelli.toml");
    let check = |config: &str| {
        fs::write(&path, config).expect("it can be written");
        ocelli(&["check", "--config", text(&path)])
    };
    let ran = check(
        "[[alert]]\nwhen = \"somebody has fallen\"\n\
         [[alert]]\ntext = \"Bed time\"\nwhen = \"someone goes to sleep\"\nfor = \"5min\"\ntimes = [\"22:00-06:00\"]\n",
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.err.contains("alert `somebody has fallen` is understood as fall (`A person has fallen.`, 0."),
        "{}",
        ran.err
    );
    assert!(
        ran.out.contains("alert   somebody has fallen: each camera, any of fall from 0.30 for 1.0 s\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("alert   Bed time: each camera, any of "), "{}", ran.out);
    let refused = check("[[alert]]\nwhen = \"the stock market rises\"\n");
    assert_eq!((refused.code, refused.err.lines().count()), (Some(2), 1), "{}", refused.err);
    assert!(refused.err.contains("ocelli vocab add 'the stock market rises'"), "{}", refused.err);
    let negated = check("[[alert]]\nwhen = \"nobody has fallen\"\n");
    assert_eq!((negated.code, negated.err.lines().count()), (Some(2), 1), "{}", negated.err);
    assert!(negated.err.contains("for what is not to be seen `absent`"), "{}", negated.err);
    let both = check("[[alert]]\nwhen = \"somebody has fallen\"\nkinds = [\"fall\"]\nabsent = [\"walk\"]\n");
    assert!(both.code == Some(2) && both.err.contains("write either `when`"), "{}", both.err);

    // A sentence of one's own is understood too, and a run tells what it is called.
    let own = folder.path().join("own.jsonl");
    let added = ocelli(&["vocab", "add", "the stock market rises", "--vocabulary", text(&own)]);
    assert_eq!(added.code, Some(0), "{}", added.err);
    let known = check(&format!("vocabulary = \"{}\"\n[[alert]]\nwhen = \"the stock markets rise\"\n", own.display()));
    assert!(
        known.code == Some(0) && known.out.contains("any of the stock market rises from "),
        "{}{}",
        known.out,
        known.err
    );
    fs::write(&path, "[[alert]]\nwhen = \"a person is walking around\"\nthreshold = 0.05\nfor = \"0s\"\n")
        .expect("writable");
    let ran = ocelli(&["replay", "tests/clips/demo.mp4", "--json", "--config", text(&path)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let told = lines(&ran.out);
    assert!(!of(&told, "a person is walking around").is_empty(), "{}", ran.out);
}

/// Twice as long as the shortest time after which an alarm is told again.
#[test]
fn an_alarm_is_told_again_until_somebody_acknowledges_it() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (config, journal) = (folder.path().join("ocelli.toml"), folder.path().join("events.journal"));
    let (head, frame) = (folder.path().join("head"), folder.path().join("frame"));
    fs::write(&head, "YUV4MPEG2 W64 H48 F10:1 C420\n").expect("it is writable");
    fs::write(&frame, [b"FRAME\n".to_vec(), vec![90; 64 * 48 * 3 / 2]].concat()).expect("it is writable");
    let camera = format!("cat {}; while cat {}; do sleep 0.1; done; exit 1", head.display(), frame.display());
    let alarm = GOES_ON.replace("silence", "fall").replace("3s", "1s");
    let escalate = "[alerts]\nescalate_after = \"5s\"\nescalate_times = 9\n";
    fs::write(&config, format!("{escalate}{alarm}")).expect("it can be written");
    let without = ocelli(&["run", "--command", &camera, "--pack", "tiny-test", "--config", text(&config)]);
    assert!(without.code == Some(2) && without.err.contains("needs a journal"), "{}", without.err);
    let (out, log) = (folder.path().join("out"), folder.path().join("err"));
    let mut run = Command::new(program());
    run.args([
        "run",
        "--command",
        &camera,
        "--pack",
        "tiny-test",
        "--json",
        "--seconds",
        "60",
        "--config",
        text(&config),
    ]);
    run.args(["--journal", text(&journal), "--out", text(&out)]).current_dir(root());
    run.stdout(Stdio::null()).stderr(fs::File::create(&log).expect("it is writable"));
    let mut child = run.spawn().expect("the program starts");
    let patience = Instant::now();
    let until = |what: &str| loop {
        let said = lines(&fs::read_to_string(&out).unwrap_or_default());
        if let Some(event) = said.iter().find(|event| event["text"].as_str().is_some_and(|said| said.starts_with(what)))
        {
            break event.clone();
        }
        assert!(
            patience.elapsed() < Duration::from_mins(2),
            "{what}: {}",
            fs::read_to_string(&log).unwrap_or_default()
        );
        thread::sleep(Duration::from_millis(50));
    };
    let alert = until("It goes on");
    let again = until("still not acknowledged (2): It goes on");
    assert_eq!(
        (&again["type"], &again["id"], &again["t_start_s"]),
        (&"alert".into(), &alert["id"], &alert["t_start_s"])
    );
    let ran = ocelli(&["ack", &alert["id"].to_string(), "--journal", text(&journal)]);
    assert_eq!(ran.code, Some(0), "beside the one who writes: {}", ran.err);
    let update = until("acknowledged: It goes on");
    assert_eq!((&update["type"], &update["id"]), (&"update".into(), &alert["id"]));
    // As long as it would have taken to be told again, and more.
    thread::sleep(Duration::from_secs(6));
    let ended = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("there is kill");
    assert!(ended.success() && child.wait().expect("it ends").success());
    let said = lines(&fs::read_to_string(&out).expect("it is there"));
    let last = said.iter().rposition(|event| event["id"] == alert["id"]).expect("it was told");
    assert_eq!(said[last]["text"], "acknowledged: It goes on", "{said:?}");
    let found = lines(&events(folder.path(), &["--kind", "alert", "--json"]).out);
    assert!(found[0]["told"].as_u64() >= Some(2) && found[0]["acknowledged"].is_string(), "{found:?}");
}
