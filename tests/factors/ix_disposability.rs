//! IX. Processes start fast, stop gracefully, and may be stopped at any time.

use crate::support::*;

/// The grace period of the tests' deploys, and a second to exit after it.
const GRACE: Duration = Duration::from_secs(6);

const HALF_A_REQUEST: &str = "POST /api/v1/sessions HTTP/1.1\r\nHost: app.test\r\n";

/// Sends all but the body and waits for `100 Continue`: the request is in flight.
async fn in_flight(web: &Process, body: &str) -> Raw {
    let mut raw = Raw::begin(web, HALF_A_REQUEST).await;
    raw.send(&format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len(),
    ))
    .await;
    raw.wait_for("100 Continue").await;
    raw
}

async fn until_closed(web: &Process) {
    until("the port is closed", SOON, async || {
        tokio::net::TcpStream::connect(("127.0.0.1", web.port())).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_idle_web_and_worker_exit_with_0() {
    let deploy = Deploy::new().await;
    let (mut web, mut worker) = (deploy.web().await, deploy.worker());
    worker.log("the worker logs a line", |_| true).await;

    for process in [&mut web, &mut worker] {
        process.stop();
        let exit = process.exit(Duration::from_secs(2)).await;

        assert_eq!((exit.code, exit.err.as_str()), (0, ""), "{}", exit.out);
    }
}

#[tokio::test]
async fn half_sent_requests_do_not_delay_the_shutdown() {
    let mut web = Deploy::detached().listening_web().await;
    let mut half = Vec::new();
    for _ in 0..100 {
        half.push(Raw::begin(&web, HALF_A_REQUEST).await);
    }
    assert_eq!(Client::new().get(&web, "/health/live").await.status, 200, "other requests are served");

    web.stop();

    assert_eq!(web.exit(GRACE).await.code, 0);
}

#[tokio::test]
async fn half_sent_bodies_do_not_delay_the_shutdown() {
    let deploy = Deploy::new().await;
    let mut web = deploy.web().await;
    let mut half = Vec::new();
    for _ in 0..100 {
        half.push(in_flight(&web, "{\"email\":\"never sent\"}").await);
    }

    web.stop();

    assert_eq!(web.exit(GRACE).await.code, 0);
}

#[tokio::test]
async fn a_request_in_flight_is_completed_before_the_exit() {
    let deploy = Deploy::new().await;
    let mut web = deploy.web().await;
    let body = Account::new().credentials().to_string();
    let mut raw = in_flight(&web, &body).await;

    web.stop();
    until_closed(&web).await;
    raw.send(&body).await;

    let response = raw.wait_for("\"request_id\"").await;
    assert!(response.contains("HTTP/1.1 401"), "{response}");
    assert_eq!(web.exit(GRACE).await.code, 0);
}

#[tokio::test]
async fn a_draining_web_is_not_ready_but_still_responds() {
    let deploy = Deploy::new().await.with("DRAIN_SECONDS", "2");
    let (mut web, probe) = (deploy.web().await, Client::new());

    web.stop();
    until("a draining web is not ready", Duration::from_secs(1), async || {
        (probe.get(&web, "/health/ready").await.status == 503).then_some(())
    })
    .await;
    let others = [probe.get(&web, "/health/live").await, Client::new().get(&web, "/version").await];

    assert!(others.iter().all(|response| response.status == 200), "{others:?}");
    assert_eq!(web.exit(GRACE).await.code, 0);
}

#[tokio::test]
async fn a_second_signal_changes_nothing() {
    let deploy = Deploy::new().await.with("DRAIN_SECONDS", "1");
    let mut web = deploy.web().await;

    web.stop();
    until("the first signal is handled", Duration::from_secs(1), async || {
        (Client::new().get(&web, "/health/ready").await.status == 503).then_some(())
    })
    .await;
    web.stop();

    assert_eq!(web.exit(GRACE).await.code, 0);
}

#[tokio::test]
async fn ctrl_c_stops_the_process_gracefully() {
    let mut web = Deploy::detached().listening_web().await;

    web.signal(rustix::process::Signal::INT);

    assert_eq!(web.exit(GRACE).await.code, 0);
}

#[tokio::test]
async fn a_worker_with_a_silent_database_exits_in_time() {
    let (database, mail) =
        (Proxy::to_service("DATABASE_URL", Mode::Pass).await, Proxy::to_service("SMTP_URL", Mode::Blackhole).await);
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let deploy = deploy.through("DATABASE_URL", database.port).with("SMTP_URL", &mail.url("SMTP_URL"));
    let mut worker = deploy.worker();
    let accepted = mail.accepted();
    Client::new().sign_up(&web, &Account::new()).await;
    until("the worker is sending an email", SOON, async || (mail.accepted() > accepted + 1).then_some(())).await;
    database.set(Mode::Blackhole).await;

    worker.stop();

    assert_eq!(worker.exit(GRACE).await.code, 0);
}

#[tokio::test]
async fn a_process_without_services_still_exits_with_0() {
    let deploy = Deploy::detached();
    let (mut web, mut worker) = (deploy.listening_web().await, deploy.worker());
    Client::new().get(&web, "/health/ready").await;
    worker.log("the worker logs a line", |_| true).await;

    for process in [&mut web, &mut worker] {
        process.stop();
        assert_eq!(process.exit(GRACE).await.code, 0);
    }
}
