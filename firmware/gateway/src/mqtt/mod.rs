//! MQTT 3.1.1, with what Home Assistant and Frigate have made customs.
//!
//! ```text
//!  ocelli/<site>/<device>/available                    online, stopped (an end in order) or offline (the last will); retained
//!                         stats                        memory, fps, what waits: each half minute; retained
//!                         verbosity|quiet/state        retained; .../set changes it
//!                         ask|ack/set                  answered in .../answer
//!                         camera/<camera>/event        each event, from the outbox; never retained
//!                                         cloudevent   the same as CloudEvents 1.0 (structured JSON), where it is wanted
//!                                         narration    the last one; retained
//!                                         alert        ON while one is open; alert/attributes is the newest; retained
//!                                         condition/<condition>, condition/<condition>/attributes; retained
//!                                         available    whether it sees; retained
//!                                         snapshot     JPEG of the newest recording, where that is allowed; retained
//!                                         enabled/state; retained; enabled/set and teach/set change it
//!  homeassistant/device/ocelli_<site>_<device>/config  discovery; retained
//! ```
//!
//! What happened and how things are go two ways. Events come from the outbox, in order, at `QoS` 1, and each is done when the broker has
//! acknowledged it: a broker that was away gets all of them, late, with their dates. What is retained is how things are now: it
//! is never queued, and told anew with each connection.
//!
//! Each connection is a clean session. What was not acknowledged is sent again under its `uid`. Commands are of the moment, so those that
//! were sent while we were away are not done, and neither is one that is retained.

mod command;
mod discovery;
mod frigate;
mod topics;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ocelli_types::host_advice;
use rumqttc::{
    AsyncClient, ConnectionError, LastWill, MqttOptions, Outgoing, Packet, QoS, StateError, TlsConfiguration, Transport,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_rustls::rustls::ClientConfig;

pub use self::command::fuzzed;
use self::command::{Command, Delivered, Ears};
use self::frigate::Frigate;
use self::topics::{Retained, Topics, event_payload};
use crate::house::Condition;
use crate::outbox::Message;
use crate::secret::Secret;
use crate::target::{Backoff, Controls, Queue, Stop, Tuning, random};
use crate::webhook::cloud_event;
use crate::{Event, Heard, House, Reader, Snapshots, State, trust};

/// First and longest wait before a broker is tried again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A connection that held so long was a good one.
const GOOD: Duration = Duration::from_mins(1);

/// Events on their way to the broker that it has not acknowledged.
const WINDOW: usize = 16;

/// The longest packet that we read: commands are shorter.
const MOST_HEARD_BYTES: usize = 64 << 10;

/// How long nothing is listened to once a longer one came: one that is retained comes with each connection that listens.
const DEAF: Duration = Duration::from_mins(10);

/// Publications that the library holds for us.
const REQUESTS: usize = 2048;

/// How often it is told how we are.
const STATS_EVERY: Duration = Duration::from_secs(30);

/// The most that may be sent again with a connection.
pub const MOST_AGAIN: usize = 64;

/// Commands at a time that take a while.
const MOST_RUNNING: usize = 4;

/// `[mqtt]`: the broker, and how we are named there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MqttTable {
    /// The broker: `mqtt://host`, or `mqtts://host` with TLS; with `:port` where it is neither 1883 nor 8883.
    pub broker: String,
    /// A user of the broker. Default: none.
    pub username: Option<String>,
    /// A file with the user's password.
    pub password_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of those who may vouch for the broker. Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// A file with a certificate (PEM) that we show, where the broker asks for one.
    pub cert_file: Option<PathBuf>,
    /// A file with the key (PEM) of that certificate.
    pub key_file: Option<PathBuf>,
    /// The beginning of our topics. Default `ocelli`.
    pub prefix: String,
    /// The place, in topics: letters, digits, `_` and `-`. Default `home`.
    pub site: String,
    /// This board, in topics: as `site`. Default: the name of the machine.
    pub device: String,
    /// The prefix in which Home Assistant looks for devices; an empty one tells it nothing. Default `homeassistant`.
    pub discovery: String,
    /// A prefix under which events are told in the shape of Frigate's topics as well, such as `frigate`, where no Frigate is. Default: none.
    pub frigate: Option<String>,
    /// Whether whoever may write to our topics may set, teach, ask and acknowledge. Default true.
    pub commands: bool,
    /// Whether each event is told as a `CloudEvents` envelope besides, in `camera/<camera>/cloudevent`, for those who gather the events of
    /// many boards. Default false.
    pub cloudevents: bool,
    /// How many of the newest events that the broker acknowledged it is sent again with each connection, 64 at most: one that acknowledges
    /// before it saves, and is killed, has lost those. For consumers that leave out a `uid` which they have seen. Default 0.
    pub resend: usize,
    /// Whether the broker is given the snapshot of each camera's newest recording, for Home Assistant's image entity. Wants a
    /// `[recording]`. Default false: no picture leaves the board this way.
    pub images: bool,
}

