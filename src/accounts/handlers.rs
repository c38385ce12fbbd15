//! The handlers of the account routes.

use axum::{extract::State, http::HeaderMap, http::StatusCode, http::header::SET_COOKIE, response::IntoResponse};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{confirm, emails, limits, store, store::Account, tokens};
use super::{email_address::EmailAddress, email_address::InvalidEmail, password::Password};
use crate::{hasher::Turn, http::Result, http::problem::Problem, sessions, sessions::CurrentAccount, state::App};
use crate::{http::extract::ClientIp, http::extract::Json, http::extract::user_agent, services::postgres::Transaction};

fn email_address(text: &str) -> Result<EmailAddress> {
    text.parse().map_err(|error: InvalidEmail| Problem::field("email", error.to_string()))
}

/// Parses a new password, which the body has in `field`.
fn new_password(field: &'static str, text: String, email: &EmailAddress) -> Result<Password> {
    Password::parse(text, email).map_err(|error| Problem::field(field, error.to_string()))
}

/// The same 202 whether or not the account exists.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {}

const ACCEPTED: (StatusCode, Json<Accepted>) = (StatusCode::ACCEPTED, Json(Accepted {}));

/// The body of a sign-up and of a sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(format = "email", max_length = 254, example = "ada@example.com")]
    pub(crate) email: String,
    #[schema(min_length = 8, max_length = 128, example = "correct horse battery")]
    pub(crate) password: String,
}

