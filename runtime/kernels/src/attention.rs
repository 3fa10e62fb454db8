//! Attention of a few hundred tokens with one another, or of one with all the others.

use crate::aligned::Aligned;
use crate::dot::Dot;
use crate::isa::for_each_isa;
use crate::math::{self, LANES};

/// Queries that are asked together, so that a key once loaded serves all of them.
const TOGETHER: usize = 4;

/// Which tokens ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queries {
    /// All of them.
    All,
    /// The last one: where its answer is all that is read.
    Last,
}

/// Room for the keys and values of one head, and for the weights of some queries.
#[derive(Clone, Debug)]
pub struct AttentionScratch {
    live: Vec<u32>,
    asking: Vec<u32>,
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
            asking: Vec::with_capacity(s),
            keys: Aligned::zeros(dh * padded),
            values: Aligned::zeros(s * dh),
            weights: Aligned::zeros(TOGETHER * padded),
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let lists = self.live.capacity() + self.asking.capacity();
        4 * (lists + self.keys.len() + self.values.len() + self.weights.len())
    }
}

for_each_isa! {
    /// `softmax(q k^T / sqrt(dh)) v` of each head. `qkv` is `[s][3][heads][dh]`; keys whose `live` is 0 have no weight.
    /// `out` is `[s][heads * dh]`, of which rows that are not live are left, or one row for the last.
    ///
    /// # Panics
    /// If a slice is not of its size, or the scratch is for fewer tokens.
    pub fn attention(
        qkv: &[f32],
        live: &[u8],
        heads: usize,
        queries: Queries,
        scratch: &mut AttentionScratch,
        out: &mut [f32],
    ) = body
}

#[inline(always)]
fn body<A: Dot>(
    qkv: &[f32],
    live: &[u8],
    heads: usize,
    queries: Queries,
    scratch: &mut AttentionScratch,
    out: &mut [f32],
) {
    let s = live.len();
    let (row, d) = (qkv.len() / s, qkv.len() / s / 3);
    let dh = d / heads;
    assert!(qkv.len() == s * 3 * heads * dh, "queries, keys and values of every token");
    let AttentionScratch { live: keys_at, asking, keys, values, weights } = scratch;
    keys_at.clear();
    keys_at.extend((0..s as u32).filter(|at| live[*at as usize] != 0));
    asking.clear();
    match queries {
        Queries::All => asking.extend(&*keys_at),
        Queries::Last => asking.push(s as u32 - 1),
    }
    let out_rows = if queries == Queries::All { s } else { 1 };
    assert!(out.len() == out_rows * d, "one row a query");
    let (count, padded) = (keys_at.len(), keys_at.len().next_multiple_of(LANES));
    assert!(keys.len() >= dh * padded && values.len() >= count * dh, "the scratch should have room");
    let scale = 1.0 / (dh as f32).sqrt();
    let (keys, values) = (&mut keys[..dh * padded], &mut values[..count * dh]);
    keys.fill(0.0);
    for head in 0..heads {
        // Keys are turned, so that 16 of them lie side by side.
        for (j, at) in keys_at.iter().enumerate() {
            let token = &qkv[*at as usize * row..][..row];
            for (c, key) in token[d + head * dh..][..dh].iter().enumerate() {
                keys[c * padded + j] = *key;
            }
            values[j * dh..][..dh].copy_from_slice(&token[2 * d + head * dh..][..dh]);
        }
        for asking in asking.chunks(TOGETHER) {
            let some = Some { qkv, row, head, dh, scale, count, keys, values };
            let mut rows = [0; TOGETHER];
            for (to, at) in rows.iter_mut().zip(asking) {
                *to = if queries == Queries::All { *at as usize } else { 0 };
            }
            macro_rules! ask {
                ($n:literal) => {
                    ask::<$n>(&some, std::array::from_fn(|i| asking[i] as usize), weights, &rows, out, d)
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

/// One head's keys and values.
struct Some<'a> {
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
fn ask<const N: usize>(
    some: &Some<'_>,
    queries: [usize; N],
    weights: &mut [f32],
    rows: &[usize; TOGETHER],
    out: &mut [f32],
    d: usize,
) {
    let Some { qkv, row, head, dh, scale, count, keys, values } = *some;
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
        let weights = &mut weights[i * padded..][..padded];
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
        *whole = 1.0 / math::sum_of(sum);
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
                    let out = &mut out[rows[i] * d + head * dh + at..][..$c];
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
