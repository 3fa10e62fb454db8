//! Writing: entries in, one transaction a batch; the oldest go where there is no more room.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocelli_types::{EntryId, EventKind, Micros, Severity};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::JournalError;
use crate::merge::{Open, Piece};
use crate::salvage::{Salvage, salvage};
use crate::schema::{self, Look, PAGE_BYTES, beside};
use crate::seen::{self, Ring, Seen};
use crate::sense::{CHUNK, Label, NEVER, SLOT_BYTES, Vector, severity_number, slot};
use crate::words::spaced;

/// Ids that are taken at a time: so many are left out after a power cut, which may take back which of them were used.
pub const RESERVE: u64 = 1024;

/// Events that go at a time where there is no more room, a chunk of embeddings.
const EVICT: u64 = CHUNK;

/// No text is kept that is longer.
const MOST_TEXT_BYTES: usize = 2048;

/// No uptime lies longer behind, a year: rather a clock was wrong.
const LONGEST_AWAY_MS: u64 = 366 * 86_400_000;

/// What the file may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file and what lies beside it while it is written; 2 MiB at least.
    pub bytes: u64,
    /// How long an event stays at most.
    pub keep_us: Micros,
}

impl Limits {
    /// The least that works.
    pub const LEAST_BYTES: u64 = 2 << 20;

    /// Bytes of the log: what is written before it is in the file.
    const fn log_bytes(self) -> u64 {
        let share = self.bytes / 4;
        if share < 4 << 20 { share } else { 4 << 20 }
    }

    /// Pages of the file: what the log and its index leave.
    const fn pages(self) -> u64 {
        (self.bytes - self.log_bytes() - (64 << 10)) / PAGE_BYTES
    }
}

/// When an uptime begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The wall clock, milliseconds since 1970, where it is known: a clip has none.
    pub unix_ms: Option<u64>,
    /// Stream time.
    pub stream_us: Micros,
    /// No id below this is given.
    pub least_id: u64,
}

/// What an event is of, where it is of what is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Kind of the vocabulary.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// Whom or what its kind is about, such as `person` or `door`.
    pub entities: Vec<String>,
    /// Where it lies in the vocabulary's space; alerts have none, the narration beside them has it.
    pub vector: Option<Vector>,
}

/// An event as it was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its id, larger than that of all before it.
    pub id: u64,
    /// What kind of event.
    pub kind: EventKind,
    /// Which camera.
    pub camera: String,
    /// Stream time.
    pub start_us: Micros,
    /// Stream time.
    pub end_us: Micros,
    /// Wall clock at its start, milliseconds since 1970.
    pub start_ms: Option<u64>,
    /// The sentence.
    pub text: String,
    /// 0 to 1.
    pub score: f32,
    /// Oldest and newest memory entry behind it.
    pub entries: Option<(EntryId, EntryId)>,
    /// What it is of; `None` for the device itself.
    pub about: Option<About>,
    /// Whether it is kept only, and was told nobody, in quiet hours.
    pub quiet: bool,
}

/// What is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An event.
    Told(Told),
    /// The sentence of an alert that was told before.
    Said {
        /// The alert.
        id: u64,
        /// The sentence.
        text: String,
    },
    /// An alert was told once more.
    ToldAgain {
        /// The alert.
        id: u64,
    },
    /// Somebody knows of an alert, as this program was told itself.
    Acknowledged {
        /// The alert.
        id: u64,
        /// When, milliseconds since 1970.
        unix_ms: u64,
    },
    /// A camera sees again: its last blind interval ends here.
    Sees {
        /// Which camera.
        camera: String,
        /// Stream time.
        at_us: Micros,
    },
    /// What was seen, whatever was said; the same one again where it goes on.
    Seen(Ring, Seen),
    /// The program runs. What is after the last sign of life counts as a hole.
    Alive {
        /// Stream time.
        at_us: Micros,
        /// Wall clock, milliseconds since 1970.
        unix_ms: Option<u64>,
    },
}

impl Entry {
    /// Whether somebody was told of it, so that the disk must have it. What was only seen, or is a sign of life, a power cut may
    /// take back, and it waits for no disk.
    pub const fn is_told(&self) -> bool {
        !matches!(self, Self::Seen(..) | Self::Alive { .. })
    }

