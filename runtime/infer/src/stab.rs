//! STAB in its causal streaming form (Video-Panda, CVPR 2025; temporal convolutions padded on the left only).
//!
//! One frame in, `1 + windows` tokens out. What the gate left out is taken from the canvas, the last sent pixels of
//! every patch, and the graph computes only what a changed patch can reach: the result equals that of a dense pass, bit
//! for bit.

use tract_onnx::prelude::*;

use ocelli_types::{Encoder, FrameTokens, PatchBatch, PatchGrid};

use crate::engine::{Backend, Engine, Port};
use crate::{InferError, Pack};

/// The encoder of a pack.
#[derive(Debug)]
pub struct Stab {
    engine: Engine,
    grid: PatchGrid,
    token_width: usize,
    /// u8 `[patches][patch_bytes]` and `[patches]`: the canvas, and which patches changed; given to the graph and taken
    /// back.
    canvas: TValue,
    changed: TValue,
}

impl Stab {
    /// Loads the pack's graph.
    ///
    /// # Errors
    /// tract refuses it, or it is not the graph that the manifest describes.
    pub fn load(pack: &Pack) -> Result<Self, InferError> {
        let part = &pack.manifest.stab;
        let picture = [pack.grid.patches(), pack.grid.patch_bytes()];
        let tokens = [part.tokens, part.token_width];
        let inputs = [
            Port { name: "patches", datum: u8::datum_type(), shape: &picture },
            Port { name: "changed", datum: u8::datum_type(), shape: &picture[..1] },
        ];
        let outputs = [Port { name: "tokens", datum: f32::datum_type(), shape: &tokens }];
        let engine = Engine::load(Backend::Cpu, &pack.folder.join(&part.file), "STAB", &inputs, &outputs)?;
        Ok(Self {
            engine,
            grid: pack.grid,
            token_width: part.token_width,
            canvas: zeros(&picture),
            changed: zeros(&picture[..1]),
        })
    }

    /// Forgets every frame, as after a cut in the stream; the next batch must bring every patch.
    ///
    /// # Errors
    /// tract cannot set the graph up anew.
    pub fn reset(&mut self) -> Result<(), InferError> {
        self.canvas = zeros(&[self.grid.patches(), self.grid.patch_bytes()]);
        self.engine.reset()
    }

    /// Multiply-adds of one frame of which everything changed.
    pub fn macs(&self) -> u64 {
        self.engine.macs()
    }

    /// Bytes of the plan's weights.
    pub fn weight_bytes(&self) -> u64 {
        self.engine.weight_bytes()
    }

    /// Bytes of the canvas and of what the graph's ops hold besides weights.
    pub fn state_bytes(&self) -> u64 {
        self.engine.state_bytes() + (self.grid.bytes() + self.grid.patches()) as u64
    }

    /// Puts the sent patches where they belong, and marks those that differ from what was there.
    fn paint(&mut self, batch: &PatchBatch<'_>) -> Result<(), InferError> {
        let bytes = self.grid.patch_bytes();
        let expected = batch.sent.count() * bytes;
        let beyond = batch.sent.iter().any(|index| index >= self.grid.patches());
        if batch.grid != self.grid || batch.patches.len() != expected || beyond {
            let found = format!("{} bytes for {} patches of {:?}", batch.patches.len(), batch.sent.count(), batch.grid);
            return Err(InferError::BadInput {
                model: "STAB",
                expected: format!("{expected} of {:?}", self.grid),
                found,
            });
        }
        with(&mut self.canvas, |canvas| {
            with(&mut self.changed, |changed| {
                changed.fill(0);
                for (index, patch) in batch.sent.iter().zip(batch.patches.chunks_exact(bytes)) {
                    let place = &mut canvas[index * bytes..(index + 1) * bytes];
                    if place != patch {
                        place.copy_from_slice(patch);
                        changed[index] = 1;
                    }
                }
            })
        })
        .flatten()
        .map_err(|error| InferError::Run { model: "STAB", why: error.to_string() })
    }
}

fn zeros(shape: &[usize]) -> TValue {
    Tensor::zero::<u8>(shape).expect("bytes should have room").into_tvalue()
}

/// Writes into a tensor of bytes. Nobody else holds it between two runs, so this takes it without a copy.
fn with<T>(value: &mut TValue, write: impl FnOnce(&mut [u8]) -> T) -> TractResult<T> {
    let mut tensor = std::mem::replace(value, Tensor::default().into_tvalue()).into_tensor();
    let done = tensor.try_as_plain_ram_mut().and_then(|mut plain| Ok(write(plain.as_slice_mut::<u8>()?)));
    *value = tensor.into_tvalue();
    done
}

impl Encoder for Stab {
    type Error = InferError;

    /// # Errors
    /// The batch is of another grid, and nothing has changed; or tract failed, and the encoder must be reset.
    fn encode(&mut self, batch: &PatchBatch<'_>, tokens: &mut FrameTokens<'_>) -> Result<(), InferError> {
        let expected = (self.grid.windows() + 1) * self.token_width;
        if tokens.width != self.token_width || tokens.values.len() != expected {
            let found = format!("room for {} values of width {}", tokens.values.len(), tokens.width);
            let expected = format!("room for {expected} of width {}", self.token_width);
            return Err(InferError::BadInput { model: "STAB", expected, found });
        }
        self.paint(batch)?;
        let outputs = self.engine.run(tvec![self.canvas.clone(), self.changed.clone()])?;
        let values = outputs[0].try_as_plain_ram().and_then(|plain| {
            tokens.values.copy_from_slice(plain.as_slice()?);
            Ok(())
        });
        values.map_err(|error| InferError::Run { model: "STAB", why: error.to_string() })
    }
}
