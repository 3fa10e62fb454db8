//! One query over the cache, block by block: a block of one head is made numbers again, turned, asked and forgotten. The
//! softmax goes along (Milakov and Gimelshein 2018): what was summed up is scaled down when a larger score comes.

use super::rope::Turns;
use super::store::Store;
use super::{KvCache, KvConfig, KvError, MOST_WIDTH, Positions, check};
use crate::Isa;
use crate::aligned::Aligned;
use crate::attention::soften;
use crate::dot::Dot;
use crate::isa::for_each_isa;
use crate::math::{self, LANES};

/// Queries that are asked together, so that a key once loaded serves all of them.
const TOGETHER: usize = 4;

/// Calls a function for so many queries, as a number that the compiler knows.
macro_rules! together {
    ($count:expr, $name:ident($($arg:expr),*)) => {
        match $count {
            1 => $name::<1>($($arg),*),
            2 => $name::<2>($($arg),*),
            3 => $name::<3>($($arg),*),
            _ => $name::<TOGETHER>($($arg),*),
        }
    };
}

/// Room for one block of one head and what is summed up, shared by all layers of a model.
#[derive(Clone, Debug)]
pub struct KvScratch {
    rope_base: f64,
    turns: Turns,
    /// Turns of a block's tokens from its first: of successive ones, `[dh / 2][page]`.
    next_cos: Aligned<f32>,
    next_sin: Aligned<f32>,
    /// The same where positions have holes.
    cos: Aligned<f32>,
    sin: Aligned<f32>,
    /// First keys, `[dh][page]`, then values, `[page][dh]`.
    numbers: Aligned<f32>,
    /// `[query heads of a key head][page]`
    weights: Aligned<f32>,
    /// The query, turned to the block's first token: `[query heads][dh]`
    query: Aligned<f32>,
    /// Largest score of a head so far, and the sum of `exp(score - largest)`.
    tops: Box<[f32]>,
    sums: Box<[f32]>,
    /// The same of each block alone, `[blocks][query heads]`.
    block_tops: Box<[f32]>,
    block_sums: Box<[f32]>,
    /// Pages and how well their keys fit the query.
    ranks: Box<[(f32, u32)]>,
    is_asked: Box<[bool]>,
}

impl KvScratch {
    /// Room for one layer, or for all that differ in budget alone if `config` is that with the most pages.
    ///
    /// # Errors
    /// As [`KvConfig::check`].
    pub fn new(config: &KvConfig) -> Result<Self, KvError> {
        config.check()?;
        let &KvConfig { query_heads, width, page, .. } = config;
        let table = width / 2 * page;
        let mut made = Self {
            rope_base: config.rope_base,
            turns: Turns::new(config.rope_base, width),
            next_cos: Aligned::zeros(table),
            next_sin: Aligned::zeros(table),
            cos: Aligned::zeros(table),
            sin: Aligned::zeros(table),
            numbers: Aligned::zeros(width * page),
            weights: Aligned::zeros(query_heads / config.kv_heads * page),
            query: Aligned::zeros(query_heads * width),
            tops: vec![0.0; query_heads].into(),
            sums: vec![0.0; query_heads].into(),
            block_tops: vec![0.0; config.blocks() * query_heads].into(),
            block_sums: vec![0.0; config.blocks() * query_heads].into(),
            ranks: vec![(0.0, 0); config.pages()].into(),
            is_asked: vec![false; config.blocks()].into(),
        };
        let offsets: Vec<u16> = (0..page as u16).collect();
        fill(&made.turns, &offsets, page, &mut made.next_cos, &mut made.next_sin);
        Ok(made)
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let tables = [&self.next_cos, &self.next_sin, &self.cos, &self.sin];
        let buffers = [&self.numbers, &self.weights, &self.query];
        let sums = [&self.tops, &self.sums, &self.block_tops, &self.block_sums];
        let floats = tables.iter().chain(&buffers).map(|buffer| buffer.len()).sum::<usize>()
            + sums.iter().map(|sums| sums.len()).sum::<usize>();
        4 * floats + self.turns.bytes() + size_of_val(&*self.ranks) + self.is_asked.len()
    }
}

