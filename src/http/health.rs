//! The routes that load balancers, platforms and operators ask.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::problem::Problem;
use crate::{health::SERVICES, release, state::App};

/// `/health/live`, `/health/ready` and `/version`.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(version))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/health/live", tag = "process", responses((status = 200, body = String)))]
async fn live() -> &'static str {
    "live\n"
}

/// The last status of a service.
#[derive(Serialize, ToSchema)]
struct Check {
    #[schema(examples("up", "down", "unknown", "draining"))]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
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
    let statuses = app.health.statuses();
    let check = |name| match statuses.get(name) {
        Some(Ok(())) => Check { status: "up", detail: None },
        Some(Err(detail)) => Check { status: "down", detail: Some(*detail) },
        None => Check { status: "unknown", detail: Some("not yet checked") },
    };
    let mut checks: BTreeMap<_, _> = SERVICES.into_iter().map(|name| (name, check(name))).collect();
    let draining = app.health.is_draining();
    if draining {
        checks.insert("process", Check { status: "draining", detail: None });
    }
    if draining || !app.health.has_postgres() {
        return Err(Problem::NotReady(json!(checks)));
    }
    let up = checks.values().all(|check| check.status == "up");
    Ok(Json(Readiness { status: if up { "ready" } else { "degraded" }, checks }))
}

/// What runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    name: &'static str,
    version: &'static str,
    commit: &'static str,
    release: &'static str,
    process: &'static str,
    instance: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
}

/// What runs here, which instance of it, and since when.
#[utoipa::path(get, path = "/version", tag = "process", responses((status = 200, body = Version)))]
pub(crate) async fn version() -> Json<Version> {
    Json(Version {
        name: release::NAME,
        version: release::VERSION,
        commit: release::COMMIT,
        release: release::id(),
        process: release::process(),
        instance: release::instance(),
        started_at: release::started_at(),
    })
}
