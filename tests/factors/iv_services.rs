//! IV. Backing services are attached by URL, and may fail and recover.

use crate::support::*;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long the recovery may take.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long a response may take while a service is silent.
const RESPONSE_LIMIT: Duration = Duration::from_secs(8);

async fn until_ready_is(status: u16, web: &Process, timeout: Duration) -> Response {
    let probe = Client::new();
    until(&format!("/health/ready is {status}"), timeout, async || {
        let response = probe.get(web, "/health/ready").await;
        (response.status == status).then_some(response)
    })
    .await
}

/// Sends signed-in reads, twenty at a time, until `stop`. Each must return 200 or 503 within the limit. Five accounts, as
/// one may have four requests in flight.
fn keep_reading(accounts: &[Arc<Client>], web: &Process, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let url = web.url("/api/v1/accounts/current");
    (0..20)
        .map(|at| {
            let (ada, url, stop) = (Arc::clone(&accounts[at % accounts.len()]), url.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    let start = Instant::now();
                    let response = Response::of(ada.request_url("GET", &url)).await;
                    assert!(matches!(response.status, 200 | 503), "{response:?}");
                    let took = start.elapsed();
                    assert!(took < RESPONSE_LIMIT, "{took:?}: {response:?}");
                }
            })
        })
        .collect()
}

/// Makes a service fail while the web process serves requests, then lets it recover.
async fn survives_an_outage(variable: &str, outage: Mode, meanwhile: impl AsyncFn(&Process)) {
    let proxy = Proxy::to_service(variable, Mode::Pass).await;
    let deploy = Deploy::new().await;
    let worker = deploy.worker();
    let deploy = deploy.through(variable, proxy.port);
    let mut web = deploy.web().await;
    let accounts = join_all((0..6).map(async |_| Arc::new(Client::signed_in_at(&web).await.0))).await;
    let (ada, stop) = (Arc::clone(&accounts[5]), CancellationToken::new());
    // Opens every connection of the pool, so that the outage affects all.
    join_all((0..100).map(|at| accounts[at % 5].signed_in(&web))).await;
    let reading = keep_reading(&accounts[..5], &web, &stop);

    proxy.set(outage).await;
    until("reads return 503", RECOVERY, async || (ada.signed_in(&web).await == 503).then_some(())).await;
    let live = Client::new().get(&web, "/health/live").await;
    assert_eq!(live.status, 200, "liveness does not depend on services");
    meanwhile(&web).await;
    proxy.set(Mode::Pass).await;

    until("reads return 200 again", RECOVERY, async || (ada.signed_in(&web).await == 200).then_some(())).await;
    until_ready_is(200, &web, RECOVERY).await;
    stop.cancel();
    for reader in reading {
        reader.await.expect("every read returned 200 or 503");
    }
    assert!(web.running(), "the same process recovered");
    drop(worker);
}

async fn check_without_postgres(web: &Process) {
    until_ready_is(503, web, RECOVERY).await;
    let email = json!({ "email": "a@example.com" });
    let client = Client::new();
    let reset = client.post(web, "/api/v1/password-resets", email).await;
    reset.is_problem(503);
}

#[tokio::test]
async fn web_survives_a_postgres_that_refuses_connections() {
    survives_an_outage("DATABASE_URL", Mode::Refuse, check_without_postgres).await;
}

#[tokio::test]
async fn web_survives_a_paused_postgres() {
    survives_an_outage("DATABASE_URL", Mode::Pause, check_without_postgres).await;
}

#[tokio::test]
async fn web_survives_a_blackholed_postgres() {
    survives_an_outage("DATABASE_URL", Mode::Blackhole, check_without_postgres).await;
}