    /// Whether it should not wait for more that could be written with it: alerts, and what becomes of them.
    pub const fn is_urgent(&self) -> bool {
        match self {
            Self::Told(told) => matches!(told.kind, EventKind::Alert | EventKind::AlertEnd),
            Self::Said { .. } | Self::ToldAgain { .. } | Self::Acknowledged { .. } => true,
            Self::Sees { .. } | Self::Seen(..) | Self::Alive { .. } => false,
        }
    }
}

/// Takes a journal for oneself, beside readers, for as long as the file is held.
pub fn lock(path: &Path) -> Result<File, JournalError> {
    let lock_path = beside(path, ".lock");
    let lock = File::create(&lock_path).map_err(|error| JournalError::disk(&lock_path, &error))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::Taken { path: path.to_path_buf() },
        TryLockError::Error(error) => JournalError::disk(&lock_path, &error),
    })?;
    Ok(lock)
}

/// The one that writes a journal. It has the file to itself, beside readers.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    db: Connection,
    limits: Limits,
    start: Start,
    run: i64,
    /// Journal time at the start, microseconds: it goes on over restarts and never back.
    start_at: i64,
    next_id: u64,
    /// The first id of this uptime.
    first_id: u64,
    /// What the file had seen of others when it was looked at for acknowledgements.
    version: i64,
    /// No id from here on is taken.
    reserved: u64,
    known: Known,
    _lock: Arc<File>,
}

/// What need not be looked up again. After a failure it is forgotten, for it may be of a transaction that never was.
#[derive(Debug, Default)]
struct Known {
    names: HashMap<String, i64>,
    /// Whom or what a kind is about.
    about: HashMap<i64, Vec<String>>,
    open: Open,
    next_slot: Option<u64>,
    oldest_at: Option<i64>,
}

impl Writer {
    /// Opens the journal, makes it where there is none, and begins an uptime. One that is damaged is set aside, and what can be
    /// read of it is in the new one: then there is a [`Salvage`].
    ///
    /// After a program that did not end in order all pages are checked, which takes as long as reading them.
    ///
    /// # Errors
    /// The file is of another kind, newer, or another program's; or the disk refuses.
    ///
    /// # Panics
    /// If the limits are below [`Limits::LEAST_BYTES`].
    pub fn open(path: &Path, limits: Limits, start: Start) -> Result<(Self, Option<Salvage>), JournalError> {
        Self::open_or_mend(path, limits, start, None)
    }

    /// Opens a journal in which a batch met [`JournalError::Damaged`], with this `why`: it is set aside without asking further.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Panics
    /// As [`open`](Self::open).
    pub fn mend(path: &Path, limits: Limits, start: Start, why: &str) -> Result<(Self, Option<Salvage>), JournalError> {
        Self::open_or_mend(path, limits, start, Some(why))
    }

    fn open_or_mend(
        path: &Path,
        limits: Limits,
        start: Start,
        damage: Option<&str>,
    ) -> Result<(Self, Option<Salvage>), JournalError> {
        assert!(limits.bytes >= Limits::LEAST_BYTES, "a journal should have room");
        let look = schema::look(path)?;
        // Only where one of ours was before, a file whose first page is lost is taken for a journal.
        let lock_path = beside(path, ".lock");
        if look == Look::Other && !(path.is_file() && lock_path.is_file()) {
            return Err(JournalError::Foreign { path: path.to_path_buf() });
        }
        let was_ours = lock_path.exists();
        let lock = Arc::new(lock(path)?);
        let begun = |db| Self::begin(path, db, limits, start, &lock);
        let opened = match damage {
            Some(why) => Err(JournalError::Damaged { path: path.to_path_buf(), why: why.into() }),
            None => schema::open_to_write(path).and_then(|db| check(&db, path).map(|()| db)).and_then(begun),
        };
        match opened {
            Err(JournalError::Damaged { why, .. }) => {
                let (db, salvage) = salvage(path, &why)?;
                Ok((begun(db)?, Some(salvage)))
            }
            Err(error) if error.is_final() && !was_ours => {
                // Beside what is not ours nothing of ours stays.
                let _ = std::fs::remove_file(&lock_path);
                Err(error)
            }
            opened => Ok((opened?, None)),
        }
    }

