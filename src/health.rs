//! Health: a task probes each service now and then, so that a request for it costs nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{collections::BTreeMap, time::Duration};

use tokio::time::{sleep, timeout};

use crate::schema;
use crate::services::postgres::Probe;
use crate::services::{redis::Redis, s3::Storage, smtp::Mailer};

/// With the probe's own timeout it is how old a status may be.
const POSTGRES_PAUSE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_secs(7);
const TIMEOUT: Duration = Duration::from_secs(2);

/// The services that are probed.
pub const SERVICES: [&str; 4] = [POSTGRES, "redis", "mail", "storage"];
const POSTGRES: &str = "postgres";
const UNREACHABLE: &str = "unreachable";

/// A service's status: a fixed phrase where it is unhealthy, as errors hold addresses.
pub type Status = Result<(), &'static str>;

/// The last status of each service.
#[derive(Clone, Default)]
pub struct Health(Arc<State>);

#[derive(Default)]
struct State {
    statuses: Mutex<BTreeMap<&'static str, Status>>,
    draining: AtomicBool,
}

impl Health {
    /// Starts to probe the services. It must be called within a runtime.
    pub fn watch(postgres: Probe, redis: Redis, mailer: Mailer, storage: Storage) -> Self {
        let health = Self::default();
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

    /// The last status of each service that was probed.
    pub fn statuses(&self) -> BTreeMap<&'static str, Status> {
        self.0.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether Postgres is healthy, without which hardly any request can be answered.
    pub fn has_postgres(&self) -> bool {
        self.statuses().get(POSTGRES) == Some(&Ok(()))
    }

    /// Makes the process not ready, while it still serves.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process is about to stop.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
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

    fn record(&self, name: &'static str, status: Status) {
        let before = self.0.statuses.lock().unwrap_or_else(PoisonError::into_inner).insert(name, status);
        match (before, status) {
            (Some(Err(_)), Ok(())) => tracing::info!(service = name, "service recovered"),
            (None | Some(Ok(())), Err(detail)) => tracing::warn!(service = name, detail, "service unhealthy"),
            _ => {}
        }
    }
}
