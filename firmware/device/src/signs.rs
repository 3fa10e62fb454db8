//! What the device shows beside its lines: a status screen, and lamps or sirens with a button. Wires the sinks of the config.

use std::path::PathBuf;
use std::time::Duration;

use ocelli_drivers::{
    InputLine, OutputLine, PeripheralError, Pins, SIGNAL_STACK_BYTES, SignalSink, cdev_pins, header_chip, rppal_pins,
};
use ocelli_types::{Event, Sink};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Config;
use crate::error::Error;
use crate::thermal::Shared;

/// `[display]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DisplayTable {
    /// Which panel. Default `none`.
    pub kind: DisplayKind,
    /// The I2C bus of an OLED. Default `/dev/i2c-1`.
    pub i2c: PathBuf,
    /// The OLED's address on it. Default 60 (0x3c); some have 61.
    pub i2c_address: u8,
    /// The SPI device of e-paper or an LCD. Default `/dev/spidev0.0`.
    pub spi: PathBuf,
    /// Its speed in Hz, 100000 to 100000000. Default 4000000.
    pub spi_hz: u32,
    /// The pin that tells data from commands, counted as `[gpio]` counts. E-paper and LCDs need it.
    pub dc: Option<u32>,
    /// The pin that resets the panel. E-paper and LCDs need it.
    pub reset: Option<u32>,
    /// The pin by which e-paper says that it is busy.
    pub busy: Option<u32>,
    /// Whether the panel hangs upside down. Default false.
    pub turned: bool,
    /// The picture file of the kind `file` (PPM). Default `screen.ppm`.
    pub file: PathBuf,
}

impl Default for DisplayTable {
    fn default() -> Self {
        Self {
            kind: DisplayKind::None,
            i2c: "/dev/i2c-1".into(),
            i2c_address: 0x3c,
            spi: "/dev/spidev0.0".into(),
            spi_hz: 4_000_000,
            dc: None,
            reset: None,
            busy: None,
            turned: false,
            file: "screen.ppm".into(),
        }
    }
}

/// A panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DisplayKind {
    /// No display.
    #[default]
    None,
    /// An OLED with an SSD1306, 128x64, on I2C.
    Ssd1306,
    /// An OLED with an SSD1306, 128x32, on I2C.
    #[serde(rename = "ssd1306-128x32")]
    Ssd1306Small,
    /// Waveshare e-paper of 2.13 inches, V3.
    Epd2in13,
    /// Waveshare e-paper of 2.9 inches, V2.
    Epd2in9,
    /// Waveshare e-paper of 4.2 inches, V1.
    Epd4in2,
    /// An LCD with an ST7789, 240x240.
    St7789,
    /// An LCD with an ST7789, 320x240.
    #[serde(rename = "st7789-320x240")]
    St7789Wide,
    /// An LCD with an ILI9341, 320x240.
    Ili9341,
    /// A picture file in place of a panel, 240x240.
    File,
}

impl DisplayTable {
    /// Those that its kind needs.
    fn pins(&self) -> impl Iterator<Item = u32> {
        use DisplayKind::{Epd2in9, Epd2in13, Epd4in2, File, Ili9341, None, Ssd1306, Ssd1306Small, St7789, St7789Wide};
        let pins = match self.kind {
            None | File | Ssd1306 | Ssd1306Small => [Option::None; 3],
            St7789 | St7789Wide | Ili9341 => [self.dc, self.reset, Option::None],
            Epd2in13 | Epd2in9 | Epd4in2 => [self.dc, self.reset, self.busy],
        };
        pins.into_iter().flatten()
    }

    /// What no type says.
    pub fn check(&self) -> Result<(), String> {
        if !(8..0x78).contains(&self.i2c_address) {
            return Err(format!("`i2c_address` is {}; it may be 8 to 119", self.i2c_address));
        }
        if !(100_000..=100_000_000).contains(&self.spi_hz) {
            return Err(format!("`spi_hz` is {}; it may be 100000 to 100000000", self.spi_hz));
        }
        Ok(())
    }
}

