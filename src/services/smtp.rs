//! The SMTP server.

use std::time::Duration;

use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{self, authentication::Credentials, response::Code};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor, message::Message};
use tokio::time::timeout;
use url::Url;

use super::{Error, decoded, tls};
use crate::config::{Config, ExposeSecret};

const SEND_TIMEOUT: Duration = Duration::from_secs(15);
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
const TIMED_OUT: &str = "the mail server timed out";

/// The handle to the SMTP server. Each email has its own connection: after a timeout in mid-session, a reused
/// connection could match late replies to the next email.
#[derive(Clone)]
pub struct Mailer(AsyncSmtpTransport<Tokio1Executor>);

impl Mailer {
    /// Attaches the server of `SMTP_URL`. Connects at each email.
    /// Errors: the URL is rejected, or a private CA cannot be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        tls::install_crypto();
        let url = Url::parse(config.smtp_url.expose_secret()).map_err(|_| rejected("it is not a URL"))?;
        let host = url.host_str().ok_or_else(|| rejected("it has no host"))?;
        // Only URLs put brackets around an IPv6 address.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (encryption, port) = encryption(&url, host)?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(url.port().unwrap_or(port))
            .tls(encryption)
            .timeout(Some(SEND_TIMEOUT));
        if !url.username().is_empty() {
            let password = decoded(url.password().unwrap_or_default());
            transport = transport.credentials(Credentials::new(decoded(url.username()), password));
        }
        Ok(Self(transport.build()))
    }

    /// Checks that the server accepts a connection. Errors: it does not within two seconds.
    pub async fn check(&self) -> Result<(), Error> {
        match timeout(CHECK_TIMEOUT, self.0.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(error)) => Err(Error::Down(error.to_string())),
            Ok(Ok(false)) | Err(_) => Err(Error::Down(TIMED_OUT.into())),
        }
    }

    /// Sends an email. Errors: the server rejects it, or does not accept it within 15 seconds.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        match timeout(SEND_TIMEOUT, self.0.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(SendError::Temporary(TIMED_OUT.into())),
        }
    }
}

/// Why an email was not sent, without any email address: servers often repeat the recipient.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A later attempt may succeed.
    #[error("{0}")]
    Temporary(String),
    /// The server will never accept this email.
    #[error("{0}")]
    Permanent(String),
}

/// Permanent if the server rejects the email with a 5xx reply. A rejected password or a missing feature is transient:
/// an operator can fix it.
fn failure(error: &smtp::Error) -> SendError {
    let operators = |code: Code| matches!(u16::from(code), 530 | 534 | 535 | 538);
    let error_text = error.to_string();
    let words = error_text.split(' ').map(|word| if word.contains('@') { "[email]" } else { word });
    let reply = words.collect::<Vec<_>>().join(" ");
    let permanent = error.is_permanent() && !error.status().is_some_and(operators);
    if permanent { SendError::Permanent(reply) } else { SendError::Temporary(reply) }
}

/// The encryption, and its default port.
fn encryption(url: &Url, host: &str) -> Result<(Tls, u16), Error> {
    let option = url.query_pairs().find(|(name, _)| name == "tls");
    let option = option.as_ref().map(|(_, value)| value.as_ref());
    let (kind, port): (fn(TlsParameters) -> Tls, u16) = match (url.scheme(), option) {
        ("smtps", _) => (Tls::Wrapper, 465),
        (_, Some("required")) => (Tls::Required, 587),
        (_, Some(_)) => (Tls::Opportunistic, 587),
        (_, None) => return Ok((Tls::None, 25)),
    };
    let roots = Certificate::from_pem(&tls::roots()?).map_err(rejected)?;
    let parameters = TlsParameters::builder(host.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(roots)
        .build()
        .map_err(rejected)?;
    Ok((kind(parameters), port))
}

fn rejected(reason: impl std::fmt::Display) -> Error {
    Error::rejected("SMTP_URL", reason)
}
