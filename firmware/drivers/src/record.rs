//! Pictures as others can play and show them: a clip in MP4 (H.264 by openh264, whose decoder is here anyway), a snapshot in JPEG.
//!
//! What is recorded is what the model got, so a recording shows what an event rests on: letter-boxed pictures of the pack's size, in
//! patch order, are cut to the patches that show the scene and kept as 4:2:0 planes, half of what RGB takes.

use std::num::NonZeroU32;

use jpeg_encoder::{ImageBuffer, JpegColorType};
use ocelli_types::{Content, Micros, PatchGrid, SizePx};
use openh264::OpenH264API;
use openh264::encoder::{
    Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::YUVSlices;
use shiguredo_mp4::TrackKind;
use shiguredo_mp4::bitstream::h264::{
    H264NalUnitType, H264SampleEntryConfig, LengthSize, build_avc1_box_from_annexb, parse_annexb_nal_units,
};
use shiguredo_mp4::boxes::SampleEntry;
use shiguredo_mp4::mux::{Mp4FileMuxer, Mp4FileMuxerOptions, Sample, estimate_maximum_moov_box_size};

/// What the encoder holds for pictures of 224x224. Measured: a run that records the demonstration clip has 3.7 MiB more of its own at its
/// peak, of which 1.2 are pictures on their way and before the event.
pub const ENCODER_BYTES: u64 = 3 << 20;

/// One picture in so many stands alone, so that a player can jump.
const ALONE_EVERY: u32 = 25;

/// Times in a clip are milliseconds.
const TIMESCALE: NonZeroU32 = NonZeroU32::new(1000).expect("it is not zero");

/// How long the last picture stays, and one whose time is no later than that of the one before.
const LAST_MS: u32 = 200;

/// Of JPEG, 1 to 100.
const QUALITY: u8 = 80;

/// Why nothing is recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The encoder refuses.
    #[error("the H.264 encoder refuses: {0}")]
    Encoder(String),
    /// The file cannot be put together.
    #[error("the clip cannot be put together: {0}")]
    Mux(String),
    /// The picture cannot be encoded.
    #[error("the snapshot cannot be made: {0}")]
    Jpeg(String),
}

/// A picture as it is kept until something happens: planes of 4:2:0 in the full range of BT.601, as JPEG has them.
#[derive(Clone, Debug, Default)]
pub struct Still {
    size_px: SizePx,
    /// `[height][width]`, then twice `[height / 2][width / 2]`.
    bytes: Vec<u8>,
}

impl Still {
    /// Bytes of one at most.
    pub const fn bytes(grid: PatchGrid) -> usize {
        grid.input_px() * grid.input_px() * 3 / 2
    }

    /// Takes a picture in patch order, `[patches][row][column][channel]`, as far as it shows the scene. `false` where there is nothing
    /// of it. Memory is kept from picture to picture.
    pub fn take(&mut self, grid: PatchGrid, pixels: &[u8], content: Content) -> bool {
        let side = grid.patch_px;
        let (x1, y1) = (content.x1.min(grid.side), content.y1.min(grid.side));
        let across = (x1.saturating_sub(content.x0) * side) & !1;
        let down = (y1.saturating_sub(content.y0) * side) & !1;
        if across == 0 || down == 0 || pixels.len() != grid.bytes() {
            return false;
        }
        let at = |x: usize, y: usize| {
            let (x, y) = (x + content.x0 * side, y + content.y0 * side);
            let patch = y / side * grid.side + x / side;
            let at = patch * grid.patch_bytes() + (y % side * side + x % side) * 3;
            [i32::from(pixels[at]), i32::from(pixels[at + 1]), i32::from(pixels[at + 2])]
        };
        self.size_px = SizePx::new(across as u32, down as u32);
        self.bytes.clear();
        self.bytes.reserve_exact(across * down * 3 / 2);
        for y in 0..down {
            self.bytes.extend((0..across).map(|x| luma(at(x, y))));
        }
        for chroma in [blue as fn([i32; 3]) -> u8, red] {
            for y in (0..down).step_by(2) {
                self.bytes.extend((0..across).step_by(2).map(|x| {
                    let four = [at(x, y), at(x + 1, y), at(x, y + 1), at(x + 1, y + 1)];
                    chroma([0, 1, 2].map(|channel| (four.iter().map(|pixel| pixel[channel]).sum::<i32>() + 2) / 4))
                }));
            }
        }
        true
    }

