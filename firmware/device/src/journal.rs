//! The journal's thread: it waits for the disk, so that nobody else does.
//!
//! What was told is written together where it comes together, and an alert at once; the thread then waits until the disk has it, so that
//! a power cut takes back no event that was told more than [`TOGETHER`], and what the disk takes, before it.
//!
//! Events go through a bounded channel. `run` leaves out what finds it full, counts it and says so once; `replay`, which has time,
//! waits. A journal that cannot be written costs its events and never the narration: the thread tries again.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ocelli_drivers::SystemClock;
use ocelli_infer::Evidence;
use ocelli_journal::{Entry, JournalError, Limits, Salvage, Seen, Start, Vector, Writer};
use ocelli_types::{Clock, Micros};

use crate::config::JournalTable;
use crate::error::{Error, note};
use crate::held::Held;
use crate::state::PLAUSIBLE_UNIX_MS;

/// Stack of the thread. Measured: see `plan.rs`.
pub const SCRIBE_STACK_BYTES: usize = 256 << 10;

/// Events that may wait, and that are written at a time. Each is below 1 KiB.
pub const WAITING: usize = 256;
const BATCH: usize = 64;

/// How long what was told waits for more to be written with it: each writing costs the wear of a few pages, and a wait for the disk.
const TOGETHER: Duration = Duration::from_millis(100);

/// How often it is looked whether somebody acknowledged an alert, and what was only seen is written.
const LOOK: Duration = Duration::from_secs(1);

/// How often a journal that cannot be opened is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// How long nothing is lost before it is said that all is well: a slow disk comes and goes.
const WELL: Duration = Duration::from_secs(10);

/// How often a program in which nothing happens says that it runs.
const ALIVE_US: Micros = Micros(600_000_000);

/// Where the date of an event comes from.
#[derive(Clone, Copy, Debug)]
pub enum Dates {
    /// The wall clock, each time anew: it may be set while the program runs.
    Clock(SystemClock),
    /// The date of stream time zero, milliseconds since 1970.
    From(u64),
    /// A clip has none.
    Unknown,
}

impl Dates {
    /// Milliseconds since 1970 at a stream time.
    pub fn of(self, at_us: Micros) -> Option<u64> {
        match self {
            Self::Clock(clock) => {
                let now_ms = plausible(clock.unix_ms())?;
                now_ms.checked_sub(clock.now().since(at_us).0 / 1000)
            }
            Self::From(zero_ms) => Some(zero_ms + at_us.0 / 1000),
            Self::Unknown => None,
        }
    }
}

/// The wall clock, where it can be right.
fn plausible(unix_ms: u64) -> Option<u64> {
    (unix_ms >= PLAUSIBLE_UNIX_MS).then_some(unix_ms)
}

/// What the thread tells.
#[derive(Debug, Default)]
struct Shared {
    /// Events that are not in the journal.
    lost: AtomicU64,
    /// No smaller id may be given.
    least_id: AtomicU64,
    /// Why the last batch was not written; `None` after one that was.
    trouble: Mutex<Option<String>>,
    /// Alerts that another program acknowledged, since they were asked for.
    acknowledged: Mutex<Vec<u64>>,
}

