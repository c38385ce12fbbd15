//! The job queue, as a test sees it: by SQL, and by what workers log.

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

pub async fn until_number(db: &mut PgConnection, sql: &'static str, wanted: i64, within: Duration) {
    until(&format!("{sql} is {wanted}"), within, async || (number(db, sql).await == wanted).then_some(())).await;
}

pub fn lines(worker: &Process, message: &str, task: &str) -> usize {
    worker.logs().iter().filter(|line| line["message"] == message && line["task"] == task).count()
}

pub const EMAILS: &str = "select count(*) from job where task = 'send_account_email'";
pub const RUNNING: &str = "select count(*) from job where task = 'send_account_email' and token is not null";

/// A deploy with a job that is about to send an email, and a worker that waits for the mail server's first word.
pub struct Hanging {
    pub deploy: Deploy,
    pub db: PgConnection,
    pub mail: Proxy,
    pub worker: Process,
}

/// The worker talks to the mail server at `url`, which says nothing until the proxy passes.
pub async fn hanging(url: &str) -> Hanging {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    Client::new().post(&web, "/api/v1/accounts", Account::new().credentials()).await;
    let mail = Proxy::to(url, Mode::Pause).await;
    let silent = deploy.copy().with("SMTP_URL", url).through("SMTP_URL", mail.port);
    let (worker, mut db) = (silent.worker(), deploy.connection().await);
    until_number(&mut db, RUNNING, 1, SOON).await;
    Hanging { deploy, db, mail, worker }
}
