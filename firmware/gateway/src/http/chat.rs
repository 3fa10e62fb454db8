//! A chat as `OpenAI`'s API has it, as far as this program can answer: questions about the past, what a camera saw lately
//! (`camera://name?last=60s`), and what the model sees in pictures that are sent along. Also what clients of llama.cpp's server ask first.
//!
//! No language model writes here: text comes from the journal and the vocabulary, and a `response_format` is filled with it
//! ([`fill`](super::fill)).

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::api::{Json, one_camera, require_camera};
use super::auth::{self, Principal};
use super::events::flowing;
use super::fill::{Facts, fill};
use super::guard::{parse, read};
use super::refusal::Refusal;
use crate::Severity;
use crate::house::{EventQuery, Question};
use crate::settings::CHAT_BYTES;

/// The name under which the model is asked for. The pack's name is another.
const MODEL: &str = "ocelli";

/// What is told as the length of a prompt: clients cut theirs by it. Of a text the last question counts, 1 KiB at most.
const CONTEXT: u32 = 8192;

/// The most pictures in a request.
const MOST_PICTURES: usize = 20;

/// The longest past that `camera://` may ask for, and what it asks for where it does not say.
const MOST_LAST: Duration = Duration::from_hours(24);
const LAST: Duration = Duration::from_mins(1);

/// The most events that an answer tells.
const MOST_TOLD: u16 = 50;

pub(super) async fn models(State(app): State<App>, _: Principal) -> Json<Value> {
    let about = app.0.house.about();
    Json(json!({
        "object": "list",
        "data": [{
            "id": MODEL,
            "object": "model",
            "created": 0,
            "owned_by": MODEL,
            "aliases": [about.pack],
            "max_model_len": CONTEXT,
            "meta": {"n_ctx": CONTEXT, "n_ctx_train": CONTEXT},
            "architecture": {"input_modalities": ["text", "image", "video"], "output_modalities": ["text"]},
        }],
    }))
}

pub(super) async fn props(State(app): State<App>, _: Principal) -> Json<Value> {
    let about = app.0.house.about();
    Json(json!({
        "default_generation_settings": {"n_ctx": CONTEXT},
        "total_slots": 1,
        "model_alias": MODEL,
        "model_path": about.pack,
        "build_info": format!("ocelli {}", about.version),
        "modalities": {"vision": true, "audio": false, "video": true},
        "chat_template": "{% for message in messages %}{{ message.content }}\n{% endfor %}",
        "chat_template_caps": {"supports_tools": false, "supports_tool_calls": false, "supports_system_role": true},
        "media_marker": "<__media__>",
        "bos_token": "",
        "eos_token": "",
    }))
}

/// A request, as far as it matters here. What else it says, such as a temperature, is not needed.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Request {
    /// `ocelli`, or the pack's name. Another is refused.
    #[serde(default)]
    model: Option<String>,
    /// The last message of the user counts.
    messages: Vec<Message>,
    /// Whether it comes in pieces.
    #[serde(default)]
    stream: Option<bool>,
    /// `{"include_usage": true}`
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    /// `text`, `json_object`, or `json_schema` with a schema.
    #[serde(default)]
    response_format: Option<Value>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Message {
    role: String,
    #[serde(default)]
    content: Content,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
    #[default]
    Nothing,
}

/// `text`, `image_url`, `video_url` or `input_video`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Part {
    r#type: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    image_url: Option<Place>,
    #[serde(default)]
    video_url: Option<Place>,
    #[serde(default)]
    input_video: Option<Place>,
}

/// Where a picture or video is.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Place {
    Plain(String),
    Url { url: String },
    Data { data: String },
}

impl Place {
    fn into_url(self) -> String {
        match self {
            Self::Plain(url) | Self::Url { url } | Self::Data { data: url } => url,
        }
    }
}

/// What is asked.
#[derive(Debug, Default, PartialEq)]
struct Wish {
    text: String,
    pictures: Vec<Vec<u8>>,
    /// Cameras, and how long ago at most.
    cameras: Vec<(String, Duration)>,
}

