//! The panel: a microcontroller on a serial line, with a screen, a light, a buzzer and a button (`firmware/panel`).
//!
//! A thread of its own has the line, so nobody waits for it: what is to be told goes through a bounded channel, and the thread
//! keeps of it what stands: the last text, and alerts that nobody acknowledged. That is told when the panel is there, and again
//! every few seconds, so a frame that gets lost is made up for. Of texts that come faster than the line the last is told.
//!
//! A heartbeat is sent only as long as the program says that it thinks ([`PanelSink::alive`]): one that hangs becomes silent,
//! and the panel raises its alarm.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ocelli_link::{
    ALERTS, Deframer, FRAME_BYTES, FrameFault, Level, Packet, Reset, Seeing, Settings, Status, TEXT_BYTES, ToPanel,
    VERSION, clip, encode,
};
use ocelli_types::{Event, EventKind, Severity, Sink};
use serial2::SerialPort;

use super::SinkError;

/// Stack of the thread.
pub const PANEL_STACK_BYTES: usize = 128 << 10;

/// What may wait for the thread, each below 512 bytes.
const WAITING: usize = 32;

/// The longest wait for the line in one go.
const PATIENCE: Duration = Duration::from_millis(20);

/// How often a panel is asked for a status until there is one, and after how long without one the line is opened anew.
const HELLO: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(5);

/// How often what stands is told again.
const AGAIN: Duration = Duration::from_secs(5);

/// Waits between attempts: doubled each time, up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LAST_WAIT: Duration = Duration::from_secs(30);

/// The longest that a panel is waited for at the end, and how often it is told of it.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_AGAIN: Duration = Duration::from_millis(200);

/// Where a panel is, and how it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelConfig {
    /// A serial port, such as `/dev/ttyACM0`, or a socket in its place.
    pub device: PathBuf,
    /// Bits a second.
    pub baud: u32,
    /// After how long without a heartbeat the panel raises its alarm, in whole seconds.
    pub silent_after: Duration,
    /// After how long a silence it cuts the power of this computer for some seconds; never without.
    pub power_cycle_after: Option<Duration>,
    /// How often a heartbeat is sent.
    pub beat_every: Duration,
    /// How long after the last sign that the program thinks heartbeats end.
    pub beat_for: Duration,
}

impl PanelConfig {
    /// A panel at `device`, with 115200 baud and an alarm after ten seconds, that never cuts the power.
    pub fn new(device: impl Into<PathBuf>) -> Self {
        Self {
            device: device.into(),
            baud: 115_200,
            silent_after: Duration::from_secs(10),
            power_cycle_after: None,
            beat_every: Duration::from_secs(1),
            beat_for: Duration::from_secs(10),
        }
    }

    fn settings(&self, run: u32) -> Settings {
        let seconds = |time: Duration| u16::try_from(time.as_secs()).unwrap_or(u16::MAX);
        let power_cycle_after_s = self.power_cycle_after.map(seconds);
        Settings { run, silent_after_s: seconds(self.silent_after), power_cycle_after_s }
    }
}

/// Why a panel cannot be talked to. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PanelError {
    /// There is no device at this path.
    #[error("{}: there is no panel here; check the path, or plug it in", .0.display())]
    Missing(PathBuf),
    /// We may not open it.
    #[error("{}: permission denied; add the user to the group `dialout` (a service: /usr/share/ocelli/pins.conf)", .0.display())]
    Denied(PathBuf),
    /// Another program has it.
    #[error("{}: another program is using the panel; close it (the service: sudo systemctl stop ocelli)", .0.display())]
    Busy(PathBuf),
    /// It went away while it was in use.
    #[error("{}: the panel was unplugged", .0.display())]
    Unplugged(PathBuf),
    /// It is open, and nothing comes back.
    #[error("{}: the panel does not answer; check power, wires (TX to RX) and `baud`, and that it has the firmware", .0.display())]
    Silent(PathBuf),
    /// It has a firmware of another release.
    #[error("{}: the panel speaks version {found} and this program {VERSION}; flash the firmware of this release", path.display())]
    Version {
        /// The device.
        path: PathBuf,
        /// Its version.
        found: u8,
    },
    /// The system refused it.
    #[error("{}: this cannot be used as a serial port: {source}", path.display())]
    Io {
        /// The device.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PanelError {
    fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.raw_os_error() {
            Some(libc::ENOENT) => Self::Missing(path),
            Some(libc::ENODEV | libc::ENXIO | libc::EIO) => Self::Unplugged(path),
            Some(libc::EACCES | libc::EPERM) => Self::Denied(path),
            Some(libc::EBUSY | libc::EWOULDBLOCK) => Self::Busy(path),
            _ => Self::Io { path, source },
        }
    }
}

