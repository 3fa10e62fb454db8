//! The byte dot products, once for each CPU: some rows of activations with some blocks of 16 columns.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{DotProd, I8mm, Neon};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Avx2, Avx512Vnni, AvxVnni};

/// Columns of a block.
pub(crate) const COLUMNS: usize = 16;
/// Rows of weights that lie side by side in a block.
pub(crate) const DEPTH: usize = 4;
/// Bytes of a block by one step of depth.
pub(crate) const STEP: usize = COLUMNS * DEPTH;

/// Sums of one row and one block.
pub(crate) type Sums = [i32; COLUMNS];

/// How a CPU multiplies bytes.
pub(crate) trait Dot {
    /// Exclusive or that turns a signed activation into what the instruction takes: 0x80 where activations are unsigned.
    /// The sums are then too large by 128 times the column's sum of weights.
    const FLIP: u8;
    /// Rows of a tile, at most 6.
    const ROWS: usize;
    /// Blocks of a tile: 4 or 1.
    const BLOCKS: usize;

    /// `sums[m][b][c] = sum_k a[m][k] * w[b][k][c]` over `depth` steps of 4.
    ///
    /// # Safety
    /// Every `a[m]` can be read for `4 * depth` bytes, and `w` for `64 * depth * B`. The CPU has the instructions.
    unsafe fn tile<const M: usize, const B: usize>(
        a: [*const u8; M],
        w: *const i8,
        depth: usize,
        sums: &mut [[Sums; B]; M],
    );
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
        a: [*const u8; M],
        w: *const i8,
        depth: usize,
        sums: &mut [[Sums; B]; M],
    ) {
        *sums = [[[0; COLUMNS]; B]; M];
        for block in 0..B {
            for step in 0..depth {
                // SAFETY: `block < B` and `step < depth`, and the caller vouches for so much.
                let w = unsafe { &*w.add((block * depth + step) * STEP).cast::<[[i8; DEPTH]; COLUMNS]>() };
                for m in 0..M {
                    // SAFETY: as above.
                    let a = unsafe { &*a[m].add(step * DEPTH).cast::<[i8; DEPTH]>() };
                    for c in 0..COLUMNS {
                        let product = |i: usize| i32::from(w[c][i]) * i32::from(a[i]);
                        sums[m][block][c] += (product(0) + product(1)) + (product(2) + product(3));
                    }
                }
            }
        }
    }
}
