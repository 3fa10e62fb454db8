//! The generative head: an optional pack that words what is known already.
//!
//! `SmolLM2`-135M-Instruct (Allal et al. 2025; 30 layers, 576 wide, 9 heads over 3 of keys and values) in int8, as
//! `tools/train/smollm2.py` writes it. It is loaded for one command and given back afterwards; the running program never holds
//! it. It always takes the likeliest token, so that the same question gets the same bytes.

mod faithful;
mod schema;
mod tokens;
mod wording;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ocelli_types::{Clock, Micros};
use serde::Deserialize;
use tract_onnx::prelude::*;

use crate::engine::{Backend, Engine, Port};
use crate::ops::ASKS;
use crate::ops::Rhythm;
use crate::pack::{FilePart, parse_toml};
use crate::table::Table;
use crate::{InferError, PackError};

pub use faithful::{Unfaithful, faithful};
pub use schema::Schema;
pub use tokens::Tokenizer;
pub use wording::{Fallback, MOST_NOTES, Worded, Wording};

/// The format of `generator.toml` that this program reads.
const FORMAT: u32 = 1;

/// Its name in messages.
const MODEL: &str = "generative head";

/// A folder with a generative head that was opened and found whole.
#[derive(Clone, Debug)]
pub struct GeneratorPack {
    /// Where it lies.
    pub folder: PathBuf,
    manifest: Manifest,
}

/// `generator.toml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    name: String,
    #[allow(dead_code, reason = "for the person who reads it: a file without a licence is refused")]
    licence: String,
    #[allow(dead_code, reason = "for the person who reads it")]
    source: String,
    /// Width of an embedding.
    width: usize,
    /// Tokens of a run of the graph.
    rows: usize,
    /// The first tokens, which are marks and no text.
    special: usize,
    /// The mark before a turn.
    start: u32,
    /// The mark behind a turn.
    end: u32,
    graph: FilePart,
    weights: FilePart,
    words: FilePart,
    tokens: FilePart,
    joins: FilePart,
}

impl GeneratorPack {
    /// The file by which a folder is known for a generative head's.
    pub const MANIFEST: &str = "generator.toml";

    /// Opens the head in `folder`.
    ///
    /// # Errors
    /// A file is missing or damaged, or the manifest is wrong; see [`PackError`].
    pub fn open(folder: &Path) -> Result<Self, PackError> {
        let path = folder.join(Self::MANIFEST);
        let manifest: Manifest = parse_toml(&path)?;
        if manifest.format != FORMAT {
            return Err(PackError::Format { path, found: manifest.format, expected: FORMAT });
        }
        if !(1..=256).contains(&manifest.rows) || !(1..=1 << 16).contains(&manifest.width) {
            let why = format!("{} rows of {} are no sizes of a graph", manifest.rows, manifest.width);
            return Err(PackError::Inconsistent { path, why });
        }
        let Manifest { graph, weights, words, tokens, joins, .. } = &manifest;
        for part in [graph, weights, words, tokens, joins] {
            part.check(folder)?;
        }
        Ok(Self { folder: folder.to_path_buf(), manifest })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }
}

/// What bounds an answer, whatever the model does.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Tokens of the answer, at most.
    pub tokens: usize,
    /// How long reading and answering may take; looked at between two runs of the graph, which take a tenth of a second.
    pub time: Micros,
    /// What tells the time.
    pub clock: &'a dyn Clock,
    /// Set from elsewhere, it ends the answer.
    pub cancel: &'a AtomicBool,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The model had no more to say, or the schema let nothing follow.
    Whole,
    /// So many tokens were allowed.
    Tokens,
    /// So much time was allowed.
    Time,
    /// It was cancelled.
    Cancelled,
    /// Whoever read it had enough.
    Enough,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// All of the text.
    pub text: String,
    /// Tokens that were read.
    pub read: usize,
    /// Tokens that were answered.
    pub tokens: usize,
    /// Why no more came.
    pub end: End,
}

