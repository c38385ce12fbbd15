//! The handlers of a note's image: its rows are in Postgres, its objects in storage.

use std::{sync::LazyLock, time::Duration};

use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
};
use axum::response::{IntoResponse, Response};
use axum::{body::Body, body::Bytes, extract::State, http::HeaderMap, http::StatusCode};
use futures_util::StreamExt;
use object_store::ObjectStoreExt;
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{codec, codec::Image, codec::MAX_BYTES, codec::Rejection, codec::Room, image_store, jobs::PreviewImage};
use super::{objects::path, objects::put, store, store::Note};
use crate::http::{Result, body, limit, problem::Problem};
use crate::{context, in_flight::InFlight, in_flight::Slot, jobs, sessions::CurrentAccount, state::App};
use crate::{http::etag::IfNoneMatch, http::extract::Path, http::extract::Query};

/// The deadline for the body of an upload.
const UPLOAD_LIMIT: Duration = Duration::from_secs(60);
/// The uploads of an account in flight. A static, as it limits the memory of this process.
static UPLOADS: LazyLock<InFlight> = LazyLock::new(|| InFlight::new(2, 0));
/// The images that are being sent: each has buffers of two connections.
static STREAMS: Semaphore = Semaphore::const_new(32);

/// Stores the image of a note, in place of an older one. The bytes decide its type, not the Content-Type.
#[utoipa::path(put, path = "/notes/{id}/image", tag = "notes", security(("session" = [])),
    request_body(content = File, content_type = "application/octet-stream", description = "A PNG, JPEG, WebP or GIF \
        of at most 10 MiB. The bytes decide its type, not the Content-Type."),
    responses((status = 200, body = Note, headers(("ETag"))), (status = 429)))]
pub(super) async fn update(
    State(app): State<App>, current: CurrentAccount, Path(id): Path<Uuid>, headers: HeaderMap, mut body: Body,
) -> Result<Note> {
    let account_id = current.account_id;
    let received = match admit(&app, account_id, id, &headers).await {
        Ok(slot) => match timeout(UPLOAD_LIMIT, body::read_into(&mut body, MAX_BYTES)).await {
            Ok(read) => read.map(|(bytes, room)| (bytes, room, slot)),
            Err(_) => Err(Problem::BodyTimeout),
        },
        Err(problem) => Err(problem),
    };
    let (bytes, room, _slot) = match received {
        Ok(received) => received,
        Err(problem) => {
            body::discard(&mut body).await;
            return Err(problem);
        }
    };
    let image = codec::normalize(bytes.into(), codec::FULL, room).await?;

    let (key, content_type) = (Uuid::new_v4(), image.content_type);
    let Image { width, height, .. } = image;
    tracing::info!(note.id = %id, content_type, width, height, "image received");
    image_store::insert_upload(&app.db, key).await?;
    put(&app.storage, key, "", image).await.map_err(Problem::Unavailable)?;
    let mut tx = app.db.begin().await?;
    let note = image_store::set_image(&mut tx, account_id, id, key, content_type).await?.ok_or(Problem::NotFound)?;
    jobs::enqueue(&mut tx, &PreviewImage { key }).await?;
    tx.commit().await?;
    Ok(note)
}

/// Checks an upload before its body is read.
async fn admit(app: &App, account_id: Uuid, id: Uuid, headers: &HeaderMap) -> Result<Slot> {
    limit::check(&app.redis, &[(limit::key("uploads", &account_id.to_string()), 60, 60)]).await?;
    store::find(&app.db, account_id, id).await?.ok_or(Problem::NotFound)?;
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BYTES) {
        return Err(Problem::TooLarge);
    }
    // One by one: a waiting upload would take a slot of its account's requests.
    UPLOADS.enter(account_id).await.ok_or(Problem::RateLimited(1))
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::NotAnImage => Self::UnsupportedMediaType("The content is not a PNG, JPEG, WebP or GIF image."),
            _ => Self::field("image", rejection.to_string()),
        }
    }
}

impl body::Room for Room {
    async fn grow(&mut self, _: usize, more: usize) -> Result<()> {
        Self::grow(self, more).await;
        Ok(())
    }
}

/// Raw bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "the contract shows it in place of a body")]
pub(super) struct File(Bytes);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// `preview` returns a small version, or the image itself until that exists.
    #[serde(default)]
    #[param(pattern = "^(preview)?$")]
    size: String,
}

/// Returns the image. With `size=preview` it returns a small version, or the image itself until that exists.
#[utoipa::path(get, path = "/notes/{id}/image", tag = "notes", security(("session" = [])),
    params(Params, ("If-None-Match" = Option<String>, Header, description = "The ETags of the versions that the client has.")),
    responses((status = 200, headers(("ETag"), ("Content-Disposition")), content(
                  (File = "image/jpeg"), (File = "image/png"))),
              (status = 304, headers(("ETag")))))]
pub(super) async fn show(
    State(app): State<App>, current: CurrentAccount, known: IfNoneMatch, Path(id): Path<Uuid>,
    Query(Params { size }): Query<Params>,
) -> Result<Response> {
    if !matches!(size.as_str(), "" | "preview") {
        return Err(Problem::field("size", "must be `preview`"));
    }
    let image = image_store::find_image(&app.db, current.account_id, id).await?.ok_or(Problem::NotFound)?;
    let (suffix, content_type) = match (size.as_str(), image.preview_type) {
        ("preview", Some(preview)) => ("-preview", preview),
        _ => ("", image.content_type),
    };
    let etag = format!("\"{}{suffix}\"", image.key);
    if known.has(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    let stream = STREAMS.try_acquire().map_err(|_| Problem::Busy)?;
    let file = app.storage.bucket.get(&path(image.key, suffix)).await;
    let file = file.map_err(|error| Problem::Unavailable(format!("storage: {error}")))?;
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_LENGTH, file.meta.size.to_string()),
        (ETAG, etag),
        (CACHE_CONTROL, "private, no-cache".to_owned()),
        (CONTENT_DISPOSITION, "inline".to_owned()),
        // Opened as a document, it can run nothing.
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    // Until all is sent, so that neither an account nor all of them have more than their part.
    let kept = (stream, context::kept());
    let bytes = file.into_stream().map(move |bytes| (bytes, &kept).0);
    Ok((headers, Body::from_stream(bytes)).into_response())
}

/// Deletes the image, if there is one.
#[utoipa::path(delete, path = "/notes/{id}/image", tag = "notes", security(("session" = [])), responses((status = 204)))]
pub(super) async fn destroy(
    State(app): State<App>, current: CurrentAccount, Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    if !image_store::delete_image(&app.db, current.account_id, id).await? {
        store::find(&app.db, current.account_id, id).await?.ok_or(Problem::NotFound)?;
    }
    Ok(StatusCode::NO_CONTENT)
}
