//! Panels: an OLED over I2C, e-paper and LCDs over SPI, and a picture file in place of one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::{OriginDimensions, Size};
use embedded_hal::digital;
use embedded_hal::i2c::I2c;
use embedded_hal::spi::SpiDevice;
use epd_waveshare::epd2in9_v2::Epd2in9;
use epd_waveshare::epd2in13_v2::Epd2in13;
use epd_waveshare::epd4in2::Epd4in2;
use epd_waveshare::prelude::WaveshareDisplay;
use mipidsi::interface::SpiInterface;
use mipidsi::models::{ILI9341Rgb565, Model, ST7789};
use mipidsi::options::{ColorInversion, Orientation, Rotation};
use ssd1306::mode::{BufferedGraphicsMode, DisplayConfig};
use ssd1306::prelude::{DisplayRotation, DisplaySize128x32, DisplaySize128x64, I2CInterface};
use ssd1306::{I2CDisplayInterface, Ssd1306};

use super::canvas::{Canvas, Tone};
use crate::PeripheralError;
use crate::bus::{I2cBus, Sleep, SpiBus};
use crate::gpio::{InputLine, OutputLine, Pins};

/// Which panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanelKind {
    /// SSD1306, 128x64, two colours, I2C.
    Ssd1306,
    /// SSD1306, 128x32.
    Ssd1306Small,
    /// Waveshare e-paper of 2.13 inches (V3), 250x122.
    Epd2in13,
    /// Waveshare e-paper of 2.9 inches (V2), 296x128.
    Epd2in9,
    /// Waveshare e-paper of 4.2 inches, 400x300.
    Epd4in2,
    /// ST7789, 240x240, colours.
    St7789,
    /// ST7789, 320x240.
    St7789Wide,
    /// ILI9341, 320x240.
    Ili9341,
    /// A picture file (PPM) of 240x240.
    File,
}

impl PanelKind {
    /// As it is looked at.
    pub const fn size(self) -> Size {
        match self {
            Self::Ssd1306 => Size::new(128, 64),
            Self::Ssd1306Small => Size::new(128, 32),
            Self::Epd2in13 => Size::new(250, 122),
            Self::Epd2in9 => Size::new(296, 128),
            Self::Epd4in2 => Size::new(400, 300),
            Self::St7789 | Self::File => Size::new(240, 240),
            Self::St7789Wide | Self::Ili9341 => Size::new(320, 240),
        }
    }

    /// How long it is left alone between two pictures, and after an alert. E-paper wears out, and flickers for seconds.
    pub const fn rest(self) -> [Duration; 2] {
        match self {
            Self::Epd2in13 | Self::Epd2in9 | Self::Epd4in2 => [Duration::from_mins(3), Duration::from_secs(10)],
            Self::File => [Duration::from_millis(100); 2],
            _ => [Duration::from_millis(250); 2],
        }
    }

    /// The most that one holds, its picture before it goes out included.
    pub const fn bytes(self) -> usize {
        let size = self.size();
        let beside = match self {
            Self::File => 3 * (size.width * size.height) as usize + 64,
            Self::St7789 | Self::St7789Wide | Self::Ili9341 => LCD_BUFFER_BYTES,
            _ => (size.width * size.height / 8 + size.height) as usize,
        };
        // One that is drawn, its half, and one that is shown.
        3 * Canvas::bytes(size) + beside
    }
}

/// Where a panel is.
#[derive(Clone, Debug)]
pub struct PanelPlace {
    /// Which panel.
    pub kind: PanelKind,
    /// The I2C bus.
    pub i2c: PathBuf,
    /// The address on it.
    pub i2c_address: u8,
    /// The SPI device.
    pub spi: PathBuf,
    /// Its speed.
    pub spi_hz: u32,
    /// Data or command.
    pub dc: Option<u32>,
    /// Reset.
    pub reset: Option<u32>,
    /// Busy, of e-paper.
    pub busy: Option<u32>,
    /// Upside down.
    pub turned: bool,
    /// The picture file.
    pub file: PathBuf,
}

