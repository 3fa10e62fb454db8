//! Recordings on the disk: a snapshot, a clip, and what they are of, in a folder that is bounded by bytes and days.
//!
//! ```text
//! 00000007.json    what it is of; a recording is there when this is
//! 00000007.jpg     the snapshot, written when the event was told
//! 00000007.mp4     the clip, once it has ended
//! ```
//!
//! Each file is written beside its name, brought to the disk and renamed, so that a power cut leaves it whole or not there. What has no
//! `.json` is removed at the next start. The oldest recordings go first; what is about to be written has its room before it is.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ocelli_gateway::house::{Media, MediaPart, Recording};
use serde::{Deserialize, Serialize};

use crate::recording::RecordingTable;
use crate::state::PLAUSIBLE_UNIX_MS;

/// The most recordings, whatever their size: a folder is looked through for each new one.
const MOST: usize = 2000;

/// No description is longer.
const MOST_DESCRIPTION_BYTES: u64 = 64 << 10;

const DAY_MS: f64 = 86_400_000.0;

/// A recording as its file describes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Described {
    /// Milliseconds since 1970 at its first picture; `None` where the clock was not set.
    pub start_ms: Option<u64>,
    /// What others are told of it.
    #[serde(flatten)]
    pub recording: Recording,
}

/// The folder, for the thread that records and those who look.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    size: u64,
    keep_days: f64,
    /// Held by whoever changes what is there.
    change: Mutex<()>,
    /// Held as long as the shelf: two programs would remove each other's recordings.
    _lock: File,
}

