//! MQTT against real brokers: Mosquitto, and NATS with its MQTT listener.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{self, FakeHouse, Server, event, note, until};
use ocelli_gateway::house::Condition;
use ocelli_gateway::{Controls, Courier, Feed, House, MqttTable, OutboxTable, Targets};
use rumqttc::{Client, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const MOST: Duration = Duration::from_mins(2);
const BASE: &str = "ocelli/home/board";

/// Somebody who listens to all, and whose session the broker keeps while they or it are away.
pub struct Listener {
    client: Client,
    heard: Arc<Mutex<Vec<(String, String, bool)>>>,
}

impl Listener {
    fn start(mut options: MqttOptions) -> Self {
        options.set_clean_session(false).set_keep_alive(Duration::from_secs(5)).set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut connection) = Client::new(options, 100);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (all, again) = (Arc::clone(&heard), client.clone());
        let ready = Arc::new(AtomicUsize::new(0));
        let subscribed = Arc::clone(&ready);
        std::thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(rumqttc::Event::Incoming(Packet::ConnAck(_))) => {
                        let _ = again.try_subscribe("#", QoS::AtLeastOnce);
                    }
                    Ok(rumqttc::Event::Incoming(Packet::SubAck(_))) => {
                        subscribed.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(rumqttc::Event::Incoming(Packet::Publish(publish))) => {
                        let payload = String::from_utf8_lossy(&publish.payload).into_owned();
                        all.lock().expect("nobody panicked").push((publish.topic, payload, publish.retain));
                    }
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        until("the listener listens", MOST, || ready.load(Ordering::Relaxed) > 0);
        Self { client, heard }
    }

    pub fn at(port: u16, name: &str) -> Self {
        Self::start(MqttOptions::new(name, "127.0.0.1", port))
    }

    pub fn heard(&self) -> Vec<(String, String, bool)> {
        self.heard.lock().expect("nobody panicked").clone()
    }

    /// The newest of a topic.
    fn last(&self, topic: &str) -> Option<String> {
        self.heard().into_iter().rev().find(|(of, _, _)| of == topic).map(|(_, payload, _)| payload)
    }

    /// Events by the topic of their camera, in order, each the first time that its uid came; and how many came again.
    fn events(&self) -> (Vec<Value>, usize) {
        let (mut seen, mut events, mut again) = (BTreeSet::new(), Vec::new(), 0);
        for (topic, payload, _) in self.heard() {
            if topic.starts_with(&format!("{BASE}/camera/")) && topic.ends_with("/event") {
                let event: Value = payload.parse().expect("JSON");
                if seen.insert(event["uid"].to_string()) {
                    events.push(event);
                } else {
                    again += 1;
                }
            }
        }
        (events, again)
    }

    fn say(&self, topic: &str, payload: &str) {
        self.client.publish(format!("{BASE}/{topic}"), QoS::AtLeastOnce, false, payload).expect("it runs");
    }

    fn answer(&self, topic: &str, before: usize) -> Value {
        let topic = format!("{BASE}/{topic}");
        let answers = || -> Vec<Value> {
            let of = |(at, payload, _): (String, String, bool)| (at == topic).then(|| payload.parse().expect("JSON"));
            self.heard().into_iter().filter_map(of).collect()
        };
        until(&format!("an answer in {topic}"), MOST, || answers().len() > before);
        answers().pop().expect("it is there")
    }
}

/// Mosquitto, which keeps what it has over a kill.
fn mosquitto(folder: &Path, port: u16, more: &str) -> Option<Server> {
    let program = common::program("mosquitto")?;
    let config = folder.join("mosquitto.conf");
    let text = format!(
        "listener {port} 127.0.0.1\npersistence true\npersistence_location {}/\nautosave_interval 1\n\
         autosave_on_changes true\nmax_queued_messages 0\nmax_inflight_messages 0\n{more}\n",
        folder.display(),
    );
    // It would drop its rights, and then find its folder closed.
    let text = if more.is_empty() { format!("{text}allow_anonymous true\n") } else { text };
    std::fs::write(&config, format!("user root\n{text}")).expect("there is room");
    let mut command = Command::new(program);
    command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    Some(Server::start(&mut command, port))
}

/// NATS, whose MQTT keeps its sessions in a stream on disk.
fn nats(folder: &Path, port: u16) -> Option<Server> {
    let program = common::program("nats-server")?;
    let config = folder.join("nats.conf");
    let (store, own) = (folder.join("store"), common::free_port());
    let text = format!(
        "server_name: test\nlisten: 127.0.0.1:{own}\njetstream {{ store_dir: \"{}\" }}\n\
         mqtt {{ host: 127.0.0.1, port: {port}, max_ack_pending: 5000 }}\n",
        store.display()
    );
    std::fs::write(&config, text).expect("there is room");
    let mut command = Command::new(program);
    command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    Some(Server::start(&mut command, port))
}

fn table(port: u16) -> MqttTable {
    MqttTable { broker: format!("mqtt://127.0.0.1:{port}"), device: "board".into(), ..MqttTable::default() }
}

fn start(folder: Option<&Path>, table: MqttTable, feed: &Feed) -> (Courier, Arc<FakeHouse>) {
    let fake = FakeHouse::new();
    let house: Arc<dyn House> = fake.clone();
    let controls: Arc<dyn Controls> = fake.clone();
    let outbox = OutboxTable { folder: folder.map(Into::into), ..OutboxTable::default() };
    let targets = Targets { outbox, mqtt: Some(table), webhooks: Vec::new(), source: "/ocelli/home/board".into() };
    (Courier::start(targets, feed, &house, &controls, note).expect("nothing is wrong with it"), fake)
}

/// What a day brings, from the id on: narrations, and alerts with their ends.
fn tell_day(feed: &Feed, courier: &Courier, ids: std::ops::Range<u64>) {
    let told = courier.states()[0].told;
    for (count, id) in ids.enumerate() {
        let camera = if id.is_multiple_of(3) { "front door" } else { "kitchen" };
        let (kind, text) = match id % 50 {
            10 => ("alert", "Stove unattended".to_owned()),
            11 => ("update", "a pan stands on the stove".to_owned()),
            20 => ("alert_end", "Stove unattended".to_owned()),
            30 => ("blind", "unplugged".to_owned()),
            31 => ("health", "seeing again after 1.0 s".to_owned()),
            _ => ("narration", format!("a person walks, {id}")),
        };
        let camera = if matches!(kind, "alert" | "update" | "alert_end") { "kitchen" } else { camera };
        feed.tell(event(id, kind, camera, &text));
        // No faster than the feed's ring allows, however busy this machine is.
        if count % 100 == 99 {
            let by_now = told + count as u64 + 1;
            until("the courier has them", MOST, || courier.states()[0].told >= by_now);
        }
    }
}

/// Everything once by its uid, in the order in which it was told.
fn assert_whole(listener: &Listener, courier: &Courier, count: u64) -> usize {
    let began = std::time::Instant::now();
    while (listener.events().0.len() as u64) < count {
        let there = listener.events().0;
        assert!(began.elapsed() < MOST, "{} of {count} events are there: {:?}", there.len(), courier.states());
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    let (events, again) = listener.events();
    let ids: Vec<u64> = events.iter().map(|event| event["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids, (0..count).collect::<Vec<_>>(), "nothing lost, nothing twice, in order");
    again
}

/// A broker that is killed twice while a day goes on, and a program that is started anew.
fn survives(broker: impl Fn(&Path, u16) -> Option<Server>, name: &str) {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(server) = broker(folder.path(), port) else { return };
    let listener = Listener::at(port, "listener");
    let outbox = folder.path().join("outbox");
    let feed = Feed::default();
    let (courier, _) = start(Some(&outbox), table(port), &feed);
    tell_day(&feed, &courier, 0..200);
    until("the first are there", MOST, || listener.events().0.len() >= 200 && courier.states()[0].waiting == 0);
    server.kill();
    tell_day(&feed, &courier, 200..400);
    until("they wait", MOST, || courier.states()[0].waiting == 200);
    let server = broker(folder.path(), port).expect("it was there before");
    tell_day(&feed, &courier, 400..500);
    until("those too", MOST, || listener.events().0.len() >= 500);
    server.kill();
    tell_day(&feed, &courier, 500..600);
    courier.finish();
    let server = broker(folder.path(), port).expect("it was there before");
    let feed = Feed::default();
    let (courier, _) = start(Some(&outbox), table(port), &feed);
    tell_day(&feed, &courier, 600..650);
    let again = assert_whole(&listener, &courier, 650);
    until("nothing waits", MOST, || courier.states()[0].waiting == 0);
    assert_eq!(courier.states()[0].dropped, 0);
    eprintln!("{name}: 650 events, {again} came twice under their uid");
    courier.finish();
    until("it said goodbye", MOST, || listener.last(&format!("{BASE}/available")).as_deref() == Some("stopped"));
    drop(server);
}

#[test]
fn a_mosquitto_that_is_killed_gets_everything_once() {
    survives(|folder, port| mosquitto(folder, port, ""), "mosquitto");
}

#[test]
fn a_nats_that_is_killed_gets_everything_once() {
    survives(nats, "nats-server");
}

/// Stands between us and the broker, and cuts the line again and again.
fn cutting_proxy(to: u16, after_bytes: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let cuts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&cuts);
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let Ok((near, far)) = near.and_then(|near| TcpStream::connect(("127.0.0.1", to)).map(|far| (near, far)))
            else {
                continue;
            };
            // The third line holds.
            let limit = if count.fetch_add(1, Ordering::Relaxed) < 3 { after_bytes } else { usize::MAX };
            for (mut from, mut into) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))]
                .map(|(a, b)| (a.expect("a stream"), b.expect("a stream")))
            {
                std::thread::spawn(move || {
                    let (mut chunk, mut passed) = ([0; 256], 0);
                    while let Ok(read) = from.read(&mut chunk) {
                        passed += read;
                        if read == 0 || passed > limit || into.write_all(&chunk[..read]).is_err() {
                            break;
                        }
                    }
                    let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
                });
            }
        }
    });
    (port, cuts)
}

