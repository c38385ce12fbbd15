//! Redis, for sessions and rate limits: one shared connection.

use std::sync::{Arc, PoisonError, RwLock, atomic::AtomicI64, atomic::Ordering};
use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::time::timeout;

use super::{Error, tls};
use crate::config::{Config, ExposeSecret};

const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// The handle to Redis. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    current: Arc<RwLock<(u64, ConnectionManager)>>,
    ahead_ms: Arc<AtomicI64>,
}

impl Redis {
    /// Attaches the server of `REDIS_URL`. Connects at the first command.
    /// Errors: the URL is rejected, or a private CA cannot be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        tls::install_crypto();
        let url = config.redis_url.expose_secret();
        // The client's error message would show the URL.
        let rejected = |_| Error::rejected("REDIS_URL", "it is not a Redis URL");
        let client = if url.starts_with("rediss:") {
            let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(tls::roots()?) };
            Client::build_with_tls(url, certificates).map_err(rejected)?
        } else {
            Client::open(url).map_err(rejected)?
        };
        let manager = connect(&client).map_err(rejected)?;
        Ok(Self { client, current: Arc::new(RwLock::new((0, manager))), ahead_ms: Arc::default() })
    }

    /// Runs a command. Errors: Redis is unreachable, or rejects it.
    pub async fn run<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        let (generation, mut manager) = self.manager();
        self.timeout(generation, cmd.query_async(&mut manager)).await
    }

    /// Runs a script. Errors: Redis is unreachable, or the script fails.
    pub async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> RedisResult<T> {
        let (generation, mut manager) = self.manager();
        self.timeout(generation, script.invoke_async(&mut manager)).await
    }

    /// The time by Redis' clock, in Unix seconds.
    pub fn now(&self) -> i64 {
        (now_ms() + self.ahead_ms.load(Ordering::Relaxed)).div_euclid(1_000)
    }

    /// Reads the time of Redis, for [`Redis::now`] and as a health check.
    /// Errors: Redis is unreachable.
    pub async fn check(&self) -> RedisResult<()> {
        let (seconds, microseconds): (i64, i64) = self.run(&redis::cmd("TIME")).await?;
        let ahead = seconds * 1_000 + microseconds / 1_000 - now_ms();
        self.ahead_ms.store(ahead, Ordering::Relaxed);
        Ok(())
    }

    fn manager(&self) -> (u64, ConnectionManager) {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn timeout<T>(&self, generation: u64, command: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        let result = timeout(COMMAND_TIMEOUT, command).await.unwrap_or_else(late);
        if result.as_ref().is_err_and(RedisError::is_timeout) {
            self.reconnect(generation);
        }
        result
    }

    /// After a timeout the manager would keep a connection that is dead.
    fn reconnect(&self, generation: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.0 == generation
            && let Ok(manager) = connect(&self.client)
        {
            *current = (generation + 1, manager);
        }
    }
}

fn connect(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(CONNECT_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(10))
        .set_max_delay(Duration::from_millis(100));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

fn now_ms() -> i64 {
    let now = OffsetDateTime::now_utc();
    now.unix_timestamp() * 1_000 + i64::from(now.millisecond())
}

/// SHA-256 in base64url: keys hold it in place of email addresses and session ids, so that a dump shows neither.
pub(crate) fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}
