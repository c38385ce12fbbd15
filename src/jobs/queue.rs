//! The statements of the queue. Each names the job by its id and the token of its take: who lost the lease finds none.

use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use crate::services::postgres::{Postgres, Transaction};

/// For how long a job is its worker's, unless that renews it.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// A job that this worker has taken.
pub(super) struct Taken {
    pub(super) id: i64,
    pub(super) task: String,
    pub(super) payload: Value,
    pub(super) context: Value,
    pub(super) attempts: i32,
    pub(super) token: Uuid,
}

pub(super) async fn add(
    tx: &mut Transaction,
    task: &str,
    payload: &Value,
    key: Option<&str>,
    context: &Value,
) -> sqlx::Result<()> {
    let added = sqlx::query_scalar!("select add_job($1, $2, $3, $4)", task, payload, key, context);
    added.fetch_one(tx).await.map(drop)
}

/// Takes up to `count` jobs that are due, the longest due first. A job whose lease ran out is one of them.
pub(super) async fn take(db: &Postgres, tasks: &[String], count: i64) -> sqlx::Result<Vec<Taken>> {
    let taken = sqlx::query_as!(
        Taken,
        r#"update job
              set token = gen_random_uuid(), attempts = attempts + 1, due = now() + $3
            where id in (select id from job
                          where not dead and due <= now() and task = any($1)
                          order by due, id
                          limit $2
                            for update skip locked)
        returning id, task, payload, context, attempts, token as "token!""#,
        tasks,
        count,
        interval(LEASE),
    );
    taken.fetch_all(db).await
}

/// Renews the leases of jobs; answers the ids of those that are still this worker's.
pub(super) async fn renew(db: &Postgres, ids: &[i64], tokens: &[Uuid]) -> sqlx::Result<Vec<i64>> {
    let renewed = sqlx::query_scalar!(
        "update job
            set due = now() + $3
           from unnest($1::bigint[], $2::uuid[]) as running (id, token)
          where job.id = running.id and job.token = running.token
      returning job.id",
        ids,
        tokens,
        interval(LEASE),
    );
    renewed.fetch_all(db).await
}

/// Deletes a job that is done. Answers whether it was still this worker's.
pub(super) async fn complete(db: &Postgres, id: i64, token: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query!("delete from job where id = $1 and token = $2", id, token);
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// Records a failure: the job waits for its next run, later after each, or is dead. Answers whether it was still this
/// worker's.
pub(super) async fn record_failure(db: &Postgres, id: i64, token: Uuid, error: &str, dead: bool) -> sqlx::Result<bool> {
    let failed = sqlx::query!(
        "update job
            set token = null, error = $3, dead = $4,
                due = now() + least(exp(attempts), 600) * (0.75 + random() / 2) * interval '1 s'
          where id = $1 and token = $2",
        id,
        token,
        error,
        dead,
    );
    match failed.execute(db).await {
        Err(error) if is_duplicate(&error) => complete(db, id, token).await,
        result => Ok(result?.rows_affected() == 1),
    }
}

/// Gives a job back that was not run to its end; the attempt does not count. Answers whether it was still this worker's.
pub(super) async fn hand_back(db: &Postgres, id: i64, token: Uuid) -> sqlx::Result<bool> {
    let back = sqlx::query!(
        "update job set token = null, attempts = attempts - 1, due = now() where id = $1 and token = $2",
        id,
        token,
    );
    match back.execute(db).await {
        Err(error) if is_duplicate(&error) => complete(db, id, token).await,
        result => Ok(result?.rows_affected() == 1),
    }
}

/// Another job of its key has come to wait meanwhile, which does the same work.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.constraint() == Some("job_key"))
}

/// Sets the schedule of this release. A task that is new to it is due at once.
pub(super) async fn set_schedule(db: &Postgres, schedule: &[(&str, Duration)]) -> sqlx::Result<()> {
    for (task, every) in schedule {
        let set = sqlx::query!(
            "insert into job_schedule (task, every) values ($1, $2)
                 on conflict (task) do update set every = $2",
            task,
            interval(*every),
        );
        set.execute(db).await?;
    }
    Ok(())
}

/// Adds the periodic jobs that are due: one worker's statement finds each.
pub(super) async fn add_scheduled(db: &Postgres, tasks: &[String]) -> sqlx::Result<()> {
    let added = sqlx::query_scalar!(
        "with due as (update job_schedule set due = now() + every
                       where due <= now() and task = any($1)
                   returning task)
         select add_job(task, '{}', task) from due",
        tasks,
    );
    added.fetch_all(db).await.map(drop)
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: duration.as_micros() as i64 }
}
