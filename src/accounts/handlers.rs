//! What each route of an account does.

use axum::{extract::State, http::StatusCode, http::header::SET_COOKIE, response::IntoResponse};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::{self, Account};
use super::{email::EmailAddress, password::Password, tokens};
use crate::http::extract::{ClientIp, Json, UserAgent};
use crate::mail::{self, Kind};
use crate::sessions::{self, CurrentAccount, limit};
use crate::{http::Result, http::problem::Problem, services::Limited, state::App};

/// What asking answers, whatever comes of it.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {}

const ACCEPTED: (StatusCode, axum::Json<Accepted>) = (StatusCode::ACCEPTED, axum::Json(Accepted {}));

/// What one signs up and signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(format = "email", max_length = 254, example = "ada@example.com")]
    pub(crate) email: String,
    #[schema(min_length = 8, max_length = 128, example = "correct horse battery")]
    pub(crate) password: String,
}

/// Signs up. The work is the same for a taken address: what is mailed is decided when it is mailed.
#[utoipa::path(post, path = "/accounts", tag = "accounts", responses((status = 202, body = Accepted), (status = 429)))]
pub(super) async fn sign_up(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Json(body): Json<Credentials>,
) -> Result<impl IntoResponse> {
    let email = EmailAddress::parse(&body.email)?;
    let password = Password::parse("password", body.password, &email)?;
    limit::credentials(&app, ip).await?;
    limit::letters(&app, &email).await?;
    let hash = app.hasher.hash(password.into()).await?;
    let mut tx = app.db.begin().limited().await?;
    let sign_up = tokens::insert_sign_up(&mut tx, &email, &hash).await?;
    mail::enqueue(&mut tx, Kind::SignUp, email.as_str(), Some(sign_up)).await?;
    tx.commit().limited().await?;
    Ok(ACCEPTED)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verification {
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    token: String,
}

/// Confirms an address.
#[utoipa::path(post, path = "/verifications", tag = "accounts", responses((status = 204), (status = 429)))]
pub(super) async fn verify(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Json(body): Json<Verification>,
) -> Result<StatusCode> {
    limit::credentials(&app, ip).await?;
    tokens::confirm(&app, &body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskReset {
    #[schema(format = "email", max_length = 254, example = "ada@example.com")]
    email: String,
}

/// Asks for a reset. The work is the same for an unknown address: its letter is dropped when it is due.
#[utoipa::path(post, path = "/password-resets", tag = "accounts", responses((status = 202, body = Accepted), (status = 429)))]
pub(super) async fn ask_reset(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Json(body): Json<AskReset>,
) -> Result<impl IntoResponse> {
    let email = EmailAddress::parse(&body.email)?;
    limit::credentials(&app, ip).await?;
    limit::letters(&app, &email).await?;
    let mut tx = app.db.begin().limited().await?;
    mail::enqueue(&mut tx, Kind::Reset, email.as_str(), None).await?;
    tx.commit().limited().await?;
    Ok(ACCEPTED)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    token: String,
    #[schema(min_length = 8, max_length = 128, example = "correct horse battery")]
    password: String,
}

/// Sets a new password by a letter's token.
#[utoipa::path(put, path = "/password-resets", tag = "accounts", responses((status = 204), (status = 429)))]
pub(super) async fn reset(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    Json(body): Json<Reset>,
) -> Result<StatusCode> {
    limit::credentials(&app, ip).await?;
    // Looked at before it is spent: a bad password does not cost the token, nor a bad token a hash.
    let found = tokens::resettable(&app, &body.token).await?;
    let (account_id, email) = found.ok_or(Problem::InvalidToken)?;
    let password = Password::parse("password", body.password, &EmailAddress::parse(&email)?)?;
    let hash = app.hasher.hash(password.into()).await?;
    tokens::reset(&app, &body.token, account_id, &hash).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the owner of an account sees of it.
#[derive(Serialize, ToSchema)]
pub(super) struct Profile {
    id: Uuid,
    email: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// Shows an account to its owner.
#[utoipa::path(get, path = "/accounts/current", tag = "accounts", security(("session" = [])), responses((status = 200, body = Profile)))]
pub(super) async fn show(State(app): State<App>, current: CurrentAccount) -> Result<axum::Json<Profile>> {
    let account = store::find(&app.db, current.account_id).await?.ok_or(Problem::SignedOut)?;
    let Account { id, email, created_at, .. } = account;
    Ok(axum::Json(Profile { id, email, created_at }))
}

/// The account of a session, whose password was given once more.
async fn confirmed(app: &App, ip: std::net::IpAddr, current: &CurrentAccount, password: String) -> Result<Account> {
    let account = store::find(&app.db, current.account_id).await?.ok_or(Problem::SignedOut)?;
    // A stolen session must not serve to guess the password.
    limit::sign_in(app, ip, &account.email).await?;
    if !app.hasher.verify(password, Some(account.password_hash.clone())).await? {
        return Err(Problem::WrongPassword);
    }
    limit::signed_in(app, ip, &account.email).await?;
    Ok(account)
}

/// Locks an account whose password was given, unless it is another one by now; answers its address.
async fn lock(conn: &mut PgConnection, account: &Account) -> Result<String> {
    store::lock(conn, account.id, Some(&account.password_hash)).await?.ok_or(Problem::WrongPassword)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddressChange {
    #[schema(format = "email", max_length = 254, example = "ada@example.com")]
    email: String,
    #[schema(example = "correct horse battery")]
    current_password: String,
}

/// Asks for another address: the new one is to confirm it, the old one is told.
#[utoipa::path(patch, path = "/accounts/current", tag = "accounts", security(("session" = [])),
    responses((status = 202, body = Accepted), (status = 429)))]
pub(super) async fn change_address(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    current: CurrentAccount,
    Json(body): Json<AddressChange>,
) -> Result<impl IntoResponse> {
    let email = EmailAddress::parse(&body.email)?;
    let account = confirmed(&app, ip, &current, body.current_password).await?;
    limit::letters(&app, &email).await?;
    let mut tx = app.db.begin().limited().await?;
    let old = lock(&mut tx, &account).await?;
    let change = store::insert_address_change(&mut tx, account.id, &email).await?;
    mail::enqueue(&mut tx, Kind::AddressChange, email.as_str(), Some(change)).await?;
    mail::enqueue(&mut tx, Kind::AddressChangeAsked, &old, Some(account.id)).await?;
    tx.commit().limited().await?;
    Ok(ACCEPTED)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    #[schema(example = "correct horse battery")]
    current_password: String,
    #[schema(min_length = 8, max_length = 128, example = "correct horse battery")]
    new_password: String,
}

/// Changes the password: other devices are signed out, this one gets a new session.
#[utoipa::path(put, path = "/accounts/current/password", tag = "accounts", security(("session" = [])),
    responses((status = 204, headers(("Set-Cookie"))), (status = 429)))]
pub(super) async fn change_password(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    UserAgent(user_agent): UserAgent,
    current: CurrentAccount,
    Json(body): Json<PasswordChange>,
) -> Result<impl IntoResponse> {
    let account = confirmed(&app, ip, &current, body.current_password).await?;
    let email = EmailAddress::parse(&account.email)?;
    let password = Password::parse("new_password", body.new_password, &email)?;
    let hash = app.hasher.hash(password.into()).await?;
    let mut tx = app.db.begin().limited().await?;
    let email = lock(&mut tx, &account).await?;
    store::set_password(&mut tx, account.id, &hash).await?;
    mail::enqueue(&mut tx, Kind::PasswordChanged, &email, Some(account.id)).await?;
    // Before the commit: when they cannot be ended, nothing has changed.
    sessions::store::end_all(&app.redis, account.id).await?;
    let (session, _) = sessions::store::create(&app, account.id, &user_agent).await?;
    tx.commit().limited().await?;
    let cookie = sessions::cookie(&app.config, Some(&session));
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Erasure {
    #[schema(example = "correct horse battery")]
    current_password: String,
}

/// Erases the account and everything that is its own.
#[utoipa::path(delete, path = "/accounts/current", tag = "accounts", security(("session" = [])),
    responses((status = 204, headers(("Set-Cookie"))), (status = 429)))]
pub(super) async fn destroy(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    current: CurrentAccount,
    Json(body): Json<Erasure>,
) -> Result<impl IntoResponse> {
    let account = confirmed(&app, ip, &current, body.current_password).await?;
    let mut tx = app.db.begin().limited().await?;
    lock(&mut tx, &account).await?;
    store::erase(&mut tx, account.id).await?;
    sessions::store::end_all(&app.redis, account.id).await?;
    tx.commit().limited().await?;
    let cookie = sessions::cookie(&app.config, None);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}
