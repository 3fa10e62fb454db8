//! Three boards and a hub, by the recipes of `boards/fleet`: the link is cut, the hub is killed, nothing is lost and each board's order holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::common::{self, FakeHouse, Server, event, note, until};
use crate::mqtt::Listener;
use ocelli_gateway::{Controls, Courier, Feed, House, MqttTable, OutboxTable, Targets};
use serde_json::{Value, json};

/// A Mosquitto that saves each change waits for the disk with each message.
const MOST: Duration = Duration::from_mins(5);
const SITE: &str = "north";
/// As the recipe without a broker on the board has it.
const RESEND: usize = 64;
/// How often the hub is killed; each time boards wait twice as long before they try again.
const KILLS: u64 = 4;
const DEVICES: [&str; 3] = ["barn", "gate", "house"];

/// A recipe with other ports and folders, and the names of a board.
fn recipe(name: &str, replaced: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards/fleet").join(name);
    let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (from, to) in replaced {
        assert!(text.contains(from), "{name} has `{from}`");
        text = text.replace(from, to);
    }
    text
}

/// A link that can be cut, and holds again when it is mended.
struct Link {
    port: u16,
    held: Arc<Mutex<(bool, Vec<TcpStream>)>>,
}

impl Link {
    fn to(far: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let held = Arc::new(Mutex::new((true, Vec::new())));
        let all = Arc::clone(&held);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(far) = all.0.then(|| TcpStream::connect(("127.0.0.1", far)).ok()).flatten() else { continue };
                let pair = |stream: &TcpStream| stream.try_clone().expect("a stream");
                all.1.extend([pair(&near), pair(&far)]);
                for (mut from, mut to) in [(pair(&near), pair(&far)), (far, near)] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    });
                }
            }
        });
        Self { port, held }
    }

    /// In the middle of whatever is on its way.
    fn cut(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.0 = false;
        held.1.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    fn mend(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
    }
}

/// A board: its broker, its link to the hub, and what Ocelli tells.
struct Board {
    device: &'static str,
    feed: Feed,
    courier: Courier,
    link: Link,
    /// None where it tells the hub itself.
    _broker: Option<Server>,
    told: u64,
}

impl Board {
    fn start(
        folder: &Path,
        device: &'static str,
        hub: u16,
        broker: impl FnOnce(&Path, &Link) -> (Option<Server>, u16),
    ) -> Self {
        let folder = folder.join(device);
        std::fs::create_dir_all(&folder).expect("there is room");
        let link = Link::to(hub);
        let (server, port) = broker(&folder, &link);
        let house = FakeHouse::new();
        let (house, controls): (Arc<dyn House>, Arc<dyn Controls>) = (Arc::clone(&house) as _, house);
        let mqtt = MqttTable {
            broker: format!("mqtt://127.0.0.1:{port}"),
            site: SITE.into(),
            device: device.into(),
            cloudevents: true,
            resend: if server.is_none() { RESEND } else { 0 },
            ..MqttTable::default()
        };
        let outbox = OutboxTable { folder: Some(folder.join("outbox")), ..OutboxTable::default() };
        let source = format!("/ocelli/{SITE}/{device}");
        let targets = Targets { outbox, mqtt: Some(mqtt), webhooks: Vec::new(), source };
        let feed = Feed::default();
        let courier = Courier::start(targets, &feed, &house, &controls, note).expect("it starts");
        Self { device, feed, courier, link, _broker: server, told: 0 }
    }