/// Something that shows a picture.
pub trait Panel: Send {
    /// Shows it, where `before` is known to be shown, if anything is; comes back when it is there.
    ///
    /// # Errors
    /// The panel does not answer.
    fn show(&mut self, canvas: &Canvas, before: Option<&Canvas>) -> Result<(), PeripheralError>;
}

/// Opens a panel, and shows an empty picture: a chip that is missing is found out here, as far as it can be. An LCD does not answer at
/// all.
///
/// # Errors
/// A bus, pin or chip is missing or may not be used.
pub fn open(
    place: &PanelPlace,
    pins: impl FnOnce() -> Result<Box<dyn Pins>, PeripheralError>,
) -> Result<Box<dyn Panel>, PeripheralError> {
    let empty = Canvas::new(place.kind.size());
    let mut panel: Box<dyn Panel> = match place.kind {
        PanelKind::File => Box::new(PictureFile { path: place.file.clone() }),
        PanelKind::Ssd1306 | PanelKind::Ssd1306Small => {
            let at = format!("{} at address {:#04x}", place.i2c.display(), place.i2c_address);
            let bus = I2cBus::open(&place.i2c)?;
            if place.kind == PanelKind::Ssd1306 {
                Box::new(Oled::open(bus, place.i2c_address, DisplaySize128x64, place.turned, at)?)
            } else {
                Box::new(Oled::open(bus, place.i2c_address, DisplaySize128x32, place.turned, at)?)
            }
        }
        kind => {
            let spi = SpiBus::open(&place.spi, place.spi_hz)?;
            let mut pins = pins()?;
            let mut output = |name: &str, pin: Option<u32>| {
                let pin = pin.ok_or_else(|| missing(place, name))?;
                pins.output(pin, false).map(Out)
            };
            let (dc, reset) = (output("dc", place.dc)?, output("reset", place.reset)?);
            let at = place.spi.display().to_string();
            if matches!(kind, PanelKind::St7789 | PanelKind::St7789Wide | PanelKind::Ili9341) {
                open_lcd(kind, spi, dc, reset, place.turned, at)?
            } else {
                let busy = place.busy.ok_or_else(|| missing(place, "busy"))?;
                let busy = Busy::new(pins.input(busy, false)?, kind == PanelKind::Epd4in2);
                open_epaper(kind, spi, busy, dc, reset, place.turned, at)?
            }
        }
    };
    panel.show(&empty, None)?;
    Ok(panel)
}

fn missing(place: &PanelPlace, name: &str) -> PeripheralError {
    let why = format!("the display needs a pin `{name}`; write it into [display]");
    PeripheralError::Chip { place: place.spi.display().to_string(), why }
}

/// A pin as the display crates want it.
struct Out(Box<dyn OutputLine>);

struct PinError(PeripheralError);

impl std::fmt::Debug for PinError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl digital::Error for PinError {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

impl digital::ErrorType for Out {
    type Error = PinError;
}

impl digital::OutputPin for Out {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.0.set(false).map_err(PinError)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.0.set(true).map_err(PinError)
    }
}

/// SSD1306.
struct Oled<I, S: ssd1306::size::DisplaySize> {
    chip: Ssd1306<I2CInterface<I>, S, BufferedGraphicsMode<S>>,
    at: String,
}

impl<I: I2c, S: ssd1306::size::DisplaySize> Oled<I, S> {
    fn open(bus: I, address: u8, size: S, turned: bool, at: String) -> Result<Self, PeripheralError> {
        let rotation = if turned { DisplayRotation::Rotate180 } else { DisplayRotation::Rotate0 };
        let interface = I2CDisplayInterface::new_custom_address(bus, address);
        let mut chip = Ssd1306::new(interface, size, rotation).into_buffered_graphics_mode();
        let silent = "no display answers; check its wires and address (i2cdetect -y BUS shows what does)";
        chip.init().map_err(|_| PeripheralError::Chip { place: at.clone(), why: silent.into() })?;
        Ok(Self { chip, at })
    }
}

