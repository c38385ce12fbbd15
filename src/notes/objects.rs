//! The objects of images in storage.

use std::time::Duration;

use object_store::{ObjectStoreExt, PutPayload, path};
use tokio::time::timeout;
use uuid::Uuid;

use super::codec::Image;
use crate::services::s3::Storage;

/// The timeout to store an object.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// Stores an object; `suffix` distinguishes the objects of one key. Errors: a message for the log.
pub(super) async fn put(storage: &Storage, key: Uuid, suffix: &str, image: Image) -> Result<(), String> {
    let (path, bytes) = (path(key, suffix), PutPayload::from(image.bytes));
    match timeout(STORE_TIMEOUT, storage.bucket.put(&path, bytes)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("storage: {error}")),
        Err(_) => Err("storage: storing an object timed out".into()),
    }
}

pub(super) fn path(key: Uuid, suffix: &str) -> path::Path {
    path::Path::from(format!("notes/{key}{suffix}"))
}
