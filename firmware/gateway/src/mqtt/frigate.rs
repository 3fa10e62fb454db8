//! Events in the shape of Frigate's topics, under a prefix of one's own, for what was made for those: narrations are `events` that begin and
//! end, alerts are `reviews`.
//!
//! There are no pictures and no boxes: what Frigate measures and we do not is `null`, empty, or 0.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::topics::Topics;
use crate::outbox::Message;
use crate::{Event, TOLD_AGAIN};

/// What is told of a message, topics and payloads, and what is open at each camera.
#[derive(Debug, Default)]
pub struct Frigate {
    prefix: String,
    /// Reviews of alerts that are open, by camera and text.
    open: BTreeMap<(String, String), Value>,
}

impl Frigate {
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into(), open: BTreeMap::new() }
    }

    pub fn topic(&self, what: &str) -> String {
        format!("{}/{what}", self.prefix)
    }

    /// What is retained of a camera.
    pub fn states(&self, topics: &Topics, camera: &str, up: bool, enabled: bool, alert: bool) -> Vec<(String, String)> {
        let Some(place) = topics.camera(Some(camera)) else { return Vec::new() };
        let status = match (enabled, up) {
            (false, _) => "disabled",
            (true, true) => "online",
            (true, false) => "offline",
        };
        vec![
            (self.topic(&format!("{}/status/detect", place.slug)), status.into()),
            (self.topic(&format!("{}/enabled/state", place.slug)), if enabled { "ON" } else { "OFF" }.into()),
            (self.topic(&format!("{}/review_status", place.slug)), if alert { "ALERT" } else { "NONE" }.into()),
        ]
    }

    /// What is told of a message.
    pub fn tell(&mut self, topics: &Topics, message: &Message) -> Vec<(String, Value)> {
        let event = &message.event;
        let Some(place) = topics.camera(event.camera.as_deref()) else { return Vec::new() };
        let camera = place.slug.clone();
        let (start_s, end_s) = (unix_s(event.start.as_deref()), unix_s(event.end.as_deref()));
        let id = id(start_s, message);
        match event.r#type.as_str() {
            "narration" => {
                let before = object(event, &id, &camera, start_s, None);
                let after = object(event, &id, &camera, start_s, Some(end_s));
                vec![
                    (self.topic("events"), json!({"type": "new", "before": before, "after": before})),
                    (self.topic("events"), json!({"type": "end", "before": before, "after": after})),
                    (
                        self.topic("tracked_object_update"),
                        json!({"type": "description", "id": id, "description": event.text, "camera": camera}),
                    ),
                ]
            }
            "alert" if !event.text.starts_with(TOLD_AGAIN) => {
                let review = review(event, &id, &camera, start_s);
                self.open.insert((camera, event.text.clone()), review.clone());
                vec![(self.topic("reviews"), json!({"type": "new", "before": review, "after": review}))]
            }
            "alert_end" => {
                // After a restart nothing is known of its beginning but what it says itself.
                let before = self.open.remove(&(camera.clone(), event.text.clone()));
                let before = before.unwrap_or_else(|| review(event, &id, &camera, start_s));
                let mut after = before.clone();
                after["end_time"] = json!(end_s);
                vec![(self.topic("reviews"), json!({"type": "end", "before": before, "after": after}))]
            }
            _ => Vec::new(),
        }
    }
}

/// `<unix seconds>.<microseconds>-<6 characters>`
fn id(start_s: f64, message: &Message) -> String {
    format!("{start_s:.6}-{:06x}", crc32fast::hash(message.uid().as_bytes()) >> 8)
}

fn labels(event: &Event) -> Vec<String> {
    if event.about.is_empty() { event.kind.iter().cloned().collect() } else { event.about.clone() }
}

fn object(event: &Event, id: &str, camera: &str, start_s: f64, end_s: Option<f64>) -> Value {
    json!({
        "id": id, "camera": camera, "frame_time": end_s.unwrap_or(start_s), "snapshot": null,
        "label": labels(event).first().cloned().unwrap_or_else(|| "unknown".into()),
        "sub_label": event.kind, "score": event.score, "top_score": event.score, "false_positive": false,
        "start_time": start_s, "end_time": end_s, "box": null, "area": 0, "ratio": 0, "region": null, "active": end_s.is_none(),
        "stationary": false, "motionless_count": 0, "position_changes": 0, "attributes": {}, "current_attributes": [],
        "current_zones": [], "entered_zones": [], "has_clip": false, "has_snapshot": false, "path_data": [],
        "data": {"description": event.text},
    })
}

