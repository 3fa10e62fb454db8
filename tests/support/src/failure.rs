//! Failures by appointment.

use std::fmt;

use ocelli_types::{Fault, Faulty};

/// The error of a fake that was told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FakeError {
    /// Which fake.
    pub who: &'static str,
    /// On which call, counted from 1.
    pub call: u64,
    /// What the loop should do.
    pub fault: Fault,
}

impl fmt::Display for FakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fails on call {}, as the test asked", self.who, self.call)
    }
}

impl std::error::Error for FakeError {}

impl Faulty for FakeError {
    fn fault(&self) -> Fault {
        self.fault
    }
}

/// Counts calls and knows which of them fail.
#[derive(Clone, Debug)]
pub(crate) struct Appointments {
    who: &'static str,
    calls: u64,
    failing: Vec<(u64, Fault)>,
}

impl Appointments {
    pub(crate) const fn new(who: &'static str) -> Self {
        Self { who, calls: 0, failing: Vec::new() }
    }

    pub(crate) fn add(&mut self, call: u64, fault: Fault) {
        assert!(call > self.calls, "{}: call {call} is over, and cannot be made to fail", self.who);
        self.failing.push((call, fault));
    }

    /// Counts a call.
    pub(crate) fn call(&mut self) -> Result<(), FakeError> {
        self.calls += 1;
        let Self { who, calls: call, .. } = *self;
        match self.failing.iter().find(|(failing, _)| *failing == call) {
            Some(&(_, fault)) => Err(FakeError { who, call, fault }),
            None => Ok(()),
        }
    }

    pub(crate) const fn calls(&self) -> u64 {
        self.calls
    }
}
