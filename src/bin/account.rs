//! XII: an operator's hand in the accounts.

use std::{error::Error, process::ExitCode};

use app::accounts::password::{Hasher, Password};
use app::admin::sentence;
use app::services::{self, Limited};
use app::{accounts::email::EmailAddress, accounts::store, config::Config, sessions};
use clap::Parser;
use sqlx::PgConnection;
use uuid::Uuid;

const UNKNOWN: &str = "no account has this address";

/// Creates, disables, enables, erases and signs out accounts.
#[derive(Parser)]
enum Command {
    /// Creates an account without a letter; a password is made and printed.
    Create {
        /// The account's address.
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
    let (db, redis) = (services::database(&config)?, services::redis(&config)?);
    let mut tx = db.begin().limited().await?;
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
    // Before the commit, so that a sign-in under way waits, and then sees the change.
    if let Some(account) = signed_out {
        sessions::store::end_all(&redis, account).await?;
    }
    tx.commit().limited().await?;
    Ok("done".into())
}

fn parse(email: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(email).map_err(sentence)
}

async fn find(conn: &mut PgConnection, email: &str) -> Result<Uuid, Box<dyn Error>> {
    let account = store::find_by_email(conn, &parse(email)?).await?;
    Ok(account.ok_or(UNKNOWN)?.id)
}

async fn set_disabled(conn: &mut PgConnection, email: &str, disabled: bool) -> Result<Uuid, Box<dyn Error>> {
    let account = store::set_disabled(conn, &parse(email)?, disabled).await?;
    Ok(account.ok_or(UNKNOWN)?)
}

async fn create(conn: &mut PgConnection, email: &EmailAddress, given: bool) -> Result<(), Box<dyn Error>> {
    let password = app::admin::password(given)?;
    let parsed = Password::parse("password", password.clone(), email).map_err(sentence)?;
    let hash = Hasher::default().hash(parsed.into()).await.map_err(sentence)?;
    let created = store::create(conn, email.as_str(), &hash).await?;
    created.ok_or("the address has an account already")?;
    if !given {
        println!("password: {password}");
    }
    Ok(())
}
