//! The last sent pixels of every patch: what an encoder sees where the gate sent nothing.

use tract_onnx::prelude::*;

use ocelli_types::{FrameTokens, PatchBatch, PatchGrid};

use crate::InferError;

/// A tensor that is given to a graph and taken back, u8 `[patches][patch_bytes]`.
#[derive(Debug)]
pub(crate) struct Canvas {
    grid: PatchGrid,
    token_width: usize,
    pixels: TValue,
}

impl Canvas {
    /// A blank one, for an encoder that makes tokens of this width.
    pub fn new(grid: PatchGrid, token_width: usize) -> Self {
        Self { grid, token_width, pixels: zeros(&[grid.patches(), grid.patch_bytes()]) }
    }

    /// A blank one for the same encoder.
    pub fn blank(&self) -> Self {
        Self::new(self.grid, self.token_width)
    }

    /// Paints it black, where it lies.
    pub fn clear(&mut self) {
        with(&mut self.pixels, |pixels| pixels.fill(0)).expect("a canvas should be plain bytes");
    }

    /// For a run of the graph.
    pub fn tensor(&self) -> TValue {
        self.pixels.clone()
    }

    /// Puts the sent patches where they belong, and tells which differ from what was there.
    ///
    /// # Errors
    /// The batch is of another grid, or there is no room for the tokens; nothing was painted.
    pub fn paint(
        &mut self,
        batch: &PatchBatch<'_>,
        room: &FrameTokens<'_>,
        mut differs: impl FnMut(usize),
    ) -> Result<(), InferError> {
        self.check(batch, room)?;
        let bytes = self.grid.patch_bytes();
        let painted = with(&mut self.pixels, |pixels| {
            for (index, patch) in batch.sent.iter().zip(batch.patches.chunks_exact(bytes)) {
                let place = &mut pixels[index * bytes..(index + 1) * bytes];
                if place != patch {
                    place.copy_from_slice(patch);
                    differs(index);
                }
            }
        });
        painted.map_err(|error| failed(&error))
    }

    fn check(&self, batch: &PatchBatch<'_>, room: &FrameTokens<'_>) -> Result<(), InferError> {
        let wrong = |expected, found| Err(InferError::BadInput { model: "STAB", expected, found });
        let values = (self.grid.windows() + 1) * self.token_width;
        if room.width != self.token_width || room.values.len() != values {
            let found = format!("room for {} values of width {}", room.values.len(), room.width);
            return wrong(format!("room for {values} of width {}", self.token_width), found);
        }
        let bytes = batch.sent.count() * self.grid.patch_bytes();
        let beyond = batch.sent.iter().any(|index| index >= self.grid.patches());
        if batch.grid != self.grid || batch.patches.len() != bytes || beyond {
            let found = format!("{} bytes for {} patches of {:?}", batch.patches.len(), batch.sent.count(), batch.grid);
            return wrong(format!("{bytes} of {:?}", self.grid), found);
        }
        Ok(())
    }
}

/// Copies a graph's tokens to where they are wanted.
pub(crate) fn give(output: &TValue, tokens: &mut FrameTokens<'_>) -> Result<(), InferError> {
    let plain = output.try_as_plain_ram().map_err(|error| failed(&error))?;
    tokens.values.copy_from_slice(plain.as_slice().map_err(|error| failed(&error))?);
    Ok(())
}

pub(crate) fn zeros(shape: &[usize]) -> TValue {
    Tensor::zero::<u8>(shape).expect("bytes should have room").into_tvalue()
}

/// Writes into a tensor of bytes. Nobody else holds it between two runs, so this takes it without a copy.
pub(crate) fn with(value: &mut TValue, write: impl FnOnce(&mut [u8])) -> TractResult<()> {
    let mut tensor = std::mem::replace(value, Tensor::default().into_tvalue()).into_tensor();
    let done = tensor.try_as_plain_ram_mut().and_then(|mut plain| {
        write(plain.as_slice_mut::<u8>()?);
        Ok(())
    });
    *value = tensor.into_tvalue();
    done
}

pub(crate) fn failed(error: &TractError) -> InferError {
    InferError::Run { model: "STAB", why: error.to_string() }
}
