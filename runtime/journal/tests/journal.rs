//! A journal as the program uses it: written, searched, bounded, torn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ocelli_journal::{
    About, Acknowledged, EMBEDDING, Entry, Found, Hole, Journal, JournalError, Limits, MOST_MOMENTS, MOST_UNKNOWNS,
    Query, Ring, Seen, Start, Told, Vector, Writer, acknowledge,
};
use ocelli_types::{EntryId, EventKind, Micros, Severity};
use rusqlite::Connection;

const LIMITS: Limits = Limits { bytes: 16 << 20, keep_us: Micros(u64::MAX) };
const START: Start = Start { unix_ms: None, stream_us: Micros(0), least_id: 1 };
const DAY_MS: u64 = 86_400_000;
/// 2026-01-01
const NEW_YEAR_MS: u64 = 1_767_225_600_000;

/// A direction between axis 0 and axis 1.
fn lean(radians: f32) -> Vector {
    let mut values = Box::new([0; EMBEDDING]);
    (values[0], values[1]) = ((radians.cos() * 127.0) as i8, (radians.sin() * 127.0) as i8);
    Vector { mark: "0badcafe".into(), values }
}

fn told(id: u64, second: u64, text: &str) -> Told {
    Told {
        id,
        kind: EventKind::Narration,
        camera: "hall".into(),
        start_us: Micros(second * 1_000_000),
        end_us: Micros(second * 1_000_000 + 400_000),
        start_ms: Some(NEW_YEAR_MS + second * 1000),
        text: text.into(),
        score: 0.5,
        entries: Some((EntryId(id * 10), EntryId(id * 10 + 2))),
        about: None,
        quiet: false,
    }
}

/// A narration that never goes on, for it lies too far behind the others.
fn narrated(id: u64, kind: &str, severity: Severity, text: &str) -> Told {
    let entities = vec!["person".into(), "floor".into()];
    let about = About { kind: kind.into(), severity, entities, vector: Some(lean(0.0)) };
    Told { about: Some(about), ..told(id, id * 100, text) }
}

fn open(path: &Path) -> Writer {
    open_as(path, LIMITS, START)
}

/// A program that another test starts has all files of this one for a moment, locks included: that is waited for.
fn open_as(path: &Path, limits: Limits, start: Start) -> Writer {
    let patience = Instant::now();
    loop {
        match Writer::open(path, limits, start) {
            Err(JournalError::Taken { .. }) if patience.elapsed() < Duration::from_secs(10) => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.expect("it can be written").0,
        }
    }
}

fn write(path: &Path, entries: impl IntoIterator<Item = Told>) {
    let mut writer = open(path);
    let entries: Vec<Entry> = entries.into_iter().map(Entry::Told).collect();
    let last = entries.iter().filter_map(|entry| if let Entry::Told(told) = entry { Some(told.end_us) } else { None });
    let last = last.max().unwrap_or_default();
    entries.chunks(64).for_each(|batch| writer.write(batch).expect("there is room"));
    let next_id = writer.next_id();
    writer.finish(next_id, last, None).expect("there is room");
}

fn found(path: &Path, query: Query<'_>) -> Vec<Found> {
    let limit = if query.limit == 0 { 1000 } else { query.limit };
    Journal::open(path).expect("it is there").search(&Query { limit, ..query }).expect("it is readable")
}

fn ids(path: &Path, query: Query<'_>) -> Vec<u64> {
    found(path, query).iter().map(|found| found.id).collect()
}

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("events.journal");
    Place { _folder: folder, path }
}

#[test]
fn what_was_told_is_found_as_it_was_told() {
    let place = place();
    write(&place.path, [narrated(7, "fall", Severity::Alarm, "Someone falls.")]);
    let [event] = &found(&place.path, Query::default())[..] else { panic!("one event") };
    let expected = Found {
        id: 7,
        kind: EventKind::Narration,
        camera: "hall".into(),
        about: Some("fall".into()),
        entities: vec!["person".into(), "floor".into()],
        severity: Severity::Alarm,
        text: "Someone falls.".into(),
        start_ms: Some(NEW_YEAR_MS + 700_000),
        start_us: Micros(700_000_000),
        end_us: Micros(700_400_000),
        score: 0.5,
        entries: Some((EntryId(70), EntryId(72))),
        parts: 1,
        likeness: None,
        said: None,
        told: 1,
        acked_ms: None,
    };
    assert_eq!(*event, expected);
    let journal = Journal::open(&place.path).expect("it is there");
    assert_eq!(journal.event(7).expect("readable"), Some(expected));
    assert_eq!((journal.event(8).expect("readable"), journal.count().expect("readable")), (None, 1));
    assert_eq!((journal.vector(7).expect("readable"), journal.vector(8).expect("readable")), (Some(lean(0.0)), None));
}

#[test]
fn words_are_found_in_every_script() {
    let place = place();
    let texts = [
        "Someone walks through the room.",
        "Quelqu'un entre dans le café",
        "有人在门口摔倒了",
        "شخص يقف أمام الباب",
        "誰かが転んだ",
        "Человек идёт",
        "มีคนล้ม",
    ];
    write(&place.path, texts.iter().zip(1..).map(|(text, id)| told(id, id, text)));
    for (words, expected) in [
        ("walk", &[1][..]),
        ("WALKS someone", &[1]),
        ("room walk", &[1]),
        ("walk café", &[]),
        ("cafe", &[2]),
        ("CAFÉ", &[2]),
        ("摔倒", &[3]),
        ("摔", &[3]),
        ("倒摔", &[]),
        ("باب", &[4]),
        ("الباب", &[4]),
        ("امام", &[4]),
        ("転んだ", &[5]),
        ("идет", &[6]),
        ("คน", &[7]),
        ("alks", &[]),
        ("\"walks\" OR (", &[]),
        ("...", &[]),
    ] {
        assert_eq!(ids(&place.path, Query { words, ..Query::default() }), expected, "{words}");
    }
}

