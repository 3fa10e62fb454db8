//! Attention of a few hundred tokens with one another, or of one with all the others.

use crate::aligned::Aligned;
use crate::dot::Dot;
use crate::isa::for_each_isa;
use crate::math::{self, LANES};

/// Queries that are asked together, so that a key once loaded serves all of them.
const TOGETHER: usize = 4;

/// Room for the keys and values of one head, and for the weights of some queries.
#[derive(Clone, Debug)]
pub struct AttentionScratch {
    live: Vec<u32>,
    /// `[dh][keys to the next 16]`
    keys: Aligned<f32>,
    /// `[keys][dh]`
    values: Aligned<f32>,
    /// `[TOGETHER][keys to the next 16]`
    weights: Aligned<f32>,
}

impl AttentionScratch {
    /// Room for `s` tokens with heads of width `dh`.
    pub fn new(s: usize, dh: usize) -> Self {
        let padded = s.next_multiple_of(LANES);
        Self {
            live: Vec::with_capacity(s),
            keys: Aligned::zeros(dh * padded),
            values: Aligned::zeros(s * dh),
            weights: Aligned::zeros(TOGETHER * padded),
        }
    }

    /// Bytes that one for `s` tokens holds.
    pub const fn bytes_for(s: usize, dh: usize) -> usize {
        let padded = s.next_multiple_of(LANES);
        4 * (s + dh * padded + s * dh + TOGETHER * padded)
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        4 * (self.live.capacity() + self.keys.len() + self.values.len() + self.weights.len())
    }
}

for_each_isa! {
    /// `softmax(q k^T / sqrt(dh)) v` of each head, of all tokens with one another. `qkv` is `[s][3][heads][dh]`; keys whose
    /// `live` is 0 have no weight. `out` is `[s][heads * dh]`, of which rows that are not live are left.
    ///
    /// # Panics
    /// If a slice is not of its size, or the scratch is for fewer tokens.
    pub fn attention(
        qkv: &[f32],
        live: &[u8],
        heads: usize,
        scratch: &mut AttentionScratch,
        out: &mut [f32],
    ) = body
}

#[inline(always)]
fn body<A: Dot>(qkv: &[f32], live: &[u8], heads: usize, scratch: &mut AttentionScratch, out: &mut [f32]) {
    let s = live.len();
    let (row, d) = (qkv.len() / s, qkv.len() / s / 3);
    let dh = d / heads;
    assert!(qkv.len() == s * 3 * heads * dh && out.len() == s * d, "queries, keys, values and answers of every token");
    let AttentionScratch { live: at, keys, values, weights } = scratch;
    at.clear();
    at.extend((0..s as u32).filter(|token| live[*token as usize] != 0));
    let (count, padded) = (at.len(), at.len().next_multiple_of(LANES));
    assert!(keys.len() >= dh * padded && values.len() >= count * dh, "the scratch should have room");
    let scale = 1.0 / (dh as f32).sqrt();
    let (keys, values) = (&mut keys[..dh * padded], &mut values[..count * dh]);
    keys.fill(0.0);
    for head in 0..heads {
        // Keys are turned, so that 16 of them lie side by side: all queries share that.
        for (j, token) in at.iter().enumerate() {
            let token = &qkv[*token as usize * row..][..row];
            for (c, key) in token[d + head * dh..][..dh].iter().enumerate() {
                keys[c * padded + j] = *key;
            }
            values[j * dh..][..dh].copy_from_slice(&token[2 * d + head * dh..][..dh]);
        }
        for asking in at.chunks(TOGETHER) {
            let head_of = OneHead { qkv, row, head, dh, scale, count, keys, values };
            macro_rules! ask {
                ($n:literal) => {
                    ask::<$n>(&head_of, std::array::from_fn(|i| asking[i] as usize), weights, out, d)
                };
            }
            match asking.len() {
                1 => ask!(1),
                2 => ask!(2),
                3 => ask!(3),
                _ => ask!(4),
            }
        }
    }
}

/// Rows of keys or values, wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// All of them, and what lies between.
    pub values: &'a [f32],
    /// Values from one row to the next.
    pub stride: usize,
}

for_each_isa! {
    /// `softmax(q k^T / sqrt(dh)) v` of one query, `[heads][dh]`, as in a step of decoding: keys and values, `[heads][dh]` a
    /// row, are read once and where they lie, nothing is packed. Rows whose `live` is 0 have no weight. `out` is
    /// `[heads][dh]`.
    ///
    /// # Panics
    /// If a slice is not of its size, or the scratch is for fewer tokens.
    pub fn attend_one(
        query: &[f32],
        keys: Rows<'_>,
        values: Rows<'_>,
        live: &[u8],
        heads: usize,
        scratch: &mut AttentionScratch,
        out: &mut [f32],
    ) = one_body
}

