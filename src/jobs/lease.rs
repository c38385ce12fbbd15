//! The worker's side of a lease: nothing of a job runs once it is over, as another worker may have the job by then.

use std::{future::poll_fn, pin::pin, sync::Mutex, sync::PoisonError, task::Poll};

use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::queue::LEASE;

/// What the clocks of Postgres and of this process may differ by within a lease.
const MARGIN: Duration = Duration::from_secs(1);

/// A lease that is renewed from time to time.
pub(super) struct Lease {
    pub(super) id: i64,
    /// The token of the job's take.
    pub(super) token: Uuid,
    ends: Mutex<Instant>,
    /// Cancelled when another worker has it.
    pub(super) lost: CancellationToken,
}

impl Lease {
    /// The lease of a job that was taken after `before`.
    pub(super) fn new(id: i64, token: Uuid, before: Instant) -> Self {
        Self { id, token, ends: Mutex::new(before + LEASE - MARGIN), lost: CancellationToken::new() }
    }

    /// It was renewed after `before`.
    pub(super) fn renew(&self, before: Instant) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = before + LEASE - MARGIN;
    }

    /// Whether the job may be another worker's. This process may have been stopped for long, so it looks at the clock.
    pub(super) fn is_over(&self) -> bool {
        self.lost.is_cancelled() || Instant::now() >= *self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` while the lease lasts; none where it was over before the work was done.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        // Before each step: after a SIGCONT the next step must not be taken.
        let leased = poll_fn(|context| match self.is_over() {
            true => Poll::Ready(None),
            false => work.as_mut().poll(context).map(Some),
        });
        self.lost.run_until_cancelled(leased).await.flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_runs_once_a_lease_is_over() {
        let (over, mut ran) = (Lease::new(1, Uuid::nil(), Instant::now() - LEASE), false);

        assert!(over.run(async { ran = true }).await.is_none());
        assert!(!ran, "a step was taken");
    }

    #[tokio::test]
    async fn work_that_waits_ends_when_its_lease_is_lost() {
        let lease = Lease::new(1, Uuid::nil(), Instant::now());

        let (ended, ()) = tokio::join!(lease.run(std::future::pending::<()>()), async { lease.lost.cancel() });

        assert!(ended.is_none());
    }
}
