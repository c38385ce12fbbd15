//! HTTP: the router is a table of contents.

pub mod context;
pub mod extract;
pub mod health;
pub mod middleware;
pub mod openapi;
pub mod problem;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use crate::state::App;
use problem::Problem;

/// A handler's result.
pub type Result<T> = std::result::Result<T, Problem>;

/// Every route, with its part of the contract.
fn routes() -> OpenApiRouter<App> {
    crate::routes().merge(health::routes()).merge(openapi::routes())
}

/// Every route, and what every route keeps.
pub fn router(app: App) -> Router {
    Router::from(routes())
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        // As one layer, which boxes a request once. From the outside in:
        .layer((
            middleware::ObserveLayer::new(&app),  // limits, ids, log, headers, panics, no Host
            middleware::same_origin(&app.config), // no requests caused by other sites
        ))
        .with_state(app)
}
