//! VIII: the worker process.

use std::process::ExitCode;

use app::{process, worker};

#[tokio::main]
async fn main() -> ExitCode {
    process::run("worker", "Runs jobs until SIGTERM or Ctrl-C", async |app, stop| {
        worker::run(app, stop).await;
        Ok(())
    })
    .await
}