/// What the thread and its owner tell each other.
#[derive(Debug)]
struct Shared {
    /// The last sign that the program thinks; `None` before the first.
    alive: Option<Instant>,
    /// Whether its end, when it comes, is meant.
    ends: bool,
    /// The newest alert that somebody acknowledged at the panel, until it is asked for.
    acknowledged: Option<u64>,
    /// What the person should hear, until it is asked for.
    news: Option<String>,
    report: PanelReport,
}

/// How it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PanelReport {
    /// What the panel said last; `None` while it does not answer.
    pub status: Option<Status>,
    /// Heartbeats that were sent.
    pub beats: u64,
    /// Number of the last message that was sent, in the session of `status`.
    pub number: u32,
    /// How often the line was opened.
    pub opened: u64,
    /// What found the channel full and was not told.
    pub lost: u64,
}

/// What the thread is to tell.
#[derive(Debug)]
enum Order {
    Tell { level: Level, id: u64, text: String },
    Blind { camera: String, text: String },
    Sees { camera: String },
    More { id: u64, text: String },
    Over { up_to: Option<u64>, id: u64 },
}

/// A sink that shows events on a panel. It never waits.
#[derive(Debug)]
pub struct PanelSink {
    give: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Mutex<Shared>>,
    named: bool,
}

