//! The test harness: every test has its own deploy and uses it only from outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it connects to Postgres directly")]

pub mod balancer;
pub mod client;
pub mod contract;
pub mod deploy;
pub mod mail;
pub mod process;
pub mod proxy;
pub mod queue;
pub mod raw;
pub mod sink;
pub mod tls;
pub mod until;

pub use balancer::Balancer;
pub use client::{Account, Client, Response};
pub use deploy::Deploy;
pub use process::{Exit, Process};
pub use proxy::{Mode, Proxy};
pub use raw::Raw;
pub use serde_json::{Value, json};
pub use std::time::Duration;
pub use until::until;

use std::sync::atomic::{AtomicU32, Ordering};

/// All binaries of the crate, by name.
pub const PROGRAMS: [&str; 10] =
    ["web", "worker", "migrate", "seed", "reset", "doctor", "config", "account", "jobs", "console"];

/// The variables without a default.
pub const REQUIRED: [&str; 6] = ["PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "SMTP_URL", "MAIL_FROM", "STORAGE_URL"];

/// The timeout of a condition that nothing delays.
pub const SOON: Duration = Duration::from_secs(15);

/// Sends `count` requests, eight at a time.
pub async fn send_requests(web: &Process, count: usize) {
    let clients = (0..8).map(async |_| {
        let client = Client::new();
        for _ in 0..count / 8 {
            assert_eq!(client.get(web, "/health/live").await.status, 200);
        }
    });
    let [a, b, c, d, e, f, g, h] = clients.collect::<Vec<_>>().try_into().ok().expect("eight");
    tokio::join!(a, b, c, d, e, f, g, h);
}

/// A variable that `script/test` exports.
pub fn service(name: &str) -> String {
    optional(name).unwrap_or_else(|| panic!("{name} is not set: run script/test, which sets up the services"))
}

/// A variable that is not set where Postgres has only one role for the tests.
pub fn optional(name: &str) -> Option<String> {
    std::env::vars().find_map(|(key, value)| (key == name && !value.is_empty()).then_some(value))
}

/// Random lower-case hexadecimal digits, for unique names.
pub fn random() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A URL with its host replaced by 127.0.0.1, and its port by `port`.
pub fn with_address(url: &str, port: u16) -> String {
    let mut url = url::Url::parse(url).expect("a service's URL");
    url.set_host(Some("127.0.0.1")).expect("a host");
    url.set_port(Some(port)).expect("a port");
    url.into()
}

/// A free port. Each is returned once, and lies below the ephemeral range, from which the system assigns ports.
pub fn closed_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = 20_000 + std::process::id() % 10_000; // differs between concurrent test runs
    loop {
        let port = u16::try_from(first + NEXT.fetch_add(1, Ordering::Relaxed)).expect("a port");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The TCP ports on which a process listens, from `/proc`.
#[cfg(target_os = "linux")]
pub fn listening_ports(pid: u32) -> Vec<u16> {
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the process is running")
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|table| table.lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = fields.get(3) == Some(&"0A");
            let own = sockets.iter().any(|inode| Some(&inode.as_str()) == fields.get(9));
            let port = fields.get(1)?.rsplit(':').next()?;
            (listens && own).then(|| u16::from_str_radix(port, 16).expect("a port"))
        })
        .collect()
}
