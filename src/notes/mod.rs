//! The demo domain: notes, private to their account. `script/remove-demo` deletes it.

mod fields;
mod params;
mod store;
mod handlers;
mod image_store;
mod codec;
mod objects;
mod jobs;
mod images;
mod seed;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{jobs::Task, state::App};

pub(crate) use seed::seed;

/// The routes, below the API's prefix.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(handlers::index, handlers::create))
        .routes(routes!(handlers::show, handlers::update, handlers::destroy))
        .routes(routes!(images::show, images::update, images::destroy))
}

/// The jobs of notes.
pub(crate) const JOBS: [Task; 2] = [Task::of::<jobs::PreviewImage>(), Task::of::<jobs::SweepImages>()];
