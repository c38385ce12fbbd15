//! VII. The service exports HTTP by binding a port.

use crate::support::*;

#[tokio::test]
async fn web_binds_the_port_it_is_given() {
    let port = closed_port();
    let web = Deploy::detached().with("PORT", &port.to_string()).listening_web().await;

    let response = Client::new().get(&web, "/version").await;

    assert_eq!((web.port(), response.status), (port, 200));
    for field in ["name", "version", "commit", "release", "process", "instance", "started_at"] {
        assert!(response.body[field].is_string(), "no {field}: {}", response.text);
    }
    assert_eq!(response.body["release"], "test-release");
    assert_eq!(response.body["process"], "web");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn web_binds_no_other_port() {
    let web = Deploy::detached().listening_web().await;

    assert_eq!(listening_ports(web.pid()), [web.port()]);
}

#[tokio::test]
async fn a_port_in_use_ends_the_second_process() {
    let deploy = Deploy::detached();
    let web = deploy.listening_web().await;
    let deploy = deploy.with("PORT", &web.port().to_string());

    let exit = deploy.run("web", &[]).await;

    assert!(!matches!(exit.code, 0 | 78), "{exit:?}");
    assert!(exit.out.contains(&web.port().to_string()), "the port is not named: {exit:?}");
}

#[tokio::test]
async fn links_in_emails_ignore_the_host_header() {
    let deploy = Deploy::new().await;
    let (web, _worker, account) = (deploy.web().await, deploy.worker(), Account::new());

    let request = Client::new().request(&web, "POST", "/api/v1/accounts");
    let response = Response::of(request.header("host", "evil.test").json(&account.recipient())).await;

    assert_eq!(response.status, 202, "{}", response.text);
    let email = mail::emails(&account.email, 1).await.remove(0).to_string();
    assert!(email.contains("http://app.test/verify#"), "{email}");
    assert!(!email.contains("evil.test"), "{email}");
}

#[tokio::test]
async fn metrics_are_served_on_a_separate_port() {
    let deploy = Deploy::new().await.with("METRICS_PORT", &closed_port().to_string());
    let metrics = format!("http://127.0.0.1:{}", deploy.var("METRICS_PORT"));
    let (web, client) = (deploy.web().await, Client::new());
    client.get(&web, "/health/live").await;
    client.post(&web, "/api/v1/password-resets", json!({ "email": Account::new().email })).await;

    let live = Response::of(client.request_url("GET", &format!("{metrics}/health/live"))).await;
    let scrape = Response::of(client.request_url("GET", &format!("{metrics}/metrics"))).await;

    assert_eq!((live.status, scrape.status), (200, 200), "{}", scrape.text);
    for line in [
        "http_request_duration_seconds_count{method=\"GET\",route=\"/health/live\",status=\"200\"} ",
        "release=\"test-release\"",
        "database_pool_connections ",
        "database_pool_idle_connections ",
        "jobs_ready 1\n",
        "jobs_oldest_ready_seconds ",
        "jobs_dead 0\n",
        "log_lines_dropped_total 0\n",
    ] {
        assert!(scrape.text.contains(line), "no {line}: {}", scrape.text);
    }
    assert_eq!(client.get(&web, "/metrics").await.status, 404, "the public port serves no metrics");
}

/// Reads until the server closes the connection.
async fn until_closed(mut raw: tokio::net::TcpStream, timeout: Duration) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(timeout, tokio::io::AsyncReadExt::read_to_end(&mut raw, &mut rest));
    read.await.expect("the server closes the connection before the timeout").ok();
}

#[tokio::test]
async fn an_incomplete_request_head_closes_its_connection() {
    let web = Deploy::detached().listening_web().await;

    let half = Raw::begin(&web, "GET / HTTP/1.1\r\nHost: app.test\r\nX-Slow: ").await;

    until_closed(half.into_stream(), SOON).await;
}

#[tokio::test]
async fn a_connection_above_the_limit_takes_the_place_of_the_longest_wait() {
    let web = Deploy::detached().with("MAX_CONNECTIONS", "2").listening_web().await;
    let (oldest, newer) = (Raw::begin(&web, "GET").await, Raw::begin(&web, "GET").await);
    // Accepted in order, as the kernel queues them.
    let mut third = Raw::begin(&web, "GET /health/live HTTP/1.1\r\nHost: app.test\r\n\r\n").await;

    third.wait_for("200 OK").await;

    until_closed(oldest.into_stream(), SOON).await;
    assert!(newer.is_silent_for(Duration::from_millis(200)).await, "it was closed");
}

#[tokio::test]
async fn a_body_is_limited_with_or_without_content_length() {
    let web = Deploy::detached().listening_web().await;
    let head = "POST /api/v1/sessions HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/json\r\n";

    let mut declared = Raw::begin(&web, head).await;
    declared.send("Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n").await;
    let mut chunked = Raw::begin(&web, head).await;
    chunked.send("Transfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..17 {
        chunked.send(&format!("10000\r\n{}\r\n", "x".repeat(1 << 16))).await;
    }
    chunked.send("0\r\n\r\n").await;

    for request in [&mut declared, &mut chunked] {
        request.wait_for("413 Payload Too Large").await;
    }
}

#[tokio::test]
async fn large_bodies_that_are_held_leave_room_for_small_ones() {
    let web = Deploy::detached().listening_web().await;
    let head = "POST /api/v1/sessions HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/json\r\n";
    let mut open = Vec::new();
    // More than the memory for bodies.
    for _ in 0..12 {
        let mut raw = Raw::begin(&web, head).await;
        raw.send(&format!("Content-Length: 1000000\r\n\r\n{}", " ".repeat(900_000))).await;
        open.push(raw);
    }
    let answers = open.iter_mut().map(|raw| Box::pin(raw.wait_for("\"urn:problem:busy\"")));
    futures_util::future::select_all(answers).await;

    let mut small = Raw::begin(&web, head).await;
    small.send("Content-Length: 2\r\n\r\n{}").await;

    small.wait_for("422 Unprocessable").await;
}

#[tokio::test]
async fn a_request_that_times_out_returns_503() {
    let proxy = Proxy::to_service("DATABASE_URL", Mode::Pass).await;
    let deploy = Deploy::new().await.with("REQUEST_TIMEOUT_SECONDS", "1");
    let deploy = deploy.through("DATABASE_URL", proxy.port);
    let web = deploy.web().await;
    proxy.set(Mode::Pause).await;

    let email = json!({ "email": Account::new().email });
    let response = Client::new().post(&web, "/api/v1/password-resets", email).await;

    response.is_problem(503);
    assert!(response.body["type"].to_string().contains("timeout"), "{}", response.text);
}
