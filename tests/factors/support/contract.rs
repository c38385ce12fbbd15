//! Holds every answer that any test gets against `openapi.json`.

use super::{Answer, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

/// What HTTP itself brings, which the document does not repeat.
const FRAMING: [&str; 5] = ["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// The committed document, whose objects have no other fields than those it names.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(include_str!("../../../openapi.json")).expect("JSON");
    close(&mut document);
    document
});

/// The committed document as it is.
pub fn committed() -> Value {
    serde_json::from_str(include_str!("../../../openapi.json")).expect("JSON")
}

/// Asserts that the document knows an answer: its status, its headers, its fields.
#[track_caller]
pub fn keeps(method: &str, path: &str, answer: &Answer) {
    // What pages load, and what is on a port of its own.
    if path.starts_with("/assets/") || ["/favicon.ico", "/metrics"].contains(&path) {
        return;
    }
    if !answer.headers.contains_key("x-request-id") {
        let balancers = answer.status == 503 && answer.text.contains("No server is available");
        assert!(balancers, "{method} {path}: an answer without an id that is not HAProxy's own: {answer:?}");
        return;
    }
    let told = || format!("{method} {path}: {} {:?} {}", answer.status, answer.headers, answer.text);
    let head = method == "HEAD";
    let method = if head { "get".to_owned() } else { method.to_lowercase() };
    let status = answer.status.to_string();
    let response = match path_item(path).map(|item| &item[&method]) {
        Some(operation @ Value::Object(_)) => &operation["responses"][&status],
        // No such method, or no such path: but a request of another site is not told.
        Some(_) if matches!(answer.status, 405 | 403) => &DOCUMENT["components"]["responses"][&status],
        None if matches!(answer.status, 404 | 403) => &DOCUMENT["components"]["responses"][&status],
        _ => &Value::Null,
    };
    let response = resolve(response);
    assert!(response.is_object(), "the contract does not know this status: {}", told());
    let known: Vec<String> =
        response["headers"].as_object().into_iter().flatten().map(|(k, _)| k.to_lowercase()).collect();
    for name in answer.headers.keys().map(|name| name.as_str()) {
        let is_known = FRAMING.contains(&name) || known.iter().any(|known| known == name);
        assert!(is_known, "the contract does not know the header {name}: {}", told());
    }
    let kind = answer.header("content-type").split(';').next().unwrap_or_default();
    if head || (kind.is_empty() && answer.text.is_empty()) {
        let empty = head || response["content"].is_null();
        assert!(empty, "the contract knows a body: {}", told());
        return;
    }
    let content = &response["content"][kind];
    assert!(content.is_object(), "the contract does not know a body of the type {kind}: {}", told());
    if kind.ends_with("json") {
        let validator = validator(&content["schema"]);
        let errors: Vec<String> =
            validator.iter_errors(&answer.body).map(|e| format!("{e} at {}", e.instance_path())).collect();
        assert!(errors.is_empty(), "the contract does not know this body: {errors:?}: {}", told());
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
    // A path without a parameter goes before one with it.
    let best = paths.iter().filter(|(template, _)| fits(template)).min_by_key(|(name, _)| name.matches('{').count());
    best.map(|(_, item)| item)
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).expect("a reference to something"),
        None => value,
    }
}

fn validator(schema: &Value) -> Arc<jsonschema::Validator> {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<jsonschema::Validator>>>> = LazyLock::new(Mutex::default);
    let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let made = validators.entry(schema.to_string()).or_insert_with(|| {
        let root = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        let options = jsonschema::options().should_validate_formats(true).should_ignore_unknown_formats(true);
        Arc::new(options.build(&root).expect("a schema"))
    });
    Arc::clone(made)
}

fn close(value: &mut Value) {
    if value["type"] == "object" && value.get("additionalProperties").is_none() && value.get("properties").is_some() {
        value["additionalProperties"] = false.into();
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(close),
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
