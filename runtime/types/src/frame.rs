//! A picture as a source lends it: borrowed, in the source's own pixel format.

use crate::{FrameSeq, Micros};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SizePx {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl SizePx {
    /// `width x height`.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels.
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

impl core::fmt::Display for SizePx {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Whether 8-bit luma spans 16..=235 or 0..=255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PixelRange {
    /// 16..=235, the rule for video.
    #[default]
    Limited,
    /// 0..=255, as in JPEG.
    Full,
}

/// Which coefficients turn YUV into RGB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorMatrix {
    /// Standard definition, and what webcams send.
    #[default]
    Bt601,
    /// High definition.
    Bt709,
}

/// Borrowed pixels. Strides are in bytes and may exceed the row.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// Packed 4:2:2, Y0 U Y1 V.
    Yuyv {
        /// `height * stride` bytes.
        data: &'a [u8],
        /// Bytes from row to row.
        stride: u32,
    },
    /// 4:2:0 with interleaved chroma.
    Nv12 {
        /// Luma plane.
        y: &'a [u8],
        /// Interleaved U, V at half size.
        uv: &'a [u8],
        /// Bytes from luma row to luma row.
        y_stride: u32,
        /// Bytes from chroma row to chroma row.
        uv_stride: u32,
    },
    /// 4:2:0 in three planes.
    I420 {
        /// Luma plane.
        y: &'a [u8],
        /// Blue-difference plane at half size.
        u: &'a [u8],
        /// Red-difference plane at half size.
        v: &'a [u8],
        /// Bytes from luma row to luma row.
        y_stride: u32,
        /// Bytes from chroma row to chroma row (both planes).
        uv_stride: u32,
    },
    /// Packed red, green, blue.
    Rgb {
        /// `height * stride` bytes.
        data: &'a [u8],
        /// Bytes from row to row.
        stride: u32,
    },
    /// One channel (infrared cameras).
    Gray {
        /// `height * stride` bytes.
        data: &'a [u8],
        /// Bytes from row to row.
        stride: u32,
    },
    /// One whole JPEG picture, cut to the bytes used.
    Jpeg(&'a [u8]),
}

/// One picture, lent by a [`FrameSource`](crate::FrameSource) until its next call.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The pixels, in the source's format.
    pub pixels: Pixels<'a>,
    /// Picture size; for JPEG the negotiated size, the header decides.
    pub size_px: SizePx,
    /// Luma range of YUV formats.
    pub range: PixelRange,
    /// Matrix of YUV formats.
    pub matrix: ColorMatrix,
    /// Count kept by the source; a gap means frames lost before they reached us.
    pub seq: FrameSeq,
    /// Capture time since the start of the stream.
    pub captured_us: Micros,
}