impl<I: I2c + Send, S: ssd1306::size::DisplaySize + Send> Panel for Oled<I, S>
where
    S::Buffer: Send,
{
    fn show(&mut self, canvas: &Canvas, before: Option<&Canvas>) -> Result<(), PeripheralError> {
        let gone =
            |_| PeripheralError::Chip { place: self.at.clone(), why: "the display does not answer any more".into() };
        if before.is_none() {
            // One that had lost its power answers again, and is off.
            self.chip.init().map_err(gone)?;
        }
        for (row, y) in canvas.rows().zip(0..) {
            for (tone, x) in row.iter().zip(0..) {
                // What is set is sent, whether it differs or not.
                if before.is_none_or(|before| before.tone(x, y) != *tone) {
                    self.chip.set_pixel(x, y, tone.is_ink());
                }
            }
        }
        self.chip.flush().map_err(gone)
    }
}

/// How long e-paper may be busy; the slowest takes six seconds.
const BUSY_MOST: Duration = Duration::from_secs(20);

/// The busy pin, which says that it is not when it has been for too long: the driver would wait forever for a panel that is not
/// there.
struct Busy {
    line: Box<dyn InputLine>,
    inverted: bool,
    since: Option<std::time::Instant>,
    stuck: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Busy {
    fn new(line: Box<dyn InputLine>, inverted: bool) -> Self {
        Self { line, inverted, since: None, stuck: std::sync::Arc::default() }
    }

    fn level(&mut self) -> Result<bool, PinError> {
        let high = self.line.is_on().map_err(PinError)?;
        if high == self.inverted {
            self.since = None;
            return Ok(high);
        }
        if self.since.get_or_insert_with(std::time::Instant::now).elapsed() < BUSY_MOST {
            return Ok(high);
        }
        self.stuck.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(!high)
    }
}

impl digital::ErrorType for Busy {
    type Error = PinError;
}

impl digital::InputPin for Busy {
    fn is_high(&mut self) -> Result<bool, PinError> {
        self.level()
    }

    fn is_low(&mut self) -> Result<bool, PinError> {
        self.level().map(|high| !high)
    }
}

/// Waveshare e-paper, which is narrow and high where it is made and wide where it is looked at.
struct Epaper<S, E> {
    spi: S,
    chip: E,
    /// Width and height as it is made.
    native: Size,
    /// One bit a pixel, 1 is white.
    frame: Vec<u8>,
    turned: bool,
    stuck: std::sync::Arc<std::sync::atomic::AtomicBool>,
    at: String,
}

fn open_epaper<S: SpiDevice + Send + 'static>(
    kind: PanelKind,
    spi: S,
    busy: Busy,
    dc: Out,
    reset: Out,
    turned: bool,
    at: String,
) -> Result<Box<dyn Panel>, PeripheralError> {
    Ok(match kind {
        PanelKind::Epd2in13 => {
            Box::new(Epaper::<S, Epd2in13<S, Busy, Out, Out, Sleep>>::open(spi, busy, dc, reset, turned, at)?)
        }
        PanelKind::Epd2in9 => {
            Box::new(Epaper::<S, Epd2in9<S, Busy, Out, Out, Sleep>>::open(spi, busy, dc, reset, turned, at)?)
        }
        _ => Box::new(Epaper::<S, Epd4in2<S, Busy, Out, Out, Sleep>>::open(spi, busy, dc, reset, turned, at)?),
    })
}

