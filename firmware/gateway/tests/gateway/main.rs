//! The gateway from outside: the outbox as power cuts leave it, webhooks against a server that fails, MQTT against real brokers.

mod common;
mod fleet;
mod mqtt;
mod outbox;
mod webhook;