/// Turns by each offset, `[dh / 2][page]`.
#[inline(always)]
fn fill(turns: &Turns, offsets: &[u16], page: usize, cos: &mut [f32], sin: &mut [f32]) {
    let (mut one_cos, mut one_sin) = ([0.0; MOST_WIDTH / 2], [0.0; MOST_WIDTH / 2]);
    for (token, offset) in offsets.iter().enumerate() {
        turns.turn(u32::from(*offset), &mut one_cos, &mut one_sin);
        for (i, (cos, sin)) in cos.chunks_exact_mut(page).zip(sin.chunks_exact_mut(page)).enumerate() {
            (cos[token], sin[token]) = (one_cos[i], one_sin[i]);
        }
    }
}

impl KvCache {
    /// `softmax(q k^T / sqrt(dh)) v` of one query, `[query heads][dh]` before RoPE, over the sinks, the window, and the
    /// `top_pages` pages whose mean key fits it best (ReKV, Di et al. 2025; LiveVLM), in order of time. `usize::MAX` asks all
    /// pages, and so does any number that is not less than theirs, to the bit. `out` is `[query heads][dh]`.
    ///
    /// What each block got of the attention becomes part of its mass. Pages that were not asked keep theirs: nothing was
    /// learnt of them.
    ///
    /// # Errors
    /// [`KvError::Empty`] before the first token, [`KvError::Range`] if the query is not finite or too large,
    /// [`KvError::Position`] if it lies before the newest token. The cache is then as before, and `out` too.
    ///
    /// # Panics
    /// If a slice is not of its size, or the scratch was made for another model or fewer pages.
    pub fn attend(
        &mut self,
        isa: Isa,
        query: &[f32],
        position: u32,
        top_pages: usize,
        scratch: &mut KvScratch,
        out: &mut [f32],
    ) -> Result<(), KvError> {
        let KvConfig { query_heads, kv_heads, width, page, rope_base, .. } = self.config;
        assert!(query.len() == query_heads * width && out.len() == query.len(), "one answer a query");
        assert!(
            scratch.query.len() == query.len()
                && scratch.numbers.len() == width * page
                && scratch.weights.len() == query_heads / kv_heads * page
                && scratch.rope_base.to_bits() == rope_base.to_bits()
                && scratch.is_asked.len() >= self.config.blocks(),
            "the scratch should be for this cache"
        );
        let newest = self.newest.ok_or(KvError::Empty)?;
        check(query)?;
        let ahead = position.checked_sub(newest).ok_or(KvError::Position)?;
        attend(isa, self, query, ahead, top_pages, scratch, out);
        Ok(())
    }
}

for_each_isa! {
    /// `ahead`: from the newest token to the query.
    fn attend(
        cache: &mut KvCache,
        query: &[f32],
        ahead: u32,
        top_pages: usize,
        scratch: &mut KvScratch,
        out: &mut [f32],
    ) = body
}

