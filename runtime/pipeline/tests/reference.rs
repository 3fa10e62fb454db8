//! Gate and selection make the same choices as the Python that the models are trained with, to the bit.
//!
//! `python runtime/pipeline/tests/reference.py` writes selection.bin and gate.bin; the pack has the goldens.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use ocelli_pipeline::{GateConfig, MemoryConfig, MemoryRing, PatchSlot, Selection, TokenGate};
use ocelli_types::{Content, FrameSeq, Micros, PatchGrid, PatchMask};

fn home_grid() -> PatchGrid {
    PatchGrid::new(224, 14).expect("224 is 16 patches of 14")
}

/// The defaults of `tools/train/gate.py`.
const GATE: GateConfig =
    GateConfig { min_mad: 4, noise_factor_num: 5, noise_factor_den: 2, refresh_frames: 25, whole_frame_tenths: 6 };

/// Shape and data of a .npy file of bytes (or bools), format 1.0, C order.
fn read_npy_u8(name: &str) -> (Vec<usize>, Vec<u8>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test/golden");
    let bytes = fs::read(folder.join(name)).expect("the golden should be in the pack");
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let data_at = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..data_at]).into_owned();
    assert!(header.contains("'|u1'") || header.contains("'|b1'"), "{header}");
    assert!(header.contains("'fortran_order': False"), "{header}");
    let shape = header.split(['(', ')']).nth(1).expect("a header has a shape");
    let shape: Vec<usize> = shape.split(',').filter_map(|side| side.trim().parse().ok()).collect();
    let data = bytes[data_at..].to_vec();
    assert_eq!(data.len(), shape.iter().product::<usize>());
    (shape, data)
}

#[test]
fn the_gate_keeps_what_gate_py_keeps() {
    let grid = home_grid();
    let (shape, pictures) = read_npy_u8("gate_patches.npy");
    let (_, expected) = read_npy_u8("gate_keep.npy");
    let (_, changed) = read_npy_u8("gate_changed.npy");
    assert_eq!(shape[1..], [grid.patches(), grid.patch_bytes()]);
    // The golden clip is 224x168: 28 pixels of letter-box above and below.
    let content = Content { y0: 2, y1: 14, ..Content::whole(grid) };

    let mut gate = TokenGate::new(grid, GATE).expect("a valid gate");
    let mut slot = PatchSlot::new(grid);
    let (mut canvas, mut wanted) = (vec![0; grid.bytes()], vec![0; grid.bytes()]);
    let masks = expected.chunks_exact(grid.patches()).zip(changed.chunks_exact(grid.patches()));
    for (frame, (picture, (expected, changed))) in pictures.chunks_exact(grid.bytes()).zip(masks).enumerate() {
        let report = gate.select(picture, content, FrameSeq(frame as u64), Micros(frame as u64 * 200_000), &mut slot);
        let batch = slot.batch();
        let kept: Vec<u8> = (0..grid.patches()).map(|index| u8::from(batch.kept.contains(index))).collect();
        assert_eq!(kept, expected, "frame {frame}");
        assert_eq!(report.kept as usize, batch.kept.count());
        assert_eq!(report.content, 192);
        for (index, patch) in batch.sent.iter().zip(batch.patches.chunks_exact(grid.patch_bytes())) {
            canvas[index * grid.patch_bytes()..][..grid.patch_bytes()].copy_from_slice(patch);
        }
        for index in (0..grid.patches()).filter(|index| changed[*index] == 1) {
            let patch = index * grid.patch_bytes()..(index + 1) * grid.patch_bytes();
            wanted[patch.clone()].copy_from_slice(&picture[patch]);
        }
        assert!(canvas == wanted, "frame {frame}: the encoder should see what gate.py shows");
    }
}

/// The picture that `reference.py` makes: drift, a bright bar that moves, noise that comes and goes, two cuts.
fn picture(grid: PatchGrid, t: u32, out: &mut [u8]) {
    let noise_most = [0, 12, 40, 3][t as usize / 30 % 4];
    for (i, byte) in (0..).zip(out) {
        let column = i / grid.patch_bytes() as u32 % 16;
        let noise = i.wrapping_mul(2_654_435_761).wrapping_add(t * 40_503).wrapping_mul(2_246_822_519) >> 24;
        let bar = if column == t / 3 % 16 { 90 } else { 0 };
        *byte = (60 + 40 * (t / 100) + column * (t % 100) / 32 + bar + ((noise * noise_most) >> 8)) as u8;
    }
}

