//! The fakes are stricter than the devices they stand for.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ocelli_testkit::{FakeEncoder, FakeHead, RecordingSink, ScriptedCamera, SimClock};
use ocelli_types::{
    Content, Encoder, EntryId, Event, EventKind, Fault, Faulty, FrameSeq, FrameSource, FrameTokens, Head, MemoryView,
    Micros, PatchBatch, PatchGrid, PatchMask, Sink, SizePx, TokenRef,
};

/// The sentence with which `work` panics.
fn complaint(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("a strict fake should complain");
    panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap()
}

fn encode(encoder: &mut FakeEncoder, kept: &PatchMask, patch_bytes: usize, seq: u64) {
    let grid = PatchGrid::new(8, 2).unwrap();
    let patches = vec![9; patch_bytes];
    let batch = PatchBatch {
        grid,
        sent: kept,
        patches: &patches,
        kept,
        content: Content::whole(grid),
        seq: FrameSeq(seq),
        captured_us: Micros(seq),
    };
    encoder.encode(&batch, &mut FrameTokens { width: 2, values: &mut [0.0; 10] }).unwrap();
}

#[test]
fn the_encoder_wants_whole_batches_in_order() {
    let whole = PatchMask::first(16);
    let mut encoder = FakeEncoder::new(PatchGrid::new(8, 2).unwrap(), 2);
    assert!(complaint(|| encode(&mut encoder, &PatchMask::first(3), 36, 0)).contains("the whole frame"));
    assert!(complaint(|| encode(&mut encoder, &whole, 191, 0)).contains("pixels of what it sends"));
    encode(&mut encoder, &whole, 192, 4);
    encode(&mut encoder, &PatchMask::first(1), 12, 5);
    assert!(complaint(|| encode(&mut encoder, &whole, 192, 5)).contains("frame 5 should not come after 5"));
    let mut beyond = PatchMask::empty();
    beyond.insert(16);
    assert!(complaint(|| encode(&mut encoder, &beyond, 12, 6)).contains("patches of the grid"));
}

#[test]
fn the_head_wants_a_view_that_holds_together() {
    let describe = |head: &mut FakeHead, age_frames, to, scale: f32| {
        let slots = [Some(TokenRef { token: 0, age_frames, position: 0 })];
        let (from, to) = (EntryId(to), EntryId(to));
        let view =
            MemoryView { width: 1, storage: &[1], scales: &[scale], slots: &slots, from, to, captured_us: Micros(0) };
        head.describe(&view, &mut [0.0; 2]).unwrap();
    };
    let mut head = FakeHead::new(2);
    describe(&mut head, 0, 3, 0.0);
    assert!(complaint(|| describe(&mut head, 0, 3, 0.0)).contains("should not be described after"));
    assert!(complaint(|| describe(&mut head, 1, 4, 0.0)).contains("newest frame"));
    assert!(complaint(|| describe(&mut head, 0, 4, f32::NAN)).contains("numbers"));
}

#[test]
fn the_script_of_the_head_holds_or_begins_again() {
    let slots = [Some(TokenRef { token: 0, age_frames: 0, position: 0 })];
    let firsts = |mut head: FakeHead| -> Vec<f32> {
        let answer = |id| {
            let (from, to) = (EntryId(id), EntryId(id));
            let view =
                MemoryView { width: 1, storage: &[0], scales: &[0.0], slots: &slots, from, to, captured_us: Micros(0) };
            let mut probabilities = [0.0; 2];
            head.describe(&view, &mut probabilities).map_or(-1.0, |()| probabilities[0])
        };
        (1..=6).map(answer).collect()
    };
    let head = FakeHead::new(2).says(0, 1.0, 2).says(1, 1.0, 1);
    assert_eq!(firsts(head.clone()), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(firsts(head.clone().over_and_over()), [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
    assert_eq!(firsts(head.fails_on(2, Fault::Retry)), [1.0, -1.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(firsts(FakeHead::new(2)), [0.5; 6]);
}

#[test]
fn a_camera_that_failed_is_reopened_and_one_that_ended_left_alone() {
    let mut camera = ScriptedCamera::new(SizePx::new(2, 2), 5.0).fails(Fault::Reopen);
    let error = camera.next().map(|_| ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Reopen);
    assert_eq!(error.to_string(), "the camera fails on call 1, as the test asked");
    assert!(complaint(|| assert!(camera.next().is_ok())).contains("reopened first"));
    camera.reopen();
    assert!(camera.next().unwrap().is_none());
    assert!(complaint(|| assert!(camera.next().is_ok())).contains("after its end"));
    assert!(complaint(|| camera.reopen()).contains("only a camera that failed"));
}

#[test]
fn the_sink_wants_events_that_make_sense() {
    let event = Event {
        id: 3,
        kind: EventKind::Alert,
        camera: "hall",
        start_us: Micros(5),
        end_us: Micros(6),
        text: "a person falls",
        language: "en",
        severity: None,
        relation: None,
        score: 1.0,
        entries: Some((EntryId(1), EntryId(2))),
        evidence: None,
    };
    let mut sink = RecordingSink::new();
    sink.emit(&event).unwrap();
    for (bad, why) in [
        (event, "should not come after"),
        (Event { id: 4, end_us: Micros(4), ..event }, "before it starts"),
        (Event { id: 4, score: f32::NAN, ..event }, "a score"),
        (Event { id: 4, text: "", ..event }, "one line"),
        (Event { id: 4, entries: Some((EntryId(2), EntryId(1))), ..event }, "old to new"),
    ] {
        assert!(complaint(|| sink.emit(&bad).unwrap()).contains(why), "{why}");
    }
    assert_eq!(sink.events().len(), 1);
}

#[test]
fn time_does_not_run_backwards() {
    let clock = SimClock::new();
    clock.advance_to(Micros(10));
    assert!(complaint(|| clock.advance_to(Micros(9))).contains("backwards"));
}
