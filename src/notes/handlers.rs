//! The handlers of the note routes. Every statement has the account's id: a note of another account is not found.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::fields::{Changes, Draft, InvalidField, NewNote};
use super::params::Params;
use super::store::{self, Note};
use crate::http::cursor::{Page, Position};
use crate::http::etag::{IfMatch, IfNoneMatch, OUTDATED, etag};
use crate::http::extract::{Json, Path, Query};
use crate::http::idempotency::IdempotencyKey;
use crate::services::postgres::Transaction;
use crate::{accounts, http::Result, http::problem::Problem, sessions::CurrentAccount, state::App};

impl From<InvalidField> for Problem {
    fn from(error: InvalidField) -> Self {
        Self::field(error.name(), error.to_string())
    }
}

impl IntoResponse for Note {
    fn into_response(self) -> Response {
        ([(ETAG, etag(self.version))], Json(self)).into_response()
    }
}

const FULL: Problem =
    Problem::Rejected(409, "full", "This account has 1,000 notes, or 20 MB in them. Please delete some of them.");

/// Lists the account's notes, newest first. A page ends after 1 MiB, too.
#[utoipa::path(get, path = "/notes", tag = "notes", security(("session" = [])), params(Params),
    responses((status = 200, body = Page<Note>)))]
pub(super) async fn index(
    State(app): State<App>, current: CurrentAccount, Query(params): Query<Params>,
) -> Result<Json<Page<Note>>> {
    let list = params.parse(current.account_id)?;
    let (notes, more) = store::list(&app.db, &list).await?;
    Ok(Json(list.window.page_of(notes, more, |note| Position { created_at: note.created_at, id: note.id })))
}

/// Shows a note; 304 if the client has this version.
#[utoipa::path(get, path = "/notes/{id}", tag = "notes", security(("session" = [])),
    params(("If-None-Match" = Option<String>, Header, description = "The ETags of the versions that the client has.")),
    responses((status = 200, body = Note, headers(("ETag"))), (status = 304, headers(("ETag")))))]
pub(super) async fn show(
    State(app): State<App>, current: CurrentAccount, known: IfNoneMatch, Path(id): Path<Uuid>,
) -> Result<Response> {
    let note = store::find(&app.db, current.account_id, id).await?.ok_or(Problem::NotFound)?;
    if known.has(&etag(note.version)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag(note.version))]).into_response());
    }
    Ok(note.into_response())
}

/// Creates a note. Requests with the same Idempotency-Key create one.
#[utoipa::path(post, path = "/notes", tag = "notes", security(("session" = [])),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "Identifies the request, so that it can be retried: for 24 hours it creates one note.")),
    responses((status = 201, body = Note, headers(("ETag"), ("Location"))),
              (status = 409, description = "`urn:problem:full`: the account has 1,000 notes, or 20 MB in them.")))]
pub(super) async fn create(
    State(app): State<App>, current: CurrentAccount, key: IdempotencyKey, Json(body): Json<NewNote>,
) -> Result<impl IntoResponse> {
    let draft = body.parse()?;
    let mut tx = app.db.begin().await?;
    // Concurrent creations of one account queue here, so that a key is used once and the count is exact.
    let account = accounts::store::lock(&mut tx, current.account_id, None).await?;
    account.ok_or(Problem::SignedOut)?;
    let note = insert_once(&mut tx, current.account_id, &key, draft).await?;
    tx.commit().await?;
    let location = format!("/api/v1/notes/{}", note.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], note))
}

async fn insert_once(tx: &mut Transaction, account_id: Uuid, key: &IdempotencyKey, draft: Draft) -> Result<Note> {
    let hash = draft.hash();
    if let Some(created) = key.find(tx, account_id, &hash).await? {
        return Ok(Note::new(created.resource_id, created.created_at, draft));
    }
    let note = store::insert(tx, account_id, &draft).await?.ok_or(FULL)?;
    key.insert(tx, account_id, &hash, note.id).await?;
    Ok(note)
}

/// Changes a note, if its version matches If-Match.
#[utoipa::path(patch, path = "/notes/{id}", tag = "notes", security(("session" = [])),
    params(("If-Match" = Option<String>, Header, description = "The ETag of the version that the client has seen.")),
    responses((status = 200, body = Note, headers(("ETag"))), (status = 412),
              (status = 409, description = "`urn:problem:full`: the account has 20 MB in notes.")))]
pub(super) async fn update(
    State(app): State<App>, current: CurrentAccount, seen: IfMatch, Path(id): Path<Uuid>, Json(body): Json<Changes>,
) -> Result<Note> {
    let (title, body) = body.parse()?;
    // Requests in flight at the same time may exceed it a little.
    if body.is_some() && store::bytes(&app.db, current.account_id).await? > store::MAX_BYTES {
        return Err(FULL);
    }
    let note = store::update(&app.db, current.account_id, id, &seen, title.as_deref(), body.as_deref()).await?;
    match note {
        Some(note) => Ok(note),
        None => Err(not_changed(&app, current.account_id, id).await?),
    }
}

/// Deletes a note, if its version matches If-Match.
#[utoipa::path(delete, path = "/notes/{id}", tag = "notes", security(("session" = [])),
    params(("If-Match" = Option<String>, Header, description = "The ETag of the version that the client has seen.")),
    responses((status = 204), (status = 412)))]
pub(super) async fn destroy(
    State(app): State<App>, current: CurrentAccount, seen: IfMatch, Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    if store::delete(&app.db, current.account_id, id, &seen).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(not_changed(&app, current.account_id, id).await?)
}

/// The problem when no row was changed: the note does not exist, or has another version.
async fn not_changed(app: &App, account_id: Uuid, id: Uuid) -> Result<Problem> {
    let found = store::find(&app.db, account_id, id).await?;
    Ok(found.map_or(Problem::NotFound, |_| OUTDATED))
}
