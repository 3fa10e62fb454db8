//! What the memory keeps: events found again after a day.

use anyhow::{Context as _, Result, ensure};
use ocelli_drivers::SystemClock;
use ocelli_infer::{InferError, Narrator, Pack, Stab};
use ocelli_pipeline::{
    Calibration, EventBuf, FeatureDrop, Lexicon, MemoryConfig, MemoryRing, Mind, PatchSlot, Selection, Speak,
    SpeakConfig, Tier,
};
use ocelli_types::{Encoder, EventKind, FrameSeq, FrameTokens, Head, Micros};
use serde_json::{Value, json};

use crate::Seen;
use crate::clip::token_gate;
use crate::drop::drop_text;

/// The rate of the simulated day.
const FRAME_US: u64 = 200_000;

/// How often the still room is looked at, and how often somebody comes.
const STILL_US: u64 = 1_000_000;
const ROUND_US: u64 = 600_000_000;

/// How far from its event a moment may lie that counts as found.
const NEAR_US: u64 = 5_000_000;

/// As the program sizes it.
pub fn config(pack: &Pack, drop: Option<FeatureDrop>) -> MemoryConfig {
    let part = &pack.manifest.narrator;
    let selection =
        Selection { slots: part.slots, frame_tokens: part.frame_tokens, max_age_frames: part.max_age_frames };
    let refresh_frames = pack.manifest.gate.refresh_frames;
    let config = MemoryConfig::new(pack.grid, pack.manifest.stab.token_width, selection, refresh_frames);
    let config = MemoryConfig { drop, ..config };
    MemoryConfig { tokens: config.least_tokens(), ..config }
}

/// A day of which most is a still room, with people in it now and then and three events planted 23, 6 and 1 hours before its
/// end (in proportion where it is shorter), and whether a question for the event's sentence finds each, with its time.
///
/// While somebody is there pictures come at the pack's rate; the still room is looked at once a second, to spare time: nothing
/// but the recent tier is shorter by it.
///
/// # Errors
/// A clip cannot be read, or a model fails.
pub fn needle(pack: &Pack, background: &[Vec<Seen>], event: &[Seen], kind: &str, hours: f64) -> Result<Value> {
    ensure!(!background.is_empty() && !event.is_empty(), "there should be clips");
    let end_us = (hours * 3600e6) as u64;
    let planted: Vec<u64> = [23, 6, 1].iter().map(|back| end_us - end_us / 24 * back).collect();
    let mut gate = token_gate(pack)?;
    let mut slot = PatchSlot::new(pack.grid);
    let (mut stab, mut narrator) = (Stab::load(pack)?, Narrator::load(pack)?);
    let mut memory = MemoryRing::new(config(pack, None))?;
    let width = pack.manifest.stab.token_width;
    let mut tokens = vec![0.0; pack.manifest.stab.tokens * width];
    let mut probabilities = vec![0.0; pack.vocabulary.len()];
    let (mut frames, mut at_us, mut hour) = (0, 0, 0);
    while at_us < end_us {
        if at_us / 3_600_000_000 >= hour {
            eprintln!("bench: hour {hour} of {hours:.0}");
            hour += 1;
        }
        let (seen, is_still) = scene(background, event, &planted, at_us);
        gate.select(&seen.pixels, seen.content, FrameSeq(frames), Micros(at_us), &mut slot);
        stab.encode(&slot.batch(), &mut FrameTokens { width, values: &mut tokens })?;
        memory.commit(&tokens, slot.batch().kept, Micros(at_us));
        let view = memory.view().context("a memory with a frame in it should have a view")?;
        narrator.describe(&view, &mut probabilities)?;
        memory.hear(&probabilities);
        frames += 1;
        at_us += if is_still { STILL_US } else { FRAME_US };
    }
    let kind = pack.vocabulary.kind_named(kind).context("no such kind")?;
    let mut moments = Vec::new();
    for (sentence, _) in (0..).zip(pack.vocabulary.senses()).filter(|(_, (of, _))| *of == kind) {
        moments.extend(memory.recall(sentence));
    }
    moments.sort_by(|a, b| b.peak.probability.total_cmp(&a.peak.probability));
    let length_us = event.len() as u64 * FRAME_US;
    let rows: Vec<Value> = planted
        .iter()
        .map(|start_us| {
            let near = start_us.saturating_sub(NEAR_US)..=start_us + length_us + NEAR_US;
            let rank = moments.iter().position(|moment| near.contains(&moment.peak.at_us.0));
            let moment = rank.map(|rank| moments[rank]);
            let tier = moment.map(|moment| match moment.tier {
                Tier::Open => "open",
                Tier::Segment => "segment",
                Tier::Abstract => "abstract",
            });
            json!({
                "hours_back": (end_us - start_us) as f64 / 3600e6, "found": moment.is_some(), "rank": rank.map(|rank| rank + 1),
                "tier": tier, "off_s": moment.map(|moment| moment.peak.at_us.0 as f64 / 1e6 - *start_us as f64 / 1e6),
                "probability": moment.map(|moment| moment.peak.probability),
            })
        })
        .collect();
    let report = memory.report();
    Ok(json!({
        "hours": hours, "frames": frames, "needles": rows, "moments": moments.len(), "segments": report.segments,
        "evicted_segments": report.evicted_segments, "centroids": report.centroids, "evicted_frames": report.evicted,
    }))
}

