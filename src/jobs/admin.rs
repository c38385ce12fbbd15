//! What operators see of the queue, and how they step in.

use crate::services::postgres::Postgres;

use super::queue::is_duplicate;

/// The jobs that are not done, or only the dead ones, oldest first. A line each, tab-separated:
/// id, task, attempts, when it is due, why it failed last. Payloads may be personal: none is shown.
pub async fn list(db: &Postgres, dead: bool) -> sqlx::Result<Vec<String>> {
    sqlx::query_file_scalar!("src/jobs/list.sql", dead).fetch_all(db).await
}

/// Makes a job, or every dead job, due now with all its attempts before it. A job that is running is left alone, and
/// one of whose key another waits is dropped. Returns how many were made due.
pub async fn retry(db: &Postgres, id: Option<i64>) -> sqlx::Result<u64> {
    let ids = sqlx::query_scalar!("select id from job where id = $1 or ($1 is null and dead)", id);
    let mut count = 0;
    for id in ids.fetch_all(db).await? {
        count += match sqlx::query_file!("src/jobs/retry.sql", id).execute(db).await {
            Err(error) if is_duplicate(&error) => u64::from(discard(db, id).await?),
            result => result?.rows_affected(),
        };
    }
    Ok(count)
}

/// Deletes a job, unless it is running. Returns whether it was deleted.
pub async fn discard(db: &Postgres, id: i64) -> sqlx::Result<bool> {
    let deleted = sqlx::query!("delete from job where id = $1 and (token is null or due <= now())", id);
    Ok(deleted.execute(db).await?.rows_affected() == 1)
}

/// How much waits.
pub struct Depth {
    /// The jobs that are due.
    pub ready: i64,
    /// For how long the first of them has been due.
    pub oldest_ready_seconds: f64,
    /// The jobs that failed for good.
    pub dead: i64,
}

/// Counts what waits.
pub async fn depth(db: &Postgres) -> sqlx::Result<Depth> {
    sqlx::query_file_as!(Depth, "src/jobs/depth.sql").fetch_one(db).await
}
