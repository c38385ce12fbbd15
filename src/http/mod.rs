//! HTTP: the router is a table of contents.

pub mod context;
pub mod extract;
pub mod health;
pub mod middleware;
pub mod problem;

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Html;
use axum::routing::get;

use crate::state::App;
use crate::{accounts, mail, sessions};
use problem::Problem;

/// A handler's result.
pub type Result<T> = std::result::Result<T, Problem>;

/// Every route, and what every route keeps.
pub fn router(app: App) -> Router {
    let api = Router::new().merge(accounts::routes()).merge(sessions::routes());

    Router::new()
        .route("/", get(home))
        .merge(health::routes())
        .merge(mail::pages())
        .nest("/api/v1", api)
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        // From the inside out:
        .layer(from_fn_with_state(app.clone(), middleware::limit)) // body, then handler, in time
        .layer(middleware::same_origin(&app.config)) // no requests caused by other sites
        .layer(from_fn(middleware::without_host)) // nor by a Host made up for them
        .layer(from_fn_with_state(app.clone(), middleware::observe)) // ids, log, headers, panics
        .with_state(app)
}

async fn home(State(app): State<App>) -> Html<String> {
    let name = env!("CARGO_PKG_NAME");
    let release: String =
        app.config.release_id.chars().filter(|c| !"<>&\"'".contains(*c)).collect();
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title>\
         <h1>{name}</h1><p>Release {release}.</p>\
         <ul><li><a href=\"/health/ready\">Ready?</a></li><li><a href=\"/version\">Version</a></li></ul></html>"
    ))
}
