//! XII: an operator's hand in the accounts.

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;

use app::accounts::email::EmailAddress;
use app::accounts::password::{Hasher, Password};
use app::accounts::store;
use app::config::Config;
use app::http::problem::Problem;
use app::services::{self, Limited};
use app::sessions;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Parser, Subcommand};
use sqlx::PgPool;
use uuid::Uuid;

/// Creates, disables, enables, erases and signs out accounts.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
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
    Disable {
        /// The account's address.
        email: String,
    },
    /// Lets a disabled account sign in again.
    Enable {
        /// The account's address.
        email: String,
    },
    /// Signs an account out everywhere and deletes it with all that is its own.
    Erase {
        /// The account's address.
        email: String,
    },
    /// Signs an account out everywhere.
    SignOut {
        /// The account's address.
        email: String,
    },
}

fn main() -> ExitCode {
    app::admin::run(async |args: Args, config| act(args.command, config).await)
}

async fn act(command: Command, config: Config) -> Result<(), Box<dyn Error>> {
    let db = services::database(&config)?;
    match command {
        Command::Create { email, password } => create(&db, &parse(&email)?, password).await?,
        Command::Disable { email } => disable(&db, &config, &parse(&email)?).await?,
        Command::Enable { email } => enable(&db, &parse(&email)?).await?,
        Command::Erase { email } => erase(&db, &config, &parse(&email)?).await?,
        Command::SignOut { email } => {
            let account = find(&db, &parse(&email)?).await?;
            sessions::store::end_all(&services::redis(&config)?, account).await?;
        }
    }
    println!("done");
    Ok(())
}

fn parse(email: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(email).map_err(sentence)
}

/// A problem's own text is for a client's developers.
fn sentence(problem: Problem) -> String {
    match problem {
        Problem::Invalid(errors) => {
            let errors =
                errors.iter().map(|error| format!("the {} {}", error.field, error.message));
            errors.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

async fn find(db: &PgPool, email: &EmailAddress) -> Result<Uuid, Box<dyn Error>> {
    let account = store::find_by_email(db, email).await?;
    Ok(account.ok_or("no account has this address")?.id)
}

async fn create(db: &PgPool, email: &EmailAddress, given: bool) -> Result<(), Box<dyn Error>> {
    let password = if given { read()? } else { random()? };
    let parsed = Password::parse("password", password.clone(), email).map_err(sentence)?;
    let hash = Hasher::default().hash(parsed.into()).await.map_err(sentence)?;
    let mut tx = db.begin().limited().await?;
    let created = store::create(&mut tx, email.as_str(), &hash).await?;
    created.ok_or("the address has an account already")?;
    tx.commit().limited().await?;
    if !given {
        println!("password: {password}");
    }
    Ok(())
}

fn read() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(4_096).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

async fn disable(db: &PgPool, config: &Config, email: &EmailAddress) -> Result<(), Box<dyn Error>> {
    let mut tx = db.begin().limited().await?;
    let account = store::set_disabled(&mut tx, email, true).await?;
    let account = account.ok_or("no account has this address")?;
    // Before the commit, so that a sign-in under way waits, and then sees that it is disabled.
    sessions::store::end_all(&services::redis(config)?, account).await?;
    tx.commit().limited().await?;
    Ok(())
}

async fn enable(db: &PgPool, email: &EmailAddress) -> Result<(), Box<dyn Error>> {
    let mut tx = db.begin().limited().await?;
    let account = store::set_disabled(&mut tx, email, false).await?;
    account.ok_or("no account has this address")?;
    tx.commit().limited().await?;
    Ok(())
}

async fn erase(db: &PgPool, config: &Config, email: &EmailAddress) -> Result<(), Box<dyn Error>> {
    let account = find(db, email).await?;
    let mut tx = db.begin().limited().await?;
    store::erase(&mut tx, account).await?;
    sessions::store::end_all(&services::redis(config)?, account).await?;
    tx.commit().limited().await?;
    Ok(())
}
