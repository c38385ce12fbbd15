//! XII Admin processes: operates on accounts.

use std::{error::Error, process::ExitCode};

use app::accounts::{self, email_address::EmailAddress, store};
use app::{config::Config, services::postgres::Postgres, services::redis::Redis, sessions};
use clap::Parser;

const UNKNOWN: &str = "no account has this email";

/// Creates, disables, enables, erases and signs out accounts.
#[derive(Parser)]
enum Command {
    /// Creates an account without confirming its email; prints a random password.
    Create {
        /// The account's email.
        email: EmailAddress,
        /// Reads the password from standard input instead of printing a random one.
        #[arg(long)]
        password: bool,
    },
    /// Signs an account out everywhere and disables sign-in.
    Disable {
        /// The account's email.
        email: EmailAddress,
    },
    /// Enables sign-in of a disabled account.
    Enable {
        /// The account's email.
        email: EmailAddress,
    },
    /// Signs an account out everywhere and deletes it with all its data.
    Erase {
        /// The account's email.
        email: EmailAddress,
    },
    /// Signs an account out everywhere.
    SignOut {
        /// The account's email.
        email: EmailAddress,
    },
}

fn main() -> ExitCode {
    app::admin::run(run)
}

async fn run(command: Command, config: Config) -> Result<String, Box<dyn Error>> {
    let (db, redis) = (Postgres::new(&config)?, Redis::new(&config)?);
    let (mut tx, mut output) = (db.begin().await?, "done".to_owned());
    let signed_out = match command {
        Command::Create { email, password: given } => {
            let password = app::admin::password(given)?;
            let created = accounts::create(&mut tx, &email, password.clone()).await?;
            created.ok_or("the email has an account already")?;
            output = if given { output } else { format!("password: {password}\ndone") };
            None
        }
        Command::Enable { email } => store::set_disabled(&mut tx, &email, false).await?.map(|_| None).ok_or(UNKNOWN)?,
        Command::Disable { email } => Some(store::set_disabled(&mut tx, &email, true).await?.ok_or(UNKNOWN)?),
        Command::Erase { email } => {
            let account = store::find_by_email(&db, &email).await?.ok_or(UNKNOWN)?.id;
            store::erase(&mut tx, account).await?;
            Some(account)
        }
        Command::SignOut { email } => Some(store::find_by_email(&db, &email).await?.ok_or(UNKNOWN)?.id),
    };
    // Before the commit: a sign-in in flight waits for the row, and then sees the change.
    if let Some(account) = signed_out {
        sessions::store::revoke_all(&redis, account).await?;
    }
    tx.commit().await?;
    Ok(output)
}
