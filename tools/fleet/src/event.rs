//! An event as it comes, or why it is none.

use serde_json::Value;

/// An index takes no longer ones.
const LONGEST_ID: usize = 256;
const LONGEST_TEXT: usize = 2000;

/// What a row has.
#[derive(Debug, PartialEq)]
pub struct Event {
    pub source: String,
    pub id: String,
    pub kind: String,
    pub time: Option<String>,
    pub camera: Option<String>,
    pub text: String,
    pub data: Value,
}

impl Event {
    /// Reads a `CloudEvents` envelope that came on this subject.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(subject: &str, payload: &[u8]) -> Result<Self, String> {
        let mut envelope: Value = serde_json::from_slice(payload).map_err(|error| format!("no JSON: {error}"))?;
        if has_nul(&envelope) {
            return Err("a NUL, which PostgreSQL has no place for".into());
        }
        let text = |value: &Value, key: &str, longest: usize| match value.get(key).and_then(Value::as_str) {
            Some(text) if text.len() <= longest => Ok(text.to_owned()),
            Some(_) => Err(format!("`{key}` is longer than {longest} bytes")),
            None => Err(format!("no `{key}`")),
        };
        if text(&envelope, "specversion", LONGEST_ID)? != "1.0" {
            return Err("not of CloudEvents 1.0".into());
        }
        let time = match envelope.get("time") {
            None => None,
            Some(time) => {
                let time = time.as_str().ok_or("`time` is no text")?;
                Some(time.parse::<jiff::Timestamp>().map_err(|_| "`time` is no date")?.to_string())
            }
        };
        let camera = envelope.get("subject").map(|_| text(&envelope, "subject", LONGEST_ID)).transpose()?;
        let event = Self {
            source: text(&envelope, "source", LONGEST_ID)?,
            id: text(&envelope, "id", LONGEST_ID)?,
            kind: text(&envelope, "type", LONGEST_ID)?,
            time,
            camera,
            text: text(envelope.get("data").ok_or("no `data`")?, "text", LONGEST_TEXT)?,
            data: envelope["data"].take(),
        };
        // A board's user may write below its own topics alone, so a subject is the board's, and its word must agree.
        let board = event.source.strip_prefix("/ocelli/").ok_or("`source` is no board of Ocelli")?.replace('/', ".");
        if board.is_empty() || !format!(".{subject}").contains(&format!(".{board}.camera.")) {
            return Err("`source` is not who told it".into());
        }
        Ok(event)
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(pairs) => pairs.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SUBJECT: &str = "ocelli.north.barn.camera.hall.cloudevent";

    fn envelope() -> Value {
        json!({
            "specversion": "1.0", "id": "7-af", "source": "/ocelli/north/barn", "type": "ai.ocelli.narration",
            "time": "2026-11-27T10:00:00Z", "subject": "hall", "data": {"text": "Someone comes in.", "score": 0.5},
        })
    }

    #[test]
    fn an_event_is_read() {
        let event = Event::read(SUBJECT, envelope().to_string().as_bytes()).expect("it is one");
        assert_eq!((&*event.source, &*event.id, &*event.text), ("/ocelli/north/barn", "7-af", "Someone comes in."));
        assert_eq!((event.camera.as_deref(), event.time.as_deref()), (Some("hall"), Some("2026-11-27T10:00:00Z")));
    }

    #[test]
    fn what_the_fuzzer_begins_with_is_read() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/fleet");
        let mut read = 0;
        for seed in std::fs::read_dir(seeds).expect("they are there") {
            let message = std::fs::read_to_string(seed.expect("a file").path()).expect("it is text");
            let (subject, payload) = message.split_once('\n').expect("a subject, and a payload below");
            read += u32::from(Event::read(subject, payload.as_bytes()).is_ok());
        }
        assert_eq!(read, 2, "one of the three is of another version");
    }

    #[test]
    fn what_is_none_is_said() {
        for (key, value, why) in [
            ("specversion", json!("2.0"), "not of CloudEvents 1.0"),
            ("id", json!(null), "no `id`"),
            ("id", json!("x".repeat(300)), "`id` is longer than 256 bytes"),
            ("time", json!("yesterday"), "`time` is no date"),
            ("time", json!(7), "`time` is no text"),
            ("data", json!({"text": 7}), "no `text`"),
            ("data", json!({"text": "a\0b"}), "a NUL, which PostgreSQL has no place for"),
            ("source", json!("/ocelli/north/house"), "`source` is not who told it"),
            ("source", json!("/ocelli/"), "`source` is not who told it"),
            ("source", json!("elsewhere"), "`source` is no board of Ocelli"),
        ] {
            let mut envelope = envelope();
            envelope[key] = value;
            assert_eq!(Event::read(SUBJECT, envelope.to_string().as_bytes()), Err(why.into()), "{envelope}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(subject in ".{0,40}", payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Event::read(&subject, &payload);
        }

        #[test]
        fn no_change_of_an_event_makes_it_panic(at in 0_usize..200, byte in any::<u8>(), length in 0_usize..250) {
            let mut payload = envelope().to_string().into_bytes();
            let at = at % payload.len();
            payload[at] = byte;
            payload.truncate(length);
            let _ = Event::read(SUBJECT, &payload);
        }
    }
}
