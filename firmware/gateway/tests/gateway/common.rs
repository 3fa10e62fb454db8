//! What the tests of the gateway share: a program that is none, and servers of others.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ocelli_gateway::house::{
    About, Answer, Condition, Digest, DigestQuery, Done, EventPage, EventQuery, Glance, Lesson, Media, MediaPart,
    NewCondition, NewSentence, Question, Recording, RecordingPage, RecordingQuery, Sentence, State, Verdict,
};
use ocelli_gateway::setup::SetUp;
use ocelli_gateway::{
    Answered, Camera, Canvas, Changes, Controls, Event, House, HouseError, Severity, Snapshots, Tuning, VerbosityName,
};

/// A program with two cameras and a condition, which notes what is asked of it.
pub struct FakeHouse {
    about: About,
    conditions: Mutex<Vec<Condition>>,
    changes: Arc<Changes>,
    pub asked: Mutex<Vec<String>>,
    pub tuning: Mutex<Tuning>,
    pub up: Mutex<bool>,
    pub snapshots: Arc<Snapshots>,
}

impl FakeHouse {
    pub fn new() -> Arc<Self> {
        let condition = Condition {
            text: "Stove unattended".into(),
            camera: Some("kitchen".into()),
            kinds: vec!["cook".into()],
            severity: Severity::Alarm,
            ..Condition::default()
        };
        Arc::new(Self {
            about: About {
                version: "0.1.0".into(),
                pack: "home".into(),
                pack_version: "0.3.0".into(),
                profile: "home".into(),
                cameras: vec!["kitchen".into(), "front door".into()],
                live: false,
                recording: true,
                ..About::default()
            },
            conditions: Mutex::new(vec![condition]),
            changes: Arc::default(),
            asked: Mutex::default(),
            tuning: Mutex::new(Tuning { enabled: vec![true, true], ..Tuning::default() }),
            up: Mutex::new(true),
            snapshots: Arc::default(),
        })
    }

    /// Others stand from now on.
    pub fn stand(&self, change: impl FnOnce(&mut Vec<Condition>)) {
        change(&mut self.conditions.lock().expect("nobody panicked"));
        self.changes.add();
    }

    fn note(&self, what: String) {
        self.asked.lock().expect("nobody panicked").push(what);
    }
}

fn none<T>() -> Answered<T> {
    Err(HouseError::Unavailable("not in this test".into()))
}

impl House for FakeHouse {
    fn about(&self) -> &About {
        &self.about
    }

    fn state(&self) -> State {
        let up = *self.up.lock().expect("nobody panicked");
        let camera = |name: &String| Camera { name: name.clone(), up, frames: 100, ..Camera::default() };
        State {
            uptime_s: 12.4,
            memory: ocelli_gateway::house::Memory {
                resident_bytes: 40 << 20,
                budget_bytes: 128 << 20,
                ..Default::default()
            },
            cameras: self.about.cameras.iter().map(camera).collect(),
            ..State::default()
        }
    }

    fn events(&self, _: &EventQuery, _: Option<&[String]>) -> Answered<EventPage> {
        none()
    }

    fn event(&self, _: u64) -> Answered<Event> {
        none()
    }

    fn acknowledge(&self, id: u64) -> Answered<()> {
        self.note(format!("ack {id}"));
        if id == 404 { Err(HouseError::Absent("there is no alert 404".into())) } else { Ok(()) }
    }

    fn judge(&self, _: u64, _: &Verdict) -> Answered<Done> {
        none()
    }

    fn teach(&self, lesson: &Lesson) -> Answered<Done> {
        self.note(format!("teach {} {:?} {:?}", lesson.text, lesson.last_s, lesson.camera));
        Ok(Done { message: format!("`{}` is known now", lesson.text) })
    }

    fn ask(&self, question: &Question) -> Answered<Answer> {
        self.note(format!("ask {}", question.question));
        Ok(Answer { question: question.question.clone(), answer: "At 18:30.".into(), ..Answer::default() })
    }

    fn digest(&self, _: &DigestQuery) -> Answered<Digest> {
        none()
    }

    fn vocabulary(&self) -> Answered<Vec<Sentence>> {
        none()
    }

    fn add(&self, _: &NewSentence) -> Answered<Done> {
        none()
    }

    fn remove(&self, _: &str) -> Answered<Done> {
        none()
    }

    fn look(&self, _: &[Vec<u8>]) -> Answered<Vec<Glance>> {
        none()
    }

