//! Static checks of docker-compose.yml: privileges, ports, grace periods, logging.

use crate::demo::*;
use std::collections::BTreeSet;

/// Services that run once and exit.
const TASKS: [&str; 3] = ["migrate", "seed", "ready"];
const APP: [&str; 4] = ["web", "worker", "migrate", "seed"];

fn services(config: &Value) -> impl Iterator<Item = (&String, &Value)> {
    config["services"].as_object().expect("services").iter()
}

fn with_logs(demo: &Demo) -> Demo {
    Demo { files: vec!["docker-compose.yml".into(), LOGS.into()], ..demo.clone() }
}

#[test]
fn every_service_runs_with_least_privilege() {
    for (name, service) in services(&with_logs(&Demo::started()).config()) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        assert!(service["privileged"].is_null() && service["container_name"].is_null(), "{name}");
        assert!(!service.to_string().contains("docker.sock"), "{name}");
        for limit in ["cpus", "memory", "pids"] {
            assert!(!service["deploy"]["resources"]["limits"][limit].is_null(), "{name} has no limit of {limit}");
        }
    }
}

#[test]
fn long_running_services_have_healthchecks_and_restart() {
    for (name, service) in services(&Demo::started().config()) {
        let (restart, has_healthcheck) = match TASKS.contains(&name.as_str()) {
            true => ("no", false),
            false => ("unless-stopped", true),
        };
        assert_eq!(service["restart"], restart, "{name}");
        assert_eq!(service["healthcheck"]["test"].is_array(), has_healthcheck, "{name}");
    }
}

#[test]
fn only_balancer_and_mailpit_publish_ports_on_localhost() {
    let mut published = BTreeSet::new();
    for (name, service) in services(&Demo::started().config()) {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
            published.insert(name.clone());
        }
    }
    assert_eq!(published, BTreeSet::from(["balancer".into(), "mailpit".into()]));
}

#[test]
fn stop_grace_periods_exceed_the_shutdown_grace() {
    let config = Demo::started().config();
    for name in APP {
        let service = &config["services"][name];
        let grace = service["environment"]["SHUTDOWN_GRACE_SECONDS"].as_str().expect("a grace period");
        let (grace, stop) = (grace.parse::<u32>().expect("seconds"), service["stop_grace_period"].as_str());
        let stop = stop.and_then(|stop| stop.strip_suffix('s')).expect("seconds").parse::<u32>().expect("seconds");
        assert!(stop > grace, "{name}: killed after {stop} s, but may need {grace} s to stop");
    }
}

#[test]
fn all_processes_and_tasks_share_image_and_config() {
    let config = Demo::started().config();
    let of = |name: &str, what: &str| config["services"][name][what].clone();
    for name in APP {
        let mut environment = of(name, "environment");
        let owner = environment.as_object_mut().expect("variables").remove("MIGRATE_DATABASE_URL");
        assert_eq!(of(name, "image"), of("web", "image"), "{name}");
        assert_eq!(environment, of("web", "environment"), "{name}");
        assert_eq!(owner.is_some(), name == "migrate", "{name}");
    }
}

#[test]
fn only_migrate_has_the_password_of_the_owner() {
    const PASSWORD: &str = "0wners0nly";
    let mut demo = Demo::started();
    demo.env.push(("DEMO_OWNER_PASSWORD".into(), PASSWORD.into()));
    let has = |(name, service): (&String, &Value)| service.to_string().contains(PASSWORD).then(|| name.clone());
    assert_eq!(services(&demo.config()).filter_map(has).collect::<Vec<_>>(), ["migrate", "postgres"]);
}

#[test]
fn the_log_driver_changes_without_the_apps_config() {
    let demo = Demo::started();
    let (plain, collected) = (demo.config(), with_logs(&demo).config());
    for (name, service) in services(&plain) {
        let other = &collected["services"][name];
        assert_eq!(service["logging"], plain["services"]["web"]["logging"], "{name}");
        assert_eq!(other["logging"], collected["services"]["web"]["logging"], "{name}");
        assert_eq!(other["environment"], service["environment"], "{name}");
    }
    let logging = &collected["services"]["web"]["logging"];
    assert_eq!(logging["driver"], "fluentd");
    assert_eq!(logging["options"]["fluentd-async"], "true");
    assert_eq!(logging["options"]["fluentd-sub-second-precision"], "true");
}

#[test]
fn the_env_file_does_not_affect_the_demo() {
    let config = |env_file: &str| {
        let args = ["compose", "--env-file", env_file, "-f", "docker-compose.yml", "-f", LOGS, "config"];
        docker(&args)
    };
    assert_eq!(config(".env.example"), config("/dev/null"));

    for file in ["docker-compose.yml", LOGS] {
        let text = std::fs::read_to_string(file).expect("the file exists");
        for variable in text.split("${").skip(1) {
            assert!(variable.starts_with("DEMO_"), "{file}: ${{{variable:.30}");
        }
    }
}

#[test]
fn the_image_build_uses_the_pinned_toolchain_and_lockfile() {
    let read = |path: &str| std::fs::read_to_string(path).expect("the file exists");
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).expect("a channel");
    let dockerfile = read("Dockerfile");

    assert!(
        dockerfile.contains(&format!("=rust:{}-", version.trim_matches('"'))),
        "the Dockerfile does not use {version}"
    );
    for line in dockerfile.lines().filter(|line| line.contains("cargo build") || line.contains("cargo fetch")) {
        assert!(line.contains("--locked"), "{line}");
    }
}
