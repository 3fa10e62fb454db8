//! What the panel knows and decides.

use heapless::{Deque, String, Vec};
use ocelli_link::{
    ALERTS, Counts, Deframer, FrameFault, Level, Packet, Reset, Seeing, Settings, Status, TEXT_BYTES, ToPanel,
};

use crate::signal::{Outputs, Signal};

/// A board of a Raspberry Pi's size takes a minute to start, and longer after an update.
const BOOT_MS: u64 = 180_000;

/// How often a status is sent, and how soon after another.
const STATUS_MS: u64 = 1000;
const SOON_MS: u64 = 100;

/// How long the power is cut, and how often in one silence. Each further cut waits twice as long.
const CUT_MS: u64 = 5000;
const CUTS: u32 = 3;

/// How long a button must be down: contacts bounce for some milliseconds.
const DEBOUNCE_MS: u64 = 30;

/// How often it is told of what was not taken.
const FAULTS_MS: u64 = 10_000;

/// What the log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(target_os = "none", derive(defmt::Format))]
pub enum News {
    /// The runtime is there.
    Watching,
    /// It ended in order.
    Ended,
    /// It is silent, or never came.
    Silent,
    /// An alarm or a notice, by id.
    Alert {
        /// Whether it is an alarm.
        alarm: bool,
        /// Its id.
        id: u64,
    },
    /// The button was pressed.
    Pressed,
    /// The camera computer's power is cut, for the n-th time in this silence.
    PowerCut(u32),
    /// The runtime speaks another version.
    Version(u8),
    /// So much was not taken since the reset.
    Faults {
        /// See [`Counts`].
        damaged: u32,
        /// See [`Counts`].
        overlong: u32,
        /// See [`Counts`].
        unknown: u32,
        /// See [`Counts`].
        replayed: u32,
        /// See [`Counts`].
        lost_bytes: u32,
    },
}

/// What is to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// One or two words.
    pub headline: &'static str,
    /// Whether it should catch the eye.
    pub loud: bool,
    /// How old the text is, in seconds; `None` where that means nothing.
    pub age_s: Option<u32>,
    /// The text.
    pub text: &'a str,
    /// For how long it is shown.
    pub for_ms: u64,
}

/// An alert that is not over.
#[derive(Clone, Debug)]
struct Alert {
    /// `None` for one of a run of the runtime before this one.
    id: Option<u64>,
    level: Level,
    text: String<TEXT_BYTES>,
    /// When it came, and when that was which it tells of.
    came_ms: u64,
    was_ms: i64,
    /// Whether somebody pressed the button since.
    seen: bool,
}

/// All that the panel knows. Nothing in it waits, and nothing grows.
#[derive(Clone, Debug)]
pub struct Panel {
    deframer: Deframer,
    mind: Mind,
}

#[derive(Clone, Debug)]
struct Mind {
    session: u32,
    reset: Reset,
    heard: u32,
    beats: u32,
    counts: Counts,
    settings: Settings,
    seeing: Seeing,
    /// When it began to be so.
    since_ms: u64,
    beat_ms: u64,
    text: String<TEXT_BYTES>,
    text_level: Level,
    /// Whether somebody pressed the button since.
    text_seen: bool,
    text_ms: u64,
    /// Before the reset, below zero.
    text_was_ms: i64,
    alerts: Vec<Alert, ALERTS>,
    presses: u32,
    pressed_id: u64,
    /// Since when the button is down, and whether that counted.
    down: Option<(u64, bool)>,
    /// Whether somebody pressed it in this silence.
    silence_seen: bool,
    cuts: u32,
    cut_ms: Option<u64>,
    /// A status is due from then on; the last was sent then.
    due_ms: u64,
    sent_ms: u64,
    told: Counts,
    told_ms: u64,
    news: Deque<News, 8>,
}

impl Panel {
    /// After a reset, with a number that no session before had: as random as the board can.
    pub fn new(session: u32, reset: Reset, now_ms: u64) -> Self {
        let mind = Mind {
            session,
            reset,
            heard: 0,
            beats: 0,
            counts: Counts::default(),
            settings: Settings::default(),
            seeing: Seeing::Waiting,
            since_ms: now_ms,
            beat_ms: now_ms,
            text: String::new(),
            text_level: Level::Info,
            text_seen: false,
            text_ms: now_ms,
            text_was_ms: now_ms.cast_signed(),
            alerts: Vec::new(),
            presses: 0,
            pressed_id: 0,
            // One that is down from the start is no press.
            down: Some((now_ms, true)),
            silence_seen: false,
            cuts: 0,
            cut_ms: None,
            due_ms: now_ms,
            sent_ms: now_ms,
            told: Counts::default(),
            told_ms: now_ms,
            news: Deque::new(),
        };
        Self { deframer: Deframer::new(), mind }
    }

