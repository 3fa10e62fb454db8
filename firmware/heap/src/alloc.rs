//! The allocator: [`CountingAlloc`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::words::Refusal;

/// Which threads are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pool {
    /// Threads that joined none: helpers of drivers and libraries.
    #[default]
    Other,
    /// The main thread: start, narrator, memory, output.
    Think,
    /// STAB.
    Stab,
    /// Source, resizing, token drop.
    Capture,
}

/// What a pool, or a thread, asked the allocator for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Allocations and reallocations.
    pub calls: u64,
    /// Bytes of them all, whether freed since or not.
    pub bytes: u64,
}

impl Tally {
    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { calls: self.calls.max(other.calls), bytes: self.bytes.max(other.bytes) }
    }
}

/// What [`CountingAlloc::count`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<T> {
    /// What the work returned.
    pub value: T,
    /// Calls of the allocator by this thread: allocations and reallocations.
    pub allocations: u64,
    /// Bytes of them all, whether freed since or not.
    pub asked_bytes: u64,
    /// Bytes that this thread allocated and did not free; below 0 if it freed more.
    pub grown_bytes: i64,
}

impl<T> Counted<T> {
    /// What was asked for.
    pub fn tally(&self) -> Tally {
        Tally { calls: self.allocations, bytes: self.asked_bytes }
    }
}

/// The counts of one thread.
struct Own {
    pool: Cell<Pool>,
    calls: Cell<u64>,
    asked_bytes: Cell<u64>,
    grown_bytes: Cell<i64>,
}

thread_local! {
    /// A constant without a destructor: reading it allocates nothing, at any time.
    static OWN: Own = const {
        Own { pool: Cell::new(Pool::Other), calls: Cell::new(0), asked_bytes: Cell::new(0), grown_bytes: Cell::new(0) }
    };
}

/// The counts of one pool, in a cache line of their own: two threads do not wait for each other.
#[repr(align(64))]
struct Shared {
    calls: AtomicU64,
    bytes: AtomicU64,
}

static POOLS: [Shared; 4] = [const { Shared { calls: AtomicU64::new(0), bytes: AtomicU64::new(0) } }; 4];

/// Bytes held by all threads.
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// The most that was ever held.
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);
/// The most that may be held.
static CEILING_BYTES: AtomicUsize = AtomicUsize::new(usize::MAX);
/// What the ceiling was made from, for the last line.
static BUDGET_BYTES: AtomicUsize = AtomicUsize::new(usize::MAX);
/// How a refused allocation ends the program, if it does.
static END: OnceLock<End> = OnceLock::new();
/// Set by the thread that ends the program.
static ENDING: AtomicBool = AtomicBool::new(false);

struct End {
    code: i32,
    advice: &'static str,
}

/// The system's allocator, with a count for each thread and each [`Pool`], the bytes held by the process, and a ceiling.
///
/// ```
/// use ocelli_heap::CountingAlloc;
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
        let now = || OWN.with(|own| (own.calls.get(), own.asked_bytes.get(), own.grown_bytes.get()));
        let before = now();
        let value = work();
        let after = now();
        Counted {
            value,
            allocations: after.0 - before.0,
            asked_bytes: after.1 - before.1,
            grown_bytes: after.2 - before.2,
        }
    }

    /// Counts this thread to `pool` from now on.
    pub fn join(pool: Pool) {
        OWN.with(|own| own.pool.set(pool));
    }

    /// What the threads of `pool` asked for so far.
    pub fn tally(pool: Pool) -> Tally {
        let shared = &POOLS[pool as usize];
        Tally { calls: shared.calls.load(Ordering::Relaxed), bytes: shared.bytes.load(Ordering::Relaxed) }
    }

    /// What this thread asked for so far.
    pub fn own_tally() -> Tally {
        OWN.with(|own| Tally { calls: own.calls.get(), bytes: own.asked_bytes.get() })
    }

    /// Bytes held by the process now.
    pub fn live_bytes() -> usize {
        LIVE_BYTES.load(Ordering::Relaxed)
    }

    /// The most bytes that the process ever held.
    pub fn peak_bytes() -> usize {
        PEAK_BYTES.load(Ordering::Relaxed)
    }

    /// Refuses allocations from now on that would make the process hold more than `ceiling_bytes`, which is what a budget
    /// of `budget_bytes` leaves for the heap.
    pub fn set_ceiling(ceiling_bytes: u64, budget_bytes: u64) {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        BUDGET_BYTES.store(bytes(budget_bytes), Ordering::Relaxed);
        CEILING_BYTES.store(bytes(ceiling_bytes), Ordering::Relaxed);
    }

    /// A refused allocation ends the program from now on: one line on standard error with `advice` at its end, then exit
    /// with `code`, at once and without destructors, which might allocate. Nothing here goes on after a refusal; without
    /// this the standard library aborts. The first call counts.
    pub fn end_with(code: i32, advice: &'static str) {
        END.get_or_init(|| End { code, advice });
    }
}

