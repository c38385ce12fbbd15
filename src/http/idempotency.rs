//! `Idempotency-Key`: the client's name for a request that it may have to send again. For 24 hours it creates one
//! resource. (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>)

use axum::{extract::FromRequestParts, http::HeaderName, http::request::Parts};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Result, problem::Problem};
use crate::services::postgres::Transaction;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// The key, if there is one.
pub struct IdempotencyKey(Option<String>);

/// What a request with the same key created.
pub struct Created {
    hash: Vec<u8>,
    /// It may be changed or gone by now.
    pub resource_id: Uuid,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

impl IdempotencyKey {
    /// What the account created with this key within 24 hours. The caller has locked the account, so that a key is used
    /// once. Errors: a problem, where the key was used for another request, which `hash` tells.
    pub async fn find(&self, tx: &mut Transaction, account_id: Uuid, hash: &[u8]) -> Result<Option<Created>> {
        let Some(key) = &self.0 else {
            return Ok(None);
        };
        let expired = sqlx::query!(
            "delete from idempotency_key where account_id = $1 and created_at < now() - interval '24 hours'",
            account_id,
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

    /// Records what the key created in this transaction.
    pub async fn insert(
        &self, tx: &mut Transaction, account_id: Uuid, hash: &[u8], resource_id: Uuid,
    ) -> sqlx::Result<()> {
        let Some(key) = &self.0 else {
            return Ok(());
        };
        let key = sqlx::query!(
            "insert into idempotency_key (account_id, key, hash, resource_id) values ($1, $2, $3, $4)",
            account_id,
            key,
            hash,
            resource_id,
        );
        key.execute(tx).await.map(drop)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let mut lines = parts.headers.get_all(NAME).into_iter();
        let Some(key) = lines.next() else {
            return Ok(Self(None));
        };
        let visible = key.as_bytes().iter().all(u8::is_ascii_graphic);
        if !visible || !(1..=255).contains(&key.len()) || lines.next().is_some() {
            let sentence = "The Idempotency-Key must be one of 1 to 255 visible ASCII characters.";
            return Err(Problem::BadRequest(sentence.into()));
        }
        Ok(Self(Some(String::from_utf8_lossy(key.as_bytes()).into_owned())))
    }
}
