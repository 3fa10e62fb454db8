//! The segments tier: each scene compressed to a fixed number of tokens, in a ring of fixed size.
//!
//! A scene is compressed while it lasts, so that its length is nobody's cost. `HoliTom` (section 3.2): a window that stands still
//! becomes one token, the mean of its tokens; what moves is kept as it came. Once there is too much of it, tokens are merged by
//! bipartite soft matching (`ToMe`, section 3): of two halves, each token of one looks for the most alike in the other, and the
//! most alike pairs become their weighted mean.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use ocelli_types::{EntryId, Micros, PatchMask};

use super::Tokens;
use super::token::{add, cosine, quantize};
use super::trace::Trace;

/// Tokens that moved and are not merged yet.
const LOOSE: usize = 96;

/// The size of the tier, and what a segment is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentConfig {
    /// Segments that are held.
    pub segments: usize,
    /// Tokens of each, its frame token included; at least 2.
    pub tokens: usize,
    /// A scene that lasts longer is cut here.
    pub longest_us: Micros,
    /// A window stands still while each of its tokens is so like the one before (`HoliTom` has 0.8 for its encoder).
    pub still_cosine: f32,
}

/// One token of a closed segment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mark {
    /// What a byte counts.
    pub scale: f32,
    /// Window, row-major, or the number of windows for the frame token; of merged tokens, that of the heaviest.
    pub position: u16,
    /// Tokens that it stands for.
    pub weight: f32,
    /// Mean of their times, from the start of the segment.
    pub offset_ms: u32,
}

/// A closed segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub first: EntryId,
    pub last: EntryId,
    pub from_us: Micros,
    pub to_us: Micros,
    pub frames: u32,
    /// How many of its tokens are in use.
    pub tokens: usize,
    /// What a byte of its frame token counts.
    pub frame_scale: f32,
    pub trace: Trace,
    /// Which part of the storage.
    pub(super) slot: usize,
}

impl Segment {
    /// One between these, of one frame and its token.
    pub const fn of(first: (EntryId, Micros), last: (EntryId, Micros), frame_scale: f32) -> Self {
        Self {
            first: first.0,
            last: last.0,
            from_us: first.1,
            to_us: last.1,
            frames: 1,
            tokens: 1,
            frame_scale,
            trace: Trace::new(),
            slot: 0,
        }
    }
}

/// Closed segments.
#[derive(Debug)]
pub(super) struct Segments {
    config: SegmentConfig,
    width: usize,
    /// `[segments][tokens][token_width]`
    storage: Vec<i8>,
    /// `[segments][tokens]`
    marks: Vec<Mark>,
    /// Oldest first.
    held: VecDeque<Segment>,
    evicted: u64,
}

impl Segments {
    pub fn new(config: SegmentConfig, width: usize) -> Self {
        let tokens = config.segments * config.tokens;
        Self {
            config,
            width,
            storage: vec![0; tokens * width],
            marks: vec![Mark::default(); tokens],
            held: VecDeque::with_capacity(config.segments),
            evicted: 0,
        }
    }

    pub const fn bytes(config: &SegmentConfig, width: usize) -> usize {
        config.segments * (config.tokens * (width + size_of::<Mark>()) + size_of::<Segment>())
    }

    /// Closes the open segment, and gives its frame token; the oldest segment goes where there is no room.
    pub fn close(&mut self, open: &mut OpenSegment) -> Option<(Segment, &[i8])> {
        let slot = self.free_slot();
        let at = slot * self.config.tokens;
        let marks = &mut self.marks[at..][..self.config.tokens];
        let storage = &mut self.storage[at * self.width..][..self.config.tokens * self.width];
        let segment = open.close(marks, storage)?;
        self.push(&Segment { slot, ..segment });
        Some((segment, &self.storage[at * self.width..][..self.width]))
    }

    /// Remembers a segment whose tokens are in its slot.
    fn push(&mut self, segment: &Segment) {
        if self.held.len() == self.config.segments {
            self.held.pop_front();
            self.evicted += 1;
        }
        self.held.push_back(*segment);
    }

    /// The slot that the next segment will have: a free one, or that of the oldest.
    fn free_slot(&self) -> usize {
        match self.held.front() {
            Some(oldest) if self.held.len() == self.config.segments => oldest.slot,
            _ => self.held.len(),
        }
    }

    /// Puts a segment back that was saved; it must be newer than all that are held.
    pub fn put_back(&mut self, segment: &Segment, marks: &[Mark], tokens: &[i8]) {
        let slot = self.free_slot();
        let at = slot * self.config.tokens;
        self.marks[at..][..marks.len()].copy_from_slice(marks);
        self.storage[at * self.width..][..tokens.len()].copy_from_slice(tokens);
        self.push(&Segment { slot, ..*segment });
    }

