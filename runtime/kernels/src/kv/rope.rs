//! Rotary positions (`RoFormer`, Su et al. 2021, section 3.2.2), applied when keys are used. Pairs are halves, `(i, i + dh/2)`, as
//! in the weights of Hugging Face (`rotate_half`); llama.cpp's lie side by side.

use super::MOST_WIDTH;

/// `e^(i w 2^b)` of every frequency `w` of a head and every bit `b` of a position. The turn by any position is a product of
/// some of these: no CPU's or library's own sine is asked, so the bits are the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    /// `[32][dh / 2]`
    cos: Box<[f64]>,
    /// `[32][dh / 2]`
    sin: Box<[f64]>,
    half: usize,
}

impl Turns {
    /// For frequencies `base^(-2 i / dh)`; `dh` is a power of 2.
    pub fn new(base: f64, dh: usize) -> Self {
        let half = dh / 2;
        let (mut cos, mut sin) = (vec![0.0; 32 * half], vec![0.0; 32 * half]);
        // base^(2 / dh) by square roots, which round alike everywhere.
        let step = (0..half.ilog2()).fold(base, |step, _| step.sqrt());
        let mut frequency = 1.0;
        for i in 0..half {
            (cos[i], sin[i]) = turn_by(frequency);
            frequency /= step;
        }
        for i in half..32 * half {
            let (c, s) = (cos[i - half], sin[i - half]);
            (cos[i], sin[i]) = (c * c - s * s, 2.0 * c * s);
        }
        Self { cos: cos.into(), sin: sin.into(), half }
    }

    /// Bytes that they take.
    pub const fn bytes(&self) -> usize {
        size_of_val(&*self.cos) + size_of_val(&*self.sin)
    }

    /// Cosines and sines, `[dh / 2]`, of the turn by so many positions.
    #[inline(always)]
    pub fn turn(&self, by: u32, cos: &mut [f32], sin: &mut [f32]) {
        let half = self.half;
        let (mut wide_cos, mut wide_sin) = ([1.0; MOST_WIDTH / 2], [0.0; MOST_WIDTH / 2]);
        for bit in 0..32 {
            if by >> bit & 1 == 0 {
                continue;
            }
            let (c, s) = (&self.cos[bit * half..][..half], &self.sin[bit * half..][..half]);
            for ((wide_cos, wide_sin), (c, s)) in wide_cos.iter_mut().zip(&mut wide_sin).zip(c.iter().zip(s)) {
                (*wide_cos, *wide_sin) = (*wide_cos * c - *wide_sin * s, *wide_cos * s + *wide_sin * c);
            }
        }
        for ((cos, sin), (c, s)) in cos.iter_mut().zip(sin).zip(wide_cos.iter().zip(&wide_sin)).take(half) {
            (*cos, *sin) = (*c as f32, *s as f32);
        }
    }
}

/// Cosine and sine of an angle from 0 to 1, by their series.
fn turn_by(angle: f64) -> (f64, f64) {
    let (mut cos, mut sin, mut term) = (0.0, 0.0, 1.0);
    for n in 0..24 {
        let to = if n % 2 == 0 { &mut cos } else { &mut sin };
        *to += if n % 4 < 2 { term } else { -term };
        term *= angle / f64::from(n + 1);
    }
    (cos, sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_close_to_the_library() {
        let turns = Turns::new(1e5, 64);
        let (mut cos, mut sin) = ([0.0; 32], [0.0; 32]);
        for by in [0, 1, 2, 63, 64, 1000, 8191, 1 << 20, (1 << 24) - 1] {
            turns.turn(by, &mut cos, &mut sin);
            for i in 0..32 {
                let angle = f64::from(by) * 1e5f64.powf(-(i as f64) / 32.0);
                assert!((f64::from(cos[i]) - angle.cos()).abs() < 1e-7, "{by} {i}");
                assert!((f64::from(sin[i]) - angle.sin()).abs() < 1e-7, "{by} {i}");
            }
        }
    }
}
