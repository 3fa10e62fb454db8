//! Clips: recordings that are played as fast as they are asked for, with the times of their container.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ocelli_types::{ColorMatrix, Frame, FrameSeq, FrameSource, Micros, PixelRange, SizePx};

use super::avc::Avc;
use super::h264::{Decoded, H264, beyond_openh264};
use super::mjpeg::{Found, Mjpeg, size_of};
use super::pipe::{Output, Process};
use super::planes::{Layout, Picture};
use super::y4m::{Refusal, Y4m};
use super::{mkv, mp4};
use crate::DriverError;

/// Concatenated JPEGs carry no times; this is what other players assume.
const MJPEG_PERIOD_US: u64 = 40_000;

/// Boxes with which MP4 and MOV files begin.
const MP4_FIRST_BOXES: [&[u8]; 6] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"];

/// ffmpeg may search a long file before its first picture.
const FFMPEG_TIMEOUT: Duration = Duration::from_secs(30);

/// A recording: MP4, MOV or Matroska with H.264, YUV4MPEG2, concatenated JPEGs; anything else through an installed
/// ffmpeg. A damaged clip gives the pictures that can be decoded, then one [`DriverError::Truncated`].
#[derive(Debug)]
pub struct Clip {
    path: PathBuf,
    input: Input,
    /// Pictures so far, lost ones included.
    seq: u64,
    ended: bool,
}

enum Input {
    H264(Box<Recording>),
    Y4m(Y4m<BufReader<File>>),
    Mjpeg(Mjpeg<File>, Picture),
    Ffmpeg(Y4m<BufReader<Output>>, Process),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::H264(_) => "H264",
            Self::Y4m(_) => "Y4m",
            Self::Mjpeg(..) => "Mjpeg",
            Self::Ffmpeg(..) => "Ffmpeg",
        })
    }
}

impl Clip {
    /// Opens a recording; its first bytes decide what it is, not its name.
    ///
    /// # Errors
    /// The file is missing, an address, empty, cut off before its index, no video, or needs ffmpeg and there is none.
    pub fn open(path: &Path) -> Result<Self, DriverError> {
        if path.to_string_lossy().contains("://") {
            // Not shown: a password may stand in it.
            let why = "it is an address, and no file; `ocelli run` takes one with --rtsp".into();
            return Err(DriverError::Network { from: "the clip".into(), why });
        }
        let path = path.to_path_buf();
        let mut file = File::open(&path).map_err(|error| DriverError::from_io(&path, error))?;
        let metadata = file.metadata().map_err(|error| DriverError::from_io(&path, error))?;
        if !metadata.is_file() {
            return Err(DriverError::NotVideo { path, why: "it is no ordinary file".into() });
        }
        if metadata.len() == 0 {
            return Err(DriverError::Empty { path });
        }
        let mut head = Vec::new();
        let started = (&mut file).take(16).read_to_end(&mut head).and_then(|_| file.seek(SeekFrom::Start(0)));
        started.map_err(|error| DriverError::from_io(&path, error))?;
        let input = match &head[..] {
            [b'Y', b'U', b'V', b'4', b'M', b'P', b'E', b'G', ..] => {
                let clip = Y4m::open(BufReader::with_capacity(1 << 18, file)).map_err(|error| refused(&path, error))?;
                Input::Y4m(clip)
            }
            [0xff, 0xd8, 0xff, ..] => {
                let (size_px, bytes) = (SizePx::default(), Vec::new());
                let (range, matrix) = (PixelRange::Full, ColorMatrix::Bt601);
                Input::Mjpeg(Mjpeg::new(file), Picture { layout: Layout::Jpeg, size_px, range, matrix, bytes })
            }
            head if mkv::is_ebml(head) => open_mkv(&path, file, metadata.len())?,
            [_, _, _, _, name @ ..] if MP4_FIRST_BOXES.iter().any(|first| name.starts_with(first)) => {
                open_mp4(&path, file, metadata.len())?
            }
            _ => open_with_ffmpeg(&path, "the format is not one that is read directly")?,
        };
        Ok(Self { path, input, seq: 0, ended: false })
    }

    /// Picture size by the header, where the format has one; each frame says what it really is.
    pub fn size_px(&self) -> Option<SizePx> {
        match &self.input {
            Input::H264(recording) => recording.avc.sps.map(|sps| sps.coded_px),
            Input::Y4m(clip) => Some(clip.picture.size_px),
            Input::Ffmpeg(clip, _) => Some(clip.picture.size_px),
            Input::Mjpeg(..) => None,
        }
    }

    /// What the index of the clip holds in memory.
    pub fn index_bytes(&self) -> u64 {
        match &self.input {
            Input::H264(recording) => recording.packets.index_bytes(),
            _ => 0,
        }
    }

