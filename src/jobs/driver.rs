//! The queue's way to its database.

use std::{sync::Arc, time::Duration};

use futures_util::stream::{self, StreamExt};
use graphile_worker::sqlx::SqlxDatabase;
use graphile_worker::{
    BoxFuture, DatabaseDriver, DbError, DbExecutor, DbParams, DbRow, DbTransaction, Notification, NotificationStream,
};
use tokio::sync::Notify;

use crate::services::within;

const QUERY_LIMIT: Duration = Duration::from_secs(6);

type Answer<'a, T> = BoxFuture<'a, Result<T, DbError>>;

/// The queue's database, with what the queue lacks: a limit on each query, as one that waits for a
/// connection gone silent would hold it and its job for ever; and a signal of its own for more jobs,
/// as a slot runs one job for each signal, so that a backlog would go at the pace of the polls.
#[derive(Debug)]
pub(crate) struct Patched {
    pub(crate) inner: SqlxDatabase,
    /// To be notified when there may be more jobs.
    pub(crate) more: Arc<Notify>,
}

fn limited<'a, T: 'a>(query: Answer<'a, T>) -> Answer<'a, T> {
    Box::pin(async {
        let result = within(QUERY_LIMIT, query).await;
        result.unwrap_or_else(|_| Err(DbError::new("the query took too long")))
    })
}

impl DbExecutor for Patched {
    fn execute<'a>(&'a self, sql: &'a str, params: DbParams) -> Answer<'a, u64> {
        limited(self.inner.execute(sql, params))
    }

    fn fetch_all<'a>(&'a self, sql: &'a str, params: DbParams) -> Answer<'a, Vec<DbRow>> {
        limited(self.inner.fetch_all(sql, params))
    }
}

impl DatabaseDriver for Patched {
    fn as_any(&self) -> &dyn std::any::Any {
        &self.inner
    }

    fn begin(&self) -> Answer<'_, DbTransaction> {
        limited(self.inner.begin())
    }

    fn listen<'a>(&'a self, channel: &'a str) -> Answer<'a, Option<NotificationStream>> {
        Box::pin(async move {
            let Some(inserts) = limited(self.inner.listen(channel)).await? else {
                return Ok(None);
            };
            let more = stream::unfold(self.more.clone(), |more| async {
                more.notified().await;
                let signal = Notification { channel: String::new(), payload: String::new() };
                Some((Ok(signal), more))
            });
            Ok(Some(stream::select(inserts, more).boxed()))
        })
    }
}
