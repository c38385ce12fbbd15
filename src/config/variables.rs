//! Every variable with its sentence: the source of `.env.example` and of the errors.

/// One variable of the environment.
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// What holds when it is unset; none for one that is required or off.
    pub(super) default: Option<&'static str>,
    /// A value that is right.
    pub(super) example: &'static str,
    /// Whether a process refuses to start without it.
    pub(super) required: bool,
    /// What it is for.
    about: &'static str,
}

impl Variable {
    /// The error that names this variable, with the fix and without the value.
    pub(super) fn problem(&self, what: &str) -> String {
        let Self { name, about, example, .. } = self;
        format!("{name} {what}: {about}. Example: {name}={example}")
    }

    /// Whether its value opens a service.
    pub(super) fn secret(&self) -> bool {
        SECRET.contains(&self.name)
    }
}

const SECRET: [&str; 5] = ["DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"];

const fn required(name: &'static str, example: &'static str, about: &'static str) -> Variable {
    Variable { name, default: None, example, required: true, about }
}

const fn default(name: &'static str, value: &'static str, about: &'static str) -> Variable {
    Variable { name, default: Some(value), example: value, required: false, about }
}

const fn off(name: &'static str, example: &'static str, about: &'static str) -> Variable {
    Variable { name, default: None, example, required: false, about }
}

/// All of them, in the order of `.env.example`.
pub(super) const VARIABLES: &[Variable] = &[
    default("PORT", "8080", "the port that web binds, on all addresses; 0 picks a free one and logs it"),
    required("PUBLIC_URL", "http://localhost:8080", "the origin people see: links, cookies' names, who may post"),
    required("DATABASE_URL", "postgres://app:password@localhost:5432/app", "Postgres; sslmode=verify-full: TLS"),
    required("REDIS_URL", "redis://:password@localhost:6379/0", "sessions and rate limits; rediss:// asks for TLS"),
    required("SMTP_URL", "smtp://user:password@localhost:1025", "mail; ?tls=required: STARTTLS, smtps://: TLS"),
    required("MAIL_FROM", "App <app@example.com>", "the sender of letters"),
    required("STORAGE_URL", "s3+http://key:secret@localhost:3900/app?region=garage", "the bucket; s3+https:// for TLS"),
    default("RELEASE_ID", "dev", "the release's name, set by the release step; in /version, in every log line"),
    default("LOG_LEVEL", "info", "which lines to log, as tracing filter directives"),
    default("LOG_FORMAT", "json", "json, or text for a person at a terminal"),
    default("DATABASE_POOL_SIZE", "10", "Postgres connections at most, per process; from 3"),
    default("WORKER_CONCURRENCY", "4", "jobs at once, per worker; two fewer than DATABASE_POOL_SIZE at most"),
    default("MAX_CONNECTIONS", "1000", "accepted client connections at most, per web process"),
    default("REQUEST_TIMEOUT_SECONDS", "15", "seconds after which a request is answered 503"),
    default("DRAIN_SECONDS", "0", "seconds after SIGTERM that web still serves while it says it is not ready"),
    default("SHUTDOWN_GRACE_SECONDS", "25", "seconds from SIGTERM to exit, at most"),
    default("SESSION_IDLE_SECONDS", "1800", "seconds after which an unused session ends"),
    default("SESSION_MAX_SECONDS", "43200", "seconds after which any session ends"),
    off("TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8", "the networks whose X-Forwarded-For counts; none when unset"),
    off("METRICS_PORT", "9090", "the port of Prometheus text and the health routes; closed when unset"),
    off("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", "traces by OTLP; all other OTEL_* count as well"),
    off("ALLOW_RESET", "app", "the database's name, to let `reset` destroy it"),
];

/// `.env.example`: every variable, in order, with its sentence; what is optional stands commented out.
pub fn schema() -> String {
    let mut text =
        String::from("# Every variable that the processes read. This file is what `config schema` prints.\n");
    for Variable { name, example, required, about, .. } in VARIABLES {
        let mark = if *required { "" } else { "# " };
        // A shell reads this file, so a value with a blank or a `<` stands in quotes.
        let quote = if example.contains([' ', '<', '?', '&']) { "'" } else { "" };
        text.push_str(&format!("\n# {about}.\n{mark}{name}={quote}{example}{quote}\n"));
    }
    text
}
