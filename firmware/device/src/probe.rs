//! `ocelli probe`: a picture of a camera that is not among those that run, for the gateway's set-up. The program starts itself so, because
//! a decoder has memory of its own; what is secret of an address comes by standard input, where no list of processes shows it.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use ocelli_drivers::{Camera, DriverError, Rtsp, Source, Still, SystemClock};
use ocelli_types::{Clock, Fault, Faulty as _, Frame, FrameSource, Micros, SizePx};
use serde::{Deserialize, Serialize};

use crate::cli::ProbeArgs;
use crate::config::{CameraTable, ConfigError};
use crate::error::Error;
use crate::events::{self, rounded};
use crate::wiring::{self, Eye};

/// The longest that is read of standard input.
const MOST_BYTES: u64 = 64 << 10;

/// How long pictures are counted for.
const COUNTED: Duration = Duration::from_secs(2);

/// Damaged pictures before the first whole one, as of a stream that is joined between two that stand alone, and how long they are waited
/// through: others have questions meanwhile.
const MOST_DAMAGED: usize = 100;
const LONGEST: Micros = Micros(12_000_000);

/// What is told of a camera.
#[derive(Debug, Serialize, Deserialize)]
pub struct Probed {
    pub size_px: String,
    pub fps: f64,
    /// A picture as the model would get it, a JPEG in hexadecimal digits, where the config lets pictures be shown.
    pub jpeg: Option<String>,
}

impl Probed {
    /// The picture.
    pub fn picture(&self) -> Option<Vec<u8>> {
        let digits = self.jpeg.as_ref()?.as_bytes().as_chunks::<2>().0;
        digits.iter().map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
    }
}

/// The keys of a `[[camera]]` on standard input, as JSON; what it gives on standard output.
pub fn command(args: &ProbeArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    let wrong = |why: &str| Error::Config(ConfigError::Usage(why.into()));
    let mut text = String::new();
    let read = io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(|source| Error::System { what: "standard input", source })?;
    let camera: CameraTable = serde_json::from_str(&text).map_err(|_| wrong("standard input names no camera"))?;
    camera.check().map_err(ConfigError::Usage)?;
    let mut source = match (&camera.device, camera.rtsp().map_err(ConfigError::Usage)?) {
        (Some(device), None) => Camera::open(&camera.camera(device)).map(Source::Camera)?,
        (None, Some(rtsp)) => Rtsp::open(&rtsp).map(Source::Rtsp)?,
        _ => return Err(wrong("a camera is tried at a device or in the network")),
    };
    let pack = wiring::open_pack(&config.pack)?;
    let mut eye = Eye::new(&pack)?;
    let shown = config.gateway.live && !config.privacy;
    let found = first(&mut source, &SystemClock::new(), |frame| {
        let (pixels, content) = eye.fit(frame)?;
        let mut still = Still::default();
        Ok((shown && still.take(pack.grid, &pixels, content)).then_some(still))
    });
    let (size_px, jpeg) =
        found.map_err(|error| error.unwrap_or_else(|| DriverError::NoPicture { from: "the camera".into() }))?;
    let jpeg = jpeg
        .map(|still| still.jpeg())
        .transpose()
        .map_err(|error| Error::System { what: "a picture", source: io::Error::other(error) })?;
    let digits = jpeg.map(|jpeg| {
        jpeg.iter().fold(String::with_capacity(2 * jpeg.len()), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        })
    });
    let (begun, mut pictures) = (Instant::now(), 0_u32);
    // One that ends, or fails, has given what was asked for.
    while begun.elapsed() < COUNTED && matches!(source.next(), Ok(Some(_))) {
        pictures += 1;
    }
    let fps = rounded((f64::from(pictures) / begun.elapsed().as_secs_f64() * 10.0).round() / 10.0);
    let probed = Probed { size_px: size_px.to_string(), fps, jpeg: digits };
    events::print(&format!("{}\n", serde_json::to_string(&probed).expect("text and finite numbers should be JSON")))
}

/// The first picture that is whole, and what is made of it.
///
/// # Errors
/// `None`: there is none, or it is long in coming.
fn first<S: FrameSource, T>(
    source: &mut S,
    clock: &impl Clock,
    mut take: impl FnMut(&Frame<'_>) -> Result<T, S::Error>,
) -> Result<(SizePx, T), Option<S::Error>> {
    let begun = clock.now();
    for _ in 0..MOST_DAMAGED {
        if clock.now().since(begun) > LONGEST {
            break;
        }
        let taken = match source.next() {
            Ok(Some(frame)) => take(&frame).map(|taken| Some((frame.size_px, taken))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match taken {
            Ok(Some(taken)) => return Ok(taken),
            Ok(None) => break,
            Err(error) if error.fault() == Fault::Retry => {}
            Err(error) => return Err(Some(error)),
        }
    }
    Err(None)
}

#[cfg(test)]
mod tests {
    use ocelli_testkit::{FakeError, ScriptedCamera, SimClock};

    use super::*;

    fn camera(clock: &SimClock, fps: f64) -> ScriptedCamera {
        ScriptedCamera::new(SizePx::new(4, 2), fps).on(clock).grey(0, 1000)
    }

    fn damaged<T>() -> Result<T, FakeError> {
        Err(FakeError { who: "the decoder", call: 0, fault: Fault::Retry })
    }

    #[test]
    fn damaged_pictures_are_waited_through_and_not_for_long() {
        let clock = SimClock::new();
        let mut left = 7;
        let found = first(&mut camera(&clock, 25.0), &clock, |_| {
            left -= 1;
            if left > 0 { damaged() } else { Ok("a picture") }
        });
        assert!(matches!(found, Ok((_, "a picture"))), "the seventh is whole");
        // One a second: it is not waited for the hundredth.
        let (clock, mut slow) = (SimClock::new(), camera(&SimClock::new(), 1.0));
        let slow_clock = || {
            clock.advance(Micros(1_000_000));
            damaged::<()>()
        };
        assert!(matches!(first(&mut slow, &clock, |_| slow_clock()), Err(None)), "none is whole");
        assert_eq!((slow.calls(), clock.now()), (13, Micros(13_000_000)));
        let mut fast = camera(&SimClock::new(), 100.0);
        assert!(matches!(first(&mut fast, &SimClock::new(), |_| damaged::<()>()), Err(None)));
        assert_eq!(fast.calls(), MOST_DAMAGED as u64);
        let mut pulled = ScriptedCamera::new(SizePx::new(4, 2), 1.0).fails(Fault::Stop);
        let found = first(&mut pulled, &SimClock::new(), |_| Ok(()));
        assert!(matches!(found, Err(Some(error)) if error.fault == Fault::Stop), "that is told as it is");
    }

    #[test]
    fn a_picture_in_digits_is_the_picture() {
        let probed = |jpeg: Option<&str>| Probed { size_px: "2x2".into(), fps: 1.0, jpeg: jpeg.map(Into::into) };
        assert_eq!(probed(Some("ffd800")).picture(), Some(vec![0xff, 0xd8, 0]));
        assert_eq!((probed(None).picture(), probed(Some("fg")).picture()), (None, None));
    }
}
