//! A status screen: the last narration, the time, cameras, alerts and memory, on a panel that may be slow.
//!
//! Telling the screen of an event only notes it; a thread of the screen's own draws what is noted then, at the pace that the panel
//! bears. A panel that fails is tried again with the next picture, and told once.

mod canvas;
mod panel;
mod screen;
mod text;

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ocelli_types::{Event, EventKind, Sink};

pub use panel::{Panel, PanelKind, PanelPlace, open as open_panel};
pub use screen::{Said, Status, Vitals};

use self::canvas::Canvas;
use super::console::local_second_of_day;

/// Stack of the screen's thread.
pub const DISPLAY_STACK_BYTES: usize = 128 << 10;

/// Alerts that are shown at most; of more the oldest are forgotten.
const MOST_ALERTS: usize = 32;

/// The longest text that is kept, in characters: no panel has room for more.
const MOST_CHARACTERS: usize = 400;

/// How often the screen is drawn anew although nothing was told: for the clock and the bar.
const TICK: Duration = Duration::from_secs(10);

/// The time of day and the state of the device, as the program knows them.
pub type Look = Box<dyn Fn() -> (u64, Vitals) + Send>;

/// What was noted, for the thread that draws.
#[derive(Debug, Default)]
struct Noted {
    cameras: Vec<(String, bool)>,
    said: Option<Noticed>,
    /// Open alerts: id, whether it is muted, and what.
    alerts: Vec<(u64, bool, Noticed)>,
    /// Whether something has changed since the last picture, and whether that was an alert.
    changed: bool,
    urgent: bool,
    over: bool,
}

#[derive(Clone, Debug)]
struct Noticed {
    unix_ms: Option<u64>,
    camera: String,
    text: String,
    language: String,
}

/// Shows events on a panel.
#[derive(Debug)]
pub struct DisplaySink {
    noted: Arc<(Mutex<Noted>, Condvar)>,
    /// Wall clock at stream time zero; `None` for a clip.
    start_unix_ms: Option<u64>,
    troubles: Receiver<String>,
    thread: Option<thread::JoinHandle<()>>,
}

impl DisplaySink {
    /// Starts the thread that draws. `look` tells it the time (milliseconds since 1970) and how the device is.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(
        panel: Box<dyn Panel>,
        kind: PanelKind,
        cameras: impl IntoIterator<Item = String>,
        start_unix_ms: Option<u64>,
        look: Look,
    ) -> io::Result<Self> {
        let cameras = cameras.into_iter().map(|name| (name, true)).collect();
        let noted = Arc::new((Mutex::new(Noted { cameras, changed: true, ..Noted::default() }), Condvar::new()));
        let (tell, troubles) = sync_channel(1);
        let screen =
            Screen { panel, kind, noted: Arc::clone(&noted), look, live: start_unix_ms.is_some(), failed: false };
        let draw = move || screen.run(&mut |trouble| drop(tell.try_send(trouble)));
        let thread = thread::Builder::new().name("display".into()).stack_size(DISPLAY_STACK_BYTES).spawn(draw)?;
        Ok(Self { noted, start_unix_ms, troubles, thread: Some(thread) })
    }

    /// A camera that was blind sees again.
    pub fn sees(&self, camera: &str) {
        self.note(false, |noted| noted.see(camera, true));
    }

    /// All open alerts are muted.
    pub fn mute(&self) {
        self.note(true, |noted| noted.alerts.iter_mut().for_each(|(_, muted, _)| *muted = true));
    }

    /// An alert was acknowledged.
    pub fn acknowledged(&self, id: u64) {
        self.note(true, |noted| {
            noted.alerts.iter_mut().filter(|(alert, ..)| *alert == id).for_each(|(_, muted, _)| *muted = true);
        });
    }

    /// That the panel fails, or works again.
    pub fn trouble(&self) -> Option<String> {
        self.troubles.try_recv().ok()
    }

    fn note(&self, urgent: bool, change: impl FnOnce(&mut Noted)) {
        let (noted, wake) = &*self.noted;
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut noted);
        (noted.changed, noted.urgent) = (true, noted.urgent | urgent);
        wake.notify_one();
    }
}