    /// More of its day, at a pace that its own broker takes.
    fn tell(&mut self, count: u64) {
        for _ in 0..count {
            self.told += 1;
            let kind = if self.told.is_multiple_of(25) { "alert" } else { "narration" };
            self.feed.tell(event(self.told, kind, "kitchen", &format!("{} {}", self.device, self.told)));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Of each device what came, in the order in which it first came; and how many came again.
fn of_devices(envelopes: impl Iterator<Item = (String, Value)>) -> (BTreeMap<String, Vec<u64>>, usize) {
    let (mut seen, mut all, mut again) = (BTreeSet::new(), BTreeMap::<String, Vec<u64>>::new(), 0);
    for (device, envelope) in envelopes {
        assert_eq!(
            (&envelope["specversion"], &envelope["source"]),
            (&json!("1.0"), &json!(format!("/ocelli/{SITE}/{device}")))
        );
        assert!(envelope["type"].as_str().is_some_and(|kind| kind.starts_with("ai.ocelli.")), "{envelope}");
        // The consumer's part: what has a uid that was seen is the same.
        if seen.insert(envelope["id"].to_string()) {
            all.entry(device).or_default().push(envelope["data"]["id"].as_u64().expect("an id"));
        } else {
            again += 1;
        }
    }
    (all, again)
}

/// The day of three boards, with a link that is cut and a hub that ends by this signal in it.
fn day(boards: &mut [Board], mut hub: Server, signal: &str, restart: impl FnOnce() -> Server) -> Server {
    boards.iter_mut().for_each(|board| board.tell(100));
    // The link of one is cut in the middle; the others go on.
    boards[1].link.cut();
    boards.iter_mut().for_each(|board| board.tell(100));
    // The hub ends, while all tell.
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", hub.0.id())]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    hub.0.wait().expect("it ends");
    boards.iter_mut().for_each(|board| board.tell(100));
    drop(hub);
    let hub = restart();
    boards[1].link.mend();
    boards.iter_mut().for_each(|board| board.tell(100));
    hub
}

fn assert_whole(boards: &[Board], read: impl Fn() -> (BTreeMap<String, Vec<u64>>, usize)) {
    let whole = || {
        let (all, _) = read();
        boards.iter().all(|board| all.get(board.device).is_some_and(|ids| ids.len() as u64 >= board.told))
    };
    let begun = Instant::now();
    while !whole() && begun.elapsed() < MOST {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (all, again) = read();
    for board in boards {
        let ids = all.get(board.device).cloned().unwrap_or_default();
        let wanted: Vec<u64> = (1..=board.told).collect();
        let lost: Vec<&u64> = wanted.iter().filter(|id| !ids.contains(id)).collect();
        assert!(lost.is_empty(), "{}: {} of {} lost: {lost:?}", board.device, lost.len(), wanted.len());
        assert_eq!(ids, wanted, "{}: in its order", board.device);
    }
    eprintln!(
        "{} boards, {} events, {again} came twice under their uid",
        boards.len(),
        boards.iter().map(|board| board.told).sum::<u64>()
    );
}

/// Mosquitto at this port with a config.
fn mosquitto(config: &str, folder: &Path, port: u16) -> Server {
    let program = common::program("mosquitto").expect("it was there before");
    std::fs::create_dir_all(folder).expect("there is room");
    let path = folder.join("mosquitto.conf");
    // It would drop its rights, and then find its folder closed.
    std::fs::write(&path, format!("user root\n{config}")).expect("there is room");
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("there is room");
    let mut command = Command::new(&program);
    Server::start(command.arg("-c").arg(path).stdout(Stdio::null()).stderr(log), port)
}

/// Where a recipe keeps what it holds.
fn place(folder: &Path) -> (&'static str, String) {
    ("/var/lib/mosquitto/", format!("{}/", folder.display()))
}

/// The hub by its recipe.
fn mosquitto_hub(folder: &Path, port: u16) -> Server {
    let folder = folder.join("hub");
    let listens = ("listener 1883 0.0.0.0", format!("listener {port} 127.0.0.1"));
    mosquitto(&recipe("hub-mosquitto.conf", &[listens, place(&folder)]), &folder, port)
}

/// What a listener heard of the fleet.
fn heard(listener: &Listener) -> (BTreeMap<String, Vec<u64>>, usize) {
    let heard = listener.heard();
    let events = heard.iter().filter_map(|(topic, payload, _)| {
        let mut parts = topic.split('/');
        let device = (parts.next() == Some("ocelli") && parts.next() == Some(SITE)).then(|| parts.next()).flatten()?;
        topic.ends_with("/cloudevent").then(|| (device.to_owned(), payload.parse().expect("JSON")))
    });
    of_devices(events)
}

#[test]
fn boards_behind_mosquitto_bridges_lose_nothing_and_keep_their_order() {
    if common::program("mosquitto").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let hub_port = common::free_port();
    let hub = || mosquitto_hub(folder.path(), hub_port);
    let running = hub();
    let listener = Listener::at(hub_port, "fleet");
    let mut boards = DEVICES.map(|device| {
        Board::start(folder.path(), device, hub_port, |folder, link| {
            let port = common::free_port();
            let config = recipe(
                "board-mosquitto.conf",
                &[
                    ("listener 1883", format!("listener {port}")),
                    ("hub.example:1883", format!("127.0.0.1:{}", link.port)),
                    ("ocelli-home-board", format!("ocelli-{SITE}-{device}")),
                    ("ocelli/home/board", format!("ocelli/{SITE}/{device}")),
                    place(folder),
                ],
            );
            (Some(mosquitto(&config, folder, port)), port)
        })
    });
    // One that is killed may lose what it took last: it saves what it holds now and then, and acknowledges before.
    let _hub = day(&mut boards, running, "TERM", hub);
    assert_whole(&boards, || heard(&listener));
    boards.into_iter().for_each(|board| board.courier.finish());
}

#[test]
fn boards_that_send_again_lose_nothing_to_a_mosquitto_that_is_killed() {
    if common::program("mosquitto").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let mut hub = mosquitto_hub(folder.path(), port);
    let listener = Listener::at(port, "fleet");
    let mut boards = DEVICES.map(|device| Board::start(folder.path(), device, port, |_, link| (None, link.port)));
    let all_waiting = |boards: &[Board]| boards.iter().map(|board| board.courier.states()[0].waiting).max();
    for round in 0..KILLS {
        until("each is connected again", MOST, || all_waiting(&boards) == Some(0));
        // In the middle of what all tell at once.
        let process = hub.0.id();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(60 + 37 * round));
            Command::new("sh").args(["-c", &format!("kill -KILL {process}")]).status().expect("it runs")
        });
        for _ in 0..100 {
            boards.iter_mut().for_each(|board| board.tell(1));
        }
        assert!(killer.join().expect("it runs").success());
        hub.0.wait().expect("it ends");
        hub = mosquitto_hub(folder.path(), port);
    }
    boards[1].link.cut();
    boards.iter_mut().for_each(|board| board.tell(50));
    boards[1].link.mend();
    assert_whole(&boards, || heard(&listener));
    boards.into_iter().for_each(|board| board.courier.finish());
}

/// As much of NATS' protocol as asking `JetStream` takes.
struct Nats {
    reader: BufReader<TcpStream>,
    inbox: String,
    asked: u64,
}

impl Nats {
    fn at(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        let mut nats = Self { reader: BufReader::new(stream), inbox: format!("_INBOX.t{port}"), asked: 0 };
        let mut info = String::new();
        nats.reader.read_line(&mut info).expect("it says who it is");
        assert!(info.starts_with("INFO "), "{info}");
        nats.say(&format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB {}.* 1\r\n", nats.inbox));
        nats
    }

    fn say(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).expect("it takes it");
    }

