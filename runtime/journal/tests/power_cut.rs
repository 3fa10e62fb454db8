//! The power is cut: all that is left is what SQLite had waited for the disk to take, and what was told is in it.
//!
//! SQLite's own way to files has a copy taken of each file where it was waited for: that is the worst disk that keeps its promises,
//! one that keeps nothing else.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use ocelli_journal::{
    Acknowledged, EMBEDDING, Entry, Found, Journal, Limits, Ring, Seen, Start, Told, Vector, Writer, acknowledge,
};
use ocelli_types::{EventKind, Micros};
use rusqlite::ffi;

const LIMITS: Limits = Limits { bytes: Limits::LEAST_BYTES, keep_us: Micros(u64::MAX) };
const START: Start = Start { unix_ms: None, stream_us: Micros(0), least_id: 1 };

/// Where a disk's folder is, beside the files that are on it.
const DISK: &str = "disk";

type Sync = unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int;

/// The system's own way to files.
struct Base(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite lets any thread use it, and it is there for as long as the process is.
unsafe impl Send for Base {}
// SAFETY: as above; nothing here changes it.
unsafe impl std::marker::Sync for Base {}

static BASE: OnceLock<Base> = OnceLock::new();

/// Open files by their address: where they are, and how they are waited for.
static FILES: Mutex<Option<HashMap<usize, (PathBuf, Sync)>>> = Mutex::new(None);

/// How often the disk was waited for, by folder.
static WAITS: Mutex<Option<HashMap<PathBuf, u64>>> = Mutex::new(None);

fn with<T, R>(what: &Mutex<Option<T>>, change: impl FnOnce(&mut T) -> R) -> R
where
    T: Default,
{
    change(what.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

fn base() -> *mut ffi::sqlite3_vfs {
    BASE.get().expect("it is set before any file is opened").0
}

/// A file's copy on the disk.
fn on_disk(path: &Path) -> PathBuf {
    path.with_file_name(DISK).join(path.file_name().expect("a file has a name"))
}

fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: SQLite gives names of files as strings that end with zero and outlive the call.
    let name = unsafe { CStr::from_ptr(name) };
    PathBuf::from(OsStr::from_bytes(name.to_bytes()))
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: what SQLite gave is handed on, with room for a file of the base, whose size we took over.
    let code = unsafe { (*base()).xOpen.expect("every way opens files")(base(), name, file, flags, out) };
    if code == ffi::SQLITE_OK && !name.is_null() {
        // SAFETY: an opened file has methods, which are plain data that outlives it.
        let mut methods = unsafe { *(*file).pMethods };
        let real = methods.xSync.replace(sync).expect("every file can be waited for");
        with(&FILES, |files| files.insert(file as usize, (path_of(name), real)));
        // SAFETY: the file is ours to fill in this call; the leaked methods outlive it.
        unsafe { (*file).pMethods = Box::leak(Box::new(methods)) };
    }
    code
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let (path, real) = with(&FILES, |files| files[&(file as usize)].clone());
    // SAFETY: it is the method of this very file.
    let code = unsafe { real(file, flags) };
    let copy = on_disk(&path);
    if code == ffi::SQLITE_OK && copy.parent().is_some_and(Path::is_dir) {
        let folder = path.parent().expect("a file is in a folder").to_path_buf();
        with(&WAITS, |waits| *waits.entry(folder).or_default() += 1);
        // Into the real file only, never half of a copy.
        fs::copy(&path, &copy).expect("the disk takes it");
    }
    code
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: what SQLite gave is handed on.
    let code = unsafe { (*base()).xDelete.expect("every way deletes files")(base(), name, sync) };
    if code == ffi::SQLITE_OK {
        let _ = fs::remove_file(on_disk(&path_of(name)));
    }
    code
}

/// A folder whose files are on such a disk.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: it asks for the default, which is there for as long as the process is.
            let found = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
            assert!(!found.is_null(), "SQLite has a way to files");
            assert!(BASE.set(Base(found)).is_ok());
            // SAFETY: the base is plain data but for pointers, which stay as they are.
            let mut own = unsafe { *found };
            own.zName = c"power-cut".as_ptr();
            own.xOpen = Some(open);
            own.xDelete = Some(delete);
            // SAFETY: the leaked one outlives the process's use of SQLite.
            let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(own)), 1) };
            assert_eq!(code, ffi::SQLITE_OK);
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join(DISK)).expect("it is ours");
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("events.journal")
    }

    fn waits(&self) -> u64 {
        with(&WAITS, |waits| waits.get(self.folder.path()).copied().unwrap_or(0))
    }

    /// What is found after a cut at this moment; with nothing beside it, so that a next cut finds the disk as it is.
    fn after_a_cut<T>(&self, look: impl FnOnce(&Path) -> T) -> T {
        let after = tempfile::tempdir().expect("a temporary folder");
        for file in fs::read_dir(self.folder.path().join(DISK)).expect("it is there").flatten() {
            fs::copy(file.path(), after.path().join(file.file_name())).expect("there is room");
        }
        look(&after.path().join("events.journal"))
    }

    fn kept(&self, id: u64) -> Option<Found> {
        self.after_a_cut(|path| Journal::open(path).expect("it is whole").event(id).expect("it can be read"))
    }
}

