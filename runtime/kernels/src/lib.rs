//! The arithmetic of STAB and the language head: int8 products with what goes before and after them fused in, the
//! f32 parts between them, and the KV cache.
//!
//! Every function takes an [`Isa`], the instructions to use, and gives the same bits for each: integer sums are exact,
//! and floating-point sums have one order, 16 lanes wide, on every CPU. The byte dot products are written once for each
//! CPU (`dot/`); everything else is written once, in portable Rust, and compiled for each.
//!
//! The numbers (blocked weights, rows quantized on use) are those of the ONNX domain `ai.ocelli`, described in
//! `models/OPS.md`. Nothing here allocates once a part has seen its first frame.
//!
//! The portable path is for tests and for CPUs that we do not know: without an instruction for multiply-adds it is some
//! seventeen times slower than AVX2.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over lanes of several arrays; closures would be compiled apart, for a CPU without vectors"
)]
#![allow(clippy::inline_always, reason = "what is not inlined is compiled apart, for a CPU without vectors")]
#![allow(clippy::too_many_arguments, reason = "what a kernel reads and writes")]

mod aligned;
mod attention;
mod conv;
mod decoder;
mod dot;
mod fsra;
mod gstra;
mod isa;
mod kv;
mod linear;
mod lsd;
mod lste;
mod math;
mod pool;
mod project;
mod rows;
mod team;

pub use attention::{AttentionScratch, Rows, attend_one, attention};
pub use decoder::{DecoderLayer, DecoderScratch};
pub use fsra::Fsra;
pub use gstra::Gstra;
pub use isa::Isa;
pub use kv::{KvBits, KvCache, KvCaches, KvConfig, KvCounts, KvError, KvScratch, Positions};
pub use linear::{Act, Input, Linear, Scratch, linear};
pub use lsd::Lsd;
pub use lste::Lste;
pub use project::Project;
pub use team::Team;

/// Added to variances before the root, as in PyTorch.
const EPSILON: f32 = 1e-5;
