//! The loop's body, and the ports of a board.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use embedded_hal::digital::{InputPin, OutputPin};
use heapless::Vec;
use ocelli_link::{FRAME_BYTES, Reset, encode};

use crate::draw::{self, Canvas, PAGES, WIDTH};
use crate::panel::{News, Panel};

/// Bytes that are taken in one step, and sent.
const STEP_BYTES: usize = 64;

/// How often a screen that does not answer is tried again.
const SCREEN_MS: u64 = 5000;

/// The serial line. Neither way waits.
pub trait Wire {
    /// The next byte, where one came.
    fn receive(&mut self) -> Option<u8>;
    /// Whether there was room for it.
    fn send(&mut self, byte: u8) -> bool;
    /// Bytes for which there was no room since it was asked last.
    fn lost(&mut self) -> u32;
}

/// A screen of 128 x 64 pixels.
pub trait Screen {
    /// Starts it. Whether it is there.
    fn start(&mut self) -> bool;
    /// Shows an eighth of the picture ([`draw::page`]), in some milliseconds at most. Whether it did.
    fn show(&mut self, page: u8, columns: &[u8; WIDTH]) -> bool;
}

/// A screen whose driver may never come back, as one does that waits for a line that a broken chip holds. The watchdog resets the panel
/// then, and from that on it does without its screen, so that its alarm is heard, until somebody cuts its power.
#[derive(Debug)]
pub struct Guarded<S> {
    screen: S,
    at_work: &'static AtomicU32,
    hung: bool,
}

/// What is kept while a screen is at work.
const AT_WORK: u32 = 0x5c4e_e170;

impl<S: Screen> Guarded<S> {
    /// `at_work` is kept over a reset that does not cut the power, and not [`AT_WORK`] by chance.
    pub fn new(screen: S, at_work: &'static AtomicU32, reset: Reset) -> Self {
        let hung = reset == Reset::Watchdog && at_work.load(Relaxed) == AT_WORK;
        Self { screen, at_work, hung }
    }

    fn guard(&mut self, work: impl FnOnce(&mut S) -> bool) -> bool {
        if self.hung {
            return false;
        }
        self.at_work.store(AT_WORK, Relaxed);
        let done = work(&mut self.screen);
        self.at_work.store(0, Relaxed);
        done
    }
}

impl<S: Screen> Screen for Guarded<S> {
    fn start(&mut self) -> bool {
        self.guard(Screen::start)
    }

    fn show(&mut self, page: u8, columns: &[u8; WIDTH]) -> bool {
        self.guard(|screen| screen.show(page, columns))
    }
}

/// The hardware watchdog.
pub trait Dog {
    /// All is well.
    fn feed(&mut self);
}

/// What a board has. Pins are on when they are high.
#[derive(Debug)]
pub struct Ports<L, B, P, M, W, S, D> {
    /// The light.
    pub led: L,
    /// The buzzer.
    pub buzzer: B,
    /// Cuts the power of the camera computer.
    pub power: P,
    /// The button, low while it is down.
    pub mute: M,
    /// The serial line.
    pub wire: W,
    /// The screen.
    pub screen: S,
    /// The watchdog.
    pub dog: D,
}

/// What the canvas shows: it is drawn anew when this changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Drawn {
    headline: &'static str,
    age: Option<u32>,
    text: u32,
    scroll_px: u16,
}

/// A panel at its ports.
pub struct Desk<L, B, P, M, W, S, D> {
    panel: Panel,
    ports: Ports<L, B, P, M, W, S, D>,
    canvas: Canvas,
    drawn: Option<Drawn>,
    /// The next page that is not yet on the screen.
    next_page: u8,
    /// When the screen is tried again; `None` while it works.
    screen_ms: Option<u64>,
    out: Vec<u8, FRAME_BYTES>,
    sent: usize,
}

