//! The rate limits of requests that need no session. A right password from one network is never rejected because of the
//! attempts of others.

use std::{net::IpAddr, sync::LazyLock};

use redis::Script;

use super::{email_address::EmailAddress, emails};
use crate::http::{Result, limit, limit::FIVE_MINUTES};
use crate::{network::network, network::wider_network, services::redis::digest, state::App};

/// The failures at one account in an hour after which unknown devices are slowed down.
const MANY_FAILURES: u32 = 100;

/// A static, as it is code.
static EMAILS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("emails.lua")));

/// Counts a sign-in.
pub(super) async fn check_sign_in(app: &App, ip: IpAddr, email: &str) -> Result<()> {
    let [network, wider] = limit::of_client("sign-in", ip);
    limit::check(&app.redis, &[(sign_in_key(ip, email), 10, FIVE_MINUTES), network, wider]).await
}

/// After many failures at an account each wider network has one attempt in ten seconds at it, in a burst of three: many
/// networks together must not guess its password. Known devices are exempt.
pub(super) async fn check_guesses(app: &App, ip: IpAddr, email: &str) -> Result<()> {
    let failures: Option<u32> = app.redis.run(redis::cmd("GET").arg(failures_key(email))).await?;
    if failures.unwrap_or(0) < MANY_FAILURES {
        return Ok(());
    }
    let subject = format!("{} {}", wider_network(ip), folded(email));
    limit::check(&app.redis, &[(limit::key("guesses", &subject), 3, 30)]).await
}

/// Counts a failed sign-in at an account, for an hour from the first.
pub(super) async fn count_failure(app: &App, email: &str) -> Result<()> {
    // A static, as it is code.
    static COUNT: LazyLock<Script> = LazyLock::new(|| {
        Script::new("if redis.call('INCR', KEYS[1]) == 1 then redis.call('EXPIRE', KEYS[1], 3600) end")
    });
    Ok(app.redis.invoke(&COUNT.key(failures_key(email))).await?)
}

fn failures_key(email: &str) -> String {
    limit::key("failures", &folded(email))
}

/// Resets the count of sign-ins to an account from a network, after one that succeeded.
pub(super) async fn reset_sign_in(app: &App, ip: IpAddr, email: &str) -> Result<()> {
    Ok(app.redis.run(redis::cmd("DEL").arg(sign_in_key(ip, email))).await?)
}

/// Counts a sign-up, a verification, or a password reset (its request and its completion).
pub(super) async fn check_credentials(app: &App, ip: IpAddr) -> Result<()> {
    limit::check(&app.redis, &limit::of_client("credentials", ip)).await
}

/// Counts an email with a link that a request sends, whether or not the recipient has an account. False: it is not to be
/// sent, and nobody is to notice. A network gets one in 10 minutes for a mailbox and kind, and the first one still works
/// then; others do not count for it.
///
/// A mailbox gets 24 a day. Each kind has its own part: else sign-ups for a mailbox that has an account, or resets for
/// one that has none, would use up the emails that its owner needs. The larger part is that of resets, whose links
/// expire first. Notices about security, such as of a changed password, are not counted: they are always sent.
pub(super) async fn allow_email(app: &App, ip: IpAddr, kind: &str, email: &EmailAddress) -> Result<bool> {
    let a_day = if kind == emails::RESET { 12 } else { 6 };
    let mut script = EMAILS.key(networks_key(kind, email));
    script.key(limit::key(&format!("emails-a-day:{kind}"), &email.mailbox()));
    script.arg(digest(network(ip).to_string().as_bytes())).arg(a_day);
    Ok(app.redis.invoke(&script).await?)
}

/// Lets every network request emails to a mailbox at once, as the links in earlier ones no longer work.
pub(super) async fn forget_emails(app: &App, email: &EmailAddress) -> Result<()> {
    let keys = [emails::SIGN_UP, emails::RESET, emails::EMAIL_CHANGE].map(|kind| networks_key(kind, email));
    Ok(app.redis.run(redis::cmd("DEL").arg(&keys)).await?)
}

fn networks_key(kind: &str, email: &EmailAddress) -> String {
    limit::key(&format!("emails:{kind}"), &email.mailbox())
}

fn sign_in_key(ip: IpAddr, email: &str) -> String {
    limit::key("sign-in:account", &format!("{} {}", network(ip), folded(email)))
}

fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}
