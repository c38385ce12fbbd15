//! Attacks on sign-up and on the emails: to take over the account of somebody else, to keep the owner of a mailbox from
//! getting an email, and to fill the mailbox.

use crate::support::*;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

const WEAK: &str = "short";

async fn running() -> (Deploy, Process, Process) {
    let deploy = Deploy::new().await;
    let (web, worker) = (deploy.web().await, deploy.worker());
    (deploy, web, worker)
}

/// Waits until the worker has sent every email.
async fn until_sent(deploy: &Deploy) {
    queue::until_number(&mut deploy.connection().await, queue::EMAILS, 0, 4 * SOON).await;
}

/// The account's email address with a tag.
fn tagged(account: &Account, tag: usize) -> Account {
    let (name, domain) = account.email.split_once('@').expect("an email address");
    Account { email: format!("{name}+{tag}@{domain}"), ..account.clone() }
}

/// All emails to a mailbox, with any tag.
async fn received(account: &Account) -> usize {
    mail::to(account.email.split('@').next().expect("a name")).await.len()
}

/// Puts the times of a mailbox's reset emails back.
async fn age_emails(account: &Account, minutes: i64) {
    let redis = redis::Client::open(service("REDIS_URL")).expect("REDIS_URL is a URL");
    let mut redis = redis.get_multiplexed_async_connection().await.expect("Redis is up");
    let pattern = format!("*emails:reset:{}", URL_SAFE_NO_PAD.encode(Sha256::digest(&account.email)));
    let [key]: [String; 1] = redis::cmd("KEYS").arg(pattern).query_async(&mut redis).await.expect("one key");
    let times: HashMap<String, i64> = redis::cmd("HGETALL").arg(&key).query_async(&mut redis).await.expect("times");
    for (network, time) in times {
        let mut set = redis::cmd("HSET");
        set.arg(&key).arg(network).arg(time - minutes * 60_000);
        let _: i64 = set.query_async(&mut redis).await.expect("the time is set");
    }
}

#[tokio::test]
async fn a_stranger_who_signs_a_victim_up_gets_and_blocks_nothing() {
    let (deploy, web, _worker) = running().await;
    let (stranger, victim, ada) = (Client::new(), Client::new(), Account::new());
    let typed = Account { password: "a stranger's password".into(), ..ada.clone() };

    stranger.post(&web, "/api/v1/accounts", typed.credentials()).await.is_problem(422);
    for _ in 0..5 {
        assert_eq!(stranger.sign_up(&web, &ada).await.status, 202);
    }
    let first = mail::token(&ada.email, "verify").await;
    assert_eq!(victim.sign_up(&web, &ada).await.status, 202);
    let own = mail::another_token(&ada.email, "verify", &[&first]).await;
    assert_eq!(victim.confirm(&web, &own, &ada.password).await.status, 204);

    until_sent(&deploy).await;
    assert_eq!(mail::to(&ada.email).await.len(), 2, "one per network");
    assert_eq!(victim.sign_in(&web, &ada).await.status, 201);
    stranger.sign_in(&web, &typed).await.is_problem(401);
    stranger.confirm(&web, &first, &typed.password).await.is_problem(422);
}

#[tokio::test]
async fn strangers_cannot_keep_the_owner_from_a_reset_email() {
    let (_deploy, web, _worker) = running().await;
    let (owner, mut seen) = (Client::new(), Vec::new());
    let ada = owner.signed_up(&web).await;

    for _ in 0..5 {
        assert_eq!(Client::new().request_reset(&web, &ada).await.status, 202);
        let seen_now: Vec<&str> = seen.iter().map(String::as_str).collect();
        seen.push(mail::another_token(&ada.email, "reset", &seen_now).await);
    }
    assert_eq!(owner.request_reset(&web, &ada).await.status, 202);

    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    let own = mail::another_token(&ada.email, "reset", &seen).await;
    assert_eq!(owner.reset(&web, &own, "another good one").await.status, 204);
}

#[tokio::test]
async fn sign_ups_cannot_use_up_the_reset_emails_of_a_mailbox() {
    let (deploy, web, _worker) = running().await;
    let (owner, ada) = (Client::new(), Client::new().signed_up(&web).await);

    for _ in 0..30 {
        assert_eq!(Client::new().sign_up(&web, &ada).await.status, 202);
    }
    until_sent(&deploy).await;
    owner.request_reset(&web, &ada).await;

    mail::token(&ada.email, "reset").await;
}

#[tokio::test]
async fn a_mailbox_gets_at_most_24_emails_a_day() {
    let (deploy, web, _worker) = running().await;
    let (ada, account) = Client::signed_in_at(&web).await;
    let mailbox = Account::new();
    let known = Client::new();
    known.sign_up(&web, &mailbox).await;
    let token = mail::token(&mailbox.email, "verify").await;
    assert_eq!(known.confirm(&web, &token, &mailbox.password).await.status, 204);

    for tag in 0..30 {
        let (stranger, tagged) = (Client::new(), tagged(&mailbox, tag));
        assert_eq!(stranger.sign_up(&web, &tagged).await.status, 202);
        assert_eq!(stranger.request_reset(&web, &mailbox).await.status, 202);
        let change = json!({ "email": tagged.email, "current_password": account.password });
        let change = ada.request(&web, "PATCH", "/api/v1/accounts/current").json(&change);
        // The last address counts, as the proxy in front of the web has added it.
        let change = Response::of(change.header("x-forwarded-for", &stranger.address)).await;
        assert_eq!(change.status, 202, "{}", change.text);
    }
    until_sent(&deploy).await;

    let received = received(&mailbox).await;
    assert!((12..=24).contains(&received), "{received} emails");
}

