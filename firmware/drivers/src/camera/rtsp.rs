//! Frames from a camera of the network: RTSP over TCP, with pictures in H.264 or JPEG.
//!
//! The network is waited for in the thread that asks for pictures, so a session costs no thread of its own; a short one
//! looks the server's name up. What an address holds beside server and port may be secret and is shown nowhere.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_core::Stream as _;
use ocelli_types::{ColorMatrix, Frame, FrameSeq, FrameSource, Micros, PixelRange, SizePx, host_advice};
use percent_encoding::percent_decode_str;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions, Stream, Transport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::h264::{Decoded, H264, beyond_openh264};
use super::mjpeg::size_of;
use super::planes::{Layout, Picture};
use super::sps::Sps;
use crate::DriverError;

/// Stack of the thread that looks a name up.
pub const RESOLVER_STACK_BYTES: usize = 256 << 10;

/// What a user or a password cannot hold as it is.
const ESCAPES: &str = "; in a user or password write # as %23, / as %2F, ? as %3F, @ as %40";

/// How often a wait looks whether it should stop.
const SLICE: Duration = Duration::from_millis(100);

/// The longest wait for a picture that stands alone; cameras that save send one in ten seconds or more.
const KEY_WAIT: Duration = Duration::from_secs(30);

/// How long a server may take to hear that we go: cameras have few sessions.
const FAREWELL: Duration = Duration::from_millis(250);

/// Where a camera of the network is, and who asks. Shown as server and port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspAddress {
    /// Without user and password.
    url: Url,
    user: Option<Credentials>,
}

impl RtspAddress {
    /// From `rtsp://camera.lan/stream`, or `rtsp://user:password@camera.lan/stream` with `%` before what has a meaning there.
    ///
    /// # Errors
    /// In words, without the address.
    pub fn parse(text: &str) -> Result<Self, String> {
        // `rtsp://admin:12#4@camera.lan/` is by the rules a server `admin`, and would be shown and asked for as one.
        let hint = if text.contains('@') { ESCAPES } else { "" };
        let text = text.trim();
        if text.contains(char::is_control) {
            return Err(format!("it is no address: it has a line break or another control character{hint}"));
        }
        let of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("rtsp") => {}
            Some("rtsps") => {
                return Err("it begins with rtsps://, and encrypted streams are not read; take rtsp://".into());
            }
            // It is not read: servers of other schemes have rules of their own, in a library that takes some for impossible.
            Some(other) if other.starts_with(|c: char| c.is_ascii_alphabetic()) && other.chars().all(of_scheme) => {
                return Err("it does not begin with rtsp://".into());
            }
            _ => {}
        }
        let mut url = Url::parse(text).map_err(|why| format!("it is no address: {why}{hint}"))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("it names no server".into());
        }
        if url.username().is_empty() && url[url::Position::AfterPort..].contains('@') {
            return Err(format!("it has an @ behind the server{ESCAPES}"));
        }
        let plain = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let user = (!url.username().is_empty()).then(|| Credentials {
            username: plain(url.username()),
            password: url.password().map(plain).unwrap_or_default(),
        });
        if user.is_none() && url.password().is_some() {
            return Err("it has a password and no user".into());
        }
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| "it can have no user")?;
        Ok(Self { url, user })
    }

    /// The same for this user.
    #[must_use]
    pub fn with_user(self, username: &str, password: &str) -> Self {
        let user = Some(Credentials { username: username.into(), password: password.into() });
        Self { user, ..self }
    }

    /// Whether it says who asks.
    pub const fn has_user(&self) -> bool {
        self.user.is_some()
    }

    /// The first line of a message, without what may be secret of this address.
    fn hide(&self, message: &str) -> String {
        let line = message.lines().next().unwrap_or_default();
        let path = self.url[url::Position::BeforePath..].to_owned();
        let password = self.user.as_ref().map_or("", |user| user.password.as_str());
        let is_secret = |word: &str| {
            word.contains("://")
                || (path.len() > 1 && word.contains(&path))
                || (!password.is_empty() && word.contains(password))
        };
        let words: Vec<&str> = line.split(' ').map(|word| if is_secret(word) { "(hidden)" } else { word }).collect();
        words.join(" ")
    }
}

impl fmt::Display for RtspAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rtsp://{}", &self.url[url::Position::BeforeHost..url::Position::AfterPort])
    }
}

impl fmt::Debug for RtspAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which camera of the network, and how long to wait for it.
#[derive(Clone, Debug)]
pub struct RtspConfig {
    /// Where it is.
    pub address: RtspAddress,
    /// The longest wait for the session, and for each picture.
    pub timeout: Duration,
    /// Set from elsewhere to end a wait within a tenth of a second.
    pub stop: Arc<AtomicBool>,
}

