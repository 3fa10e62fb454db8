//! What is done to a row before a product: layer norm and quantization.

use crate::EPSILON;
use crate::math::{LANES, ROUND, rounded, sum_of};

/// A row of less than this is taken for zeros: 127 over it would not be a number to multiply by.
const LEAST: f32 = 1e-30;

/// `(x - mean) / sqrt(var + 1e-5)` into `to`.
#[inline(always)]
pub(crate) fn normalize(x: &[f32], to: &mut [f32]) {
    let count = x.len() as f32;
    let mean = sum(x, |v| v) / count;
    let variance = sum(x, |v| (v - mean) * (v - mean)) / count;
    let gain = 1.0 / (variance + EPSILON).sqrt();
    to.iter_mut().zip(x).for_each(|(to, x)| *to = (x - mean) * gain);
}

#[inline(always)]
fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        (0..LANES).for_each(|l| lanes[l] += of(x[l]));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += of(*x));
    sum_of(lanes)
}

/// Quantizes a row to `q`, each byte with `FLIP`, and gives its scale. What `q` is longer becomes 0.
#[inline(always)]
pub(crate) fn quantize(x: &[f32], flip: u8, q: &mut [u8]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        (0..LANES).for_each(|l| lanes[l] = larger(lanes[l], x[l].abs()));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane = larger(*lane, x.abs()));
    let most = lanes.into_iter().fold(0.0, larger);
    let (scale, inverse) = if most < LEAST { (1.0, 0.0) } else { (most / 127.0, 127.0 / most) };
    let (q, padding) = q.split_at_mut(x.len());
    q.iter_mut().zip(x).for_each(|(q, x)| *q = rounded(x * inverse + ROUND) as u8 ^ flip);
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
        assert_eq!(quantize(&x, 0, &mut q), 1.0);
        assert_eq!(q.map(u8::cast_signed), [127, -127, 0, 2, 2, 0, -2, 0, 0, 0, 0, 0]);
        quantize(&x, 0x80, &mut q);
        assert_eq!(q[..4], [255, 1, 128, 130]);
    }

    #[test]
    fn an_empty_row_keeps_scale_1() {
        let mut q = [9; 4];
        assert_eq!((quantize(&[0.0, -0.0, 1e-38], 0, &mut q), q), (1.0, [0; 4]));
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
