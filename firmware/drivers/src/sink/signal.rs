//! Lamps, sirens or relays that are on while an alert is open, and a button that mutes them.
//!
//! Telling it of an event only notes it. A thread of its own drives the pins and reads the button, so that a slow chip behind a bus
//! keeps nobody waiting. A new alert, and one that is told again, ends the silence.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ocelli_types::{Event, EventKind, Sink};

use crate::gpio::{InputLine, OutputLine};

/// Stack of its thread.
pub const SIGNAL_STACK_BYTES: usize = 64 << 10;

/// Alerts that are held open at most; of more the oldest are forgotten.
const MOST_ALERTS: usize = 32;

/// How often the button is looked at. It counts as pressed when it was so twice in a row: contacts bounce for some milliseconds.
const LOOK: Duration = Duration::from_millis(30);

/// What has not failed for so long is well again.
const WELL: Duration = Duration::from_mins(1);

/// An open alert.
#[derive(Debug)]
struct Open {
    id: u64,
    camera: String,
    text: String,
    muted: bool,
    /// Whether it is over.
    over: bool,
    /// Until when its output stays on all the same.
    least: Instant,
}

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<Vec<Open>>,
    /// Whether the button was pressed since it was asked for.
    pressed: AtomicBool,
    over: AtomicBool,
}

/// Drives outputs while alerts are open.
#[derive(Debug)]
pub struct SignalSink {
    shared: Arc<Shared>,
    at_least: Duration,
    troubles: Receiver<String>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SignalSink {
    /// Starts the thread. Outputs stay on for `at_least` this long, however short an alert is.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(
        outputs: Vec<Box<dyn OutputLine>>,
        button: Option<Box<dyn InputLine>>,
        at_least: Duration,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        // Room for what each says at once.
        let (tell, troubles) = sync_channel(outputs.len() + 1);
        let mut drive = Drive::new(outputs, button, Arc::clone(&shared));
        let run = move || {
            while !drive.shared.over.load(Ordering::Relaxed) {
                drive.step(Instant::now(), |trouble| drop(tell.try_send(trouble)));
                thread::sleep(LOOK);
            }
            drive.switch(false, Instant::now(), drop);
        };
        let thread = thread::Builder::new().name("signal".into()).stack_size(SIGNAL_STACK_BYTES).spawn(run)?;
        Ok(Self { shared, at_least, troubles, thread: Some(thread) })
    }

    /// Whether the button was pressed since this was asked. It has muted the outputs by itself.
    pub fn was_pressed(&self) -> bool {
        self.shared.pressed.swap(false, Ordering::Relaxed)
    }

    /// An alert was acknowledged.
    pub fn acknowledged(&self, id: u64) {
        self.open().iter_mut().filter(|open| open.id == id).for_each(|open| open.muted = true);
    }

