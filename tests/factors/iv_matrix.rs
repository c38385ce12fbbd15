//! IV. The response to each request while a service is down: the resiliency matrix, with a test per column.

use crate::support::*;
use std::time::Instant;

/// What is down in each column.
const COLUMNS: [&str; 6] = ["nothing", "DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL", "the reader of stdout"];

/// Each request, in the order of sending, and its status in each column.
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
    // Sessions are stored only in Redis, so signing out needs nothing else.
    ("DELETE /api/v1/sessions/current", [204, 204, 503, 204, 204, 204]),
];

/// How long a sign-in may take to return 503: a second, and more for a busy machine.
const SIGN_IN_LIMIT: Duration = Duration::from_millis(1_800);

/// Stops a column's service while web and worker run, and sends the request of every row.
async fn check_column(column: usize) {
    let down = COLUMNS[column];
    let mut deploy = Deploy::new().await;
    let proxy = match down.ends_with("_URL") {
        true => Some(Proxy::to_service(down, Mode::Pass).await),
        false => None,
    };
    if let Some(proxy) = &proxy {
        deploy = deploy.through(down, proxy.port);
    }
    let (mut web, mut worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    if let Some(proxy) = &proxy {
        proxy.set(Mode::Refuse).await;
        until_reported_down(&web).await;
    }
    if column == 5 {
        web.stop_reading();
        send_requests(&web, 8_000).await; // fills the pipe
    }

    for (row, statuses) in MATRIX {
        let (method, path) = row.split_once(' ').expect("a method and a path");
        let request = ada.request(&web, method, path);
        let start = Instant::now();
        let response = Response::of(match body(row, &account) {
            Some(body) => request.json(&body),
            None => request,
        });
        let response = response.await;
        let took = start.elapsed();
        let status = statuses[column];
        assert_eq!(response.status, status, "{row} while {down} is down: {}", response.text);
        if status == 503 {
            response.is_problem(503);
            assert!(took < SIGN_IN_LIMIT || row != "POST /api/v1/sessions", "a 503 for a sign-in took {took:?}");
        }
    }
    assert!(web.running() && worker.running(), "a process exited because {down} is down");
}

fn body(row: &str, account: &Account) -> Option<Value> {
    let new = Account::new();
    Some(match row.rsplit_once('/')?.1 {
        "accounts" => new.recipient(),
        "password-resets" => json!({ "email": account.email }),
        "sessions" if row.starts_with("POST") => account.credentials(),
        "current" if row.starts_with("PATCH") => {
            json!({ "email": new.email, "current_password": account.password })
        }
        "password" => json!({ "current_password": account.password, "new_password": new.password }),
        _ => return None,
    })
}

async fn until_reported_down(web: &Process) {
    let probe = Client::new();
    until("a service is reported as down", SOON, async || {
        probe.get(web, "/health/ready").await.text.contains("\"down\"").then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_request_succeeds_when_all_services_are_up() {
    check_column(0).await;
}

#[tokio::test]
async fn without_postgres_devices_can_be_listed_and_signed_out() {
    check_column(1).await;
}

#[tokio::test]
async fn without_redis_requests_without_a_session_succeed() {
    check_column(2).await;
}

#[tokio::test]
async fn without_the_mail_server_emails_wait_in_the_queue() {
    check_column(3).await;
}

#[tokio::test]
async fn without_storage_all_other_requests_succeed() {
    check_column(4).await;
}

#[tokio::test]
async fn with_an_unread_stdout_every_request_succeeds() {
    check_column(5).await;
}
