//! IEEE half precision, as scales and minima are stored. Stable Rust has no type for it.

/// The largest finite half. Nothing larger is let into the cache.
pub(crate) const LARGEST: f32 = 65504.0;

/// 2^112: the exponent of a half counts from 15, that of a single from 127.
const SHIFT: f32 = 5_192_296_858_534_827_628_530_496_329_220_096.0;

/// The nearest half (ties to even); the largest one for what is larger.
#[inline(always)]
pub(crate) fn to_half(x: f32) -> u16 {
    let x = if x.abs() > LARGEST { LARGEST.copysign(x) } else { x };
    // Scaled so that exponents agree, subnormal halves are subnormal singles, and bits are all there is left to drop.
    let bits = (x / SHIFT).to_bits();
    let magnitude = bits & 0x7fff_ffff;
    let rounded = (magnitude + 0x0fff + (magnitude >> 13 & 1)) >> 13;
    (bits >> 16 & 0x8000 | rounded) as u16
}

/// The least half that is no less than `x`, for a scale: no value then needs a larger code than there is. `x` is positive.
#[inline(always)]
pub(crate) fn to_half_above(x: f32) -> u16 {
    let nearest = to_half(x);
    if from_half(nearest) < x && nearest < to_half(LARGEST) { nearest + 1 } else { nearest }
}

#[inline(always)]
pub(crate) fn from_half(half: u16) -> f32 {
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * SHIFT;
    if half & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An interpreter (Miri) gets by with some of them.
    const STEP: usize = if cfg!(miri) { 97 } else { 1 };

    #[test]
    fn every_half_comes_back() {
        for half in (0..=0x7bff_u16).chain(0x8000..=0xfbff).step_by(STEP) {
            assert_eq!(to_half(from_half(half)), half);
        }
        assert_eq!([1.0, -2.0, 2f32.powi(-24), LARGEST].map(to_half), [0x3c00, 0xc000, 0x0001, 0x7bff]);
    }

    #[test]
    fn it_rounds_to_the_nearest_and_up_for_scales() {
        for half in (1..0x7bff_u16).step_by(STEP) {
            let (below, above) = (from_half(half), from_half(half + 1));
            let (near, far) = (0.6 * below + 0.4 * above, 0.4 * below + 0.6 * above);
            assert_eq!((to_half(near), to_half(far), to_half_above(near)), (half, half + 1, half + 1));
        }
        assert_eq!([1e9, -1e9].map(to_half), [0x7bff, 0xfbff]);
        assert_eq!((to_half(0.0), to_half_above(1e-30), to_half_above(LARGEST)), (0, 1, 0x7bff));
    }
}
