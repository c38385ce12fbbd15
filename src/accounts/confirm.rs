//! What the links in emails do: each is one transaction.

use uuid::Uuid;

use super::{email_address::EmailAddress, emails, limits, store, tokens};
use crate::http::{security, security::Event};
use crate::{http::Result, http::problem::Problem, services::postgres::Transaction, sessions, state::App};

/// Creates the account of a sign-up, with the password that was chosen on the page of the link.
pub(super) async fn sign_up(app: &App, token: &str, email: &EmailAddress, password_hash: &str) -> Result<()> {
    let mut tx = app.db.begin().await?;
    // Before the token: two links of an email that are used at the same time lock in the same order.
    store::lock_sign_ups(&mut tx, email.as_str()).await?;
    spend(&mut tx, token).await?;
    let created = store::create(&mut tx, email.as_str(), password_hash).await?;
    let account_id = created.ok_or(Problem::InvalidToken)?;
    limits::forget_emails(app, email).await?;
    tx.commit().await?;
    security::log(Event::AccountCreated, Some(account_id));
    Ok(())
}

/// Sets the new email of an account, and signs the account out everywhere.
pub(super) async fn email_change(app: &App, token: &str, account_id: Uuid, email: &EmailAddress) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let old = store::lock(&mut tx, account_id, None).await?.ok_or(Problem::InvalidToken)?;
    spend(&mut tx, token).await?;
    let set = store::set_email(&mut tx, account_id, email.as_str()).await;
    set.map_err(|error| match error.as_database_error() {
        Some(taken) if taken.is_unique_violation() => Problem::InvalidToken,
        _ => error.into(),
    })?;
    emails::enqueue(&mut tx, emails::EMAIL_CHANGED, &old, Some(account_id), None).await?;
    limits::forget_emails(app, email).await?;
    // Before the commit: if the sessions cannot be revoked, nothing changes.
    sessions::store::revoke_all(&app.redis, account_id).await?;
    tx.commit().await?;
    security::log(Event::EmailChanged, Some(account_id));
    Ok(())
}

/// Sets a new password, and signs the account out everywhere.
pub(super) async fn reset(
    app: &App, token: &str, account_id: Uuid, email: &EmailAddress, password_hash: &str,
) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let recipient = store::lock(&mut tx, account_id, None).await?.ok_or(Problem::InvalidToken)?;
    spend(&mut tx, token).await?;
    store::set_password(&mut tx, account_id, password_hash).await?;
    emails::enqueue(&mut tx, emails::PASSWORD_CHANGED, &recipient, Some(account_id), None).await?;
    limits::forget_emails(app, email).await?;
    // Before the commit: if the sessions cannot be revoked, nothing changes.
    sessions::store::revoke_all(&app.redis, account_id).await?;
    tx.commit().await?;
    security::log(Event::PasswordReset, Some(account_id));
    Ok(())
}

async fn spend(tx: &mut Transaction, token: &str) -> Result<()> {
    if tokens::spend(tx, token).await? { Ok(()) } else { Err(Problem::InvalidToken) }
}
