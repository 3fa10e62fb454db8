//! What PostgreSQL keeps.

use std::fmt;

use anyhow::{Context as _, Result};
use tokio_postgres::{Client, NoTls, Row};

use crate::event::Event;
use crate::place::Place;

/// `taken` is the order in which events came, which is each board's own. A place is a sentence's and not an event's: boards say the same few
/// hundred sentences again and again, so that all of them are compared, without an index that finds most.
const TABLES: &str = "
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS sentence (text text PRIMARY KEY, place vector);
CREATE TABLE IF NOT EXISTS event (
    source text, id text, taken bigint GENERATED ALWAYS AS IDENTITY,
    type text NOT NULL, time timestamptz, camera text, text text NOT NULL, data jsonb NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX IF NOT EXISTS event_text ON event (text, taken);
CREATE TABLE IF NOT EXISTS stream (
    name text, created text, position bigint NOT NULL DEFAULT 0, missed bigint NOT NULL DEFAULT 0, PRIMARY KEY (name, created)
);
CREATE TABLE IF NOT EXISTS malformed (
    stream text, created text, position bigint, subject text, why text, payload bytea, PRIMARY KEY (stream, created, position)
);
";

/// Sentences that are placed at a time.
const PLACED_AT_ONCE: i64 = 256;

/// A board's stream, and how far it was taken.
pub struct Stream {
    pub name: String,
    pub created: String,
    pub position: u64,
    /// Messages that the stream left out before they were taken.
    pub missed: u64,
}

/// What one transaction writes, by columns.
#[derive(Default)]
pub struct Taken {
    events: Vec<Event>,
    malformed: Vec<(String, String, i64, String, String, Vec<u8>)>,
}

impl Taken {
    /// Takes a message at the stream's position: an event, or set aside.
    pub fn add(&mut self, stream: &Stream, subject: &str, payload: &[u8]) {
        match Event::read(subject, payload) {
            Ok(event) => self.events.push(event),
            Err(why) => {
                let Stream { name, created, position, .. } = stream;
                eprintln!("fleet: {name}, message {position}, is set aside: {why}");
                let subject = subject.replace('\0', "");
                self.malformed.push((name.clone(), created.clone(), *position as i64, subject, why, payload.into()));
            }
        }
    }
}

/// An event that was found.
pub struct Found {
    time: Option<String>,
    source: String,
    camera: Option<String>,
    text: String,
    id: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, camera) = (self.time.as_deref().unwrap_or("-"), self.camera.as_deref().unwrap_or("-"));
        write!(f, "{time}  {}  {camera}  {}  ({})", self.source.trim_start_matches("/ocelli/"), self.text, self.id)
    }
}

pub struct Database(Client);

impl Database {
    pub async fn open(at: &str) -> Result<Self> {
        // What the library says of an address has no password in it.
        let (client, line) = tokio_postgres::connect(at, NoTls).await.context("the database")?;
        // How it ended is told by whatever is asked next.
        tokio::spawn(line);
        Ok(Self(client))
    }

    /// Makes what lacks.
    pub async fn prepare(&self) -> Result<()> {
        self.0.batch_execute(TABLES).await.context("no tables; is pgvector installed?")
    }

    /// How far a stream was taken.
    pub async fn stream(&mut self, name: &str, created: &str) -> Result<Stream> {
        let asked = "SELECT position, missed FROM stream WHERE name = $1 AND created = $2";
        let row = self.0.query_opt(asked, &[&name, &created]).await?;
        let number = |column| row.as_ref().map_or(0, |row| row.get::<_, i64>(column)) as u64;
        Ok(Stream { name: name.into(), created: created.into(), position: number(0), missed: number(1) })
    }

