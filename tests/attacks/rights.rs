//! The role of web and worker has the rights that the service needs, and no other: an SQL injection could not change the
//! schema, run a program or use a file.

use crate::support::queue::{execute, number};
use crate::support::*;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Statements that a read-only transaction does not prevent, with the file that they would make.
fn escapes(file: &str) -> [String; 5] {
    [
        format!("copy (select 1) to program 'touch {file}'"),
        format!("copy (select 1) to '{file}'"),
        format!("do $$ begin copy (select 1) to program 'touch {file}'; end $$"),
        "select pg_read_file('postgresql.conf')".into(),
        "select pg_reload_conf()".into(),
    ]
}

/// A connection with the role of web and worker.
async fn service_connection(deploy: &Deploy) -> PgConnection {
    PgConnection::connect(deploy.var("DATABASE_URL")).await.expect("the role may connect")
}

/// Asserts that Postgres denies the statement for lack of rights.
async fn assert_denied(db: &mut PgConnection, sql: &str) {
    let result = sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await;
    let code = result.as_ref().err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
    assert_eq!(code.as_deref(), Some("42501"), "{sql}: {result:?}");
}

/// How many tables and sequences of the service the role cannot use.
async fn unusable(deploy: &Deploy) -> i64 {
    let unusable = "select count(*) from pg_class where relnamespace = 'public'::regnamespace and case
        when relkind = 'S' then not has_sequence_privilege(oid, 'usage')
        when relname = '_sqlx_migrations' then not has_table_privilege(oid, 'select')
        when relkind = 'r' then exists (select from unnest('{select,insert,update,delete}'::text[]) as needed
            where not has_table_privilege(oid, needed)) end";
    number(&mut service_connection(deploy).await, unusable).await
}

#[tokio::test]
async fn the_console_without_write_runs_no_program_and_uses_no_file() {
    let deploy = Deploy::new().await.with_new_role().await;
    let file = std::env::temp_dir().join(random());

    for sql in escapes(file.to_str().expect("a path")) {
        let exit = deploy.run_with("console", &[], &sql).await;

        assert_ne!(exit.code, 0, "{sql}: {exit:?}");
        let denied = ["permission denied", "must be superuser"].iter().any(|text| exit.err.contains(text));
        assert!(denied, "{sql}: {exit:?}");
    }
    assert!(!file.exists());
}

#[tokio::test]
async fn the_console_without_write_is_rejected_for_a_superuser() {
    let deploy = Deploy::new().await;
    let deploy = deploy.copy().with("DATABASE_URL", &deploy.superuser_url());

    let exit = deploy.run_with("console", &[], "select 40 + 2").await;

    assert_eq!((exit.code, exit.out.as_str()), (1, ""), "{exit:?}");
    assert!(exit.err.contains("superuser") && exit.err.lines().count() == 1, "{exit:?}");
}

#[tokio::test]
async fn the_console_without_write_is_rejected_for_a_role_that_can_run_programs() {
    let deploy = Deploy::new().await.with_new_role().await;
    let grant = format!("grant pg_execute_server_program to {}", deploy.database);
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut deploy.connection().await).await.expect("a grant");

    let exit = deploy.run_with("console", &[], "select 40 + 2").await;

    assert_eq!((exit.code, exit.out.as_str()), (1, ""), "{exit:?}");
}

#[tokio::test]
async fn the_console_without_write_cannot_leave_its_read_only_transaction() {
    let deploy = Deploy::new().await.with_new_role().await;
    let statements = [
        "do $$ begin set transaction read write; delete from job_schedule; end $$",
        "do $$ begin perform set_config('transaction_read_only', 'off', true); delete from job_schedule; end $$",
        "do $$ begin commit; delete from job_schedule; end $$",
        "commit; delete from job_schedule",
        "set session characteristics as transaction read write\ndelete from job_schedule",
    ];

    for sql in statements {
        let exit = deploy.run_with("console", &[], sql).await;

        assert_ne!(exit.code, 0, "{sql}: {exit:?}");
    }
    let mut db = deploy.connection().await;
    assert!(number(&mut db, "select count(*) from job_schedule").await > 0);
}

#[tokio::test]
async fn the_console_with_write_has_the_role_of_the_owner() {
    let deploy = Deploy::new().await.with_new_role().await;
    let create = "create table scratch (n int)\ninsert into scratch values (42)\nselect n from scratch";

    let exit = deploy.run_with("console", &["--write"], create).await;

    assert!(exit.code == 0 && exit.out.contains("42"), "{exit:?}");
}

