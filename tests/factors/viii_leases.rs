//! VIII. A job belongs to one worker until its lease expires: leases, tokens, attempts.

use crate::support::queue::*;
use crate::support::sink::{Sink, rejecting};
use crate::support::*;
use rustix::process::Signal;
use sqlx::PgConnection;

#[tokio::test]
async fn a_resumed_worker_does_not_repeat_anothers_job() {
    let sink = Sink::start().await;
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

/// A deploy whose worker was paused while its job waited for a lock in Postgres. The lock has been released since.
/// The timeouts of the job are longer than a lease.
struct Paused {
    deploy: Deploy,
    db: PgConnection,
    worker: Process,
}

async fn paused() -> Paused {
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
    Paused { deploy, db, worker }
}

#[tokio::test]
async fn a_resumed_worker_stops_a_job_that_another_finished() {
    let Paused { deploy, mut db, worker } = paused().await;

    let other = deploy.worker();
    until("the other worker runs the job", TAKEOVER, async || {
        (lines(&other, "job done", "clean_up") == 1).then_some(())
    })
    .await;
    until_number(&mut db, "select count(*) from job where task = 'clean_up'", 0, SOON).await;
    worker.signal(Signal::CONT);
    worker.log("the first worker has lost the job", |line| line["task"] == "clean_up" && line["level"] == "WARN").await;

    assert_eq!(lines(&worker, "job done", "clean_up"), 0);
    assert_eq!(lines(&worker, "expired rows deleted", "clean_up"), 0, "the first worker continued the job");
}

#[tokio::test]
async fn a_resumed_worker_keeps_the_failure_another_recorded() {
    let Paused { deploy, mut db, worker } = paused().await;
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

    // The first worker may take the job again, like any other worker.
    let done = |line: &Value| line["message"] == "job done" && line["task"] == "clean_up";
    let line = worker.log("the job is done", done).await;
    assert!(line["attempt"].as_i64() >= Some(3), "{line}");
}

#[tokio::test]
async fn a_job_longer_than_a_lease_keeps_its_worker() {
    let deploy = Deploy::new().await;
    let (mut db, mut lock) = (deploy.connection().await, deploy.connection().await);
    execute(&mut lock, "begin; lock table token").await; // the job waits for the lock
    let workers = [0; 2].map(|_| deploy.worker());
    until_number(&mut db, CLEANING, 1, SOON).await;

    tokio::time::sleep(Duration::from_secs(18)).await; // the time itself is what is tested
    assert_eq!(number(&mut db, "select attempts::bigint from job where task = 'clean_up'").await, 1);
    execute(&mut lock, "rollback").await;

    let done = || workers.iter().map(|worker| lines(worker, "job done", "clean_up")).sum::<usize>();
    until("the job is done", SOON, async || (done() == 1).then_some(())).await;
}

/// Gives the running job to another worker for an hour, as the take query does.
const TAKEN_OVER: &str = "update job set token = '00000000-0000-0000-0000-000000000001',
    due = now() + interval '1 hour' where task = 'send_account_email'";
const STILL_TAKEN_OVER: &str =
    "select count(*) from job where task = 'send_account_email' and error is null and not dead
    and attempts = 1 and token = '00000000-0000-0000-0000-000000000001' and due > now() + interval '50 minutes'";

/// Lets the mail server at `url` reply after another worker took the job over, and asserts that the job is unchanged.
async fn assert_an_old_token_changes_nothing(url: &str) {
    let Hanging { deploy: _deploy, mut db, mail, worker } = hanging(url).await;

    execute(&mut db, TAKEN_OVER).await;
    mail.set(Mode::Pass).await;

    worker
        .log("the worker has lost the job", |line| line["level"] == "WARN" && line["task"] == "send_account_email")
        .await;
    assert_eq!(number(&mut db, STILL_TAKEN_OVER).await, 1);
}

#[tokio::test]
async fn an_old_token_cannot_complete_a_job() {
    let sink = Sink::start().await;
    assert_an_old_token_changes_nothing(&sink.url()).await;
}

#[tokio::test]
async fn an_old_token_cannot_record_a_failure() {
    assert_an_old_token_changes_nothing(&rejecting("550 no such mailbox").await).await;
}

#[tokio::test]
async fn an_old_token_cannot_hand_a_job_back() {
    let sink = Sink::start().await;
    let Hanging { deploy: _deploy, mut db, mail: _mail, mut worker } = hanging(&sink.url()).await;

    execute(&mut db, TAKEN_OVER).await;
    worker.stop();

    assert_eq!(worker.exit(SOON).await.code, 0);
    assert_eq!(number(&mut db, STILL_TAKEN_OVER).await, 1);
}

#[tokio::test]
async fn a_job_that_kills_its_workers_becomes_dead() {
    let sink = Sink::start().await;
    let Hanging { deploy, mut db, mail, mut worker } = hanging(&sink.url()).await;

    // As if eleven workers had been killed before this one.
    execute(&mut db, "update job set attempts = 12 where task = 'send_account_email'").await;
    worker.signal(Signal::KILL);
    worker.exit(SOON).await;
    mail.set(Mode::Pass).await;
    let deploy = deploy.with("SMTP_URL", &sink.url());
    let _next = deploy.worker();

    let dead = "select count(*) from job where task = 'send_account_email' and dead and attempts = 13";
    until_number(&mut db, dead, 1, TAKEOVER).await;
    assert_eq!(sink.ids().len(), 0, "the job was run again");
}

#[tokio::test]
async fn a_dead_workers_job_can_be_retried_and_discarded() {
    let sink = Sink::start().await;
    let Hanging { deploy, mut db, mail: _mail, mut worker } = hanging(&sink.url()).await;
    let id = number(&mut db, "select id from job where task = 'send_account_email'").await.to_string();

    for step in ["discard", "retry"] {
        assert_ne!(deploy.run("jobs", &[step, &id]).await.code, 0, "the job is running");
    }
    worker.signal(Signal::KILL);
    worker.exit(SOON).await;

    until("its lease has expired and the job is due", TAKEOVER, async || {
        (deploy.run("jobs", &["retry", &id]).await.code == 0).then_some(())
    })
    .await;
    assert_eq!(deploy.run("jobs", &["discard", &id]).await.code, 0);
    assert_eq!(number(&mut db, EMAILS).await, 0);
}

#[tokio::test]
async fn a_hand_back_does_not_count_as_an_attempt() {
    let sink = Sink::start().await;
    let Hanging { deploy: _deploy, mut db, mail: _mail, mut worker } = hanging(&sink.url()).await;

    worker.stop();
    assert_eq!(worker.exit(SOON).await.code, 0);

    let waits = "select count(*) from job where task = 'send_account_email' and token is null and attempts = 0
        and due <= now() and error is null";
    assert_eq!(number(&mut db, waits).await, 1);
}
