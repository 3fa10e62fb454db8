//! Webhooks against an HTTP server that fails in every way.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{self, FakeHouse, event, until};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ocelli_gateway::{Controls, Courier, Feed, House, OutboxTable, Targets, WebhookTable};
use ring::hmac;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// A request as it came.
#[derive(Clone, Debug)]
struct Got {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        self.body.parse().expect("JSON")
    }
}

/// What a server does with each connection, the last one from then on.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answers(u16, &'static str),
    HangsUp,
    SaysNothing,
    SaysNonsense,
    /// Gives the status, and never an end.
    Drips,
}

struct HttpServer {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    connections: Arc<AtomicUsize>,
}

impl HttpServer {
    fn start(script: &'static [Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (got, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (all, count) = (Arc::clone(&got), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let does = script[count.fetch_add(1, Ordering::Relaxed).min(script.len() - 1)];
                let all = Arc::clone(&all);
                std::thread::spawn(move || serve(stream.expect("a connection"), does, &all));
            }
        });
        Self { port, got, connections }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().expect("nobody panicked").clone()
    }
}

fn serve(mut stream: TcpStream, does: Does, all: &Mutex<Vec<Got>>) {
    if let Does::HangsUp = does {
        return;
    }
    let Some(request) = read(&mut stream) else { return };
    let (status, header) = match does {
        Does::Answers(status, header) => (status, header),
        Does::HangsUp => return,
        Does::SaysNothing => {
            std::thread::sleep(Duration::from_secs(30));
            return;
        }
        Does::SaysNonsense => {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n");
            return;
        }
        Does::Drips => {
            all.lock().expect("nobody panicked").push(request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
            return;
        }
    };
    if (200..300).contains(&status) {
        all.lock().expect("nobody panicked").push(request);
    }
    let _ = stream.write_all(format!("HTTP/1.1 {status} Whatever\r\n{header}content-length: 2\r\n\r\nok").as_bytes());
}

fn read(stream: &mut TcpStream) -> Option<Got> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        if body.len() >= headers.get("content-length")?.parse().ok()? {
            return Some(Got { path, headers, body: body.to_owned() });
        }
    }
}

fn hook(name: &str, url: String) -> WebhookTable {
    WebhookTable { name: name.into(), url: Some(url), timeout_s: 1, ..WebhookTable::default() }
}

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(text: &str) {
    common::note(text);
    NOTES.lock().expect("nobody panicked").push(text.into());
}

fn start(folder: Option<&Path>, webhooks: Vec<WebhookTable>, feed: &Feed) -> Courier {
    let house = FakeHouse::new();
    let controls: Arc<dyn Controls> = house.clone();
    let house: Arc<dyn House> = house;
    let outbox = OutboxTable { folder: folder.map(Into::into), ..OutboxTable::default() };
    let targets = Targets { outbox, mqtt: None, webhooks, source: "/ocelli/home/board".into() };
    Courier::start(targets, feed, &house, &controls, note).expect("nothing is wrong with it")
}

const MOST: Duration = Duration::from_mins(2);

