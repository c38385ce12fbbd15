//! VIII: runs jobs until told to stop.

use std::process::ExitCode;

use app::{server, traces, worker};

#[tokio::main]
async fn main() -> ExitCode {
    server::process("worker", "Runs jobs until it is told to stop", async |app, stop| {
        tracing::info!("running jobs");
        worker::run(app, stop).await;
        traces::stop(traces::STOP_LIMIT).await;
        Ok(())
    })
    .await
}
