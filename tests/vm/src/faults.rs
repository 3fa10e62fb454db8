//! What happens to cameras: each fault is told or counted as it should be, and the program goes on.

use std::ops::RangeInclusive;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::kernel::Kernel;
use crate::machine::{Clock, LIMIT, Machine};
use crate::{Cli, base, number};

/// Pictures a second, as `configs/vivid.toml` asks for.
const FPS: f64 = 10.0;

/// How many pictures more or fewer than the driver makes in that time may be accounted for. The first is one more than the time has, and
/// another comes before the program ends; one that is not looked at is counted with the next that is, and the last so not at all.
const SLACK: RangeInclusive<f64> = -1.0..=2.5;

/// So many more where the stream was built anew: the driver then makes a picture at once, and the program, which has no count over such
/// a gap, takes one for lost.
const REBUILT: f64 = 2.0;

/// The longest wait until a camera that is there again is seen: a wait of 4 s before the next try, the try, a picture.
const RECOVERY_S: f64 = 8.0;

/// How much longer than from a fault's begin to when it was heard that the camera sees again it was blind: from the last picture before,
/// and until that was heard.
const BLIND_S: RangeInclusive<f64> = -0.1..=0.2;

/// What a fault must come to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    /// Nothing is lost and nothing is told.
    Nothing,
    /// So many pictures are counted as lost, and the camera was never blind.
    Lost(u64, u64),
    /// The stream was built anew, which counts as a picture lost, or two, and the camera was never blind.
    Rebuilt,
    /// Told as blind once, and as seeing again once it is over; meanwhile once as still blind where the reason is another: this.
    Blind(Option<&'static str>),
}

const EXPECTED: [(&str, Expect); 12] = [
    ("nothing", Expect::Nothing),
    ("three damaged pictures", Expect::Lost(3, 3)),
    ("a buffer that is not taken", Expect::Rebuilt),
    ("a streaming error", Expect::Rebuilt),
    ("a stream that does not start again", Expect::Rebuilt),
    ("buffers that are refused", Expect::Rebuilt),
    ("a count that wraps", Expect::Rebuilt),
    // Of 100, each with this probability: outside of 4.5 standard deviations.
    ("a third of the pictures dropped", Expect::Lost(12, 55)),
    ("a stall", Expect::Blind(None)),
    ("a device that is gone for a moment", Expect::Blind(None)),
    ("unplugged, and plugged in", Expect::Blind(Some(GONE))),
    ("lost to another program", Expect::Blind(Some(BUSY))),
];

/// What is told of a camera that is not there, and of one that is used by another program.
const GONE: &str = "there is nothing here";
const BUSY: &str = "another program is using this camera";

