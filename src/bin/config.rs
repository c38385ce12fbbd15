//! XII Admin processes: shows the config, without secrets.

use std::process::ExitCode;

use app::{admin, config};
use clap::Parser;

/// Shows the environment variables and their values.
#[derive(Parser)]
enum Command {
    /// Prints every variable with its description, as in .env.example.
    Schema,
    /// Prints the effective config, secrets redacted.
    Show,
    /// Prints a hash of the effective config, to compare two deploys.
    Fingerprint,
}

fn main() -> ExitCode {
    match admin::parse() {
        // The schema must print while the config is still invalid.
        Command::Schema => {
            print!("{}", config::schema());
            ExitCode::SUCCESS
        }
        Command::Show => admin::run_with(async |config| Ok(config.show())),
        Command::Fingerprint => admin::run_with(async |config| Ok(config.fingerprint())),
    }
}
