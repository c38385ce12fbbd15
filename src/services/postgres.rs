//! Postgres: a pool whose every statement has a time limit on the client's side, since a server that is gone times
//! nothing. [`Postgres`] and [`Transaction`] are the only executors that stores take, so none can do without.

use std::sync::{Arc, atomic::AtomicBool, atomic::AtomicI64, atomic::Ordering};
use std::{io, io::ErrorKind::TimedOut, pin::pin, str::FromStr, time::Duration, time::Instant};

use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream, stream::BoxStream};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgSslMode, PgStatement, PgTypeInfo};
use sqlx::{Connection, Describe, Either, Execute, Executor, PgConnection, PgPool, SqlStr};
use tokio::time::timeout;

use super::{Error, tls};
use crate::config::{Config, ExposeSecret};

const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
/// While Postgres refuses connections: the pool asks again and again, and would keep every client waiting.
const REFUSED_TIMEOUT: Duration = Duration::from_millis(500);
const PING_TIMEOUT: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_millis(750);
/// How long connections stay suspect after a statement that got no answer.
const SUSPECT_MS: i64 = 10_000;

/// The handle to Postgres. A clone costs nothing.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: PgPool,
    state: Arc<State>,
}

/// What this process has seen of the server.
#[derive(Debug)]
struct State {
    attached: Instant,
    /// The last probe's connection was refused.
    refuses: AtomicBool,
    /// When a statement last got no answer, in milliseconds since `attached`.
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

    /// Whether a connection may be dead that has been idle for so many milliseconds.
    fn is_suspect(&self, idle_ms: i64) -> bool {
        self.now_ms() - self.suspect_since.load(Ordering::Relaxed) <= idle_ms.max(SUSPECT_MS)
    }

    /// Waits for an answer, but no longer than `limit`. Connections are suspect if there is none, also where the caller
    /// goes away first.
    async fn timeout<T>(&self, limit: Duration, query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        // Dropped after `unanswered`, so that its connection goes back when it is suspect already.
        let query = pin!(query);
        let mut unanswered = Unanswered(Some(self));
        let answer = timeout(limit, query).await;
        if answer.is_ok() {
            unanswered.0 = None;
        }
        answer.unwrap_or_else(|_| Err(io::Error::new(TimedOut, "Postgres did not answer in time").into()))
    }
}

/// Dropped before the answer came.
struct Unanswered<'a>(Option<&'a State>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.0 {
            state.suspect();
        }
    }
}

impl Postgres {
    /// Attaches what `DATABASE_URL` names. Nothing connects before the first query.
    /// Errors: the URL is rejected, or a private CA cannot be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let state = Arc::new(State::new());
        let (releasing, acquiring) = (state.clone(), state.clone());
        let pool = PgPoolOptions::new()
            // One more is the health probe's.
            .max_connections(config.database_pool_size.saturating_sub(1).max(1))
            .acquire_timeout(QUERY_TIMEOUT)
            .test_before_acquire(false)
            // sqlx pings released connections without a timeout, so ping first, with one, while Postgres is suspect.
            .after_release(move |connection, _| {
                let suspect = releasing.is_suspect(0);
                Box::pin(async move { Ok(!suspect || answers(connection).await) })
            })
            // A connection that was idle while Postgres was away is dead.
            .before_acquire(move |connection, idle| {
                let suspect = acquiring.is_suspect(idle.idle_for.as_millis() as i64);
                Box::pin(async move { Ok(!suspect || answers(connection).await) })
            })
            // Shorter than the client's limit, or what was given up would still be done. A pooler must ignore the option.
            .connect_lazy_with(options(config)?.options([("statement_timeout", "2500ms")]));
        Ok(Self { pool, state })
    }

    /// Begins a transaction, each of whose statements has the time limit of a query. Errors: there is no connection.
    pub async fn begin(&self) -> sqlx::Result<Transaction> {
        let inner = self.timeout(self.pool.begin()).await?;
        Ok(Transaction { inner, state: self.state.clone(), limit: QUERY_TIMEOUT })
    }

    /// Begins a transaction whose statements may take up to `limit` each, which a request may not wait for.
    /// Errors: there is no connection.
    pub async fn begin_slow(&self, limit: Duration) -> sqlx::Result<Transaction> {
        let mut tx = self.begin().await?;
        let milliseconds = limit.as_millis().to_string();
        let set = sqlx::query("select set_config('statement_timeout', $1, true)").bind(milliseconds);
        set.execute(&mut tx).await?;
        tx.limit = limit;
        Ok(tx)
    }

    /// A probe for health: it has a connection of its own, since one of the pool's would have to wait for its turn
    /// when there is much to do, and a fleet that is merely busy would report that it is not ready.
    /// Errors: as of [`Postgres::new`].
    pub fn probe(&self, config: &Config) -> Result<Probe, Error> {
        Ok(Probe { options: options(config)?, connection: None, state: self.state.clone() })
    }

    /// The open connections, and those of them that are idle.
    pub fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Closes all connections, when they have been released.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn timeout<T>(&self, query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let refuses = self.state.refuses.load(Ordering::Relaxed);
        self.state.timeout(if refuses { REFUSED_TIMEOUT } else { QUERY_TIMEOUT }, query).await
    }
}

