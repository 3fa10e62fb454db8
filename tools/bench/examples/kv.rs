//! Prints what the KV cache's bits cost, on made up keys and on those that `tools/bench/record_kv.py` recorded:
//! `cargo run -p ocelli-bench --example kv -- data/kv/readme data/kv/licence`.

use anyhow::Result;
use ndarray::Array4;
use ocelli_bench::{KvFigures, KvLayer, measure_kv, synthetic_kv};
use ocelli_kernels::{KvBits, KvConfig, Positions};

/// SmolLM2-135M, one layer.
const HEAD: KvConfig = KvConfig {
    query_heads: 9,
    kv_heads: 3,
    width: 64,
    rope_base: 1e5,
    positions: Positions::AsSeen,
    bits: KvBits::Low,
    page: 64,
    window: 128,
    sinks: 4,
    buckets: 4,
    top: 2,
    memory: 0.05,
    bytes: 4 << 20,
};

/// The last so many tokens ask.
const ASKING: usize = 64;

/// Tokens in half precision whose bytes are a budget.
const IN_HALVES: usize = 2048;

fn main() -> Result<()> {
    let mut all = vec![("made up".to_owned(), (0..8).map(|seed| synthetic_kv(&HEAD, 1024, seed)).collect::<Vec<_>>())];
    for folder in std::env::args().skip(1) {
        all.push((folder.clone(), recorded(&folder)?));
    }
    for (name, layers) in &all {
        println!(
            "\n{name}: {} layers, bits of keys, values, both; relative error to f32: mean, p99, pooled; to f16",
            layers.len()
        );
        let tokens = layers[0].keys.len() / (HEAD.kv_heads * HEAD.width);
        for page in [64, 128] {
            for bits in [KvBits::Eight, KvBits::Four, KvBits::Low] {
                let config = KvConfig { bits, page, ..HEAD };
                say("all", &measure_kv(&config, layers, ASKING, usize::MAX, IN_HALVES)?);
            }
        }
        let pages = (tokens - HEAD.sinks - HEAD.window) / HEAD.page;
        for share in [0.8, 0.6, 0.4, 0.2] {
            let top_pages = (share * pages as f64).round() as usize;
            let name = format!("{top_pages} of {pages} pages asked");
            say(&name, &measure_kv(&HEAD, layers, ASKING, top_pages, IN_HALVES)?);
        }
        // What is better for the same bytes: all tokens in few bits, or few tokens in more.
        for bits in [KvBits::Low, KvBits::Four, KvBits::Eight] {
            let config = KvConfig { bits, ..HEAD.with_pages(pages) };
            let name = format!("{} pages in as many bytes", config.pages());
            say(&name, &measure_kv(&config, layers, ASKING, usize::MAX, IN_HALVES)?);
        }
        for share in [0.75, 0.5, 0.25] {
            let config = HEAD.with_pages((share * pages as f64).round() as usize);
            let name = format!("{} of {pages} pages kept", config.pages());
            say(&name, &measure_kv(&config, layers, ASKING, usize::MAX, IN_HALVES)?);
        }
    }
    Ok(())
}

fn say(what: &str, figures: &KvFigures) {
    let [keys, values, both] = figures.effective_bits;
    print!("{what:26} {:?} page {:3} bits {keys:.2} {values:.2} {both:.3}", figures.bits, figures.page);
    for distance in [figures.to_single, figures.to_half] {
        print!("  error {:.4} {:.4} {:.4}", distance.mean, distance.p99, distance.pooled);
    }
    println!("  {} tokens in the bytes of {IN_HALVES}, {} evicted", figures.tokens_in_halves, figures.evicted_tokens);
}

/// The layers in a folder of `record_kv.py`.
fn recorded(folder: &str) -> Result<Vec<KvLayer>> {
    let read = |name: &str| -> Result<Array4<f32>> { Ok(ndarray_npy::read_npy(format!("{folder}/{name}.npy"))?) };
    let (queries, keys, values) = (read("q")?, read("k")?, read("v")?);
    let parts = queries.outer_iter().zip(keys.outer_iter()).zip(values.outer_iter());
    let layers = parts.map(|((queries, keys), values)| KvLayer {
        queries: queries.iter().copied().collect(),
        keys: keys.iter().copied().collect(),
        values: values.iter().copied().collect(),
    });
    Ok(layers.collect())
}
