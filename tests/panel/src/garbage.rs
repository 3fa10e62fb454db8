//! A line on which garbage comes between all that is said.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ocelli_drivers::{PanelConfig, PanelReport, PanelSink};
use ocelli_link::{FRAME_BYTES, Level, Packet, Seeing, Status, ToPanel, encode};
use ocelli_types::{EventKind, Sink as _};
use serde_json::{Value, json};

use crate::build::{Board, Build, build};
use crate::emulator::Emulator;
use crate::event;

/// Frames of garbage before each frame that is said.
const BETWEEN: u64 = 10;

/// The longest that a board may take for its garbage.
const MOST: Duration = Duration::from_mins(20);

/// What a board came through.
#[derive(Clone, Copy, Debug)]
pub struct Survived {
    /// Frames of garbage.
    pub garbage: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// Of the driver's frames those that went between.
    pub said: u64,
    /// Heartbeats that were sent, and were taken.
    pub beats: (u64, u32),
    /// How often the board began anew.
    pub resets: u64,
    /// What the board said last.
    pub status: Status,
    /// How long it took.
    pub took: Duration,
}

impl Survived {
    /// As it is written into a report.
    pub fn report(&self, board: &Board) -> Value {
        let counts = self.status.counts;
        json!({
            "board": board.name,
            "garbage_frames": self.garbage,
            "garbage_bytes": self.bytes,
            "frames_between": self.said,
            "heartbeats_sent": self.beats.0,
            "heartbeats_taken": self.beats.1,
            "resets": self.resets,
            "refused": {
                "damaged": counts.damaged,
                "overlong": counts.overlong,
                "unknown": counts.unknown,
                "replayed": counts.replayed,
                "lost_bytes": counts.lost_bytes,
            },
            "stack_left_bytes": self.status.stack_left,
            "seconds": (self.took.as_secs_f64() * 10.0).round() / 10.0,
        })
    }
}

/// Sends so many frames of garbage to a board, between heartbeats of the runtime's own driver.
///
/// # Errors
/// A heartbeat was lost, the board was reset, was ever silent, or took something that nobody said.
pub fn survive(board: &Board, frames: u64) -> Result<Survived> {
    let elf = build(board, Build::Emulator)?;
    let emulator = Emulator::start(board, &elf)?;
    let line = Line::start(&emulator.line(), frames)?;
    let config = PanelConfig {
        beat_every: Duration::from_millis(1),
        beat_for: Duration::from_secs(2),
        silent_after: Duration::from_mins(1),
        ..PanelConfig::new(&line.path)
    };
    let start = Instant::now();
    let mut sink = PanelSink::start(config)?;
    sink.emit(&event(EventKind::Narration, 1, "a person comes in"))?;
    let mut session = None;
    while line.count(&line.counts.garbage) < frames {
        ensure!(start.elapsed() < MOST, "it takes too long: {:?}", sink.report());
        sink.alive();
        thread::sleep(Duration::from_millis(50));
        if let Some(status) = sink.report().status {
            let first = *session.get_or_insert(status.session);
            ensure!(status.session == first, "the board was reset");
            ensure!(status.seeing != Seeing::Silent, "heartbeats did not come through");
        }
    }
    // Heartbeats end, and what is on its way arrives.
    let until = Instant::now() + Duration::from_mins(1);
    let (report, status) = loop {
        thread::sleep(Duration::from_millis(100));
        let report: PanelReport = sink.report();
        match report.status {
            Some(status) if u64::from(status.beats) == report.beats && settled(&sink, report) => {
                break (report, status);
            }
            _ if Instant::now() > until => bail!("heartbeats were lost: {report:?}"),
            _ => {}
        }
    };
    ensure!(Some(status.session) == session && report.opened == 1, "the board was reset, or the line opened anew");
    let begun = emulator.log().iter().filter(|line| line.contains("session")).count();
    ensure!(begun == 1, "the board began {begun} times: {:?}", emulator.log());
    ensure!(status.open == 0 && status.presses == 0, "it took something that nobody said: {status:?}");
    let counts = status.counts;
    ensure!(counts.lost_bytes == 0, "it had no room for some: {status:?}");
    ensure!(counts.damaged > 0 && counts.overlong > 0 && counts.replayed > 0, "garbage was of no kind: {status:?}");
    Ok(Survived {
        garbage: line.count(&line.counts.garbage),
        bytes: line.count(&line.counts.bytes),
        said: line.count(&line.counts.said),
        beats: (report.beats, status.beats),
        resets: begun as u64 - 1,
        status,
        took: start.elapsed(),
    })
}

