//! XI: with deploy/logs/ every line is collected, and no process waits for the collector. Runs a second demo beside
//! the first.

use crate::demo::*;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

/// A fake Splunk HTTP Event Collector: the events that were sent with the token.
#[derive(Clone, Default)]
struct Splunk(Arc<Mutex<Vec<Value>>>);

impl Splunk {
    fn listen() -> (Self, u16) {
        let splunk = Self::default();
        // The router connects from a Docker network.
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("a local address").port();
        let server = splunk.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                server.receive(stream);
            }
        });
        (splunk, port)
    }

    fn receive(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut length, mut authorized, mut line) = (0, false, String::new());
        while reader.read_line(&mut line).ok()? > 0 && line.trim() != "" {
            let (name, value) = line.trim().split_once(' ')?;
            match name.to_lowercase().as_str() {
                "content-length:" => length = value.parse().ok()?,
                "authorization:" => authorized = value == format!("Splunk {TOKEN}"),
                _ => {}
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let events = serde_json::Deserializer::from_slice(&body).into_iter::<Value>().flatten();
        if authorized {
            self.0.lock().ok()?.extend(events);
        }
        let response =
            "HTTP/1.1 200 OK\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{\"text\":\"Success\",\"code\":0}";
        reader.into_inner().write_all(response.as_bytes()).ok()
    }

    fn has(&self, text: &str) -> bool {
        self.0.lock().expect("the events").iter().any(|event| event["event"].to_string().contains(text))
    }
}

/// The second demo, removed when dropped.
struct Collected(Demo);

impl Drop for Collected {
    fn drop(&mut self) {
        self.0.compose(&["--profile", "search", "down", "-v", "--remove-orphans"]);
    }
}

impl Collected {
    fn configure(splunk: u16) -> Self {
        let started = Demo::started();
        let port: u16 = var("DEMO_OTHER_PORT").parse().expect("a port");
        let env = [
            ("DEMO_PORT", port.to_string()),
            ("DEMO_MAIL_PORT", var("DEMO_OTHER_MAIL_PORT")),
            ("DEMO_SUBNET", var("DEMO_OTHER_SUBNET")),
            ("DEMO_LOG_PORT", var("DEMO_OTHER_LOG_PORT")),
            ("DEMO_LOGS", "splunk".into()),
            ("DEMO_SPLUNK_HOST", "hec.test".into()),
            ("DEMO_SPLUNK_PORT", splunk.to_string()),
            ("DEMO_SPLUNK_TLS", "off".into()),
            ("DEMO_SPLUNK_TOKEN", TOKEN.into()),
        ];
        let files = ["docker-compose.yml", LOGS, "tests/containers/hec.yml"];
        Self(Demo {
            project: format!("{}-logs", started.project),
            port,
            files: files.map(str::to_owned).into(),
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        })
    }

    /// The collected records that contain this text.
    fn search(&self, text: &str) -> Vec<Value> {
        let found = self.0.compose(&["run", "--rm", "-T", "search", text]);
        found.out.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect()
    }

    /// Signs up and returns the request's id.
    async fn sign_up(&self) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let body = json!({ "email": format!("{id}@example.com") });
        let request = http().post(self.0.url("/api/v1/accounts")).header("x-request-id", &id).json(&body);
        let response = Response::of(request).await.expect("a response");
        assert_eq!(response.status, 202, "{response:?}");
        id
    }

    /// Waits until the request and its job are collected.
    async fn until_traced(&self, id: &str) -> Vec<Value> {
        until("the request and its job are collected", SOON, async || self.trace(id)).await
    }

    /// The collected records of a request, if they include those of its job.
    fn trace(&self, id: &str) -> Option<Vec<Value>> {
        let found = self.search(id);
        let seen: BTreeSet<_> = found.iter().filter_map(|record| record["process"].as_str()).collect();
        ["balancer", "web", "worker"].iter().all(|process| seen.contains(process)).then_some(found)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_collected_and_traceable_by_request_id() {
    let (splunk, port) = Splunk::listen();
    let collected = Collected::configure(port);
    let demo = &collected.0;
    demo.up(2).await;
    Demo::started().until_instances(Demo::started().containers("web").len()).await; // both demos run

    let id = collected.sign_up().await;
    for record in collected.until_traced(&id).await {
        println!("{} {} {}", record["process"], record["instance"], record["message"]);
        assert_eq!(record["request_id"], id.as_str(), "{record}");
    }
    until("Splunk has received it too", SOON, async || splunk.has(&id).then_some(())).await;

    let all = collected.search("");
    for service in demo.compose_ok(&["config", "--services"]).lines().filter(|service| *service != "router") {
        let printed = demo.compose_ok(&["logs", "--no-log-prefix", service]);
        let found = all.iter().any(|record| record["container_name"].to_string().contains(&format!("-{service}-")));
        assert!(found || printed.is_empty(), "{service} has lines that are not collected: {printed}");
    }
    for record in &all {
        for key in ["process", "instance", "release"] {
            assert!(record[key].is_string(), "no {key}: {record}");
        }
        let is_app = ["-web-", "-worker-"].iter().any(|name| record["container_name"].to_string().contains(name));
        assert!(!is_app || record["timestamp"].is_string(), "not parsed as JSON: {record}");
    }

    check_without_router(&collected, &splunk).await;
}

/// Stops the router during a thousand requests, which must succeed. A process still stops, and after the restart lines
/// are collected again.
async fn check_without_router(collected: &Collected, splunk: &Splunk) {
    let demo = &collected.0;
    let user = demo.user().await;
    demo.compose_ok(&["stop", "router"]);
    let load = demo.load(&user);
    let mut slowest = Duration::ZERO;
    while load.completed() < 1_000 {
        let start = Instant::now();
        assert!(demo.get("/health/live").await.is_some_and(|response| response.status == 200));
        slowest = slowest.max(start.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await; // the interval of the probes
    }
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, Vec::<String>::new(), "of {sent}: {}", demo.warnings());
    println!("without the router: {sent} requests, none failed; the slowest probe took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");

    let worker = &demo.containers("worker")[0];
    docker(&["stop", worker]);
    assert_eq!(docker(&["inspect", "-f", "{{.State.ExitCode}}", worker]), "0");
    demo.compose_ok(&["start", "router", "worker"]);
    until("requests are collected again", 2 * SOON, async || {
        let id = collected.sign_up().await;
        // Lines from before the router listened are lost: after three searches, a new request is sent.
        (0..3).any(|_| collected.trace(&id).is_some() && splunk.has(&id)).then_some(())
    })
    .await;
}
