//! The text encoder: a sentence in, its place in the vocabulary's space out.
//!
//! all-MiniLM-L6-v2 (Reimers and Gurevych, sentence-transformers; 6 layers, 384 wide) in int8, as `tools/train/text.py` writes
//! it. It is loaded where sentences are added, and given back afterwards; the running program never holds it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tract_onnx::prelude::*;

use crate::engine::{Backend, Engine, Port};
use crate::ops::Rhythm;
use crate::pack::{FilePart, parse_toml};
use crate::pieces::Pieces;
use crate::table::Table;
use crate::{EMBEDDING, Evidence, InferError, PackError};

/// The most pieces of a sentence, its two ends among them; the rest is not read.
pub const MOST_PIECES: usize = 128;

/// The format of `encoder.toml` that this program reads.
const FORMAT: u32 = 1;

/// A folder with a text encoder that was opened and found whole.
#[derive(Clone, Debug)]
pub struct TextPack {
    /// Where it lies.
    pub folder: PathBuf,
    manifest: Manifest,
}

/// `encoder.toml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// For the person who reads it.
    #[allow(dead_code, reason = "a file without a name is refused")]
    name: String,
    graph: FilePart,
    words: FilePart,
    pieces: FilePart,
}

impl TextPack {
    /// The file by which a folder is known for a text encoder's.
    pub const MANIFEST: &str = "encoder.toml";

    /// Opens the encoder in `folder`.
    ///
    /// # Errors
    /// A file is missing or damaged, or the manifest is wrong; see [`PackError`].
    pub fn open(folder: &Path) -> Result<Self, PackError> {
        let path = folder.join(Self::MANIFEST);
        let manifest: Manifest = parse_toml(&path)?;
        if manifest.format != FORMAT {
            return Err(PackError::Format { path, found: manifest.format, expected: FORMAT });
        }
        for part in [&manifest.graph, &manifest.words, &manifest.pieces] {
            part.check(folder)?;
        }
        Ok(Self { folder: folder.to_path_buf(), manifest })
    }
}

/// The loaded encoder.
#[derive(Debug)]
pub struct TextEncoder {
    engine: Engine,
    pieces: Pieces,
    /// A sentence has some ten rows of 30,522.
    words: Table,
}

/// What a sentence came to.
#[derive(Debug)]
pub struct Embedded {
    /// A unit vector, `[EMBEDDING]`.
    pub z: Vec<f32>,
    /// The same in int8, as it is kept.
    pub place: Evidence,
    /// Pieces beyond [`MOST_PIECES`], which were not read.
    pub left_out: usize,
}

impl TextEncoder {
    /// Loads the graph and the list of pieces.
    ///
    /// # Errors
    /// tract refuses the graph, or the files do not go together.
    pub fn load(pack: &TextPack) -> Result<Self, InferError> {
        let at = |part: &FilePart| part.path(&pack.folder);
        let (graph, words_path, pieces_path) =
            (at(&pack.manifest.graph), at(&pack.manifest.words), at(&pack.manifest.pieces));
        let failed = |path: &Path, why: String| InferError::Load { path: path.to_path_buf(), why };
        let list = fs::read_to_string(&pieces_path).map_err(|error| failed(&pieces_path, error.to_string()))?;
        let pieces = Pieces::new(&list).map_err(|why| failed(&pieces_path, why))?;
        let words = Table::open(&words_path, pieces.count(), EMBEDDING)?;
        let f32 = f32::datum_type();
        let inputs = [
            Port { name: "words", datum: f32, shape: &[MOST_PIECES, EMBEDDING] },
            Port { name: "valid", datum: f32, shape: &[MOST_PIECES] },
        ];
        let outputs = [Port { name: "z", datum: f32, shape: &[EMBEDDING] }];
        let engine = Engine::load(Backend::Cpu, &graph, Rhythm::Anew, "text encoder", &inputs, &outputs)?;
        Ok(Self { engine, pieces, words })
    }

    /// Where a sentence lies in the vocabulary's space.
    ///
    /// # Errors
    /// The table of pieces cannot be read any more, or tract fails.
    pub fn embed(&mut self, text: &str) -> Result<Embedded, InferError> {
        let (pieces, left_out) = self.pieces.of(text, MOST_PIECES);
        let failed = |error: TractError| InferError::Run { model: "text encoder", why: error.to_string() };
        let (words, valid) = self.gather(&pieces)?;
        let inputs = tvec![
            Tensor::from_shape(&[MOST_PIECES, EMBEDDING], &words).map_err(failed)?.into_tvalue(),
            Tensor::from_shape(&[MOST_PIECES], &valid).map_err(failed)?.into_tvalue(),
        ];
        let outputs = self.engine.run(inputs)?;
        let z =
            outputs[0].try_as_plain_ram().and_then(|plain| Ok(plain.as_slice::<f32>()?.to_vec())).map_err(failed)?;
        if !z.iter().all(|value| value.is_finite()) {
            let why = "it answered with what is not a number".into();
            return Err(InferError::Run { model: "text encoder", why });
        }
        Ok(Embedded { place: Evidence::of_text(text, &z), z, left_out })
    }

    /// Bytes of the weights that it holds; the table of pieces stays on disk.
    pub fn weight_bytes(&self) -> u64 {
        self.engine.weight_bytes()
    }

    /// Rows of these pieces `[MOST_PIECES][EMBEDDING]`, and which of them there are.
    fn gather(&mut self, pieces: &[u32]) -> Result<(Vec<f32>, Vec<f32>), InferError> {
        let (mut words, mut valid) = (vec![0.0; MOST_PIECES * EMBEDDING], vec![0.0; MOST_PIECES]);
        for (slot, piece) in pieces.iter().enumerate() {
            self.words.row(*piece, "text encoder", &mut words[slot * EMBEDDING..][..EMBEDDING])?;
            valid[slot] = 1.0;
        }
        Ok((words, valid))
    }
}
