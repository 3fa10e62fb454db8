//! Arithmetic of remembered tokens: int8 with a scale each.

use core::ops::AddAssign;

/// Adding and taking away 1.5 * 2^23 leaves a small number rounded to even.
const ROUND: f32 = 12_582_912.0;

/// Quantizes `values` to `to` and gives the scale: a value is a byte times it. Values are finite.
pub fn quantize(values: &[f32], to: &mut [i8]) -> f32 {
    let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    if most < f32::MIN_POSITIVE {
        to.fill(0);
        return 0.0;
    }
    let scale = most / 127.0;
    for (to, value) in to.iter_mut().zip(values) {
        *to = ((value / scale + ROUND) - ROUND) as i8;
    }
    scale
}

/// Adds `weight` times the token to `sum`.
pub fn add(sum: &mut [f32], token: &[i8], weight: f32) {
    for (sum, value) in sum.iter_mut().zip(token) {
        sum.add_assign(f32::from(*value) * weight);
    }
}

/// Cosine of the angle between two tokens; scales have no part in it. A token of zeros is like another such, and unlike all
/// else.
pub fn cosine(a: &[i8], b: &[i8]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0_i32, 0_i32, 0_i32);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (i32::from(*a), i32::from(*b));
        // Wrapping, so that the loop becomes vectors: a sum fits for tokens of up to 2^17 values.
        ab = ab.wrapping_add(a * b);
        aa = aa.wrapping_add(a * a);
        bb = bb.wrapping_add(b * b);
    }
    if aa == 0 || bb == 0 {
        return if aa == bb { 1.0 } else { 0.0 };
    }
    // Not above 1 for equal tokens, whatever is rounded.
    (f64::from(ab) / libm::sqrt(f64::from(aa) * f64::from(bb))) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_keeps_its_values_to_half_a_step() {
        let values = [0.1, -2.54, 1.0, 0.0];
        let mut bytes = [0; 4];
        let scale = quantize(&values, &mut bytes);
        assert_eq!(bytes, [5, -127, 50, 0]);
        for (byte, value) in bytes.iter().zip(values) {
            assert!((f32::from(*byte) * scale - value).abs() <= scale / 2.0);
        }
        assert_eq!(quantize(&[0.0; 4], &mut bytes).to_bits(), 0);
        assert_eq!(bytes, [0; 4]);
    }

    #[test]
    fn what_was_quantized_before_stays_the_same() {
        let mut first = [0; 3];
        let scale = quantize(&[0.3, -1.7, 0.9], &mut first);
        let mut second = [0; 3];
        quantize(&first.map(|byte| f32::from(byte) * scale), &mut second);
        assert_eq!(first, second);
    }

    #[test]
    fn cosines_are_of_directions() {
        assert!((cosine(&[3, 4], &[6, 8]) - 1.0).abs() < 1e-6);
        assert!((cosine(&[1, 0], &[-5, 0]) + 1.0).abs() < 1e-6);
        assert!(cosine(&[1, 0], &[0, 9]).abs() < 1e-6);
        assert!(cosine(&[0, 0], &[0, 9]).abs() < 1e-6);
        assert!((cosine(&[0, 0], &[0, 0]) - 1.0).abs() < 1e-6);
    }
}
