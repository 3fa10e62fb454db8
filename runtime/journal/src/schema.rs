//! The file: its tables, how it is opened, and how an older one becomes a new one.

use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::JournalError;

/// Marks a SQLite file as a journal: "ocel".
pub const APPLICATION: i64 = 0x6f63_656c;

/// What makes a file of each format one of the next, from an empty one on.
const STEPS: [&str; 3] = [
    "
    -- Uptimes: `at` is the journal's own time in microseconds, which never goes back; `ms` are milliseconds since 1970.
    CREATE TABLE run(
        run INTEGER PRIMARY KEY,
        start_at INTEGER NOT NULL, end_at INTEGER NOT NULL, start_ms INTEGER, end_ms INTEGER);
    -- Of cameras, kinds and models.
    CREATE TABLE name(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    -- A vocabulary says the same sentences again and again: each once, with the number of events that say it.
    CREATE TABLE text(id INTEGER PRIMARY KEY, said TEXT NOT NULL UNIQUE, uses INTEGER NOT NULL);
    CREATE VIRTUAL TABLE words USING fts5(
        said, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
    CREATE TABLE event(
        id INTEGER PRIMARY KEY,
        type INTEGER NOT NULL, camera INTEGER NOT NULL, kind INTEGER, severity INTEGER NOT NULL, text INTEGER NOT NULL,
        start_ms INTEGER, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, at INTEGER NOT NULL, run INTEGER NOT NULL,
        score REAL NOT NULL, from_entry INTEGER, to_entry INTEGER,
        parts INTEGER NOT NULL, slot INTEGER, mark INTEGER);
    -- Narrations that became part of an event before them.
    CREATE TABLE part(id INTEGER PRIMARY KEY, event INTEGER NOT NULL);
    -- Embeddings: see sense.rs.
    CREATE TABLE chunk(chunk INTEGER PRIMARY KEY, slots BLOB NOT NULL);
    -- `next_id`: no id from here on was used. `open`: 1 while a program writes.
    CREATE TABLE number(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO number VALUES('next_id', 1), ('open', 0);
",
    "
    -- Of alerts: a sentence that was told later, how often the alert was told (not at all in quiet hours), and when somebody
    -- acknowledged it, in milliseconds since 1970.
    ALTER TABLE event ADD COLUMN said INTEGER;
    ALTER TABLE event ADD COLUMN told INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE event ADD COLUMN acked_ms INTEGER;
    -- Whom or what a kind is about, as the vocabulary said it last.
    CREATE TABLE about(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, entity INTEGER NOT NULL, UNIQUE(kind, entity));
",
    "
    -- What was seen lately: see seen.rs.
    CREATE TABLE moment(
        id INTEGER PRIMARY KEY, camera INTEGER NOT NULL, mark INTEGER NOT NULL, run INTEGER NOT NULL, at INTEGER NOT NULL,
        start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, start_ms INTEGER, rest REAL NOT NULL, nearest REAL NOT NULL,
        vector BLOB NOT NULL);
    CREATE INDEX moment_start ON moment(start_us);
    -- What of it had no name.
    CREATE TABLE unknown(
        id INTEGER PRIMARY KEY AUTOINCREMENT, camera INTEGER NOT NULL, mark INTEGER NOT NULL, run INTEGER NOT NULL,
        at INTEGER NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, start_ms INTEGER, rest REAL NOT NULL,
        nearest REAL NOT NULL, vector BLOB NOT NULL);
    CREATE INDEX unknown_start ON unknown(start_us);
",
];

/// The format of today.
pub const FORMAT: i64 = (STEPS.len() as u64).cast_signed();

/// Bytes of a page.
pub const PAGE_BYTES: u64 = 4096;

/// Pages that SQLite keeps in memory. A scan needs one chunk (104 KiB) and its pages.
const CACHE_KIB: u32 = 512;

/// The most that SQLite allocates in this process: it fails sooner.
pub const HEAP_BYTES: u64 = 3 << 20;

/// How long one waits for another that is at the file.
const PATIENCE_MS: u32 = 2000;

/// What a file is before SQLite is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Absent,
    /// Nothing is in it yet.
    Empty,
    Sqlite,
    Other,
}

/// Looks at the first bytes, for who is about to write it: nobody in this process has it open, or may. The system takes back all of a
/// process' locks on a file when the process closes it anywhere, and then another program that ends takes itself for the last one,
/// and takes the log away under the writer's hands.
pub fn look(path: &Path) -> Result<Look, JournalError> {
    let failed = |error: std::io::Error| JournalError::disk(path, &error);
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Ok(Look::Other),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Look::Absent),
        Err(error) => return Err(failed(error)),
    }
    let mut head = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(16).read_to_end(&mut head).map_err(failed)?;
    Ok(match &head[..] {
        [] => Look::Empty,
        b"SQLite format 3\0" => Look::Sqlite,
        _ => Look::Other,
    })
}

