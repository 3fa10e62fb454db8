//! Any picture to the model's input: resized with its aspect kept, letter-boxed in grey, in patch order.
//!
//! YUV planes are shrunk before the colours are converted: at 1280x720 that leaves a thirtieth of the pixels to
//! convert. The filter is a triangle as wide as the shrinking asks for (antialiased), like the one used in training.

use std::io::Cursor;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x2, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use ocelli_types::{ColorMatrix, Content, Frame, PatchGrid, PixelRange, Pixels, SizePx};
use yuv::{YuvGrayImage, YuvPackedImage, YuvPlanarImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::DriverError;

/// The largest side of a picture.
pub const MAX_SIDE_PX: u32 = 16_384;

/// The most pixels of a picture, 8192x8192; uncompressed it takes 100 MB.
pub(crate) const MAX_AREA: u64 = 1 << 26;

/// Fits pictures into the letter-boxed square of a [`PatchGrid`]; its buffers are kept from frame to frame.
#[derive(Debug)]
pub struct Fitter {
    grid: PatchGrid,
    grey: u8,
    resizer: Resizer,
    /// Rows without padding, `[height][width][channels]`, where the source has odd strides.
    tight: Vec<u8>,
    /// Planes or decoded JPEG at source size.
    full: Vec<u8>,
    /// Shrunk planes, one after the other, `[content height][content width]` each.
    small: Vec<u8>,
    /// The picture at content size, `[content height][content width][3]`.
    rgb: Vec<u8>,
}

/// Where the picture lies in the square input.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "units belong in names")]
struct Place {
    left_px: usize,
    top_px: usize,
    size_px: SizePx,
}

/// One plane or packed picture of 8-bit channels.
#[derive(Clone, Copy)]
struct Plane<'a> {
    data: &'a [u8],
    stride: u32,
    size_px: SizePx,
}

impl Fitter {
    /// A fitter for `grid`, with bars of `letterbox_grey` (0 to 255) where the picture is not square.
    pub fn new(grid: PatchGrid, letterbox_grey: u8) -> Self {
        Self {
            grid,
            grey: letterbox_grey,
            resizer: Resizer::new(),
            tight: Vec::new(),
            full: Vec::new(),
            small: Vec::new(),
            rgb: Vec::new(),
        }
    }

    /// Writes `frame` as `[patches][row][column][channel]` and says which patches show it.
    ///
    /// # Errors
    /// A picture of no size, of more than 16384 pixels a side, with fewer bytes than its size says, or a JPEG that
    /// does not decode.
    ///
    /// # Panics
    /// If `out` is not [`PatchGrid::bytes`] long.
    pub fn fit(&mut self, frame: &Frame<'_>, out: &mut [u8]) -> Result<Content, DriverError> {
        assert_eq!(out.len(), self.grid.bytes(), "the output should hold one picture in patch order");
        let size_px = match frame.pixels {
            // The size of a JPEG is in its header.
            Pixels::Jpeg(bytes) => self.decode_jpeg(bytes)?,
            _ => frame.size_px,
        };
        check_size(size_px)?;
        let place = self.place(size_px);
        match frame.pixels {
            Pixels::I420 { y, u, v, y_stride, uv_stride } => {
                let half = half(frame.size_px);
                let planes = [
                    Plane { data: y, stride: y_stride, size_px: frame.size_px },
                    Plane { data: u, stride: uv_stride, size_px: half },
                    Plane { data: v, stride: uv_stride, size_px: half },
                ];
                self.shrink_planes(planes, place.size_px)?;
                self.planes_to_rgb(frame, place.size_px)?;
            }
            Pixels::Nv12 { y, uv, y_stride, uv_stride } => {
                self.shrink_nv12(frame.size_px, (y, y_stride), (uv, uv_stride), place.size_px)?;
                self.planes_to_rgb(frame, place.size_px)?;
            }
            Pixels::Yuyv { data, stride } => {
                self.shrink_yuyv(frame.size_px, data, stride, place.size_px)?;
                self.planes_to_rgb(frame, place.size_px)?;
            }
            Pixels::Rgb { data, stride } => {
                let plane = Plane { data, stride, size_px: frame.size_px };
                self.shrink_rgb(plane, place.size_px)?;
            }
            Pixels::Gray { data, stride } => {
                let plane = Plane { data, stride, size_px: frame.size_px };
                self.small.resize(area(place.size_px), 0);
                shrink::<U8>(&mut self.resizer, &mut self.tight, plane, place.size_px, &mut self.small)?;
                self.gray_to_rgb(frame, place.size_px)?;
            }
            Pixels::Jpeg(_) => {
                let full = std::mem::take(&mut self.full);
                let data = &full[..area(size_px) * 3];
                let plane = Plane { data, stride: size_px.width * 3, size_px };
                let shrunk = self.shrink_rgb(plane, place.size_px);
                self.full = full;
                shrunk?;
            }
        }
        self.scatter(place, out);
        Ok(self.content(place))
    }

