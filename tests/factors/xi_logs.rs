//! XI. Logs are a stream of events on stdout.

use crate::support::*;
use rustix::process::Signal;

#[tokio::test]
async fn every_line_is_json_with_the_documented_fields() {
    let deploy = Deploy::new().await;
    let (mut web, mut worker) = (deploy.web().await, deploy.worker());
    Client::signed_in_at(&web).await;

    for (process, name) in [(&mut web, "web"), (&mut worker, "worker")] {
        process.stop();
        let (pid, exit) = (process.pid(), process.exit(SOON).await);

        assert_eq!(exit.err, "", "{name} has written to stderr");
        for line in exit.out.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            for field in ["timestamp", "level", "message", "target"] {
                assert!(line[field].is_string(), "no {field}: {line}");
            }
            let time = line["timestamp"].as_str().expect("a time");
            let format = &time::format_description::well_known::Rfc3339;
            assert!(time::OffsetDateTime::parse(time, format).is_ok() && time.ends_with('Z'), "{time}");
            assert_eq!((&line["process"], &line["release"]), (&json!(name), &json!("test-release")));
            assert!(line["instance"].to_string().ends_with(&format!(".{pid}\"")), "{line}");
        }
    }
}

#[tokio::test]
async fn a_request_line_reports_status_and_latency() {
    let web = Deploy::detached().listening_web().await;

    for (path, route, status) in [("/health/live?a=b", json!("/health/live"), 200), ("/nothing-here", Value::Null, 404)]
    {
        let response = Client::new().get(&web, path).await;
        let id = response.header("x-request-id").to_owned();
        let line =
            web.log("the request's line", |line| line["request_id"] == id.as_str() && !line["status"].is_null()).await;

        assert_eq!((&line["method"], &line["status"]), (&json!("GET"), &json!(status)), "{line}");
        assert_eq!(line.get("route"), Some(&route), "{line}");
        assert!(line["latency_ms"].is_number() && line["trace_id"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn the_request_id_is_logged_by_its_job_too() {
    let deploy = Deploy::new().await;
    let (web, worker, account) = (deploy.web().await, deploy.worker(), Account::new());
    let id = format!("test-{}", random());

    let request = Client::new().request(&web, "POST", "/api/v1/accounts");
    Response::of(request.header("x-request-id", &id).json(&account.recipient())).await;

    web.log("web's line", |line| line["request_id"] == id.as_str()).await;
    worker.log("the worker's line", |line| line["request_id"] == id.as_str()).await;
}

#[tokio::test]
async fn a_line_is_written_before_its_response_is_sent() {
    let deploy = Deploy::detached();

    for round in 0..20 {
        let mut web = deploy.listening_web().await;
        let id = format!("test-{}", random());
        let request = Client::new().request(&web, "GET", "/health/live").header("x-request-id", &id);
        let response = Response::of(request).await;
        web.signal(Signal::KILL);

        let exit = web.exit(SOON).await;
        assert_eq!(response.status, 200);
        assert!(exit.out.contains(&id), "round {round}: the line is lost: {}", exit.out);
    }
}

#[tokio::test]
async fn an_unread_stdout_blocks_neither_responses_nor_the_exit() {
    let mut web = Deploy::detached().listening_web().await;
    web.stop_reading();

    send_requests(&web, 20_000).await;
    web.stop();

    // Stdout is not read until the process has exited.
    until("web exits with unread output", Duration::from_secs(2), async || (!web.running()).then_some(())).await;
    assert_eq!(web.exit(SOON).await.code, 0);
}

#[tokio::test]
async fn dropped_lines_are_counted_and_reported() {
    let web = Deploy::detached().listening_web().await;
    web.stop_reading();
    send_requests(&web, 8_000).await;

    web.resume_reading();

    until("the dropped lines are reported", SOON, async || {
        Client::new().get(&web, "/health/live").await; // the number is reported with the next line
        web.logs().iter().any(|line| line["dropped"].as_u64() > Some(0)).then_some(())
    })
    .await;
    for line in web.lines() {
        assert!(serde_json::from_str::<Value>(&line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

#[tokio::test]
async fn no_line_contains_a_secret_even_at_trace() {
    let mut deploy = Deploy::new().await.with("LOG_LEVEL", "trace");
    let mut url = url::Url::parse(deploy.var("DATABASE_URL")).expect("a URL");
    if url.password().is_none() {
        url.set_password(Some("c4n4ry-database")).expect("a password"); // ignored by a server with trust authentication
        deploy.set("DATABASE_URL", url.as_str());
    }
    let (web, worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    let verify = mail::token(&account.email, "verify").await;
    ada.post(&web, "/api/v1/password-resets", json!({ "email": account.email })).await;
    let reset = mail::token(&account.email, "reset").await;
    let body = json!({ "token": reset, "password": "another c4n4ry-password" });
    assert_eq!(ada.put(&web, "/api/v1/password-resets", body).await.status, 204);

    let secrets = [account.password.clone(), verify, reset, ada.session(&web), "c4n4ry".into()];
    let urls = ["DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL"];
    let passwords = urls.iter().filter_map(|name| Some(url::Url::parse(deploy.var(name)).ok()?.password()?.to_owned()));
    // A short password, such as the user's name, would match in many places.
    let secrets: Vec<String> = secrets.into_iter().chain(passwords.filter(|p| p.len() > 8)).collect();
    for line in web.lines().into_iter().chain(worker.lines()) {
        let found = secrets.iter().find(|secret| line.contains(secret.as_str()));
        assert!(found.is_none(), "{found:?} is in {line}");
    }
}

#[tokio::test]
async fn failing_services_leak_no_secrets_to_logs_or_responses() {
    let deploy = Deploy::detached()
        .with("LOG_LEVEL", "trace")
        .with("DATABASE_URL", "postgres://app:c4n4ry-1@127.0.0.1:1/app?sslpassword=c4n4ry-6")
        .with("REDIS_URL", "redis://:c4n4ry-2@127.0.0.1:1")
        .with("SMTP_URL", "smtp://me:c4n4ry-3@127.0.0.1:1")
        .with("STORAGE_URL", "s3+http://key:c4n4ry-4@127.0.0.1:1/bucket?region=r");
    let (web, worker, client) = (deploy.listening_web().await, deploy.worker(), Client::new());
    let account = Account { email: "ada@example.com".into(), password: "c4n4ry-5 c4n4ry-5".into() };

    let ready = client.get(&web, "/health/ready").await;
    let sign_in = client.sign_in(&web, &account).await;
    let sign_up = client.sign_up(&web, &account).await;
    worker.log("the worker logs its failure", |line| line["level"] != "INFO").await;

    for response in [&ready, &sign_in, &sign_up] {
        assert_eq!(response.status, 503, "{}", response.text);
        assert!(!response.text.contains("c4n4ry") && !response.text.contains("127.0.0.1"), "{}", response.text);
    }
    for line in web.lines().into_iter().chain(worker.lines()) {
        assert!(!line.contains("c4n4ry"), "{line}");
    }
    assert_eq!((web.stderr_lines(), worker.stderr_lines()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn the_text_format_is_not_json() {
    let web = Deploy::detached().with("LOG_FORMAT", "text").spawn("web");

    let line = until("the first line", SOON, async || web.lines().into_iter().next()).await;

    assert!(serde_json::from_str::<Value>(&line).is_err(), "{line}");
}
