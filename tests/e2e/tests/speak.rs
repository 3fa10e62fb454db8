//! How much is told: `--verbosity` and `[speak]`, and how a narration stands to those before it.

use std::fs;

use ocelli_e2e::{lines, ocelli, root};
use serde_json::Value;

const DEMO: &str = "tests/clips/demo.mp4";

fn told(more: &[&str]) -> Vec<Value> {
    let ran = ocelli(&[&["replay", DEMO, "--json"], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    lines(&ran.out)
}

fn texts(events: &[Value]) -> Vec<&str> {
    events.iter().filter(|event| event["type"] == "narration").filter_map(|event| event["text"].as_str()).collect()
}

/// Somebody comes, walks, lies, gets up and goes, three times.
#[test]
fn quiet_tells_who_is_there_and_what_matters_and_no_more() {
    let [quiet, normal, full] = ["quiet", "normal", "full"].map(|level| told(&["--verbosity", level]));
    let (some, all, most) = (texts(&quiet), texts(&normal), texts(&full));
    assert!(some.len() >= 4 && some.len() < all.len() && all.len() <= most.len(), "{some:?} {all:?} {most:?}");
    assert!(some.iter().any(|text| text.contains("comes in")) && all.iter().any(|text| text.contains("walking")));
    assert!(!some.iter().any(|text| text.contains("walking") || text.contains("gets up")), "{some:?}");
    for narrations in [&some, &all] {
        assert!(narrations.windows(2).all(|pair| pair[0] != pair[1]), "nothing is told twice: {narrations:?}");
    }
    assert_eq!(normal, told(&[]), "normal is the default");
}

#[test]
fn the_config_says_it_too_and_the_command_line_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ocelli.toml");
    fs::write(&path, "[speak]\nverbosity = \"quiet\"\n").expect("it is writable");
    let config = ["--config", path.to_str().expect("a plain path")];
    assert_eq!(told(&config), told(&["--verbosity", "quiet"]));
    assert_eq!(told(&[&config[..], &["--verbosity", "full"]].concat()), told(&["--verbosity", "full"]));
    fs::write(&path, "[speak]\nverbosity = \"loud\"\n").expect("it is writable");
    let refused = ocelli(&[&["replay", DEMO], &config[..]].concat());
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.err.contains("ocelli.toml:2: unknown value `loud`; there are: quiet, normal, full"),
        "{}",
        refused.err
    );
}

#[test]
fn what_comes_again_says_so_beside_its_text_for_programs_and_before_it_for_people() {
    let events = told(&[]);
    let again: Vec<&Value> = events.iter().filter(|event| event["relation"] == "again").collect();
    assert!(!again.is_empty(), "{events:?}");
    let people = ocelli(&["replay", DEMO]).out;
    for event in again {
        let text = event["text"].as_str().expect("a text");
        assert!(!text.contains("again:"), "the text is the vocabulary's: {event}");
        assert!(people.contains(&format!("  again: {text}\n")), "{people}");
    }
    let before = events[0]["text"].as_str().expect("a text");
    assert!(events[0].get("relation").is_none() && people.contains(&format!("  {before}\n")), "{people}");
}

/// The fixture's heads are random; its thresholds are what is changed.
#[test]
fn a_pack_with_heads_of_what_is_worth_telling_tells_only_that_and_every_alarm() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tiny = root().join("models/tiny-test");
    let manifest = fs::read_to_string(tiny.join("heads/pack.toml")).expect("the fixture");
    let told_from = |threshold: &str| {
        let manifest = manifest.replace("\"../", &format!("\"{}/", tiny.display()));
        let manifest = manifest.replace("threshold = 0.5\ncumulative = 2.0", threshold);
        // Random weights are sure of nothing.
        let manifest = manifest.replace("threshold = 0.5\nhold_off_s = 0.6", "threshold = 0.05\nhold_off_s = 0.6");
        fs::write(folder.path().join("pack.toml"), manifest).expect("it is writable");
        fs::copy(tiny.join("heads/narrator.onnx"), folder.path().join("narrator.onnx")).expect("it is writable");
        told(&["--pack", folder.path().to_str().expect("a plain path")])
    };
    let all = told_from("threshold = 0.0\ncumulative = 2.0");
    assert!(!texts(&all).is_empty(), "{all:?}");
    let few = told_from("threshold = 2.0\ncumulative = 1e9");
    assert!(texts(&few).len() < texts(&all).len(), "{few:?}");
    let alarms = |events: &[Value]| events.iter().filter(|event| event["type"] == "alert").count();
    assert!(alarms(&few) >= alarms(&all), "{few:?}");
    let ran = ocelli(&["replay", DEMO, "--pack", "models/tiny-test/heads"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}
