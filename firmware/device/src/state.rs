//! The memory on disk, so that it outlives a restart: one file a camera, written now and then, read at start.
//!
//! ```text
//! "ocelli memory 2\n"  16 bytes
//! pack                 SHA-256 of pack.toml, 32 bytes
//! saved                stream time in microseconds, u64, and milliseconds since 1970, u64
//! content              x0 x1 y0 y1 in patches, u16 each
//! picture              length, u32, and the last picture that was sent whole, or nothing
//! normal               length, u32, and what is normal there, as `Normal::save` writes it, or nothing; not in version 1
//! memory               as `MemoryRing::save` writes it
//! checksum             SHA-256 of all of the above, 32 bytes
//! ```
//!
//! Numbers are little-endian. A file is written beside the old one, brought to the disk and renamed over it, so that a power
//! cut leaves one of the two. A file belongs to a camera's name and a pack, and is locked while a program has it. What is torn is
//! set aside and said; it never stops a start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ocelli_infer::Pack;
use ocelli_pipeline::{MOST_STREAM, MemoryConfig, MemoryRing, Normal};
use ocelli_types::{Content, Micros};
use sha2::{Digest, Sha256};

use crate::error::{Error, note};
use crate::wiring;

const MAGIC: &[u8; 16] = b"ocelli memory 2\n";
const MAGIC_1: &[u8; 16] = b"ocelli memory 1\n";

/// Bytes before the memory, without picture and normal.
const HEAD_BYTES: usize = 16 + 32 + 8 + 8 + 8 + 4 + 4;

const CHECKSUM_BYTES: usize = 32;

/// Stack of the thread that waits for the disk: it writes, and composes nothing.
pub const KEEPER_STACK_BYTES: usize = 128 << 10;

/// No file is read that is longer. One of another profile may be longer than ours.
const MOST_FILE_BYTES: u64 = 8 << 20;

/// The last picture that STAB was sent whole, shared by the capture thread, which sees it, and the think thread, which saves it.
pub type Reference = Arc<Mutex<Option<(Vec<u8>, Content)>>>;

/// What a restart finds.
#[derive(Debug)]
pub struct Kept {
    /// The memory as it was.
    pub memory: MemoryRing,
    /// The last picture.
    pub picture: Option<(Vec<u8>, Content)>,
    /// What is normal there, as it was saved; empty where that was not learnt.
    pub normal: Vec<u8>,
    /// Stream time when it was saved.
    pub saved_us: Micros,
    /// Wall clock when it was saved, milliseconds since 1970.
    pub saved_unix_ms: u64,
}

impl Kept {
    /// Stream time at which a program that starts now goes on. Where the wall clock was or is wrong, as on a board without a
    /// battery before it finds the network, nobody knows how long it was off: that counts as no time.
    pub fn resume_us(&self, now_unix_ms: u64) -> Micros {
        let away_ms = now_unix_ms.checked_sub(self.saved_unix_ms);
        let known = away_ms.filter(|away_ms| self.saved_unix_ms >= PLAUSIBLE_UNIX_MS && *away_ms <= LONGEST_AWAY_MS);
        self.saved_us.max(self.memory.last_us()) + Micros(known.unwrap_or(0) * 1000)
    }
}

/// No wall clock that stands before this, 2024-01-01, is right.
pub const PLAUSIBLE_UNIX_MS: u64 = 1_704_067_200_000;

/// No program was off for longer, a year: rather a clock was wrong.
const LONGEST_AWAY_MS: u64 = 366 * 86_400_000;

/// Letters of a camera's name that a file's name has.
const NAME_CHARS: usize = 40;

/// What of the camera's name can be part of a file's name, and what tells it from others: its hash with the pack's.
fn file_name(camera: &str, pack: &[u8]) -> String {
    let name: String = camera.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).take(NAME_CHARS).collect();
    let hash = Sha256::new().chain_update(camera).chain_update(pack).finalize();
    format!("{name}-{:02x}{:02x}{:02x}{:02x}.memory", hash[0], hash[1], hash[2], hash[3])
}