#[tokio::test]
async fn one_network_gets_one_email_while_its_link_works() {
    let (deploy, web, _worker) = running().await;
    let client = Client::new();
    let ada = client.signed_up(&web).await;

    for _ in 0..3 {
        assert_eq!(client.request_reset(&web, &ada).await.status, 202);
    }
    until_sent(&deploy).await;
    assert_eq!(mail::to(&ada.email).await.len(), 2, "the sign-up's and one more");
    let first = mail::token(&ada.email, "reset").await;
    assert_eq!(client.reset(&web, &first, "another good one").await.status, 204);
    client.request_reset(&web, &ada).await;

    mail::another_token(&ada.email, "reset", &[&first]).await;
}

#[tokio::test]
async fn ten_minutes_later_a_network_gets_another_email() {
    let (deploy, web, _worker) = running().await;
    let client = Client::new();
    let ada = client.signed_up(&web).await;
    client.request_reset(&web, &ada).await;
    let first = mail::token(&ada.email, "reset").await;

    age_emails(&ada, 8).await;
    client.request_reset(&web, &ada).await;
    age_emails(&ada, 2).await;
    until_sent(&deploy).await;
    assert_eq!(mail::to(&ada.email).await.len(), 2, "the sign-up's and one more");
    client.request_reset(&web, &ada).await;

    mail::another_token(&ada.email, "reset", &[&first]).await;
}

#[tokio::test]
async fn each_link_works_until_one_is_used() {
    let (_deploy, web, _worker) = running().await;
    let (laptop, phone, ada) = (Client::new(), Client::new(), Account::new());
    laptop.sign_up(&web, &ada).await;
    let first = mail::token(&ada.email, "verify").await;
    phone.sign_up(&web, &ada).await;
    let second = mail::another_token(&ada.email, "verify", &[&first]).await;

    laptop.confirm(&web, &second, WEAK).await.is_problem(422);
    assert_eq!(laptop.confirm(&web, &first, &ada.password).await.status, 204);
    laptop.confirm(&web, &second, "another good one").await.is_problem(422);
    laptop.request_reset(&web, &ada).await;
    let first = mail::token(&ada.email, "reset").await;
    phone.request_reset(&web, &ada).await;
    let second = mail::another_token(&ada.email, "reset", &[&first]).await;

    assert_eq!(laptop.reset(&web, &first, "another good one").await.status, 204, "the older one works");
    laptop.reset(&web, &second, "the best one of all").await.is_problem(422);
}

#[tokio::test]
async fn one_of_ten_parallel_uses_of_two_sign_up_links_succeeds() {
    let (_deploy, web, _worker) = running().await;
    let ada = Account::new();
    Client::new().sign_up(&web, &ada).await;
    let first = mail::token(&ada.email, "verify").await;
    Client::new().sign_up(&web, &ada).await;
    let second = mail::another_token(&ada.email, "verify", &[&first]).await;

    let uses = (0..10).map(async |n| {
        let token = if n % 2 == 0 { &first } else { &second };
        Client::new().confirm(&web, token, &format!("password number {n}")).await.status
    });
    let mut statuses = futures_util::future::join_all(uses).await;

    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (204, &[422; 9][..]));
}

#[tokio::test]
async fn malformed_tokens_do_not_count_against_the_rate_limit() {
    let (_deploy, web, _worker) = running().await;
    let (client, ada) = (Client::new(), Account::new());
    client.sign_up(&web, &ada).await;
    let token = mail::token(&ada.email, "verify").await;

    for malformed in ["x", "", &token[..42], &format!("{token}A"), &format!("{}=", &token[..42])] {
        for _ in 0..10 {
            for response in [
                client.confirm(&web, malformed, &ada.password).await,
                client.reset(&web, malformed, &ada.password).await,
                client.confirm_change(&web, malformed).await,
            ] {
                response.is_problem(422);
                assert_eq!(response.body["type"], "urn:problem:invalid-token");
            }
        }
    }

    assert_eq!(client.confirm(&web, &token, &ada.password).await.status, 204);
}

#[tokio::test]
async fn a_huge_password_at_sign_in_is_wrong_like_a_short_one() {
    let (_deploy, web, _worker) = running().await;
    let ada = Client::new().signed_up(&web).await;

    for password in ["not the password", &"x".repeat(1_000_000)] {
        let body = json!({ "email": ada.email, "password": password });
        let response = Client::new().post(&web, "/api/v1/sessions", body).await;
        response.is_problem(401);
        assert_eq!(response.body["type"], "urn:problem:wrong-credentials");
    }
}

#[tokio::test]
async fn the_email_says_when_the_sign_up_was_requested() {
    let (_deploy, web, _worker) = running().await;
    let ada = Account::new();
    let date = time::OffsetDateTime::now_utc().date();
    Client::new().sign_up(&web, &ada).await;

    let email = mail::emails(&ada.email, 1).await.remove(0);

    let text = email["text"].as_str().expect("a text");
    let (_, rest) = text.split_once(" on ").expect("a time");
    let (day, rest) = rest.split_once(" at ").expect("a time");
    assert!([Some(date), date.next_day()].iter().flatten().any(|date| date.to_string() == day), "{text}");
    assert!(rest[2..].starts_with(':') && rest[5..].starts_with(" UTC"), "{text}");
}
