//! The pages that links in letters open. The token stands in the fragment, which no server is told, and
//! nothing is spent before a click: programs that look at links first do no harm.

use axum::{response::IntoResponse, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{http::openapi::page, state::App};

/// The pages and what they load.
pub fn pages() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(reset))
        .route("/assets/letters.js", get(async || page("text/javascript", include_str!("assets/letters.js"))))
        .route("/assets/letters.css", get(async || page("text/css", include_str!("assets/letters.css"))))
}

/// The page that confirms an address.
#[utoipa::path(get, path = "/verify", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn verify() -> impl IntoResponse {
    page("text/html", include_str!("assets/verify.html"))
}

/// The page that sets a new password.
#[utoipa::path(get, path = "/reset", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn reset() -> impl IntoResponse {
    page("text/html", include_str!("assets/reset.html"))
}
