//! Queries over the cache, block by block: a block of one head is made numbers again, turned, asked and forgotten. The
//! softmax goes along (Milakov and Gimelshein 2018): what was summed up is scaled down when a larger score comes. Several
//! queries, as of a prompt that is read, share what a block costs.

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
    /// Queries that may be asked together.
    most: usize,
    /// `[queries][query heads of a key head][page]`
    weights: Aligned<f32>,
    /// The queries, turned to the block's first token: `[queries][query heads][dh]`
    query: Aligned<f32>,
    /// Largest score of a head so far, and the sum of `exp(score - largest)`: `[queries][query heads]`.
    tops: Box<[f32]>,
    sums: Box<[f32]>,
    /// The same of each block alone, `[blocks][queries][query heads]`.
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
        Self::for_queries(config, 1)
    }

    /// The same for so many queries at once ([`KvCache::attend_newest`]).
    ///
    /// # Errors
    /// As [`KvConfig::check`].
    pub fn for_queries(config: &KvConfig, most: usize) -> Result<Self, KvError> {
        config.check()?;
        let &KvConfig { query_heads, width, page, .. } = config;
        let (table, sums) = (width / 2 * page, most * query_heads);
        let mut made = Self {
            rope_base: config.rope_base,
            turns: Turns::new(config.rope_base, width),
            next_cos: Aligned::zeros(table),
            next_sin: Aligned::zeros(table),
            cos: Aligned::zeros(table),
            sin: Aligned::zeros(table),
            numbers: Aligned::zeros(width * page),
            most,
            weights: Aligned::zeros(most * (query_heads / config.kv_heads) * page),
            query: Aligned::zeros(sums * width),
            tops: vec![0.0; sums].into(),
            sums: vec![0.0; sums].into(),
            block_tops: vec![0.0; config.blocks() * sums].into(),
            block_sums: vec![0.0; config.blocks() * sums].into(),
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
        let KvConfig { query_heads, width, .. } = self.config;
        assert!(query.len() == query_heads * width && out.len() == query.len(), "one answer a query");
        self.check_scratch(scratch, 1);
        let newest = self.newest.ok_or(KvError::Empty)?;
        check(query)?;
        let ahead = position.checked_sub(newest).ok_or(KvError::Position)?;
        attend(isa, self, query, ahead, top_pages, scratch, out);
        Ok(())
    }

    /// As [`KvCache::attend`] over all pages for each of the newest tokens, whose positions are successive: each asks what had
    /// come until itself. `queries` and `out` are `[tokens][query heads][dh]`. To the bit what asking after each push gives,
    /// unless a page was evicted or lost bits between those pushes.
    ///
    /// # Errors
    /// [`KvError::Range`] if a query is not finite or too large, [`KvError::Empty`] if so many tokens did not come,
    /// [`KvError::Position`] if their positions are not successive. The cache is then as before, and `out` too.
    ///
    /// # Panics
    /// If a slice is not of its size, there are more tokens than the window has, or the scratch was made for another model,
    /// fewer pages or fewer queries.
    pub fn attend_newest(
        &mut self,
        isa: Isa,
        queries: &[f32],
        scratch: &mut KvScratch,
        out: &mut [f32],
    ) -> Result<(), KvError> {
        let KvConfig { query_heads, width, window, .. } = self.config;
        let count = queries.len() / (query_heads * width);
        assert!(queries.len() == count * query_heads * width && out.len() == queries.len(), "one answer a query");
        assert!(count <= window, "the window should hold the tokens that ask");
        self.check_scratch(scratch, count);
        check(queries)?;
        let kept = self.len();
        if count == 0 || kept < count {
            return Err(KvError::Empty);
        }
        let first = self.positions().nth(kept - count).ok_or(KvError::Empty)?;
        if self.newest != Some(first + count as u32 - 1) {
            return Err(KvError::Position);
        }
        attend(isa, self, queries, 0, usize::MAX, scratch, out);
        Ok(())
    }

    fn check_scratch(&self, scratch: &KvScratch, queries: usize) {
        let KvConfig { query_heads, kv_heads, width, page, rope_base, .. } = self.config;
        assert!(
            queries <= scratch.most
                && scratch.query.len() == scratch.most * query_heads * width
                && scratch.numbers.len() == width * page
                && scratch.weights.len() == scratch.most * (query_heads / kv_heads) * page
                && scratch.rope_base.to_bits() == rope_base.to_bits()
                && scratch.is_asked.len() >= self.config.blocks(),
            "the scratch should be for this cache"
        );
    }
}

for_each_isa! {
    /// `ahead`: from the newest token to the last query. Of several queries each belongs to a token.
    fn attend(
        cache: &mut KvCache,
        queries: &[f32],
        ahead: u32,
        top_pages: usize,
        scratch: &mut KvScratch,
        out: &mut [f32],
    ) = body
}

