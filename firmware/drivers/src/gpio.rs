//! Pins of a board: outputs and inputs, through the registers of a Raspberry Pi (rppal) or the character device of any Linux
//! (gpiocdev), behind one trait.
//!
//! A pin is *on* or *off*; which level that is, `active_low` says once, where it is taken. Pins that are dropped go back to what they
//! were (rppal) or are given back to the kernel (gpiocdev).

use std::path::{Path, PathBuf};

use crate::PeripheralError;

/// Labels of the chip behind the header of a Raspberry Pi: of a 5, of a 4, of those before. Its number differs from kernel to kernel.
const HEADERS: [&str; 3] = ["pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835"];

/// The chip of all else.
const FIRST_CHIP: &str = "/dev/gpiochip0";

/// One pin that is driven.
pub trait OutputLine: Send {
    /// Switches it.
    ///
    /// # Errors
    /// The system refused.
    fn set(&mut self, on: bool) -> Result<(), PeripheralError>;
}

/// One pin that is read.
pub trait InputLine: Send {
    /// Whether it is on now.
    ///
    /// # Errors
    /// The system refused.
    fn is_on(&mut self) -> Result<bool, PeripheralError>;
}

/// The pins of a board.
pub trait Pins {
    /// Takes a pin to drive, off at first.
    ///
    /// # Errors
    /// There is no such pin, or another program has it.
    fn output(&mut self, pin: u32, active_low: bool) -> Result<Box<dyn OutputLine>, PeripheralError>;

    /// Takes a pin to read, pulled to its off level where the chip can do that.
    ///
    /// # Errors
    /// There is no such pin, or another program has it.
    fn input(&mut self, pin: u32, active_low: bool) -> Result<Box<dyn InputLine>, PeripheralError>;

    /// What they belong to, for people.
    fn describe(&self) -> String;
}

/// The pins of a Raspberry Pi, counted as its documentation does (BCM).
///
/// # Errors
/// This is no Raspberry Pi, or its pins may not be used, or this program was built without them.
pub fn rppal_pins() -> Result<Box<dyn Pins>, PeripheralError> {
    #[cfg(all(feature = "rppal", target_os = "linux", not(target_feature = "crt-static")))]
    return pi::open();
    #[cfg(not(all(feature = "rppal", target_os = "linux", not(target_feature = "crt-static"))))]
    Err(PeripheralError::NotBuilt { what: "the pins of a Raspberry Pi", feature: "rppal" })
}

/// The lines of a GPIO chip, such as `/dev/gpiochip0`, counted as the kernel counts them.
///
/// # Errors
/// There is no such chip, or it may not be used, or this program was built without it.
pub fn cdev_pins(chip: &Path) -> Result<Box<dyn Pins>, PeripheralError> {
    #[cfg(all(feature = "gpio", target_os = "linux"))]
    return cdev::open(chip);
    #[cfg(not(all(feature = "gpio", target_os = "linux")))]
    {
        let _ = chip;
        Err(PeripheralError::NotBuilt { what: "GPIO", feature: "gpio" })
    }
}

/// The chip whose lines are on the board's header: that of a Raspberry Pi, by its label; elsewhere the first.
pub fn header_chip() -> PathBuf {
    #[cfg(all(feature = "gpio", target_os = "linux"))]
    let chips = cdev::chips();
    #[cfg(not(all(feature = "gpio", target_os = "linux")))]
    let chips = Vec::new();
    of_header(chips)
}

/// Of chips with their labels.
fn of_header(chips: Vec<(PathBuf, String)>) -> PathBuf {
    let found = chips.into_iter().find(|(_, label)| HEADERS.contains(&label.as_str()));
    found.map_or_else(|| FIRST_CHIP.into(), |(path, _)| path)
}

#[cfg(all(feature = "rppal", target_os = "linux", not(target_feature = "crt-static")))]
mod pi {
    use super::{InputLine, OutputLine, Pins};
    use crate::PeripheralError;
    use rppal::gpio::{Error, Gpio, InputPin, OutputPin};
    use rppal::system::DeviceInfo;

    struct Pi {
        gpio: Gpio,
        model: String,
    }

    struct Out(OutputPin, bool);
    struct In(InputPin, bool);

