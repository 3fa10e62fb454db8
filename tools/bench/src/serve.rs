//! Answers requests, a line each, with a line of JSON: a script that has two engines to compare runs them in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use ndarray::Array3;
use ndarray_npy::write_npy;
use ocelli_heap::{CountingAlloc, Tally};
use ocelli_infer::{Narrator, Pack, Stab};
use ocelli_kernels::{Isa, Team};
use ocelli_pipeline::MemoryRing;
use ocelli_types::{Encoder, FrameTokens, Head};
use serde_json::{Value, json};

use crate::kernels::{Product, SHAPES, products};
use crate::team::{Shared, shared};
use crate::{Case, Play, WARM_UP, memory_config};

/// Stack of a helper, as `ocelli run` gives it.
const TEAM_STACK_BYTES: usize = 256 << 10;

/// The engine that is measured, and what it is measured on.
#[derive(Debug)]
pub struct Server {
    pack: Pack,
    stab: Stab,
    /// Of one thread, and of two.
    teams: [Team; 2],
    cases: Vec<Case>,
    quick: bool,
    /// `[1 + windows][token_width]`
    tokens: Vec<f32>,
}

impl Server {
    /// Loads the pack's STAB.
    ///
    /// # Errors
    /// It does not load, or the system starts no thread.
    pub fn new(pack: Pack, cases: Vec<Case>, quick: bool) -> Result<Self> {
        let stab = Stab::load(&pack)?;
        let tokens = vec![0.0; pack.manifest.stab.tokens * pack.manifest.stab.token_width];
        let team = |threads| Team::new(threads, "team", TEAM_STACK_BYTES);
        Ok(Self { pack, stab, teams: [team(1)?, team(2)?], cases, quick, tokens })
    }

    /// Writes the canvases of every play into `folder`, u8 `[frames, patches, patch_bytes]`, and says what there is.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn introduce(&self, folder: &Path) -> Result<Value> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let mut cases = Vec::new();
        for case in &self.cases {
            let mut plays = Vec::new();
            for (index, play) in case.plays.iter().enumerate() {
                let path = folder.join(format!("{}-{index}.npy", case.name));
                write_npy(&path, &play.canvases()).with_context(|| path.display().to_string())?;
                plays.push(json!({ "name": play.name, "frames": play.shots.len(), "canvases": path }));
            }
            let all = case.measure();
            cases.push(json!({
                "case": case.name, "source": case.source, "plays": plays,
                "timed_frames": all.frames, "sent_share": all.sent, "changed_share": all.changed,
            }));
        }
        Ok(json!({
            "cases": cases, "warm_up": WARM_UP, "isa": Isa::detect().name(), "pack": self.pack.manifest.name,
            "macs": self.stab.macs(), "weight_bytes": self.stab.weight_bytes(), "state_bytes": self.stab.state_bytes(),
        }))
    }

    fn play(&self, words: &[&str]) -> Result<Play> {
        let [case, index, ..] = words else { bail!("which case, and which play of it?") };
        let case = self.cases.iter().find(|known| known.name == *case).with_context(|| format!("no case {case}"))?;
        Ok(case.plays.get(index.parse::<usize>()?).with_context(|| format!("no play {index}"))?.clone())
    }

    /// Plays a stream from its start with so many threads, one or two; wall-clock microseconds of each frame, patches in and tokens out.
    ///
    /// # Errors
    /// The model failed.
    pub fn run(&mut self, threads: usize, play: &Play, mut done: impl FnMut(&[f32])) -> Result<Vec<f64>> {
        let team = self.teams.get_mut(threads.wrapping_sub(1)).with_context(|| format!("no team of {threads}"))?;
        self.stab.reset()?;
        let width = self.pack.manifest.stab.token_width;
        let mut times_us = Vec::with_capacity(play.shots.len());
        for batch in play.batches() {
            let mut tokens = FrameTokens { width, values: &mut self.tokens };
            let start = Instant::now();
            team.lead(|| self.stab.encode(&batch, &mut tokens))?;
            times_us.push(start.elapsed().as_secs_f64() * 1e6);
            done(&self.tokens);
        }
        Ok(times_us)
    }

    /// Tokens of each frame of a play, `[frames, 1 + windows, token_width]`.
    ///
    /// # Errors
    /// The model failed.
    pub fn tokens(&mut self, threads: usize, play: &Play) -> Result<Array3<f32>> {
        let (rows, width) = (self.pack.manifest.stab.tokens, self.pack.manifest.stab.token_width);
        let mut all = Vec::new();
        self.run(threads, play, |tokens| all.extend_from_slice(tokens))?;
        Ok(Array3::from_shape_vec((play.shots.len(), rows, width), all)?)
    }

    /// What STAB and the narrator allocate on a frame once they are warm, the worst frame of a play.
    ///
    /// # Errors
    /// A model failed.
    pub fn allocations(&mut self, play: &Play) -> Result<[Tally; 2]> {
        let mut memory = MemoryRing::new(memory_config(&self.pack, None))?;
        let mut narrator = Narrator::load(&self.pack)?;
        let (rows, width) = (self.pack.manifest.stab.tokens, self.pack.manifest.stab.token_width);
        let mut tokens = vec![0.0; rows * width];
        let mut probabilities = vec![0.0; self.pack.vocabulary.len()];
        let mut worst = [Tally::default(); 2];
        self.stab.reset()?;
        for (frame, batch) in play.batches().enumerate() {
            let mut room = FrameTokens { width, values: &mut tokens };
            let encoded = CountingAlloc::count(|| self.stab.encode(&batch, &mut room));
            let by_stab = encoded.tally();
            encoded.value?;
            memory.commit(&tokens, batch.kept, batch.captured_us);
            let view = memory.view().context("a memory with a frame in it should have a view")?;
            let described = CountingAlloc::count(|| narrator.describe(&view, &mut probabilities));
            let by_narrator = described.tally();
            described.value?;
            if frame >= WARM_UP {
                for (worst, now) in worst.iter_mut().zip([by_stab, by_narrator]) {
                    *worst = (*worst).max(now);
                }
            }
        }
        Ok(worst)
    }
}

