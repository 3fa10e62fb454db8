//! H.264 by openh264: packets with start codes in, pictures in the order of their times out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ocelli_types::{ColorMatrix, PixelRange, SizePx};
use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

use super::planes::{Layout, Picture, usual_matrix};
use super::sps::Sps;

/// The largest picture that openh264 decodes (level 5.2).
const MAX_MACROBLOCKS: u64 = 36_864;

/// The decoder holds at most 16 pictures, and one goes in. What is older has no picture: it was lost inside.
const MOST_TIMES: usize = 17;

/// What keeps openh264 from decoding this stream.
pub(super) fn beyond_openh264(sps: &Sps) -> Option<&'static str> {
    if sps.coded_px.area() / 256 > MAX_MACROBLOCKS {
        Some("its H.264 picture is larger than the built-in decoder takes (4096x2304)")
    } else if !sps.progressive {
        Some("its H.264 is interlaced")
    } else if sps.chroma_format > 1 || sps.bit_depth > 8 {
        Some("its H.264 is not 8-bit 4:2:0")
    } else {
        None
    }
}

/// What came of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// [`H264::picture`] is of this time.
    Picture(i64),
    /// The packet gave no picture yet.
    Nothing,
    /// It could not be decoded.
    Damaged,
}

/// A decoder, and the picture that it gave last.
pub(super) struct H264 {
    decoder: Decoder,
    /// Presentation times of the packets that are inside the decoder, which hands pictures out in that order.
    times_us: BinaryHeap<Reverse<i64>>,
    matrix: Option<ColorMatrix>,
    /// Pictures that the decoder still held at the end, last first.
    held: Vec<(SizePx, Vec<u8>)>,
    pub picture: Picture,
}

impl H264 {
    /// A decoder of a stream with these colours; where there are none, the usual ones.
    ///
    /// # Errors
    /// In openh264's words.
    pub fn new(range: Option<PixelRange>, matrix: Option<ColorMatrix>) -> Result<Self, String> {
        // Flushing after each packet, the default, would give up pictures that wait for their turn behind B-frames.
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder =
            Decoder::with_api_config(OpenH264API::from_source(), config).map_err(|error| error.to_string())?;
        let (layout, size_px, bytes) = (Layout::I420, SizePx::default(), Vec::new());
        let (range, usual) = (range.unwrap_or_default(), matrix.unwrap_or_default());
        let picture = Picture { layout, size_px, range, matrix: usual, bytes };
        Ok(Self { decoder, times_us: BinaryHeap::new(), matrix, held: Vec::new(), picture })
    }

    /// The colours of pictures from now on.
    pub fn recolour(&mut self, range: Option<PixelRange>, matrix: Option<ColorMatrix>) {
        (self.picture.range, self.matrix) = (range.unwrap_or_default(), matrix);
    }

    /// Decodes a packet of this time; of one that is not `whole` no picture is waited for.
    pub fn decode(&mut self, stream: &[u8], time_us: i64, whole: bool) -> Decoded {
        match self.decoder.decode(stream) {
            Ok(Some(yuv)) => {
                copy(&yuv, self.matrix, &mut self.picture);
                self.times_us.push(Reverse(time_us));
                Decoded::Picture(self.time_us())
            }
            Ok(None) if whole => {
                self.times_us.push(Reverse(time_us));
                if self.times_us.len() > MOST_TIMES {
                    self.time_us();
                }
                Decoded::Nothing
            }
            Ok(None) | Err(_) => Decoded::Damaged,
        }
    }

    /// Takes the last pictures out of the decoder, which holds at most 16, for [`held`](Self::held); gives how many were lost.
    pub fn drain(&mut self) -> u64 {
        let Ok(rest) = self.decoder.flush_remaining() else { return self.times_us.len() as u64 };
        for yuv in rest.iter().rev() {
            copy(yuv, self.matrix, &mut self.picture);
            self.held.push((self.picture.size_px, std::mem::take(&mut self.picture.bytes)));
        }
        0
    }

    /// The next of the last pictures is in its place, and of this time.
    pub fn held(&mut self) -> Option<i64> {
        (self.picture.size_px, self.picture.bytes) = self.held.pop()?;
        Some(self.time_us())
    }

    /// The earliest time that is still due.
    fn time_us(&mut self) -> i64 {
        self.times_us.pop().map_or(0, |Reverse(time_us)| time_us)
    }
}

/// Decodes whatever a camera of the network may send; a packet begins with a start code of four bytes.
///
/// # Panics
/// That is what a fuzzer looks for.
pub fn fuzzed(stream: &[u8]) {
    let mut decoder = H264::new(None, None).expect("it should start");
    let starts = stream.windows(4).enumerate().filter(|(_, four)| *four == [0, 0, 0, 1]).map(|(at, _)| at);
    let mut ends = starts.clone().skip(1).chain([stream.len()]);
    for (start, time_us) in starts.zip(0..) {
        let packet = &stream[start..ends.next().unwrap_or(stream.len())];
        match Sps::find(packet) {
            Some(sps) if beyond_openh264(&sps).is_some() => return,
            Some(sps) => decoder.recolour(sps.range, sps.matrix),
            None => {}
        }
        if decoder.decode(packet, time_us, true) == Decoded::Damaged {
            return;
        }
    }
    decoder.drain();
    while decoder.held().is_some() {}
}

/// The decoder's picture without the padding of its rows.
fn copy(yuv: &DecodedYUV<'_>, matrix: Option<ColorMatrix>, picture: &mut Picture) {
    let (width, height) = yuv.dimensions();
    let (y_stride, u_stride, v_stride) = yuv.strides();
    picture.size_px = SizePx::new(width as u32, height as u32);
    picture.matrix = matrix.unwrap_or_else(|| usual_matrix(picture.size_px));
    picture.bytes.clear();
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let planes = [
        (yuv.y(), y_stride, width, height),
        (yuv.u(), u_stride, half_width, half_height),
        (yuv.v(), v_stride, half_width, half_height),
    ];
    for (plane, stride, width, height) in planes {
        for row in plane.chunks(stride).take(height) {
            picture.bytes.extend_from_slice(&row[..width]);
        }
    }
}
