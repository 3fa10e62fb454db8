//! Measures our int8 STAB on real pictures, the products beneath it, and the memory behind it, on the machine that it runs on.
//!
//! `tools/bench/stab.py` runs the program in turn with ONNX Runtime, which gets the same canvases; `cargo xtask bench
//! stab` does both, `cargo xtask bench memory` and `cargo xtask bench journal` run the rest; `cargo xtask eval language` asks
//! the generative head.
#![deny(unsafe_code)]

mod case;
mod clip;
mod conditions;
mod days;
mod drop;
mod generate;
mod journal;
mod kernels;
mod kv;
mod machine;
mod memory;
#[expect(unsafe_code, reason = "instructions that the compiler does not know to be there, or does not know at all")]
mod peak;
mod serve;
mod team;
mod vocabulary;

pub use case::{Case, Movement, Play, Shot, WARM_UP, cases, clips};
pub use clip::{Seen, gate, watch};
pub use conditions::conditions;
pub use days::write_days;
pub use drop::drop_curve;
pub use generate::Talker;
pub use journal::journal_table;
pub use kernels::{Product, SHAPES, products};
pub use kv::{KvDistance, KvFigures, KvLayer, kv_report, measure as measure_kv, synthetic as synthetic_kv};
pub use machine::{Cache, caches, holder};
pub use memory::{config as memory_config, needle, recall, table};
pub use peak::{Line, dot, read};
pub use serve::{Server, answer};
pub use vocabulary::vocabulary_table;
