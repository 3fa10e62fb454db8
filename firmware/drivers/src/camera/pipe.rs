//! Frames from the standard output of a command: an IP camera through ffmpeg, a Pi camera through its own tool.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ocelli_types::{Frame, FrameSeq, FrameSource, Micros, PixelRange, SizePx};

use super::mjpeg::{Found, Mjpeg, size_of};
use super::planes::{Layout, Picture, usual_matrix};
use super::y4m::{Refusal, Y4m};
use crate::DriverError;
use crate::fit::MAX_AREA;

/// Longest line of standard error that is kept.
const MAX_STDERR_LINE_BYTES: u64 = 400;

/// How often a wait looks whether it should stop.
const SLICE: Duration = Duration::from_millis(100);

/// How long to listen after the end of a command.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Stack of the thread that hears standard error; it reads lines, and touches 8 KiB by smaps.
const LISTENER_STACK_BYTES: usize = 128 << 10;

/// How commands leave the limits that hold this program.
static RELEASE: OnceLock<Release> = OnceLock::new();

/// What holds this program, and is not meant for the commands that it starts: limits are inherited.
#[derive(Debug, Default)]
pub struct Release {
    /// `cgroup.procs` of the group that commands move to.
    pub cgroup: Option<File>,
    /// Soft limit of `RLIMIT_DATA` that they get back.
    pub data_limit: Option<u64>,
}

/// Lets every command that is started from now on leave the limits of this program. The first call counts.
pub fn release_commands(release: Release) {
    RELEASE.get_or_init(|| release);
}

/// Lets a command leave the limits of this program when it starts, where [`release_commands`] said how.
pub fn released(command: &mut Command) {
    if let Some(release) = RELEASE.get() {
        // SAFETY: `leave` makes system calls and nothing else, as must be after a fork of a program with threads.
        unsafe { command.pre_exec(|| release.leave()) };
    }
}

impl Release {
    /// Done by a child between fork and exec, where nothing may be allocated.
    fn leave(&self) -> io::Result<()> {
        if let Some(soft) = self.data_limit {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: `limit` is a live rlimit that the first call fills and the second one reads.
            let set = unsafe {
                libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit);
                limit.rlim_cur = soft;
                libc::setrlimit(libc::RLIMIT_DATA, &raw const limit)
            };
            if set != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // Zero is the process that writes.
        self.cgroup.as_ref().map_or(Ok(()), |mut procs| procs.write_all(b"0"))
    }
}

/// What the command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeFormat {
    /// YUV4MPEG2, which names its own size.
    Y4m,
    /// JPEG pictures one after the other.
    Mjpeg,
    /// Planar 4:2:0 pictures of this size.
    I420(SizePx),
    /// Packed 4:2:2 pictures of this size.
    Yuyv(SizePx),
    /// Packed red, green, blue of this size.
    Rgb(SizePx),
}

/// Which command to run, and what it writes.
#[derive(Clone, Debug)]
pub struct PipeConfig {
    /// Given to `sh -c`.
    pub command: String,
    /// What comes out of it.
    pub format: PipeFormat,
    /// The longest wait for a picture.
    pub timeout: Duration,
    /// Set from elsewhere to end a wait within a tenth of a second.
    pub stop: Arc<AtomicBool>,
}

impl PipeConfig {
    /// The command, as others may be told of it: its program, for in the rest may be an address with a password in it.
    pub fn program(&self) -> String {
        let mut words = self.command.split_whitespace().skip_while(|word| word.contains('='));
        let Some(program) = words.next().filter(|program| !program.contains("://")) else { return "...".into() };
        let program = program.rsplit('/').next().unwrap_or(program);
        if words.next().is_some() { format!("{program} ...") } else { program.into() }
    }
}

/// What a command said, without what may be secret in an address: of each its server stays.
fn without_secrets(line: &str) -> String {
    let Some((before, rest)) = line.split_once("://") else { return line.into() };
    // What stands before an @ may be a user and a password, with whatever in them that should not be. ffmpeg's own stand apart.
    let mut parts = rest.rmatch_indices('@').map(|(at, _)| &rest[at + 1..]);
    let place = parts.find(|part| !part.starts_with(' ')).unwrap_or(rest);
    let end = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '<' | '>');
    let (address, after) = place.split_at(place.find(end).unwrap_or(place.len()));
    let server = address.split(['/', '?', '#']).next().unwrap_or_default();
    let cut = if server.len() == address.len() { "" } else { "/..." };
    let colon = if cut.is_empty() || !address.ends_with(':') { "" } else { ":" };
    format!("{before}://{server}{cut}{colon}{}", without_secrets(after))
}

/// A running command; it and its process group end with this value.
#[derive(Debug)]
pub struct Pipe {
    pictures: Pictures,
    process: Process,
    first: Option<Instant>,
    seq: u64,
}

#[derive(Debug)]
enum Pictures {
    /// The header comes with the first picture.
    Y4mSoon(Option<Output>),
    Y4m(Y4m<BufReader<Output>>),
    Mjpeg(Mjpeg<Output>, Picture),
    Raw(Output, Picture),
}

