//! Names of topics, and what stands in those that are retained.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use crate::house::Condition;
use crate::outbox::Message;
use crate::target::Tuning;
use crate::{Event, State, TOLD_AGAIN};

/// The most conditions that have gone of which it is known.
const MOST_GONE: usize = 64;

/// A part of a topic or an id from any words: lower case letters, digits and `_`. What loses more by that than case, spaces and
/// dashes gets a checksum.
pub fn slug(words: &str) -> String {
    let simple: String =
        words.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let lossless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    if !words.is_empty() && words.len() <= 48 && words.chars().all(lossless) {
        return simple;
    }
    with_checksum(words, &simple)
}

fn with_checksum(words: &str, simple: &str) -> String {
    let parts: Vec<&str> = simple.split('_').filter(|part| !part.is_empty()).collect();
    let mut short = parts.join("_");
    short.truncate(32);
    format!("{short}_{:08x}", crc32fast::hash(words.as_bytes())).trim_start_matches('_').into()
}

/// Of names that differ: two that would have the same keep apart.
fn slugs(names: &[&str]) -> Vec<String> {
    let mut slugs: Vec<String> = Vec::new();
    for name in names {
        let simple = slug(name);
        slugs.push(if slugs.contains(&simple) { with_checksum(name, &simple) } else { simple });
    }
    slugs
}

/// A condition as a topic has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub slug: String,
    /// What it tells.
    pub text: String,
}

/// A camera as topics have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    pub slug: String,
    pub watches: Vec<Watch>,
}

/// All names.
#[derive(Clone, Debug)]
pub struct Topics {
    /// `ocelli/<site>/<device>`
    pub base: String,
    pub cameras: Vec<Place>,
    /// Conditions that were taken back since the start, the newest last: slugs of camera and condition.
    pub gone: VecDeque<(String, String)>,
}

impl Topics {
    pub fn new(base: String, cameras: &[String], conditions: &[Condition]) -> Self {
        let place = |name: &String| {
            let of = conditions.iter().filter(|of| of.camera.as_ref().is_none_or(|camera| camera == name));
            let mut texts: Vec<&str> = Vec::new();
            of.for_each(|of| {
                if !texts.contains(&of.text.as_str()) {
                    texts.push(&of.text);
                }
            });
            let slugs = slugs(&texts).into_iter();
            let watches = slugs.zip(texts).map(|(slug, text)| Watch { slug, text: text.to_owned() }).collect();
            Place { name: name.clone(), slug: String::new(), watches }
        };
        let names: Vec<&str> = cameras.iter().map(String::as_str).collect();
        let places = cameras.iter().map(place).zip(slugs(&names));
        let cameras = places.map(|(place, slug)| Place { slug, ..place }).collect();
        Self { base, cameras, gone: VecDeque::new() }
    }

    /// With other conditions.
    pub fn with(&self, cameras: &[String], conditions: &[Condition]) -> Self {
        let mut next = Self::new(self.base.clone(), cameras, conditions);
        let (before, now) = (self.watched(), next.watched());
        next.gone = self.gone.iter().cloned().chain(before).filter(|watch| !now.contains(watch)).collect();
        let most = next.gone.len().saturating_sub(MOST_GONE);
        next.gone.drain(..most);
        next
    }

    /// Slugs of cameras and their conditions.
    fn watched(&self) -> BTreeSet<(String, String)> {
        let of = |place: &Place| {
            let camera = place.slug.clone();
            place.watches.iter().map(move |watch| (camera.clone(), watch.slug.clone())).collect::<Vec<_>>()
        };
        self.cameras.iter().flat_map(of).collect()
    }

    pub fn available(&self) -> String {
        format!("{}/available", self.base)
    }

    pub fn stats(&self) -> String {
        format!("{}/stats", self.base)
    }

    pub fn of_device(&self, what: &str) -> String {
        format!("{}/{what}", self.base)
    }

    pub fn of_camera(&self, place: &Place, what: &str) -> String {
        format!("{}/camera/{}/{what}", self.base, place.slug)
    }

    /// Topics of conditions that have gone, of which nothing is to stay.
    fn of_gone(&self) -> Vec<String> {
        let of = |(camera, watch): &(String, String)| {
            ["", "/attributes"].map(|end| format!("{}/camera/{camera}/condition/{watch}{end}", self.base))
        };
        self.gone.iter().flat_map(of).collect()
    }

    pub fn camera(&self, name: Option<&str>) -> Option<&Place> {
        self.cameras.iter().find(|place| Some(place.name.as_str()) == name)
    }
}

