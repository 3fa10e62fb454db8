//! Texas Instruments (Luminary) LM3S6965 evaluation board, Cortex-M3, with its OLED (SSD0323, 128 x 64).
//!
//! UART0 is the board's USB serial port. PF0 status LED, PD6 buzzer, PD7 power-cycle line, PF1 select button.

#![no_std]
#![no_main]

mod chip;

use core::convert::Infallible;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use chip::{INBOX, Line, Register, SENDING, STARTING, Wide, begin, watch};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use ocelli_panel::{Desk, Dog, Panel, Ports, Screen, WIDTH};

/// PLL of 200 MHz through 16.
const CLOCK_HZ: u32 = 12_500_000;

const fn register(address: usize) -> Register {
    // SAFETY: all addresses below are of this chip's peripherals (LM3S6965 data sheet).
    unsafe { Register::at(address) }
}

const RIS: Register = register(0x400f_e050);
const RESC: Register = register(0x400f_e05c);
const RCC: Register = register(0x400f_e060);
const RCGC: [Register; 3] = [register(0x400f_e100), register(0x400f_e104), register(0x400f_e108)];
const UART_DATA: Register = register(0x4000_c000);
const UART_FLAGS: Register = register(0x4000_c018);
const UART_CLEAR: Register = register(0x4000_c044);
const SSI_DATA: Register = register(0x4000_8008);
const SSI_STATUS: Register = register(0x4000_800c);
const WATCHDOG_LOAD: Register = register(0x4000_0000);
const WATCHDOG_CONTROL: Register = register(0x4000_0008);
const WATCHDOG_CLEAR: Register = register(0x4000_000c);

const UART_IRQ: u16 = 5;
const OVERRUN: u32 = 1 << 11;
const RECEIVER_EMPTY: u32 = 1 << 4;
const TRANSMITTER_FULL: u32 = 1 << 5;
const TRANSMITTER_NOT_FULL: u32 = 1 << 1;
const RECEIVER_NOT_EMPTY: u32 = 1 << 2;
const SSI_BUSY: u32 = 1 << 4;

/// Milliseconds since the reset.
static MS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    MS.store(MS.load(Relaxed).wrapping_add(1), Relaxed);
}

/// All interrupts come here; one is on.
#[exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq == UART_IRQ as i16 {
        UART_CLEAR.write(0x50);
        while INBOX.has_room_for(1, Irq(UART_IRQ)) && UART_FLAGS.read() & RECEIVER_EMPTY == 0 {
            let received = UART_DATA.read();
            INBOX.put(received as u8);
            if received & OVERRUN != 0 {
                INBOX.overrun();
            }
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

/// A pin, by its port's address and its bit.
struct Pin(usize, u32);

impl Pin {
    const PORT_C: usize = 0x4000_6000;
    const PORT_D: usize = 0x4000_7000;
    const PORT_F: usize = 0x4002_5000;

    fn of_port(&self, offset: usize) -> Register {
        register(self.0 + offset)
    }

    fn output(self) -> Self {
        for offset in [0x400, 0x51c] {
            let register = self.of_port(offset);
            register.write(register.read() | 1 << self.1);
        }
        self
    }

    fn pulled_up_input(self) -> Self {
        for offset in [0x510, 0x51c] {
            let register = self.of_port(offset);
            register.write(register.read() | 1 << self.1);
        }
        self
    }

    /// The address selects which bits are read and written.
    fn masked(&self) -> Register {
        self.of_port(4 << self.1)
    }
}

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.masked().write(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.masked().write(0xff);
        Ok(())
    }
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.masked().read() != 0)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(self.masked().read() == 0)
    }
}

/// The OLED, four bits a pixel, on SSI0.
struct Oled {
    is_data: Pin,
}

impl Oled {
    fn send(&mut self, is_data: bool, bytes: impl IntoIterator<Item = u8>) -> bool {
        // The line says for the whole byte what it is, so the bytes before must be out.
        let idle = SSI_STATUS.wait(SENDING, |status| status & SSI_BUSY == 0);
        let Ok(()) = self.is_data.set_state(is_data.into());
        let sent = bytes.into_iter().all(|byte| {
            let ready = SSI_STATUS.wait(SENDING, |status| status & TRANSMITTER_NOT_FULL != 0);
            SSI_DATA.write(u32::from(byte));
            // For each byte that goes out one comes in, which means nothing. The emulator sends nothing while there is no room for it.
            while SSI_STATUS.read() & RECEIVER_NOT_EMPTY != 0 {
                SSI_DATA.read();
            }
            ready
        });
        idle && sent && SSI_STATUS.wait(SENDING, |status| status & SSI_BUSY == 0)
    }
}