    /// Its size.
    pub const fn size_px(&self) -> SizePx {
        self.size_px
    }

    fn planes(&self) -> (&[u8], &[u8], &[u8]) {
        let area = self.size_px.area() as usize;
        let (y, chroma) = self.bytes.split_at(area);
        let (u, v) = chroma.split_at(area / 4);
        (y, u, v)
    }

    /// As JPEG.
    ///
    /// # Errors
    /// It has no size.
    pub fn jpeg(&self) -> Result<Vec<u8>, RecordError> {
        let mut jpeg = Vec::new();
        let encoded = jpeg_encoder::Encoder::new(&mut jpeg, QUALITY).encode_image(Planes(self));
        encoded.map_err(|error| RecordError::Jpeg(error.to_string()))?;
        Ok(jpeg)
    }
}

/// In 16 bits of fraction, from ITU-R BT.601.
fn luma([r, g, b]: [i32; 3]) -> u8 {
    ((19_595 * r + 38_470 * g + 7_471 * b + 32_768) >> 16) as u8
}

fn blue([r, g, b]: [i32; 3]) -> u8 {
    (((-11_058 * r - 21_710 * g + 32_768 * b + 32_767) >> 16) + 128).clamp(0, 255) as u8
}

fn red([r, g, b]: [i32; 3]) -> u8 {
    (((32_768 * r - 27_439 * g - 5_329 * b + 32_767) >> 16) + 128).clamp(0, 255) as u8
}

struct Planes<'a>(&'a Still);

impl ImageBuffer for Planes<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.0.size_px.width as u16
    }

    fn height(&self) -> u16 {
        self.0.size_px.height as u16
    }

    fn fill_buffers(&self, row: u16, buffers: &mut [Vec<u8>; 4]) {
        let ((y, u, v), across, row) = (self.0.planes(), self.0.size_px.width as usize, usize::from(row));
        buffers[0].extend_from_slice(&y[row * across..(row + 1) * across]);
        for (to, from) in buffers[1..].iter_mut().zip([u, v]) {
            let half = &from[row / 2 * (across / 2)..(row / 2 + 1) * (across / 2)];
            to.extend(half.iter().flat_map(|value| [value, value]));
        }
    }
}

/// A clip that grows: the file is whole after [`finish`](Self::finish), with its index before its pictures.
pub struct ClipWriter {
    encoder: Encoder,
    muxer: Mp4FileMuxer,
    size_px: SizePx,
    file: Vec<u8>,
    /// The newest picture, whose duration is not known yet.
    last: Option<(Sample, Micros)>,
}

