//! Cameras under Linux: V4L2 with mapped buffers, which are lent as they are.
//!
//! What the `v4l` crate leaves to its caller is done here: a format is asked for with stride and size zeroed and the
//! answer is compared, for drivers substitute in silence; a wait has a limit; a stream that failed is built anew,
//! never called again; pictures are cut to the bytes used, and those that the driver flags as damaged are skipped.
//! All decisions are in [`Camera`] over the small [`Node`], so that they are tested without a device.

use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::Duration;

use ocelli_types::{ColorMatrix, Frame, FrameSeq, FrameSource, Micros, PixelRange, Pixels, SizePx};
use v4l::buffer::{Flags, Type};
use v4l::format::Quantization;
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC};

use crate::DriverError;

/// One is being filled, one is lent, two wait.
const BUFFERS: u32 = 4;

/// How often a stream is built anew in one call before the camera is opened again.
const REBUILDS: u32 = 2;

/// So many damaged pictures in a row are no camera any more.
const MAX_DAMAGED: u32 = 100;

/// A pixel format that we read from cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraFormat {
    /// Packed 4:2:2.
    Yuyv,
    /// 4:2:0 with interleaved chroma.
    Nv12,
    /// JPEG pictures.
    Mjpeg,
    /// One channel, of infrared cameras.
    Grey,
}

impl CameraFormat {
    const fn fourcc(self) -> &'static [u8; 4] {
        match self {
            Self::Yuyv => b"YUYV",
            Self::Nv12 => b"NV12",
            Self::Mjpeg => b"MJPG",
            Self::Grey => b"GREY",
        }
    }
}

/// Which camera, and what to ask of it.
#[derive(Clone, Debug)]
pub struct CameraConfig {
    /// Device node, such as `/dev/video0`.
    pub path: PathBuf,
    /// Wanted size; the camera may answer with the nearest that it has.
    pub size_px: SizePx,
    /// Wanted frames per second; the camera may answer with the nearest that it has.
    pub fps: u32,
    /// Formats in order of preference; the first that the camera has is taken.
    pub formats: Vec<CameraFormat>,
    /// The longest wait for a picture.
    pub timeout: Duration,
}

impl CameraConfig {
    /// 640x480 at 15 frames per second, uncompressed if possible, and 5 s of patience.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        use CameraFormat::{Grey, Mjpeg, Nv12, Yuyv};
        Self {
            path: path.into(),
            size_px: SizePx::new(640, 480),
            fps: 15,
            formats: vec![Yuyv, Nv12, Mjpeg, Grey],
            timeout: Duration::from_secs(5),
        }
    }
}

/// An open camera that streams.
///
/// [`FrameSeq`] follows the driver's count, so a gap is a picture that the driver dropped or flagged. After
/// [`DriverError::Unplugged`], [`DriverError::Timeout`] or [`DriverError::Io`] drop it and open it again.
#[derive(Debug)]
pub struct Camera {
    inner: Capturing<V4lNode>,
}

impl Camera {
    /// Opens the camera, agrees on a format and starts to stream.
    ///
    /// # Errors
    /// There is no such node, it is no camera, is in use, or has none of the formats.
    pub fn open(config: &CameraConfig) -> Result<Self, DriverError> {
        Ok(Self { inner: Capturing::open(V4lNode::open(&config.path)?, config)? })
    }

    /// The size that the camera agreed to.
    pub fn size_px(&self) -> SizePx {
        self.inner.granted.size_px
    }

    /// The format that the camera agreed to.
    pub fn format(&self) -> CameraFormat {
        self.inner.format
    }

    /// Pictures that the driver flagged as damaged, or that were too short, and were skipped.
    pub fn damaged(&self) -> u64 {
        self.inner.damaged
    }
}

impl FrameSource for Camera {
    type Error = DriverError;

    fn next(&mut self) -> Result<Option<Frame<'_>>, DriverError> {
        self.inner.next_frame().map(Some)
    }
}

/// What a driver answered to the wish for a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Granted {
    fourcc: [u8; 4],
    size_px: SizePx,
    stride: u32,
    full_range: bool,
}

