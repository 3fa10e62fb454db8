//! What stays open: events as they are told (server-sent events), and what a camera's model sees.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use http_body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::App;
use super::api::require_camera;
use super::auth::Principal;
use super::guard::{Named, known};
use super::refusal::Refusal;
use crate::Event;
use crate::feed::{Heard, Reader};
use crate::house::EventQuery;

/// A stream in which nothing happens says so, so that both sides notice when the other has gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long who is logged in is believed before it is looked at again.
const TRUST: Duration = Duration::from_secs(15);

/// The most events that are made up for from the journal.
const MADE_UP: u16 = 1000;

/// A body that is written while it is sent; it waits for who takes it.
pub(super) struct Flow(pub mpsc::Receiver<Bytes>);

impl http_body::Body for Flow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A response of this type that stays open, and whose content goes into the sender.
pub(super) fn flowing(kind: &'static str, room: usize) -> (mpsc::Sender<Bytes>, Response) {
    let (give, take) = mpsc::channel(room);
    let mut response = Body::new(Flow(take)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // Proxies hold it back else.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    (give, response)
}

/// Where a client was: the largest id that it had, and the place in the feed of a program that started then.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cursor {
    id: u64,
    place: u64,
    boot: u64,
}

impl Cursor {
    /// From `Last-Event-ID`: `id.place.boot`, or a plain id.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(str::parse::<u64>);
        let id = parts.next()?.ok()?;
        let place = parts.next().transpose().ok()?.unwrap_or(u64::MAX);
        let boot = parts.next().transpose().ok()?.unwrap_or_default();
        parts.next().is_none().then_some(Self { id, place, boot })
    }
}

/// Server-sent events: each event as `event: <type>`, `id: <cursor>`, `data: <JSON>`. A client that comes back with
/// `Last-Event-ID` gets what it missed, from the ring or else from the journal; what cannot be made up for is told as `missed`.
pub(super) async fn stream(State(app): State<App>, who: Principal, headers: HeaderMap) -> Result<Response, Refusal> {
    let room = Arc::clone(&app.0.streams).try_acquire_owned().map_err(|_| Refusal::busy())?;
    let last = headers.get("last-event-id").map(|last| last.to_str().ok().and_then(Cursor::parse));
    let last = match last {
        Some(None) => return Err(Refusal::wrong("Last-Event-ID is none that came from here")),
        last => last.flatten(),
    };
    let (give, response) = flowing("text/event-stream", 8);
    tokio::spawn(async move {
        let mut line = Line { app, who, headers, give, newest: 0, checked: tokio::time::Instant::now(), _room: room };
        line.run(last).await;
    });
    Ok(response)
}

/// Whether the session or token of a request still holds, and for the same cameras.
fn is_still(app: &App, headers: &HeaderMap, who: &Principal) -> bool {
    let now = known(app, headers).ok().flatten();
    now.is_some_and(|now| now.name == who.name && now.cameras == who.cameras)
}

/// One client.
struct Line {
    app: App,
    who: Principal,
    headers: HeaderMap,
    give: mpsc::Sender<Bytes>,
    /// The largest id that it had.
    newest: u64,
    checked: tokio::time::Instant,
    _room: OwnedSemaphorePermit,
}

impl Line {
    /// Until the client or the program has gone, or the session has ended.
    async fn run(&mut self, last: Option<Cursor>) -> Option<()> {
        let feed = self.app.0.feed.clone();
        self.give.send(Bytes::from_static(b"retry: 2000\n\n")).await.ok()?;
        let mut reader = match last {
            None => feed.reader(),
            Some(last) => {
                self.newest = last.id;
                let here = (last.boot == self.app.0.boot).then(|| feed.reader_at(last.place)).flatten();
                match here {
                    Some(reader) => reader,
                    None => self.catch_up(feed.reader_from_oldest()).await?,
                }
            }
        };
        loop {
            let heard = tokio::select! {
                heard = tokio::time::timeout(HEARTBEAT, reader.next()) => heard,
                () = self.give.closed() => return None,
            };
            if self.checked.elapsed() >= TRUST {
                self.still_welcome()?;
            }
            match heard {
                Err(_) => self.give.send(Bytes::from_static(b": still here\n\n")).await.ok()?,
                Ok(None) => return None,
                Ok(Some(Heard::Event(event))) => self.tell(&event, reader.place()).await?,
                // What the ring has left is still told after what the journal has.
                Ok(Some(Heard::Missed(_))) => reader = self.catch_up(reader).await?,
            }
        }
    }

