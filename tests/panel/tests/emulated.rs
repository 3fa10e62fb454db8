//! The firmware in emulated chips against the runtime's own driver: what it tells, what its pins and its screen show.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use ocelli_drivers::{PanelConfig, PanelSink, probe_panel};
use ocelli_emulated::{
    BOARDS, Board, Build, Emulator, Picture, build, event, lacking, machine, root, sizes, survive, wait_until,
};
use ocelli_link::{Reset, Seeing, Status};
use ocelli_types::{EventKind, Severity, Sink as _};

/// Frames of garbage here; `cargo xtask panel` sends 100,000.
const GARBAGE: u64 = 3000;

/// Data registers of the LM3S6965's ports D and F, and the bits in them.
const PORT_D: u32 = 0x4000_73fc;
const BUZZER: u32 = 1 << 6;
const POWER: u32 = 1 << 7;

/// Whether there is nothing to be tested with, which is said; CI must have it.
fn skipped() -> bool {
    let Some(why) = lacking() else { return false };
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "CI must test the panel: {why}");
    eprintln!("SKIPPED: the panel's firmware is not tested: {why}");
    true
}

/// A board that runs, and a driver at its line.
struct Lab {
    board: Emulator,
    sink: PanelSink,
}

impl Lab {
    fn new(board: &Board, purpose: Build, config: impl FnOnce(PanelConfig) -> PanelConfig) -> Self {
        let elf = build(board, purpose).expect("the firmware builds");
        let board = Emulator::start(board, &elf).expect("it starts");
        let sink = PanelSink::start(config(PanelConfig::new(board.line()))).expect("there are threads");
        Self { board, sink }
    }

    fn status(&self) -> Status {
        self.sink.report().status.unwrap_or_default()
    }

    /// While the program thinks.
    fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) {
        self.until_the(what, |lab| lab.sink.report().status.is_some_and(|status| is_so(&status)));
    }

    fn until_the(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let alive = || {
            self.sink.alive();
            is_so(self)
        };
        wait_until(what, alive, || format!("{:?}, log {:#?}", self.sink.report(), self.board.log()));
    }
}

#[test]
#[ignore = "held to seconds, so not beside others; `cargo xtask test` runs it by itself"]
fn every_board_fits_its_chip_with_room_for_its_stack() {
    if skipped() {
        return;
    }
    for board in &BOARDS {
        let took = sizes(&build(board, Build::Board).expect("the firmware builds")).expect("it is an ELF file");
        let (name, budget) = (board.name, board.flash_budget);
        assert!(took.flash > 8192 && took.flash <= budget, "{name} takes {} bytes of flash, of {budget}", took.flash);
        assert!(took.ram + 4096 <= board.ram, "{name} has {} bytes of variables in {} of RAM", took.ram, board.ram);
    }
}

#[test]
#[ignore = "held to seconds, so not beside others; `cargo xtask test` runs it by itself"]
fn on_every_emulated_board_events_come_through_and_the_end_too() {
    if skipped() {
        return;
    }
    for board in BOARDS.iter().filter(|board| board.cpu.is_some()) {
        let mut lab = Lab::new(board, Build::Emulator, |config| config);
        lab.until("it hears heartbeats", |status| status.seeing == Seeing::Watching && status.beats > 1);
        lab.sink.emit(&event(EventKind::Narration, 1, "a person comes in")).expect("there is room");
        lab.sink.emit(&event(EventKind::Alert, 2, "a person falls to the floor")).expect("there is room");
        lab.sink.tell(&event(EventKind::Alert, 3, "the door is open"), Severity::Notice).expect("there is room");
        lab.until("it has two alerts", |status| status.open == 2);
        lab.sink.over(2).expect("there is room");
        lab.sink.over(3).expect("there is room");
        lab.until("nothing is open", |status| status.open == 0);
        let left = lab.status().stack_left.expect("it counts");
        assert!(left > 1024, "{}: {left} bytes of stack are left", board.name);
        lab.sink.ends();
        drop(lab.sink);
        wait_until("it hears the end", || lab.board.told("Ended"), || format!("{:#?}", lab.board.log()));
        for words in ["session 0x", "Watching", "Alert { alarm: true, id: 2 }", "Alert { alarm: false, id: 3 }"] {
            assert!(lab.board.told(words), "{}: {words}: {:#?}", board.name, lab.board.log());
        }
        let status = probe_panel(&PanelConfig::new(lab.board.line())).expect("`ocelli check` finds it");
        assert_eq!((status.seeing, status.reset), (Seeing::Ended, Reset::Start), "{}", board.name);
    }
}

#[test]
#[ignore = "held to seconds, so not beside others; `cargo xtask test` runs it by itself"]
fn the_button_silences_the_buzzer_and_the_runtime_hears_of_it() {
    if skipped() {
        return;
    }
    let mut lab = Lab::new(machine("lm3s6965evb"), Build::Emulator, |config| config);
    lab.until("it hears heartbeats", |status| status.beats > 0);
    lab.sink.emit(&event(EventKind::Alert, 41, "a person falls")).expect("there is room");
    lab.until("it has an alert", |status| status.open == 1);
    let sounds = |lab: &Lab| lab.board.word(PORT_D).expect("a port") & BUZZER != 0;
    lab.until_the("the buzzer sounds", sounds);
    // The board's select button. In the emulator it is down until it was released once.
    for _ in 0..2 {
        lab.board.monitor("sendkey ctrl 200").expect("there is a key");
        thread::sleep(Duration::from_millis(500));
    }
    lab.until("it was pressed", |status| status.presses == 1 && status.open == 0);
    lab.until_the("the runtime hears of it", |lab| lab.sink.acknowledged() == Some(41));
    for _ in 0..20 {
        assert!(!sounds(&lab), "it is quiet");
        thread::sleep(Duration::from_millis(100));
    }
    assert!(lab.board.told("Pressed"));
    assert_eq!(lab.sink.acknowledged(), None, "once");
}

