//! IV. A URL that asks for TLS gets it from a server that proves its name, or nothing is said at all.

use crate::support::tls::{Authority, Front, SSL_REQUEST, Way};
use crate::support::*;

/// A deploy that reaches the service of `way` through `front`.
fn through(deploy: Deploy, way: Way, front: &Front) -> Deploy {
    let url = way.url(deploy.var(way.variable()), front.port);
    deploy.with(way.variable(), &url)
}

/// What doctor says of a service that it cannot use, having said that all others are well.
async fn complaint(deploy: &Deploy, way: Way) -> String {
    let exit = deploy.run("doctor", &["--json"]).await;
    assert_eq!(exit.code, 1, "{way:?}: {exit:?}");
    let report: Value = serde_json::from_str(&exit.out).expect("a JSON document");
    let checks = report["checks"].as_array().expect("a list of checks");
    let mut failed = checks.iter().filter(|check| check["status"] == "failed");
    let check = failed.next().expect("a failed check");
    assert_eq!(check["variable"], way.variable(), "{exit:?}");
    assert_eq!(failed.next(), None, "{exit:?}");
    for name in ["DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL"] {
        let url = url::Url::parse(deploy.var(name)).expect("a URL");
        if let Some(password) = url.password() {
            assert!(!exit.out.contains(password) && !exit.err.contains(password), "{exit:?}");
        }
    }
    format!("{} {}", check["message"], check["remedy"])
}

async fn everything_goes_through_tls(mail: Way) {
    let authority = Authority::new();
    let mut deploy = Deploy::new().await.with("SSL_CERT_FILE", authority.file());
    let mut fronts = Vec::new();
    for way in [Way::Postgres, Way::Redis, Way::Storage, mail] {
        let front = Front::before(way, &authority, &["localhost"]).await;
        deploy = through(deploy, way, &front);
        fronts.push(front);
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
    assert!(fronts.iter().all(|front| front.opened() > 0));
}

#[tokio::test]
async fn a_private_ca_is_trusted_for_every_service() {
    everything_goes_through_tls(Way::Smtps).await;
}

#[tokio::test]
async fn letters_go_by_starttls_where_the_url_requires_it() {
    everything_goes_through_tls(Way::Starttls).await;
}

#[tokio::test]
async fn a_certificate_for_an_address_is_trusted_at_that_address() {
    let authority = Authority::new();

    for way in Way::ALL {
        let front = Front::before(way, &authority, &["127.0.0.1"]).await;
        let deploy = through(Deploy::new().await, way, &front)
            .through(way.variable(), front.port)
            .with("SSL_CERT_FILE", authority.file());
        let exit = deploy.run("doctor", &[]).await;

        assert_eq!(exit.code, 0, "{way:?}: {exit:?}");
        assert!(front.opened() > 0, "{way:?}");
    }
}

#[tokio::test]
async fn a_server_of_another_name_is_refused() {
    let authority = Authority::new();

    for way in Way::ALL {
        let front = Front::before(way, &authority, &["other.test"]).await;
        let deploy = through(Deploy::new().await, way, &front).with("SSL_CERT_FILE", authority.file());
        let said = complaint(&deploy, way).await;

        assert!(said.contains("certificate not valid for name"), "{way:?}: {said}");
        assert_eq!(front.opened(), 0, "{way:?}");
    }
}

#[tokio::test]
async fn a_server_with_an_unknown_ca_is_refused() {
    let (authority, another) = (Authority::new(), Authority::new());

    for way in Way::ALL {
        let front = Front::before(way, &authority, &["localhost"]).await;
        let deploy = through(Deploy::new().await, way, &front);
        let unset = complaint(&deploy, way).await;
        let deploy = deploy.with("SSL_CERT_FILE", another.file());
        let wrong = complaint(&deploy, way).await;

        for said in [unset, wrong] {
            assert!(said.contains("UnknownIssuer"), "{way:?}: {said}");
            assert!(said.contains("SSL_CERT_FILE"), "{way:?}: {said}");
        }
        assert_eq!(front.opened(), 0, "{way:?}");
    }
}

#[tokio::test]
async fn postgres_hears_nothing_in_the_clear() {
    let front = Front::in_the_clear(Way::Postgres).await;
    let deploy = through(Deploy::new().await, Way::Postgres, &front);

    let said = complaint(&deploy, Way::Postgres).await;
    let migrate = deploy.run("migrate", &[]).await;

    assert!(said.contains("does not support TLS"), "{said}");
    assert!(migrate.err.contains("does not support TLS"), "{migrate:?}");
    let heard = front.heard();
    assert!(heard.len() >= 16, "both asked");
    assert!(heard.chunks(8).all(|said| said == SSL_REQUEST), "{heard:?}");
}

#[tokio::test]
async fn a_mail_server_without_starttls_hears_nothing_and_the_letter_waits() {
    let front = Front::in_the_clear(Way::Starttls).await;
    let deploy = through(Deploy::new().await, Way::Starttls, &front);
    let (web, worker) = (deploy.web().await, deploy.worker());

    let said = complaint(&deploy, Way::Starttls).await;
    Client::new().post(&web, "/api/v1/accounts", Account::new().credentials()).await;
    let failed = worker.log("the email fails", |line| line["task"] == "send_account_email").await;

    assert!(said.contains("STARTTLS is not supported"), "{said}");
    assert_eq!(failed["message"], "job failed, will be retried", "{failed}");
    let heard = String::from_utf8(front.heard()).expect("text");
    assert!(heard.starts_with("EHLO "), "{heard}");
    let polite = |line: &str| line.starts_with("EHLO ") || line == "QUIT";
    assert!(heard.lines().all(polite), "{heard}");
}

#[tokio::test]
async fn a_private_ca_that_is_none_ends_the_start() {
    let (authority, files) = (Authority::new(), Deploy::detached());
    let whole = std::fs::read_to_string(authority.file()).expect("a file");
    let broken = whole.replacen("MII", "MIA", 1);
    for (file, text) in [("empty", ""), ("text", "no PEM"), ("broken", &(whole + &broken))] {
        std::fs::write(files.dir().join(file), text).expect("a file");
    }

    for way in Way::ALL {
        for file in ["missing", "empty", "text", "broken"] {
            let path = files.dir().join(file);
            let deploy = Deploy::detached().with("SSL_CERT_FILE", path.to_str().expect("a path"));
            let url = way.url(deploy.var(way.variable()), closed_port());
            let deploy = deploy.with(way.variable(), &url);
            let exit = deploy.spawn("web").exit(SOON).await;

            assert_eq!(exit.code, 78, "{way:?}: {exit:?}");
            let line: Value = serde_json::from_str(&exit.out).expect("one line");
            let said = line["message"].as_str().expect("a message");
            let why = if file == "missing" { "No such file" } else { "certificates" };
            assert!(said.contains("SSL_CERT_FILE") && said.contains(why), "{way:?}: {said}");
        }
    }
}

#[tokio::test]
async fn an_admin_task_tells_of_a_private_ca_that_is_none() {
    let deploy = Deploy::detached().with("SSL_CERT_FILE", "missing.pem");
    let url = Way::Postgres.url(deploy.var("DATABASE_URL"), closed_port());
    let deploy = deploy.with("DATABASE_URL", &url);

    let (migrate, doctor) = (deploy.run("migrate", &[]).await, deploy.run("doctor", &[]).await);

    assert_eq!(migrate.code, 78, "{migrate:?}");
    assert!(migrate.err.contains("SSL_CERT_FILE"), "{migrate:?}");
    assert!(doctor.out.contains("SSL_CERT_FILE is not usable"), "{doctor:?}");
}
