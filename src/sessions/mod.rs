//! Sessions in Redis: who is signed in, on which device. Any process can read them. An account is only an id here.

pub(crate) mod handlers;
pub mod store;

use std::sync::Arc;

use axum::{
    extract::FromRequestParts, http::HeaderMap, http::HeaderName, http::HeaderValue, http::header, http::request::Parts,
};
use cookie::{Cookie, SameSite, time::Duration};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::http::{security, security::Event};
use crate::{config::Config, context, http::Result, http::problem::Problem, state::App};

/// The routes, below the prefix of the API.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(handlers::index, handlers::destroy_all))
        .routes(routes!(handlers::destroy_current))
        .routes(routes!(handlers::destroy))
}

const NAME: &str = "session";
/// How many session cookies of one request are tried.
const MAX_COOKIES: usize = 4;
/// A client may send the id of the account that it shows. Another account's session is rejected then: somebody else
/// has signed in with the same browser.
const ACCOUNT_ID: HeaderName = HeaderName::from_static("x-account-id");
const MISMATCH: Problem = Problem::Rejected(409, "account-mismatch", "Another account is signed in here.");

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
        let (mut found, keys) = (None, presented(&app.config, &parts.headers));
        for key in keys {
            if let Some(session) = store::read(app, &key).await? {
                found = Some((session, key));
                break;
            }
        }
        let (session, key) = found.ok_or(Problem::SignedOut)?;
        let account_id = session.account_id;
        if parts.headers.get(ACCOUNT_ID).is_some_and(|id| id.as_bytes() != account_id.to_string().as_bytes()) {
            security::log(Event::AccountMismatch, Some(account_id));
            return Err(MISMATCH);
        }
        // Before a connection to Postgres is taken, so that no account can take all of them.
        let slot = app.in_flight.enter(account_id).await.ok_or(Problem::RateLimited(1))?;
        context::keep(Arc::new(slot));
        Ok(Self { account_id, session_id: session.id, key })
    }
}

/// The `Set-Cookie` header that sets or clears the session cookie.
pub(crate) fn cookie(config: &Config, session: Option<&str>) -> HeaderValue {
    let name = cookie_name(config, NAME);
    set_cookie(config, &name, session.unwrap_or_default(), session.is_none().then_some(Duration::ZERO))
}

/// A `Set-Cookie` header; without `max_age` the cookie ends with the browser's session.
pub(crate) fn set_cookie(config: &Config, name: &str, value: &str, max_age: Option<Duration>) -> HeaderValue {
    let mut cookie =
        Cookie::build((name, value)).path("/").http_only(true).same_site(SameSite::Lax).secure(config.secure());
    if let Some(max_age) = max_age {
        cookie = cookie.max_age(max_age);
    }
    HeaderValue::try_from(cookie.to_string()).expect("a cookie's value is base64url")
}

/// The keys of the sessions in well-formed cookies.
pub(crate) fn presented(config: &Config, headers: &HeaderMap) -> Vec<store::Key> {
    let name = cookie_name(config, NAME);
    cookies(headers, &name).filter_map(store::Key::of).take(MAX_COOKIES).collect()
}

/// The values of the cookies of this name. Other cookies need not be text: they may be of another service on the host.
pub(crate) fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        str::from_utf8(value).ok()
    })
}

/// `__Host-` binds a cookie to its host and to https (RFC 6265bis); browsers reject it over plain http. There the port
/// is part of the name, as browsers send the cookies of a host to all its ports.
pub(crate) fn cookie_name(config: &Config, name: &str) -> String {
    if config.secure() {
        return format!("__Host-{name}");
    }
    format!("{name}-{}", config.public_url.port_or_known_default().unwrap_or(80))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_other_cookie_leaves_ours(other in prop::collection::vec(prop_oneof![0x20_u8..=0x7e, 0x80_u8..=0xff], 0..60), value in "[A-Za-z0-9_-]{1,50}") {
            let line = [&other[..], b"; session-80=", value.as_bytes(), b"; x=", &other[..]].concat();
            let line = HeaderValue::from_bytes(&line);
            prop_assume!(line.is_ok());
            let headers = HeaderMap::from_iter([(header::COOKIE, line.expect("checked"))]);
            prop_assert!(cookies(&headers, "session-80").any(|found| found == value));
        }
    }
}
