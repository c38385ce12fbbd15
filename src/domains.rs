//! The domains: each is added and removed here, with a line for its routes, jobs and seed.

use std::error::Error;

use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::{accounts, config::Config, jobs::Task, services::postgres::Transaction, sessions, state::App};
use crate::{demo, notes}; // demo:

/// The API routes below their prefix, and the pages.
pub fn routes() -> OpenApiRouter<App> {
    let api = accounts::routes().merge(sessions::routes());
    let api = api.merge(notes::routes()).merge(demo::routes()); // demo:
    let pages = accounts::pages();
    let pages = pages.merge(demo::pages()); // demo:
    pages.nest("/api/v1", api)
}

/// The jobs that a worker runs.
pub fn jobs() -> Vec<Task> {
    let jobs = accounts::JOBS.into_iter();
    let jobs = jobs.chain(notes::JOBS); // demo:
    jobs.collect()
}

/// The demo data that `seed` adds to its account.
#[allow(unused_variables, reason = "a project may have no domain with demo data")]
pub async fn seed(tx: &mut Transaction, config: &Config, account: Uuid) -> Result<(), Box<dyn Error>> {
    notes::seed(tx, config, account).await?; // demo:
    Ok(())
}