impl PanelSink {
    /// Starts the thread, which looks for the panel until it is there.
    ///
    /// # Errors
    /// The system has no thread.
    pub fn start(config: PanelConfig) -> io::Result<Self> {
        let (give, orders) = sync_channel(WAITING);
        let report = PanelReport::default();
        let shared = Shared { alive: None, ends: false, acknowledged: None, news: None, report };
        let shared = Arc::new(Mutex::new(shared));
        // Any number that the run before did not have.
        let run = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u32 | 1);
        let keeper = Keeper {
            config,
            run,
            shared: Arc::clone(&shared),
            orders,
            standing: Standing::default(),
            last: None,
            troubled: false,
        };
        let thread = thread::Builder::new().name("panel".into()).stack_size(PANEL_STACK_BYTES);
        let thread = thread.spawn(move || keeper.run())?;
        Ok(Self { give: Some(give), thread: Some(thread), shared, named: false })
    }

    /// With the camera's name before each text, for one of several.
    #[must_use]
    pub fn naming_cameras(mut self) -> Self {
        self.named = true;
        self
    }

    /// The program thinks. Before this there are no heartbeats, and without it they end: the panel raises its alarm.
    pub fn alive(&self) {
        lock(&self.shared).alive = Some(Instant::now());
    }

    /// That the sink is dropped next is meant: the panel hears that nobody watches any more, and raises no alarm. A program that fails is
    /// silent, as one that hangs; but that it was there the panel hears, if it has not yet: it waits no longer for the next one than after
    /// power-up, whatever it knew before.
    pub fn ends(&self) {
        lock(&self.shared).ends = true;
    }

    /// A camera that was told to be blind sees again.
    ///
    /// # Errors
    /// The thread has too much to do.
    pub fn sees(&mut self, camera: &str) -> Result<(), SinkError> {
        self.order(Order::Sees { camera: camera.to_owned() })
    }

    /// As [`Sink::emit`], where alerts matter as much as this.
    ///
    /// # Errors
    /// The thread has too much to do.
    pub fn tell(&mut self, event: &Event<'_>, severity: Severity) -> Result<(), SinkError> {
        let relation = event.relation.and_then(|relation| relation.words(event.language)).unwrap_or_default();
        let over = if event.kind == EventKind::AlertEnd { "over: " } else { "" };
        let name = if self.named && event.kind != EventKind::Update { [event.camera, ": "] } else { ["", ""] };
        let words = name.into_iter().chain([over, relation, event.text]).flat_map(str::chars);
        let text: String = words.take(TEXT_BYTES + 1).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.order(match (event.kind, severity) {
            (EventKind::Alert, Severity::Alarm) => Order::Tell { level: Level::Alarm, id: event.id, text },
            (EventKind::Alert, Severity::Notice) => Order::Tell { level: Level::Notice, id: event.id, text },
            (EventKind::Update, _) => Order::More { id: event.id, text },
            (EventKind::Blind, _) => Order::Blind { camera: event.camera.to_owned(), text },
            _ => Order::Tell { level: Level::Info, id: 0, text },
        })
    }

    /// Somebody acknowledged this alert elsewhere.
    ///
    /// # Errors
    /// The thread has too much to do.
    pub fn over(&mut self, id: u64) -> Result<(), SinkError> {
        self.order(Order::Over { up_to: None, id })
    }

    fn order(&mut self, order: Order) -> Result<(), SinkError> {
        match self.give.as_ref().map(|give| give.try_send(order)) {
            Some(Err(TrySendError::Full(_))) => {
                lock(&self.shared).report.lost += 1;
                Err(SinkError::Full)
            }
            Some(Err(TrySendError::Disconnected(_))) | None => Err(SinkError::Closed),
            Some(Ok(())) => Ok(()),
        }
    }

    /// The newest alert that somebody acknowledged with the button since this was asked last: it and all before it are.
    pub fn acknowledged(&self) -> Option<u64> {
        lock(&self.shared).acknowledged.take()
    }

    /// What the person should hear of the panel, once.
    pub fn news(&self) -> Option<String> {
        lock(&self.shared).news.take()
    }

    /// How it goes.
    pub fn report(&self) -> PanelReport {
        lock(&self.shared).report
    }
}

impl Sink for PanelSink {
    type Error = SinkError;

    /// Shows an event; each alert is an alarm.
    fn emit(&mut self, event: &Event<'_>) -> Result<(), SinkError> {
        self.tell(event, Severity::Alarm)
    }
}

