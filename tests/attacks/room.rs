//! The room of a peer, a network and an account: what one of them does leaves room for the others.

use super::support::{Client, Deploy, Duration, Raw, json, until};
use futures_util::StreamExt;
use std::time::Instant;

#[tokio::test]
async fn a_thousand_connections_of_one_peer_leave_room_for_others() {
    // The peer is no trusted proxy.
    let web = Deploy::detached().with("TRUSTED_PROXIES", "192.0.2.1/32").listening_web().await;
    let mut open = Vec::new();
    for _ in 0..1_005 {
        let head = "POST /api/v1/sessions HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\nContent-Type: application/json\r\n";
        open.push(Raw::begin(&web, &format!("{head}Content-Length: 100\r\n\r\n ")).await);
    }

    let before = Instant::now();
    assert_eq!(Client::new().get(&web, "/health/live").await.status, 200);
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    web.log("a warning that names TRUSTED_PROXIES", |line| {
        line["level"] == "WARN" && line["message"].as_str().is_some_and(|text| text.contains("TRUSTED_PROXIES"))
    })
    .await;
}

#[tokio::test]
async fn a_thousand_half_sent_requests_of_many_peers_leave_room_for_others() {
    // A trusted proxy counts as many peers.
    let web = Deploy::detached().with("MAX_CONNECTIONS", "1000").listening_web().await;
    let mut open = Vec::new();
    for _ in 0..1_005 {
        open.push(Raw::begin(&web, "GET / HTTP/1.1\r\nX-Slow: ").await);
    }

    let before = Instant::now();
    assert_eq!(Client::new().get(&web, "/health/live").await.status, 200);
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
}

#[tokio::test]
async fn max_connections_is_lowered_to_what_open_files_allow() {
    let deploy = Deploy::detached().with("MAX_CONNECTIONS", "1000000000");
    let exit = deploy.run("config", &["show"]).await;
    assert_eq!(exit.code, 78, "{}", exit.out);
    let web = Deploy::detached().with("MAX_CONNECTIONS", "1000000").listening_web().await;

    let files = std::fs::read_to_string(format!("/proc/{}/limits", web.pid())).expect("the process is running");
    let line = files.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    let allowed: u64 = line.split_whitespace().nth(4).and_then(|word| word.parse().ok()).unwrap_or(u64::MAX);
    if allowed < 1_000_000 {
        let warning = web
            .log("a warning", |line| line["message"].as_str().is_some_and(|text| text.contains("MAX_CONNECTIONS")))
            .await;
        assert!(warning["max_connections"].as_u64().is_some_and(|all| all < allowed), "{warning}");
    }
}

#[tokio::test]
async fn half_sent_bodies_take_no_room_from_others() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let mut open = Vec::new();
    for _ in 0..100 {
        let head = "POST /api/v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
        open.push(Raw::begin(&web, &format!("{head}Content-Length: 1000000\r\n\r\n ")).await);
    }

    let large = json!({ "email": "a@example.com", "password": "x".repeat(200_000) });
    let response = Client::new().post(&web, "/api/v1/sessions", large).await;

    assert_eq!(response.status, 401, "{}", response.text);
}

#[tokio::test]
async fn guesses_from_many_networks_lock_nobody_out() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let owner = Client::new();
    let account = owner.signed_up(&web).await;
    assert_eq!(owner.sign_in(&web, &account).await.status, 201);

    // From 256 networks of 16 wider ones, 64 at a time.
    let guess = async |at: usize| {
        let mut eve = Client::new();
        eve.address = format!("2001:db8:{:x}:{:x}::1", at % 16, at % 256);
        let guess = json!({ "email": account.email, "password": "a guess" });
        eve.post(&web, "/api/v1/sessions", guess).await.status
    };
    let guesses = futures_util::stream::iter(0..1_024).map(guess).buffer_unordered(64).collect::<Vec<_>>();
    let stranger = async {
        let mut stranger = Client::new();
        stranger.address = "203.0.113.9".to_owned();
        until("guesses are limited", Duration::from_secs(60), async || {
            web.logs().iter().any(|line| line["status"] == 429).then_some(())
        })
        .await;
        let before = Instant::now();
        assert_eq!(stranger.sign_in(&web, &account).await.status, 201, "from a new network");
        before.elapsed()
    };
    let (statuses, waited) = tokio::join!(guesses, stranger);

    assert!(waited < Duration::from_secs(5), "{waited:?}");
    assert!(statuses.iter().filter(|status| **status == 401).count() < 300, "guesses at one account are limited");
    assert_eq!(owner.sign_in(&web, &account).await.status, 201, "from a known device");
}

#[tokio::test]
async fn an_account_has_fifty_sessions_and_the_oldest_ends() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (first, account) = Client::signed_in_at(&web).await;
    let mut last = Client::new();
    // More than 50, as sessions of the same second are of the same age.
    for at in 0..70 {
        last = Client::new();
        last.address = format!("203.0.{at}.9");
        assert_eq!(last.sign_in(&web, &account).await.status, 201);
    }

    assert_eq!(last.get(&web, "/api/v1/sessions").await.body["items"].as_array().map(Vec::len), Some(50));
    assert_eq!(first.signed_in(&web).await, 401);
}