/// A block that is asked, and by whom.
struct Asked<'a> {
    store: &'a Store,
    slot: usize,
    /// Its number in order of time.
    block: usize,
    queries: usize,
    /// Positions from its first token to the first query.
    away: u32,
    /// Kept tokens that the first query sees, and those that lie before this block. Each further query sees one more.
    seen: usize,
    before: usize,
}

impl Asked<'_> {
    /// Its tokens that this query sees.
    #[inline(always)]
    fn seen_by(&self, query: usize) -> usize {
        seen_by(query, self.seen, self.before).min(self.store.blocks[self.slot].len as usize)
    }
}

/// Tokens behind the first `before` that a query sees, of which the first one sees `seen` in all.
#[inline(always)]
fn seen_by(query: usize, seen: usize, before: usize) -> usize {
    (seen + query).saturating_sub(before)
}

#[inline(always)]
fn body<A: Dot>(
    cache: &mut KvCache,
    queries: &[f32],
    ahead: u32,
    top_pages: usize,
    scratch: &mut KvScratch,
    out: &mut [f32],
) {
    let KvConfig { query_heads, width, .. } = cache.config;
    let count = queries.len() / (query_heads * width);
    choose(cache, queries, top_pages, scratch);
    let mut asked = 0;
    for block in 0..cache.blocks() {
        let (store, slot) = cache.block(block);
        asked += if scratch.is_asked[block] { store.blocks[slot].len } else { 0 };
    }
    // Of the first query.
    let own = match cache.config.positions {
        Positions::AsSeen => cache.newest.unwrap_or(0) + ahead,
        // Counted from 0 over the tokens that are asked.
        Positions::Consecutive => asked - 1 + ahead,
    } - (count as u32 - 1);
    out.fill(0.0);
    scratch.tops[..count * query_heads].fill(f32::NEG_INFINITY);
    scratch.sums[..count * query_heads].fill(0.0);
    let seen = asked as usize - (count - 1);
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
        // May lie before 0 for queries that do not see the block.
        let away = own.wrapping_sub(first);
        let asked = Asked { store, slot, block, queries: count, away, seen, before: before as usize };
        before += store.blocks[slot].len;
        ask_block(cache, &asked, queries, scratch, out);
    }
    for (out, sum) in out.chunks_exact_mut(width).zip(&*scratch.sums) {
        let whole = 1.0 / sum;
        for out in out.iter_mut() {
            *out *= whole;
        }
    }
    let memory = cache.config.memory;
    let mut before = 0;
    for block in 0..cache.blocks() {
        if !scratch.is_asked[block] {
            continue;
        }
        let earlier = before;
        before += cache.len_of(block);
        for query in (0..count).filter(|query| seen_by(*query, seen, earlier) > 0) {
            let mut share = 0.0;
            for head in query * query_heads..(query + 1) * query_heads {
                let at = block * count * query_heads + head;
                let weight = math::exp(scratch.block_tops[at] - scratch.tops[head]);
                share += scratch.block_sums[at] * weight / scratch.sums[head];
            }
            let mass = cache.mass_mut(block);
            *mass += memory * (share / query_heads as f32 - *mass);
        }
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

/// Adds one block to what is summed up.
#[inline(always)]
fn ask_block(cache: &KvCache, asked: &Asked<'_>, queries: &[f32], scratch: &mut KvScratch, out: &mut [f32]) {
    let KvConfig { query_heads, kv_heads, width, page: stride, .. } = cache.config;
    let &Asked { store, slot, block, queries: count, away, .. } = asked;
    let page = store.page;
    let KvScratch { turns, numbers, weights, query: turned, .. } = scratch;
    let row = query_heads * width;
    for i in 0..count {
        if asked.seen_by(i) > 0 {
            let by = away.wrapping_add(i as u32);
            turn_query(turns, by, &queries[i * row..][..row], width, &mut turned[i * row..][..row]);
        }
    }
    let offsets = store.offsets(slot);
    let has_holes = offsets[offsets.len() - 1] as usize != offsets.len() - 1;
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
        for i in 0..count {
            let len = asked.seen_by(i);
            if len == 0 {
                continue;
            }
            let weights = &mut weights[i * group * page..][..group * page];
            let turned = &turned[i * row..][heads.start * width..heads.end * width];
            for (queries, weights) in turned.chunks(TOGETHER * width).zip(weights.chunks_mut(TOGETHER * page)) {
                together!(queries.len() / width, score(queries, numbers, page, weights));
            }
            for (head, weights) in (i * query_heads + heads.start..).zip(weights.chunks_exact_mut(page)) {
                let (top, sum) = soften(weights, len);
                let own = block * count * query_heads + head;
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
        }
        store.values(slot, kv_head, numbers);
        for i in 0..count {
            let len = asked.seen_by(i);
            let weights = &weights[i * group * page..][..group * page];
            let out = &mut out[i * row..][heads.start * width..heads.end * width];
            for (out, weights) in out.chunks_mut(TOGETHER * width).zip(weights.chunks(TOGETHER * page)) {
                together!(out.len() / width, mix(weights, page, &numbers[..len * width], width, out));
            }
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