#[test]
fn a_line_that_is_cut_in_the_middle_costs_nothing() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(_server) = mosquitto(folder.path(), port, "") else { return };
    let listener = Listener::at(port, "listener");
    let (through, cuts) = cutting_proxy(port, 60_001);
    let feed = Feed::default();
    let (courier, _) = start(Some(&folder.path().join("outbox")), table(through), &feed);
    tell_day(&feed, &courier, 0..600);
    let again = assert_whole(&listener, &courier, 600);
    assert!(cuts.load(Ordering::Relaxed) >= 3, "it was cut");
    eprintln!("{} connections, {again} events came twice under their uid", cuts.load(Ordering::Relaxed));
    courier.finish();
}

/// The documented shape of device discovery (home-assistant.io, "MQTT": device discovery payload, and each platform's page).
fn check_discovery(payload: &Value) -> BTreeMap<String, Value> {
    assert!(payload["device"]["identifiers"][0].is_string() && payload["device"]["name"].is_string(), "{payload}");
    assert!(payload["origin"]["name"].is_string(), "origin.name is required: {payload}");
    assert_eq!(
        (&payload["qos"], &payload["availability"][0]["topic"]),
        (&json!(1), &json!(format!("{BASE}/available")))
    );
    let mut ids = BTreeSet::new();
    let components = payload["components"].as_object().expect("components");
    for (key, component) in components {
        let id = component["unique_id"].as_str().expect("each has a unique_id");
        assert!(ids.insert(id.to_owned()), "{id} is twice");
        assert!(id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'), "{id}");
        let needs: &[&str] = match component["platform"].as_str().expect("each has a platform") {
            "event" => &["state_topic", "event_types"],
            "sensor" | "binary_sensor" => &["state_topic"],
            "image" => &["image_topic", "content_type"],
            "switch" | "button" | "text" => &["command_topic"],
            "select" => &["command_topic", "options"],
            other => panic!("{other} is no platform that we use"),
        };
        assert!(needs.iter().all(|need| !component[*need].is_null()), "{key} needs {needs:?}: {component}");
        for (name, value) in component.as_object().expect("an object") {
            if name.ends_with("_topic") {
                assert!(value.as_str().is_some_and(|topic| topic.starts_with(BASE)), "{key}: {name} is {value}");
            }
        }
        assert!(component["name"].as_str().is_some_and(|name| !name.is_empty()), "{key}");
    }
    components.clone().into_iter().collect()
}

#[test]
fn home_assistant_finds_one_device_with_all_that_a_day_tells() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(_server) = mosquitto(folder.path(), port, "") else { return };
    let listener = Listener::at(port, "listener");
    let feed = Feed::default();
    let (courier, fake) = start(None, table(port), &feed);
    let topic = "homeassistant/device/ocelli_home_board/config";
    until("it is discovered", MOST, || listener.last(topic).is_some());
    let components = check_discovery(&listener.last(topic).expect("it is there").parse().expect("JSON"));
    assert_eq!(components.len(), 25, "{:?}", components.keys().collect::<Vec<_>>());
    tell_day(&feed, &courier, 0..100);
    assert_whole(&listener, &courier, 100);
    // Each event is of a type that was announced, in the topic that was announced.
    let heard = listener.heard();
    for (camera, slug) in [("kitchen", "kitchen"), ("front door", "front_door")] {
        let entity = &components[&format!("{slug}_event")];
        let of = |topic: &str| Some(topic) == entity["state_topic"].as_str();
        let events: Vec<Value> = heard
            .iter()
            .filter(|(topic, _, _)| of(topic))
            .map(|(_, payload, _)| payload.parse().expect("JSON"))
            .collect();
        assert!(events.len() > 20, "{camera}");
        for event in &events {
            assert!(
                entity["event_types"].as_array().is_some_and(|types| types.contains(&event["event_type"])),
                "{event}"
            );
            assert!(event["camera"] == camera && event["uid"].is_string() && event["text"].is_string(), "{event}");
        }
        assert!(heard.iter().all(|(topic, _, retain)| !(of(topic) && *retain)), "an event is never retained");
        let narration = components[&format!("{slug}_narration")]["state_topic"].as_str().expect("a topic");
        let last: Value = listener.last(narration).expect("it was told").parse().expect("JSON");
        assert!(last["text"].as_str().is_some_and(|text| text.starts_with("a person walks")), "{last}");
    }
    // The condition went on and off twice.
    let stove =
        components.iter().find(|(key, _)| key.contains("condition")).expect("a condition").1["state_topic"].clone();
    let went: Vec<String> =
        listener.heard().into_iter().filter(|(topic, _, _)| json!(topic) == stove).map(|(_, state, _)| state).collect();
    assert_eq!(went, ["OFF", "ON", "OFF", "ON", "OFF"]);
    // Somebody who comes later finds out how things are, and nothing of the past.
    let later = Listener::at(port, "later");
    until("all is retained", MOST, || later.last(&format!("{BASE}/stats")).is_some() && later.last(topic).is_some());
    assert!(
        later.heard().iter().all(|(topic, _, retain)| *retain && !topic.ends_with("/event")),
        "{:?}",
        later.heard()
    );
    assert_eq!(later.last(&format!("{BASE}/available")).as_deref(), Some("online"));
    let stats: Value = later.last(&format!("{BASE}/stats")).expect("it is there").parse().expect("JSON");
    assert_eq!((&stats["memory"]["used_mib"], &stats["cameras"]["kitchen"]["up"]), (&json!(40.0), &json!(true)));
    // A blind camera is not available, and is again when it sees.
    *fake.up.lock().expect("nobody panicked") = false;
    feed.tell(event(100, "blind", "kitchen", "unplugged"));
    let available = format!("{BASE}/camera/kitchen/available");
    until("it is blind", MOST, || listener.last(&available).as_deref() == Some("offline"));
    *fake.up.lock().expect("nobody panicked") = true;
    feed.tell(event(101, "health", "kitchen", "seeing again after 1.0 s"));
    until("it sees", MOST, || listener.last(&available).as_deref() == Some("online"));
    // Home Assistant was started anew.
    let count = || listener.heard().iter().filter(|(of, _, _)| of == topic).count();
    let before = count();
    listener.client.publish("homeassistant/status", QoS::AtLeastOnce, false, "online").expect("it runs");
    until("it is told again", MOST, || count() > before);
    // A program that is cut off is offline by its last will: the courier's thread is gone with its runtime, as in a kill.
    courier.finish();
    until("it ended in order", MOST, || listener.last(&format!("{BASE}/available")).as_deref() == Some("stopped"));
}

