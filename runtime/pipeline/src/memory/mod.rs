//! What is remembered, in a fixed number of bytes: three tiers, all int8 with a scale a token.
//!
//! ```text
//! tokens of a frame -> DTD drop -> recent ----------> the head's view
//!                                    |  scene that is going on
//!                                    `-> closed at a cut -> segments  (each some tokens, the oldest evicted)
//!                                                     `---> abstract  (a fixed number of centroids, merged)
//! ```
//!
//! Ids of entries only grow. A hole (a blind camera, a restart) is recorded, and ids leap over it, so that no age counts across
//! it. What was evicted, dropped or forgotten is counted. The probabilities that the head gave are noted with each scene
//! ([`MemoryRing::hear`]) and asked for later ([`MemoryRing::recall`]).

mod cut;
mod recent;
mod segment;
mod snapshot;
mod star;
#[cfg(test)]
mod tests;
mod token;
mod trace;

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use ocelli_types::{EntryId, MemoryView, Micros, PatchGrid, PatchMask};

use crate::ConfigError;

use cut::CutFinder;
use recent::{Kept, Recent};
use segment::{OpenSegment, Segments};
use star::{Centroid, Star};
use token::{cosine, quantize};
use trace::Ranking;

pub use cut::CutConfig;
pub use segment::SegmentConfig;
pub use snapshot::SnapshotError;
pub use trace::{MOST_RECALLED, Peak, Recalled, Tier};

/// Which tokens the head sees; `tools/train/tokens.py` makes the same choice in training.
///
/// Slots in order: the newest token of each window, row-major; the frame tokens of the `frame_tokens` newest frames,
/// newest first; then older tokens of windows that have a newer one, newest frame first and row-major within it. What a
/// [`FeatureDrop`] left out is not remembered: the newest of each window is shown as it came, and then the one that it is like
/// stands in its place, as old as it would be; in the frame right before the newest that is the newest's, where it is more like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Slots in all, at least windows + `frame_tokens`.
    pub slots: usize,
    /// Slots for frame tokens.
    pub frame_tokens: usize,
    /// Oldest frame, in frames before the newest, from which superseded tokens are shown.
    pub max_age_frames: usize,
}

/// What a token is compared with before it is dropped (TimeChat-Online, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReference {
    /// That of the frame before, as published: slow drift can vanish.
    Previous,
    /// The last that was kept at its place: drift adds up until it shows.
    LastKept,
    /// Both: dropped only if it is like either.
    Both,
    /// Each that is held of its place, however old: when somebody has passed, the room behind is known already.
    AnyKept,
}

/// Token drop by features: DTD's second mode, after STAB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureDrop {
    /// What a token is compared with.
    pub reference: DropReference,
    /// A token more alike than this is dropped: the cosine, -1 to 1.
    pub cosine: f32,
}

/// The size of a [`MemoryRing`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryConfig {
    /// How pictures are cut.
    pub grid: PatchGrid,
    /// Numbers in a token.
    pub token_width: usize,
    /// Capacity of the recent tier in tokens, at least [`MemoryConfig::least_tokens`].
    pub tokens: usize,
    /// What the head sees.
    pub selection: Selection,
    /// The gate's promise: each window is kept at least once in so many frames.
    pub refresh_frames: u32,
    /// Drops what the gate kept and STAB found unchanged; `None` keeps it.
    pub drop: Option<FeatureDrop>,
    /// Where a scene ends.
    pub cut: CutConfig,
    /// What is kept of scenes.
    pub segment: SegmentConfig,
    /// Centroids of the abstract tier; at least 1.
    pub centroids: usize,
}

impl MemoryConfig {
    /// The least that serves this head, with some hours of scenes behind it and no feature drop.
    pub fn new(grid: PatchGrid, token_width: usize, selection: Selection, refresh_frames: u32) -> Self {
        let segment = SegmentConfig { segments: 512, tokens: 12, longest_us: Micros(300_000_000), still_cosine: 0.9 };
        let mut config = Self {
            grid,
            token_width,
            tokens: 0,
            selection,
            refresh_frames,
            drop: None,
            cut: CutConfig::default(),
            segment,
            centroids: 64,
        };
        config.tokens = config.least_tokens();
        config
    }

