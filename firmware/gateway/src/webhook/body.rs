//! What a request says: `CloudEvents`, or what a service asks for; and its signature.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use ring::hmac;
use serde_json::{Value, json};

use super::{Format, Place, WebhookTable};
use crate::outbox::Message;
use crate::secret::Secret;
use crate::{Event, Severity};

/// Characters that Discord takes; others take more.
const MOST_CHARACTERS: usize = 1900;

/// A request without what each try has of its own.
#[derive(Debug)]
pub struct Letter {
    /// Path and query, which may be a secret.
    pub path: Secret,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, Secret)>,
    pub body: String,
}

impl Letter {
    /// What this target is told of a message: the same each time.
    pub fn write(table: &WebhookTable, place: &Place, source: &str, token: Option<&Secret>, message: &Message) -> Self {
        let event = &message.event;
        let mut path = place.path.clone();
        let mut headers = Vec::new();
        let bearer = |token: &Secret| ("authorization", Secret::new(format!("Bearer {}", token.reveal())));
        let mut content_type = "application/json";
        let body = match table.format {
            Format::Cloudevents => {
                content_type = "application/cloudevents+json";
                headers.extend(token.map(bearer));
                cloud_event(source, message)
            }
            Format::Ntfy => {
                headers.extend(token.map(bearer));
                let topic = path.split('?').next().unwrap_or_default().trim_end_matches('/').rsplit('/').next();
                let topic = topic.unwrap_or_default().to_owned();
                // JSON goes to the server's root, which may itself be below a path.
                path = path.split('?').next().unwrap_or_default().trim_end_matches('/').into();
                path.truncate(path.rfind('/').map_or(0, |slash| slash + 1));
                json!({
                    "topic": topic, "title": title(event), "message": words(event),
                    "priority": match urgency(event) { Urgency::High => 5, Urgency::Normal => 3, Urgency::Low => 2 },
                    "tags": [tag(event)],
                })
            }
            Format::Gotify => {
                path = format!("{}/message", path.trim_end_matches('/'));
                headers.extend(token.map(|token| ("x-gotify-key", token.clone())));
                json!({
                    "title": title(event), "message": words(event),
                    "priority": match urgency(event) { Urgency::High => 8, Urgency::Normal => 5, Urgency::Low => 2 },
                })
            }
            Format::Telegram => {
                let token = token.map_or("", Secret::reveal);
                path = format!("{}/bot{token}/sendMessage", path.trim_end_matches('/'));
                let silent = matches!(urgency(event), Urgency::Low);
                let chat = table.chat.as_deref().unwrap_or_default();
                json!({"chat_id": chat, "text": line(event), "disable_notification": silent})
            }
            Format::Discord => {
                json!({"content": line(event), "username": "Ocelli", "allowed_mentions": {"parse": []}})
            }
            Format::Slack => {
                let text = line(event).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                json!({ "text": text })
            }
        };
        Self { path: Secret::new(path), content_type, headers, body: body.to_string() }
    }
}

/// `CloudEvents` 1.0, structured JSON.
pub fn cloud_event(source: &str, message: &Message) -> Value {
    let event = &message.event;
    let mut envelope = json!({
        "specversion": "1.0",
        "id": message.uid(),
        "source": source,
        "type": format!("ai.ocelli.{}", event.r#type),
        "datacontenttype": "application/json",
        "data": event,
    });
    // An attribute without a value is left out.
    if let Some(start) = &event.start {
        envelope["time"] = json!(start);
    }
    if let Some(camera) = event.camera.as_ref().filter(|camera| !camera.is_empty()) {
        envelope["subject"] = json!(camera);
    }
    envelope
}

enum Urgency {
    High,
    Normal,
    Low,
}

fn urgency(event: &Event) -> Urgency {
    match (event.r#type.as_str(), event.severity) {
        ("alert", Some(Severity::Alarm) | None) => Urgency::High,
        ("alert" | "blind", _) => Urgency::Normal,
        _ => Urgency::Low,
    }
}

fn tag(event: &Event) -> &'static str {
    match event.r#type.as_str() {
        "alert" => "rotating_light",
        "alert_end" => "white_check_mark",
        "blind" => "warning",
        _ => "eye",
    }
}

fn title(event: &Event) -> String {
    let what = match event.r#type.as_str() {
        "alert" if event.severity == Some(Severity::Alarm) => "Alarm",
        "alert" | "update" => "Alert",
        "alert_end" => "Alert over",
        "blind" => "Camera blind",
        "health" => "Device",
        "camera" => "Camera",
        _ => "Seen",
    };
    match &event.camera {
        Some(camera) => format!("{what}: {camera}"),
        None => what.into(),
    }
}

/// The sentence with its date, for a message may come late.
fn words(event: &Event) -> String {
    let text = match &event.start {
        Some(start) => format!("{} ({})", event.text, start.split('.').next().unwrap_or(start).replace('T', " ") + "Z"),
        None => event.text.clone(),
    };
    text.chars().take(MOST_CHARACTERS).collect()
}

