//! The job queue: SQL queries, and the workers' logs.

use super::{Account, Client, Deploy, Duration, Mode, Process, Proxy, SOON, until};
use sqlx::PgConnection;

/// A little longer than a lease.
pub const TAKEOVER: Duration = Duration::from_secs(30);

pub async fn execute(db: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(db).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

pub async fn number(db: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

pub async fn until_number(db: &mut PgConnection, sql: &'static str, expected: i64, timeout: Duration) {
    until(&format!("{sql} is {expected}"), timeout, async || (number(db, sql).await == expected).then_some(())).await;
}

/// How many log lines have this message and this task.
pub fn lines(worker: &Process, message: &str, task: &str) -> usize {
    worker.logs().iter().filter(|line| line["message"] == message && line["task"] == task).count()
}

pub const EMAILS: &str = "select count(*) from job where task = 'send_account_email'";
pub const RUNNING: &str = "select count(*) from job where task = 'send_account_email' and token is not null";

/// A deploy whose worker is sending an email, and waits for the greeting of the mail server.
pub struct Hanging {
    pub deploy: Deploy,
    pub db: PgConnection,
    pub mail: Proxy,
    pub worker: Process,
}

/// The worker is connected to the mail server at `url`, which stays silent until the proxy's mode is `Pass`.
pub async fn hanging(url: &str) -> Hanging {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    Client::new().sign_up(&web, &Account::new()).await;
    let mail = Proxy::to_url(url, Mode::Pause).await;
    let silent = deploy.copy().with("SMTP_URL", url).through("SMTP_URL", mail.port);
    let (worker, mut db) = (silent.worker(), deploy.connection().await);
    until_number(&mut db, RUNNING, 1, SOON).await;
    Hanging { deploy, db, mail, worker }
}
