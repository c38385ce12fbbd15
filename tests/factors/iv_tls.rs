//! IV. A URL that requires TLS is used only with a valid certificate: no plaintext is sent otherwise.

use crate::support::tls::{Authority, Frontend, Protocol, SSL_REQUEST};
use crate::support::*;

/// A deploy that connects to the service of `protocol` through `frontend`.
fn through(deploy: Deploy, protocol: Protocol, frontend: &Frontend) -> Deploy {
    let url = protocol.url(deploy.var(protocol.variable()), frontend.port);
    deploy.with(protocol.variable(), &url)
}

/// Doctor's message and remedy for the one service that failed. All others must be healthy.
async fn failure(deploy: &Deploy, protocol: Protocol) -> String {
    let exit = deploy.run("doctor", &["--json"]).await;
    assert_eq!(exit.code, 1, "{protocol:?}: {exit:?}");
    let report: Value = serde_json::from_str(&exit.out).expect("a JSON document");
    let checks = report["checks"].as_array().expect("a list of checks");
    let mut failed = checks.iter().filter(|check| check["status"] == "failed");
    let check = failed.next().expect("a failed check");
    assert_eq!(check["variable"], protocol.variable(), "{exit:?}");
    assert_eq!(failed.next(), None, "{exit:?}");
    for name in ["DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL"] {
        let url = url::Url::parse(deploy.var(name)).expect("a URL");
        if let Some(password) = url.password() {
            assert!(!exit.out.contains(password) && !exit.err.contains(password), "{exit:?}");
        }
    }
    format!("{} {}", check["message"], check["remedy"])
}

async fn check_all_services_with_tls(mail: Protocol) {
    let authority = Authority::new();
    let mut deploy = Deploy::new().await.with("SSL_CERT_FILE", authority.file());
    let mut frontends = Vec::new();
    for protocol in [Protocol::Postgres, Protocol::Redis, Protocol::Storage, mail] {
        let frontend = Frontend::tls(protocol, &authority, &["localhost"]).await;
        deploy = through(deploy, protocol, &frontend);
        frontends.push(frontend);
    }

    let exit = deploy.run("doctor", &[]).await;
    assert_eq!(exit.code, 0, "{exit:?}");
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;

    assert_eq!(ada.signed_in(&web).await, 200, "{}", account.email);
    until("every service is up", SOON, async || {
        let ready = ada.get(&web, "/health/ready").await;
        (ready.body["status"] == "ready").then_some(())
    })
    .await;
    assert!(frontends.iter().all(|frontend| frontend.handshakes() > 0));
}

#[tokio::test]
async fn a_private_ca_is_trusted_for_every_service() {
    check_all_services_with_tls(Protocol::Smtps).await;
}

#[tokio::test]
async fn emails_use_starttls_when_the_url_requires_it() {
    check_all_services_with_tls(Protocol::Starttls).await;
}

