//! Keys and values of a small language head, in memory that is bounded and taken at the start.
//!
//! A token goes through three places, and leaves each in order of time:
//!
//! 1. **Sinks**: the first few tokens of the stream, int8, kept for good. Attention that has nowhere to go goes there (Xiao et
//!    al. 2023), and their keys are unlike all others.
//! 2. **Window**: the newest tokens, int8 with a scale a token.
//! 3. **Pages**: what left the window, a page at a time, in [`KvBits`]. When there is no room for one more, one goes.
//!
//! Keys are kept before RoPE, and turned when they are asked ([`Positions`]): a mean of keys means something then (ReKV, Di et
//! al. 2025), channels keep their range over time, and tokens can be numbered anew.
//!
//! **Which page goes** (LiveVLM, Ning et al. 2025, vision sink bucketing, made to stream): the time from the oldest page to now
//! is cut into equal buckets. The pages with the most attention stay; of the others goes the one with the least, from the
//! bucket with the most pages. With a full cache that bucket holds more than its share, `pages / buckets`: attention
//! to one minute cannot drive out all others. It is pages that go, not tokens: the scales of low-bit values are shared by the
//! tokens of a page, so that one of them alone frees nothing.
//!
//! Layers differ in length where a router lets only some tokens into a layer (`VideoLLM-MoD`, Wu et al. 2024): each layer is a
//! [`KvCache`] of its own, and a token keeps its position.

mod attend;
mod half;
mod rope;
mod store;

pub use attend::KvScratch;

use half::LARGEST;
use store::{Sizes, Store};

use crate::Isa;
use crate::math::LANES;

/// Tokens of a page, at most.
const MOST_PAGE: usize = 256;

/// Heads of a layer, at most.
const MOST_HEADS: usize = 1024;

/// Width of a head, at most.
const MOST_WIDTH: usize = 256;

/// How pages are stored; sinks and window are always as in `Eight`.
///
/// Attention over 1024 tokens of text in all layers of SmolLM2-135M was off by 1.7% in the mean (`Eight`), 3 to 4% (`Four`) and
/// 16 to 23% (`Low`), in L2, relative and a head; where the answer of a head is small, by more than itself (`Low`). In the same
/// bytes, `Four` with more than half of the pages evicted was nearer (6 and 9%) than `Low` with all of them (18 and 22%) on both
/// texts; on keys made up so that all tokens matter it was the other way round (99% against 33%).
/// `cargo xtask bench memory` prints all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvBits {
    /// Int8, a scale a token and head.
    Eight,
    /// 4 bits, evenly spaced from a minimum: keys by channel, values by token (KIVI, Liu et al. 2024).
    Four,
    /// Keys by channel: 2 bits for the half with the largest range, the sign for the others. Values by channel: `-s`, 0 or `s`
    /// (VidKV, Tao et al. 2025).
    Low,
}

/// Which position a kept token has when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// That with which it came.
    AsSeen,
    /// Its number among the tokens that are asked: what was evicted or is not asked leaves no hole, so that a stream without end
    /// stays within the positions that a model knows (ReKV).
    Consecutive,
}

/// Sizes of one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvConfig {
    /// Heads of queries; a multiple of `kv_heads`, each of which serves as many.
    pub query_heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Channels of a head, `dh`: a power of 2 from 16 to 256.
    pub width: usize,
    /// RoPE: channels `i` and `i + dh/2` turn by `rope_base^(-2i/dh)` a position.
    pub rope_base: f64,
    /// Which position a kept token has.
    pub positions: Positions,
    /// How pages are stored.
    pub bits: KvBits,
    /// Tokens of a page: a multiple of 16, at most 256. With 128, scales take half of what they take with 64.
    pub page: usize,
    /// The newest tokens stay int8, at least so many: a multiple of `page`, and not 0. One more page is being filled beside.
    pub window: usize,
    /// First tokens of the stream that are always kept: at most `page`.
    pub sinks: usize,
    /// Equal parts of the time that the pages span; at least 1.
    pub buckets: usize,
    /// Pages with the most attention, which always stay.
    pub top: usize,
    /// Share of one query in the moving mean of attention: above 0, at most 1.
    pub memory: f32,
    /// Bytes for all of it, [`KvScratch`] not counted.
    pub bytes: usize,
}