fn told(id: u64, kind: EventKind, text: &str) -> Entry {
    Entry::Told(Told {
        id,
        kind,
        camera: "hall".into(),
        start_us: Micros(id * 1_000_000),
        end_us: Micros(id * 1_000_000),
        start_ms: None,
        text: text.into(),
        score: 0.5,
        entries: None,
        about: None,
        quiet: false,
    })
}

fn seen(second: u64) -> Entry {
    let vector = Vector { mark: "0badcafe".into(), values: Box::new([1; EMBEDDING]) };
    let (start_us, end_us) = (Micros(second * 1_000_000), Micros(second * 1_000_000 + 400_000));
    let seen = Seen { camera: "hall".into(), start_us, end_us, start_ms: None, rest: 0.0, nearest: 0.5, vector };
    Entry::Seen(Ring::Moments, seen)
}

/// Through evictions and the log being taken into the file, for there is room for some hundred such texts.
#[test]
fn whatever_was_told_is_there_after_a_cut_at_any_moment() {
    let place = Place::new();
    let (mut writer, _) = Writer::open(&place.path(), LIMITS, START).expect("it can be written");
    for id in 1..=600 {
        let text = format!("{id} ").repeat(400);
        writer.write(&[seen(id), told(id, EventKind::Narration, &text)]).expect("there is room");
        let kept = place.kept(id).unwrap_or_else(|| panic!("event {id} is lost"));
        assert!(kept.text.starts_with(&format!("{id} ")));
    }
    assert!(place.kept(1).is_none(), "the oldest had to go, so all of a journal's life was seen");
    // The next uptime gives none of its ids.
    let next = place.after_a_cut(|path| Writer::open(path, LIMITS, START).expect("it is whole").0.next_id());
    assert!(next > 600, "{next}");
}

#[test]
fn an_alert_and_what_becomes_of_it_are_there_after_a_cut() {
    let place = Place::new();
    let (mut writer, _) = Writer::open(&place.path(), LIMITS, START).expect("it can be written");
    let alert = |id| place.kept(id).expect("the alert is there");
    writer
        .write(&[told(1, EventKind::Alert, "Somebody fell"), told(2, EventKind::Alert, "Nobody came")])
        .expect("room");
    assert_eq!((alert(1).said, alert(1).told, alert(1).acked_ms), (None, 1, None));
    writer.write(&[Entry::Said { id: 1, text: "Someone lies.".into() }]).expect("room");
    assert_eq!(alert(1).said.as_deref(), Some("Someone lies."));
    writer.write(&[Entry::ToldAgain { id: 1 }]).expect("room");
    assert_eq!(alert(1).told, 2);
    writer.write(&[Entry::Acknowledged { id: 1, unix_ms: 7 }]).expect("room");
    assert_eq!(alert(1).acked_ms, Some(7));
    let answer = acknowledge(&place.path(), 2, 9).expect("it can be changed beside the writer");
    assert_eq!((answer, alert(2).acked_ms), (Acknowledged::Now("Nobody came".into()), Some(9)));
    writer.write(&[told(3, EventKind::Blind, "The camera is gone")]).expect("room");
    writer.write(&[Entry::Sees { camera: "hall".into(), at_us: Micros(9_000_000) }]).expect("room");
    assert_eq!(alert(3).end_us, Micros(9_000_000));
}

#[test]
fn the_disk_is_waited_for_once_a_batch_and_not_for_what_was_only_seen() {
    let place = Place::new();
    // Room for a log that need not be taken into the file meanwhile.
    let limits = Limits { bytes: 16 << 20, ..LIMITS };
    let (mut writer, _) = Writer::open(&place.path(), limits, START).expect("it can be written");
    writer.write(&[told(1, EventKind::Narration, "Someone walks.")]).expect("room");
    let mut waits = place.waits();
    let mut waited = || place.waits() - std::mem::replace(&mut waits, place.waits());
    let moments = || place.after_a_cut(|path| Journal::open(path).expect("whole").seen(Ring::Moments, None));
    for second in 2..=20 {
        writer.write(&[seen(second), Entry::Alive { at_us: Micros(second), unix_ms: None }]).expect("room");
    }
    assert_eq!(waited(), 0);
    assert_eq!(moments().expect("readable").len(), 0, "this disk keeps nothing that it was not waited for");
    let batch: Vec<Entry> = (2..=64).map(|id| told(id, EventKind::Narration, &format!("Someone does {id}."))).collect();
    writer.write(&batch).expect("room");
    assert_eq!(waited(), 1);
    assert_eq!(moments().expect("readable").len(), 19, "what was written before it is there with it");
}
