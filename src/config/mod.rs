//! III Config: everything that varies between deploys, read once, from the environment alone.
#![allow(clippy::disallowed_methods, reason = "it reads the environment")]

mod types;
mod variables;

use std::{collections::BTreeMap, fs::read_to_string};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ipnet::IpNet;
use lettre::message::Mailbox;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

pub use secrecy::{ExposeSecret, SecretString as Secret};
pub use types::LogFormat;
pub use variables::schema;
use variables::{VARIABLES, Variable};

/// The exit code of a process whose config is wrong: `EX_CONFIG` of sysexits.
pub const EXIT_CODE: u8 = 78;

/// One field per variable; descriptions and defaults are in `variables.rs`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the variable's description is the documentation")]
pub struct Config {
    pub port: u16,
    #[serde(deserialize_with = "types::origin")]
    pub public_url: Url,
    #[serde(deserialize_with = "types::postgres")]
    pub database_url: Secret,
    #[serde(default, deserialize_with = "types::owner")]
    pub migrate_database_url: Option<Secret>,
    #[serde(deserialize_with = "types::redis")]
    pub redis_url: Secret,
    #[serde(deserialize_with = "types::smtp")]
    pub smtp_url: Secret,
    #[serde(deserialize_with = "types::parsed")]
    pub mail_from: Mailbox,
    #[serde(deserialize_with = "types::s3")]
    pub storage_url: Secret,
    pub release_id: String,
    #[serde(deserialize_with = "types::directives")]
    pub log_level: String,
    pub log_format: LogFormat,
    #[serde(deserialize_with = "types::number::<_, _, 3, 1_000>")]
    pub database_pool_size: u32,
    #[serde(deserialize_with = "types::number::<_, _, 1, 1_000>")]
    pub worker_concurrency: usize,
    #[serde(deserialize_with = "types::number::<_, _, 1, 1_000_000>")]
    pub max_connections: usize,
    #[serde(deserialize_with = "types::number::<_, _, 1, 1_000_000_000>")]
    pub request_timeout_seconds: u64,
    pub drain_seconds: u32,
    #[serde(deserialize_with = "types::number::<_, _, 1, 1_000_000_000>")]
    pub shutdown_grace_seconds: u64,
    #[serde(deserialize_with = "types::number::<_, _, 1, 1_000_000_000>")]
    pub session_idle_seconds: u64,
    #[serde(deserialize_with = "types::number::<_, _, 1, 1_000_000_000>")]
    pub session_max_seconds: u64,
    #[serde(default, deserialize_with = "types::networks")]
    pub trusted_proxies: Vec<IpNet>,
    pub metrics_port: Option<u16>,
    #[serde(default, deserialize_with = "types::otlp")]
    pub otel_exporter_otlp_endpoint: Option<Secret>,
    pub allow_reset: Option<String>,
    /// The value of each variable, defaults included.
    #[serde(skip)]
    values: BTreeMap<&'static str, Secret>,
}

impl Config {
    /// Reads the environment. An empty variable counts as unset; unknown variables are ignored. Errors: every missing
    /// or invalid variable at once, by name, never with its value.
    pub fn from_env() -> Result<Self, Errors> {
        let (mut values, mut errors) = (BTreeMap::new(), Vec::new());
        for variable in VARIABLES {
            match variable.set() {
                Ok(None) if variable.required => errors.push((variable.name, variable.problem("is not set"))),
                Ok(set) => {
                    let value = set.or(variable.default.map(str::to_owned));
                    values.extend(value.map(|value| (variable.name, Secret::from(value))));
                }
                Err(what) => errors.push((variable.name, variable.problem(what))),
            }
        }
        let pairs = values.iter().map(|(name, value)| ((*name).into(), value.expose_secret().into()));
        match envy::from_iter::<_, Self>(pairs) {
            Ok(config) if errors.is_empty() => Ok(Self { values, ..config }),
            _ => Err(Errors(errors)),
        }
    }

    /// `DATABASE_URL`, and its name.
    pub fn database(&self) -> (&'static str, &Secret) {
        ("DATABASE_URL", &self.database_url)
    }

    /// The URL of the schema's owner, and the name of its variable.
    pub fn owner(&self) -> (&'static str, &Secret) {
        self.migrate_database_url.as_ref().map_or(self.database(), |url| ("MIGRATE_DATABASE_URL", url))
    }

    /// Whether `PUBLIC_URL` is https.
    pub fn secure(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// The public URL of `path`, which starts with a slash.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }

    /// The effective config, one variable per line, secrets redacted.
    pub fn show(&self) -> String {
        let line = |variable: &Variable| {
            let shown = match self.values.get(variable.name) {
                Some(_) if variable.secret() => "[redacted]",
                value => value.map_or("", |value| value.expose_secret()),
            };
            format!("{}={shown}\n", variable.name)
        };
        VARIABLES.iter().map(line).collect()
    }

    /// SHA-256 of the effective config in base64url: two processes of one release have the same.
    pub fn fingerprint(&self) -> String {
        let values: Vec<_> = self.values.iter().map(|(name, value)| (name, value.expose_secret())).collect();
        URL_SAFE_NO_PAD.encode(Sha256::digest(serde_json::json!(values).to_string()))
    }
}

/// Reads one variable without the rest of the config; an empty one counts as unset.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Variable {
    /// The valid value in the environment; of a secret, else the trimmed content of the file that `NAME_FILE` names.
    fn set(&self) -> Result<Option<String>, &'static str> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let value = match (set(self.name), set(&format!("{}_FILE", self.name)).filter(|_| self.secret())) {
            (Some(value), _) => value.into_string().map_err(|_| "is not valid")?,
            (None, Some(file)) => read_to_string(file).map_err(|_| "has an unreadable _FILE")?.trim().to_owned(),
            (None, None) => return Ok(None),
        };
        if self.accepts(&value) { Ok(Some(value)) } else { Err("is not valid") }
    }

    /// Whether envy accepts this value beside the examples of all other variables. One at a time, as envy stops at the
    /// first error and all errors are reported in one run.
    fn accepts(&self, value: &str) -> bool {
        let value = |other: &Variable| if other.name == self.name { value } else { other.example };
        let pairs = VARIABLES.iter().map(|other| (other.name.into(), value(other).into()));
        envy::from_iter::<_, Config>(pairs).is_ok()
    }
}

/// Every config error: the variable, and a sentence with its name, description and an example; never its value.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|(_, sentence)| sentence.as_str()).collect::<Vec<_>>().join("\n"))]
pub struct Errors(pub Vec<(&'static str, String)>);

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::{Deserializer, Error, Visitor, value};

    /// A deserializer whose error is the list of the fields of a struct.
    struct Fields;

    impl<'de> Deserializer<'de> for Fields {
        type Error = value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
            unreachable!("the config is a struct")
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self, _: &'static str, fields: &'static [&'static str], _: V,
        ) -> Result<V::Value, value::Error> {
            Err(value::Error::custom(fields.join(" ")))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    #[test]
    fn every_field_has_its_variable_and_every_variable_its_field() {
        let fields = Config::deserialize(Fields).expect_err("an error with the fields").to_string().to_uppercase();
        let variables: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();

        assert_eq!(fields.split(' ').collect::<Vec<_>>(), variables);
    }
}