fn review(event: &Event, id: &str, camera: &str, start_s: f64) -> Value {
    json!({
        "id": id, "camera": camera, "start_time": start_s, "end_time": null, "severity": "alert", "thumb_path": null,
        "data": {
            "detections": [id], "objects": labels(event), "sub_labels": event.kind.iter().collect::<Vec<_>>(),
            "zones": [], "audio": [], "metadata": {"title": event.text},
        },
    })
}

/// Seconds since 1970 of a date in UTC, `2026-11-26T18:30:00.123Z`; 0 where it is none.
fn unix_s(date: Option<&str>) -> f64 {
    let parse = |date: &str| -> Option<f64> {
        let (day, time) = date.strip_suffix('Z')?.split_once('T')?;
        let mut day = day.split('-').map(str::parse::<i64>);
        let (year, month, day) = (day.next()?.ok()?, day.next()?.ok()?, day.next()?.ok()?);
        let mut time = time.split(':');
        let (hour, minute): (f64, f64) = (time.next()?.parse().ok()?, time.next()?.parse().ok()?);
        let second: f64 = time.next()?.parse().ok()?;
        // Days since 1970, of a year that begins in March (H. Hinnant, "chrono-compatible low-level date algorithms").
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        Some(days as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
    };
    date.and_then(parse).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        Topics::new("ocelli/home/board".into(), &["hall".into()], &[])
    }

    fn message(number: u64, kind: &str, start: &str) -> Message {
        let event = Event {
            r#type: kind.into(),
            camera: Some("hall".into()),
            start: Some(start.into()),
            end: Some("2026-11-26T18:31:00.500Z".into()),
            kind: Some("fall".into()),
            about: vec!["person".into()],
            text: "Somebody fell".into(),
            ..Event::default()
        };
        Message { number, run: 1, event }
    }

    #[test]
    fn a_date_is_seconds_since_1970() {
        for (date, seconds) in [
            ("1970-01-01T00:00:00.000Z", 0.0),
            ("2000-02-29T12:00:00.250Z", 951_825_600.25),
            ("2026-11-26T18:30:00.123Z", 1_795_717_800.123),
            ("nonsense", 0.0),
        ] {
            assert!((unix_s(Some(date)) - seconds).abs() < 1e-6, "{date}: {}", unix_s(Some(date)));
        }
    }

    #[test]
    fn an_alert_is_a_review_that_ends_under_its_id() {
        let mut frigate = Frigate::new("cams");
        let new = frigate.tell(&topics(), &message(1, "alert", "2026-11-26T18:30:00.123Z"));
        assert_eq!((new.len(), new[0].0.as_str(), &new[0].1["type"]), (1, "cams/reviews", &json!("new")));
        let id = new[0].1["after"]["id"].as_str().expect("an id").to_owned();
        assert!(id.starts_with("1795717800.123000-") && id.len() == "1795717800.123000-abcdef".len(), "{id}");
        assert_eq!(frigate.tell(&topics(), &message(2, "update", "2026-11-26T18:30:01.000Z")), []);
        let end = frigate.tell(&topics(), &message(3, "alert_end", "2026-11-26T18:30:10.000Z"));
        assert_eq!((&end[0].1["type"], &end[0].1["after"]["id"]), (&json!("end"), &json!(id)));
        assert_eq!(
            (&end[0].1["before"]["end_time"], &end[0].1["after"]["end_time"]),
            (&Value::Null, &json!(1_795_717_860.5))
        );
        // After a restart.
        assert_eq!(frigate.tell(&topics(), &message(4, "alert_end", "2026-11-26T18:30:10.000Z")).len(), 1);
    }

    #[test]
    fn a_narration_begins_and_ends_and_is_described() {
        let told = Frigate::new("cams").tell(&topics(), &message(1, "narration", "2026-11-26T18:30:00.123Z"));
        let kinds: Vec<&Value> = told.iter().map(|(_, payload)| &payload["type"]).collect();
        assert_eq!(kinds, [&json!("new"), &json!("end"), &json!("description")]);
        assert_eq!((&told[1].1["after"]["label"], &told[1].1["before"]["end_time"]), (&json!("person"), &Value::Null));
        assert_eq!(told[2].1["id"], told[0].1["after"]["id"]);
    }
}
