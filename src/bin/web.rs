//! VII, VIII: answers HTTP until told to stop.

use std::process::ExitCode;

use app::{http, server};

#[tokio::main]
async fn main() -> ExitCode {
    server::process("web", "Answers HTTP on PORT until it is told to stop", async |app, stop| {
        server::run(app.clone(), http::router(app), stop).await
    })
    .await
}
