//! IX Disposability: a stop as a future, and the phases that follow it.

use std::time::Duration;

use tokio::{signal::unix::SignalKind, signal::unix::signal, time::Instant, time::sleep_until};
use tokio_util::sync::CancellationToken;

use crate::state::App;

/// What is left of the grace for the process's own end.
const LAST_MOMENTS: Duration = Duration::from_millis(500);

/// Cancelled at the first SIGTERM or Ctrl-C; signals after it do nothing.
///
/// The handlers stand once this returns, so that a signal during the start counts. It needs a runtime.
pub fn requested() -> CancellationToken {
    let token = CancellationToken::new();
    // Without a handler the signal ends the process by itself, so there is nothing to wait for.
    for mut signal in [SignalKind::terminate(), SignalKind::interrupt()].map(signal).into_iter().flatten() {
        let stop = token.clone();
        tokio::spawn(async move {
            signal.recv().await;
            stop.cancel();
        });
    }
    token
}

/// Returns when no new connection is to be taken, with the moment by which the open ones must be done.
///
/// After the stop the process says that it is not ready and still serves for `DRAIN_SECONDS`, in
/// which load balancers look elsewhere.
pub async fn drained(app: &App, stop: &CancellationToken) -> Instant {
    stop.cancelled().await;
    let (stopped, deadline) = (Instant::now(), deadline(app));
    app.health.drain();
    let drain = Duration::from_secs(app.config.drain_seconds.into());
    tracing::info!(drain_seconds = drain.as_secs(), "stopping");
    sleep_until(deadline.min(stopped + drain)).await;
    deadline
}

/// By when all must be done that is stopped now.
pub(crate) fn deadline(app: &App) -> Instant {
    Instant::now() + Duration::from_secs(app.config.shutdown_grace_seconds).saturating_sub(LAST_MOMENTS)
}
