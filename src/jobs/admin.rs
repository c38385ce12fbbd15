//! The queue for operators: list, retry, discard, depth.

use crate::services::postgres::Postgres;

use super::queue::is_duplicate;

/// The jobs in the queue, or only the dead ones, oldest first. One tab-separated line each: id, task, attempts, due,
/// last error. Without payloads, which may be personal.
pub async fn list(db: &Postgres, dead: bool) -> sqlx::Result<Vec<String>> {
    sqlx::query_file_scalar!("src/jobs/list.sql", dead).fetch_all(db).await
}

/// Makes a job, or every dead job, due now, with its attempts reset. A running job is not changed; a job whose key
/// another waiting job has is deleted, as that one does the same work. Returns the number of jobs made due.
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

/// The depth of the queue.
pub struct Depth {
    /// The number of jobs that are due.
    pub ready: i64,
    /// Seconds that the oldest of them has been due.
    pub oldest_ready_seconds: f64,
    /// The number of dead jobs.
    pub dead: i64,
}

/// Reads the depth of the queue.
pub async fn depth(db: &Postgres) -> sqlx::Result<Depth> {
    sqlx::query_file_as!(Depth, "src/jobs/depth.sql").fetch_one(db).await
}
