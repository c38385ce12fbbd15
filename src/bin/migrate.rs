//! V, XII: the release's own task: brings the database up to date.

use std::process::ExitCode;

use app::{admin, schema};
use clap::Parser;

/// Brings the database up to date. It can be run again, and many times at once.
#[derive(Parser)]
struct Args {
    /// Only tells which migrations are applied.
    #[arg(long)]
    status: bool,
}

fn main() -> ExitCode {
    admin::run(async |args: Args, config| {
        if !args.status {
            schema::migrate(&config).await?;
            return Ok("the database is up to date".into());
        }
        let lines = schema::status(&config).await?.into_iter().map(|(migration, applied)| {
            let state = if applied { "applied" } else { "pending" };
            format!("{state}\t{}\t{}\n", migration.version, migration.description)
        });
        Ok(lines.collect())
    })
}
