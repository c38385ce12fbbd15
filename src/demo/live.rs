//! The demo page's data that the public API does not have: of the account itself, and counts of all.

use std::sync::LazyLock;

use axum::extract::State;
use redis::Script;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::sessions::{CurrentAccount, handlers::Device, store};
use crate::{http::Result, http::extract::Json, jobs, jobs::admin::Depth, state::App};
use crate::{release, release::Version, services::postgres::Postgres, services::redis::Redis};

/// The number of sessions that are shown.
const SHOWN: usize = 10;

/// The responding process, and what the account has in Redis and Postgres.
#[derive(Serialize, ToSchema)]
pub(super) struct Live {
    /// The same as `/version`.
    served_by: &'static Version,
    /// The account's latest ten sessions, newest first.
    sessions: Vec<Session>,
    /// The number of all keys in Redis.
    redis_keys: u64,
    queue: Queue,
    /// The account's latest emails, newest first.
    emails: Vec<Email>,
}

#[derive(Serialize, ToSchema)]
struct Session {
    device: Device,
    /// Seconds until it expires if it is not used.
    ttl_seconds: i64,
}

#[derive(Serialize, ToSchema)]
struct Queue {
    ready: i64,
    oldest_ready_seconds: f64,
    dead: i64,
}

#[derive(Serialize, ToSchema)]
struct Email {
    kind: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    sent_at: Option<OffsetDateTime>,
}

/// Returns the data of the demo page. It takes two round trips to Redis, and two to Postgres.
#[utoipa::path(get, path = "/live", tag = "demo", security(("session" = [])), responses((status = 200, body = Live)))]
pub(super) async fn show(State(app): State<App>, current: CurrentAccount) -> Result<Json<Live>> {
    let (sessions, redis_keys) = sessions(&app.redis, &current).await?;
    let Depth { ready, oldest_ready_seconds, dead } = jobs::admin::depth(&app.db).await?;
    let emails = emails(&app.db, current.account_id).await?;
    let served_by = release::running();
    let queue = Queue { ready, oldest_ready_seconds, dead };
    Ok(Json(Live { served_by, sessions, redis_keys, queue, emails }))
}

/// KEYS: the account's index. Returns the number of all keys, then each session's record and time to live.
static SESSIONS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = {}
        for _, key in ipairs(redis.call('HVALS', KEYS[1])) do
            local record = redis.call('GET', key)
            if record then found[#found + 1] = {record, redis.call('TTL', key)} end
        end
        return {redis.call('DBSIZE'), found}",
    )
});

async fn sessions(redis: &Redis, current: &CurrentAccount) -> Result<(Vec<Session>, u64)> {
    let script = SESSIONS.key(store::index(current.account_id));
    let (redis_keys, found): (u64, Vec<(String, i64)>) = redis.invoke(&script).await?;
    let now = redis.now();
    let mut unexpired: Vec<_> =
        found.into_iter().filter_map(|(record, ttl)| Some((store::unexpired(&record, now)?, ttl))).collect();
    unexpired.sort_by_key(|(session, _)| std::cmp::Reverse((session.created_at, session.id)));
    let shown = |(session, ttl_seconds)| Session { device: Device::new(session, current.session_id), ttl_seconds };
    let sessions = unexpired.into_iter().take(SHOWN).map(shown).collect();
    Ok((sessions, redis_keys))
}

/// The emails of the account: by its id, or by recipient for a reset that is not sent yet.
async fn emails(db: &Postgres, account_id: Uuid) -> sqlx::Result<Vec<Email>> {
    let emails = sqlx::query_as!(
        Email,
        r#"select kind, created_at, sent_at
             from outbox_email
            where account_id = $1
               or (account_id is null and subject_id is null
                   and recipient = (select email from account where id = $1))
            order by created_at desc, id desc
            limit 5"#,
        account_id,
    );
    emails.fetch_all(db).await
}
