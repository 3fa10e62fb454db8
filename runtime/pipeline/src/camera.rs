//! Whether the camera moves, and how: those of the primitives of `CameraBench` (Lin et al. 2025) that one fit to the whole picture can tell.
//!
//! Blocks of a small picture are looked for in the next one, and a similarity (shift, roll, scale) is fitted to where most of them went.
//! Moving nearer and zooming in look alike without depth, so there is one name for both. Runs only where much of the picture
//! changed since the one before; a still camera costs a comparison a picture.

use alloc::vec;
use alloc::vec::Vec;

use ocelli_types::{Content, Micros, PatchGrid};

/// Side of the small picture, about; it is a whole fraction of the input's.
const SMALL_PX: usize = 56;
/// Blocks, their distance from one another and from the edge, beyond which they may go, and how far they are looked for, in pixels of
/// the small picture.
const BLOCK: usize = 8;
const STEP: usize = 5;
const INSET: usize = 4;
const REACH: usize = 8;
/// Largest number of blocks.
const MOST: usize = 128;
/// Sum of differences of neighbours in a block, each way, below which its place cannot be told.
const LEAST_TEXTURE: u32 = 2 * (BLOCK * BLOCK) as u32;
/// Of this many blocks at least, so many tenths must go where the fit says; or so many, and `OVER_STILL` times as many as stayed where they
/// were: before a bare wall who walks has half of the blocks, but where they stay it is the camera that stands.
const LEAST_BLOCKS: usize = 8;
const LEAST_TENTHS: usize = 6;
const LEAST_TENTHS_OVER_STILL: usize = 4;
const OVER_STILL: usize = 2;
/// Square of how far from there a block may lie, in small pixels.
const NEAR2: f32 = 0.36;
/// How far from the centre roll and scale are judged, in shares of the input's side.
const ARM: f32 = 0.35;
/// Movement of the input's pixels from one picture to the next that is one: 3% of its width a second at 5 a second.
const LEAST_PX: f32 = 1.4;
/// A movement is one of at least so many pictures, and over after so long without.
const LEAST_PICTURES: u32 = 3;
const PAUSE_US: Micros = Micros(600_000);

/// How the camera moves; left, right, up and down as the camera sees them, so that on panning left the picture goes to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are their names")]
pub enum Primitive {
    PanLeft,
    PanRight,
    TiltUp,
    TiltDown,
    /// Counter-clockwise, so that the picture turns clockwise.
    RollLeft,
    RollRight,
    /// Nearer, or zoomed in.
    In,
    Out,
}

impl Primitive {
    /// A sentence.
    pub const fn text(self) -> &'static str {
        match self {
            Self::PanLeft => "The camera pans left.",
            Self::PanRight => "The camera pans right.",
            Self::TiltUp => "The camera tilts up.",
            Self::TiltDown => "The camera tilts down.",
            Self::RollLeft => "The camera rolls to the left.",
            Self::RollRight => "The camera rolls to the right.",
            Self::In => "The camera moves or zooms in.",
            Self::Out => "The camera moves or zooms out.",
        }
    }
}

/// A movement that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CameraMove {
    /// Which.
    pub primitive: Primitive,
    /// The last picture before it.
    pub start_us: Micros,
    /// The last picture of it.
    pub end_us: Micros,
}

/// What the picture did since the one before, in pixels of the small picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fit {
    dx: f32,
    dy: f32,
    /// Radians, clockwise as one sees it.
    roll: f32,
    /// Share by which it grew.
    scale: f32,
}

/// A block, from the centre of the picture, and where it went.
#[derive(Clone, Copy, Debug)]
struct Step {
    x: f32,
    y: f32,
    u: f32,
    v: f32,
}

/// Follows one camera.
#[derive(Debug)]
pub(crate) struct CameraWatch {
    grid: PatchGrid,
    /// Input pixels a side that become one.
    shrink: usize,
    /// The small pictures before and now, `[side][side]`, grey.
    before: Vec<u8>,
    now: Vec<u8>,
    sums: Vec<u32>,
    steps: heapless::Vec<Step, MOST>,
    moving: Option<(CameraMove, u32)>,
    /// What the last picture did, where that was a movement, and the middle of its content in pixels of the small one.
    moved: Option<(Fit, f32, f32)>,
    before_us: Micros,
}