impl Default for MqttTable {
    fn default() -> Self {
        Self {
            broker: "mqtt://localhost".into(),
            username: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            prefix: "ocelli".into(),
            site: "home".into(),
            device: String::new(),
            discovery: "homeassistant".into(),
            frigate: None,
            commands: true,
            cloudevents: false,
            resend: 0,
            images: false,
        }
    }
}

impl MqttTable {
    /// What no type says.
    ///
    /// # Errors
    /// In words for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        self.place()?;
        let simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        for (key, name) in [("site", &self.site), ("device", &self.device)] {
            // An empty device is named after the machine.
            let may_be_empty = key == "device";
            if name.len() > 64 || !name.chars().all(simple) || (name.is_empty() && !may_be_empty) {
                return Err(format!("`{key}` is `{name}`; it may have letters, digits, `_` and `-`, 64 at most"));
            }
        }
        let frigate = self.frigate.as_deref().map(|prefix| ("frigate", prefix));
        let discovery = Some(("discovery", self.discovery.as_str())).filter(|(_, prefix)| !prefix.is_empty());
        for (key, prefix) in [("prefix", self.prefix.as_str())].into_iter().chain(frigate).chain(discovery) {
            let wrong =
                prefix.starts_with(['/', '$']) || prefix.ends_with('/') || prefix.contains(['+', '#', ' ', '\0']);
            if prefix.is_empty() || prefix.len() > 128 || wrong {
                return Err(format!("`{key}` is `{prefix}`; it is the beginning of a topic, such as `ocelli`"));
            }
        }
        if self.frigate.as_ref() == Some(&self.prefix) {
            return Err("`frigate` and `prefix` are the same; give each its own".into());
        }
        if self.resend > MOST_AGAIN {
            return Err(format!("`resend` is {}; it may be {MOST_AGAIN} at most", self.resend));
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err("`cert_file` and `key_file` belong together; name both or none".into());
        }
        if self.password_file.is_some() && self.username.is_none() {
            return Err("`password_file` is of a `username`, which is not there".into());
        }
        Ok(())
    }

    /// Where it goes, for people.
    pub fn shown(&self) -> String {
        let user = self.username.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
        let frigate = self.frigate.as_ref().map(|prefix| format!(", and {prefix}/ as Frigate")).unwrap_or_default();
        format!("{}{user}: {}{frigate}", self.broker, self.base())
    }

    /// Who tells, in `CloudEvents`.
    pub fn source(&self) -> String {
        format!("/ocelli/{}/{}", self.site, self.device)
    }

    /// `<prefix>/<site>/<device>`
    pub fn base(&self) -> String {
        format!("{}/{}/{}", self.prefix, self.site, self.device)
    }

    /// Whether over TLS, host, port.
    fn place(&self) -> Result<(bool, String, u16), String> {
        let (tls, rest) = match self.broker.split_once("://") {
            Some(("mqtt", rest)) => (false, rest),
            Some(("mqtts", rest)) => (true, rest),
            _ => return Err("`broker` begins with neither mqtt:// nor mqtts://".into()),
        };
        let rest = rest.trim_end_matches('/');
        if rest.contains('@') {
            return Err("`broker` has a user in it; write `username` and `password_file`".into());
        }
        // An address of IP 6 stands in brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| format!("`broker` has the port `{port}`, which is none"))?)
            }
            _ => (rest, if tls { 8883 } else { 1883 }),
        };
        let host = host.trim_matches(['[', ']']);
        if tls && host.contains(':') {
            return Err("`broker` over TLS is found by a name, or an address of IP 4, and not by one of IP 6".into());
        }
        if host.is_empty() || host.contains(['/', ' ']) {
            return Err("`broker` has no host; write it like mqtt://192.168.1.2".into());
        }
        Ok((tls, host.into(), port))
    }
}

