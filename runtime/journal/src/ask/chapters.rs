//! A day in chapters: where it falls into parts, and what each is called.
//!
//! A part ends where nothing was told for half an hour, or where what is told becomes other: the kinds of the six events before and
//! of the six behind are compared at each event, and a valley of their likeness is an end (`TextTiling`; Hearst, Computational
//! Linguistics 23, 1997). A part is called by what tells it from the others: kinds weighed by severity, by how often they are told in
//! it, and by how few parts tell of them (tf-idf).
//!
//! Where only some sentences can be told of a time, each part gets its share of them by the square of its weight, and no more than it
//! has kinds (`QuoTA`'s budget; Luo and others 2025, in its form with a cap).

use ocelli_types::{EventKind, Severity};

use super::timeline::{self, Gap};
use super::when::Period;
use crate::{Journal, JournalError, Query};

/// More chapters has no digest.
pub const MOST_CHAPTERS: usize = 24;

/// A pause that ends a chapter.
const PAUSE_MS: u64 = 30 * 60_000;

/// Events before and behind that are compared.
const BESIDE: usize = 6;

/// How unlike they must be, and how long a chapter lasts at least that ends by it.
const UNLIKE: f32 = 0.6;
const LEAST_MS: u64 = 10 * 60_000;

/// How far an alert may be from the narration of the same text that it repeats.
const SAME_MS: u64 = 60_000;

/// Kinds in a title.
const TITLE: usize = 2;

/// A part of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Chapter {
    /// From its first event to the end of its last.
    pub period: Period,
    /// What it is called.
    pub title: String,
    /// Events in it.
    pub events: u64,
    /// Events that its title rests on.
    pub evidence: Vec<u64>,
    tellings: Vec<(f32, Telling)>,
}

/// What a digest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// The time that it is of.
    pub period: Period,
    /// Its parts.
    pub chapters: Vec<Chapter>,
    /// Narrations by kind, and movements of a camera as `camera`, the most frequent first.
    pub kinds: Vec<(String, u64)>,
    /// Alerts: when, which camera, what, and their ids.
    pub alerts: Vec<Telling>,
    /// Narrations, movements of a camera, and alerts that say what no narration said.
    pub events: u64,
    /// When nobody looked.
    pub gaps: Vec<Gap>,
    /// Mean score of the narrations.
    pub score: f32,
}

/// Something to tell, with how often it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// When it first was, milliseconds since 1970.
    pub start_ms: u64,
    /// By which camera.
    pub camera: String,
    /// In which words.
    pub text: String,
    /// How often in its part.
    pub count: u64,
    /// The event.
    pub id: u64,
}

/// An event, as small as it can be: a day may have many thousands.
#[derive(Clone, Copy)]
struct Row {
    id: u64,
    start_ms: u64,
    end_ms: u64,
    score: f32,
    text: u32,
    kind: u16,
    camera: u16,
    severity: Severity,
    alert: bool,
    moved: bool,
}

