//! IV, VIII. Through a pooler in transaction mode, which may use another connection for each transaction.

use crate::support::sink::Sink;
use crate::support::*;
use std::collections::BTreeSet;

/// A deploy whose programs connect to Postgres through PgBouncer. Its database is migrated without it.
async fn pooled() -> Deploy {
    let port = service("POOLER_PORT").parse().expect("a port");
    let deploy = Deploy::new().await.through("DATABASE_URL", port);
    let plain = format!("{}?sslmode=disable", deploy.var("DATABASE_URL"));
    deploy.with("DATABASE_URL", &plain)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "script/pooler starts a PgBouncer and runs it"]
async fn each_of_many_sign_ups_gets_one_email() {
    const PEOPLE: usize = 40;
    let sink = Sink::start().await;
    let deploy = pooled().await.with("SMTP_URL", &sink.url());
    let (web, workers) = (deploy.web().await, [0; 3].map(|_| deploy.worker()));

    let sign_ups = (0..PEOPLE).map(async |_| {
        let response = Client::new().sign_up(&web, &Account::new()).await;
        assert_eq!(response.status, 202, "{}", response.text);
    });
    futures_util::future::join_all(sign_ups).await;

    until("every email arrives", Duration::from_secs(60), async || (sink.ids().len() >= PEOPLE).then_some(())).await;
    until("the queue is empty", SOON, async || {
        (!deploy.run("jobs", &["list"]).await.out.contains("send_account_email")).then_some(())
    })
    .await;
    let different: BTreeSet<String> = sink.ids().into_iter().collect();
    assert_eq!((different.len(), sink.ids().len()), (PEOPLE, PEOPLE));
    for worker in &workers {
        let warnings: Vec<_> = worker.logs().into_iter().filter(|line| line["level"] != "INFO").collect();
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[tokio::test]
#[ignore = "script/pooler starts a PgBouncer and runs it"]
async fn the_schedule_and_the_takeover_work_through_the_pooler() {
    let deploy = pooled().await;
    let mail = Proxy::to_service("SMTP_URL", Mode::Blackhole).await;
    let web = deploy.web().await;
    let account = Account::new();
    Client::new().sign_up(&web, &account).await;
    let first = deploy.copy().through("SMTP_URL", mail.port).worker();
    first.log("the schedule has run", |line| line["message"] == "job done" && line["task"] == "clean_up").await;
    let mut db = deploy.connection().await;
    until("the email job is running", SOON, async || {
        let running = "select count(*) from job where token is not null and task = 'send_account_email'";
        let running: i64 = sqlx::query_scalar(running).fetch_one(&mut db).await.expect("a number");
        (running == 1).then_some(())
    })
    .await;

    first.signal(rustix::process::Signal::KILL);
    let _next = deploy.worker();

    until("the email arrives", Duration::from_secs(40), async || {
        (!mail::to(&account.email).await.is_empty()).then_some(())
    })
    .await;
}