impl Pipe {
    /// Starts the command.
    ///
    /// # Errors
    /// No shell could be started, or the size is too large.
    pub fn open(config: &PipeConfig) -> Result<Self, DriverError> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&config.command);
        let stop = Arc::clone(&config.stop);
        let (process, output) = Process::start(shell, config.program(), config.timeout, stop)?;
        let pictures = match config.format {
            PipeFormat::Y4m => Pictures::Y4mSoon(Some(output)),
            PipeFormat::Mjpeg => Pictures::Mjpeg(Mjpeg::new(output), blank(Layout::Jpeg, SizePx::default())?),
            PipeFormat::I420(size_px) => Pictures::Raw(output, blank(Layout::I420, size_px)?),
            PipeFormat::Yuyv(size_px) => Pictures::Raw(output, blank(Layout::Yuyv, size_px)?),
            PipeFormat::Rgb(size_px) => Pictures::Raw(output, blank(Layout::Rgb, size_px)?),
        };
        Ok(Self { pictures, process, first: None, seq: 0 })
    }

    /// Fills the picture; `false` at a clean end.
    fn fill(&mut self) -> Result<bool, Refusal> {
        if let Pictures::Y4mSoon(output) = &mut self.pictures {
            let Some(output) = output.take() else { return Ok(false) };
            match Y4m::open(BufReader::new(output)) {
                Ok(clip) => self.pictures = Pictures::Y4m(clip),
                Err(Refusal::Cut) => return Ok(false),
                Err(refusal) => return Err(refusal),
            }
        }
        match &mut self.pictures {
            Pictures::Y4mSoon(_) => Ok(false),
            Pictures::Y4m(clip) => Ok(clip.next()?.is_some()),
            Pictures::Mjpeg(pictures, picture) => match pictures.next()? {
                Found::Picture => {
                    picture.size_px = size_of(pictures.picture());
                    picture.bytes.clear();
                    picture.bytes.extend_from_slice(pictures.picture());
                    Ok(true)
                }
                Found::End => Ok(false),
                Found::Cut => Err(Refusal::Cut),
            },
            Pictures::Raw(output, picture) => fill_whole(output, &mut picture.bytes),
        }
    }
}

impl FrameSource for Pipe {
    type Error = DriverError;

    /// Frames are dated by their arrival, counted from the first.
    fn next(&mut self) -> Result<Option<Frame<'_>>, DriverError> {
        self.process.wait.restart();
        match self.fill() {
            Ok(true) => {}
            Ok(false) => return self.process.finish().map(|()| None),
            Err(refusal) => return Err(self.process.explain(refusal)),
        }
        let now = Instant::now();
        let captured_us = Micros(now.duration_since(*self.first.get_or_insert(now)).as_micros() as u64);
        let seq = FrameSeq(self.seq);
        self.seq += 1;
        let picture = match &self.pictures {
            Pictures::Y4m(clip) => &clip.picture,
            Pictures::Mjpeg(_, picture) | Pictures::Raw(_, picture) => picture,
            Pictures::Y4mSoon(_) => return Ok(None),
        };
        Ok(Some(picture.lend(seq, captured_us)))
    }
}

fn blank(layout: Layout, size_px: SizePx) -> Result<Picture, DriverError> {
    if size_px.area() > MAX_AREA {
        return Err(DriverError::TooLarge { size_px, limit: "8192x8192 pixels in all" });
    }
    let bytes = vec![0; layout.bytes(size_px) as usize];
    Ok(Picture { layout, size_px, range: PixelRange::Limited, matrix: usual_matrix(size_px), bytes })
}