/// Index of a name, which is added where it is new.
fn index(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// The digest of a time.
///
/// # Errors
/// The journal cannot be read.
pub fn digest(journal: &Journal, period: Period, camera: Option<&str>, gaps: Vec<Gap>) -> Result<Digest, JournalError> {
    let (mut kinds, mut cameras, mut texts): (Vec<String>, Vec<String>, Vec<String>) = Default::default();
    let mut rows: Vec<Row> = Vec::new();
    let query = Query { camera, since_ms: Some(period.start_ms), until_ms: Some(period.end_ms), ..Query::default() };
    journal.each(&query, false, &mut |event| {
        let alert = event.kind == EventKind::Alert;
        let moved = event.kind == EventKind::Camera;
        if alert || moved || event.kind == EventKind::Narration {
            // A condition of one's own is known by its text, and so is a movement.
            let kind = if alert { &event.text } else { event.about.as_ref().unwrap_or(&event.text) };
            rows.push(Row {
                id: event.id,
                start_ms: event.start_ms.unwrap_or(0),
                end_ms: timeline::end_ms(&event),
                score: event.score,
                text: index(&mut texts, &event.text) as u32,
                kind: index(&mut kinds, kind) as u16,
                camera: index(&mut cameras, &event.camera) as u16,
                severity: if moved { Severity::Info } else { event.severity },
                alert,
                moved,
            });
        }
        true
    })?;
    rows.sort_by_key(|row| (row.start_ms, row.id));
    let alerts: Vec<Row> = rows.extract_if(.., |row| row.alert).collect();
    // An alert that says what was narrated there and then is the same happening.
    let twice = |alert: &Row| {
        let from = rows.partition_point(|row| row.start_ms + SAME_MS < alert.start_ms);
        let near = rows[from..].iter().take_while(|row| row.start_ms <= alert.start_ms + SAME_MS);
        near.into_iter().any(|row| row.camera == alert.camera && row.text == alert.text)
    };
    let own: Vec<Row> = alerts.iter().filter(|alert| !twice(alert)).copied().collect();
    rows.extend(own);
    rows.sort_by_key(|row| (row.start_ms, row.id));
    let telling = |row: &Row, count: u64| Telling {
        start_ms: row.start_ms,
        camera: cameras[usize::from(row.camera)].clone(),
        text: texts[row.text as usize].clone(),
        count,
        id: row.id,
    };
    let parts = cut(&rows, kinds.len());
    let in_parts = |kind: u16| parts.iter().filter(|part| part.iter().any(|row| row.kind == kind)).count();
    let chapters = parts.iter().map(|part| chapter(part, parts.len(), &in_parts, &telling)).collect();
    let mut counts: Vec<(String, u64)> = kinds.iter().map(|kind| (kind.clone(), 0)).collect();
    let (mut score, mut narrations) = (0.0, 0u64);
    for row in rows.iter().filter(|row| !row.alert && !row.moved) {
        counts[usize::from(row.kind)].1 += 1;
        (score, narrations) = (score + f64::from(row.score), narrations + 1);
    }
    counts.push((EventKind::Camera.name().to_owned(), rows.iter().filter(|row| row.moved).count() as u64));
    counts.retain(|(_, count)| *count > 0);
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(Digest {
        period,
        chapters,
        kinds: counts,
        alerts: alerts.iter().map(|row| telling(row, 1)).collect(),
        events: rows.len() as u64,
        gaps,
        score: if narrations == 0 { 1.0 } else { (score / narrations as f64) as f32 },
    })
}

/// Where chapters end: at the longest pauses, and where what is told becomes other, if that makes no more of them than one reads.
fn cut(rows: &[Row], kinds: usize) -> Vec<&[Row]> {
    let mut pauses = Vec::new();
    let mut until = 0;
    for (at, row) in rows.iter().enumerate() {
        let pause_ms = row.start_ms.saturating_sub(until);
        if at > 0 && pause_ms >= PAUSE_MS {
            pauses.push((pause_ms, at));
        }
        until = until.max(row.end_ms);
    }
    pauses.sort_unstable_by(|a, b| b.cmp(a));
    pauses.truncate(MOST_CHAPTERS - 1);
    let mut ends: Vec<usize> = pauses.into_iter().map(|(_, at)| at).collect();
    ends.sort_unstable();
    let paused = parts(rows, &ends);
    let changed: Vec<&[Row]> = paused.iter().flat_map(|part| parts(part, &changes(part, kinds))).collect();
    if changed.len() <= MOST_CHAPTERS { changed } else { paused }
}

/// Events in parts, each of which begins at one of these places but the first.
fn parts<'a>(rows: &'a [Row], ends: &[usize]) -> Vec<&'a [Row]> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let ends = ends.iter().copied().chain([rows.len()]);
    starts.zip(ends).map(|(start, end)| &rows[start..end]).filter(|part| !part.is_empty()).collect()
}

/// Valleys of likeness that are deep enough, and far enough apart.
fn changes(rows: &[Row], kinds: usize) -> Vec<usize> {
    let unlike: Vec<f32> = (0..rows.len()).map(|at| unlike(rows, at, kinds)).collect();
    let (mut ends, mut start) = (Vec::new(), 0);
    for at in 0..rows.len() {
        let beside = &unlike[at.saturating_sub(BESIDE)..(at + BESIDE).min(rows.len())];
        let valley = unlike[at] >= UNLIKE && beside.iter().all(|other| *other <= unlike[at]);
        if valley && at >= start + BESIDE && rows[at].start_ms - rows[start].start_ms >= LEAST_MS {
            ends.push(at);
            start = at;
        }
    }
    ends
}

