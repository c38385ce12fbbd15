//! Takes jobs and runs them. The process may be killed, stopped or cut off at any moment: what it did not finish,
//! another worker does.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, sync::Mutex, sync::MutexGuard, sync::PoisonError};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use super::{Failure, Task, lease::Lease, queue, queue::Taken};
use crate::{context, context::Context, state::App, traces};

/// From one look at an empty queue to the next, on average. Nobody listens: a pooler does not pass notifications on.
const POLL_MS: u64 = 500;
/// A third of a lease.
const TICK: Duration = Duration::from_secs(5);
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// Runs jobs until `stop`, whatever happens to Postgres meanwhile; running ones then have `grace` to finish.
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
    let _tending = AbortOnDropHandle::new(tokio::spawn(worker.clone().tend()));
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
    /// Of the running jobs, by their tokens: a job whose lease ended may run here twice.
    leases: Mutex<HashMap<Uuid, Arc<Lease>>>,
    /// As many as jobs may run at once: one connection is left for the queue, whatever they do with theirs.
    slots: Arc<Semaphore>,
    running: TaskTracker,
    /// Cancelled when running jobs are to be handed back.
    interrupt: CancellationToken,
}

/// How a job's run ended.
enum Outcome {
    Ended(Result<(), Failure>),
    /// The worker stops.
    Interrupted,
    /// The lease is over.
    Lost,
}

impl Worker {
    /// Takes jobs for free slots until `stop`.
    async fn work(self: &Arc<Self>, stop: &CancellationToken) {
        let mut reachable = true;
        while let Some(Ok(slot)) = stop.run_until_cancelled(self.slots.clone().acquire_owned()).await {
            // Not cancelled halfway: a job that was taken must be run or handed back.
            let result = self.fill(slot).await;
            match &result {
                Err(error) if reachable => tracing::warn!(%error, "job queue unreachable"),
                Ok(_) if !reachable => tracing::info!("job queue recovered"),
                _ => {}
            }
            reachable = result.is_ok();
            // A backlog goes at full speed.
            if !matches!(result, Ok(true)) {
                stop.run_until_cancelled(sleep(poll_pause())).await;
            }
        }
    }

    /// Takes a job for `slot` and for each other free one. Answers whether there were as many.
    async fn fill(self: &Arc<Self>, slot: OwnedSemaphorePermit) -> sqlx::Result<bool> {
        let mut slots = vec![slot];
        slots.extend(std::iter::from_fn(|| self.slots.clone().try_acquire_owned().ok()));
        let before = Instant::now();
        let jobs = queue::take(&self.app.db, &self.names, slots.len() as i64).await?;
        let filled = jobs.len() == slots.len();
        for (job, slot) in jobs.into_iter().zip(slots) {
            // Only known ones are taken.
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

    /// Now and then: renews the leases of running jobs, aborts those that are another worker's by now, and adds the
    /// periodic jobs that are due.
    async fn tend(self: Arc<Self>) {
        let (mut ticks, mut adding) = (interval(TICK), true);
        // A process that was stopped need not catch up.
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
                    Err(_) if !lease.is_over() => {}
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
        // Of the highest level, so that warnings and errors keep their ids where INFO is off.
        let span =
            tracing::error_span!("job", job_id = job.id, task = task.name, request_id, trace_id = trace.trace_id(),);
        let context = Context { request_id, traceparent: trace.traceparent() };
        let attempt = job.attempts;
        let outcome = context::scope(context, self.attempt(task, job, lease)).instrument(span.clone()).await;
        // It is not renewed while its outcome is recorded, so that it cannot be called lost once it is deleted.
        self.leases().remove(&lease.token);
        if let Outcome::Ended(Err(failure)) = &outcome {
            trace.failed(failure);
        }
        self.record(task, attempt, lease, &outcome).instrument(span).await;
    }

    /// Runs a job within its limits. A panic is a failure.
    async fn attempt(&self, task: &Task, job: Taken, lease: &Lease) -> Outcome {
        if job.attempts > task.max_attempts {
            return Outcome::Ended(Err(Failure::Dead("it was taken again and again, and never ended".into())));
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

    /// Records the outcome, as long as the lease lasts: if Postgres is away for longer, the job is run again.
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
                Err(_) if !lease.is_over() => sleep(RECORD_PAUSE).await,
                Err(_) => break false,
            }
        };
        match outcome {
            _ if !recorded => tracing::warn!(attempt, "job lost: its lease is over"),
            Outcome::Ended(Ok(())) => tracing::info!(attempt, "job done"),
            Outcome::Ended(Err(failure)) if dead(failure) => tracing::error!(attempt, error = %failure, "job dead"),
            Outcome::Ended(Err(failure)) => tracing::warn!(attempt, error = %failure, "job failed, will be retried"),
            _ => tracing::info!(attempt, "job handed back"),
        }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Lease>>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With jitter, so that workers that were started together do not ask together.
fn poll_pause() -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    Duration::from_millis(POLL_MS * 3 / 4 + u64::from(random) % (POLL_MS / 2))
}
