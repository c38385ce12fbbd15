//! IX. A deploy replaces every process under load, and no request fails.

use crate::support::*;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const RESTARTS: usize = 3;
/// 200 requests a second, however long the responses take.
const EVERY: Duration = Duration::from_millis(5);
/// The requests of half a minute, at least.
const REQUESTS: usize = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_during_three_rolling_restarts() {
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
    // As an account may have four requests in flight.
    let accounts = futures_util::future::join_all((0..8).map(|_| Client::signed_in_at(&webs[0]))).await;
    let balancer = Balancer::start(&ports).await;
    balancer.until_instances(2).await;

    let stop = CancellationToken::new();
    let load = load(accounts.into_iter().map(|(client, _)| Arc::new(client)).collect(), &balancer, stop.clone());
    let mut warnings = Vec::new();
    for _ in 0..RESTARTS {
        for (web, deploy) in webs.iter_mut().zip(&deploys) {
            web.stop();
            let exit = web.exit(Duration::from_secs(10)).await;
            assert_eq!(exit.code, 0);
            warnings.extend(exit.out.lines().filter(|line| !line.contains("INFO")).map(str::to_owned));
            *web = deploy.web().await;
            balancer.until_instances(2).await;
        }
    }
    stop.cancel();

    let (sent, failed) = load.await.expect("the load does not panic");
    assert!(sent >= REQUESTS, "only {sent} requests were sent");
    assert_eq!(failed, Vec::<String>::new(), "of {sent}: {warnings:#?}");
}

/// Sends signed-in reads until `stop`, at least `REQUESTS`. Returns their number and the failures.
fn load(accounts: Vec<Arc<Client>>, balancer: &Balancer, stop: CancellationToken) -> JoinHandle<(usize, Vec<String>)> {
    let url = balancer.url("/api/v1/accounts/current");
    tokio::spawn(async move {
        let mut requests = Vec::new();
        let mut ticks = tokio::time::interval(EVERY);
        while !stop.is_cancelled() || requests.len() < REQUESTS {
            ticks.tick().await;
            let (ada, url) = (Arc::clone(&accounts[requests.len() % accounts.len()]), url.clone());
            requests.push(tokio::spawn(async move {
                match Response::try_of(ada.request_url("GET", &url)).await {
                    Ok(response) if response.status == 200 => None,
                    Ok(response) => Some(format!("{} {}", response.status, response.text)),
                    Err(error) => Some(format!("{error:?}")),
                }
            }));
        }
        let sent = requests.len();
        let mut failed = Vec::new();
        for request in requests {
            failed.extend(request.await.expect("a request does not panic"));
        }
        (sent, failed)
    })
}
