//! The status screen: what was seen last, the time, the cameras, alerts, and how much of the memory is used.

use embedded_graphics::prelude::{OriginDimensions, Point, Size};
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle, StyledDrawable};

use super::canvas::{Canvas, Tone};
use super::text::{Fonts, LARGE, SMALL};

/// The height from which on large letters are used.
const LARGE_FROM_PX: u32 = 100;

/// The height from which on each pixel is drawn as four: such a panel is read from further away.
const DOUBLE_FROM_PX: u32 = 200;

/// Lines of a body that are too few for one with the time of a narration.
const FEW_LINES: usize = 4;

/// What is to be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Local time of day, `12:03`.
    pub clock: String,
    /// Names of the cameras, and whether each sees.
    pub cameras: Vec<(String, bool)>,
    /// The last narration.
    pub said: Option<Said>,
    /// Alerts that are open and not muted, the newest last.
    pub alerts: Vec<Said>,
    /// Open ones that are muted or acknowledged.
    pub muted: usize,
    /// How the device is.
    pub vitals: Vitals,
}

/// Something that was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// When, `12:03`.
    pub clock: String,
    /// The name of its camera.
    pub camera: String,
    /// The sentence.
    pub text: String,
    /// Its language, such as `en`.
    pub language: String,
}

/// How the device is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vitals {
    /// Resident memory.
    pub used_bytes: u64,
    /// The most that it may be.
    pub budget_bytes: u64,
    /// Degrees Celsius, where they are looked at.
    pub celsius: Option<f32>,
    /// The pace, where it is not full.
    pub pace: Option<&'static str>,
}

/// Draws all of it anew.
pub fn draw(canvas: &mut Canvas, status: &Status) {
    let size = canvas.size();
    if size.height >= DOUBLE_FROM_PX {
        let mut half = Canvas::new(size / 2);
        draw_once(&mut half, status);
        canvas.enlarge(&half);
    } else {
        draw_once(canvas, status);
    }
}

fn draw_once(canvas: &mut Canvas, status: &Status) {
    let size = canvas.size();
    let fonts = if size.height >= LARGE_FROM_PX { &LARGE } else { &SMALL };
    canvas.wipe();
    let (width, height) = (size.width.cast_signed(), size.height.cast_signed());
    let bar_height = if size.height >= LARGE_FROM_PX { 12 } else { 6 };
    head(canvas, status, fonts, width);
    // A panel of two lines has no room for the bar.
    let foot = if height > 3 * fonts.line { bar_height } else { 0 };
    let room = Rectangle::new(
        Point::new(0, fonts.line + 1),
        Size::new(size.width, (height - fonts.line - foot - 2).unsigned_abs()),
    );
    body(canvas, status, fonts, room);
    if foot > 0 {
        memory(canvas, status, bar_height);
    }
}

/// Time on the left; on the right the cameras, and before them the pace, where it is not full.
fn head(canvas: &mut Canvas, status: &Status, fonts: &Fonts, width: i32) {
    fonts.draw(canvas, &status.clock, Point::new(1, 0), width, Tone::Ink);
    let blind: Vec<&str> = status.cameras.iter().filter(|(_, sees)| !sees).map(|(name, _)| name.as_str()).collect();
    let cameras = match (&status.cameras[..], &blind[..]) {
        ([(name, true)], _) => name.clone(),
        ([(name, false)], _) => format!("{name} blind"),
        (all, []) => format!("{} cameras", all.len()),
        (all, [one]) if all.len() > 1 => format!("{one} blind"),
        (all, blind) => format!("{} of {} blind", blind.len(), all.len()),
    };
    let mut text = cameras;
    if let Some(pace) = status.vitals.pace {
        let celsius = status.vitals.celsius.map(|celsius| format!(" {celsius:.0}°")).unwrap_or_default();
        text = format!("{pace}{celsius}  {text}");
    }
    let left = fonts.width(&status.clock) + 8;
    let text = fonts.showable(&text, "en");
    let text = fonts.wrap(&text, width - left - 1, 1).pop().unwrap_or_default();
    let tone = if blind.is_empty() { Tone::Dim } else { Tone::Ink };
    fonts.draw(canvas, &text, Point::new(width - 1 - fonts.width(&text), 0), width, tone);
    let line = Rectangle::new(Point::new(0, fonts.line - 1), Size::new(width.unsigned_abs(), 1));
    let Ok(()) = line.draw_styled(&PrimitiveStyle::with_fill(Tone::Dim), canvas);
}

