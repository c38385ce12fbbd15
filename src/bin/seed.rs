//! XII: puts in the database what a demo needs.

use std::process::ExitCode;

use app::admin;
use clap::Parser;

/// Makes the demo's account and what it shows. It can be run again: what is there is kept.
#[derive(Parser)]
struct Args {
    /// Reads the account's password from standard input; else one is made and printed.
    #[arg(long)]
    password: bool,
}

fn main() -> ExitCode {
    admin::run(async |args: Args, config| admin::seed(&config, args.password).await)
}
