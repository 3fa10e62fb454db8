//! The program with a panel, and with one that is not there.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;

use ocelli_e2e::{finish, lines, ocelli, program, root};
use ocelli_link::{Deframer, FRAME_BYTES, Level, Packet, Seeing, Status, ToPanel, encode};

/// Somebody presses the button of a scripted panel as soon as it has an alarm. What the panel heard.
fn scripted(listener: &UnixListener) -> Vec<String> {
    let (mut line, _) = listener.accept().expect("the program comes");
    let mut status = Status { session: 3, seeing: Seeing::Waiting, ..Status::default() };
    let (mut deframer, mut frame, mut byte, mut heard) = (Deframer::new(), [0; FRAME_BYTES], [0], Vec::new());
    while line.read(&mut byte).is_ok_and(|count| count > 0) {
        let Some(packet) = deframer.push::<Packet<'_>>(byte[0]) else { continue };
        let Packet { number, message, .. } = packet.expect("the program's frames are whole");
        status.heard = status.heard.max(number);
        if let ToPanel::Tell { level: Level::Alarm, id, .. } = message {
            (status.presses, status.pressed_id) = (1, id);
        }
        heard.push(format!("{message:?}"));
        if line.write_all(encode(&status, &mut frame).expect("it fits")).is_err() {
            break;
        }
    }
    heard
}

#[test]
fn an_alarm_is_shown_on_the_panel_and_its_button_acknowledges_it() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let [socket, journal, config] = ["panel", "events.journal", "ocelli.toml"].map(|name| folder.path().join(name));
    let listener = UnixListener::bind(&socket).expect("there is room");
    let text = format!(
        "[panel]\ndevice = \"{}\"\nsilent_after = \"7s\"\n[journal]\nfile = \"{}\"\n\
         [alerts]\nescalate_after = \"5s\"\n[[alert]]\ntext = \"It goes on\"\nabsent = [\"silence\"]\nthreshold = 1.0\n",
        socket.display(),
        journal.display()
    );
    fs::write(&config, text).expect("it can be written");
    let panel = thread::spawn(move || scripted(&listener));
    let mut command = Command::new(program());
    command.arg("run").arg(root().join("tests/clips/demo.mp4")).args(["--seconds", "12", "--json", "--config"]);
    let ran = finish({
        command.arg(&config);
        command
    });
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let heard = panel.join().expect("it does not panic");
    let has = |words: &str| heard.iter().any(|message| message.contains(words));
    for words in ["silent_after_s: 7", "Beat", "level: Alarm", "text: \"It goes on", "Standing([0, 0"] {
        assert!(has(words), "{words}: {heard:?}");
    }
    assert_eq!(heard.last().map(String::as_str), Some("Bye"));
    let events = lines(&ran.out);
    let of = |kind: &'static str| events.iter().filter(move |event| event["type"] == kind);
    assert_eq!(of("alert").filter(|event| event["text"] == "It goes on").count(), 1);
    assert!(of("alert").all(|event| !event["text"].as_str().unwrap().contains("not acknowledged")), "{events:?}");
    assert!(of("update").any(|event| event["text"] == "acknowledged at the panel: It goes on"), "{events:?}");
    let kept = ocelli(&["events", "--journal", journal.to_str().unwrap(), "--kind", "alert"]);
    assert!(kept.out.contains("It goes on") && kept.out.contains("acknowledged"), "{}{}", kept.out, kept.err);
}

/// A program that finds no camera fails, and is started again and again: the panel hears neither a heartbeat nor that this was meant.
#[test]
fn a_program_that_fails_is_silence_for_the_panel() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let [socket, config] = ["panel", "ocelli.toml"].map(|name| folder.path().join(name));
    let listener = UnixListener::bind(&socket).expect("there is room");
    let text = format!(
        "[camera]\ncommand = \"sleep 100\"\ntimeout_s = 2\n[panel]\ndevice = \"{}\"\nsilent_after = \"7s\"\n",
        socket.display()
    );
    fs::write(&config, text).expect("it can be written");
    let panel = thread::spawn(move || scripted(&listener));
    let ran = ocelli(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    let heard = panel.join().expect("it does not panic");
    assert!(heard.iter().any(|message| message.contains("silent_after_s: 7")), "{heard:?}");
    assert!(!heard.iter().any(|message| message == "Beat" || message == "Bye"), "{heard:?}");
}

#[test]
fn a_panel_that_is_not_there_is_told_and_costs_nothing() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let config = folder.path().join("ocelli.toml");
    fs::write(&config, "[panel]\ndevice = \"/dev/no-such-panel\"\n").expect("it can be written");
    let config = config.to_str().unwrap();
    let checked = ocelli(&["check", "--config", config]);
    let line = "panel   /dev/no-such-panel: there is no panel here; check the path, or plug it in\n";
    assert!(checked.code == Some(0) && checked.out.contains(line), "{}{}", checked.out, checked.err);
    let clip = root().join("tests/clips/demo.mp4");
    let ran = ocelli(&["run", clip.to_str().unwrap(), "--seconds", "8", "--json", "--config", config]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = lines(&ran.out);
    let told = events.iter().filter(|event| event["text"].as_str().unwrap().contains("there is no panel here"));
    assert!(told.clone().all(|event| event["type"] == "health") && told.count() == 1, "{events:?}");
    assert!(events.iter().any(|event| event["type"] == "narration"), "{events:?}");
}
