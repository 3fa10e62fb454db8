//! The config file: TOML, every key optional, unknown keys refused with their line and the nearest key.

use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ocelli_drivers::{CameraConfig, MAX_SIDE_PX, PipeConfig, PipeFormat, RtspAddress, RtspConfig};
use ocelli_gateway::{MqttTable, OutboxTable, Secret, WebhookTable};
use ocelli_journal::Limits;
use ocelli_types::SizePx;
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::alerts::{self, AlertTable, AlertsTable};
use crate::board::Layers;
use crate::panel::PanelTable;
use crate::recording::RecordingTable;
use crate::setup::LeftOut;
use crate::signs::{DisplayTable, GpioTable};
use crate::thermal::ThermalTable;
use crate::threads::ThreadsTable;
use crate::{courier, privacy, sentences};

/// The smallest similarity at which a key is offered in place of an unknown one.
const NEAR: f64 = 0.75;

/// Name of a camera without one.
const FIRST_NAME: &str = "camera";

/// No config is larger; a device file as config would never end.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Why a config cannot be used. Each message is one line that says where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot read the config: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not say what a config may say.
    #[error("{}:{line}: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong and what is meant perhaps.
        why: String,
    },
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
}

/// Everything that can be set. Written as TOML; each key may be left out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What kind of board: `home` (default) or `pico`. It sets the default budget.
    pub profile: Profile,
    /// The most memory that the program may plan for, as bytes or with a unit: `"128MiB"`. Default: as the profile says.
    #[serde(deserialize_with = "bytes")]
    #[schemars(with = "Option<BytesText>")]
    pub memory_budget: Option<u64>,
    /// Whether `ocelli run` lets the system hold the budget: a cgroup where one is ours, else a limit of the process.
    /// Default false.
    pub enforce: bool,
    /// Whether no picture may ever leave the memory of the program. What would let one out is refused, the kept memory
    /// (`[memory] state`) has no picture in it, and there are no core files. Default false.
    pub privacy: bool,
    /// Name of a pack, or the path of its folder. Default `home`.
    pub pack: String,
    /// The file of one's own sentences, which `ocelli vocab` writes; a running program follows it. Default: none.
    pub vocabulary: Option<PathBuf>,
    /// For how many sentences of one's own memory is set aside, 0 to 100000; where the file has more at the start, for those. A
    /// running program takes no more. Default 2000.
    pub vocabulary_room: usize,
    /// Where pictures come from: `[camera]`, or several, each `[[camera]]`.
    #[serde(rename = "camera", deserialize_with = "cameras")]
    #[schemars(with = "OneOrMany")]
    pub cameras: Vec<CameraTable>,
    /// Where events go.
    pub output: OutputTable,
    /// How much is told.
    pub speak: SpeakTable,
    /// What is remembered.
    pub memory: MemoryTable,
    /// Where what was said is kept.
    pub journal: JournalTable,
    /// Clips and snapshots around events.
    pub recording: RecordingTable,
    /// How others reach the program.
    pub gateway: GatewayTable,
    /// The panel that shows and sounds what is said.
    pub panel: PanelTable,
    /// What to be told of besides what the pack alarms about, each `[[alert]]`.
    #[serde(rename = "alert")]
    pub alerts: Vec<AlertTable>,
    /// What holds for all alerts.
    #[serde(rename = "alerts")]
    pub alerting: AlertsTable,
    /// What kind of machine this is: `auto` (default: what its device tree says), a board that `ocelli check --board` knows, the
    /// path of a board file of one's own, or `none`. Its defaults hold where this file says nothing.
    pub board: Option<String>,
    /// On which CPUs the threads run.
    pub threads: ThreadsTable,
    /// What is done when the board gets hot.
    pub thermal: ThermalTable,
    /// A status screen.
    pub display: DisplayTable,
    /// Lamps or sirens for alerts, and a button.
    pub gpio: GpioTable,
    /// What this was made of.
    #[serde(skip)]
    pub layers: Layers,
    /// How many of the cameras, the last, were set up on the page, and what of that is left out.
    #[serde(skip)]
    pub added: usize,
    #[serde(skip)]
    pub left_out: Vec<LeftOut>,
    /// What of the command line names the one camera of this start; cameras that were set up have no part in it then.
    #[serde(skip)]
    pub named_by: Option<&'static str>,
    /// The MQTT broker that is told, and that may ask. Default: none.
    pub mqtt: Option<MqttTable>,
    /// Whom to tell over HTTP, each `[[webhook]]`.
    #[serde(rename = "webhook")]
    pub webhooks: Vec<WebhookTable>,
    /// Where messages wait for MQTT and webhooks.
    pub outbox: OutboxTable,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            memory_budget: None,
            enforce: false,
            privacy: false,
            pack: "home".into(),
            vocabulary: None,
            vocabulary_room: 2000,
            cameras: vec![CameraTable::default()],
            output: OutputTable::default(),
            speak: SpeakTable::default(),
            memory: MemoryTable::default(),
            journal: JournalTable::default(),
            recording: RecordingTable::default(),
            gateway: GatewayTable::default(),
            panel: PanelTable::default(),
            alerts: Vec::new(),
            alerting: AlertsTable::default(),
            board: None,
            threads: ThreadsTable::default(),
            thermal: ThermalTable::default(),
            display: DisplayTable::default(),
            gpio: GpioTable::default(),
            layers: Layers::default(),
            added: 0,
            left_out: Vec::new(),
            named_by: None,
            mqtt: None,
            webhooks: Vec::new(),
            outbox: OutboxTable::default(),
        }
    }
}

