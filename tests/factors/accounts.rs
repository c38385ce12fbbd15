//! The life of an account: sign-up, confirmation, sign-in, devices, resets, changes.

use crate::support::*;

async fn running() -> (Deploy, Process, Process) {
    let deploy = Deploy::new().await;
    let (web, worker) = (deploy.web().await, deploy.worker());
    (deploy, web, worker)
}

/// The body without the request id, which differs in every response.
fn without_request_id(response: &Response) -> String {
    response.text.replace(response.header("x-request-id"), "")
}

#[tokio::test]
async fn sign_in_fails_before_the_email_address_is_confirmed() {
    let (_deploy, web, _worker) = running().await;
    let (client, account) = (Client::new(), Account::new());
    client.sign_up(&web, &account).await;

    client.sign_in(&web, &account).await.is_problem(401);
}

#[tokio::test]
async fn sign_up_with_a_taken_email_gets_the_same_response() {
    let (_deploy, web, _worker) = running().await;
    let account = Client::new().signed_up(&web).await;

    let new = Client::new().sign_up(&web, &Account::new()).await;
    let taken = Client::new().sign_up(&web, &account).await;

    assert_eq!((taken.status, without_request_id(&taken)), (202, without_request_id(&new)));
    let notice = mail::emails(&account.email, 2).await.remove(1);
    let text = notice["text"].as_str().expect("a text");
    for link in ["http://app.test/#sign-in", "http://app.test/#forgot"] {
        assert!(text.lines().any(|line| line == link), "no link to {link}: {text}");
    }
}

#[tokio::test]
async fn unknown_emails_and_wrong_passwords_get_the_same_response() {
    let (_deploy, web, _worker) = running().await;
    let known = Client::new().signed_up(&web).await;
    let wrong = Account { password: "not the password".into(), ..known };

    let wrong = Client::new().sign_in(&web, &wrong).await;
    let unknown = Client::new().sign_in(&web, &Account::new()).await;

    wrong.is_problem(401);
    assert_eq!((unknown.status, without_request_id(&unknown)), (401, without_request_id(&wrong)));
}

#[tokio::test]
async fn a_token_can_be_used_only_once() {
    let (_deploy, web, _worker) = running().await;
    let (client, account) = (Client::new(), Account::new());
    client.sign_up(&web, &account).await;
    let token = mail::token(&account.email, "verify").await;

    assert_eq!(client.confirm(&web, &token, &account.password).await.status, 204);
    client.confirm(&web, &token, &account.password).await.is_problem(422);
}

#[tokio::test]
async fn one_of_twenty_parallel_uses_of_a_token_succeeds() {
    let (_deploy, web, _worker) = running().await;
    let account = Client::new().signed_up(&web).await;
    Client::new().request_reset(&web, &account).await;
    let token = mail::token(&account.email, "reset").await;

    let mut uses = tokio::task::JoinSet::new();
    for n in 0..20 {
        let body = json!({ "token": token, "password": format!("password number {n}") });
        let request = Client::new().request(&web, "PUT", "/api/v1/password-resets").json(&body);
        uses.spawn(async { Response::of(request).await.status });
    }

    let mut statuses = uses.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (204, &[422; 19][..]));
}

#[tokio::test]
async fn links_last_an_hour_a_day_or_a_week() {
    let (deploy, web, _worker) = running().await;
    let (ada, account) = Client::signed_in_at(&web).await;
    let (pending, next) = (Account::new(), Account::new());
    ada.sign_up(&web, &pending).await;
    ada.request_reset(&web, &account).await;
    let change = json!({ "email": next.email, "current_password": account.password });
    ada.patch(&web, "/api/v1/accounts/current", change).await;
    let verify = mail::token(&pending.email, "verify").await;
    let reset = mail::token(&account.email, "reset").await;
    let change = mail::token(&next.email, "change-email").await;

    let mut connection = deploy.connection().await;
    let hours = "select round(extract(epoch from expires_at - now()) / 3600)::int from token order by 1";
    let hours: Vec<i32> = sqlx::query_scalar(hours).fetch_all(&mut connection).await.expect("the tokens");
    assert_eq!(hours, [1, 24, 7 * 24]);
    let expire = sqlx::query("update token set expires_at = now()");
    expire.execute(&mut connection).await.expect("the tokens are updated");

    ada.confirm(&web, &verify, &pending.password).await.is_problem(422);
    ada.reset(&web, &reset, "another good one").await.is_problem(422);
    ada.confirm_change(&web, &change).await.is_problem(422);
}

#[tokio::test]
async fn a_token_works_only_for_its_purpose() {
    let (_deploy, web, _worker) = running().await;
    let (ada, account) = Client::signed_in_at(&web).await;
    let (pending, next) = (Account::new(), Account::new());
    ada.sign_up(&web, &pending).await;
    ada.request_reset(&web, &account).await;
    let change = json!({ "email": next.email, "current_password": account.password });
    ada.patch(&web, "/api/v1/accounts/current", change).await;
    let verify = mail::token(&pending.email, "verify").await;
    let reset = mail::token(&account.email, "reset").await;
    let change = mail::token(&next.email, "change-email").await;

    for token in [&reset, &change] {
        ada.confirm(&web, token, &pending.password).await.is_problem(422);
    }
    for token in [&verify, &change] {
        ada.reset(&web, token, "another good one").await.is_problem(422);
    }
    for token in [&verify, &reset] {
        ada.confirm_change(&web, token).await.is_problem(422);
    }

    // All are still unused.
    assert_eq!(ada.confirm(&web, &verify, &pending.password).await.status, 204);
    assert_eq!(ada.confirm_change(&web, &change).await.status, 204);
    ada.reset(&web, &reset, "another good one").await.is_problem(422); // sent to the old email
}

