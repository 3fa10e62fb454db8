//! What is measured: five kinds of stream, from one that never stands still to one that never moves.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ndarray::Array3;
use ocelli_infer::Pack;
use ocelli_types::{Content, FrameSeq, Micros, PatchBatch, PatchGrid, PatchMask};

use crate::{Seen, gate, watch};

/// Frames at the start of a play that are run and not timed: the first is all new, and moves in LSTE and DPE for 5 frames
/// and in GSTRA for 4 more. A stream starts once in months.
pub const WARM_UP: usize = 9;

/// Timed frames of plays that are made from single pictures: two rounds of the gate's refresh, 25 frames each.
const TIMED: usize = 50;

/// Pictures between one scene of `worst` and the next: nearly always another clip, 20 s further on in a single one.
const SCENE_STEP: usize = 97;

/// The fewest pictures of a clip that may stand for a busy scene: 8 s.
const BUSY_PICTURES: usize = 40;

/// What the encoder is given on one frame.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Which patches it gets.
    pub sent: PatchMask,
    /// Of which windows the memory keeps tokens.
    pub kept: PatchMask,
    /// `[sent][patch_bytes]`
    pub patches: Vec<u8>,
    /// When it was taken.
    pub captured_us: Micros,
}

/// A stream from its first frame on.
#[derive(Clone, Debug)]
pub struct Play {
    /// Which clip.
    pub name: String,
    /// How pictures are cut.
    pub grid: PatchGrid,
    /// Frame by frame.
    pub shots: Vec<Shot>,
}

impl Play {
    /// What the encoder gets on each frame.
    pub fn batches(&self) -> impl Iterator<Item = PatchBatch<'_>> {
        self.shots.iter().zip(0..).map(|(shot, seq)| PatchBatch {
            grid: self.grid,
            sent: &shot.sent,
            kept: &shot.kept,
            content: Content::whole(self.grid),
            patches: &shot.patches,
            seq: FrameSeq(seq),
            captured_us: shot.captured_us,
        })
    }

    /// The last sent pixels of every patch on each frame, `[frames, patches, patch_bytes]`: all that an engine without
    /// memory of its own has to be given.
    ///
    /// # Panics
    /// If a shot has fewer patches than it says.
    pub fn canvases(&self) -> Array3<u8> {
        let (patches, bytes) = (self.grid.patches(), self.grid.patch_bytes());
        let mut canvas = vec![0; self.grid.bytes()];
        let mut all = Vec::with_capacity(self.shots.len() * canvas.len());
        for shot in &self.shots {
            for (index, patch) in shot.sent.iter().zip(shot.patches.chunks_exact(bytes)) {
                canvas[index * bytes..][..bytes].copy_from_slice(patch);
            }
            all.extend_from_slice(&canvas);
        }
        Array3::from_shape_vec((self.shots.len(), patches, bytes), all).expect("every canvas should be whole")
    }

    /// Patches that differ from what the canvas held before, on each frame.
    pub fn changes(&self) -> Vec<usize> {
        let canvases = self.canvases();
        let blank = Array3::zeros((1, canvases.dim().1, canvases.dim().2));
        let before = blank.outer_iter().chain(canvases.outer_iter());
        let pairs = canvases.outer_iter().zip(before);
        pairs.map(|(now, before)| now.outer_iter().zip(before.outer_iter()).filter(|(a, b)| a != b).count()).collect()
    }

    /// Frames that are timed.
    pub fn timed(&self) -> usize {
        self.shots.len().saturating_sub(WARM_UP)
    }

    fn sent_share(&self) -> f64 {
        let sent: usize = self.shots.iter().skip(WARM_UP).map(|shot| shot.sent.count()).sum();
        sent as f64 / (self.timed() * self.grid.patches()).max(1) as f64
    }

    fn changed_share(&self) -> f64 {
        let changed: usize = self.changes().iter().skip(WARM_UP).sum();
        changed as f64 / (self.timed() * self.grid.patches()).max(1) as f64
    }

    /// Whole pictures, each of which differs from the one before in every patch; where it would not, a byte is moved by 1.
    pub fn restless<'a>(grid: PatchGrid, name: &str, pictures: impl IntoIterator<Item = &'a Seen>) -> Self {
        let mut before = vec![0; grid.bytes()];
        let mut shots = Vec::new();
        for seen in pictures {
            let mut patches = seen.pixels.clone();
            for (now, before) in
                patches.chunks_exact_mut(grid.patch_bytes()).zip(before.chunks_exact(grid.patch_bytes()))
            {
                if now == before {
                    now[0] ^= 1;
                }
            }
            before.copy_from_slice(&patches);
            let all = PatchMask::first(grid.patches());
            shots.push(Shot { sent: all, kept: all, patches, captured_us: seen.captured_us });
        }
        Self { name: name.into(), grid, shots }
    }
}

