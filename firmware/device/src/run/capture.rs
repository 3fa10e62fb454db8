//! The capture thread: opens a source, reads it, gates it, and opens it again when it was lost.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ocelli_drivers::{
    Camera, CameraConfig, Clip, DriverError, Pipe, PipeConfig, Rtsp, RtspConfig, Source, SystemClock, list_cameras,
};
use ocelli_gateway::Canvas;
use ocelli_pipeline::PatchSlot;
use ocelli_types::{Clock, Fault, Faulty, FrameSource, Micros, Pixels, SizePx};

use super::{Counts, MOST_DELAY_US, Message, PATIENCE, Sent};
use crate::config::{CameraTable, ConfigError};
use crate::controls::Switches;
use crate::error::Error;
use crate::plan::Plan;
use crate::recording::Roll;
use crate::state::Reference;
use crate::thermal::Shared;
use crate::wiring::{Eye, Look};

/// First and longest wait before a lost source is opened again. A source that was back for less than the longest is
/// waited for twice as long the next time, so that a loose plug does not flood the log.
const FIRST_WAIT_US: u64 = 500_000;
const LONGEST_WAIT_US: u64 = 30_000_000;

/// Reasons of one loss that are told at most: some have numbers in them that differ each time.
const MOST_REASONS: usize = 4;

/// Damaged pictures in a row after which a source counts as lost: five seconds of those that the model would see.
const MOST_DAMAGED: u32 = 25;

/// Where pictures come from, and how to open it again.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Camera(CameraConfig),
    Pipe(PipeConfig),
    Rtsp(RtspConfig),
    Clip(PathBuf),
}

impl Wish {
    pub(super) fn new(clip: Option<&Path>, camera: &CameraTable, stop: &Arc<AtomicBool>) -> Result<Self, ConfigError> {
        if let Some(clip) = clip {
            return Ok(Self::Clip(clip.to_path_buf()));
        }
        if let Some(command) = &camera.command {
            let pipe = camera.pipe(command);
            return Ok(Self::Pipe(PipeConfig { stop: Arc::clone(stop), ..pipe }));
        }
        if let Some(rtsp) = camera.rtsp().map_err(ConfigError::Usage)? {
            return Ok(Self::Rtsp(RtspConfig { stop: Arc::clone(stop), ..rtsp }));
        }
        let first = || list_cameras().into_iter().find(|camera| camera.captures).map(|camera| camera.path);
        let device = camera.device.clone().or_else(first);
        let device = device.unwrap_or_else(|| Path::new("/dev/video0").to_path_buf());
        Ok(Self::Camera(camera.camera(&device)))
    }

    fn open(&self) -> Result<Source, DriverError> {
        match self {
            Self::Camera(config) => Camera::open(config).map(Source::Camera),
            Self::Pipe(config) => Pipe::open(config).map(Source::Pipe),
            Self::Rtsp(config) => Rtsp::open(config).map(Source::Rtsp),
            Self::Clip(path) => Clip::open(path).map(Source::Clip),
        }
    }

    /// Its name in messages.
    fn name(&self) -> String {
        match self {
            Self::Camera(config) => config.path.display().to_string(),
            Self::Pipe(config) => format!("the command `{}`", config.program()),
            Self::Rtsp(config) => config.address.to_string(),
            Self::Clip(path) => path.display().to_string(),
        }
    }

    /// A clip that ends badly is over; a camera or command may come back.
    fn may_return(&self) -> bool {
        !matches!(self, Self::Clip(_))
    }
}

pub(super) struct Capture {
    pub(super) camera: usize,
    pub(super) wish: Wish,
    pub(super) eye: Eye,
    /// Where the picture goes that a snapshot holds.
    pub(super) reference: Option<Reference>,
    /// Where the live view gets it.
    pub(super) canvas: Option<Arc<Canvas>>,
    /// Who records it.
    pub(super) roll: Option<Roll>,
    pub(super) slots: Receiver<PatchSlot>,
    pub(super) tell: SyncSender<Sent<PatchSlot>>,
    pub(super) stop: Arc<AtomicBool>,
    /// That of all cameras, with the pictures that they really give.
    pub(super) plan: Arc<Mutex<Plan>>,
    /// Cameras that gave a picture, or have not failed yet.
    pub(super) hopeful: Arc<AtomicUsize>,
    /// Whether there is no other camera.
    pub(super) alone: bool,
    /// Whether it is to watch.
    pub(super) switches: Arc<Switches>,
    /// The largest picture that the plan was asked about.
    pub(super) picture: SizePx,
    pub(super) clock: SystemClock,
    /// Stream time at the start.
    pub(super) start_us: Micros,
    /// That of all cameras.
    pub(super) pace: Shared,
    pub(super) damaged_in_a_row: u32,
    /// Stream time of the newest picture, once one could be read.
    pub(super) seen_us: Option<Micros>,
    /// Stream time of the last picture before a loss that lasts, or of the start.
    pub(super) lost_us: Option<Micros>,
    /// Why, as it was told of this loss.
    pub(super) reasons: Vec<String>,
    pub(super) counts: Counts,
    /// A slot whose picture was damaged, for the next picture.
    pub(super) spare: Option<PatchSlot>,
}

