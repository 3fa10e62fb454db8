//! Reading: by words, by meaning, by what an event is of; and when nothing was seen.

use std::path::{Path, PathBuf};

use ocelli_types::{EntryId, EventKind, Micros, Severity};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use crate::JournalError;
use crate::schema;
use crate::sense::{
    CHUNK, EMBEDDING, Held, Label, SLOT_BYTES, Vector, dot, quantized, severity_number, severity_of, to_unit,
};
use crate::words;
use crate::writer::type_number;

/// No search finds more.
pub const MOST_FOUND: usize = 1000;

/// What is looked for. Each part narrows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    /// Words of the text, or what they begin with, all of them; empty for any text.
    pub words: &'a str,
    /// Narrations near this direction of the vocabulary's space, `[384]` of any length, the nearest first. Without it the newest
    /// events of any type are found.
    pub like: Option<&'a [f32; EMBEDDING]>,
    /// Of this camera.
    pub camera: Option<&'a str>,
    /// Of this kind of the vocabulary, or of this type, such as `alert`.
    pub kind: Option<&'a str>,
    /// Of a kind that is about this, such as `person` or `door`.
    pub about: Option<&'a str>,
    /// As severe as this, or more.
    pub severity: Severity,
    /// Began at this time or later, milliseconds since 1970; blindness that lasted until then. What has no date is not found.
    pub since_ms: Option<u64>,
    /// Began before.
    pub until_ms: Option<u64>,
    /// Of larger ids.
    pub after_id: Option<u64>,
    /// Of smaller ids.
    pub before_id: Option<u64>,
    /// How many at most, up to [`MOST_FOUND`].
    pub limit: usize,
}

/// An event that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id, that of its first narration.
    pub id: u64,
    /// What kind of event.
    pub kind: EventKind,
    /// Which camera.
    pub camera: String,
    /// Kind of the vocabulary.
    pub about: Option<String>,
    /// Whom or what that kind is about.
    pub entities: Vec<String>,
    /// How much it matters.
    pub severity: Severity,
    /// The sentence.
    pub text: String,
    /// Wall clock at its start, milliseconds since 1970.
    pub start_ms: Option<u64>,
    /// Stream time.
    pub start_us: Micros,
    /// Stream time.
    pub end_us: Micros,
    /// 0 to 1.
    pub score: f32,
    /// Oldest and newest memory entry behind it.
    pub entries: Option<(EntryId, EntryId)>,
    /// Narrations that it is made of.
    pub parts: u32,
    /// Cosine to what was asked for.
    pub likeness: Option<f32>,
    /// The sentence of an alert that was told later.
    pub said: Option<String>,
    /// How often it was told: an alert again where nobody acknowledged it, and in quiet hours not at all.
    pub told: u32,
    /// When an alert was acknowledged, milliseconds since 1970.
    pub acked_ms: Option<u64>,
}

/// A time in which no program saw anything, milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The last sign of life before.
    pub start_ms: u64,
    /// The next start.
    pub end_ms: u64,
}

/// A journal, to read it. Another program may write it meanwhile.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    db: Connection,
}

/// A query in the numbers of a journal.
struct Wanted {
    /// Texts with the words, in order.
    texts: Option<Vec<u32>>,
    camera: Option<i64>,
    kind: Option<i64>,
    /// Kinds that are about what is asked for.
    kinds: Option<Vec<i64>>,
    event_type: Option<i64>,
    severity: u8,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
    after_id: Option<i64>,
    before_id: Option<i64>,
}

