//! Time that only moves when told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ocelli_types::{Clock, Micros};

/// A clock whose hands a test moves; sleeping moves them too, so that an hour of waiting is over at once. Clones show
/// the same time.
///
/// ```
/// use ocelli_testkit::SimClock;
/// use ocelli_types::{Clock, Micros};
///
/// let clock = SimClock::new();
/// clock.clone().sleep(Micros(3_600_000_000));
/// clock.advance(Micros(5));
/// assert_eq!(clock.now(), Micros(3_600_000_005));
/// assert_eq!(clock.unix_ms(), SimClock::START_UNIX_MS + 3_600_000);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    now_us: Arc<AtomicU64>,
}

impl SimClock {
    /// The wall clock at time zero: 2026-01-01 00:00:00 UTC.
    pub const START_UNIX_MS: u64 = 1_767_225_600_000;

    /// A clock at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the hands on.
    pub fn advance(&self, duration: Micros) {
        self.now_us.fetch_add(duration.0, Ordering::SeqCst);
    }

    /// Moves the hands on to `instant`.
    ///
    /// # Panics
    /// If that is in the past.
    pub fn advance_to(&self, instant: Micros) {
        let before = Micros(self.now_us.swap(instant.0, Ordering::SeqCst));
        assert!(before <= instant, "time should not run backwards, from {before} to {instant}");
    }
}

impl Clock for SimClock {
    fn now(&self) -> Micros {
        Micros(self.now_us.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Micros) {
        self.advance(duration);
    }

    fn unix_ms(&self) -> u64 {
        Self::START_UNIX_MS + self.now().0 / 1000
    }
}
