//! The harness: a demo that is up, its containers, and a person in front of its load balancer.

pub use crate::until::until;
pub use serde_json::{Value, json};
pub use std::time::{Duration, Instant};

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long a condition may take that nothing hinders.
pub const SOON: Duration = Duration::from_secs(30);

/// The overlay that collects the logs.
pub const LOGS: &str = "deploy/logs/compose.yml";

/// One demo: a project of its own, with its own ports.
#[derive(Clone)]
pub struct Demo {
    pub project: String,
    pub port: u16,
    pub files: Vec<String>,
    pub env: Vec<(String, String)>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// An answer through the load balancer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub text: String,
    pub body: Value,
}

/// What `script/demo-test` exports, or one sentence that says to run it.
pub fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run script/demo-test, which starts the demo"))
}

/// A command from the top of the project, whatever its end.
pub fn run(program: &str, args: &[&str], env: &[(String, String)]) -> Ended {
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().cloned()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = match tokio::runtime::Handle::try_current() {
        Ok(_) => tokio::task::block_in_place(|| command.output()),
        Err(_) => command.output(),
    };
    let output = output.expect("the command can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// `docker` with these arguments, which must succeed; what it printed.
pub fn docker(args: &[&str]) -> String {
    let ended = run("docker", args, &[]);
    assert_eq!(ended.code, 0, "docker {args:?}: {ended:?}");
    ended.out.trim().to_owned()
}

/// The demo's own name for a client, without a connection of an earlier one.
pub fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().cookie_store(true).no_proxy().timeout(Duration::from_secs(30));
    client.build().expect("a client")
}

impl Demo {
    /// The demo that `script/demo-test` started.
    pub fn given() -> Self {
        Self {
            project: var("DEMO_PROJECT"),
            port: var("DEMO_PORT").parse().expect("a port"),
            files: vec!["docker-compose.yml".into()],
            env: Vec::new(),
        }
    }

    /// The same with all its parts running and two webs in front.
    pub async fn whole() -> Self {
        let demo = Self::given();
        demo.up(2).await;
        demo
    }

    pub fn compose(&self, args: &[&str]) -> Ended {
        let mut all = vec!["compose", "--env-file", "/dev/null", "-p", &self.project];
        self.files.iter().for_each(|file| all.extend(["-f", file]));
        run("docker", &[&all, args].concat(), &self.env)
    }

    pub fn composed(&self, args: &[&str]) -> String {
        let ended = self.compose(args);
        assert_eq!(ended.code, 0, "docker compose {args:?}: {}", ended.err);
        ended.out.trim().to_owned()
    }

    /// The configuration that compose makes of the files.
    pub fn config(&self) -> Value {
        serde_json::from_str(&self.composed(&["config", "--format", "json"])).expect("JSON")
    }

    /// Brings up what is missing, with so many webs, and waits until each of them answers and all is well.
    pub async fn up(&self, webs: usize) {
        self.composed(&["up", "-d", "--no-build", "--scale", &format!("web={webs}")]);
        self.answers_from(webs).await;
        until("all services are well", SOON, async || {
            let ready = self.get("/health/ready").await?;
            (ready.body["status"] == "ready").then_some(())
        })
        .await;
    }

    /// Waits until so many instances answer.
    pub async fn answers_from(&self, webs: usize) {
        until(&format!("{webs} webs answer"), SOON, async || {
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

    pub async fn get(&self, path: &str) -> Option<Answer> {
        Answer::of(http().get(self.url(path))).await.ok()
    }

    /// The ids of a service's running containers.
    pub fn containers(&self, service: &str) -> Vec<String> {
        self.composed(&["ps", "-q", service]).lines().map(str::to_owned).collect()
    }

    /// What the processes have logged of late that is not as it should be.
    pub fn troubles(&self) -> String {
        let logs =
            self.compose(&["logs", "--no-log-prefix", "--since", "60s", "web", "worker", "balancer", "redis"]).out;
        logs.lines().filter(|line| !line.contains("INFO")).collect::<Vec<_>>().join("\n")
    }

    /// An account that an operator made, signed in.
    pub async fn person(&self) -> Person {
        let email = format!("{}@example.com", uuid::Uuid::new_v4().simple());
        let made = self.composed(&["run", "--rm", "-T", "web", "account", "create", &email]);
        let password = made.lines().find_map(|line| line.strip_prefix("password: ")).expect("a password").to_owned();
        let person = Person { email, password, http: http(), demo: self.clone() };
        // The webs open their connections when they are first needed, which takes its time on a busy machine.
        until("the account can sign in", SOON, async || {
            let answer = person.ask("POST", "/api/v1/sessions", Some(person.credentials())).await;
            (answer.status == 201).then_some(())
        })
        .await;
        person.is_served().await;
        person
    }

    /// A hundred requests a second, each made whatever becomes of the others, until it ends.
    pub fn load(&self, person: &Person) -> Load {
        let (answered, stop) = (Arc::<AtomicUsize>::default(), CancellationToken::new());
        let (person, mut ticks) = (Arc::new(person.clone()), tokio::time::interval(Duration::from_millis(10)));
        let (count, stopped) = (Arc::clone(&answered), stop.clone());
        let requests = tokio::spawn(async move {
            let (mut requests, mut reads) = (JoinSet::new(), false);
            while !stopped.is_cancelled() {
                ticks.tick().await;
                reads = !reads;
                let (person, count) = (Arc::clone(&person), Arc::clone(&count));
                requests.spawn(async move {
                    let failed = person.is_answered(reads).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    failed
                });
            }
            requests.join_all().await
        });
        Load { answered, stop, requests }
    }
}

/// Requests that go on.
pub struct Load {
    answered: Arc<AtomicUsize>,
    stop: CancellationToken,
    requests: JoinHandle<Vec<Option<String>>>,
}

impl Load {
    /// How many have been answered, or have failed.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more are answered.
    pub async fn goes_on(&self, more: usize) {
        let enough = self.answered() + more;
        until("the load goes on", 4 * SOON, async || (self.answered() >= enough).then_some(())).await;
    }

    /// How many requests there were, and what failed of them.
    pub async fn ends(self) -> (usize, Vec<String>) {
        self.stop.cancel();
        let all = self.requests.await.expect("the load ends");
        (all.len(), all.into_iter().flatten().collect())
    }
}

/// Somebody with an account and a session.
#[derive(Clone)]
pub struct Person {
    pub email: String,
    pub password: String,
    http: reqwest::Client,
    demo: Demo,
}

impl Person {
    pub fn credentials(&self) -> Value {
        json!({ "email": self.email, "password": self.password })
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        self.http.request(method, self.demo.url(path))
    }

    /// Asks for something that is sent again if it is not answered, or for something that is not; tells what failed.
    async fn is_answered(&self, reads: bool) -> Option<String> {
        let (method, path, status) = match reads {
            true => ("GET", "/api/v1/accounts/current".to_owned(), 200),
            false => ("DELETE", format!("/api/v1/sessions/{}", uuid::Uuid::new_v4()), 404),
        };
        match Answer::of(self.request(method, &path)).await {
            Ok(answer) if answer.status == status => None,
            Ok(answer) => Some(format!("{method} {} {}", answer.status, answer.text)),
            Err(error) => Some(format!("{method} {error:?}")),
        }
    }

    /// Waits until forty requests at once are answered as they should be, by each connection that a web keeps.
    pub async fn is_served(&self) {
        until("everybody is served", SOON, async || {
            let mut asked = tokio::task::JoinSet::new();
            for _ in 0..40 {
                let request = self.request("GET", "/api/v1/accounts/current");
                asked.spawn(async move { Answer::of(request).await.is_ok_and(|answer| answer.status == 200) });
            }
            asked.join_all().await.into_iter().all(|well| well).then_some(())
        })
        .await;
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request).await.expect("an answer")
    }
}

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let (kind, text) = (kind.to_owned(), response.text().await?);
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self { status, kind, text, body })
    }
}
