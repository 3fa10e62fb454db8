//! Text in whatever script a narration has: lines that fit, from a chain of bitmap fonts.
//!
//! A character is drawn in the first font that has it: Latin with its accents, Cyrillic, Greek, Hebrew, Arabic, then Chinese (GB 2312,
//! with kana). Arabic letters are joined and lines with right-to-left text reordered (Unicode's bidirectional algorithm). A character
//! that no font has becomes a box, and a text of which more than a third has none is replaced by a line that says so with its
//! language: boxes tell nothing.

use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle, StyledDrawable};
use u8g2_fonts::types::{FontColor, VerticalPosition};
use u8g2_fonts::{FontRenderer, fonts};
use unicode_bidi::BidiInfo;

use super::canvas::{Canvas, Tone};

/// What stands where a text had to end.
const ELLIPSIS: &str = "...";

/// Fonts of one size.
#[derive(Debug)]
pub struct Fonts {
    chain: &'static [FontRenderer],
    /// From one line to the next, in pixels.
    pub line: i32,
    /// From the top of a line to its base.
    base: i32,
}

/// Twelve pixels high, for small panels.
pub static SMALL: Fonts = Fonts {
    chain: &[
        FontRenderer::new::<fonts::u8g2_font_6x12_te>(),
        FontRenderer::new::<fonts::u8g2_font_cu12_t_cyrillic>(),
        FontRenderer::new::<fonts::u8g2_font_cu12_t_greek>(),
        FontRenderer::new::<fonts::u8g2_font_cu12_t_hebrew>(),
        FontRenderer::new::<fonts::u8g2_font_cu12_t_arabic>(),
        FontRenderer::new::<fonts::u8g2_font_wqy12_t_gb2312>(),
    ],
    line: 13,
    base: 10,
};

/// Sixteen pixels high.
pub static LARGE: Fonts = Fonts {
    chain: &[
        FontRenderer::new::<fonts::u8g2_font_unifont_te>(),
        FontRenderer::new::<fonts::u8g2_font_unifont_t_cyrillic>(),
        FontRenderer::new::<fonts::u8g2_font_unifont_t_greek>(),
        FontRenderer::new::<fonts::u8g2_font_unifont_t_hebrew>(),
        FontRenderer::new::<fonts::u8g2_font_unifont_t_arabic>(),
        FontRenderer::new::<fonts::u8g2_font_wqy16_t_gb2312>(),
    ],
    line: 18,
    base: 14,
};

impl Fonts {
    /// The font that has a character, and how far it moves on.
    fn find(&self, c: char) -> Option<(&FontRenderer, i32)> {
        self.chain.iter().find_map(|font| {
            let dimensions = font.get_rendered_dimensions(c, Point::zero(), VerticalPosition::Baseline).ok()?;
            Some((font, dimensions.advance.x))
        })
    }

    /// Width of a character, or of the box in its place.
    fn advance(&self, c: char) -> i32 {
        self.find(c).map_or(self.base, |(_, advance)| advance)
    }

    /// Width of a line in pixels.
    pub fn width(&self, text: &str) -> i32 {
        text.chars().map(|c| self.advance(c)).sum()
    }

    /// The text as these fonts can show it: letters joined, no characters that steer, and another text where too much is missing.
    pub fn showable(&self, text: &str, language: &str) -> String {
        let clean: String = text.chars().map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c }).collect();
        let joined = ar_reshaper::reshape_line(&clean);
        let joined: String = joined.chars().map(|c| if self.find(c).is_some() { c } else { plain(c) }).collect();
        let missing = joined.chars().filter(|c| self.find(*c).is_none()).count();
        if missing * 3 > joined.chars().count() {
            return format!("(no font for `{language}`)");
        }
        joined
    }

    /// Cuts a text into lines of this width, `most` of them, in the order in which it is read. What is left out shows as an
    /// ellipsis.
    pub fn wrap(&self, text: &str, width: i32, most: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() && lines.len() < most {
            let end = self.line_end(rest, width);
            let last = lines.len() + 1 == most;
            if last && end < rest.len() {
                lines.push(self.shortened(rest, width));
                break;
            }
            lines.push(rest[..end].trim_end().to_owned());
            rest = rest[end..].trim_start();
        }
        lines
    }

    /// Where the first line of a text ends: behind the last place for a break that fits, else behind the last character that does.
    fn line_end(&self, text: &str, width: i32) -> usize {
        let (mut used, mut break_at) = (0, None);
        let mut chars = text.char_indices().peekable();
        while let Some((start, c)) = chars.next() {
            used += self.advance(c);
            if used > width && c != ' ' {
                // At least one character, however narrow the panel is.
                return break_at.unwrap_or(if start == 0 { c.len_utf8() } else { start });
            }
            let end = start + c.len_utf8();
            let next = chars.peek().map(|(_, next)| *next);
            if c == ' ' || next.is_some_and(|next| (is_ideograph(c) || is_ideograph(next)) && !hangs(next)) {
                break_at = Some(end);
            }
        }
        text.len()
    }

    /// As much of a text as fits with an ellipsis.
    fn shortened(&self, text: &str, width: i32) -> String {
        let mut used = self.width(ELLIPSIS);
        let fits = text.chars().take_while(|c| {
            used += self.advance(*c);
            used <= width
        });
        let mut line: String = fits.collect();
        line.truncate(line.trim_end().len());
        line.push_str(ELLIPSIS);
        line
    }

    /// Draws one line with its top left corner at `at`, or its top right one where it reads from the right and `width` is the room
    /// for it.
    pub fn draw(&self, canvas: &mut Canvas, line: &str, at: Point, width: i32, tone: Tone) {
        let bidi = BidiInfo::new(line, None);
        let Some(paragraph) = bidi.paragraphs.first() else { return };
        let shown = bidi.reorder_line(paragraph, paragraph.range.clone());
        let mut x = at.x;
        if paragraph.level.is_rtl() {
            x += width - self.width(&shown);
        }
        for c in shown.chars() {
            let base = Point::new(x, at.y + self.base);
            if let Some((font, advance)) = self.find(c) {
                let color = FontColor::Transparent(tone);
                let drawn = font.render(c, base, VerticalPosition::Baseline, color, canvas);
                drawn.expect("it was found, and a canvas takes all");
                x += advance;
            } else {
                let size = Size::new(self.base.unsigned_abs() - 3, self.base.unsigned_abs() - 2);
                let corner = Point::new(x + 1, base.y - self.base + 3);
                let Ok(()) = Rectangle::new(corner, size).draw_styled(&PrimitiveStyle::with_stroke(tone, 1), canvas);
                x += self.base;
            }
        }
    }
}

