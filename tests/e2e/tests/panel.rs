//! The program with a panel, and with one that is not there.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::thread;

use ocelli_e2e::{finish, lines, ocelli, program, root};
use ocelli_link::{Deframer, FRAME_BYTES, Level, Packet, Seeing, Status, ToPanel, encode};

/// Somebody presses the button of a scripted panel as soon as it has an alarm. What the panel heard.
fn scripted(listener: &UnixListener) -> Vec<String> {
    answered(listener.accept().expect("the program comes").0)
}

/// What the panel heard on this line, each answered.
fn answered(mut line: UnixStream) -> Vec<String> {
    let mut status = Status { session: 3, seeing: Seeing::Waiting, ..Status::default() };
    let (mut deframer, mut frame, mut byte, mut heard) = (Deframer::new(), [0; FRAME_BYTES], [0], Vec::new());
    while line.read(&mut byte).is_ok_and(|count| count > 0) {
        let Some(packet) = deframer.push::<Packet<'_>>(byte[0]) else { continue };
        // The first may have been read from already.
        let Ok(Packet { number, message, .. }) = packet else {
            assert!(heard.is_empty(), "the program's frames are whole: {heard:?}");
            continue;
        };
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
    let (code, heard) = heard_by("command = \"sleep 100\"\ntimeout_s = 2", "silent_after = \"7s\"\n", None);
    assert_eq!(code, Some(3), "{heard:?}");
    assert!(heard.iter().any(|message| message.contains("silent_after_s: 7")), "{heard:?}");
    assert!(!heard.iter().any(|message| message == "Beat" || message == "Bye"), "{heard:?}");
}

/// One that fails within a moment, whatever of it does, has told the panel of itself: that waits no longer than after power-up.
#[test]
fn a_program_that_fails_at_once_was_there_for_the_panel() {
    for (camera, more, code) in [
        ("device = \"/dev/no-such-camera\"", "", 3),
        ("device = \"/dev/video0\"", "[memory]\nstate = \"/proc/no\"\n", 1),
    ] {
        let (ended, heard) = heard_by(camera, more, None);
        assert_eq!(ended, Some(code), "{heard:?}");
        assert!(heard.iter().any(|message| message.contains("Settings")), "{heard:?}");
        assert!(!heard.iter().any(|message| message == "Beat" || message == "Bye"), "{heard:?}");
    }
}

/// Whoever is asked to end while its models load was asked all the same.
#[test]
fn a_stop_during_the_start_is_an_end_that_is_meant() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let [socket, config] = ["panel", "ocelli.toml"].map(|name| folder.path().join(name));
    let listener = UnixListener::bind(&socket).expect("there is room");
    let text =
        format!("[camera]\ncommand = \"sleep 100\"\ntimeout_s = 90\n[panel]\ndevice = \"{}\"\n", socket.display());
    fs::write(&config, text).expect("it can be written");
    let mut run = Command::new(program()).arg("run").arg("--config").arg(&config).spawn().expect("it starts");
    // With the first that it sends, long before it watches.
    let (mut line, _) = listener.accept().expect("the program comes");
    line.read_exact(&mut [0]).expect("it asks for a status");
    let asked = Command::new("kill").arg(run.id().to_string()).status();
    assert!(asked.is_ok_and(|status| status.success()));
    let heard = answered(line);
    assert_eq!(run.wait().expect("it ends").code(), Some(0), "{heard:?}");
    assert_eq!(heard.last().map(String::as_str), Some("Bye"), "{heard:?}");
}

/// What the panel heard of a run with this config that was killed by nobody.
fn heard_by(camera: &str, more: &str, seconds: Option<&str>) -> (Option<i32>, Vec<String>) {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let [socket, config] = ["panel", "ocelli.toml"].map(|name| folder.path().join(name));
    let listener = UnixListener::bind(&socket).expect("there is room");
    let more = more.replace("FOLDER", folder.path().to_str().unwrap());
    let text = format!("[camera]\n{camera}\n[panel]\ndevice = \"{}\"\n{more}", socket.display());
    fs::write(&config, text).expect("it can be written");
    let panel = thread::spawn(move || scripted(&listener));
    let limit = seconds.map_or_else(Vec::new, |seconds| vec!["--seconds", seconds]);
    let ran = ocelli(&[&["run", "--config", config.to_str().unwrap()], &limit[..]].concat());
    assert!(ran.code.is_some(), "{}", ran.err);
    (ran.code, panel.join().expect("it does not panic"))
}

/// One that is set up on its page runs without a camera, and is no computer that is silent.
#[test]
fn a_program_that_waits_for_its_first_camera_lives() {
    let set_up = "[gateway]\nlisten = \"127.0.0.1:0\"\nusers = \"FOLDER/users\"\nsetup = \"FOLDER/setup.jsonl\"\n";
    let (code, heard) = heard_by("device = \"/dev/no-such-camera\"", set_up, Some("5"));
    assert_eq!(code, Some(0), "{heard:?}");
    assert!(heard.iter().any(|message| message == "Beat"), "{heard:?}");
    assert_eq!(heard.last().map(String::as_str), Some("Bye"), "it was asked to end");
}

/// A camera's command that ends leaves nobody who watches, whatever code it ends with, and before a time that it was given as well.
#[test]
fn a_command_that_ends_is_silence_for_the_panel() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let clip = folder.path().join("grey.y4m");
    let mut bytes = b"YUV4MPEG2 W64 H48 F10:1 C420\n".to_vec();
    (0..20).for_each(|_| bytes.extend([&b"FRAME\n"[..], &[90; 64 * 48 * 3 / 2]].concat()));
    fs::write(&clip, bytes).expect("it can be written");
    let paced = format!("command = \"cat {}; sleep 3\"", clip.display());
    for seconds in [None, Some("60")] {
        let (code, heard) = heard_by(&paced, "", seconds);
        assert_eq!(code, Some(0), "{heard:?}");
        assert!(heard.iter().any(|message| message == "Beat"), "it watched: {heard:?}");
        assert!(!heard.iter().any(|message| message == "Bye"), "{heard:?}");
    }
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