impl Journal {
    /// Opens it.
    ///
    /// # Errors
    /// It is not there, or no journal, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Self { path: path.to_path_buf(), db: schema::open_to_read(path)? })
    }

    /// Events that fit, the newest first, or with [`Query::like`] the nearest.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn search(&self, query: &Query<'_>) -> Result<Vec<Found>, JournalError> {
        self.find(query).map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// How many events there are.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn count(&self) -> Result<u64, JournalError> {
        let count = self.db.query_row("SELECT count(*) FROM event", [], |row| row.get(0));
        count.map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// Shows `see` all events that fit, whatever [`Query::limit`] says, in the order of their ids or against it, until it says that it
    /// has seen enough (`false`). [`Query::like`] counts for nothing.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn each(
        &self,
        query: &Query<'_>,
        newest_first: bool,
        see: &mut dyn FnMut(Found) -> bool,
    ) -> Result<(), JournalError> {
        self.visit(query, newest_first, see).map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// Names of the cameras that events are of.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn cameras(&self) -> Result<Vec<String>, JournalError> {
        let names = "SELECT name FROM name WHERE id IN (SELECT camera FROM event) ORDER BY id";
        let read = || self.db.prepare(names)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>();
        read().map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// The dates of the first event and of the last sign of life, milliseconds since 1970; `None` where nothing has a date.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn watched(&self) -> Result<Option<(u64, u64)>, JournalError> {
        let dates = "SELECT min(start_ms), max(coalesce((SELECT max(end_ms) FROM run), 0),
                max(start_ms + (end_us - start_us) / 1000)) FROM event";
        let row = |row: &Row<'_>| Ok((row.get::<_, Option<u64>>(0)?, row.get::<_, Option<u64>>(1)?));
        let read = self.db.query_row(dates, [], row).map_err(|error| JournalError::sql(&self.path, &error))?;
        Ok(read.0.zip(read.1))
    }

    /// Whether the last program that wrote ended in order, so that nothing was watched since.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn ended(&self) -> Result<bool, JournalError> {
        let open = "SELECT value FROM number WHERE name = 'open'";
        let open = self.db.query_row(open, [], |row| row.get::<_, i64>(0));
        open.map(|open| open == 0).map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// The event with this id, or that a narration with this id became part of.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn event(&self, id: u64) -> Result<Option<Found>, JournalError> {
        let found = self.whole(id).and_then(|id| self.load(id, None));
        found.map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// Where an event, or what became part of one, lies in the vocabulary's space.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn vector(&self, id: u64) -> Result<Option<Vector>, JournalError> {
        self.read_vector(id).map_err(|error| JournalError::sql(&self.path, &error))
    }

    /// When no program saw anything: between uptimes whose dates are known, the oldest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn holes(&self, since_ms: Option<u64>, until_ms: Option<u64>) -> Result<Vec<Hole>, JournalError> {
        // An uptime may begin before one that was written sooner: a clip of yesterday is replayed today. Of one whose clock was set
        // late the beginning follows from how long it was.
        let holes = "SELECT before_ms, start_ms FROM (
                SELECT start_ms, max(end_ms) OVER (
                    ORDER BY start_ms, run ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_ms
                FROM (SELECT run, end_ms, coalesce(start_ms, end_ms - (end_at - start_at) / 1000) AS start_ms FROM run)
                WHERE start_ms IS NOT NULL)
            WHERE start_ms > before_ms AND start_ms >= ?1 AND before_ms < ?2 ORDER BY before_ms DESC LIMIT ?3";
        let until_ms = until_ms.map_or(i64::MAX, u64::cast_signed);
        let bounds = params![since_ms.unwrap_or(0), until_ms, MOST_FOUND];
        let read = || {
            let mut holes = self.db.prepare(holes)?;
            let rows = holes.query_map(bounds, |row| Ok(Hole { start_ms: row.get(0)?, end_ms: row.get(1)? }))?;
            rows.collect::<rusqlite::Result<Vec<Hole>>>()
        };
        let mut holes = read().map_err(|error| JournalError::sql(&self.path, &error))?;
        holes.reverse();
        Ok(holes)
    }

    pub(crate) const fn db(&self) -> &Connection {
        &self.db
    }

    pub(crate) fn failed(&self, error: &rusqlite::Error) -> JournalError {
        JournalError::sql(&self.path, error)
    }

    /// Kinds of the vocabulary that events are of.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn kinds(&self) -> Result<Vec<String>, JournalError> {
        let read = || {
            let mut names =
                self.db.prepare("SELECT name FROM name WHERE id IN (SELECT kind FROM event) ORDER BY name")?;
            let names = names.query_map([], |row| row.get(0))?;
            names.collect::<rusqlite::Result<Vec<String>>>()
        };
        read().map_err(|error| self.failed(&error))
    }

    fn find(&self, query: &Query<'_>) -> rusqlite::Result<Vec<Found>> {
        // One state of the file for all that is read.
        let _one = self.db.unchecked_transaction()?;
        let limit = query.limit.min(MOST_FOUND);
        let Some(wanted) = self.wanted(query)? else { return Ok(Vec::new()) };
        let ids = match query.like {
            None => self.newest(&wanted, limit)?.into_iter().map(|id| (id, None)).collect(),
            Some(like) => self.nearest(&wanted, like, limit)?,
        };
        let found = ids.into_iter().map(|(id, likeness)| self.load(id, likeness));
        found.filter_map(Result::transpose).collect()
    }

    /// `None` where nothing can fit.
    fn wanted(&self, query: &Query<'_>) -> rusqlite::Result<Option<Wanted>> {
        let named = |name: &str| {
            let id = self.db.query_row("SELECT id FROM name WHERE name = ?1", [name], |row| row.get::<_, i64>(0));
            id.optional()
        };
        let event_type =
            query.kind.and_then(|kind| TYPES.iter().find(|of| of.name() == kind)).map(|of| type_number(*of));
        let (camera, kind) = (query.camera.map(named).transpose()?, query.kind.filter(|_| event_type.is_none()));
        let kind = kind.map(named).transpose()?;
        let texts = (!query.words.trim().is_empty()).then(|| self.texts(query.words)).transpose()?;
        let kinds = query.about.map(|entity| self.about(entity)).transpose()?;
        let nothing = camera == Some(None) || kind == Some(None) || texts.as_ref().is_some_and(Vec::is_empty);
        let nothing = nothing || kinds.as_ref().is_some_and(Vec::is_empty);
        Ok((!nothing).then_some(Wanted {
            texts,
            camera: camera.flatten(),
            kind: kind.flatten(),
            kinds,
            event_type,
            severity: severity_number(query.severity),
            since_ms: query.since_ms.map(u64::cast_signed),
            until_ms: query.until_ms.map(u64::cast_signed),
            // Ids are positive: a larger one is none.
            after_id: query.after_id.map(|id| id.min(i64::MAX as u64).cast_signed()),
            before_id: query.before_id.map(|id| id.min(i64::MAX as u64).cast_signed()),
        }))
    }

    /// Texts with these words, in order.
    fn texts(&self, words: &str) -> rusqlite::Result<Vec<u32>> {
        let Some(query) = words::query(words) else { return Ok(Vec::new()) };
        let mut texts = self.db.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rowid")?;
        let texts = texts.query_map([query], |row| row.get(0))?;
        texts.collect()
    }

    /// Kinds that are about this.
    fn about(&self, entity: &str) -> rusqlite::Result<Vec<i64>> {
        let kinds = "SELECT kind FROM about JOIN name ON name.id = entity WHERE name.name = ?1";
        let mut kinds = self.db.prepare_cached(kinds)?;
        let kinds = kinds.query_map([entity], |row| row.get(0))?;
        kinds.collect()
    }

    fn newest(&self, wanted: &Wanted, limit: usize) -> rusqlite::Result<Vec<u64>> {
        let (conditions, values) = wanted.conditions();
        let mut events =
            self.db.prepare_cached(&format!("SELECT id, text, said FROM event WHERE {conditions} ORDER BY id DESC"))?;
        let mut events = events.query(params_from_iter(values))?;
        let mut ids = Vec::new();
        while ids.len() < limit
            && let Some(event) = events.next()?
        {
            if wanted.say(event.get(1)?, event.get(2)?) {
                ids.push(event.get(0)?);
            }
        }
        Ok(ids)
    }

    fn visit(&self, query: &Query<'_>, newest_first: bool, see: &mut dyn FnMut(Found) -> bool) -> rusqlite::Result<()> {
        let _one = self.db.unchecked_transaction()?;
        let Some(wanted) = self.wanted(query)? else { return Ok(()) };
        let (conditions, values) = wanted.conditions();
        let order = if newest_first { " DESC" } else { "" };
        let mut events = self.db.prepare_cached(&format!("{FOUND} WHERE {conditions} ORDER BY event.id{order}"))?;
        let mut events = events.query(params_from_iter(values))?;
        while let Some(event) = events.next()? {
            if wanted.say(event.get(17)?, event.get(18)?) && !see(found(event, None)?) {
                break;
            }
        }
        Ok(())
    }

    /// All embeddings, one chunk in memory at a time.
    fn nearest(
        &self,
        wanted: &Wanted,
        like: &[f32; EMBEDDING],
        limit: usize,
    ) -> rusqlite::Result<Vec<(u64, Option<f32>)>> {
        let Some(like) = quantized(like) else { return Ok(Vec::new()) };
        if limit == 0 || wanted.event_type.is_some_and(|of| of != type_number(EventKind::Narration)) {
            return Ok(Vec::new());
        }
        // What lies before it in its chunk has gone.
        let oldest = "SELECT id FROM event WHERE slot IS NOT NULL ORDER BY id LIMIT 1";
        let oldest: Option<u64> = self.db.query_row(oldest, [], |row| row.get(0)).optional()?;
        let Some(oldest) = oldest else { return Ok(Vec::new()) };
        let unit = to_unit(&like);
        let mut best: Vec<(f32, u64)> = Vec::with_capacity(2 * limit);
        // Below this nothing is among the best.
        let mut least = f32::NEG_INFINITY;
        let keep_best = |best: &mut Vec<(f32, u64)>| {
            best.select_nth_unstable_by(limit - 1, |a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
            best.truncate(limit);
            best[limit - 1].0
        };
        let mut chunks = self.db.prepare_cached("SELECT slots FROM chunk ORDER BY chunk")?;
        let mut chunks = chunks.query([])?;
        while let Some(chunk) = chunks.next()? {
            for slot in chunk.get_ref(0)?.as_blob()?.as_chunks::<SLOT_BYTES>().0 {
                let held = Held::read(slot);
                let likeness = dot(&held.values, &like) as f32 * held.to_unit * unit;
                if likeness >= least && held.label.id >= oldest && wanted.fits(&held.label) {
                    best.push((likeness, held.label.id));
                    if best.len() == 2 * limit {
                        least = keep_best(&mut best);
                    }
                }
            }
        }
        best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        best.truncate(limit);
        Ok(best.into_iter().map(|(likeness, id)| (id, Some(likeness))).collect())
    }

    /// The event that something with this id is, or is part of.
    fn whole(&self, id: u64) -> rusqlite::Result<u64> {
        let whole = self.db.query_row("SELECT event FROM part WHERE id = ?1", [id.cast_signed()], |row| row.get(0));
        Ok(whole.optional()?.unwrap_or(id))
    }

    fn load(&self, id: u64, likeness: Option<f32>) -> rusqlite::Result<Option<Found>> {
        let mut event = self.db.prepare_cached(&format!("{FOUND} WHERE event.id = ?1"))?;
        event.query_row([id.cast_signed()], |row| found(row, likeness)).optional()
    }

    fn read_vector(&self, id: u64) -> rusqlite::Result<Option<Vector>> {
        let place = "SELECT slot, name FROM event JOIN name ON name.id = mark WHERE event.id = ?1";
        let place =
            self.db.query_row(place, [self.whole(id)?.cast_signed()], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?)));
        let Some((slot, mark)) = place.optional()? else { return Ok(None) };
        let chunk = self.db.blob_open("main", "chunk", "slots", (slot / CHUNK).cast_signed(), true)?;
        let mut bytes = [0; SLOT_BYTES];
        chunk.read_at_exact(&mut bytes, (slot % CHUNK) as usize * SLOT_BYTES)?;
        Ok(Some(Vector { mark, values: Box::new(Held::read(&bytes).values) }))
    }
}