impl KvConfig {
    /// Whether sizes go together and there is room for one page more than always stay.
    ///
    /// # Errors
    /// [`KvError::Config`] says which do not; [`KvError::Room`] says how many bytes are needed.
    pub fn check(&self) -> Result<(), KvError> {
        let is_width = self.width.is_power_of_two() && (16..=MOST_WIDTH).contains(&self.width);
        let is_page = self.page > 0 && self.page.is_multiple_of(LANES) && self.page <= MOST_PAGE;
        let is_group =
            (1..=MOST_HEADS).contains(&self.query_heads) && self.query_heads.is_multiple_of(self.kv_heads.max(1));
        let rules = [
            (is_width, "width"),
            ((1..=MOST_HEADS).contains(&self.kv_heads), "kv_heads"),
            (is_group, "query_heads"),
            (self.rope_base >= 1.0 && self.rope_base.is_finite(), "rope_base"),
            (is_page, "page"),
            (self.window > 0 && self.window.is_multiple_of(self.page.max(1)), "window"),
            (self.sinks <= self.page, "sinks"),
            (self.buckets > 0 && u32::try_from(self.buckets).is_ok(), "buckets"),
            (self.memory > 0.0 && self.memory <= 1.0, "memory"),
        ];
        if let Some((_, name)) = rules.iter().find(|(holds, _)| !holds) {
            return Err(KvError::Config(name));
        }
        let bytes = self.bytes_with(self.top.saturating_add(1));
        if bytes > self.bytes { Err(KvError::Room { bytes }) } else { Ok(()) }
    }

    /// The same with the least budget that has room for so many pages.
    #[must_use]
    pub const fn with_pages(self, pages: usize) -> Self {
        Self { bytes: self.bytes_with(pages), ..self }
    }

    /// Pages that the budget has room for.
    pub const fn pages(&self) -> usize {
        self.bytes.saturating_sub(self.bytes_with(0)) / self.page_bytes()
    }

    /// Tokens that are kept at most.
    pub const fn tokens(&self) -> usize {
        self.sinks + self.pages() * self.page + self.window + self.page
    }

    /// Bits of an element of keys, of values, and of both on average, of which pages take so many: scales, minima, the mean key,
    /// positions and attention included.
    pub fn effective_bits(&self) -> [f64; 3] {
        let sizes = Sizes::of(self.bits, self.page, self.width);
        let elements = (self.page * self.kv_heads * self.width) as f64;
        let shared = self.page_bytes() - self.kv_heads * (sizes.key_bytes(self.width) + sizes.value_bytes());
        let bits = |bytes: usize| 8.0 * ((self.kv_heads * bytes) as f64 + shared as f64 / 2.0) / elements;
        let (keys, values) = (bits(sizes.key_bytes(self.width)), bits(sizes.value_bytes()));
        [keys, values, f64::midpoint(keys, values)]
    }

    /// Bytes of a page, its place in the order of time included.
    const fn page_bytes(&self) -> usize {
        Store::block_bytes(self, self.bits, self.page) + size_of::<u32>()
    }

    const fn bytes_with(&self, pages: usize) -> usize {
        let sinks = self.sink_blocks() * Store::block_bytes(self, KvBits::Eight, self.sink_page());
        let window = self.window_blocks().saturating_mul(Store::block_bytes(self, KvBits::Eight, self.page));
        (size_of::<KvCache>() + sinks).saturating_add(window).saturating_add(pages.saturating_mul(self.page_bytes()))
    }

    const fn sink_blocks(&self) -> usize {
        if self.sinks > 0 { 1 } else { 0 }
    }

    const fn sink_page(&self) -> usize {
        self.sinks.next_multiple_of(LANES)
    }

    const fn window_blocks(&self) -> usize {
        self.window / self.page + 1
    }

