//! The program's own API: what was said, how it is, questions, teaching, and who may do what.

use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::auth::{self, ADMIN, Account, Barred, Principal, Role};
use super::connection::Peer;
use super::guard::{COOKIE, Named, Params, Payload, SECURE_COOKIE, session};
use super::refusal::Refusal;
use crate::house::{
    About, Answer, Condition, Digest, DigestQuery, Done, EventPage, EventQuery, Lesson, NewCondition, NewSentence,
    Question, Sentence, Verdict,
};
use crate::{Event, State as Running};

/// An answer in JSON.
pub(super) struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let Ok(bytes) = serde_json::to_vec(&self.0) else { return Refusal::failed().into_response() };
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], Body::from(bytes)).into_response()
    }
}

type Given<T> = Result<Json<T>, Refusal>;

/// Whether the program answers.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Health {
    /// `ok`.
    pub status: &'static str,
}

pub(super) async fn health(State(app): State<App>) -> Given<Health> {
    let state = app.ask(|house| Ok(house.state())).await?;
    if state.cameras.iter().any(|camera| camera.up) {
        return Ok(Json(Health { status: "ok" }));
    }
    Err(Refusal::unavailable("no camera gives pictures"))
}

/// Who is logged in.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Hello {
    /// Whether somebody can log in; else a password is set first.
    pub claimed: bool,
    /// Their name; `null` for nobody.
    pub name: Option<String>,
    /// What they may do.
    pub role: Option<Role>,
    /// The cameras that they may see; `null` for all.
    pub cameras: Option<Vec<String>>,
    /// What each request that changes something sends as X-CSRF-Token.
    pub csrf: Option<String>,
}

fn hello(app: &App, who: Option<Principal>) -> Hello {
    let claimed = *app.0.claimed.borrow();
    let Some(Principal { name, role, cameras, csrf }) = who else {
        return Hello { claimed, name: None, role: None, cameras: None, csrf: None };
    };
    Hello { claimed, name: Some(name), role: Some(role), cameras: cameras.map(|cameras| cameras.to_vec()), csrf }
}

pub(super) async fn who(State(app): State<App>, who: Option<axum::Extension<Principal>>) -> Json<Hello> {
    Json(hello(&app, who.map(|who| who.0)))
}

/// Name and password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The name.
    pub name: String,
    /// The password.
    #[schemars(length(max = 256))]
    pub password: String,
}

/// The first password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    /// The password of `admin`, 8 to 256 bytes of UTF-8.
    #[schemars(length(min = 8, max = 256))]
    pub password: String,
}

pub(super) async fn setup(
    State(app): State<App>,
    peer: Peer,
    Payload(Setup { password }): Payload<Setup>,
) -> Result<Response, Refusal> {
    auth::check_password(&password).map_err(Refusal::wrong)?;
    let taken = || Refusal::forbidden("the first password is set already; log in");
    if *app.0.claimed.borrow() {
        return Err(taken());
    }
    let hash = app.labour(move || auth::hashed(&password)).await?.map_err(|_| Refusal::failed())?;
    {
        let mut accounts = app.accounts();
        // Two may have been at it beside each other.
        if accounts.claimed() {
            return Err(taken());
        }
        let admin = Account { name: ADMIN.into(), role: Role::Admin, cameras: None, expires: None };
        accounts.put_user(&admin, hash.clone()).map_err(Refusal::wrong)?;
    }
    app.0.claimed.send_replace(true);
    entered(&app, peer, ADMIN, &hash)
}

pub(super) async fn login(
    State(app): State<App>,
    peer: Peer,
    Payload(Login { name, password }): Payload<Login>,
) -> Result<Response, Refusal> {
    let barred = |barred| match barred {
        Barred::Wrong => Refusal::stranger("wrong name or password"),
        Barred::Wait(wait) => Refusal::wait(wait.as_secs() + 1),
    };
    let from = peer.address.ip();
    let hash = app.accounts().guess(from, &name, Instant::now()).map_err(barred)?;
    let against = hash.clone();
    let right = password.len() <= 256 && app.labour(move || auth::verified(&password, &against)).await?;
    if !right {
        return Err(barred(Barred::Wrong));
    }
    entered(&app, peer, &name, &hash)
}