/// A transaction, rolled back where it is dropped.
#[derive(Debug)]
pub struct Transaction {
    inner: sqlx::Transaction<'static, sqlx::Postgres>,
    state: Arc<State>,
    limit: Duration,
}

impl Transaction {
    /// Commits. Errors: whether it was committed is then unknown, unless Postgres says so.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.state.timeout(self.limit, self.inner.commit()).await
    }
}

type Answer = Either<PgQueryResult, PgRow>;

/// Rows as a stream once all have come: the limit is for the whole answer.
fn whole<'e>(rows: impl Future<Output = sqlx::Result<Vec<Answer>>> + Send + 'e) -> BoxStream<'e, sqlx::Result<Answer>> {
    stream::once(rows).map_ok(|rows| stream::iter(rows.into_iter().map(Ok))).try_flatten().boxed()
}

/// Makes a type an executor of sqlx: what `$inner` does, within `$timeout`.
macro_rules! executor {
    ($type:ty, $self:ident, $timeout:expr, $inner:expr) => {
        impl<'c> Executor<'c> for $type {
            type Database = sqlx::Postgres;

            fn fetch_many<'e, 'q: 'e, E>($self, query: E) -> BoxStream<'e, sqlx::Result<Answer>>
            where 'c: 'e, E: 'q + Execute<'q, sqlx::Postgres> {
                whole($timeout($inner.fetch_many(query).try_collect()))
            }

            fn fetch_optional<'e, 'q: 'e, E>($self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
            where 'c: 'e, E: 'q + Execute<'q, sqlx::Postgres> {
                $timeout($inner.fetch_optional(query)).boxed()
            }

            fn prepare_with<'e>($self, sql: SqlStr, types: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
            where 'c: 'e {
                $timeout($inner.prepare_with(sql, types)).boxed()
            }

            fn describe<'e>($self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<sqlx::Postgres>>>
            where 'c: 'e {
                $timeout($inner.describe(sql)).boxed()
            }
        }
    };
}

executor!(&'c Postgres, self, |query| self.timeout(query), self.pool);
executor!(&'c mut Transaction, self, |query| self.state.timeout(self.limit, query), self.inner);

/// Asks Postgres now and then, and tells [`Postgres`] what it found.
pub struct Probe {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    state: Arc<State>,
}

impl Probe {
    /// Asks by the probe's connection, which is made anew where it failed. Errors: Postgres is unreachable.
    pub async fn run<T>(&mut self, ask: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>) -> sqlx::Result<T> {
        let Self { options, connection, state } = self;
        let asked = async {
            let connection = match connection {
                Some(connection) => connection,
                None => connection.insert(PgConnection::connect_with(options).await?),
            };
            ask(connection).await
        };
        let answer = state.timeout(PROBE_TIMEOUT, asked).await;
        let refuses = matches!(&answer, Err(sqlx::Error::Io(error)) if error.kind() != TimedOut);
        state.refuses.store(refuses, Ordering::Relaxed);
        if answer.is_err() {
            state.suspect();
            self.connection = None;
        }
        answer
    }
}

/// How to connect, without a limit on statements: for tasks of a release and an operator, which may take long.
/// Errors: the URL is rejected, or a private CA cannot be read.
pub fn options(config: &Config) -> Result<PgConnectOptions, Error> {
    tls::install_crypto();
    let url = config.database_url.expose_secret();
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| Error::rejected("DATABASE_URL", "it is not a Postgres URL"))?
        .application_name(env!("CARGO_PKG_NAME"));
    let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    if verified && !url.contains("sslrootcert=") && !url.contains("ssl-root-cert=") {
        return Ok(options.ssl_root_cert_from_pem(tls::roots()?));
    }
    Ok(options)
}

async fn answers(connection: &mut PgConnection) -> bool {
    matches!(timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}
