//! One step: what is said, and what is left behind when a part fails.

use ocelli_pipeline::{
    Calibration, EventBuf, Lexicon, MemoryConfig, MemoryReport, Pipeline, PipelineConfig, Selection, Speak,
    SpeakConfig, StepError, StepReport,
};
use ocelli_testkit::{FakeEncoder, FakeError, FakeHead, SimClock};
use ocelli_types::{
    Clock, Content, Encoder, EntryId, EventKind, Fault, Faulty, FrameSeq, FrameTokens, Head, MemoryView, Micros,
    PatchBatch, PatchGrid, PatchMask, Severity,
};

const KINDS: [&str; 3] = ["silence", "walk", "fall"];
const SEVERITIES: [(usize, Severity); 3] = [(0, Severity::None), (1, Severity::Info), (2, Severity::Alarm)];

fn grid() -> PatchGrid {
    PatchGrid::new(8, 2).expect("4 patches of 2 pixels")
}

fn config() -> PipelineConfig {
    let selection = Selection { slots: 12, frame_tokens: 3, max_age_frames: 4 };
    let memory = MemoryConfig { tokens: 100, ..MemoryConfig::new(grid(), 2, selection, 6) };
    let default = Speak { threshold: 0.5, hold_off_us: Micros(200_000) };
    let speak = SpeakConfig {
        smoothing: 0.0,
        default,
        kinds: &[],
        calibration: Calibration::default(),
        who: &[],
        things: &[],
        news: None,
    };
    PipelineConfig { memory, lexicon: Lexicon::new(&speak, KINDS, SEVERITIES).expect("a valid vocabulary") }
}

fn pipeline<E: Encoder, H: Head>(encoder: E, head: H) -> Pipeline<E, H> {
    Pipeline::new(encoder, head, config()).expect("a valid pipeline")
}

/// Frames of one level, all patches kept, 0.2 s apart.
struct Frames {
    kept: PatchMask,
    patches: Vec<u8>,
    next: u64,
    events: EventBuf,
}

type Step<E, H> = Result<StepReport, StepError<<E as Encoder>::Error, <H as Head>::Error>>;

impl Frames {
    fn new() -> Self {
        Self { kept: PatchMask::first(16), patches: vec![50; grid().bytes()], next: 0, events: EventBuf::new() }
    }

    fn step<E: Encoder, H: Head>(&mut self, pipeline: &mut Pipeline<E, H>) -> Step<E, H> {
        let (seq, captured_us) = (FrameSeq(self.next), Micros(self.next * 200_000));
        let (sent, content) = (&self.kept, Content::whole(grid()));
        let batch = PatchBatch { grid: grid(), sent, kept: sent, content, patches: &self.patches, seq, captured_us };
        let result = pipeline.step(&batch, &SimClock::new(), &mut self.events);
        self.next += 1;
        result
    }

    /// Gives the last batch once more.
    fn step_again<E: Encoder, H: Head>(&mut self, pipeline: &mut Pipeline<E, H>) -> Step<E, H> {
        self.next -= 1;
        self.step(pipeline)
    }

    fn said(&self) -> Vec<(EventKind, u32)> {
        self.events.iter().map(|spoken| (spoken.kind, spoken.entry)).collect()
    }
}

#[test]
fn a_fall_is_told_with_its_evidence_and_its_cost() {
    let mut pipeline = pipeline(FakeEncoder::new(grid(), 2), FakeHead::new(3).says(2, 0.9, 9));
    let mut frames = Frames::new();
    assert_eq!(pipeline.probabilities(), [0.0; 3]);
    frames.step(&mut pipeline).expect("nothing fails");
    assert!(frames.events.is_empty(), "not yet sure");
    let report = frames.step(&mut pipeline).expect("nothing fails");
    assert_eq!(frames.said(), [(EventKind::Narration, 2), (EventKind::Alert, 2)]);
    let spoken = frames.events[0];
    assert_eq!((spoken.from, spoken.to), (EntryId(1), EntryId(2)));
    assert_eq!((spoken.start_us, spoken.end_us), (Micros(0), Micros(200_000)));
    assert!((pipeline.probabilities()[2] - 0.9).abs() < 1e-6);
    let expected = StepReport {
        entry: EntryId(2),
        kept_patches: 16,
        kept_tokens: 4,
        dropped_tokens: 0,
        encode_us: Micros(0),
        describe_us: Micros(0),
        memory: MemoryReport { entries: 2, tokens: 10, offered: 8, ..MemoryReport::default() },
    };
    assert_eq!(report, expected);
    frames.step(&mut pipeline).expect("nothing fails");
    assert!(frames.events.is_empty(), "what was said is gone from the buffer, and not said again");
}

#[test]
fn an_encoder_that_fails_leaves_no_trace_and_the_batch_may_come_again() {
    let encoder = FakeEncoder::new(grid(), 2).fails_on(2, Fault::Retry);
    let mut pipeline = pipeline(encoder, FakeHead::new(3).says(2, 0.9, 9));
    let mut frames = Frames::new();
    frames.step(&mut pipeline).expect("the first call works");
    let error = frames.step(&mut pipeline).expect_err("the second call fails");
    assert_eq!(
        error.to_string(),
        "frame 1: the picture was not encoded: the encoder fails on call 2, as the test asked"
    );
    assert_eq!(error.fault(), Fault::Retry);
    assert!(frames.events.is_empty());
    assert_eq!(pipeline.head_mut().calls(), 1, "the head is not asked about a frame that is not there");
    let report = frames.step_again(&mut pipeline).expect("the third call works");
    assert_eq!((report.entry, report.memory.entries), (EntryId(2), 2), "no id was used up");
    assert_eq!(frames.said().len(), 2);
}

