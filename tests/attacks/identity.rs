//! Nobody acts as another: cookies of other services, and other accounts in the same browser.

use super::support::{Client, Deploy, Raw, Response};

#[tokio::test]
async fn cookies_of_other_services_sign_nobody_out() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (client, _) = Client::signed_in_at(&web).await;
    let session = client.cookie(&web);
    let other = format!("session-80={}", "A".repeat(43));

    for cookies in
        [format!("a=b; {session}"), format!("{other}; {session}"), format!("session-80=x; {session}; session=y")]
    {
        let head = format!("GET /api/v1/accounts/current HTTP/1.1\r\nHost: a\r\nCookie: {cookies}\r\n\r\n");
        Raw::begin(&web, &head).await.wait_for("200 OK").await;
    }

    // A byte that is no text, as in ISO 8859-1.
    let mut raw = Raw::begin(&web, "GET /api/v1/accounts/current HTTP/1.1\r\nHost: a\r\nCookie: stadt=M").await;
    raw.send_bytes(b"\xfcnchen; ").await;
    raw.send(&format!("{session}\r\n\r\n")).await;
    raw.wait_for("200 OK").await;
}

#[tokio::test]
async fn a_request_for_another_account_is_rejected() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (client, _) = Client::signed_in_at(&web).await;
    let id = client.get(&web, "/api/v1/accounts/current").await.body["id"].as_str().expect("an id").to_owned();
    let request = |id: &str| client.request(&web, "GET", "/api/v1/accounts/current").header("x-account-id", id);

    assert_eq!(Response::of(request(&id)).await.status, 200);

    let other = Response::of(request("0198c0a0-0000-7000-8000-000000000000")).await;
    other.is_problem(409);
    assert_eq!(other.body["type"], "urn:problem:account-mismatch");
}
