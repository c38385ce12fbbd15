//! The demo's page: what the service does, and its factors while it does it. To delete it, delete this folder,
//! `tests/demo`, and the lines in `lib.rs` and `http/mod.rs` that name it.

mod live;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::{Router, routing::get};

use crate::state::App;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// The page and all that it loads: nothing comes from anywhere else, and nothing has to be built.
const FILES: [(&str, &str, &str); 15] = [
    ("/", HTML, include_str!("index.html")),
    // Where browsers look on every page that names no icon of its own.
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

/// The page.
pub(crate) fn pages() -> Router<App> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(async move || ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text)))
    })
}

/// What the page asks for beside the public API, below the API's prefix.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/live", get(live::show))
}
