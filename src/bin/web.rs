//! VII, VIII: the web process.

use std::process::ExitCode;

use app::{process, web};

#[tokio::main]
async fn main() -> ExitCode {
    process::run("web", "Serves HTTP on PORT until SIGTERM or Ctrl-C", web::run).await
}
