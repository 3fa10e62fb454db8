//! Random numbers, weights and a whole STAB made of them.

#![allow(dead_code, reason = "no test needs all of it")]

use ocelli_kernels::{Fsra, Gstra, Isa, Linear, Lsd, Lste, Project};

/// `SplitMix64`: the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Around 0, with a heavy tail now and then, as activations have.
    pub fn value(&mut self) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0;
        if self.below(50) == 0 { unit * 20.0 } else { unit }
    }

    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.value()).collect()
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Random weights of so many groups, padded as a packer would.
    pub fn linear(&mut self, groups: usize, k: usize, n: usize) -> Linear {
        let (blocks, depth) = (n.div_ceil(16), k.div_ceil(4));
        let mut w = vec![0; groups * blocks * depth * 64];
        for group in 0..groups {
            for column in 0..n {
                for row in 0..k {
                    let at = ((group * blocks + column / 16) * depth + row / 4) * 64 + column % 16 * 4 + row % 4;
                    w[at] = (self.below(255) as u8).wrapping_sub(127).cast_signed();
                }
            }
        }
        let s: Vec<f32> =
            (0..groups * n).map(|_| (0.5 + self.value().abs().min(1.0)) / (127.0 * (k as f32).sqrt())).collect();
        let b: Vec<f32> = (0..groups * n).map(|_| 0.1 * self.value()).collect();
        Linear::new(groups, k, n, &w, &s, &b).expect("the sizes should go together")
    }
}

/// Sizes of a STAB.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub side: usize,
    pub heads: usize,
    pub dh: usize,
    pub r: usize,
    pub hidden: usize,
    pub h: usize,
}

/// The five parts and what lies between them.
#[derive(Clone, Debug)]
pub struct Stab {
    isa: Isa,
    lste: Lste,
    gstra: Gstra,
    lsd: Lsd,
    fsra: Fsra,
    project: Project,
    pub x2: Vec<f32>,
    pub x3: Vec<f32>,
    pub fresh: Vec<u8>,
    pub g: Vec<f32>,
    pub y: Vec<f32>,
    pub touched: Vec<u8>,
    pub f: Vec<f32>,
    pub tokens: Vec<f32>,
    pub changed: Vec<u8>,
}

impl Stab {
    pub fn new(isa: Isa, sizes: Sizes, seed: u64) -> Self {
        let Sizes { side, heads, dh, r, hidden, h } = sizes;
        let (d, patches, mut random) = (heads * dh, side * side, Random(seed));
        let windows = patches / 4;
        let expect = "the sizes should go together";
        let (patch, reduce, expand) = (random.linear(1, 588, d), random.linear(1, d, r), random.linear(1, r, d));
        let (taps, dpe_w, dpe_b) = (random.values(3 * r), random.values(27 * d), random.values(d));
        let lste = Lste::new(side, patch, reduce, &taps, expand, &dpe_w, &dpe_b).expect(expect);
        let keys = random.values(heads * d);
        let (v, out) = (random.linear(heads, d, dh), random.linear(1, d, d));
        let (up, down) = (random.linear(1, d, 4 * d), random.linear(1, 4 * d, d));
        let gstra = Gstra::new(patches, side, heads, &keys, v, out, up, down).expect(expect);
        let (q, k) = (random.linear(1, d, d), random.linear(heads, dh, d));
        let (v, out) = (random.linear(heads, d, dh), random.linear(1, d, d));
        let lsd = Lsd::new(side, heads, q, k, v, out).expect(expect);
        let keys = random.values(heads * d);
        let (v, out) = (random.linear(heads, d, dh), random.linear(1, d, d));
        let fsra = Fsra::new(windows, side / 2, heads, &keys, v, out).expect(expect);
        let share: Vec<f32> = random.values(d).iter().map(|v| v.abs().min(1.0)).collect();
        let (frame, up, down) = (random.linear(1, d, d), random.linear(1, d, hidden), random.linear(1, hidden, h));
        let project = Project::new(&share, frame, up, down).expect(expect);
        Self {
            isa,
            lste,
            gstra,
            lsd,
            fsra,
            project,
            x2: vec![0.0; patches * d],
            x3: vec![0.0; patches * d],
            fresh: vec![0; patches],
            g: vec![0.0; d],
            y: vec![0.0; windows * d],
            touched: vec![0; windows],
            f: vec![0.0; d],
            tokens: vec![0.0; (windows + 1) * h],
            changed: vec![0; windows + 1],
        }
    }

    pub fn step(&mut self, patches: &[u8], changed: &[u8]) {
        let isa = self.isa;
        self.lste.step(isa, patches, changed, &mut self.x2, &mut self.x3, &mut self.fresh);
        let moved = self.gstra.step(isa, &self.x2, &self.fresh, &mut self.g);
        self.lsd.step(isa, &self.x3, &self.fresh, &mut self.y, &mut self.touched);
        let seen = self.fsra.step(isa, &self.y, &self.touched, &mut self.f);
        let frame = (&self.g[..], &self.f[..], moved || seen);
        self.project.step(isa, frame, (&self.y, &self.touched), &mut self.tokens, &mut self.changed);
    }

    pub fn reset(&mut self) {
        self.lste.reset();
        self.gstra.reset();
    }
}
