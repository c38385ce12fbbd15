//! VIII Concurrency: the job queue, one table in Postgres. A job is added in the transaction of the change that needs
//! it, so that both commit or neither does; any worker runs it, at least once.
//!
//! A job is a type of its domain with a name, limits and a `run` function; the domain lists it in `JOBS`.

pub mod admin;
mod lease;
mod queue;
pub mod worker;

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{context, release, services::postgres::Transaction, state::App};

/// Why a run of a job failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The job will be retried, with exponential backoff.
    #[error("{0}")]
    Retry(String),
    /// The job will never succeed: it is dead at once, and stays in the table for an operator.
    #[error("{0}")]
    Dead(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(error.to_string())
    }
}

/// A background job. Its fields are the payload: ids, never tokens or personal data. A job without fields, `struct X
/// {}`, may be periodic: a row of `job_schedule` has its interval.
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in the queue and in logs.
    const NAME: &'static str;
    /// The number of runs before it is dead: with the backoff they take about an hour.
    const MAX_ATTEMPTS: i32 = 12;
    /// The timeout of one run.
    const TIMEOUT: Duration = Duration::from_secs(60);

    /// A unique key among waiting jobs; none if the same job may wait twice.
    fn key(&self) -> Option<String> {
        None
    }

    /// Does the work. It must be idempotent: a job may run again after it succeeded, or at the same time as a run whose
    /// lease expired.
    fn run(self, app: App) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Adds a job in the caller's transaction; workers see it after the commit. If a job with its key waits already, none
/// is added, and that one stays locked until the commit.
pub async fn enqueue<J: Job>(tx: &mut Transaction, job: &J) -> sqlx::Result<()> {
    let payload = serde_json::to_value(job).map_err(|error| sqlx::Error::Encode(error.into()))?;
    queue::add(tx, J::NAME, &payload, job.key().as_deref(), &origin()).await
}

/// The request and release that add a job, for its logs and its trace.
fn origin() -> Value {
    let (request_id, traceparent) = match context::current() {
        Some(context) => (context.request_id, Some(context.traceparent.to_string())),
        None => (None, None),
    };
    json!({ "request_id": request_id, "traceparent": traceparent, "release": release::running().release })
}

/// A type of job, as the worker registers it. A domain lists its tasks in `JOBS`.
#[derive(Clone, Copy)]
pub struct Task {
    name: &'static str,
    max_attempts: i32,
    timeout: Duration,
    run: fn(App, Value) -> BoxFuture<'static, Result<(), Failure>>,
}

impl Task {
    /// The task of the job `J`.
    pub const fn of<J: Job>() -> Self {
        let run = |app, payload| run_parsed::<J>(app, payload).boxed();
        Self { name: J::NAME, max_attempts: J::MAX_ATTEMPTS, timeout: J::TIMEOUT, run }
    }
}

async fn run_parsed<J: Job>(app: App, payload: Value) -> Result<(), Failure> {
    // Retried: during a deploy, a worker of the other release may be able to parse it.
    let job: J = serde_json::from_value(payload).map_err(|error| Failure::Retry(format!("payload: {error}")))?;
    job.run(app).await
}
