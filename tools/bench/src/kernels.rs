//! The W8A8 product of every set of instructions, beside what the CPU can do at best.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ocelli_kernels::{Act, Input, Isa, Linear, Scratch, linear};

use crate::machine::{caches, holder};
use crate::peak::{self, Line};

/// `(m, k, n)`: patch embedding, LSTE, projector, narrator, LSD; a few rows, as where little moved; one row, as in GSTRA, and
/// two of larger models.
pub const SHAPES: [(usize, usize, usize); 13] = [
    (256, 588, 192),
    (256, 192, 128),
    (65, 192, 512),
    (65, 512, 192),
    (129, 192, 576),
    (129, 576, 192),
    (64, 192, 192),
    (16, 192, 192),
    (16, 512, 512),
    (1, 192, 768),
    (1, 768, 192),
    (1, 1024, 1024),
    (1, 4096, 4096),
];

/// Floats of a cache line.
const LINE: usize = size_of::<Line>() / 4;

/// Values of a patch: in STAB these come as pixels, the others as floats that are quantized first.
const PATCH_VALUES: usize = 588;

/// One product by one set of instructions: the best of all rounds, with peaks measured in between.
#[derive(Clone, Debug)]
pub struct Product {
    /// The set.
    pub isa: &'static str,
    /// Its dot product; nothing for plain Rust.
    pub instruction: Option<&'static str>,
    /// `[m, k] x [k, n]`
    pub shape: (usize, usize, usize),
    /// Time of one product, quantizing its rows included.
    pub us: f64,
    /// Time where its rows are bytes already.
    pub us_of_bytes: f64,
    /// Of the instruction on registers alone.
    pub peak_gops: Option<f64>,
    /// The smallest cache that the weights fit into.
    pub level: String,
    /// Of a loop that reads at least as many bytes as the weights have, again and again, and does nothing else.
    pub peak_gb_per_s: f64,
}

impl Product {
    /// G operations a second; a multiply-add is two.
    pub fn gops(&self) -> f64 {
        self.operations() / self.us / 1e3
    }

    /// GB of weights a second.
    pub fn gb_per_s(&self) -> f64 {
        self.weight_bytes() / self.us / 1e3
    }

    /// Percent of what arithmetic or reading, whichever is slower here, would allow.
    pub fn efficiency(&self) -> Option<f64> {
        self.efficiency_at(self.us)
    }

    /// The same of the product alone, without quantizing its rows.
    pub fn efficiency_of_bytes(&self) -> Option<f64> {
        self.efficiency_at(self.us_of_bytes)
    }

    fn efficiency_at(&self, us: f64) -> Option<f64> {
        let arithmetic_us = self.operations() / self.peak_gops? / 1e3;
        let reading_us = self.weight_bytes() / self.peak_gb_per_s / 1e3;
        Some(100.0 * arithmetic_us.max(reading_us) / us)
    }

    fn operations(&self) -> f64 {
        let (m, k, n) = self.shape;
        2.0 * (m * k * n) as f64
    }

    fn weight_bytes(&self) -> f64 {
        let (_, k, n) = self.shape;
        (k * n) as f64
    }
}

/// All shapes by all sets, slowest set first; `rounds` times round, `each` long for each product in each round.
pub fn products(shapes: &[(usize, usize, usize)], rounds: usize, each: Duration) -> Vec<Product> {
    let levels = caches();
    let isas = Isa::available();
    let mut works: Vec<Work> = shapes.iter().zip(1..).map(|(shape, seed)| Work::new(*shape, seed)).collect();
    let mut sizes: Vec<usize> =
        shapes.iter().map(|(_, k, n)| k * n).flat_map(|bytes| [bytes, holder(&levels, bytes).probe_bytes]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let probes: Vec<Vec<Line>> =
        sizes.iter().map(|bytes| vec![Line([1; 8]); bytes.div_ceil(size_of::<Line>())]).collect();

    let mut dots = vec![None; isas.len()];
    let mut reads = vec![0.0_f64; probes.len()];
    let mut times = vec![vec![[f64::INFINITY; 2]; shapes.len()]; isas.len()];
    for _ in 0..rounds {
        for (read, probe) in reads.iter_mut().zip(&probes) {
            *read = read.max(peak::read(probe));
        }
        for (isa, (dot, times)) in isas.iter().zip(dots.iter_mut().zip(&mut times)) {
            for (work, times) in works.iter_mut().zip(times) {
                let now = peak::dot(*isa);
                *dot = now.map(|(name, gops)| (name, dot.map_or(gops, |(_, best): (_, f64)| best.max(gops))));
                for (rows, time) in [Rows::AsInStab, Rows::Bytes].into_iter().zip(times) {
                    *time = time.min(work.best_us(*isa, rows, each));
                }
            }
        }
    }
    let mut products = Vec::new();
    for (isa, (dot, times)) in isas.iter().zip(dots.iter().zip(&times)) {
        for (shape, [us, us_of_bytes]) in shapes.iter().zip(times) {
            let bytes = shape.1 * shape.2;
            let as_large = sizes.iter().zip(&reads).filter(|(size, _)| **size >= bytes);
            products.push(Product {
                isa: isa.name(),
                instruction: dot.map(|(name, _)| name),
                shape: *shape,
                us: *us,
                us_of_bytes: *us_of_bytes,
                peak_gops: dot.map(|(_, gops)| gops),
                level: holder(&levels, bytes).name.clone(),
                peak_gb_per_s: as_large.fold(0.0, |best, (_, read)| best.max(*read)),
            });
        }
    }
    products
}

/// What the rows of a product come as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// Pixels where they are patches, and floats otherwise.
    AsInStab,
    /// Pixels, with which there is nothing to quantize.
    Bytes,
}

