//! A message of JetStream that `ocelli-fleet` takes: its subject in the first line, its payload below.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_fuzz::event::Event;

fuzz_target!(|bytes: &[u8]| {
    let subject = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let payload = bytes.get(subject.len() + 1..).unwrap_or_default();
    if let Ok(event) = Event::read(&String::from_utf8_lossy(subject), payload) {
        assert!(!event.text.contains('\0') && event.id.len() <= 256, "a row has room for it");
    }
});
