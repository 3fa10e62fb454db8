#[path = "../tests/common/mod.rs"]
mod common;
use common::*;
use ocelli_kernels::*;
use std::time::Instant;
fn best(mut f: impl FnMut()) -> f64 {
    let mut b = f64::MAX;
    for _ in 0..60 {
        let s = Instant::now();
        f();
        b = b.min(s.elapsed().as_secs_f64());
    }
    b * 1e6
}
fn main() {
    let sizes = Sizes { side: 16, heads: 6, dh: 32, r: 128, hidden: 512, h: 192 };
    for isa in Isa::available() {
        let mut r = Random(1);
        let canvas = r.bytes(256 * 588);
        let mut stab = Stab::new(isa, sizes, 3);
        let all = vec![1u8; 256];
        let none = vec![0u8; 256];
        let dense = best(|| stab.step(&canvas, &all));
        let t = stab.parts(&canvas, &all);
        for _ in 0..10 {
            stab.step(&canvas, &none);
        }
        let still = best(|| stab.step(&canvas, &none));
        println!(
            "{}: dense {dense:.0} us, still {still:.1} us; lste {:.0} gstra {:.0} lsd {:.0} fsra {:.0} project {:.0}",
            isa.name(),
            t[0],
            t[1],
            t[2],
            t[3],
            t[4]
        );
        for (m, k, n, g, px) in [
            (256, 588, 192, 1, true),
            (256, 192, 128, 1, false),
            (256, 128, 192, 1, false),
            (64, 192, 192, 1, false),
            (16, 32, 192, 6, false),
            (16, 192, 32, 6, false),
            (65, 192, 512, 1, false),
            (65, 512, 192, 1, false),
            (1, 192, 768, 1, false),
            (1, 768, 192, 1, false),
            (1, 1024, 1024, 1, false),
        ] {
            let l = r.linear(g, k, n);
            let x = r.values(m * g * k);
            let p = r.bytes(m * k);
            let mut s = Scratch::default().reserve([&l]);
            let mut out = vec![0f32; m * g * n];
            let rows: Vec<u32> = (0..m as u32).collect();
            let us = best(|| {
                for _ in 0..10 {
                    linear(
                        isa,
                        &l,
                        if px { Input::Pixels(&p) } else { Input::Rows(&x) },
                        &rows,
                        &rows,
                        Act::None,
                        None,
                        &mut s,
                        &mut out,
                    )
                }
            }) / 10.;
            let usg = best(|| {
                for _ in 0..10 {
                    linear(
                        isa,
                        &l,
                        if px { Input::Pixels(&p) } else { Input::Normed(&x) },
                        &rows,
                        &rows,
                        Act::Gelu,
                        None,
                        &mut s,
                        &mut out,
                    )
                }
            }) / 10.;
            println!(
                "   {m}x{k}x{n} g{g}: {us:.1} us = {:.0} GOP/s, {:.1} GB/s; with norm+gelu {usg:.1} us",
                2. * (m * k * n * g) as f64 / us / 1e3,
                (k * n * g) as f64 / us / 1e3
            );
        }
    }
}
