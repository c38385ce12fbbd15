//! IV. What is answered while a service is down: the resiliency matrix, a test a column.

use crate::support::*;
use std::time::Instant;

/// What may be down.
const COLUMNS: [&str; 6] = ["nothing", "DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL", "the reader of stdout"];

/// Each request in the order of asking, and its status in each column.
const MATRIX: [(&str, [u16; 6]); 13] = [
    ("GET /health/live", [200, 200, 200, 200, 200, 200]),
    ("GET /health/ready", [200, 503, 200, 200, 200, 200]),
    ("GET /version", [200, 200, 200, 200, 200, 200]),
    ("GET /docs", [200, 200, 200, 200, 200, 200]),
    ("GET /reset", [200, 200, 200, 200, 200, 200]),
    ("POST /api/v1/accounts", [202, 503, 503, 202, 202, 202]),
    ("POST /api/v1/password-resets", [202, 503, 503, 202, 202, 202]),
    ("POST /api/v1/sessions", [201, 503, 503, 201, 201, 201]),
    ("GET /api/v1/sessions", [200, 200, 503, 200, 200, 200]),
    ("GET /api/v1/accounts/current", [200, 503, 503, 200, 200, 200]),
    ("PATCH /api/v1/accounts/current", [202, 503, 503, 202, 202, 202]),
    ("PUT /api/v1/accounts/current/password", [204, 503, 503, 204, 204, 204]),
    // Redis alone knows sessions, so signing out needs nothing else.
    ("DELETE /api/v1/sessions/current", [204, 204, 503, 204, 204, 204]),
];

/// How long a refused sign-in may take: a second, and some for a busy machine.
const PATIENCE: Duration = Duration::from_millis(1_800);

/// Takes a column's service away from a web and a worker that had it, and asks for every row.
async fn holds(column: usize) {
    let down = COLUMNS[column];
    let mut deploy = Deploy::new().await;
    let proxy = match down.ends_with("_URL") {
        true => Some(Proxy::before(down, Mode::Pass).await),
        false => None,
    };
    if let Some(proxy) = &proxy {
        deploy = deploy.through(down, proxy.port);
    }
    let (mut web, mut worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    if let Some(proxy) = &proxy {
        proxy.set(Mode::Refuse).await;
        is_noticed(&web).await;
    }
    if column == 5 {
        web.stop_reading();
        ask(&web, 8_000).await; // fills the pipe
    }

    for (row, statuses) in MATRIX {
        let (method, path) = row.split_once(' ').expect("a method and a path");
        let request = ada.request(&web, method, path);
        let start = Instant::now();
        let answer = Answer::of(match body(row, &account) {
            Some(body) => request.json(&body),
            None => request,
        });
        let answer = answer.await;
        let took = start.elapsed();
        let status = statuses[column];
        assert_eq!(answer.status, status, "{row}, and {down} is down: {}", answer.text);
        if status == 503 {
            answer.is_problem(503);
            assert!(took < PATIENCE || row != "POST /api/v1/sessions", "a refused sign-in took {took:?}");
        }
    }
    assert!(web.running() && worker.running(), "{down} is down, and so is a process");
}

fn body(row: &str, account: &Account) -> Option<Value> {
    let new = Account::new();
    Some(match row.rsplit_once('/')?.1 {
        "accounts" => new.credentials(),
        "password-resets" => json!({ "email": account.email }),
        "sessions" if row.starts_with("POST") => account.credentials(),
        "current" if row.starts_with("PATCH") => {
            json!({ "email": new.email, "current_password": account.password })
        }
        "password" => json!({ "current_password": account.password, "new_password": new.password }),
        _ => return None,
    })
}

async fn is_noticed(web: &Process) {
    let probe = Client::new();
    until("a service is seen to be down", SOON, async || {
        probe.get(web, "/health/ready").await.text.contains("\"down\"").then_some(())
    })
    .await;
}

#[tokio::test]
async fn all_is_answered_when_all_is_up() {
    holds(0).await;
}

#[tokio::test]
async fn without_postgres_devices_can_be_listed_and_signed_out() {
    holds(1).await;
}

#[tokio::test]
async fn without_redis_whoever_needs_no_session_is_answered() {
    holds(2).await;
}

#[tokio::test]
async fn without_the_mail_server_letters_wait() {
    holds(3).await;
}

#[tokio::test]
async fn without_storage_all_else_is_answered() {
    holds(4).await;
}

#[tokio::test]
async fn with_an_unread_stdout_all_is_answered() {
    holds(5).await;
}
