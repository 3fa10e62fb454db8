//! The panel's driver at a pseudo terminal, with a scripted panel at the other end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ocelli_drivers::{PanelConfig, PanelError, PanelSink, probe_panel};
use ocelli_link::{Deframer, FRAME_BYTES, Packet, Reset, Seeing, Status, ToPanel, VERSION, encode};
use ocelli_types::{Event, EventKind, Micros, Severity, Sink as _};
use serial2::SerialPort;

/// A panel that only does what it is told.
struct Far {
    port: SerialPort,
    path: PathBuf,
    deframer: Deframer,
    status: Status,
    /// What was heard, as text.
    heard: Vec<String>,
}

impl Far {
    /// One at a terminal, whose driver's end is kept open beside it, for a terminal that nobody has open hangs up.
    fn new() -> (Self, SerialPort) {
        let (port, near) = SerialPort::pair().expect("the system has terminals");
        let path = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&near)));
        let status = Status { session: 5, seeing: Seeing::Watching, ..Status::default() };
        let far =
            Self { port, path: path.expect("it has a path"), deframer: Deframer::new(), status, heard: Vec::new() };
        (far, near)
    }

    fn answer(&mut self) {
        let mut frame = [0; FRAME_BYTES];
        self.port.write_all(encode(&self.status, &mut frame).expect("it fits")).expect("there is room");
    }

    /// Listens and answers for so long, or until it has heard this.
    fn listen(&mut self, ms: u64, until: &str) -> bool {
        self.port.set_read_timeout(Duration::from_millis(20)).expect("it can be set");
        let (end, mut told) = (Instant::now() + Duration::from_millis(ms), Instant::now());
        while Instant::now() < end {
            let mut bytes = [0; 256];
            let count = self.port.read(&mut bytes).unwrap_or(0);
            let mut found = false;
            for byte in &bytes[..count] {
                let Some(packet) = self.deframer.push::<Packet<'_>>(*byte) else { continue };
                let Packet { session, number, message } = packet.expect("the driver's frames are whole");
                let text = format!("{message:?}");
                found |= !until.is_empty() && text.contains(until);
                if message != ToPanel::Hello {
                    assert!(session == self.status.session && number > self.status.heard, "{session} {number} {text}");
                    self.status.heard = number;
                }
                if message != ToPanel::Beat {
                    self.heard.push(text);
                }
            }
            if found {
                return true;
            }
            if told.elapsed() > Duration::from_millis(100) {
                told = Instant::now();
                self.answer();
            }
        }
        false
    }
}

fn event(kind: EventKind, id: u64, text: &str) -> Event<'_> {
    Event {
        id,
        kind,
        camera: "hall",
        start_us: Micros(0),
        end_us: Micros(1),
        text,
        language: "en",
        relation: None,
        score: 1.0,
        entries: None,
        evidence: None,
        severity: None,
    }
}

#[test]
fn what_stands_is_told_when_the_panel_is_there_and_again_after_its_reset() {
    let (mut far, _near) = Far::new();
    far.status.heard = 40;
    let mut sink = PanelSink::start(PanelConfig::new(&far.path)).expect("there are threads").naming_cameras();
    // Nobody is there yet, and nobody waits.
    for n in 0..20 {
        sink.emit(&event(EventKind::Narration, n, &format!("narration {n}"))).expect("there is room");
    }
    sink.emit(&event(EventKind::Alert, 21, "a\nperson falls")).expect("there is room");
    sink.tell(&event(EventKind::Alert, 22, "for the record"), Severity::Info).expect("there is room");
    assert!(far.listen(20_000, "for the record"), "{:?}", far.heard);
    let told: Vec<&String> = far.heard.iter().filter(|heard| !heard.contains("Hello")).collect();
    assert!(told[0].starts_with("Settings(Settings { run: "), "{told:?}");
    let alarm = "Tell { level: Alarm, id: 21, age_s: 0, text: \"hall: a person falls\" }";
    assert_eq!((told.len(), told[1].as_str()), (4, alarm), "of narrations only the last: {told:?}");
    assert_eq!(told[2].as_str(), "Standing([21, 0, 0, 0, 0, 0, 0, 0])");
    // It begins anew.
    far.heard.clear();
    far.status = Status { session: 6, reset: Reset::Watchdog, ..Status::default() };
    assert!(far.listen(20_000, alarm.strip_suffix("0, text: \"hall: a person falls\" }").expect("as above")));
    let news = sink.news();
    assert_eq!(news.as_deref(), Some("the panel was reset by its watchdog, and is there again"));
    // Acknowledged elsewhere, then with the button.
    sink.over(21).expect("there is room");
    assert!(far.listen(20_000, "Standing([0, 0"), "{:?}", far.heard);
    sink.emit(&event(EventKind::Alert, 23, "again")).expect("there is room");
    assert!(far.listen(20_000, "Standing([23, 0"), "{:?}", far.heard);
    sink.emit(&event(EventKind::Update, 23, "more of it")).expect("there is room");
    sink.emit(&event(EventKind::Update, 23, "and more")).expect("there is room");
    assert!(far.listen(20_000, "\"hall: again: and more\""), "{:?}", far.heard);
    assert_eq!(sink.acknowledged(), None);
    (far.status.presses, far.status.pressed_id) = (1, 23);
    assert!(far.listen(20_000, "Standing([0, 0"), "{:?}", far.heard);
    assert_eq!((sink.acknowledged(), sink.acknowledged()), (Some(23), None));
    sink.ends();
    drop(sink);
    assert!(far.listen(5000, "Bye"), "{:?}", far.heard);
}

