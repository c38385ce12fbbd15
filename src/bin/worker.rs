//! VIII: runs jobs until told to stop.

use std::process::ExitCode;

use app::{admin, config::Config, logs, server, shutdown, state::App, telemetry, traces, worker};

#[tokio::main]
async fn main() -> ExitCode {
    admin::describe("Runs jobs until it is told to stop");
    let stop = shutdown::requested();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(errors) => return logs::fail("worker", &errors),
    };
    logs::start(&config, "worker");
    server::exit(async {
        traces::start(&config)?;
        let app = App::attach(config)?;
        telemetry::serve(&app, &stop).await?;
        tracing::info!("running jobs");
        worker::run(app, stop).await;
        traces::stop(traces::STOP_LIMIT).await;
        Ok(())
    })
    .await
}