#[test]
fn a_condition_that_is_added_is_there_at_once_and_of_one_that_is_taken_back_nothing_stays() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(server) = mosquitto(folder.path(), port, "") else { return };
    let listener = Listener::at(port, "listener");
    let feed = Feed::default();
    let (courier, fake) = start(None, table(port), &feed);
    let config = "homeassistant/device/ocelli_home_board/config";
    let component = |key: &str| -> Option<Value> {
        let told: Value = listener.last(config)?.parse().expect("JSON");
        told["components"].get(key).cloned()
    };
    until("it is discovered", MOST, || listener.last(config).is_some());
    let [kitchen, door] = ["kitchen", "front_door"].map(|camera| format!("{camera}_condition_somebody_rings"));
    assert_eq!(component(&kitchen), None);
    let rings = Condition { text: "Somebody rings".into(), own: true, ..Condition::default() };
    fake.stand(|all| all.push(rings.clone()));
    until("both cameras have it", MOST, || component(&kitchen).is_some() && component(&door).is_some());
    check_discovery(&listener.last(config).expect("it is there").parse().expect("JSON"));
    let state = format!("{BASE}/camera/front_door/condition/somebody_rings");
    assert_eq!(component(&door).expect("it is there")["state_topic"], state);
    until("it has a state", MOST, || listener.last(&state).as_deref() == Some("OFF"));
    feed.tell(event(1, "alert", "front door", "Somebody rings"));
    until("it fires", MOST, || listener.last(&state).as_deref() == Some("ON"));
    until("with its event", MOST, || listener.last(&format!("{state}/attributes")).is_some());
    fake.stand(|all| all.retain(|of| of.text != "Somebody rings"));
    let gone = Some(json!({"platform": "binary_sensor"}));
    until("Home Assistant is to take it out", MOST, || component(&kitchen) == gone && component(&door) == gone);
    feed.tell(event(2, "alert_end", "front door", "Somebody rings"));
    assert_whole_ids(&listener, &[1, 2]);
    let later = Listener::at(port, "later");
    until("all is retained", MOST, || later.last(&format!("{BASE}/camera/front_door/alert")).is_some());
    let stays: Vec<_> = later.heard().into_iter().filter(|(topic, _, _)| topic.contains("somebody_rings")).collect();
    assert!(stays.is_empty(), "{stays:?}");
    assert_eq!(later.last(&format!("{BASE}/camera/front_door/alert")).as_deref(), Some("OFF"));
    // What changes while the broker is away it finds when it is back.
    server.kill();
    fake.stand(|all| all.push(rings));
    let _server = mosquitto(folder.path(), port, "");
    until("it is there again", MOST, || component(&door).is_some_and(|of| of["state_topic"] == state));
    let told = || listener.heard().iter().filter(|(topic, payload, _)| *topic == state && payload == "OFF").count();
    until("with its state", MOST, || told() >= 2);
    courier.finish();
}

