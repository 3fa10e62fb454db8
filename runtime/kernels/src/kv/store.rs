//! Blocks of tokens in one format: how keys and values become bits, and numbers again.
//!
//! Keys lie channel by channel, so that lanes are tokens and scores need no sum over lanes; values token by token, so that
//! lanes are channels. Bits of a channel are packed 8 tokens to `n` bytes, token by token from the lowest bit; ternary values
//! 5 tokens to a byte, base 3, the first token the lowest digit.

use super::half::{from_half, to_half, to_half_above};
use super::{KvBits, KvConfig, MOST_PAGE, MOST_WIDTH};
use crate::math::{ROUND, rounded};

/// The grid of the 2-bit keys spans this share of a channel's range: its ends are rare, and the steps between get finer.
/// Of 0.7, 0.75 ... 0.9 and 1 it gave the least mean attention error on recorded keys (0.136; 0.165 with the whole range),
/// while the codes with the least squared error of the keys gave 0.182: large keys are those that attention asks for.
const SPAN: f32 = 0.85;

/// Values of less than this share of the mean become 0 (Ternary Weight Networks, Li and Liu 2016, equation 6). VidKV has 0.5,
/// which is 1% worse on recorded values in the mean and 6% pooled; its scale, the mean of all instead of those kept, 14%.
const THRESHOLD: f32 = 0.7;

/// What is known of a block beside its bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    /// Position of the first token, as seen.
    pub first: u32,
    /// Tokens.
    pub len: u32,
    /// Attention that it got, a moving mean over queries; 1 would be all.
    pub mass: f32,
}

/// Elements that one head of one block takes in each array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    key_codes: usize,
    key_halves: usize,
    value_codes: usize,
    value_halves: usize,
}

impl Sizes {
    /// Of `page` tokens of width `dh`.
    pub const fn of(bits: KvBits, page: usize, dh: usize) -> Self {
        match bits {
            KvBits::Eight => {
                Self { key_codes: page * dh, key_halves: page, value_codes: page * dh, value_halves: page }
            }
            KvBits::Four => Self {
                key_codes: dh * page / 2,
                key_halves: 2 * dh,
                value_codes: page * dh / 2,
                value_halves: 2 * page,
            },
            // Which channels have 2 bits; those; the others.
            KvBits::Low => Self {
                key_codes: dh / 8 + dh / 2 * page / 4 + dh / 2 * page / 8,
                key_halves: dh / 2 * 2 + dh / 2,
                value_codes: page.div_ceil(5) * dh,
                value_halves: dh,
            },
        }
    }

    /// Bytes of keys, their mean with them.
    pub const fn key_bytes(self, dh: usize) -> usize {
        self.key_codes + 2 * self.key_halves + dh + 2
    }

    pub const fn value_bytes(self) -> usize {
        self.value_codes + 2 * self.value_halves
    }
}

/// Room for some blocks.
#[derive(Clone, Debug)]
pub(super) struct Store {
    bits: KvBits,
    heads: usize,
    dh: usize,
    /// Tokens of a block.
    pub page: usize,
    sizes: Sizes,
    pub blocks: Box<[Block]>,
    /// `[blocks][page]`: positions from the first one.
    offsets: Box<[u16]>,
    /// `[blocks][heads][...]`, as are those that follow.
    key_codes: Box<[u8]>,
    key_halves: Box<[u16]>,
    value_codes: Box<[u8]>,
    value_halves: Box<[u16]>,
    /// Mean of the keys, int8 `[dh]` a head: what pages are found by, and the middle of 1-bit keys.
    means: Box<[i8]>,
    mean_scales: Box<[u16]>,
}

impl Store {
    pub fn new(config: &KvConfig, bits: KvBits, page: usize, count: usize) -> Self {
        let (heads, dh) = (config.kv_heads, config.width);
        let sizes = Sizes::of(bits, page, dh);
        Self {
            bits,
            heads,
            dh,
            page,
            sizes,
            blocks: vec![Block::default(); count].into(),
            offsets: vec![0; count * page].into(),
            key_codes: vec![0; count * heads * sizes.key_codes].into(),
            key_halves: vec![0; count * heads * sizes.key_halves].into(),
            value_codes: vec![0; count * heads * sizes.value_codes].into(),
            value_halves: vec![0; count * heads * sizes.value_halves].into(),
            means: vec![0; count * heads * dh].into(),
            mean_scales: vec![0; count * heads].into(),
        }
    }