/// What kind of board the program is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A board of a Raspberry Pi's size; the budget is the pack's, 128 MiB for `home`.
    #[default]
    Home,
    /// The smallest board: 64 MiB. It runs no web pages and no text encoder.
    Pico,
}

impl Profile {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Pico => "pico",
        }
    }

    /// The budget of this kind of board with a pack that asks for `pack_bytes`.
    pub fn budget_bytes(self, pack_bytes: u64) -> u64 {
        match self {
            Self::Home => pack_bytes,
            Self::Pico => pack_bytes.min(64 << 20),
        }
    }

    /// Scenes that are remembered, 3 KiB each with the pack `home`: three days of a still room, where one lasts five minutes,
    /// or hours of a busy one.
    pub fn segments(self) -> usize {
        match self {
            Self::Home => 1024,
            Self::Pico => 256,
        }
    }
}

/// `[camera]`, or one of several, `[[camera]]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CameraTable {
    /// Its name in events. Default `camera`; of several `camera`, `camera-2` and so on. No two have the same.
    #[serde(default)]
    #[schemars(extend("default" = FIRST_NAME))]
    pub name: String,
    /// Device node. Default: the first camera of the machine.
    pub device: Option<PathBuf>,
    /// A command whose standard output is the video, in place of a device.
    pub command: Option<String>,
    /// What the command writes: `y4m` (default), `mjpeg`, or `i420`, `yuyv`, `rgb` of the size below.
    pub command_format: CommandFormat,
    /// A camera of the network in place of a device: `rtsp://camera.lan/stream`, with pictures in H.264 or MJPEG. Of several streams
    /// of a camera take a small one, for each of its pictures is decoded. A user and a password may stand in it
    /// (`rtsp://user:password@camera.lan/stream`); the two keys below keep them out of this file.
    pub rtsp: Option<String>,
    /// The user whom that camera knows. Default: as the address says.
    pub rtsp_username: Option<String>,
    /// A file with this user's password; a bare name is that of a credential of systemd. Default: none.
    pub rtsp_password_file: Option<PathBuf>,
    /// Wanted size. Default `640x480`; the camera may answer with the nearest that it has.
    #[serde(deserialize_with = "size")]
    #[schemars(with = "String")]
    pub size_px: SizePx,
    /// Wanted frames per second. Default 15; the camera may answer with the nearest that it has.
    pub fps: u32,
    /// The longest wait for a picture in seconds, 0.1 to 3600. Default 5.
    pub timeout_s: f64,
    /// The file of what this camera was taught with `ocelli teach`. Default: none.
    pub lessons: Option<PathBuf>,
    /// Whether what is seen is told anew where far more of the picture changes than is usual for it, as where it shows one room after the
    /// other. Default false: a camera that stands tells what goes on once.
    pub scene_changes: bool,
    /// Whether what only the camera's own movement changed is left out while it moves, and seen when it stands. Default false.
    pub motion_compensation: bool,
}

