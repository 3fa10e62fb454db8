//! BBC micro:bit, version 1 (nRF51822, Cortex-M0), with an SSD1306 OLED of 128 x 64 pixels on its I2C pins 19 and 20.
//!
//! The serial line is the board's USB port. The light is the upper left LED of the matrix; pin 0 buzzer, pin 1 power-cycle line, button A.

#![no_std]
#![no_main]

mod chip;

use core::convert::Infallible;

use chip::oled::Oled;
use chip::{INBOX, Line, Register, SENDING, STARTING, Wide, begin, watch};
use cortex_m_rt::{entry, exception};
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::{self, ErrorKind, I2c, NoAcknowledgeSource, Operation};
use ocelli_panel::{Desk, Dog, Panel, Ports};

const fn register(address: usize) -> Register {
    // SAFETY: all addresses below are of this chip's peripherals (nRF51 Series Reference Manual 3.0).
    unsafe { Register::at(address) }
}

const CLOCK: usize = 0x4000_0000;
const UART: usize = 0x4000_2000;
const TWI: usize = 0x4000_3000;
const TIMER: usize = 0x4000_8000;
const TICK: usize = 0x4000_9000;
const NOISE: usize = 0x4000_d000;
const WATCHDOG: usize = 0x4001_0000;
const PINS: usize = 0x5000_0000;

const UART_RECEIVED: Register = register(UART + 0x108);
const UART_SENT: Register = register(UART + 0x11c);
const UART_ERRORS: Register = register(UART + 0x480);
const UART_RXD: Register = register(UART + 0x518);
const UART_TXD: Register = register(UART + 0x51c);
const RESET_REASON: Register = register(0x4000_0400);
const WATCHDOG_RELOAD: Register = register(WATCHDOG + 0x600);

const UART_IRQ: u16 = 2;
const TICK_IRQ: u16 = 9;

/// All interrupts come here; two are on.
#[exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq == UART_IRQ as i16 {
        if UART_ERRORS.read() & 1 != 0 {
            UART_ERRORS.write(1);
            INBOX.overrun();
        }
        // The chip's own queue has room for six.
        while INBOX.has_room_for(1, Irq(UART_IRQ)) && UART_RECEIVED.read() != 0 {
            UART_RECEIVED.write(0);
            INBOX.put(UART_RXD.read() as u8);
        }
    } else if irq == TICK_IRQ as i16 {
        register(TICK + 0x140).write(0);
    }
}

#[derive(Clone, Copy)]
struct Irq(u16);

// SAFETY: numbers are those of the manual, below the number of interrupts.
unsafe impl cortex_m::interrupt::InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

/// A pin of port 0.
struct Pin(u32);

impl Pin {
    fn output(self) -> Self {
        register(PINS + 0x518).write(1 << self.0);
        self
    }

    /// As it is set by [`Pin::configure`].
    fn input(self) -> Self {
        self.configure(0)
    }

    fn configure(self, bits: u32) -> Self {
        register(PINS + 0x700 + 4 * self.0 as usize).write(bits);
        self
    }
}

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        register(PINS + 0x50c).write(1 << self.0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        register(PINS + 0x508).write(1 << self.0);
        Ok(())
    }
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(register(PINS + 0x510).read() >> self.0 & 1 == 1)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|is_high| !is_high)
    }
}

/// The two-wire interface, which only writes: 400 kHz.
struct Twi;

impl Twi {
    const STOPPED: Register = register(TWI + 0x104);
    const SENT: Register = register(TWI + 0x11c);
    const ERROR: Register = register(TWI + 0x124);

    fn new() -> Self {
        // Inputs with a pull-up, driven low only.
        for pin in [Pin(0), Pin(30)] {
            pin.configure(6 << 8 | 3 << 2);
        }
        for (offset, value) in [(0x508, 0), (0x50c, 30), (0x524, 0x0668_0000), (0x500, 5)] {
            register(TWI + offset).write(value);
        }
        Self
    }

    fn send(byte: u8) -> Result<(), ErrorKind> {
        Self::SENT.write(0);
        register(TWI + 0x51c).write(u32::from(byte));
        let done = Self::SENT.wait(SENDING, |sent| sent != 0 || Self::ERROR.read() != 0);
        if done && Self::ERROR.read() == 0 {
            return Ok(());
        }
        Self::ERROR.write(0);
        Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown))
    }
}

