//! Postgres: a pool with a client-side timeout on every statement, as `statement_timeout` does not fire when the server
//! is gone. Stores accept only the executors [`Postgres`] and [`Transaction`], so no query is without a timeout.
#![allow(clippy::disallowed_types, reason = "the handle wraps them")]

use std::sync::{Arc, atomic::AtomicBool, atomic::AtomicI64, atomic::Ordering};
use std::{io, io::ErrorKind::TimedOut, pin::pin, str::FromStr, time::Duration, time::Instant};

use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream, stream::BoxStream};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgSslMode, PgStatement, PgTypeInfo};
use sqlx::{Connection, Describe, Either, Execute, Executor, PgConnection, PgPool, SqlStr};
use tokio::time::timeout;

use super::{Error, tls};
use crate::config::{Config, ExposeSecret, Secret};

const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
/// The timeout while Postgres refuses connections: the pool retries, and would keep every request waiting.
const REFUSED_TIMEOUT: Duration = Duration::from_millis(500);
const PING_TIMEOUT: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_millis(750);
/// How long connections stay suspect after a statement without a response.
const SUSPECT_MS: i64 = 10_000;
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);

/// The handle to Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: PgPool,
    state: Arc<State>,
}

/// What this process knows of the server.
#[derive(Debug)]
struct State {
    attached: Instant,
    /// The connection of the last probe was refused.
    refuses: AtomicBool,
    /// When a statement last got no response, in milliseconds since `attached`.
    suspect_since: AtomicI64,
}

impl State {
    fn new() -> Self {
        let never = AtomicI64::new(i64::MIN / 2);
        Self { attached: Instant::now(), refuses: AtomicBool::new(false), suspect_since: never }
    }

    fn now_ms(&self) -> i64 {
        self.attached.elapsed().as_millis() as i64
    }

    fn suspect(&self) {
        self.suspect_since.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Whether a connection that was idle for this long may be dead.
    fn is_suspect(&self, idle_ms: i64) -> bool {
        self.now_ms() - self.suspect_since.load(Ordering::Relaxed) <= idle_ms.max(SUSPECT_MS)
    }

    /// Waits for a response, at most for `limit`. Without a response connections become suspect, also if the caller is
    /// dropped first.
    async fn timeout<T>(&self, limit: Duration, query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        // Dropped after `unanswered`: its connection returns to the pool after connections became suspect.
        let query = pin!(query);
        let mut unanswered = Unanswered(Some(self));
        let result = timeout(limit, query).await;
        if result.is_ok() {
            unanswered.0 = None;
        }
        result.unwrap_or_else(|_| Err(io::Error::new(TimedOut, "Postgres timed out").into()))
    }
}

/// Marks connections as suspect if it is dropped before the response.
struct Unanswered<'a>(Option<&'a State>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.0 {
            state.suspect();
        }
    }
}

impl Postgres {
    /// Attaches the database of `DATABASE_URL`. Connects at the first query.
    /// Errors: the URL is rejected, or a private CA cannot be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let state = Arc::new(State::new());
        let (releasing, acquiring) = (state.clone(), state.clone());
        let pool = PgPoolOptions::new()
            // The health probe has one more connection.
            .max_connections(config.database_pool_size.saturating_sub(1).max(1))
            .acquire_timeout(QUERY_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .test_before_acquire(false)
            // sqlx pings released connections without a timeout, so ping first, with one, while Postgres is suspect.
            .after_release(move |connection, _| {
                let suspect = releasing.is_suspect(0);
                Box::pin(async move { Ok(!suspect || responds(connection).await) })
            })
            // A connection that was idle while Postgres was down may be dead.
            .before_acquire(move |connection, idle| {
                let suspect = acquiring.is_suspect(idle.idle_for.as_millis() as i64);
                Box::pin(async move { Ok(!suspect || responds(connection).await) })
            })
            // Shorter than the client's timeout: else a statement that the client gave up could still take effect. A
            // pooler must ignore this start-up option.
            .connect_lazy_with(options(config.database())?.options([("statement_timeout", "2500ms")]));
        Ok(Self { pool, state })
    }

    /// Begins a transaction; each of its statements has the timeout of a query. Errors: there is no connection.
    pub async fn begin(&self) -> sqlx::Result<Transaction> {
        let inner = self.state.timeout(self.limit(), self.pool.begin()).await?;
        Ok(Transaction { inner, state: self.state.clone(), limit: QUERY_TIMEOUT })
    }

    /// Begins a transaction whose statements may take up to `limit` each: for jobs, not for requests.
    /// Errors: there is no connection.
    pub async fn begin_slow(&self, limit: Duration) -> sqlx::Result<Transaction> {
        let mut tx = self.begin().await?;
        let milliseconds = limit.as_millis().to_string();
        let set = sqlx::query("select set_config('statement_timeout', $1, true)").bind(milliseconds);
        set.execute(&mut tx).await?;
        tx.limit = limit;
        Ok(tx)
    }

