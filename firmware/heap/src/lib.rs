//! The allocator of the program, of the benchmark and of the tests: the system's, with counts and a ceiling.
//!
//! What it counts are the bytes that were asked for, of Rust code; what C libraries take (the H.264 decoder) goes past it,
//! and so does what the system's allocator keeps beside a block. A count costs a few relaxed atomic additions a call.
//!
//! Unsafe code is denied everywhere but in `alloc.rs`: an allocator cannot be written without.
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]
mod alloc;
mod words;

pub use alloc::{Counted, CountingAlloc, Pool, Tally};