    /// Takes a byte from the line.
    pub fn hear(&mut self, byte: u8, now_ms: u64) {
        let counts = &mut self.mind.counts;
        let count = match self.deframer.push::<Packet<'_>>(byte) {
            None => return,
            Some(Ok(packet)) => return self.mind.take(&packet, now_ms),
            Some(Err(FrameFault::Damaged)) => &mut counts.damaged,
            Some(Err(FrameFault::Overlong)) => &mut counts.overlong,
            Some(Err(FrameFault::Unknown)) => &mut counts.unknown,
            Some(Err(FrameFault::Version(version))) => {
                self.mind.counts.unknown = self.mind.counts.unknown.wrapping_add(1);
                return self.mind.tell(News::Version(version));
            }
        };
        *count = count.wrapping_add(1);
    }

    /// So many bytes were lost before they came here.
    pub fn lost(&mut self, bytes: u32) {
        self.mind.counts.lost_bytes = self.mind.counts.lost_bytes.wrapping_add(bytes);
    }

    /// Time goes on, and the button is down or not.
    pub fn tick(&mut self, now_ms: u64, button_down: bool) {
        self.mind.tick(now_ms, button_down);
    }

    /// Levels of the pins.
    pub fn outputs(&self, now_ms: u64) -> Outputs {
        self.mind.outputs(now_ms)
    }

    /// What is to be told just now.
    pub fn signal(&self) -> Signal {
        self.mind.signal().0
    }

    /// What is to be drawn.
    pub fn view(&self, now_ms: u64) -> View<'_> {
        self.mind.view(now_ms)
    }

    /// A status to be sent, where one is due.
    pub fn status(&mut self, now_ms: u64) -> Option<Status> {
        let mind = &mut self.mind;
        if now_ms < mind.due_ms {
            return None;
        }
        (mind.sent_ms, mind.due_ms) = (now_ms, now_ms + STATUS_MS);
        Some(Status {
            session: mind.session,
            heard: mind.heard,
            beats: mind.beats,
            seeing: mind.seeing,
            uptime_s: (now_ms / 1000) as u32,
            reset: mind.reset,
            presses: mind.presses,
            pressed_id: mind.pressed_id,
            open: mind.alerts.iter().filter(|alert| !alert.seen).count() as u8,
            counts: mind.counts,
            stack_left: None,
        })
    }

    /// The next line of the log.
    pub fn news(&mut self) -> Option<News> {
        self.mind.news.pop_front()
    }
}

impl Mind {
    fn take(&mut self, packet: &Packet<'_>, now_ms: u64) {
        if packet.message == ToPanel::Hello {
            return self.hurry();
        }
        if packet.session != self.session || packet.number <= self.heard {
            self.counts.replayed = self.counts.replayed.wrapping_add(1);
            return;
        }
        self.heard = packet.number;
        match packet.message {
            ToPanel::Hello => {}
            ToPanel::Settings(settings) => {
                if settings.run != self.settings.run {
                    self.alerts.iter_mut().for_each(|alert| alert.id = None);
                    self.alerts.retain(|alert| !alert.seen);
                    self.pressed_id = 0;
                    // Whoever begins after an end that was meant is waited for as after power-up. One that follows a silence is not: it
                    // may be the next of many that fail.
                    if self.seeing == Seeing::Ended {
                        self.beat_ms = now_ms;
                        self.see(Seeing::Waiting, now_ms);
                    }
                    // One that ends at once waits for the answer.
                    self.hurry();
                }
                self.settings = settings;
            }
            ToPanel::Beat => {
                self.beats = self.beats.wrapping_add(1);
                (self.beat_ms, self.cuts) = (now_ms, 0);
                self.see(Seeing::Watching, now_ms);
            }
            ToPanel::Tell { level, id, age_s, text } => {
                let was_ms = now_ms.cast_signed() - i64::from(age_s) * 1000;
                if id == 0 {
                    self.show(level, text, was_ms, now_ms);
                } else {
                    self.alert(level, id, text, was_ms, now_ms);
                }
            }
            ToPanel::Standing(ids) => {
                let before = self.alerts.len();
                self.alerts.retain(|alert| alert.id.is_none_or(|id| ids.contains(&id)));
                if self.alerts.len() < before {
                    self.hurry();
                }
            }
            ToPanel::Bye => self.see(Seeing::Ended, now_ms),
        }
    }

