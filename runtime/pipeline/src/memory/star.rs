//! The abstract tier: what was seen since the beginning, in a fixed number of weighted centroids (Flash-VStream's STAR memory).
//!
//! A centroid is the mean frame token of the segments that it stands for, with their weight, their time, and the entry that
//! represents it: the entry itself and not its place in some list, and the weight is carried on (the released code of the paper
//! loses both). Where there is no room the two most alike become one. The paper's k-means would let the weight of a year of
//! evenings draw in what was seen once; the distance alone keeps what is unlike all else, which is what one asks for later.

use alloc::vec;
use alloc::vec::Vec;

use ocelli_types::{EntryId, Micros};

use super::token::{add, cosine, quantize};
use super::trace::Trace;

/// One centroid, without its values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Centroid {
    /// Frames that it stands for.
    pub frames: u64,
    pub from_us: Micros,
    pub to_us: Micros,
    /// The newest entry of the heaviest segment in it.
    pub representative: EntryId,
    /// Frames of that segment.
    pub representative_frames: u64,
    pub scale: f32,
    pub trace: Trace,
}

/// The tier.
#[derive(Debug)]
pub(super) struct Star {
    most: usize,
    width: usize,
    /// Oldest start first; one more than `most` while two are merged.
    centroids: Vec<Centroid>,
    /// `[most + 1][token_width]`
    storage: Vec<i8>,
    /// The same before it was quantized: a heavy centroid moves by less than a step of int8 at a time.
    means: Vec<f32>,
}

impl Star {
    pub fn new(most: usize, width: usize) -> Self {
        Self {
            most,
            width,
            centroids: Vec::with_capacity(most + 1),
            storage: vec![0; (most + 1) * width],
            means: vec![0.0; (most + 1) * width],
        }
    }

    pub const fn bytes(most: usize, width: usize) -> usize {
        (most + 1) * (size_of::<Centroid>() + width * (1 + size_of::<f32>()))
    }

    /// Takes in a segment by its mean frame token; the two most alike are merged where there is no room.
    pub fn add(&mut self, centroid: &Centroid, token: &[i8]) {
        let at = self.centroids.len();
        self.centroids.push(*centroid);
        self.storage[at * self.width..][..self.width].copy_from_slice(token);
        let mean = &mut self.means[at * self.width..][..self.width];
        mean.fill(0.0);
        add(mean, token, centroid.scale);
        if self.centroids.len() > self.most {
            self.merge_most_alike();
        }
    }

    /// Centroids and their values, oldest start first.
    pub fn held(&self) -> impl ExactSizeIterator<Item = (&Centroid, &[i8])> {
        self.centroids.iter().zip(self.storage.chunks_exact(self.width))
    }

    fn merge_most_alike(&mut self) {
        let mut best = (f32::NEG_INFINITY, 0, 1);
        for a in 0..self.centroids.len() {
            for b in a + 1..self.centroids.len() {
                let like = cosine(self.token(a), self.token(b));
                if like > best.0 {
                    best = (like, a, b);
                }
            }
        }
        self.merge(best.1, best.2);
    }

    /// `b` goes into `a`, which is before it.
    fn merge(&mut self, a: usize, b: usize) {
        let (one, other) = (self.centroids[a], self.centroids[b]);
        let frames = one.frames + other.frames;
        let share = (other.frames as f64 / frames as f64) as f32;
        let (before, from_b) = self.means.split_at_mut(b * self.width);
        let mean = &mut before[a * self.width..][..self.width];
        for (mean, other) in mean.iter_mut().zip(&*from_b) {
            *mean += share * (other - *mean);
        }
        let scale = quantize(mean, &mut self.storage[a * self.width..][..self.width]);
        let heavier = if other.representative_frames > one.representative_frames { other } else { one };
        let mut trace = one.trace;
        trace.merge(&other.trace);
        self.centroids[a] = Centroid {
            frames,
            from_us: one.from_us.min(other.from_us),
            to_us: one.to_us.max(other.to_us),
            representative: heavier.representative,
            representative_frames: heavier.representative_frames,
            scale,
            trace,
        };
        self.centroids.remove(b);
        self.storage.copy_within((b + 1) * self.width.., b * self.width);
        self.means.copy_within((b + 1) * self.width.., b * self.width);
    }

    fn token(&self, at: usize) -> &[i8] {
        &self.storage[at * self.width..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::trace::Peak;

    fn seen(star: &mut Star, direction: [i8; 2], id: u64, frames: u64) {
        let mut trace = Trace::new();
        trace.note(Peak { sentence: 0, probability: 0.5, at_us: Micros(id), entry: EntryId(id) });
        let centroid = Centroid {
            frames,
            from_us: Micros(id),
            to_us: Micros(id + 1),
            representative: EntryId(id),
            representative_frames: frames,
            scale: 1.0,
            trace,
        };
        star.add(&centroid, &direction);
    }

    #[test]
    fn what_was_seen_once_stays_apart_from_years_of_evenings() {
        let mut star = Star::new(4, 2);
        seen(&mut star, [0, 100], 1, 10);
        for id in 2..2000 {
            seen(&mut star, [100, (id % 9) as i8], id, 5000);
        }
        assert_eq!(star.held().len(), 4);
        let frames: u64 = star.held().map(|(centroid, _)| centroid.frames).sum();
        assert_eq!(frames, 10 + 1998 * 5000, "no frame is lost");
        let (needle, token) = star.held().next().expect("the oldest");
        assert_eq!((needle.representative, needle.frames, token), (EntryId(1), 10, &[0, 100][..]));
    }

    #[test]
    fn a_centroid_is_the_mean_of_its_frames_and_names_its_heaviest_segment() {
        let mut star = Star::new(1, 2);
        seen(&mut star, [100, 0], 5, 1);
        seen(&mut star, [0, 100], 9, 3);
        let (centroid, token) = star.held().next().expect("one");
        assert_eq!((centroid.representative, centroid.frames), (EntryId(9), 4));
        assert_eq!((centroid.from_us, centroid.to_us), (Micros(5), Micros(10)));
        let value = |byte: i8| f32::from(byte) * centroid.scale;
        assert!((value(token[0]) - 25.0).abs() < 0.5 && (value(token[1]) - 75.0).abs() < 0.5);
        assert_eq!(centroid.trace.peaks().count(), 1);
    }
}
