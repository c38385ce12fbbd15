//! Accounts in Postgres. Errors of its functions are those of Postgres.
//!
//! Every change of an account locks its row first, so that concurrent changes queue up and never deadlock, and
//! [`is_valid`] waits for a change in flight.

use time::OffsetDateTime;
use tokio::time::Duration;
use uuid::Uuid;

use super::{email_address::EmailAddress, tokens};
use crate::{mail, services::postgres::Postgres, services::postgres::Transaction};

/// A person who can sign in, unless an operator has disabled the account.
pub struct Account {
    /// Public.
    pub id: Uuid,
    /// Confirmed, in lower case.
    pub email: String,
    /// Argon2id, in PHC format.
    pub password_hash: String,
    /// By an operator.
    pub disabled: bool,
    /// When the email was confirmed.
    pub created_at: OffsetDateTime,
}

/// The account of an email.
pub async fn find_by_email(db: &Postgres, email: &EmailAddress) -> sqlx::Result<Option<Account>> {
    let account = sqlx::query_as!(
        Account,
        r#"select id, email, password_hash, disabled_at is not null as "disabled!", created_at
             from account
            where email = $1"#,
        email.as_str(),
    );
    account.fetch_optional(db).await
}

/// The account of an email, and whether it knows the device with this hash.
pub(super) async fn find_for_sign_in(
    db: &Postgres, email: &EmailAddress, device: &[u8],
) -> sqlx::Result<Option<(Account, bool)>> {
    let found = sqlx::query!(
        r#"select id, email, password_hash, disabled_at is not null as "disabled!", created_at,
                  exists (select from known_device where account_id = account.id and hash = $2) as "known!"
             from account
            where email = $1"#,
        email.as_str(),
        device,
    );
    let found = found.fetch_optional(db).await?;
    Ok(found.map(|row| {
        let (id, email, password_hash) = (row.id, row.email, row.password_hash);
        (Account { id, email, password_hash, disabled: row.disabled, created_at: row.created_at }, row.known)
    }))
}

/// Replaces the hash of a password by a new one of the same password.
pub(super) async fn renew_hash(db: &Postgres, id: Uuid, old: &str, new: &str) -> sqlx::Result<()> {
    let renew =
        sqlx::query!("update account set password_hash = $3 where id = $1 and password_hash = $2", id, old, new);
    renew.execute(db).await.map(drop)
}

/// The account of a session, unless it is disabled.
pub(super) async fn find(db: &Postgres, id: Uuid) -> sqlx::Result<Option<Account>> {
    let account = sqlx::query_as!(
        Account,
        r#"select id, email, password_hash, false as "disabled!", created_at
             from account
            where id = $1 and disabled_at is null"#,
        id,
    );
    account.fetch_optional(db).await
}

/// Whether the account is enabled and still has the password whose hash was checked. Called after the session was
/// created, it waits for a change in flight: either that change revokes the session, or this returns false.
pub(crate) async fn is_valid(db: &Postgres, id: Uuid, password_hash: &str) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "select id from account
          where id = $1 and password_hash = $2 and disabled_at is null
            for share",
        id,
        password_hash,
    );
    Ok(found.fetch_optional(db).await?.is_some())
}

/// Locks an account until the transaction ends, and returns its email. None: it is gone or disabled, or its password is
/// not the one that was checked.
pub(crate) async fn lock(tx: &mut Transaction, id: Uuid, password_hash: Option<&str>) -> sqlx::Result<Option<String>> {
    let email = sqlx::query_scalar!(
        "select email from account
          where id = $1 and disabled_at is null and password_hash = coalesce($2, password_hash)
            for update",
        id,
        password_hash,
    );
    email.fetch_optional(tx).await
}

/// Adds an account, and deletes the sign-ups of its email. None: the email is taken.
pub async fn create(tx: &mut Transaction, email: &str, password_hash: &str) -> sqlx::Result<Option<Uuid>> {
    // First, in the order of a confirmation, which locks the sign-up and then inserts the account.
    delete_sign_ups(tx, email).await?;
    let account = sqlx::query_scalar!(
        "insert into account (id, email, password_hash) values ($1, $2, $3)
             on conflict do nothing
      returning id",
        Uuid::now_v7(),
        email,
        password_hash,
    );
    account.fetch_optional(tx).await
}

/// Sets the password of a locked account, and invalidates its reset tokens and its pending change of email.
pub(super) async fn set_password(tx: &mut Transaction, id: Uuid, password_hash: &str) -> sqlx::Result<()> {
    let set = sqlx::query!("update account set password_hash = $2 where id = $1", id, password_hash);
    set.execute(&mut *tx).await?;
    invalidate(tx, id).await
}

