//! What a process has done, as Prometheus text on a listener of its own.

use std::sync::OnceLock;

use axum::{Router, extract::State, routing::get};
use prometheus::{HistogramOpts, HistogramVec, TextEncoder, core::Collector};
use tokio_util::sync::CancellationToken;

use crate::http::{self, middleware::ObserveLayer, problem::Problem};
use crate::server::{self, Connections};
use crate::{admin, jobs, logs, services::Limited, state::App};

/// The upper bounds of the histogram, in seconds.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Probes and scrapers; the port is not the public's.
const CONNECTIONS: usize = 64;

/// The requests by method, route and status.
static REQUESTS: OnceLock<HistogramVec> = OnceLock::new();

/// Counts a request, if somebody can ask for the count.
pub(crate) fn observe(method: &str, route: Option<&str>, status: u16, seconds: f64) {
    if let Some(requests) = REQUESTS.get() {
        let labels = [known(method), route.unwrap_or_default(), &status.to_string()];
        requests.with_label_values(&labels).observe(seconds);
    }
}

/// The method by the name that counts: clients choose theirs, so that there are as many as they like.
pub(crate) fn known(method: &str) -> &'static str {
    METHODS.iter().find(|known| **known == method).unwrap_or(&"_OTHER")
}

/// Serves `/metrics` and the health routes on `METRICS_PORT`, if it is set, until the process ends:
/// it is there that a process which drains is seen to do so. Errors: the port cannot be bound.
pub async fn serve(app: &App, stop: &CancellationToken) -> server::Result<()> {
    let Some(port) = app.config.metrics_port else {
        return Ok(());
    };
    let opts = HistogramOpts::new("http_request_duration_seconds", "From a request's head to its answer's.");
    let opts = opts.buckets(BOUNDS.to_vec());
    let _ = REQUESTS.set(HistogramVec::new(opts, &["method", "route", "status"])?);
    let listener = server::bind(port).await?;
    tracing::info!(port = listener.local_addr()?.port(), "serving metrics");
    let routes = Router::new().route("/metrics", get(metrics));
    let routes = routes.merge(Router::from(http::health::routes())).fallback(async || Problem::NotFound);
    let routes = routes.method_not_allowed_fallback(async || Problem::MethodNotAllowed);
    let router = routes.layer(ObserveLayer::new(app)).with_state(app.clone());
    let (health, stop) = (app.health.clone(), stop.clone());
    tokio::spawn(async move {
        let drained = async {
            stop.cancelled().await;
            health.drain();
            std::future::pending::<()>().await;
        };
        Connections::new(router, CONNECTIONS).accept(listener, drained).await;
    });
    Ok(())
}

async fn metrics(State(app): State<App>) -> http::Result<String> {
    let mut requests = REQUESTS.get().map(Collector::collect).unwrap_or_default();
    requests.retain(|family| !family.get_metric().is_empty());
    let text = TextEncoder::new().encode_to_string(&requests);
    let mut text = text.map_err(|error| Problem::Internal(error.to_string()))?;
    let mut add = |kind: &str, name: &str, labels: &str, help: &str, value: f64| {
        text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{labels} {value}\n");
    };
    let (version, commit, release) = (env!("CARGO_PKG_VERSION"), admin::COMMIT, &app.config.release_id);
    let build = format!("{{version={version:?},commit={commit:?},release={release:?},process={:?}}}", logs::process());
    add("gauge", "build_info", &build, "What runs.", 1.0);
    let (size, idle) = (f64::from(app.db.size()), app.db.num_idle() as f64);
    add("gauge", "database_pool_connections", "", "Open connections to Postgres.", size);
    add("gauge", "database_pool_idle_connections", "", "Those of them that idle.", idle);
    add("counter", "log_lines_dropped_total", "", "Log lines that nobody read.", logs::dropped() as f64);
    // One that is out of reach would keep the scraper waiting.
    let reachable = *app.health.database().borrow();
    if reachable && let Ok((ready, age, dead)) = jobs::depth(&app.db).limited().await {
        add("gauge", "jobs_ready", "", "Jobs that are due.", ready as f64);
        add("gauge", "jobs_oldest_ready_seconds", "", "How long the oldest has been due.", age);
        add("gauge", "jobs_dead", "", "Jobs that have failed for good.", dead as f64);
    }
    Ok(text)
}
