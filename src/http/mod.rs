//! HTTP: the router is a table of contents.

pub mod context;
pub mod extract;
pub mod health;
pub mod middleware;
pub mod problem;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::state::App;
use crate::{accounts, mail, sessions};
use problem::Problem;

/// A handler's result.
pub type Result<T> = std::result::Result<T, Problem>;

/// Every route, and what every route keeps.
pub fn router(app: App) -> Router {
    let api = Router::new().merge(accounts::routes()).merge(sessions::routes());
    let api = api.merge(crate::notes::routes()); // the demo: delete me
    let api = api.merge(crate::demo::routes()); // the demo: delete me

    Router::new()
        .merge(crate::demo::pages()) // the demo: delete me
        .merge(health::routes())
        .merge(mail::pages())
        .nest("/api/v1", api)
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        // From the inside out:
        .layer(middleware::same_origin(&app.config)) // no requests caused by other sites
        .layer(from_fn_with_state(app.clone(), middleware::observe)) // limits, ids, log, headers, panics, no Host
        .with_state(app)
}