/// What a driver tells about a filled buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Filled {
    bytes_used: usize,
    damaged: bool,
    sequence: u32,
    time_us: u64,
}

/// As much of a V4L2 device as the decisions need.
trait Node {
    /// Asks for a format; the answer may be another.
    fn set_format(&mut self, fourcc: [u8; 4], size_px: SizePx) -> io::Result<Granted>;
    /// Asks for a rate; drivers without one refuse, and that does no harm.
    fn set_fps(&mut self, fps: u32) -> io::Result<()>;
    /// Gives up the stream, if there is one, and builds another.
    fn start(&mut self, timeout: Duration) -> io::Result<()>;
    /// Hands back the buffer of the last call and waits for the next.
    fn wait(&mut self) -> io::Result<Filled>;
    /// The whole buffer of the last [`wait`](Self::wait), or nothing.
    fn buffer(&self) -> &[u8];
}

#[derive(Debug)]
struct Capturing<N> {
    node: N,
    path: PathBuf,
    timeout: Duration,
    format: CameraFormat,
    granted: Granted,
    first_us: Option<u64>,
    /// The newest picture that the driver told of, whole or not.
    last: Option<Filled>,
    /// Between the two newest pictures of one stream; zero before there are two.
    period_us: u64,
    /// Whether the stream is another than that of the newest picture.
    rebuilt: bool,
    seq: u64,
    damaged: u64,
}

impl<N: Node> Capturing<N> {
    fn open(mut node: N, config: &CameraConfig) -> Result<Self, DriverError> {
        let path = config.path.clone();
        let (format, granted) = negotiate(&mut node, config)?;
        // A camera that cannot change its rate still sends pictures, and the sampler takes those that are due.
        let _ = node.set_fps(config.fps.max(1));
        start(&mut node, config.timeout).map_err(|error| DriverError::from_io(&path, error))?;
        Ok(Self {
            node,
            path,
            timeout: config.timeout,
            format,
            granted,
            first_us: None,
            last: None,
            period_us: 0,
            rebuilt: false,
            seq: 0,
            damaged: 0,
        })
    }

    fn next_frame(&mut self) -> Result<Frame<'_>, DriverError> {
        let filled = self.whole_picture()?;
        let first_us = *self.first_us.get_or_insert(filled.time_us);
        let buffer = self.node.buffer();
        let data = &buffer[..filled.bytes_used.min(buffer.len())];
        let (range, matrix) = match self.format {
            CameraFormat::Mjpeg | CameraFormat::Grey => (PixelRange::Full, ColorMatrix::Bt601),
            _ if self.granted.full_range => (PixelRange::Full, ColorMatrix::Bt601),
            _ => (PixelRange::Limited, ColorMatrix::Bt601),
        };
        Ok(Frame {
            pixels: pixels(self.format, data, &self.granted),
            size_px: self.granted.size_px,
            range,
            matrix,
            seq: FrameSeq(self.seq),
            captured_us: Micros(filled.time_us.saturating_sub(first_us)),
        })
    }

    /// Waits until a picture is whole; a stream that fails is built anew, but not for a camera that is gone.
    fn whole_picture(&mut self) -> Result<Filled, DriverError> {
        let mut rebuilt = 0;
        let mut skipped = 0;
        loop {
            let error = match self.node.wait() {
                Ok(filled) => {
                    self.count(filled);
                    if !filled.damaged && filled.bytes_used >= least_bytes(self.format, &self.granted) {
                        return Ok(filled);
                    }
                    self.damaged += 1;
                    skipped += 1;
                    if skipped >= MAX_DAMAGED {
                        return Err(self.explain(io::Error::from_raw_os_error(libc::EIO)));
                    }
                    continue;
                }
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            let gone = error.raw_os_error() == Some(libc::ENODEV);
            if gone || rebuilt >= REBUILDS || error.kind() == io::ErrorKind::TimedOut {
                return Err(self.explain(error));
            }
            rebuilt += 1;
            start(&mut self.node, self.timeout).map_err(|error| self.explain(error))?;
            self.rebuilt = true;
        }
    }

    /// Follows the driver's 32-bit count through its wrap, and over streams that were built anew.
    fn count(&mut self, filled: Filled) {
        if let Some(last) = self.last.replace(filled) {
            let pause_us = filled.time_us.saturating_sub(last.time_us);
            if std::mem::take(&mut self.rebuilt) {
                // A new stream counts from zero. The picture that was being filled is lost, and what its start missed.
                // A clock that was set meanwhile makes no pause of hours.
                let pause_us = pause_us.min(self.timeout.as_micros() as u64);
                let periods = (pause_us + self.period_us / 2).checked_div(self.period_us).unwrap_or(0);
                self.seq += periods.max(2);
            } else {
                let step = u64::from(filled.sequence.wrapping_sub(last.sequence)).max(1);
                self.period_us = pause_us / step;
                self.seq += step;
            }
        }
    }

    fn explain(&self, error: io::Error) -> DriverError {
        match error.kind() {
            io::ErrorKind::TimedOut => DriverError::Timeout {
                from: self.path.display().to_string(),
                waited_ms: self.timeout.as_millis() as u64,
            },
            _ => DriverError::from_io(&self.path, error),
        }
    }
}

