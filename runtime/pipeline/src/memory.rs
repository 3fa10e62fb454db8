//! What is remembered: the tokens of recent frames in one ring of fixed size, and the choice of those the head sees.
//!
//! An entry is one frame: its frame token (Fr), then the tokens of the windows that had a kept patch, row-major. The
//! encoder writes all tokens of a frame into a reserved stretch of the ring, and `commit` closes the gaps in place: no
//! token is copied out of the ring, and the head borrows them where they lie. When room is needed the oldest entries
//! go; they are counted.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use ocelli_types::{EntryId, FrameTokens, MemoryView, Micros, PatchGrid, PatchMask, TokenRef};

use crate::ConfigError;

/// Which tokens the head sees; `tools/train/tokens.py` makes the same choice in training.
///
/// Slots in order: the newest token of each window, row-major; the frame tokens of the `frame_tokens` newest frames,
/// newest first; then older tokens of windows that have a newer one, newest frame first and row-major within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Slots in all, at least windows + `frame_tokens`.
    pub slots: usize,
    /// Slots for frame tokens.
    pub frame_tokens: usize,
    /// Oldest frame, in frames before the newest, from which superseded tokens are shown.
    pub max_age_frames: usize,
}

/// The size of a [`MemoryRing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// How pictures are cut.
    pub grid: PatchGrid,
    /// Numbers in a token.
    pub token_width: usize,
    /// Capacity in tokens, at least [`MemoryConfig::least_tokens`].
    pub tokens: usize,
    /// What the head sees.
    pub selection: Selection,
    /// The gate's promise: each window is kept at least once in so many frames.
    pub refresh_frames: u32,
}

impl MemoryConfig {
    /// The capacity with which the head always sees what it saw in training: the newest token of each window is never
    /// evicted, nor one that [`Selection`] asks for.
    ///
    /// That is every frame until the refresh comes round, each kept whole, the frame being written, and the stretch at
    /// the end of the ring that a frame did not fit in. `tokens` has no part in it.
    pub fn least_tokens(&self) -> usize {
        let Selection { frame_tokens, max_age_frames, .. } = self.selection;
        let frames = (self.refresh_frames as usize).max(frame_tokens).max(max_age_frames + 1);
        (frames + 1) * self.frame_len() + self.grid.windows()
    }

    /// Tokens of one frame kept whole.
    const fn frame_len(&self) -> usize {
        1 + self.grid.windows()
    }
}

/// One remembered frame.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: EntryId,
    captured_us: Micros,
    /// Where in the ring its frame token is; its windows follow.
    start: usize,
    end: usize,
}

