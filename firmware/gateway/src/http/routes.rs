//! The table of all routes: what each is called, what it asks of whom, takes and gives, and who answers it.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};

use super::App;
use super::auth::{Account, Role};
use super::guard::{Access, admit, harden, no_such_method, nothing};
use super::{api, chat, events, metrics, openapi, page, recordings, setup};
use crate::Event;
use crate::house::{
    About, Answer, Digest, DigestQuery, Done, EventPage, EventQuery, Lesson, NewCondition, NewSentence, Question,
    Recording, RecordingPage, RecordingQuery, State, Verdict,
};
use crate::setup::{NewSource, Sources, Tried, Zone};

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route gives.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    Nothing,
    Json(SchemaOf),
    Other(&'static str),
}

/// One route.
pub(super) struct Route {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub says: &'static str,
    pub query: Option<SchemaOf>,
    pub takes: Option<SchemaOf>,
    pub gives: Gives,
    answers: MethodRouter<App>,
}

impl Route {
    fn new<H: Handler<T, App>, T: 'static>(
        filter: MethodFilter,
        method: Method,
        path: &'static str,
        access: Access,
        says: &'static str,
        handler: H,
    ) -> Self {
        let answers = on(filter, handler);
        Self { method, path, access, says, query: None, takes: None, gives: Gives::Nothing, answers }
    }

    fn get<H: Handler<T, App>, T: 'static>(path: &'static str, access: Access, says: &'static str, handler: H) -> Self {
        Self::new(MethodFilter::GET, Method::GET, path, access, says, handler)
    }

    fn post<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        access: Access,
        says: &'static str,
        handler: H,
    ) -> Self {
        Self::new(MethodFilter::POST, Method::POST, path, access, says, handler)
    }

    fn delete<H: Handler<T, App>, T: 'static>(
        path: &'static str,
        access: Access,
        says: &'static str,
        handler: H,
    ) -> Self {
        Self::new(MethodFilter::DELETE, Method::DELETE, path, access, says, handler)
    }

    fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(T::json_schema), ..self }
    }

    fn takes<T: JsonSchema>(self) -> Self {
        Self { takes: Some(SchemaGenerator::subschema_for::<T>), ..self }
    }

    fn gives<T: JsonSchema>(self) -> Self {
        Self { gives: Gives::Json(SchemaGenerator::subschema_for::<T>), ..self }
    }

    fn streams(self, kind: &'static str) -> Self {
        Self { gives: Gives::Other(kind), ..self }
    }

    /// A name for generated clients.
    pub fn id(&self) -> String {
        let path: String = self.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
        let words: Vec<&str> = path.split_whitespace().filter(|word| *word != "api").collect();
        format!("{}_{}", self.method.as_str().to_ascii_lowercase(), words.join("_"))
    }
}

