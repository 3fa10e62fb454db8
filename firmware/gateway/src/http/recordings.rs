//! What was recorded around events: lists, clips and snapshots in parts, deleting.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::App;
use super::api::{Json, require_camera};
use super::auth::Principal;
use super::connection::Peer;
use super::events::flowing;
use super::guard::{Named, Params};
use super::refusal::Refusal;
use crate::house::{Done, Media, Recording, RecordingPage, RecordingQuery};
use crate::settings::PART_BYTES;

pub(super) async fn list(
    State(app): State<App>,
    who: Principal,
    Params(query): Params<RecordingQuery>,
) -> Result<Json<RecordingPage>, Refusal> {
    if !(1..=200).contains(&query.limit.unwrap_or(50)) {
        return Err(Refusal::wrong("`limit` is 1 to 200"));
    }
    if let Some(camera) = &query.camera {
        require_camera(&app, &who, camera)?;
    }
    app.ask(move |house| house.recordings(&query, who.cameras.as_deref())).await.map(Json)
}

pub(super) async fn one(
    State(app): State<App>,
    who: Principal,
    Named(id): Named<u64>,
) -> Result<Json<Recording>, Refusal> {
    seen(&app, &who, id).await.map(Json)
}

/// The recording with this id, if they may see its camera. One that they may not is told as one that is not there.
async fn seen(app: &App, who: &Principal, id: u64) -> Result<Recording, Refusal> {
    let absent = || Refusal::absent(format!("there is no recording {id}"));
    let recording = app.ask(move |house| house.recording(id)).await.map_err(|refusal| match refusal.status {
        StatusCode::NOT_FOUND => absent(),
        _ => refusal,
    })?;
    if who.sees(&recording.camera) { Ok(recording) } else { Err(absent()) }
}

pub(super) async fn remove(
    State(app): State<App>,
    who: Principal,
    Named(id): Named<u64>,
) -> Result<Json<Done>, Refusal> {
    seen(&app, &who, id).await?;
    app.ask(move |house| house.remove_recording(id)).await?;
    Ok(Json(Done { message: "deleted".into() }))
}

pub(super) async fn clip(
    State(app): State<App>,
    who: Principal,
    peer: Peer,
    Named(id): Named<u64>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    seen(&app, &who, id).await?;
    let (name, from) = (who.name.clone(), peer.address.ip().to_string());
    let note = app.clone();
    let response = media(app, id, Media::Clip, &headers).await?;
    // Who looked at it is noted, once for all its parts.
    if response.status() == StatusCode::OK || begins(&headers) {
        note.0.audit.note(&name, &from, &format!("GET /api/recordings/{id}/clip.mp4"), response.status().as_u16());
    }
    Ok(response)
}

pub(super) async fn snapshot(
    State(app): State<App>,
    who: Principal,
    Named(id): Named<u64>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    seen(&app, &who, id).await?;
    media(app, id, Media::Snapshot, &headers).await
}

fn begins(headers: &HeaderMap) -> bool {
    headers.get(header::RANGE).is_some_and(|range| range.as_bytes().starts_with(b"bytes=0-"))
}

/// Sends it, or the range that is asked for, part by part: no more of it is in memory, however slowly it is taken.
async fn media(app: App, id: u64, media: Media, headers: &HeaderMap) -> Result<Response, Refusal> {
    let room = Arc::clone(&app.0.streams).acquire_owned();
    let room = tokio::time::timeout(Duration::from_secs(10), room).await.map_err(|_| Refusal::busy())?;
    let room = room.map_err(|_| Refusal::failed())?;
    let total = app.ask(move |house| house.recorded(id, media, 0, 0)).await?.total_bytes;
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(|range| ranged(range, total));
    let (status, Range { start, end }) = match asked {
        None => (StatusCode::OK, 0..total),
        Some(Ok(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(Err(())) => {
            let mut refused =
                Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "invalid_request_error", "it is not that long")
                    .into_response();
            let range = HeaderValue::from_str(&format!("bytes */{total}")).map_err(|_| Refusal::failed())?;
            refused.headers_mut().insert(header::CONTENT_RANGE, range);
            return Ok(refused);
        }
    };
    let kind = match media {
        Media::Clip => "video/mp4",
        Media::Snapshot => "image/jpeg",
    };
    let part = move |app: App, at: u64| async move {
        let most = PART_BYTES.min((end - at) as usize);
        app.ask(move |house| house.recorded(id, media, at, most)).await
    };
    let first = part(app.clone(), start).await?.bytes;
    let mut at = start + first.len() as u64;
    let mut response = if at == end || first.is_empty() {
        let mut response = Body::from(first).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    } else {
        let (give, response) = flowing(kind, 1);
        tokio::spawn(async move {
            let _held = room;
            let mut next = Bytes::from(first);
            loop {
                if give.send(next).await.is_err() || at >= end {
                    break;
                }
                match part(app.clone(), at).await {
                    // One that was deleted meanwhile ends.
                    Ok(part) if !part.bytes.is_empty() => next = part.bytes.into(),
                    _ => break,
                }
                at += next.len() as u64;
            }
        });
        response
    };
    *response.status_mut() = status;
    let sent = response.headers_mut();
    sent.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    sent.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{total}", end - 1);
        sent.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).map_err(|_| Refusal::failed())?);
    }
    Ok(response)
}

/// What one range asks for; an error where nothing of it is there, and `None` where it is not understood, so that all is sent.
fn ranged(range: &str, total: u64) -> Option<Result<Range<u64>, ()>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let number = |digits: &str| if digits.is_empty() { Some(None) } else { digits.parse::<u64>().ok().map(Some) };
    let range = match (number(first)?, number(last)?) {
        (None, None) => return None,
        (None, Some(newest)) => total.saturating_sub(newest)..total,
        (Some(first), None) => first..total,
        (Some(first), Some(last)) if last < first => return None,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(total),
    };
    Some(if range.is_empty() { Err(()) } else { Ok(range) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_range_lies_within_what_there_is(text in "bytes=[0-9]{0,21}-[0-9]{0,21}|.*", total in 0_u64..1000) {
            if let Some(Ok(range)) = ranged(&text, total) {
                prop_assert!(range.start < range.end && range.end <= total, "{range:?}");
            }
        }
    }

    #[test]
    fn a_range_is_as_browsers_ask_for_it() {
        for (text, wanted) in [
            ("bytes=0-", Some(Ok(0..10))),
            ("bytes=2-3", Some(Ok(2..4))),
            ("bytes=8-99", Some(Ok(8..10))),
            ("bytes=-4", Some(Ok(6..10))),
            ("bytes=-40", Some(Ok(0..10))),
            ("bytes=10-", Some(Err(()))),
            ("bytes=-0", Some(Err(()))),
            ("bytes=3-2", None),
            ("bytes=-", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(ranged(text, 10), wanted, "{text}");
        }
    }
}