/// `[gpio]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GpioTable {
    /// How pins are reached. Default `auto`: `rppal` on a Raspberry Pi, elsewhere `cdev`.
    pub driver: GpioDriver,
    /// The chip of `cdev`. Default: the one behind the header of a Raspberry Pi, elsewhere `/dev/gpiochip0`.
    pub chip: Option<PathBuf>,
    /// Pins that are on while an alert is open: BCM numbers with `rppal`, else lines of the chip. Default: none.
    pub alert: Vec<u32>,
    /// Whether these are on when they are low. Default false.
    pub alert_active_low: bool,
    /// How long they stay on at least, in seconds, 0 to 3600. Default 5.
    pub at_least_s: f64,
    /// The pin of a button that mutes them, and says that somebody knows of all open alerts. Default: none.
    pub mute: Option<u32>,
    /// Whether the button pulls its pin low, as one to ground does. Default true.
    pub mute_active_low: bool,
}

impl Default for GpioTable {
    fn default() -> Self {
        Self {
            driver: GpioDriver::Auto,
            chip: None,
            alert: Vec::new(),
            alert_active_low: false,
            at_least_s: 5.0,
            mute: None,
            mute_active_low: true,
        }
    }
}

/// How pins are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GpioDriver {
    /// By what the machine is.
    #[default]
    Auto,
    /// The registers of a Raspberry Pi.
    Rppal,
    /// The character device of any Linux.
    Cdev,
}

impl GpioTable {
    /// What no type says, beside a display that may need pins too.
    pub fn check(&self, display: &DisplayTable) -> Result<(), String> {
        if !(0.0..=3600.0).contains(&self.at_least_s) {
            return Err(format!("`at_least_s` is {}; it may be 0 to 3600 seconds", self.at_least_s));
        }
        let mut pins: Vec<u32> = self.alert.iter().copied().chain(self.mute).collect();
        pins.sort_unstable();
        if let Some([twice, _]) = pins.array_windows().find(|[a, b]| a == b) {
            return Err(format!("pin {twice} is used twice in [gpio]"));
        }
        if let Some(both) = display.pins().find(|pin| pins.contains(pin)) {
            return Err(format!("pin {both} is used in [gpio] and by the display; choose another pin in [gpio]"));
        }
        Ok(())
    }

    fn is_used(&self) -> bool {
        !self.alert.is_empty() || self.mute.is_some()
    }

    fn open(&self) -> Result<Box<dyn Pins>, PeripheralError> {
        let cdev = || cdev_pins(&self.chip.clone().unwrap_or_else(header_chip));
        match self.driver {
            GpioDriver::Rppal => rppal_pins(),
            GpioDriver::Cdev => cdev(),
            GpioDriver::Auto => match rppal_pins() {
                Err(PeripheralError::NoRaspberryPi | PeripheralError::NotBuilt { .. }) => cdev(),
                opened => opened,
            },
        }
    }
}

/// Pins that were taken.
struct Taken {
    outputs: Vec<Box<dyn OutputLine>>,
    button: Option<Box<dyn InputLine>>,
    described: String,
}

fn take(table: &GpioTable) -> Result<Taken, PeripheralError> {
    let mut pins = table.open()?;
    let outputs = table.alert.iter().map(|pin| pins.output(*pin, table.alert_active_low));
    let outputs = outputs.collect::<Result<_, _>>()?;
    let button = table.mute.map(|pin| pins.input(pin, table.mute_active_low)).transpose()?;
    Ok(Taken { outputs, button, described: pins.describe() })
}

/// What these hold beside the think thread, for the plan; 0 where there are none.
pub fn bytes(config: &Config) -> u64 {
    let gpio = if config.gpio.is_used() { SIGNAL_STACK_BYTES as u64 } else { 0 };
    gpio + display_bytes(&config.display)
}

/// The display and the pins of the program.
#[derive(Debug, Default)]
pub struct Signs {
    #[cfg(feature = "display")]
    display: Option<ocelli_drivers::DisplaySink>,
    signal: Option<SignalSink>,
}

