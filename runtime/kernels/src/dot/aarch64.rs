//! `smmla` (Cortex-A78C, X and later), `sdot` (Raspberry Pi 5, Jetson Orin), and plain NEON (Raspberry Pi 4, Jetson Nano).
//!
//! The compiler's intrinsics for the first two are not stable yet, so the instructions are written out.

use core::arch::asm;
#[allow(clippy::wildcard_imports, reason = "intrinsics")]
use std::arch::aarch64::*;

use super::{Bytes, COLUMNS, Columns, DEPTH, Dot, STEP};

/// Four bytes of a row, to be broadcast.
///
/// # Safety
/// `a` can be read for `4 * (step + 1)` bytes.
#[inline(always)]
unsafe fn four(a: *const u8, step: usize) -> i32 {
    // SAFETY: the caller vouches for it.
    unsafe { a.add(step * DEPTH).cast::<i32>().read_unaligned() }
}

/// To each of four sums, the products of its four weights with four bytes of the row: those of step `LANE`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot<const LANE: usize>(mut sums: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: arithmetic on registers, with an instruction that the function's feature stands for.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {w:v}.16b, {a:v}.4b[{lane}]",
            sums = inout(vreg) sums, w = in(vreg) w, a = in(vreg) a, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// `[2 rows, 8] x [2 columns, 8]^T` to four sums.
///
/// Not `pure`, so that the order stays as written: spread out by the compiler, what a tile of 6 rows needs at a time would
/// no longer fit the registers.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut sums: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: as in `sdot`.
    unsafe {
        asm!(
            "smmla {sums:v}.4s, {a:v}.16b, {w:v}.16b",
            sums = inout(vreg) sums, a = in(vreg) a, w = in(vreg) w,
            options(nomem, nostack, preserves_flags)
        );
    }
    sums
}

/// `vzip1q_s32` and `vzip2q_s32`, out of the compiler's sight: it would join them with the shuffles that follow to a `tbl`
/// of two registers, and for that keep the sums in neighbouring registers throughout the loop, and some on the stack.
#[inline]
#[target_feature(enable = "neon")]
fn zip(even: int32x4_t, odd: int32x4_t) -> [int32x4_t; 2] {
    let (first, second);
    // SAFETY: as in `sdot`.
    unsafe {
        asm!(
            "zip1 {first:v}.4s, {even:v}.4s, {odd:v}.4s",
            "zip2 {second:v}.4s, {even:v}.4s, {odd:v}.4s",
            even = in(vreg) even, odd = in(vreg) odd, first = out(vreg) first, second = lateout(vreg) second,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    [first, second]
}

/// `sdot`: 16 products an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DotProd;

impl Dot for DotProd {
    const FLIP: u8 = 0;
    // 24 sums, 6 rows of four steps and a quarter of a block: 31 of 32 registers.
    const ROWS: usize = 6;
    const BLOCKS: usize = 1;

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
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
            let mut total = [[vdupq_n_s32(0); 4]; M];
            // SAFETY: the caller vouches for `depth` steps of every row and block.
            let w = unsafe { w.add(block * depth * STEP) };
            let mut bytes = [vdupq_n_s8(0); M];
            let mut step = 0;
            // Four steps of a row in one load, each of which `sdot` then takes by its lane: none is broadcast.
            while step + 4 <= depth {
                // SAFETY: as above, and `step + 3 < depth`.
                unsafe {
                    for m in 0..M {
                        bytes[m] = vld1q_s8(rows[m].add(step * DEPTH).cast());
                    }
                    let w = w.add(step * STEP);
                    sdot_step::<M, 0>(&mut total, &bytes, w);
                    sdot_step::<M, 1>(&mut total, &bytes, w.add(STEP));
                    sdot_step::<M, 2>(&mut total, &bytes, w.add(2 * STEP));
                    sdot_step::<M, 3>(&mut total, &bytes, w.add(3 * STEP));
                }
                step += 4;
            }
            while step < depth {
                // SAFETY: as above, and `step < depth`.
                unsafe {
                    for m in 0..M {
                        bytes[m] = vreinterpretq_s8_s32(vdupq_n_s32(four(rows[m], step)));
                    }
                    sdot_step::<M, 0>(&mut total, &bytes, w.add(step * STEP));
                }
                step += 1;
            }
            for m in 0..M {
                for quarter in 0..4 {
                    // SAFETY: 16 sums are four times 16 bytes.
                    unsafe { vst1q_s32(sums[m][block].as_mut_ptr().add(quarter * 4), total[m][quarter]) };
                }
            }
        }
        for m in 0..M {
            // SAFETY: the caller vouches for so many values.
            unsafe { columns.finish(&sums[m], a.scales[m], to.add(places[m])) };
        }
    }
}