/// The plain form of a sign that few fonts have.
const fn plain(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2014}' => '-',
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        '\u{a0}' | '\u{2009}' | '\u{202f}' => ' ',
        other => other,
    }
}

/// Written without spaces, so that a line may end behind it.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}')
}

/// Must not begin a line.
fn hangs(c: char) -> bool {
    "。，、！？：；）」』》”’.,!?:;)".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words_and_within_what_is_too_long() {
        let wrap = |text: &str, characters: i32, most| SMALL.wrap(text, characters * 6, most);
        assert_eq!(wrap("a person falls to the floor", 12, 4), ["a person", "falls to the", "floor"]);
        assert_eq!(wrap("Donaudampfschiff fährt", 8, 4), ["Donaudam", "pfschiff", "fährt"]);
        assert_eq!(wrap("a person falls to the floor", 12, 2), ["a person", "falls to..."]);
        assert_eq!(wrap("", 12, 2), Vec::<String>::new());
        assert_eq!(wrap("ab", 0, 9), ["a", "b"], "a panel that is too narrow");
    }

    #[test]
    fn chinese_lines_end_anywhere_but_before_a_full_stop() {
        let lines = SMALL.wrap("一个人走进厨房。然后离开。", 12 * 7, 4);
        assert_eq!(lines, ["一个人走进厨", "房。然后离开。"]);
    }

    #[test]
    fn every_font_has_its_script_and_arabic_is_joined() {
        for fonts in [&SMALL, &LARGE] {
            for (text, language) in [
                ("A person (falls) at 12:30, 5 % – Äpfel, ça, ñ, ő, ß", "en"),
                ("Человек упал", "ru"),
                ("Ένα άτομο έπεσε", "el"),
                ("אדם נפל", "he"),
                ("سقط شخص على الأرض", "ar"),
                ("有人摔倒在地上。", "zh"),
                ("ひとが たおれた", "ja"),
            ] {
                let shown = fonts.showable(text, language);
                let missing: Vec<char> = shown.chars().filter(|c| fonts.find(*c).is_none()).collect();
                assert!(missing.is_empty(), "{language}: {missing:?} of {shown}");
            }
            let shown = fonts.showable("سقط", "ar");
            assert!(shown.chars().all(|c| ('\u{fe70}'..='\u{feff}').contains(&c)), "{shown:?}");
        }
    }

    #[test]
    fn what_cannot_be_shown_is_said_and_what_steers_is_no_text() {
        let shown = SMALL.showable("사람이 넘어졌다", "ko");
        assert_eq!(shown, "(no font for `ko`)");
        assert_eq!(SMALL.showable("a\nb\u{1b}c 사", "en"), "a b c 사");
    }

    #[test]
    fn a_line_from_the_right_ends_at_the_right_and_is_turned_round() {
        let draw = |text: &str| {
            let mut canvas = Canvas::new(Size::new(60, 13));
            SMALL.draw(&mut canvas, text, Point::zero(), 60, Tone::Ink);
            let inked = |x| (0..13).any(|y| canvas.tone(x, y) == Tone::Ink);
            ((0..60).find(|x| inked(*x)), (0..60).rev().find(|x| inked(*x)), canvas)
        };
        let (first, last, _) = draw("אב");
        assert!(first > Some(30) && last > Some(55), "{first:?} {last:?}");
        let (first, ..) = draw("ab");
        assert!(first < Some(3));
        assert_eq!(draw("ab 사").2, draw("ab 람").2, "a box is a box");
    }
}
