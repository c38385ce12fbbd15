//! XI Logs: a stream of events on stdout, one JSON object a line; whoever runs the process routes it.

mod json;
mod stdout;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{Config, Errors, LogFormat};

use json::{Json, line};
use stdout::Stdout;
pub use stdout::dropped;

/// Targets whose lines below a level hold headers, credentials, payloads or rows.
const CAPS: [(&str, LevelFilter); 13] = [
    ("graphile_worker", LevelFilter::OFF),
    ("opentelemetry", LevelFilter::OFF),
    ("sqlx::query", LevelFilter::OFF),
    ("sqlx::postgres::notice", LevelFilter::OFF),
    ("sqlx", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("rustls", LevelFilter::INFO),
    ("lettre", LevelFilter::WARN),
    ("redis", LevelFilter::WARN),
    ("object_store", LevelFilter::WARN),
    ("reqwest", LevelFilter::WARN),
    ("tower", LevelFilter::INFO),
];

/// What every line of this process says.
struct Process {
    name: &'static str,
    release: String,
    format: LogFormat,
}

static PROCESS: OnceLock<Process> = OnceLock::new();

/// Starts logging, panics included. What `LOG_LEVEL` asks for is never so much as to show a secret.
pub fn start(config: &Config, process: &'static str) {
    let format = config.log_format;
    let _ = PROCESS.set(Process { name: process, release: config.release_id.clone(), format });
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Stdout);
    let subscriber = Registry::default().with(targets(&config.log_level));
    let _ = match format {
        LogFormat::Json => {
            let layer = layer.fmt_fields(Json).event_format(Json);
            tracing::subscriber::set_global_default(subscriber.with(layer))
        }
        LogFormat::Text => {
            let layer = layer.with_ansi(io::stdout().is_terminal());
            tracing::subscriber::set_global_default(subscriber.with(layer))
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
    let release = std::env::var("RELEASE_ID").ok().filter(|release| !release.is_empty());
    let release = release.unwrap_or_else(|| "dev".to_owned());
    let _ = PROCESS.set(Process { name: process, release, format: LogFormat::Json });
    for problem in &errors.0 {
        let line = line("ERROR", &problem.message, "variable", problem.variable.into());
        let _ = io::Write::write_all(&mut Stdout, line.as_bytes());
    }
    ExitCode::from(crate::admin::BAD_CONFIG)
}

/// The process type: `web` or `worker`.
pub fn process() -> &'static str {
    PROCESS.get().map_or("unknown", |process| process.name)
}

/// The process among all of them: the host's name, a dot and the process id.
pub fn instance() -> &'static str {
    static INSTANCE: OnceLock<String> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let host = rustix::system::uname();
        format!("{}.{}", host.nodename().to_string_lossy(), std::process::id())
    })
}

/// The directives of `LOG_LEVEL` with the caps on top: a directive may lower a capped target, or
/// name a module of it, but raises neither.
fn targets(directives: &str) -> Targets {
    let asked: Targets = directives.parse().unwrap_or_default();
    let mut targets =
        Targets::new().with_default(asked.default_level().unwrap_or(LevelFilter::OFF));
    for (target, level) in asked.iter() {
        targets = targets.with_target(target, level.min(cap(target)));
    }
    for (target, cap) in CAPS {
        let level = level(&asked, target).min(cap);
        targets = targets.with_target(target, level);
    }
    targets
}

/// What `asked` gives to `target`.
fn level(asked: &Targets, target: &str) -> LevelFilter {
    let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
    let enabled = levels.iter().find(|level| asked.would_enable(target, level));
    enabled.map_or(LevelFilter::OFF, |level| (*level).into())
}

fn cap(target: &str) -> LevelFilter {
    let caps = CAPS.iter().filter(|(capped, _)| target.starts_with(capped));
    caps.map(|(_, level)| *level).min().unwrap_or(LevelFilter::TRACE)
}
