//! FSRA (frame-wise spatial relationship aggregator): one learned query over the windows of a frame.

use crate::isa::Isa;
use crate::linear::{Act, Input, Linear, Scratch, linear};
use crate::pool::Pool;

/// Step 6 of STAB. Weights as in `models/OPS.md`.
#[derive(Clone, Debug)]
pub struct Fsra {
    weights: std::sync::Arc<[Linear; 2]>,
    pool: Pool,
    heads: usize,
    rows: usize,
    d: usize,
    context: Vec<f32>,
    mixed: Vec<f32>,
    scratch: Scratch,
}

impl Fsra {
    /// `keys` `[heads][d]`; `None` if the sizes do not go together.
    pub fn new(rows: usize, block: usize, heads: usize, keys: &[f32], v: Linear, out: Linear) -> Option<Self> {
        let d = out.n();
        let by_head = v.groups() == heads && v.k() == d && heads * v.n() == d;
        if !by_head || out.groups() != 1 || out.k() != d || keys.len() != heads * d || block == 0 || rows == 0 {
            return None;
        }
        let scratch = Scratch::for_any([&v, &out]);
        Some(Self {
            pool: Pool::new(keys, heads, rows, block),
            heads,
            rows,
            d,
            context: vec![0.0; heads * d],
            mixed: vec![0.0; d],
            weights: [v, out].into(),
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

    /// Multiply-adds of a frame of which every window changed.
    pub fn macs(&self) -> u64 {
        (2 * self.rows * self.heads * self.d) as u64 + self.weights.iter().map(Linear::macs).sum::<u64>()
    }

    /// Bytes of what it remembers and works in.
    pub fn state_bytes(&self) -> usize {
        self.pool.bytes() + 4 * (self.context.len() + self.mixed.len()) + self.scratch.bytes()
    }

    /// Bytes of weights.
    pub fn weight_bytes(&self) -> usize {
        self.weights.iter().map(Linear::bytes).sum::<usize>() + 4 * self.heads * self.d
    }

    /// One frame: `y` `[windows][d]`, of which the `fresh` rows differ from the frame before. Writes `f`, `[d]`, and gives
    /// true; or leaves it and gives false.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub fn step(&mut self, isa: Isa, y: &[f32], fresh: &[u8], f: &mut [f32]) -> bool {
        assert!(y.len() == self.rows * self.d && fresh.len() == self.rows && f.len() == self.d, "of the plan's sizes");
        if !self.pool.update(isa, y, fresh) {
            return false;
        }
        self.pool.context(isa, &mut self.context);
        let [v, out] = &*self.weights;
        let (one, scratch) = (&[0][..], &mut self.scratch);
        linear(isa, v, Input::Rows(&self.context), one, one, Act::None, None, scratch, &mut self.mixed);
        linear(isa, out, Input::Rows(&self.mixed), one, one, Act::None, None, scratch, f);
        true
    }
}
