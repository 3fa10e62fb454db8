//! What the model saw, for the live view: the newest pixels of each patch, where the config allows that they are shown.
//!
//! Nothing is encoded and nothing is written to a disk: a viewer gets the patches that changed since it was last given some, which
//! are those that the model got. Without a viewer nothing is copied.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

use tokio::sync::watch;

#[derive(Debug)]
struct Held {
    /// `[patches][patch_bytes]`
    pixels: Vec<u8>,
    /// Number of the picture in which each patch was last copied.
    changed: Vec<u64>,
    /// Patches that the gate kept of the newest picture.
    kept: Vec<u16>,
    /// Columns and rows in which the picture lies: the first, and one past the last, of each.
    content: [u16; 4],
    captured_us: u64,
    number: u64,
}

/// What one camera's model saw.
#[derive(Debug)]
pub struct Canvas {
    across: u16,
    patch_px: u16,
    held: Mutex<Held>,
    viewers: AtomicUsize,
    /// Whether all patches are to be copied, because some may have been left out.
    stale: AtomicBool,
    news: watch::Sender<u64>,
}

impl Canvas {
    /// Nothing seen yet, of `across` times `across` patches of so many pixels a side, RGB.
    pub fn new(across: u16, patch_px: u16) -> Self {
        let patches = usize::from(across).pow(2);
        let pixels = vec![0; patches * usize::from(patch_px).pow(2) * 3];
        let (changed, kept) = (vec![0; patches], Vec::with_capacity(patches));
        let held = Held { pixels, changed, kept, content: [0, across, 0, across], captured_us: 0, number: 0 };
        let (viewers, stale, news) = (AtomicUsize::new(0), AtomicBool::new(true), watch::Sender::new(0));
        Self { across, patch_px, held: Mutex::new(held), viewers, stale, news }
    }

    /// Bytes of one, which a message to a viewer does not exceed.
    pub const fn bytes(across: usize, patch_px: usize) -> usize {
        let patches = across * across;
        patches * patch_px * patch_px * 3 + 12 * patches + 64
    }

    /// Shows a picture, `[patches][patch_bytes]`, which lies in these columns and rows, of which the model got these patches and the
    /// gate kept those. Waits for nobody:
    /// while a viewer copies, which takes some microseconds, it is left out, and the next one shown whole.
    pub fn show(
        &self,
        pixels: &[u8],
        content: [u16; 4],
        sent: impl Iterator<Item = usize>,
        kept: impl Iterator<Item = usize>,
        captured_us: u64,
    ) {
        if self.viewers.load(Ordering::Relaxed) == 0 {
            self.stale.store(true, Ordering::Relaxed);
            return;
        }
        let mut held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.stale.store(true, Ordering::Relaxed);
                return;
            }
        };
        let Held { pixels: to, changed, kept: shown, .. } = &mut *held;
        if pixels.len() != to.len() {
            return;
        }
        let number = self.news.borrow().wrapping_add(1);
        let (patches, bytes) = (changed.len(), to.len() / changed.len());
        shown.clear();
        shown.extend(kept.filter(|patch| *patch < patches).map(|patch| patch as u16));
        if self.stale.swap(false, Ordering::Relaxed) {
            to.copy_from_slice(pixels);
            changed.fill(number);
        } else {
            for patch in sent.filter(|patch| *patch < patches) {
                let at = patch * bytes..(patch + 1) * bytes;
                to[at.clone()].copy_from_slice(&pixels[at]);
                changed[patch] = number;
            }
        }
        (held.content, held.captured_us, held.number) = (content, captured_us, number);
        drop(held);
        self.news.send_replace(number);
    }

    /// Somebody who looks.
    pub(crate) fn viewer(self: std::sync::Arc<Self>) -> Viewer {
        self.viewers.fetch_add(1, Ordering::Relaxed);
        let news = self.news.subscribe();
        Viewer { canvas: self, news, seen: 0 }
    }
}

