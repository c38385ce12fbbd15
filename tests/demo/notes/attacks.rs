//! Lists that nobody reads, and one account's writes: the memory and the connections that they leave to others.

use super::uploads::{MIB, peak, reset_peak, resident};
use super::*;
use std::time::Instant;

#[tokio::test]
async fn lists_that_nobody_reads_cost_a_page_each() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (client, _) = Client::signed_in_at(&web).await;
    let body = "\"\u{fffd}".repeat(50_000);
    for _ in 0..24 {
        let created = client.post(&web, "/api/v1/notes", json!({ "title": "t", "body": body })).await;
        assert_eq!(created.status, 201, "{}", created.text);
    }
    let list = client.get(&web, "/api/v1/notes?limit=100").await;
    assert!(list.text.len() < 3 << 20 && list.body["next"].is_string(), "{} bytes", list.text.len());
    let idle = resident(&web);
    reset_peak(&web);

    let head =
        format!("GET /api/v1/notes?limit=100 HTTP/1.1\r\nHost: app.test\r\nCookie: {}\r\n\r\n", client.cookie(&web));
    let mut unread = Vec::new();
    for _ in 0..24 {
        unread.push(Raw::begin(&web, &head).await);
    }
    let answered =
        || web.logs().iter().filter(|line| line["route"] == "/api/v1/notes" && line["method"] == "GET").count();
    until("all are answered", SOON, async || (answered() == 25).then_some(())).await;

    let peak = peak(&web);
    assert!(peak <= idle + 32 * MIB, "{} MiB above idle", (peak - idle) / MIB);
}

#[tokio::test]
async fn one_accounts_requests_leave_room_for_another() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (eve, _) = Client::signed_in_at(&web).await;
    let (ada, _) = Client::signed_in_at(&web).await;
    let note = ada.post(&web, "/api/v1/notes", json!({ "title": "mine", "body": "" })).await;
    let path = note.header("location").to_owned();

    let mut writes = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let body = json!({ "title": "t", "body": "x".repeat(100_000) });
        writes.spawn(eve.request(&web, "POST", "/api/v1/notes").json(&body).send());
    }
    let mut times = Vec::new();
    while writes.len() > 10 && times.len() < 500 {
        let before = Instant::now();
        let read = ada.get(&web, &path).await;
        assert_eq!(read.status, 200, "{}", read.text);
        times.push(before.elapsed());
        while writes.try_join_next().is_some() {}
    }
    let mut statuses = Vec::new();
    while let Some(response) = writes.join_next().await {
        statuses.push(response.expect("a task").expect("a response").status().as_u16());
    }

    times.sort();
    let slowest = times[times.len() * 99 / 100 - 1];
    assert!(slowest < Duration::from_secs(1), "{slowest:?} of {}", times.len());
    assert!(statuses.iter().all(|status| matches!(status, 201 | 429)), "{statuses:?}");
}