#[test]
fn the_gate_follows_gate_py_through_noise_drift_and_cuts() {
    let grid = home_grid();
    let content = Content { y0: 2, y1: 14, ..Content::whole(grid) };
    let mut gate = TokenGate::new(grid, GATE).expect("a valid gate");
    let (mut slot, mut pixels) = (PatchSlot::new(grid), vec![0; grid.bytes()]);
    for (t, expected) in (0..).zip(include_bytes!("gate.bin").chunks_exact(64)) {
        picture(grid, t, &mut pixels);
        gate.select(&pixels, content, FrameSeq(t.into()), Micros(t.into()), &mut slot);
        let masks = [("keep", slot.batch().kept), ("send", slot.batch().sent)];
        for ((what, found), expected) in masks.into_iter().zip(expected.chunks_exact(32)) {
            let expected: Vec<usize> = (0..256).filter(|index| expected[index / 8] >> (index % 8) & 1 == 1).collect();
            assert!(found.iter().eq(expected.iter().copied()), "frame {t} should {what} {expected:?}");
        }
    }
}

#[test]
fn the_ring_shows_what_tokens_py_selects() {
    let fixture = include_bytes!("selection.bin");
    let grid = home_grid();
    let selection = Selection { slots: 128, frame_tokens: 8, max_age_frames: 15 };
    // These histories know no refresh, so the ring must hold the longest of them whole.
    let config = MemoryConfig::new(grid, 2, selection, 60);
    let mut rest = &fixture[..];
    while let Some((frames, after)) = rest.split_first() {
        let mut ring = MemoryRing::new(config).expect("a valid ring");
        rest = after;
        for frame in 0..*frames {
            let (record, after) = rest.split_at(8 + selection.slots * 2);
            rest = after;
            let (kept, expected) = record.split_at(8);
            let values: Vec<f32> = (0..=grid.windows()).flat_map(|row| [f32::from(frame), row as f32]).collect();
            ring.commit(&values, &a_patch_of_each(grid, kept), Micros(u64::from(frame)));
            check_view(&mut ring, frame, expected);
        }
    }
}

/// A mask with the bottom right patch of each window that has its bit set.
fn a_patch_of_each(grid: PatchGrid, windows: &[u8]) -> PatchMask {
    let mut mask = PatchMask::empty();
    for window in (0..grid.windows()).filter(|window| windows[window / 8] >> (window % 8) & 1 == 1) {
        let (row, column) = (window / grid.window_side() * 2 + 1, window % grid.window_side() * 2 + 1);
        mask.insert(row * grid.side + column);
    }
    mask
}

fn check_view(ring: &mut MemoryRing, frame: u8, expected: &[u8]) {
    let view = ring.view().expect("something was committed");
    for (slot, (chosen, expected)) in view.slots.iter().zip(expected.chunks_exact(2)).enumerate() {
        let found = chosen.map(|chosen| (chosen.age_frames as u8, chosen.position as u8));
        let wanted = (expected != [255, 255]).then_some((expected[0], expected[1]));
        assert_eq!(found, wanted, "slot {slot} after frame {frame}");
        if let (Some(chosen), Some((age, position))) = (chosen, wanted) {
            let row = if position == 64 { 0 } else { position + 1 };
            let values: Vec<f32> = view.token(*chosen).collect();
            let near = |value: f32, wanted: u8| (value - f32::from(wanted)).abs() < 0.5;
            assert!(near(values[0], frame - age) && near(values[1], row), "slot {slot}: {values:?}");
        }
    }
}

/// `cargo test -p ocelli-pipeline -- --ignored --nocapture cost`
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_the_gate() {
    let grid = home_grid();
    let (_, pictures) = read_npy_u8("gate_patches.npy");
    let pictures: Vec<&[u8]> = pictures.chunks_exact(grid.bytes()).collect();
    let mut gate = TokenGate::new(grid, GATE).expect("a valid gate");
    let mut slot = PatchSlot::new(grid);
    let mut seq = 0;
    // The best of many rounds: the machine does other things too.
    let round_ms = (0..200).map(|round| {
        let start = Instant::now();
        for _ in 0..25 {
            seq += 1;
            let picture = pictures[round % pictures.len()];
            gate.select(picture, Content::whole(grid), FrameSeq(seq), Micros(seq), &mut slot);
        }
        start.elapsed().as_secs_f64() * 1e3 / 25.0
    });
    println!("{:.4} ms a frame", round_ms.fold(f64::MAX, f64::min));
}