/// One step, whose bytes of each row lie in `LANE`.
///
/// # Safety
/// `w` can be read for 64 bytes.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn sdot_step<const M: usize, const LANE: usize>(
    total: &mut [[int32x4_t; 4]; M],
    rows: &[int8x16_t; M],
    w: *const i8,
) {
    for quarter in 0..4 {
        // SAFETY: the caller vouches for four times 16 bytes.
        let weights = unsafe { vld1q_s8(w.add(quarter * 16)) };
        for m in 0..M {
            total[m][quarter] = sdot::<LANE>(total[m][quarter], weights, rows[m]);
        }
    }
}

/// `smmla`: 32 products an instruction, on pairs of rows; a last single row goes by `sdot`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct I8mm;

impl Dot for I8mm {
    const FLIP: u8 = 0;
    // 24 sums, 3 pairs of rows, and of a quarter two steps and the pairs of columns made of them, one in place: 30 of 32
    // registers.
    const ROWS: usize = 6;
    const BLOCKS: usize = 1;

    #[inline]
    #[target_feature(enable = "neon,dotprod,i8mm")]
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
            // Of each pair of rows and quarter: sums of columns 0 and 2, and of 1 and 3.
            let mut total = [[[vdupq_n_s32(0); 2]; 4]; 3];
            // SAFETY: the caller vouches for `depth` steps of every row and block.
            let w = unsafe { w.add(block * depth * STEP) };
            for step in (0..depth - depth % 2).step_by(2) {
                // SAFETY: as above, and `step + 1 < depth`.
                unsafe { smmla_steps::<M, false>(&mut total, &rows, w, step) };
            }
            if depth % 2 == 1 {
                // SAFETY: as above; the last single step is read alone.
                unsafe { smmla_steps::<M, true>(&mut total, &rows, w, depth - 1) };
            }
            for pair in 0..M / 2 {
                for quarter in 0..4 {
                    let [even, odd] = total[pair][quarter];
                    for (row, four) in zip(even, odd).into_iter().enumerate() {
                        // SAFETY: 16 sums are four times 16 bytes.
                        unsafe { vst1q_s32(sums[2 * pair + row][block].as_mut_ptr().add(quarter * 4), four) };
                    }
                }
            }
        }
        for m in 0..M / 2 * 2 {
            // SAFETY: the caller vouches for so many values.
            unsafe { columns.finish(&sums[m], a.scales[m], to.add(places[m])) };
        }
        if M % 2 == 1 {
            let last = Bytes { base: a.base, starts: &[a.starts[M - 1]], scales: &[a.scales[M - 1]] };
            // SAFETY: as above: one row of them, and `sdot` is among the features.
            unsafe { DotProd::tile::<1, B>(&last, w, depth, columns, to, &[places[M - 1]]) };
        }
    }
}

