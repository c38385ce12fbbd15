//! Signing in, the list of devices, signing out.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::{extract::State, response::IntoResponse};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::{self, Session};
use super::{CurrentAccount, cookie, limit, presented};
use crate::accounts::{self, Credentials, email::EmailAddress, store::Account};
use crate::http::extract::{ClientIp, Json, Path, UserAgent};
use crate::{config::Config, http::Result, http::problem::Problem, state::App};

/// A signed-in device, as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Device {
    id: Uuid,
    current: bool,
    user_agent: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// All of an account's devices: never so many that they need pages.
#[derive(Serialize, ToSchema)]
pub(super) struct Devices {
    items: Vec<Device>,
    #[schema(required)]
    next: Option<String>,
}

impl Device {
    pub(crate) fn new(session: Session, current: Uuid) -> Self {
        let time = |at| OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self {
            id: session.id,
            current: session.id == current,
            user_agent: session.user_agent,
            created_at: time(session.created_at),
            expires_at: time(session.expires_at),
        }
    }
}

/// Signs in: always under a new id, whatever cookie came along.
#[utoipa::path(post, path = "/sessions", tag = "sessions",
    responses((status = 201, body = Device, headers(("Set-Cookie"))), (status = 401), (status = 429)))]
pub(super) async fn create(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    UserAgent(user_agent): UserAgent,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Result<impl IntoResponse> {
    let Credentials { email, password } = credentials;
    limit::sign_in(&app, ip, &email).await?;
    let account = authenticate(&app, &email, password).await?;
    let (value, session) = store::create(&app, account.id, &user_agent).await?;
    confirm(&app, &account, &session).await?;
    if let Some(old) = presented(&app.config, &headers) {
        store::end_presented(&app.redis, &old).await?;
    }
    limit::signed_in(&app, ip, &email).await?;
    tracing::info!(account.id = %account.id, "signed in");

    let id = session.id;
    Ok((
        StatusCode::CREATED,
        [(header::SET_COOKIE, cookie(&app.config, Some(&value)))],
        axum::Json(Device::new(session, id)),
    ))
}

/// Lists the account's devices.
#[utoipa::path(get, path = "/sessions", tag = "sessions", security(("session" = [])), responses((status = 200, body = Devices)))]
pub(super) async fn index(State(app): State<App>, current: CurrentAccount) -> Result<axum::Json<Devices>> {
    let sessions = store::list(&app.redis, current.account_id).await?;
    let devices = sessions.into_iter().map(|session| Device::new(session, current.session_id));
    Ok(axum::Json(Devices { items: devices.collect(), next: None }))
}

/// Signs this device out.
#[utoipa::path(delete, path = "/sessions/current", tag = "sessions", security(("session" = [])),
    responses((status = 204, headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub(super) async fn destroy_current(State(app): State<App>, current: CurrentAccount) -> Result<impl IntoResponse> {
    store::end_presented(&app.redis, &current.key).await?;
    Ok(signed_out(&app.config))
}

/// Signs every device out, this one included.
#[utoipa::path(delete, path = "/sessions", tag = "sessions", security(("session" = [])),
    responses((status = 204, headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub(super) async fn destroy_all(State(app): State<App>, current: CurrentAccount) -> Result<impl IntoResponse> {
    store::end_all(&app.redis, current.account_id).await?;
    Ok(signed_out(&app.config))
}

/// Signs one of the account's devices out.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions", security(("session" = [])), responses((status = 204)))]
pub(super) async fn destroy(
    State(app): State<App>,
    current: CurrentAccount,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    if !store::end(&app.redis, current.account_id, id).await? {
        return Err(Problem::NotFound);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The account, if the password is its own. Takes as long, and says the same, where there is no such
/// account, where it is disabled, and where the address is none.
async fn authenticate(app: &App, email: &str, password: String) -> Result<Account> {
    let found = match EmailAddress::parse(email) {
        Ok(address) => accounts::store::find_by_email(&app.db, &address).await?,
        Err(_) => None,
    };
    let hash = found.as_ref().map(|account| account.password_hash.clone());
    let right = app.hasher.verify(password, hash).await?;
    match found {
        Some(account) if right && !account.disabled => Ok(account),
        refused => Err(refuse(refused.map(|account| account.id))),
    }
}

/// Ends the new session if the account was disabled or erased, or its password changed, after it was
/// read: who did so ended the sessions that there were, and could not see this one.
async fn confirm(app: &App, account: &Account, session: &Session) -> Result<()> {
    let valid = accounts::store::still_valid(&app.db, account.id, &account.password_hash).await;
    if matches!(valid, Ok(true)) {
        return Ok(());
    }
    store::end(&app.redis, account.id, session.id).await?;
    valid?;
    Err(refuse(Some(account.id)))
}

fn refuse(account: Option<Uuid>) -> Problem {
    tracing::info!(account.id = account.map(tracing::field::display), "sign-in refused");
    Problem::WrongCredentials
}

/// 204, and the browser forgets the session and all that it kept of this site.
fn signed_out(config: &Config) -> impl IntoResponse + use<> {
    let forget = HeaderValue::from_static("\"cache\", \"storage\"");
    let headers = [(header::SET_COOKIE, cookie(config, None)), (HeaderName::from_static("clear-site-data"), forget)];
    (StatusCode::NO_CONTENT, headers)
}