fn line(event: &Event) -> String {
    format!("{}: {}", title(event), words(event)).chars().take(MOST_CHARACTERS).collect()
}

/// A key of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// One in each line: where a key is changed, both for a while.
    pub fn read_all(lines: &Secret) -> Result<Vec<Self>, String> {
        lines.reveal().lines().map(str::trim).filter(|line| !line.is_empty()).map(Self::read).collect()
    }

    fn read(text: &str) -> Result<Self, String> {
        let wrong = "a signing key is whsec_ and 24 to 64 bytes in base64";
        let coded = text.strip_prefix("whsec_").ok_or(wrong)?;
        let bytes = BASE64_STANDARD.decode(coded).or_else(|_| BASE64_URL_SAFE.decode(coded)).map_err(|_| wrong)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(wrong.into());
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// `v1,` and HMAC-SHA256 of id, time and body.
    pub fn sign(&self, id: &str, unix_s: u64, body: &str) -> String {
        let signed = hmac::sign(&self.0, format!("{id}.{unix_s}.{body}").as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(signed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Message {
        let event = Event {
            id: Some(7),
            r#type: "alert".into(),
            camera: Some("hall <1>".into()),
            start: Some("2026-11-26T18:30:00.123Z".into()),
            severity: Some(Severity::Alarm),
            text: "Somebody fell & is down".into(),
            ..Event::default()
        };
        Message { number: 12, run: 0xabc, event }
    }

    fn letter(format: Format, url: &str, token: Option<&str>) -> (Letter, Value) {
        let table = WebhookTable { format, chat: Some("-100".into()), ..WebhookTable::default() };
        let place = Place::parse(url).expect("a URL");
        let letter = Letter::write(&table, &place, "/ocelli/home/board", token.map(Secret::new).as_ref(), &alert());
        let body = letter.body.parse().expect("JSON");
        (letter, body)
    }

    #[test]
    fn a_cloud_event_has_its_attributes_and_the_event_as_data() {
        let (letter, body) = letter(Format::Cloudevents, "https://h/x", None);
        assert_eq!(letter.content_type, "application/cloudevents+json");
        assert_eq!((&body["specversion"], &body["id"]), (&json!("1.0"), &json!("0000000000000abc-12")));
        assert_eq!((&body["type"], &body["source"]), (&json!("ai.ocelli.alert"), &json!("/ocelli/home/board")));
        assert_eq!((&body["time"], &body["subject"]), (&json!("2026-11-26T18:30:00.123Z"), &json!("hall <1>")));
        assert_eq!((&body["data"]["id"], &body["data"]["severity"]), (&json!(7), &json!("alarm")));
    }

    #[test]
    fn each_service_gets_what_it_asks_for() {
        let said = "Somebody fell & is down (2026-11-26 18:30:00Z)";
        let (ntfy, body) = letter(Format::Ntfy, "https://ntfy.example/below/door", Some("tk"));
        assert_eq!(ntfy.path.reveal(), "/below/");
        assert_eq!((&body["topic"], &body["priority"], &body["message"]), (&json!("door"), &json!(5), &json!(said)));
        assert_eq!(ntfy.headers[0].1.reveal(), "Bearer tk");
        let (gotify, body) = letter(Format::Gotify, "https://g.example", Some("tk"));
        assert_eq!((gotify.path.reveal(), gotify.headers[0].0), ("/message", "x-gotify-key"));
        assert_eq!((&body["title"], &body["priority"]), (&json!("Alarm: hall <1>"), &json!(8)));
        let (telegram, body) = letter(Format::Telegram, super::super::TELEGRAM, Some("1:tk"));
        assert_eq!(telegram.path.reveal(), "/bot1:tk/sendMessage");
        assert_eq!((&body["chat_id"], &body["disable_notification"]), (&json!("-100"), &json!(false)));
        let (_, body) = letter(Format::Discord, "https://discord.example/api/webhooks/1/t", None);
        assert_eq!(
            (&body["content"], &body["allowed_mentions"]["parse"]),
            (&json!(format!("Alarm: hall <1>: {said}")), &json!([]))
        );
        let (slack, body) = letter(Format::Slack, "https://hooks.example/services/T/B/k", None);
        assert!(
            body["text"].as_str().is_some_and(|text| text.contains("hall &lt;1&gt;: Somebody fell &amp; is")),
            "{body}"
        );
        assert!(!format!("{slack:?}").contains("/services/"), "the path is a secret");
    }

    /// The example of the specification (standard-webhooks, "Signature scheme"), with its key, id, time and body.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let keys = SigningKey::read_all(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\n")).expect("a key");
        let signed = keys[0].sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for wrong in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_???"] {
            let why = SigningKey::read_all(&Secret::new(wrong)).err().expect("no key");
            assert!(why.contains("24 to 64 bytes") && !why.contains(wrong), "{why}");
        }
    }
}
