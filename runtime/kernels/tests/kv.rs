//! The KV cache against plain attention in double precision over the numbers that it says it holds, and its promises: what
//! stays, what goes, how many bytes, and that nothing damaged gets in.

mod common;

use common::Random;
use ocelli_kernels::{Isa, KvBits, KvCache, KvCaches, KvConfig, KvError, KvScratch, Positions};
use proptest::prelude::*;

const ALL: usize = usize::MAX;
const CASES: u32 = if cfg!(miri) { 2 } else { 48 };
/// Roundings that may add up in a score or an answer: 4.2 at most in 100,000 random caches.
const ROUNDINGS: f64 = 16.0;
const BITS: [KvBits; 3] = [KvBits::Eight, KvBits::Four, KvBits::Low];

/// A small layer, with room for so many pages.
fn config(bits: KvBits, positions: Positions, pages: usize) -> KvConfig {
    KvConfig {
        query_heads: 6,
        kv_heads: 2,
        width: 16,
        rope_base: 1e4,
        positions,
        bits,
        page: 16,
        window: 16,
        sinks: 3,
        buckets: 2,
        top: 1,
        memory: 0.1,
        bytes: 0,
    }
    .with_pages(pages)
}

/// Keys and values of a token: channels with their own offsets and ranges, as keys have.
fn token(random: &mut Random, config: &KvConfig) -> [Vec<f32>; 2] {
    let row = config.kv_heads * config.width;
    let mut keys = random.values(row);
    for (c, key) in keys.iter_mut().enumerate() {
        *key = *key * [0.3, 1.0, 3.0][c % 3] + [0.0, 2.0, -1.0, 0.0][c % 4];
    }
    [keys, random.values(row)]
}

fn query(random: &mut Random, config: &KvConfig) -> Vec<f32> {
    random.values(config.query_heads * config.width)
}

/// A cache that saw so many tokens, some positions left out.
fn filled(config: &KvConfig, tokens: usize, random: &mut Random) -> KvCache {
    let mut cache = KvCache::new(config).expect("the sizes should go together");
    let mut position = random.below(100) as u32;
    for _ in 0..tokens {
        position += 1 + if random.below(5) == 0 { random.below(20) as u32 } else { 0 };
        let [keys, values] = token(random, config);
        cache.push(position, &keys, &values).expect("numbers should be taken");
    }
    cache
}

fn newest(cache: &KvCache) -> u32 {
    cache.positions().last().expect("there should be a token")
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn ask(isa: Isa, cache: &mut KvCache, config: &KvConfig, query: &[f32], ahead: u32, top_pages: usize) -> Vec<f32> {
    let mut scratch = KvScratch::new(config).expect("the sizes should go together");
    let mut out = vec![7.0; query.len()];
    let position = newest(cache) + ahead;
    cache.attend(isa, query, position, top_pages, &mut scratch, &mut out).expect("there should be an answer");
    out
}

/// RoPE in double precision.
fn turned(x: &[f32], position: f64, base: f64) -> Vec<f64> {
    let half = x.len() / 2;
    let mut to = vec![0.0; x.len()];
    for i in 0..half {
        let angle = position * base.powf(-(i as f64) / half as f64);
        let (a, b) = (f64::from(x[i]), f64::from(x[half + i]));
        to[i] = a * angle.cos() - b * angle.sin();
        to[half + i] = b * angle.cos() + a * angle.sin();
    }
    to
}

/// Attention over what the cache says that it holds, and how far single precision may be from it, number by number.
fn plain(cache: &KvCache, config: &KvConfig, query: &[f32], ahead: u32) -> Vec<(f64, f64)> {
    let all = cache.dequantized();
    let (width, group) = (config.width, config.query_heads / config.kv_heads);
    let number = |i: usize| match config.positions {
        Positions::AsSeen => f64::from(all[i].0),
        Positions::Consecutive => i as f64,
    };
    let own = number(all.len() - 1) + f64::from(ahead);
    let mut out = Vec::new();
    for (head, query) in query.chunks(width).enumerate() {
        let at = head / group * width;
        let query = turned(query, own, config.rope_base);
        let scores = all.iter().enumerate().map(|(i, (_, keys, _))| {
            let key = turned(&keys[at..][..width], number(i), config.rope_base);
            let products = query.iter().zip(&key).map(|(q, k)| q * k / (width as f64).sqrt());
            products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()))
        });
        let (scores, sizes): (Vec<f64>, Vec<f64>) = scores.unzip();
        let weights: Vec<f64> = scores.iter().map(|score| score.exp()).collect();
        let sum: f64 = weights.iter().sum();
        out.extend((0..width).map(|c| {
            let value = |i: usize| f64::from(all[i].2[at + c]);
            let mean = (0..all.len()).map(|i| weights[i] / sum * value(i)).sum::<f64>();
            // A score rounds by its products' size; what that moves is the weight, towards or away from the mean.
            let moved = (0..all.len()).map(|i| weights[i] / sum * sizes[i] * (value(i) - mean).abs()).sum::<f64>();
            (mean, ROUNDINGS * f64::from(f32::EPSILON) * (moved + 1.0 + mean.abs()))
        }));
    }
    out
}

