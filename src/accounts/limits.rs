//! The rate limits of requests that need no session. No limit on sign-in counts by account alone, so nobody can lock
//! the owner out.

use std::net::IpAddr;

use crate::{http::Result, http::limit, state::App};

const FIVE_MINUTES: u64 = 300;
const DAY: u64 = 86_400;

/// Counts a sign-in.
pub(super) async fn check_sign_in(app: &App, ip: IpAddr, email: &str) -> Result<()> {
    let limits = [
        (sign_in_key(ip, email), 10, FIVE_MINUTES),
        (limit::key("sign-in:network", &limit::network(ip)), 60, FIVE_MINUTES),
        (limit::key("sign-in:all", ""), 1_000, FIVE_MINUTES),
    ];
    limit::check(&app.redis, &limits).await
}

/// Resets the count of sign-ins to an account from a network, after one that succeeded.
pub(super) async fn reset_sign_in(app: &App, ip: IpAddr, email: &str) -> Result<()> {
    Ok(app.redis.run(redis::cmd("DEL").arg(sign_in_key(ip, email))).await?)
}

/// Counts a sign-up, a verification, or a password reset (its request and its completion).
pub(super) async fn check_credentials(app: &App, ip: IpAddr) -> Result<()> {
    let limits = [
        (limit::key("credentials:network", &limit::network(ip)), 60, FIVE_MINUTES),
        (limit::key("credentials:all", ""), 1_000, FIVE_MINUTES),
    ];
    limit::check(&app.redis, &limits).await
}

/// Counts an email that a request sends to an email address, whether or not that has an account.
pub(super) async fn check_emails(app: &App, email: &str) -> Result<()> {
    limit::check(&app.redis, &[(limit::key("emails", &folded(email)), 5, DAY)]).await
}

fn sign_in_key(ip: IpAddr, email: &str) -> String {
    limit::key("sign-in:account", &format!("{} {}", limit::network(ip), folded(email)))
}

fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}
