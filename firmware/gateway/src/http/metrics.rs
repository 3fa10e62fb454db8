//! Prometheus' text format: base units, `_total` on counters, few labels.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse as _, Response};

use super::App;
use super::refusal::Refusal;
use crate::house::{About, State as Running};

pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Refusal> {
    let state = app.ask(|house| Ok(house.state())).await?;
    let text = exposition(app.0.house.about(), &state);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// A label's value.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

struct Text(String);

impl Text {
    /// A metric with its samples: labels in braces or nothing, and a value.
    fn metric(&mut self, name: &str, kind: &str, help: &str, samples: impl IntoIterator<Item = (String, f64)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = writeln!(self.0, "# HELP ocelli_{name} {help}\n# TYPE ocelli_{name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "ocelli_{name}{labels} {value}");
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.metric(name, kind, help, [(String::new(), value)]);
    }
}

fn exposition(about: &About, state: &Running) -> String {
    let mut text = Text(String::with_capacity(8 << 10));
    let (version, pack) = (quoted(&about.version), quoted(&format!("{} {}", about.pack, about.pack_version)));
    let build = format!("{{version={version},pack={pack},profile={}}}", quoted(&about.profile));
    text.metric("build_info", "gauge", "What runs here.", [(build, 1.0)]);
    text.one("uptime_seconds", "gauge", "Time since the start of the program.", state.uptime_s);
    let memory = &state.memory;
    text.one("memory_budget_bytes", "gauge", "The most that the program may hold.", memory.budget_bytes as f64);
    text.one("memory_planned_bytes", "gauge", "What the memory plan adds up to.", memory.planned_bytes as f64);
    let used =
        [("resident", memory.resident_bytes), ("heap", memory.heap_bytes), ("heap_peak", memory.heap_peak_bytes)];
    let used = used.map(|(pool, bytes)| (format!("{{pool=\"{pool}\"}}"), bytes as f64));
    text.metric("memory_used_bytes", "gauge", "What the program holds.", used);
    text.one("events_total", "counter", "Events that were told.", state.events as f64);
    if let Some(celsius) = state.soc_celsius {
        text.one("soc_temperature_celsius", "gauge", "Temperature of the board.", celsius);
    }
    let of = |name: &str| format!("camera={}", quoted(name));
    let each = |value: fn(&crate::Camera) -> Option<f64>| {
        let sample = move |camera: &crate::Camera| Some((format!("{{{}}}", of(&camera.name)), value(camera)?));
        state.cameras.iter().filter_map(sample).collect::<Vec<_>>()
    };
    let up = each(|camera| Some(f64::from(u8::from(camera.up))));
    text.metric("camera_up", "gauge", "Whether the camera gives pictures.", up);
    let age = each(|camera| camera.frame_age_s);
    text.metric("frame_age_seconds", "gauge", "Time since the newest picture that the model saw.", age);
    let kept = each(|camera| Some(camera.kept_ratio));
    text.metric("tokens_kept_ratio", "gauge", "Share of patches that were kept since the start.", kept);
    let frames = state.cameras.iter().flat_map(|camera| {
        let counts = [
            ("processed", camera.processed),
            ("late", camera.late),
            ("damaged", camera.damaged),
            ("lost", camera.lost),
            // Those that came between two that the model wants.
            ("skipped", camera.frames.saturating_sub(camera.processed + camera.late + camera.damaged)),
        ];
        let name = of(&camera.name);
        counts.map(|(result, count)| (format!("{{{name},result=\"{result}\"}}"), count as f64))
    });
    text.metric("frames_total", "counter", "Pictures, by what became of them.", frames);
    let alerts = state.cameras.iter().flat_map(|camera| {
        let name = of(&camera.name);
        let count = move |(condition, count): (&String, &u64)| {
            (format!("{{{name},condition={}}}", quoted(condition)), *count as f64)
        };
        camera.alerts.iter().map(count).collect::<Vec<_>>()
    });
    text.metric("alerts_total", "counter", "Alerts, by condition or kind.", alerts);
    stages(&mut text.0, state);
    text.0
}

fn stages(text: &mut String, state: &Running) {
    let name = "ocelli_stage_duration_seconds";
    let _ = writeln!(text, "# HELP {name} What a picture costs, by stage.\n# TYPE {name} histogram");
    for camera in &state.cameras {
        for stage in &camera.stages {
            let labels = format!("camera={},stage={}", quoted(&camera.name), quoted(&stage.name));
            for (edge, count) in &stage.buckets {
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{edge}\"}} {count}");
            }
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", stage.count);
            let _ = writeln!(text, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {}", stage.sum_s, stage.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::{Camera, Stage};

    #[test]
    fn names_and_units_are_those_of_prometheus_and_labels_are_quoted() {
        let stage = Stage { name: "stab".into(), count: 3, sum_s: 0.5, buckets: vec![(0.128, 2)], ..Stage::default() };
        let camera = Camera {
            name: "the \"hall\"\n".into(),
            up: true,
            frames: 100,
            processed: 30,
            late: 2,
            alerts: [("fall".to_owned(), 2)].into(),
            stages: vec![stage],
            ..Camera::default()
        };
        let state = Running { cameras: vec![camera], ..Running::default() };
        let text = exposition(&About { version: "0.1.0".into(), ..About::default() }, &state);
        let name = r#"camera="the \"hall\"\n""#;
        for line in [
            format!("ocelli_camera_up{{{name}}} 1"),
            format!("ocelli_frames_total{{{name},result=\"skipped\"}} 68"),
            format!("ocelli_alerts_total{{{name},condition=\"fall\"}} 2"),
            format!("ocelli_stage_duration_seconds_bucket{{{name},stage=\"stab\",le=\"0.128\"}} 2"),
            format!("ocelli_stage_duration_seconds_bucket{{{name},stage=\"stab\",le=\"+Inf\"}} 3"),
            "# TYPE ocelli_frames_total counter".into(),
            "ocelli_memory_used_bytes{pool=\"resident\"} 0".into(),
        ] {
            assert!(text.lines().any(|said| said == line), "{line}\n{text}");
        }
        assert!(!text.contains("frame_age"), "what is not known is not told");
        let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        for line in typed {
            let (name, kind) = line.split_once(' ').expect("name and type");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
        }
    }
}
