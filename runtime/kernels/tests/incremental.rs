//! What is computed in part equals what is computed whole, bit for bit, whatever changes and for however long.

mod common;

use common::{Random, Sizes, Stab};
use ocelli_kernels::Isa;
use proptest::prelude::*;

/// Small for an interpreter (Miri), as in `every_cpu.rs`.
const SIZES: Sizes = if cfg!(miri) {
    Sizes { side: 2, heads: 1, dh: 5, r: 3, hidden: 7, h: 9 }
} else {
    Sizes { side: 8, heads: 2, dh: 16, r: 16, hidden: 32, h: 32 }
};

fn same(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Plays `frames` frames of which a share changes that itself changes, with a reset now and then.
fn play(seed: u64, frames: usize) -> Result<(), TestCaseError> {
    let mut random = Random(seed);
    let patches = SIZES.side * SIZES.side;
    let mut canvas = random.bytes(patches * 588);
    let (mut part, mut whole) = (Stab::new(Isa::detect(), SIZES, seed), Stab::new(Isa::detect(), SIZES, seed));
    let all = vec![1; patches];
    // Of 100 patches so many change; 0 is a still picture, in which everything comes to rest.
    let mut share = 0;
    for frame in 0..frames {
        if random.below(8) == 0 {
            share = [0, 0, 1, 5, 30, 100][random.below(6)];
        }
        let changed: Vec<u8> = (0..patches).map(|_| u8::from(frame == 0 || random.below(100) < share)).collect();
        for (row, _) in changed.iter().enumerate().filter(|(_, changed)| **changed == 1) {
            canvas[row * 588..][..588].copy_from_slice(&random.bytes(588));
        }
        if random.below(200) == 0 {
            part.reset();
            // One that never saw a frame, not one that was reset: what a reset leaves would be in both.
            whole = Stab::new(Isa::detect(), SIZES, seed);
        }
        let before = part.tokens.clone();
        part.step(&canvas, &changed);
        whole.step(&canvas, &all);
        prop_assert!(same(&part.x2, &whole.x2) && same(&part.x3, &whole.x3), "LSTE, frame {frame}");
        prop_assert!(same(&part.g, &whole.g), "GSTRA, frame {frame}");
        prop_assert!(same(&part.y, &whole.y), "LSD, frame {frame}");
        prop_assert!(same(&part.f, &whole.f), "FSRA, frame {frame}");
        prop_assert!(same(&part.tokens, &whole.tokens), "tokens, frame {frame}");
        // What is not told to be new is what it was.
        for (row, _) in part.changed.iter().enumerate().filter(|(_, changed)| **changed == 0) {
            let row = row * SIZES.h..(row + 1) * SIZES.h;
            prop_assert!(same(&part.tokens[row.clone()], &before[row]), "a row changed untold, frame {frame}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 1 } else { 12 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_part_is_as_whole(seed: u64) {
        play(seed, if cfg!(miri) { 4 } else { 300 })?;
    }
}

#[test]
#[cfg_attr(miri, ignore = "would take hours")]
fn for_thousands_of_frames() {
    play(1, 4000).expect("it should be as whole");
}

#[test]
fn a_still_picture_comes_to_rest() {
    let mut random = Random(2);
    let patches = SIZES.side * SIZES.side;
    let canvas = random.bytes(patches * 588);
    let mut stab = Stab::new(Isa::detect(), SIZES, 4);
    let (all, none) = (vec![1; patches], vec![0; patches]);
    let mut last = 0;
    for frame in 0..20 {
        stab.step(&canvas, if frame == 0 { &all } else { &none });
        if stab.changed.contains(&1) {
            last = frame;
        }
    }
    // LSTE and DPE see 4 frames back together, and GSTRA 3 more.
    assert_eq!(last, 4 + 3);
}
