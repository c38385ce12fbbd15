//! The pages that links in letters open. The token stands in the fragment, which no server is told, and
//! nothing is spent before a click: programs that look at links first do no harm.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::{Router, response::IntoResponse, routing::get};

use crate::state::App;

/// The pages and what they load.
pub fn pages() -> Router<App> {
    const HTML: &str = "text/html; charset=utf-8";
    let verify = || async { page(HTML, include_str!("assets/verify.html")) };
    let reset = || async { page(HTML, include_str!("assets/reset.html")) };
    let script = || async { page("text/javascript; charset=utf-8", include_str!("assets/letters.js")) };
    let style = || async { page("text/css; charset=utf-8", include_str!("assets/letters.css")) };
    Router::new()
        .route("/verify", get(verify))
        .route("/reset", get(reset))
        .route("/assets/letters.js", get(script))
        .route("/assets/letters.css", get(style))
}

fn page(kind: &'static str, body: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], body)
}
