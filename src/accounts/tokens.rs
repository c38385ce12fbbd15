//! The tokens in the links of emails: created when an email is sent, used once. Only their hashes are stored.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{mail::store::Email, services::postgres::Postgres, services::postgres::Transaction};

/// Creates the token of a confirmation, which expires after 24 hours. None: the sign-up or the change is gone.
pub(super) async fn mint_confirmation(db: &Postgres, email: &Email) -> sqlx::Result<Option<String>> {
    let token = random()?;
    let stored = sqlx::query!(
        "insert into token (hash, email_id, expires_at)
         select $1, $2, now() + interval '24 hours'
          where exists (select from sign_up where id = $3 union all select from email_change where id = $3)",
        &hash(&token),
        email.id,
        email.subject_id,
    );
    Ok((stored.execute(db).await?.rows_affected() > 0).then_some(token))
}

/// Creates a reset token, which expires after 60 minutes, and invalidates those of other emails. None: the recipient
/// has no account, or a disabled one.
pub(super) async fn mint_reset(db: &Postgres, email: &Email) -> sqlx::Result<Option<String>> {
    let mut tx = db.begin().await?;
    let account = sqlx::query_scalar!(
        "select id from account where email = $1 and disabled_at is null for update",
        email.recipient,
    );
    let Some(account) = account.fetch_optional(&mut tx).await? else { return Ok(None) };
    let owned = sqlx::query!("update outbox_email set account_id = $2 where id = $1", email.id, account);
    owned.execute(&mut tx).await?;
    delete_resets(&mut tx, account, Some(email.id)).await?;
    let token = random()?;
    let stored = sqlx::query!(
        "insert into token (hash, email_id, expires_at) values ($1, $2, now() + interval '60 minutes')",
        &hash(&token),
        email.id,
    );
    stored.execute(&mut tx).await?;
    tx.commit().await?;
    Ok(Some(token))
}

fn random() -> sqlx::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The account whose password an unexpired token may reset, with its email.
pub(super) async fn find_resettable(db: &Postgres, token: &str) -> sqlx::Result<Option<(Uuid, String)>> {
    let account = sqlx::query!(
        "select account.id, account.email
           from token
           join outbox_email on outbox_email.id = token.email_id
           join account on account.id = outbox_email.account_id
          where token.hash = $1 and token.expires_at > now()
            and outbox_email.kind = 'reset' and account.disabled_at is null",
        &hash(token),
    );
    let account = account.fetch_optional(db).await?;
    Ok(account.map(|account| (account.id, account.email)))
}

/// Uses a token up. Returns whether it existed and was unexpired.
pub(super) async fn spend(tx: &mut Transaction, token: &str) -> sqlx::Result<bool> {
    let spent = sqlx::query!("delete from token where hash = $1 and expires_at > now()", &hash(token));
    Ok(spent.execute(tx).await?.rows_affected() > 0)
}

/// Invalidates the reset tokens of an account, except those of the email `but`.
pub(super) async fn delete_resets(tx: &mut Transaction, account_id: Uuid, but: Option<Uuid>) -> sqlx::Result<()> {
    let tokens = sqlx::query!(
        "delete from token using outbox_email
          where outbox_email.id = token.email_id and outbox_email.account_id = $1
            and outbox_email.kind = 'reset' and outbox_email.id is distinct from $2",
        account_id,
        but,
    );
    tokens.execute(tx).await.map(drop)
}

/// The hash under which a token is stored.
pub(super) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