    /// Writes events and how far their streams were taken: both or neither.
    pub async fn write(&mut self, streams: &[Stream], taken: Taken) -> Result<()> {
        let transaction = self.0.transaction().await?;
        let of = |field: fn(&Event) -> &str| taken.events.iter().map(field).collect::<Vec<&str>>();
        let maybe = |field: fn(&Event) -> Option<&str>| taken.events.iter().map(field).collect::<Vec<Option<&str>>>();
        let data: Vec<_> = taken.events.iter().map(|event| &event.data).collect();
        let mut texts = of(|event| &event.text);
        let events = "INSERT INTO event (source, id, type, time, camera, text, data)
            SELECT source, id, type, time::timestamptz, camera, text, data
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[])
                WITH ORDINALITY AS new (source, id, type, time, camera, text, data, place) ORDER BY place
            ON CONFLICT DO NOTHING";
        let (sources, ids, kinds) = (of(|event| &event.source), of(|event| &event.id), of(|event| &event.kind));
        let (times, cameras) = (maybe(|event| event.time.as_deref()), maybe(|event| event.camera.as_deref()));
        transaction.execute(events, &[&sources, &ids, &kinds, &times, &cameras, &texts, &data]).await?;
        texts.sort_unstable();
        texts.dedup();
        let sentences = "INSERT INTO sentence (text) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING";
        transaction.execute(sentences, &[&texts]).await?;
        for (stream, created, position, subject, why, payload) in &taken.malformed {
            let aside = "INSERT INTO malformed VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            transaction.execute(aside, &[stream, created, position, subject, why, payload]).await?;
        }
        let names: Vec<&str> = streams.iter().map(|stream| &*stream.name).collect();
        let created: Vec<&str> = streams.iter().map(|stream| &*stream.created).collect();
        let positions: Vec<i64> = streams.iter().map(|stream| stream.position as i64).collect();
        let missed: Vec<i64> = streams.iter().map(|stream| stream.missed as i64).collect();
        let far = "INSERT INTO stream SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
            ON CONFLICT (name, created) DO UPDATE SET position = excluded.position, missed = excluded.missed";
        transaction.execute(far, &[&names, &created, &positions, &missed]).await?;
        transaction.commit().await.context("the database")
    }

    /// Some sentences that have no place yet.
    pub async fn without_place(&self) -> Result<Vec<String>> {
        let asked = "SELECT text FROM sentence WHERE place IS NULL LIMIT $1";
        Ok(self.0.query(asked, &[&PLACED_AT_ONCE]).await?.iter().map(|row| row.get(0)).collect())
    }

    pub async fn place(&self, sentences: &[String], places: &[Place]) -> Result<()> {
        let vectors: Vec<&str> = places.iter().map(|place| &*place.0).collect();
        let placed = "UPDATE sentence SET place = new.place::vector
            FROM unnest($1::text[], $2::text[]) AS new (text, place) WHERE sentence.text = new.text";
        self.0.execute(placed, &[&sentences, &vectors]).await?;
        Ok(())
    }

    /// A sentence that has its place, and that.
    pub async fn placed(&self) -> Result<Option<(String, Place)>> {
        let asked = "SELECT text, place::text FROM sentence WHERE place IS NOT NULL LIMIT 1";
        Ok(self.0.query_opt(asked, &[]).await?.map(|row| (row.get(0), Place(row.get(1)))))
    }

    /// Takes every place away: other models gave it.
    pub async fn displace(&self) -> Result<()> {
        self.0.execute("UPDATE sentence SET place = NULL", &[]).await?;
        Ok(())
    }

    /// Events whose sentence lies nearest, of one sentence the newest first.
    pub async fn find_near(&self, place: &Place, of: Option<&str>, limit: u32) -> Result<Vec<Found>> {
        let asked = "SELECT to_json(time)#>>'{}', source, camera, event.text, id
            FROM (SELECT text, place <=> $1::text::vector AS far FROM sentence WHERE place IS NOT NULL ORDER BY far) AS near
            CROSS JOIN LATERAL (
                SELECT * FROM event WHERE event.text = near.text AND ($2::text IS NULL OR starts_with(source || '/', $2))
                ORDER BY taken DESC LIMIT $3
            ) AS event ORDER BY far, taken DESC LIMIT $3";
        let rows = self.0.query(asked, &[&place.0, &below(of), &i64::from(limit)]).await?;
        Ok(rows.iter().map(found).collect())
    }

    /// Events with these words, the newest first.
    pub async fn find_words(&self, words: &str, of: Option<&str>, limit: u32) -> Result<Vec<Found>> {
        let asked = "SELECT to_json(time)#>>'{}', source, camera, event.text, id
            FROM (
                SELECT text FROM sentence WHERE to_tsvector('english', text) @@ websearch_to_tsquery('english', $1)
            ) AS near
            CROSS JOIN LATERAL (
                SELECT * FROM event WHERE event.text = near.text AND ($2::text IS NULL OR starts_with(source || '/', $2))
                ORDER BY taken DESC LIMIT $3
            ) AS event ORDER BY taken DESC LIMIT $3";
        let rows = self.0.query(asked, &[&words, &below(of), &i64::from(limit)]).await?;
        Ok(rows.iter().map(found).collect())
    }
}

/// With what the source of a site or a board begins, and of no other whose name begins so.
fn below(of: Option<&str>) -> Option<String> {
    of.map(|of| format!("/ocelli/{}/", of.trim_matches('/')))
}

fn found(row: &Row) -> Found {
    Found { time: row.get(0), source: row.get(1), camera: row.get(2), text: row.get(3), id: row.get(4) }
}
