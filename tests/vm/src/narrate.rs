//! The clip of the tests before an MJPEG camera: what is told must be what was told before, and fit into the budget.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::RangeInclusive;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::kernel::Kernel;
use crate::machine::{Clock, LIMIT, Machine, Report};
use crate::{Cli, base, clip, number, root};

/// What it told when it was last looked at.
const EXPECTED: &str = "tests/vm/expected/demo.jsonl";

/// The sentences that it can tell, and of what kind each is.
const VOCABULARY: &str = "models/home/vocabulary.toml";

/// Another kernel shows the pictures a little earlier or later, and the program then takes others of them.
const TOLERANCE_S: f64 = 0.5;

/// How many more pictures than were shown since it was heard that it watches may be counted: those before that was heard; and how many fewer:
/// what is not looked at is counted with the next that is.
const MORE: RangeInclusive<f64> = -1.0..=3.0;

/// How many more or fewer than each second one may be looked at: after a gap the next is.
const ASTRAY: f64 = 2.0;

/// Pictures a second that are played, and that the pack looks at.
const FPS: (f64, f64) = (10.0, 5.0);

/// The loopback camera's own count has a gap of six where none was missing, and may have it where its reader begins.
const MOST_LOST: f64 = 6.0;

pub fn run(cli: &Cli, kernel: &Kernel, figures: &mut Map<String, Value>) -> Result<()> {
    let mut archive = base(cli, "loopback.toml")?;
    kernel.add_modules(&mut archive, &[("v4l2loopback", "devices=1 video_nr=10 max_buffers=4 exclusive_caps=0")])?;
    archive.copy_files("clip", &clip(&cli.work)?)?;
    let initrd = cli.work.join("narrate.cpio");
    archive.finish(&initrd)?;
    let machine = Machine::start(kernel, &initrd, "scene=narrate limit_s=120", None, Clock::Instructions, LIMIT)?;
    let reports = machine.finish(|report| {
        if ["told", "note", "event"].contains(&report.what.as_str()) {
            eprintln!("vm: {:8.3} {} {}", report.at_s, report.what, report.more);
        }
    })?;
    let of = |what: &str| reports.iter().filter(|report| report.what == what).collect::<Vec<_>>();
    let told: Vec<Value> = of("told").iter().map(|report| report.more.clone()).collect();
    let ([ended], [plan]) = (&of("narrated")[..], &of("plan")[..]) else { bail!("it did not sum up") };
    let budget = plan.more["budget_bytes"].as_u64().context("a plan has a budget")?;
    figures.insert("narrations".into(), json!(told.len()));
    figures.insert("rss_peak_bytes".into(), ended.more["rss_peak_bytes"].clone());
    figures.insert("plan_bytes".into(), plan.more["planned_bytes"].clone());
    figures.insert("pictures".into(), ended.more.clone());
    figures.insert("boot_to_first_narration_s".into(), json!(first_narration_s(&reports)));
    let path = root().join(EXPECTED);
    if cli.overwrite {
        let text = told.iter().fold(String::new(), |mut text, line| {
            writeln!(text, "{line}").expect("memory takes everything");
            text
        });
        fs::create_dir_all(path.parent().context("it has a folder")?)?;
        fs::write(&path, text)?;
    }
    let expected = fs::read_to_string(&path).with_context(|| format!("{EXPECTED}: --overwrite makes it"))?;
    let expected = expected.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    compare(&kinds()?, &expected, &told)?;
    judge(&ended.more, budget)
}

/// What it counted and held must be what was shown and allowed.
fn judge(ended: &Value, budget: u64) -> Result<()> {
    ensure!(ended["code"] == 0, "the program ended with {}", ended["code"]);
    let bytes = |key: &str| ended[key].as_u64().with_context(|| format!("no {key} in {ended}"));
    let (peak, charged, limit) = (bytes("rss_peak_bytes")?, bytes("cgroup_peak_bytes")?, bytes("cgroup_max_bytes")?);
    ensure!(peak <= budget, "it held {peak} bytes of {budget}");
    ensure!(limit == budget, "its cgroup has memory.max {limit}, and the budget is {budget}");
    ensure!(charged <= limit, "its cgroup was charged for {charged} bytes of {limit}");
    let (shown, pictures) = (number(ended, "shown")?, number(ended, "pictures")?);
    ensure!(MORE.contains(&(pictures - shown)), "{shown:.0} pictures were shown: {ended}");
    let looked_at = pictures * FPS.1 / FPS.0;
    ensure!((number(ended, "seen")? - looked_at).abs() <= ASTRAY, "{looked_at:.0} were to be looked at: {ended}");
    ensure!(ended["late"] == 0 && ended["damaged"] == 0, "some were late or damaged: {ended}");
    ensure!(number(ended, "lost")? <= MOST_LOST, "more are lost than the camera's own gap: {ended}");
    Ok(())
}

fn first_narration_s(reports: &[Report]) -> Option<f64> {
    reports.iter().find(|report| report.what == "event" && report.more["type"] == "narration").map(|report| report.at_s)
}

