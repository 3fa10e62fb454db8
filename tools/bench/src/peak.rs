//! What one core can do at best: the dot product of each set of instructions on registers alone, and reads of each level of
//! the memory.

use std::hint::black_box;
use std::time::Instant;

use ocelli_kernels::Isa;

/// Instructions of a burst, over all sums: some milliseconds.
const BURST: u64 = 1 << 23;

/// Bytes that one measurement of reads goes over, and that are read between two looks at the clock.
const READ_BYTES: usize = 256 << 20;
const PASS_BYTES: usize = 4 << 20;

/// A loop over registers alone.
struct Burst {
    instruction: &'static str,
    /// Multiply-adds of one instruction.
    products: u64,
    /// Does so many rounds, and says how many instructions a round is.
    run: fn(u64) -> u64,
}

/// The instruction with which this set multiplies bytes, and its G operations a second just now (a multiply-add is two);
/// nothing for plain Rust.
pub fn dot(isa: Isa) -> Option<(&'static str, f64)> {
    let Burst { instruction, products, run } = burst(isa)?;
    let rounds = BURST / run(1);
    let start = Instant::now();
    let done = rounds * run(rounds);
    let seconds = start.elapsed().as_secs_f64();
    Some((instruction, 2.0 * (done * products) as f64 / seconds / 1e9))
}

/// 64 bytes: a line of most caches, and the widest register. Reads across the border of two lines are half as fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Line(pub [u64; 8]);

/// GB a second just now over a buffer, read again and again; of one reader and of four side by side the faster.
pub fn read(buffer: &[Line]) -> f64 {
    let bytes = size_of_val(buffer);
    let passes = (PASS_BYTES / bytes).max(1);
    let rate = |read: fn(&[Line]) -> u64| {
        black_box(read(buffer));
        let mut best = 0.0_f64;
        for _ in 0..READ_BYTES.div_ceil(passes * bytes) {
            let start = Instant::now();
            (0..passes).for_each(|_| {
                black_box(read(black_box(buffer)));
            });
            best = best.max((passes * bytes) as f64 / start.elapsed().as_secs_f64() / 1e9);
        }
        best
    };
    rate(read_once::<1>).max(rate(read_once::<4>))
}

/// Lines that are read before the loop goes round.
const LINES: usize = 4;

/// Makes a function that reads all lines but what is left over by `STREAMS` parts, each from its start on, and gives the
/// exclusive or of their words.
macro_rules! reader {
    ($name:ident, $(#[$feature:meta])? $register:ty, $zero:expr, $xor:expr) => {
        $(#[$feature])?
        fn $name<const STREAMS: usize>(lines: &[Line]) -> u64 {
            const REGISTERS: usize = size_of::<Line>() / size_of::<$register>();
            let part = lines.len() / STREAMS / LINES * LINES;
            let mut sums = [[$zero; REGISTERS]; LINES];
            for start in (0..part).step_by(LINES / STREAMS) {
                for (index, sums) in sums.iter_mut().enumerate() {
                    let at = index % STREAMS * part + start + index / STREAMS;
                    for (register, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: `at < STREAMS * part`, since `LINES / STREAMS` divides `part`; a line is as many
                        // registers, and aligned as they are.
                        let value = unsafe { lines.as_ptr().add(at).cast::<$register>().add(register).read() };
                        *sum = $xor(*sum, value);
                    }
                }
            }
            let all = sums.as_flattened().iter().fold($zero, |a, b| $xor(a, *b));
            // SAFETY: plain bits.
            let words: [u64; size_of::<$register>() / 8] = unsafe { std::mem::transmute(all) };
            words.iter().fold(0, |a, b| a ^ b)
        }
    };
}

reader!(read_words, u64, 0, |a: u64, b: u64| a ^ b);

#[cfg(target_arch = "x86_64")]
fn read_once<const STREAMS: usize>(lines: &[Line]) -> u64 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_setzero_si256, _mm256_xor_si256, _mm512_setzero_si512, _mm512_xor_si512,
    };
    reader!(
        read_512,
        #[target_feature(enable = "avx512f")]
        __m512i,
        _mm512_setzero_si512(),
        _mm512_xor_si512
    );
    reader!(
        read_256,
        #[target_feature(enable = "avx2")]
        __m256i,
        _mm256_setzero_si256(),
        _mm256_xor_si256
    );
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has the feature, as was just found.
        unsafe { read_512::<STREAMS>(lines) }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        unsafe { read_256::<STREAMS>(lines) }
    } else {
        read_words::<STREAMS>(lines)
    }
}

