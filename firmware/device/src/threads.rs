//! On which CPUs the program's threads run: `[threads]`.

use std::collections::BTreeSet;
use std::io;

use ocelli_drivers::{MOST_CPUS, allowed_cpus, pin_thread};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, note};

/// `[threads]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThreadsTable {
    /// CPUs, counted from 0, on which pictures are taken, and on which a camera's command runs. Default: any.
    pub capture: Vec<u16>,
    /// CPUs on which STAB works. Default: any.
    pub stab: Vec<u16>,
    /// CPUs of the narrator, the memory and what is said. Default: any.
    pub think: Vec<u16>,
    /// How many threads share STAB's large products, 1 to 8. The others spin while a picture is computed of which much changed, and
    /// sleep in between: for CPUs of `stab` that are idle. Default 1, the STAB thread alone.
    pub stab_team: u8,
}

/// Threads of a team at most: beyond, products of STAB's size have no more rows to share.
const MOST_OF_A_TEAM: u8 = 8;

impl Default for ThreadsTable {
    fn default() -> Self {
        Self { capture: vec![], stab: vec![], think: vec![], stab_team: 1 }
    }
}

impl ThreadsTable {
    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        for (name, cpus) in self.named() {
            if let Some(cpu) = cpus.iter().find(|cpu| **cpu >= MOST_CPUS) {
                return Err(format!("`{name}` names CPU {cpu}; they are counted from 0, and end at {}", MOST_CPUS - 1));
            }
        }
        if !(1..=MOST_OF_A_TEAM).contains(&self.stab_team) {
            return Err(format!(
                "`stab_team` is {}, and may be 1 (STAB's thread alone) to {MOST_OF_A_TEAM}",
                self.stab_team
            ));
        }
        Ok(())
    }

    fn named(&self) -> [(&'static str, &[u16]); 3] {
        [("capture", &self.capture), ("stab", &self.stab), ("think", &self.think)]
    }

    /// The same without CPUs that this program may not use here, each of which is told: a thread of which none is left runs
    /// anywhere. A team is no larger than its CPUs are many.
    #[must_use]
    pub fn here(&self, mut tell: impl FnMut(String)) -> Self {
        let allowed = allowed_cpus().unwrap_or_default();
        let [capture, stab, think] = self.named().map(|(name, cpus)| {
            let (here, away): (Vec<u16>, Vec<u16>) = cpus.iter().partition(|cpu| allowed.contains(cpu));
            if !away.is_empty() {
                let left = if here.is_empty() { "it runs on any".into() } else { format!("it runs on {here:?}") };
                tell(format!("[threads] {name} names CPUs that are not for this program here, {away:?}; {left}"));
            }
            here
        });
        // A CPU that is named twice is one.
        let most = if stab.is_empty() { &allowed } else { &stab }.iter().collect::<BTreeSet<_>>().len().max(1);
        let stab_team = self.stab_team.min(u8::try_from(most).unwrap_or(u8::MAX));
        if stab_team < self.stab_team {
            tell(format!(
                "[threads] stab_team is {}, and there are CPUs for {stab_team}: who spins needs one of its own",
                self.stab_team
            ));
        }
        Self { capture, stab, think, stab_team }
    }

    /// For `ocelli check`; none where all is as by default.
    pub fn line(&self) -> Option<String> {
        let bound = self.named().into_iter().filter(|(_, cpus)| !cpus.is_empty());
        let mut bound: Vec<String> = bound.map(|(name, cpus)| format!("{name} on {cpus:?}")).collect();
        if self.stab_team > 1 {
            bound.push(format!("{} share STAB's large products", self.stab_team));
        }
        (!bound.is_empty()).then(|| bound.join(", "))
    }
}

/// The config's table as it can be had here, with notes for who starts the program.
pub fn here(table: &ThreadsTable) -> ThreadsTable {
    table.here(note)
}

/// Binds the calling thread.
///
/// # Errors
/// The system refuses, although it allowed these CPUs before.
pub fn pin(cpus: &[u16]) -> Result<(), Error> {
    pin_thread(cpus).map_err(|source: io::Error| Error::System { what: "to bind a thread to its CPUs", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_that_are_not_here_are_left_out_and_told() {
        let first = allowed_cpus().expect("the system tells")[0];
        let table = ThreadsTable { capture: vec![first, 1000], stab: vec![1001], ..ThreadsTable::default() };
        let mut told = Vec::new();
        let here = table.here(|line| told.push(line));
        assert_eq!((here.capture, here.stab, here.think), (vec![first], vec![], vec![]));
        let wanted = [
            format!("[threads] capture names CPUs that are not for this program here, [1000]; it runs on [{first}]"),
            "[threads] stab names CPUs that are not for this program here, [1001]; it runs on any".into(),
        ];
        assert_eq!(told, wanted);
        assert_eq!(table.line().expect("two are bound"), format!("capture on [{first}, 1000], stab on [1001]"));
        assert!(table.check().is_ok() && ThreadsTable::default().line().is_none());
        let why = ThreadsTable { stab: vec![5000], ..ThreadsTable::default() }.check().expect_err("there are 1024");
        assert_eq!(why, "`stab` names CPU 5000; they are counted from 0, and end at 1023");
        let team = ThreadsTable { stab: vec![first], stab_team: 2, ..ThreadsTable::default() };
        assert_eq!(team.line().expect("a team"), format!("stab on [{first}], 2 share STAB's large products"));
        for stab in [vec![first], vec![first; 2]] {
            let (team, mut told) = (ThreadsTable { stab, ..team.clone() }, Vec::new());
            let here = team.here(|line| told.push(line));
            assert_eq!((here.stab_team, told.len()), (1, 1), "two would spin on one CPU: {told:?}");
        }
        for stab_team in [0, 9] {
            let why = ThreadsTable { stab_team, ..ThreadsTable::default() }.check().expect_err("there are 1 to 8");
            assert_eq!(why, format!("`stab_team` is {stab_team}, and may be 1 (STAB's thread alone) to 8"));
        }
    }
}
