//! An event as others see it: the same words in HTTP, server-sent events, MQTT and webhooks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the text of an alert begins that nobody acknowledged and that is told again.
pub const TOLD_AGAIN: &str = "still not acknowledged";

/// How much something matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth saying, no more.
    #[default]
    None,
    /// Good to know.
    Info,
    /// Wants a look.
    Notice,
    /// Wants help.
    Alarm,
}

/// Something that was said, with the keys of `ocelli events --json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its id. Ids only grow; what is told of an alert later has the alert's id. `null` for a hole.
    pub id: Option<u64>,
    /// `narration`, `alert`, `alert_end`, `update`, `blind`, `health`, `camera`; or `hole`, a time in which no program watched.
    pub r#type: String,
    /// Name of the camera; `null` for a hole.
    pub camera: Option<String>,
    /// Date of its beginning, RFC 3339 in UTC; `null` where it is not known.
    pub start: Option<String>,
    /// Date of its end.
    pub end: Option<String>,
    /// Stream time of its beginning in seconds, which counts from the start of the program's memory.
    pub t_start_s: Option<f64>,
    /// Stream time of its end in seconds.
    pub t_end_s: Option<f64>,
    /// Kind of the vocabulary, such as `fall`.
    pub kind: Option<String>,
    /// Whom or what that kind is about, such as `person`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<String>,
    /// How much it matters.
    pub severity: Option<Severity>,
    /// The sentence.
    pub text: String,
    /// 0 to 1.
    pub score: Option<f64>,
    /// The oldest and the newest memory entry that it rests on.
    pub entries: Option<[u64; 2]>,
    /// How it goes on from the narration before: `also`, `still`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    /// Narrations that it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrations: Option<u32>,
    /// What an alert has besides.
    #[serde(flatten)]
    pub alert: Option<OfAlert>,
}

/// What an alert has besides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfAlert {
    /// The sentence that followed it.
    pub said: Option<String>,
    /// How often it was told; 0 in quiet hours.
    pub told: u32,
    /// When somebody acknowledged it, RFC 3339.
    pub acknowledged: Option<String>,
}