/// Whether no heartbeat is on its way.
fn settled(sink: &PanelSink, before: PanelReport) -> bool {
    thread::sleep(Duration::from_millis(2500));
    let now = sink.report();
    now.beats == before.beats && now.status.is_some_and(|status| u64::from(status.beats) == now.beats)
}

#[derive(Debug, Default)]
struct Counts {
    garbage: AtomicU64,
    bytes: AtomicU64,
    said: AtomicU64,
}

/// Stands between a driver and a board.
struct Line {
    path: PathBuf,
    counts: Arc<Counts>,
    _folder: tempfile::TempDir,
}

impl Line {
    fn start(board: &Path, frames: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("line");
        let listener = UnixListener::bind(&path)?;
        let to_board = UnixStream::connect(board).context("the board's line")?;
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        thread::spawn(move || -> io::Result<()> {
            let (driver, _) = listener.accept()?;
            let (mut from_board, mut to_driver) = (to_board.try_clone()?, driver.try_clone()?);
            thread::spawn(move || io::copy(&mut from_board, &mut to_driver));
            spoil(driver, to_board, frames, &counted)
        });
        Ok(Self { path, counts, _folder: folder })
    }

    fn count(&self, of: &AtomicU64) -> u64 {
        let _ = self;
        of.load(Relaxed)
    }
}

/// Puts garbage before each of the driver's frames, until there were enough.
fn spoil(mut driver: UnixStream, mut board: UnixStream, frames: u64, counts: &Counts) -> io::Result<()> {
    let mut garbage = Garbage { state: 0x9e37_79b9_7f4a_7c15, past: Vec::new() };
    let (mut frame, mut bytes) = (Vec::new(), [0; 512]);
    loop {
        let count = driver.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        for byte in &bytes[..count] {
            frame.push(*byte);
            // A zero at its begin, and one at its end.
            if *byte != 0 || frame.len() == 1 {
                continue;
            }
            for _ in 0..BETWEEN.min(frames - counts.garbage.load(Relaxed)) {
                let noise = garbage.next();
                board.write_all(&noise)?;
                counts.bytes.fetch_add(noise.len() as u64, Relaxed);
                counts.garbage.fetch_add(1, Relaxed);
            }
            board.write_all(&frame)?;
            counts.said.fetch_add(1, Relaxed);
            garbage.remember(&frame);
            frame.clear();
        }
    }
}

/// A source of garbage that is the same each time.
struct Garbage {
    state: u64,
    /// Frames that were said.
    past: Vec<Vec<u8>>,
}

impl Garbage {
    fn random(&mut self, below: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % below as u64) as usize
    }

    fn remember(&mut self, frame: &[u8]) {
        if self.past.len() == 64 {
            let place = self.random(64);
            self.past.swap_remove(place);
        }
        self.past.push(frame.to_vec());
    }

    fn noise(&mut self, least: usize, most: usize) -> Vec<u8> {
        let length = least + self.random(most - least);
        (0..length).map(|_| self.random(256) as u8).collect()
    }

    fn next(&mut self) -> Vec<u8> {
        let place = if self.past.is_empty() { None } else { Some(self.random(self.past.len())) };
        let past = place.map(|place| self.past[place].clone());
        match (self.random(100), past) {
            // As it was said.
            (0..15, Some(past)) => past,
            // A bit of it is wrong.
            (15..30, Some(mut past)) => {
                let (place, bit) = (1 + self.random(past.len() - 2), self.random(8));
                past[place] ^= 1 << bit;
                past
            }
            // Its end is missing, and what follows belongs to nothing.
            (30..45, Some(mut past)) => {
                past.truncate(1 + self.random(past.len() - 1));
                past
            }
            // Whole, and for another panel: an alarm, the end, a heartbeat.
            (47..57, _) => {
                let (session, mut frame) = (self.random(1 << 32) as u32, [0; FRAME_BYTES]);
                let alarm = ToPanel::Tell { level: Level::Alarm, id: 77, age_s: 0, text: "of another panel" };
                let message = [alarm, ToPanel::Bye, ToPanel::Beat][self.random(3)];
                let packet = Packet { session, number: u32::MAX, message };
                encode(&packet, &mut frame).expect("it fits").to_vec()
            }
            // Longer than any can be, without an end.
            (45..47, _) => {
                let length = FRAME_BYTES + 1 + self.random(400);
                let long = (0..length).map(|_| 1 + self.random(255) as u8).collect::<Vec<u8>>();
                [long, vec![0]].concat()
            }
            _ => self.noise(1, 32),
        }
    }
}
