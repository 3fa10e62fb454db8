//! From a clip to what the encoder is given: sampled, fitted and gated as the program does it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ocelli_drivers::{Clip, Fitter, Sampler};
use ocelli_infer::Pack;
use ocelli_pipeline::{GateConfig, PatchSlot, TokenGate};
use ocelli_types::{Content, Fault, Faulty, FrameSeq, FrameSource, Micros};

use crate::{Play, Shot};

/// One picture as the model sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `[patches][patch_bytes]`
    pub pixels: Vec<u8>,
    /// Where in it the picture lies.
    pub content: Content,
    /// When it was taken.
    pub captured_us: Micros,
}

/// The pictures of a clip that are due at the pack's frame rate.
///
/// # Errors
/// The clip does not open, or none of its pictures can be decoded.
pub fn watch(pack: &Pack, path: &Path) -> Result<Vec<Seen>> {
    watch_late(pack, path, Micros(0))
}

/// The same of a camera that was turned on `late` after the clip's beginning: other pictures are due then.
///
/// # Errors
/// As [`watch`].
pub fn watch_late(pack: &Pack, path: &Path, late: Micros) -> Result<Vec<Seen>> {
    let mut clip = Clip::open(path)?;
    let mut sampler = Sampler::new(pack.manifest.input.fps);
    let mut fitter = Fitter::new(pack.grid, pack.manifest.input.letterbox);
    let mut pictures = Vec::new();
    loop {
        let frame = match clip.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(error) if error.fault() == Fault::Retry => continue,
            // A clip that is cut short is told as far as it goes.
            Err(_) if !pictures.is_empty() => break,
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        if frame.captured_us >= late && sampler.take(frame.captured_us) {
            let mut pixels = vec![0; pack.grid.bytes()];
            if let Ok(content) = fitter.fit(&frame, &mut pixels) {
                pictures.push(Seen { pixels, content, captured_us: frame.captured_us });
            }
        }
    }
    if pictures.is_empty() {
        bail!("{}: not one picture could be decoded", path.display());
    }
    Ok(pictures)
}

/// The gate of a pack.
///
/// # Errors
/// It is none.
pub fn token_gate(pack: &Pack) -> Result<TokenGate> {
    let part = &pack.manifest.gate;
    let config = GateConfig {
        min_mad: part.min_mad,
        noise_factor_num: part.noise_factor_num,
        noise_factor_den: part.noise_factor_den,
        refresh_frames: part.refresh_frames,
        whole_frame_tenths: part.whole_frame_tenths,
    };
    Ok(TokenGate::new(pack.grid, config)?)
}

/// What the pack's gate sends of these pictures, from the first one on.
///
/// # Errors
/// The pack's gate is not one.
pub fn gate<'a>(pack: &Pack, name: &str, pictures: impl IntoIterator<Item = &'a Seen>) -> Result<Play> {
    let mut gate = token_gate(pack)?;
    let mut slot = PatchSlot::new(pack.grid);
    let mut play = Play { name: name.into(), grid: pack.grid, shots: Vec::new() };
    for (seq, Seen { pixels, content, captured_us }) in pictures.into_iter().enumerate() {
        gate.select(pixels, *content, FrameSeq(seq as u64), *captured_us, &mut slot);
        let batch = slot.batch();
        let (sent, kept, patches) = (*batch.sent, *batch.kept, batch.patches.to_vec());
        play.shots.push(Shot { sent, kept, patches, captured_us: *captured_us });
    }
    Ok(play)
}