/// A session with a camera of the network, which sends pictures.
///
/// [`FrameSeq`] counts pictures that were damaged, and those that refer to them. After any error but
/// [`DriverError::BadPicture`] drop it and open it again.
pub struct Rtsp {
    address: RtspAddress,
    timeout: Duration,
    network: Network,
    /// There until the value is dropped.
    stream: Option<Demuxed>,
    sessions: Arc<SessionGroup>,
    /// Which of the server's streams.
    chosen: usize,
    pictures: Pictures,
    /// What comes refers to a picture that is not there, until one that stands alone.
    lacks_key: bool,
    first_us: Option<i64>,
    seq: u64,
}

enum Pictures {
    H264(Box<H264>),
    Jpeg(Picture),
}

impl fmt::Debug for Rtsp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rtsp").field("address", &self.address).field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// Why no session came to be.
enum Refusal {
    Rtsp(retina::Error),
    Words(String),
}

impl From<retina::Error> for Refusal {
    fn from(error: retina::Error) -> Self {
        Self::Rtsp(error)
    }
}

impl Rtsp {
    /// Asks for the server's first stream of pictures that we read.
    ///
    /// # Errors
    /// The server does not answer in time, refuses, or has no such stream.
    pub fn open(config: &RtspConfig) -> Result<Self, DriverError> {
        let RtspConfig { address, timeout, stop } = config.clone();
        let network = Network::new(stop).map_err(|error| failed(&address, &error.to_string()))?;
        let sessions = Arc::new(SessionGroup::default());
        let opened = guarded(|| network.wait(Instant::now() + timeout, connect(&address, &sessions)));
        let (chosen, stream) = match opened.map_err(|why| failed(&address, why))? {
            None => return Err(timed_out(&address, timeout)),
            Some(Err(Refusal::Rtsp(error))) => return Err(explain(&address, &error)),
            Some(Err(Refusal::Words(why))) => return Err(failed(&address, &why)),
            Some(Ok(opened)) => opened,
        };
        let pictures = if stream.streams()[chosen].encoding_name() == "jpeg" {
            let (range, matrix) = (PixelRange::Full, ColorMatrix::Bt601);
            Pictures::Jpeg(Picture {
                layout: Layout::Jpeg,
                size_px: SizePx::default(),
                range,
                matrix,
                bytes: Vec::new(),
            })
        } else {
            let decoder = H264::new(None, None).map_err(|why| failed(&address, &why))?;
            Pictures::H264(Box::new(decoder))
        };
        let (stream, first_us, seq) = (Some(stream), None, 0);
        let mut rtsp =
            Self { address, timeout, network, stream, sessions, chosen, pictures, lacks_key: true, first_us, seq };
        rtsp.learn()?;
        Ok(rtsp)
    }

    /// Looks at the stream's parameters, as far as the server has told them.
    fn learn(&mut self) -> Result<(), DriverError> {
        let (Pictures::H264(_), Some(stream)) = (&self.pictures, &self.stream) else { return Ok(()) };
        let Some(ParametersRef::Video(parameters)) = stream.streams()[self.chosen].parameters() else { return Ok(()) };
        // As `FrameFormat::SIMPLE` has them: with start codes, and not as MP4 does.
        let sps = Sps::find(parameters.extra_data());
        sps.map_or(Ok(()), |sps| self.heed(&sps))
    }

    /// Takes the stream as it says it is, where it can be decoded.
    fn heed(&mut self, sps: &Sps) -> Result<(), DriverError> {
        let Pictures::H264(decoder) = &mut self.pictures else { return Ok(()) };
        if let Some(why) = beyond_openh264(sps) {
            return Err(failed(&self.address, &format!("{why}; choose another stream or setting of the camera")));
        }
        decoder.recolour(sps.range, sps.matrix);
        Ok(())
    }

    /// The next packet with a picture in it.
    fn receive(&mut self) -> Result<VideoFrame, DriverError> {
        let until = Instant::now() + self.timeout;
        let Some(stream) = &mut self.stream else { return Err(failed(&self.address, ENDED)) };
        loop {
            let next =
                guarded(|| self.network.wait(until, poll_fn(|context| Pin::new(&mut *stream).poll_next(context))));
            match next.map_err(|why| failed(&self.address, why))? {
                None => return Err(timed_out(&self.address, self.timeout)),
                Some(None) => return Err(failed(&self.address, ENDED)),
                Some(Some(Err(error))) => return Err(explain(&self.address, &error)),
                Some(Some(Ok(CodecItem::VideoFrame(frame)))) => return Ok(frame),
                Some(Some(Ok(_))) => {}
            }
        }
    }