impl Shared {
    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, why: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// The one that writes what is said into the journal.
#[derive(Debug)]
pub struct Scribe {
    path: PathBuf,
    dates: Dates,
    /// Whether there is time to wait for the disk.
    patient: bool,
    give: Option<SyncSender<Entry>>,
    /// Entries that were handed over.
    given: u64,
    thread: Option<JoinHandle<Option<Writer>>>,
    told: Arc<Shared>,
    /// Why it could not be opened at the start, until that was told.
    closed: Option<String>,
    /// Losses that were noticed, when, and whether nobody was told of their end.
    noticed: u64,
    failing: bool,
    failed: Instant,
    alive_us: Micros,
}

impl Scribe {
    /// Opens the journal of the config, where it has one, and starts its thread. A `patient` one waits for the disk, and must be
    /// there from the start. What is `held` is told once it is written.
    ///
    /// # Errors
    /// The file is of another kind, newer, or another program's; or of a patient one it cannot be written.
    pub fn open(
        config: &JournalTable,
        dates: Dates,
        start_us: Micros,
        patient: bool,
        held: Option<Arc<Held>>,
    ) -> Result<Option<Self>, Error> {
        let Some(path) = config.file.clone() else { return Ok(None) };
        let keep_us = Micros::from_seconds(config.keep_days * 86_400.0);
        let limits = Limits { bytes: config.size, keep_us };
        let start = Start { unix_ms: dates.of(start_us), stream_us: start_us, least_id: 1 };
        let told = Arc::new(Shared::default());
        told.least_id.store(1, Ordering::Relaxed);
        let writer = match Writer::open(&path, limits, start) {
            Ok((writer, salvage)) => {
                told.least_id.store(writer.next_id(), Ordering::Relaxed);
                if let Some(salvage) = salvage {
                    note(salvaged(&path, &salvage));
                }
                Some(writer)
            }
            Err(error) if error.is_final() || patient => return Err(error.into()),
            Err(error) => {
                note(format_args!("{error}; narrating without it, and trying again"));
                told.set_trouble(Some(error.to_string()));
                None
            }
        };
        let closed = told.trouble();
        let (give, entries) = sync_channel(WAITING);
        let shared = Arc::clone(&told);
        let place = path.clone();
        let thread = thread::Builder::new()
            .name("journal".into())
            .stack_size(SCRIBE_STACK_BYTES)
            .spawn(move || {
                Desk { file: file_at(&place), path: place, limits, dates, writer, told: shared, held }.run(&entries)
            })
            .map_err(|source| Error::System { what: "a thread", source })?;
        let (give, thread) = (Some(give), Some(thread));
        let failed = Instant::now();
        let (given, noticed, failing, alive_us) = (0, 0, false, start_us);
        Ok(Some(Self { path, dates, patient, give, given, thread, told, closed, noticed, failing, failed, alive_us }))
    }

    /// The smallest id that the next event may have.
    pub fn least_id(&self) -> u64 {
        self.told.least_id.load(Ordering::Relaxed)
    }

    /// Milliseconds since 1970 at a stream time.
    pub fn date(&self, at_us: Micros) -> Option<u64> {
        self.dates.of(at_us)
    }

