//! Patch embedding, LSTE (local spatio-temporal encoding) and DPE (positional convolution), of what changed.
//!
//! A patch that changed has a new row here for three frames (the taps of LSTE), and its neighbours for five (those of
//! the convolution after it). After that everything is as it was on the frame before, and is left alone.

use crate::aligned::Aligned;
use crate::conv::{Frames, TAPS, dpe};
use crate::dot::Dot;
use crate::isa::{Isa, for_each_isa};
use crate::linear::{Act, Input, Linear, Scratch, linear};

/// Frames that LSTE and DPE each see.
const REACH: usize = 3;

/// Frames since a patch changed, beyond which nothing of it moves: LSTE sees `REACH - 1` frames back, and DPE as many more.
const SETTLED: u8 = 2 * (REACH as u8 - 1) + 1;

/// Steps 1, 2 and 4 of STAB. Weights as in `models/OPS.md`.
#[derive(Clone, Debug)]
pub struct Lste {
    weights: std::sync::Arc<Weights>,
    side: usize,
    /// Frames since each patch changed.
    age: Vec<u8>,
    /// Frames seen since the start.
    frames: usize,
    /// `[patches][d]`
    x0: Aligned<f32>,
    /// The last frames, the newest at `frames % 3`: `[patches][r]` and `[patches][d]` each.
    z: [Aligned<f32>; REACH],
    x1: [Aligned<f32>; REACH],
    /// `[patches][r]`
    mixed: Aligned<f32>,
    changed: Vec<u32>,
    moving: Vec<u32>,
    reached: Vec<u32>,
    scratch: Scratch,
}

#[derive(Debug)]
struct Weights {
    patch: Linear,
    reduce: Linear,
    taps: Aligned<f32>,
    expand: Linear,
    dpe_w: Aligned<f32>,
    dpe_b: Aligned<f32>,
}

impl Lste {
    /// `taps` `[3][r]`, `dpe_w` `[27][d]`, `dpe_b` `[d]`; `None` if the sizes do not go together.
    pub fn new(
        side: usize,
        patch: Linear,
        reduce: Linear,
        taps: &[f32],
        expand: Linear,
        dpe_w: &[f32],
        dpe_b: &[f32],
    ) -> Option<Self> {
        let (d, r) = (patch.n(), reduce.n());
        let chained = reduce.k() == d && expand.k() == r && expand.n() == d && patch.k().is_multiple_of(4);
        let single = [&patch, &reduce, &expand].iter().all(|linear| linear.groups() == 1);
        let sizes = taps.len() == REACH * r && dpe_w.len() == TAPS * d && dpe_b.len() == d;
        if !chained || !single || !sizes || side < 2 {
            return None;
        }
        let scratch = Scratch::for_any([&patch, &reduce, &expand]);
        let weights = Weights { patch, reduce, taps: taps.into(), expand, dpe_w: dpe_w.into(), dpe_b: dpe_b.into() };
        Some(Self {
            weights: weights.into(),
            side,
            age: Vec::new(),
            frames: 0,
            x0: Aligned::zeros(0),
            z: std::array::from_fn(|_| Aligned::zeros(0)),
            x1: std::array::from_fn(|_| Aligned::zeros(0)),
            mixed: Aligned::zeros(0),
            changed: Vec::new(),
            moving: Vec::new(),
            reached: Vec::new(),
            scratch,
        })
    }

    /// Room for a stream, made at its first frame, so that what has not run yet holds weights alone.
    fn make_room(&mut self) {
        let (patches, d, r) = (self.patches(), self.width(), self.weights.reduce.n());
        self.age = vec![0; patches];
        self.x0 = Aligned::zeros(patches * d);
        self.z = std::array::from_fn(|_| Aligned::zeros(patches * r));
        self.x1 = std::array::from_fn(|_| Aligned::zeros(patches * d));
        self.mixed = Aligned::zeros(patches * r);
        for list in [&mut self.changed, &mut self.moving, &mut self.reached] {
            list.reserve_exact(patches);
        }
    }

    /// Patches of a frame.
    pub const fn patches(&self) -> usize {
        self.side * self.side
    }

    /// Bytes of a patch.
    pub fn patch_bytes(&self) -> usize {
        self.weights.patch.k()
    }

    /// Width d.
    pub fn width(&self) -> usize {
        self.weights.patch.n()
    }

    /// Multiply-adds of a frame of which every patch changed.
    pub fn macs(&self) -> u64 {
        let w = &self.weights;
        let row = w.patch.macs() + w.reduce.macs() + w.taps.len() as u64 + w.expand.macs() + w.dpe_w.len() as u64;
        self.patches() as u64 * row
    }

    /// Bytes of what it remembers and works in, from the first frame on.
    pub fn state_bytes(&self) -> usize {
        let values = (REACH + 1) * (self.width() + self.weights.reduce.n());
        self.patches() * (4 * values + 3 * 4 + 1) + self.scratch.bytes()
    }

    /// Bytes of weights.
    pub fn weight_bytes(&self) -> usize {
        let w = &self.weights;
        let tables = 4 * (w.taps.len() + w.dpe_w.len() + w.dpe_b.len());
        w.patch.bytes() + w.reduce.bytes() + w.expand.bytes() + tables
    }

