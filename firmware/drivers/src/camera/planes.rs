//! Pictures that a source keeps itself, and how it lends them.

use ocelli_types::{ColorMatrix, Frame, FrameSeq, Micros, PixelRange, Pixels, SizePx};

/// How the bytes of a [`Picture`] are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    I420,
    Gray,
    Yuyv,
    Rgb,
    Jpeg,
}

impl Layout {
    /// Bytes of a picture without padding; a JPEG has no fixed size.
    pub fn bytes(self, size_px: SizePx) -> u64 {
        let half_width = u64::from(size_px.width.div_ceil(2));
        match self {
            Self::I420 => size_px.area() + 2 * half_width * u64::from(size_px.height.div_ceil(2)),
            Self::Gray => size_px.area(),
            Self::Yuyv => half_width * 4 * u64::from(size_px.height),
            Self::Rgb => size_px.area() * 3,
            Self::Jpeg => 0,
        }
    }
}

/// The last picture of a source, without padding between rows.
#[derive(Debug)]
pub(super) struct Picture {
    pub layout: Layout,
    pub size_px: SizePx,
    pub range: PixelRange,
    pub matrix: ColorMatrix,
    pub bytes: Vec<u8>,
}

impl Picture {
    pub fn lend(&self, seq: FrameSeq, captured_us: Micros) -> Frame<'_> {
        let SizePx { width, height } = self.size_px;
        let data = &self.bytes[..];
        let pixels = match self.layout {
            Layout::I420 => {
                let (y, chroma) = data.split_at(self.size_px.area() as usize);
                let (u, v) = chroma.split_at(chroma.len() / 2);
                Pixels::I420 { y, u, v, y_stride: width, uv_stride: width.div_ceil(2) }
            }
            Layout::Gray => Pixels::Gray { data, stride: width },
            Layout::Yuyv => Pixels::Yuyv { data, stride: width.div_ceil(2) * 4 },
            Layout::Rgb => Pixels::Rgb { data, stride: width * 3 },
            Layout::Jpeg => Pixels::Jpeg(data),
        };
        let size_px = SizePx::new(width, height);
        Frame { pixels, size_px, range: self.range, matrix: self.matrix, seq, captured_us }
    }
}

/// The matrix of a stream that does not name one: high definition from 720 lines up.
pub(super) fn usual_matrix(size_px: SizePx) -> ColorMatrix {
    if size_px.height >= 720 { ColorMatrix::Bt709 } else { ColorMatrix::Bt601 }
}