/// What the last message of the user says.
fn wish(messages: Vec<Message>) -> Result<Wish, Refusal> {
    let last = messages.into_iter().rev().find(|message| message.role == "user");
    let last = last.ok_or_else(|| Refusal::wrong("there is no message of the role `user`"))?;
    let parts = match last.content {
        Content::Text(text) => return Ok(Wish { text, ..Wish::default() }),
        Content::Parts(parts) => parts,
        Content::Nothing => return Err(Refusal::wrong("the last message of the user is empty")),
    };
    let mut wish = Wish::default();
    for part in parts {
        let Part { r#type: kind, text, image_url, video_url, input_video } = part;
        let missing = || Refusal::wrong(format!("a part of the type `{}` lacks its content", kind.escape_debug()));
        match kind.as_str() {
            "text" => {
                let text = text.ok_or_else(missing)?;
                wish.text = if wish.text.is_empty() { text } else { wish.text + "\n" + &text };
            }
            "image_url" => wish.picture(&image_url.ok_or_else(missing)?.into_url())?,
            "video_url" => wish.video(&video_url.ok_or_else(missing)?.into_url())?,
            "input_video" => wish.video(&input_video.ok_or_else(missing)?.into_url())?,
            other => {
                let why = format!("a part of the type `{}` is not understood", other.escape_debug());
                return Err(Refusal::wrong(why + "; there are text, image_url, video_url and input_video"));
            }
        }
    }
    Ok(wish)
}

impl Wish {
    fn picture(&mut self, url: &str) -> Result<(), Refusal> {
        if url.starts_with("camera://") {
            return self.video(url);
        }
        let Some((kind, data)) = url.strip_prefix("data:").and_then(|url| url.split_once(',')) else {
            return Err(Refusal::wrong(
                "a picture comes as `data:image/jpeg;base64,...`; nothing is fetched from elsewhere",
            ));
        };
        let bytes = STANDARD.decode(data.trim()).map_err(|_| Refusal::wrong("a picture is no base64"))?;
        if !kind.ends_with(";base64") || !bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            return Err(Refusal::wrong("a picture is no JPEG in base64; send `data:image/jpeg;base64,...`"));
        }
        if self.pictures.len() == MOST_PICTURES {
            return Err(Refusal::wrong(format!("there are more than {MOST_PICTURES} pictures")));
        }
        self.pictures.push(bytes);
        Ok(())
    }

    fn video(&mut self, url: &str) -> Result<(), Refusal> {
        let advice = "name a camera of this program: camera://NAME?last=60s";
        let Some(camera) = url.strip_prefix("camera://") else {
            return Err(Refusal::wrong(format!(
                "a video is not taken, and nothing is fetched from elsewhere; {advice}"
            )));
        };
        let (name, query) = camera.split_once('?').unwrap_or((camera, ""));
        let mut last = LAST;
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(query).map_err(|_| Refusal::wrong(advice.to_owned()))?;
        for (key, value) in pairs {
            let asked = (key == "last").then(|| length_of(&value)).flatten();
            last = asked.ok_or_else(|| {
                Refusal::wrong(format!("`last` is a time such as 60s, 5m or 2h, 24h at most; {advice}"))
            })?;
        }
        if self.cameras.len() == MOST_PICTURES {
            return Err(Refusal::wrong("too many cameras are named"));
        }
        // A name with other signs is written as in each URL.
        let pair: Vec<(String, String)> =
            serde_urlencoded::from_str(&format!("name={}", name.trim_end_matches('/').replace('+', "%2B")))
                .unwrap_or_default();
        let name = pair.into_iter().next().map_or_else(|| name.to_owned(), |(_, name)| name);
        self.cameras.push((name, last));
        Ok(())
    }
}

fn length_of(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "s" | "" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return None,
    };
    let length = Duration::from_secs(number.checked_mul(unit)?);
    (Duration::from_secs(1)..=MOST_LAST).contains(&length).then_some(length)
}

