//! The gateway from outside, over real sockets, with a house that is none.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::auth::{Account, Role, hashed};
use super::guard::Access;
use super::routes::routes;
use super::*;
use crate::house::*;
use crate::setup::{NewSource, SetUp, Shot, Source, Sources, Zone};
use crate::{Canvas, Event, OfAlert, Severity, Snapshots};

/// A house whose journal can be locked, with two cameras.
struct Doll {
    about: About,
    conditions: Mutex<Vec<Condition>>,
    zones: Mutex<Vec<Zone>>,
    canvas: Option<Arc<Canvas>>,
    locked: AtomicBool,
    acked: AtomicUsize,
    asked: Mutex<Vec<Option<String>>>,
    deleted: Mutex<Vec<u64>>,
    /// Who is asked answers when this is free.
    busy: Mutex<()>,
}

fn doll() -> Arc<Doll> {
    let cameras = vec!["hall".to_owned(), "bath".to_owned()];
    let about = About { version: "0.0.0".into(), pack: "doll".into(), live: true, cameras, ..About::default() };
    let condition = |camera: Option<&str>| Condition {
        text: "fire".into(),
        camera: camera.map(Into::into),
        ..Condition::default()
    };
    Arc::new(Doll {
        about,
        conditions: Mutex::new(vec![condition(None), condition(Some("bath"))]),
        zones: Mutex::new(["hall", "bath"].map(|camera| zone(camera, "door")).into()),
        canvas: Some(Arc::new(Canvas::new(2, 1))),
        locked: AtomicBool::new(false),
        acked: AtomicUsize::new(0),
        asked: Mutex::default(),
        deleted: Mutex::default(),
        busy: Mutex::default(),
    })
}

fn zone(camera: &str, name: &str) -> Zone {
    Zone { camera: camera.into(), name: name.into(), corners: vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]] }
}

fn event(id: u64, camera: &str, kind: &str) -> Event {
    let alert = (kind == "alert").then(OfAlert::default);
    let start = Some("2026-11-26T18:30:00.000Z".into());
    Event {
        id: Some(id),
        r#type: kind.into(),
        camera: Some(camera.into()),
        text: format!("event {id}"),
        start,
        alert,
        ..Event::default()
    }
}

impl Doll {
    fn all(&self) -> Answered<Vec<Event>> {
        if self.locked.load(Ordering::Relaxed) {
            return Err(HouseError::Unavailable("the journal is locked".into()));
        }
        Ok(vec![
            event(1, "hall", "narration"),
            event(2, "bath", "narration"),
            event(3, "hall", "alert"),
            event(4, "hall", "alert_end"),
        ])
    }
}

impl House for Doll {
    fn about(&self) -> &About {
        &self.about
    }

    fn state(&self) -> State {
        let from = Some("rtsp://camera.lan".to_owned());
        let camera =
            |name: &String| Camera { name: name.clone(), up: name == "hall", from: from.clone(), ..Camera::default() };
        State { cameras: self.about.cameras.iter().map(camera).collect(), ..State::default() }
    }

    fn events(&self, query: &EventQuery, cameras: Option<&[String]>) -> Answered<EventPage> {
        let fits = |event: &Event| {
            let camera = event.camera.clone().unwrap_or_default();
            cameras.is_none_or(|cameras| cameras.contains(&camera))
                && query.camera.as_ref().is_none_or(|wanted| *wanted == camera)
                && query.after.is_none_or(|after| event.id > Some(after))
        };
        let mut events: Vec<Event> = self.all()?.into_iter().filter(fits).collect();
        if query.after.is_none() {
            events.reverse();
        }
        Ok(EventPage { events, holes: Vec::new() })
    }

    fn event(&self, id: u64) -> Answered<Event> {
        let found = self.all()?.into_iter().find(|event| event.id == Some(id));
        found.ok_or_else(|| HouseError::Absent(format!("no event {id} in /var/lib/ocelli/journal")))
    }

    fn acknowledge(&self, _: u64) -> Answered<()> {
        self.all()?;
        self.acked.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn judge(&self, _: u64, _: &Verdict) -> Answered<Done> {
        Ok(Done::default())
    }

    fn teach(&self, lesson: &Lesson) -> Answered<Done> {
        lock(&self.asked).push(lesson.camera.clone());
        Ok(Done::default())
    }

    fn ask(&self, question: &Question) -> Answered<Answer> {
        lock(&self.asked).push(question.camera.clone());
        let _free = lock(&self.busy);
        Ok(Answer {
            question: question.question.clone(),
            answer: "At 18:30.".into(),
            confidence: 0.9,
            ..Answer::default()
        })
    }

    fn digest(&self, _: &DigestQuery) -> Answered<Digest> {
        Ok(Digest::default())
    }

    fn vocabulary(&self) -> Answered<Vec<Sentence>> {
        Ok(vec![Sentence::default()])
    }

    fn add(&self, _: &NewSentence) -> Answered<Done> {
        Err(HouseError::Refused("the config names no vocabulary".into()))
    }

    fn remove(&self, _: &str) -> Answered<Done> {
        Ok(Done::default())
    }

    fn look(&self, pictures: &[Vec<u8>]) -> Answered<Vec<Glance>> {
        assert!(pictures.iter().all(|picture| picture.starts_with(&[0xff, 0xd8, 0xff])));
        Ok(vec![Glance {
            text: "Someone falls.".into(),
            severity: Severity::Alarm,
            probability: 0.9,
            ..Glance::default()
        }])
    }

    fn conditions(&self) -> Vec<Condition> {
        lock(&self.conditions).clone()
    }

    fn condition_changes(&self) -> Option<Arc<Changes>> {
        None
    }

    fn add_condition(&self, new: &NewCondition) -> Answered<Done> {
        if new.kinds.is_empty() {
            return Err(HouseError::Refused("write either `kinds` or `absent`".into()));
        }
        let (text, camera, kinds) = (new.text.clone(), new.camera.clone(), new.kinds.clone());
        lock(&self.conditions).push(Condition { text, camera, kinds, own: true, ..Condition::default() });
        Ok(Done::default())
    }

    fn remove_condition(&self, text: &str) -> Answered<Done> {
        let mut conditions = lock(&self.conditions);
        let before = conditions.len();
        conditions.retain(|condition| !(condition.own && condition.text == text));
        let gone = conditions.len() < before;
        gone.then(Done::default).ok_or_else(|| HouseError::Absent("no such condition was added".into()))
    }

    fn canvas(&self, _: &str) -> Option<Arc<Canvas>> {
        self.canvas.clone()
    }

    fn recordings(&self, query: &RecordingQuery, cameras: Option<&[String]>) -> Answered<RecordingPage> {
        let ids = query.event_ids()?;
        let all = [1, 2].map(|id| self.recording(id)).into_iter().collect::<Answered<Vec<_>>>()?;
        let fits = |of: &Recording| {
            cameras.is_none_or(|cameras| cameras.contains(&of.camera))
                && query.camera.as_ref().is_none_or(|camera| *camera == of.camera)
                && ids
                    .as_ref()
                    .is_none_or(|ids| of.events.iter().any(|event| event.id.is_some_and(|id| ids.contains(&id))))
        };
        Ok(RecordingPage { recordings: all.into_iter().filter(fits).collect(), bytes: 0, most_bytes: 0 })
    }

    fn recording(&self, id: u64) -> Answered<Recording> {
        let cameras = ["hall", "bath"];
        let camera = cameras.get((id as usize).wrapping_sub(1)).filter(|_| !lock(&self.deleted).contains(&id));
        let absent = || HouseError::Absent(format!("no recording {id} in /var/lib/ocelli/recordings"));
        let events = vec![RecordedEvent { id: Some(10 * id), ..RecordedEvent::default() }];
        Ok(Recording { id, camera: (*camera.ok_or_else(absent)?).into(), clip: true, events, ..Recording::default() })
    }

    fn recorded(&self, _: u64, _: Media, from: u64, most: usize) -> Answered<MediaPart> {
        let all = footage();
        let bytes = all.iter().copied().skip(from as usize).take(most).collect();
        Ok(MediaPart { total_bytes: all.len() as u64, bytes })
    }

    fn remove_recording(&self, id: u64) -> Answered<()> {
        lock(&self.deleted).push(id);
        Ok(())
    }

    fn set_up(&self) -> Answered<&dyn SetUp> {
        Ok(self)
    }

    fn snapshots(&self) -> Option<Arc<Snapshots>> {
        None
    }
}

impl SetUp for Doll {
    fn zones(&self) -> Vec<Zone> {
        lock(&self.zones).clone()
    }

