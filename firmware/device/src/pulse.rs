//! What the program counts and times while it runs: the pulse of `run`, the table of `replay --stages`.

use std::fmt;

use ocelli_gateway::house::Stage;
use ocelli_heap::{CountingAlloc, Pool};
use ocelli_pipeline::StepReport;
use ocelli_types::Micros;
use serde::{Deserialize, Serialize};

use crate::plan::mebibytes;
use crate::wiring::Look;

/// Parts of an octave that are told apart: a quantile is right to 1 in 8.
const PARTS: usize = 8;

/// Times of one stage in a fixed number of bins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Times {
    /// By octave of the microseconds, and part of it.
    bins: [[u32; PARTS]; 32],
    count: u64,
    sum_us: u64,
    allocations: u64,
}

impl Times {
    /// Counts one time.
    pub fn add(&mut self, time: Micros) {
        self.count += 1;
        self.sum_us += time.0;
        self.bins.as_flattened_mut()[Self::bin(time.0)] += 1;
    }

    /// Counts what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_us += other.sum_us;
        self.allocations += other.allocations;
        for (bin, count) in self.bins.as_flattened_mut().iter_mut().zip(other.bins.as_flattened()) {
            *bin += count;
        }
    }

    /// Counts what was allocated in one of the times.
    pub fn allocated(&mut self, calls: u64) {
        self.allocations += calls;
    }

    fn bin(us: u64) -> usize {
        let us = us.clamp(1, u64::from(u32::MAX));
        let octave = us.ilog2() as usize;
        let part = ((us << 3) >> octave) as usize - PARTS;
        octave * PARTS + part
    }

    /// Upper edge of the bin in which the quantile lies, in milliseconds; zero without a time.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        let wanted = (self.count as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bin = self.bins.as_flattened().iter().position(|&count| {
            seen += u64::from(count);
            seen >= wanted
        });
        bin.map_or(0.0, |bin| {
            let edge = f64::from(1 << (bin / PARTS).min(30)) * (1.0 + (bin % PARTS + 1) as f64 / PARTS as f64);
            edge / 1000.0
        })
    }

    /// How many lie below powers of two of microseconds, from 2^8 (0.256 ms) to 2^22 (4.2 s), with each in seconds.
    fn buckets(&self) -> Vec<(f64, u64)> {
        let below = |octave: usize| self.bins[..octave].as_flattened().iter().map(|&count| u64::from(count)).sum();
        (8..=22).map(|octave| (f64::from(1_u32 << octave) / 1e6, below(octave))).collect()
    }

    /// Mean in milliseconds; zero without a time.
    pub fn mean_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_us as f64 / self.count as f64 / 1000.0 }
    }
}

