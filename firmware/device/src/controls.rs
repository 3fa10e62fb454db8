//! What others may set while the program runs, from the thread that hears them to those that watch and think.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ocelli_gateway::{Answered, Controls, HouseError, Tuning, VerbosityName};

use crate::config::Verbosity;

/// Until when it is quiet.
#[derive(Clone, Copy, Debug, Default)]
enum Quiet {
    #[default]
    Not,
    /// Until it is switched off.
    On,
    Until(Instant),
}

/// What is set.
#[derive(Debug)]
pub struct Switches {
    verbosity: AtomicU8,
    quiet: Mutex<Quiet>,
    /// Cameras that nobody looks at.
    off: Vec<AtomicBool>,
}

impl Switches {
    /// As the config says, with all cameras on.
    pub fn new(verbosity: Verbosity, cameras: usize) -> Self {
        Self {
            verbosity: AtomicU8::new(verbosity as u8),
            quiet: Mutex::default(),
            off: (0..cameras).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// How much is to be told.
    pub fn verbosity(&self) -> Verbosity {
        let set = self.verbosity.load(Ordering::Relaxed);
        let all = [Verbosity::Quiet, Verbosity::Normal, Verbosity::Full];
        all.into_iter().find(|verbosity| *verbosity as u8 == set).unwrap_or_default()
    }

    /// Whether nobody is to look at this camera.
    pub fn is_off(&self, camera: usize) -> bool {
        self.off.get(camera).is_some_and(|off| off.load(Ordering::Relaxed))
    }

    /// Whether it is as in quiet hours.
    pub fn is_quiet(&self) -> bool {
        match *self.quiet.lock().unwrap_or_else(PoisonError::into_inner) {
            Quiet::Not => false,
            Quiet::On => true,
            Quiet::Until(until) => Instant::now() < until,
        }
    }
}

impl Controls for Switches {
    fn tuning(&self) -> Tuning {
        Tuning {
            verbosity: match self.verbosity() {
                Verbosity::Quiet => VerbosityName::Quiet,
                Verbosity::Normal => VerbosityName::Normal,
                Verbosity::Full => VerbosityName::Full,
            },
            quiet: self.is_quiet(),
            enabled: (0..self.off.len()).map(|camera| !self.is_off(camera)).collect(),
        }
    }

    fn set_verbosity(&self, verbosity: VerbosityName) -> Answered<()> {
        let verbosity = match verbosity {
            VerbosityName::Quiet => Verbosity::Quiet,
            VerbosityName::Normal => Verbosity::Normal,
            VerbosityName::Full => Verbosity::Full,
        };
        self.verbosity.store(verbosity as u8, Ordering::Relaxed);
        Ok(())
    }

    fn set_quiet(&self, quiet: bool, minutes: Option<u32>) -> Answered<()> {
        let wanted = match (quiet, minutes) {
            (false, _) => Quiet::Not,
            (true, None) => Quiet::On,
            (true, Some(minutes)) => Quiet::Until(Instant::now() + Duration::from_secs(60 * u64::from(minutes))),
        };
        *self.quiet.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        Ok(())
    }

    fn set_enabled(&self, camera: usize, enabled: bool) -> Answered<()> {
        let off = self.off.get(camera).ok_or_else(|| HouseError::Absent("there is no such camera".into()))?;
        off.store(!enabled, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is() {
        let switches = Switches::new(Verbosity::Full, 2);
        assert_eq!((switches.verbosity(), switches.is_quiet()), (Verbosity::Full, false));
        switches.set_verbosity(VerbosityName::Quiet).expect("it is one");
        switches.set_quiet(true, Some(1)).expect("a minute");
        switches.set_enabled(1, false).expect("there are two");
        assert!(switches.set_enabled(2, false).is_err());
        let tuning = Tuning { verbosity: VerbosityName::Quiet, quiet: true, enabled: vec![true, false] };
        assert_eq!(switches.tuning(), tuning);
        switches.set_quiet(false, None).expect("it can be");
        assert!(!switches.is_quiet());
    }
}
