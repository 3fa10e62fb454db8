//! AVX-512 VNNI; AVX-VNNI, its form on small CPUs without AVX-512 (Intel N100 and later); AVX2 for the rest.

#[allow(clippy::wildcard_imports, reason = "intrinsics")]
use std::arch::x86_64::*;

use super::{Blocks, Bytes, COLUMNS, Columns, DEPTH, Dot, STEP, TOGETHER};
use crate::rows;

/// Four bytes of a row, to be broadcast.
///
/// # Safety
/// `a` can be read for `4 * (step + 1)` bytes.
#[inline(always)]
unsafe fn four(a: *const u8, step: usize) -> i32 {
    // SAFETY: the caller vouches for it.
    unsafe { a.add(step * DEPTH).cast::<i32>().read_unaligned() }
}

/// `vpdpbusd` on 512 bits: 64 products an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Vnni;

impl Dot for Avx512Vnni {
    const FLIP: u8 = 0x80;
    // 24 sums, 4 blocks of weights and a broadcast: 29 of 32 registers.
    const ROWS: usize = 6;
    const BLOCKS: usize = 4;

    // Apart, so that all registers are for the loop.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn tile<const M: usize, const B: usize>(
        a: &Bytes<'_, M>,
        w: *const i8,
        depth: usize,
        columns: &Columns<'_, B>,
        to: *mut f32,
        places: &[usize; M],
    ) {
        // SAFETY: as the caller vouches for.
        unsafe { tile_512(a, w, depth, columns, to, places) };
    }

    // In one piece: a row is through a tile so fast that a call between two shows.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn row(a: &Bytes<'_, 1>, w: *const i8, depth: usize, blocks: &Blocks<'_>, to: *mut f32, place: usize) {
        let at = |block: usize| (w.wrapping_add(block * depth * STEP), [place + block * COLUMNS]);
        let mut block = 0;
        while block + 4 <= blocks.start.len() {
            let (w, place) = at(block);
            // SAFETY: the caller vouches for every block.
            unsafe { tile_512::<1, 4>(a, w, depth, &blocks.columns(block), to, &place) };
            block += 4;
        }
        while block < blocks.start.len() {
            let (w, place) = at(block);
            // SAFETY: as above.
            unsafe { tile_512::<1, 1>(a, w, depth, &blocks.columns(block), to, &place) };
            block += 1;
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn quantize(x: &[&[f32]], q: &mut [u8], scales: &mut [f32]) {
        quantize(x, q, scales);
    }
}

/// As [`Dot::tile`].
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn tile_512<const M: usize, const B: usize>(
    a: &Bytes<'_, M>,
    w: *const i8,
    depth: usize,
    columns: &Columns<'_, B>,
    to: *mut f32,
    places: &[usize; M],
) {
    let rows = a.rows();
    let mut start = [_mm512_setzero_si512(); B];
    for b in 0..B {
        // SAFETY: 16 sums are 64 bytes.
        start[b] = unsafe { _mm512_loadu_si512(columns.start[b].as_ptr().cast()) };
    }
    let mut total = [start; M];
    // A few sums would wait for one another (5 cycles each): even and odd steps are summed apart then.
    let apart = M * B <= 12;
    let mut odd = [[_mm512_setzero_si512(); B]; M];
    let mut step = 0;
    while step + 2 <= depth {
        // SAFETY: `step + 1 < depth`.
        unsafe {
            add(&mut total, &rows, w, depth, step);
            add(if apart { &mut odd } else { &mut total }, &rows, w, depth, step + 1);
        }
        step += 2;
    }
    if step < depth {
        // SAFETY: `step < depth`.
        unsafe { add(&mut total, &rows, w, depth, step) };
    }
    for b in 0..B {
        // SAFETY: 16 values are 64 bytes.
        let (s, bias) = unsafe { (_mm512_loadu_ps(columns.s[b].as_ptr()), _mm512_loadu_ps(columns.b[b].as_ptr())) };
        for m in 0..M {
            let sum = if apart { _mm512_add_epi32(total[m][b], odd[m][b]) } else { total[m][b] };
            let sum = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(a.scales[m]));
            // SAFETY: the caller vouches for so many values.
            unsafe { _mm512_storeu_ps(to.add(places[m] + b * COLUMNS), _mm512_fmadd_ps(sum, s, bias)) };
        }
    }
}