#[test]
fn a_head_that_fails_says_nothing_but_the_frame_is_remembered() {
    let head = FakeHead::new(3).says(2, 0.9, 9).fails_on(2, Fault::Stop);
    let mut pipeline = pipeline(FakeEncoder::new(grid(), 2), head);
    let mut frames = Frames::new();
    frames.step(&mut pipeline).expect("the first call works");
    let error = frames.step(&mut pipeline).expect_err("the second call fails");
    assert_eq!(error.to_string(), "entry 2: the memory was not described: the head fails on call 2, as the test asked");
    assert_eq!(error.fault(), Fault::Stop);
    assert!(frames.events.is_empty());
    let report = frames.step(&mut pipeline).expect("the third call works");
    assert_eq!((report.entry, report.memory.entries), (EntryId(3), 3));
    assert_eq!(frames.events[0].from, EntryId(1), "the policy goes on from what it knew");
}

#[test]
fn an_answer_that_is_not_a_number_does_not_silence_the_device_for_ever() {
    let head = FakeHead::new(3).says(1, 0.9, 1).answers(vec![0.5, f32::NAN, 0.5], 1).says(1, 0.9, 9);
    let mut pipeline = pipeline(FakeEncoder::new(grid(), 2), head);
    let mut frames = Frames::new();
    frames.step(&mut pipeline).expect("a number");
    let error = frames.step(&mut pipeline).expect_err("not a number");
    assert_eq!((&error, error.fault()), (&StepError::NotANumber { model: "the narrator" }, Fault::Stop));
    frames.step(&mut pipeline).expect("a number again");
    assert_eq!(frames.said(), [(EventKind::Narration, 1)]);
}

#[test]
fn the_head_sees_the_tokens_that_the_encoder_wrote() {
    struct Looks(Vec<(u32, f32)>);
    impl Head for Looks {
        type Error = FakeError;
        fn describe(&mut self, view: &MemoryView<'_>, probabilities: &mut [f32]) -> Result<(), FakeError> {
            self.0 = view
                .slots
                .iter()
                .flatten()
                .map(|slot| (slot.age_frames, view.token(*slot).next().unwrap_or_default()))
                .collect();
            probabilities.fill(1.0 / 3.0);
            Ok(())
        }
    }
    let mut pipeline = pipeline(FakeEncoder::new(grid(), 2), Looks(Vec::new()));
    let mut frames = Frames::new();
    frames.step(&mut pipeline).expect("nothing fails");
    // Now only window 1 changes, from 50 to 90: its patches are 2, 3, 6 and 7.
    frames.kept = PatchMask::empty();
    for patch in [2, 3, 6, 7] {
        frames.kept.insert(patch);
    }
    frames.patches = vec![90; 48];
    frames.step(&mut pipeline).expect("nothing fails");
    let windows = [(1, 50.0), (0, 90.0), (1, 50.0), (1, 50.0)];
    assert_eq!(pipeline.head_mut().0[..4], windows);
    assert_eq!(
        pipeline.head_mut().0[4..],
        [(0, 60.0), (1, 50.0), (1, 50.0)],
        "two frame tokens, one superseded window"
    );
}

#[test]
fn the_report_says_which_stage_took_how_long() {
    /// Takes its time, by the hands of a clock.
    struct Slow<T>(T, SimClock, u64);
    impl Encoder for Slow<FakeEncoder> {
        type Error = FakeError;
        fn encode(&mut self, batch: &PatchBatch<'_>, tokens: &mut FrameTokens<'_>) -> Result<(), FakeError> {
            self.1.sleep(Micros(self.2));
            self.0.encode(batch, tokens)
        }
    }
    impl Head for Slow<FakeHead> {
        type Error = FakeError;
        fn describe(&mut self, view: &MemoryView<'_>, probabilities: &mut [f32]) -> Result<(), FakeError> {
            self.1.sleep(Micros(self.2));
            self.0.describe(view, probabilities)
        }
    }
    let clock = SimClock::new();
    let encoder = Slow(FakeEncoder::new(grid(), 2), clock.clone(), 30_000);
    let mut pipeline = pipeline(encoder, Slow(FakeHead::new(3), clock.clone(), 5_000));
    let frames = Frames::new();
    let batch = PatchBatch {
        grid: grid(),
        sent: &frames.kept,
        kept: &frames.kept,
        content: Content::whole(grid()),
        patches: &frames.patches,
        seq: FrameSeq(0),
        captured_us: Micros(0),
    };
    let report = pipeline.step(&batch, &clock, &mut EventBuf::new()).expect("nothing fails");
    assert_eq!((report.encode_us, report.describe_us), (Micros(30_000), Micros(5_000)));
}

/// A user's sentence may go, and its number be another's.
#[test]
fn scenes_note_only_what_keeps_its_number() {
    let noted = |lasting: usize| {
        let config = config();
        let config = PipelineConfig { lexicon: config.lexicon.clone().lasting(lasting), ..config };
        let head = FakeHead::new(3).says(2, 0.9, 9);
        let mut pipeline = Pipeline::new(FakeEncoder::new(grid(), 2), head, config).expect("a valid pipeline");
        Frames::new().step(&mut pipeline).expect("nothing fails");
        pipeline.mind().memory().recall(2).len()
    };
    assert_eq!((noted(3), noted(2)), (1, 0));
}
