//! No path reads or writes beyond the end of what it was given: every allocation of this program ends at a page that must
//! not be touched. `AddressSanitizer` says more about where, but does not run on emulated CPUs.

#![cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_void};

use common::Random;
use ocelli_kernels::{Act, Input, Isa, Scratch, linear};

/// The largest page that Linux has on these CPUs.
const PAGE: usize = 65536;

unsafe extern "C" {
    fn mmap(at: *mut c_void, len: usize, protection: c_int, flags: c_int, file: c_int, offset: i64) -> *mut c_void;
    fn mprotect(at: *mut c_void, len: usize, protection: c_int) -> c_int;
    fn munmap(at: *mut c_void, len: usize) -> c_int;
}

struct AtTheEdge;

/// Bytes before the page that must not be touched.
fn before(layout: Layout) -> usize {
    layout.size().next_multiple_of(PAGE)
}

/// Where in them an allocation begins.
fn start(layout: Layout) -> usize {
    (before(layout) - layout.size()) & !(layout.align() - 1)
}

// SAFETY: each allocation has memory of its own, of at least its size, aligned as long as that takes no more than a page.
unsafe impl GlobalAlloc for AtTheEdge {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        const READ_WRITE: c_int = 1 | 2;
        const PRIVATE_ANONYMOUS: c_int = 2 | 0x20;
        let len = before(layout);
        // SAFETY: new memory, of which the last page is then closed.
        unsafe {
            let memory = mmap(std::ptr::null_mut(), len + PAGE, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
            if memory.addr() == usize::MAX || mprotect(memory.byte_add(len), PAGE, 0) != 0 {
                return std::ptr::null_mut();
            }
            memory.byte_add(start(layout)).cast()
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: what `alloc` gave for the same layout.
        unsafe { munmap(at.byte_sub(start(layout)).cast(), before(layout) + PAGE) };
    }
}

#[global_allocator]
static EVERYWHERE: AtTheEdge = AtTheEdge;

#[test]
fn nothing_beyond_the_end_is_touched() {
    // As many rows as are quantized at a time: the last one ends where the room for them ends.
    let rows: Vec<u32> = (0..48).collect();
    let mut random = Random(3);
    for k in (1..20).chain([147, 148]) {
        for n in [1, 16, 35, 64, 83] {
            let weights = random.linear(1, k, n);
            let (x, pixels) = (random.values(48 * k), random.bytes(48 * k));
            let residual = random.values(48 * n);
            for isa in Isa::available() {
                for count in [1, 2, 3, 4, 5, 48] {
                    let some = &rows[48 - count..];
                    let run = |input| {
                        let mut out = vec![0.0; 48 * n];
                        let mut scratch = Scratch::for_any([&weights]);
                        linear(isa, &weights, input, some, some, Act::None, Some(&residual), &mut scratch, &mut out);
                    };
                    run(Input::Normed(&x));
                    if k % 4 == 0 {
                        run(Input::Pixels(&pixels));
                    }
                }
            }
        }
    }
}
