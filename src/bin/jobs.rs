//! XII Admin processes: lists, retries and discards jobs.

use std::process::ExitCode;

use app::{admin, jobs::admin as jobs, services::postgres::Postgres};
use clap::Parser;

const NOT_FOUND: &str = "no such job, or it is running";

/// Lists, retries and discards jobs of the queue.
#[derive(Parser)]
enum Command {
    /// Lists all jobs in the queue: waiting, running and dead.
    List {
        /// Only dead jobs: those that have failed for good.
        #[arg(long)]
        dead: bool,
    },
    /// Runs a job, or every dead job, again now, and resets its attempts.
    #[group(required = true, multiple = false)]
    Retry {
        /// The job's id, from `jobs list`.
        id: Option<i64>,
        /// Every dead job.
        #[arg(long)]
        dead: bool,
    },
    /// Deletes a job that is not running.
    Discard {
        /// The job's id, from `jobs list`.
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
                count => Ok(format!("jobs due now: {count}")),
            },
            Command::Discard { id } if jobs::discard(&db, id).await? => Ok("discarded".into()),
            Command::Discard { .. } => Err(NOT_FOUND.into()),
        }
    })
}
