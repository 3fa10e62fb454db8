//! Newtypes for quantities that could be swapped by mistake.

use core::fmt;
use core::ops::{Add, Sub};

/// Microseconds since the start of the stream (clip or camera), monotonic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// A duration or instant of `seconds`; negative and NaN become zero.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds.max(0.0) * 1e6 + 0.5) as u64)
    }

    /// The value in seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// `self - earlier`, or zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Micros {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.seconds())
    }
}

/// Position of a frame in its source, counted by the source: gaps are frames that were lost before they reached us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameSeq(pub u64);

/// A memory entry (the tokens of one frame). Ids only grow and are never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_trip_and_never_go_negative() {
        assert_eq!(Micros::from_seconds(1.5), Micros(1_500_000));
        assert_eq!(Micros::from_seconds(-3.0), Micros(0));
        assert_eq!(Micros::from_seconds(f64::NAN), Micros(0));
        assert_eq!(Micros(3) - Micros(5), Micros(0));
        assert!((Micros(250_000).seconds() - 0.25).abs() < 1e-12);
    }
}