    /// Long side = the input; short side in proportion, at least 1; centred, rounding towards the top left.
    fn place(&self, size_px: SizePx) -> Place {
        let input = self.grid.input_px() as u64;
        let long = u64::from(size_px.width.max(size_px.height));
        let scaled = |side: u32| ((u64::from(side) * input * 2 + long) / (long * 2)).max(1) as u32;
        let size_px = SizePx::new(scaled(size_px.width), scaled(size_px.height));
        let offset = |side: u32| (self.grid.input_px() - side as usize) / 2;
        Place { left_px: offset(size_px.width), top_px: offset(size_px.height), size_px }
    }

    fn content(&self, place: Place) -> Content {
        let patch = self.grid.patch_px;
        Content {
            x0: place.left_px / patch,
            x1: (place.left_px + place.size_px.width as usize).div_ceil(patch),
            y0: place.top_px / patch,
            y1: (place.top_px + place.size_px.height as usize).div_ceil(patch),
        }
    }

    /// Three planes to content size, one after the other in `small`.
    fn shrink_planes(&mut self, planes: [Plane<'_>; 3], to: SizePx) -> Result<(), DriverError> {
        self.small.resize(area(to) * 3, 0);
        for (plane, small) in planes.into_iter().zip(self.small.chunks_exact_mut(area(to))) {
            shrink::<U8>(&mut self.resizer, &mut self.tight, plane, to, small)?;
        }
        Ok(())
    }

    /// Chroma is shrunk as a picture of two channels and parted when it is small.
    fn shrink_nv12(
        &mut self,
        size_px: SizePx,
        (y, y_stride): (&[u8], u32),
        (uv, uv_stride): (&[u8], u32),
        to: SizePx,
    ) -> Result<(), DriverError> {
        self.small.resize(area(to) * 3, 0);
        self.full.resize(area(to) * 2, 0);
        let (luma, chroma) = self.small.split_at_mut(area(to));
        let (u, v) = chroma.split_at_mut(area(to));
        let y = Plane { data: y, stride: y_stride, size_px };
        shrink::<U8>(&mut self.resizer, &mut self.tight, y, to, luma)?;
        let uv = Plane { data: uv, stride: uv_stride, size_px: half(size_px) };
        shrink::<U8x2>(&mut self.resizer, &mut self.tight, uv, to, &mut self.full)?;
        for ((pair, u), v) in self.full.chunks_exact(2).zip(u).zip(v) {
            (*u, *v) = (pair[0], pair[1]);
        }
        Ok(())
    }

    /// Packed 4:2:2 is parted into planes at full size first.
    fn shrink_yuyv(&mut self, size_px: SizePx, data: &[u8], stride: u32, to: SizePx) -> Result<(), DriverError> {
        let half = SizePx::new(size_px.width.div_ceil(2), size_px.height);
        let row = half.width * 4;
        check_rows(data, stride, row, size_px)?;
        let mut full = std::mem::take(&mut self.full);
        full.resize(area(size_px) + area(half) * 2, 0);
        let (y, chroma) = full.split_at_mut(area(size_px));
        let (u, v) = chroma.split_at_mut(area(half));
        let mut planes = YuvPlanarImageMut {
            y_plane: yuv::BufferStoreMut::Borrowed(y),
            y_stride: size_px.width,
            u_plane: yuv::BufferStoreMut::Borrowed(u),
            u_stride: half.width,
            v_plane: yuv::BufferStoreMut::Borrowed(v),
            v_stride: half.width,
            width: size_px.width,
            height: size_px.height,
        };
        let (data, stride) = tightened(data, stride, row as usize, size_px.height as usize, &mut self.tight);
        let packed = YuvPackedImage { yuy: data, yuy_stride: stride, width: size_px.width, height: size_px.height };
        let parted = yuv::yuyv422_to_yuv422(&mut planes, &packed).map_err(bad_picture);
        let shrunk = parted.and_then(|()| {
            let plane = |data, size_px: SizePx| Plane { data, stride: size_px.width, size_px };
            self.shrink_planes([plane(&*y, size_px), plane(&*u, half), plane(&*v, half)], to)
        });
        self.full = full;
        shrunk
    }

    fn shrink_rgb(&mut self, plane: Plane<'_>, to: SizePx) -> Result<(), DriverError> {
        self.rgb.resize(area(to) * 3, 0);
        shrink::<U8x3>(&mut self.resizer, &mut self.tight, plane, to, &mut self.rgb)
    }

    fn planes_to_rgb(&mut self, frame: &Frame<'_>, size_px: SizePx) -> Result<(), DriverError> {
        self.rgb.resize(area(size_px) * 3, 0);
        let (y, chroma) = self.small.split_at(area(size_px));
        let (u, v) = chroma.split_at(area(size_px));
        let SizePx { width, height } = size_px;
        let planes = YuvPlanarImage {
            y_plane: y,
            y_stride: width,
            u_plane: u,
            u_stride: width,
            v_plane: v,
            v_stride: width,
            width,
            height,
        };
        yuv::yuv444_to_rgb(&planes, &mut self.rgb, width * 3, range(frame), matrix(frame)).map_err(bad_picture)
    }

    fn gray_to_rgb(&mut self, frame: &Frame<'_>, size_px: SizePx) -> Result<(), DriverError> {
        self.rgb.resize(area(size_px) * 3, 0);
        let SizePx { width, height } = size_px;
        let gray = YuvGrayImage { y_plane: &self.small, y_stride: width, width, height };
        yuv::yuv400_to_rgb(&gray, &mut self.rgb, width * 3, range(frame), matrix(frame)).map_err(bad_picture)
    }

    /// Decodes into `full`, `[height][width][3]`; the header's size counts.
    fn decode_jpeg(&mut self, bytes: &[u8]) -> Result<SizePx, DriverError> {
        let options = DecoderOptions::new_fast()
            .set_max_width(MAX_SIDE_PX as usize)
            .set_max_height(MAX_SIDE_PX as usize)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
        decoder.decode_headers().map_err(bad_picture)?;
        let (width, height) = decoder.dimensions().ok_or_else(|| bad_picture("the JPEG has no size"))?;
        let size_px = SizePx::new(width as u32, height as u32);
        check_size(size_px)?;
        self.full.resize(area(size_px) * 3, 0);
        decoder.decode_into(&mut self.full).map_err(bad_picture)?;
        Ok(size_px)
    }

    /// The picture at its place between the bars, patch by patch.
    fn scatter(&self, place: Place, out: &mut [u8]) {
        out.fill(self.grey);
        let (patch, side) = (self.grid.patch_px, self.grid.side);
        let width = place.size_px.width as usize;
        for (row, pixels) in self.rgb.chunks_exact(width * 3).enumerate() {
            let y = place.top_px + row;
            let mut x = place.left_px;
            let mut rest = pixels;
            while !rest.is_empty() {
                let run = (patch - x % patch).min(rest.len() / 3);
                let (here, after) = rest.split_at(run * 3);
                let index = (y / patch) * side + x / patch;
                let start = index * self.grid.patch_bytes() + ((y % patch) * patch + x % patch) * 3;
                out[start..start + run * 3].copy_from_slice(here);
                (x, rest) = (x + run, after);
            }
        }
    }
}

/// Of one type of pixels: a resizer of whatever comes has megabytes of code for types that never do.
fn shrink<P: PixelTrait>(
    resizer: &mut Resizer,
    tight: &mut Vec<u8>,
    plane: Plane<'_>,
    to: SizePx,
    out: &mut [u8],
) -> Result<(), DriverError> {
    let Plane { data, stride, size_px } = plane;
    let channels = P::size() as u32;
    check_rows(data, stride, size_px.width * channels, size_px)?;
    let (rows, row_px) = (size_px.height as usize, stride / channels);
    let whole = stride % channels == 0 && data.len() >= stride as usize * rows;
    let (data, row_px) = if whole {
        (&data[..stride as usize * rows], row_px)
    } else {
        let (data, stride) = tightened(data, stride, (size_px.width * channels) as usize, rows, tight);
        (data, stride / channels)
    };
    let from = TypedImageRef::<P>::from_buffer(row_px, size_px.height, data).map_err(bad_picture)?;
    // A view, not a crop box: a crop box would let the filter see the padding beside the picture.
    let from = TypedCroppedImage::from_ref(&from, 0, 0, size_px.width, size_px.height).map_err(bad_picture)?;
    let mut small = TypedImage::<P>::from_buffer(to.width, to.height, out).map_err(bad_picture)?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    resizer.resize_typed(&from, &mut small, &options).map_err(bad_picture)
}

/// The rows without padding: as they are, if they have none, or copied to `tight`.
fn tightened<'a>(data: &'a [u8], stride: u32, row: usize, rows: usize, tight: &'a mut Vec<u8>) -> (&'a [u8], u32) {
    if stride as usize == row {
        return (&data[..row * rows], stride);
    }
    tight.clear();
    data.chunks(stride as usize).take(rows).for_each(|line| tight.extend_from_slice(&line[..row]));
    (tight, row as u32)
}

