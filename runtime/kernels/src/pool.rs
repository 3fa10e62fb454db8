//! Attention with a constant query, kept as (maximum, sum, weighted sum) of runs of rows.
//!
//! A run is computed anew when one of its rows changed, from the norms and scores that its other rows have still, and runs
//! are merged in order. Sums are never updated by a difference, so nothing drifts, and what was computed in part equals what
//! is computed whole, bit for bit.

use crate::aligned::Aligned;
use crate::dot::Dot;
use crate::isa::{Isa, for_each_isa};
use crate::math::{self, LANES};
use crate::rows::Norm;

/// Softmax of some rows in parts: weight of a row = `exp(score - maximum)`.
#[derive(Clone, Debug)]
pub(crate) struct Triples {
    heads: usize,
    d: usize,
    /// `[runs][heads]`
    maximum: Vec<f32>,
    /// `[runs][heads]`
    sum: Vec<f32>,
    /// `[runs][heads][d]`
    weighted: Aligned<f32>,
}

impl Triples {
    pub fn new(runs: usize, heads: usize, d: usize) -> Self {
        Self {
            heads,
            d,
            maximum: vec![0.0; runs * heads],
            sum: vec![0.0; runs * heads],
            weighted: Aligned::zeros(runs * heads * d),
        }
    }

    /// Bytes that they hold.
    pub fn bytes(&self) -> usize {
        4 * (self.maximum.len() + self.sum.len() + self.weighted.len())
    }

    fn run_mut(&mut self, run: usize) -> Triple<'_> {
        let (heads, all) = (self.heads, self.heads * self.d);
        Triple {
            maximum: &mut self.maximum[run * heads..][..heads],
            sum: &mut self.sum[run * heads..][..heads],
            weighted: &mut self.weighted[run * all..][..all],
        }
    }

    /// Copies a run within.
    pub fn repeat(&mut self, from: usize, to: usize) {
        let (heads, all) = (self.heads, self.heads * self.d);
        self.maximum.copy_within(from * heads..(from + 1) * heads, to * heads);
        self.sum.copy_within(from * heads..(from + 1) * heads, to * heads);
        self.weighted.copy_within(from * all..(from + 1) * all, to * all);
    }

    /// Merges `runs`, in their order, into run `to` of `into`.
    pub fn merge(&self, isa: Isa, runs: &[usize], into: &mut Self, to: usize) {
        merge(isa, self, runs, &mut into.run_mut(to));
    }

    /// The weighted sum of all `runs` over their sum, `[heads][d]`.
    pub fn context(&self, isa: Isa, runs: &[usize], out: &mut [f32]) {
        context(isa, self, runs, out);
    }
}

/// One run.
struct Triple<'a> {
    maximum: &'a mut [f32],
    sum: &'a mut [f32],
    weighted: &'a mut [f32],
}

/// What is known of a run's rows from the frame before, but for those that are fresh.
struct Known<'a> {
    fresh: &'a [u8],
    norms: &'a mut [Norm],
    /// `[heads][block]`
    scores: &'a mut [f32],
}

/// Runs of rows under constant queries.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// `[heads][d]`
    keys: Aligned<f32>,
    heads: usize,
    d: usize,
    /// Rows of a run.
    block: usize,
    triples: Triples,
    order: Vec<usize>,
    /// Of each row.
    norms: Vec<Norm>,
    /// `[runs][heads][block]`
    scores: Vec<f32>,
    /// `[block][d]`
    normed: Aligned<f32>,
    /// `[block]`
    weights: Vec<f32>,
}

impl Pool {
    /// `keys` `[heads][d]`, for `rows` rows in runs of `block`.
    pub fn new(keys: &[f32], heads: usize, rows: usize, block: usize) -> Self {
        let d = keys.len() / heads;
        let runs = rows.div_ceil(block);
        Self {
            keys: keys.into(),
            heads,
            d,
            block,
            triples: Triples::new(runs, heads, d),
            order: (0..runs).collect(),
            norms: vec![Norm::default(); runs * block],
            scores: vec![0.0; runs * heads * block],
            normed: Aligned::zeros(block * d),
            weights: vec![0.0; block],
        }
    }

    /// Bytes that it holds besides the keys.
    pub fn bytes(&self) -> usize {
        let values = 2 * self.norms.len() + self.scores.len() + self.normed.len() + self.weights.len();
        self.triples.bytes() + 8 * self.order.len() + 4 * values
    }

    /// Computes the runs of `x`, `[rows][d]`, in which a row is fresh; whether there were any.
    pub fn update(&mut self, isa: Isa, x: &[f32], fresh: &[u8]) -> bool {
        let mut any = false;
        let Self { keys, heads, block, norms, scores, normed, weights, .. } = self;
        let known = norms.chunks_exact_mut(*block).zip(scores.chunks_exact_mut(*heads * *block));
        let runs = x.chunks(*block * self.d).zip(fresh.chunks(*block)).zip(known).enumerate();
        for (run, ((x, fresh), (norms, scores))) in runs.filter(|(_, ((_, fresh), _))| fresh.iter().any(|f| *f != 0)) {
            any = true;
            let known = Known { fresh, norms, scores };
            pool(isa, x, keys, *heads, known, normed, weights, &mut self.triples.run_mut(run));
        }
        any
    }