impl<S: SpiDevice, E: WaveshareDisplay<S, Busy, Out, Out, Sleep>> Epaper<S, E> {
    fn open(mut spi: S, busy: Busy, dc: Out, reset: Out, turned: bool, at: String) -> Result<Self, PeripheralError> {
        let stuck = std::sync::Arc::clone(&busy.stuck);
        let chip = E::new(&mut spi, busy, dc, reset, &mut Sleep, None);
        let mut panel = match chip {
            Ok(chip) => {
                let native = Size::new(chip.width(), chip.height());
                let frame = vec![0xff; (native.width.div_ceil(8) * native.height) as usize];
                Self { spi, chip, native, frame, turned, stuck, at }
            }
            Err(error) => return Err(PeripheralError::Chip { place: at, why: format!("{error:?}") }),
        };
        panel.require_answer()?;
        Ok(panel)
    }

    fn require_answer(&mut self) -> Result<(), PeripheralError> {
        if self.stuck.swap(false, std::sync::atomic::Ordering::Relaxed) {
            let why = format!(
                "the display was busy for {} s; check its wires and the pin `busy` in [display]",
                BUSY_MOST.as_secs()
            );
            return Err(PeripheralError::Chip { place: self.at.clone(), why });
        }
        Ok(())
    }

    /// Packs a picture as it is made: turned by a quarter where it is wide and the panel is high.
    fn pack(&mut self, canvas: &Canvas) {
        let native = self.native;
        let row_bytes = native.width.div_ceil(8) as usize;
        self.frame.fill(0xff);
        let quarter = canvas.size() != native;
        for y in 0..native.height {
            for x in 0..native.width {
                let (x_seen, y_seen) = if quarter { (y, native.width - 1 - x) } else { (x, y) };
                let seen = canvas.size();
                let (x_seen, y_seen) =
                    if self.turned { (seen.width - 1 - x_seen, seen.height - 1 - y_seen) } else { (x_seen, y_seen) };
                if canvas.tone(x_seen, y_seen).is_ink() {
                    self.frame[y as usize * row_bytes + (x / 8) as usize] &= !(0x80 >> (x % 8));
                }
            }
        }
    }
}

impl<S: SpiDevice + Send, E: WaveshareDisplay<S, Busy, Out, Out, Sleep> + Send> Panel for Epaper<S, E> {
    fn show(&mut self, canvas: &Canvas, _: Option<&Canvas>) -> Result<(), PeripheralError> {
        self.pack(canvas);
        let mut showing = || -> Result<(), S::Error> {
            self.chip.wake_up(&mut self.spi, &mut Sleep)?;
            self.chip.update_and_display_frame(&mut self.spi, &self.frame, &mut Sleep)?;
            // The makers warn of panels that are left under voltage.
            self.chip.sleep(&mut self.spi, &mut Sleep)
        };
        let shown = showing();
        self.require_answer()?;
        shown.map_err(|error| PeripheralError::Chip { place: self.at.clone(), why: format!("{error:?}") })
    }
}

/// Pixels on their way to an LCD.
const LCD_BUFFER_BYTES: usize = 4096;

/// An LCD with a MIPI controller. Only rows that differ are sent.
struct Lcd<S: SpiDevice, M: Model<ColorFormat = Rgb565>> {
    chip: mipidsi::Display<SpiInterface<'static, S, Out>, M, Out>,
    at: String,
}

fn open_lcd<S: SpiDevice + Send + 'static>(
    kind: PanelKind,
    spi: S,
    dc: Out,
    reset: Out,
    turned: bool,
    at: String,
) -> Result<Box<dyn Panel>, PeripheralError> {
    let upright = if turned { Rotation::Deg180 } else { Rotation::Deg0 };
    let wide = if turned { Rotation::Deg270 } else { Rotation::Deg90 };
    // What is sold with an ST7789 is an IPS panel, which is dark where others are light.
    let inverted = ColorInversion::Inverted;
    Ok(match kind {
        PanelKind::St7789 => Box::new(Lcd::open(ST7789, (240, 240), (upright, inverted), spi, dc, reset, at)?),
        PanelKind::St7789Wide => Box::new(Lcd::open(ST7789, (240, 320), (wide, inverted), spi, dc, reset, at)?),
        _ => Box::new(Lcd::open(ILI9341Rgb565, (240, 320), (wide, ColorInversion::Normal), spi, dc, reset, at)?),
    })
}

