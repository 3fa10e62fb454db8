//! The KV cache takes its memory at the start and never again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ocelli_kernels::{Isa, KvBits, KvCaches, KvConfig, Positions};

thread_local! {
    /// Allocations of this thread: the test harness has threads of its own.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to `System` as it came, and its answer back; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` through `alloc`, with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOC: Counting = Counting;

#[test]
fn nothing_is_allocated_after_the_start() {
    for bits in [KvBits::Eight, KvBits::Four, KvBits::Low] {
        let config = KvConfig {
            query_heads: 3,
            kv_heads: 1,
            width: 16,
            rope_base: 1e4,
            positions: Positions::AsSeen,
            bits,
            page: 16,
            window: 16,
            sinks: 2,
            buckets: 2,
            top: 1,
            memory: 0.1,
            bytes: 8000,
        };
        let mut caches = KvCaches::new(&[config; 2]).expect("the sizes should go together");
        let (query, mut out) = ([0.5; 48], [0.0; 48]);
        let isa = Isa::detect();
        let before = (CALLS.get(), caches.bytes());
        for position in 0..if cfg!(miri) { 180 } else { 600 } {
            for layer in 0..2 {
                caches.push(layer, 3 * position, &query[..16], &query[16..32]).expect("numbers should be taken");
                let top_pages = position as usize % 4;
                caches
                    .attend(isa, layer, &query, 3 * position, top_pages, &mut out)
                    .expect("there should be an answer");
            }
        }
        assert_eq!((CALLS.get(), caches.bytes()), before);
        assert!(caches.layers().iter().all(|layer| layer.counts().evicted_pages > 0));
    }
}
