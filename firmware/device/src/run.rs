//! `ocelli run`: a camera, a command or a clip in real time, in two threads.
//!
//! The capture thread takes pictures as they come and never waits for the model: a picture that is due while both
//! slots are away is late, counted and left. The think thread (this one) owns models, memory and output.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use ocelli_drivers::{Camera, Clip, DriverError, Pipe, Source, SystemClock, list_cameras};
use ocelli_infer::{Narrator, Stab};
use ocelli_pipeline::{EventBuf, PatchSlot};
use ocelli_types::{Clock, EventKind, Fault, Faulty, FrameSource, Micros};

use crate::cli::RunArgs;
use crate::config::{Config, ConfigError};
use crate::error::Error;
use crate::plan::{Plan, SLOTS};
use crate::pulse::Pulse;
use crate::voice::Voice;
use crate::wiring::{self, Eye, Look};

/// How often the program tells how it is.
const PULSE_US: u64 = 60_000_000;

/// First and longest wait before a lost source is opened again.
const BACKOFF_MS: (u64, u64) = (500, 30_000);

/// How often a waiting thread looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where pictures come from, and how to open it again.
#[derive(Clone, Debug)]
enum Wish {
    Camera(ocelli_drivers::CameraConfig),
    Pipe(ocelli_drivers::PipeConfig),
    Clip(std::path::PathBuf),
}

impl Wish {
    fn new(args: &RunArgs, config: &Config) -> Self {
        if let Some(clip) = &args.clip {
            return Self::Clip(clip.clone());
        }
        if let Some(command) = &config.camera.command {
            return Self::Pipe(config.camera.pipe(command));
        }
        let first = || list_cameras().into_iter().find(|camera| camera.captures).map(|camera| camera.path);
        let device = config.camera.device.clone().or_else(first);
        let device = device.unwrap_or_else(|| Path::new("/dev/video0").to_path_buf());
        Self::Camera(config.camera.camera(&device))
    }

    fn open(&self) -> Result<Source, DriverError> {
        match self {
            Self::Camera(config) => Camera::open(config).map(Source::Camera),
            Self::Pipe(config) => Pipe::open(config).map(Source::Pipe),
            Self::Clip(path) => Clip::open(path).map(Source::Clip),
        }
    }

    /// A clip that ends badly is over; a camera or command may come back.
    fn may_return(&self) -> bool {
        !matches!(self, Self::Clip(_))
    }
}

/// From the capture thread to the think thread.
#[expect(clippy::large_enum_variant, reason = "pictures are nearly all that is sent, and the channel holds two")]
enum Message {
    Picture { slot: PatchSlot, look: Look, captured_us: Micros, counts: Counts },
    Lost { at_us: Micros, why: String },
    Back { lost_us: Micros, at_us: Micros },
}

/// What the capture thread counted since the last picture.
#[derive(Clone, Copy, Default)]
struct Counts {
    pictures: u64,
    late: u64,
    damaged: u64,
    lost: u64,
    decode_us: Micros,
}

/// Narrates until the clip ends, the time is over or somebody stops it.
pub fn command(args: &RunArgs) -> Result<(), Error> {
    let config = args.config()?;
    config.camera.check().map_err(ConfigError::Usage)?;
    let wish = Wish::new(args, &config);
    let pack = wiring::open_pack(&config.pack)?;
    let (stab, narrator) = (Stab::load(&pack)?, Narrator::load(&pack)?);
    Plan::new(config.memory_budget, &pack, &stab, &narrator, config.camera.size_px).require()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|source| Error::System { what: "to catch signals", source })?;
    }
    let start = wish.may_return().then(|| SystemClock::new().unix_ms());
    let voice = Voice::open(&config, start)?;
    let mind = wiring::mind(&pack, stab, narrator)?;

    let (give, slots) = sync_channel(SLOTS);
    for _ in 0..SLOTS {
        give.send(PatchSlot::new(pack.grid)).expect("the other end should be in this function");
    }
    let (tell, messages) = sync_channel(SLOTS);
    let capture = Capture {
        wish,
        eye: Eye::new(&pack)?,
        slots,
        tell,
        stop: Arc::clone(&stop),
        counts: Counts::default(),
        spare: None,
    };
    let capture = thread::Builder::new().name("capture".into()).spawn(move || capture.run());
    let capture = capture.map_err(|source| Error::System { what: "a thread", source })?;
    let mut think = Think { mind, voice, pack: &pack, pulse: Pulse::default(), pulse_us: Micros(0), now_us: Micros(0) };
    let thought = think.run(&messages, &give, &stop, args.seconds.map(Micros::from_seconds));
    // The capture thread may hang in a device that is silent; it is told, and not waited for longer than this.
    stop.store(true, Ordering::Relaxed);
    drop((messages, give));
    let until = SystemClock::new();
    while !capture.is_finished() && until.now() < Micros(1_000_000) {
        thread::sleep(Duration::from_millis(5));
    }
    eprintln!("ocelli: {}; {} events", think.pulse, think.voice.said());
    thought?;
    if capture.is_finished() {
        capture.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    Ok(())
}

struct Capture {
    wish: Wish,
    eye: Eye,
    slots: Receiver<PatchSlot>,
    tell: SyncSender<Message>,
    stop: Arc<AtomicBool>,
    counts: Counts,
    /// A slot whose picture was damaged, for the next picture.
    spare: Option<PatchSlot>,
}

