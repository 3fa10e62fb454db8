//! The memory as a whole.

use super::*;
use ocelli_testkit::CountingAlloc;
use ocelli_types::TokenRef;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

use proptest::prelude::*;

const SELECTION: Selection = Selection { slots: 12, frame_tokens: 3, max_age_frames: 4 };

/// 4x4 patches, 4 windows, tokens of four numbers.
fn config(extra_tokens: usize) -> MemoryConfig {
    let grid = PatchGrid::new(8, 2).expect("4 patches of 2 pixels");
    let config = MemoryConfig::new(grid, 4, SELECTION, 6);
    MemoryConfig { tokens: config.tokens + extra_tokens, ..config }
}

/// The values of one frame. With 127 in each token they come through int8 as they are.
fn values(frame: u64) -> Vec<f32> {
    let token = |row: u32| [127.0, (frame / 100) as f32, (frame % 100) as f32, row as f32];
    (0..5).flat_map(token).collect()
}

/// Remembers frame and row in each token, so that a view can be read back.
fn remember(ring: &mut MemoryRing, frame: u64, kept: &PatchMask) -> EntryId {
    ring.commit(&values(frame), kept, Micros(frame * 200_000))
}

fn patches(of_windows: &[bool]) -> PatchMask {
    let mut mask = PatchMask::empty();
    // The patch at the top left of each of the 2x2 windows of a 4x4 grid.
    of_windows.iter().zip([0, 2, 8, 10]).filter(|(kept, _)| **kept).for_each(|(_, patch)| mask.insert(patch));
    mask
}

/// The rule of `Selection` by brute force over the whole history: `(frame, row)` of each slot.
fn naive(history: &[Vec<bool>], oldest: usize) -> Vec<Option<(usize, usize)>> {
    let windows = history[0].len();
    let now = history.len() - 1;
    let newest = |window: usize| (oldest..=now).rev().find(|&frame| history[frame][window]);
    let mut slots: Vec<_> = (0..windows).map(|window| newest(window).map(|frame| (frame, window + 1))).collect();
    slots.extend((0..SELECTION.frame_tokens).map(|age| {
        let frame = now.checked_sub(age)?;
        (frame >= oldest).then_some((frame, 0))
    }));
    for frame in (now.saturating_sub(SELECTION.max_age_frames).max(oldest)..=now).rev() {
        let superseded = (0..windows).filter(|&window| history[frame][window] && newest(window) != Some(frame));
        slots.extend(superseded.map(|window| Some((frame, window + 1))));
    }
    slots.resize(SELECTION.slots, None);
    slots
}

/// What the ring shows, read from the values of the tokens themselves; ages and positions must agree with them.
fn shown(ring: &mut MemoryRing) -> Vec<Option<(usize, usize)>> {
    let view = ring.view().expect("something was committed");
    let read = |slot: &Option<TokenRef>| {
        slot.map(|chosen| {
            let token: Vec<f32> = view.token(chosen).collect();
            let (frame, row) = (token[1] as usize * 100 + token[2] as usize, token[3] as usize);
            assert_eq!(u64::from(chosen.age_frames), view.to.0 - 1 - frame as u64, "age of {chosen:?}");
            assert_eq!(chosen.position as usize, if row == 0 { 4 } else { row - 1 }, "position of {chosen:?}");
            assert!((view.from.0..=view.to.0).contains(&(frame as u64 + 1)));
            (frame, row)
        })
    };
    view.slots.iter().map(read).collect()
}

/// Windows kept in each of many frames; the first is whole, as the gate has it.
fn histories() -> impl Strategy<Value = Vec<Vec<bool>>> {
    let frame = prop_oneof![3 => prop::collection::vec(prop::bool::weighted(0.2), 4), 1 => Just(vec![true; 4])];
    prop::collection::vec(frame, 1..200).prop_map(|mut history| {
        history[0] = vec![true; 4];
        history
    })
}

