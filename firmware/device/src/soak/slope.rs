//! Whether something stands still: slopes with their standard errors.
//!
//! Samples of a resident set are no independent draws: it stands still and steps, and each sample is nearly the one before.
//! A line through all of them would find an error that is far too small. What is independent is one uptime and the next, two
//! processes: so an uptime counts as one observation, of its level and of its own slope, and the error is what uptimes differ by.

/// Hours, and what was there then.
pub type Point = (f64, f64);

/// What something grows by in an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    pub per_hour: f64,
    pub standard_error: f64,
    /// Degrees of freedom of the error.
    freedom: usize,
}

impl Slope {
    /// A straight line through points that are independent of each other; none through fewer than three.
    pub fn through(points: &[Point]) -> Option<Self> {
        let freedom = points.len().checked_sub(2).filter(|freedom| *freedom > 0)?;
        let (x, y) = middle(points);
        let (per_hour, weight) = fit(points);
        let left: f64 = points.iter().map(|point| (point.1 - y - per_hour * (point.0 - x)).powi(2)).sum();
        Some(Self { per_hour, standard_error: (left / freedom as f64 / weight).sqrt(), freedom })
    }

    /// From uptime to uptime: the line through their means. It sees what a restart does not bring back to where it was.
    pub fn across(uptimes: &[Vec<Point>]) -> Option<Self> {
        let means: Vec<Point> = uptimes.iter().map(|points| middle(points)).collect();
        Self::through(&means)
    }

    /// Within uptimes, of at least two points and with a level of its own each: the mean of their slopes, with the weights of
    /// least squares over all of them. It sees what a restart brings back. None within fewer than three.
    pub fn within(uptimes: &[Vec<Point>]) -> Option<Self> {
        let freedom = uptimes.len().checked_sub(1).filter(|freedom| *freedom > 1)?;
        let slopes: Vec<(f64, f64)> = uptimes.iter().map(|points| fit(points)).collect();
        let whole: f64 = slopes.iter().map(|(_, weight)| weight).sum();
        let per_hour = slopes.iter().map(|(slope, weight)| slope * weight).sum::<f64>() / whole;
        let left: f64 = slopes.iter().map(|(slope, weight)| (weight * (slope - per_hour)).powi(2)).sum();
        let standard_error = (left * uptimes.len() as f64 / freedom as f64).sqrt() / whole;
        Some(Self { per_hour, standard_error, freedom })
    }

    /// Whether it is none, as far as can be told, or less than `least` for each hour. Where there is none that is said 95 times
    /// in 100: below two standard errors, and more where few uptimes tell the error (Student's t, to 6 % from three degrees
    /// of freedom on).
    pub fn is_flat(self, least: f64) -> bool {
        let told_apart = 2.0 * (1.0 + 1.5 / self.freedom as f64) * self.standard_error;
        self.per_hour.abs() <= told_apart.max(least)
    }
}

fn middle(points: &[Point]) -> Point {
    let mean = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    (mean(|point| point.0), mean(|point| point.1))
}

/// The slope of least squares, and its weight: the sum of squares by which the points lie apart in time.
fn fit(points: &[Point]) -> (f64, f64) {
    let (x, y) = middle(points);
    let weight: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    (together / weight, weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: f64 = 4096.0;
    const UPTIME_HOURS: f64 = 2.0;
    const SAMPLES: u64 = 24;

    /// Nine uptimes as soaks have them. Each has a level of its own, by up to 200 KiB apart, and touches a page more
    /// at some time, or none; on top of it `more` gives what there is at an hour of the soak and of the uptime.
    fn soak(seed: u64, more: impl Fn(f64, f64) -> f64) -> Vec<Vec<Point>> {
        let mut state = seed;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let uptime = |at: u32| {
            let (level, touched) = (random(50) as f64 * PAGE, random(2 * SAMPLES));
            let point = |sample: u64| {
                let up = UPTIME_HOURS * sample as f64 / SAMPLES as f64;
                let hour = f64::from(at) * UPTIME_HOURS + up;
                let step = if sample < touched { 0.0 } else { PAGE };
                (hour, ((50e6 + level + step + more(hour, up)) / PAGE).floor() * PAGE)
            };
            (0..SAMPLES).map(point).collect()
        };
        (0..9).map(uptime).collect()
    }

    fn both(uptimes: &[Vec<Point>]) -> (Slope, Slope) {
        let enough = "there are nine uptimes";
        (Slope::across(uptimes).expect(enough), Slope::within(uptimes).expect(enough))
    }

    #[test]
    fn a_line_is_found_with_its_error() {
        let line = Slope::through(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]).expect("three points");
        assert!((line.per_hour - 2.0).abs() < 1e-9 && line.standard_error < 1e-9);
        assert!(!line.is_flat(1.9) && line.is_flat(2.1));
        // By hand: means 1.5 and 1, sum of squares 5, of products 1, residuals -0.7, 1.1, -0.1, -0.3.
        let line = Slope::through(&[(0.0, 0.0), (1.0, 2.0), (2.0, 1.0), (3.0, 1.0)]).expect("four points");
        assert!((line.per_hour - 0.2).abs() < 1e-9, "{line:?}");
        assert!((line.standard_error - (1.8_f64 / 2.0 / 5.0).sqrt()).abs() < 1e-9 && line.is_flat(0.0), "{line:?}");
        assert_eq!(Slope::through(&[(0.0, 1.0), (1.0, 1.0)]), None);
    }

    #[test]
    fn what_stands_still_is_flat_and_two_uptimes_tell_nothing() {
        let still = vec![vec![(0.0, PAGE), (1.0, PAGE)]; 3];
        let within = Slope::within(&still).expect("three uptimes");
        assert!(within.is_flat(0.0) && within.standard_error.abs() < 1e-9, "{within:?}");
        assert_eq!(Slope::within(&still[..2]), None);
        assert_eq!(Slope::across(&still[..2]), None);
    }

    #[test]
    fn levels_and_single_steps_are_no_growth() {
        let both = (0..1000).map(|seed| both(&soak(seed, |_, _| 0.0)));
        let (mut across_flat, mut within_flat) = (0, 0);
        for (across, within) in both {
            across_flat += u32::from(across.is_flat(0.0));
            within_flat += u32::from(within.is_flat(PAGE / UPTIME_HOURS));
        }
        assert!(across_flat > 930 && within_flat > 950, "{across_flat} and {within_flat} of 1000");
    }

    #[test]
    fn a_leak_within_uptimes_is_found_though_each_restart_takes_it_back() {
        for seed in 0..100 {
            let (across, within) = both(&soak(seed, |_, up| 20e3 * up));
            assert!(!within.is_flat(PAGE / UPTIME_HOURS) && (within.per_hour - 20e3).abs() < 4e3, "{within:?}");
            assert!(across.per_hour.abs() < 15e3, "{across:?}");
        }
    }

    #[test]
    fn a_drift_across_uptimes_is_found_though_each_stands_still() {
        for seed in 0..100 {
            // As if what is kept on disk grew.
            let (across, within) = both(&soak(seed, |hour, up| 20e3 * (hour - up)));
            assert!(!across.is_flat(0.0) && (across.per_hour - 20e3).abs() < 15e3, "{across:?}");
            assert!(within.per_hour.abs() < 4e3, "{within:?}");
        }
    }
}