impl Signs {
    /// Opens what the config names. `start_unix_ms` is the wall clock at stream time zero, `None` for a clip.
    ///
    /// # Errors
    /// A chip or a pin is missing, or may not be used.
    pub fn open(config: &Config, start_unix_ms: Option<u64>, budget_bytes: u64, pace: &Shared) -> Result<Self, Error> {
        let mut signs = Self::default();
        let no_thread = |source| Error::System { what: "a thread", source };
        if config.gpio.is_used() {
            let Taken { outputs, button, .. } = take(&config.gpio)?;
            let at_least = Duration::from_secs_f64(config.gpio.at_least_s);
            signs.signal = Some(SignalSink::start(outputs, button, at_least).map_err(no_thread)?);
        }
        signs.open_display(config, start_unix_ms, budget_bytes, pace)?;
        Ok(signs)
    }

    /// With these pins.
    #[cfg(test)]
    pub fn of_pins(signal: SignalSink) -> Self {
        Self { signal: Some(signal), ..Self::default() }
    }

    /// Tells them of an event. They never wait for their hardware.
    pub fn emit(&mut self, event: &Event<'_>) {
        #[cfg(feature = "display")]
        if let Some(display) = &mut self.display {
            let Ok(()) = display.emit(event);
        }
        if let Some(signal) = &mut self.signal {
            let Ok(()) = signal.emit(event);
        }
    }

    /// A camera that was blind sees again.
    #[cfg_attr(
        not(feature = "display"),
        expect(clippy::unused_self, unused_variables, reason = "only a display shows it")
    )]
    pub fn sees(&self, camera: &str) {
        #[cfg(feature = "display")]
        self.display.iter().for_each(|display| display.sees(camera));
    }

    /// Somebody knows of an alert.
    pub fn acknowledged(&self, id: u64) {
        #[cfg(feature = "display")]
        self.display.iter().for_each(|display| display.acknowledged(id));
        self.signal.iter().for_each(|signal| signal.acknowledged(id));
    }

    /// Whether the button was pressed since this was asked.
    pub fn was_pressed(&self) -> bool {
        let pressed = self.signal.as_ref().is_some_and(SignalSink::was_pressed);
        #[cfg(feature = "display")]
        if pressed {
            self.display.iter().for_each(ocelli_drivers::DisplaySink::mute);
        }
        pressed
    }

    /// What fails of them.
    pub fn trouble(&self) -> Option<String> {
        #[cfg(feature = "display")]
        if let Some(trouble) = self.display.as_ref().and_then(ocelli_drivers::DisplaySink::trouble) {
            return Some(trouble);
        }
        self.signal.as_ref().and_then(SignalSink::trouble)
    }
}

/// For `ocelli check`: opens each for a moment. Lines without those that are not used.
///
/// # Errors
/// As [`Signs::open`].
pub fn lines(config: &Config) -> Result<String, Error> {
    let mut lines = String::new();
    if config.gpio.is_used() {
        let Taken { described, .. } = take(&config.gpio)?;
        let GpioTable { alert, mute, .. } = &config.gpio;
        let button = mute.map_or_else(String::new, |pin| format!(", mute button on pin {pin}"));
        lines += &format!("gpio    {described}: alerts on pins {alert:?}{button}\n");
    }
    lines += &display_line(config)?;
    Ok(lines)
}

#[cfg(feature = "display")]
mod with_display {
    use ocelli_drivers::{
        DISPLAY_STACK_BYTES, DisplaySink, Look, PanelKind, PanelPlace, SystemClock, Vitals, open_panel,
    };
    use ocelli_types::{Clock, Thermometer};

    use super::{DisplayKind, DisplayTable, Signs};
    use crate::config::Config;
    use crate::error::Error;
    use crate::thermal::{Pace, Shared};

    /// Code that draws and fonts, as far as they are read from the program's file. Measured: with a display of kind `file` a run of the
    /// demonstration clip holds 1.0 to 1.1 MiB more, 0.1 of them heap; the other fonts, which English does not read, have 0.4 MiB.
    const DRAWING_BYTES: u64 = 1536 << 10;

