//! The f32 graph that the int8 one was made from: what tests and benchmarks hold ours against.
//!
//! Standard ONNX ops alone, dense, with its states as inputs and outputs, so that any back end can run it.

use tract_onnx::prelude::*;

use ocelli_types::{Encoder, FrameTokens, PatchBatch};

use crate::canvas::{Canvas, give};
use crate::engine::{Backend, Engine, Port};
use crate::ops::Rhythm;
use crate::{InferError, Pack};

/// Frames that GSTRA keeps besides the present one.
const GSTRA_PAST: usize = 3;

/// Score of a frame before the start: its weight is exp of it, 0.
const NO_FRAME: f32 = -1e4;

const NAMES: [&str; 6] = ["patches", "lste_state", "dpe_state", "gstra_m", "gstra_s", "gstra_v"];

/// The encoder of a pack in f32.
#[derive(Debug)]
pub struct ReferenceStab {
    engine: Engine,
    /// Shapes of the five states.
    state_shapes: [Vec<usize>; 5],
    canvas: Canvas,
    /// LSTE and DPE: the two frames before; GSTRA: maximum, sum and weighted sum of the three before.
    states: [TValue; 5],
}

impl ReferenceStab {
    /// Loads the pack's graph.
    ///
    /// # Errors
    /// tract refuses it, or it is not the graph that the manifest describes.
    pub fn load(pack: &Pack, backend: Backend) -> Result<Self, InferError> {
        let part = &pack.manifest.stab;
        let patches = pack.grid.patches();
        let state_shapes = [
            vec![2, patches, part.reduced],
            vec![2, patches, part.width],
            vec![GSTRA_PAST, part.heads],
            vec![GSTRA_PAST, part.heads],
            vec![GSTRA_PAST, part.heads, part.width],
        ];
        let f32 = f32::datum_type();
        let picture = [patches, pack.grid.patch_bytes()];
        let port = |name, shape| Port { name, datum: f32, shape };
        let states = || NAMES[1..].iter().copied().zip(&state_shapes).map(|(name, shape)| port(name, &shape[..]));
        let mut inputs = vec![Port { name: NAMES[0], datum: u8::datum_type(), shape: &picture }];
        inputs.extend(states());
        let tokens = [part.tokens, part.token_width];
        let mut outputs = vec![port("tokens", &tokens[..])];
        outputs.extend(states());
        let path = pack.folder.join(&pack.manifest.reference.stab);
        let engine = Engine::load(backend, &path, Rhythm::Stream, "STAB", &inputs, &outputs)?;
        let mut stab = Self {
            engine,
            canvas: Canvas::new(pack.grid, part.token_width),
            states: [const { Vec::new() }; 5].map(|shape| blank(&shape, 0.0)),
            state_shapes,
        };
        stab.reset();
        Ok(stab)
    }

    /// Forgets every frame, as after a cut in the stream; the next batch must bring every patch.
    pub fn reset(&mut self) {
        for (index, (state, shape)) in self.states.iter_mut().zip(&self.state_shapes).enumerate() {
            *state = blank(shape, if index == 2 { NO_FRAME } else { 0.0 });
        }
        self.canvas.clear();
    }
}

impl Encoder for ReferenceStab {
    type Error = InferError;

    /// # Errors
    /// The batch is of another grid, or tract failed; states and tokens are then those of before.
    fn encode(&mut self, batch: &PatchBatch<'_>, tokens: &mut FrameTokens<'_>) -> Result<(), InferError> {
        self.canvas.paint(batch, tokens, |_| {})?;
        let inputs = std::iter::once(self.canvas.tensor()).chain(self.states.iter().cloned()).collect();
        let mut outputs = self.engine.run(inputs)?;
        give(&outputs[0], tokens)?;
        for (state, next) in self.states.iter_mut().zip(outputs.drain(1..)) {
            *state = next;
        }
        Ok(())
    }
}

fn blank(shape: &[usize], value: f32) -> TValue {
    let count = shape.iter().product();
    Tensor::from_shape(shape, &vec![value; count]).expect("the count should be that of the shape").into_tvalue()
}
