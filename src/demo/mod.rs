//! The demo page: notes, and the twelve factors live. `script/remove-demo` deletes it.

mod live;

use axum::{response::IntoResponse, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{http::openapi::page, state::App};

const SCRIPT: &str = "text/javascript";
const STYLE: &str = "text/css";
const IMAGE: &str = "image/svg+xml";

/// Every asset of the page: none is from another host, and none has a build step.
const FILES: [(&str, &str, &str); 14] = [
    // The default path of browsers on every page without a link to an icon.
    ("/favicon.ico", IMAGE, include_str!("assets/icon.svg")),
    ("/assets/demo/base.css", STYLE, include_str!("assets/base.css")),
    ("/assets/demo/page.css", STYLE, include_str!("assets/page.css")),
    ("/assets/demo/factors.css", STYLE, include_str!("assets/factors.css")),
    ("/assets/demo/main.js", SCRIPT, include_str!("assets/main.js")),
    ("/assets/demo/dom.js", SCRIPT, include_str!("assets/dom.js")),
    ("/assets/demo/api.js", SCRIPT, include_str!("assets/api.js")),
    ("/assets/demo/forms.js", SCRIPT, include_str!("assets/forms.js")),
    ("/assets/demo/account.js", SCRIPT, include_str!("assets/account.js")),
    ("/assets/demo/notes.js", SCRIPT, include_str!("assets/notes.js")),
    ("/assets/demo/note.js", SCRIPT, include_str!("assets/note.js")),
    ("/assets/demo/editor.js", SCRIPT, include_str!("assets/editor.js")),
    ("/assets/demo/factors.js", SCRIPT, include_str!("assets/factors.js")),
    ("/assets/demo/strip.js", SCRIPT, include_str!("assets/strip.js")),
];

/// The page and its assets.
pub(crate) fn pages() -> OpenApiRouter<App> {
    FILES.into_iter().fold(OpenApiRouter::new().routes(routes!(index)), |router, (path, kind, text)| {
        router.route(path, get(async move || page(kind, text)))
    })
}

/// The demo: notes with images, and the service's factors live.
#[utoipa::path(get, path = "/", tag = "pages", responses((status = 200, content_type = "text/html", body = str)))]
async fn index() -> impl IntoResponse {
    page("text/html", include_str!("index.html"))
}

/// The routes of the page beside the public API, below the prefix of the API.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live::show))
}
