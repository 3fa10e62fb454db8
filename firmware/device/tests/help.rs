//! The help that a newcomer reads first.

use std::process::Command;

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ocelli")).args(arguments).output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("help is text")
}

#[test]
fn help_names_every_command_and_exit_code() {
    let text = help(&["--help"]);
    for word in [
        "run",
        "replay",
        "check",
        "packs",
        "vocab",
        "Exit codes:",
        "  0 ",
        "  1 ",
        "  2 ",
        "  3 ",
        "  4 ",
        "  5 ",
        "  6 ",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn help_of_the_main_commands_shows_examples() {
    assert!(help(&["run", "--help"]).contains("rpicam-vid"));
    assert!(help(&["replay", "--help"]).contains("--json > events.jsonl"));
    assert!(help(&["vocab", "--help"]).contains("ocelli vocab add 'the cat jumps on the counter'"));
}