/// All of them.
pub(super) fn routes() -> Vec<Route> {
    let (open, see, tend, rule) =
        (Access::Open, Access::Of(Role::Viewer), Access::Of(Role::Operator), Access::OfAll(Role::Admin));
    let see_all = Access::OfAll(Role::Viewer);
    let mut routes = vec![
        Route::get("/health", open, "Whether a camera gives pictures.", api::health).gives::<api::Health>(),
        Route::get("/metrics", see_all, "What is counted, for Prometheus.", metrics::metrics).streams("text/plain"),
        Route::get("/openapi.json", open, "This document.", openapi::serve).gives::<serde_json::Value>(),
        Route::get("/api/session", open, "Who is logged in.", api::who).gives::<api::Hello>(),
        Route::post("/api/setup", open, "Sets the first password, from this machine, and logs in.", api::setup)
            .takes::<api::Setup>()
            .gives::<api::Hello>(),
        Route::post("/api/login", open, "Logs in.", api::login).takes::<api::Login>().gives::<api::Hello>(),
        Route::post("/api/logout", see, "Logs out.", api::logout).gives::<Done>(),
        Route::get("/api/version", see, "What this program is.", api::about).gives::<About>(),
        Route::get("/api/stats", see, "How it is: memory, cameras, times of stages.", api::state).gives::<State>(),
        Route::get("/api/cameras", see, "The cameras, and how each is.", api::cameras).gives::<api::Cameras>(),
        Route::get("/api/cameras/{camera}/live", see, "What its model sees, where the config allows it.", events::live)
            .streams("application/octet-stream"),
        Route::get("/api/events", see, "What was said, with search.", api::events)
            .query::<EventQuery>()
            .gives::<EventPage>(),
        Route::get("/api/events/stream", see, "What is said, as it is said (server-sent events).", events::stream)
            .streams("text/event-stream"),
        Route::get("/api/events/{id}", see, "One event.", api::event).gives::<Event>(),
        Route::post("/api/events/{id}/ack", tend, "Somebody knows of an alert.", api::acknowledge).gives::<Event>(),
        Route::post(
            "/api/events/{id}/verdict",
            tend,
            "An event was right or wrong; the camera learns from it.",
            api::judge,
        )
        .takes::<Verdict>()
        .gives::<Done>(),
        Route::get("/api/recordings", see, "What was recorded around events.", recordings::list)
            .query::<RecordingQuery>()
            .gives::<RecordingPage>(),
        Route::get("/api/recordings/{id}", see, "One recording.", recordings::one).gives::<Recording>(),
        Route::get("/api/recordings/{id}/clip.mp4", see, "Its clip; takes a Range.", recordings::clip)
            .streams("video/mp4"),
        Route::get("/api/recordings/{id}/snapshot.jpg", see, "Its snapshot.", recordings::snapshot)
            .streams("image/jpeg"),
        Route::delete("/api/recordings/{id}", Access::Of(Role::Admin), "Deletes it.", recordings::remove)
            .gives::<Done>(),
        Route::post("/api/ask", see, "Answers a question about the past.", api::ask)
            .takes::<Question>()
            .gives::<Answer>(),
        Route::get("/api/digest", see, "Tells a day.", api::digest).query::<DigestQuery>().gives::<Digest>(),
        Route::post("/api/teach", tend, "Teaches what happened a while ago.", api::teach)
            .takes::<Lesson>()
            .gives::<Done>(),
        Route::get("/api/vocabulary", see, "What can be said.", api::vocabulary).gives::<api::Vocabulary>(),
        Route::post("/api/vocabulary", rule, "Lets a sentence be said.", api::add)
            .takes::<NewSentence>()
            .gives::<Done>(),
        Route::delete("/api/vocabulary", rule, "Takes a sentence back.", api::remove)
            .query::<api::WhichSentence>()
            .gives::<Done>(),
        Route::get("/api/conditions", see, "The standing conditions.", api::conditions).gives::<api::Conditions>(),
        Route::post("/api/conditions", rule, "Watches for a condition, or changes one.", api::add_condition)
            .takes::<NewCondition>()
            .gives::<Done>(),
        Route::delete("/api/conditions", rule, "Takes a condition back that was added.", api::remove_condition)
            .query::<api::WhichCondition>()
            .gives::<Done>(),
        Route::get("/api/zones", see, "Parts of what cameras see, with names for conditions.", setup::zones)
            .gives::<setup::Zones>(),
        Route::post("/api/zones", rule, "Keeps a zone, or changes one.", setup::put_zone)
            .takes::<Zone>()
            .gives::<Done>(),
        Route::delete("/api/zones", rule, "Forgets a zone.", setup::remove_zone)
            .query::<setup::WhichZone>()
            .gives::<Done>(),
        Route::get(
            "/api/sources",
            rule,
            "Where the cameras' pictures come from, and what could be added.",
            setup::sources,
        )
        .gives::<Sources>(),
        Route::post("/api/probe", rule, "Takes a picture of a camera before it is added.", setup::try_source)
            .takes::<NewSource>()
            .gives::<Tried>(),
        Route::post("/api/sources", rule, "Adds a camera from the next start on, or changes one.", setup::put_source)
            .takes::<NewSource>()
            .gives::<Done>(),
        Route::delete("/api/sources/{camera}", rule, "Takes a camera that was added away.", setup::remove_source)
            .gives::<Done>(),
        Route::get("/api/users", rule, "Who can log in.", api::users).gives::<api::Accounts>(),
        Route::post("/api/users", rule, "Adds a user, or changes one.", api::put_user)
            .takes::<api::NewUser>()
            .gives::<Account>(),
        Route::delete("/api/users/{name}", rule, "Takes a user away.", api::remove_user).gives::<Done>(),
        Route::get("/api/tokens", rule, "Which tokens there are.", api::tokens).gives::<api::Accounts>(),
        Route::post("/api/tokens", rule, "Makes a token; it is told once.", api::put_token)
            .takes::<api::NewToken>()
            .gives::<api::Made>(),
        Route::delete("/api/tokens/{name}", rule, "Takes a token away.", api::remove_token).gives::<Done>(),
        Route::get("/v1/models", see, "The models, as OpenAI's API lists them.", chat::models)
            .gives::<serde_json::Value>(),
        Route::get("/props", see, "What the model can, as llama.cpp's server says it.", chat::props)
            .gives::<serde_json::Value>(),
        Route::post(
            "/v1/chat/completions",
            see,
            "A chat about what the cameras saw, as OpenAI's API has it.",
            chat::complete,
        )
        .takes::<chat::Request>()
        .gives::<serde_json::Value>(),
    ];
    routes.extend(
        page::FILES.map(|(path, kind, _)| Route::get(path, open, "A file of the web page.", page::file).streams(kind)),
    );
    routes
}

/// The router of all.
pub(super) fn router(app: &App) -> Router {
    let mut router = Router::new();
    for Route { path, access, answers, .. } in routes() {
        router = router.route(path, answers.layer(from_fn_with_state((app.clone(), access), admit)));
    }
    router.fallback(nothing).method_not_allowed_fallback(no_such_method).layer(from_fn(harden)).with_state(app.clone())
}
