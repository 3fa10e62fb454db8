//! The same bits on every kind of machine: what was computed once, on x86-64, is what every set of instructions of this CPU
//! gives. The other tests hold the sets of one CPU against one another.

mod common;

use common::{Random, Sizes, Stab};
use ocelli_kernels::{AttentionScratch, Isa, KvBits, KvCaches, KvConfig, Positions, attention};

/// FNV-1a, 64 bits.
fn hash(so_far: u64, values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(so_far, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// What all of STAB gives over some frames of which a part changes, and what attention over as many random tokens gives.
fn run(isa: Isa, sizes: Sizes, frames: usize) -> [u64; 2] {
    let mut random = Random(11);
    let patches = sizes.side * sizes.side;
    let mut canvas = random.bytes(patches * 588);
    let mut stab = Stab::new(isa, sizes, 7);
    let mut tokens = EMPTY;
    for frame in 0..frames {
        let changed: Vec<u8> = (0..patches).map(|_| u8::from(frame == 0 || random.below(4) == 0)).collect();
        for (row, _) in changed.iter().enumerate().filter(|(_, changed)| **changed == 1) {
            canvas[row * 588..][..588].copy_from_slice(&random.bytes(588));
        }
        stab.step(&canvas, &changed);
        assert!(stab.tokens.iter().all(|token| token.is_finite()), "what is not a number has no bits of its own");
        tokens = hash(tokens, &stab.tokens);
    }
    let d = sizes.heads * sizes.dh;
    let mut out = vec![0.0; patches * d];
    let qkv = random.values(patches * 3 * d);
    let mut scratch = AttentionScratch::new(patches, sizes.dh);
    attention(isa, &qkv, &vec![1; patches], sizes.heads, &mut scratch, &mut out);
    [tokens, hash(EMPTY, &out)]
}

fn check(sizes: Sizes, frames: usize, wanted: [u64; 2]) {
    for isa in Isa::available() {
        let found = run(isa, sizes, frames);
        // Arithmetic that is changed on purpose gives other bits, but on every machine the same: they are put here then.
        assert!(found == wanted, "{}: {found:#018x?}", isa.name());
    }
}

#[test]
fn a_small_stab_has_the_same_bits_everywhere() {
    check(Sizes { side: 2, heads: 1, dh: 5, r: 3, hidden: 7, h: 9 }, 3, [0x13da_7bac_f666_90bd, 0xb258_71bd_59d8_e0fe]);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; the small one shows what there is to see")]
fn a_stab_has_the_same_bits_everywhere() {
    check(
        Sizes { side: 8, heads: 3, dh: 24, r: 40, hidden: 100, h: 52 },
        8,
        [0x9b9b_21fd_89b9_ba94, 0x4f99_db1b_4544_82b7],
    );
}

/// What the KV cache gives over some tokens of which a part is evicted.
fn run_kv(isa: Isa, bits: KvBits, positions: Positions) -> u64 {
    let config = KvConfig {
        query_heads: 3,
        kv_heads: 1,
        width: 32,
        rope_base: 1e5,
        positions,
        bits,
        page: 16,
        window: 16,
        sinks: 2,
        buckets: 2,
        top: 1,
        memory: 0.1,
        bytes: 0,
    };
    let mut random = Random(13);
    let mut caches = KvCaches::new(&[config.with_pages(3)]).expect("the sizes should go together");
    let (mut position, mut hash_of) = (0, EMPTY);
    let mut out = [0.0; 96];
    for _ in 0..120 {
        position += 1 + random.below(2) as u32;
        caches.push(0, position, &random.values(32), &random.values(32)).expect("numbers should be taken");
        caches.attend(isa, 0, &random.values(96), position, 2, &mut out).expect("there should be an answer");
        hash_of = hash(hash_of, &out);
    }
    hash_of
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there; the small one shows what there is to see")]
fn a_kv_cache_has_the_same_bits_everywhere() {
    let wanted = [
        0x9c29_bbc9_3302_7c9e,
        0x05af_c0eb_90c5_7cb2,
        0xb839_0455_2b1e_886c,
        0xd5e2_c149_0e7a_bc20,
        0xa6c8_dfa1_c1cd_4dcc,
        0x8b08_cc33_172a_e4c7,
    ];
    for isa in Isa::available() {
        let mut found = Vec::new();
        for positions in [Positions::AsSeen, Positions::Consecutive] {
            found.extend([KvBits::Eight, KvBits::Four, KvBits::Low].map(|bits| run_kv(isa, bits, positions)));
        }
        assert!(found == wanted, "{}: {found:#018x?}", isa.name());
    }
}
