//! The OpenAPI contract, which `examples/openapi` generates from the handlers, and its page.

use axum::{http::header::CACHE_CONTROL, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::App;

/// The contract and its page.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(docs))
        .route("/assets/docs.js", get(async || page("text/javascript", include_str!("docs.js"))))
        .route("/assets/docs.css", get(async || page("text/css", include_str!("docs.css"))))
}

/// The OpenAPI contract of this API.
#[utoipa::path(get, path = "/openapi.json", tag = "process", responses((status = 200, body = Object)))]
async fn show() -> impl IntoResponse {
    page("application/json", include_str!("../../openapi.json"))
}

/// The contract as a page.
#[utoipa::path(get, path = "/docs", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn docs() -> impl IntoResponse {
    page("text/html", include_str!("docs.html"))
}

/// A page or an asset: text that changes only with the release.
pub(crate) fn page(kind: &'static str, body: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, format!("{kind}; charset=utf-8")), (CACHE_CONTROL, "no-cache".into())], body)
}