impl Default for CameraTable {
    fn default() -> Self {
        Self {
            name: FIRST_NAME.into(),
            device: None,
            command: None,
            command_format: CommandFormat::Y4m,
            rtsp: None,
            rtsp_username: None,
            rtsp_password_file: None,
            size_px: SizePx::new(640, 480),
            fps: 15,
            timeout_s: 5.0,
            lessons: None,
            scene_changes: false,
            motion_compensation: false,
        }
    }
}

/// What a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CommandFormat {
    /// YUV4MPEG2, which names its own size.
    Y4m,
    /// JPEG pictures one after the other.
    Mjpeg,
    /// Planar 4:2:0.
    I420,
    /// Packed 4:2:2.
    Yuyv,
    /// Packed red, green, blue.
    Rgb,
}

/// `[output]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutputTable {
    /// One JSON object a line in place of lines for people. Default false.
    pub json: bool,
    /// A file to append to. Default: standard output.
    pub file: Option<PathBuf>,
    /// With each narration in JSON what `ocelli teach` needs to learn from it. Default false.
    pub evidence: bool,
    /// The language of narrations, such as `de` or `zh`. Default, and for a sentence that has none in it: as the pack says it.
    pub language: Option<String>,
}

/// `[speak]`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpeakTable {
    /// How much is told of what is seen: `quiet`, `normal` (default) or `full`. Alerts always are.
    pub verbosity: Verbosity,
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// Who comes and goes, and what is of severity notice or alarm.
    Quiet,
    /// Each change of what happens.
    #[default]
    Normal,
    /// Also what says little new, what was there for a moment, and after 5, 10, 20 … 60 minutes what still goes on.
    Full,
}

impl From<Verbosity> for ocelli_pipeline::Verbosity {
    fn from(verbosity: Verbosity) -> Self {
        match verbosity {
            Verbosity::Quiet => Self::Quiet,
            Verbosity::Normal => Self::Normal,
            Verbosity::Full => Self::Full,
        }
    }
}

/// `[memory]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryTable {
    /// A folder in which the memory of a camera or command is kept, so that it outlives a restart. Default: none, and a
    /// restart forgets.
    pub state: Option<PathBuf>,
    /// How often it is written in seconds, 10 to 86400; also when the program ends. Default 600, to spare the SD card: a power
    /// cut forgets as much.
    pub save_every_s: f64,
}

impl Default for MemoryTable {
    fn default() -> Self {
        Self { state: None, save_every_s: 600.0 }
    }
}

impl MemoryTable {
    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        if !(10.0..=86_400.0).contains(&self.save_every_s) {
            return Err(format!("`save_every_s` is {}; it may be 10 to 86400 seconds", self.save_every_s));
        }
        if self.state.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
            return Err("`state` is empty; write a folder".into());
        }
        Ok(())
    }
}

/// `[journal]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalTable {
    /// The file in which events are kept, for `ocelli events`. Default: none.
    pub file: Option<PathBuf>,
    /// The most bytes of it and what lies beside it, 2 MiB or more. Default `64MiB`: some 100,000 narrations. The oldest events go
    /// first, alerts last.
    #[serde(deserialize_with = "size_bytes")]
    #[schemars(with = "BytesText")]
    pub size: u64,
    /// How long an event stays at most, in days, 0.01 to 36500. Default 365.
    pub keep_days: f64,
}

impl Default for JournalTable {
    fn default() -> Self {
        Self { file: None, size: 64 << 20, keep_days: 365.0 }
    }
}

impl JournalTable {
    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        if !(Limits::LEAST_BYTES..=1 << 40).contains(&self.size) {
            return Err(format!("`size` of the journal is {} bytes; it may be 2 MiB to 1024 GiB", self.size));
        }
        if !(0.01..=36_500.0).contains(&self.keep_days) {
            return Err(format!("`keep_days` is {}; it may be 0.01 to 36500", self.keep_days));
        }
        if self.file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            return Err("`file` of the journal is empty; write a file".into());
        }
        Ok(())
    }
}

