//! What a broker delivers: what others ask of the program in topics that end with `/set`, each answered in the one that ends with
//! `/answer`, and that Home Assistant has started.

use std::sync::Arc;

use rumqttc::Publish;
use serde_json::{Value, json};

use super::frigate::Frigate;
use super::topics::Topics;
use crate::house::{Lesson, Question};
use crate::target::{Controls, VerbosityName};
use crate::{Answered, House, HouseError};

/// What a lesson without a time is about.
const JUST_NOW_S: u32 = 10;

/// No command is longer.
const MOST_BYTES: usize = 4096;

/// A command, as far as it could be understood.
#[derive(Clone, Debug)]
pub enum Command {
    Enabled {
        camera: usize,
        on: bool,
    },
    Verbosity(VerbosityName),
    Quiet {
        on: bool,
        minutes: Option<u32>,
    },
    Teach(Box<Lesson>),
    Ask(Question),
    /// `None` for the last one.
    Acknowledge(Option<u64>),
}

/// What is delivered, as far as it is for us.
#[derive(Clone, Debug)]
pub enum Delivered {
    /// Home Assistant has started, and has to be told who we are.
    Birth,
    Command(Result<Command, String>),
}

/// What we listen to.
#[derive(Clone, Copy, Debug)]
pub struct Ears<'a> {
    pub topics: &'a Topics,
    /// Whose topics in Frigate's shape are obeyed, too.
    pub frigate: Option<&'a Frigate>,
    /// Home Assistant tells in `<discovery>/status` that it has started; empty for none.
    pub discovery: &'a str,
    /// Whether commands are obeyed at all.
    pub commands: bool,
}

impl Ears<'_> {
    /// Reads what is delivered. A broker may deliver what nobody subscribed to, so that all is looked at. `None` for what is not for us.
    pub fn hear(&self, publish: &Publish) -> Option<Delivered> {
        // What is retained was asked once, and is no wish of now.
        if publish.retain {
            return None;
        }
        if !self.discovery.is_empty() && publish.topic.strip_prefix(self.discovery) == Some("/status") {
            return (publish.payload[..] == *b"online").then_some(Delivered::Birth);
        }
        if !self.commands {
            return None;
        }
        let as_ours = self.frigate.and_then(|frigate| {
            let slug = publish.topic.strip_prefix(&frigate.topic(""))?.strip_suffix("/enabled/set")?;
            Some(format!("{}/camera/{slug}/enabled/set", self.topics.base))
        });
        let topic = as_ours.as_deref().unwrap_or(&publish.topic);
        command(self.topics, topic, &publish.payload).map(Delivered::Command)
    }
}

/// Reads a command. `None` for a topic that is none.
fn command(topics: &Topics, topic: &str, payload: &[u8]) -> Option<Result<Command, String>> {
    let what = topic.strip_prefix(&topics.base)?.strip_prefix('/')?.strip_suffix("/set")?;
    let text = std::str::from_utf8(payload).ok().filter(|_| payload.len() <= MOST_BYTES);
    let Some(text) = text.map(str::trim) else { return Some(Err("a command is a text of 4096 bytes at most".into())) };
    Some(match what.strip_prefix("camera/").and_then(|of| of.split_once('/')) {
        Some((slug, what)) => match topics.cameras.iter().position(|place| place.slug == slug) {
            None => Err(format!("there is no camera `{slug}`")),
            Some(camera) => of_camera(camera, &topics.cameras[camera].name, what, text)?,
        },
        None => of_device(what, text)?,
    })
}

fn of_camera(camera: usize, name: &str, what: &str, text: &str) -> Option<Result<Command, String>> {
    Some(match what {
        "enabled" => on(text).map(|on| Command::Enabled { camera, on }),
        "teach" => lesson(name, text),
        _ => return None,
    })
}