/// Each way to fail, and then it works: the alert comes once, in the same words, whatever was before.
#[test]
fn whatever_fails_is_tried_again_until_it_is_taken_once() {
    let scripts: [(&str, &'static [Does]); 8] = [
        ("hangs-up", &[Does::HangsUp, Does::Answers(204, "")]),
        ("silent", &[Does::SaysNothing, Does::Answers(200, "")]),
        ("nonsense", &[Does::SaysNonsense, Does::Answers(200, "")]),
        ("drips", &[Does::Drips, Does::Answers(201, "")]),
        ("broken", &[Does::Answers(500, ""), Does::Answers(502, ""), Does::Answers(200, "")]),
        ("busy", &[Does::Answers(429, "retry-after: 3\r\n"), Does::Answers(200, "")]),
        ("not-yet", &[Does::Answers(401, ""), Does::Answers(200, "")]),
        ("moved", &[Does::Answers(302, "location: http://127.0.0.1:1/\r\n"), Does::Answers(200, "")]),
    ];
    let servers: Vec<(&str, HttpServer)> =
        scripts.iter().map(|(name, script)| (*name, HttpServer::start(script))).collect();
    let mut hooks: Vec<WebhookTable> = servers.iter().map(|(name, server)| hook(name, server.url("/x"))).collect();
    // And one where nobody is.
    hooks.push(hook("nobody", format!("http://127.0.0.1:{}/", common::free_port())));
    let feed = Feed::default();
    let courier = start(None, hooks, &feed);
    feed.tell(event(1, "narration", "kitchen", "is not asked for"));
    feed.tell(event(2, "alert", "kitchen", "Stove unattended"));
    until("all have it", MOST, || servers.iter().all(|(_, server)| !server.got().is_empty()));
    feed.tell(event(3, "blind", "kitchen", "unplugged"));
    until("all have both", MOST, || servers.iter().all(|(_, server)| server.got().len() == 2));
    until("it is noted", MOST, || courier.states().iter().take(8).all(|state| state.waiting == 0));
    for (name, server) in &servers {
        let got = server.got();
        let ids: Vec<&str> = got.iter().map(|got| got.headers["webhook-id"].as_str()).collect();
        assert_eq!(ids.len(), 2, "{name}: {ids:?}");
        assert_ne!(ids[0], ids[1]);
        assert_eq!((&got[0].json()["data"]["id"], &got[1].json()["data"]["id"]), (&2.into(), &3.into()), "{name}");
        assert_eq!(got[0].json()["id"], ids[0], "{name}");
    }
    let states = courier.states();
    let nobody = states.last().expect("the ninth");
    assert_eq!((nobody.waiting, nobody.dropped), (2, 0), "it waits for as long as it takes: {nobody:?}");
    assert!(states.iter().all(|state| state.dropped == 0), "{states:?}");
    courier.finish();
}

#[test]
fn what_will_never_be_taken_is_left_out_and_counted() {
    let server = HttpServer::start(&[Does::Answers(400, ""), Does::Answers(200, "")]);
    let feed = Feed::default();
    let courier = start(None, vec![hook("refuses", server.url("/x"))], &feed);
    feed.tell(event(1, "alert", "kitchen", "too long for it"));
    feed.tell(event(2, "alert", "kitchen", "as it likes it"));
    until("the second is there", MOST, || server.got().len() == 1);
    until("it is counted", MOST, || courier.states()[0].dropped == 1);
    assert_eq!(server.got()[0].json()["data"]["text"], "as it likes it");
    assert_eq!(server.connections.load(Ordering::Relaxed), 2, "no more than once each");
}

#[test]
fn requests_are_signed_and_no_note_shows_a_secret() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("there is room");
        path
    };
    let (old, new) = ([7; 32], [8; 24]);
    let keys = format!("whsec_{}\nwhsec_{}\n", BASE64_STANDARD.encode(new), BASE64_STANDARD.encode(old));
    let server = HttpServer::start(&[Does::Answers(500, ""), Does::Answers(200, "")]);
    let hidden = write("url", &format!("{}\n", server.url("/services/T0/B0/hunter2")));
    let table = WebhookTable {
        name: "signed".into(),
        url_file: Some(hidden),
        secret_file: Some(write("keys", &keys)),
        token_file: Some(write("token", "hunter3\n")),
        ..WebhookTable::default()
    };
    let feed = Feed::default();
    let courier = start(None, vec![table], &feed);
    feed.tell(event(2, "alert", "kitchen", "Stove unattended"));
    until("it is there", MOST, || !server.got().is_empty());
    courier.finish();
    let got = &server.got()[0];
    assert_eq!(
        (got.path.as_str(), got.headers["authorization"].as_str()),
        ("/services/T0/B0/hunter2", "Bearer hunter3")
    );
    assert_eq!(got.headers["content-type"], "application/cloudevents+json");
    let signed = format!("{}.{}.{}", got.headers["webhook-id"], got.headers["webhook-timestamp"], got.body);
    let signatures: Vec<&str> = got.headers["webhook-signature"].split(' ').collect();
    assert_eq!(signatures.len(), 2, "one of each key");
    for (signature, key) in signatures.iter().zip([&new[..], &old]) {
        let tag = BASE64_STANDARD.decode(signature.strip_prefix("v1,").expect("a version")).expect("base64");
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes(), &tag).expect("it is ours");
    }
    let notes = NOTES.lock().expect("nobody panicked").join("\n");
    assert!(notes.contains("webhook `signed`") && notes.contains("500"), "{notes}");
    assert!(!notes.contains("hunter") && !notes.contains("services"), "{notes}");
}

