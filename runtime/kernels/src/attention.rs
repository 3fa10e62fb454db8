//! Attention of a few hundred tokens with one another, or of one with all the others.

use crate::dot::Dot;
use crate::isa::for_each_isa;
use crate::math;

/// Which tokens ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queries {
    /// All of them.
    All,
    /// The last one: where its answer is all that is read.
    Last,
}

for_each_isa! {
    /// `softmax(q k^T / sqrt(dh)) v` of each head. `qkv` is `[s][3][heads][dh]`, read where it lies; keys whose `live` is 0
    /// have no weight. `out` is `[s][heads * dh]`, rows that are not live are left, or one row for the last. `scores` has
    /// room for `s` values.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub fn attention(
        qkv: &[f32],
        live: &[u8],
        heads: usize,
        queries: Queries,
        scores: &mut [f32],
        out: &mut [f32],
    ) = body
}

#[inline(always)]
fn body<A: Dot>(qkv: &[f32], live: &[u8], heads: usize, queries: Queries, scores: &mut [f32], out: &mut [f32]) {
    let s = live.len();
    let row = qkv.len() / s;
    let d = row / 3;
    let dh = d / heads;
    assert!(qkv.len() == s * 3 * heads * dh && scores.len() >= s, "queries, keys and values of every token");
    let scale = 1.0 / (dh as f32).sqrt();
    let (first, out_rows) = match queries {
        Queries::All => (0, s),
        Queries::Last => (s - 1, 1),
    };
    assert!(out.len() == out_rows * d, "one row a query");
    for head in 0..heads {
        for (query, out) in (first..s).zip(out.chunks_exact_mut(d)) {
            if live[query] == 0 && queries == Queries::All {
                continue;
            }
            let asked = &qkv[query * row + head * dh..][..dh];
            let mut top = f32::NEG_INFINITY;
            for key in (0..s).filter(|key| live[*key] != 0) {
                let score = math::dot(asked, &qkv[key * row + d + head * dh..][..dh]) * scale;
                scores[key] = score;
                top = if score > top { score } else { top };
            }
            let mut sum = 0.0;
            let out = &mut out[head * dh..][..dh];
            out.fill(0.0);
            for key in (0..s).filter(|key| live[*key] != 0) {
                let weight = math::exp(scores[key] - top);
                sum += weight;
                math::add_scaled(out, weight, &qkv[key * row + 2 * d + head * dh..][..dh]);
            }
            let whole = 1.0 / sum;
            out.iter_mut().for_each(|v| *v *= whole);
        }
    }
}