impl<L, B, P, M, W, S, D> Desk<L, B, P, M, W, S, D>
where
    L: OutputPin,
    B: OutputPin,
    P: OutputPin,
    M: InputPin,
    W: Wire,
    S: Screen,
    D: Dog,
{
    /// A panel at its ports.
    pub fn new(panel: Panel, ports: Ports<L, B, P, M, W, S, D>) -> Self {
        let (out, canvas) = (Vec::new(), Canvas::new());
        Self { panel, ports, canvas, drawn: None, next_page: PAGES, screen_ms: Some(0), out, sent: 0 }
    }

    /// The panel.
    pub fn panel(&self) -> &Panel {
        &self.panel
    }

    /// The ports.
    pub fn ports(&mut self) -> &mut Ports<L, B, P, M, W, S, D> {
        &mut self.ports
    }

    /// Does a little of everything, and waits for nothing. Gives the next line of the log. `stack_left` goes into the status.
    pub fn step(&mut self, now_ms: u64, stack_left: impl FnOnce() -> Option<u32>) -> Option<News> {
        for _ in 0..STEP_BYTES {
            let Some(byte) = self.ports.wire.receive() else { break };
            self.panel.hear(byte, now_ms);
        }
        let lost = self.ports.wire.lost();
        self.panel.lost(lost);
        // A pin that cannot be read is one that nobody presses.
        let button_down = self.ports.mute.is_low().unwrap_or(false);
        self.panel.tick(now_ms, button_down);
        self.set_pins(now_ms);
        self.answer(now_ms, stack_left);
        self.paint(now_ms);
        self.ports.dog.feed();
        self.panel.news()
    }

    fn set_pins(&mut self, now_ms: u64) {
        let outputs = self.panel.outputs(now_ms);
        // On chips a pin cannot fail.
        let _ = self.ports.led.set_state(outputs.led.into());
        let _ = self.ports.buzzer.set_state(outputs.buzzer.into());
        let _ = self.ports.power.set_state(outputs.power_cut.into());
    }

    fn answer(&mut self, now_ms: u64, stack_left: impl FnOnce() -> Option<u32>) {
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
            if let Some(mut status) = self.panel.status(now_ms) {
                status.stack_left = stack_left();
                let mut frame = [0; FRAME_BYTES];
                if let Ok(frame) = encode(&status, &mut frame) {
                    // It has room for the longest frame.
                    let _ = self.out.extend_from_slice(frame);
                }
            }
        }
        for _ in 0..STEP_BYTES {
            let Some(byte) = self.out.get(self.sent) else { break };
            if !self.ports.wire.send(*byte) {
                break;
            }
            self.sent += 1;
        }
    }

    /// Draws what changed, and brings one page of it to the screen.
    fn paint(&mut self, now_ms: u64) {
        if let Some(at_ms) = self.screen_ms {
            if now_ms < at_ms {
                return;
            }
            if !self.ports.screen.start() {
                self.screen_ms = Some(now_ms + SCREEN_MS);
                return;
            }
            (self.screen_ms, self.drawn) = (None, None);
        }
        if self.next_page == PAGES {
            let view = self.panel.view(now_ms);
            let scroll_px = draw::scroll_px(view.text, view.for_ms);
            // As the age is shown, which is seldom anew.
            let age = view.age_s.map(|age_s| draw::age(age_s).bytes().fold(0, hash));
            let text = view.text.bytes().fold(0, hash);
            let wanted = Some(Drawn { headline: view.headline, age, text, scroll_px });
            if self.drawn == wanted {
                return;
            }
            draw::draw(&view, scroll_px, &mut self.canvas);
            (self.drawn, self.next_page) = (wanted, 0);
        }
        if self.ports.screen.show(self.next_page, &draw::page(&self.canvas, self.next_page)) {
            self.next_page += 1;
        } else {
            (self.screen_ms, self.next_page) = (Some(now_ms + SCREEN_MS), PAGES);
        }
    }
}

/// FNV-1a.
fn hash(sum: u32, byte: u8) -> u32 {
    (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}
