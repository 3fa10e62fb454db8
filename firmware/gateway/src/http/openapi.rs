//! The `OpenAPI` document, made of the table of routes and the types that they take and give.

use std::collections::BTreeMap;

use axum::extract::State;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::App;
use super::api::Json;
use super::guard::Access;
use super::refusal::ErrorBody;
use super::routes::{Gives, Route, routes};

pub(super) async fn serve(State(app): State<App>) -> Json<Value> {
    Json(document(&app.0.house.about().version))
}

/// The document.
pub(super) fn document(version: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let error = schemas.subschema_for::<ErrorBody>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes() {
        let method = route.method.as_str().to_ascii_lowercase();
        let operation = operation(&route, &mut schemas, &json!(error));
        paths.entry(route.path).or_default().insert(method, operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ocelli",
            "description": "A camera that understands, offline. A request is that of a session (a cookie of /api/login; what \
                            changes something sends X-CSRF-Token) or of a token (Authorization: Bearer, or as the password of HTTP Basic).",
            "version": version,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "address": {"type": "http", "scheme": "basic", "description": "A token as the password of any user."},
                "session": {"type": "apiKey", "in": "cookie", "name": "ocelli-session"},
            },
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator, error: &Value) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for part in route.path.split('/') {
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            let schema = if name == "id" {
                json!({"type": "integer", "format": "uint64", "minimum": 0})
            } else {
                json!({"type": "string", "minLength": 1})
            };
            parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
        }
    }
    if let Some(query) = route.query {
        let query = json!(query(schemas));
        let required = query["required"].as_array().cloned().unwrap_or_default();
        for (name, schema) in query["properties"].as_object().into_iter().flatten() {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let required = required.iter().any(|known| known == name);
            parameters.push(json!({
                "name": name, "in": "query", "required": required, "schema": schema,
                "description": description.unwrap_or(Value::Null).as_str().unwrap_or_default(),
            }));
        }
    }
    let refused = |what: &str| json!({"description": what, "content": {"application/json": {"schema": error}}});
    let mut responses = Map::new();
    let given = match route.gives {
        Gives::Nothing => json!({"description": "done"}),
        Gives::Json(schema) => {
            let schema = schema(schemas);
            json!({"description": "done", "content": {"application/json": {"schema": schema}}})
        }
        Gives::Other(kind) => json!({"description": "done", "content": {kind: {}}}),
    };
    responses.insert("200".into(), given);
    let mut codes = vec![("408", "it took too long"), ("500", "it failed"), ("503", "it cannot be done now")];
    if route.takes.is_some() || route.query.is_some() || route.path.contains('{') {
        codes.push(("400", "it cannot be understood"));
    }
    if route.path.contains('{') || route.query.is_some() || route.takes.is_some() {
        codes.push(("404", "there is none"));
    }
    if route.takes.is_some() {
        codes.push(("413", "it is too long"));
        codes.push(("415", "it is no JSON"));
    }
    // A wrong token is refused everywhere, and before the first password all that comes from elsewhere.
    codes.push(("401", "log in first"));
    codes.push(("403", "not allowed"));
    if route.path == "/api/login" {
        codes.push(("429", "too many wrong passwords"));
    }
    if matches!(route.gives, Gives::Other("video/mp4" | "image/jpeg")) {
        codes.push(("416", "it is not that long"));
        let part = json!({"description": "the range that was asked for"});
        responses.insert("206".into(), part);
    }
    if route.path.starts_with("/api/events/stream") {
        codes.push(("400", "no such Last-Event-ID"));
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false, "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
            "description": "The last id that was received: what came after it is sent first.",
        }));
    }
    for (code, what) in codes {
        responses.insert(code.into(), refused(what));
    }
    let security =
        if route.access == Access::Open { json!([]) } else { json!([{"token": []}, {"address": []}, {"session": []}]) };
    let who = match route.access {
        Access::Open => "For everybody.".to_owned(),
        Access::Of(role) => format!("For the role {}.", json!(role)),
        Access::OfAll(role) => format!("For the role {} of all cameras.", json!(role)),
    };
    let mut operation = json!({
        "summary": route.says,
        "description": who,
        "operationId": route.id(),
        "parameters": parameters,
        "responses": responses,
        "security": security,
    });
    if let Some(takes) = route.takes {
        let schema = takes(schemas);
        operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    operation
}