/// Where the memory of one camera is kept.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    pack: [u8; 32],
    picture_bytes: usize,
    kinds: usize,
    config: MemoryConfig,
    /// Held as long as the store: two programs would destroy each other's file. Who only reads has none.
    _lock: Option<Arc<File>>,
}

impl Store {
    /// A store in `folder`, which is made if it is not there and must be writable. It is this program's alone.
    pub fn open(folder: &Path, camera: &str, pack: &Pack, config: MemoryConfig) -> Result<Self, Error> {
        let unusable = |source| Error::State { path: folder.to_path_buf(), source };
        fs::create_dir_all(folder).map_err(unusable)?;
        let store = Self::of(folder, camera, pack, config).map_err(unusable)?;
        let lock = File::create(store.beside("lock")).map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let why =
                    "another program keeps the memory of a camera of this name here; give each its own [camera] name";
                unusable(io::Error::other(why))
            }
            TryLockError::Error(error) => unusable(error),
        })?;
        Ok(Self { _lock: Some(Arc::new(lock)), ..store })
    }

    fn of(folder: &Path, camera: &str, pack: &Pack, config: MemoryConfig) -> io::Result<Self> {
        let hash: [u8; 32] = Sha256::digest(fs::read(pack.folder.join("pack.toml"))?).into();
        let path = folder.join(file_name(camera, &hash));
        let (picture_bytes, kinds) = (pack.grid.bytes(), wiring::own_kinds(pack));
        Ok(Self { path, pack: hash, picture_bytes, kinds, config, _lock: None })
    }

    /// What was kept last, while another program may keep more; `None` where nothing was. A file is replaced as a whole, so it is of
    /// one moment.
    ///
    /// # Errors
    /// It cannot be used, in words. It stays where it is.
    pub fn peek(folder: &Path, camera: &str, pack: &Pack, config: MemoryConfig) -> Result<Option<Kept>, String> {
        let store = Self::of(folder, camera, pack, config).map_err(|error| error.to_string())?;
        match store.read() {
            Ok(bytes) => store.parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The most bytes of a file.
    pub fn most_bytes(picture_bytes: usize, kinds: usize, config: &MemoryConfig) -> usize {
        HEAD_BYTES + picture_bytes + Normal::snapshot_bytes(kinds) + MemoryRing::snapshot_bytes(config) + CHECKSUM_BYTES
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.path.with_extension(format!("memory.{what}"))
    }

    /// What was kept; `None` where nothing was, or it cannot be used, which is said.
    ///
    /// # Errors
    /// The file cannot be read now; it may be another time, and is left alone.
    pub fn load(&self) -> Result<Option<Kept>, Error> {
        let bytes = match self.read() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::State { path: self.path.clone(), source }),
        };
        let refused = match self.parse(&bytes) {
            Ok(kept) => return Ok(Some(kept)),
            Err(why) => why,
        };
        let aside = self.beside("refused");
        let moved = fs::rename(&self.path, &aside);
        let place = if moved.is_ok() { format!("it is now {}", aside.display()) } else { "it is left there".into() };
        note(format_args!(
            "{}: not a memory of this pack ({refused}); {place}, and nothing is remembered",
            self.path.display()
        ));
        Ok(None)
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        // A pipe would be waited for.
        if !fs::metadata(&self.path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn parse(&self, bytes: &[u8]) -> Result<Kept, String> {
        if bytes.len() as u64 > MOST_FILE_BYTES {
            return Err("it is too long".into());
        }
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or("it is too short")?;
        let first = body.starts_with(MAGIC_1);
        let magic = if first { MAGIC_1 } else { MAGIC };
        let mut rest = body.strip_prefix(magic).ok_or("it is of another kind or version")?;
        if Sha256::digest(body)[..] != checksum[..] {
            return Err("it is torn: its checksum is wrong".into());
        }
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at_checked(count).ok_or("it is too short")?;
            rest = left;
            Ok::<&[u8], String>(taken)
        };
        if take(32)? != self.pack {
            return Err("it is of another pack".into());
        }
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let (saved_us, saved_unix_ms) = (Micros(number(take(8)?)), number(take(8)?));
        if saved_us > MOST_STREAM {
            return Err("its time cannot be".into());
        }
        let mut corner = || Ok::<usize, String>(number(take(2)?) as usize);
        let content = Content { x0: corner()?, x1: corner()?, y0: corner()?, y1: corner()? };
        let length = number(take(4)?) as usize;
        if length != 0 && length != self.picture_bytes {
            return Err("its picture is of another size".into());
        }
        let picture = take(length)?.to_vec();
        let length = if first { 0 } else { number(take(4)?) as usize };
        let normal = take(length)?.to_vec();
        let memory = MemoryRing::restore(self.config, rest).map_err(|error| error.to_string())?;
        let picture = (!picture.is_empty()).then_some((picture, content));
        Ok(Kept { memory, picture, normal, saved_us, saved_unix_ms })
    }

    /// Puts the file together in `bytes`, as of a stream time and wall clock (milliseconds since 1970). Nothing is allocated
    /// where they have [`most_bytes`](Self::most_bytes).
    pub fn compose(
        &self,
        bytes: &mut Vec<u8>,
        memory: &MemoryRing,
        normal: Option<&Normal>,
        picture: Option<(&[u8], Content)>,
        at: (Micros, u64),
    ) {
        let (pixels, content) = picture.unwrap_or((&[], Content { x0: 0, x1: 0, y0: 0, y1: 0 }));
        bytes.clear();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.pack);
        let (stream_us, unix_ms) = at;
        bytes.extend_from_slice(&stream_us.0.to_le_bytes());
        bytes.extend_from_slice(&unix_ms.to_le_bytes());
        for corner in [content.x0, content.x1, content.y0, content.y1] {
            bytes.extend_from_slice(&(corner as u16).to_le_bytes());
        }
        bytes.extend_from_slice(&(pixels.len() as u32).to_le_bytes());
        bytes.extend_from_slice(pixels);
        bytes.extend_from_slice(&(normal.map_or(0, |_| Normal::snapshot_bytes(self.kinds)) as u32).to_le_bytes());
        if let Some(normal) = normal {
            normal.save(bytes);
        }
        memory.save(bytes);
        let checksum = Sha256::digest(&bytes[..]);
        bytes.extend_from_slice(&checksum);
    }

    /// Replaces the file.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.beside("new");
        // What a power cut left; a link would be followed.
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, &self.path));
        if written.is_err() {
            // What is half written would fill the disk all the more.
            let _ = fs::remove_file(&new);
        }
        written?;
        // The name itself must reach the disk too.
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Saves a memory now and then. A thread of its own waits for the disk, so that nobody else does.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    picture: Reference,
    every_us: Micros,
    due_us: Micros,
    /// Room for a file, while the thread has none.
    bytes: Option<Vec<u8>>,
    give: Option<SyncSender<Vec<u8>>>,
    back: Receiver<(Vec<u8>, io::Result<()>)>,
    thread: Option<thread::JoinHandle<()>>,
    /// Whether the last save failed, so that it is said once.
    failed: bool,
    /// Frames that were remembered at the last save. Without a new one there is nothing to save.
    frames: u64,
}

