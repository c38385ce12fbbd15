//! Repeated requests: one idempotency key creates one note.

use super::*;

fn keyed(setup: &Setup, turn: usize, key: &str, body: &Value) -> reqwest::RequestBuilder {
    setup.request(turn, "POST", NOTES).header("idempotency-key", key).json(body)
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_response() {
    let setup = Setup::new().await;
    let body = json!({ "title": "once", "body": "b" });
    let first = Response::of(keyed(&setup, 0, "key-1", &body)).await;
    let path = first.header("location");
    let assert_same = async |when: &str| {
        let again = Response::of(keyed(&setup, 1, "key-1", &body)).await;
        assert_eq!((again.status, &again.text), (201, &first.text), "{when}");
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{when}");
        }
    };

    assert_same("at once").await;
    setup.ada.patch(&setup.web, path, json!({ "title": "changed" })).await;
    assert_same("after a change").await;
    setup.ada.delete(&setup.web, path).await;
    assert_same("after the deletion").await;

    assert_eq!(setup.count().await, 0);
}

#[tokio::test]
async fn a_key_is_bound_to_one_body_and_account() {
    let setup = Setup::new().await;
    let (bob, _) = Client::signed_in_at(&setup.web).await;
    let (body, another) = (json!({ "title": "a", "body": "" }), json!({ "title": "b", "body": "" }));
    assert_eq!(Response::of(keyed(&setup, 0, "k", &body)).await.status, 201);

    Response::of(keyed(&setup, 1, "k", &another)).await.is_problem(422);
    assert_eq!(Response::of(keyed(&setup, 0, "l", &another)).await.status, 201);
    let bobs = bob.request(&setup.web, "POST", NOTES).header("idempotency-key", "k").json(&another);
    assert_eq!(Response::of(bobs).await.status, 201);

    assert_eq!(setup.count().await, 3);
}

#[tokio::test]
async fn fifty_parallel_requests_with_one_key_create_one_note() {
    let setup = Setup::new().await;
    let body = json!({ "title": "once", "body": "" });

    let responses = join_all((0..50).map(|turn| send_until_not_busy(keyed(&setup, turn, "one-key", &body)))).await;

    assert!(
        responses.iter().all(|response| without_request_id(response) == without_request_id(&responses[0])),
        "{responses:?}"
    );
    assert_eq!((responses[0].status, setup.count().await), (201, 1));
}

#[tokio::test]
async fn a_key_can_be_reused_after_a_day() {
    let setup = Setup::new().await;
    assert_eq!(Response::of(keyed(&setup, 0, "k", &json!({ "title": "a", "body": "" }))).await.status, 201);
    let mut connection = setup.deploy.connection().await;
    let age = sqlx::query("update idempotency_key set created_at = created_at - interval '24 hours'");
    age.execute(&mut connection).await.expect("the key is updated");

    let reused = Response::of(keyed(&setup, 0, "k", &json!({ "title": "b", "body": "" }))).await;

    assert_eq!((reused.status, setup.count().await), (201, 2), "{}", reused.text);
}

#[tokio::test]
async fn a_rejected_request_does_not_use_its_key() {
    let setup = Setup::new().await;

    Response::of(keyed(&setup, 0, "k", &json!({ "title": "", "body": "" }))).await.is_problem(422);

    assert_eq!(Response::of(keyed(&setup, 0, "k", &json!({ "title": "a", "body": "" }))).await.status, 201);
}

#[tokio::test]
async fn a_key_is_1_to_255_visible_characters() {
    let setup = Setup::new().await;
    let body = json!({ "title": "a", "body": "" });
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));

    for key in ["", " ", "a b", "a\tb", "é", too_long.as_str()] {
        Response::of(keyed(&setup, 0, key, &body)).await.is_problem(400);
    }
    Response::of(keyed(&setup, 0, "a", &body).header("idempotency-key", "b")).await.is_problem(400);

    assert_eq!(setup.count().await, 0);
    assert_eq!(Response::of(keyed(&setup, 0, &longest, &body)).await.status, 201);
}
