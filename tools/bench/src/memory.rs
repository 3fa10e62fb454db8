//! What the memory keeps and loses: token drop against what the narrator says, and events found again after a day.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ocelli_drivers::SystemClock;
use ocelli_infer::{InferError, Narrator, Pack, Stab};
use ocelli_pipeline::{
    Calibration, DropReference, EventBuf, FeatureDrop, Lexicon, MemoryConfig, MemoryRing, Mind, PatchSlot, Selection,
    Speak, SpeakConfig, SpeakPolicy, Tier,
};
use ocelli_types::{Encoder, EntryId, EventKind, FrameSeq, FrameTokens, Head, Micros, PatchMask};
use serde_json::{Value, json};

use crate::clip::{token_gate, watch_late};
use crate::{Play, Seen, Shot, clips, gate, watch};

/// Thresholds of the curve, and of the ways beside it.
const COSINES: &[f32] = &[0.99, 0.985, 0.98, 0.97, 0.95, 0.92, 0.9, 0.85];
const FEWER: &[f32] = &[0.98, 0.95, 0.9, 0.85];

/// The rate of the simulated day.
const FRAME_US: u64 = 200_000;

/// How often the still room is looked at, and how often somebody comes.
const STILL_US: u64 = 1_000_000;
const ROUND_US: u64 = 600_000_000;

/// Half of the time between two pictures: by so much another camera may be late.
const LATE_US: Micros = Micros(FRAME_US / 2);

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
    /// Frames on which what was told last is of the same kind.
    same_told: u64,
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

    /// Counts a clip of which nothing is dropped.
    fn keep_all(&mut self, windows: u64, frames: usize) {
        self.offered += windows * frames as u64;
        self.kept += windows * frames as u64;
        self.first += windows;
    }

    /// Adds how far `found` agrees with the run without drop, and with the gate alone.
    fn compare(&mut self, pack: &Pack, found: &Answers, wanted: &Answers, usual: &Answers) {
        let kinds: Vec<usize> = pack.vocabulary.senses().map(|(kind, _)| kind).collect();
        let kind_of = |probabilities: &[f32]| {
            let mut by_kind = vec![0.0; pack.vocabulary.kinds()];
            kinds.iter().zip(probabilities).for_each(|(kind, probability)| by_kind[*kind] += probability);
            largest(&by_kind)
        };
        self.frames += found.said.len() as u64;
        self.same_told += found.told.iter().zip(&wanted.told).filter(|(a, b)| a == b).count() as u64;
        for ((found, wanted), usual) in found.said.iter().zip(&wanted.said).zip(&usual.said) {
            self.same_as_gated += u64::from(kind_of(found) == kind_of(usual));
            self.same_sentence += u64::from(largest(found) == largest(wanted));
            self.same_kind += u64::from(kind_of(found) == kind_of(wanted));
            let off: f32 = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).sum();
            self.variation += f64::from(off) / 2.0;
        }
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
            "agreement_told": Self::share(self.same_told, self.frames),
            "total_variation": self.variation / self.frames.max(1) as f64, "frames": self.frames,
        })
    }
}

/// What a run says of each frame.
struct Answers {
    /// Probabilities of the sentences.
    said: Vec<Vec<f32>>,
    /// The kind of what was told last.
    told: Vec<Option<usize>>,
}

