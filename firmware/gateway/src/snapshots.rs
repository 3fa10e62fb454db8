//! The newest snapshot of each camera, from the thread that records to whoever tells others of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A picture in JPEG.
type Jpeg = Arc<[u8]>;

/// Snapshots in JPEG, one a camera, each with the number of its change.
#[derive(Debug, Default)]
pub struct Snapshots {
    newest: Mutex<BTreeMap<String, (u64, Jpeg)>>,
    news: watch::Sender<u64>,
}

impl Snapshots {
    /// Shows one in place of the camera's before.
    pub fn show(&self, camera: &str, jpeg: Jpeg) {
        let number = *self.news.borrow() + 1;
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).insert(camera.to_owned(), (number, jpeg));
        self.news.send_replace(number);
    }

    /// Those after this number, by camera, and the number after which there is nothing yet.
    pub(crate) fn after(&self, number: u64) -> (u64, Vec<(String, Jpeg)>) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = newest.iter().filter(|(_, (changed, _))| *changed > number);
        let changed: Vec<_> = changed.map(|(camera, (_, jpeg))| (camera.clone(), Arc::clone(jpeg))).collect();
        (newest.values().map(|(changed, _)| *changed).max().unwrap_or_default(), changed)
    }

    /// Hears of changes.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_camera_is_told_once() {
        let snapshots = Snapshots::default();
        assert_eq!(snapshots.after(0), (0, Vec::new()));
        snapshots.show("hall", Arc::from([1]));
        snapshots.show("porch", Arc::from([2]));
        snapshots.show("hall", Arc::from([3]));
        let (number, all) = snapshots.after(0);
        let wanted: Vec<(String, Jpeg)> = vec![("hall".into(), Arc::from([3])), ("porch".into(), Arc::from([2]))];
        assert_eq!((number, all), (3, wanted));
        assert_eq!(snapshots.after(number), (3, Vec::new()));
    }
}