    const fn blocks(&self) -> usize {
        self.sink_blocks() + self.pages() + self.window_blocks()
    }
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KvError {
    /// A size of the configuration is not one that there can be.
    Config(&'static str),
    /// The budget is too small.
    Room {
        /// What is needed at least.
        bytes: usize,
    },
    /// A number is not finite, or beyond 65504, the largest in half precision.
    Range,
    /// Positions must go up, and a query must not lie before the newest token.
    Position,
    /// There is nothing to attend to.
    Empty,
}

impl std::fmt::Display for KvError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(name) => write!(f, "no KV cache has this `{name}`"),
            Self::Room { bytes } => write!(f, "the KV cache needs {bytes} bytes at least"),
            Self::Range => f.write_str("a key, value or query is not finite or too large"),
            Self::Position => f.write_str("positions of tokens must go up"),
            Self::Empty => f.write_str("the KV cache is empty"),
        }
    }
}

impl std::error::Error for KvError {}

/// What went through a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KvCounts {
    /// Tokens that came.
    pub tokens: u64,
    /// Tokens of pages that were evicted.
    pub evicted_tokens: u64,
    /// Those pages.
    pub evicted_pages: u64,
}

/// Keys and values of one layer. All memory is taken by [`KvCache::new`].
#[derive(Clone, Debug)]
pub struct KvCache {
    config: KvConfig,
    /// One block, or none where no sinks are kept.
    sinks: Store,
    /// A ring of blocks.
    window: Store,
    /// The oldest block of the window.
    oldest: usize,
    /// Blocks of the window that hold tokens.
    recent: usize,
    pages: Store,
    /// Slots of pages in order of time; never longer than there are pages.
    order: Vec<u32>,
    /// Position of the newest token.
    newest: Option<u32>,
    counts: KvCounts,
}

impl KvCache {
    /// An empty one.
    ///
    /// # Errors
    /// As [`KvConfig::check`].
    pub fn new(config: &KvConfig) -> Result<Self, KvError> {
        config.check()?;
        Ok(Self {
            config: *config,
            sinks: Store::new(config, KvBits::Eight, config.sink_page(), config.sink_blocks()),
            window: Store::new(config, KvBits::Eight, config.page, config.window_blocks()),
            oldest: 0,
            recent: 0,
            pages: Store::new(config, config.bits, config.page, config.pages()),
            order: Vec::with_capacity(config.pages()),
            newest: None,
            counts: KvCounts::default(),
        })
    }

    /// Bytes that one holds; [`KvConfig::bytes`] or less than a page below.
    pub const fn bytes_for(config: &KvConfig) -> usize {
        config.bytes_with(config.pages())
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let stores = self.sinks.bytes() + self.window.bytes() + self.pages.bytes();
        size_of::<Self>() + stores + size_of::<u32>() * self.order.capacity()
    }

    /// Forgets all tokens, and what was counted.
    pub fn clear(&mut self) {
        for store in [&mut self.sinks, &mut self.window] {
            store.blocks.fill(store::Block::default());
        }
        (self.oldest, self.recent, self.newest, self.counts) = (0, 0, None, KvCounts::default());
        self.order.clear();
    }

    /// Tokens that are kept.
    pub fn len(&self) -> usize {
        (0..self.blocks()).map(|block| self.len_of(block)).sum()
    }

    /// Whether no token came yet.
    pub fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// What came and what went.
    pub const fn counts(&self) -> KvCounts {
        self.counts
    }

    /// Positions of the kept tokens as they came, in order: where it jumps, tokens were evicted or never came.
    pub fn positions(&self) -> impl Iterator<Item = u32> {
        (0..self.blocks()).flat_map(|block| {
            let (store, slot) = self.block(block);
            store.offsets(slot).iter().map(move |offset| store.blocks[slot].first + u32::from(*offset))
        })
    }

    /// Position of the first token of each page, and the attention that the page got, in order of time.
    pub fn pages(&self) -> impl Iterator<Item = (u32, f32)> {
        self.order.iter().map(|slot| {
            let block = &self.pages.blocks[*slot as usize];
            (block.first, block.mass)
        })
    }