#[test]
fn filters_narrow_what_is_found_and_go_together() {
    let place = place();
    let mut events: Vec<Told> = (1..=6)
        .map(|id| match id % 3 {
            0 => narrated(id, "fall", Severity::Alarm, "Someone falls."),
            1 => narrated(id, "walk", Severity::Info, "Someone walks."),
            _ => Told { camera: "porch".into(), ..narrated(id, "walk", Severity::Info, "A person walks.") },
        })
        .collect();
    events.push(Told { kind: EventKind::Alert, ..narrated(7, "fall", Severity::Alarm, "Someone falls.") });
    events[6].about.as_mut().expect("it is of a fall").vector = None;
    events.push(Told { start_ms: None, ..narrated(8, "walk", Severity::Info, "Someone walks.") });
    write(&place.path, events);
    let all = Query::default();
    let at = |id: u64| Some(NEW_YEAR_MS + id * 100_000);
    for (query, expected) in [
        (all, &[8, 7, 6, 5, 4, 3, 2, 1][..]),
        (Query { limit: 2, ..all }, &[8, 7]),
        (Query { after_id: Some(6), ..all }, &[8, 7]),
        (Query { after_id: Some(2), before_id: Some(6), ..all }, &[5, 4, 3]),
        (Query { after_id: Some(u64::MAX), ..all }, &[]),
        (Query { camera: Some("porch"), ..all }, &[5, 2]),
        (Query { camera: Some("attic"), ..all }, &[]),
        (Query { kind: Some("fall"), ..all }, &[7, 6, 3]),
        (Query { kind: Some("alert"), ..all }, &[7]),
        (Query { kind: Some("dance"), ..all }, &[]),
        (Query { severity: Severity::Notice, ..all }, &[7, 6, 3]),
        (Query { since_ms: at(4), ..all }, &[7, 6, 5, 4]),
        (Query { until_ms: at(4), ..all }, &[3, 2, 1]),
        (Query { since_ms: at(2), until_ms: at(6), words: "someone", camera: Some("hall"), ..all }, &[4, 3]),
    ] {
        assert_eq!(ids(&place.path, query), expected, "{query:?}");
        // The same by meaning, where all are alike: the newest first, and no alert, which has no look of its own.
        let like = lean(0.0).values.map(f32::from);
        let narrations: Vec<u64> = expected.iter().copied().filter(|id| *id != 7).collect();
        let near = ids(&place.path, Query { like: Some(&like), ..query });
        assert!(near == narrations || (query.limit == 2 && near == [8, 6]), "{query:?}: {near:?}");
    }
}

#[test]
fn the_nearest_come_first_across_chunks_and_agree_with_plain_arithmetic() {
    let place = place();
    let angle = |id: u64| (id * 7919 % 1000) as f32 / 320.0;
    let turned = |id: u64| {
        let about = About {
            kind: "walk".into(),
            severity: Severity::Info,
            entities: Vec::new(),
            vector: Some(lean(angle(id))),
        };
        Told { about: Some(about), ..told(id, id * 100, "Someone walks.") }
    };
    write(&place.path, (1..=600).map(turned));
    let like: [f32; EMBEDDING] = std::array::from_fn(|i| [0.3, 0.4].get(i).copied().unwrap_or(0.0));
    let cosine = |id: u64| {
        let held = lean(angle(id)).values;
        let (x, y) = (f32::from(held[0]), f32::from(held[1]));
        (0.6 * x + 0.8 * y) / x.hypot(y)
    };
    let near = found(&place.path, Query { like: Some(&like), limit: 20, ..Query::default() });
    let mut expected: Vec<f32> = (1..=600).map(cosine).collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(near.len(), 20);
    for (event, best) in near.iter().zip(expected) {
        let likeness = event.likeness.expect("it was asked for");
        // The query is rounded to bytes.
        assert!((likeness - cosine(event.id)).abs() < 0.01 && (likeness - best).abs() < 0.01, "{event:?} {best}");
    }
    let zeros = found(&place.path, Query { like: Some(&[0.0; EMBEDDING]), limit: 20, ..Query::default() });
    assert!(zeros.is_empty(), "what has no direction is like nothing");
}

#[test]
fn a_narration_that_goes_on_is_one_event_with_the_surest_sentence() {
    let place = place();
    let part = |id: u64, second: u64, score: f32, text: &str| {
        let about = About {
            kind: "walk".into(),
            severity: Severity::Info,
            entities: Vec::new(),
            vector: Some(lean(score / 4.0)),
        };
        Entry::Told(Told { about: Some(about), score, ..told(id, second, text) })
    };
    let mut writer = open(&place.path);
    writer.write(&[part(1, 10, 0.5, "Someone walks."), part(2, 13, 0.4, "Someone is walking.")]).expect("room");
    writer.write(&[part(3, 16, 0.9, "A person paces.")]).expect("room");
    let blind = Told { kind: EventKind::Blind, about: None, ..told(4, 17, "unplugged") };
    writer.write(&[Entry::Told(blind), part(5, 18, 0.5, "Someone walks.")]).expect("room");
    drop(writer);
    assert_eq!(ids(&place.path, Query::default()), [5, 4, 1], "nothing goes on over a time in which nothing was seen");
    let journal = Journal::open(&place.path).expect("it is there");
    let event = journal.event(2).expect("readable").expect("it became part of event 1");
    assert_eq!((event.id, event.parts, event.text.as_str()), (1, 3, "A person paces."));
    assert_eq!((event.start_us, event.end_us), (Micros(10_000_000), Micros(16_400_000)));
    assert_eq!((event.score, event.entries), (0.9, Some((EntryId(30), EntryId(32)))));
    assert_eq!(journal.vector(3).expect("readable"), Some(lean(0.225)));
    // What nobody says any more is not found, and what is said is.
    assert_eq!(ids(&place.path, Query { words: "paces", ..Query::default() }), [1]);
    assert_eq!(ids(&place.path, Query { words: "walks", ..Query::default() }), [5]);
}

