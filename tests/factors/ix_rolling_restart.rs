//! IX. A deploy replaces every process under load, and nobody notices.

use crate::support::*;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const RESTARTS: usize = 3;
/// 200 requests a second, whatever the answers.
const EVERY: Duration = Duration::from_millis(5);
/// Half a minute's, at least.
const REQUESTS: usize = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_each_web_is_restarted_three_times() {
    let deploy = Deploy::new().await.with("DRAIN_SECONDS", "2");
    let ports = [closed_port(), closed_port()];
    let mut webs = Vec::new();
    let mut deploys = Vec::new();
    for port in ports {
        let one = deploy.copy().with("PORT", &port.to_string());
        webs.push(one.web().await);
        deploys.push(one);
    }
    let _worker = deploy.worker();
    let (ada, _) = Client::signed_in_at(&webs[0]).await;
    let balancer = Balancer::before(&ports).await;
    balancer.sees(2).await;

    let stop = CancellationToken::new();
    let load = load(ada, &balancer, stop.clone());
    let mut troubles = Vec::new();
    for _ in 0..RESTARTS {
        for (web, deploy) in webs.iter_mut().zip(&deploys) {
            web.stop();
            let exit = web.exit(Duration::from_secs(10)).await;
            assert_eq!(exit.code, 0);
            troubles.extend(exit.out.lines().filter(|line| !line.contains("INFO")).map(str::to_owned));
            *web = deploy.web().await;
            balancer.sees(2).await;
        }
    }
    stop.cancel();

    let (asked, failed) = load.await.expect("the load ends");
    assert!(asked >= REQUESTS, "only {asked} requests were made");
    assert_eq!(failed, Vec::<String>::new(), "of {asked}: {troubles:#?}");
}

/// Signed-in reads until told to stop, and enough of them; answers how many there were, and what failed.
fn load(ada: Client, balancer: &Balancer, stop: CancellationToken) -> JoinHandle<(usize, Vec<String>)> {
    let (ada, url) = (Arc::new(ada), balancer.url("/api/v1/accounts/current"));
    tokio::spawn(async move {
        let mut requests = Vec::new();
        let mut ticks = tokio::time::interval(EVERY);
        while !stop.is_cancelled() || requests.len() < REQUESTS {
            ticks.tick().await;
            let (ada, url) = (Arc::clone(&ada), url.clone());
            requests.push(tokio::spawn(async move {
                match Answer::tried(ada.request_url("GET", &url)).await {
                    Ok(answer) if answer.status == 200 => None,
                    Ok(answer) => Some(format!("{} {}", answer.status, answer.text)),
                    Err(error) => Some(format!("{error:?}")),
                }
            }));
        }
        let asked = requests.len();
        let mut failed = Vec::new();
        for request in requests {
            failed.extend(request.await.expect("a request ends"));
        }
        (asked, failed)
    })
}
