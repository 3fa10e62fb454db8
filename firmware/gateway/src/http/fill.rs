//! Answers in a shape that somebody else asks for: a JSON schema, filled with what is known.
//!
//! What a field wants follows from its type, its bounds and words of its name (`title`, `confidence`, `threat_level`). Nothing is
//! made up: a text that must be longer than what is known goes on with what the answer rests on. What cannot be filled so is refused,
//! and where a question was asked each number, each yes or no and each choice that the answer does not have is.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use crate::Severity;
use crate::house::Answer;

/// Schemas may refer to themselves.
const DEEPEST: usize = 16;

/// No text is longer where nothing bounds it.
const LONGEST: usize = 2000;

/// What may be looked at and written for one answer, in bytes: lists of lists and choices of choices multiply.
const ROOM_BYTES: usize = 512 << 10;

/// What a value costs beside its text.
const VALUE_BYTES: usize = 64;

/// The form of an answer that says how long.
const DURATION: &str = "duration";

/// What is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// What it was taken from.
    pub of: String,
    /// Sentences, the oldest first.
    pub told: Vec<String>,
    pub severity: Severity,
    /// 0 to 1.
    pub confidence: f64,
    /// Whether nothing was answered.
    pub abstained: bool,
    /// The answer to a question, where one was asked.
    pub answer: Option<Answer>,
}

impl From<Answer> for Facts {
    fn from(answer: Answer) -> Self {
        Self {
            of: "the journal".into(),
            told: vec![answer.answer.clone()],
            severity: Severity::None,
            confidence: answer.confidence,
            abstained: answer.abstained,
            answer: Some(answer),
        }
    }
}

/// An answer in the shape of a schema.
///
/// # Errors
/// Why it cannot be: the schema asks for what the answer does not have, or is one that is not followed.
pub fn fill_with(schema: &Value, answer: Answer) -> Result<Value, String> {
    fill(schema, &answer.into())
}

impl Facts {
    /// As one text.
    pub fn text(&self) -> String {
        if self.told.is_empty() { self.nothing() } else { self.told.join("\n") }
    }

    fn nothing(&self) -> String {
        format!("Nothing was told of {}.", if self.of.is_empty() { "this" } else { &self.of })
    }

    /// The most telling sentence: the newest.
    fn short(&self) -> String {
        self.told.last().cloned().unwrap_or_else(|| self.nothing())
    }

    /// What can be said truly where more words are asked for than are known.
    fn more(&self) -> [String; 5] {
        let of = if self.of.is_empty() { "what was seen" } else { &self.of };
        [
            format!("This rests on {of} and on nothing else."),
            format!("The highest probability among what was recognised is {:.2}.", self.confidence),
            format!("In all {} things were told of it.", self.told.len()),
            "What is not in the camera's vocabulary is not told.".into(),
            "Colours, faces and writing are not read.".into(),
        ]
    }
}

/// A value that fits the schema.
pub(super) fn fill(schema: &Value, facts: &Facts) -> Result<Value, String> {
    Filler { root: schema, facts, room: Cell::new(ROOM_BYTES) }.value(schema, "", 0)
}

struct Filler<'a> {
    root: &'a Value,
    facts: &'a Facts,
    /// What is left of [`ROOM_BYTES`].
    room: Cell<usize>,
}

