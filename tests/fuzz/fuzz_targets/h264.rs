//! Packets of a camera of the network in H.264, one behind each start code of four bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ocelli_drivers::fuzz::h264(bytes));