    /// Forgets every frame.
    pub fn reset(&mut self) {
        self.frames = 0;
        self.z.iter_mut().chain(&mut self.x1).for_each(|ring| ring.fill(0.0));
    }

    /// One frame: `patches` `[patches][patch_bytes]`, of which those with `changed` differ from the frame before (all of
    /// them on the first frame). `x2`, `x3`, `[patches][d]`, and `fresh` are written where they differ from the frame
    /// before, and must be those of that frame.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub fn step(&mut self, isa: Isa, patches: &[u8], changed: &[u8], x2: &mut [f32], x3: &mut [f32], fresh: &mut [u8]) {
        let (count, d, r) = (self.patches(), self.width(), self.weights.reduce.n());
        assert!(patches.len() == count * self.patch_bytes(), "all patches");
        assert!(changed.len() == count && fresh.len() == count, "one mark a patch");
        assert!(x2.len() == count * d && x3.len() == count * d, "one row a patch");
        if self.age.is_empty() {
            self.make_room();
        }
        self.mark(changed, fresh);
        let newest = self.frames % REACH;
        let (last, oldest) = ((newest + 2) % REACH, (newest + 1) % REACH);
        self.frames += 1;

        let weights = &*self.weights;
        let (rows, scratch) = (&self.changed[..], &mut self.scratch);
        linear(isa, &weights.patch, Input::Pixels(patches), rows, rows, Act::None, None, scratch, &mut self.x0);
        let x0 = Input::Rows(&self.x0);
        linear(isa, &weights.reduce, x0, rows, rows, Act::None, None, scratch, &mut self.z[newest]);
        // Rows that changed one or two frames ago: the ring still holds what was before that.
        let kept = |age: u8, from: u8, below: u8| age >= from && age < below;
        repeat(&mut self.z, last, newest, r, &self.age, |age| kept(age, 1, REACH as u8));
        let frames = [&self.z[oldest][..], &self.z[last], &self.z[newest]];
        mix(isa, frames, &weights.taps, &self.moving, &mut self.mixed);
        let (rows, mixed) = (&self.moving[..], Input::Rows(&self.mixed));
        linear(isa, &weights.expand, mixed, rows, rows, Act::None, Some(&self.x0), scratch, &mut self.x1[newest]);
        repeat(&mut self.x1, last, newest, d, &self.age, |age| kept(age, REACH as u8, SETTLED));
        let x1 = [&self.x1[oldest][..], &self.x1[last], &self.x1[newest]];
        let frames = Frames { x1, x0: &self.x0, side: self.side, d };
        dpe(isa, frames, &weights.dpe_w, &weights.dpe_b, &self.reached, x2, x3);
    }

    /// Which rows are to be computed: those that changed, those that LSTE still sees move, and those that DPE reaches.
    fn mark(&mut self, changed: &[u8], fresh: &mut [u8]) {
        let first = self.frames == 0;
        for (age, changed) in self.age.iter_mut().zip(changed) {
            *age = if first || *changed != 0 { 0 } else { age.saturating_add(1) };
        }
        let age = &self.age;
        let list = |to: &mut Vec<u32>, of: &dyn Fn(usize) -> bool| {
            to.clear();
            to.extend((0..age.len()).filter(|row| of(*row)).map(|row| row as u32));
        };
        list(&mut self.changed, &|row| age[row] == 0);
        list(&mut self.moving, &|row| age[row] < REACH as u8);
        fresh.fill(0);
        for row in (0..age.len()).filter(|row| age[*row] < SETTLED) {
            let (y, x) = (row / self.side, row % self.side);
            for y in y.saturating_sub(1)..(y + 2).min(self.side) {
                fresh[y * self.side + x.saturating_sub(1)..y * self.side + (x + 2).min(self.side)].fill(1);
            }
        }
        list(&mut self.reached, &|row| fresh[row] != 0);
    }
}

/// Copies rows of width `width` from one frame of the ring to another, by their age.
fn repeat(ring: &mut [Aligned<f32>; REACH], from: usize, to: usize, width: usize, age: &[u8], of: impl Fn(u8) -> bool) {
    let Ok([from, to]) = ring.get_disjoint_mut([from, to]) else { unreachable!("two frames of three") };
    for row in (0..age.len()).filter(|row| of(age[*row])) {
        let row = row * width..(row + 1) * width;
        to[row.clone()].copy_from_slice(&from[row]);
    }
}

for_each_isa! {
    /// `sum_i taps[i] * frames[i]` of `rows`; `taps` `[3][r]`, oldest first.
    fn mix(frames: [&[f32]; REACH], taps: &[f32], rows: &[u32], out: &mut [f32]) = mix_body
}

#[inline(always)]
fn mix_body<A: Dot>(frames: [&[f32]; REACH], taps: &[f32], rows: &[u32], out: &mut [f32]) {
    let r = taps.len() / REACH;
    for &row in rows {
        let cut = |values| -> &[f32] { &<&[f32]>::clone(&values)[row as usize * r..][..r] };
        let (a, b, c) = (cut(frames[0]), cut(frames[1]), cut(frames[2]));
        let (ta, tb, tc) = (&taps[..r], &taps[r..2 * r], &taps[2 * r..3 * r]);
        for (i, out) in out[row as usize * r..][..r].iter_mut().enumerate() {
            *out = c[i].mul_add(tc[i], b[i].mul_add(tb[i], a[i] * ta[i]));
        }
    }
}
