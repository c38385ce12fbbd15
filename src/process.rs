//! VIII: the start and the exit of `web` and `worker`.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::{admin, config::Config, http, logs, release, server, shutdown, state::App, state::Handles, traces};

/// Runs a process: reads the config, starts logging, attaches the services, then calls `run`, which returns after the
/// stop signal.
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
    // Exit, not return: the runtime would wait for a DNS lookup or a hash that is still running.
    std::process::exit(code.into())
}
