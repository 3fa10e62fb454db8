//! What a layer of a generative head promises: every CPU the same bits, and a prompt at once what token by token gives. Whether
//! they are the right ones a test of `ocelli-infer` says, against a model in PyTorch.

mod common;

use common::Random;
use ocelli_kernels::{DecoderLayer, DecoderScratch, Isa, KvBits, KvConfig, Positions};

const D: usize = 48;
const HIDDEN: usize = 80;

fn config() -> KvConfig {
    KvConfig {
        query_heads: 3,
        kv_heads: 1,
        width: 16,
        rope_base: 1e4,
        positions: Positions::Consecutive,
        bits: KvBits::Eight,
        page: 16,
        window: 32,
        sinks: 2,
        buckets: 2,
        top: 1,
        memory: 0.1,
        bytes: 0,
    }
    .with_pages(3)
}

fn layer(seed: u64) -> DecoderLayer {
    let mut random = Random(seed);
    let (qkv, out) = (random.linear(1, D, 5 * 16), random.linear(1, 48, D));
    let (up, down) = (random.linear(1, D, 2 * HIDDEN), random.linear(1, HIDDEN, D));
    DecoderLayer::new(&config(), qkv, out, up, down).expect("a cache").expect("the sizes should go together")
}

fn run(isa: Isa, layer: &DecoderLayer, x: &[f32], together: usize) -> Vec<f32> {
    let mut layer = layer.clone();
    let mut scratch = DecoderScratch::new(&layer, together).expect("the sizes should go together");
    let mut out = vec![0.0; x.len()];
    for (x, out) in x.chunks(together * D).zip(out.chunks_mut(together * D)) {
        layer.step(isa, x, &mut scratch, out).expect("numbers are small");
    }
    out
}

#[test]
fn every_cpu_gives_the_same_bits_and_a_prompt_at_once_what_token_by_token_gives() {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    for seed in 0..4 {
        let (layer, x) = (layer(seed), Random(seed + 50).values(61 * D));
        let wanted = bits(run(Isa::PORTABLE, &layer, &x, 1));
        for isa in Isa::available() {
            for together in [1, 7, 32] {
                assert_eq!(bits(run(isa, &layer, &x, together)), wanted, "{isa:?} {together}");
            }
        }
    }
}

#[test]
fn what_was_forgotten_leaves_nothing() {
    let (mut layer, x) = (layer(9), Random(3).values(5 * D));
    let wanted = run(Isa::detect(), &layer, &x, 5);
    let mut scratch = DecoderScratch::new(&layer, 5).expect("the sizes should go together");
    let mut out = vec![0.0; x.len()];
    layer.step(Isa::detect(), &Random(4).values(5 * D), &mut scratch, &mut out).expect("numbers are small");
    layer.forget();
    layer.step(Isa::detect(), &x, &mut scratch, &mut out).expect("numbers are small");
    assert_eq!(out, wanted);
}

#[test]
fn sizes_that_do_not_go_together_are_refused() {
    let mut random = Random(1);
    let (out, up, down) = (random.linear(1, 48, D), random.linear(1, D, 2 * HIDDEN), random.linear(1, HIDDEN, D));
    let made = |qkv: usize, up, down| {
        DecoderLayer::new(&config(), Random(2).linear(1, D, qkv), out.clone(), up, down).expect("a cache")
    };
    assert!(made(80, up.clone(), down.clone()).is_some());
    assert!(made(96, up.clone(), down.clone()).is_none());
    assert!(made(80, random.linear(1, D, HIDDEN), down).is_none());
    assert!(made(80, up, random.linear(1, HIDDEN, 64)).is_none());
    let none = KvConfig { bytes: 0, ..config() };
    let (qkv, up, down) = (random.linear(1, D, 80), random.linear(1, D, 2 * HIDDEN), random.linear(1, HIDDEN, D));
    assert!(DecoderLayer::new(&none, qkv, out, up, down).is_err());
}
