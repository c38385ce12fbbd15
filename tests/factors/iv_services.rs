//! IV. Backing services are attached by URL, and may go and come back.

use crate::support::*;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long healing may take.
const HEALING: Duration = Duration::from_secs(10);
/// How long an answer may take while a service is silent.
const PATIENCE: Duration = Duration::from_secs(8);

async fn ready_is(status: u16, web: &Process, within: Duration) -> Answer {
    let probe = Client::new();
    until(&format!("/health/ready is {status}"), within, async || {
        let answer = probe.get(web, "/health/ready").await;
        (answer.status == status).then_some(answer)
    })
    .await
}

/// Signed-in reads, twenty at a time, until told to stop. Each is answered 200 or 503, within its time.
fn keep_reading(ada: &Arc<Client>, web: &Process, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let url = web.url("/api/v1/accounts/current");
    (0..20)
        .map(|_| {
            let (ada, url, stop) = (Arc::clone(ada), url.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    let start = Instant::now();
                    let answer = Answer::of(ada.request_url("GET", &url)).await;
                    assert!(matches!(answer.status, 200 | 503), "{answer:?}");
                    let took = start.elapsed();
                    assert!(took < PATIENCE, "{took:?}: {answer:?}");
                }
            })
        })
        .collect()
}

/// Takes a service away from under a web that is in use, and gives it back.
async fn goes_and_comes_back(variable: &str, how: Mode, meanwhile: impl AsyncFn(&Process)) {
    let proxy = Proxy::before(variable, Mode::Pass).await;
    let deploy = Deploy::new().await;
    let worker = deploy.worker();
    let deploy = deploy.through(variable, proxy.port);
    let mut web = deploy.web().await;
    let (ada, _) = Client::signed_in_at(&web).await;
    let (ada, stop) = (Arc::new(ada), CancellationToken::new());
    // Every connection of the pool is open, so that each can be caught.
    futures_util::future::join_all((0..100).map(|_| ada.signed_in(&web))).await;
    let reading = keep_reading(&ada, &web, &stop);

    proxy.set(how).await;
    until("reads are refused", HEALING, async || (ada.signed_in(&web).await == 503).then_some(())).await;
    let live = Client::new().get(&web, "/health/live").await;
    assert_eq!(live.status, 200, "liveness is not readiness");
    meanwhile(&web).await;
    proxy.set(Mode::Pass).await;

    until("reads are answered again", HEALING, async || (ada.signed_in(&web).await == 200).then_some(())).await;
    ready_is(200, &web, HEALING).await;
    stop.cancel();
    for reader in reading {
        reader.await.expect("every read was answered 200 or 503");
    }
    assert!(web.running(), "the same process is ready again");
    drop(worker);
}

async fn postgres_is_missed(web: &Process) {
    ready_is(503, web, HEALING).await;
    let email = json!({ "email": "a@example.com" });
    let client = Client::new();
    let reset = client.post(web, "/api/v1/password-resets", email).await;
    reset.is_problem(503);
}

#[tokio::test]
async fn web_outlives_a_refusing_postgres() {
    goes_and_comes_back("DATABASE_URL", Mode::Refuse, postgres_is_missed).await;
}

#[tokio::test]
async fn web_outlives_a_paused_postgres() {
    goes_and_comes_back("DATABASE_URL", Mode::Pause, postgres_is_missed).await;
}

#[tokio::test]
async fn web_outlives_a_blackholed_postgres() {
    goes_and_comes_back("DATABASE_URL", Mode::Blackhole, postgres_is_missed).await;
}

