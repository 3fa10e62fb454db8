//! Standing conditions, from outside: a config, a clip, and what is told.

use std::fs;

use ocelli_e2e::{lines, ocelli, root};
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
    let mut command = std::process::Command::new(ocelli_e2e::program());
    command.env("TZ", zone).arg("replay").arg(root().join("tests/clips/demo.mp4")).arg("--config").arg(&path);
    command.arg("--journal").arg(folder.path().join("events.db")).args(["--at", "2026-11-26T12:00:00Z", "--json"]);
    let ran = ocelli_e2e::finish(command);
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
    for (config, said) in [
        (
            "[[alert]]\ntext = \"x\"\nkinds = [\"flying\"]\n",
            "neither the pack home nor a sentence of yours knows `flying`; there are: nobody, ",
        ),
        ("[[alert]]\ntext = \"x\"\nkinds = [\"fall\"]\ncamera = \"hall\"\n", "there is no camera `hall`"),
        ("[[alert]]\ntext = \"x\"\n", "write either `kinds`"),
        ("[[alert]]\ntext = \"x\"\nkinds = [\"fall\"]\ntimes = [\"now\"]\n", "write it like \"22:00-06:00\""),
        ("[[alert]]\ntexd = \"x\"\n", "unknown key `texd`; did you mean `text`?"),
    ] {
        fs::write(&path, config).expect("it can be written");
        let ran = ocelli(&["check", "--config", path.to_str().unwrap()]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(said) && ran.err.lines().count() == 1, "{}", ran.err);
    }
}
