//! Pictures that are the same on every machine: a still room, one in which much moves, and noise.

use ocelli_types::{ColorMatrix, Frame, FrameSeq, Micros, PixelRange, Pixels, SizePx};

/// Their size, as a webcam sends it.
pub const SIZE: SizePx = SizePx::new(640, 480);

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// A room in which nothing moves; the sensor has noise of two steps.
    Still,
    /// The same, and something large that moves through it.
    Busy,
    /// Another picture each time: the most that there can be to do.
    Worst,
}

impl Case {
    /// All of them, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Still, Self::Busy, Self::Worst];

    /// In a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Still => "still",
            Self::Busy => "busy",
            Self::Worst => "worst",
        }
    }
}

/// Draws a case.
#[derive(Debug)]
pub struct Scene {
    case: Case,
    room: Vec<u8>,
    luma: Vec<u8>,
    chroma: Vec<u8>,
}

/// xorshift: enough for noise, and the same everywhere.
fn noise(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

impl Scene {
    /// A room of walls, a floor, a window and some furniture.
    pub fn new(case: Case) -> Self {
        let (width, height) = (SIZE.width as usize, SIZE.height as usize);
        let boxes =
            [(60, 60, 140, 160, 210), (260, 220, 200, 90, 70), (500, 120, 90, 300, 120), (40, 330, 170, 100, 50)];
        let mut room = vec![0; width * height];
        for (at, pixel) in room.iter_mut().enumerate() {
            let (x, y) = (at % width, at / width);
            let wall = if y < 320 { 150 + x / 16 } else { 90 + (y - 320) / 4 + 12 * ((x / 40 + y / 20) % 2) };
            let inside = |&&(left, top, w, h, _): &&(usize, usize, usize, usize, usize)| {
                (left..left + w).contains(&x) && (top..top + h).contains(&y)
            };
            *pixel = boxes.iter().find(inside).map_or(wall, |&(.., shade)| shade + (x * 7 + y * 3) % 8) as u8;
        }
        let chroma = vec![128; width * height / 4];
        Self { case, luma: room.clone(), room, chroma }
    }

    /// Picture `number`, always the same.
    pub fn picture(&mut self, number: u64, captured_us: Micros) -> Frame<'_> {
        let mut state = 0x9e37_79b9 ^ (number as u32).wrapping_mul(0x85eb_ca6b);
        let width = SIZE.width as usize;
        match self.case {
            Case::Worst => {
                // Blocks of 4 pixels, so that patches differ in what they show and not only in noise.
                let rows: Vec<u8> =
                    (0..width / 4 * (SIZE.height as usize / 4)).map(|_| noise(&mut state) as u8).collect();
                for (at, pixel) in self.luma.iter_mut().enumerate() {
                    *pixel = rows[at / width / 4 * (width / 4) + at % width / 4];
                }
            }
            Case::Still | Case::Busy => {
                for (pixel, room) in self.luma.iter_mut().zip(&self.room) {
                    *pixel = room.wrapping_add((noise(&mut state) % 5) as u8).wrapping_sub(2);
                }
            }
        }
        if self.case == Case::Busy {
            // As large as somebody near the camera, striped, a patch further each time.
            let left = (number * 23 % 440) as usize;
            for y in 100..440 {
                for x in left..left + 160 {
                    self.luma[y * width + x] = if ((x - left + y) / 12).is_multiple_of(2) { 60 } else { 190 };
                }
            }
        }
        let pixels = Pixels::I420 {
            y: &self.luma,
            u: &self.chroma,
            v: &self.chroma,
            y_stride: SIZE.width,
            uv_stride: SIZE.width / 2,
        };
        let (range, matrix) = (PixelRange::Full, ColorMatrix::Bt601);
        Frame { pixels, size_px: SIZE, range, matrix, seq: FrameSeq(number), captured_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luma(scene: &mut Scene, number: u64) -> Vec<u8> {
        match scene.picture(number, Micros(0)).pixels {
            Pixels::I420 { y, .. } => y.to_vec(),
            _ => unreachable!("a scene has planes"),
        }
    }

    #[test]
    fn pictures_are_the_same_each_time_and_differ_as_much_as_their_case_says() {
        for case in Case::ALL {
            let (mut scene, mut again) = (Scene::new(case), Scene::new(case));
            let (first, second) = (luma(&mut scene, 3), luma(&mut scene, 4));
            assert_eq!(luma(&mut again, 3), first);
            let far = first.iter().zip(&second).filter(|(a, b)| a.abs_diff(**b) > 4).count();
            let share = far as f64 / first.len() as f64;
            let expected = match case {
                Case::Still => 0.0..0.001,
                Case::Busy => 0.05..0.3,
                Case::Worst => 0.9..1.0,
            };
            assert!(expected.contains(&share), "{case:?}: {share}");
        }
    }
}
