//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Allocations of this thread. A constant without a destructor: reading it allocates nothing, at any time.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread allocated, less those that it freed.
    static GROWN_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Bytes held by all threads.
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// The most that was ever held.
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

/// What [`CountingAlloc::count`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<T> {
    /// What the work returned.
    pub value: T,
    /// Calls of the allocator by this thread: allocations and reallocations.
    pub allocations: u64,
    /// Bytes that this thread allocated and did not free; below 0 if it freed more.
    pub grown_bytes: i64,
}

/// The system's allocator, with a count for each thread (the test harness has threads of its own, which allocate when
/// they like) and the bytes held by the process.
///
/// ```
/// use ocelli_testkit::CountingAlloc;
///
/// #[global_allocator]
/// static ALLOC: CountingAlloc = CountingAlloc;
///
/// let counted = CountingAlloc::count(|| vec![1_u8; 1000]);
/// assert_eq!((counted.allocations, counted.grown_bytes), (1, 1000));
/// assert!(CountingAlloc::live_bytes() >= 1000);
/// assert_eq!(CountingAlloc::count(|| counted.value.len()).allocations, 0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAlloc;

impl CountingAlloc {
    /// Does `work` and counts what this thread allocates meanwhile; nothing also if this is not the global allocator.
    pub fn count<T>(work: impl FnOnce() -> T) -> Counted<T> {
        let before = (CALLS.get(), GROWN_BYTES.get());
        let value = work();
        Counted { value, allocations: CALLS.get() - before.0, grown_bytes: GROWN_BYTES.get() - before.1 }
    }

    /// Bytes held by the process now.
    pub fn live_bytes() -> usize {
        LIVE_BYTES.load(Ordering::Relaxed)
    }

    /// The most bytes that the process ever held.
    pub fn peak_bytes() -> usize {
        PEAK_BYTES.load(Ordering::Relaxed)
    }
}

fn allocated(bytes: usize) {
    CALLS.set(CALLS.get() + 1);
    GROWN_BYTES.set(GROWN_BYTES.get().wrapping_add_unsigned(bytes as u64));
    let live = LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
}

fn freed(bytes: usize) {
    GROWN_BYTES.set(GROWN_BYTES.get().wrapping_sub_unsigned(bytes as u64));
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call goes to `System` as it came, and its answer back; counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for CountingAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: `block` came from `System` through `alloc` or `realloc`, with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        freed(layout.size());
        allocated(new_size);
        // SAFETY: `block` came from `System` with this `layout`, and the caller answers for `new_size`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
