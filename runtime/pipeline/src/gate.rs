//! Token drop: which patches of a new frame are worth sending to the encoder. Runs on the capture side.
//!
//! The rule is TimeChat-Online's differential token drop in pixel mode, with three changes for a stream that never
//! ends: a patch is compared with its last *sent* version, so slow drift adds up until it shows; the threshold follows
//! the sensor's noise; and in `refresh_frames` every window is kept anew in its turn, and the whole picture sent once, which
//! bounds every error. Pixels are not sent with their window's turn: each sent patch makes STAB compute a neighbourhood of it
//! for five frames, and neighbours that are sent together share theirs.
//!
//! Integers throughout: `tools/train/gate.py` makes the same choice to the bit, and the packs' goldens hold both.

use alloc::vec;
use alloc::vec::Vec;

use ocelli_types::{Content, FrameSeq, Micros, PatchBatch, PatchGrid, PatchMask};

use crate::ConfigError;
use crate::camera::{CameraMove, CameraWatch};
use crate::scene::SceneTrigger;

/// The running noise is kept in sixteenths, so that small steps are not rounded away.
const NOISE_SCALE: i64 = 16;
/// The noise follows by an eighth of the distance each frame: about 1.6 s at 5 frames a second.
const NOISE_FOLLOW: i64 = 8;
/// The most noise believed, in differences per byte; beyond that it is movement.
const NOISE_MOST: i64 = 6;
/// Windows take their turns at the refresh this many frames apart, so that it is spread over the frames.
const REFRESH_STRIDE: u64 = 7;
/// With more than so many tenths of the picture changed since the one before, the camera may have moved.
const MUCH_TENTHS: usize = 2;

/// The `[gate]` table of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateConfig {
    /// Smallest threshold: mean absolute difference per byte.
    pub min_mad: u32,
    /// Threshold = noise x `noise_factor_num` / `noise_factor_den`, where that is more.
    pub noise_factor_num: u32,
    /// See `noise_factor_num`; not 0.
    pub noise_factor_den: u32,
    /// Each window is kept, and the whole picture sent, at least once in so many frames; not 0.
    pub refresh_frames: u32,
    /// With more than so many tenths of the picture changed, all of it is kept.
    pub whole_frame_tenths: u32,
}

/// What is made of the camera's own movement in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compensation {
    None,
    /// What it explains is left out.
    Explains,
    /// The camera stands in it, and all that was left out is sent.
    Arrives,
}

/// What the gate did with one frame, in patches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateReport {
    /// Patches that show the picture (the others are letter-box).
    pub content: u32,
    /// Of these, how many changed; all of them when the gate starts over.
    pub changed: u32,
    /// Patches kept, those due for a refresh included.
    pub kept: u32,
    /// Patches sent.
    pub sent: u32,
    /// Patches that changed and were left for later pictures, because more changed than may be sent at a time, or because the camera's
    /// own movement is what changed them.
    pub deferred: u32,
    /// Whether the picture was kept whole.
    pub whole_frame: bool,
    /// Whether far more changed than is usual here, so that the camera shows something else.
    pub new_scene: bool,
    /// Whether the camera itself moves.
    pub moving: bool,
    /// A movement of the camera that is over.
    pub camera_move: Option<CameraMove>,
}

/// Compares each frame with what the encoder saw last.
///
/// At 224x224 it holds 306 KB and takes 0.04 ms a frame (one core of an EPYC server, SSE2, dev profile; measured by
/// `tests/reference.rs`).
#[derive(Debug)]
pub struct TokenGate {
    grid: PatchGrid,
    config: GateConfig,
    /// The last sent version of each patch, `[patches][patch_bytes]`: what the encoder's canvas holds.
    reference: Vec<u8>,
    /// The frame before, `[patches][patch_bytes]`, against which noise is measured.
    previous: Vec<u8>,
    /// Frame-to-frame differences of the content, `[patches]` at most.
    quiet: Vec<u32>,
    /// Patches that changed, with by how much, `[patches]` at most.
    changed: Vec<(u32, usize)>,
    /// The most patches that may be sent for having changed.
    most: usize,
    /// Whether what the camera's own movement changed is left for when it stands.
    compensates: bool,
    /// Sixteen times the running lower quartile of `quiet`.
    noise16: i64,
    /// Frames since the gate started over.
    frames: u64,
    /// Where the picture was in the last frame; `None` starts over.
    content: Option<Content>,
    scene: SceneTrigger,
    camera: CameraWatch,
}