    fn put_zone(&self, zone: &Zone) -> Answered<Done> {
        lock(&self.zones).push(zone.clone());
        Ok(Done::default())
    }

    fn remove_zone(&self, camera: &str, name: &str) -> Answered<Done> {
        let mut zones = lock(&self.zones);
        let before = zones.len();
        zones.retain(|zone| (zone.camera.as_str(), zone.name.as_str()) != (camera, name));
        let gone = zones.len() < before;
        gone.then(Done::default).ok_or_else(|| HouseError::Absent("there is no such zone".into()))
    }

    fn sources(&self) -> Sources {
        let from = "rtsp://camera.lan".to_owned();
        let source = Source { camera: "hall".into(), from, has_user: true, ..Source::default() };
        Sources { sources: vec![source], ..Sources::default() }
    }

    fn try_source(&self, wish: &NewSource) -> Answered<Shot> {
        assert!(wish.password.as_ref().is_none_or(|password| password.reveal() == "hunter2"));
        let why = || HouseError::Refused("write `device` or `rtsp`".into());
        wish.rtsp.as_ref().ok_or_else(why)?;
        Ok(Shot { size: "640x480".into(), fps: 15.0, jpeg: Some(vec![0xff, 0xd8, 0xff]) })
    }

    fn put_source(&self, wish: &NewSource) -> Answered<Done> {
        self.try_source(wish).map(|_| Done::default())
    }

    fn remove_source(&self, camera: &str) -> Answered<Done> {
        Err(HouseError::Absent(format!("`{camera}` was not added")))
    }
}

/// A recording of several parts.
fn footage() -> Vec<u8> {
    (0..100_000_u32).map(|at| (at / 251) as u8).collect()
}

/// A gateway with its folder and house.
struct Stage {
    gateway: Gateway,
    doll: Arc<Doll>,
    feed: Feed,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(doll: Arc<Doll>, change: impl FnOnce(&mut Settings, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.users = Some(folder.path().join("users"));
        settings.audit = Some(folder.path().join("audit"));
        change(&mut settings, folder.path());
        let feed = Feed::default();
        let gateway = Gateway::start(settings, Arc::clone(&doll) as Arc<dyn House>, feed.clone(), || ());
        Self { gateway: gateway.expect("it starts"), doll, feed, folder }
    }

    fn open(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.gateway.address().port())).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        stream
    }

    /// Once those who were there are let go.
    fn answers_again(&self) {
        let begun = Instant::now();
        loop {
            let mut stream = self.open();
            let sent = stream.write_all(self.head("GET", "/api/session", &[], None).as_bytes());
            let mut heard = String::new();
            let _ = sent.and_then(|()| stream.read_to_string(&mut heard));
            if heard.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(15), "it answers again");
        }
    }

    fn send(&self, head: &str, body: &[u8]) -> TcpStream {
        let mut stream = self.open();
        stream.write_all(&[head.as_bytes(), body].concat()).expect("it takes a request");
        stream
    }

    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string);
        read_reply(self.send(&self.head(method, path, headers, body.as_deref()), body.unwrap_or_default().as_bytes()))
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> String {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n",
            self.gateway.address().port()
        );
        if let Some(body) = body {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head + "\r\n"
    }

    fn get(&self, path: &str, token: &str) -> Reply {
        self.call("GET", path, &[("Authorization", &format!("Bearer {token}"))], None)
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.call("POST", path, &[("Authorization", &format!("Bearer {token}"))], Some(body))
    }
}

/// A gateway with a token of each kind: `viewer`, `hall` (a viewer of one camera), `operator`, `admin`, `warden` (an admin of one).
fn claimed(doll: Arc<Doll>) -> (Stage, BTreeMap<&'static str, String>) {
    let mut tokens = BTreeMap::new();
    let stage = Stage::new(doll, |settings, _| {
        let mut accounts = Accounts::open(settings.users.as_deref(), None, settings.session).expect("an empty file");
        for (name, role, one) in [
            ("viewer", Role::Viewer, false),
            ("hall", Role::Viewer, true),
            ("operator", Role::Operator, false),
            ("admin", Role::Admin, false),
            ("warden", Role::Admin, true),
        ] {
            let account = Account { name: name.into(), role, cameras: one.then(|| vec!["hall".into()]), expires: None };
            tokens.insert(name, accounts.put_token(&account, 1).expect("it is written"));
        }
        let admin = Account { name: "ann".into(), role: Role::Admin, cameras: None, expires: None };
        accounts.put_user(&admin, hashed("correct horse").expect("random")).expect("it is written");
    });
    (stage, tokens)
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }

    fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("a refusal: {self:?}")).to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("an answer in time") == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head is text")
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

fn read_reply(mut stream: TcpStream) -> Reply {
    let (head, mut body) = (read_head(&mut stream), Vec::new());
    // One that was refused while it still sent may be reset.
    let _ = stream.read_to_end(&mut body);
    Reply { status: status(&head), head, body }
}

