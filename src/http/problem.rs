//! One error type for all routes: a problem (RFC 9457) for the client, its cause for the log.

use axum::response::{IntoResponse, Response};
use axum::{http::HeaderValue, http::StatusCode, http::header::CONTENT_TYPE, http::header::RETRY_AFTER};
use serde_json::{Value, json};

use super::{security, security::Event};
use crate::{context, hasher};

/// Why a request failed. A `String` here is a cause, which is logged and never sent, except that of `BadRequest`.
#[derive(Debug)]
pub enum Problem {
    /// No such route or resource.
    NotFound,
    /// The route has other methods.
    MethodNotAllowed,
    /// There is no valid session.
    SignedOut,
    /// Sign-in failed.
    WrongCredentials,
    /// A signed-in account gave a wrong password.
    WrongPassword,
    /// A browser sent it from another site (CSRF).
    CrossOrigin,
    /// The request cannot be parsed.
    BadRequest(String),
    /// The content type of the body is not accepted.
    UnsupportedMediaType(&'static str),
    /// The body is too large.
    TooLarge,
    /// The body took too long.
    BodyTimeout,
    /// The field of the body, and the message for people.
    Invalid(String, String),
    /// A domain's own problem: its status, the last part of its type, its detail.
    Rejected(u16, &'static str, &'static str),
    /// The token of a link is unknown, used or expired.
    InvalidToken,
    /// The seconds to wait.
    RateLimited(u64),
    /// A queue is full.
    Busy,
    /// A service that the request needs is unreachable.
    Unavailable(String),
    /// The process is not ready; with the status of each service.
    NotReady(Value),
    /// The handler took too long.
    Timeout,
    /// An unexpected error.
    Internal(String),
}

impl Problem {
    /// One invalid field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(field.into(), message.into())
    }

    /// The status, the last part of the type, and the detail.
    fn parts(&self) -> (u16, &'static str, &str) {
        match self {
            Self::Rejected(status, kind, sentence) => (*status, kind, sentence),
            Self::BadRequest(sentence) => (400, "bad-request", sentence),
            Self::SignedOut => (401, "signed-out", "Please sign in."),
            // The same for an unknown email.
            Self::WrongCredentials => (401, "wrong-credentials", "The email or the password is wrong."),
            Self::WrongPassword => (403, "wrong-password", "The password is wrong."),
            Self::CrossOrigin => (403, "cross-origin", "Requests from other sites are rejected."),
            Self::NotFound => (404, "not-found", "The resource was not found."),
            Self::MethodNotAllowed => (405, "method-not-allowed", "This method is not allowed here."),
            Self::BodyTimeout => (408, "body-timeout", "The body of the request took too long."),
            Self::TooLarge => (413, "too-large", "The body is too large."),
            Self::UnsupportedMediaType(sentence) => (415, "unsupported-media-type", sentence),
            Self::Invalid(..) => (422, "invalid", "Some fields are not valid."),
            Self::InvalidToken => (422, "invalid-token", "This link is not valid any more. Please ask for a new one."),
            Self::RateLimited(_) => (429, "rate-limited", "Too many attempts. Please try again later."),
            Self::Internal(_) => (500, "internal", "Something went wrong on our side."),
            Self::Busy => (503, "busy", "The service is busy. Please try again."),
            Self::Unavailable(_) => {
                (503, "unavailable", "The service is unavailable for the moment. Please try again.")
            }
            Self::NotReady(_) => (503, "not-ready", "The service is not ready."),
            Self::Timeout => (503, "timeout", "The request took too long. Please try again."),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind, sentence) = self.parts();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({
            "type": format!("urn:problem:{kind}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": sentence,
            "request_id": context::request_id(),
        });
        match &self {
            Self::Invalid(field, message) => body["errors"] = json!([{ "field": field, "message": message }]),
            Self::NotReady(checks) => body["checks"] = checks.clone(),
            Self::Unavailable(cause) => tracing::error!(cause, "service unreachable"),
            Self::Internal(cause) => tracing::error!(cause, "request failed"),
            Self::RateLimited(_) => security::log(Event::RateLimited, None),
            _ => {}
        }
        let problem = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(CONTENT_TYPE, problem)], body.to_string()).into_response();
        let seconds = match self {
            Self::RateLimited(retry_after) => retry_after,
            _ if status == StatusCode::SERVICE_UNAVAILABLE => 1,
            _ => return response,
        };
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
        response
    }
}

impl From<hasher::Busy> for Problem {
    fn from(_: hasher::Busy) -> Self {
        Self::Busy
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        let passing = match &error {
            Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed => true,
            Database(error) => error.code().is_some_and(|code| is_transient(&code)),
            _ => false,
        };
        let cause = error.to_string();
        if passing { Self::Unavailable(cause) } else { Self::Internal(cause) }
    }
}

/// Transient, or fixed by an operator: connection, authorization, deadlock, read-only, resources, shutdown and
/// cancellation, missing database.
fn is_transient(code: &str) -> bool {
    const CLASSES: [&str; 6] = ["08", "28", "40", "53", "57", "58"];
    CLASSES.iter().any(|class| code.starts_with(class)) || matches!(code, "25006" | "3D000" | "55P03")
}

impl From<redis::RedisError> for Problem {
    fn from(error: redis::RedisError) -> Self {
        let passing = error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || error.kind() == redis::ErrorKind::AuthenticationFailed
            || error.code().is_some_and(is_transient_in_redis);
        let cause = error.to_string();
        if passing { Self::Unavailable(cause) } else { Self::Internal(cause) }
    }
}

/// Transient, or fixed by an operator: memory, disk, credentials, failover, a script that runs for too long.
fn is_transient_in_redis(code: &str) -> bool {
    const FIXED: [&str; 5] = ["OOM", "MISCONF", "NOAUTH", "WRONGPASS", "READONLY"];
    const TRANSIENT: [&str; 5] = ["LOADING", "MASTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY"];
    FIXED.contains(&code) || TRANSIENT.contains(&code)
}
