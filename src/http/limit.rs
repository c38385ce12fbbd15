//! Rate limits, shared by all processes: GCRA in Redis, by Redis' clock. Own code, as the crates for it count in the
//! memory of a process; it is one script.
//!
//! An IPv6 address counts by its /64, as a customer gets a /64 or more. While Redis is down a limited route fails with
//! 503: without the limits passwords could be guessed, and sign-in needs Redis anyway.

use std::{net::IpAddr, net::Ipv6Addr, sync::LazyLock};

use redis::Script;

use super::{Result, problem::Problem};
use crate::services::redis::{Redis, digest};

/// A static, as it is code.
static CHECK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("limit.lua")));

/// Counts a request against each limit `(key, burst, period in seconds)`. Errors: a limit is exceeded, and then the
/// request counts against none; the problem has the seconds to wait.
pub async fn check(redis: &Redis, limits: &[(String, u32, u64)]) -> Result<()> {
    let mut check = CHECK.prepare_invoke();
    for (key, burst, period) in limits {
        check.key(key).arg(burst).arg(period);
    }
    let milliseconds: u64 = redis.invoke(&check).await?;
    if milliseconds > 0 {
        return Err(Problem::RateLimited(milliseconds.div_ceil(1_000)));
    }
    Ok(())
}

/// The key of a limit. It holds only a hash of the subject, which may be personal.
pub fn key(policy: &str, subject: &str) -> String {
    format!("limit:{policy}:{}", digest(subject.as_bytes()))
}

/// The network of a client: its IPv4 address, or the /64 of its IPv6 address.
pub fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(line) => Ipv6Addr::from_bits(line.to_bits() & (u128::MAX << 64)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_64_is_one_network() {
        let network = |text: &str| network(text.parse().expect("an IP address"));

        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2::ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