    fn begin(
        path: &Path,
        db: Connection,
        limits: Limits,
        start: Start,
        lock: &Arc<File>,
    ) -> Result<Self, JournalError> {
        let mut writer = Self {
            path: path.to_path_buf(),
            db,
            limits,
            start,
            run: 0,
            start_at: 0,
            next_id: 1,
            first_id: 1,
            version: 0,
            reserved: 1,
            known: Known::default(),
            _lock: Arc::clone(lock),
        };
        writer.checkpoint(0)?;
        writer.fit()?;
        writer.begin_run().map_err(|error| JournalError::sql(path, &error))?;
        writer.first_id = writer.next_id;
        Ok(writer)
    }

    /// The id of the next event. After a program that was killed, or a power cut, it leaps.
    pub const fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Writes all of these, or none. Where [one of them was told](Entry::is_told), all that was written so far is on the disk when this
    /// comes back, and outlasts a power cut: the disk is waited for once, however many they are.
    ///
    /// # Errors
    /// Nothing was written; the next batch may be.
    pub fn write(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let written = self.make_room().and_then(|()| self.put(entries));
        if written.is_err() {
            self.known = Known::default();
        }
        written
    }

    /// Alerts of this uptime that were acknowledged, the newest 64; `None` where no other has written since it was asked last.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn acknowledged(&mut self) -> Result<Option<Vec<u64>>, JournalError> {
        let mut read = || {
            let version = self.db.pragma_query_value(None, "data_version", |row| row.get(0))?;
            if std::mem::replace(&mut self.version, version) == version {
                return Ok(None);
            }
            let acked = "SELECT id FROM event WHERE id >= ?1 AND acked_ms IS NOT NULL ORDER BY id DESC LIMIT 64";
            let mut acked = self.db.prepare_cached(acked)?;
            let ids = acked.query_map([self.first_id.cast_signed()], |row| row.get(0))?;
            ids.collect::<rusqlite::Result<Vec<u64>>>().map(Some)
        };
        read().map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// Ends the uptime at this stream time, in order: the next id is the next.
    ///
    /// # Errors
    /// The disk refuses: what was written stays.
    pub fn finish(mut self, next_id: u64, at_us: Micros, unix_ms: Option<u64>) -> Result<(), JournalError> {
        self.write(&[Entry::Alive { at_us, unix_ms }])?;
        let end = "UPDATE number SET value = CASE name WHEN 'next_id' THEN max(?1, 1) ELSE 0 END";
        let next_id = next_id.max(self.next_id);
        let ended = self.db.execute(end, [next_id.cast_signed()]);
        ended.map_err(|error| JournalError::sql(&self.path, &error))?;
        self.checkpoint(0)
    }