/// What [`found`] reads, and the numbers of the texts.
const FOUND: &str = "
    SELECT event.id, type, camera.name, kind.name, severity, text.said, start_ms, start_us, end_us, score,
        from_entry, to_entry, parts, more.said, told, acked_ms,
        (SELECT group_concat(entity.name, char(31)) FROM about JOIN name AS entity ON entity.id = entity
            WHERE about.kind = event.kind),
        event.text, event.said
    FROM event JOIN text ON text.id = event.text JOIN name AS camera ON camera.id = camera
        LEFT JOIN name AS kind ON kind.id = kind LEFT JOIN text AS more ON more.id = event.said";

/// All types of event.
const TYPES: [EventKind; 6] = [
    EventKind::Narration,
    EventKind::Alert,
    EventKind::AlertEnd,
    EventKind::Blind,
    EventKind::Health,
    EventKind::Camera,
];

impl Wanted {
    /// As SQL on a row of `event`, but for the words, with its values.
    fn conditions(&self) -> (String, Vec<i64>) {
        let mut sql = String::from("severity >= ?");
        let mut values = vec![i64::from(self.severity)];
        let blind = type_number(EventKind::Blind);
        // Blindness that began before may have lasted.
        let since = format!("start_ms + CASE type WHEN {blind} THEN (end_us - start_us) / 1000 ELSE 0 END >= ?");
        for (condition, value) in [
            ("event.camera = ?", self.camera),
            ("event.kind = ?", self.kind),
            ("type = ?", self.event_type),
            (since.as_str(), self.since_ms),
            ("start_ms < ?", self.until_ms),
            ("event.id > ?", self.after_id),
            ("event.id < ?", self.before_id),
        ] {
            if let Some(value) = value {
                sql = sql + " AND " + condition;
                values.push(value);
            }
        }
        if let Some(kinds) = &self.kinds {
            let kinds: Vec<String> = kinds.iter().map(i64::to_string).collect();
            sql += &format!(" AND event.kind IN ({})", kinds.join(", "));
        }
        (sql, values)
    }

