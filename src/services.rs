//! IV Backing services: a URL in, a handle out, and no difference between a local and a remote one.

use std::pin::pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection, PgConnection, PgPool};
use time::OffsetDateTime;
use tokio::time::{error::Elapsed, timeout};

use crate::config::{Config, ExposeSecret};

/// The migrations, embedded, so that any binary runs from an empty directory.
pub static MIGRATOR: Migrator = sqlx::migrate!();

const QUERY_LIMIT: Duration = Duration::from_secs(3);
const DOUBT_MS: i64 = 10_000;
const COMMAND_LIMIT: Duration = Duration::from_secs(1);
const HALF_SECOND: Duration = Duration::from_millis(500);

/// Where systems keep the roots that they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why a service cannot be attached. No message shows a URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client refuses its URL, or the file of a private CA holds none.
    #[error("{0} is not usable: {1}")]
    Refused(&'static str, String),
    /// The service does not answer.
    #[error("{0}")]
    Down(String),
}

impl Error {
    /// A refusal of what `variable` holds.
    pub fn refused(variable: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Refused(variable, reason.to_string())
    }
}

/// What stands percent-encoded in a URL, as keys and passwords do that hold `/`; a `+` stands for itself.
pub(crate) fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Makes ring the process's one provider of cryptography. It can be called again.
pub fn install_crypto() {
    // An error says that a provider is installed, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificates to trust, as PEM: the system's, and those of `SSL_CERT_FILE`.
/// Errors: `SSL_CERT_FILE` is set and holds none that can be read.
pub fn roots() -> Result<Vec<u8>, Error> {
    let system = BUNDLES.iter().find_map(|path| std::fs::read(path).ok());
    let system = system.unwrap_or_default();
    match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        Some(path) => with_private(system, std::fs::read(path)),
        None => Ok(system),
    }
}

fn with_private(mut pem: Vec<u8>, private: std::io::Result<Vec<u8>>) -> Result<Vec<u8>, Error> {
    let private = private.map_err(|error| Error::refused("SSL_CERT_FILE", error))?;
    // The clients would blame their URLs for what is no certificate, or nothing.
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&private).collect();
    let found = RootCertStore::empty().add_parsable_certificates(found.unwrap_or_default());
    let (1.., 0) = found else {
        return Err(Error::refused("SSL_CERT_FILE", "it must hold certificates as PEM"));
    };
    pem.push(b'\n');
    pem.extend(private);
    Ok(pem)
}

/// How to connect to Postgres, without a limit on statements.
/// Errors: the URL is refused, or a private CA cannot be read.
pub fn database_options(config: &Config) -> Result<PgConnectOptions, Error> {
    install_crypto();
    let url = config.database_url.expose_secret();
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| Error::refused("DATABASE_URL", "it is not a Postgres URL"))?
        .application_name(env!("CARGO_PKG_NAME"));
    let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    if verified && !url.contains("sslrootcert=") && !url.contains("ssl-root-cert=") {
        return Ok(options.ssl_root_cert_from_pem(roots()?));
    }
    Ok(options)
}

/// Attaches Postgres. Nothing connects before the first query.
/// Errors: the URL is refused, or a private CA cannot be read.
pub fn database(config: &Config) -> Result<PgPool, Error> {
    let options = database_options(config)?.options([("statement_timeout", "5s")]);
    Ok(PgPoolOptions::new()
        // One more looks after the database's health.
        .max_connections(config.database_pool_size.saturating_sub(1).max(1))
        .acquire_timeout(QUERY_LIMIT)
        .test_before_acquire(false)
        // The pool asks every connection that comes back, and waits for ever for one that went silent. To ask
        // before it does, within a limit, is a third round trip: only for those that are in doubt.
        .after_release(|connection, _| Box::pin(async move { Ok(!in_doubt(0) || answers(connection).await) }))
        // One that idled while Postgres was away is dead.
        .before_acquire(|connection, idle| {
            Box::pin(async move { Ok(!in_doubt(idle.idle_for.as_millis() as i64) || answers(connection).await) })
        })
        .connect_lazy_with(options))
}

/// Whether Postgres refuses connections: the pool would ask again for as long as it may, and keep a client waiting.
pub(crate) static REFUSING: AtomicBool = AtomicBool::new(false);

/// When Postgres was last given up, in milliseconds since 1970: its connections are in doubt for a while.
static GIVEN_UP: AtomicI64 = AtomicI64::new(0);

/// Whether Postgres was given up in the last seconds, or while a connection idled for so many milliseconds.
fn in_doubt(idle: i64) -> bool {
    milliseconds() - GIVEN_UP.load(Ordering::Relaxed) <= idle.max(DOUBT_MS)
}

