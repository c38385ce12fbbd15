//! XII Admin processes: checks the config and every service, and says what to fix.

use std::{process::ExitCode, time::Duration};

use app::services::{postgres, postgres::AdminConnection, redis::Redis, s3::Storage, smtp::Mailer, tls};
use app::{admin, admin::Error, config::Config, schema};
use clap::Parser;
use serde::Serialize;
use sqlx::Connection;
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(5);
const CERTIFICATE: &str = "Check that the server's certificate is for the host in the URL, and that \
    SSL_CERT_FILE is the file of its CA, unless the system trusts that.";
const PENDING: &str = "migrations are pending";
const MIGRATE: &str = "Run `migrate`.";
const ROLE: &str = "its role";
const ROLES: &str = "Make a role that owns nothing, as in deploy/postgres/roles.sql, and set MIGRATE_DATABASE_URL of \
    `migrate` to the owner's URL.";
/// What is wrong with the role; null if nothing is.
const WRONG_ROLE: &str = "select case when rolsuper then 'its role is a superuser'
    when pg_has_role(relowner, 'member') then 'its role is the owner of the tables' end
    from pg_roles, pg_class where rolname = current_user and pg_class.oid = '_sqlx_migrations'::regclass";
const HTTPS: &str = "Use an https origin in production.";

/// Checks the config and every service, and says what to fix.
#[derive(Parser)]
struct Args {
    /// Prints one JSON document instead of lines.
    #[arg(long)]
    json: bool,
    /// Only checks that the process in this container responds, on METRICS_PORT or else PORT.
    #[arg(long, conflicts_with = "json")]
    process: bool,
}

#[derive(Serialize)]
struct Check {
    variable: &'static str,
    /// `ok`, `warning` or `failed`.
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

fn main() -> ExitCode {
    admin::run(async |args: Args, config| {
        if args.process {
            return timeout(TIMEOUT, process(&config)).await?;
        }
        let checks = checks(&config).await;
        let failed = checks.iter().any(|check| check.status == "failed");
        if args.json {
            println!("{}", serde_json::json!({ "ok": !failed, "checks": checks }));
        } else {
            for Check { variable, status, message, remedy } in &checks {
                let remedy = remedy.as_deref().unwrap_or_default();
                println!("{}", format!("{status:8} {variable:13} {message} {remedy}").trim_end());
            }
        }
        if failed { Err("some checks failed".into()) } else { Ok(String::new()) }
    })
}

/// Errors: no process on this machine responds to `/health/live`.
async fn process(config: &Config) -> Result<String, Error> {
    let port = config.metrics_port.unwrap_or(config.port);
    tls::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.get(format!("http://127.0.0.1:{port}/health/live")).send().await?.error_for_status()?;
    Ok(String::new())
}

async fn checks(config: &Config) -> [Check; 5] {
    let redis = async { Ok(Redis::new(config)?.check().await?) };
    let mail = async { Ok(Mailer::new(config)?.check().await?) };
    let storage = async { Ok(Storage::new(config)?.check().await?) };
    let (database, redis, mail, storage) = tokio::join!(
        check("DATABASE_URL", "Postgres responds and is migrated", database(config)),
        check("REDIS_URL", "Redis responds", redis),
        check("SMTP_URL", "the mail server responds", mail),
        check("STORAGE_URL", "the bucket responds", storage),
    );
    [public_url(config), database, redis, mail, storage]
}

/// Runs one check with a timeout.
async fn check(variable: &'static str, success: &str, probe: impl Future<Output = Result<(), Error>>) -> Check {
    let result = timeout(TIMEOUT, probe).await;
    let Err(error) = result.unwrap_or_else(|_| Err("it did not respond in time".into())) else {
        return Check { variable, status: "ok", message: success.into(), remedy: None };
    };
    let message = format!("{}.", error.to_string().trim_end_matches([':', '.', ' ']));
    let known = ["SSL_CERT_FILE", "certificate", PENDING, ROLE];
    let known = known.into_iter().find(|word| message.contains(word));
    let status = if known == Some(ROLE) { "warning" } else { "failed" };
    let remedy = match known {
        Some(PENDING) => MIGRATE.to_owned(),
        Some(ROLE) => ROLES.to_owned(),
        Some(_) => CERTIFICATE.to_owned(),
        None => {
            format!("Check that a server runs at the host and port of {variable}, and accepts its user and password.")
        }
    };
    Check { variable, status, message, remedy: Some(remedy) }
}

fn public_url(config: &Config) -> Check {
    let secure = config.secure();
    let (status, message) = if secure { ("ok", "it is https") } else { ("warning", "it is not https.") };
    Check { variable: "PUBLIC_URL", status, message: message.into(), remedy: (!secure).then(|| HTTPS.to_owned()) }
}

async fn database(config: &Config) -> Result<(), Error> {
    let options = postgres::options(config.database())?;
    let mut connection = AdminConnection::connect_with(&options).await.map_err(postgres::message)?;
    if !schema::is_current(&mut connection).await.map_err(postgres::message)? {
        return Err(PENDING.into());
    }
    let wrong: Option<String> = sqlx::query_scalar(WRONG_ROLE).fetch_one(&mut connection).await?;
    wrong.map_or(Ok(()), |wrong| Err(wrong.into()))
}