/// One step of an AVX-512 tile.
///
/// # Safety
/// As [`Dot::tile`], with `step < depth`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn add<const M: usize, const B: usize>(
    total: &mut [[__m512i; B]; M],
    rows: &[*const u8; M],
    w: *const i8,
    depth: usize,
    step: usize,
) {
    // SAFETY: the caller of `tile` vouches for `depth` steps of every row and block.
    unsafe {
        let mut weights = [_mm512_setzero_si512(); B];
        for b in 0..B {
            weights[b] = _mm512_loadu_si512(w.add((b * depth + step) * STEP).cast());
        }
        for m in 0..M {
            let row = _mm512_set1_epi32(four(rows[m], step));
            for b in 0..B {
                total[m][b] = _mm512_dpbusd_epi32(total[m][b], row, weights[b]);
            }
        }
    }
}

/// Values that are quantized at a time: their bytes fill a register.
const PART: usize = 64;

/// As [`Dot::quantize`]: first what is largest in each row, then all scales, then all bytes, so that nothing waits for the
/// divisions. Comparing passes over what is not a number, but its byte is -128, which no number has.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn quantize(x: &[&[f32]], q: &mut [u8], scales: &mut [f32]) {
    let (rows, width, row_bytes) = (x.len(), x[0].len(), q.len() / x.len());
    let whole = width / PART * PART;
    assert!((width..=whole + PART).contains(&row_bytes), "a row's bytes should fit");
    let some = !(u64::MAX << (width - whole));
    let mut most = [_mm512_setzero_ps(); TOGETHER];
    for r in 0..rows {
        assert!(x[r].len() == width, "rows should have one width");
        let mut lanes = [_mm512_setzero_ps(); 2];
        let mut at = 0;
        while at < whole {
            // SAFETY: `at + 64` is at most the width.
            let x = unsafe { values(x[r].as_ptr().add(at), u64::MAX) };
            lanes = [larger(lanes[0], larger(x[0], x[1])), larger(lanes[1], larger(x[2], x[3]))];
            at += PART;
        }
        if whole < width {
            // SAFETY: those that are left.
            let x = unsafe { values(x[r].as_ptr().add(whole), some) };
            lanes = [larger(lanes[0], larger(x[0], x[1])), larger(lanes[1], larger(x[2], x[3]))];
        }
        most[r] = larger(lanes[0], lanes[1]);
    }
    let (mut found, mut inverses) = ([[0.0; 4]; TOGETHER / 4], [[0.0; 4]; TOGETHER / 4]);
    let (one, full) = (_mm_set1_ps(1.0), _mm_set1_ps(127.0));
    for four in 0..rows.div_ceil(4) {
        let most = largest_of_each(most.as_chunks::<4>().0[four]);
        let counts = _mm_cmp_ps_mask::<_CMP_NLT_UQ>(most, _mm_set1_ps(rows::LEAST));
        // SAFETY: four values.
        unsafe {
            _mm_storeu_ps(found[four].as_mut_ptr(), _mm_mask_div_ps(one, counts, most, full));
            _mm_storeu_ps(inverses[four].as_mut_ptr(), _mm_maskz_div_ps(counts, full, most));
        }
    }
    let turn = _mm512_set1_epi8(i8::MIN);
    for r in 0..rows {
        let inverse = _mm512_set1_ps(inverses.as_flattened()[r]);
        let q = &mut q[r * row_bytes..][..row_bytes];
        let mut least = _mm512_setzero_si512();
        let mut at = 0;
        while at < whole {
            // SAFETY: `at + 64` is at most the width, and so at most `row_bytes`.
            unsafe {
                let bytes = bytes(values(x[r].as_ptr().add(at), u64::MAX), inverse);
                least = _mm512_min_epi8(least, bytes);
                _mm512_storeu_si512(q.as_mut_ptr().add(at).cast(), _mm512_xor_si512(bytes, turn));
            }
            at += PART;
        }
        if whole < row_bytes {
            // SAFETY: those that are left.
            unsafe {
                let bytes = bytes(values(x[r].as_ptr().add(whole), some), inverse);
                least = _mm512_min_epi8(least, bytes);
                let mask = u64::MAX >> (PART - (row_bytes - whole));
                _mm512_mask_storeu_epi8(q.as_mut_ptr().add(whole).cast(), mask, _mm512_xor_si512(bytes, turn));
            }
        }
        let number = _mm512_cmpeq_epi8_mask(least, turn) == 0;
        scales[r] = if number { found.as_flattened()[r] } else { f32::NAN };
    }
}

