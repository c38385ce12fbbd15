//! VI. Processes are stateless: each can serve any request, and each may stop.

use crate::support::*;

/// Two web processes that alternate; the last one used is restarted.
struct Alternating<'a> {
    deploy: &'a Deploy,
    last: Process,
    next: Process,
}

impl<'a> Alternating<'a> {
    async fn start(deploy: &'a Deploy) -> Self {
        Self { deploy, last: deploy.web().await, next: deploy.web().await }
    }

    async fn next(&mut self) -> &Process {
        std::mem::swap(&mut self.last, &mut self.next);
        self.next.stop();
        assert_eq!(self.next.exit(SOON).await.code, 0);
        self.next = self.deploy.web().await;
        &self.last
    }
}

#[tokio::test]
async fn an_account_works_across_restarts_of_every_web() {
    let deploy = Deploy::new().await;
    let (mut webs, _worker) = (Alternating::start(&deploy).await, deploy.worker());
    let (laptop, phone, mut ada) = (Client::new(), Client::new(), Account::new());

    let response = laptop.sign_up(webs.next().await, &ada).await;
    assert_eq!(response.status, 202, "{}", response.text);
    let token = mail::token(&ada.email, "verify").await;
    assert_eq!(laptop.confirm(webs.next().await, &token, &ada.password).await.status, 204);
    assert_eq!(laptop.sign_in(webs.next().await, &ada).await.status, 201);
    assert_eq!(phone.sign_in(webs.next().await, &ada).await.status, 201);
    let devices = laptop.get(webs.next().await, "/api/v1/sessions").await;
    assert_eq!(devices.body["items"].as_array().map(Vec::len), Some(2), "{}", devices.text);

    let change = json!({ "current_password": ada.password, "new_password": "a much better one" });
    let response = laptop.put(webs.next().await, "/api/v1/accounts/current/password", change).await;
    assert_eq!(response.status, 204, "{}", response.text);
    assert_eq!(phone.signed_in(webs.next().await).await, 401, "other devices are signed out");
    assert_eq!(laptop.signed_in(webs.next().await).await, 200, "this device stays signed in");

    let request = json!({ "email": ada.email });
    let response = phone.post(webs.next().await, "/api/v1/password-resets", request).await;
    assert_eq!(response.status, 202, "{}", response.text);
    let token = mail::token(&ada.email, "reset").await;
    ada.password = "the best one of all".to_owned();
    let reset = json!({ "token": token, "password": ada.password });
    let response = phone.put(webs.next().await, "/api/v1/password-resets", reset).await;
    assert_eq!(response.status, 204, "{}", response.text);
    assert_eq!(laptop.signed_in(webs.next().await).await, 401, "a reset signs out everywhere");

    assert_eq!(phone.sign_in(webs.next().await, &ada).await.status, 201);
    let erase = json!({ "current_password": ada.password });
    let response = phone.delete_with(webs.next().await, "/api/v1/accounts/current", erase).await;
    assert_eq!(response.status, 204, "{}", response.text);
    assert_eq!(phone.signed_in(webs.next().await).await, 401);
    assert_eq!(phone.sign_in(webs.next().await, &ada).await.status, 401, "the account is erased");
}

#[tokio::test]
async fn a_session_is_valid_on_every_process() {
    let deploy = Deploy::new().await;
    let (one, other, _worker) = (deploy.web().await, deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&one).await;

    for web in [&other, &one, &other, &one] {
        assert_eq!(ada.signed_in(web).await, 200);
    }

    assert_eq!(ada.delete(&other, "/api/v1/sessions/current").await.status, 204);
    assert_eq!(ada.signed_in(&one).await, 401);
}

#[tokio::test]
async fn accounts_and_sessions_survive_killing_all_processes() {
    let deploy = Deploy::new().await;
    let (web, worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;

    drop((web, worker));
    let web = deploy.web().await;

    assert_eq!(ada.signed_in(&web).await, 200);
    assert_eq!(Client::new().sign_in(&web, &account).await.status, 201);
}

#[tokio::test]
async fn nothing_is_written_to_the_working_directory() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());

    Client::signed_in_at(&web).await;

    assert_eq!(std::fs::read_dir(deploy.dir()).expect("the directory").count(), 0);
}

#[tokio::test]
async fn sessions_are_stored_hashed_and_expire() {
    let deploy = Deploy::new().await.with("SESSION_IDLE_SECONDS", "600");
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let before = keys().await;
    let (ada, _) = Client::signed_in_at(&web).await;
    let cookie = ada.session(&web);

    let mut redis = redis().await;
    for key in keys().await.difference(&before) {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(key).query_async(&mut redis).await.unwrap_or_default();
        let ttl: i64 = redis::cmd("TTL").arg(key).query_async(&mut redis).await.expect("a TTL");
        let found = [key.as_slice(), &dump].iter().any(|text| contains(text, cookie.as_bytes()));

        assert!(!found, "{} contains the session id", String::from_utf8_lossy(key));
        assert_ne!(ttl, -1, "{} never expires", String::from_utf8_lossy(key));
    }
}

#[tokio::test]
async fn the_database_contains_no_plaintext_secrets() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    let (pending, email) = (Account::new(), json!({ "email": account.email }));
    ada.sign_up(&web, &pending).await;
    ada.post(&web, "/api/v1/password-resets", email).await;
    let secrets = [
        account.password,
        ada.session(&web),
        mail::token(&pending.email, "verify").await,
        mail::token(&account.email, "reset").await,
    ];

    let mut connection = deploy.connection().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables
          where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the tables");
    let mut rows = Vec::new();
    for table in tables {
        let all = format!("select to_jsonb(t)::text from {table} t");
        let all: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(all)).fetch_all(&mut connection).await.expect("the rows");
        rows.extend(all);
    }

    assert!(rows.iter().any(|row| row.contains(&account.email)));
    for row in rows {
        let found = secrets.iter().find(|secret| row.contains(secret.as_str()));
        assert!(found.is_none(), "{found:?} is in {row}");
    }
}

#[tokio::test]
async fn an_idle_session_expires() {
    let deploy = Deploy::new().await.with("SESSION_IDLE_SECONDS", "1");
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let ada = Client::new();
    let account = ada.signed_up(&web).await;
    let signed_in = ada.sign_in(&web, &account).await;
    assert_eq!(signed_in.status, 201, "{}", signed_in.text);

    tokio::time::sleep(Duration::from_secs(2)).await; // the time itself is what is tested

    assert_eq!(ada.signed_in(&web).await, 401);
}

#[tokio::test]
async fn a_session_in_use_expires_after_its_maximum_age() {
    let deploy = Deploy::new().await.with("SESSION_MAX_SECONDS", "3");
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&web).await;

    until("the session expires although it is used", SOON, async || (ada.signed_in(&web).await == 401).then_some(()))
        .await;
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

async fn redis() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(service("REDIS_URL")).expect("REDIS_URL is a URL");
    client.get_multiplexed_async_connection().await.expect("the test reaches Redis")
}

async fn keys() -> std::collections::BTreeSet<Vec<u8>> {
    redis::cmd("KEYS").arg("*").query_async(&mut redis().await).await.expect("the keys")
}