/// Counts `bytes` as held, unless that is above the ceiling.
fn hold(bytes: usize) -> bool {
    let held = LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes);
    if held > CEILING_BYTES.load(Ordering::Relaxed) {
        drop_hold(bytes);
        return false;
    }
    if held > PEAK_BYTES.load(Ordering::Relaxed) {
        PEAK_BYTES.fetch_max(held, Ordering::Relaxed);
    }
    true
}

fn drop_hold(bytes: usize) {
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

/// Counts a call that asked for `bytes`, in place of `freed` bytes.
fn called(bytes: usize, freed: usize) {
    OWN.with(|own| {
        own.calls.set(own.calls.get() + 1);
        own.asked_bytes.set(own.asked_bytes.get() + bytes as u64);
        let grown = own.grown_bytes.get().wrapping_add_unsigned(bytes as u64);
        own.grown_bytes.set(grown.wrapping_sub_unsigned(freed as u64));
        let pool = &POOLS[own.pool.get() as usize];
        pool.calls.fetch_add(1, Ordering::Relaxed);
        pool.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    });
}

/// The answer to a call that asked for `bytes` and got nothing.
#[cold]
fn refused(bytes: usize, by_ceiling: bool) -> *mut u8 {
    let Some(end) = END.get() else { return null_mut() };
    if ENDING.swap(true, Ordering::Relaxed) {
        // Another thread is at its last words.
        loop {
            // SAFETY: `pause` takes and touches nothing.
            unsafe { libc::pause() };
        }
    }
    let known = |bytes: usize| (bytes != usize::MAX).then_some(bytes);
    let refusal = Refusal {
        asked: bytes,
        held: CountingAlloc::live_bytes(),
        ceiling: known(CEILING_BYTES.load(Ordering::Relaxed)).filter(|_| by_ceiling),
        budget: known(BUDGET_BYTES.load(Ordering::Relaxed)),
    };
    let line = refusal.line(end.advice);
    let text = line.bytes();
    // SAFETY: `text` is readable for its length; `_exit` may be called at any time and does not return. Neither
    // allocates, nor takes a lock of the standard library, which this thread may hold.
    unsafe {
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        libc::_exit(end.code)
    }
}

impl CountingAlloc {
    /// Lets glibc keep blocks of up to a mebibyte when they are freed, and give memory back from four mebibytes on.
    ///
    /// An engine frees its intermediate tensors, of 200 to 300 KiB each, and asks for the same again with the next picture.
    /// By itself glibc gives their pages back each time, and the system clears them each time: 72 a picture, and an eighth
    /// of the narrator's time. What is larger (a picture, a snapshot) goes back at once, as it does by itself. Where the C
    /// library is another, nothing is done.
    pub fn keep_freed() {
        // SAFETY: sets two numbers of the allocator, under its own lock.
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
            libc::mallopt(libc::M_TRIM_THRESHOLD, 4 << 20);
        }
    }

    /// Lets glibc give back what is freed as far as it can, each block of 64 KiB and more at once: for a command that loads a model,
    /// uses it once, and has little memory. By itself glibc keeps what lies between blocks that stay, five mebibytes of a text encoder's
    /// file.
    pub fn return_freed() {
        // SAFETY: sets a number of the allocator, under its own lock.
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 10);
            libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 10);
        }
    }

    /// A new block of `bytes` from `system`.
    fn give(bytes: usize, system: impl FnOnce() -> *mut u8) -> *mut u8 {
        if !hold(bytes) {
            return refused(bytes, true);
        }
        let block = system();
        if block.is_null() {
            drop_hold(bytes);
            return refused(bytes, false);
        }
        called(bytes, 0);
        block
    }
}

// SAFETY: every call that is within the ceiling goes to `System` as it came, and its answer back; one above it gets null,
// which says that there is no memory. Counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for CountingAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        Self::give(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        drop_hold(layout.size());
        OWN.with(|own| own.grown_bytes.set(own.grown_bytes.get().wrapping_sub_unsigned(layout.size() as u64)));
        // SAFETY: `block` came from `System` through `alloc` or `realloc`, with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        Self::give(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Only what is more is held anew: the peak is what was lent, not what `System` holds while it moves a block.
        let (more, less) = (new_size.saturating_sub(layout.size()), layout.size().saturating_sub(new_size));
        if !hold(more) {
            return refused(new_size, true);
        }
        // SAFETY: `block` came from `System` with this `layout`, and the caller answers for `new_size`.
        let moved = unsafe { System.realloc(block, layout, new_size) };
        if moved.is_null() {
            drop_hold(more);
            return refused(new_size, false);
        }
        drop_hold(less);
        called(new_size, layout.size());
        moved
    }
}
