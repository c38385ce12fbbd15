//! XII Admin processes: what the one-off tasks share.

use std::{io::Read, path::Path, process::ExitCode};

use clap::{Command, Parser};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{config, config::Config, release, seed, services};

/// The error of an admin task: a sentence for the operator.
pub type Error = Box<dyn std::error::Error>;

/// Runs an admin task: parses arguments, reads the config, runs `task`, and prints its result on stdout or its error on
/// stderr.
pub fn run<A: Parser>(task: impl AsyncFnOnce(A, Config) -> Result<String, Error>) -> ExitCode {
    let args = parse();
    run_with(async |config| task(args, config).await)
}

/// Runs an admin task whose arguments are parsed already.
pub fn run_with(task: impl AsyncFnOnce(Config) -> Result<String, Error>) -> ExitCode {
    let ended = Config::from_env().map_err(Error::from).and_then(|config| {
        release::start("admin");
        let runtime = Runtime::new()?;
        let result = runtime.block_on(task(config));
        // Does not wait for a DNS lookup that is still running.
        runtime.shutdown_background();
        result
    });
    match ended {
        Ok(text) => text.lines().for_each(|line| println!("{line}")),
        Err(error) => {
            error.to_string().lines().for_each(|line| eprintln!("error: {line}"));
            return ExitCode::from(code(error.as_ref()));
        }
    }
    ExitCode::SUCCESS
}

/// The exit code for `error`: a URL that its client rejects is a config error, too.
pub(crate) fn code(error: &(dyn std::error::Error + 'static)) -> u8 {
    let rejected = matches!(error.downcast_ref(), Some(services::Error::Rejected { .. }));
    if rejected || error.is::<config::Errors>() { config::EXIT_CODE } else { 1 }
}

/// Parses the program's arguments; exits after `--help`, `--version` or an invalid one.
pub fn parse<A: Parser>() -> A {
    let matches = with_name(A::command()).get_matches();
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The password from standard input, if `given`; else a random one.
/// Errors: standard input cannot be read.
pub fn password(given: bool) -> Result<String, Error> {
    if !given {
        return Ok(Uuid::new_v4().simple().to_string());
    }
    let text = std::io::read_to_string(std::io::stdin().take(4_096))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Seeds the database. Returns what was created, with the account's password unless it was `given`.
/// Errors: the password is too weak, or a service is unreachable.
pub async fn seed(config: &Config, given: bool) -> Result<String, Error> {
    let password = password(given)?;
    Ok(match seed::seed(config, password.clone()).await? {
        true if given => format!("created {}", seed::EMAIL),
        true => format!("created {}, password: {password}", seed::EMAIL),
        false => format!("{} already exists", seed::EMAIL),
    })
}

/// Handles `--help` and `--version` of a program that has no other argument, and rejects others.
pub fn describe(about: &'static str) {
    with_name(Command::new("app").about(about)).get_matches();
}

/// The command with the program's name, not the package's, and its version, which needs no config.
fn with_name(command: Command) -> Command {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
    let release::Version { version, commit, release, .. } = release::of("admin");
    let version = format!("{version} (commit {commit}, release {release})");
    command.display_name(name).version(version)
}
