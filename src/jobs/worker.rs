//! Takes jobs and runs them. The process may be killed, paused or disconnected at any moment: another worker then runs
//! its unfinished jobs.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, sync::Mutex, sync::MutexGuard, sync::PoisonError};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use super::{Failure, Task, lease::Lease, queue, queue::Taken};
use crate::{context, context::Context, state::App, traces};

/// The average pause between two polls of an empty queue. Polling, not LISTEN: a transaction pooler delivers no
/// notifications.
const POLL_MS: u64 = 500;
/// A third of a lease.
const TICK: Duration = Duration::from_secs(5);
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// Runs jobs until `stop`, also through failures of Postgres; running jobs then have `grace` to finish.
pub async fn run(app: App, tasks: Vec<Task>, stop: &CancellationToken, grace: Duration) {
    let worker = Arc::new(Worker {
        names: tasks.iter().map(|task| task.name.to_owned()).collect(),
        tasks,
        leases: Mutex::default(),
        slots: Arc::new(Semaphore::new(app.config.worker_concurrency.min(app.config.database_pool_size as usize - 2))),
        running: TaskTracker::new(),
        interrupt: CancellationToken::new(),
        app,
    });
    let _ticks = AbortOnDropHandle::new(tokio::spawn(worker.clone().tick()));
    worker.work(stop).await;
    worker.running.close();
    if timeout(grace, worker.running.wait()).await.is_err() {
        worker.interrupt.cancel();
        worker.running.wait().await;
    }
}

struct Worker {
    app: App,
    tasks: Vec<Task>,
    names: Vec<String>,
    /// The leases of running jobs, by token: a job whose lease expired may run here twice.
    leases: Mutex<HashMap<Uuid, Arc<Lease>>>,
    /// One permit per job that may run at once; two connections of the pool are left for the queue.
    slots: Arc<Semaphore>,
    running: TaskTracker,
    /// Cancelled when running jobs are to be released.
    interrupt: CancellationToken,
}

/// The outcome of a run.
enum Outcome {
    Ended(Result<(), Failure>),
    /// Aborted: the worker is stopping.
    Interrupted,
    /// Aborted: the lease has expired.
    Lost,
}

impl Worker {
    /// Takes jobs for free slots until `stop`.
    async fn work(self: &Arc<Self>, stop: &CancellationToken) {
        let mut reachable = true;
        while let Some(Ok(slot)) = stop.run_until_cancelled(self.slots.clone().acquire_owned()).await {
            // Not cancelled halfway: a taken job must be run or released.
            let result = self.take(slot).await;
            match &result {
                Err(error) if reachable => tracing::warn!(%error, "job queue unreachable"),
                Ok(_) if !reachable => tracing::info!("job queue recovered"),
                _ => {}
            }
            reachable = result.is_ok();
            // No pause while there is a backlog.
            if !matches!(result, Ok(true)) {
                stop.run_until_cancelled(sleep(poll_pause())).await;
            }
        }
    }

    /// Takes a job for `slot` and for every other free slot. Returns whether all got one.
    async fn take(self: &Arc<Self>, slot: OwnedSemaphorePermit) -> sqlx::Result<bool> {
        let mut slots = vec![slot];
        slots.extend(std::iter::from_fn(|| self.slots.clone().try_acquire_owned().ok()));
        let before = Instant::now();
        let jobs = queue::take(&self.app.db, &self.names, slots.len() as i64).await?;
        let filled = jobs.len() == slots.len();
        for (job, slot) in jobs.into_iter().zip(slots) {
            // Only jobs of known tasks are taken.
            let Some(task) = self.tasks.iter().find(|task| task.name == job.task).copied() else { continue };
            let lease = Arc::new(Lease::new(job.id, job.token, before));
            self.leases().insert(job.token, lease.clone());
            let worker = self.clone();
            self.running.spawn(async move {
                worker.run(&task, job, &lease).await;
                drop(slot);
            });
        }
        Ok(filled)
    }

