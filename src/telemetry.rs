//! What a process has done, as Prometheus text on a listener of its own.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::server::{self, Connections};
use crate::services::Limited;
use crate::state::App;
use crate::{admin, http, jobs, logs};

/// The upper bounds of the histogram, in seconds.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Probes and scrapers; the port is not the public's.
const CONNECTIONS: usize = 64;

/// The requests by method, route and status.
type Requests = BTreeMap<(&'static str, String, u16), Histogram>;

static REQUESTS: OnceLock<Mutex<Requests>> = OnceLock::new();

#[derive(Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// Counts a request, if somebody can ask for the count.
pub(crate) fn observe(method: &str, route: Option<&str>, status: u16, seconds: f64) {
    let Some(requests) = REQUESTS.get() else {
        return;
    };
    let key = (known(method), route.unwrap_or_default().to_owned(), status);
    let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
    let histogram = requests.entry(key).or_default();
    histogram.count += 1;
    histogram.sum += seconds;
    for (bucket, bound) in histogram.buckets.iter_mut().zip(BOUNDS) {
        *bucket += u64::from(seconds <= bound);
    }
}

/// The method by the name that counts: clients choose theirs, so that there are as many as they like.
pub(crate) fn known(method: &str) -> &'static str {
    let known = METHODS.iter().find(|known| **known == method);
    known.unwrap_or(&"_OTHER")
}

/// Serves `/metrics` and the health routes on `METRICS_PORT`, if it is set, until the process ends:
/// it is there that a process which drains is seen to do so.
///
/// # Errors
/// The port cannot be bound.
pub async fn serve(
    app: &App,
    stop: &CancellationToken,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Some(port) = app.config.metrics_port else {
        return Ok(());
    };
    REQUESTS.get_or_init(Mutex::default);
    let listener = server::bind(port)?;
    tracing::info!(port = listener.local_addr()?.port(), "serving metrics");
    let routes = Router::new().route("/metrics", get(metrics));
    let router = routes.merge(http::health::routes()).with_state(app.clone());
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

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let (version, commit, process) = (env!("CARGO_PKG_VERSION"), admin::COMMIT, logs::process());
    let release = label(&app.config.release_id);
    let mut text = format!(
        "# HELP build_info What runs.\n# TYPE build_info gauge\nbuild_info{{version=\"{version}\",\
         commit=\"{commit}\",release=\"{release}\",process=\"{process}\"}} 1\n"
    );
    let mut add = |name, kind, help, value: f64| {
        text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    };
    let (size, idle) = (f64::from(app.db.size()), app.db.num_idle() as f64);
    add("database_pool_connections", "gauge", "Open connections to Postgres.", size);
    add("database_pool_idle_connections", "gauge", "Those of them that idle.", idle);
    let dropped = logs::dropped() as f64;
    add("log_lines_dropped_total", "counter", "Log lines that nobody read.", dropped);
    // One that is out of reach would keep the scraper waiting.
    let reachable = *app.health.database().borrow();
    if reachable && let Ok((ready, age, dead)) = jobs::depth(&app.db).limited().await {
        add("jobs_ready", "gauge", "Jobs that are due.", ready as f64);
        add("jobs_oldest_ready_seconds", "gauge", "How long the oldest has been due.", age);
        add("jobs_dead", "gauge", "Jobs that have failed for good.", dead as f64);
    }
    let _ = write_requests(&mut text);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn write_requests(text: &mut String) -> fmt::Result {
    let Some(requests) = REQUESTS.get() else {
        return Ok(());
    };
    let name = "http_request_duration_seconds";
    writeln!(text, "# HELP {name} Time from a request's head to its answer's.")?;
    writeln!(text, "# TYPE {name} histogram")?;
    let requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
    for ((method, route, status), Histogram { buckets, count, sum }) in requests.iter() {
        let route = label(route);
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        for (bucket, bound) in buckets.iter().zip(BOUNDS) {
            writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {bucket}")?;
        }
        writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
        writeln!(text, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}")?;
    }
    Ok(())
}

/// Escapes a label's value.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
