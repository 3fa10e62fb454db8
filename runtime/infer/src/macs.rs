//! What a STAB costs: multiply-adds by part, and parameters, from its sizes alone.
//!
//! The published form (Video-Panda, CVPR 2025, `vision_tokenizer.py`) computes keys and values of every patch. The
//! queries of GSTRA and FSRA are learned constants, so their keys fold into one vector a head and the value matrix
//! moves behind the weighted sum; in LSD the window's query is carried through the key matrix. That is exact algebra.

/// Frames of a chunk, over which the published GSTRA attends once.
const CHUNK: u64 = 4;

/// Sizes of a STAB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StabShape {
    /// Frames counted together.
    pub frames: u64,
    /// Side of the square input.
    pub input_px: u64,
    /// Side of a patch.
    pub patch_px: u64,
    /// Width d.
    pub width: u64,
    /// Heads of the attentions.
    pub heads: u64,
    /// Inner width of the projector.
    pub hidden: u64,
    /// Width H of a token.
    pub token_width: u64,
}

/// Which way of computing is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As published: chunks of 4 frames, keys and values of every patch, row-end tokens.
    Published,
    /// As we run it: causal, one frame at a time, constant queries folded, no row-end tokens.
    Folded,
}

/// Multiply-adds by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Macs {
    /// Patch embedding.
    pub patch: u64,
    /// Local spatio-temporal encoding.
    pub lste: u64,
    /// Depthwise 3x3x3 positional convolution.
    pub dpe: u64,
    /// Global spatio-temporal relationship aggregator.
    pub gstra: u64,
    /// Local spatial downsampling.
    pub lsd: u64,
    /// Frame-wise spatial relationship aggregator.
    pub fsra: u64,
    /// Fusion of the two aggregators' vectors.
    pub fusion: u64,
    /// Projection to the width of the head.
    pub projector: u64,
}

impl Macs {
    /// All parts.
    pub const fn total(&self) -> u64 {
        self.patch + self.lste + self.dpe + self.gstra + self.lsd + self.fsra + self.fusion + self.projector
    }
}

impl StabShape {
    const fn side(&self) -> u64 {
        self.input_px / self.patch_px
    }

    const fn patch_values(&self) -> u64 {
        self.patch_px * self.patch_px * 3
    }

    const fn reduced(&self) -> u64 {
        self.width * 2 / 3
    }

    /// Multiply-adds of [`frames`](Self::frames) frames; norms, softmax and activations are not counted.
    pub const fn macs(&self, form: Form) -> Macs {
        let (d, frames) = (self.width, self.frames);
        let square = d * d;
        let patches = self.side() * self.side();
        let windows = patches / 4;
        let window_side = self.side() / 2;
        let (gstra, lsd, fsra, tokens) = match form {
            // A key costs its key and value product, a score and a share of the weighted sum.
            Form::Published => (
                frames * patches * (2 * square + 2 * d) + frames.div_ceil(CHUNK) * 10 * square,
                patches * (2 * square + 2 * d) + 2 * windows * square,
                windows * (2 * square + 2 * d) + 2 * square,
                1 + window_side * (window_side + 1),
            ),
            // Per head a score and a weighted sum over whole inputs; value, output and MLP once for the vector.
            Form::Folded => (
                frames * (2 * patches * self.heads * d + 10 * square),
                windows * (4 * square + 8 * self.heads * d),
                2 * windows * self.heads * d + 2 * square,
                1 + windows,
            ),
        };
        Macs {
            patch: frames * patches * self.patch_values() * d,
            lste: frames * patches * self.reduced() * (2 * d + 3),
            dpe: frames * patches * d * 27,
            gstra,
            lsd: frames * lsd,
            fsra: frames * fsra,
            fusion: frames * square,
            projector: frames * tokens * self.hidden * (d + self.token_width),
        }
    }

    /// Parameters without the projector and the row-end token, as published.
    pub const fn core_parameters(&self) -> u64 {
        let (d, reduced) = (self.width, self.reduced());
        let square = d * d;
        let patch = self.patch_values() * d;
        let lste = 2 * d + (d * reduced + reduced) + 4 * reduced + (reduced * d + d);
        let dpe = 28 * d;
        let gstra = d + 6 * d + 4 * (square + d) + 8 * square + 5 * d;
        let lsd = 4 * square + d + 4 * d;
        let fsra = lsd + d;
        let fusion = d + 2 * d + square + d;
        patch + lste + dpe + gstra + lsd + fsra + fusion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: StabShape =
        StabShape { frames: 8, input_px: 448, patch_px: 14, width: 1024, heads: 8, hidden: 4096, token_width: 4096 };

    fn giga(shape: StabShape, form: Form) -> f64 {
        shape.macs(form).total() as f64 / 1e9
    }

    fn near(value: f64, printed: f64, half_digit: f64) {
        assert!((value - printed).abs() <= half_digit, "{value} is not {printed}");
    }

    #[test]
    fn the_published_sizes_cost_what_is_published() {
        near(giga(PUBLISHED, Form::Published), 105.45, 0.005);
        near(PUBLISHED.core_parameters() as f64 / 1e6, 24.09, 0.005);
        // 43% of it is the projector.
        let projector = PUBLISHED.macs(Form::Published).projector as f64 / 1e9;
        near(projector / giga(PUBLISHED, Form::Published), 0.43, 0.005);
    }

    #[test]
    fn other_sizes_cost_what_was_computed_elsewhere() {
        let small = StabShape { hidden: 896, token_width: 896, ..PUBLISHED };
        near(giga(small, Form::Published), 63.4, 0.05);
        near(giga(StabShape { input_px: 336, ..small }, Form::Published), 35.7, 0.05);
        near(giga(StabShape { input_px: 224, ..small }, Form::Published), 15.95, 0.005);
        let own = StabShape { input_px: 224, width: 384, hidden: 576, token_width: 576, ..PUBLISHED };
        near(giga(own, Form::Published), 2.73, 0.005);
        near(own.core_parameters() as f64 / 1e6, 3.54, 0.01);
    }

    #[test]
    fn folding_saves_and_never_costs() {
        for input_px in [224, 448] {
            for width in [192, 384, 1024] {
                let shape = StabShape { input_px, width, ..PUBLISHED };
                let (dense, folded) = (shape.macs(Form::Published), shape.macs(Form::Folded));
                assert!(folded.gstra < dense.gstra && folded.lsd < dense.lsd && folded.fsra < dense.fsra);
                assert_eq!((folded.patch, folded.lste, folded.dpe), (dense.patch, dense.lste, dense.dpe));
            }
        }
    }
}