impl Entry {
    const fn windows(&self) -> Range<usize> {
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

/// The ring. Fixed in size: it holds as much time as fits, hours of an empty room or seconds of a crowd.
#[derive(Debug)]
pub struct MemoryRing {
    config: MemoryConfig,
    /// `[tokens][token_width]`
    storage: Vec<f32>,
    /// Window of each token, `[tokens]`; the number of windows for a frame token.
    positions: Vec<u32>,
    /// Oldest first. Each holds a token at least, so there are never more than `tokens`.
    entries: VecDeque<Entry>,
    /// `[windows]`
    newest: Vec<Newest>,
    /// The last view, `[slots]`.
    slots: Vec<Option<TokenRef>>,
    /// Where the next frame would begin.
    head: usize,
    /// Where the frame being written begins.
    reserved: Option<usize>,
    last_id: EntryId,
    held_tokens: usize,
    evicted: u64,
}

impl MemoryRing {
    /// An empty ring.
    ///
    /// # Errors
    /// [`ConfigError::SmallMemory`] or [`ConfigError::Slots`].
    pub fn new(config: MemoryConfig) -> Result<Self, ConfigError> {
        let MemoryConfig { grid, token_width, tokens, selection, .. } = config;
        let least = config.least_tokens();
        if tokens < least {
            return Err(ConfigError::SmallMemory { tokens, least });
        }
        let least = grid.windows() + selection.frame_tokens;
        if selection.slots < least {
            return Err(ConfigError::Slots { slots: selection.slots, least });
        }
        Ok(Self {
            config,
            storage: vec![0.0; tokens * token_width],
            positions: vec![0; tokens],
            entries: VecDeque::with_capacity(tokens),
            newest: vec![Newest::default(); grid.windows()],
            slots: vec![None; selection.slots],
            head: 0,
            reserved: None,
            last_id: EntryId(0),
            held_tokens: 0,
            evicted: 0,
        })
    }

    /// What a ring of `config` allocates.
    pub const fn bytes(config: &MemoryConfig) -> usize {
        let per_token = config.token_width * size_of::<f32>() + size_of::<u32>() + size_of::<Entry>();
        config.tokens * per_token
            + config.grid.windows() * size_of::<Newest>()
            + config.selection.slots * size_of::<Option<TokenRef>>()
    }

    /// Room for all tokens of the next frame, evicting the oldest entries where that is needed.
    ///
    /// Nothing is remembered before [`commit`](Self::commit); to reserve again gives the same room.
    pub fn reserve(&mut self) -> FrameTokens<'_> {
        let len = self.config.frame_len();
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
        self.reserved = Some(start);
        let width = self.config.token_width;
        FrameTokens { width, values: &mut self.storage[start * width..(start + len) * width] }
    }

    /// Remembers what was written into the reserved room: the frame token, and the windows of which a patch was kept
    /// (all of them in the first entry, which has nothing to fall back on).
    ///
    /// # Panics
    /// If nothing was reserved.
    pub fn commit(&mut self, kept: &PatchMask, captured_us: Micros) -> EntryId {
        let start = self.reserved.take().expect("a frame should be reserved before it is committed");
        self.last_id.0 += 1;
        let id = self.last_id;
        let windows = self.windows_to_keep(kept);
        self.positions[start] = self.config.grid.windows() as u32;
        let mut end = start + 1;
        for window in windows.iter() {
            self.move_token(start + 1 + window, end);
            self.positions[end] = window as u32;
            self.newest[window] = Newest { id, token: end };
            end += 1;
        }
        self.entries.push_back(Entry { id, captured_us, start, end });
        self.held_tokens += end - start;
        self.head = end;
        id
    }

    /// The tokens that the head should see now, in the order of [`Selection`]; `None` while the ring is empty.
    ///
    /// Ages are counted in entries and not clipped.
    pub fn view(&mut self) -> Option<MemoryView<'_>> {
        let newest = *self.entries.back()?;
        self.choose(newest.id);
        let oldest_frames = self.slots.iter().flatten().map(|chosen| chosen.age_frames).max().unwrap_or(0);
        Some(MemoryView {
            width: self.config.token_width,
            storage: &self.storage,
            slots: &self.slots,
            from: EntryId(newest.id.0 - u64::from(oldest_frames)),
            to: newest.id,
            captured_us: newest.captured_us,
        })
    }

    /// Width of a token.
    pub const fn token_width(&self) -> usize {
        self.config.token_width
    }

    /// How the pictures are cut whose tokens are held.
    pub const fn grid(&self) -> PatchGrid {
        self.config.grid
    }

    /// Entries held now.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Tokens held now.
    pub const fn tokens(&self) -> usize {
        self.held_tokens
    }

    /// Entries evicted since the start.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn choose(&mut self, now: EntryId) {
        let Self { config, positions, entries, newest, slots, .. } = self;
        let at = |id: EntryId, token: usize| TokenRef {
            token: token as u32,
            age_frames: (now.0 - id.0) as u32,
            position: positions[token],
        };
        let oldest = entries.front().map_or(now, |entry| entry.id);
        let held = newest.iter().map(|last| (last.id >= oldest).then(|| at(last.id, last.token)));
        let frames = entries.iter().rev().take(config.selection.frame_tokens).map(|entry| at(entry.id, entry.start));
        let superseded = entries
            .iter()
            .rev()
            .take(config.selection.max_age_frames + 1)
            .flat_map(|entry| entry.windows().map(|token| (entry.id, token)))
            .filter(|&(id, token)| newest[positions[token] as usize].id != id)
            .map(|(id, token)| at(id, token));