    /// Takes the first ids, and tells when the uptime begins.
    fn begin_run(&mut self) -> rusqlite::Result<()> {
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last = change.query_row("SELECT run, end_at, end_ms FROM run ORDER BY run DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<u64>>(2)?))
        });
        let (last_run, last_at, last_ms) = last.optional()?.unwrap_or_default();
        let away_ms = self.start.unix_ms.zip(last_ms).and_then(|(now, last)| now.checked_sub(last));
        let away_ms = away_ms.filter(|away_ms| *away_ms <= LONGEST_AWAY_MS).unwrap_or(0);
        self.start_at = last_at + away_ms.cast_signed() * 1000;
        // One that said nothing saw nothing.
        change.execute("DELETE FROM run WHERE run = ?1 AND run NOT IN (SELECT run FROM event)", [last_run])?;
        self.run = last_run + 1;
        change.execute(
            "INSERT INTO run VALUES(?1, ?2, ?2, ?3, ?3)",
            params![self.run, self.start_at, self.start.unix_ms],
        )?;
        let next: i64 = change.query_row("SELECT value FROM number WHERE name = 'next_id'", [], |row| row.get(0))?;
        let most: Option<i64> = change.query_row("SELECT max(id) FROM event", [], |row| row.get(0))?;
        self.next_id = (next as u64).max(most.map_or(1, |most| most as u64 + 1)).max(self.start.least_id);
        change.execute("UPDATE number SET value = 1 WHERE name = 'open'", [])?;
        seen::expire(&change, keep_from(self.start_at, self.limits))?;
        change.commit()?;
        reserve(&self.db, &mut self.reserved, self.next_id + RESERVE)
    }

    fn put(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let Self { path, db, limits, run, start, start_at, next_id, reserved, known, .. } = self;
        let failed = |error: rusqlite::Error| JournalError::sql(path, &error);
        let newest =
            entries.iter().filter_map(|entry| if let Entry::Told(told) = entry { Some(told.id) } else { None });
        let newest = newest.max().unwrap_or(0);
        if newest + RESERVE / 2 >= *reserved {
            reserve(db, reserved, newest + RESERVE).map_err(failed)?;
        }
        wait_for_disk(db, entries.iter().any(Entry::is_told)).map_err(failed)?;
        // Dropping it, as an error does, takes all back.
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let base = *start_at - start.stream_us.0.cast_signed();
        let mut page = Page { db: &change, known, run: *run, base, limits: *limits };
        for entry in entries {
            page.put(entry).map_err(failed)?;
        }
        change.commit().map_err(failed)?;
        *next_id = (*next_id).max(newest + 1);
        // It is written. That the log cannot be taken in is met by the next batch, where it matters.
        let _ = self.checkpoint(self.limits.log_bytes() / 2);
        Ok(())
    }

    /// Takes the log into the file, where it is longer than this.
    fn checkpoint(&self, above: u64) -> Result<(), JournalError> {
        let log_bytes = || std::fs::metadata(beside(&self.path, "-wal")).map_or(0, |metadata| metadata.len());
        if log_bytes() <= above {
            return Ok(());
        }
        // A reader keeps the log as it is, for the moment that it reads.
        let taken = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        taken.map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// Expires what is too old, and lets the oldest go while there is little room.
    fn make_room(&mut self) -> Result<(), JournalError> {
        let path = self.path.clone();
        let failed = |error: rusqlite::Error| JournalError::sql(&path, &error);
        let log = std::fs::metadata(beside(&self.path, "-wal")).map_or(0, |metadata| metadata.len());
        if log > self.limits.log_bytes() / 4 * 3 {
            self.checkpoint(0)?;
            let left = std::fs::metadata(beside(&self.path, "-wal")).map_or(0, |metadata| metadata.len());
            if left > self.limits.log_bytes() / 4 * 3 {
                return Err(JournalError::Held { path: self.path.clone() });
            }
        }
        // What a batch adds at most, and an eviction in between.
        let most_used = self.limits.pages() - self.limits.pages() / 8;
        while self.used_pages().map_err(failed)? > most_used {
            if self.evict().map_err(failed)? == 0 {
                break;
            }
            self.checkpoint(self.limits.log_bytes() / 2)?;
        }
        while self.expired().map_err(failed)? {
            self.checkpoint(self.limits.log_bytes() / 2)?;
        }
        Ok(())
    }

    fn used_pages(&self) -> rusqlite::Result<u64> {
        let pragma = |name: &str| self.db.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        Ok(pragma("page_count")? - pragma("freelist_count")?)
    }

    /// Lets the oldest go, alerts last: those only where they are more than half of all. Gives how many went.
    fn evict(&mut self) -> rusqlite::Result<usize> {
        let count = "SELECT count(*), sum(type IN (?1, ?2)) FROM event";
        let (alert, alert_end) = (type_number(EventKind::Alert), type_number(EventKind::AlertEnd));
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, Option<u64>>(1)?));
        let (all, alerts) = self.db.query_row(count, [alert, alert_end], row)?;
        let alerts_go = alerts.unwrap_or(0) > all / 2;
        self.remove("(type IN (?1, ?2)) = ?3", params![alert, alert_end, alerts_go])
    }

    /// Lets go what is older than may be; `true` where there may be more.
    fn expired(&mut self) -> rusqlite::Result<bool> {
        if self.known.oldest_at.is_none() {
            let oldest = "SELECT at FROM event ORDER BY id LIMIT 1";
            self.known.oldest_at = self.db.query_row(oldest, [], |row| row.get(0)).optional()?;
        }
        let now: i64 = self.db.query_row("SELECT end_at FROM run WHERE run = ?1", [self.run], |row| row.get(0))?;
        let limit = keep_from(now, self.limits);
        if self.known.oldest_at.is_none_or(|oldest| oldest >= limit) {
            return Ok(false);
        }
        // Up to the first that may stay: no more is read.
        let old = "id < (SELECT coalesce((SELECT id FROM event WHERE at >= ?1 ORDER BY id LIMIT 1), ?2))";
        Ok(self.remove(old, params![limit, i64::MAX])? > 0)
    }

    /// Removes the oldest events of which this is true, [`EVICT`] at most, with all that only they have.
    fn remove(&mut self, which: &str, values: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<usize> {
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let oldest = format!("SELECT id, text, said FROM event WHERE {which} ORDER BY id LIMIT {EVICT}");
        let mut oldest = change.prepare_cached(&oldest)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?));
        let gone = oldest.query_map(values, row)?.collect::<rusqlite::Result<Vec<(i64, i64, Option<i64>)>>>()?;
        drop(oldest);
        let mut event = change.prepare_cached("DELETE FROM event WHERE id = ?1")?;
        for (id, text, said) in &gone {
            event.execute([id])?;
            release(&change, *text)?;
            said.map_or(Ok(()), |said| release(&change, said))?;
        }
        drop(event);
        // Narrations go in their order, so what comes before the first that is left is nobody's.
        let first = "SELECT id, slot FROM event WHERE slot IS NOT NULL ORDER BY id LIMIT 1";
        let first = change.query_row(first, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let (first_id, first_slot) = first.optional()?.unwrap_or((i64::MAX, i64::MAX));
        change.execute("DELETE FROM chunk WHERE chunk < ?1", [first_slot / CHUNK.cast_signed()])?;
        change.execute("DELETE FROM part WHERE id < ?1", [first_id])?;
        let runs = "DELETE FROM run WHERE run < (SELECT run FROM event ORDER BY id LIMIT 1)";
        change.execute(runs, [])?;
        change.commit()?;
        // Slots begin anew where no chunk is left.
        (self.known.next_slot, self.known.oldest_at) = (None, None);
        self.known.open.keep_from(first_id as u64);
        Ok(gone.len())
    }

    /// Makes a file smaller that was allowed to be larger before.
    fn fit(&mut self) -> Result<(), JournalError> {
        let path = self.path.clone();
        let failed = |error: rusqlite::Error| JournalError::sql(&path, &error);
        let pages = self.limits.pages();
        let count = |db: &Connection| db.pragma_query_value(None, "page_count", |row| row.get::<_, u64>(0));
        while self.used_pages().map_err(failed)? > pages - pages / 8 {
            if self.evict().map_err(failed)? == 0 {
                break;
            }
            self.checkpoint(self.limits.log_bytes() / 2)?;
        }
        while count(&self.db).map_err(failed)? > pages {
            let before = count(&self.db).map_err(failed)?;
            self.db.execute_batch("PRAGMA incremental_vacuum(256)").map_err(failed)?;
            self.checkpoint(self.limits.log_bytes() / 2)?;
            if count(&self.db).map_err(failed)? == before {
                break;
            }
        }
        self.db.execute_batch(&format!("PRAGMA max_page_count = {pages}")).map_err(failed)
    }
}