/// The last row may end where its pixels end.
fn check_rows(data: &[u8], stride: u32, row: u32, size_px: SizePx) -> Result<(), DriverError> {
    let needed = u64::from(stride) * u64::from(size_px.height - 1) + u64::from(row);
    if stride < row || (data.len() as u64) < needed {
        let why = format!("{size_px} with rows of {stride} bytes needs {needed} bytes, and {} came", data.len());
        return Err(DriverError::BadPicture { why });
    }
    Ok(())
}

fn check_size(size_px: SizePx) -> Result<(), DriverError> {
    match size_px {
        SizePx { width: 0, .. } | SizePx { height: 0, .. } => Err(bad_picture(format!("its size is {size_px}"))),
        SizePx { width, height } if width > MAX_SIDE_PX || height > MAX_SIDE_PX => {
            Err(DriverError::TooLarge { size_px, limit: "16384 pixels a side" })
        }
        _ if size_px.area() > MAX_AREA => Err(DriverError::TooLarge { size_px, limit: "8192x8192 pixels in all" }),
        _ => Ok(()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn bad_picture(why: impl ToString) -> DriverError {
    DriverError::BadPicture { why: why.to_string() }
}

fn area(size_px: SizePx) -> usize {
    size_px.area() as usize
}

fn half(size_px: SizePx) -> SizePx {
    SizePx::new(size_px.width.div_ceil(2), size_px.height.div_ceil(2))
}

fn range(frame: &Frame<'_>) -> YuvRange {
    match frame.range {
        PixelRange::Limited => YuvRange::Limited,
        PixelRange::Full => YuvRange::Full,
    }
}

fn matrix(frame: &Frame<'_>) -> YuvStandardMatrix {
    match frame.matrix {
        ColorMatrix::Bt601 => YuvStandardMatrix::Bt601,
        ColorMatrix::Bt709 => YuvStandardMatrix::Bt709,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_types::{FrameSeq, Micros};
    use proptest::prelude::*;

    const GREY: u8 = 114;

    fn grid() -> PatchGrid {
        PatchGrid::new(224, 14).expect("the home grid")
    }

    fn frame(pixels: Pixels<'_>, size_px: SizePx, range: PixelRange) -> Frame<'_> {
        Frame { pixels, size_px, range, matrix: ColorMatrix::Bt601, seq: FrameSeq(0), captured_us: Micros(0) }
    }

    fn fit(frame: &Frame<'_>) -> Result<(Vec<u8>, Content), DriverError> {
        let mut out = vec![0; grid().bytes()];
        let content = Fitter::new(grid(), GREY).fit(frame, &mut out)?;
        Ok((out, content))
    }

    /// Pixel of the input picture at `x`, `y`, out of patch order.
    fn pixel(out: &[u8], x: usize, y: usize) -> [u8; 3] {
        let start = ((y / 14) * 16 + x / 14) * 588 + ((y % 14) * 14 + x % 14) * 3;
        [out[start], out[start + 1], out[start + 2]]
    }

    fn close(a: [u8; 3], b: [u8; 3]) -> bool {
        a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 3)
    }

    /// The limited-range BT.601 values of a colour.
    fn yuv([r, g, b]: [u8; 3]) -> [u8; 3] {
        let (r, g, b) = (f64::from(r) / 255.0, f64::from(g) / 255.0, f64::from(b) / 255.0);
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        let (u, v) = ((b - y) / 1.772, (r - y) / 1.402);
        [(16.0 + 219.0 * y).round() as u8, (128.0 + 224.0 * u).round() as u8, (128.0 + 224.0 * v).round() as u8]
    }

    /// Rows of `row` repeated to `width` bytes, padded to `stride` with a value that must not show.
    fn rows(row: &[u8], width: usize, stride: usize, rows: usize) -> Vec<u8> {
        let mut line: Vec<u8> = row.iter().copied().cycle().take(width).collect();
        line.resize(stride, 1);
        line.repeat(rows)
    }

    #[test]
    fn patch_order_round_trips() {
        let data: Vec<u8> = (0..224 * 224 * 3).map(|i: usize| (i * 7 % 251) as u8).collect();
        let (out, content) =
            fit(&frame(Pixels::Rgb { data: &data, stride: 672 }, SizePx::new(224, 224), PixelRange::Full))
                .expect("fits");
        assert_eq!(content, Content::whole(grid()));
        for (i, expected) in data.chunks_exact(3).enumerate() {
            assert_eq!(pixel(&out, i % 224, i / 224), expected, "pixel {i}");
        }
    }

    #[test]
    fn tall_and_extreme_pictures_are_centred_between_bars() {
        for (size, content) in [
            (SizePx::new(480, 640), Content { x0: 2, x1: 14, y0: 0, y1: 16 }),
            (SizePx::new(1280, 720), Content { x0: 0, x1: 16, y0: 3, y1: 13 }),
            (SizePx::new(8000, 1), Content { x0: 0, x1: 16, y0: 7, y1: 8 }),
            (SizePx::new(1, 1), Content::whole(grid())),
        ] {
            let data = vec![200; area(size) * 3];
            let stride = size.width * 3;
            let (out, found) = fit(&frame(Pixels::Rgb { data: &data, stride }, size, PixelRange::Full)).expect("fits");
            assert_eq!(found, content, "{size}");
            let expected = if size == SizePx::new(1, 1) { [200; 3] } else { [GREY; 3] };
            assert_eq!(pixel(&out, 0, 0), expected, "{size}");
            assert_eq!(pixel(&out, 112, if size.height == 1 { 111 } else { 112 }), [200; 3], "{size}");
        }
    }

    #[test]
    fn shrinking_averages_instead_of_picking() {
        // A board of single pixels becomes an even grey, not black or white.
        let data: Vec<u8> = (0..1120u32 * 1120).map(|i| if (i + i / 1120) % 2 == 0 { 0 } else { 255 }).collect();
        let (out, _) =
            fit(&frame(Pixels::Gray { data: &data, stride: 1120 }, SizePx::new(1120, 1120), PixelRange::Full))
                .expect("fits");
        assert!(close(pixel(&out, 100, 100), [127; 3]), "{:?}", pixel(&out, 100, 100));
    }

    #[test]
    fn lying_sizes_are_errors() {
        let data = [0; 100];
        for (size, stride) in [((0, 5), 5), ((5, 0), 5), ((11, 10), 11), ((10, 10), 9), ((99_999, 1), 99_999)] {
            let size_px = SizePx::new(size.0, size.1);
            assert!(fit(&frame(Pixels::Gray { data: &data, stride }, size_px, PixelRange::Full)).is_err(), "{size_px}");
        }
        let size_px = SizePx::new(4, 4);
        assert!(fit(&frame(Pixels::Jpeg(b"\xff\xd8\xff no JPEG"), size_px, PixelRange::Full)).is_err());
        assert!(fit(&frame(Pixels::Jpeg(b""), size_px, PixelRange::Full)).is_err());
    }

    #[test]
    fn an_8k_picture_fits() {
        let size_px = SizePx::new(7680, 4320);
        let (y, c) = (vec![126; area(size_px)], vec![128; area(size_px) / 4]);
        let pixels = Pixels::I420 { y: &y, u: &c, v: &c, y_stride: 7680, uv_stride: 3840 };
        let (out, _) = fit(&frame(pixels, size_px, PixelRange::Limited)).expect("fits");
        assert!(close(pixel(&out, 112, 112), [128; 3]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Every format, odd sizes and padded rows: a solid colour stays what it is, and the bars stay grey.
        #[test]
        fn a_solid_colour_survives_every_format(
            width in 1usize..90, height in 1usize..90, pad in 0usize..9, colour in any::<[u8; 3]>(), format in 0..5,
        ) {
            let [y, u, v] = yuv(colour);
            let half = width.div_ceil(2);
            let half_rows = height.div_ceil(2);
            let luma = rows(&[y], width, width + pad, height);
            let (us, vs) = (rows(&[u], half, half + pad, half_rows), rows(&[v], half, half + pad, half_rows));
            let uvs = rows(&[u, v], half * 2, half * 2 + pad, half_rows);
            let packed = rows(&[y, u, y, v], half * 4, half * 4 + pad, height);
            let rgb = rows(&colour, width * 3, width * 3 + pad, height);
            let gray = rows(&[colour[0]], width, width + pad, height);
            let stride = |row: usize| (row + pad) as u32;
            let (y_stride, uv_stride) = (stride(width), stride(half));
            let (pixels, range, expected) = match format {
                0 => (Pixels::I420 { y: &luma, u: &us, v: &vs, y_stride, uv_stride }, PixelRange::Limited, colour),
                1 => {
                    let uv_stride = stride(half * 2);
                    (Pixels::Nv12 { y: &luma, uv: &uvs, y_stride, uv_stride }, PixelRange::Limited, colour)
                }
                2 => (Pixels::Yuyv { data: &packed, stride: stride(half * 4) }, PixelRange::Limited, colour),
                3 => (Pixels::Rgb { data: &rgb, stride: stride(width * 3) }, PixelRange::Full, colour),
                _ => (Pixels::Gray { data: &gray, stride: y_stride }, PixelRange::Full, [colour[0]; 3]),
            };
            let (out, content) = fit(&frame(pixels, SizePx::new(width as u32, height as u32), range)).expect("fits");
            prop_assert!(close(pixel(&out, 112, 111), expected), "{:?} {:?}", pixel(&out, 112, 111), expected);
            for index in (0..256).filter(|&i| !content.contains(grid(), i)) {
                prop_assert!(out[index * 588..][..588].iter().all(|&byte| byte == GREY));
            }
        }
    }
}