#[test]
fn a_blind_time_lasts_until_the_camera_sees_again_and_holes_are_between_uptimes() {
    let place = place();
    let blind = Entry::Told(Told { kind: EventKind::Blind, about: None, ..told(1, 60, "unplugged") });
    let start = |hours: u64| Start { unix_ms: Some(NEW_YEAR_MS + hours * 3_600_000), ..START };
    let open = |hours| open_as(&place.path, LIMITS, start(hours));
    let mut writer = open(0);
    writer.write(&[blind, Entry::Sees { camera: "hall".into(), at_us: Micros(7_200_000_000) }]).expect("room");
    let alive = Entry::Alive { at_us: Micros(9_000_000_000), unix_ms: Some(NEW_YEAR_MS + 9_000_000) };
    writer.write(&[alive]).expect("room");
    // Killed: the last sign of life was after two hours and a half.
    drop(writer);
    // This one saw nothing.
    drop(open(4));
    let mut writer = open(5);
    let later = Told { start_ms: Some(NEW_YEAR_MS + 18_000_000), ..told(writer.next_id(), 0, "Someone walks.") };
    writer.write(&[Entry::Told(later)]).expect("room");
    drop(writer);
    let [_, event] = &found(&place.path, Query::default())[..] else { panic!("two events") };
    assert_eq!((event.start_us, event.end_us), (Micros(60_000_000), Micros(7_200_000_000)));
    let journal = Journal::open(&place.path).expect("it is there");
    let hole = Hole { start_ms: NEW_YEAR_MS + 9_000_000, end_ms: NEW_YEAR_MS + 18_000_000 };
    assert_eq!(journal.holes(None, None).expect("readable"), [hole]);
    assert_eq!(journal.holes(Some(hole.end_ms + 1), None).expect("readable"), []);
    // It began before, and lasted.
    let since_ms = Some(NEW_YEAR_MS + 3_600_000);
    assert_eq!(ids(&place.path, Query { since_ms, until_ms: Some(NEW_YEAR_MS + 7_200_000), ..Query::default() }), [1]);
}

#[test]
fn holes_are_between_dates_in_whatever_order_the_uptimes_were_written() {
    let place = place();
    // Hours from the new year: today, the clip of a day before, one within the first, and one two years later.
    let uptimes = [(48, 50), (0, 1), (49, 50), (3, 4), (20_000, 20_001)];
    for (from, to) in uptimes {
        let ms = |hours: u64| NEW_YEAR_MS + hours * 3_600_000;
        let mut writer = open_as(&place.path, LIMITS, Start { unix_ms: Some(ms(from)), ..START });
        let walks = Told { start_ms: Some(ms(from)), ..told(writer.next_id(), 0, "Someone walks.") };
        writer.write(&[Entry::Told(walks)]).expect("room");
        let next_id = writer.next_id();
        writer.finish(next_id, Micros((to - from) * 3_600_000_000), Some(ms(to))).expect("room");
    }
    let journal = Journal::open(&place.path).expect("it is there");
    let holes = journal.holes(None, None).expect("readable");
    let hours = |ms: u64| (ms - NEW_YEAR_MS) / 3_600_000;
    let holes: Vec<_> = holes.iter().map(|hole| (hours(hole.start_ms), hours(hole.end_ms))).collect();
    assert_eq!(holes, [(1, 3), (4, 48), (50, 20_000)]);
}

#[test]
fn ids_go_on_after_an_end_in_order_and_leap_after_any_other() {
    let place = place();
    write(&place.path, (1..=5).map(|id| told(id, id, "Someone walks.")));
    let mut writer = open(&place.path);
    assert_eq!(writer.next_id(), 6);
    writer.write(&[Entry::Told(told(6, 1, "Someone walks."))]).expect("room");
    drop(writer);
    let next_id = open(&place.path).next_id();
    assert!((7..=6 + 1024).contains(&next_id), "{next_id}");
    assert!(open(&place.path).next_id() >= next_id);
    let least_id = Start { least_id: 1_000_000, ..START };
    assert_eq!(open_as(&place.path, LIMITS, least_id).next_id(), 1_000_000);
}

/// More than there is room for: file, log and index stay within the bound, also at the worst moment.
#[test]
fn the_file_stays_within_its_bound_and_the_oldest_go_first_alerts_last() {
    for (bytes, own_text) in [(2 << 20, true), (4 << 20, false)] {
        let place = place();
        let limits = Limits { bytes, ..LIMITS };
        let (mut writer, _) = Writer::open(&place.path, limits, START).expect("it can be written");
        let (mut most, mut id) = (0, 1);
        let size = || {
            let of = |end: &str| fs::metadata(format!("{}{end}", place.path.display())).map_or(0, |held| held.len());
            of("") + of("-wal") + of("-shm") + of(".lock")
        };
        let kinds = ["walk", "sit", "fall", "lie"];
        // Four times what the embeddings of a full journal alone would take.
        for batch in 0..4 * bytes / 416 / 64 {
            let entries: Vec<Entry> = (0..64)
                .map(|n| {
                    let (at, kind) = (id, kinds[n % 4]);
                    id += 1;
                    let own =
                        format!("Someone does {kind} for the {at}th time, and once more, which says {}", at * 7919);
                    let text = if own_text { &own } else { "Someone walks." };
                    let event = narrated(at, kind, Severity::Info, text);
                    let alert = batch % 50 == 0 && n == 0;
                    let about = About { vector: None, ..event.about.clone().expect("it is of something") };
                    let alert = alert.then(|| Told { kind: EventKind::Alert, about: Some(about), ..event.clone() });
                    Entry::Told(alert.unwrap_or(event))
                })
                .collect();
            writer.write(&entries).expect("there is always room");
            most = most.max(size());
        }
        eprintln!("{most} bytes at most, of {bytes}");
        assert!(most <= bytes, "{most} of {bytes}");
        assert!(size() > bytes / 2, "it is used: {} of {bytes}", size());
        drop(writer);
        let all = found(&place.path, Query::default());
        assert_eq!(all[0].id, id - 1, "the newest is there");
        let alerts = ids(&place.path, Query { kind: Some("alert"), ..Query::default() });
        assert!(alerts.len() as u64 >= bytes / 416 * 4 / 64 / 50 && alerts.last() == Some(&1), "{alerts:?}");
        let like = lean(0.0).values.map(f32::from);
        let journal = Journal::open(&place.path).expect("it is there");
        let near = journal.search(&Query { like: Some(&like), limit: 1000, ..Query::default() }).expect("readable");
        assert_eq!(near.len(), 1000, "what is left is all found by meaning");
        let words = found(&place.path, Query { words: "someone", ..Query::default() });
        assert_eq!(words.len(), 1000);
        // Texts that nobody says any more have gone too.
        let db = Connection::open(&place.path).expect("it is a database");
        let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("it counts");
        let (events, texts) = (count("SELECT count(*) FROM event"), count("SELECT count(*) FROM text"));
        assert_eq!(count("SELECT sum(uses) FROM text"), events);
        assert!(texts <= events && count("SELECT count(*) FROM words WHERE words MATCH 'someone'") == texts);
        drop((db, journal));

        // A smaller bound makes a smaller file.
        let (writer, _) = Writer::open(&place.path, Limits { bytes: 2 << 20, ..LIMITS }, START).expect("it shrinks");
        assert!(size() <= 2 << 20, "{}", size());
        drop(writer);
        assert_eq!(found(&place.path, Query::default())[0].id, id - 1);
    }
}

