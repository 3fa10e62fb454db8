//! Token drop against what the narrator says: how much is dropped, and how much of what is said stays the same.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::Add;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ocelli_infer::{Narrator, Pack, Stab};
use ocelli_pipeline::{DropReference, EventBuf, FeatureDrop, MemoryRing, SpeakPolicy};
use ocelli_types::{Encoder, EntryId, EventKind, FrameTokens, Head, Micros, PatchMask};
use serde_json::{Value, json};

use crate::clip::watch_late;
use crate::memory::{config, lexicon};
use crate::{Play, Seen, Shot, clips, gate, watch};

/// Thresholds of the curve, and of the ways beside it. By the last all goes that comes after the first picture, for as long as that is held:
/// what the newest picture says by itself.
const COSINES: &[f32] =
    &[0.99, 0.985, 0.98, 0.975, 0.97, 0.965, 0.96, 0.95, 0.94, 0.93, 0.92, 0.915, 0.91, 0.9, 0.88, 0.85, -1.0];

const FEWER: &[f32] = &[0.98, 0.95, 0.9, 0.85];

/// Half of the time between two pictures: by so much another camera may be late.
const LATE_US: Micros = Micros(100_000);

/// What somebody does, of which an answer names one: the classes of `eval home`. Who lies still lies.
const FIVE: [&str; 5] = ["stand", "walk", "sit", "lie", "fall"];

const LIES_STILL: &str = "lie_still";

/// An answer is asked for so often, as in `eval home`; there only where a label says that somebody does one of the five, here always.
const ANSWER_US: u64 = 500_000;

/// The share of answers that must be those of the run without drop. TimeChat-Online keeps so much of its benchmark's score at 82.8% dropped
/// (abstract), which is less strict: an answer may change and be as right.
const SAME_ANSWERS: f64 = 0.98;

/// The way of which the similarity is chosen on some clips and judged on others.
const CHOSEN_WAY: &str = "features, any kept";

/// Draws of the bootstrap, of which the middle 95% are an interval.
const DRAWS: usize = 10_000;

/// One way to drop, over some clips.
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
    /// Answers, one each half second.
    answers: u64,
    /// Of these, those that are the same.
    same_answers: u64,
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
        let asked = || found.halves.iter().zip(&wanted.halves).filter(|(_, wanted)| wanted.is_some());
        self.answers += asked().count() as u64;
        self.same_answers += asked().filter(|(found, wanted)| found == wanted).count() as u64;
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

    /// Share of the half seconds with the same answer.
    pub fn agreement_answers(&self) -> f64 {
        Self::share(self.same_answers, self.answers)
    }

    fn row(&self, mode: &str, cosine: Option<f32>) -> Value {
        json!({
            "mode": mode, "cosine": cosine, "drop_ratio": self.drop_ratio(),
            "running_drop_ratio": self.running_drop_ratio(), "agreement": self.agreement(),
            "agreement_sentence": Self::share(self.same_sentence, self.frames),
            "agreement_with_gate": Self::share(self.same_as_gated, self.frames),
            "agreement_told": Self::share(self.same_told, self.frames),
            "agreement_answers": self.agreement_answers(), "answers": self.answers,
            "total_variation": self.variation / self.frames.max(1) as f64, "frames": self.frames,
        })
    }
}

impl Add for Dropped {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            offered: self.offered + other.offered,
            kept: self.kept + other.kept,
            first: self.first + other.first,
            frames: self.frames + other.frames,
            same_sentence: self.same_sentence + other.same_sentence,
            same_kind: self.same_kind + other.same_kind,
            same_as_gated: self.same_as_gated + other.same_as_gated,
            same_told: self.same_told + other.same_told,
            answers: self.answers + other.answers,
            same_answers: self.same_answers + other.same_answers,
            variation: self.variation + other.variation,
        }
    }
}

