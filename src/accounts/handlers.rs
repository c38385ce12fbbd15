//! The handlers of the account routes.

use std::net::IpAddr;

use axum::{extract::State, http::HeaderMap, http::StatusCode, http::header::SET_COOKIE, response::IntoResponse};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{confirm, emails, limits, sign_in, store, store::Account, tokens};
use super::{email_address::EmailAddress, email_address::InvalidEmail, password::Password};
use crate::http::{security, security::Event};
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

/// Commits what a request with an email has changed. If the email is not to be sent, nothing changes, so that the links
/// of earlier ones still work. Counted last: a request that fails counts for nothing.
async fn commit(
    app: &App, ip: IpAddr, tx: Transaction, kind: &str, email: &EmailAddress,
) -> Result<(StatusCode, Json<Accepted>)> {
    if limits::allow_email(app, ip, kind, email).await? {
        tx.commit().await?;
    }
    Ok(ACCEPTED)
}

/// The body of a sign-up, and of the request of a password reset.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipient {
    #[schema(format = "email", max_length = 254, example = "ada@example.com")]
    email: String,
}

/// Signs up. The password is chosen later, by the link in the email. The response does not reveal whether the email has
/// an account.
#[utoipa::path(post, path = "/accounts", tag = "accounts", responses((status = 202, body = Accepted), (status = 429)))]
pub(super) async fn sign_up(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<Recipient>,
) -> Result<impl IntoResponse> {
    let email = email_address(&body.email)?;
    limits::check_credentials(&app, ip).await?;
    let mut tx = app.db.begin().await?;
    let sign_up = store::insert_sign_up(&mut tx, &email).await?;
    emails::enqueue(&mut tx, emails::SIGN_UP, email.as_str(), None, Some(sign_up)).await?;
    security::log(Event::SignUpRequested, None);
    commit(&app, ip, tx, emails::SIGN_UP, &email).await
}

/// The token of an email, and the password to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChosenPassword {
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    token: String,
    #[schema(min_length = 8, max_length = 128, example = "correct horse battery")]
    password: String,
}

/// What a token in an email of this kind is about. One that is malformed is rejected before the request counts.
async fn find_token(app: &App, ip: IpAddr, kind: &str, token: &str) -> Result<(Uuid, EmailAddress)> {
    if !tokens::is_well_formed(token) {
        return Err(Problem::InvalidToken);
    }
    limits::check_credentials(app, ip).await?;
    let (id, email) = tokens::find(&app.db, kind, token).await?.ok_or(Problem::InvalidToken)?;
    Ok((id, email_address(&email)?))
}

/// Confirms the email of a sign-up: creates the account, with the chosen password.
#[utoipa::path(post, path = "/verifications", tag = "accounts", responses((status = 204), (status = 429)))]
pub(super) async fn verify(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<ChosenPassword>,
) -> Result<StatusCode> {
    // Find the token before using it up: a weak password keeps the token valid, and an invalid token costs no hash.
    let (_, email) = find_token(&app, ip, emails::SIGN_UP, &body.token).await?;
    let password = new_password("password", body.password, &email)?;
    let hash = app.hasher.hash(password.into(), Turn::of(ip)).await?;
    confirm::sign_up(&app, &body.token, &email, &hash).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailConfirmation {
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    token: String,
}

/// Confirms a change of email.
#[utoipa::path(post, path = "/email-changes", tag = "accounts", responses((status = 204), (status = 429)))]
pub(super) async fn confirm_email(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<EmailConfirmation>,
) -> Result<StatusCode> {
    let (account_id, email) = find_token(&app, ip, emails::EMAIL_CHANGE, &body.token).await?;
    confirm::email_change(&app, &body.token, account_id, &email).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Requests a password reset. The response does not reveal whether the email has an account.
#[utoipa::path(post, path = "/password-resets", tag = "accounts", responses((status = 202, body = Accepted), (status = 429)))]
pub(super) async fn request_reset(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<Recipient>,
) -> Result<impl IntoResponse> {
    let email = email_address(&body.email)?;
    limits::check_credentials(&app, ip).await?;
    let mut tx = app.db.begin().await?;
    emails::enqueue(&mut tx, emails::RESET, email.as_str(), None, None).await?;
    security::log(Event::ResetRequested, None);
    commit(&app, ip, tx, emails::RESET, &email).await
}

/// Sets a new password by the token of a reset email.
#[utoipa::path(put, path = "/password-resets", tag = "accounts", responses((status = 204), (status = 429)))]
pub(super) async fn reset(
    State(app): State<App>, ClientIp(ip): ClientIp, Json(body): Json<ChosenPassword>,
) -> Result<StatusCode> {
    let (account_id, email) = find_token(&app, ip, emails::RESET, &body.token).await?;
    let password = new_password("password", body.password, &email)?;
    let hash = app.hasher.hash(password.into(), Turn::of(ip)).await?;
    confirm::reset(&app, &body.token, account_id, &email, &hash).await?;
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
async fn confirmed(app: &App, ip: IpAddr, current: &CurrentAccount, password: String) -> Result<Account> {
    let account = store::find(&app.db, current.account_id).await?.ok_or(Problem::SignedOut)?;
    // Rate-limited: a stolen session must not be used to guess the password.
    limits::check_sign_in(app, ip, &account.email).await?;
    if !sign_in::verify(app, password, Some(account.password_hash.clone()), Turn::Known).await? {
        security::log(Event::PasswordRejected, Some(account.id));
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
    let mut tx = app.db.begin().await?;
    let old = lock(&mut tx, &account).await?;
    let replaced = store::delete_email_change(&mut tx, account.id).await?;
    let change = store::insert_email_change(&mut tx, account.id, &email).await?;
    emails::enqueue(&mut tx, emails::EMAIL_CHANGE, email.as_str(), Some(account.id), Some(change)).await?;
    emails::enqueue(&mut tx, emails::EMAIL_CHANGE_REQUESTED, &old, Some(account.id), None).await?;
    // The link to another email is dead now.
    if let Some(other) = replaced.filter(|replaced| replaced != email.as_str()) {
        limits::forget_emails(&app, &email_address(&other)?).await?;
    }
    security::log(Event::EmailChangeRequested, Some(account.id));
    commit(&app, ip, tx, emails::EMAIL_CHANGE, &email).await
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
    let address = email_address(&account.email)?;
    let password = new_password("new_password", body.new_password, &address)?;
    let hash = app.hasher.hash(password.into(), Turn::Known).await?;
    let mut tx = app.db.begin().await?;
    let email = lock(&mut tx, &account).await?;
    store::set_password(&mut tx, account.id, &hash).await?;
    emails::enqueue(&mut tx, emails::PASSWORD_CHANGED, &email, Some(account.id), None).await?;
    limits::forget_emails(&app, &address).await?;
    // Before the commit: if the sessions cannot be revoked, nothing changes.
    sessions::store::revoke_all(&app.redis, account.id).await?;
    let (session, _) = sessions::store::create(&app, account.id, user_agent(&headers)).await?;
    tx.commit().await?;
    security::log(Event::PasswordChanged, Some(account.id));
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
    limits::forget_emails(&app, &email_address(&account.email)?).await?;
    sessions::store::revoke_all(&app.redis, account.id).await?;
    tx.commit().await?;
    security::log(Event::AccountErased, Some(account.id));
    let cookie = sessions::cookie(&app.config, None);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}
