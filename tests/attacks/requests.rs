//! Requests that proxies and services could read differently, and configs that are not safe.

use super::support::{Client, Deploy, Raw, Response, json};

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

#[tokio::test]
async fn security_events_have_their_account_and_the_network_of_the_client() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let mut client = Client::new();
    client.address = "2001:db8:1:2::3".to_owned();
    let account = client.signed_up(&web).await;
    assert_eq!(client.sign_in(&web, &account).await.status, 201);
    let wrong = json!({ "email": account.email, "password": "not the password" });
    assert_eq!(client.post(&web, "/api/v1/sessions", wrong).await.status, 401);
    let foreign = client.request(&web, "POST", "/api/v1/sessions").header("origin", "https://evil.example");
    assert_eq!(Response::of(foreign.json(&account.credentials())).await.status, 403);
    assert_eq!(client.delete(&web, "/api/v1/sessions").await.status, 204);

    web.log("the last event", |line| line["event"] == "SignedOutEverywhere").await;
    let expected = [
        ("SignUpRequested", false),
        ("AccountCreated", true),
        ("SignedIn", true),
        ("SignInRejected", true),
        ("CrossOriginRejected", false),
        ("SignedOutEverywhere", true),
    ];
    let events: Vec<_> = web.logs().into_iter().filter(|line| line["message"] == "security event").collect();
    let names: Vec<_> = events.iter().map(|line| (line["event"].as_str(), line["account.id"].is_string())).collect();
    assert_eq!(names, expected.map(|(name, has_account)| (Some(name), has_account)));
    assert!(events.iter().all(|line| line["client"] == "2001:db8:1:2::"), "{events:?}");
}
