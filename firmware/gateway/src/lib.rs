//! How others reach the program: HTTP with a web page, MQTT, webhooks. The only crate that listens.
//!
//! ```text
//!  think thread --tell--> Feed (the newest events, bounded) --> server-sent events
//!                                                           `-> Courier: outbox (disk) --> MQTT, webhooks
//!  HTTP request --> House (what the program lets others ask and do: journal, state, ask, teach)
//! ```
//!
//! The think thread hands over what it says with [`Feed::tell`], which never waits: a reader that is too slow finds out what it
//! missed, and reads that from the journal. Everything else goes through [`House`], which the program implements; this crate
//! knows no camera, no model and no journal.
#![forbid(unsafe_code)]

mod canvas;
mod courier;
mod error;
mod event;
mod feed;
pub mod house;
mod http;
mod mqtt;
mod outbox;
mod secret;
mod settings;
pub mod setup;
mod snapshots;
mod target;
mod trust;
mod webhook;

/// What reads from the network and is not reached from outside, for `tests/fuzz`.
#[doc(hidden)]
pub mod fuzz {
    pub use crate::mqtt::fuzzed as command;
    pub use crate::webhook::fuzzed as answer;
}

pub use canvas::Canvas;
pub use courier::{COURIER_CODE_BYTES, COURIER_HEAP_BYTES, COURIER_STACKS_BYTES, Courier, TargetState, Targets};
pub use error::GatewayError;
pub use event::{Event, OfAlert, Severity, TOLD_AGAIN};
pub use feed::{Feed, Heard, Reader};
pub use house::{About, Answered, Camera, Changes, House, HouseError, State};
pub use http::{Account, Gateway, Role, fill_with};
pub use mqtt::MqttTable;
pub use outbox::{HELD, Message, Outbox, OutboxError};
pub use secret::Secret;
pub use settings::{CODE_BYTES, HEAP_BYTES, MEDIA_BYTES, STACKS_BYTES, Settings, viewer_bytes};
pub use snapshots::Snapshots;
pub use target::{Controls, OutboxTable, Tuning, VerbosityName};
pub use webhook::WebhookTable;