/// Events of these ids came, and no others.
fn assert_whole_ids(listener: &Listener, ids: &[u64]) {
    until("all events are there", MOST, || listener.events().0.len() >= ids.len());
    let came: Vec<u64> = listener.events().0.iter().map(|event| event["id"].as_u64().expect("an id")).collect();
    assert_eq!(came, ids);
}

#[test]
fn snapshots_are_told_where_that_is_allowed_and_kept_for_who_comes_later() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(_server) = mosquitto(folder.path(), port, "") else { return };
    let topic = format!("{BASE}/camera/front_door/snapshot");
    let config = "homeassistant/device/ocelli_home_board/config";
    for images in [false, true] {
        let feed = Feed::default();
        let (courier, fake) = start(None, MqttTable { images, ..table(port) }, &feed);
        // Before there is a connection, and over it.
        fake.snapshots.show("front door", Arc::from(*b"first"));
        let listener = Listener::at(port, &format!("listener-{images}"));
        until("it is online", MOST, || listener.last(&format!("{BASE}/available")).as_deref() == Some("online"));
        until("it tells who it is", MOST, || listener.last(config).is_some());
        let discovery: Value = listener.last(config).expect("it was told").parse().expect("JSON");
        let image = &check_discovery(&discovery).remove("front_door_snapshot");
        assert_eq!(image.as_ref().map(|image| image["image_topic"] == topic), images.then_some(true), "{image:?}");
        fake.snapshots.show("front door", Arc::from(*b"second"));
        feed.tell(event(1, "alert", "front door", "somebody rings"));
        until("the event is there", MOST, || !listener.events().0.is_empty());
        if images {
            until("the newest is there", MOST, || listener.last(&topic).as_deref() == Some("second"));
            let late = Listener::at(port, "late");
            until("who comes later has it", MOST, || late.last(&topic).as_deref() == Some("second"));
        } else {
            assert_eq!(listener.last(&topic), None, "no picture leaves the board");
        }
        courier.finish();
    }
}