/// Sets the email of a locked account, and invalidates resets sent to the old one. Errors: the email is taken (a unique
/// violation).
pub(super) async fn set_email(tx: &mut Transaction, id: Uuid, email: &str) -> sqlx::Result<()> {
    delete_sign_ups(tx, email).await?;
    let set = sqlx::query!("update account set email = $2 where id = $1", id, email);
    set.execute(&mut *tx).await?;
    invalidate(tx, id).await
}

/// Invalidates an account's reset tokens and its pending change of email.
async fn invalidate(tx: &mut Transaction, id: Uuid) -> sqlx::Result<()> {
    tokens::delete_resets(tx, id).await?;
    delete_email_change(tx, id).await.map(drop)
}

/// Adds a change of email, after the older one was deleted.
pub(super) async fn insert_email_change(
    tx: &mut Transaction, account_id: Uuid, email: &EmailAddress,
) -> sqlx::Result<Uuid> {
    let change = sqlx::query_scalar!(
        "insert into email_change (id, account_id, email) values ($1, $2, $3) returning id",
        Uuid::now_v7(),
        account_id,
        email.as_str(),
    );
    change.fetch_one(tx).await
}

/// Disables or enables the account of an email; returns its id.
pub async fn set_disabled(tx: &mut Transaction, email: &EmailAddress, disabled: bool) -> sqlx::Result<Option<Uuid>> {
    let account = sqlx::query_scalar!(
        "update account set disabled_at = case when $2 then coalesce(disabled_at, now()) end
          where email = $1
      returning id",
        email.as_str(),
        disabled,
    );
    account.fetch_optional(tx).await
}

/// Erases an account with all its rows, and every row with its email.
pub async fn erase(tx: &mut Transaction, id: Uuid) -> sqlx::Result<()> {
    let account = sqlx::query_scalar!("delete from account where id = $1 returning email", id);
    let Some(email) = account.fetch_optional(&mut *tx).await? else { return Ok(()) };
    mail::store::delete_to(tx, &email).await?;
    delete_sign_ups(tx, &email).await
}

/// Adds a pending sign-up.
pub(super) async fn insert_sign_up(tx: &mut Transaction, email: &EmailAddress) -> sqlx::Result<Uuid> {
    let sign_up = sqlx::query_scalar!(
        "insert into sign_up (id, email) values ($1, $2) returning id",
        Uuid::now_v7(),
        email.as_str(),
    );
    sign_up.fetch_one(tx).await
}

/// Locks the pending sign-ups of an email, in one order: using the link of one of them deletes the others.
pub(super) async fn lock_sign_ups(tx: &mut Transaction, email: &str) -> sqlx::Result<()> {
    let sign_ups = sqlx::query!("select id from sign_up where email = $1 order by id for update", email);
    sign_ups.fetch_all(tx).await.map(drop)
}

async fn delete_sign_ups(tx: &mut Transaction, email: &str) -> sqlx::Result<()> {
    let sign_ups = sqlx::query!("delete from sign_up where email = $1", email);
    sign_ups.execute(tx).await.map(drop)
}

/// Deletes the pending change of email of an account; returns its email.
pub(super) async fn delete_email_change(tx: &mut Transaction, account_id: Uuid) -> sqlx::Result<Option<String>> {
    let change = sqlx::query_scalar!("delete from email_change where account_id = $1 returning email", account_id);
    change.fetch_optional(tx).await
}

/// Deletes expired rows: tokens at once, idempotency keys after a day, sign-ups and changes of email a day after a link
/// that was sent at once has expired, emails after a month. Returns the number of rows.
pub(super) async fn delete_expired(db: &Postgres) -> sqlx::Result<u64> {
    // A slow transaction: if no worker ran for long, there is more to delete than the timeout of a request allows.
    let (mut tx, mut rows) = (db.begin_slow(Duration::from_secs(30)).await?, 0);
    for delete in [
        sqlx::query!("delete from token where expires_at < now()"),
        sqlx::query!("delete from sign_up where created_at < now() - interval '8 days'"),
        sqlx::query!("delete from email_change where created_at < now() - interval '2 days'"),
        sqlx::query!("delete from idempotency_key where created_at < now() - interval '24 hours'"),
    ] {
        rows += delete.execute(&mut tx).await?.rows_affected();
    }
    rows += mail::store::delete_old(&mut tx).await?;
    tx.commit().await?;
    Ok(rows)
}
