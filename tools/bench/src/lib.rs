//! Measures our int8 STAB on real pictures, and the products beneath it, on the machine that it runs on.
//!
//! `tools/bench/stab.py` runs the program in turn with ONNX Runtime, which gets the same canvases; `cargo xtask bench
//! stab` does both.
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]
mod alloc;
mod case;
mod clip;
mod kernels;
mod kv;
mod machine;
#[expect(unsafe_code, reason = "instructions that the compiler does not know to be there, or does not know at all")]
mod peak;
mod serve;

pub use alloc::{Allocated, TallyAlloc};
pub use case::{Case, Movement, Play, Shot, WARM_UP, cases};
pub use clip::{Seen, gate, watch};
pub use kernels::{Product, SHAPES, products};
pub use kv::{KvDistance, KvFigures, KvLayer, measure as measure_kv, synthetic as synthetic_kv};
pub use machine::{Cache, caches, holder};
pub use peak::{Line, dot, read};
pub use serve::{Server, answer};