/// What an event topic gets: the event, with whose it is, `event_type`, which Home Assistant wants, and `uid`, by which one that comes
/// twice is known.
pub fn event_payload(message: &Message, site: &str, device: &str) -> Value {
    let mut payload = json!(message.event);
    payload["event_type"] = json!(message.event.r#type);
    payload["uid"] = json!(message.uid());
    payload["site"] = json!(site);
    payload["device"] = json!(device);
    payload
}

/// What is retained: how things are now, and never how they were.
#[derive(Debug, Default)]
pub struct Retained {
    values: BTreeMap<String, String>,
    /// Topics that the broker does not have as they are.
    changed: BTreeSet<String>,
    /// Alerts that are open, by camera.
    open: BTreeMap<String, BTreeSet<String>>,
}

impl Retained {
    /// With nothing seen yet and no alert open.
    pub fn new(topics: &Topics) -> Self {
        let mut retained = Self::default();
        for place in &topics.cameras {
            retained.show_alerts(topics, place);
            retained.set(topics.of_camera(place, "available"), "online".into());
        }
        retained
    }

    fn set(&mut self, topic: String, value: String) {
        if self.values.get(&topic) != Some(&value) {
            self.changed.insert(topic.clone());
            self.values.insert(topic, value);
        }
    }

    fn show_alerts(&mut self, topics: &Topics, place: &Place) {
        let open = self.open.entry(place.name.clone()).or_default().clone();
        let on = |on: bool| if on { "ON" } else { "OFF" }.to_owned();
        for watch in &place.watches {
            let topic = topics.of_camera(place, &format!("condition/{}", watch.slug));
            self.set(topic, on(open.contains(&watch.text)));
        }
        self.set(topics.of_camera(place, "alert"), on(!open.is_empty()));
    }

    /// Takes what is told now.
    pub fn hear(&mut self, topics: &Topics, event: &Event) {
        let Some(place) = topics.camera(event.camera.as_deref()) else { return };
        let attributes = || json!(event).to_string();
        match event.r#type.as_str() {
            "narration" => {
                self.set(topics.of_camera(place, "narration"), attributes());
                self.set(topics.of_camera(place, "available"), "online".into());
            }
            // Told again it has other words, and is open already.
            "alert" if !event.text.starts_with(TOLD_AGAIN) => {
                self.open.entry(place.name.clone()).or_default().insert(event.text.clone());
                if let Some(watch) = place.watches.iter().find(|watch| watch.text == event.text) {
                    let topic = topics.of_camera(place, &format!("condition/{}/attributes", watch.slug));
                    self.set(topic, attributes());
                }
                self.set(topics.of_camera(place, "alert/attributes"), attributes());
                self.show_alerts(topics, place);
            }
            "alert_end" => {
                self.open.entry(place.name.clone()).or_default().remove(&event.text);
                self.show_alerts(topics, place);
            }
            "blind" => self.set(topics.of_camera(place, "available"), "offline".into()),
            _ => {}
        }
    }

    /// Takes how the program is.
    pub fn see(&mut self, topics: &Topics, state: &State, settings: &Tuning) {
        let on = |on: bool| if on { "ON" } else { "OFF" }.to_owned();
        for (place, camera) in topics.cameras.iter().zip(&state.cameras) {
            self.set(topics.of_camera(place, "available"), if camera.up { "online" } else { "offline" }.into());
        }
        for (place, enabled) in topics.cameras.iter().zip(&settings.enabled) {
            self.set(topics.of_camera(place, "enabled/state"), on(*enabled));
        }
        self.set(topics.of_device("verbosity/state"), settings.verbosity.name().into());
        self.set(topics.of_device("quiet/state"), on(settings.quiet));
    }

    /// Whether anything is open at a camera.
    pub fn is_alert(&self, camera: &str) -> bool {
        self.open.get(camera).is_some_and(|open| !open.is_empty())
    }

    /// There are other conditions.
    pub fn follow(&mut self, topics: &Topics) {
        for topic in topics.of_gone() {
            if self.values.remove(&topic).is_some() {
                self.changed.insert(topic);
            }
        }
        topics.cameras.iter().for_each(|place| self.show_alerts(topics, place));
    }

    /// All is to be told anew, to a broker that may know nothing.
    pub fn renew(&mut self, topics: &Topics) {
        self.changed.extend(topics.of_gone());
        self.changed.extend(self.values.keys().cloned());
    }

    /// What the broker does not have yet; empty for what it is to forget.
    pub fn take_changed(&mut self) -> Vec<(String, String)> {
        let changed = std::mem::take(&mut self.changed);
        let value = |topic: &String| self.values.get(topic).cloned().unwrap_or_default();
        changed.iter().map(|topic| (topic.clone(), value(topic))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        let condition = |text: &str, camera: Option<&str>| Condition {
            text: text.into(),
            camera: camera.map(Into::into),
            ..Condition::default()
        };
        let conditions = [condition("Stove unattended", Some("kitchen")), condition("Somebody fell", None)];
        Topics::new("ocelli/home/board".into(), &["kitchen".into(), "Flur/2 +#".into()], &conditions)
    }

    fn event(kind: &str, camera: &str, text: &str) -> Event {
        Event { r#type: kind.into(), camera: Some(camera.into()), text: text.into(), ..Event::default() }
    }

    #[test]
    fn names_become_parts_of_a_topic_and_stay_apart() {
        assert_eq!(slug("front door"), "front_door");
        assert_eq!(slug("hall"), "hall");
        assert_eq!(slug("Front-Door"), "front_door");
        for words in ["Küche", "厨房", "a/b", "a+b", "a#b", "", &"x".repeat(100)] {
            let slug = slug(words);
            assert!(!slug.is_empty() && slug.len() <= 48, "{slug}");
            assert!(slug.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'), "{slug}");
        }
        let slugs: BTreeSet<String> =
            slugs(&["a/b", "a+b", "a#b", "a b", "A b", "a_b", "厨房", "客厅"]).into_iter().collect();
        assert_eq!(slugs.len(), 8, "{slugs:?}");
    }

    #[test]
    fn a_condition_is_on_from_its_alert_to_its_end() {
        let topics = topics();
        let mut retained = Retained::new(&topics);
        let find = |retained: &mut Retained, what: &str| {
            let changed = retained.take_changed();
            changed.into_iter().find(|(topic, _)| topic.ends_with(what)).map(|(_, value)| value)
        };
        let stove = format!("kitchen/condition/{}", slug("Stove unattended"));
        assert_eq!(find(&mut retained, &stove).as_deref(), Some("OFF"));
        retained.hear(&topics, &event("alert", "kitchen", "Stove unattended"));
        assert!(retained.is_alert("kitchen") && !retained.is_alert("Flur/2 +#"));
        assert_eq!(find(&mut retained, &stove).as_deref(), Some("ON"));
        retained.hear(&topics, &event("alert", "kitchen", "still not acknowledged (2): Stove unattended"));
        retained.hear(&topics, &event("alert", "barn", "of no camera of ours"));
        assert_eq!(retained.take_changed(), []);
        retained.hear(&topics, &event("alert_end", "kitchen", "Stove unattended"));
        assert_eq!(find(&mut retained, &stove).as_deref(), Some("OFF"));
        retained.renew(&topics);
        assert!(retained.take_changed().len() >= 6, "a new broker gets all");
    }

    #[test]
    fn of_a_condition_that_has_gone_nothing_stays_until_it_comes_again() {
        let before = topics();
        let cameras = ["kitchen".into(), "Flur/2 +#".into()];
        let stove =
            Condition { text: "Stove unattended".into(), camera: Some("kitchen".into()), ..Condition::default() };
        let mut retained = Retained::new(&before);
        retained.hear(&before, &event("alert", "kitchen", "Somebody fell"));
        retained.take_changed();
        let after = before.with(&cameras, std::slice::from_ref(&stove));
        assert_eq!(after.gone.len(), 2, "it was one of both cameras: {:?}", after.gone);
        retained.follow(&after);
        let at = format!("ocelli/home/board/camera/kitchen/condition/{}", slug("Somebody fell"));
        let cleared = |changed: &[(String, String)]| {
            changed.iter().filter(|(topic, value)| topic.starts_with(&at) && value.is_empty()).count()
        };
        let changed = retained.take_changed();
        assert_eq!(cleared(&changed), 2, "state and attributes: {changed:?}");
        retained.follow(&after);
        assert_eq!(retained.take_changed(), [], "once");
        retained.renew(&after);
        assert_eq!(cleared(&retained.take_changed()), 2, "a broker that was away meanwhile, too");
        let fell = Condition { text: "Somebody fell".into(), ..Condition::default() };
        let again = after.with(&cameras, &[stove, fell]);
        assert!(again.gone.is_empty());
        retained.follow(&again);
        assert!(retained.take_changed().contains(&(at, "ON".into())), "its alert was open all the time");
        let mut many = again;
        for number in 0..200 {
            let one = Condition { text: format!("number {number}"), ..Condition::default() };
            many = many.with(&cameras, &[one]);
        }
        assert_eq!(many.gone.len(), MOST_GONE, "the oldest are forgotten");
    }

    #[test]
    fn a_camera_that_is_blind_is_not_available_until_it_sees() {
        let (topics, mut retained) = (topics(), Retained::new(&topics()));
        retained.take_changed();
        retained.hear(&topics, &event("blind", "kitchen", "unplugged"));
        let offline = ("ocelli/home/board/camera/kitchen/available".to_owned(), "offline".to_owned());
        assert_eq!(retained.take_changed(), std::slice::from_ref(&offline));
        let camera = |up| crate::Camera { up, ..crate::Camera::default() };
        let state = State { cameras: vec![camera(true), camera(false)], ..State::default() };
        retained.see(&topics, &state, &Tuning { enabled: vec![true, false], ..Tuning::default() });
        let changed = retained.take_changed();
        assert!(changed.contains(&(offline.0, "online".into())), "{changed:?}");
        assert!(changed.contains(&("ocelli/home/board/verbosity/state".into(), "normal".into())), "{changed:?}");
        assert!(changed.iter().any(|(topic, value)| topic.ends_with("kitchen/enabled/state") && value == "ON"));
    }
}