    impl DisplayKind {
        fn panel(self) -> Option<PanelKind> {
            Some(match self {
                Self::None => return None,
                Self::Ssd1306 => PanelKind::Ssd1306,
                Self::Ssd1306Small => PanelKind::Ssd1306Small,
                Self::Epd2in13 => PanelKind::Epd2in13,
                Self::Epd2in9 => PanelKind::Epd2in9,
                Self::Epd4in2 => PanelKind::Epd4in2,
                Self::St7789 => PanelKind::St7789,
                Self::St7789Wide => PanelKind::St7789Wide,
                Self::Ili9341 => PanelKind::Ili9341,
                Self::File => PanelKind::File,
            })
        }
    }

    fn place(table: &DisplayTable, kind: PanelKind) -> PanelPlace {
        let DisplayTable { i2c, i2c_address, spi, spi_hz, dc, reset, busy, turned, file, .. } = table.clone();
        PanelPlace { kind, i2c, i2c_address, spi, spi_hz, dc, reset, busy, turned, file }
    }

    pub(super) fn display_bytes(table: &DisplayTable) -> u64 {
        table.kind.panel().map_or(0, |kind| (kind.bytes() + DISPLAY_STACK_BYTES) as u64 + DRAWING_BYTES)
    }

    pub(super) fn display_line(config: &Config) -> Result<String, Error> {
        let Some(kind) = config.display.kind.panel() else { return Ok(String::new()) };
        let place = place(&config.display, kind);
        open_panel(&place, || config.gpio.open())?;
        let at = match kind {
            PanelKind::File => place.file.display().to_string(),
            PanelKind::Ssd1306 | PanelKind::Ssd1306Small => {
                format!("{} at {:#04x}, which answers", place.i2c.display(), place.i2c_address)
            }
            PanelKind::Epd2in13 | PanelKind::Epd2in9 | PanelKind::Epd4in2 => {
                format!("{}, which answers", place.spi.display())
            }
            _ => format!("{}; whether a panel is there it cannot tell", place.spi.display()),
        };
        let size = kind.size();
        Ok(format!("display {:?}, {}x{}, {at}\n", config.display.kind, size.width, size.height))
    }

    impl Signs {
        pub(super) fn open_display(
            &mut self,
            config: &Config,
            start_unix_ms: Option<u64>,
            budget_bytes: u64,
            pace: &Shared,
        ) -> Result<(), Error> {
            let Some(kind) = config.display.kind.panel() else { return Ok(()) };
            let panel = open_panel(&place(&config.display, kind), || config.gpio.open())?;
            let pace = pace.clone();
            let mut thermometer = config.thermal.watches().then(|| config.thermal.thermometer());
            let thermometer = std::sync::Mutex::new(thermometer.take());
            let look: Look = Box::new(move || {
                let read = |thermometer: &mut Option<_>| {
                    thermometer.as_mut().and_then(|one: &mut ocelli_drivers::SysfsThermometer| one.read().celsius)
                };
                let celsius = thermometer.lock().map_or(None, |mut thermometer| read(&mut thermometer));
                let pace = Some(pace.get()).filter(|pace| *pace != Pace::Full).map(Pace::name);
                let vitals = Vitals { used_bytes: resident_bytes(), budget_bytes, celsius, pace };
                (SystemClock::new().unix_ms(), vitals)
            });
            let cameras = config.cameras.iter().map(|camera| camera.name.clone());
            let started = DisplaySink::start(panel, kind, cameras, start_unix_ms, look);
            self.display = Some(started.map_err(|source| Error::System { what: "a thread", source })?);
            Ok(())
        }
    }

    /// The resident set, as the kernel counts it without looking at each page.
    fn resident_bytes() -> u64 {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kib.unwrap_or(0) << 10
    }
}

#[cfg(feature = "display")]
use with_display::{display_bytes, display_line};

#[cfg(not(feature = "display"))]
mod without_display {
    use super::{DisplayKind, DisplayTable, Signs};
    use crate::config::Config;
    use crate::error::Error;
    use crate::thermal::Shared;
    use ocelli_drivers::PeripheralError;

    pub(super) fn display_bytes(_: &DisplayTable) -> u64 {
        0
    }

    pub(super) fn display_line(config: &Config) -> Result<String, Error> {
        match config.display.kind {
            DisplayKind::None => Ok(String::new()),
            _ => Err(PeripheralError::NotBuilt { what: "displays", feature: "display" }.into()),
        }
    }