impl TokenGate {
    /// A gate that keeps its first frame whole.
    ///
    /// # Errors
    /// [`ConfigError::Gate`] if a divisor is zero.
    pub fn new(grid: PatchGrid, config: GateConfig) -> Result<Self, ConfigError> {
        for (key, value) in [("noise_factor_den", config.noise_factor_den), ("refresh_frames", config.refresh_frames)] {
            if value == 0 {
                return Err(ConfigError::Gate { key });
            }
        }
        Ok(Self {
            grid,
            config,
            reference: vec![0; grid.bytes()],
            previous: vec![0; grid.bytes()],
            quiet: Vec::with_capacity(grid.patches()),
            changed: Vec::with_capacity(grid.patches()),
            most: usize::MAX,
            compensates: false,
            noise16: 0,
            frames: 0,
            content: None,
            scene: SceneTrigger::new(),
            camera: CameraWatch::new(grid),
        })
    }

    /// What a gate for `grid` allocates.
    pub const fn bytes(grid: PatchGrid) -> usize {
        let patch = size_of::<u32>() + size_of::<(u32, usize)>();
        2 * grid.bytes() + grid.patches() * patch + CameraWatch::bytes(grid)
    }

    /// Copies the patches of `picture`, `[patches][patch_bytes]`, that the encoder should see into `slot`, in place of
    /// what was there. That none are sent is an ordinary result.
    ///
    /// Call it only with a free slot: what is sent here counts as seen by the encoder. A frame that is skipped leaves
    /// the gate alone, and the next batch holds every change since. The first frame, and the first with another
    /// `content`, is kept and sent whole, letter-box included.
    ///
    /// # Panics
    /// If `picture` is not [`PatchGrid::bytes`] long, or `slot` is of another grid.
    pub fn select(
        &mut self,
        picture: &[u8],
        content: Content,
        seq: FrameSeq,
        captured_us: Micros,
        slot: &mut PatchSlot,
    ) -> GateReport {
        assert_eq!(picture.len(), self.grid.bytes(), "the picture should be in patch order");
        assert_eq!(slot.grid, self.grid, "the slot should be of the gate's grid");
        let report = if self.content == Some(content) {
            self.measure_noise(picture, content);
            // Not the threshold that follows noise: what changes everywhere is noise to it.
            let least = self.grid.patch_bytes() as u32 * self.config.min_mad;
            let moved = self.quiet.iter().filter(|difference| **difference > least).count();
            let much = moved * 10 > self.quiet.len() * MUCH_TENTHS;
            let moved = self.camera.shifted();
            let camera_move = self.camera.see(picture, &self.previous, content, much, captured_us);
            let moving = self.camera.moves(captured_us);
            let compensation = match (self.compensates && moving, moved, self.camera.shifted()) {
                (true, _, true) => Compensation::Explains,
                (true, true, false) => Compensation::Arrives,
                _ => Compensation::None,
            };
            let report = self.choose(picture, content, compensation, slot);
            let new_scene = self.scene.see(report.changed, report.content, captured_us);
            GateReport { camera_move, moving, new_scene, ..report }
        } else {
            self.start_over(content, slot)
        };
        self.previous.copy_from_slice(picture);
        self.send(picture, slot);
        self.frames += 1;
        slot.seq = seq;
        (slot.content, slot.captured_us) = (content, captured_us);
        report
    }

    /// From the next picture on, sends no more than `most` patches for having changed, those that changed most; the others stay
    /// as they were and come with a later picture. The first picture, and the one of the refresh, are sent whole all the same.
    pub const fn limit(&mut self, most: usize) {
        self.most = most;
    }