/// A driver may refuse buffers once, while it settles; one that is busy or gone stays so.
fn start(node: &mut impl Node, timeout: Duration) -> io::Result<()> {
    match node.start(timeout) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO)) => node.start(timeout),
        started => started,
    }
}

/// The first format of the list that the camera really grants.
fn negotiate(node: &mut impl Node, config: &CameraConfig) -> Result<(CameraFormat, Granted), DriverError> {
    let mut offered = Vec::new();
    for &format in &config.formats {
        let granted = match node.set_format(*format.fourcc(), config.size_px) {
            Ok(granted) => granted,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => continue,
            Err(error) => return Err(DriverError::from_io(&config.path, error)),
        };
        let SizePx { width, height } = granted.size_px;
        if granted.fourcc == *format.fourcc() && width > 0 && height > 0 && granted.stride >= row_bytes(format, width) {
            return Ok((format, granted));
        }
        let answer = format!("{} {}", String::from_utf8_lossy(&granted.fourcc), granted.size_px);
        if !offered.contains(&answer) {
            offered.push(answer);
        }
    }
    let wanted: Vec<_> = config.formats.iter().map(|format| String::from_utf8_lossy(format.fourcc())).collect();
    Err(DriverError::FormatRefused {
        path: config.path.clone(),
        wanted: format!("{} {}", wanted.join(", "), config.size_px),
        offered: if offered.is_empty() { "nothing".into() } else { offered.join(", ") },
    })
}

const fn row_bytes(format: CameraFormat, width: u32) -> u32 {
    match format {
        CameraFormat::Yuyv => width.div_ceil(2) * 4,
        CameraFormat::Nv12 | CameraFormat::Grey => width,
        CameraFormat::Mjpeg => 0,
    }
}

/// What a whole picture takes; the last row may end where its pixels end.
fn least_bytes(format: CameraFormat, granted: &Granted) -> usize {
    let SizePx { width, height } = granted.size_px;
    let rows = match format {
        CameraFormat::Yuyv | CameraFormat::Grey => height,
        CameraFormat::Nv12 => height + height.div_ceil(2),
        // The smallest JPEG that says anything.
        CameraFormat::Mjpeg => return 100,
    };
    granted.stride as usize * (rows as usize - 1) + row_bytes(format, width) as usize
}

/// `data` holds at least [`least_bytes`].
fn pixels<'a>(format: CameraFormat, data: &'a [u8], granted: &Granted) -> Pixels<'a> {
    let stride = granted.stride;
    match format {
        CameraFormat::Yuyv => Pixels::Yuyv { data, stride },
        CameraFormat::Grey => Pixels::Gray { data, stride },
        CameraFormat::Mjpeg => Pixels::Jpeg(data),
        CameraFormat::Nv12 => {
            let (y, uv) = data.split_at(stride as usize * granted.size_px.height as usize);
            Pixels::Nv12 { y, uv, y_stride: stride, uv_stride: stride }
        }
    }
}