#[test]
fn a_message_that_is_longer_than_any_command_costs_a_connection_and_no_more() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(_server) = mosquitto(folder.path(), port, "") else { return };
    let listener = Listener::at(port, "listener");
    let long = "x".repeat(70_000);
    listener.client.publish(format!("{BASE}/x/set"), QoS::AtLeastOnce, true, long).expect("it runs");
    until("the broker has it", MOST, || listener.last(&format!("{BASE}/x/set")).is_some());
    let feed = Feed::default();
    let (courier, _) = start(None, table(port), &feed);
    let available = || -> Vec<String> {
        let of =
            |(topic, payload, _): (String, String, bool)| (topic == format!("{BASE}/available")).then_some(payload);
        listener.heard().into_iter().filter_map(of).collect()
    };
    until("it is there again", MOST, || available().ends_with(&["offline".into(), "online".into()]));
    let before = available();
    tell_day(&feed, &courier, 0..20);
    assert_whole(&listener, &courier, 20);
    // Longer than it waits for a second try and a third.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(available(), before, "it stays, though the message is still there");
}

#[test]
fn one_that_is_cut_off_is_offline() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(_server) = mosquitto(folder.path(), port, "") else { return };
    let listener = Listener::at(port, "listener");
    let (through, _) = cutting_proxy(port, 4000);
    let feed = Feed::default();
    let (courier, _) = start(None, MqttTable { discovery: String::new(), ..table(through) }, &feed);
    let available = |what: &str| {
        listener.heard().iter().any(|(topic, payload, _)| topic == &format!("{BASE}/available") && payload == what)
    };
    until("it is online", MOST, || available("online"));
    tell_day(&feed, &courier, 0..20);
    until("the broker tells that it is offline", MOST, || available("offline"));
}

