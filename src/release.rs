//! V, XII: what a release does to its database, once and under a lock, whoever asks and how often.
//! Everything here fails when the database does not answer.

use std::time::Duration;

use graphile_worker::{Schema, WorkerUtils};
use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgExecutor, PgPool};
use tokio::time::{sleep, timeout};

use crate::accounts::{email::EmailAddress, password::Hasher, password::Password, store};
use crate::admin::{self, Error};
use crate::services::{self, MIGRATOR};
use crate::{config::Config, jobs};

/// The address of the account that `seed` makes.
const DEMO: &str = "demo@example.com";

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const LOCK_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// Any number will do, if no other program locks it on this database.
const LOCK: i64 = 0x7265_6c65_6173_6500;

const APPLIED: &str = "select version from _sqlx_migrations where success";

/// Whether the database has all that this release needs.
pub async fn is_migrated(db: &mut PgConnection) -> sqlx::Result<bool> {
    let versions = applied(&mut *db, APPLIED).await?;
    let queue = applied(db, "select id::bigint from graphile_worker.migrations").await?;
    let ours = MIGRATOR.iter().all(|migration| versions.contains(&migration.version));
    Ok(ours && queue.contains(&jobs::REVISION))
}

/// The migrations in their order, and whether each is applied.
pub async fn status(config: &Config) -> Result<Vec<(&'static Migration, bool)>, Error> {
    let versions = applied(&mut connect(config).await?, APPLIED).await?;
    Ok(MIGRATOR.iter().map(|migration| (migration, versions.contains(&migration.version))).collect())
}

/// What a table of migrations holds: nothing before it is made.
async fn applied(db: impl PgExecutor<'_>, sql: &'static str) -> sqlx::Result<Vec<i64>> {
    match sqlx::query_scalar(sql).fetch_all(db).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Ok(Vec::new()),
        result => result,
    }
}

/// Brings the database up to date. Many may do so at once: one does, the others wait a while for it.
pub async fn migrate(config: &Config) -> Result<(), Error> {
    migrate_on(locked(config).await?, config).await
}

/// Empties the database, if `ALLOW_RESET` names it, then migrates it.
pub async fn reset(config: &Config) -> Result<(), Error> {
    let options = services::database_options(config)?;
    let name = options.get_database().unwrap_or(options.get_username());
    if config.allow_reset.as_deref() != Some(name) {
        return Err(format!("ALLOW_RESET must be `{name}`, the database to empty").into());
    }
    let mut connection = locked(config).await?;
    // Sent together, they are one transaction.
    let empty = "drop schema if exists graphile_worker, public cascade; create schema public";
    sqlx::raw_sql(empty).execute(&mut connection).await?;
    migrate_on(connection, config).await
}

/// Makes the demo's account and what it shows, all or nothing, unless it is there; its password is `given` on
/// standard input, or made. Returns what to tell the operator.
pub async fn seed(config: &Config, given: bool) -> Result<String, Error> {
    let (email, text) = (EmailAddress::parse(DEMO)?, admin::password(given)?);
    let password = Password::parse("password", text.clone(), &email).map_err(admin::sentence)?;
    let hash = Hasher::default().hash(password.into()).await?;
    let mut connection = connect(config).await?;
    let mut tx = connection.begin().await?;
    let Some(account) = store::create(&mut tx, DEMO, &hash).await? else {
        return Ok(format!("{DEMO} is there already"));
    };
    crate::seed(&mut tx, config, account).await?;
    tx.commit().await?;
    Ok(if given { format!("{DEMO} is made") } else { format!("{DEMO} is made, with the password {text}") })
}

/// Migrates on the connection that holds the lock, and gives the lock up.
async fn migrate_on(mut connection: PgConnection, config: &Config) -> Result<(), Error> {
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    // Ours is the lock; and the previous release may be put back on a newer database.
    migrator.set_locking(false).set_ignore_missing(true);
    migrator.run_direct(None, &mut connection, false).await?;

    // The queue takes no lock for its own schema: two at once would fail.
    let pool = PgPool::connect_lazy_with(options(config)?);
    WorkerUtils::new(&pool, Schema::default()).migrate().await?;
    pool.close().await;
    Ok(connection.close().await?)
}

/// Takes the lock by asking again and again: a statement that waits for it would hold a
/// snapshot, which `create index concurrently` waits for in its turn.
async fn locked(config: &Config) -> Result<PgConnection, Error> {
    let mut connection = connect(config).await?;
    let asked = async {
        loop {
            let lock = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK);
            match lock.fetch_one(&mut connection).await {
                Ok(false) => sleep(PAUSE).await,
                result => return result,
            }
        }
    };
    let late = |_| "another migration has been running for too long";
    timeout(LOCK_LIMIT, asked).await.map_err(late)??;
    Ok(connection)
}

/// What waits for a busy table makes all others wait behind it, so that it must not do so for long.
fn options(config: &Config) -> Result<PgConnectOptions, services::Error> {
    Ok(services::database_options(config)?.options([("lock_timeout", "3s")]))
}

/// Connects, waiting a while for a server that is about to start, as a pool does.
async fn connect(config: &Config) -> Result<PgConnection, Error> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_LIMIT);
    let connection = pool.connect_lazy_with(options(config)?).acquire().await;
    let connection = connection.map_err(|error| match error {
        sqlx::Error::PoolTimedOut => "DATABASE_URL: Postgres does not answer in time".to_owned(),
        error => format!("DATABASE_URL: Postgres does not answer: {error}"),
    });
    Ok(connection?.detach())
}