pub(super) async fn complete(
    State(app): State<App>,
    who: Principal,
    request: axum::extract::Request,
) -> Result<Response, Refusal> {
    // The permit goes when the answer is found: one body is held at a time.
    let permit = tokio::time::timeout(Duration::from_secs(10), std::sync::Arc::clone(&app.0.heavy).acquire_owned());
    let permit = permit.await.map_err(|_| Refusal::busy())?;
    let begun = Instant::now();
    let bytes = read(request.into_body(), CHAT_BYTES, app.0.settings.patience).await?;
    let request: Request = parse(&bytes)?;
    drop(bytes);
    let Request { model, messages, stream, stream_options, response_format } = request;
    let pack = &app.0.house.about().pack;
    if let Some(model) = model.filter(|model| model != MODEL && model != pack) {
        let model: String = model.chars().take(64).collect();
        return Err(Refusal::absent(format!("there is no model `{model}`; there is `{MODEL}`")));
    }
    let wish = wish(messages)?;
    let words = wish.text.split_whitespace().count() + 64 * wish.pictures.len();
    let facts = facts(&app, &who, wish).await?;
    let text = worded(&facts, response_format.as_ref())?;
    drop(permit);
    let usage = json!({
        "prompt_tokens": words,
        "completion_tokens": text.split_whitespace().count(),
        "total_tokens": words + text.split_whitespace().count(),
    });
    let timings =
        json!({"predicted_n": usage["completion_tokens"], "predicted_ms": begun.elapsed().as_secs_f64() * 1e3});
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let id = format!("chatcmpl-{}", auth::secret().map_err(|_| Refusal::failed())?);
    if !stream.unwrap_or_default() {
        return Ok(Json(json!({
            "id": id, "object": "chat.completion", "created": created, "model": MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": null}],
            "usage": usage, "timings": timings,
        }))
        .into_response());
    }
    let (give, response) = flowing("text/event-stream", 8);
    let with_usage = stream_options.is_some_and(|options| options.include_usage);
    tokio::spawn(async move {
        let chunk = |delta: Value, finish: Value| {
            json!({
                "id": id, "object": "chat.completion.chunk", "created": created, "model": MODEL,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            })
        };
        let mut pieces = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        pieces.extend(text.split_inclusive(' ').map(|word| chunk(json!({"content": word}), Value::Null)));
        let mut end = chunk(json!({}), json!("stop"));
        end["timings"] = timings;
        pieces.push(end);
        if with_usage {
            let mut last = chunk(json!({}), Value::Null);
            (last["choices"], last["usage"]) = (json!([]), usage);
            pieces.push(last);
        }
        for piece in pieces {
            if give.send(format!("data: {piece}\n\n").into()).await.is_err() {
                return;
            }
        }
        let _ = give.send(Bytes::from_static(b"data: [DONE]\n\n")).await;
    });
    Ok(response)
}

