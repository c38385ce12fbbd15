//! Accounts: sign-up, sign-in, password resets, and changes by their owner.

pub mod email_address;
pub mod password;
pub mod store;
mod emails;
mod tokens;
mod confirm;
mod limits;
mod devices;
mod handlers;
mod sign_in;
mod pages;

use serde::{Deserialize, Serialize};
use tokio::time::Duration;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    hasher::Hasher, hasher::Turn, jobs::Failure, jobs::Job, jobs::Task, services::postgres::Transaction, state::App,
};
use {email_address::EmailAddress, password::Password};

pub(crate) use pages::pages;

/// The routes, below the API's prefix.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(handlers::sign_up))
        .routes(routes!(handlers::verify))
        .routes(routes!(handlers::confirm_email))
        .routes(routes!(handlers::request_reset, handlers::reset))
        .routes(routes!(handlers::show, handlers::change_email, handlers::destroy))
        .routes(routes!(handlers::change_password))
        .routes(routes!(sign_in::create))
}

/// The jobs of accounts.
pub(crate) const JOBS: [Task; 2] = [Task::of::<emails::SendAccountEmail>(), Task::of::<CleanUp>()];

/// Creates an account without a confirmation, for an operator. None: the email has an account already.
/// Errors: the password is too weak, or Postgres is unreachable.
pub async fn create(
    tx: &mut Transaction, email: &EmailAddress, password: String,
) -> Result<Option<Uuid>, Box<dyn std::error::Error>> {
    let password = Password::parse(password, email).map_err(|error| format!("the password {error}"))?;
    let hash = Hasher::default().hash(password.into(), Turn::Known).await?;
    Ok(store::create(tx, email.as_str(), &hash).await?)
}

/// Deletes expired rows: tokens, idempotency keys, sign-ups, changes of email, and emails.
#[derive(Deserialize, Serialize)]
struct CleanUp {}

impl Job for CleanUp {
    const NAME: &'static str = "clean_up";
    // Five statements of 30 s.
    const TIMEOUT: Duration = Duration::from_secs(180);

    async fn run(self, app: App) -> Result<(), Failure> {
        let rows = store::delete_expired(&app.db).await?;
        tracing::info!(rows, "expired rows deleted");
        Ok(())
    }
}
