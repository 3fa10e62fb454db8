//! A message that a broker delivers: its topic in the first line, behind a `!` where it was retained, and its payload below.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let topic = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let payload = bytes.get(topic.len() + 1..).unwrap_or_default();
    let (topic, retained) = topic.strip_prefix(b"!").map_or((topic, false), |topic| (topic, true));
    ocelli_gateway::fuzz::command(&String::from_utf8_lossy(topic), payload, retained);
});
