//! VII, VIII: answers HTTP until told to stop.

use std::process::ExitCode;

use app::{admin, config::Config, http, logs, server, shutdown, state::App, telemetry, traces};

#[tokio::main]
async fn main() -> ExitCode {
    admin::describe("Answers HTTP on PORT until it is told to stop");
    let stop = shutdown::requested();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(errors) => return logs::fail("web", &errors),
    };
    logs::start(&config, "web");
    server::exit(async {
        traces::start(&config)?;
        let app = App::attach(config)?;
        telemetry::serve(&app, &stop).await?;
        server::run(app.clone(), http::router(app), stop).await
    })
    .await
}
