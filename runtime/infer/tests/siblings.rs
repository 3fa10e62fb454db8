//! Encoders for several streams on one plan: they do not disturb each other, and share the weights.
//!
//! A process of its own, because what is measured is the heap of the process.

use std::path::Path;

use ocelli_infer::{Pack, Stab};
use ocelli_testkit::CountingAlloc;
use ocelli_types::{Content, Encoder, FrameSeq, FrameTokens, Micros, PatchBatch, PatchMask};

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

/// What tract keeps with each state of a graph, beside what our ops do.
const TRACT_BYTES: u64 = 32 << 10;

/// A picture of which a third of the patches change with each frame, differently in each stream.
fn see(stab: &mut Stab, pack: &Pack, stream: usize, frame: usize) -> Vec<f32> {
    let (grid, width) = (pack.grid, pack.manifest.stab.token_width);
    let mut sent = PatchMask::empty();
    (0..grid.patches())
        .filter(|patch| frame == 0 || (patch + frame).is_multiple_of(3))
        .for_each(|patch| sent.insert(patch));
    let patches: Vec<u8> = sent
        .iter()
        .flat_map(|patch| (0..grid.patch_bytes()).map(move |byte| mix(stream, frame, patch, byte)))
        .collect();
    let batch = PatchBatch {
        grid,
        patches: &patches,
        sent: &sent,
        kept: &sent,
        content: Content::whole(grid),
        seq: FrameSeq(frame as u64),
        captured_us: Micros(0),
    };
    let mut values = vec![0.0; (grid.windows() + 1) * width];
    stab.encode(&batch, &mut FrameTokens { width, values: &mut values }).expect("a plain batch");
    values
}

fn mix(stream: usize, frame: usize, patch: usize, byte: usize) -> u8 {
    (((stream * 31 + frame * 7 + patch) * 2_654_435_761 + byte * 40_503) >> 7) as u8
}

#[test]
fn siblings_share_weights_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/home");
    let pack = Pack::open(&folder).expect("the pack is whole");
    let load = || Stab::load(&pack).expect("it is whole");
    let alone: Vec<Vec<Vec<f32>>> = [0, 1]
        .map(|stream| {
            let mut stab = load();
            (0..8).map(|frame| see(&mut stab, &pack, stream, frame)).collect()
        })
        .into();
    assert_ne!(alone[0], alone[1], "two streams");

    let mut first = load();
    // What has been seen before must not show in the sibling.
    see(&mut first, &pack, 5, 0);
    let before = CountingAlloc::live_bytes();
    let mut second = first.sibling().expect("there is memory");
    first.reset().expect("there is memory");
    for (frame, (one, two)) in alone[0].iter().zip(&alone[1]).enumerate() {
        assert_eq!(see(&mut first, &pack, 0, frame), *one, "frame {frame} of the first");
        assert_eq!(see(&mut second, &pack, 1, frame), *two, "frame {frame} of the second");
    }
    let (sibling, loaded) = (CountingAlloc::live_bytes() - before, CountingAlloc::live_bytes());
    let mut third = load();
    see(&mut third, &pack, 2, 0);
    let whole = CountingAlloc::live_bytes() - loaded;
    let (weights, state) = (first.weight_bytes(), first.state_bytes());
    eprintln!("a sibling holds {sibling} bytes, of {state} stated; one loaded anew {whole}, {weights} of them weights");
    assert!(sibling as u64 <= state + TRACT_BYTES, "{sibling} bytes, and {state} are planned");
    assert!(
        (whole - sibling) as u64 >= weights,
        "{whole} bytes loaded anew, {sibling} as a sibling, {weights} weights"
    );
    // It lives on when the one that it was made from is gone.
    drop((first, third));
    second.reset().expect("there is memory");
    assert_eq!(see(&mut second, &pack, 0, 0), alone[0][0]);
}
