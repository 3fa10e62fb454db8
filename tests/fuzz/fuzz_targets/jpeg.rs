//! A picture that somebody sends with a chat, or a camera of the network.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_drivers::Fitter;
use ocelli_types::{ColorMatrix, Frame, FrameSeq, Micros, PatchGrid, PixelRange, Pixels, SizePx};

fuzz_target!(|bytes: &[u8]| {
    let grid = PatchGrid { side: 4, patch_px: 14 };
    let frame = Frame {
        pixels: Pixels::Jpeg(bytes),
        size_px: SizePx::new(1, 1),
        range: PixelRange::Full,
        matrix: ColorMatrix::Bt601,
        seq: FrameSeq(0),
        captured_us: Micros(0),
    };
    let mut out = vec![0; grid.bytes()];
    let _ = Fitter::new(grid, 128).fit(&frame, &mut out);
});
