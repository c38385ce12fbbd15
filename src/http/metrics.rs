//! The listener of METRICS_PORT: Prometheus text and the health routes, in `web` and `worker`.

use axum::{Router, extract::State, routing::get};
use prometheus::{Gauge, Opts, Registry, TextEncoder};
use tokio_util::sync::CancellationToken;

use super::{health, middleware, problem::Problem};
use crate::{jobs, metrics, release, server, server::Connections, server::Limits, state::App};

/// Enough for probes and scrapers: the port is not public.
const CONNECTIONS: usize = 64;

/// Serves `/metrics` and the health routes on `METRICS_PORT`, if it is set, until the process exits, so that probes see
/// it drain. Errors: the port cannot be bound.
pub async fn serve(app: &App, stop: &CancellationToken) -> server::Result<()> {
    let Some(port) = app.config.metrics_port else { return Ok(()) };
    metrics::start()?;
    let listener = server::bind(port).await?;
    tracing::info!(port = listener.local_addr()?.port(), "serving metrics");
    let router = Router::new()
        .route("/metrics", get(show))
        .merge(Router::from(health::routes()))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(middleware::observe_layer(app))
        .with_state(app.clone());
    let (health, stop) = (app.health.clone(), stop.clone());
    tokio::spawn(async move {
        let drained = async {
            stop.cancelled().await;
            health.drain();
            std::future::pending::<()>().await;
        };
        Connections::new(router, Limits { all: CONNECTIONS, per_peer: CONNECTIONS, trusted: Vec::new() })
            .accept(listener, drained)
            .await;
    });
    Ok(())
}

async fn show(State(app): State<App>) -> super::Result<String> {
    scrape(&app).await.map_err(|error| Problem::Internal(error.to_string()))
}

async fn scrape(app: &App) -> prometheus::Result<String> {
    // Gauges are read now and join the registry of counters.
    let registry = Registry::new();
    let set = |opts: Opts, value: f64| {
        let gauge = Gauge::with_opts(opts)?;
        gauge.set(value);
        registry.register(Box::new(gauge))
    };
    let running = release::running();
    let build = Opts::new("build_info", "Version, commit and release of the process.")
        .const_label("version", running.version)
        .const_label("commit", running.commit)
        .const_label("release", &running.release)
        .const_label("process", running.process);
    set(build, 1.0)?;
    let (open, idle) = app.db.connections();
    set(Opts::new("database_pool_connections", "Open Postgres connections."), open.into())?;
    set(Opts::new("database_pool_idle_connections", "Idle Postgres connections."), idle as f64)?;
    // If Postgres is down the query would delay the scrape until its timeout.
    if app.health.is_postgres_up()
        && let Ok(depth) = jobs::admin::depth(&app.db).await
    {
        set(Opts::new("jobs_ready", "Jobs that are due and not running."), depth.ready as f64)?;
        set(Opts::new("jobs_oldest_ready_seconds", "Seconds since the oldest is due."), depth.oldest_ready_seconds)?;
        set(Opts::new("jobs_dead", "Dead jobs."), depth.dead as f64)?;
    }
    let families = [prometheus::gather(), registry.gather()].concat();
    TextEncoder::new().encode_to_string(&families)
}
