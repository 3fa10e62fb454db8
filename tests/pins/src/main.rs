//! The first process of an emulated board: drives and reads pins as the program does, and asks the kernel what came of it.
//!
//! The witness is debugfs: what the kernel's own driver says of the chip's registers. On `virt` the button is QEMU's power button,
//! which hangs on line 3 of the PL061. Each line for the host begins with `@`; `@ done` is the last one.

#[path = "../../../firmware/drivers/src/error.rs"]
#[allow(dead_code)]
mod error;
#[path = "../../../firmware/drivers/src/gpio.rs"]
#[allow(dead_code)]
mod gpio;

use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

pub use error::PeripheralError;
use gpio::{Pins, cdev_pins, rppal_pins};

fn main() {
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("debugfs", "/sys/kernel/debug")] {
        let _ = fs::create_dir_all(at);
        let [kind, at] = [kind, at].map(|text| CString::new(text).expect("no zeros"));
        // SAFETY: all pointers are to strings that live until the call is over.
        unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    }
    let is_pi = fs::read_to_string("/proc/device-tree/model").is_ok_and(|model| model.starts_with("Raspberry Pi"));
    let done = if is_pi { raspberry_pi() } else { virt() };
    match done {
        Ok(()) => say("done"),
        Err(why) => say(&format!("failed: {why}")),
    }
    thread::sleep(Duration::from_millis(300));
    if is_pi && let Ok(module) = fs::File::open("/watchdog.ko") {
        use std::os::fd::AsRawFd;
        // A Raspberry Pi that is emulated ends only by its watchdog.
        // SAFETY: the file is open, and the parameters are an empty string.
        unsafe { libc::syscall(libc::SYS_finit_module, module.as_raw_fd(), c"".as_ptr(), 0) };
    }
    // SAFETY: no memory is touched.
    unsafe { libc::reboot(if is_pi { libc::RB_AUTOBOOT } else { libc::RB_POWER_OFF }) };
}

/// To the console, or, where none is bound, to the kernel's log, which goes there.
fn say(text: &str) {
    if let Ok(mut log) = fs::OpenOptions::new().write(true).open("/dev/kmsg") {
        // Each write is a line of its own there.
        let _ = log.write_all(format!("@ {text}\n").as_bytes());
    }
}

/// The first line of a file of debugfs that has all of these words.
fn witness(file: &str, words: &[&str]) -> Result<String, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let found = text.lines().find(|line| words.iter().all(|word| line.contains(word)));
    found.map(str::to_owned).ok_or_else(|| format!("{file} has no line with {words:?}:\n{text}"))
}

fn refuse(pins: &mut dyn Pins, pin: u32) -> Result<(), String> {
    match pins.output(pin, false) {
        Ok(_) => Err(format!("pin {pin} should not be there")),
        Err(error) => {
            say(&format!("refused: {error}"));
            Ok(())
        }
    }
}

fn raspberry_pi() -> Result<(), String> {
    const PINS: &str = "/sys/kernel/debug/pinctrl/3f200000.gpio-pinctrl-bcm2835/pins";
    let mut pins = rppal_pins().map_err(|error| error.to_string())?;
    say(&pins.describe());
    let said = |error: PeripheralError| error.to_string();
    let (mut lamp, mut low) = (pins.output(17, false).map_err(said)?, pins.output(27, true).map_err(said)?);
    for on in [true, false, true] {
        lamp.set(on).map_err(said)?;
        low.set(on).map_err(said)?;
        let level = |on| if on { "hi" } else { "lo" };
        say(&witness(PINS, &["gpio17)", "gpio_out", level(on)])?);
        say(&witness(PINS, &["gpio27)", "gpio_out", level(!on)])?);
    }
    drop(lamp);
    say(&witness(PINS, &["gpio17)", "gpio_in"])?);
    let button = pins.input(22, true).map_err(said)?.is_on().map_err(said)?;
    say(&format!("button {button}; {}", witness(PINS, &["gpio22)", "gpio_in"])?));
    refuse(&mut *pins, 99)?;
    // The character device of the same board.
    let mut chip = cdev_pins(Path::new("/dev/gpiochip0")).map_err(said)?;
    say(&chip.describe());
    let mut lamp = chip.output(23, false).map_err(said)?;
    lamp.set(true).map_err(said)?;
    say(&witness(PINS, &["gpio23)", "gpio_out", "hi"])?);
    Ok(())
}

fn virt() -> Result<(), String> {
    const GPIO: &str = "/sys/kernel/debug/gpio";
    let said = |error: PeripheralError| error.to_string();
    match rppal_pins() {
        Err(error @ PeripheralError::NoRaspberryPi) => say(&format!("refused: {error}")),
        Err(other) => return Err(other.to_string()),
        Ok(_) => return Err("this is no Raspberry Pi".into()),
    }
    let mut chip = cdev_pins(Path::new("/dev/gpiochip0")).map_err(said)?;
    say(&chip.describe());
    let (mut lamp, mut low) = (chip.output(2, false).map_err(said)?, chip.output(5, true).map_err(said)?);
    for on in [true, false] {
        lamp.set(on).map_err(said)?;
        low.set(on).map_err(said)?;
        let level = |on| if on { "out hi" } else { "out lo" };
        say(&witness(GPIO, &["ocelli", "gpio-", level(on)])?);
        let text = fs::read_to_string(GPIO).map_err(|error| error.to_string())?;
        let ours: Vec<&str> = text.lines().filter(|line| line.contains("ocelli")).collect();
        let [first, second] = &ours[..] else { return Err(format!("two lines are ours: {text}")) };
        if !first.contains(level(on)) || !second.contains(level(!on)) {
            return Err(format!("{on}: {first}; {second}"));
        }
    }
    refuse(&mut *chip, 8)?;
    refuse(&mut *chip, 2)?;
    let mut button = chip.input(3, false).map_err(said)?;
    if button.is_on().map_err(said)? {
        return Err("the button is on before it was pressed".into());
    }
    say("press");
    let until = Instant::now() + Duration::from_secs(30);
    while !button.is_on().map_err(said)? {
        if Instant::now() > until {
            return Err("the button was never on".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    say("the button is on");
    while button.is_on().map_err(said)? {
        thread::sleep(Duration::from_millis(5));
    }
    say("the button is off");
    Ok(())
}
