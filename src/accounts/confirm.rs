//! What the links in emails do: each confirmation is one transaction.

use uuid::Uuid;

use super::{emails, store, tokens};
use crate::{http::Result, http::problem::Problem, services::postgres::Transaction, sessions, state::App};

/// Confirms an email: a sign-up's or a change's.
pub(super) async fn confirm(app: &App, token: &str) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let found = sqlx::query!(
        r#"select sign_up.id as "sign_up?", email_change.account_id as "account?",
                  coalesce(sign_up.email, email_change.email) as "email!"
             from token
             join outbox_email on outbox_email.id = token.email_id
             left join sign_up on sign_up.id = outbox_email.subject_id
             left join email_change on email_change.id = outbox_email.subject_id
            where token.hash = $1 and token.expires_at > now()
              and coalesce(sign_up.id, email_change.id) is not null"#,
        &tokens::hash(token),
    );
    let found = found.fetch_optional(&mut tx).await?.ok_or(Problem::InvalidToken)?;
    if let Some(sign_up) = found.sign_up {
        confirm_sign_up(&mut tx, token, sign_up, &found.email).await?;
    }
    if let Some(account) = found.account {
        confirm_email(&mut tx, token, account, &found.email).await?;
        // Before the commit: if the sessions cannot be revoked, nothing changes.
        sessions::store::revoke_all(&app.redis, account).await?;
    }
    Ok(tx.commit().await?)
}

async fn confirm_sign_up(tx: &mut Transaction, token: &str, id: Uuid, email: &str) -> Result<()> {
    // Lock all sign-ups of the email in one order, before the token: confirming one of them deletes the others.
    let sign_ups = store::lock_sign_ups(tx, email).await?;
    spend(tx, token).await?;
    let sign_up = sign_ups.into_iter().find(|(other, _)| *other == id);
    let (_, password_hash) = sign_up.ok_or(Problem::InvalidToken)?;
    let created = store::create(tx, email, &password_hash).await?;
    created.map(drop).ok_or(Problem::InvalidToken)
}

async fn confirm_email(tx: &mut Transaction, token: &str, account_id: Uuid, email: &str) -> Result<()> {
    let old = store::lock(tx, account_id, None).await?.ok_or(Problem::InvalidToken)?;
    spend(tx, token).await?;
    let set = store::set_email(tx, account_id, email).await;
    set.map_err(|error| match error.as_database_error() {
        Some(taken) if taken.is_unique_violation() => Problem::InvalidToken,
        _ => error.into(),
    })?;
    Ok(emails::enqueue(tx, emails::EMAIL_CHANGED, &old, Some(account_id), None).await?)
}

/// Sets a new password by a reset token, and signs the account out everywhere.
pub(super) async fn reset(app: &App, token: &str, account_id: Uuid, password_hash: &str) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let email = store::lock(&mut tx, account_id, None).await?.ok_or(Problem::InvalidToken)?;
    spend(&mut tx, token).await?;
    store::set_password(&mut tx, account_id, password_hash).await?;
    emails::enqueue(&mut tx, emails::PASSWORD_CHANGED, &email, Some(account_id), None).await?;
    // Before the commit: if the sessions cannot be revoked, nothing changes.
    sessions::store::revoke_all(&app.redis, account_id).await?;
    Ok(tx.commit().await?)
}

async fn spend(tx: &mut Transaction, token: &str) -> Result<()> {
    if tokens::spend(tx, token).await? { Ok(()) } else { Err(Problem::InvalidToken) }
}
