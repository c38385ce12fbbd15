//! Letters: what is asked for is stored, and the worker mints the token, writes the letter and sends it.

use std::time::Duration;

use lettre::message::Message;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::response::Code;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::time::timeout;
use url::Url;

use crate::config::{Config, ExposeSecret};
use crate::jobs::Failure;
use crate::services::{self, Error};

mod letters;
mod pages;
mod store;

pub(crate) use letters::deliver;
pub(crate) use pages::pages;
pub(crate) use store::{Kind, enqueue, hash};

const LIMIT: Duration = Duration::from_secs(15);
const CHECK_LIMIT: Duration = Duration::from_secs(2);
const SILENT: &str = "the mail server does not answer in time";

/// The SMTP server. Each letter has a connection of its own: one that a time-out left in the middle of a talk
/// would take the answers to one letter for those to the next.
#[derive(Clone)]
pub struct Mailer(AsyncSmtpTransport<Tokio1Executor>);

impl Mailer {
    /// Attaches what `SMTP_URL` names. Nothing connects before the first letter.
    /// Errors: the URL is refused, or a private CA cannot be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        services::install_crypto();
        let url = Url::parse(config.smtp_url.expose_secret()).map_err(|_| refused("it is not a URL"))?;
        let host = url.host_str().ok_or_else(|| refused("it has no host"))?;
        // An IPv6 address has brackets in a URL alone.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (tls, port) = tls(&url, host)?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(url.port().unwrap_or(port))
            .tls(tls)
            .timeout(Some(LIMIT));
        if !url.username().is_empty() {
            let password = services::decoded(url.password().unwrap_or_default());
            transport = transport.credentials(Credentials::new(services::decoded(url.username()), password));
        }
        Ok(Self(transport.build()))
    }

    /// Asks the server whether it is there. Errors: it is not, or not within two seconds.
    pub async fn check(&self) -> Result<(), Error> {
        match timeout(CHECK_LIMIT, self.0.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(error)) => Err(Error::Down(error.to_string())),
            Ok(Ok(false)) | Err(_) => Err(Error::Down(SILENT.into())),
        }
    }

    /// Hands a letter to the server.
    async fn send(&self, message: Message) -> Result<(), Failure> {
        match timeout(LIMIT, self.0.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(Failure::Retry(SILENT.into())),
        }
    }
}

/// For good where the server says so of the letter. A refused password is the operator's to mend, as is all
/// that the server lacks.
fn failure(error: &smtp::Error) -> Failure {
    let operators = |code: Code| matches!(u16::from(code), 530 | 534 | 535 | 538);
    // Servers like to repeat the recipient, whom neither the log nor the queue is to know.
    let error_text = error.to_string();
    let words = error_text.split(' ').map(|word| if word.contains('@') { "[address]" } else { word });
    let reply = words.collect::<Vec<_>>().join(" ");
    let for_good = error.is_permanent() && !error.status().is_some_and(operators);
    if for_good { Failure::Dead(reply) } else { Failure::Retry(reply) }
}

/// How to encrypt, and the port that goes with it.
fn tls(url: &Url, host: &str) -> Result<(Tls, u16), Error> {
    let asked = url.query_pairs().find(|(name, _)| name == "tls");
    let asked = asked.as_ref().map(|(_, value)| value.as_ref());
    let (kind, port): (fn(TlsParameters) -> Tls, u16) = match (url.scheme(), asked) {
        ("smtps", _) => (Tls::Wrapper, 465),
        (_, Some("required")) => (Tls::Required, 587),
        (_, Some(_)) => (Tls::Opportunistic, 587),
        (_, None) => return Ok((Tls::None, 25)),
    };
    let roots = Certificate::from_pem(&services::roots()?).map_err(refused)?;
    let parameters = TlsParameters::builder(host.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(roots)
        .build()
        .map_err(refused)?;
    Ok((kind(parameters), port))
}

fn refused(reason: impl std::fmt::Display) -> Error {
    Error::refused("SMTP_URL", reason)
}
