//! XII: what a demo needs in the database.

use std::error::Error;

use crate::accounts::{email_address::EmailAddress, password::Password, store};
use crate::{config::Config, domains, hasher::Hasher, services::postgres::Postgres};

/// The email of the account that `seed` makes.
pub const EMAIL: &str = "demo@example.com";

/// Makes the demo's account with `password` and what it shows, all or nothing. Answers whether it was not there before.
/// Errors: the password is too weak, or a service is unreachable.
pub async fn seed(config: &Config, password: String) -> Result<bool, Box<dyn Error>> {
    let email = EmailAddress::parse(EMAIL)?;
    let password = Password::parse(password, &email).map_err(|error| format!("the password {error}"))?;
    let hash = Hasher::default().hash(password.into()).await?;
    let mut tx = Postgres::new(config)?.begin().await?;
    let Some(account) = store::create(&mut tx, EMAIL, &hash).await? else {
        return Ok(false);
    };
    domains::seed(&mut tx, config, account).await?;
    tx.commit().await?;
    Ok(true)
}
