//! A journal of many events: how long searches take, and what the one who searches holds.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use ocelli_journal::{About, EMBEDDING, Entry, Journal, Limits, Query, Start, Told, Vector, Writer};
use ocelli_types::{EventKind, Micros, Severity};

use crate::machine::cpu_ns;

/// How often each search is made.
const ROUNDS: usize = 21;

/// Wall clock of the first event, 2026-01-01; they are a minute apart.
const FIRST_MS: u64 = 1_767_225_600_000;
const APART_MS: u64 = 60_000;

const KINDS: [(&str, Severity); 5] = [
    ("walk", Severity::Info),
    ("sit", Severity::Info),
    ("stand", Severity::Info),
    ("lie", Severity::Notice),
    ("fall", Severity::Alarm),
];

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        // Xorshift (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Writes `events` narrations into `path`, of which one in a thousand says `needle`; `free` ones say each something of their own, as a
/// head that generates would.
fn fill(path: &Path, events: u64, free: bool) -> Result<()> {
    let limits = Limits { bytes: 1 << 30, keep_us: Micros(u64::MAX) };
    let (mut writer, _) = Writer::open(path, limits, Start { unix_ms: None, stream_us: Micros(0), least_id: 1 })?;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut batch = Vec::with_capacity(64);
    for id in 1..=events {
        let (kind, severity) = KINDS[(dice.roll() % 5) as usize];
        let needle = if id % 1000 == 500 { " with a needle" } else { "" };
        let own =
            if free { format!(" from {} to {}", dice.roll() % 100_000, dice.roll() % 100_000) } else { String::new() };
        let values = Box::new(std::array::from_fn(|_| ((dice.roll() >> 56) as u8).cast_signed()));
        let vector = Vector { mark: "0badcafe".into(), values };
        let at_us = Micros(id * APART_MS * 1000);
        batch.push(Entry::Told(Told {
            id,
            kind: EventKind::Narration,
            camera: if dice.roll().is_multiple_of(4) { "porch" } else { "hall" }.into(),
            start_us: at_us,
            end_us: at_us + Micros(400_000),
            start_ms: Some(FIRST_MS + id * APART_MS),
            text: format!("Someone does {kind}{own} in the room{needle}."),
            score: 0.7,
            entries: None,
            about: Some(About { kind: kind.into(), severity, entities: vec!["person".into()], vector: Some(vector) }),
            quiet: false,
        }));
        if batch.len() == 64 || id == events {
            writer.write(&batch)?;
            batch.clear();
        }
    }
    Ok(writer.finish(events + 1, Micros(events * APART_MS * 1000), None)?)
}

/// Makes a journal of sentences and one of free texts in `folder`, and prints a table of each.
///
/// # Errors
/// A journal cannot be written or read.
pub fn journal_table(folder: &Path, events: u64) -> Result<()> {
    ensure!(events > 0, "a journal without events finds nothing");
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let like: [f32; EMBEDDING] = std::array::from_fn(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0);
    let (middle, all) = (FIRST_MS + events / 2 * APART_MS, Query { limit: 20, ..Query::default() });
    let searches = [
        ("the newest", all),
        ("a word that all have", Query { words: "someone", ..all }),
        ("a word of one in 1000, in full", Query { words: "needle", limit: 1000, ..all }),
        ("a word that none has", Query { words: "zebra", ..all }),
        (
            "a word, camera, kind, before the middle",
            Query { words: "needle", camera: Some("porch"), kind: Some("fall"), until_ms: Some(middle), ..all },
        ),
        ("by meaning", Query { like: Some(&like), ..all }),
        ("by meaning, 1000 of them", Query { like: Some(&like), limit: 1000, ..all }),
        ("by meaning and a word that all have", Query { like: Some(&like), words: "someone", ..all }),
        (
            "by meaning, camera, severity, since the middle",
            Query {
                like: Some(&like),
                camera: Some("porch"),
                severity: Severity::Notice,
                since_ms: Some(middle),
                ..all
            },
        ),
    ];
    for (free, what) in [(false, "sentences of a vocabulary"), (true, "each a text of its own")] {
        let path = folder.join("journal");
        for end in ["", "-wal", "-shm", ".lock"] {
            let _ = fs::remove_file(folder.join(format!("journal{end}")));
        }
        let began = Instant::now();
        fill(&path, events, free)?;
        let each_us = began.elapsed().as_secs_f64() * 1e6 / events as f64;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let size = fs::metadata(&path)?.len();
        println!("{events} events, {what}: {:.1} MiB, written in {each_us:.0} us each", mib(size));
        let before = resident("VmRSS:");
        let journal = Journal::open(&path)?;
        println!("  {:<48} {:>6} {:>8} {:>8} {:>8}", "", "found", "of CPU", "median", "longest");
        for (name, query) in &searches {
            let (mut found, mut ms, mut cpu_ms) = (0, Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
            for _ in 0..ROUNDS {
                let (began, worked) = (Instant::now(), cpu_ns());
                found = journal.search(query)?.len();
                cpu_ms.push((cpu_ns() - worked) as f64 / 1e6);
                ms.push(began.elapsed().as_secs_f64() * 1e3);
            }
            [&mut ms, &mut cpu_ms].into_iter().for_each(|times| times.sort_by(f64::total_cmp));
            let (middle, last) = (ROUNDS / 2, ROUNDS - 1);
            println!("  {name:<48} {found:>6} {:>5.1} ms {:>5.1} ms {:>5.1} ms", cpu_ms[middle], ms[middle], ms[last]);
        }
        let (now, most) = (resident("VmRSS:"), resident("VmHWM:"));
        let searches = mib(now.saturating_sub(before));
        println!("  resident set: {:.1} MiB, of which searches {searches:.1}; at most {:.1}", mib(now), mib(most));
    }
    Ok(())
}

/// Bytes that `/proc/self/status` shows.
fn resident(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) << 10
}