proptest! {
    #[test]
    fn with_the_gates_refresh_nothing_that_is_wanted_is_ever_evicted(
        mut history in histories(),
        extra_tokens in 0..12_usize,
    ) {
        let mut ring = MemoryRing::new(config(extra_tokens)).expect("a valid ring");
        for frame in 0..history.len() {
            (0..4).filter(|window| (frame + window) % 6 == 0).for_each(|window| history[frame][window] = true);
            remember(&mut ring, frame as u64, &patches(&history[frame]));
            prop_assert_eq!(shown(&mut ring), naive(&history[..=frame], 0), "frame {}", frame);
        }
    }

    #[test]
    fn without_it_the_view_is_of_what_is_left(history in histories(), extra_tokens in 0..40_usize) {
        let mut ring = MemoryRing::new(config(extra_tokens)).expect("a valid ring");
        for (frame, kept) in history.iter().enumerate() {
            let id = remember(&mut ring, frame as u64, &patches(kept));
            prop_assert_eq!(id, EntryId(frame as u64 + 1), "ids count up by one");
            prop_assert!(ring.report().tokens <= ring.config.tokens);
            prop_assert_eq!(ring.report().entries as u64 + ring.report().evicted, id.0, "every entry is held or counted");
            let oldest = frame + 1 - ring.report().entries;
            prop_assert_eq!(shown(&mut ring), naive(&history[..=frame], oldest), "frame {}", frame);
        }
    }
}

#[test]
fn the_first_entry_keeps_every_window_and_a_still_frame_only_its_frame_token() {
    let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
    assert!(ring.view().is_none());
    remember(&mut ring, 0, &PatchMask::empty());
    assert_eq!((ring.report().entries, ring.report().tokens), (1, 5));
    remember(&mut ring, 1, &PatchMask::empty());
    assert_eq!((ring.report().entries, ring.report().tokens), (2, 6));
    let view = ring.view().expect("two frames");
    assert_eq!((view.from, view.to, view.captured_us), (EntryId(1), EntryId(2), Micros(200_000)));
}

#[test]
fn a_crowd_fills_it_with_whole_frames_and_the_oldest_go() {
    let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
    (0..1000).for_each(|frame| {
        remember(&mut ring, frame, &PatchMask::first(16));
    });
    assert!((6..=7).contains(&ring.report().entries), "{} frames of the 6 until the refresh", ring.report().entries);
    assert_eq!(ring.report().evicted, 1000 - ring.report().entries as u64);
}

#[test]
fn too_small_a_ring_or_too_few_slots_are_refused() {
    let small = MemoryConfig { tokens: config(0).tokens - 1, ..config(0) };
    assert!(matches!(MemoryRing::new(small), Err(ConfigError::SmallMemory { .. })));
    let narrow = MemoryConfig { selection: Selection { slots: 6, ..SELECTION }, ..config(0) };
    assert_eq!(MemoryRing::new(narrow).err(), Some(ConfigError::Slots { slots: 6, least: 7 }));
}

#[test]
fn the_plan_is_what_is_allocated() {
    let config = config(3);
    let parts =
        MemoryRing::recent_bytes(&config) + MemoryRing::segments_bytes(&config) + MemoryRing::abstract_bytes(&config);
    let counted = CountingAlloc::count(|| MemoryRing::new(config).expect("a valid ring"));
    assert_eq!(counted.grown_bytes, i64::try_from(parts).expect("some megabytes"));
}

/// A frame of which each token points in the direction of its scene, a little off it by `wobble`.
fn scene(scene: usize, wobble: f32) -> Vec<f32> {
    let token = |row: usize| {
        let mut token = [0.0, 0.0, 0.0, 0.1 * row as f32];
        token[scene % 3] = 1.0;
        token[(scene + 1) % 3] += wobble;
        token
    };
    (0..5).flat_map(token).collect()
}

/// Shows scenes of `frames` each, with all windows kept, and sentence `scene` heard at its tenth frame.
fn live(ring: &mut MemoryRing, scenes: std::ops::Range<usize>, frames: usize) {
    for number in scenes {
        for frame in 0..frames {
            let at = (number * frames + frame) as u64;
            ring.commit(&scene(number, 0.01 * (frame % 3) as f32), &PatchMask::first(16), Micros(at * 200_000));
            let mut probabilities = [0.05; 40];
            probabilities[number % 40] = if frame == 10 { 0.9 } else { 0.3 };
            ring.hear(&probabilities);
        }
    }
}