#[inline(always)]
fn one_body<A: Dot>(
    query: &[f32],
    keys: Rows<'_>,
    values: Rows<'_>,
    live: &[u8],
    heads: usize,
    scratch: &mut AttentionScratch,
    out: &mut [f32],
) {
    let (d, dh) = (query.len(), query.len() / heads);
    assert!(d == heads * dh && out.len() == d, "one answer a query");
    let AttentionScratch { live: at, weights, .. } = scratch;
    at.clear();
    at.extend((0..live.len() as u32).filter(|token| live[*token as usize] != 0));
    let padded = at.len().next_multiple_of(LANES);
    let scale = 1.0 / (dh as f32).sqrt();
    let weights = &mut weights[..padded];
    for head in 0..heads {
        let asked = &query[head * dh..][..dh];
        for (weight, token) in weights.iter_mut().zip(&*at) {
            *weight = math::dot(asked, &keys.values[*token as usize * keys.stride + head * dh..][..dh]) * scale;
        }
        let whole = 1.0 / soften(weights, at.len()).1;
        let out = &mut out[head * dh..][..dh];
        out.fill(0.0);
        for (weight, token) in weights.iter().zip(&*at) {
            math::add_scaled(out, *weight, &values.values[*token as usize * values.stride + head * dh..][..dh]);
        }
        for v in out.iter_mut() {
            *v *= whole;
        }
    }
}

/// Turns the first `count` scores into `exp(score - maximum)` and the rest, to the next 16, into 0; gives the
/// maximum and their sum.
#[inline(always)]
pub(crate) fn soften(weights: &mut [f32], count: usize) -> (f32, f32) {
    weights[count..].fill(f32::NEG_INFINITY);
    let (weights, _) = weights.as_chunks_mut::<LANES>();
    let mut top = [f32::NEG_INFINITY; LANES];
    for weights in &*weights {
        for l in 0..LANES {
            top[l] = if weights[l] > top[l] { weights[l] } else { top[l] };
        }
    }
    let top = math::largest_of(top);
    let mut sum = [0.0; LANES];
    for weights in weights {
        for w in weights.iter_mut() {
            *w = math::exp(*w - top);
        }
        for l in 0..LANES {
            sum[l] += weights[l];
        }
    }
    (top, math::sum_of(sum))
}

/// One head's keys and values.
struct OneHead<'a> {
    qkv: &'a [f32],
    row: usize,
    head: usize,
    dh: usize,
    scale: f32,
    count: usize,
    keys: &'a [f32],
    values: &'a [f32],
}

/// Answers `N` queries.
#[inline(always)]
fn ask<const N: usize>(one: &OneHead<'_>, queries: [usize; N], weights: &mut [f32], out: &mut [f32], d: usize) {
    let OneHead { qkv, row, head, dh, scale, count, keys, values } = *one;
    let padded = count.next_multiple_of(LANES);
    let asked: [&[f32]; N] = std::array::from_fn(|i| &qkv[queries[i] * row + head * dh..][..dh]);
    for at in (0..padded).step_by(LANES) {
        let mut scores = [[0.0; LANES]; N];
        for (c, keys) in keys.chunks_exact(padded).enumerate() {
            let key = keys[at..].first_chunk::<LANES>().expect("keys should come by 16");
            for i in 0..N {
                let query = asked[i][c] * scale;
                for l in 0..LANES {
                    scores[i][l] = query.mul_add(key[l], scores[i][l]);
                }
            }
        }
        for (i, scores) in scores.iter().enumerate() {
            weights[i * padded + at..][..LANES].copy_from_slice(scores);
        }
    }
    let mut whole = [0.0; N];
    for (i, whole) in whole.iter_mut().enumerate() {
        *whole = 1.0 / soften(&mut weights[i * padded..][..padded], count).1;
    }
    let mut at = 0;
    while at < dh {
        macro_rules! mix {
            ($c:expr) => {{
                let mut sums = [[0.0; $c]; N];
                for (j, value) in values.chunks_exact(dh).enumerate() {
                    let value = value[at..].first_chunk::<{ $c }>().expect("values should be dh wide");
                    for i in 0..N {
                        let weight = weights[i * padded + j];
                        for c in 0..$c {
                            sums[i][c] = weight.mul_add(value[c], sums[i][c]);
                        }
                    }
                }
                for i in 0..N {
                    let out = &mut out[queries[i] * d + head * dh + at..][..$c];
                    for c in 0..$c {
                        out[c] = sums[i][c] * whole[i];
                    }
                }
                at += $c;
            }};
        }
        if at + LANES <= dh {
            mix!(LANES);
        } else {
            mix!(1);
        }
    }
}
