//! A day at 5 frames a second, in seconds, with not one allocation after the start.

use ocelli_pipeline::{
    Calibration, EventBuf, GateConfig, Lexicon, MemoryConfig, PatchSlot, Pipeline, PipelineConfig, Selection, Speak,
    SpeakConfig, TokenGate,
};
use ocelli_testkit::{CountingAlloc, FakeEncoder, FakeHead, SimClock};
use ocelli_types::{Clock, Content, EventKind, FrameSeq, Micros, PatchGrid, Severity};

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

const FRAME_US: u64 = 200_000;
const DAY_FRAMES: u64 = 24 * 3600 * 5;
const REFRESH_FRAMES: u32 = 25;

/// Gate, hand-off and pipeline, in one thread.
struct Device {
    grid: PatchGrid,
    gate: TokenGate,
    slot: PatchSlot,
    pipeline: Pipeline<FakeEncoder, FakeHead>,
    clock: SimClock,
    events: EventBuf,
    picture: Vec<u8>,
}

/// What a day comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Day {
    kept_patches: u64,
    most_tokens: usize,
    narrations: u64,
    alerts: u64,
    alert_ends: u64,
    last_entry: u64,
    evicted: u64,
}

impl Device {
    fn new() -> Self {
        let grid = PatchGrid::new(8, 2).expect("4 patches of 2 pixels");
        let gate = GateConfig {
            min_mad: 4,
            noise_factor_num: 5,
            noise_factor_den: 2,
            refresh_frames: REFRESH_FRAMES,
            whole_frame_tenths: 6,
        };
        let selection = Selection { slots: 16, frame_tokens: 8, max_age_frames: 15 };
        let memory = MemoryConfig::new(grid, 8, selection, REFRESH_FRAMES);
        let default = Speak { threshold: 0.5, hold_off_us: Micros(600_000) };
        let speak = SpeakConfig {
            smoothing: 0.5,
            default,
            kinds: &[],
            calibration: Calibration::default(),
            who: &[],
            things: &[],
            news: None,
        };
        let severities = [(0, Severity::None), (1, Severity::Info), (2, Severity::Alarm)];
        let lexicon = Lexicon::new(&speak, ["silence", "walk", "fall"], severities).expect("a valid vocabulary");
        // A quiet hour, a walk of a minute, a fall, a walk again: 3,660 s over and over.
        let head = FakeHead::new(3).says(0, 0.9, 18_000).says(1, 0.9, 180).says(2, 0.9, 20).says(1, 0.9, 100);
        let config = PipelineConfig { memory, lexicon };
        let encoder = FakeEncoder::new(grid, 8);
        Self {
            grid,
            gate: TokenGate::new(grid, gate).expect("a valid gate"),
            slot: PatchSlot::new(grid),
            pipeline: Pipeline::new(encoder, head.over_and_over(), config).expect("a valid pipeline"),
            clock: SimClock::new(),
            events: EventBuf::new(),
            picture: vec![100; grid.bytes()],
        }
    }

    fn live(&mut self, frames: u64) -> Day {
        let mut day = Day::default();
        for frame in 0..frames {
            // Somebody crosses the picture for one minute in ten.
            let patch = frame as usize % self.grid.patches();
            let level = if frame / 300 % 10 == 0 { 40 + (frame * 37 % 150) as u8 } else { 100 };
            self.picture[patch * 12..][..12].fill(level);
            self.clock.sleep(Micros(FRAME_US));
            let (content, now) = (Content::whole(self.grid), self.clock.now());
            let report = self.gate.select(&self.picture, content, FrameSeq(frame), now, &mut self.slot);
            day.kept_patches += u64::from(report.kept);
            let step = self.pipeline.step(&self.slot.batch(), &self.clock, &mut self.events).expect("nothing fails");
            day.most_tokens = day.most_tokens.max(step.memory.tokens);
            (day.last_entry, day.evicted) = (step.entry.0, step.memory.evicted);
            for spoken in &self.events {
                match spoken.kind {
                    EventKind::Narration => day.narrations += 1,
                    EventKind::Alert => day.alerts += 1,
                    _ => day.alert_ends += 1,
                }
            }
        }
        day
    }
}

#[test]
fn a_day_allocates_nothing_and_is_told_in_a_few_lines() {
    let mut device = Device::new();
    let counted = CountingAlloc::count(|| device.live(DAY_FRAMES));
    assert_eq!(counted.allocations, 0, "select, step and view should allocate nothing");
    assert_eq!(counted.grown_bytes, 0, "memory should be flat over a day");

    let day = counted.value;
    assert_eq!(day.last_entry, DAY_FRAMES);
    assert!(day.most_tokens <= 26 * 5 + 4, "the ring holds no more than it was given");
    // 23 full rounds of 18,300 frames, and a quiet rest.
    assert_eq!((day.narrations, day.alerts, day.alert_ends), (23 * 3, 23, 23), "{day:?}");
    let share = day.kept_patches as f64 / (DAY_FRAMES * 16) as f64;
    assert!(share < 0.15, "most of a quiet day is dropped, {share:.3} was kept");
    assert!(day.evicted > DAY_FRAMES - 134);
}

#[test]
fn the_allocator_would_have_noticed() {
    assert!(CountingAlloc::count(Device::new).allocations > 0);
}