    /// The capacity with which the head always sees what it saw in training: the newest token of each window is never
    /// evicted, nor one that [`Selection`] asks for.
    ///
    /// That is every frame until the refresh comes round, each kept whole, and the frame being written. With feature drop a
    /// token may be as old as two rounds; where any that is held may stand again, two more are for those. `tokens` has no part
    /// in it.
    pub fn least_tokens(&self) -> usize {
        let Selection { frame_tokens, max_age_frames, .. } = self.selection;
        let rounds = match self.drop {
            None => 1,
            Some(FeatureDrop { reference: DropReference::AnyKept, .. }) => 4,
            Some(_) => 2,
        };
        let frames = (rounds * self.refresh_frames as usize).max(frame_tokens).max(max_age_frames + 1);
        (frames + 1) * (1 + self.grid.windows()) + self.grid.windows()
    }

    /// By how much ids leap over a hole: more than any age that somebody looks at, and over a restart more than a power cut may
    /// have taken back.
    fn leap(&self, cause: HoleCause) -> u64 {
        if cause == HoleCause::Restart {
            return 1 << 20;
        }
        let Selection { frame_tokens, max_age_frames, .. } = self.selection;
        (self.refresh_frames as usize).max(frame_tokens).max(max_age_frames + 1).max(32) as u64
    }
}

/// Why nothing was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoleCause {
    /// The camera gave nothing.
    Blind,
    /// The program did not run.
    Restart,
}

/// A stretch of time of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The last that was seen before.
    pub from_us: Micros,
    /// The first that was seen after.
    pub to_us: Micros,
    /// The newest entry before it.
    pub after: EntryId,
    /// Why.
    pub cause: HoleCause,
}

/// The longest stream, 285 years: what is beyond is damage.
pub const MOST_STREAM: Micros = Micros(1 << 53);

/// Holes that are remembered; of older ones the number.
const MOST_HOLES: usize = 256;

/// The tokens of one frame, `[1 + windows]`.
#[derive(Debug)]
struct Tokens {
    width: usize,
    /// `[1 + windows][token_width]`
    bytes: Vec<i8>,
    /// `[1 + windows]`
    scales: Vec<f32>,
}

impl Tokens {
    fn new(rows: usize, width: usize) -> Self {
        Self { width, bytes: vec![0; rows * width], scales: vec![0.0; rows] }
    }

    const fn bytes(rows: usize, width: usize) -> usize {
        rows * (width + size_of::<f32>())
    }

    fn row(&self, row: usize) -> &[i8] {
        &self.bytes[row * self.width..][..self.width]
    }

    fn quantize(&mut self, values: &[f32]) {
        let rows = values.chunks_exact(self.width).zip(self.bytes.chunks_exact_mut(self.width));
        for ((values, bytes), scale) in rows.zip(&mut self.scales) {
            *scale = quantize(values, bytes);
        }
    }
}

/// What a [`MemoryRing`] holds, and what it no longer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Frames in the recent tier.
    pub entries: usize,
    /// Tokens in the recent tier.
    pub tokens: usize,
    /// Frames evicted from it since the beginning.
    pub evicted: u64,
    /// Tokens that the gate kept since the beginning.
    pub offered: u64,
    /// Of these, those that were dropped by features.
    pub dropped: u64,
    /// Closed segments held.
    pub segments: usize,
    /// Segments evicted since the beginning.
    pub evicted_segments: u64,
    /// Centroids in the abstract tier.
    pub centroids: usize,
    /// Holes since the beginning.
    pub holes: u64,
}

impl MemoryReport {
    /// Frames that were ever remembered.
    pub const fn frames(&self) -> u64 {
        self.entries as u64 + self.evicted
    }
}

