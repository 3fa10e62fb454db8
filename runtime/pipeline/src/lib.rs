//! The work between a picture and a sentence: pure, single-threaded, and of a size fixed at start.
//!
//! [`TokenGate`] picks the patches that changed (on the capture side, into a [`PatchSlot`]); [`Pipeline::step`] takes
//! them through the encoder, the [`MemoryRing`], the head and the [`SpeakPolicy`]. Read `pipeline.rs` first.
//!
//! `no_std` with `alloc`: everything is allocated in `new`; `select`, `step` and `view` allocate nothing. There are no
//! threads and no I/O, and the clock is read only to report how long a stage took: same batches, same words.
//!
//! ```
//! use ocelli_pipeline::*;
//! use ocelli_testkit::{FakeEncoder, FakeHead, SimClock};
//! use ocelli_types::{Content, FrameSeq, Micros, PatchGrid, Severity};
//!
//! // Sized once: a picture of 4x4 patches, tokens of 8 numbers, a vocabulary of two entries.
//! let grid = PatchGrid::new(8, 2).expect("4 patches of 2 pixels");
//! let gate = GateConfig {
//!     min_mad: 4, noise_factor_num: 5, noise_factor_den: 2, refresh_frames: 25, whole_frame_tenths: 6,
//! };
//! let selection = Selection { slots: 16, frame_tokens: 8, max_age_frames: 15 };
//! let memory = MemoryConfig::new(grid, 8, selection, gate.refresh_frames);
//! let default = Speak { threshold: 0.5, hold_off_us: Micros(600_000) };
//! let calibration = Calibration::default();
//! let speak = SpeakConfig { smoothing: 0.5, default, kinds: &[], calibration, who: &[], things: &[], news: None };
//! let lexicon = Lexicon::new(&speak, ["silence", "walk"], [(0, Severity::None), (1, Severity::Info)])?;
//!
//! let (encoder, head) = (FakeEncoder::new(grid, 8), FakeHead::new(2).says(1, 0.9, 10));
//! let mut pipeline = Pipeline::new(encoder, head, PipelineConfig { memory, lexicon })?;
//! let (mut gate, mut slot) = (TokenGate::new(grid, gate)?, PatchSlot::new(grid));
//!
//! // Frame by frame: select what changed, step, and see whether there is something to say.
//! let (picture, clock, mut events) = (vec![100; grid.bytes()], SimClock::new(), EventBuf::new());
//! for frame in 0..4 {
//!     let captured_us = Micros(frame * 200_000);
//!     gate.select(&picture, Content::whole(grid), FrameSeq(frame), captured_us, &mut slot);
//!     pipeline.step(&slot.batch(), &clock, &mut events).expect("the fakes fail only when asked");
//! }
//! assert_eq!((events[0].entry, events[0].end_us), (1, Micros(600_000)));
//! # Ok::<(), ConfigError>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod alert;
mod camera;
mod error;
mod gate;
mod memory;
mod pipeline;
mod scene;
mod speak;
mod telling;
mod unknown;
mod unusual;

pub use alert::{After, AlertBuf, AlertRule, AlertRules, Alerted, Hold, Sight, WEEK_MINUTES, WeekSpan, Zone};
pub use camera::{CameraMove, Primitive};
pub use error::ConfigError;
pub use gate::{GateConfig, GateReport, PatchSlot, TokenGate};
pub use memory::{
    CutConfig, DropReference, FeatureDrop, Hole, HoleCause, MOST_RECALLED, MOST_STREAM, MemoryConfig, MemoryReport,
    MemoryRing, Peak, Recalled, SegmentConfig, Selection, SnapshotError, Tier,
};
pub use pipeline::{Mind, Pipeline, PipelineConfig, StepError, StepReport, TokenSlot};
pub use speak::{Calibration, EventBuf, Lexicon, News, SILENCE, Seen, Speak, SpeakConfig, SpeakPolicy, Spoken};
pub use telling::Verbosity;
pub use unknown::{Described, UnknownConfig, Unknowns};
pub use unusual::{APART_DAYS, Deviation, DeviationBuf, Normal, NormalConfig};
