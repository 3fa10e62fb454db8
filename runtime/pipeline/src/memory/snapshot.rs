//! The memory as bytes, to outlive a restart.
//!
//! Little-endian, each count before what it counts. Whoever stores the bytes adds what tells a torn or foreign file; here every
//! number is held against the shape of the memory, so that no content whatever can do harm later. The scene that was going on
//! is not written but begun again from those of its frames that the recent tier holds.

use alloc::vec::Vec;

use ocelli_types::{EntryId, Micros, PatchMask};

use super::segment::{Mark, Segment};
use super::star::Centroid;
use super::trace::{Peak, Trace};
use super::{Hole, HoleCause, MOST_HOLES, MOST_STREAM, MemoryConfig, MemoryRing, Tokens};
use crate::ConfigError;

/// Why bytes are no memory.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// They end too early, or go on after the end.
    #[error("it has the wrong length")]
    Length,
    /// They are of a memory of another shape.
    #[error("it is of another model: {what} is {found}, not {expected}")]
    Shape {
        /// Which number.
        what: &'static str,
        /// The number in the bytes.
        found: u64,
        /// Ours.
        expected: u64,
    },
    /// A number is out of its range.
    #[error("its {what} cannot be")]
    Range {
        /// Which number.
        what: &'static str,
    },
    /// The memory itself cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// No token's values go beyond 127 times this.
const MOST_SCALE: f32 = 1e6;

/// The most that [`MemoryRing::save`] writes.
pub const fn most_bytes(config: &MemoryConfig) -> usize {
    let width = config.token_width;
    let token = width + size_of::<f32>() + size_of::<u16>();
    let trace = 1 + 8 * 22;
    128 + config.tokens * (token + 18)
        + config.segment.segments * (config.segment.tokens * (width + 14) + 40 + trace)
        + config.centroids * (width + 60 + trace)
        + trace
        + MOST_HOLES * 25
}

impl MemoryRing {
    /// The most bytes that [`save`](Self::save) appends.
    pub const fn snapshot_bytes(config: &MemoryConfig) -> usize {
        most_bytes(config)
    }

    /// Appends the memory to `out`. With room for [`snapshot_bytes`](Self::snapshot_bytes) nothing is allocated.
    pub fn save(&self, out: &mut Vec<u8>) {
        let mut to = Writer(out);
        for (_, value) in shape(&self.config) {
            to.u64(value);
        }
        to.u64(self.newest_id.0);
        to.u64(self.last_id.0);
        to.u64(self.last_us.0);
        to.u64(self.offered);
        to.u64(self.dropped);
        to.u64(self.hole_count);
        to.u64(self.recent.evicted());
        to.u64(self.segments.evicted());
        to.u32(self.holes.len());
        for hole in &self.holes {
            to.u64(hole.from_us.0);
            to.u64(hole.to_us.0);
            to.u64(hole.after.0);
            to.u8(u8::from(hole.cause == HoleCause::Restart));
        }
        to.u32(self.recent.held().len());
        for entry in self.recent.held() {
            to.u64(entry.id.0);
            to.u64(entry.captured_us.0);
            to.u16(entry.windows().len());
            to.token(self.recent.token(entry.start));
            for token in entry.windows() {
                to.u16(self.recent.position(token));
                to.token(self.recent.token(token));
            }
        }
        to.trace(self.open.trace());
        to.u32(self.segments.held().len());
        for segment in self.segments.held() {
            to.u64(segment.first.0);
            to.u64(segment.last.0);
            to.u64(segment.from_us.0);
            to.u64(segment.to_us.0);
            to.u32(segment.frames as usize);
            to.u32(segment.tokens);
            let (marks, values) = self.segments.tokens_of(segment);
            for (mark, values) in marks.iter().zip(values.chunks_exact(self.config.token_width)) {
                to.token((values, mark.scale));
                to.u16(usize::from(mark.position));
                to.f32(mark.weight);
                to.u32(mark.offset_ms as usize);
            }
            to.trace(&segment.trace);
        }
        to.u32(self.star.held().len());
        for (centroid, token) in self.star.held() {
            to.u64(centroid.frames);
            to.u64(centroid.from_us.0);
            to.u64(centroid.to_us.0);
            to.u64(centroid.representative.0);
            to.u64(centroid.representative_frames);
            to.token((token, centroid.scale));
            to.trace(&centroid.trace);
        }
    }

