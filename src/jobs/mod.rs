//! Factor VIII: the queue, in Postgres. A job is added in the transaction of the change that calls
//! for it, so that both happen or neither does.

pub(crate) mod driver;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

/// How often a job is tried before it is dead: with the back-off, for an hour.
const MAX_ATTEMPTS: i32 = 12;

/// The revision of the queue's schema that this version of the code is for.
pub(crate) const REVISION: i64 = 22;

/// How a job failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// For now: the job is tried again, later and later.
    #[error("{0}")]
    Retry(String),
    /// For good: the job is dead at once, and is kept for an operator.
    #[error("{0}")]
    Dead(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(error.to_string())
    }
}

/// The request that a job comes from, so that their logs and traces can be joined.
#[derive(Default, Deserialize, Serialize)]
pub struct Context {
    pub(crate) request_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    /// The release that added it.
    pub(crate) release: Option<String>,
}

/// Adds a job within the caller's transaction: a worker sees it on commit. The payload must be a JSON object.
pub(crate) async fn enqueue(
    connection: &mut PgConnection,
    task: &'static str,
    mut payload: Value,
    context: &Context,
) -> sqlx::Result<()> {
    payload["context"] = json!(context);
    let sql = "select id from graphile_worker.add_job($1, payload => $2::json, max_attempts => $3)";
    sqlx::query(sql).bind(task).bind(payload).bind(MAX_ATTEMPTS).execute(connection).await?;
    Ok(())
}

/// The jobs that are not done, or only the dead ones, oldest first. A line each, tab-separated:
/// number, task, attempts, when it is due, why it failed last. Payloads may be personal: none is told.
pub async fn list(db: &PgPool, dead: bool) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(include_str!("list.sql")).bind(dead).fetch_all(db).await
}

/// Makes a job, or every dead job, due now with all its attempts before it. A job that is running
/// is left alone. Returns how many were made due.
pub async fn retry(db: &PgPool, id: Option<i64>) -> sqlx::Result<u64> {
    Ok(sqlx::query(include_str!("retry.sql")).bind(id).execute(db).await?.rows_affected())
}

/// Deletes a job, unless it is running. Returns whether it was deleted.
pub async fn discard(db: &PgPool, id: i64) -> sqlx::Result<bool> {
    let sql = "delete from graphile_worker._private_jobs where id = $1 and locked_at is null";
    Ok(sqlx::query(sql).bind(id).execute(db).await?.rows_affected() == 1)
}

/// How much waits: the jobs that are due, the seconds for which the oldest of them has been due, and the dead jobs.
pub(crate) async fn depth(db: &PgPool) -> sqlx::Result<(i64, f64, i64)> {
    sqlx::query_as(include_str!("depth.sql")).fetch_one(db).await
}

/// Records a failure once the queue has released the job as failed: replaces its back-off, which has no jitter and
/// grows to hours, and its message, which is a Rust debug string. It does nothing if the job has moved on.
pub(crate) async fn settle(db: &PgPool, id: i64, attempt: i16, failure: &Failure) -> sqlx::Result<()> {
    let dead = matches!(failure, Failure::Dead(_));
    let update = sqlx::query(include_str!("settle.sql")).bind(id).bind(attempt).bind(failure.to_string()).bind(dead);
    update.execute(db).await.map(drop)
}
