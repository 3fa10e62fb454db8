//! What the panel decides, in its own time.

use ocelli_link::{ALERTS, FRAME_BYTES, Level, Packet, Reset, Seeing, Settings, Status, ToPanel, encode};
use ocelli_panel::{News, Panel, Signal};

const SESSION: u32 = 77;

/// A panel and the runtime at the other end of its line.
struct Home {
    panel: Panel,
    now_ms: u64,
    number: u32,
    button: bool,
}

impl Home {
    fn new() -> Self {
        Self { panel: Panel::new(SESSION, Reset::Start, 0), now_ms: 0, number: 0, button: false }
    }

    fn send(&mut self, session: u32, number: u32, message: ToPanel<'_>) {
        let mut frame = [0; FRAME_BYTES];
        for byte in encode(&Packet { session, number, message }, &mut frame).expect("it fits") {
            self.panel.hear(*byte, self.now_ms);
        }
    }

    fn say(&mut self, message: ToPanel<'_>) {
        self.number += 1;
        self.send(SESSION, self.number, message);
    }

    fn alarm(&mut self, id: u64, text: &str) {
        self.say(ToPanel::Tell { level: Level::Alarm, id, age_s: 0, text });
    }

    fn standing(&mut self, ids: &[u64]) {
        let mut all = [0; ALERTS];
        all[..ids.len()].copy_from_slice(ids);
        self.say(ToPanel::Standing(all));
    }

    /// Time goes on in steps of ten milliseconds, with a heartbeat each second or without. How long the buzzer sounded.
    fn wait(&mut self, ms: u64, beating: bool) -> u64 {
        let mut sounded_ms = 0;
        for _ in 0..ms / 10 {
            self.now_ms += 10;
            if beating && self.now_ms.is_multiple_of(1000) {
                self.say(ToPanel::Beat);
            }
            self.panel.tick(self.now_ms, self.button);
            sounded_ms += if self.panel.outputs(self.now_ms).buzzer { 10 } else { 0 };
        }
        sounded_ms
    }

    fn press(&mut self) {
        self.button = true;
        self.wait(100, false);
        self.button = false;
        self.wait(10, false);
    }

    fn status(&mut self) -> Status {
        self.wait(100, false);
        self.panel.status(self.now_ms + 1000).expect("one is due")
    }

    fn news(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.panel.news()).collect()
    }

    fn headline(&self) -> (&str, &str) {
        let view = self.panel.view(self.now_ms);
        (view.headline, view.text)
    }
}

#[test]
fn an_alarm_sounds_until_somebody_presses_the_button() {
    let mut home = Home::new();
    home.wait(3000, true);
    home.say(ToPanel::Tell { level: Level::Info, id: 0, age_s: 90, text: "a person comes in" });
    assert_eq!((home.headline(), home.panel.signal()), (("Watching", "a person comes in"), Signal::Watching));
    assert_eq!(home.panel.view(home.now_ms).age_s, Some(90), "from before the panel's own time");
    home.alarm(7, "a person falls");
    assert_eq!((home.headline(), home.panel.signal()), (("ALARM", "a person falls"), Signal::Alarm));
    assert_eq!(home.wait(10_000, true), 5000);
    home.alarm(7, "a person lies on the floor");
    assert_eq!(home.headline().1, "a person lies on the floor", "more of the same alert");
    home.wait(150_000, true);
    assert_eq!(home.wait(20_000, true), 1000, "after two minutes it reminds");
    assert_eq!(home.status().open, 1);
    home.press();
    assert_eq!(home.wait(5000, true), 0);
    let status = home.status();
    assert_eq!((status.presses, status.pressed_id, status.open), (1, 7, 0));
    home.alarm(7, "a person falls");
    assert_eq!(home.wait(5000, true), 0, "told again before the runtime knew");
    home.standing(&[]);
    home.alarm(8, "a person falls again");
    assert_eq!(home.wait(1000, true), 500);
    home.standing(&[8]);
    assert_eq!(home.panel.signal(), Signal::Alarm);
    home.standing(&[9]);
    assert_eq!(home.panel.signal(), Signal::Watching, "acknowledged elsewhere");
    let alerts = [News::Alert { alarm: true, id: 7 }, News::Pressed, News::Alert { alarm: true, id: 8 }];
    assert_eq!(home.news(), [&[News::Watching][..], &alerts].concat());
}