impl<S: SpiDevice, M: Model<ColorFormat = Rgb565>> Lcd<S, M> {
    fn open(
        model: M,
        (width, height): (u16, u16),
        (rotation, inversion): (Rotation, ColorInversion),
        spi: S,
        dc: Out,
        reset: Out,
        at: String,
    ) -> Result<Self, PeripheralError> {
        // For as long as the program runs: the display borrows it.
        let buffer = Box::leak(Box::new([0; LCD_BUFFER_BYTES]));
        let chip = mipidsi::Builder::new(model, SpiInterface::new(spi, dc, buffer))
            .display_size(width, height)
            .orientation(Orientation::new().rotate(rotation))
            .invert_colors(inversion)
            .reset_pin(reset)
            .init(&mut Sleep)
            .map_err(|error| PeripheralError::Chip { place: at.clone(), why: format!("{error:?}") })?;
        Ok(Self { chip, at })
    }
}

fn rgb565(tone: Tone) -> Rgb565 {
    let [red, green, blue] = tone.rgb();
    Rgb565::new(red >> 3, green >> 2, blue >> 3)
}

impl<S: SpiDevice + Send, M: Model<ColorFormat = Rgb565> + Send> Panel for Lcd<S, M> {
    fn show(&mut self, canvas: &Canvas, before: Option<&Canvas>) -> Result<(), PeripheralError> {
        let differs = |(row, y): (&[Tone], u32)| {
            let same = before.is_some_and(|before| (0..).zip(row).all(|(x, tone)| before.tone(x, y) == *tone));
            (!same).then_some(y)
        };
        let rows: Vec<u32> = canvas.rows().zip(0..).filter_map(differs).collect();
        let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let pixels =
            canvas.rows().skip(first as usize).take((last - first + 1) as usize).flatten().map(|tone| rgb565(*tone));
        let right = canvas.size().width as u16 - 1;
        let sent = self.chip.set_pixels(0, first as u16, right, last as u16, pixels);
        sent.map_err(|error| PeripheralError::Chip { place: self.at.clone(), why: format!("{error:?}") })
    }
}

/// A picture file, written beside and renamed, so that who looks sees a whole one.
struct PictureFile {
    path: PathBuf,
}