/// Answers one request: `play CASE INDEX THREADS`, `tokens CASE INDEX THREADS FILE`, `allocations` or `kernels`.
///
/// # Errors
/// The request is none of these, or cannot be served.
pub fn answer(server: &mut Server, request: &str) -> Result<Value> {
    let words: Vec<&str> = request.split_whitespace().collect();
    match words[..] {
        ["play", _, _, threads] => {
            let play = server.play(&words[1..])?;
            Ok(json!({ "us": server.run(threads.parse()?, &play, |_| {})? }))
        }
        ["tokens", _, _, threads, path] => {
            let play = server.play(&words[1..])?;
            let path = PathBuf::from(path);
            write_npy(&path, &server.tokens(threads.parse()?, &play)?).with_context(|| path.display().to_string())?;
            Ok(json!({ "tokens": path }))
        }
        ["allocations"] => {
            let plays: Vec<_> = server.cases.iter().map(|case| (case.name, case.plays[0].clone())).collect();
            let mut rows = Vec::new();
            for (case, play) in plays {
                let [stab, narrator] = server.allocations(&play)?;
                let counts = |of: Tally| json!({ "allocations": of.calls, "bytes": of.bytes });
                rows.push(json!({ "case": case, "stab": counts(stab), "narrator": counts(narrator) }));
            }
            Ok(json!({ "allocations": rows }))
        }
        ["kernels"] => {
            let (rounds, each) = if server.quick { (2, 4) } else { (8, 20) };
            let products = products(&SHAPES, rounds, Duration::from_millis(each));
            let shared = shared(&SHAPES, rounds, Duration::from_millis(each))?;
            Ok(json!({
                "kernels": products.iter().map(row).collect::<Vec<_>>(),
                "shared": shared.iter().map(of_two).collect::<Vec<_>>(),
            }))
        }
        _ => bail!("no such request: {request}"),
    }
}

fn of_two(shared: &Shared) -> Value {
    let ((m, k, n), [one, two]) = (shared.shape, shared.us);
    json!({ "m": m, "k": k, "n": n, "us": one, "us_of_two": two, "speedup": one / two })
}

fn row(product: &Product) -> Value {
    let (m, k, n) = product.shape;
    json!({
        "name": format!("linear {}", product.isa), "isa": product.isa, "instruction": product.instruction,
        "m": m, "k": k, "n": n, "us": product.us, "gops": product.gops(), "peak_gops": product.peak_gops,
        "gb_per_s": product.gb_per_s(), "peak_gb_per_s": product.peak_gb_per_s, "level": product.level,
        "efficiency_percent": product.efficiency(),
        "us_of_bytes": product.us_of_bytes, "efficiency_of_bytes_percent": product.efficiency_of_bytes(),
    })
}
