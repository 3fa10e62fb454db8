//! Every set of instructions of this CPU against the portable one, bit for bit, over random shapes.

mod common;

use common::{Random, Sizes, Stab};
use ocelli_kernels::{Act, AttentionScratch, Input, Isa, Linear, Rows, Scratch, Team, attend_one, attention, linear};
use proptest::prelude::*;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn others() -> Vec<Isa> {
    let mut all = Isa::available();
    assert_eq!(all.remove(0), Isa::PORTABLE);
    eprintln!("held against the portable one: {:?}", all.iter().map(|isa| isa.name()).collect::<Vec<_>>());
    all
}

/// Whoever knows the CPU (an emulator's, say) names its sets in `OCELLI_EXPECT_ISA`, with commas between: a set that is not
/// found is not tested, and nothing else would say so.
#[test]
fn the_expected_sets_are_there() {
    let found: Vec<_> = Isa::available().iter().map(|isa| isa.name()).collect();
    if let Ok(expected) = std::env::var("OCELLI_EXPECT_ISA") {
        assert_eq!(found.join(","), expected);
    }
    if cfg!(miri) {
        assert_eq!(found, ["portable"]);
    }
}

/// What Linux says of this CPU, read without the library's detection.
#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[cfg_attr(miri, ignore = "there is no such file, and but one set")]
fn every_set_that_the_system_names_is_used() {
    let facts = std::fs::read_to_string("/proc/cpuinfo").expect("Linux should tell of its CPUs");
    let flags = facts.lines().find(|line| line.starts_with("flags")).expect("a CPU should have flags");
    let has = |names: &[&str]| names.iter().all(|name| flags.split_whitespace().any(|flag| flag == *name));
    let avx2 = has(&["avx2", "fma"]);
    let avx512 = has(&["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"]);
    let sets =
        [("portable", true), ("avx2", avx2), ("avx-vnni", avx2 && has(&["avx_vnni"])), ("avx512-vnni", avx2 && avx512)];
    let wanted: Vec<_> = sets.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    let found: Vec<_> = Isa::available().iter().map(|isa| isa.name()).collect();
    assert_eq!(found, wanted);
}

/// Rows in random order, some left out.
fn some_rows(random: &mut Random, of: usize) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..of as u32).filter(|_| random.below(4) > 0).collect();
    for i in (1..rows.len()).rev() {
        rows.swap(i, random.below(i + 1));
    }
    rows
}

