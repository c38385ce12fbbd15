//! VIII: what `web` and `worker` share, from their start to their end.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::{admin, http, logs, release, server, shutdown, traces};
use crate::{config::Config, state::App, state::Handles};

/// Runs a process: config, logs, the handles to the services, then `run` until `stop`.
pub async fn run(
    name: &'static str, about: &'static str, run: impl AsyncFnOnce(App, CancellationToken) -> server::Result<()>,
) -> ExitCode {
    admin::describe(about);
    let stop = shutdown::requested();
    release::start(name);
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(errors) => return logs::fail(&errors),
    };
    logs::start(&config);
    let ended: server::Result<()> = async {
        traces::start(&config)?;
        let app = Handles::attach(config)?;
        http::metrics::serve(&app, &stop).await?;
        run(app, stop).await
    }
    .await;
    if let Err(error) = &ended {
        tracing::error!("{error}");
    }
    let code = ended.map_or_else(|error| admin::code(error.as_ref()), |()| 0);
    // Not by returning: the runtime would then wait for a name's look-up or a hash that still runs.
    std::process::exit(code.into())
}