/// Journal time before which nothing is kept.
fn keep_from(now: i64, limits: Limits) -> i64 {
    now.saturating_sub(i64::try_from(limits.keep_us.0).unwrap_or(i64::MAX))
}

/// Whether what is committed from now on is on the disk when the commit comes back. Where not, it still is all there or not at all,
/// after what was committed before it.
fn wait_for_disk(db: &Connection, wait: bool) -> rusqlite::Result<()> {
    db.execute_batch(if wait { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })
}

/// Takes ids up to this one, and waits until the disk has it.
fn reserve(db: &Connection, reserved: &mut u64, upto: u64) -> rusqlite::Result<()> {
    wait_for_disk(db, true)?;
    db.execute("UPDATE number SET value = ?1 WHERE name = 'next_id'", [upto.cast_signed()])?;
    *reserved = upto;
    Ok(())
}

/// One event less says this text.
fn release(db: &Connection, text: i64) -> rusqlite::Result<()> {
    let less = "UPDATE text SET uses = uses - 1 WHERE id = ?1 RETURNING uses";
    let uses: i64 = db.prepare_cached(less)?.query_row([text], |row| row.get(0))?;
    if uses <= 0 {
        db.prepare_cached("DELETE FROM words WHERE rowid = ?1")?.execute([text])?;
        db.prepare_cached("DELETE FROM text WHERE id = ?1")?.execute([text])?;
    }
    Ok(())
}

