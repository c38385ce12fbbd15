//! Accounts: sign-up, confirmation, resets and what an owner can do with one. Signing in is `sessions`.

use sqlx::PgPool;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{services::Limited, state::App};

pub mod email;
mod handlers;
pub mod password;
pub mod store;
mod tokens;

pub(crate) use handlers::Credentials;

/// The routes, below the API's prefix.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(handlers::sign_up))
        .routes(routes!(handlers::verify))
        .routes(routes!(handlers::ask_reset, handlers::reset))
        .routes(routes!(handlers::show, handlers::change_address, handlers::destroy))
        .routes(routes!(handlers::change_password))
}

/// Deletes what has expired: tokens at once, sign-ups and changes of address after a week, letters after a
/// month. Answers how many rows.
pub(crate) async fn clean_up(db: &PgPool) -> sqlx::Result<u64> {
    let (mut tx, mut rows) = (db.begin().limited().await?, 0);
    // After a long absence of workers there is more to delete than a query of a request may take.
    sqlx::query("set local statement_timeout = '30s'").execute(&mut *tx).limited().await?;
    for delete in [
        sqlx::query!("delete from token where expires_at < now()"),
        sqlx::query!("delete from sign_up where created_at < now() - interval '7 days'"),
        sqlx::query!("delete from address_change where created_at < now() - interval '7 days'"),
        sqlx::query!("delete from letter where created_at < now() - interval '30 days'"),
    ] {
        rows += delete.execute(&mut *tx).await?.rows_affected();
    }
    tx.commit().limited().await?;
    Ok(rows)
}
