//! The think thread: what the tokens mean is remembered, said and kept.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, UNIX_EPOCH};

use ocelli_infer::{InferError, Narrator, Renumbering, Taught, Vocabulary};
use ocelli_pipeline::{AlertBuf, DeviationBuf, EventBuf, HoleCause, Mind, TokenSlot};
use ocelli_types::{Clock, EventKind, Micros, Severity};

use super::{Counts, MOST_DELAY_US, Message, PATIENCE, Sent};
use crate::additions::{Additions, Slots};
use crate::alerts::{Tells, WeekClock};
use crate::controls::Switches;
use crate::error::{Error, note};
use crate::gateway::Outside;
use crate::journal::Dates;
use crate::moments::Moments;
use crate::plan::SLOTS;
use crate::pulse::Pulse;
use crate::recording::Recorder;
use crate::sentences::{Next, Watcher};
use crate::state::Keeper;
use crate::supervise::Supervisor;
use crate::thermal::Warden;
use crate::voice::Voice;

/// How often the program tells how it is.
const PULSE_US: u64 = 60_000_000;

/// What the think thread holds of a camera.
pub(super) struct Watched<'a> {
    /// With the narrator of all.
    pub(super) mind: Mind<Taught<'a>>,
    /// What its standing conditions tell: those of the config, and behind them, each in its slot, those that were added.
    pub(super) tells: Vec<Tells>,
    /// How many of them are the config's.
    pub(super) of_config: usize,
    pub(super) keeper: Option<Keeper>,
    pub(super) moments: Moments,
    pub(super) pulse: Pulse,
    pub(super) pulse_us: Micros,
    pub(super) now_us: Micros,
    /// Whether the date of time 0 was told.
    pub(super) greeted: bool,
    /// Whether there is nothing to wait for: it was told as blind, and is not back.
    pub(super) lost: bool,
    /// Whether a picture of it was thought about since the watchdog was fed.
    pub(super) thought: bool,
}

impl<'a> Watched<'a> {
    pub(super) fn new(
        mind: Mind<Taught<'a>>,
        tells: Vec<Tells>,
        keeper: Option<Keeper>,
        moments: Moments,
        start_us: Micros,
    ) -> Self {
        let (pulse, of_config) = (Pulse::default(), tells.len());
        let (greeted, lost, thought) = (false, false, false);
        let (pulse_us, now_us) = (start_us, start_us);
        Self { mind, tells, of_config, keeper, moments, pulse, pulse_us, now_us, greeted, lost, thought }
    }

    pub(super) fn count(&mut self, counts: Counts) {
        counts.add_to(&mut self.pulse);
    }
}

/// The added conditions, as they were when they were last looked at.
#[derive(Default)]
pub(super) struct Standing {
    slots: Slots,
    /// None of them yet.
    version: Option<u64>,
}

pub(super) struct Think<'a> {
    pub(super) cameras: Vec<Watched<'a>>,
    pub(super) voice: Voice,
    /// That of all cameras.
    pub(super) narrator: &'a RefCell<Narrator>,
    /// What can be said now.
    pub(super) vocabulary: Arc<Vocabulary>,
    /// Of the user's sentences, where a file is named.
    pub(super) watcher: Option<Watcher>,
    /// Conditions that others add, where a file is named, and those of them that stand.
    pub(super) additions: Option<Arc<Additions>>,
    pub(super) standing: Standing,
    pub(super) dates: Dates,
    pub(super) week: WeekClock,
    /// Others who ask how it is.
    pub(super) outside: Option<Arc<Outside>>,
    /// Of the temperature, where it is looked at.
    pub(super) warden: Option<Warden>,
    /// Who records around events.
    pub(super) recorder: Option<Recorder>,
    /// What they set meanwhile.
    pub(super) switches: Arc<Switches>,
    /// Who started the program, and wants to know how it is.
    pub(super) supervisor: Supervisor,
    /// Whether cameras are set up on the page, and the program goes on without one.
    pub(super) is_set_up: bool,
}

