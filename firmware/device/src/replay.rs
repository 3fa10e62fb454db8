//! `ocelli replay`: a clip as fast as possible, in one thread; the same clip and pack give the same bytes.

use std::io::{self, Write};

use ocelli_drivers::{Clip, DriverError, SystemClock};
use ocelli_pipeline::{EventBuf, PatchSlot};
use ocelli_types::{Clock, Fault, Faulty, FrameSource, Pixels, SizePx};

use crate::cli::ReplayArgs;
use crate::error::{Error, note};
use crate::plan::Plan;
use crate::pulse::Pulse;
use crate::voice::Voice;
use crate::wiring::{self, Eye};

/// Narrates the clip.
pub fn command(args: &ReplayArgs) -> Result<(), Error> {
    let config = args.config()?;
    let mut clip = Clip::open(&args.clip)?;
    let mut picture = clip.size_px().unwrap_or(SizePx::new(1, 1));
    let (pack, stab, narrator) = wiring::load(&config.pack)?;
    let plan = Plan::new(config.memory_budget, &pack, &stab, &narrator, picture).with_index(clip.index_bytes());
    plan.require()?;
    let mut voice = Voice::open(&config, None)?;
    let mut eye = Eye::new(&pack)?;
    let mut thinking = wiring::thinking(&pack, stab, narrator)?;
    let mut slot = PatchSlot::new(pack.grid);
    let (clock, mut pulse, mut events) = (SystemClock::new(), Pulse::default(), EventBuf::new());
    let ended = loop {
        let start_us = clock.now();
        let frame = match clip.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break Ok(()),
            Err(error) if error.fault() == Fault::Retry => {
                pulse.damaged += 1;
                continue;
            }
            Err(error) => break Err(error),
        };
        pulse.pictures += 1;
        if frame.size_px.area() > picture.area() {
            match plan.with_picture(frame.size_px).require() {
                // The header of one damaged JPEG may claim any size.
                Err(_) if pulse.seen > 0 && matches!(frame.pixels, Pixels::Jpeg(_)) => {
                    pulse.damaged += 1;
                    continue;
                }
                planned => planned?,
            }
            picture = frame.size_px;
        }
        pulse.decode.add(clock.now() - start_us);
        if !eye.wants(frame.captured_us) {
            continue;
        }
        match eye.look(&frame, frame.captured_us, &mut slot, &clock) {
            Ok(look) => pulse.looked(&look),
            Err(error) if error.fault() == Fault::Retry => {
                pulse.damaged += 1;
                continue;
            }
            Err(error) => break Err(error),
        }
        let report = thinking.step(&slot.batch(), &clock, &mut events)?;
        pulse.thought(report.encode_us, report.describe_us);
        for spoken in &events {
            voice.say(spoken, &pack.vocabulary)?;
        }
    };
    if pulse.pictures > 0 {
        note(format_args!("{pulse}; {} events", voice.said()));
    }
    if args.stages && pulse.pictures > 0 {
        let _ = io::stderr().write_all(pulse.table().as_bytes());
    }
    ended?;
    if pulse.seen == 0 {
        return Err(DriverError::NoPicture { from: args.clip.display().to_string() }.into());
    }
    Ok(())
}
