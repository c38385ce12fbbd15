//! VIII, IX: as many webs as one likes, which come and go, and nobody notices.

use crate::demo::*;
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn three_webs_share_a_thousand_requests() {
    let demo = Demo::given();
    demo.up(3).await;

    let mut counts = BTreeMap::<String, u32>::new();
    let client = http();
    for _ in 0..1_000 {
        let answer = Answer::of(client.get(demo.url("/version"))).await.expect("an answer");
        *counts.entry(answer.body["instance"].to_string()).or_default() += 1;
    }

    println!("{counts:?}");
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert!(counts.values().all(|count| (250..=420).contains(count)), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_web_costs_two_requests_at_most() {
    let demo = Demo::given();
    demo.up(3).await;
    let person = demo.person().await;
    let load = demo.load(&person);
    load.goes_on(300).await;

    docker(&["kill", "-s", "KILL", &demo.containers("web")[0]]);
    load.goes_on(700).await;

    let (asked, failed) = load.ends().await;
    println!("of {asked} requests {} failed: {failed:?}", failed.len());
    assert!(asked >= 900, "only {asked} requests");
    assert!(failed.len() <= 2, "of {asked}: {failed:#?} {}", demo.troubles());
}

#[tokio::test(flavor = "multi_thread")]
async fn webs_are_replaced_one_by_one_and_no_request_fails() {
    let demo = Demo::whole().await;
    let person = demo.person().await;
    let load = demo.load(&person);

    for old in demo.containers("web") {
        // Before it goes, so that its successor has an address of its own, for the load balancer to find.
        demo.composed(&["up", "-d", "--no-build", "--no-deps", "--no-recreate", "--scale", "web=3", "web"]);
        demo.answers_from(3).await;
        // What was sent to the new one before it listened has been sent to another by then.
        load.goes_on(200).await;
        let start = Instant::now();
        docker(&["stop", &old]);
        let again = sent_again(&demo, start.elapsed());
        docker(&["rm", &old]);
        assert_eq!(again, Vec::<String>::new(), "the load balancer sent to one that was gone");
    }

    let (asked, failed) = load.ends().await;
    println!("of {asked} requests {} failed", failed.len());
    assert!(asked >= 500, "only {asked} requests");
    assert_eq!(failed, Vec::<String>::new(), "of {asked}: {}", demo.troubles());
}

/// What the load balancer has had to send twice of late.
fn sent_again(demo: &Demo, since: Duration) -> Vec<String> {
    let since = format!("{}ms", since.as_millis());
    let log = demo.composed(&["logs", "--no-log-prefix", "--since", &since, "balancer"]);
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok()).collect();
    assert!(lines.len() > 50, "the log has {} lines: {log}", lines.len());
    lines.iter().filter(|line| line["retries"] != 0).map(Value::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_ends_by_itself() {
    let demo = Demo::whole().await;
    let person = demo.person().await;
    let load = demo.load(&person);

    for service in ["worker", "web"] {
        for container in demo.containers(service) {
            let start = Instant::now();
            docker(&["stop", &container]);
            let code = docker(&["inspect", "-f", "{{.State.ExitCode}}", &container]);
            println!("{service} ended with {code} after {:.1} s", start.elapsed().as_secs_f32());
            assert_eq!(code, "0", "{service}");
        }
    }
    load.ends().await;
    demo.up(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_process_is_started_again() {
    let demo = Demo::whole().await;
    for service in ["web", "worker"] {
        let container = &demo.containers(service)[0];
        let state = || docker(&["inspect", "-f", "{{.State.Pid}} {{.RestartCount}}", container]);
        let before = state();
        let (pid, restarts) = before.split_once(' ').expect("two numbers");

        // From outside, since the engine starts nothing again that it was told to kill.
        let killed = run("sh", &["-c", "kill -9 \"$0\" 2>/dev/null || sudo -n kill -9 \"$0\"", pid], &[]);
        assert_eq!(killed.code, 0, "{killed:?}");

        until("the engine has started it again", SOON, async || {
            let now = state();
            let (pid, count) = now.split_once(' ')?;
            (pid != "0" && count > restarts).then_some(())
        })
        .await;
    }
    demo.up(2).await;
}

/// The load balancer's config before a web that takes every request and answers none.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_change_something_is_sent_once() {
    let name = format!("{}-silent", var("DEMO_PROJECT"));
    let network = Network::new(&name);
    let silent = "defaults\n mode http\n log stdout format raw daemon\n timeout connect 1s\n timeout client 9s\n \
        timeout server 9s\nfrontend web\n bind :8080\n log-format 'asked %HM'\n \
        http-request return status 200 if { path_beg /health/ }\n http-request reject\n";
    let config = std::env::temp_dir().join(format!("{name}.cfg"));
    std::fs::write(&config, silent).expect("a file");
    set_readable(&config);
    let mount = |file: &str| format!("{file}:/usr/local/etc/haproxy/haproxy.cfg:ro");
    let image = Demo::given().config()["services"]["balancer"]["image"].as_str().expect("an image").to_owned();
    let start = |alias: &str, file: &str, more: &[&str]| {
        let mount = mount(file);
        let fixed = ["run", "-d", "--rm", "--network", &network.0, "--network-alias", alias, "-v", &mount];
        docker(&[&fixed, more, &[&image]].concat())
    };
    // The load balancer first: it may find nobody.
    let own = format!("{}/deploy/haproxy/haproxy.cfg", env!("CARGO_MANIFEST_DIR"));
    let balancer = start("balancer", &own, &["-p", "127.0.0.1::8080"]);
    let port = docker(&["port", &balancer, "8080"]);
    let port = port.lines().next().and_then(|line| line.rsplit(':').next()).expect("a port");
    let ask = async |method| {
        let method = reqwest::Method::from_bytes(method).expect("a method");
        Answer::of(http().request(method, format!("http://127.0.0.1:{port}/api"))).await.ok()
    };
    until("the load balancer runs without a web", SOON, async || (ask(b"GET").await?.status == 503).then_some(()))
        .await;
    let web = start("web", &config.to_string_lossy(), &[]);
    until("the load balancer has found the web", SOON, async || (ask(b"GET").await?.status == 502).then_some(())).await;
    let posted = ask(b"POST").await.expect("an answer");
    let asked = docker(&["logs", &web]);
    docker(&["rm", "-f", &web, &balancer]);
    std::fs::remove_file(&config).ok();

    assert_eq!((posted.status, posted.kind.as_str()), (502, "application/problem+json"), "{posted:?}");
    let count = |method: &str| asked.lines().filter(|line| line.contains(&format!("asked {method}"))).count();
    assert_eq!(count("POST"), 1, "{asked}");
    assert!(count("GET") >= 4, "{asked}");
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

/// Another user reads it, in a container.
fn set_readable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("permissions");
}