/// The loaded head.
pub struct Generator {
    engine: Engine,
    tokenizer: Tokenizer,
    words: Table,
    manifest: Manifest,
    logits: Vec<f32>,
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator")
            .field("engine", &self.engine)
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

impl Generator {
    /// Loads the graph, its weights and the tokens.
    ///
    /// # Errors
    /// tract refuses the graph, or the files do not go together.
    pub fn load(pack: &GeneratorPack) -> Result<Self, InferError> {
        let manifest = pack.manifest.clone();
        let at = |part: &FilePart| part.path(&pack.folder);
        let failed = |path: &Path, why: String| InferError::Load { path: path.to_path_buf(), why };
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| failed(path, error.to_string()));
        let (tokens, joins) = (at(&manifest.tokens), at(&manifest.joins));
        let tokenizer =
            Tokenizer::new(&read(&tokens)?, &read(&joins)?, manifest.special).map_err(|why| failed(&tokens, why))?;
        if manifest.start.max(manifest.end) as usize >= tokenizer.count() {
            return Err(failed(&tokens, "it has no marks for the ends of a turn".into()));
        }
        let words = Table::open(&at(&manifest.words), tokenizer.count(), manifest.width)?;
        let (f32, u8) = (f32::datum_type(), u8::datum_type());
        let inputs = [
            Port { name: "x", datum: f32, shape: &[manifest.rows, manifest.width] },
            Port { name: "rows", datum: u8, shape: &[manifest.rows] },
        ];
        let outputs = [Port { name: "logits", datum: f32, shape: &[1, tokenizer.count()] }];
        let mut engine = Engine::load(Backend::Cpu, &at(&manifest.graph), Rhythm::Stream, MODEL, &inputs, &outputs)?;
        engine.reset()?;
        Ok(Self { engine, logits: vec![0.0; tokenizer.count()], tokenizer, words, manifest })
    }

    /// Its tokens.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Bytes of the weights that it holds; the table of embeddings stays on disk.
    pub fn weight_bytes(&self) -> u64 {
        self.engine.weight_bytes()
    }

    /// Bytes of the KV cache and of what it works in.
    pub fn state_bytes(&self) -> u64 {
        self.engine.state_bytes()
    }

    /// A conversation, `(who, text)` from `system`, `user` and `assistant`, as the model was taught it (`ChatML`), with the
    /// assistant to speak.
    pub fn chat(&self, turns: &[(&str, &str)]) -> Vec<u32> {
        let mut tokens = Vec::new();
        let begin = |who: &str, tokens: &mut Vec<u32>| {
            tokens.push(self.manifest.start);
            self.tokenizer.encode(&format!("{who}\n"), tokens);
        };
        for (who, text) in turns {
            begin(who, &mut tokens);
            // Apart from what goes before and behind: a text cannot join with either.
            self.tokenizer.encode(text, &mut tokens);
            tokens.push(self.manifest.end);
            self.tokenizer.encode("\n", &mut tokens);
        }
        begin("assistant", &mut tokens);
        tokens
    }

    /// Forgets what was read, to begin anew.
    ///
    /// # Errors
    /// tract fails.
    pub fn reset(&mut self) -> Result<(), InferError> {
        self.engine.reset()
    }

    /// Reads tokens behind those that were read before and gives the logits, `[tokens]`, of what comes next. Of a text that is
    /// longer than the cache the beginning and what got attention are kept.
    ///
    /// # Errors
    /// There is no such token, the table of embeddings cannot be read any more, or tract fails.
    pub fn read(&mut self, tokens: &[u32]) -> Result<&[f32], InferError> {
        let mut runs = tokens.chunks(self.manifest.rows).peekable();
        while let Some(run) = runs.next() {
            self.run(run, runs.peek().is_none())?;
        }
        Ok(&self.logits)
    }

    fn run(&mut self, tokens: &[u32], asks: bool) -> Result<(), InferError> {
        let Manifest { width, rows, .. } = self.manifest;
        let failed = |error: TractError| InferError::Run { model: MODEL, why: error.to_string() };
        let (mut x, mut marks) = (vec![0.0; rows * width], vec![0; rows]);
        for (slot, token) in tokens.iter().enumerate() {
            if *token as usize >= self.tokenizer.count() {
                let expected = format!("tokens below {}", self.tokenizer.count());
                return Err(InferError::BadInput { model: MODEL, expected, found: format!("token {token}") });
            }
            self.words.row(*token, MODEL, &mut x[slot * width..][..width])?;
            marks[slot] = 1;
        }
        if asks {
            marks[tokens.len() - 1] = ASKS;
        }
        let inputs = tvec![
            Tensor::from_shape(&[rows, width], &x).map_err(failed)?.into_tvalue(),
            Tensor::from_shape(&[rows], &marks).map_err(failed)?.into_tvalue(),
        ];
        let outputs = self.engine.run(inputs)?;
        if asks {
            let plain = outputs[0].try_as_plain_ram().map_err(failed)?;
            self.logits.copy_from_slice(plain.as_slice::<f32>().map_err(failed)?);
        }
        Ok(())
    }

