//! VII. The service exports HTTP by binding a port.

use crate::support::*;

#[tokio::test]
async fn web_binds_the_port_it_is_given() {
    let port = closed_port();
    let web = Deploy::detached().with("PORT", &port.to_string()).web_at_once().await;

    let answer = Client::new().get(&web, "/version").await;

    assert_eq!((web.port(), answer.status), (port, 200));
    for field in ["name", "version", "commit", "release", "process", "instance", "started_at"] {
        assert!(answer.body[field].is_string(), "no {field}: {}", answer.text);
    }
    assert_eq!(answer.body["release"], "test-release");
    assert_eq!(answer.body["process"], "web");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn web_binds_no_other_port() {
    let web = Deploy::detached().web_at_once().await;

    assert_eq!(listening_ports(web.pid()), [web.port()]);
}

#[tokio::test]
async fn a_taken_port_ends_the_second_process_at_once() {
    let deploy = Deploy::detached();
    let web = deploy.web_at_once().await;
    let deploy = deploy.with("PORT", &web.port().to_string());

    let exit = deploy.run("web", &[]).await;

    assert!(!matches!(exit.code, 0 | 78), "{exit:?}");
    assert!(exit.out.contains(&web.port().to_string()), "the port is not named: {exit:?}");
}

#[tokio::test]
async fn links_in_letters_have_the_public_url_whatever_the_host_header_says() {
    let deploy = Deploy::new().await;
    let (web, _worker, account) = (deploy.web().await, deploy.worker(), Account::new());

    let request = Client::new().request(&web, "POST", "/api/v1/accounts");
    let answer = Answer::of(request.header("host", "evil.test").json(&account.credentials())).await;

    assert_eq!(answer.status, 202, "{}", answer.text);
    let letter = mail::letters(&account.email, 1).await.remove(0).to_string();
    assert!(letter.contains("http://app.test/verify#"), "{letter}");
    assert!(!letter.contains("evil.test"), "{letter}");
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let port = closed_port();
    let deploy = Deploy::detached().with("METRICS_PORT", &port.to_string());
    let web = deploy.web_at_once().await;
    Client::new().get(&web, "/health/live").await;

    let metrics = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.expect("an answer");
    let live = reqwest::get(format!("http://127.0.0.1:{port}/health/live")).await.expect("an answer");

    assert_eq!((metrics.status().as_u16(), live.status().as_u16()), (200, 200));
    assert!(metrics.text().await.expect("text").contains("/health/live"), "requests by route");
    assert_eq!(Client::new().get(&web, "/metrics").await.status, 404, "not on the public port");
}
