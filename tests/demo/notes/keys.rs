//! Requests that are sent again: a key stands for one note.

use super::*;

fn keyed(desk: &Desk, turn: usize, key: &str, body: &Value) -> reqwest::RequestBuilder {
    desk.request(turn, "POST", NOTES).header("idempotency-key", key).json(body)
}

#[tokio::test]
async fn a_request_sent_again_gets_the_same_answer_whatever_became_of_the_note() {
    let desk = Desk::new().await;
    let body = json!({ "title": "once", "body": "b" });
    let first = Answer::of(keyed(&desk, 0, "key-1", &body)).await;
    let path = first.header("location");
    let same = async |when: &str| {
        let again = Answer::of(keyed(&desk, 1, "key-1", &body)).await;
        assert_eq!((again.status, &again.text), (201, &first.text), "{when}");
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{when}");
        }
    };

    same("at once").await;
    desk.ada.patch(&desk.web, path, json!({ "title": "changed" })).await;
    same("after a change").await;
    desk.ada.delete(&desk.web, path).await;
    same("after its end").await;

    assert_eq!(desk.count().await, 0);
}

#[tokio::test]
async fn a_key_stands_for_one_body_of_one_account() {
    let desk = Desk::new().await;
    let (bob, _) = Client::signed_in_at(&desk.web).await;
    let (body, another) = (json!({ "title": "a", "body": "" }), json!({ "title": "b", "body": "" }));
    assert_eq!(Answer::of(keyed(&desk, 0, "k", &body)).await.status, 201);

    Answer::of(keyed(&desk, 1, "k", &another)).await.is_problem(422);
    assert_eq!(Answer::of(keyed(&desk, 0, "l", &another)).await.status, 201);
    let bobs = bob.request(&desk.web, "POST", NOTES).header("idempotency-key", "k").json(&another);
    assert_eq!(Answer::of(bobs).await.status, 201);

    assert_eq!(desk.count().await, 3);
}

#[tokio::test]
async fn of_fifty_parallel_requests_with_one_key_one_makes_the_note() {
    let desk = Desk::new().await;
    let body = json!({ "title": "once", "body": "" });

    let answers = join_all((0..50).map(|turn| patiently(keyed(&desk, turn, "one-key", &body)))).await;

    assert!(answers.iter().all(|answer| told(answer) == told(&answers[0])), "{answers:?}");
    assert_eq!((answers[0].status, desk.count().await), (201, 1));
}

#[tokio::test]
async fn a_key_may_be_used_anew_after_a_day() {
    let desk = Desk::new().await;
    assert_eq!(Answer::of(keyed(&desk, 0, "k", &json!({ "title": "a", "body": "" }))).await.status, 201);
    let mut connection = desk.deploy.connection().await;
    let age = sqlx::query("update idempotency_key set created_at = created_at - interval '24 hours'");
    age.execute(&mut connection).await.expect("the key ages");

    let anew = Answer::of(keyed(&desk, 0, "k", &json!({ "title": "b", "body": "" }))).await;

    assert_eq!((anew.status, desk.count().await), (201, 2), "{}", anew.text);
}

#[tokio::test]
async fn a_refused_request_does_not_use_its_key() {
    let desk = Desk::new().await;

    Answer::of(keyed(&desk, 0, "k", &json!({ "title": "", "body": "" }))).await.is_problem(422);

    assert_eq!(Answer::of(keyed(&desk, 0, "k", &json!({ "title": "a", "body": "" }))).await.status, 201);
}

#[tokio::test]
async fn a_key_is_1_to_255_visible_characters() {
    let desk = Desk::new().await;
    let body = json!({ "title": "a", "body": "" });
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));

    for key in ["", " ", "a b", "a\tb", "é", too_long.as_str()] {
        Answer::of(keyed(&desk, 0, key, &body)).await.is_problem(400);
    }
    Answer::of(keyed(&desk, 0, "a", &body).header("idempotency-key", "b")).await.is_problem(400);

    assert_eq!(desk.count().await, 0);
    assert_eq!(Answer::of(keyed(&desk, 0, &longest, &body)).await.status, 201);
}
