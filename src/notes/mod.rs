//! The demo domain: notes that one account writes and no other sees. `script/remove-demo` deletes it.

mod codec;
mod etag;
mod fields;
mod handlers;
mod image_store;
mod images;
mod key;
mod page;
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
