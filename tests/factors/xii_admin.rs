//! XII. Admin tasks are programs of the same release, and are idempotent.

use crate::support::*;

#[tokio::test]
async fn every_program_prints_help_and_version_without_config() {
    let mut deploy = Deploy::detached();
    deploy.env.clear();
    deploy.set("RELEASE_ID", "release-42");

    for program in PROGRAMS {
        let help = deploy.run(program, &["--help"]).await;
        let version = deploy.run(program, &["--version"]).await;

        assert_eq!(help.code, 0, "{program}: {help:?}");
        assert!(help.out.contains("Usage"), "{program}: {help:?}");
        assert_eq!(version.code, 0, "{program}: {version:?}");
        assert!(version.out.contains(env!("CARGO_PKG_VERSION")), "{program}: {version:?}");
        assert!(version.out.contains("release-42"), "{program}: {version:?}");
    }
}

#[tokio::test]
async fn eight_parallel_migrations_all_succeed() {
    let deploy = Deploy::unmigrated().await;
    let run = || deploy.run("migrate", &[]);

    let exits = tokio::join!(run(), run(), run(), run(), run(), run(), run(), run());

    let exits: [Exit; 8] = exits.into();
    assert!(exits.iter().all(|exit| exit.code == 0), "{exits:?}");
    let duplicates: i64 = sqlx::query_scalar("select count(*) - count(distinct version) from _sqlx_migrations")
        .fetch_one(&mut deploy.connection().await)
        .await
        .expect("the migrations are recorded");
    assert_eq!(duplicates, 0);
    assert_eq!(deploy.run("migrate", &["--status"]).await.code, 0);
}

#[tokio::test]
async fn migrate_needs_no_service_but_postgres() {
    let database = Deploy::unmigrated().await;
    let deploy = Deploy::detached()
        .with("DATABASE_URL", database.var("DATABASE_URL"))
        .with("MIGRATE_DATABASE_URL", database.var("MIGRATE_DATABASE_URL"));

    let (first, second) = (deploy.run("migrate", &[]).await, deploy.run("migrate", &[]).await);

    assert_eq!((first.code, second.code), (0, 0), "{first:?} {second:?}");
}

#[tokio::test]
async fn web_runs_no_migrations_and_waits_for_them() {
    let deploy = Deploy::unmigrated().await;
    let (mut web, probe) = (deploy.listening_web().await, Client::new());
    assert_eq!(probe.get(&web, "/health/ready").await.status, 503);

    assert_eq!(deploy.run("migrate", &[]).await.code, 0);

    until("web is ready", SOON, async || (probe.get(&web, "/health/ready").await.status == 200).then_some(())).await;
    assert!(web.running());
}

#[tokio::test]
async fn reset_fails_unless_the_database_is_named() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let account = Client::new().signed_up(&web).await;

    let unset = deploy.run("reset", &[]).await;
    let deploy = deploy.with("ALLOW_RESET", "another_database");
    let other = deploy.run("reset", &[]).await;

    assert!(unset.code != 0 && unset.err.contains("ALLOW_RESET"), "{unset:?}");
    assert!(other.code != 0 && other.err.contains("ALLOW_RESET"), "{other:?}");
    assert_eq!(Client::new().sign_in(&web, &account).await.status, 201, "the account still exists");
}

#[tokio::test]
async fn reset_empties_migrates_and_seeds_the_named_database() {
    let deploy = Deploy::new().await;
    let (web, worker) = (deploy.web().await, deploy.worker());
    let account = Client::new().signed_up(&web).await;
    drop((web, worker));

    let name = deploy.database.clone();
    let deploy = deploy.with("ALLOW_RESET", &name);
    let exit = deploy.run("reset", &[]).await;

    assert_eq!(exit.code, 0, "{exit:?}");
    let web = deploy.web().await;
    assert_eq!(Client::new().sign_in(&web, &account).await.status, 401);
}