/// `[gateway]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayTable {
    /// Where `ocelli run` serves its web page and API, such as `"0.0.0.0:8971"`. Until somebody can log in it listens at 127.0.0.1
    /// with this port, whatever is written here. Default: nowhere.
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// The file of users and tokens, which the program writes. Without it nobody can be added. Default: none.
    pub users: Option<PathBuf>,
    /// A file with the password of the user `admin`; a bare name is that of a credential of systemd. Default: none.
    pub password_file: Option<PathBuf>,
    /// The certificate in PEM. Where neither it nor its key is there, a self-signed pair is made. Default: none, and not encrypted.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub private_key: Option<PathBuf>,
    /// The file in which it is noted who changed what, 1 MiB and one before it. Default: standard error.
    pub audit: Option<PathBuf>,
    /// The file, for its owner alone, in which cameras and zones are kept that are set up on the page. Its cameras stand behind those of
    /// this file; a `[camera]` without `device`, `command` and `rtsp` gives way to them. Default: none can be set up.
    pub setup: Option<PathBuf>,
    /// Whether pictures may be shown to those who may see the camera. Without it no picture leaves the program. Default false.
    pub live: bool,
    /// How long somebody stays logged in, in hours, 0.1 to 8760. Default 12.
    pub session_hours: f64,
}

impl Default for GatewayTable {
    fn default() -> Self {
        let (users, password_file, certificate, private_key, audit, setup) = (None, None, None, None, None, None);
        let (listen, live, session_hours) = (None, false, 12.0);
        Self { listen, users, password_file, certificate, private_key, audit, setup, live, session_hours }
    }
}

impl GatewayTable {
    /// What no type says.
    pub fn check(&self, profile: Profile) -> Result<(), String> {
        if !(0.1..=8760.0).contains(&self.session_hours) {
            return Err(format!("`session_hours` is {}; it may be 0.1 to 8760", self.session_hours));
        }
        if self.certificate.is_some() != self.private_key.is_some() {
            return Err("`certificate` and `private_key` go together; write both or none".into());
        }
        if self.listen.is_some() && profile == Profile::Pico {
            return Err(
                "the profile `pico` serves no web pages; take `listen` out of [gateway], or the profile `home`".into(),
            );
        }
        Ok(())
    }
}

impl Config {
    /// What may be planned for with a pack that asks for `pack_bytes`.
    pub fn budget_bytes(&self, pack_bytes: u64) -> u64 {
        self.memory_budget.unwrap_or_else(|| self.profile.budget_bytes(pack_bytes))
    }

    /// Reads `path`, or takes the defaults without one, over those of the board: the one of this name, else the one that the file
    /// names, else the one that this machine is.
    ///
    /// # Errors
    /// A file is missing, no TOML, or says what it may not say; or there is no such board.
    pub fn load(path: Option<&Path>, board: Option<&str>) -> Result<Self, ConfigError> {
        let text = path.map(Self::text).transpose()?;
        // Alone first: what is wrong with it is told with its line.
        let alone = match (path, &text) {
            (Some(path), Some(text)) => Self::parse(path, text)?,
            _ => Self::default(),
        };
        let mut layers = Layers::of_board(board.or(alone.board.as_deref()))?;
        if layers.board.is_none() && text.is_none() {
            return Ok(Self { layers, ..alone });
        }
        let own = path.zip(text.as_ref()).map(|(path, text)| Self::read(path, text)).transpose()?;
        let merged = layers.merge(own.unwrap_or_default(), path);
        let mut config: Self = merged.try_into().map_err(|error: toml::de::Error| {
            ConfigError::Usage(format!("config and board together: {}", explain(error.message())))
        })?;
        courier::name(&mut config);
        config.check().map_err(|why| ConfigError::Usage(format!("config and board together: {why}")))?;
        Ok(Self { layers, ..config })
    }

    fn text(path: &Path) -> Result<String, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_path_buf(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let bytes = file.take(MAX_CONFIG_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        if bytes as u64 == MAX_CONFIG_BYTES {
            return Err(unreadable(std::io::Error::other("it has more than 1 MiB, which no config has")));
        }
        Ok(text)
    }

    /// What a file says, checked.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut config: Self = Self::read(path, text)?;
        courier::name(&mut config);
        config.check().map_err(|why| ConfigError::Invalid { path: path.to_path_buf(), line: 1, why })?;
        Ok(config)
    }