/// Whether there is something to read. Beside a writer in this process, and so without opening it.
fn look_from_outside(path: &Path) -> Result<(), JournalError> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(JournalError::Foreign { path: path.to_path_buf() }),
        Ok(metadata) if metadata.len() == 0 => Err(JournalError::Absent { path: path.to_path_buf() }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(JournalError::Absent { path: path.to_path_buf() })
        }
        Err(error) => Err(JournalError::disk(path, &error)),
    }
}

/// What a file that is not the caller's says of itself by an error.
fn of_reader(path: &Path, error: &rusqlite::Error) -> JournalError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => JournalError::Foreign { path: path.to_path_buf() },
        _ => JournalError::sql(path, error),
    }
}

/// Opens the file for reading.
pub fn open_to_read(path: &Path) -> Result<Connection, JournalError> {
    look_from_outside(path)?;
    let failed = |error: rusqlite::Error| of_reader(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = |db: Connection| {
        configure(&db)?;
        format(&db).map(|format| (db, format))
    };
    let (db, found) = match Connection::open_with_flags(path, flags).and_then(opened) {
        // A log is read through an index beside it, which cannot be made in a folder that is read-only. Where there is no log
        // nobody writes, and the file can be taken as it is.
        Err(error) if is_unopenable(&error) && !beside(path, "-wal").exists() => {
            let mut uri = String::from("file:");
            for byte in path.as_os_str().as_encoded_bytes() {
                uri += &format!("%{byte:02x}");
            }
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(uri + "?immutable=1", flags).and_then(opened)
        }
        opened => opened,
    }
    .map_err(failed)?;
    match found {
        Found::Format(FORMAT) => Ok(db),
        found => Err(unreadable(path, &found)),
    }
}

/// Opens the file for a change beside the one who writes it, who may have it open.
pub fn open_to_change(path: &Path) -> Result<Connection, JournalError> {
    look_from_outside(path)?;
    let failed = |error: rusqlite::Error| of_reader(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&db).map_err(failed)?;
    // Who changes something here tells somebody that it is done.
    db.execute_batch("PRAGMA synchronous = FULL").map_err(failed)?;
    match format(&db).map_err(failed)? {
        Found::Format(FORMAT) => Ok(db),
        found => Err(unreadable(path, &found)),
    }
}

/// Why a file that is not of the format of today can only be left alone: the step of an older one is the writer's.
fn unreadable(path: &Path, found: &Found) -> JournalError {
    let path = path.to_path_buf();
    match *found {
        Found::Format(found) if found > FORMAT => newer(&path, found),
        Found::Format(found) => JournalError::Older { path, found, known: FORMAT },
        Found::Nothing => JournalError::Absent { path },
        Found::Other => JournalError::Foreign { path },
    }
}

/// Opens the file for writing, makes it if it is not there, and brings it to the format of today.
pub fn open_to_write(path: &Path) -> Result<Connection, JournalError> {
    let failed = |error: rusqlite::Error| JournalError::sql(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&db).map_err(failed)?;
    let format = match format(&db).map_err(failed)? {
        Found::Other => return Err(JournalError::Foreign { path: path.to_path_buf() }),
        Found::Format(found) if found > FORMAT => return Err(newer(path, found)),
        Found::Format(found) => found,
        Found::Nothing => {
            // So that a file that should become smaller can.
            db.execute_batch("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;").map_err(failed)?;
            0
        }
    };
    let wal = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;";
    db.execute_batch(wal).map_err(failed)?;
    let step = |db: &mut Connection| {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in &STEPS[format as usize..] {
            change.execute_batch(step)?;
        }
        change.pragma_update(None, "application_id", APPLICATION)?;
        change.pragma_update(None, "user_version", FORMAT)?;
        change.commit()
    };
    if format < FORMAT {
        step(&mut db).map_err(failed)?;
    }
    Ok(db)
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(32);
    // Sorting and the like in memory: a folder for temporary files may be memory too, or not there.
    db.execute_batch(&format!(
        "PRAGMA busy_timeout = {PATIENCE_MS}; PRAGMA cache_size = -{CACHE_KIB}; PRAGMA temp_store = MEMORY; \
         PRAGMA mmap_size = 0; PRAGMA soft_heap_limit = {}; PRAGMA hard_heap_limit = {HEAP_BYTES};",
        HEAP_BYTES / 2
    ))
}

enum Found {
    Nothing,
    Format(i64),
    Other,
}

fn format(db: &Connection) -> rusqlite::Result<Found> {
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (pragma("application_id")?, pragma("user_version")?, tables) {
        (APPLICATION, format, _) => Found::Format(format),
        (0, 0, 0) => Found::Nothing,
        _ => Found::Other,
    })
}

fn newer(path: &Path, found: i64) -> JournalError {
    JournalError::Newer { path: path.to_path_buf(), found, known: FORMAT }
}

fn is_unopenable(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

/// The file with something behind its name.
pub fn beside(path: &Path, what: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(what);
    name.into()
}
