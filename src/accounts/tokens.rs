//! What waits for a link in a letter, and what the link confirms. A token is spent by deleting it: one of
//! many at once gets it.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{email::EmailAddress, store};
use crate::mail::{self, Kind};
use crate::{http::Result, http::problem::Problem, services::Limited, sessions, state::App};

/// Adds a pending sign-up.
pub(super) async fn insert_sign_up(
    conn: &mut PgConnection,
    email: &EmailAddress,
    password_hash: &str,
) -> sqlx::Result<Uuid> {
    let sign_up = sqlx::query_scalar!(
        "insert into sign_up (id, email, password_hash) values ($1, $2, $3) returning id",
        Uuid::now_v7(),
        email.as_str(),
        password_hash,
    );
    sign_up.fetch_one(conn).limited().await
}

/// Confirms an address: a sign-up's or a change's.
pub(super) async fn confirm(app: &App, token: &str) -> Result<()> {
    let hash = mail::hash(token);
    let mut tx = app.db.begin().limited().await?;
    let about = sqlx::query!(
        r#"select sign_up.id as "sign_up?", address_change.account_id as "account?",
                  coalesce(sign_up.email, address_change.email) as "email!"
             from token
             join letter on letter.id = token.letter_id
             left join sign_up on sign_up.id = letter.sign_up_id
             left join address_change on address_change.id = letter.address_change_id
            where token.hash = $1 and token.expires_at > now()
              and letter.kind in ('sign_up', 'address_change')"#,
        hash,
    );
    let about = about.fetch_optional(&mut *tx).limited().await?.ok_or(Problem::InvalidToken)?;
    if let Some(sign_up) = about.sign_up {
        confirm_sign_up(&mut tx, &hash, sign_up, &about.email).await?;
    }
    if let Some(account) = about.account {
        confirm_address(&mut tx, &hash, account, &about.email).await?;
        // Before the commit: when they cannot be ended, nothing has changed.
        sessions::store::end_all(&app.redis, account).await?;
    }
    Ok(tx.commit().limited().await?)
}

async fn confirm_sign_up(tx: &mut PgConnection, hash: &[u8], id: Uuid, email: &str) -> Result<()> {
    // All of the address, in one order, before the token: confirming another one deletes this token.
    let sign_ups = sqlx::query!("select id, password_hash from sign_up where email = $1 order by id for update", email);
    let sign_ups = sign_ups.fetch_all(&mut *tx).limited().await?;
    spend(tx, hash).await?;
    let sign_up = sign_ups.into_iter().find(|sign_up| sign_up.id == id);
    let sign_up = sign_up.ok_or(Problem::InvalidToken)?;
    let created = store::create(tx, email, &sign_up.password_hash).await?;
    created.map(drop).ok_or(Problem::InvalidToken)
}

async fn confirm_address(tx: &mut PgConnection, hash: &[u8], account_id: Uuid, email: &str) -> Result<()> {
    let old = store::lock(tx, account_id, None).await?.ok_or(Problem::InvalidToken)?;
    spend(tx, hash).await?;
    let set = store::set_email(tx, account_id, email).await;
    set.map_err(|error| match error.as_database_error() {
        Some(taken) if taken.is_unique_violation() => Problem::InvalidToken,
        _ => error.into(),
    })?;
    Ok(mail::enqueue(tx, Kind::AddressChanged, &old, Some(account_id)).await?)
}

/// The account whose password a token may reset, with its address.
pub(super) async fn resettable(app: &App, token: &str) -> sqlx::Result<Option<(Uuid, String)>> {
    let account = sqlx::query!(
        "select account.id, account.email
           from token
           join letter on letter.id = token.letter_id
           join account on account.id = letter.account_id
          where token.hash = $1 and token.expires_at > now()
            and letter.kind = 'reset' and account.disabled_at is null",
        &mail::hash(token),
    );
    let account = account.fetch_optional(&app.db).limited().await?;
    Ok(account.map(|account| (account.id, account.email)))
}

/// Spends a reset's token on a new password, and signs the account out everywhere.
pub(super) async fn reset(app: &App, token: &str, account_id: Uuid, password_hash: &str) -> Result<()> {
    let mut tx = app.db.begin().limited().await?;
    let email = store::lock(&mut tx, account_id, None).await?.ok_or(Problem::InvalidToken)?;
    spend(&mut tx, &mail::hash(token)).await?;
    store::set_password(&mut tx, account_id, password_hash).await?;
    mail::enqueue(&mut tx, Kind::PasswordChanged, &email, Some(account_id)).await?;
    // Before the commit: when they cannot be ended, nothing has changed.
    sessions::store::end_all(&app.redis, account_id).await?;
    Ok(tx.commit().limited().await?)
}

async fn spend(tx: &mut PgConnection, hash: &[u8]) -> Result<()> {
    let spent = sqlx::query!("delete from token where hash = $1 and expires_at > now()", hash);
    match spent.execute(tx).limited().await?.rows_affected() {
        0 => Err(Problem::InvalidToken),
        _ => Ok(()),
    }
}
