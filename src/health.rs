//! Health: a background task probes each service, so that a health request only reads the last status.

use std::{collections::BTreeMap, time::Duration};
use std::{sync::Arc, sync::Mutex, sync::PoisonError, sync::atomic::AtomicBool, sync::atomic::Ordering};

use serde::Serialize;
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;

use crate::{schema, services::postgres::Probe, services::redis::Redis, services::s3::Storage, services::smtp::Mailer};

/// The pause between two probes. With the timeout of a probe it is the maximum age of a status.
const POSTGRES_PAUSE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_secs(7);
const TIMEOUT: Duration = Duration::from_secs(2);

const POSTGRES: &str = "postgres";
const SERVICES: [&str; 4] = [POSTGRES, "redis", "mail", "storage"];
const UNREACHABLE: &str = "unreachable";

/// The last status of a service or the process.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct Check {
    /// In one word.
    #[schema(examples("up", "down", "unknown", "draining"))]
    pub status: &'static str,
    /// Why it is not up: a fixed phrase, as error messages may hold addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
}

/// The last status of each service.
#[derive(Clone)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<&'static str, Check>>>,
    draining: Arc<AtomicBool>,
}

impl Health {
    /// Starts to probe the services. Must be called within a runtime.
    pub fn watch(postgres: Probe, redis: Redis, mailer: Mailer, storage: Storage) -> Self {
        let unknown = Check { status: "unknown", detail: Some("not yet checked") };
        let checks = Arc::new(Mutex::new(SERVICES.map(|name| (name, unknown)).into()));
        let health = Self { checks, draining: Arc::default() };
        tokio::spawn(health.clone().watch_postgres(postgres));
        let rest = health.clone();
        tokio::spawn(async move {
            loop {
                tokio::join!(
                    rest.probe("redis", redis.check()),
                    rest.probe("mail", mailer.check()),
                    rest.probe("storage", storage.check()),
                );
                sleep(PAUSE).await;
            }
        });
        health
    }

    /// The last status of each service, and of the process while it drains.
    pub fn checks(&self) -> BTreeMap<&'static str, Check> {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.draining.load(Ordering::Relaxed) {
            checks.insert("process", Check { status: "draining", detail: None });
        }
        checks
    }

    /// Whether Postgres was up at the last probe.
    pub fn is_postgres_up(&self) -> bool {
        self.checks()[POSTGRES].status == "up"
    }

    /// Reports the process as not ready; it still serves requests.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn watch_postgres(self, mut postgres: Probe) {
        loop {
            let status = match postgres.run(schema::is_current).await {
                Ok(true) => Ok(()),
                Ok(false) => Err("migrations pending"),
                Err(_) => Err(UNREACHABLE),
            };
            self.record(POSTGRES, status);
            sleep(POSTGRES_PAUSE).await;
        }
    }

    async fn probe<E>(&self, name: &'static str, check: impl Future<Output = Result<(), E>>) {
        let healthy = matches!(timeout(TIMEOUT, check).await, Ok(Ok(())));
        self.record(name, if healthy { Ok(()) } else { Err(UNREACHABLE) });
    }

    fn record(&self, name: &'static str, status: Result<(), &'static str>) {
        let check = Check { status: if status.is_ok() { "up" } else { "down" }, detail: status.err() };
        let before = self.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name, check);
        match (before.map(|check| check.status), status) {
            (Some("down"), Ok(())) => tracing::info!(service = name, "service recovered"),
            (Some("up" | "unknown"), Err(detail)) => tracing::warn!(service = name, detail, "service unhealthy"),
            _ => {}
        }
    }
}