impl i2c::ErrorType for Twi {
    type Error = ErrorKind;
}

impl I2c for Twi {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        register(TWI + 0x588).write(u32::from(address));
        register(TWI + 0x008).write(1);
        let sent = operations.iter().try_for_each(|operation| match operation {
            Operation::Write(bytes) => bytes.iter().try_for_each(|byte| Self::send(*byte)),
            Operation::Read(_) => Err(ErrorKind::Other),
        });
        Self::STOPPED.write(0);
        register(TWI + 0x014).write(1);
        Self::STOPPED.wait(SENDING, |stopped| stopped != 0);
        sent
    }
}

struct Watchdog;

impl Dog for Watchdog {
    fn feed(&mut self) {
        WATCHDOG_RELOAD.write(0x6e52_4635);
    }
}

/// Four bytes of the chip's noise.
fn noise() -> u32 {
    let ready = register(NOISE + 0x100);
    register(NOISE).write(1);
    let bytes = core::array::from_fn(|_| {
        ready.wait(STARTING, |ready| ready != 0);
        ready.write(0);
        register(NOISE + 0x508).read() as u8
    });
    register(NOISE + 0x004).write(1);
    u32::from_le_bytes(bytes)
}

#[entry]
fn main() -> ! {
    // The crystal, for a baud rate that is right.
    register(CLOCK).write(1);
    register(CLOCK + 0x100).wait(STARTING, |started| started != 0);
    // The watchdog: 8 s of 32768 Hz, also while a debugger halts nothing.
    for (offset, value) in [(0x504, 8 * 32_768), (0x508, 1), (0x000, 1)] {
        register(WATCHDOG + offset).write(value);
    }
    // A timer of 32 bits at 1 MHz.
    for (offset, value) in [(0x504, 0), (0x508, 3), (0x510, 4), (0x000, 1)] {
        register(TIMER + offset).write(value);
    }
    // Another, which interrupts every millisecond: this core has no tick of its own.
    for (offset, value) in [(0x504, 0), (0x508, 0), (0x510, 4), (0x540, 1000), (0x200, 1), (0x304, 1 << 16), (0x000, 1)]
    {
        register(TICK + offset).write(value);
    }
    let mut transmit = Pin(24).output();
    let Ok(()) = transmit.set_high();
    Pin(25).input();
    // 115200 baud, no flow control, an interrupt for what comes.
    for (offset, value) in [
        (0x508, u32::MAX),
        (0x50c, 24),
        (0x510, u32::MAX),
        (0x514, 25),
        (0x524, 0x01d7_e000),
        (0x500, 4),
        (0x304, 1 << 2),
        (0x000, 1),
        (0x008, 1),
    ] {
        register(UART + offset).write(value);
    }
    let by_watchdog = Some(RESET_REASON.read() & 2 != 0);
    RESET_REASON.write(u32::MAX);
    let (session, reset) = begin(noise(), by_watchdog);
    // The matrix's first column.
    let mut column = Pin(4).output();
    let Ok(()) = column.set_low();
    let mut is_sending = false;
    let ports = Ports {
        led: Pin(13).output(),
        buzzer: Pin(3).output(),
        power: Pin(2).output(),
        // The board pulls it up.
        mute: Pin(17).input(),
        wire: Line::new(
            move |byte| {
                let has_room = !is_sending || UART_SENT.read() != 0;
                if has_room {
                    UART_SENT.write(0);
                    UART_TXD.write(u32::from(byte));
                    is_sending = true;
                }
                has_room
            },
            Irq(UART_IRQ),
        ),
        screen: Oled::new(Twi::new()),
        dog: Watchdog,
    };
    // SAFETY: its handler is above, and no critical section is open.
    unsafe { cortex_m::peripheral::NVIC::unmask(Irq(TICK_IRQ)) };
    let mut clock = Wide::new(1000);
    watch(Desk::new(Panel::new(session, reset, 0), ports), move || {
        register(TIMER + 0x040).write(1);
        clock.ms(register(TIMER + 0x540).read())
    })
}