/// Days pass in a moment: the journal's own time follows the stream's.
#[test]
fn what_is_too_old_goes_and_a_wrong_clock_takes_nothing() {
    let place = place();
    let limits = Limits { keep_us: Micros((3 * DAY_MS + DAY_MS / 24) * 1000), ..LIMITS };
    let open = |unix_ms| {
        let start = Start { unix_ms, stream_us: Micros(5_000_000), least_id: 1 };
        open_as(&place.path, limits, start)
    };
    let mut writer = open(Some(NEW_YEAR_MS));
    for day in 0..10 {
        let event = narrated(day + 1, "walk", Severity::Info, &format!("Someone walks on day {day}."));
        let start_us = Micros(5_000_000 + day * DAY_MS * 1000);
        let start_ms = Some(NEW_YEAR_MS + day * DAY_MS);
        writer.write(&[Entry::Told(Told { start_us, end_us: start_us, start_ms, ..event })]).expect("room");
    }
    let next_id = writer.next_id();
    writer.finish(next_id, Micros(5_000_000 + 9 * DAY_MS * 1000), Some(NEW_YEAR_MS + 9 * DAY_MS)).expect("room");
    assert_eq!(ids(&place.path, Query::default()), [10, 9, 8, 7]);
    assert_eq!(ids(&place.path, Query { words: "walks", ..Query::default() }), [10, 9, 8, 7]);
    // A start in the last century or the next: nobody knows how long it was off.
    for unix_ms in [Some(5), None, Some(NEW_YEAR_MS + 70 * 365 * DAY_MS)] {
        let mut writer = open(unix_ms);
        let id = writer.next_id();
        let event = Told { start_ms: None, ..told(id, 5, "Someone sits.") };
        writer.write(&[Entry::Told(event)]).expect("room");
        writer.finish(id + 1, Micros(5_000_000), unix_ms).expect("room");
    }
    assert_eq!(ids(&place.path, Query::default()), [13, 12, 11, 10, 9, 8, 7]);
    // Two days later by a clock that can be believed.
    let mut writer = open(Some(NEW_YEAR_MS + 70 * 365 * DAY_MS + 2 * DAY_MS));
    writer.write(&[Entry::Alive { at_us: Micros(6_000_000), unix_ms: None }]).expect("room");
    assert_eq!(ids(&place.path, Query::default()), [13, 12, 11, 10, 9]);
}

#[test]
fn what_is_no_journal_or_a_newer_one_is_left_as_it_is() {
    let place = place();
    let said = |path: &Path| {
        let written = Writer::open(path, LIMITS, START).expect_err("it is not ours");
        let read = Journal::open(path).expect_err("it is not ours");
        assert!(written.is_final() && written.to_string() == read.to_string(), "{written}; {read}");
        written.to_string()
    };
    fs::write(&place.path, "Dear diary,\ntoday nothing happened at all.").expect("it is writable");
    assert!(said(&place.path).contains("this is no journal, and is left as it is"), "{}", said(&place.path));
    assert!(fs::read_to_string(&place.path).expect("it is there").starts_with("Dear diary"));
    assert!(said(Path::new("/")).contains("no journal"));
    fs::remove_file(&place.path).expect("it is there");
    let other = Connection::open(&place.path).expect("it can be made");
    other.execute_batch("CREATE TABLE shopping(what TEXT)").expect("it is writable");
    assert!(said(&place.path).contains("this is no journal"));
    assert!(!place.path.with_extension("journal.lock").exists(), "nothing is left beside it");
    drop(other);
    fs::remove_file(&place.path).expect("it is there");
    write(&place.path, [told(1, 1, "Someone walks.")]);
    let newer = Connection::open(&place.path).expect("it is there");
    newer.pragma_update(None, "user_version", 4).expect("it is writable");
    drop(newer);
    assert!(
        said(&place.path).contains("format 4, and this program knows 3; update the program"),
        "{}",
        said(&place.path)
    );
    let absent = Journal::open(&place.path.with_extension("absent")).expect_err("it is not there");
    assert!(matches!(absent, JournalError::Absent { .. }) && absent.to_string().contains("ocelli run --journal"));
}

#[test]
fn one_program_writes_and_others_read_meanwhile() {
    let place = place();
    let mut writer = open(&place.path);
    let taken = Writer::open(&place.path, LIMITS, START).expect_err("there is one");
    assert!(taken.is_final() && taken.to_string().contains("another program keeps its journal here"), "{taken}");
    let reader = Journal::open(&place.path).expect("reading is another thing");
    for id in 1..=3 {
        writer.write(&[Entry::Told(told(id, id, "Someone walks."))]).expect("room");
        assert_eq!(reader.count().expect("readable"), id, "a reader sees what was written");
    }
    drop(writer);
    assert!(Writer::open(&place.path, LIMITS, START).is_ok(), "the next one may");
}

/// One that reads and does not end would make the log grow: it is told, and what comes later is lost, no more.
#[test]
fn a_reader_that_does_not_end_holds_the_log_and_never_the_bound() {
    let place = place();
    let limits = Limits { bytes: 2 << 20, ..LIMITS };
    let (mut writer, _) = Writer::open(&place.path, limits, START).expect("it can be written");
    writer.write(&[Entry::Told(told(1, 1, "Someone walks."))]).expect("room");
    let reader = Connection::open(&place.path).expect("it is there");
    reader.execute_batch("BEGIN; SELECT count(*) FROM event;").expect("it reads");
    let log = || fs::metadata(format!("{}-wal", place.path.display())).map_or(0, |log| log.len());
    let mut id = 2;
    let held = loop {
        let batch: Vec<Entry> =
            (id..id + 64).map(|id| Entry::Told(told(id, id, &format!("Text number {id}")))).collect();
        id += 64;
        match writer.write(&batch) {
            Ok(()) => assert!(log() < 512 << 10 && id < 100_000, "{}", log()),
            Err(error) => break error,
        }
    };
    assert!(matches!(held, JournalError::Held { .. }), "{held}");
    reader.execute_batch("COMMIT").expect("it ends");
    writer.write(&[Entry::Told(told(id, id, "Someone walks."))]).expect("it goes on");
    assert!(log() < 256 << 10);
}

