//! III. Config is read only from the environment, all errors are reported at once, and no secret is shown.

use crate::support::*;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

const CANARY: &str = "c4n4ry";

/// All documented variables, without `OTEL_*`.
const VARIABLES: [&str; 22] = [
    "PORT",
    "PUBLIC_URL",
    "DATABASE_URL",
    "MIGRATE_DATABASE_URL",
    "REDIS_URL",
    "SMTP_URL",
    "MAIL_FROM",
    "STORAGE_URL",
    "RELEASE_ID",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "DATABASE_POOL_SIZE",
    "WORKER_CONCURRENCY",
    "MAX_CONNECTIONS",
    "REQUEST_TIMEOUT_SECONDS",
    "DRAIN_SECONDS",
    "SHUTDOWN_GRACE_SECONDS",
    "SESSION_IDLE_SECONDS",
    "SESSION_MAX_SECONDS",
    "TRUSTED_PROXIES",
    "METRICS_PORT",
    "ALLOW_RESET",
];

/// Asserts that a process rejected its config: exit code 78, and one JSON line per variable.
#[track_caller]
fn assert_config_rejected(exit: &Exit, variables: &[&str]) {
    assert_eq!(exit.code, 78, "{exit:?}");
    assert_eq!(exit.err, "", "a process reports errors on stdout");
    let lines: Vec<Value> = exit.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    for variable in variables {
        let is_named = lines.iter().any(|line| line["message"].to_string().contains(variable));
        assert!(is_named, "{variable} is not named: {}", exit.out);
    }
    assert_eq!(lines.len(), variables.len(), "expected one line per variable: {}", exit.out);
    assert!(lines.iter().all(|line| line["message"] != "listening"), "it listens on a port");
}

#[tokio::test]
async fn web_and_worker_name_all_missing_variables_at_once() {
    let mut deploy = Deploy::detached();
    deploy.env.clear();

    for program in ["web", "worker"] {
        let exit = deploy.run(program, &[]).await;

        assert_config_rejected(&exit, &REQUIRED);
    }
}

#[tokio::test]
async fn admin_tasks_name_every_missing_variable_on_stderr() {
    let mut deploy = Deploy::detached();
    deploy.env.clear();
    let tasks: [(&str, &[&str]); 8] = [
        ("migrate", &[]),
        ("seed", &[]),
        ("reset", &[]),
        ("doctor", &[]),
        ("console", &[]),
        ("config", &["show"]),
        ("jobs", &["list"]),
        ("account", &["disable", "ada@example.com"]),
    ];

    for (program, args) in tasks {
        let exit = deploy.run(program, args).await;

        assert_eq!(exit.code, 78, "{program}: {exit:?}");
        for variable in REQUIRED {
            assert!(exit.err.contains(variable), "{program} does not name {variable}: {exit:?}");
        }
    }
}

