//! Factors VIII and IX: the process that runs the jobs. It may be killed at any moment: what it did
//! not finish, another worker does.

use std::{collections::HashMap, error::Error, fmt, sync::Arc, time::Duration};

use graphile_worker::sqlx::SqlxDatabase;
use graphile_worker::{
    Cron, Database, FailureReason, IntoTaskHandlerResult, Job, JobFail, JobFetch, JobPermanentlyFail, JobRecovery,
    JobRecoveryResult, TaskHandler, Worker, WorkerContext, WorkerRecoveryConfig, WorkerShutdownConfig,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Mutex, Notify};
use tokio::time::{sleep_until, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument;
use uuid::Uuid;

use crate::jobs::{self, Failure};
use crate::services::{Limited, within};
use crate::{accounts, jobs::driver::Patched, mail, release, shutdown, state::App, traces};

const JOB_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// Runs jobs until `stop`, whatever happens to the database meanwhile. It ends within the grace.
pub async fn run(app: App, stop: CancellationToken) {
    let ended = async {
        stop.cancelled().await;
        sleep_until(shutdown::deadline(&app)).await;
    };
    let worked = async {
        work(&app, &stop).await;
        app.db.close().await;
    };
    tokio::select! {
        () = worked => {}
        () = ended => tracing::warn!("jobs are cut: the grace is over"),
    }
}

async fn work(app: &App, stop: &CancellationToken) {
    let mut database = app.health.database();
    while stop.run_until_cancelled(database.wait_for(|reachable| *reachable)).await.is_some() {
        // A connection that went silent leaves the queue waiting for its answer, so the queue is dropped with it.
        let result = tokio::select! {
            result = queue(app, stop) => result,
            _ = database.wait_for(|reachable| !*reachable) => Err("out of reach".into()),
        };
        if let Err(error) = result {
            tracing::warn!(%error, "the queue has stopped and will start again");
        }
        let _ = timeout(PAUSE, stop.cancelled()).await;
    }
}

/// Runs the queue's worker to its end.
async fn queue(app: &App, stop: &CancellationToken) -> Result<(), Box<dyn Error + Send + Sync>> {
    // `init` would migrate, which is the release's task and needs its lock.
    if !release::is_migrated(&mut *app.db.acquire().await?).await? {
        return Err("the database is not migrated".into());
    }
    let grace = app.config.shutdown_grace_seconds.saturating_sub(5).min(10);
    let state = State { app: app.clone(), failures: Arc::default() };
    let (failed, dead) = (state.clone(), state.clone());
    let more = Arc::<Notify>::default();
    let database = Patched { inner: SqlxDatabase::new(app.db.clone()), more: more.clone() };

    let worker = crate::queue(Worker::options())?
        .database(Database::new(database))
        .concurrency(app.config.worker_concurrency)
        .define_job::<SendLetter>()
        .define_job::<CleanUp>()
        // Postgres keeps when it last ran, so that it runs once for all workers.
        .with_cron(Cron::every_n_minutes::<CleanUp>(10)?)
        .add_extension(state)
        .worker_shutdown(
            WorkerShutdownConfig::default()
                .listen_os_shutdown_signals(false)
                .shutdown_signal(stop.clone().cancelled_owned())
                .grace_period(Duration::from_secs(grace))
                .interrupted_job_retry_delay(Duration::ZERO),
        )
        .worker_recovery(
            WorkerRecoveryConfig::default()
                .heartbeat_interval(Duration::from_secs(5))
                .sweep_threshold(Duration::from_secs(15))
                .sweep_interval(Duration::from_secs(5))
                .recovery_delay(Duration::ZERO),
        )
        // Where there was one job there may be another.
        .on(JobFetch, move |_| {
            more.notify_one();
            std::future::ready(())
        })
        .on(JobFail, move |end| failed.clone().settle(end.job))
        .on(JobPermanentlyFail, move |end| dead.clone().settle(end.job))
        .on(JobRecovery, |lost| async move {
            if lost.reason != FailureReason::WorkerCrashed {
                return JobRecoveryResult::Default;
            }
            // It may be the job that killed the worker: it keeps its count of attempts, so that it
            // cannot do so for ever.
            let attempts = Some(*lost.job.attempts());
            JobRecoveryResult::Reschedule { run_at: *lost.job.run_at(), attempts }
        })
        .init();
    Ok(worker.await?.run().await?)
}

/// What a handler finds in its context.
#[derive(Clone)]
struct State {
    app: App,
    /// How jobs have failed that the queue is about to release, by their numbers.
    failures: Arc<Mutex<HashMap<i64, Failure>>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl State {
    /// Ends a failed job's attempt. The handler cannot do so itself, as the queue releases the job after it; nor can
    /// the queue, which knows no back-off but its own and takes every failure for a temporary one.
    async fn settle(self, job: Arc<Job>) {
        let Some(failure) = self.failures.lock().await.remove(job.id()) else {
            return;
        };
        let settled = jobs::settle(&self.app.db, *job.id(), *job.attempts(), &failure).limited().await;
        if let Err(error) = settled {
            tracing::warn!(job_id = job.id(), %error, "a job's failure is not recorded in full");
        }
    }
}

/// Runs a handler within a span and a time limit, and keeps how it failed.
pub(crate) async fn attempt<F>(context: WorkerContext, work: impl FnOnce(App) -> F) -> Result<(), &'static str>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let State { app, failures } = context.get_ext::<State>().cloned().ok_or("no state")?;
    let job = context.job();
    let origin = jobs::Context::deserialize(&job.payload()["context"]).unwrap_or_default();
    let mut trace = traces::Span::job(job.task_identifier(), origin.traceparent.as_deref());
    // Of the highest level, so that warnings and errors keep their ids where INFO is off.
    let span = tracing::error_span!(
        "job",
        job_id = job.id(),
        task = job.task_identifier(),
        request_id = origin.request_id,
        trace_id = trace.trace_id(),
    );
    // A task of its own confines a panic; dropping its handle ends it, and whatever it asks of Postgres.
    let task = AbortOnDropHandle::new(tokio::spawn(work(app).instrument(span.clone())));
    let failure = match within(JOB_LIMIT, task).await {
        Ok(Ok(Ok(()))) => {
            tracing::info!(parent: &span, attempt = job.attempts(), "job done");
            return Ok(());
        }
        Ok(Ok(Err(failure))) => failure,
        Ok(Err(_)) => Failure::Retry("the job panicked".into()),
        Err(_) => Failure::Retry(format!("the job ran for more than {JOB_LIMIT:?}")),
    };
    trace.failed(&failure);
    let (attempt, error) = (job.attempts(), &failure.to_string());
    if matches!(failure, Failure::Retry(_)) && attempt < job.max_attempts() {
        tracing::warn!(parent: &span, attempt, error, "job failed and will be retried");
    } else {
        tracing::error!(parent: &span, attempt, error, "job is dead");
    }
    failures.lock().await.insert(*job.id(), failure);
    Err("failed")
}

/// The payload is parsed by the handler, so that a bad one is dead at once.
#[derive(Deserialize, Serialize)]
struct SendLetter(Value);

impl TaskHandler for SendLetter {
    const IDENTIFIER: &'static str = "send_letter";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let letter = Uuid::deserialize(&self.0["letter"]).map_err(|error| Failure::Dead(format!("payload: {error}")));
        attempt(context, |app| async move { mail::deliver(&app, letter?).await }).await
    }
}

#[derive(Deserialize, Serialize)]
struct CleanUp {}

impl TaskHandler for CleanUp {
    const IDENTIFIER: &'static str = "clean_up";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        attempt(context, |app| async move {
            let rows = accounts::clean_up(&app.db).await?;
            tracing::info!(rows, "cleaned up");
            Ok(())
        })
        .await
    }
}
