//! What the targets share: files of the program that belong to no library, and a house with a small journal behind a gateway.
//!
//! Each target gives what the network may send to the program's own code. It fails with a panic, a wrong address, memory above
//! the fuzzer's limit or a minute without an end.
#![forbid(unsafe_code)]

#[path = "../../../firmware/device/src/condition.rs"]
pub mod condition;
#[path = "../../../tools/fleet/src/event.rs"]
pub mod event;
mod house;
#[path = "../../../firmware/device/src/said.rs"]
pub mod said;
#[path = "../../../firmware/device/src/when.rs"]
pub mod when;
#[path = "../../../firmware/device/src/wish.rs"]
pub mod wish;

pub use house::{Day, Exchange};