#[test]
fn commands_are_done_and_answered() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(_server) = mosquitto(folder.path(), port, "") else { return };
    let listener = Listener::at(port, "listener");
    // One that is retained is of another time.
    listener.client.publish(format!("{BASE}/verbosity/set"), QoS::AtLeastOnce, true, "full").expect("it runs");
    let feed = Feed::default();
    let (courier, fake) = start(None, table(port), &feed);
    until("it is online", MOST, || listener.last(&format!("{BASE}/available")).as_deref() == Some("online"));
    // Subscribed before it greeted.
    listener.say("camera/front_door/enabled/set", "OFF");
    assert_eq!(listener.answer("camera/front_door/enabled/answer", 0)["ok"], true);
    assert_eq!(fake.tuning.lock().expect("nobody panicked").enabled, [true, false]);
    until("its state follows", MOST, || {
        listener.last(&format!("{BASE}/camera/front_door/enabled/state")).as_deref() == Some("OFF")
    });
    assert_eq!(
        listener.last(&format!("{BASE}/verbosity/state")).as_deref(),
        Some("normal"),
        "the retained one was not done"
    );
    listener.say("verbosity/set", "quiet");
    assert_eq!(listener.answer("verbosity/answer", 0)["message"], "from now on: quiet");
    listener.say("verbosity/set", "loud");
    assert_eq!(
        listener.answer("verbosity/answer", 1),
        json!({"ok": false, "message": "verbosity is quiet, normal or full"})
    );
    listener.say("quiet/set", "30");
    assert_eq!(listener.answer("quiet/answer", 0)["message"], "quiet for 30 minutes");
    listener.say("camera/kitchen/teach/set", "the bin is put out");
    assert_eq!(listener.answer("camera/kitchen/teach/answer", 0)["ok"], true);
    listener.say("ask/set", "when did someone last come in?");
    assert_eq!(listener.answer("ask/answer", 0)["message"], "At 18:30.");
    listener.say("ack/set", "last");
    assert_eq!(listener.answer("ack/answer", 0)["ok"], false, "there was none");
    feed.tell(event(77, "alert", "kitchen", "Stove unattended"));
    until("it is told", MOST, || listener.events().0.len() == 1);
    listener.say("ack/set", "last");
    assert_eq!(listener.answer("ack/answer", 1)["id"], 77);
    listener.say("ack/set", "404");
    assert_eq!(listener.answer("ack/answer", 2), json!({"ok": false, "message": "there is no alert 404"}));
    let asked = fake.asked.lock().expect("nobody panicked").clone();
    let wanted = [
        "teach the bin is put out Some(10) Some(\"kitchen\")",
        "ask when did someone last come in?",
        "ack 77",
        "ack 404",
    ];
    assert_eq!(asked, wanted);
    courier.finish();
    // Where it is not allowed nothing happens.
    let (courier, fake) = start(None, MqttTable { commands: false, ..table(port) }, &feed);
    let config = || listener.last("homeassistant/device/ocelli_home_board/config").unwrap_or_default();
    until("it is there, without switches", MOST, || !config().contains("command_topic"));
    listener.say("verbosity/set", "full");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(fake.tuning.lock().expect("nobody panicked").verbosity.name(), "normal");
    courier.finish();
}

