//! The clip of the tests in front of the camera, once, from its beginning to its end: what is told of it?

use std::sync::mpsc::channel;

use serde_json::json;

use crate::machine::{report, uptime_s};
use crate::player::Player;
use crate::program::{PROGRAM, Program, is};

/// The clip, and what may still be said of its end.
const SECONDS: f64 = 46.0;

/// How long the program sees the first picture before the clip begins.
const LEAD_S: u32 = 2;

/// Until it has seen that.
const PATIENCE_S: f64 = 10.0;

pub fn run() {
    let checked = std::process::Command::new(PROGRAM)
        .args(["check", "--json", "--config", "/etc/loopback.toml"])
        .env("OCELLI_PACKS", "/models")
        .output()
        .expect("the program starts");
    let plan: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("a plan is JSON");
    report("plan", &plan);
    let player = Player::open();
    let written = player.written();
    let (tell, seen) = channel();
    player.play_once(seen, LEAD_S);
    let mut program = Program::run("/etc/loopback.toml");
    let (watches_s, _) = program.wait_for(PATIENCE_S, |event| is(event, "health")).expect("it watches");
    // The newest of these is the one that it saw.
    let before = written() - 1;
    tell.send(()).expect("it plays");
    let began_s = watches_s + f64::from(LEAD_S);
    let mut narrations = 0;
    while uptime_s() < began_s + SECONDS {
        let left_s = began_s + SECONDS - uptime_s();
        if let Some((at_s, event)) = program.wait_for(left_s, |event| is(event, "narration") || is(event, "alert")) {
            narrations += 1;
            report(
                "told",
                &json!({"clip_s": ((at_s - began_s) * 100.0).round() / 100.0, "type": event["type"], "text": event["text"]}),
            );
        }
    }
    let ended = program.stop();
    let shown = written() - before;
    report(
        "narrated",
        &json!({"narrations": narrations, "code": ended.code, "rss_peak_bytes": ended.rss_peak_bytes, "cgroup_peak_bytes": ended.cgroup_peak_bytes,
            "cgroup_max_bytes": ended.cgroup_max_bytes, "shown": shown, "pictures": ended.count("pictures"), "seen": ended.count("seen"), "late": ended.count("late"),
            "lost": ended.count("lost"), "damaged": ended.count("damaged")}),
    );
}