async fn check_without_redis(web: &Process) {
    let sign_in = Client::new().sign_in(web, &Account::new()).await;
    sign_in.is_problem(503);
    until("Redis is reported as down and web is ready", RECOVERY, async || {
        let ready = Client::new().get(web, "/health/ready").await;
        assert_eq!(ready.status, 200, "{}", ready.text);
        (ready.body["checks"]["redis"]["status"] == "down").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_survives_a_redis_that_refuses_connections() {
    survives_an_outage("REDIS_URL", Mode::Refuse, check_without_redis).await;
}

#[tokio::test]
async fn a_session_survives_a_paused_redis() {
    survives_an_outage("REDIS_URL", Mode::Pause, check_without_redis).await;
}

#[tokio::test]
async fn a_session_survives_a_blackholed_redis() {
    survives_an_outage("REDIS_URL", Mode::Blackhole, check_without_redis).await;
}

#[tokio::test]
async fn web_starts_without_postgres_and_becomes_ready_later() {
    let proxy = Proxy::to_service("DATABASE_URL", Mode::Refuse).await;
    let deploy = Deploy::new().await.through("DATABASE_URL", proxy.port);
    let mut web = deploy.listening_web().await;

    until_ready_is(503, &web, RECOVERY).await;
    proxy.set(Mode::Pass).await;

    until_ready_is(200, &web, RECOVERY).await;
    assert!(web.running());
}

#[tokio::test]
async fn web_starts_without_redis_and_stores_sessions_later() {
    let proxy = Proxy::to_service("REDIS_URL", Mode::Refuse).await;
    let deploy = Deploy::new().await.through("REDIS_URL", proxy.port);
    let (web, _worker) = (deploy.web().await, deploy.worker());

    proxy.set(Mode::Pass).await;
    until("sign-ins return 401", RECOVERY, async || {
        (Client::new().sign_in(&web, &Account::new()).await.status == 401).then_some(())
    })
    .await;

    let (ada, _) = Client::signed_in_at(&web).await;
    assert_eq!(ada.signed_in(&web).await, 200);
}

#[tokio::test]
async fn a_worker_starts_without_postgres_and_runs_jobs_later() {
    let proxy = Proxy::to_service("DATABASE_URL", Mode::Refuse).await;
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let deploy = deploy.through("DATABASE_URL", proxy.port);
    let mut worker = deploy.worker();
    worker.log("the worker logs a line", |_| true).await;

    proxy.set(Mode::Pass).await;

    Client::new().signed_up(&web).await;
    assert!(worker.running());
}

#[tokio::test]
async fn an_email_waits_until_the_mail_server_recovers() {
    let proxy = Proxy::to_service("SMTP_URL", Mode::Refuse).await;
    let deploy = Deploy::new().await.through("SMTP_URL", proxy.port);
    let (web, worker) = (deploy.web().await, deploy.worker());
    let account = Account::new();
    Client::new().sign_up(&web, &account).await;
    worker.log("the worker logs the failure", |line| matches!(line["level"].as_str(), Some("WARN" | "ERROR"))).await;

    proxy.set(Mode::Pass).await;

    let emails = until("the email arrives", Duration::from_secs(60), async || {
        let emails = mail::to(&account.email).await;
        (!emails.is_empty()).then_some(emails)
    })
    .await;
    assert_eq!(emails.len(), 1);
}

#[tokio::test]
async fn a_web_with_an_exhausted_pool_stays_ready() {
    let deploy = Deploy::new().await.with("DATABASE_POOL_SIZE", "3");
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&web).await;
    let (ada, probe) = (Arc::new(ada), Client::new());
    let mut connection = deploy.connection().await;
    let lock = "begin; lock table account in access exclusive mode";
    sqlx::raw_sql(lock).execute(&mut connection).await.expect("the table is locked");

    let url = web.url("/api/v1/accounts/current");
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (ada, url) = (Arc::clone(&ada), url.clone());
            tokio::spawn(async move { Response::of(ada.request_url("GET", &url)).await.status })
        })
        .collect();
    while !waiting.iter().all(JoinHandle::is_finished) {
        let ready = probe.get(&web, "/health/ready").await;
        assert_eq!(ready.status, 200, "{}", ready.text);
        tokio::time::sleep(Duration::from_millis(50)).await; // the interval of the probes
    }

    for status in waiting {
        // 429: the account has too many requests in flight.
        assert!(matches!(status.await.expect("a response"), 429 | 503));
    }
}

#[tokio::test]
async fn a_different_url_attaches_a_different_database() {
    let (one, other) = (Deploy::new().await, Deploy::new().await);
    let (web, _worker) = (one.web().await, one.worker());
    let account = Client::new().signed_up(&web).await;

    let deploy = one.with("DATABASE_URL", other.var("DATABASE_URL"));
    let moved = deploy.web().await;

    assert_eq!(Client::new().sign_in(&web, &account).await.status, 201);
    assert_eq!(Client::new().sign_in(&moved, &account).await.status, 401);
}

#[tokio::test]
async fn a_percent_encoded_password_in_a_url_is_decoded() {
    const PASSWORD: &str = "p/+@: %";
    let (deploy, name) = (Deploy::new().await, format!("odd_{}", random()));
    let client = redis::Client::open(service("REDIS_URL")).expect("a URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("the test reaches Redis");
    let mut role = redis::cmd("ACL");
    let role = role.arg("SETUSER").arg(&name).arg("on").arg(format!(">{PASSWORD}")).arg("~*").arg("+@all");
    let () = role.query_async(&mut redis).await.expect("a user of Redis");
    let mut connection = deploy.connection().await;
    let create = format!("create role {name} login superuser password '{PASSWORD}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.expect("a role");

    let mut odd = deploy.copy();
    for variable in ["DATABASE_URL", "REDIS_URL"] {
        let mut url = url::Url::parse(deploy.var(variable)).expect("a URL");
        url.set_username(&name).expect("a name");
        url.set_password(Some("p%2F+%40%3A%20%25")).expect("a password");
        odd.set(variable, url.as_str());
    }
    let doctor = odd.run("doctor", &[]).await;

    let drop = format!("drop role {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await.expect("the role is dropped");
    let () = redis::cmd("ACL").arg("DELUSER").arg(&name).query_async(&mut redis).await.expect("the user is deleted");
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(!format!("{doctor:?}").contains(PASSWORD), "{doctor:?}");
}

#[tokio::test]
async fn no_request_fails_on_a_stale_postgres_connection() {
    let proxy = Proxy::to_service("DATABASE_URL", Mode::Pass).await;
    let deploy = Deploy::new().await.through("DATABASE_URL", proxy.port);
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&web).await;
    // Enough concurrent requests to leave several connections idle.
    let read = async || join_all((0..20).map(|_| ada.get(&web, "/api/v1/accounts/current"))).await;
    read().await;

    proxy.set(Mode::Refuse).await;
    until_ready_is(503, &web, SOON).await;
    proxy.set(Mode::Pass).await;
    until_ready_is(200, &web, SOON).await;

    for response in read().await {
        assert_eq!(response.status, 200, "{}", response.text);
    }
}