    /// Hands it over; where there is no room and no time, it is lost and counted.
    pub fn write(&mut self, entry: Entry) {
        let Some(give) = &self.give else { return };
        let counts = matches!(entry, Entry::Told(_));
        let taken = if self.patient { give.send(entry).is_ok() } else { give.try_send(entry).is_ok() };
        self.given += u64::from(taken);
        if !taken && counts {
            self.told.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many entries it was handed.
    pub const fn given(&self) -> u64 {
        self.given
    }

    /// Alerts that were acknowledged; those of before may be among them.
    pub fn acknowledged(&self) -> Vec<u64> {
        std::mem::take(&mut *self.told.acknowledged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The program still runs.
    pub fn alive(&mut self, at_us: Micros) {
        if at_us.since(self.alive_us) >= ALIVE_US {
            self.alive_us = at_us;
            self.write(Entry::Alive { at_us, unix_ms: self.dates.of(at_us) });
        }
    }

    /// What the person should hear: that events are not kept, once, or that they are again.
    pub fn news(&mut self) -> Option<String> {
        let (lost, trouble) = (self.told.lost.load(Ordering::Relaxed), self.told.trouble());
        if let Some(why) = self.closed.take() {
            (self.failing, self.failed) = (true, Instant::now());
            return Some(format!("the journal is not written: {why}"));
        }
        if lost > self.noticed {
            (self.noticed, self.failed) = (lost, Instant::now());
            let why = trouble.unwrap_or_else(|| format!("{}: the disk is too slow", self.path.display()));
            let first = !std::mem::replace(&mut self.failing, true);
            return first.then(|| format!("the journal is not written: {why}"));
        }
        let well = self.failing && trouble.is_none() && self.failed.elapsed() >= WELL;
        self.failing &= !well;
        well.then(|| format!("the journal is written again; {lost} events are not in it"))
    }

    /// Writes what still waits, and ends the uptime, of which `next_id` would be the next event.
    ///
    /// # Errors
    /// Some events are not in the journal.
    pub fn finish(mut self, next_id: u64, at_us: Micros) -> Result<(), Error> {
        self.give = None;
        let writer = self.thread.take().and_then(|thread| thread.join().ok()).flatten();
        let ended = writer.map_or(Ok(()), |writer| writer.finish(next_id, at_us, self.dates.of(at_us)));
        let lost = self.told.lost.load(Ordering::Relaxed);
        if lost > 0 {
            let why = self.told.trouble().unwrap_or_else(|| format!("{}: the disk was too slow", self.path.display()));
            return Err(Error::Lost { lost, why });
        }
        Ok(ended?)
    }
}

impl Drop for Scribe {
    /// However a run ends: what was told is written.
    fn drop(&mut self) {
        self.give = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Desk {
    path: PathBuf,
    /// Which file that was when it was opened.
    file: Option<(u64, u64)>,
    limits: Limits,
    dates: Dates,
    writer: Option<Writer>,
    told: Arc<Shared>,
    /// What waits for what is written.
    held: Option<Arc<Held>>,
}

impl Desk {
    /// Until nobody gives any more.
    fn run(mut self, entries: &Receiver<Entry>) -> Option<Writer> {
        let mut batch = Vec::with_capacity(BATCH);
        // One that was open knows which ids are given; another does not, and none below its own may come.
        let mut least_id = if self.writer.is_some() { 0 } else { u64::MAX };
        let mut tried = Instant::now();
        let (mut goes_on, mut taken) = (true, 0);
        while goes_on {
            goes_on = gather(entries, &mut batch, LOOK, TOGETHER);
            if batch.is_empty() {
                self.look();
                continue;
            }
            taken += batch.len() as u64;
            let at_us = batch.iter().map(time).max().unwrap_or_default();
            if self.writer.is_some() && file_at(&self.path) != self.file {
                note(format_args!("{}: the journal was taken away or replaced; it begins anew", self.path.display()));
                self.writer = None;
                self.open_again(at_us, None, &mut least_id);
            }
            if self.writer.is_none() && tried.elapsed() >= AGAIN {
                tried = Instant::now();
                self.open_again(at_us, None, &mut least_id);
            }
            let count = |entry: &Entry| matches!(entry, Entry::Told(_));
            let came = batch.iter().filter(|entry| count(entry)).count();
            batch.retain(|entry| !matches!(entry, Entry::Told(told) if told.id < least_id));
            let late = came - batch.iter().filter(|entry| count(entry)).count();
            let mut written = self.writer.as_mut().map(|writer| writer.write(&batch));
            if let Some(Err(JournalError::Damaged { why, .. })) = &written {
                self.writer = None;
                self.open_again(at_us, Some(why), &mut least_id);
                written = self.writer.as_mut().map(|writer| writer.write(&batch));
            }
            let lost = match written {
                Some(Ok(())) => {
                    self.told.set_trouble(None);
                    late
                }
                Some(Err(error)) => {
                    self.told.set_trouble(Some(error.to_string()));
                    came
                }
                None => came,
            };
            self.told.lost.fetch_add(lost as u64, Ordering::Relaxed);
            batch.clear();
            if let Some(held) = &self.held {
                held.written(taken);
            }
            self.look();
        }
        self.writer
    }

    /// Whether somebody acknowledged an alert. What goes wrong is met by the next batch.
    fn look(&mut self) {
        if let Some(Ok(Some(ids))) = self.writer.as_mut().map(Writer::acknowledged) {
            *self.told.acknowledged.lock().unwrap_or_else(PoisonError::into_inner) = ids;
        }
    }

    /// Opens the journal at this stream time; where it is found to be damaged, what can be read of it is saved.
    fn open_again(&mut self, at_us: Micros, damage: Option<&str>, least_id: &mut u64) {
        let start = Start { unix_ms: self.dates.of(at_us), stream_us: at_us, least_id: 1 };
        let opened = match damage {
            Some(why) => Writer::mend(&self.path, self.limits, start, why),
            None => Writer::open(&self.path, self.limits, start),
        };
        match opened {
            Ok((writer, salvage)) => {
                if *least_id == u64::MAX {
                    *least_id = writer.next_id();
                    self.told.least_id.fetch_max(writer.next_id(), Ordering::Relaxed);
                }
                if let Some(salvage) = salvage {
                    note(salvaged(&self.path, &salvage));
                }
                (self.writer, self.file) = (Some(writer), file_at(&self.path));
            }
            Err(error) => self.told.set_trouble(Some(error.to_string())),
        }
    }
}

/// Takes what is written together: all that comes within `look`, or within `together` of the first that was told; less where
/// something urgent is among it. `false` where nobody gives any more.
fn gather(entries: &Receiver<Entry>, batch: &mut Vec<Entry>, look: Duration, together: Duration) -> bool {
    let mut until = Instant::now() + look;
    while batch.len() < BATCH {
        match entries.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(entry) => {
                if entry.is_urgent() {
                    until = Instant::now();
                } else if entry.is_told() {
                    until = until.min(Instant::now() + together);
                }
                batch.push(entry);
            }
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// Device and number of the file at a path.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

fn time(entry: &Entry) -> Micros {
    match entry {
        Entry::Told(told) => told.start_us,
        Entry::Seen(_, Seen { start_us: at_us, .. }) | Entry::Sees { at_us, .. } | Entry::Alive { at_us, .. } => *at_us,
        // It follows its alert.
        Entry::Said { .. } | Entry::ToldAgain { .. } | Entry::Acknowledged { .. } => Micros(0),
    }
}

fn salvaged(path: &Path, salvage: &Salvage) -> String {
    let Salvage { aside, saved, why } = salvage;
    format!("{}: damaged ({why}); it is now {}, and {saved} events of it were saved", path.display(), aside.display())
}

/// What a journal keeps of a narration's evidence, and gives back for a lesson.
pub fn vector(evidence: &Evidence) -> Vector {
    Vector { mark: evidence.mark().to_owned(), values: Box::new(*evidence.values()) }
}

#[cfg(test)]
mod tests {
    use ocelli_journal::{Journal, Query, Told};
    use ocelli_types::EventKind;

    use super::*;

    fn entry(id: u64) -> Entry {
        Entry::Told(Told {
            id,
            kind: EventKind::Health,
            camera: "hall".into(),
            start_us: Micros(id * 1_000_000),
            end_us: Micros(id * 1_000_000),
            start_ms: None,
            text: format!("event {id}"),
            score: 1.0,
            entries: None,
            about: None,
            quiet: false,
        })
    }

    fn found(path: &Path) -> Vec<u64> {
        let journal = Journal::open(path).expect("it is there");
        let query = Query { limit: 1000, ..Query::default() };
        journal.search(&query).expect("it is readable").iter().rev().map(|found| found.id).collect()
    }

    fn table(path: &Path) -> JournalTable {
        JournalTable { file: Some(path.to_path_buf()), ..JournalTable::default() }
    }

    #[test]
    fn ids_go_on_and_all_is_written_at_the_end() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("j");
        for first in [1, 301] {
            let scribe = Scribe::open(&table(&path), Dates::Unknown, Micros(0), true, None).expect("it can be written");
            let mut scribe = scribe.expect("the config has one");
            assert_eq!(scribe.least_id(), first);
            (first..first + 300).for_each(|id| scribe.write(entry(id)));
            assert_eq!(scribe.news(), None);
            scribe.finish(first + 300, Micros(9_000_000)).expect("nothing is lost");
        }
        assert_eq!(found(&path), (1..=600).collect::<Vec<_>>());
    }

    /// Nobody gives for a minute, and no wait is for as long.
    #[test]
    fn an_alert_waits_for_nothing_and_what_was_told_not_for_what_is_seen() {
        const HOUR: Duration = Duration::from_hours(1);
        let of_kind = |kind| {
            let Entry::Told(told) = entry(1) else { unreachable!("it is one") };
            Entry::Told(Told { kind, ..told })
        };
        let alive = || Entry::Alive { at_us: Micros(0), unix_ms: None };
        let gathered = |given: Vec<Entry>, look, together| {
            let (give, entries) = sync_channel(WAITING);
            given.into_iter().for_each(|entry| give.send(entry).expect("there is room"));
            let (say, hear) = sync_channel(1);
            thread::spawn(move || {
                let mut batch = Vec::new();
                let goes_on = gather(&entries, &mut batch, look, together);
                say.send((goes_on, batch.len())).expect("somebody listens");
            });
            let gathered = hear.recv_timeout(Duration::from_mins(1)).expect("it waits for nothing");
            drop(give);
            gathered
        };
        let urgent = [
            of_kind(EventKind::Alert),
            of_kind(EventKind::AlertEnd),
            Entry::Said { id: 1, text: String::new() },
            Entry::ToldAgain { id: 1 },
            Entry::Acknowledged { id: 1, unix_ms: 1 },
        ];
        for urgent in urgent {
            // With what is there already, and no more.
            assert_eq!(gathered(vec![alive(), entry(1), urgent, entry(2), alive()], HOUR, HOUR), (true, 5));
        }
        let none = Duration::ZERO;
        assert_eq!(gathered(vec![alive(), entry(1)], HOUR, none), (true, 2), "what was told waits for `together`");
        assert_eq!(gathered(vec![alive(), alive()], none, HOUR), (true, 2), "what was not for `look`");
        assert_eq!(gathered(vec![alive()], none, HOUR), (true, 1));
        assert_eq!(gathered(vec![], none, HOUR), (true, 0));
        let many = (1..=BATCH as u64 + 1).map(entry).collect();
        assert_eq!(gathered(many, HOUR, HOUR), (true, BATCH), "no more than fits");
        let (give, entries) = sync_channel(1);
        give.send(entry(1)).expect("there is room");
        drop(give);
        let mut batch = Vec::new();
        assert!(!gather(&entries, &mut batch, HOUR, HOUR) && batch.len() == 1, "nobody gives any more");
    }

    /// What is told is told once, and what came meanwhile is counted.
    #[test]
    fn a_journal_that_cannot_be_written_costs_its_events_and_is_noticed_once() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("no/such/folder/j");
        let error = Scribe::open(&table(&path), Dates::Unknown, Micros(0), true, None).expect_err("a replay wants it");
        assert!(error.to_string().contains("choose a folder that can be written"), "{error}");
        let scribe = Scribe::open(&table(&path), Dates::Unknown, Micros(0), false, None).expect("a run goes on");
        let mut scribe = scribe.expect("the config has one");
        scribe.write(entry(1));
        let patience = Instant::now();
        let news = loop {
            if let Some(news) = scribe.news() {
                break news;
            }
            assert!(patience.elapsed() < Duration::from_mins(1), "it should be told");
            thread::sleep(Duration::from_millis(5));
        };
        assert!(news.starts_with("the journal is not written: "), "{news}");
        scribe.write(entry(2));
        thread::sleep(Duration::from_millis(50));
        assert_eq!(scribe.news(), None, "once");
        let error = scribe.finish(3, Micros(0)).expect_err("two are lost").to_string();
        assert!(error.starts_with("2 events are not in the journal"), "{error}");
    }

    /// Whoever hears of an event finds it in the journal, and an event that is no alert comes a tenth of a second later by that.
    #[test]
    fn nothing_is_told_to_others_before_it_is_written() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("j");
        let held = Arc::new(Held::default());
        let scribe = Scribe::open(&table(&path), Dates::Unknown, Micros(0), false, Some(Arc::clone(&held)));
        let mut scribe = scribe.expect("it can be written").expect("the config has one");
        let mut reader = held.feed().reader();
        let mut waits = Vec::new();
        for id in 1..=40 {
            let Entry::Told(told) = entry(id) else { unreachable!("it is one") };
            // One in four is an alert, which is written at once.
            let kind = if id % 4 == 0 { EventKind::Alert } else { told.kind };
            scribe.write(Entry::Told(Told { kind, ..told }));
            let begun = Instant::now();
            held.hold(scribe.given(), ocelli_gateway::Event { id: Some(id), ..ocelli_gateway::Event::default() });
            let heard = loop {
                match reader.try_next() {
                    Some(ocelli_gateway::Heard::Event(event)) => break event,
                    Some(ocelli_gateway::Heard::Missed(_)) => panic!("it is read at once"),
                    None => assert!(begun.elapsed() < Duration::from_mins(1), "it is told"),
                }
                thread::sleep(Duration::from_micros(200));
            };
            waits.push((kind == EventKind::Alert, begun.elapsed()));
            let journal = Journal::open(&path).expect("it is there");
            assert!(journal.event(id).expect("it can be read").is_some(), "{heard:?} was told and is not there");
        }
        let shortest = |alert| waits.iter().filter(|(of, _)| *of == alert).map(|(_, wait)| *wait).min();
        assert!(shortest(true) < Some(TOGETHER), "alerts wait for the disk alone: {waits:?}");
        assert!(shortest(false) >= Some(TOGETHER), "what is told comes together: {waits:?}");
        scribe.finish(41, Micros(0)).expect("nothing is lost");
    }

    /// The desk alone: the folder comes to be while it runs.
    #[test]
    fn a_journal_that_comes_late_takes_what_has_ids_of_its_own() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("j");
        let limits = Limits { bytes: 8 << 20, keep_us: Micros(u64::MAX) };
        let start = Start { unix_ms: None, stream_us: Micros(0), least_id: 1 };
        let (mut before, _) = Writer::open(&path, limits, start).expect("it can be written");
        before.write(&[entry(1), entry(2)]).expect("there is room");
        before.finish(3, Micros(0), None).expect("there is room");
        let told = Arc::new(Shared::default());
        let mut desk = Desk {
            path: path.clone(),
            file: None,
            limits,
            dates: Dates::Unknown,
            writer: None,
            told: Arc::clone(&told),
            held: None,
        };
        let mut least_id = u64::MAX;
        desk.open_again(Micros(2_000_000), None, &mut least_id);
        assert_eq!((least_id, told.least_id.load(Ordering::Relaxed)), (3, 3));
        let (give, entries) = sync_channel(4);
        [entry(4), entry(5)].into_iter().for_each(|entry| give.send(entry).expect("there is room"));
        drop(give);
        assert!(desk.run(&entries).is_some());
        assert_eq!(found(&path), [1, 2, 4, 5]);
    }
}
