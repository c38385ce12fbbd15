//! A load balancer as in a deploy: HAProxy, which probes readiness and retries nothing.

use super::{SOON, Value, closed_port, random, until};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub struct Balancer {
    pub port: u16,
    child: Child,
    config: PathBuf,
}

impl Balancer {
    /// Starts HAProxy in front of the servers and waits until one of them responds through it.
    pub async fn start(servers: &[u16]) -> Self {
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
            .expect("haproxy is installed, script/test does it");
        let balancer = Self { port, child, config };
        until("HAProxy has a healthy server", SOON, async || {
            let response = reqwest::get(balancer.url("/health/ready")).await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
        balancer
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until so many instances have responded.
    pub async fn until_instances(&self, instances: usize) {
        let mut seen = std::collections::BTreeSet::new();
        until("HAProxy sends requests to all servers", SOON, async || {
            let response = reqwest::get(self.url("/version")).await.ok()?;
            let version: Value = response.json().await.ok()?;
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