/// The newest open alert on its ground, else the last narration.
fn body(canvas: &mut Canvas, status: &Status, fonts: &Fonts, room: Rectangle) {
    let (width, height) = (room.size.width.cast_signed(), room.size.height.cast_signed());
    let lines = usize::try_from(height / fonts.line).unwrap_or(0).max(1);
    let several = status.cameras.len() > 1;
    let (title, said, tone) = match (status.alerts.last(), &status.said) {
        (Some(alert), _) => {
            let Ok(()) = room.draw_styled(&PrimitiveStyle::with_fill(Tone::Alarm), canvas);
            let more = match status.alerts.len() {
                1 => String::new(),
                count => format!(" (1 of {count})"),
            };
            (format!("ALERT {}{more}", alert.clock), alert, Tone::OnAlarm)
        }
        // The time of a narration matters less than its words, unless an alert is muted.
        (None, Some(said)) if lines < FEW_LINES && status.muted == 0 => {
            write(canvas, fonts, &said.text, &said.language, room, lines, Tone::Ink);
            return;
        }
        (None, Some(said)) => {
            let muted = if status.muted > 0 { "  muted alert" } else { "" };
            (format!("{}{muted}", said.clock), said, Tone::Ink)
        }
        (None, None) => {
            let text = Said { text: "watching; nothing was told yet".into(), language: "en".into(), ..Said::default() };
            write(canvas, fonts, &text.text, "en", room, lines, Tone::Dim);
            return;
        }
    };
    let title = if several { format!("{title} {}", said.camera) } else { title };
    if lines == 1 {
        write(canvas, fonts, &said.text, &said.language, room, 1, tone);
        return;
    }
    let title = fonts.wrap(&fonts.showable(&title, "en"), width - 2, 1).pop().unwrap_or_default();
    let title_tone = if tone == Tone::Ink { Tone::Dim } else { tone };
    fonts.draw(canvas, &title, room.top_left + Point::new(1, 0), width - 2, title_tone);
    let below = Rectangle::new(
        room.top_left + Point::new(0, fonts.line),
        Size::new(room.size.width, room.size.height.saturating_sub(fonts.line.unsigned_abs())),
    );
    write(canvas, fonts, &said.text, &said.language, below, lines - 1, tone);
}

fn write(canvas: &mut Canvas, fonts: &Fonts, text: &str, language: &str, room: Rectangle, lines: usize, tone: Tone) {
    let width = room.size.width.cast_signed() - 2;
    let text = fonts.showable(text, language);
    for (line, at) in fonts.wrap(&text, width, lines).iter().zip(0..) {
        fonts.draw(canvas, line, room.top_left + Point::new(1, at * fonts.line), width, tone);
    }
}