#[test]
fn an_end_that_is_not_meant_is_silence() {
    let (mut far, _near) = Far::new();
    let sink = PanelSink::start(PanelConfig::new(&far.path)).expect("there are threads");
    sink.alive();
    assert!(far.listen(20_000, "Beat"), "{:?}", far.heard);
    drop(sink);
    assert!(!far.listen(2000, "Bye"), "{:?}", far.heard);
}

/// After an end that was meant the panel waits for nobody: one that fails at once has told of itself before it is gone.
#[test]
fn a_run_of_a_moment_is_heard_of() {
    let (mut far, _near) = Far::new();
    let sink = PanelSink::start(PanelConfig::new(&far.path)).expect("there are threads");
    let gone = std::thread::spawn(move || drop(sink));
    assert!(far.listen(5000, "Settings"), "{:?}", far.heard);
    far.answer();
    gone.join().expect("it ends");
    assert!(!far.listen(500, "Bye"), "{:?}", far.heard);
}

#[test]
fn an_end_that_is_meant_is_told_until_it_is_heard() {
    let (mut far, _near) = Far::new();
    let sink = PanelSink::start(PanelConfig::new(&far.path)).expect("there are threads");
    assert!(far.listen(20_000, "Standing"), "{:?}", far.heard);
    sink.ends();
    // Nobody answers.
    drop(sink);
    far.listen(500, "");
    let byes = far.heard.iter().filter(|heard| *heard == "Bye").count();
    assert!((3..=6).contains(&byes), "{:?}", far.heard);
}

/// Attempts to find a panel are half a minute apart in the end; one that is plugged in between hears of an end all the same.
#[test]
fn a_panel_that_came_between_two_attempts_hears_of_an_end() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("ttyACM0");
    let sink = PanelSink::start(PanelConfig::new(&path)).expect("there are threads");
    // At the third wait, which is of two seconds.
    std::thread::sleep(Duration::from_secs(2));
    let (mut far, _near) = Far::new();
    std::os::unix::fs::symlink(&far.path, &path).expect("it can be made");
    sink.ends();
    let gone = std::thread::spawn(move || drop(sink));
    assert!(far.listen(5000, "Bye"), "{:?}", far.heard);
    far.answer();
    gone.join().expect("it ends");
}

/// That one camera is blind stands until it sees again or somebody pressed it away, whatever the others tell meanwhile.
#[test]
fn what_another_camera_tells_does_not_hide_that_one_is_blind() {
    let (mut far, _near) = Far::new();
    let of = |camera: &'static str, kind, text: &'static str| Event { camera, ..event(kind, 1, text) };
    let mut sink = PanelSink::start(PanelConfig::new(&far.path)).expect("there are threads").naming_cameras();
    let blind = |camera| of(camera, EventKind::Blind, "no picture");
    sink.emit(&blind("hall")).expect("there is room");
    assert!(
        far.listen(20_000, "Tell { level: Notice, id: 0, age_s: 0, text: \"hall: no picture\" }"),
        "{:?}",
        far.heard
    );
    sink.emit(&of("porch", EventKind::Narration, "someone comes in")).expect("there is room");
    assert!(!far.listen(1000, "someone comes in"), "{:?}", far.heard);
    sink.emit(&blind("porch")).expect("there is room");
    assert!(far.listen(20_000, "porch: no picture"));
    sink.sees("porch").expect("there is room");
    assert!(far.listen(20_000, "hall: no picture"), "the other is still blind");
    sink.sees("hall").expect("there is room");
    assert!(far.listen(20_000, "someone comes in"), "what was told meanwhile: {:?}", far.heard);
    // A press for an alarm is none for what is behind it.
    sink.emit(&blind("porch")).expect("there is room");
    sink.emit(&blind("hall")).expect("there is room");
    assert!(far.listen(20_000, "hall: no picture"));
    (far.status.presses, far.status.pressed_id) = (1, 9);
    far.answer();
    sink.emit(&of("porch", EventKind::Narration, "someone sits")).expect("there is room");
    assert!(!far.listen(1000, "someone sits"), "{:?}", far.heard);
    // Nor is one for an alert of a run before, which has no id any more, or for a silence.
    for shown in [Status { open: 1, ..far.status }, Status { seeing: Seeing::Silent, ..far.status }] {
        far.status = shown;
        far.answer();
        far.status = Status { presses: shown.presses + 1, pressed_id: 0, open: 0, ..shown };
        far.answer();
        far.status.seeing = Seeing::Watching;
        far.answer();
        sink.emit(&of("porch", EventKind::Narration, "someone kneels")).expect("there is room");
        assert!(!far.listen(1000, "someone kneels"), "{:?}", far.heard);
        let last = far.heard.iter().rfind(|heard| heard.contains("Tell")).expect("something was told");
        assert!(last.contains("hall: no picture"), "{:?}", far.heard);
    }
    // Pressed away, one gives way to the next, and the last of them to the next text.
    far.status.presses += 1;
    far.answer();
    assert!(far.listen(20_000, "porch: no picture"), "{:?}", far.heard);
    far.status.presses += 1;
    far.answer();
    assert!(!far.listen(500, "someone sits"), "it is still the last");
    sink.emit(&of("porch", EventKind::Narration, "someone walks")).expect("there is room");
    assert!(far.listen(20_000, "someone walks"), "{:?}", far.heard);
}