    /// What a file says, as any type.
    pub fn read<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
            ConfigError::Invalid { path: path.to_path_buf(), line, why: explain(error.message()) }
        })
    }

    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        match &self.cameras[..] {
            [camera] => camera.check()?,
            _ => self.check_cameras()?,
        }
        if let Some(language) = &self.output.language {
            sentences::check_language(language)?;
        }
        if self.vocabulary_room > sentences::MOST_SENTENCES {
            return Err(format!("`vocabulary_room` is {}; it may be 0 to 100000 sentences", self.vocabulary_room));
        }
        self.memory.check()?;
        self.journal.check()?;
        self.recording.check()?;
        privacy::check(self)?;
        self.gateway.check(self.profile)?;
        self.threads.check()?;
        self.thermal.check()?;
        self.display.check()?;
        self.gpio.check(&self.display)?;
        courier::check(self)?;
        self.panel.check()?;
        alerts::check(self)
    }

    /// Each of several cameras, and that they go together.
    fn check_cameras(&self) -> Result<(), String> {
        for (index, camera) in self.cameras.iter().enumerate() {
            let name = &camera.name;
            camera.check().map_err(|why| format!("camera `{name}`: {why}"))?;
            if camera.sources().next().is_none() {
                return Err(format!(
                    "camera `{name}` has neither `device` nor `command` nor `rtsp`; of several cameras each needs one"
                ));
            }
            for other in &self.cameras[..index] {
                if other.name == *name {
                    return Err(format!("two cameras are called `{name}`; each needs a `name` of its own"));
                }
                if camera.device.is_some() && other.device == camera.device {
                    return Err(format!("the cameras `{}` and `{name}` are the same `device`", other.name));
                }
            }
        }
        Ok(())
    }
}

impl CameraTable {
    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        if !(0.1..=3600.0).contains(&self.timeout_s) {
            return Err(format!("`timeout_s` is {}; it may be 0.1 to 3600 seconds", self.timeout_s));
        }
        if self.fps == 0 {
            return Err("`fps` is 0; a camera sends at least one picture a second".into());
        }
        let mut sources = self.sources();
        if let Some((one, other)) = sources.next().zip(sources.next()) {
            return Err(format!("`{one}` and `{other}` are both set; choose one"));
        }
        self.address().map(drop)
    }

    /// The keys that say where its pictures come from.
    fn sources(&self) -> impl Iterator<Item = &'static str> {
        let keys =
            [("device", self.device.is_some()), ("command", self.command.is_some()), ("rtsp", self.rtsp.is_some())];
        keys.into_iter().filter(|(_, set)| *set).map(|(key, _)| key)
    }

    /// Where it is in the network, if it is there; without the password of a file.
    ///
    /// # Errors
    /// In words for whoever wrote it, and without the address.
    pub fn address(&self) -> Result<Option<RtspAddress>, String> {
        let Some(rtsp) = &self.rtsp else {
            let of = [
                ("rtsp_username", self.rtsp_username.is_some()),
                ("rtsp_password_file", self.rtsp_password_file.is_some()),
            ];
            return match of.iter().find(|(_, set)| *set) {
                None => Ok(None),
                Some((key, _)) => Err(format!("`{key}` is of `rtsp`, which is not there")),
            };
        };
        let address = RtspAddress::parse(rtsp).map_err(|why| format!("`rtsp`: {why}"))?;
        match (&self.rtsp_username, &self.rtsp_password_file) {
            (Some(_), _) if address.has_user() => Err("`rtsp` has a user in it, and so has `rtsp_username`".into()),
            (Some(username), _) => Ok(Some(address.with_user(username, ""))),
            (None, Some(_)) => Err("`rtsp_password_file` is of an `rtsp_username`, which is not there".into()),
            (None, None) => Ok(Some(address)),
        }
    }

    /// The camera of the network with these wishes, if it is one.
    ///
    /// # Errors
    /// Its password cannot be read.
    pub fn rtsp(&self) -> Result<Option<RtspConfig>, String> {
        let Some(mut address) = self.address()? else { return Ok(None) };
        if let (Some(username), Some(file)) = (&self.rtsp_username, &self.rtsp_password_file) {
            let password = Secret::read(&credential(file)).map_err(|why| format!("`rtsp_password_file`: {why}"))?;
            address = address.with_user(username, password.reveal());
        }
        Ok(Some(RtspConfig { address, timeout: self.timeout(), stop: Arc::default() }))
    }

    /// The camera at `device` with these wishes.
    pub fn camera(&self, device: &Path) -> CameraConfig {
        CameraConfig { size_px: self.size_px, fps: self.fps, timeout: self.timeout(), ..CameraConfig::new(device) }
    }

    /// The pipe of `command` with these wishes.
    pub fn pipe(&self, command: &str) -> PipeConfig {
        let format = match self.command_format {
            CommandFormat::Y4m => PipeFormat::Y4m,
            CommandFormat::Mjpeg => PipeFormat::Mjpeg,
            CommandFormat::I420 => PipeFormat::I420(self.size_px),
            CommandFormat::Yuyv => PipeFormat::Yuyv(self.size_px),
            CommandFormat::Rgb => PipeFormat::Rgb(self.size_px),
        };
        PipeConfig { command: command.to_owned(), format, timeout: self.timeout(), stop: Arc::default() }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_s)
    }
}

