//! Accounts in Postgres, which is all that can fail here.
//!
//! Whatever changes an account locks its row first, so that two changes wait for each other and never
//! deadlock, and so that [`still_valid`] waits for a change that is under way.

use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::email::EmailAddress;
use crate::services::Limited;

/// Who can sign in since the address was confirmed, unless an operator has disabled the account.
#[allow(missing_docs, reason = "the fields are columns")]
pub struct Account {
    pub id: Uuid,
    pub email: String,
    pub password_hash: String,
    pub disabled: bool,
    pub created_at: OffsetDateTime,
}

/// The account of an address.
pub async fn find_by_email(db: impl PgExecutor<'_>, email: &EmailAddress) -> sqlx::Result<Option<Account>> {
    let account = sqlx::query_as!(
        Account,
        r#"select id, email, password_hash, disabled_at is not null as "disabled!",
                  created_at as "created_at: OffsetDateTime"
             from account
            where email = $1"#,
        email.as_str(),
    );
    account.fetch_optional(db).limited().await
}

/// The account of a session, unless it is disabled.
pub(super) async fn find(db: &PgPool, id: Uuid) -> sqlx::Result<Option<Account>> {
    let account = sqlx::query_as!(
        Account,
        r#"select id, email, password_hash, false as "disabled!",
                  created_at as "created_at: OffsetDateTime"
             from account
            where id = $1 and disabled_at is null"#,
        id,
    );
    account.fetch_optional(db).limited().await
}

/// Whether an account may be signed in with the password whose hash was checked. Asked after the session was
/// made: a change that is under way is waited for, so that either it ends the session or this says no.
pub(crate) async fn still_valid(db: &PgPool, id: Uuid, password_hash: &str) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        "select id from account
          where id = $1 and password_hash = $2 and disabled_at is null
            for share",
        id,
        password_hash,
    );
    Ok(found.fetch_optional(db).limited().await?.is_some())
}

/// Locks an account until the transaction ends, and answers its address; none if it is gone or disabled, or
/// if its password is another than the one that was checked.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: Uuid,
    password_hash: Option<&str>,
) -> sqlx::Result<Option<String>> {
    let email = sqlx::query_scalar!(
        "select email from account
          where id = $1 and disabled_at is null and password_hash = coalesce($2, password_hash)
            for update",
        id,
        password_hash,
    );
    email.fetch_optional(conn).limited().await
}

/// Adds an account, and drops the sign-ups of its address; none if the address is taken.
pub async fn create(conn: &mut PgConnection, email: &str, password_hash: &str) -> sqlx::Result<Option<Uuid>> {
    // First, since who confirms one of them has locked it before the address is taken.
    delete_sign_ups(conn, email).await?;
    let account = sqlx::query_scalar!(
        "insert into account (id, email, password_hash) values ($1, $2, $3)
             on conflict do nothing
      returning id",
        Uuid::now_v7(),
        email,
        password_hash,
    );
    account.fetch_optional(conn).limited().await
}

/// Sets the password of a locked account. Whatever an older password's owner has asked for is void.
pub(super) async fn set_password(conn: &mut PgConnection, id: Uuid, password_hash: &str) -> sqlx::Result<()> {
    let set = sqlx::query!("update account set password_hash = $2 where id = $1", id, password_hash);
    set.execute(&mut *conn).limited().await?;
    void(conn, id).await
}

/// Sets the address of a locked account, which fails if it has been taken meanwhile. Resets that were sent to
/// the old one are void.
pub(super) async fn set_email(conn: &mut PgConnection, id: Uuid, email: &str) -> sqlx::Result<()> {
    delete_sign_ups(conn, email).await?;
    let set = sqlx::query!("update account set email = $2 where id = $1", id, email);
    set.execute(&mut *conn).limited().await?;
    void(conn, id).await
}

/// Deletes an account's reset tokens and its pending change of address.
async fn void(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    let tokens = sqlx::query!(
        "delete from token using letter
          where letter.id = token.letter_id and letter.account_id = $1 and letter.kind = 'reset'",
        id,
    );
    tokens.execute(&mut *conn).limited().await?;
    delete_address_change(conn, id).await
}

/// Adds a change of address in the place of an older one, which takes its letters along.
pub(super) async fn insert_address_change(
    conn: &mut PgConnection,
    account_id: Uuid,
    email: &EmailAddress,
) -> sqlx::Result<Uuid> {
    delete_address_change(conn, account_id).await?;
    let change = sqlx::query_scalar!(
        "insert into address_change (id, account_id, email) values ($1, $2, $3) returning id",
        Uuid::now_v7(),
        account_id,
        email.as_str(),
    );
    change.fetch_one(conn).limited().await
}

/// Disables or enables the account of an address; answers its id.
pub async fn set_disabled(conn: &mut PgConnection, email: &EmailAddress, disabled: bool) -> sqlx::Result<Option<Uuid>> {
    let account = sqlx::query_scalar!(
        "update account set disabled_at = case when $2 then coalesce(disabled_at, now()) end
          where email = $1
      returning id",
        email.as_str(),
        disabled,
    );
    account.fetch_optional(conn).limited().await
}

/// Erases an account with all that is its own, and every trace of its address.
pub async fn erase(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    let account = sqlx::query_scalar!("delete from account where id = $1 returning email", id);
    let Some(email) = account.fetch_optional(&mut *conn).limited().await? else {
        return Ok(());
    };
    let letters = sqlx::query!("delete from letter where recipient = $1", email);
    letters.execute(&mut *conn).limited().await?;
    delete_sign_ups(conn, &email).await
}

async fn delete_sign_ups(conn: &mut PgConnection, email: &str) -> sqlx::Result<()> {
    let sign_ups = sqlx::query!("delete from sign_up where email = $1", email);
    sign_ups.execute(conn).limited().await.map(drop)
}

async fn delete_address_change(conn: &mut PgConnection, account_id: Uuid) -> sqlx::Result<()> {
    let change = sqlx::query!("delete from address_change where account_id = $1", account_id);
    change.execute(conn).limited().await.map(drop)
}
