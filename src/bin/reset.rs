//! XII: empties the database, migrates and seeds it.

use std::process::ExitCode;

use app::{admin, schema};

fn main() -> ExitCode {
    admin::describe("Empties, migrates and seeds the database, which ALLOW_RESET must name");
    admin::run_with(async |config| {
        schema::reset(&config).await?;
        println!("database emptied and migrated");
        admin::seed(&config, false).await
    })
}