/// The kind of each sentence of the pack.
pub type Kinds = HashMap<String, String>;

pub fn kinds() -> Result<Kinds> {
    let text = fs::read_to_string(root().join(VOCABULARY)).context(VOCABULARY)?;
    let vocabulary: Value = toml::from_str(&text).context(VOCABULARY)?;
    let kind = |entry: &Value| Some((entry["text"].as_str()?.to_owned(), entry["kind"].as_str()?.to_owned()));
    let entries = vocabulary["entry"].as_array().with_context(|| format!("{VOCABULARY} has no entries"))?;
    Ok(entries.iter().filter_map(kind).collect())
}

/// The same kinds at nearly the same times, but for one in eight, where a threshold is just met: which pictures it takes, and what is
/// rounded to which side, another kernel or another compiler decides, and with that also which of the sentences of one kind fits best.
fn compare(kinds: &Kinds, expected: &[Value], told: &[Value]) -> Result<()> {
    let kind = |line: &Value| {
        let text = line["text"].as_str().unwrap_or_default();
        (line["type"].clone(), kinds.get(text).map_or(text, String::as_str).to_owned())
    };
    ensure!(!expected.is_empty(), "{EXPECTED} has nothing");
    for (these, those, where_from) in [(expected, told, EXPECTED), (told, expected, "the machine")] {
        let mut alone = Vec::new();
        for line in these {
            let at_s = number(line, "clip_s")?;
            let near =
                |other: &Value| number(other, "clip_s").is_ok_and(|other_s| (other_s - at_s).abs() <= TOLERANCE_S);
            if !those.iter().any(|other| kind(other) == kind(line) && near(other)) {
                alone.push(line);
            }
        }
        ensure!(alone.len() <= expected.len() / 8, "{where_from} alone has {alone:#?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(clip_s: f64, text: &str) -> Value {
        json!({"clip_s": clip_s, "text": text, "type": "narration"})
    }

    #[test]
    fn other_kinds_and_other_times_are_told_apart() {
        let kinds = kinds().expect("the pack has them");
        let (walks, is_walking, lies) = ("Someone walks about.", "A person is walking.", "Someone is lying.");
        let expected = [line(1.0, walks), line(2.0, lies)];
        for same in [[line(1.4, walks), line(1.6, lies)], [line(1.0, is_walking), line(2.0, lies)]] {
            compare(&kinds, &expected, &same).expect("these are the same");
        }
        for other in [
            vec![line(1.0, walks)],
            vec![line(1.0, lies), line(2.0, lies)],
            vec![line(1.0, walks), line(2.0, is_walking)],
            vec![line(1.0, walks), line(2.6, lies)],
            vec![line(1.0, walks), line(2.0, lies), line(3.0, lies)],
            vec![json!({"clip_s": 1.0, "text": walks, "type": "alert"}), line(2.0, lies)],
        ] {
            assert!(compare(&kinds, &expected, &other).is_err(), "{other:?}");
        }
        assert!(compare(&kinds, &[], &[]).is_err(), "nothing expected is nothing tested");
        let long: Vec<Value> = (0..16).map(|s| line(f64::from(s), if s % 2 == 0 { walks } else { lies })).collect();
        compare(&kinds, &long, &long[2..]).expect("two thresholds that were just met");
        assert!(compare(&kinds, &long, &long[3..]).is_err() && compare(&kinds, &long[3..], &long).is_err());
    }

    /// An alert's text is somebody's own, and of no kind.
    #[test]
    fn a_sentence_that_the_pack_does_not_know_is_compared_by_its_words() {
        let compare = |a: &str, b: &str| compare(&Kinds::new(), &[line(1.0, a)], &[line(1.0, b)]);
        assert!(compare("Nobody falls", "Nobody falls").is_ok() && compare("Nobody falls", "Somebody falls").is_err());
    }

    #[test]
    fn what_was_counted_and_held_must_be_what_was_shown_and_allowed() {
        let good = || {
            json!({"code": 0, "rss_peak_bytes": 33, "cgroup_peak_bytes": 14, "cgroup_max_bytes": 128, "shown": 485,
                "pictures": 484, "seen": 242, "late": 0, "damaged": 0, "lost": 6})
        };
        judge(&good(), 128).expect("it is as it should be");
        for (key, bad) in [
            ("code", json!(3)),
            ("rss_peak_bytes", json!(129)),
            ("cgroup_peak_bytes", json!(129)),
            ("cgroup_peak_bytes", Value::Null),
            ("cgroup_max_bytes", json!(127)),
            ("cgroup_max_bytes", Value::Null),
            ("shown", json!(486)),
            ("shown", json!(480)),
            ("pictures", json!(483)),
            ("seen", json!(239)),
            ("late", json!(1)),
            ("damaged", json!(1)),
            ("lost", json!(7)),
        ] {
            let mut ended = good();
            ended[key] = bad.clone();
            assert!(judge(&ended, 128).is_err(), "{key}: {bad}");
        }
    }
}
