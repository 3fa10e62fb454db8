//! An allocator that counts calls and bytes, freed ones too: what a step asks for, not what it keeps.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Constants without a destructor: reading them allocates nothing, at any time.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// What this thread asked the allocator for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// Allocations and reallocations.
    pub calls: u64,
    /// Bytes of them all, whether freed since or not.
    pub bytes: u64,
}

impl Allocated {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { calls: self.calls.max(other.calls), bytes: self.bytes.max(other.bytes) }
    }
}

/// The system's allocator, with a count for each thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct TallyAlloc;

impl TallyAlloc {
    /// Does `work` and counts what this thread allocates meanwhile; nothing if this is not the global allocator.
    pub fn count<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
        let before = (CALLS.get(), BYTES.get());
        let value = work();
        (value, Allocated { calls: CALLS.get() - before.0, bytes: BYTES.get() - before.1 })
    }
}

fn allocated(bytes: usize) {
    CALLS.set(CALLS.get() + 1);
    BYTES.set(BYTES.get() + bytes as u64);
}

// SAFETY: every call goes to `System` as it came, and its answer back; counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for TallyAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` through `alloc` or `realloc`, with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        allocated(new_size);
        // SAFETY: `block` came from `System` with this `layout`, and the caller answers for `new_size`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