/// The memory. Fixed in size: nothing is allocated after [`new`](Self::new).
#[derive(Debug)]
pub struct MemoryRing {
    config: MemoryConfig,
    /// The frame being remembered, and the one before it.
    now: Tokens,
    before: Tokens,
    /// Whether `before` is of the entry before.
    follows: bool,
    recent: Recent,
    cuts: CutFinder,
    open: OpenSegment,
    segments: Segments,
    star: Star,
    /// Oldest first.
    holes: VecDeque<Hole>,
    hole_count: u64,
    /// Of the newest entry, and what it became when ids leapt over a hole.
    newest_id: EntryId,
    last_id: EntryId,
    last_us: Micros,
    offered: u64,
    dropped: u64,
}

impl MemoryRing {
    /// An empty memory.
    ///
    /// # Errors
    /// [`ConfigError::SmallMemory`], [`ConfigError::Slots`] or [`ConfigError::Memory`].
    pub fn new(config: MemoryConfig) -> Result<Self, ConfigError> {
        let MemoryConfig { grid, token_width: width, tokens, selection, segment, .. } = config;
        let least = config.least_tokens();
        if tokens < least {
            return Err(ConfigError::SmallMemory { tokens, least });
        }
        let least = grid.windows() + selection.frame_tokens;
        if selection.slots < least {
            return Err(ConfigError::Slots { slots: selection.slots, least });
        }
        for (what, value, least) in [
            ("segments", segment.segments, 1),
            ("tokens of a segment", segment.tokens, 2),
            ("centroids", config.centroids, 1),
        ] {
            if value < least {
                return Err(ConfigError::Memory { what, value, least });
            }
        }
        let rows = 1 + grid.windows();
        Ok(Self {
            config,
            now: Tokens::new(rows, width),
            before: Tokens::new(rows, width),
            follows: false,
            recent: Recent::new(config),
            cuts: CutFinder::new(config.cut, width),
            open: OpenSegment::new(segment, grid.windows(), width),
            segments: Segments::new(segment, width),
            star: Star::new(config.centroids, width),
            holes: VecDeque::with_capacity(MOST_HOLES),
            hole_count: 0,
            newest_id: EntryId(0),
            last_id: EntryId(0),
            last_us: Micros(0),
            offered: 0,
            dropped: 0,
        })
    }

    /// What the recent tier of a memory of `config` allocates, and what it needs to take frames in.
    pub const fn recent_bytes(config: &MemoryConfig) -> usize {
        let (windows, width) = (config.grid.windows(), config.token_width);
        2 * Tokens::bytes(1 + windows, width)
            + Recent::bytes(config)
            + CutFinder::bytes(width)
            + OpenSegment::bytes(windows, width)
            + MOST_HOLES * size_of::<Hole>()
    }

    /// What the segments tier allocates.
    pub const fn segments_bytes(config: &MemoryConfig) -> usize {
        Segments::bytes(&config.segment, config.token_width)
    }

    /// What the abstract tier allocates.
    pub const fn abstract_bytes(config: &MemoryConfig) -> usize {
        Star::bytes(config.centroids, config.token_width)
    }

    /// Remembers a frame: its frame token, and the tokens of the windows of which a patch was kept and that are not dropped
    /// (all of them in the first entry, which has nothing to fall back on). `values` are `[1 + windows][token_width]` and
    /// finite.
    ///
    /// # Panics
    /// If there are more or fewer values.
    pub fn commit(&mut self, values: &[f32], kept: &PatchMask, captured_us: Micros) -> EntryId {
        let rows = 1 + self.config.grid.windows();
        assert_eq!(values.len(), rows * self.config.token_width, "the values should be of one frame");
        mem::swap(&mut self.now, &mut self.before);
        self.now.quantize(values);
        let id = EntryId(self.last_id.0 + 1);
        self.recent.set_lasting(self.lasting());
        let windows = self.windows_to_keep(kept, id);
        self.recent.push(id, &self.now, &windows, captured_us);
        if self.cuts.sees(self.now.row(0)) || self.open.is_over(captured_us) {
            self.close_segment();
        }
        self.open.add(id, captured_us, &self.now, &windows);
        (self.newest_id, self.last_id, self.last_us, self.follows) = (id, id, captured_us, true);
        id
    }

