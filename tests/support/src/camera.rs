//! A camera that plays a script.

use std::collections::VecDeque;

use ocelli_types::{Clock, Fault, Frame, FrameSeq, FrameSource, Micros, Pixels, SizePx};
use ocelli_types::{ColorMatrix, PixelRange};

use crate::{FakeError, SimClock};

/// Plays pictures, gaps and failures in the order in which they were scripted, and then ends.
///
/// Stricter than a camera: after an error that asks for it, it must be reopened before the next frame; and after the
/// end or an error that says stop it must be left alone.
///
/// ```
/// use ocelli_testkit::{ScriptedCamera, SimClock};
/// use ocelli_types::{Clock, Fault, FrameSeq, FrameSource, Micros, SizePx};
///
/// let clock = SimClock::new();
/// let mut camera = ScriptedCamera::new(SizePx::new(4, 2), 5.0)
///     .on(&clock)
///     .grey(100, 2)               // two grey frames
///     .loses(3)                   // three never arrive
///     .fails(Fault::Reopen)       // and the cable is pulled
///     .picture(vec![7; 4 * 2 * 3], 1);
///
/// assert_eq!(camera.next().unwrap().unwrap().seq, FrameSeq(0));
/// camera.next().unwrap();
/// assert!(camera.next().is_err());
/// camera.reopen();
/// let frame = camera.next().unwrap().unwrap();
/// assert_eq!((frame.seq, frame.captured_us), (FrameSeq(5), Micros(1_000_000)));
/// assert_eq!(clock.now(), Micros(1_000_000)); // it waited for the frame
/// assert!(camera.next().unwrap().is_none());
/// ```
#[derive(Debug)]
pub struct ScriptedCamera {
    size_px: SizePx,
    period_us: u64,
    clock: Option<SimClock>,
    script: VecDeque<Scene>,
    /// The picture being lent, packed RGB.
    picture: Vec<u8>,
    next_seq: u64,
    calls: u64,
    state: State,
}

#[derive(Debug)]
enum Scene {
    Picture { rgb: Vec<u8>, frames: u64 },
    Lost { frames: u64 },
    Failure(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    WantsReopen,
    Over,
}

impl ScriptedCamera {
    /// A camera of `size_px` and `fps` frames a second, with an empty script.
    ///
    /// # Panics
    /// If `fps` is not a positive number.
    pub fn new(size_px: SizePx, fps: f64) -> Self {
        assert!(fps.is_finite() && fps > 0.0, "a camera needs a frame rate, not {fps}");
        Self {
            size_px,
            period_us: Micros::from_seconds(1.0 / fps).0,
            clock: None,
            script: VecDeque::new(),
            picture: Vec::new(),
            next_seq: 0,
            calls: 0,
            state: State::Open,
        }
    }

    /// Moves the hands of `clock` to each frame's capture time, as waiting for it would.
    #[must_use]
    pub fn on(mut self, clock: &SimClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Plays a picture, packed RGB `[height][width][3]`, for so many frames.
    ///
    /// # Panics
    /// If the picture is not of the camera's size.
    #[must_use]
    pub fn picture(mut self, rgb: Vec<u8>, frames: u64) -> Self {
        assert_eq!(rgb.len() as u64, self.size_px.area() * 3, "a picture should be {} in RGB", self.size_px);
        self.script.push_back(Scene::Picture { rgb, frames });
        self
    }

    /// Plays a grey picture of one level for so many frames.
    #[must_use]
    pub fn grey(self, level: u8, frames: u64) -> Self {
        let bytes = self.size_px.area() as usize * 3;
        self.picture(vec![level; bytes], frames)
    }

    /// Loses so many frames: their numbers and their time pass.
    #[must_use]
    pub fn loses(mut self, frames: u64) -> Self {
        self.script.push_back(Scene::Lost { frames });
        self
    }

    /// Fails once.
    #[must_use]
    pub fn fails(mut self, fault: Fault) -> Self {
        self.script.push_back(Scene::Failure(fault));
        self
    }

    /// Opens it again, as the loop does after [`Fault::Reopen`].
    ///
    /// # Panics
    /// If it did not ask for that.
    pub fn reopen(&mut self) {
        assert_eq!(self.state, State::WantsReopen, "only a camera that failed should be reopened");
        self.state = State::Open;
    }

    /// Calls of `next` so far.
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    fn fail(&mut self, fault: Fault) -> FakeError {
        self.state = match fault {
            Fault::Retry => State::Open,
            Fault::Reopen => State::WantsReopen,
            Fault::Stop => State::Over,
        };
        FakeError { who: "the camera", call: self.calls, fault }
    }

    fn lend(&mut self) -> Frame<'_> {
        let captured_us = Micros(self.next_seq * self.period_us);
        let seq = FrameSeq(self.next_seq);
        self.next_seq += 1;
        if let Some(clock) = &self.clock {
            // The loop may be late; a camera does not turn the time back.
            clock.advance(captured_us.since(clock.now()));
        }
        Frame {
            pixels: Pixels::Rgb { data: &self.picture, stride: self.size_px.width * 3 },
            size_px: self.size_px,
            range: PixelRange::Full,
            matrix: ColorMatrix::Bt601,
            seq,
            captured_us,
        }
    }
}

impl FrameSource for ScriptedCamera {
    type Error = FakeError;

    fn next(&mut self) -> Result<Option<Frame<'_>>, FakeError> {
        self.calls += 1;
        assert_ne!(self.state, State::Over, "nothing should be asked of a camera after its end");
        assert_ne!(self.state, State::WantsReopen, "a camera that failed should be reopened first");
        loop {
            match self.script.pop_front() {
                Some(Scene::Picture { frames: 0, .. }) => {}
                Some(Scene::Picture { rgb, frames }) => {
                    self.picture.clone_from(&rgb);
                    self.script.push_front(Scene::Picture { rgb, frames: frames - 1 });
                    return Ok(Some(self.lend()));
                }
                Some(Scene::Lost { frames }) => self.next_seq += frames,
                Some(Scene::Failure(fault)) => return Err(self.fail(fault)),
                None => {
                    self.state = State::Over;
                    return Ok(None);
                }
            }
        }
    }
}
