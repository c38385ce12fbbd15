//! Every variable with its description: the source of `.env.example` and of the config errors.

/// An environment variable.
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// The value when it is unset; none where it is required or turns a feature on.
    pub(super) default: Option<&'static str>,
    /// A valid value.
    pub(super) example: &'static str,
    /// Whether a process exits with 78 without it.
    pub(super) required: bool,
    /// Its description.
    about: &'static str,
}

impl Variable {
    /// The error message: the variable, its description and an example, without the value.
    pub(super) fn problem(&self, what: &str) -> String {
        let Self { name, about, .. } = self;
        format!("{name} {what}. {about}. Example: {name}={}", self.quoted())
    }

    /// The example, as a shell reads it: with quotes if it has spaces or special characters.
    fn quoted(&self) -> String {
        let quote = if self.example.contains([' ', '<', '?', '&']) { "'" } else { "" };
        format!("{quote}{}{quote}", self.example)
    }

    /// Whether its value holds credentials.
    pub(super) fn secret(&self) -> bool {
        SECRET.contains(&self.name)
    }
}

const SECRET: [&str; 6] =
    ["DATABASE_URL", "MIGRATE_DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"];

const fn required(name: &'static str, example: &'static str, about: &'static str) -> Variable {
    Variable { name, default: None, example, required: true, about }
}

const fn default(name: &'static str, value: &'static str, about: &'static str) -> Variable {
    Variable { name, default: Some(value), example: value, required: false, about }
}

const fn off(name: &'static str, example: &'static str, about: &'static str) -> Variable {
    Variable { name, default: None, example, required: false, about }
}

/// All variables, in the order of `.env.example`.
pub(super) const VARIABLES: &[Variable] = &[
    default("PORT", "8080", "The port that web listens on; 0 picks a free port and logs it"),
    required("PUBLIC_URL", "http://localhost:8080", "The public origin: for links, cookie names and CSRF"),
    required("DATABASE_URL", "postgres://app:password@localhost:5432/app", "Postgres; ?sslmode=verify-full for TLS"),
    off(
        "MIGRATE_DATABASE_URL",
        "postgres://app_owner:password@localhost:5432/app",
        "The owner of the schema, for migrate, reset and console --write; DATABASE_URL when unset",
    ),
    required("REDIS_URL", "redis://:password@localhost:6379/0", "Redis: sessions and rate limits; rediss:// for TLS"),
    required("SMTP_URL", "smtp://user:password@localhost:1025", "SMTP; ?tls=required for STARTTLS, smtps:// for TLS"),
    required("MAIL_FROM", "App <app@example.com>", "The sender of all emails"),
    required("STORAGE_URL", "s3+http://key:secret@localhost:3900/app?region=garage", "S3 bucket; s3+https:// for TLS"),
    default("RELEASE_ID", "dev", "The release id, set at deploy; shown in /version and in every log line"),
    default("LOG_LEVEL", "info", "The log level, or filter directives of tracing-subscriber, such as info,sqlx=warn"),
    default("LOG_FORMAT", "json", "The log format: json, or text for a terminal"),
    default("DATABASE_POOL_SIZE", "10", "The maximum number of Postgres connections per process, from 3 to 1000"),
    default(
        "WORKER_CONCURRENCY",
        "4",
        "Jobs that a worker runs at once, from 1 to 1000; at most DATABASE_POOL_SIZE - 2 are used",
    ),
    default("MAX_CONNECTIONS", "1000", "The maximum number of client connections per web process, from 1 to 1000000"),
    default("REQUEST_TIMEOUT_SECONDS", "15", "Seconds after which a request fails with 503, at least 1"),
    default("DRAIN_SECONDS", "0", "Seconds after SIGTERM during which web still serves requests but reports not ready"),
    default("SHUTDOWN_GRACE_SECONDS", "25", "The maximum number of seconds from SIGTERM to exit, at least 1"),
    default("SESSION_IDLE_SECONDS", "1800", "Seconds after which an unused session expires, at least 1"),
    default("SESSION_MAX_SECONDS", "43200", "Seconds after which any session expires, at least 1"),
    off("TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8", "Networks of trusted proxies (X-Forwarded-For); none when unset"),
    off("METRICS_PORT", "9090", "The port for Prometheus metrics and health checks; closed when unset"),
    off("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", "The OTLP endpoint for traces; off when unset"),
    off("ALLOW_RESET", "app", "The name of the database that `reset` may empty; unset, it refuses"),
];

/// The text of `.env.example`: every variable with its description; optional ones are commented out.
pub fn schema() -> String {
    let mut text = "# Required variables with an example. Optional ones are commented out: a default, or an example.\n\
        # A URL with a password can be the content of a file instead, which a variable with the suffix _FILE names,\n\
        # such as DATABASE_URL_FILE.\n"
        .to_owned();
    for variable in VARIABLES {
        let Variable { name, about, .. } = variable;
        let mark = if variable.required { "" } else { "# " };
        text.push_str(&format!("\n# {about}.\n{mark}{name}={}\n", variable.quoted()));
    }
    text
}