fn any_positions(consecutive: bool) -> Positions {
    if consecutive { Positions::Consecutive } else { Positions::AsSeen }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_attention_over_what_it_holds(
        seed: u64, tokens in 1..200usize, kind in 0..3usize, consecutive: bool, sinks in 0..5usize, ahead in 0..9u32,
        group in 1..7usize,
    ) {
        let mut random = Random(seed);
        let shape = KvConfig { sinks, query_heads: 2 * group, ..config(BITS[kind], any_positions(consecutive), 6) };
        let shape = shape.with_pages(6);
        let mut cache = filled(&shape, if cfg!(miri) { tokens / 4 + 1 } else { tokens }, &mut random);
        let query = query(&mut random, &shape);
        let wanted = plain(&cache, &shape, &query, ahead);
        let found = ask(Isa::detect(), &mut cache, &shape, &query, ahead, ALL);
        for (found, (wanted, within)) in found.iter().zip(&wanted) {
            prop_assert!((f64::from(*found) - wanted).abs() < *within, "{found} {wanted} {within}");
        }
    }

    #[test]
    fn every_cpu_gives_the_same_bits(seed: u64, kind in 0..3usize, consecutive: bool, top_pages in 1..6usize) {
        let mut random = Random(seed);
        let config = config(BITS[kind], any_positions(consecutive), 5);
        let cache = filled(&config, if cfg!(miri) { 60 } else { 130 }, &mut random);
        let query = query(&mut random, &config);
        let run = |isa| {
            let mut cache = cache.clone();
            let out = ask(isa, &mut cache, &config, &query, 1, top_pages);
            (bits(&out), cache.pages().map(|(_, mass)| mass.to_bits()).collect::<Vec<_>>())
        };
        let wanted = run(Isa::PORTABLE);
        for isa in Isa::available() {
            prop_assert_eq!(&run(isa), &wanted, "{}", isa.name());
        }
    }

    #[test]
    fn asking_as_many_pages_as_there_are_asks_all(seed: u64, kind in 0..3usize, consecutive: bool) {
        let mut random = Random(seed);
        let config = config(BITS[kind], any_positions(consecutive), 5);
        let mut cache = filled(&config, if cfg!(miri) { 60 } else { 130 }, &mut random);
        let pages = cache.pages().count();
        let query = query(&mut random, &config);
        let all = ask(Isa::detect(), &mut cache, &config, &query, 0, ALL);
        prop_assert_eq!(bits(&ask(Isa::detect(), &mut cache, &config, &query, 0, pages)), bits(&all));
        prop_assert_ne!(bits(&ask(Isa::detect(), &mut cache, &config, &query, 0, pages - 1)), bits(&all));
    }

    /// Each eviction, against what was there before.
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there, and the other tests evict too")]
    fn what_goes_is_what_should(seed: u64, kind in 0..3usize, top in 0..4usize, buckets in 1..5usize, pages in 4..8usize) {
        let mut random = Random(seed);
        let shape = KvConfig { top, buckets, ..config(BITS[kind], Positions::AsSeen, pages) };
        let shape = shape.with_pages(pages);
        let mut cache = KvCache::new(&shape).expect("the sizes should go together");
        let mut scratch = KvScratch::new(&shape).expect("as above");
        let mut out = vec![0.0; shape.query_heads * shape.width];
        let mut sent = Vec::new();
        let mut position = 0;
        for _ in 0..400 {
            position += 1 + random.below(3) as u32;
            let before: Vec<(u32, f32)> = cache.pages().collect();
            let [keys, values] = token(&mut random, &shape);
            cache.push(position, &keys, &values).expect("numbers should be taken");
            sent.push(position);
            let after: Vec<u32> = cache.pages().map(|(first, _)| first).collect();
            let gone: Vec<usize> = (0..before.len()).filter(|i| !after.contains(&before[*i].0)).collect();
            if let [gone] = gone[..] {
                prop_assert_eq!((before.len(), after.len()), (pages, pages));
                let (start, end) = (u64::from(before[0].0), u64::from(*after.last().expect("one came")));
                let bucket = |first: u32| (u64::from(first) - start) * buckets as u64 / (end - start + 1);
                // The page that came counts, and lies in the last bucket.
                let held = |own: u64| {
                    let others = before.iter().filter(|(first, _)| bucket(*first) == own).count();
                    others + usize::from(bucket(end as u32) == own)
                };
                let mut ranks: Vec<usize> = (0..pages).collect();
                ranks.sort_by(|a, b| before[*b].1.total_cmp(&before[*a].1).then(b.cmp(a)));
                prop_assert!(!ranks[..top].contains(&gone), "one of the first went");
                for other in &ranks[top..] {
                    let (a, b) = (held(bucket(before[gone].0)), held(bucket(before[*other].0)));
                    prop_assert!(a > b || a == b && before[gone].1 <= before[*other].1, "another should have gone");
                }
                // A bucket within its share loses none while a fuller one has one to give.
                let has_more = ranks[top..].iter().any(|i| held(bucket(before[*i].0)) > pages / buckets);
                prop_assert!(!has_more || held(bucket(before[gone].0)) > pages / buckets);
            } else {
                prop_assert!(gone.is_empty());
            }
            let query = query(&mut random, &shape);
            cache.attend(Isa::detect(), &query, position, ALL, &mut scratch, &mut out).expect("there should be an answer");
        }
        let kept: Vec<u32> = cache.positions().collect();
        prop_assert!(kept.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(&kept[..3], &sent[..3], "sinks");
        prop_assert_eq!(&kept[kept.len() - 16..], &sent[sent.len() - 16..], "window");
        let counts = cache.counts();
        prop_assert_eq!(counts.tokens, sent.len() as u64);
        prop_assert_eq!(counts.evicted_tokens + kept.len() as u64, sent.len() as u64);
        prop_assert!(counts.evicted_pages > 0 && kept.len() <= shape.tokens());
    }
}

#[test]
fn the_window_is_within_half_a_step() {
    let mut random = Random(1);
    let config = config(KvBits::Low, Positions::AsSeen, 2);
    let mut cache = KvCache::new(&config).expect("the sizes should go together");
    let mut sent = Vec::new();
    for position in 0..35 {
        let [keys, values] = token(&mut random, &config);
        cache.push(position, &keys, &values).expect("numbers should be taken");
        sent.push([keys, values]);
    }
    for (sent, (_, keys, values)) in sent.iter().zip(cache.dequantized()) {
        for (sent, found) in sent[0].chunks(16).zip(keys.chunks(16)).chain(sent[1].chunks(16).zip(values.chunks(16))) {
            let most = sent.iter().fold(0f32, |most, x| most.max(x.abs()));
            for (sent, found) in sent.iter().zip(found) {
                assert!((sent - found).abs() <= 0.501 * most / 127.0, "{sent} {found}");
            }
        }
    }
}

/// Bounds on how far a page's numbers are from those that came, relative and in L2.
#[test]
fn pages_are_close_to_what_came() {
    for (bits, most) in [(KvBits::Eight, [0.01, 0.01]), (KvBits::Four, [0.08, 0.08]), (KvBits::Low, [0.27, 0.5])] {
        let mut random = Random(2);
        let config = config(bits, Positions::AsSeen, 8);
        let mut cache = KvCache::new(&config).expect("the sizes should go together");
        let (mut off, mut all) = ([0.0; 2], [0.0; 2]);
        let mut sent = Vec::new();
        for position in 0..3 + 16 * 9 {
            let tokens = token(&mut random, &config);
            cache.push(position, &tokens[0], &tokens[1]).expect("numbers should be taken");
            sent.push(tokens);
        }
        let found = cache.dequantized();
        let in_pages = 3..3 + 16 * cache.pages().count();
        assert_eq!(in_pages.len(), 16 * 7);
        for (sent, (_, keys, values)) in sent[in_pages.clone()].iter().zip(&found[in_pages]) {
            for (i, found) in [keys, values].into_iter().enumerate() {
                off[i] += sent[i].iter().zip(found).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
                all[i] += sent[i].iter().map(|a| a * a).sum::<f32>();
            }
        }
        for i in 0..2 {
            let error = (off[i] / all[i]).sqrt();
            assert!(error < most[i], "{bits:?}: {error} of {}", ["keys", "values"][i]);
        }
    }
}

#[test]
fn bytes_are_those_of_the_formula() {
    for bits in BITS {
        for (width, page, sinks, budget) in
            [(16, 16, 0, 20_000), (64, 64, 4, 300_000), (64, 128, 4, 500_000), (32, 48, 17, 90_000)]
        {
            let shape = config(bits, Positions::AsSeen, 2);
            let config = KvConfig { width, page, window: page, sinks, bytes: budget, ..shape };
            let cache = KvCache::new(&config).expect("the budget should do");
            assert_eq!(cache.bytes(), KvCache::bytes_for(&config));
            assert!(cache.bytes() <= budget && config.pages() > 0);
            let [_, _, both] = config.effective_bits();
            let more = KvCache::bytes_for(&KvConfig { bytes: 2 * budget, ..config }) - cache.bytes();
            let pages = KvConfig { bytes: 2 * budget, ..config }.pages() - config.pages();
            let a_page = 2.0 * (page * config.kv_heads * width) as f64 * both / 8.0;
            assert!((more as f64 - pages as f64 * a_page).abs() < 1e-6 * more as f64, "{more} {pages} {a_page}");
        }
    }
}

/// A small language head: 30 layers like this, so that 1 M here is 30 M there.
fn small_head(bits: KvBits, page: usize, bytes: usize) -> KvConfig {
    let shape = config(bits, Positions::Consecutive, 2);
    KvConfig {
        query_heads: 9,
        kv_heads: 3,
        width: 64,
        rope_base: 1e5,
        page,
        window: 64.max(page),
        sinks: 4,
        bytes,
        ..shape
    }
}

#[test]
fn eight_times_the_context_of_halves_fits() {
    for page in [64, 128] {
        let of = |bits| small_head(bits, page, 1 << 20).effective_bits()[2];
        assert!(of(KvBits::Low) <= 2.0 && of(KvBits::Four) < 5.0 && of(KvBits::Eight) < 8.5);
    }
    let in_halves = 2048;
    let config = small_head(KvBits::Low, 128, in_halves * 2 * 3 * 64 * 2);
    assert!(config.tokens() >= 8 * in_halves, "{}", config.tokens());
}

#[test]
fn a_page_that_fits_the_query_is_found() {
    let mut random = Random(3);
    let config = config(KvBits::Low, Positions::Consecutive, 6);
    let mut cache = KvCache::new(&config).expect("the sizes should go together");
    let query: Vec<f32> = random.values(16).repeat(config.query_heads);
    for position in 0..3 + 16 * 8 {
        let [mut keys, mut values] = token(&mut random, &config);
        if (3 + 32..3 + 48).contains(&position) {
            keys = query[..32].iter().map(|q| 4.0 * q).collect();
            values.fill(5.0);
        }
        cache.push(position, &keys, &values).expect("numbers should be taken");
    }
    let out = ask(Isa::detect(), &mut cache, &config, &query, 0, 1);
    let masses: Vec<f32> = cache.pages().map(|(_, mass)| mass).collect();
    assert!(masses.iter().enumerate().all(|(i, mass)| (*mass > 0.0) == (i == 2)), "{masses:?}");
    let all = ask(Isa::detect(), &mut cache, &config, &query, 0, ALL);
    assert!(out.iter().zip(&all).all(|(one, all)| one > all), "its values should weigh more alone");
}

/// Numbered anew, a stream with holes is one without.
#[test]
fn consecutive_positions_have_no_holes() {
    let mut random = Random(4);
    let config = config(KvBits::Low, Positions::Consecutive, 4);
    let mut caches = [KvCache::new(&config), KvCache::new(&config)].map(|cache| cache.expect("the sizes go together"));
    for i in 0..60 {
        let [keys, values] = token(&mut random, &config);
        for (cache, position) in caches.iter_mut().zip([i, 70_000 * i + 5]) {
            cache.push(position, &keys, &values).expect("numbers should be taken");
        }
    }
    // A hole of more than 2^16 positions ends a block, so the second one kept a token a block, and lost most.
    assert!(caches[1].counts().evicted_pages > 0 && caches[1].len() == 7);
    let mut caches = [KvCache::new(&config), KvCache::new(&config)].map(|cache| cache.expect("the sizes go together"));
    for i in 0..60 {
        let [keys, values] = token(&mut random, &config);
        for (cache, position) in caches.iter_mut().zip([i, 7 * i + i % 3]) {
            cache.push(position, &keys, &values).expect("numbers should be taken");
        }
    }
    let query = query(&mut random, &config);
    let [a, b] = caches.map(|mut cache| ask(Isa::detect(), &mut cache, &config, &query, 2, ALL));
    assert_eq!(bits(&a), bits(&b));
}

#[test]
fn what_is_damaged_is_refused_and_changes_nothing() {
    let mut random = Random(5);
    let config = config(KvBits::Low, Positions::AsSeen, 3);
    let mut cache = KvCache::new(&config).expect("the sizes should go together");
    let mut scratch = KvScratch::new(&config).expect("as above");
    let good = query(&mut random, &config);
    let mut out = vec![7.0; good.len()];
    assert_eq!(cache.attend(Isa::detect(), &good, 0, ALL, &mut scratch, &mut out), Err(KvError::Empty));
    // As the window would be about to become a page.
    cache = filled(&config, 3 + 32, &mut random);
    let (newest, before) = (newest(&cache), cache.dequantized());
    let [keys, values] = token(&mut random, &config);
    for damage in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 70_000.0] {
        for at in [0, 17, 31] {
            let mut bad = keys.clone();
            bad[at] = damage;
            assert_eq!(cache.push(newest + 1, &bad, &values), Err(KvError::Range));
            assert_eq!(cache.push(newest + 1, &values, &bad), Err(KvError::Range));
            let mut bad = good.clone();
            bad[at] = damage;
            assert_eq!(cache.attend(Isa::detect(), &bad, newest, ALL, &mut scratch, &mut out), Err(KvError::Range));
        }
    }
    assert_eq!(cache.push(newest, &keys, &values), Err(KvError::Position));
    assert_eq!(cache.attend(Isa::detect(), &good, newest - 1, ALL, &mut scratch, &mut out), Err(KvError::Position));
    assert!(out.iter().all(|v| v.to_bits() == 7f32.to_bits()));
    assert_eq!((cache.dequantized(), cache.counts().tokens), (before, 3 + 32));
    // The extremes of what is taken, and nothing at all, leave numbers.
    for i in 0..64 {
        let x = [0.0, 65504.0, -65504.0, 1e-30][i as usize % 4];
        cache.push(newest + 1 + i, &[x; 32], &[-x; 32]).expect("numbers should be taken");
    }
    assert!(ask(Isa::detect(), &mut cache, &config, &good, 0, ALL).iter().all(|v| v.is_finite()));
    assert!(cache.pages().all(|(_, mass)| mass.is_finite()));
}

