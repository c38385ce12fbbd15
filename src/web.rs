//! VII, VIII: the process that answers HTTP.

use tokio_util::sync::CancellationToken;

use crate::{domains, http, server, state::App};

/// Answers requests until `stop`, then drains. Errors: the port cannot be bound.
pub async fn run(app: App, stop: CancellationToken) -> server::Result<()> {
    let router = http::router(app.clone(), domains::routes);
    server::run(app, router, stop).await
}
