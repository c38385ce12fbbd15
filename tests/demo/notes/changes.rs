//! ETags, conditional requests, and lost updates.

use super::*;

/// A request with one header.
async fn with(setup: &Setup, method: &str, path: &str, (name, value): (&str, &str)) -> Response {
    let request = setup.ada.request(&setup.web, method, path).header(name, value);
    Response::of(if method == "PATCH" { request.json(&json!({ "body": "new" })) } else { request }).await
}

#[tokio::test]
async fn every_response_with_a_note_has_its_etag() {
    let setup = Setup::new().await;
    let created = setup.ada.post(&setup.web, NOTES, json!({ "title": "t", "body": "" })).await;
    let path = created.header("location");

    let read = setup.ada.get(&setup.web, path).await;
    let changed = setup.ada.patch(&setup.web, path, json!({ "title": "u" })).await;

    assert!(created.header("etag").starts_with('"') && created.header("etag").len() > 2, "{created:?}");
    assert_eq!(created.header("etag"), read.header("etag"));
    assert!(!["", read.header("etag")].contains(&changed.header("etag")), "{changed:?}");
    assert_eq!(setup.ada.get(&setup.web, path).await.header("etag"), changed.header("etag"));
}

#[tokio::test]
async fn a_matching_if_none_match_header_returns_304() {
    let setup = Setup::new().await;
    let path = setup.note("t", "b").await;
    let etag = setup.ada.get(&setup.web, &path).await.header("etag").to_owned();
    let weak_in_a_list = format!("\"other\" , W/{etag}");

    for value in [etag.as_str(), &weak_in_a_list, "*"] {
        let response = with(&setup, "GET", &path, ("if-none-match", value)).await;

        assert_eq!((response.status, response.text.as_str()), (304, ""), "{value}");
        assert_eq!(response.header("etag"), etag);
    }
    for value in ["\"other\"", "", "nonsense", etag.trim_matches('"')] {
        assert_eq!(with(&setup, "GET", &path, ("if-none-match", value)).await.status, 200, "{value}");
    }
    setup.ada.patch(&setup.web, &path, json!({ "body": "new" })).await;
    assert_eq!(with(&setup, "GET", &path, ("if-none-match", &etag)).await.status, 200);
}

#[tokio::test]
async fn a_change_with_a_stale_etag_is_rejected() {
    let setup = Setup::new().await;
    let path = setup.note("t", "b").await;
    let old = setup.ada.get(&setup.web, &path).await.header("etag").to_owned();
    assert_eq!(with(&setup, "PATCH", &path, ("if-match", &old)).await.status, 200);
    let new = setup.ada.get(&setup.web, &path).await;
    let weak = format!("W/{}", new.header("etag"));

    for method in ["PATCH", "DELETE"] {
        for value in [old.as_str(), &weak, "\"other\"", "", "nonsense", new.header("etag").trim_matches('"')] {
            with(&setup, method, &path, ("if-match", value)).await.is_problem(412);
        }
    }
    assert_eq!(setup.ada.get(&setup.web, &path).await.text, new.text);

    let one_of_two = format!("{old}, {}", new.header("etag"));
    assert_eq!(with(&setup, "PATCH", &path, ("if-match", &one_of_two)).await.status, 200);
    assert_eq!(with(&setup, "PATCH", &path, ("if-match", "*")).await.status, 200);
    assert_eq!(with(&setup, "DELETE", &path, ("if-match", "*")).await.status, 204);
    with(&setup, "DELETE", &path, ("if-match", "*")).await.is_problem(404);
}

#[tokio::test]
async fn no_update_is_lost_between_two_processes() {
    let setup = Setup::new().await;
    let path = setup.note("counter", "0").await;

    let counters = (0..10).map(async |turn| {
        for _ in 0..50 {
            count(&setup, turn, &path).await;
        }
    });
    join_all(counters).await;

    assert_eq!(setup.ada.get(&setup.web, &path).await.body["body"], "500");
}

/// Increments the number in a note's body, and retries after a conflict.
async fn count(setup: &Setup, turn: usize, path: &str) {
    until("the increment succeeds", SOON, async || {
        let seen = send_until_not_busy(setup.request(turn, "GET", path)).await;
        let number: u32 = seen.body["body"].as_str().and_then(|body| body.parse().ok()).expect("a number");
        let change = setup.request(turn, "PATCH", path).header("if-match", seen.header("etag"));
        let changed = Response::of(change.json(&json!({ "body": (number + 1).to_string() }))).await;
        assert!([200, 412].contains(&changed.status), "{changed:?}");
        (changed.status == 200).then_some(())
    })
    .await;
}