/// The target.
pub struct Mqtt {
    table: MqttTable,
    host: (String, u16),
    password: Option<Secret>,
    tls: Option<Arc<ClientConfig>>,
    topics: Topics,
    discovery: Option<(String, Value)>,
    retained: Retained,
    frigate: Option<Frigate>,
    snapshots: Option<Arc<Snapshots>>,
    /// Of the conditions, where they can.
    changes: Option<watch::Receiver<u64>>,
    /// The newest that were sent, where some are to be sent again.
    newest: VecDeque<Message>,
    house: Arc<dyn House>,
    controls: Arc<dyn Controls>,
    reader: Reader,
    last_alert: Option<u64>,
    /// When the program was last asked how it is, and each camera's pictures by then.
    counted: Option<(Instant, Vec<u64>)>,
    failing: bool,
    /// Until when nothing is listened to.
    deaf_until: Option<Instant>,
    note: fn(&str),
}

/// Why a connection ended.
enum Ended {
    Stopped,
    Lost(String),
}

/// What comes back from another thread.
enum Reply {
    Answer(String, Value),
    State(State),
    Conditions(Vec<Condition>),
}

impl Mqtt {
    /// Reads secrets and certificates. `reader` hears from now on.
    ///
    /// # Errors
    /// A file cannot be read, or says nothing that can be used.
    pub fn open(
        table: MqttTable,
        house: Arc<dyn House>,
        controls: Arc<dyn Controls>,
        reader: Reader,
        note: fn(&str),
    ) -> Result<Self, String> {
        let of = |why: String| format!("mqtt: {why}");
        let (tls, host, port) = table.place().map_err(of)?;
        let password = table.password_file.as_deref().map(Secret::read).transpose().map_err(of)?;
        let own = table.cert_file.as_deref().zip(table.key_file.as_deref());
        let tls = tls.then(|| trust::client(table.ca_file.as_deref(), own)).transpose().map_err(of)?;
        // Before they are read: what changes meanwhile is read again.
        let changes = house.condition_changes().map(|changes| changes.news());
        let about = house.about();
        let topics = Topics::new(table.base(), &about.cameras, &house.conditions());
        let discovery = (!table.discovery.is_empty()).then(|| discovery::device(&table, &topics, about));
        let retained = Retained::new(&topics);
        let frigate = table.frigate.as_deref().map(Frigate::new);
        let snapshots = house.snapshots().filter(|_| table.images);
        Ok(Self {
            table,
            host: (host, port),
            password,
            tls,
            topics,
            discovery,
            retained,
            frigate,
            snapshots,
            changes,
            newest: VecDeque::new(),
            house,
            controls,
            reader,
            last_alert: None,
            counted: None,
            failing: false,
            deaf_until: None,
            note,
        })
    }