    /// What is held, oldest first.
    pub fn held(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator {
        self.held.iter()
    }

    /// Marks `[segment.tokens]` and values `[segment.tokens][token_width]` of a segment; the frame token is the first.
    pub fn tokens_of(&self, segment: &Segment) -> (&[Mark], &[i8]) {
        let at = segment.slot * self.config.tokens;
        (&self.marks[at..][..segment.tokens], &self.storage[at * self.width..][..segment.tokens * self.width])
    }

    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    pub const fn count_evicted(&mut self, before: u64) {
        self.evicted += before;
    }
}

/// A window of the open segment.
#[derive(Clone, Copy, Debug, Default)]
struct Still {
    /// Tokens seen so far.
    count: u32,
    /// It moved once, and its tokens are loose from then on.
    moved: bool,
    /// Sum of their times, from the start of the segment.
    offsets_ms: u64,
}

/// A token on its way into a segment.
#[derive(Clone, Copy, Debug, Default)]
struct Loose {
    position: u16,
    weight: f32,
    offset_ms: f32,
    /// It was merged into another one.
    gone: bool,
}

/// The scene that is going on.
#[derive(Debug)]
pub(super) struct OpenSegment {
    config: SegmentConfig,
    width: usize,
    first: EntryId,
    last: EntryId,
    from_us: Micros,
    to_us: Micros,
    frames: u32,
    trace: Trace,
    /// Sum of the frame tokens, `[token_width]`.
    frame_sum: Vec<f32>,
    /// `[windows]`
    windows: Vec<Still>,
    /// The last token of each window, `[windows][token_width]`.
    last_tokens: Vec<i8>,
    /// Sum of each window's tokens while it stands still, `[windows][token_width]`.
    sums: Vec<f32>,
    /// `[LOOSE + windows]`, of which `count` are used.
    loose: Vec<Loose>,
    /// Their values, `[LOOSE + windows][token_width]`.
    values: Vec<f32>,
    /// The same in int8, for comparing.
    bytes: Vec<i8>,
    count: usize,
    /// Pairs to be merged: similarity, which, into which. `[(LOOSE + windows) / 2]`
    pairs: Vec<(f32, u16, u16)>,
}

impl OpenSegment {
    pub fn new(config: SegmentConfig, windows: usize, width: usize) -> Self {
        let most = LOOSE + windows;
        Self {
            config,
            width,
            first: EntryId(0),
            last: EntryId(0),
            from_us: Micros(0),
            to_us: Micros(0),
            frames: 0,
            trace: Trace::new(),
            frame_sum: vec![0.0; width],
            windows: vec![Still::default(); windows],
            last_tokens: vec![0; windows * width],
            sums: vec![0.0; windows * width],
            loose: vec![Loose::default(); most],
            values: vec![0.0; most * width],
            bytes: vec![0; most * width],
            count: 0,
            pairs: Vec::with_capacity(most.div_ceil(2)),
        }
    }

    pub const fn bytes(windows: usize, width: usize) -> usize {
        let most = LOOSE + windows;
        width * size_of::<f32>()
            + windows * (size_of::<Still>() + width * (1 + size_of::<f32>()))
            + most * (size_of::<Loose>() + width * (1 + size_of::<f32>()))
            + most.div_ceil(2) * size_of::<(f32, u16, u16)>()
    }

    /// Whether a frame of this time would make it too long.
    pub fn is_over(&self, captured_us: Micros) -> bool {
        self.frames > 0 && captured_us.since(self.from_us) > self.config.longest_us
    }

    pub const fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// What the head made of a frame of this segment.
    pub const fn trace_mut(&mut self) -> &mut Trace {
        &mut self.trace
    }

    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Takes in the frame token and those of `kept` windows.
    pub fn add(&mut self, id: EntryId, captured_us: Micros, tokens: &Tokens, kept: &PatchMask) {
        if self.frames == 0 {
            (self.first, self.from_us) = (id, captured_us);
        }
        (self.last, self.to_us) = (id, captured_us);
        self.frames += 1;
        add(&mut self.frame_sum, tokens.row(0), tokens.scales[0]);
        let offset_ms = captured_us.since(self.from_us).0 / 1000;
        for window in kept.iter() {
            self.add_window(window, tokens.row(1 + window), tokens.scales[1 + window], offset_ms);
        }
    }

    fn add_window(&mut self, window: usize, token: &[i8], scale: f32, offset_ms: u64) {
        let place = window * self.width..(window + 1) * self.width;
        let still = &mut self.windows[window];
        if still.count > 0 && !still.moved {
            still.moved = cosine(&self.last_tokens[place.clone()], token) <= self.config.still_cosine;
            if still.moved {
                let at = self.next_loose();
                self.loosen(window, at);
            }
        }
        self.last_tokens[place.clone()].copy_from_slice(token);
        let still = &mut self.windows[window];
        still.count += 1;
        if still.moved {
            let at = self.next_loose();
            let values = &mut self.values[at * self.width..][..self.width];
            values.fill(0.0);
            add(values, token, scale);
            self.bytes[at * self.width..][..self.width].copy_from_slice(token);
            self.loose[at] = Loose { position: window as u16, weight: 1.0, offset_ms: offset_ms as f32, gone: false };
        } else {
            still.offsets_ms += offset_ms;
            add(&mut self.sums[place], token, scale);
        }
    }