    /// Asks, and waits for an answer on its own inbox.
    fn ask(&mut self, subject: &str, payload: &str) -> String {
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox, self.asked);
        self.say(&format!("PUB {subject} {reply} {}\r\n{payload}\r\n", payload.len()));
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).expect("an answer in time");
            if line.starts_with("PING") {
                self.say("PONG\r\n");
            } else if let Some(head) = line.strip_prefix("MSG ").or_else(|| line.strip_prefix("HMSG ")) {
                let words: Vec<&str> = head.split_whitespace().collect();
                let length: usize = words.last().and_then(|word| word.parse().ok()).expect("a length");
                let mut body = vec![0; length + 2];
                self.reader.read_exact(&mut body).expect("all of it");
                body.truncate(length);
                if words[0] == reply {
                    return String::from_utf8(body).expect("text");
                }
            } else {
                assert!(!line.is_empty() && !line.starts_with("-ERR"), "{line}");
            }
        }
    }

    /// Asks `JetStream`, which has to agree.
    fn manage(&mut self, subject: &str, payload: &str) -> Value {
        let answer: Value = self.ask(subject, payload).parse().expect("JSON");
        assert!(answer.get("error").is_none(), "{subject}: {answer}");
        answer
    }
}

#[test]
fn boards_that_are_nats_leaves_lose_nothing_and_keep_their_order() {
    let Some(program) = common::program("nats-server") else { return };
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let nats = |config: String, folder: PathBuf, port: u16| {
        std::fs::create_dir_all(&folder).expect("there is room");
        let path = folder.join("nats.conf");
        std::fs::write(&path, config).expect("there is room");
        let log = std::fs::File::create(folder.join("log")).expect("there is room");
        let mut command = Command::new(&program);
        Server::start(command.arg("-c").arg(path).stdout(Stdio::null()).stderr(log), port)
    };
    let (hub_port, leaf_port) = (common::free_port(), common::free_port());
    let hub = || {
        let folder = folder.path().join("hub");
        let config = recipe(
            "hub-nats.conf",
            &[
                ("0.0.0.0:4222", format!("127.0.0.1:{hub_port}")),
                ("0.0.0.0:7422", format!("127.0.0.1:{leaf_port}")),
                ("/var/lib/nats", folder.join("store").display().to_string()),
            ],
        );
        nats(config, folder, hub_port)
    };
    let running = hub();
    let mut boards = DEVICES.map(|device| {
        Board::start(folder.path(), device, leaf_port, |folder, link| {
            let (own, port) = (common::free_port(), common::free_port());
            let config = recipe(
                "board-nats.conf",
                &[
                    ("server_name: board", format!("server_name: {device}")),
                    ("domain: board", format!("domain: {device}")),
                    ("127.0.0.1:4222", format!("127.0.0.1:{own}")),
                    ("port: 1883", format!("port: {port}")),
                    ("hub.example:7422", format!("127.0.0.1:{}", link.port)),
                    ("/var/lib/nats", folder.join("store").display().to_string()),
                ],
            );
            let server = nats(config, folder.to_path_buf(), port);
            let stream = recipe(
                "stream-board.json",
                &[("ocelli.home.board", format!("ocelli.{SITE}.{device}")), ("268435456", "67108864".into())],
            );
            Nats::at(own).manage("$JS.API.STREAM.CREATE.EVENTS", &stream);
            (Some(server), port)
        })
    });
    for device in DEVICES {
        let stream = recipe(
            "stream-hub.json",
            &[
                ("FLEET_board", format!("FLEET_{device}")),
                ("$JS.board", format!("$JS.{device}")),
                // JetStream refuses a stream that could grow beyond the disk; here nobody needs so much.
                ("4294967296", "67108864".into()),
            ],
        );
        Nats::at(hub_port).manage(&format!("$JS.API.STREAM.CREATE.FLEET_{device}"), &stream);
    }
    let _hub = day(&mut boards, running, "KILL", hub);
    assert_whole(&boards, || {
        let mut nats = Nats::at(hub_port);
        let mut read = Vec::new();
        for device in DEVICES {
            let info = nats.manage(&format!("$JS.API.STREAM.INFO.FLEET_{device}"), "");
            for number in 1..=info["state"]["messages"].as_u64().unwrap_or_default() {
                let get = format!("$JS.API.STREAM.MSG.GET.FLEET_{device}");
                let message = nats.manage(&get, &json!({"seq": number}).to_string())["message"].clone();
                assert_eq!(
                    message["subject"].as_str(),
                    Some(&*format!("ocelli.{SITE}.{device}.camera.kitchen.cloudevent"))
                );
                let data = message["data"].as_str().expect("bytes");
                read.push((device.to_owned(), serde_json::from_slice(&decoded(data)).expect("JSON")));
            }
        }
        of_devices(read.into_iter())
    });
    until("each has told", MOST, || boards.iter().all(|board| board.courier.states()[0].waiting == 0));
    boards.into_iter().for_each(|board| board.courier.finish());
}

/// Base64.
fn decoded(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digits: Vec<u8> = four.iter().filter(|byte| **byte != b'=').map(|byte| value(*byte)).collect();
        let bits = digits.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - digits.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..digits.len()]);
    }
    bytes
}