#[test]
fn of_a_damaged_journal_what_can_be_read_is_saved() {
    let place = place();
    write(&place.path, (1..=3000).map(|id| narrated(id, "walk", Severity::Info, &format!("Text number {id}"))));
    let whole = fs::read(&place.path).expect("it is there");
    // Every 37th page, but not the first ones, which tell what the file is; the last page of a chunk among them.
    let mut torn = whole.clone();
    for page in (35..whole.len() / 4096).step_by(37) {
        torn[page * 4096..][..4096].fill(0xa5);
    }
    fs::write(&place.path, &torn).expect("it is writable");
    let open = Connection::open(&place.path).expect("it opens");
    open.execute("UPDATE number SET value = 1 WHERE name = 'open'", []).expect("as one that was killed leaves it");
    drop(open);
    let (mut writer, salvage) = Writer::open(&place.path, LIMITS, START).expect("it goes on");
    let salvage = salvage.expect("it is damaged");
    assert!((1500..3000).contains(&salvage.saved), "{salvage:?}");
    assert!(salvage.aside.ends_with("events.journal.refused") && salvage.aside.is_file(), "{salvage:?}");
    let next_id = writer.next_id();
    assert!(next_id >= 3001, "{next_id}");
    writer.write(&[Entry::Told(narrated(next_id, "sit", Severity::Info, "Someone sits."))]).expect("room");
    drop(writer);
    let journal = Journal::open(&place.path).expect("it is there");
    assert_eq!(journal.count().expect("readable"), salvage.saved + 1);
    assert_eq!(ids(&place.path, Query { words: "sits", ..Query::default() }), [next_id]);
    let last = found(&place.path, Query { words: "text 1234", ..Query::default() });
    assert!(last.iter().all(|event| event.text == "Text number 1234" && event.about.as_deref() == Some("walk")));
    let like = lean(0.0).values.map(f32::from);
    let near = found(&place.path, Query { like: Some(&like), ..Query::default() }).len() as u64;
    let db = Connection::open(&place.path).expect("it is a database");
    let embedded: u64 = db.query_row("SELECT count(slot) FROM event", [], |row| row.get(0)).expect("it counts");
    assert!(embedded > 300 && near == embedded.min(1000), "{near} of {embedded}");
    drop(db);

    // A first page that is lost: nothing can be saved, and beside a lock of ours it is taken for a journal all the same.
    let mut headless = whole;
    headless[..4096].fill(0);
    fs::write(&place.path, &headless).expect("it is writable");
    let (_, salvage) = Writer::open(&place.path, LIMITS, START).expect("it goes on");
    assert_eq!(salvage.map(|salvage| salvage.saved), Some(0));
}

/// A card that goes bad while the program runs.
#[test]
fn damage_that_is_met_on_the_way_is_mended() {
    let place = place();
    let limits = Limits { bytes: 2 << 20, ..LIMITS };
    let (mut writer, _) = Writer::open(&place.path, limits, START).expect("it can be written");
    let batch = |id: u64| -> Vec<Entry> {
        (id..id + 64)
            .map(|id| Entry::Told(narrated(id, "walk", Severity::Info, &format!("Text number {}", id * 7919 % 65_537))))
            .collect()
    };
    let mut id = 1;
    while id < 2000 {
        writer.write(&batch(id)).expect("room");
        id += 64;
    }
    let mut bytes = fs::read(&place.path).expect("it is there");
    let (half, end) = (bytes.len() / 8192 * 4096, bytes.len());
    bytes[half..end].fill(0xa5);
    // In place, as a card does it: the program has the file open.
    let file = fs::OpenOptions::new().write(true).open(&place.path).expect("it is writable");
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[half..], half as u64).expect("it is writable");
    let why = loop {
        assert!(id < 100_000, "it should be met");
        match writer.write(&batch(id)) {
            Err(JournalError::Damaged { why, .. }) => break why,
            written => written.expect("room"),
        }
        id += 64;
    };
    drop(writer);
    let (mut writer, salvage) = Writer::mend(&place.path, limits, START, &why).expect("it goes on");
    assert!(salvage.is_some_and(|salvage| salvage.why == why && salvage.aside.is_file()));
    assert!(!place.path.with_extension("journal.mending").exists());
    writer.write(&batch(id)).expect("what was not written is");
    drop(writer);
    assert_eq!(found(&place.path, Query::default())[0].id, id + 63);
}

/// Not a test of its own: what [`a_writer_that_is_killed_leaves_whole_batches`] kills.
#[test]
fn the_one_that_is_killed() {
    let Some(path) = std::env::var_os("OCELLI_TEST_JOURNAL") else { return };
    let mut writer = open(Path::new(&path));
    loop {
        let id = writer.next_id();
        let batch = (id..id + 7).map(|id| Entry::Told(narrated(id, "walk", Severity::Info, &format!("Text {id}"))));
        writer.write(&batch.collect::<Vec<_>>()).expect("room");
    }
}

#[test]
fn a_writer_that_is_killed_leaves_whole_batches() {
    let place = place();
    let mut before = 0;
    for round in 0..8 {
        let program = std::env::current_exe().expect("a test knows where it is");
        let mut child = Command::new(program)
            .args(["--exact", "the_one_that_is_killed", "--nocapture"])
            .env("OCELLI_TEST_JOURNAL", &place.path)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let patience = Instant::now();
        let written = |path: &Path| Journal::open(path).and_then(|journal| journal.count()).unwrap_or(0);
        while written(&place.path) <= before + 7 * round {
            assert!(patience.elapsed() < Duration::from_mins(1), "it should write");
            thread::sleep(Duration::from_millis(3));
        }
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let (writer, salvage) = Writer::open(&place.path, LIMITS, START).expect("it goes on");
        assert_eq!(salvage, None, "nothing is damaged");
        drop(writer);
        let db = Connection::open(&place.path).expect("it is a database");
        let said: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it is checked");
        assert_eq!(said, "ok");
        before = written(&place.path);
        assert_eq!(before % 7, 0, "a batch is whole or not there");
    }
    // No id twice, and each with its text.
    let all = found(&place.path, Query::default());
    assert!(all.is_sorted_by(|a, b| a.id > b.id) && all.iter().all(|event| event.text == format!("Text {}", event.id)));
}