#[test]
fn scenes_become_segments_and_centroids_and_are_recalled_with_their_time() {
    let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
    live(&mut ring, 0..20, 50);
    let report = ring.report();
    assert_eq!((report.segments, report.centroids), (19, 19), "the last one is still open");
    let segments: Vec<_> = ring.segments.held().collect();
    for (number, segment) in segments.iter().enumerate() {
        assert_eq!((segment.frames, segment.first.0), (50, number as u64 * 50 + 1), "{segment:?}");
        let (marks, _) = ring.segments.tokens_of(segment);
        assert_eq!(marks.len(), 5, "four windows that stood still, and the frame token");
        assert!(marks[1..].iter().all(|mark| (mark.weight - 50.0).abs() < 0.5), "{marks:?}");
    }
    for number in 0..20 {
        let found = ring.recall(number as u16);
        let best = found.first().expect("it was heard");
        assert_eq!(best.peak.at_us, Micros((number * 50 + 10) * 200_000));
        assert_eq!(best.tier, if number == 19 { Tier::Open } else { Tier::Segment });
    }
    assert!(ring.recall(30).is_empty());
}

#[test]
fn what_the_segments_have_lost_the_abstract_memory_still_knows() {
    let mut config = config(0);
    config.segment.segments = 4;
    config.centroids = 6;
    let mut ring = MemoryRing::new(config).expect("a valid ring");
    // Sentence 1 once, in a scene unlike all that follow.
    live(&mut ring, 1..2, 50);
    for round in 1..200 {
        for frame in 0..50 {
            let at = (100 + round * 50 + frame) as u64;
            ring.commit(&scene(2 * (round % 2), 0.0), &PatchMask::first(16), Micros(at * 200_000));
            ring.hear(&[0.9, 0.0, 0.0]);
        }
    }
    let report = ring.report();
    assert_eq!((report.segments, report.centroids), (4, 6));
    assert_eq!(report.evicted_segments, 199 - 4);
    let found = ring.recall(1);
    assert_eq!((found[0].tier, found[0].peak.at_us), (Tier::Abstract, Micros(60 * 200_000)));
    let frames: u64 = ring.star.held().map(|(centroid, _)| centroid.frames).sum();
    assert_eq!(frames, 199 * 50, "every closed frame has its weight");
}

#[test]
fn a_busy_scene_is_merged_into_its_few_tokens() {
    let mut config = config(0);
    config.segment.tokens = 4;
    let mut ring = MemoryRing::new(config).expect("a valid ring");
    for frame in 0..400_u64 {
        // Each window turns round and round, and the frame token does not move.
        let turn = |row: u64| libm::sincosf((frame * (row + 1)) as f32);
        let token = |row: u64| if row == 0 { [1.0; 4] } else { [turn(row).0, turn(row).1, 0.0, 0.1] };
        let values: Vec<f32> = (0..5).flat_map(token).collect();
        ring.commit(&values, &PatchMask::first(16), Micros(frame * 200_000));
    }
    ring.hole(Micros(400 * 200_000), Micros(500 * 200_000), HoleCause::Blind);
    let segment = *ring.segments.held().next().expect("the hole closed it");
    let (marks, values) = ring.segments.tokens_of(&segment);
    assert_eq!((marks.len(), values.len()), (4, 16));
    let weight: f32 = marks[1..].iter().map(|mark| mark.weight).sum();
    assert!((weight - 1600.0).abs() < 1.0, "every token has its weight in the merged ones: {marks:?}");
    assert!(marks[1..].is_sorted_by(|a, b| a.offset_ms <= b.offset_ms) && marks[1..].iter().all(|m| m.position < 4));
}

#[test]
fn a_scene_that_does_not_end_is_cut() {
    let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
    live(&mut ring, 0..1, 4000);
    let lengths: Vec<u64> = ring.segments.held().map(|s| s.to_us.since(s.from_us).0).collect();
    assert_eq!(lengths, [300_000_000, 300_000_000]);
}

