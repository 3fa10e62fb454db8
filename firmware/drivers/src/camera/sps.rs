//! The few facts of an H.264 sequence parameter set that decide whether and how we decode.

use ocelli_types::{ColorMatrix, PixelRange, SizePx};

/// What the sequence parameter set says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    pub profile: u8,
    pub chroma_format: u32,
    pub bit_depth: u32,
    pub progressive: bool,
    /// Coded size; cropping may take up to 15 pixels off.
    pub coded_px: SizePx,
    pub range: Option<PixelRange>,
    pub matrix: Option<ColorMatrix>,
}

impl Sps {
    /// The first one in a stream with start codes.
    pub fn find(stream: &[u8]) -> Option<Self> {
        let starts = stream.windows(3).enumerate().filter(|(_, three)| *three == [0, 0, 1]).map(|(at, _)| at + 3);
        let mut starts = starts.peekable();
        while let Some(start) = starts.next() {
            let end = starts.peek().map_or(stream.len(), |next| next - 3);
            if let Some(sps) = Self::parse(&stream[start..end]) {
                return Some(sps);
            }
        }
        None
    }

    /// Reads a NAL unit, header byte included; `None` if it is cut short or no parameter set.
    pub fn parse(nal: &[u8]) -> Option<Self> {
        if nal.first()? & 0x1f != 7 {
            return None;
        }
        let payload = without_escapes(&nal[1..]);
        let mut bits = Bits { bytes: &payload, at: 0 };
        let profile = bits.take(8)? as u8;
        bits.take(16)?;
        bits.unsigned()?;
        let (mut chroma_format, mut bit_depth) = (1, 8);
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            chroma_format = bits.unsigned()?;
            if chroma_format == 3 {
                bits.take(1)?;
            }
            bit_depth = 8 + bits.unsigned()?.max(bits.unsigned()?);
            bits.take(1)?;
            if bits.take(1)? == 1 {
                skip_scaling_lists(&mut bits, chroma_format)?;
            }
        }
        bits.unsigned()?;
        match bits.unsigned()? {
            0 => drop(bits.unsigned()?),
            1 => skip_order_cycle(&mut bits)?,
            _ => {}
        }
        bits.unsigned()?;
        bits.take(1)?;
        let width_mb = bits.unsigned()?.checked_add(1)?;
        let map_rows = bits.unsigned()?.checked_add(1)?;
        let progressive = bits.take(1)? == 1;
        if !progressive {
            bits.take(1)?;
        }
        let height_mb = map_rows.checked_mul(if progressive { 1 } else { 2 })?;
        bits.take(1)?;
        if bits.take(1)? == 1 {
            (0..4).try_for_each(|_| bits.unsigned().map(drop))?;
        }
        let (range, matrix) = video_signal(&mut bits).unwrap_or_default();
        let coded_px = SizePx::new(width_mb.checked_mul(16)?, height_mb.checked_mul(16)?);
        Some(Self { profile, chroma_format, bit_depth, progressive, coded_px, range, matrix })
    }
}

/// The start of the usability information: aspect ratio, overscan, then the colours.
fn video_signal(bits: &mut Bits<'_>) -> Option<(Option<PixelRange>, Option<ColorMatrix>)> {
    if bits.take(1)? == 0 {
        return None;
    }
    if bits.take(1)? == 1 && bits.take(8)? == 255 {
        bits.take(32)?;
    }
    if bits.take(1)? == 1 {
        bits.take(1)?;
    }
    if bits.take(1)? == 0 {
        return None;
    }
    bits.take(3)?;
    let range = if bits.take(1)? == 1 { PixelRange::Full } else { PixelRange::Limited };
    let matrix = match bits.take(1)? {
        1 => matrix_of(bits.take(24)? & 0xff),
        _ => None,
    };
    Some((Some(range), matrix))
}

/// The matrix of a code point of ISO/IEC 23091-2.
pub(super) fn matrix_of(code: u32) -> Option<ColorMatrix> {
    match code {
        1 => Some(ColorMatrix::Bt709),
        5 | 6 => Some(ColorMatrix::Bt601),
        _ => None,
    }
}

fn skip_scaling_lists(bits: &mut Bits<'_>, chroma_format: u32) -> Option<()> {
    for list in 0..if chroma_format == 3 { 12 } else { 8 } {
        if bits.take(1)? == 0 {
            continue;
        }
        let (mut last, mut next) = (8i32, 8i32);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = last.wrapping_add(bits.signed()?) & 0xff;
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

fn skip_order_cycle(bits: &mut Bits<'_>) -> Option<()> {
    bits.take(1)?;
    bits.signed()?;
    bits.signed()?;
    let count = bits.unsigned()?;
    (0..count).try_for_each(|_| bits.signed().map(drop))
}

/// Removes the bytes that keep start codes out of the payload.
fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// Exponential Golomb code.
    fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        Some((1u32 << zeros) - 1 + self.take(zeros)?)
    }

    fn signed(&mut self) -> Option<i32> {
        let code = self.unsigned()?;
        let half = u64::from(code).div_ceil(2);
        Some(if code % 2 == 1 { half as i32 } else { (half as i32).wrapping_neg() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_parameter_set_or_none(bytes in any::<Vec<u8>>()) {
            let set = [&[0x67][..], &bytes].concat();
            if let Some(sps) = Sps::parse(&set) {
                // What decides whether it is decoded at all.
                prop_assert!(sps.coded_px.width.is_multiple_of(16) && sps.coded_px.height.is_multiple_of(16));
            }
        }
    }

    #[test]
    fn a_parameter_set_of_x264_is_understood() {
        // 640x480, High, `-color_range pc -colorspace bt709`.
        let nal =
            [0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x3d, 0xa1, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00];
        let sps = Sps::parse(&nal).expect("the set is whole up to the size");
        assert_eq!((sps.profile, sps.chroma_format, sps.bit_depth, sps.progressive), (100, 1, 8, true));
        assert_eq!(sps.coded_px, SizePx::new(640, 480));
    }

    #[test]
    fn a_set_is_found_between_start_codes() {
        let nal = [0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x3d, 0xa1, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00];
        let stream = [&[0, 0, 0, 1, 0x09, 0xf0, 0, 0, 0, 1][..], &nal, &[0, 0, 1, 0x68, 0xeb]].concat();
        assert_eq!(Sps::find(&stream).map(|sps| sps.coded_px), Some(SizePx::new(640, 480)));
        assert_eq!((Sps::find(&stream[..10]), Sps::find(&nal), Sps::find(&[])), (None, None, None));
    }

    #[test]
    fn short_and_foreign_units_are_none() {
        assert_eq!(Sps::parse(&[]), None);
        assert_eq!(Sps::parse(&[0x68, 1, 2]), None);
        assert_eq!(Sps::parse(&[0x67, 0x64, 0, 0x1e]), None);
        assert_eq!(Sps::parse(&[0x67, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