    fn fill(&mut self) -> Result<Option<Micros>, DriverError> {
        match &mut self.input {
            Input::H264(recording) => recording.fill(&self.path, &mut self.seq),
            Input::Y4m(clip) => clip.next().map_err(|error| refused(&self.path, error)),
            Input::Mjpeg(pictures, picture) => match pictures.next() {
                Ok(Found::Picture) => {
                    picture.size_px = size_of(pictures.picture());
                    picture.bytes.clear();
                    picture.bytes.extend_from_slice(pictures.picture());
                    Ok(Some(Micros(self.seq * MJPEG_PERIOD_US)))
                }
                Ok(Found::End) => Ok(None),
                Ok(Found::Cut) => Err(refused(&self.path, Refusal::Cut)),
                Err(error) => Err(DriverError::from_io(&self.path, error)),
            },
            Input::Ffmpeg(clip, process) => {
                process.wait.restart();
                match clip.next() {
                    Ok(Some(time_us)) => Ok(Some(time_us)),
                    Ok(None) => process.finish().map(|()| None),
                    Err(error) => Err(process.explain(error)),
                }
            }
        }
    }
}

impl FrameSource for Clip {
    type Error = DriverError;

    fn next(&mut self) -> Result<Option<Frame<'_>>, DriverError> {
        if self.ended {
            return Ok(None);
        }
        let filled = self.fill();
        let Ok(Some(captured_us)) = filled else {
            self.ended = true;
            return filled.map(|_| None);
        };
        let seq = FrameSeq(self.seq);
        self.seq += 1;
        let picture = match &self.input {
            Input::H264(recording) => &recording.decoder.picture,
            Input::Y4m(clip) => &clip.picture,
            Input::Mjpeg(_, picture) => picture,
            Input::Ffmpeg(clip, _) => &clip.picture,
        };
        Ok(Some(picture.lend(seq, captured_us)))
    }
}

fn refused(path: &Path, refusal: Refusal) -> DriverError {
    let path = path.to_path_buf();
    match refusal {
        Refusal::Io(error) => DriverError::from_io(&path, error),
        Refusal::Cut => DriverError::Truncated { path, why: "it ends inside a picture".into() },
        Refusal::TooLarge(size_px) => DriverError::TooLarge { size_px, limit: "8192x8192 pixels in all" },
        Refusal::Header(why) => DriverError::NotVideo { path, why },
    }
}

fn open_mp4(path: &Path, mut file: File, file_bytes: u64) -> Result<Input, DriverError> {
    let track = match mp4::read(&mut file, file_bytes) {
        Ok(track) => track,
        Err(mp4::Refusal::NoIndex) => {
            let why = "it has no index (moov): the recording was not closed, or the copy is not whole".into();
            return Err(DriverError::Truncated { path: path.to_path_buf(), why });
        }
        Err(mp4::Refusal::NoVideo) => {
            return Err(DriverError::NotVideo { path: path.to_path_buf(), why: "it has no video track".into() });
        }
        Err(mp4::Refusal::Io(error)) => return Err(DriverError::from_io(path, error)),
    };
    match track.avc.clone() {
        Some(avc) if track.codec.starts_with(b"avc") => {
            let next = 0;
            open_h264(path, Packets::Mp4 { file: BufReader::new(file), track, next }, avc, (None, None))
        }
        _ => open_with_ffmpeg(path, &format!("its codec is {}", String::from_utf8_lossy(&track.codec))),
    }
}

fn open_mkv(path: &Path, file: File, file_bytes: u64) -> Result<Input, DriverError> {
    let reader = mkv::Reader::open(file, file_bytes).map_err(|error| DriverError::from_io(path, error))?;
    let Some(reader) = reader else {
        return Err(DriverError::NotVideo { path: path.to_path_buf(), why: "it has no video track".into() });
    };
    let track = &reader.track;
    match track.avc.clone() {
        Some(avc) if track.codec == "V_MPEG4/ISO/AVC" && !track.sealed => {
            let colours = (track.range, track.matrix);
            open_h264(path, Packets::Mkv(reader), avc, colours)
        }
        _ => open_with_ffmpeg(path, &format!("its codec is {}", track.codec)),
    }
}

fn open_h264(
    path: &Path,
    packets: Packets,
    avc: Avc,
    (range, matrix): (Option<PixelRange>, Option<ColorMatrix>),
) -> Result<Input, DriverError> {
    if let Some(why) = avc.sps.and_then(|sps| beyond_openh264(&sps)) {
        return open_with_ffmpeg(path, why);
    }
    let range = range.or(avc.sps.and_then(|sps| sps.range));
    let matrix = matrix.or(avc.sps.and_then(|sps| sps.matrix));
    let decoder = H264::new(range, matrix)
        .map_err(|error| DriverError::Io { path: path.to_path_buf(), source: io::Error::other(error) })?;
    Ok(Input::H264(Box::new(Recording {
        packets,
        stream: avc.headers.clone(),
        avc,
        packet: Vec::new(),
        decoder,
        first_us: None,
        damaged: 0,
        drained: false,
    })))
}