impl Shelf {
    /// Opens the folder, which is made for its owner alone where it is not there, and removes what was left half done.
    ///
    /// # Errors
    /// It cannot be used, or another program records there.
    pub fn open(table: &RecordingTable, folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another program records here; give each a folder of its own"),
            TryLockError::Error(error) => error,
        })?;
        let shelf = Self {
            folder: folder.to_path_buf(),
            size: table.size,
            keep_days: table.keep_days,
            change: Mutex::default(),
            _lock: lock,
        };
        let whole = shelf.ids()?;
        for entry in fs::read_dir(folder)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let of = name.split_once('.').and_then(|(id, kind)| Some((id.parse::<u64>().ok()?, kind)));
            if let Some((id, kind)) = of
                && (kind.ends_with("new") || (matches!(kind, "jpg" | "mp4") && whole.binary_search(&id).is_err()))
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(shelf)
    }

    /// The id of the next recording: larger than any there is.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn next_id(&self) -> io::Result<u64> {
        Ok(self.ids()?.last().map_or(1, |id| id + 1))
    }

    fn path(&self, id: u64, kind: &str) -> PathBuf {
        self.folder.join(format!("{id:08}.{kind}"))
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All ids, the oldest first.
    fn ids(&self) -> io::Result<Vec<u64>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json")).and_then(|id| id.parse::<u64>().ok());
            ids.extend(id);
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Bytes of one recording's files.
    fn bytes_of(&self, id: u64) -> u64 {
        ["json", "jpg", "mp4"].iter().filter_map(|kind| fs::metadata(self.path(id, kind)).ok()).map(|of| of.len()).sum()
    }

    /// Bytes of all, and the most that they may be.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn held(&self) -> io::Result<(u64, u64)> {
        Ok((self.ids()?.into_iter().map(|id| self.bytes_of(id)).sum(), self.size))
    }

    /// Those that `wanted` takes, of smaller ids than `before`, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(
        &self,
        before: Option<u64>,
        limit: usize,
        wanted: impl Fn(&Recording) -> bool,
    ) -> io::Result<Vec<Recording>> {
        let ids = self.ids()?.into_iter().rev().filter(|id| before.is_none_or(|before| *id < before));
        // One that was deleted meanwhile, or that somebody damaged, is left out.
        let found = ids.filter_map(|id| self.recording(id).ok()).filter(wanted);
        Ok(found.take(limit).collect())
    }

    /// One recording.
    ///
    /// # Errors
    /// There is none, or its description cannot be read.
    pub fn recording(&self, id: u64) -> io::Result<Recording> {
        Ok(Recording { bytes: self.bytes_of(id), ..self.described(id)?.recording })
    }

    fn described(&self, id: u64) -> io::Result<Described> {
        let mut text = String::new();
        File::open(self.path(id, "json"))?.take(MOST_DESCRIPTION_BYTES).read_to_string(&mut text)?;
        let described: Described = serde_json::from_str(&text).map_err(io::Error::other)?;
        if described.recording.id == id { Ok(described) } else { Err(io::Error::other("it is another's")) }
    }

    /// Bytes of it from one on, `most` or fewer.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn part(&self, id: u64, media: Media, from: u64, most: usize) -> io::Result<MediaPart> {
        let kind = match media {
            Media::Clip => "mp4",
            Media::Snapshot => "jpg",
        };
        let mut file = File::open(self.path(id, kind))?;
        let total_bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::with_capacity(most.min(total_bytes.saturating_sub(from) as usize));
        file.take(most as u64).read_to_end(&mut bytes)?;
        Ok(MediaPart { total_bytes, bytes })
    }

    /// Begins a recording with its snapshot.
    ///
    /// # Errors
    /// The disk does not take it; then nothing of it is there.
    pub fn begin(&self, described: &Described, jpeg: &[u8]) -> io::Result<()> {
        let _one = self.changing();
        let id = described.recording.id;
        self.make_room(jpeg.len() as u64 + MOST_DESCRIPTION_BYTES, id)?;
        let begun = self.write(id, "jpg", jpeg).and_then(|()| self.describe(described));
        if begun.is_err() {
            self.clear(id);
        }
        begun
    }

    /// Ends it with its clip. `false` where somebody has deleted it meanwhile.
    ///
    /// # Errors
    /// The disk does not take it; the snapshot stays.
    pub fn end(&self, described: &Described, clip: &[u8]) -> io::Result<bool> {
        let _one = self.changing();
        let id = described.recording.id;
        if !self.path(id, "json").exists() {
            return Ok(false);
        }
        self.make_room(clip.len() as u64, id)?;
        self.write(id, "mp4", clip)?;
        self.describe(described).map(|()| true)
    }

    fn describe(&self, described: &Described) -> io::Result<()> {
        self.write(described.recording.id, "json", &serde_json::to_vec(described).map_err(io::Error::other)?)
    }

    /// The file is whole, or as it was.
    fn write(&self, id: u64, kind: &str, bytes: &[u8]) -> io::Result<()> {
        let new = self.path(id, &format!("{kind}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let written = written.and_then(|()| fs::rename(&new, self.path(id, kind)));
        if written.is_err() {
            // What is half written would fill the disk all the more.
            let _ = fs::remove_file(&new);
        }
        written?;
        File::open(&self.folder)?.sync_all()
    }

    /// Removes the oldest, but not this one, until there is room for so many bytes and one more.
    fn make_room(&self, bytes: u64, but: u64) -> io::Result<()> {
        let mut ids = self.ids()?;
        ids.retain(|id| *id != but);
        let mut held: u64 = ids.iter().map(|id| self.bytes_of(*id)).sum::<u64>() + self.bytes_of(but);
        let mut count = ids.len();
        for id in ids {
            if held + bytes <= self.size && count < MOST {
                break;
            }
            held = held.saturating_sub(self.bytes_of(id));
            count -= 1;
            self.take_away(id)?;
        }
        if held + bytes > self.size {
            return Err(io::Error::other(format!(
                "`size` of [recording], {} bytes, is less than one recording",
                self.size
            )));
        }
        Ok(())
    }

    /// Removes what is older than the config lets it become. Where the clock is not set nothing is.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn expire(&self, now_ms: u64) -> io::Result<()> {
        if now_ms < PLAUSIBLE_UNIX_MS {
            return Ok(());
        }
        let _one = self.changing();
        for id in self.ids()? {
            // Without a date it goes by its place, before those that have one and are too young.
            let Ok(Described { start_ms: Some(start_ms), .. }) = self.described(id) else { continue };
            if now_ms.saturating_sub(start_ms) as f64 <= self.keep_days * DAY_MS {
                break;
            }
            self.take_away(id)?;
        }
        Ok(())
    }

    /// Deletes it.
    ///
    /// # Errors
    /// There is none, or the disk refuses.
    pub fn remove(&self, id: u64) -> io::Result<()> {
        let _one = self.changing();
        self.take_away(id)
    }

    fn take_away(&self, id: u64) -> io::Result<()> {
        // Described no longer, it is no recording, whatever comes after.
        fs::remove_file(self.path(id, "json"))?;
        self.clear(id);
        Ok(())
    }

    fn clear(&self, id: u64) {
        for kind in ["jpg", "mp4"] {
            let _ = fs::remove_file(self.path(id, kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(size: u64) -> RecordingTable {
        RecordingTable { size, ..RecordingTable::default() }
    }

    fn described(id: u64, start_ms: u64) -> Described {
        let recording = Recording { id, camera: "hall".into(), ..Recording::default() };
        Described { start_ms: Some(start_ms), recording }
    }

    const NOW_MS: u64 = 1_800_000_000_000;

    fn ids(shelf: &Shelf) -> Vec<u64> {
        shelf.list(None, 100, |_| true).expect("it is there").iter().map(|of| of.id).collect()
    }

    #[test]
    fn a_recording_is_read_in_parts_listed_and_deleted() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let shelf = Shelf::open(&table(8 << 20), folder.path()).expect("it can be written");
        assert!(Shelf::open(&table(8 << 20), folder.path()).is_err(), "it is this program's");
        for id in 1..=3 {
            assert_eq!(shelf.next_id().expect("it is there"), id);
            shelf.begin(&described(id, NOW_MS), &[id as u8; 100]).expect("there is room");
        }
        let ended = Described {
            recording: Recording { clip: true, seconds: 7.0, ..described(2, NOW_MS).recording },
            ..described(2, NOW_MS)
        };
        assert!(shelf.end(&ended, &[9; 5000]).expect("there is room"));
        assert_eq!(ids(&shelf), [3, 2, 1]);
        assert_eq!(shelf.list(Some(3), 1, |of| of.camera == "hall").expect("it is there")[0].id, 2);
        assert!(shelf.list(None, 9, |of| of.camera == "bath").expect("it is there").is_empty());
        let second = shelf.recording(2).expect("it is there");
        assert!(second.clip && second.bytes > 5100 && second.bytes < 6000, "{second:?}");
        let part = shelf.part(2, Media::Clip, 4990, 100).expect("it is there");
        assert_eq!(part, MediaPart { total_bytes: 5000, bytes: vec![9; 10] });
        assert_eq!(shelf.part(3, Media::Clip, 0, 1).expect_err("it goes on").kind(), io::ErrorKind::NotFound);
        shelf.remove(3).expect("it is there");
        assert!(!shelf.end(&described(3, NOW_MS), &[9; 10]).expect("it can be looked"), "it was deleted in its time");
        assert_eq!((ids(&shelf), shelf.remove(3).is_err()), (vec![2, 1], true));
        let left: Vec<_> =
            fs::read_dir(folder.path()).expect("it is there").flatten().map(|of| of.file_name()).collect();
        assert_eq!(left.len(), 1 + 2 + 3, "{left:?}");
    }

    #[test]
    fn the_oldest_go_by_bytes_and_days_and_nothing_grows_above_its_bound() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let shelf = Shelf::open(&table(200_000), folder.path()).expect("it can be written");
        for id in 1..=20 {
            shelf.begin(&described(id, NOW_MS + id * 1000), &[0; 10_000]).expect("there is room");
            shelf.end(&described(id, NOW_MS + id * 1000), &vec![0; 30_000]).expect("there is room");
            let (held, most) = shelf.held().expect("it is there");
            assert!(held <= most, "{held}");
        }
        let kept = ids(&shelf);
        assert!(kept.len() >= 3 && kept[0] == 20 && kept.is_sorted_by(|a, b| *a == b + 1), "{kept:?}");
        let why = shelf.end(&described(20, NOW_MS), &vec![0; 300_000]).expect_err("larger than all of it").to_string();
        assert!(why.contains("less than one recording"), "{why}");
        let last_ms = NOW_MS + 20_000;
        shelf.begin(&described(21, last_ms + 40 * DAY_MS as u64), &[0; 10]).expect("there is room");
        shelf.expire(1000).expect("the clock is not set, and nothing goes");
        assert_eq!(ids(&shelf).len(), 2, "the large one made room for itself");
        shelf.expire(last_ms + 31 * DAY_MS as u64).expect("they can be removed");
        assert_eq!(ids(&shelf), [21], "thirty days");
    }

    #[test]
    fn what_a_power_cut_left_half_done_is_removed_and_the_rest_stays() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let shelf = Shelf::open(&table(8 << 20), folder.path()).expect("it can be written");
        shelf.begin(&described(1, NOW_MS), &[1; 10]).expect("there is room");
        drop(shelf);
        for name in ["00000001.mp4.new", "00000002.jpg", "00000002.json.new", "notes.txt", "holiday.jpg"] {
            fs::write(at(name), "half").expect("there is room");
        }
        fs::write(at("00000003.json"), "{\"camera\":").expect("there is room");
        let shelf = Shelf::open(&table(8 << 20), folder.path()).expect("it can be written");
        assert_eq!(ids(&shelf), [1], "one that is damaged is none");
        assert_eq!(shelf.next_id().expect("it is there"), 4, "and its number is not given again");
        assert!(!at("00000001.mp4.new").exists() && !at("00000002.jpg").exists() && !at("00000002.json.new").exists());
        assert!(at("notes.txt").exists() && at("holiday.jpg").exists(), "what is not ours");
    }
}
