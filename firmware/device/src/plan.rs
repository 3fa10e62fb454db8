//! The memory plan: what the program will hold, by part, stated before it starts and held against the budget.
//!
//! What counts is the resident set, as `/proc/self/smaps_rollup` sums it up: the heap, stacks, code as far as it was used,
//! mapped files and the mapped buffers of a camera. Sizes that follow from the pack are computed; what libraries hold is
//! bounded by constants that were measured, each with its measurement beside it, on x86-64 with glibc 2.36 and the debug
//! profile. The end-to-end tests hold the peaks of runs against the sum.

use std::fmt;

use ocelli_infer::{EMBEDDING, Narrator, Pack, Stab};
use ocelli_pipeline::{MemoryRing, PatchSlot, TokenGate, TokenSlot};
use ocelli_types::SizePx;
use serde::Serialize;

use crate::config::Config;
use crate::state::Store;
use crate::wiring;

/// Pages of the program and its libraries that were read from their files, and the few that the loader wrote to.
/// Measured: `RssFile` of `run` and `replay` with H.264, JPEG, Y4M and a command peaks at 17.8 to 19.7 MiB, and smaps shows
/// 0.9 MiB of relocated pages. The files have 35 MiB in all, most of it operators of tract that no pack uses.
const CODE: &str = "code and libraries";
const CODE_BYTES: u64 = 22 << 20;

/// Stack of each of the capture and the STAB thread. Measured: smaps shows 20 KiB touched by capture, H.264 decoder
/// included, and 48 KiB by STAB. Small, because `RLIMIT_DATA` counts all of it, and the default is 2 MiB.
pub const STACK_BYTES: usize = 512 << 10;

/// The two threads' whole stacks, the main thread's (measured 60 KiB, of the 132 KiB that the kernel sets up), and that of
/// the listener to a command, 128 KiB.
const STACKS: &str = "thread stacks";
const STACKS_BYTES: u64 = 2 * STACK_BYTES as u64 + (256 << 10) + (128 << 10);

/// What the system's allocator holds beside the blocks that it lent. Measured: `RssAnon` less stacks and relocated pages
/// is 0.1 to 0.8 MiB below the heap's peak in runs without the H.264 decoder, which has blocks that the heap does
/// not count: not every block is touched. `VmData`, which `--enforce` limits, is 0.9 MiB above the peak.
const SLACK: &str = "allocator's slack";
const SLACK_BYTES: u64 = 2 << 20;

/// Lines on their way out: 1 KiB of standard output's buffer, a line of JSON or of a pulse, each below 1 KiB.
const OUTPUT: &str = "output";
const OUTPUT_BYTES: u64 = 64 << 10;

/// 4:2:0 pictures that the largest source, the H.264 decoder, holds at a time, in its C++ part and in ours. Measured with
/// clips from 160x120 to 1920x1080 by x264's default preset: 4.3, 10.9, 24.1, 48.2 MiB, which is at most 4 MiB, and
/// [`SOURCE_BYTES`] has one to spare, and these. A camera holds fewer.
const SOURCE_PICTURES: u64 = 18;
const SOURCE_BYTES: u64 = 5 << 20;

/// The part that depends on the picture.
const SOURCE: &str = "camera or decoder";

/// The memory's parts that depend on the profile.
const SEGMENTS: &str = "memory: segments";
const SNAPSHOT: &str = "memory: snapshot";

/// The part that depends on the clip's length.
const INDEX: &str = "index of the clip";

/// The largest amount that is counted with: sums of items do not overflow.
const MOST_BYTES: u64 = 1 << 50;

/// What loading holds for a while above the graph itself, in sizes of the file: its content, of which each weight is freed
/// when it was taken over, and the graph being rewritten.
const LOADING_COPIES: u64 = 2;

/// Slots that go round between two threads: patches between capture and STAB, tokens between STAB and narrator.
pub const SLOTS: usize = 2;