/// Any other video, decoded by ffmpeg. Its y4m output has a constant rate, with pictures repeated or dropped so
/// that the times are those of the container.
fn open_with_ffmpeg(path: &Path, why: &str) -> Result<Input, DriverError> {
    let mut command = Command::new("ffmpeg");
    // A name with a colon is not to be taken for a protocol.
    let mut input = OsString::from("file:");
    input.push(path);
    command.args(["-nostdin", "-v", "error", "-i"]).arg(input);
    command.args(["-map", "0:v:0", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"]);
    let needs = || DriverError::NeedsFfmpeg { path: path.to_path_buf(), why: why.to_owned() };
    let name = format!("ffmpeg -i {}", path.display());
    let (mut process, output) = Process::start(command, name, FFMPEG_TIMEOUT, Arc::default()).map_err(|_| needs())?;
    match Y4m::open(BufReader::with_capacity(1 << 18, output)) {
        Ok(clip) => Ok(Input::Ffmpeg(clip, process)),
        Err(Refusal::Cut) => {
            let why = match process.finish() {
                Err(DriverError::Command { why, .. }) => why,
                _ => "ffmpeg finds no picture in it".into(),
            };
            Err(DriverError::NotVideo { path: path.to_path_buf(), why })
        }
        Err(error) => Err(process.explain(error)),
    }
}

/// Packets in decoding order with their presentation times.
enum Packets {
    Mp4 { file: BufReader<File>, track: mp4::Track, next: usize },
    Mkv(mkv::Reader<File>),
}

impl Packets {
    /// Writes the next packet over `packet`.
    fn next(&mut self, packet: &mut Vec<u8>) -> io::Result<Option<i64>> {
        match self {
            Self::Mp4 { file, track, next } => {
                let Some(sample) = track.samples.get(*next) else { return Ok(None) };
                *next += 1;
                let here = file.stream_position()?;
                match (sample.offset.cast_signed()).checked_sub(here.cast_signed()) {
                    Some(step) => file.seek_relative(step)?,
                    None => file.seek(SeekFrom::Start(sample.offset)).map(drop)?,
                }
                packet.resize(sample.bytes as usize, 0);
                file.read_exact(packet)?;
                let time_us = i128::from(sample.time) * 1_000_000 / i128::from(track.timescale);
                Ok(Some(time_us as i64))
            }
            Self::Mkv(reader) => reader.next(packet),
        }
    }

    /// The table of samples, and the boxes that it was read from: they are freed, but the peak was there.
    fn index_bytes(&self) -> u64 {
        match self {
            Self::Mp4 { track, .. } => track.index_bytes,
            Self::Mkv(_) => 0,
        }
    }

    /// What the container says is missing, once its packets are through.
    fn missing(&self) -> Option<String> {
        match self {
            Self::Mp4 { track, .. } if track.missing > 0 => Some(format!(
                "{} of {} pictures are missing",
                track.missing,
                track.missing + track.samples.len() as u64
            )),
            Self::Mkv(reader) if reader.cut => Some("it ends inside a packet".into()),
            _ => None,
        }
    }
}

/// A recording in H.264.
struct Recording {
    packets: Packets,
    avc: Avc,
    /// The packet with start codes; parameter sets before the first.
    stream: Vec<u8>,
    packet: Vec<u8>,
    decoder: H264,
    first_us: Option<i64>,
    damaged: u64,
    drained: bool,
}

impl Recording {
    fn fill(&mut self, path: &Path, seq: &mut u64) -> Result<Option<Micros>, DriverError> {
        while !self.drained {
            let next = self.packets.next(&mut self.packet).map_err(|error| DriverError::from_io(path, error))?;
            let Some(time_us) = next else {
                self.drained = true;
                self.damaged += self.decoder.drain();
                break;
            };
            let whole = self.avc.append(&self.packet, &mut self.stream);
            let decoded = self.decoder.decode(&self.stream, time_us, whole);
            self.stream.clear();
            match decoded {
                Decoded::Picture(time_us) => return Ok(Some(self.since_first(time_us))),
                Decoded::Nothing => {}
                Decoded::Damaged => {
                    self.damaged += 1;
                    *seq += 1;
                }
            }
        }
        if let Some(time_us) = self.decoder.held() {
            return Ok(Some(self.since_first(time_us)));
        }
        let why = if self.damaged > 0 {
            format!("{} pictures could not be decoded", self.damaged)
        } else if let Some(why) = self.packets.missing() {
            why
        } else if *seq == 0 {
            "there is no picture in it".into()
        } else {
            return Ok(None);
        };
        Err(DriverError::Truncated { path: path.to_path_buf(), why })
    }

    fn since_first(&mut self, time_us: i64) -> Micros {
        let first_us = *self.first_us.get_or_insert(time_us);
        Micros(time_us.saturating_sub(first_us).max(0).cast_unsigned())
    }
}
