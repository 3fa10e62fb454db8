//! What the language head sees of the memory: borrowed tokens, with age and place.

use crate::{EntryId, Micros};

/// One token of a [`MemoryView`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRef {
    /// Which token of the view's storage.
    pub token: u32,
    /// Frames since it was seen, 0 = the newest frame.
    pub age_frames: u32,
    /// Window index, row-major, or the number of windows for a frame token (Fr).
    pub position: u32,
}

/// Tokens chosen from the memory ring for one look, without copying them.
#[derive(Clone, Copy, Debug)]
pub struct MemoryView<'a> {
    /// Width of a token.
    pub width: usize,
    /// The ring's storage, `[tokens][width]`.
    pub storage: &'a [i8],
    /// What a byte of each token counts, `[tokens]`.
    pub scales: &'a [f32],
    /// The chosen tokens in the order the head expects; `None` is an empty slot.
    pub slots: &'a [Option<TokenRef>],
    /// Oldest entry that a slot cites.
    pub from: EntryId,
    /// Newest entry.
    pub to: EntryId,
    /// Capture time of the newest entry.
    pub captured_us: Micros,
}

impl<'a> MemoryView<'a> {
    /// The values of one chosen token, `[width]`.
    pub fn token(&self, chosen: TokenRef) -> impl Iterator<Item = f32> + use<'a> {
        let token = chosen.token as usize;
        let scale = self.scales[token];
        self.storage[token * self.width..][..self.width].iter().map(move |byte| f32::from(*byte) * scale)
    }
}