/// Fewer rows than this, and rows and columns of less than this many values. An interpreter (Miri) gets by with little: it
/// looks at each access, of which the sizes only make more.
const MOST: [usize; 2] = if cfg!(miri) { [8, 24] } else { [64, 150] };

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 96 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products(seed: u64, rows in 1..MOST[0], k in 1..MOST[1], n in 1..MOST[1], groups in 1..4usize, kind in 0..4usize) {
        let mut random = Random(seed);
        let (k, groups) = if kind == 2 { (k.next_multiple_of(4), 1) } else { (k, groups) };
        let weights = random.linear(groups, k, n);
        let x = random.values(rows * groups * k);
        let pixels = random.bytes(rows * k);
        let input = match kind {
            1 => Input::Normed(&x),
            2 => Input::Pixels(&pixels),
            _ => Input::Rows(&x),
        };
        let act = [Act::None, Act::Gelu, Act::QuickGelu][random.below(3)];
        let residual = random.values(rows * groups * n);
        let residual = (random.below(2) == 0).then_some(&residual[..]);
        let from = some_rows(&mut random, rows);
        let to: Vec<u32> = from.iter().rev().copied().collect();
        let run = |isa| {
            let mut out = vec![7.0; rows * groups * n];
            let mut scratch = Scratch::for_any([&weights]);
            linear(isa, &weights, input, &from, &to, act, residual, &mut scratch, &mut out);
            bits(&out)
        };
        let wanted = run(Isa::PORTABLE);
        for isa in others() {
            prop_assert_eq!(&run(isa), &wanted, "{}", isa.name());
        }
    }

    #[test]
    fn products_of_a_team(seed: u64, rows in MOST[0] / 2..4 * MOST[0], k in 4..MOST[1], groups in 1..3usize, threads in 1..4usize, order in 0..4usize) {
        let mut random = Random(seed);
        let weights = random.linear(groups, k, 2 * MOST[1]);
        let x = random.values(rows * groups * k);
        let residual = random.values(rows * groups * weights.n());
        let mut to: Vec<u32> = (0..rows as u32).filter(|_| random.below(4) > 0).collect();
        match order {
            0 => to.reverse(),
            // Of two for the same row the later one stays.
            1 => to.chunks_exact_mut(2).for_each(|two| two[1] = two[0]),
            _ => {}
        }
        let from = some_rows(&mut random, rows);
        let (from, to) = (&from[..from.len().min(to.len())], &to[..from.len().min(to.len())]);
        let mut team = Team::new(threads, "helper", 128 << 10).unwrap();
        let run = |isa| {
            let mut out = vec![7.0; residual.len()];
            let mut scratch = Scratch::for_any([&weights]);
            linear(isa, &weights, Input::Normed(&x), from, to, Act::Gelu, Some(&residual), &mut scratch, &mut out);
            bits(&out)
        };
        let wanted = run(Isa::PORTABLE);
        for isa in Isa::available() {
            // Twice in one lead: asleep and awake.
            for together in team.lead(|| [run(isa), run(isa)]) {
                prop_assert_eq!(&together, &wanted, "{} threads, {}", threads, isa.name());
            }
        }
    }

    #[test]
    fn attentions(seed: u64, s in 1..MOST[0], heads in 1..4usize, dh in 1..MOST[1] / 3) {
        let mut random = Random(seed);
        let d = heads * dh;
        let qkv = random.values(s * 3 * d);
        let mut live: Vec<u8> = (0..s).map(|_| u8::from(random.below(4) > 0)).collect();
        live[s - 1] = 1;
        let run = |isa| {
            let mut scratch = AttentionScratch::new(s, dh);
            let (mut all, mut one) = (vec![7.0; s * d], vec![7.0; d]);
            attention(isa, &qkv, &live, heads, &mut scratch, &mut all);
            let rows = |part: usize| Rows { values: &qkv[part * d..], stride: 3 * d };
            attend_one(isa, &qkv[(s - 1) * 3 * d..][..d], rows(1), rows(2), &live, heads, &mut scratch, &mut one);
            (all, one)
        };
        let (all, one) = run(Isa::PORTABLE);
        for (a, b) in all[(s - 1) * d..].iter().zip(&one) {
            prop_assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "the last of all and the one: {a} {b}");
        }
        for isa in others() {
            let found = run(isa);
            prop_assert_eq!((bits(&found.0), bits(&found.1)), (bits(&all), bits(&one)), "{}", isa.name());
        }
    }
}

/// The largest products there are, of one sign and of both: a path that adds up too much in 16 bits would show here and
/// hardly ever at random. The last of 48 rows ends where the room for quantized rows ends.
#[test]
fn sums_are_exact_at_the_extremes() {
    let (k, n): (usize, usize) = if cfg!(miri) { (20, 19) } else { (1028, 67) };
    let weight = |column: usize, row: usize| match column % 4 {
        0 => 127,
        1 => -127,
        2 => [127, -127][row % 2],
        _ => [127, 127, -127, -127][row % 4],
    };
    let pixel = |at: usize, i: usize| match at % 4 {
        0 => 0,
        1 => 255,
        2 => [0, 255][i % 2],
        _ => [0, 0, 255, 255][i % 4],
    };
    let mut w = vec![0; n.div_ceil(16) * k * 16];
    for (column, row) in (0..n).flat_map(|column| (0..k).map(move |row| (column, row))) {
        w[(column / 16 * (k / 4) + row / 4) * 64 + column % 16 * 4 + row % 4] = weight(column, row) as i8;
    }
    // With a scale of 1 the results are the sums, below 2^24 and so exact.
    let weights = Linear::new(1, k, n, &w, &vec![1.0; n], &vec![0.0; n]).expect("the sizes should go together");
    for rows in [1, 2, 3, 4, 5, 6, 7, 48] {
        let pixels: Vec<u8> = (0..rows * k).map(|i| pixel(i / k, i % k)).collect();
        let all: Vec<u32> = (0..rows as u32).collect();
        for isa in Isa::available() {
            let mut out = vec![7.0; rows * n];
            let mut scratch = Scratch::for_any([&weights]);
            linear(isa, &weights, Input::Pixels(&pixels), &all, &all, Act::None, None, &mut scratch, &mut out);
            for (i, found) in out.iter().enumerate() {
                let (row, column) = (i / n, i % n);
                let wanted: i32 = (0..k).map(|i| (i32::from(pixel(row, i)) - 128) * weight(column, i)).sum();
                let same = found.to_bits() == (wanted as f32).to_bits();
                assert!(same, "{}, {rows} rows: {found} for {wanted} in row {row}, column {column}", isa.name());
            }
        }
    }
}

