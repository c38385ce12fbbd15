//! XII: puts in the database what a demo needs.

use std::process::ExitCode;

use app::{admin, release};

fn main() -> ExitCode {
    admin::describe("Makes the demo's account. It can be run again: what is there is kept");
    admin::run_with(async |config| {
        println!("{}", release::seed(&config).await?);
        Ok(())
    })
}
