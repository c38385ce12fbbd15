//! VIII Concurrency: the job queue, one table in Postgres. A job is added in the transaction of the change that calls
//! for it, so that both happen or neither does; any worker runs it, at least once.
//!
//! A job is a type that its domain owns: it says its name, its limits and what it does, and stands in a line of the
//! domain's `jobs`.

pub mod admin;
mod lease;
mod queue;
pub mod worker;

use std::time::Duration;

use futures_util::{FutureExt, future::BoxFuture};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{context, release, services::postgres::Transaction, state::App};

/// How a job failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// For now: the job is run again, later and later.
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

/// Work that a worker does. Its fields are the payload: ids, never a token or a text that is personal. One without
/// fields, `struct X {}`, may stand in the table `job_schedule`, and is then added again and again.
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in the queue, in logs and for operators.
    const NAME: &'static str;
    /// How often it is run before it is dead: with the back-off, for an hour.
    const MAX_ATTEMPTS: i32 = 12;
    /// How long one run may take.
    const TIMEOUT: Duration = Duration::from_secs(60);

    /// A name of which at most one job waits; none where the same job may wait twice.
    fn key(&self) -> Option<String> {
        None
    }

    /// Does the work. It may be run again after it succeeded, or at the same time as one whose lease ran out.
    fn run(self, app: App) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Adds a job in the caller's transaction: a worker sees it once that commits. Where a job of its key waits
/// already, that one is left to wait until then, and none is added.
pub async fn enqueue<J: Job>(tx: &mut Transaction, job: &J) -> sqlx::Result<()> {
    let payload = serde_json::to_value(job).map_err(|error| sqlx::Error::Encode(error.into()))?;
    queue::add(tx, J::NAME, &payload, job.key().as_deref(), &origin()).await
}

/// The request and the release that a job comes from, so that their logs and traces can be joined.
fn origin() -> Value {
    let (request_id, traceparent) = match context::current() {
        Some(context) => (context.request_id, Some(context.traceparent.to_string())),
        None => (None, None),
    };
    json!({ "request_id": request_id, "traceparent": traceparent, "release": release::running().release })
}

/// A type of job, as a worker knows it: a domain lists its own in `JOBS`.
#[derive(Clone, Copy)]
pub struct Task {
    name: &'static str,
    max_attempts: i32,
    timeout: Duration,
    run: fn(App, Value) -> BoxFuture<'static, Result<(), Failure>>,
}

impl Task {
    /// The task of a type of job.
    pub const fn of<J: Job>() -> Self {
        let run = |app, payload| run_parsed::<J>(app, payload).boxed();
        Self { name: J::NAME, max_attempts: J::MAX_ATTEMPTS, timeout: J::TIMEOUT, run }
    }
}

async fn run_parsed<J: Job>(app: App, payload: Value) -> Result<(), Failure> {
    // For now: while two releases run, the other one may know it.
    let job: J = serde_json::from_value(payload).map_err(|error| Failure::Retry(format!("payload: {error}")))?;
    job.run(app).await
}