/// Signs up. The response does not reveal whether the email has an account.
#[utoipa::path(post, path = "/accounts", tag = "accounts", responses((status = 202, body = Accepted), (status = 429)))]
pub(super) async fn sign_up(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<Credentials>,
) -> Result<impl IntoResponse> {
    let email = email_address(&body.email)?;
    let password = new_password("password", body.password, &email)?;
    limits::check_credentials(&app, ip).await?;
    limits::check_emails(&app, email.as_str()).await?;
    let hash = app.hasher.hash(password.into(), Turn::of(ip)).await?;
    let mut tx = app.db.begin().await?;
    let sign_up = store::insert_sign_up(&mut tx, &email, &hash).await?;
    emails::enqueue(&mut tx, emails::SIGN_UP, email.as_str(), None, Some(sign_up)).await?;
    tx.commit().await?;
    Ok(ACCEPTED)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verification {
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    token: String,
}

/// Confirms an email address.
#[utoipa::path(post, path = "/verifications", tag = "accounts", responses((status = 204), (status = 429)))]
pub(super) async fn verify(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<Verification>,
) -> Result<StatusCode> {
    limits::check_credentials(&app, ip).await?;
    confirm::confirm(&app, &body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetRequest {
    #[schema(format = "email", max_length = 254, example = "ada@example.com")]
    email: String,
}

/// Requests a password reset. The response does not reveal whether the email has an account.
#[utoipa::path(post, path = "/password-resets", tag = "accounts", responses((status = 202, body = Accepted), (status = 429)))]
pub(super) async fn request_reset(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<ResetRequest>,
) -> Result<impl IntoResponse> {
    let email = email_address(&body.email)?;
    limits::check_credentials(&app, ip).await?;
    limits::check_emails(&app, email.as_str()).await?;
    let mut tx = app.db.begin().await?;
    emails::enqueue(&mut tx, emails::RESET, email.as_str(), None, None).await?;
    tx.commit().await?;
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

/// Sets a new password by the token of a reset email.
#[utoipa::path(put, path = "/password-resets", tag = "accounts", responses((status = 204), (status = 429)))]
pub(super) async fn reset(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<Reset>,
) -> Result<StatusCode> {
    limits::check_credentials(&app, ip).await?;
    // Find the token before using it up: a weak password keeps the token valid, and an invalid token costs no hash.
    let found = tokens::find_resettable(&app.db, &body.token).await?;
    let (account_id, email) = found.ok_or(Problem::InvalidToken)?;
    let password = new_password("password", body.password, &email_address(&email)?)?;
    let hash = app.hasher.hash(password.into(), Turn::of(ip)).await?;
    confirm::reset(&app, &body.token, account_id, &hash).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An account, as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct Profile {
    id: Uuid,
    email: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// Shows an account to its owner.
#[utoipa::path(get, path = "/accounts/current", tag = "accounts", security(("session" = [])), responses((status = 200, body = Profile)))]
pub(super) async fn show(State(app): State<App>, current: CurrentAccount) -> Result<Json<Profile>> {
    let account = store::find(&app.db, current.account_id).await?.ok_or(Problem::SignedOut)?;
    let Account { id, email, created_at, .. } = account;
    Ok(Json(Profile { id, email, created_at }))
}

/// The account of the session, after its password was checked again.
async fn confirmed(app: &App, ip: std::net::IpAddr, current: &CurrentAccount, password: String) -> Result<Account> {
    let account = store::find(&app.db, current.account_id).await?.ok_or(Problem::SignedOut)?;
    // Rate-limited: a stolen session must not be used to guess the password.
    limits::check_sign_in(app, ip, &account.email).await?;
    if !app.hasher.verify(password, Some(account.password_hash.clone()), Turn::Known).await? {
        return Err(Problem::WrongPassword);
    }
    limits::reset_sign_in(app, ip, &account.email).await?;
    Ok(account)
}

/// Locks an account whose password was checked; returns its email. Errors: a problem, where the password has changed
/// since.
async fn lock(tx: &mut Transaction, account: &Account) -> Result<String> {
    store::lock(tx, account.id, Some(&account.password_hash)).await?.ok_or(Problem::WrongPassword)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailChange {
    #[schema(format = "email", max_length = 254, example = "ada@example.com")]
    email: String,
    #[schema(example = "correct horse battery")]
    current_password: String,
}

/// Requests a change of email: the new email gets a link to confirm it, the old email a notice.
#[utoipa::path(patch, path = "/accounts/current", tag = "accounts", security(("session" = [])),
    responses((status = 202, body = Accepted), (status = 429)))]
pub(super) async fn change_email(
    State(app): State<App>, ClientIp(ip): ClientIp, current: CurrentAccount, Json(body): Json<EmailChange>,
) -> Result<impl IntoResponse> {
    let email = email_address(&body.email)?;
    let account = confirmed(&app, ip, &current, body.current_password).await?;
    limits::check_emails(&app, email.as_str()).await?;
    let mut tx = app.db.begin().await?;
    let old = lock(&mut tx, &account).await?;
    let change = store::insert_email_change(&mut tx, account.id, &email).await?;
    emails::enqueue(&mut tx, emails::EMAIL_CHANGE, email.as_str(), Some(account.id), Some(change)).await?;
    emails::enqueue(&mut tx, emails::EMAIL_CHANGE_REQUESTED, &old, Some(account.id), None).await?;
    tx.commit().await?;
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
    State(app): State<App>, ClientIp(ip): ClientIp, current: CurrentAccount, headers: HeaderMap,
    Json(body): Json<PasswordChange>,
) -> Result<impl IntoResponse> {
    let account = confirmed(&app, ip, &current, body.current_password).await?;
    let email = email_address(&account.email)?;
    let password = new_password("new_password", body.new_password, &email)?;
    let hash = app.hasher.hash(password.into(), Turn::of(ip)).await?;
    let mut tx = app.db.begin().await?;
    let email = lock(&mut tx, &account).await?;
    store::set_password(&mut tx, account.id, &hash).await?;
    emails::enqueue(&mut tx, emails::PASSWORD_CHANGED, &email, Some(account.id), None).await?;
    // Before the commit: if the sessions cannot be revoked, nothing changes.
    sessions::store::revoke_all(&app.redis, account.id).await?;
    let (session, _) = sessions::store::create(&app, account.id, user_agent(&headers)).await?;
    tx.commit().await?;
    let cookie = sessions::cookie(&app.config, Some(&session));
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Erasure {
    #[schema(example = "correct horse battery")]
    current_password: String,
}

/// Erases the account and everything that belongs to it.
#[utoipa::path(delete, path = "/accounts/current", tag = "accounts", security(("session" = [])),
    responses((status = 204, headers(("Set-Cookie"))), (status = 429)))]
pub(super) async fn destroy(
    State(app): State<App>, ClientIp(ip): ClientIp, current: CurrentAccount, Json(body): Json<Erasure>,
) -> Result<impl IntoResponse> {
    let account = confirmed(&app, ip, &current, body.current_password).await?;
    let mut tx = app.db.begin().await?;
    lock(&mut tx, &account).await?;
    store::erase(&mut tx, account.id).await?;
    sessions::store::revoke_all(&app.redis, account.id).await?;
    tx.commit().await?;
    let cookie = sessions::cookie(&app.config, None);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}