    fn show(&mut self, level: Level, text: &str, was_ms: i64, now_ms: u64) {
        // Told again, it is the same text: it need not scroll from the top.
        if self.text.as_str() != text {
            (self.text_ms, self.text_seen) = (now_ms, false);
        }
        (self.text, self.text_level, self.text_was_ms) = (kept(text), level, was_ms);
    }

    fn alert(&mut self, level: Level, id: u64, text: &str, was_ms: i64, now_ms: u64) {
        if let Some(known) = self.alerts.iter_mut().find(|alert| alert.id == Some(id)) {
            known.text = kept(text);
            return;
        }
        if self.alerts.is_full() {
            // What somebody has seen, else what matters least, and of that the oldest.
            let least = |alert: &Alert| (!alert.seen, alert.level, alert.came_ms);
            let place = (0..self.alerts.len()).min_by_key(|at| least(&self.alerts[*at]));
            place.map(|place| self.alerts.swap_remove(place));
        }
        let alert = Alert { id: Some(id), level, text: kept(text), came_ms: now_ms, was_ms, seen: false };
        // There is room.
        let _ = self.alerts.push(alert);
        // What a press is for depends on it.
        self.hurry();
        self.tell(News::Alert { alarm: level == Level::Alarm, id });
    }

    fn see(&mut self, seeing: Seeing, now_ms: u64) {
        if self.seeing == seeing {
            return;
        }
        (self.seeing, self.since_ms, self.silence_seen) = (seeing, now_ms, false);
        self.hurry();
        match seeing {
            Seeing::Waiting => {}
            Seeing::Watching => self.tell(News::Watching),
            Seeing::Ended => self.tell(News::Ended),
            Seeing::Silent => self.tell(News::Silent),
        }
    }

    fn tick(&mut self, now_ms: u64, button_down: bool) {
        let beat_for_ms = now_ms.saturating_sub(self.beat_ms);
        let patience_ms = match self.seeing {
            Seeing::Waiting => Some(BOOT_MS),
            Seeing::Watching => Some(u64::from(self.settings.silent_after_s) * 1000),
            Seeing::Ended | Seeing::Silent => None,
        };
        if patience_ms.is_some_and(|patience_ms| beat_for_ms > patience_ms) {
            self.see(Seeing::Silent, now_ms);
        }
        self.press(now_ms, button_down);
        self.cycle_power(now_ms);
        if self.counts != self.told && now_ms.saturating_sub(self.told_ms) >= FAULTS_MS {
            (self.told, self.told_ms) = (self.counts, now_ms);
            let Counts { damaged, overlong, unknown, replayed, lost_bytes } = self.counts;
            self.tell(News::Faults { damaged, overlong, unknown, replayed, lost_bytes });
        }
    }

    fn press(&mut self, now_ms: u64, button_down: bool) {
        let (since_ms, counted) = self.down.unwrap_or((now_ms, false));
        self.down = button_down.then_some((since_ms, counted));
        if !button_down || counted || now_ms.saturating_sub(since_ms) < DEBOUNCE_MS {
            return;
        }
        self.down = Some((since_ms, true));
        self.presses = self.presses.wrapping_add(1);
        self.silence_seen = true;
        // Not where it is behind an alert or a silence: nobody has read it then.
        self.text_seen |= matches!(self.signal(), (Signal::Notice, _, None));
        self.pressed_id = self.alerts.iter().filter_map(|alert| alert.id).max().unwrap_or(0);
        // Those of this run stay until the runtime says that they are over, else it might tell them anew.
        self.alerts.retain(|alert| alert.id.is_some());
        self.alerts.iter_mut().for_each(|alert| alert.seen = true);
        self.hurry();
        self.tell(News::Pressed);
    }

