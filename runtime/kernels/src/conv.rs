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
    let d = frames.d;
    for &row in rows {
        let row = row as usize;
        let (x2, x3) = (&mut x2[row * d..][..d], &mut x3[row * d..][..d]);
        let mut at = 0;
        while at + 4 * LANES <= d {
            channels::<{ 4 * LANES }>(frames, w, b, row, at, x2, x3);
            at += 4 * LANES;
        }
        while at + LANES <= d {
            channels::<LANES>(frames, w, b, row, at, x2, x3);
            at += LANES;
        }
        while at < d {
            channels::<1>(frames, w, b, row, at, x2, x3);
            at += 1;
        }
    }
}

/// `C` channels of one patch.
#[inline(always)]
fn channels<const C: usize>(
    frames: Frames<'_>,
    w: &[f32],
    b: &[f32],
    row: usize,
    at: usize,
    x2: &mut [f32],
    x3: &mut [f32],
) {
    let Frames { x1, x0, side, d } = frames;
    let cut = |values: &[f32], row: usize| -> [f32; C] {
        *values[row * d + at..].first_chunk::<C>().expect("every row should have d channels")
    };
    let (y, x) = (row / side, row % side);
    let mut sum = cut(b, 0);
    for (frame, values) in x1.iter().enumerate() {
        for dy in 0..3 {
            let Some(from_y) = (y + dy).checked_sub(1).filter(|y| *y < side) else { continue };
            for dx in 0..3 {
                let Some(from_x) = (x + dx).checked_sub(1).filter(|x| *x < side) else { continue };
                let (values, w) = (cut(values, from_y * side + from_x), cut(w, frame * 9 + dy * 3 + dx));
                for c in 0..C {
                    sum[c] = values[c].mul_add(w[c], sum[c]);
                }
            }
        }
    }
    let (now, x0) = (cut(x1[2], row), cut(x0, row));
    let x2 = x2[at..].first_chunk_mut::<C>().expect("every row should have d channels");
    let x3 = x3[at..].first_chunk_mut::<C>().expect("every row should have d channels");
    for c in 0..C {
        x2[c] = now[c] + sum[c];
        x3[c] = x2[c] + x0[c];
    }
}
