//! What is done to a row before a product: layer norm and quantization.

use crate::EPSILON;
use crate::math::{self, LANES, ROUND, largest_of, rounded, sum_of};

/// A row of less than this is taken for zeros: 127 over it would not be a number to multiply by.
pub(crate) const LEAST: f32 = 1e-30;

/// `(x - mean) / sqrt(var + 1e-5)` into `to`.
#[inline(always)]
pub(crate) fn normalize(x: &[f32], to: &mut [f32]) {
    Norm::of(x).apply(x, to);
}

/// What normalizes a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Norm {
    mean: f32,
    gain: f32,
}

impl Norm {
    #[inline(always)]
    pub(crate) fn of(x: &[f32]) -> Self {
        let count = x.len() as f32;
        let (whole, rest) = x.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for x in whole {
            for l in 0..LANES {
                lanes[l] += x[l];
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane += x;
        }
        let mean = sum_of(lanes) / count;
        lanes = [0.0; LANES];
        for x in whole {
            for l in 0..LANES {
                lanes[l] += (x[l] - mean) * (x[l] - mean);
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane += (x - mean) * (x - mean);
        }
        let variance = sum_of(lanes) / count;
        Self { mean, gain: 1.0 / (variance + EPSILON).sqrt() }
    }

    #[inline(always)]
    pub(crate) fn apply(self, x: &[f32], to: &mut [f32]) {
        for (to, x) in to.iter_mut().zip(x) {
            *to = (x - self.mean) * self.gain;
        }
    }
}

/// `x / sqrt(mean(x^2) + 1e-5)` into `to` (`RMSNorm`, Zhang and Sennrich 2019).
#[inline(always)]
pub(crate) fn divide_by_root_mean_square(x: &[f32], to: &mut [f32]) {
    let gain = 1.0 / (math::dot(x, x) / x.len() as f32 + EPSILON).sqrt();
    for (to, x) in to.iter_mut().zip(x) {
        *to = x * gain;
    }
}

/// Quantizes a row to `q`, each byte with `FLIP`, and gives its scale. What `q` is longer becomes 0. The scale of a row that
/// holds what is not a number is none either, so that it shows in every value made of the row.
#[inline(always)]
pub(crate) fn quantize(x: &[f32], flip: u8, q: &mut [u8]) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let (mut lanes, mut odd) = ([0.0f32; LANES], [0.0f32; LANES]);
    for x in whole {
        for l in 0..LANES {
            lanes[l] = larger(lanes[l], x[l].abs());
            // 0 unless something is infinite or no number, which comparing would pass over.
            odd[l] = x[l].mul_add(0.0, odd[l]);
        }
    }
    for ((lane, odd), x) in lanes.iter_mut().zip(&mut odd).zip(rest) {
        *lane = larger(*lane, x.abs());
        *odd = x.mul_add(0.0, *odd);
    }
    let most = largest_of(lanes) + sum_of(odd);
    let (scale, inverse) = if most < LEAST { (1.0, 0.0) } else { (most / 127.0, 127.0 / most) };
    let (q, padding) = q.split_at_mut(x.len());
    for (q, x) in q.iter_mut().zip(x) {
        *q = rounded(x * inverse + ROUND) as u8 ^ flip;
    }
    padding.fill(flip);
    scale
}

/// The larger of two; the first where the second is not a number.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_rounded_half_to_even_and_reaches_127() {
        let x = [127.0, -127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 0.0];
        let mut q = [9; 12];
        assert_eq!(quantize(&x, 0, &mut q).to_bits(), 1f32.to_bits());
        assert_eq!(q.map(u8::cast_signed), [127, -127, 0, 2, 2, 0, -2, 0, 0, 0, 0, 0]);
        quantize(&x, 0x80, &mut q);
        assert_eq!(q[..4], [255, 1, 128, 130]);
    }

    #[test]
    fn what_is_not_a_number_shows_in_the_scale() {
        for at in 0..37 {
            let mut x = [1.0; 37];
            x[at] = f32::NAN;
            assert!(quantize(&x, 0, &mut [0; 40]).is_nan());
            x[at] = f32::NEG_INFINITY;
            assert!(quantize(&x, 0, &mut [0; 40]).is_nan());
        }
    }

    #[test]
    fn an_empty_row_keeps_scale_1() {
        let mut q = [9; 4];
        assert_eq!((quantize(&[0.0, -0.0, 1e-38], 0, &mut q).to_bits(), q), (1f32.to_bits(), [0; 4]));
    }

    #[test]
    fn a_row_by_its_root_mean_square_has_1() {
        let x: Vec<f32> = (0..37).map(|i| (i * i % 11) as f32).collect();
        let mut n = vec![0.0; 37];
        divide_by_root_mean_square(&x, &mut n);
        let square: f32 = n.iter().map(|v| v * v).sum::<f32>() / 37.0;
        assert!((square - 1.0).abs() < 1e-5 && n[0] == 0.0 && (n[2] / n[1] - 4.0).abs() < 1e-5);
    }

    #[test]
    fn norm_has_mean_0_and_variance_1() {
        let x: Vec<f32> = (0..37).map(|i| (i * i % 11) as f32).collect();
        let mut n = vec![0.0; 37];
        normalize(&x, &mut n);
        let mean: f32 = n.iter().sum::<f32>() / 37.0;
        let variance: f32 = n.iter().map(|v| v * v).sum::<f32>() / 37.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5);
    }
}