#[cfg(target_arch = "aarch64")]
fn read_once<const STREAMS: usize>(lines: &[Line]) -> u64 {
    use std::arch::aarch64::{uint64x2_t, vdupq_n_u64, veorq_u64};
    reader!(
        read_128,
        #[target_feature(enable = "neon")]
        uint64x2_t,
        vdupq_n_u64(0),
        veorq_u64
    );
    if std::arch::is_aarch64_feature_detected!("neon") {
        // SAFETY: the CPU has the feature, as was just found.
        unsafe { read_128::<STREAMS>(lines) }
    } else {
        read_words::<STREAMS>(lines)
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn read_once<const STREAMS: usize>(lines: &[Line]) -> u64 {
    read_words::<STREAMS>(lines)
}

#[cfg(target_arch = "x86_64")]
fn burst(isa: Isa) -> Option<Burst> {
    use std::arch::x86_64::{
        _mm256_add_epi32, _mm256_dpbusd_avx_epi32, _mm256_madd_epi16, _mm256_set1_epi8, _mm256_setzero_si256,
        _mm512_dpbusd_epi32, _mm512_set1_epi8, _mm512_setzero_si512,
    };

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn vpdpbusd_512(rounds: u64) -> u64 {
        let (a, w) = black_box((_mm512_set1_epi8(3), _mm512_set1_epi8(-5)));
        let mut sums = [_mm512_setzero_si512(); 24];
        for _ in 0..rounds {
            sums.iter_mut().for_each(|sum| *sum = _mm512_dpbusd_epi32(*sum, a, w));
        }
        black_box(sums).len() as u64
    }

    #[target_feature(enable = "avx2,avxvnni")]
    fn vpdpbusd_256(rounds: u64) -> u64 {
        let (a, w) = black_box((_mm256_set1_epi8(3), _mm256_set1_epi8(-5)));
        let mut sums = [_mm256_setzero_si256(); 12];
        for _ in 0..rounds {
            sums.iter_mut().for_each(|sum| *sum = _mm256_dpbusd_avx_epi32(*sum, a, w));
        }
        black_box(sums).len() as u64
    }

    // What is multiplied is the sum itself: a product of constants would be moved out of the loop.
    #[target_feature(enable = "avx2")]
    fn vpmaddwd(rounds: u64) -> u64 {
        let w = black_box(_mm256_set1_epi8(-5));
        let mut sums = [_mm256_set1_epi8(3); 12];
        for _ in 0..rounds {
            sums.iter_mut().for_each(|sum| *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(*sum, w)));
        }
        black_box(sums).len() as u64
    }

    let instruction = isa.name();
    match instruction {
        "avx512-vnni" if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bw") => {
            // SAFETY: the CPU has the features, as was just found.
            Some(Burst { instruction: "vpdpbusd zmm", products: 64, run: |rounds| unsafe { vpdpbusd_512(rounds) } })
        }
        "avx-vnni" if is_x86_feature_detected!("avxvnni") && is_x86_feature_detected!("avx2") => {
            // SAFETY: as above.
            Some(Burst { instruction: "vpdpbusd ymm", products: 32, run: |rounds| unsafe { vpdpbusd_256(rounds) } })
        }
        "avx2" if is_x86_feature_detected!("avx2") => {
            // SAFETY: as above.
            Some(Burst { instruction: "vpmaddwd+vpaddd", products: 16, run: |rounds| unsafe { vpmaddwd(rounds) } })
        }
        _ => None,
    }
}