impl CameraWatch {
    pub fn new(grid: PatchGrid) -> Self {
        let shrink = shrink_of(grid);
        let area = (grid.input_px() / shrink).pow(2);
        Self {
            grid,
            shrink,
            before: vec![0; area],
            now: vec![0; area],
            sums: vec![0; area],
            steps: heapless::Vec::new(),
            moving: None,
            moved: None,
            before_us: Micros(0),
        }
    }

    /// What one for `grid` allocates.
    pub const fn bytes(grid: PatchGrid) -> usize {
        let side = grid.input_px() / shrink_of(grid);
        side * side * (2 + size_of::<u32>())
    }

    #[cfg(test)]
    pub fn allocated(&self) -> usize {
        self.before.capacity() + self.now.capacity() + self.sums.capacity() * size_of::<u32>()
    }

    /// Takes a picture, the one before it, both `[patches][patch_bytes]`, and whether much of it changed; gives what is over.
    pub fn see(
        &mut self,
        picture: &[u8],
        before: &[u8],
        content: Content,
        much: bool,
        at_us: Micros,
    ) -> Option<CameraMove> {
        let fit = if much { self.fit(picture, before, content) } else { None };
        let primitive = fit.and_then(|fit| self.name(fit));
        let (cx, cy) = self.middle(content);
        self.moved = fit.filter(|_| primitive.is_some()).map(|fit| (fit, cx, cy));
        let start_us = core::mem::replace(&mut self.before_us, at_us);
        let over = match (&mut self.moving, primitive) {
            (Some((held, pictures)), Some(primitive)) if held.primitive == primitive => {
                (held.end_us, *pictures) = (at_us, *pictures + 1);
                return None;
            }
            (Some((held, _)), None) if at_us.since(held.end_us) < PAUSE_US => return None,
            // A picture of another kind amid a movement may be a slip; two are not.
            (Some((held, pictures)), Some(_)) if *pictures >= LEAST_PICTURES && start_us <= held.end_us => return None,
            _ => self.finish(),
        };
        self.moving = primitive.map(|primitive| (CameraMove { primitive, start_us, end_us: at_us }, 1));
        over
    }

    /// The movement that goes on, at the end of the stream or of what is known of it.
    pub fn finish(&mut self) -> Option<CameraMove> {
        self.moving.take().filter(|(_, pictures)| *pictures >= LEAST_PICTURES).map(|(held, _)| held)
    }

    /// Whether the camera moves now: from the second picture of a movement on, until it has stood for a while.
    pub fn moves(&self, at_us: Micros) -> bool {
        self.moving.is_some_and(|(held, pictures)| pictures >= 2 && at_us.since(held.end_us) < PAUSE_US)
    }

    /// By how many pixels of the input what is at this patch now was moved, to the right and down, since the picture before; `None`
    /// where the picture stood.
    pub fn shift(&self, index: usize) -> Option<(isize, isize)> {
        let (fit, cx, cy) = self.moved?;
        let px = self.shrink as f32;
        let at = |patch: usize| (patch as f32 + 0.5) * self.grid.patch_px as f32 / px;
        let (x, y) = (at(index % self.grid.side) - cx, at(index / self.grid.side) - cy);
        let (u, v) = fit.step(x, y);
        Some((libm::roundf(u * px) as isize, libm::roundf(v * px) as isize))
    }

    /// Whether the last picture was moved.
    pub const fn shifted(&self) -> bool {
        self.moved.is_some()
    }

    /// The middle of the content, in pixels of the small picture.
    fn middle(&self, content: Content) -> (f32, f32) {
        let half = self.grid.patch_px as f32 / self.shrink as f32 / 2.0;
        ((content.x0 + content.x1) as f32 * half, (content.y0 + content.y1) as f32 * half)
    }

    fn side(&self) -> usize {
        self.grid.input_px() / self.shrink
    }