#[inline(always)]
fn body<A: Dot>(
    cache: &mut KvCache,
    query: &[f32],
    ahead: u32,
    top_pages: usize,
    scratch: &mut KvScratch,
    out: &mut [f32],
) {
    let KvConfig { query_heads, width, .. } = cache.config;
    choose(cache, query, top_pages, scratch);
    let mut asked = 0;
    for block in 0..cache.blocks() {
        let (store, slot) = cache.block(block);
        asked += if scratch.is_asked[block] { store.blocks[slot].len } else { 0 };
    }
    let own = match cache.config.positions {
        Positions::AsSeen => cache.newest.unwrap_or(0) + ahead,
        // Counted from 0 over the tokens that are asked.
        Positions::Consecutive => asked - 1 + ahead,
    };
    out.fill(0.0);
    scratch.tops.fill(f32::NEG_INFINITY);
    scratch.sums.fill(0.0);
    let mut before = 0;
    for block in 0..cache.blocks() {
        if !scratch.is_asked[block] {
            continue;
        }
        let (store, slot) = cache.block(block);
        let first = match cache.config.positions {
            Positions::AsSeen => store.blocks[slot].first,
            Positions::Consecutive => before,
        };
        before += store.blocks[slot].len;
        ask_block(cache, store, slot, block, query, own - first, scratch, out);
    }
    for (out, sum) in out.chunks_exact_mut(width).zip(&*scratch.sums) {
        let whole = 1.0 / sum;
        for out in out.iter_mut() {
            *out *= whole;
        }
    }
    let memory = cache.config.memory;
    for block in 0..cache.blocks() {
        if !scratch.is_asked[block] {
            continue;
        }
        let mut share = 0.0;
        for head in 0..query_heads {
            let at = block * query_heads + head;
            let weight = math::exp(scratch.block_tops[at] - scratch.tops[head]);
            share += scratch.block_sums[at] * weight / scratch.sums[head];
        }
        let mass = cache.mass_mut(block);
        *mass += memory * (share / query_heads as f32 - *mass);
    }
}

/// Marks the blocks to ask.
#[inline(always)]
fn choose(cache: &KvCache, query: &[f32], top_pages: usize, scratch: &mut KvScratch) {
    let pages = cache.order.len();
    scratch.is_asked.fill(true);
    if top_pages >= pages {
        return;
    }
    let ranks = &mut scratch.ranks[..pages];
    for (i, (rank, slot)) in ranks.iter_mut().zip(&cache.order).enumerate() {
        *rank = (cache.pages.likeness(*slot as usize, query), i as u32);
    }
    ranks.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, page) in &ranks[top_pages..] {
        scratch.is_asked[cache.sinks.blocks.len() + *page as usize] = false;
    }
}

/// Adds one block to what is summed up. The query lies `away` positions from its first token.
#[inline(always)]
fn ask_block(
    cache: &KvCache,
    store: &Store,
    slot: usize,
    block: usize,
    query: &[f32],
    away: u32,
    scratch: &mut KvScratch,
    out: &mut [f32],
) {
    let KvConfig { query_heads, kv_heads, width, page: stride, .. } = cache.config;
    let (page, len) = (store.page, store.blocks[slot].len as usize);
    let KvScratch { turns, numbers, weights, query: turned, .. } = scratch;
    turn_query(turns, away, query, width, turned);
    let offsets = store.offsets(slot);
    let has_holes = offsets[len - 1] as usize != len - 1;
    let (cos, sin) = if has_holes && cache.config.positions == Positions::AsSeen {
        fill(turns, offsets, stride, &mut scratch.cos, &mut scratch.sin);
        (&*scratch.cos, &*scratch.sin)
    } else {
        (&*scratch.next_cos, &*scratch.next_sin)
    };
    let numbers = &mut numbers[..width * page];
    let group = query_heads / kv_heads;
    for kv_head in 0..kv_heads {
        let heads = kv_head * group..(kv_head + 1) * group;
        store.keys(slot, kv_head, numbers);
        turn_keys(numbers, page, cos, sin, stride);
        let queries = turned[heads.start * width..heads.end * width].chunks(TOGETHER * width);
        for (queries, weights) in queries.zip(weights.chunks_mut(TOGETHER * page)) {
            together!(queries.len() / width, score(queries, numbers, page, weights));
        }
        for (head, weights) in heads.clone().zip(weights.chunks_exact_mut(page)) {
            let (top, sum) = soften(weights, len);
            let own = block * query_heads + head;
            (scratch.block_tops[own], scratch.block_sums[own]) = (top, sum);
            let larger = if top > scratch.tops[head] { top } else { scratch.tops[head] };
            let (kept, weight) = (math::exp(scratch.tops[head] - larger), math::exp(top - larger));
            scratch.tops[head] = larger;
            scratch.sums[head] = scratch.sums[head].mul_add(kept, sum * weight);
            for out in &mut out[head * width..][..width] {
                *out *= kept;
            }
            for weights in &mut weights[..len] {
                *weights *= weight;
            }
        }
        store.values(slot, kv_head, numbers);
        let out = out[heads.start * width..heads.end * width].chunks_mut(TOGETHER * width);
        for (out, weights) in out.zip(weights.chunks(TOGETHER * page)) {
            together!(out.len() / width, mix(weights, page, &numbers[..len * width], width, out));
        }
    }
}