/// A product and its operands.
pub(crate) struct Work {
    linear: Linear,
    rows: Vec<u32>,
    pixels: Vec<u8>,
    values: Vec<f32>,
    scratch: Scratch,
    out: Vec<f32>,
}

impl Work {
    pub(crate) fn new((m, k, n): (usize, usize, usize), seed: u64) -> Self {
        let mut random = Random(seed);
        let weights: Vec<i8> = (0..n.div_ceil(16) * k.div_ceil(4) * 64).map(|_| random.byte().max(-127)).collect();
        let linear =
            Linear::new(1, k, n, &weights, &vec![1e-3; n], &vec![0.1; n]).expect("the sizes should go together");
        Self {
            rows: (0..m as u32).collect(),
            pixels: (0..m * k).map(|_| random.byte().cast_unsigned()).collect(),
            values: (0..m * k + LINE).map(|_| f32::from(random.byte()) / 64.0).collect(),
            scratch: Scratch::for_any([&linear]),
            out: vec![0.0; m * n + LINE],
            linear,
        }
    }

    pub(crate) fn run_as_in_stab(&mut self, isa: Isa) {
        self.run(isa, Rows::AsInStab);
    }

    fn run(&mut self, isa: Isa, come: Rows) {
        let Self { linear: weights, rows, pixels, values, scratch, out } = self;
        // They begin at a cache line, as the buffers between the parts of STAB do.
        let values = &values[values.as_ptr().align_offset(size_of::<Line>())..];
        let at = out.as_ptr().align_offset(size_of::<Line>());
        let out = &mut out[at..];
        let bytes = come == Rows::Bytes || weights.k() == PATCH_VALUES;
        let input = if bytes { Input::Pixels(pixels) } else { Input::Rows(values) };
        linear(isa, weights, input, rows, rows, Act::None, None, scratch, out);
        black_box(out);
    }

    /// The best of some groups of runs, each long enough for the clock.
    fn best_us(&mut self, isa: Isa, come: Rows, each: Duration) -> f64 {
        let time = |work: &mut Self, times: u32| {
            let start = Instant::now();
            (0..times).for_each(|_| work.run(isa, come));
            start.elapsed().as_secs_f64() / f64::from(times) * 1e6
        };
        let once = time(self, 2);
        let times = (50.0 / once).clamp(1.0, 1e4) as u32;
        let end = Instant::now() + each;
        let mut best = once;
        while Instant::now() < end {
            best = best.min(time(self, times));
        }
        best
    }
}

/// `SplitMix64`: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> i8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 56) as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_its_figures() {
        let products = products(&[(3, 20, 33), (1, PATCH_VALUES, 16)], 1, Duration::from_millis(1));
        assert_eq!(products.len(), 2 * Isa::available().len());
        for product in products {
            assert!(product.us > 0.0 && product.us_of_bytes > 0.0 && product.peak_gb_per_s > 0.0, "{product:?}");
            assert!(product.gops() > 0.0 && product.gb_per_s() > 0.0, "{product:?}");
            for efficiency in [product.efficiency(), product.efficiency_of_bytes()] {
                assert_eq!(efficiency.is_some(), product.isa != "portable", "{product:?}");
                assert!(efficiency.is_none_or(|percent| percent > 0.0), "{product:?}");
            }
        }
    }
}