impl Sum for Dropped {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// What a run says of a clip.
struct Answers {
    /// Of each frame: probabilities of the sentences.
    said: Vec<Vec<f32>>,
    /// Of each frame: the kind of what was told last.
    told: Vec<Option<usize>>,
    /// Of each half second: the most probable of the five.
    halves: Vec<Option<usize>>,
}

impl Answers {
    fn picked(&self, pack: &Pack, frames: &[usize], times: &[Micros]) -> Self {
        let said: Vec<_> = frames.iter().map(|frame| self.said[*frame].clone()).collect();
        let halves = answers(pack, times, &said);
        Self { told: frames.iter().map(|frame| self.told[*frame]).collect(), said, halves }
    }
}

/// What somebody does in each half second of a clip, of [`FIVE`]: the most probable by the mean of what the speak policy hears, which are
/// smoothed probabilities. A half second without a frame has no answer.
fn answers(pack: &Pack, times: &[Micros], said: &[Vec<f32>]) -> Vec<Option<usize>> {
    let of_kind =
        |name: &str| FIVE.iter().position(|of_five| *of_five == if name == LIES_STILL { "lie" } else { name });
    let senses: Vec<Option<usize>> =
        pack.vocabulary.senses().map(|(kind, _)| of_kind(&pack.vocabulary.kind(kind))).collect();
    let (past, start) = (pack.manifest.speak.smoothing, times.first().map_or(0, |first| first.0));
    let mut smooth: Option<[f32; FIVE.len()]> = None;
    let mut halves: Vec<[f32; FIVE.len()]> = Vec::new();
    for (at, probabilities) in times.iter().zip(said) {
        let mut now = [0.0; FIVE.len()];
        senses
            .iter()
            .zip(probabilities)
            .filter_map(|(of_five, p)| Some(((*of_five)?, p)))
            .for_each(|(of_five, p)| now[of_five] += p);
        let before = smooth.unwrap_or(now);
        let heard = std::array::from_fn(|n| past * before[n] + (1.0 - past) * now[n]);
        smooth = Some(heard);
        let half = ((at.0 - start) / ANSWER_US) as usize;
        halves.resize(halves.len().max(half + 1), [0.0; FIVE.len()]);
        halves[half].iter_mut().zip(heard).for_each(|(sum, p)| *sum += p);
    }
    halves.iter().map(|sums| largest(sums).filter(|most| sums[*most] > 0.0)).collect()
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

    /// What a run says, and how many tokens of windows that show the picture it kept.
    fn answer(
        &mut self,
        play: &Play,
        tokens: &[Vec<f32>],
        shown: &PatchMask,
        drop: Option<FeatureDrop>,
    ) -> Result<(Answers, u64)> {
        let (said, kept) = self.narrate(play, tokens, shown, drop)?;
        Ok((Answers { told: self.told(play, &said)?, halves: answers(self.pack, &times(play), &said), said }, kept))
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

/// A way to drop: its name, whether the gate is before it, and what is dropped of features.
type Way = (&'static str, bool, Option<FeatureDrop>);

/// A clip in all ways.
struct Compared {
    /// Who or what was filmed where: what is chosen on other places was chosen without this one.
    place: String,
    /// As `ways()` has them, then [`UNDROPPED`].
    sums: Vec<Dropped>,
}

/// What is compared beside the ways to drop: by so much answers differ though nothing is dropped.
const UNDROPPED: [&str; 2] = ["undropped, noise of one grey level", "undropped, 0.1 s later"];

fn ways() -> Vec<Way> {
    let mut ways: Vec<Way> = vec![("pixels", true, None)];
    for (name, gated, reference, cosines) in [
        ("features, previous", false, DropReference::Previous, FEWER),
        ("features, last kept", false, DropReference::LastKept, FEWER),
        ("features, both", false, DropReference::Both, FEWER),
        (CHOSEN_WAY, false, DropReference::AnyKept, COSINES),
        ("pixels and features, last kept", true, DropReference::LastKept, FEWER),
        ("pixels and features, any kept", true, DropReference::AnyKept, FEWER),
    ] {
        ways.extend(cosines.iter().map(|cosine| (name, gated, Some(FeatureDrop { reference, cosine: *cosine }))));
    }
    ways
}

/// The curves: pixel drop alone, feature drop alone, and both, against a run that keeps every token; of people close by and in a
/// laboratory, in clips of seconds, of cameras that see the same for longer, and of all of them. And what a similarity comes to that was
/// chosen on other places: `{"curves": [{"set","clips","rows"}], "chosen": [...]}`, first for `target_drop`.
///
/// # Errors
/// A clip cannot be read, or a model fails.
pub fn drop_curve(pack: &Pack, data: Option<&Path>, demo: &Path, quick: bool, target_drop: f64) -> Result<Value> {
    let ways = ways();
    let Some(data) = data else {
        let clips = compare(pack, "demonstration", &[demo.to_path_buf()], &ways, |_| "demonstration".into())?;
        return Ok(json!({ "curves": [curve("demonstration", &clips, &ways)], "chosen": [] }));
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
    // A person at home, a laboratory, a camera.
    let name = |path: Option<&Path>| path.and_then(Path::file_stem).unwrap_or_default().to_string_lossy().into_owned();
    let person = |path: &Path| name(path.ancestors().nth(2));
    let camera = |path: &Path| name(Some(path));
    let mut clips = Vec::new();
    let mut curves = Vec::new();
    for (set, paths, place) in [
        ("people close by (GMDCSA24)", &close, &person as &dyn Fn(&Path) -> String),
        ("people (ASSIST-IoT)", &labs, &|_| "laboratory".into()),
        ("cameras that stand still (Intel samples)", &cameras, &camera),
    ] {
        let compared = compare(pack, set, paths, &ways, place)?;
        curves.push(curve(set, &compared, &ways));
        clips.extend(compared);
    }
    curves.push(curve("all of these", &clips, &ways));
    let chosen = [Goal::Dropped(target_drop), Goal::Same(SAME_ANSWERS)].map(|goal| chosen(&clips, &ways, goal));
    Ok(json!({ "curves": curves, "chosen": chosen }))
}

/// What each way comes to over these clips.
fn curve(set: &str, clips: &[Compared], ways: &[Way]) -> Value {
    let sum = |way: usize| clips.iter().map(|clip| clip.sums[way]).sum::<Dropped>();
    let undropped = (ways.len()..).zip(UNDROPPED).map(|(at, name)| sum(at).row(name, None));
    let dropped = ways.iter().enumerate().map(|(at, (name, _, drop))| sum(at).row(name, drop.map(|drop| drop.cosine)));
    json!({ "set": set, "clips": clips.len(), "rows": undropped.chain(dropped).collect::<Vec<_>>() })
}

/// What a similarity is chosen for: the most careful one by which so much is dropped, or the one by which most is with so many answers the
/// same.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Dropped(f64),
    Same(f64),
}

impl Goal {
    /// Of similarities and what each comes to, the most careful first; if none reaches the goal, the one that comes nearest to it.
    fn choose(self, mut found: impl DoubleEndedIterator<Item = (Choice, Dropped)> + Clone) -> Option<Choice> {
        let nearest = match self {
            Self::Dropped(_) => found.clone().next_back(),
            Self::Same(_) => found.clone().next(),
        };
        let reached = match self {
            Self::Dropped(least) => found.find(|(_, sum)| sum.drop_ratio() >= least),
            Self::Same(least) => found.rfind(|(_, sum)| sum.agreement_answers() >= least),
        };
        reached.or(nearest).map(|(choice, _)| choice)
    }
}

/// Index of a way, and its similarity.
type Choice = (usize, f32);

/// What [`CHOSEN_WAY`] comes to where the similarity for each clip is the one that was chosen on all clips of other places.
fn chosen(clips: &[Compared], ways: &[Way], goal: Goal) -> Value {
    let mut choices: Vec<Choice> = ways
        .iter()
        .enumerate()
        .filter(|(_, (name, ..))| *name == CHOSEN_WAY)
        .filter_map(|(way, (.., drop))| Some((way, drop.as_ref()?.cosine)))
        .collect();
    choices.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let (mut judged, mut cosines) = (Vec::new(), BTreeMap::new());
    for clip in clips {
        let others = |way: usize| {
            clips.iter().filter(|other| other.place != clip.place).map(|other| other.sums[way]).sum::<Dropped>()
        };
        let found = choices.iter().map(|choice| (*choice, others(choice.0)));
        let (way, cosine) = goal.choose(found).expect("there are some to choose from");
        judged.push(clip.sums[way]);
        cosines.insert(clip.place.clone(), (f64::from(cosine) * 1e4).round() / 1e4);
    }
    let mut row = judged.iter().copied().sum::<Dropped>().row(CHOSEN_WAY, None);
    row["agreement_answers_interval"] = json!(interval(&judged, Dropped::agreement_answers));
    row["drop_ratio_interval"] = json!(interval(&judged, Dropped::drop_ratio));
    row["cosines"] = json!(cosines);
    row["goal"] = match goal {
        Goal::Dropped(least) => json!({ "drop_ratio": least }),
        Goal::Same(least) => json!({ "agreement_answers": least }),
    };
    row
}

/// The middle 95% of what a share is of as many clips, drawn again and again with replacement.
fn interval(clips: &[Dropped], share: impl Fn(&Dropped) -> f64) -> [f64; 2] {
    let mut dice = Dice::default();
    let draw = |_| share(&(0..clips.len()).map(|_| clips[dice.below(clips.len() as u32) as usize]).sum());
    let mut shares: Vec<f64> = (0..DRAWS).map(draw).collect();
    shares.sort_by(f64::total_cmp);
    [DRAWS / 40, DRAWS - 1 - DRAWS / 40].map(|at| shares[at])
}

/// Xorshift (Marsaglia 2003).
struct Dice(u32);

impl Default for Dice {
    fn default() -> Self {
        Self(0x1234_5678)
    }
}

impl Dice {
    const fn below(&mut self, most: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % most
    }
}

/// Each clip in every way to drop. One that cannot be read is left out with a word.
fn compare(
    pack: &Pack,
    set: &str,
    paths: &[PathBuf],
    ways: &[Way],
    place: impl Fn(&Path) -> String,
) -> Result<Vec<Compared>> {
    let mut models = Models { pack, stab: Stab::load(pack)?, narrator: Narrator::load(pack)? };
    let mut compared = Vec::new();
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
        let (wanted, _) = models.answer(&whole, &whole_tokens, &shown, None)?;
        let (usual, _) = models.answer(&gated, &gated_tokens, &shown, None)?;
        let (windows, times) = (shown.count() as u64, times(&whole));
        let mut sums = Vec::new();
        for (_, is_gated, drop) in ways {
            let (play, tokens) = if *is_gated { (&gated, &gated_tokens) } else { (&whole, &whole_tokens) };
            let (found, kept) = models.answer(play, tokens, &shown, *drop)?;
            let offered = windows * found.said.len() as u64;
            let mut sum = Dropped { offered, kept, first: windows, ..Dropped::default() };
            sum.compare(pack, &found, &wanted, &usual);
            sums.push(sum);
        }
        for pictures in [with_noise(&pictures), watch_late(pack, path, LATE_US)?] {
            let play = undropped(&gated, &pictures);
            let tokens = models.encode(&play)?;
            let (found, _) = models.answer(&play, &tokens, &shown, None)?;
            // Of the other pictures the one next in time.
            let next_to = |at_us: Micros| {
                (0..play.shots.len()).min_by_key(|index| play.shots[*index].captured_us.0.abs_diff(at_us.0))
            };
            let nearest: Vec<usize> = whole.shots.iter().filter_map(|shot| next_to(shot.captured_us)).collect();
            let mut sum = Dropped::default();
            sum.keep_all(windows, nearest.len());
            sum.compare(pack, &found.picked(pack, &nearest, &times), &wanted, &usual);
            sums.push(sum);
        }
        compared.push(Compared { place: place(path), sums });
    }
    Ok(compared)
}

/// When each picture was taken.
fn times(play: &Play) -> Vec<Micros> {
    play.shots.iter().map(|shot| shot.captured_us).collect()
}

/// The same pictures with each byte one more, one less or as it was.
fn with_noise(pictures: &[Seen]) -> Vec<Seen> {
    let (mut pictures, mut dice) = (pictures.to_vec(), Dice::default());
    for byte in pictures.iter_mut().flat_map(|seen| &mut seen.pixels) {
        *byte = byte.saturating_add_signed(dice.below(3) as i8 - 1);
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

/// The curves for people, and what was chosen.
pub fn drop_text(found: &Value, target_drop: f64) -> String {
    let mut text = String::new();
    for curve in found["curves"].as_array().map_or(&[][..], Vec::as_slice) {
        text += &drop_table(curve, target_drop);
    }
    for chosen in found["chosen"].as_array().into_iter().flatten() {
        let percent = |value: &Value| format!("{:.1}%", 100.0 * value.as_f64().unwrap_or(f64::NAN));
        let interval = |key: &str| format!("[{}, {}]", percent(&chosen[key][0]), percent(&chosen[key][1]));
        text += &format!(
            "{CHOSEN_WAY}, the cosine of each place chosen on the others for {}: {} {} of {} answers the same, {} {} dropped ({} running)\n",
            match &chosen["goal"]["drop_ratio"] {
                Value::Null => format!("{} of the answers the same", percent(&chosen["goal"]["agreement_answers"])),
                least => format!("{} dropped", percent(least)),
            },
            percent(&chosen["agreement_answers"]),
            interval("agreement_answers_interval"),
            chosen["answers"],
            percent(&chosen["drop_ratio"]),
            interval("drop_ratio_interval"),
            percent(&chosen["running_drop_ratio"]),
        );
        for (place, cosine) in chosen["cosines"].as_object().into_iter().flatten() {
            text += &format!("  {cosine} for {place}\n");
        }
    }
    text
}

/// One set's curve.
fn drop_table(curve: &Value, target_drop: f64) -> String {
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap_or(f64::NAN);
    let mut text = format!(
        "{:<35} {:>7} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10}\n",
        format!("token drop, {} clips: {}", curve["clips"], curve["set"].as_str().unwrap_or_default()),
        "cosine",
        "dropped",
        "running",
        "same kind",
        "same text",
        "same told",
        "as gated",
        "answers"
    );
    let rows = curve["rows"].as_array().map_or(&[][..], Vec::as_slice);
    for row in rows {
        let percent = |key: &str| format!("{:.1}%", 100.0 * number(row, key));
        text += &format!(
            "{:<35} {:>7} {:>8} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10}\n",
            row["mode"].as_str().unwrap_or_default(),
            row["cosine"].as_f64().map_or_else(String::new, |cosine| format!("{cosine:.3}")),
            percent("drop_ratio"),
            percent("running_drop_ratio"),
            percent("agreement"),
            percent("agreement_sentence"),
            percent("agreement_told"),
            percent("agreement_with_gate"),
            percent("agreement_answers"),
        );
    }
    let mut modes: Vec<&str> =
        rows.iter().filter(|row| row["cosine"].is_number()).filter_map(|row| row["mode"].as_str()).collect();
    modes.dedup();
    for mode in modes {
        let points: Vec<(f64, f64)> = rows
            .iter()
            // Between the row in which all goes and the others there is no line.
            .filter(|row| row["mode"] == *mode && number(row, "cosine") >= 0.0)
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

    #[test]
    fn a_half_second_is_answered_by_what_was_most_probable_in_it_of_what_somebody_does() {
        let pack = Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/home")).expect("the pack");
        let of = |kind: &str| {
            let mut senses = pack.vocabulary.senses().map(|(of, _)| pack.vocabulary.kind(of));
            senses.position(|of| of == kind).unwrap_or_else(|| panic!("{kind}"))
        };
        let said = |kinds: &[(&str, f32)]| {
            let mut probabilities = vec![0.0; pack.vocabulary.len()];
            kinds.iter().for_each(|(kind, p)| probabilities[of(kind)] = *p);
            probabilities
        };
        let frames = [
            said(&[("walk", 0.6), ("nobody", 0.9)]),
            said(&[("walk", 0.5), ("sit", 0.4)]),
            // Smoothed, who walked walks until it is surer.
            said(&[("sit", 0.5)]),
            said(&[("lie_still", 0.9)]),
            said(&[("lie_still", 0.9), ("sit", 0.1)]),
        ];
        let times = [1.0, 1.2, 1.4, 1.6, 1.8].map(Micros::from_seconds);
        let name = |answer: &Option<usize>| answer.map(|answer| FIVE[answer]);
        let answered = answers(&pack, &times, &frames);
        assert_eq!(answered.iter().map(name).collect::<Vec<_>>(), [Some("walk"), Some("lie")]);
        let silent = answers(&pack, &times[..1], &[said(&[("nobody", 0.9)])]);
        assert_eq!(silent, [None], "nobody does something");
        let holes = answers(&pack, &[Micros(0), Micros(1_100_000)], &frames[..2]);
        assert_eq!(holes.iter().map(name).collect::<Vec<_>>(), [Some("walk"), None, Some("walk")]);
    }

    /// Two similarities: by the second more is dropped.
    fn compared(place: &str, same: [u64; 2]) -> Compared {
        let sum = |kept, same_answers| Dropped { offered: 100, kept, answers: 100, same_answers, ..Dropped::default() };
        Compared { place: place.into(), sums: vec![sum(30, same[0]), sum(10, same[1])] }
    }

    const TWO: [Way; 2] = [
        (CHOSEN_WAY, false, Some(FeatureDrop { reference: DropReference::AnyKept, cosine: 0.75 })),
        (CHOSEN_WAY, false, Some(FeatureDrop { reference: DropReference::AnyKept, cosine: 0.5 })),
    ];

    #[test]
    fn a_similarity_is_chosen_on_other_places_than_it_is_judged_on() {
        // By its own clips `b` would take 0.75, and by those of the others takes 0.5.
        let clips = [compared("a", [99, 99]), compared("b", [99, 90]), compared("c", [99, 98])];
        let chosen = |clips: &[Compared], goal| chosen(clips, &TWO, goal);
        let same = Goal::Same(0.98);
        let found = chosen(&clips, same);
        assert_eq!(found["cosines"], json!({"a": 0.75, "b": 0.5, "c": 0.75}));
        assert!((found["agreement_answers"].as_f64().expect("a share") - 288.0 / 300.0).abs() < 1e-9);
        assert!((found["drop_ratio"].as_f64().expect("a share") - 230.0 / 300.0).abs() < 1e-9);
        // Two clips of one place are no others to each other; where all change too much the most careful is taken.
        let clips = [compared("a", [90, 80]), compared("a", [99, 99]), compared("b", [99, 99])];
        assert_eq!(chosen(&clips, same)["cosines"], json!({"a": 0.5, "b": 0.75}));
        // For a ratio the most careful that drops so much, whatever it does to answers; the least careful where none does.
        for (least, cosine) in [(0.6, 0.75), (0.7, 0.75), (0.71, 0.5), (0.95, 0.5)] {
            let found = chosen(&clips, Goal::Dropped(least));
            assert_eq!(found["cosines"], json!({"a": cosine, "b": cosine}), "{least}");
        }
    }

    #[test]
    fn an_interval_is_as_wide_as_clips_differ() {
        let clips = |same: &[u64]| {
            let of = |same_answers: &u64| Dropped { answers: 10, same_answers: *same_answers, ..Dropped::default() };
            interval(&same.iter().map(of).collect::<Vec<_>>(), Dropped::agreement_answers)
        };
        let [low, high] = clips(&[9; 20]);
        assert!((low - 0.9).abs() < 1e-9 && (high - 0.9).abs() < 1e-9, "{low} {high}");
        let [low, high] = clips(&[10, 0].repeat(50));
        // Of a hundred throws of a coin: 0.5 and twice 0.05 on both sides.
        assert!((low - 0.4).abs() < 0.02 && (high - 0.6).abs() < 0.02, "{low} {high}");
    }
}
