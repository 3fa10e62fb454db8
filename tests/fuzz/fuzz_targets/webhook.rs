//! What a webhook's target answers, as it comes on the connection.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    ocelli_gateway::fuzz::answer(bytes);
});