    /// Fills the picture; gives its time.
    fn fill(&mut self) -> Result<i64, DriverError> {
        let asked = Instant::now();
        loop {
            let frame = self.receive()?;
            if frame.has_new_parameters() {
                self.learn()?;
            }
            if self.lacks_key && !frame.is_random_access_point() {
                self.seq += 1;
                if asked.elapsed() > KEY_WAIT {
                    return Err(timed_out(&self.address, KEY_WAIT));
                }
                continue;
            }
            if std::mem::take(&mut self.lacks_key)
                && let Some(sps) = Sps::find(frame.data())
            {
                // What the library cannot read of a description stands before each picture that stands alone.
                self.heed(&sps)?;
            }
            let stamp = frame.timestamp();
            let time_us = i128::from(stamp.elapsed()) * 1_000_000 / i128::from(stamp.clock_rate().get());
            match &mut self.pictures {
                Pictures::Jpeg(picture) => {
                    picture.size_px = size_of(frame.data());
                    picture.bytes = frame.into_data();
                    return Ok(time_us as i64);
                }
                Pictures::H264(decoder) => match decoder.decode(frame.data(), time_us as i64, true) {
                    Decoded::Picture(time_us) => return Ok(time_us),
                    Decoded::Nothing => {}
                    Decoded::Damaged => {
                        self.seq += 1;
                        self.lacks_key = true;
                        return Err(DriverError::BadPicture { why: "its H.264 is damaged".into() });
                    }
                },
            }
        }
    }
}

impl FrameSource for Rtsp {
    type Error = DriverError;

    /// Frames have the server's times, counted from the first. A stream that ends is an error: a camera has no end.
    fn next(&mut self) -> Result<Option<Frame<'_>>, DriverError> {
        let time_us = self.fill()?;
        let first_us = *self.first_us.get_or_insert(time_us);
        let captured_us = Micros(time_us.saturating_sub(first_us).max(0).cast_unsigned());
        let seq = FrameSeq(self.seq);
        self.seq += 1;
        let picture = match &self.pictures {
            Pictures::H264(decoder) => &decoder.picture,
            Pictures::Jpeg(picture) => picture,
        };
        Ok(Some(picture.lend(seq, captured_us)))
    }
}

impl Drop for Rtsp {
    /// Says goodbye, for a short while.
    fn drop(&mut self) {
        let (stream, sessions) = (self.stream.take(), Arc::clone(&self.sessions));
        self.network.wait(Instant::now() + FAREWELL, async move {
            // Where tasks can be started, for this starts one.
            drop(stream);
            sessions.await_teardown().await
        });
    }
}

const ENDED: &str = "it ended the stream";

/// A session that plays, and which of its streams.
async fn connect(address: &RtspAddress, sessions: &Arc<SessionGroup>) -> Result<(usize, Demuxed), Refusal> {
    let options = SessionOptions::default().creds(address.user.clone()).user_agent("Ocelli".into());
    let options = options.session_group(Arc::clone(sessions));
    let mut session = Session::describe(address.url.clone(), options).await?;
    let chosen = choose(session.streams()).map_err(Refusal::Words)?;
    let setup = SetupOptions::default().transport(Transport::default()).frame_format(FrameFormat::SIMPLE);
    session.setup(chosen, setup).await?;
    Ok((chosen, session.play(PlayOptions::default()).await?.demuxed()?))
}

/// The first stream of pictures that we read.
fn choose(streams: &[Stream]) -> Result<usize, String> {
    let video = || streams.iter().enumerate().filter(|(_, stream)| stream.media() == "video");
    if let Some((chosen, _)) = video().find(|(_, stream)| matches!(stream.encoding_name(), "h264" | "jpeg")) {
        return Ok(chosen);
    }
    Err(match video().next() {
        None => "it has no stream of pictures".into(),
        Some((_, stream)) => format!(
            "its pictures are in {}; choose H.264 or MJPEG in the camera's settings, or its second stream",
            stream.encoding_name().to_uppercase()
        ),
    })
}

/// What a server sends must not end the program: sdp-types 0.1 panics at a description with a line that is none before its
/// medium.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, &'static str> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "it sends what cannot be understood")
}

fn failed(address: &RtspAddress, why: &str) -> DriverError {
    DriverError::Network { from: address.to_string(), why: why.into() }
}

fn timed_out(address: &RtspAddress, waited: Duration) -> DriverError {
    DriverError::Timeout { from: address.to_string(), waited_ms: waited.as_millis() as u64 }
}

/// What an error of a session means.
fn explain(address: &RtspAddress, error: &retina::Error) -> DriverError {
    let why = match (error.status_code(), address.has_user()) {
        (Some(401), false) => {
            "it wants a user and a password (rtsp_username and rtsp_password_file of [camera])".into()
        }
        (Some(401), true) => "it refuses this user and password".into(),
        (Some(403), _) => "it forbids this stream to this user".into(),
        (Some(404), _) => "it has no such stream; check the path of the address".into(),
        (Some(status @ (453 | 503)), _) => format!("it cannot give this stream now ({status})"),
        _ => {
            let why = address.hide(&error.to_string());
            let advice = host_advice(address.url.host_str().unwrap_or_default(), &why);
            why + advice
        }
    };
    failed(address, &why)
}

