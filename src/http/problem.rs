//! One error for every route: a problem (RFC 9457) for the client, its cause for the log.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::context;

/// What is wrong with one field of a body.
#[derive(Clone, Debug, Serialize)]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// A sentence for people.
    pub message: String,
}

/// Why a request is not answered as asked. A `String` here is a cause, which is
/// logged once and never sent, but for the one of `BadRequest`.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "its sentence documents a variant")]
pub enum Problem {
    #[error("There is nothing here.")]
    NotFound,
    #[error("This method is not allowed here.")]
    MethodNotAllowed,
    #[error("Please sign in.")]
    SignedOut,
    /// The same for a wrong password and an unknown address.
    #[error("The address or the password is wrong.")]
    WrongCredentials,
    /// The current password, asked for again, is wrong.
    #[error("The password is wrong.")]
    WrongPassword,
    #[error("Requests from other sites are refused.")]
    CrossOrigin,
    /// The request cannot be read; the sentence is sent.
    #[error("{0}")]
    BadRequest(String),
    /// The body is not of a type that is taken here; the sentence is sent.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    #[error("The body is too large.")]
    TooLarge,
    #[error("The body took too long to arrive.")]
    BodyTimeout,
    #[error("Some fields are not valid.")]
    Invalid(Vec<FieldError>),
    /// A domain's own refusal: the status, the stable end of the type, the sentence, which is sent.
    #[error("{2}")]
    Refused(u16, &'static str, &'static str),
    #[error("This link is not valid any more. Please ask for a new one.")]
    InvalidToken,
    #[error("Too many attempts. Please try again later.")]
    RateLimited { retry_after: u64 },
    #[error("The service is busy. Please try again.")]
    Busy,
    /// A service that the request needs is out of reach.
    #[error("The service is unavailable for the moment. Please try again.")]
    Unavailable(String),
    /// The process should get no requests; with the checks that tell why.
    #[error("The service is not ready.")]
    NotReady(Value),
    #[error("The answer took too long. Please try again.")]
    Timeout,
    #[error("Something went wrong on our side.")]
    Internal(String),
}

impl Problem {
    /// One field that is not acceptable.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::Invalid(vec![FieldError { field, message }])
    }

    /// The status and the stable end of the type.
    fn kind(&self) -> (u16, &'static str) {
        match self {
            Self::Refused(status, kind, _) => (*status, *kind),
            Self::BadRequest(_) => (400, "bad-request"),
            Self::SignedOut => (401, "signed-out"),
            Self::WrongCredentials => (401, "wrong-credentials"),
            Self::WrongPassword => (403, "wrong-password"),
            Self::CrossOrigin => (403, "cross-origin"),
            Self::NotFound => (404, "not-found"),
            Self::MethodNotAllowed => (405, "method-not-allowed"),
            Self::BodyTimeout => (408, "body-timeout"),
            Self::TooLarge => (413, "too-large"),
            Self::UnsupportedMediaType(_) => (415, "unsupported-media-type"),
            Self::Invalid(_) => (422, "invalid"),
            Self::InvalidToken => (422, "invalid-token"),
            Self::RateLimited { .. } => (429, "rate-limited"),
            Self::Internal(_) => (500, "internal"),
            Self::Busy => (503, "busy"),
            Self::Unavailable(_) => (503, "unavailable"),
            Self::NotReady(_) => (503, "not-ready"),
            Self::Timeout => (503, "timeout"),
        }
    }

    /// In seconds.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            _ => (self.kind().0 == 503).then_some(1),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind) = self.kind();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({
            "type": format!("urn:problem:{kind}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.to_string(),
            "request_id": context::request_id(),
        });
        match &self {
            Self::Invalid(errors) => body["errors"] = json!(errors),
            Self::NotReady(checks) => body["checks"] = checks.clone(),
            Self::Unavailable(cause) => tracing::error!(cause, "a service is out of reach"),
            Self::Internal(cause) => tracing::error!(cause, "a request failed"),
            _ => {}
        }
        let problem = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(CONTENT_TYPE, problem)], body.to_string()).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        let passing = match &error {
            Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed => true,
            Database(error) => error.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        };
        let cause = error.to_string();
        if passing { Self::Unavailable(cause) } else { Self::Internal(cause) }
    }
}

/// Connection, authorization, deadlock, read-only, resources, shutdown and cancellation, lost
/// database: what passes, or what an operator mends.
fn is_passing(code: &str) -> bool {
    const CLASSES: [&str; 6] = ["08", "28", "40", "53", "57", "58"];
    CLASSES.iter().any(|class| code.starts_with(class)) || matches!(code, "25006" | "3D000" | "55P03")
}

impl From<redis::RedisError> for Problem {
    fn from(error: redis::RedisError) -> Self {
        const CODES: [&str; 10] = [
            "OOM",
            "MISCONF",
            "NOAUTH",
            "WRONGPASS",
            "READONLY",
            "LOADING",
            "MASTERDOWN",
            "TRYAGAIN",
            "NOREPLICAS",
            "BUSY",
        ];
        let passing = error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || error.kind() == redis::ErrorKind::AuthenticationFailed
            || error.code().is_some_and(|code| CODES.contains(&code));
        let cause = error.to_string();
        if passing { Self::Unavailable(cause) } else { Self::Internal(cause) }
    }
}
