//! IV: the resiliency matrix through the load balancer: the responses while a service is stopped, and the recovery.

use crate::demo::*;

const DOWN: [&str; 4] = ["postgres", "redis", "mailpit", "garage"];

/// Each request, in the order of sending, and its status while each service is down.
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

async fn check_column(column: usize) {
    let service = DOWN[column];
    let demo = Demo::complete().await;
    let (user, other) = (demo.user().await, demo.user().await);
    let before = processes(&demo);

    demo.compose_ok(&["stop", service]);
    until("the service is reported as down", SOON, async || {
        demo.get("/health/ready").await?.text.contains("\"down\"").then_some(())
    })
    .await;
    for (row, statuses) in MATRIX {
        let (method, path) = row.split_once(' ').expect("a method and a path");
        let response = user.send(method, path, body(row, &user)).await;
        assert_eq!(response.status, statuses[column], "{row} without {service}: {}", response.text);
        if response.status == 503 {
            assert_eq!(response.kind, "application/problem+json", "{row}");
        }
    }

    let start = Instant::now();
    demo.compose_ok(&["start", service]);
    until("the service recovers", SOON, async || {
        (demo.get("/health/ready").await?.body["status"] == "ready").then_some(())
    })
    .await;
    other.until_served().await;
    println!("without {service}: recovered {:.1} s after its start", start.elapsed().as_secs_f32());
    assert_eq!(processes(&demo), before, "a process was restarted");
}

fn body(row: &str, user: &User) -> Option<Value> {
    let new = format!("{}@example.com", uuid::Uuid::new_v4().simple());
    Some(match row.rsplit_once('/')?.1 {
        "accounts" => json!({ "email": new }),
        "password-resets" => json!({ "email": user.email }),
        "sessions" if row.starts_with("POST") => user.credentials(),
        "current" if row.starts_with("PATCH") => json!({ "email": new, "current_password": user.password }),
        "password" => json!({ "current_password": user.password, "new_password": format!("{new} as a password") }),
        _ => return None,
    })
}

/// The container id and start time of each process of the app.
fn processes(demo: &Demo) -> Vec<String> {
    let containers = ["web", "worker"].iter().flat_map(|service| demo.containers(service));
    containers.map(|id| docker(&["inspect", "-f", "{{.Id}} {{.State.StartedAt}}", &id])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_holds_without_postgres() {
    check_column(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_holds_without_redis() {
    check_column(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_holds_without_the_mail_server() {
    check_column(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_holds_without_storage() {
    check_column(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_killing_redis() {
    let demo = Demo::complete().await;
    let user = demo.user().await;
    // Redis may lose commands that are not in its append-only file yet.
    until("Redis has written the session", SOON, async || {
        let info = demo.compose_ok(&["exec", "-T", "redis", "redis-cli", "info", "persistence"]);
        info.lines().any(|line| line.trim() == "aof_buffer_length:0").then_some(())
    })
    .await;

    docker(&["kill", &demo.containers("redis")[0]]);
    demo.up(2).await;

    until("the session is valid", SOON, async || {
        let response = user.send("GET", "/api/v1/accounts/current", None).await;
        assert_ne!(response.status, 401, "{response:?}");
        (response.status == 200).then_some(())
    })
    .await;
}
