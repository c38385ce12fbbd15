//! XII: what operators do with accounts.

use std::{error::Error, process::ExitCode};

use app::accounts::{self, email_address::EmailAddress, store};
use app::{
    config::Config, services::postgres::Postgres, services::postgres::Transaction, services::redis::Redis, sessions,
};
use clap::Parser;
use uuid::Uuid;

const UNKNOWN: &str = "no account has this email";

/// Creates, disables, enables, erases and signs out accounts.
#[derive(Parser)]
enum Command {
    /// Creates an account without a confirmation; a password is made and printed.
    Create {
        /// The account's email.
        email: EmailAddress,
        /// Reads the password from standard input instead.
        #[arg(long)]
        password: bool,
    },
    /// Signs an account out everywhere and lets it sign in no more.
    Disable { email: EmailAddress },
    /// Lets a disabled account sign in again.
    Enable { email: EmailAddress },
    /// Signs an account out everywhere and deletes it with all that is its own.
    Erase { email: EmailAddress },
    /// Signs an account out everywhere.
    SignOut { email: EmailAddress },
}

fn main() -> ExitCode {
    app::admin::run(act)
}

async fn act(command: Command, config: Config) -> Result<String, Box<dyn Error>> {
    let (db, redis) = (Postgres::new(&config)?, Redis::new(&config)?);
    let mut tx = db.begin().await?;
    let signed_out = match command {
        Command::Create { email, password } => create(&mut tx, &email, password).await.map(|()| None)?,
        Command::Enable { email } => store::set_disabled(&mut tx, &email, false).await?.map(|_| None).ok_or(UNKNOWN)?,
        Command::Disable { email } => Some(store::set_disabled(&mut tx, &email, true).await?.ok_or(UNKNOWN)?),
        Command::Erase { email } => {
            let account = find(&mut tx, &email).await?;
            store::erase(&mut tx, account).await?;
            Some(account)
        }
        Command::SignOut { email } => Some(find(&mut tx, &email).await?),
    };
    // Before the commit, so that a sign-in in flight waits, and then sees the change.
    if let Some(account) = signed_out {
        sessions::store::revoke_all(&redis, account).await?;
    }
    tx.commit().await?;
    Ok("done".into())
}

async fn find(tx: &mut Transaction, email: &EmailAddress) -> Result<Uuid, Box<dyn Error>> {
    Ok(store::find_by_email(tx, email).await?.ok_or(UNKNOWN)?.id)
}

async fn create(tx: &mut Transaction, email: &EmailAddress, given: bool) -> Result<(), Box<dyn Error>> {
    let password = app::admin::password(given)?;
    let created = accounts::create(tx, email, password.clone()).await?;
    created.ok_or("the email has an account already")?;
    if !given {
        println!("password: {password}");
    }
    Ok(())
}
