//! XII: what a demo needs in the database.

use std::error::Error;

use crate::{accounts, config::Config, domains, services::postgres::Postgres};

/// The email of the account that `seed` makes.
pub const EMAIL: &str = "demo@example.com";

/// Makes the demo's account with `password` and what it shows, all or nothing. Answers whether it was not there before.
/// Errors: the password is too weak, or a service is unreachable.
pub async fn seed(config: &Config, password: String) -> Result<bool, Box<dyn Error>> {
    let mut tx = Postgres::new(config)?.begin().await?;
    let Some(account) = accounts::create(&mut tx, &EMAIL.parse()?, password).await? else {
        return Ok(false);
    };
    domains::seed(&mut tx, config, account).await?;
    tx.commit().await?;
    Ok(true)
}
