//! XI. Logs are a stream of events on stdout.

use crate::support::*;
use rustix::process::Signal;

#[tokio::test]
async fn every_line_is_an_object_with_the_contracts_fields() {
    let deploy = Deploy::new().await;
    let (mut web, mut worker) = (deploy.web().await, deploy.worker());
    Client::signed_in_at(&web).await;

    for (process, name) in [(&mut web, "web"), (&mut worker, "worker")] {
        process.stop();
        let (pid, exit) = (process.pid(), process.exit(SOON).await);

        assert_eq!(exit.err, "", "{name} writes to stderr");
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
async fn a_requests_line_tells_its_outcome() {
    let web = Deploy::detached().web_at_once().await;

    for (path, route, status) in [("/health/live?a=b", json!("/health/live"), 200), ("/nothing-here", Value::Null, 404)]
    {
        let answer = Client::new().get(&web, path).await;
        let id = answer.header("x-request-id").to_owned();
        let line =
            web.log("the request's line", |line| line["request_id"] == id.as_str() && !line["status"].is_null()).await;

        assert_eq!((&line["method"], &line["status"]), (&json!("GET"), &json!(status)), "{line}");
        assert_eq!(line.get("route"), Some(&route), "{line}");
        assert!(line["latency_ms"].is_number() && line["trace_id"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn one_request_id_follows_a_request_into_its_job() {
    let deploy = Deploy::new().await;
    let (web, worker, account) = (deploy.web().await, deploy.worker(), Account::new());
    let id = format!("test-{}", random());

    let request = Client::new().request(&web, "POST", "/api/v1/accounts");
    Answer::of(request.header("x-request-id", &id).json(&account.credentials())).await;

    web.log("web's line", |line| line["request_id"] == id.as_str()).await;
    worker.log("the worker's line", |line| line["request_id"] == id.as_str()).await;
}

#[tokio::test]
async fn a_line_is_out_before_the_response_and_survives_a_kill() {
    let deploy = Deploy::detached();

    for round in 0..20 {
        let mut web = deploy.web_at_once().await;
        let id = format!("test-{}", random());
        let request = Client::new().request(&web, "GET", "/health/live").header("x-request-id", &id);
        let answer = Answer::of(request).await;
        web.signal(Signal::KILL);

        let exit = web.exit(SOON).await;
        assert_eq!(answer.status, 200);
        assert!(exit.out.contains(&id), "round {round}: the line is lost: {}", exit.out);
    }
}

#[tokio::test]
async fn a_reader_that_stops_blocks_neither_answers_nor_the_end() {
    let mut web = Deploy::detached().web_at_once().await;
    web.stop_reading();

    ask(&web, 20_000).await;
    web.stop();

    // Nobody reads until it is over.
    until("web exits unread", Duration::from_secs(2), async || (!web.running()).then_some(())).await;
    assert_eq!(web.exit(SOON).await.code, 0);
}

#[tokio::test]
async fn dropped_lines_are_counted_and_told() {
    let web = Deploy::detached().web_at_once().await;
    web.stop_reading();
    ask(&web, 8_000).await;

    web.resume_reading();

    until("the drop is told", SOON, async || {
        Client::new().get(&web, "/health/live").await; // a line gives the occasion
        web.logs().iter().any(|line| line["dropped"].as_u64() > Some(0)).then_some(())
    })
    .await;
    for line in web.lines() {
        assert!(serde_json::from_str::<Value>(&line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

#[tokio::test]
async fn no_secret_stands_in_any_line_even_at_trace() {
    let mut deploy = Deploy::new().await.with("LOG_LEVEL", "trace");
    let mut url = url::Url::parse(deploy.var("DATABASE_URL")).expect("a URL");
    if url.password().is_none() {
        url.set_password(Some("c4n4ry-database")).expect("a password"); // ignored by a server that trusts
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
    // A password as plain as a user's name or a host's would be found everywhere.
    let secrets: Vec<String> = secrets.into_iter().chain(passwords.filter(|p| p.len() > 8)).collect();
    for line in web.lines().into_iter().chain(worker.lines()) {
        let found = secrets.iter().find(|secret| line.contains(secret.as_str()));
        assert!(found.is_none(), "{found:?} stands in {line}");
    }
}

#[tokio::test]
async fn no_secret_stands_in_a_line_or_an_answer_when_services_are_down() {
    let deploy = Deploy::detached()
        .with("LOG_LEVEL", "trace")
        .with("DATABASE_URL", "postgres://app:c4n4ry-1@127.0.0.1:1/app?sslpassword=c4n4ry-6")
        .with("REDIS_URL", "redis://:c4n4ry-2@127.0.0.1:1")
        .with("SMTP_URL", "smtp://me:c4n4ry-3@127.0.0.1:1")
        .with("STORAGE_URL", "s3+http://key:c4n4ry-4@127.0.0.1:1/bucket?region=r");
    let (web, worker, client) = (deploy.web_at_once().await, deploy.worker(), Client::new());
    let account = Account { email: "ada@example.com".into(), password: "c4n4ry-5 c4n4ry-5".into() };

    let ready = client.get(&web, "/health/ready").await;
    let sign_in = client.sign_in(&web, &account).await;
    let sign_up = client.post(&web, "/api/v1/accounts", account.credentials()).await;
    worker.log("the worker tells of its failure", |line| line["level"] != "INFO").await;

    for answer in [&ready, &sign_in, &sign_up] {
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(!answer.text.contains("c4n4ry") && !answer.text.contains("127.0.0.1"), "{}", answer.text);
    }
    for line in web.lines().into_iter().chain(worker.lines()) {
        assert!(!line.contains("c4n4ry"), "{line}");
    }
    assert_eq!((web.complaints(), worker.complaints()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn text_is_for_people() {
    let web = Deploy::detached().with("LOG_FORMAT", "text").spawn("web");

    let line = until("a line", SOON, async || web.lines().into_iter().next()).await;

    assert!(serde_json::from_str::<Value>(&line).is_err(), "{line}");
}
