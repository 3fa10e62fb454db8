//! A program that keeps what it sees and says on a disk, until somebody pulls the plug: the host, which kills this machine.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::machine::{mount, report, sleep_s, uptime_s};
use crate::player::Player;
use crate::program::{PROGRAM, Program, is};

const DISK: &str = "/dev/vda";
const DATA: &str = "/data";
const CONFIG: &str = "/etc/cuts.toml";

pub fn run() {
    while !std::path::Path::new(DISK).exists() {
        sleep_s(0.02);
    }
    mount(DISK, DATA, "ext4");
    // Each time another part of the clip, so that there is something to tell from the beginning.
    let first = std::env::var("first").ok().and_then(|first| first.parse().ok()).expect("the host says first=");
    Player::open().play(0, first, true);
    let mut program = Program::run(CONFIG);
    let told = program.wait_for(120.0, |event| is(event, "narration"));
    report("narrates", &json!({"uptime_s": told.map(|(at_s, _)| at_s), "now_s": uptime_s()}));
    // What the cuts before left of the journal, as a person would ask.
    let mut asked = Command::new(PROGRAM);
    asked.args(["events", "--json", "--limit", "1000", "--config", CONFIG]).env("OCELLI_PACKS", "/models");
    let asked = asked.output().expect("the program starts");
    let events = String::from_utf8_lossy(&asked.stdout);
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ids: Vec<Value> = events.filter(|event| is(event, "narration")).map(|event| event["id"].clone()).collect();
    let mut aside: Vec<String> = Vec::new();
    for folder in [DATA, "/data/state"] {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        aside.extend(
            files.filter_map(|file| file.file_name().into_string().ok()).filter(|name| name.contains("refused")),
        );
    }
    report("kept", &json!({"code": asked.status.code(), "ids": ids, "set_aside": aside}));
    program.listen(3600.0);
    panic!("the program ended by itself: {:?}", program.end().code);
}
