//! The floor that `script/bench` compares with, its baseline: a minimal program on the same libraries.
//!
//! On `PORT`: `/health/live` returns a static text; `/read` makes the two round trips of a signed-in read, to the
//! Redis of `REDIS_URL` and the migrated Postgres of `DATABASE_URL`. It has no middleware, no log and no limits.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a program without the services of the crate")]

use std::env;
use std::error::Error;
use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use redis::aio::ConnectionManager;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let client = redis::Client::open(env::var("REDIS_URL")?)?;
    let redis = ConnectionManager::new(client).await?;
    let set = redis::cmd("SET").arg("floor").arg("x".repeat(200)).take();
    let () = set.query_async(&mut redis.clone()).await?;
    let db = PgPoolOptions::new()
        .test_before_acquire(false) // which would be a third round trip
        .connect(&env::var("DATABASE_URL")?)
        .await?;
    let row: i64 = sqlx::query_scalar("select min(version) from _sqlx_migrations").fetch_one(&db).await?;
    let router = Router::new()
        .route("/health/live", get(async || "live\n"))
        .route("/read", get(read))
        .with_state((redis, db, row));
    let port = env::var("PORT")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    Ok(axum::serve(listener, router).await?)
}

type Handles = (ConnectionManager, PgPool, i64);

async fn read(State((redis, db, row)): State<Handles>) -> (StatusCode, String) {
    match round_trips(redis, &db, row).await {
        Ok(description) => (StatusCode::OK, description),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn round_trips(mut redis: ConnectionManager, db: &PgPool, row: i64) -> Result<String, BoxError> {
    let mut getex = redis::cmd("GETEX");
    let getex = getex.arg("floor").arg("EX").arg(1_800);
    let _: Option<String> = getex.query_async(&mut redis).await?;
    let select = "select description from _sqlx_migrations where version = $1";
    Ok(sqlx::query_scalar(select).bind(row).fetch_one(db).await?)
}
