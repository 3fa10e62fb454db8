//! Vocabularies of a hundred to a hundred thousand sentences: what they take, and what a look-up takes and finds, exactly, from
//! coarse to fine, and by product quantization. It is the library that is measured, in the two forms between which a program
//! chooses by the number of sentences, and in the one that no program takes.

use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use ocelli_infer::{Binding, Book, EMBEDDING, Evidence, Scenes};

use crate::machine::cpu_ns;

const SIZES: [usize; 4] = [100, 1000, 10_000, 100_000];

/// The nearest sentence to a unit vector, and its cosine.
type Way<'a> = &'a dyn Fn(&[f32; EMBEDDING]) -> (usize, f32);

/// CPU time that look-ups of one kind take together at least.
const LONG_NS: u64 = 200_000_000;

/// Prints a table for what `tools/bench/vocabulary.py` left in `folder`.
///
/// # Errors
/// The files cannot be read, or do not go together.
pub fn vocabulary_table(folder: &Path) -> Result<()> {
    let read = |name: &str| fs::read(folder.join(name)).with_context(|| folder.join(name).display().to_string());
    let texts = String::from_utf8(read("texts.txt")?).context("texts.txt is no text")?;
    let texts: Vec<&str> = texts.lines().collect();
    let rows: Vec<[i8; EMBEDDING]> =
        read("rows.i8")?.as_chunks::<EMBEDDING>().0.iter().map(|row| row.map(u8::cast_signed)).collect();
    ensure!(texts.len() == rows.len(), "{} sentences and {} rows", texts.len(), rows.len());
    let mut asked = vec![("sentences", vectors(&read("sentences.f32")?))];
    if folder.join("narrator.f32").is_file() {
        asked.push(("a narrator", vectors(&read("narrator.f32")?)));
    }
    for size in SIZES.into_iter().filter(|size| *size <= texts.len()) {
        let exact = bound(&texts[..size], &rows[..size], usize::MAX)?;
        let began = Instant::now();
        let coded = bound(&texts[..size], &rows[..size], 0)?;
        let bound_s = began.elapsed().as_secs_f64();
        let scenes = Scenes::of(&exact);
        let (prefixes, postfixes) = exact.counts();
        let plain: usize = texts[..size].iter().map(|text| text.len() + size_of::<String>()).sum();
        let number = scenes.len();
        println!(
            "{size} sentences: {prefixes} prefixes, {postfixes} postfixes, {number} scenes; bound in {bound_s:.1} s"
        );
        println!(
            "  texts {} KiB, as pairs {} KiB; rows {} KiB, codes {} KiB, scenes {} KiB",
            plain >> 10,
            exact.bytes().pairs >> 10,
            exact.bytes().table >> 10,
            coded.bytes().table >> 10,
            scenes.bytes() >> 10
        );
        let ways: [(&str, Way<'_>); 3] = [
            ("flat", &|z| exact.nearest(z, 1)[0]),
            ("scenes", &|z| scenes.nearest(&exact, z, 1)[0]),
            ("codes", &|z| coded.nearest(z, 1)[0]),
        ];
        for (whose, asked) in &asked {
            let best: Vec<(usize, f32)> = asked.iter().map(|z| exact.nearest(z, 1)[0]).collect();
            for (name, nearest) in ways {
                let (mut found, mut lost, mut looked) = (0u32, 0.0f32, 0u32);
                for (z, (sentence, cosine)) in asked.iter().zip(&best) {
                    let near = nearest(z);
                    found += u32::from(near.0 == *sentence);
                    lost += cosine - near.1;
                }
                // The system counts a thread's time in steps of some milliseconds.
                let worked = cpu_ns();
                while cpu_ns() - worked < LONG_NS {
                    for z in asked.iter().take(50) {
                        black_box(nearest(black_box(z)));
                        looked += 1;
                    }
                }
                let us = (cpu_ns() - worked) as f64 / 1e3 / f64::from(looked);
                let (recall, lost) = (f64::from(found) / asked.len() as f64, lost / asked.len() as f32);
                println!("  {whose:<12} {name:<8} {us:>9.1} us of CPU  recall@1 {recall:.3}  cosine lost {lost:.4}");
            }
        }
    }
    Ok(())
}

/// A book of these, with codes beyond so many, and its rows in a file as a program has them.
fn bound(texts: &[&str], rows: &[[i8; EMBEDDING]], most_exact: usize) -> Result<Book> {
    let (mut file, mut binding, mut at) = (tempfile::tempfile()?, Binding::new(most_exact), 0);
    for (text, row) in texts.iter().zip(rows) {
        let evidence = Evidence::kept("00000000", row).to_string();
        ensure!(binding.push(text, row, at), "{text}: a row without a direction");
        at += u32::try_from(evidence.len())?;
        file.write_all(evidence.as_bytes())?;
    }
    Ok(binding.bind(Some(file))?.0)
}

fn vectors(bytes: &[u8]) -> Vec<[f32; EMBEDDING]> {
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
    values.as_chunks::<EMBEDDING>().0.to_vec()
}