#[test]
fn feature_drop_keeps_what_changed_and_what_is_due() {
    let drop = |reference| {
        let drop = Some(FeatureDrop { reference, cosine: 0.98 });
        let config = MemoryConfig { drop, ..config(300) };
        MemoryRing::new(config).expect("a valid ring")
    };
    // Window 0 turns by three degrees a frame: never much from one frame to the next.
    let frame = |at: u64| {
        let (y, x) = libm::sincosf((3.0 * at as f32).to_radians());
        let mut values = [1.0; 20];
        values[4..8].copy_from_slice(&[x, y, 0.0, 0.0]);
        values
    };
    let kept = |reference| {
        let mut ring = drop(reference);
        (0..49).for_each(|at| drop_step(&mut ring, &frame(at), at));
        let ids = |window| {
            let at = |entry: &recent::Entry| entry.windows().any(|token| ring.recent.position(token) == window);
            ring.recent.held().filter(|entry| at(entry)).map(|entry| entry.id.0).collect::<Vec<u64>>()
        };
        let report = ring.report();
        assert_eq!(report.offered, 49 * 4);
        assert_eq!(report.offered - report.dropped, (0..4).map(|window| ids(window).len() as u64).sum::<u64>());
        (ids(0), ids(1))
    };
    let refresh: Vec<u64> = (0..9).map(|round| 1 + 6 * round).collect();
    assert_eq!(kept(DropReference::Previous), (refresh.clone(), refresh.clone()), "drift vanishes");
    let (turning, still) = kept(DropReference::LastKept);
    assert_eq!(still, refresh);
    assert_eq!(turning, (0..13).map(|turn| 1 + 4 * turn).collect::<Vec<u64>>(), "twelve degrees are too many");
}

/// A ring that drops what is like any that is held, over `frames`: of each, which of two rooms is there.
fn rooms(extra_tokens: usize, frames: &[u64]) -> MemoryRing {
    let drop = Some(FeatureDrop { reference: DropReference::AnyKept, cosine: 0.98 });
    let config = MemoryConfig { drop, ..config(0) };
    let config = MemoryConfig { tokens: config.least_tokens() + extra_tokens, ..config };
    let mut ring = MemoryRing::new(config).expect("a valid ring");
    for (frame, room) in (0..).zip(frames) {
        // Two tokens at right angles, with the room in their first number and something that does not count in the last.
        let token =
            if *room == 0 { [127.0, 0.0, 0.0, (frame % 9) as f32] } else { [0.0, 127.0, 0.0, (frame % 9) as f32] };
        drop_step(&mut ring, &token.repeat(5), frame);
    }
    ring
}

/// Each token of [`rooms`] says by its last number in which frame it came.
fn came_in(view: &MemoryView<'_>, slot: usize) -> Option<i64> {
    view.token(view.slots[slot].expect("it is taken")).nth(3).map(|number| number.round() as i64)
}

#[test]
fn a_room_that_is_known_stands_again_as_old_as_it_is_seen_and_the_newest_picture_is_shown_as_it_came() {
    let mut ring = rooms(0, &[0, 1, 1, 0]);
    assert_eq!((ring.report().offered, ring.report().dropped), (16, 8), "each room was kept once");
    assert_eq!(ring.newest_windows().count(), 0);
    let view = ring.view().expect("frames were seen");
    let shown: Vec<_> = view.slots.iter().flatten().map(|slot| (slot.age_frames, slot.position)).collect();
    let frame_tokens = [(0, 4), (1, 4), (2, 4)];
    let now = (0..4).map(|window| (0, window));
    let before = (1..=2).flat_map(|age| (0..4).map(move |window| (age, window)));
    assert_eq!(shown, now.chain(frame_tokens).chain(before.take(5)).collect::<Vec<_>>());
    assert!((0..4).all(|window| came_in(&view, window) == Some(3)), "dropped, and not gone while it is the newest");
    assert_eq!((came_in(&view, 7), came_in(&view, 11)), (Some(1), Some(1)), "what stood where the second was dropped");
    assert!(view.token(view.slots[0].expect("taken")).next().is_some_and(|number| number > 0.0));
    // The gate looks at the first window alone, which is like the second room now.
    let values = [0.0, 127.0, 0.0, 4.0].repeat(5);
    ring.commit(&values, &patches(&[true, false, false, false]), Micros(800_000));
    let view = ring.view().expect("frames were seen");
    let newest = [0, 1].map(|slot| (came_in(&view, slot), view.slots[slot].map(|slot| slot.age_frames)));
    assert_eq!(newest, [(Some(4), Some(0)), (Some(3), Some(1))], "of a window that is left out the newest stays");
    assert_eq!(came_in(&view, 7), Some(0), "of the fourth frame the first window is remembered by what it was like");
}

