//! What a program sees that asks for more than it may: each case in a process of its own, since it is the last thing there.

use std::process::{Command, Output};
use std::thread;

use ocelli_heap::{CountingAlloc, Pool};

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

/// Which case this process is.
const CASE: &str = "OCELLI_HEAP_CASE";

/// Runs this test once more as `case`.
fn again(case: &str) -> Output {
    let test = std::env::current_exe().expect("a test knows where it is");
    let arguments = ["--exact", "a_ceiling_ends_the_program_in_one_line", "--nocapture"];
    Command::new(test).args(arguments).env(CASE, case).output().expect("it starts")
}

#[test]
fn a_ceiling_ends_the_program_in_one_line() {
    let hungry = || {
        let mut kept = Vec::new();
        loop {
            kept.push(vec![1_u8; 1 << 20]);
        }
    };
    match std::env::var(CASE).as_deref() {
        Ok("one") => {
            CountingAlloc::end_with(6, "eat less");
            CountingAlloc::set_ceiling(24 << 20, 64 << 20);
            hungry();
        }
        Ok("many") => {
            CountingAlloc::end_with(6, "eat less");
            CountingAlloc::set_ceiling(24 << 20, 64 << 20);
            (0..4).for_each(|_| drop(thread::spawn(hungry)));
            hungry();
        }
        Ok("too large for the system") => {
            CountingAlloc::end_with(6, "eat less");
            drop(vec![1_u8; 1 << 46]);
        }
        Ok("refused") => {
            let before = CountingAlloc::live_bytes();
            CountingAlloc::set_ceiling(before as u64 + (1 << 20), u64::MAX);
            let mut bytes: Vec<u8> = Vec::new();
            assert!(bytes.try_reserve_exact(2 << 20).is_err(), "above the ceiling");
            assert!(bytes.try_reserve_exact(1 << 19).is_ok(), "and what fits is still given");
            assert!(bytes.try_reserve_exact(2 << 20).is_err(), "nor does a block grow above it");
            drop(bytes);
            assert_eq!(CountingAlloc::live_bytes(), before, "what was refused is not held");
        }
        _ => {
            for case in ["one", "many"] {
                let ended = again(case);
                let err = String::from_utf8_lossy(&ended.stderr);
                assert_eq!(ended.status.code(), Some(6), "{case}: {err}");
                let said: Vec<&str> = err.lines().filter(|line| line.contains("out of memory")).collect();
                let (asked, why) =
                    ("bytes asked with ", "the budget of 64.0 MiB leaves 24.0 MiB for the heap; eat less");
                assert!(said.len() == 1 && said[0].contains(asked) && said[0].ends_with(why), "{case}: {err}");
            }
            let ended = again("too large for the system");
            let err = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(6), "{err}");
            assert!(err.contains("the system gives no more; eat less"), "{err}");
            let ended = again("refused");
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
    }
}

#[test]
fn each_pool_counts_its_threads() {
    let (before, blocks) = (CountingAlloc::tally(Pool::Stab), 100);
    let work = thread::spawn(move || {
        CountingAlloc::join(Pool::Stab);
        let own = CountingAlloc::own_tally();
        let counted = CountingAlloc::count(|| (0..blocks).for_each(|_| drop(std::hint::black_box(vec![0_u8; 64]))));
        assert_eq!(CountingAlloc::own_tally().calls, own.calls + blocks);
        counted
    });
    let counted = work.join().expect("it does not panic");
    assert_eq!((counted.allocations, counted.asked_bytes, counted.grown_bytes), (blocks, 64 * blocks, 0));
    let after = CountingAlloc::tally(Pool::Stab);
    assert!(after.calls >= before.calls + blocks && after.bytes >= before.bytes + 64 * blocks);
    assert!(CountingAlloc::peak_bytes() >= CountingAlloc::live_bytes() / 2);
}
