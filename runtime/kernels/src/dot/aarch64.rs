//! `smmla` (Cortex-A78C, X and later), `sdot` (Raspberry Pi 5, Jetson Orin), and plain NEON (Raspberry Pi 4, Jetson Nano).
//!
//! The compiler's intrinsics for the first two are not stable yet, so the instructions are written out.

use core::arch::asm;
#[allow(clippy::wildcard_imports, reason = "intrinsics")]
use std::arch::aarch64::*;

use super::{DEPTH, Dot, STEP, Sums};

/// Four bytes of a row, to be broadcast.
///
/// # Safety
/// `a` can be read for `4 * (step + 1)` bytes.
#[inline(always)]
unsafe fn four(a: *const u8, step: usize) -> i32 {
    // SAFETY: the caller vouches for it.
    unsafe { a.add(step * DEPTH).cast::<i32>().read_unaligned() }
}

/// Four products to each of four sums.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(mut sums: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: arithmetic on registers, with an instruction that the function's feature stands for.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {w:v}.16b, {a:v}.16b",
            sums = inout(vreg) sums, w = in(vreg) w, a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// `[2 rows, 8] x [2 columns, 8]^T` to four sums.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut sums: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: as in `sdot`.
    unsafe {
        asm!(
            "smmla {sums:v}.4s, {a:v}.16b, {w:v}.16b",
            sums = inout(vreg) sums, a = in(vreg) a, w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// `sdot`: 16 products an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DotProd;

impl Dot for DotProd {
    const FLIP: u8 = 0;
    // 24 sums, 4 quarters of a block and a row: 29 of 32 registers.
    const ROWS: usize = 6;
    const BLOCKS: usize = 1;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn tile<const M: usize, const B: usize>(
        a: [*const u8; M],
        w: *const i8,
        depth: usize,
        sums: &mut [[Sums; B]; M],
    ) {
        for block in 0..B {
            let mut total = [[vdupq_n_s32(0); 4]; M];
            for step in 0..depth {
                // SAFETY: the caller vouches for `depth` steps of every row and block.
                unsafe {
                    let w = w.add((block * depth + step) * STEP);
                    let weights = [vld1q_s8(w), vld1q_s8(w.add(16)), vld1q_s8(w.add(32)), vld1q_s8(w.add(48))];
                    for m in 0..M {
                        let row = vreinterpretq_s8_s32(vdupq_n_s32(four(a[m], step)));
                        for quarter in 0..4 {
                            total[m][quarter] = sdot(total[m][quarter], weights[quarter], row);
                        }
                    }
                }
            }
            for m in 0..M {
                for quarter in 0..4 {
                    // SAFETY: 16 sums are four times 16 bytes.
                    unsafe { vst1q_s32(sums[m][block].as_mut_ptr().add(quarter * 4), total[m][quarter]) };
                }
            }
        }
    }
}

/// `smmla`: 32 products an instruction, on pairs of rows; a last single row goes by `sdot`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct I8mm;

impl Dot for I8mm {
    const FLIP: u8 = 0;
    // 16 sums, 8 pairs of columns, 2 pairs of rows: 26 of 32 registers.
    const ROWS: usize = 4;
    const BLOCKS: usize = 1;

    #[inline]
    #[target_feature(enable = "neon,dotprod,i8mm")]
    unsafe fn tile<const M: usize, const B: usize>(
        a: [*const u8; M],
        w: *const i8,
        depth: usize,
        sums: &mut [[Sums; B]; M],
    ) {
        for block in 0..B {
            // Of each pair of rows and quarter: sums of columns 0 and 2, and of 1 and 3.
            let mut total = [[[vdupq_n_s32(0); 2]; 4]; 2];
            // SAFETY: the caller vouches for `depth` steps of every row and block.
            let w = unsafe { w.add(block * depth * STEP) };
            for step in (0..depth).step_by(2) {
                let last = step + 1 == depth;
                let mut pairs = [vdupq_n_s8(0); 2];
                for (pair, rows) in pairs.iter_mut().zip(a.as_chunks::<2>().0) {
                    // SAFETY: as above; a last single step is read alone.
                    *pair = unsafe { vcombine_s8(eight(rows[0], step, last), eight(rows[1], step, last)) };
                }
                for quarter in 0..4 {
                    // SAFETY: as above.
                    let (now, next) = unsafe {
                        let at = w.add(step * STEP + quarter * 16);
                        (vld1q_s8(at), if last { vdupq_n_s8(0) } else { vld1q_s8(at.add(STEP)) })
                    };
                    let (now, next) = (vreinterpretq_s32_s8(now), vreinterpretq_s32_s8(next));
                    let even = vreinterpretq_s8_s32(vtrn1q_s32(now, next));
                    let odd = vreinterpretq_s8_s32(vtrn2q_s32(now, next));
                    for pair in 0..M / 2 {
                        let total = &mut total[pair][quarter];
                        *total = [smmla(total[0], pairs[pair], even), smmla(total[1], pairs[pair], odd)];
                    }
                }
            }
            for pair in 0..M / 2 {
                for quarter in 0..4 {
                    let [even, odd] = total[pair][quarter];
                    // SAFETY: 16 sums are four times 16 bytes, and `2 * pair + 1 < M`.
                    unsafe {
                        vst1q_s32(sums[2 * pair][block].as_mut_ptr().add(quarter * 4), vzip1q_s32(even, odd));
                        vst1q_s32(sums[2 * pair + 1][block].as_mut_ptr().add(quarter * 4), vzip2q_s32(even, odd));
                    }
                }
            }
            if M % 2 == 1 {
                let mut single = [[[0; 16]; 1]; 1];
                // SAFETY: as above: one row and one block.
                unsafe { DotProd::tile::<1, 1>([a[M - 1]], w, depth, &mut single) };
                sums[M - 1][block] = single[0][0];
            }
        }

        /// Two steps of a row, or the last one and zeros.
        ///
        /// # Safety
        /// `a` can be read for so many bytes.
        #[inline]
        #[target_feature(enable = "neon")]
        unsafe fn eight(a: *const u8, step: usize, last: bool) -> int8x8_t {
            // SAFETY: the caller vouches for it.
            unsafe {
                if last {
                    vreinterpret_s8_s32(vset_lane_s32::<0>(four(a, step), vdup_n_s32(0)))
                } else {
                    vld1_s8(a.add(step * DEPTH).cast())
                }
            }
        }
    }
}

/// `smull`, `smlal` and `sadalp`: two steps are added up in 16 bits (at most 2 * 128 * 127), then in 32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon;

impl Dot for Neon {
    const FLIP: u8 = 0;
    // 16 sums, 2 by 2 rows of four bytes, a quarter of two steps and its products.
    const ROWS: usize = 2;
    const BLOCKS: usize = 1;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn tile<const M: usize, const B: usize>(
        a: [*const u8; M],
        w: *const i8,
        depth: usize,
        sums: &mut [[Sums; B]; M],
    ) {
        for block in 0..B {
            // Of each quarter, columns 0 and 1, and 2 and 3: two sums a column.
            let mut total = [[[vdupq_n_s32(0); 2]; 4]; M];
            // SAFETY: the caller vouches for `depth` steps of every row and block.
            let w = unsafe { w.add(block * depth * STEP) };
            for step in (0..depth).step_by(2) {
                let last = step + 1 == depth;
                let (mut now, mut next) = ([vdup_n_s8(0); M], [vdup_n_s8(0); M]);
                for m in 0..M {
                    // SAFETY: as above; a last single step is read alone.
                    unsafe {
                        now[m] = vreinterpret_s8_s32(vdup_n_s32(four(a[m], step)));
                        if !last {
                            next[m] = vreinterpret_s8_s32(vdup_n_s32(four(a[m], step + 1)));
                        }
                    }
                }
                for quarter in 0..4 {
                    // SAFETY: as above.
                    let (w_now, w_next) = unsafe {
                        let at = w.add(step * STEP + quarter * 16);
                        (vld1q_s8(at), if last { vdupq_n_s8(0) } else { vld1q_s8(at.add(STEP)) })
                    };
                    for m in 0..M {
                        let low = vmull_s8(vget_low_s8(w_now), now[m]);
                        let low = vmlal_s8(low, vget_low_s8(w_next), next[m]);
                        let high = vmull_s8(vget_high_s8(w_now), now[m]);
                        let high = vmlal_s8(high, vget_high_s8(w_next), next[m]);
                        let total = &mut total[m][quarter];
                        *total = [vpadalq_s16(total[0], low), vpadalq_s16(total[1], high)];
                    }
                }
            }
            for m in 0..M {
                for quarter in 0..4 {
                    let [low, high] = total[m][quarter];
                    // SAFETY: 16 sums are four times 16 bytes.
                    unsafe { vst1q_s32(sums[m][block].as_mut_ptr().add(quarter * 4), vpaddq_s32(low, high)) };
                }
            }
        }
    }
}