impl Drop for DisplaySink {
    /// The last picture is shown, unless the panel takes long.
    fn drop(&mut self) {
        self.note(true, |noted| noted.over = true);
        let until = Instant::now() + Duration::from_secs(1);
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

impl Sink for DisplaySink {
    type Error = Infallible;

    /// Notes it, and never waits for the panel.
    fn emit(&mut self, event: &Event<'_>) -> Result<(), Infallible> {
        let relation = event.relation.and_then(|relation| relation.words(event.language)).unwrap_or_default();
        let text: String = relation.chars().chain(event.text.chars()).take(MOST_CHARACTERS).collect();
        let what = || Noticed {
            unix_ms: self
                .start_unix_ms
                .map_or(Some(event.start_us.0 / 1000), |start| Some(start + event.start_us.0 / 1000)),
            camera: event.camera.to_owned(),
            text,
            language: event.language.to_owned(),
        };
        match event.kind {
            EventKind::Narration => self.note(false, |noted| {
                noted.see(event.camera, true);
                noted.said = Some(what());
            }),
            EventKind::Alert => self.note(true, |noted| noted.open(event.id, what())),
            EventKind::AlertEnd => self.note(true, |noted| {
                noted.alerts.retain(|(_, _, open)| open.camera != event.camera || open.text != event.text);
            }),
            EventKind::Blind => self.note(true, |noted| noted.see(event.camera, false)),
            EventKind::Update | EventKind::Health | EventKind::Camera => {}
        }
        Ok(())
    }
}

impl Noted {
    fn see(&mut self, camera: &str, sees: bool) {
        self.cameras.iter_mut().filter(|(name, _)| name == camera).for_each(|(_, state)| *state = sees);
    }

    /// One that is told again is not muted any more.
    fn open(&mut self, id: u64, what: Noticed) {
        self.alerts.retain(|(open, ..)| *open != id);
        if self.alerts.len() == MOST_ALERTS {
            self.alerts.remove(0);
        }
        self.alerts.push((id, false, what));
    }

    fn status(&self, clock: String, vitals: Vitals, live: bool) -> Status {
        let said = |noticed: &Noticed| Said {
            clock: noticed.unix_ms.map(|ms| time_of_day(ms, live)).unwrap_or_default(),
            camera: noticed.camera.clone(),
            text: noticed.text.clone(),
            language: noticed.language.clone(),
        };
        let open = self.alerts.iter().filter(|(_, muted, _)| !muted);
        Status {
            clock,
            cameras: self.cameras.clone(),
            said: self.said.as_ref().map(said),
            alerts: open.map(|(.., what)| said(what)).collect(),
            muted: self.alerts.iter().filter(|(_, muted, _)| *muted).count(),
            vitals,
        }
    }
}

/// `12:03` here; of a clip the minutes and seconds since it began.
fn time_of_day(unix_ms: u64, live: bool) -> String {
    let (high, low) = if live { (3600, 60) } else { (60, 1) };
    let second = if live { local_second_of_day(unix_ms / 1000) } else { unix_ms / 1000 };
    format!("{:02}:{:02}", second / high, second / low % 60)
}

/// The thread that draws.
struct Screen {
    panel: Box<dyn Panel>,
    kind: PanelKind,
    noted: Arc<(Mutex<Noted>, Condvar)>,
    look: Look,
    /// Whether times of events are times of day.
    live: bool,
    failed: bool,
}

impl Screen {
    fn run(mut self, tell: &mut dyn FnMut(String)) {
        let (mut canvas, mut shown) = (Canvas::new(self.kind.size()), None);
        let mut last = None;
        loop {
            let over = self.wait(last);
            let (now_ms, vitals) = (self.look)();
            let status = self.noted.0.lock().unwrap_or_else(PoisonError::into_inner).status(
                time_of_day(now_ms, true),
                vitals,
                self.live,
            );
            screen::draw(&mut canvas, &status);
            if shown.as_ref() != Some(&canvas) {
                match self.panel.show(&canvas, shown.as_ref()) {
                    Ok(()) => {
                        shown = Some(canvas.clone());
                        if std::mem::replace(&mut self.failed, false) {
                            tell("the display works again".into());
                        }
                    }
                    Err(error) => {
                        shown = None;
                        if !std::mem::replace(&mut self.failed, true) {
                            tell(format!("the display fails: {error}"));
                        }
                    }
                }
            }
            last = Some(Instant::now());
            if over {
                return;
            }
        }
    }

    /// Until a picture is due, by what was noted and when the last one was shown; `true` if it is the last.
    fn wait(&self, last: Option<Instant>) -> bool {
        let [rest, urgent_rest] = self.kind.rest();
        let (noted, wake) = &*self.noted;
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let due = match (noted.urgent, noted.changed) {
                (true, _) => urgent_rest,
                (false, true) => rest,
                (false, false) => TICK.max(rest),
            };
            let left = last.map_or(Duration::ZERO, |last| due.saturating_sub(last.elapsed()));
            if noted.over || left.is_zero() {
                (noted.changed, noted.urgent) = (false, false);
                return noted.over;
            }
            noted = wake.wait_timeout(noted, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::falls;
    use super::*;
    use crate::PeripheralError;
    use std::sync::mpsc::{Sender, channel};

    /// A panel that shows a test its pictures, and waits for its leave before it comes back.
    struct Slow {
        shown: Sender<Canvas>,
        leave: Receiver<Result<(), PeripheralError>>,
    }

    impl Panel for Slow {
        fn show(&mut self, canvas: &Canvas, _: Option<&Canvas>) -> Result<(), PeripheralError> {
            self.shown.send(canvas.clone()).expect("the test listens");
            self.leave.recv().unwrap_or(Ok(()))
        }
    }

    const PATIENCE: Duration = Duration::from_mins(1);

    fn sink() -> (DisplaySink, Receiver<Canvas>, Sender<Result<(), PeripheralError>>) {
        let (shown, pictures) = channel();
        let (give, leave) = channel();
        let panel = Box::new(Slow { shown, leave });
        let look: Look = Box::new(|| (0, Vitals::default()));
        let sink = DisplaySink::start(panel, PanelKind::File, ["hall".to_owned()], None, look);
        (sink.expect("there are threads"), pictures, give)
    }

    fn has(canvas: &Canvas, wanted: canvas::Tone) -> bool {
        canvas.rows().flatten().any(|tone| *tone == wanted)
    }

    #[test]
    fn a_slow_panel_keeps_nobody_waiting_and_shows_what_is_true_then() {
        let (mut sink, pictures, leave) = sink();
        let first = pictures.recv_timeout(PATIENCE).expect("it is drawn at once");
        // The panel is at its first picture: all of this is told meanwhile, and none of it waits.
        for id in 0..1000 {
            let Ok(()) = sink.emit(&Event { id, kind: EventKind::Alert, ..falls() });
        }
        let Ok(()) = sink.emit(&Event { id: 1000, kind: EventKind::Blind, ..falls() });
        assert!(pictures.try_recv().is_err(), "it is still at the first");
        leave.send(Ok(())).expect("it waits");
        let second = pictures.recv_timeout(PATIENCE).expect("something has changed");
        assert!(!has(&first, canvas::Tone::Alarm) && has(&second, canvas::Tone::Alarm));
        let noted = sink.noted.0.lock().expect("nobody panics");
        assert_eq!((noted.alerts.len(), noted.cameras[0].1), (MOST_ALERTS, false), "what is kept is bounded");
        drop(noted);
        sink.mute();
        leave.send(Ok(())).expect("it waits");
        let third = pictures.recv_timeout(PATIENCE).expect("something has changed");
        assert!(!has(&third, canvas::Tone::Alarm));
        sink.sees("hall");
        leave.send(Ok(())).expect("it waits");
        let fourth = pictures.recv_timeout(PATIENCE).expect("something has changed");
        assert!(fourth != third, "it sees again");
        drop(leave);
    }

    #[test]
    fn an_alert_is_over_when_that_is_told_and_one_that_was_acknowledged_is_muted() {
        let (mut sink, _pictures, leave) = sink();
        drop(leave);
        let alert = |id, kind, text| Event { id, kind, text, ..falls() };
        for event in [
            alert(1, EventKind::Alert, "a"),
            alert(2, EventKind::Alert, "b"),
            alert(2, EventKind::Update, "the sentence"),
            alert(3, EventKind::AlertEnd, "a"),
        ] {
            let Ok(()) = sink.emit(&event);
        }
        let open = |sink: &DisplaySink| {
            let noted = sink.noted.0.lock().expect("nobody panics");
            noted.alerts.iter().map(|(id, muted, what)| (*id, *muted, what.text.clone())).collect::<Vec<_>>()
        };
        assert_eq!(open(&sink), [(2, false, "b".to_owned())]);
        sink.acknowledged(2);
        assert_eq!(open(&sink), [(2, true, "b".to_owned())]);
        let Ok(()) = sink.emit(&alert(2, EventKind::Alert, "b"));
        assert_eq!(open(&sink), [(2, false, "b".to_owned())], "it was told again");
    }

    #[test]
    fn a_panel_that_fails_is_told_once_and_so_is_that_it_works_again() {
        let (mut sink, pictures, leave) = sink();
        let broken = || Err(PeripheralError::Chip { place: "i2c".into(), why: "it does not answer".into() });
        let mut told = Vec::new();
        for (answer, kind) in
            [(broken(), EventKind::Blind), (broken(), EventKind::Narration), (Ok(()), EventKind::Blind)]
        {
            pictures.recv_timeout(PATIENCE).expect("it is tried again");
            leave.send(answer).expect("it waits");
            let Ok(()) = sink.emit(&Event { kind, ..falls() });
            told.extend(sink.troubles.recv_timeout(Duration::from_millis(300)).ok());
        }
        assert_eq!(told, ["the display fails: i2c: it does not answer", "the display works again"]);
        drop(leave);
    }

    #[test]
    fn the_time_of_day_of_a_clip_is_that_since_it_began() {
        assert_eq!(time_of_day(62_400, false), "01:02");
        assert_eq!(time_of_day(1_700_000_062_000, true).len(), 5);
    }
}