    /// Whether the text of an event has the words, or what was said of it later.
    fn say(&self, text: u32, said: Option<u32>) -> bool {
        self.says(text) || said.is_some_and(|said| self.says(said))
    }

    fn says(&self, text: u32) -> bool {
        self.texts.as_ref().is_none_or(|texts| texts.binary_search(&text).is_ok())
    }

    /// As the conditions on a row of `event` are, of which no blind interval has a slot.
    fn fits(&self, label: &Label) -> bool {
        self.camera.is_none_or(|camera| camera == i64::from(label.camera))
            && self.kind.is_none_or(|kind| kind == i64::from(label.kind))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&label.kind.into()))
            && label.severity >= self.severity
            && self.since_ms.is_none_or(|since_ms| label.start_ms >= since_ms)
            && self.until_ms.is_none_or(|until_ms| (0..until_ms).contains(&label.start_ms))
            && self.after_id.is_none_or(|id| label.id > id.cast_unsigned())
            && self.before_id.is_none_or(|id| label.id < id.cast_unsigned())
            && self.says(label.text)
    }
}

fn found(row: &Row<'_>, likeness: Option<f32>) -> rusqlite::Result<Found> {
    let number: i64 = row.get(1)?;
    let unknown = rusqlite::Error::IntegralValueOutOfRange(1, number);
    let entries = row.get::<_, Option<u64>>(10)?.zip(row.get::<_, Option<u64>>(11)?);
    Ok(Found {
        id: row.get(0)?,
        kind: *TYPES.iter().find(|of| type_number(**of) == number).ok_or(unknown)?,
        camera: row.get(2)?,
        about: row.get(3)?,
        entities: row
            .get::<_, Option<String>>(16)?
            .iter()
            .flat_map(|all| all.split('\u{1f}'))
            .map(Into::into)
            .collect(),
        severity: severity_of(row.get(4)?),
        text: row.get(5)?,
        start_ms: row.get(6)?,
        start_us: Micros(row.get(7)?),
        end_us: Micros(row.get(8)?),
        score: row.get(9)?,
        entries: entries.map(|(from, to)| (EntryId(from), EntryId(to))),
        parts: row.get(12)?,
        likeness,
        said: row.get(13)?,
        told: row.get(14)?,
        acked_ms: row.get(15)?,
    })
}
