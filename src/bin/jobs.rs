//! XII: what operators see of the queue, and how they step in.

use std::process::ExitCode;

use app::{admin, jobs::admin as jobs, services::postgres::Postgres};
use clap::Parser;

const NOT_FOUND: &str = "no such job, or it is running";

/// Shows, retries and discards jobs.
#[derive(Parser)]
enum Command {
    /// Lists the jobs that are not done.
    List {
        /// Only those that have failed for good.
        #[arg(long)]
        dead: bool,
    },
    /// Makes a job, or every dead one, due now with all its attempts.
    #[group(required = true, multiple = false)]
    Retry {
        /// The job's number.
        id: Option<i64>,
        /// Every job that has failed for good.
        #[arg(long)]
        dead: bool,
    },
    /// Deletes a job that is not running.
    Discard {
        /// The job's number.
        id: i64,
    },
}

fn main() -> ExitCode {
    admin::run(async |command, config| {
        let db = Postgres::new(&config)?;
        match command {
            Command::List { dead } => {
                Ok(format!("ID\tTASK\tATTEMPTS\tDUE\tLAST ERROR\n{}", jobs::list(&db, dead).await?.join("\n")))
            }
            Command::Retry { id, .. } => match jobs::retry(&db, id).await? {
                0 if id.is_some() => Err(NOT_FOUND.into()),
                count => Ok(format!("{count} due now")),
            },
            Command::Discard { id } => match jobs::discard(&db, id).await? {
                true => Ok("discarded".into()),
                false => Err(NOT_FOUND.into()),
            },
        }
    })
}
