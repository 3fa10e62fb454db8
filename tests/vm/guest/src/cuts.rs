//! A program that keeps what it sees and says on a disk, until somebody pulls the plug: the host, which kills this machine.

use std::process::Command;
use std::{fs, thread};

use serde_json::{Value, json};

use crate::machine::{mount, report, sleep_s};
use crate::player::Player;
use crate::program::{PROGRAM, Program, is};

const DISK: &str = "/dev/vda";
const DATA: &str = "/data";
const CONFIG: &str = "/etc/cuts.toml";

/// How often the host hears that the machine still runs, so that it knows when the power was cut in the machine's time.
const TICK_S: f64 = 0.1;

/// The host pulls the plug before.
const FOREVER_S: f64 = 3600.0;

pub fn run() {
    while !std::path::Path::new(DISK).exists() {
        sleep_s(0.02);
    }
    thread::spawn(|| {
        loop {
            report("tick", &Value::Null);
            sleep_s(TICK_S);
        }
    });
    report("mounts", &Value::Null);
    mount(DISK, DATA, "ext4");
    // Each time another part of the clip, so that there is something to tell from the beginning.
    let first = std::env::var("first").ok().and_then(|first| first.parse().ok()).expect("the host says first=");
    Player::open().play_round(first);
    report("starts", &Value::Null);
    let mut program = Program::run(CONFIG);
    let _ = program.wait_for(FOREVER_S, |event| is(event, "narration"));
    // What the cuts before left of the journal, as a person would ask: all of it, or the host hears that there may be more.
    let asked = ocelli(&["events", "--json", "--limit", "1000"]).output().expect("the program starts");
    let events = String::from_utf8_lossy(&asked.stdout);
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events: Vec<Value> = events.filter(|event| event["id"].is_u64()).collect();
    let mut aside: Vec<String> = Vec::new();
    for folder in [DATA, "/data/state"] {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        aside.extend(
            files.filter_map(|file| file.file_name().into_string().ok()).filter(|name| name.contains("refused")),
        );
    }
    let brief = |event: &Value| {
        json!({"id": event["id"], "camera": event["camera"], "kind": event["kind"], "t_start_s": event["t_start_s"],
            "t_end_s": event["t_end_s"], "narrations": event["narrations"], "acknowledged": event["acknowledged"].is_string()})
    };
    let kept: Vec<Value> = events.iter().map(brief).collect();
    report("kept", &json!({"code": asked.status.code(), "events": kept, "set_aside": aside}));
    for alert in events.iter().filter(|event| is(event, "alert") && !event["acknowledged"].is_string()) {
        acknowledge(&alert["id"]);
    }
    while let Some((_, alert)) = program.wait_for(FOREVER_S, |event| is(event, "alert")) {
        // Until the journal has it.
        sleep_s(0.5);
        acknowledge(&alert["id"]);
    }
    panic!("the program ended by itself: {:?}", program.end().code);
}

fn acknowledge(id: &Value) {
    let done = ocelli(&["ack", &id.to_string()]).output().expect("the program starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    report("acknowledged", id);
}

fn ocelli(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(words).args(["--config", CONFIG]).env("OCELLI_PACKS", "/models");
    command
}
