//! VI Processes: all that a process holds is handles to attached services.

use std::{ops::Deref, sync::Arc};

use sqlx::PgPool;

use crate::services::{self, Redis};
use crate::{accounts::password::Hasher, config::Config, http::health::Health, mail::Mailer, storage::Storage};

/// Handles to attached services, and no data: any process can answer any request. Every request clones it a
/// few times, so that a clone must cost nothing.
#[derive(Clone)]
pub struct App(Arc<Handles>);

/// What an [`App`] holds.
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

impl App {
    /// Attaches every service without waiting for any: a process starts and stays up while a service is down.
    /// Errors: a private CA that cannot be read, or a URL that its client refuses.
    pub fn attach(config: Config) -> Result<Self, services::Error> {
        let db = services::database(&config)?;
        let redis = services::redis(&config)?;
        let mailer = Mailer::new(&config)?;
        let storage = Storage::new(&config)?;
        let health =
            Health::watch(services::database_options(&config)?, redis.clone(), mailer.clone(), storage.clone());
        let hasher = Hasher::default();
        Ok(Self(Arc::new(Handles { config, db, redis, mailer, storage, hasher, health })))
    }
}

impl Deref for App {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}