/// Two steps of the pairs of rows, or the `LAST` one and zeros.
///
/// # Safety
/// The rows and `w` can be read for these steps.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn smmla_steps<const M: usize, const LAST: bool>(
    total: &mut [[[int32x4_t; 2]; 4]; 3],
    a: &[*const u8; M],
    w: *const i8,
    step: usize,
) {
    let mut pairs = [vdupq_n_s8(0); 3];
    for (pair, rows) in pairs.iter_mut().zip(a.as_chunks::<2>().0) {
        // SAFETY: the caller vouches for it.
        *pair = unsafe { vcombine_s8(eight::<LAST>(rows[0], step), eight::<LAST>(rows[1], step)) };
    }
    for quarter in 0..4 {
        // SAFETY: as above.
        let (now, next) = unsafe {
            let at = w.add(step * STEP + quarter * 16);
            (vld1q_s8(at), if LAST { vdupq_n_s8(0) } else { vld1q_s8(at.add(STEP)) })
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

/// Two steps of a row, or the `LAST` one and zeros.
///
/// # Safety
/// `a` can be read for these steps.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn eight<const LAST: bool>(a: *const u8, step: usize) -> int8x8_t {
    // SAFETY: the caller vouches for it.
    unsafe {
        if LAST {
            vreinterpret_s8_s32(vset_lane_s32::<0>(four(a, step), vdup_n_s32(0)))
        } else {
            vld1_s8(a.add(step * DEPTH).cast())
        }
    }
}

/// `smull`, `smlal` and `sadalp`: two steps are added up in 16 bits (at most 2 * 128 * 127), then in 32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon;

impl Dot for Neon {
    const FLIP: u8 = 0;
    // 16 sums, 2 by 2 rows of four bytes, an eighth of two steps and its products: 24 of 32 registers. A third row would
    // take 11 more.
    const ROWS: usize = 2;
    const BLOCKS: usize = 1;

    #[inline]
    #[target_feature(enable = "neon")]
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
            // Of each eighth (2 columns), two sums a column.
            let mut total = [[vdupq_n_s32(0); 8]; M];
            // SAFETY: the caller vouches for `depth` steps of every row and block.
            let w = unsafe { w.add(block * depth * STEP) };
            for step in (0..depth - depth % 2).step_by(2) {
                // SAFETY: as above, and `step + 1 < depth`.
                unsafe { smlal_steps::<M, false>(&mut total, &rows, w, step) };
            }
            if depth % 2 == 1 {
                // SAFETY: as above; the last single step is read alone.
                unsafe { smlal_steps::<M, true>(&mut total, &rows, w, depth - 1) };
            }
            for m in 0..M {
                for quarter in 0..4 {
                    let four = vpaddq_s32(total[m][2 * quarter], total[m][2 * quarter + 1]);
                    // SAFETY: 16 sums are four times 16 bytes.
                    unsafe { vst1q_s32(sums[m][block].as_mut_ptr().add(quarter * 4), four) };
                }
            }
        }
        for m in 0..M {
            // SAFETY: the caller vouches for so many values.
            unsafe { columns.finish(&sums[m], a.scales[m], to.add(places[m])) };
        }
    }
}

/// Two steps, or the `LAST` one.
///
/// # Safety
/// The rows and `w` can be read for these steps.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn smlal_steps<const M: usize, const LAST: bool>(
    total: &mut [[int32x4_t; 8]; M],
    a: &[*const u8; M],
    w: *const i8,
    step: usize,
) {
    let (mut now, mut next) = ([vdup_n_s8(0); M], [vdup_n_s8(0); M]);
    for m in 0..M {
        // SAFETY: the caller vouches for it.
        unsafe {
            now[m] = vreinterpret_s8_s32(vdup_n_s32(four(a[m], step)));
            if !LAST {
                next[m] = vreinterpret_s8_s32(vdup_n_s32(four(a[m], step + 1)));
            }
        }
    }
    for eighth in 0..8 {
        // SAFETY: as above.
        let (w_now, w_next) = unsafe {
            let at = w.add(step * STEP + eighth * 8);
            (vld1_s8(at), if LAST { vdup_n_s8(0) } else { vld1_s8(at.add(STEP)) })
        };
        for m in 0..M {
            let mut products = vmull_s8(w_now, now[m]);
            if !LAST {
                products = vmlal_s8(products, w_next, next[m]);
            }
            total[m][eighth] = vpadalq_s16(total[m][eighth], products);
        }
    }
}