/// Waits for the network in the thread that asks.
struct Network {
    /// There until the value is dropped.
    runtime: Option<Runtime>,
    stop: Arc<AtomicBool>,
}

impl Network {
    fn new(stop: Arc<AtomicBool>) -> std::io::Result<Self> {
        let mut runtime = Builder::new_current_thread();
        runtime.enable_all().thread_name("resolver").thread_stack_size(RESOLVER_STACK_BYTES).max_blocking_threads(1);
        Ok(Self { runtime: Some(runtime.thread_keep_alive(SLICE).build()?), stop })
    }

    /// What the work comes to; `None` if it takes longer or the program is to stop.
    fn wait<T>(&self, until: Instant, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.as_ref()?.block_on(async {
            let mut work = pin!(work);
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() || self.stop.load(Ordering::Relaxed) {
                    return None;
                }
                if let Ok(done) = tokio::time::timeout(left.min(SLICE), work.as_mut()).await {
                    return Some(done);
                }
            }
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name that is being looked up is not waited for.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_an_address_that_shows_no_secret_or_none(
            text in "(rtsp://)?(vera:hunter2@)?[a-z0-9.:\\[\\]%@/?#-]{0,20}(/hunter2)?(\\?key=hunter2)?|.*",
        ) {
            match RtspAddress::parse(&text) {
                // A server may be called anything.
                Ok(address) if address.url.host_str().is_some_and(|host| host.contains("hunter2")) => {}
                Ok(address) => {
                    let shown = [address.to_string(), format!("{address:?}")].concat();
                    prop_assert!(!shown.contains("hunter2"));
                }
                Err(why) => prop_assert!(!why.contains("hunter2")),
            }
        }
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        let text = "rtsp://admin:p%40ss%20word@camera.lan:8554/user=admin&password=hunter2/1?token=abc";
        let address = RtspAddress::parse(text).expect("it is one");
        assert_eq!((address.to_string(), format!("{address:?}")), {
            let shown = "rtsp://camera.lan:8554".to_owned();
            (shown.clone(), shown)
        });
        let user = address.user.clone().expect("it has one");
        assert_eq!((user.username.as_str(), user.password.as_str()), ("admin", "p@ss word"));
        assert_eq!(address.url.as_str(), "rtsp://camera.lan:8554/user=admin&password=hunter2/1?token=abc");
        let plain = RtspAddress::parse("rtsp://[fe80::1]/a").expect("it is one");
        assert!(plain.to_string() == "rtsp://[fe80::1]" && !plain.has_user());
        assert!(plain.with_user("vera", "x").has_user());
    }

    #[test]
    fn what_is_no_address_is_said_without_it() {
        for (text, said) in [
            ("camera.lan/hunter2", "it is no address"),
            ("http://camera.lan/hunter2", "it does not begin with rtsp://"),
            // Found by fuzzing: a server of a file.
            ("file:/\t/\tAM\u{200b}\t\t\t5", "control character"),
            ("file://AM\u{200b}5", "it does not begin with rtsp://"),
            ("rtsps://admin:hunter2@camera.lan/", "encrypted streams are not read"),
            ("rtsp:///hunter2", "it names no server"),
            ("rtsp://:hunter2@camera.lan/", "a password and no user"),
            ("rtsp://camera.lan:99999/hunter2", "it is no address"),
            ("rtsp://hunter2:1234#x@camera.lan/", "an @ behind the server; in a user or password write # as %23"),
            ("rtsp://hunter2:1234/x@camera.lan/", "write # as %23, / as %2F"),
            ("rtsp://hunter2:g?x@camera.lan/", "invalid port number; in a user or password write # as %23"),
        ] {
            let why = RtspAddress::parse(text).expect_err(text);
            assert!(why.contains(said) && !why.contains("hunter2"), "{text}: {why}");
        }
    }

    #[test]
    fn what_a_server_says_is_one_line_without_addresses_and_passwords() {
        let address = RtspAddress::parse("rtsp://admin:hunter2@camera.lan/live/secret?key=7").expect("it is one");
        let said = "bad base rtsp://camera.lan/x of /live/secret?key=7, not hunter2!\nconn: 1";
        assert_eq!(address.hide(said), "bad base (hidden) of (hidden) not (hidden)");
        let bare = RtspAddress::parse("rtsp://camera.lan/").expect("it is one");
        assert_eq!(bare.hide("read/write failed"), "read/write failed");
    }
}