    fn cycle_power(&mut self, now_ms: u64) {
        let after_ms = self.settings.power_cycle_after_s.map(|after_s| u64::from(after_s) * 1000);
        let Some(after_ms) = after_ms.filter(|_| self.seeing == Seeing::Silent && self.cuts < CUTS) else { return };
        let (from_ms, wait_ms) = match self.cut_ms.filter(|_| self.cuts > 0) {
            None => (self.beat_ms, after_ms),
            Some(cut_ms) => (cut_ms, after_ms.max(BOOT_MS) << self.cuts),
        };
        if now_ms.saturating_sub(from_ms) >= wait_ms {
            (self.cut_ms, self.cuts) = (Some(now_ms), self.cuts + 1);
            self.tell(News::PowerCut(self.cuts));
        }
    }

    /// The alert that is shown, and what is to be told since when.
    fn signal(&self) -> (Signal, u64, Option<&Alert>) {
        let newest = |level: Level| {
            let open = self.alerts.iter().filter(move |alert| alert.level == level && !alert.seen);
            open.max_by_key(|alert| alert.came_ms)
        };
        if let Some(alert) = newest(Level::Alarm) {
            return (Signal::Alarm, alert.came_ms, Some(alert));
        }
        if self.seeing == Seeing::Silent {
            return (Signal::Silent, self.since_ms, None);
        }
        if let Some(alert) = newest(Level::Notice).or_else(|| newest(Level::Info)) {
            return (Signal::Notice, alert.came_ms, Some(alert));
        }
        let signal = match self.seeing {
            Seeing::Watching if self.text_level > Level::Info && !self.text_seen => {
                return (Signal::Notice, self.text_ms, None);
            }
            Seeing::Watching => Signal::Watching,
            Seeing::Ended => Signal::Ended,
            Seeing::Waiting | Seeing::Silent => Signal::Waiting,
        };
        (signal, self.since_ms, None)
    }

    fn outputs(&self, now_ms: u64) -> Outputs {
        let (signal, from_ms, _) = self.signal();
        let is_quiet = signal == Signal::Silent && self.silence_seen;
        let power_cut = self.cut_ms.is_some_and(|cut_ms| now_ms.saturating_sub(cut_ms) < CUT_MS);
        let buzzer = !is_quiet && signal.buzzer(now_ms.saturating_sub(from_ms));
        Outputs { led: signal.led(now_ms), buzzer, power_cut }
    }

    fn view(&self, now_ms: u64) -> View<'_> {
        let age_s = |was_ms: i64| Some(((now_ms.cast_signed() - was_ms).max(0) / 1000) as u32);
        let for_ms = |from_ms: u64| now_ms.saturating_sub(from_ms);
        let (signal, from_ms, alert) = self.signal();
        if let Some(alert) = alert {
            let headline = match (signal, self.seeing) {
                (Signal::Alarm, Seeing::Silent) => "ALARM +SILENT",
                (Signal::Alarm, _) => "ALARM",
                _ => "Notice",
            };
            let (age_s, for_ms) = (age_s(alert.was_ms), for_ms(alert.came_ms));
            return View { headline, loud: signal == Signal::Alarm, age_s, text: &alert.text, for_ms };
        }
        let of_runtime = |headline, text| View {
            headline,
            loud: signal == Signal::Silent,
            age_s: age_s(from_ms.cast_signed()),
            text,
            for_ms: for_ms(from_ms),
        };
        match self.seeing {
            Seeing::Silent => of_runtime("SILENT", "The camera computer is silent. Nobody watches."),
            Seeing::Waiting => of_runtime("Waiting", "Waiting for the camera computer."),
            Seeing::Ended => of_runtime("Ended", "The camera program was ended. Nobody watches."),
            Seeing::Watching if self.text.is_empty() => View { age_s: None, ..of_runtime("Watching", "") },
            Seeing::Watching => View {
                headline: if self.text_level > Level::Info { "Notice" } else { "Watching" },
                loud: false,
                age_s: age_s(self.text_was_ms),
                text: &self.text,
                for_ms: for_ms(self.text_ms),
            },
        }
    }

    /// A status is sent soon.
    fn hurry(&mut self) {
        self.due_ms = self.due_ms.min(self.sent_ms + SOON_MS);
    }

    fn tell(&mut self, news: News) {
        // A log that is full is no reason to wait.
        let _ = self.news.push_back(news);
    }
}

/// As much as there is room for.
fn kept(text: &str) -> String<TEXT_BYTES> {
    let mut kept = String::new();
    // Cut at a character, it fits.
    let _ = kept.push_str(&text[..text.floor_char_boundary(TEXT_BYTES)]);
    kept
}
