//! Conditions that are added while the program runs, by the gateway's page: a file of their own beside the config, one JSON object a
//! line with the keys of an `[[alert]]`. They are in force at once, and after a restart.
//!
//! Each has a slot, which is its place among a camera's conditions for as long as it is there, so that one can come and go while
//! the others go on with what they have seen.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use ocelli_gateway::{Changes, HouseError};
use ocelli_infer::{Manifest, Pack, Vocabulary};
use ocelli_pipeline::AlertRule;

use crate::alerts::AlertTable;
use crate::condition::MOST_CORNERS;
use crate::config::{Config, ConfigError};
use crate::error::Error;
use crate::sentences::{self, Readers, Stamp};
use crate::setup::Registry;

/// The most that can be added.
pub const MOST: usize = 32;

/// The longest line, and the most of what a condition lists: kinds that it names, corners of its zone, its times.
const MOST_LINE_BYTES: usize = 4096;
const MOST_KINDS: usize = 64;
const MOST_TIMES: usize = 16;

/// The largest file.
const MOST_FILE_BYTES: u64 = (MOST * MOST_LINE_BYTES) as u64;

/// What each holds at most: its words, and, for each camera, what is judged.
const TABLE_BYTES: usize = 2 * MOST_LINE_BYTES;
const RULE_BYTES: usize = 2048;

/// What all of them hold with so many cameras, as is planned for.
pub const fn bytes(cameras: usize) -> usize {
    MOST * (TABLE_BYTES + cameras * RULE_BYTES)
}

/// Conditions by their slot.
pub type Slots = Vec<Option<Arc<AlertTable>>>;

/// Those that were added.
#[derive(Debug)]
pub struct Additions {
    path: PathBuf,
    manifest: Manifest,
    cameras: Vec<String>,
    /// What the config's own tell, which are changed there.
    of_config: Vec<String>,
    /// Zones with names, where they can be set up.
    registry: Option<Arc<Registry>>,
    /// What can be said now.
    vocabulary: Mutex<Arc<Vocabulary>>,
    slots: Mutex<Slots>,
    /// The file as it was read or written last.
    stamp: Mutex<Option<Stamp>>,
    changes: Arc<Changes>,
}

