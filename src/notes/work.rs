//! What is done for images behind the scenes: previews are made, and the files of nobody deleted.

use graphile_worker::{Cron, IntoTaskHandlerResult, TaskHandler, WorkerContext, WorkerOptions};
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::codec::{self, MAX_BYTES};
use super::image_store;
use super::images::{path, put};
use crate::jobs::Failure;
use crate::{state::App, worker::attempt};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Tells the worker what jobs notes have.
pub(crate) fn jobs(options: WorkerOptions) -> Result<WorkerOptions, Error> {
    let options = options.define_job::<PreviewImage>().define_job::<SweepImages>();
    Ok(options.with_cron(Cron::every_n_minutes::<SweepImages>(10)?))
}

#[derive(Deserialize, Serialize)]
struct PreviewImage {
    key: Uuid,
}

impl TaskHandler for PreviewImage {
    const IDENTIFIER: &'static str = "preview_image";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        attempt(context, move |app| async move { preview(&app, self.key).await }).await
    }
}

async fn preview(app: &App, key: Uuid) -> Result<(), Failure> {
    if !image_store::has_image(&app.db, key).await? {
        return Ok(());
    }
    let permit = codec::permit(4 * MAX_BYTES).await;
    let file = app.storage.bucket.get(&path(key, "")).await.map_err(retry)?;
    if file.meta.size > 4 * MAX_BYTES as u64 {
        return Err(Failure::Dead("the image is too large for a preview".into()));
    }
    let bytes = file.bytes().await.map_err(retry)?;
    let preview = codec::normalize(bytes, codec::PREVIEW, permit).await.map_err(retry)?;
    let content_type = preview.content_type;
    put(&app.storage, key, "-preview", preview).await.map_err(retry)?;
    if !image_store::set_preview(&app.db, key, content_type).await? {
        // The image went meanwhile, and its files with it.
        app.storage.bucket.delete(&path(key, "-preview")).await.map_err(retry)?;
    }
    Ok(())
}

#[derive(Deserialize, Serialize)]
struct SweepImages {}

impl TaskHandler for SweepImages {
    const IDENTIFIER: &'static str = "sweep_images";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        attempt(context, |app| async move { sweep(&app).await }).await
    }
}

/// Deletes the files first and what tells of them last, so that it can be broken off anywhere.
async fn sweep(app: &App) -> Result<(), Failure> {
    loop {
        let keys = image_store::due_files(&app.db).await?;
        if keys.is_empty() {
            return Ok(());
        }
        for key in &keys {
            for mark in ["", "-preview"] {
                match app.storage.bucket.delete(&path(*key, mark)).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(retry(error)),
                }
            }
        }
        image_store::forget_files(&app.db, &keys).await?;
    }
}

fn retry(error: impl std::fmt::Display) -> Failure {
    Failure::Retry(error.to_string())
}
