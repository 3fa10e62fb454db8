//! What holds for every request: who it is, whether they may, how long it takes, what the browser is told.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

use super::App;
use super::auth::{Principal, Role};
use super::connection::Peer;
use super::refusal::Refusal;
use crate::settings::BODY_BYTES;

/// The cookie of a session. The prefix makes browsers refuse it from another host, where it is sent encrypted.
pub(super) const COOKIE: &str = "ocelli-session";
pub(super) const SECURE_COOKIE: &str = "__Host-ocelli-session";

/// What an unsafe request of a session brings along.
pub(super) const CSRF_HEADER: &str = "x-csrf-token";

/// How long an answer may take: an answer of the text encoder, and that of a chat.
const LONGEST: Duration = Duration::from_mins(2);

/// What a route asks of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing: health, the page, logging in.
    Open,
    /// Whoever has this role.
    Of(Role),
    /// This role, and no limit to some cameras.
    OfAll(Role),
}

/// Lets in who may come in.
pub(super) async fn admit(State((app, access)): State<(App, Access)>, mut request: Request, next: Next) -> Response {
    let who = match authorize(&app, access, request.method(), request.headers(), peer(request.extensions())) {
        Ok(who) => who,
        Err((who, refusal)) => {
            if refusal.status == StatusCode::FORBIDDEN {
                note(&app, &who, &request, refusal.status);
            }
            return refusal.into_response();
        }
    };
    let changes = !request.method().is_safe();
    let name = who.as_ref().map_or_else(|| "-".to_owned(), |who| who.name.clone());
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    let (method, path, from) = (request.method().clone(), request.uri().path().to_owned(), peer(request.extensions()));
    let answered = tokio::time::timeout(LONGEST, next.run(request)).await;
    let response = answered.unwrap_or_else(|_| Refusal::late().into_response());
    // A question changes nothing.
    if changes && !QUESTIONS.contains(&path.as_str()) {
        let from = from.map_or_else(String::new, |peer| peer.address.ip().to_string());
        app.0.audit.note(&name, &from, &format!("{method} {path}"), response.status().as_u16());
    }
    response
}

/// Routes whose body asks and does not change.
const QUESTIONS: [&str; 2] = ["/api/ask", "/v1/chat/completions"];

fn note(app: &App, who: &str, request: &Request, status: StatusCode) {
    let from = peer(request.extensions()).map_or_else(String::new, |peer| peer.address.ip().to_string());
    app.0.audit.note(who, &from, &format!("{} {}", request.method(), request.uri().path()), status.as_u16());
}

fn peer(extensions: &axum::http::Extensions) -> Option<Peer> {
    extensions.get::<Peer>().copied()
}

/// Who asks, where they may; else who was refused, and why.
fn authorize(
    app: &App,
    access: Access,
    method: &Method,
    headers: &HeaderMap,
    peer: Option<Peer>,
) -> Result<Option<Principal>, (String, Refusal)> {
    let nobody = |refusal| ("-".to_owned(), refusal);
    let claimed = *app.0.claimed.borrow();
    if !claimed && !named_here(headers, peer) {
        let why = "nobody can log in yet: set a password from this machine, under its own name (127.0.0.1)";
        return Err(nobody(Refusal::forbidden(why)));
    }
    if !method.is_safe() && !of_this_site(headers) {
        return Err(nobody(Refusal::forbidden("this request comes from another site")));
    }
    let who = known(app, headers).map_err(nobody)?;
    let (role, all) = match access {
        Access::Open => return Ok(who),
        Access::Of(role) => (role, false),
        Access::OfAll(role) => (role, true),
    };
    let Some(who) = who else {
        let how = if claimed { "log in, or send a token (Authorization: Bearer ...)" } else { "set a password first" };
        return Err(nobody(Refusal::stranger(how)));
    };
    let name = who.name.clone();
    if let (false, Some(csrf)) = (method.is_safe(), &who.csrf) {
        let sent = headers.get(CSRF_HEADER).map_or(&[][..], HeaderValue::as_bytes);
        if !bool::from(sent.ct_eq(csrf.as_bytes())) {
            return Err((name, Refusal::forbidden(format!("the header {CSRF_HEADER} of this session is missing"))));
        }
    }
    if who.role < role {
        let why = format!("this is for the role {}", serde_json::to_string(&role).unwrap_or_default());
        return Err((name, Refusal::forbidden(why)));
    }
    if all && who.cameras.is_some() {
        return Err((name, Refusal::forbidden("this is for those who may see all cameras")));
    }
    Ok(Some(who))
}