fn of_device(what: &str, text: &str) -> Option<Result<Command, String>> {
    Some(match what {
        "verbosity" => {
            let named = VerbosityName::named(text).map(Command::Verbosity);
            named.ok_or_else(|| "verbosity is quiet, normal or full".into())
        }
        "quiet" => match text.parse::<u32>() {
            Ok(minutes @ 1..=10_080) => Ok(Command::Quiet { on: true, minutes: Some(minutes) }),
            Ok(0) => Ok(Command::Quiet { on: false, minutes: None }),
            Ok(_) => Err("quiet is ON, OFF, or minutes, 10080 (a week) at most".into()),
            Err(_) => on(text).map_or_else(
                |_| Err("quiet is ON, OFF, or minutes, 10080 (a week) at most".into()),
                |on| Ok(Command::Quiet { on, minutes: None }),
            ),
        },
        "ask" => question(text),
        "ack" if text == "last" => Ok(Command::Acknowledge(None)),
        "ack" => {
            let id = text.parse().ok().or_else(|| text.parse::<Value>().ok()?["id"].as_u64());
            id.map(|id| Command::Acknowledge(Some(id))).ok_or_else(|| "ack is the id of an alert, or `last`".into())
        }
        _ => return None,
    })
}

fn on(text: &str) -> Result<bool, String> {
    match text.to_ascii_uppercase().as_str() {
        "ON" | "TRUE" | "1" => Ok(true),
        "OFF" | "FALSE" | "0" => Ok(false),
        _ => Err("it is ON or OFF".into()),
    }
}

fn lesson(camera: &str, text: &str) -> Result<Command, String> {
    let mut lesson = if text.starts_with('{') {
        serde_json::from_str::<Lesson>(text).map_err(|error| format!("a lesson is a text or JSON: {error}"))?
    } else {
        Lesson { text: text.into(), ..Lesson::default() }
    };
    lesson.check()?;
    if lesson.last_s.is_none() && lesson.from.is_none() {
        lesson.last_s = Some(JUST_NOW_S);
    }
    lesson.camera = Some(camera.into());
    Ok(Command::Teach(Box::new(lesson)))
}

fn question(text: &str) -> Result<Command, String> {
    let question = if text.starts_with('{') {
        serde_json::from_str(text).map_err(|error| format!("a question is a text or JSON: {error}"))?
    } else {
        Question { question: text.into(), camera: None }
    };
    if question.question.trim().is_empty() {
        return Err("the question is empty".into());
    }
    Ok(Command::Ask(question))
}

impl Command {
    /// Whether it is done at once; others may take a while, in a thread of their own.
    pub fn is_setting(&self) -> bool {
        matches!(self, Self::Enabled { .. } | Self::Verbosity(_) | Self::Quiet { .. })
    }

    /// Does what is asked. `last` is the newest alert.
    pub fn run(self, house: &dyn House, controls: &Arc<dyn Controls>, last: Option<u64>) -> Value {
        let done: Answered<Value> = match self {
            Self::Enabled { camera, on } => {
                let said = if on { "it watches" } else { "it watches no longer" };
                controls.set_enabled(camera, on).map(|()| json!({ "message": said }))
            }
            Self::Verbosity(verbosity) => {
                let said = format!("from now on: {}", verbosity.name());
                controls.set_verbosity(verbosity).map(|()| json!({ "message": said }))
            }
            Self::Quiet { on, minutes } => {
                let said = match (on, minutes) {
                    (true, Some(minutes)) => format!("quiet for {minutes} minutes"),
                    (true, None) => "quiet until it is switched off".into(),
                    (false, _) => "no longer quiet".into(),
                };
                controls.set_quiet(on, minutes).map(|()| json!({ "message": said }))
            }
            Self::Teach(lesson) => house.teach(&lesson).map(|done| json!({"message": done.message})),
            Self::Ask(question) => {
                house.ask(&question).map(|answer| json!({"message": answer.answer, "answer": answer}))
            }
            Self::Acknowledge(id) => match id.or(last) {
                None => Err(HouseError::Absent("there was no alert yet".into())),
                Some(id) => house.acknowledge(id).map(|()| json!({"message": "acknowledged", "id": id})),
            },
        };
        answer(done.map_err(|error| error.to_string()))
    }
}

/// Reads whatever a broker may deliver, of its own accord (`retained`) or not: Home Assistant's word that it has started, a command that
/// can be meant, or one that is refused in words.
///
/// # Panics
/// That is what a fuzzer looks for.
pub fn fuzzed(topic: &str, payload: &[u8], retained: bool) {
    let topics = Topics::new("ocelli/home/board".into(), &["hall".into()], &[]);
    let mut publish = Publish::new(topic, rumqttc::QoS::AtLeastOnce, payload);
    publish.retain = retained;
    let frigate = Frigate::new("frigate");
    let ears = Ears { topics: &topics, frigate: Some(&frigate), discovery: "homeassistant", commands: true };
    let delivered = ears.hear(&publish);
    assert!(!retained || delivered.is_none(), "nothing retained is obeyed: {delivered:?}");
    match delivered {
        Some(Delivered::Birth) => {
            assert_eq!((topic, payload), ("homeassistant/status", &b"online"[..]), "Home Assistant has started");
        }
        Some(Delivered::Command(command)) => {
            assert!(topic.ends_with("/set"), "only what ends with /set asks for something, not {topic}");
            let of_frigate = topic.starts_with("frigate/");
            assert!(of_frigate || topic.starts_with("ocelli/home/board/"), "{topic} is somebody else's");
            check(command, of_frigate);
        }
        None => {}
    }
}

