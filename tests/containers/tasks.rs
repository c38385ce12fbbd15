//! XII: every admin task, in the image and with the config of what runs, gone when it is done.

use crate::demo::*;
use std::io::Write;
use std::process::{Command, Stdio};

#[tokio::test(flavor = "multi_thread")]
async fn every_admin_task_runs_in_the_demo_and_leaves_no_container() {
    let demo = Demo::whole().await;
    let before = docker(&["ps", "-aq", "--no-trunc"]);
    let run = |args: &[&str]| demo.composed(&[&["run", "--rm", "-T", "--no-deps"], args].concat());

    run(&["web", "migrate"]);
    assert!(!run(&["web", "migrate", "--status"]).is_empty());
    run(&["web", "seed"]);
    assert!(run(&["web", "doctor"]).contains("Postgres is up to date"));
    assert!(run(&["worker", "doctor", "--json"]).contains("\"ok\":true"));
    assert!(run(&["web", "config", "schema"]).contains("DATABASE_URL"));
    assert!(!run(&["web", "config", "show"]).contains("demo@postgres"));
    assert!(run(&["web", "account", "create", "operator@example.com"]).contains("password"));
    for act in ["disable", "enable", "sign-out", "erase"] {
        run(&["web", "account", act, "operator@example.com"]);
    }
    run(&["web", "jobs", "list"]);
    assert!(console(&demo, "select 40 + 2 as answer").contains("42"));

    let refused = demo.compose(&["run", "--rm", "-T", "--no-deps", "web", "reset"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    run(&["-e", "ALLOW_RESET=app", "web", "reset"]);

    let (task, process) =
        (run(&["web", "config", "fingerprint"]), demo.composed(&["exec", "-T", "web", "config", "fingerprint"]));
    assert_eq!(task, process, "a task has another config than the process");
    assert_eq!(docker(&["ps", "-aq", "--no-trunc"]), before, "a container is left");
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
        .expect("docker can be run");
    console.stdin.take().expect("its input").write_all(sql.as_bytes()).expect("it reads");
    let output = console.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