#[tokio::test]
async fn the_role_of_web_cannot_change_the_schema_or_read_password_hashes_of_roles() {
    let deploy = Deploy::new().await.with_new_role().await;
    let mut db = service_connection(&deploy).await;

    for sql in [
        "create table scratch (n int)",
        "create schema scratch",
        "create function scratch() returns int language sql as 'select 1'",
        "alter table account add scratch int",
        "drop table account",
        "truncate account cascade",
        "create index on account (created_at)",
        "create trigger scratch before insert on account for each row execute function scratch()",
        "update _sqlx_migrations set success = true",
        "delete from _sqlx_migrations",
        "select rolpassword from pg_authid",
        "create role scratch",
        "alter system set work_mem = '1MB'",
    ] {
        assert_denied(&mut db, sql).await;
    }
    for sql in escapes("/tmp/scratch") {
        assert_denied(&mut db, &sql).await;
    }
}

#[tokio::test]
async fn migrate_grants_the_role_of_web_all_that_exists_and_each_new_table() {
    let deploy = Deploy::new().await.with_new_role().await;
    assert_eq!(unusable(&deploy).await, 0);
    let mut owner = PgConnection::connect(deploy.var("MIGRATE_DATABASE_URL")).await.expect("the owner may connect");
    execute(&mut owner, "create table later (id serial primary key)").await;
    assert_eq!(unusable(&deploy).await, 2, "the table and its sequence");

    let (first, second) = (deploy.run("migrate", &[]).await, deploy.run("migrate", &[]).await);

    assert_eq!((first.code, second.code), (0, 0), "{first:?} {second:?}");
    assert_eq!(unusable(&deploy).await, 0);
    execute(&mut service_connection(&deploy).await, "insert into later default values").await;
}

#[tokio::test]
async fn migrate_takes_from_all_roles_the_right_to_create_tables() {
    let deploy = Deploy::new().await.with_new_role().await;
    // As in databases that were created by a Postgres before 15.
    execute(&mut deploy.connection().await, "grant create on schema public to public").await;

    assert_eq!(deploy.run("migrate", &[]).await.code, 0);

    assert_denied(&mut service_connection(&deploy).await, "create table scratch (n int)").await;
}

#[tokio::test]
async fn migrate_succeeds_beside_a_table_of_another_role() {
    let deploy = Deploy::new().await.with_new_role().await;
    execute(
        &mut deploy.connection().await,
        "create table foreign_table (n int); revoke all on foreign_table from public",
    )
    .await;

    let exit = deploy.run("migrate", &[]).await;

    assert_eq!(exit.code, 0, "{exit:?}");
}

#[tokio::test]
async fn reset_grants_the_rights_again() {
    let deploy = Deploy::new().await.with_new_role().await;
    let name = deploy.database.clone();
    let deploy = deploy.with("ALLOW_RESET", &name);

    let exit = deploy.run("reset", &[]).await;

    assert_eq!(exit.code, 0, "{exit:?}");
    assert_eq!(unusable(&deploy).await, 0);
    let (web, _worker) = (deploy.web().await, deploy.worker());
    Client::signed_in_at(&web).await;
    assert_denied(&mut service_connection(&deploy).await, "create table scratch (n int)").await;
}

#[tokio::test]
async fn migrate_and_reset_reject_urls_of_two_databases() {
    let (deploy, other) = (Deploy::new().await, Deploy::unmigrated().await);
    let name = other.database.clone();
    let deploy = deploy.with("MIGRATE_DATABASE_URL", other.var("MIGRATE_DATABASE_URL")).with("ALLOW_RESET", &name);

    for program in ["migrate", "reset"] {
        let exit = deploy.run(program, &[]).await;

        assert_eq!(exit.code, 1, "{exit:?}");
        assert!(exit.err.contains("DATABASE_URL") && exit.err.contains(&name), "{exit:?}");
    }
}

/// What doctor says of `DATABASE_URL`; it succeeds.
async fn diagnosis(deploy: &Deploy) -> Value {
    let exit = deploy.run("doctor", &["--json"]).await;
    assert_eq!(exit.code, 0, "{exit:?}");
    let output: Value = serde_json::from_str(&exit.out).expect("JSON");
    let checks = output["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["variable"] == "DATABASE_URL").expect("a check").clone()
}

#[tokio::test]
async fn doctor_warns_of_a_superuser_and_of_the_role_of_the_owner() {
    let deploy = Deploy::new().await.with_new_role().await;
    assert_eq!(diagnosis(&deploy).await["status"], "ok");

    let superuser = deploy.copy().with("DATABASE_URL", &deploy.superuser_url());
    let own = format!("alter table _sqlx_migrations owner to {}", deploy.database);
    sqlx::raw_sql(AssertSqlSafe(own)).execute(&mut deploy.connection().await).await.expect("another owner");

    for (deploy, what) in [(superuser, "superuser"), (deploy, "owner")] {
        let check = diagnosis(&deploy).await;
        assert_eq!(check["status"], "warning", "{check}");
        assert!(check["message"].to_string().contains(what), "{check}");
        assert!(check["remedy"].to_string().contains("MIGRATE_DATABASE_URL"), "{check}");
    }
}
