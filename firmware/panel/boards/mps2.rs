//! ARM MPS2 with the FPGA images AN385 (Cortex-M3) or AN386 (Cortex-M4): a board to prove a core with.
//!
//! UART0; of the two user LEDs the first is the light, the second stands for the buzzer; button 0. It has no screen for us.

#![no_std]
#![no_main]

mod chip;

use core::convert::Infallible;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use chip::{INBOX, Line, NoPin, NoScreen, Register, Wide, begin, watch};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use ocelli_panel::{Desk, Dog, Panel, Ports};

const CLOCK_HZ: u32 = 25_000_000;

const fn register(address: usize) -> Register {
    // SAFETY: all addresses below are of the images' peripherals (ARM DAI0385, DAI0386).
    unsafe { Register::at(address) }
}

const UART_DATA: Register = register(0x4000_4000);
const UART_STATE: Register = register(0x4000_4004);
const UART_CONTROL: Register = register(0x4000_4008);
const UART_CLEAR: Register = register(0x4000_400c);
const UART_DIVISOR: Register = register(0x4000_4010);
const WATCHDOG_LOAD: Register = register(0x4000_8000);
const WATCHDOG_CONTROL: Register = register(0x4000_8008);
const WATCHDOG_CLEAR: Register = register(0x4000_800c);
const LEDS: Register = register(0x4002_8000);
const BUTTONS: Register = register(0x4002_8008);

const RECEIVED: u32 = 1 << 1;
const OVERRUN: u32 = 1 << 3;

const UART_IRQ: u16 = 0;

/// Milliseconds since the reset.
static MS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    MS.store(MS.load(Relaxed).wrapping_add(1), Relaxed);
}

/// All interrupts come here; one is on, and the watchdog's first warning, which cannot be turned off.
#[exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq == UART_IRQ as i16 {
        UART_CLEAR.write(2);
        let state = UART_STATE.read();
        if state & OVERRUN != 0 {
            UART_STATE.write(OVERRUN);
            INBOX.overrun();
        }
        if state & RECEIVED != 0 && INBOX.has_room_for(1, Irq(UART_IRQ)) {
            INBOX.put(UART_DATA.read() as u8);
        }
    }
}

#[derive(Clone, Copy)]
struct Irq(u16);

// SAFETY: numbers are those of the data sheet, below the number of interrupts.
unsafe impl cortex_m::interrupt::InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

struct Led(u32);

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        LEDS.write(LEDS.read() & !(1 << self.0));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        LEDS.write(LEDS.read() | 1 << self.0);
        Ok(())
    }
}

/// High while it is down, which the panel has the other way round.
struct Button;

impl ErrorType for Button {
    type Error = Infallible;
}

impl InputPin for Button {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(BUTTONS.read() & 1 == 0)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(BUTTONS.read() & 1 != 0)
    }
}

struct Watchdog;

impl Dog for Watchdog {
    fn feed(&mut self) {
        WATCHDOG_LOAD.write(4 * CLOCK_HZ);
        WATCHDOG_CLEAR.write(1);
    }
}

#[entry]
fn main() -> ! {
    let mut core = cortex_m::Peripherals::take().expect("nobody took them before");
    UART_DIVISOR.write(CLOCK_HZ / 115_200);
    // Both ways, and an interrupt for what comes.
    UART_CONTROL.write(0b1011);
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(CLOCK_HZ / 1000 - 1);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    core.SYST.enable_interrupt();
    // The second of two times 4 seconds resets.
    Watchdog.feed();
    WATCHDOG_CONTROL.write(3);
    let (session, reset) = begin(0, None);
    let ports = Ports {
        led: Led(0),
        buzzer: Led(1),
        power: NoPin,
        mute: Button,
        wire: Line::new(
            |byte| {
                let has_room = UART_STATE.read() & 1 == 0;
                if has_room {
                    UART_DATA.write(u32::from(byte));
                }
                has_room
            },
            Irq(UART_IRQ),
        ),
        screen: NoScreen,
        dog: Watchdog,
    };
    let mut clock = Wide::new(1);
    watch(Desk::new(Panel::new(session, reset, 0), ports), move || clock.ms(MS.load(Relaxed)))
}