    pub(super) fn open() -> Result<Box<dyn Pins>, PeripheralError> {
        let model = DeviceInfo::new().map_err(|_| PeripheralError::NoRaspberryPi)?.model().to_string();
        let gpio = Gpio::new().map_err(|error| match error {
            Error::UnknownModel => PeripheralError::NoRaspberryPi,
            Error::PermissionDenied(path) => PeripheralError::Denied { path: path.into(), group: "gpio" },
            other => PeripheralError::Chip { place: "GPIO".into(), why: other.to_string() },
        })?;
        Ok(Box::new(Pi { gpio, model }))
    }

    impl Pi {
        fn take(&self, pin: u32) -> Result<rppal::gpio::Pin, PeripheralError> {
            let refused = |why: String| PeripheralError::Pin { of: self.model.clone(), pin, why };
            let number = u8::try_from(pin).map_err(|_| refused("there is no such pin".into()))?;
            self.gpio.get(number).map_err(|error| {
                refused(match error {
                    Error::PinUsed(_) => "it is used twice here".into(),
                    Error::PinNotAvailable(_) => "there is no such pin".into(),
                    other => other.to_string(),
                })
            })
        }
    }

    impl Pins for Pi {
        fn output(&mut self, pin: u32, active_low: bool) -> Result<Box<dyn OutputLine>, PeripheralError> {
            let pin = self.take(pin)?;
            let pin = if active_low { pin.into_output_high() } else { pin.into_output_low() };
            Ok(Box::new(Out(pin, active_low)))
        }

        fn input(&mut self, pin: u32, active_low: bool) -> Result<Box<dyn InputLine>, PeripheralError> {
            let pin = self.take(pin)?;
            let pin = if active_low { pin.into_input_pullup() } else { pin.into_input_pulldown() };
            Ok(Box::new(In(pin, active_low)))
        }

        fn describe(&self) -> String {
            format!("{} through rppal", self.model)
        }
    }

    impl OutputLine for Out {
        fn set(&mut self, on: bool) -> Result<(), PeripheralError> {
            if on == self.1 {
                self.0.set_low();
            } else {
                self.0.set_high();
            }
            Ok(())
        }
    }

    impl InputLine for In {
        fn is_on(&mut self) -> Result<bool, PeripheralError> {
            Ok(self.0.is_high() != self.1)
        }
    }
}

#[cfg(all(feature = "gpio", target_os = "linux"))]
mod cdev {
    use std::path::{Path, PathBuf};

    use gpiocdev::Request;
    use gpiocdev::line::{Bias, Value};

    use super::{InputLine, OutputLine, Pins};
    use crate::PeripheralError;

    /// Who has the line, as `gpioinfo` shows it.
    const CONSUMER: &str = "ocelli";

    struct Chip {
        path: PathBuf,
        label: String,
        lines: u32,
    }

    struct Line {
        request: Request,
        place: String,
        pin: u32,
    }

    /// Chips that may be looked at, with their labels.
    pub(super) fn chips() -> Vec<(PathBuf, String)> {
        let labelled = |path: PathBuf| {
            let info = gpiocdev::chip::Chip::from_path(&path).and_then(|chip| chip.info()).ok()?;
            Some((path, info.label))
        };
        gpiocdev::chip::chips().unwrap_or_default().into_iter().filter_map(labelled).collect()
    }

    pub(super) fn open(path: &Path) -> Result<Box<dyn Pins>, PeripheralError> {
        // The library's error has lost the number of the system's.
        std::fs::File::open(path).map_err(|error| PeripheralError::from_io(path, &error, "gpio"))?;
        let info = gpiocdev::chip::Chip::from_path(path).and_then(|chip| chip.info());
        let info =
            info.map_err(|error| PeripheralError::Chip { place: path.display().to_string(), why: error.to_string() })?;
        Ok(Box::new(Chip { path: path.to_path_buf(), label: info.label, lines: info.num_lines }))
    }

    impl Chip {
        fn line(&self, pin: u32, build: impl Fn(&mut gpiocdev::request::Builder)) -> Result<Line, PeripheralError> {
            let place = self.path.display().to_string();
            if pin >= self.lines {
                let why = format!("it has the lines 0 to {}", self.lines.saturating_sub(1));
                return Err(PeripheralError::Pin { of: place, pin, why });
            }
            let mut request = Request::builder();
            request.on_chip(&self.path).with_consumer(CONSUMER).with_line(pin);
            build(&mut request);
            match request.request() {
                Ok(request) => Ok(Line { request, place, pin }),
                Err(error) => Err(PeripheralError::Pin { of: place, pin, why: why(&error) }),
            }
        }
    }