impl Think<'_> {
    /// Saves the memories a last time.
    pub(super) fn save(&mut self, clock: &impl Clock) -> Result<(), Error> {
        let mut saved = Ok(());
        for camera in &mut self.cameras {
            let keeper = camera.keeper.take();
            saved = saved.and(keeper.map_or(Ok(()), |keeper| {
                keeper.finish(camera.mind.memory(), camera.mind.normal(), clock.now(), clock.unix_ms())
            }));
        }
        saved
    }

    /// What was counted since the last pulses, where all went well or there is something to tell.
    pub(super) fn sum_up(&self, start_us: Micros, well: bool) {
        for (index, Watched { pulse, pulse_us, .. }) in self.cameras.iter().enumerate() {
            if pulse.pictures == 0 && !well {
                continue;
            }
            let of = if self.cameras.len() > 1 { format!("{}: ", self.voice.name(index)) } else { String::new() };
            let since = if *pulse_us > start_us { "since the last pulse: " } else { "" };
            note(format_args!("{of}{since}{pulse}; {} events in all", self.voice.said()));
        }
    }

    /// Until the threads before have gone, `stop` is set or `limit_us` are over. The time of a `live` source goes on while
    /// it gives no pictures.
    pub(super) fn run(
        &mut self,
        messages: &Receiver<Sent<TokenSlot>>,
        give: &SyncSender<TokenSlot>,
        stop: &AtomicBool,
        limit_us: Option<Micros>,
        clock: &impl Clock,
        live: bool,
    ) -> Result<(), Error> {
        let mut events = EventBuf::new();
        // What is captured now has not arrived yet, and time must not go back when it does: it may have waited for two pictures
        // of each camera in STAB's queue and two in this one, and a model that takes longer is too slow anyway.
        let behind_us = Micros((SLOTS * self.cameras.len() + SLOTS + 1) as u64 * MOST_DELAY_US);
        let over = |now_us: Option<Micros>| limit_us.is_some_and(|limit| now_us.max(Some(clock.now())) >= Some(limit));
        while !stop.load(Ordering::Relaxed) && !over(self.cameras.iter().map(|camera| camera.now_us).max()) {
            let heard = match messages.recv_timeout(PATIENCE) {
                Ok((camera, message)) => {
                    self.hear(camera, message, give, clock, live, &mut events)?;
                    Some(camera)
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            for index in 0..self.cameras.len() {
                let camera = &mut self.cameras[index];
                if live && heard != Some(index) {
                    camera.now_us = camera.now_us.max(clock.now().since(behind_us));
                }
                self.tick(index, clock)?;
            }
            // Not before there is something to think about, where the program ends without a camera: started again and again it is silent.
            if !live || self.is_set_up || self.cameras.iter().any(|camera| camera.greeted) {
                self.voice.alive();
            }
            self.follow()?;
            self.stand()?;
            self.live(clock);
            self.obey();
            let news = self.warden.as_ref().and_then(Warden::news);
            if let Some(text) = news.or_else(|| self.recorder.as_ref().and_then(Recorder::news)) {
                let now_us = self.cameras[0].now_us;
                self.voice.tell(0, EventKind::Health, (now_us, now_us), &text)?;
            }
        }
        Ok(())
    }

    /// Feeds the watchdog with pictures: of each camera that is not known to be lost one was thought about since the last time. A
    /// thread that hangs, in a model or in a device, so ends in a restart; a camera that is unplugged does not.
    fn live(&mut self, clock: &impl Clock) {
        let cameras = &mut self.cameras;
        if self.supervisor.feed(clock.now(), || cameras.iter().all(|camera| camera.lost || camera.thought)) {
            cameras.iter_mut().for_each(|camera| camera.thought = false);
        }
    }

    /// Tells the supervisor how a camera is.
    fn status(&self, index: usize, text: &str) {
        match self.cameras.len() {
            1 => self.supervisor.status(text),
            _ => self.supervisor.status(&format!("{}: {text}", self.voice.name(index))),
        }
    }

    /// Says from now on what the user's file says, where that has changed.
    fn follow(&mut self) -> Result<(), Error> {
        let Some(news) = self.watcher.as_ref().and_then(Watcher::news) else { return Ok(()) };
        let text = match news {
            Ok(next) => {
                self.relearn(next)?;
                let (own, _) = self.vocabulary.own_size();
                format!("the vocabulary has changed; sentences of yours: {own}")
            }
            Err(why) => format!("the vocabulary stays as it was: {why}"),
        };
        let now_us = self.cameras[0].now_us;
        self.voice.tell(0, EventKind::Health, (now_us, now_us), &text)
    }

    /// Watches for what was added and for nothing that was taken back, where that, or what can be said, has changed. What is over with
    /// its condition is told.
    fn stand(&mut self) -> Result<(), Error> {
        let Some(additions) = &self.additions else { return Ok(()) };
        let version = additions.version();
        if self.standing.version == Some(version) {
            return Ok(());
        }
        let Some(slots) = additions.now() else { return Ok(()) };
        for (slot, table) in slots.iter().enumerate() {
            let before = self.standing.slots.get(slot).and_then(Option::as_ref);
            let is_same = before.map(Arc::as_ptr) == table.as_ref().map(Arc::as_ptr);
            for (index, camera) in self.cameras.iter_mut().enumerate() {
                let name = self.voice.name(index);
                let table = table.as_ref().filter(|table| table.camera.as_ref().is_none_or(|of| of == name));
                // One whose kind nobody says any more waits until somebody does.
                let rule = table.and_then(|table| additions.rule(table).ok());
                let at = camera.of_config + slot;
                if is_same && rule.is_some() == camera.mind.watches(at) {
                    continue;
                }
                if let Some(over) = camera.mind.watch(at, rule) {
                    let (tells, probabilities) = (&camera.tells[at], camera.mind.probabilities());
                    self.voice.alert(index, &over, tells, &self.vocabulary, probabilities, None)?;
                }
                if let Some(table) = table {
                    let nothing = Tells { text: String::new(), severity: Severity::None };
                    camera.tells.resize(camera.tells.len().max(at + 1), nothing);
                    camera.tells[at] = table.tells();
                }
            }
        }
        self.standing = Standing { slots, version: Some(version) };
        Ok(())
    }

    /// Does what others have set.
    fn obey(&mut self) {
        self.voice.is_quiet = self.switches.is_quiet();
        let verbosity = self.switches.verbosity().into();
        self.cameras.iter_mut().for_each(|camera| camera.mind.tell_by(verbosity));
    }

    /// Gives all cameras another vocabulary. Alerts on sentences that have gone are over.
    fn relearn(&mut self, Next { vocabulary, lexicon, numbers }: Next) -> Result<(), Error> {
        let Renumbering { kinds, entries } = numbers;
        self.narrator.borrow_mut().relearn(Arc::clone(&vocabulary));
        let before = std::mem::replace(&mut self.vocabulary, vocabulary);
        if let Some(additions) = &self.additions {
            additions.relearn(&self.vocabulary);
            self.standing.version = None;
        }
        for (index, Watched { mind, moments, now_us, .. }) in self.cameras.iter_mut().enumerate() {
            let over = mind.relearn(lexicon.clone(), &kinds, &entries, *now_us);
            mind.head_mut().relearn(&kinds);
            moments.relearn(&self.vocabulary);
            if let Some(over) = over {
                self.voice.say(index, &over, &before, mind.head())?;
            }
        }
        Ok(())
    }

    /// Takes what a camera's threads say.
    fn hear(
        &mut self,
        index: usize,
        message: Message<TokenSlot>,
        give: &SyncSender<TokenSlot>,
        clock: &impl Clock,
        live: bool,
        events: &mut EventBuf,
    ) -> Result<(), Error> {
        let camera = &mut self.cameras[index];
        match message {
            Message::Picture { slot, look, captured_us, counts } => {
                if live && !std::mem::replace(&mut camera.greeted, true) {
                    // A clock that stands before the stream's beginning is wrong, and so would the date be.
                    let text = match clock.unix_ms().checked_sub(clock.now().0 / 1000) {
                        Some(start_ms) => {
                            let start = UNIX_EPOCH + Duration::from_millis(start_ms);
                            format!("watching; time 0 is {}", humantime::format_rfc3339_millis(start))
                        }
                        None => "watching; the date of time 0 is unknown, for this machine's clock is not set".into(),
                    };
                    self.voice.tell(index, EventKind::Health, (captured_us, captured_us), &text)?;
                }
                camera.pulse.looked(&look);
                camera.count(counts);
                camera.now_us = captured_us;
                camera.mind.looks(&look.gate);
                look.gate.camera_move.iter().try_for_each(|held| self.voice.moved(index, held))?;
                let report = camera.mind.take::<InferError>(&slot, clock, events)?;
                camera.pulse.thought(&report);
                if let Some(outside) = &self.outside {
                    outside.saw(index, &look, &report, |total| counts.add_to(total));
                }
                let minute = self.dates.of(captured_us).and_then(|unix_ms| self.week.minute(unix_ms));
                let (mut alerted, mut deviations) = (AlertBuf::new(), DeviationBuf::new());
                camera.mind.judge(&slot, minute, &mut alerted);
                camera.mind.wonder(minute, &mut deviations);
                camera.moments.look(index, &camera.mind, look.gate.changed > 0, captured_us, &mut self.voice);
                camera.thought = true;
                self.supervisor.ready();
                // As in `Encode`.
                let _ = give.try_send(slot);
                let (all, probabilities) = (&self.vocabulary, camera.mind.probabilities());
                for alert in &alerted {
                    self.voice.alert(index, alert, &camera.tells[alert.rule], all, probabilities, minute)?;
                }
                for deviation in &deviations {
                    self.voice.unusual(index, deviation, all, probabilities, minute)?;
                }
                for spoken in &*events {
                    self.voice.say(index, spoken, &self.vocabulary, camera.mind.head())?;
                }
                for (_, other) in self.cameras.iter_mut().enumerate().filter(|(other, _)| *other != index) {
                    other.pulse.seen_of_others += 1;
                }
            }
            Message::Lost { seen_us, at_us, why } => {
                (camera.now_us, camera.lost) = (at_us, true);
                if let Some(outside) = &self.outside {
                    outside.up(index, false);
                }
                self.voice.tell(index, EventKind::Blind, (seen_us, at_us), &why)?;
                self.status(index, &format!("blind: {why}"));
            }
            Message::StillLost { at_us, why } => {
                camera.now_us = at_us;
                let text = format!("still blind: {why}");
                self.voice.tell(index, EventKind::Health, (at_us, at_us), &text)?;
                self.status(index, &text);
            }
            Message::Back { seen_us, at_us } => {
                (camera.now_us, camera.lost) = (at_us, false);
                camera.mind.memory_mut().hole(seen_us, at_us, HoleCause::Blind);
                camera.mind.blind();
                let again = if camera.greeted { " again" } else { "" };
                let text = format!("seeing{again} after {:.1} s", at_us.since(seen_us).seconds());
                self.voice.sees(index, at_us);
                self.voice.tell(index, EventKind::Health, (seen_us, at_us), &text)?;
                self.status(index, &text);
            }
        }
        Ok(())
    }

    /// Saves and tells what is due.
    fn tick(&mut self, index: usize, clock: &impl Clock) -> Result<(), Error> {
        let Watched { mind, keeper, pulse, pulse_us, now_us, .. } = &mut self.cameras[index];
        let news =
            keeper.as_mut().and_then(|keeper| keeper.tick(mind.memory(), mind.normal(), clock.now(), clock.unix_ms()));
        for text in news.into_iter().chain(self.voice.news()) {
            self.voice.tell(index, EventKind::Health, (*now_us, *now_us), &text)?;
        }
        self.voice.remind(index, *now_us)?;
        if now_us.since(*pulse_us) >= Micros(PULSE_US) {
            let text = pulse.to_string();
            self.voice.pulse(index, (*pulse_us, *now_us), &text)?;
            (*pulse, *pulse_us) = (Pulse::default(), *now_us);
            self.status(index, &text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::sync_channel;

    use ocelli_drivers::SystemClock;
    use ocelli_pipeline::{PatchSlot, StepError};
    use ocelli_types::{ColorMatrix, Frame, FrameSeq, PixelRange, Pixels, SizePx};

    use super::*;
    use crate::config::{CameraTable, Config, Profile, Verbosity};
    use crate::wiring::{self, Eye};

    /// The pack of the tests, as the think thread has it with cameras of these names, and what they say.
    fn thought(
        names: &[&str],
        live: bool,
        send: impl FnOnce(&mut dyn FnMut(usize, u64, Option<Message<()>>)),
    ) -> Vec<serde_json::Value> {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut config = Config::default();
        config.output.json = true;
        config.output.file = Some(folder.path().join("events.jsonl"));
        config.cameras =
            names.iter().map(|name| CameraTable { name: (*name).into(), ..CameraTable::default() }).collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders below the root");
        let tiny = root.join("models/tiny-test");
        let (pack, mut stab, narrator) =
            wiring::load(tiny.to_str().expect("a plain path")).expect("the pack of the tests");
        let narrator = RefCell::new(narrator);
        let watched = |_| {
            let memory = wiring::blank(&pack, Profile::Home).expect("it is consistent");
            let head = wiring::taught(&pack, &narrator, &CameraTable::default()).expect("without lessons");
            let lexicon = wiring::lexicon(&pack, &pack.vocabulary, Verbosity::Normal).expect("consistent");
            let moments = Moments::new(&pack, &pack.vocabulary);
            Watched::new(Mind::new(head, memory, lexicon), Vec::new(), None, moments, Micros(0))
        };
        let cameras: Vec<Watched<'_>> = names.iter().map(watched).collect();
        let mut slots: Vec<TokenSlot> = (0..=150).map(|_| cameras[0].mind.slot()).collect();
        let voice = Voice::open(&config, None).expect("it is writable");
        let (vocabulary, week) = (Arc::clone(&pack.vocabulary), WeekClock::new(&config));
        let (narrator, watcher, warden, recorder, outside, dates) = (&narrator, None, None, None, None, Dates::Unknown);
        let (additions, standing) = (None, Standing::default());
        let switches = Arc::new(Switches::new(Verbosity::Normal, names.len()));
        let supervisor = Supervisor::default();
        let mut think = Think {
            cameras,
            voice,
            narrator,
            vocabulary,
            watcher,
            additions,
            standing,
            dates,
            week,
            outside,
            warden,
            recorder,
            switches,
            supervisor,
            is_set_up: false,
        };
        let (tell, messages) = sync_channel(500);
        let (give, _slots) = sync_channel(SLOTS);
        let mut eye = Eye::new(&pack).expect("it is consistent");
        let grey = [128; 64 * 48];
        send(&mut |camera, n, other| {
            let message = match other {
                Some(Message::Lost { seen_us, at_us, why }) => Message::Lost { seen_us, at_us, why },
                Some(Message::StillLost { at_us, why }) => Message::StillLost { at_us, why },
                Some(Message::Back { seen_us, at_us }) => Message::Back { seen_us, at_us },
                Some(Message::Picture { .. }) | None => {
                    let captured_us = Micros(n * 1_000_000);
                    let frame = Frame {
                        pixels: Pixels::Gray { data: &grey, stride: 64 },
                        size_px: SizePx::new(64, 48),
                        range: PixelRange::Full,
                        matrix: ColorMatrix::Bt601,
                        seq: FrameSeq(n),
                        captured_us,
                    };
                    let mut patches = PatchSlot::new(pack.grid);
                    let look =
                        eye.look(&frame, captured_us, &mut patches, &SystemClock::new()).expect("a plain picture");
                    let counts = Counts { pictures: 3, late: 1, ..Counts::default() };
                    let mut slot = slots.pop().expect("one a picture");
                    let filled: Result<(), StepError<InferError, InferError>> =
                        slot.fill(&mut stab, &patches.batch(), &SystemClock::new());
                    filled.expect("it runs");
                    Message::Picture { slot, look, captured_us, counts }
                }
            };
            tell.send((camera, message)).expect("there is room");
        });
        drop(tell);
        think.run(&messages, &give, &AtomicBool::new(false), None, &SystemClock::new(), live).expect("nothing fails");
        let text = std::fs::read_to_string(folder.path().join("events.jsonl")).expect("it was written");
        text.lines().map(|line| line.parse().expect("JSON")).collect()
    }

    fn second(n: u64) -> Micros {
        Micros(n * 1_000_000)
    }

    fn text(event: &serde_json::Value) -> &str {
        event["text"].as_str().expect("a text")
    }

    /// Minutes of stream in a moment: the messages bring their times.
    #[test]
    fn a_pulse_tells_of_each_minute_and_nothing_goes_back_in_time() {
        let events = thought(&["camera"], true, |send| {
            for n in 0..=150 {
                // From 70 to 80 s nothing is seen.
                match n {
                    70 => {
                        let (seen_us, at_us) = (second(69), second(70));
                        send(0, n, Some(Message::Lost { seen_us, at_us, why: "unplugged".into() }));
                    }
                    75 => send(0, n, Some(Message::StillLost { at_us: second(75), why: "no permission".into() })),
                    71..80 => {}
                    80 => send(0, n, Some(Message::Back { seen_us: second(69), at_us: second(80) })),
                    _ => send(0, n, None),
                }
            }
        });
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
        assert_eq!(of("blind").len(), 1);
        let still =
            |event: &&serde_json::Value| text(event) == "still blind: no permission" && event["t_end_s"] == 75.0;
        assert_eq!(of("health").into_iter().filter(still).count(), 1, "{events:?}");
        assert!(text(&events[0]).starts_with("watching; time 0 is 20"), "{events:?}");
        let pulses: Vec<_> = of("health").into_iter().filter(|event| text(event).contains("pictures")).collect();
        let times: Vec<f64> = pulses.iter().filter_map(|event| event["t_end_s"].as_f64()).collect();
        assert_eq!(times, [60.0, 120.0]);
        assert!(text(pulses[0]).starts_with("183 pictures, 61 seen, 61 late"), "{pulses:?}");
        let ends: Vec<f64> = events.iter().filter_map(|event| event["t_end_s"].as_f64()).collect();
        assert!(ends.is_sorted(), "{ends:?}");
    }

    #[test]
    fn each_of_two_cameras_has_its_events_its_time_and_its_pulse() {
        let events = thought(&["hall", "porch"], false, |send| {
            let gone = |at: u64| Message::Lost { seen_us: second(0), at_us: second(at), why: "unplugged".into() };
            send(1, 1, Some(gone(1)));
            for n in 0..70 {
                send(0, n, None);
                if n >= 30 {
                    if n == 30 {
                        send(1, n, Some(Message::Back { seen_us: second(0), at_us: second(30) }));
                    }
                    send(1, n, None);
                }
            }
        });
        let of = |name: &str, kind: &str| -> Vec<&str> {
            let mine = events.iter().filter(|event| event["camera"] == name && event["type"] == kind);
            mine.map(text).collect()
        };
        assert_eq!((of("hall", "blind"), of("porch", "blind")), (vec![], vec!["unplugged"]), "{events:?}");
        let (hall, porch) = (of("hall", "health"), of("porch", "health"));
        assert!(hall.len() == 1 && hall[0].starts_with("183 pictures, 61 seen"), "{hall:?}");
        assert_eq!((porch.len(), porch[0]), (2, "seeing after 30.0 s"), "it was never seen before: {porch:?}");
        assert!(porch[1].starts_with("93 pictures, 31 seen"), "{porch:?}");
        let ids: Vec<u64> = events.iter().filter_map(|event| event["id"].as_u64()).collect();
        assert_eq!(ids, (1..=events.len() as u64).collect::<Vec<_>>(), "one count for all");
    }
}