impl ClipWriter {
    /// A clip of `pictures` at most, of which `fps` come a second.
    ///
    /// # Errors
    /// The encoder refuses.
    pub fn new(size_px: SizePx, pictures: usize, fps: f32) -> Result<Self, RecordError> {
        let config = EncoderConfig::new()
            .max_frame_rate(FrameRate::from_hz(fps))
            // Of a fixed quality: who records bounds the bytes, and rate control may leave pictures out.
            .rate_control_mode(RateControlMode::Off)
            .usage_type(UsageType::CameraVideoRealTime)
            .intra_frame_period(IntraFramePeriod::from_num_frames(ALONE_EVERY))
            .vui(VuiConfig::bt601().full_range(true))
            .skip_frames(false)
            .num_threads(1);
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config);
        let encoder = encoder.map_err(|error| RecordError::Encoder(error.to_string()))?;
        let reserved_moov_box_size = estimate_maximum_moov_box_size(&[pictures]);
        let muxer = Mp4FileMuxer::with_options(Mp4FileMuxerOptions { reserved_moov_box_size, ..Default::default() });
        let muxer = muxer.map_err(|error| RecordError::Mux(error.to_string()))?;
        let file = muxer.initial_boxes_bytes().to_vec();
        Ok(Self { encoder, muxer, size_px, file, last: None })
    }

    /// Size of its pictures.
    pub const fn size_px(&self) -> SizePx {
        self.size_px
    }

    /// Bytes so far.
    pub const fn file_bytes(&self) -> usize {
        self.file.len()
    }

    /// Adds a picture of this time, which is one of the clip's size.
    ///
    /// # Errors
    /// The encoder refuses.
    pub fn add(&mut self, still: &Still, at_us: Micros) -> Result<(), RecordError> {
        let mux = |error: &dyn std::fmt::Display| RecordError::Mux(error.to_string());
        if still.size_px != self.size_px {
            return Err(RecordError::Encoder("a picture has another size".into()));
        }
        let (across, down) = (self.size_px.width as usize, self.size_px.height as usize);
        let picture = YUVSlices::new(still.planes(), (across, down), (across, across / 2, across / 2));
        let encoded = self.encoder.encode(&picture).map_err(|error| RecordError::Encoder(error.to_string()))?;
        let keyframe = matches!(encoded.frame_type(), FrameType::IDR);
        let stream = encoded.to_vec();
        if stream.is_empty() {
            return Ok(());
        }
        let sample_entry = if self.last.is_none() {
            let config = H264SampleEntryConfig { length_size: LengthSize::FourBytes };
            Some(SampleEntry::Avc1(build_avc1_box_from_annexb(&stream, &config).map_err(|error| mux(&error))?))
        } else {
            None
        };
        let begins = self.file.len();
        for unit in parse_annexb_nal_units(&stream).map_err(|error| mux(&error))? {
            // Parameter sets stand in the file's index.
            if !matches!(unit.nal_unit_type, H264NalUnitType::Sps | H264NalUnitType::Pps) {
                self.file.extend_from_slice(&(unit.data.len() as u32).to_be_bytes());
                self.file.extend_from_slice(unit.data);
            }
        }
        let sample = Sample {
            track_kind: TrackKind::Video,
            sample_entry,
            keyframe,
            timescale: TIMESCALE,
            duration: LAST_MS,
            composition_time_offset: None,
            data_offset: begins as u64,
            data_size: self.file.len() - begins,
        };
        if let Some((mut before, before_us)) = self.last.replace((sample, at_us)) {
            before.duration = u32::try_from(at_us.since(before_us).0 / 1000).unwrap_or(LAST_MS).max(1);
            self.muxer.append_sample(&before).map_err(|error| mux(&error))?;
        }
        Ok(())
    }

    /// The file.
    ///
    /// # Errors
    /// There is no picture in it.
    pub fn finish(mut self) -> Result<Vec<u8>, RecordError> {
        let mux = |error: &dyn std::fmt::Display| RecordError::Mux(error.to_string());
        let (last, _) = self.last.take().ok_or_else(|| mux(&"it has no picture"))?;
        self.muxer.append_sample(&last).map_err(|error| mux(&error))?;
        let boxes = self.muxer.finalize().map_err(|error| mux(&error))?;
        for (offset, bytes) in boxes.offset_and_bytes_pairs() {
            let (from, to) = (offset as usize, offset as usize + bytes.len());
            self.file.resize(self.file.len().max(to), 0);
            self.file[from..to].copy_from_slice(bytes);
        }
        Ok(self.file)
    }
}

#[cfg(test)]
mod tests {
    use ocelli_types::{FrameSource as _, Pixels};

    use super::*;
    use crate::Clip;

    fn grid() -> PatchGrid {
        PatchGrid::new(224, 14).expect("it comes out even")
    }

    /// A picture of one colour with a white square at `x`, in patch order.
    fn picture(colour: [u8; 3], x: usize) -> Vec<u8> {
        let (grid, mut pixels) = (grid(), vec![0; grid().bytes()]);
        for y in 0..224 {
            for column in 0..224 {
                let white = (x..x + 40).contains(&column) && (100..140).contains(&y);
                let patch = y / 14 * grid.side + column / 14;
                let at = patch * grid.patch_bytes() + (y % 14 * 14 + column % 14) * 3;
                pixels[at..at + 3].copy_from_slice(&if white { [255; 3] } else { colour });
            }
        }
        pixels
    }

    /// Of 4:3: two rows of patches above and below show nothing of the scene.
    const CONTENT: Content = Content { x0: 0, x1: 16, y0: 2, y1: 14 };

    fn still(colour: [u8; 3], x: usize) -> Still {
        let mut still = Still::default();
        assert!(still.take(grid(), &picture(colour, x), CONTENT));
        still
    }

