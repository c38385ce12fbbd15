//! The outbox in Postgres. Errors of its functions are those of Postgres.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{context, services::postgres::Postgres, services::postgres::Transaction};

/// An email that is not sent yet.
pub struct Email {
    /// Also the local part of the Message-ID.
    pub id: Uuid,
    /// A name of the domain that sends it.
    pub kind: String,
    /// Its recipient.
    pub recipient: String,
    /// The row that it is about.
    pub subject_id: Option<Uuid>,
    /// When it was requested.
    pub created_at: OffsetDateTime,
}

/// Stores an email in the caller's transaction; returns its id, for the job that sends it. `kind` is unique to the
/// domain, and `subject_id` is the row that it is about. It is deleted with its account.
pub async fn insert(
    tx: &mut Transaction, kind: &str, recipient: &str, account_id: Option<Uuid>, subject_id: Option<Uuid>,
) -> sqlx::Result<Uuid> {
    let id = sqlx::query_scalar!(
        "insert into outbox_email (id, kind, recipient, account_id, subject_id, request_id)
         values ($1, $2, $3, $4, $5, $6)
      returning id",
        Uuid::now_v7(),
        kind,
        recipient,
        account_id,
        subject_id,
        context::current().and_then(|context| context.request_id),
    );
    id.fetch_one(tx).await
}

/// Finds an email, unless it was sent, or deleted with its account.
pub async fn find_unsent(db: &Postgres, id: Uuid) -> sqlx::Result<Option<Email>> {
    let email = sqlx::query_as!(
        Email,
        "select id, kind, recipient, subject_id, created_at from outbox_email where id = $1 and sent_at is null",
        id,
    );
    email.fetch_optional(db).await
}

/// Records that an email was sent.
pub(super) async fn set_sent(db: &Postgres, id: Uuid) -> sqlx::Result<()> {
    let sent = sqlx::query!("update outbox_email set sent_at = now() where id = $1", id);
    sent.execute(db).await.map(drop)
}

/// Deletes an email that is not to be sent.
pub async fn delete(db: &Postgres, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from outbox_email where id = $1", id).execute(db).await.map(drop)
}

/// Deletes every email to a recipient.
pub async fn delete_to(tx: &mut Transaction, recipient: &str) -> sqlx::Result<()> {
    let emails = sqlx::query!("delete from outbox_email where recipient = $1", recipient);
    emails.execute(tx).await.map(drop)
}

/// Deletes emails older than 30 days; returns the number of rows.
pub async fn delete_old(tx: &mut Transaction) -> sqlx::Result<u64> {
    let old = sqlx::query!("delete from outbox_email where created_at < now() - interval '30 days'");
    Ok(old.execute(tx).await?.rows_affected())
}
