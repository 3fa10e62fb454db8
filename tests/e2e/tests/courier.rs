//! `[[webhook]]`, `[mqtt]` and `[outbox]` of the real program. Brokers and targets that fail are tested in `firmware/gateway`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ocelli_e2e::{lines, ocelli};
use serde_json::Value;

/// A request's body, once it is whole.
fn body(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())?;
        if body.len() >= length {
            return Some(body.into());
        }
    }
}

#[test]
fn what_a_run_told_nobody_arrives_with_the_next_run_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let (config, outbox) = (folder.path().join("ocelli.toml"), folder.path().join("outbox"));
    let text = format!(
        "[[webhook]]\nurl = \"http://127.0.0.1:{port}/x\"\nper_minute = 600\n\
         events = [\"narration\", \"alert\", \"alert_end\", \"update\", \"camera\"]\n\
         [outbox]\nfolder = \"{}\"\n[speak]\nverbosity = \"full\"\n",
        outbox.display()
    );
    fs::write(&config, text).expect("it is writable");
    let config = config.to_str().expect("a plain path");
    let run = ["run", "tests/clips/demo.mp4", "--json", "--seconds", "20", "--config", config];
    let first = ocelli(&run);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    let got = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let Some(body) = body(&mut stream) else { continue };
            all.lock().expect("nobody panicked").push(body);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    let second = ocelli(&run);
    assert_eq!(second.code, Some(0), "{}", second.err);
    let said = |out: &str| -> Vec<Value> {
        let events = lines(out).into_iter().filter(|event| event["type"] != "health");
        events.map(|event| event["text"].clone()).collect()
    };
    let (first_said, second_said) = (said(&first.out), said(&second.out));
    assert!(!first_said.is_empty() && first.err.contains("webhook `cloudevents` (http://127.0.0.1"), "{}", first.err);
    let got: Vec<Value> = got.lock().expect("nobody panicked").iter().map(|body| body.parse().expect("JSON")).collect();
    let texts: Vec<Value> = got.iter().map(|event| event["data"]["text"].clone()).collect();
    // The last ones of the second run may wait for the third.
    assert!(texts.len() >= first_said.len(), "{texts:?}");
    assert_eq!(texts[..], [first_said, second_said].concat()[..texts.len()]);
    let mut uids: Vec<String> = got.iter().map(|event| event["id"].to_string()).collect();
    uids.sort();
    uids.dedup();
    assert_eq!(uids.len(), got.len());
}

/// A label of 64 letters, which no name may have: that is known without asking anybody, so that this test needs no network.
#[test]
fn a_name_of_mdns_that_is_not_found_is_told_with_what_to_write() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("ocelli.toml");
    let host = format!("{}.local", "h".repeat(64));
    let advice = "write the IP address, or put the name into /etc/hosts";
    let webhook = format!("[[webhook]]\nurl = \"http://{host}/x\"\nevents = [\"narration\"]\n");
    let text = format!("[mqtt]\nbroker = \"mqtt://{host}\"\n{webhook}");
    fs::write(&config, text).expect("it is writable");
    let config = config.to_str().expect("a plain path");
    let told = ocelli(&["run", "tests/clips/demo.mp4", "--seconds", "20", "--config", config]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    for of in ["mqtt mqtt://", "webhook `cloudevents`"] {
        let line = told.err.lines().find(|line| line.contains(of) && line.contains("failed to lookup"));
        assert!(line.is_some_and(|line| line.contains(advice)), "{of}: {}", told.err);
    }
    let camera = ocelli(&["run", "--rtsp", &format!("rtsp://{host}/x"), "--seconds", "20"]);
    assert_eq!(camera.code, Some(3), "{}", camera.err);
    assert!(camera.err.contains("failed to lookup") && camera.err.contains(advice), "{}", camera.err);
}

#[test]
fn check_shows_targets_and_their_memory_and_refuses_what_cannot_be_meant() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("ocelli.toml");
    let check = |text: &str| {
        fs::write(&config, text).expect("it is writable");
        ocelli(&["check", "--config", config.to_str().expect("a plain path")])
    };
    let shown =
        check("[mqtt]\nbroker = \"mqtt://broker.lan\"\ndevice = \"b\"\n[[webhook]]\nurl = \"https://h/hunter2\"\n");
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    for line in [
        "mqtt    mqtt://broker.lan: ocelli/home/b\n",
        "webhook cloudevents: cloudevents to https://h:443",
        "MQTT and webhooks",
    ] {
        assert!(shown.out.contains(line), "{line}: {}", shown.out);
    }
    assert!(!shown.out.contains("hunter2"), "{}", shown.out);
    let refused = check("[mqtt]\nbroker = \"broker.lan\"\n");
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("`broker` begins with neither mqtt:// nor mqtts://"), "{}", refused.err);
    let absent = check("[[webhook]]\nurl = \"http://h/\"\ntoken_file = \"none\"\n");
    assert_eq!(absent.code, Some(0), "secrets are read by `run`: {}", absent.err);
    let run = ocelli(&["run", "tests/clips/demo.mp4", "--config", config.to_str().expect("a plain path")]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("webhook `cloudevents`: none: "), "{}", run.err);
}
