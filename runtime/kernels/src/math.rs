//! The few functions that a CPU has no instruction for, in arithmetic that rounds alike everywhere, and sums in one order.

/// Lanes of every floating-point sum.
pub(crate) const LANES: usize = 16;

/// `e^x` to about 2 units in the last place; 0 below -87, and never infinite.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that n * ln 2 is subtracted without loss (Cody and Waite).
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > 88.0 { 88.0 } else { x };
    let held = if x < -87.0 { -87.0 } else { x };
    let shifted = held.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, held));
    // e^r on [-ln2/2, ln2/2]: coefficients of Cephes' expf.
    let p = r.mul_add(1.987_569_1e-4, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 0.166_666_65);
    let p = p.mul_add(r, 0.5);
    let e = p.mul_add(r * r, r) + 1.0;
    let power = f32::from_bits((rounded(shifted) + 127).cast_unsigned() << 23);
    if x < -87.0 { 0.0 } else { e * power }
}

/// Added to a number of at most 2^22, it leaves the nearest integer in the low bits (ties to even).
pub(crate) const ROUND: f32 = 12_582_912.0;

/// The integer in the low bits of a sum with [`ROUND`].
#[inline(always)]
pub(crate) fn rounded(shifted: f32) -> i32 {
    shifted.to_bits().cast_signed().wrapping_sub(ROUND.to_bits().cast_signed())
}

/// `x * sigmoid(1.702 x)`
#[inline(always)]
pub(crate) fn quick_gelu(x: f32) -> f32 {
    x / (1.0 + exp(-1.702 * x))
}

/// `x * sigmoid(x)`
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `x/2 (1 + erf(x / sqrt 2))`; erf by Abramowitz and Stegun 7.1.26, wrong by at most 1.5e-7.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let p = t.mul_add(1.061_405_4, -1.453_152);
    let p = p.mul_add(t, 1.421_413_7);
    let p = p.mul_add(t, -0.284_496_74);
    let p = p.mul_add(t, 0.254_829_6);
    // What is missing to 1 in erf(|z|).
    let rest = p * t * exp(-z * z);
    let half = 0.5 * x;
    if x < 0.0 { half * rest } else { half * (2.0 - rest) }
}

/// The sum of the lanes, pairwise.
#[inline(always)]
pub(crate) fn sum_of(lanes: [f32; LANES]) -> f32 {
    let mut eight = [0.0; 8];
    for i in 0..8 {
        eight[i] = lanes[i] + lanes[i + 8];
    }
    let mut four = [0.0; 4];
    for i in 0..4 {
        four[i] = eight[i] + eight[i + 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// The largest of the lanes, pairwise.
#[inline(always)]
pub(crate) fn largest_of(lanes: [f32; LANES]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut eight = [0.0; 8];
    for i in 0..8 {
        eight[i] = larger(lanes[i], lanes[i + 8]);
    }
    let mut four = [0.0; 4];
    for i in 0..4 {
        four[i] = larger(eight[i], eight[i + 4]);
    }
    larger(larger(four[0], four[2]), larger(four[1], four[3]))
}

/// `a . b`
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_whole, a_rest) = a.as_chunks::<LANES>();
    let (b_whole, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_whole.iter().zip(b_whole) {
        for l in 0..LANES {
            lanes[l] = a[l].mul_add(b[l], lanes[l]);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane = a.mul_add(*b, *lane);
    }
    sum_of(lanes)
}

/// Adds `weight * x` to `to`.
#[inline(always)]
pub(crate) fn add_scaled(to: &mut [f32], weight: f32, x: &[f32]) {
    for (to, x) in to.iter_mut().zip(x) {
        *to = weight.mul_add(*x, *to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep() -> impl Iterator<Item = f32> {
        (-12_000..=12_000).map(|i| i as f32 / 100.0)
    }

    #[test]
    fn exp_is_close_to_the_library() {
        for x in sweep().filter(|x| (-86.9..=87.9).contains(x)) {
            let wanted = f64::from(x).exp();
            assert!((f64::from(exp(x)) - wanted).abs() <= 2.5e-7 * wanted, "{x}: {} {wanted}", exp(x));
        }
        assert_eq!((exp(-88.0), exp(f32::NEG_INFINITY), exp(0.0)), (0.0, 0.0, 1.0));
        assert!(exp(f32::INFINITY).is_finite());
    }

    /// Reference values by the series of erf, in double precision.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            let n = f64::from(n);
            term *= -x * x / n;
            sum += term / (2.0 * n + 1.0);
        }
        if x.abs() > 5.0 { x.signum() } else { sum * 2.0 / std::f64::consts::PI.sqrt() }
    }

    #[test]
    fn the_activations_are_close_to_their_definitions() {
        for x in sweep() {
            let wide = f64::from(x);
            let wanted = wide / 2.0 * (1.0 + erf(wide / 2f64.sqrt()));
            assert!((f64::from(gelu(x)) - wanted).abs() < 5e-7 * (1.0 + wide.abs()), "gelu {x}: {} {wanted}", gelu(x));
            let wanted = wide / (1.0 + (-wide).exp());
            assert!((f64::from(silu(x)) - wanted).abs() < 5e-7 * (1.0 + wide.abs()), "silu {x}");
            let wanted = wide / (1.0 + (-1.702 * wide).exp());
            assert!((f64::from(quick_gelu(x)) - wanted).abs() < 5e-7 * (1.0 + wide.abs()), "quick_gelu {x}");
        }
    }

    #[test]
    fn dot_adds_up_what_is_left_over() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(dot(&a, &a) as i32, (0..37).map(|i| i * i).sum::<i32>());
    }
}
