//! The pages that links in emails open. The token stands in the fragment, which no server gets, and
//! nothing is spent before a click: programs that open links first do no harm.

use axum::{response::IntoResponse, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{http::openapi::page, state::App};

/// The pages and what they load.
pub fn pages() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(reset))
        .route("/assets/accounts.js", get(async || page("text/javascript", include_str!("assets/accounts.js"))))
        .route("/assets/accounts.css", get(async || page("text/css", include_str!("assets/accounts.css"))))
}

/// The page that confirms an email.
#[utoipa::path(get, path = "/verify", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn verify() -> impl IntoResponse {
    page("text/html", include_str!("assets/verify.html"))
}

/// The page that sets a new password.
#[utoipa::path(get, path = "/reset", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn reset() -> impl IntoResponse {
    page("text/html", include_str!("assets/reset.html"))
}
