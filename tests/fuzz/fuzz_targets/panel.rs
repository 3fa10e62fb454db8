//! What comes over the panel's line, at both of its ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_link::{Deframer, FRAME_BYTES, Packet, Status, encode};

fuzz_target!(|bytes: &[u8]| {
    let (mut at_panel, mut at_runtime, mut out) = (Deframer::new(), Deframer::new(), [0; FRAME_BYTES]);
    for byte in bytes {
        if let Some(Ok(packet)) = at_panel.push::<Packet>(*byte) {
            assert!(encode(&packet, &mut out).is_ok(), "what was read can be written");
        }
        if let Some(Ok(status)) = at_runtime.push::<Status>(*byte) {
            assert!(encode(&status, &mut out).is_ok(), "what was read can be written");
        }
    }
});
