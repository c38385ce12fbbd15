//! HTTP: what every route shares, from the extractors to the error.

pub mod problem;
pub mod extract;
pub mod limit;
pub mod etag;
pub mod cursor;
pub mod idempotency;
pub mod middleware;
pub mod openapi;
pub mod health;
pub mod metrics;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use crate::state::App;
use problem::Problem;

/// A handler's result.
pub type Result<T> = std::result::Result<T, Problem>;

/// The routes of the process itself: health, the contract.
pub(crate) fn routes() -> OpenApiRouter<App> {
    health::routes().merge(openapi::routes())
}

/// Routes, and what every route keeps.
pub fn router(app: App, routes: OpenApiRouter<App>) -> Router {
    Router::from(routes)
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        // As one layer, which boxes a request once. From the outside in:
        .layer((
            middleware::observe_layer(&app),      // limits, ids, log, headers, panics, no Host
            middleware::same_origin(&app.config), // no requests caused by other sites
        ))
        .with_state(app)
}