impl Filler<'_> {
    /// Counts what is about to be looked at or written.
    fn spend(&self, bytes: usize) -> Result<(), String> {
        let left = self.room.get().checked_sub(bytes);
        self.room.set(left.unwrap_or_default());
        left.map(drop).ok_or_else(|| "what it asks for is too long".into())
    }

    /// Counts a value that is about to be copied.
    fn spend_on(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::String(text) => self.spend(VALUE_BYTES + text.len()),
            Value::Array(values) => values.iter().try_for_each(|value| self.spend_on(value)),
            Value::Object(values) => {
                values.iter().try_for_each(|(name, value)| self.spend(name.len()).and_then(|()| self.spend_on(value)))
            }
            _ => self.spend(VALUE_BYTES),
        }
    }

    fn value(&self, schema: &Value, name: &str, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err("it nests too deep".into());
        }
        self.spend(VALUE_BYTES + name.len())?;
        if let Some(pointer) = schema["$ref"].as_str() {
            let target = pointer.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let target = target.ok_or_else(|| format!("`{}` is not in it", pointer.escape_debug()))?;
            return self.value(target, name, depth + 1);
        }
        if let Some(value) = schema.get("const") {
            self.spend_on(value)?;
            return Ok(value.clone());
        }
        if let Some(values) = schema["enum"].as_array() {
            self.spend_on(&schema["enum"])?;
            return self.choose(values, name).ok_or_else(|| format!("`{name}` has no value that is known to be right"));
        }
        for any in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[any].as_array() {
                self.spend(VALUE_BYTES * choices.len())?;
                // Something rather than nothing.
                let (nothing, something): (Vec<&Value>, Vec<&Value>) =
                    choices.iter().partition(|choice| choice["type"] == "null");
                let choices = if self.is_nothing(name) { [nothing, something] } else { [something, nothing] };
                let mut tried = choices.concat().into_iter().map(|choice| self.value(choice, name, depth + 1));
                return tried
                    .find(Result::is_ok)
                    .unwrap_or_else(|| Err(format!("no part of {any} of `{name}` can be filled")));
            }
        }
        if let Some(all) = schema["allOf"].as_array() {
            self.spend_on(schema)?;
            let mut whole = schema.clone();
            if let Some(whole) = whole.as_object_mut() {
                whole.remove("allOf");
                for part in all {
                    let part =
                        part["$ref"].as_str().and_then(|at| self.root.pointer(at.strip_prefix('#')?)).unwrap_or(part);
                    self.spend_on(part)?;
                    merge(whole, part);
                }
            }
            return self.value(&whole, name, depth + 1);
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ if schema.get("properties").is_some() => vec!["object"],
            _ if schema.get("items").is_some() => vec!["array"],
            // Whatever would do: the text of an answer may be no answer to what is meant.
            _ if self.facts.answer.is_some() && !is_of_text(schema) => {
                return Err(format!("`{name}` has no type, so it is not known what it asks for"));
            }
            _ => vec!["string"],
        };
        let nothing = types.contains(&"null") && self.is_nothing(name);
        // Of an answer: what it does not have is null, where that may be.
        if types.contains(&"null") && self.facts.answer.is_some() {
            let some = types.iter().filter(|kind| **kind != "null");
            let mut tried = some.map(|kind| self.typed(kind, schema, name, depth));
            return Ok(tried.find_map(Result::ok).unwrap_or(Value::Null));
        }
        let kind = types.iter().find(|kind| **kind != "null").filter(|_| !nothing).copied().unwrap_or("null");
        self.typed(kind, schema, name, depth)
    }

    fn typed(&self, kind: &str, schema: &Value, name: &str, depth: usize) -> Result<Value, String> {
        match kind {
            "null" => Ok(Value::Null),
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "string" => self.string(schema, name).map(Value::String),
            "integer" => self.number(schema, name, true),
            "number" => self.number(schema, name, false),
            "boolean" => self.yes(name).map(Value::Bool),
            other => Err(format!("`{name}` is of the type `{}`", other.escape_debug())),
        }
    }

    fn yes(&self, name: &str) -> Result<bool, String> {
        let Facts { told, severity, abstained, .. } = self.facts;
        let Some(answer) = &self.facts.answer else {
            return Ok(*severity == Severity::Alarm || (positive(name) && !told.is_empty() && !abstained));
        };
        match name.to_lowercase() {
            name if name.contains("abstain") || name.contains("unknown") => Ok(*abstained),
            name if name.contains("answered") || name.contains("known") => Ok(!abstained),
            _ => {
                let found = (positive(name) && !abstained).then_some(!answer.evidence.is_empty());
                let said = answer.value.as_bool().or(found);
                said.ok_or_else(|| format!("`{name}`: the answer is neither yes nor no"))
            }
        }
    }

    /// Whether there is nothing to say under this name.
    fn is_nothing(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        name.contains("concern") || name.contains("error") || (self.facts.told.is_empty() && !name.contains("summary"))
    }

    fn object(&self, schema: &Value, depth: usize) -> Result<Value, String> {
        let mut object = Map::new();
        let properties = schema["properties"].as_object();
        for (name, of) in properties.into_iter().flatten() {
            object.insert(name.clone(), self.value(of, name, depth + 1)?);
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(required) {
                object.insert(required.into(), self.value(&json!({}), required, depth + 1)?);
            }
        }
        Ok(Value::Object(object))
    }

    fn array(&self, schema: &Value, name: &str, depth: usize) -> Result<Value, String> {
        let least = schema["minItems"].as_u64().unwrap_or(0).min(100) as usize;
        let most = schema["maxItems"].as_u64().map_or(20, |most| most.min(100) as usize);
        if most < least {
            return Err(format!("`{name}` has at least {least} and at most {most} items"));
        }
        let items = &schema["items"];
        if let Some(answer) =
            self.facts.answer.as_ref().filter(|_| ["integer", "number"].map(Value::from).contains(&items["type"]))
        {
            let lower = name.to_lowercase();
            let ids = answer.evidence.iter().take(most);
            return if ["evidence", "event", "id"].iter().any(|word| lower.contains(word)) && ids.len() >= least {
                Ok(ids.copied().collect())
            } else {
                Err(format!("`{name}`: the answer has no such numbers"))
            };
        }
        let of_text = items["type"] == "string" && items.get("enum").is_none();
        if !of_text {
            let wanted = least.max(usize::from(!self.is_nothing(name) && most > 0));
            return (0..wanted).map(|_| self.value(items, name, depth + 1)).collect::<Result<_, _>>().map(Value::Array);
        }
        if self.is_nothing(name) && least == 0 {
            return Ok(json!([]));
        }
        let mut texts = Vec::new();
        let newest = self.facts.told.len().saturating_sub(most);
        for text in self.facts.told[newest..].iter().cloned().chain(self.facts.more()) {
            let enough = texts.len() >= least && texts.len() >= self.facts.told.len();
            if texts.len() == most || enough {
                break;
            }
            texts.push(self.sized(text, items, name)?);
        }
        while texts.len() < least {
            texts.push(self.sized(self.facts.nothing(), items, name)?);
        }
        Ok(json!(texts))
    }

    fn string(&self, schema: &Value, name: &str) -> Result<String, String> {
        let lower = name.to_lowercase();
        if let Some(format) = schema["format"].as_str().filter(|format| *format != "text") {
            return Err(format!("`{name}` is a text of the format `{}`, which is not known", format.escape_debug()));
        }
        if schema.get("pattern").is_some() {
            return Err(format!("`{name}` has a pattern, which is not followed"));
        }
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let of_answer = match &self.facts.answer {
            Some(answer) if has(&["camera"]) => Some(&answer.camera),
            Some(answer) if has(&["kind"]) => Some(&answer.kind),
            Some(answer) if has(&["time", "date", "when"]) => Some(&answer.t_start),
            _ => None,
        };
        let of_answer = of_answer.map(|of| of.clone().ok_or_else(|| format!("`{name}`: the answer has none")));
        let text = if let Some(text) = of_answer {
            let text = text?;
            if text.chars().count() as u64 > schema["maxLength"].as_u64().unwrap_or(u64::MAX) {
                return Err(format!("`{name}` has no room for {text}"));
            }
            text
        } else if has(&["title", "short", "headline", "label", "name", "subject"]) {
            self.facts.short()
        } else if has(&["time", "date"]) && self.facts.answer.is_none() {
            // As far as what was told has one.
            let first =
                self.facts.told.first().and_then(|told| told.split_once("Z ")).map(|(clock, _)| format!("{clock}Z"));
            first.unwrap_or_else(|| format!("during {}", self.facts.of))
        } else {
            self.facts.text().replace('\n', " ")
        };
        self.sized(text, schema, name)
    }

    /// Within the bounds, in characters.
    fn sized(&self, mut text: String, schema: &Value, name: &str) -> Result<String, String> {
        let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
        let most = schema["maxLength"].as_u64().map_or(LONGEST, |most| most.min(100_000) as usize);
        if least > most {
            return Err(format!("`{name}` has at least {least} and at most {most} characters"));
        }
        for more in self.facts.more().into_iter().cycle().take(200) {
            if text.chars().count() >= least {
                break;
            }
            text = if text.is_empty() { more } else { text + " " + &more };
        }
        if text.chars().count() < least {
            return Err(format!("`{name}` has at least {least} characters, which is more than there is to say"));
        }
        if text.chars().count() > most {
            text = text.chars().take(most).collect();
            // At a word, if what is left is long enough.
            if let Some(end) = text.rfind(' ').filter(|end| text[..*end].chars().count() >= least.max(1)) {
                text.truncate(end);
            }
        }
        self.spend(text.len())?;
        Ok(text)
    }

    fn number(&self, schema: &Value, name: &str, whole: bool) -> Result<Value, String> {
        let lower = name.to_lowercase();
        let bound = |keys: [&str; 2], sign: f64| {
            let exclusive = if whole { 1.0 } else { 1e-6 };
            schema[keys[0]].as_f64().or_else(|| schema[keys[1]].as_f64().map(|bound| bound + sign * exclusive))
        };
        let (least, most) = (bound(["minimum", "exclusiveMinimum"], 1.0), bound(["maximum", "exclusiveMaximum"], -1.0));
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let value = if has(&["confid", "prob", "score", "certain"]) {
            self.facts.confidence * if most.is_some_and(|most| most > 1.5) { most.unwrap_or(1.0) } else { 1.0 }
        } else if has(&["threat", "sever", "level", "danger", "risk", "importance", "priority"]) {
            let share = match self.facts.severity {
                Severity::None | Severity::Info => 0.0,
                Severity::Notice => 0.5,
                Severity::Alarm => 1.0,
            };
            share * most.unwrap_or(2.0)
        } else if let Some(answer) = &self.facts.answer {
            let number = number_of(answer, &lower).ok_or_else(|| format!("`{name}`: the answer has no number"))?;
            let number = if whole { number.round() } else { number };
            if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
                return Err(format!("`{name}` has no room for {number}"));
            }
            number
        } else {
            self.facts.told.len() as f64
        };
        let value = value.max(least.unwrap_or(f64::MIN)).min(most.unwrap_or(f64::MAX));
        if least.zip(most).is_some_and(|(least, most)| least > most) {
            return Err(format!("`{name}` has no number between its bounds"));
        }
        if whole {
            let value = if most.is_some_and(|most| value.ceil() > most) { value.floor() } else { value.ceil() };
            return Ok(json!(value as i64));
        }
        Ok(json!((value * 1000.0).round() / 1000.0))
    }

    /// The value that says how much it matters, or the one that means yes or no, or the first.
    fn choose(&self, values: &[Value], name: &str) -> Option<Value> {
        let rank = match self.facts.severity {
            Severity::None | Severity::Info => 0.0,
            Severity::Notice => 0.5,
            Severity::Alarm => 1.0,
        };
        let told = !self.facts.told.is_empty() && !self.facts.abstained;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
        let find = |words: &[&str]| values.iter().find(|value| words.contains(&text(value).as_str())).cloned();
        let yes = find(&["yes", "true", "detected"]).zip(find(&["no", "false", "none", "clear"]));
        if let Some(answer) = &self.facts.answer {
            let said = answer.value.as_bool().zip(yes).map(|(said, (yes, no))| if said { yes } else { no });
            // What it is about, or what alone of the choices it names.
            let named = |value: &&Value| {
                let text = text(value);
                let of = [&answer.camera, &answer.kind].into_iter().flatten().any(|of| of.to_lowercase() == text);
                of || has_word(&answer.answer.to_lowercase(), &text)
            };
            let mut named = values.iter().filter(named);
            let only = named.next().filter(|_| named.next().is_none() && !self.facts.abstained).cloned();
            let unknown = find(&["unknown", "unclear", "unsure"]).filter(|_| self.facts.abstained);
            return said.or(only).or(unknown).or_else(|| values.iter().find(|value| value.is_null()).cloned());
        }
        if let Some((yes, no)) = yes {
            return Some(if told { yes } else { no });
        }
        let lower = name.to_lowercase();
        let ranked =
            ["threat", "sever", "level", "risk", "priority", "importance"].iter().any(|word| lower.contains(word));
        let place = if ranked { (rank * (values.len().saturating_sub(1)) as f64).round() as usize } else { 0 };
        values.get(place).cloned()
    }
}

