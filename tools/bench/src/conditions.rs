//! What standing conditions cost: many at once, of every sort, on pictures in which something happens.

use std::hint::black_box;
use std::time::Instant;

use ocelli_pipeline::{After, AlertBuf, AlertRule, AlertRules, Hold, Seen, Sight, WeekSpan, Zone};
use ocelli_types::{Content, EntryId, Micros, PatchGrid, PatchMask};
use serde_json::{Value, json};

/// Kinds of the pack `home`.
const KINDS: usize = 39;

/// Pictures of a round, five a second; of several rounds the fastest counts, for the machine has other work.
const PICTURES: u64 = 20_000;
const ROUNDS: usize = 7;

/// How many at once.
const COUNTS: [usize; 3] = [1, 32, 256];

/// A condition of each sort in turn: plain, absent, after another, in a zone, at times, all of them.
fn rule(number: usize) -> AlertRule {
    let kinds =
        |of: usize| vec![(number * 7 + of) % KINDS, (number * 11 + of + 3) % KINDS, (number * 5 + of + 9) % KINDS];
    let sort = number % 6;
    let after = After { kinds: kinds(1), unless: kinds(2), within_us: Some(Micros(60_000_000)) };
    let corners = vec![[0.1, 0.1], [0.6, 0.2], [0.5, 0.7], [0.1, 0.5]];
    let night = (0..7).map(|day| WeekSpan { from: day * 1440 + 1320, to: (day * 1440 + 1800) % 10_080 });
    AlertRule {
        kinds: kinds(0),
        absent: sort == 1,
        threshold: 0.25,
        after: (sort == 2 || sort == 5).then_some(after),
        hold: Hold::For(Micros(1_000_000 * (1 + number as u64 % 10))),
        cooldown_us: Micros(60_000_000),
        zone: (sort == 3 || sort == 5).then(|| Zone::new(corners)),
        times: if sort >= 4 { night.collect() } else { Vec::new() },
    }
}

/// Microseconds a picture with so many conditions.
fn picture_us(count: usize) -> f64 {
    let grid = PatchGrid::new(224, 14).expect("16 patches of 14 pixels");
    let changed = PatchMask::first(60);
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let mut rules = AlertRules::new((0..count).map(rule));
        let (mut kinds, mut alerts, mut told) = (vec![0.01f32; KINDS], AlertBuf::new(), 0);
        let start = Instant::now();
        for picture in 0..PICTURES {
            // Each kind has three seconds of its own.
            let now = (picture / 15) as usize % KINDS;
            kinds[(now + KINDS - 1) % KINDS] = 0.01;
            kinds[now] = 0.7;
            let seen = Seen { entry: EntryId(picture + 1), captured_us: Micros(picture * 200_000) };
            let minute = Some((picture / 300 % 10_080) as u16);
            alerts.clear();
            let sight = Sight { seen, kinds: &kinds, changed: &changed, grid, content: Content::whole(grid), minute };
            rules.judge(black_box(&sight), &mut alerts);
            told += alerts.len();
        }
        black_box(told);
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e6 / PICTURES as f64);
    }
    fastest
}

/// Measures, and gives `condition_cost_us`: what one of 32 costs a picture, and what all do for each count.
pub fn conditions() -> Value {
    let pictures: Vec<f64> = COUNTS.into_iter().map(picture_us).collect();
    let all: serde_json::Map<String, Value> =
        COUNTS.iter().zip(&pictures).map(|(count, us)| (count.to_string(), json!(us))).collect();
    json!({"condition_cost_us": pictures[1] / COUNTS[1] as f64, "picture_us_of_conditions": all})
}