impl Answers {
    fn picked(&self, frames: &[usize]) -> Self {
        let said = frames.iter().map(|frame| self.said[*frame].clone()).collect();
        Self { said, told: frames.iter().map(|frame| self.told[*frame]).collect() }
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

    /// Probabilities on each frame, and how many tokens of windows that show the picture were kept.
    fn narrate(
        &mut self,
        play: &Play,
        tokens: &[Vec<f32>],
        shown: &PatchMask,
        drop: Option<FeatureDrop>,
    ) -> Result<(Vec<Vec<f32>>, u64)> {
        let mut memory = MemoryRing::new(config(self.pack, drop))?;
        let mut said = Vec::with_capacity(tokens.len());
        let mut kept = 0;
        for (shot, tokens) in play.shots.iter().zip(tokens) {
            memory.commit(tokens, &shot.kept, shot.captured_us);
            kept += memory.newest_windows().filter(|window| shown.contains(*window)).count() as u64;
            let mut probabilities = vec![0.0; self.pack.vocabulary.len()];
            let view = memory.view().context("a memory with a frame in it should have a view")?;
            self.narrator.describe(&view, &mut probabilities)?;
            said.push(probabilities);
        }
        Ok((said, kept))
    }

    /// The kind of what was told last, on each frame.
    fn told(&self, play: &Play, said: &[Vec<f32>]) -> Result<Vec<Option<usize>>> {
        let mut policy = SpeakPolicy::new(lexicon(self.pack)?);
        let (mut events, mut last) = (EventBuf::new(), None);
        let frames = (1..).zip(play.shots.iter().zip(said)).map(|(id, (shot, probabilities))| {
            let seen = ocelli_pipeline::Seen { entry: EntryId(id), captured_us: shot.captured_us };
            events.clear();
            policy.hear(probabilities, seen, |a, b| self.narrator.likeness(a, b), &mut events);
            let told = events.iter().rfind(|event| event.kind == EventKind::Narration);
            last = told.map(|event| self.pack.vocabulary.entry(event.entry as usize).kind).or(last);
            last
        });
        Ok(frames.collect())
    }
}

fn largest(values: &[f32]) -> Option<usize> {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]))
}

/// The curves: pixel drop alone, feature drop alone, and both, against a run that keeps every token; of people close by and in a
/// laboratory, in clips of seconds, and of cameras that see the same for longer.
///
/// # Errors
/// A clip cannot be read, or a model fails.
pub fn drop_curve(pack: &Pack, data: Option<&Path>, demo: &Path, quick: bool) -> Result<Value> {
    let Some(data) = data else {
        return curve(pack, "demonstration", &[demo.to_path_buf()]).map(|curve| json!([curve]));
    };
    let (mut close, mut labs) = (clips(&data.join("gmdcsa24"))?, clips(&data.join("assist-iot"))?);
    let mut cameras = clips(&data.join("intel-samples"))?;
    // The others of that folder are hands that fill the picture for two seconds.
    cameras.retain(|path| !path.components().any(|part| part.as_os_str() == "asl_gestures"));
    if quick {
        for paths in [&mut close, &mut labs, &mut cameras] {
            paths.truncate(1);
        }
    }
    Ok(json!([
        curve(pack, "people close by (GMDCSA24)", &close)?,
        curve(pack, "people (ASSIST-IoT)", &labs)?,
        curve(pack, "cameras that stand still (Intel samples)", &cameras)?,
    ]))
}

