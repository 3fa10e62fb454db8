//! The recent tier: the tokens of the last frames as they came, in one ring of fixed size, and the choice of those the head
//! sees.
//!
//! An entry is one frame: its frame token (Fr), then the tokens of the windows that were kept, row-major. The head borrows
//! them where they lie. When room is needed the oldest entries go; they are counted.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::iter;
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

/// A token of a window, and the entry that holds it: 0 (none has that id) where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    pub id: EntryId,
    pub token: usize,
}

/// What stands for a window in a frame: its own token, or an older one that it is like.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// The frame's entry; 0 where the gate left the window out.
    id: EntryId,
    kept: Kept,
}

/// Frames of which it is known what stands in them.
const fn standing_rows(config: &MemoryConfig) -> usize {
    config.selection.max_age_frames + 1
}

/// Where in `standing` a frame is.
const fn standing_row(config: &MemoryConfig, id: EntryId) -> Range<usize> {
    let windows = config.grid.windows();
    let row = (id.0 % standing_rows(config) as u64) as usize;
    row * windows..(row + 1) * windows
}

/// The ring. It holds as much time as fits, hours of an empty room or seconds of a crowd.
#[derive(Debug)]
pub(super) struct Recent {
    config: MemoryConfig,
    /// The ring, and behind it a place for each window: its newest token, where another stands for it in the ring,
    /// `[tokens + windows][token_width]`.
    storage: Vec<i8>,
    /// What a byte of each token counts, `[tokens + windows]`.
    scales: Vec<f32>,
    /// Window of each token, `[tokens + windows]`; the number of windows for a frame token.
    positions: Vec<u32>,
    /// Oldest first. Each holds a token at least, so there are never more than `tokens`.
    entries: VecDeque<Entry>,
    /// What stands for each window now, `[windows]`.
    newest: Vec<Standing>,
    /// The same of the frames of the last ages that are shown, by id in turn, `[max_age_frames + 1][windows]`.
    standing: Vec<Standing>,
    /// The last token that was kept of each window, `[windows]`.
    last_kept: Vec<Kept>,
    /// The token that was kept before each at its place, `[tokens]`.
    older: Vec<Kept>,
    /// Windows of which the newest token stands in the frame before as well.
    lasting: PatchMask,
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
        let places = tokens + config.grid.windows();
        Self {
            config,
            storage: vec![0; places * config.token_width],
            scales: vec![0.0; places],
            positions: vec![0; places],
            entries: VecDeque::with_capacity(tokens),
            newest: vec![Standing::default(); config.grid.windows()],
            standing: vec![Standing::default(); standing_rows(&config) * config.grid.windows()],
            last_kept: vec![Kept::default(); config.grid.windows()],
            older: vec![Kept::default(); tokens],
            lasting: PatchMask::empty(),
            slots: vec![None; config.selection.slots],
            head: 0,
            held_tokens: 0,
            evicted: 0,
        }
    }

    pub const fn bytes(config: &MemoryConfig) -> usize {
        let per_place = config.token_width + size_of::<f32>() + size_of::<u32>();
        let per_token = per_place + size_of::<Entry>() + size_of::<Kept>();
        let per_window = per_place + (1 + standing_rows(config)) * size_of::<Standing>() + size_of::<Kept>();
        config.tokens * per_token
            + config.grid.windows() * per_window
            + config.selection.slots * size_of::<Option<TokenRef>>()
    }

    /// Remembers the frame token and those of `windows`; behind [`stand`](Self::stand), where that is called for the same frame.
    pub fn push(&mut self, id: EntryId, tokens: &Tokens, windows: &PatchMask, captured_us: Micros) {
        let len = 1 + windows.count();
        let start = self.make_room(len);
        self.put(start, tokens, 0, self.config.grid.windows());
        let mut end = start + 1;
        for window in windows.iter() {
            self.put(end, tokens, 1 + window, window);
            let kept = Kept { id, token: end };
            self.older[end] = self.last_kept[window];
            self.last_kept[window] = kept;
            self.newest[window] = Standing { id, kept };
            end += 1;
        }
        let row = standing_row(&self.config, id);
        for (standing, newest) in self.standing[row].iter_mut().zip(&self.newest) {
            *standing = if newest.id == id { *newest } else { Standing::default() };
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

    /// In the frame that comes next, `id`, the token of a window is not kept: this one stands for it, and it is shown itself for as
    /// long as it is the newest of its window.
    pub fn stand(&mut self, window: usize, id: EntryId, kept: Kept, tokens: &Tokens) {
        self.newest[window] = Standing { id, kept };
        self.put(self.config.tokens + window, tokens, 1 + window, window);
    }

    /// What was dropped of a window in the newest frame, and stands there as this one; `None` where its own token was kept.
    pub fn stands_in(&self, window: usize) -> Option<Kept> {
        let Standing { id, kept } = self.newest[window];
        (self.entries.back()?.id == id && kept.id != id && self.stands(window)).then_some(kept)
    }

    /// With the frame that comes next, its token of these windows stands in the one before as well.
    pub fn set_lasting(&mut self, windows: PatchMask) {
        self.lasting = windows;
    }

    /// Nothing stands for any window: each is to be offered anew.
    pub fn forget_standing(&mut self) {
        self.newest.fill(Standing::default());
    }

    /// Whether something that is held stands for a window.
    pub fn stands(&self, window: usize) -> bool {
        self.entries.front().is_some_and(|oldest| self.newest[window].kept.id >= oldest.id)
    }

    /// The tokens of a window that are held, the newest first.
    pub fn kept_of(&self, window: usize) -> impl Iterator<Item = Kept> {
        let oldest = self.entries.front().map_or(EntryId(u64::MAX), |entry| entry.id);
        iter::successors(Some(self.last_kept[window]), |kept| Some(self.older[kept.token]))
            .take_while(move |kept| kept.id >= oldest)
    }

    /// Whether a token stays for so many frames more, though each be kept whole.
    pub const fn stays(&self, kept: Kept, frames: usize) -> bool {
        let (capacity, frame) = (self.config.tokens, 1 + self.config.grid.windows());
        let ahead = (kept.token + capacity - self.head) % capacity;
        // One frame for the one that comes next, one for the others of its entry, which goes as a whole, and one for what is left
        // free at the ring's end.
        ahead >= (frames + 3) * frame
    }

    /// Windows of which the newest entry holds a token.
    pub fn newest_windows(&self) -> impl Iterator<Item = usize> {
        self.entries.back().into_iter().flat_map(Entry::windows).map(|token| self.position(token))
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
        let Self { config, positions, entries, newest, standing, lasting, slots, .. } = self;
        let selection = config.selection;
        let at = |id: EntryId, token: usize| TokenRef {
            token: token as u32,
            age_frames: u32::try_from(now.0 - id.0).unwrap_or(u32::MAX),
            position: positions[token],
        };
        let oldest = entries.front().map_or(now, |entry| entry.id);
        let shown = |standing: &Standing| (standing.kept.id >= oldest).then(|| at(standing.id, standing.kept.token));
        // Where it was dropped it lies behind the ring.
        let as_it_came = |window: usize| {
            let standing = &newest[window];
            let itself = TokenRef { token: (config.tokens + window) as u32, ..shown(standing)? };
            if standing.kept.id == standing.id { shown(standing) } else { Some(itself) }
        };
        let held = (0..newest.len()).map(as_it_came);
        // Ages, not counts: ids leap over a hole, and what lies before it is no motion.
        let young = |most: usize| entries.iter().rev().take_while(move |entry| now.0 - entry.id.0 <= most as u64);
        let frames = young(selection.frame_tokens.saturating_sub(1)).map(|entry| at(entry.id, entry.start));
        let superseded = young(selection.max_age_frames)
            .flat_map(|entry| {
                standing[standing_row(config, entry.id)].iter().enumerate().map(|(window, old)| (entry.id, window, old))
            })
            .filter(|(id, window, old)| old.id == *id && newest[*window].id != *id)
            .filter_map(|(id, window, old)| {
                let old = shown(old)?;
                let lasts = id.0 + 1 == now.0 && lasting.contains(window);
                Some(if lasts { TokenRef { token: as_it_came(window)?.token, ..old } } else { old })
            });

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
