//! What the memory keeps and loses: token drop against what the narrator says, and events found again after a day.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use ocelli_drivers::SystemClock;
use ocelli_infer::{InferError, Narrator, Pack, Stab};
use ocelli_pipeline::{
    Calibration, DropReference, EventBuf, FeatureDrop, Lexicon, MemoryConfig, MemoryRing, Mind, PatchSlot, Selection,
    Speak, SpeakConfig, Tier,
};
use ocelli_types::{Encoder, EventKind, FrameSeq, FrameTokens, Head, Micros, PatchMask};
use serde_json::{Value, json};

use crate::clip::token_gate;
use crate::{Play, Seen, Shot, clips, gate, watch};

/// Thresholds of the curve, from no drop at all.
const COSINES: [f32; 9] = [1.0, 0.99, 0.98, 0.97, 0.95, 0.92, 0.9, 0.85, 0.8];

/// The rate of the simulated day.
const FRAME_US: u64 = 200_000;

/// How often the still room is looked at, and how often somebody comes.
const STILL_US: u64 = 1_000_000;
const ROUND_US: u64 = 600_000_000;

/// How far from its event a moment may lie that counts as found.
const NEAR_US: u64 = 5_000_000;

/// One way to drop, over all clips.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dropped {
    /// Tokens of windows that show the picture.
    offered: u64,
    /// Of these, those that were kept.
    kept: u64,
    /// Of both, those of each clip's first picture, which is kept whole.
    first: u64,
    frames: u64,
    /// Frames on which the most probable sentence is that of the run without drop.
    same_sentence: u64,
    /// Frames on which the most probable kind is.
    same_kind: u64,
    /// Frames on which the most probable kind is that of the run with the gate alone.
    same_as_gated: u64,
    /// Sum of half the absolute differences of probabilities.
    variation: f64,
}

impl Dropped {
    fn share(part: u64, of: u64) -> f64 {
        part as f64 / of.max(1) as f64
    }

    /// Share of the tokens that are not remembered.
    pub fn drop_ratio(&self) -> f64 {
        1.0 - Self::share(self.kept, self.offered)
    }

    /// The same in a stream that goes on: a camera has one first picture, these clips have one every few seconds.
    pub fn running_drop_ratio(&self) -> f64 {
        1.0 - Self::share(self.kept - self.first, self.offered - self.first)
    }

    /// Share of the frames with the same kind of sentence.
    pub fn agreement(&self) -> f64 {
        Self::share(self.same_kind, self.frames)
    }

    fn row(&self, mode: &str, cosine: Option<f32>) -> Value {
        json!({
            "mode": mode, "cosine": cosine, "drop_ratio": self.drop_ratio(),
            "running_drop_ratio": self.running_drop_ratio(), "agreement": self.agreement(),
            "agreement_sentence": Self::share(self.same_sentence, self.frames),
            "agreement_with_gate": Self::share(self.same_as_gated, self.frames),
            "total_variation": self.variation / self.frames.max(1) as f64, "frames": self.frames,
        })
    }
}

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

/// All pictures whole and all tokens kept.
fn undropped(play: &Play, pictures: &[Seen]) -> Play {
    let all = PatchMask::first(play.grid.patches());
    let shots = pictures.iter().map(|seen| Shot {
        sent: all,
        kept: all,
        patches: seen.pixels.clone(),
        captured_us: seen.captured_us,
    });
    Play { name: play.name.clone(), grid: play.grid, shots: shots.collect() }
}

/// STAB and narrator of a pack.
struct Models<'a> {
    pack: &'a Pack,
    stab: Stab,
    narrator: Narrator,
}

