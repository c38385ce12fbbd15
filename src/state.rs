//! VI Processes: all that a process holds is handles to attached services.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::services::{self, postgres::Postgres, redis::Redis, s3::Storage, smtp::Mailer};
use crate::{config::Config, hasher::Hasher, health::Health};

/// How many large bodies may be in flight: nobody has to sign in to send one.
const LARGE_BODIES: usize = 64;

/// What every process holds, and every request clones a few times, so that a clone must cost nothing.
pub type App = Arc<Handles>;

/// Handles to attached services, and no data: any process can answer any request.
#[allow(missing_docs, reason = "each type's own sentence is the documentation")]
pub struct Handles {
    pub config: Config,
    pub db: Postgres,
    pub redis: Redis,
    pub mailer: Mailer,
    pub storage: Storage,
    pub hasher: Hasher,
    pub health: Health,
    /// Permits for large bodies of requests.
    pub large_bodies: Semaphore,
}

impl Handles {
    /// Attaches every service without waiting for any: a process starts and stays up while a service is down.
    /// Errors: a private CA that cannot be read, or a URL that its client rejects.
    pub fn attach(config: Config) -> Result<App, services::Error> {
        let (db, redis) = (Postgres::new(&config)?, Redis::new(&config)?);
        let (mailer, storage) = (Mailer::new(&config)?, Storage::new(&config)?);
        let health = Health::watch(db.probe(&config)?, redis.clone(), mailer.clone(), storage.clone());
        let (hasher, large_bodies) = (Hasher::default(), Semaphore::new(LARGE_BODIES));
        Ok(Arc::new(Self { config, db, redis, mailer, storage, hasher, health, large_bodies }))
    }
}
