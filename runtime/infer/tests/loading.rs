//! Loading a pack holds little more memory than the pack does afterwards: the device never sees f32 weights.
//!
//! A process of its own, because what is measured is the peak of the process.

use std::path::Path;

use ocelli_infer::{Narrator, Pack, Stab};
use ocelli_testkit::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

#[test]
fn loading_peaks_at_most_a_fifth_above_what_stays() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/home");
    let pack = Pack::open(&folder).expect("the pack is whole");
    let models = (Stab::load(&pack).expect("it is whole"), Narrator::load(&pack).expect("it is whole"));
    let (live, peak) = (CountingAlloc::live_bytes(), CountingAlloc::peak_bytes());
    eprintln!("held {live} bytes, at most {peak}");
    assert!(live as u64 > models.0.weight_bytes() + models.1.weight_bytes(), "the weights are held");
    assert!(peak as f64 <= 1.2 * live as f64, "peak {peak} bytes, then {live}");
}
