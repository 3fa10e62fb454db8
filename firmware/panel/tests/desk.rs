//! The loop's body at fake ports, and what is on the screen.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use ocelli_link::{Deframer, FRAME_BYTES, Level, Packet, Reset, Status, ToPanel, encode};
use ocelli_panel::{Canvas, Desk, Dog, Guarded, PAGES, Panel, Ports, Screen, View, WIDTH, Wire, draw, page};

/// What all ports of a board do.
#[derive(Debug, Default)]
struct Board {
    led: bool,
    button: bool,
    coming: VecDeque<u8>,
    sent: Vec<u8>,
    /// Bytes that the line takes; it is stuck at none.
    room: usize,
    has_screen: bool,
    starts: u32,
    pages: Vec<[u8; WIDTH]>,
    fed: u32,
}

type Shared = Rc<RefCell<Board>>;

struct Pin(Shared);
struct Line(Shared);
struct Glass(Shared);
struct Watchdog(Shared);

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.borrow_mut().led = false;
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.borrow_mut().led = true;
        Ok(())
    }
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.borrow().button)
    }
    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.borrow().button)
    }
}

impl Wire for Line {
    fn receive(&mut self) -> Option<u8> {
        self.0.borrow_mut().coming.pop_front()
    }
    fn send(&mut self, byte: u8) -> bool {
        let mut board = self.0.borrow_mut();
        let has_room = board.room > 0;
        if has_room {
            board.room -= 1;
            board.sent.push(byte);
        }
        has_room
    }
    fn lost(&mut self) -> u32 {
        0
    }
}

impl Screen for Glass {
    fn start(&mut self) -> bool {
        let mut board = self.0.borrow_mut();
        board.starts += 1;
        board.has_screen
    }
    fn show(&mut self, page: u8, columns: &[u8; WIDTH]) -> bool {
        let mut board = self.0.borrow_mut();
        board.pages.resize(usize::from(PAGES), [0; WIDTH]);
        board.pages[usize::from(page)] = *columns;
        board.has_screen
    }
}

impl Dog for Watchdog {
    fn feed(&mut self) {
        self.0.borrow_mut().fed += 1;
    }
}

struct NoPin;

impl ErrorType for NoPin {
    type Error = Infallible;
}

impl OutputPin for NoPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

type TestDesk = Desk<Pin, NoPin, NoPin, Pin, Line, Glass, Watchdog>;

fn desk() -> (TestDesk, Shared) {
    let board = Rc::new(RefCell::new(Board { room: usize::MAX, has_screen: true, ..Board::default() }));
    let ports = Ports {
        led: Pin(board.clone()),
        buzzer: NoPin,
        power: NoPin,
        mute: Pin(board.clone()),
        wire: Line(board.clone()),
        screen: Glass(board.clone()),
        dog: Watchdog(board.clone()),
    };
    (Desk::new(Panel::new(9, Reset::Start, 0), ports), board)
}

fn frame(number: u32, message: ToPanel<'_>) -> Vec<u8> {
    encode(&Packet { session: 9, number, message }, &mut [0; FRAME_BYTES]).expect("it fits").to_vec()
}

fn picture(board: &Shared) -> Vec<String> {
    let board = board.borrow();
    let row =
        |y: usize| (0..WIDTH).map(|x| if board.pages[y / 8][x] >> (y % 8) & 1 == 1 { '1' } else { '0' }).collect();
    (0..usize::from(PAGES) * 8).map(row).collect()
}

#[test]
fn each_step_does_a_little_of_everything() {
    let (mut desk, board) = desk();
    board.borrow_mut().coming.extend(frame(1, ToPanel::Beat));
    let text = "a person falls";
    board.borrow_mut().coming.extend(frame(2, ToPanel::Tell { level: Level::Alarm, id: 4, age_s: 0, text }));
    (0..3000).for_each(|ms| {
        desk.step(ms, || Some(1234));
    });
    let mut deframer = Deframer::new();
    let sent = board.borrow().sent.clone();
    let said: Vec<Status> =
        sent.iter().filter_map(|byte| deframer.push(*byte)).map(|said| said.expect("whole")).collect();
    let last = said.last().expect("one a second");
    assert_eq!((said.len(), last.heard, last.beats, last.open, last.stack_left), (3, 2, 1, 1, Some(1234)));
    assert_eq!(board.borrow().fed, 3000);
    assert!(board.borrow().pages[0][..60].contains(&0xff), "the headline's bar");
}

