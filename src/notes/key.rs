//! `Idempotency-Key`: the client's name for a request that it may have to send again.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;

use crate::http::problem::Problem;

const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// The key, if there is one.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
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