impl Models<'_> {
    /// Tokens of each frame, `[1 + windows][token_width]`.
    fn encode(&mut self, play: &Play) -> Result<Vec<Vec<f32>>> {
        let (rows, width) = (self.pack.manifest.stab.tokens, self.pack.manifest.stab.token_width);
        self.stab.reset()?;
        play.batches()
            .map(|batch| {
                let mut values = vec![0.0; rows * width];
                self.stab.encode(&batch, &mut FrameTokens { width, values: &mut values })?;
                Ok(values)
            })
            .collect()
    }

    /// Probabilities on each frame, and the tokens of windows kept.
    fn narrate(&mut self, play: &Play, tokens: &[Vec<f32>], drop: Option<FeatureDrop>) -> Result<(Vec<Vec<f32>>, u64)> {
        let mut memory = MemoryRing::new(config(self.pack, drop))?;
        let mut said = Vec::with_capacity(tokens.len());
        for (shot, tokens) in play.shots.iter().zip(tokens) {
            memory.commit(tokens, &shot.kept, shot.captured_us);
            let mut probabilities = vec![0.0; self.pack.vocabulary.len()];
            let view = memory.view().context("a memory with a frame in it should have a view")?;
            self.narrator.describe(&view, &mut probabilities)?;
            said.push(probabilities);
        }
        let report = memory.report();
        Ok((said, report.offered - report.dropped))
    }
}

fn largest(values: &[f32]) -> Option<usize> {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]))
}

/// The curve: pixel drop alone, feature drop alone, and both, against a run that keeps every token.
///
/// # Errors
/// A clip cannot be read, or a model fails.
pub fn drop_curve(pack: &Pack, data: Option<&Path>, demo: &Path, quick: bool) -> Result<Value> {
    let mut paths = match data {
        Some(data) => [clips(&data.join("gmdcsa24"))?, clips(&data.join("assist-iot"))?].concat(),
        None => vec![demo.to_path_buf()],
    };
    if quick {
        let step = paths.len().div_ceil(3).max(1);
        paths = paths.into_iter().step_by(step).collect();
    }
    let mut ways: Vec<(&str, bool, Option<FeatureDrop>)> = vec![("pixels", true, None)];
    for (name, gated, reference) in [
        ("features, previous", false, DropReference::Previous),
        ("features, last kept", false, DropReference::LastKept),
        ("features, both", false, DropReference::Both),
        ("pixels and features, last kept", true, DropReference::LastKept),
        ("pixels and features, both", true, DropReference::Both),
    ] {
        ways.extend(
            COSINES.iter().skip(1).map(|cosine| (name, gated, Some(FeatureDrop { reference, cosine: *cosine }))),
        );
    }
    let mut sums = vec![Dropped::default(); ways.len()];
    let mut models = Models { pack, stab: Stab::load(pack)?, narrator: Narrator::load(pack)? };
    let kinds: Vec<usize> = pack.vocabulary.senses().map(|(kind, _)| kind).collect();
    let kind_of = |probabilities: &[f32]| {
        let mut by_kind = vec![0.0; pack.vocabulary.kinds()];
        kinds.iter().zip(probabilities).for_each(|(kind, probability)| by_kind[*kind] += probability);
        largest(&by_kind)
    };
    for (done, path) in (1..).zip(&paths) {
        eprintln!("bench: {done} of {}: {}", paths.len(), path.file_name().unwrap_or_default().display());
        let pictures = match watch(pack, path) {
            Ok(pictures) => pictures,
            Err(error) => {
                eprintln!("bench: left out: {error:#}");
                continue;
            }
        };
        let gated = gate(pack, "", &pictures)?;
        let whole = undropped(&gated, &pictures);
        let (gated_tokens, whole_tokens) = (models.encode(&gated)?, models.encode(&whole)?);
        let (wanted, _) = models.narrate(&whole, &whole_tokens, None)?;
        let (usual, _) = models.narrate(&gated, &gated_tokens, None)?;
        for (sum, (_, is_gated, drop)) in sums.iter_mut().zip(&ways) {
            let (play, tokens) = if *is_gated { (&gated, &gated_tokens) } else { (&whole, &whole_tokens) };
            let (found, kept) = models.narrate(play, tokens, *drop)?;
            // Of the letter-box nothing is kept but the first picture and the refresh; that is no merit.
            let windows: u64 = pictures.iter().map(|seen| content_windows(pack, seen)).sum();
            sum.offered += windows;
            sum.kept += kept.min(windows);
            sum.first += pictures.first().map_or(0, |seen| content_windows(pack, seen)).min(kept);
            sum.frames += found.len() as u64;
            for ((found, wanted), usual) in found.iter().zip(&wanted).zip(&usual) {
                sum.same_as_gated += u64::from(kind_of(found) == kind_of(usual));
                sum.same_sentence += u64::from(largest(found) == largest(wanted));
                sum.same_kind += u64::from(kind_of(found) == kind_of(wanted));
                let off: f32 = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).sum();
                sum.variation += f64::from(off) / 2.0;
            }
        }
    }
    let rows = sums.iter().zip(&ways).map(|(sum, (name, _, drop))| sum.row(name, drop.map(|drop| drop.cosine)));
    Ok(json!({ "clips": paths.len(), "rows": rows.collect::<Vec<_>>() }))
}

