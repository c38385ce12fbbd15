//! Rate limits, shared by all processes: GCRA in Redis, by Redis' clock. Own code, as the crates for it count in the
//! memory of a process; it is one script.
//!
//! A client counts by its network and by its wider network. No limit counts all clients together: anyone could use it
//! up, and lock everybody out. While Redis is down a limited route fails with
//! 503: without the limits passwords could be guessed, and sign-in needs Redis anyway.

use std::{net::IpAddr, sync::LazyLock};

use redis::Script;

use super::{Result, problem::Problem};
use crate::network::{network, wider_network};
use crate::services::redis::{Redis, digest};

/// The usual period, in seconds.
pub const FIVE_MINUTES: u64 = 300;

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

/// The limits of a client: 60 requests in five minutes from its network, 240 from its wider network.
pub fn of_client(policy: &str, ip: IpAddr) -> [(String, u32, u64); 2] {
    let key = |kind, network: IpAddr| key(&format!("{policy}:{kind}"), &network.to_string());
    [(key("network", network(ip)), 60, FIVE_MINUTES), (key("wider", wider_network(ip)), 240, FIVE_MINUTES)]
}

/// The key of a limit. It holds only a hash of the subject, which may be personal.
pub fn key(policy: &str, subject: &str) -> String {
    format!("limit:{policy}:{}", digest(subject.as_bytes()))
}
