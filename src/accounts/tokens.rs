//! The tokens in the links of emails: created when an email is sent, used once. Only their hashes are stored.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{mail::store::Email, services::postgres::Postgres, services::postgres::Transaction};

/// Creates the token of a sign-up, which expires after 7 days, or of a change of email, after 24 hours. None: the
/// sign-up or the change is gone.
pub(super) async fn mint_confirmation(db: &Postgres, email: &Email) -> sqlx::Result<Option<String>> {
    let token = random()?;
    let stored = sqlx::query!(
        "insert into token (hash, email_id, expires_at)
         select $1::bytea, $2::uuid, now() + interval '7 days' from sign_up where id = $3
          union all
         select $1, $2, now() + interval '24 hours' from email_change where id = $3",
        &hash(&token),
        email.id,
        email.subject_id,
    );
    Ok((stored.execute(db).await?.rows_affected() > 0).then_some(token))
}

/// Creates a reset token, which expires after 60 minutes. None: the recipient has no account, or a disabled one.
pub(super) async fn mint_reset(db: &Postgres, email: &Email) -> sqlx::Result<Option<String>> {
    let token = random()?;
    let stored = sqlx::query!(
        "with owned as (
             update outbox_email set account_id = account.id
               from account
              where outbox_email.id = $2 and account.email = outbox_email.recipient and account.disabled_at is null
          returning outbox_email.id
         )
         insert into token (hash, email_id, expires_at) select $1, id, now() + interval '60 minutes' from owned",
        &hash(&token),
        email.id,
    );
    Ok((stored.execute(db).await?.rows_affected() > 0).then_some(token))
}

fn random() -> sqlx::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether the text has the form of a token: 43 characters of base64url.
pub(super) fn is_well_formed(token: &str) -> bool {
    token.len() == 43 && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// What an unexpired token in an email of this kind is about: the id of the account, or of the sign-up, and the email
/// that the account has or gets.
pub(super) async fn find(db: &Postgres, kind: &str, token: &str) -> sqlx::Result<Option<(Uuid, String)>> {
    let found = sqlx::query!(
        r#"select coalesce(sign_up.id, email_change.account_id, account.id) as "id!",
                  coalesce(sign_up.email, email_change.email, account.email) as "email!"
             from token
             join outbox_email on outbox_email.id = token.email_id
             left join sign_up on kind = 'sign_up' and sign_up.id = subject_id
             left join email_change on kind = 'email_change' and email_change.id = subject_id
             left join account on kind = 'reset' and account.id = outbox_email.account_id and disabled_at is null
            where token.hash = $1 and token.expires_at > now() and kind = $2
              and coalesce(sign_up.id, email_change.id, account.id) is not null"#,
        &hash(token),
        kind,
    );
    let found = found.fetch_optional(db).await?;
    Ok(found.map(|found| (found.id, found.email)))
}

/// Uses a token up. Returns whether it was valid: unexpired, and its sign-up or change of email still there.
pub(super) async fn spend(tx: &mut Transaction, token: &str) -> sqlx::Result<bool> {
    let spent = sqlx::query!(
        "delete from token using outbox_email
          where token.hash = $1 and token.expires_at > now() and outbox_email.id = token.email_id
            and (kind = 'reset' or exists (select from sign_up where id = subject_id)
                                or exists (select from email_change where id = subject_id))",
        &hash(token),
    );
    Ok(spent.execute(tx).await?.rows_affected() > 0)
}

/// Invalidates the reset tokens of an account.
pub(super) async fn delete_resets(tx: &mut Transaction, account_id: Uuid) -> sqlx::Result<()> {
    let tokens = sqlx::query!(
        "delete from token using outbox_email
          where outbox_email.id = token.email_id and outbox_email.account_id = $1 and outbox_email.kind = 'reset'",
        account_id,
    );
    tokens.execute(tx).await.map(drop)
}

/// The hash under which a token is stored.
fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