/// Turns the query, `[query heads][dh]`, and divides it by `sqrt(dh)`.
#[inline(always)]
fn turn_query(turns: &Turns, by: u32, query: &[f32], dh: usize, to: &mut [f32]) {
    let half = dh / 2;
    let (mut cos, mut sin) = ([0.0; MOST_WIDTH / 2], [0.0; MOST_WIDTH / 2]);
    turns.turn(by, &mut cos, &mut sin);
    let scale = 1.0 / (dh as f32).sqrt();
    for (query, to) in query.chunks_exact(dh).zip(to.chunks_exact_mut(dh)) {
        for i in 0..half {
            let (a, b) = (query[i] * scale, query[half + i] * scale);
            to[i] = a.mul_add(cos[i], -(b * sin[i]));
            to[half + i] = b.mul_add(cos[i], a * sin[i]);
        }
    }
}

/// Turns keys, `[dh][page]`, by tables `[dh / 2][stride]`.
#[inline(always)]
fn turn_keys(keys: &mut [f32], page: usize, cos: &[f32], sin: &[f32], stride: usize) {
    let half = keys.len() / 2;
    let (first, second) = keys.split_at_mut(half);
    let tables = cos.chunks_exact(stride).zip(sin.chunks_exact(stride));
    for ((first, second), (cos, sin)) in first.chunks_exact_mut(page).zip(second.chunks_exact_mut(page)).zip(tables) {
        let (first, second) = (first.as_chunks_mut::<LANES>().0, second.as_chunks_mut::<LANES>().0);
        let (cos, sin) = (cos.as_chunks::<LANES>().0, sin.as_chunks::<LANES>().0);
        for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
            for l in 0..LANES {
                let (a, b) = (first[l], second[l]);
                first[l] = a.mul_add(cos[l], -(b * sin[l]));
                second[l] = b.mul_add(cos[l], a * sin[l]);
            }
        }
    }
}

/// Scores of `N` queries with all keys of a block: `[N][page]`.
#[inline(always)]
fn score<const N: usize>(queries: &[f32], keys: &[f32], page: usize, scores: &mut [f32]) {
    let dh = queries.len() / N;
    for at in (0..page).step_by(LANES) {
        let mut sums = [[0.0; LANES]; N];
        for (c, keys) in keys.chunks_exact(page).enumerate() {
            let keys = keys[at..].first_chunk::<LANES>().expect("keys should come by 16");
            for i in 0..N {
                let query = queries[i * dh + c];
                for l in 0..LANES {
                    sums[i][l] = query.mul_add(keys[l], sums[i][l]);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            scores[i * page + at..][..LANES].copy_from_slice(sums);
        }
    }
}

/// Adds the values of a block, `[tokens][dh]`, by the weights of `N` queries, `[N][page]`.
#[inline(always)]
fn mix<const N: usize>(weights: &[f32], page: usize, values: &[f32], dh: usize, out: &mut [f32]) {
    for at in (0..dh).step_by(LANES) {
        let mut sums = [[0.0; LANES]; N];
        for (token, values) in values.chunks_exact(dh).enumerate() {
            let values = values[at..].first_chunk::<LANES>().expect("values should come by 16");
            for i in 0..N {
                let weight = weights[i * page + token];
                for l in 0..LANES {
                    sums[i][l] = weight.mul_add(values[l], sums[i][l]);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            let out = &mut out[i * dh + at..][..LANES];
            for l in 0..LANES {
                out[l] += sums[l];
            }
        }
    }
}