    /// The mean of a window that stood still becomes the loose token `at`.
    fn loosen(&mut self, window: usize, at: usize) {
        let Still { count, offsets_ms, .. } = self.windows[window];
        let weight = count as f32;
        let values = &mut self.values[at * self.width..][..self.width];
        for (value, sum) in values.iter_mut().zip(&self.sums[window * self.width..]) {
            *value = sum / weight;
        }
        quantize(values, &mut self.bytes[at * self.width..][..self.width]);
        self.loose[at] = Loose { position: window as u16, weight, offset_ms: offsets_ms as f32 / weight, gone: false };
    }

    /// Room for one more; half of them are merged where there is none.
    fn next_loose(&mut self) -> usize {
        if self.count >= LOOSE {
            self.merge(LOOSE / 2);
        }
        self.count += 1;
        self.count - 1
    }

    /// Merges until at most `most` are left.
    fn merge(&mut self, most: usize) {
        while self.count > most.max(1) {
            let wanted = self.count - most.max(1);
            self.pair();
            self.pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for pair in 0..wanted.min(self.pairs.len()) {
                let (_, from, to) = self.pairs[pair];
                self.merge_pair(usize::from(from), usize::from(to));
            }
            self.close_gaps();
        }
    }

    /// For each odd token, the even one that is most like it.
    fn pair(&mut self) {
        let Self { width, bytes, count, pairs, .. } = self;
        pairs.clear();
        for from in (1..*count).step_by(2) {
            let token = &bytes[from * *width..][..*width];
            let mut best = (f32::NEG_INFINITY, 0);
            for to in (0..*count).step_by(2) {
                let like = cosine(token, &bytes[to * *width..][..*width]);
                if like > best.0 {
                    best = (like, to);
                }
            }
            pairs.push((best.0, from as u16, best.1 as u16));
        }
    }

    fn merge_pair(&mut self, from: usize, to: usize) {
        let (a, b) = (self.loose[from], self.loose[to]);
        let weight = a.weight + b.weight;
        let share = a.weight / weight;
        for index in 0..self.width {
            let (from, to) = (self.values[from * self.width + index], &mut self.values[to * self.width + index]);
            *to += share * (from - *to);
        }
        let to_values = to * self.width..(to + 1) * self.width;
        quantize(&self.values[to_values.clone()], &mut self.bytes[to_values]);
        self.loose[to] = Loose {
            position: if a.weight > b.weight { a.position } else { b.position },
            weight,
            offset_ms: b.offset_ms + share * (a.offset_ms - b.offset_ms),
            gone: false,
        };
        self.loose[from].gone = true;
    }

    fn close_gaps(&mut self) {
        let mut kept = 0;
        for at in 0..self.count {
            if self.loose[at].gone {
                continue;
            }
            if kept != at {
                let from = at * self.width..(at + 1) * self.width;
                self.loose[kept] = self.loose[at];
                self.values.copy_within(from.clone(), kept * self.width);
                self.bytes.copy_within(from, kept * self.width);
            }
            kept += 1;
        }
        self.count = kept;
    }

    /// Writes the segment, frame token first and the others by time, and is empty again; `None` if it was.
    fn close(&mut self, marks: &mut [Mark], storage: &mut [i8]) -> Option<Segment> {
        if self.frames == 0 {
            return None;
        }
        for window in 0..self.windows.len() {
            if self.windows[window].count > 0 && !self.windows[window].moved {
                // There is room for each window behind the loose ones.
                self.loosen(window, self.count);
                self.count += 1;
            }
        }
        self.merge(marks.len() - 1);
        let frames = self.frames as f32;
        self.frame_sum.iter_mut().for_each(|sum| *sum /= frames);
        let duration_ms = self.to_us.since(self.from_us).0 / 1000;
        marks[0] = Mark {
            scale: quantize(&self.frame_sum, &mut storage[..self.width]),
            position: self.windows.len() as u16,
            weight: frames,
            offset_ms: (duration_ms / 2) as u32,
        };
        self.pairs.clear();
        for at in 0..self.count {
            self.pairs.push((self.loose[at].offset_ms, at as u16, 0));
        }
        self.pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (to, (_, from, _)) in (1..).zip(&self.pairs) {
            let from = usize::from(*from);
            let Loose { position, weight, offset_ms, .. } = self.loose[from];
            let values = &self.values[from * self.width..][..self.width];
            let scale = quantize(values, &mut storage[to * self.width..][..self.width]);
            marks[to] = Mark { scale, position, weight, offset_ms: offset_ms as u32 };
        }
        let segment = Segment {
            frames: self.frames,
            tokens: 1 + self.count,
            trace: self.trace,
            ..Segment::of((self.first, self.from_us), (self.last, self.to_us), marks[0].scale)
        };
        self.clear();
        Some(segment)
    }

    fn clear(&mut self) {
        self.frames = 0;
        self.count = 0;
        self.trace = Trace::new();
        self.frame_sum.fill(0.0);
        self.windows.fill(Still::default());
        self.sums.fill(0.0);
    }
}