    /// All runs in one, as run `to` of `into`.
    pub fn merge(&self, isa: Isa, into: &mut Triples, to: usize) {
        self.triples.merge(isa, &self.order, into, to);
    }

    /// The context of all runs, `[heads][d]`.
    pub fn context(&self, isa: Isa, out: &mut [f32]) {
        self.triples.context(isa, &self.order, out);
    }
}

for_each_isa! {
    fn pool(
        x: &[f32],
        keys: &[f32],
        heads: usize,
        known: Known<'_>,
        normed: &mut [f32],
        weights: &mut [f32],
        to: &mut Triple<'_>,
    ) = pool_body
}

#[inline(always)]
fn pool_body<A: Dot>(
    x: &[f32],
    keys: &[f32],
    heads: usize,
    known: Known<'_>,
    normed: &mut [f32],
    weights: &mut [f32],
    to: &mut Triple<'_>,
) {
    let d = keys.len() / heads;
    let count = x.len() / d;
    let (normed, weights) = (&mut normed[..count * d], &mut weights[..count]);
    let Known { fresh, norms, scores } = known;
    let block = scores.len() / heads;
    // Loops apart from one another: in one, the compiler keeps the lanes of a sum in memory.
    for ((norm, x), fresh) in norms.iter_mut().zip(x.chunks_exact(d)).zip(fresh) {
        if *fresh != 0 {
            *norm = Norm::of(x);
        }
    }
    for ((to, x), norm) in normed.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(norms) {
        norm.apply(x, to);
    }
    for head in 0..heads {
        let key = &keys[head * d..][..d];
        let scores = &mut scores[head * block..][..count];
        let mut maximum = f32::NEG_INFINITY;
        for ((score, row), fresh) in scores.iter_mut().zip(normed.chunks_exact(d)).zip(fresh) {
            if *fresh != 0 {
                *score = math::dot(key, row);
            }
        }
        for score in &*scores {
            maximum = if *score > maximum { *score } else { maximum };
        }
        for (w, score) in weights.iter_mut().zip(&*scores) {
            *w = math::exp(score - maximum);
        }
        to.maximum[head] = maximum;
        to.sum[head] = weights.iter().fold(0.0, |sum, w| sum + w);
        weighted_sum(weights, normed, d, &mut to.weighted[head * d..][..d]);
    }
}

/// `sum_i weights[i] * rows[i]`, `[d]`.
#[inline(always)]
pub(crate) fn weighted_sum(weights: &[f32], rows: &[f32], d: usize, out: &mut [f32]) {
    let mut at = 0;
    while at + 4 * LANES <= d {
        some_channels::<{ 4 * LANES }>(weights, rows, d, at, out);
        at += 4 * LANES;
    }
    while at + LANES <= d {
        some_channels::<LANES>(weights, rows, d, at, out);
        at += LANES;
    }
    while at < d {
        some_channels::<1>(weights, rows, d, at, out);
        at += 1;
    }
}

#[inline(always)]
fn some_channels<const C: usize>(weights: &[f32], rows: &[f32], d: usize, at: usize, out: &mut [f32]) {
    let mut sum = [0.0; C];
    for (weight, row) in weights.iter().zip(rows.chunks_exact(d)) {
        let row = row[at..].first_chunk::<C>().expect("every row should have d channels");
        for c in 0..C {
            sum[c] = weight.mul_add(row[c], sum[c]);
        }
    }
    out[at..at + C].copy_from_slice(&sum);
}

for_each_isa! {
    fn merge(triples: &Triples, runs: &[usize], to: &mut Triple<'_>) = merge_body
}

#[inline(always)]
fn merge_body<A: Dot>(triples: &Triples, runs: &[usize], to: &mut Triple<'_>) {
    let d = triples.d;
    for head in 0..triples.heads {
        let merged = merge_head(triples, runs, head, &mut to.weighted[head * d..][..d]);
        (to.maximum[head], to.sum[head]) = merged;
    }
}

/// One head of all `runs`: the weighted sum into `out`, `[d]`, and (maximum, sum).
#[inline(always)]
fn merge_head(triples: &Triples, runs: &[usize], head: usize, out: &mut [f32]) -> (f32, f32) {
    let Triples { heads, d, .. } = *triples;
    let maximum = runs.iter().map(|run| triples.maximum[run * heads + head]).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    out.fill(0.0);
    for run in runs {
        let share = math::exp(triples.maximum[run * heads + head] - maximum);
        sum = share.mul_add(triples.sum[run * heads + head], sum);
        math::add_scaled(out, share, &triples.weighted[(run * heads + head) * d..][..d]);
    }
    (maximum, sum)
}

for_each_isa! {
    fn context(triples: &Triples, runs: &[usize], out: &mut [f32]) = context_body
}

#[inline(always)]
fn context_body<A: Dot>(triples: &Triples, runs: &[usize], out: &mut [f32]) {
    for (head, out) in out.chunks_exact_mut(triples.d).enumerate().take(triples.heads) {
        let (_, sum) = merge_head(triples, runs, head, out);
        let whole = 1.0 / sum;
        for v in out.iter_mut() {
            *v *= whole;
        }
    }
}
