//! The gateway of the real program: what is said is told and found, and it stays within the plan.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ocelli_e2e::{lines, ocelli, program, root};
use serde_json::{Value, json};

/// A running program, ended with this value.
struct Running {
    child: Child,
    address: String,
    /// What it says.
    said: Arc<Mutex<String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// `run` of the pack of the tests on a clip that a command plays, with these lines in [gateway].
fn run(folder: &Path, gateway: &str) -> Running {
    run_of(folder, "tiny-test", gateway)
}

/// The same of another pack.
fn run_of(folder: &Path, pack: &str, gateway: &str) -> Running {
    made(folder);
    let at = folder.display();
    let play = format!("cat {at}/head; while true; do cat {at}/frames; sleep 1; done");
    let config = folder.join("ocelli.toml");
    let text = format!(
        "pack = \"{}\"\nvocabulary = \"{folder}/words.jsonl\"\n[camera]\nname = \"hall\"\ncommand = '''{play}'''\n\
         [journal]\nfile = \"{folder}/journal\"\n[gateway]\nlisten = \"127.0.0.1:0\"\nusers = \"{folder}/users\"\n\
         audit = \"{folder}/audit\"\n{gateway}\n",
        root().join("models").join(pack).display(),
        folder = folder.display(),
    );
    fs::write(&config, text).expect("it is writable");
    let mut command = Command::new(program());
    command.args(["run", "--json", "--config"]).arg(&config).current_dir(root());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
    let (mut line, told) = (String::new(), Arc::new(Mutex::new(String::new())));
    let address = loop {
        told.lock().expect("nobody panics").push_str(&line);
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("text"), 0, "it should say where the gateway is");
        if let Some(at) = line.trim().strip_prefix("ocelli: the gateway is at http://") {
            break at.trim_end_matches('/').to_owned();
        }
    };
    // What it says from now on must not fill the pipe.
    let heard = Arc::clone(&told);
    std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            heard.lock().expect("nobody panics").push_str(&(line + "\n"));
        }
    });
    Running { child, address, said: told }
}

/// Pictures in which something moves: what stands before them, and two seconds of them, which may be repeated.
fn made(folder: &Path) {
    let mut frames = Vec::new();
    for frame in 0..30_usize {
        frames.extend_from_slice(b"FRAME\n");
        frames.extend((0..64 * 48).map(|at| if (at % 64 + 2 * frame) % 64 < 16 { 200_u8 } else { 60 }));
        frames.extend([128; 2 * 32 * 24]);
    }
    fs::write(folder.join("head"), "YUV4MPEG2 W64 H48 F15:1 C420\n").expect("it is writable");
    fs::write(folder.join("frames"), frames).expect("it is writable");
}