    /// That a pin fails, each once until it was well for a minute.
    pub fn trouble(&self) -> Option<String> {
        self.troubles.try_recv().ok()
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Vec<Open>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SignalSink {
    /// Outputs go off.
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Sink for SignalSink {
    type Error = Infallible;

    fn emit(&mut self, event: &Event<'_>) -> Result<(), Infallible> {
        let mut all = self.open();
        match event.kind {
            EventKind::Alert => {
                all.retain(|open| open.id != event.id);
                if all.len() == MOST_ALERTS {
                    all.remove(0);
                }
                let (camera, text) = (event.camera.to_owned(), event.text.to_owned());
                let least = Instant::now() + self.at_least;
                all.push(Open { id: event.id, camera, text, muted: false, over: false, least });
            }
            EventKind::AlertEnd => {
                let of_it = |open: &&mut Open| open.camera == event.camera && open.text == event.text;
                all.iter_mut().filter(of_it).for_each(|open| open.over = true);
            }
            _ => {}
        }
        Ok(())
    }
}

/// When a pin failed last.
#[derive(Debug, Default)]
struct Trouble(Option<Instant>);

impl Trouble {
    /// It fails now. Whether it should be told: once, until it was well for so long.
    fn is_new(&mut self, now: Instant) -> bool {
        self.0.replace(now).is_none_or(|before| now.saturating_duration_since(before) >= WELL)
    }
}

struct Output {
    line: Box<dyn OutputLine>,
    /// What it was switched to; `None` where that failed.
    is_on: Option<bool>,
    trouble: Trouble,
}

/// The thread's side.
struct Drive {
    outputs: Vec<Output>,
    button: Option<(Box<dyn InputLine>, Trouble)>,
    shared: Arc<Shared>,
    /// The button in the two looks before.
    pressed: [bool; 2],
}

impl Drive {
    /// Of outputs that are off, as they are taken.
    fn new(outputs: Vec<Box<dyn OutputLine>>, button: Option<Box<dyn InputLine>>, shared: Arc<Shared>) -> Self {
        let output = |line| Output { line, is_on: Some(false), trouble: Trouble::default() };
        let outputs = outputs.into_iter().map(output).collect();
        Self { outputs, button: button.map(|button| (button, Trouble::default())), shared, pressed: [false; 2] }
    }

    /// Looks at the button and switches what has changed, each output whatever the button or another one says.
    fn step(&mut self, now: Instant, mut tell: impl FnMut(String)) {
        self.look(now, &mut tell);
        let on = {
            let mut all = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|open| !open.over || now < open.least);
            all.iter().any(|open| !open.muted)
        };
        self.switch(on, now, tell);
    }

    /// Mutes what is open where the button is pressed.
    fn look(&mut self, now: Instant, mut tell: impl FnMut(String)) {
        let Some((button, trouble)) = &mut self.button else { return };
        let is_on = match button.is_on() {
            Ok(is_on) => is_on,
            Err(error) if trouble.is_new(now) => return tell(format!("the mute button fails: {error}")),
            Err(_) => return,
        };
        let [before, last] = self.pressed;
        self.pressed = [last, is_on];
        if is_on && last && !before {
            self.shared.pressed.store(true, Ordering::Relaxed);
            let mut all = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter_mut().for_each(|open| open.muted = true);
        }
    }

    /// Switches the outputs that are not so yet. One that fails is tried again by the next call.
    fn switch(&mut self, on: bool, now: Instant, mut tell: impl FnMut(String)) {
        for output in self.outputs.iter_mut().filter(|output| output.is_on != Some(on)) {
            let set = output.line.set(on);
            output.is_on = set.is_ok().then_some(on);
            if let Err(error) = set
                && output.trouble.is_new(now)
            {
                tell(format!("an alert output fails: {error}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::falls;
    use super::*;
    use crate::PeripheralError;

    /// A pin that a test sees, or presses.
    #[derive(Clone, Default)]
    struct Pin(Arc<AtomicBool>, Arc<AtomicBool>);

    impl Pin {
        fn is_there(&self) -> Result<(), PeripheralError> {
            let gone = || PeripheralError::Pin { of: "/dev/gpiochip0".into(), pin: 4, why: "it was pulled out".into() };
            if self.1.load(Ordering::Relaxed) { Err(gone()) } else { Ok(()) }
        }

        fn goes(&self, gone: bool) {
            self.1.store(gone, Ordering::Relaxed);
        }

        fn lit(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl OutputLine for Pin {
        fn set(&mut self, on: bool) -> Result<(), PeripheralError> {
            self.is_there().map(|()| self.0.store(on, Ordering::Relaxed))
        }
    }

    impl InputLine for Pin {
        fn is_on(&mut self) -> Result<bool, PeripheralError> {
            self.is_there().map(|()| self.0.load(Ordering::Relaxed))
        }
    }

    struct Bench {
        lamp: Pin,
        siren: Pin,
        button: Pin,
        sink: SignalSink,
        drive: Drive,
        now: Instant,
    }

    /// The sink and the thread's side of it, in one thread.
    fn bench() -> Bench {
        let (lamp, siren, button) = (Pin::default(), Pin::default(), Pin::default());
        let shared = Arc::new(Shared::default());
        let (_, troubles) = sync_channel(1);
        let sink = SignalSink { shared: Arc::clone(&shared), at_least: Duration::from_secs(5), troubles, thread: None };
        let outputs = [&lamp, &siren].map(|pin| Box::new(pin.clone()) as Box<dyn OutputLine>);
        let drive = Drive::new(outputs.into(), Some(Box::new(button.clone())), shared);
        Bench { lamp, siren, button, sink, drive, now: Instant::now() }
    }

    impl Bench {
        fn tell(&mut self, id: u64, kind: EventKind) {
            let Ok(()) = self.sink.emit(&Event { id, kind, ..falls() });
        }

        /// Whether the lamp is on after so long.
        fn after(&mut self, time: Duration) -> bool {
            self.now += time;
            self.drive.step(self.now, |trouble| panic!("{trouble}"));
            assert_eq!(self.lamp.lit(), self.siren.lit(), "all outputs are alike");
            self.lamp.lit()
        }

        /// Which outputs are on after a step, and what was told in it.
        fn failing(&mut self) -> ([bool; 2], Vec<String>) {
            let mut told = Vec::new();
            self.drive.step(self.now, |trouble| told.push(trouble));
            ([self.lamp.lit(), self.siren.lit()], told)
        }

        fn press(&mut self, pressed: bool) {
            self.button.0.store(pressed, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_lamp_is_on_while_an_alert_is_open_and_for_a_least_time() {
        let mut bench = bench();
        bench.tell(1, EventKind::Narration);
        assert!(!bench.after(LOOK), "a narration is no alert");
        bench.tell(2, EventKind::Alert);
        assert!(bench.after(LOOK) && bench.after(Duration::from_hours(1)));
        bench.tell(3, EventKind::AlertEnd);
        assert!(!bench.after(LOOK));
        bench.now = Instant::now();
        bench.tell(4, EventKind::Alert);
        bench.tell(5, EventKind::AlertEnd);
        assert!(bench.after(LOOK), "a short one can be seen");
        assert!(!bench.after(Duration::from_secs(5)));
    }

    #[test]
    fn the_button_mutes_what_is_open_and_a_new_alert_ends_the_silence() {
        let mut bench = bench();
        bench.tell(2, EventKind::Alert);
        assert!(bench.after(LOOK));
        bench.press(true);
        assert!(bench.after(LOOK), "a bounce is no press");
        assert!(!bench.after(LOOK));
        assert!(bench.sink.was_pressed() && !bench.sink.was_pressed(), "once");
        assert!(!bench.after(LOOK) && !bench.sink.was_pressed(), "a button that is held is one press");
        bench.tell(6, EventKind::Alert);
        assert!(bench.after(LOOK), "although the button is still held");
        bench.sink.acknowledged(6);
        assert!(!bench.after(LOOK));
        bench.tell(6, EventKind::Alert);
        assert!(bench.after(LOOK), "it was told again");
    }

    #[test]
    fn no_pin_that_fails_keeps_another_from_being_switched_or_told_of() {
        let (button, output) = (
            "the mute button fails: pin 4 of /dev/gpiochip0: it was pulled out",
            "an alert output fails: pin 4 of /dev/gpiochip0: it was pulled out",
        );
        let mut bench = bench();
        bench.button.goes(true);
        bench.tell(1, EventKind::Alert);
        assert_eq!(bench.failing(), ([true; 2], vec![button.into()]));
        // It fails for good, and is told once.
        bench.sink.acknowledged(1);
        assert_eq!(bench.failing(), ([false; 2], vec![]));
        for first in [true, false] {
            let pin = if first { bench.lamp.clone() } else { bench.siren.clone() };
            pin.goes(true);
            bench.tell(2, EventKind::Alert);
            assert_eq!(bench.failing(), ([!first, first], vec![output.into()]), "the other is on");
            bench.sink.acknowledged(2);
            assert_eq!(bench.failing(), ([false; 2], vec![]), "it is not known to be off, and was told");
            pin.goes(false);
            assert!(!bench.after(LOOK));
        }
        // One that comes back while the alert goes on is switched on.
        bench.siren.goes(true);
        bench.tell(3, EventKind::Alert);
        assert_eq!(bench.failing(), ([true, false], vec![]), "it has not been well for a minute");
        bench.siren.goes(false);
        assert!(bench.after(LOOK));
        bench.button.goes(false);
        bench.press(true);
        bench.after(LOOK);
        assert!(!bench.after(LOOK), "the button mutes again");
    }

    #[test]
    fn a_pin_that_fails_is_told_once_and_lamps_go_off_at_the_end() {
        let lamp = Pin::default();
        let (outputs, least) = (vec![Box::new(lamp.clone()) as Box<dyn OutputLine>], Duration::ZERO);
        let mut sink = SignalSink::start(outputs, None, least).expect("there are threads");
        let Ok(()) = sink.emit(&Event { id: 1, kind: EventKind::Alert, ..falls() });
        let lit = || lamp.lit();
        let until = Instant::now() + Duration::from_mins(1);
        while !lit() {
            assert!(Instant::now() < until, "it goes on");
            thread::sleep(LOOK);
        }
        lamp.goes(true);
        let Ok(()) = sink.emit(&Event { id: 2, kind: EventKind::AlertEnd, ..falls() });
        let said = sink.troubles.recv_timeout(Duration::from_mins(1)).expect("it is told");
        assert_eq!(said, "an alert output fails: pin 4 of /dev/gpiochip0: it was pulled out");
        assert_eq!(sink.trouble(), None);
        lamp.goes(false);
        drop(sink);
        assert!(!lit());
    }

    #[test]
    fn trouble_is_told_again_where_the_pin_was_well_for_a_minute_between() {
        let (mut trouble, mut now) = (Trouble::default(), Instant::now());
        assert!(trouble.is_new(now));
        // A contact that fails now and then, for an hour.
        for _ in 0..360 {
            now += Duration::from_secs(10);
            assert!(!trouble.is_new(now));
        }
        now += WELL;
        assert!(trouble.is_new(now));
    }
}
