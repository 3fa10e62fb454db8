//! A process of its own: what is set here holds for all of it.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::hint::black_box;

use ocelli_heap::CountingAlloc;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

/// Pages that the system had to give while some tensors were made and freed a hundred times.
fn faults_of_pictures() -> u64 {
    let before = faults();
    for _ in 0..100 {
        let tensors: Vec<Vec<u8>> = (0..8).map(|_| black_box(vec![1; 300 << 10])).collect();
        drop(tensors);
    }
    faults() - before
}

fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux has it");
    let after_name = stat.rsplit_once(')').expect("the name is in parentheses").1;
    after_name
        .split_whitespace()
        .nth(7)
        .and_then(|count| count.parse().ok())
        .expect("minor faults are the tenth number")
}

#[test]
fn freed_tensors_are_given_again_without_the_system() {
    let by_itself = faults_of_pictures();
    CountingAlloc::keep_freed();
    faults_of_pictures();
    let kept = faults_of_pictures();
    // Eight tensors are 600 pages.
    assert!(by_itself > 10_000 && kept < 600, "{by_itself} and then {kept} pages in a hundred pictures");
}
