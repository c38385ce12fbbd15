//! The test harness: a running demo, its containers, and a user of its load balancer.

pub use crate::until::until;
pub use serde_json::{Value, json};
pub use std::time::{Duration, Instant};

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// The timeout of a condition that nothing delays.
pub const SOON: Duration = Duration::from_secs(30);

/// The Compose overlay that collects the logs.
pub const LOGS: &str = "deploy/logs/compose.yml";

/// One demo: a Compose project with its own ports.
#[derive(Clone)]
pub struct Demo {
    pub project: String,
    pub port: u16,
    pub files: Vec<String>,
    pub env: Vec<(String, String)>,
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub struct Exit {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A response through the load balancer, with its whole body.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub kind: String,
    pub text: String,
    pub body: Value,
}

/// A variable that `script/demo-test` exports.
pub fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run script/demo-test, which starts the demo"))
}

/// Runs a command in the project's root. It may fail.
pub fn run(program: &str, args: &[&str], env: &[(String, String)]) -> Exit {
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().cloned()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = match tokio::runtime::Handle::try_current() {
        Ok(_) => tokio::task::block_in_place(|| command.output()),
        Err(_) => command.output(),
    };
    let output = output.expect("the command can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Exit { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Runs `docker`, which must succeed, and returns its output.
pub fn docker(args: &[&str]) -> String {
    let exit = run("docker", args, &[]);
    assert_eq!(exit.code, 0, "docker {args:?}: {exit:?}");
    exit.out.trim().to_owned()
}

/// A new client, without open connections.
pub fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().cookie_store(true).no_proxy().timeout(Duration::from_secs(30));
    client.build().expect("a client")
}

impl Demo {
    /// The demo that `script/demo-test` started.
    pub fn started() -> Self {
        Self {
            project: var("DEMO_PROJECT"),
            port: var("DEMO_PORT").parse().expect("a port"),
            files: vec!["docker-compose.yml".into()],
            env: Vec::new(),
        }
    }

    /// The started demo, with all services running and two web processes.
    pub async fn complete() -> Self {
        let demo = Self::started();
        demo.up(2).await;
        demo
    }

    /// Runs `docker compose`, which may fail.
    pub fn compose(&self, args: &[&str]) -> Exit {
        let mut all = vec!["compose", "--env-file", "/dev/null", "-p", &self.project];
        self.files.iter().for_each(|file| all.extend(["-f", file]));
        run("docker", &[&all, args].concat(), &self.env)
    }

    /// Runs `docker compose`, which must succeed, and returns its output.
    pub fn compose_ok(&self, args: &[&str]) -> String {
        let exit = self.compose(args);
        assert_eq!(exit.code, 0, "docker compose {args:?}: {}", exit.err);
        exit.out.trim().to_owned()
    }

    /// The merged configuration of the Compose files.
    pub fn config(&self) -> Value {
        serde_json::from_str(&self.compose_ok(&["config", "--format", "json"])).expect("JSON")
    }

    /// Starts the missing services, with so many web processes, and waits until all are healthy.
    pub async fn up(&self, webs: usize) {
        self.compose_ok(&["up", "-d", "--no-build", "--scale", &format!("web={webs}")]);
        self.until_instances(webs).await;
        until("all services are healthy", SOON, async || {
            let ready = self.get("/health/ready").await?;
            (ready.body["status"] == "ready").then_some(())
        })
        .await;
    }

    /// Waits until so many instances respond.
    pub async fn until_instances(&self, webs: usize) {
        until(&format!("{webs} instances respond"), SOON, async || {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..webs * 3 {
                seen.insert(self.get("/version").await?.body["instance"].to_string());
            }
            (seen.len() == webs).then_some(())
        })
        .await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    pub async fn get(&self, path: &str) -> Option<Response> {
        Response::of(http().get(self.url(path))).await.ok()
    }

    /// The ids of a service's running containers.
    pub fn containers(&self, service: &str) -> Vec<String> {
        self.compose_ok(&["ps", "-q", service]).lines().map(str::to_owned).collect()
    }

    /// The log lines of the last minute that are not INFO.
    pub fn warnings(&self) -> String {
        let logs =
            self.compose(&["logs", "--no-log-prefix", "--since", "60s", "web", "worker", "balancer", "redis"]).out;
        logs.lines().filter(|line| !line.contains("INFO")).collect::<Vec<_>>().join("\n")
    }

    /// A signed-in user, whose account the admin task created.
    pub async fn user(&self) -> User {
        let email = format!("{}@example.com", uuid::Uuid::new_v4().simple());
        let output = self.compose_ok(&["run", "--rm", "-T", "web", "account", "create", &email]);
        let password = output.lines().find_map(|line| line.strip_prefix("password: ")).expect("a password").to_owned();
        let user = User { email, password, http: http(), demo: self.clone() };
        // The web processes open their connections on first use, which is slow on a busy machine.
        until("the account can sign in", SOON, async || {
            let response = user.send("POST", "/api/v1/sessions", Some(user.credentials())).await;
            (response.status == 201).then_some(())
        })
        .await;
        user.until_served().await;
        user
    }

    /// Sends a hundred requests a second, without waiting for responses, until `Load::stop`.
    pub fn load(&self, user: &User) -> Load {
        let (completed, stop) = (Arc::<AtomicUsize>::default(), CancellationToken::new());
        let (user, mut ticks) = (Arc::new(user.clone()), tokio::time::interval(Duration::from_millis(10)));
        let (count, stopped) = (Arc::clone(&completed), stop.clone());
        let requests = tokio::spawn(async move {
            let (mut requests, mut reads) = (JoinSet::new(), false);
            while !stopped.is_cancelled() {
                ticks.tick().await;
                reads = !reads;
                let (user, count) = (Arc::clone(&user), Arc::clone(&count));
                requests.spawn(async move {
                    let failed = user.failure(reads).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    failed
                });
            }
            requests.join_all().await
        });
        Load { completed, stop, requests }
    }
}

/// Running requests.
pub struct Load {
    completed: Arc<AtomicUsize>,
    stop: CancellationToken,
    requests: JoinHandle<Vec<Option<String>>>,
}

impl Load {
    /// How many requests have completed or failed.
    pub fn completed(&self) -> usize {
        self.completed.load(Ordering::Relaxed)
    }

    /// Waits until so many more have completed.
    pub async fn until_more(&self, more: usize) {
        let expected = self.completed() + more;
        until("more requests complete", 4 * SOON, async || (self.completed() >= expected).then_some(())).await;
    }

    /// Stops, and returns the number of requests and the failures.
    pub async fn stop(self) -> (usize, Vec<String>) {
        self.stop.cancel();
        let all = self.requests.await.expect("the load does not panic");
        (all.len(), all.into_iter().flatten().collect())
    }
}

/// A user with an account and a session.
#[derive(Clone)]
pub struct User {
    pub email: String,
    pub password: String,
    http: reqwest::Client,
    demo: Demo,
}

impl User {
    pub fn credentials(&self) -> Value {
        json!({ "email": self.email, "password": self.password })
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, self.demo.url(path))
    }

    /// Sends a GET, which HAProxy retries, or a DELETE, which it does not. Returns the failure.
    async fn failure(&self, reads: bool) -> Option<String> {
        let (method, path, status) = match reads {
            true => ("GET", "/api/v1/accounts/current".to_owned(), 200),
            false => ("DELETE", format!("/api/v1/sessions/{}", uuid::Uuid::new_v4()), 404),
        };
        match Response::of(self.request(method, &path)).await {
            Ok(response) if response.status == status => None,
            Ok(response) => Some(format!("{method} {} {}", response.status, response.text)),
            Err(error) => Some(format!("{method} {error:?}")),
        }
    }

    /// Waits until forty concurrent requests succeed, which use every pooled connection of the web processes.
    pub async fn until_served(&self) {
        until("all requests succeed", SOON, async || {
            let mut requests = tokio::task::JoinSet::new();
            for _ in 0..40 {
                let request = self.request("GET", "/api/v1/accounts/current");
                requests.spawn(async move { Response::of(request).await.is_ok_and(|response| response.status == 200) });
            }
            requests.join_all().await.into_iter().all(|ok| ok).then_some(())
        })
        .await;
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Response {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Response::of(request).await.expect("a response")
    }
}

impl Response {
    pub async fn of(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let (kind, text) = (kind.to_owned(), response.text().await?);
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self { status, kind, text, body })
    }
}
