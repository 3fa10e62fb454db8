//! Fusion of the frame's two vectors, and the projector to the width of the head.

use crate::aligned::Aligned;
use crate::isa::Isa;
use crate::linear::{Act, Input, Linear, Scratch, linear};

/// Rows that go through the projector together.
const CHUNK: usize = 32;

/// Steps 7 to 9 of STAB. Weights as in `models/OPS.md`.
#[derive(Clone, Debug)]
pub struct Project {
    weights: std::sync::Arc<[Linear; 3]>,
    share: Vec<f32>,
    d: usize,
    chosen: Vec<u32>,
    order: Vec<u32>,
    fused: Vec<f32>,
    frame: Vec<f32>,
    /// `[CHUNK][hidden]`
    inner: Aligned<f32>,
    scratch: Scratch,
}

impl Project {
    /// `share` `[d]`, the part of FSRA's vector; `None` if the sizes do not go together.
    pub fn new(share: &[f32], frame: Linear, up: Linear, down: Linear) -> Option<Self> {
        let d = frame.n();
        let chained = frame.k() == d && up.k() == d && down.k() == up.n() && share.len() == d;
        if !chained || [&frame, &up, &down].iter().any(|linear| linear.groups() != 1) {
            return None;
        }
        let scratch = Scratch::for_any([&frame, &up, &down]);
        Some(Self {
            share: share.into(),
            d,
            chosen: Vec::new(),
            order: (0..CHUNK as u32).collect(),
            fused: vec![0.0; d],
            frame: vec![0.0; d],
            inner: Aligned::zeros(CHUNK * up.n()),
            weights: [frame, up, down].into(),
            scratch,
        })
    }

    /// Width H of a token.
    pub fn token_width(&self) -> usize {
        self.weights[2].n()
    }

    /// Width d.
    pub const fn width(&self) -> usize {
        self.d
    }

    /// Multiply-adds of a frame of which all of so many windows changed.
    pub fn macs(&self, windows: usize) -> u64 {
        let [frame, up, down] = &*self.weights;
        frame.macs() + (windows as u64 + 1) * (up.macs() + down.macs())
    }

    /// Bytes of what it remembers and works in.
    pub fn state_bytes(&self) -> usize {
        let lists = self.chosen.capacity() + self.order.len();
        4 * (self.fused.len() + self.frame.len() + self.inner.len() + lists) + self.scratch.bytes()
    }

    /// Bytes of weights.
    pub fn weight_bytes(&self) -> usize {
        self.weights.iter().map(Linear::bytes).sum::<usize>() + 4 * self.d
    }

    /// One frame: `g` and `f` `[d]`, of which at least one differs from the frame before if `frame_fresh`; `y`
    /// `[windows][d]` with its `fresh` rows. `tokens`, `[1 + windows][H]`, and `changed`, `[1 + windows]`, are written where
    /// they differ from the frame before.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub fn step(
        &mut self,
        isa: Isa,
        (g, f, frame_fresh): (&[f32], &[f32], bool),
        (y, fresh): (&[f32], &[u8]),
        tokens: &mut [f32],
        changed: &mut [u8],
    ) {
        let (d, width) = (self.d, self.token_width());
        let windows = fresh.len();
        assert!(g.len() == d && f.len() == d && y.len() == windows * d, "one row a window");
        assert!(tokens.len() == (windows + 1) * width && changed.len() == windows + 1, "one row a token");
        let [frame, up, down] = &*self.weights;
        let (one, scratch) = (&[0][..], &mut self.scratch);
        changed[0] = u8::from(frame_fresh);
        changed[1..].copy_from_slice(fresh);
        if frame_fresh {
            for (i, fused) in self.fused.iter_mut().enumerate() {
                *fused = (1.0 - self.share[i]) * g[i] + self.share[i] * f[i];
            }
            linear(isa, frame, Input::Normed(&self.fused), one, one, Act::None, None, scratch, &mut self.frame);
            linear(isa, up, Input::Rows(&self.frame), one, one, Act::Gelu, None, scratch, &mut self.inner);
            linear(isa, down, Input::Rows(&self.inner), one, one, Act::None, None, scratch, tokens);
        }
        self.chosen.clear();
        self.chosen.extend(fresh.iter().enumerate().filter(|(_, f)| **f != 0).map(|(window, _)| window as u32));
        let tokens = &mut tokens[width..];
        for windows in self.chosen.chunks(CHUNK) {
            let rows = &self.order[..windows.len()];
            linear(isa, up, Input::Rows(y), windows, rows, Act::Gelu, None, scratch, &mut self.inner);
            linear(isa, down, Input::Rows(&self.inner), rows, windows, Act::None, None, scratch, tokens);
        }
    }
}
