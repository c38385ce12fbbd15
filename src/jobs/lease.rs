//! The worker's side of a lease: a job stops when its lease expires, as another worker may have it then.

use std::{future::poll_fn, pin::pin, sync::Mutex, sync::PoisonError, task::Poll};

use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::queue::LEASE;

/// The clocks of Postgres and of this process may drift apart by this much during a lease.
const MARGIN: Duration = Duration::from_secs(1);

/// The lease of a running job, renewed by the worker.
pub(super) struct Lease {
    pub(super) id: i64,
    /// The token of this run: Postgres makes a new one each time the job is taken.
    pub(super) token: Uuid,
    ends: Mutex<Instant>,
    /// Cancelled when another worker has the job.
    pub(super) lost: CancellationToken,
}

impl Lease {
    /// The lease of a job that was taken at `before` or later.
    pub(super) fn new(id: i64, token: Uuid, before: Instant) -> Self {
        Self { id, token, ends: Mutex::new(before + LEASE - MARGIN), lost: CancellationToken::new() }
    }

    /// Records that it was renewed at `before` or later.
    pub(super) fn renew(&self, before: Instant) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = before + LEASE - MARGIN;
    }

    /// Whether the lease has expired. By the clock, as this process may have been paused (SIGSTOP, a suspended VM).
    pub(super) fn is_expired(&self) -> bool {
        self.lost.is_cancelled() || Instant::now() >= *self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` until the lease expires; none: it expired before the work was done.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        // Checked before each poll: after a SIGCONT the work must not continue.
        let leased = poll_fn(
            |context| {
                if self.is_expired() { Poll::Ready(None) } else { work.as_mut().poll(context).map(Some) }
            },
        );
        self.lost.run_until_cancelled(leased).await.flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_runs_after_a_lease_expires() {
        let (over, mut ran) = (Lease::new(1, Uuid::nil(), Instant::now() - LEASE), false);

        assert!(over.run(async { ran = true }).await.is_none());
        assert!(!ran, "the work was polled");
    }

    #[tokio::test]
    async fn work_that_waits_ends_when_its_lease_is_lost() {
        let lease = Lease::new(1, Uuid::nil(), Instant::now());

        let (ended, ()) = tokio::join!(lease.run(std::future::pending::<()>()), async { lease.lost.cancel() });

        assert!(ended.is_none());
    }
}
