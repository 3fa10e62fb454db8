//! A damaged journal: it is set aside, and what can be read of it becomes a new one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, params};

use crate::JournalError;
use crate::schema::{self, beside};
use crate::sense::{CHUNK, Held, SLOT_BYTES};
use crate::words::spaced;
use crate::writer::RESERVE;

/// What became of a damaged journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvage {
    /// Where it is now.
    pub aside: PathBuf,
    /// Events that are in the new one.
    pub saved: u64,
    /// What was wrong.
    pub why: String,
}

/// Rows that are copied at a time, and how often this may fail: a row that cannot be read is closed in by halves.
const TURN: i64 = 4096;
const MOST_FAILURES: u32 = 4096;

/// A file, and what SQLite keeps beside it.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// Tables, their keys, and what is copied of them.
const TABLES: [(&str, &str); 7] = [
    ("run", "run"),
    ("name", "id"),
    ("text", "id"),
    ("event", "id"),
    ("part", "id"),
    ("chunk", "chunk"),
    ("about", "id"),
];

/// What lacks afterwards is made up for, so that each event has what it refers to.
const MEND: &str = "
    INSERT INTO name SELECT DISTINCT camera, 'camera ' || camera FROM event WHERE camera NOT IN (SELECT id FROM name);
    INSERT INTO name SELECT DISTINCT kind, 'kind ' || kind FROM event WHERE kind NOT IN (SELECT id FROM name);
    INSERT INTO name SELECT DISTINCT mark, 'models ' || mark FROM event WHERE mark NOT IN (SELECT id FROM name);
    INSERT INTO text SELECT DISTINCT text, 'lost text ' || text, 0 FROM event WHERE text NOT IN (SELECT id FROM text);
    INSERT INTO run SELECT run, min(at), max(at), NULL, NULL FROM event
        WHERE run NOT IN (SELECT run FROM run) GROUP BY run;
    UPDATE event SET said = NULL WHERE said NOT IN (SELECT id FROM text);
    UPDATE text SET uses = used FROM (
        SELECT one, count(*) AS used FROM (
            SELECT text AS one FROM event UNION ALL SELECT said FROM event WHERE said IS NOT NULL) GROUP BY one) WHERE id = one;
    DELETE FROM text WHERE id NOT IN (SELECT text FROM event UNION SELECT said FROM event WHERE said IS NOT NULL);
    DELETE FROM part WHERE event NOT IN (SELECT id FROM event);
    DELETE FROM about WHERE kind NOT IN (SELECT id FROM name) OR entity NOT IN (SELECT id FROM name);
";

