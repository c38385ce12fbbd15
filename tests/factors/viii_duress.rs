//! VIII. Many emails, while workers are killed and the mail server fails.

use crate::support::sink::Sink;
use crate::support::*;
use rustix::process::Signal;
use std::collections::BTreeSet;

/// Concurrent jobs in one worker.
const CONCURRENCY: usize = 4;

/// Adds sign-ups with an email each, as `POST /accounts` does.
async fn sign_up(deploy: &Deploy, people: i32) {
    let added: i64 = sqlx::query_scalar(
        "with person as (
             insert into sign_up (id, email)
                  select gen_random_uuid(), n || '@example.com' from generate_series(1, $1) as n
               returning id, email),
         requested as (
             insert into outbox_email (id, kind, recipient, subject_id)
                  select gen_random_uuid(), 'sign_up', email, id from person
               returning id)
         select count(add_job('send_account_email', jsonb_build_object('email', id))) from requested",
    )
    .bind(people)
    .fetch_one(&mut deploy.connection().await)
    .await
    .expect("the emails are added");
    assert_eq!(added, i64::from(people));
}

/// Asserts that every email arrived, with at most so many duplicates, and that the queue is empty.
async fn assert_all_arrived(deploy: &Deploy, sink: &Sink, emails: usize, duplicates: usize) {
    let ids = sink.ids();
    let different: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), emails);
    assert!(ids.len() <= emails + duplicates, "{} emails arrived", ids.len());
    let list = until("the queue is empty", SOON, async || {
        let list = deploy.run("jobs", &["list"]).await;
        (!list.out.contains("send_account_email")).then_some(list)
    });
    assert_eq!(list.await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_email_is_lost_when_twenty_workers_are_killed() {
    const EMAILS: usize = 1_000;
    const KILLS: usize = 20;
    let sink = Sink::start().await;
    let proxy = Proxy::to_url(&sink.url(), Mode::Pass).await;
    let deploy = Deploy::new().await.with("SMTP_URL", &sink.url());
    let deploy = deploy.through("SMTP_URL", proxy.port);
    sign_up(&deploy, EMAILS as i32).await;

    for kill in 0..KILLS {
        let (worker, before) = (deploy.worker(), sink.ids().len());
        if kill == KILLS / 2 {
            proxy.set(Mode::Refuse).await;
            tokio::time::sleep(Duration::from_secs(20)).await; // the time itself is what is tested
            proxy.set(Mode::Pass).await;
        }
        until("the worker sends an email", Duration::from_secs(60), async || (sink.ids().len() > before).then_some(()))
            .await;
        worker.signal(Signal::KILL);
    }
    assert!(sink.ids().len() < EMAILS, "the last worker had no email left to send");
    let orphans = running_jobs(&deploy).await;
    assert!(!orphans.is_empty());
    let _worker = deploy.worker();
    until("the orphans are run again", Duration::from_secs(30), async || {
        running_jobs(&deploy).await.is_disjoint(&orphans).then_some(())
    })
    .await;
    until("every email arrives", Duration::from_secs(120), async || {
        let ids: BTreeSet<String> = sink.ids().into_iter().collect();
        (ids.len() == EMAILS).then_some(())
    })
    .await;

    assert_all_arrived(&deploy, &sink, EMAILS, KILLS * CONCURRENCY).await;
}

/// The running jobs: their ids and lease tokens.
async fn running_jobs(deploy: &Deploy) -> BTreeSet<(i64, String)> {
    let jobs = sqlx::query_as("select id, token::text from job where token is not null");
    let jobs: Vec<_> = jobs.fetch_all(&mut deploy.connection().await).await.expect("the jobs");
    jobs.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_run_each_of_4000_jobs_once() {
    const EMAILS: usize = 4_000;
    let sink = Sink::start().await;
    let deploy = Deploy::new().await.with("SMTP_URL", &sink.url());
    sign_up(&deploy, EMAILS as i32).await;

    let workers = [0; 4].map(|_| deploy.worker());
    until("every email arrives", Duration::from_secs(120), async || (sink.ids().len() >= EMAILS).then_some(())).await;

    assert_all_arrived(&deploy, &sink, EMAILS, 0).await;
    for worker in &workers {
        let done = worker.logs().iter().filter(|line| line["message"] == "job done").count();
        assert!(done > 0, "a worker has run no job");
    }
}