    /// Luma of a picture that a clip gives, at a place.
    fn at(pixels: &Pixels<'_>, x: usize, y: usize) -> i32 {
        let Pixels::I420 { y: luma, y_stride, .. } = pixels else { panic!("planes") };
        i32::from(luma[y * *y_stride as usize + x])
    }

    #[test]
    fn a_clip_is_played_with_its_times_and_what_was_seen() {
        let mut clip = ClipWriter::new(SizePx::new(224, 168), 100, 5.0).expect("it encodes");
        let times_ms = [0, 200, 400, 1400, 1600];
        for (index, ms) in times_ms.into_iter().enumerate() {
            clip.add(&still([200, 30, 30], 20 * index), Micros(7_000_000 + ms * 1000)).expect("a picture");
        }
        assert!(clip.add(&Still::default(), Micros(0)).is_err(), "of another size");
        let file = clip.finish().expect("it has pictures");
        let (moov, mdat) = (find(&file, *b"moov"), find(&file, *b"mdat"));
        assert!(moov < mdat, "a player may begin before it has all");
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("clip.mp4");
        std::fs::write(&path, &file).expect("there is room");
        let mut played = Clip::open(&path).expect("we play it ourselves");
        let mut times = Vec::new();
        while let Some(frame) = played.next().expect("it is whole") {
            assert_eq!((frame.size_px, frame.range), (SizePx::new(224, 168), ocelli_types::PixelRange::Full));
            let x = 20 * times.len();
            assert!(at(&frame.pixels, x + 20, 92) > 230, "the square is where it was");
            assert!((at(&frame.pixels, (x + 120) % 224, 30) - i32::from(luma([200, 30, 30]))).abs() < 12);
            times.push(frame.captured_us.0 / 1000);
        }
        assert_eq!(times, times_ms);
        let empty = ClipWriter::new(SizePx::new(224, 168), 1, 5.0).expect("it encodes");
        assert!(empty.finish().is_err(), "without a picture it is none");
    }

    fn find(file: &[u8], name: [u8; 4]) -> usize {
        file.windows(4).position(|four| four == name).expect("there is one")
    }

    /// Who records looks at the size after each picture.
    #[test]
    fn a_picture_of_noise_is_no_larger_than_without_encoding() {
        let mut clip = ClipWriter::new(SizePx::new(224, 168), 300, 5.0).expect("it encodes");
        let mut before = clip.file_bytes();
        let (mut noise, mut seed) = (picture([0; 3], 0), 1_u32);
        for index in 0..10_u64 {
            for byte in &mut noise {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (seed >> 24) as u8;
            }
            let mut still = Still::default();
            assert!(still.take(grid(), &noise, CONTENT));
            clip.add(&still, Micros(index * 200_000)).expect("a picture");
            let more = clip.file_bytes() - before;
            assert!(more > 0 && more < Still::bytes(grid()), "{more}");
            before = clip.file_bytes();
        }
    }

    #[test]
    fn a_snapshot_is_a_jpeg_of_the_scene_alone() {
        let jpeg = still([200, 30, 30], 60).jpeg().expect("it has a size");
        let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(&jpeg));
        let pixels = decoder.decode().expect("it is JPEG");
        assert_eq!(decoder.dimensions(), Some((224, 168)));
        let of = |x: usize, y: usize| &pixels[(y * 224 + x) * 3..][..3];
        assert!(of(80, 90).iter().all(|channel| *channel > 235), "{:?}", of(80, 90));
        let red: Vec<i32> = of(200, 10).iter().map(|channel| i32::from(*channel)).collect();
        assert!((red[0] - 200).abs() < 12 && (red[1] - 30).abs() < 12 && (red[2] - 30).abs() < 12, "{red:?}");
        assert!(jpeg.len() < 20_000, "{}", jpeg.len());
        assert!(Still::default().jpeg().is_err());
    }

    #[test]
    fn what_shows_nothing_of_a_scene_is_not_taken() {
        let mut still = Still::default();
        let none = Content { x0: 4, x1: 4, y0: 0, y1: 16 };
        assert!(!still.take(grid(), &picture([9; 3], 0), none));
        assert!(!still.take(grid(), &[0; 12], CONTENT), "of another grid");
    }
}