    /// Reads `prompt` from the start and answers, token by token; each piece of text goes to `on_text` as soon as its
    /// characters are whole, and may be the last that is wanted.
    ///
    /// # Errors
    /// The model fails. What was said before has been handed on.
    pub fn generate(
        &mut self,
        prompt: &[u32],
        schema: Option<&Schema>,
        bounds: &Bounds<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generated, InferError> {
        let start = bounds.clock.now();
        let over = || {
            if bounds.cancel.load(Ordering::Relaxed) {
                Some(End::Cancelled)
            } else {
                (bounds.clock.now().since(start) >= bounds.time).then_some(End::Time)
            }
        };
        let mut done = Generated { text: String::new(), read: 0, tokens: 0, end: End::Whole };
        self.reset()?;
        for run in prompt.chunks(self.manifest.rows) {
            if let Some(end) = over() {
                return Ok(Generated { end, ..done });
            }
            done.read += run.len();
            self.run(run, done.read == prompt.len())?;
        }
        let mut answer = schema.map(Schema::begin);
        let mut torn = Vec::new();
        loop {
            if let Some(end) = over() {
                return Ok(Generated { end, ..done });
            }
            if done.tokens == bounds.tokens {
                return Ok(Generated { end: End::Tokens, ..done });
            }
            let Some(token) = self.likeliest(answer.as_ref())? else { return Ok(done) };
            done.tokens += 1;
            let bytes = self.tokenizer.bytes(token);
            if let Some(answer) = &mut answer {
                answer.take(bytes);
            }
            torn.extend_from_slice(bytes);
            let text = whole_characters(&mut torn);
            done.text += &text;
            if !text.is_empty() && on_text(&text).is_break() {
                return Ok(Generated { end: End::Enough, ..done });
            }
            if answer.as_ref().is_some_and(schema::Answer::must_end) {
                return Ok(done);
            }
            self.run(&[token], true)?;
        }
    }

    /// The likeliest of the tokens that may come; none where the answer ends. Marks other than that of the end never come.
    fn likeliest(&self, answer: Option<&schema::Answer<'_>>) -> Result<Option<u32>, InferError> {
        let Manifest { special, end, .. } = self.manifest;
        let mut best: Option<(f32, u32)> = None;
        for (logit, token) in self.logits.iter().zip(0..) {
            if !logit.is_finite() {
                return Err(InferError::Run { model: MODEL, why: "it answered with what is not a number".into() });
            }
            if best.is_some_and(|(most, _)| *logit <= most) {
                continue;
            }
            let may_come = if token == end {
                answer.is_none_or(schema::Answer::may_end)
            } else {
                let bytes = self.tokenizer.bytes(token);
                token as usize >= special && answer.is_none_or(|answer| answer.allows(bytes))
            };
            if may_come {
                best = Some((*logit, token));
            }
        }
        Ok(best.map(|(_, token)| token).filter(|token| *token != end))
    }
}

/// Takes what is whole; what no byte can complete becomes a replacement character.
fn whole_characters(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        let (valid, bad) = match std::str::from_utf8(bytes) {
            Ok(_) => (bytes.len(), None),
            Err(error) => (error.valid_up_to(), error.error_len()),
        };
        text += &String::from_utf8_lossy(&bytes[..valid]);
        bytes.drain(..valid + bad.unwrap_or(0));
        if bad.is_none() {
            return text;
        }
        text.push(char::REPLACEMENT_CHARACTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_wait_until_they_are_whole() {
        let cat = "猫".as_bytes();
        let mut bytes = cat[..2].to_vec();
        assert_eq!(whole_characters(&mut bytes), "");
        bytes.extend_from_slice(&[cat[2], b'!', 0xff, b'?', 0xe7]);
        assert_eq!((whole_characters(&mut bytes).as_str(), &bytes[..]), ("猫!\u{fffd}?", &[0xe7][..]));
    }
}
