//! What leaves the device.

use crate::{EntryId, Micros};

/// How much a vocabulary entry matters to the people who live there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth saying, no more.
    #[default]
    None,
    /// Good to know.
    Info,
    /// Wants a look.
    Notice,
    /// Wants help: raises an alert.
    Alarm,
}

impl Severity {
    /// As it is written in the output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Alarm => "alarm",
        }
    }
}

/// The kinds of event, as they are written in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Something is seen to happen.
    Narration,
    /// A narration of severity [`Severity::Alarm`] began, or what a standing condition waits for; again under its id where nobody
    /// acknowledges it.
    Alert,
    /// What raised the alert is over.
    AlertEnd,
    /// More about an alert that was told, under the alert's id: the sentence of what is seen, or that somebody acknowledged it.
    Update,
    /// Nothing was seen from start to end; the text says why.
    Blind,
    /// State of the device itself.
    Health,
    /// The camera itself moved.
    Camera,
}

impl EventKind {
    /// The name used in the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Narration => "narration",
            Self::Alert => "alert",
            Self::AlertEnd => "alert_end",
            Self::Update => "update",
            Self::Blind => "blind",
            Self::Health => "health",
            Self::Camera => "camera",
        }
    }
}

/// How a narration stands to what was said before it of the same camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// It was said, and goes on.
    Still,
    /// It was said, something else came, and it is so once more.
    Again,
    /// What was said before goes on beside it.
    Also,
}

impl Relation {
    /// The name used in the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Still => "still",
            Self::Again => "again",
            Self::Also => "also",
        }
    }

    /// What stands before a sentence of this language; `None` where we have no words for it.
    pub fn words(self, language: &str) -> Option<&'static str> {
        match (language, self) {
            ("en", Self::Still) => Some("still: "),
            ("en", Self::Again) => Some("again: "),
            ("en", Self::Also) => Some("now also: "),
            _ => None,
        }
    }
}

/// One event, with the time range and the memory entries that it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// Counts up: from 1 in each run, or with a journal on from run to run. What is told of an alert again or later has its id.
    pub id: u64,
    /// What kind of event.
    pub kind: EventKind,
    /// Which camera.
    pub camera: &'a str,
    /// Start of the evidence.
    pub start_us: Micros,
    /// End of the evidence.
    pub end_us: Micros,
    /// The sentence, as the vocabulary has it.
    pub text: &'a str,
    /// The language of the sentence, such as `en`.
    pub language: &'a str,
    /// How much it matters; only of an alert, its end, and what is told of it later.
    pub severity: Option<Severity>,
    /// How it stands to what was said before; only of a narration.
    pub relation: Option<Relation>,
    /// 0 to 1, as calibrated in the pack; 1 where nothing is estimated.
    pub score: f32,
    /// Oldest and newest memory entry behind it; `None` where memory has no part in it.
    pub entries: Option<(EntryId, EntryId)>,
    /// What a lesson on it is made of, as text without spaces; `None` where it is not wanted or nothing can be learnt.
    pub evidence: Option<&'a str>,
}
