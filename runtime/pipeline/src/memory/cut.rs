//! Scene cuts on a stream: `SceneTilling` (`VideoLLaMB`, section 3.2) in its causal form.
//!
//! The similarity of each frame token with the one before falls where a scene ends. The depth of a fall is counted from the
//! top of the slope that leads down to it; the paper also climbs the slope after it, which a stream has not seen yet. A cut is
//! a depth far above the running mean of depths.

use alloc::vec;
use alloc::vec::Vec;

use super::token::cosine;

/// The running mean and variance of depths follow by this much a frame: about half a minute at 5 frames a second.
const FOLLOW: f32 = 1.0 / 128.0;

/// Frames before the statistics are believed.
const WARM_UP: u32 = 16;

/// What counts as a cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CutConfig {
    /// Standard deviations above the mean depth. The paper has 0.5 for clips of which it keeps the deepest few; a stream that
    /// never ends must be stricter.
    pub deviations: f32,
    /// No depth below this is a cut: what the sensor's noise does to a room in which nothing happens.
    pub least_depth: f32,
    /// Frames that a scene has at least.
    pub least_frames: u32,
}

impl Default for CutConfig {
    fn default() -> Self {
        Self { deviations: 3.0, least_depth: 0.02, least_frames: 10 }
    }
}

/// Looks for cuts, frame by frame.
#[derive(Debug)]
pub(super) struct CutFinder {
    config: CutConfig,
    /// The frame token before, `[token_width]`.
    before: Vec<i8>,
    /// Frames since the cut, or the start.
    frames: u32,
    similarity: f32,
    /// Top of the slope that the similarity is on.
    top: f32,
    mean: f32,
    variance: f32,
    /// Depths that the statistics have seen.
    seen: u32,
}

impl CutFinder {
    pub fn new(config: CutConfig, width: usize) -> Self {
        Self { config, before: vec![0; width], frames: 0, similarity: 1.0, top: 1.0, mean: 0.0, variance: 0.0, seen: 0 }
    }

    pub const fn bytes(width: usize) -> usize {
        width
    }

    /// Forgets the frame before, as after a hole.
    pub fn start_over(&mut self) {
        self.frames = 0;
    }

    /// Whether a new scene begins with this frame.
    pub fn sees(&mut self, frame: &[i8]) -> bool {
        let first = self.frames == 0;
        let similarity = cosine(frame, &self.before);
        self.before.copy_from_slice(frame);
        self.frames = self.frames.saturating_add(1);
        if first {
            (self.similarity, self.top) = (1.0, 1.0);
            return false;
        }
        if similarity > self.similarity {
            self.top = similarity;
        }
        self.similarity = similarity;
        let depth = self.top - similarity;
        let CutConfig { deviations, least_depth, least_frames } = self.config;
        let limit = (self.mean + deviations * libm::sqrtf(self.variance)).max(least_depth);
        let cut = self.seen >= WARM_UP && self.frames > least_frames && depth > limit;
        let off = depth - self.mean;
        self.mean += FOLLOW * off;
        self.variance += FOLLOW * (off * off - self.variance);
        self.seen = self.seen.saturating_add(1);
        if cut {
            self.frames = 1;
            // The next fall is measured from where the new scene stands.
            self.top = similarity;
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A direction at this angle, in degrees.
    fn at(degrees: f32) -> [i8; 2] {
        let (y, x) = libm::sincosf(degrees.to_radians());
        [(100.0 * x) as i8, (100.0 * y) as i8]
    }

    fn cuts(angles: impl IntoIterator<Item = f32>) -> Vec<usize> {
        let mut finder = CutFinder::new(CutConfig::default(), 2);
        angles.into_iter().enumerate().filter(|(_, angle)| finder.sees(&at(*angle))).map(|(frame, _)| frame).collect()
    }

    #[test]
    fn a_jump_is_a_cut_and_what_follows_is_not() {
        let angles = (0..200).map(|frame| if (60..130).contains(&frame) { 50.0 } else { (frame % 3) as f32 });
        assert_eq!(cuts(angles), [60, 130]);
    }

    #[test]
    fn neither_noise_nor_a_slow_turn_is_a_cut() {
        assert!(cuts((0..1000).map(|frame| (frame * 7 % 5) as f32)).is_empty());
        assert!(cuts((0..1000).map(|frame| frame as f32 * 0.08)).is_empty());
    }

    #[test]
    fn a_scene_has_its_least_length() {
        let angles = (0..100).map(|frame| if frame >= 50 && frame % 4 < 2 { 60.0 } else { 0.0 });
        let found = cuts(angles);
        assert!(!found.is_empty() && found.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{found:?}");
    }

    #[test]
    fn after_a_hole_nothing_is_compared() {
        let mut finder = CutFinder::new(CutConfig::default(), 2);
        (0..50).for_each(|_| assert!(!finder.sees(&at(0.0))));
        finder.start_over();
        assert!(!finder.sees(&at(80.0)));
    }
}