#[test]
fn frigates_topics_are_told_under_their_own_prefix() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let Some(_server) = mosquitto(folder.path(), port, "") else { return };
    let listener = Listener::at(port, "listener");
    let feed = Feed::default();
    let (courier, fake) = start(None, MqttTable { frigate: Some("cams".into()), ..table(port) }, &feed);
    tell_day(&feed, &courier, 0..50);
    assert_whole(&listener, &courier, 50);
    let of = |topic: &str| -> Vec<Value> {
        let of = listener.heard().into_iter().filter(|(at, _, _)| at == topic);
        of.map(|(_, payload, _)| payload.parse().expect("JSON")).collect()
    };
    until("all is told", MOST, || of("cams/reviews").len() == 2);
    let reviews = of("cams/reviews");
    assert_eq!((&reviews[0]["type"], &reviews[1]["type"]), (&json!("new"), &json!("end")));
    assert_eq!(reviews[0]["after"]["id"], reviews[1]["after"]["id"]);
    for key in ["id", "camera", "start_time", "severity", "data"] {
        assert!(!reviews[1]["after"][key].is_null(), "{key}");
    }
    let events = of("cams/events");
    assert_eq!(events.len(), 2 * 45, "45 narrations begin and end");
    assert!(
        events.iter().all(|event| event["after"]["camera"] == "kitchen" || event["after"]["camera"] == "front_door")
    );
    assert_eq!(of("cams/tracked_object_update").len(), 45);
    listener.client.publish("cams/kitchen/enabled/set", QoS::AtLeastOnce, false, "OFF").expect("it runs");
    until("it is switched off", MOST, || !fake.tuning.lock().expect("nobody panicked").enabled[0]);
    courier.finish();
}