impl Screen for Oled {
    fn start(&mut self) -> bool {
        // Contrast; two pixels a byte with the left one high; on.
        self.send(false, [0x81, 0x60, 0xa0, 0x40, 0xaf])
    }

    fn show(&mut self, page: u8, columns: &[u8; WIDTH]) -> bool {
        let rows = [page * 8, page * 8 + 7];
        let pixels = (0..8).flat_map(|row| {
            columns.chunks_exact(2).map(move |two| {
                let lit = |column: u8| if column >> row & 1 == 1 { 0xf } else { 0 };
                lit(two[0]) << 4 | lit(two[1])
            })
        });
        self.send(false, [0x15, 0, 63, 0x75, rows[0], rows[1]]) && self.send(true, pixels)
    }
}

struct Watchdog;

impl Dog for Watchdog {
    fn feed(&mut self) {
        WATCHDOG_LOAD.write(4 * CLOCK_HZ);
        WATCHDOG_CLEAR.write(1);
    }
}

/// 12.5 MHz from the 8 MHz crystal, as the data sheet orders it.
fn start_clock() {
    const BYPASS: u32 = 1 << 11;
    const CRYSTAL_8_MHZ: u32 = 0xe << 6;
    const THROUGH_16: u32 = 15 << 23 | 1 << 22;
    RCC.write(BYPASS | CRYSTAL_8_MHZ);
    RCC.write(BYPASS | CRYSTAL_8_MHZ | THROUGH_16);
    RIS.wait(STARTING, |status| status & 1 << 6 != 0);
    RCC.write(CRYSTAL_8_MHZ | THROUGH_16);
}

#[entry]
fn main() -> ! {
    let mut core = cortex_m::Peripherals::take().expect("nobody took them before");
    start_clock();
    // Watchdog; UART0 and SSI0; ports A, C, D and F.
    for (clocks, bits) in RCGC.iter().zip([1 << 3, 1 << 4 | 1, 0b10_1101]) {
        clocks.write(clocks.read() | bits);
    }
    cortex_m::asm::delay(64);
    // UART0 and SSI0 have their pins on port A.
    for offset in [0x420, 0x51c] {
        let pins = register(0x4000_4000 + offset);
        pins.write(pins.read() | 0b10_1111);
    }
    let mut sd_card = Pin(Pin::PORT_D, 0).output();
    let mut oled_power = Pin(Pin::PORT_C, 6).output();
    // The card on the same bus is not meant. In the emulator the same line selects the OLED.
    let (Ok(()), Ok(())) = (sd_card.set_high(), oled_power.set_high());
    // 115200 baud: 12.5 MHz / (16 x 6.78). 8 bits, queues; interrupts of bytes and of a pause.
    for (offset, value) in [(0x30, 0), (0x24, 6), (0x28, 50), (0x2c, 0x70), (0x38, 0x50), (0x30, 0x301)] {
        register(0x4000_c000 + offset).write(value);
    }
    // 8 bits, 1.6 MHz.
    for (offset, value) in [(0x04, 0), (0x10, 2), (0x00, 3 << 8 | 7), (0x04, 2)] {
        register(0x4000_8000 + offset).write(value);
    }
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(CLOCK_HZ / 1000 - 1);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    core.SYST.enable_interrupt();
    // The second of two times 4 seconds resets.
    Watchdog.feed();
    WATCHDOG_CONTROL.write(3);
    // The chip gives at least one cause; the emulator none.
    let causes = RESC.read();
    let by_watchdog = (causes != 0).then_some(causes & 1 << 3 != 0);
    RESC.write(0);
    let (session, reset) = begin(0, by_watchdog);
    let ports = Ports {
        led: Pin(Pin::PORT_F, 0).output(),
        buzzer: Pin(Pin::PORT_D, 6).output(),
        power: Pin(Pin::PORT_D, 7).output(),
        mute: Pin(Pin::PORT_F, 1).pulled_up_input(),
        wire: Line::new(
            |byte| {
                let has_room = UART_FLAGS.read() & TRANSMITTER_FULL == 0;
                if has_room {
                    UART_DATA.write(u32::from(byte));
                }
                has_room
            },
            Irq(UART_IRQ),
        ),
        screen: Oled { is_data: Pin(Pin::PORT_C, 7).output() },
        dog: Watchdog,
    };
    let mut clock = Wide::new(1);
    watch(Desk::new(Panel::new(session, reset, 0), ports), move || clock.ms(MS.load(Relaxed)))
}
