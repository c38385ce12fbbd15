//! A twelve-factor web service. This page is its table of contents: files are factors, folders are domains.

pub mod admin; // XII   what the one-off tasks share
pub mod config; // III   one field, one variable
pub mod logs; // XI    JSON lines on stdout
pub mod release; // V     what a release does to its database, once
pub mod server; // VII   binds PORT, serves until told to stop
pub mod services; // IV    a URL in, a handle out
pub mod shutdown; // IX    SIGTERM and Ctrl-C as a future
pub mod state; // VI    handles only, no data
pub mod telemetry; // Prometheus text on METRICS_PORT
pub mod traces; // spans by OTLP, when OTEL_* asks for them
pub mod worker; // VIII  runs the job queue

pub mod accounts;
mod demo; // the demo: delete me
pub mod http;
pub mod jobs;
pub mod mail;
mod notes; // the demo: delete me
pub mod sessions;
pub mod storage;

use std::error::Error;

use graphile_worker::WorkerOptions;
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// What the domains answer: the API below its prefix, and the pages beside it.
pub(crate) fn routes() -> OpenApiRouter<state::App> {
    let api = accounts::routes().merge(sessions::routes());
    let api = api.merge(notes::routes()).merge(demo::routes()); // the demo: delete me
    let pages = mail::pages();
    let pages = pages.merge(demo::pages()); // the demo: delete me
    pages.nest("/api/v1", api)
}

/// The jobs that the domains bring.
pub(crate) fn queue(options: WorkerOptions) -> Result<WorkerOptions, Box<dyn Error + Send + Sync>> {
    let options = notes::jobs(options)?; // the demo: delete me
    Ok(options)
}

/// What the domains put beside the account that `seed` makes.
#[allow(unused_variables, reason = "the domains may have nothing to put there")]
pub(crate) async fn seed(tx: &mut PgConnection, config: &config::Config, account: Uuid) -> Result<(), admin::Error> {
    notes::seed(tx, config, account).await?; // the demo: delete me
    Ok(())
}