/// Reads until this was heard, and no further.
fn hear(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut heard, mut byte, begun) = (Vec::new(), [0], Instant::now());
    while !heard.ends_with(wanted.as_bytes()) {
        let so_far = || String::from_utf8_lossy(&heard[heard.len().saturating_sub(2000)..]).into_owned();
        assert!(begun.elapsed() < Duration::from_mins(1), "`{wanted}` was not heard: {}", so_far());
        match stream.read(&mut byte) {
            Ok(0) => panic!("it ended before `{wanted}`: {}", so_far()),
            Ok(_) => heard.push(byte[0]),
            Err(error) => panic!("{error} before `{wanted}`: {}", so_far()),
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn every_route_lets_in_each_role_as_the_table_says_and_nobody_else() {
    let (stage, tokens) = claimed(doll());
    let (mut checked, mut port) = (0, 0);
    for route in routes() {
        let path = route.path.replace("{id}", "1").replace("{camera}", "hall").replace("{name}", "nobody");
        let by_text = ["delete_vocabulary", "delete_conditions"].contains(&route.id().as_str());
        let path = if by_text { path + "?text=x" } else { path };
        let path = if route.id() == "delete_zones" { path + "?camera=hall&name=x" } else { path };
        let body = route.takes.map(|_| "{}");
        let ask = |authorization: Option<&str>| {
            let headers: Vec<(&str, &str)> = authorization.iter().map(|value| ("Authorization", *value)).collect();
            let head = stage.head(route.method.as_str(), &path, &headers, body);
            let mut stream = stage.send(&head, body.unwrap_or_default().as_bytes());
            status(&read_head(&mut stream))
        };
        let strangers = [None, Some("Bearer wrong"), Some("Basic YTpi"), Some("Bearer"), Some("")];
        for stranger in strangers {
            let status = ask(stranger);
            let open = route.access == Access::Open && stranger.is_none();
            assert_eq!(status == 401, !open, "{} {path} for {stranger:?}: {status}", route.method);
        }
        for (name, role, one) in [
            ("viewer", Role::Viewer, false),
            ("hall", Role::Viewer, true),
            ("operator", Role::Operator, false),
            ("admin", Role::Admin, false),
            ("warden", Role::Admin, true),
        ] {
            let status = ask(Some(&format!("Bearer {}", tokens[name])));
            // The same as a password, of whatever user; what was done once may be gone.
            let pair = STANDARD.encode(format!("frigate:{}", tokens[name]));
            let again = ask(Some(&format!("basic {pair}")));
            assert_eq!(
                [401, 403].contains(&again),
                [401, 403].contains(&status),
                "{} {path} for {name}: {again}",
                route.method
            );
            let welcome = match route.access {
                // The first password is set.
                Access::Open => path != "/api/setup" || body != Some("{}"),
                Access::Of(least) => role >= least,
                Access::OfAll(least) => role >= least && !one,
            };
            let let_in = status != 401 && status != 403 && status != 0;
            let told = format!("{} {path} for {name}: {status}", route.method);
            assert_eq!(let_in, welcome || route.access == Access::Open, "{told}");
            checked += 1;
        }
        port = stage.gateway.address().port();
    }
    assert!(checked > 150 && port != 0, "{checked}");
    let audit = std::fs::read_to_string(stage.folder.path().join("audit")).expect("what was refused is noted");
    assert!(audit.contains("\"who\":\"viewer\"") && tokens.values().all(|token| !audit.contains(token)), "{audit}");
}

#[test]
fn the_first_run_is_for_this_machine_alone_until_a_password_is_set() {
    let listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let stage = Stage::new(doll(), |settings, _| settings.listen = listen);
    assert!(stage.gateway.address().ip().is_loopback(), "nobody can log in");
    assert_eq!(stage.call("GET", "/api/events", &[], None).status, 401);
    assert_eq!(stage.call("GET", "/api/session", &[], None).json()["claimed"], false);
    let rebound = stage.send("GET /api/session HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"");
    assert_eq!(read_reply(rebound).status, 403, "a name that leads here from elsewhere");
    let setup = |password: &str, headers: &[(&str, &str)]| {
        stage.call("POST", "/api/setup", headers, Some(&json!({"password": password})))
    };
    assert_eq!(setup("correct horse", &[("Origin", "http://evil.example")]).status, 403);
    assert_eq!(setup("correct horse", &[("Sec-Fetch-Site", "cross-site")]).status, 403);
    assert_eq!(setup("short", &[]).status, 400);
    let set = setup("correct horse", &[]);
    assert_eq!(set.status, 200, "{set:?}");
    let cookie = set.header("set-cookie").expect("a session");
    assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    let cookie = cookie.split(';').next().expect("its pair").to_owned();
    let csrf = set.json()["csrf"].as_str().expect("what comes along").to_owned();
    let begun = Instant::now();
    while stage.gateway.address().ip().is_loopback() {
        assert!(begun.elapsed() < Duration::from_secs(20), "others may come in now");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(setup("another horse", &[]).status, 403, "once");
    let with = |headers: &[(&str, &str)]| {
        let headers = [&[("Cookie", cookie.as_str())][..], headers].concat();
        stage.call("POST", "/api/events/3/ack", &headers, Some(&json!({}))).status
    };
    assert_eq!((with(&[]), with(&[("X-CSRF-Token", "x")])), (403, 403), "another site has no token");
    assert_eq!(with(&[("X-CSRF-Token", &csrf), ("Origin", "https://evil.example")]), 403);
    assert_eq!((with(&[("X-CSRF-Token", &csrf)]), stage.doll.acked.load(Ordering::Relaxed)), (200, 1));
    let out = stage.call("POST", "/api/logout", &[("Cookie", &cookie), ("X-CSRF-Token", &csrf)], None);
    assert_eq!((out.status, with(&[("X-CSRF-Token", &csrf)])), (200, 401));
}

#[test]
fn who_guesses_passwords_is_made_to_wait() {
    let (stage, _) = claimed(doll());
    let login = |name: &str, password: &str| {
        stage.call("POST", "/api/login", &[], Some(&json!({"name": name, "password": password})))
    };
    assert_eq!(login("ann", "correct horse").status, 200);
    let words: Vec<(u16, String)> = ["ann", "nobody"]
        .map(|name| login(name, "wrong horse"))
        .iter()
        .map(|reply| (reply.status, reply.message()))
        .collect();
    assert_eq!(words[0], words[1], "a name is no secret that leaks");
    let statuses: Vec<u16> = (0..5).map(|_| login("ann", "wrong").status).collect();
    assert_eq!(statuses[..3], [401; 3]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
    let reply = login("ann", "correct horse");
    if reply.status == 429 {
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
    }
    let audit = std::fs::read_to_string(stage.folder.path().join("audit")).expect("it is noted");
    assert!(audit.contains("POST /api/login\",\"status\":429") && !audit.contains("horse"), "{audit}");
}

#[test]
fn who_may_see_one_camera_learns_nothing_of_the_others() {
    let (stage, tokens) = claimed(doll());
    let hall = &tokens["hall"];
    let ids = |reply: Reply| -> Vec<u64> {
        let events = reply.json()["events"].as_array().expect("a list").clone();
        events.iter().filter_map(|event| event["id"].as_u64()).collect()
    };
    assert_eq!(ids(stage.get("/api/events", hall)), [4, 3, 1]);
    assert_eq!(ids(stage.get("/api/events", &tokens["viewer"])), [4, 3, 2, 1]);
    let (of_other, of_none) = (stage.get("/api/events/2", hall), stage.get("/api/events/99", hall));
    assert_eq!((of_other.status, of_none.status), (404, 404));
    assert_eq!(of_other.message().replace('2', "99"), of_none.message(), "the same words");
    assert!(!of_none.message().contains("/var"), "and no path");
    for path in ["/api/cameras/bath/live", "/api/events?camera=bath", "/api/events?like=2", "/api/digest?camera=bath"] {
        assert_eq!(stage.get(path, hall).status, 404, "{path}");
    }
    assert_eq!(stage.post("/api/ask", hall, &json!({"question": "when?", "camera": "bath"})).status, 404);
    assert_eq!(stage.post("/api/ask", hall, &json!({"question": "when?"})).status, 200);
    assert_eq!(*lock(&stage.doll.asked), [Some("hall".to_owned())], "of its own camera");
    let names = |reply: Reply| reply.json()["cameras"].to_string();
    assert!(
        !names(stage.get("/api/cameras", hall)).contains("bath")
            && !names(stage.get("/api/version", hall)).contains("bath")
    );
    assert_eq!(stage.get("/api/conditions", hall).json()["conditions"].as_array().map(Vec::len), Some(1));
    let chat = json!({"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "camera://bath"}}]}]});
    assert_eq!(stage.post("/v1/chat/completions", hall, &chat).status, 404);
    let warden = &tokens["warden"];
    assert_eq!(stage.post("/api/events/2/ack", warden, &json!({})).status, 404);
    assert_eq!(stage.post("/api/events/2/verdict", warden, &json!({"right": true})).status, 404);
    assert_eq!(stage.post("/api/teach", warden, &json!({"text": "x", "last_s": 5, "camera": "bath"})).status, 404);
    for last_s in [0_u32, 601, 4_000_000_000] {
        let refused = stage.post("/api/teach", warden, &json!({"text": "x", "last_s": last_s, "camera": "hall"}));
        assert_eq!(refused.status, 400, "{last_s}");
    }
    assert_eq!(stage.doll.acked.load(Ordering::Relaxed), 0);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    let (stage, tokens) = claimed(doll());
    let admin = &tokens["admin"];
    let raw = |method: &str, path: &str, more: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {admin}\r\nContent-Length: {length}\r\n{more}\r\n"
        );
        read_reply(stage.send(&head, body))
    };
    let json = "Content-Type: application/json\r\n";
    for (method, path, more, body, status) in [
        ("POST", "/api/ask", json, &b"{\"question\":"[..], 400),
        ("POST", "/api/ask", json, b"\xff\xfe", 400),
        ("POST", "/api/ask", json, b"[[[[[[", 400),
        ("POST", "/api/ask", json, b"{\"question\":\"x\",\"evil\":1}", 400),
        ("POST", "/api/ask", json, b"{\"question\":\"\"}", 400),
        ("POST", "/api/ask", "Content-Type: text/plain\r\n", b"{}", 415),
        ("POST", "/api/ask", "", b"{}", 415),
        ("POST", "/api/vocabulary", json, b"{\"text\":\"x\"}", 400),
        ("POST", "/api/conditions", json, b"{\"text\":\"x\"}", 400),
        ("POST", "/api/conditions", json, b"{\"text\":\"x\",\"kinds\":\"fall\"}", 400),
        ("POST", "/api/conditions", json, b"{\"text\":\"x\",\"kinds\":[\"fall\"],\"zone\":[[1]]}", 400),
        ("POST", "/api/conditions", json, b"{\"text\":\"x\",\"kinds\":[\"fall\"],\"camera\":\"cellar\"}", 404),
        ("DELETE", "/api/conditions", "", b"", 400),
        ("DELETE", "/api/conditions?text=fire", "", b"", 404),
        ("GET", "/api/events?limit=0", "", b"", 400),
        ("GET", "/api/events?limit=99999999", "", b"", 400),
        ("GET", "/api/events?nothing=1", "", b"", 400),
        ("GET", "/api/events?camera=cellar", "", b"", 404),
        ("GET", "/api/events/99", "", b"", 404),
        ("GET", "/api/events/-1", "", b"", 404),
        ("GET", "/api/events/18446744073709551616", "", b"", 404),
        ("GET", "/api/cameras/%2e%2e%2fetc/live", "", b"", 404),
        ("GET", "/../../etc/passwd", "", b"", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", "", b"", 404),
        ("GET", "/ocelli.js/../../Cargo.toml", "", b"", 404),
        ("GET", "//etc/passwd", "", b"", 404),
        ("PUT", "/api/events", "", b"", 405),
        ("POST", "/api/events/stream", "", b"", 405),
        ("GET", "/api/events/stream", "Last-Event-ID: ../../x\r\n", b"", 400),
        ("DELETE", "/api/users/ann", "", b"", 400),
        ("DELETE", "/api/tokens/nobody", "", b"", 404),
        ("POST", "/api/tokens", json, b"{\"name\":\"a b\",\"role\":\"viewer\"}", 400),
        ("POST", "/api/tokens", json, b"{\"name\":\"a\",\"role\":\"viewer\",\"cameras\":[\"cellar\"]}", 400),
        ("POST", "/v1/chat/completions", json, b"{\"messages\":[]}", 400),
        (
            "POST",
            "/v1/chat/completions",
            json,
            b"{\"model\":\"gpt-9\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            404,
        ),
    ] {
        let reply = raw(method, path, more, body);
        assert_eq!(reply.status, status, "{method} {path} {}: {reply:?}", String::from_utf8_lossy(body));
        assert!(!reply.message().is_empty() && reply.header("content-security-policy").is_some());
    }
    let long = vec![b' '; crate::settings::BODY_BYTES + 1];
    assert_eq!(raw("POST", "/api/ask", json, &long).status, 413);
    // One that does not say how long it is.
    let chunk = [format!("{:x}\r\n", long.len()).as_bytes(), &long, b"\r\n0\r\n\r\n"].concat();
    let head = format!(
        "POST /api/ask HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {admin}\r\nTransfer-Encoding: chunked\r\n{json}\r\n"
    );
    assert_eq!(read_reply(stage.send(&head, &chunk)).status, 413);
    let head = format!("GET /health HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(64 << 10));
    let mut stream = stage.open();
    // It may end before it has taken all.
    let _ = stream.write_all(head.as_bytes());
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    assert!(!heard.starts_with(b"HTTP/1.1 200"), "a head of 64 KiB");
    let mut stream = stage.send("\x16\x03\x01\x02garbage\r\n\r\n", b"");
    let _ = stream.read_to_end(&mut heard);
    assert_eq!(stage.get("/health", admin).status, 200, "and it goes on");
}

#[test]
fn what_the_fuzzer_begins_with_is_answered_or_ended() {
    let (stage, tokens) = claimed(doll());
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds");
    let token = format!("Bearer {}", tokens["admin"]);
    let read = |target: &str| -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(format!("{seeds}/{target}")).expect("they are there");
        files.map(|file| std::fs::read(file.expect("a file").path()).expect("it can be read")).collect()
    };
    let requests = read("request").into_iter().map(|seed| {
        let (line, body) = match seed.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&seed[..end], &seed[end + 1..]),
            None => (&seed[..], &[][..]),
        };
        let line = String::from_utf8_lossy(line);
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let head = stage.head(method, path, &[("Authorization", &token)], Some(&String::from_utf8_lossy(body)));
        [head.as_bytes(), body].concat()
    });
    for bytes in read("http").into_iter().chain(requests) {
        let mut stream = stage.open();
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a time limit");
        // What it does not understand it ends; what is cut short and what streams is left.
        let mut heard = [0; 12];
        let _ = stream.write_all(&bytes).and_then(|()| stream.read_exact(&mut heard));
        assert!(!heard.starts_with(b"HTTP/1.1 500"), "{}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(stage.get("/health", &tokens["admin"]).status, 200, "and it goes on");
}

#[test]
fn a_condition_is_added_and_taken_back_and_both_are_noted() {
    let (stage, tokens) = claimed(doll());
    let admin = &tokens["admin"];
    let texts = || -> Vec<String> {
        let reply = stage.get("/api/conditions", &tokens["viewer"]).json();
        let own = reply["conditions"].as_array().expect("a list").iter().filter(|of| of["own"] == true).cloned();
        own.map(|of| of["text"].as_str().expect("a text").to_owned()).collect()
    };
    let wish = json!({"text": "Somebody is in the hall at night", "camera": "hall", "kinds": ["walk"], "for": "2s",
        "cooldown": "1min", "times": ["22:00-06:00"], "zone": [[0.5, 0], [1, 0], [1, 1]], "severity": "notice"});
    assert_eq!(stage.post("/api/conditions", &tokens["operator"], &wish).status, 403);
    assert_eq!(stage.post("/api/conditions", &tokens["warden"], &wish).status, 403, "an admin of one camera");
    assert_eq!(stage.post("/api/conditions", admin, &wish).status, 200);
    assert_eq!(texts(), ["Somebody is in the hall at night"]);
    let bearer = format!("Bearer {admin}");
    let path = "/api/conditions?text=Somebody+is+in+the+hall+at+night";
    assert_eq!(stage.call("DELETE", path, &[("Authorization", &bearer)], None).status, 200);
    assert!(texts().is_empty());
    let audit = std::fs::read_to_string(stage.folder.path().join("audit")).expect("it is noted");
    for noted in ["\"POST /api/conditions\"", "\"DELETE /api/conditions\""] {
        assert!(audit.lines().any(|line| line.contains(noted) && line.contains("\"who\":\"admin\"")), "{audit}");
    }
}

#[test]
fn a_journal_that_cannot_be_read_is_told_and_costs_nothing_else() {
    let (stage, tokens) = claimed(doll());
    stage.doll.locked.store(true, Ordering::Relaxed);
    let reply = stage.get("/api/events", &tokens["viewer"]);
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
    assert_eq!(
        reply.json()["error"],
        json!({"code": 503, "message": "the journal is locked", "type": "unavailable_error"})
    );
    assert_eq!(stage.post("/api/events/3/ack", &tokens["operator"], &json!({})).status, 503);
    assert_eq!(stage.get("/api/stats", &tokens["viewer"]).status, 200);
    let mut stream = stage.send(
        &stage.head(
            "GET",
            "/api/events/stream",
            &[("Authorization", &format!("Bearer {}", tokens["viewer"])), ("Last-Event-ID", "1")],
            None,
        ),
        b"",
    );
    hear(&mut stream, "event: missed\ndata: {\"after\":1}\n\n");
    stage.feed.tell(event(9, "hall", "narration"));
    hear(&mut stream, "\"text\":\"event 9\"");
}

#[test]
fn events_come_as_they_are_told_and_who_comes_back_misses_nothing() {
    let (stage, tokens) = claimed(doll());
    let listen = |name: &str, last: Option<&str>| {
        let bearer = format!("Bearer {}", tokens[name]);
        let headers = [("Authorization", bearer.as_str()), ("Last-Event-ID", last.unwrap_or_default())];
        let headers = &headers[..=usize::from(last.is_some())];
        let mut stream = stage.send(&stage.head("GET", "/api/events/stream", headers, None), b"");
        hear(&mut stream, "retry: 2000");
        stream
    };
    let (mut all, mut hall) = (listen("viewer", None), listen("hall", None));
    stage.feed.tell(event(4, "bath", "narration"));
    stage.feed.tell(event(5, "hall", "alert"));
    let heard = hear(&mut all, "\"text\":\"event 5\"");
    assert!(heard.contains("event: narration\nid: 4."), "{heard}");
    let heard = hear(&mut hall, "\"text\":\"event 5\"");
    assert!(!heard.contains("bath"), "{heard}");
    let cursor = heard.lines().find_map(|line| line.strip_prefix("id: ")).expect("a cursor").to_owned();
    drop(all);
    // The sentence of the alert has its id.
    stage.feed.tell(event(5, "hall", "update"));
    stage.feed.tell(event(6, "hall", "narration"));
    let heard = hear(&mut listen("viewer", Some(&cursor)), "\"text\":\"event 6\"");
    assert!(heard.contains("event: update") && !heard.contains("event: alert\n"), "{heard}");
    // A program that started anew has it in its journal.
    let heard = hear(&mut listen("viewer", Some("1.7.99")), "\"text\":\"event 6\"");
    let order: Vec<usize> = [2, 3, 4, 5, 6].iter().filter_map(|id| heard.find(&format!("event {id}\""))).collect();
    assert!(order.len() == 5 && order.is_sorted() && !heard.contains("event 1\""), "{heard}");
    assert!(!heard.contains("missed"), "{heard}");
}

#[test]
fn a_listener_that_does_not_read_is_let_go_and_others_are_not_held_up() {
    let doll = doll();
    let stage = Stage::new(doll, |settings, folder| {
        settings.patience = Duration::from_secs(3);
        std::fs::write(folder.join("password"), "correct horse\n").expect("it is writable");
        settings.password_file = Some(folder.join("password"));
    });
    let login = stage.call("POST", "/api/login", &[], Some(&json!({"name": "admin", "password": "correct horse"})));
    let cookie = login.header("set-cookie").expect("a session").split(';').next().expect("its pair").to_owned();
    let listen = || {
        let mut stream = stage.send(&stage.head("GET", "/api/events/stream", &[("Cookie", &cookie)], None), b"");
        hear(&mut stream, "retry: 2000");
        stream
    };
    let (mut lazy, mut keen) = (listen(), listen());
    let long = "x".repeat(16 << 10);
    // None of it waits for the lazy one.
    for id in 1..2000 {
        stage.feed.tell(Event { text: long.clone(), ..event(id, "hall", "narration") });
    }
    stage.feed.tell(event(2001, "hall", "narration"));
    let (mut heard, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    while !heard.windows(10).any(|words| words == b"event 2001") {
        let count = keen.read(&mut chunk).expect("it is told");
        assert_ne!(count, 0, "it is not cut off");
        heard.drain(..heard.len().saturating_sub(10));
        heard.extend_from_slice(&chunk[..count]);
    }
    // The lazy one is cut off: it gets an end, and not all.
    thread::sleep(Duration::from_secs(10));
    let mut bytes = Vec::new();
    let ended = lazy.read_to_end(&mut bytes);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert!(!String::from_utf8_lossy(&bytes).contains("event 2001"));
}

#[test]
fn slow_and_many_clients_are_let_go() {
    let stage = Stage::new(doll(), |settings, _| settings.patience = Duration::from_millis(300));
    let ends = |mut stream: TcpStream| {
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        String::from_utf8_lossy(&heard).into_owned()
    };
    let begun = Instant::now();
    ends(stage.send("GET /health HTTP/1.1\r\nHos", b""));
    let half = ends(stage.send(&stage.head("POST", "/api/login", &[], Some("{\"name\":\"ann\"}")), b"{"));
    assert!(half.starts_with("HTTP/1.1 408"), "{half}");
    assert!(begun.elapsed() < Duration::from_secs(15));
    let held: Vec<TcpStream> = (0..crate::settings::CONNECTIONS_OF_ONE).map(|_| stage.open()).collect();
    // The next one is ended at once, or, where those before have been let go, answered.
    let reply = ends(stage.send(&stage.head("GET", "/api/session", &[], None), b""));
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 200"), "{reply}");
    drop(held);
    stage.answers_again();
    let _ = stage.open().shutdown(Shutdown::Both);
}

#[test]
fn thousands_of_connections_leave_it_answering() {
    let stage = Stage::new(doll(), |settings, _| settings.patience = Duration::from_millis(300));
    // As many at a time as a process may have open on both sides, each with half a request.
    let (mut held, mut refused) = (VecDeque::new(), 0);
    for _ in 0..3000 {
        let mut stream = stage.open();
        refused += usize::from(stream.write_all(b"GET /health HTTP/1.1\r\nHos").is_err());
        held.push_back(stream);
        if held.len() > 200 {
            drop(held.pop_front());
        }
    }
    // Those that are still held have no more than their share, once the last of them was seen.
    thread::sleep(Duration::from_millis(200));
    let (mut open, mut ended) = (0, 0);
    for stream in &held {
        stream.set_nonblocking(true).expect("a setting");
        match (&mut &*stream).read(&mut [0; 64]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => open += 1,
            _ => ended += 1,
        }
    }
    assert!(ended > 0 && open <= CONNECTIONS, "{open} open, {ended} ended, {refused} refused");
    drop(held);
    stage.answers_again();
}

#[test]
fn who_waits_for_an_answer_holds_nobody_up_and_leaves_the_line_with_the_connection() {
    let (stage, tokens) = claimed(doll());
    let (doll, token) = (Arc::clone(&stage.doll), &tokens["viewer"]);
    let busy = lock(&doll.busy);
    let question = json!({"question": "when?"}).to_string();
    let send = || {
        let head = stage.head("POST", "/api/ask", &[("Authorization", &format!("Bearer {token}"))], Some(&question));
        stage.send(&head, question.as_bytes())
    };
    // Whether it is still there after a moment; one that is not was told that too much is asked.
    let waits = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a time limit");
        if stream.peek(&mut [0]).is_err() {
            return true;
        }
        let reply = read_reply(stream.try_clone().expect("a socket"));
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")), "{reply:?}");
        false
    };
    let first = send();
    let begun = Instant::now();
    while lock(&doll.asked).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is asked");
        thread::yield_now();
    }
    let mut others: Vec<TcpStream> = (0..3).map(|_| send()).collect();
    others.retain_mut(waits);
    assert_eq!(others.len(), WAITING, "one more is refused");
    let begun = Instant::now();
    for path in ["/health", "/metrics", "/api/events"] {
        assert_eq!(stage.get(path, token).status, 200, "{path}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing else waits");

    others.pop().map(|gone| gone.shutdown(Shutdown::Both)).expect("two wait").expect("it is open");
    let begun = Instant::now();
    let mut late = send();
    while !waits(&mut late) {
        assert!(begun.elapsed() < Duration::from_secs(20), "there is room again");
        late = send();
    }
    drop(busy);
    for stream in [first, late].into_iter().chain(others) {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        let reply = read_reply(stream);
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(lock(&doll.asked).len(), 3, "who had gone was not asked for");
}

#[test]
fn pictures_are_shown_as_they_change_and_only_where_that_is_allowed() {
    let (stage, tokens) = claimed(doll());
    let bearer = format!("Bearer {}", tokens["hall"]);
    let mut stream = stage.send(&stage.head("GET", "/api/cameras/hall/live", &[("Authorization", &bearer)], None), b"");
    assert_eq!(status(&read_head(&mut stream)), 200);
    let canvas = stage.doll.canvas.clone().expect("allowed");
    let begun = Instant::now();
    let mut heard = Vec::new();
    while heard.len() < 50 + 4 {
        assert!(begun.elapsed() < Duration::from_secs(20), "a picture comes");
        canvas.show(&[7; 12], [0, 2, 0, 2], [0].into_iter(), [0].into_iter(), 1);
        let mut bytes = [0; 512];
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a time limit");
        match stream.read(&mut bytes) {
            Ok(count) => heard.extend_from_slice(&bytes[..count]),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
        }
    }
    let first = heard.windows(4).position(|bytes| bytes == 46_u32.to_le_bytes()).expect("a whole picture");
    assert_eq!(heard[first + 4..first + 8], [2, 0, 1, 0]);
    let mut private = doll();
    Arc::get_mut(&mut private).expect("ours alone").canvas = None;
    let (stage, tokens) = claimed(private);
    let refused = stage.get("/api/cameras/hall/live", &tokens["admin"]);
    assert!(refused.status == 403 && refused.message().contains("[gateway] live = true"), "{refused:?}");
}

#[test]
fn zones_are_of_cameras_that_one_may_see_and_are_set_up_by_admins_of_all() {
    let (stage, tokens) = claimed(doll());
    let of = |token: &str| {
        let zones = stage.get("/api/zones", &tokens[token]).json()["zones"].clone();
        let cameras = zones.as_array().expect("a list").iter().map(|zone| zone["camera"].as_str().map(str::to_owned));
        cameras.map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    assert_eq!(
        (of("hall"), of("viewer"), of("warden")),
        (vec!["hall".into()], vec!["hall".into(), "bath".into()], vec!["hall".into()])
    );
    let admin = &tokens["admin"];
    let body = json!(zone("hall", "stairs"));
    for token in ["viewer", "operator", "warden"] {
        assert_eq!(stage.post("/api/zones", &tokens[token], &body).status, 403, "{token}");
    }
    assert_eq!(stage.post("/api/zones", admin, &body).status, 200);
    assert_eq!(stage.post("/api/zones", admin, &json!(zone("cellar", "door"))).status, 404, "there is no such camera");
    let long = vec![[0.5, 0.5]; 7_000];
    for wrong in [
        json!({"camera": "hall", "name": "x"}),
        json!({"camera": "hall", "name": "x", "corners": [[0, 0, 0]]}),
        json!({"camera": "hall", "name": "x", "corners": [["a", 0]]}),
        json!({"camera": "hall", "name": "x", "corners": [], "colour": "red"}),
        json!({"camera": "hall", "name": "x", "corners": long}),
    ] {
        let status = stage.post("/api/zones", admin, &wrong).status;
        assert!(status == 400 || status == 413, "{status}");
    }
    let bearer = format!("Bearer {admin}");
    let delete = |path: &str| stage.call("DELETE", path, &[("Authorization", &bearer)], None).status;
    assert_eq!(delete("/api/zones?camera=hall&name=stairs"), 200);
    assert_eq!((delete("/api/zones?camera=hall&name=stairs"), delete("/api/zones?camera=hall")), (404, 400));
}

#[test]
fn what_is_secret_of_a_camera_never_comes_back() {
    let (stage, tokens) = claimed(doll());
    let admin = &tokens["admin"];
    let wish =
        json!({"camera": "porch", "rtsp": "rtsp://camera.lan/hunter2", "username": "vera", "password": "hunter2"});
    let tried = stage.post("/api/probe", admin, &wish);
    assert_eq!((tried.status, &tried.json()["picture"]), (200, &json!("data:image/jpeg;base64,/9j/")));
    let said = [
        tried,
        stage.post("/api/sources", admin, &wish),
        stage.get("/api/sources", admin),
        stage.get("/api/cameras", admin),
        stage.post("/api/sources", admin, &json!({"camera": "porch", "password": ["hunter2"]})),
        stage.post("/api/sources", admin, &json!({"camera": "porch", "password": "hunter2"})),
        stage.post("/api/probe", admin, &json!({"camera": "porch", "rtsp": "rtsp://h/", "secret": "hunter2"})),
    ];
    assert_eq!(said.each_ref().map(|reply| reply.status), [200, 200, 200, 200, 400, 400, 400]);
    for reply in &said {
        assert!(!String::from_utf8_lossy(&reply.body).contains("hunter2"), "{reply:?}");
    }
    let audit = std::fs::read_to_string(stage.folder.path().join("audit")).expect("it is noted");
    assert!(audit.contains("POST /api/sources\",\"status\":200") && !audit.contains("hunter2"), "{audit}");
    let bearer = format!("Bearer {admin}");
    let gone = stage.call("DELETE", "/api/sources/front%20door", &[("Authorization", &bearer)], None);
    assert_eq!((gone.status, gone.message()), (404, "`front door` was not added".into()));
    let from = |token: &str| stage.get("/api/cameras", &tokens[token]).json()["cameras"][0]["from"].clone();
    assert_eq!(
        (from("viewer"), from("operator")),
        (json!(null), json!("rtsp://camera.lan")),
        "where it is, is for operators"
    );
    assert_eq!(stage.get("/api/stats", &tokens["viewer"]).json()["cameras"][0]["from"], json!(null));
}

#[test]
fn a_recording_is_sent_in_parts_and_ranges_to_those_who_may_see_its_camera() {
    let (stage, tokens) = claimed(doll());
    let (hall, all) = (&tokens["hall"], footage());
    let listed = stage.get("/api/recordings", hall).json();
    assert_eq!((listed["recordings"].as_array().map(Vec::len), &listed["recordings"][0]["id"]), (Some(1), &json!(1)));
    assert_eq!(stage.get("/api/recordings?camera=bath", hall).status, 404);
    assert_eq!(stage.get("/api/recordings?limit=0", hall).status, 400);
    let of_events = |query: &str, token: &str| {
        let found = stage.get(&format!("/api/recordings?events={query}"), token);
        let ids = found.json()["recordings"].as_array().map(|all| all.iter().map(|of| of["id"].clone()).collect());
        (found.status, ids.unwrap_or_else(Vec::new))
    };
    let admin = &tokens["admin"];
    for (query, ids) in [("10", vec![json!(1)]), ("20,10", vec![json!(1), json!(2)]), ("11,12", vec![])] {
        assert_eq!(of_events(query, admin), (200, ids), "{query}");
    }
    assert_eq!(of_events("20,10", hall), (200, vec![json!(1)]), "of a camera that one may not see nothing is told");
    let many = |count: usize| vec!["10"; count].join(",");
    assert_eq!(of_events(&many(128), admin).0, 200);
    for wrong in ["", "10,", "ten", "-1", "1e3", "99999999999999999999", "10;20", "10,%20", &many(129)] {
        assert_eq!(of_events(wrong, admin).0, 400, "{wrong}");
    }
    let whole = stage.get("/api/recordings/1/clip.mp4", hall);
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("video/mp4")));
    assert_eq!((whole.header("content-length"), whole.header("cache-control")), (Some("100000"), Some("no-store")));
    assert!(whole.body == all, "{} bytes", whole.body.len());
    let bearer = format!("Bearer {hall}");
    let part = |range: &str| {
        let headers = [("Authorization", bearer.as_str()), ("Range", range)];
        stage.call("GET", "/api/recordings/1/clip.mp4", &headers, None)
    };
    let middle = part("bytes=40000-89999");
    assert_eq!((middle.status, middle.header("content-range")), (206, Some("bytes 40000-89999/100000")));
    assert!(middle.body == all[40_000..90_000]);
    let beyond = part("bytes=100000-");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */100000")));
    for path in ["/api/recordings/2", "/api/recordings/2/clip.mp4", "/api/recordings/2/snapshot.jpg"] {
        let (other, none) = (stage.get(path, hall), stage.get(&path.replace('2', "9"), hall));
        assert_eq!((other.status, none.status), (404, 404), "{path}");
        assert_eq!(other.message().replace('2', "9"), none.message(), "the same words, and no path");
    }
    let delete = |id: u64, name: &str| {
        let bearer = format!("Bearer {}", tokens[name]);
        stage.call("DELETE", &format!("/api/recordings/{id}"), &[("Authorization", &bearer)], None).status
    };
    assert_eq!((delete(1, "operator"), delete(2, "warden"), delete(1, "warden")), (403, 404, 200));
    assert_eq!(*lock(&stage.doll.deleted), [1]);
    assert_eq!(stage.get("/api/recordings/1/snapshot.jpg", &tokens["admin"]).status, 404, "it is gone");
    let audit = std::fs::read_to_string(stage.folder.path().join("audit")).expect("who looked is noted");
    for deed in [
        "\"hall\",\"from\":\"127.0.0.1\",\"what\":\"GET /api/recordings/1/clip.mp4\"",
        "\"what\":\"DELETE /api/recordings/1\",\"status\":200",
    ] {
        assert!(audit.contains(deed), "{audit}");
    }
}

#[test]
fn it_is_encrypted_with_a_certificate_of_its_own() {
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

    let stage = Stage::new(doll(), |settings, folder| {
        settings.tls = Some((folder.join("cert.pem"), folder.join("key.pem")));
    });
    let certificate = CertificateDer::from_pem_file(stage.folder.path().join("cert.pem")).expect("it was made");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let config =
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(client, stage.open());
    let body = "{\"password\":\"correct horse\"}";
    stream.write_all((stage.head("POST", "/api/setup", &[], Some(body)) + body).as_bytes()).expect("it is taken");
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    let heard = String::from_utf8_lossy(&heard);
    assert!(
        heard.starts_with("HTTP/1.1 200") && heard.contains("__Host-ocelli-session=") && heard.contains("; Secure"),
        "{heard}"
    );
    let plain = read_reply(stage.send(&stage.head("GET", "/health", &[], None), b""));
    assert_ne!(plain.status, 200, "nothing is answered in the clear");
}

#[test]
fn the_page_asks_for_nothing_from_elsewhere_and_browsers_are_told_so() {
    let (stage, _) = claimed(doll());
    for (path, kind, content) in page::FILES {
        let reply = stage.call("GET", path, &[], None);
        assert_eq!((reply.status, reply.header("content-type"), &reply.body[..]), (200, Some(kind), content), "{path}");
        let policy = reply.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        let tag = reply.header("etag").expect("a version");
        assert_eq!(stage.call("GET", path, &[("If-None-Match", tag)], None).status, 304);
        let text = String::from_utf8_lossy(content).replace("http://www.w3.org/2000/svg", "");
        for wrong in ["http://", "https://", "innerHTML", "eval(", " style=", "onclick=\""] {
            assert!(!text.contains(wrong), "{path} has `{wrong}`");
        }
    }
}

/// All that a document refers to.
fn refers<'a>(value: &'a Value, to: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            to.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| refers(value, to));
        }
        Value::Array(values) => values.iter().for_each(|value| refers(value, to)),
        _ => {}
    }
}

#[test]
fn the_document_names_every_route_and_all_that_it_refers_to() {
    let document = openapi::document("1.2.3");
    for route in routes() {
        let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        assert_eq!(operation["summary"], route.says, "{} {}", route.method, route.path);
        assert_eq!(operation["security"] == json!([]), route.access == Access::Open);
        assert_eq!(operation.get("requestBody").is_some(), route.takes.is_some());
    }
    let mut ids: Vec<String> = routes().iter().map(routes::Route::id).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "each has a name of its own");
    let mut all = Vec::new();
    refers(&document, &mut all);
    assert!(all.len() > 20);
    for pointer in all {
        assert!(document.pointer(pointer.trim_start_matches('#')).is_some(), "{pointer}");
    }
}

#[test]
fn a_chat_is_answered_as_openai_s_clients_expect() {
    let (stage, tokens) = claimed(doll());
    let viewer = &tokens["viewer"];
    let models = stage.get("/v1/models", viewer).json();
    assert_eq!(
        (models["data"][0]["id"].as_str(), models["data"][0]["aliases"][0].as_str()),
        (Some("ocelli"), Some("doll"))
    );
    assert_eq!(stage.get("/props", viewer).json()["modalities"]["vision"], true);
    let chat = |more: Value, content: Value| {
        let mut body =
            json!({"model": "ocelli", "messages": [{"role": "user", "content": content}], "temperature": 0.2});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        stage.post("/v1/chat/completions", viewer, &body)
    };
    let said = |reply: Reply| reply.json()["choices"][0]["message"]["content"].as_str().expect("words").to_owned();
    assert_eq!(said(chat(json!({}), json!("when did somebody come?"))), "At 18:30.");
    let lately =
        json!([{"type": "text", "text": "?"}, {"type": "video_url", "video_url": {"url": "camera://hall?last=60s"}}]);
    assert_eq!(said(chat(json!({}), lately.clone())), "18:30:00Z event 1\n18:30:00Z ALERT event 3");
    let picture = json!([{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/4A=="}}]);
    let schema = json!({"type": "object", "properties": {"title": {"type": "string"}, "potential_threat_level": {"type": "integer", "minimum": 0, "maximum": 2}}, "required": ["title"]});
    let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}});
    let filled: Value = serde_json::from_str(&said(chat(format, picture))).expect("JSON");
    assert_eq!(filled, json!({"title": "Someone falls.", "potential_threat_level": 2}));
    let reply = chat(json!({"stream": true, "stream_options": {"include_usage": true}}), lately);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let chunks: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect();
    let words: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(words, "18:30:00Z event 1\n18:30:00Z ALERT event 3");
    assert!(
        text.contains("data: [DONE]") && chunks.last().is_some_and(|last| last["usage"]["total_tokens"].is_u64()),
        "{text}"
    );
}
