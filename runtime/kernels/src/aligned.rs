//! Buffers that begin at a cache line: a vector load of 64 bytes then never touches two.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Numbers of which every pattern of bytes is one.
///
/// # Safety
/// Any bytes are a valid value, and 64 is a multiple of the alignment.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: every pattern of bytes is a number.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for i8 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}

/// A slice of fixed length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aligned<T> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Plain> Aligned<T> {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        let bytes = len.checked_mul(size_of::<T>()).expect("a buffer should fit into memory");
        Self { lines: vec![Line([0; 64]); bytes.div_ceil(64)], len, of: PhantomData }
    }
}

impl<T: Plain> From<&[T]> for Aligned<T> {
    fn from(values: &[T]) -> Self {
        let mut made = Self::zeros(values.len());
        made.copy_from_slice(values);
        made
    }
}

impl<T: Plain> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` values, aligned to more than a value needs, and any bytes are values.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the borrow of `self` is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_put_in() {
        let mut values = Aligned::<f32>::from(&[1.0, 2.0, 3.0][..]);
        values[1] = 5.0;
        assert_eq!(*values, [1.0, 5.0, 3.0]);
        assert_eq!(values.as_ptr() as usize % 64, 0);
        assert!(Aligned::<i8>::zeros(0).is_empty());
    }
}
