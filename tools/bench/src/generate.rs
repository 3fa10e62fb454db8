//! The generative head on request, a line each: `tools/eval/language/generate.py` runs it in turn with llama.cpp, and beside the
//! look-up of a narration.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result};
use ocelli_drivers::SystemClock;
use ocelli_infer::{Bounds, EMBEDDING, Generator, GeneratorPack, Narrator, Pack, Wording};
use ocelli_kernels::Isa;
use ocelli_pipeline::MemoryRing;
use ocelli_types::{Micros, PatchMask};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::memory_config;

/// What is measured.
#[derive(Debug)]
pub struct Talker {
    generator: Generator,
}

/// A line of the protocol; `tools/bench/llama.py` answers the same ones.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    /// Tokens of texts.
    Tokens(Vec<String>),
    /// Reads tokens and then says so many, the likeliest each time: seconds of both, on the CPU and by the clock.
    Run { tokens: Vec<u32>, say: usize },
    /// The likeliest token behind each position.
    Likeliest(Vec<u32>),
    /// Tells notes as `ocelli describe` does: what was said to each, and why a note is told as it is.
    Word(Vec<String>),
    /// Which narration fits: seconds of CPU of the narrator with its look-up, and of the look-up alone, over so many.
    LookUp { pack: PathBuf, rounds: usize },
}

impl Talker {
    /// Loads the head.
    ///
    /// # Errors
    /// It does not load.
    pub fn new(folder: &Path) -> Result<Self> {
        Ok(Self { generator: Generator::load(&GeneratorPack::open(folder)?)? })
    }

    /// What there is.
    pub fn introduce(&self) -> Value {
        let Self { generator } = self;
        json!({
            "isa": Isa::detect().name(), "weight_bytes": generator.weight_bytes(), "state_bytes": generator.state_bytes(),
        })
    }

    /// Answers a line.
    ///
    /// # Errors
    /// It is no request, or the model fails.
    pub fn answer(&mut self, line: &str) -> Result<Value> {
        let generator = &mut self.generator;
        Ok(match serde_json::from_str(line).context("a request is a line of JSON")? {
            Request::Tokens(texts) => {
                let tokens = texts.iter().map(|text| {
                    let mut tokens = Vec::new();
                    generator.tokenizer().encode(text, &mut tokens);
                    tokens
                });
                json!({ "tokens": tokens.collect::<Vec<_>>() })
            }
            Request::Run { tokens, say } => {
                generator.reset()?;
                let start = Watch::start()?;
                let mut said = vec![likeliest(generator.read(&tokens)?)];
                let (read, start) = (start.stop()?, Watch::start()?);
                for at in 0..say {
                    said.push(likeliest(generator.read(&said[at..=at])?));
                }
                json!({ "read_s": read, "say_s": start.stop()?, "said": said, "rss_bytes": resident()? })
            }
            Request::Likeliest(tokens) => {
                generator.reset()?;
                let found = tokens.iter().map(|token| Ok(likeliest(generator.read(&[*token])?)));
                json!({ "likeliest": found.collect::<Result<Vec<_>>>()? })
            }
            Request::Word(notes) => {
                let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
                let (clock, cancel) = (SystemClock::new(), AtomicBool::new(false));
                let bounds = Bounds { tokens: usize::MAX, time: Micros(u64::MAX), clock: &clock, cancel: &cancel };
                let worded = Wording { notes: &notes, facts: &[] }.word(generator, &bounds, &mut |_| ())?;
                let told = worded.told.iter().map(|told| told.as_ref().map(ToString::to_string));
                json!({ "raw": worded.raw, "told": told.collect::<Vec<_>>() })
            }
            Request::LookUp { pack, rounds } => look_up(&pack, rounds)?,
        })
    }
}

fn likeliest(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a))).unwrap_or(0) as u32
}

/// Time of this thread on the CPU, which is what counts where others want it too, and by the clock.
struct Watch {
    cpu_ns: u64,
    clock: Instant,
}

impl Watch {
    fn start() -> Result<Self> {
        Ok(Self { cpu_ns: on_cpu_ns()?, clock: Instant::now() })
    }

    /// Seconds of both.
    fn stop(self) -> Result<[f64; 2]> {
        let clock = self.clock.elapsed().as_secs_f64();
        Ok([(on_cpu_ns()? - self.cpu_ns) as f64 / 1e9, clock])
    }
}

fn on_cpu_ns() -> Result<u64> {
    let stat =
        std::fs::read_to_string("/proc/thread-self/schedstat").context("this Linux keeps no times of threads")?;
    stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).context("it should begin with nanoseconds")
}

/// Bytes of this process that are in memory, and the most that were.
fn resident() -> Result<[u64; 2]> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let bytes = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(1024 * line.trim().trim_end_matches(" kB").parse::<u64>()?)
    };
    Ok([bytes("VmRSS:")?, bytes("VmHWM:")?])
}

/// A full memory of numbers that were never a picture: the narrator's arithmetic does not depend on what they are.
fn look_up(folder: &Path, rounds: usize) -> Result<Value> {
    let pack = Pack::open(folder)?;
    let mut narrator = Narrator::load(&pack)?;
    let mut memory = MemoryRing::new(memory_config(&pack, None))?;
    let count = pack.manifest.stab.tokens * pack.manifest.stab.token_width;
    let all = PatchMask::first(pack.grid.patches());
    for frame in 0..8u64 {
        let tokens: Vec<f32> = (0..count).map(|i| ((i as f32 + 1.0) * (frame as f32 + 1.7)).sin()).collect();
        memory.commit(&tokens, &all, Micros(200_000 * frame));
    }
    let view = memory.view().context("a memory with a frame in it should have a view")?;
    let (mut z, mut probabilities) = ([0.0; EMBEDDING], vec![0.0; pack.vocabulary.len()]);
    narrator.place(&view, &mut z, &mut probabilities)?;
    let start = Watch::start()?;
    for _ in 0..rounds {
        narrator.place(&view, &mut z, &mut probabilities)?;
    }
    let whole = start.stop()?[0] / rounds as f64;
    // Many more, for the system counts by ticks of some milliseconds.
    let (often, start) = (100 * rounds, Watch::start()?);
    for _ in 0..often {
        pack.vocabulary.look_up(&z, pack.manifest.vocabulary.temperature, &mut probabilities);
    }
    let alone = start.stop()?[0] / often as f64;
    Ok(json!({
        "narrator_s": whole, "look_up_s": alone,
        "sentences": pack.vocabulary.entries().map(|entry| entry.into_owned().text).collect::<Vec<_>>(),
    }))
}