pub fn run(cli: &Cli, kernel: &Kernel, figures: &mut Map<String, Value>) -> Result<()> {
    let mut archive = base(cli, "vivid.toml")?;
    let webcam = "n_devs=1 node_types=0x1 num_inputs=1 input_types=0 no_error_inj=0";
    kernel.add_modules(&mut archive, &[("vivid", webcam)])?;
    let initrd = cli.work.join("faults.cpio");
    archive.finish(&initrd)?;
    let machine = Machine::start(kernel, &initrd, "scene=faults limit_s=600", None, Clock::Instructions, LIMIT)?;
    let mut newest = Value::Null;
    let heard = machine.finish(|report| {
        eprintln!("vm: {:8.3} {} {}", report.at_s, report.what, report.more);
        if report.what == "fault begins" {
            newest = report.more.clone();
        }
    });
    let reports = heard.with_context(|| format!("at {newest}"))?;
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for (name, expect) in EXPECTED {
        let Some(row) = reports.iter().find(|report| report.what == "fault" && report.more["name"] == name) else {
            bail!("`{name}` did not happen");
        };
        rows.push(json!({
            "name": name,
            "seen": seen(&row.more),
            "recovered_s": row.more["recovered_s"],
            "lost_frames": row.more["lost"],
            "blind_s": row.more["blind_s"],
        }));
        if let Err(error) = judge(&row.more, expect) {
            wrong.push(format!("{name}: {error:#}"));
        }
    }
    figures.insert("faults".into(), json!(rows));
    for (name, word) in [("in use by another program", BUSY), ("no camera", GONE)] {
        let start = reports.iter().find(|report| report.what == "start" && report.more["name"] == name);
        let told = start.is_some_and(|start| {
            start.more["code"] == 3 && start.more["why"].as_str().is_some_and(|why| why.contains(word))
        });
        if !told {
            wrong.push(format!("a start with {name} should end with 3 and say so"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// In a word, as what it was seen.
fn seen(row: &Value) -> &'static str {
    match (row["blind"].as_array().is_some_and(|blind| !blind.is_empty()), row["lost"].as_u64().unwrap_or(0)) {
        (true, _) => "blind",
        (false, 0) => "nothing",
        (false, _) => "lost pictures",
    }
}

fn judge(row: &Value, expect: Expect) -> Result<()> {
    ensure!(row["code"] == 0, "the program ended with {}", row["code"]);
    let blind = row["blind"].as_array().map_or(0, Vec::len);
    let lost = number(row, "lost")?;
    match expect {
        Expect::Nothing => ensure!(blind == 0 && lost == 0.0, "something was lost: {row}"),
        Expect::Lost(..) | Expect::Rebuilt => {
            let (least, most) = if let Expect::Lost(least, most) = expect { (least, most) } else { (1, 2) };
            ensure!(blind == 0 && row["recovered_s"].is_null(), "it was told as blind: {row}");
            ensure!((least as f64..=most as f64).contains(&lost), "{lost} lost, and not {least} to {most}");
        }
        Expect::Blind(reason) => {
            ensure!(blind == 1, "told as blind {blind} times: {row}");
            let still = row["still"].as_array().map_or(&[][..], Vec::as_slice);
            let has = |reason: &str| still.iter().any(|text| text.as_str().is_some_and(|text| text.contains(reason)));
            ensure!(
                still.len() == usize::from(reason.is_some()) && reason.is_none_or(has),
                "its reason is not as it was: {row}"
            );
            let recovered_s = row["recovered_s"].as_f64().with_context(|| format!("it is not back: {row}"))?;
            ensure!((0.0..=RECOVERY_S).contains(&recovered_s), "it is back before the fault ends, or too late: {row}");
            let more_s = number(row, "blind_s")? - number(row, "lasted_s")? - recovered_s;
            ensure!(BLIND_S.contains(&more_s), "it was blind {more_s:.2} s longer than it was: {row}");
        }
    }
    // Whatever the driver made was seen, counted as lost, or lies in a time that was told as blind.
    let made = number(row, "run_s")? * FPS;
    let accounted = number(row, "pictures")? + lost + row["blind_s"].as_f64().unwrap_or(0.0) * FPS;
    let most = SLACK.end() + if expect == Expect::Rebuilt { REBUILT } else { 0.0 };
    ensure!(
        (*SLACK.start()..=most).contains(&(accounted - made)),
        "{accounted:.1} pictures accounted for, and {made:.1} made: {row}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(lost: u64, blind: &[&str], recovered_s: Option<f64>) -> Value {
        let blind_s = recovered_s.map(|recovered_s| 3.0 + recovered_s);
        json!({"code": 0, "blind": blind, "lost": lost, "pictures": 101 - lost, "recovered_s": recovered_s,
            "lasted_s": 3.0, "blind_s": blind_s, "run_s": 10.0 + blind_s.unwrap_or(0.0)})
    }

    #[test]
    fn only_what_is_expected_passes() {
        assert!(judge(&row(0, &[], None), Expect::Nothing).is_ok());
        assert!(judge(&row(1, &[], None), Expect::Nothing).is_err());
        assert!(judge(&row(3, &[], None), Expect::Lost(3, 3)).is_ok());
        assert!(judge(&row(2, &[], None), Expect::Lost(3, 3)).is_err());
        assert!(judge(&row(3, &["gone"], Some(1.0)), Expect::Lost(3, 3)).is_err());
        let blind = Expect::Blind(None);
        assert!(judge(&row(0, &["gone"], Some(1.0)), blind).is_ok());
        assert!(judge(&row(0, &["gone"], Some(9.0)), blind).is_err());
        assert!(judge(&row(0, &["gone"], None), blind).is_err());
        assert!(judge(&row(0, &["gone", "gone"], Some(1.0)), blind).is_err());
        let mut still = row(0, &["gone"], Some(1.0));
        assert!(judge(&still, Expect::Blind(Some(GONE))).is_err());
        still["still"] = json!(["still blind: /dev/video0: there is nothing here"]);
        assert!(judge(&still, Expect::Blind(Some(GONE))).is_ok());
        assert!(judge(&still, Expect::Blind(Some(BUSY))).is_err());
        assert!(judge(&still, blind).is_err());
        let mut crashed = row(0, &[], None);
        crashed["code"] = Value::Null;
        assert!(judge(&crashed, Expect::Nothing).is_err());
    }

    #[test]
    fn what_the_driver_made_is_accounted_for_to_a_picture_or_two() {
        let with = |lost: u64, pictures: u64, expect| {
            let mut row = row(lost, &[], None);
            row["pictures"] = json!(pictures);
            judge(&row, expect).is_ok()
        };
        assert_eq!([98, 99, 102, 103].map(|pictures| with(0, pictures, Expect::Nothing)), [false, true, true, false]);
        let rebuilt = [97, 98, 103, 104].map(|pictures| with(1, pictures, Expect::Rebuilt));
        assert_eq!(rebuilt, [false, true, true, false]);
        assert_eq!([0, 1, 2, 3].map(|lost| with(lost, 101 - lost, Expect::Rebuilt)), [false, true, true, false]);
    }

    #[test]
    fn a_camera_is_back_after_its_fault_and_was_blind_for_so_long() {
        let blind = |recovered_s: f64, blind_s: f64| {
            let mut row = row(0, &["gone"], Some(recovered_s));
            (row["blind_s"], row["run_s"]) = (json!(blind_s), json!(10.0 + blind_s));
            judge(&row, Expect::Blind(None)).is_ok()
        };
        assert!(blind(0.0, 3.1) && blind(1.0, 4.0) && blind(RECOVERY_S, 11.0));
        assert!(!blind(-0.1, 2.9), "before the fault ended");
        assert!(!blind(RECOVERY_S + 0.1, 11.1) && !blind(1.0, 3.8) && !blind(1.0, 4.3));
    }
}