    /// Whether the session or token still holds.
    fn still_welcome(&mut self) -> Option<()> {
        self.checked = tokio::time::Instant::now();
        is_still(&self.app, &self.headers, &self.who).then_some(())
    }

    /// Tells what is in the journal after the newest id, and gives a reader of what comes after that.
    async fn catch_up(&mut self, mut reader: Reader) -> Option<Reader> {
        let query = EventQuery { after: Some(self.newest), limit: Some(MADE_UP), ..EventQuery::default() };
        let cameras = self.who.cameras.clone();
        let page = self.app.ask(move |house| house.events(&query, cameras.as_deref())).await;
        let (found, unknown) = page.map_or_else(|_| (Vec::new(), true), |page| (page.events, false));
        let full = found.len() == usize::from(MADE_UP);
        for event in &found {
            self.tell(event, reader.place()).await?;
        }
        if full || unknown {
            let text = format!("event: missed\ndata: {{\"after\":{}}}\n\n", self.newest);
            self.give.send(text.into()).await.ok()?;
        }
        // What the journal has and the ring too is told once; what was told of an alert later has its id, and is told again.
        let told = self.newest;
        while let Some(heard) = reader.try_next() {
            if let Heard::Event(event) = heard
                && (event.id.is_none_or(|id| id > told) || event.r#type == "update")
            {
                self.tell(&event, reader.place()).await?;
            }
        }
        Some(reader)
    }

    async fn tell(&mut self, event: &Event, place: u64) -> Option<()> {
        self.newest = self.newest.max(event.id.unwrap_or_default());
        if event.camera.as_ref().is_some_and(|camera| !self.who.sees(camera)) {
            return Some(());
        }
        let (id, boot) = (self.newest, self.app.0.boot);
        let json = serde_json::to_string(event).ok()?;
        let text = format!("event: {}\nid: {id}.{place}.{boot}\ndata: {json}\n\n", event.r#type);
        self.give.send(text.into()).await.ok()
    }
}

/// What a camera's model sees, as it changes: see [`Canvas`](crate::Canvas) for the messages. Only where the config allows it.
pub(super) async fn live(
    State(app): State<App>,
    who: Principal,
    Named(camera): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    require_camera(&app, &who, &camera)?;
    let forbidden =
        || Refusal::forbidden("pictures are not shown: the config does not allow it ([gateway] live = true)");
    let canvas = app.0.house.canvas(&camera).ok_or_else(forbidden)?;
    let room = Arc::clone(&app.0.viewers).try_acquire_owned().map_err(|_| Refusal::busy())?;
    let stream = Arc::clone(&app.0.streams).try_acquire_owned().map_err(|_| Refusal::busy())?;
    let (give, response) = flowing("application/octet-stream", 1);
    tokio::spawn(async move {
        let _held = (room, stream);
        let (mut viewer, mut checked) = (canvas.viewer(), tokio::time::Instant::now());
        while let Some(message) = viewer.next(&give).await {
            if checked.elapsed() >= TRUST {
                checked = tokio::time::Instant::now();
                if !is_still(&app, &headers, &who) {
                    break;
                }
            }
            if give.send(message.into()).await.is_err() {
                break;
            }
        }
    });
    Ok(response)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_cursor_or_none(text in "[0-9. -]{0,40}|.*") {
            if let Some(cursor) = Cursor::parse(&text) {
                prop_assert!(text.trim().starts_with(|c: char| c.is_ascii_digit() || c == '+'), "{cursor:?}");
            }
        }
    }

    #[test]
    fn a_cursor_is_an_id_or_what_was_sent() {
        assert_eq!(Cursor::parse("7"), Some(Cursor { id: 7, place: u64::MAX, boot: 0 }));
        assert_eq!(Cursor::parse("7.9.12"), Some(Cursor { id: 7, place: 9, boot: 12 }));
        for wrong in ["", "x", "7.", "7.9.12.1", "-1", "7.x", "99999999999999999999"] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