impl Running {
    fn send(&self, method: &str, path: &str, headers: &str, body: Option<&Value>) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_mins(2))).expect("a time limit");
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{kind}{headers}\r\n{body}",
            self.address,
            body.len(),
        );
        stream.write_all(request.as_bytes()).expect("it takes a request");
        stream
    }

    /// Status, head and body.
    fn ask(&self, method: &str, path: &str, headers: &str, body: Option<&Value>) -> (u16, String, String) {
        let mut text = Vec::new();
        self.send(method, path, headers, body).read_to_end(&mut text).expect("an answer");
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head.to_owned(), body.to_owned())
    }

    fn json(&self, path: &str, headers: &str) -> Value {
        let (status, _, body) = self.ask("GET", path, headers, None);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    /// Sets the password, and gives the headers of who did.
    fn claimed(&self) -> String {
        self.entered("/api/setup", &json!({"password": "correct horse"}))
    }

    /// The headers of who comes in so.
    fn entered(&self, path: &str, with: &Value) -> String {
        let (status, head, body) = self.ask("POST", path, "", Some(with));
        assert_eq!(status, 200, "{body}");
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a session");
        let hello: Value = serde_json::from_str(&body).expect("JSON");
        let csrf = hello["csrf"].as_str().expect("what comes along");
        format!("Cookie: {}\r\nX-CSRF-Token: {csrf}\r\n", cookie.split(';').next().unwrap_or_default())
    }

    /// How many pictures the model saw.
    fn processed(&self, who: &str) -> u64 {
        self.json("/api/stats", who)["cameras"][0]["processed"].as_u64().expect("a number")
    }

    /// Waits until the model has seen more.
    fn goes_on(&self, who: &str) {
        let (before, begun) = (self.processed(who), Instant::now());
        while self.processed(who) <= before {
            assert!(begun.elapsed() < Duration::from_secs(30), "it watches");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A journal of some events, closed in order: what is written from now on lies beside the file at first.
fn kept(folder: &Path) -> PathBuf {
    let journal = folder.join("journal");
    let at = ["--at", "2026-11-26T18:00:00Z", "--pack", "models/home", "--journal"];
    let ran = ocelli(&[&["replay", "tests/clips/demo.mp4"], &at[..], &[journal.to_str().expect("plain")]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    journal
}

#[test]
fn a_journal_that_another_holds_is_said_and_costs_no_picture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = kept(folder.path());
    let running = run(folder.path(), "");
    let who = running.claimed();
    let ack = |running: &Running| running.ask("POST", "/api/events/1/ack", &who, None);
    let hold = "import sqlite3, sys; one = sqlite3.connect(sys.argv[1], isolation_level=None); one.execute('BEGIN IMMEDIATE'); \
                print('held', flush=True); sys.stdin.read()";
    let mut holder = Command::new("python3");
    let mut holder = holder.args(["-c", hold]).arg(&journal).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let holder = holder.as_mut().expect("Python starts");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line).expect("text");
    assert_eq!(line, "held\n");
    let (status, head, body) = ack(&running);
    assert!(status == 503 && head.contains("retry-after: 5") && body.contains("locked"), "{head}\n{body}");
    assert!(!body.contains(journal.to_str().expect("plain")), "{body}");
    // Who reads is not held up, and nor is who watches.
    assert!(!running.json("/api/events", &who)["events"].as_array().expect("a list").is_empty());
    running.goes_on(&who);
    drop(holder.stdin.take());
    assert!(holder.wait().expect("it ends").success());
    let (status, _, body) = ack(&running);
    assert!(status == 400 && body.contains("only alerts are acknowledged"), "{body}");
}

#[test]
fn a_journal_that_is_damaged_is_said_set_aside_and_begun_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = kept(folder.path());
    let running = run(folder.path(), "");
    let who = running.claimed();
    let first = running.json("/api/events/1", &who);
    // In place, as a card does it, but for the page that says what it is.
    let length = fs::metadata(&journal).expect("it is there").len() as usize;
    let file = fs::OpenOptions::new().write(true).open(&journal).expect("it is writable");
    file.write_all_at(&vec![0xa5; length - 4096], 4096).expect("it is writable");
    let (status, head, body) = running.ask("GET", "/api/events?q=someone", &who, None);
    assert!(
        status == 503 && head.contains("retry-after: 5") && body.contains("the journal is damaged"),
        "{head}\n{body}"
    );
    assert!(!body.contains(journal.to_str().expect("plain")), "{body}");
    assert_eq!(running.ask("GET", "/health", "", None).0, 200);
    running.goes_on(&who);
    let before = Arc::clone(&running.said);
    drop(running);
    // It is met when something is written, by this program or the next: its pack soon says that nobody is there.
    let running = run_of(folder.path(), "home", "");
    let text = |said: &Mutex<String>| said.lock().expect("nobody panics").clone();
    let (said, begun) = (|| text(&before) + &text(&running.said), Instant::now());
    while !(said().contains("damaged") && said().contains("events of it were saved")) {
        assert!(begun.elapsed() < Duration::from_mins(1), "it should say so: {}", said());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(folder.path().join("journal.refused").is_file(), "{}", said());
    let who = running.entered("/api/login", &json!({"name": "admin", "password": "correct horse"}));
    let begun = Instant::now();
    let newest = loop {
        let page = running.json("/api/events?limit=1", &who);
        if let Some(newest) = page["events"][0]["id"].as_u64() {
            break newest;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "what is told is kept");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(Some(newest) > first["id"].as_u64(), "no id is given twice: {newest}");
}

#[test]
fn what_is_said_is_told_found_and_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let running = run(folder.path(), "");
    assert_eq!(running.ask("GET", "/api/events", "", None).0, 401);
    let who = running.claimed();
    // The first picture may have been told before somebody could listen: who has had nothing yet gets it from the journal.
    let headers = format!("{who}Last-Event-ID: 0\r\n");
    let mut stream = running.send("GET", "/api/events/stream", &headers, None);
    let (mut heard, mut byte) = (Vec::new(), [0]);
    while !heard.ends_with(b"watching") {
        assert_eq!(stream.read(&mut byte).expect("it is told"), 1, "{}", String::from_utf8_lossy(&heard));
        heard.push(byte[0]);
    }
    let begun = Instant::now();
    let events = loop {
        let page = running.json("/api/events?limit=5", &who);
        if page["events"].as_array().is_some_and(|events| !events.is_empty()) {
            break page;
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "the journal has it");
    };
    let event = &events["events"][0];
    assert_eq!((&event["camera"], event["start"].is_string()), (&json!("hall"), true), "{event}");
    let listed = ocelli(&["events", "--json", "--journal", folder.path().join("journal").to_str().expect("plain")]);
    let found = lines(&listed.out);
    let same = found.iter().find(|found| found["id"] == event["id"]).expect("the same journal");
    for key in ["type", "camera", "start", "text", "kind", "t_start_s"] {
        assert_eq!(same[key], event[key], "{key}");
    }
    let stats = running.json("/api/stats", &who);
    let camera = &stats["cameras"][0];
    assert!(camera["processed"].as_u64() > Some(0) && camera["up"] == true, "{camera}");
    let memory = &stats["memory"];
    assert!(memory["resident_bytes"].as_u64() <= memory["planned_bytes"].as_u64(), "{memory}");
    let names: Vec<&str> =
        memory["plan"].as_array().expect("a plan").iter().filter_map(|item| item["name"].as_str()).collect();
    assert!(names.contains(&"gateway") && names.contains(&"gateway: code and libraries"), "{names:?}");
    let (_, _, metrics) = running.ask("GET", "/metrics", &who, None);
    assert!(metrics.contains("ocelli_camera_up{camera=\"hall\"} 1"), "{metrics}");
    assert_eq!(running.ask("GET", "/health", "", None).0, 200);
    // A question goes to a process of its own.
    let (status, _, answer) = running.ask("POST", "/api/ask", &who, Some(&json!({"question": "what happened today?"})));
    assert_eq!(status, 200, "{answer}");
    let sentences = running.json("/api/vocabulary", &who);
    assert!(sentences["sentences"].as_array().is_some_and(|all| all.len() > 1), "{sentences}");
    let (status, _, refused) = running.ask("POST", "/api/events/999999/ack", &who, None);
    assert!(status == 404 && refused.contains("there is no event 999999"), "{refused}");
    let (status, _, refused) = running.ask("GET", "/api/cameras/hall/live", &who, None);
    assert!(status == 403 && refused.contains("live = true"), "{refused}");
    let audit = fs::read_to_string(folder.path().join("audit")).expect("it is noted");
    assert!(audit.contains("POST /api/setup") && !audit.contains("correct horse"), "{audit}");
}

#[test]
fn pictures_leave_the_program_only_where_the_config_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("password"), "correct horse\n").expect("it is writable");
    let password = folder.path().join("password");
    let running = run(folder.path(), &format!("live = true\npassword_file = \"{}\"", password.display()));
    let login = json!({"name": "admin", "password": "correct horse"});
    let (status, head, body) = running.ask("POST", "/api/login", "", Some(&login));
    assert_eq!(status, 200, "{body}");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a session");
    let who = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap_or_default());
    let mut stream = running.send("GET", "/api/cameras/hall/live", &who, None);
    let mut heard = vec![0; 64 << 10];
    stream.read_exact(&mut heard).expect("pictures");
    assert!(String::from_utf8_lossy(&heard).contains("application/octet-stream"));
}

