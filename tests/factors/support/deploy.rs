//! A deploy: its own database, an environment, an empty working directory.

use super::process::{self, Env, path_of};
use super::{Client, Exit, Process, SOON, closed_port, optional, random, service, until, with_address};
use sqlx::{Connection, PgConnection};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use tokio::sync::OnceCell;

/// One deploy of the service, deleted when dropped.
pub struct Deploy {
    pub env: Env,
    pub database: String,
    dir: PathBuf,
}

impl Deploy {
    /// A deploy with a migrated database.
    pub async fn new() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(template).await;
        Self::create(&format!("template {template}")).await
    }

    /// A deploy with an empty database.
    pub async fn unmigrated() -> Self {
        Self::create("").await
    }

    /// A deploy whose backing services are all unreachable, for tests that need none.
    pub fn detached() -> Self {
        let port = closed_port();
        let env = environment(&format!("postgres://app@127.0.0.1:{port}/none"));
        Self { env, database: String::new(), dir: empty_dir() }
            .with("REDIS_URL", &format!("redis://127.0.0.1:{port}"))
            .with("SMTP_URL", &format!("smtp://127.0.0.1:{port}"))
            .with("STORAGE_URL", &format!("s3+http://key:secret@127.0.0.1:{port}/b?region=r"))
    }

    async fn create(template: &str) -> Self {
        let database = format!("app_test_{}", random());
        let owner = url::Url::parse(&owner_url()).expect("a URL");
        let owner = owner.username();
        // Postgres rejects a template that autovacuum is connected to.
        until("the database is created", SOON, async || {
            admin(&format!("create database {database} owner {owner} {template}")).await.ok()
        })
        .await;
        let env = environment(&url_of(&service("DATABASE_URL"), &database));
        let mut deploy = Self { env, database, dir: empty_dir() };
        deploy.set("MIGRATE_DATABASE_URL", &url_of(&owner_url(), &deploy.database));
        for name in ["REDIS_URL", "SMTP_URL", "STORAGE_URL"] {
            deploy.set(name, &service(name));
        }
        deploy
    }

    /// Uses a new role for web and worker, of the database's name. Only `migrate` grants it rights.
    pub async fn with_new_role(mut self) -> Self {
        let (role, password) = (&self.database, random());
        admin(&format!("create role {role} login password '{password}'")).await.expect("a role");
        let mut url = url::Url::parse(self.var("DATABASE_URL")).expect("a URL");
        url.set_username(role).expect("a name");
        url.set_password(Some(&password)).expect("a password");
        self.set("DATABASE_URL", url.as_str());
        let exit = self.run("migrate", &[]).await;
        assert_eq!(exit.code, 0, "{exit:?}");
        self
    }

    /// The same database with its own environment and directory.
    pub fn copy(&self) -> Self {
        Self { env: self.env.clone(), database: String::new(), dir: empty_dir() }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.into(), value.into());
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn var(&self, name: &str) -> &str {
        self.env.get(std::ffi::OsStr::new(name)).and_then(|value| value.to_str()).expect("is set")
    }

    /// Replaces the host and port of a service's URL with those of a proxy.
    pub fn through(mut self, name: &str, port: u16) -> Self {
        let url = with_address(self.var(name), port);
        self.set(name, &url);
        self
    }

    /// Starts a program without waiting. It does not get the owner's URL.
    pub fn spawn(&self, program: &str) -> Process {
        let mut env = self.env.clone();
        env.remove(std::ffi::OsStr::new("MIGRATE_DATABASE_URL"));
        Process::spawn(program, &env, &self.dir)
    }

    /// Starts a web process and waits until it listens. Its services may be down.
    pub async fn listening_web(&self) -> Process {
        self.spawn("web").listening().await
    }

    /// Starts a web process and waits until it is ready.
    pub async fn web(&self) -> Process {
        let web = self.listening_web().await;
        let probe = Client::new();
        until("web is ready", SOON, async || (probe.get(&web, "/health/ready").await.status == 200).then_some(()))
            .await;
        web
    }

    pub fn worker(&self) -> Process {
        self.spawn("worker")
    }

    pub async fn run(&self, program: &str, args: &[&str]) -> Exit {
        self.run_with(program, args, "").await
    }

    pub async fn run_with(&self, program: &str, args: &[&str], input: &str) -> Exit {
        process::run(program, args, input, &self.env, &self.dir).await
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A new connection to the deploy's database, with the rights of the tests.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.superuser_url()).await.expect("the test reaches Postgres")
    }

    pub fn superuser_url(&self) -> String {
        url_of(&superuser_url(), &self.database)
    }
}