    /// A health probe with a connection of its own: under load it would wait for one of the pool, and report a busy
    /// service as not ready.
    /// Errors: as of [`Postgres::new`].
    pub fn probe(&self, config: &Config) -> Result<Probe, Error> {
        Ok(Probe { options: options(config.database())?, connection: None, state: self.state.clone() })
    }

    /// The numbers of open and of idle connections.
    pub fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Closes all connections as they are released.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A connection of the pool. `try_acquire` skips `before_acquire`, and saves the large future of `acquire`.
    async fn connection(&self) -> sqlx::Result<PoolConnection<sqlx::Postgres>> {
        // sqlx closes idle connections at an interval of the timeout: one may be idle for twice as long.
        let suspect = self.state.is_suspect(2 * IDLE_TIMEOUT.as_millis() as i64);
        let idle = if suspect { None } else { self.pool.try_acquire() };
        if let Some(connection) = idle { Ok(connection) } else { Box::pin(self.pool.acquire()).await }
    }

    fn limit(&self) -> Duration {
        if self.state.refuses.load(Ordering::Relaxed) { REFUSED_TIMEOUT } else { QUERY_TIMEOUT }
    }
}

/// A connection without timeouts, for migrations and admin tasks.
pub type AdminConnection = PgConnection;

/// A transaction. Rolled back on drop.
#[derive(Debug)]
pub struct Transaction {
    inner: sqlx::Transaction<'static, sqlx::Postgres>,
    state: Arc<State>,
    limit: Duration,
}

impl Transaction {
    /// Commits. Errors: unless Postgres rejected it, it is unknown whether it was committed.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.state.timeout(self.limit, self.inner.commit()).await
    }
}

type Item = Either<PgQueryResult, PgRow>;

/// Buffers all rows before the stream starts: the timeout is for the whole result.
fn buffered<'e>(rows: impl Future<Output = sqlx::Result<Vec<Item>>> + Send + 'e) -> BoxStream<'e, sqlx::Result<Item>> {
    stream::once(rows).map_ok(|rows| stream::iter(rows.into_iter().map(Ok))).try_flatten().boxed()
}

/// Implements `Executor` of sqlx by `$connection`, with the timeout `$limit`.
macro_rules! executor {
    ($type:ty, $self:ident, $limit:expr, $connection:expr) => {
        impl<'c> Executor<'c> for $type {
            type Database = sqlx::Postgres;

            fn fetch_many<'e, 'q: 'e, E>($self, query: E) -> BoxStream<'e, sqlx::Result<Item>>
            where 'c: 'e, E: 'q + Execute<'q, sqlx::Postgres> {
                buffered($self.state.timeout($limit, async { $connection.fetch_many(query).try_collect().await }))
            }

            fn fetch_optional<'e, 'q: 'e, E>($self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
            where 'c: 'e, E: 'q + Execute<'q, sqlx::Postgres> {
                $self.state.timeout($limit, async { $connection.fetch_optional(query).await }).boxed()
            }

            fn prepare_with<'e>($self, sql: SqlStr, types: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
            where 'c: 'e {
                $self.state.timeout($limit, async { $connection.prepare_with(sql, &*types).await }).boxed()
            }

            fn describe<'e>($self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<sqlx::Postgres>>>
            where 'c: 'e {
                $self.state.timeout($limit, async { $connection.describe(sql).await }).boxed()
            }
        }
    };
}

executor!(&'c Postgres, self, self.limit(), self.connection().await?);
executor!(&'c mut Transaction, self, self.limit, self.inner);

/// Probes Postgres for health, and updates the state of [`Postgres`].
pub struct Probe {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    state: Arc<State>,
}

impl Probe {
    /// Runs `ask` on the probe's connection; reconnects after a failure. Errors: Postgres is unreachable.
    pub async fn run<T>(&mut self, ask: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>) -> sqlx::Result<T> {
        let Self { options, connection, state } = self;
        let asked = async {
            let connection = match connection {
                Some(connection) => connection,
                None => connection.insert(PgConnection::connect_with(options).await?),
            };
            ask(connection).await
        };
        let result = state.timeout(PROBE_TIMEOUT, asked).await;
        let refuses = matches!(&result, Err(sqlx::Error::Io(error)) if error.kind() != TimedOut);
        state.refuses.store(refuses, Ordering::Relaxed);
        if result.is_err() {
            state.suspect();
            self.connection = None;
        }
        result
    }
}

/// The connection options of a URL and its variable, without a statement timeout: migrations and admin tasks may take long.
/// Errors: the URL is rejected, or a private CA cannot be read.
pub fn options((variable, url): (&'static str, &Secret)) -> Result<PgConnectOptions, Error> {
    tls::install_crypto();
    let url = url.expose_secret();
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| Error::rejected(variable, "it is not a Postgres URL"))?
        .application_name(env!("CARGO_PKG_NAME"));
    let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    if verified && !url.contains("sslrootcert=") && !url.contains("ssl-root-cert=") {
        return Ok(options.ssl_root_cert_from_pem(tls::roots()?));
    }
    Ok(options)
}

/// The message of an error, without the line of Postgres' own source that sqlx appends to it.
pub fn message(error: sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

async fn responds(connection: &mut PgConnection) -> bool {
    matches!(timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}