#[test]
fn a_gateway_that_cannot_be_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("ocelli.toml");
    let tiny = root().join("models/tiny-test");
    for (lines, code, why) in [
        ("profile = \"pico\"\n[gateway]\nlisten = \"127.0.0.1:0\"", 2, "the profile `pico` serves no web pages"),
        ("[gateway]\nlisten = \"everywhere\"", 2, "invalid socket address"),
        ("[gateway]\ncertificate = \"x.pem\"", 2, "`certificate` and `private_key` go together"),
        ("[gateway]\nsession_hours = 0.0", 2, "`session_hours` is 0"),
        ("[gateway]\nlisten = \"127.0.0.1:0\"\npassword_file = \"/nowhere/password\"", 2, "/nowhere/password"),
        ("[gateway]\nlisten = \"192.0.2.7:1\"\npassword_file = \"PASSWORD\"", 1, "cannot listen at 192.0.2.7:1"),
    ] {
        let password = folder.path().join("password");
        fs::write(&password, "correct horse").expect("it is writable");
        let lines = lines.replace("PASSWORD", &password.display().to_string());
        fs::write(&config, lines).expect("it is writable");
        let config = config.to_str().expect("a plain path");
        let pack = tiny.to_str().expect("a plain path");
        let ran = ocelli(&["run", "--config", config, "--pack", pack, "--command", "sleep 5; exit 1"]);
        assert!(ran.code == Some(code) && ran.err.contains(why), "{code} {why}: {ran:?}");
        assert!(!ran.err.contains("panicked") && !ran.err.contains("correct horse"), "{}", ran.err);
    }
}
