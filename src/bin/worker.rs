//! VIII: runs jobs until told to stop.

use std::process::ExitCode;

use app::{process, worker};

#[tokio::main]
async fn main() -> ExitCode {
    process::run("worker", "Runs jobs until it is told to stop", async |app, stop| {
        worker::run(app, stop).await;
        Ok(())
    })
    .await
}