#[test]
fn sizes_that_do_not_go_together_are_refused() {
    let good = config(KvBits::Low, Positions::AsSeen, 3);
    assert_eq!(good.check(), Ok(()));
    for (bad, name) in [
        (KvConfig { width: 24, ..good }, "width"),
        (KvConfig { kv_heads: 0, ..good }, "kv_heads"),
        (KvConfig { query_heads: 5, ..good }, "query_heads"),
        (KvConfig { page: 0, ..good }, "page"),
        (KvConfig { page: 24, ..good }, "page"),
        (KvConfig { window: 24, ..good }, "window"),
        (KvConfig { kv_heads: 1 << 40, ..good }, "kv_heads"),
        (KvConfig { sinks: 17, ..good }, "sinks"),
        (KvConfig { buckets: 0, ..good }, "buckets"),
        (KvConfig { memory: f32::NAN, ..good }, "memory"),
        (KvConfig { rope_base: f64::NAN, ..good }, "rope_base"),
    ] {
        assert_eq!(KvCache::new(&bad).err(), Some(KvError::Config(name)));
    }
    for large in
        [KvConfig { top: 3, ..good }, KvConfig { top: usize::MAX, ..good }, KvConfig { window: 1 << 60, ..good }]
    {
        assert!(matches!(KvCache::new(&large).err(), Some(KvError::Room { .. })));
    }
    assert_eq!(
        KvCaches::new(&[good, KvConfig { page: 32, window: 32, bytes: 1 << 20, ..good }]).err(),
        Some(KvError::Config("layers"))
    );
}

