//! Webhooks: events as HTTP requests, signed, one after the other, each until the target has taken it.
//!
//! A request has the same id and body each time that it is tried. What is answered with 2xx was taken; 400, 413, 415 and 422 say
//! that this message never will be: it is left out and counted. All else (a timeout, a certificate that we do not believe,
//! 5xx, 429, 401, 404, a redirect) may pass, and is tried again after growing waits, or after what `Retry-After` says.

mod body;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use ocelli_types::host_advice;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

pub use self::body::cloud_event;
use self::body::{Letter, SigningKey};
use crate::outbox::Message;
use crate::secret::Secret;
use crate::target::{Backoff, Queue, random};
use crate::{Event, Severity, trust};

/// First and longest wait before a target is tried again.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// The longest that a target may ask us to wait.
const MOST_RETRY_AFTER: Duration = Duration::from_hours(6);

/// What is read of an answer.
const MOST_ANSWER_BYTES: usize = 8 << 10;

/// Types of events that can be wanted.
pub(crate) const TYPES: [&str; 7] = ["narration", "alert", "alert_end", "update", "blind", "health", "camera"];

/// `[[webhook]]`: whom to tell over HTTP.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookTable {
    /// Its name in messages, and of its place in the outbox. Default: its format, and its number where that is not the first.
    pub name: String,
    /// Where to: `https://...`, or `http://...`.
    pub url: Option<String>,
    /// In place of `url` a file in which it is, where the URL itself is a secret, as of Discord and Slack.
    pub url_file: Option<PathBuf>,
    /// What is sent: `cloudevents` (default), `ntfy`, `gotify`, `telegram`, `discord` or `slack`.
    pub format: Format,
    /// A file with the key that requests are signed with, `whsec_...` (Standard Webhooks); of several lines with each. Default: none, and
    /// requests are not signed.
    pub secret_file: Option<PathBuf>,
    /// A file with the token of the target: of the bot (`telegram`), of the application (`gotify`), else sent as a bearer.
    pub token_file: Option<PathBuf>,
    /// The chat (`telegram`).
    pub chat: Option<String>,
    /// Types of events: `narration`, `alert`, `alert_end`, `update`, `blind`, `health`, `camera`. Default `["alert", "blind"]`.
    pub events: Vec<String>,
    /// Of alerts and narrations, those of this severity or more: `info`, `notice`, `alarm`. Default: all.
    pub severity: Severity,
    /// Names of cameras. Default: all.
    pub cameras: Vec<String>,
    /// Requests a minute, 1 to 600; what is more waits. Default 30.
    pub per_minute: u32,
    /// The longest wait for an answer in seconds, 1 to 120. Default 10.
    pub timeout_s: u32,
    /// A file with the certificates (PEM) of those who may vouch for the target. Default: those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Default for WebhookTable {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: None,
            url_file: None,
            format: Format::default(),
            secret_file: None,
            token_file: None,
            chat: None,
            events: vec!["alert".into(), "blind".into()],
            severity: Severity::None,
            cameras: Vec::new(),
            per_minute: 30,
            timeout_s: 10,
            ca_file: None,
        }
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `CloudEvents` 1.0 in JSON, the event as its data.
    #[default]
    Cloudevents,
    /// A notification of ntfy; the last part of the URL is the topic.
    Ntfy,
    /// A message of Gotify.
    Gotify,
    /// A message of a Telegram bot.
    Telegram,
    /// A message of a Discord webhook.
    Discord,
    /// A message of a Slack webhook.
    Slack,
}

impl Format {
    /// Its name in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cloudevents => "cloudevents",
            Self::Ntfy => "ntfy",
            Self::Gotify => "gotify",
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::Slack => "slack",
        }
    }
}