#[test]
fn heartbeats_end_with_the_thinking_and_presses_of_before_are_none() {
    let (mut far, _near) = Far::new();
    (far.status.presses, far.status.pressed_id) = (3, 9);
    let config = PanelConfig {
        beat_every: Duration::from_millis(50),
        beat_for: Duration::from_millis(500),
        ..PanelConfig::new(&far.path)
    };
    let sink = PanelSink::start(config).expect("there are threads");
    assert!(far.listen(20_000, "Standing"));
    assert!(!far.listen(500, "Beat"), "it has thought of nothing yet");
    sink.alive();
    assert!(far.listen(20_000, "Beat"), "it thinks");
    far.listen(1000, "");
    assert!(!far.listen(1000, "Beat"), "it does not think any more");
    sink.alive();
    assert!(far.listen(20_000, "Beat"), "it thinks again");
    assert_eq!(sink.acknowledged(), None);
}

#[test]
fn a_panel_that_is_not_there_is_told_once_and_found_when_it_comes() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("ttyACM0");
    let mut sink = PanelSink::start(PanelConfig::new(&path)).expect("there are threads");
    let until = Instant::now() + Duration::from_secs(20);
    let news = loop {
        if let Some(news) = sink.news() {
            break news;
        }
        assert!(Instant::now() < until, "it should be told");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(news.ends_with("there is no panel here; check the path, or plug it in; trying again"), "{news}");
    // More than there is room for, at once: nothing waits.
    let all = (0..1000).filter(|n| sink.emit(&event(EventKind::Narration, *n, "text")).is_err()).count();
    assert_eq!(all as u64, sink.report().lost);
    let (mut far, _near) = Far::new();
    std::os::unix::fs::symlink(&far.path, &path).expect("it can be made");
    assert!(far.listen(30_000, "Settings"), "{:?}", far.heard);
    far.listen(500, "");
    assert_eq!(sink.news().as_deref(), Some("the panel is there"), "and nothing of the attempts between");
}

#[test]
fn a_panel_is_asked_how_it_is() {
    let (mut far, _near) = Far::new();
    let config = PanelConfig::new(&far.path);
    let asked = std::thread::spawn({
        let config = config.clone();
        move || probe_panel(&config)
    });
    assert!(far.listen(20_000, "Hello"));
    far.answer();
    let status = asked.join().expect("it does not panic").expect("it answers");
    assert_eq!((status.session, status.seeing), (5, Seeing::Watching));
    // Of another version.
    let mut plain = vec![VERSION + 1, 1, 2, 3];
    plain.extend(crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&plain).to_le_bytes());
    let mut coded = [0; 32];
    let count = cobs::encode(&plain, &mut coded);
    far.port.write_all(&coded[..=count]).expect("there is room");
    let error = probe_panel(&config).expect_err("it is of another version");
    assert!(matches!(error, PanelError::Version { found, .. } if found == VERSION + 1), "{error}");
    assert!(error.to_string().ends_with("flash the firmware of this release"), "{error}");
    assert!(matches!(probe_panel(&config), Err(PanelError::Silent(_))), "nothing comes");
    let nothing = probe_panel(&PanelConfig::new("/no/such/port")).expect_err("there is none");
    assert!(matches!(nothing, PanelError::Missing(_)));
    let file = tempfile::NamedTempFile::new().expect("there is a temporary folder");
    let file = probe_panel(&PanelConfig::new(file.path())).expect_err("it is a file").to_string();
    assert!(file.contains("this cannot be used as a serial port"), "{file}");
}

#[test]
fn two_programs_do_not_share_a_panel() {
    let (mut far, _near) = Far::new();
    let sink = PanelSink::start(PanelConfig::new(&far.path)).expect("there are threads");
    assert!(far.listen(20_000, "Settings"));
    let error = probe_panel(&PanelConfig::new(&far.path)).expect_err("it has an owner");
    assert!(error.to_string().contains("another program is using the panel"), "{error}");
    drop(sink);
}
