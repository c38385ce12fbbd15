//! VIII, IX: web processes are added, stopped and killed without failed requests.

use crate::demo::*;
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn three_webs_share_a_thousand_requests() {
    let demo = Demo::started();
    demo.up(3).await;

    let mut counts = BTreeMap::<String, u32>::new();
    let client = http();
    for _ in 0..1_000 {
        let response = Response::of(client.get(demo.url("/version"))).await.expect("a response");
        *counts.entry(response.body["instance"].to_string()).or_default() += 1;
    }

    println!("{counts:?}");
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert!(counts.values().all(|count| (250..=420).contains(count)), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_web_fails_at_most_two_requests() {
    let demo = Demo::started();
    demo.up(3).await;
    let user = demo.user().await;
    let load = demo.load(&user);
    load.until_more(300).await;

    docker(&["kill", "-s", "KILL", &demo.containers("web")[0]]);
    load.until_more(700).await;

    let (sent, failed) = load.stop().await;
    println!("of {sent} requests {} failed: {failed:?}", failed.len());
    assert!(sent >= 900, "only {sent} requests");
    assert!(failed.len() <= 2, "of {sent}: {failed:#?} {}", demo.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_webs_are_replaced() {
    let demo = Demo::complete().await;
    let user = demo.user().await;
    let load = demo.load(&user);

    for old in demo.containers("web") {
        // Start the new one first, so that it gets a new IP address, which the load balancer discovers.
        demo.compose_ok(&["up", "-d", "--no-build", "--no-deps", "--no-recreate", "--scale", "web=3", "web"]);
        demo.until_instances(3).await;
        // Requests to the new one before it listened have been retried by then.
        load.until_more(200).await;
        let start = Instant::now();
        docker(&["stop", &old]);
        let retried = retried(&demo, start.elapsed());
        docker(&["rm", &old]);
        assert_eq!(retried, Vec::<String>::new(), "the load balancer sent requests to a stopped web");
    }

    let (sent, failed) = load.stop().await;
    println!("of {sent} requests {} failed", failed.len());
    assert!(sent >= 500, "only {sent} requests");
    assert_eq!(failed, Vec::<String>::new(), "of {sent}: {}", demo.warnings());
}

/// The log lines of requests that the load balancer retried.
fn retried(demo: &Demo, since: Duration) -> Vec<String> {
    let since = format!("{}ms", since.as_millis());
    let log = demo.compose_ok(&["logs", "--no-log-prefix", "--since", &since, "balancer"]);
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok()).collect();
    assert!(lines.len() > 50, "the log has {} lines: {log}", lines.len());
    lines.iter().filter(|line| line["retries"] != 0).map(Value::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_exits_with_0() {
    let demo = Demo::complete().await;
    let user = demo.user().await;
    let load = demo.load(&user);

    for service in ["worker", "web"] {
        for container in demo.containers(service) {
            let start = Instant::now();
            docker(&["stop", &container]);
            let code = docker(&["inspect", "-f", "{{.State.ExitCode}}", &container]);
            println!("{service} exited with {code} after {:.1} s", start.elapsed().as_secs_f32());
            assert_eq!(code, "0", "{service}");
        }
    }
    load.stop().await;
    demo.up(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_process_is_restarted() {
    let demo = Demo::complete().await;
    for service in ["web", "worker"] {
        let container = &demo.containers(service)[0];
        let state = || docker(&["inspect", "-f", "{{.State.Pid}} {{.RestartCount}}", container]);
        let before = state();
        let (pid, restarts) = before.split_once(' ').expect("two numbers");

        // With kill, since Docker does not restart a container after `docker kill`.
        let killed = run("sh", &["-c", "kill -9 \"$0\" 2>/dev/null || sudo -n kill -9 \"$0\"", pid], &[]);
        assert_eq!(killed.code, 0, "{killed:?}");

        until("Docker has restarted it", SOON, async || {
            let now = state();
            let (pid, count) = now.split_once(' ')?;
            (pid != "0" && count > restarts).then_some(())
        })
        .await;
    }
    demo.up(2).await;
}

/// The demo's load balancer in front of a web that accepts every request and closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_not_retried_by_the_balancer() {
    let name = format!("{}-silent", var("DEMO_PROJECT"));
    let network = Network::new(&name);
    let silent = "defaults\n mode http\n log stdout format raw daemon\n timeout connect 1s\n timeout client 9s\n \
        timeout server 9s\nfrontend web\n bind :8080\n bind :9090\n log-format 'received %HM'\n \
        http-request return status 200 if { path_beg /health/ }\n http-request reject\n";
    let config = std::env::temp_dir().join(format!("{name}.cfg"));
    std::fs::write(&config, silent).expect("a file");
    set_readable(&config);
    let mount = |file: &str| format!("{file}:/usr/local/etc/haproxy/haproxy.cfg:ro");
    let image = Demo::started().config()["services"]["balancer"]["image"].as_str().expect("an image").to_owned();
    let start = |alias: &str, file: &str, more: &[&str]| {
        let mount = mount(file);
        let fixed = ["run", "-d", "--rm", "--network", &network.0, "--network-alias", alias, "-v", &mount];
        docker(&[&fixed, more, &[&image]].concat())
    };
    // The load balancer must start without a web.
    let own = format!("{}/deploy/haproxy/haproxy.cfg", env!("CARGO_MANIFEST_DIR"));
    let balancer = start("balancer", &own, &["-p", "127.0.0.1::8080"]);
    let port = docker(&["port", &balancer, "8080"]);
    let port = port.lines().next().and_then(|line| line.rsplit(':').next()).expect("a port");
    let send = async |method| {
        let method = reqwest::Method::from_bytes(method).expect("a method");
        Response::of(http().request(method, format!("http://127.0.0.1:{port}/api"))).await.ok()
    };
    until("the load balancer runs without a web", SOON, async || (send(b"GET").await?.status == 503).then_some(()))
        .await;
    let web = start("web", &config.to_string_lossy(), &[]);
    until("the load balancer has found the web", SOON, async || (send(b"GET").await?.status == 502).then_some(()))
        .await;
    let posted = send(b"POST").await.expect("a response");
    let log = docker(&["logs", &web]);
    docker(&["rm", "-f", &web, &balancer]);
    std::fs::remove_file(&config).ok();

    assert_eq!((posted.status, posted.kind.as_str()), (502, "application/problem+json"), "{posted:?}");
    let count = |method: &str| log.lines().filter(|line| line.contains(&format!("received {method}"))).count();
    assert_eq!(count("POST"), 1, "{log}");
    assert!(count("GET") >= 4, "{log}");
}

struct Network(String);

impl Network {
    fn new(name: &str) -> Self {
        docker(&["network", "create", name]);
        Self(name.into())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        run("docker", &["network", "rm", &self.0], &[]);
    }
}

/// The container's user, another one, must be able to read it.
fn set_readable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("permissions");
}
