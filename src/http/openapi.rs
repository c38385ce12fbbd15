//! The API's contract, as `examples/openapi` makes it from the handlers, and the page that shows it.

use axum::{http::header::CACHE_CONTROL, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::App;

/// The contract and the page that shows it.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(docs))
        .route("/assets/docs.js", get(async || page("text/javascript", include_str!("docs.js"))))
        .route("/assets/docs.css", get(async || page("text/css", include_str!("docs.css"))))
}

/// The contract of this API.
#[utoipa::path(get, path = "/openapi.json", tag = "process", responses((status = 200, body = Object)))]
async fn show() -> impl IntoResponse {
    page("application/json", include_str!("../../openapi.json"))
}

/// The contract, to read.
#[utoipa::path(get, path = "/docs", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn docs() -> impl IntoResponse {
    page("text/html", include_str!("docs.html"))
}

/// A page or what it loads: a text that changes with the release alone.
pub(crate) fn page(kind: &'static str, body: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, format!("{kind}; charset=utf-8")), (CACHE_CONTROL, "no-cache".into())], body)
}
