//! The ports: small traits through which hardware, time and models come in. Each has a strict fake in the testkit.

use crate::{Event, Frame, MemoryView, Micros, PatchBatch};

/// What the loop does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Try the same call again.
    Retry,
    /// Close the device, wait, open it again; a `blind` event is due.
    Reopen,
    /// End the program.
    Stop,
}

/// An error that knows what to do about itself.
pub trait Faulty: core::fmt::Display {
    /// What the loop should do.
    fn fault(&self) -> Fault;
}

/// A camera, a clip or a pipe.
pub trait FrameSource {
    /// Why no frame came.
    type Error: Faulty;

    /// Waits for the next frame and lends it until the next call; `None` is the end of a clip.
    ///
    /// # Errors
    /// A device that timed out, vanished or sent what it should not; [`Faulty::fault`] says what to do.
    fn next(&mut self) -> Result<Option<Frame<'_>>, Self::Error>;
}

/// Time, so that a day of stream is a test of seconds.
pub trait Clock {
    /// Monotonic time since the clock was made.
    fn now(&self) -> Micros;
    /// Waits; a simulated clock only moves its hands.
    fn sleep(&self, duration: Micros);
    /// Milliseconds since 1970-01-01 UTC, for people.
    fn unix_ms(&self) -> u64;
}

/// Where an encoder writes the tokens of one frame.
#[derive(Debug)]
pub struct FrameTokens<'a> {
    /// Width of a token.
    pub width: usize,
    /// `[1 + windows][width]`: the frame token (Fr), then the windows row-major.
    pub values: &'a mut [f32],
}

/// The visual front end (STAB).
pub trait Encoder {
    /// Why a frame could not be encoded.
    type Error: Faulty;

    /// Takes the changed patches of one frame and writes all of that frame's tokens.
    ///
    /// # Errors
    /// The batch does not fit, and nothing has changed; or the model failed, and must be reset before it is used again.
    fn encode(&mut self, batch: &PatchBatch<'_>, tokens: &mut FrameTokens<'_>) -> Result<(), Self::Error>;
}

/// The language head.
pub trait Head {
    /// Why no answer came.
    type Error: Faulty;

    /// Looks at the memory and writes the probability of each vocabulary entry, `[entries]`, summing to 1.
    ///
    /// # Errors
    /// The model failed.
    fn describe(&mut self, view: &MemoryView<'_>, probabilities: &mut [f32]) -> Result<(), Self::Error>;

    /// How worth telling what was described last is; `None` for a head that does not say.
    fn worth(&self) -> Option<Worth> {
        None
    }

    /// How alike two entries are in what they mean, -1 to 1: the cosine of their embeddings. A head that has none knows an entry
    /// from all others.
    fn likeness(&self, entry: usize, other: usize) -> f32 {
        if entry == other { 1.0 } else { 0.0 }
    }
}

/// What a head finds of a picture, beside what it shows (`MMDuet`'s two heads, Wang et al. 2024): probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// That something began within the last second.
    pub informative: f32,
    /// That what goes on is worth telling.
    pub relevant: f32,
}

/// A place where events go. Slow sinks buffer inside themselves, bounded; the pipeline never waits for one.
pub trait Sink {
    /// Why an event could not be delivered.
    type Error: core::fmt::Display;

    /// Delivers one event.
    ///
    /// # Errors
    /// The event is lost to this sink; the caller counts it.
    fn emit(&mut self, event: &Event<'_>) -> Result<(), Self::Error>;
}

/// How hot the board is, and what it does about it by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heat {
    /// The hottest sensor that is looked at, in degrees Celsius; `None` where none could be read.
    pub celsius: Option<f32>,
    /// Whether the board slows its CPU down, because it is hot or because its power supply is weak.
    pub throttled: bool,
    /// Whether the power supply is too weak.
    pub undervoltage: bool,
}

/// The board's temperature and power.
pub trait Thermometer {
    /// Looks once. What cannot be read is not known, which is no error: a board has the sensors that it has.
    fn read(&mut self) -> Heat;
}
