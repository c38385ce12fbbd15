//! XII: what operators do with accounts.

use std::{error::Error, process::ExitCode};

use app::accounts::{email_address::EmailAddress, password::Password, store};
use app::services::postgres::{Postgres, Transaction};
use app::services::redis::Redis;
use app::{config::Config, hasher::Hasher, sessions};
use clap::Parser;
use uuid::Uuid;

const UNKNOWN: &str = "no account has this email";

/// Creates, disables, enables, erases and signs out accounts.
#[derive(Parser)]
enum Command {
    /// Creates an account without a confirmation; a password is made and printed.
    Create {
        /// The account's email.
        email: String,
        /// Reads the password from standard input instead.
        #[arg(long)]
        password: bool,
    },
    /// Signs an account out everywhere and lets it sign in no more.
    Disable { email: String },
    /// Lets a disabled account sign in again.
    Enable { email: String },
    /// Signs an account out everywhere and deletes it with all that is its own.
    Erase { email: String },
    /// Signs an account out everywhere.
    SignOut { email: String },
}

fn main() -> ExitCode {
    app::admin::run(act)
}

async fn act(command: Command, config: Config) -> Result<String, Box<dyn Error>> {
    let (db, redis) = (Postgres::new(&config)?, Redis::new(&config)?);
    let mut tx = db.begin().await?;
    let signed_out = match command {
        Command::Create { email, password } => create(&mut tx, &parse(&email)?, password).await.map(|()| None)?,
        Command::Enable { email } => set_disabled(&mut tx, &email, false).await.map(|_| None)?,
        Command::Disable { email } => Some(set_disabled(&mut tx, &email, true).await?),
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

fn parse(email: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(email).map_err(|error| format!("the email {error}"))
}

async fn find(tx: &mut Transaction, email: &str) -> Result<Uuid, Box<dyn Error>> {
    let account = store::find_by_email(tx, &parse(email)?).await?;
    Ok(account.ok_or(UNKNOWN)?.id)
}

async fn set_disabled(tx: &mut Transaction, email: &str, disabled: bool) -> Result<Uuid, Box<dyn Error>> {
    let account = store::set_disabled(tx, &parse(email)?, disabled).await?;
    Ok(account.ok_or(UNKNOWN)?)
}

async fn create(tx: &mut Transaction, email: &EmailAddress, given: bool) -> Result<(), Box<dyn Error>> {
    let password = app::admin::password(given)?;
    let parsed = Password::parse(password.clone(), email).map_err(|error| format!("the password {error}"))?;
    let hash = Hasher::default().hash(parsed.into()).await?;
    let created = store::create(tx, email.as_str(), &hash).await?;
    created.ok_or("the email has an account already")?;
    if !given {
        println!("password: {password}");
    }
    Ok(())
}
