//! Who has seen what: ETags, and changes that are not lost.

use super::*;

async fn with(desk: &Desk, method: &str, path: &str, (name, value): (&str, &str)) -> Answer {
    let request = desk.ada.request(&desk.web, method, path).header(name, value);
    Answer::of(if method == "PATCH" { request.json(&json!({ "body": "new" })) } else { request }).await
}

#[tokio::test]
async fn every_answer_with_a_note_has_its_etag() {
    let desk = Desk::new().await;
    let made = desk.ada.post(&desk.web, NOTES, json!({ "title": "t", "body": "" })).await;
    let path = made.header("location");

    let read = desk.ada.get(&desk.web, path).await;
    let changed = desk.ada.patch(&desk.web, path, json!({ "title": "u" })).await;

    assert!(made.header("etag").starts_with('"') && made.header("etag").len() > 2, "{made:?}");
    assert_eq!(made.header("etag"), read.header("etag"));
    assert!(!["", read.header("etag")].contains(&changed.header("etag")), "{changed:?}");
    assert_eq!(desk.ada.get(&desk.web, path).await.header("etag"), changed.header("etag"));
}

#[tokio::test]
async fn a_note_that_the_client_has_is_not_sent_again() {
    let desk = Desk::new().await;
    let path = desk.note("t", "b").await;
    let etag = desk.ada.get(&desk.web, &path).await.header("etag").to_owned();
    let weak_in_a_list = format!("\"other\" , W/{etag}");

    for value in [etag.as_str(), &weak_in_a_list, "*"] {
        let answer = with(&desk, "GET", &path, ("if-none-match", value)).await;

        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{value}");
        assert_eq!(answer.header("etag"), etag);
    }
    for value in ["\"other\"", "", "nonsense", etag.trim_matches('"')] {
        assert_eq!(with(&desk, "GET", &path, ("if-none-match", value)).await.status, 200, "{value}");
    }
    desk.ada.patch(&desk.web, &path, json!({ "body": "new" })).await;
    assert_eq!(with(&desk, "GET", &path, ("if-none-match", &etag)).await.status, 200);
}

#[tokio::test]
async fn a_change_to_another_version_is_refused() {
    let desk = Desk::new().await;
    let path = desk.note("t", "b").await;
    let old = desk.ada.get(&desk.web, &path).await.header("etag").to_owned();
    assert_eq!(with(&desk, "PATCH", &path, ("if-match", &old)).await.status, 200);
    let new = desk.ada.get(&desk.web, &path).await;
    let weak = format!("W/{}", new.header("etag"));

    for method in ["PATCH", "DELETE"] {
        for value in [old.as_str(), &weak, "\"other\"", "", "nonsense", new.header("etag").trim_matches('"')] {
            with(&desk, method, &path, ("if-match", value)).await.is_problem(412);
        }
    }
    assert_eq!(desk.ada.get(&desk.web, &path).await.text, new.text);

    let one_of_two = format!("{old}, {}", new.header("etag"));
    assert_eq!(with(&desk, "PATCH", &path, ("if-match", &one_of_two)).await.status, 200);
    assert_eq!(with(&desk, "PATCH", &path, ("if-match", "*")).await.status, 200);
    assert_eq!(with(&desk, "DELETE", &path, ("if-match", "*")).await.status, 204);
    with(&desk, "DELETE", &path, ("if-match", "*")).await.is_problem(404);
}

#[tokio::test]
async fn of_500_counts_through_two_processes_none_is_lost() {
    let desk = Desk::new().await;
    let path = desk.note("counter", "0").await;

    let counters = (0..10).map(async |turn| {
        for _ in 0..50 {
            count(&desk, turn, &path).await;
        }
    });
    join_all(counters).await;

    assert_eq!(desk.ada.get(&desk.web, &path).await.body["body"], "500");
}

/// Adds one to the number in a note's body, trying again while others are faster.
async fn count(desk: &Desk, turn: usize, path: &str) {
    until("a counter has its turn", SOON, async || {
        let seen = patiently(desk.request(turn, "GET", path)).await;
        let number: u32 = seen.body["body"].as_str().and_then(|body| body.parse().ok()).expect("a number");
        let change = desk.request(turn, "PATCH", path).header("if-match", seen.header("etag"));
        let changed = Answer::of(change.json(&json!({ "body": (number + 1).to_string() }))).await;
        assert!([200, 412].contains(&changed.status), "{changed:?}");
        (changed.status == 200).then_some(())
    })
    .await;
}