    /// The memory that [`save`](Self::save) wrote. Where it held more than there is room for now, the oldest go, and centroids
    /// are merged. What happened since is a hole that the caller records.
    ///
    /// # Errors
    /// The bytes are not those of such a memory; see [`SnapshotError`].
    pub fn restore(config: MemoryConfig, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut memory = Self::new(config)?;
        let mut from = Reader(bytes);
        for (what, expected) in shape(&config) {
            let found = from.u64()?;
            if found != expected {
                return Err(SnapshotError::Shape { what, found, expected });
            }
        }
        // Far less than what there is: all can still grow for longer than anything lasts.
        let most = u64::MAX >> 8;
        let newest_id = from.within("newest entry", most)?;
        let last_id = from.within("newest entry", most)?;
        let last_us = from.within("time", MOST_STREAM.0)?;
        (memory.offered, memory.dropped) = (from.within("count", most)?, from.within("count", most)?);
        memory.hole_count = from.within("count", most)?;
        let (evicted, evicted_segments) = (from.within("evicted", most)?, from.within("evicted", most)?);
        for _ in 0..from.count("number of holes", MOST_HOLES)? {
            let (from_us, to_us) = (Micros(from.within("hole", last_us)?), Micros(from.within("hole", last_us)?));
            let after = EntryId(from.within("hole", last_id)?);
            let [cause] = from.array()?;
            let cause = if cause == 1 { HoleCause::Restart } else { HoleCause::Blind };
            memory.holes.push_back(Hole { from_us, to_us, after, cause });
        }
        memory.read_recent(&mut from, last_id, last_us)?;
        let trace = from.trace(last_id, last_us)?;
        memory.read_segments(&mut from, last_id, last_us)?;
        memory.read_star(&mut from, last_id, last_us)?;
        if !from.0.is_empty() {
            return Err(SnapshotError::Length);
        }
        if config.drop.is_some() {
            memory.recent.forget_standing();
        }
        memory.recent.count_evicted(evicted);
        memory.segments.count_evicted(evicted_segments);
        (memory.newest_id, memory.last_id, memory.last_us) = (EntryId(newest_id), EntryId(last_id), Micros(last_us));
        memory.reopen(&trace);
        Ok(memory)
    }

    fn read_recent(&mut self, from: &mut Reader<'_>, last_id: u64, last_us: u64) -> Result<(), SnapshotError> {
        let windows = self.config.grid.windows();
        let (mut newest, mut newest_us) = (0, 0);
        for _ in 0..from.u32()? {
            let (id, at_us) = (from.within("entry", last_id)?, from.within("time of an entry", last_us)?);
            if id <= newest || at_us < newest_us {
                return Err(SnapshotError::Range { what: "order of entries" });
            }
            (newest, newest_us) = (id, at_us);
            let count = from.u16()?;
            from.token(&mut self.now, 0)?;
            let mut kept = PatchMask::empty();
            for _ in 0..count {
                let window = from.u16()?;
                if window >= windows || kept.contains(window) {
                    return Err(SnapshotError::Range { what: "window" });
                }
                kept.insert(window);
                from.token(&mut self.now, 1 + window)?;
            }
            self.recent.push(EntryId(id), &self.now, &kept, Micros(at_us));
        }
        Ok(())
    }

    fn read_segments(&mut self, from: &mut Reader<'_>, last_id: u64, last_us: u64) -> Result<(), SnapshotError> {
        let config = self.config.segment;
        let mut values = Tokens::new(config.tokens, self.config.token_width);
        let mut marks = alloc::vec![Mark::default(); config.tokens];
        for _ in 0..from.u32()? {
            let first = EntryId(from.within("segment", last_id)?);
            let last = EntryId(from.within("segment", last_id)?);
            let from_us = Micros(from.within("segment", last_us)?);
            let to_us = Micros(from.within("segment", last_us)?);
            let frames = from.u32()?;
            let tokens = from.count("tokens of a segment", config.tokens)?;
            if tokens == 0 || frames == 0 || first > last || from_us > to_us {
                return Err(SnapshotError::Range { what: "segment" });
            }
            for (row, mark) in marks.iter_mut().enumerate().take(tokens) {
                from.token(&mut values, row)?;
                let position = from.u16()?;
                let (weight, offset_ms) = (from.share("weight", 1e9)?, from.u32()?);
                if position > self.config.grid.windows() {
                    return Err(SnapshotError::Range { what: "window" });
                }
                *mark = Mark { scale: values.scales[row], position: position as u16, weight, offset_ms };
            }
            let trace = from.trace(last_id, last_us)?;
            let segment =
                Segment { frames, tokens, trace, ..Segment::of((first, from_us), (last, to_us), marks[0].scale) };
            let width = self.config.token_width;
            self.segments.put_back(&segment, &marks[..tokens], &values.bytes[..tokens * width]);
        }
        Ok(())
    }

