//! The domains: each adds its routes, jobs and seed here in a line, and is removed here.

use std::error::Error;

use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::{accounts, config::Config, jobs::Task, services::postgres::Transaction, sessions, state::App};
use crate::{demo, notes}; // the demo: delete me

/// The API below its prefix, and the pages beside it.
pub fn routes() -> OpenApiRouter<App> {
    let api = accounts::routes().merge(sessions::routes());
    let api = api.merge(notes::routes()).merge(demo::routes()); // the demo: delete me
    let pages = accounts::pages();
    let pages = pages.merge(demo::pages()); // the demo: delete me
    pages.nest("/api/v1", api)
}

/// The jobs that a worker runs.
pub fn jobs() -> Vec<Task> {
    let jobs = accounts::JOBS.into_iter();
    let jobs = jobs.chain(notes::JOBS); // the demo: delete me
    jobs.collect()
}

/// What `seed` puts beside the account that it makes.
#[allow(unused_variables, reason = "the domains may have nothing to put there")]
pub async fn seed(tx: &mut Transaction, config: &Config, account: Uuid) -> Result<(), Box<dyn Error>> {
    notes::seed(tx, config, account).await?; // the demo: delete me
    Ok(())
}
