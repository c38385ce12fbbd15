//! Requests that proxies and services could read differently, and configs that are not safe.

use super::support::{Deploy, Raw};

#[tokio::test]
async fn a_request_has_exactly_one_host() {
    let web = Deploy::detached().listening_web().await;

    for hosts in ["", "Host: a\r\nHost: b\r\n"] {
        let head = format!("GET /health/live HTTP/1.1\r\n{hosts}\r\n");
        let mut raw = Raw::begin(&web, &head).await;
        assert!(raw.wait_for("requires one Host header").await.starts_with("HTTP/1.1 400"), "{hosts:?}");
    }
    Raw::begin(&web, "GET /health/live HTTP/1.0\r\n\r\n").await.wait_for("200 OK").await;
}

#[tokio::test]
async fn a_public_origin_without_https_is_a_warning() {
    let warning = |line: &serde_json::Value| {
        line["level"] == "WARN"
            && line["message"].as_str().is_some_and(|text| text.starts_with("PUBLIC_URL is not https"))
    };
    let web = Deploy::detached().listening_web().await;
    web.log("a warning", warning).await;

    let local = Deploy::detached().with("PUBLIC_URL", "http://localhost:8080").listening_web().await;
    assert!(!local.logs().iter().any(warning));
}