/// What the tiers recall of a clip, at the end of it: for each kind its moments, the most probable first; and what was told meanwhile.
///
/// # Errors
/// A model fails, or the pack is inconsistent.
pub fn recall(pack: &Pack, pictures: &[Seen]) -> Result<Value> {
    let (mut gate, mut slot) = (token_gate(pack)?, PatchSlot::new(pack.grid));
    let (mut stab, narrator) = (Stab::load(pack)?, Narrator::load(pack)?);
    let mut mind = Mind::new(narrator, MemoryRing::new(config(pack, None))?, lexicon(pack)?);
    let (mut tokens, mut events, clock) = (mind.slot(), EventBuf::new(), SystemClock::new());
    let mut told = Vec::new();
    for (frame, seen) in (0..).zip(pictures) {
        gate.select(&seen.pixels, seen.content, FrameSeq(frame), seen.captured_us, &mut slot);
        tokens.fill::<_, InferError>(&mut stab, &slot.batch(), &clock)?;
        mind.take::<InferError>(&tokens, &clock, &mut events)?;
        let narrations = events.iter().filter(|event| event.kind == EventKind::Narration);
        told.extend(narrations.map(|event| {
            let kind = pack.vocabulary.kind(pack.vocabulary.entry(event.entry as usize).kind);
            json!({"kind": kind, "start_s": event.start_us.seconds(), "end_s": event.end_us.seconds()})
        }));
    }
    let mut moments = Vec::new();
    for (sentence, entry) in (0..).zip(pack.vocabulary.entries()) {
        let kind = pack.vocabulary.kind(entry.kind);
        moments.extend(mind.memory().recall(sentence).iter().map(
            |moment| json!({"kind": kind, "at_s": moment.peak.at_us.seconds(), "probability": moment.peak.probability}),
        ));
    }
    Ok(json!({"moments": moments, "told": told}))
}

/// What can be said, as the program reads it.
pub fn lexicon(pack: &Pack) -> Result<Lexicon> {
    let part = &pack.manifest.speak;
    let speak = |threshold, hold_off_s| Speak { threshold, hold_off_us: Micros::from_seconds(hold_off_s) };
    let kinds: Vec<_> =
        part.kinds.iter().map(|(kind, own)| (kind.as_str(), speak(own.threshold, own.hold_off_s))).collect();
    let [who, things] = [&part.who, &part.things].map(|kinds| kinds.iter().map(String::as_str).collect::<Vec<_>>());
    let (default, calibration) = (speak(part.threshold, part.hold_off_s), Calibration::default());
    let config = SpeakConfig {
        smoothing: part.smoothing,
        default,
        kinds: &kinds,
        calibration,
        who: &who,
        things: &things,
        news: None,
    };
    let names = (0..pack.vocabulary.kinds()).map(|kind| pack.vocabulary.kind(kind));
    Ok(Lexicon::new(&config, names, pack.vocabulary.senses())?)
}

/// The picture of this time, and whether nobody is there: for one clip in each ten minutes somebody is; the rest of the time
/// the first picture of that clip stands.
fn scene<'a>(background: &'a [Vec<Seen>], event: &'a [Seen], planted: &[u64], at_us: u64) -> (&'a Seen, bool) {
    for start_us in planted {
        if let Some(seen) = at_us.checked_sub(*start_us).and_then(|since| event.get((since / FRAME_US) as usize)) {
            return (seen, false);
        }
    }
    let (round, within_us) = (at_us / ROUND_US, at_us % ROUND_US);
    let clip = &background[round as usize % background.len()];
    clip.get((within_us / FRAME_US) as usize).map_or((&clip[0], true), |seen| (seen, false))
}

/// What was found, for people, and the similarity at which `target_drop` of the tokens go.
pub fn table(found: &Value, target_drop: f64) -> String {
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap_or(f64::NAN);
    let mut text = drop_text(&found["drop"], target_drop);
    text += &format!(
        "{:<10} {:<6} {:>5} {:>7} {:>7} {:>7} {:>9} {:>9} {:>9} {:>8}\n",
        "KV cache", "bits", "page", "K", "V", "both", "error", "p99", "pooled", "tokens"
    );
    for row in found["kv"].as_array().map_or(&[][..], Vec::as_slice) {
        let error = &row["attention_error"];
        text += &format!(
            "{:<10} {:<6} {:>5} {:>7.3} {:>7.3} {:>7.3} {:>9.3} {:>9.3} {:>9.3} {:>7.1}x\n",
            row["on"].as_str().unwrap_or_default(),
            row["bits"].as_str().unwrap_or_default(),
            row["page"],
            number(row, "effective_bits_k"),
            number(row, "effective_bits_v"),
            number(row, "effective_bits"),
            number(error, "mean"),
            number(error, "p99"),
            number(error, "pooled"),
            number(row, "longer"),
        );
    }
    for needle in found["needle"]["needles"].as_array().map_or(&[][..], Vec::as_slice) {
        let back = number(needle, "hours_back");
        text += &if needle["found"] == true {
            format!(
                "event {back:.1} hours back: found by {}, rank {}, {:+.1} s from its start, probability {:.2}\n",
                needle["tier"].as_str().unwrap_or_default(),
                needle["rank"],
                number(needle, "off_s"),
                number(needle, "probability"),
            )
        } else {
            format!("event {back:.1} hours back: NOT FOUND\n")
        };
    }
    text
}
