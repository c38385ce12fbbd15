//! Sessions in Redis: a record per session and an index per account. Every key expires. Own code, as the session crates
//! neither hash the id in the store nor list an account's devices.
//!
//! The cookie holds 32 random bytes; Redis holds only their SHA-256, so that a dump contains no valid cookie.
//! `session:<hash>` is the record, whose expiry is extended by each use; `account:<id>:sessions` maps the public id of
//! each session to its key, so that devices can be listed and signed out. Errors of these functions are those of Redis.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use redis::{RedisResult, Script};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{services::redis::Redis, services::redis::digest, state::App};

/// A session of a device. Its id is public: it identifies the session, but is not the cookie.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    /// When it was created, in Unix seconds by Redis' clock.
    pub(crate) created_at: i64,
    /// When it expires, however much it is used.
    pub(crate) expires_at: i64,
    pub(crate) user_agent: String,
}

/// The maximum number of sessions of an account.
const MAX_SESSIONS: u8 = 50;

/// The key of a session in Redis: derived from the cookie, which it does not reveal.
pub(crate) struct Key(String);

impl Key {
    /// The key for the value of a cookie. None: the value is malformed.
    pub(crate) fn of(cookie: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        (bytes.len() == 32).then(|| Self(format!("session:{}", digest(&bytes))))
    }
}

// Statics, as they are code.
static CREATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("create.lua")));
static REVOKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("revoke.lua")));
static REVOKE_ALL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("revoke_all.lua")));

/// Creates a session with a new random id, and ends the oldest beyond 50 of the account; returns the value of the cookie, and the session.
///
/// # Panics The system returns no random bytes.
pub(crate) async fn create(app: &App, account_id: Uuid, user_agent: String) -> RedisResult<(String, Session)> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).expect("the system gives random bytes");
    let longest = app.config.session_max_seconds;
    let created_at = app.redis.now();
    let session = Session {
        id: Uuid::new_v4(),
        account_id,
        created_at,
        expires_at: created_at.saturating_add_unsigned(longest),
        user_agent,
    };
    let mut script = CREATE.key(format!("session:{}", digest(&secret)));
    script.key(index(account_id)).arg(serde_json::json!(session).to_string());
    script.arg(app.config.session_idle_seconds.min(longest)).arg(session.id.to_string()).arg(longest).arg(MAX_SESSIONS);
    let () = app.redis.invoke(&script).await?;
    Ok((URL_SAFE_NO_PAD.encode(secret), session))
}

/// Reads a session, if it is unexpired, and restarts its idle time. One command, which never creates a key: a session
/// that is revoked meanwhile stays revoked.
pub(crate) async fn read(app: &App, key: &Key) -> RedisResult<Option<Session>> {
    let idle = app.config.session_idle_seconds;
    let record: Option<String> = app.redis.run(redis::cmd("GETEX").arg(&key.0).arg("EX").arg(idle)).await?;
    Ok(record.and_then(|text| unexpired(&text, app.redis.now())))
}

/// The account's unexpired sessions, newest first.
pub(crate) async fn list(redis: &Redis, account_id: Uuid) -> RedisResult<Vec<Session>> {
    let keys: Vec<String> = redis.run(redis::cmd("HVALS").arg(index(account_id))).await?;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let records: Vec<Option<String>> = redis.run(redis::cmd("MGET").arg(keys)).await?;
    let now = redis.now();
    let mut sessions: Vec<Session> = records.iter().flatten().filter_map(|text| unexpired(text, now)).collect();
    sessions.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
    Ok(sessions)
}

/// Revokes the session of the account with this public id; returns whether there was one.
pub(crate) async fn revoke(redis: &Redis, account_id: Uuid, session_id: Uuid) -> RedisResult<bool> {
    redis.invoke(REVOKE.key(index(account_id)).arg(session_id.to_string())).await
}

/// Revokes the session of a cookie, of any account.
pub(crate) async fn revoke_presented(redis: &Redis, key: &Key) -> RedisResult<()> {
    let record: Option<String> = redis.run(redis::cmd("GETDEL").arg(&key.0)).await?;
    if let Some(session) = record.and_then(|text| unexpired(&text, i64::MIN)) {
        revoke(redis, session.account_id, session.id).await?;
    }
    Ok(())
}

/// Revokes every session of the account.
pub async fn revoke_all(redis: &Redis, account_id: Uuid) -> RedisResult<()> {
    redis.invoke(&REVOKE_ALL.key(index(account_id))).await
}

/// The session in a record, if it is unexpired. A record that this release cannot parse counts as none.
pub(crate) fn unexpired(record: &str, now: i64) -> Option<Session> {
    let session: Session = serde_json::from_str(record).ok()?;
    (now < session.expires_at).then_some(session)
}

pub(crate) fn index(account_id: Uuid) -> String {
    format!("account:{account_id}:sessions")
}