/// Gives the session.
fn entered(app: &App, peer: Peer, name: &str, hash: &str) -> Result<Response, Refusal> {
    let entered = app.accounts().enter(peer.address.ip(), name, hash, Instant::now());
    let entered = entered.map_err(|_| Refusal::failed())?;
    let (secret, who) = entered.ok_or_else(|| Refusal::stranger("wrong name or password"))?;
    let age = app.0.settings.session.as_secs();
    let mut response = Json(hello(app, Some(who))).into_response();
    set_cookie(&mut response, peer, &secret, age)?;
    Ok(response)
}

fn set_cookie(response: &mut Response, peer: Peer, secret: &str, age_s: u64) -> Result<(), Refusal> {
    let (name, more) = if peer.encrypted { (SECURE_COOKIE, "; Secure") } else { (COOKIE, "") };
    let cookie = format!("{name}={secret}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{more}");
    let cookie = HeaderValue::from_str(&cookie).map_err(|_| Refusal::failed())?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(())
}

pub(super) async fn logout(State(app): State<App>, peer: Peer, headers: HeaderMap) -> Result<Response, Refusal> {
    if let Some(session) = session(&headers) {
        app.accounts().leave(session);
    }
    let mut response = Json(Done { message: "logged out".into() }).into_response();
    set_cookie(&mut response, peer, "", 0)?;
    Ok(response)
}

pub(super) async fn about(State(app): State<App>, who: Principal) -> Json<About> {
    let mut about = app.0.house.about().clone();
    about.cameras.retain(|camera| who.sees(camera));
    Json(about)
}

pub(super) async fn state(State(app): State<App>, who: Principal) -> Given<Running> {
    let mut state = app.ask(|house| Ok(house.state())).await?;
    state.cameras.retain(|camera| who.sees(&camera.name));
    if who.role < Role::Operator {
        state.cameras.iter_mut().for_each(|camera| camera.from = None);
    }
    state.memory.plan.retain(|item| item.camera.as_ref().is_none_or(|camera| who.sees(camera)));
    Ok(Json(state))
}

/// The cameras.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Cameras {
    /// Each of them.
    pub cameras: Vec<crate::Camera>,
}

pub(super) async fn cameras(app: State<App>, who: Principal) -> Given<Cameras> {
    let Json(state) = state(app, who).await?;
    Ok(Json(Cameras { cameras: state.cameras }))
}

pub(super) async fn events(
    State(app): State<App>,
    who: Principal,
    Params(mut query): Params<EventQuery>,
) -> Given<EventPage> {
    if !(1..=1000).contains(&query.limit.unwrap_or(50)) {
        return Err(Refusal::wrong("`limit` is 1 to 1000"));
    }
    if let Some(camera) = &query.camera {
        require_camera(&app, &who, camera)?;
    }
    if let Some(like) = query.like {
        seen_event(&app, &who, like).await?;
    }
    query.q = query.q.filter(|words| !words.trim().is_empty());
    app.ask(move |house| house.events(&query, who.cameras.as_deref())).await.map(Json)
}

pub(super) async fn event(State(app): State<App>, who: Principal, Named(id): Named<u64>) -> Given<Event> {
    seen_event(&app, &who, id).await.map(Json)
}

/// The event with this id, if they may see its camera. One that they may not is told as one that is not there.
async fn seen_event(app: &App, who: &Principal, id: u64) -> Result<Event, Refusal> {
    let absent = || Refusal::absent(format!("there is no event {id}"));
    let event = app.ask(move |house| house.event(id)).await.map_err(|refusal| match refusal.status {
        StatusCode::NOT_FOUND => absent(),
        _ => refusal,
    })?;
    let seen = event.camera.as_ref().is_none_or(|camera| who.sees(camera));
    if seen { Ok(event) } else { Err(absent()) }
}

