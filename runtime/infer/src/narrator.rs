//! The narrator: recent tokens of the memory in, probabilities of the vocabulary's sentences out.
//!
//! VLog's retrieval form: one forward pass over the chosen tokens and a retrieval token (their mean); its projection
//! is compared with the embedded sentences. Nothing is generated, and there is no decoding loop.

use std::sync::Arc;

use tract_onnx::prelude::*;

use ocelli_types::{Head, MemoryView, Worth};

use crate::engine::{Backend, Engine, Port};
use crate::ops::Rhythm;
use crate::{EMBEDDING, InferError, Pack, Vocabulary};

/// Numbers of the output `speak`, where a pack has it: logits of informative and relevant.
const HEADS: usize = 2;

/// The oldest age that the narrator tells apart.
const MAX_AGE: i64 = 31;

/// The head of a pack.
#[derive(Debug)]
pub struct Narrator {
    engine: Engine,
    vocabulary: Arc<Vocabulary>,
    temperature: f32,
    slots: usize,
    token_width: usize,
    worth: Option<Worth>,
}

impl Narrator {
    /// Loads the pack's graph.
    ///
    /// # Errors
    /// tract refuses it, or it is not the graph that the manifest describes.
    pub fn load(pack: &Pack) -> Result<Self, InferError> {
        Self::load_graph(pack, Backend::Cpu, &pack.manifest.narrator.file, pack.manifest.speak.news.is_some())
    }

    /// Loads the f32 graph that the int8 one was made from; it has no heads of what is worth telling.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_reference(pack: &Pack, backend: Backend) -> Result<Self, InferError> {
        Self::load_graph(pack, backend, &pack.manifest.reference.narrator, false)
    }

    fn load_graph(pack: &Pack, backend: Backend, file: &str, news: bool) -> Result<Self, InferError> {
        let part = &pack.manifest.narrator;
        let token_width = pack.manifest.stab.token_width;
        let f32 = f32::datum_type();
        let inputs = [
            Port { name: "tokens", datum: f32, shape: &[part.slots, token_width] },
            Port { name: "index", datum: i64::datum_type(), shape: &[part.slots, 2] },
            Port { name: "valid", datum: f32, shape: &[part.slots] },
        ];
        let outputs =
            [Port { name: "z", datum: f32, shape: &[EMBEDDING] }, Port { name: "speak", datum: f32, shape: &[HEADS] }];
        let outputs = &outputs[..=usize::from(news)];
        let path = pack.folder.join(file);
        let mut engine = Engine::load(backend, &path, Rhythm::Anew, "narrator", &inputs, outputs)?;
        // With the oldest age and the last position, so that the tables have them all.
        let oldest = [MAX_AGE, i64::from(pack.grid.windows() as u32)].repeat(part.slots);
        let rehearsal = tensors(part.slots, &vec![0.0; part.slots * token_width], &oldest, &vec![1.0; part.slots]);
        let rehearsal = rehearsal.map_err(|error| InferError::Run { model: "narrator", why: error.to_string() })?;
        engine.rehearse(&path, rehearsal)?;
        Ok(Self {
            engine,
            vocabulary: Arc::clone(&pack.vocabulary),
            temperature: pack.manifest.vocabulary.temperature,
            slots: part.slots,
            token_width,
            worth: None,
        })
    }

    /// Multiply-adds of one look at full memory, as tract and our ops state them.
    pub fn macs(&self) -> u64 {
        self.engine.macs()
    }

    /// Bytes of the plan's weights.
    pub fn weight_bytes(&self) -> u64 {
        self.engine.weight_bytes()
    }

    /// Bytes of what the graph's ops hold besides weights.
    pub fn state_bytes(&self) -> u64 {
        self.engine.state_bytes()
    }

    /// `(tokens [slots, width], index [slots, 2], valid [slots])`; an empty slot is all zeros.
    fn gather(&self, view: &MemoryView<'_>) -> TractResult<TVec<TValue>> {
        let mut tokens = vec![0.0f32; self.slots * self.token_width];
        let mut index = vec![0i64; self.slots * 2];
        let mut valid = vec![0.0f32; self.slots];
        for (slot, chosen) in view.slots.iter().enumerate() {
            let Some(chosen) = *chosen else { continue };
            let to = &mut tokens[slot * self.token_width..][..self.token_width];
            to.iter_mut().zip(view.token(chosen)).for_each(|(to, value)| *to = value);
            index[slot * 2] = i64::from(chosen.age_frames).min(MAX_AGE);
            index[slot * 2 + 1] = i64::from(chosen.position);
            valid[slot] = 1.0;
        }
        tensors(self.slots, &tokens, &index, &valid)
    }
}

/// `(tokens [slots, width], index [slots, 2], valid [slots])` for the graph.
fn tensors(slots: usize, tokens: &[f32], index: &[i64], valid: &[f32]) -> TractResult<TVec<TValue>> {
    Ok(tvec![
        Tensor::from_shape(&[slots, tokens.len() / slots], tokens)?.into_tvalue(),
        Tensor::from_shape(&[slots, 2], index)?.into_tvalue(),
        Tensor::from_shape(&[slots], valid)?.into_tvalue(),
    ])
}

impl Narrator {
    /// Where the memory lies in the vocabulary's space: a unit vector into `z`, `[EMBEDDING]`; and the probability of each
    /// entry there, `[entries]`. Gives the cosine of the nearest.
    ///
    /// # Errors
    /// As [`Head::describe`].
    pub fn place(
        &mut self,
        view: &MemoryView<'_>,
        z: &mut [f32; EMBEDDING],
        probabilities: &mut [f32],
    ) -> Result<f32, InferError> {
        let entries = self.vocabulary.len();
        if view.width != self.token_width || view.slots.len() != self.slots || probabilities.len() != entries {
            let (slots, width) = (view.slots.len(), view.width);
            let found = format!("{slots} tokens of width {width} and room for {} sentences", probabilities.len());
            let expected = format!("{} of width {} and {entries}", self.slots, self.token_width);
            return Err(InferError::BadInput { model: "narrator", expected, found });
        }
        let failed = |error: TractError| InferError::Run { model: "narrator", why: error.to_string() };
        let inputs = self.gather(view).map_err(failed)?;
        let outputs = self.engine.run(inputs)?;
        let plain = outputs[0].try_as_plain_ram().map_err(failed)?;
        z.copy_from_slice(plain.as_slice().map_err(failed)?);
        self.worth = match outputs.get(1) {
            None => None,
            Some(logits) => {
                let logits = logits.try_as_plain_ram().and_then(|plain| plain.as_slice::<f32>()).map_err(failed)?;
                let [informative, relevant] = [logits[0], logits[1]].map(|logit| 1.0 / (1.0 + (-logit).exp()));
                Some(Worth { informative, relevant })
            }
        };
        Ok(self.vocabulary.look_up(z, self.temperature, probabilities))
    }

    /// What can be said.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Says this from now on. Who asks has room for another number of probabilities then.
    pub fn relearn(&mut self, vocabulary: Arc<Vocabulary>) {
        self.vocabulary = vocabulary;
    }
}

impl Head for Narrator {
    type Error = InferError;

    fn describe(&mut self, view: &MemoryView<'_>, probabilities: &mut [f32]) -> Result<(), InferError> {
        self.place(view, &mut [0.0; EMBEDDING], probabilities).map(drop)
    }

    fn worth(&self) -> Option<Worth> {
        self.worth
    }

    fn likeness(&self, entry: usize, other: usize) -> f32 {
        self.vocabulary.likeness(entry, other)
    }
}
