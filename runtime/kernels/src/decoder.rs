//! A layer of a generative head: Llama's, with grouped queries, RoPE and `SwiGLU` (Touvron et al. 2023; Ainslie et al. 2023;
//! Shazeer 2020), and its bounded KV cache.

use std::sync::Arc;

use crate::aligned::Aligned;
use crate::dot::Dot;
use crate::isa::for_each_isa;
use crate::linear::{Act, Input, Linear, Scratch, linear};
use crate::{Isa, KvCache, KvConfig, KvError, KvScratch, math};

/// One layer. Weights as in `models/OPS.md`; gains of norms are folded into the matrix that follows.
#[derive(Clone, Debug)]
pub struct DecoderLayer {
    weights: Arc<Weights>,
    config: KvConfig,
    cache: KvCache,
}

#[derive(Debug)]
struct Weights {
    /// `d -> (query heads + 2 kv heads) dh`
    qkv: Linear,
    /// `query heads dh -> d`
    out: Linear,
    /// `d -> 2 hidden`: the gate, then what it lets through.
    up: Linear,
    /// `hidden -> d`
    down: Linear,
}

/// What layers work in, one after the other.
#[derive(Clone, Debug)]
pub struct DecoderScratch {
    rows: Vec<u32>,
    linear: Scratch,
    kv: KvScratch,
    /// `[rows][(query heads + 2 kv heads) dh]`
    qkv: Aligned<f32>,
    /// `[rows][query heads dh]`
    queries: Aligned<f32>,
    mixed: Aligned<f32>,
    /// `[rows][d]`
    attended: Aligned<f32>,
    /// `[rows][2 hidden]`
    gated: Aligned<f32>,
    /// `[rows][hidden]`
    inner: Aligned<f32>,
}

impl DecoderScratch {
    /// Room for layers like this one, and so many tokens at once.
    ///
    /// # Errors
    /// As [`KvConfig::check`].
    pub fn new(like: &DecoderLayer, tokens: usize) -> Result<Self, KvError> {
        let Weights { qkv, out, up, down } = &*like.weights;
        Ok(Self {
            rows: (0..tokens as u32).collect(),
            linear: Scratch::for_any([qkv, out, up, down]),
            kv: KvScratch::for_queries(&like.config, tokens)?,
            qkv: Aligned::zeros(tokens * qkv.n()),
            queries: Aligned::zeros(tokens * out.k()),
            mixed: Aligned::zeros(tokens * out.k()),
            attended: Aligned::zeros(tokens * out.n()),
            gated: Aligned::zeros(tokens * up.n()),
            inner: Aligned::zeros(tokens * down.k()),
        })
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let buffers = [&self.qkv, &self.queries, &self.mixed, &self.attended, &self.gated, &self.inner];
        let floats = buffers.iter().map(|buffer| buffer.len()).sum::<usize>() + self.rows.len();
        4 * floats + self.linear.bytes() + self.kv.bytes()
    }
}

impl DecoderLayer {
    /// `None` if the sizes do not go together.
    ///
    /// # Errors
    /// As [`KvConfig::check`].
    pub fn new(config: &KvConfig, qkv: Linear, out: Linear, up: Linear, down: Linear) -> Result<Option<Self>, KvError> {
        config.check()?;
        let d = qkv.k();
        let heads = (config.query_heads + 2 * config.kv_heads) * config.width;
        let chained = qkv.n() == heads
            && (out.k(), out.n()) == (config.query_heads * config.width, d)
            && (up.k(), up.n()) == (d, 2 * down.k())
            && down.n() == d;
        if !chained || [&qkv, &out, &up, &down].iter().any(|linear| linear.groups() != 1) {
            return Ok(None);
        }
        let weights = Arc::new(Weights { qkv, out, up, down });
        Ok(Some(Self { weights, config: *config, cache: KvCache::new(config)? }))
    }

    /// Width d.
    pub fn width(&self) -> usize {
        self.weights.qkv.k()
    }

    /// Tokens that its cache keeps at most.
    pub const fn context(&self) -> usize {
        self.config.tokens()
    }

    /// Multiply-adds of one token, attention not counted.
    pub fn macs(&self) -> u64 {
        let Weights { qkv, out, up, down } = &*self.weights;
        [qkv, out, up, down].into_iter().map(Linear::macs).sum()
    }

    /// Bytes of weights.
    pub fn weight_bytes(&self) -> usize {
        let Weights { qkv, out, up, down } = &*self.weights;
        [qkv, out, up, down].into_iter().map(Linear::bytes).sum()
    }

    /// Bytes of its cache.
    pub const fn cache_bytes(&self) -> usize {
        KvCache::bytes_for(&self.config)
    }

    /// Forgets all tokens.
    pub fn forget(&mut self) {
        self.cache.clear();
    }

    /// Takes the next tokens, `x` `[tokens][d]`, and writes their rows behind this layer to `to`.
    ///
    /// # Errors
    /// [`KvError::Range`] if the numbers left all bounds, as those of damaged weights do.
    ///
    /// # Panics
    /// If a slice is not of its size, or the scratch is for other layers or fewer tokens.
    pub fn step(&mut self, isa: Isa, x: &[f32], scratch: &mut DecoderScratch, to: &mut [f32]) -> Result<(), KvError> {
        let Weights { qkv, out, up, down } = &*self.weights;
        let (d, count) = (qkv.k(), x.len() / qkv.k());
        assert!(x.len() == count * d && to.len() == x.len(), "a row for each token");
        let DecoderScratch { rows, linear: inside, kv, qkv: asked, queries, mixed, attended, gated, inner } = scratch;
        let rows = &rows[..count];
        linear(isa, qkv, Input::RootMeanSquared(x), rows, rows, Act::None, None, inside, asked);
        let width = self.config.kv_heads * self.config.width;
        for (row, query) in asked.chunks_exact(qkv.n()).zip(queries.chunks_exact_mut(out.k())).take(count) {
            let (asking, rest) = row.split_at(out.k());
            let (keys, values) = rest.split_at(width);
            query.copy_from_slice(asking);
            self.cache.push(self.cache.counts().tokens as u32, keys, values)?;
        }
        let all = count * out.k();
        self.cache.attend_newest(isa, &queries[..all], kv, &mut mixed[..all])?;
        linear(isa, out, Input::Rows(mixed), rows, rows, Act::None, Some(x), inside, attended);
        linear(isa, up, Input::RootMeanSquared(attended), rows, rows, Act::None, None, inside, gated);
        swiglu(isa, &gated[..count * up.n()], down.k(), inner);
        linear(isa, down, Input::Rows(inner), rows, rows, Act::None, Some(attended), inside, to);
        Ok(())
    }
}

for_each_isa! {
    /// `silu(gate) * value` of rows `[gate, value]`, each `hidden` wide.
    fn swiglu(gated: &[f32], hidden: usize, inner: &mut [f32]) = body
}

#[inline(always)]
fn body<A: Dot>(gated: &[f32], hidden: usize, inner: &mut [f32]) {
    for (row, inner) in gated.chunks_exact(2 * hidden).zip(inner.chunks_exact_mut(hidden)) {
        let (gates, values) = row.split_at(hidden);
        for ((inner, gate), value) in inner.iter_mut().zip(gates).zip(values) {
            *inner = math::silu(*gate) * value;
        }
    }
}