/// Refuses a camera that is not there, or that they may not see, in the same words.
pub(super) fn require_camera(app: &App, who: &Principal, camera: &str) -> Result<(), Refusal> {
    let known = app.0.house.about().cameras.iter().any(|known| known == camera);
    if known && who.sees(camera) {
        return Ok(());
    }
    let camera: String = camera.chars().take(64).collect();
    Err(Refusal::absent(format!("there is no camera `{camera}`")))
}

/// The camera that is asked about, as far as they may see it.
pub(super) fn one_camera(app: &App, who: &Principal, asked: Option<String>) -> Result<Option<String>, Refusal> {
    if let Some(camera) = asked {
        require_camera(app, who, &camera)?;
        return Ok(Some(camera));
    }
    match who.cameras.as_deref() {
        None => Ok(None),
        Some([one]) => Ok(Some(one.clone())),
        Some(_) => Err(Refusal::wrong("say which of your cameras is meant: `camera`")),
    }
}

pub(super) async fn acknowledge(State(app): State<App>, who: Principal, Named(id): Named<u64>) -> Given<Event> {
    seen_event(&app, &who, id).await?;
    app.ask(move |house| house.acknowledge(id)).await?;
    seen_event(&app, &who, id).await.map(Json)
}

pub(super) async fn judge(
    State(app): State<App>,
    who: Principal,
    Named(id): Named<u64>,
    Payload(verdict): Payload<Verdict>,
) -> Given<Done> {
    seen_event(&app, &who, id).await?;
    if verdict.right && verdict.was.is_some() {
        return Err(Refusal::wrong("what was right needs no `was`"));
    }
    app.errand(move |house| house.judge(id, &verdict)).await.map(Json)
}

pub(super) async fn teach(State(app): State<App>, who: Principal, Payload(mut lesson): Payload<Lesson>) -> Given<Done> {
    if lesson.last_s.is_some() == lesson.from.is_some() {
        return Err(Refusal::wrong("say when it happened: `last_s`, or `from`"));
    }
    lesson.check().map_err(|why| Refusal::wrong(&why))?;
    lesson.camera = one_camera(&app, &who, lesson.camera)?;
    app.errand(move |house| house.teach(&lesson)).await.map(Json)
}

pub(super) async fn ask(
    State(app): State<App>,
    who: Principal,
    Payload(mut question): Payload<Question>,
) -> Given<Answer> {
    question.camera = one_camera(&app, &who, question.camera)?;
    let length = question.question.len();
    if question.question.trim().is_empty() || length > 1024 {
        return Err(Refusal::wrong(format!("the question has {length} bytes; ask it in 1 to 1024")));
    }
    app.errand(move |house| house.ask(&question)).await.map(Json)
}

pub(super) async fn digest(
    State(app): State<App>,
    who: Principal,
    Params(mut wish): Params<DigestQuery>,
) -> Given<Digest> {
    wish.camera = one_camera(&app, &who, wish.camera)?;
    app.errand(move |house| house.digest(&wish)).await.map(Json)
}

/// What can be said.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Vocabulary {
    /// The sentences.
    pub sentences: Vec<Sentence>,
}

pub(super) async fn vocabulary(State(app): State<App>, _: Principal) -> Given<Vocabulary> {
    Ok(Json(Vocabulary { sentences: app.errand(crate::House::vocabulary).await? }))
}

pub(super) async fn add(State(app): State<App>, Payload(sentence): Payload<NewSentence>) -> Given<Done> {
    app.errand(move |house| house.add(&sentence)).await.map(Json)
}

/// Which sentence.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichSentence {
    /// The sentence, as it was added.
    pub text: String,
}

pub(super) async fn remove(State(app): State<App>, Params(which): Params<WhichSentence>) -> Given<Done> {
    app.errand(move |house| house.remove(&which.text)).await.map(Json)
}

/// Standing conditions.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Conditions {
    /// Each of them.
    pub conditions: Vec<Condition>,
}

pub(super) async fn conditions(State(app): State<App>, who: Principal) -> Given<Conditions> {
    let mut conditions = app.ask(|house| Ok(house.conditions())).await?;
    conditions.retain(|condition| condition.camera.as_ref().is_none_or(|camera| who.sees(camera)));
    Ok(Json(Conditions { conditions }))
}