/// The larger of two, without its sign.
#[inline]
#[target_feature(enable = "avx512dq")]
fn larger(a: __m512, b: __m512) -> __m512 {
    _mm512_range_ps::<0b1011>(a, b)
}

/// The largest of each of four registers.
#[inline]
#[target_feature(enable = "avx512dq")]
fn largest_of_each([a, b, c, d]: [__m512; 4]) -> __m128 {
    let ab = larger(_mm512_shuffle_f32x4::<0b01_00_01_00>(a, b), _mm512_shuffle_f32x4::<0b11_10_11_10>(a, b));
    let cd = larger(_mm512_shuffle_f32x4::<0b01_00_01_00>(c, d), _mm512_shuffle_f32x4::<0b11_10_11_10>(c, d));
    let all = larger(_mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd), _mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd));
    let all = larger(all, _mm512_permute_ps::<0b01_00_11_10>(all));
    let all = larger(all, _mm512_permute_ps::<0b10_11_00_01>(all));
    let firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, all))
}

/// 64 values, of which those that the mask does not name are 0.
///
/// # Safety
/// Those that it names can be read.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn values(x: *const f32, mask: u64) -> [__m512; 4] {
    let mut values = [_mm512_setzero_ps(); 4];
    for i in 0..4 {
        // SAFETY: the caller vouches for it.
        values[i] = unsafe { _mm512_maskz_loadu_ps((mask >> (16 * i)) as u16, x.wrapping_add(16 * i)) };
    }
    values
}

/// The nearest bytes, ties to even.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn bytes(x: [__m512; 4], inverse: __m512) -> __m512i {
    let mut q = [_mm512_setzero_si512(); 4];
    for i in 0..4 {
        q[i] = _mm512_cvtps_epi32(_mm512_mul_ps(x[i], inverse));
    }
    let packed = _mm512_packs_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_permutexvar_epi32(order, packed)
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
    #[target_feature(enable = "avx2,fma,avxvnni")]
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
            let start = columns.start[block].as_ptr();
            // SAFETY: 16 sums are two times 32 bytes.
            let start = unsafe { [_mm256_loadu_si256(start.cast()), _mm256_loadu_si256(start.add(8).cast())] };
            let mut total = [start; M];
            for step in 0..depth {
                // SAFETY: the caller vouches for `depth` steps of every row and block.
                unsafe {
                    let w = w.add((block * depth + step) * STEP);
                    let weights = [_mm256_loadu_si256(w.cast()), _mm256_loadu_si256(w.add(32).cast())];
                    for m in 0..M {
                        let row = _mm256_set1_epi32(four(rows[m], step));
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
        for m in 0..M {
            // SAFETY: the caller vouches for so many values.
            unsafe { columns.finish(&sums[m], a.scales[m], to.add(places[m])) };
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
    #[target_feature(enable = "avx2,fma")]
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
            // Of each quarter (4 columns), two sums a column.
            let mut total = [[_mm256_setzero_si256(); 4]; M];
            for step in 0..depth {
                // SAFETY: the caller vouches for `depth` steps of every row and block.
                unsafe {
                    let w = w.add((block * depth + step) * STEP);
                    let mut bytes = [_mm256_setzero_si256(); M];
                    for m in 0..M {
                        bytes[m] = _mm256_cvtepi8_epi16(_mm_set1_epi32(four(rows[m], step)));
                    }
                    for quarter in 0..4 {
                        let weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(w.add(quarter * 16).cast()));
                        for m in 0..M {
                            let products = _mm256_madd_epi16(weights, bytes[m]);
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
        for m in 0..M {
            // SAFETY: the caller vouches for so many values.
            unsafe { columns.finish(&sums[m], a.scales[m], to.add(places[m])) };
        }
    }
}
