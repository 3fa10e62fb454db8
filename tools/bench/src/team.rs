//! What a second thread wins in large products.

use std::time::{Duration, Instant};

use anyhow::Result;
use ocelli_kernels::{Isa, Team};

use crate::kernels::Work;

/// Rows below which there is not much to share.
const LEAST_ROWS: usize = 16;

/// Products between two looks at the clock.
const TIMES: u32 = 50;

/// One product by one thread and by two.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    /// `[m, k] x [k, n]`
    pub shape: (usize, usize, usize),
    /// The least time of each.
    pub us: [f64; 2],
}

/// The shapes that have rows enough, by this CPU's best instructions; one thread and two in turn, `rounds` times, `each` long.
///
/// # Errors
/// The system starts no thread.
pub fn shared(shapes: &[(usize, usize, usize)], rounds: usize, each: Duration) -> Result<Vec<Shared>> {
    let isa = Isa::detect();
    let mut teams =
        [1, 2].map(|threads| Team::new(threads, "team", 256 << 10)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for (shape, seed) in shapes.iter().zip(1..).filter(|((m, ..), _)| *m >= LEAST_ROWS) {
        let (mut work, mut us) = (Work::new(*shape, seed), [f64::INFINITY; 2]);
        for _ in 0..rounds {
            for (team, least) in teams.iter_mut().zip(&mut us) {
                *least = least.min(team.lead(|| least_us(each, || work.run_as_in_stab(isa))));
            }
        }
        all.push(Shared { shape: *shape, us });
    }
    Ok(all)
}

fn least_us(each: Duration, mut product: impl FnMut()) -> f64 {
    let mut least = f64::INFINITY;
    let end = Instant::now() + each;
    while Instant::now() < end {
        let start = Instant::now();
        (0..TIMES).for_each(|_| product());
        least = least.min(start.elapsed().as_secs_f64() / f64::from(TIMES) * 1e6);
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_many_rows_are_measured_by_one_and_by_two() {
        let all = shared(&[(40, 64, 32), (1, 64, 32)], 1, Duration::from_millis(2)).unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].us.iter().all(|us| us.is_finite() && *us > 0.0), "{all:?}");
    }
}