    /// What the kernel said, and what to do where another program has the pin.
    pub(super) fn why(error: &gpiocdev::Error) -> String {
        let said = error.to_string();
        if said.contains("busy") {
            format!("{said}; another program has it (the service: sudo systemctl stop ocelli)")
        } else {
            said
        }
    }

    impl Pins for Chip {
        fn output(&mut self, pin: u32, active_low: bool) -> Result<Box<dyn OutputLine>, PeripheralError> {
            let line = self.line(pin, |request| {
                if active_low {
                    request.as_active_low();
                }
                request.as_output(Value::Inactive);
            })?;
            Ok(Box::new(line))
        }

        fn input(&mut self, pin: u32, active_low: bool) -> Result<Box<dyn InputLine>, PeripheralError> {
            let take = |bias: Option<Bias>| {
                self.line(pin, |request| {
                    if active_low {
                        request.as_active_low();
                    }
                    request.as_input();
                    if let Some(bias) = bias {
                        request.with_bias(bias);
                    }
                })
            };
            let bias = if active_low { Bias::PullUp } else { Bias::PullDown };
            // Not every chip can pull: then a resistor must.
            let line = take(Some(bias)).or_else(|_| take(None))?;
            Ok(Box::new(line))
        }

        fn describe(&self) -> String {
            format!("{} ({}, {} lines)", self.path.display(), self.label, self.lines)
        }
    }

    impl Line {
        fn refused(&self, error: &gpiocdev::Error) -> PeripheralError {
            PeripheralError::Pin { of: self.place.clone(), pin: self.pin, why: error.to_string() }
        }
    }

    impl OutputLine for Line {
        fn set(&mut self, on: bool) -> Result<(), PeripheralError> {
            self.request.set_value(self.pin, on.into()).map_err(|error| self.refused(&error))
        }
    }

    impl InputLine for Line {
        fn is_on(&mut self) -> Result<bool, PeripheralError> {
            self.request.value(self.pin).map(|value| value == Value::Active).map_err(|error| self.refused(&error))
        }
    }
}

#[cfg(test)]
mod headers {
    use super::*;

    #[test]
    fn the_chip_of_a_raspberry_pis_header_is_found_by_its_label() {
        let of = |chips: &[(&str, &str)]| {
            of_header(chips.iter().map(|(path, label)| ((*path).into(), (*label).to_owned())).collect())
        };
        // A Raspberry Pi 5 before and after Linux 6.6.45, and later.
        for header in ["/dev/gpiochip4", "/dev/gpiochip0", "/dev/gpiochip11"] {
            let found = of(&[("/dev/gpiochip10", "gpio-brcmstb@107d508500"), (header, "pinctrl-rp1")]);
            assert_eq!(found, Path::new(header));
        }
        let of_4 = [("/dev/gpiochip0", "pinctrl-bcm2711"), ("/dev/gpiochip1", "raspberrypi-exp-gpio")];
        assert_eq!(of(&of_4), Path::new("/dev/gpiochip0"));
        assert_eq!(of(&[("/dev/gpiochip1", "tegra234-gpio")]), Path::new(FIRST_CHIP));
        assert_eq!(of(&[]), Path::new(FIRST_CHIP));
    }
}

#[cfg(all(test, feature = "rppal", target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(target_os = "linux", feature = "gpio"))]
    fn a_pin_that_another_program_has_is_said_to_be_so() {
        let said = |errno| cdev::why(&std::io::Error::from_raw_os_error(errno).into());
        assert!(said(libc::EBUSY).ends_with("; another program has it (the service: sudo systemctl stop ocelli)"));
        assert!(!said(libc::EINVAL).contains("another program"), "{}", said(libc::EINVAL));
    }

    #[test]
    fn what_is_not_there_is_said_in_one_line() {
        let said = |error: Result<Box<dyn Pins>, PeripheralError>| error.err().expect("it is not there").to_string();
        assert_eq!(
            said(cdev_pins(Path::new("/dev/no-such-chip"))),
            "/dev/no-such-chip: there is nothing here; check the path, and that the bus is switched on"
        );
        let file = tempfile::NamedTempFile::new().expect("there is a temporary folder");
        let chip = said(cdev_pins(file.path()));
        assert!(chip.starts_with(&file.path().display().to_string()) && chip.lines().count() == 1, "{chip}");
        if !Path::new("/proc/device-tree/model").exists() {
            let no_pi = said(rppal_pins());
            assert_eq!(no_pi, "this is no Raspberry Pi that rppal knows; write driver = \"cdev\" in [gpio]");
        }
    }
}
