//! `ocelli glance`: what the model sees in still pictures, for the gateway's chat. The program starts itself so, because models have
//! memory of their own.

use std::collections::VecDeque;
use std::io::{self, Read as _};

use ocelli_drivers::SystemClock;
use ocelli_pipeline::{EventBuf, PatchSlot, SILENCE};
use ocelli_types::{ColorMatrix, Frame, FrameSeq, Micros, PixelRange, Pixels, SizePx};
use serde_json::{Value, json};

use crate::cli::GlanceArgs;
use crate::config::ConfigError;
use crate::error::Error;
use crate::events;
use crate::vocab::word;
use crate::wiring::{self, Eye};

/// The most of all pictures together, and how many.
const MOST_BYTES: u64 = 8 << 20;
const MOST_PICTURES: usize = 20;

/// How often each is shown, a fifth of a second apart: STAB sees the last four.
const TIMES: u64 = 4;
const STEP_US: u64 = 200_000;

/// What is told: the most probable, from this on.
const MOST_TOLD: usize = 8;
const LEAST: f32 = 0.05;

/// Pictures on standard input, each a length (u32, little-endian) and a JPEG; a JSON list of what is seen, the most probable first.
pub fn command(args: &GlanceArgs) -> Result<(), Error> {
    let config = args.common.config()?;
    let wrong = |why: &str| Error::Config(ConfigError::Usage(format!("pictures on standard input: {why}")));
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| Error::System { what: "standard input", source })?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong("there are more than 8 MiB"));
    }
    let pack = wiring::open(&config)?;
    let mut eye = Eye::new(&pack)?;
    let (mut fitted, mut rest) = (VecDeque::new(), &bytes[..]);
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(|| wrong("the last is cut off"))?;
        let length = u32::from_le_bytes(*length) as usize;
        let picture = after.get(..length).ok_or_else(|| wrong("the last is cut off"))?;
        rest = &after[length..];
        if fitted.len() == MOST_PICTURES {
            return Err(wrong("there are more than 20"));
        }
        let frame = Frame {
            pixels: Pixels::Jpeg(picture),
            size_px: SizePx::new(1, 1),
            range: PixelRange::Full,
            matrix: ColorMatrix::Bt601,
            seq: FrameSeq(0),
            captured_us: Micros(0),
        };
        let number = fitted.len() + 1;
        fitted.push_back(eye.fit(&frame).map_err(|error| wrong(&format!("picture {number}: {error}")))?);
    }
    // A decoded picture is as large as both models, which come when it has gone.
    drop((bytes, eye));
    let mut eye = Eye::new(&pack)?;
    let (pack, stab, narrator) = wiring::load_models(pack)?;
    let mut thinking = wiring::thinking(&pack, config.profile, stab, narrator)?;
    let mut slot = PatchSlot::new(pack.grid);
    let (clock, mut events, mut number) = (SystemClock::new(), EventBuf::new(), 0);
    let mut best = vec![0.0_f32; pack.vocabulary.len()];
    while let Some(picture) = fitted.pop_front() {
        for _ in 0..TIMES {
            eye.look_at(&picture, number, Micros(number * STEP_US), &mut slot);
            thinking.step(&slot.batch(), &clock, &mut events)?;
            number += 1;
        }
        for (best, now) in best.iter_mut().zip(thinking.probabilities()) {
            *best = best.max(*now);
        }
    }
    let mut seen: Vec<(f32, usize)> =
        best.into_iter().zip(0..).filter(|(probability, _)| *probability >= LEAST).collect();
    seen.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all = &pack.vocabulary;
    let told = seen.iter().map(|(probability, entry)| (probability, all.entry(*entry)));
    let told = told.filter(|(_, entry)| all.kind(entry.kind) != SILENCE).take(MOST_TOLD);
    let told: Value = told
        .map(|(probability, entry)| {
            json!({
                "text": entry.text_in(config.output.language.as_deref()),
                "kind": all.kind(entry.kind),
                "severity": word(entry.severity.into()),
                "probability": events::rounded((*probability).into()),
            })
        })
        .collect();
    events::print(&format!("{told}\n"))
}