    /// The primitive that moves the picture most, if that is a movement.
    fn name(&self, fit: Fit) -> Option<Primitive> {
        let px = self.shrink as f32;
        let arm = ARM * self.side() as f32;
        let ways = [
            (-fit.dx, Primitive::PanRight, Primitive::PanLeft),
            (fit.dy, Primitive::TiltUp, Primitive::TiltDown),
            (fit.roll * arm, Primitive::RollLeft, Primitive::RollRight),
            (fit.scale * arm, Primitive::In, Primitive::Out),
        ];
        let (amount, forth, back) = ways.into_iter().max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()))?;
        let primitive = if amount > 0.0 { forth } else { back };
        (amount.abs() * px >= LEAST_PX).then_some(primitive)
    }

    /// Where most blocks went; `None` where they do not agree, or there is too little to see.
    fn fit(&mut self, picture: &[u8], before: &[u8], content: Content) -> Option<Fit> {
        shrink(self.grid, self.shrink, before, &mut self.sums, &mut self.before);
        shrink(self.grid, self.shrink, picture, &mut self.sums, &mut self.now);
        self.follow(content);
        let steps = &self.steps[..];
        if steps.len() < LEAST_BLOCKS {
            return None;
        }
        let count = |fit: &Fit| steps.iter().filter(|step| fit.misses2(step) <= NEAR2).count();
        let mut best = Fit::default();
        let mut most = count(&best);
        // Every block with one half of all others on, a quarter, and so on: pairs that lie far from each other.
        for apart in [2, 3, 4, 5].map(|part| steps.len() / part) {
            for (a, b) in steps.iter().zip(steps.iter().cycle().skip(apart)) {
                let Some(fit) = Fit::of_two(a, b) else { continue };
                let hits = count(&fit);
                if hits > most {
                    (best, most) = (fit, hits);
                }
            }
        }
        for _ in 0..2 {
            let near = steps.iter().filter(|step| best.misses2(step) <= NEAR2);
            best = Fit::of_all(&near)?;
        }
        let (hits, still) = (count(&best), count(&Fit::default()));
        let over_still = hits >= LEAST_BLOCKS.max(OVER_STILL * still);
        let tenths = if over_still { LEAST_TENTHS_OVER_STILL } else { LEAST_TENTHS };
        (hits * 10 >= steps.len() * tenths).then_some(best)
    }

    /// Looks for the blocks of the picture before in this one.
    fn follow(&mut self, content: Content) {
        let (side, scale) = (self.side(), |patches: usize| patches * self.grid.patch_px / self.shrink);
        let (x0, x1, y0, y1) = (scale(content.x0), scale(content.x1), scale(content.y0), scale(content.y1));
        let (cx, cy) = self.middle(content);
        let half = BLOCK as f32 / 2.0;
        self.steps.clear();
        for y in (y0 + INSET..(y1 + 1).saturating_sub(BLOCK + INSET)).step_by(STEP) {
            for x in (x0 + INSET..(x1 + 1).saturating_sub(BLOCK + INSET)).step_by(STEP) {
                if !has_texture(&self.before, side, x, y) {
                    continue;
                }
                let Some((u, v)) = find(&self.before, &self.now, side, (x, y), (x0, x1, y0, y1)) else { continue };
                let step = Step { x: x as f32 + half - cx, y: y as f32 + half - cy, u, v };
                if self.steps.push(step).is_err() {
                    return;
                }
            }
        }
    }
}

impl Fit {
    /// Where what is at `(x, y)` goes.
    fn step(&self, x: f32, y: f32) -> (f32, f32) {
        (self.dx + self.scale * x - self.roll * y, self.dy + self.roll * x + self.scale * y)
    }

    /// Square of how far from this fit a block went.
    fn misses2(&self, step: &Step) -> f32 {
        let (u, v) = self.step(step.x, step.y);
        (step.u - u).squared() + (step.v - v).squared()
    }

    /// The similarity that takes two blocks where they went; `None` where they lie too near to each other.
    fn of_two(a: &Step, b: &Step) -> Option<Self> {
        let apart2 = (b.x - a.x).squared() + (b.y - a.y).squared();
        let far2 = (2.0 * BLOCK as f32).squared();
        if apart2 < far2 { None } else { Self::of_all(&[a, b].into_iter()) }
    }