/// A real device node.
struct V4lNode {
    device: Device,
    stream: Option<ManuallyDrop<Stream<'static>>>,
    /// The buffer last dequeued: mapped by `stream`, not queued again before the next `wait`.
    current: Option<NonNull<[u8]>>,
}

// SAFETY: `current` points into a mapping owned by `stream`, which is itself `Send`; nothing is bound to a thread.
unsafe impl Send for V4lNode {}

impl std::fmt::Debug for V4lNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("V4lNode").field("streams", &self.stream.is_some()).finish_non_exhaustive()
    }
}

impl V4lNode {
    fn open(path: &Path) -> Result<Self, DriverError> {
        let device = Device::with_path(path).map_err(|error| DriverError::from_io(path, error))?;
        if !captures(&device) {
            return Err(DriverError::NoCamera { path: path.to_path_buf() });
        }
        Ok(Self { device, stream: None, current: None })
    }

    /// Ends the stream. `Stream` panics when it is dropped over an error other than ENODEV, and once more for its
    /// buffers, which would end the program: where a device does not let its stream stop, the mappings are left.
    fn stop(&mut self) {
        self.current = None;
        let Some(mut stream) = self.stream.take() else { return };
        match v4l::io::traits::Stream::stop(&mut *stream) {
            Err(error) if error.raw_os_error() != Some(libc::ENODEV) => {}
            _ => drop(ManuallyDrop::into_inner(stream)),
        }
    }
}

impl Drop for V4lNode {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Node for V4lNode {
    fn set_format(&mut self, fourcc: [u8; 4], size_px: SizePx) -> io::Result<Granted> {
        // A new `Format` has stride and size zero: kept from an older one, they would be kept by the driver too.
        let wanted = Format::new(size_px.width, size_px.height, FourCC::new(&fourcc));
        let granted = self.device.set_format(&wanted)?;
        Ok(Granted {
            fourcc: granted.fourcc.repr,
            size_px: SizePx::new(granted.width, granted.height),
            stride: granted.stride,
            full_range: matches!(granted.quantization, Quantization::FullRange),
        })
    }

    fn set_fps(&mut self, fps: u32) -> io::Result<()> {
        self.device.set_params(&Parameters::with_fps(fps)).map(drop)
    }

    fn start(&mut self, timeout: Duration) -> io::Result<()> {
        self.stop();
        let mut stream = Stream::with_buffers(&self.device, Type::VideoCapture, BUFFERS)?;
        stream.set_timeout(timeout.min(Duration::from_hours(1)));
        self.stream = Some(ManuallyDrop::new(stream));
        Ok(())
    }

    fn wait(&mut self) -> io::Result<Filled> {
        self.current = None;
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let (buffer, meta) = CaptureStream::next(&mut **stream)?;
        let filled = Filled {
            bytes_used: meta.bytesused as usize,
            damaged: meta.flags.contains(Flags::ERROR),
            sequence: meta.sequence,
            time_us: (meta.timestamp.sec.max(0).cast_unsigned() * 1_000_000)
                .saturating_add(meta.timestamp.usec.max(0).cast_unsigned()),
        };
        self.current = Some(NonNull::from(buffer));
        Ok(filled)
    }

    fn buffer(&self) -> &[u8] {
        // SAFETY: `current` was lent by `stream`, which still lives (`stop` clears it first). The mapping stays, and
        // the driver does not write to it, until `wait` or `stop` hand the buffer back; both take `&mut self`.
        self.current.map_or(&[], |current| unsafe { current.as_ref() })
    }
}

/// A device node that might be a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraInfo {
    /// Device node.
    pub path: PathBuf,
    /// Name by the driver.
    pub name: String,
    /// Whether it streams pictures; cameras also have nodes that carry other data.
    pub captures: bool,
}