    /// Bytes of one block.
    pub const fn block_bytes(config: &KvConfig, bits: KvBits, page: usize) -> usize {
        let sizes = Sizes::of(bits, page, config.width);
        size_of::<Block>() + 2 * page + config.kv_heads * (sizes.key_bytes(config.width) + sizes.value_bytes())
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.blocks)
            + size_of_val(&*self.offsets)
            + size_of_val(&*self.key_codes)
            + size_of_val(&*self.key_halves)
            + size_of_val(&*self.value_codes)
            + size_of_val(&*self.value_halves)
            + size_of_val(&*self.means)
            + size_of_val(&*self.mean_scales)
    }

    /// Positions of a block's tokens from its first one.
    #[inline(always)]
    pub fn offsets(&self, slot: usize) -> &[u16] {
        &self.offsets[slot * self.page..][..self.blocks[slot].len as usize]
    }

    /// Whether one more token, at this position, has room; a hole of 2^16 positions ends a block too.
    pub fn takes(&self, slot: usize, position: u32) -> bool {
        let block = &self.blocks[slot];
        block.len == 0 || ((block.len as usize) < self.page && u16::try_from(position - block.first).is_ok())
    }

    /// Adds a token to a block of int8.
    pub fn push(&mut self, slot: usize, position: u32, keys: &[f32], values: &[f32]) {
        let (page, dh) = (self.page, self.dh);
        let block = &mut self.blocks[slot];
        if block.len == 0 {
            block.first = position;
        }
        let token = block.len as usize;
        block.len += 1;
        self.offsets[slot * page + token] = (position - block.first) as u16;
        for head in 0..self.heads {
            let at = slot * self.heads + head;
            let mut bytes = [0; MOST_WIDTH];
            self.key_halves[at * page + token] = to_bytes(&keys[head * dh..][..dh], &mut bytes);
            for (c, byte) in bytes[..dh].iter().enumerate() {
                self.key_codes[(at * dh + c) * page + token] = byte.cast_unsigned();
            }
            self.value_halves[at * page + token] = to_bytes(&values[head * dh..][..dh], &mut bytes);
            for (to, byte) in self.value_codes[(at * page + token) * dh..][..dh].iter_mut().zip(bytes) {
                *to = byte.cast_unsigned();
            }
        }
    }

    /// Quantizes a block of another store, which is int8, into a block of this one. A value is taken once, in one order, with
    /// no fused product: the same bits on every CPU.
    pub fn compress(&mut self, slot: usize, from: &Self, from_slot: usize) {
        let (page, dh, len) = (self.page, self.dh, from.blocks[from_slot].len as usize);
        self.blocks[slot] = from.blocks[from_slot];
        self.offsets[slot * page..][..page].copy_from_slice(&from.offsets[from_slot * page..][..page]);
        for head in 0..self.heads {
            let (at, from_at) = (slot * self.heads + head, from_slot * self.heads + head);
            let mut means = [0.0; MOST_WIDTH];
            let mut keys = [0.0; MOST_PAGE];
            for (c, mean) in means[..dh].iter_mut().enumerate() {
                from.key_channel(from_at, c, &mut keys[..len]);
                *mean = keys[..len].iter().sum::<f32>() / len as f32;
            }
            self.mean_scales[at] = to_bytes(&means[..dh], &mut self.means[at * dh..][..dh]);
            match self.bits {
                KvBits::Eight => self.copy(at, from, from_at),
                KvBits::Four => self.compress_four(at, from, from_at, len),
                KvBits::Low => {
                    self.compress_low_keys(at, from, from_at, len);
                    self.compress_low_values(at, from, from_at, len);
                }
            }
        }
    }

    fn copy(&mut self, at: usize, from: &Self, from_at: usize) {
        let Sizes { key_codes, key_halves, value_codes, value_halves } = self.sizes;
        self.key_codes[at * key_codes..][..key_codes]
            .copy_from_slice(&from.key_codes[from_at * key_codes..][..key_codes]);
        self.key_halves[at * key_halves..][..key_halves]
            .copy_from_slice(&from.key_halves[from_at * key_halves..][..key_halves]);
        self.value_codes[at * value_codes..][..value_codes]
            .copy_from_slice(&from.value_codes[from_at * value_codes..][..value_codes]);
        self.value_halves[at * value_halves..][..value_halves]
            .copy_from_slice(&from.value_halves[from_at * value_halves..][..value_halves]);
    }

    /// Keys by channel and values by token (KIVI, Liu et al. 2024): on recorded ones values by channel were 2.7 times worse.
    fn compress_four(&mut self, at: usize, from: &Self, from_at: usize, len: usize) {
        let (page, dh, sizes) = (self.page, self.dh, self.sizes);
        let codes = &mut self.key_codes[at * sizes.key_codes..][..sizes.key_codes];
        let halves = &mut self.key_halves[at * sizes.key_halves..][..sizes.key_halves];
        for c in 0..dh {
            let mut keys = [0.0; MOST_PAGE];
            from.key_channel(from_at, c, &mut keys[..len]);
            let grid = Grid::over(&keys[..len], 15, 1.0);
            (halves[2 * c], halves[2 * c + 1]) = (grid.low, grid.step);
            pack::<4>(&grid.codes(&keys, 15), &mut codes[c * page / 2..][..page / 2]);
        }
        let codes = &mut self.value_codes[at * sizes.value_codes..][..sizes.value_codes];
        let halves = &mut self.value_halves[at * sizes.value_halves..][..sizes.value_halves];
        for token in 0..len {
            let mut values = [0.0; MOST_WIDTH];
            from.value_token(from_at, token, &mut values[..dh]);
            let grid = Grid::over(&values[..dh], 15, 1.0);
            (halves[2 * token], halves[2 * token + 1]) = (grid.low, grid.step);
            let found = grid.codes(&values, 15);
            for (c, code) in codes[token * dh / 2..][..dh / 2].iter_mut().enumerate() {
                *code = found[c] | found[dh / 2 + c] << 4;
            }
        }
    }

    /// VidKV (Tao et al. 2025), section 3: 2 bits for the half of the channels with the largest range, 1 for the others.
    ///
    /// VidKV puts a Fourier transform over the channels before the 1 bit. On recorded keys that was worse than nothing by 5%,
    /// a Walsh-Hadamard transform by 6%. The mean of the page's keys, which is kept anyhow, taken off first is better by 12%;
    /// a transform after that changes less than 2%, up or down, and is left out.
    fn compress_low_keys(&mut self, at: usize, from: &Self, from_at: usize, len: usize) {
        let (page, dh, sizes) = (self.page, self.dh, self.sizes);
        let mut keys = [0.0; MOST_PAGE];
        let mut ranges = [(0.0, 0); MOST_WIDTH];
        for (c, range) in ranges[..dh].iter_mut().enumerate() {
            from.key_channel(from_at, c, &mut keys[..len]);
            let (least, most) = bounds(&keys[..len]);
            *range = (most - least, c);
        }
        ranges[..dh].sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let codes = &mut self.key_codes[at * sizes.key_codes..][..sizes.key_codes];
        let halves = &mut self.key_halves[at * sizes.key_halves..][..sizes.key_halves];
        let (is_wide, codes) = codes.split_at_mut(dh / 8);
        is_wide.fill(0);
        for (_, c) in &ranges[..dh / 2] {
            is_wide[c / 8] |= 1 << (c % 8);
        }
        let (wide_codes, narrow_codes) = codes.split_at_mut(dh / 2 * page / 4);
        let (wide_halves, narrow_halves) = halves.split_at_mut(dh);
        let (mut wide, mut narrow) = (0, 0);
        let mean_scale = from_half(self.mean_scales[at]);
        for c in 0..dh {
            from.key_channel(from_at, c, &mut keys[..len]);
            if is_wide[c / 8] >> (c % 8) & 1 == 1 {
                let grid = Grid::over(&keys[..len], 3, SPAN);
                (wide_halves[2 * wide], wide_halves[2 * wide + 1]) = (grid.low, grid.step);
                pack::<2>(&grid.codes(&keys, 3), &mut wide_codes[wide * page / 4..][..page / 4]);
                wide += 1;
            } else {
                let mean = mean_scale * f32::from(self.means[at * dh + c]);
                let mut codes = [0; MOST_PAGE];
                let mut sum = 0.0;
                for (code, key) in codes.iter_mut().zip(&keys[..len]) {
                    sum += (key - mean).abs();
                    *code = u8::from(*key >= mean);
                }
                narrow_halves[narrow] = to_half(sum / len as f32);
                pack::<1>(&codes, &mut narrow_codes[narrow * page / 8..][..page / 8]);
                narrow += 1;
            }
        }
    }

    /// VidKV, section 3: `{-s, 0, s}` by channel. `s` is the mean of what is not 0, which has the least squared error.
    fn compress_low_values(&mut self, at: usize, from: &Self, from_at: usize, len: usize) {
        let (page, dh, sizes) = (self.page, self.dh, self.sizes);
        let codes = &mut self.value_codes[at * sizes.value_codes..][..sizes.value_codes];
        codes.fill(0);
        for c in 0..dh {
            let mut values = [0.0; MOST_PAGE];
            for (token, value) in values[..len].iter_mut().enumerate() {
                *value = from.value(from_at, token, c);
            }
            let least = THRESHOLD * values[..len].iter().map(|v| v.abs()).sum::<f32>() / len as f32;
            let (mut sum, mut kept) = (0.0, 0u16);
            for (token, value) in values[..page].iter().enumerate() {
                // Tokens that are not there are zeros.
                let is_kept = value.abs() > least;
                sum += if is_kept { value.abs() } else { 0.0 };
                kept += u16::from(is_kept);
                let trit = if !is_kept {
                    1
                } else if *value > 0.0 {
                    2
                } else {
                    0
                };
                codes[token / 5 * dh + c] += trit * [1, 3, 9, 27, 81][token % 5];
            }
            self.value_halves[at * dh + c] = to_half(sum / f32::from(kept.max(1)));
        }
    }

    /// One channel of int8 keys.
    fn key_channel(&self, at: usize, c: usize, to: &mut [f32]) {
        let codes = &self.key_codes[(at * self.dh + c) * self.page..][..to.len()];
        let scales = &self.key_halves[at * self.page..][..to.len()];
        for (to, (code, scale)) in to.iter_mut().zip(codes.iter().zip(scales)) {
            *to = f32::from(code.cast_signed()) * from_half(*scale);
        }
    }

    /// One token of int8 values.
    fn value_token(&self, at: usize, token: usize, to: &mut [f32]) {
        for (c, to) in to.iter_mut().enumerate() {
            *to = self.value(at, token, c);
        }
    }

    fn value(&self, at: usize, token: usize, c: usize) -> f32 {
        let code = self.value_codes[(at * self.page + token) * self.dh + c].cast_signed();
        f32::from(code) * from_half(self.value_halves[at * self.page + token])
    }

    /// `q . mean of the keys`, all query heads together.
    #[inline(always)]
    pub fn likeness(&self, slot: usize, query: &[f32]) -> f32 {
        let dh = self.dh;
        let group = query.len() / (self.heads * dh);
        let mut sum = 0.0;
        for head in 0..self.heads {
            let at = slot * self.heads + head;
            let mut mean = [0.0; MOST_WIDTH];
            let scale = from_half(self.mean_scales[at]);
            for (mean, byte) in mean.iter_mut().zip(&self.means[at * dh..][..dh]) {
                *mean = f32::from(*byte) * scale;
            }
            for query in query[head * group * dh..][..group * dh].chunks_exact(dh) {
                sum += crate::math::dot(query, &mean[..dh]);
            }
        }
        sum
    }

    /// Keys of one head, `[dh][page]`, not turned. Beyond the block's last token lies anything finite.
    #[inline(always)]
    pub fn keys(&self, slot: usize, head: usize, to: &mut [f32]) {
        let (page, dh, sizes) = (self.page, self.dh, self.sizes);
        let at = slot * self.heads + head;
        let codes = &self.key_codes[at * sizes.key_codes..][..sizes.key_codes];
        let halves = &self.key_halves[at * sizes.key_halves..][..sizes.key_halves];
        match self.bits {
            KvBits::Eight => {
                let mut scales = [0.0; MOST_PAGE];
                for (scale, half) in scales.iter_mut().zip(halves) {
                    *scale = from_half(*half);
                }
                for (to, codes) in to.chunks_exact_mut(page).zip(codes.chunks_exact(page)) {
                    for ((to, code), scale) in to.iter_mut().zip(codes).zip(&scales) {
                        *to = f32::from(code.cast_signed()) * scale;
                    }
                }
            }
            KvBits::Four => {
                for (c, to) in to.chunks_exact_mut(page).enumerate() {
                    let (low, step) = (from_half(halves[2 * c]), from_half(halves[2 * c + 1]));
                    unpack::<4>(&codes[c * page / 2..][..page / 2], low, step, to);
                }
            }
            KvBits::Low => {
                let (is_wide, codes) = codes.split_at(dh / 8);
                let (wide_codes, narrow_codes) = codes.split_at(dh / 2 * page / 4);
                let (wide_halves, narrow_halves) = halves.split_at(dh);
                let mean_scale = from_half(self.mean_scales[at]);
                let (mut wide, mut narrow) = (0, 0);
                for (c, to) in to.chunks_exact_mut(page).enumerate() {
                    if is_wide[c / 8] >> (c % 8) & 1 == 1 {
                        let (low, step) = (from_half(wide_halves[2 * wide]), from_half(wide_halves[2 * wide + 1]));
                        unpack::<2>(&wide_codes[wide * page / 4..][..page / 4], low, step, to);
                        wide += 1;
                    } else {
                        let mean = mean_scale * f32::from(self.means[at * dh + c]);
                        let scale = from_half(narrow_halves[narrow]);
                        unpack::<1>(&narrow_codes[narrow * page / 8..][..page / 8], mean - scale, 2.0 * scale, to);
                        narrow += 1;
                    }
                }
            }
        }
    }

    /// Values of one head, `[page][dh]`. Beyond the block's last token lies anything finite.
    #[inline(always)]
    pub fn values(&self, slot: usize, head: usize, to: &mut [f32]) {
        let (dh, sizes) = (self.dh, self.sizes);
        let at = slot * self.heads + head;
        let codes = &self.value_codes[at * sizes.value_codes..][..sizes.value_codes];
        let halves = &self.value_halves[at * sizes.value_halves..][..sizes.value_halves];
        match self.bits {
            KvBits::Eight => {
                for ((to, codes), half) in to.chunks_exact_mut(dh).zip(codes.chunks_exact(dh)).zip(halves) {
                    let scale = from_half(*half);
                    for (to, code) in to.iter_mut().zip(codes) {
                        *to = f32::from(code.cast_signed()) * scale;
                    }
                }
            }
            KvBits::Four => {
                for (token, to) in to.chunks_exact_mut(dh).enumerate() {
                    let (low, step) = (from_half(halves[2 * token]), from_half(halves[2 * token + 1]));
                    let (first, second) = to.split_at_mut(dh / 2);
                    for ((first, second), code) in first.iter_mut().zip(second).zip(&codes[token * dh / 2..][..dh / 2])
                    {
                        *first = f32::from(code & 15).mul_add(step, low);
                        *second = f32::from(code >> 4).mul_add(step, low);
                    }
                }
            }
            KvBits::Low => {
                let mut scales = [0.0; MOST_WIDTH];
                for (scale, half) in scales.iter_mut().zip(halves) {
                    *scale = from_half(*half);
                }
                for (five, codes) in to.chunks_mut(5 * dh).zip(codes.chunks_exact(dh)) {
                    let mut left = [0i32; MOST_WIDTH];
                    for (left, code) in left.iter_mut().zip(codes) {
                        *left = i32::from(*code);
                    }
                    for to in five.chunks_exact_mut(dh) {
                        for ((to, left), scale) in to.iter_mut().zip(&mut left).zip(&scales) {
                            // A third, exact up to 255.
                            let third = (*left * 171) >> 9;
                            *to = ((*left - 3 * third) as f32 - 1.0) * scale;
                            *left = third;
                        }
                    }
                }
            }
        }
    }
}