async fn answers(connection: &mut PgConnection) -> bool {
    matches!(timeout(COMMAND_LIMIT, connection.ping()).await, Ok(Ok(())))
}

pub(crate) struct GivingUp;

impl Drop for GivingUp {
    fn drop(&mut self) {
        GIVEN_UP.store(milliseconds(), Ordering::Relaxed);
    }
}

/// Waits for Postgres, but no longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, asked: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut asked = pin!(asked);
    // It is dropped before what is asked, and so before a connection goes back: also when a client goes away.
    let giving_up = GivingUp;
    let answer = timeout(limit, asked.as_mut()).await?;
    std::mem::forget(giving_up);
    Ok(answer)
}

/// Bounds a query on the client's side, as a server that is gone times nothing.
pub trait Limited<T>: Future<Output = sqlx::Result<T>> + Send + Sized {
    /// The query's result, or `PoolTimedOut` after three seconds, and sooner while Postgres refuses connections.
    fn limited(self) -> impl Future<Output = sqlx::Result<T>> + Send {
        async move {
            let limit = if REFUSING.load(Ordering::Relaxed) { HALF_SECOND } else { QUERY_LIMIT };
            let result = within(limit, self).await;
            result.unwrap_or(Err(sqlx::Error::PoolTimedOut))
        }
    }
}

impl<T, F: Future<Output = sqlx::Result<T>> + Send> Limited<T> for F {}

/// Attaches Redis. Nothing connects before the first command.
/// Errors: the URL is refused, or a private CA cannot be read.
pub fn redis(config: &Config) -> Result<Redis, Error> {
    install_crypto();
    let url = config.redis_url.expose_secret();
    // The client's own message repeats the URL.
    let refused = |_| Error::refused("REDIS_URL", "it is not a Redis URL");
    let client = if url.starts_with("rediss:") {
        let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(roots()?) };
        Client::build_with_tls(url, certificates).map_err(refused)?
    } else {
        Client::open(url).map_err(refused)?
    };
    let manager = connect(&client).map_err(refused)?;
    Ok(Redis { client, current: Arc::new(RwLock::new((0, manager))), ahead: Arc::default() })
}

fn connect(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(HALF_SECOND))
        .set_connection_timeout(Some(HALF_SECOND))
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(10))
        .set_max_delay(Duration::from_millis(100));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// Redis, behind one connection that all share.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    current: Arc<RwLock<(u64, ConnectionManager)>>,
    ahead: Arc<AtomicI64>,
}

impl Redis {
    /// Runs one command. Errors: Redis is out of reach or refuses it.
    pub async fn run<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        let (generation, mut manager) = self.manager();
        self.limited(generation, cmd.query_async(&mut manager)).await
    }

    /// Runs one script. Errors: Redis is out of reach or the script fails.
    pub async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> RedisResult<T> {
        let (generation, mut manager) = self.manager();
        self.limited(generation, script.invoke_async(&mut manager)).await
    }

    /// The time by Redis' clock, in seconds since 1970.
    pub fn now(&self) -> i64 {
        (milliseconds() + self.ahead.load(Ordering::Relaxed)).div_euclid(1_000)
    }

    /// Asks for the time, which tells that Redis answers, and sets the clock of [`Redis::now`].
    /// Errors: redis is out of reach.
    pub async fn check(&self) -> RedisResult<()> {
        let (seconds, microseconds): (i64, i64) = self.run(&redis::cmd("TIME")).await?;
        let ahead = seconds * 1_000 + microseconds / 1_000 - milliseconds();
        self.ahead.store(ahead, Ordering::Relaxed);
        Ok(())
    }

    fn manager(&self) -> (u64, ConnectionManager) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    async fn limited<T>(&self, generation: u64, asked: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        let result = timeout(COMMAND_LIMIT, asked).await.unwrap_or_else(late);
        if result.as_ref().is_err_and(RedisError::is_timeout) {
            self.renew(generation);
        }
        result
    }

    /// A manager takes a time-out for a passing thing and keeps a connection that went silent.
    fn renew(&self, generation: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.0 == generation
            && let Ok(manager) = connect(&self.client)
        {
            *current = (generation + 1, manager);
        }
    }
}

fn milliseconds() -> i64 {
    let now = OffsetDateTime::now_utc();
    now.unix_timestamp() * 1_000 + i64::from(now.millisecond())
}

#[cfg(test)]
mod tests {
    use super::with_private;

    fn ca() -> String {
        let made = rcgen::generate_simple_self_signed([]);
        made.expect("a CA").cert.pem()
    }

    #[test]
    fn a_private_ca_is_trusted_beside_those_of_the_system() {
        let (system, private) = (ca(), ca());

        let both = with_private(system.clone().into(), Ok(private.clone().into()));

        assert_eq!(both.ok(), Some(format!("{system}\n{private}").into()));
    }
}
