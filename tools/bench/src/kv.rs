//! What the KV cache's bits cost: attention over it beside exact attention over the same keys and values.

use ocelli_kernels::{Isa, KvBits, KvCache, KvConfig, KvError, KvScratch};

/// Queries, keys and values of one layer, before RoPE: token by token, `[query heads][dh]` and `[kv heads][dh]`.
#[derive(Clone, Debug)]
pub struct KvLayer {
    /// `[tokens][query heads][dh]`
    pub queries: Vec<f32>,
    /// `[tokens][kv heads][dh]`
    pub keys: Vec<f32>,
    /// `[tokens][kv heads][dh]`
    pub values: Vec<f32>,
}

/// How far answers are from others, in L2 and relative.
#[derive(Clone, Copy, Debug)]
pub struct KvDistance {
    /// Mean over queries and heads.
    pub mean: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The root of all squared differences by that of all squared answers: small answers, of which the other two make much,
    /// count little here.
    pub pooled: f64,
}

/// One way to store keys and values, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct KvFigures {
    /// How pages are stored.
    pub bits: KvBits,
    /// Tokens of a page.
    pub page: usize,
    /// Bits of an element of pages with all that belongs to them: keys, values, both.
    pub effective_bits: [f64; 3],
    /// Beside attention in double precision over the numbers in single precision.
    pub to_single: KvDistance,
    /// The same, over the numbers in half precision.
    pub to_half: KvDistance,
    /// Tokens that fit, window and sinks included, where as many as asked fit in half precision.
    pub tokens_in_halves: usize,
    /// Tokens that were evicted meanwhile.
    pub evicted_tokens: u64,
}

/// Attends with the last `asking` tokens' queries while all tokens go through the cache, over `top_pages` pages at most, for
/// each layer. `in_halves` is a number of tokens whose bytes in half precision are the budget of
/// [`KvFigures::tokens_in_halves`].
///
/// # Errors
/// Those of the cache.
pub fn measure(
    config: &KvConfig,
    layers: &[KvLayer],
    asking: usize,
    top_pages: usize,
    in_halves: usize,
) -> Result<KvFigures, KvError> {
    let isa = Isa::detect();
    let (asked, row) = (config.query_heads * config.width, config.kv_heads * config.width);
    let mut scratch = KvScratch::new(config)?;
    let mut answer = vec![0.0; asked];
    let (mut single, mut half) = (Distances::default(), Distances::default());
    let mut evicted_tokens = 0;
    for layer in layers {
        let exact = Exact::new(config, &layer.keys, &layer.values);
        let rounded = |x: &[f32]| x.iter().map(|x| in_half(*x)).collect::<Vec<_>>();
        let halves = Exact::new(config, &rounded(&layer.keys), &rounded(&layer.values));
        let tokens = layer.keys.len() / row;
        let mut cache = KvCache::new(config)?;
        for token in 0..tokens {
            cache.push(token as u32, &layer.keys[token * row..][..row], &layer.values[token * row..][..row])?;
            let query = &layer.queries[token * asked..][..asked];
            // The queries before teach the cache what is attended to.
            cache.attend(isa, query, token as u32, top_pages, &mut scratch, &mut answer)?;
            if token + asking >= tokens {
                single.add(&answer, &exact.attend(query, token), config.width);
                half.add(&answer, &halves.attend(query, token), config.width);
            }
        }
        evicted_tokens += cache.counts().evicted_tokens;
    }
    let budget = in_halves * 2 * row * 2;
    Ok(KvFigures {
        bits: config.bits,
        page: config.page,
        effective_bits: config.effective_bits(),
        to_single: single.sum_up(),
        to_half: half.sum_up(),
        tokens_in_halves: KvConfig { bytes: budget, ..*config }.tokens(),
        evicted_tokens,
    })
}

/// Made up: keys with a few large channels and an offset a channel, slowly changing over tokens, values smaller and faster.
pub fn synthetic(config: &KvConfig, tokens: usize, seed: u64) -> KvLayer {
    let mut random = Random(seed);
    let row = config.kv_heads * config.width;
    let mut smooth = |width: usize, keep: f32, gain: &dyn Fn(usize) -> (f32, f32)| {
        let mut state: Vec<f32> = (0..width).map(|_| random.normal()).collect();
        let mut all = Vec::with_capacity(tokens * width);
        for _ in 0..tokens {
            for (c, state) in state.iter_mut().enumerate() {
                *state = keep * *state + (1.0 - keep * keep).sqrt() * random.normal();
                let (scale, offset) = gain(c);
                all.push(scale * *state + offset);
            }
        }
        all
    };
    // One channel in 16 is 6 times as large, as far from 0.
    let keys = smooth(row, 0.9, &|c| if c % 16 == 5 { (6.0, 6.0) } else { (1.0, 0.5 * (c % 3) as f32 - 0.5) });
    let values = smooth(row, 0.6, &|_| (0.3, 0.0));
    let queries =
        smooth(config.query_heads * config.width, 0.5, &|c| if c % 16 == 5 { (0.3, 0.0) } else { (1.0, 0.0) });
    KvLayer { queries, keys, values }
}