impl WebhookTable {
    /// What no type says.
    ///
    /// # Errors
    /// In words for whoever wrote it.
    pub fn check(&self, cameras: &[String]) -> Result<(), String> {
        let is_telegram = self.format == Format::Telegram;
        match (&self.url, &self.url_file) {
            (Some(url), None) => drop(Place::parse(url)?),
            (Some(_), Some(_)) => return Err("`url` and `url_file` are both set; choose one".into()),
            (None, None) if !is_telegram => return Err("it has no `url`; write where it should go".into()),
            (None, _) => {}
        }
        if is_telegram && (self.token_file.is_none() || self.chat.is_none()) {
            return Err("a `telegram` needs `token_file`, with the bot's token, and `chat`".into());
        }
        if !is_telegram && self.chat.is_some() {
            return Err("`chat` is of the format `telegram`".into());
        }
        if self.format == Format::Gotify && self.token_file.is_none() {
            return Err("a `gotify` needs `token_file`, with the application's token".into());
        }
        if let Some(unknown) = self.events.iter().find(|event| !TYPES.contains(&event.as_str())) {
            return Err(format!("`events` has `{unknown}`; there are: {}", TYPES.join(", ")));
        }
        if let Some(unknown) = self.cameras.iter().find(|camera| !cameras.contains(camera)) {
            return Err(format!("there is no camera `{unknown}`"));
        }
        if !(1..=600).contains(&self.per_minute) {
            return Err(format!("`per_minute` is {}; it may be 1 to 600", self.per_minute));
        }
        if !(1..=120).contains(&self.timeout_s) {
            return Err(format!("`timeout_s` is {}; it may be 1 to 120 seconds", self.timeout_s));
        }
        Ok(())
    }

    /// Names those that have none. Two have the same name only where both were given it.
    pub fn name_all(tables: &mut [Self]) {
        for index in 0..tables.len() {
            if tables[index].name.is_empty() {
                let format = tables[index].format.name();
                let taken = |name: &str| tables.iter().any(|table| table.name == name);
                let (mut name, mut number) = (format.to_owned(), 1);
                while taken(&name) {
                    number += 1;
                    name = format!("{format}-{number}");
                }
                tables[index].name = name;
            }
        }
    }

    /// Where it goes, for people: without what may be a secret.
    pub fn shown(&self) -> String {
        let host = match (&self.url, &self.url_file) {
            (Some(url), _) => {
                Place::parse(url).map_or_else(|_| "a URL that cannot be read".into(), |place| place.shown())
            }
            (None, Some(file)) => format!("the URL in {}", file.display()),
            (None, None) => TELEGRAM.into(),
        };
        let signed = if self.secret_file.is_some() { ", signed" } else { "" };
        format!("{}: {} to {host}{signed}: {}", self.name, self.format.name(), self.events.join(", "))
    }
}

/// Where bots of Telegram are asked.
const TELEGRAM: &str = "https://api.telegram.org";

/// A URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    tls: bool,
    host: String,
    port: u16,
    /// With the query; may be a secret.
    path: String,
}

impl Place {
    fn parse(url: &str) -> Result<Self, String> {
        // The URL itself is not said: it may be a secret.
        let wrong = || "the URL cannot be read; write it like https://host/path".to_owned();
        let uri: Uri = url.trim().parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("the URL begins with neither https:// nor http://".into()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err("the URL has a password in it; write a token into a file, `token_file`".into());
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { tls, host: authority.host().trim_matches(['[', ']']).to_owned(), port, path })
    }

