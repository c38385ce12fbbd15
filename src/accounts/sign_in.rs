//! Sign-in: `POST /sessions`. It is part of accounts, as it checks a password; `sessions` knows only ids.

use axum::{extract::State, http::HeaderMap, http::StatusCode, http::header, response::IntoResponse};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{email_address::EmailAddress, limits, password::MAX_LENGTH, store, store::Account};
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
    let account = authenticate(&app, &email, password).await?;
    let (value, session) = sessions::store::create(&app, account.id, user_agent(&headers)).await?;
    confirm(&app, &account, &session).await?;
    if let Some(old) = sessions::presented(&app.config, &headers) {
        sessions::store::revoke_presented(&app.redis, &old).await?;
    }
    limits::reset_sign_in(&app, ip, &email).await?;
    tracing::info!(account.id = %account.id, "signed in");

    let id = session.id;
    let cookie = sessions::cookie(&app.config, Some(&value));
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(Device::new(session, id))))
}

/// The account, if the password matches. An unknown, disabled or invalid email takes the same time and gets the same
/// response.
async fn authenticate(app: &App, email: &str, password: String) -> Result<Account> {
    let found = match email.parse::<EmailAddress>() {
        Ok(email) => store::find_by_email(&app.db, &email).await?,
        Err(_) => None,
    };
    let hash = found.as_ref().map(|account| account.password_hash.clone());
    let right = verify(app, password, hash).await?;
    match found {
        Some(account) if right && !account.disabled => Ok(account),
        found => Err(reject(found.map(|account| account.id))),
    }
}

/// Whether the password matches the hash. One that no account can have is not hashed, as that takes longer the longer it
/// is: an empty one is, in its place.
pub(super) async fn verify(app: &App, password: String, hash: Option<String>) -> Result<bool> {
    let possible = password.chars().nth(MAX_LENGTH).is_none();
    let (password, hash) = if possible { (password, hash) } else { (String::new(), None) };
    Ok(app.hasher.verify(password, hash).await?)
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
    tracing::info!(account.id = account.map(tracing::field::display), "sign-in rejected");
    Problem::WrongCredentials
}
