//! The statements of the queue. Changes of a taken job match its id and its token (fencing): a worker that lost the
//! lease changes no row.

use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use crate::services::postgres::{Postgres, Transaction};

/// How long a job belongs to its worker without a renewal.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// A job that this worker runs.
pub(super) struct Taken {
    pub(super) id: i64,
    pub(super) task: String,
    pub(super) payload: Value,
    pub(super) context: Value,
    pub(super) attempts: i32,
    pub(super) token: Uuid,
}

pub(super) async fn add(
    tx: &mut Transaction, task: &str, payload: &Value, key: Option<&str>, context: &Value,
) -> sqlx::Result<()> {
    let added = sqlx::query_scalar!("select add_job($1, $2, $3, $4)", task, payload, key, context);
    added.fetch_one(tx).await.map(drop)
}

/// Takes up to `count` jobs that are due.
pub(super) async fn take(db: &Postgres, tasks: &[String], count: i64) -> sqlx::Result<Vec<Taken>> {
    sqlx::query_file_as!(Taken, "src/jobs/take.sql", tasks, count, interval(LEASE)).fetch_all(db).await
}

/// Renews the leases of jobs; returns the tokens of those that this worker still holds.
pub(super) async fn renew(db: &Postgres, ids: &[i64], tokens: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_file_scalar!("src/jobs/renew.sql", ids, tokens, interval(LEASE)).fetch_all(db).await
}

/// Deletes a completed job. Returns whether this worker still held it.
pub(super) async fn complete(db: &Postgres, id: i64, token: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query!("delete from job where id = $1 and token = $2", id, token);
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Releases a job: with the error of its run, or without one if the run was aborted. Returns whether this worker still
/// held it.
pub(super) async fn release(
    db: &Postgres, id: i64, token: Uuid, error: Option<&str>, dead: bool,
) -> sqlx::Result<bool> {
    match sqlx::query_file!("src/jobs/release.sql", id, token, error, dead).execute(db).await {
        Err(error) if is_duplicate(&error) => complete(db, id, token).await,
        result => Ok(result?.rows_affected() == 1),
    }
}

/// Whether a job with the same key has been added meanwhile; it does the same work.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.constraint() == Some("job_key"))
}

/// Adds the periodic jobs that are due.
pub(super) async fn add_scheduled(db: &Postgres, tasks: &[String]) -> sqlx::Result<()> {
    sqlx::query_file_scalar!("src/jobs/schedule.sql", tasks).fetch_all(db).await.map(drop)
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: duration.as_micros() as i64 }
}
