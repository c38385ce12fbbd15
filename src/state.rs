//! VI Processes: all that a process holds is handles to attached services.

use std::sync::Arc;

use sqlx::PgPool;

use crate::services::{self, Redis};
use crate::{accounts::password::Hasher, config::Config, http::health::Health, mail::Mailer, storage::Storage};

/// What every process holds, and every request clones a few times, so that a clone must cost nothing.
pub type App = Arc<Handles>;

/// Handles to attached services, and no data: any process can answer any request.
#[allow(missing_docs, reason = "each type's own sentence is the documentation")]
pub struct Handles {
    pub config: Config,
    pub db: PgPool,
    pub redis: Redis,
    pub mailer: Mailer,
    pub storage: Storage,
    pub hasher: Hasher,
    pub health: Health,
}

impl Handles {
    /// Attaches every service without waiting for any: a process starts and stays up while a service is down.
    /// Errors: a private CA that cannot be read, or a URL that its client refuses.
    pub fn attach(config: Config) -> Result<App, services::Error> {
        let db = services::database(&config)?;
        let redis = services::redis(&config)?;
        let mailer = Mailer::new(&config)?;
        let storage = Storage::new(&config)?;
        let health =
            Health::watch(services::database_options(&config)?, redis.clone(), mailer.clone(), storage.clone());
        let hasher = Hasher::default();
        Ok(Arc::new(Self { config, db, redis, mailer, storage, hasher, health }))
    }
}