/// Attention in double precision over keys that were turned once.
struct Exact<'a> {
    config: &'a KvConfig,
    keys: Vec<f64>,
    values: Vec<f64>,
}

impl<'a> Exact<'a> {
    fn new(config: &'a KvConfig, keys: &[f32], values: &[f32]) -> Self {
        let row = config.kv_heads * config.width;
        let turned = keys.chunks(row).enumerate().flat_map(|(token, keys)| turn(config, keys, token));
        Self { config, keys: turned.collect(), values: values.iter().map(|v| f64::from(*v)).collect() }
    }

    /// The answer of the query of one token, over all up to that.
    fn attend(&self, query: &[f32], token: usize) -> Vec<f64> {
        let &KvConfig { query_heads, kv_heads, width, .. } = self.config;
        let query = turn(self.config, query, token);
        let mut out = Vec::new();
        for head in 0..query_heads {
            let at = head / (query_heads / kv_heads) * width;
            let query = &query[head * width..][..width];
            let row = |token: usize| token * kv_heads * width + at;
            let scores: Vec<f64> = (0..=token)
                .map(|token| self.keys[row(token)..][..width].iter().zip(query).map(|(k, q)| k * q).sum::<f64>())
                .map(|score| score / (width as f64).sqrt())
                .collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut sum = 0.0;
            let mut mixed = vec![0.0; width];
            for (token, score) in scores.iter().enumerate() {
                let weight = (score - most).exp();
                sum += weight;
                for (mixed, value) in mixed.iter_mut().zip(&self.values[row(token)..]) {
                    *mixed += weight * value;
                }
            }
            out.extend(mixed.iter().map(|mixed| mixed / sum));
        }
        out
    }
}

/// RoPE of some heads.
fn turn(config: &KvConfig, x: &[f32], position: usize) -> Vec<f64> {
    let half = config.width / 2;
    let mut to = vec![0.0; x.len()];
    for i in 0..half {
        let angle = position as f64 * config.rope_base.powf(-(i as f64) / half as f64);
        let (sin, cos) = angle.sin_cos();
        for (x, to) in x.chunks(2 * half).zip(to.chunks_mut(2 * half)) {
            let (a, b) = (f64::from(x[i]), f64::from(x[half + i]));
            (to[i], to[half + i]) = (a * cos - b * sin, b * cos + a * sin);
        }
    }
    to
}

/// The nearest number with the 11 bits of half precision. Its least exponent is left aside.
fn in_half(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits((bits + 0x0fff + (bits >> 13 & 1)) & !0x1fff)
}

#[derive(Debug, Default)]
struct Distances {
    relative: Vec<f64>,
    off: f64,
    all: f64,
}

impl Distances {
    fn add(&mut self, found: &[f32], wanted: &[f64], width: usize) {
        for (found, wanted) in found.chunks(width).zip(wanted.chunks(width)) {
            let off: f64 = found.iter().zip(wanted).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
            let all: f64 = wanted.iter().map(|b| b * b).sum();
            self.relative.push((off / all).sqrt());
            self.off += off;
            self.all += all;
        }
    }

    fn sum_up(mut self) -> KvDistance {
        self.relative.sort_by(f64::total_cmp);
        let count = self.relative.len();
        KvDistance {
            mean: self.relative.iter().sum::<f64>() / count as f64,
            p99: self.relative[(count * 99 / 100).min(count - 1)],
            pooled: (self.off / self.all).sqrt(),
        }
    }
}

/// `SplitMix64`, and normal numbers by a sum of 12.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocelli_kernels::Positions;

    #[test]
    fn fewer_bits_are_further_off() {
        let config = KvConfig {
            query_heads: 4,
            kv_heads: 2,
            width: 32,
            rope_base: 1e4,
            positions: Positions::AsSeen,
            bits: KvBits::Eight,
            page: 64,
            window: 64,
            sinks: 4,
            buckets: 4,
            top: 1,
            memory: 0.1,
            bytes: 1 << 20,
        };
        let layers = [synthetic(&config, 400, 1)];
        let of = |bits| measure(&KvConfig { bits, ..config }, &layers, 32, usize::MAX, 1024).expect("it should fit");
        let [eight, four, low] = [KvBits::Eight, KvBits::Four, KvBits::Low].map(of);
        assert!(eight.to_single.mean < 0.02, "{eight:?}");
        assert!(eight.to_single.mean < four.to_single.mean && four.to_single.mean < low.to_single.mean);
        assert!(eight.tokens_in_halves < four.tokens_in_halves && four.tokens_in_halves < low.tokens_in_halves);
        assert_eq!(low.evicted_tokens, 0);
    }
}
