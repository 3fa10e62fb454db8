//! A gateway that listens on the loopback address, and a house behind it: its journal, questions and conditions are the
//! program's, what takes a model is not there.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use jiff::tz::TimeZone;
use ocelli_drivers::RtspAddress;
use ocelli_gateway::house::{
    About, Answer, Answered, Changes, Condition, Digest, DigestQuery, Done, EventPage, EventQuery, Glance, House,
    HouseError, Lesson, Media, MediaPart, NewCondition, NewSentence, Question, Recording, RecordingPage,
    RecordingQuery, Sentence, State, Verdict,
};
use ocelli_gateway::setup::{NewSource, SetUp, Shot, Sources, Zone};
use ocelli_gateway::{Canvas, Event, Feed, Gateway, Settings, Snapshots};
use ocelli_journal::ask::{Asker, Meaning};
use ocelli_journal::{Entry, Journal, Limits, Query, Start, Told, Writer};
use ocelli_types::{EventKind, Micros, Severity};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::condition::AlertTable;
use crate::said::check_text;
use crate::when::parse_since;
use crate::wish;

/// What seeds send as theirs.
const TOKEN: &str = "fuzz";

/// A day of a hall: the journal's file, and what its words mean.
pub struct Day {
    _folder: TempDir,
    journal: Mutex<Journal>,
}

/// Sentences without directions: only their words are compared.
struct Words(Vec<ocelli_journal::ask::Sentence>);

impl Meaning for Words {
    fn sentences(&self) -> &[ocelli_journal::ask::Sentence] {
        &self.0
    }

    fn near(&mut self, _phrase: &str) -> Option<Vec<f32>> {
        None
    }

    fn alike(&mut self, _one: &str, _other: &str) -> Option<f32> {
        None
    }
}

const SAID: [(&str, &str); 6] = [
    ("enter", "Someone comes in."),
    ("sit", "Someone is sitting."),
    ("drink", "Someone drinks from a cup."),
    ("fall", "Someone falls to the floor!"),
    ("light_on", "The light goes on."),
    ("nobody", "The room is empty."),
];

/// 27 March 2026, 07:00 UTC.
const BEGAN_MS: u64 = 1_774_594_800_000;
const HOUR_MS: u64 = 3_600_000;

impl Default for Day {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("journal");
        let limits = Limits { bytes: 16 << 20, keep_us: Micros(u64::MAX) };
        let start = Start { unix_ms: Some(BEGAN_MS), stream_us: Micros(0), least_id: 1 };
        let (mut writer, _) = Writer::open(&path, limits, start).expect("it can be written");
        for (number, (kind, text)) in (0_u64..).zip(SAID) {
            let after_us = Micros(number * HOUR_MS * 1000);
            let about = ocelli_journal::About {
                kind: kind.into(),
                severity: Severity::Info,
                vector: None,
                entities: Vec::new(),
            };
            let told = Told {
                id: number + 1,
                kind: if kind == "fall" { EventKind::Alert } else { EventKind::Narration },
                camera: "hall".into(),
                start_us: after_us,
                end_us: after_us,
                start_ms: Some(BEGAN_MS + number * HOUR_MS),
                text: text.into(),
                score: 0.8,
                entries: None,
                about: Some(about),
                quiet: false,
            };
            writer.write(&[Entry::Told(told)]).expect("there is room");
        }
        writer.finish(7, Micros(6 * HOUR_MS * 1000), Some(BEGAN_MS + 6 * HOUR_MS)).expect("there is room");
        let journal = Mutex::new(Journal::open(&path).expect("it was written"));
        Self { _folder: folder, journal }
    }
}

impl Day {
    /// What is answered.
    pub fn ask(&self, question: &str, camera: Option<String>) -> ocelli_journal::ask::Answer {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let said = SAID.map(|(kind, text)| ocelli_journal::ask::Sentence { kind: kind.into(), text: text.into() });
        let now = "2026-03-27T20:00:00+01:00[Europe/Berlin]".parse().expect("a date");
        let mut asker = Asker { journal: &journal, meaning: &mut Words(said.to_vec()), now, camera };
        let answer = asker.ask(question).expect("the journal should be readable");
        assert!((0.0..=1.0).contains(&answer.confidence), "{answer:?}");
        answer
    }