    /// Until the program ends: connects, sends what waits, and connects again.
    pub async fn run(mut self, mut queue: Queue) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while !queue.is_stopping() {
            queue.outbox().rewind(queue.target);
            let began = Instant::now();
            let Ended::Lost(why) = self.connection(&mut queue).await else { return };
            if began.elapsed() >= GOOD {
                backoff.reset();
            }
            if !std::mem::replace(&mut self.failing, true) {
                let broker = &self.table.broker;
                (self.note)(&format!(
                    "mqtt {broker}: {why}; trying again until it is there, nothing is lost meanwhile"
                ));
            }
            let until = Instant::now() + backoff.wait(random());
            // What is retained follows what happens meanwhile.
            while Instant::now() < until && !queue.is_stopping() {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    heard = self.reader.next() => self.hear(heard),
                    _ = queue.stop.changed() => {}
                }
            }
        }
    }

    fn options(&self) -> MqttOptions {
        let id = format!("{}-{}-{}", self.table.prefix.replace('/', "-"), self.table.site, self.table.device);
        let (host, port) = self.host.clone();
        // The library puts a colon and the port behind it.
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let mut options = MqttOptions::new(id, host, port);
        options.set_keep_alive(Duration::from_secs(30)).set_clean_session(true);
        options.set_last_will(LastWill::new(self.topics.available(), "offline", QoS::AtLeastOnce, true));
        // Larger than any discovery: what comes in are commands.
        options.set_max_packet_size(MOST_HEARD_BYTES, 1 << 20);
        options.set_inflight(100);
        if let Some(username) = &self.table.username {
            options.set_credentials(username, self.password.as_ref().map_or("", Secret::reveal));
        }
        if let Some(config) = &self.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(config))));
        }
        options
    }

    /// One connection, to its end.
    async fn connection(&mut self, queue: &mut Queue) -> Ended {
        match self.converse(queue).await {
            Ok(()) => Ended::Stopped,
            Err(why) => Ended::Lost(why),
        }
    }

    async fn converse(&mut self, queue: &mut Queue) -> Result<(), String> {
        let (client, mut connection) = AsyncClient::new(self.options(), REQUESTS);
        let (give, mut events) = mpsc::channel(64);
        // In a task of its own, for a poll that is dropped half done would lose what it had begun to send.
        let _driver = Driver(tokio::task::spawn_local(async move {
            loop {
                let polled = connection.poll().await;
                let failed = polled.is_err();
                if give.send(polled).await.is_err() || failed {
                    break;
                }
            }
        }));
        let mut line = Line { client, sent: VecDeque::new(), numbers: HashMap::new(), waiting: VecDeque::new() };
        match events.recv().await {
            Some(Ok(rumqttc::Event::Incoming(Packet::ConnAck(_)))) => {}
            Some(Ok(other)) => return Err(format!("it began with {other:?}")),
            Some(Err(error)) => return Err(words(&error, &self.host.0)),
            None => return Err("the connection ended".into()),
        }
        self.greet(&mut line)?;
        // What it did not acknowledge comes from the outbox.
        self.newest.retain(|message| queue.outbox().has(queue.target, message.number));
        for message in self.newest.clone() {
            self.tell(&mut line, &message)?;
        }
        if std::mem::take(&mut self.failing) {
            (self.note)(&format!("mqtt {}: connected again", self.table.broker));
        }
        let (reply, mut replies) = mpsc::unbounded_channel();
        let (mut pictures, mut shown) = (self.snapshots.as_ref().map(|snapshots| snapshots.news()), 0);
        // Each connection asks for itself whether they changed since the start: what one asked for may have ended with it.
        let mut changes = self.changes.clone();
        let mut running = 0;
        let mut stats = interval(STATS_EVERY);
        stats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while line.waiting.len() < WINDOW {
                let Some(message) = queue.outbox().next(queue.target) else { break };
                self.tell(&mut line, &message)?;
                self.newest.push_back(message);
                while self.newest.len() > self.table.resend {
                    self.newest.pop_front();
                }
            }
            for (topic, value) in self.retained.take_changed() {
                line.publish(topic, value, true, None)?;
            }
            if let Some(snapshots) = &self.snapshots {
                let (number, changed) = snapshots.after(shown);
                shown = number;
                for (camera, jpeg) in changed {
                    if let Some(place) = self.topics.camera(Some(&camera)) {
                        line.publish(self.topics.of_camera(place, "snapshot"), jpeg.to_vec(), true, None)?;
                    }
                }
            }
            let idle = line.waiting.is_empty();
            let stopping = *queue.stop.borrow();
            if let Stop::By(until) = stopping
                && (idle || Instant::now() >= until)
            {
                self.part(&mut line, &mut events, queue).await;
                return Ok(());
            }
            let deadline = if let Stop::By(until) = stopping { until } else { Instant::now() + STATS_EVERY * 2 };
            tokio::select! {
                event = events.recv() => match event {
                    Some(Ok(rumqttc::Event::Incoming(Packet::Publish(publish)))) => {
                        let ears = Ears {
                            topics: &self.topics,
                            frigate: self.frigate.as_ref(),
                            discovery: &self.table.discovery,
                            commands: self.table.commands,
                        };
                        match ears.hear(&publish) {
                            Some(Delivered::Birth) => self.introduce(&mut line)?,
                            Some(Delivered::Command(command)) => {
                                let topic = answer_topic(&publish.topic);
                                if let Some(payload) = self.obey(command, &topic, &mut running, &reply) {
                                    line.publish(topic, payload.to_string(), false, None)?;
                                    self.look(&self.controls.tuning());
                                }
                            }
                            None => {}
                        }
                    }
                    Some(Ok(event)) => {
                        for number in line.heard(&event) {
                            queue.outbox().done(queue.target, number);
                        }
                        if let rumqttc::Event::Incoming(Packet::SubAck(ack)) = event
                            && ack.return_codes.contains(&rumqttc::SubscribeReasonCode::Failure)
                        {
                            (self.note)(&format!("mqtt {}: it does not let us listen for commands", self.table.broker));
                        }
                    }
                    Some(Err(error)) => {
                        self.deaf_until = too_long(&error).map(|_| Instant::now() + DEAF).or(self.deaf_until);
                        return Err(words(&error, &self.host.0));
                    }
                    None => return Err("the connection ended".into()),
                },
                heard = self.reader.next() => {
                    let matters = matches!(&heard, Some(Heard::Event(event)) if matches!(event.r#type.as_str(), "blind" | "health"));
                    self.hear(heard);
                    if matters {
                        self.ask_state(&reply);
                    }
                }
                _ = queue.news.changed() => {}
                () = changed(pictures.as_mut()) => {}
                () = changed(changes.as_mut()) => self.ask_conditions(&reply),
                replied = replies.recv() => match replied {
                    Some(Reply::Answer(topic, payload)) => {
                        running -= 1;
                        line.publish(topic, payload.to_string(), false, None)?;
                    }
                    Some(Reply::State(state)) => self.show(&mut line, &state, queue)?,
                    Some(Reply::Conditions(conditions)) => self.follow(&mut line, &conditions)?,
                    None => {}
                },
                _ = stats.tick() => {
                    self.ask_state(&reply);
                    if self.deaf_until.is_some_and(|until| Instant::now() >= until) {
                        self.deaf_until = None;
                        self.listen(&line)?;
                    }
                }
                _ = queue.stop.changed() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// What a broker that may know nothing is told first.
    fn greet(&mut self, line: &mut Line) -> Result<(), String> {
        if self.deaf_until.is_none() {
            self.listen(line)?;
        }
        self.introduce(line)
    }

    /// Asks the broker for what is meant for us.
    fn listen(&self, line: &Line) -> Result<(), String> {
        let mut filters = Vec::new();
        if self.table.commands {
            filters.push(format!("{}/+/set", self.topics.base));
            filters.push(format!("{}/camera/+/+/set", self.topics.base));
            filters.extend(self.frigate.as_ref().map(|frigate| frigate.topic("+/enabled/set")));
        }
        if self.discovery.is_some() {
            filters.push(format!("{}/status", self.table.discovery));
        }
        for filter in filters {
            line.client.try_subscribe(filter, QoS::AtLeastOnce).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Who we are, and how things are.
    fn introduce(&mut self, line: &mut Line) -> Result<(), String> {
        if let Some((topic, payload)) = &self.discovery {
            line.publish(topic.clone(), payload.to_string(), true, None)?;
        }
        line.publish(self.topics.available(), "online", true, None)?;
        if let Some(frigate) = &self.frigate {
            // A connection has one last will, and that is ours: retained, this would stay when we are cut off.
            line.publish(frigate.topic("available"), "online", false, None)?;
        }
        self.look(&self.controls.tuning());
        self.retained.renew(&self.topics);
        Ok(())
    }

    /// Says goodbye, and waits for a moment that it is heard.
    async fn part(
        &mut self,
        line: &mut Line,
        events: &mut mpsc::Receiver<Result<rumqttc::Event, ConnectionError>>,
        queue: &Queue,
    ) {
        let _ = line.publish(self.topics.available(), "stopped", true, None);
        if let Some(frigate) = &self.frigate {
            let _ = line.publish(frigate.topic("available"), "stopped", false, None);
        }
        let heard = async {
            while !line.is_quiet()
                && let Some(Ok(event)) = events.recv().await
            {
                line.heard(&event).into_iter().for_each(|number| queue.outbox().done(queue.target, number));
            }
            let _ = line.client.try_disconnect();
            while let Some(Ok(event)) = events.recv().await {
                if event == rumqttc::Event::Outgoing(Outgoing::Disconnect) {
                    break;
                }
            }
        };
        let _ = timeout(Duration::from_secs(1), heard).await;
    }

    /// Sends an event.
    fn tell(&mut self, line: &mut Line, message: &Message) -> Result<(), String> {
        let mut all = Vec::new();
        if let Some(place) = self.topics.camera(message.event.camera.as_deref()) {
            all.push((
                self.topics.of_camera(place, "event"),
                event_payload(message, &self.table.site, &self.table.device),
            ));
            if self.table.cloudevents {
                all.push((self.topics.of_camera(place, "cloudevent"), cloud_event(&self.table.source(), message)));
            }
        } else {
            all.push((self.topics.of_device("event"), event_payload(message, &self.table.site, &self.table.device)));
        }
        if let Some(frigate) = &mut self.frigate {
            all.extend(frigate.tell(&self.topics, message));
        }
        line.waiting.push_back((message.number, all.len()));
        for (topic, payload) in all {
            line.publish(topic, payload.to_string(), false, Some(message.number))?;
        }
        Ok(())
    }

    /// Takes what is told now into what is retained.
    fn hear(&mut self, heard: Option<Heard>) {
        let Some(Heard::Event(event)) = heard else { return };
        let event: &Event = &event;
        if event.r#type == "alert" {
            self.last_alert = event.id.or(self.last_alert);
        }
        self.retained.hear(&self.topics, event);
    }

    /// Takes what is set.
    fn look(&mut self, settings: &Tuning) {
        self.retained.see(&self.topics, &State::default(), settings);
    }

    /// Does what is asked, now or in another thread, to be answered in this topic. Gives the answer, where it is there.
    fn obey(
        &self,
        command: Result<Command, String>,
        answer_topic: &str,
        running: &mut usize,
        reply: &mpsc::UnboundedSender<Reply>,
    ) -> Option<Value> {
        let command = match command {
            Ok(command) => command,
            Err(why) => return Some(command::answer(Err(why))),
        };
        if command.is_setting() {
            return Some(command.run(&*self.house, &self.controls, None));
        }
        if *running == MOST_RUNNING {
            return Some(command::answer(Err("too much is asked at once; ask again later".into())));
        }
        *running += 1;
        let (house, controls, last) = (Arc::clone(&self.house), Arc::clone(&self.controls), self.last_alert);
        let (reply, topic) = (reply.clone(), answer_topic.to_owned());
        let work = move || Command::run(command, &*house, &controls, last);
        tokio::task::spawn_local(async move {
            let payload = tokio::task::spawn_blocking(work).await;
            let payload = payload.unwrap_or_else(|_| command::answer(Err("it failed".into())));
            let _ = reply.send(Reply::Answer(topic, payload));
        });
        None
    }

    /// Asks how the program is.
    fn ask_state(&self, reply: &mpsc::UnboundedSender<Reply>) {
        let (house, reply) = (Arc::clone(&self.house), reply.clone());
        tokio::task::spawn_local(async move {
            if let Ok(state) = tokio::task::spawn_blocking(move || house.state()).await {
                let _ = reply.send(Reply::State(state));
            }
        });
    }

    /// Asks which conditions stand.
    fn ask_conditions(&self, reply: &mpsc::UnboundedSender<Reply>) {
        let (house, reply) = (Arc::clone(&self.house), reply.clone());
        tokio::task::spawn_local(async move {
            if let Ok(conditions) = tokio::task::spawn_blocking(move || house.conditions()).await {
                let _ = reply.send(Reply::Conditions(conditions));
            }
        });
    }

    /// Conditions were added or taken back: Home Assistant is told, and of those that have gone nothing stays at the broker.
    fn follow(&mut self, line: &mut Line, conditions: &[Condition]) -> Result<(), String> {
        let about = self.house.about();
        self.topics = self.topics.with(&about.cameras, conditions);
        self.retained.follow(&self.topics);
        if let Some(discovery) = &mut self.discovery {
            *discovery = discovery::device(&self.table, &self.topics, about);
            line.publish(discovery.0.clone(), discovery.1.to_string(), true, None)?;
        }
        Ok(())
    }

    /// Tells how the program is.
    fn show(&mut self, line: &mut Line, state: &State, queue: &Queue) -> Result<(), String> {
        let settings = self.controls.tuning();
        self.retained.see(&self.topics, state, &settings);
        let now = Instant::now();
        let frames: Vec<u64> = state.cameras.iter().map(|camera| camera.frames).collect();
        let before = self.counted.replace((now, frames.clone()));
        let mut cameras = serde_json::Map::new();
        for (index, (place, camera)) in self.topics.cameras.iter().zip(&state.cameras).enumerate() {
            let fps = before.as_ref().and_then(|(at, before)| {
                let (since_s, before) = (now.duration_since(*at).as_secs_f64(), before.get(index)?);
                (since_s >= 1.0).then(|| frames[index].saturating_sub(*before) as f64 / since_s)
            });
            let rounded = fps.map(|fps| (fps * 10.0).round() / 10.0);
            let shown = json!({
                "name": place.name, "up": camera.up, "fps": rounded, "processed": camera.processed, "late": camera.late,
                "damaged": camera.damaged, "kept_ratio": camera.kept_ratio,
            });
            cameras.insert(place.slug.clone(), shown);
        }
        let mib = |bytes: u64| (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0;
        let (waiting, dropped) = {
            let outbox = queue.outbox();
            (outbox.waiting(queue.target), outbox.dropped(queue.target))
        };
        let stats = json!({
            "uptime_s": state.uptime_s.round(), "events": state.events, "soc_celsius": state.soc_celsius,
            "memory": {"used_mib": mib(state.memory.resident_bytes), "budget_mib": mib(state.memory.budget_bytes)},
            "cameras": cameras, "waiting": waiting, "dropped": dropped,
        });
        line.publish(self.topics.stats(), stats.to_string(), true, None)?;
        let Some(frigate) = &self.frigate else { return Ok(()) };
        line.publish(frigate.topic("stats"), frigate_stats(&stats).to_string(), false, None)?;
        for (place, (camera, enabled)) in self.topics.cameras.iter().zip(state.cameras.iter().zip(&settings.enabled)) {
            let alert = self.retained.is_alert(&place.name);
            for (topic, value) in frigate.states(&self.topics, &place.name, camera.up, *enabled, alert) {
                line.publish(topic, value, true, None)?;
            }
        }
        Ok(())
    }
}

/// When something has changed; never, where nothing can.
async fn changed(news: Option<&mut watch::Receiver<u64>>) {
    match news {
        Some(news) => {
            if news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        None => std::future::pending().await,
    }
}

fn frigate_stats(stats: &Value) -> Value {
    let cameras = stats["cameras"].as_object().into_iter().flatten();
    let cameras: serde_json::Map<String, Value> =
        cameras.map(|(slug, camera)| (slug.clone(), json!({"camera_fps": camera["fps"]}))).collect();
    json!({"cameras": cameras, "service": {"uptime": stats["uptime_s"], "version": env!("CARGO_PKG_VERSION")}})
}

fn answer_topic(topic: &str) -> String {
    format!("{}/answer", topic.strip_suffix("/set").unwrap_or(topic))
}

/// The bytes of a packet that is longer than any command.
const fn too_long(error: &ConnectionError) -> Option<usize> {
    match error {
        ConnectionError::MqttState(StateError::Deserialization(rumqttc::Error::PayloadSizeLimitExceeded(bytes))) => {
            Some(*bytes)
        }
        _ => None,
    }
}

/// An error of a connection for people.
fn words(error: &ConnectionError, host: &str) -> String {
    if let Some(bytes) = too_long(error) {
        return format!(
            "it sent a message of {bytes} bytes where commands are; none is listened to for ten minutes, and where that message is \
             retained in our topics, remove it"
        );
    }
    match error {
        ConnectionError::Io(error) => {
            let why = error.to_string();
            let advice = host_advice(host, &why);
            why + advice
        }
        ConnectionError::ConnectionRefused(code) => format!("it refused us ({code:?})"),
        ConnectionError::NetworkTimeout => "no answer".into(),
        error => error.to_string(),
    }
}

/// The task that drives a connection, which ends with it.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is on its way to the broker.
struct Line {
    client: AsyncClient,
    /// Publications that the library has not sent yet, in order; with the number of a message that they are of.
    sent: VecDeque<Option<u64>>,
    /// Sent and not acknowledged, by packet id.
    numbers: HashMap<u16, Option<u64>>,
    /// Messages in order, and how many publications of each are not acknowledged.
    waiting: VecDeque<(u64, usize)>,
}

impl Line {
    fn publish(
        &mut self,
        topic: String,
        payload: impl Into<Vec<u8>>,
        retain: bool,
        number: Option<u64>,
    ) -> Result<(), String> {
        let published = self.client.try_publish(topic, QoS::AtLeastOnce, retain, payload);
        published.map_err(|_| "it takes messages more slowly than they come".to_owned())?;
        self.sent.push_back(number);
        Ok(())
    }

    /// Whether everything was acknowledged.
    fn is_quiet(&self) -> bool {
        self.sent.is_empty() && self.numbers.is_empty()
    }

    /// Takes what the connection tells; gives the messages that are done, in order.
    fn heard(&mut self, event: &rumqttc::Event) -> Vec<u64> {
        match event {
            rumqttc::Event::Outgoing(Outgoing::Publish(packet)) => {
                if let Some(number) = self.sent.pop_front() {
                    self.numbers.insert(*packet, number);
                }
            }
            rumqttc::Event::Incoming(Packet::PubAck(ack)) => {
                let number = self.numbers.remove(&ack.pkid).flatten();
                let waiting = self.waiting.iter_mut().find(|(waiting, _)| Some(*waiting) == number);
                if let Some((_, left)) = waiting {
                    *left -= 1;
                }
            }
            _ => {}
        }
        let mut done = Vec::new();
        while self.waiting.front().is_some_and(|(_, left)| *left == 0) {
            done.extend(self.waiting.pop_front().map(|(number, _)| number));
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_written_as_a_url_without_secrets() {
        let place = |broker: &str| MqttTable { broker: broker.into(), ..MqttTable::default() }.place();
        assert_eq!(place("mqtt://broker.lan"), Ok((false, "broker.lan".into(), 1883)));
        assert_eq!(place("mqtts://10.0.0.2:9000/"), Ok((true, "10.0.0.2".into(), 9000)));
        assert_eq!(place("mqtt://[fd00::2]/"), Ok((false, "fd00::2".into(), 1883)));
        assert_eq!(place("mqtt://[fd00::2]:9000"), Ok((false, "fd00::2".into(), 9000)));
        for wrong in [
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://h:port",
            "mqtt://u:secret@h",
            "mqtt://a/b",
            "mqtts://[fd00::2]",
        ] {
            let why = place(wrong).expect_err(wrong);
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn what_cannot_be_a_topic_is_refused() {
        assert_eq!(MqttTable::default().check(), Ok(()));
        let default = MqttTable::default;
        for wrong in [
            MqttTable { site: "my home".into(), ..default() },
            MqttTable { site: String::new(), ..default() },
            MqttTable { device: "a/b".into(), ..default() },
            MqttTable { prefix: "a/#".into(), ..default() },
            MqttTable { prefix: "/a".into(), ..default() },
            MqttTable { frigate: Some(String::new()), ..default() },
            MqttTable { frigate: Some("ocelli".into()), ..default() },
            MqttTable { cert_file: Some("c".into()), ..default() },
            MqttTable { password_file: Some("p".into()), ..default() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert_eq!(MqttTable { discovery: String::new(), ..default() }.check(), Ok(()));
    }
}
