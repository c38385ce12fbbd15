//! The objects of images in storage.

use std::time::Duration;

use object_store::{ObjectStoreExt, PutPayload, path};
use tokio::time::timeout;
use uuid::Uuid;

use super::codec::Image;
use crate::services::s3::Storage;

/// How long an object may take to be stored.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// Stores an object; `suffix` tells the objects of one key apart. Errors: why not, for the log.
pub(super) async fn put(storage: &Storage, key: Uuid, suffix: &str, image: Image) -> Result<(), String> {
    let (path, bytes) = (path(key, suffix), PutPayload::from(image.bytes));
    match timeout(STORE_TIMEOUT, storage.bucket.put(&path, bytes)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("storage: {error}")),
        Err(_) => Err("storage: an object was not stored in time".into()),
    }
}

pub(super) fn path(key: Uuid, suffix: &str) -> path::Path {
    path::Path::from(format!("notes/{key}{suffix}"))
}