    /// Events that fit; their ids.
    pub fn find(&self, query: &EventQuery) -> Answered<Vec<u64>> {
        let at = |text: &Option<String>| {
            let parsed = text.as_deref().map(parse_since).transpose().map_err(HouseError::Refused)?;
            Ok(parsed.map(|at| at.unix_ms(&TimeZone::UTC)))
        };
        let (since_ms, until_ms) = (at(&query.since)?, at(&query.until)?);
        let wanted = Query {
            words: query.q.as_deref().unwrap_or_default(),
            camera: query.camera.as_deref(),
            kind: query.kind.as_deref(),
            about: query.about.as_deref(),
            since_ms,
            until_ms,
            after_id: query.after,
            before_id: query.before,
            limit: usize::from(query.limit.unwrap_or(50)),
            ..Query::default()
        };
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ids = Vec::new();
        let each = journal.each(&wanted, query.after.is_none(), &mut |event| {
            ids.push(event.id);
            ids.len() < wanted.limit
        });
        each.expect("the journal should be readable");
        Ok(ids)
    }
}

struct Small {
    about: About,
    day: Day,
    conditions: Mutex<Vec<Condition>>,
    zones: Mutex<Vec<Zone>>,
}

fn event(id: u64) -> Event {
    Event {
        id: Some(id),
        r#type: "narration".into(),
        camera: Some("hall".into()),
        text: "Someone walks.".into(),
        ..Event::default()
    }
}

fn none<T>() -> Answered<T> {
    Err(HouseError::Absent("there is none".into()))
}

fn plain(text: &str) -> Answered<Done> {
    check_text(text).map(|()| Done::default()).map_err(HouseError::Refused)
}

impl House for Small {
    fn about(&self) -> &About {
        &self.about
    }

    fn state(&self) -> State {
        State::default()
    }

    fn events(&self, query: &EventQuery, _: Option<&[String]>) -> Answered<EventPage> {
        Ok(EventPage { events: self.day.find(query)?.into_iter().map(event).collect(), holes: Vec::new() })
    }

    fn event(&self, id: u64) -> Answered<Event> {
        if id < 7 { Ok(event(id)) } else { none() }
    }

    fn acknowledge(&self, _: u64) -> Answered<()> {
        Ok(())
    }

    fn judge(&self, _: u64, verdict: &Verdict) -> Answered<Done> {
        plain(verdict.was.as_deref().unwrap_or("right"))
    }

    fn teach(&self, lesson: &Lesson) -> Answered<Done> {
        let times = [&lesson.from, &lesson.to].into_iter().flatten();
        times.map(|time| parse_since(time)).collect::<Result<Vec<_>, _>>().map_err(HouseError::Refused)?;
        plain(&lesson.text)
    }

    fn ask(&self, question: &Question) -> Answered<Answer> {
        let answer = self.day.ask(&question.question, question.camera.clone());
        Ok(Answer {
            question: question.question.clone(),
            answer: answer.text,
            evidence: answer.evidence,
            ..Answer::default()
        })
    }

    fn digest(&self, _: &DigestQuery) -> Answered<Digest> {
        Ok(Digest::default())
    }

    fn vocabulary(&self) -> Answered<Vec<Sentence>> {
        Ok(vec![Sentence::default()])
    }

    fn add(&self, sentence: &NewSentence) -> Answered<Done> {
        plain(&sentence.text)
    }

    fn remove(&self, text: &str) -> Answered<Done> {
        plain(text)
    }

    fn look(&self, pictures: &[Vec<u8>]) -> Answered<Vec<Glance>> {
        assert!(
            pictures.iter().all(|picture| picture.starts_with(&[0xff, 0xd8, 0xff])),
            "each should begin as a JPEG does"
        );
        Ok(vec![Glance { text: "Someone falls.".into(), probability: 0.9, ..Glance::default() }])
    }

    fn conditions(&self) -> Vec<Condition> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn condition_changes(&self) -> Option<Arc<Changes>> {
        None
    }

    fn add_condition(&self, new: &NewCondition) -> Answered<Done> {
        let NewCondition { text, camera, kinds, absent, for_, cooldown, times, zone, in_zone, .. } = new.clone();
        let table =
            AlertTable { text, camera, kinds, absent, for_, cooldown, times, zone, in_zone, ..AlertTable::default() };
        table.check().map_err(HouseError::Refused)?;
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.truncate(31);
        conditions.push(Condition { text: table.text, own: true, ..Condition::default() });
        Ok(Done::default())
    }

    fn remove_condition(&self, text: &str) -> Answered<Done> {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.retain(|condition| condition.text != text);
        Ok(Done::default())
    }

    fn canvas(&self, _: &str) -> Option<Arc<Canvas>> {
        None
    }

