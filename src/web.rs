//! VII, VIII: the process that serves HTTP.

use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::{domains, http, server, state::App};

/// Serves requests until `stop`, then drains. Errors: the port cannot be bound.
pub async fn run(app: App, stop: CancellationToken) -> server::Result<()> {
    let local = matches!(app.config.public_url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if !app.config.secure() && !local {
        tracing::warn!("PUBLIC_URL is not https: passwords and sessions are sent unencrypted");
    }
    let router = http::router(app.clone(), routes());
    server::run(app, router, stop).await
}

/// All routes, with their part of the OpenAPI contract.
pub fn routes() -> OpenApiRouter<App> {
    domains::routes().merge(http::routes())
}