#[test]
fn events_are_found_by_whom_they_are_about_and_a_kind_is_about_what_was_said_last() {
    let place = place();
    let of = |id, kind: &str, entities: &[&str]| {
        let Told { about, .. } = narrated(id, kind, Severity::Info, "Text.");
        let entities = entities.iter().map(ToString::to_string).collect();
        Told { about: about.map(|about| About { entities, ..about }), ..narrated(id, kind, Severity::Info, "Text.") }
    };
    write(&place.path, [of(1, "walk", &["person"]), of(2, "pet", &["pet"]), of(3, "meet", &["person", "people"])]);
    let about = |entity| ids(&place.path, Query { about: Some(entity), ..Query::default() });
    assert_eq!((about("person"), about("people"), about("door")), (vec![3, 1], vec![3], vec![]));
    let like = [0.0; EMBEDDING].map(|_: f32| 1.0);
    let near = ids(&place.path, Query { about: Some("pet"), like: Some(&like), ..Query::default() });
    assert_eq!(near, [2], "by likeness too");
    write(&place.path, [of(9001, "pet", &["cat"])]);
    let about = |entity| ids(&place.path, Query { about: Some(entity), ..Query::default() });
    assert_eq!((about("pet"), about("cat")), (vec![], vec![9001, 2]));
}

#[test]
fn an_alert_has_its_sentence_later_and_is_acknowledged_beside_the_one_who_writes() {
    let place = place();
    let mut writer = open(&place.path);
    let alert =
        |id| Told { kind: EventKind::Alert, ..narrated(id, "walk", Severity::Alarm, "Somebody is at the door") };
    writer.write(&[Entry::Told(alert(1)), Entry::Told(told(2, 2, "Text.")), Entry::Told(alert(3))]).expect("room");
    assert_eq!(writer.acknowledged().expect("readable"), Some(vec![]), "the first look");
    let said = |text: &str| Entry::Said { id: 1, text: text.into() };
    writer.write(&[said("Someone runs."), said("Someone waves."), Entry::ToldAgain { id: 1 }]).expect("room");
    // Of an alert that is not there.
    writer.write(&[Entry::Said { id: 77, text: "Text.".into() }, Entry::ToldAgain { id: 77 }]).expect("room");
    assert_eq!(writer.acknowledged().expect("readable"), None, "nobody else wrote");
    let now = Acknowledged::Now("Somebody is at the door".into());
    assert_eq!(acknowledge(&place.path, 1, NEW_YEAR_MS).expect("it is there"), now);
    assert_eq!(acknowledge(&place.path, 1, NEW_YEAR_MS + 9).expect("it is there"), Acknowledged::Before(NEW_YEAR_MS));
    assert_eq!(acknowledge(&place.path, 2, NEW_YEAR_MS).expect("it is there"), Acknowledged::NoAlert);
    assert_eq!(acknowledge(&place.path, 77, NEW_YEAR_MS).expect("it is there"), Acknowledged::Absent);
    assert_eq!(writer.acknowledged().expect("readable"), Some(vec![1]));
    assert_eq!(writer.acknowledged().expect("readable"), None, "nothing new");
    // By a button of the one who writes.
    let pressed = |id| Entry::Acknowledged { id, unix_ms: NEW_YEAR_MS + 5 };
    writer.write(&[pressed(1), pressed(3)]).expect("room");
    assert_eq!(writer.acknowledged().expect("readable"), None, "it knows");
    let acked_ms =
        |id| Journal::open(&place.path).expect("it is there").event(id).expect("readable").expect("kept").acked_ms;
    assert_eq!((acked_ms(1), acked_ms(3)), (Some(NEW_YEAR_MS), Some(NEW_YEAR_MS + 5)), "the first counts");
    writer.write(&[Entry::Told(alert(4))]).expect("the writer goes on");
    let event = Journal::open(&place.path).expect("it is there").event(1).expect("readable").expect("it is there");
    assert_eq!((event.said.as_deref(), event.told, event.acked_ms), (Some("Someone waves."), 2, Some(NEW_YEAR_MS)));
    let by = |words| ids(&place.path, Query { words, ..Query::default() });
    assert_eq!(
        (by("waves"), by("runs"), by("door")),
        (vec![1], vec![], vec![4, 3, 1]),
        "a text is let go with its last use"
    );
    let quiet = Told { quiet: true, ..alert(5) };
    writer.write(&[Entry::Told(quiet)]).expect("room");
    let event = Journal::open(&place.path).expect("it is there").event(5).expect("readable").expect("it is there");
    assert_eq!(event.told, 0);
}

