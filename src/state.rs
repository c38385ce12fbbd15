//! VI Processes: the state of a process is handles to attached services, and no data.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::services::{self, postgres::Postgres, redis::Redis, s3::Storage, smtp::Mailer};
use crate::{config::Config, hasher::Hasher, health::Health};

/// The number of large request bodies in flight: they need no sign-in.
const LARGE_BODIES: usize = 64;

/// The shared state. Every request clones it several times, so it is an `Arc`.
pub type App = Arc<Handles>;

/// Handles to attached services, and no data: any process can answer any request.
pub struct Handles {
    /// What the environment configured.
    pub config: Config,
    /// The data.
    pub db: Postgres,
    /// Sessions and rate limits.
    pub redis: Redis,
    /// The SMTP server.
    pub mailer: Mailer,
    /// The S3 bucket.
    pub storage: Storage,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// The status of each service.
    pub health: Health,
    /// Permits for large request bodies.
    pub large_bodies: Semaphore,
}

impl Handles {
    /// Attaches every service without connecting: a process starts and stays up while a service is down.
    /// Errors: `SSL_CERT_FILE` cannot be read, or a client rejects its URL.
    pub fn attach(config: Config) -> Result<App, services::Error> {
        let (db, redis) = (Postgres::new(&config)?, Redis::new(&config)?);
        let (mailer, storage) = (Mailer::new(&config)?, Storage::new(&config)?);
        let health = Health::watch(db.probe(&config)?, redis.clone(), mailer.clone(), storage.clone());
        let (hasher, large_bodies) = (Hasher::default(), Semaphore::new(LARGE_BODIES));
        Ok(Arc::new(Self { config, db, redis, mailer, storage, hasher, health, large_bodies }))
    }
}
