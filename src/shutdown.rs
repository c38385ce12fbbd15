//! IX Disposability: the stop signal as a future, and the phases of the shutdown.

use std::time::Duration;

use tokio::{signal::unix::SignalKind, signal::unix::signal, time::Instant, time::sleep_until};
use tokio_util::sync::CancellationToken;

use crate::state::App;

/// The part of the grace period that is reserved for the exit of the process.
const EXIT_MARGIN: Duration = Duration::from_millis(500);

/// Cancelled at the first SIGTERM or Ctrl-C; signals after it do nothing.
///
/// The handlers are installed when this returns, so that a signal during the start counts. Must be called within a
/// runtime.
pub fn requested() -> CancellationToken {
    let token = CancellationToken::new();
    // If a handler cannot be installed, the signal still terminates the process.
    for mut signal in [SignalKind::terminate(), SignalKind::interrupt()].map(signal).into_iter().flatten() {
        let stop = token.clone();
        tokio::spawn(async move {
            signal.recv().await;
            stop.cancel();
        });
    }
    token
}

/// Returns when the listener is to close: the deadline for the requests in flight.
///
/// After the stop signal the process reports not ready, and still serves for `DRAIN_SECONDS`, until load balancers have
/// noticed.
pub async fn drained(app: &App, stop: &CancellationToken) -> Instant {
    stop.cancelled().await;
    let (stopped, deadline) = (Instant::now(), deadline(app));
    app.health.drain();
    let drain = Duration::from_secs(app.config.drain_seconds.into());
    tracing::info!(drain_seconds = drain.as_secs(), "stopping");
    sleep_until(deadline.min(stopped + drain)).await;
    deadline
}

/// The deadline of a shutdown that starts now.
pub(crate) fn deadline(app: &App) -> Instant {
    Instant::now() + Duration::from_secs(app.config.shutdown_grace_seconds).saturating_sub(EXIT_MARGIN)
}
