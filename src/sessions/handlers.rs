//! The handlers of the session routes: list devices, sign out. Sign-in is in `accounts`, which has the passwords.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::{extract::State, response::IntoResponse};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{CurrentAccount, cookie, store, store::Session};
use crate::http::{Result, cursor::Page, extract::Json, extract::Path, problem::Problem, security, security::Event};
use crate::{config::Config, state::App};

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

/// Lists the account's devices, on one page.
#[utoipa::path(get, path = "/sessions", tag = "sessions", security(("session" = [])), responses((status = 200, body = Page<Device>)))]
pub(super) async fn index(State(app): State<App>, current: CurrentAccount) -> Result<Json<Page<Device>>> {
    let sessions = store::list(&app.redis, current.account_id).await?;
    let devices = sessions.into_iter().map(|session| Device::new(session, current.session_id));
    Ok(Json(Page { items: devices.collect(), next: None }))
}

/// Signs this device out.
#[utoipa::path(delete, path = "/sessions/current", tag = "sessions", security(("session" = [])),
    responses((status = 204, headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub(super) async fn destroy_current(State(app): State<App>, current: CurrentAccount) -> Result<impl IntoResponse> {
    store::revoke_presented(&app.redis, &current.key).await?;
    security::log(Event::SignedOut, Some(current.account_id));
    Ok(signed_out(&app.config))
}

/// Signs every device out, this one included.
#[utoipa::path(delete, path = "/sessions", tag = "sessions", security(("session" = [])),
    responses((status = 204, headers(("Set-Cookie"), ("Clear-Site-Data")))))]
pub(super) async fn destroy_all(State(app): State<App>, current: CurrentAccount) -> Result<impl IntoResponse> {
    store::revoke_all(&app.redis, current.account_id).await?;
    security::log(Event::SignedOutEverywhere, Some(current.account_id));
    Ok(signed_out(&app.config))
}

/// Signs out one of the account's devices.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions", security(("session" = [])), responses((status = 204)))]
pub(super) async fn destroy(
    State(app): State<App>, current: CurrentAccount, Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    if !store::revoke(&app.redis, current.account_id, id).await? {
        return Err(Problem::NotFound);
    }
    security::log(Event::SignedOut, Some(current.account_id));
    Ok(StatusCode::NO_CONTENT)
}

/// 204; the browser deletes the session cookie, and its cache and storage of this site.
fn signed_out(config: &Config) -> impl IntoResponse + use<> {
    let forget = HeaderValue::from_static("\"cache\", \"storage\"");
    let headers = [(header::SET_COOKIE, cookie(config, None)), (HeaderName::from_static("clear-site-data"), forget)];
    (StatusCode::NO_CONTENT, headers)
}
