//! Sessions in Redis: who is signed in, on which device. Any process can read them. An account is only an id here.

pub(crate) mod handlers;
pub mod store;

use axum::{extract::FromRequestParts, http::HeaderMap, http::HeaderValue, http::header, http::request::Parts};
use cookie::{Cookie, SameSite, time::Duration};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{config::Config, http::Result, http::problem::Problem, state::App};

/// The routes, below the prefix of the API.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(handlers::index, handlers::destroy_all))
        .routes(routes!(handlers::destroy_current))
        .routes(routes!(handlers::destroy))
}

/// The signed-in account. A handler with this parameter rejects requests without a valid session (401).
pub(crate) struct CurrentAccount {
    pub(crate) account_id: Uuid,
    pub(crate) session_id: Uuid,
    key: store::Key,
}

impl FromRequestParts<App> for CurrentAccount {
    type Rejection = Problem;

    // A rejection does not clear the cookie: the request may have been in flight while the browser signed in again, and
    // its response would clear the new session's cookie.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let key = presented(&app.config, &parts.headers).ok_or(Problem::SignedOut)?;
        let session = store::read(app, &key).await?.ok_or(Problem::SignedOut)?;
        Ok(Self { account_id: session.account_id, session_id: session.id, key })
    }
}

/// The `Set-Cookie` header that sets or clears the session cookie.
pub(crate) fn cookie(config: &Config, session: Option<&str>) -> HeaderValue {
    let cookie = Cookie::build((cookie_name(config), session.unwrap_or_default()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(config.secure());
    let cookie = if session.is_some() { cookie } else { cookie.max_age(Duration::ZERO) };
    HeaderValue::try_from(cookie.to_string()).expect("a cookie's value is base64url")
}

/// The key of the session in the cookie. None: there is no well-formed cookie.
pub(crate) fn presented(config: &Config, headers: &HeaderMap) -> Option<store::Key> {
    let name = cookie_name(config);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookie = lines.flat_map(Cookie::split_parse).flatten().find(|cookie| cookie.name() == name)?;
    store::Key::of(cookie.value())
}

/// `__Host-` binds a cookie to its host and to https (RFC 6265bis); browsers reject it over plain http.
fn cookie_name(config: &Config) -> &'static str {
    if config.secure() { "__Host-session" } else { "session" }
}
