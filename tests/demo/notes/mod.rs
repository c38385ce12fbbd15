//! The demo domain, as its owners and strangers see it.

mod changes;
mod images;
mod keys;
mod odd;
mod pages;
mod round_trips;
mod uploads;

use crate::support::*;
use futures_util::future::join_all;
use sqlx::Connection;

const NOTES: &str = "/api/v1/notes";

/// A deploy with two webs, and a client that is signed in at both.
struct Desk {
    deploy: Deploy,
    web: Process,
    other: Process,
    _worker: Process,
    ada: Client,
    account: Account,
}

impl Desk {
    async fn new() -> Self {
        let deploy = Deploy::new().await;
        let (web, other, worker) = (deploy.web().await, deploy.web().await, deploy.worker());
        let (ada, account) = Client::signed_in_at(&web).await;
        Self { deploy, web, other, _worker: worker, ada, account }
    }

    /// Makes a note and answers its path.
    async fn note(&self, title: &str, body: &str) -> String {
        let made = self.ada.post(&self.web, NOTES, json!({ "title": title, "body": body })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.header("location").to_owned()
    }

    /// A request of Ada's, to one web and the other in turn.
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

/// An answer less what differs between any two.
fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.text.replace(answer.header("x-request-id"), ""))
}

#[tokio::test]
async fn a_note_is_made_read_changed_and_deleted() {
    let desk = Desk::new().await;
    let (ada, web) = (&desk.ada, &desk.web);

    let made = ada.post(web, NOTES, json!({ "title": "  Milk ", "body": "two\nlitres" })).await;
    let path = made.header("location");
    assert_eq!((made.status, path), (201, format!("{NOTES}/{}", made.body["id"].as_str().expect("an id")).as_str()));
    let mut fields = made.body.as_object().expect("a note").keys().collect::<Vec<_>>();
    fields.sort_unstable();
    assert_eq!(fields, ["body", "created_at", "id", "image", "title", "updated_at"]);
    assert_eq!((&made.body["title"], &made.body["image"]), (&json!("Milk"), &Value::Null));
    assert_eq!(made.body["created_at"], made.body["updated_at"]);
    let read = ada.get(&desk.other, path).await;
    assert_eq!((read.status, &read.text), (200, &made.text));

    let changed = ada.patch(web, path, json!({ "body": "" })).await;
    assert_eq!((changed.status, &changed.body["title"], &changed.body["body"]), (200, &json!("Milk"), &json!("")));
    assert_ne!(changed.body["updated_at"], made.body["updated_at"]);
    assert_eq!(ada.get(web, NOTES).await.body, json!({ "items": [changed.body], "next": null }));

    assert_eq!(ada.delete(web, path).await.status, 204);
    ada.get(web, path).await.is_problem(404);
    ada.delete(web, path).await.is_problem(404);
}

#[tokio::test]
async fn a_strangers_note_is_answered_like_one_that_never_was() {
    let desk = Desk::new().await;
    let (mine, never) = (desk.note("Mine", "").await, format!("{NOTES}/{}", uuid::Uuid::now_v7()));
    let (bob, _) = Client::signed_in_at(&desk.web).await;

    for method in ["GET", "PATCH", "DELETE"] {
        for condition in ["if-none-match", "if-match"] {
            let ask = async |path: &str| {
                let request = bob.request(&desk.web, method, path).header(condition, "\"1\"");
                Answer::of(request.json(&json!({ "title": "Bob's" }))).await
            };
            let (stranger, unknown) = (ask(&mine).await, ask(&never).await);

            stranger.is_problem(404);
            assert_eq!(told(&stranger), told(&unknown), "{method} {condition}");
        }
    }

    assert_eq!(bob.get(&desk.web, NOTES).await.body["items"], json!([]));
    assert_eq!(desk.ada.get(&desk.web, &mine).await.body["title"], "Mine");
}

#[tokio::test]
async fn who_is_not_signed_in_learns_nothing_of_notes() {
    let desk = Desk::new().await;
    let path = desk.note("Mine", "").await;

    for (method, path) in [("GET", NOTES), ("POST", NOTES), ("GET", &path), ("PATCH", &path), ("DELETE", &path)] {
        let request = Client::new().request(&desk.web, method, path).body("{");
        Answer::of(request.header("content-type", "application/json")).await.is_problem(401);
    }
}

#[tokio::test]
async fn the_longest_note_is_kept_as_it_is() {
    let desk = Desk::new().await;
    // Words that a search takes apart and keeps whole as well: as much to index as can be.
    let body: String = ('\u{20000}'..).step_by(2).take(50_000).flat_map(|letter| [letter, '-']).collect();
    let title = "😀".repeat(200);

    let path = desk.note(&title, &body).await;

    let read = desk.ada.get(&desk.web, &path).await;
    assert_eq!((read.body["title"].as_str(), read.body["body"].as_str()), (Some(&*title), Some(&*body)));
}

#[tokio::test]
async fn the_1001st_note_is_refused_whoever_comes_first() {
    let desk = Desk::new().await;
    let mut connection = desk.deploy.connection().await;
    let fill = "insert into note (id, account_id, title, body)
                select gen_random_uuid(), account.id, 'full', '' from account, generate_series(1, 995)";
    sqlx::query(fill).execute(&mut connection).await.expect("the notes are made");

    // All are under way before the first can end: none may have counted by then.
    let (mut gate, mut watch) = (desk.deploy.connection().await, desk.deploy.connection().await);
    let mut shut = gate.begin().await.expect("a transaction");
    sqlx::query("select id from account for update").execute(&mut *shut).await.expect("the account is locked");
    let post = |turn| patiently(desk.request(turn, "POST", NOTES).json(&json!({ "title": "one more", "body": "" })));
    let open = async {
        until("ten wait for the account", SOON, async || (waiting(&mut watch).await >= 10).then_some(())).await;
        shut.commit().await.expect("the account is let go");
    };
    let (answers, ()) = tokio::join!(join_all((0..20).map(post)), open);

    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.status != 201);
    refused.for_each(|answer| answer.is_problem(409));
    assert_eq!((made, desk.count().await), (5, 1_000));
}

/// How many of the deploy's connections wait for a lock.
async fn waiting(connection: &mut sqlx::PgConnection) -> i64 {
    let count = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    sqlx::query_scalar(count).fetch_one(connection).await.expect("the connections are counted")
}

/// The answer of a web that is not too busy to give one.
async fn patiently(request: reqwest::RequestBuilder) -> Answer {
    until("the web has time", SOON, async || {
        let answer = Answer::of(request.try_clone().expect("a body that is kept")).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn notes_go_with_their_account() {
    let desk = Desk::new().await;
    desk.note("Mine", "").await;

    let erase = json!({ "current_password": desk.account.password });
    let erased = desk.ada.delete_with(&desk.web, "/api/v1/accounts/current", erase).await;

    assert_eq!((erased.status, desk.count().await), (204, 0));
}
