//! XII Admin processes: creates the demo data.

use std::process::ExitCode;

use app::admin;
use clap::Parser;

/// Creates the demo account and its data, unless it exists. It is safe to run again.
#[derive(Parser)]
struct Args {
    /// Reads the account's password from standard input; the default is a random one, which is printed.
    #[arg(long)]
    password: bool,
}

fn main() -> ExitCode {
    admin::run(async |args: Args, config| admin::seed(&config, args.password).await)
}