#[test]
fn a_broker_with_tls_and_a_password_is_reached_and_a_false_one_is_not() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (Some(openssl), Some(passwd)) = (common::program("openssl"), common::program("mosquitto_passwd")) else {
        return;
    };
    let (key, certificate) = common::certificate(&openssl, folder.path(), "broker", "IP:127.0.0.1");
    let other = common::certificate(&openssl, folder.path(), "other", "IP:127.0.0.1").1;
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("there is room");
        path
    };
    let users = write("users", "");
    let made =
        Command::new(passwd).args(["-b".as_ref(), users.as_os_str(), "ocelli".as_ref(), "hunter2".as_ref()]).output();
    assert!(made.expect("it runs").status.success());
    let port = common::free_port();
    let more = format!(
        "allow_anonymous false\npassword_file {}\ncertfile {}\nkeyfile {}",
        users.display(),
        certificate.display(),
        key.display()
    );
    let Some(_server) = mosquitto(folder.path(), port, &more) else { return };
    let mut options = MqttOptions::new("listener", "127.0.0.1", port);
    options.set_credentials("ocelli", "hunter2");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).expect("a certificate")).expect("it can vouch");
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions of ring")
        .with_root_certificates(roots)
        .with_no_client_auth();
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config))));
    let listener = Listener::start(options);
    let password_file = Some(write("password", "hunter2\n"));
    let right = MqttTable {
        broker: format!("mqtts://127.0.0.1:{port}"),
        username: Some("ocelli".into()),
        password_file: password_file.clone(),
        ca_file: Some(certificate.clone()),
        device: "board".into(),
        ..MqttTable::default()
    };
    for (device, wrong) in [
        ("untrusted", MqttTable { ca_file: Some(other), ..right.clone() }),
        ("intruder", MqttTable { password_file: Some(write("wrong", "guessed\n")), ..right.clone() }),
    ] {
        let feed = Feed::default();
        let (courier, _) = start(None, MqttTable { device: device.into(), ..wrong }, &feed);
        feed.tell(event(0, "alert", "kitchen", "Stove unattended"));
        std::thread::sleep(Duration::from_secs(3));
        courier.finish();
    }
    let feed = Feed::default();
    let (courier, _) = start(None, right, &feed);
    tell_day(&feed, &courier, 0..20);
    assert_whole(&listener, &courier, 20);
    assert!(listener.heard().iter().all(|(topic, _, _)| !topic.contains("untrusted") && !topic.contains("intruder")));
    courier.finish();
}