fn fill_whole(input: &mut impl Read, bytes: &mut [u8]) -> Result<bool, Refusal> {
    let mut filled = 0;
    while filled < bytes.len() {
        match input.read(&mut bytes[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(Refusal::Cut),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(!bytes.is_empty())
}

/// A child process in a group of its own, with the last words of its standard error.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    name: String,
    last_words: Arc<Mutex<String>>,
    listener: Option<std::thread::JoinHandle<()>>,
    pub wait: Wait,
}

impl Process {
    /// Starts `command`, called `name` in messages; reads of the output give up `timeout` after the last restart of
    /// `wait`, or when `stop` is set.
    pub fn start(
        mut command: Command,
        name: String,
        timeout: Duration,
        stop: Arc<AtomicBool>,
    ) -> Result<(Self, Output), DriverError> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let failed = |why: io::Error| DriverError::Command { command: name.clone(), why: why.to_string() };
        released(&mut command);
        let mut child = command.spawn().map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let last_words = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&last_words);
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(failed(io::Error::other("it has no standard output")));
        };
        let listener = std::thread::Builder::new().name("listener".into()).stack_size(LISTENER_STACK_BYTES);
        let listener = listener.spawn(move || listen(stderr, &heard)).map_err(|why| {
            let _ = child.kill().and_then(|()| child.wait());
            failed(why)
        })?;
        let wait = Wait { since: Arc::new(Mutex::new(Instant::now())), timeout, stop };
        let process = Self { child, name, last_words, listener: Some(listener), wait: wait.clone() };
        Ok((process, Output { stdout, wait }))
    }

    /// Waits for the end of a command that closed its output.
    pub fn finish(&mut self) -> Result<(), DriverError> {
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.wait.left().is_none() => {
                    self.end();
                    return Err(self.timed_out());
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(self.failed(&error.to_string())),
            }
        };
        self.end();
        if status.success() { Ok(()) } else { Err(self.failed(&status.to_string())) }
    }

    /// What a stream that broke off means, in the command's own last words if it has any.
    pub fn explain(&mut self, refusal: Refusal) -> DriverError {
        match refusal {
            Refusal::Io(error) if error.kind() == io::ErrorKind::TimedOut => self.timed_out(),
            Refusal::Io(error) => self.failed(&error.to_string()),
            Refusal::TooLarge(size_px) => DriverError::TooLarge { size_px, limit: "8192x8192 pixels in all" },
            Refusal::Header(why) => self.failed(&format!("its output is not as announced: {why}")),
            Refusal::Cut => {
                self.end();
                self.failed("its output ends inside a picture")
            }
        }
    }

    fn timed_out(&self) -> DriverError {
        let waited_ms = self.wait.timeout.as_millis() as u64;
        DriverError::Timeout { from: format!("the command `{}`", self.name), waited_ms }
    }

    fn failed(&self, why: &str) -> DriverError {
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let why = if words.is_empty() { why.to_owned() } else { format!("{why}: {}", without_secrets(&words)) };
        DriverError::Command { command: self.name.clone(), why }
    }

    /// Ends what is left of the command and hears its last words; once, for its number may be given away after.
    fn end(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        if let Ok(group) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: `kill` has no effect on our memory, and the group is that of our child, which ended just now
            // or still runs.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
        let _ = self.child.wait();
        // A grandchild in a group of its own may hold standard error open; that is not worth hanging for.
        let patience = Instant::now() + LAST_WORDS;
        while !listener.is_finished() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Keeps the last line that is not blank.
fn listen(stderr: impl Read, heard: &Mutex<String>) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.by_ref().take(MAX_STDERR_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                if !text.trim().is_empty() {
                    text.trim().clone_into(&mut heard.lock().unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }
}

/// How long reads may go on.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    since: Arc<Mutex<Instant>>,
    timeout: Duration,
    stop: Arc<AtomicBool>,
}

impl Wait {
    /// The time begins anew: a new picture is waited for.
    pub fn restart(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// What is left of the time; `None` if it is over or the wait should stop.
    fn left(&self) -> Option<Duration> {
        let waited = self.since.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        self.timeout.checked_sub(waited).filter(|left| !left.is_zero() && !self.stop.load(Ordering::Relaxed))
    }
}

/// Standard output of a command; a read beyond the time of its [`Wait`] is an error of kind `TimedOut`, also while
/// bytes keep coming.
#[derive(Debug)]
pub(super) struct Output {
    stdout: ChildStdout,
    wait: Wait,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.wait.left().ok_or(io::ErrorKind::TimedOut)?.min(SLICE);
            let timeout_ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
            let mut poll = libc::pollfd { fd: self.stdout.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: `poll` is one live pollfd, as the count says, and the descriptor is open while `stdout` lives.
            match unsafe { libc::poll(&raw mut poll, 1, timeout_ms) } {
                0 => {}
                -1 => return Err(io::Error::last_os_error()),
                _ => return self.stdout.read(buffer),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_command_its_program_is_told() {
        for (command, told) in [
            ("ffmpeg -i rtsp://vera:hunter2@camera.lan/x -f mjpeg -; exit 1", "ffmpeg ..."),
            ("KEY=hunter2 OTHER=1 /usr/bin/camera --key hunter2", "camera ..."),
            ("cat", "cat"),
            ("rtsp://vera:hunter2@camera.lan/x", "..."),
            ("KEY=hunter2", "..."),
        ] {
            let format = PipeFormat::Y4m;
            let config = PipeConfig { command: command.into(), format, timeout: Duration::ZERO, stop: Arc::default() };
            assert_eq!(config.program(), told);
        }
    }

    #[test]
    fn of_what_a_command_said_the_servers_stay() {
        for (said, told) in [
            (
                "rtsp://vera:hunter2@camera.lan:554/x?key=7: Connection refused",
                "rtsp://camera.lan:554/...: Connection refused",
            ),
            ("rtsp://vera:hun/t er@2@camera.lan/x: no", "rtsp://camera.lan/...: no"),
            ("[tcp @ 0x55] tcp://127.0.0.1:9?timeout=0 failed", "[tcp @ 0x55] tcp://127.0.0.1:9/... failed"),
            ("http://a/key, then 'https://b?key' [in @ 0x5]", "http://a/... then 'https://b/...' [in @ 0x5]"),
            ("nothing here", "nothing here"),
        ] {
            assert_eq!(without_secrets(said), told);
        }
    }
}