impl Drop for Deploy {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).ok();
        if self.database.is_empty() {
            return;
        }
        let database = format!("drop database if exists {} with (force)", self.database);
        let role = format!("drop role if exists {}", self.database);
        // Drop is not async, and a runtime cannot block inside the test's runtime.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async { admin(&database).await.and(admin(&role).await) }).ok();
        });
        thread.join().ok();
    }
}

fn environment(database_url: &str) -> Env {
    [
        ("PORT", "0"),
        ("PUBLIC_URL", "http://app.test"),
        ("DATABASE_URL", database_url),
        ("MAIL_FROM", "service@app.test"),
        ("RELEASE_ID", "test-release"),
        ("TRUSTED_PROXIES", "127.0.0.0/8,::1/128"),
        ("SHUTDOWN_GRACE_SECONDS", "5"),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.into()))
    .collect()
}

fn empty_dir() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("app-test-{}", random()));
    std::fs::create_dir(&dir).expect("a directory");
    dir
}

fn url_of(url: &str, database: &str) -> String {
    let mut url = url::Url::parse(url).expect("a URL");
    url.set_path(database);
    url.into()
}

/// The role that owns the tables: the one of web and worker, if Postgres has only one for the tests.
fn owner_url() -> String {
    optional("MIGRATE_DATABASE_URL").unwrap_or_else(|| service("DATABASE_URL"))
}

/// The role that makes databases.
fn superuser_url() -> String {
    optional("SUPERUSER_DATABASE_URL").unwrap_or_else(owner_url)
}

/// Runs one statement as the superuser.
pub async fn admin(statement: &str) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(&superuser_url()).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}

/// The migrated database from which the others are copied. It is created once per build and kept for later runs.
async fn template() -> String {
    let urls = [service("DATABASE_URL"), owner_url()];
    let (clone, build) = (hash(env!("CARGO_MANIFEST_DIR")), hash((build_of("migrate"), urls)));
    let (family, name) = (format!("app_template_{clone}"), format!("app_template_{clone}_{build}"));
    let mut lock = PgConnection::connect(&superuser_url()).await.expect("Postgres is up");
    let acquire = sqlx::query("select pg_advisory_lock(hashtext($1))").bind(&family);
    acquire.execute(&mut lock).await.expect("a lock");
    let existing: Vec<String> = sqlx::query_scalar("select datname::text from pg_database where datname like $1")
        .bind(format!("{family}%"))
        .fetch_all(&mut lock)
        .await
        .expect("the list of databases");
    if existing.contains(&name) {
        return name;
    }
    for stale in existing {
        admin(&format!("drop database if exists {stale} with (force)")).await.ok();
    }
    let fresh = Deploy::unmigrated().await;
    let exit = fresh.run("migrate", &[]).await;
    assert_eq!(exit.code, 0, "migrate failed: {} {}", exit.out, exit.err);
    until("the template is renamed", SOON, async || {
        admin(&format!("alter database {} rename to {name}", fresh.database)).await.ok()
    })
    .await;
    name
}

fn build_of(program: &str) -> (u64, Option<std::time::SystemTime>) {
    let file = std::fs::metadata(path_of(program)).expect("the program is built");
    (file.len(), file.modified().ok())
}

fn hash(value: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
