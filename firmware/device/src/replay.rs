//! `ocelli replay`: a clip as fast as possible, in one thread; the same clip and pack give the same bytes.

use std::cell::RefCell;
use std::io::{self, Write};

use ocelli_drivers::{Clip, DriverError, SystemClock};
use ocelli_heap::{Counted, CountingAlloc};
use ocelli_infer::InferError;
use ocelli_pipeline::{AlertBuf, EventBuf, Mind, PatchSlot, StepError};
use ocelli_types::{Clock, Fault, Faulty, FrameSource, Micros, Pixels, SizePx};

use crate::alerts::{self, WeekClock};
use crate::cli::ReplayArgs;
use crate::error::{Error, note};
use crate::journal::{Dates, Scribe};
use crate::moments::Moments;
use crate::plain;
use crate::plan::Plan;
use crate::pulse::Pulse;
use crate::trace::Trace;
use crate::voice::Voice;
use crate::wiring::{self, Eye};

/// What filling a slot with tokens came to.
type CountedStep = Counted<Result<(), StepError<InferError, InferError>>>;

/// Narrates the clip.
pub fn command(args: &ReplayArgs) -> Result<(), Error> {
    let mut config = args.config()?;
    let mut clip = Clip::open(&args.clip)?;
    let mut picture = clip.size_px().unwrap_or(SizePx::new(1, 1));
    let pack = wiring::open(&config)?;
    plain::understand(&mut config, &pack)?;
    let (pack, mut stab, narrator) = wiring::load_models(pack)?;
    let budget_bytes = config.budget_bytes(pack.manifest.budget.memory_bytes);
    let plan = Plan::new(budget_bytes, &config, &pack, &stab, &narrator, picture).with_index(clip.index_bytes());
    plan.require()?;
    let dates = args.at.map_or(Dates::Unknown, Dates::From);
    let mut voice = Voice::open(&config, None)?.kept_by(Scribe::open(&config.journal, dates, Micros(0), true, None)?);
    let kinds: Vec<String> = match &args.trace {
        Some(_) => (0..pack.vocabulary.kinds()).map(|kind| pack.vocabulary.kind(kind).into_owned()).collect(),
        None => Vec::new(),
    };
    let mut trace = args.trace.as_deref().map(Trace::create).transpose()?;
    let mut eye = Eye::new(&pack)?.of(&config.cameras[0]);
    let narrator = RefCell::new(narrator);
    let head = wiring::taught(&pack, &narrator, &config.cameras[0])?;
    let (rules, tells) = alerts::of_camera(&config, 0, &pack)?;
    let lexicon = wiring::lexicon(&pack, &pack.vocabulary, config.speak.verbosity)?;
    let mind = Mind::new(head, wiring::blank(&pack, config.profile)?, lexicon);
    let (mut mind, mut alerted, week) = (mind.watching(rules), AlertBuf::new(), WeekClock::new(&config));
    let (mut slot, mut tokens) = (PatchSlot::new(pack.grid), mind.slot());
    let (mut seen_us, mut moments) = (Micros(0), Moments::new(&pack, &pack.vocabulary));
    let (clock, mut pulse, mut events) = (SystemClock::new(), Pulse::default(), EventBuf::new());
    let ended = loop {
        let start_us = clock.now();
        let next = CountingAlloc::count(|| clip.next());
        pulse.decode.allocated(next.allocations);
        let frame = match next.value {
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
            match plan.with_picture(0, frame.size_px).require() {
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
        let moved = match eye.look(&frame, frame.captured_us, &mut slot, &clock) {
            Ok(look) => {
                pulse.looked(&look);
                mind.looks(&look.gate);
                look.gate.camera_move.iter().try_for_each(|held| voice.moved(0, held))?;
                look.gate.changed > 0
            }
            Err(error) if error.fault() == Fault::Retry => {
                pulse.damaged += 1;
                continue;
            }
            Err(error) => break Err(error),
        };
        // As `Pipeline::step` does, in its two halves, so that each can be counted.
        let encoded: CountedStep = CountingAlloc::count(|| tokens.fill(&mut stab, &slot.batch(), &clock));
        encoded.value?;
        let thought = CountingAlloc::count(|| mind.take::<InferError>(&tokens, &clock, &mut events));
        let report = thought.value?;
        pulse.thought(&report);
        pulse.stab.allocated(encoded.allocations);
        pulse.narrator.allocated(thought.allocations);
        seen_us = slot.batch().captured_us;
        let minute = dates.of(seen_us).and_then(|unix_ms| week.minute(unix_ms));
        mind.judge(&tokens, minute, &mut alerted);
        for alert in &alerted {
            voice.alert(0, alert, &tells[alert.rule], &pack.vocabulary, mind.probabilities(), minute)?;
        }
        for spoken in &events {
            voice.say(0, spoken, &pack.vocabulary, mind.head())?;
        }
        voice.remind(0, seen_us)?;
        moments.look(0, &mind, moved, seen_us, &mut voice);
        if let Some(trace) = &mut trace {
            trace.add(seen_us, &kinds, mind.kind_probabilities())?;
        }
    };
    eye.finish().iter().try_for_each(|held| voice.moved(0, held))?;
    if pulse.pictures > 0 {
        note(format_args!("{pulse}; {} events", voice.said()));
    }
    if args.stages && pulse.pictures > 0 {
        let _ = io::stderr().write_all(pulse.table().as_bytes());
    }
    let kept = voice.finish(seen_us);
    ended?;
    kept?;
    if pulse.seen == 0 {
        return Err(DriverError::NoPicture { from: args.clip.display().to_string() }.into());
    }
    Ok(())
}
