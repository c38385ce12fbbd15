//! Parsers of the variables: a value that parses is valid everywhere. No error holds the value.

use std::str::FromStr;

use ipnet::IpNet;
use secrecy::SecretString as Secret;
use serde::{Deserialize, Deserializer, de::Error};
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line, for a log router.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Deserializes text and parses it with `parse`.
fn parsing<'de, D: Deserializer<'de>, T>(from: D, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, D::Error> {
    parse(&String::deserialize(from)?).ok_or_else(|| D::Error::custom("rejected"))
}

pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr>(from: D) -> Result<T, D::Error> {
    parsing(from, |text| text.parse().ok())
}

/// A number within bounds.
pub(super) fn number<'de, D: Deserializer<'de>, N: TryFrom<u32>, const MIN: u32, const MAX: u32>(
    from: D,
) -> Result<N, D::Error> {
    parsing(from, |text| N::try_from(text.parse().ok().filter(|number| (MIN..=MAX).contains(number))?).ok())
}

/// Filter directives of tracing-subscriber, except a bare word that is no level: it would read the typo `inof` as a
/// target, and log nothing else.
pub(super) fn directives<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let known = |directive: &str| directive.contains('=') || directive.trim().parse::<LevelFilter>().is_ok();
    parsing(from, |text| (text.split(',').all(known) && text.parse::<Targets>().is_ok()).then(|| text.to_owned()))
}

/// Networks in CIDR notation, separated by commas.
pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    parsing(from, |text| text.split(',').map(|network| network.trim().parse().ok()).collect())
}

/// An origin: `http` or `https`, a host, an optional port, and nothing else.
pub(super) fn origin<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    parsing(from, |text| {
        let url = url(text, ["http", "https"])?;
        let credentials = !url.username().is_empty() || url.password().is_some();
        let rest = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        (!credentials && !rest).then_some(url)
    })
}

pub(super) fn postgres<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    service(from, ["postgres", "postgresql"], |url| url.as_str().parse::<sqlx::postgres::PgConnectOptions>().is_ok())
}

pub(super) fn owner<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    postgres(from).map(Some)
}

pub(super) fn redis<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    service(from, ["redis", "rediss"], |url| redis::IntoConnectionInfo::into_connection_info(url.as_str()).is_ok())
}

/// Rejects unknown values of `tls`: a typo must not send passwords unencrypted.
pub(super) fn smtp<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    service(from, ["smtp", "smtps"], |url| {
        let tls = |value: &str| matches!(value, "required" | "opportunistic");
        url.query_pairs().all(|(key, value)| key == "tls" && tls(&value))
    })
}

pub(super) fn s3<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    service(from, ["s3+http", "s3+https"], |url| {
        let bucket = url.path().trim_matches('/');
        let keys = !url.username().is_empty() && url.password().is_some();
        keys && !bucket.is_empty() && !bucket.contains('/')
    })
}

/// A secret, since vendors put API keys into it.
pub(super) fn otlp<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    service(from, ["http", "https"], |_| true).map(Some)
}

fn service<'de, D: Deserializer<'de>>(
    from: D, schemes: [&str; 2], check: impl FnOnce(&Url) -> bool,
) -> Result<Secret, D::Error> {
    parsing(from, |text| check(&url(text, schemes)?).then(|| Secret::from(text)))
}

fn url(text: &str, schemes: [&str; 2]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str().is_some_and(|host| !host.is_empty());
    (host && schemes.contains(&url.scheme())).then_some(url)
}