impl Keeper {
    /// One that saves for the first time `every_us` after `now_us`.
    pub fn start(
        store: Store,
        picture: Reference,
        memory: &MemoryRing,
        every_us: Micros,
        now_us: Micros,
    ) -> io::Result<Self> {
        let room = Vec::with_capacity(Store::most_bytes(store.picture_bytes, store.kinds, &store.config));
        let (give, work) = sync_channel::<Vec<u8>>(1);
        let (done, back) = sync_channel(1);
        let writer = store.clone();
        let thread = thread::Builder::new().name("keeper".into()).stack_size(KEEPER_STACK_BYTES).spawn(move || {
            while let Ok(bytes) = work.recv() {
                let written = writer.write(&bytes);
                if done.send((bytes, written)).is_err() {
                    break;
                }
            }
        })?;
        let due_us = now_us + every_us;
        let (bytes, give, thread) = (Some(room), Some(give), Some(thread));
        let frames = memory.report().frames();
        Ok(Self { store, picture, every_us, due_us, bytes, give, back, thread, failed: false, frames })
    }

    /// The next save is due now.
    pub fn hurry(&mut self, now_us: Micros) {
        self.due_us = now_us;
    }

    /// Saves where it is due. Gives what the person should hear: that it fails, once, or that it works again.
    pub fn tick(
        &mut self,
        memory: &MemoryRing,
        normal: Option<&Normal>,
        now_us: Micros,
        unix_ms: u64,
    ) -> Option<String> {
        let mut news = None;
        match self.back.try_recv() {
            Ok((bytes, written)) => {
                self.bytes = Some(bytes);
                news = self.judge(written);
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        if now_us >= self.due_us
            && memory.report().frames() != self.frames
            && let Some(mut bytes) = self.bytes.take()
        {
            self.due_us = now_us + self.every_us;
            self.compose(&mut bytes, memory, normal, (now_us, unix_ms));
            if let Some(give) = &self.give {
                // The channel has room: the thread gave the last bytes back.
                let _ = give.try_send(bytes);
            }
        }
        news
    }

    /// Saves a last time, and waits until that is done.
    pub fn finish(
        mut self,
        memory: &MemoryRing,
        normal: Option<&Normal>,
        now_us: Micros,
        unix_ms: u64,
    ) -> Result<(), Error> {
        self.give = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let (mut bytes, written) = match self.back.try_recv() {
            Ok((bytes, written)) => (bytes, written.is_ok()),
            Err(_) => (self.bytes.take().unwrap_or_default(), !self.failed),
        };
        if written && memory.report().frames() == self.frames {
            return Ok(());
        }
        self.compose(&mut bytes, memory, normal, (now_us, unix_ms));
        self.store.write(&bytes).map_err(|source| Error::State { path: self.store.path.clone(), source })
    }

    fn compose(&mut self, bytes: &mut Vec<u8>, memory: &MemoryRing, normal: Option<&Normal>, at: (Micros, u64)) {
        self.frames = memory.report().frames();
        let picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        let picture = picture.as_ref().map(|(pixels, content)| (&pixels[..], *content));
        self.store.compose(bytes, memory, normal, picture, at);
    }

    fn judge(&mut self, written: io::Result<()>) -> Option<String> {
        let failed_before = std::mem::replace(&mut self.failed, written.is_err());
        match written {
            Err(error) if !failed_before => Some(format!(
                "{}: the memory is not saved ({error}); a restart would forget",
                self.store.path.display()
            )),
            Ok(()) if failed_before => Some(format!("{}: the memory is saved again", self.store.path.display())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Profile};
    use ocelli_pipeline::HoleCause;
    use ocelli_types::PatchMask;

    fn pack() -> Pack {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test");
        Pack::open(&root).expect("the pack of the tests")
    }

    const SAVED_UNIX_MS: u64 = 1_790_000_000_000;

    fn lived(pack: &Pack) -> MemoryRing {
        lived_for(pack, 100)
    }

    fn lived_for(pack: &Pack, frames: u64) -> MemoryRing {
        let mut memory = MemoryRing::new(wiring::memory(pack, Profile::Home)).expect("a valid memory");
        let values: Vec<f32> = (0..pack.manifest.stab.tokens * pack.manifest.stab.token_width)
            .map(|index| (index % 17) as f32 - 8.0)
            .collect();
        for frame in 0..frames {
            memory.commit(&values, &PatchMask::first(64), Micros(frame * 200_000));
            memory.hear(&[0.1, 0.9]);
        }
        memory.hole(Micros(20_000_000), Micros(30_000_000), HoleCause::Blind);
        memory
    }

    fn store(folder: &Path, pack: &Pack) -> Store {
        Store::open(folder, "the hall/1", pack, wiring::memory(pack, Profile::Home)).expect("a writable folder")
    }

    /// What is normal where an hour was watched.
    fn normal(pack: &Pack) -> Normal {
        let mut config = Config::default();
        config.alerting.unusual = true;
        let mut normal = wiring::normal(&config, pack, &[]).expect("it is wanted");
        let kinds = vec![0.5; pack.vocabulary.kinds()];
        for minute in 0..70 {
            let captured_us = Micros(u64::from(minute) * 60_000_000);
            let seen = ocelli_pipeline::Seen { entry: ocelli_types::EntryId(1), captured_us };
            normal.judge(seen, &kinds, Some(minute), &mut ocelli_pipeline::DeviationBuf::new());
        }
        normal
    }

    fn saved(store: &Store, pack: &Pack) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pixels = vec![7; pack.grid.bytes()];
        store.compose(
            &mut bytes,
            &lived(pack),
            Some(&normal(pack)),
            Some((&pixels, Content::whole(pack.grid))),
            (Micros(40_000_000), SAVED_UNIX_MS),
        );
        assert!(
            bytes.len()
                <= Store::most_bytes(pack.grid.bytes(), wiring::own_kinds(pack), &wiring::memory(pack, Profile::Home))
        );
        bytes
    }

    #[test]
    fn what_was_saved_is_there_after_a_restart() {
        let (folder, pack) = (tempfile::tempdir().expect("a folder"), pack());
        let store = store(&folder.path().join("new/folder"), &pack);
        assert!(store.load().expect("it can be read").is_none());
        store.write(&saved(&store, &pack)).expect("there is room");
        let kept = store.load().expect("it can be read").expect("it was saved");
        assert_eq!(kept.memory.report(), lived(&pack).report());
        let (camera, memory) = ("the hall/1", wiring::memory(&pack, Profile::Home));
        let folder = folder.path().join("new/folder");
        let peeked = |folder: &Path, camera: &str| Store::peek(folder, camera, &pack, memory);
        let held = peeked(&folder, camera).expect("whoever has the lock").expect("it was saved");
        assert_eq!(held.memory.report(), kept.memory.report());
        assert!(peeked(&folder, "another").is_ok_and(|none| none.is_none()));
        assert!(peeked(&folder.join("nowhere"), camera).is_ok_and(|none| none.is_none()));
        assert_eq!(kept.picture, Some((vec![7; pack.grid.bytes()], Content::whole(pack.grid))));
        let mut learnt = Vec::new();
        normal(&pack).save(&mut learnt);
        assert_eq!(kept.normal, learnt);
        assert!(learnt[4..].iter().any(|byte| *byte != 0), "something was learnt");
        let resumed = |away_ms: i64| kept.resume_us(SAVED_UNIX_MS.saturating_add_signed(away_ms));
        assert_eq!(resumed(60_000), Micros(100_000_000), "a minute went by");
        assert_eq!(resumed(-3_600_000), Micros(40_000_000), "a clock that was set back");
        assert_eq!(resumed(50 * 366 * 86_400_000), Micros(40_000_000), "a clock that was wrong");
        let unset = Kept { saved_unix_ms: 30_000, ..kept };
        assert_eq!(unset.resume_us(SAVED_UNIX_MS), Micros(40_000_000), "a clock that was wrong when it was saved");
        assert!(store.path().to_string_lossy().contains("the-hall-1-"));
    }

    #[test]
    fn torn_and_foreign_files_are_set_aside() {
        let (folder, pack) = (tempfile::tempdir().expect("a folder"), pack());
        let store = store(folder.path(), &pack);
        let whole = saved(&store, &pack);
        let mut flipped = whole.clone();
        flipped[5000] ^= 1;
        let mut other_pack = whole.clone();
        other_pack[20] ^= 1;
        let end = other_pack.len() - CHECKSUM_BYTES;
        let checksum = Sha256::digest(&other_pack[..end]);
        other_pack[end..].copy_from_slice(&checksum);
        let long = [&whole[..], &vec![0; 8 << 20]].concat();
        for (bytes, why) in [
            (&whole[..whole.len() / 2], "torn"),
            (&flipped[..], "torn"),
            (&b"ocelli memory 3\n, and more of it than a checksum"[..], "version"),
            (&other_pack[..], "another pack"),
            (&[], "short"),
            (&long[..], "long"),
        ] {
            fs::write(store.path(), bytes).expect("there is room");
            let read = store.read().map_err(|error| error.to_string()).and_then(|bytes| store.parse(&bytes));
            let refused = read.expect_err(why);
            assert!(refused.contains(why), "{refused}");
            assert!(store.load().expect("it can be read").is_none());
            assert!(!store.path().exists(), "it is out of the way");
            assert_eq!(fs::read(store.beside("refused")).expect("and not lost").len(), bytes.len());
        }
    }

    #[test]
    fn a_memory_is_one_programs_alone_and_each_camera_and_pack_has_its_own() {
        let (folder, pack) = (tempfile::tempdir().expect("a folder"), pack());
        let config = wiring::memory(&pack, Profile::Home);
        let held = store(folder.path(), &pack);
        let error = Store::open(folder.path(), "the hall/1", &pack, config).expect_err("it is in use");
        assert!(error.to_string().contains("another program"), "{error}");
        let other = Store::open(folder.path(), "the hall-1", &pack, config).expect("another camera");
        assert_ne!(other.path(), held.path());
        drop(held);
        Store::open(folder.path(), "the hall/1", &pack, config).expect("it is free");
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        let (folder, pack) = (tempfile::tempdir().expect("a folder"), pack());
        let store = store(folder.path(), &pack);
        fs::create_dir(store.path()).expect("there is room");
        let error = store.load().expect_err("a folder is no file");
        assert!(error.to_string().contains("it is no file"), "{error}");
        assert!(store.path().is_dir());
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_said_at_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("there is room");
        let error = Store::open(&file, "hall", &pack(), wiring::memory(&pack(), Profile::Home))
            .expect_err("a file is no folder");
        assert!(error.to_string().contains("[memory] state"), "{error}");
    }

    #[test]
    fn the_keeper_saves_when_it_is_due_and_says_once_when_it_cannot() {
        let (folder, pack) = (tempfile::tempdir().expect("a folder"), pack());
        let state = folder.path().join("state");
        let store = store(&state, &pack);
        let (every, picture) = (Micros(10_000_000), Reference::default());
        let mut keeper =
            Keeper::start(store.clone(), picture, &lived_for(&pack, 1), every, Micros(0)).expect("a thread");
        let mut memory = lived(&pack);
        assert_eq!(keeper.tick(&memory, None, Micros(9_000_000), 1), None);
        assert!(!store.path().exists(), "not yet");
        fs::remove_dir_all(&state).expect("it is there");
        let mut said = Vec::new();
        for second in 10..80 {
            // Something new each time, else there is nothing to save.
            memory = lived_for(&pack, second + 100);
            said.extend(keeper.tick(&memory, None, Micros(second * 1_000_000), second));
            thread::sleep(std::time::Duration::from_millis(10));
            if second == 45 {
                fs::create_dir_all(&state).expect("it can be made again");
            }
        }
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("not saved") && said[1].contains("saved again"), "{said:?}");
        assert!(store.load().expect("it can be read").is_some());
        fs::remove_file(store.path()).expect("it is there");
        let newer = lived_for(&pack, 101);
        keeper.finish(&newer, None, Micros(90_000_000), 99).expect("there is room");
        assert_eq!(store.load().expect("it can be read").expect("it was saved").saved_unix_ms, 99);
    }
}