/// All video nodes of this machine in numerical order; none if there are none.
pub fn list_cameras() -> Vec<CameraInfo> {
    let nodes = fs::read_dir("/sys/class/video4linux").into_iter().flatten().flatten();
    let mut numbered: Vec<_> = nodes
        .filter_map(|node| {
            let name = node.file_name().to_str()?.to_owned();
            let number: u32 = name.strip_prefix("video")?.parse().ok()?;
            let path = Path::new("/dev").join(&name);
            let label = fs::read_to_string(node.path().join("name")).unwrap_or_default();
            let captures = Device::with_path(&path).is_ok_and(|device| captures(&device));
            Some((number, CameraInfo { path, name: label.trim().to_owned(), captures }))
        })
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, info)| info).collect()
}

/// Whether the node captures and streams. Asked directly: `Device::query_caps` panics on a name that is cut in the
/// middle of a character.
fn captures(device: &Device) -> bool {
    const VIDEO_CAPTURE: u32 = 0x0000_0001;
    const STREAMING: u32 = 0x0400_0000;
    // SAFETY: `v4l2_capability` is a plain C struct for which all zeros is a valid value.
    let mut caps: v4l::v4l_sys::v4l2_capability = unsafe { std::mem::zeroed() };
    // SAFETY: VIDIOC_QUERYCAP writes one `v4l2_capability`, which `caps` is, and the descriptor is open.
    let asked =
        unsafe { v4l::v4l2::ioctl(device.handle().fd(), v4l::v4l2::vidioc::VIDIOC_QUERYCAP, (&raw mut caps).cast()) };
    asked.is_ok() && caps.device_caps & (VIDEO_CAPTURE | STREAMING) == VIDEO_CAPTURE | STREAMING
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_types::{Fault, Faulty};
    use std::collections::VecDeque;

    /// Plays a script: what each `wait` brings, and what `start` and `set_format` answer.
    #[derive(Debug, Default)]
    struct Script {
        grants: &'static [&'static [u8; 4]],
        format_error: Option<i32>,
        start_errors: VecDeque<i32>,
        waits: VecDeque<Result<Filled, io::ErrorKind>>,
        errno: VecDeque<i32>,
        starts: u32,
        waited_since_error: bool,
        buffer: Vec<u8>,
    }

    impl Node for Script {
        fn set_format(&mut self, fourcc: [u8; 4], size_px: SizePx) -> io::Result<Granted> {
            if let Some(errno) = self.format_error {
                return Err(io::Error::from_raw_os_error(errno));
            }
            // As drivers do: what they do not have becomes what they have.
            let granted = self.grants.iter().find(|g| ***g == fourcc).unwrap_or(&self.grants[0]);
            let stride = if *granted == b"YUYV" { size_px.width * 2 } else { size_px.width };
            Ok(Granted { fourcc: **granted, size_px, stride, full_range: false })
        }
        fn set_fps(&mut self, _: u32) -> io::Result<()> {
            Err(io::Error::from_raw_os_error(libc::ENOTTY))
        }
        fn start(&mut self, _: Duration) -> io::Result<()> {
            self.starts += 1;
            self.waited_since_error = false;
            self.start_errors.pop_front().map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
        }
        fn wait(&mut self) -> io::Result<Filled> {
            assert!(!self.waited_since_error, "a stream that failed is never asked again");
            match self.waits.pop_front() {
                Some(Ok(filled)) => Ok(filled),
                Some(Err(kind)) => {
                    self.waited_since_error = kind != io::ErrorKind::Interrupted;
                    Err(kind.into())
                }
                None => {
                    self.waited_since_error = true;
                    Err(io::Error::from_raw_os_error(self.errno.pop_front().unwrap_or(libc::ENODEV)))
                }
            }
        }
        fn buffer(&self) -> &[u8] {
            &self.buffer
        }
    }

    const WHOLE: Filled = Filled { bytes_used: 16, damaged: false, sequence: 0, time_us: 5_000_000 };

    fn config() -> CameraConfig {
        CameraConfig { size_px: SizePx::new(4, 2), ..CameraConfig::new("/dev/video0") }
    }

    fn camera(waits: impl IntoIterator<Item = Result<Filled, io::ErrorKind>>) -> Capturing<Script> {
        let waits = waits.into_iter().collect();
        let script = Script { grants: &[b"YUYV"], waits, buffer: vec![7; 4096], ..Script::default() };
        Capturing::open(script, &config()).expect("the script grants YUYV")
    }

    #[test]
    fn a_frame_is_cut_to_the_bytes_used_and_dated_from_the_first() {
        let second = Filled { sequence: 1, time_us: 5_066_000, ..WHOLE };
        let mut camera = camera([Ok(WHOLE), Ok(second)]);
        let frame = camera.next_frame().expect("a frame");
        assert!(matches!(frame.pixels, Pixels::Yuyv { data, stride: 8 } if data.len() == 16));
        assert_eq!((frame.captured_us, frame.seq), (Micros(0), FrameSeq(0)));
        let frame = camera.next_frame().expect("a frame");
        assert_eq!((frame.captured_us, frame.seq), (Micros(66_000), FrameSeq(1)));
    }

    #[test]
    fn dropped_pictures_are_gaps_also_when_the_count_wraps() {
        let at = |sequence| Ok(Filled { sequence, ..WHOLE });
        let mut camera = camera([at(u32::MAX - 1), at(u32::MAX), at(2), at(2)]);
        let seqs: Vec<_> = (0..4).map(|_| camera.next_frame().expect("a frame").seq.0).collect();
        assert_eq!(seqs, [0, 1, 4, 5]);
    }

    #[test]
    fn damaged_and_short_pictures_are_skipped_and_counted() {
        let damaged = Filled { damaged: true, ..WHOLE };
        let short = Filled { bytes_used: 15, sequence: 1, ..WHOLE };
        let mut camera = camera([Ok(damaged), Ok(short), Ok(Filled { sequence: 2, ..WHOLE })]);
        assert_eq!(camera.next_frame().expect("the third").seq, FrameSeq(2));
        assert_eq!(camera.damaged, 2);
    }

    #[test]
    fn a_camera_that_only_sends_damage_is_given_up() {
        let mut camera = camera(std::iter::repeat_n(Ok(Filled { damaged: true, ..WHOLE }), 500));
        assert_eq!(camera.next_frame().expect_err("no end of damage").fault(), Fault::Reopen);
    }

    #[test]
    fn an_io_error_builds_the_stream_anew_and_shows_a_gap() {
        let mut camera = camera([Ok(WHOLE), Err(io::ErrorKind::Other), Ok(WHOLE)]);
        assert_eq!(camera.next_frame().expect("a frame").seq, FrameSeq(0));
        assert_eq!(camera.next_frame().expect("after the rebuild").seq, FrameSeq(2));
        assert_eq!(camera.node.starts, 2);
    }

    #[test]
    fn a_rebuild_that_takes_long_loses_what_its_pause_would_have_held() {
        let at = |sequence, ms: u64| Ok(Filled { sequence, time_us: WHOLE.time_us + ms * 1000, ..WHOLE });
        let broken = || Err(io::ErrorKind::Other);
        let hours = 3_600_000;
        let mut camera =
            camera([at(0, 0), at(1, 100), broken(), broken(), at(0, 510), at(1, 610), broken(), at(0, hours)]);
        let seqs: Vec<_> = (0..5).map(|_| camera.next_frame().expect("a frame").seq.0).collect();
        // 100 to 510 ms: three are missing. A clock that was set costs no more than the longest wait of 5 s.
        assert_eq!(seqs, [0, 1, 5, 6, 56]);
    }

    #[test]
    fn an_interrupted_wait_goes_on() {
        let mut camera = camera([Err(io::ErrorKind::Interrupted), Ok(WHOLE)]);
        assert!(camera.next_frame().is_ok());
        assert_eq!(camera.node.starts, 1);
    }

    #[test]
    fn a_timeout_asks_to_open_again() {
        let error = camera([Err(io::ErrorKind::TimedOut)]).next_frame().map(|_| ()).expect_err("silence");
        assert!(matches!(error, DriverError::Timeout { waited_ms: 5000, .. }), "{error}");
        assert_eq!(error.fault(), Fault::Reopen);
    }

    #[test]
    fn an_unplugged_camera_is_not_rebuilt() {
        let mut camera = camera([]);
        let error = camera.next_frame().map(|_| ()).expect_err("gone");
        assert!(matches!(error, DriverError::Unplugged { .. }), "{error}");
        assert_eq!(camera.node.starts, 1);
    }

    #[test]
    fn errors_without_end_give_up_after_some_rebuilds() {
        let mut camera = camera([]);
        camera.node.errno = VecDeque::from(vec![libc::EIO; 50]);
        assert!(matches!(camera.next_frame().map(|_| ()), Err(DriverError::Io { .. })));
        assert_eq!(camera.node.starts, 1 + REBUILDS);
    }

    #[test]
    fn the_first_granted_format_is_taken_and_a_substitute_is_not() {
        let script = Script { grants: &[b"MJPG"], buffer: vec![0; 9], ..Script::default() };
        let camera = Capturing::open(script, &config()).expect("MJPG is in the list");
        assert_eq!(camera.format, CameraFormat::Mjpeg);
        let script = Script { grants: &[b"H264"], ..Script::default() };
        let error = Capturing::open(script, &config()).expect_err("H264 is not in the list");
        assert!(error.to_string().contains("H264 4x2"), "{error}");
        assert_eq!(error.fault(), Fault::Stop);
    }

    #[test]
    fn a_start_that_fails_is_tried_once_more() {
        let script = |errors: &[i32]| {
            let start_errors = errors.iter().copied().collect();
            Script { grants: &[b"YUYV"], start_errors, ..Script::default() }
        };
        assert!(Capturing::open(script(&[libc::EINVAL]), &config()).is_ok());
        assert!(Capturing::open(script(&[libc::EINVAL; 2]), &config()).is_err());
        assert!(Capturing::open(script(&[libc::ENODEV]), &config()).is_err());
    }

    #[test]
    fn buffers_that_are_refused_once_after_an_error_are_asked_for_again() {
        let mut camera = camera([Ok(WHOLE), Err(io::ErrorKind::Other), Ok(WHOLE)]);
        assert_eq!(camera.next_frame().expect("a frame").seq, FrameSeq(0));
        camera.node.start_errors = VecDeque::from([libc::EINVAL]);
        assert_eq!(camera.next_frame().expect("after the rebuild").seq, FrameSeq(2));
        assert_eq!(camera.node.starts, 3);
    }

    #[test]
    fn a_camera_in_use_is_busy() {
        let script = Script { grants: &[b"YUYV"], format_error: Some(libc::EBUSY), ..Script::default() };
        assert!(matches!(Capturing::open(script, &config()), Err(DriverError::Busy { .. })));
        let start_errors = VecDeque::from([libc::EBUSY]);
        let script = Script { grants: &[b"YUYV"], start_errors, ..Script::default() };
        assert!(matches!(Capturing::open(script, &config()), Err(DriverError::Busy { .. })));
    }

    #[test]
    fn nv12_is_parted_at_the_stride() {
        let granted = Granted { fourcc: *b"NV12", size_px: SizePx::new(3, 3), stride: 4, full_range: false };
        assert_eq!(least_bytes(CameraFormat::Nv12, &granted), 19);
        let data = [0; 20];
        let Pixels::Nv12 { y, uv, .. } = pixels(CameraFormat::Nv12, &data, &granted) else { panic!("NV12") };
        assert_eq!((y.len(), uv.len()), (12, 8));
    }

    #[test]
    fn a_node_that_is_not_there_is_missing() {
        let error = Camera::open(&CameraConfig::new("/dev/video-none")).expect_err("no such node");
        assert!(matches!(error, DriverError::Missing { .. }), "{error}");
        let error = Camera::open(&CameraConfig::new("/dev/null")).expect_err("no camera");
        assert!(matches!(error, DriverError::NoCamera { .. }), "{error}");
    }

    #[test]
    fn listing_cameras_works_on_a_machine_without_any() {
        assert!(list_cameras().iter().all(|camera| camera.path.starts_with("/dev")));
    }
}