/// Streams of one kind.
#[derive(Clone, Debug)]
pub struct Case {
    /// `dense`, `fixed_camera`, `static`, `busy` or `worst`.
    pub name: &'static str,
    /// Where they come from.
    pub source: String,
    /// One after the other, each from its start.
    pub plays: Vec<Play>,
}

/// Means over the timed frames of all plays.
#[derive(Clone, Copy, Debug)]
pub struct Movement {
    /// Frames that are timed.
    pub frames: usize,
    /// Share of the patches that reach the encoder.
    pub sent: f64,
    /// Share of the patches that differ from what they were.
    pub changed: f64,
}

impl Case {
    /// How much moves in it.
    pub fn measure(&self) -> Movement {
        let frames: usize = self.plays.iter().map(Play::timed).sum();
        let mean = |share: fn(&Play) -> f64| {
            self.plays.iter().map(|play| share(play) * play.timed() as f64).sum::<f64>() / frames.max(1) as f64
        };
        Movement { frames, sent: mean(Play::sent_share), changed: mean(Play::changed_share) }
    }
}

/// All cases. Without `data` (the folder of real clips) two of them come from `demo`, and say so; `quick` takes three clips
/// of each kind.
///
/// # Errors
/// A clip cannot be read, or there is none.
pub fn cases(pack: &Pack, data: Option<&Path>, demo: &Path, quick: bool) -> Result<Vec<Case>> {
    let few = |mut paths: Vec<PathBuf>| {
        if quick {
            let step = paths.len().div_ceil(3).max(1);
            paths = paths.into_iter().step_by(step).collect();
        }
        paths
    };
    let (indoor, other) = match data {
        Some(data) => {
            let indoor = [clips(&data.join("gmdcsa24"))?, clips(&data.join("assist-iot"))?].concat();
            (few(indoor), few(clips(&data.join("intel-samples"))?))
        }
        None => (vec![demo.to_path_buf()], vec![demo.to_path_buf()]),
    };
    let base = data.unwrap_or(Path::new(""));
    let name = |path: &Path| path.strip_prefix(base).unwrap_or(path).display().to_string();
    let mut scenes = Vec::new();
    let mut read = |paths: &[PathBuf]| -> Result<Vec<Play>> {
        let mut plays = Vec::new();
        for path in paths {
            eprintln!("bench: reading {}", name(path));
            match watch(pack, path) {
                Ok(pictures) => {
                    plays.push(gate(pack, &name(path), &pictures)?);
                    scenes.extend(pictures);
                }
                Err(error) => eprintln!("bench: left out: {error:#}"),
            }
        }
        Ok(plays)
    };
    let fixed = read(&indoor)?;
    let mut candidates = read(&other)?;
    let long = candidates.iter().any(|play| play.timed() >= BUSY_PICTURES);
    candidates.retain(|play| !long || play.timed() >= BUSY_PICTURES);
    let busiest = candidates.into_iter().max_by(|a, b| a.sent_share().total_cmp(&b.sent_share()));
    let busy = busiest.context("there is no clip for the busy case")?;

    let still = scenes.last().context("no clip has a picture")?;
    let frames = WARM_UP + TIMED;
    let cut = (0..frames).map(|frame| &scenes[frame * SCENE_STEP % scenes.len()]);
    let dense =
        Play::restless(pack.grid, "one picture, one byte of each patch moved", std::iter::repeat_n(still, frames));
    let at_rest = gate(pack, "one picture", std::iter::repeat_n(still, frames))?;
    let worst = Play::restless(pack.grid, "another scene on each frame", cut);
    for play in [&dense, &worst] {
        let all = play.changes().iter().all(|changed| *changed == pack.grid.patches());
        ensure!(all, "{}: not every patch differs from the frame before", play.name);
    }
    let counted = |plays: &[Play]| format!("{} clips", plays.len());
    Ok(vec![
        Case { name: "dense", source: dense.name.clone(), plays: vec![dense] },
        Case { name: "fixed_camera", source: if data.is_some() { counted(&fixed) } else { name(demo) }, plays: fixed },
        Case { name: "static", source: at_rest.name.clone(), plays: vec![at_rest] },
        Case { name: "busy", source: busy.name.clone(), plays: vec![busy] },
        Case { name: "worst", source: worst.name.clone(), plays: vec![worst] },
    ])
}

/// Every clip below a folder, in order of names.
///
/// # Errors
/// A folder cannot be read.
pub fn clips(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(clips(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "mp4" || extension == "mkv") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
