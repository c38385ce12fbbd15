//! VIII. A job is one worker's for a while, whatever becomes of that: leases, tokens, attempts.

use crate::support::queue::*;
use crate::support::sink::{Sink, refusing};
use crate::support::*;
use rustix::process::Signal;
use sqlx::PgConnection;

#[tokio::test]
async fn a_stopped_and_continued_worker_does_not_repeat_what_another_did() {
    let sink = Sink::start(10).await;
    let Hanging { deploy, mut db, mail, worker } = hanging(&sink.url()).await;

    worker.pause();
    let deploy = deploy.with("SMTP_URL", &sink.url());
    let other = deploy.worker();
    until("the other worker sends the email", TAKEOVER, async || (sink.ids().len() == 1).then_some(())).await;
    until_number(&mut db, EMAILS, 0, SOON).await;
    mail.set(Mode::Pass).await;
    worker.signal(Signal::CONT);
    worker
        .log("the first worker has lost the job", |line| {
            line["message"].as_str().is_some_and(|message| message.starts_with("job lost"))
        })
        .await;

    assert_eq!(lines(&other, "job done", "send_account_email"), 1);
    assert_eq!(lines(&worker, "job done", "send_account_email"), 0);
    assert_eq!(sink.ids().len(), 1, "the email was sent twice");
}

const CLEANING: &str = "select count(*) from job where task = 'clean_up' and token is not null";

/// A deploy with a worker that is stopped while it waits for Postgres, in a job whose limits are longer than a lease.
/// What it waited for has come since.
struct Stopped {
    deploy: Deploy,
    db: PgConnection,
    worker: Process,
}

async fn stopped() -> Stopped {
    let deploy = Deploy::new().await;
    let (mut db, mut lock) = (deploy.connection().await, deploy.connection().await);
    execute(&mut lock, "begin; lock table token").await;
    let worker = deploy.worker();
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
        and query like 'delete from token%' and wait_event_type = 'Lock'";
    until_number(&mut db, waiting, 1, SOON).await;
    worker.pause();
    execute(&mut lock, "rollback").await;
    until_number(&mut db, waiting, 0, SOON).await;
    Stopped { deploy, db, worker }
}

#[tokio::test]
async fn a_continued_worker_does_not_go_on_with_what_another_did() {
    let Stopped { deploy, mut db, worker } = stopped().await;

    let other = deploy.worker();
    until("the other worker does it", TAKEOVER, async || (lines(&other, "job done", "clean_up") == 1).then_some(()))
        .await;
    until_number(&mut db, "select count(*) from job where task = 'clean_up'", 0, SOON).await;
    worker.signal(Signal::CONT);
    worker.log("the first worker has lost the job", |line| line["task"] == "clean_up" && line["level"] == "WARN").await;

    assert_eq!(lines(&worker, "job done", "clean_up"), 0);
    assert_eq!(lines(&worker, "cleaned up", "clean_up"), 0, "the first worker went on");
}

#[tokio::test]
async fn a_continued_worker_leaves_the_failure_that_another_recorded() {
    let Stopped { deploy, mut db, worker } = stopped().await;
    execute(
        &mut db,
        "create function fail() returns trigger language plpgsql as $$ begin raise 'not today'; end $$;
         create trigger fail before delete on sign_up for each statement execute function fail()",
    )
    .await;

    let other = deploy.worker();
    until("the other worker fails", TAKEOVER, async || {
        (lines(&other, "job failed, will be retried", "clean_up") > 0).then_some(())
    })
    .await;
    drop(other);
    execute(&mut db, "drop trigger fail on sign_up").await;
    worker.signal(Signal::CONT);

    // The first worker may take it anew, as any other.
    let done = |line: &Value| line["message"] == "job done" && line["task"] == "clean_up";
    let line = worker.log("it is done", done).await;
    assert!(line["attempt"].as_i64() >= Some(3), "{line}");
}

#[tokio::test]
async fn a_job_that_runs_longer_than_a_lease_stays_its_workers() {
    let deploy = Deploy::new().await;
    let (mut db, mut lock) = (deploy.connection().await, deploy.connection().await);
    execute(&mut lock, "begin; lock table token").await; // the job waits for it
    let workers = [0; 2].map(|_| deploy.worker());
    until_number(&mut db, CLEANING, 1, SOON).await;

    tokio::time::sleep(Duration::from_secs(18)).await; // the time itself is what is tested
    assert_eq!(number(&mut db, "select attempts::bigint from job where task = 'clean_up'").await, 1);
    execute(&mut lock, "rollback").await;

    let done = || workers.iter().map(|worker| lines(worker, "job done", "clean_up")).sum::<usize>();
    until("it is done", SOON, async || (done() == 1).then_some(())).await;
}