/// The number of an answer: how often, or how long in the unit of the field's name (seconds where it names none).
fn number_of(answer: &Answer, name: &str) -> Option<f64> {
    if let Some(kinds) = answer.value.as_array() {
        return kinds.iter().map(|kind| kind["count"].as_f64()).sum();
    }
    let lasts = answer.form.as_deref() == Some(DURATION);
    let unit = match () {
        () if lasts && name.contains("hour") => 3600.0,
        () if lasts && name.contains("minute") => 60.0,
        () => 1.0,
    };
    answer.value.as_f64().map(|value| value / unit)
}

/// Whether a text has this word, or these words.
fn has_word(text: &str, word: &str) -> bool {
    let ends = |side: Option<char>| !side.is_some_and(char::is_alphanumeric);
    let whole =
        |(at, _): (usize, &str)| ends(text[..at].chars().next_back()) && ends(text[at + word.len()..].chars().next());
    !word.is_empty() && text.match_indices(word).any(whole)
}

/// Whether a schema without a type bounds a text.
fn is_of_text(schema: &Value) -> bool {
    ["minLength", "maxLength", "pattern", "format"].iter().any(|key| schema.get(key).is_some())
}

/// Names that ask whether something is there.
fn positive(name: &str) -> bool {
    let name = name.to_lowercase();
    ["detect", "present", "seen", "is_", "has_", "found"].iter().any(|word| name.contains(word))
}