impl Additions {
    /// Reads the file, which need not be there yet. Gives what is wrong in it, too; a line in which something is wrong goes to the end of
    /// a file of the same name and `.damaged`, for the next change writes what was understood.
    ///
    /// # Errors
    /// It cannot be read, or is none of these; or there is no folder for it.
    pub fn open(
        path: &Path,
        config: &Config,
        pack: &Pack,
        registry: Option<Arc<Registry>>,
    ) -> Result<(Self, Vec<String>), Error> {
        let wrong = |why: String| ConfigError::Usage(format!("`file` of [alerts], {}: {why}", path.display()));
        possible(path).map_err(wrong)?;
        let stamp = Stamp::of(path);
        let text = read(path, MOST_FILE_BYTES).map_err(|error| wrong(error.to_string()))?;
        let additions = Self {
            path: path.into(),
            manifest: pack.manifest.clone(),
            cameras: config.cameras.iter().map(|camera| camera.name.clone()).collect(),
            of_config: config.alerts.iter().map(|alert| alert.words().to_owned()).collect(),
            registry,
            vocabulary: Mutex::new(Arc::clone(&pack.vocabulary)),
            slots: Mutex::new(vec![None; MOST]),
            stamp: Mutex::new(stamp),
            changes: Arc::default(),
        };
        let (mut faults, mut damaged) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            if let Err(why) = additions.take(line) {
                faults.push(format!("line {} of the added conditions is left out: {why}", number + 1));
                damaged.push(line);
            }
        }
        set_aside(path, &damaged).map_err(|error| wrong(format!("a line cannot be set aside: {error}")))?;
        Ok((additions, faults))
    }

    /// Takes a line of the file. What waits for a kind that nobody says now, or for a camera that is not there, is kept.
    fn take(&self, line: &str) -> Result<(), String> {
        let table: AlertTable = serde_json::from_str(line).map_err(|error| error.to_string())?;
        self.check(&table)?;
        let mut slots = self.slots();
        if slots.iter().flatten().any(|other| other.text == table.text) {
            return Err(format!("`{}` is there already", table.text));
        }
        let free = slots.iter_mut().find(|slot| slot.is_none()).ok_or_else(full)?;
        *free = Some(Arc::new(table));
        Ok(())
    }

    /// What is wrong with it, whatever can be said.
    fn check(&self, table: &AlertTable) -> Result<(), String> {
        let AlertTable { kinds, absent, after, unless, zone, times, text, .. } = table;
        // Without its words, which may be as long.
        for (what, length, most) in [
            ("kinds", kinds.len() + absent.len() + after.len() + unless.len(), MOST_KINDS),
            ("corners of its zone", zone.len(), MOST_CORNERS),
            ("times", times.len(), MOST_TIMES),
        ] {
            if length > most {
                return Err(format!("it has {length} {what}; {most} is the most"));
            }
        }
        // First, for what else is refused is told with its words.
        if line(table).len() > MOST_LINE_BYTES {
            return Err(format!("it takes more than {MOST_LINE_BYTES} bytes; make it shorter"));
        }
        if table.when.is_some() || table.text.is_empty() {
            return Err(
                "what is added has a `text`, and `kinds` or `absent`; plain words (`when`) are for the config".into()
            );
        }
        table.check()?;
        if self.of_config.contains(text) {
            return Err(format!("`{text}` is a condition of the config; change it there"));
        }
        Ok(())
    }

    /// Adds a condition, or changes the one that tells the same; says whether there was one. What the page has no words for, it keeps from
    /// before: what goes before it, and how sure one has to be.
    ///
    /// # Errors
    /// It makes no sense, there are too many, or it cannot be kept: then all is as it was.
    pub fn put(&self, mut table: AlertTable) -> Result<bool, HouseError> {
        self.change(|slots| {
            let before = slots.iter().position(|slot| slot.as_ref().is_some_and(|other| other.text == table.text));
            if let Some(other) = before.and_then(|slot| slots[slot].as_ref()) {
                let AlertTable { after, unless, within, threshold, .. } = AlertTable::clone(other);
                table = AlertTable { after, unless, within, threshold, ..table };
            }
            self.check(&table).and_then(|()| self.waits(&table).map_or(Ok(()), Err)).map_err(HouseError::Refused)?;
            let slot = before.or_else(|| slots.iter().position(Option::is_none));
            slots[slot.ok_or_else(|| HouseError::Refused(full()))?] = Some(Arc::new(table));
            Ok(before.is_some())
        })
    }

    /// Takes back what tells this.
    ///
    /// # Errors
    /// It was not added, or the file cannot be written: then all is as it was.
    pub fn remove(&self, text: &str) -> Result<(), HouseError> {
        let absent = || {
            if self.of_config.iter().any(|of| of == text) {
                return HouseError::Refused(format!("`{text}` is a condition of the config; take it out there"));
            }
            HouseError::Absent("no such condition was added".into())
        };
        self.change(|slots| {
            let slot = slots.iter_mut().find(|slot| slot.as_ref().is_some_and(|other| other.text == text));
            *slot.ok_or_else(absent)? = None;
            Ok(())
        })
    }

    /// What is there becomes what the file says only when that is on the disk.
    fn change<T>(&self, change: impl FnOnce(&mut Slots) -> Result<T, HouseError>) -> Result<T, HouseError> {
        let mut slots = self.slots();
        let mut next = slots.clone();
        let done = change(&mut next)?;
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        if *stamp != Stamp::of(&self.path) {
            let why = "somebody else changed the file of conditions since it was read; the next start reads it, and then they can be changed here";
            return Err(HouseError::Refused(why.into()));
        }
        let text: String = next.iter().flatten().map(|table| line(table)).collect();
        sentences::replace(&self.path, text.as_bytes(), Readers::Owner)
            .map_err(|error| HouseError::Unavailable(format!("the conditions cannot be written: {error}")))?;
        *stamp = Stamp::of(&self.path);
        *slots = next;
        self.changes.add();
        Ok(done)
    }

    /// All of them, each with why it is not in force, where it is not.
    pub fn list(&self) -> Vec<(Arc<AlertTable>, Option<String>)> {
        let all: Vec<_> = self.slots().iter().flatten().cloned().collect();
        all.into_iter().map(|table| (Arc::clone(&table), self.waits(&table))).collect()
    }

    /// Why one is not in force.
    fn waits(&self, table: &AlertTable) -> Option<String> {
        let absent = table.camera.as_ref().filter(|camera| !self.cameras.contains(camera));
        absent
            .map(|camera| format!("alert `{}`: there is no camera `{camera}`", table.text))
            .or_else(|| self.rule(table).err())
    }

    /// What is judged of one, with what can be said now.
    pub fn rule(&self, table: &AlertTable) -> Result<AlertRule, String> {
        let vocabulary = Arc::clone(&self.vocabulary.lock().unwrap_or_else(PoisonError::into_inner));
        self.placed(table)?.rule(&vocabulary, &self.manifest)
    }

    /// One with the corners of the zone that it names.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn placed<'a>(&self, table: &'a AlertTable) -> Result<Cow<'a, AlertTable>, String> {
        let (Some(name), Some(camera)) = (&table.in_zone, &table.camera) else { return Ok(Cow::Borrowed(table)) };
        let zone = self.registry.as_ref().and_then(|registry| registry.zone(camera, name));
        let zone = zone.ok_or_else(|| format!("alert `{}`: there is no zone `{name}` of `{camera}`", table.text))?;
        Ok(Cow::Owned(AlertTable { zone: zone.corners.clone(), in_zone: None, ..table.clone() }))
    }

    /// What a condition in this zone tells, where there is one.
    pub fn in_zone(&self, camera: &str, name: &str) -> Option<String> {
        self.slots().iter().flatten().find(|table| is_in(table, camera, name)).map(|table| table.text.clone())
    }

    /// A zone has other corners: who watches takes up the conditions in it anew.
    pub fn follow(&self, camera: &str, name: &str) {
        for table in self.slots().iter_mut().flatten().filter(|table| is_in(table, camera, name)) {
            *table = Arc::new(AlertTable::clone(table));
        }
        self.changes.add();
    }

    /// Something else can be said.
    pub fn relearn(&self, vocabulary: &Arc<Vocabulary>) {
        *self.vocabulary.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(vocabulary);
    }

    /// How often they changed, for whoever follows them.
    pub fn changes(&self) -> Arc<Changes> {
        Arc::clone(&self.changes)
    }

    /// How often they changed.
    pub fn version(&self) -> u64 {
        self.changes.count()
    }

    /// They as they are; `None` while one is being written, for which who watches does not wait.
    pub fn now(&self) -> Option<Slots> {
        match self.slots.try_lock() {
            Ok(slots) => Some(slots.clone()),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner().clone()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_in(table: &AlertTable, camera: &str, name: &str) -> bool {
    table.camera.as_deref() == Some(camera) && table.in_zone.as_deref() == Some(name)
}

fn full() -> String {
    format!("{MOST} conditions are added, which is the most; take one back first")
}

fn line(table: &AlertTable) -> String {
    let line = serde_json::to_string(table).expect("text and finite numbers should be JSON");
    line + "\n"
}

/// Why conditions cannot be kept there.
///
/// # Errors
/// It is something else than a file, or there is no folder for one.
pub fn possible(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        // Opened, a pipe would wait for who writes.
        Ok(there) if there.is_file() => Ok(()),
        Ok(_) => Err("this is no file".into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
        Err(_) => match path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        {
            Some(folder) if path.file_name().is_some() && folder.is_dir() => Ok(()),
            Some(folder) if path.file_name().is_some() => {
                Err(format!("there is no folder {}; make it first", folder.display()))
            }
            _ => Err("this is no name of a file".into()),
        },
    }
}

/// Keeps what was not understood: once, however often it is read.
///
/// # Errors
/// It cannot be written.
pub fn set_aside(path: &Path, damaged: &[&str]) -> io::Result<()> {
    if damaged.is_empty() {
        return Ok(());
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let known = read(Path::new(&aside), MOST_FILE_BYTES).unwrap_or_default();
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&aside)?;
    for line in damaged.iter().filter(|line| !known.lines().any(|other| other == **line)) {
        writeln!(file, "{line}")?;
    }
    file.sync_all()
}

/// A file that need not be there.
///
/// # Errors
/// It cannot be read, or has more than so many bytes.
pub fn read(path: &Path, most_bytes: u64) -> io::Result<String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(most_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most_bytes {
        return Err(io::Error::other(format!(
            "it has more than {most_bytes} bytes, which nothing that is added takes"
        )));
    }
    // A line that is no text is left out as others are.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::wiring;

    fn opened(path: &Path) -> (Additions, Vec<String>) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root");
        let pack = wiring::open_pack(root.join("models/home").to_str().expect("a plain path")).expect("it is there");
        let own = AlertTable { text: "Of the config".into(), kinds: vec!["fall".into()], ..AlertTable::default() };
        let config = Config { alerts: vec![own], ..Config::default() };
        Additions::open(path, &config, &pack, None).expect("it can be read")
    }

    fn walks(text: &str) -> AlertTable {
        AlertTable { text: text.into(), kinds: vec!["walk".into()], ..AlertTable::default() }
    }

    fn texts(additions: &Additions) -> Vec<String> {
        additions.list().iter().map(|(table, _)| table.text.clone()).collect()
    }

    #[test]
    fn what_is_added_is_there_after_a_restart_and_what_is_taken_back_is_not() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("conditions.jsonl");
        let (additions, faults) = opened(&path);
        assert!(faults.is_empty() && !path.exists());
        for text in ["a", "b", "c"] {
            assert!(!additions.put(walks(text)).expect("it makes sense"));
        }
        let zone = vec![[0.5, 0.0], [1.0, 0.0], [1.0, 1.0]];
        let changed = AlertTable { zone: zone.clone(), times: vec!["22:00-06:00".into()], ..walks("b") };
        let many = AlertTable { kinds: vec!["walk".into(); 1000], ..walks("many") };
        let why = additions.put(many).expect_err("there are too many").to_string();
        assert_eq!(why, "it has 1000 kinds; 64 is the most");
        // Whoever made it, and whatever a start of an older program left: it is for nobody else.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        *additions.stamp.lock().expect("nobody holds it") = Stamp::of(&path);
        assert!(additions.put(changed).expect("it changes the one before"));
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        additions.remove("a").expect("it was added");
        assert_eq!(additions.version(), 5);
        let (additions, faults) = opened(&path);
        assert_eq!((texts(&additions), faults), (vec!["b".to_owned(), "c".to_owned()], Vec::new()));
        assert_eq!(additions.list()[0].0.zone, zone);
        assert!(matches!(additions.remove("a"), Err(HouseError::Absent(_))));
    }

    #[test]
    fn a_change_keeps_what_only_the_file_can_say() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("conditions.jsonl");
        let written = AlertTable {
            after: vec!["enter".into()],
            unless: vec!["sit".into()],
            within: Some("2min".into()),
            threshold: Some(0.4),
            ..walks("a")
        };
        fs::write(&path, line(&written)).expect("it is writable");
        let (additions, _) = opened(&path);
        assert!(additions.put(AlertTable { cooldown: Some("1min".into()), ..walks("a") }).expect("it makes sense"));
        let kept = AlertTable { cooldown: Some("1min".into()), ..written };
        assert_eq!(fs::read_to_string(&path).expect("it is there"), line(&kept));
        let enters = AlertTable { kinds: vec!["enter".into()], ..walks("a") };
        let Err(HouseError::Refused(why)) = additions.put(enters) else { panic!("it contradicts what was kept") };
        assert!(why.contains("`enter`"), "{why}");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), line(&kept));
        additions.remove("a").expect("it was added");
        assert!(!additions.put(walks("a")).expect("it makes sense"), "a new one has nothing from before");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), line(&walks("a")));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_changes_nothing() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("conditions.jsonl");
        let (additions, _) = opened(&path);
        let list = |count: usize, of: &str| vec![of.to_owned(); count];
        for (table, word) in [
            (walks(""), "has a `text`"),
            (AlertTable { kinds: Vec::new(), ..walks("x") }, "or `kinds`"),
            (AlertTable { kinds: list(1, "flies"), ..walks("x") }, "knows `flies`"),
            (AlertTable { when: Some("somebody walks".into()), ..walks("x") }, "for the config"),
            (AlertTable { camera: Some("cellar".into()), ..walks("x") }, "there is no camera `cellar`"),
            (AlertTable { kinds: list(65, "walk"), ..walks("x") }, "65 kinds; 64"),
            (AlertTable { kinds: list(1, &"y".repeat(50_000)), ..walks("x") }, "more than 4096 bytes"),
            (AlertTable { times: list(17, "10:00-11:00"), ..walks("x") }, "17 times; 16"),
            (
                AlertTable {
                    zone: (0..33_u8).map(|n| [f32::from(n % 2), f32::from(n) / 33.0]).collect(),
                    ..walks("x")
                },
                "33 corners",
            ),
            (AlertTable { cooldown: Some("soon".into()), ..walks("x") }, "`cooldown` is `soon`"),
            (walks("Of the config"), "is a condition of the config"),
            (walks("still not acknowledged (1): a"), "told again"),
            (walks("a\nb"), "break lines"),
            (walks("\u{202e}a"), "steer displays"),
            (walks(&"x".repeat(2000)), "bytes; the most are"),
        ] {
            let Err(HouseError::Refused(why)) = additions.put(table) else { panic!("refused: {word}") };
            assert!(why.contains(word) && why.lines().count() == 1, "{why}");
        }
        assert!(matches!(additions.remove("Of the config"), Err(HouseError::Refused(_))));
        assert!(additions.version() == 0 && texts(&additions).is_empty() && !path.exists());
        for number in 0..MOST {
            additions.put(walks(&number.to_string())).expect("there is room");
        }
        assert!(matches!(additions.put(walks("one more")), Err(HouseError::Refused(why)) if why.contains("the most")));
        assert!(additions.put(walks("7")).expect("the same can be changed"));
    }

    #[test]
    fn lines_that_are_damaged_are_told_and_set_aside_and_the_others_hold() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("conditions.jsonl");
        let own = line(&AlertTable { kinds: vec!["cat_jumps".into()], ..walks("The cat jumps") });
        let text = [line(&walks("a")), "{\"text\":".into(), "\n".into(), line(&walks("a")), own].concat();
        fs::write(&path, &text).expect("it is writable");
        let (additions, faults) = opened(&path);
        assert_eq!(texts(&additions), ["a", "The cat jumps"], "one may wait for a sentence of the user's");
        assert!(additions.list()[1].1.as_ref().is_some_and(|why| why.contains("`cat_jumps`")), "and says so");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("line 2 ") && faults[1].contains("there already"), "{faults:?}");
        let aside = || fs::read_to_string(folder.path().join("conditions.jsonl.damaged")).expect("it is there");
        let damaged = ["{\"text\":\n".to_owned(), line(&walks("a"))].concat();
        assert_eq!(aside(), damaged);
        opened(&path);
        assert_eq!(aside(), damaged, "it is there once");
        fs::write(&path, "{}x\n").expect("it is writable");
        opened(&path);
        assert_eq!(aside(), damaged + "{}x\n", "what was set aside before stays");
        let large = folder.path().join("large");
        File::create(&large).and_then(|file| file.set_len(1 << 40)).expect("it holds nothing");
        assert!(read(&large, MOST_FILE_BYTES).is_err() && possible(folder.path()).is_err());
    }

    #[test]
    fn one_of_a_camera_that_is_not_there_waits_for_it() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("conditions.jsonl");
        let of_porch = AlertTable { camera: Some("porch".into()), ..walks("on the porch") };
        fs::write(&path, line(&of_porch)).expect("it is writable");
        let (additions, faults) = opened(&path);
        assert_eq!((texts(&additions), faults), (vec!["on the porch".to_owned()], Vec::new()));
        assert!(additions.list()[0].1.as_ref().is_some_and(|why| why.contains("there is no camera `porch`")));
        additions.put(walks("b")).expect("it makes sense");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), line(&of_porch) + &line(&walks("b")));
    }

    #[test]
    fn where_no_file_can_be_is_told_before_anything_is_added() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let nowhere = folder.path().join("gone/conditions.jsonl");
        assert!(possible(&nowhere).is_err_and(|why| why.contains("there is no folder")));
        for (place, word) in
            [(Path::new("/dev/null"), "no file"), (folder.path(), "no file"), (Path::new(""), "no name")]
        {
            assert!(possible(place).is_err_and(|why| why.contains(word)), "{}", place.display());
        }
        assert_eq!((possible(&folder.path().join("new")), possible(Path::new("new.jsonl"))), (Ok(()), Ok(())));
    }

    #[test]
    fn where_it_cannot_be_written_all_stays_as_it_was() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("here/conditions.jsonl");
        fs::create_dir(folder.path().join("here")).expect("it is writable");
        let (additions, _) = opened(&path);
        fs::remove_dir(folder.path().join("here")).expect("it is empty");
        assert!(matches!(additions.put(walks("a")), Err(HouseError::Unavailable(_))));
        assert!(texts(&additions).is_empty() && additions.version() == 0);
    }

    #[test]
    fn what_somebody_wrote_into_the_file_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("conditions.jsonl");
        let (additions, _) = opened(&path);
        additions.put(walks("a")).expect("it makes sense");
        let by_hand = line(&AlertTable { after: vec!["enter".into()], ..walks("a") });
        fs::write(&path, &by_hand).expect("it is writable");
        for change in [|of: &Additions| of.put(walks("b")).map(|_| ()), |of: &Additions| of.remove("a")] {
            assert!(
                matches!(change(&additions), Err(HouseError::Refused(why)) if why.contains("the next start reads it"))
            );
        }
        assert_eq!(fs::read_to_string(&path).expect("it is there"), by_hand);
        let (additions, _) = opened(&path);
        additions.put(walks("b")).expect("it was read");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), by_hand + &line(&walks("b")));
    }
}