/// One who looks. While there is none, nothing is copied.
#[derive(Debug)]
pub(crate) struct Viewer {
    canvas: std::sync::Arc<Canvas>,
    news: watch::Receiver<u64>,
    seen: u64,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.canvas.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Viewer {
    /// What changed since the last call, as one message, all little-endian: its length without these 4 bytes (u32), patches across,
    /// pixels across a patch, kept patches, sent patches (u16 each), capture time in microseconds (u64), the first column of the picture, one past
    /// its last, the same of its rows (u16 each), the kept patches' indices
    /// (u16 each), and each sent patch: index (u16) and pixels (RGB, row by row). `None` when the program or who looks has gone.
    pub(crate) async fn next<T>(&mut self, to: &tokio::sync::mpsc::Sender<T>) -> Option<Vec<u8>> {
        loop {
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = to.closed() => return None,
            }
            if let Some(message) = self.message() {
                return Some(message);
            }
        }
    }

    fn message(&mut self) -> Option<Vec<u8>> {
        let held = self.canvas.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if held.number == 0 || held.number == self.seen {
            return None;
        }
        let sent =
            || held.changed.iter().enumerate().filter(|(_, number)| **number > self.seen).map(|(patch, _)| patch);
        let (count, bytes) = (sent().count(), held.pixels.len() / held.changed.len());
        let length = 24 + 2 * held.kept.len() + count * (2 + bytes);
        let mut message = Vec::with_capacity(4 + length);
        message.extend_from_slice(&(length as u32).to_le_bytes());
        for number in [self.canvas.across, self.canvas.patch_px, held.kept.len() as u16, count as u16] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        message.extend_from_slice(&held.captured_us.to_le_bytes());
        held.content.iter().for_each(|at| message.extend_from_slice(&at.to_le_bytes()));
        held.kept.iter().for_each(|patch| message.extend_from_slice(&patch.to_le_bytes()));
        for patch in sent() {
            message.extend_from_slice(&(patch as u16).to_le_bytes());
            message.extend_from_slice(&held.pixels[patch * bytes..(patch + 1) * bytes]);
        }
        self.seen = held.number;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Both columns, the second row.
    const LOWER: [u16; 4] = [0, 2, 1, 2];

    #[test]
    fn a_viewer_gets_what_changed_and_without_one_nothing_is_copied() {
        let canvas = Arc::new(Canvas::new(2, 1));
        canvas.show(&[1; 12], LOWER, [0].into_iter(), [0].into_iter(), 5);
        assert_eq!(canvas.held.lock().expect("whole").number, 0, "nobody looks");
        let mut viewer = Arc::clone(&canvas).viewer();
        assert_eq!(viewer.message(), None);
        canvas.show(&[2; 12], LOWER, [3].into_iter(), [3].into_iter(), 6);
        let first = viewer.message().expect("a picture");
        assert_eq!(first.len(), 4 + 24 + 2 + 4 * 5, "the first is whole");
        assert_eq!(first[..4], 46_u32.to_le_bytes());
        canvas.show(&[3; 12], LOWER, [1].into_iter(), [1].into_iter(), 7);
        canvas.show(&[4; 12], LOWER, [2].into_iter(), [2].into_iter(), 8);
        let next = viewer.message().expect("two pictures in one");
        let wanted = [
            36, 0, 0, 0, 2, 0, 1, 0, 1, 0, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 2, 0, 2, 0, 1, 0, 3, 3, 3,
            2, 0, 4, 4, 4,
        ];
        assert_eq!(next, wanted);
        assert_eq!(viewer.message(), None);
        drop(viewer);
        assert_eq!(canvas.viewers.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_picture_that_was_left_out_is_made_up_for() {
        let canvas = Arc::new(Canvas::new(2, 1));
        let mut viewer = Arc::clone(&canvas).viewer();
        canvas.show(&[1; 12], LOWER, [0].into_iter(), [0].into_iter(), 1);
        assert!(viewer.message().is_some());
        let held = canvas.held.lock().expect("whole");
        canvas.show(&[2; 12], LOWER, [0].into_iter(), [0].into_iter(), 2);
        drop(held);
        canvas.show(&[3; 12], LOWER, [1].into_iter(), [1].into_iter(), 3);
        assert_eq!(viewer.message().expect("whole").len(), 4 + 24 + 2 + 4 * 5);
    }
}
