//! What happens to cameras, done to one by its driver while the program watches, each to a program of its own.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::machine::{report, sleep_s, uptime_s};
use crate::program::{Program, is};
use crate::v4l2::Node;

const CAMERA: &str = "/dev/video0";
const CONFIG: &str = "/etc/vivid.toml";

/// The driver, which can be taken from its device and given back, as a plug.
const DRIVER: &str = "/sys/bus/platform/drivers/vivid";
const DEVICE: &str = "vivid.0";

/// Until all is well again, with a wait before each try that grows.
const PATIENCE_S: f64 = 25.0;

fn control(name: &str, value: i32) {
    Node::open(Path::new(CAMERA)).expect("the camera is there").set(name, value);
}

fn press(name: &str) {
    control(name, 1);
}

/// A fault by name, and what does it, from its begin to its end.
const FAULTS: [(&str, fn()); 12] = [
    ("nothing", || {}),
    ("three damaged pictures", || {
        for _ in 0..3 {
            press("Inject V4L2_BUF_FLAG_ERROR");
            sleep_s(0.5);
        }
    }),
    ("a buffer that is not taken", || press("Inject VIDIOC_QBUF Error")),
    ("a streaming error", || press("Inject Fatal Streaming Error")),
    ("a stream that does not start again", || {
        press("Inject VIDIOC_STREAMON Error");
        press("Inject Fatal Streaming Error");
    }),
    ("buffers that are refused", || {
        press("Inject VIDIOC_REQBUFS Error");
        press("Inject Fatal Streaming Error");
    }),
    ("a count that wraps", || {
        control("Wrap Sequence Number", 1);
        press("Inject Fatal Streaming Error");
        sleep_s(15.0);
        control("Wrap Sequence Number", 0);
    }),
    ("a third of the pictures dropped", || {
        control("Percentage of Dropped Buffers", 33);
        sleep_s(10.0);
        control("Percentage of Dropped Buffers", 0);
    }),
    ("a stall", || {
        control("Percentage of Dropped Buffers", 100);
        sleep_s(4.0);
        control("Percentage of Dropped Buffers", 0);
    }),
    ("a device that is gone for a moment", || press("Disconnect")),
    ("unplugged, and plugged in", || {
        fs::write(Path::new(DRIVER).join("unbind"), DEVICE).expect("it is bound");
        sleep_s(4.0);
        assert!(!Path::new(CAMERA).exists(), "the node goes with the device");
        fs::write(Path::new(DRIVER).join("bind"), DEVICE).expect("it is not bound");
    }),
    ("lost to another program", || {
        press("Disconnect");
        // The device is back when all have let it go, and the program waits before it looks again.
        let other = loop {
            match Node::open(Path::new(CAMERA)).map(|node| (node.hold(), node)) {
                Ok((Ok(()), node)) => break node,
                _ => sleep_s(0.02),
            }
        };
        sleep_s(4.0);
        drop(other);
    }),
];

pub fn run() {
    for (name, happens) in FAULTS {
        report("fault begins", &json!(name));
        let mut program = Program::run(CONFIG);
        let first = program.wait_for(PATIENCE_S, |event| is(event, "health"));
        let (first_s, _) = first.unwrap_or_else(|| panic!("{name}: no first picture"));
        program.listen(2.0);
        let begins_s = uptime_s();
        happens();
        let over_s = uptime_s();
        let (mut blind, mut still, mut back) = (Vec::new(), Vec::new(), None);
        // A loss is told within the time limit of a picture, which is a second here, and a little.
        let mut patience_s = 3.0;
        while let Some((at_s, event)) = program.wait_for(patience_s, |event| is(event, "blind") || is(event, "health"))
        {
            if is(&event, "blind") {
                blind.push(event["text"].clone());
                (back, patience_s) = (None, PATIENCE_S);
            } else if event["text"].as_str().is_some_and(|text| text.starts_with("still blind")) {
                still.push(event["text"].clone());
            } else {
                back = Some((at_s, event));
                patience_s = 3.0;
            }
        }
        let run_s = uptime_s() - first_s;
        let ended = program.stop();
        let blind_s = back
            .as_ref()
            .map(|(_, event)| event["t_end_s"].as_f64().unwrap_or(0.0) - event["t_start_s"].as_f64().unwrap_or(0.0));
        report(
            "fault",
            &json!({"name": name, "lasted_s": over_s - begins_s, "blind": blind, "still": still, "blind_s": blind_s,
                "recovered_s": back.map(|(at_s, _)| at_s - over_s), "run_s": run_s, "code": ended.code,
                "rss_peak_bytes": ended.rss_peak_bytes, "pictures": ended.count("pictures"),
                "seen": ended.count("seen"), "late": ended.count("late"), "lost": ended.count("lost"),
                "damaged": ended.count("damaged")}),
        );
    }
    starts();
}

/// A camera that cannot be used when the program starts ends it, with a word.
fn starts() {
    let start = |name: &str| {
        let ended = Program::run(CONFIG).end();
        report("start", &json!({"name": name, "code": ended.code, "why": ended.notes.last()}));
    };
    let other = Node::open(Path::new(CAMERA)).expect("the camera is there");
    other.hold().expect("nobody has it");
    start("in use by another program");
    drop(other);
    fs::write(Path::new(DRIVER).join("unbind"), DEVICE).expect("it is bound");
    start("no camera");
}
