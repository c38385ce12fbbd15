//! The API contract, OpenAPI 3.1. Handlers document what is specific to a route; this adds what holds for all routes.

use app::http::middleware::SECURITY;
use app::release;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// The whole document.
pub fn document() -> Value {
    let mut document = json!(app::web::routes().into_openapi());
    let common: Value = serde_json::from_str(include_str!("common.json")).expect("JSON");
    document["info"] = common["info"].clone();
    document["info"]["title"] = release::NAME.into();
    document["info"]["version"] = release::running().version.into();
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
    // For the same text in every build: a dependency of the tests enables serde_json's preserve_order.
    document.sort_all_objects();
    document
}

fn entries(object: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    object.as_object_mut().into_iter().flatten()
}

/// The headers of every response.
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

/// Adds to an operation the problems that follow from its parameters and method, and the common headers.
fn complete(method: &str, operation: &mut Value) {
    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    if operation.get("security").is_some() {
        parameters.push(json!({
            "name": "X-Account-Id", "in": "header", "required": false,
            "description": "The account that the client shows. If another one is signed in, the request is rejected.",
            "schema": { "type": "string", "format": "uuid" },
        }));
        operation["parameters"] = parameters.clone().into();
    }
    let has_parameter = |place| parameters.iter().any(|parameter| parameter["in"] == place);
    let problems: [(bool, &[u16]); 6] = [
        (operation.get("requestBody").is_some(), &[400, 408, 413, 415, 422]),
        (has_parameter("path"), &[404]),
        (has_parameter("query"), &[422]),
        (operation.get("security").is_some(), &[401, 409, 429]),
        (method != "get", &[403]),
        (true, &[500, 503]),
    ];
    let statuses = problems.iter().filter(|(applies, _)| *applies).flat_map(|(_, statuses)| statuses.iter());
    for status in statuses {
        operation["responses"][status.to_string()]["description"] = "".into();
    }
    for (status, response) in entries(&mut operation["responses"]) {
        let description = response["description"].as_str().unwrap_or_default().to_owned();
        let described = !description.is_empty();
        match (status.as_str() >= "400", described) {
            (true, false) => *response = json!({ "$ref": format!("#/components/responses/{status}") }),
            // The description starts with the problem's type.
            (true, true) => *response = problem(status, &json!([description.split('`').nth(1)])),
            (false, _) => {
                for name in headers() {
                    response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
                }
                response["description"] = reason(status).into();
            }
        }
        if described {
            response["description"] = description.into();
        }
    }
}