/// Puts what another schema says beside it.
fn merge(whole: &mut Map<String, Value>, part: &Value) {
    for (key, value) in part.as_object().into_iter().flatten() {
        match (whole.get_mut(key), value) {
            (Some(Value::Object(held)), Value::Object(more)) => held.extend(more.clone()),
            (Some(Value::Array(held)), Value::Array(more)) => held.extend(more.clone()),
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> Facts {
        let told = ["18:30:01Z Someone comes in.", "18:30:09Z Someone falls."].map(Into::into).to_vec();
        Facts {
            of: "the last 60 s of hall".into(),
            told,
            severity: Severity::Alarm,
            confidence: 0.91,
            abstained: false,
            answer: None,
        }
    }

    #[test]
    fn the_shape_that_a_video_recorder_asks_for_is_filled_within_its_bounds() {
        let schema = json!({
            "type": "object",
            "properties": {
                "observations": {"type": "array", "minItems": 3, "maxItems": 8, "items": {"type": "string", "minLength": 20, "maxLength": 200}},
                "scene": {"type": "string", "minLength": 150, "maxLength": 600},
                "title": {"type": "string", "maxLength": 80},
                "shortSummary": {"type": "string", "minLength": 70, "maxLength": 140},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "potential_threat_level": {"type": "integer", "minimum": 0, "maximum": 2},
                "other_concerns": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
                "time": {"type": "string"},
            },
            "required": ["observations", "scene", "title", "shortSummary", "confidence", "potential_threat_level"],
        });
        for facts in [facts(), Facts::default()] {
            let value = fill(&schema, &facts).expect("it can be");
            let length = |key: &str| value[key].as_str().expect(key).chars().count();
            let observations = value["observations"].as_array().expect("a list");
            assert!((3..=8).contains(&observations.len()), "{value}");
            let lengths = observations.iter().map(|text| text.as_str().expect("a text").chars().count());
            assert!(lengths.clone().all(|length| (20..=200).contains(&length)), "{value}");
            assert!((150..=600).contains(&length("scene")) && length("title") <= 80, "{value}");
            assert!((70..=140).contains(&length("shortSummary")), "{value}");
            assert!((0.0..=1.0).contains(&value["confidence"].as_f64().expect("a number")));
            assert!(value["other_concerns"].is_null());
        }
        let value = fill(&schema, &facts()).expect("it can be");
        assert_eq!((value["potential_threat_level"].as_i64(), value["confidence"].as_f64()), (Some(2), Some(0.91)));
        assert_eq!(value["title"], "18:30:09Z Someone falls.");
        assert_eq!(value["time"], "18:30:01Z");
    }

    /// Lists of so many lists, so deep.
    fn lists_of(count: usize, depth: usize) -> Value {
        (0..depth).fold(
            json!({"const": 1}),
            |items, _| json!({"type": "array", "minItems": count, "maxItems": count, "items": items}),
        )
    }

    /// Schemas as somebody might write them who means no good: every word that is known, anywhere.
    fn any_schema() -> impl Strategy<Value = Value> {
        let number = prop_oneof![Just(0.0), Just(1e308), Just(-1e308), -200.0..200.0_f64];
        let name = prop::sample::select(vec!["title", "confidence", "threat_level", "time", "concern", "is_it", "ü"]);
        let leaf = prop_oneof![
            prop::sample::select(vec!["string", "integer", "number", "boolean", "null", "what"])
                .prop_map(|kind| json!({"type": kind})),
            prop::sample::select(vec!["#", "#/properties/title", "#/items", "nowhere", "#/~2"])
                .prop_map(|at| json!({"$ref": at})),
            (number.clone(), number.clone())
                .prop_map(|(least, most)| json!({"type": "integer", "minimum": least, "exclusiveMaximum": most})),
            (number.clone(), number).prop_map(
                |(least, most)| json!({"type": "string", "minLength": least as u64, "maxLength": most as u64})
            ),
            any::<String>().prop_map(|text| json!({"const": text})),
            any::<Vec<bool>>().prop_map(|values| json!({"enum": values})),
            Just(json!(null)),
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6);
            prop_oneof![
                (inner.clone(), 0..150_u64, 0..150_u64).prop_map(
                    |(items, least, most)| json!({"type": "array", "items": items, "minItems": least, "maxItems": most})
                ),
                prop::collection::vec((name.clone(), inner), 0..6).prop_map(|properties| {
                    let properties: Map<String, Value> =
                        properties.into_iter().map(|(name, of)| (name.into(), of)).collect();
                    json!({"properties": properties, "required": ["title", "other"]})
                }),
                (prop::sample::select(vec!["anyOf", "oneOf", "allOf"]), list).prop_map(|(any, of)| json!({any: of})),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_is_filled_or_refused_within_its_room(schema in any_schema(), told in any::<Vec<String>>()) {
            let facts = Facts { told, ..facts() };
            if let Ok(value) = fill(&schema, &facts) {
                // A byte of a text has six as it is written.
                prop_assert!(value.to_string().len() <= 8 * ROOM_BYTES);
            }
        }
    }

    /// What `ocelli ask` knows, and what it was asked.
    fn answered(form: &str, value: Value, text: &str) -> Answer {
        Answer {
            answer: text.into(),
            form: Some(form.into()),
            value,
            t_start: Some("2026-03-27T08:00:00+01:00".into()),
            camera: Some("kitchen".into()),
            evidence: vec![5, 7],
            confidence: 0.8,
            ..Answer::default()
        }
    }

    #[test]
    fn an_answer_gives_its_own_numbers_and_choices_and_none_that_it_does_not_have() {
        let filled = |schema: &Value, answer: &Answer| fill_with(schema, answer.clone());
        let of = |fields: Value| json!({"type": "object", "properties": fields});
        let count = answered("count", json!(3), "3 times today.");
        let schema = of(json!({
            "answer": {"type": "string"}, "times_seen": {"type": "integer"}, "evidence": {"type": "array", "items": {"type": "integer"}},
            "confidence": {"type": "number"}, "camera": {"type": "string"}, "found": {"type": "boolean"}, "answered": {"type": "boolean"},
            "where": {"enum": ["hall", "kitchen"]}, "home": {"type": ["boolean", "null"]},
        }));
        let value = filled(&schema, &count).expect("it can be");
        assert_eq!(
            value,
            json!({
                "answer": "3 times today.", "times_seen": 3, "evidence": [5, 7], "confidence": 0.8, "camera": "kitchen", "found": true,
                "answered": true, "where": "kitchen", "home": null,
            })
        );
        let one =
            |kind: Value, answer: &Answer| filled(&of(json!({"value": kind})), answer).map(|all| all["value"].clone());
        let why = |kind: Value, answer: &Answer| one(kind, answer).expect_err("nothing is known of it");
        assert!(why(json!({"type": "integer", "maximum": 2}), &count).contains("no room for 3"));
        assert!(why(json!({"type": "boolean"}), &count).contains("neither yes nor no"));
        assert!(why(json!({"enum": ["red", "blue"]}), &count).contains("known to be right"));
        // Nor is anything put where it is not said what is wanted.
        assert!(why(json!({}), &count).contains("`value` has no type"));
        let required = json!({"type": "object", "properties": {}, "required": ["falls"]});
        assert!(filled(&required, &count).expect_err("it may be anything").contains("`falls` has no type"));
        assert_eq!(one(json!({"maxLength": 20}), &count), Ok(json!("3 times today.")));
        let long = answered("duration", json!(5400.0), "1 h 30 min.");
        let minutes =
            of(json!({"minutes": {"type": "integer"}, "hours": {"type": "number"}, "length": {"type": "integer"}}));
        assert_eq!(filled(&minutes, &long), Ok(json!({"minutes": 90, "hours": 1.5, "length": 5400})));
        let no = answered("happened", json!(false), "No, not that I saw today.");
        assert_eq!(one(json!({"type": "boolean"}), &no), Ok(json!(false)));
        assert_eq!(one(json!({"enum": ["yes", "no", "unknown"]}), &no), Ok(json!("no")));
        assert!(why(json!({"type": "number"}), &no).contains("no number"));
        let when = answered("last", json!("2026-03-27T08:00:00+01:00"), "Last today at 08:00.");
        let times = of(json!({"time": {"type": "string"}, "date": {"type": "string", "maxLength": 5}}));
        assert!(filled(&times, &when).expect_err("it is long").contains("no room for 2026"));
        assert_eq!(
            filled(&of(json!({"time": {"type": "string"}})), &when),
            Ok(json!({"time": "2026-03-27T08:00:00+01:00"}))
        );
        // Who was not answered learns why, and nothing else.
        let none = Answer { answer: "I do not know `llama`.".into(), abstained: true, ..Answer::default() };
        assert_eq!(one(json!({"type": "string"}), &none), Ok(json!("I do not know `llama`.")));
        assert_eq!(one(json!({"enum": ["yes", "no", "unknown"]}), &none), Ok(json!("unknown")));
        assert_eq!(one(json!({"type": ["integer", "null"]}), &none), Ok(Value::Null));
        assert!(filled(&of(json!({"camera": {"type": "string"}})), &none).is_err());
        assert_eq!(filled(&of(json!({"camera": {"type": ["string", "null"]}})), &none), Ok(json!({"camera": null})));
        for kind in [json!({"type": "integer"}), json!({"type": "boolean"}), json!({"enum": ["hall", "llama"]})] {
            why(kind, &none);
        }
    }

    #[test]
    fn references_choices_and_bounds_are_followed_and_what_is_impossible_is_refused() {
        let schema = json!({
            "$defs": {"level": {"enum": ["low", "medium", "high"]}},
            "type": "object",
            "properties": {
                "risk": {"$ref": "#/$defs/level"}, "fell": {"enum": ["yes", "no"]}, "person_detected": {"type": "boolean"},
                "count": {"type": ["integer", "null"], "maximum": 1}, "both": {"allOf": [{"type": "string"}, {"maxLength": 5}]},
            },
        });
        let value = fill(&schema, &facts()).expect("it can be");
        assert_eq!(value, json!({"risk": "high", "fell": "yes", "person_detected": true, "count": 1, "both": "18:30"}));
        for (schema, why) in [
            (json!({"type": "string", "pattern": "^x$"}), "pattern"),
            (json!({"type": "string", "format": "uuid"}), "uuid"),
            (json!({"type": "string", "minLength": 9, "maxLength": 3}), "at least 9"),
            (json!({"type": "integer", "minimum": 9, "maximum": 3}), "no number"),
            (json!({"type": "string", "minLength": 1_000_000}), "at least 1000000"),
            (json!({"$ref": "#/nowhere"}), "not in it"),
            (json!({"$ref": "#"}), "too deep"),
            (json!({"enum": []}), "no value"),
            (lists_of(100, 8), "too long"),
            (json!({"anyOf": vec![json!({"$ref": "#"}); 60]}), "can be filled"),
            (
                json!({"type": "array", "minItems": 100, "maxItems": 100, "items": {"const": "x".repeat(10_000)}}),
                "too long",
            ),
            (
                json!({"allOf": [{"anyOf": vec![json!({"$ref": "#"}); 60]}], "title": "x".repeat(10_000)}),
                "can be filled",
            ),
        ] {
            let said = fill(&schema, &facts()).expect_err(why);
            assert!(said.contains(why), "{schema}: {said}");
        }
    }
}