/// Gives the running job to another worker, which is what a take does, and holds it for an hour.
const TAKEN_OVER: &str = "update job set token = '00000000-0000-0000-0000-000000000001',
    due = now() + interval '1 hour' where task = 'send_account_email'";
const THE_OTHERS: &str = "select count(*) from job where task = 'send_account_email' and error is null and not dead
    and attempts = 1 and token = '00000000-0000-0000-0000-000000000001' and due > now() + interval '50 minutes'";

/// The mail server at `url` answers once the job is another worker's, and nothing of that changes.
async fn assert_an_old_token_changes_nothing(url: &str) {
    let Hanging { deploy: _deploy, mut db, mail, worker } = hanging(url).await;

    execute(&mut db, TAKEN_OVER).await;
    mail.set(Mode::Pass).await;

    worker.log("the job is lost", |line| line["level"] == "WARN" && line["task"] == "send_account_email").await;
    assert_eq!(number(&mut db, THE_OTHERS).await, 1);
}

#[tokio::test]
async fn an_old_token_completes_nothing() {
    let sink = Sink::start(10).await;
    assert_an_old_token_changes_nothing(&sink.url()).await;
}

#[tokio::test]
async fn an_old_token_records_no_failure() {
    assert_an_old_token_changes_nothing(&refusing("550 no such mailbox").await).await;
}

#[tokio::test]
async fn an_old_token_hands_nothing_back() {
    let sink = Sink::start(10).await;
    let Hanging { deploy: _deploy, mut db, mail: _mail, mut worker } = hanging(&sink.url()).await;

    execute(&mut db, TAKEN_OVER).await;
    worker.stop();

    assert_eq!(worker.exit(SOON).await.code, 0);
    assert_eq!(number(&mut db, THE_OTHERS).await, 1);
}

#[tokio::test]
async fn a_job_that_kills_its_workers_comes_to_an_end() {
    let sink = Sink::start(10).await;
    let Hanging { deploy, mut db, mail, mut worker } = hanging(&sink.url()).await;

    // The eleven killed workers before this one.
    execute(&mut db, "update job set attempts = 12 where task = 'send_account_email'").await;
    worker.signal(Signal::KILL);
    worker.exit(SOON).await;
    mail.set(Mode::Pass).await;
    let deploy = deploy.with("SMTP_URL", &sink.url());
    let _next = deploy.worker();

    let dead = "select count(*) from job where task = 'send_account_email' and dead and attempts = 13";
    until_number(&mut db, dead, 1, TAKEOVER).await;
    assert_eq!(sink.ids().len(), 0, "it was run once more");
}

#[tokio::test]
async fn a_dead_workers_job_can_be_retried_and_discarded() {
    let sink = Sink::start(10).await;
    let Hanging { deploy, mut db, mail: _mail, mut worker } = hanging(&sink.url()).await;
    let id = number(&mut db, "select id from job where task = 'send_account_email'").await.to_string();

    for step in ["discard", "retry"] {
        assert_ne!(deploy.run("jobs", &[step, &id]).await.code, 0, "it is running");
    }
    worker.signal(Signal::KILL);
    worker.exit(SOON).await;

    until("its lease is over, and it is due", TAKEOVER, async || {
        (deploy.run("jobs", &["retry", &id]).await.code == 0).then_some(())
    })
    .await;
    assert_eq!(deploy.run("jobs", &["discard", &id]).await.code, 0);
    assert_eq!(number(&mut db, EMAILS).await, 0);
}

#[tokio::test]
async fn a_hand_back_is_no_attempt() {
    let sink = Sink::start(10).await;
    let Hanging { deploy: _deploy, mut db, mail: _mail, mut worker } = hanging(&sink.url()).await;

    worker.stop();
    assert_eq!(worker.exit(SOON).await.code, 0);

    let waits = "select count(*) from job where task = 'send_account_email' and token is null and attempts = 0
        and due <= now() and error is null";
    assert_eq!(number(&mut db, waits).await, 1);
}