/// What is known of it.
async fn facts(app: &App, who: &Principal, wish: Wish) -> Result<Facts, Refusal> {
    let Wish { text, pictures, cameras } = wish;
    if !pictures.is_empty() {
        let count = pictures.len();
        let seen = app.errand(move |house| house.look(&pictures)).await?;
        let mut facts = Facts { of: format!("{count} pictures"), ..Facts::default() };
        for glance in seen {
            facts.severity = facts.severity.max(glance.severity);
            facts.confidence = facts.confidence.max(glance.probability);
            facts.told.push(glance.text);
        }
        return Ok(facts);
    }
    if cameras.is_empty() {
        let question = text.trim().to_owned();
        if question.is_empty() || question.len() > 1024 {
            return Err(Refusal::wrong(
                "ask a question of 1 to 1024 bytes, or send a picture or camera://NAME?last=60s",
            ));
        }
        let question = Question { question, camera: one_camera(app, who, None)? };
        let answer = app.errand(move |house| house.ask(&question)).await?;
        return Ok(answer.into());
    }
    let mut facts = Facts::default();
    let several = cameras.len() > 1;
    for (camera, last) in cameras {
        require_camera(app, who, &camera)?;
        let since = Some(format!("{}s", last.as_secs()));
        let limit = Some(MOST_TOLD);
        let query = EventQuery { camera: Some(camera.clone()), since, limit, ..EventQuery::default() };
        let named = camera.clone();
        let (page, up) = app
            .ask(move |house| {
                let page = house.events(&query, None)?;
                Ok((page, house.state().cameras.iter().any(|other| other.name == named && other.up)))
            })
            .await?;
        let _ = write!(
            facts.of,
            "{}the last {} s of {camera}",
            if facts.of.is_empty() { "" } else { ", " },
            last.as_secs()
        );
        // An alert that ended is none, and began with one that is told.
        let narrated = |kind: &str| ["narration", "alert", "blind", "camera"].contains(&kind);
        for event in page.events.iter().rev().filter(|event| narrated(&event.r#type)) {
            facts.severity = facts.severity.max(event.severity.unwrap_or_default());
            facts.confidence = facts.confidence.max(event.score.unwrap_or_default());
            let clock = event.start.as_deref().and_then(|start| start.get(11..19)).map(|clock| format!("{clock}Z "));
            let of = if several { format!("{camera}: ") } else { String::new() };
            let alert = if event.r#type == "alert" { "ALERT " } else { "" };
            facts.told.push(format!("{}{of}{alert}{}", clock.unwrap_or_default(), event.text));
        }
        if !up {
            facts.told.push(format!("The camera {camera} gives no pictures now."));
            facts.severity = facts.severity.max(Severity::Notice);
        }
    }
    Ok(facts)
}

/// As a text, or as what the format asks for.
fn worded(facts: &Facts, format: Option<&Value>) -> Result<String, Refusal> {
    let kind = format.and_then(|format| format["type"].as_str()).unwrap_or("text");
    match kind {
        "text" => Ok(facts.text()),
        "json_object" => {
            // llama.cpp's server takes a schema here too.
            let schema = format.map(|format| &format["schema"]).filter(|schema| schema.is_object());
            match schema {
                Some(schema) => filled(schema, facts),
                None => Ok(json!({"answer": facts.text(), "observations": facts.told, "confidence": facts.confidence})
                    .to_string()),
            }
        }
        "json_schema" => {
            let schema = format.map_or(&Value::Null, |format| &format["json_schema"]["schema"]);
            filled(schema, facts)
        }
        other => Err(Refusal::wrong(format!("a response_format of the type `{}` is not known", other.escape_debug()))),
    }
}

fn filled(schema: &Value, facts: &Facts) -> Result<String, Refusal> {
    if !schema.is_object() {
        return Err(Refusal::wrong("a response_format of the type json_schema has a schema: json_schema.schema"));
    }
    let filled = fill(schema, facts).map_err(|why| Refusal::wrong(format!("this schema cannot be filled: {why}")))?;
    Ok(filled.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What URLs of these parts are made of.
    fn any_url() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "camera://",
            "hall",
            "?last=",
            "60s",
            "9999999999999999999h",
            "data:",
            "image/jpeg",
            ";base64",
            ",",
            "/9j/",
            "%",
            "%ff",
            "+",
            "&",
            "=",
            "ü",
            "\0",
        ]);
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_none(bytes in any::<Vec<u8>>()) {
            let _ = parse::<Request>(&bytes);
        }

        #[test]
        fn any_parts_are_a_wish_within_its_bounds_or_none(parts in prop::collection::vec((any_url(), 0..5_usize), 0..30)) {
            let parts: Vec<Value> = parts.into_iter().map(|(url, kind)| match kind {
                0 => json!({"type": "text", "text": url}),
                1 => json!({"type": "image_url", "image_url": {"url": url}}),
                2 => json!({"type": "video_url", "video_url": url}),
                3 => json!({"type": "input_video", "input_video": {"data": url}}),
                _ => json!({"type": url}),
            }).collect();
            if let Ok(wish) = asked(&json!(parts)) {
                prop_assert!(wish.pictures.len() <= MOST_PICTURES && wish.cameras.len() <= MOST_PICTURES);
                prop_assert!(wish.cameras.iter().all(|(_, last)| *last <= MOST_LAST));
            }
        }

        #[test]
        fn any_time_is_a_length_within_its_bounds_or_none(text in "[0-9]{0,25}[a-zµ]{0,3}") {
            prop_assert!(length_of(&text).is_none_or(|length| length <= MOST_LAST && !length.is_zero()));
        }
    }

    fn asked(content: &Value) -> Result<Wish, String> {
        let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": content}]);
        let messages = serde_json::from_value(messages).map_err(|error| error.to_string())?;
        wish(messages).map_err(|refusal| refusal.message)
    }

    #[test]
    fn what_is_asked_is_understood_or_refused() {
        assert_eq!(asked(&json!("who came?")).expect("text").text, "who came?");
        let jpeg = STANDARD.encode([0xff, 0xd8, 0xff, 0xe0]);
        let whole = asked(&json!([
            {"type": "text", "text": "what is it?"},
            {"type": "image_url", "image_url": {"url": format!("data:image/jpeg;base64,{jpeg}"), "detail": "low"}},
            {"type": "video_url", "video_url": {"url": "camera://front%20door?last=5m"}},
            {"type": "input_video", "input_video": {"url": "camera://hall"}},
        ]))
        .expect("right");
        let cameras = [("front door".to_owned(), Duration::from_mins(5)), ("hall".to_owned(), LAST)];
        assert_eq!((whole.pictures.len(), whole.cameras), (1, cameras.to_vec()));
        for (content, why) in [
            (json!([{"type": "image_url", "image_url": {"url": "https://example.org/x.jpg"}}]), "nothing is fetched"),
            (json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}]), "no JPEG"),
            (json!([{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,%%"}}]), "no base64"),
            (json!([{"type": "video_url", "video_url": {"url": "file:///etc/passwd"}}]), "nothing is fetched"),
            (json!([{"type": "video_url", "video_url": {"url": "camera://hall?last=9d"}}]), "24h at most"),
            (json!([{"type": "video_url", "video_url": {"url": "camera://hall?last=0s"}}]), "24h at most"),
            (json!([{"type": "input_audio"}]), "not understood"),
            (json!([{"type": "text"}]), "lacks"),
            (json!(null), "empty"),
        ] {
            let said = asked(&content).expect_err(why);
            assert!(said.contains(why), "{content}: {said}");
        }
    }
}
