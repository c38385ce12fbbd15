//! XII: what the config is, without its secrets.

use std::process::ExitCode;

use app::{admin, config};
use clap::Parser;

/// Tells which variables there are, and what they are set to.
#[derive(Parser)]
enum Command {
    /// Prints every variable with its sentence, as in .env.example.
    Schema,
    /// Prints the effective config, secrets redacted.
    Show,
    /// Prints a hash of the effective config: equal where it is equal.
    Fingerprint,
}

fn main() -> ExitCode {
    match admin::parse() {
        // The schema is for those whose config is not right yet.
        Command::Schema => {
            print!("{}", config::schema());
            ExitCode::SUCCESS
        }
        Command::Show => admin::run_with(async |config| Ok(config.show())),
        Command::Fingerprint => admin::run_with(async |config| Ok(config.fingerprint())),
    }
}