    /// The similarity with the least squares.
    fn of_all<'a>(steps: &(impl Iterator<Item = &'a Step> + Clone)) -> Option<Self> {
        let count = steps.clone().count() as f32;
        let mean = |of: fn(&Step) -> f32| steps.clone().map(of).sum::<f32>() / count;
        let (mx, my, mu, mv) = (mean(|s| s.x), mean(|s| s.y), mean(|s| s.u), mean(|s| s.v));
        let (mut square, mut along, mut across) = (0.0, 0.0, 0.0);
        for step in steps.clone() {
            let (x, y, u, v) = (step.x - mx, step.y - my, step.u - mu, step.v - mv);
            square += x * x + y * y;
            along += x * u + y * v;
            across += x * v - y * u;
        }
        if square <= 0.0 {
            return None;
        }
        let (scale, roll) = (along / square, across / square);
        Some(Self { dx: mu - scale * mx + roll * my, dy: mv - roll * mx - scale * my, roll, scale })
    }
}

/// Input pixels a side that become one of the small picture.
const fn shrink_of(grid: PatchGrid) -> usize {
    if grid.input_px() < SMALL_PX { 1 } else { grid.input_px() / SMALL_PX }
}

trait Square {
    fn squared(self) -> f32;
}

impl Square for f32 {
    fn squared(self) -> f32 {
        self * self
    }
}

/// A small grey picture, `[side][side]`, of one in patch order.
fn shrink(grid: PatchGrid, by: usize, picture: &[u8], sums: &mut [u32], small: &mut [u8]) {
    let (side, patch) = (grid.input_px() / by, grid.patch_px);
    sums.fill(0);
    for (index, pixels) in picture.chunks_exact(grid.patch_bytes()).enumerate() {
        let (left, top) = (index % grid.side * patch, index / grid.side * patch);
        for (row, line) in pixels.chunks_exact(3 * patch).enumerate() {
            let at = (top + row) / by * side;
            for (column, rgb) in line.chunks_exact(3).enumerate() {
                let grey = u32::from(rgb[0]) + 2 * u32::from(rgb[1]) + u32::from(rgb[2]);
                if let Some(sum) = sums.get_mut(at + (left + column) / by) {
                    *sum += grey;
                }
            }
        }
    }
    let each = 4 * (by * by) as u32;
    small.iter_mut().zip(sums).for_each(|(small, sum)| *small = (*sum / each) as u8);
}

/// Whether a block differs enough from itself, shifted by a pixel, in both directions.
fn has_texture(picture: &[u8], side: usize, x: usize, y: usize) -> bool {
    let (mut across, mut down) = (0, 0);
    for row in y..y + BLOCK - 1 {
        let line = &picture[row * side + x..][..BLOCK];
        let next = &picture[(row + 1) * side + x..][..BLOCK];
        across += line.windows(2).map(|pair| u32::from(pair[0].abs_diff(pair[1]))).sum::<u32>();
        down += line.iter().zip(next).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
    }
    across.min(down) >= LEAST_TEXTURE
}

/// Where a block at `(x, y)` went, to a part of a pixel; `None` where that is out of reach or of sight.
fn find(
    before: &[u8],
    now: &[u8],
    side: usize,
    (x, y): (usize, usize),
    (x0, x1, y0, y1): (usize, usize, usize, usize),
) -> Option<(f32, f32)> {
    const WIDTH: usize = 2 * REACH + 1;
    let mut costs = [[u32::MAX; WIDTH]; WIDTH];
    let (mut best, mut at) = (u32::MAX, (REACH, REACH));
    for (v, line) in costs.iter_mut().enumerate() {
        let Some(top) = (y + v).checked_sub(REACH).filter(|top| *top >= y0 && top + BLOCK <= y1.min(side)) else {
            continue;
        };
        for (u, cost) in line.iter_mut().enumerate() {
            let left = (x + u).checked_sub(REACH).filter(|left| *left >= x0 && left + BLOCK <= x1.min(side));
            let Some(left) = left else { continue };
            *cost = (0..BLOCK)
                .map(|row| {
                    let a = &before[(y + row) * side + x..][..BLOCK];
                    let b = &now[(top + row) * side + left..][..BLOCK];
                    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>()
                })
                .sum();
            // Of equals the nearer: a still block stays.
            let nearer = u.abs_diff(REACH) + v.abs_diff(REACH) < at.0.abs_diff(REACH) + at.1.abs_diff(REACH);
            if *cost < best || (*cost == best && nearer) {
                (best, at) = (*cost, (u, v));
            }
        }
    }
    let (u, v) = at;
    if u == 0 || v == 0 || u + 1 == WIDTH || v + 1 == WIDTH {
        return None;
    }
    // At the picture's edge there is one neighbour only, and it may have gone further.
    let part = |low: u32, high: u32| (low.max(high) < u32::MAX).then(|| vertex(low, best, high));
    let (du, dv) = (part(costs[v][u - 1], costs[v][u + 1])?, part(costs[v - 1][u], costs[v + 1][u])?);
    Some((u as f32 - REACH as f32 + du, v as f32 - REACH as f32 + dv))
}