/// A bare name is that of a credential of systemd, where there is one.
pub fn credential(path: &Path) -> PathBuf {
    let bare = path.components().count() == 1;
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|_| bare);
    folder
        .map(|folder| Path::new(&folder).join(path))
        .filter(|path| path.exists())
        .unwrap_or_else(|| path.to_path_buf())
}

/// `[camera]` or `[[camera]]`s.
// Not read as an untagged enum, which would lose line and key of what is wrong in it.
#[derive(JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(CameraTable),
    Many(Vec<CameraTable>),
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tables;

        impl<'de> Visitor<'de> for Tables {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table [camera], or several tables [[camera]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany, A::Error> {
                CameraTable::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany::Many)
            }
        }

        deserializer.deserialize_any(Tables)
    }
}

/// All cameras, at least one; those without a name are numbered.
fn cameras<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CameraTable>, D::Error> {
    let mut cameras = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(camera) => vec![camera],
        OneOrMany::Many(cameras) => cameras,
    };
    if cameras.is_empty() {
        return Err(serde::de::Error::custom("`camera` is an empty list; leave it out, or write a table [camera]"));
    }
    for (index, camera) in cameras.iter_mut().enumerate().filter(|(_, camera)| camera.name.is_empty()) {
        camera.name = if index == 0 { FIRST_NAME.into() } else { format!("{FIRST_NAME}-{}", index + 1) };
    }
    Ok(cameras)
}

/// Serde's words in ours: one line, and for an unknown key or value the nearest that exists.
fn explain(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let (true, Some(wrong)) = (unknown, quoted.next()) else { return message.to_owned() };
    let what = if message.starts_with("unknown field") { "key" } else { "value" };
    let known: Vec<&str> = quoted.collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(&wrong.to_lowercase(), name), *name))
        .filter(|(near, _)| *near > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => format!("unknown {what} `{wrong}`; did you mean `{name}`?"),
        None => format!("unknown {what} `{wrong}`; there are: {}", known.join(", ")),
    }
}

/// `"128MiB"`, `"64MB"`, `"1GiB"` or a number of bytes.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected an amount of memory, written like \"128MiB\"")]
pub enum BytesText {
    Number(u64),
    Text(String),
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    size_bytes(deserializer).map(Some)
}

/// Bytes, from a number or a text.
///
/// # Errors
/// It is neither.
pub fn size_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match BytesText::deserialize(deserializer)? {
        BytesText::Number(bytes) => Ok(bytes),
        BytesText::Text(text) => parse_bytes(&text).map_err(serde::de::Error::custom),
    }
}

