//! How others reach the program: HTTP with a web page, MQTT, webhooks. The only crate that opens a socket.
//!
//! ```text
//!  think thread --tell--> Feed (the newest events, bounded) --> server-sent events, MQTT, webhooks
//!  HTTP request --> House (what the program lets others ask and do: journal, state, ask, teach)
//! ```
//!
//! The think thread hands over what it says with [`Feed::tell`], which never waits: a reader that is too slow finds out what it
//! missed, and reads that from the journal. Everything else goes through [`House`], which the program implements; this crate
//! knows no camera, no model and no journal.
#![forbid(unsafe_code)]

mod canvas;
mod error;
mod event;
mod feed;
pub mod house;
mod http;
mod settings;

pub use canvas::Canvas;
pub use error::GatewayError;
pub use event::{Event, OfAlert, Severity};
pub use feed::{Feed, Heard, Reader};
pub use house::{About, Answered, Camera, House, HouseError, State};
pub use http::{Account, Gateway, Role};
pub use settings::{CODE_BYTES, HEAP_BYTES, STACKS_BYTES, Settings, viewer_bytes};