/// Rows with what is infinite or no number, wherever it stands, come out as no number; rows of zeros, of next to nothing, of
/// ties and beside those come out alike.
#[test]
fn odd_rows_come_out_alike() {
    let mut random = Random(9);
    let (rows, n) = (19, 20);
    for k in if cfg!(miri) { [3, 5, 7] } else { [37, 64, 150] } {
        let weights = random.linear(1, k, n);
        let mut x = random.values(rows * k);
        x[k..2 * k].fill(0.0);
        x[2 * k..3 * k].fill(-1e-33);
        x[3 * k..4 * k].iter_mut().enumerate().for_each(|(i, x)| *x = i as f32 / 2.0 - 9.0);
        x[3 * k] = 127.0;
        let all: Vec<u32> = (0..rows as u32).collect();
        let run = |isa, x: &[f32]| {
            let mut out = vec![7.0; rows * n];
            let mut scratch = Scratch::for_any([&weights]);
            linear(isa, &weights, Input::Rows(x), &all, &all, Act::None, None, &mut scratch, &mut out);
            out
        };
        let wanted = bits(&run(Isa::PORTABLE, &x));
        for isa in Isa::available() {
            assert_eq!(bits(&run(isa, &x)), wanted, "{}", isa.name());
            for (at, odd) in (0..k).flat_map(|at| [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|odd| (at, odd))) {
                for row in [1, 16] {
                    let mut x = x.clone();
                    x[row * k + at] = odd;
                    let found = run(isa, &x);
                    for (i, value) in found.iter().enumerate() {
                        let right = if i / n == row { value.is_nan() } else { value.to_bits() == wanted[i] };
                        assert!(right, "{}, {odd} at {at} of row {row}: {value} in row {}", isa.name(), i / n);
                    }
                }
            }
        }
    }
}

/// All of STAB, with odd widths, over frames of which some patches change.
#[test]
#[cfg_attr(miri, ignore = "has but one set there, and the small one of the golden tests shows what there is to see")]
fn whole_encoders() {
    let all = [
        Sizes { side: 4, heads: 2, dh: 12, r: 16, hidden: 32, h: 20 },
        Sizes { side: 6, heads: 3, dh: 32, r: 64, hidden: 70, h: 96 },
        Sizes { side: 4, heads: 1, dh: 5, r: 3, hidden: 7, h: 9 },
    ];
    for sizes in &all {
        let mut random = Random(5);
        let patches = sizes.side * sizes.side;
        let mut canvas = random.bytes(patches * 588);
        let mut plain = Stab::new(Isa::PORTABLE, *sizes, 3);
        let mut fast: Vec<Stab> = others().into_iter().map(|isa| Stab::new(isa, *sizes, 3)).collect();
        for frame in 0..12 {
            let changed: Vec<u8> = (0..patches).map(|_| u8::from(frame == 0 || random.below(5) == 0)).collect();
            for (row, _) in changed.iter().enumerate().filter(|(_, changed)| **changed == 1) {
                canvas[row * 588..][..588].copy_from_slice(&random.bytes(588));
            }
            plain.step(&canvas, &changed);
            for stab in &mut fast {
                stab.step(&canvas, &changed);
                assert_eq!(bits(&stab.tokens), bits(&plain.tokens), "{sizes:?}, frame {frame}");
            }
        }
    }
}
