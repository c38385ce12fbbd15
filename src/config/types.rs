//! The types of the variables: what parses is right, and nothing later asks again. No error says what the value was.

use std::str::FromStr;

use ipnet::IpNet;
use secrecy::SecretString as Secret;
use serde::{Deserialize, Deserializer, de::Error};
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

/// How log lines look: JSON for the log router, one object a line, or text for a person at a terminal.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum LogFormat {
    Json,
    Text,
}

/// Deserializes what `parse` makes of the text.
fn by<'de, D: Deserializer<'de>, T>(deserializer: D, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, D::Error> {
    parse(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("refused"))
}

pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr>(from: D) -> Result<T, D::Error> {
    by(from, |text| text.parse().ok())
}

/// A number within bounds.
pub(super) fn number<'de, D: Deserializer<'de>, N: TryFrom<u32>, const LEAST: u32, const MOST: u32>(
    from: D,
) -> Result<N, D::Error> {
    by(from, |text| N::try_from(text.parse().ok().filter(|number| (LEAST..=MOST).contains(number))?).ok())
}

/// Log directives that tracing-subscriber takes, but for a bare word: it takes `inof` for the name of a target,
/// and logs nothing else.
pub(super) fn directives<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let known = |directive: &str| directive.contains('=') || directive.trim().parse::<LevelFilter>().is_ok();
    by(from, |text| (text.split(',').all(known) && text.parse::<Targets>().is_ok()).then(|| text.to_owned()))
}

/// Networks in CIDR notation, separated by commas.
pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    by(from, |text| text.split(',').map(|network| network.trim().parse().ok()).collect())
}

/// `http` or `https`, a host, perhaps a port, and nothing after it.
pub(super) fn origin<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    by(from, |text| {
        let url = url(text, ["http", "https"])?;
        let named = !url.username().is_empty() || url.password().is_some();
        let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        (!named && !more).then_some(url)
    })
}

pub(super) fn postgres<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    service(from, ["postgres", "postgresql"], |url| url.as_str().parse::<sqlx::postgres::PgConnectOptions>().is_ok())
}

pub(super) fn redis<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    service(from, ["redis", "rediss"], |url| redis::IntoConnectionInfo::into_connection_info(url.as_str()).is_ok())
}

/// A slip of the pen in `tls` must not send passwords in the clear.
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

/// A secret, since vendors put keys into it.
pub(super) fn otlp<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    service(from, ["http", "https"], |_| true).map(Some)
}

fn service<'de, D: Deserializer<'de>>(
    from: D, schemes: [&str; 2], check: impl FnOnce(&Url) -> bool,
) -> Result<Secret, D::Error> {
    by(from, |text| check(&url(text, schemes)?).then(|| Secret::from(text)))
}

fn url(text: &str, schemes: [&str; 2]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str().is_some_and(|host| !host.is_empty());
    (host && schemes.contains(&url.scheme())).then_some(url)
}
