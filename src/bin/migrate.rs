//! V, XII: migrates the database; every release runs it first.

use std::process::ExitCode;

use app::{admin, schema};
use clap::Parser;

/// Applies pending migrations. It is safe to run it again, and from several processes at once.
#[derive(Parser)]
struct Args {
    /// Only lists the migrations, and whether each is applied.
    #[arg(long)]
    status: bool,
}

fn main() -> ExitCode {
    admin::run(async |args: Args, config| {
        if !args.status {
            return Ok(match schema::migrate(&config).await? {
                0 => "no pending migrations".to_owned(),
                count => format!("migrations applied: {count}"),
            });
        }
        let lines = schema::status(&config).await?.into_iter().map(|(migration, applied)| {
            let state = if applied { "applied" } else { "pending" };
            format!("{state}\t{}\t{}\n", migration.version, migration.description)
        });
        Ok(lines.collect())
    })
}