        slots.fill(None);
        let (window_slots, rest) = slots.split_at_mut(newest.len());
        let (frame_slots, older_slots) = rest.split_at_mut(config.selection.frame_tokens);
        window_slots.iter_mut().zip(held).for_each(|(slot, chosen)| *slot = chosen);
        frame_slots.iter_mut().zip(frames).for_each(|(slot, chosen)| *slot = Some(chosen));
        older_slots.iter_mut().zip(superseded).for_each(|(slot, chosen)| *slot = Some(chosen));
    }

    fn windows_to_keep(&self, kept: &PatchMask) -> PatchMask {
        let grid = self.config.grid;
        if self.last_id == EntryId(1) {
            return PatchMask::first(grid.windows());
        }
        let mut windows = PatchMask::empty();
        kept.iter().take_while(|&patch| patch < grid.patches()).for_each(|patch| windows.insert(grid.window_of(patch)));
        windows
    }

    fn move_token(&mut self, from: usize, to: usize) {
        let width = self.config.token_width;
        if from != to {
            self.storage.copy_within(from * width..(from + 1) * width, to * width);
        }
    }

    fn evict_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.held_tokens -= entry.end - entry.start;
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SELECTION: Selection = Selection { slots: 12, frame_tokens: 3, max_age_frames: 4 };

    /// 4x4 patches, 4 windows, tokens of two numbers.
    fn config(extra_tokens: usize) -> MemoryConfig {
        let grid = PatchGrid::new(8, 2).expect("4 patches of 2 pixels");
        let config = MemoryConfig { grid, token_width: 2, tokens: 0, selection: SELECTION, refresh_frames: 6 };
        MemoryConfig { tokens: config.least_tokens() + extra_tokens, ..config }
    }

    /// Writes `[frame, row]` as the value of each token, so that a view can be read back.
    fn remember(ring: &mut MemoryRing, frame: u64, kept: &PatchMask) -> EntryId {
        let room = ring.reserve();
        for (row, token) in room.values.chunks_exact_mut(room.width).enumerate() {
            token.copy_from_slice(&[frame as f32, row as f32]);
        }
        ring.commit(kept, Micros(frame * 200_000))
    }

    fn patches(of_windows: &[bool]) -> PatchMask {
        let mut mask = PatchMask::empty();
        // The patch at the top left of each of the 2x2 windows of a 4x4 grid.
        of_windows.iter().zip([0, 2, 8, 10]).filter(|(kept, _)| **kept).for_each(|(_, patch)| mask.insert(patch));
        mask
    }

    /// The rule of `Selection` by brute force over the whole history: `(frame, row)` of each slot.
    fn naive(history: &[Vec<bool>], oldest: usize) -> Vec<Option<(usize, usize)>> {
        let windows = history[0].len();
        let now = history.len() - 1;
        let newest = |window: usize| (oldest..=now).rev().find(|&frame| history[frame][window]);
        let mut slots: Vec<_> = (0..windows).map(|window| newest(window).map(|frame| (frame, window + 1))).collect();
        slots.extend((0..SELECTION.frame_tokens).map(|age| {
            let frame = now.checked_sub(age)?;
            (frame >= oldest).then_some((frame, 0))
        }));
        for frame in (now.saturating_sub(SELECTION.max_age_frames).max(oldest)..=now).rev() {
            let superseded = (0..windows).filter(|&window| history[frame][window] && newest(window) != Some(frame));
            slots.extend(superseded.map(|window| Some((frame, window + 1))));
        }
        slots.resize(SELECTION.slots, None);
        slots
    }

    /// What the ring shows, read from the values of the tokens themselves; ages and positions must agree with them.
    fn shown(ring: &mut MemoryRing) -> Vec<Option<(usize, usize)>> {
        let view = ring.view().expect("something was committed");
        let read = |slot: &Option<TokenRef>| {
            slot.map(|chosen| {
                let token = view.token(chosen);
                let (frame, row) = (token[0] as usize, token[1] as usize);
                assert_eq!(u64::from(chosen.age_frames), view.to.0 - 1 - frame as u64, "age of {chosen:?}");
                assert_eq!(chosen.position as usize, if row == 0 { 4 } else { row - 1 }, "position of {chosen:?}");
                assert!((view.from.0..=view.to.0).contains(&(frame as u64 + 1)));
                (frame, row)
            })
        };
        view.slots.iter().map(read).collect()
    }

    /// Windows kept in each of many frames; the first is whole, as the gate has it.
    fn histories() -> impl Strategy<Value = Vec<Vec<bool>>> {
        let frame = prop_oneof![3 => prop::collection::vec(prop::bool::weighted(0.2), 4), 1 => Just(vec![true; 4])];
        prop::collection::vec(frame, 1..200).prop_map(|mut history| {
            history[0] = vec![true; 4];
            history
        })
    }

    proptest! {
        #[test]
        fn with_the_gates_refresh_nothing_that_is_wanted_is_ever_evicted(
            mut history in histories(),
            extra_tokens in 0..12_usize,
        ) {
            let mut ring = MemoryRing::new(config(extra_tokens)).expect("a valid ring");
            for frame in 0..history.len() {
                (0..4).filter(|window| (frame + window) % 6 == 0).for_each(|window| history[frame][window] = true);
                remember(&mut ring, frame as u64, &patches(&history[frame]));
                prop_assert_eq!(shown(&mut ring), naive(&history[..=frame], 0), "frame {}", frame);
            }
        }

        #[test]
        fn without_it_the_view_is_of_what_is_left(history in histories(), extra_tokens in 0..40_usize) {
            let mut ring = MemoryRing::new(config(extra_tokens)).expect("a valid ring");
            for (frame, kept) in history.iter().enumerate() {
                let id = remember(&mut ring, frame as u64, &patches(kept));
                prop_assert_eq!(id, EntryId(frame as u64 + 1), "ids count up by one");
                prop_assert!(ring.tokens() <= ring.config.tokens);
                prop_assert_eq!(ring.entries() as u64 + ring.evicted(), id.0, "every entry is held or counted");
                let oldest = frame + 1 - ring.entries();
                prop_assert_eq!(shown(&mut ring), naive(&history[..=frame], oldest), "frame {}", frame);
            }
        }

        #[test]
        fn a_frame_that_fails_leaves_the_view_as_it_was(history in histories(), fails_after in 0..200_usize) {
            let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
            for (frame, kept) in history.iter().enumerate() {
                let mut kept = kept.clone();
                (0..4).filter(|window| (frame + window) % 6 == 0).for_each(|window| kept[window] = true);
                remember(&mut ring, frame as u64, &patches(&kept));
                if frame == fails_after {
                    let before = shown(&mut ring);
                    ring.reserve().values.fill(f32::NAN);
                    ring.reserve().values.fill(f32::NAN);
                    prop_assert_eq!(shown(&mut ring), before);
                }
            }
        }
    }

    #[test]
    fn the_first_entry_keeps_every_window_and_a_still_frame_only_its_frame_token() {
        let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
        assert!(ring.view().is_none());
        remember(&mut ring, 0, &PatchMask::empty());
        assert_eq!((ring.entries(), ring.tokens()), (1, 5));
        remember(&mut ring, 1, &PatchMask::empty());
        assert_eq!((ring.entries(), ring.tokens()), (2, 6));
        let view = ring.view().expect("two frames");
        assert_eq!((view.from, view.to, view.captured_us), (EntryId(1), EntryId(2), Micros(200_000)));
    }

    #[test]
    fn a_crowd_fills_it_with_whole_frames_and_the_oldest_go() {
        let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
        (0..1000).for_each(|frame| {
            remember(&mut ring, frame, &PatchMask::first(16));
        });
        assert!((6..=7).contains(&ring.entries()), "{} frames of the 6 until the refresh", ring.entries());
        assert_eq!(ring.evicted(), 1000 - ring.entries() as u64);
    }

    #[test]
    fn too_small_a_ring_or_too_few_slots_are_refused() {
        let small = MemoryConfig { tokens: config(0).tokens - 1, ..config(0) };
        assert!(matches!(MemoryRing::new(small), Err(ConfigError::SmallMemory { .. })));
        let narrow = MemoryConfig { selection: Selection { slots: 6, ..SELECTION }, ..config(0) };
        assert_eq!(MemoryRing::new(narrow).err(), Some(ConfigError::Slots { slots: 6, least: 7 }));
    }

    #[test]
    #[should_panic(expected = "reserved before")]
    fn a_commit_without_a_frame_is_a_bug() {
        MemoryRing::new(config(0)).expect("a valid ring").commit(&PatchMask::empty(), Micros(0));
    }

    #[test]
    fn the_plan_is_what_is_allocated() {
        let ring = MemoryRing::new(config(3)).expect("a valid ring");
        let bytes = ring.storage.capacity() * 4
            + ring.positions.capacity() * 4
            + ring.entries.capacity() * size_of::<Entry>()
            + ring.newest.capacity() * size_of::<Newest>()
            + ring.slots.capacity() * size_of::<Option<TokenRef>>();
        assert_eq!(MemoryRing::bytes(&ring.config), bytes);
    }
}
