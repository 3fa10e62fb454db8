//! The time of the system, for the program; tests use a clock that only moves when told.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ocelli_types::{Clock, Micros};

/// Monotonic time since it was made (or since the stream began), and the wall clock for people.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
    /// Its time at `start`.
    from: Micros,
}

impl SystemClock {
    /// A clock that stands at `from` now, for a stream that goes on after a restart.
    pub fn starting_at(from: Micros) -> Self {
        Self { start: Instant::now(), from }
    }

    /// A clock that starts at zero now.
    pub fn new() -> Self {
        Self::starting_at(Micros(0))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        self.from + Micros(self.start.elapsed().as_micros() as u64)
    }

    fn sleep(&self, duration: Micros) {
        std::thread::sleep(Duration::from_micros(duration.0));
    }

    /// Zero if the system's clock stands before 1970, as on a board without a battery.
    fn unix_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_moves_the_clock_by_at_least_as_much() {
        let clock = SystemClock::new();
        let before = clock.now();
        clock.sleep(Micros(2_000));
        assert!(clock.now() - before >= Micros(2_000));
        assert!(clock.unix_ms() > 0);
    }
}