/// As where a router lets a fifth of the tokens into later layers.
#[test]
fn layers_may_differ_in_length() {
    let mut random = Random(6);
    let configs = [6, 2].map(|pages| config(KvBits::Four, Positions::AsSeen, pages));
    let mut caches = KvCaches::new(&configs).expect("the sizes should go together");
    for position in 0..100 {
        for (layer, config) in configs.iter().enumerate() {
            if layer == 0 || position % 5 == 0 {
                let [keys, values] = token(&mut random, config);
                caches.push(layer, position, &keys, &values).expect("numbers should be taken");
            }
        }
    }
    assert_eq!(caches.layers().iter().map(KvCache::len).collect::<Vec<_>>(), [100, 20]);
    let query = query(&mut random, &configs[0]);
    for (layer, config) in configs.iter().enumerate() {
        let mut out = vec![0.0; query.len()];
        caches.attend(Isa::detect(), layer, &query, 100, ALL, &mut out).expect("there should be an answer");
        let alone = ask(Isa::detect(), &mut caches.layers()[layer].clone(), config, &query, 100 - [99, 95][layer], ALL);
        assert_eq!(bits(&out), bits(&alone));
    }
    let held = caches.bytes();
    caches.clear();
    assert!(caches.layers().iter().all(KvCache::is_empty) && caches.bytes() == held);
}