    fn recordings(&self, _: &RecordingQuery, _: Option<&[String]>) -> Answered<RecordingPage> {
        Ok(RecordingPage::default())
    }

    fn recording(&self, id: u64) -> Answered<Recording> {
        if id < 7 { Ok(Recording { id, camera: "hall".into(), clip: true, ..Recording::default() }) } else { none() }
    }

    fn recorded(&self, _: u64, _: Media, from: u64, most: usize) -> Answered<MediaPart> {
        let total_bytes = 100_usize;
        let bytes = most.min(total_bytes.saturating_sub(from as usize));
        Ok(MediaPart { total_bytes: total_bytes as u64, bytes: vec![0; bytes] })
    }

    fn remove_recording(&self, _: u64) -> Answered<()> {
        Ok(())
    }

    fn set_up(&self) -> Answered<&dyn SetUp> {
        Ok(self)
    }

    fn snapshots(&self) -> Option<Arc<Snapshots>> {
        None
    }
}

impl SetUp for Small {
    fn zones(&self) -> Vec<Zone> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put_zone(&self, zone: &Zone) -> Answered<Done> {
        wish::check_zone(zone).map_err(HouseError::Refused)?;
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        zones.truncate(31);
        zones.push(zone.clone());
        Ok(Done::default())
    }

    fn remove_zone(&self, camera: &str, name: &str) -> Answered<Done> {
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        zones.retain(|zone| (zone.camera.as_str(), zone.name.as_str()) != (camera, name));
        Ok(Done::default())
    }

    fn sources(&self) -> Sources {
        Sources::default()
    }

    /// As far as without a camera.
    fn try_source(&self, wish: &NewSource) -> Answered<Shot> {
        self.put_source(wish)?;
        Ok(Shot { size: "640x480".into(), fps: 10.0, jpeg: None })
    }

    fn put_source(&self, wish: &NewSource) -> Answered<Done> {
        let keys = wish::camera(wish).map_err(HouseError::Refused)?;
        if let Some(address) = keys.get("rtsp").and_then(|address| address.as_str()) {
            RtspAddress::parse(address).map_err(HouseError::Refused)?;
        }
        Ok(Done::default())
    }

    fn remove_source(&self, camera: &str) -> Answered<Done> {
        wish::check_name(camera).map(|_| Done::default()).map_err(HouseError::Refused)
    }
}

/// A gateway, and what comes back of it.
pub struct Exchange {
    gateway: Gateway,
    _folder: TempDir,
}

impl Default for Exchange {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let users = folder.path().join("users");
        claim(&users).expect("there is room");
        let day = Day::default();
        let cameras = vec!["hall".to_owned()];
        let about = About { version: "0.0.0".into(), pack: "small".into(), cameras, live: true, ..About::default() };
        let mut settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.users = Some(users);
        settings.audit = Some(folder.path().join("audit"));
        // What is cut short ends soon.
        settings.patience = Duration::from_millis(20);
        let house = Arc::new(Small { about, day, conditions: Mutex::default(), zones: Mutex::default() });
        let gateway = Gateway::start(settings, house, Feed::default(), || ()).expect("the loopback address is free");
        let exchange = Self { gateway, _folder: folder };
        let known =
            b"GET /api/stats HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer fuzz\r\nConnection: close\r\n\r\n";
        // A machine may be busy; one that never answers would find nothing.
        let answers: Vec<_> =
            (0..40).map(|_| exchange.send(known)).take_while(|answer| !answer.starts_with(b"HTTP/1.1 200")).collect();
        assert!(
            answers.len() < 40,
            "the house answers whom it knows, and not {:?}",
            String::from_utf8_lossy(&answers[0])
        );
        exchange
    }
}

/// Lets whoever sends [`TOKEN`] do anything.
fn claim(users: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let digest: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!(
        "{{\"type\":\"token\",\"name\":\"fuzz\",\"role\":\"admin\",\"sha256\":\"{digest}\",\"expires\":9999999999}}\n"
    );
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(users)?.write_all(line.as_bytes())
}

impl Exchange {
    /// Sends these bytes on a connection of their own, and takes what comes until it ends; a stream of events is left.
    pub fn send(&self, bytes: &[u8]) -> Vec<u8> {
        let mut reply = Vec::new();
        let address = SocketAddr::from(([127, 0, 0, 1], self.gateway.address().port()));
        let mut exchange = || {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_millis(250)))?;
            stream.write_all(bytes)?;
            stream.read_to_end(&mut reply)
        };
        // A connection that was ended, or waits for more, is an answer too.
        let _ = exchange();
        reply
    }
}
