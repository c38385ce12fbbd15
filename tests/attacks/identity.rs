//! Nobody acts as another: cookies of other services, and other accounts in the same browser.

use super::support::{Client, Deploy, Raw, Response};
use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};

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

#[tokio::test]
async fn an_outdated_hash_is_renewed_at_sign_in() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (client, account) = Client::signed_in_at(&web).await;
    let weaker = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8_192, 1, 1, None).expect("parameters"));
    let old = weaker.hash_password(account.password.as_bytes()).expect("a hash").to_string();
    let mut db = deploy.connection().await;
    sqlx::query("update account set password_hash = $1").bind(&old).execute(&mut db).await.expect("an update");

    assert_eq!(client.sign_in(&web, &account).await.status, 201);

    let new: String = sqlx::query_scalar("select password_hash from account").fetch_one(&mut db).await.expect("a hash");
    assert!(new.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{new}");
    assert_eq!(client.sign_in(&web, &account).await.status, 201);
}