async fn redis_is_missed(web: &Process) {
    let sign_in = Client::new().sign_in(web, &Account::new()).await;
    sign_in.is_problem(503);
    until("Redis is listed as down, and web is ready", HEALING, async || {
        let ready = Client::new().get(web, "/health/ready").await;
        assert_eq!(ready.status, 200, "{}", ready.text);
        (ready.body["checks"]["redis"]["status"] == "down").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_outlives_a_refusing_redis() {
    goes_and_comes_back("REDIS_URL", Mode::Refuse, redis_is_missed).await;
}

#[tokio::test]
async fn a_session_outlives_a_paused_redis() {
    goes_and_comes_back("REDIS_URL", Mode::Pause, redis_is_missed).await;
}

#[tokio::test]
async fn a_session_outlives_a_blackholed_redis() {
    goes_and_comes_back("REDIS_URL", Mode::Blackhole, redis_is_missed).await;
}

#[tokio::test]
async fn web_starts_without_postgres_and_is_ready_when_it_comes() {
    let proxy = Proxy::before("DATABASE_URL", Mode::Refuse).await;
    let deploy = Deploy::new().await.through("DATABASE_URL", proxy.port);
    let mut web = deploy.web_at_once().await;

    ready_is(503, &web, HEALING).await;
    proxy.set(Mode::Pass).await;

    ready_is(200, &web, HEALING).await;
    assert!(web.running());
}

#[tokio::test]
async fn web_starts_without_redis_and_keeps_sessions_when_it_comes() {
    let proxy = Proxy::before("REDIS_URL", Mode::Refuse).await;
    let deploy = Deploy::new().await.through("REDIS_URL", proxy.port);
    let (web, _worker) = (deploy.web().await, deploy.worker());

    proxy.set(Mode::Pass).await;
    until("sign-ins are answered", HEALING, async || {
        (Client::new().sign_in(&web, &Account::new()).await.status == 401).then_some(())
    })
    .await;

    let (ada, _) = Client::signed_in_at(&web).await;
    assert_eq!(ada.signed_in(&web).await, 200);
}

#[tokio::test]
async fn a_worker_starts_without_postgres_and_works_when_it_comes() {
    let proxy = Proxy::before("DATABASE_URL", Mode::Refuse).await;
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let deploy = deploy.through("DATABASE_URL", proxy.port);
    let mut worker = deploy.worker();
    worker.log("the worker says something", |_| true).await;

    proxy.set(Mode::Pass).await;

    Client::new().signed_up(&web).await;
    assert!(worker.running());
}

#[tokio::test]
async fn a_letter_waits_until_the_mail_server_is_back() {
    let proxy = Proxy::before("SMTP_URL", Mode::Refuse).await;
    let deploy = Deploy::new().await.through("SMTP_URL", proxy.port);
    let (web, worker) = (deploy.web().await, deploy.worker());
    let account = Account::new();
    Client::new().post(&web, "/api/v1/accounts", account.credentials()).await;
    worker
        .log("the worker tells of its failure", |line| matches!(line["level"].as_str(), Some("WARN" | "ERROR")))
        .await;

    proxy.set(Mode::Pass).await;

    let letters = until("the letter arrives", Duration::from_secs(60), async || {
        let letters = mail::to(&account.email).await;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!(letters.len(), 1);
}

#[tokio::test]
async fn a_web_whose_pool_is_busy_stays_ready() {
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
            tokio::spawn(async move { Answer::of(ada.request_url("GET", &url)).await.status })
        })
        .collect();
    while !waiting.iter().all(JoinHandle::is_finished) {
        let ready = probe.get(&web, "/health/ready").await;
        assert_eq!(ready.status, 200, "{}", ready.text);
        tokio::time::sleep(Duration::from_millis(50)).await; // how often it is looked at
    }

    for status in waiting {
        assert_eq!(status.await.expect("an answer"), 503);
    }
}

#[tokio::test]
async fn another_url_is_another_database() {
    let (one, other) = (Deploy::new().await, Deploy::new().await);
    let (web, _worker) = (one.web().await, one.worker());
    let account = Client::new().signed_up(&web).await;

    let moved = one.with("DATABASE_URL", other.var("DATABASE_URL"));
    let elsewhere = moved.web().await;

    assert_eq!(Client::new().sign_in(&web, &account).await.status, 201);
    assert_eq!(Client::new().sign_in(&elsewhere, &account).await.status, 401);
}

#[tokio::test]
async fn a_password_that_stands_percent_encoded_in_a_url_is_decoded() {
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
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await.expect("the role is gone");
    let () = redis::cmd("ACL").arg("DELUSER").arg(&name).query_async(&mut redis).await.expect("as is the user");
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(!format!("{doctor:?}").contains(PASSWORD), "{doctor:?}");
}

#[tokio::test]
async fn no_request_gets_a_connection_that_died_with_postgres() {
    let proxy = Proxy::before("DATABASE_URL", Mode::Pass).await;
    let deploy = Deploy::new().await.through("DATABASE_URL", proxy.port);
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&web).await;
    // As many at once as leave several connections idle.
    let asked = async || join_all((0..20).map(|_| ada.get(&web, "/api/v1/accounts/current"))).await;
    asked().await;

    proxy.set(Mode::Refuse).await;
    ready_is(503, &web, SOON).await;
    proxy.set(Mode::Pass).await;
    ready_is(200, &web, SOON).await;

    for answer in asked().await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}
