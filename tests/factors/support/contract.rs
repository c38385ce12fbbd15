//! Validates every response in the tests against `openapi.json`.

use super::{Response, Value, json};
use boon::{Compiler, Draft, SchemaIndex, Schemas};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

/// Headers of HTTP itself, which the document does not list.
const FRAMING: [&str; 5] = ["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// The committed document, with `additionalProperties: false` for every object.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(include_str!("../../../openapi.json")).expect("JSON");
    reject_unknown_fields(&mut document);
    document
});

/// The committed document, unchanged.
pub fn committed() -> Value {
    serde_json::from_str(include_str!("../../../openapi.json")).expect("JSON")
}

/// Asserts that the response is documented: its status, its headers, its fields.
#[track_caller]
pub fn assert_documented(method: &str, path: &str, actual: &Response) {
    // Assets of the pages, and the metrics of the other port, are not in the document.
    if path.starts_with("/assets/") || ["/favicon.ico", "/metrics"].contains(&path) {
        return;
    }
    if !actual.headers.contains_key("x-request-id") {
        let from_haproxy = actual.status == 503 && actual.text.contains("No server is available");
        assert!(from_haproxy, "{method} {path}: a response without a request id: {actual:?}");
        return;
    }
    let details = || format!("{method} {path}: {} {:?} {}", actual.status, actual.headers, actual.text);
    let head = method == "HEAD";
    let method = if head { "get".to_owned() } else { method.to_lowercase() };
    let status = actual.status.to_string();
    let response = match path_item(path).map(|item| &item[&method]) {
        Some(operation @ Value::Object(_)) => &operation["responses"][&status],
        // No such method or path; a cross-site request gets 403 before that is known.
        Some(_) if matches!(actual.status, 405 | 403) => &DOCUMENT["components"]["responses"][&status],
        None if matches!(actual.status, 404 | 403) => &DOCUMENT["components"]["responses"][&status],
        _ => &Value::Null,
    };
    let response = resolve(response);
    assert!(response.is_object(), "undocumented status: {}", details());
    let documented: Vec<String> =
        response["headers"].as_object().into_iter().flatten().map(|(k, _)| k.to_lowercase()).collect();
    for name in actual.headers.keys().map(|name| name.as_str()) {
        let is_known = FRAMING.contains(&name) || documented.iter().any(|known| known == name);
        assert!(is_known, "undocumented header {name}: {}", details());
    }
    let kind = actual.header("content-type").split(';').next().unwrap_or_default();
    if head || (kind.is_empty() && actual.text.is_empty()) {
        let empty = head || response["content"].is_null();
        assert!(empty, "the documented body is missing: {}", details());
        return;
    }
    let content = &response["content"][kind];
    assert!(content.is_object(), "undocumented content type {kind}: {}", details());
    if kind.ends_with("json") {
        let error = schema_error(&content["schema"], &actual.body).unwrap_or_default();
        assert_eq!(error, "", "the body does not match the schema: {}", details());
    }
}

fn path_item(path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let fits = |template: &str| {
        let (mut names, mut parts) = (template.split('/'), path.split('/'));
        loop {
            match (names.next(), parts.next()) {
                (None, None) => return true,
                (Some(name), Some(part)) if name == part || (name.starts_with('{') && !part.is_empty()) => {}
                _ => return false,
            }
        }
    };
    // A path without parameters takes precedence.
    let best = paths.iter().filter(|(template, _)| fits(template)).min_by_key(|(name, _)| name.matches('{').count());
    best.map(|(_, item)| item)
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).expect("a resolvable reference"),
        None => value,
    }
}

/// How a value differs from a schema of the document.
fn schema_error(schema: &Value, value: &Value) -> Option<String> {
    static SCHEMAS: LazyLock<Mutex<(Schemas, HashMap<String, SchemaIndex>)>> = LazyLock::new(Mutex::default);
    let mut guard = SCHEMAS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (schemas, indexes) = &mut *guard;
    let url = format!("http://contract.test/{}", indexes.len());
    let index = *indexes.entry(schema.to_string()).or_insert_with(|| {
        let root = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource(&url, root).expect("a schema");
        compiler.compile(&url, schemas).expect("a schema")
    });
    schemas.validate(value, index).err().map(|error| error.to_string())
}

fn reject_unknown_fields(value: &mut Value) {
    if value["type"] == "object" && value.get("additionalProperties").is_none() && value.get("properties").is_some() {
        value["additionalProperties"] = false.into();
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(reject_unknown_fields),
        Value::Array(items) => items.iter_mut().for_each(reject_unknown_fields),
        _ => {}
    }
}
