//! The jobs of images: make previews, and delete orphans in storage.

use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{codec, codec::MAX_BYTES, image_store, objects::path, objects::put};
use crate::{jobs::Failure, jobs::Job, state::App};

/// Makes the preview of an image.
#[derive(Deserialize, Serialize)]
pub(super) struct PreviewImage {
    pub(super) key: Uuid,
}

impl Job for PreviewImage {
    const NAME: &'static str = "preview_image";

    async fn run(self, app: App) -> Result<(), Failure> {
        let Self { key } = self;
        if !image_store::has_image(&app.db, key).await? {
            return Ok(());
        }
        let mut room = codec::Room::default();
        room.grow(4 * MAX_BYTES).await;
        let object = app.storage.bucket.get(&path(key, "")).await.map_err(retry)?;
        if object.meta.size > 4 * MAX_BYTES as u64 {
            return Err(Failure::Dead("the image is too large for a preview".into()));
        }
        let bytes = object.bytes().await.map_err(retry)?;
        let preview = codec::normalize(bytes, codec::PREVIEW, room).await.map_err(retry)?;
        let content_type = preview.content_type;
        put(&app.storage, key, "-preview", preview).await.map_err(retry)?;
        if !image_store::set_preview(&app.db, key, content_type).await? {
            // The image was deleted meanwhile; delete its preview, too.
            app.storage.bucket.delete(&path(key, "-preview")).await.map_err(retry)?;
        }
        Ok(())
    }
}

/// Deletes orphans in storage. A trigger adds it when an image is deleted; the schedule finds aborted uploads.
#[derive(Deserialize, Serialize)]
pub(super) struct SweepImages {}

impl Job for SweepImages {
    const NAME: &'static str = "sweep_images";

    /// Deletes the objects first and the row last, so that an aborted run can be repeated.
    async fn run(self, app: App) -> Result<(), Failure> {
        loop {
            let keys = image_store::due_uploads(&app.db).await?;
            if keys.is_empty() {
                return Ok(());
            }
            for key in &keys {
                for suffix in ["", "-preview"] {
                    match app.storage.bucket.delete(&path(*key, suffix)).await {
                        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                        Err(error) => return Err(retry(error)),
                    }
                }
                image_store::delete_upload(&app.db, *key).await?;
            }
        }
    }
}

fn retry(error: impl std::fmt::Display) -> Failure {
    Failure::Retry(error.to_string())
}