    fn conditions(&self) -> Vec<Condition> {
        self.conditions.lock().expect("nobody panicked").clone()
    }

    fn condition_changes(&self) -> Option<Arc<Changes>> {
        Some(Arc::clone(&self.changes))
    }

    fn add_condition(&self, _: &NewCondition) -> Answered<Done> {
        none()
    }

    fn remove_condition(&self, _: &str) -> Answered<Done> {
        none()
    }

    fn canvas(&self, _: &str) -> Option<Arc<Canvas>> {
        None
    }

    fn recordings(&self, _: &RecordingQuery, _: Option<&[String]>) -> Answered<RecordingPage> {
        none()
    }

    fn recording(&self, _: u64) -> Answered<Recording> {
        none()
    }

    fn recorded(&self, _: u64, _: Media, _: u64, _: usize) -> Answered<MediaPart> {
        none()
    }

    fn remove_recording(&self, _: u64) -> Answered<()> {
        none()
    }

    fn set_up(&self) -> Answered<&dyn SetUp> {
        none()
    }

    fn snapshots(&self) -> Option<Arc<Snapshots>> {
        Some(Arc::clone(&self.snapshots))
    }
}

impl Controls for FakeHouse {
    fn tuning(&self) -> Tuning {
        self.tuning.lock().expect("nobody panicked").clone()
    }

    fn set_verbosity(&self, verbosity: VerbosityName) -> Answered<()> {
        self.tuning.lock().expect("nobody panicked").verbosity = verbosity;
        Ok(())
    }

    fn set_quiet(&self, quiet: bool, _: Option<u32>) -> Answered<()> {
        self.tuning.lock().expect("nobody panicked").quiet = quiet;
        Ok(())
    }

    fn set_enabled(&self, camera: usize, enabled: bool) -> Answered<()> {
        self.tuning.lock().expect("nobody panicked").enabled[camera] = enabled;
        Ok(())
    }
}

/// An event of a simulated day.
pub fn event(id: u64, kind: &str, camera: &str, text: &str) -> Event {
    let second = id % 86_400;
    let date = |second: u64| format!("2026-11-26T{:02}:{:02}:{:02}.000Z", second / 3600, second / 60 % 60, second % 60);
    Event {
        id: Some(id),
        r#type: kind.into(),
        camera: Some(camera.into()),
        start: Some(date(second)),
        end: Some(date((second + 1) % 86_400)),
        t_start_s: Some(second as f64),
        t_end_s: Some(second as f64 + 1.0),
        kind: Some("walk".into()),
        about: vec!["person".into()],
        severity: Some(if kind == "alert" { Severity::Alarm } else { Severity::Info }),
        text: text.into(),
        score: Some(0.9),
        entries: Some([1, 2]),
        ..Event::default()
    }
}

/// What the courier says to people goes to the test's output.
pub fn note(text: &str) {
    eprintln!("note: {text}");
}

/// Waits until it is so.
pub fn until(what: &str, most: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < most, "it should be so within {most:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Where a program of others is, that `cargo xtask test` installs. Without it a test is skipped, but not where all must run.
pub fn program(name: &str) -> Option<String> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin"];
    let found = folders.iter().map(|folder| format!("{folder}/{name}")).find(|path| Path::new(path).is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        eprintln!("SKIPPED: {name} is not installed");
    }
    found
}

/// A key and a certificate that vouches for itself and for this host, such as `IP:127.0.0.1`.
pub fn certificate(openssl: &str, folder: &Path, name: &str, host: &str) -> (PathBuf, PathBuf) {
    let at = |end: &str| folder.join(format!("{name}.{end}"));
    let (config, key, certificate) = (at("conf"), at("key"), at("pem"));
    std::fs::write(&config, "[req]\ndistinguished_name = name\n[name]\n").expect("there is room");
    let made = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName={host}"), "-config"])
        .arg(config)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (key, certificate)
}

/// A server that ends with the test.
pub struct Server(pub Child);

impl Server {
    /// Starts it, and waits until it listens.
    pub fn start(command: &mut Command, port: u16) -> Self {
        let mut child = command.spawn().expect("it is installed");
        until("the server listens", Duration::from_secs(30), || {
            assert!(child.try_wait().expect("it is ours").is_none(), "the server ended");
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self(child)
    }

    /// Kills it as a power cut would (SIGKILL).
    pub fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it is ours");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
