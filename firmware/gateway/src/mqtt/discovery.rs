//! What Home Assistant is told of us: one device, and its components, in one retained message (MQTT discovery, device-based form, from
//! Home Assistant 2024.11 on).

use serde_json::{Map, Value, json};

use super::MqttTable;
use super::topics::Topics;
use crate::About;
use crate::webhook::TYPES;

/// Topic and payload.
pub fn device(table: &MqttTable, topics: &Topics, about: &About) -> (String, Value) {
    let id = format!("ocelli_{}_{}", table.site, table.device);
    let mut components = Map::new();
    let mut add = |key: String, platform: &str, component: Value| {
        let mut component = component;
        component["platform"] = json!(platform);
        component["unique_id"] = json!(format!("{id}_{key}"));
        components.insert(key, component);
    };
    let available = |topic: String| {
        // We also say `stopped`, after an end in order.
        json!({"topic": topic, "value_template": "{{ 'online' if value == 'online' else 'offline' }}"})
    };
    let of_device = available(topics.available());
    let several = topics.cameras.len() > 1;
    for place in &topics.cameras {
        let topic = |what: &str| topics.of_camera(place, what);
        let key = |what: &str| format!("{}_{what}", place.slug);
        let name = |what: &str| if several { format!("{} {what}", place.name) } else { capitalized(what) };
        // What is seen is not known of a camera that sees nothing.
        let seeing = json!([of_device, available(topic("available"))]);
        add(
            key("event"),
            "event",
            json!({
                "name": name("activity"), "event_types": TYPES, "state_topic": topic("event"), "icon": "mdi:eye",
            }),
        );
        add(
            key("narration"),
            "sensor",
            json!({
                "name": name("narration"), "state_topic": topic("narration"), "icon": "mdi:text",
                // A state has 255 characters at most; all of it is in the attributes.
                "value_template": "{{ value_json.text[:250] }}", "json_attributes_topic": topic("narration"),
                "availability": seeing, "availability_mode": "all",
            }),
        );
        add(
            key("alert"),
            "binary_sensor",
            json!({
                "name": name("alert"), "device_class": "problem", "state_topic": topic("alert"),
                "json_attributes_topic": topic("alert/attributes"), "availability": seeing, "availability_mode": "all",
            }),
        );
        for watch in &place.watches {
            let state = topic(&format!("condition/{}", watch.slug));
            let text: String = watch.text.chars().take(100).collect();
            let text = if several { format!("{}: {text}", place.name) } else { text };
            add(
                key(&format!("condition_{}", watch.slug)),
                "binary_sensor",
                json!({
                    "name": text, "device_class": "problem", "state_topic": state,
                    "json_attributes_topic": format!("{state}/attributes"), "availability": seeing, "availability_mode": "all",
                }),
            );
        }
        add(
            key("connection"),
            "binary_sensor",
            json!({
                "name": name("connection"), "device_class": "connectivity", "state_topic": topic("available"),
                "payload_on": "online", "payload_off": "offline", "entity_category": "diagnostic",
            }),
        );
        add(
            key("fps"),
            "sensor",
            json!({
                "name": name("pictures a second"), "state_topic": topics.stats(), "state_class": "measurement",
                "unit_of_measurement": "fps", "entity_category": "diagnostic", "suggested_display_precision": 1,
                "value_template": format!("{{{{ value_json.cameras['{}'].fps }}}}", place.slug),
            }),
        );
        if table.images {
            add(
                key("snapshot"),
                "image",
                json!({"name": name("snapshot"), "image_topic": topic("snapshot"), "content_type": "image/jpeg"}),
            );
        }
        if table.commands {
            add(
                key("enabled"),
                "switch",
                json!({
                    "name": name("enabled"), "state_topic": topic("enabled/state"), "command_topic": topic("enabled/set"),
                    "icon": "mdi:cctv",
                }),
            );
            add(
                key("teach"),
                "text",
                json!({
                    "name": name("teach what just happened"), "command_topic": topic("teach/set"), "min": 1, "max": 255,
                    "icon": "mdi:school", "entity_category": "config",
                }),
            );
        }
    }
    add(
        "memory".into(),
        "sensor",
        json!({
            "name": "Memory used", "device_class": "data_size", "unit_of_measurement": "MiB", "state_class": "measurement",
            "entity_category": "diagnostic", "state_topic": topics.stats(), "value_template": "{{ value_json.memory.used_mib }}",
        }),
    );
    add(
        "temperature".into(),
        "sensor",
        json!({
            "name": "Temperature", "device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement",
            "entity_category": "diagnostic", "state_topic": topics.stats(), "value_template": "{{ value_json.soc_celsius }}",
        }),
    );
    add(
        "uptime".into(),
        "sensor",
        json!({
            "name": "Uptime", "device_class": "duration", "unit_of_measurement": "s", "entity_category": "diagnostic",
            "state_topic": topics.stats(), "value_template": "{{ value_json.uptime_s }}",
        }),
    );
    add(
        "waiting".into(),
        "sensor",
        json!({
            "name": "Messages waiting", "state_class": "measurement", "entity_category": "diagnostic",
            "state_topic": topics.stats(), "value_template": "{{ value_json.waiting }}",
        }),
    );
    add(
        "dropped".into(),
        "sensor",
        json!({
            "name": "Messages dropped", "state_class": "total_increasing", "entity_category": "diagnostic",
            "state_topic": topics.stats(), "value_template": "{{ value_json.dropped }}",
        }),
    );
    if table.commands {
        add(
            "verbosity".into(),
            "select",
            json!({
                "name": "Verbosity", "options": ["quiet", "normal", "full"], "entity_category": "config",
                "state_topic": topics.of_device("verbosity/state"), "command_topic": topics.of_device("verbosity/set"),
            }),
        );
        add(
            "quiet".into(),
            "switch",
            json!({
                "name": "Quiet", "icon": "mdi:bell-sleep",
                "state_topic": topics.of_device("quiet/state"), "command_topic": topics.of_device("quiet/set"),
            }),
        );
        add(
            "ask".into(),
            "text",
            json!({
                "name": "Ask", "command_topic": topics.of_device("ask/set"), "min": 1, "max": 255, "icon": "mdi:chat-question",
            }),
        );
        add(
            "answer".into(),
            "sensor",
            json!({
                "name": "Answer", "state_topic": topics.of_device("ask/answer"), "icon": "mdi:chat",
                "value_template": "{{ value_json.message[:250] }}", "json_attributes_topic": topics.of_device("ask/answer"),
            }),
        );
        add(
            "acknowledge".into(),
            "button",
            json!({
                "name": "Acknowledge the last alert", "command_topic": topics.of_device("ack/set"), "payload_press": "last",
                "icon": "mdi:check",
            }),
        );
    }
    // Of one that has gone only its platform is left, which takes it out; it stays so for Home Assistant that comes later.
    for (camera, watch) in &topics.gone {
        components.insert(format!("{camera}_condition_{watch}"), json!({"platform": "binary_sensor"}));
    }
    let payload = json!({
        "device": {
            "identifiers": [id], "name": format!("Ocelli {}", table.device), "manufacturer": "Ocelli",
            "model": format!("{} ({} {})", about.profile, about.pack, about.pack_version), "sw_version": about.version,
        },
        "origin": {"name": "Ocelli", "sw_version": about.version},
        "availability": [of_device],
        "qos": 1,
        "components": components,
    });
    (format!("{}/device/{id}/config", table.discovery), payload)
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