    /// From the next picture on, whether what the camera's own movement changed is left out while it moves. All of it differs from what
    /// was sent, so it is sent when the camera stands.
    pub const fn compensate(&mut self, compensates: bool) {
        self.compensates = compensates;
    }

    /// The movement of the camera that goes on, at the end of the stream.
    pub fn finish(&mut self) -> Option<CameraMove> {
        self.camera.finish()
    }

    /// Keeps the next frame whole: for when a batch was lost, or the encoder was reset.
    pub const fn forget(&mut self) {
        self.content = None;
    }

    /// Goes on from what was kept before a restart: the next picture is sent whole, because the encoder has seen nothing, and
    /// kept where it differs from `reference`, `[patches][patch_bytes]`. Where the picture lies elsewhere in the next one, that
    /// is kept whole.
    ///
    /// # Panics
    /// If `reference` is not [`PatchGrid::bytes`] long.
    pub fn resume(&mut self, reference: &[u8], content: Content) {
        self.reference.copy_from_slice(reference);
        self.previous.copy_from_slice(reference);
        self.content = Some(content);
        // Frame 0 is the refresh's turn.
        self.frames = 0;
        self.noise16 = 0;
    }

    /// The last sent version of each patch, `[patches][patch_bytes]`, and where the picture lies; `None` before the first
    /// picture and after [`forget`](Self::forget).
    pub fn reference(&self) -> Option<(&[u8], Content)> {
        self.content.map(|content| (&self.reference[..], content))
    }

    fn start_over(&mut self, content: Content, slot: &mut PatchSlot) -> GateReport {
        self.content = Some(content);
        self.frames = 0;
        self.noise16 = 0;
        let all = PatchMask::first(self.grid.patches());
        (slot.kept, slot.sent) = (all, all);
        let in_content = (0..self.grid.patches()).filter(|&index| content.contains(self.grid, index)).count() as u32;
        let count = all.count() as u32;
        let camera_move = self.camera.finish();
        GateReport {
            content: in_content,
            changed: in_content,
            kept: count,
            sent: count,
            whole_frame: true,
            camera_move,
            deferred: 0,
            new_scene: false,
            moving: false,
        }
    }

    fn choose(
        &mut self,
        picture: &[u8],
        content: Content,
        compensation: Compensation,
        slot: &mut PatchSlot,
    ) -> GateReport {
        let grid = self.grid;
        let in_content = |index: &usize| content.contains(grid, *index);
        let threshold = self.threshold();
        let pairs = patches(grid, picture).zip(patches(grid, &self.reference)).enumerate();
        let by_how_much = pairs.filter(|(index, _)| in_content(index)).map(|(index, (a, b))| (difference(a, b), index));
        self.changed.clear();
        self.changed.extend(by_how_much.filter(|(difference, _)| u64::from(*difference) > threshold));
        let area = content;
        let (content, changed) = (self.quiet.len() as u32, self.changed.len() as u32);
        if compensation == Compensation::Explains {
            let Self { changed, camera, previous, .. } = self;
            changed.retain(|&(_, index)| {
                let shift = camera.shift(index);
                !shift.is_some_and(|shift| explains(grid, area, picture, previous, index, shift))
            });
        }
        let much = self.changed.len() as u64 * 10 > u64::from(content) * u64::from(self.config.whole_frame_tenths);
        // The movement was noise to the threshold, which would leave much of what it left out where it was.
        let much = much || compensation == Compensation::Arrives;
        let whole_frame = much && self.quiet.len() <= self.most;
        if self.changed.len() > self.most {
            // Of equal ones the first: the choice must not depend on how the sort is done.
            self.changed.sort_unstable_by_key(|&(difference, index)| (core::cmp::Reverse(difference), index));
            self.changed.truncate(self.most);
        }
        let deferred = changed - self.changed.len() as u32;
        let mut moved = PatchMask::empty();
        self.changed.iter().for_each(|&(_, index)| moved.insert(index));
        if whole_frame {
            (0..grid.patches()).filter(in_content).for_each(|index| moved.insert(index));
        }
        let due = |turn: u64| turn.is_multiple_of(u64::from(self.config.refresh_frames));
        slot.sent = if due(self.frames) { PatchMask::first(grid.patches()) } else { moved };
        // Windows take their turns a few frames apart, so that the memory is not filled by one frame.
        let turn = |index: usize| self.frames + grid.window_of(index) as u64 * REFRESH_STRIDE;
        slot.kept = moved;
        (0..grid.patches()).filter(|&index| due(turn(index))).for_each(|index| slot.kept.insert(index));
        let (kept, sent) = (slot.kept.count() as u32, slot.sent.count() as u32);
        GateReport { content, changed, kept, sent, deferred, whole_frame, ..GateReport::default() }
    }

