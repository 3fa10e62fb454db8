//! LSD (local spatial downsampling): each window of 2x2 patches becomes one token by attention.

use crate::aligned::Aligned;
use crate::dot::Dot;
use crate::isa::{Isa, for_each_isa};
use crate::linear::{Act, Input, Linear, Scratch, linear};
use crate::pool::weighted_sum;
use crate::{math, rows};

/// Patches of a window.
const PATCHES: usize = 4;

/// Windows that are computed together; what lies between the products stays in the second cache.
const CHUNK: usize = 16;

/// Step 5 of STAB. Weights as in `models/OPS.md`.
#[derive(Clone, Debug)]
pub struct Lsd {
    weights: std::sync::Arc<[Linear; 4]>,
    side: usize,
    heads: usize,
    d: usize,
    chosen: Vec<u32>,
    /// `[CHUNK]`: 0, 1, ...
    order: Vec<u32>,
    /// `[CHUNK][d]`
    mean: Aligned<f32>,
    query: Aligned<f32>,
    mixed: Aligned<f32>,
    /// `[CHUNK][4][d]`
    keys: Aligned<f32>,
    /// `[CHUNK][heads][d]`
    carried: Aligned<f32>,
    context: Aligned<f32>,
    scratch: Scratch,
}

impl Lsd {
    /// `None` if the sizes do not go together.
    pub fn new(side: usize, heads: usize, q: Linear, k: Linear, v: Linear, out: Linear) -> Option<Self> {
        let d = out.n();
        let chained = q.k() == d && q.n() == d && out.k() == d && q.groups() == 1 && out.groups() == 1;
        let by_head = [&k, &v].iter().all(|linear| linear.groups() == heads);
        let halves = heads * k.k() == d && k.n() == d && v.k() == d && heads * v.n() == d;
        if !chained || !by_head || !halves || side < 2 || !side.is_multiple_of(2) {
            return None;
        }
        let scratch = Scratch::for_any([&q, &k, &v, &out]);
        Some(Self {
            weights: [q, k, v, out].into(),
            side,
            heads,
            d,
            chosen: Vec::with_capacity(side * side / PATCHES),
            order: (0..CHUNK as u32).collect(),
            mean: Aligned::zeros(CHUNK * d),
            query: Aligned::zeros(CHUNK * d),
            mixed: Aligned::zeros(CHUNK * d),
            keys: Aligned::zeros(CHUNK * PATCHES * d),
            carried: Aligned::zeros(CHUNK * heads * d),
            context: Aligned::zeros(CHUNK * heads * d),
            scratch,
        })
    }

    /// Windows of a frame.
    pub const fn windows(&self) -> usize {
        self.side * self.side / PATCHES
    }

    /// Width d.
    pub const fn width(&self) -> usize {
        self.d
    }

    /// Multiply-adds of a frame of which every patch changed.
    pub fn macs(&self) -> u64 {
        let attention = 2 * PATCHES * self.heads * self.d;
        self.windows() as u64 * (attention as u64 + self.weights.iter().map(Linear::macs).sum::<u64>())
    }

    /// Bytes of what it remembers and works in.
    pub fn state_bytes(&self) -> usize {
        let rows = self.mean.len() + self.query.len() + self.mixed.len() + self.keys.len();
        let lists = self.chosen.capacity() + self.order.len();
        4 * (rows + self.carried.len() + self.context.len() + lists) + self.scratch.bytes()
    }

    /// Bytes of weights.
    pub fn weight_bytes(&self) -> usize {
        self.weights.iter().map(Linear::bytes).sum()
    }

