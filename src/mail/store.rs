//! Letters and their tokens in Postgres.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::services::Limited;
use crate::{http, jobs};

/// What a letter is about, by its name in the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[allow(missing_docs, reason = "its template tells")]
pub enum Kind {
    SignUp,
    Reset,
    AddressChange,
    /// To the old address.
    AddressChangeAsked,
    /// To the old address.
    AddressChanged,
    PasswordChanged,
}

/// Has a letter sent once the caller's transaction commits. It is deleted along with what it is `about`: the
/// sign-up or the change of address that it confirms, or the account.
pub(crate) async fn enqueue(
    conn: &mut PgConnection,
    kind: Kind,
    recipient: &str,
    about: Option<Uuid>,
) -> sqlx::Result<()> {
    let id = Uuid::now_v7();
    let context = http::context::current();
    let (sign_up, address_change, account) = match kind {
        Kind::SignUp => (about, None, None),
        Kind::AddressChange => (None, about, None),
        _ => (None, None, about),
    };
    let letter = sqlx::query!(
        "insert into letter (id, kind, recipient, sign_up_id, address_change_id, account_id, request_id)
         values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        kind as Kind,
        recipient,
        sign_up,
        address_change,
        account,
        context.request_id,
    );
    letter.execute(&mut *conn).limited().await?;
    jobs::enqueue(conn, "send_letter", json!({ "letter": id }), &context).limited().await
}

/// A letter that is still to be sent.
pub(super) struct Unsent {
    pub(super) id: Uuid,
    pub(super) kind: Kind,
    pub(super) recipient: String,
}

/// A letter, unless it has been sent, or is gone with what it was about.
pub(super) async fn unsent(db: &PgPool, id: Uuid) -> sqlx::Result<Option<Unsent>> {
    let letter = sqlx::query_as!(
        Unsent,
        r#"select id, kind as "kind: Kind", recipient from letter where id = $1 and sent_at is null"#,
        id,
    );
    letter.fetch_optional(db).limited().await
}

/// Whether an address has an account.
pub(super) async fn taken(db: &PgPool, email: &str) -> sqlx::Result<bool> {
    let account = sqlx::query_scalar!("select id from account where email = $1", email);
    Ok(account.fetch_optional(db).limited().await?.is_some())
}

/// Marks a letter as sent.
pub(super) async fn mark_sent(db: &PgPool, id: Uuid) -> sqlx::Result<()> {
    let sent = sqlx::query!("update letter set sent_at = now() where id = $1", id);
    sent.execute(db).limited().await.map(drop)
}

/// Deletes a letter that nobody is to get.
pub(super) async fn discard(db: &PgPool, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from letter where id = $1", id).execute(db).limited().await.map(drop)
}

/// Makes a token that resets the password of a letter's recipient, for 60 minutes, and voids those of other
/// letters; none if the address has no account, or a disabled one.
pub(super) async fn mint_reset(db: &PgPool, letter: &Unsent) -> sqlx::Result<Option<String>> {
    let mut tx = db.begin().limited().await?;
    let account = sqlx::query_scalar!(
        "select id from account where email = $1 and disabled_at is null for update",
        letter.recipient,
    );
    let Some(account) = account.fetch_optional(&mut *tx).limited().await? else {
        return Ok(None);
    };
    let owned = sqlx::query!("update letter set account_id = $2 where id = $1", letter.id, account);
    owned.execute(&mut *tx).limited().await?;
    let older = sqlx::query!(
        "delete from token using letter
          where letter.id = token.letter_id and letter.account_id = $1
            and letter.kind = 'reset' and letter.id <> $2",
        account,
        letter.id,
    );
    older.execute(&mut *tx).limited().await?;
    let token = mint(&mut tx, letter.id, 1).await?;
    tx.commit().limited().await?;
    Ok(Some(token))
}

/// Makes a token for a letter's link, which works for some hours. Only its hash is stored.
pub(super) async fn mint(conn: &mut PgConnection, letter: Uuid, hours: i32) -> sqlx::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let stored = sqlx::query!(
        "insert into token (hash, letter_id, expires_at)
         values ($1, $2, now() + make_interval(hours => $3))",
        &hash(&token),
        letter,
        hours,
    );
    stored.execute(conn).limited().await?;
    Ok(token)
}

/// What is stored of a token.
pub(crate) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