/// Asking with several of the newest tokens at once.
#[test]
fn tokens_that_ask_together_get_what_each_alone_would() {
    let mut random = Random(5);
    for (positions, pages) in [(Positions::AsSeen, 6), (Positions::Consecutive, 6), (Positions::AsSeen, 2)] {
        let config = config(BITS[0], positions, pages);
        let mut alone = KvCache::new(&config).expect("the sizes should go together");
        let mut together = alone.clone();
        let mut scratch = KvScratch::for_queries(&config, 16).expect("the sizes should go together");
        let row = config.query_heads * config.width;
        let mut position = 0;
        for count in [1, 16, 7, 1, 5, 16, 2, 16, 16, 9] {
            let queries = random.values(count * row);
            let mut wanted = Vec::new();
            for query in queries.chunks_exact(row) {
                let [keys, values] = token(&mut random, &config);
                alone.push(position, &keys, &values).expect("numbers should be taken");
                together.push(position, &keys, &values).expect("numbers should be taken");
                wanted.extend(ask(Isa::detect(), &mut alone, &config, query, 0, ALL));
                position += 1;
            }
            for isa in Isa::available() {
                let mut found = vec![7.0; count * row];
                together.clone().attend_newest(isa, &queries, &mut scratch, &mut found).expect("there is an answer");
                // Once pages go, the first of those that ask together miss one that each alone still had.
                if together.counts().evicted_pages == 0 {
                    assert_eq!(bits(&found), bits(&wanted), "{positions:?} {count}");
                } else {
                    let last = (count - 1) * row;
                    assert_eq!(bits(&found[last..]), bits(&wanted[last..]), "{positions:?} {count}");
                }
            }
            together
                .attend_newest(Isa::PORTABLE, &queries, &mut scratch, &mut vec![0.0; count * row])
                .expect("as above");
            let masses = |cache: &KvCache| cache.pages().map(|(_, mass)| mass.to_bits()).collect::<Vec<_>>();
            if together.counts().evicted_pages == 0 {
                assert_eq!(masses(&together), masses(&alone));
            }
        }
        assert_eq!(together.counts().evicted_pages > 0, pages == 2, "both are seen");
        let empty = &mut KvCache::new(&config).expect("the sizes should go together");
        let error = empty.attend_newest(Isa::PORTABLE, &random.values(row), &mut scratch, &mut vec![0.0; row]);
        assert_eq!(error, Err(KvError::Empty));
        together.push(position + 3, &vec![0.0; row / 3], &vec![0.0; row / 3]).expect("a hole is allowed");
        let error =
            together.attend_newest(Isa::PORTABLE, &random.values(2 * row), &mut scratch, &mut vec![0.0; 2 * row]);
        assert_eq!(error, Err(KvError::Position));
    }
}