#[test]
#[ignore = "held to seconds, so not beside others; `cargo xtask test` runs it by itself"]
fn a_program_that_hangs_is_told_and_its_computers_power_is_cut() {
    if skipped() {
        return;
    }
    let config = |config| PanelConfig {
        silent_after: Duration::from_secs(2),
        power_cycle_after: Some(Duration::from_secs(5)),
        beat_for: Duration::from_secs(1),
        ..config
    };
    let lab = Lab::new(machine("lm3s6965evb"), Build::Emulator, config);
    lab.until("it hears heartbeats", |status| status.seeing == Seeing::Watching && status.beats > 1);
    // The driver's thread lives, and the program does not say that it thinks.
    let look = |lab: &Lab| format!("{:?}, log {:#?}", lab.sink.report(), lab.board.log());
    wait_until("it is silent", || lab.status().seeing == Seeing::Silent, || look(&lab));
    let power = |lab: &Lab| lab.board.word(PORT_D).expect("a port") & POWER != 0;
    wait_until("the power is cut", || power(&lab), || look(&lab));
    wait_until("the power comes back", || !power(&lab), || look(&lab));
    lab.until("it thinks again", |status| status.seeing == Seeing::Watching);
    assert!(lab.board.told("Silent") && lab.board.told("PowerCut(1)"), "{:#?}", lab.board.log());
}

#[test]
#[ignore = "held to seconds, so not beside others; `cargo xtask test` runs it by itself"]
fn the_screen_shows_what_is_drawn() {
    if skipped() {
        return;
    }
    let mut lab = Lab::new(machine("lm3s6965evb"), Build::Emulator, |config| config);
    lab.until("it hears heartbeats", |status| status.beats > 0);
    // In the picture it is five seconds old. Where all is slow that second may be missed: then it is told anew.
    let wanted = Picture::read(&root().join("tests/panel/pictures/alarm.pbm")).expect("it is there");
    let mut nearest = (usize::MAX, String::new());
    for id in 1..=6 {
        lab.sink.emit(&event(EventKind::Alert, id, "hall: a person falls to the floor")).expect("there is room");
        let until = Instant::now() + Duration::from_secs(8);
        while nearest.0 > 0 && Instant::now() < until {
            lab.sink.alive();
            let picture = lab.board.picture().expect("it has a screen");
            let differences = picture.differences(&wanted);
            if differences < nearest.0 {
                nearest = (differences, picture.to_string());
            }
        }
        lab.sink.over(id).expect("there is room");
    }
    let shown = nearest.1.replace('0', " ").replace('1', "#");
    assert_eq!(nearest.0, 0, "pixels differ, at the least:\n{shown}");
}

#[test]
#[ignore = "held to seconds, so not beside others; `cargo xtask test` runs it by itself"]
fn a_loop_that_hangs_is_reset_by_the_watchdog_and_told() {
    if skipped() {
        return;
    }
    for name in ["lm3s6965evb", "mps2-an385"] {
        let mut lab = Lab::new(machine(name), Build::Hanging, |config| config);
        lab.until("it hears heartbeats", |status| status.beats > 0);
        let session = lab.status().session;
        lab.sink.emit(&event(EventKind::Alert, 1, "a person falls")).expect("there is room");
        lab.until_the("it hangs", |lab| lab.board.told("hanging"));
        // It is told the alarm again then, and hangs again.
        lab.until("the watchdog resets it", |status| status.session != session && status.reset == Reset::Watchdog);
        // The newest word alone is kept, and that it does not answer, as it hangs again, may come between this and the look at it.
        let said = "the panel was reset by its watchdog, and is there again";
        lab.until_the("the runtime tells it", |lab| lab.sink.news().as_deref() == Some(said));
        // Its log comes another way than what the runtime hears, and may be read later on a busy machine.
        lab.until_the("its log has it", |lab| lab.board.told("by the watchdog: true"));
    }
}

#[test]
#[ignore = "held to seconds, so not beside others; `cargo xtask test` runs it by itself"]
fn garbage_between_heartbeats_costs_none() {
    if skipped() {
        return;
    }
    thread::scope(|scope| {
        for board in BOARDS.iter().filter(|board| board.cpu.is_some()) {
            scope.spawn(move || {
                let survived = survive(board, GARBAGE).unwrap_or_else(|error| panic!("{}: {error:#}", board.name));
                assert_eq!(survived.garbage, GARBAGE);
                assert_eq!(survived.beats.0, u64::from(survived.beats.1));
                assert!(survived.beats.0 >= GARBAGE / 20, "{}: {survived:?}", board.name);
            });
        }
    });
}