/// How unlike the kinds before and from this event on are: 1 less their cosine.
fn unlike(rows: &[Row], at: usize, kinds: usize) -> f32 {
    if at < BESIDE || at + BESIDE > rows.len() {
        return 0.0;
    }
    let (mut before, mut behind) = (vec![0.0f32; kinds], vec![0.0f32; kinds]);
    rows[at - BESIDE..at].iter().for_each(|row| before[usize::from(row.kind)] += 1.0);
    rows[at..at + BESIDE].iter().for_each(|row| behind[usize::from(row.kind)] += 1.0);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    1.0 - dot(&before, &behind) / (dot(&before, &before) * dot(&behind, &behind)).sqrt()
}

fn chapter(
    part: &[Row],
    parts: usize,
    in_parts: &dyn Fn(u16) -> usize,
    telling: &dyn Fn(&Row, u64) -> Telling,
) -> Chapter {
    let mut kinds: Vec<u16> = part.iter().map(|row| row.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut tellings: Vec<(f32, Telling)> = kinds
        .into_iter()
        .map(|kind| {
            let of = || part.iter().filter(|row| row.kind == kind);
            let (count, first) = (of().count() as u64, of().next().expect("a kind should have an event"));
            let severity = match first.severity {
                Severity::None => 0.2,
                Severity::Info => 1.0,
                Severity::Notice => 3.0,
                Severity::Alarm => 8.0,
            };
            let weight = severity * (1.0 + count as f32).ln() * (1.0 + parts as f32 / in_parts(kind) as f32).ln();
            (if first.alert { weight.max(8.0) } else { weight }, telling(first, count))
        })
        .collect();
    tellings.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.start_ms.cmp(&b.1.start_ms)));
    let mut named: Vec<&Telling> = tellings.iter().take(TITLE).map(|(_, telling)| telling).collect();
    named.sort_by_key(|telling| telling.start_ms);
    let plain = |telling: &&Telling| {
        let text = telling.text.trim_end_matches(['.', '!', '。']);
        if telling.count > 1 { format!("{text} ({}x)", telling.count) } else { text.to_owned() }
    };
    let (start_ms, end_ms) = (part[0].start_ms, part.iter().map(|row| row.end_ms).max().unwrap_or(0));
    Chapter {
        period: Period { start_ms, end_ms },
        title: named.iter().map(plain).collect::<Vec<_>>().join("; "),
        events: part.len() as u64,
        evidence: named.iter().map(|telling| telling.id).collect(),
        tellings,
    }
}

impl Digest {
    /// From its first event to its last.
    pub fn span(&self) -> Option<Period> {
        let (first, last) = (self.chapters.first()?, self.chapters.last()?);
        Some(Period { start_ms: first.period.start_ms, end_ms: last.period.end_ms })
    }

    /// So many sentences at most, shared out among the chapters, in order.
    pub fn tell(&self, budget: usize) -> Vec<Telling> {
        let weight = |chapter: &Chapter| chapter.tellings.iter().map(|(weight, _)| weight).sum::<f32>();
        let squares: Vec<f32> = self.chapters.iter().map(|chapter| weight(chapter).powi(2)).collect();
        let sum: f32 = squares.iter().sum();
        let room = |at: usize| self.chapters[at].tellings.len();
        let share = |at: usize| (budget as f32 * squares[at] / sum.max(f32::MIN_POSITIVE)) as usize;
        let mut shares: Vec<usize> = (0..squares.len()).map(|at| share(at).min(room(at))).collect();
        // What the cap and rounding leave goes to the heaviest that have more to tell, one by one.
        let mut order: Vec<usize> = (0..squares.len()).collect();
        order.sort_by(|a, b| squares[*b].total_cmp(&squares[*a]));
        let mut left = budget - shares.iter().sum::<usize>().min(budget);
        while left > 0 {
            let before = left;
            for &at in &order {
                if left > 0 && shares[at] < room(at) {
                    (shares[at], left) = (shares[at] + 1, left - 1);
                }
            }
            if left == before {
                break;
            }
        }
        let parts = self.chapters.iter().zip(shares);
        let mut told: Vec<Telling> = parts
            .flat_map(|(chapter, share)| chapter.tellings.iter().take(share).map(|(_, telling)| telling.clone()))
            .collect();
        told.sort_by_key(|telling| telling.start_ms);
        told
    }
}