#[test]
fn what_was_dropped_stands_as_what_it_is_more_like_that_which_was_kept_or_that_which_came_next() {
    let drop = Some(FeatureDrop { reference: DropReference::AnyKept, cosine: 0.98 });
    let mut ring = MemoryRing::new(MemoryConfig { drop, ..config(200) }).expect("a valid ring");
    let step = |ring: &mut MemoryRing, at, says: f32| drop_step(ring, &[127.0, 0.0, 0.0, says].repeat(5), at);
    // The first window, and the same a frame ago.
    let shown = |ring: &mut MemoryRing| {
        let view = ring.view().expect("frames were seen");
        assert_eq!(view.slots[7].map(|slot| (slot.age_frames, slot.position)), Some((1, 0)));
        (came_in(&view, 0), came_in(&view, 7))
    };
    step(&mut ring, 0, 0.0);
    step(&mut ring, 1, 10.0);
    assert_eq!(shown(&mut ring), (Some(10), Some(0)), "its own, which is kept");
    step(&mut ring, 2, 12.0);
    assert_eq!(shown(&mut ring), (Some(12), Some(12)), "10 is more like 12 than like 0");
    step(&mut ring, 3, -3.0);
    assert_eq!(shown(&mut ring), (Some(-3), Some(0)), "12 is more like 0");
    step(&mut ring, 4, 60.0);
    assert_eq!(ring.newest_windows().count(), 4, "like nothing that is held");
    assert_eq!(shown(&mut ring), (Some(60), Some(0)), "-3 is more like 0");
    step(&mut ring, 5, 40.0);
    assert_eq!(shown(&mut ring), (Some(40), Some(60)), "kept, and shown as it came, whatever comes next");
    ring.hole(Micros(1_200_000), Micros(2_000_000), HoleCause::Blind);
    step(&mut ring, 40, 41.0);
    let view = ring.view().expect("frames were seen");
    assert!(view.slots[7].is_none(), "what was before a hole does not go on");
}

proptest! {
    #[test]
    fn what_stands_is_held_and_like_what_was_seen(
        mut frames in prop::collection::vec(0..2_u64, 1..400),
        extra_tokens in 0..40_usize,
    ) {
        // However long nothing is kept, the ring writes a frame token each time.
        frames.extend([0; 300]);
        for upto in [1, frames.len() / 2, frames.len()] {
            let mut ring = rooms(extra_tokens, &frames[..upto]);
            let oldest = ring.recent.held().next().map(|entry| entry.id).expect("a frame is held");
            prop_assert!((0..4).all(|window| ring.recent.stands(window)));
            prop_assert!(ring.recent.kept_of(0).all(|kept| kept.id >= oldest));
            let view = ring.view().expect("frames were seen");
            for slot in view.slots.iter().flatten() {
                let seen = frames[upto - 1 - slot.age_frames as usize];
                let token: Vec<f32> = view.token(*slot).collect();
                prop_assert_eq!(u64::from(token[1] > token[0]), seen, "{:?}", slot);
            }
            let newest = ((upto - 1) % 9) as u8;
            prop_assert!((0..4).all(|window| came_in(&view, window) == Some(newest.into())), "the newest is shown as it came");
        }
    }
}

fn drop_step(ring: &mut MemoryRing, values: &[f32], at: u64) {
    ring.commit(values, &PatchMask::first(16), Micros(at * 200_000));
}

