#[path = "../tests/common/mod.rs"]
mod common;
use common::*;
use ocelli_kernels::*;
use std::time::Instant;
fn best(mut f: impl FnMut()) -> f64 {
    let mut b = f64::MAX;
    for _ in 0..200 {
        let s = Instant::now();
        f();
        b = b.min(s.elapsed().as_secs_f64());
    }
    b * 1e6
}
fn main() {
    let isa = Isa::detect();
    let mut r = Random(1);
    for (m, k, n) in [
        (256, 192, 16),
        (256, 588, 16),
        (256, 192, 64),
        (256, 192, 128),
        (256, 192, 192),
        (256, 32, 192),
        (256, 32, 16),
        (256, 588, 192),
    ] {
        let l = r.linear(1, k, n);
        let x = r.values(m * k);
        let p = r.bytes(m * k);
        let mut s = Scratch::default().reserve([&l]);
        let mut out = vec![0f32; m * n];
        let rows: Vec<u32> = (0..m as u32).collect();
        let a = best(|| linear(isa, &l, Input::Rows(&x), &rows, &rows, Act::None, None, &mut s, &mut out));
        let b = best(|| linear(isa, &l, Input::Normed(&x), &rows, &rows, Act::None, None, &mut s, &mut out));
        let g = best(|| linear(isa, &l, Input::Rows(&x), &rows, &rows, Act::Gelu, None, &mut s, &mut out));
        let px = best(|| linear(isa, &l, Input::Pixels(&p), &rows, &rows, Act::None, None, &mut s, &mut out));
        println!(
            "{m}x{k}x{n}: rows {a:.1} normed {b:.1} gelu {g:.1} pixels {px:.1} us; per row rows {:.0} ns normed +{:.0} gelu +{:.0}",
            a / m as f64 * 1e3,
            (b - a) / m as f64 * 1e3,
            (g - a) / m as f64 * 1e3
        );
    }
    let s = 129;
    let qkv = r.values(s * 576);
    let live = vec![1u8; s];
    let mut out = vec![0f32; s * 192];
    let mut sc = AttentionScratch::new(s, 32);
    println!("attention 129x6x32 {:.0} us", best(|| attention(isa, &qkv, &live, 6, Queries::All, &mut sc, &mut out)));
}
