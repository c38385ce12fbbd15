//! V, XII: the database schema: migrated once per release, under a lock. Errors of its functions: Postgres is
//! unreachable, or as documented.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, migrate::Migration, migrate::Migrator, postgres::PgPoolOptions};
use tokio::time::{sleep, timeout};

use crate::{config::Config, config::Secret, services::postgres, services::postgres::AdminConnection};

/// The error of a migration: a sentence for the operator.
pub type Error = Box<dyn std::error::Error>;

/// The migrations, embedded: the binaries need no files.
static MIGRATOR: Migrator = sqlx::migrate!();

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// Makes the statements that grant the service's role what it needs, and no more, on all that the owner has. Functions
/// may be executed by every role.
const GRANTS: &str = "
    select format('revoke create on schema public from public; grant usage on schema public to %I', $1)
        || string_agg(format('; grant %s %s to %I', case
            when relkind = 'S' then 'usage on sequence'
            when relname = '_sqlx_migrations' then 'select on'
            else 'select, insert, update, delete on' end, oid::regclass, $1), '')
    from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
        and pg_has_role(relowner, 'usage')";
/// The key of the advisory lock: any number that no other program uses on this database.
const LOCK: i64 = 0x7265_6c65_6173_6500;

/// Whether all migrations of this release are applied.
pub async fn is_current(connection: &mut AdminConnection) -> sqlx::Result<bool> {
    let applied = applied(connection).await?;
    Ok(MIGRATOR.iter().all(|migration| applied.contains(&migration.version)))
}

/// The migrations in order, and whether each is applied.
pub async fn status(config: &Config) -> Result<Vec<(&'static Migration, bool)>, Error> {
    let applied = applied(&mut connect(config.owner()).await?).await?;
    Ok(MIGRATOR.iter().map(|migration| (migration, applied.contains(&migration.version))).collect())
}

/// The versions of the applied migrations; empty before the first migration has created their table.
async fn applied(connection: &mut AdminConnection) -> sqlx::Result<Vec<i64>> {
    let select = sqlx::query_scalar("select version from _sqlx_migrations where success");
    match select.fetch_all(connection).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Ok(Vec::new()),
        result => result,
    }
}

/// Applies pending migrations, and returns their number. Safe to run concurrently: one migrates, the others wait for up
/// to 30 seconds.
pub async fn migrate(config: &Config) -> Result<usize, Error> {
    let mut owner = locked(config).await?;
    let service = service_role(config, &mut owner).await?;
    migrate_on(owner, service).await
}

/// Empties and migrates the database, if `ALLOW_RESET` is its name. Returns the number of migrations.
pub async fn reset(config: &Config) -> Result<usize, Error> {
    let options = postgres::options(config.owner())?;
    let name = options.get_database().unwrap_or(options.get_username());
    if config.allow_reset.as_deref() != Some(name) {
        return Err(format!("ALLOW_RESET must be `{name}`, the database to empty").into());
    }
    let mut owner = locked(config).await?;
    let service = service_role(config, &mut owner).await?;
    // One simple query is one transaction.
    sqlx::raw_sql("drop schema if exists public cascade; create schema public").execute(&mut owner).await?;
    migrate_on(owner, service).await
}

/// Migrates on the connection that holds the lock, grants the service's role its rights, then releases the lock.
async fn migrate_on(mut connection: AdminConnection, service: Option<String>) -> Result<usize, Error> {
    let before = applied(&mut connection).await?;
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    // We hold the lock already; and after a rollback the database may have newer migrations than the release.
    migrator.set_locking(false).set_ignore_missing(true);
    migrator.run_direct(None, &mut connection, false).await?;
    if let Some(role) = service {
        let grants: String = sqlx::query_scalar(GRANTS).bind(role).fetch_one(&mut connection).await?;
        sqlx::raw_sql(AssertSqlSafe(grants)).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(MIGRATOR.iter().filter(|migration| !before.contains(&migration.version)).count())
}

/// The role of `DATABASE_URL`, unless it is the owner's. Postgres knows: in a pooler's URL the name may differ.
/// Errors: the two URLs are of different databases.
async fn service_role(config: &Config, owner: &mut AdminConnection) -> Result<Option<String>, Error> {
    let query = "select current_user::text, current_database()::text";
    let mut service = connect(config.database()).await?;
    let (role, database): (String, String) = sqlx::query_as(query).fetch_one(&mut service).await?;
    let (owner, owned): (String, String) = sqlx::query_as(query).fetch_one(owner).await?;
    if database != owned {
        return Err(format!("DATABASE_URL is of the database `{database}`, MIGRATE_DATABASE_URL of `{owned}`").into());
    }
    Ok((role != owner).then_some(role))
}

/// Polls for the lock: a statement that waits for it would hold a snapshot, which `create index concurrently` would
/// wait for (a deadlock).
async fn locked(config: &Config) -> Result<AdminConnection, Error> {
    let mut connection = connect(config.owner()).await?;
    let asked = async {
        loop {
            let lock = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK);
            match lock.fetch_one(&mut connection).await {
                Ok(false) => sleep(PAUSE).await,
                result => return result,
            }
        }
    };
    let late = |_| "another migration has held the lock for more than 30 seconds";
    timeout(LOCK_TIMEOUT, asked).await.map_err(late)??;
    Ok(connection)
}

/// Connects; retries for ten seconds, as the server may be starting.
async fn connect((variable, url): (&'static str, &Secret)) -> Result<AdminConnection, Error> {
    // A queued lock blocks later queries on the table; bound the wait.
    let options = postgres::options((variable, url))?.options([("lock_timeout", "3s")]);
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
    let connection = pool.connect_lazy_with(options).acquire().await;
    let connection = connection.map_err(|error| match error {
        sqlx::Error::PoolTimedOut => format!("{variable}: connecting to Postgres timed out"),
        error => format!("{variable}: connecting to Postgres failed: {}", postgres::message(error)),
    });
    Ok(connection?.detach())
}