#[test]
fn no_age_counts_across_a_hole() {
    let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
    for frame in 0..5 {
        remember(&mut ring, frame, &PatchMask::first(16));
    }
    ring.hole(Micros(1_000_000), Micros(60_000_000), HoleCause::Blind);
    let id = remember(&mut ring, 300, &patches(&[true, false, false, false]));
    assert_eq!(id, EntryId(5 + 32 + 1));
    let view = ring.view().expect("something is held");
    let ages: Vec<Option<u32>> = view.slots.iter().map(|slot| slot.map(|slot| slot.age_frames)).collect();
    assert_eq!(ages[..4], [Some(0), Some(33), Some(33), Some(33)], "the room of before, as of long ago");
    assert_eq!(ages[4..], [Some(0), None, None, None, None, None, None, None], "nothing of before is motion");
    let expected =
        Hole { from_us: Micros(1_000_000), to_us: Micros(60_000_000), after: EntryId(5), cause: HoleCause::Blind };
    assert_eq!(ring.holes().collect::<Vec<_>>(), [&expected]);
    for at in 0..1000 {
        ring.hole(Micros(at), Micros(at + 1), HoleCause::Blind);
        remember(&mut ring, 300, &PatchMask::empty());
    }
    assert_eq!((ring.holes().len(), ring.report().holes), (MOST_HOLES, 1001));
}

#[test]
fn a_scene_that_begins_closes_the_one_before_and_nothing_of_that_is_young() {
    let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
    for frame in 0..5 {
        remember(&mut ring, frame, &PatchMask::first(16));
    }
    assert_eq!(ring.report().segments, 0);
    ring.begin_scene();
    assert_eq!((ring.report().segments, ring.holes().len()), (1, 0), "nothing was missed");
    let id = remember(&mut ring, 5, &PatchMask::first(16));
    assert_eq!(id, EntryId(5 + 32 + 1));
    let view = ring.view().expect("something is held");
    let ages: Vec<u32> = view.slots.iter().flatten().map(|slot| slot.age_frames).collect();
    assert_eq!(ages, [0; 5], "four windows and the frame");
    ring.begin_scene();
    ring.begin_scene();
    assert_eq!(ring.report().segments, 2, "a scene of nothing is none");
}

fn saved(ring: &MemoryRing) -> Vec<u8> {
    let mut bytes = Vec::new();
    ring.save(&mut bytes);
    assert!(bytes.len() <= MemoryRing::snapshot_bytes(&ring.config), "{} bytes", bytes.len());
    bytes
}

#[test]
fn a_restored_memory_goes_on_as_if_nothing_had_been() {
    let mut ring = MemoryRing::new(config(7)).expect("a valid ring");
    live(&mut ring, 0..3, 50);
    ring.hole(Micros(30_000_000), Micros(31_000_000), HoleCause::Blind);
    live(&mut ring, 4..9, 50);
    let bytes = saved(&ring);
    let mut again = MemoryRing::restore(config(7), &bytes).expect("it was saved");
    assert_eq!(saved(&again), bytes);
    assert_eq!(again.report(), ring.report());
    for sentence in 0..12 {
        assert_eq!(again.recall(sentence), ring.recall(sentence));
    }
    for ring in [&mut ring, &mut again] {
        live(ring, 9..12, 50);
    }
    assert_eq!(shown_bits(&mut again), shown_bits(&mut ring));
    assert_eq!(again.report().evicted, ring.report().evicted);
}

fn shown_bits(ring: &mut MemoryRing) -> Vec<(TokenRef, Vec<u32>)> {
    let view = ring.view().expect("something is held");
    let of = |slot: TokenRef| (TokenRef { token: 0, ..slot }, view.token(slot).map(f32::to_bits).collect());
    view.slots.iter().flatten().map(|slot| of(*slot)).collect()
}

#[test]
fn a_smaller_memory_keeps_the_newest() {
    let mut ring = MemoryRing::new(config(100)).expect("a valid ring");
    live(&mut ring, 0..9, 50);
    let mut small = config(0);
    small.segment.segments = 3;
    small.centroids = 2;
    let mut again = MemoryRing::restore(small, &saved(&ring)).expect("it was saved");
    let (report, before) = (again.report(), ring.report());
    assert_eq!((report.segments, report.centroids), (3, 2));
    assert_eq!(report.evicted_segments, 8 - 3);
    assert_eq!(report.entries as u64 + report.evicted, before.entries as u64 + before.evicted);
    assert_eq!(again.segments.held().last().map(|s| s.last), ring.segments.held().last().map(|s| s.last));
    assert_eq!(shown_bits(&mut again).len(), shown_bits(&mut ring).len());
}