impl Capture {
    /// Until the stream ends or the think thread has gone; also gives what was counted since the last picture.
    pub(super) fn run(mut self) -> (Result<(), Error>, Counts) {
        let ended = self.keep_watching();
        if !self.alone && !self.stop.load(Ordering::Relaxed) {
            if ended.is_ok() {
                let why = format!("{} has ended, and is not opened again", self.wish.name());
                let _ = self.lose(why);
            } else {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
        (ended, self.counts)
    }

    /// A source that gives no first picture is an error, unless another camera gives one or may do so yet; one that is lost
    /// later is opened again, whatever the error says: what a camera answers while it comes back is no verdict.
    fn keep_watching(&mut self) -> Result<(), Error> {
        let mut wait_us = Micros(FIRST_WAIT_US);
        loop {
            let opened_us = self.clock.now();
            let error = match self.watch() {
                Err(Error::Source(error)) if !self.stop.load(Ordering::Relaxed) => error,
                Err(Error::Source(_)) => return Ok(()),
                done => return done,
            };
            if !self.wish.may_return() {
                return Err(error.into());
            }
            let why = format!("{error}; trying again");
            let heard = if self.lost_us.is_some() {
                self.lose_still(why)
            } else if self.seen_us.is_none() && self.hopeful.fetch_sub(1, Ordering::Relaxed) == 1 {
                return Err(error.into());
            } else {
                self.lose(why)
            };
            if !heard {
                return Ok(());
            }
            let seen_us = self.seen_us.unwrap_or(self.start_us);
            let at_us = self.clock.now().max(seen_us);
            if seen_us.since(opened_us) >= Micros(LONGEST_WAIT_US) {
                wait_us = Micros(FIRST_WAIT_US);
            }
            if !self.sleep_until(at_us + wait_us) {
                return Ok(());
            }
            wait_us = Micros(wait_us.0 * 2).min(Micros(LONGEST_WAIT_US));
            self.damaged_in_a_row = 0;
            self.eye.forget();
        }
    }

    /// Tells of a loss; `false` if nobody hears it.
    fn lose(&mut self, why: String) -> bool {
        let seen_us = self.seen_us.unwrap_or(self.start_us);
        let at_us = self.clock.now().max(seen_us);
        self.lost_us = Some(seen_us);
        self.reasons = vec![why.clone()];
        self.tell.send((self.camera, Message::Lost { seen_us, at_us, why })).is_ok()
    }

    /// Tells that it is still lost, where the reason is a new one, such as a password that does not hold any more at a camera that was
    /// unplugged; `false` if nobody hears it.
    fn lose_still(&mut self, why: String) -> bool {
        if self.reasons.len() >= MOST_REASONS || self.reasons.contains(&why) {
            return true;
        }
        self.reasons.push(why.clone());
        let at_us = self.clock.now().max(self.seen_us.unwrap_or(self.start_us));
        self.tell.send((self.camera, Message::StillLost { at_us, why })).is_ok()
    }

    /// Opens the source and watches it to its end or its loss.
    fn watch(&mut self) -> Result<(), Error> {
        let mut source = self.wish.open()?;
        if let Source::Clip(clip) = &source {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            *plan = plan.clone().with_index(clip.index_bytes());
            drop(plan);
            self.require(clip.size_px().unwrap_or(self.picture))?;
        }
        let (mut zero_us, mut next_seq) = (None, None);
        while !self.stop.load(Ordering::Relaxed) {
            let asked_us = self.clock.now();
            let frame = match source.next() {
                Ok(Some(frame)) => frame,
                Ok(None) if self.seen_us.is_none() => {
                    return Err(DriverError::NoPicture { from: self.wish.name() }.into());
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.bear(error)?;
                    continue;
                }
            };
            let now_us = self.clock.now();
            if self.switches.is_off(self.camera) {
                // What is seen after it is new to all.
                if self.lost_us.is_none() && !self.lose("it is switched off".into()) {
                    return Ok(());
                }
                self.eye.forget();
                next_seq = Some(frame.seq.0 + 1);
                continue;
            }
            self.counts.pictures += 1;
            self.counts.decode_us = now_us - asked_us;
            self.counts.lost += frame.seq.0.saturating_sub(next_seq.unwrap_or(frame.seq.0));
            next_seq = Some(frame.seq.0 + 1);
            let zero_us = zero_us.get_or_insert(now_us);
            let Some(captured_us) = self.date(frame.captured_us, zero_us, now_us) else { return Ok(()) };
            match self.require(frame.size_px) {
                // The header of one damaged JPEG may claim any size.
                Err(Error::Budget(over)) if self.seen_us.is_some() && matches!(frame.pixels, Pixels::Jpeg(_)) => {
                    self.bear(DriverError::BadPicture { why: over.to_string() })?;
                    continue;
                }
                planned => planned?,
            }
            self.eye.keep_pace(self.pace.get());
            if !self.eye.wants(captured_us) {
                self.seen_us = self.seen_us.map(|_| captured_us);
                continue;
            }
            let Some(mut slot) = self.spare.take().or_else(|| self.slots.try_recv().ok()) else {
                self.counts.late += 1;
                continue;
            };
            let look = match self.eye.look(&frame, captured_us, &mut slot, &self.clock) {
                Ok(look) => look,
                Err(error) => {
                    self.spare = Some(slot);
                    self.bear(error)?;
                    continue;
                }
            };
            self.show(&look);
            if let Some((roll, (pixels, content))) = self.roll.as_ref().zip(self.eye.reference()) {
                roll.offer(pixels, content, captured_us);
            }
            if let Some((canvas, (pixels, content))) = self.canvas.as_ref().zip(self.eye.reference()) {
                let batch = slot.batch();
                let content = [content.x0, content.x1, content.y0, content.y1].map(|at| at as u16);
                canvas.show(pixels, content, batch.sent.iter(), batch.kept.iter(), captured_us.0);
            }
            self.damaged_in_a_row = 0;
            let first = self.seen_us.replace(captured_us).is_none();
            if let Some(seen_us) = self.lost_us.take() {
                self.hopeful.fetch_add(usize::from(first), Ordering::Relaxed);
                if self.tell.send((self.camera, Message::Back { seen_us, at_us: captured_us })).is_err() {
                    return Ok(());
                }
            }
            let counts = std::mem::take(&mut self.counts);
            if self.tell.send((self.camera, Message::Picture { slot, look, captured_us, counts })).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Shares the picture with who saves it, each time that all of it was sent.
    fn show(&self, look: &Look) {
        let Some((shared, (pixels, content))) = self.reference.as_ref().zip(self.eye.reference()) else { return };
        if look.gate.sent as usize == self.eye.patches() {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (held, of) = shared.get_or_insert_with(|| (vec![0; pixels.len()], content));
            held.copy_from_slice(pixels);
            *of = content;
        }
    }

    /// Stream time of a picture; `None` if the program is to stop. `zero_us` is when this opening's time began.
    ///
    /// A clip brings its times and waits for them. A live picture is dated by its stamp, counted from the arrival of
    /// the first, as far as that is no later than now and not long before it: drivers stamp zeros and future times.
    fn date(&self, stamp_us: Micros, zero_us: &mut Micros, now_us: Micros) -> Option<Micros> {
        let seen_us = self.seen_us.unwrap_or_default();
        if !self.wish.may_return() {
            return self.sleep_until(*zero_us + stamp_us).then_some(stamp_us.max(seen_us));
        }
        let stamped_us = *zero_us + stamp_us;
        if stamped_us > now_us || now_us.since(stamped_us) > Micros(MOST_DELAY_US) {
            // Count anew from here, so that a clock that was set does no lasting harm.
            *zero_us = now_us.since(stamp_us);
            return Some(now_us.max(seen_us));
        }
        Some(stamped_us.max(seen_us))
    }

    /// Counts a damaged picture, unless there are too many or the error is another.
    fn bear(&mut self, error: DriverError) -> Result<(), Error> {
        if error.fault() != Fault::Retry {
            return Err(error.into());
        }
        self.counts.damaged += 1;
        self.damaged_in_a_row += 1;
        if self.wish.may_return() && self.damaged_in_a_row >= MOST_DAMAGED {
            return Err(error.into());
        }
        Ok(())
    }

    /// Whether the plan holds with pictures of this size.
    fn require(&mut self, picture: SizePx) -> Result<(), Error> {
        if picture.area() > self.picture.area() {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            let real = plan.with_picture(self.camera, picture);
            real.require()?;
            (*plan, self.picture) = (real, picture);
        }
        Ok(())
    }

    /// `false` if the program is to stop.
    fn sleep_until(&self, until_us: Micros) -> bool {
        loop {
            let left_us = until_us.since(self.clock.now());
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            if left_us == Micros(0) {
                return true;
            }
            thread::sleep(Duration::from_micros(left_us.0).min(PATIENCE));
        }
    }
}
