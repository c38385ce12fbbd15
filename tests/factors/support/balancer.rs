//! A load balancer as a deploy has it: HAProxy, which looks at readiness and retries nothing.

use super::{SOON, Value, closed_port, random, until};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub struct Balancer {
    pub port: u16,
    child: Child,
    config: PathBuf,
}

impl Balancer {
    /// Waits until HAProxy answers for one of the servers.
    pub async fn before(servers: &[u16]) -> Self {
        let port = closed_port();
        let servers: String = servers.iter().map(|port| format!("  server s{port} 127.0.0.1:{port}\n")).collect();
        let config = std::env::temp_dir().join(format!("app-test-{}.cfg", random()));
        let text = format!(
            "defaults\n  mode http\n  retries 0\n  timeout connect 1s\n  timeout client 30s\n  \
             timeout server 30s\n  default-server check inter 500ms fall 2 rise 1\n\
             frontend all\n  bind 127.0.0.1:{port}\n  default_backend webs\n\
             backend webs\n  balance roundrobin\n  option httpchk GET /health/ready\n{servers}"
        );
        std::fs::write(&config, text).expect("a file");
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy is installed: script/test sees to it");
        let balancer = Self { port, child, config };
        until("HAProxy finds a server", SOON, async || {
            let answer = reqwest::get(balancer.url("/health/ready")).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        balancer
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Asks `path` until both servers have answered.
    pub async fn sees(&self, instances: usize) {
        let mut seen = std::collections::BTreeSet::new();
        until("HAProxy sends to all servers", SOON, async || {
            let answer = reqwest::get(self.url("/version")).await.ok()?;
            let version: Value = answer.json().await.ok()?;
            seen.insert(version["instance"].to_string());
            (seen.len() >= instances).then_some(())
        })
        .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_file(&self.config).ok();
    }
}
