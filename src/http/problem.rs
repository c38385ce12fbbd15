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
pub enum Problem {
    /// No such route or thing.
    #[error("There is nothing here.")]
    NotFound,
    /// The route has other methods.
    #[error("This method is not allowed here.")]
    MethodNotAllowed,
    /// There is no valid session.
    #[error("Please sign in.")]
    SignedOut,
    /// The same for a wrong password and an unknown address.
    #[error("The address or the password is wrong.")]
    WrongCredentials,
    /// The current password, asked for again, is wrong.
    #[error("The password is wrong.")]
    WrongPassword,
    /// The request was caused by another site.
    #[error("Requests from other sites are refused.")]
    CrossOrigin,
    /// The request cannot be read; the sentence is sent.
    #[error("{0}")]
    BadRequest(String),
    /// The body is of another type than the route reads.
    #[error("The body must be application/json.")]
    UnsupportedMediaType,
    /// The body is longer than the route reads.
    #[error("The body is too large.")]
    TooLarge,
    /// The body did not arrive in time.
    #[error("The body took too long to arrive.")]
    BodyTimeout,
    /// Fields of the body are not acceptable.
    #[error("Some fields are not valid.")]
    Invalid(Vec<FieldError>),
    /// A letter's token is unknown, used or expired.
    #[error("This link is not valid any more. Please ask for a new one.")]
    InvalidToken,
    /// Too much was asked.
    #[error("Too many attempts. Please try again later.")]
    RateLimited {
        /// The seconds to wait.
        retry_after: u64,
    },
    /// The process has enough to do.
    #[error("The service is busy. Please try again.")]
    Busy,
    /// A service that the request needs is out of reach.
    #[error("The service is unavailable for the moment. Please try again.")]
    Unavailable(String),
    /// The process should get no requests; with the checks that tell why.
    #[error("The service is not ready.")]
    NotReady(Value),
    /// The request took too long.
    #[error("The answer took too long. Please try again.")]
    Timeout,
    /// A fault of ours.
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
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Self::SignedOut => (StatusCode::UNAUTHORIZED, "signed-out"),
            Self::WrongCredentials => (StatusCode::UNAUTHORIZED, "wrong-credentials"),
            Self::WrongPassword => (StatusCode::FORBIDDEN, "wrong-password"),
            Self::CrossOrigin => (StatusCode::FORBIDDEN, "cross-origin"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad-request"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body-timeout"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::InvalidToken => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-token"),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate-limited"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::NotReady(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-ready"),
            Self::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    fn retry_after(&self, status: StatusCode) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind) = self.kind();
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
        if let Some(seconds) = self.retry_after(status) {
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

/// Connection, authorization, read-only, resources, shutdown and cancellation, lost
/// database: what passes, or what an operator mends.
fn is_passing(code: &str) -> bool {
    const CLASSES: [&str; 5] = ["08", "28", "53", "57", "58"];
    CLASSES.iter().any(|class| code.starts_with(class))
        || matches!(code, "25006" | "3D000" | "55P03")
}

impl From<redis::RedisError> for Problem {
    fn from(error: redis::RedisError) -> Self {
        use redis::{ErrorKind, ServerErrorKind};
        let passing = error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || matches!(
                error.kind(),
                ErrorKind::AuthenticationFailed
                    | ErrorKind::Server(
                        ServerErrorKind::BusyLoading
                            | ServerErrorKind::ReadOnly
                            | ServerErrorKind::MasterDown
                            | ServerErrorKind::TryAgain
                    )
            )
            || matches!(
                error.code(),
                Some("OOM" | "MISCONF" | "NOAUTH" | "WRONGPASS" | "READONLY" | "LOADING")
            );
        let cause = error.to_string();
        if passing { Self::Unavailable(cause) } else { Self::Internal(cause) }
    }
}