    /// Notes what the head said of the newest entry, `[sentences]`.
    pub fn hear(&mut self, probabilities: &[f32]) {
        let (id, at_us) = (self.last_id, self.last_us);
        self.open.trace_mut().hear(probabilities, id, at_us);
    }

    /// Records that nothing was seen for a while. The scene before it is closed. A hole right behind another one is that one
    /// grown longer.
    pub fn hole(&mut self, from_us: Micros, to_us: Micros, cause: HoleCause) {
        self.last_us = self.last_us.max(to_us);
        if let Some(last) = self.holes.back_mut()
            && last.after == self.newest_id
        {
            last.to_us = last.to_us.max(to_us);
            return;
        }
        if self.holes.len() == MOST_HOLES {
            self.holes.pop_front();
        }
        self.holes.push_back(Hole { from_us, to_us, after: self.newest_id, cause });
        self.hole_count += 1;
        self.part(cause);
    }

    /// Begins a new scene with the next frame, in which nothing goes on of the one before.
    pub fn begin_scene(&mut self) {
        self.part(HoleCause::Blind);
    }

    /// Closes the scene, and lets no age count from the next frame to what was before.
    fn part(&mut self, cause: HoleCause) {
        self.close_segment();
        self.cuts.start_over();
        self.follows = false;
        self.last_id.0 += self.config.leap(cause);
    }