    /// Takes a token: keys before RoPE and values, `[kv_heads][dh]` each. When the window is full its oldest page is quantized,
    /// which the last token of a page pays for all.
    ///
    /// # Errors
    /// [`KvError::Range`] if something is not finite or too large, [`KvError::Position`] if `position` does not lie behind that
    /// of the token before. The cache is then as before.
    ///
    /// # Panics
    /// If a slice is not of its size.
    pub fn push(&mut self, position: u32, keys: &[f32], values: &[f32]) -> Result<(), KvError> {
        let row = self.config.kv_heads * self.config.width;
        assert!(keys.len() == row && values.len() == row, "keys and values of every head");
        check(keys)?;
        check(values)?;
        if self.newest.is_some_and(|newest| position <= newest) {
            return Err(KvError::Position);
        }
        self.newest = Some(position);
        let is_sink = self.counts.tokens < self.config.sinks as u64 && self.sinks.takes(0, position);
        self.counts.tokens += 1;
        if is_sink {
            self.sinks.push(0, position, keys, values);
        } else {
            let slot = self.open(position);
            self.window.push(slot, position, keys, values);
        }
        Ok(())
    }

    /// The window's block for the next token.
    fn open(&mut self, position: u32) -> usize {
        let ring = self.window.blocks.len();
        let last = (self.oldest + self.recent.saturating_sub(1)) % ring;
        if self.recent > 0 && self.window.takes(last, position) {
            return last;
        }
        if self.recent == ring {
            self.compress_oldest();
        }
        let slot = (self.oldest + self.recent) % ring;
        self.window.blocks[slot] = store::Block::default();
        self.recent += 1;
        slot
    }

    fn compress_oldest(&mut self) {
        let slot = if self.order.len() < self.pages.blocks.len() {
            self.order.len() as u32
        } else {
            let slot = self.order.remove(self.victim());
            self.counts.evicted_pages += 1;
            self.counts.evicted_tokens += u64::from(self.pages.blocks[slot as usize].len);
            slot
        };
        self.pages.compress(slot as usize, &self.window, self.oldest);
        self.order.push(slot);
        self.oldest = (self.oldest + 1) % self.window.blocks.len();
        self.recent -= 1;
    }

    /// The page to evict, as a place in the order, when the window's oldest block becomes one.
    fn victim(&self) -> usize {
        let page = |i: usize| &self.pages.blocks[self.order[i] as usize];
        let pages = self.order.len();
        let start = u64::from(page(0).first);
        let end = u64::from(self.window.blocks[self.oldest].first);
        let bucket = |first: u32| (u64::from(first) - start) * self.config.buckets as u64 / (end - start + 1);
        let mut found = None;
        for i in 0..pages {
            let mass = page(i).mass;
            let is_before = |j: usize| page(j).mass.total_cmp(&mass).then(j.cmp(&i)).is_gt();
            if (0..pages).filter(|j| is_before(*j)).count() < self.config.top {
                continue;
            }
            let own = bucket(page(i).first);
            let mates =
                (0..pages).filter(|j| bucket(page(*j).first) == own).count() + usize::from(bucket(end as u32) == own);
            if found.is_none_or(|(_, most, least)| mates > most || mates == most && mass < least) {
                found = Some((i, mates, mass));
            }
        }
        found.expect("there should be more pages than always stay").0
    }

    /// Blocks that hold tokens, in order of time: sinks, pages, window.
    fn blocks(&self) -> usize {
        self.sinks.blocks.len() + self.order.len() + self.recent
    }

    fn block(&self, i: usize) -> (&Store, usize) {
        let (sinks, pages) = (self.sinks.blocks.len(), self.order.len());
        if i < sinks {
            (&self.sinks, 0)
        } else if i < sinks + pages {
            (&self.pages, self.order[i - sinks] as usize)
        } else {
            (&self.window, (self.oldest + i - sinks - pages) % self.window.blocks.len())
        }
    }

    fn len_of(&self, i: usize) -> usize {
        let (store, slot) = self.block(i);
        store.blocks[slot].len as usize
    }