    /// Follows the lower quartile of what changed since the frame before: most of a room stands still, so that a
    /// quarter of it shows the sensor's noise even while somebody walks through.
    fn measure_noise(&mut self, picture: &[u8], content: Content) {
        let Self { grid, previous, quiet, noise16, .. } = self;
        let pairs = patches(*grid, picture).zip(patches(*grid, previous)).enumerate();
        let in_content = pairs.filter(|(index, _)| content.contains(*grid, *index));
        quiet.clear();
        quiet.extend(in_content.map(|(_, (now, before))| difference(now, before)));
        if quiet.is_empty() {
            return;
        }
        let quarter = quiet.len() / 4;
        let quartile = i64::from(*quiet.select_nth_unstable(quarter).1);
        let most = NOISE_SCALE * NOISE_MOST * i64::from(grid.patch_bytes() as u32);
        let step = (quartile * NOISE_SCALE - *noise16) / NOISE_FOLLOW;
        *noise16 = (*noise16 + step).clamp(0, most);
    }

    /// The sum of absolute differences that a patch must exceed.
    fn threshold(&self) -> u64 {
        let least = self.grid.patch_bytes() as u64 * u64::from(self.config.min_mad);
        let noise = (self.noise16 / NOISE_SCALE) as u64;
        let factored = noise * u64::from(self.config.noise_factor_num) / u64::from(self.config.noise_factor_den);
        least.max(factored)
    }

    fn send(&mut self, picture: &[u8], slot: &mut PatchSlot) {
        let bytes = self.grid.patch_bytes();
        slot.used = 0;
        for index in slot.sent.iter() {
            let patch = &picture[index * bytes..][..bytes];
            self.reference[index * bytes..][..bytes].copy_from_slice(patch);
            slot.patches[slot.used..][..bytes].copy_from_slice(patch);
            slot.used += bytes;
        }
    }
}

fn patches(grid: PatchGrid, picture: &[u8]) -> impl Iterator<Item = &[u8]> {
    picture.chunks_exact(grid.patch_bytes())
}

/// Whether a patch shows what lay `shift` (to the right, down) before it in the picture before: so shifted it differs by less than half
/// of what it differs by where it is. What came into the content from outside was not there before.
fn explains(
    grid: PatchGrid,
    content: Content,
    picture: &[u8],
    before: &[u8],
    index: usize,
    (right, down): (isize, isize),
) -> bool {
    let (px, bytes) = (grid.patch_px, grid.patch_bytes());
    let line = 3 * px;
    // Where its left upper pixel was, if all of it was within the content.
    let from = |patch: usize, shift: isize, first: usize, end: usize| {
        let at = (patch * px).checked_add_signed(-shift)?;
        (first * px <= at && at + px <= end * px).then_some(at)
    };
    let left = from(index % grid.side, right, content.x0, content.x1);
    let top = from(index / grid.side, down, content.y0, content.y1);
    let (Some(left), Some(top)) = (left, top) else { return false };
    let patch = &picture[index * bytes..][..bytes];
    let shifted: u32 = patch
        .chunks_exact(line)
        .enumerate()
        .map(|(row, now)| {
            // A line lies in one patch before, or in two beside each other.
            let (y, split) = (top + row, line - 3 * (left % px));
            let start = (y / px * grid.side + left / px) * bytes + y % px * line;
            let second = if split < line { &before[start + bytes..][..line - split] } else { &[] };
            difference(&now[..split], &before[start + line - split..][..split]) + difference(&now[split..], second)
        })
        .sum();
    2 * shifted < difference(patch, &before[index * bytes..][..bytes])
}

