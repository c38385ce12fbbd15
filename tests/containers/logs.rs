//! XI: with deploy/logs/ every line is collected, and nobody waits for the collector. It is a second demo, beside the
//! first.

use crate::demo::*;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

/// What plays Splunk: the events that came with the token.
#[derive(Clone, Default)]
struct Splunk(Arc<Mutex<Vec<Value>>>);

impl Splunk {
    fn listen() -> (Self, u16) {
        let splunk = Self::default();
        // The router comes in from a network of the engine's.
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let taken = splunk.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                taken.take(stream);
            }
        });
        (splunk, port)
    }

    fn take(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut length, mut known, mut line) = (0, false, String::new());
        while reader.read_line(&mut line).ok()? > 0 && line.trim() != "" {
            let (name, value) = line.trim().split_once(' ')?;
            match name.to_lowercase().as_str() {
                "content-length:" => length = value.parse().ok()?,
                "authorization:" => known = value == format!("Splunk {TOKEN}"),
                _ => {}
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let events = serde_json::Deserializer::from_slice(&body).into_iter::<Value>().flatten();
        if known {
            self.0.lock().ok()?.extend(events);
        }
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Length: 27\r\nConnection: close\r\n\r\n{\"text\":\"Success\",\"code\":0}";
        reader.into_inner().write_all(answer.as_bytes()).ok()
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
    fn with(splunk: u16) -> Self {
        let given = Demo::given();
        let port: u16 = var("DEMO_OTHER_PORT").parse().expect("a port");
        let env = [
            ("DEMO_PORT", port.to_string()),
            ("DEMO_MAIL_PORT", var("DEMO_OTHER_MAIL_PORT")),
            ("DEMO_LOG_PORT", var("DEMO_OTHER_LOG_PORT")),
            ("DEMO_LOGS", "splunk".into()),
            ("DEMO_SPLUNK_HOST", "hec.test".into()),
            ("DEMO_SPLUNK_PORT", splunk.to_string()),
            ("DEMO_SPLUNK_TLS", "off".into()),
            ("DEMO_SPLUNK_TOKEN", TOKEN.into()),
        ];
        let files = ["docker-compose.yml", LOGS, "tests/containers/hec.yml"];
        Self(Demo {
            project: format!("{}-logs", given.project),
            port,
            files: files.map(str::to_owned).into(),
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        })
    }

    /// The collected records that hold this text.
    fn search(&self, text: &str) -> Vec<Value> {
        let found = self.0.compose(&["run", "--rm", "-T", "search", text]);
        found.out.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect()
    }

    /// Asks for a letter, and answers the request's id.
    async fn sign_up(&self) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let account = json!({ "email": format!("{id}@example.com"), "password": format!("correct horse {id}") });
        let request = http().post(self.0.url("/api/v1/accounts")).header("x-request-id", &id).json(&account);
        let answer = Answer::of(request).await.expect("an answer");
        assert_eq!(answer.status, 202, "{answer:?}");
        id
    }

    /// Waits until a request can be followed to the end of its job.
    async fn followed(&self, id: &str) -> Vec<Value> {
        until("the request can be followed", SOON, async || self.follow(id)).await
    }

    /// What is collected of a request, if it goes as far as its job.
    fn follow(&self, id: &str) -> Option<Vec<Value>> {
        let found = self.search(id);
        let seen: BTreeSet<_> = found.iter().filter_map(|record| record["process"].as_str()).collect();
        ["balancer", "web", "worker"].iter().all(|process| seen.contains(process)).then_some(found)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_collected_and_a_request_can_be_followed_into_its_job() {
    let (splunk, port) = Splunk::listen();
    let collected = Collected::with(port);
    let demo = &collected.0;
    demo.up(2).await;
    Demo::given().answers_from(Demo::given().containers("web").len()).await; // both, side by side

    let id = collected.sign_up().await;
    for record in collected.followed(&id).await {
        println!("{} {} {}", record["process"], record["instance"], record["message"]);
        assert_eq!(record["request_id"], id.as_str(), "{record}");
    }
    until("Splunk has it too", SOON, async || splunk.has(&id).then_some(())).await;

    let all = collected.search("");
    for service in demo.composed(&["config", "--services"]).lines().filter(|service| *service != "router") {
        let printed = demo.composed(&["logs", "--no-log-prefix", service]);
        let found = all.iter().any(|record| record["container_name"].to_string().contains(&format!("-{service}-")));
        assert!(found || printed.is_empty(), "{service} has printed what is not collected: {printed}");
    }
    for record in &all {
        for key in ["process", "instance", "release"] {
            assert!(record[key].is_string(), "without {key}: {record}");
        }
        let ours = ["-web-", "-worker-"].iter().any(|name| record["container_name"].to_string().contains(name));
        assert!(!ours || record["timestamp"].is_string(), "not a line of JSON: {record}");
    }

    the_router_may_be_away(&collected, &splunk).await;
}

/// For a thousand requests, which are answered, and a process is stopped; then lines come again.
async fn the_router_may_be_away(collected: &Collected, splunk: &Splunk) {
    let demo = &collected.0;
    let person = demo.person().await;
    demo.composed(&["stop", "router"]);
    let load = demo.load(&person);
    let mut slowest = Duration::ZERO;
    while load.answered() < 1_000 {
        let asked = Instant::now();
        assert!(demo.get("/health/live").await.is_some_and(|answer| answer.status == 200));
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await; // how often it is looked at
    }
    let (asked, failed) = load.ends().await;
    assert_eq!(failed, Vec::<String>::new(), "of {asked}: {}", demo.troubles());
    println!("without the router: {asked} requests, none failed; the slowest probe took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");

    let worker = &demo.containers("worker")[0];
    docker(&["stop", worker]);
    assert_eq!(docker(&["inspect", "-f", "{{.State.ExitCode}}", worker]), "0");
    demo.composed(&["start", "router", "worker"]);
    until("requests can be followed again", 2 * SOON, async || {
        let id = collected.sign_up().await;
        // A line from before the router listened is lost: after a few looks, the next request is followed.
        (0..3).any(|_| collected.follow(&id).is_some() && splunk.has(&id)).then_some(())
    })
    .await;
}