/// Evenly spaced numbers, from `low` in steps of `step`.
struct Grid {
    low: u16,
    step: u16,
}

impl Grid {
    /// So many steps over a share of the range of some numbers.
    fn over(x: &[f32], steps: u8, share: f32) -> Self {
        let (least, most) = bounds(x);
        // Halves of the numbers, as a difference may be twice as large as any of them.
        let (middle, reach) = (0.5 * least + 0.5 * most, share * (0.5 * most - 0.5 * least));
        let low = to_half(middle - reach);
        Self { low, step: to_half_above((middle + reach - from_half(low)).max(0.0) / f32::from(steps)) }
    }

    /// The nearest of each, counted from the lowest.
    fn codes<const N: usize>(&self, x: &[f32; N], last: u8) -> [u8; N] {
        let (low, step) = (from_half(self.low), from_half(self.step));
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let mut codes = [0; N];
        for (code, x) in codes.iter_mut().zip(x) {
            *code = ((x - low) * inverse + 0.5).clamp(0.0, f32::from(last)) as u8;
        }
        codes
    }
}

/// The least and the largest.
fn bounds(x: &[f32]) -> (f32, f32) {
    x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), x| (least.min(*x), most.max(*x)))
}

/// Int8 of some numbers; gives their scale, as a half.
fn to_bytes(x: &[f32], bytes: &mut [i8]) -> u16 {
    let scale = to_half_above(x.iter().fold(0.0, |most: f32, x| most.max(x.abs())) / 127.0);
    let inverse = if scale > 0 { 1.0 / from_half(scale) } else { 0.0 };
    for (byte, x) in bytes.iter_mut().zip(x) {
        *byte = rounded(x * inverse + ROUND) as i8;
    }
    scale
}

