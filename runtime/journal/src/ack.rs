//! Acknowledging an alert, while another program may write the journal: a change of one row.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ocelli_types::EventKind;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::writer::{lock, type_number};
use crate::{JournalError, schema};

/// How long an alert is waited for that was told this moment: what is told does not wait for the disk, and may be read before it is in the
/// file.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// Nobody had acknowledged it before. The text of the alert.
    Now(String),
    /// It was acknowledged then, milliseconds since 1970, and stays so.
    Before(u64),
    /// The event with this id is no alert.
    NoAlert,
    /// There is none with this id.
    Absent,
}

/// Notes that somebody knows of an alert, at this time in milliseconds since 1970. A program that writes the journal sees it with
/// [`Writer::acknowledged`](crate::Writer::acknowledged).
///
/// Of an id that the program took and that is not in the file yet this waits until it is, two seconds at most.
///
/// An older journal is brought up to date first, where no program of that time writes it.
///
/// # Errors
/// The journal is not there, is of another kind or a newer format, or cannot be written.
pub fn acknowledge(path: &Path, id: u64, unix_ms: u64) -> Result<Acknowledged, JournalError> {
    let mut db = match schema::open_to_change(path) {
        Err(older @ JournalError::Older { .. }) => {
            let Ok(_lock) = lock(path) else { return Err(older) };
            schema::open_to_write(path)?
        }
        opened => opened?,
    };
    let mut change = || -> rusqlite::Result<Option<Acknowledged>> {
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let alert = "SELECT type, text.said, acked_ms FROM event JOIN text ON text.id = event.text WHERE event.id = ?1";
        let alert = change.query_row(alert, [id.cast_signed()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<u64>>(2)?))
        });
        let (number, text) = match alert.optional()? {
            None if is_on_its_way(&change, id)? => return Ok(None),
            None => return Ok(Some(Acknowledged::Absent)),
            Some((_, _, Some(before_ms))) => return Ok(Some(Acknowledged::Before(before_ms))),
            Some((number, text, None)) => (number, text),
        };
        if number != type_number(EventKind::Alert) {
            return Ok(Some(Acknowledged::NoAlert));
        }
        change.execute("UPDATE event SET acked_ms = ?2 WHERE id = ?1", params![id, unix_ms])?;
        change.commit()?;
        Ok(Some(Acknowledged::Now(text)))
    };
    let began = Instant::now();
    loop {
        match change().map_err(|error| JournalError::sql(path, &error))? {
            Some(acknowledged) => return Ok(acknowledged),
            None if began.elapsed() >= ON_ITS_WAY => return Ok(Acknowledged::Absent),
            None => thread::sleep(LOOK),
        }
    }
}

/// Whether a program has taken this id, or was killed when it had, and no event of it or behind it is in the file.
fn is_on_its_way(db: &Connection, id: u64) -> rusqlite::Result<bool> {
    let newest = db.query_row("SELECT coalesce(max(id), 0) FROM event", [], |row| row.get::<_, u64>(0))?;
    let number =
        |name: &str| db.query_row("SELECT value FROM number WHERE name = ?1", [name], |row| row.get::<_, u64>(0));
    Ok(number("open")? != 0 && (newest + 1..number("next_id")?).contains(&id))
}