/// One part of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// Which part.
    pub name: &'static str,
    /// What it holds at most.
    pub bytes: u64,
}

impl Item {
    /// What a person can choose to make it smaller, if anything.
    fn lowered_by(&self) -> Option<&'static str> {
        match self.name {
            CODE | STACKS | SLACK | OUTPUT => None,
            SOURCE => Some("a smaller picture (size_px)"),
            INDEX => Some("a shorter clip"),
            SEGMENTS | SNAPSHOT => Some("profile = \"pico\""),
            _ => Some("a smaller pack"),
        }
    }
}

/// The whole plan, as `ocelli check --json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// What may be planned for.
    pub budget_bytes: u64,
    /// Sum of the items.
    pub planned_bytes: u64,
    /// The parts.
    pub items: Vec<Item>,
    /// Whether the sum is within the budget.
    pub fits: bool,
}

/// The plan exceeds the budget.
#[derive(Debug, thiserror::Error)]
#[error(
    "the plan needs {} and the budget is {}; the largest parts are {largest}: raise memory_budget, or take {smaller}",
    mebibytes(*planned_bytes), mebibytes(*budget_bytes)
)]
pub struct OverBudget {
    planned_bytes: u64,
    budget_bytes: u64,
    largest: String,
    smaller: String,
}

impl Plan {
    /// The plan for this pack with pictures of `picture`.
    pub fn new(
        budget_bytes: u64,
        config: &Config,
        pack: &Pack,
        stab: &Stab,
        narrator: &Narrator,
        picture: SizePx,
    ) -> Self {
        let item = |name, bytes| Item { name, bytes };
        let manifest = &pack.manifest;
        let stab_file = pack.bytes_of(&manifest.stab.file);
        let memory = wiring::memory(pack, config.profile);
        let narrator_file = pack.bytes_of(&manifest.narrator.file);
        // What tract's own ops allocate between ours: a few rows of tokens for each slot.
        let between = (manifest.narrator.slots * manifest.stab.token_width * 4 * 8) as u64;
        let items = vec![
            item(CODE, CODE_BYTES),
            item(STACKS, STACKS_BYTES),
            item(SLACK, SLACK_BYTES),
            item(OUTPUT, OUTPUT_BYTES),
            item("STAB weights", stab.weight_bytes().max(stab_file)),
            item("narrator weights", narrator.weight_bytes().max(narrator_file)),
            item("loading", LOADING_COPIES * stab_file.max(narrator_file)),
            item("STAB canvas, states and activations", stab.state_bytes()),
            item("narrator activations", narrator.state_bytes() + between),
            item("memory: recent", MemoryRing::recent_bytes(&memory) as u64),
            item(SEGMENTS, MemoryRing::segments_bytes(&memory) as u64),
            item("memory: abstract", MemoryRing::abstract_bytes(&memory) as u64),
            item("vocabulary", (2 * pack.vocabulary.entries.len() * (EMBEDDING + 64)) as u64),
            item("picture, gate and slots", picture_bytes(pack)),
            item(SOURCE, source_bytes(picture)),
        ];
        let mut plan = Self::of(budget_bytes, items);
        if config.memory.state.is_some() {
            // What is composed, what a start reads, the last picture and its copy.
            let bytes = 2 * Store::most_bytes(pack.grid.bytes(), &memory) + 2 * pack.grid.bytes();
            plan.items.push(item(SNAPSHOT, bytes as u64));
        }
        Self::of(budget_bytes, plan.items)
    }

    fn of(budget_bytes: u64, items: Vec<Item>) -> Self {
        let planned_bytes = items.iter().map(|item| item.bytes).sum();
        Self { budget_bytes, planned_bytes, items, fits: planned_bytes <= budget_bytes }
    }