/// Sum of absolute differences. Wrapping, because an overflow check in the loop keeps the compiler from using vectors
/// (8x slower on x86-64 in the dev profile); the sum fits for patches of up to 2369 pixels a side.
fn difference(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).fold(0, |sum: u32, (a, b)| sum.wrapping_add(u32::from(a.abs_diff(*b))))
}

/// Room for the patches of one frame: what the capture side fills and the think side reads.
#[derive(Debug)]
pub struct PatchSlot {
    grid: PatchGrid,
    kept: PatchMask,
    sent: PatchMask,
    content: Content,
    /// `[patches][patch_bytes]`, of which the first `used` bytes count.
    patches: Vec<u8>,
    used: usize,
    seq: FrameSeq,
    captured_us: Micros,
}

impl PatchSlot {
    /// An empty slot, large enough for a whole frame of `grid`.
    pub fn new(grid: PatchGrid) -> Self {
        Self {
            grid,
            kept: PatchMask::empty(),
            sent: PatchMask::empty(),
            content: Content::whole(grid),
            patches: vec![0; grid.bytes()],
            used: 0,
            seq: FrameSeq(0),
            captured_us: Micros(0),
        }
    }

    /// What a slot for `grid` allocates.
    pub const fn bytes(grid: PatchGrid) -> usize {
        grid.bytes()
    }