/// Copies what can be read into a new file, sets the damaged one aside, and puts the new one in its place: whatever happens
/// on the way, one of them is there. One that was set aside before is gone then.
pub fn salvage(path: &Path, why: &str) -> Result<(Connection, Salvage), JournalError> {
    let (aside, new) = (beside(path, ".refused"), beside(path, ".mending"));
    let clear = || FILES.into_iter().for_each(|what| drop(fs::remove_file(beside(&new, what))));
    clear();
    let saved = schema::open_to_write(&new)
        .and_then(|new| copy(path, &new).map_err(|error| JournalError::sql(path, &error)))
        .inspect_err(|_| clear())?;
    let moved = |what: &str| match fs::rename(beside(path, what), beside(&aside, what)) {
        // The log of one before must not be taken for the log of this.
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::remove_file(beside(&aside, what)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        done => done,
    };
    let placed = FILES.into_iter().try_for_each(moved).and_then(|()| fs::rename(&new, path));
    placed.map_err(|error| JournalError::disk(path, &error))?;
    Ok((schema::open_to_write(path)?, Salvage { aside, saved, why: why.into() }))
}

fn copy(damaged: &Path, new: &Connection) -> rusqlite::Result<u64> {
    new.execute_batch("PRAGMA wal_autocheckpoint = 256")?;
    // What is no database at all shows here, or below.
    if new.execute("ATTACH ?1 AS old", [damaged.to_string_lossy()]).is_ok() {
        let mut failures = 0;
        for (table, key) in TABLES {
            let columns = columns(new, table);
            if columns.is_empty() {
                continue;
            }
            let most = format!("SELECT max({key}) FROM old.{table}");
            let most: Option<i64> = new.query_row(&most, [], |row| row.get(0)).unwrap_or(Some(1 << 32));
            for low in (0..=most.unwrap_or(-1)).step_by(TURN as usize) {
                copy_rows(new, table, &columns, key, (low, low + TURN - 1), &mut failures)?;
            }
        }
        let next =
            "UPDATE number SET value = (SELECT value FROM old.number WHERE name = 'next_id') WHERE name = 'next_id'";
        let _ = new.execute(next, []);
        new.execute_batch("DETACH old")?;
    }
    // What cannot be read had ids too.
    let leap =
        "UPDATE number SET value = max(value, ?1 + (SELECT coalesce(max(id), 0) FROM event)) WHERE name = 'next_id'";
    new.execute(leap, [RESERVE])?;
    new.execute_batch(MEND)?;
    let slots = "UPDATE event SET slot = NULL, mark = NULL WHERE slot / ?1 NOT IN (SELECT chunk FROM chunk)";
    new.execute(slots, [CHUNK])?;
    clear_slots(new)?;
    let mut texts = new.prepare("SELECT id, said FROM text")?;
    let mut texts = texts.query([])?;
    while let Some(text) = texts.next()? {
        let said = spaced(&text.get::<_, String>(1)?);
        new.prepare_cached("INSERT INTO words(rowid, said) VALUES(?1, ?2)")?
            .execute(params![text.get::<_, i64>(0)?, said])?;
    }
    drop(texts);
    // What is renamed has no log.
    new.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    new.query_row("SELECT count(*) FROM event", [], |row| row.get(0))
}

/// Empties slots of events that are not there, and takes its slot from an event of which the embedding is lost: where the last page
/// of a chunk is damaged the chunk can be read all the same.
fn clear_slots(new: &Connection) -> rusqlite::Result<()> {
    let mut chunks = new.prepare("SELECT chunk FROM chunk")?;
    let chunks = chunks.query_map([], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    for chunk in chunks {
        let mut slots = new.blob_open("main", "chunk", "slots", chunk, false)?;
        for index in 0..slots.len() / SLOT_BYTES {
            let mut slot = [0; SLOT_BYTES];
            slots.read_at_exact(&mut slot, index * SLOT_BYTES)?;
            let id = Held::read(&slot).label.id.cast_signed();
            let at = chunk * CHUNK.cast_signed() + (index as u64).cast_signed();
            let its = "SELECT count(*) FROM event WHERE id = ?1 AND slot = ?2";
            if new.prepare_cached(its)?.query_row([id, at], |row| row.get::<_, i64>(0))? == 0 {
                slots.write_at(&[0; SLOT_BYTES], index * SLOT_BYTES)?;
                let lost = "UPDATE event SET slot = NULL, mark = NULL WHERE slot = ?1";
                new.prepare_cached(lost)?.execute([at])?;
            }
        }
    }
    Ok(())
}

/// Columns of a table of the damaged file, which may be of an older format; nothing where it has no such table.
fn columns(new: &Connection, table: &str) -> String {
    let names = "SELECT group_concat(name, ', ') FROM pragma_table_info(?1, 'old')";
    new.query_row(names, [table], |row| row.get::<_, Option<String>>(0)).ok().flatten().unwrap_or_default()
}

/// Copies the rows with keys from the one to the other, both included; where they cannot be read, each half of them.
///
/// # Errors
/// The new file cannot be written.
fn copy_rows(
    new: &Connection,
    table: &str,
    columns: &str,
    key: &str,
    (low, high): (i64, i64),
    failures: &mut u32,
) -> rusqlite::Result<()> {
    if *failures >= MOST_FAILURES {
        return Ok(());
    }
    let rows = format!(
        "INSERT OR IGNORE INTO main.{table}({columns}) SELECT {columns} FROM old.{table} WHERE {key} BETWEEN ?1 AND ?2"
    );
    match new.prepare_cached(&rows).and_then(|mut rows| rows.execute([low, high])) {
        Ok(_) => Ok(()),
        Err(error) if is_of_writing(&error) => Err(error),
        Err(_) => {
            *failures += 1;
            if low < high {
                let middle = low + (high - low) / 2;
                copy_rows(new, table, columns, key, (low, middle), failures)?;
                copy_rows(new, table, columns, key, (middle + 1, high), failures)?;
            }
            Ok(())
        }
    }
}

/// Whether it is the new file that fails: a full disk takes no row for unreadable.
fn is_of_writing(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    error.sqlite_error().is_some_and(|error| {
        matches!(error.code, ErrorCode::DiskFull | ErrorCode::OutOfMemory)
            || matches!(
                error.extended_code,
                ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_SHMSIZE
            )
    })
}
