//! VII, VIII: answers HTTP until told to stop.

use std::process::ExitCode;

use app::{process, web};

#[tokio::main]
async fn main() -> ExitCode {
    process::run("web", "Answers HTTP on PORT until it is told to stop", web::run).await
}