    /// One frame: `x` `[patches][d]`, of which the `fresh` rows differ from the frame before. `y`, `[windows][d]`, and
    /// `touched` are written where they differ from the frame before.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub fn step(&mut self, isa: Isa, x: &[f32], fresh: &[u8], y: &mut [f32], touched: &mut [u8]) {
        let (side, d, windows) = (self.side, self.d, self.windows());
        assert!(x.len() == side * side * d && fresh.len() == side * side, "one row a patch");
        assert!(y.len() == windows * d && touched.len() == windows, "one row a window");
        self.chosen.clear();
        for (window, touched) in touched.iter_mut().enumerate() {
            let any = patches(side, window).iter().any(|patch| fresh[*patch] != 0);
            *touched = u8::from(any);
            if any {
                self.chosen.push(window as u32);
            }
        }
        let [q, k, v, out] = &*self.weights;
        for windows in self.chosen.chunks(CHUNK) {
            let (rows, scratch) = (&self.order[..windows.len()], &mut self.scratch);
            gather(isa, x, side, d, windows, &mut self.mean, &mut self.keys);
            linear(isa, q, Input::Normed(&self.mean), rows, rows, Act::None, None, scratch, &mut self.query);
            linear(isa, k, Input::Rows(&self.query), rows, rows, Act::None, None, scratch, &mut self.carried);
            attend(isa, &self.carried, &self.keys, self.heads, d, rows.len(), &mut self.context);
            linear(isa, v, Input::Rows(&self.context), rows, rows, Act::None, None, scratch, &mut self.mixed);
            linear(
                isa,
                out,
                Input::Rows(&self.mixed),
                rows,
                rows,
                Act::None,
                Some(&self.mean),
                scratch,
                &mut self.query,
            );
            for (row, window) in windows.iter().enumerate() {
                y[*window as usize * d..][..d].copy_from_slice(&self.query[row * d..][..d]);
            }
        }
    }
}

/// The four patches of a window, row-major.
fn patches(side: usize, window: usize) -> [usize; PATCHES] {
    let first = window / (side / 2) * 2 * side + window % (side / 2) * 2;
    [first, first + 1, first + side, first + side + 1]
}

for_each_isa! {
    /// Of each window its mean `[d]` and its four patches, normalized, `[4][d]`.
    fn gather(
        x: &[f32],
        side: usize,
        d: usize,
        windows: &[u32],
        mean: &mut [f32],
        keys: &mut [f32],
    ) = gather_body
}

#[inline(always)]
fn gather_body<A: Dot>(x: &[f32], side: usize, d: usize, windows: &[u32], mean: &mut [f32], keys: &mut [f32]) {
    let rooms = mean.chunks_exact_mut(d).zip(keys.chunks_exact_mut(PATCHES * d));
    for (window, (mean, keys)) in windows.iter().zip(rooms) {
        let patches = patches(side, *window as usize).map(|patch| &x[patch * d..][..d]);
        for (i, mean) in mean.iter_mut().enumerate() {
            *mean = ((patches[0][i] + patches[1][i]) + (patches[2][i] + patches[3][i])) * 0.25;
        }
        for (patch, key) in patches.iter().zip(keys.chunks_exact_mut(d)) {
            rows::normalize(patch, key);
        }
    }
}

for_each_isa! {
    /// `context[row][head] = softmax_j(carried[row][head] . keys[row][j]) keys[row]`
    fn attend(
        carried: &[f32],
        keys: &[f32],
        heads: usize,
        d: usize,
        count: usize,
        context: &mut [f32],
    ) = attend_body
}

#[inline(always)]
fn attend_body<A: Dot>(carried: &[f32], keys: &[f32], heads: usize, d: usize, count: usize, context: &mut [f32]) {
    let asked = carried.chunks_exact(d).zip(context.chunks_exact_mut(d)).take(count * heads);
    for (slot, (query, context)) in asked.enumerate() {
        let keys = &keys[slot / heads * PATCHES * d..][..PATCHES * d];
        let mut share = [0.0; PATCHES];
        for j in 0..PATCHES {
            share[j] = math::dot(query, &keys[j * d..][..d]);
        }
        let top = (share[0].max(share[1])).max(share[2].max(share[3]));
        for s in &mut share {
            *s = math::exp(*s - top);
        }
        let whole = 1.0 / ((share[0] + share[1]) + (share[2] + share[3]));
        for s in &mut share {
            *s *= whole;
        }
        weighted_sum(&share, keys, d, context);
    }
}
