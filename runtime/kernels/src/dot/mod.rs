//! The byte dot products, once for each CPU: some rows of activations with some blocks of 16 columns.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{DotProd, I8mm, Neon};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Avx2, Avx512Vnni, AvxVnni};

use crate::rows;

/// Columns of a block.
pub(crate) const COLUMNS: usize = 16;
/// Rows of weights that lie side by side in a block.
pub(crate) const DEPTH: usize = 4;
/// Bytes of a block by one step of depth.
pub(crate) const STEP: usize = COLUMNS * DEPTH;

/// Rows that are quantized together.
pub(crate) const TOGETHER: usize = 16;

/// Sums of one row and one block.
pub(crate) type Sums = [i32; COLUMNS];

/// What makes values of the sums of some blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a, const B: usize> {
    /// What sums start from where activations are unsigned: minus 128 times the column's sum of weights.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "activations are signed there"))]
    pub(crate) start: &'a [Sums; B],
    /// Scales.
    pub(crate) s: &'a [[f32; COLUMNS]; B],
    /// What is added.
    pub(crate) b: &'a [[f32; COLUMNS]; B],
}

impl<const B: usize> Columns<'_, B> {
    /// Writes the values of a row of scale `sx`.
    ///
    /// # Safety
    /// `16 * B` values can be written to `to`.
    #[inline(always)]
    pub(crate) unsafe fn finish(&self, sums: &[Sums; B], sx: f32, to: *mut f32) {
        for b in 0..B {
            let mut values = [0.0; COLUMNS];
            for c in 0..COLUMNS {
                values[c] = (sums[b][c] as f32 * sx).mul_add(self.s[b][c], self.b[b][c]);
            }
            // SAFETY: the caller vouches for it.
            unsafe { to.cast::<[f32; COLUMNS]>().add(b).write(values) };
        }
    }
}

/// As [`Columns`], of blocks side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks<'a> {
    pub(crate) start: &'a [Sums],
    pub(crate) s: &'a [[f32; COLUMNS]],
    pub(crate) b: &'a [[f32; COLUMNS]],
}

impl<'a> Blocks<'a> {
    /// `B` of them, from the first on.
    #[inline(always)]
    pub(crate) fn columns<const B: usize>(&self, first: usize) -> Columns<'a, B> {
        Columns { start: some(self.start, first), s: some(self.s, first), b: some(self.b, first) }
    }
}

/// `N` values, from the first on.
#[inline(always)]
pub(crate) fn some<T, const N: usize>(values: &[T], first: usize) -> &[T; N] {
    values[first..].first_chunk().expect("a tile should be within rows and columns")
}

/// Some rows of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a, const M: usize> {
    /// What they lie in.
    pub(crate) base: *const u8,
    /// Where each begins.
    pub(crate) starts: &'a [usize; M],
    /// Scales.
    pub(crate) scales: &'a [f32; M],
}

impl<const M: usize> Bytes<'_, M> {
    /// The first byte of each.
    #[inline(always)]
    pub(crate) fn rows(&self) -> [*const u8; M] {
        let mut rows = [self.base; M];
        for m in 0..M {
            rows[m] = self.base.wrapping_add(self.starts[m]);
        }
        rows
    }
}

/// How a CPU multiplies bytes, and makes them.
pub(crate) trait Dot {
    /// Exclusive or that turns a signed activation into what the instruction takes: 0x80 where activations are unsigned.
    const FLIP: u8;
    /// Rows of a tile, at most 6.
    const ROWS: usize;
    /// Blocks of a tile: 4 or 1.
    const BLOCKS: usize;

    /// `to[places[m] + 16 * b + c] = (sum_k a[m][k] * w[b][k][c]) * scales[m] * s[b][c] + b[b][c]` over `depth` steps of 4, the
    /// last product and sum rounded once.
    ///
    /// # Safety
    /// Every row of `a` can be read for `4 * depth` bytes, `w` for `64 * depth * B`, and from every place on `16 * B` values of
    /// `to` written. The CPU has the instructions.
    unsafe fn tile<const M: usize, const B: usize>(
        a: &Bytes<'_, M>,
        w: *const i8,
        depth: usize,
        columns: &Columns<'_, B>,
        to: *mut f32,
        places: &[usize; M],
    );

    /// One row with all `blocks`, the first of which begins at `place`: as [`Dot::tile`], again and again.
    ///
    /// # Safety
    /// As [`Dot::tile`], with as many blocks.
    #[inline(always)]
    unsafe fn row(a: &Bytes<'_, 1>, w: *const i8, depth: usize, blocks: &Blocks<'_>, to: *mut f32, place: usize) {
        for block in 0..blocks.start.len() {
            let (w, place) = (w.wrapping_add(block * depth * STEP), place + block * COLUMNS);
            // SAFETY: the caller vouches for every block.
            unsafe { Self::tile::<1, 1>(a, w, depth, &blocks.columns(block), to, &[place]) };
        }
    }

    /// Quantizes at least one row and at most [`TOGETHER`], all of one width, to `q`, side by side and each as
    /// [`rows::quantize`] does.
    ///
    /// # Safety
    /// The CPU has the instructions.
    #[inline(always)]
    unsafe fn quantize(x: &[&[f32]], q: &mut [u8], scales: &mut [f32]) {
        let row_bytes = q.len() / x.len();
        for r in 0..x.len() {
            scales[r] = rows::quantize(x[r], Self::FLIP, &mut q[r * row_bytes..][..row_bytes]);
        }
    }
}

/// Plain Rust.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Dot for Portable {
    const FLIP: u8 = 0;
    const ROWS: usize = 2;
    const BLOCKS: usize = 1;

    #[inline(always)]
    unsafe fn tile<const M: usize, const B: usize>(
        a: &Bytes<'_, M>,
        w: *const i8,
        depth: usize,
        columns: &Columns<'_, B>,
        to: *mut f32,
        places: &[usize; M],
    ) {
        let rows = a.rows();
        let mut sums = [[[0; COLUMNS]; B]; M];
        for block in 0..B {
            for step in 0..depth {
                // SAFETY: `block < B` and `step < depth`, and the caller vouches for so much.
                let w = unsafe { &*w.add((block * depth + step) * STEP).cast::<[[i8; DEPTH]; COLUMNS]>() };
                for m in 0..M {
                    // SAFETY: as above.
                    let a = unsafe { &*rows[m].add(step * DEPTH).cast::<[i8; DEPTH]>() };
                    for c in 0..COLUMNS {
                        let product = |i: usize| i32::from(w[c][i]) * i32::from(a[i]);
                        sums[m][block][c] += (product(0) + product(1)) + (product(2) + product(3));
                    }
                }
            }
        }
        for m in 0..M {
            // SAFETY: the caller vouches for so many values.
            unsafe { columns.finish(&sums[m], a.scales[m], to.add(places[m])) };
        }
    }
}
