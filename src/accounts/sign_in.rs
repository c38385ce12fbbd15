//! Sign-in: `POST /sessions`. It is part of accounts, as it checks a password; `sessions` knows only ids.

use std::net::IpAddr;

use axum::{extract::State, http::HeaderMap, http::StatusCode, http::header};
use axum::{response::AppendHeaders, response::IntoResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{devices, email_address::EmailAddress, limits, password::MAX_LENGTH, store, store::Account};
use crate::hasher::{Turn, is_outdated};
use crate::http::{security, security::Event};
use crate::{http::Result, http::problem::Problem, sessions, sessions::store::Session, state::App};
use crate::{http::extract::ClientIp, http::extract::Json, http::extract::user_agent, sessions::handlers::Device};

/// The body of a sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    #[schema(format = "email", max_length = 254, example = "ada@example.com")]
    email: String,
    #[schema(min_length = 8, max_length = 128, example = "correct horse battery")]
    password: String,
}

/// Signs in. The session always gets a new id, also where the request has a session cookie (OWASP: session fixation).
#[utoipa::path(post, path = "/sessions", tag = "sessions",
    responses((status = 201, body = Device, headers(("Set-Cookie"))), (status = 401), (status = 429)))]
pub(super) async fn create(
    State(app): State<App>, ClientIp(ip): ClientIp, headers: HeaderMap, Json(credentials): Json<Credentials>,
) -> Result<impl IntoResponse> {
    let Credentials { email, password } = credentials;
    limits::check_sign_in(&app, ip, &email).await?;
    let device = devices::presented(&app.config, &headers);
    let (account, outdated) = authenticate(&app, ip, &email, password, &device).await?;
    let (value, session) = sessions::store::create(&app, account.id, user_agent(&headers)).await?;
    confirm(&app, &account, &session).await?;
    for old in sessions::presented(&app.config, &headers) {
        sessions::store::revoke_presented(&app.redis, &old).await?;
    }
    limits::reset_sign_in(&app, ip, &email).await?;
    if let Some(password) = outdated {
        let hash = app.hasher.hash(password, Turn::Known).await?;
        store::renew_hash(&app.db, account.id, &account.password_hash, &hash).await?;
    }
    let device = devices::remember(&app.db, &app.config, account.id, &device).await?;
    security::log(Event::SignedIn, Some(account.id));

    let id = session.id;
    let cookies =
        AppendHeaders([sessions::cookie(&app.config, Some(&value)), device].map(|it| (header::SET_COOKIE, it)));
    Ok((StatusCode::CREATED, cookies, Json(Device::new(session, id))))
}

/// The account, if the password matches, and the password, if its hash is outdated. An unknown, disabled or invalid email
/// takes the same time and gets the same response.
async fn authenticate(
    app: &App, ip: IpAddr, email: &str, password: String, device: &[u8],
) -> Result<(Account, Option<String>)> {
    let found = match email.parse::<EmailAddress>() {
        Ok(email) => store::find_for_sign_in(&app.db, &email, device).await?,
        Err(_) => None,
    };
    let (account, known) = found.map_or((None, false), |(account, known)| (Some(account), known));
    if !known {
        limits::check_guesses(app, ip, email).await?;
    }
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let outdated = hash.as_deref().is_some_and(is_outdated).then(|| password.clone());
    let right = verify(app, password, hash, if known { Turn::Known } else { Turn::of(ip) }).await?;
    match account {
        Some(account) if right && !account.disabled => Ok((account, outdated)),
        account => {
            limits::count_failure(app, email).await?;
            Err(reject(account.map(|account| account.id)))
        }
    }
}

/// Whether the password matches the hash.
pub(super) async fn verify(app: &App, password: String, hash: Option<String>, turn: Turn) -> Result<bool> {
    let (password, hash) = possible(password, hash);
    Ok(app.hasher.verify(password, hash, turn).await?)
}

/// The password and the hash to compare it with. A password that no account can have is not hashed, as that takes longer
/// the longer it is: an empty one is, in its place.
fn possible(password: String, hash: Option<String>) -> (String, Option<String>) {
    if password.chars().nth(MAX_LENGTH).is_none() { (password, hash) } else { (String::new(), None) }
}

/// Revokes the new session if the account was disabled or erased, or its password changed, since it was read: that
/// change revoked the sessions of then, and this one was not among them.
async fn confirm(app: &App, account: &Account, session: &Session) -> Result<()> {
    let valid = store::is_valid(&app.db, account.id, &account.password_hash).await;
    if matches!(valid, Ok(true)) {
        return Ok(());
    }
    sessions::store::revoke(&app.redis, account.id, session.id).await?;
    valid?;
    Err(reject(Some(account.id)))
}

fn reject(account: Option<Uuid>) -> Problem {
    security::log(Event::SignInRejected, account);
    Problem::WrongCredentials
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_too_long_is_never_hashed() {
        let hash = Some("a hash".to_owned());
        let longest = "ä".repeat(MAX_LENGTH);

        assert_eq!(possible(longest.clone(), hash.clone()), (longest.clone(), hash.clone()));
        assert_eq!(possible(longest + "x", hash), (String::new(), None));
    }
}
