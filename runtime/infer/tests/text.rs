//! The text encoder against the reference: pieces to the last one, embeddings by their cosine, and what is nearest to what.
//!
//! `models/minilm/golden` was recorded by `tools/train/text.py` from sentence-transformers.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::Array2;
use ndarray_npy::read_npy;
use ocelli_infer::{EMBEDDING, Embedded, PackError, TextEncoder, TextPack};
use serde::Deserialize;

/// The least cosine to the reference.
const ALIKE: f32 = 0.99;

#[derive(Deserialize)]
struct Sentence {
    text: String,
    pieces: Vec<u32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/minilm")
}

fn sentences() -> Vec<Sentence> {
    let text = std::fs::read_to_string(folder().join("golden/sentences.jsonl")).expect("it was recorded");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn encoder() -> TextEncoder {
    TextEncoder::load(&TextPack::open(&folder()).expect("it is whole")).expect("it loads")
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn embeddings_are_those_of_the_reference_and_so_is_what_is_nearest() {
    let (sentences, mut encoder) = (sentences(), encoder());
    let wanted: Array2<f32> = read_npy(folder().join("golden/embeddings.npy")).expect("it was recorded");
    assert!(wanted.dim() == (sentences.len(), EMBEDDING) && sentences.len() >= 50);
    let start = Instant::now();
    let found: Vec<Embedded> =
        sentences.iter().map(|sentence| encoder.embed(&sentence.text).expect("it runs")).collect();
    let each_ms = start.elapsed().as_secs_f64() * 1e3 / found.len() as f64;
    let row = |index: usize| wanted.row(index).to_slice().expect("in standard order");
    let cosines: Vec<f32> = found.iter().enumerate().map(|(index, found)| cosine(&found.z, row(index))).collect();
    let (least, mean) =
        (cosines.iter().fold(1.0f32, |a, b| a.min(*b)), cosines.iter().sum::<f32>() / cosines.len() as f32);
    eprintln!("{} sentences: cosine {least:.4} at least, {mean:.4} in the mean; {each_ms:.1} ms each", found.len());
    for (sentence, cosine) in sentences.iter().zip(&cosines) {
        assert!(*cosine >= ALIKE, "{}: {cosine}", sentence.text);
    }
    // Of each narration the nearest other one.
    let nearest = |of: &dyn Fn(usize) -> Vec<f32>, index: usize| {
        let to = of(index);
        let others = (0..found.len()).filter(|other| *other != index).map(|other| (cosine(&to, &of(other)), other));
        others.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are others")
    };
    for (index, sentence) in sentences.iter().enumerate().filter(|(_, sentence)| sentence.pieces.len() > 2) {
        let (ours, theirs) = (nearest(&|at| found[at].z.clone(), index), nearest(&|at| row(at).to_vec(), index));
        // Where two are as near as one another to a hundredth either may come first.
        let close = cosine(row(index), row(theirs.1)) - cosine(row(index), row(ours.1));
        assert!(ours.1 == theirs.1 || close < 0.01, "{}: {} by {close}", sentence.text, sentences[ours.1].text);
    }
    assert!(encoder.weight_bytes() < 12_000_000, "the table of pieces stays on disk");
}

#[test]
fn what_is_beyond_the_limit_is_left_out_and_said() {
    let mut encoder = encoder();
    let long = encoder.embed(&"a cat ".repeat(80)).expect("it runs");
    assert_eq!(long.left_out, 160 + 2 - 128);
    assert_eq!(encoder.embed("a cat").expect("it runs").left_out, 0);
    let (short, again) = (encoder.embed("a cat").expect("it runs"), encoder.embed("a cat").expect("it runs"));
    assert_eq!(short.z, again.z, "it remembers nothing of the sentence before");
}

#[test]
fn a_damaged_encoder_is_named() {
    let copy = tempfile::tempdir().expect("there is a temporary folder");
    for file in ["encoder.toml", "encoder.onnx", "words.bin", "pieces.txt"] {
        std::fs::copy(folder().join(file), copy.path().join(file)).expect("it is whole");
    }
    let path = copy.path().join("words.bin");
    let bytes = std::fs::read(&path).expect("it was copied");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("it is writable");
    let error = TextPack::open(copy.path()).expect_err("it is cut off");
    assert!(matches!(&error, PackError::Hash { path } if path.ends_with("words.bin")), "{error}");
    std::fs::remove_file(&path).expect("it is there");
    let error = TextPack::open(copy.path()).expect_err("it has gone");
    assert!(matches!(&error, PackError::Unreadable { path, .. } if path.ends_with("words.bin")), "{error}");
}
