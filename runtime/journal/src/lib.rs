//! What is remembered on disk: events, and search in them. The only crate that names SQLite.
//!
//! A [`Writer`] takes what the program says, in batches, and makes one event of narrations that go on (`merge.rs`). The file, with
//! all beside it, stays within its [`Limits`]: the oldest events go first, alerts last. A [`Journal`] reads: by words, by
//! meaning, by camera, time, kind and severity. It holds one chunk of embeddings at a time, and SQLite no more than 3 MiB.
//!
//! Beside the events it keeps where what was seen lately lay (`seen.rs`), of which an example can be taught.
//!
//! Events have two times. Stream time is as they were told, and begins anew in each uptime; the wall clock may jump. So order is that
//! of ids, and age is counted in the journal's own time, which goes on with stream time, over a restart by what the wall clock
//! says was between (by nothing where that cannot be), and never back.
//!
//! [`ask`] answers questions about what was told, and makes the digest of a day.
#![forbid(unsafe_code)]

mod ack;
pub mod ask;
mod error;
mod merge;
mod salvage;
mod schema;
mod search;
mod seen;
mod sense;
mod words;
mod writer;

pub use ack::{Acknowledged, acknowledge};
pub use error::JournalError;
pub use salvage::Salvage;
pub use schema::HEAP_BYTES;
pub use search::{Found, Hole, Journal, MOST_FOUND, Query};
pub use seen::{MOST_MOMENTS, MOST_UNKNOWNS, Ring, Seen};
pub use sense::{EMBEDDING, Vector};
pub use writer::{About, Entry, Limits, Start, Told, Writer};
