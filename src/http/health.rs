//! The routes that load balancers, platforms and operators ask.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::problem::Problem;
use crate::{health::Check, release, release::Version, state::App};

/// `/health/live`, `/health/ready` and `/version`.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(version))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/health/live", tag = "process", responses((status = 200, body = String)))]
async fn live() -> &'static str {
    "live\n"
}

/// Whether the process should get requests, and the status of each service.
#[derive(Serialize, ToSchema)]
struct Readiness {
    #[schema(examples("ready", "degraded"))]
    status: &'static str,
    checks: BTreeMap<&'static str, Check>,
}

/// Ready when Postgres is healthy, which every request needs; the other services are reported.
#[utoipa::path(get, path = "/health/ready", tag = "process", responses((status = 200, body = Readiness)))]
async fn ready(State(app): State<App>) -> super::Result<Json<Readiness>> {
    let checks = app.health.checks();
    if checks.contains_key("process") || checks["postgres"].status != "up" {
        return Err(Problem::NotReady(json!(checks)));
    }
    let up = checks.values().all(|check| check.status == "up");
    Ok(Json(Readiness { status: if up { "ready" } else { "degraded" }, checks }))
}

/// What runs here, which instance of it, and since when.
#[utoipa::path(get, path = "/version", tag = "process", responses((status = 200, body = Version)))]
async fn version() -> Json<&'static Version> {
    Json(release::running())
}
