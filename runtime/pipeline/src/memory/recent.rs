//! The recent tier: the tokens of the last frames as they came, in one ring of fixed size, and the choice of those the head
//! sees.
//!
//! An entry is one frame: its frame token (Fr), then the tokens of the windows that were kept, row-major. The head borrows
//! them where they lie. When room is needed the oldest entries go; they are counted.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use ocelli_types::{EntryId, MemoryView, Micros, PatchMask, TokenRef};

use super::{MemoryConfig, Tokens};

/// One remembered frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub id: EntryId,
    pub captured_us: Micros,
    /// Where in the ring its frame token is; its windows follow.
    pub start: usize,
    end: usize,
}

impl Entry {
    pub const fn windows(&self) -> Range<usize> {
        self.start + 1..self.end
    }
}

/// The newest token of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    /// Entry 0 (none has that id) before the first frame.
    id: EntryId,
    token: usize,
}

/// The ring. It holds as much time as fits, hours of an empty room or seconds of a crowd.
#[derive(Debug)]
pub(super) struct Recent {
    config: MemoryConfig,
    /// `[tokens][token_width]`
    storage: Vec<i8>,
    /// What a byte of each token counts, `[tokens]`.
    scales: Vec<f32>,
    /// Window of each token, `[tokens]`; the number of windows for a frame token.
    positions: Vec<u32>,
    /// Oldest first. Each holds a token at least, so there are never more than `tokens`.
    entries: VecDeque<Entry>,
    /// `[windows]`
    newest: Vec<Newest>,
    /// The last view, `[slots]`.
    slots: Vec<Option<TokenRef>>,
    /// Where the next frame begins.
    head: usize,
    held_tokens: usize,
    evicted: u64,
}

impl Recent {
    pub fn new(config: MemoryConfig) -> Self {
        let tokens = config.tokens;
        Self {
            config,
            storage: vec![0; tokens * config.token_width],
            scales: vec![0.0; tokens],
            positions: vec![0; tokens],
            entries: VecDeque::with_capacity(tokens),
            newest: vec![Newest::default(); config.grid.windows()],
            slots: vec![None; config.selection.slots],
            head: 0,
            held_tokens: 0,
            evicted: 0,
        }
    }

    pub const fn bytes(config: &MemoryConfig) -> usize {
        let per_token = config.token_width + size_of::<f32>() + size_of::<u32>() + size_of::<Entry>();
        config.tokens * per_token
            + config.grid.windows() * size_of::<Newest>()
            + config.selection.slots * size_of::<Option<TokenRef>>()
    }

    /// Remembers the frame token and those of `windows`.
    pub fn push(&mut self, id: EntryId, tokens: &Tokens, windows: &PatchMask, captured_us: Micros) {
        let len = 1 + windows.count();
        let start = self.make_room(len);
        self.put(start, tokens, 0, self.config.grid.windows());
        let mut end = start + 1;
        for window in windows.iter() {
            self.put(end, tokens, 1 + window, window);
            self.newest[window] = Newest { id, token: end };
            end += 1;
        }
        self.entries.push_back(Entry { id, captured_us, start, end });
        self.held_tokens += len;
        self.head = end;
    }

    /// Where `len` tokens may lie, evicting the oldest entries where that is needed.
    fn make_room(&mut self, len: usize) -> usize {
        let wraps = self.head + len > self.config.tokens;
        if wraps {
            // What lies between here and the end of the ring is older than what lies at its beginning.
            while self.entries.front().is_some_and(|oldest| oldest.start >= self.head) {
                self.evict_oldest();
            }
        }
        let start = if wraps { 0 } else { self.head };
        while self.entries.front().is_some_and(|oldest| oldest.start < start + len && start < oldest.end) {
            self.evict_oldest();
        }
        start
    }

    fn put(&mut self, at: usize, tokens: &Tokens, row: usize, position: usize) {
        let width = self.config.token_width;
        self.storage[at * width..][..width].copy_from_slice(tokens.row(row));
        self.scales[at] = tokens.scales[row];
        self.positions[at] = position as u32;
    }

    /// The newest token of a window, and the entry that it is of.
    pub fn newest_of(&self, window: usize) -> Option<(EntryId, &[i8])> {
        let newest = self.newest[window];
        let held = self.entries.front().is_some_and(|oldest| newest.id >= oldest.id);
        held.then(|| (newest.id, self.token(newest.token).0))
    }

    /// Values and scale of a token.
    pub fn token(&self, token: usize) -> (&[i8], f32) {
        let width = self.config.token_width;
        (&self.storage[token * width..][..width], self.scales[token])
    }

    /// The entries that are held, oldest first.
    pub fn held(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Window of a token.
    pub fn position(&self, token: usize) -> usize {
        self.positions[token] as usize
    }

    /// The tokens that the head should see now, in the order of [`Selection`](super::Selection); `None` while the ring is
    /// empty.
    pub fn view(&mut self) -> Option<MemoryView<'_>> {
        let newest = *self.entries.back()?;
        self.choose(newest.id);
        let oldest_frames = self.slots.iter().flatten().map(|chosen| chosen.age_frames).max().unwrap_or(0);
        Some(MemoryView {
            width: self.config.token_width,
            storage: &self.storage,
            scales: &self.scales,
            slots: &self.slots,
            from: EntryId(newest.id.0.saturating_sub(u64::from(oldest_frames))),
            to: newest.id,
            captured_us: newest.captured_us,
        })
    }

    pub const fn tokens(&self) -> usize {
        self.held_tokens
    }

    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    pub const fn count_evicted(&mut self, before: u64) {
        self.evicted += before;
    }

    fn choose(&mut self, now: EntryId) {
        let Self { config, positions, entries, newest, slots, .. } = self;
        let selection = config.selection;
        let at = |id: EntryId, token: usize| TokenRef {
            token: token as u32,
            age_frames: u32::try_from(now.0 - id.0).unwrap_or(u32::MAX),
            position: positions[token],
        };
        let oldest = entries.front().map_or(now, |entry| entry.id);
        let held = newest.iter().map(|last| (last.id >= oldest).then(|| at(last.id, last.token)));
        // Ages, not counts: ids leap over a hole, and what lies before it is no motion.
        let young = |most: usize| entries.iter().rev().take_while(move |entry| now.0 - entry.id.0 <= most as u64);
        let frames = young(selection.frame_tokens.saturating_sub(1)).map(|entry| at(entry.id, entry.start));
        let superseded = young(selection.max_age_frames)
            .flat_map(|entry| entry.windows().map(|token| (entry.id, token)))
            .filter(|&(id, token)| newest[positions[token] as usize].id != id)
            .map(|(id, token)| at(id, token));

        slots.fill(None);
        let (window_slots, rest) = slots.split_at_mut(newest.len());
        let (frame_slots, older_slots) = rest.split_at_mut(selection.frame_tokens);
        window_slots.iter_mut().zip(held).for_each(|(slot, chosen)| *slot = chosen);
        frame_slots.iter_mut().zip(frames).for_each(|(slot, chosen)| *slot = Some(chosen));
        older_slots.iter_mut().zip(superseded).for_each(|(slot, chosen)| *slot = Some(chosen));
    }

    fn evict_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.held_tokens -= entry.end - entry.start;
            self.evicted += 1;
        }
    }
}