#[tokio::test]
async fn a_weak_password_keeps_the_token_valid() {
    let (_deploy, web, _worker) = running().await;
    let (client, account) = (Client::new(), Account::new());
    client.sign_up(&web, &account).await;
    let verify = mail::token(&account.email, "verify").await;

    for weak in ["short", "password123", &account.email, &"x".repeat(129)] {
        let response = client.confirm(&web, &verify, weak).await;
        response.is_problem(422);
        assert_eq!(response.body["errors"][0]["field"], "password", "{}", response.text);
    }

    assert_eq!(client.confirm(&web, &verify, &account.password).await.status, 204);
    client.request_reset(&web, &account).await;
    let reset = mail::token(&account.email, "reset").await;
    client.reset(&web, &reset, "short").await.is_problem(422);
    assert_eq!(client.reset(&web, &reset, "another good one").await.status, 204);
}

#[tokio::test]
async fn a_reset_for_an_unknown_email_returns_202() {
    let (_deploy, web, _worker) = running().await;

    let body = json!({ "email": Account::new().email });
    let response = Client::new().post(&web, "/api/v1/password-resets", body).await;

    assert_eq!(response.status, 202, "{}", response.text);
}

#[tokio::test]
async fn devices_can_be_listed_and_signed_out() {
    let (_deploy, web, _worker) = running().await;
    let (laptop, account) = Client::signed_in_at(&web).await;
    let phone = Client::new();
    phone.sign_in(&web, &account).await;

    let list = laptop.get(&web, "/api/v1/sessions").await;
    let items = list.body["items"].as_array().expect("a list").clone();
    let other = items.iter().find(|item| item["current"] == false).expect("the phone");
    let id = other["id"].as_str().expect("an id");
    assert_eq!((list.status, items.len(), &list.body["next"]), (200, 2, &Value::Null));
    assert!(["user_agent", "created_at", "expires_at"].iter().all(|f| other.get(f).is_some()));
    assert_ne!(id, phone.session(&web), "the list exposes no session id");
    assert_eq!(laptop.delete(&web, &format!("/api/v1/sessions/{id}")).await.status, 204);
    assert_eq!((phone.signed_in(&web).await, laptop.signed_in(&web).await), (401, 200));

    phone.sign_in(&web, &account).await;
    assert_eq!(phone.delete(&web, "/api/v1/sessions").await.status, 204);
    assert_eq!((phone.signed_in(&web).await, laptop.signed_in(&web).await), (401, 401));
}

#[tokio::test]
async fn a_stranger_cannot_sign_out_my_device() {
    let (_deploy, web, _worker) = running().await;
    let ((ada, _), (bob, _)) = (Client::signed_in_at(&web).await, Client::signed_in_at(&web).await);
    let list = ada.get(&web, "/api/v1/sessions").await;
    let id = list.body["items"][0]["id"].as_str().expect("an id").to_owned();

    bob.delete(&web, &format!("/api/v1/sessions/{id}")).await;

    assert_eq!(ada.signed_in(&web).await, 200);
}

#[tokio::test]
async fn a_wrong_current_password_changes_nothing() {
    let (_deploy, web, _worker) = running().await;
    let (ada, account) = Client::signed_in_at(&web).await;
    let wrong = json!({ "current_password": "not this one", "new_password": "a much better one" });

    ada.put(&web, "/api/v1/accounts/current/password", wrong).await.is_problem(403);
    let erase = json!({ "current_password": "not this one" });
    ada.delete_with(&web, "/api/v1/accounts/current", erase).await.is_problem(403);

    assert_eq!(Client::new().sign_in(&web, &account).await.status, 201);
}

#[tokio::test]
async fn an_email_change_takes_effect_on_confirmation() {
    let (_deploy, web, _worker) = running().await;
    let (ada, old) = Client::signed_in_at(&web).await;
    let new = Account { email: Account::new().email, ..old.clone() };
    let body = json!({ "email": new.email, "current_password": old.password });

    assert_eq!(ada.patch(&web, "/api/v1/accounts/current", body).await.status, 202);
    let token = mail::token(&new.email, "change-email").await;
    assert_eq!(Client::new().sign_in(&web, &old).await.status, 201, "the old email address is still valid");
    mail::emails(&old.email, 2).await; // and is notified
    assert_eq!(ada.confirm_change(&web, &token).await.status, 204);

    assert_eq!(Client::new().sign_in(&web, &new).await.status, 201);
    assert_eq!(Client::new().sign_in(&web, &old).await.status, 401);
}

#[tokio::test]
async fn an_email_change_can_go_back_to_the_first_choice() {
    let (_deploy, web, _worker) = running().await;
    let (ada, account) = Client::signed_in_at(&web).await;
    let (first, second) = (Account::new(), Account::new());
    let change = async |new: &Account| {
        let body = json!({ "email": new.email, "current_password": account.password });
        assert_eq!(ada.patch(&web, "/api/v1/accounts/current", body).await.status, 202);
    };

    change(&first).await;
    let dead = mail::token(&first.email, "change-email").await;
    change(&second).await;
    change(&first).await;
    let token = mail::another_token(&first.email, "change-email", &[&dead]).await;

    ada.confirm_change(&web, &dead).await.is_problem(422);
    assert_eq!(ada.confirm_change(&web, &token).await.status, 204);
}

#[tokio::test]
async fn an_invalid_email_is_rejected() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let invalid = Account { email: "not an email".into(), password: String::new() };

    Client::new().sign_up(&web, &invalid).await.is_problem(422);
    Client::new().request_reset(&web, &invalid).await.is_problem(422);
}