impl Panel for PictureFile {
    fn show(&mut self, canvas: &Canvas, _: Option<&Canvas>) -> Result<(), PeripheralError> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let written =
            std::fs::write(&beside, canvas.ppm()).and_then(|()| std::fs::rename(Path::new(&beside), &self.path));
        written.map_err(|error| {
            let why = format!("the screen cannot be written here ({error}); choose another `file` in [display]");
            PeripheralError::Chip { place: self.path.display().to_string(), why }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::bus::BusError;
    use embedded_hal::{i2c, spi};

    /// What a fake chip was told, a command or data at a time.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Bench>>);

    #[derive(Default)]
    struct Bench {
        data: bool,
        /// Commands with what follows each.
        heard: Vec<(u8, Vec<u8>)>,
        busy: bool,
        resets: usize,
    }

    impl Heard {
        fn bench(&self) -> std::sync::MutexGuard<'_, Bench> {
            self.0.lock().expect("nobody panics")
        }
    }

    struct Pin(Heard, &'static str);

    impl OutputLine for Pin {
        fn set(&mut self, on: bool) -> Result<(), PeripheralError> {
            let mut bench = self.0.bench();
            match self.1 {
                "dc" => bench.data = on,
                _ => bench.resets += usize::from(!on),
            }
            Ok(())
        }
    }

    impl InputLine for Pin {
        fn is_on(&mut self) -> Result<bool, PeripheralError> {
            Ok(self.0.bench().busy)
        }
    }

    impl spi::ErrorType for Heard {
        type Error = BusError;
    }

    impl SpiDevice for Heard {
        fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), BusError> {
            let mut bench = self.bench();
            for operation in operations {
                let spi::Operation::Write(bytes) = operation else { panic!("displays are written to") };
                if bench.data {
                    let last = bench.heard.last_mut().expect("a command comes first");
                    last.1.extend_from_slice(bytes);
                } else {
                    let commands = bytes.iter().map(|command| (*command, Vec::new()));
                    bench.heard.extend(commands);
                }
            }
            Ok(())
        }
    }

    /// An SSD1306: takes commands apart as its data sheet does, and keeps the picture.
    #[derive(Clone)]
    struct Ssd(Arc<Mutex<SsdState>>);

    struct SsdState {
        /// `[page][column]`, a bit a row.
        ram: [[u8; 128]; 8],
        column: (usize, usize, usize),
        page: (usize, usize, usize),
        awaiting: Vec<u8>,
        on: bool,
        silent: bool,
        writes: usize,
    }

    impl Ssd {
        fn new() -> Self {
            let (ram, column, page) = ([[0xaa; 128]; 8], (0, 0, 127), (0, 0, 7));
            Self(Arc::new(Mutex::new(SsdState {
                ram,
                column,
                page,
                awaiting: vec![],
                on: false,
                silent: false,
                writes: 0,
            })))
        }

        fn shows(&self, x: usize, y: usize) -> bool {
            self.0.lock().expect("nobody panics").ram[y / 8][x] >> (y % 8) & 1 == 1
        }
    }

    impl SsdState {
        fn command(&mut self, byte: u8) {
            self.awaiting.push(byte);
            let arguments = match self.awaiting[0] {
                0x20 | 0x81 | 0x8d | 0xa8 | 0xd3 | 0xd5 | 0xd9 | 0xda | 0xdb => 1,
                0x21 | 0x22 => 2,
                _ => 0,
            };
            if self.awaiting.len() <= arguments {
                return;
            }
            match std::mem::take(&mut self.awaiting)[..] {
                [0x21, from, to] => self.column = (from.into(), from.into(), to.into()),
                [0x22, from, to] => self.page = (from.into(), from.into(), to.into()),
                [0xaf] => self.on = true,
                [0x20, mode] => assert_eq!(mode, 0, "rows after rows"),
                _ => {}
            }
        }

        fn data(&mut self, byte: u8) {
            self.ram[self.page.0][self.column.0] = byte;
            self.column.0 += 1;
            if self.column.0 > self.column.2 {
                self.column.0 = self.column.1;
                self.page.0 = if self.page.0 == self.page.2 { self.page.1 } else { self.page.0 + 1 };
            }
        }
    }

    impl i2c::ErrorType for Ssd {
        type Error = i2c::ErrorKind;
    }

    impl I2c for Ssd {
        fn transaction(&mut self, address: u8, operations: &mut [i2c::Operation<'_>]) -> Result<(), i2c::ErrorKind> {
            let mut state = self.0.lock().expect("nobody panics");
            if state.silent || address != 0x3c {
                return Err(i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Address));
            }
            let [i2c::Operation::Write([control, bytes @ ..])] = operations else { panic!("one message a time") };
            state.writes += 1;
            for byte in bytes {
                match *control {
                    0x00 => state.command(*byte),
                    0x40 => state.data(*byte),
                    other => panic!("{other:#x} is no control byte"),
                }
            }
            Ok(())
        }
    }

    /// A picture with something in each corner, that is its own mirror image in no direction.
    fn picture(kind: PanelKind) -> Canvas {
        use embedded_graphics::prelude::{DrawTarget, Pixel, Point};
        let mut canvas = Canvas::new(kind.size());
        let (right, bottom) = (kind.size().width.cast_signed() - 1, kind.size().height.cast_signed() - 1);
        let ink = [(0, 0), (1, 0), (2, 0), (right, 0), (right, 1), (0, bottom), (right / 3, bottom / 2)];
        let alarm = [(right, bottom), (right - 1, bottom - 1)];
        let of = |at: &[(i32, i32)], tone| at.iter().map(|(x, y)| Pixel(Point::new(*x, *y), tone)).collect::<Vec<_>>();
        let Ok(()) = canvas.draw_iter(of(&ink, Tone::Ink).into_iter().chain(of(&alarm, Tone::Alarm)));
        canvas
    }

    #[test]
    fn an_oled_shows_what_was_drawn_and_takes_only_what_has_changed() {
        for turned in [false, true] {
            let (chip, canvas) = (Ssd::new(), picture(PanelKind::Ssd1306));
            let mut panel =
                Oled::open(chip.clone(), 0x3c, DisplaySize128x64, turned, "i2c".into()).expect("it answers");
            panel.show(&canvas, None).expect("it answers");
            assert!(chip.0.lock().expect("nobody panics").on);
            for (y, row) in canvas.rows().enumerate() {
                for (x, tone) in row.iter().enumerate() {
                    // The chip itself turns the picture round, by its scan directions.
                    assert_eq!(chip.shows(x, y), tone.is_ink(), "{x} {y}");
                }
            }
            let writes = chip.0.lock().expect("nobody panics").writes;
            panel.show(&canvas, Some(&canvas)).expect("it answers");
            assert_eq!(chip.0.lock().expect("nobody panics").writes, writes, "nothing has changed");
            chip.0.lock().expect("nobody panics").silent = true;
            let mut other = canvas.clone();
            other.wipe();
            let error = panel.show(&other, Some(&canvas)).expect_err("it was pulled out").to_string();
            assert_eq!(error, "i2c: the display does not answer any more");
            // Plugged in again, it is as after power-up.
            {
                let mut ssd = chip.0.lock().expect("nobody panics");
                (ssd.silent, ssd.on, ssd.ram) = (false, false, [[0x55; 128]; 8]);
            }
            panel.show(&canvas, None).expect("it answers");
            assert!(chip.0.lock().expect("nobody panics").on);
            assert!(
                canvas
                    .rows()
                    .enumerate()
                    .all(|(y, row)| { row.iter().enumerate().all(|(x, tone)| chip.shows(x, y) == tone.is_ink()) })
            );
        }
    }

    #[test]
    fn an_oled_that_is_not_there_is_found_out_at_once() {
        let opened = Oled::open(Ssd::new(), 0x3d, DisplaySize128x64, false, "/dev/i2c-1 at address 0x3d".into());
        let said = opened.err().expect("nothing is there").to_string();
        assert_eq!(
            said,
            "/dev/i2c-1 at address 0x3d: no display answers; check its wires and address (i2cdetect -y BUS shows what does)"
        );
    }

    fn lcd(kind: PanelKind) -> (Heard, Box<dyn Panel>) {
        let heard = Heard::default();
        let pin = |name| Out(Box::new(Pin(heard.clone(), name)));
        let panel =
            open_lcd(kind, heard.clone(), pin("dc"), pin("reset"), false, "spi".into()).expect("it is written to");
        (heard, panel)
    }

    #[test]
    fn an_lcd_gets_its_pixels_row_by_row_and_then_only_rows_that_differ() {
        for kind in [PanelKind::St7789, PanelKind::St7789Wide, PanelKind::Ili9341] {
            let (heard, mut panel) = lcd(kind);
            assert_eq!(heard.bench().resets, 1);
            let inverted = heard.bench().heard.iter().any(|(command, _)| *command == 0x21);
            assert_eq!(inverted, kind != PanelKind::Ili9341);
            heard.bench().heard.clear();
            let canvas = picture(kind);
            panel.show(&canvas, None).expect("it is written to");
            let (width, height) = (kind.size().width as usize, kind.size().height as usize);
            let sent = heard.bench().heard.clone();
            let [(0x2a, columns), (0x2b, rows), (0x2c, pixels)] = &sent[..] else { panic!("{sent:?}") };
            let window = |from: usize, to: usize| [(from >> 8) as u8, from as u8, (to >> 8) as u8, to as u8].to_vec();
            assert_eq!((columns, rows), (&window(0, width - 1), &window(0, height - 1)));
            assert_eq!(pixels.len(), width * height * 2);
            assert_eq!(pixels[..8], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0], "three of ink, one of paper");
            assert_eq!(pixels[pixels.len() - 2..], [0xc8, 0xa2], "the alarm's red: 25, 5, 2");
            heard.bench().heard.clear();
            panel.show(&canvas, Some(&canvas)).expect("it is written to");
            assert!(heard.bench().heard.is_empty(), "nothing has changed");
            let mut other = canvas.clone();
            other.wipe();
            panel.show(&other, Some(&canvas)).expect("it is written to");
            assert_eq!(heard.bench().heard[1].1, window(0, height - 1));
        }
    }