/// A bar of the memory that is used, of the budget; with the figures beside it, where there is room.
fn memory(canvas: &mut Canvas, status: &Status, bar_height: i32) {
    let (size, vitals) = (canvas.size(), status.vitals);
    let (width, height) = (size.width.cast_signed(), size.height.cast_signed());
    let mib = |bytes: u64| bytes >> 20;
    let mut bar_width = width;
    if size.height >= LARGE_FROM_PX {
        let text = format!("{} / {} MiB", mib(vitals.used_bytes), mib(vitals.budget_bytes));
        bar_width -= SMALL.width(&text) + 6;
        let at = Point::new(bar_width + 5, height - bar_height - 1);
        SMALL.draw(canvas, &text, at, width, Tone::Dim);
    }
    let top = Point::new(0, height - bar_height);
    let frame = Rectangle::new(top, Size::new(bar_width.unsigned_abs(), bar_height.unsigned_abs()));
    let Ok(()) = frame.draw_styled(&PrimitiveStyle::with_stroke(Tone::Dim, 1), canvas);
    let inner = u64::from(bar_width.unsigned_abs()).saturating_sub(4);
    let filled = (vitals.used_bytes.min(vitals.budget_bytes) * inner).checked_div(vitals.budget_bytes).unwrap_or(0);
    let fill = Rectangle::new(top + Point::new(2, 2), Size::new(filled as u32, bar_height.unsigned_abs() - 4));
    let tone = if vitals.used_bytes > vitals.budget_bytes { Tone::Alarm } else { Tone::Ink };
    let Ok(()) = fill.draw_styled(&PrimitiveStyle::with_fill(tone), canvas);
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::BufReader;
    use std::path::{Path, PathBuf};

    use super::super::panel::PanelKind;
    use super::*;

    fn said(text: &str, language: &str) -> Said {
        Said { clock: "12:03".into(), camera: "hall".into(), text: text.into(), language: language.into() }
    }

    fn status() -> Status {
        Status {
            clock: "12:05".into(),
            cameras: vec![("hall".into(), true)],
            said: Some(said("A person walks through the room and sits down.", "en")),
            vitals: Vitals { used_bytes: 41 << 20, budget_bytes: 128 << 20, ..Vitals::default() },
            ..Status::default()
        }
    }

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens")
    }

    /// As the panel shows it: two colours, or all.
    fn colors(kind: PanelKind, canvas: &Canvas) -> Vec<u8> {
        let one = |tone: &Tone| match kind {
            PanelKind::Ssd1306 | PanelKind::Ssd1306Small => [if tone.is_ink() { 255 } else { 0 }; 3],
            PanelKind::Epd2in13 | PanelKind::Epd2in9 | PanelKind::Epd4in2 => [if tone.is_ink() { 0 } else { 255 }; 3],
            _ => tone.rgb(),
        };
        canvas.rows().flatten().flat_map(one).collect()
    }

    /// Holds a screen to its picture in `tests/screens`; with `OCELLI_OVERWRITE_SCREENS=1` writes that anew, to be looked at.
    fn hold(name: &str, kind: PanelKind, status: &Status) {
        let mut canvas = Canvas::new(kind.size());
        draw(&mut canvas, status);
        let (pixels, path) = (colors(kind, &canvas), folder().join(format!("{name}.png")));
        if std::env::var_os("OCELLI_OVERWRITE_SCREENS").is_some() {
            std::fs::create_dir_all(folder()).expect("it can be made");
            let mut encoder =
                png::Encoder::new(File::create(&path).expect("it is writable"), kind.size().width, kind.size().height);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).expect("it is writable");
        }
        let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = png::Decoder::new(BufReader::new(file)).read_info().expect("it is a picture");
        let mut held = vec![0; reader.output_buffer_size().expect("it is small")];
        reader.next_frame(&mut held).expect("it is whole");
        assert!(held == pixels, "{name} looks otherwise; OCELLI_OVERWRITE_SCREENS=1 writes it anew, then look at it");
    }

    #[test]
    fn screens_look_as_they_did() {
        let calm = status();
        hold("oled-narration", PanelKind::Ssd1306, &calm);
        hold("oled-flat", PanelKind::Ssd1306Small, &calm);
        hold("oled-empty", PanelKind::Ssd1306, &Status { said: None, ..calm.clone() });
        let alerts = vec![said("Somebody fell and lies on the floor", "en")];
        let alarm = Status { alerts: alerts.clone(), ..calm.clone() };
        hold("oled-alert", PanelKind::Ssd1306, &alarm);
        hold("lcd-alert", PanelKind::St7789, &alarm);
        hold("epaper-alert", PanelKind::Epd2in13, &alarm);
        let blind = Status { cameras: vec![("hall".into(), false)], ..calm.clone() };
        hold("oled-blind", PanelKind::Ssd1306, &blind);
        let several = Status {
            cameras: vec![("hall".into(), true), ("porch".into(), false)],
            alerts: [alerts.clone(), alerts.clone()].concat(),
            ..calm.clone()
        };
        hold("epaper-several", PanelKind::Epd2in9, &several);
        let hot = Vitals { celsius: Some(76.4), pace: Some("slow"), used_bytes: 130 << 20, ..calm.vitals };
        hold("lcd-hot", PanelKind::St7789Wide, &Status { muted: 1, vitals: hot, ..calm.clone() });
        hold("epaper-narration", PanelKind::Epd4in2, &calm);
    }

    #[test]
    fn screens_in_other_scripts_look_as_they_did() {
        let told = |text: &str, language: &str| Status { said: Some(said(text, language)), ..status() };
        let chinese = told("一个人走过房间，坐了下来。然后有人打开了灯。", "zh");
        hold("oled-zh", PanelKind::Ssd1306, &chinese);
        hold("lcd-zh", PanelKind::St7789, &chinese);
        let arabic = told("سقط شخص على الأرض في الساعة 12:03 ولم ينهض بعد", "ar");
        hold("oled-ar", PanelKind::Ssd1306, &arabic);
        hold("lcd-ar", PanelKind::St7789, &arabic);
        hold("epaper-de", PanelKind::Epd2in13, &told("Jemand fällt über die Türschwelle und steht wieder auf.", "de"));
        hold("epaper-ru", PanelKind::Epd2in9, &told("Человек идёт через комнату и садится.", "ru"));
        hold("oled-ko", PanelKind::Ssd1306, &told("사람이 방을 가로질러 걸어갑니다", "ko"));
    }

    #[test]
    fn no_status_is_too_much_for_any_panel() {
        let long = "Wort ".repeat(80) + &"x".repeat(400) + &"房".repeat(200);
        for kind in
            [PanelKind::Ssd1306Small, PanelKind::Ssd1306, PanelKind::Epd2in13, PanelKind::Epd4in2, PanelKind::St7789]
        {
            for text in [&long, "", "\u{200f}\u{202e}", "\0"] {
                let mut status = Status { said: Some(said(text, "xx")), ..status() };
                status.cameras = vec![(long.clone(), false), (String::new(), true)];
                status.vitals =
                    Vitals { used_bytes: u64::MAX, budget_bytes: 0, celsius: Some(f32::NAN), pace: Some("slow") };
                let mut canvas = Canvas::new(kind.size());
                draw(&mut canvas, &status);
                status.alerts = vec![said(text, "xx"); 30];
                draw(&mut canvas, &status);
            }
        }
    }
}
