//! The API of the demo domain, notes.

mod attacks;
mod changes;
mod images;
mod keys;
mod malformed;
mod pages;
mod round_trips;
mod uploads;

use crate::support::*;
use futures_util::future::join_all;
use sqlx::Connection;

const NOTES: &str = "/api/v1/notes";

/// A deploy with two web processes, and a client with a session.
struct Setup {
    deploy: Deploy,
    web: Process,
    other: Process,
    _worker: Process,
    ada: Client,
    account: Account,
}

impl Setup {
    async fn new() -> Self {
        let deploy = Deploy::new().await;
        let (web, other, worker) = (deploy.web().await, deploy.web().await, deploy.worker());
        let (ada, account) = Client::signed_in_at(&web).await;
        Self { deploy, web, other, _worker: worker, ada, account }
    }

    /// Creates a note and returns its path.
    async fn note(&self, title: &str, body: &str) -> String {
        let created = self.ada.post(&self.web, NOTES, json!({ "title": title, "body": body })).await;
        assert_eq!(created.status, 201, "{}", created.text);
        created.header("location").to_owned()
    }

    /// A request of Ada's: an even turn goes to one web process, an odd turn to the other.
    fn request(&self, turn: usize, method: &str, path: &str) -> reqwest::RequestBuilder {
        let web = if turn.is_multiple_of(2) { &self.web } else { &self.other };
        self.ada.request(web, method, path)
    }

    async fn count(&self) -> i64 {
        let mut connection = self.deploy.connection().await;
        let count = sqlx::query_scalar("select count(*) from note").fetch_one(&mut connection).await;
        count.expect("the notes are counted")
    }
}

/// The status and the body without the request id, which differs in every response.
fn without_request_id(response: &Response) -> (u16, String) {
    (response.status, response.text.replace(response.header("x-request-id"), ""))
}

#[tokio::test]
async fn a_note_is_created_read_changed_and_deleted() {
    let setup = Setup::new().await;
    let (ada, web) = (&setup.ada, &setup.web);

    let created = ada.post(web, NOTES, json!({ "title": "  Milk ", "body": "two\nlitres" })).await;
    let path = created.header("location");
    assert_eq!(
        (created.status, path),
        (201, format!("{NOTES}/{}", created.body["id"].as_str().expect("an id")).as_str())
    );
    let mut fields = created.body.as_object().expect("a note").keys().collect::<Vec<_>>();
    fields.sort_unstable();
    assert_eq!(fields, ["body", "created_at", "id", "image", "title", "updated_at"]);
    assert_eq!((&created.body["title"], &created.body["image"]), (&json!("Milk"), &Value::Null));
    assert_eq!(created.body["created_at"], created.body["updated_at"]);
    let read = ada.get(&setup.other, path).await;
    assert_eq!((read.status, &read.text), (200, &created.text));

    let changed = ada.patch(web, path, json!({ "body": "" })).await;
    assert_eq!((changed.status, &changed.body["title"], &changed.body["body"]), (200, &json!("Milk"), &json!("")));
    assert_ne!(changed.body["updated_at"], created.body["updated_at"]);
    assert_eq!(ada.get(web, NOTES).await.body, json!({ "items": [changed.body], "next": null }));

    assert_eq!(ada.delete(web, path).await.status, 204);
    ada.get(web, path).await.is_problem(404);
    ada.delete(web, path).await.is_problem(404);
}

#[tokio::test]
async fn a_strangers_note_looks_like_an_unknown_note() {
    let setup = Setup::new().await;
    let (mine, unused) = (setup.note("Mine", "").await, format!("{NOTES}/{}", uuid::Uuid::now_v7()));
    let (bob, _) = Client::signed_in_at(&setup.web).await;

    for method in ["GET", "PATCH", "DELETE"] {
        for condition in ["if-none-match", "if-match"] {
            let send = async |path: &str| {
                let request = bob.request(&setup.web, method, path).header(condition, "\"1\"");
                Response::of(request.json(&json!({ "title": "Bob's" }))).await
            };
            let (stranger, unknown) = (send(&mine).await, send(&unused).await);

            stranger.is_problem(404);
            assert_eq!(without_request_id(&stranger), without_request_id(&unknown), "{method} {condition}");
        }
    }

    assert_eq!(bob.get(&setup.web, NOTES).await.body["items"], json!([]));
    assert_eq!(setup.ada.get(&setup.web, &mine).await.body["title"], "Mine");
}

