//! The web page, in the program's file: no build, nothing from elsewhere.

use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;

/// Path, type and content of each file.
pub(super) const FILES: [(&str, &str, &[u8]); 5] = [
    ("/", "text/html; charset=utf-8", include_bytes!("../../page/index.html")),
    ("/ocelli.css", "text/css; charset=utf-8", include_bytes!("../../page/ocelli.css")),
    ("/ocelli.js", "text/javascript; charset=utf-8", include_bytes!("../../page/ocelli.js")),
    ("/icon.svg", "image/svg+xml", include_bytes!("../../page/icon.svg")),
    ("/manifest.json", "application/manifest+json", include_bytes!("../../page/manifest.json")),
];

pub(super) async fn file(headers: HeaderMap, request: Request) -> Result<Response, Refusal> {
    let path = request.uri().path();
    let file = FILES.iter().find(|(at, ..)| *at == path);
    let (_, kind, content) = file.ok_or_else(|| Refusal::absent("there is no such file"))?;
    // What a browser has of this version it need not fetch again.
    let tag = Sha256::digest(content).iter().take(8).fold(String::from("\""), |tag, byte| tag + &format!("{byte:02x}"));
    let tag = HeaderValue::from_str(&(tag + "\"")).map_err(|_| Refusal::failed())?;
    let fresh = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    let mut response = if fresh { StatusCode::NOT_MODIFIED.into_response() } else { content.to_vec().into_response() };
    let sent = response.headers_mut();
    sent.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    sent.insert(header::ETAG, tag);
    sent.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
