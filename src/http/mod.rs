//! HTTP: extractors, middleware and errors, shared by all routes.

pub mod security;
pub mod problem;
pub mod body;
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

/// The result of a handler.
pub type Result<T> = std::result::Result<T, Problem>;

/// The routes of the process itself: health, version, the OpenAPI contract.
pub(crate) fn routes() -> OpenApiRouter<App> {
    health::routes().merge(openapi::routes())
}

/// Adds the fallbacks and the middleware to the routes.
pub fn router(app: App, routes: OpenApiRouter<App>) -> Router {
    Router::from(routes)
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        // One layer, so that each request is boxed once. From the outside in:
        .layer((
            middleware::observe_layer(&app),      // request id, limits, log, headers, panics
            middleware::same_origin(&app.config), // CSRF
        ))
        .with_state(app)
}
