//! Health: a task looks at each service now and then, so that a probe costs nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{collections::BTreeMap, time::Duration};

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::problem::Problem;
use crate::services::{GivingUp, REFUSING, Redis, within};
use crate::{admin, logs, release};
use crate::{mail::Mailer, state::App, storage::Storage};

/// Together they are how old an answer may be.
const DATABASE_PAUSE: Duration = Duration::from_millis(250);
const DATABASE_LIMIT: Duration = Duration::from_millis(750);
const PAUSE: Duration = Duration::from_secs(7);
const LIMIT: Duration = Duration::from_secs(2);

const SERVICES: [&str; 4] = ["postgres", "redis", "mail", "storage"];
const OUT_OF_REACH: &str = "out of reach";

/// What a look found: a fixed phrase where it is not well, as errors hold addresses.
type Found = Result<(), &'static str>;

/// What the last look at each service found.
#[derive(Clone)]
pub struct Health {
    found: Arc<Mutex<BTreeMap<&'static str, Found>>>,
    database: Arc<watch::Sender<bool>>,
    draining: Arc<AtomicBool>,
    started_at: OffsetDateTime,
}

impl Health {
    /// Starts to look at the services. It must be called within a runtime.
    pub fn watch(db: PgConnectOptions, redis: Redis, mailer: Mailer, storage: Storage) -> Self {
        let health = Self {
            found: Arc::default(),
            database: Arc::new(watch::Sender::new(true)),
            draining: Arc::default(),
            started_at: OffsetDateTime::now_utc(),
        };
        tokio::spawn(health.clone().watch_database(db));
        let rest = health.clone();
        tokio::spawn(async move {
            loop {
                tokio::join!(
                    rest.look("redis", redis.check()),
                    rest.look("mail", mailer.check()),
                    rest.look("storage", storage.check()),
                );
                sleep(PAUSE).await;
            }
        });
        health
    }

    /// Whether the database is within reach; true before the first look.
    pub fn database(&self) -> watch::Receiver<bool> {
        self.database.subscribe()
    }

    /// Makes the process not ready, while it still serves.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Looks by a connection of its own: one of the pool's would have to wait for its turn when there is much to do,
    /// and a whole fleet that is merely busy would say that it is not ready.
    async fn watch_database(self, db: PgConnectOptions) {
        let (mut connection, mut misses) = (None, 0);
        loop {
            let looked = within(DATABASE_LIMIT, look_at_database(&mut connection, &db)).await;
            REFUSING.store(matches!(looked, Ok(Err(sqlx::Error::Io(_)))), Ordering::Relaxed);
            let found = match looked {
                Ok(Ok(true)) => Ok(()),
                Ok(Ok(false)) => Err("migrations pending"),
                Ok(Err(_)) | Err(_) => Err(OUT_OF_REACH),
            };
            let _given_up = (found == Err(OUT_OF_REACH)).then(|| GivingUp);
            connection = connection.filter(|_| found != Err(OUT_OF_REACH));
            misses = if found == Err(OUT_OF_REACH) { misses + 1 } else { 0 };
            // The queue gives up its work when told, so that a slow answer or two are not enough.
            let reachable = misses < 4;
            self.database.send_if_modified(|was| std::mem::replace(was, reachable) != reachable);
            self.keep("postgres", found);
            sleep(DATABASE_PAUSE).await;
        }
    }

    async fn look<E>(&self, name: &'static str, check: impl Future<Output = Result<(), E>>) {
        let well = matches!(timeout(LIMIT, check).await, Ok(Ok(())));
        self.keep(name, if well { Ok(()) } else { Err(OUT_OF_REACH) });
    }

    fn keep(&self, name: &'static str, found: Found) {
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.insert(name, found);
        drop(all);
        match (before, found) {
            (Some(Err(_)), Ok(())) => tracing::info!(service = name, "a service is back"),
            (None | Some(Ok(())), Err(detail)) => {
                tracing::warn!(service = name, detail, "a service is not well")
            }
            _ => {}
        }
    }
}

async fn look_at_database(connection: &mut Option<PgConnection>, db: &PgConnectOptions) -> sqlx::Result<bool> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(PgConnection::connect_with(db).await?),
    };
    release::is_migrated(connection).await
}

/// `/health/live`, `/health/ready` and `/version`.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(version))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/health/live", tag = "process", responses((status = 200, body = String)))]
async fn live() -> &'static str {
    "live\n"
}

/// What the last look at a service found.
#[derive(Serialize, ToSchema)]
struct Check {
    #[schema(examples("up", "down", "unknown", "draining"))]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// Whether the process should get requests, and how each service is.
#[derive(Serialize, ToSchema)]
struct Readiness {
    #[schema(examples("ready", "degraded"))]
    status: &'static str,
    checks: BTreeMap<&'static str, Check>,
}

/// Ready when what every request needs is there; the rest is only told.
#[utoipa::path(get, path = "/health/ready", tag = "process", responses((status = 200, body = Readiness)))]
async fn ready(State(app): State<App>) -> super::Result<Json<Readiness>> {
    let health = &app.health;
    let found = health.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let up = |name| found.get(name) == Some(&Ok(()));
    let check = |name| match found.get(name) {
        Some(Ok(())) => Check { status: "up", detail: None },
        Some(Err(detail)) => Check { status: "down", detail: Some(detail) },
        None => Check { status: "unknown", detail: Some("not yet checked") },
    };
    let mut checks: BTreeMap<_, _> = SERVICES.into_iter().map(|name| (name, check(name))).collect();
    let draining = health.draining.load(Ordering::Relaxed);
    if draining {
        checks.insert("process", Check { status: "draining", detail: None });
    }
    if draining || !up("postgres") {
        return Err(Problem::NotReady(json!(checks)));
    }
    let status = if SERVICES.into_iter().all(up) { "ready" } else { "degraded" };
    Ok(Json(Readiness { status, checks }))
}

/// What runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    name: &'static str,
    version: &'static str,
    commit: &'static str,
    release: String,
    process: &'static str,
    instance: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
}

/// What runs here, which instance of it, and since when.
#[utoipa::path(get, path = "/version", tag = "process", responses((status = 200, body = Version)))]
pub(crate) async fn version(State(app): State<App>) -> Json<Version> {
    Json(Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        commit: admin::COMMIT,
        release: app.config.release_id.clone(),
        process: logs::process(),
        instance: logs::instance(),
        started_at: app.health.started_at,
    })
}