#[test]
fn bytes_of_another_memory_are_refused() {
    let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
    live(&mut ring, 0..3, 50);
    let bytes = saved(&ring);
    let other = MemoryConfig { token_width: 8, ..config(0) };
    let refused = MemoryRing::restore(other, &bytes).expect_err("of another width");
    assert_eq!(refused.to_string(), "it is of another model: the width of a token is 4, not 8");
    for end in [0, 5, bytes.len() / 2, bytes.len() - 1] {
        assert!(MemoryRing::restore(config(0), &bytes[..end]).is_err(), "cut at {end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(MemoryRing::restore(config(0), &longer).err(), Some(SnapshotError::Length));
}

proptest! {
    #[test]
    fn damaged_bytes_do_no_harm(at in 0..20_000_usize, value: u8, more in 0..20_000_usize) {
        let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
        live(&mut ring, 0..3, 50);
        let mut bytes = saved(&ring);
        let len = bytes.len();
        bytes[at % len] = value;
        bytes[more % len] ^= 0x40;
        if let Ok(mut restored) = MemoryRing::restore(config(0), &bytes) {
            restored.hole(restored.last_us(), restored.last_us(), HoleCause::Restart);
            live(&mut restored, 3..5, 50);
            restored.view().expect("something is held");
            saved(&restored);
        }
    }
}

#[test]
fn a_hole_right_behind_another_is_the_same_grown_longer() {
    let mut ring = MemoryRing::new(config(0)).expect("a valid ring");
    remember(&mut ring, 0, &PatchMask::first(16));
    ring.hole(Micros(0), Micros(5), HoleCause::Blind);
    (0..300).for_each(|at| ring.hole(Micros(5), Micros(10 + at), HoleCause::Restart));
    let expected = Hole { from_us: Micros(0), to_us: Micros(309), after: EntryId(1), cause: HoleCause::Blind };
    assert_eq!(ring.holes().collect::<Vec<_>>(), [&expected]);
    assert_eq!(ring.last_us(), Micros(309));
    assert_eq!(remember(&mut ring, 2, &PatchMask::empty()), EntryId(34), "ids leap once");
    ring.hole(Micros(400), Micros(500), HoleCause::Restart);
    assert_eq!(ring.report().holes, 2);
    assert!(remember(&mut ring, 3, &PatchMask::empty()).0 > 34 + 10_000, "more than a power cut takes back");
}

#[test]
fn after_a_restart_no_window_is_taken_for_known_that_is_not() {
    // A snapshot whose picture is newer than its memory.
    let empty = MemoryRing::new(config(0)).expect("a valid ring");
    let mut ring = MemoryRing::restore(config(0), &saved(&empty)).expect("it was saved");
    ring.hole(Micros(0), Micros(9), HoleCause::Restart);
    ring.commit(&values(1), &patches(&[false, true, false, false]), Micros(10));
    let view = ring.view().expect("something is held");
    assert!(view.slots[..4].iter().all(Option::is_some));
}

#[test]
fn after_a_restart_nobody_who_left_before_is_shown() {
    // A room, somebody in it, and the room again, which was dropped: the snapshot has it as the oldest token.
    let ring = rooms(0, &[0, 1, 0, 0]);
    let mut again = MemoryRing::restore(ring.config, &saved(&ring)).expect("it was saved");
    let at = again.last_us();
    again.hole(at, Micros(at.0 + 1_000_000), HoleCause::Restart);
    // To the gate nothing moved since the picture that was saved.
    again.commit(&[127.0, 0.0, 0.0, 5.0].repeat(5), &PatchMask::empty(), Micros(at.0 + 1_200_000));
    let view = again.view().expect("something is held");
    assert!((0..4).all(|window| came_in(&view, window) == Some(5)), "what is there now");
}
