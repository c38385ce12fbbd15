//! VI Processes: the state of a process is handles to attached services, and no data.

use std::sync::Arc;

use crate::services::{self, postgres::Postgres, redis::Redis, s3::Storage, smtp::Mailer};
use crate::{config::Config, hasher::Hasher, health::Health, in_flight::InFlight};

/// The requests of an account that may be in flight: less than half of the default pool of connections to Postgres.
const REQUESTS: usize = 4;
/// The requests of an account that may wait.
const WAITING: usize = 32;

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
    /// The requests of each account that may use the services at once.
    pub in_flight: InFlight,
}

impl Handles {
    /// Attaches every service without connecting: a process starts and stays up while a service is down.
    /// Errors: `SSL_CERT_FILE` cannot be read, or a client rejects its URL.
    pub fn attach(config: Config) -> Result<App, services::Error> {
        let (db, redis) = (Postgres::new(&config)?, Redis::new(&config)?);
        let (mailer, storage) = (Mailer::new(&config)?, Storage::new(&config)?);
        let health = Health::watch(db.probe(&config)?, redis.clone(), mailer.clone(), storage.clone());
        let (hasher, in_flight) = (Hasher::default(), InFlight::new(REQUESTS, WAITING));
        Ok(Arc::new(Self { config, db, redis, mailer, storage, hasher, health, in_flight }))
    }
}
