//! What happens to cameras: each fault is told or counted as it should be, and the program goes on.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::kernel::Kernel;
use crate::machine::{Clock, LIMIT, Machine};
use crate::{Cli, base, number};

/// Pictures a second, as `configs/vivid.toml` asks for.
const FPS: f64 = 10.0;

/// How far the counts may be from what the driver made in that time: the program's start and end are not sharp.
const SLACK_S: f64 = 1.0;

/// The longest wait until a camera that is there again is seen: a wait of 4 s before the next try, the try, a picture.
const RECOVERY_S: f64 = 8.0;

/// What a fault must come to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    /// Nothing is lost and nothing is told.
    Nothing,
    /// So many pictures are counted as lost, and the camera was never blind.
    Lost(u64, u64),
    /// Told as blind once, and as seeing again once it is over; meanwhile once as still blind where the reason is another: this.
    Blind(Option<&'static str>),
}

const EXPECTED: [(&str, Expect); 12] = [
    ("nothing", Expect::Nothing),
    ("three damaged pictures", Expect::Lost(3, 3)),
    ("a buffer that is not taken", Expect::Lost(1, 5)),
    ("a streaming error", Expect::Lost(1, 5)),
    ("a stream that does not start again", Expect::Lost(1, 5)),
    ("buffers that are refused", Expect::Lost(1, 10)),
    ("a count that wraps", Expect::Lost(1, 5)),
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
        Expect::Lost(least, most) => {
            ensure!(blind == 0, "it was told as blind: {row}");
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
            ensure!(row["recovered_s"].as_f64().is_some_and(|s| s <= RECOVERY_S), "it is not back in time: {row}");
        }
    }
    // Whatever the driver made was seen, counted as lost, or lies in a time that was told as blind.
    let made = number(row, "run_s")? * FPS;
    let accounted = number(row, "pictures")? + lost + row["blind_s"].as_f64().unwrap_or(0.0) * FPS;
    ensure!(
        (accounted - made).abs() <= SLACK_S * FPS,
        "{accounted:.0} pictures accounted for, and {made:.0} made: {row}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(lost: u64, blind: &[&str], recovered_s: Option<f64>) -> Value {
        let blind_s = recovered_s.map(|_| 4.0);
        json!({"code": 0, "blind": blind, "lost": lost, "pictures": 100 - lost, "recovered_s": recovered_s,
            "blind_s": blind_s, "run_s": 10.0 + blind_s.unwrap_or(0.0)})
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
        let mut unaccounted = row(0, &[], None);
        unaccounted["pictures"] = json!(80);
        assert!(judge(&unaccounted, Expect::Nothing).is_err());
    }
}