#[tokio::test]
async fn a_signed_out_client_gets_401_for_notes() {
    let setup = Setup::new().await;
    let path = setup.note("Mine", "").await;

    for (method, path) in [("GET", NOTES), ("POST", NOTES), ("GET", &path), ("PATCH", &path), ("DELETE", &path)] {
        let request = Client::new().request(&setup.web, method, path).body("{");
        Response::of(request.header("content-type", "application/json")).await.is_problem(401);
    }
}

#[tokio::test]
async fn the_longest_note_is_stored_unchanged() {
    let setup = Setup::new().await;
    // Compound words, indexed in parts and as a whole: the largest possible search index.
    let body: String = ('\u{20000}'..).step_by(2).take(50_000).flat_map(|character| [character, '-']).collect();
    let title = "😀".repeat(200);

    let path = setup.note(&title, &body).await;

    let read = setup.ada.get(&setup.web, &path).await;
    assert_eq!((read.body["title"].as_str(), read.body["body"].as_str()), (Some(&*title), Some(&*body)));
}

#[tokio::test]
async fn the_1001st_note_is_rejected_under_concurrency() {
    let setup = Setup::new().await;
    let mut connection = setup.deploy.connection().await;
    let fill = "insert into note (id, account_id, title, body)
                select gen_random_uuid(), account.id, 'full', '' from account, generate_series(1, 995)";
    sqlx::query(fill).execute(&mut connection).await.expect("the notes are inserted");

    // All requests are in flight before the first can commit: a lock on the account holds them.
    let (mut gate, mut monitor) = (setup.deploy.connection().await, setup.deploy.connection().await);
    let mut lock = gate.begin().await.expect("a transaction");
    sqlx::query("select id from account for update").execute(&mut *lock).await.expect("the account is locked");
    let post = |turn| {
        send_until_not_busy(setup.request(turn, "POST", NOTES).json(&json!({ "title": "one more", "body": "" })))
    };
    let unlock = async {
        until("eight requests wait for the lock", SOON, async || (waiting(&mut monitor).await >= 8).then_some(()))
            .await;
        lock.commit().await.expect("the account is unlocked");
    };
    let (responses, ()) = tokio::join!(join_all((0..20).map(post)), unlock);

    let created = responses.iter().filter(|response| response.status == 201).count();
    let rejected = responses.iter().filter(|response| response.status != 201);
    rejected.for_each(|response| response.is_problem(409));
    assert_eq!((created, setup.count().await), (5, 1_000));
}

/// How many of the deploy's connections wait for a lock.
async fn waiting(connection: &mut sqlx::PgConnection) -> i64 {
    let count = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    sqlx::query_scalar(count).fetch_one(connection).await.expect("the connections are counted")
}

/// Sends the request until the status is not 503, or 429 for too many in flight.
async fn send_until_not_busy(request: reqwest::RequestBuilder) -> Response {
    until("the web is not busy", SOON, async || {
        let response = Response::of(request.try_clone().expect("a body that can be cloned")).await;
        (!matches!(response.status, 429 | 503)).then_some(response)
    })
    .await
}

#[tokio::test]
async fn notes_are_deleted_with_their_account() {
    let setup = Setup::new().await;
    setup.note("Mine", "").await;

    let erase = json!({ "current_password": setup.account.password });
    let erased = setup.ada.delete_with(&setup.web, "/api/v1/accounts/current", erase).await;

    assert_eq!((erased.status, setup.count().await), (204, 0));
}
