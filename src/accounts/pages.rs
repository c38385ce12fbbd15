//! The pages that links in emails open. The token is in the fragment, which browsers do not send, and is used only when
//! a button is pressed: mail scanners that open links do not use it up.

use axum::{response::IntoResponse, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{http::openapi::page, state::App};

/// The pages and their assets.
pub fn pages() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(change_email))
        .routes(routes!(reset))
        .route("/assets/accounts.js", get(async || page("text/javascript", include_str!("assets/accounts.js"))))
        .route("/assets/accounts.css", get(async || page("text/css", include_str!("assets/accounts.css"))))
}

/// The page that confirms the email of a sign-up and chooses the password.
#[utoipa::path(get, path = "/verify", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn verify() -> impl IntoResponse {
    page("text/html", include_str!("assets/verify.html"))
}

/// The page that confirms a change of email.
#[utoipa::path(get, path = "/change-email", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn change_email() -> impl IntoResponse {
    page("text/html", include_str!("assets/change-email.html"))
}

/// The page that sets a new password.
#[utoipa::path(get, path = "/reset", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn reset() -> impl IntoResponse {
    page("text/html", include_str!("assets/reset.html"))
}