    /// The tokens that the head should see now, in the order of [`Selection`]; `None` while nothing was remembered.
    ///
    /// Ages are counted in entries and not clipped.
    pub fn view(&mut self) -> Option<MemoryView<'_>> {
        self.recent.view()
    }

    /// When `sentence` was most probable, in all that is remembered: at most [`MOST_RECALLED`] moments, one a scene, the most
    /// probable first.
    pub fn recall(&self, sentence: u16) -> heapless::Vec<Recalled, MOST_RECALLED> {
        let mut ranking = Ranking::default();
        self.peaks().filter(|recalled| recalled.peak.sentence == sentence).for_each(|recalled| ranking.add(recalled));
        ranking.into_inner()
    }

    /// The most probable sentences of each scene that is remembered, each at its most. The abstract tier has some of them again.
    pub fn peaks(&self) -> impl Iterator<Item = Recalled> {
        let open = [(self.open.trace(), Tier::Open)].into_iter();
        let segments = self.segments.held().map(|segment| (&segment.trace, Tier::Segment));
        let star = self.star.held().map(|(centroid, _)| (&centroid.trace, Tier::Abstract));
        let all = open.chain(segments).chain(star);
        all.flat_map(|(trace, tier)| trace.peaks().map(move |peak| Recalled { peak, tier }))
    }

    /// The newest holes, oldest first.
    pub fn holes(&self) -> impl ExactSizeIterator<Item = &Hole> {
        self.holes.iter()
    }

    /// Windows of which the newest entry holds a token of its own.
    pub fn newest_windows(&self) -> impl Iterator<Item = usize> {
        self.recent.newest_windows()
    }

    /// Capture time of the newest entry, or the end of the hole after it.
    pub const fn last_us(&self) -> Micros {
        self.last_us
    }

    /// Width of a token.
    pub const fn token_width(&self) -> usize {
        self.config.token_width
    }

    /// How the pictures are cut whose tokens are held.
    pub const fn grid(&self) -> PatchGrid {
        self.config.grid
    }

    /// What is held now, and what is not.
    pub fn report(&self) -> MemoryReport {
        MemoryReport {
            entries: self.recent.held().len(),
            tokens: self.recent.tokens(),
            evicted: self.recent.evicted(),
            offered: self.offered,
            dropped: self.dropped,
            segments: self.segments.held().len(),
            evicted_segments: self.segments.evicted(),
            centroids: self.star.held().len(),
            holes: self.hole_count,
        }
    }

    fn windows_to_keep(&mut self, kept: &PatchMask, id: EntryId) -> PatchMask {
        let grid = self.config.grid;
        if self.recent.held().len() == 0 {
            self.offered += grid.windows() as u64;
            return PatchMask::first(grid.windows());
        }
        let mut windows = PatchMask::empty();
        kept.iter().take_while(|&patch| patch < grid.patches()).for_each(|patch| windows.insert(grid.window_of(patch)));
        if !self.follows {
            // After a hole: what the gate takes for known may be gone.
            (0..grid.windows()).filter(|window| !self.recent.stands(*window)).for_each(|window| windows.insert(window));
        }
        let offered = windows.count() as u64;
        self.offered += offered;
        if let Some(drop) = self.config.drop {
            let mut left = PatchMask::empty();
            for window in windows.iter() {
                match self.like(window, id, drop) {
                    Some(kept) => self.recent.stand(window, id, kept, &self.now),
                    None => left.insert(window),
                }
            }
            self.dropped += offered - left.count() as u64;
            windows = left;
        }
        windows
    }

    /// Windows whose token was dropped in the frame before, and was more like the one that comes now than like any that stands for it:
    /// what was there goes on.
    fn lasting(&self) -> PatchMask {
        let mut lasting = PatchMask::empty();
        if self.follows {
            let lasts = |window: &usize| {
                self.recent.stands_in(*window).is_some_and(|kept| {
                    let before = self.before.row(1 + window);
                    cosine(before, self.now.row(1 + window)) > cosine(before, self.recent.token(kept.token).0)
                })
            };
            (0..self.config.grid.windows()).filter(lasts).for_each(|window| lasting.insert(window));
        }
        lasting
    }

    /// The token that may stand for that of a window, which says nothing new then.
    fn like(&self, window: usize, id: EntryId, drop: FeatureDrop) -> Option<Kept> {
        let token = self.now.row(1 + window);
        let to_kept = |kept: Kept| cosine(token, self.recent.token(kept.token).0);
        let refresh = self.config.refresh_frames;
        if drop.reference == DropReference::AnyKept {
            // Kept anew when it would go before the gate offers the window again, or while it is shown as an older one.
            let frames = refresh as usize + self.config.selection.max_age_frames;
            let held = self.recent.kept_of(window).take_while(|kept| self.recent.stays(*kept, frames));
            let nearest = held.map(|kept| (to_kept(kept), kept)).reduce(|a, b| if b.0 > a.0 { b } else { a });
            return nearest.filter(|(cosine, _)| *cosine > drop.cosine).map(|(_, kept)| kept);
        }
        let last = self.recent.kept_of(window).next()?;
        // The refresh bounds how long something little may go unseen.
        if id.0 - last.id.0 >= u64::from(refresh) {
            return None;
        }
        let like_previous = || self.follows && cosine(token, self.before.row(1 + window)) > drop.cosine;
        let like_kept = || to_kept(last) > drop.cosine;
        let is_alike = match drop.reference {
            DropReference::Previous => like_previous(),
            DropReference::LastKept | DropReference::AnyKept => like_kept(),
            DropReference::Both => like_previous() && like_kept(),
        };
        is_alike.then_some(last)
    }

    fn close_segment(&mut self) {
        let Some((segment, token)) = self.segments.close(&mut self.open) else { return };
        let centroid = Centroid {
            frames: u64::from(segment.frames),
            from_us: segment.from_us,
            to_us: segment.to_us,
            representative: segment.last,
            representative_frames: u64::from(segment.frames),
            scale: segment.frame_scale,
            trace: segment.trace,
        };
        self.star.add(&centroid, token);
    }
}