/// Windows of which a patch shows the picture.
fn content_windows(pack: &Pack, seen: &Seen) -> u64 {
    let mut windows = PatchMask::empty();
    (0..pack.grid.patches())
        .filter(|patch| seen.content.contains(pack.grid, *patch))
        .for_each(|patch| windows.insert(pack.grid.window_of(patch)));
    windows.count() as u64
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
fn lexicon(pack: &Pack) -> Result<Lexicon> {
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
    let mut text = format!(
        "{:<32} {:>7} {:>8} {:>8} {:>10} {:>10} {:>10}\n",
        "token drop", "cosine", "dropped", "running", "same kind", "same text", "as gated"
    );
    let rows = found["drop"]["rows"].as_array().map_or(&[][..], Vec::as_slice);
    for row in rows {
        let percent = |key: &str| format!("{:.1}%", 100.0 * number(row, key));
        text += &format!(
            "{:<32} {:>7} {:>8} {:>8} {:>10} {:>10} {:>10}\n",
            row["mode"].as_str().unwrap_or_default(),
            row["cosine"].as_f64().map_or_else(String::new, |cosine| format!("{cosine:.2}")),
            percent("drop_ratio"),
            percent("running_drop_ratio"),
            percent("agreement"),
            percent("agreement_sentence"),
            percent("agreement_with_gate"),
        );
    }
    let mut modes: Vec<&str> =
        rows.iter().filter(|row| row["cosine"].is_number()).filter_map(|row| row["mode"].as_str()).collect();
    modes.dedup();
    for mode in modes {
        let points: Vec<(f64, f64)> = rows
            .iter()
            .filter(|row| row["mode"] == *mode)
            .map(|row| (number(row, "drop_ratio"), number(row, "cosine")))
            .collect();
        text += &match at(&points, target_drop) {
            Some(cosine) => format!("{mode}: {:.1}% dropped at cosine {cosine:.3}\n", 100.0 * target_drop),
            None => format!("{mode}: {:.1}% dropped at no cosine of the curve\n", 100.0 * target_drop),
        };
    }
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

/// The cosine at which a curve of `(drop ratio, cosine)` crosses a ratio, on a straight line between its points.
fn at(points: &[(f64, f64)], ratio: f64) -> Option<f64> {
    points.windows(2).find_map(|pair| {
        let ((a, from), (b, to)) = (pair[0], pair[1]);
        ((a.min(b)..=a.max(b)).contains(&ratio))
            .then(|| if (b - a).abs() < 1e-12 { from } else { from + (to - from) * (ratio - a) / (b - a) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_found_between_the_points_of_the_curve() {
        let curve = [(0.5, 0.99), (0.7, 0.95), (0.9, 0.8)];
        assert!((at(&curve, 0.6).expect("on the first line") - 0.97).abs() < 1e-9);
        assert!((at(&curve, 0.8).expect("on the second") - 0.875).abs() < 1e-9);
        assert_eq!(at(&curve, 0.95), None);
    }
}