#[test]
fn a_notice_beeps_once_and_is_lit_until_the_button() {
    let mut home = Home::new();
    home.wait(2000, true);
    home.say(ToPanel::Tell { level: Level::Notice, id: 3, age_s: 0, text: "the door is open" });
    assert_eq!((home.wait(60_000, true), home.headline().0), (190, "Notice"));
    assert!(home.panel.outputs(home.now_ms).led);
    home.press();
    assert_eq!(home.panel.signal(), Signal::Watching);
    home.say(ToPanel::Tell { level: Level::Notice, id: 0, age_s: 0, text: "blind: unplugged" });
    assert_eq!(home.panel.signal(), Signal::Notice);
    home.press();
    home.say(ToPanel::Tell { level: Level::Notice, id: 0, age_s: 2, text: "blind: unplugged" });
    assert_eq!(home.panel.signal(), Signal::Watching, "it was seen, and stands");
    assert_eq!(home.headline(), ("Notice", "blind: unplugged"));
}

#[test]
fn a_computer_that_is_silent_is_an_alarm_of_the_panels_own() {
    let mut home = Home::new();
    home.say(ToPanel::Settings(Settings { run: 1, silent_after_s: 10, power_cycle_after_s: None }));
    home.wait(5000, true);
    assert_eq!(home.panel.signal(), Signal::Watching);
    // It talks, and does not think.
    home.say(ToPanel::Tell { level: Level::Info, id: 0, age_s: 0, text: "still here" });
    assert_eq!((home.wait(10_000, false), home.panel.signal()), (0, Signal::Watching));
    assert_eq!((home.wait(5000, false), home.panel.signal()), (300, Signal::Silent));
    assert_eq!(home.headline(), ("SILENT", "The camera computer is silent. Nobody watches."));
    home.press();
    assert_eq!((home.wait(60_000, false), home.panel.signal()), (0, Signal::Silent), "quiet, and lit");
    assert!(!home.panel.outputs(home.now_ms).power_cut);
    home.wait(1000, true);
    assert_eq!(home.panel.signal(), Signal::Watching);
    home.wait(11_000, false);
    assert_eq!(home.wait(5000, false), 300, "the next silence sounds again");
    assert_eq!(home.news(), [News::Watching, News::Silent, News::Pressed, News::Watching, News::Silent]);
}

#[test]
fn an_alarm_is_shown_also_where_the_computer_is_silent() {
    let mut home = Home::new();
    home.wait(1000, true);
    home.alarm(1, "a person falls");
    home.wait(20_000, false);
    assert_eq!(home.headline(), ("ALARM +SILENT", "a person falls"));
    home.press();
    assert_eq!(home.headline().0, "SILENT");
}

#[test]
fn an_end_in_order_is_no_alarm_and_none_at_all_is_one_after_a_while() {
    let mut home = Home::new();
    assert_eq!((home.wait(179_000, false), home.panel.signal()), (0, Signal::Waiting));
    assert!(home.wait(10_000, false) > 0);
    assert_eq!(home.status().seeing, Seeing::Silent);
    home.wait(1000, true);
    home.say(ToPanel::Bye);
    assert_eq!((home.wait(3_600_000, false), home.headline().0), (0, "Ended"));
    assert_eq!(home.panel.signal(), Signal::Ended);
    home.wait(1000, true);
    assert_eq!(home.panel.signal(), Signal::Watching, "it began again");
}

#[test]
fn who_begins_after_an_end_in_order_and_finds_no_camera_is_an_alarm_too() {
    let mut home = Home::new();
    let settings = |run| ToPanel::Settings(Settings { run, silent_after_s: 10, power_cycle_after_s: None });
    home.say(settings(1));
    home.wait(1000, true);
    home.say(ToPanel::Bye);
    assert_eq!((home.wait(60_000, false), home.panel.signal()), (0, Signal::Ended));
    // The same run, told again, is no beginning.
    home.say(settings(1));
    assert_eq!((home.wait(300_000, false), home.panel.signal()), (0, Signal::Ended));
    // It fails, and is started again each ten seconds.
    let mut sounds = 0;
    for run in 2..22 {
        assert!(run <= 20, "in time");
        home.say(settings(run));
        sounds = home.wait(10_000, false);
        if sounds > 0 {
            break;
        }
        assert_eq!(home.panel.signal(), Signal::Waiting);
    }
    assert!(sounds > 0 && home.panel.signal() == Signal::Silent);
    home.say(settings(30));
    home.wait(1000, false);
    assert_eq!(home.panel.signal(), Signal::Silent, "and goes on");
}

#[test]
fn a_press_for_an_alarm_is_none_for_what_is_behind_it() {
    let mut home = Home::new();
    home.wait(2000, true);
    home.say(ToPanel::Tell { level: Level::Alarm, id: 3, age_s: 0, text: "a person falls" });
    home.say(ToPanel::Tell { level: Level::Notice, id: 0, age_s: 0, text: "blind: unplugged" });
    home.press();
    assert_eq!((home.panel.signal(), home.headline()), (Signal::Notice, ("Notice", "blind: unplugged")));
    home.press();
    assert_eq!(home.panel.signal(), Signal::Watching);
}

