//! The picture: a headline with an age, and below it the text, which scrolls where it is long.

use core::fmt::Write as _;

use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::image::GetPixel as _;
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_6X10;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::pixelcolor::raw::{LittleEndian, RawU1};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use heapless::String;

use crate::panel::View;

/// Pixels across, and eighths of the height.
pub const WIDTH: usize = 128;
/// See [`WIDTH`].
pub const PAGES: u8 = 8;
const HEIGHT: usize = PAGES as usize * 8;

/// Where the picture is drawn, `[64][128]` bits.
pub type Canvas =
    Framebuffer<BinaryColor, RawU1, LittleEndian, WIDTH, HEIGHT, { buffer_size::<BinaryColor>(WIDTH, HEIGHT) }>;

/// Characters of a line, and pixels from one to the next.
const COLUMNS: usize = WIDTH / 6;
const LINE_PX: i32 = 10;

/// Where the text begins.
const TOP_PX: i32 = 14;

/// Whole lines that are seen at a time.
const LINES: usize = 5;

/// A text that is longer stands, goes up a pixel at a time, stands, and begins anew.
const STAND_MS: u64 = 2500;
const PIXEL_MS: u64 = 100;

/// Draws a view on a canvas that may have anything on it.
pub fn draw(view: &View<'_>, scroll_px: u16, canvas: &mut Canvas) {
    let Ok(()) = canvas.clear(BinaryColor::Off);
    let bar = Rectangle::new(Point::zero(), Size::new(WIDTH as u32, 12));
    let ink = if view.loud { BinaryColor::Off } else { BinaryColor::On };
    if view.loud {
        let Ok(()) = bar.into_styled(PrimitiveStyle::with_fill(BinaryColor::On)).draw(canvas);
    } else {
        let under = Rectangle::new(Point::new(0, 11), Size::new(WIDTH as u32, 1));
        let Ok(()) = under.into_styled(PrimitiveStyle::with_fill(BinaryColor::On)).draw(canvas);
    }
    let style = MonoTextStyle::new(&FONT_6X10, ink);
    let Ok(_) = Text::with_baseline(view.headline, Point::new(1, 1), style, Baseline::Top).draw(canvas);
    if let Some(age_s) = view.age_s {
        let age = age(age_s);
        let x = (WIDTH - 1) as i32 - 6 * age.chars().count() as i32;
        let Ok(_) = Text::with_baseline(&age, Point::new(x, 1), style, Baseline::Top).draw(canvas);
    }
    let body = Rectangle::new(Point::new(0, TOP_PX), Size::new(WIDTH as u32, (HEIGHT as i32 - TOP_PX) as u32));
    let style = MonoTextStyle::new(&FONT_6X10, BinaryColor::On);
    for (n, line) in Lines(view.text).enumerate() {
        let y = TOP_PX + n as i32 * LINE_PX - i32::from(scroll_px);
        if y > TOP_PX - LINE_PX && y < HEIGHT as i32 {
            let Ok(_) =
                Text::with_baseline(line, Point::new(1, y), style, Baseline::Top).draw(&mut canvas.clipped(&body));
        }
    }
}

/// How far a text has gone up, shown for so long.
pub(crate) fn scroll_px(text: &str, for_ms: u64) -> u16 {
    let hidden = Lines(text).count().saturating_sub(LINES) as u64 * LINE_PX as u64;
    if hidden == 0 {
        return 0;
    }
    let at_ms = for_ms % (2 * STAND_MS + hidden * PIXEL_MS);
    (at_ms.saturating_sub(STAND_MS) / PIXEL_MS).min(hidden) as u16
}

/// `12 s`, `3 min`, `5 h`, `2 d`
pub(crate) fn age(age_s: u32) -> String<12> {
    let mut text = String::new();
    let (count, unit) = match age_s {
        0..60 => (age_s, "s"),
        60..3600 => (age_s / 60, "min"),
        3600..172_800 => (age_s / 3600, "h"),
        _ => (age_s / 86_400, "d"),
    };
    // Ten digits at most fit.
    let _ = write!(text, "{count} {unit}");
    text
}

/// An eighth of the picture as small displays want it: a byte a column, its lowest bit on top.
pub fn page(canvas: &Canvas, page: u8) -> [u8; WIDTH] {
    core::array::from_fn(|x| {
        let lit = |row: &u8| canvas.pixel(Point::new(x as i32, i32::from(page * 8 + row))) == Some(BinaryColor::On);
        (0..8).filter(lit).map(|row: u8| 1 << row).sum()
    })
}

/// Lines of a text, broken at spaces where there is one.
#[derive(Clone, Debug)]
struct Lines<'a>(&'a str);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(' ');
        if text.is_empty() {
            return None;
        }
        let Some((over, next)) = text.char_indices().nth(COLUMNS) else {
            self.0 = "";
            return Some(text.trim_end_matches(' '));
        };
        let space = if next == ' ' { Some(over) } else { text[..over].rfind(' ') };
        let (line, rest) = text.split_at(space.unwrap_or(over));
        self.0 = rest;
        Some(line.trim_end_matches(' '))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    #[test]
    fn lines_break_at_spaces_and_long_words_where_they_must() {
        let lines = |text| Lines(text).collect::<Vec<_>>();
        assert_eq!(lines("hall: a person falls to the floor"), ["hall: a person falls", "to the floor"]);
        assert_eq!(lines("exactly twenty-one ab and"), ["exactly twenty-one ab", "and"]);
        assert_eq!(lines("Donaudampfschifffahrtsgesellschaft"), ["Donaudampfschifffahrt", "sgesellschaft"]);
        assert_eq!(lines("  "), [""; 0]);
    }

    #[test]
    fn a_long_text_stands_goes_up_and_begins_anew() {
        let text = "a ".repeat(70);
        let hidden = (Lines(&text).count() - LINES) as u64 * 10;
        assert_eq!((scroll_px("short", 99_999), hidden), (0, 20));
        let at = |for_ms| u64::from(scroll_px(&text, for_ms));
        assert_eq!((at(0), at(STAND_MS), at(STAND_MS + 7 * PIXEL_MS)), (0, 0, 7));
        let end_ms = STAND_MS + hidden * PIXEL_MS;
        assert_eq!((at(end_ms), at(end_ms + STAND_MS - 1), at(end_ms + STAND_MS)), (hidden, hidden, 0));
    }

    #[test]
    fn ages_have_the_unit_that_says_most() {
        for (age_s, text) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (172_800, "2 d"), (u32::MAX, "49710 d")]
        {
            assert_eq!(age(age_s), text);
        }
    }
}
