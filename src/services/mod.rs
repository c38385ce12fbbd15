//! IV Backing services: a URL in, a handle out; local and third-party services are attached the same way.

pub mod tls;

pub mod postgres;
pub mod redis;
pub mod s3;
pub mod smtp;

/// Why a service cannot be attached or used. No message holds a URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client rejects the value of this variable.
    #[error("{0} is not usable: {1}")]
    Rejected(&'static str, String),
    /// The service is unreachable.
    #[error("{0}")]
    Down(String),
}

impl Error {
    /// An error about the value of `variable`.
    pub fn rejected(variable: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Rejected(variable, reason.to_string())
    }
}

/// Percent-decodes a part of a URL: keys and passwords may contain `/`. A `+` stays a `+`.
pub(crate) fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
