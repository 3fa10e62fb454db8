//! What all targets share: the queue that they are sent from, when one is tried again, and what others may set.

use std::cell::{RefCell, RefMut};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Answered;
use crate::outbox::{LEAST_BYTES, Outbox};

/// `[outbox]`: where messages wait for MQTT and webhooks.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxTable {
    /// A folder in which messages wait until their targets have them, so that they outlive a restart or a power cut. Default: none, and
    /// the newest 256 wait in memory.
    pub folder: Option<PathBuf>,
    /// The most that wait there in bytes, 65536 or more. Default 8 MiB, some 20,000 messages. The oldest go first, alerts last.
    pub size_bytes: u64,
}

impl Default for OutboxTable {
    fn default() -> Self {
        Self { folder: None, size_bytes: 8 << 20 }
    }
}

impl OutboxTable {
    /// What no type says.
    ///
    /// # Errors
    /// In words for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        if !(LEAST_BYTES..=1 << 40).contains(&self.size_bytes) {
            return Err(format!("`size_bytes` of [outbox] is {}; it may be 65536 (64 KiB) or more", self.size_bytes));
        }
        if self.folder.as_ref().is_some_and(|folder| folder.as_os_str().is_empty()) {
            return Err("`folder` of [outbox] is empty; write a folder".into());
        }
        Ok(())
    }
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerbosityName {
    /// Who comes and goes, and what matters.
    Quiet,
    /// Each change.
    #[default]
    Normal,
    /// Also what says little new.
    Full,
}

impl VerbosityName {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "quiet" => Some(Self::Quiet),
            "normal" => Some(Self::Normal),
            "full" => Some(Self::Full),
            _ => None,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Normal => "normal",
            Self::Full => "full",
        }
    }
}

/// What others may set while the program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// How much is told.
    pub verbosity: VerbosityName,
    /// Whether it is as in quiet hours: of what is no alarm nobody is told.
    pub quiet: bool,
    /// Whether each camera watches, in the order of the config.
    pub enabled: Vec<bool>,
}

/// What others may set, as the program does it. None of it waits.
pub trait Controls: Send + Sync + 'static {
    /// What is set now.
    fn tuning(&self) -> Tuning;

    /// How much is told from now on.
    ///
    /// # Errors
    /// It cannot be set.
    fn set_verbosity(&self, verbosity: VerbosityName) -> Answered<()>;

    /// Quiet from now on, for so many minutes or until it is set again; or no longer.
    ///
    /// # Errors
    /// It cannot be set.
    fn set_quiet(&self, quiet: bool, minutes: Option<u32>) -> Answered<()>;

    /// Whether a camera, counted from 0, watches from now on.
    ///
    /// # Errors
    /// It cannot be set.
    fn set_enabled(&self, camera: usize, enabled: bool) -> Answered<()>;
}

/// One target's end of the queue, in the courier's thread.
#[derive(Clone, Debug)]
pub struct Queue {
    pub outbox: Rc<RefCell<Outbox>>,
    pub target: usize,
    pub news: watch::Receiver<()>,
    pub stop: watch::Receiver<Stop>,
}

/// Whether the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    Not,
    /// What waits may still go, until this time.
    By(Instant),
}

impl Queue {
    pub fn outbox(&self) -> RefMut<'_, Outbox> {
        self.outbox.borrow_mut()
    }

    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow() != Stop::Not
    }

    /// Waits for something new to send; `false` when the program ends and nothing more will come.
    pub async fn more(&mut self) -> bool {
        if self.is_stopping() {
            return false;
        }
        tokio::select! {
            news = self.news.changed() => news.is_ok(),
            _ = self.stop.changed() => true,
        }
    }

    /// Waits so long; `false` if the program ends meanwhile.
    pub async fn wait(&mut self, time: Duration) -> bool {
        if self.is_stopping() {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            _ = self.stop.changed() => false,
        }
    }
}

/// When a target that fails is tried again: after twice as long each time, less a random part, so that those that were lost
/// together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// How long to wait now, with `random` out of all numbers.
    pub fn wait(&mut self, random: u32) -> Duration {
        let wait = self.next;
        self.next = (self.next * 2).min(self.most);
        wait.mul_f64(1.0 - f64::from(random) / f64::from(u32::MAX) / 4.0)
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A random number; zero where the system has none.
pub fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
        let waits: Vec<u64> = (0..8).map(|_| backoff.wait(0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.wait(u32::MAX), Duration::from_secs(45));
        backoff.reset();
        assert_eq!(backoff.wait(0), Duration::from_secs(1));
    }

    #[test]
    fn an_outbox_without_room_is_refused() {
        assert!(OutboxTable::default().check().is_ok());
        let small = OutboxTable { size_bytes: 1000, ..OutboxTable::default() };
        assert!(small.check().expect_err("too small").contains("65536"));
    }
}
