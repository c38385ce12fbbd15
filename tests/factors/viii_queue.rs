//! VIII. Which jobs wait in the queue, and when they run: the schedule, keys, slots, attempts.

use crate::support::queue::*;
use crate::support::sink::rejecting;
use crate::support::*;
use sqlx::PgConnection;

/// Expired and unexpired rows of every table that is cleaned up.
const ROWS: &str = "with pending as (
        insert into sign_up (id, email, created_at)
        values (gen_random_uuid(), 'new@example.com', now()),
               (gen_random_uuid(), 'old@example.com', now() - interval '9 days')
        returning id, email)
    insert into outbox_email (id, kind, recipient, subject_id, created_at)
    select gen_random_uuid(), 'sign_up', email, id, case email when 'old@example.com' then now() - interval '31 days'
        else now() end from pending;
    insert into token (hash, email_id, expires_at)
    select sha256(n::text::bytea), id, now() + n * interval '1 hour'
      from outbox_email, generate_series(-1, 1, 2) as n where recipient = 'new@example.com'";
/// The rows that are left, in one number.
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
    until("the job is done", SOON, async || (runs("clean_up") == 1).then_some(())).await;
    let next = "select count(*) from job_schedule where due > now() + interval '9 minutes'";
    assert_eq!(number(&mut db, next).await, number(&mut db, "select count(*) from job_schedule").await);

    // As if ten minutes had passed.
    execute(&mut db, "delete from sign_up; delete from token; delete from outbox_email").await;
    execute(&mut db, ROWS).await;
    execute(&mut db, "update job_schedule set due = due - every").await;
    until_number(&mut db, LEFT, 111, SOON).await;
    until("the job is done again", SOON, async || (runs("clean_up") == 2).then_some(())).await;
}

const KEYED: &str = "select add_job('clean_up', '{}', 'a key')";
const WITH_KEY: &str = "select count(*) from job where key = 'a key'";

#[tokio::test]
async fn one_job_at_most_waits_per_key() {
    let deploy = Deploy::new().await;
    let mut db = deploy.connection().await;

    for _ in 0..6 {
        execute(&mut db, KEYED).await;
    }
    execute(&mut db, "begin; select add_job('clean_up', '{}', 'rolled back'); rollback").await;

    assert_eq!(number(&mut db, WITH_KEY).await, 1);
    assert_eq!(number(&mut db, "select count(*) from job").await, 1, "a rolled-back job is not added");
}

#[tokio::test]
async fn a_returned_duplicate_of_a_keyed_job_is_dropped() {
    let deploy = Deploy::new().await.with("WORKER_CONCURRENCY", "1");
    let (mut db, mut lock) = (deploy.connection().await, deploy.connection().await);
    execute(&mut db, KEYED).await;
    execute(&mut lock, "begin; lock table token").await; // the job waits for the lock
    let mut worker = deploy.worker();
    until_number(&mut db, "select count(*) from job where key = 'a key' and token is not null", 1, SOON).await;

    execute(&mut db, KEYED).await;
    assert_eq!(number(&mut db, WITH_KEY).await, 2, "one job runs, one waits");
    worker.stop();
    assert_eq!(worker.exit(SOON).await.code, 0);
    assert_eq!(number(&mut db, WITH_KEY).await, 1, "the job that was handed back is dropped");

    execute(&mut db, "update job set dead = true where key = 'a key'").await;
    execute(&mut db, KEYED).await;
    assert_eq!(deploy.run("jobs", &["retry", "--dead"]).await.code, 0);
    assert_eq!(number(&mut db, WITH_KEY).await, 1, "the job that was retried is dropped");
    assert_eq!(number(&mut db, "select count(*) from job where dead").await, 0);
}

#[tokio::test]
async fn a_worker_runs_at_most_one_job_per_slot() {
    let deploy = Deploy::new().await.with("WORKER_CONCURRENCY", "3");
    let (mut db, mut lock) = (deploy.connection().await, deploy.connection().await);
    // Analyze a nearly empty queue, so that the planner's statistics are wrong for fifty jobs.
    execute(&mut db, "select add_job('clean_up', '{}')").await;
    execute(&mut db, "analyze job").await;
    execute(&mut lock, "begin; lock table token").await; // the jobs wait for the lock
    execute(&mut db, "select add_job('clean_up', '{}') from generate_series(1, 50)").await;

    let _worker = deploy.worker();
    let taken = "select count(*) from job where attempts > 0";
    until("three jobs are taken", SOON, async || (number(&mut db, taken).await >= 3).then_some(())).await;

    assert_eq!(number(&mut db, taken).await, 3);
}

#[tokio::test]
async fn a_keyed_job_runs_after_its_transaction_commits() {
    let deploy = Deploy::new().await;
    let (mut db, mut change) = (deploy.connection().await, deploy.connection().await);
    execute(&mut db, KEYED).await;
    execute(&mut change, "begin").await;
    execute(&mut change, KEYED).await; // returns the waiting job, which must run after this commit

    let (web, _worker) = (deploy.web().await, deploy.worker());
    Client::new().signed_up(&web).await; // a later job is done
    assert_eq!(number(&mut db, WITH_KEY).await, 1, "the job ran before the commit");
    execute(&mut change, "commit").await;

    until_number(&mut db, WITH_KEY, 0, SOON).await;
}

#[tokio::test]
async fn a_task_unknown_to_the_release_stays_queued() {
    let deploy = Deploy::new().await;
    let mut db = deploy.connection().await;
    execute(&mut db, "select add_job('of_the_next_release', '{}')").await;

    let (web, _worker) = (deploy.web().await, deploy.worker());
    Client::new().signed_up(&web).await; // a later job is done

    let left = "select count(*) from job where task = 'of_the_next_release' and attempts = 0 and token is null";
    assert_eq!(number(&mut db, left).await, 1);
}

/// A job whose email is temporarily rejected. The SQL sets its previous attempts.
async fn rejected(attempts: &'static str) -> (Deploy, PgConnection, Process) {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    Client::new().sign_up(&web, &Account::new()).await;
    let mut db = deploy.connection().await;
    execute(&mut db, attempts).await;
    let worker = deploy.copy().with("SMTP_URL", &rejecting("451 come back later").await).worker();
    until_number(&mut db, "select count(*) from job where error like '%come back later%'", 1, SOON).await;
    (deploy, db, worker)
}

#[tokio::test]
async fn a_job_is_dead_after_twelve_attempts() {
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
async fn a_dead_job_is_not_run_again() {
    let deploy = Deploy::new().await;
    let mut db = deploy.connection().await;
    execute(&mut db, "select add_job('send_account_email', '{}'); update job set dead = true").await;

    let (web, _worker) = (deploy.web().await, deploy.worker());
    Client::new().signed_up(&web).await; // a later job is done

    assert_eq!(number(&mut db, "select count(*) from job where dead and attempts = 0").await, 1);
}
