//! Health: a task looks at each service now and then, so that a probe costs nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::problem::Problem;
use crate::config::Config;
use crate::mail::Mailer;
use crate::services::Redis;
use crate::state::App;
use crate::storage::Storage;
use crate::{logs, release};

const DATABASE_PAUSE: Duration = Duration::from_millis(500);
const DATABASE_LIMIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(2);

const OUT_OF_REACH: &str = "out of reach";
const PENDING: &str = "migrations pending";

/// What a look found: a fixed phrase where it is not well, as errors hold addresses.
type Found = Result<(), &'static str>;

/// What the last look at each service found.
#[derive(Clone)]
pub struct Health {
    found: Arc<Mutex<BTreeMap<&'static str, Found>>>,
    database: Arc<watch::Sender<bool>>,
    draining: Arc<watch::Sender<bool>>,
    started_at: OffsetDateTime,
}

/// One service's line in the answer of `/health/ready`.
#[derive(Serialize)]
struct Check {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

impl Health {
    /// Starts to look at the services. It must be called within a runtime.
    pub fn watch(db: PgPool, redis: Redis, mailer: Mailer, storage: Storage) -> Self {
        let health = Self {
            found: Arc::default(),
            database: Arc::new(watch::Sender::new(true)),
            draining: Arc::new(watch::Sender::new(false)),
            started_at: OffsetDateTime::now_utc(),
        };
        tokio::spawn(health.clone().watch_database(db));
        health.look("redis", move || {
            let redis = redis.clone();
            async move { redis.check().await.is_ok() }
        });
        health.look("mail", move || {
            let mailer = mailer.clone();
            async move { mailer.check().await.is_ok() }
        });
        health.look("storage", move || {
            let storage = storage.clone();
            async move { storage.check().await.is_ok() }
        });
        health
    }

    /// Whether the database is within reach; true before the first look.
    pub fn database(&self) -> watch::Receiver<bool> {
        self.database.subscribe()
    }

    /// Makes the process not ready, while it still serves.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    async fn watch_database(self, db: PgPool) {
        let mut misses = 0;
        loop {
            let found = look_at_database(&db).await;
            misses = if found == Err(OUT_OF_REACH) { misses + 1 } else { 0 };
            // The queue gives up its work when told, so that one slow answer is not enough.
            let reachable = misses < 2;
            self.database.send_if_modified(|was| std::mem::replace(was, reachable) != reachable);
            self.keep("postgres", found);
            sleep(DATABASE_PAUSE).await;
        }
    }

    fn look<F>(&self, name: &'static str, check: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let health = self.clone();
        tokio::spawn(async move {
            loop {
                let well = timeout(LIMIT, check()).await.unwrap_or(false);
                health.keep(name, if well { Ok(()) } else { Err(OUT_OF_REACH) });
                sleep(PAUSE).await;
            }
        });
    }

    fn keep(&self, name: &'static str, found: Found) {
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.insert(name, found);
        drop(all);
        match (before, found) {
            (Some(Err(_)), Ok(())) => tracing::info!(service = name, "a service is back"),
            (None | Some(Ok(())), Err(detail)) => {
                tracing::warn!(service = name, detail, "a service is not well");
            }
            _ => {}
        }
    }

    fn checks(&self) -> BTreeMap<&'static str, Check> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let check = |name| {
            let (status, detail) = match found.get(name) {
                Some(Ok(())) => ("up", None),
                Some(Err(detail)) => ("down", Some(*detail)),
                None => ("unknown", Some("not yet checked")),
            };
            (name, Check { status, detail })
        };
        ["postgres", "redis", "mail", "storage"].map(check).into()
    }
}

async fn look_at_database(db: &PgPool) -> Found {
    match timeout(DATABASE_LIMIT, release::is_migrated(db)).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(PENDING),
        Ok(Err(_)) | Err(_) => Err(OUT_OF_REACH),
    }
}

/// `/health/live`, `/health/ready` and `/version`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .route("/version", get(version))
}

/// Ready when what every request needs is there; the rest is only told.
async fn ready(State(health): State<Health>) -> super::Result<Json<Value>> {
    let checks = health.checks();
    let up = |name| checks.get(name).is_some_and(|check| check.status == "up");
    let draining = *health.draining.borrow();
    if draining || !up("postgres") {
        let mut answer = json!(checks);
        if draining {
            answer["process"] = json!({ "status": "draining" });
        }
        return Err(Problem::NotReady(answer));
    }
    let well = ["redis", "mail", "storage"].into_iter().all(up);
    let status = if well { "ready" } else { "degraded" };
    Ok(Json(json!({ "status": status, "checks": checks })))
}

async fn version(
    State(config): State<std::sync::Arc<Config>>,
    State(health): State<Health>,
) -> Json<Value> {
    Json(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("COMMIT").unwrap_or("unknown"),
        "release": config.release_id,
        "process": process(),
        "instance": logs::instance(),
        "started_at": health.started_at.format(&Rfc3339).unwrap_or_default(),
    }))
}

/// The process type, which is the program's name.
fn process() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    program.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