    fn mass_mut(&mut self, i: usize) -> &mut f32 {
        let (sinks, pages) = (self.sinks.blocks.len(), self.order.len());
        let block = if i < sinks {
            &mut self.sinks.blocks[0]
        } else if i < sinks + pages {
            &mut self.pages.blocks[self.order[i - sinks] as usize]
        } else {
            let slot = (self.oldest + i - sinks - pages) % self.window.blocks.len();
            &mut self.window.blocks[slot]
        };
        &mut block.mass
    }

    /// All that is kept as numbers, in order of time: position as seen, keys before RoPE and values, `[kv_heads][dh]`. For tests
    /// and measures: it allocates.
    pub fn dequantized(&self) -> Vec<(u32, Vec<f32>, Vec<f32>)> {
        let KvConfig { kv_heads, width, page, .. } = self.config;
        let mut all = Vec::new();
        let (mut keys, mut values) = (vec![0.0; width * page], vec![0.0; width * page]);
        for block in 0..self.blocks() {
            let (store, slot) = self.block(block);
            let (keys, values) = (&mut keys[..width * store.page], &mut values[..width * store.page]);
            let (first, before) = (store.blocks[slot].first, all.len());
            let row = vec![0.0; kv_heads * width];
            all.extend(store.offsets(slot).iter().map(|at| (first + u32::from(*at), row.clone(), row.clone())));
            for head in 0..kv_heads {
                store.keys(slot, head, keys);
                store.values(slot, head, values);
                for (token, (_, key, value)) in all[before..].iter_mut().enumerate() {
                    for c in 0..width {
                        key[head * width + c] = keys[c * store.page + token];
                    }
                    value[head * width..][..width].copy_from_slice(&values[token * width..][..width]);
                }
            }
        }
        all
    }
}

/// Whether all numbers can be stored.
fn check(x: &[f32]) -> Result<(), KvError> {
    if x.iter().all(|x| x.abs() <= LARGEST) { Ok(()) } else { Err(KvError::Range) }
}

/// The caches of all layers, and the room that they share.
#[derive(Clone, Debug)]
pub struct KvCaches {
    layers: Vec<KvCache>,
    scratch: KvScratch,
}

impl KvCaches {
    /// One cache for each layer; they may differ in budget, and in what follows from it.
    ///
    /// # Errors
    /// As [`KvConfig::check`]; [`KvError::Config`] also if there is no layer or they differ in heads, width, page or RoPE.
    pub fn new(configs: &[KvConfig]) -> Result<Self, KvError> {
        let layers = configs.iter().map(KvCache::new).collect::<Result<Vec<_>, _>>()?;
        let most = configs.iter().max_by_key(|config| config.blocks()).ok_or(KvError::Config("layers"))?;
        let shape = |c: &KvConfig| (c.query_heads, c.kv_heads, c.width, c.page, c.rope_base.to_bits());
        if configs.iter().any(|config| shape(config) != shape(most)) {
            return Err(KvError::Config("layers"));
        }
        Ok(Self { layers, scratch: KvScratch::new(most)? })
    }

    /// Bytes that all layers and the scratch hold.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(KvCache::bytes).sum::<usize>() + self.scratch.bytes()
    }

    /// Each layer's cache.
    pub fn layers(&self) -> &[KvCache] {
        &self.layers
    }

    /// As [`KvCache::push`] of one layer.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there, or if there is no such layer.
    pub fn push(&mut self, layer: usize, position: u32, keys: &[f32], values: &[f32]) -> Result<(), KvError> {
        self.layers[layer].push(position, keys, values)
    }

    /// As [`KvCache::attend`] of one layer.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there, or if there is no such layer.
    pub fn attend(
        &mut self,
        isa: Isa,
        layer: usize,
        query: &[f32],
        position: u32,
        top_pages: usize,
        out: &mut [f32],
    ) -> Result<(), KvError> {
        self.layers[layer].attend(isa, query, position, top_pages, &mut self.scratch, out)
    }

    /// Forgets all tokens.
    pub fn clear(&mut self) {
        for layer in &mut self.layers {
            layer.clear();
        }
    }
}