    fn shown(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

/// A target that can be sent to.
pub struct Webhook {
    table: WebhookTable,
    place: Place,
    keys: Vec<SigningKey>,
    token: Option<Secret>,
    tls: Option<Arc<ClientConfig>>,
    /// Of `CloudEvents`: who tells it.
    source: String,
    bucket: Bucket,
    note: fn(&str),
}

/// What came of a try.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    /// It will never be taken.
    Refused(String),
    /// It may be taken later, not before this time is over.
    Later(String, Option<Duration>),
}

impl Webhook {
    /// Reads secrets and certificates.
    ///
    /// # Errors
    /// A file cannot be read, or says nothing that can be used.
    pub fn open(table: WebhookTable, source: &str, note: fn(&str)) -> Result<Self, String> {
        let of = |why: String| format!("webhook `{}`: {why}", table.name);
        let token = table.token_file.as_deref().map(Secret::read).transpose().map_err(of)?;
        let url = match (&table.url, &table.url_file) {
            (Some(url), _) => Secret::new(url),
            (None, Some(file)) => Secret::read(file).map_err(of)?,
            (None, None) => Secret::new(TELEGRAM),
        };
        let place = Place::parse(url.reveal()).map_err(of)?;
        let keys = match &table.secret_file {
            None => Vec::new(),
            Some(file) => {
                let keys = Secret::read(file).and_then(|lines| SigningKey::read_all(&lines));
                keys.map_err(|why| of(format!("{}: {why}", file.display())))?
            }
        };
        let tls = place.tls.then(|| trust::client(table.ca_file.as_deref(), None)).transpose().map_err(of)?;
        let bucket = Bucket::new(table.per_minute, Instant::now());
        Ok(Self { table, place, keys, token, tls, source: source.into(), bucket, note })
    }

    /// The name of its place in the outbox.
    pub fn name(&self) -> &str {
        &self.table.name
    }

