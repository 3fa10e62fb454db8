//! What the boards share: registers, the bytes that came, the log, the stack, the loop.

// No board uses all of it.
#![allow(dead_code)]

#[cfg(any(feature = "microbit", feature = "rp2040"))]
pub mod oled;

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, compiler_fence};

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
#[cfg(feature = "rtt")]
use defmt_rtt as _;
#[cfg(feature = "semihosting")]
use defmt_semihosting as _;
use embedded_hal::digital::{InputPin, OutputPin};
use ocelli_panel::{Desk, Dog, Screen, Wire};

pub use ocelli_link::Reset;

/// Reads of a register in which a clock should have started.
pub const STARTING: u32 = 100_000;

/// Reads in which a byte should have gone out: some milliseconds.
pub const SENDING: u32 = 5000;

/// A register of the chip.
#[derive(Clone, Copy, Debug)]
pub struct Register(usize);

impl Register {
    /// The one at this address.
    ///
    /// # Safety
    /// There is a 32-bit register, of which reads and writes change no memory that Rust knows.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// Its value.
    pub fn read(self) -> u32 {
        // SAFETY: whoever made it said that there is a register.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    /// Sets all of it.
    pub fn write(self, value: u32) {
        // SAFETY: whoever made it said that there is a register.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }

    /// Waits until it is `ready`, for this many reads and no longer. Whether it is.
    pub fn wait(self, reads: u32, ready: impl Fn(u32) -> bool) -> bool {
        (0..reads).any(|_| ready(self.read()))
    }
}

/// Bytes between the interrupt that receives and the loop that reads: 44 ms at 115200 baud.
pub struct Inbox {
    bytes: [AtomicU8; 512],
    written: AtomicU32,
    read: AtomicU32,
    /// Of these only the interrupt writes.
    overruns: AtomicU32,
    /// Whether the interrupt is off, until there is room.
    is_stalled: AtomicBool,
}

/// What came, and was not read yet.
pub static INBOX: Inbox = Inbox {
    bytes: [const { AtomicU8::new(0) }; 512],
    written: AtomicU32::new(0),
    read: AtomicU32::new(0),
    overruns: AtomicU32::new(0),
    is_stalled: AtomicBool::new(false),
};

impl Inbox {
    /// Whether as many bytes have room. Where they do not, the interrupt turns itself off, and the chip's own queue holds what comes
    /// until there is. Called by the one interrupt that receives, as is what follows.
    pub fn has_room_for(&self, count: usize, irq: impl InterruptNumber) -> bool {
        let held = self.written.load(Relaxed).wrapping_sub(self.read.load(Relaxed)) as usize;
        let has_room = held + count <= self.bytes.len();
        if !has_room {
            NVIC::mask(irq);
            self.is_stalled.store(true, Relaxed);
        }
        has_room
    }

    /// Takes a byte, for which there is room.
    pub fn put(&self, byte: u8) {
        let written = self.written.load(Relaxed);
        self.bytes[written as usize % self.bytes.len()].store(byte, Relaxed);
        // One core, whose interrupts see its memory in order; the compiler must not move the byte behind this.
        compiler_fence(Release);
        self.written.store(written.wrapping_add(1), Relaxed);
    }

    /// The chip's own queue had no room.
    pub fn overrun(&self) {
        self.overruns.store(self.overruns.load(Relaxed).wrapping_add(1), Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.read.load(Relaxed) == self.written.load(Relaxed)
    }

    /// Called by the loop, and by nobody else.
    fn take(&self, irq: impl InterruptNumber) -> Option<u8> {
        if self.is_empty() {
            if self.is_stalled.load(Relaxed) {
                self.is_stalled.store(false, Relaxed);
                // SAFETY: it was on before, and no critical section is open.
                unsafe { NVIC::unmask(irq) };
                // What the chip's queue holds gives no other sign.
                NVIC::pend(irq);
            }
            return None;
        }
        let read = self.read.load(Relaxed);
        compiler_fence(Acquire);
        let byte = self.bytes[read as usize % self.bytes.len()].load(Relaxed);
        compiler_fence(Release);
        self.read.store(read.wrapping_add(1), Relaxed);
        Some(byte)
    }
}

/// The serial line: the inbox, its interrupt, and how a byte is sent where there is room.
pub struct Line<F, I> {
    send: F,
    irq: I,
    overruns: u32,
}

impl<F: FnMut(u8) -> bool, I: InterruptNumber> Line<F, I> {
    /// A line on which nothing was said. From now on its interrupt is on.
    pub fn new(send: F, irq: I) -> Self {
        // SAFETY: each board has the handler that fills the inbox, and no critical section is open while it starts.
        unsafe { NVIC::unmask(irq) };
        Self { send, irq, overruns: 0 }
    }
}

impl<F: FnMut(u8) -> bool, I: InterruptNumber> Wire for Line<F, I> {
    fn receive(&mut self) -> Option<u8> {
        INBOX.take(self.irq)
    }

    fn send(&mut self, byte: u8) -> bool {
        (self.send)(byte)
    }

    fn lost(&mut self) -> u32 {
        let overruns = INBOX.overruns.load(Relaxed);
        overruns.wrapping_sub(core::mem::replace(&mut self.overruns, overruns))
    }
}

/// A pin that a board does not have.
#[derive(Clone, Copy, Debug)]
pub struct NoPin;

impl embedded_hal::digital::ErrorType for NoPin {
    type Error = core::convert::Infallible;
}

impl OutputPin for NoPin {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A screen that a board does not have.
#[derive(Clone, Copy, Debug)]
pub struct NoScreen;

impl Screen for NoScreen {
    fn start(&mut self) -> bool {
        false
    }

    fn show(&mut self, _: u8, _: &[u8; ocelli_panel::WIDTH]) -> bool {
        false
    }
}

/// Kept over a reset that does not cut the power: a mark, the number of resets, and what the screen was about ([`SCREEN`]).
#[unsafe(link_section = ".uninit.boot")]
static BOOT: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
const MARK: u32 = 0x0ce1_1150;

/// For a [`Guarded`](ocelli_panel::Guarded) screen.
#[cfg_attr(not(feature = "rp2040"), expect(dead_code, reason = "no other board has a screen that can hang"))]
pub static SCREEN: &AtomicU32 = &BOOT[2];

/// A session, and why the panel began anew. Without a source of `noise` a session differs from the one before by the number of resets,
/// which memory that lost its power has from whatever it holds then. The chip may know of its watchdog; where it does not, memory that was
/// kept means that nobody cut the power, and besides the watchdog only the reset button does that.
pub fn begin(noise: u32, by_watchdog: Option<bool>) -> (u32, Reset) {
    let is_kept = BOOT[0].load(Relaxed) == MARK;
    if !is_kept {
        BOOT[2].store(0, Relaxed);
    }
    let boots = BOOT[1].load(Relaxed).wrapping_add(1);
    BOOT[0].store(MARK, Relaxed);
    BOOT[1].store(boots, Relaxed);
    let session = (noise ^ boots.wrapping_mul(0x9e37_79b9)) | 1;
    let reset = if by_watchdog.unwrap_or(is_kept) { Reset::Watchdog } else { Reset::Start };
    defmt::info!(
        "panel {=str}, session {=u32:#010x}, by the watchdog: {=bool}",
        env!("CARGO_PKG_VERSION"),
        session,
        reset == Reset::Watchdog
    );
    (session, reset)
}

/// Milliseconds since the reset, for the log.
static NOW_MS: AtomicU32 = AtomicU32::new(0);
defmt::timestamp!("{=u32:ms}", NOW_MS.load(Relaxed));

/// Time without an end from a counter that wraps: of milliseconds, or of so many steps each.
pub struct Wide {
    last: u32,
    count: u64,
    steps: u64,
}

impl Wide {
    /// A counter that makes so many steps in a millisecond, and wraps at 2^32.
    pub const fn new(steps: u64) -> Self {
        Self { last: 0, count: 0, steps }
    }

    /// Milliseconds, where the counter stands here.
    pub fn ms(&mut self, now: u32) -> u64 {
        self.count += u64::from(now.wrapping_sub(self.last));
        self.last = now;
        self.count / self.steps
    }
}

/// The least bytes of stack that were ever left.
fn stack_left() -> u32 {
    unsafe extern "C" {
        static _stack_end: u32;
        static _stack_start: u32;
    }
    let (end, start) = (&raw const _stack_end, &raw const _stack_start);
    let words = (start as usize - end as usize) / 4;
    let painted = (0..words).take_while(|at| {
        // SAFETY: it lies between the two, in the stack's memory, which is not a value of Rust's where nothing was pushed.
        unsafe { end.add(*at).read_volatile() == cortex_m_rt::STACK_PAINT_VALUE }
    });
    4 * painted.count() as u32
}

/// The loop. The board has an interrupt every millisecond.
pub fn watch<L, B, P, M, W, S, D>(mut desk: Desk<L, B, P, M, W, S, D>, mut now_ms: impl FnMut() -> u64) -> !
where
    L: OutputPin,
    B: OutputPin,
    P: OutputPin,
    M: InputPin,
    W: Wire,
    S: Screen,
    D: Dog,
{
    loop {
        let now_ms = now_ms();
        NOW_MS.store(now_ms as u32, Relaxed);
        if let Some(news) = desk.step(now_ms, || Some(stack_left())) {
            defmt::info!("{}", news);
            #[cfg(feature = "hang")]
            if matches!(news, ocelli_panel::News::Alert { alarm: true, .. }) {
                defmt::info!("hanging, as this build is asked to");
                halt();
            }
        }
        // A tick of a millisecond ends it, or what comes over the line. Between looking and sleeping a byte may come, and waits for that tick.
        if INBOX.is_empty() {
            cortex_m::asm::wfi();
        }
    }
}

/// The watchdog ends it.
pub fn halt() -> ! {
    loop {
        cortex_m::asm::nop();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("{}", defmt::Display2Format(info));
    halt()
}