/// Every way to drop, over the clips of one set.
fn curve(pack: &Pack, set: &str, paths: &[PathBuf]) -> Result<Value> {
    let mut ways: Vec<(&str, bool, Option<FeatureDrop>)> = vec![("pixels", true, None)];
    for (name, gated, reference, cosines) in [
        ("features, previous", false, DropReference::Previous, FEWER),
        ("features, last kept", false, DropReference::LastKept, FEWER),
        ("features, both", false, DropReference::Both, FEWER),
        ("features, any kept", false, DropReference::AnyKept, COSINES),
        ("pixels and features, last kept", true, DropReference::LastKept, FEWER),
        ("pixels and features, any kept", true, DropReference::AnyKept, FEWER),
    ] {
        ways.extend(cosines.iter().map(|cosine| (name, gated, Some(FeatureDrop { reference, cosine: *cosine }))));
    }
    let (mut noisy, mut late) = (Dropped::default(), Dropped::default());
    let mut sums = vec![Dropped::default(); ways.len()];
    let mut models = Models { pack, stab: Stab::load(pack)?, narrator: Narrator::load(pack)? };
    for (done, path) in (1..).zip(paths) {
        eprintln!("bench: {set}, {done} of {}: {}", paths.len(), path.file_name().unwrap_or_default().display());
        let pictures = match watch(pack, path) {
            Ok(pictures) => pictures,
            Err(error) => {
                eprintln!("bench: left out: {error:#}");
                continue;
            }
        };
        let shown = shown(pack, &pictures[0]);
        let gated = gate(pack, "", &pictures)?;
        let whole = undropped(&gated, &pictures);
        let (gated_tokens, whole_tokens) = (models.encode(&gated)?, models.encode(&whole)?);
        let mut answers = |play: &Play, tokens: &[Vec<f32>], drop| -> Result<(Answers, u64)> {
            let (said, kept) = models.narrate(play, tokens, &shown, drop)?;
            Ok((Answers { told: models.told(play, &said)?, said }, kept))
        };
        let (wanted, _) = answers(&whole, &whole_tokens, None)?;
        let (usual, _) = answers(&gated, &gated_tokens, None)?;
        let windows = shown.count() as u64;
        for (sum, (_, is_gated, drop)) in sums.iter_mut().zip(&ways) {
            let (play, tokens) = if *is_gated { (&gated, &gated_tokens) } else { (&whole, &whole_tokens) };
            let (found, kept) = answers(play, tokens, *drop)?;
            sum.offered += windows * found.said.len() as u64;
            sum.kept += kept;
            sum.first += windows;
            sum.compare(pack, &found, &wanted, &usual);
        }
        for (sum, pictures) in [(&mut noisy, with_noise(&pictures)), (&mut late, watch_late(pack, path, LATE_US)?)] {
            let play = undropped(&gated, &pictures);
            let tokens = models.encode(&play)?;
            let (said, _) = models.narrate(&play, &tokens, &shown, None)?;
            let found = Answers { told: models.told(&play, &said)?, said };
            // Of the other pictures the one next in time.
            let next_to = |at_us: Micros| {
                (0..play.shots.len()).min_by_key(|index| play.shots[*index].captured_us.0.abs_diff(at_us.0))
            };
            let nearest: Vec<usize> = whole.shots.iter().filter_map(|shot| next_to(shot.captured_us)).collect();
            sum.keep_all(windows, nearest.len());
            sum.compare(pack, &found.picked(&nearest), &wanted, &usual);
        }
    }
    let rows = sums.iter().zip(&ways).map(|(sum, (name, _, drop))| sum.row(name, drop.map(|drop| drop.cosine)));
    let undropped = [("undropped, noise of one grey level", noisy), ("undropped, 0.1 s later", late)];
    let rows = undropped.iter().map(|(name, sum)| sum.row(name, None)).chain(rows);
    Ok(json!({ "set": set, "clips": paths.len(), "rows": rows.collect::<Vec<_>>() }))
}

/// The same pictures with each byte one more, one less or as it was.
fn with_noise(pictures: &[Seen]) -> Vec<Seen> {
    let mut pictures = pictures.to_vec();
    let mut state = 0x1234_5678_u32;
    for byte in pictures.iter_mut().flat_map(|seen| &mut seen.pixels) {
        // Xorshift (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = byte.saturating_add_signed((state % 3) as i8 - 1);
    }
    pictures
}

/// Windows of which a patch shows the picture.
fn shown(pack: &Pack, seen: &Seen) -> PatchMask {
    let mut windows = PatchMask::empty();
    (0..pack.grid.patches())
        .filter(|patch| seen.content.contains(pack.grid, *patch))
        .for_each(|patch| windows.insert(pack.grid.window_of(patch)));
    windows
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
    let mut text = String::new();
    for curve in found["drop"].as_array().map_or(&[][..], Vec::as_slice) {
        text += &drop_table(curve, target_drop);
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

/// One set's curve.
fn drop_table(curve: &Value, target_drop: f64) -> String {
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap_or(f64::NAN);
    let mut text = format!(
        "{:<35} {:>7} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10}\n",
        format!("token drop, {} clips: {}", curve["clips"], curve["set"].as_str().unwrap_or_default()),
        "cosine",
        "dropped",
        "running",
        "same kind",
        "same text",
        "same told",
        "as gated"
    );
    let rows = curve["rows"].as_array().map_or(&[][..], Vec::as_slice);
    for row in rows {
        let percent = |key: &str| format!("{:.1}%", 100.0 * number(row, key));
        text += &format!(
            "{:<35} {:>7} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10}\n",
            row["mode"].as_str().unwrap_or_default(),
            row["cosine"].as_f64().map_or_else(String::new, |cosine| format!("{cosine:.3}")),
            percent("drop_ratio"),
            percent("running_drop_ratio"),
            percent("agreement"),
            percent("agreement_sentence"),
            percent("agreement_told"),
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
