//! VIII. Each process type has its own work, and scales by running more processes.

use crate::support::sink::rejecting;
use crate::support::*;
use rustix::process::Signal;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_binds_no_port() {
    let deploy = Deploy::new().await;
    let (web, worker) = (deploy.web().await, deploy.worker());

    Client::new().signed_up(&web).await; // so the worker has run a job

    assert_eq!(listening_ports(worker.pid()), Vec::<u16>::new());
}

#[tokio::test]
async fn only_a_worker_sends_emails() {
    let (quiet, busy) = (Deploy::new().await, Deploy::new().await);
    let (web, other, _worker) = (quiet.web().await, busy.web().await, busy.worker());
    let account = Account::new();
    Client::new().sign_up(&web, &account).await;

    Client::new().signed_up(&other).await; // a later email, of a deploy with a worker, arrives
    let without_worker = mail::to(&account.email).await;
    let _worker = quiet.worker();

    assert!(without_worker.is_empty(), "web has sent {without_worker:?}");
    assert_eq!(mail::emails(&account.email, 1).await.len(), 1);
}

#[tokio::test]
async fn three_workers_send_each_email_once() {
    let deploy = Deploy::new().await;
    let (web, _workers) = (deploy.web().await, [deploy.worker(), deploy.worker(), deploy.worker()]);
    let accounts: Vec<Account> = (0..20).map(|_| Account::new()).collect();

    for account in &accounts {
        let response = Client::new().sign_up(&web, account).await;
        assert_eq!(response.status, 202, "{}", response.text);
    }

    for account in &accounts {
        mail::emails(&account.email, 1).await;
    }
    for account in &accounts {
        assert_eq!(mail::to(&account.email).await.len(), 1, "{}", account.email);
    }
}

/// A worker that is sending an email to a silent mail server.
async fn hanging(proxy: &Proxy) -> (Deploy, Process, Account) {
    let deploy = Deploy::new().await;
    let web = deploy.web().await; // its health probe must not connect to the proxy
    let deploy = deploy.with("SMTP_URL", &proxy.url("SMTP_URL"));
    let (worker, account) = (deploy.worker(), Account::new());
    drop(Client::new().sign_up(&web, &account).await);
    until("the worker is sending the email", SOON, async || (proxy.accepted() > 0).then_some(())).await;
    (deploy, worker, account)
}

#[tokio::test]
async fn a_stopped_worker_hands_its_email_back_at_once() {
    let proxy = Proxy::to_service("SMTP_URL", Mode::Blackhole).await;
    let (deploy, mut worker, account) = hanging(&proxy).await;

    worker.stop();
    assert_eq!(worker.exit(Duration::from_secs(6)).await.code, 0);
    proxy.set(Mode::Pass).await;
    let _other = deploy.worker();

    assert_eq!(mail::emails(&account.email, 1).await.len(), 1);
}

#[tokio::test]
async fn a_killed_workers_email_is_taken_over() {
    let proxy = Proxy::to_service("SMTP_URL", Mode::Blackhole).await;
    let (deploy, mut worker, account) = hanging(&proxy).await;

    worker.signal(Signal::KILL);
    worker.exit(SOON).await;
    proxy.set(Mode::Pass).await;
    let _other = deploy.worker();

    until("the email arrives", Duration::from_secs(40), async || {
        (!mail::to(&account.email).await.is_empty()).then_some(())
    })
    .await;
}

/// Signs up while the mail server rejects the email with `reply`. Returns the output of `jobs list` after that.
async fn rejected(reply: &'static str) -> (Deploy, Account, String) {
    let deploy = Deploy::new().await;
    let (web, account) = (deploy.web().await, Account::new());
    let copy = deploy.copy().with("SMTP_URL", &rejecting(reply).await);
    let mut worker = copy.worker();
    Client::new().sign_up(&web, &account).await;
    // Its text: the digits of the code may be in an id or a time too.
    let text = reply[4..].split(':').next().expect("a text");
    let listed = until("the reply is recorded", SOON, async || {
        let listed = deploy.run("jobs", &["list"]).await.out;
        listed.contains(text).then_some(listed)
    });
    let listed = listed.await;
    worker.stop();
    assert_eq!(worker.exit(SOON).await.code, 0);
    (deploy, account, listed)
}

#[tokio::test]
async fn a_permanently_rejected_email_is_dead_until_retried() {
    let (deploy, account, listed) = rejected("550 no such mailbox here: <ada@example.com>").await;

    let dead = deploy.run("jobs", &["list", "--dead"]).await.out;
    assert!(dead.contains("550") && dead.contains("no such mailbox here"), "{listed}{dead}");
    assert!(!dead.contains("example.com"), "the queue contains an email address: {dead}");
    let retried = deploy.run("jobs", &["retry", "--dead"]).await;
    assert_eq!((retried.code, retried.out.as_str()), (0, "jobs due now: 1\n"), "{retried:?}");
    let _worker = deploy.worker();

    assert_eq!(mail::emails(&account.email, 1).await.len(), 1);
}

#[tokio::test]
async fn a_temporarily_rejected_email_is_retried_or_discarded() {
    let (deploy, _, listed) = rejected("451 come back later").await;

    let dead = deploy.run("jobs", &["list", "--dead"]).await.out;
    assert!(!dead.contains("send_account_email"), "{listed}{dead}");
    let mut connection = deploy.connection().await;
    let job = sqlx::query_as("select id, due > created_at + interval '1 second' from job where error is not null");
    let (id, later): (i64, bool) = job.fetch_one(&mut connection).await.expect("a job");
    assert!(later, "{listed}");
    assert_eq!(deploy.run("jobs", &["discard", &id.to_string()]).await.code, 0);
    assert_ne!(deploy.run("jobs", &["discard", &id.to_string()]).await.code, 0, "the job is deleted");
}