    fn read_star(&mut self, from: &mut Reader<'_>, last_id: u64, last_us: u64) -> Result<(), SnapshotError> {
        for _ in 0..from.u32()? {
            let frames = from.within("centroid", u64::MAX >> 16)?;
            let from_us = Micros(from.within("centroid", last_us)?);
            let to_us = Micros(from.within("centroid", last_us)?);
            let representative = EntryId(from.within("centroid", last_id)?);
            let representative_frames = from.within("centroid", frames)?;
            from.token(&mut self.now, 0)?;
            let trace = from.trace(last_id, last_us)?;
            let scale = self.now.scales[0];
            let centroid = Centroid { frames, from_us, to_us, representative, representative_frames, scale, trace };
            self.star.add(&centroid, self.now.row(0));
        }
        Ok(())
    }

    /// Begins the scene that was going on again.
    fn reopen(&mut self, trace: &Trace) {
        let closed = self.segments.held().next_back().map_or(EntryId(0), |segment| segment.last);
        let Self { recent, open, now, .. } = self;
        for entry in recent.held().filter(|entry| entry.id > closed) {
            let mut kept = PatchMask::empty();
            now.set(0, recent.token(entry.start));
            for token in entry.windows() {
                let window = recent.position(token);
                now.set(1 + window, recent.token(token));
                kept.insert(window);
            }
            open.add(entry.id, entry.captured_us, now, &kept);
        }
        if !open.is_empty() {
            open.trace_mut().merge(trace);
        }
    }
}

impl Tokens {
    fn set(&mut self, row: usize, (bytes, scale): (&[i8], f32)) {
        self.bytes[row * self.width..][..self.width].copy_from_slice(bytes);
        self.scales[row] = scale;
    }
}

/// What must be the same in the memory that was saved and that which is restored.
fn shape(config: &MemoryConfig) -> [(&'static str, u64); 2] {
    [("the width of a token", config.token_width as u64), ("the number of windows", config.grid.windows() as u64)]
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u16(&mut self, value: usize) {
        self.0.extend_from_slice(&(value as u16).to_le_bytes());
    }

    fn u32(&mut self, value: usize) {
        self.0.extend_from_slice(&(value as u32).to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn f32(&mut self, value: f32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn token(&mut self, (bytes, scale): (&[i8], f32)) {
        self.f32(scale);
        self.0.extend(bytes.iter().map(|byte| byte.cast_unsigned()));
    }

    fn trace(&mut self, trace: &Trace) {
        self.u8(trace.peaks().count() as u8);
        for peak in trace.peaks() {
            self.u16(usize::from(peak.sentence));
            self.f32(peak.probability);
            self.u64(peak.at_us.0);
            self.u64(peak.entry.0);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], SnapshotError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(SnapshotError::Length)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(SnapshotError::Length)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn u16(&mut self) -> Result<usize, SnapshotError> {
        Ok(usize::from(u16::from_le_bytes(self.array()?)))
    }

    fn u32(&mut self) -> Result<u32, SnapshotError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, SnapshotError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number from 0 to `most`.
    fn share(&mut self, what: &'static str, most: f32) -> Result<f32, SnapshotError> {
        let value = f32::from_le_bytes(self.array()?);
        if (0.0..=most).contains(&value) { Ok(value) } else { Err(SnapshotError::Range { what }) }
    }

    fn within(&mut self, what: &'static str, most: u64) -> Result<u64, SnapshotError> {
        let value = self.u64()?;
        if value <= most { Ok(value) } else { Err(SnapshotError::Range { what }) }
    }

    fn count(&mut self, what: &'static str, most: usize) -> Result<usize, SnapshotError> {
        let count = self.u32()? as usize;
        if count <= most { Ok(count) } else { Err(SnapshotError::Range { what }) }
    }

    fn token(&mut self, to: &mut Tokens, row: usize) -> Result<(), SnapshotError> {
        to.scales[row] = self.share("scale", MOST_SCALE)?;
        let bytes = self.bytes(to.width)?;
        let row = &mut to.bytes[row * to.width..][..to.width];
        row.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte.cast_signed());
        Ok(())
    }

    fn trace(&mut self, last_id: u64, last_us: u64) -> Result<Trace, SnapshotError> {
        let mut trace = Trace::new();
        let [count] = self.array()?;
        for _ in 0..count {
            let (sentence, probability) = (self.u16()? as u16, self.share("probability", 1.0)?);
            let (at_us, entry) = (self.within("time of a sentence", last_us)?, self.within("entry", last_id)?);
            trace.note(Peak { sentence, probability, at_us: Micros(at_us), entry: EntryId(entry) });
        }
        Ok(trace)
    }
}
