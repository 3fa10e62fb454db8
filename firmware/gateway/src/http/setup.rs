//! Setting up cameras and zones.

use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::api::{Json, require_camera};
use super::auth::Principal;
use super::guard::{Named, Params, Payload};
use super::refusal::Refusal;
use crate::house::Done;
use crate::setup::{NewSource, SetUp, Sources, Tried, Zone};

type Given<T> = Result<Json<T>, Refusal>;

/// Parts of what cameras see.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Zones {
    /// Each of them.
    pub zones: Vec<Zone>,
}

pub(super) async fn zones(State(app): State<App>, who: Principal) -> Given<Zones> {
    let mut zones = app.ask(|house| Ok(house.set_up().map_or_else(|_| Vec::new(), SetUp::zones))).await?;
    zones.retain(|zone| who.sees(&zone.camera));
    Ok(Json(Zones { zones }))
}

pub(super) async fn put_zone(State(app): State<App>, who: Principal, Payload(zone): Payload<Zone>) -> Given<Done> {
    require_camera(&app, &who, &zone.camera)?;
    app.ask(move |house| house.set_up()?.put_zone(&zone)).await.map(Json)
}

/// Which zone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichZone {
    /// The camera.
    pub camera: String,
    /// Its name.
    pub name: String,
}

pub(super) async fn remove_zone(State(app): State<App>, Params(which): Params<WhichZone>) -> Given<Done> {
    app.ask(move |house| house.set_up()?.remove_zone(&which.camera, &which.name)).await.map(Json)
}

pub(super) async fn sources(State(app): State<App>) -> Given<Sources> {
    app.ask(|house| Ok(house.set_up()?.sources())).await.map(Json)
}

pub(super) async fn try_source(State(app): State<App>, Payload(wish): Payload<NewSource>) -> Given<Tried> {
    let shot = app.errand(move |house| house.set_up()?.try_source(&wish)).await?;
    let picture = shot.jpeg.map(|jpeg| format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg)));
    Ok(Json(Tried { size: shot.size, fps: shot.fps, picture }))
}

pub(super) async fn put_source(State(app): State<App>, Payload(wish): Payload<NewSource>) -> Given<Done> {
    app.errand(move |house| house.set_up()?.put_source(&wish)).await.map(Json)
}

pub(super) async fn remove_source(State(app): State<App>, Named(camera): Named<String>) -> Given<Done> {
    app.ask(move |house| house.set_up()?.remove_source(&camera)).await.map(Json)
}
