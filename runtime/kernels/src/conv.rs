//! The depthwise 3x3x3 positional convolution (DPE) and the dense connection after it.

use crate::dot::Dot;
use crate::isa::for_each_isa;
use crate::math::LANES;

/// Taps of the convolution.
pub(crate) const TAPS: usize = 27;

/// What the convolution reads: the last three frames of a square of patches, oldest first, each `[side * side][d]`.
#[derive(Clone, Copy)]
pub(crate) struct Frames<'a> {
    pub x1: [&'a [f32]; 3],
    pub x0: &'a [f32],
    pub side: usize,
    pub d: usize,
}

for_each_isa! {
    /// `x2 = x1 + conv(x1)` and `x3 = x2 + x0` for `rows`; `w` is `[27][d]`, oldest frame first, then rows, then columns.
    pub(crate) fn dpe(frames: Frames<'_>, w: &[f32], b: &[f32], rows: &[u32], x2: &mut [f32], x3: &mut [f32]) = body
}

#[inline(always)]
fn body<A: Dot>(frames: Frames<'_>, w: &[f32], b: &[f32], rows: &[u32], x2: &mut [f32], x3: &mut [f32]) {
    // Some channels of all patches before the next ones: their weights, and what neighbours share, stay in the first cache.
    let d = frames.d;
    let mut at = 0;
    while at + 4 * LANES <= d {
        channels::<{ 4 * LANES }>(frames, w, b, rows, at, x2, x3);
        at += 4 * LANES;
    }
    while at + LANES <= d {
        channels::<LANES>(frames, w, b, rows, at, x2, x3);
        at += LANES;
    }
    while at < d {
        channels::<1>(frames, w, b, rows, at, x2, x3);
        at += 1;
    }
}

/// `C` channels of each patch.
#[inline(always)]
fn channels<const C: usize>(
    frames: Frames<'_>,
    w: &[f32],
    b: &[f32],
    rows: &[u32],
    at: usize,
    x2: &mut [f32],
    x3: &mut [f32],
) {
    let Frames { x1, x0, side, d } = frames;
    let expect = "every row should have d channels";
    for &row in rows {
        let row = row as usize;
        let (y, x) = (row / side, row % side);
        let mut sum: [f32; C] = *b[at..].first_chunk().expect(expect);
        for frame in 0..3 {
            for from_y in y.saturating_sub(1)..(y + 2).min(side) {
                for from_x in x.saturating_sub(1)..(x + 2).min(side) {
                    let tap = frame * 9 + (from_y + 1 - y) * 3 + from_x + 1 - x;
                    let values = x1[frame][(from_y * side + from_x) * d + at..].first_chunk::<C>().expect(expect);
                    let w = w[tap * d + at..].first_chunk::<C>().expect(expect);
                    for c in 0..C {
                        sum[c] = values[c].mul_add(w[c], sum[c]);
                    }
                }
            }
        }
        let row = row * d + at;
        let x1 = x1[2][row..].first_chunk::<C>().expect(expect);
        let x0 = x0[row..].first_chunk::<C>().expect(expect);
        let x2 = x2[row..].first_chunk_mut::<C>().expect(expect);
        let x3 = x3[row..].first_chunk_mut::<C>().expect(expect);
        for c in 0..C {
            let value = x1[c] + sum[c];
            x2[c] = value;
            x3[c] = value + x0[c];
        }
    }
}
