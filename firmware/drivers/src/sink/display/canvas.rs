//! What a screen shows before it goes to a panel: a byte a pixel, which says what the pixel is and not its colour.

use std::convert::Infallible;

use embedded_graphics::pixelcolor::raw::RawU4;
use embedded_graphics::prelude::{DrawTarget, OriginDimensions, Pixel, PixelColor, Point, Size};

/// What a pixel is. A panel with two colours shows all but [`Tone::Paper`] and [`Tone::OnAlarm`] as ink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// The ground.
    #[default]
    Paper,
    /// What is written.
    Ink,
    /// What matters less.
    Dim,
    /// The ground of an alert.
    Alarm,
    /// What is written on that.
    OnAlarm,
}

impl PixelColor for Tone {
    type Raw = RawU4;
}

impl Tone {
    /// For a panel with two colours.
    pub const fn is_ink(self) -> bool {
        matches!(self, Self::Ink | Self::Dim | Self::Alarm)
    }

    /// For one with colours: red, green, blue.
    pub const fn rgb(self) -> [u8; 3] {
        match self {
            Self::Paper => [0, 0, 0],
            Self::Ink | Self::OnAlarm => [255, 255, 255],
            Self::Dim => [130, 140, 150],
            Self::Alarm => [200, 20, 20],
        }
    }
}

/// A picture in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    size: Size,
    /// `[height][width]`
    tones: Vec<Tone>,
}

impl Canvas {
    /// An empty one.
    pub fn new(size: Size) -> Self {
        Self { size, tones: vec![Tone::Paper; (size.width * size.height) as usize] }
    }

    /// What one of this size holds.
    pub const fn bytes(size: Size) -> usize {
        (size.width * size.height) as usize * size_of::<Tone>()
    }

    /// Another one with each of its pixels as four.
    pub fn enlarge(&mut self, half: &Self) {
        for y in 0..self.size.height {
            for x in 0..self.size.width {
                self.tones[(y * self.size.width + x) as usize] = half.tone(x / 2, y / 2);
            }
        }
    }

    /// Empties it.
    pub fn wipe(&mut self) {
        self.tones.fill(Tone::Paper);
    }

    /// One pixel; paper outside.
    pub fn tone(&self, x: u32, y: u32) -> Tone {
        if x < self.size.width && y < self.size.height {
            self.tones[(y * self.size.width + x) as usize]
        } else {
            Tone::Paper
        }
    }

    /// Rows from the top, each from the left.
    pub fn rows(&self) -> impl Iterator<Item = &[Tone]> {
        self.tones.chunks_exact(self.size.width as usize)
    }

    /// As a picture file (PPM, `P6`).
    pub fn ppm(&self) -> Vec<u8> {
        let mut bytes = format!("P6\n{} {}\n255\n", self.size.width, self.size.height).into_bytes();
        bytes.extend(self.tones.iter().flat_map(|tone| tone.rgb()));
        bytes
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Canvas {
    type Color = Tone;
    type Error = Infallible;

    /// What lies outside is left out.
    fn draw_iter<I: IntoIterator<Item = Pixel<Tone>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, tone) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { continue };
            if x < self.size.width && y < self.size.height {
                self.tones[(y * self.size.width + x) as usize] = tone;
            }
        }
        Ok(())
    }
}