/// `N` bits of each code, 8 codes to `N` bytes.
fn pack<const N: usize>(codes: &[u8], to: &mut [u8]) {
    for (to, codes) in to.as_chunks_mut::<N>().0.iter_mut().zip(codes.as_chunks::<8>().0) {
        let mut word = 0u32;
        for (i, code) in codes.iter().enumerate() {
            word |= u32::from(*code) << (N * i);
        }
        to.copy_from_slice(&word.to_le_bytes()[..N]);
    }
}

/// `low + code step` of each code.
#[inline(always)]
fn unpack<const N: usize>(from: &[u8], low: f32, step: f32, to: &mut [f32]) {
    for (to, from) in to.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<N>().0) {
        let mut word = 0;
        for i in 0..N {
            word |= u32::from(from[i]) << (8 * i);
        }
        for l in 0..8 {
            let code = word >> (N * l) & ((1 << N) - 1);
            to[l] = (code as f32).mul_add(step, low);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        fn check<const N: usize>() {
            let codes: Vec<u8> = (0..64).map(|i| (i * i / 3 % (1 << N)) as u8).collect();
            let (mut packed, mut back) = (vec![0; 8 * N], vec![0.0; 64]);
            pack::<N>(&codes, &mut packed);
            unpack::<N>(&packed, 1.0, 2.0, &mut back);
            assert!(
                codes.iter().zip(&back).all(|(code, back)| (1.0 + 2.0 * f32::from(*code)).to_bits() == back.to_bits())
            );
        }
        check::<1>();
        check::<2>();
        check::<4>();
    }

    #[test]
    fn a_grid_covers_what_it_is_made_of() {
        let x: [f32; 16] = std::array::from_fn(|i| (i * i) as f32 - 40.0);
        let grid = Grid::over(&x, 15, 1.0);
        let step = from_half(grid.step);
        for (x, code) in x.iter().zip(grid.codes(&x, 15)) {
            assert!((f32::from(code).mul_add(step, from_half(grid.low)) - x).abs() <= 0.51 * step);
        }
        let flat = Grid::over(&[3.0; 4], 3, SPAN);
        assert_eq!((from_half(flat.low).to_bits(), flat.step), (3f32.to_bits(), 0));
    }
}
