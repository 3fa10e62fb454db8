//! GSTRA (global spatio-temporal relationship aggregator): one learned query over the patches of the last four frames.

use crate::isa::Isa;
use crate::linear::{Act, Input, Linear, Scratch, linear};
use crate::pool::{Pool, Triples};

/// Frames that it sees.
const FRAMES: usize = 4;

/// Step 3 of STAB, over a sliding window. Weights as in `models/OPS.md`.
#[derive(Clone, Debug)]
pub struct Gstra {
    weights: std::sync::Arc<[Linear; 4]>,
    pool: Pool,
    /// The last frames, the newest at `frames % 4`.
    ring: Triples,
    frames: usize,
    /// Frames on end on which nothing was fresh.
    quiet: usize,
    heads: usize,
    rows: usize,
    d: usize,
    context: Vec<f32>,
    mixed: Vec<f32>,
    g1: Vec<f32>,
    inner: Vec<f32>,
    scratch: Scratch,
}

impl Gstra {
    /// `keys` `[heads][d]`; `None` if the sizes do not go together.
    pub fn new(
        rows: usize,
        block: usize,
        heads: usize,
        keys: &[f32],
        v: Linear,
        out: Linear,
        up: Linear,
        down: Linear,
    ) -> Option<Self> {
        let d = out.n();
        let chained = out.k() == d && up.k() == d && down.k() == up.n() && down.n() == d;
        let single = [&out, &up, &down].iter().all(|linear| linear.groups() == 1);
        let by_head = v.groups() == heads && v.k() == d && heads * v.n() == d;
        if !chained || !single || !by_head || keys.len() != heads * d || block == 0 || rows == 0 {
            return None;
        }
        let scratch = Scratch::for_any([&v, &out, &up, &down]);
        Some(Self {
            pool: Pool::new(keys, heads, rows, block),
            ring: Triples::new(FRAMES, heads, d),
            frames: 0,
            quiet: 0,
            heads,
            rows,
            d,
            context: vec![0.0; heads * d],
            mixed: vec![0.0; d],
            g1: vec![0.0; d],
            inner: vec![0.0; up.n()],
            weights: [v, out, up, down].into(),
            scratch,
        })
    }

    /// Rows of a frame.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Width d.
    pub const fn width(&self) -> usize {
        self.d
    }

    /// Multiply-adds of a frame of which every patch changed.
    pub fn macs(&self) -> u64 {
        (2 * self.rows * self.heads * self.d) as u64 + self.weights.iter().map(Linear::macs).sum::<u64>()
    }

    /// Bytes of what it remembers and works in.
    pub fn state_bytes(&self) -> usize {
        let vectors = self.context.len() + self.mixed.len() + self.g1.len() + self.inner.len();
        self.pool.bytes() + self.ring.bytes() + 4 * vectors + self.scratch.bytes()
    }

    /// Bytes of weights.
    pub fn weight_bytes(&self) -> usize {
        self.weights.iter().map(Linear::bytes).sum::<usize>() + 4 * self.heads * self.d
    }

    /// Forgets every frame.
    pub fn reset(&mut self) {
        (self.frames, self.quiet) = (0, 0);
    }

    /// One frame: `x` `[patches][d]`, of which the `fresh` rows differ from the frame before. Writes `g`, `[d]`, and gives
    /// true; or leaves it, because nothing moved on the frames that it sees, and gives false.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub fn step(&mut self, isa: Isa, x: &[f32], fresh: &[u8], g: &mut [f32]) -> bool {
        assert!(x.len() == self.rows * self.d && fresh.len() == self.rows && g.len() == self.d, "of the plan's sizes");
        let (newest, last) = (self.frames % FRAMES, (self.frames + FRAMES - 1) % FRAMES);
        self.frames += 1;
        if self.pool.update(isa, x, fresh) {
            self.quiet = 0;
            self.pool.merge(isa, &mut self.ring, newest);
        } else {
            self.quiet += 1;
            // Four frames alike, as on the frame before.
            if self.quiet >= FRAMES {
                return false;
            }
            self.ring.repeat(last, newest);
        }
        // Oldest first, so that the sum is the same whichever place of the ring a frame lies in.
        let seen = self.frames.min(FRAMES);
        let mut order = [0; FRAMES];
        for i in 0..seen {
            order[i] = (self.frames - seen + i) % FRAMES;
        }
        self.ring.context(isa, &order[..seen], &mut self.context);

        let [v, out, up, down] = &*self.weights;
        let (one, scratch) = (&[0][..], &mut self.scratch);
        linear(isa, v, Input::Rows(&self.context), one, one, Act::None, None, scratch, &mut self.mixed);
        linear(isa, out, Input::Rows(&self.mixed), one, one, Act::None, None, scratch, &mut self.g1);
        linear(isa, up, Input::Normed(&self.g1), one, one, Act::QuickGelu, None, scratch, &mut self.inner);
        linear(isa, down, Input::Rows(&self.inner), one, one, Act::None, Some(&self.g1), scratch, g);
        true
    }
}
