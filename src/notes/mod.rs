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
mod seed;
mod store;
mod work;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::App;

pub(crate) use seed::seed;
pub(crate) use work::jobs;

/// The routes, below the API's prefix.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(handlers::index, handlers::create))
        .routes(routes!(handlers::show, handlers::update, handlers::destroy))
        .routes(routes!(images::show, images::update, images::destroy))
}