/// Whether the request names this machine as one who is at it would: a page of another site whose name leads here does not.
fn named_here(headers: &HeaderMap, peer: Option<Peer>) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let here = ["localhost", "127.0.0.1", "[::1]"].contains(&name);
    here && peer.is_none_or(|peer| peer.address.ip().is_loopback())
}

/// Browsers say where a request comes from; what says nothing is none.
fn of_this_site(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let fetched = text(&HeaderName::from_static("sec-fetch-site"));
    if fetched.is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    let Some(origin) = text(&header::ORIGIN) else { return true };
    let of = origin.split_once("://").map_or(origin, |(_, host)| host);
    text(&header::HOST) == Some(of)
}

/// Who has this token or session. A token that is wrong is refused, whatever the route; a session that has ended is none.
pub(super) fn known(app: &App, headers: &HeaderMap) -> Result<Option<Principal>, Refusal> {
    if let Some(sent) = headers.get(header::AUTHORIZATION) {
        let token = sent.to_str().ok().and_then(token_in);
        let who = token.and_then(|token| app.accounts().of_token(&token));
        return who.map(Some).ok_or_else(|| Refusal::stranger("this token is wrong, or has ended"));
    }
    Ok(session(headers).and_then(|session| app.accounts().of_session(session, Instant::now())))
}

/// The token of an `Authorization`: as a bearer's, or as the password of anybody, for clients that know no other way than a user and a
/// password in the address (Frigate's `llamacpp`). Browsers are never asked for one.
fn token_in(sent: &str) -> Option<String> {
    let (scheme, token) = sent.split_once(' ').map(|(scheme, token)| (scheme, token.trim()))?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(token.into()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
            pair.split_once(':').map(|(_, token)| token.into())
        }
        _ => None,
    }
}

/// The session that a browser sends.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE || *name == SECURE_COOKIE).map(|(_, value)| value)
}

/// What the browser is told with each answer: nothing from elsewhere, in no frame, not kept.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; \
                      manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A JSON body.
pub(super) struct Payload<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Payload<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        // A form of another site cannot send it.
        if kind.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
            let why = "send JSON, with Content-Type: application/json";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", why));
        }
        let bytes = read(request.into_body(), BODY_BYTES, app.0.settings.patience).await?;
        parse(&bytes).map(Self)
    }
}

/// All of a body, within a length and a time.
pub(super) async fn read(body: Body, most: usize, patience: Duration) -> Result<axum::body::Bytes, Refusal> {
    let read = tokio::time::timeout(patience, axum::body::to_bytes(body, most)).await.map_err(|_| Refusal::late())?;
    read.map_err(|error| {
        // A client that has gone hears nothing of it.
        let long = std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("length limit"));
        if long { Refusal::long(most) } else { Refusal::wrong("the body did not come in whole") }
    })
}

/// What a body says.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| Refusal::wrong(format!("the body cannot be understood: {error}")))
}

/// What stands behind the question mark.
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refusal> {
        let said = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default());
        said.map(Self)
            .map_err(|error| Refusal::wrong(format!("what stands behind the ? cannot be understood: {error}")))
    }
}

/// The part of the path that names what is meant.
pub(super) struct Named<T>(pub T);

impl<T: std::str::FromStr + Send> FromRequestParts<App> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let named = axum::extract::Path::<String>::from_request_parts(parts, app).await;
        let named = named.ok().and_then(|named| named.0.parse().ok());
        named.map(Self).ok_or_else(|| absent_path(&parts.uri))
    }
}

/// Who asks, where the route is not open.
impl FromRequestParts<App> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Refusal::stranger("log in, or send a token"))
    }
}

impl FromRequestParts<App> for Peer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refusal> {
        peer(&parts.extensions).ok_or_else(Refusal::failed)
    }
}

fn absent_path(uri: &Uri) -> Refusal {
    let path: String = uri.path().chars().take(200).collect();
    Refusal::absent(format!("there is no {path}; /openapi.json says what there is"))
}

/// Nothing is there.
pub(super) async fn nothing(uri: Uri) -> Refusal {
    absent_path(&uri)
}

/// Something is there, for another method.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let why = format!("{} takes no {method}; /openapi.json says what there is", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", why)
}
