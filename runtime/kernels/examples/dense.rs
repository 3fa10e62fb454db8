#[path = "../tests/common/mod.rs"]
mod common;
use common::*;
use ocelli_kernels::*;
use std::time::Instant;
fn main() {
    let sizes = Sizes { side: 16, heads: 6, dh: 32, r: 128, hidden: 512, h: 192 };
    let mut r = Random(1);
    let canvas = r.bytes(256 * 588);
    let mut stab = Stab::new(Isa::detect(), sizes, 3);
    let all = vec![1u8; 256];
    let mut t = vec![];
    for _ in 0..4000 { let s = Instant::now(); stab.step(&canvas, &all); t.push(s.elapsed().as_secs_f64() * 1e6); }
    t.sort_by(f64::total_cmp);
    let p = stab.parts(&canvas, &all);
    println!("dense min {:.0} median {:.0} us; parts {:.0?}", t[0], t[2000], p);
}