    /// What the gate last put in.
    pub fn batch(&self) -> PatchBatch<'_> {
        PatchBatch {
            grid: self.grid,
            kept: &self.kept,
            sent: &self.sent,
            content: self.content,
            patches: &self.patches[..self.used],
            seq: self.seq,
            captured_us: self.captured_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::tests::view;

    const CONFIG: GateConfig =
        GateConfig { min_mad: 4, noise_factor_num: 5, noise_factor_den: 2, refresh_frames: 25, whole_frame_tenths: 6 };

    /// A gate over 4x4 patches of 2x2 pixels, and a grey picture that a test may paint on.
    struct Scene {
        grid: PatchGrid,
        gate: TokenGate,
        slot: PatchSlot,
        picture: Vec<u8>,
        frames: u64,
    }

    impl Scene {
        fn new() -> Self {
            Self::with(CONFIG)
        }

        fn with(config: GateConfig) -> Self {
            let grid = PatchGrid::new(8, 2).expect("4 patches of 2 pixels");
            let gate = TokenGate::new(grid, config).expect("a valid gate");
            Self { grid, gate, slot: PatchSlot::new(grid), picture: vec![100; grid.bytes()], frames: 0 }
        }

        fn paint(&mut self, index: usize, level: u8) {
            self.picture[index * 12..][..12].fill(level);
        }

        fn select(&mut self) -> GateReport {
            self.select_in(Content::whole(self.grid))
        }

        fn select_in(&mut self, content: Content) -> GateReport {
            self.frames += 1;
            let (seq, captured_us) = (FrameSeq(self.frames), Micros(self.frames * 200_000));
            self.gate.select(&self.picture, content, seq, captured_us, &mut self.slot)
        }

        fn kept(&self, index: usize) -> bool {
            self.slot.batch().kept.contains(index)
        }
    }

    #[test]
    fn the_first_frame_is_kept_whole_and_a_still_one_only_refreshed() {
        let mut scene = Scene::new();
        assert_eq!(
            scene.select(),
            GateReport { content: 16, changed: 16, kept: 16, sent: 16, whole_frame: true, ..GateReport::default() }
        );
        assert_eq!(scene.slot.batch().patches, scene.picture);
        let reports: Vec<GateReport> = (0..25).map(|_| scene.select()).collect();
        assert_eq!(reports.iter().map(|report| report.kept).sum::<u32>(), 16, "each patch is due once in 25 frames");
        assert!(reports.iter().map(|report| report.sent).eq((1..=25).map(|frame| if frame == 25 { 16 } else { 0 })));
    }

    #[test]
    fn a_changed_patch_arrives_with_its_pixels_and_its_frame() {
        let mut scene = Scene::new();
        scene.select();
        scene.paint(6, 200);
        assert_eq!(
            scene.select(),
            GateReport { content: 16, changed: 1, kept: 1, sent: 1, whole_frame: false, ..GateReport::default() }
        );
        let batch = scene.slot.batch();
        assert!(batch.kept.iter().eq([6]) && batch.sent.iter().eq([6]));
        assert_eq!(batch.patches, [200; 12]);
        assert_eq!((batch.seq, batch.captured_us), (FrameSeq(2), Micros(400_000)));
        assert_eq!(scene.select().changed, 0, "it is the new reference");
    }

    #[test]
    fn with_a_limit_what_changed_most_comes_first_and_the_rest_later() {
        let mut scene = Scene::with(GateConfig { refresh_frames: 1000, ..CONFIG });
        scene.select();
        scene.gate.limit(4);
        (0..16).for_each(|index| scene.paint(index, 110 + index as u8));
        let mut sent = Vec::new();
        for left in [12, 8, 4, 0] {
            let report = scene.select();
            assert_eq!((report.changed, report.sent, report.deferred), (left + 4, 4, left));
            assert!(!report.whole_frame);
            sent.push(scene.slot.batch().sent.iter().collect::<Vec<_>>());
        }
        assert_eq!(sent, [[12, 13, 14, 15], [8, 9, 10, 11], [4, 5, 6, 7], [0, 1, 2, 3]]);
        assert_eq!(scene.gate.reference().expect("it has seen").0, scene.picture, "nothing is lost");
        (0..16).for_each(|index| scene.paint(index, 200));
        assert_eq!(scene.select().deferred, 12);
        scene.gate.limit(16);
        let report = scene.select();
        assert_eq!((report.changed, report.sent, report.deferred, report.whole_frame), (12, 16, 0, true));
        scene.gate.limit(1);
        scene.gate.forget();
        assert_eq!(scene.select().sent, 16, "the first picture is sent whole");
    }

    /// What a gate reports of a camera that stands for five pictures, pans for ten by six pixels and stands for five, while a thing as large as
    /// four patches goes the other way before it; and where that is in each picture, and what the last one leaves.
    fn panned(compensates: bool) -> (Vec<GateReport>, Vec<PatchMask>, Vec<u8>, Vec<u8>) {
        let grid = PatchGrid::new(224, 14).expect("the home grid");
        let mut gate = TokenGate::new(grid, GateConfig { refresh_frames: 1000, ..CONFIG }).expect("a valid gate");
        gate.compensate(compensates);
        let (mut slot, mut picture) = (PatchSlot::new(grid), Vec::new());
        let (mut reports, mut sent) = (Vec::new(), Vec::new());
        for frame in 0..20u64 {
            let moved = frame.clamp(5, 15) - 5;
            picture = view(grid, 6.0 * moved as f32, 0.0, 0.0, 1.0);
            let column = 4 + moved as usize / 2;
            for index in [7, 8].into_iter().flat_map(|row| [0, 1].map(|x| row * grid.side + column + x)) {
                let level = if index % 2 == 0 { 5 } else { 250 };
                picture[index * grid.patch_bytes()..][..grid.patch_bytes()].fill(level);
            }
            let at_us = Micros(frame * 200_000);
            reports.push(gate.select(&picture, Content::whole(grid), FrameSeq(frame), at_us, &mut slot));
            sent.push(*slot.batch().sent);
        }
        let held = gate.reference().expect("it has seen").0.to_vec();
        (reports, sent, picture, held)
    }

    #[test]
    fn what_a_pan_explains_comes_when_the_camera_stands() {
        let (plain, compensated) = (panned(false), panned(true));
        let of = |reports: &[GateReport], of: fn(&GateReport) -> u32| reports[7..=15].iter().map(of).sum::<u32>();
        let (without, with) = (of(&plain.0, |report| report.sent), of(&compensated.0, |report| report.sent));
        assert!(with * 3 < without, "{with} in the place of {without}");
        assert_eq!(of(&compensated.0, |report| report.changed), with + of(&compensated.0, |report| report.deferred));
        assert_eq!(of(&plain.0, |report| report.deferred), 0);
        let whole = |reports: &[GateReport]| reports[7..].iter().map(|report| report.whole_frame).collect::<Vec<_>>();
        let arrives: Vec<bool> = (7..20).map(|frame| frame == 16).collect();
        assert_eq!(whole(&compensated.0), arrives, "from the first picture that stands on");
        // What moves by itself is sent as it goes: it is new in two patches of every other picture.
        let thing = |frame: usize| 7 * 16 + 5 + (frame - 5) / 2;
        assert!([7, 9, 11, 13, 15].iter().all(|frame| compensated.1[*frame].contains(thing(*frame))));
        // What came into sight has been nowhere before.
        let column = |x: usize| {
            let rows = (0..16).filter(|row| ![7, 8].contains(row));
            rows.map(|row| (7..=15).filter(|frame| compensated.1[*frame].contains(row * 16 + x)).count()).sum::<usize>()
        };
        assert!(column(15) > 4 * column(14) && column(15) > 4 * column(0), "{:?}", [0, 14, 15].map(column));
        let (_, _, picture, held) = compensated;
        assert!(picture == held, "all of it was sent when it stood");
    }

    #[test]
    fn a_shift_explains_what_lay_there_before_and_nothing_from_outside() {
        let grid = PatchGrid::new(8, 2).expect("4 patches of 2 pixels");
        let content = Content { x1: 3, ..Content::whole(grid) };
        // Each pixel has a level of its own.
        let at = |x: usize, y: usize| (y / 2 * 4 + x / 2) * 12 + (y % 2 * 2 + x % 2) * 3;
        let mut before = vec![0; grid.bytes()];
        (0..64).for_each(|pixel| before[at(pixel % 8, pixel / 8)..][..3].fill(3 * pixel as u8));
        for (right, down) in [(1, 0), (-1, 0), (0, 1), (0, -1), (3, -2), (-2, 2), (2, 3)] {
            let mut now = vec![255; grid.bytes()];
            for (x, y) in (0..8isize).flat_map(|y| (0..8).map(move |x| (x, y))) {
                let (from_x, from_y) = (x - right, y - down);
                if (0..8).contains(&from_x) && (0..8).contains(&from_y) {
                    let from = at(from_x as usize, from_y as usize);
                    now[at(x as usize, y as usize)..][..3].copy_from_slice(&before[from..from + 3]);
                }
            }
            for index in 0..16isize {
                let (x, y) = (index % 4 * 2 - right, index / 4 * 2 - down);
                let inside = x >= 0 && x + 2 <= 6 && y >= 0 && y + 2 <= 8;
                assert_eq!(
                    explains(grid, content, &now, &before, index as usize, (right, down)),
                    inside,
                    "{index} {right} {down}"
                );
            }
            // As far from any levels as from those beside them.
            let mut other = vec![0; grid.bytes()];
            let odd = (0..64).filter(|pixel| (pixel % 8 + pixel / 8) % 2 == 1);
            odd.for_each(|pixel| other[at(pixel % 8, pixel / 8)..][..3].fill(255));
            assert!((0..16).all(|index| !explains(grid, content, &other, &before, index, (right, down))));
        }
    }

    #[test]
    fn slow_drift_shows_in_the_end() {
        let mut scene = Scene::with(GateConfig { refresh_frames: 1000, ..CONFIG });
        scene.select();
        let kept_at: Vec<u8> = (101..=110)
            .filter(|&level| {
                scene.paint(6, level);
                scene.select();
                scene.kept(6)
            })
            .collect();
        assert_eq!(kept_at, [105, 110], "more than 4 levels from what was sent last");
    }

    #[test]
    fn much_change_keeps_the_picture_whole_but_not_the_bars() {
        let mut scene = Scene::with(GateConfig { refresh_frames: 1000, ..CONFIG });
        let content = Content { y0: 1, y1: 3, ..Content::whole(scene.grid) };
        scene.select_in(content);
        (4..9).for_each(|index| scene.paint(index, 200));
        assert_eq!(
            scene.select_in(content),
            GateReport { content: 8, changed: 5, kept: 8, sent: 8, whole_frame: true, ..GateReport::default() }
        );
        assert!(!scene.kept(0) && scene.kept(4) && scene.kept(11) && !scene.kept(12));
    }

    #[test]
    fn noise_raises_the_threshold() {
        let mut scene = Scene::with(GateConfig { refresh_frames: 1000, ..CONFIG });
        scene.select();
        let changed: Vec<u32> = (0..60)
            .map(|frame| {
                (0..16).for_each(|index| scene.paint(index, if frame % 2 == 0 { 105 } else { 100 }));
                scene.select().changed
            })
            .collect();
        assert!(changed[0] > 0 && changed[30..].iter().all(|&count| count == 0), "{changed:?}");
    }

    #[test]
    fn another_picture_size_or_a_lost_batch_starts_over() {
        let mut scene = Scene::new();
        scene.select();
        let content = Content { x0: 1, ..Content::whole(scene.grid) };
        assert!(scene.select_in(content).whole_frame);
        assert!(!scene.select_in(content).whole_frame);
        scene.gate.forget();
        assert_eq!(scene.select_in(content).kept, 16);
    }

    #[test]
    fn a_picture_with_no_content_is_only_refreshed() {
        let mut scene = Scene::with(GateConfig { refresh_frames: 1, ..CONFIG });
        let nothing = Content { x0: 0, x1: 0, y0: 0, y1: 0 };
        scene.select_in(nothing);
        assert_eq!(
            scene.select_in(nothing),
            GateReport { content: 0, changed: 0, kept: 16, sent: 16, whole_frame: false, ..GateReport::default() }
        );
    }

    #[test]
    fn zero_divisors_are_refused() {
        let grid = PatchGrid::new(8, 2).expect("4 patches of 2 pixels");
        for config in [GateConfig { refresh_frames: 0, ..CONFIG }, GateConfig { noise_factor_den: 0, ..CONFIG }] {
            assert!(matches!(TokenGate::new(grid, config), Err(ConfigError::Gate { .. })));
        }
    }

    #[test]
    fn the_plan_is_what_is_allocated() {
        let scene = Scene::new();
        let gate = scene.gate.reference.capacity() + scene.gate.previous.capacity() + scene.gate.quiet.capacity() * 4;
        let changed = scene.gate.changed.capacity() * size_of::<(u32, usize)>();
        assert_eq!(TokenGate::bytes(scene.grid), gate + changed + scene.gate.camera.allocated());
        assert_eq!(PatchSlot::bytes(scene.grid), scene.slot.patches.capacity());
    }

    #[test]
    fn after_a_restart_all_is_sent_and_what_changed_meanwhile_is_kept() {
        let mut before = Scene::new();
        before.select();
        let (reference, content) = before.gate.reference().expect("a picture was seen");
        let (reference, mut after) = (reference.to_vec(), Scene::new());
        assert!(after.gate.reference().is_none());
        after.gate.resume(&reference, content);
        after.paint(9, 200);
        let report = after.select();
        assert_eq!((report.changed, report.sent, report.whole_frame), (1, 16, false));
        // And the windows whose turn it is.
        assert!(after.slot.batch().kept.contains(9) && after.slot.batch().kept.count() < 16);
    }
}
