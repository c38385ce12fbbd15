//! The demo domain: notes that one account writes and no other sees. To delete it, delete this folder, its
//! migration, its tests, and the lines in `lib.rs`, `http/mod.rs`, `worker.rs` and `tests/factors/main.rs` that name it.

mod etag;
mod fields;
mod handlers;
mod image_store;
mod images;
mod key;
mod page;
mod picture;
mod store;
mod work;

use axum::Router;
use axum::routing::{get, put};

use crate::state::App;
pub(crate) use work::jobs;

/// The routes, below the API's prefix.
pub(crate) fn routes() -> Router<App> {
    let one = get(handlers::show).patch(handlers::update).delete(handlers::destroy);
    let image = put(images::update).get(images::show).delete(images::destroy);
    Router::new()
        .route("/notes", get(handlers::index).post(handlers::create))
        .route("/notes/{id}", one)
        .route("/notes/{id}/image", image)
}
