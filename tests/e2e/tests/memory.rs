//! The budget holds: looked at from outside the program, and where the system holds it.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use ocelli_e2e::{Ran, ffmpeg, finish, lines, ocelli, program, root, watched};
use serde_json::Value;

const DEMO: &str = "tests/clips/demo.mp4";

/// Random weights: fast, and no words matter here.
const TINY: &str = "models/tiny-test";

fn plan(arguments: &[&str]) -> Value {
    let ran = ocelli(&[&["check", "--json"][..], arguments].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    lines(&ran.out).remove(0)
}

/// The line in which the program says what holds its budget.
fn holder(ran: &Ran) -> &str {
    let line = ran.err.lines().find(|line| line.starts_with("ocelli: budget of "));
    line.unwrap_or_else(|| panic!("it says what holds the budget: {}", ran.err))
}

/// Its last line.
fn last(ran: &Ran) -> &str {
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran.err.lines().last().unwrap_or_default()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn a_run_stays_within_plan_and_budget_of_each_profile() {
    let cases: [(&[&str], u64); 4] = [
        (&["--profile", "home"], 128 << 20),
        (&["--profile", "pico"], 64 << 20),
        (&["--profile", "home", "--enforce"], 128 << 20),
        (&["--profile", "pico", "--enforce"], 64 << 20),
    ];
    let runs = cases.map(|(arguments, budget)| {
        thread::spawn(move || {
            let run = [&["run", DEMO, "--json", "--seconds", "4"][..], arguments].concat();
            let (ran, peak) = watched(&run);
            assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.err);
            let plan = plan(&arguments[..2]);
            let planned = plan["planned_bytes"].as_u64().expect("a number");
            eprintln!("{arguments:?}: {peak:?}, planned {planned}; {}", ran.err.trim());
            assert_eq!((&plan["budget_bytes"], planned <= budget), (&budget.into(), true), "{plan}");
            assert!((8 << 20..=planned).contains(&peak.bytes), "{arguments:?}: {peak:?}, planned {planned}");
            // The limits of data leave this much to code: it must be true by itself.
            let code = plan["items"]
                .as_array()
                .and_then(|items| items.iter().find(|item| item["name"] == "code and libraries"));
            let code = code.and_then(|item| item["bytes"].as_u64()).expect("a part of the plan");
            assert!(peak.file_bytes <= code, "{arguments:?}: {peak:?}, {code} of code planned");
            if arguments.contains(&"--enforce") {
                let budget = format!("budget of {}.0 MiB enforced by ", budget >> 20);
                assert!(holder(&ran).contains(&budget), "{}", ran.err);
            }
        })
    });
    runs.into_iter().for_each(|run| run.join().expect("a run within its plan"));
}

#[test]
fn a_program_that_gets_no_memory_says_so_and_ends_with_6() {
    // The pack does not even load within this heap.
    let ran = ocelli(&["run", DEMO, "--enforce", "--memory-budget", "2MiB", "--seconds", "9"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(6), ""), "{}", ran.err);
    assert!(
        last(&ran).starts_with("ocelli: out of memory: ") && last(&ran).contains("budget of 2.0 MiB"),
        "{}",
        ran.err
    );
    assert!(last(&ran).contains("raise memory_budget") && ran.err.lines().count() == 1, "{}", ran.err);
    // A limit of the system that the program knows nothing of.
    let mut shell = Command::new("sh");
    let script = "ulimit -d 6144 && exec \"$0\" run \"$1\" --seconds 9";
    shell.args(["-c", script, text(program()), DEMO]).current_dir(root());
    let ran = finish(shell);
    assert_eq!(ran.code, Some(6), "{}", ran.err);
    assert!(
        last(&ran).starts_with("ocelli: out of memory: ") && last(&ran).contains("the system gives no more"),
        "{}",
        ran.err
    );
}

#[test]
fn a_plan_over_budget_is_refused_before_anything_is_held() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("ocelli.toml");
    fs::write(&config, "profile = \"pico\"\nenforce = true\n[camera]\nsize_px = \"1920x1080\"\n")
        .expect("it is writable");
    let large: &[&str] = &["run", DEMO, "--config", text(&config)];
    let small: &[&str] = &["run", DEMO, "--enforce", "--memory-budget", "24MiB"];
    for (arguments, word) in [(large, "camera or decoder"), (small, "code and libraries")] {
        let ran = ocelli(arguments);
        assert_eq!(ran.code, Some(5), "{arguments:?}: {}", ran.err);
        let said = last(&ran);
        assert!(said.contains("the largest parts are") && said.contains(word), "{arguments:?}: {said}");
        assert!(said.contains("raise memory_budget") && said.contains("(size_px)"), "{arguments:?}: {said}");
        assert!(!ran.err.contains("enforced"), "{arguments:?}: {}", ran.err);
    }
}

/// Limits are inherited: a decoder that the program starts would have to live with what is left of them.
#[test]
fn commands_are_not_held_by_the_budget() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = folder.path().join("part.y4m");
    let Some(clip) = ffmpeg(&clip, &["-i", DEMO, "-t", "1", "-pix_fmt", "yuv420p"]) else { return };
    let seen = folder.path().join("limits");
    let (clip, at) = (clip.display(), seen.display());
    let look = |of: &str| format!("grep '^Max data size' /proc/{of}/limits; grep '^0::' /proc/{of}/cgroup");
    let script = format!("({}; echo then; {}) > {at}; cat {clip}", look("self"), look("$PPID"));
    let ran = ocelli(&["run", "--command", &script, "--pack", TINY, "--enforce"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let seen = fs::read_to_string(&seen).expect("the command wrote it");
    let (command, program) = seen.split_once("then\n").expect("two halves");
    let before = fs::read_to_string("/proc/self/limits").expect("it is there");
    let limit = before.lines().find(|line| line.starts_with("Max data size")).expect("it is there");
    assert!(command.contains(limit), "as it was before: {seen}");
    let said = holder(&ran);
    // A cgroup with a limit of its own holds commands too.
    assert!(command != program || said.contains("which holds commands too"), "{said}: {seen}");
    assert!(!said.contains("RLIMIT_DATA") || !program.contains(limit), "{said}: {seen}");

    let old = folder.path().join("old.avi");
    let arguments = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5", "-t", "1", "-c:v", "mpeg4"];
    let Some(old) = ffmpeg(&old, &arguments) else { return };
    let ran = ocelli(&["run", text(&old), "--pack", TINY, "--enforce"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

/// What the gateway starts to answer somebody has this limit (`COMMAND_BYTES`), and most of it loads the text encoder.
#[test]
fn a_text_encoder_is_content_with_what_an_answering_process_may_hold() {
    let under = |mebibytes: u32| {
        let script = format!("ulimit -d {}; echo 'The cat jumps on the counter.' | exec \"$0\" embed", mebibytes << 10);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(program()).current_dir(root()).output().expect("there is a shell")
    };
    let (enough, little) = (under(16), under(8));
    assert!(enough.status.success() && enough.stdout.len() > 384, "{}", String::from_utf8_lossy(&enough.stderr));
    assert_eq!(little.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&little.stderr).contains("out of memory"));
}
