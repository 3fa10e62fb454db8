//! A request of somebody who may do everything: its method, path and query in the first line, its body below.
#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};

use libfuzzer_sys::{Corpus, fuzz_target};
use ocelli_fuzz::Exchange;

static EXCHANGE: LazyLock<Mutex<Exchange>> = LazyLock::new(Mutex::default);

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Signs that HTTP has no place for are the target `http`'s; a hash takes a tenth of a second each.
    if line.iter().any(|byte| !(b' '..=b'~').contains(byte))
        || [&b"POST /api/users"[..], b"POST /api/login"].contains(&line)
    {
        return Corpus::Reject;
    }
    let body = bytes.get(line.len() + 1..).unwrap_or_default();
    let head = format!(
        "{} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer fuzz\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        String::from_utf8_lossy(line),
        body.len()
    );
    let mut exchange = EXCHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let reply = exchange.send(&[head.as_bytes(), body].concat());
    assert!(reply.is_empty() || reply.starts_with(b"HTTP/1."), "an answer should be one");
    assert!(!reply.starts_with(b"HTTP/1.1 500"), "no request should make the program fail");
    // Somebody who may do everything may take that away.
    if reply.starts_with(b"HTTP/1.1 401") {
        *exchange = Exchange::default();
    }
    Corpus::Keep
});