#[test]
fn an_alert_that_is_acknowledged_before_it_is_in_the_file_is_waited_for() {
    let place = place();
    let mut writer = open(&place.path);
    let path = place.path.clone();
    let acknowledging = thread::spawn(move || acknowledge(&path, 1, NEW_YEAR_MS).expect("it is a journal"));
    thread::sleep(Duration::from_millis(100));
    let alert = Told { kind: EventKind::Alert, ..told(1, 1, "Someone falls.") };
    writer.write(&[Entry::Told(alert)]).expect("room");
    assert_eq!(acknowledging.join().expect("it ends"), Acknowledged::Now("Someone falls.".into()));
    assert_eq!(writer.acknowledged().expect("readable"), Some(vec![1]));
    // Nobody waits for what cannot come: an id that was never taken, and any where no program writes.
    let began = Instant::now();
    assert_eq!(acknowledge(&place.path, 1 << 40, NEW_YEAR_MS).expect("it is there"), Acknowledged::Absent);
    writer.finish(2, Micros(2_000_000), None).expect("room");
    assert_eq!(acknowledge(&place.path, 2, NEW_YEAR_MS).expect("it is there"), Acknowledged::Absent);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// What the program of format 1 kept of the demonstration's clip, with an alert, in `data/format-1.journal`.
const OLD: &[u8] = include_bytes!("data/format-1.journal");

/// Format, and the columns of an event.
fn shape(path: &Path) -> (i64, i64) {
    let db = Connection::open(path).expect("it is a database");
    let columns = db.query_row("SELECT count(*) FROM pragma_table_info('event')", [], |row| row.get(0));
    (db.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a number"), columns.expect("a number"))
}

#[test]
fn an_alert_of_a_journal_of_format_1_is_acknowledged_where_nobody_writes_it() {
    let place = place();
    fs::write(&place.path, OLD).expect("it is writable");
    let lock = fs::File::create(place.path.with_file_name("events.journal.lock")).expect("it is writable");
    lock.lock().expect("nobody has it");
    let taken = acknowledge(&place.path, 1, 1).expect_err("a program has it").to_string();
    assert!(taken.contains("has format 1"), "{taken}");
    drop(lock);
    let alert: u64 = {
        let db = Connection::open(&place.path).expect("it is a database");
        db.query_row("SELECT id FROM event WHERE type = 1 LIMIT 1", [], |row| row.get(0)).expect("it has an alert")
    };
    assert!(matches!(acknowledge(&place.path, alert, 7), Ok(Acknowledged::Now(_))));
    assert_eq!(shape(&place.path).0, 3);
    assert_eq!(acknowledge(&place.path, alert, 8).expect("readable"), Acknowledged::Before(7));
}

#[test]
fn a_journal_of_format_1_becomes_one_of_the_format_of_today_with_all_that_it_had() {
    let place = place();
    fs::write(&place.path, OLD).expect("it is writable");
    let before: Vec<(i64, String)> = {
        let db = Connection::open(&place.path).expect("it is a database");
        let mut rows =
            db.prepare("SELECT event.id, said FROM event JOIN text ON text.id = text ORDER BY event.id DESC");
        let rows = rows.as_mut().expect("of format 1").query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.expect("readable").map(|row| row.expect("readable")).collect()
    };
    assert_eq!(shape(&place.path), (1, 17));
    assert!(before.len() > 5, "{before:?}");
    let older = Journal::open(&place.path).expect_err("only a writer brings it up to date").to_string();
    assert!(older.contains("has format 1, and this program reads 3; `ocelli run` with it"), "{older}");
    assert_eq!(fs::read(&place.path).expect("it is there"), OLD, "and it is left as it is");
    let writer = open(&place.path);
    let last = before[0].0.cast_unsigned();
    assert!(writer.next_id() > last, "ids go on");
    drop(writer);
    assert_eq!(shape(&place.path), (3, 20));
    let after = found(&place.path, Query::default());
    let told: Vec<(i64, String)> = after.iter().map(|event| (event.id.cast_signed(), event.text.clone())).collect();
    assert_eq!(told, before);
    assert!(after.iter().all(|event| event.told == 1 && event.said.is_none() && event.acked_ms.is_none()));
    let journal = Journal::open(&place.path).expect("it is there");
    let narration = after.iter().find(|event| event.kind == EventKind::Narration).expect("it narrates");
    assert!(journal.vector(narration.id).expect("readable").is_some(), "embeddings too");
    let alert = after.iter().find(|event| event.kind == EventKind::Alert).expect("one of them");
    assert!(matches!(acknowledge(&place.path, alert.id, NEW_YEAR_MS), Ok(Acknowledged::Now(_))));
}

#[test]
fn of_a_damaged_journal_of_format_1_what_can_be_read_is_saved() {
    let place = place();
    fs::write(&place.path, OLD).expect("it is writable");
    let (writer, salvage) = Writer::mend(&place.path, LIMITS, START, "it was said").expect("it goes on");
    let saved = salvage.expect("it was mended").saved;
    drop(writer);
    assert_eq!((saved, found(&place.path, Query::default()).len() as u64), (saved.max(6), saved));
    assert_eq!(shape(&place.path).0, 3);
}

/// Not a test of its own: what [`a_migration_that_is_killed_is_whole_or_was_not`] kills.
#[test]
fn the_one_that_migrates() {
    let Some(folder) = std::env::var_os("OCELLI_TEST_MIGRATION") else { return };
    let folder = PathBuf::from(folder);
    for round in 0.. {
        let path = folder.join(format!("{round}.journal"));
        fs::write(&path, OLD).expect("it is writable");
        fs::write(folder.join("begun"), "").expect("it is writable");
        drop(open(&path));
    }
}

#[test]
fn a_migration_that_is_killed_is_whole_or_was_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // As it would be after a power cut in the middle: half of the step is in the log, and no commit.
    let torn = folder.path().join("torn.journal");
    fs::write(&torn, OLD).expect("it is writable");
    let program = || Command::new(std::env::current_exe().expect("a test knows where it is"));
    let mut half = program();
    half.args(["--exact", "the_one_that_stops_half_way", "--nocapture"]).env("OCELLI_TEST_HALF", &torn);
    assert!(!half.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it starts").success());
    assert!(fs::metadata(torn.with_extension("journal-wal")).is_ok_and(|log| log.len() > 0), "it is in the log");
    assert_eq!(shape(&torn), (1, 17));
    for round in 0..6 {
        let place = folder.path().join(round.to_string());
        fs::create_dir(&place).expect("it is writable");
        let mut child = program();
        child.args(["--exact", "the_one_that_migrates", "--nocapture"]).env("OCELLI_TEST_MIGRATION", &place);
        let mut child = child.stdout(Stdio::null()).spawn().expect("it starts");
        let patience = Instant::now();
        while !place.join("begun").exists() {
            assert!(patience.elapsed() < Duration::from_mins(1), "it should begin");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(3 * round));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let newest = (0..1_000_000).map(|n| place.join(format!("{n}.journal"))).take_while(|path| path.exists()).last();
        let newest = newest.expect("it began");
        if fs::metadata(&newest).is_ok_and(|file| file.len() < OLD.len() as u64) {
            // The copy itself was cut off.
            continue;
        }
        assert!([(1, 17), (3, 20)].contains(&shape(&newest)), "{:?}", shape(&newest));
        drop(open(&newest));
        assert_eq!(shape(&newest), (3, 20));
    }
    drop(open(&torn));
    assert_eq!(shape(&torn), (3, 20));
    assert!(found(&torn, Query::default()).len() > 5);
}

/// Not a test of its own: it is killed in the middle of a step.
#[test]
fn the_one_that_stops_half_way() {
    let Some(path) = std::env::var_os("OCELLI_TEST_HALF") else { return };
    let db = Connection::open(path).expect("it is a database");
    // With no room in memory what is not committed goes into the log.
    db.execute_batch(
        "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; ALTER TABLE event ADD COLUMN said INTEGER;
        CREATE TABLE filling(what BLOB); INSERT INTO filling VALUES(zeroblob(1000000)); PRAGMA user_version = 2;",
    )
    .expect("it is writable");
    std::process::abort();
}

fn seen(second: u64, seconds: u64, radians: f32) -> Seen {
    Seen {
        camera: "厨房".into(),
        start_us: Micros(second * 1_000_000),
        end_us: Micros((second + seconds) * 1_000_000),
        start_ms: Some(NEW_YEAR_MS + second * 1000),
        rest: 0.25,
        nearest: 0.5,
        vector: lean(radians),
    }
}

#[test]
fn what_was_seen_is_kept_in_rings_beside_the_events() {
    let place = place();
    let mut writer = open(&place.path);
    let moments: Vec<Entry> =
        (0..MOST_MOMENTS + 70).map(|second| Entry::Seen(Ring::Moments, seen(second, 1, 0.1))).collect();
    moments.chunks(64).for_each(|batch| writer.write(batch).expect("there is room"));
    // One goes on; and what has no name is in its own ring.
    let last = MOST_MOMENTS + 69;
    let other = Seen { camera: "hall".into(), ..seen(last, 1, 0.7) };
    let more = [
        Entry::Seen(Ring::Moments, seen(last, 9, 0.1)),
        Entry::Seen(Ring::Moments, other.clone()),
        Entry::Seen(Ring::Unknowns, seen(5, 3, 0.3)),
    ];
    writer.write(&more).expect("there is room");
    let journal = Journal::open(&place.path).expect("it is there");
    let moments = journal.seen(Ring::Moments, None).expect("readable");
    assert_eq!(moments.len() as u64, MOST_MOMENTS, "the oldest have gone");
    let [.., (_, before), (_, newest)] = &moments[..] else { panic!("there are many") };
    assert_eq!((before, newest), (&seen(last, 9, 0.1), &other));
    assert_eq!(before.end_ms(), Some(NEW_YEAR_MS + (last + 9) * 1000));
    assert_eq!(journal.seen(Ring::Moments, Some("hall")).expect("readable").len(), 1);
    assert_eq!(journal.seen(Ring::Unknowns, None).expect("readable"), [(1, seen(5, 3, 0.3))]);
    assert_eq!((journal.count().expect("readable"), writer.next_id()), (0, 1), "they are no events and take no ids");
    for second in 0..MOST_UNKNOWNS + 3 {
        writer.write(&[Entry::Seen(Ring::Unknowns, seen(1000 + second, 1, 0.3))]).expect("there is room");
    }
    let unknowns = journal.seen(Ring::Unknowns, None).expect("readable");
    assert_eq!((unknowns.len() as u64, unknowns[0].0), (MOST_UNKNOWNS, 5), "numbers are given once");
}

#[test]
fn what_was_seen_goes_when_its_time_is_over() {
    let place = place();
    let limits = Limits { keep_us: Micros(3_600_000_000), ..LIMITS };
    let start = |day: u64| Start { unix_ms: Some(NEW_YEAR_MS + day * DAY_MS), ..START };
    let (mut writer, _) = Writer::open(&place.path, limits, start(0)).expect("it can be written");
    writer.write(&[Entry::Seen(Ring::Unknowns, seen(5, 3, 0.3)), Entry::Told(told(1, 1, "x"))]).expect("room");
    writer.finish(2, Micros(9_000_000), Some(NEW_YEAR_MS + 9000)).expect("room");
    let (_writer, _) = Writer::open(&place.path, limits, start(1)).expect("it can be written");
    let journal = Journal::open(&place.path).expect("it is there");
    assert_eq!(journal.seen(Ring::Unknowns, None).expect("readable"), []);
}

/// A gateway reads the journal in the process that writes it, and `ocelli ack` changes it from another, which then ends. What is written
/// after that must be in the files that a kill leaves.
#[test]
fn who_reads_beside_the_writer_takes_no_lock_of_its_away() {
    const PLACE: &str = "OCELLI_TEST_JOURNAL";
    if let Some(path) = std::env::var_os(PLACE) {
        // The other process.
        let acknowledged = acknowledge(Path::new(&path), 1, NEW_YEAR_MS).expect("it can be changed");
        assert!(matches!(acknowledged, Acknowledged::Now(_)), "{acknowledged:?}");
        return;
    }
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("j");
    let (mut writer, _) = Writer::open(&path, LIMITS, START).expect("it can be written");
    let alert = Told { kind: EventKind::Alert, ..told(1, 1, "fire") };
    writer.write(&[Entry::Told(alert)]).expect("there is room");
    for _ in 0..3 {
        let journal = Journal::open(&path).expect("it is there");
        assert!(journal.event(1).expect("it can be read").is_some());
    }
    let mut other = Command::new(std::env::current_exe().expect("a test knows where it is"));
    other.args(["--exact", "who_reads_beside_the_writer_takes_no_lock_of_its_away"]).env(PLACE, &path);
    assert!(other.stdout(Stdio::null()).status().expect("it starts").success());
    writer.write(&[Entry::Told(told(2, 2, "smoke"))]).expect("there is room");
    // As a kill leaves them.
    let left = folder.path().join("left");
    fs::create_dir(&left).expect("there is room");
    for name in ["j", "j-wal"] {
        fs::copy(folder.path().join(name), left.join(name)).expect("the log is where it was");
    }
    let journal = Journal::open(&left.join("j")).expect("it is whole");
    let kept = |id| journal.event(id).expect("it can be read");
    assert!(kept(1).is_some_and(|alert| alert.acked_ms.is_some()), "what was acknowledged");
    assert!(kept(2).is_some(), "what was written after it");
}
