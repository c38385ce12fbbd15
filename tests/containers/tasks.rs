//! XII: every admin task runs in the image with the config of the processes, and leaves no container.

use crate::demo::*;
use std::io::Write;
use std::process::{Command, Stdio};

#[tokio::test(flavor = "multi_thread")]
async fn every_admin_task_runs_and_leaves_no_container() {
    let demo = Demo::complete().await;
    let before = docker(&["ps", "-aq", "--no-trunc"]);
    let run = |args: &[&str]| demo.compose_ok(&[&["run", "--rm", "-T", "--no-deps"], args].concat());

    run(&["migrate", "migrate"]);
    assert!(!run(&["web", "migrate", "--status"]).is_empty());
    run(&["web", "seed"]);
    assert!(run(&["web", "doctor"]).contains("ok       DATABASE_URL"));
    assert!(run(&["worker", "doctor", "--json"]).contains("\"ok\":true"));
    assert!(run(&["web", "config", "schema"]).contains("DATABASE_URL"));
    assert!(!run(&["web", "config", "show"]).contains("demo@postgres"));
    assert!(run(&["web", "account", "create", "operator@example.com"]).contains("password"));
    for act in ["disable", "enable", "sign-out", "erase"] {
        run(&["web", "account", act, "operator@example.com"]);
    }
    run(&["web", "jobs", "list"]);
    assert!(console(&demo, "select 40 + 2 as answer").contains("42"));

    let rejected = demo.compose(&["run", "--rm", "-T", "--no-deps", "web", "reset"]);
    assert_ne!(rejected.code, 0, "{rejected:?}");
    run(&["-e", "ALLOW_RESET=app", "migrate", "reset"]);

    let (of_task, of_process) =
        (run(&["web", "config", "fingerprint"]), demo.compose_ok(&["exec", "-T", "web", "config", "fingerprint"]));
    assert_eq!(of_task, of_process, "a task and a process have different configs");
    assert_eq!(docker(&["ps", "-aq", "--no-trunc"]), before, "a container was left behind");
}

fn console(demo: &Demo, sql: &str) -> String {
    let mut console = Command::new("docker")
        .args([
            "compose",
            "--env-file",
            "/dev/null",
            "-p",
            &demo.project,
            "run",
            "--rm",
            "-T",
            "--no-deps",
            "web",
            "console",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker is installed");
    console.stdin.take().expect("stdin is piped").write_all(sql.as_bytes()).expect("the console reads stdin");
    let output = console.wait_with_output().expect("the console exits");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
