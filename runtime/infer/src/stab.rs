//! STAB in its causal streaming form (Video-Panda, CVPR 2025; temporal convolutions padded on the left only).
//!
//! One frame in, `1 + windows` tokens out. What the gate left out is taken from the canvas, the last sent pixels of
//! every patch, and the graph computes only what a changed patch can reach: the result equals that of a dense pass, bit
//! for bit.

use tract_onnx::prelude::*;

use ocelli_types::{Encoder, FrameTokens, PatchBatch, PatchGrid};

use crate::canvas::{Canvas, failed, give, with, zeros};
use crate::engine::{Backend, Engine, Port};
use crate::ops::Rhythm;
use crate::{InferError, Pack};

/// The encoder of a pack.
#[derive(Debug)]
pub struct Stab {
    engine: Engine,
    grid: PatchGrid,
    canvas: Canvas,
    /// u8 `[patches]`: which of the canvas changed.
    changed: TValue,
    /// The graph failed half-way, and its ops remember what nobody knows.
    broken: bool,
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
        let path = pack.folder.join(&part.file);
        let mut engine = Engine::load(Backend::Cpu, &path, Rhythm::Stream, "STAB", &inputs, &outputs)?;
        engine.rehearse(&path, tvec![zeros(&picture), zeros(&picture[..1])])?;
        engine.reset()?;
        Ok(Self {
            engine,
            grid: pack.grid,
            canvas: Canvas::new(pack.grid, part.token_width),
            changed: zeros(&picture[..1]),
            broken: false,
        })
    }

    /// An encoder for another stream: it shares graph and weights with this one, and has seen nothing.
    ///
    /// # Errors
    /// tract cannot set the graph up once more.
    pub fn sibling(&self) -> Result<Self, InferError> {
        Ok(Self {
            engine: self.engine.sibling()?,
            grid: self.grid,
            canvas: self.canvas.blank(),
            changed: zeros(&[self.grid.patches()]),
            broken: false,
        })
    }

    /// Forgets every frame, as after a cut in the stream; the next batch must bring every patch.
    ///
    /// # Errors
    /// tract cannot set the graph up anew.
    pub fn reset(&mut self) -> Result<(), InferError> {
        self.canvas.clear();
        self.engine.reset()?;
        self.broken = false;
        Ok(())
    }

    /// Multiply-adds of one frame of which everything changed.
    pub fn macs(&self) -> u64 {
        self.engine.macs()
    }

    /// Bytes of the plan's weights.
    pub fn weight_bytes(&self) -> u64 {
        self.engine.weight_bytes()
    }

    /// Bytes of the canvas and of what the graph's ops hold besides weights: all that a sibling adds.
    pub fn state_bytes(&self) -> u64 {
        self.engine.state_bytes() + (self.grid.bytes() + self.grid.patches()) as u64
    }
}

impl Encoder for Stab {
    type Error = InferError;

    /// # Errors
    /// The batch is of another grid, and nothing has changed; or tract failed, and the encoder must be reset.
    fn encode(&mut self, batch: &PatchBatch<'_>, tokens: &mut FrameTokens<'_>) -> Result<(), InferError> {
        if self.broken {
            let why = "it failed before, and was not reset".into();
            return Err(InferError::Run { model: "STAB", why });
        }
        let Self { canvas, changed, .. } = self;
        let mut painted = Ok(());
        with(changed, |changed| {
            changed.fill(0);
            painted = canvas.paint(batch, tokens, |index| changed[index] = 1);
        })
        .map_err(|error| failed(&error))?;
        painted?;
        self.broken = true;
        let outputs = self.engine.run(tvec![self.canvas.tensor(), self.changed.clone()])?;
        give(&outputs[0], tokens)?;
        self.broken = false;
        Ok(())
    }
}
