//! XI Logs: a stream of events on stdout, one JSON object a line; whoever runs the process routes it.

mod json;
mod stdout;

use std::io::{self, IsTerminal, Write};
use std::{process::ExitCode, sync::OnceLock};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, layer::SubscriberExt};

use crate::config::{self, Config, Errors, LogFormat};

use json::{Json, line};
use stdout::Stdout;
pub use stdout::dropped;

/// Some targets log headers, credentials, payloads or rows below these levels.
const CAPS: &str = "trace,graphile_worker=off,opentelemetry=off,sqlx::query=off,sqlx::postgres::notice=off,sqlx=info,\
    sqlx_postgres::options=off,hyper=info,h2=info,rustls=info,lettre=warn,redis=warn,object_store=warn,reqwest=warn,\
    tower=info";

/// The process's type and its release, which every line says.
static PROCESS: OnceLock<(&str, String)> = OnceLock::new();

/// Starts logging, panics included. What `LOG_LEVEL` asks for is never so much as to show a secret.
pub fn start(config: &Config, process: &'static str) {
    let _ = PROCESS.set((process, config.release_id.clone()));
    // A line must pass both, so that no directive raises a capped target or a module of it.
    let asked: Targets = config.log_level.parse().unwrap_or_default();
    let caps: Targets = CAPS.parse().unwrap_or_default();
    let subscriber = Registry::default().with(asked).with(caps);
    let _ = match config.log_format {
        LogFormat::Json => tracing::subscriber::set_global_default(subscriber.with(Json)),
        LogFormat::Text => {
            let text = tracing_subscriber::fmt::layer().with_ansi(io::stdout().is_terminal());
            tracing::subscriber::set_global_default(subscriber.with(text.with_writer(|| Stdout)))
        }
    };
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panic: {payload}");
    }));
}

/// Prints one line for each wrong variable, before there is a config to log by.
pub fn fail(process: &'static str, errors: &Errors) -> ExitCode {
    let _ = PROCESS.set((process, config::variable("RELEASE_ID").unwrap_or_else(|| "dev".into())));
    for (variable, sentence) in &errors.0 {
        let _ = Stdout.write_all(&line("ERROR", sentence, "variable", variable));
    }
    ExitCode::from(crate::admin::BAD_CONFIG)
}

/// The process type: `web` or `worker`.
pub fn process() -> &'static str {
    PROCESS.get().map_or("unknown", |(name, _)| name)
}

/// The release that runs.
pub fn release() -> &'static str {
    PROCESS.get().map_or("", |(_, release)| release)
}

/// The process among all of them: the host's name, a dot and the process id.
pub fn instance() -> &'static str {
    static INSTANCE: OnceLock<String> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let host = rustix::system::uname();
        format!("{}.{}", host.nodename().to_string_lossy(), std::process::id())
    })
}
