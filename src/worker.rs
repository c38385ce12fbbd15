//! VIII, IX: the process that runs the jobs.

use tokio::time::{Duration, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{domains, jobs, shutdown, state::App, traces};

/// Runs jobs until `stop`, then returns within the grace period. Jobs that are still running are released to the queue,
/// early enough to record it.
pub async fn run(app: App, stop: CancellationToken) {
    tracing::info!("worker started");
    let grace = Duration::from_secs(app.config.shutdown_grace_seconds.saturating_sub(5).min(10));
    let ended = async {
        stop.cancelled().await;
        tracing::info!("stopping");
        // Reserves the time to export the last spans.
        sleep_until(shutdown::deadline(&app) - traces::STOP_LIMIT).await;
    };
    let worked = async {
        jobs::worker::run(app.clone(), domains::jobs(), &stop, grace).await;
        app.db.close().await;
    };
    tokio::select! {
        () = worked => tracing::info!("stopped"),
        () = ended => tracing::warn!("grace period over: running jobs aborted"),
    }
    traces::stop(traces::STOP_LIMIT).await;
}