fn check(command: Result<Command, String>, of_frigate: bool) {
    match command {
        Ok(Command::Enabled { camera, .. }) => assert_eq!(camera, 0, "there is one camera"),
        Ok(other) if of_frigate => panic!("Frigate's topics switch cameras, no more: {other:?}"),
        Ok(Command::Quiet { minutes, .. }) => {
            assert!(minutes.is_none_or(|minutes| minutes <= 10_080), "{minutes:?} is more than a week");
        }
        Ok(Command::Teach(lesson)) => assert_eq!(lesson.check(), Ok(()), "a lesson makes sense"),
        Ok(Command::Ask(question)) => assert!(!question.question.trim().is_empty(), "a question has a text"),
        Ok(Command::Verbosity(_) | Command::Acknowledge(_)) => {}
        Err(why) => assert!(!why.is_empty(), "what is refused is told why"),
    }
}

/// As it is published.
pub fn answer(done: Result<Value, String>) -> Value {
    match done {
        Ok(mut said) => {
            said["ok"] = json!(true);
            said
        }
        Err(why) => json!({"ok": false, "message": why}),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What commands are made of, in any order.
    fn any_payload() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "ON",
            "off",
            "full",
            "last",
            "7",
            "-1",
            "1e999",
            "99999999999999999999",
            "{",
            "}",
            "[",
            "\"text\":",
            "\"question\":",
            "\"last_s\":",
            "\"id\":",
            "\"x\"",
            "\"\\ud800\"",
            "null",
            ",",
            " ",
            "ü",
            "\0",
        ]);
        let pieces = prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat().into_bytes());
        prop_oneof![pieces, any::<Vec<u8>>()]
    }

    proptest! {
        #[test]
        fn any_payload_is_a_command_or_refused(
            topic in prop::sample::select(vec![
                "camera/hall/enabled", "camera/hall/teach", "verbosity", "quiet", "ask", "ack", "camera//x", "camera/hall", "", "/",
            ]),
            payload in any_payload(),
            retained in any::<bool>(),
        ) {
            fuzzed(&format!("ocelli/home/board/{topic}/set"), &payload, retained);
            fuzzed(&format!("frigate/{topic}/set"), &payload, retained);
        }

        #[test]
        fn any_topic_is_of_a_command_or_not(topic in ".*", payload in any_payload(), retained in any::<bool>()) {
            fuzzed(&topic, &payload, retained);
        }
    }

    #[test]
    fn what_the_fuzzer_begins_with_is_read() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/command");
        for seed in std::fs::read_dir(seeds).expect("they are there") {
            let message = std::fs::read(seed.expect("a file").path()).expect("it can be read");
            let end = message.iter().position(|byte| *byte == b'\n').expect("a topic, and a payload below");
            let topic = String::from_utf8_lossy(&message[..end]);
            let retained = topic.starts_with('!');
            fuzzed(topic.strip_prefix('!').unwrap_or(&topic), &message[end + 1..], retained);
        }
    }

    fn delivered(topic: &str, payload: &str, retained: bool, discovery: &str) -> Option<Delivered> {
        let topics = Topics::new("ocelli/home/board".into(), &["hall".into(), "front door".into()], &[]);
        let mut publish = Publish::new(topic, rumqttc::QoS::AtLeastOnce, payload);
        publish.retain = retained;
        let frigate = Frigate::new("frigate");
        let ears = Ears { topics: &topics, frigate: Some(&frigate), discovery, commands: true };
        if topic.ends_with("/set") {
            assert!(Ears { commands: false, ..ears }.hear(&publish).is_none(), "no commands are no commands");
        }
        ears.hear(&publish)
    }

    fn command(topic: &str, payload: &str) -> Option<Result<Command, String>> {
        match delivered(&format!("ocelli/home/board/{topic}"), payload, false, "homeassistant")? {
            Delivered::Command(command) => Some(command),
            Delivered::Birth => panic!("{topic} is no birth"),
        }
    }

    #[test]
    fn home_assistant_is_heard_to_start_and_only_when_it_does() {
        let born = |topic, payload, retained, discovery| {
            matches!(delivered(topic, payload, retained, discovery), Some(Delivered::Birth))
        };
        assert!(born("homeassistant/status", "online", false, "homeassistant"));
        for (topic, payload, retained, discovery) in [
            ("homeassistant/status", "offline", false, "homeassistant"),
            ("homeassistant/status", "online", true, "homeassistant"),
            ("homeassistant/status/x", "online", false, "homeassistant"),
            ("homeassistant", "online", false, "homeassistant"),
            ("other/status", "online", false, "homeassistant"),
            ("/status", "online", false, ""),
        ] {
            assert!(!born(topic, payload, retained, discovery), "{topic} {payload} {retained} {discovery}");
        }
    }

    #[test]
    fn frigates_topics_switch_cameras_and_what_is_retained_does_nothing() {
        let shown = |topic, retained| format!("{:?}", delivered(topic, "OFF", retained, "homeassistant"));
        let off = "Some(Command(Ok(Enabled { camera: 1, on: false })))";
        assert_eq!(shown("frigate/front_door/enabled/set", false), off);
        assert_eq!(shown("ocelli/home/board/camera/front_door/enabled/set", false), off);
        assert_eq!(shown("ocelli/home/board/camera/front_door/enabled/set", true), "None");
        assert_eq!(shown("frigate/front_door/detect/set", false), "None");
        assert_eq!(shown("frigate/quiet/set", false), "None");
    }

    #[test]
    fn commands_are_understood() {
        let understood = |topic, payload| command(topic, payload).expect("a command").expect("understood");
        let shown = |topic, payload| format!("{:?}", understood(topic, payload));
        assert_eq!(shown("camera/front_door/enabled/set", "off"), "Enabled { camera: 1, on: false }");
        assert_eq!(shown("verbosity/set", "full"), "Verbosity(Full)");
        assert_eq!(shown("quiet/set", "30"), "Quiet { on: true, minutes: Some(30) }");
        assert_eq!(shown("quiet/set", "OFF"), "Quiet { on: false, minutes: None }");
        assert_eq!(shown("ack/set", "7"), "Acknowledge(Some(7))");
        assert_eq!(shown("ack/set", r#"{"id": 8}"#), "Acknowledge(Some(8))");
        assert_eq!(shown("ack/set", "last"), "Acknowledge(None)");
        let Command::Teach(lesson) = understood("camera/hall/teach/set", "the bin is put out") else {
            panic!("a lesson")
        };
        assert_eq!((lesson.last_s, lesson.camera.as_deref()), (Some(10), Some("hall")));
        let Command::Ask(question) = understood("ask/set", r#"{"question": "who came?", "camera": "hall"}"#) else {
            panic!("a question")
        };
        assert_eq!(question.question, "who came?");
    }

    #[test]
    fn what_is_no_command_does_nothing_and_what_is_wrong_is_said() {
        for topic in ["verbosity/state", "other/set", "camera/hall/other/set", "set"] {
            assert!(command(topic, "ON").is_none(), "{topic}");
        }
        for (topic, payload) in [
            ("verbosity/set", "loud"),
            ("quiet/set", "1000000"),
            ("camera/barn/enabled/set", "ON"),
            ("camera/hall/enabled/set", "maybe"),
            ("camera/hall/teach/set", " "),
            ("camera/hall/teach/set", "{"),
            ("camera/hall/teach/set", r#"{"txt": "x"}"#),
            ("camera/hall/teach/set", r#"{"text": "x", "last_s": 601}"#),
            ("camera/hall/teach/set", r#"{"text": "x", "last_s": 0}"#),
            ("ask/set", ""),
            ("ack/set", "the last"),
            ("ask/set", &"x".repeat(5000)),
        ] {
            assert!(matches!(command(topic, payload), Some(Err(_))), "{topic} {payload}");
        }
        for quiet in ["maybe", "1000000", "-5", "2.5"] {
            let Some(Err(why)) = command("quiet/set", quiet) else { panic!("{quiet}") };
            assert_eq!(why, "quiet is ON, OFF, or minutes, 10080 (a week) at most", "{quiet}");
        }
    }
}
