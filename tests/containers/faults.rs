//! IV: a service is stopped and started again, and what is answered meanwhile: the matrix, through the load balancer.

use crate::demo::*;

const DOWN: [&str; 4] = ["postgres", "redis", "mailpit", "garage"];

/// Each request in the order of asking, and its status while one of them is down.
const MATRIX: [(&str, [u16; 4]); 13] = [
    ("GET /health/live", [200, 200, 200, 200]),
    ("GET /health/ready", [503, 200, 200, 200]),
    ("GET /version", [200, 200, 200, 200]),
    ("GET /docs", [200, 200, 200, 200]),
    ("GET /reset", [200, 200, 200, 200]),
    ("POST /api/v1/accounts", [503, 503, 202, 202]),
    ("POST /api/v1/password-resets", [503, 503, 202, 202]),
    ("POST /api/v1/sessions", [503, 503, 201, 201]),
    ("GET /api/v1/sessions", [200, 503, 200, 200]),
    ("GET /api/v1/accounts/current", [503, 503, 200, 200]),
    ("PATCH /api/v1/accounts/current", [503, 503, 202, 202]),
    ("PUT /api/v1/accounts/current/password", [503, 503, 204, 204]),
    ("DELETE /api/v1/sessions/current", [204, 503, 204, 204]),
];

async fn holds(column: usize) {
    let service = DOWN[column];
    let demo = Demo::whole().await;
    let (person, witness) = (demo.person().await, demo.person().await);
    let before = processes(&demo);

    demo.composed(&["stop", service]);
    until("it is told what is down", SOON, async || {
        demo.get("/health/ready").await?.text.contains("\"down\"").then_some(())
    })
    .await;
    for (row, statuses) in MATRIX {
        let (method, path) = row.split_once(' ').expect("a method and a path");
        let answer = person.ask(method, path, body(row, &person)).await;
        assert_eq!(answer.status, statuses[column], "{row} without {service}: {}", answer.text);
        if answer.status == 503 {
            assert_eq!(answer.kind, "application/problem+json", "{row}");
        }
    }

    let start = Instant::now();
    demo.composed(&["start", service]);
    until("it heals", SOON, async || (demo.get("/health/ready").await?.body["status"] == "ready").then_some(())).await;
    witness.is_served().await;
    println!("without {service}: healed {:.1} s after its start", start.elapsed().as_secs_f32());
    assert_eq!(processes(&demo), before, "a process was started again");
}

fn body(row: &str, person: &Person) -> Option<Value> {
    let new = format!("{}@example.com", uuid::Uuid::new_v4().simple());
    Some(match row.rsplit_once('/')?.1 {
        "accounts" => json!({ "email": new, "password": person.password }),
        "password-resets" => json!({ "email": person.email }),
        "sessions" if row.starts_with("POST") => person.credentials(),
        "current" if row.starts_with("PATCH") => json!({ "email": new, "current_password": person.password }),
        "password" => json!({ "current_password": person.password, "new_password": format!("{new} is no password") }),
        _ => return None,
    })
}

/// When each process of ours was started.
fn processes(demo: &Demo) -> Vec<String> {
    let containers = ["web", "worker"].iter().flat_map(|service| demo.containers(service));
    containers.map(|id| docker(&["inspect", "-f", "{{.Id}} {{.State.StartedAt}}", &id])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres() {
    holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis() {
    holds(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_mail_server() {
    holds(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_storage() {
    holds(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_outlive_redis() {
    let demo = Demo::whole().await;
    let person = demo.person().await;
    // What it has not written yet may be lost.
    until("Redis has written the session", SOON, async || {
        let told = demo.composed(&["exec", "-T", "redis", "redis-cli", "info", "persistence"]);
        told.lines().any(|line| line.trim() == "aof_buffer_length:0").then_some(())
    })
    .await;

    docker(&["kill", &demo.containers("redis")[0]]);
    demo.up(2).await;

    until("the session is found", SOON, async || {
        let answer = person.ask("GET", "/api/v1/accounts/current", None).await;
        assert_ne!(answer.status, 401, "{answer:?}");
        (answer.status == 200).then_some(())
    })
    .await;
}
