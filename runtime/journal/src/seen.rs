//! What was seen lately, whether or not anything was said of it: two rings of vectors, so that an example can be taught of what
//! had no name, and what had none can be named later.
//!
//! - *moments*: where what is seen lay, from one change of it to the next. A still room is one long moment, so the ring is eight
//!   minutes of a room in which all changes all the time, and hours of one in which little does;
//! - *unknowns*: what went on for a while and was like no sentence.
//!
//! A moment that goes on is written again with a later end, in place. Neither is an event: they have numbers of their own, and
//! ids of events are the same with and without them.

use ocelli_types::Micros;
use rusqlite::{Connection, Row, params};

use crate::sense::EMBEDDING;
use crate::{Journal, JournalError, Vector};

/// How many moments are kept, of all cameras.
pub const MOST_MOMENTS: u64 = 1200;

/// How many unknowns.
pub const MOST_UNKNOWNS: u64 = 512;

/// Where what was seen lay for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Which camera.
    pub camera: String,
    /// Stream time; with the camera it tells one from another.
    pub start_us: Micros,
    /// Stream time.
    pub end_us: Micros,
    /// Wall clock at its start, milliseconds since 1970.
    pub start_ms: Option<u64>,
    /// Probability that nothing worth telling went on.
    pub rest: f32,
    /// Cosine of the nearest sentence.
    pub nearest: f32,
    /// Where it lay.
    pub vector: Vector,
}

impl Seen {
    /// Wall clock at its end.
    pub fn end_ms(&self) -> Option<u64> {
        self.start_ms.map(|start_ms| start_ms + self.end_us.since(self.start_us).0 / 1000)
    }
}

/// Which ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// All that was seen.
    Moments,
    /// What had no name.
    Unknowns,
}

impl Ring {
    const fn table(self) -> &'static str {
        match self {
            Self::Moments => "moment",
            Self::Unknowns => "unknown",
        }
    }

    const fn most(self) -> u64 {
        match self {
            Self::Moments => MOST_MOMENTS,
            Self::Unknowns => MOST_UNKNOWNS,
        }
    }
}

/// Both.
const RINGS: [Ring; 2] = [Ring::Moments, Ring::Unknowns];

/// When and for how long, in the journal's terms.
pub struct Place {
    pub run: i64,
    /// Journal time at its start.
    pub at: i64,
    /// Journal time before which nothing is kept.
    pub keep_from: i64,
    pub camera: i64,
    pub mark: i64,
}

/// Writes one, or a later end of one that is there.
pub fn put(db: &Connection, ring: Ring, seen: &Seen, place: &Place) -> rusqlite::Result<()> {
    let table = ring.table();
    let longer = format!("UPDATE {table} SET end_us = ?1 WHERE camera = ?2 AND run = ?3 AND start_us = ?4");
    let end_us = seen.end_us.0.cast_signed();
    let start_us = seen.start_us.0.cast_signed();
    if db.prepare_cached(&longer)?.execute(params![end_us, place.camera, place.run, start_us])? > 0 {
        return Ok(());
    }
    let insert = format!("INSERT INTO {table} VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    let values: [u8; EMBEDDING] = seen.vector.values.map(i8::cast_unsigned);
    db.prepare_cached(&insert)?.execute(params![
        place.camera,
        place.mark,
        place.run,
        place.at,
        start_us,
        end_us,
        seen.start_ms.map(u64::cast_signed),
        seen.rest,
        seen.nearest,
        &values[..],
    ])?;
    let oldest = format!("DELETE FROM {table} WHERE id <= ?1");
    db.prepare_cached(&oldest)?.execute([db.last_insert_rowid() - ring.most().cast_signed()])?;
    // One each time is enough, for they come in order.
    let old = format!("DELETE FROM {table} WHERE id = (SELECT min(id) FROM {table}) AND at < ?1");
    db.prepare_cached(&old)?.execute([place.keep_from])?;
    Ok(())
}

/// Lets go what is older than this, in journal time.
pub fn expire(db: &Connection, keep_from: i64) -> rusqlite::Result<()> {
    for ring in RINGS {
        db.execute(&format!("DELETE FROM {} WHERE at < ?1", ring.table()), [keep_from])?;
    }
    Ok(())
}

impl Journal {
    /// What was seen, the oldest first, each with its number; of one camera, or of all.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn seen(&self, ring: Ring, camera: Option<&str>) -> Result<Vec<(u64, Seen)>, JournalError> {
        self.read_seen(ring, camera).map_err(|error| self.failed(&error))
    }

    fn read_seen(&self, ring: Ring, camera: Option<&str>) -> rusqlite::Result<Vec<(u64, Seen)>> {
        let rows = format!(
            "SELECT it.id, camera.name, mark.name, start_us, end_us, start_ms, rest, nearest, vector
            FROM {} AS it JOIN name AS camera ON camera.id = it.camera JOIN name AS mark ON mark.id = it.mark
            WHERE ?1 IS NULL OR camera.name = ?1 ORDER BY it.id",
            ring.table()
        );
        let mut rows = self.db().prepare(&rows)?;
        let rows = rows.query_map([camera], read)?;
        rows.collect()
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<(u64, Seen)> {
    let bytes: [u8; EMBEDDING] = row.get(8)?;
    let seen = Seen {
        camera: row.get(1)?,
        start_us: Micros(row.get(3)?),
        end_us: Micros(row.get(4)?),
        start_ms: row.get(5)?,
        rest: row.get(6)?,
        nearest: row.get(7)?,
        vector: Vector { mark: row.get(2)?, values: Box::new(bytes.map(u8::cast_signed)) },
    };
    Ok((row.get(0)?, seen))
}