/// Threads by name, and what they had allocated when a pulse began.
#[derive(Clone, Copy, Debug)]
struct Threads([(&'static str, Pool, u64); 4]);

impl Default for Threads {
    fn default() -> Self {
        let threads =
            [("capture", Pool::Capture), ("STAB", Pool::Stab), ("main", Pool::Think), ("others", Pool::Other)];
        Self(threads.map(|(name, pool)| (name, pool, CountingAlloc::tally(pool).calls)))
    }
}

/// Counts and times since the last pulse, or since the start.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    /// Pictures that the source gave.
    pub pictures: u64,
    /// Pictures that the model saw.
    pub seen: u64,
    /// Pictures that it saw of other cameras meanwhile.
    pub seen_of_others: u64,
    /// Pictures that were due while the model was busy.
    pub late: u64,
    /// Pictures that could not be read.
    pub damaged: u64,
    /// Pictures that the source says were lost before they reached us.
    pub lost: u64,
    /// Patches that show the picture.
    pub content: u64,
    /// Patches that were kept.
    pub kept: u64,
    /// Pictures of which everything had changed.
    pub whole: u64,
    /// Tokens of windows that are remembered.
    pub kept_tokens: u64,
    /// Tokens of windows that a pack's `[drop]` left out.
    pub dropped_tokens: u64,
    /// From the source, per picture.
    pub decode: Times,
    /// Resizing and conversion, per picture seen.
    pub fit: Times,
    /// Token drop, per picture seen.
    pub gate: Times,
    /// STAB, per picture seen.
    pub stab: Times,
    /// Narrator, per picture seen.
    pub narrator: Times,
    /// Who allocated what before.
    threads: Threads,
}

impl Pulse {
    /// Counts a look of the eye.
    pub fn looked(&mut self, look: &Look) {
        self.content += u64::from(look.gate.content);
        // The first picture is kept with its bars.
        self.kept += u64::from(look.gate.kept.min(look.gate.content));
        self.whole += u64::from(look.gate.whole_frame);
        self.fit.add(look.fit_us);
        self.gate.add(look.gate_us);
        self.fit.allocated(look.allocations[0]);
        self.gate.allocated(look.allocations[1]);
    }

    /// Counts a step of the mind.
    pub fn thought(&mut self, step: &StepReport) {
        self.seen += 1;
        self.kept_tokens += u64::from(step.kept_tokens);
        self.dropped_tokens += u64::from(step.dropped_tokens);
        self.stab.add(step.encode_us);
        self.narrator.add(step.describe_us);
    }

    /// Share of the content's patches that were kept, in percent.
    fn kept_percent(&self) -> f64 {
        100.0 * self.kept as f64 / self.content.max(1) as f64
    }

    /// What each stage cost, for others.
    pub fn stages(&self) -> Vec<Stage> {
        let stages = [
            ("decode", &self.decode),
            ("fit", &self.fit),
            ("gate", &self.gate),
            ("stab", &self.stab),
            ("narrator", &self.narrator),
        ];
        let stage = |(name, times): (&str, &Times)| Stage {
            name: name.into(),
            count: times.count,
            sum_s: times.sum_us as f64 / 1e6,
            p50_s: times.quantile_ms(0.5) / 1e3,
            p95_s: times.quantile_ms(0.95) / 1e3,
            buckets: times.buckets(),
        };
        stages.map(stage).into()
    }

    /// A table of what a picture costs, in milliseconds and calls of the allocator.
    pub fn table(&self) -> String {
        let mut table = format!(
            "{:<10} {:>8} {:>9} {:>9} {:>9} {:>12}\n",
            "stage", "pictures", "mean ms", "p50 ms", "p95 ms", "allocations"
        );
        let stages = [
            ("decode", &self.decode),
            ("fit", &self.fit),
            ("gate", &self.gate),
            ("STAB", &self.stab),
            ("narrator", &self.narrator),
        ];
        for (name, times) in stages {
            let (mean, p50, p95) = (times.mean_ms(), times.quantile_ms(0.5), times.quantile_ms(0.95));
            let allocations = times.allocations as f64 / times.count.max(1) as f64;
            table += &format!("{name:<10} {:>8} {mean:>9.2} {p50:>9.2} {p95:>9.2} {allocations:>12.1}\n", times.count);
        }
        table
    }
}

impl fmt::Display for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pictures, {} seen, {} late, {} lost, {} damaged; {:.0}% of patches kept, {} whole",
            self.pictures,
            self.seen,
            self.late,
            self.lost,
            self.damaged,
            self.kept_percent(),
            self.whole,
        )?;
        if self.dropped_tokens > 0 {
            let offered = self.kept_tokens + self.dropped_tokens;
            write!(f, ", {:.1}% of their tokens dropped", 100.0 * self.dropped_tokens as f64 / offered as f64)?;
        }
        write!(f, "; STAB {:.1} ms, narrator {:.1} ms", self.stab.mean_ms(), self.narrator.mean_ms())?;
        if let Some(bytes) = status_bytes("VmRSS:") {
            write!(f, "; {} resident", mebibytes(bytes))?;
        }
        let [live, peak] =
            [CountingAlloc::live_bytes(), CountingAlloc::peak_bytes()].map(|bytes| mebibytes(bytes as u64));
        write!(f, "; heap {live}, at most {peak}; allocations a picture:")?;
        let mut nothing = true;
        for (name, pool, before) in self.threads.0 {
            let calls = CountingAlloc::tally(pool).calls - before;
            if calls > 0 {
                nothing = false;
                write!(f, " {:.1} {name}", calls as f64 / (self.seen + self.seen_of_others).max(1) as f64)?;
            }
        }
        if nothing { write!(f, " none") } else { Ok(()) }
    }
}

/// What the kernel says of this program's memory, by its name there, such as `VmRSS:`.
pub fn status_bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_an_eighth_and_the_mean_is_exact() {
        let mut times = Times::default();
        (1..=1000).for_each(|ms| times.add(Micros(ms * 1000)));
        assert!((times.mean_ms() - 500.5).abs() < 1e-9);
        for (quantile, ms) in [(0.5, 500.0), (0.95, 950.0), (1.0, 1000.0)] {
            let found = times.quantile_ms(quantile);
            assert!(found >= ms && found <= ms * 1.13, "{quantile}: {found}");
        }
        assert!(Times::default().quantile_ms(0.5).abs() < 1e-9);
        times.add(Micros(0));
        times.add(Micros(u64::MAX >> 20));
        let buckets = times.buckets();
        // 1 to 16 ms lie below 16.384 ms, and the one of no time.
        assert!(
            buckets.contains(&(0.016_384, 17)) && buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
            "{buckets:?}"
        );
    }
}