/// Bytes from `"128MiB"`.
///
/// # Errors
/// A sentence that shows how it is written.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let unit: u64 = match trimmed[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err(format!("`{text}` is no amount of memory; write it like \"128MiB\"")),
    };
    let number: u64 = trimmed[..digits].parse().map_err(|_| format!("`{text}` has no number; write \"128MiB\""))?;
    number.checked_mul(unit).ok_or_else(|| format!("`{text}` is more than there is; write it like \"128MiB\""))
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SizePx, D::Error> {
    parse_size(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A size from `"640x480"`.
///
/// # Errors
/// A sentence that shows how it is written.
pub fn parse_size(text: &str) -> Result<SizePx, String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some(SizePx::new(w.parse().ok()?, h.parse().ok()?)));
    parsed
        .filter(|size| (1..=MAX_SIDE_PX).contains(&size.width) && (1..=MAX_SIDE_PX).contains(&size.height))
        .ok_or_else(|| format!("`{text}` is no picture size; write it like \"640x480\", up to {MAX_SIDE_PX} a side"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("ocelli.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_may_be_left_out() {
        let config = parse("").expect("the defaults");
        assert_eq!((config.memory_budget, config.pack.as_str()), (None, "home"));
        assert_eq!((config.profile, config.enforce, config.budget_bytes(128 << 20)), (Profile::Home, false, 128 << 20));
        assert_eq!((config.cameras.len(), config.cameras[0].size_px), (1, SizePx::new(640, 480)));
        assert_eq!(parse("[camera]\nfps = 5\n").expect("a camera").cameras[0].name, "camera");
    }

    #[test]
    fn a_profile_sets_the_budget_that_none_is_given_for() {
        let config = parse("profile = \"pico\"\n").expect("it is known");
        assert_eq!(config.budget_bytes(128 << 20), 64 << 20);
    }

    #[test]
    fn a_whole_config_is_read() {
        let text = "profile = \"pico\"\nmemory_budget = \"96MiB\"\nenforce = true\npack = \"/packs/kitchen\"\n[camera]\nname = \"hall\"\n\
                    device = \"/dev/video2\"\nsize_px = \"1280x720\"\nfps = 30\ntimeout_s = 2.5\n\
                    [output]\njson = true\nfile = \"events.jsonl\"\nlanguage = \"zh\"\n";
        let config = parse(text).expect("all keys are known");
        assert_eq!(config.memory_budget, Some(96 << 20));
        assert_eq!((config.profile, config.enforce, config.budget_bytes(128 << 20)), (Profile::Pico, true, 96 << 20));
        assert_eq!((config.cameras[0].size_px, &config.cameras[0].name[..]), (SizePx::new(1280, 720), "hall"));
        assert!(config.output.json && config.output.language.as_deref() == Some("zh"));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_its_neighbour() {
        assert_eq!(
            parse("pack = \"home\"\n[camera]\ndevcie = \"/dev/video0\"\n").expect_err("no such key"),
            "ocelli.toml:3: unknown key `devcie`; did you mean `device`?"
        );
        let far = parse("zebra = 1\n").expect_err("no such key");
        assert!(
            far.contains(":1: unknown key `zebra`; there are: profile, memory_budget, enforce, privacy, pack"),
            "{far}"
        );
    }

    #[test]
    fn several_cameras_have_names_of_their_own() {
        let text = "[[camera]]\ncommand = \"a\"\n[[camera]]\nname = \"hall\"\ndevice = \"/dev/video2\"\nfps = 5\n\
                    [[camera]]\ncommand = \"c\"\n[memory]\nsave_every_s = 10\n";
        let cameras = parse(text).expect("all keys are known").cameras;
        let names: Vec<&str> = cameras.iter().map(|camera| camera.name.as_str()).collect();
        assert_eq!((names, cameras[1].fps, cameras[2].fps), (vec!["camera", "hall", "camera-3"], 5, 15));
        let one = parse("[[camera]]\nsize_px = \"320x240\"\n").expect("a list of one").cameras;
        assert_eq!((one.len(), one[0].name.as_str(), one[0].size_px), (1, "camera", SizePx::new(320, 240)));
    }

    #[test]
    fn what_is_wrong_with_one_of_several_cameras_is_said_in_one_line() {
        let one = "[[camera]]\ncommand = \"a\"\n";
        for (more, said) in [
            ("[[camera]]\ndevcie = \"b\"", "ocelli.toml:4: unknown key `devcie`; did you mean `device`?"),
            ("[[camera]]\nsize_px = \"640\"", "ocelli.toml:4: `640` is no picture size; write it like \"640x480\""),
            (
                "[[camera]]\n",
                "camera `camera-2` has neither `device` nor `command` nor `rtsp`; of several cameras each needs one",
            ),
            ("[[camera]]\ncommand = \"b\"\nfps = 0", "camera `camera-2`: `fps` is 0"),
            ("[[camera]]\ncommand = \"b\"\nname = \"camera\"", "two cameras are called `camera`; each needs a `name`"),
            (
                "[[camera]]\nname = \"b\"\ndevice = \"v\"\n[[camera]]\nname = \"c\"\ndevice = \"v\"",
                "the cameras `b` and `c` are the same `device`",
            ),
        ] {
            let error = parse(&format!("{one}{more}\n")).expect_err(more);
            assert!(error.contains(said) && error.lines().count() == 1, "{more}: {error}");
        }
        let error = parse("camera = []\n").expect_err("none at all");
        assert!(error.contains("ocelli.toml:1: `camera` is an empty list"), "{error}");
        let error = parse("pack = \"home\"\ncamera = 5\n").expect_err("a number");
        assert!(error.contains("ocelli.toml:2: ") && error.contains("[[camera]]"), "{error}");
    }

    #[test]
    fn wrong_values_are_explained_in_one_line() {
        for (text, word) in [
            ("memory_budget = \"a lot\"", "128MiB"),
            ("profile = \"picco\"", "did you mean `pico`"),
            ("enforce = 1", "expected a boolean"),
            ("memory_budget = \"99999999999GiB\"", "128MiB"),
            ("memory_budget = -1", "128MiB"),
            ("[camera]\nsize_px = \"4294967295x4294967295\"", "16384"),
            ("[camera]\ncommand_format = \"Y4M\"", "did you mean `y4m`"),
            ("[camera]\nsize_px = \"640\"", "640x480"),
            ("[camera]\nsize_px = \"0x480\"", "640x480"),
            ("[camera]\nfps = 0", "at least one"),
            ("[camera]\nfps = \"many\"", "expected"),
            ("[camera]\ntimeout_s = 0", "0.1 to 3600"),
            ("[memory]\nsave_every_s = 1", "10 to 86400"),
            ("[journal]\nsize = \"1MiB\"", "2 MiB to"),
            ("[journal]\nsize = \"much\"", "128MiB"),
            ("[journal]\nkeep_days = 0", "0.01 to 36500"),
            ("[journal]\nfile = \"\"", "write a file"),
            ("[journal]\nfolder = \"x\"", "unknown key `folder`"),
            ("[output]\nlanguage = \"Deutsch, bitte\"", "such as de, zh"),
            ("[speak]\nverbosity = \"quite\"", "did you mean `quiet`"),
            ("[camera]\ncommand_format = \"y5m\"", "did you mean `y4m`"),
            (
                "[camera]\ndevice = \"/dev/video0\"\ncommand = \"cat\"",
                "`device` and `command` are both set; choose one",
            ),
            ("[camera]\ncommand = \"cat\"\nrtsp = \"rtsp://h/\"", "`command` and `rtsp` are both set; choose one"),
            ("[camera]\nrtsp = \"camera.lan/hunter2\"", "`rtsp`: it is no address"),
            ("[camera]\nrtsp_username = \"vera\"", "`rtsp_username` is of `rtsp`, which is not there"),
            ("[camera]\nrtsp = \"rtsp://h/\"\nrtsp_password_file = \"p\"", "an `rtsp_username`, which is not there"),
            ("[camera]\nrtsp = \"rtsp://vera:hunter2@h/\"\nrtsp_username = \"vera\"", "has a user in it, and so has"),
            ("[camera\n", "ocelli.toml:1"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(word) && error.lines().count() == 1, "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_password_of_a_camera_is_in_its_address_or_in_a_file() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").expect("there is room");
        let text =
            format!("[camera]\nrtsp = \"rtsp://h/1\"\nrtsp_username = \"vera\"\nrtsp_password_file = {file:?}\n");
        let of_file = parse(&text).expect("all keys are known").cameras[0].rtsp().expect("it is there");
        let text = "[camera]\nrtsp = \"rtsp://vera:hunter2@h/1\"\n";
        let in_it = parse(text).expect("all keys are known").cameras[0].rtsp().expect("no file is read");
        let [of_file, in_it] = [of_file, in_it].map(|rtsp| rtsp.expect("it is one").address);
        assert_eq!(of_file, in_it);
        std::fs::remove_file(&file).expect("it is there");
        let text =
            format!("[camera]\nrtsp = \"rtsp://h/1\"\nrtsp_username = \"vera\"\nrtsp_password_file = {file:?}\n");
        let why = parse(&text).expect("all keys are known").cameras[0].rtsp().expect_err("it is gone");
        assert!(why.starts_with("`rtsp_password_file`: ") && why.contains("password"), "{why}");
    }

    #[test]
    fn a_missing_file_is_said_so() {
        let error = Config::load(Some(Path::new("no/such/ocelli.toml")), None).expect_err("there is none");
        assert!(error.to_string().starts_with("no/such/ocelli.toml: cannot read the config"), "{error}");
    }
}