    /// The same plan with the index of a clip, which grows with its length.
    #[must_use]
    pub fn with_index(mut self, bytes: u64) -> Self {
        if bytes > 0 {
            self.items.push(Item { name: INDEX, bytes });
        }
        Self::of(self.budget_bytes, self.items)
    }

    /// The same plan with pictures of the size that the source really gives.
    #[must_use]
    pub fn with_picture(&self, picture: SizePx) -> Self {
        let mut items = self.items.clone();
        for item in items.iter_mut().filter(|item| item.name == SOURCE) {
            item.bytes = source_bytes(picture);
        }
        Self::of(self.budget_bytes, items)
    }

    /// Code, which is mapped from files and not written.
    pub fn code_bytes(&self) -> u64 {
        self.bytes_of(&[CODE])
    }

    /// All that is held beside blocks of the heap.
    pub fn beside_heap_bytes(&self) -> u64 {
        self.bytes_of(&[CODE, STACKS, SLACK])
    }

    fn bytes_of(&self, names: &[&str]) -> u64 {
        self.items.iter().filter(|item| names.contains(&item.name)).map(|item| item.bytes).sum()
    }

    /// Refuses a plan above the budget, with its largest items.
    pub fn require(&self) -> Result<(), OverBudget> {
        if self.fits {
            return Ok(());
        }
        let mut items: Vec<&Item> = self.items.iter().collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.bytes));
        let largest: Vec<String> =
            items.iter().take(3).map(|item| format!("{} ({})", item.name, mebibytes(item.bytes))).collect();
        let mut smaller: Vec<&str> = Vec::new();
        // The two that help most.
        for what in items.iter().filter_map(|item| item.lowered_by()) {
            if smaller.len() < 2 && !smaller.contains(&what) {
                smaller.push(what);
            }
        }
        Err(OverBudget {
            planned_bytes: self.planned_bytes,
            budget_bytes: self.budget_bytes,
            largest: largest.join(", "),
            smaller: smaller.join(" or "),
        })
    }
}

fn source_bytes(picture: SizePx) -> u64 {
    picture.area().saturating_mul(SOURCE_PICTURES * 3 / 2).saturating_add(SOURCE_BYTES).min(MOST_BYTES)
}

fn picture_bytes(pack: &Pack) -> u64 {
    let grid = pack.grid;
    let tokens = TokenSlot::bytes(grid, pack.manifest.stab.token_width);
    (grid.bytes() + TokenGate::bytes(grid) + SLOTS * (PatchSlot::bytes(grid) + tokens)) as u64
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            writeln!(f, "  {:<40} {:>11}", item.name, mebibytes(item.bytes))?;
        }
        let verdict = if self.fits { "fits" } else { "does not fit" };
        let (planned, budget) = (mebibytes(self.planned_bytes), mebibytes(self.budget_bytes));
        write!(f, "  {:<40} {planned:>11}   {verdict} the budget of {budget}", "in all")
    }
}

/// `12.3 MiB`
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &'static str, mib: u64) -> Item {
        Item { name, bytes: mib << 20 }
    }

    #[test]
    fn a_plan_over_budget_names_its_largest_parts_and_what_makes_them_smaller() {
        let items = vec![item(CODE, 22), item(SLACK, 2), item("memory ring", 3), item(SOURCE, 30), item(INDEX, 1)];
        let plan = Plan::of(48 << 20, items);
        let said = plan.require().expect_err("58 are more than 48").to_string();
        let wanted = "the plan needs 58.0 MiB and the budget is 48.0 MiB; the largest parts are camera or decoder \
                      (30.0 MiB), code and libraries (22.0 MiB), memory ring (3.0 MiB): raise memory_budget, or take a \
                      smaller picture (size_px) or a smaller pack";
        assert_eq!(said, wanted);
        assert_eq!((plan.code_bytes(), plan.beside_heap_bytes()), (22 << 20, 24 << 20));
        assert!(Plan::of(58 << 20, plan.items).require().is_ok());
    }
}