#[tokio::test]
async fn an_invalid_variable_is_named_without_its_value() {
    let invalid = [
        ("PORT", "c4n4ry"),
        ("PORT", "70000"),
        ("PUBLIC_URL", "c4n4ry"),
        ("PUBLIC_URL", "ftp://c4n4ry.test"),
        ("DATABASE_URL", "mysql://c4n4ry@host/d"),
        ("MIGRATE_DATABASE_URL", "mysql://c4n4ry@host/d"),
        ("REDIS_URL", "http://:c4n4ry@host"),
        ("SMTP_URL", "c4n4ry"),
        ("MAIL_FROM", "c4n4ry"),
        ("STORAGE_URL", "https://key:c4n4ry@host/bucket"),
        ("LOG_LEVEL", "c4n4ry=loudest"),
        ("LOG_LEVEL", "c4n4ry"),
        ("LOG_FORMAT", "c4n4ry"),
        ("DATABASE_POOL_SIZE", "c4n4ry"),
        ("DATABASE_POOL_SIZE", "2"),
        ("DATABASE_POOL_SIZE", "1000000000"),
        ("WORKER_CONCURRENCY", "-c4n4ry"),
        ("MAX_CONNECTIONS", "c4n4ry"),
        ("REQUEST_TIMEOUT_SECONDS", "c4n4ry"),
        ("DRAIN_SECONDS", "c4n4ry"),
        ("SHUTDOWN_GRACE_SECONDS", "c4n4ry"),
        ("SESSION_IDLE_SECONDS", "c4n4ry"),
        ("SESSION_MAX_SECONDS", "c4n4ry"),
        ("TRUSTED_PROXIES", "c4n4ry"),
        ("METRICS_PORT", "c4n4ry"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c4n4ry"),
    ];

    for (variable, value) in invalid {
        for program in ["web", "worker"] {
            let exit = Deploy::detached().with(variable, value).run(program, &[]).await;

            assert_config_rejected(&exit, &[variable]);
            assert!(!exit.out.contains(CANARY), "the value of {variable} is shown: {}", exit.out);
        }
    }
}

#[tokio::test]
async fn all_invalid_and_missing_variables_are_reported_together() {
    let deploy = Deploy::detached().with("PORT", "c4n4ry").with("SMTP_URL", "").with("LOG_FORMAT", "c4n4ry");

    let exit = deploy.run("web", &[]).await;

    assert_config_rejected(&exit, &["PORT", "SMTP_URL", "LOG_FORMAT"]);
}

#[tokio::test]
async fn an_empty_value_counts_as_unset() {
    let deploy = Deploy::detached()
        .with("LOG_FORMAT", "")
        .with("DATABASE_POOL_SIZE", "")
        .with("METRICS_PORT", "")
        .with("TRUSTED_PROXIES", "");

    let web = deploy.listening_web().await;

    assert_eq!(Client::new().get(&web, "/health/live").await.status, 200);
}

#[tokio::test]
async fn a_secret_url_may_be_the_content_of_a_file() {
    let plain = Deploy::new().await;
    let mut deploy = plain.copy();
    for name in ["DATABASE_URL", "MIGRATE_DATABASE_URL", "REDIS_URL", "SMTP_URL", "STORAGE_URL"] {
        let file = deploy.dir().join(name);
        std::fs::write(&file, format!("{}\n", plain.var(name))).expect("a file");
        deploy.env.remove(std::ffi::OsStr::new(name));
        deploy.set(&format!("{name}_FILE"), file.to_str().expect("a path"));
    }

    let (doctor, shown) = (deploy.run("doctor", &[]).await, deploy.run("config", &["fingerprint"]).await);

    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert_eq!(shown.out, plain.run("config", &["fingerprint"]).await.out);
}

#[tokio::test]
async fn a_secret_file_that_is_missing_or_invalid_is_named_without_its_content() {
    let mut deploy = Deploy::detached();
    std::fs::write(deploy.dir().join("redis"), "http://:c4n4ry@host").expect("a file");
    for (name, file) in [("DATABASE_URL", "missing"), ("REDIS_URL", "redis")] {
        deploy.env.remove(std::ffi::OsStr::new(name));
        deploy.set(&format!("{name}_FILE"), file);
    }

    let exit = deploy.run("web", &[]).await;

    assert_config_rejected(&exit, &["DATABASE_URL", "REDIS_URL"]);
    assert!(!exit.out.contains(CANARY), "{exit:?}");
}

#[tokio::test]
async fn a_file_does_not_replace_a_variable_that_is_set() {
    let deploy = Deploy::detached();
    let before = deploy.run("config", &["fingerprint"]).await;

    let after = deploy.with("DATABASE_URL_FILE", "missing").run("config", &["fingerprint"]).await;

    assert_eq!((after.code, after.out), (0, before.out), "{}", after.err);
}

#[tokio::test]
async fn an_unrelated_variable_may_have_invalid_utf8() {
    let mut deploy = Deploy::detached();
    deploy.env.insert("FOREIGN".into(), OsString::from_vec(vec![0xff, 0xfe]));
    deploy.env.insert(OsString::from_vec(b"NAME\xff".to_vec()), "x".into());

    let web = deploy.listening_web().await;

    assert_eq!(Client::new().get(&web, "/health/live").await.status, 200);
}

#[tokio::test]
async fn a_file_named_dot_env_is_not_read() {
    let mut deploy = Deploy::detached();
    let file: Vec<String> = REQUIRED.iter().map(|name| format!("{name}={}", deploy.var(name))).collect();
    std::fs::write(deploy.dir().join(".env"), file.join("\n")).expect("a file");
    deploy.env.clear();

    let exit = deploy.run("web", &[]).await;

    assert_config_rejected(&exit, &REQUIRED);
}

#[tokio::test]
async fn no_named_environment_changes_the_config() {
    let plain = Deploy::detached();
    let mut named = Deploy::detached();
    named.env.clone_from(&plain.env);
    for name in ["APP_ENV", "RUST_ENV", "ENVIRONMENT", "RUST_LOG"] {
        named.set(name, "production");
    }

    let (plain, named) = (plain.run("config", &["show"]).await, named.run("config", &["show"]).await);

    assert_eq!(plain.code, 0, "{plain:?}");
    assert_eq!(plain.out, named.out);
}

#[tokio::test]
async fn the_config_is_shown_without_its_secrets() {
    let deploy = Deploy::detached()
        .with("DATABASE_URL", "postgres://app:c4n4ry-1@127.0.0.1:1/app")
        .with("MIGRATE_DATABASE_URL", "postgres://owner:c4n4ry-5@127.0.0.1:1/app")
        .with("REDIS_URL", "redis://:c4n4ry-2@127.0.0.1:1")
        .with("SMTP_URL", "smtp://me:c4n4ry-3@127.0.0.1:1")
        .with("STORAGE_URL", "s3+http://key:c4n4ry-4@127.0.0.1:1/bucket?region=r");

    let exit = deploy.run("config", &["show"]).await;

    assert_eq!(exit.code, 0, "{exit:?}");
    assert!(REQUIRED.iter().all(|name| exit.out.contains(name)), "{exit:?}");
    assert!(!format!("{exit:?}").contains(CANARY), "{exit:?}");
}

#[tokio::test]
async fn the_fingerprint_differs_between_configs() {
    let deploy = Deploy::detached();
    let before = deploy.run("config", &["fingerprint"]).await;
    let again = deploy.run("config", &["fingerprint"]).await;

    let other = deploy.with("DRAIN_SECONDS", "7").run("config", &["fingerprint"]).await;

    assert_eq!((before.code, &before.out), (0, &again.out));
    assert_ne!(before.out, other.out);
}

#[tokio::test]
async fn the_env_example_is_the_output_of_config_schema() {
    let mut deploy = Deploy::detached();
    deploy.env.clear();

    let exit = deploy.run("config", &["schema"]).await;

    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
    let example = std::fs::read_to_string(example).expect(".env.example exists");
    assert_eq!((exit.code, exit.out), (0, example), ".env.example is outdated, run: config schema > .env.example");
}

#[tokio::test]
async fn the_env_example_lists_exactly_the_documented_variables() {
    let exit = Deploy::detached().run("config", &["schema"]).await;

    let named: BTreeSet<&str> = exit
        .out
        .lines()
        .filter_map(|line| line.trim_start_matches(['#', ' ']).split_once('='))
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit()))
        .filter(|name| !name.starts_with("OTEL_"))
        .collect();
    assert_eq!(named, BTreeSet::from(VARIABLES));
}