impl Capture {
    /// Until the stream ends or the think thread has gone. A source that cannot be opened at the start is an error.
    fn run(mut self) -> Result<(), DriverError> {
        let clock = SystemClock::new();
        let mut source = self.wish.open()?;
        let mut base_us = Micros(0);
        let mut last_us = Micros(0);
        while !self.stop.load(Ordering::Relaxed) {
            let error = match self.watch(&mut source, &clock, base_us, &mut last_us) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.fault() == Fault::Stop || !self.wish.may_return() || last_us == Micros(0) {
                return Err(error);
            }
            drop(source);
            let lost_us = last_us;
            if self.tell.send(Message::Lost { at_us: lost_us, why: error.to_string() }).is_err() {
                return Ok(());
            }
            let Some(again) = self.reopen()? else { return Ok(()) };
            source = again;
            // Stream time goes on: what was not seen is a gap in it.
            base_us = clock.now().max(Micros(lost_us.0 + 1));
            self.eye.forget();
            if self.tell.send(Message::Back { lost_us, at_us: base_us }).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits longer after each failure; `None` if the program is to stop.
    fn reopen(&self) -> Result<Option<Source>, DriverError> {
        let mut wait_ms = BACKOFF_MS.0;
        loop {
            let clock = SystemClock::new();
            while clock.now() < Micros(wait_ms * 1000) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                thread::sleep(PATIENCE);
            }
            match self.wish.open() {
                Ok(source) => return Ok(Some(source)),
                Err(error) if error.fault() == Fault::Stop => return Err(error),
                Err(_) => wait_ms = (wait_ms * 2).min(BACKOFF_MS.1),
            }
        }
    }

    /// One opening of the source, to its end or its loss.
    fn watch(
        &mut self,
        source: &mut Source,
        clock: &SystemClock,
        base_us: Micros,
        last_us: &mut Micros,
    ) -> Result<(), DriverError> {
        let (start_us, mut next_seq) = (clock.now(), None);
        while !self.stop.load(Ordering::Relaxed) {
            let asked_us = clock.now();
            let frame = match source.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) if error.fault() == Fault::Retry => {
                    self.counts.damaged += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.counts.pictures += 1;
            self.counts.decode_us = clock.now() - asked_us;
            self.counts.lost += frame.seq.0.saturating_sub(next_seq.unwrap_or(frame.seq.0));
            next_seq = Some(frame.seq.0 + 1);
            if matches!(self.wish, Wish::Clip(_)) {
                clock.sleep((start_us + frame.captured_us).since(clock.now()));
            }
            let captured_us = base_us + frame.captured_us;
            *last_us = captured_us.max(Micros(1));
            if !self.eye.wants(captured_us) {
                continue;
            }
            let Some(mut slot) = self.spare.take().or_else(|| self.slots.try_recv().ok()) else {
                self.counts.late += 1;
                continue;
            };
            let look = match self.eye.look(&frame, captured_us, &mut slot, clock) {
                Ok(look) => look,
                Err(error) if error.fault() == Fault::Retry => {
                    self.counts.damaged += 1;
                    self.spare = Some(slot);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let counts = std::mem::take(&mut self.counts);
            if self.tell.send(Message::Picture { slot, look, captured_us, counts }).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

struct Think<'a> {
    mind: wiring::Mind,
    voice: Voice,
    pack: &'a ocelli_infer::Pack,
    pulse: Pulse,
    pulse_us: Micros,
    now_us: Micros,
}

impl Think<'_> {
    fn run(
        &mut self,
        messages: &Receiver<Message>,
        give: &SyncSender<PatchSlot>,
        stop: &AtomicBool,
        limit_us: Option<Micros>,
    ) -> Result<(), Error> {
        let (clock, mut events) = (SystemClock::new(), EventBuf::new());
        while !stop.load(Ordering::Relaxed) && limit_us.is_none_or(|limit| self.now_us.max(clock.now()) < limit) {
            match messages.recv_timeout(PATIENCE) {
                Ok(Message::Picture { slot, look, captured_us, counts }) => {
                    self.count(&look, counts);
                    self.now_us = captured_us;
                    let report = self.mind.step(&slot.batch(), &clock, &mut events)?;
                    self.pulse.thought(report.encode_us, report.describe_us);
                    // The capture thread may have ended with its stream: then nobody wants the slot.
                    let _ = give.try_send(slot);
                    for spoken in &events {
                        self.voice.say(spoken, &self.pack.vocabulary)?;
                    }
                }
                Ok(Message::Lost { at_us, why }) => {
                    self.now_us = at_us;
                    self.voice.tell(EventKind::Blind, (at_us, at_us), &why)?;
                }
                Ok(Message::Back { lost_us, at_us }) => {
                    self.now_us = at_us;
                    self.mind.encoder_mut().reset();
                    let text = format!("seeing again after {:.1} s", at_us.since(lost_us).seconds());
                    self.voice.tell(EventKind::Health, (lost_us, at_us), &text)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.now_us.since(self.pulse_us) >= Micros(PULSE_US) {
                let text = self.pulse.to_string();
                self.voice.tell(EventKind::Health, (self.pulse_us, self.now_us), &text)?;
                (self.pulse, self.pulse_us) = (Pulse::default(), self.now_us);
            }
        }
        Ok(())
    }

    fn count(&mut self, look: &Look, counts: Counts) {
        self.pulse.looked(look);
        self.pulse.pictures += counts.pictures;
        self.pulse.late += counts.late;
        self.pulse.damaged += counts.damaged;
        self.pulse.lost += counts.lost;
        self.pulse.decode.add(counts.decode_us);
    }
}
