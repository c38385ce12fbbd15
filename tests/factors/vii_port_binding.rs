//! VII. The service exports HTTP by binding a port.

use crate::support::*;

#[tokio::test]
async fn web_binds_the_port_it_is_given() {
    let port = closed_port();
    let web = Deploy::detached().with("PORT", &port.to_string()).web_at_once().await;

    let answer = Client::new().get(&web, "/version").await;

    assert_eq!((web.port(), answer.status), (port, 200));
    for field in ["name", "version", "commit", "release", "process", "instance", "started_at"] {
        assert!(answer.body[field].is_string(), "no {field}: {}", answer.text);
    }
    assert_eq!(answer.body["release"], "test-release");
    assert_eq!(answer.body["process"], "web");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn web_binds_no_other_port() {
    let web = Deploy::detached().web_at_once().await;

    assert_eq!(listening_ports(web.pid()), [web.port()]);
}

#[tokio::test]
async fn a_taken_port_ends_the_second_process_at_once() {
    let deploy = Deploy::detached();
    let web = deploy.web_at_once().await;
    let deploy = deploy.with("PORT", &web.port().to_string());

    let exit = deploy.run("web", &[]).await;

    assert!(!matches!(exit.code, 0 | 78), "{exit:?}");
    assert!(exit.out.contains(&web.port().to_string()), "the port is not named: {exit:?}");
}

#[tokio::test]
async fn links_in_letters_have_the_public_url_whatever_the_host_header_says() {
    let deploy = Deploy::new().await;
    let (web, _worker, account) = (deploy.web().await, deploy.worker(), Account::new());

    let request = Client::new().request(&web, "POST", "/api/v1/accounts");
    let answer = Answer::of(request.header("host", "evil.test").json(&account.credentials())).await;

    assert_eq!(answer.status, 202, "{}", answer.text);
    let email = mail::emails(&account.email, 1).await.remove(0).to_string();
    assert!(email.contains("http://app.test/verify#"), "{email}");
    assert!(!email.contains("evil.test"), "{email}");
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let deploy = Deploy::new().await.with("METRICS_PORT", &closed_port().to_string());
    let metrics = format!("http://127.0.0.1:{}", deploy.var("METRICS_PORT"));
    let (web, client) = (deploy.web().await, Client::new());
    client.get(&web, "/health/live").await;
    client.post(&web, "/api/v1/password-resets", json!({ "email": Account::new().email })).await;

    let live = Answer::of(client.request_url("GET", &format!("{metrics}/health/live"))).await;
    let told = Answer::of(client.request_url("GET", &format!("{metrics}/metrics"))).await;

    assert_eq!((live.status, told.status), (200, 200), "{}", told.text);
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
        assert!(told.text.contains(line), "no {line}: {}", told.text);
    }
    assert_eq!(client.get(&web, "/metrics").await.status, 404, "not on the public port");
}

/// Reads until the server closes the connection.
async fn closes(mut raw: tokio::net::TcpStream, within: Duration) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(within, tokio::io::AsyncReadExt::read_to_end(&mut raw, &mut rest));
    read.await.expect("the server closes the connection in time").ok();
}

#[tokio::test]
async fn a_head_that_does_not_come_closes_its_connection() {
    let web = Deploy::detached().web_at_once().await;

    let half = Raw::begin(&web, "GET / HTTP/1.1\r\nHost: app.test\r\nX-Slow: ").await;

    closes(half.into_stream(), SOON).await;
}

#[tokio::test]
async fn beyond_the_cap_a_connection_waits_for_its_turn() {
    let web = Deploy::detached().with("MAX_CONNECTIONS", "2").web_at_once().await;
    let held = [Raw::begin(&web, "GET").await, Raw::begin(&web, "GET").await];
    let request = "GET /health/live HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let mut third = Raw::begin(&web, request).await;

    assert!(third.is_silent_for(Duration::from_millis(500)).await, "it was accepted");
    drop(held);

    third.wait_for("200 OK").await;
}

#[tokio::test]
async fn a_body_is_bounded_whether_or_not_it_tells_its_length() {
    let web = Deploy::detached().web_at_once().await;
    let head = "POST /api/v1/sessions HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/json\r\n";

    let mut told = Raw::begin(&web, head).await;
    told.send("Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n").await;
    let mut chunked = Raw::begin(&web, head).await;
    chunked.send("Transfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..17 {
        chunked.send(&format!("10000\r\n{}\r\n", "x".repeat(1 << 16))).await;
    }
    chunked.send("0\r\n\r\n").await;

    for refused in [&mut told, &mut chunked] {
        refused.wait_for("413 Payload Too Large").await;
    }
}

#[tokio::test]
async fn many_large_bodies_at_once_are_refused_and_small_ones_are_not() {
    let web = Deploy::detached().web_at_once().await;
    let head = "POST /api/v1/sessions HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/json\r\n";
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut raw = Raw::begin(&web, head).await;
        raw.send("Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n").await;
        raw.wait_for("100 Continue").await;
        held.push(raw);
    }

    let mut large = Raw::begin(&web, head).await;
    large.send("Content-Length: 1000000\r\n\r\n").await;
    large.wait_for("\"urn:problem:busy\"").await;
    let mut small = Raw::begin(&web, head).await;
    small.send("Content-Length: 2\r\n\r\n{}").await;

    small.wait_for("422 Unprocessable").await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_all_the_same() {
    let proxy = Proxy::before("DATABASE_URL", Mode::Pass).await;
    let deploy = Deploy::new().await.with("REQUEST_TIMEOUT_SECONDS", "1");
    let deploy = deploy.through("DATABASE_URL", proxy.port);
    let web = deploy.web().await;
    proxy.set(Mode::Pause).await;

    let email = json!({ "email": Account::new().email });
    let answer = Client::new().post(&web, "/api/v1/password-resets", email).await;

    answer.is_problem(503);
    assert!(answer.body["type"].to_string().contains("timeout"), "{}", answer.text);
}
