//! Whatever a client sends on a connection: heads, cookies, tokens, ranges, bodies in chunks.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ocelli_fuzz::Exchange;

static EXCHANGE: LazyLock<Exchange> = LazyLock::new(Exchange::default);

fuzz_target!(|bytes: &[u8]| {
    let reply = EXCHANGE.send(bytes);
    assert!(reply.is_empty() || reply.starts_with(b"HTTP/1."), "an answer should be one");
    assert!(!reply.starts_with(b"HTTP/1.1 500"), "no request should make the program fail");
});