pub(super) async fn add_condition(
    State(app): State<App>,
    who: Principal,
    Payload(condition): Payload<NewCondition>,
) -> Given<Done> {
    if let Some(camera) = &condition.camera {
        require_camera(&app, &who, camera)?;
    }
    app.ask(move |house| house.add_condition(&condition)).await.map(Json)
}

/// Which condition.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichCondition {
    /// What it tells.
    pub text: String,
}

pub(super) async fn remove_condition(State(app): State<App>, Params(which): Params<WhichCondition>) -> Given<Done> {
    app.ask(move |house| house.remove_condition(&which.text)).await.map(Json)
}

/// Users or tokens.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Accounts {
    /// Each of them, without their secrets.
    pub accounts: Vec<Account>,
}

pub(super) async fn users(State(app): State<App>) -> Json<Accounts> {
    Json(Accounts { accounts: app.accounts().users() })
}

pub(super) async fn tokens(State(app): State<App>) -> Json<Accounts> {
    Json(Accounts { accounts: app.accounts().tokens() })
}

/// A user.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// The name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// The password, 8 to 256 bytes of UTF-8.
    #[schemars(length(min = 8, max = 256))]
    pub password: String,
    /// What they may do.
    pub role: Role,
    /// The cameras that they may see. Default: all.
    #[serde(default)]
    pub cameras: Option<Vec<String>>,
}

pub(super) async fn put_user(State(app): State<App>, Payload(user): Payload<NewUser>) -> Given<Account> {
    let NewUser { name, password, role, cameras } = user;
    auth::check_password(&password).map_err(Refusal::wrong)?;
    check_cameras(&app, cameras.as_deref())?;
    let hash = app.labour(move || auth::hashed(&password)).await?.map_err(|_| Refusal::failed())?;
    let account = Account { name, role, cameras, expires: None };
    app.accounts().put_user(&account, hash).map_err(Refusal::wrong)?;
    Ok(Json(account))
}

/// A token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// Its name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The cameras that it may see. Default: all.
    #[serde(default)]
    pub cameras: Option<Vec<String>>,
    /// How long it holds, 1 to 3650 days. Default 365.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3650))]
    pub days: Option<u32>,
}

/// A token that was made.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Made {
    /// What is sent as `Authorization: Bearer ...`. It is told once.
    pub token: String,
}

pub(super) async fn put_token(State(app): State<App>, Payload(token): Payload<NewToken>) -> Given<Made> {
    let NewToken { name, role, cameras, days } = token;
    let days = days.unwrap_or(365);
    if !(1..=3650).contains(&days) {
        return Err(Refusal::wrong("`days` is 1 to 3650"));
    }
    check_cameras(&app, cameras.as_deref())?;
    let account = Account { name, role, cameras, expires: None };
    let token = app.accounts().put_token(&account, days).map_err(Refusal::wrong)?;
    app.0.claimed.send_replace(true);
    Ok(Json(Made { token }))
}

fn check_cameras(app: &App, cameras: Option<&[String]>) -> Result<(), Refusal> {
    let known = &app.0.house.about().cameras;
    match cameras.into_iter().flatten().find(|camera| !known.contains(camera)) {
        Some(camera) => Err(Refusal::wrong(format!("there is no camera `{}`", camera.escape_debug()))),
        None => Ok(()),
    }
}

pub(super) async fn remove_user(State(app): State<App>, Named(name): Named<String>) -> Given<Done> {
    removed(app.accounts().remove_user(&name))
}

pub(super) async fn remove_token(State(app): State<App>, Named(name): Named<String>) -> Given<Done> {
    removed(app.accounts().remove_token(&name))
}

fn removed(removed: Result<bool, String>) -> Given<Done> {
    if removed.map_err(Refusal::wrong)? {
        return Ok(Json(Done { message: "removed".into() }));
    }
    Err(Refusal::absent("there is none of this name"))
}
