//! The memory plan: what the program will hold, by part, stated before it starts and held against the budget.
//!
//! What counts is the resident set. Sizes that follow from the pack are computed; what libraries hold is bounded by
//! constants that were measured, and the end-to-end tests hold the peak of a run against the sum.

use std::fmt;

use ocelli_infer::{EMBEDDING, Narrator, Pack, Stab};
use ocelli_pipeline::{MemoryRing, PatchSlot, TokenGate, TokenSlot};
use ocelli_types::SizePx;
use serde::Serialize;

use crate::wiring;

/// Code.
const CODE: &str = "code and libraries";
const CODE_BYTES: u64 = 22 << 20;
/// Stack of each of the two threads beside the main one.
pub const STACK_BYTES: usize = 512 << 10;
const STACKS: &str = "thread stacks";
const STACKS_BYTES: u64 = 2 * STACK_BYTES as u64 + (128 << 10) + (256 << 10);
const SLACK: &str = "allocator's slack";
const SLACK_BYTES: u64 = 4 << 20;
const OUTPUT: &str = "output";
const OUTPUT_BYTES: u64 = 64 << 10;

/// 4:2:0 pictures that the largest source, the H.264 decoder, holds at a time. Peaks of clips from 720p to 2160p grow
/// by 16 pictures each; a camera holds fewer.
const SOURCE_PICTURES: u64 = 18;

/// The part that depends on the picture.
const SOURCE: &str = "camera or decoder";

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
    "the plan needs {} and the budget is {}; the largest parts are {largest}: raise memory_budget, or take a smaller \
     picture or pack", mebibytes(*planned_bytes), mebibytes(*budget_bytes)
)]
pub struct OverBudget {
    planned_bytes: u64,
    budget_bytes: u64,
    largest: String,
}

impl Plan {
    /// The plan for this pack with pictures of `picture`.
    pub fn new(budget_bytes: u64, pack: &Pack, stab: &Stab, narrator: &Narrator, picture: SizePx) -> Self {
        let item = |name, bytes| Item { name, bytes };
        let manifest = &pack.manifest;
        let stab_file = pack.bytes_of(&manifest.stab.file);
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
            item("memory ring", MemoryRing::bytes(&wiring::memory(pack)) as u64),
            item("vocabulary", (2 * pack.vocabulary.entries.len() * (EMBEDDING + 64)) as u64),
            item("picture, gate and slots", picture_bytes(pack)),
            item(SOURCE, source_bytes(picture)),
        ];
        Self::of(budget_bytes, items)
    }

    fn of(budget_bytes: u64, items: Vec<Item>) -> Self {
        let planned_bytes = items.iter().map(|item| item.bytes).sum();
        Self { budget_bytes, planned_bytes, items, fits: planned_bytes <= budget_bytes }
    }

    /// The same plan with the index of a clip, which grows with its length.
    #[must_use]
    pub fn with_index(mut self, bytes: u64) -> Self {
        if bytes > 0 {
            self.items.push(Item { name: "index of the clip", bytes });
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
        Err(OverBudget {
            planned_bytes: self.planned_bytes,
            budget_bytes: self.budget_bytes,
            largest: largest.join(", "),
        })
    }
}

fn source_bytes(picture: SizePx) -> u64 {
    picture.area().saturating_mul(SOURCE_PICTURES * 3 / 2).min(MOST_BYTES)
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