    /// Every [`TICK`]: renews the leases of running jobs, aborts jobs that another worker has taken, and adds the
    /// periodic jobs that are due.
    async fn tick(self: Arc<Self>) {
        let (mut ticks, mut adding) = (interval(TICK), true);
        // After a pause of the process, missed ticks are skipped.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let leases: Vec<_> = self.leases().values().cloned().collect();
            let (ids, tokens): (Vec<_>, Vec<_>) = leases.iter().map(|lease| (lease.id, lease.token)).unzip();
            let before = Instant::now();
            let renewed = queue::renew(&self.app.db, &ids, &tokens).await;
            for lease in leases {
                match &renewed {
                    Ok(tokens) if tokens.contains(&lease.token) => lease.renew(before),
                    Err(_) if !lease.is_expired() => {}
                    _ => lease.lost.cancel(),
                }
            }
            let added = queue::add_scheduled(&self.app.db, &self.names).await;
            if let (Err(error), true) = (&added, adding) {
                tracing::warn!(%error, "periodic jobs not added");
            }
            adding = added.is_ok();
        }
    }

    async fn run(&self, task: &Task, job: Taken, lease: &Lease) {
        let request_id = job.context["request_id"].as_str().map(str::to_owned);
        let mut trace = traces::Span::job(task.name, job.context["traceparent"].as_str());
        // At level ERROR, so that warnings and errors have these fields where INFO is off.
        let span =
            tracing::error_span!("job", job_id = job.id, task = task.name, request_id, trace_id = trace.trace_id(),);
        let context = Context { request_id, traceparent: trace.traceparent(), client: None };
        let attempt = job.attempts;
        let outcome = context::scope(context, self.execute(task, job, lease)).instrument(span.clone()).await;
        // No renewal while the outcome is recorded: a renewal after the delete would report the lease as lost.
        self.leases().remove(&lease.token);
        if let Outcome::Ended(Err(failure)) = &outcome {
            trace.failed(failure);
        }
        self.record(task, attempt, lease, &outcome).instrument(span).await;
    }

    /// Runs a job within its limits. A panic counts as a failure.
    async fn execute(&self, task: &Task, job: Taken, lease: &Lease) -> Outcome {
        if job.attempts > task.max_attempts {
            return Outcome::Ended(Err(Failure::Dead("every attempt was aborted without an outcome".into())));
        }
        let work = AssertUnwindSafe((task.run)(self.app.clone(), job.payload)).catch_unwind();
        match self.interrupt.run_until_cancelled(lease.run(timeout(task.timeout, work))).await {
            None => Outcome::Interrupted,
            Some(None) => Outcome::Lost,
            Some(Some(Ok(Ok(result)))) => Outcome::Ended(result),
            Some(Some(Ok(Err(_)))) => Outcome::Ended(Err(Failure::Retry("the job panicked".into()))),
            Some(Some(Err(_))) => Outcome::Ended(Err(Failure::Retry(format!("timed out after {:?}", task.timeout)))),
        }
    }

    /// Records the outcome, retrying until the lease expires: if Postgres is down for longer, the job runs again.
    async fn record(&self, task: &Task, attempt: i32, lease: &Lease, outcome: &Outcome) {
        let (db, id, token) = (&self.app.db, lease.id, lease.token);
        let dead = |failure: &Failure| matches!(failure, Failure::Dead(_)) || attempt >= task.max_attempts;
        let recorded = loop {
            let result = match outcome {
                Outcome::Ended(Ok(())) => queue::complete(db, id, token).await,
                Outcome::Ended(Err(failure)) => {
                    queue::release(db, id, token, Some(&failure.to_string()), dead(failure)).await
                }
                Outcome::Interrupted => queue::release(db, id, token, None, false).await,
                Outcome::Lost => Ok(false),
            };
            match result {
                Ok(recorded) => break recorded,
                Err(_) if !lease.is_expired() => sleep(RECORD_PAUSE).await,
                Err(_) => break false,
            }
        };
        match outcome {
            _ if !recorded => tracing::warn!(attempt, "job lost: lease expired"),
            Outcome::Ended(Ok(())) => tracing::info!(attempt, "job done"),
            Outcome::Ended(Err(failure)) if dead(failure) => tracing::error!(attempt, error = %failure, "job dead"),
            Outcome::Ended(Err(failure)) => tracing::warn!(attempt, error = %failure, "job failed, will be retried"),
            _ => tracing::info!(attempt, "job released"),
        }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Lease>>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With jitter, so that workers that start together do not poll together.
fn poll_pause() -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    Duration::from_millis(POLL_MS * 3 / 4 + u64::from(random) % (POLL_MS / 2))
}