#[test]
fn what_was_told_before_a_restart_arrives_after_it() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let port = common::free_port();
    let table = || vec![hook("away", format!("http://127.0.0.1:{port}/x"))];
    let feed = Feed::default();
    let courier = start(Some(folder.path()), table(), &feed);
    (0..20).for_each(|id| feed.tell(event(id, "alert", "kitchen", "Stove unattended")));
    until("it is noted", MOST, || courier.states()[0].waiting == 20);
    courier.finish();
    // Another run of the program, and its target is there.
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    let got = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.expect("a connection"), Does::Answers(200, ""), &all);
        }
    });
    let feed = Feed::default();
    let courier = start(Some(folder.path()), table(), &feed);
    feed.tell(event(20, "alert", "kitchen", "Stove unattended"));
    until("all are there", MOST, || got.lock().expect("nobody panicked").len() == 21);
    courier.finish();
    let ids: Vec<Value> =
        got.lock().expect("nobody panicked").iter().map(|got: &Got| got.json()["data"]["id"].clone()).collect();
    assert_eq!(ids, (0..21).map(Value::from).collect::<Vec<_>>());
}

#[test]
fn a_target_gets_no_more_a_minute_than_it_should() {
    let server = HttpServer::start(&[Does::Answers(200, "")]);
    let table = WebhookTable { per_minute: 5, ..hook("slow", server.url("/x")) };
    let feed = Feed::default();
    let courier = start(None, vec![table], &feed);
    (0..50).for_each(|id| feed.tell(event(id, "alert", "kitchen", "Stove unattended")));
    until("a minute's worth is there", MOST, || server.got().len() == 5);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(server.got().len(), 5);
    until("the others wait", MOST, || courier.states()[0].waiting == 45);
}

/// Answers 200 to everything, over TLS with this key and certificate.
fn serve_tls((key, certificate): &(PathBuf, PathBuf)) -> String {
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let certificates = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(certificates, key));
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("they belong together")));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    listener.set_nonblocking(true).expect("it can be");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it is one");
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 8192]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        });
    });
    format!("https://127.0.0.1:{port}/")
}

/// A certificate that nobody vouches for, one of another host, and a right one.
#[test]
fn a_wrong_certificate_gets_nothing() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let Some(openssl) = common::program("openssl") else { return };
    let right = common::certificate(&openssl, folder.path(), "right", "IP:127.0.0.1");
    let other = common::certificate(&openssl, folder.path(), "other", "DNS:elsewhere.example");
    let (good, wrong_host) = (serve_tls(&right), serve_tls(&other));
    let trusting = |name: &str, url: &str, ca: &Path| WebhookTable {
        ca_file: Some(ca.into()),
        timeout_s: 10,
        ..hook(name, url.into())
    };
    let tables = vec![
        trusting("tls-right", &good, &right.1),
        trusting("tls-unknown", &good, &other.1),
        trusting("tls-host", &wrong_host, &other.1),
    ];
    let feed = Feed::default();
    let courier = start(None, tables, &feed);
    feed.tell(event(1, "alert", "kitchen", "Stove unattended"));
    let noted = |name: &str| {
        NOTES.lock().expect("nobody panicked").iter().any(|note| note.contains(name) && note.contains("certificate"))
    };
    until("the wrong ones are told", MOST, || noted("tls-unknown") && noted("tls-host"));
    let waiting = || courier.states().iter().map(|state| state.waiting).collect::<Vec<u64>>();
    until("the right one has it, and the wrong ones have not", MOST, || waiting() == [0, 1, 1]);
    let nothing = folder.path().join("none.pem");
    std::fs::write(&nothing, "no certificate").expect("there is room");
    let house = FakeHouse::new();
    let controls: Arc<dyn Controls> = house.clone();
    let house: Arc<dyn House> = house;
    let webhooks = vec![trusting("none", &good, &nothing)];
    let targets = Targets { outbox: OutboxTable::default(), mqtt: None, webhooks, source: "/".into() };
    let why = Courier::start(targets, &feed, &house, &controls, note).expect_err("there is no certificate in it");
    assert!(why.contains("none.pem: no certificates (PEM)"), "{why}");
}
