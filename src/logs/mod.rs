//! XI Logs: a stream of events on stdout, one JSON object per line; the platform routes it.

mod line;
mod stdout;
mod json;

use std::{io, io::IsTerminal, io::Write, process::ExitCode};

use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt};

use crate::config::{self, Config, Errors, LogFormat};

use {json::Json, line::line, stdout::Stdout};

/// The most verbose level per target: below it these targets log headers, credentials, payloads or rows.
const CAPS: &str = "trace,opentelemetry=off,sqlx::query=off,sqlx::postgres::notice=off,sqlx=info,\
    sqlx_postgres::options=off,hyper=info,h2=info,rustls=info,lettre=warn,redis=warn,object_store=warn,reqwest=warn,\
    tower=info";

/// Starts logging, panics included. `LOG_LEVEL` cannot exceed [`CAPS`], so that no level logs secrets.
pub fn start(config: &Config) {
    // Two filters: an event must pass both, so that no directive raises a capped target or a module of it.
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

/// Prints one log line per config error, before logging has started.
pub fn fail(errors: &Errors) -> ExitCode {
    for (variable, sentence) in &errors.0 {
        let _ = Stdout.write_all(&line("ERROR", "app::config", sentence, "variable", variable));
    }
    ExitCode::from(config::EXIT_CODE)
}