/// A line that takes nothing and a screen that is not there cost nobody else.
#[test]
fn nothing_waits_for_what_does_not_answer() {
    let (mut desk, board) = desk();
    (board.borrow_mut().room, board.borrow_mut().has_screen) = (5, false);
    for ms in 0..20_000 {
        if ms % 1000 == 0 {
            board.borrow_mut().coming.extend(frame(ms as u32 / 1000 + 1, ToPanel::Beat));
        }
        desk.step(ms, || None);
    }
    assert_eq!((board.borrow().fed, board.borrow().sent.len(), board.borrow().starts), (20_000, 5, 4));
    (board.borrow_mut().room, board.borrow_mut().has_screen) = (usize::MAX, true);
    (20_000..27_000).for_each(|ms| {
        desk.step(ms, || None);
    });
    assert_eq!(board.borrow().pages.len(), usize::from(PAGES), "the screen was found");
    let mut deframer = Deframer::new();
    let sent = board.borrow().sent.clone();
    let said: Vec<Status> = sent.iter().filter_map(|byte| deframer.push(*byte)).filter_map(Result::ok).collect();
    assert_eq!(said.last().map(|status| status.beats), Some(20));
}

/// With `OVERWRITE=1` they are drawn anew. The emulated OLED is held to the same pictures (`tests/panel`).
#[test]
fn pictures_are_as_they_were() {
    let alarm = "hall: a person falls to the floor";
    let long = "This is longer than the screen has room for, so that it must scroll: it goes on and on, and on, until all of \
                it was seen by whoever stands before it.";
    let latin = "Küche: die Tür ist offen. 厨房";
    for (name, headline, loud, age_s, text, scroll_px) in [
        ("alarm", "ALARM", true, Some(5), alarm, 0),
        ("watching", "Watching", false, Some(185), "a person comes in", 0),
        ("silent", "SILENT", true, Some(7200), "The camera computer is silent. Nobody watches.", 0),
        ("scrolled", "Notice", false, None, long, 17),
        ("latin", "Watching", false, Some(59), latin, 0),
    ] {
        let mut canvas = Canvas::new();
        draw(&View { headline, loud, age_s, text, for_ms: 0 }, scroll_px, &mut canvas);
        let board = Rc::new(RefCell::new(Board::default()));
        board.borrow_mut().pages = (0..PAGES).map(|n| page(&canvas, n)).collect();
        let drawn = format!("P1\n128 64\n{}\n", picture(&board).join("\n"));
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/panel/pictures/{name}.pbm"));
        if std::env::var_os("OVERWRITE").is_some() {
            std::fs::write(&file, &drawn).expect("it can be written");
        }
        let wanted = std::fs::read_to_string(&file).expect("it is there");
        assert!(drawn == wanted, "{name} is\n{}", drawn.replace('0', " ").replace('1', "#"));
    }
}

/// A screen that is asked, in a test, what is kept of its work.
struct Asked(&'static AtomicU32, Vec<u32>);

impl Screen for Asked {
    fn start(&mut self) -> bool {
        self.1.push(self.0.load(Ordering::Relaxed));
        true
    }

    fn show(&mut self, _: u8, _: &[u8; WIDTH]) -> bool {
        self.start()
    }
}

/// One that never comes back.
struct Hangs(&'static AtomicU32);
impl Screen for Hangs {
    fn start(&mut self) -> bool {
        panic!("{}", self.0.load(Ordering::Relaxed));
    }

    fn show(&mut self, _: u8, _: &[u8; WIDTH]) -> bool {
        self.start()
    }
}

#[test]
fn a_screen_that_never_came_back_is_left_out_after_the_watchdog_alone() {
    static KEPT: AtomicU32 = AtomicU32::new(7);
    let mut screen = Guarded::new(Asked(&KEPT, Vec::new()), &KEPT, Reset::Watchdog);
    assert!(screen.start() && screen.show(0, &[0; WIDTH]), "it was not at work when the watchdog came");
    assert_eq!(KEPT.load(Ordering::Relaxed), 0);
    // The watchdog comes while it works: that is what stays.
    let hung = std::panic::catch_unwind(|| Guarded::new(Hangs(&KEPT), &KEPT, Reset::Start).show(3, &[0; WIDTH]));
    hung.expect_err("it does not come back");
    let mut left_out = Guarded::new(Hangs(&KEPT), &KEPT, Reset::Watchdog);
    assert!(!left_out.start() && !left_out.show(0, &[0; WIDTH]), "and is not asked again");
    assert!(!Guarded::new(Hangs(&KEPT), &KEPT, Reset::Watchdog).start(), "nor after the next");
    assert!(Guarded::new(Asked(&KEPT, Vec::new()), &KEPT, Reset::Start).start(), "after the power was cut it is");
}