    impl Signs {
        pub(super) fn open_display(
            &mut self,
            config: &Config,
            _: Option<u64>,
            _: u64,
            _: &Shared,
        ) -> Result<(), Error> {
            display_line(config).map(drop)
        }
    }
}

#[cfg(not(feature = "display"))]
use without_display::{display_bytes, display_line};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let gpio = GpioTable { alert: vec![17, 27], mute: Some(27), ..GpioTable::default() };
        let none = DisplayTable::default();
        assert_eq!(gpio.check(&none).expect_err("one pin cannot do both"), "pin 27 is used twice in [gpio]");
        let gpio = GpioTable { alert: vec![17], ..GpioTable::default() };
        let display = |kind| DisplayTable { kind, dc: Some(25), reset: Some(17), busy: Some(24), ..none.clone() };
        for (kind, fits) in
            [(DisplayKind::Ssd1306, true), (DisplayKind::Ili9341, false), (DisplayKind::Epd2in13, false)]
        {
            assert_eq!(gpio.check(&display(kind)).is_ok(), fits, "{kind:?}");
        }
        let said = gpio.check(&display(DisplayKind::Epd4in2)).expect_err("the display resets with it");
        assert_eq!(said, "pin 17 is used in [gpio] and by the display; choose another pin in [gpio]");
        let gpio = GpioTable { at_least_s: f64::NAN, ..GpioTable::default() };
        assert!(gpio.check(&none).expect_err("no time").contains("0 to 3600"));
        let display = DisplayTable { i2c_address: 0x78, ..DisplayTable::default() };
        assert!(display.check().expect_err("eight bits").contains("8 to 119"));
        let display = DisplayTable { spi_hz: 0, ..DisplayTable::default() };
        assert!(display.check().expect_err("stands still").contains("100000 to"));
        assert!(GpioTable::default().check(&none).is_ok() && DisplayTable::default().check().is_ok());
    }

    #[test]
    fn a_chip_that_is_missing_is_an_error_of_the_start_and_of_check() {
        let mut config = Config::default();
        assert_eq!((lines(&config).expect("nothing is used"), bytes(&config)), (String::new(), 0));
        config.gpio =
            GpioTable { driver: GpioDriver::Cdev, chip: Some("/dev/gpiochip-none".into()), ..GpioTable::default() };
        assert!(lines(&config).is_ok(), "a chip without pins is not looked at");
        config.gpio.alert = vec![4];
        let said = "/dev/gpiochip-none: there is nothing here; check the path, and that the bus is switched on";
        assert_eq!(lines(&config).expect_err("no such chip").to_string(), said);
        let opened = Signs::open(&config, None, 0, &Shared::default());
        assert_eq!(opened.expect_err("no such chip").to_string(), said);
        assert!(bytes(&config) > 0);
    }

    #[cfg(feature = "display")]
    #[test]
    fn a_display_that_is_missing_is_an_error_and_a_file_can_take_its_place() {
        let mut config = Config::default();
        for kind in [DisplayKind::Ssd1306, DisplayKind::Epd2in9, DisplayKind::St7789] {
            config.display =
                DisplayTable { kind, i2c: "/dev/i2c-x".into(), spi: "/dev/spi-x".into(), ..DisplayTable::default() };
            let said = lines(&config).expect_err("no such bus").to_string();
            assert!(said.starts_with("/dev/") && said.contains("there is nothing here"), "{said}");
        }
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let file = folder.path().join("screen.ppm");
        config.display = DisplayTable { kind: DisplayKind::File, file: file.clone(), ..DisplayTable::default() };
        assert!(lines(&config).expect("it is writable").starts_with("display File, 240x240, "));
        drop(Signs::open(&config, None, 128 << 20, &Shared::default()).expect("it is writable"));
        assert!(std::fs::read(&file).expect("it was written").starts_with(b"P6\n240 240\n255\n"));
        config.display.file = folder.path().join("no/such/screen.ppm");
        let said = lines(&config).expect_err("no such folder").to_string();
        assert!(said.contains("choose another `file` in [display]"), "{said}");
    }
}