#[tokio::test]
async fn reset_fails_soon_when_a_table_is_locked() {
    let deploy = Deploy::new().await;
    let mut connection = deploy.connection().await;
    let lock = "begin; select * from account";
    sqlx::raw_sql(lock).execute(&mut connection).await.expect("a transaction is open");

    let name = deploy.database.clone();
    let deploy = deploy.with("ALLOW_RESET", &name);
    let exit = deploy.run("reset", &[]).await;

    assert_eq!(exit.code, 1, "{exit:?}");
    assert!(exit.err.contains("lock"), "{exit:?}");
}

#[tokio::test]
async fn seed_can_be_run_twice() {
    let deploy = Deploy::new().await;

    let (first, second) = (deploy.run("seed", &[]).await, deploy.run("seed", &[]).await);

    assert_eq!((first.code, second.code), (0, 0), "{first:?} {second:?}");
}

#[tokio::test]
async fn doctor_succeeds_when_all_services_are_up() {
    let deploy = Deploy::new().await;

    let (text, json) = (deploy.run("doctor", &[]).await, deploy.run("doctor", &["--json"]).await);

    assert_eq!((text.code, json.code), (0, 0), "{text:?} {json:?}");
    assert!(serde_json::from_str::<Value>(&json.out).is_ok(), "{json:?}");
}

#[tokio::test]
async fn doctor_names_the_service_that_is_down() {
    let detached = Deploy::detached();

    for name in ["DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL"] {
        let deploy = Deploy::new().await.with(name, detached.var(name));
        let exit = deploy.run("doctor", &[]).await;

        assert_ne!(exit.code, 0, "{name}: {exit:?}");
        assert!(format!("{}{}", exit.out, exit.err).contains(name), "{name}: {exit:?}");
    }
}

#[tokio::test]
async fn doctor_reports_whether_the_local_process_is_live() {
    let deploy = Deploy::detached().with("PORT", &closed_port().to_string());
    let doctor = async |deploy: &Deploy| deploy.run("doctor", &["--process"]).await.code;
    assert_ne!(doctor(&deploy).await, 0, "no process runs");

    let _web = deploy.listening_web().await;
    assert_eq!(doctor(&deploy).await, 0);

    // A worker listens only on the metrics port.
    let deploy = deploy.with("METRICS_PORT", &closed_port().to_string());
    assert_ne!(doctor(&deploy).await, 0, "no worker runs");
    let _worker = deploy.worker();
    until("the worker is live", SOON, async || (doctor(&deploy).await == 0).then_some(())).await;
}

#[tokio::test]
async fn the_console_is_read_only_without_the_write_flag() {
    let deploy = Deploy::new().await.with_new_role().await;
    let write = "create table scratch (n int)";

    let read = deploy.run_with("console", &[], "select 40 + 2 as answer").await;
    let rejected = deploy.run_with("console", &[], write).await;
    let written = deploy.run_with("console", &["--write"], write).await;

    assert!(read.code == 0 && read.out.contains("42"), "{read:?}");
    assert_ne!(rejected.code, 0, "{rejected:?}");
    assert_eq!(written.code, 0, "{written:?}");
}

#[tokio::test]
async fn an_account_is_signed_out_disabled_enabled_and_erased() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    let task = async |verb: &str| deploy.run("account", &[verb, &account.email]).await.code;

    assert_eq!(task("sign-out").await, 0);
    assert_eq!(ada.signed_in(&web).await, 401, "signed out");
    assert_eq!(task("disable").await, 0);
    assert_eq!(ada.sign_in(&web, &account).await.status, 401, "disabled");
    assert_eq!(task("enable").await, 0);
    assert_eq!(ada.sign_in(&web, &account).await.status, 201, "enabled");
    assert_eq!(task("erase").await, 0);
    assert_eq!(ada.signed_in(&web).await, 401, "erased");
    assert_ne!(task("disable").await, 0, "no such account");
}

#[tokio::test]
async fn jobs_list_shows_the_waiting_jobs() {
    let deploy = Deploy::new().await;
    let web = deploy.web().await;
    let empty = deploy.run("jobs", &["list"]).await;
    Client::new().sign_up(&web, &Account::new()).await;

    let waiting = deploy.run("jobs", &["list"]).await;

    assert_eq!((empty.code, waiting.code), (0, 0), "{empty:?} {waiting:?}");
    assert_ne!(empty.out, waiting.out);
}