/// Where sums of absolute differences are least, in parts of a pixel from the middle one: two lines of one slope meet there.
fn vertex(low: u32, middle: u32, high: u32) -> f32 {
    let (low, middle, high) = (low as f32, middle as f32, high as f32);
    let steep = low.max(high) - middle;
    if steep <= 0.0 { 0.0 } else { (low - high) / (2.0 * steep) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const FRAME_US: u64 = 200_000;

    /// A textured wall, as smooth as a picture that was made smaller.
    fn wall(x: f32, y: f32) -> f32 {
        let wave = |x: f32, y: f32, across: f32, down: f32| libm::sinf(x * across + libm::sinf(y * down) * 2.0);
        128.0 + 40.0 * wave(x, y, 0.11, 0.07) + 40.0 * wave(y, x, 0.13, 0.05) + 30.0 * wave(x + y, x - y, 0.05, 0.09)
    }

    /// What a camera sees that is at `(x, y)`, turned counter-clockwise by `roll`, and nearer by `scale`.
    pub(crate) fn view(grid: PatchGrid, x: f32, y: f32, roll: f32, scale: f32) -> Vec<u8> {
        let (side, patch) = (grid.input_px(), grid.patch_px);
        let mut picture = vec![0; grid.bytes()];
        for index in 0..side * side {
            let (column, row) = (index % side, index / side);
            let (dx, dy) = (column as f32 - side as f32 / 2.0, row as f32 - side as f32 / 2.0);
            let (sin, cos) = (libm::sinf(roll), libm::cosf(roll));
            let level = wall(x + (dx * cos + dy * sin) / scale, y + (dy * cos - dx * sin) / scale) as u8;
            let at = (row / patch * grid.side + column / patch) * grid.patch_bytes();
            picture[at + (row % patch * patch + column % patch) * 3..][..3].fill(level);
        }
        picture
    }

    /// What is told of a way of eight pictures that begins and ends in stillness.
    fn told(way: impl Fn(f32) -> (f32, f32, f32, f32)) -> Vec<CameraMove> {
        let grid = PatchGrid::new(224, 14).expect("the home grid");
        let mut watch = CameraWatch::new(grid);
        let (mut told, mut before) = (Vec::new(), None);
        for frame in 0..20 {
            let (x, y, roll, scale) = way((frame as f32 - 5.0).clamp(0.0, 8.0));
            let picture = view(grid, x, y, roll, scale);
            let last = before.as_ref().unwrap_or(&picture);
            told.extend(watch.see(&picture, last, Content::whole(grid), true, Micros(frame * FRAME_US)));
            before = Some(picture);
        }
        told.extend(watch.finish());
        told
    }

    #[test]
    fn each_primitive_is_told_with_its_time() {
        for (primitive, way) in [
            (Primitive::PanRight, (5.0, 0.0, 0.0, 0.0)),
            (Primitive::PanLeft, (-9.0, 1.0, 0.0, 0.0)),
            (Primitive::TiltDown, (0.0, 4.0, 0.0, 0.0)),
            (Primitive::TiltUp, (2.0, -12.0, 0.0, 0.0)),
            (Primitive::RollLeft, (0.0, 0.0, 0.06, 0.0)),
            (Primitive::RollRight, (0.5, 0.0, -0.1, 0.0)),
            (Primitive::In, (0.0, 0.0, 0.0, 0.05)),
            (Primitive::Out, (0.0, 0.5, 0.0, -0.04)),
        ] {
            let (x, y, roll, scale) = way;
            let told = told(|t| (x * t, y * t, roll * t, libm::expf(scale * t)));
            let (start_us, end_us) = (Micros(5 * FRAME_US), Micros(13 * FRAME_US));
            assert_eq!(told, [CameraMove { primitive, start_us, end_us }], "{way:?}");
        }
    }

    /// Pictures of eight steps of a way, with so many rows of the top in which each differs from the one before as nothing does.
    fn told_below(rows: usize, way: impl Fn(f32) -> f32) -> Vec<CameraMove> {
        let grid = PatchGrid::new(224, 14).expect("the home grid");
        let (mut watch, mut before) = (CameraWatch::new(grid), None);
        let mut told = Vec::new();
        for frame in 0..12 {
            let mut picture = view(grid, way((frame as f32 - 2.0).clamp(0.0, 8.0)), 0.0, 0.0, 1.0);
            let elsewhere = view(grid, 900.0 * frame as f32, 333.0 * frame as f32, 0.0, 1.0);
            let above = rows / grid.patch_px * grid.side * grid.patch_bytes();
            picture[..above].copy_from_slice(&elsewhere[..above]);
            let last = before.replace(picture.clone()).unwrap_or_else(|| picture.clone());
            told.extend(watch.see(&picture, &last, Content::whole(grid), true, Micros(frame * FRAME_US)));
        }
        told.extend(watch.finish());
        told
    }

    #[test]
    fn less_than_most_of_a_picture_tells_where_hardly_anything_stays() {
        let primitives = |told: Vec<CameraMove>| told.iter().map(|told| told.primitive).collect::<Vec<_>>();
        assert_eq!(
            primitives(told_below(126, |t| 5.0 * t)),
            [Primitive::PanRight],
            "more than half of it goes elsewhere"
        );
        assert_eq!(told_below(126, |_| 0.0), [], "what goes elsewhere is no movement of a camera that stands");
        assert_eq!(told_below(168, |t| 5.0 * t), [], "a quarter tells nothing");
    }

    #[test]
    fn it_moves_from_its_second_picture_until_it_has_stood() {
        let grid = PatchGrid::new(224, 14).expect("the home grid");
        let (mut watch, mut before) = (CameraWatch::new(grid), None);
        let moves: Vec<u64> = (0..20)
            .filter(|frame| {
                let picture = view(grid, 5.0 * (*frame as f32 - 5.0).clamp(0.0, 8.0), 0.0, 0.0, 1.0);
                let last = before.replace(picture.clone()).unwrap_or_else(|| picture.clone());
                watch.see(&picture, &last, Content::whole(grid), true, Micros(frame * FRAME_US));
                watch.moves(Micros(frame * FRAME_US))
            })
            .collect();
        assert!(moves.iter().copied().eq(7..16), "6 to 13 is the movement: {moves:?}");
    }

    #[test]
    fn a_jolt_and_a_camera_that_stands_are_no_movement() {
        assert_eq!(told(|_| (0.0, 0.0, 0.0, 1.0)), []);
        assert_eq!(told(|t| (if t > 3.0 { 6.0 } else { 0.0 }, 0.0, 0.0, 1.0)), []);
        assert_eq!(told(|t| (0.1 * t, 0.0, 0.0, 1.0)), [], "as slow as that it stands");
        assert_eq!(told(|t| (libm::sinf(t * 2.0) * 6.0, 0.0, 0.0, 1.0)), [], "it shakes");
    }

    #[test]
    fn a_bare_wall_tells_nothing_and_a_small_grid_has_no_blocks() {
        for grid in [PatchGrid::new(224, 14), PatchGrid::new(8, 2)].into_iter().flatten() {
            let mut watch = CameraWatch::new(grid);
            for frame in 0..9u8 {
                let picture = vec![100 + 5 * frame; grid.bytes()];
                let before = vec![95 + 5 * frame; grid.bytes()];
                let at_us = Micros(u64::from(frame) * FRAME_US);
                assert_eq!(watch.see(&picture, &before, Content::whole(grid), true, at_us), None);
            }
            assert_eq!(watch.finish(), None);
        }
    }
}
