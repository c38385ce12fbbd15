//! VIII. The job queue, whatever becomes of the workers: leases, tokens, keys, the schedule.

use crate::support::sink::{Sink, refusing};
use crate::support::*;
use rustix::process::Signal;
use sqlx::PgConnection;

/// A little longer than a lease.
const TAKEOVER: Duration = Duration::from_secs(30);

async fn execute(db: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(db).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn number(db: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn until_number(db: &mut PgConnection, sql: &'static str, wanted: i64, within: Duration) {
    until(&format!("{sql} is {wanted}"), within, async || (number(db, sql).await == wanted).then_some(())).await;
}

fn lines(worker: &Process, message: &str, task: &str) -> usize {
    worker.logs().iter().filter(|line| line["message"] == message && line["task"] == task).count()
}

const EMAILS: &str = "select count(*) from job where task = 'send_account_email'";
const RUNNING: &str = "select count(*) from job where task = 'send_account_email' and token is not null";

/// A deploy with a job that is about to send an email, and a worker that waits for the mail server's first word.
struct Hanging {
    deploy: Deploy,
    db: PgConnection,
    mail: Proxy,
    worker: Process,
}

/// The worker talks to the mail server at `url`, which says nothing until the proxy passes.
async fn hanging(url: &str) -> Hanging {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    Client::new().post(&web, "/api/v1/accounts", Account::new().credentials()).await;
    let mail = Proxy::to(url, Mode::Pause).await;
    let silent = deploy.copy().with("SMTP_URL", url).through("SMTP_URL", mail.port);
    let (worker, mut db) = (silent.worker(), deploy.connection().await);
    until_number(&mut db, RUNNING, 1, SOON).await;
    Hanging { deploy, db, mail, worker }
}

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

#[tokio::test]
async fn an_old_token_completes_nothing() {
    let sink = Sink::start(10).await;
    let Hanging { deploy: _deploy, mut db, mail, worker } = hanging(&sink.url()).await;

    execute(&mut db, TAKEN_OVER).await;
    mail.set(Mode::Pass).await;

    worker.log("the job is lost", |line| line["level"] == "WARN" && line["task"] == "send_account_email").await;
    assert_eq!(number(&mut db, THE_OTHERS).await, 1);
}

#[tokio::test]
async fn an_old_token_records_no_failure() {
    let Hanging { deploy: _deploy, mut db, mail, worker } = hanging(&refusing("550 no such mailbox").await).await;

    execute(&mut db, TAKEN_OVER).await;
    mail.set(Mode::Pass).await;

    worker.log("the job is lost", |line| line["level"] == "WARN" && line["task"] == "send_account_email").await;
    assert_eq!(number(&mut db, THE_OTHERS).await, 1);
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

/// Rows that have expired and others that have not, of everything that is cleaned up.
const ROWS: &str = "with pending as (
        insert into sign_up (id, email, password_hash, created_at)
        values (gen_random_uuid(), 'new@example.com', '-', now()),
               (gen_random_uuid(), 'old@example.com', '-', now() - interval '8 days')
        returning id, email)
    insert into outbox_email (id, kind, recipient, subject_id, created_at)
    select gen_random_uuid(), 'sign_up', email, id, case email when 'old@example.com' then now() - interval '31 days'
        else now() end from pending;
    insert into token (hash, email_id, expires_at)
    select sha256(n::text::bytea), id, now() + n * interval '1 hour'
      from outbox_email, generate_series(-1, 1, 2) as n where recipient = 'new@example.com'";
const LEFT: &str = "select (select count(*) from sign_up) * 100 + (select count(*) from outbox_email) * 10
    + (select count(*) from token)";

#[tokio::test]
async fn the_schedule_runs_periodic_jobs_once_for_all_workers() {
    let deploy = Deploy::new().await;
    let mut db = deploy.connection().await;
    execute(&mut db, ROWS).await;
    let workers = [0; 4].map(|_| deploy.worker());
    let runs = |task: &str| workers.iter().map(|worker| lines(worker, "job done", task)).sum::<usize>();

    until_number(&mut db, LEFT, 111, SOON).await;
    until("it is done", SOON, async || (runs("clean_up") == 1).then_some(())).await;
    let next = "select count(*) from job_schedule where due > now() + interval '9 minutes'";
    assert_eq!(number(&mut db, next).await, number(&mut db, "select count(*) from job_schedule").await);

    // The ten minutes pass.
    execute(&mut db, "delete from sign_up; delete from token; delete from outbox_email").await;
    execute(&mut db, ROWS).await;
    execute(&mut db, "update job_schedule set due = due - every").await;
    until_number(&mut db, LEFT, 111, SOON).await;
    until("it is done again", SOON, async || (runs("clean_up") == 2).then_some(())).await;
}

const KEYED: &str = "select add_job('clean_up', '{}', 'a key')";
const OF_KEY: &str = "select count(*) from job where key = 'a key'";

#[tokio::test]
async fn of_one_key_one_job_waits() {
    let deploy = Deploy::new().await;
    let mut db = deploy.connection().await;

    for _ in 0..6 {
        execute(&mut db, KEYED).await;
    }
    execute(&mut db, "begin; select add_job('clean_up', '{}', 'rolled back'); rollback").await;

    assert_eq!(number(&mut db, OF_KEY).await, 1);
    assert_eq!(number(&mut db, "select count(*) from job").await, 1, "what is rolled back is not added");
}

#[tokio::test]
async fn a_job_that_comes_back_where_another_of_its_key_waits_is_dropped() {
    let deploy = Deploy::new().await.with("WORKER_CONCURRENCY", "1");
    let (mut db, mut lock) = (deploy.connection().await, deploy.connection().await);
    execute(&mut db, KEYED).await;
    execute(&mut lock, "begin; lock table token").await; // the job waits for it
    let mut worker = deploy.worker();
    until_number(&mut db, "select count(*) from job where key = 'a key' and token is not null", 1, SOON).await;

    execute(&mut db, KEYED).await;
    assert_eq!(number(&mut db, OF_KEY).await, 2, "one runs, one waits");
    worker.stop();
    assert_eq!(worker.exit(SOON).await.code, 0);
    assert_eq!(number(&mut db, OF_KEY).await, 1, "the one that was handed back is dropped");

    execute(&mut db, "update job set dead = true where key = 'a key'").await;
    execute(&mut db, KEYED).await;
    assert_eq!(deploy.run("jobs", &["retry", "--dead"]).await.code, 0);
    assert_eq!(number(&mut db, OF_KEY).await, 1, "the one that was retried is dropped");
    assert_eq!(number(&mut db, "select count(*) from job where dead").await, 0);
}

#[tokio::test]
async fn a_worker_takes_no_more_jobs_than_it_has_slots() {
    let deploy = Deploy::new().await.with("WORKER_CONCURRENCY", "3");
    let (mut db, mut lock) = (deploy.connection().await, deploy.connection().await);
    // The planner expects a queue that is nearly empty, as most are.
    execute(&mut db, "select add_job('clean_up', '{}')").await;
    execute(&mut db, "analyze job").await;
    execute(&mut lock, "begin; lock table token").await; // the jobs wait for it
    execute(&mut db, "select add_job('clean_up', '{}') from generate_series(1, 50)").await;

    let _worker = deploy.worker();
    let taken = "select count(*) from job where attempts > 0";
    until("as many are taken", SOON, async || (number(&mut db, taken).await >= 3).then_some(())).await;

    assert_eq!(number(&mut db, taken).await, 3);
}

#[tokio::test]
async fn a_keyed_job_waits_for_the_change_that_it_was_added_for() {
    let deploy = Deploy::new().await;
    let (mut db, mut change) = (deploy.connection().await, deploy.connection().await);
    execute(&mut db, KEYED).await;
    execute(&mut change, "begin").await;
    execute(&mut change, KEYED).await; // that one will do, if it runs after this change

    let (web, _worker) = (deploy.web().await, deploy.worker());
    Client::new().signed_up(&web).await; // a later job is done
    assert_eq!(number(&mut db, OF_KEY).await, 1, "it was run before the change could be seen");
    execute(&mut change, "commit").await;

    until_number(&mut db, OF_KEY, 0, SOON).await;
}

#[tokio::test]
async fn a_task_that_the_release_does_not_know_is_left_alone() {
    let deploy = Deploy::new().await;
    let mut db = deploy.connection().await;
    execute(&mut db, "select add_job('of_the_next_release', '{}')").await;

    let (web, _worker) = (deploy.web().await, deploy.worker());
    Client::new().signed_up(&web).await; // a later job is done

    let left = "select count(*) from job where task = 'of_the_next_release' and attempts = 0 and token is null";
    assert_eq!(number(&mut db, left).await, 1);
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

/// A job whose email is rejected for now, after so many attempts.
async fn rejected(attempts: &'static str) -> (Deploy, PgConnection, Process) {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    Client::new().post(&web, "/api/v1/accounts", Account::new().credentials()).await;
    let mut db = deploy.connection().await;
    execute(&mut db, attempts).await;
    let worker = deploy.copy().with("SMTP_URL", &refusing("451 come back later").await).worker();
    until_number(&mut db, "select count(*) from job where error like '%come back later%'", 1, SOON).await;
    (deploy, db, worker)
}

#[tokio::test]
async fn the_last_attempt_is_the_last() {
    let (_deploy, mut db, _worker) = rejected("update job set attempts = 11").await;

    assert_eq!(number(&mut db, "select count(*) from job where dead and attempts = 12").await, 1);
}

#[tokio::test]
async fn a_failed_job_waits_longer_after_each_attempt() {
    let (_deploy, mut db, _worker) = rejected("update job set attempts = 5").await;

    let later = "select count(*) from job where error is not null
        and due between now() + interval '280 s' and now() + interval '510 s'";
    assert_eq!(number(&mut db, later).await, 1);
}

#[tokio::test]
async fn a_dead_job_is_left_alone() {
    let deploy = Deploy::new().await;
    let mut db = deploy.connection().await;
    execute(&mut db, "select add_job('send_account_email', '{}'); update job set dead = true").await;

    let (web, _worker) = (deploy.web().await, deploy.worker());
    Client::new().signed_up(&web).await; // a later job is done

    assert_eq!(number(&mut db, "select count(*) from job where dead and attempts = 0").await, 1);
}