/// After a program that did not end in order.
fn check(db: &Connection, path: &Path) -> Result<(), JournalError> {
    let failed = |error: rusqlite::Error| JournalError::sql(path, &error);
    let open = db.query_row("SELECT value FROM number WHERE name = 'open'", [], |row| row.get::<_, i64>(0));
    if open.map_err(failed)? == 0 {
        return Ok(());
    }
    let said: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if said == "ok" { Ok(()) } else { Err(JournalError::Damaged { path: path.to_path_buf(), why: said }) }
}

/// The number of a type in the file.
pub const fn type_number(kind: EventKind) -> i64 {
    match kind {
        EventKind::Narration => 0,
        EventKind::Alert => 1,
        EventKind::AlertEnd => 2,
        EventKind::Blind => 3,
        EventKind::Health => 4,
        EventKind::Camera => 5,
        // None of its own: it changes the alert that it is of.
        EventKind::Update => 6,
    }
}

/// What is written in one transaction.
struct Page<'a> {
    db: &'a Connection,
    known: &'a mut Known,
    run: i64,
    /// Journal time at stream time zero.
    base: i64,
    limits: Limits,
}

impl Page<'_> {
    fn put(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        match entry {
            Entry::Told(told) => {
                let lasted_ms = told.end_us.since(told.start_us).0 / 1000;
                self.alive(told.end_us, told.start_ms.map(|start_ms| start_ms + lasted_ms))?;
                self.told(told)
            }
            Entry::Said { id, text } => self.said(*id, text),
            Entry::ToldAgain { id } => {
                let again = "UPDATE event SET told = told + 1 WHERE id = ?1";
                self.db.prepare_cached(again)?.execute([id.cast_signed()]).map(|_| ())
            }
            Entry::Acknowledged { id, unix_ms } => {
                let known = "UPDATE event SET acked_ms = ?2 WHERE id = ?1 AND acked_ms IS NULL";
                self.db.prepare_cached(known)?.execute([id.cast_signed(), unix_ms.cast_signed()]).map(|_| ())
            }
            Entry::Sees { camera, at_us } => self.sees(camera, *at_us),
            Entry::Seen(ring, seen) => self.seen(*ring, seen),
            Entry::Alive { at_us, unix_ms } => self.alive(*at_us, *unix_ms),
        }
    }

    fn seen(&mut self, ring: Ring, seen: &Seen) -> rusqlite::Result<()> {
        let at = self.base + seen.start_us.0.cast_signed();
        let (camera, mark) = (self.name(&seen.camera)?, self.name(&seen.vector.mark)?);
        let place = seen::Place { run: self.run, at, keep_from: keep_from(at, self.limits), camera, mark };
        seen::put(self.db, ring, seen, &place)
    }

    fn told(&mut self, told: &Told) -> rusqlite::Result<()> {
        let camera = self.name(&told.camera)?;
        if told.kind == EventKind::Blind {
            self.known.open.close(camera as u16);
        }
        let about = told.about.as_ref();
        let kind = about.map(|about| self.kind(about)).transpose()?;
        let vector = about.and_then(|about| about.vector.as_ref());
        let piece = vector.zip(kind).map(|(vector, kind)| Piece {
            id: told.id,
            camera: camera as u16,
            kind: kind as u16,
            start_us: told.start_us.0,
            end_us: told.end_us.0,
            score: told.score,
            parts: 1,
            vector: vector.clone(),
            slot: 0,
        });
        let Some(piece) = piece else { return self.event(told, camera, kind, None) };
        if let Some((event, surer)) = self.known.open.join(&piece).map(|(event, surer)| (event.clone(), surer)) {
            return self.part(told, &event, surer);
        }
        let slot = self.next_slot()?;
        self.event(told, camera, kind, Some((slot, &piece.vector)))?;
        self.known.open.begin(Piece { slot, ..piece });
        Ok(())
    }

    fn event(
        &mut self,
        told: &Told,
        camera: i64,
        kind: Option<i64>,
        vector: Option<(u64, &Vector)>,
    ) -> rusqlite::Result<()> {
        let text = self.text(&told.text)?;
        let severity = told.about.as_ref().map_or(0, |about| severity_number(about.severity));
        let mark = vector.map(|(_, vector)| self.name(&vector.mark)).transpose()?;
        let insert = "INSERT INTO event VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 1, ?15, ?16, NULL, ?17, NULL)";
        self.db.prepare_cached(insert)?.execute(params![
            told.id.cast_signed(),
            type_number(told.kind),
            camera,
            kind,
            severity,
            text,
            told.start_ms,
            told.start_us.0,
            told.end_us.0,
            self.base + told.start_us.0.cast_signed(),
            self.run,
            told.score,
            told.entries.map(|(from, _)| from.0),
            told.entries.map(|(_, to)| to.0),
            vector.map(|(slot, _)| slot),
            mark,
            !told.quiet,
        ])?;
        let Some((at, vector)) = vector else { return Ok(()) };
        self.embed(at, vector, told, text, (camera, kind.unwrap_or(0)), told.id, told.start_ms)
    }

    /// Makes a narration part of an event.
    fn part(&mut self, told: &Told, event: &Piece, surer: bool) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("INSERT INTO part VALUES(?1, ?2)")?
            .execute([told.id.cast_signed(), event.id.cast_signed()])?;
        let longer = "UPDATE event SET end_us = max(end_us, ?2), parts = parts + 1 WHERE id = ?1 RETURNING start_ms";
        let start_ms: Option<u64> =
            self.db.prepare_cached(longer)?.query_row(params![event.id, told.end_us.0], |row| row.get(0))?;
        if !surer {
            return Ok(());
        }
        let text = self.text(&told.text)?;
        let old: i64 = self.db.query_row("SELECT text FROM event WHERE id = ?1", [event.id], |row| row.get(0))?;
        release(self.db, old)?;
        let (from, to) = told.entries.unzip();
        let better =
            "UPDATE event SET text = ?2, score = ?3, from_entry = ?4, to_entry = ?5, severity = ?6 WHERE id = ?1";
        let severity = told.about.as_ref().map_or(0, |about| severity_number(about.severity));
        let (from, to) = (from.map(|id| id.0), to.map(|id| id.0));
        self.db.prepare_cached(better)?.execute(params![event.id, text, told.score, from, to, severity])?;
        let names = (i64::from(event.camera), i64::from(event.kind));
        self.embed(event.slot, &event.vector, told, text, names, event.id, start_ms)
    }

    #[expect(clippy::too_many_arguments, reason = "they are what lies in a slot")]
    fn embed(
        &self,
        at: u64,
        vector: &Vector,
        told: &Told,
        text: i64,
        (camera, kind): (i64, i64),
        id: u64,
        start_ms: Option<u64>,
    ) -> rusqlite::Result<()> {
        let label = Label {
            id,
            text: text as u32,
            camera: camera as u16,
            kind: kind as u16,
            severity: told.about.as_ref().map_or(0, |about| severity_number(about.severity)),
            start_ms: start_ms.map_or(NEVER, u64::cast_signed),
        };
        let (chunk, slot_in_chunk) = ((at / CHUNK).cast_signed(), (at % CHUNK) as usize);
        if slot_in_chunk == 0 {
            let empty = "INSERT INTO chunk VALUES(?1, zeroblob(?2)) ON CONFLICT DO NOTHING";
            self.db.prepare_cached(empty)?.execute(params![chunk, CHUNK * SLOT_BYTES as u64])?;
        }
        let mut slots = self.db.blob_open("main", "chunk", "slots", chunk, false)?;
        slots.write_at(&slot(&vector.values, &label), slot_in_chunk * SLOT_BYTES)
    }

    /// The slot after the last one.
    fn next_slot(&mut self) -> rusqlite::Result<u64> {
        let next = if let Some(next) = self.known.next_slot {
            next
        } else {
            let last = "SELECT max(slot) FROM event WHERE slot >= (SELECT max(chunk) * ?1 FROM chunk)";
            let last: Option<u64> = self.db.query_row(last, [CHUNK], |row| row.get(0))?;
            last.map_or(0, |last| last + 1)
        };
        self.known.next_slot = Some(next + 1);
        Ok(next)
    }

    fn said(&self, id: u64, text: &str) -> rusqlite::Result<()> {
        let id = id.cast_signed();
        let before =
            self.db.query_row("SELECT said FROM event WHERE id = ?1", [id], |row| row.get::<_, Option<i64>>(0));
        // The alert may be gone, or was never written.
        let Some(before) = before.optional()? else { return Ok(()) };
        let text = self.text(text)?;
        self.db.prepare_cached("UPDATE event SET said = ?2 WHERE id = ?1")?.execute([id, text])?;
        before.map_or(Ok(()), |before| release(self.db, before))
    }

    fn sees(&mut self, camera: &str, at_us: Micros) -> rusqlite::Result<()> {
        let camera = self.name(camera)?;
        self.known.open.close(camera as u16);
        let blind = type_number(EventKind::Blind);
        let ends = "UPDATE event SET end_us = max(end_us, ?1) WHERE id = (
                        SELECT max(id) FROM event WHERE type = ?2 AND camera = ?3 AND run = ?4)";
        self.db.execute(ends, params![at_us.0, blind, camera, self.run])?;
        Ok(())
    }

    fn alive(&mut self, at_us: Micros, unix_ms: Option<u64>) -> rusqlite::Result<()> {
        let at = self.base + at_us.0.cast_signed();
        let alive = "UPDATE run SET end_at = max(end_at, ?2), end_ms = coalesce(?3, end_ms) WHERE run = ?1";
        self.db.prepare_cached(alive)?.execute(params![self.run, at, unix_ms])?;
        Ok(())
    }

    /// The number of a kind, of which is noted whom or what it is about.
    fn kind(&mut self, about: &About) -> rusqlite::Result<i64> {
        let kind = self.name(&about.kind)?;
        if self.known.about.get(&kind) != Some(&about.entities) {
            self.db.execute("DELETE FROM about WHERE kind = ?1", [kind])?;
            for entity in &about.entities {
                let entity = self.name(entity)?;
                self.db.execute("INSERT OR IGNORE INTO about(kind, entity) VALUES(?1, ?2)", [kind, entity])?;
            }
            self.known.about.insert(kind, about.entities.clone());
        }
        Ok(kind)
    }

    /// The number of a name. There are as many as cameras, kinds and models.
    fn name(&mut self, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.names.get(name) {
            return Ok(*id);
        }
        let id = self.db.query_row("SELECT id FROM name WHERE name = ?1", [name], |row| row.get(0)).optional()?;
        let id = if let Some(id) = id {
            id
        } else {
            self.db.execute("INSERT INTO name(name) VALUES(?1)", [name])?;
            self.db.last_insert_rowid()
        };
        self.known.names.insert(name.to_owned(), id);
        Ok(id)
    }

    /// The number of a text that one more event says.
    fn text(&self, text: &str) -> rusqlite::Result<i64> {
        let text = &text[..text.floor_char_boundary(MOST_TEXT_BYTES)];
        let more = "UPDATE text SET uses = uses + 1 WHERE said = ?1 RETURNING id";
        let id = self.db.prepare_cached(more)?.query_row([text], |row| row.get(0)).optional()?;
        if let Some(id) = id {
            return Ok(id);
        }
        self.db.prepare_cached("INSERT INTO text(said, uses) VALUES(?1, 1)")?.execute([text])?;
        let id = self.db.last_insert_rowid();
        self.db.prepare_cached("INSERT INTO words(rowid, said) VALUES(?1, ?2)")?.execute(params![id, spaced(text)])?;
        Ok(id)
    }
}
