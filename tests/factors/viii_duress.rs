//! VIII. Many emails, whatever happens to those who carry them.

use crate::support::sink::Sink;
use crate::support::*;
use rustix::process::Signal;
use std::collections::BTreeSet;

/// At once in one worker.
const CONCURRENCY: usize = 4;

/// Adds sign-ups with an email each, which is what a thousand people do.
async fn sign_up(deploy: &Deploy, people: i32) {
    let added: i64 = sqlx::query_scalar(
        "with person as (
             insert into sign_up (id, email, password_hash)
                  select gen_random_uuid(), n || '@example.com', '-' from generate_series(1, $1) as n
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
    .expect("emails are added");
    assert_eq!(added, i64::from(people));
}

/// Every letter has come, at most so many of them more than once, and the queue is empty.
async fn all_came(deploy: &Deploy, sink: &Sink, letters: usize, repeats: usize) {
    let ids = sink.ids();
    let different: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), letters);
    assert!(ids.len() <= letters + repeats, "{} came", ids.len());
    let left = until("the queue is empty", SOON, async || {
        let left = deploy.run("jobs", &["list"]).await;
        (!left.out.contains("send_account_email")).then_some(left)
    });
    assert_eq!(left.await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_letter_is_lost_when_twenty_workers_are_killed_and_the_mail_server_is_away() {
    const LETTERS: usize = 1_000;
    const KILLS: usize = 20;
    let sink = Sink::start(2 * LETTERS).await;
    let proxy = Proxy::to(&sink.url(), Mode::Pass).await;
    let deploy = Deploy::new().await.with("SMTP_URL", &sink.url());
    let deploy = deploy.through("SMTP_URL", proxy.port);
    sign_up(&deploy, LETTERS as i32).await;

    for kill in 0..KILLS {
        let (worker, before) = (deploy.worker(), sink.ids().len());
        if kill == KILLS / 2 {
            proxy.set(Mode::Refuse).await;
            tokio::time::sleep(Duration::from_secs(20)).await; // the time itself is what is tested
            proxy.set(Mode::Pass).await;
        }
        until("the worker delivers", Duration::from_secs(60), async || (sink.ids().len() > before).then_some(())).await;
        worker.signal(Signal::KILL);
    }
    assert!(sink.ids().len() < LETTERS, "there was nothing left to do for the last of them");
    let orphans = taken(&deploy).await;
    assert!(!orphans.is_empty());
    let _worker = deploy.worker();
    until("the orphans are run again", Duration::from_secs(30), async || {
        taken(&deploy).await.is_disjoint(&orphans).then_some(())
    })
    .await;
    until("every letter comes", Duration::from_secs(120), async || {
        let ids: BTreeSet<String> = sink.ids().into_iter().collect();
        (ids.len() == LETTERS).then_some(())
    })
    .await;

    all_came(&deploy, &sink, LETTERS, KILLS * CONCURRENCY).await;
}

/// The jobs that a worker took, by their ids and tokens.
async fn taken(deploy: &Deploy) -> BTreeSet<(i64, String)> {
    let jobs = sqlx::query_as("select id, token::text from job where token is not null");
    let jobs: Vec<_> = jobs.fetch_all(&mut deploy.connection().await).await.expect("the jobs");
    jobs.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_do_each_of_four_thousand_jobs_once() {
    const LETTERS: usize = 4_000;
    let sink = Sink::start(LETTERS).await;
    let deploy = Deploy::new().await.with("SMTP_URL", &sink.url());
    sign_up(&deploy, LETTERS as i32).await;

    let workers = [0; 4].map(|_| deploy.worker());
    until("every letter comes", Duration::from_secs(120), async || (sink.ids().len() >= LETTERS).then_some(())).await;

    all_came(&deploy, &sink, LETTERS, 0).await;
    for worker in &workers {
        let done = worker.logs().iter().filter(|line| line["message"] == "job done").count();
        assert!(done > 0, "a worker got nothing to do");
    }
}
