//! Patches: the unit in which the picture is compared, kept and encoded.

use crate::{FrameSeq, Micros};

/// The most patches that a grid may have (448x448 with 14-pixel patches).
pub const MAX_PATCHES: usize = 1024;

/// How a square input picture is cut into square patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchGrid {
    /// Patches along one side; even, because STAB pools 2x2.
    pub side: usize,
    /// Side of a patch in pixels.
    pub patch_px: usize,
}

impl PatchGrid {
    /// The grid of a square picture of `input_px` cut in patches of `patch_px`; `None` if that does not come out
    /// even, or exceeds [`MAX_PATCHES`].
    pub fn new(input_px: usize, patch_px: usize) -> Option<Self> {
        let side = input_px.checked_div(patch_px)?;
        let fits = side * patch_px == input_px && side >= 2 && side % 2 == 0 && side * side <= MAX_PATCHES;
        fits.then_some(Self { side, patch_px })
    }

    /// Number of patches.
    pub const fn patches(self) -> usize {
        self.side * self.side
    }

    /// Bytes of one patch, `[row][column][channel]`.
    pub const fn patch_bytes(self) -> usize {
        self.patch_px * self.patch_px * 3
    }

    /// Bytes of a whole picture in patch order, `[patches][patch_bytes]`.
    pub const fn bytes(self) -> usize {
        self.patches() * self.patch_bytes()
    }

    /// Side of the input picture in pixels.
    pub const fn input_px(self) -> usize {
        self.side * self.patch_px
    }

    /// Windows (2x2 patches, one token each) along one side.
    pub const fn window_side(self) -> usize {
        self.side / 2
    }

    /// Number of windows.
    pub const fn windows(self) -> usize {
        self.window_side() * self.window_side()
    }

    /// The window that patch `index` belongs to, row-major.
    pub const fn window_of(self, index: usize) -> usize {
        (index / self.side / 2) * self.window_side() + (index % self.side) / 2
    }
}

/// The part of the letter-boxed input that shows the picture, in patches: `[x0, x1) x [y0, y1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// First column that touches the picture.
    pub x0: usize,
    /// One past the last such column.
    pub x1: usize,
    /// First row that touches the picture.
    pub y0: usize,
    /// One past the last such row.
    pub y1: usize,
}

impl Content {
    /// Every patch of `grid`.
    pub const fn whole(grid: PatchGrid) -> Self {
        Self { x0: 0, x1: grid.side, y0: 0, y1: grid.side }
    }

    /// Whether patch `index` of `grid` touches the picture.
    pub const fn contains(self, grid: PatchGrid, index: usize) -> bool {
        let (x, y) = (index % grid.side, index / grid.side);
        x >= self.x0 && x < self.x1 && y >= self.y0 && y < self.y1
    }
}

/// A set of patches, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchMask {
    words: [u64; MAX_PATCHES / 64],
}

impl Default for PatchMask {
    fn default() -> Self {
        Self::empty()
    }
}

impl PatchMask {
    /// No patch.
    pub const fn empty() -> Self {
        Self { words: [0; MAX_PATCHES / 64] }
    }

    /// The first `count` patches.
    pub fn first(count: usize) -> Self {
        let mut mask = Self::empty();
        (0..count.min(MAX_PATCHES)).for_each(|i| mask.insert(i));
        mask
    }

    /// Adds patch `index`.
    ///
    /// # Panics
    /// If `index` is [`MAX_PATCHES`] or more.
    pub fn insert(&mut self, index: usize) {
        self.words[index / 64] |= 1 << (index % 64);
    }

    /// Whether patch `index` is in the set; `false` beyond [`MAX_PATCHES`].
    pub fn contains(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|w| w >> (index % 64) & 1 == 1)
    }

    /// Adds every patch of `other`.
    pub fn union(&mut self, other: &Self) {
        self.words.iter_mut().zip(other.words).for_each(|(a, b)| *a |= b);
    }

    /// Whether a patch is in both.
    pub fn meets(&self, other: &Self) -> bool {
        self.words.iter().zip(other.words).any(|(a, b)| a & b != 0)
    }

    /// Number of patches in the set.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// The patches in rising order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..MAX_PATCHES).filter(|&i| self.contains(i))
    }
}

/// What the gate hands to the encoder and the memory.
#[derive(Clone, Copy, Debug)]
pub struct PatchBatch<'a> {
    /// The grid that the masks index.
    pub grid: PatchGrid,
    /// Which patches are here.
    pub sent: &'a PatchMask,
    /// The sent patches in rising order, `[sent.count()][patch_bytes]`.
    pub patches: &'a [u8],
    /// Patches whose windows are remembered: those that changed, and those whose turn it is.
    pub kept: &'a PatchMask,
    /// Where the picture lies in the grid.
    pub content: Content,
    /// The frame that they come from.
    pub seq: FrameSeq,
    /// When it was captured.
    pub captured_us: Micros,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_grid_has_256_patches_and_64_windows() {
        let grid = PatchGrid::new(224, 14).expect("224 is 16 patches of 14");
        assert_eq!((grid.patches(), grid.windows(), grid.patch_bytes(), grid.bytes()), (256, 64, 588, 150_528));
        assert_eq!((grid.window_of(0), grid.window_of(17), grid.window_of(18), grid.window_of(255)), (0, 0, 1, 63));
    }

    #[test]
    fn uneven_odd_and_oversized_grids_are_refused() {
        for (input, patch) in [(225, 14), (14, 14), (42, 14), (0, 14), (224, 0), (14 * 34, 14)] {
            assert_eq!(PatchGrid::new(input, patch), None, "{input}/{patch}");
        }
    }

    #[test]
    fn mask_counts_what_was_inserted_once() {
        let mut mask = PatchMask::empty();
        [0, 63, 64, 255, 255].into_iter().for_each(|i| mask.insert(i));
        assert_eq!(mask.count(), 4);
        assert!(mask.iter().eq([0, 63, 64, 255]));
        assert!(!mask.contains(MAX_PATCHES + 5));
        let mut all = PatchMask::first(100);
        all.union(&mask);
        assert_eq!(all.count(), 101);
        assert!(all.meets(&mask) && !mask.meets(&PatchMask::empty()));
    }
}
