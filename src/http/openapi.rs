//! The API's contract, as OpenAPI 3.1: what is special about a route stands at its handler, what holds for all here.

use std::sync::{Arc, OnceLock};

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::{Extension, http::StatusCode, response::IntoResponse, routing::get};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Routes, middleware::SECURITY};
use crate::state::App;

/// The document of all routes, and the page that shows it.
pub(super) fn routes(domains: Routes) -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .layer(Extension(Document { domains, text: Arc::default() }))
        .routes(routes!(docs))
        .route("/assets/docs.js", get(async || page("text/javascript", include_str!("docs.js"))))
        .route("/assets/docs.css", get(async || page("text/css", include_str!("docs.css"))))
}

/// The contract of this API.
#[utoipa::path(get, path = "/openapi.json", tag = "process", responses((status = 200, body = Object)))]
async fn show(Extension(Document { domains, text }): Extension<Document>) -> impl IntoResponse {
    let text = text.get_or_init(|| document(domains).to_string()).clone();
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], text)
}

/// Made when it is first asked for: most processes never are.
#[derive(Clone)]
struct Document {
    domains: Routes,
    text: Arc<OnceLock<String>>,
}

/// The contract, to read.
#[utoipa::path(get, path = "/docs", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn docs() -> impl IntoResponse {
    page("text/html", include_str!("docs.html"))
}

/// A page or what it loads: a text that changes with the release alone.
pub(crate) fn page(kind: &'static str, body: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, format!("{kind}; charset=utf-8")), (CACHE_CONTROL, "no-cache".into())], body)
}

/// The whole document, with the routes of the domains.
pub fn document(domains: Routes) -> Value {
    let routes = domains().merge(super::health::routes()).merge(routes(domains));
    let mut document = json!(routes.into_openapi());
    let common: Value = serde_json::from_str(include_str!("openapi.json")).unwrap_or_default();
    document["info"] = common["info"].clone();
    document["info"]["title"] = env!("CARGO_PKG_NAME").into();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let components = &mut document["components"];
    components["securitySchemes"] = common["securitySchemes"].clone();
    components["schemas"]["Problem"] = common["Problem"].clone();
    for (status, kinds) in common["problems"].as_object().into_iter().flatten() {
        components["responses"][status] = problem(status, kinds);
    }
    for name in headers() {
        components["headers"][name] = json!({ "schema": { "type": "string" } });
    }
    for (path, operations) in entries(&mut document["paths"]) {
        for (method, operation) in entries(operations) {
            let words = path.split(|c: char| !c.is_alphanumeric()).filter(|word| !["", "api", "v1"].contains(word));
            operation["operationId"] = words.fold(method.clone(), |id, word| id + "_" + word).into();
            complete(method, operation);
        }
    }
    // The same text in every build: a dependency of the tests has serde_json keep the order of insertion.
    document.sort_all_objects();
    document
}

fn entries(object: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    object.as_object_mut().into_iter().flatten()
}

/// The headers of every answer.
fn headers() -> impl Iterator<Item = &'static str> {
    let names = ["cache-control", "strict-transport-security", "x-request-id"];
    SECURITY.iter().map(|(name, _)| name.as_str()).chain(names)
}

fn problem(status: &str, kinds: &Value) -> Value {
    let types: Vec<_> = kinds.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut response = json!({
        "description": format!("{}: `{}`", reason(status), types.join("`, `")),
        "headers": {},
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "example": { "type": types.first(), "title": reason(status), "status": status.parse::<u16>().ok(),
                         "detail": "A sentence.", "request_id": "0a9cf3b1-6d5c-4f06-9d3b-2f0ed6a1b0de" },
        } },
    });
    let more = [("405", "allow"), ("429", "retry-after"), ("503", "retry-after")];
    for name in headers().chain(more.iter().filter(|(of, _)| *of == status).map(|(_, name)| *name)) {
        response["headers"][name] = json!({ "schema": { "type": "string" } });
    }
    response
}

fn reason(status: &str) -> &'static str {
    let status = StatusCode::from_bytes(status.as_bytes()).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// Adds to an operation what follows from its form: its problems, and the headers of every answer.
fn complete(method: &str, operation: &mut Value) {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let takes = |place| parameters.iter().any(|parameter| parameter["in"] == place);
    let follows: [(bool, &[u16]); 6] = [
        (operation.get("requestBody").is_some(), &[400, 408, 413, 415, 422]),
        (takes("path"), &[404]),
        (takes("query"), &[422]),
        (operation.get("security").is_some(), &[401]),
        (method != "get", &[403]),
        (true, &[500, 503]),
    ];
    let statuses = follows.iter().filter(|(applies, _)| *applies).flat_map(|(_, statuses)| statuses.iter());
    for status in statuses {
        operation["responses"][status.to_string()]["description"] = "".into();
    }
    for (status, response) in entries(&mut operation["responses"]) {
        let description = response["description"].take();
        let described = description != "";
        match (status.as_str() >= "400", described) {
            (true, false) => *response = json!({ "$ref": format!("#/components/responses/{status}") }),
            (true, true) => *response = problem(status, &Value::Null),
            (false, _) => {
                for name in headers() {
                    response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
                }
                response["description"] = reason(status).into();
            }
        }
        if described {
            response["description"] = description;
        }
    }
}
