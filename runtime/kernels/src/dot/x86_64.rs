//! AVX-512 VNNI; AVX-VNNI, its form on small CPUs without AVX-512 (Intel N100 and later); AVX2 for the rest.

#[allow(clippy::wildcard_imports, reason = "intrinsics")]
use std::arch::x86_64::*;

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

/// One step of an AVX-512 tile.
///
/// # Safety
/// As [`Dot::tile`], with `step < depth`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn add<const M: usize, const B: usize>(
    total: &mut [[__m512i; B]; M],
    a: &[*const u8; M],
    w: *const i8,
    depth: usize,
    step: usize,
) {
    // SAFETY: the caller of `tile` vouches for `depth` steps of every row and block.
    unsafe {
        let mut weights = [_mm512_setzero_si512(); B];
        for (b, weights) in weights.iter_mut().enumerate() {
            *weights = _mm512_loadu_si512(w.add((b * depth + step) * STEP).cast());
        }
        for m in 0..M {
            let row = _mm512_set1_epi32(four(a[m], step));
            for b in 0..B {
                total[m][b] = _mm512_dpbusd_epi32(total[m][b], row, weights[b]);
            }
        }
    }
}

/// `vpdpbusd` on 512 bits: 64 products an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Vnni;

impl Dot for Avx512Vnni {
    const FLIP: u8 = 0x80;
    // 24 sums, 4 blocks of weights and a broadcast: 29 of 32 registers.
    const ROWS: usize = 6;
    const BLOCKS: usize = 4;

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn tile<const M: usize, const B: usize>(
        a: [*const u8; M],
        w: *const i8,
        depth: usize,
        sums: &mut [[Sums; B]; M],
    ) {
        let mut total = [[_mm512_setzero_si512(); B]; M];
        let mut step = 0;
        // A few sums would wait for one another (5 cycles each): even and odd steps are summed apart then.
        if M * B <= 8 {
            let mut odd = [[_mm512_setzero_si512(); B]; M];
            while step + 2 <= depth {
                // SAFETY: `step + 1 < depth`.
                unsafe {
                    add(&mut total, &a, w, depth, step);
                    add(&mut odd, &a, w, depth, step + 1);
                }
                step += 2;
            }
            for m in 0..M {
                for b in 0..B {
                    total[m][b] = _mm512_add_epi32(total[m][b], odd[m][b]);
                }
            }
        }
        while step < depth {
            // SAFETY: `step < depth`.
            unsafe { add(&mut total, &a, w, depth, step) };
            step += 1;
        }
        for m in 0..M {
            for b in 0..B {
                // SAFETY: 16 sums are 64 bytes.
                unsafe { _mm512_storeu_si512(sums[m][b].as_mut_ptr().cast(), total[m][b]) };
            }
        }
    }
}

/// `vpdpbusd` on 256 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AvxVnni;

impl Dot for AvxVnni {
    const FLIP: u8 = 0x80;
    // 12 sums, 2 halves of a block and a broadcast: 15 of 16 registers.
    const ROWS: usize = 6;
    const BLOCKS: usize = 1;

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn tile<const M: usize, const B: usize>(
        a: [*const u8; M],
        w: *const i8,
        depth: usize,
        sums: &mut [[Sums; B]; M],
    ) {
        for block in 0..B {
            let mut total = [[_mm256_setzero_si256(); 2]; M];
            for step in 0..depth {
                // SAFETY: the caller vouches for `depth` steps of every row and block.
                unsafe {
                    let w = w.add((block * depth + step) * STEP);
                    let weights = [_mm256_loadu_si256(w.cast()), _mm256_loadu_si256(w.add(32).cast())];
                    for m in 0..M {
                        let row = _mm256_set1_epi32(four(a[m], step));
                        for half in 0..2 {
                            total[m][half] = _mm256_dpbusd_avx_epi32(total[m][half], row, weights[half]);
                        }
                    }
                }
            }
            for m in 0..M {
                let to = sums[m][block].as_mut_ptr();
                // SAFETY: 16 sums are two times 32 bytes.
                unsafe {
                    _mm256_storeu_si256(to.cast(), total[m][0]);
                    _mm256_storeu_si256(to.add(8).cast(), total[m][1]);
                }
            }
        }
    }
}

/// `vpmaddwd` on bytes widened to 16 bits: `vpmaddubsw` would saturate, and give other sums than the other CPUs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2;

impl Dot for Avx2 {
    const FLIP: u8 = 0;
    // 8 sums, 2 rows and a quarter of a block.
    const ROWS: usize = 2;
    const BLOCKS: usize = 1;

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn tile<const M: usize, const B: usize>(
        a: [*const u8; M],
        w: *const i8,
        depth: usize,
        sums: &mut [[Sums; B]; M],
    ) {
        for block in 0..B {
            // Of each quarter (4 columns), two sums a column.
            let mut total = [[_mm256_setzero_si256(); 4]; M];
            for step in 0..depth {
                // SAFETY: the caller vouches for `depth` steps of every row and block.
                unsafe {
                    let w = w.add((block * depth + step) * STEP);
                    let mut rows = [_mm256_setzero_si256(); M];
                    for m in 0..M {
                        rows[m] = _mm256_cvtepi8_epi16(_mm_set1_epi32(four(a[m], step)));
                    }
                    for quarter in 0..4 {
                        let weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.add(quarter * 16).cast()));
                        for m in 0..M {
                            let products = _mm256_madd_epi16(weights, rows[m]);
                            total[m][quarter] = _mm256_add_epi32(total[m][quarter], products);
                        }
                    }
                }
            }
            for m in 0..M {
                for half in 0..2 {
                    // Columns 0 1 4 5 | 2 3 6 7, put in order.
                    let pairs = _mm256_hadd_epi32(total[m][half * 2], total[m][half * 2 + 1]);
                    let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(pairs);
                    // SAFETY: 16 sums are two times 32 bytes.
                    unsafe { _mm256_storeu_si256(sums[m][block].as_mut_ptr().add(half * 8).cast(), ordered) };
                }
            }
        }
    }
}