impl Drop for PanelSink {
    /// The panel hears of it: see [`ends`](Self::ends).
    fn drop(&mut self) {
        self.give = None;
        let Some(thread) = self.thread.take() else { return };
        let until = Instant::now() + FAREWELL + FAREWELL / 2;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Asks a panel how it is.
///
/// # Errors
/// There is none, or it does not answer within two seconds.
pub fn probe_panel(config: &PanelConfig) -> Result<Status, PanelError> {
    let path = &config.device;
    let failed = |error| PanelError::from_io(path, error);
    let mut port = Port::open(config)?;
    let (mut deframer, mut frame) = (Deframer::new(), [0; FRAME_BYTES]);
    let (until, mut hello) = (Instant::now() + Duration::from_secs(2), None);
    while Instant::now() < until {
        if hello.is_none_or(|at: Instant| at.elapsed() >= HELLO) {
            let packet = Packet { session: 0, number: 0, message: ToPanel::Hello };
            let bytes = encode(&packet, &mut frame).unwrap_or_default();
            port.write(bytes).map_err(failed)?;
            hello = Some(Instant::now());
        }
        let mut bytes = [0; 256];
        let count = port.read(&mut bytes, PATIENCE).map_err(failed)?;
        for byte in &bytes[..count] {
            match deframer.push::<Status>(*byte) {
                Some(Ok(status)) => return Ok(status),
                Some(Err(FrameFault::Version(found))) => {
                    return Err(PanelError::Version { path: path.clone(), found });
                }
                _ => {}
            }
        }
    }
    Err(PanelError::Silent(path.clone()))
}

/// The line. No call takes longer than it is told.
#[derive(Debug)]
enum Port {
    Serial(SerialPort),
    Socket(UnixStream),
}

impl Port {
    fn open(config: &PanelConfig) -> Result<Self, PanelError> {
        let path = &config.device;
        let failed = |error| PanelError::from_io(path, error);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.file_type().is_socket() {
            let socket = UnixStream::connect(path).map_err(failed)?;
            socket.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
            return Ok(Self::Socket(socket));
        }
        let mut serial = SerialPort::open(path, config.baud).map_err(failed)?;
        serial.set_write_timeout(PATIENCE).map_err(failed)?;
        // Two programs at one line would each get half of what comes.
        // SAFETY: the descriptor is open as long as `serial` lives, and the call keeps nothing.
        if unsafe { libc::flock(serial.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        Ok(Self::Serial(serial))
    }

    /// What came; nothing where nothing did in this time.
    fn read(&mut self, bytes: &mut [u8], patience: Duration) -> io::Result<usize> {
        let count = match self {
            Self::Serial(serial) => serial.set_read_timeout(patience).and_then(|()| serial.read(bytes)),
            Self::Socket(socket) => socket.set_read_timeout(Some(patience)).and_then(|()| socket.read(bytes)),
        };
        match nothing_for_now(count)? {
            // The other end has gone.
            Some(0) => Err(io::Error::from_raw_os_error(libc::ENODEV)),
            count => Ok(count.unwrap_or(0)),
        }
    }

    /// How many bytes there was room for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match self {
            Self::Serial(serial) => serial.write(bytes),
            Self::Socket(socket) => socket.write(bytes),
        };
        Ok(nothing_for_now(count)?.unwrap_or(0))
    }
}

fn nothing_for_now(count: io::Result<usize>) -> io::Result<Option<usize>> {
    match count {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

/// A text that stands.
#[derive(Clone, Debug)]
struct Said {
    level: Level,
    id: u64,
    text: String,
    /// Bytes of it that are its own, before what is known more.
    own: usize,
    told: Instant,
    /// Whether the panel has yet to hear it.
    due: bool,
}

/// What the panel should show now, and what of it the panel has yet to hear.
#[derive(Debug, Default)]
struct Standing {
    last: Option<Said>,
    /// Of each camera that is blind, and that nobody pressed away: shown in the place of `last`, the newest of them.
    blind: Vec<(String, Said)>,
    alerts: Vec<Said>,
    settings_due: bool,
    ids_due: bool,
}

impl Standing {
    fn take(&mut self, order: Order) {
        let said = |level, id, text: String| Said { level, id, own: text.len(), text, told: Instant::now(), due: true };
        match order {
            Order::Blind { camera, text } => {
                self.blind.retain(|(other, _)| *other != camera);
                self.blind.push((camera, said(Level::Notice, 0, text)));
            }
            Order::Sees { camera } => {
                self.blind.retain(|(other, _)| *other != camera);
                // What was behind it.
                self.text().into_iter().for_each(|text| text.due = true);
            }
            Order::Tell { level, id, text } => {
                let text = said(level, id, text);
                if id == 0 {
                    self.last = Some(text);
                } else if !self.alerts.iter().any(|alert| alert.id == id) {
                    if self.alerts.len() == ALERTS {
                        let least = |alert: &Said| (alert.level, alert.told);
                        let place = (0..ALERTS).min_by_key(|at| least(&self.alerts[*at]));
                        self.alerts.remove(place.expect("there are some"));
                    }
                    self.alerts.push(text);
                    self.ids_due = true;
                }
            }
            Order::More { id, text } => {
                if let Some(alert) = self.alerts.iter_mut().find(|alert| alert.id == id) {
                    alert.text.truncate(alert.own);
                    alert.text += ": ";
                    alert.text += &text;
                    alert.due = true;
                }
            }
            Order::Over { up_to, id } => {
                self.alerts.retain(|alert| alert.id != id && up_to.is_none_or(|newest| alert.id > newest));
                self.ids_due = true;
            }
        }
    }

    /// The text that is shown where there is no alert.
    fn text(&mut self) -> Option<&mut Said> {
        self.blind.last_mut().map(|(_, text)| text).or(self.last.as_mut())
    }

    /// Somebody pressed the button where there was no alert: the camera that was shown as blind goes with the next text, or gives way to
    /// another that is.
    fn pressed(&mut self) {
        let Some((_, shown)) = self.blind.pop() else { return };
        match self.blind.last_mut() {
            Some((_, next)) => next.due = true,
            None => self.last = Some(shown),
        }
    }

    /// All of it is to be told again.
    fn again(&mut self) {
        (self.settings_due, self.ids_due) = (true, true);
        self.alerts.iter_mut().for_each(|text| text.due = true);
        self.text().into_iter().for_each(|text| text.due = true);
    }

    /// What is to be told next; what is urgent first.
    fn next<'s>(&'s mut self, settings: Settings, buffer: &'s mut [u8; TEXT_BYTES]) -> Option<ToPanel<'s>> {
        if std::mem::take(&mut self.settings_due) {
            return Some(ToPanel::Settings(settings));
        }
        if let Some(place) = self.alerts.iter().position(|alert| alert.due) {
            return Some(tell(&mut self.alerts[place], buffer));
        }
        if std::mem::take(&mut self.ids_due) {
            let mut ids = [0; ALERTS];
            ids.iter_mut().zip(&self.alerts).for_each(|(id, alert)| *id = alert.id);
            return Some(ToPanel::Standing(ids));
        }
        self.text().filter(|text| text.due).map(|text| tell(text, buffer))
    }
}

fn tell<'t>(text: &'t mut Said, buffer: &'t mut [u8; TEXT_BYTES]) -> ToPanel<'t> {
    text.due = false;
    let age_s = u32::try_from(text.told.elapsed().as_secs()).unwrap_or(u32::MAX);
    ToPanel::Tell { level: text.level, id: text.id, age_s, text: clip(&text.text, buffer) }
}

/// Why a talk ended.
enum End {
    /// The owner has gone.
    Over,
    /// The line.
    Broken(PanelError),
}

/// What the thread has.
struct Keeper {
    config: PanelConfig,
    run: u32,
    shared: Arc<Mutex<Shared>>,
    orders: Receiver<Order>,
    standing: Standing,
    /// What the panel said last, in whichever session.
    last: Option<Status>,
    /// Whether the person knows that something is wrong.
    troubled: bool,
}

impl Keeper {
    fn run(mut self) {
        let mut wait = FIRST_WAIT;
        loop {
            let opened = Port::open(&self.config);
            let end = match opened {
                Ok(port) => {
                    lock(&self.shared).report.opened += 1;
                    Talk::new(&mut self, port).run()
                }
                Err(error) => End::Broken(error),
            };
            let was_there = lock(&self.shared).report.status.take().is_some();
            let End::Broken(error) = end else { return };
            wait = if was_there { FIRST_WAIT } else { wait };
            if !std::mem::replace(&mut self.troubled, true) {
                self.say(format!("{error}; trying again"));
            }
            if !self.pause(wait) {
                // It may be there again.
                if let Ok(port) = Port::open(&self.config) {
                    Talk::new(&mut self, port).farewell();
                }
                return;
            }
            wait = (2 * wait).min(LAST_WAIT);
        }
    }

    /// Takes orders for so long. Whether there still is an owner.
    fn pause(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            match self.orders.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(order) => self.standing.take(order),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn say(&self, news: String) {
        lock(&self.shared).news = Some(news);
    }

    /// Of presses of the button those that came since.
    fn count_presses(&mut self, status: &Status) {
        let before = self.last.replace(*status);
        let same = before.filter(|before| before.session == status.session);
        let is_pressed = match (before, same) {
            // Those of before this run are none of it.
            (None, _) => false,
            (_, Some(before)) => before.presses != status.presses,
            (Some(_), None) => status.presses > 0,
        };
        // The text is shown where there is neither an alert nor a silence.
        let shows_text = |of: &Status| of.seeing == Seeing::Watching && of.open == 0;
        let showed_text = same.is_some_and(|before| shows_text(&before)) && shows_text(status);
        if is_pressed && status.pressed_id == 0 && showed_text {
            self.standing.pressed();
        }
        if is_pressed && status.pressed_id > 0 {
            self.standing.take(Order::Over { up_to: Some(status.pressed_id), id: 0 });
            let mut shared = lock(&self.shared);
            shared.acknowledged = shared.acknowledged.max(Some(status.pressed_id));
        }
    }
}

/// The line while it is open.
struct Talk<'k> {
    keeper: &'k mut Keeper,
    port: Port,
    deframer: Deframer,
    /// Session, and the number of the last message.
    session: Option<(u32, u32)>,
    /// Number of the first message in it that said whose run this is.
    introduced: Option<u32>,
    heard: Instant,
    hello: Option<Instant>,
    beat: Option<Instant>,
    again: Instant,
    /// What is being sent, and how much of it was.
    frame: [u8; FRAME_BYTES],
    length: usize,
    sent: usize,
}

impl<'k> Talk<'k> {
    fn new(keeper: &'k mut Keeper, port: Port) -> Self {
        let (heard, again) = (Instant::now(), Instant::now());
        let (deframer, frame) = (Deframer::new(), [0; FRAME_BYTES]);
        Self {
            keeper,
            port,
            deframer,
            session: None,
            introduced: None,
            heard,
            hello: None,
            beat: None,
            again,
            frame,
            length: 0,
            sent: 0,
        }
    }

    fn run(mut self) -> End {
        loop {
            match self.keeper.orders.try_recv() {
                Ok(order) => {
                    self.keeper.standing.take(order);
                    continue;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    self.farewell();
                    return End::Over;
                }
            }
            let done = self.listen().and_then(|()| self.speak());
            if let Err(error) = done {
                return End::Broken(error);
            }
        }
    }

    fn listen(&mut self) -> Result<(), PanelError> {
        let path = &self.keeper.config.device;
        let mut bytes = [0; 256];
        let count = self.port.read(&mut bytes, self.patience()).map_err(|error| PanelError::from_io(path, error))?;
        for byte in &bytes[..count] {
            match self.deframer.push::<Status>(*byte) {
                Some(Ok(status)) => self.hear(status),
                Some(Err(FrameFault::Version(found))) => {
                    return Err(PanelError::Version { path: self.keeper.config.device.clone(), found });
                }
                // Noise; and the panel says it again.
                Some(Err(_)) | None => {}
            }
        }
        if self.heard.elapsed() > ANSWER {
            return Err(PanelError::Silent(self.keeper.config.device.clone()));
        }
        Ok(())
    }

    /// How long there is nothing to do but to listen.
    fn patience(&self) -> Duration {
        let next_beat = match (self.session, self.beat) {
            (Some(_), Some(at)) if self.thinks() => self.keeper.config.beat_every.saturating_sub(at.elapsed()),
            _ => PATIENCE,
        };
        let next = if self.sent < self.length { Duration::ZERO } else { next_beat };
        next.clamp(Duration::from_millis(1), PATIENCE)
    }

    fn thinks(&self) -> bool {
        lock(&self.keeper.shared).alive.is_some_and(|alive| alive.elapsed() < self.keeper.config.beat_for)
    }

    fn hear(&mut self, status: Status) {
        self.heard = Instant::now();
        let is_known = self.session.is_some_and(|(session, _)| session == status.session);
        let number = if is_known { self.session.map_or(0, |(_, number)| number) } else { 0 };
        self.session = Some((status.session, number.max(status.heard)));
        if !is_known {
            self.introduced = None;
            self.keeper.standing.again();
            (self.beat, self.again) = (None, Instant::now());
            let is_new = self.keeper.last.is_some_and(|last| last.session != status.session);
            if is_new && status.reset == Reset::Watchdog {
                self.keeper.say("the panel was reset by its watchdog, and is there again".into());
            } else if self.keeper.troubled {
                self.keeper.say("the panel is there".into());
            }
            self.keeper.troubled = false;
        }
        self.keeper.count_presses(&status);
        lock(&self.keeper.shared).report.status = Some(status);
    }

    /// Sends what there is room for.
    fn speak(&mut self) -> Result<(), PanelError> {
        if self.sent == self.length {
            self.compose();
        }
        self.send()
    }

    fn send(&mut self) -> Result<(), PanelError> {
        if self.sent < self.length {
            let written = self.port.write(&self.frame[self.sent..self.length]);
            self.sent += written.map_err(|error| PanelError::from_io(&self.keeper.config.device, error))?;
        }
        Ok(())
    }

    fn compose(&mut self) {
        (self.sent, self.length) = (0, 0);
        let Some((session, number)) = self.session else { return self.greet() };
        if self.again.elapsed() >= AGAIN {
            self.again = Instant::now();
            self.keeper.standing.again();
        }
        let number = number + 1;
        let is_due = self.beat.is_none_or(|at| at.elapsed() >= self.keeper.config.beat_every);
        if is_due && self.thinks() {
            self.beat = Some(Instant::now());
            self.put(Packet { session, number, message: ToPanel::Beat });
            lock(&self.keeper.shared).report.beats += 1;
        } else {
            let (settings, mut buffer) = (self.keeper.config.settings(self.keeper.run), [0; TEXT_BYTES]);
            let message = self.keeper.standing.next(settings, &mut buffer);
            let Some(message) = message else { return };
            if matches!(message, ToPanel::Settings(_)) {
                self.introduced.get_or_insert(number);
            }
            let packet = Packet { session, number, message };
            // Not `put`: the message borrows the keeper.
            self.length = encode(&packet, &mut self.frame).expect("a frame should hold every message").len();
        }
        self.session = Some((session, number));
        lock(&self.keeper.shared).report.number = number;
    }

    /// Asks for a status, where that is due.
    fn greet(&mut self) {
        if self.hello.is_none_or(|at| at.elapsed() >= HELLO) {
            self.hello = Some(Instant::now());
            self.put(Packet { session: 0, number: 0, message: ToPanel::Hello });
        }
    }

    fn put(&mut self, packet: Packet<'_>) {
        self.sent = 0;
        self.length = encode(&packet, &mut self.frame).expect("a frame should hold every message").len();
    }

    /// Says that this is the end, if it is meant, and else whose run it was, and waits until it was heard: what is on its way when a line
    /// is closed may be thrown away.
    fn farewell(mut self) {
        let is_heard = |talk: &Self, session: u32, number: u32| {
            talk.keeper.last.is_some_and(|last| last.session == session && last.heard >= number)
        };
        let ends = lock(&self.keeper.shared).ends;
        let message = if ends { ToPanel::Bye } else { ToPanel::Settings(self.keeper.config.settings(self.keeper.run)) };
        let introduced = self.session.zip(self.introduced);
        if !ends && introduced.is_some_and(|((session, _), number)| is_heard(&self, session, number)) {
            return;
        }
        let until = Instant::now() + FAREWELL;
        // In which session, the first number, and when it was said last.
        let mut said: Option<(u32, u32, Instant)> = None;
        while Instant::now() < until {
            if self.sent == self.length {
                said = said.filter(|(session, ..)| self.session.is_some_and(|(now, _)| now == *session));
                match (self.session, said) {
                    (None, _) => self.greet(),
                    (_, Some((.., at))) if at.elapsed() < FAREWELL_AGAIN => {}
                    (Some((session, number)), _) => {
                        let first = said.map_or(number + 1, |(_, first, _)| first);
                        said = Some((session, first, Instant::now()));
                        self.session = Some((session, number + 1));
                        self.put(Packet { session, number: number + 1, message });
                    }
                }
            }
            if self.send().and_then(|()| self.listen()).is_err() {
                return;
            }
            if said.is_some_and(|(session, first, _)| is_heard(&self, session, first)) {
                return;
            }
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