/// When the power is cut, in seconds of silence.
fn cuts(after_s: Option<u16>, silence_s: u64) -> Vec<u64> {
    let mut home = Home::new();
    home.say(ToPanel::Settings(Settings { run: 1, silent_after_s: 10, power_cycle_after_s: after_s }));
    home.wait(1000, true);
    let (mut cuts, mut was_cut) = (Vec::new(), 0);
    for second in 1..=silence_s {
        home.wait(1000, false);
        if home.panel.outputs(home.now_ms).power_cut {
            was_cut += 1;
            if was_cut == 1 {
                cuts.push(second);
            }
        } else {
            assert!([0, 5].contains(&was_cut), "{was_cut} s");
            was_cut = 0;
        }
    }
    cuts
}

#[test]
fn power_is_cut_where_that_is_asked_for_a_few_times_and_less_and_less() {
    assert_eq!(cuts(Some(120), 20_000), [120, 120 + 360, 120 + 360 + 720]);
    assert_eq!(cuts(None, 5000), [0; 0]);
}

#[test]
fn what_came_before_or_from_elsewhere_does_nothing() {
    let mut home = Home::new();
    home.wait(1000, true);
    for (session, number) in [(SESSION, 1), (SESSION, 0), (SESSION + 1, 100), (0, u32::MAX)] {
        home.send(session, number, ToPanel::Tell { level: Level::Alarm, id: 1, age_s: 0, text: "fire" });
    }
    let status = home.status();
    assert_eq!((status.counts.replayed, status.heard, status.open), (4, 1, 0));
    home.wait(9000, false);
    (0..100).for_each(|_| home.send(SESSION, 1, ToPanel::Beat));
    home.wait(3000, false);
    assert_eq!(home.status().seeing, Seeing::Silent, "an old heartbeat is none");
    home.wait(2100, false);
    home.panel.status(home.now_ms).expect("a second is over");
    home.wait(200, false);
    assert_eq!(home.panel.status(home.now_ms), None, "none is due");
    home.send(0, 0, ToPanel::Hello);
    home.wait(100, false);
    let status = home.panel.status(home.now_ms).expect("whoever asks is answered");
    assert_eq!((status.session, status.heard, status.seeing), (SESSION, 1, Seeing::Silent), "and nothing else changed");
}

#[test]
fn alerts_of_a_run_before_stay_until_the_button() {
    let mut home = Home::new();
    home.say(ToPanel::Settings(Settings { run: 1, ..Settings::default() }));
    home.wait(1000, true);
    home.alarm(5, "of before");
    home.say(ToPanel::Settings(Settings { run: 2, ..Settings::default() }));
    home.standing(&[]);
    home.wait(1000, true);
    assert_eq!(home.headline(), ("ALARM", "of before"));
    home.alarm(5, "another, with the same id");
    assert_eq!(home.status().open, 2);
    home.standing(&[]);
    assert_eq!(home.headline(), ("ALARM", "of before"));
    home.press();
    assert_eq!((home.status().pressed_id, home.panel.signal()), (0, Signal::Watching), "no id of this run");
}

#[test]
fn more_alerts_than_there_is_room_for_cost_those_that_matter_least() {
    let mut home = Home::new();
    home.wait(1000, true);
    home.alarm(1, "first");
    for id in 2..=20 {
        home.wait(10, false);
        home.say(ToPanel::Tell { level: Level::Notice, id, age_s: 0, text: "notice" });
    }
    assert_eq!(usize::from(home.status().open), ALERTS);
    assert_eq!(home.headline(), ("ALARM", "first"));
}

#[test]
fn a_button_that_bounces_is_pressed_once_and_one_that_sticks_too() {
    let mut home = Home::new();
    for n in 0..20 {
        home.button = n % 2 == 0;
        home.wait(10, false);
    }
    assert_eq!(home.status().presses, 0);
    home.button = true;
    home.wait(600_000, false);
    assert_eq!(home.status().presses, 1);
    let mut stuck = Home { button: true, ..Home::new() };
    stuck.wait(60_000, false);
    assert_eq!(stuck.status().presses, 0, "from the start");
    stuck.button = false;
    stuck.wait(10, false);
    stuck.press();
    assert_eq!(stuck.status().presses, 1);
}

/// Bytes of every kind for an hour: no panic, and nothing is taken.
#[test]
fn garbage_is_counted_and_nothing_else() {
    let mut home = Home::new();
    home.wait(1000, true);
    let mut state = 1_u32;
    for n in 0..2_000_000_u32 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        home.panel.hear((state >> 24) as u8, home.now_ms);
        if n % 2000 == 0 {
            home.wait(1000, true);
        }
    }
    let status = home.status();
    assert_eq!((status.open, status.presses, status.counts.replayed, status.counts.unknown), (0, 0, 0, 0));
    assert!(status.counts.damaged > 5000 && status.counts.overlong > 1000, "{status:?}");
    assert_eq!(status.beats, 1001, "each heartbeat came through");
}