    /// Sends what is wanted until the program ends.
    pub async fn run(mut self, mut queue: Queue) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut failing = false;
        loop {
            let next = queue.outbox().next(queue.target);
            let Some(message) = next else {
                if queue.more().await {
                    continue;
                }
                return;
            };
            if !self.wants(&message.event) {
                queue.outbox().done(queue.target, message.number);
                continue;
            }
            let wait = self.bucket.wait(Instant::now());
            if !wait.is_zero() && !queue.wait(wait).await {
                return;
            }
            self.bucket.take(Instant::now());
            let outcome = self.send(&message).await;
            match outcome {
                Outcome::Taken => {
                    queue.outbox().done(queue.target, message.number);
                    backoff.reset();
                    if std::mem::take(&mut failing) {
                        (self.note)(&format!("webhook `{}`: it takes messages again", self.table.name));
                    }
                }
                Outcome::Refused(why) => {
                    queue.outbox().refused(queue.target, message.number);
                    let name = &self.table.name;
                    (self.note)(&format!(
                        "webhook `{name}`: message {} was refused and is left out: {why}",
                        message.uid()
                    ));
                }
                Outcome::Later(why, after) => {
                    queue.outbox().rewind(queue.target);
                    if !std::mem::replace(&mut failing, true) {
                        let (name, place) = (&self.table.name, self.place.shown());
                        (self.note)(&format!("webhook `{name}` ({place}): {why}; trying again until it takes it"));
                    }
                    let wait = backoff.wait(random()).max(after.unwrap_or_default());
                    if !queue.wait(wait).await {
                        return;
                    }
                }
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let table = &self.table;
        let severe = event.severity.is_none_or(|severity| severity >= table.severity);
        let camera = table.cameras.is_empty() || event.camera.as_ref().is_some_and(|of| table.cameras.contains(of));
        table.events.contains(&event.r#type) && severe && camera
    }

    /// One request.
    async fn send(&self, message: &Message) -> Outcome {
        let letter = Letter::write(&self.table, &self.place, &self.source, self.token.as_ref(), message);
        let limit = Duration::from_secs(u64::from(self.table.timeout_s));
        match timeout(limit, self.exchange(&letter, message)).await {
            Err(_) => Outcome::Later(format!("no answer in {} s", limit.as_secs()), None),
            Ok(Err(why)) => Outcome::Later(why, None),
            Ok(Ok(outcome)) => outcome,
        }
    }

    async fn exchange(&self, letter: &Letter, message: &Message) -> Result<Outcome, String> {
        let stream = TcpStream::connect((self.place.host.as_str(), self.place.port)).await;
        let stream = stream.map_err(|error| {
            let why = error.to_string();
            let advice = host_advice(&self.place.host, &why);
            why + advice
        })?;
        let Some(config) = &self.tls else { return self.request(stream, letter, message).await };
        let name = ServerName::try_from(self.place.host.clone()).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        self.request(stream.map_err(|error| error.to_string())?, letter, message).await
    }

    async fn request<S>(&self, stream: S, letter: &Letter, message: &Message) -> Result<Outcome, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let failed = |error: hyper::Error| error.to_string();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let host =
            if self.place.host.contains(':') { format!("[{}]", self.place.host) } else { self.place.host.clone() };
        let standard = if self.place.tls { 443 } else { 80 };
        let host = if self.place.port == standard { host } else { format!("{host}:{}", self.place.port) };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(letter.path.reveal())
            .header(HOST, host)
            .header(USER_AGENT, concat!("ocelli/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, letter.content_type)
            .header("webhook-id", message.uid())
            .header("webhook-timestamp", now_s);
        for (name, value) in &letter.headers {
            request = request.header(*name, value.reveal());
        }
        if !self.keys.is_empty() {
            let signatures = self.keys.iter().map(|key| key.sign(&message.uid(), now_s, &letter.body));
            request = request.header("webhook-signature", signatures.collect::<Vec<_>>().join(" "));
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(letter.body.as_bytes())));
        // The error would name the header, which may be a token.
        let request = request.map_err(|_| "a token or URL of it has characters that HTTP cannot send".to_owned())?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(failed)?;
            let (head, body) = answer.into_parts();
            if head.status.is_success() {
                // However its body goes on.
                return Ok::<_, String>(Outcome::Taken);
            }
            let body = Limited::new(body, MOST_ANSWER_BYTES).collect().await.map(http_body_util::Collected::to_bytes);
            Ok(judge(head.status, &head.headers, &body.unwrap_or_default()))
        };
        // The connection is driven beside it, and may end with the answer.
        tokio::pin!(answer);
        tokio::select! {
            outcome = &mut answer => outcome,
            // What was answered counts, whatever came behind it.
            ended = connection => {
                answer.await.map_err(|_| ended.err().map_or_else(|| "it hung up without an answer".into(), failed))
            }
        }
    }
}

/// Takes these bytes for the answer of a target. Whatever they are, it is waited for a bounded time. Whether they were an answer.
///
/// # Panics
/// That is what a fuzzer looks for.
pub fn fuzzed(bytes: &[u8]) -> bool {
    let table = WebhookTable { name: "w".into(), url: Some("http://127.0.0.1/x".into()), ..WebhookTable::default() };
    let hook = Webhook::open(table, "/ocelli/home/board", |_| {}).expect("it names no file");
    let message = Message { number: 1, run: 1, event: Event::default() };
    let letter = Letter::write(&hook.table, &hook.place, &hook.source, None, &message);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("it takes no thread");
    let outcome = runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(4096);
        // What comes before the request is no answer to it.
        let target = async {
            let _ = far.read(&mut [0; 4096]).await;
            // A client that has heard enough hangs up.
            let _ = far.write_all(bytes).await;
            let _ = far.shutdown().await;
        };
        let both = async { tokio::join!(hook.request(near, &letter, &message), target).0 };
        timeout(Duration::from_secs(10), both).await.expect("all of it has come")
    });
    if let Ok(Outcome::Later(_, after)) = outcome {
        assert!(after.is_none_or(|after| after <= MOST_RETRY_AFTER), "{after:?} is too long");
    }
    outcome.is_ok()
}

/// What an answer means.
fn judge(status: StatusCode, headers: &hyper::HeaderMap, body: &[u8]) -> Outcome {
    if status.is_success() {
        return Outcome::Taken;
    }
    let said = format!("it answered {status}");
    if matches!(status.as_u16(), 400 | 413 | 415 | 422) {
        return Outcome::Refused(said);
    }
    let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| retry_after(text, SystemTime::now())).or_else(|| retry_after_in(body));
    Outcome::Later(said, after.map(|after| after.min(MOST_RETRY_AFTER)))
}

