//! `GET /api/v1/live`: the account's own sessions and emails, and counts of everything else.

use crate::support::*;

async fn live(client: &Client, web: &Process) -> Value {
    let response = client.get(web, "/api/v1/live").await;
    assert_eq!(response.status, 200, "{}", response.text);
    response.body
}

fn kinds(live: &Value) -> Vec<&str> {
    let emails = live["emails"].as_array().expect("emails");
    let mut kinds: Vec<&str> = emails.iter().filter_map(|email| email["kind"].as_str()).collect();
    kinds.sort_unstable();
    kinds
}

fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_signed_out_client_gets_401() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;

    Client::new().get(&web, "/api/v1/live").await.is_problem(401);
}

#[tokio::test]
async fn it_reports_the_instance_and_the_session_ttl() {
    let deploy = Deploy::new().await.with("SESSION_IDLE_SECONDS", "600");
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&web).await;

    let live = live(&ada, &web).await;

    assert_eq!(live["served_by"], ada.get(&web, "/version").await.body);
    let [session] = live["sessions"].as_array().expect("sessions").as_slice() else { panic!("one session: {live}") };
    assert_eq!(session["device"]["current"], true);
    assert!((590..=600).contains(&session["ttl_seconds"].as_i64().expect("seconds")), "{session}");
    assert!(live["redis_keys"].as_u64().is_some_and(|keys| keys >= 2), "{live}");
    assert_eq!(names(&live["queue"]), ["dead", "oldest_ready_seconds", "ready"]);
}

#[tokio::test]
async fn it_shows_only_the_sessions_of_the_account() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    let (bob, _) = Client::signed_in_at(&web).await;
    assert_eq!(Client::new().sign_in(&web, &account).await.status, 201);

    let (ada, bob) = (live(&ada, &web).await, live(&bob, &web).await);

    let ids = |live: &Value| {
        live["sessions"].as_array().expect("sessions").iter().map(|one| one["device"]["id"].clone()).collect()
    };
    let (ada, bob): (Vec<Value>, Vec<Value>) = (ids(&ada), ids(&bob));
    assert_eq!((ada.len(), bob.len()), (2, 1));
    assert!(!ada.contains(&bob[0]));
}

#[tokio::test]
async fn it_shows_only_the_emails_of_the_account() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, her) = Client::signed_in_at(&web).await;
    let (bob, his) = Client::signed_in_at(&web).await;

    // Ada requests an email; Bob requests two, one of them to Ada's email address.
    let reset = ada.post(&web, "/api/v1/password-resets", json!({ "email": her.email })).await;
    assert_eq!(reset.status, 202, "{}", reset.text);
    let change = json!({ "email": her.email, "current_password": his.password });
    let change = bob.patch(&web, "/api/v1/accounts/current", change).await;
    assert_eq!(change.status, 202, "{}", change.text);

    let hers = live(&ada, &web).await;
    let his = live(&bob, &web).await;
    assert_eq!(kinds(&hers), ["reset"]);
    assert_eq!(kinds(&his), ["email_change", "email_change_requested"]);
    assert_eq!(names(&hers["emails"][0]), ["created_at", "kind", "sent_at"]);
    until("the email is reported as sent", SOON, async || {
        live(&ada, &web).await["emails"][0]["sent_at"].is_string().then_some(())
    })
    .await;
}
