//! Rate limits, shared by all processes: GCRA in Redis, by Redis' clock.
//!
//! An IPv6 address counts by its /64, since one line has that many. No limit on sign-in is by the
//! account alone, so nobody can lock another out of their account. While Redis is down the limits are closed: what
//! they guard answers 503, since an open limit is an invitation, and nobody could sign in anyway.

use std::net::{IpAddr, Ipv6Addr};
use std::{fmt::Display, sync::LazyLock};

use redis::Script;

use super::store::sha256;
use crate::{http::Result, http::problem::Problem, services::Redis, state::App};

const FIVE_MINUTES: u64 = 300;
const DAY: u64 = 86_400;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));

/// Takes one of each limit `(key, at once, seconds in which they come back)`, or none of any: the problem says
/// when to come back.
pub(crate) async fn take(redis: &Redis, limits: &[(String, u32, u64)]) -> Result<()> {
    let mut take = TAKE.prepare_invoke();
    for (key, burst, period) in limits {
        take.key(key).arg(burst).arg(period);
    }
    let milliseconds: u64 = redis.invoke(&take).await?;
    if milliseconds > 0 {
        return Err(Problem::RateLimited(milliseconds.div_ceil(1_000)));
    }
    Ok(())
}

/// Counts an attempt to sign in.
pub(crate) async fn sign_in(app: &App, ip: IpAddr, email: impl Display) -> Result<()> {
    let limits = [
        (sign_in_key(ip, email), 10, FIVE_MINUTES),
        (key("sign-in:address", &network(ip)), 60, FIVE_MINUTES),
        (key("sign-in:all", ""), 1_000, FIVE_MINUTES),
    ];
    take(&app.redis, &limits).await
}

/// Forgets the attempts at an account from an address: the last one was its owner's.
pub(crate) async fn signed_in(app: &App, ip: IpAddr, email: impl Display) -> Result<()> {
    Ok(app.redis.run(redis::cmd("DEL").arg(sign_in_key(ip, email))).await?)
}

/// Counts a sign-up, a verification, or the asking for or setting of a new password.
pub(crate) async fn credentials(app: &App, ip: IpAddr) -> Result<()> {
    let limits = [
        (key("credentials:address", &network(ip)), 60, FIVE_MINUTES),
        (key("credentials:all", ""), 1_000, FIVE_MINUTES),
    ];
    take(&app.redis, &limits).await
}

/// Counts a letter that somebody asks to be sent to an address, known or not.
pub(crate) async fn letters(app: &App, email: impl Display) -> Result<()> {
    take(&app.redis, &[(key("letters", &folded(email)), 5, DAY)]).await
}

fn sign_in_key(ip: IpAddr, email: impl Display) -> String {
    key("sign-in:account", &format!("{} {}", network(ip), folded(email)))
}

/// Keys tell nobody's address.
pub(crate) fn key(policy: &str, subject: &str) -> String {
    format!("limit:{policy}:{}", sha256(subject.as_bytes()))
}

fn folded(email: impl Display) -> String {
    email.to_string().trim().to_lowercase()
}

fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(line) => Ipv6Addr::from_bits(line.to_bits() & (u128::MAX << 64)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_line_is_one_address() {
        let network = |text: &str| network(text.parse().expect("an address"));

        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2::ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