#[cfg(target_arch = "aarch64")]
fn burst(isa: Isa) -> Option<Burst> {
    use std::arch::aarch64::{vdupq_n_s8, vdupq_n_s16, vdupq_n_s32};
    use std::arch::{asm, is_aarch64_feature_detected};

    #[target_feature(enable = "neon,i8mm")]
    fn smmla(rounds: u64) -> u64 {
        let (a, w) = (vdupq_n_s8(3), vdupq_n_s8(-5));
        let mut sums = [vdupq_n_s32(0); 24];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: arithmetic on registers, with an instruction that the function's feature stands for.
                unsafe {
                    asm!("smmla {s:v}.4s, {a:v}.16b, {w:v}.16b", s = inout(vreg) *sum, a = in(vreg) a, w = in(vreg) w,
                        options(nomem, nostack, preserves_flags));
                }
            }
        }
        black_box(sums).len() as u64
    }

    #[target_feature(enable = "neon,dotprod")]
    fn sdot(rounds: u64) -> u64 {
        let (a, w) = (vdupq_n_s8(3), vdupq_n_s8(-5));
        let mut sums = [vdupq_n_s32(0); 24];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: as in `smmla`.
                unsafe {
                    asm!("sdot {s:v}.4s, {a:v}.16b, {w:v}.16b", s = inout(vreg) *sum, a = in(vreg) a, w = in(vreg) w,
                        options(nomem, nostack, preserves_flags));
                }
            }
        }
        black_box(sums).len() as u64
    }

    // As in the kernel: two products of eight bytes are added up in 16 bits, then in 32.
    #[target_feature(enable = "neon")]
    fn smull(rounds: u64) -> u64 {
        let (a, w) = (vdupq_n_s8(3), vdupq_n_s8(-5));
        let (mut sums, mut wide) = ([vdupq_n_s32(0); 12], [vdupq_n_s16(0); 12]);
        for _ in 0..rounds {
            for (sum, wide) in sums.iter_mut().zip(&mut wide) {
                // SAFETY: arithmetic on registers that every aarch64 has.
                unsafe {
                    asm!("smull {t:v}.8h, {a:v}.8b, {w:v}.8b", "smlal {t:v}.8h, {a:v}.8b, {w:v}.8b",
                        "sadalp {s:v}.4s, {t:v}.8h", t = inout(vreg) *wide, s = inout(vreg) *sum, a = in(vreg) a,
                        w = in(vreg) w, options(nomem, nostack, preserves_flags));
                }
            }
        }
        black_box((sums, wide)).0.len() as u64
    }

    match isa.name() {
        "neon-i8mm" if is_aarch64_feature_detected!("i8mm") => {
            // SAFETY: the CPU has the features, as was just found.
            Some(Burst { instruction: "smmla", products: 32, run: |rounds| unsafe { smmla(rounds) } })
        }
        "neon-dotprod" if is_aarch64_feature_detected!("dotprod") => {
            // SAFETY: as above.
            Some(Burst { instruction: "sdot", products: 16, run: |rounds| unsafe { sdot(rounds) } })
        }
        "neon" if is_aarch64_feature_detected!("neon") => {
            // SAFETY: as above.
            Some(Burst { instruction: "smull+smlal+sadalp", products: 16, run: |rounds| unsafe { smull(rounds) } })
        }
        _ => None,
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn burst(_: Isa) -> Option<Burst> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_but_the_portable_one_has_a_peak() {
        for isa in Isa::available() {
            let peak = dot(isa);
            assert_eq!(peak.is_some(), isa != Isa::PORTABLE, "{}", isa.name());
            assert!(peak.is_none_or(|(_, gops)| gops > 0.0));
        }
    }

    #[test]
    fn a_read_goes_over_every_line() {
        let lines: Vec<Line> = (0..128).map(|i| Line(std::array::from_fn(|lane| i * i * i + lane as u64))).collect();
        let all = lines.iter().flat_map(|line| line.0).fold(0, |a, b| a ^ b);
        assert_ne!(all, 0);
        assert_eq!([read_once::<1>(&lines), read_once::<4>(&lines), read_words::<1>(&lines)], [all; 3]);
    }
}
