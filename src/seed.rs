//! XII: the demo data.

use std::error::Error;

use crate::{accounts, config::Config, domains, services::postgres::Postgres};

/// The email of the account that `seed` makes.
pub const EMAIL: &str = "demo@example.com";

/// Creates the demo account with `password` and its data, in one transaction. Returns false if the account exists.
/// Errors: the password is too weak, or a service is unreachable.
pub async fn seed(config: &Config, password: String) -> Result<bool, Box<dyn Error>> {
    let mut tx = Postgres::new(config)?.begin().await?;
    let Some(account) = accounts::create(&mut tx, &EMAIL.parse()?, password).await? else { return Ok(false) };
    domains::seed(&mut tx, config, account).await?;
    tx.commit().await?;
    Ok(true)
}
