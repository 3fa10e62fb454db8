//! Picks the frames that the model sees: cameras send 30 a second, or irregularly, and a pack wants 5.

use ocelli_types::Micros;

/// Containers round times to 1 ms, and a frame that is due is not left out for that.
const ROUNDING_US: u64 = 1_000;

/// Takes a frame whenever the next one is due by capture time.
///
/// Due times are multiples of the period counted from the first frame, so the rate does not drift; after a gap
/// the missed ones are skipped, not made up for.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    fps: f64,
    first_us: Option<Micros>,
    next: u64,
    last_us: Micros,
}

impl Sampler {
    /// A sampler of `fps` frames per second; one that is not a positive number takes every frame.
    pub fn new(fps: f64) -> Self {
        let fps = if fps.is_finite() && fps > 0.0 { fps } else { 1e6 };
        Self { fps, first_us: None, next: 0, last_us: Micros(0) }
    }

    /// Takes `fps` frames a second from now on, the next one a period after the last.
    pub fn set_rate(&mut self, fps: f64) {
        let first_us = self.first_us.map(|_| self.last_us);
        *self = Self { first_us, next: u64::from(first_us.is_some()), last_us: self.last_us, ..Self::new(fps) };
    }

    /// Whether to look at the frame of this capture time. The first frame always is; when time runs backwards (a
    /// source that started again) counting starts anew.
    pub fn take(&mut self, captured_us: Micros) -> bool {
        let first_us = match self.first_us {
            Some(first_us) if captured_us >= self.last_us => first_us,
            _ => {
                self.next = 0;
                *self.first_us.insert(captured_us)
            }
        };
        self.last_us = captured_us;
        let periods = (captured_us.since(first_us) + Micros(ROUNDING_US)).seconds() * self.fps;
        let due = periods as u64 >= self.next;
        if due {
            self.next = (periods as u64).saturating_add(1);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(fps: f64, times_us: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut sampler = Sampler::new(fps);
        times_us.into_iter().filter(|&t| sampler.take(Micros(t))).collect()
    }

    #[test]
    fn another_rate_holds_from_the_next_frame_on() {
        let mut sampler = Sampler::new(5.0);
        let mut taken = Vec::new();
        for n in 0..120 {
            match n {
                30 => sampler.set_rate(1.0),
                90 => sampler.set_rate(10.0),
                _ => {}
            }
            if sampler.take(Micros(n * 33_333)) {
                taken.push(n);
            }
        }
        assert_eq!(taken, [0, 6, 12, 18, 24, 59, 89, 92, 95, 98, 101, 104, 107, 110, 113, 116, 119]);
    }

    #[test]
    fn thirty_become_five_without_drift_for_an_hour() {
        let hour = (0..30 * 3600).map(|i| i * 1_000_000 / 30);
        let taken = taken(5.0, hour);
        assert_eq!(taken.len(), 5 * 3600);
        assert!(taken.iter().enumerate().all(|(i, t)| t.abs_diff(i as u64 * 200_000) <= 1), "never off the grid");
    }

    #[test]
    fn millisecond_rounding_does_not_shift_a_frame() {
        let times = (0..300).map(|i| (i as f64 * 1000.0 / 30.0) as u64 * 1000);
        assert_eq!(taken(5.0, times).len(), 50);
    }

    #[test]
    fn a_slow_source_is_taken_whole_and_a_gap_is_not_made_up() {
        assert_eq!(taken(5.0, [0, 400_000, 800_000]), [0, 400_000, 800_000]);
        assert_eq!(taken(5.0, [0, 200_000, 5_030_000, 5_060_000, 5_200_000]), [0, 200_000, 5_030_000, 5_200_000]);
    }

    #[test]
    fn time_that_starts_again_starts_the_count_again() {
        assert_eq!(taken(5.0, [7_000_000, 7_100_000, 0, 100_000, 200_000]), [7_000_000, 0, 200_000]);
    }

    #[test]
    fn nonsense_rates_take_everything() {
        for fps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(taken(fps, [0, 33_000, 66_000]).len(), 3);
        }
    }
}