/// Seconds, or a date.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.min(1e9)).ok();
    }
    Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default())
}

/// As Telegram (`parameters.retry_after`) and Discord (`retry_after`) say it.
fn retry_after_in(body: &[u8]) -> Option<Duration> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let seconds = answer["parameters"]["retry_after"].as_f64().or_else(|| answer["retry_after"].as_f64())?;
    Duration::try_from_secs_f64(seconds.min(1e9)).ok()
}

/// A token bucket: as many requests at once as a minute may have, then one after the other.
#[derive(Clone, Debug)]
struct Bucket {
    per_minute: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(per_minute: u32, now: Instant) -> Self {
        let per_minute = f64::from(per_minute);
        Self { per_minute, tokens: per_minute, filled: now }
    }

    fn fill(&mut self, now: Instant) {
        let minutes = now.duration_since(self.filled).as_secs_f64() / 60.0;
        self.tokens = (self.tokens + minutes * self.per_minute).min(self.per_minute);
        self.filled = now;
    }

    /// How long until the next may go.
    fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        if self.tokens >= 1.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1.0 - self.tokens) / self.per_minute * 60.0)
    }

    fn take(&mut self, now: Instant) {
        self.fill(now);
        self.tokens -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_target_answers_is_waited_for_a_bounded_time(
            status in 300_u16..600,
            header in prop_oneof!["[0-9eE.+-]{0,20}", "inf|nan|-inf", ".*"],
            body in prop_oneof![
                any::<Vec<u8>>(),
                "[-0-9.eE]{1,20}".prop_map(|number| format!("{{\"parameters\":{{\"retry_after\":{number}}}}}").into_bytes()),
            ],
        ) {
            let mut headers = hyper::HeaderMap::new();
            if let Ok(value) = hyper::header::HeaderValue::from_str(&header) {
                headers.insert(RETRY_AFTER, value);
            }
            let status = StatusCode::from_u16(status).expect("in the range");
            if let Outcome::Later(_, after) = judge(status, &headers, &body) {
                prop_assert!(after.is_none_or(|after| after <= MOST_RETRY_AFTER));
            }
        }
    }

    #[test]
    fn what_the_fuzzer_begins_with_is_an_answer() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/webhook");
        for seed in std::fs::read_dir(seeds).expect("they are there") {
            let seed = std::fs::read(seed.expect("a file").path()).expect("it can be read");
            assert!(fuzzed(&seed), "{}", String::from_utf8_lossy(&seed));
        }
    }

    fn table(url: &str) -> WebhookTable {
        WebhookTable { name: "w".into(), url: Some(url.into()), ..WebhookTable::default() }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_no_url_is_shown() {
        let cameras = ["hall".to_owned()];
        let why = |table: WebhookTable| table.check(&cameras).expect_err("it should be refused");
        assert!(why(WebhookTable::default()).contains("no `url`"));
        for url in ["ftp://secret.example/x", "not a url", "https://u:secret@h/", "secret"] {
            let why = why(table(url));
            assert!(!why.contains("secret"), "{why}");
        }
        let telegram = WebhookTable { format: Format::Telegram, ..WebhookTable::default() };
        assert!(why(telegram).contains("`token_file`"));
        assert!(
            why(WebhookTable { events: vec!["alarm".into()], ..table("https://h/") }).contains("there are: narration")
        );
        assert!(why(WebhookTable { cameras: vec!["barn".into()], ..table("https://h/") }).contains("no camera `barn`"));
        assert!(why(WebhookTable { per_minute: 0, ..table("https://h/") }).contains("1 to 600"));
        assert!(why(WebhookTable { timeout_s: 0, ..table("https://h/") }).contains("1 to 120"));
        assert!(why(WebhookTable { format: Format::Gotify, ..table("https://h/") }).contains("`token_file`"));
        assert!(table("https://h/").check(&cameras).is_ok());
        let shown = table("https://hooks.example/services/T0/B0/key").shown();
        assert_eq!(shown, "w: cloudevents to https://hooks.example:443: alert, blind");
    }

    #[test]
    fn those_without_a_name_get_one() {
        let mut tables = vec![WebhookTable::default(), WebhookTable::default(), table("https://h/")];
        tables[0].format = Format::Ntfy;
        tables[1].format = Format::Ntfy;
        WebhookTable::name_all(&mut tables);
        let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["ntfy", "ntfy-2", "w"]);
    }

    #[test]
    fn an_answer_says_what_to_do() {
        let said = |status: u16, header: Option<&str>, body: &str| {
            let mut headers = hyper::HeaderMap::new();
            if let Some(value) = header {
                headers.insert(RETRY_AFTER, value.parse().expect("a header"));
            }
            judge(StatusCode::from_u16(status).expect("a status"), &headers, body.as_bytes())
        };
        assert_eq!(said(204, None, ""), Outcome::Taken);
        for status in [400, 413, 415, 422] {
            assert!(matches!(said(status, None, ""), Outcome::Refused(_)), "{status}");
        }
        for status in [301, 401, 403, 404, 408, 410, 429, 500, 503] {
            assert!(matches!(said(status, None, ""), Outcome::Later(_, None)), "{status}");
        }
        let after = |outcome| match outcome {
            Outcome::Later(_, after) => after.map(|after| after.as_secs()),
            _ => None,
        };
        assert_eq!(after(said(429, Some("7"), "")), Some(7));
        assert_eq!(after(said(429, None, r#"{"ok":false,"parameters":{"retry_after":35}}"#)), Some(35));
        assert_eq!(after(said(429, None, r#"{"retry_after":64.57,"global":false}"#)), Some(64));
        assert_eq!(after(said(503, Some("Wed, 21 Oct 2015 07:28:00 GMT"), "")), Some(0), "it is over");
        assert_eq!(after(said(503, Some("1e30"), "")), Some(MOST_RETRY_AFTER.as_secs()));
        assert_eq!(after(said(503, Some("-5"), "")), None);
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_mins(1)));
    }

    #[test]
    fn a_bucket_lets_a_minutes_worth_go_and_then_one_after_the_other() {
        let start = Instant::now();
        let mut bucket = Bucket::new(30, start);
        for _ in 0..30 {
            assert_eq!(bucket.wait(start), Duration::ZERO);
            bucket.take(start);
        }
        assert_eq!(bucket.wait(start), Duration::from_secs(2));
        let later = start + Duration::from_secs(2);
        assert_eq!(bucket.wait(later), Duration::ZERO);
        bucket.take(later);
        assert_eq!(bucket.wait(later), Duration::from_secs(2));
    }

    #[test]
    fn what_is_wanted_is_of_a_type_a_severity_and_a_camera() {
        let mut wanted = table("http://h/");
        (wanted.severity, wanted.cameras) = (Severity::Notice, vec!["hall".into()]);
        let hook = Webhook::open(wanted, "s", |_| {}).unwrap_or_else(|why| panic!("{why}"));
        let of = |kind: &str, camera: &str, severity| Event {
            r#type: kind.into(),
            camera: Some(camera.into()),
            severity,
            ..Event::default()
        };
        assert!(hook.wants(&of("alert", "hall", Some(Severity::Alarm))));
        assert!(hook.wants(&of("blind", "hall", None)), "it has no severity");
        assert!(!hook.wants(&of("alert", "hall", Some(Severity::Info))));
        assert!(!hook.wants(&of("alert", "porch", Some(Severity::Alarm))));
        assert!(!hook.wants(&of("narration", "hall", Some(Severity::Alarm))));
    }
}