#[tokio::test]
async fn a_certificate_for_an_ip_address_is_accepted() {
    let authority = Authority::new();

    for protocol in Protocol::ALL {
        let frontend = Frontend::tls(protocol, &authority, &["127.0.0.1"]).await;
        let deploy = through(Deploy::new().await, protocol, &frontend)
            .through(protocol.variable(), frontend.port)
            .with("SSL_CERT_FILE", authority.file());
        let exit = deploy.run("doctor", &[]).await;

        assert_eq!(exit.code, 0, "{protocol:?}: {exit:?}");
        assert!(frontend.handshakes() > 0, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_rejected() {
    let authority = Authority::new();

    for protocol in Protocol::ALL {
        let frontend = Frontend::tls(protocol, &authority, &["other.test"]).await;
        let deploy = through(Deploy::new().await, protocol, &frontend).with("SSL_CERT_FILE", authority.file());
        let message = failure(&deploy, protocol).await;

        assert!(message.contains("certificate not valid for name"), "{protocol:?}: {message}");
        assert_eq!(frontend.handshakes(), 0, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_certificate_from_an_unknown_ca_is_rejected() {
    let (authority, another) = (Authority::new(), Authority::new());

    for protocol in Protocol::ALL {
        let frontend = Frontend::tls(protocol, &authority, &["localhost"]).await;
        let deploy = through(Deploy::new().await, protocol, &frontend);
        let unset = failure(&deploy, protocol).await;
        let deploy = deploy.with("SSL_CERT_FILE", another.file());
        let wrong = failure(&deploy, protocol).await;

        for message in [unset, wrong] {
            assert!(message.contains("UnknownIssuer"), "{protocol:?}: {message}");
            assert!(message.contains("SSL_CERT_FILE"), "{protocol:?}: {message}");
        }
        assert_eq!(frontend.handshakes(), 0, "{protocol:?}");
    }
}

#[tokio::test]
async fn postgres_without_tls_receives_no_plaintext() {
    let frontend = Frontend::plaintext(Protocol::Postgres).await;
    let deploy = through(Deploy::new().await, Protocol::Postgres, &frontend);

    let message = failure(&deploy, Protocol::Postgres).await;
    let migrate = deploy.run("migrate", &[]).await;

    assert!(message.contains("does not support TLS"), "{message}");
    assert!(migrate.err.contains("does not support TLS"), "{migrate:?}");
    let received = frontend.received();
    assert!(received.len() >= 16, "both programs must connect");
    assert!(received.chunks(8).all(|message| message == SSL_REQUEST), "{received:?}");
}

#[tokio::test]
async fn a_mail_server_without_starttls_receives_no_email() {
    let frontend = Frontend::plaintext(Protocol::Starttls).await;
    let deploy = through(Deploy::new().await, Protocol::Starttls, &frontend);
    let (web, worker) = (deploy.web().await, deploy.worker());

    let message = failure(&deploy, Protocol::Starttls).await;
    Client::new().sign_up(&web, &Account::new()).await;
    let failed = worker.log("the email fails", |line| line["task"] == "send_account_email").await;

    assert!(message.contains("STARTTLS is not supported"), "{message}");
    assert_eq!(failed["message"], "job failed, will be retried", "{failed}");
    let received = String::from_utf8(frontend.received()).expect("text");
    assert!(received.starts_with("EHLO "), "{received}");
    let is_harmless = |line: &str| line.starts_with("EHLO ") || line == "QUIT";
    assert!(received.lines().all(is_harmless), "{received}");
}

#[tokio::test]
async fn an_invalid_ca_file_stops_the_process_at_start() {
    let (authority, files) = (Authority::new(), Deploy::detached());
    let whole = std::fs::read_to_string(authority.file()).expect("a file");
    let broken = whole.replacen("MII", "MIA", 1);
    for (file, text) in [("empty", ""), ("text", "no PEM"), ("broken", &(whole + &broken))] {
        std::fs::write(files.dir().join(file), text).expect("a file");
    }

    for protocol in Protocol::ALL {
        for file in ["missing", "empty", "text", "broken"] {
            let path = files.dir().join(file);
            let deploy = Deploy::detached().with("SSL_CERT_FILE", path.to_str().expect("a path"));
            let url = protocol.url(deploy.var(protocol.variable()), closed_port());
            let deploy = deploy.with(protocol.variable(), &url);
            let exit = deploy.spawn("web").exit(SOON).await;

            assert_eq!(exit.code, 78, "{protocol:?}: {exit:?}");
            let line: Value = serde_json::from_str(&exit.out).expect("one line");
            let message = line["message"].as_str().expect("a message");
            let why = if file == "missing" { "No such file" } else { "certificates" };
            assert!(message.contains("SSL_CERT_FILE") && message.contains(why), "{protocol:?}: {message}");
        }
    }
}

#[tokio::test]
async fn admin_tasks_report_an_invalid_ca_file() {
    let deploy = Deploy::detached().with("SSL_CERT_FILE", "missing.pem");
    let url = Protocol::Postgres.url(deploy.var("DATABASE_URL"), closed_port());
    let deploy = deploy.with("DATABASE_URL", &url);

    let (migrate, doctor) = (deploy.run("migrate", &[]).await, deploy.run("doctor", &[]).await);

    assert_eq!(migrate.code, 78, "{migrate:?}");
    assert!(migrate.err.contains("SSL_CERT_FILE"), "{migrate:?}");
    assert!(doctor.out.contains("SSL_CERT_FILE is not usable"), "{doctor:?}");
}
