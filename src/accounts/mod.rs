//! Accounts: sign-up, sign-in, resets, and what an owner can do with one.

pub mod email_address;
pub mod password;
pub mod store;
mod emails;
mod tokens;
mod confirm;
mod limits;
mod handlers;
mod sign_in;
mod pages;

use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{jobs::Failure, jobs::Job, jobs::Task, state::App};

pub(crate) use pages::pages;

/// The routes, below the API's prefix.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(handlers::sign_up))
        .routes(routes!(handlers::verify))
        .routes(routes!(handlers::request_reset, handlers::reset))
        .routes(routes!(handlers::show, handlers::change_email, handlers::destroy))
        .routes(routes!(handlers::change_password))
        .routes(routes!(sign_in::create))
}

/// The jobs of accounts.
pub(crate) const JOBS: [Task; 2] = [Task::of::<emails::SendAccountEmail>(), Task::of::<CleanUpAccounts>()];

/// Deletes tokens, sign-ups and changes of email that have expired.
#[derive(Deserialize, Serialize)]
struct CleanUpAccounts {}

impl Job for CleanUpAccounts {
    const NAME: &'static str = "clean_up_accounts";

    async fn run(self, app: App) -> Result<(), Failure> {
        let rows = store::delete_expired(&app.db).await?;
        tracing::info!(rows, "accounts cleaned up");
        Ok(())
    }
}
