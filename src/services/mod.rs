//! IV Backing services: a URL in, a handle out, and no difference between a local and a remote one.

pub mod tls;

pub mod postgres;
pub mod redis;
pub mod s3;
pub mod smtp;

/// Why a service cannot be attached. No message shows a URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client rejects the URL of this variable, or `SSL_CERT_FILE` holds no certificate.
    #[error("{0} is not usable: {1}")]
    Rejected(&'static str, String),
    /// The service does not answer.
    #[error("{0}")]
    Down(String),
}

impl Error {
    /// The value of `variable` is rejected.
    pub fn rejected(variable: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Rejected(variable, reason.to_string())
    }
}

/// Decodes what stands percent-encoded in a URL, as keys and passwords with a `/` do; a `+` stands for itself.
pub(crate) fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
