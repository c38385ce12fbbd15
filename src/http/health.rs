//! The health and version routes, for load balancers, platforms and operators.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{extract::Json, problem::Problem};
use crate::{health::Check, release, release::Version, state::App};

/// `/health/live`, `/health/ready` and `/version`.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(version))
}

/// Liveness: the process responds.
#[utoipa::path(get, path = "/health/live", tag = "process", responses((status = 200, body = String)))]
async fn live() -> &'static str {
    "live\n"
}

/// Whether the process can serve requests, and the status of each service.
#[derive(Serialize, ToSchema)]
struct Readiness {
    #[schema(examples("ready", "degraded"))]
    status: &'static str,
    checks: BTreeMap<&'static str, Check>,
}

/// Readiness: ready while Postgres is up, which every request needs. A process without Redis, mail or storage is
/// degraded, but ready.
#[utoipa::path(get, path = "/health/ready", tag = "process", responses((status = 200, body = Readiness)))]
async fn ready(State(app): State<App>) -> super::Result<Json<Readiness>> {
    let checks = app.health.checks();
    if checks.contains_key("process") || checks["postgres"].status != "up" {
        return Err(Problem::NotReady(json!(checks)));
    }
    let up = checks.values().all(|check| check.status == "up");
    Ok(Json(Readiness { status: if up { "ready" } else { "degraded" }, checks }))
}

/// The version, commit, release and instance of the process.
#[utoipa::path(get, path = "/version", tag = "process", responses((status = 200, body = Version)))]
async fn version() -> Json<&'static Version> {
    Json(release::running())
}