    fn epaper(kind: PanelKind, turned: bool, busy: bool) -> (Heard, Result<Box<dyn Panel>, PeripheralError>) {
        let heard = Heard::default();
        heard.bench().busy = busy;
        let pin = |name| Out(Box::new(Pin(heard.clone(), name)));
        let line = Busy::new(Box::new(Pin(heard.clone(), "busy")), kind == PanelKind::Epd4in2);
        let panel = open_epaper(kind, heard.clone(), line, pin("dc"), pin("reset"), turned, "/dev/spidev0.0".into());
        (heard, panel)
    }

    /// What the panel was sent last, by its command for pictures: `[height][width]` as it is made, ink is `true`.
    fn sent(heard: &Heard, command: u8, native: Size) -> Vec<Vec<bool>> {
        let bench = heard.bench();
        let (_, bytes) = bench.heard.iter().rev().find(|(sent, _)| *sent == command).expect("a picture was sent");
        let row_bytes = native.width.div_ceil(8) as usize;
        assert_eq!(bytes.len(), row_bytes * native.height as usize);
        let row = |row: &[u8]| (0..native.width as usize).map(|x| row[x / 8] >> (7 - x % 8) & 1 == 0).collect();
        bytes.chunks(row_bytes).map(row).collect()
    }

    #[test]
    fn e_paper_gets_the_picture_turned_as_it_is_made() {
        for (kind, native, command, idle_is_high) in [
            (PanelKind::Epd2in13, Size::new(122, 250), 0x24, false),
            (PanelKind::Epd2in9, Size::new(128, 296), 0x24, false),
            (PanelKind::Epd4in2, Size::new(400, 300), 0x13, true),
        ] {
            for turned in [false, true] {
                let (heard, panel) = epaper(kind, turned, idle_is_high);
                let mut panel = panel.expect("it is idle");
                let canvas = picture(kind);
                panel.show(&canvas, None).expect("it is idle");
                let made = sent(&heard, command, native);
                let quarter = canvas.size() != native;
                for (y, row) in canvas.rows().enumerate() {
                    for (x, tone) in row.iter().enumerate() {
                        let (width, height) = (canvas.size().width as usize, canvas.size().height as usize);
                        let (x, y) = if turned { (width - 1 - x, height - 1 - y) } else { (x, y) };
                        // A quarter to the right: what is left here is at the top there.
                        let there = if quarter { made[x][native.width as usize - 1 - y] } else { made[y][x] };
                        assert_eq!(there, tone.is_ink(), "{kind:?} {turned} {x} {y}");
                    }
                }
                assert_eq!(made.iter().flatten().filter(|ink| **ink).count(), 9, "and nothing else");
            }
        }
    }

    #[test]
    fn each_panel_and_its_pictures_are_planned_for() {
        assert_eq!(PanelKind::Ssd1306.bytes(), 3 * 128 * 64 + 1024 + 64);
        assert!(PanelKind::St7789Wide.bytes() > 2 * 320 * 240);
    }
}
