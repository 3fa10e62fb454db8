//! Raspberry Pi Pico and other boards with an RP2040 and a 12 MHz crystal, with an SSD1306 OLED of 128 x 64 pixels.
//!
//! GP0 and GP1 serial line (TX, RX), GP4 and GP5 OLED (SDA, SCL), GP25 light (that of the board), GP14 buzzer, GP15
//! power-cycle line, GP16 button to ground.

#![no_std]
#![no_main]

mod chip;

use core::cell::RefCell;

use chip::oled::Oled;
use chip::{INBOX, Line, SCREEN, begin, watch};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use ocelli_panel::{Desk, Dog, Guarded, Panel, Ports};
use rp2040_hal::clocks::{Clock as _, init_clocks_and_plls};
use rp2040_hal::fugit::{ExtU32 as _, RateExtU32 as _};
use rp2040_hal::gpio::bank0::{Gpio0, Gpio1};
use rp2040_hal::gpio::{FunctionI2C, FunctionUart, Pin, Pins, PullDown, PullUp};
use rp2040_hal::pac::{self, interrupt};
use rp2040_hal::rosc::RingOscillator;
use rp2040_hal::uart::{DataBits, Reader, StopBits, UartConfig, UartPeripheral};
use rp2040_hal::{I2C, Sio, Timer, Watchdog};

const CRYSTAL_HZ: u32 = 12_000_000;

/// The second stage of the boot ROM, for the flash of the Pico.
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

type Lines = (Pin<Gpio0, FunctionUart, PullDown>, Pin<Gpio1, FunctionUart, PullDown>);

/// The receiving half, which the interrupt reads.
static RECEIVER: Mutex<RefCell<Option<Reader<pac::UART0, Lines>>>> = Mutex::new(RefCell::new(None));

#[interrupt]
fn UART0_IRQ() {
    critical_section::with(|section| {
        let mut receiver = RECEIVER.borrow_ref_mut(section);
        let Some(receiver) = receiver.as_mut() else { return };
        let mut bytes = [0; 32];
        // Bytes with an error of the line are left: the check sum of their frame finds that.
        while INBOX.has_room_for(bytes.len(), pac::Interrupt::UART0_IRQ)
            && let Ok(count) = receiver.read_raw(&mut bytes)
        {
            bytes[..count].iter().for_each(|byte| INBOX.put(*byte));
        }
    });
}

/// Every millisecond; the timer has the time.
#[exception]
fn SysTick() {}

struct Fed(Watchdog);

impl Dog for Fed {
    fn feed(&mut self) {
        self.0.feed();
    }
}

#[rp2040_hal::entry]
fn main() -> ! {
    let mut core = pac::CorePeripherals::take().expect("nobody took them before");
    let mut chip = pac::Peripherals::take().expect("nobody took them before");
    let by_watchdog = chip.WATCHDOG.reason().read().timer().bit_is_set();
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    let clocks = init_clocks_and_plls(
        CRYSTAL_HZ,
        chip.XOSC,
        chip.CLOCKS,
        chip.PLL_SYS,
        chip.PLL_USB,
        &mut chip.RESETS,
        &mut watchdog,
    );
    // Without its crystal the chip is not to be used; the watchdog is not running yet.
    let Ok(clocks) = clocks else { chip::halt() };
    watchdog.start(8.secs());
    let ring = RingOscillator::new(chip.ROSC).initialize();
    let noise = (0..32).fold(0, |noise: u32, _| noise << 1 | u32::from(ring.get_random_bit()));
    let (session, reset) = begin(noise, Some(by_watchdog));
    let timer = Timer::new(chip.TIMER, &mut chip.RESETS, &clocks);
    let sio = Sio::new(chip.SIO);
    let pins = Pins::new(chip.IO_BANK0, chip.PADS_BANK0, sio.gpio_bank0, &mut chip.RESETS);
    let lines: Lines = (pins.gpio0.into_function(), pins.gpio1.into_function());
    let config = UartConfig::new(115_200.Hz(), DataBits::Eight, None, StopBits::One);
    let uart = UartPeripheral::new(chip.UART0, lines, &mut chip.RESETS);
    let Ok(uart) = uart.enable(config, clocks.peripheral_clock.freq()) else { chip::halt() };
    let (mut receiver, sender) = uart.split();
    receiver.enable_rx_interrupt();
    critical_section::with(|section| RECEIVER.borrow_ref_mut(section).replace(receiver));
    let i2c = I2C::i2c0(
        chip.I2C0,
        pins.gpio4.reconfigure::<FunctionI2C, PullUp>(),
        pins.gpio5.reconfigure::<FunctionI2C, PullUp>(),
        400.kHz(),
        &mut chip.RESETS,
        clocks.system_clock.freq(),
    );
    let ports = Ports {
        led: pins.gpio25.into_push_pull_output(),
        buzzer: pins.gpio14.into_push_pull_output(),
        power: pins.gpio15.into_push_pull_output(),
        mute: pins.gpio16.into_pull_up_input(),
        wire: Line::new(move |byte| sender.write_raw(&[byte]).is_ok(), pac::Interrupt::UART0_IRQ),
        // The library's I2C waits without an end where SCL is held low.
        screen: Guarded::new(Oled::new(i2c), SCREEN, reset),
        dog: Fed(watchdog),
    };
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(clocks.system_clock.freq().to_Hz() / 1000 - 1);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    core.SYST.enable_interrupt();
    watch(Desk::new(Panel::new(session, reset, 0), ports), move || timer.get_counter().ticks() / 1000)
}
