//! `Idempotency-Key`: a client may send a request with the same key again; for 24 hours it creates one resource.
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>)

use axum::{extract::FromRequestParts, http::HeaderName, http::request::Parts};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Result, problem::Problem};
use crate::services::postgres::Transaction;

const MAX_KEYS: i64 = 1_000;
const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// The key, if the request has one.
pub struct IdempotencyKey(Option<String>);

/// The resource that a request with the same key created.
pub struct Created {
    hash: Vec<u8>,
    /// Its id; it may have been changed or deleted since.
    pub resource_id: Uuid,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

impl IdempotencyKey {
    /// Finds what the account created with this key in the last 24 hours. The caller must have locked the account, so
    /// that a key is used once. Errors: the key was used for a request with another `hash`.
    pub async fn find(&self, tx: &mut Transaction, account_id: Uuid, hash: &[u8]) -> Result<Option<Created>> {
        let Some(key) = &self.0 else { return Ok(None) };
        let expired = sqlx::query!(
            "delete from idempotency_key
              where account_id = $1 and key = $2 and created_at < now() - interval '24 hours'",
            account_id,
            key,
        );
        expired.execute(&mut *tx).await?;
        let used = sqlx::query_as!(
            Created,
            "select hash, resource_id, created_at from idempotency_key where account_id = $1 and key = $2",
            account_id,
            key,
        );
        match used.fetch_optional(tx).await? {
            Some(used) if used.hash != hash => Err(Problem::field("Idempotency-Key", "was used for another request")),
            used => Ok(used),
        }
    }

    /// Records the resource that this transaction creates with the key. The account's oldest keys beyond 1,000 go.
    pub async fn insert(
        &self, tx: &mut Transaction, account_id: Uuid, hash: &[u8], resource_id: Uuid,
    ) -> sqlx::Result<()> {
        let Some(key) = &self.0 else { return Ok(()) };
        let key = sqlx::query!(
            "insert into idempotency_key (account_id, key, hash, resource_id) values ($1, $2, $3, $4)",
            account_id,
            key,
            hash,
            resource_id,
        );
        key.execute(&mut *tx).await?;
        let oldest = sqlx::query!(
            "delete from idempotency_key where account_id = $1 and key in
                 (select key from idempotency_key where account_id = $1 order by created_at desc offset $2)",
            account_id,
            MAX_KEYS,
        );
        oldest.execute(tx).await.map(drop)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut lines = parts.headers.get_all(NAME).into_iter();
        let Some(key) = lines.next() else { return Ok(Self(None)) };
        let visible = key.as_bytes().iter().all(u8::is_ascii_graphic);
        if !visible || !(1..=255).contains(&key.len()) || lines.next().is_some() {
            let sentence = "The Idempotency-Key must be one of 1 to 255 visible ASCII characters.";
            return Err(Problem::BadRequest(sentence.into()));
        }
        Ok(Self(Some(String::from_utf8_lossy(key.as_bytes()).into_owned())))
    }
}
